"""American funds against the index they hold, at the same minute: rates and vols.

Each is fitted from its own quotes alone, with no curve shared and the default prior of 3 +- 1.5 %.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from optmm.bench.rows import Row, skipped
from optmm.bench.surface_files import FOLDER, Fitted, fitted

Array = NDArray[np.float64]

# A fund, its index, and whether one minute and one settlement make their vols comparable.
TRADES = (
    ("spy_2023-09-14_close", "spx_2023-09-14_close", True),
    ("xsp_2023-09-14_close", "spx_2023-09-14_close", True),
    ("spy_2023-05-26_close", "spx_2023-05-26_close", False),
    ("spy_2023-05-19_close", "spx_2023-05-19_close", False),
    ("qqq_2023-05-26_close", "ndx_2023-05-26_close", False),
)
LONG = 60 / 365
BP, POINT = 1e-4, 1e-2
NEAR_DAYS = 4  # an expiry's twin in the index is the nearest, at most so far away
WEEK = 7 / 365


def run(data: Path, say: Callable[[str], None]) -> list[Row]:
    """Two rows a pair of files."""
    rows: list[Row] = []
    done: dict[str, Fitted] = {}
    for fund, index, same in TRADES:
        paths = [data / FOLDER / f"{name}.csv.gz" for name in (fund, index)]
        if not all(path.is_file() for path in paths):
            rows.append(skipped(f"{fund} and {index}: rates", "bp", 40.0, "files are absent"))
            continue
        for name, path in zip((fund, index), paths, strict=True):
            if name not in done:
                say(name)
                done[name] = fitted(path)
        rows += compared(done[fund], done[index], same)
    return rows


def compared(fund: Fitted, index: Fitted, same: bool) -> list[Row]:
    """Greatest differences at the fund's expiries; `same`: vols too have a bar."""
    mine, theirs = _twins(fund, index)
    got, want = fund.surface, index.surface
    label = f"{fund.name} and {index.name}"
    if not mine.size:
        return [skipped(label, "bp", 40.0, "no expiry of the one is near one of the other")]
    long = got.years[mine] >= LONG
    off = (got.rate[mine] - want.rate[theirs])[long] / BP
    vol = (got.atm_vol[mine] - want.atm_vol[theirs]) / POINT
    week = got.years[mine] >= WEEK
    return [
        _greatest(f"{label}: rate, 60 days and more", off, got.years[mine][long], "bp", 40.0),
        _greatest(
            f"{label}: vol at the money, a week and more", vol[week], got.years[mine][week],
            "vol points", 0.5 if same else None,
        ),
    ]  # fmt: skip


def _twins(fund: Fitted, index: Fitted) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Expiries of the fund with the index's nearest in time, those quoted and near enough."""
    ours, theirs = (np.flatnonzero(f.surface.scores.quotes > 0) for f in (fund, index))
    gap = np.abs(index.surface.years[theirs] - fund.surface.years[ours][:, None])
    nearest = gap.argmin(axis=1)
    close = gap.min(axis=1) * 365.0 <= NEAR_DAYS
    return ours[close], theirs[nearest[close]]


def _greatest(what: str, off: Array, years: Array, unit: str, bar: float | None) -> Row:
    at = int(np.argmax(np.abs(off)))
    return Row(
        what, float(np.abs(off[at])), unit, bar,
        note=f"{off.size} expiries, median {np.median(np.abs(off)):.2g}, greatest {off[at]:+.2g} "
        f"at {365 * years[at]:.0f} days",
    )  # fmt: skip
