"""American funds against the index they hold, at the same minute: rates and vols.

Each is fitted from its own quotes alone, with no curve shared and the default prior of 3 +- 1.5 %;
a fund is also told the cash dividends expected of it.
"""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from optmm.bench.rows import Row, skipped
from optmm.bench.surface_files import FOLDER, Fitted, fitted
from surfaces.curves.cash import CashDividends

Array = NDArray[np.float64]

# Four dividends by month, USD, the last paid or declared on each day; expected to be repeated.
# SPY's are in the data's own list, QQQ's were published by Invesco.
SPY_SEPTEMBER = {9: 1.583, 12: 1.781, 3: 1.506, 6: 1.638}
SPY_MAY = {6: 1.577, 9: 1.596, 12: 1.781, 3: 1.506}
QQQ_MAY = {6: 0.527, 9: 0.519, 12: 0.655, 3: 0.472}


@dataclass(frozen=True, slots=True)
class Trade:
    """A fund and its index; `cash`, ex-dates on the third Friday or `days_after`. `same`: one
    minute and one settlement, so that their vols are comparable."""

    fund: str
    index: str
    cash: dict[int, float] | None = None
    days_after: int = 0
    same: bool = False


TRADES = (
    Trade("spy_2023-09-14_close", "spx_2023-09-14_close", SPY_SEPTEMBER, same=True),
    Trade("xsp_2023-09-14_close", "spx_2023-09-14_close", same=True),
    Trade("spy_2023-05-26_close", "spx_2023-05-26_close", SPY_MAY),
    Trade("spy_2023-05-19_close", "spx_2023-05-19_close", SPY_MAY),
    Trade("qqq_2023-05-26_close", "ndx_2023-05-26_close", QQQ_MAY, 3),
)
AHEAD = 5  # years of dividends
LONG, LIQUID = 60 / 365, 2.5  # years; the longest are quoted 5 USD wide
BP, POINT = 1e-4, 1e-2
NEAR_DAYS = 4  # an expiry's twin in the index is the nearest, at most so far away
WEEK = 7 / 365


def run(data: Path, say: Callable[[str], None]) -> list[Row]:
    """Two rows a pair of files."""
    rows: list[Row] = []
    done: dict[str, Fitted] = {}
    for trade in TRADES:
        names = trade.fund, trade.index
        paths = [data / FOLDER / f"{name}.csv.gz" for name in names]
        if not all(path.is_file() for path in paths):
            why = "files are absent"
            rows.append(skipped(f"{trade.fund} and {trade.index}: rates", "bp", 40.0, why))
            continue
        for name, path, cash in zip(names, paths, (trade.cash, None), strict=True):
            if name not in done:
                say(name)
                paid = None if cash is None else expected(cash, day_of(name), trade.days_after)
                done[name] = fitted(path, paid)
        rows += compared(done[trade.fund], done[trade.index], trade.same)
    return rows


def day_of(name: str) -> dt.date:
    """The day in a file's name."""
    return dt.date.fromisoformat(name.split("_")[1])


def expected(cash: dict[int, float], day: dt.date, days_after: int = 0) -> CashDividends:
    """The dividends of the years ahead, each month's repeated."""
    ex = []
    for year in range(day.year, day.year + AHEAD):
        for month, amount in cash.items():
            first = dt.date(year, month, 1).weekday()
            friday = dt.date(year, month, 15 + (4 - first) % 7)
            when = friday + dt.timedelta(days=days_after)
            if when > day:
                ex.append((when, amount))
    days, amounts = zip(*sorted(ex), strict=True)
    return CashDividends.of_dates(days, amounts)


def compared(fund: Fitted, index: Fitted, same: bool) -> list[Row]:
    """Greatest differences at the fund's expiries; `same`: vols too have a bar."""
    mine, theirs = _twins(fund, index)
    got, want = fund.surface, index.surface
    label = f"{fund.name.replace('_close', '')} and {index.name.split('_')[0]}"
    if not mine.size:
        return [skipped(label, "bp", 40.0, "no expiry of the one is near one of the other")]
    long = got.years[mine] >= LONG
    off = (got.rate[mine] - want.rate[theirs])[long] / BP
    vol = (got.atm_vol[mine] - want.atm_vol[theirs]) / POINT
    week = got.years[mine] >= WEEK
    some = got.years[mine][long] <= LIQUID
    told = f", {np.abs(off[some]).max():.2g} up to two and a half years"
    return [
        _greatest(f"{label}: rate, 60 days and more", off, got.years[mine][long], "bp", 40.0, told),
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


def _greatest(
    what: str, off: Array, years: Array, unit: str, bar: float | None, more: str = ""
) -> Row:
    at = int(np.argmax(np.abs(off)))
    return Row(
        what, float(np.abs(off[at])), unit, bar,
        note=f"{off.size} expiries, median {np.median(np.abs(off)):.2g}, greatest {off[at]:+.2g} "
        f"at {365 * years[at]:.0f} days{more}",
    )  # fmt: skip
