"""Where a program's CPU time goes: samples of the instruction pointer, by the library it is in.

Another process is watched from outside (ptrace, Linux on x86-64), so that nothing is charged for
being measured and compiled code needs no symbols: machine code outside every file is numba's. The C
library works for whoever called it, and is charged to the nearest return address on the stack that
lies elsewhere. Only threads that run are sampled.
"""

import ctypes
import os
import platform
import re
import signal
import subprocess
import sys
import time
from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

RATE_HZ = 250
PATIENCE_S = 1e-4
STACK_BYTES = 4096
SEIZE, INTERRUPT, CONT, GETREGS, LISTEN = 0x4206, 0x4207, 7, 12, 0x4208
WALL = 0x40000000
EVENT_STOP = 128
RIP, RSP = 16, 19  # words of struct user_regs_struct
SERVANTS = re.compile(r"^(ld-linux|libc[.-]|libm[.-]|libpthread|libstdc\+\+|libgcc|libdl|\[v)")
PACKAGES = ("numpy", "scipy", "polars", "pyarrow", "apsw", "numba", "llvmlite", "pandas")
GIVEN = ("numba", "numpy", "polars", "SQLite")  # what the measure sets apart
INTERPRETER = "interpreter"


class CannotWatchError(RuntimeError):
    """This system does not let one process sample another; the text says why."""


@dataclass(frozen=True, slots=True)
class Split:
    """Samples by owner, and how the program ended."""

    samples: dict[str, int] = field(default_factory=dict)
    code: int = 0

    @property
    def total(self) -> int:
        """All samples."""
        return sum(self.samples.values())

    def share(self, *owners: str) -> float:
        """Share of the samples that `owners` have, 0 to 1; NaN without samples."""
        if not self.total:
            return float("nan")
        return sum(self.samples.get(owner, 0) for owner in owners) / self.total

    @property
    def outside(self) -> float:
        """Share outside numba, numpy, polars and SQLite: the interpreter and all other code."""
        return 1.0 - self.share(*GIVEN)

    def words(self) -> str:
        """The split, largest first."""
        parts = sorted(self.samples.items(), key=lambda item: (-item[1], item[0]))
        return ", ".join(f"{name} {n / self.total:.1%}" for name, n in parts)


def owner(path: str) -> str:
    """Who a mapped file belongs to: a package, the interpreter, or the file's own name."""
    if not path:
        return "numba"
    parts = path.split("/")
    for package in PACKAGES:
        if any(re.match(rf"_?{package}([._]|$)", part) for part in parts[:-1]):
            return {"apsw": "SQLite", "llvmlite": "compiler"}.get(package, package)
    name = parts[-1]
    if name.startswith("python") or name.startswith("libpython") or "lib-dynload" in parts:
        return INTERPRETER
    if "sqlite" in name:
        return "SQLite"
    return name.split(".")[0].split("-")[0]


class _Maps:
    """Executable regions of a process; read again when an address is in none of them."""

    def __init__(self, pid: int) -> None:
        self._path = Path(f"/proc/{pid}/maps")
        self._starts: list[int] = []
        self._ends: list[int] = []
        self._names: list[str] = []

    def refresh(self) -> None:
        """Read the regions of now."""
        rows = []
        for line in self._path.read_text(encoding="utf-8").splitlines():
            span, rights, *rest = line.split(maxsplit=5)
            if "x" in rights:
                low, _, high = span.partition("-")
                rows.append((int(low, 16), int(high, 16), rest[3] if len(rest) > 3 else ""))
        rows.sort()
        self._starts = [row[0] for row in rows]
        self._ends = [row[1] for row in rows]
        self._names = [row[2] for row in rows]

    def name(self, address: int) -> str | None:
        """File that holds `address`, "" for machine code in no file, None if it is no code."""
        at = bisect_right(self._starts, address) - 1
        return self._names[at] if at >= 0 and address < self._ends[at] else None


def _charged(maps: _Maps, pointer: int, stack: bytes) -> str:
    """Whose sample it is."""
    name = maps.name(pointer)
    if name is None:
        maps.refresh()
        name = maps.name(pointer)
    if name is None:
        return "unknown"
    if not SERVANTS.match(name.rpartition("/")[2]):
        return owner(name)
    for at in range(0, len(stack) - 7, 8):
        caller = maps.name(int.from_bytes(stack[at : at + 8], "little"))
        if caller is not None and not SERVANTS.match(caller.rpartition("/")[2]):
            return owner(caller)
    return "system"


class _Tracer:
    """ptrace by ctypes; every call comes from the thread that attached."""

    def __init__(self) -> None:
        self._call = ctypes.CDLL(None, use_errno=True).ptrace
        self._call.restype = ctypes.c_long
        self._call.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
        self._regs = (ctypes.c_ulonglong * 27)()

    def ask(self, what: int, tid: int, value: int = 0) -> bool:
        """One request; False when the thread is gone or may not be asked."""
        return int(self._call(what, tid, None, value)) == 0

    def registers(self, tid: int) -> tuple[int, int] | None:
        """(instruction pointer, stack pointer) of a stopped thread."""
        if not self.ask(GETREGS, tid, ctypes.addressof(self._regs)):
            return None
        return int(self._regs[RIP]), int(self._regs[RSP])


def watched(command: Sequence[str], *, rate_hz: int = RATE_HZ, ready: Path | None = None) -> Split:
    """Run `command` to its end and sample it; what it prints is thrown away.

    `ready` : a file that the program makes when its set-up is over; samples before that are not
    counted

    Raises
    ------
    CannotWatchError
        Not Linux on x86-64, or tracing is forbidden here.
    """
    if sys.platform != "linux" or platform.machine() != "x86_64":
        raise CannotWatchError(
            f"needs Linux on x86-64, this is {sys.platform} {platform.machine()}"
        )
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    tracer = _Tracer()
    if not tracer.ask(SEIZE, child.pid):
        child.kill()
        child.wait()
        raise CannotWatchError("tracing a child is forbidden here (ptrace)")
    maps, found, before = _Maps(child.pid), Counter[str](), Counter[str]()
    known = {child.pid}
    code: int | None = None
    while code is None:
        time.sleep(1.0 / rate_hz)
        for tid in _threads(child.pid):
            if tid not in known and tracer.ask(SEIZE, tid):
                known.add(tid)
        for tid in sorted(known):
            if tid in known and _running(child.pid, tid) and tracer.ask(INTERRUPT, tid):
                into = found if ready is None or ready.exists() else before
                code = _take(tracer, maps, child.pid, tid, into, known)
            else:
                code = _passed_on(tracer, child.pid, tid, known)
            if code is not None:
                break
    child.returncode = code
    return Split(dict(found), code)


def _threads(pid: int) -> list[int]:
    try:
        return [int(name) for name in os.listdir(f"/proc/{pid}/task")]
    except OSError:
        return []


def _running(pid: int, tid: int) -> bool:
    """Whether a thread is on a core or waits for one."""
    try:
        text = Path(f"/proc/{pid}/task/{tid}/stat").read_text(encoding="utf-8")
    except OSError:
        return False
    return text.rpartition(")")[2].split()[0] == "R"


def _take(
    tracer: _Tracer, maps: _Maps, pid: int, tid: int, found: Counter[str], known: set[int]
) -> int | None:
    """Wait for the stop that was asked for and count where the thread is; its code if it ended."""
    while True:
        try:
            got, status = os.waitpid(tid, WALL | os.WNOHANG)
        except ChildProcessError:
            known.discard(tid)
            return None if tid != pid else 0
        if got == 0:
            # the first thread cannot be waited for before every other that ended was
            for other in sorted(known - {tid}):
                _passed_on(tracer, pid, other, known)
            time.sleep(PATIENCE_S)
            continue
        if not os.WIFSTOPPED(status):
            known.discard(tid)
            return os.waitstatus_to_exitcode(status) if tid == pid else None
        if status >> 16 == EVENT_STOP:
            break
        tracer.ask(CONT, tid, os.WSTOPSIG(status))  # a signal on its way: deliver it, wait on
    at = tracer.registers(tid)
    if at is not None:
        try:
            with open(f"/proc/{pid}/mem", "rb") as memory:
                memory.seek(at[1])
                stack = memory.read(STACK_BYTES)
        except OSError:
            stack = b""
        found[_charged(maps, at[0], stack)] += 1
    tracer.ask(CONT, tid)
    return None


def _passed_on(tracer: _Tracer, pid: int, tid: int, known: set[int]) -> int | None:
    """Let signals through to a thread that was not sampled; its code if the program ended."""
    try:
        got, status = os.waitpid(tid, WALL | os.WNOHANG)
    except ChildProcessError:
        known.discard(tid)
        return None if tid != pid else 0
    if got == 0:
        return None
    if not os.WIFSTOPPED(status):
        known.discard(tid)
        return os.waitstatus_to_exitcode(status) if tid == pid else None
    stopped = os.WSTOPSIG(status)
    tracer.ask(CONT, tid, 0 if status >> 16 == EVENT_STOP or stopped == signal.SIGTRAP else stopped)
    return None
