"""One instant, however a caller writes it, as int64 ns UTC; what no quote can be of is refused.

An instant lies from 1990 to 2200, so that a date in another unit (seconds, days, yyyymmdd) is never
taken for a time long past.
"""

import datetime as dt
from typing import Any

import numpy as np

from surfaces.errors import InvalidInput

EARLIEST = int(dt.datetime(1990, 1, 1, tzinfo=dt.UTC).timestamp()) * 10**9
LATEST = int(dt.datetime(2200, 1, 1, tzinfo=dt.UTC).timestamp()) * 10**9
UNITS = (
    (86_400 * 10**9, "days since 1970: multiply by 86,400 * 10**9"),
    (10**9, "seconds: multiply by 10**9"),
    (10**6, "milliseconds: multiply by 10**6"),
    (10**3, "microseconds: multiply by 1,000"),
)


def instant(name: str, value: Any) -> int:
    """`value` as ns UTC: an integer, a datetime with or without a zone (then UTC), a datetime64.

    Raises
    ------
    InvalidInput
        It is no time, a date without a time of day, or not from 1990 to 2200; names the unit that
        an integer seems to be in.
    """
    if isinstance(value, int | np.integer) and not isinstance(value, bool):
        return within(name, int(value))
    if isinstance(value, dt.datetime | np.datetime64) and not _is_day(value):
        return within(name, of_time(name, value), value)
    raise InvalidInput(
        f"{name} is {_said(value)}, must be an integer in ns UTC or a datetime; for a time.time() "
        "in seconds pass round(1e9 * t)"
    )


def within(name: str, ns: int, said: Any = None) -> int:
    """`ns` if it lies from 1990 to 2200, else InvalidInput with the unit it seems to be in."""
    if EARLIEST <= ns < LATEST:
        return ns
    raise InvalidInput(
        f"{name} is {ns if said is None else _said(said)}, must lie from 1990 to 2200"
        f"{' in ns UTC' if said is None else ''}; {_unit(ns) if said is None else 'check the year'}"
    )


def of_time(name: str, value: Any) -> int:
    """A datetime, datetime64 or ISO text as ns UTC, UTC unless it has a zone."""
    if getattr(value, "tzinfo", None) is not None:
        whole = value.astimezone(dt.UTC) - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
        return (whole // dt.timedelta(microseconds=1)) * 1000
    when = np.datetime64(value)
    if np.isnat(when):
        raise ValueError(f"{name} is missing")
    seconds = int(when.astype("datetime64[s]").astype(np.int64)) * 10**9
    if not EARLIEST <= seconds < LATEST:  # int64 of ns holds no more than 1678 to 2262
        return seconds
    return int(when.astype("datetime64[ns]").astype(np.int64))


def _is_day(value: Any) -> bool:
    """Whether it is a date without a time, or no time at all."""
    if isinstance(value, np.datetime64):
        return bool(np.isnat(value)) or np.datetime_data(value.dtype)[0] in "YMWD"
    return bool(value != value)  # noqa: PLR0124  pandas' missing time is a datetime


def _unit(ns: int) -> str:
    if 19900101 <= ns < 22000101 and 1 <= ns // 100 % 100 <= 12 and 1 <= ns % 100 <= 31:
        return "it looks like yyyymmdd: pass a date"
    for size, words in UNITS:
        if EARLIEST <= ns * size < LATEST:
            return f"it looks like {words}"
    return "check its unit"


def _said(value: Any) -> str:
    return f"{' '.join(repr(value).split()):.80}"
