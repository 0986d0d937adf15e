"""Where a replay's CPU time goes, by library: the interpreter's own share has a bar.

Every replay is the whole command in a process of its own, from the import to the report, and is
sampled from outside (`python_share`). Outside numba, numpy, polars and SQLite count the interpreter
and whatever else is used: pyarrow, zstd, hashes, the C library for itself.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path

from optmm.bench import replay_day
from optmm.bench.memory import command
from optmm.bench.python_share import INTERPRETER, CannotWatchError, watched
from optmm.bench.replay import CORRECT
from optmm.bench.rows import Row, skipped

LIMIT = 20.0
TIMES, QUICK_TIMES = 10, 1
GOOG = ("--underlying", "GOOG", "--date", "2015-12-24")
WHAT = "outside numba, numpy, polars and SQLite"


def run(data: Path, *, quick: bool, say: Callable[[str], None]) -> tuple[list[Row], list[str]]:
    """(rows, what is wrong). `data`: folder with `data/lean`; without it that day is skipped."""
    rows: list[Row] = []
    wrong: list[str] = []
    with tempfile.TemporaryDirectory(prefix="optmm-bench-") as folder:
        say("profile: the day that memory is measured on")
        day, times = Path(folder) / "day", QUICK_TIMES if quick else TIMES
        events = replay_day.stored(replay_day.recorded(), times, day)
        tapes: list[tuple[str, Path, tuple[str, ...], float | None]] = [
            (f"{events / 1e6:.1f} M events", day, (), LIMIT)
        ]
        lean = data / "data" / "lean"
        if lean.is_dir():
            tapes.append(("GOOG 2015-12-24", lean, GOOG, None))
        else:
            rows.append(skipped(f"GOOG 2015-12-24: {WHAT}", "%", None, f"{lean} is not here"))
        for number, (name, path, more, bar) in enumerate(tapes):
            say(f"profile: {name}")
            try:
                split = watched(command(path, Path(folder) / f"run-{number}", *more))
            except CannotWatchError as failed:
                rows.append(skipped(f"{name}: {WHAT}", "%", bar, str(failed)))
                continue
            note = f"{split.total:,} samples: {split.words()}"
            rows.append(Row(f"{name}: {WHAT}", 100.0 * split.outside, "%", bar, note=note))
            rows.append(Row(f"{name}: {INTERPRETER}", 100.0 * split.share(INTERPRETER), "%"))
            if split.code:
                wrong.append(f"{CORRECT}the replay of {name} ended with code {split.code}")
    return rows, wrong
