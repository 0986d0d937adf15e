"""Rows of the cold start: what a person waits for in a fresh process, by the wall clock."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from optmm.bench.rows import Row

CODE = (
    "from surfaces.pricing import black; "
    "black.price(right=1, forward=100.0, strike=100.0, years=0.25, vol=0.2)"
)


def rows(again: int = 3) -> list[Row]:
    """First ever, with an empty compile cache, and the best of `again` with that cache."""
    with tempfile.TemporaryDirectory(prefix="optmm-bench-") as folder:
        first, busy = _seconds(folder)
        later, little = min(_seconds(folder) for _ in range(again))
    what = "cold start: import and first price"
    return [
        Row(f"{what}, first ever", first, "s", 10.0,
            note=f"wall clock, compile cache empty; {busy:.1f} s of CPU"),
        Row(f"{what}, compiled before", later, "s", 1.5,
            note=f"wall clock, best of {again}; {little:.1f} s of CPU"),
    ]  # fmt: skip


def _seconds(cache: str) -> tuple[float, float]:
    """Wall and CPU seconds of a Python that imports, prices one option and ends."""
    home = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(filter(None, (home, os.environ.get("PYTHONPATH", ""))))
    environment = os.environ | {"OPTMM_CACHE_DIR": cache, "PYTHONPATH": path}
    start, used = time.perf_counter(), _children()
    subprocess.run([sys.executable, "-c", CODE], env=environment, check=True)
    return time.perf_counter() - start, _children() - used


def _children() -> float:
    """CPU seconds of the processes that this one has waited for."""
    spent = os.times()
    return spent.children_user + spent.children_system
