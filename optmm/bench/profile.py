"""Where a replay's CPU time goes, by library: the interpreter's own share has a bar.

The bar is on the tape that the loop is timed on, from the first event to the last, as `replay`
drives it. The others are the whole command, from the import to the report. Each is a process of
its own, sampled from outside (`python_share`). Outside numba, numpy, polars and SQLite count the
interpreter and whatever else is used: pyarrow, zstd, hashes, the C library for itself.
"""

import sys
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
PASSES, QUICK_PASSES = 40, 10
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
        say("profile: the loop's tape")
        started = Path(folder) / "started"
        passes = f"alone({str(started)!r}, {QUICK_PASSES if quick else PASSES})"
        loop = (sys.executable, "-c", f"from optmm.bench.replay import alone; {passes}")
        runs: list[tuple[str, tuple[str, ...], Path | None, float | None]] = [
            ("the loop's tape", loop, started, LIMIT),
            (f"optmm replay, {events / 1e6:.1f} M events",
             tuple(command(day, Path(folder) / "run-0")), None, None),
        ]  # fmt: skip
        lean = data / "data" / "lean"
        if lean.is_dir():
            goog = tuple(command(lean, Path(folder) / "run-1", *GOOG))
            runs.append(("optmm replay, GOOG 2015-12-24", goog, None, None))
        else:
            rows.append(skipped(f"GOOG 2015-12-24: {WHAT}", "%", None, f"{lean} is not here"))
        for name, program, ready, bar in runs:
            say(f"profile: {name}")
            try:
                split = watched(program, ready=ready)
            except CannotWatchError as failed:
                rows.append(skipped(f"{name}: {WHAT}", "%", bar, str(failed)))
                continue
            note = f"{split.total:,} samples: {split.words()}"
            rows.append(Row(f"{name}: {WHAT}", 100.0 * split.outside, "%", bar, note=note))
            rows.append(Row(f"{name}: {INTERPRETER}", 100.0 * split.share(INTERPRETER), "%"))
            if split.code:
                wrong.append(f"{CORRECT}{name} ended with code {split.code}")
    return rows, wrong
