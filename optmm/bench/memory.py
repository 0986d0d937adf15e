"""Peak memory of `optmm replay` on a stored day and on one with ten times its events.

Each replay is a process of its own with all three fill assumptions and the desk's default settings;
what counts is the largest resident set the system saw. The days are `replay_day`'s.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from optmm.bench import replay_day
from optmm.bench.replay import CORRECT
from optmm.bench.rows import Row

TIMES = (10, 100)  # each quote of the simulated day is shown so often: 7 and 70 million events
QUICK_TIMES = (1, 10)
LIMIT_MB = 1000.0
MB = "MB"
STARTER = """
import os, sys
quiet = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
child = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ, file_actions=quiet)
_, status, usage = os.wait4(child, 0)
print(usage.ru_maxrss, usage.ru_utime + usage.ru_stime, status)
"""


def command(day: Path, out: Path, *more: str) -> list[str]:
    """A replay in a process of its own, as it is run by hand."""
    program = [sys.executable, "-m", "optmm.cli.main", "replay"]
    return [*program, str(day), "--out", str(out), "--no-live", *more]


def peak_mb(line: Sequence[str]) -> tuple[float, float, int]:
    """Run `line` to its end: (largest resident set in MB, CPU seconds, exit code).

    A small process starts it and asks: a child begins with its parent's peak on its record, and
    ours may be larger than what is measured.
    """
    home = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(filter(None, (home, os.environ.get("PYTHONPATH", ""))))
    said = subprocess.run(
        [sys.executable, "-S", "-c", STARTER, *line], env=os.environ | {"PYTHONPATH": path},
        stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    largest, seconds, status = said.stdout.split()
    unit = 1.0 if sys.platform == "darwin" else 1024.0  # bytes there, KiB elsewhere
    return float(largest) * unit / 1e6, float(seconds), os.waitstatus_to_exitcode(int(status))


def run(*, quick: bool, say: Callable[[str], None]) -> tuple[list[Row], list[str]]:
    """(rows, what is wrong); stores its days in the temporary folder and removes them."""
    rows: list[Row] = []
    wrong: list[str] = []
    peaks: list[float] = []
    with tempfile.TemporaryDirectory(prefix="optmm-bench-") as folder:
        say("memory: simulating a day")
        base = replay_day.recorded()
        for times in QUICK_TIMES if quick else TIMES:
            say(f"memory: a day with its quotes {times} times")
            day = Path(folder) / f"day-{times}"
            events = replay_day.stored(base, times, day)
            peak, seconds, code = peak_mb(command(day, Path(folder) / f"run-{times}"))
            what = f"peak of a replay of {events / 1e6:.1f} M events"
            note = f"{seconds:.0f} s of CPU, three worlds, {len(base.chain):,} options"
            rows.append(Row(what, peak, MB, LIMIT_MB, note=note))
            peaks.append(peak)
            if code:
                wrong.append(f"{CORRECT}the replay of {events:,} events ended with code {code}")
    rows.append(Row("peak of the longer day, times the shorter's", peaks[1] / peaks[0], "times"))
    return rows, wrong
