"""Where compiled kernels are kept: a folder named by everything that shaped the machine code.

numba checks only the file of the function it loads. An edited callee in another file would leave
the callers running the old code, so the folder's name is a hash of all kernel and engine sources,
of the compiler's and Python's versions, of the processor, and of the flags that change the code.

The place: OPTMM_CACHE_DIR, else $XDG_CACHE_HOME/optmm, else ~/.cache/optmm. NUMBA_CACHE_DIR is
overwritten. Not writable: a private temporary folder that lives as long as the process.
"""

import atexit
import hashlib
import os
import platform
import shutil
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

PREFIX = "kernels-"
KEEP_DAYS = 30
FLAGS = ("NUMBA_BOUNDSCHECK", "NUMBA_DISABLE_JIT", "NUMBA_OPT", "NUMBA_CPU_NAME")
_ROOT = Path(__file__).resolve().parents[2]


class CacheStatus(NamedTuple):
    """Where compiled code goes; `why` is empty when the place is the usual one."""

    path: str
    is_temporary: bool
    why: str


# record layouts, codes and bits that kernels and the event loop are compiled with
CONSTANTS = ("layout", "reasons")
COMPILED_IN = ("surfaces/status.py", "surfaces/units.py", "optmm/market/events.py")


def sources(root: Path = _ROOT) -> list[Path]:
    """Every file whose text ends up in machine code, in a fixed order.

    All kernels; of the engine what is compiled, and what is compiled into it as constants.
    """
    kernels = sorted((root / "surfaces" / "kernels").glob("*.py"))
    engine = sorted((root / "optmm" / "engine").glob("*.py"))
    marks = (b"import numba", b"optmm.engine.compiled import")
    compiled = [f for f in engine if f.stem in CONSTANTS or any(m in f.read_bytes() for m in marks)]
    named = (root / name for name in COMPILED_IN)
    return kernels + compiled + [file for file in named if file.exists()]


def fingerprint(root: Path = _ROOT) -> str:
    """24 hex digits that change when any kernel, compiler, processor or code flag does."""
    import llvmlite
    import llvmlite.binding
    import numba

    digest = hashlib.sha256()
    for file in sources(root):
        text = file.read_bytes()
        digest.update(f"{file.relative_to(root).as_posix()}\0{len(text)}\0".encode())
        digest.update(text)
    marks = [numba.__version__, llvmlite.__version__, platform.python_version()]
    marks += [platform.machine(), llvmlite.binding.get_host_cpu_name()]
    marks += [f"{flag}={os.environ.get(flag, '')}" for flag in FLAGS]
    digest.update("\0".join(marks).encode())
    return digest.hexdigest()[:24]


def base_folder() -> Path:
    """The per-user folder that holds one cache folder per fingerprint."""
    chosen = os.environ.get("OPTMM_CACHE_DIR")
    if chosen:
        return Path(chosen)
    shared = os.environ.get("XDG_CACHE_HOME")
    return (Path(shared) if shared else Path.home() / ".cache") / "optmm"


_status: CacheStatus | None = None


def prepare() -> CacheStatus:
    """Point numba at the cache folder for the present sources; later calls change nothing.

    Must run before the first `njit(cache=True)`: numba reads the folder when it decorates.
    """
    global _status  # noqa: PLW0603  once per process, as numba's own setting is
    if _status is None:
        _status = _choose()
        import numba

        # numba re-reads its environment when any NUMBA_ variable changes, so both are needed.
        os.environ["NUMBA_CACHE_DIR"] = _status.path
        vars(numba.config)["CACHE_DIR"] = _status.path
    return _status


def status() -> CacheStatus:
    """Where compiled kernels are kept, whether only for this process, and why."""
    return prepare()


def _choose() -> CacheStatus:
    name = PREFIX + fingerprint()
    try:
        base = base_folder()
        folder = base / name
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
        os.utime(folder)
    except (OSError, RuntimeError) as error:  # RuntimeError: no home folder
        place = tempfile.mkdtemp(prefix="optmm-kernels-")
        atexit.register(shutil.rmtree, place, ignore_errors=True)
        return CacheStatus(place, True, f"{error}; set OPTMM_CACHE_DIR to a writable folder")
    _sweep(base, keep=name)
    return CacheStatus(str(folder), False, "")


def _sweep(base: Path, keep: str) -> None:
    """Remove cache folders of other fingerprints that nobody has used for KEEP_DAYS."""
    oldest = time.time() - KEEP_DAYS * 86_400
    for folder in base.glob(PREFIX + "*"):
        try:
            stale = folder.name != keep and folder.stat().st_mtime < oldest
        except OSError:  # another process removed it first
            continue
        if stale:
            shutil.rmtree(folder, ignore_errors=True)
