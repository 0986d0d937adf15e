"""When an exchange trades: a cached wrapper over `pandas_market_calendars`.

Dates are ISO strings (YYYY-MM-DD), instants int64 ns UTC. The library is imported at the first
question, a year of sessions at a time. A session is named by its trade date: the CME date
2020-01-06 opens on Sunday 2020-01-05 at 23:00 UTC.
"""

import datetime as dt
import warnings
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np

from optmm.errors import DataError, UsageError

# Our name -> (the library's name, time zone). Cboe's own calendars miss the early closes of the
# index options (2015-12-24 to 16:15), so late closers are NYSE hours plus 15 minutes: products.py.
EXCHANGES = {
    "NYSE": ("NYSE", "America/New_York"),
    "CME": ("CME Globex Equity", "America/Chicago"),
}
SEARCH_DAYS = 14  # no exchange here was ever shut for longer than this


def iso(date: str) -> str:
    """Return `date`, given as YYYY-MM-DD or YYYYMMDD, as YYYY-MM-DD; UsageError otherwise."""
    try:
        return dt.date.fromisoformat(date).isoformat()
    except ValueError:
        raise UsageError(
            f"{date!r} is not a date: write YYYY-MM-DD, for example 2015-12-24"
        ) from None


def timezone(exchange: str) -> str:
    """IANA name of the exchange's time zone."""
    return _exchange(exchange)[1]


def is_session(exchange: str, date: str) -> bool:
    """Whether the exchange trades on that trade date."""
    return iso(date) in _year(exchange, int(iso(date)[:4]))


def hours_ns(exchange: str, date: str) -> tuple[int, int]:
    """Open and close of the regular session of a trade date, int64 ns UTC.

    Raises
    ------
    DataError
        There is no session on that date; names the nearest dates that have one.
    """
    day = iso(date)
    found = _year(exchange, int(day[:4])).get(day)
    if found is None:
        before, after = _walk(exchange, day, -1), _walk(exchange, day, +1)
        raise DataError(
            f"{exchange} has no session on {day}",
            remedy=f"The nearest are {before} and {after}.",
        )
    return found


def on_or_before(exchange: str, date: str) -> str:
    """The last session on or before `date`: where an expiry listed on a holiday falls."""
    return iso(date) if is_session(exchange, date) else _walk(exchange, iso(date), -1)


def before(exchange: str, date: str) -> str:
    """The last session strictly before `date`."""
    return _walk(exchange, iso(date), -1)


def at_ns(date: str, time: str, zone: str) -> int:
    """A wall-clock time (HH:MM) of a date in an IANA zone, as int64 ns UTC."""
    wall = dt.datetime.fromisoformat(f"{iso(date)}T{time}").replace(tzinfo=ZoneInfo(zone))
    return int(wall.timestamp()) * 1_000_000_000


def wall_ns(date: str, ms: np.ndarray, zone: str) -> np.ndarray:
    """Wall-clock milliseconds since midnight of `date` as int64 ns UTC, same shape.

    Zones here change their offset on the hour only, so 24 look-ups serve any number of rows. `ms`
    must lie in [0, 86,400,000).
    """
    day, tz = dt.date.fromisoformat(iso(date)), ZoneInfo(zone)
    utc = [
        int(dt.datetime(day.year, day.month, day.day, h, tzinfo=tz).timestamp()) for h in range(24)
    ]
    hour, rest = np.divmod(np.asarray(ms, np.int64), 3_600_000)
    return np.asarray(utc, np.int64)[hour] * 1_000_000_000 + rest * 1_000_000


def _walk(exchange: str, day: str, step: int) -> str:
    start = dt.date.fromisoformat(day)
    for n in range(1, SEARCH_DAYS + 1):
        other = (start + dt.timedelta(days=step * n)).isoformat()
        if is_session(exchange, other):
            return other
    raise DataError(f"{exchange} has no session within {SEARCH_DAYS} days of {day}")


def _exchange(exchange: str) -> tuple[str, str]:
    try:
        return EXCHANGES[exchange]
    except KeyError:
        raise UsageError(f"unknown exchange {exchange!r}; choose {', '.join(EXCHANGES)}") from None


@lru_cache(maxsize=64)
def _year(exchange: str, year: int) -> dict[str, tuple[int, int]]:
    name, _ = _exchange(exchange)
    with warnings.catch_warnings():
        # The library lags behind pandas; its deprecations are not news to our users.
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", FutureWarning)
        import pandas_market_calendars as mcal

        table = mcal.get_calendar(name).schedule(f"{year}-01-01", f"{year}-12-31")
        days = table.index.strftime("%Y-%m-%d")
        opens, closes = (
            table[column].dt.tz_convert(None).to_numpy().astype("datetime64[ns]").astype(np.int64)
            for column in ("market_open", "market_close")
        )
    return {d: (int(a), int(b)) for d, a, b in zip(days, opens, closes, strict=True)}
