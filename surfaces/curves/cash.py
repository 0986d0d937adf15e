"""Cash dividends of one share by date: declared, and what is expected after them."""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import ArrayLike, NDArray

from surfaces.pricing.dividends import Dividends
from surfaces.units import NS_PER_DAY, NS_PER_SECOND, NS_PER_YEAR, years_between

Array = NDArray[np.float64]

A_YEARS_DATES = 350 * NS_PER_DAY
MOST_PAID = 0.9  # of spot, lest a wrong unit takes all of it


@dataclass(frozen=True, slots=True, eq=False, init=False)
class CashDividends:
    """Ex-dates as instants (ns UTC, rising) and the cash of each, USD per share; (d,).

    A share goes ex before the open of its ex-date. Dividends not declared yet belong here too, at
    what is expected.
    """

    ex_ns: NDArray[np.int64]
    cash: Array

    def __init__(self, ex_ns: ArrayLike, cash: ArrayLike) -> None:
        object.__setattr__(self, "ex_ns", np.atleast_1d(np.array(ex_ns, np.int64)))
        paid = Dividends(years_between(0, self.ex_ns), cash)
        object.__setattr__(self, "cash", paid.cash)

    @classmethod
    def of_dates(cls, dates: Iterable[dt.date], cash: ArrayLike) -> Self:
        """By ex-date: a share goes ex at midnight in New York, after the last trade of the day
        before and before the first of its own."""
        zone = ZoneInfo("America/New_York")
        ex = [int(dt.datetime.combine(day, dt.time(), zone).timestamp()) for day in dates]
        return cls(np.array(ex, np.int64) * NS_PER_SECOND, cash)

    def repeated(self, now_ns: int, until_ns: int) -> Self:
        """Those after `now_ns`, and past the last of all the year before it again and again until
        `until_ns`: what is expected of a share that goes on paying what it paid."""
        ex, cash = self.ex_ns, self.cash
        if not ex.size or ex[-1] <= now_ns - NS_PER_YEAR:
            return type(self)(ex[ex > now_ns], cash[ex > now_ns])
        year = ex > ex[-1] - A_YEARS_DATES  # the same date a year ago may be a day or two later
        rounds = max(int((until_ns - ex[-1]) // NS_PER_YEAR) + 1, 0)
        again = [ex[year] + (i + 1) * NS_PER_YEAR for i in range(rounds)]
        whole = np.concatenate([ex, *again])
        paid = np.concatenate([cash, *([cash[year]] * rounds)])
        keep = (whole > now_ns) & (whole <= until_ns)
        return type(self)(whole[keep], paid[keep])

    def at(self, now_ns: int) -> Dividends:
        """The schedule in years from `now_ns`; those in the past count no more."""
        return Dividends(years_between(np.int64(now_ns), self.ex_ns), self.cash)

    def log_paid(self, now_ns: int, spot: float, years: Array, rate: Array) -> Array:
        """ln(1 - PV / spot), (m,): what dividends until each expiry take off ln(F/S)."""
        when = years_between(np.int64(now_ns), self.ex_ns)
        due = (when > 0.0) & (when <= years[:, None])
        present = np.where(due, self.cash * np.exp(-rate[:, None] * when), 0.0).sum(axis=1)
        return np.asarray(np.log1p(-np.minimum(present / spot, MOST_PAID)))
