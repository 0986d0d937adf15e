"""One cell-day in a process of its own: load the day, run the engine, read the report, forget.

A worker keeps the day it loaded last, because the next cell usually wants the same one; before it
loads another it lets go, so that one day is in memory. Nothing heavy is imported at the top: the
number of threads must be set before numpy is.
"""

import os
import resource
import shutil
import signal
import sys
import time
import traceback
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optmm.backtest.days import Day, open_one
from optmm.config import DeskConfig
from optmm.errors import OptmmError

if TYPE_CHECKING:
    from optmm.market.chain import MarketDay

THREADS = (
    "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS",
    "POLARS_MAX_THREADS", "RAYON_NUM_THREADS",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Task:
    """One cell on one day."""

    cell: int
    config: DeskConfig
    day: Day
    folder: Path  # of the run; made and, unless `keep`, removed
    keep: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a task; `rows` is empty exactly where `error` is not."""

    rows: tuple[dict[str, Any], ...]
    facts: dict[str, Any]  # underlying, date, data_hash, sources: what only the data can say
    error: str = ""
    trace: str = ""  # of a fault that is not the user's
    seconds: float = 0.0
    peak_mb: float = 0.0  # of the process so far


@dataclass(slots=True)
class Held:
    """The day that a worker has in memory."""

    number: int = 0
    market: "MarketDay | None" = None

    def open(self, day: Day) -> "MarketDay":
        """The day asked for, loaded unless it is here; the one before is let go first."""
        if self.number != day.number or self.market is None:
            self.number, self.market = 0, None
            self.market = open_one(day)
            self.number = day.number
        return self.market


def serve(pipe: Connection, cache: str) -> None:
    """Do tasks from `pipe` until None or its end. `cache` is where compiled kernels are kept."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what Ctrl-C means
    os.environ.update(dict.fromkeys(THREADS, "1"))
    os.environ["OPTMM_CACHE_DIR"] = cache
    held = Held()
    try:
        while (task := pipe.recv()) is not None:
            pipe.send(attempt(task, held))
    except (EOFError, BrokenPipeError):  # the parent is gone
        return


def attempt(task: Task, held: Held) -> Outcome:
    """The outcome of one task; whatever goes wrong is in it and does not stop the others."""
    began = time.perf_counter()
    try:
        rows, facts = run(task, held)
        error = trace = ""
    except (OptmmError, OSError, MemoryError) as bad:
        rows, facts = (), {}
        error, trace = f"{type(bad).__name__}: {bad}", ""
    except Exception as bad:  # a worker's outermost frame: the fault is reported with its trace
        rows, facts = (), {}
        error, trace = f"{type(bad).__name__}: {bad}", traceback.format_exc()
    finally:
        if not task.keep:
            shutil.rmtree(task.folder, ignore_errors=True)
    error = error.replace(str(task.folder), "the run folder")
    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10  # bytes there, KiB elsewhere
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
    return Outcome(rows, facts, error, trace, time.perf_counter() - began, peak_mb)


def run(task: Task, held: Held) -> tuple[tuple[dict[str, Any], ...], dict[str, Any]]:
    """Replay the day under the cell's configuration; rows of figures and facts of the data."""
    from optmm import reports
    from optmm.backtest import figures
    from optmm.engine import replay

    market = held.open(task.day)
    shutil.rmtree(task.folder, ignore_errors=True)  # what an interrupted run left
    words = f"backtest, cell {task.cell}, day {task.day.number}"
    replay.run(market, task.config, task.folder, seed=task.day.seed, command=words)
    report = reports.build(task.folder)
    if task.keep:  # the page takes longer to draw than a short day to run: `optmm report` does it
        text = reports.dumps(report) + "\n"
        (task.folder / "report.json").write_text(text, encoding="utf-8", newline="\n")
        replay.complete_run(task.folder)
    facts = {
        "underlying": report["underlying"],
        "date": report["sessions"][0]["date"],
        "data_hash": report["data_hash"],
        "events": report["events"],
        "sources": [[item["file"], item["sha256"]] for item in report["provenance"]["data"]],
    }
    return tuple(figures.rows(report)), facts
