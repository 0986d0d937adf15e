"""Turnover, Sharpe ratio and drawdown, each as a `Measure` that says why it has no value.

Units   stated by each measure; ratios are decimals, percent exists only in reports.
Source  A. Lo, The Statistics of Sharpe Ratios, Financial Analysts Journal 58 (2002) 36-52, eq. 9;
        E. B. Wilson, J. American Statistical Association 22 (1927) 209-212.
Checked tests/optmm/pnl/test_statistics.py: hand tapes, Newcombe's table, simulation.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from optmm.errors import UsageError
from surfaces.units import TRADING_DAYS

MIN_DAYS = 20
Z_95 = 1.959963984540054


@dataclass(frozen=True, slots=True)
class Measure:
    """A figure for a report. `value` is None exactly where `reason` says why."""

    value: float | None
    unit: str
    n: int
    reason: str = ""
    low: float | None = None  # 95 % interval, where there is one
    high: float | None = None

    def __str__(self) -> str:
        if self.value is None:
            return f"n/a ({self.reason})"
        return f"{self.value:g} {self.unit} (n = {self.n})"


def missing(unit: str, n: int, reason: str) -> Measure:
    """A measure without a value, saying why."""
    return Measure(None, unit, n, reason)


def wilson(successes: int, n: int, z: float = Z_95) -> tuple[float, float]:
    """Score interval of a proportion, without continuity correction; n >= 1."""
    if not 0 <= successes <= n or n < 1:
        raise UsageError(f"successes is {successes} of n {n}, must be 0 <= successes <= n, n >= 1")
    p = successes / n
    centre = p + z * z / (2.0 * n)
    half = z * math.sqrt(p * (1.0 - p) / n + z * z / (4.0 * n * n))
    scale = 1.0 + z * z / n
    # The ends are exactly 0 and 1 there; rounding would leave 1e-17.
    low = 0.0 if successes == 0 else (centre - half) / scale
    high = 1.0 if successes == n else (centre + half) / scale
    return low, high


def turnover(
    *,
    ts_ns: ArrayLike,
    instrument: ArrayLike,
    signed_lots: ArrayLike,
    start_ns: int,
    end_ns: int,
    weight: ArrayLike = 1.0,
) -> Measure:
    """Inventory turnover per session: half of what was traded over the time-average inventory.

    Inventory is the gross of the instruments, sum of |lots| * weight. Start flat, or pass the
    opening position as a row at `start_ns`, which is not counted as traded.

    Parameters
    ----------
    ts_ns : time of each trade, ascending, inside [start_ns, end_ns]
    instrument : row of each trade
    signed_lots : > 0 bought
    weight : of each trade's lots, the same for all trades of an instrument: its vega at the open
        gives a turnover of vega

    Returns
    -------
    Times per session of (end - start).
    """
    t = np.asarray(ts_ns, np.int64)
    lots = np.asarray(signed_lots, np.float64) * np.asarray(weight, np.float64)
    unit = "times per session"
    if end_ns <= start_ns:
        raise UsageError(f"end_ns {end_ns} must be after start_ns {start_ns}")
    if t.size and (np.any(np.diff(t) < 0) or t[0] < start_ns or t[-1] > end_ns):
        raise UsageError("ts_ns must ascend inside [start_ns, end_ns]")
    area, traded = 0.0, 0.0
    held: dict[int, float] = {}
    gross, last = 0.0, start_ns
    for when, row, change in zip(t.tolist(), np.asarray(instrument).tolist(), lots, strict=True):
        area += gross * (when - last)
        last = when
        before = held.get(row, 0.0)
        held[row] = before + change
        gross += abs(held[row]) - abs(before)
        traded += abs(change) if when > start_ns else 0.0
    area += gross * (end_ns - last)
    if area <= 0.0:
        return missing(unit, t.size, "no inventory was held")
    return Measure(0.5 * traded * (end_ns - start_ns) / area, unit, t.size)


def sharpe(daily_net_usd: ArrayLike, *, capital_usd: float) -> Measure:
    """Annualised Sharpe ratio of daily net P&L on fixed capital, with Lo's interval for iid days.

    sqrt(252) mean / sd; standard error sqrt(252) sqrt((1 + SR_daily^2 / 2) / n). Below 20 days it
    has no value: the standard error alone would be above 3.
    """
    if not capital_usd > 0.0:
        raise UsageError(f"capital_usd is {capital_usd:g}, must be > 0")
    daily = _finite("daily_net_usd", daily_net_usd) / capital_usd
    unit = "per square-root year"
    if daily.size < MIN_DAYS:
        return missing(unit, daily.size, f"needs {MIN_DAYS} days, has {daily.size}")
    spread = float(daily.std(ddof=1))
    if spread <= 1e-15 * max(float(np.abs(daily).max()), 1e-300):
        return missing(unit, daily.size, "daily P&L does not vary")
    ratio = float(daily.mean()) / spread
    year = math.sqrt(TRADING_DAYS)
    error = year * math.sqrt((1.0 + 0.5 * ratio**2) / daily.size)
    value = year * ratio
    return Measure(value, unit, daily.size, low=value - Z_95 * error, high=value + Z_95 * error)


def max_drawdown(cumulative_net_usd: ArrayLike, *, capital_usd: float) -> Measure:
    """Largest fall of cumulative P&L from its running peak, over capital; the peak starts at 0."""
    if not capital_usd > 0.0:
        raise UsageError(f"capital_usd is {capital_usd:g}, must be > 0")
    equity = np.concatenate([[0.0], _finite("cumulative_net_usd", cumulative_net_usd)])
    if equity.size == 1:
        return missing("share of capital", 0, "no P&L observations")
    fall = np.maximum.accumulate(equity) - equity
    return Measure(float(fall.max()) / capital_usd, "share of capital", equity.size - 1)


def _finite(name: str, values: ArrayLike) -> NDArray[np.float64]:
    out = np.asarray(values, np.float64).ravel()
    if not np.isfinite(out).all():
        raise UsageError(f"{name} has {int((~np.isfinite(out)).sum())} values that are not finite")
    return out
