"""The table of the models: Heston, SABR, local volatility and Monte Carlo, part by part.

Every part is a module of its own, with a peer in the same process and its own check that what was
timed is right.
"""

from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path

from optmm.bench.rows import Report, Row

PARTS = ("heston", "sabr", "local_vol", "monte_carlo")


def run(
    parts: Sequence[str],
    data: Path,
    *,
    quick: bool = False,
    pinned: str = "",
    say: Callable[[str], None] = lambda words: None,
) -> Report:
    """Measure `parts`, in the order of `PARTS`. Pin the process first (`timing.pin`).

    Parameters
    ----------
    data : folder that holds `reference` and `data`; what is absent is skipped and said
    quick : fewer parameter sets, paths and rounds
    pinned : what `timing.pin` said
    say : receives a line before each long step
    """
    from optmm.bench import timing

    rows: dict[str, list[Row]] = {}
    wrong: list[str] = []
    for part in PARTS:
        if part in parts:
            rows[part], failed = import_module(f"optmm.bench.{part}").run(data, say, quick=quick)
            wrong += [f"{part}: {what}" for what in failed]
    about = timing.machine() | {
        "core": pinned or "not pinned",
        "method": "best of many, CPU time of the process, warmed up, measured in turns",
        "sets": "quick" if quick else "full",
    }
    return Report("models", rows, about, wrong=tuple(wrong))
