"""The clocks of volatility: ACT/365 calendar time with a floor, and trading time with events.

An option in its last seconds must price to something finite, so live time has a floor; whether it
may still trade is the chain's business, not the clock's.

`VolClock` counts variance instead of hours: an hour of the New York session counts one, an hour of
a night, weekend or holiday its weight, and a scheduled event adds its own variance at its instant:
w(T) = vol^2 tau(T) + sum of the event variances before T. Discounting stays on calendar time.

Units   instants int64 ns UTC; tau in years of variance time, a calendar year being about one;
        weights relative to a session hour; variances are those of ln(price), not annualised.
Source  K. R. French and R. Roll, J. Financial Economics 17 (1986) 5-26: prices move little while
        exchanges are shut. See `VolClock` for the weights.
Checked tests/surfaces/curves/test_vol_clock.py.
"""

import datetime as dt
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Self
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import ArrayLike, NDArray

from surfaces import checks as check
from surfaces.errors import InvalidInput
from surfaces.units import (
    DAYS_PER_YEAR,
    NS_PER_DAY,
    NS_PER_HOUR,
    NS_PER_YEAR,
    TRADING_DAYS,
    years_between,
)

Floats = NDArray[np.float64]
Instants = NDArray[np.int64]
Dates = frozenset[dt.date]

FLOOR_SECONDS = 10.0

ZONE = "America/New_York"
SESSION, OVERNIGHT, WEEKEND, HOLIDAY = range(4)
OPEN, CLOSE, HALF_DAY_CLOSE = dt.time(9, 30), dt.time(16), dt.time(13)
SESSION_HOURS = 6.5
WEEKEND_DAYS = DAYS_PER_YEAR * 2 / 7
# Hours of each kind in the year that tau is measured against: 8,760 in all.
YEAR_HOURS = np.array(
    [
        SESSION_HOURS * TRADING_DAYS,
        (24.0 - SESSION_HOURS) * TRADING_DAYS,
        24.0 * WEEKEND_DAYS,
        24.0 * (DAYS_PER_YEAR - TRADING_DAYS - WEEKEND_DAYS),
    ]
)


def years_to(
    fixing_ns: ArrayLike, now_ns: int, floor_seconds: float = FLOOR_SECONDS
) -> NDArray[np.float64]:
    """Years from `now_ns` to each instant, ns UTC, at least `floor_seconds`, also in the past."""
    left = years_between(np.int64(now_ns), np.asarray(fixing_ns, np.int64))
    return np.maximum(left, floor_seconds * 1e9 / NS_PER_YEAR)


@dataclass(frozen=True, slots=True)
class Event:
    """Variance that arrives at one instant: earnings, a rate decision, a count of votes."""

    ts_ns: int
    variance: float
    label: str = ""

    def __post_init__(self) -> None:
        hint = "An event adds variance: the square of its move."
        if np.ndim(check.at_least("variance", self.variance, 0.0, unit="", hint=hint)):
            raise InvalidInput("variance is an array, must be one number: an Event each")
        object.__setattr__(self, "ts_ns", int(_instants("ts_ns", self.ts_ns)))

    @classmethod
    def of_move(cls, ts_ns: int, move: float, label: str = "") -> Self:
        """An event by its `move`: one standard deviation of ln(price), 0.05 for 5 %.

        A mean absolute move, as a straddle prices it, is sqrt(2/pi) = 0.798 of that.
        """
        check.at_least("move", move, 0.0, unit="", hint="One standard deviation, as a decimal.")
        return cls(ts_ns, move**2, label)

    @property
    def move(self) -> float:
        """One standard deviation of ln(price)."""
        return float(np.sqrt(self.variance))


@dataclass(frozen=True, slots=True)
class VolClock:
    """Variance time: the weight of an hour of each kind, the days off, the events.

    Every New York day is a session day, a weekend day or a holiday, from midnight to midnight; on
    session days 09:30 to 16:00 (13:00 on half days) is the session, the rest is overnight.

    `holidays` and `half_days` are dates or ISO texts; None asks the NYSE calendar of
    `pandas_market_calendars` for both. Weights must be > 0, so that tau rises strictly.

    The default weights. Overnight: S&P 500 futures made 60 to 70 % of their variance between open
    and close, 1986-2008 (SEC, Office of Economic Analysis, exhibit to the FCIC, 2010, figure 11);
    65 % of 6.5 hours against 35 % of 17.5 is 0.2. Weekend: Friday close to Monday close had 10.7 %
    (French and Roll 1986), 19 % (French 1980) and 22 % (Fama 1965) more variance than a weekday,
    as collected by Hull; their mean, over 48 hours, is 0.036. Holidays: as weekends, by assumption.
    SPX options of 2022 and 2023 agree: `events.estimate_weekend_weight` gives them 0.00 to 0.02,
    with errors of 0.02 to 0.05 (tests/real/test_event_days.py).
    """

    overnight: float = 0.2
    weekend: float = 0.036
    holiday: float = 0.036
    holidays: Dates | None = None
    half_days: Dates | None = None
    events: tuple[Event, ...] = ()

    def __post_init__(self) -> None:
        for name in ("overnight", "weekend", "holiday"):
            hint = "Relative to an hour of the session; time never stands still."
            value = check.above(name, getattr(self, name), 0.0, unit="", hint=hint)
            object.__setattr__(self, name, float(value))
        for name in ("holidays", "half_days"):
            given = getattr(self, name)
            if given is not None:
                object.__setattr__(self, name, _dates(name, given))
        events = tuple(sorted(self.events, key=lambda event: event.ts_ns))
        object.__setattr__(self, "events", events)

    @property
    def calendar(self) -> bool:
        """Whether tau is plain ACT/365 calendar time."""
        return self.overnight == self.weekend == self.holiday == 1.0

    def tau(self, now_ns: ArrayLike, until_ns: ArrayLike) -> Floats:
        """Years of variance time from one instant to the other, ns UTC; arguments broadcast.

        Negative when `until_ns` is earlier; additive; strictly increasing in `until_ns`. Time is
        counted in whole nanoseconds of each kind, so the last seconds of a day are exact.
        """
        now, until = _instants("now_ns", now_ns), _instants("until_ns", until_ns)
        if self.calendar:
            return np.asarray(years_between(now, until))
        now, until = np.broadcast_arrays(now, until)
        if until.size == 0:
            return np.zeros(until.shape)
        weights = np.array([1.0, self.overnight, self.weekend, self.holiday])
        year = float(weights @ YEAR_HOURS) * NS_PER_HOUR
        return np.asarray(np.tensordot(weights, self._spent(now, until), axes=1) / year)

    def event_variance(self, now_ns: ArrayLike, until_ns: ArrayLike) -> Floats:
        """Variance of the events from `now_ns` on and before `until_ns`; arguments broadcast.

        An event at an option's last instant comes too late for it.
        """
        now, until = np.broadcast_arrays(
            _instants("now_ns", now_ns), _instants("until_ns", until_ns)
        )
        out = np.zeros(until.shape)
        for event in self.events:
            out += event.variance * ((now <= event.ts_ns) & (event.ts_ns < until))
        return out

    def total_variance(self, vol: ArrayLike, *, now_ns: ArrayLike, until_ns: ArrayLike) -> Floats:
        """vol^2 tau + events, the variance of ln(price) over the time; arguments broadcast.

        `vol` is the ordinary vol, without events, decimal per square root of a year of tau.
        """
        hint = "The vol between events."
        sigma = check.at_least("vol", vol, 0.0, unit="per sqrt-year", hint=hint)
        return sigma**2 * self.tau(now_ns, until_ns) + self.event_variance(now_ns, until_ns)

    def _spent(self, now: Instants, until: Instants) -> Instants:
        """Nanoseconds of each kind between, (4, ...)."""
        edge = min(now.min(), until.min()), max(now.max(), until.max())
        first = _year_of(int(edge[0]) - NS_PER_DAY)
        last = _year_of(int(edge[1]) + NS_PER_DAY)
        starts, kind, spent = _table(first, last, self.holidays, self.half_days)
        sums = []
        for at in (now, until):
            i = np.searchsorted(starts, at, side="right") - 1
            since = at - starts[i]
            sums.append(spent[:, i] + since * (kind[i] == np.arange(4).reshape(4, *[1] * at.ndim)))
        return sums[1] - sums[0]


def _instants(name: str, values: ArrayLike) -> Instants:
    """`values` as int64 ns, or InvalidInput: float64 holds a time of today to 256 ns only."""
    raw = np.asarray(values)
    if raw.dtype.kind == "M" and np.datetime_data(raw.dtype)[0] == "ns":
        return raw.astype(np.int64)
    if raw.dtype.kind not in "iu":
        raise InvalidInput(f"{name} has type {raw.dtype}, must be int64 nanoseconds UTC")
    return raw.astype(np.int64, copy=False)


def _dates(name: str, given: Iterable[dt.date | str]) -> Dates:
    """Dates, or ISO texts of them, as a set."""
    try:
        days = [dt.date.fromisoformat(d) if isinstance(d, str) else d for d in given]
    except ValueError as bad:
        raise InvalidInput(f"{name}: {bad}; write YYYY-MM-DD") from None
    for day in days:
        if not isinstance(day, dt.date):
            raise InvalidInput(f"{name} holds {day!r}, must hold dates or ISO texts")
    return frozenset(d.date() if isinstance(d, dt.datetime) else d for d in days)


def _year_of(ts_ns: int) -> int:
    return dt.datetime.fromtimestamp(ts_ns // 1_000_000_000, dt.UTC).year


@lru_cache(maxsize=32)
def _table(
    first: int, last: int, holidays: Dates | None, half_days: Dates | None
) -> tuple[Instants, NDArray[np.int8], Instants]:
    """Every change of kind in the years: its instant (n,), the kind after it (n,) and the
    nanoseconds of each kind before it (4, n)."""
    shut = _nyse(first, last)[0] if holidays is None else holidays
    short = _nyse(first, last)[1] if half_days is None else half_days
    starts, kinds = zip(*_changes(_days(first, last), shut, short), strict=True)
    edges, after = np.array(starts, np.int64), np.array(kinds, np.int8)
    spent = np.zeros((4, edges.size), np.int64)
    for kind in range(4):
        np.cumsum(np.diff(edges) * (after[:-1] == kind), out=spent[kind, 1:])
    return edges, after, spent


def _changes(days: list[dt.date], holidays: Dates, half_days: Dates) -> Iterator[tuple[int, int]]:
    """(instant, kind from then on) through New York days."""
    zone = ZoneInfo(ZONE)

    def ns(day: dt.date, time: dt.time) -> int:
        return int(dt.datetime.combine(day, time, zone).timestamp()) * 1_000_000_000

    for day in days:
        midnight = ns(day, dt.time())
        if day.weekday() >= 5:
            yield midnight, WEEKEND
        elif day in holidays:
            yield midnight, HOLIDAY
        else:
            yield midnight, OVERNIGHT
            yield ns(day, OPEN), SESSION
            yield ns(day, HALF_DAY_CLOSE if day in half_days else CLOSE), OVERNIGHT


def _days(first: int, last: int) -> list[dt.date]:
    """Every date of the years."""
    span = range(dt.date(first, 1, 1).toordinal(), dt.date(last + 1, 1, 1).toordinal())
    return [dt.date.fromordinal(n) for n in span]


@lru_cache(maxsize=32)
def _nyse(first: int, last: int) -> tuple[Dates, Dates]:
    """Weekdays without a session, and those that close at 13:00, of the NYSE."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", FutureWarning)
        import pandas_market_calendars as mcal

        table = mcal.get_calendar("NYSE").schedule(f"{first}-01-01", f"{last}-12-31")
        closes = table["market_close"].dt.tz_convert(ZONE)
        open_days = {day.date() for day in table.index}
        short = {at.date() for at in closes if at.time() <= HALF_DAY_CLOSE}
    weekdays = {day for day in _days(first, last) if day.weekday() < 5}
    return frozenset(weekdays - open_days), frozenset(short)


CALENDAR = VolClock(1.0, 1.0, 1.0, frozenset(), frozenset())
