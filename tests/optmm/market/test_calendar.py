"""Sessions: the hours that NYSE and CME publish, on ordinary days, half days and DST days."""

import subprocess
import sys

import numpy as np
import pytest

from optmm.errors import DataError, UsageError
from optmm.market import calendar


def ns(utc: str) -> int:
    return int(np.datetime64(utc, "ns").astype(np.int64))


# NYSE: 09:30 to 16:00 New York, 13:00 on half days. CME equity index: 17:00 to 16:00 Chicago, from
# the evening before. Written in UTC by hand.
HOURS = [
    ("NYSE", "2015-12-23", "2015-12-23T14:30", "2015-12-23T21:00"),
    ("NYSE", "2015-12-24", "2015-12-24T14:30", "2015-12-24T18:00"),
    ("NYSE", "2019-07-03", "2019-07-03T13:30", "2019-07-03T17:00"),
    ("NYSE", "2020-03-06", "2020-03-06T14:30", "2020-03-06T21:00"),  # before summer time
    ("NYSE", "2020-03-09", "2020-03-09T13:30", "2020-03-09T20:00"),  # after
    ("NYSE", "2020-10-30", "2020-10-30T13:30", "2020-10-30T20:00"),
    ("NYSE", "2020-11-02", "2020-11-02T14:30", "2020-11-02T21:00"),
    ("CME", "2020-01-06", "2020-01-05T23:00", "2020-01-06T22:00"),
    ("CME", "2020-03-09", "2020-03-08T22:00", "2020-03-09T21:00"),
    ("CME", "2020-11-02", "2020-11-01T23:00", "2020-11-02T22:00"),
]


@pytest.mark.parametrize(("exchange", "date", "opens", "closes"), HOURS)
def test_hours_are_those_the_exchange_publishes(exchange, date, opens, closes):
    assert calendar.hours_ns(exchange, date) == (ns(opens), ns(closes))


def test_a_day_without_a_session_names_its_neighbours():
    with pytest.raises(
        DataError, match=r"NYSE has no session on 2015-12-25.*2015-12-24 and 2015-12-28"
    ):
        calendar.hours_ns("NYSE", "2015-12-25")


def test_neighbours_are_found_across_the_year():
    with pytest.raises(DataError, match="2015-12-31 and 2016-01-04"):
        calendar.hours_ns("NYSE", "2016-01-02")
    assert calendar.before("NYSE", "2016-01-04") == "2015-12-31"
    assert calendar.on_or_before("NYSE", "2014-04-19") == "2014-04-17"  # Saturday after Good Friday
    assert calendar.on_or_before("NYSE", "20151224") == "2015-12-24"


def test_wrong_words_are_usage_errors():
    with pytest.raises(UsageError, match="YYYY-MM-DD"):
        calendar.iso("24/12/2015")
    with pytest.raises(UsageError, match="choose NYSE, CME"):
        calendar.hours_ns("LSE", "2015-12-24")


@pytest.mark.parametrize(
    ("date", "hour", "zone", "utc"),
    [
        ("2020-03-08", 1, "America/New_York", "2020-03-08T06:00"),  # the night clocks go forward
        ("2020-03-08", 3, "America/New_York", "2020-03-08T07:00"),
        ("2020-11-01", 0, "America/New_York", "2020-11-01T04:00"),  # and back
        ("2020-11-01", 2, "America/New_York", "2020-11-01T07:00"),
        ("2021-01-04", 8, "America/Chicago", "2021-01-04T14:00"),
        ("2020-01-05", 23, "UTC", "2020-01-05T23:00"),
    ],
)
def test_wall_clock_follows_the_zone_within_the_day(date, hour, zone, utc):
    got = calendar.wall_ns(date, np.array([hour * 3_600_000 + 1_500]), zone)
    assert got.tolist() == [ns(utc) + 1_500_000_000]
    assert calendar.at_ns(date, f"{hour:02d}:00", zone) == ns(utc)


def test_the_calendar_library_loads_only_when_asked():
    code = (
        "import sys, optmm.market.calendar, optmm.market.products;"
        "sys.exit(any(m in sys.modules for m in ('pandas', 'pandas_market_calendars', 'numba')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
