"""Trading time: hours counted by hand from published sessions, and what interpolation must keep."""

import subprocess
import sys

import numpy as np
import pytest

from surfaces.curves.between import extrapolate, interpolate
from surfaces.curves.clock import CALENDAR, YEAR_HOURS, Event, VolClock
from surfaces.errors import InvalidInput
from surfaces.units import NS_PER_DAY, NS_PER_YEAR, years_between

HOUR = NS_PER_DAY // 24
SECOND = 1_000_000_000


def ns(utc: str) -> int:
    return int(np.datetime64(utc, "ns").astype(np.int64))


def year_hours(clock: VolClock) -> float:
    """Session hours that make a year of tau, from 252 sessions of 6.5 hours and 52 weekends."""
    weekends, sessions = 365 * 2 / 7, 252
    holidays = 365 - weekends - sessions
    return (
        sessions * (6.5 + 17.5 * clock.overnight)
        + 24 * weekends * clock.weekend
        + 24 * holidays * clock.holiday
    )


# New York, written in UTC by hand: (from, until, session, overnight, weekend, holiday hours).
SPANS = [
    ("2024-06-03T13:30", "2024-06-03T20:00", 6.5, 0, 0, 0),  # a summer session
    ("2024-01-08T14:30", "2024-01-08T21:00", 6.5, 0, 0, 0),  # a winter session
    ("2024-06-03T20:00", "2024-06-04T20:00", 6.5, 17.5, 0, 0),
    ("2024-06-07T20:00", "2024-06-10T13:30", 0, 17.5, 48, 0),  # Friday close to Monday open
    ("2024-03-08T21:00", "2024-03-11T13:30", 0, 17.5, 47, 0),  # the clocks go forward
    ("2024-11-01T20:00", "2024-11-04T14:30", 0, 17.5, 49, 0),  # and back
    ("2024-06-18T20:00", "2024-06-20T20:00", 6.5, 17.5, 0, 24),  # over Juneteenth
    ("2023-11-22T21:00", "2023-11-24T21:00", 3.5, 20.5, 0, 24),  # Thanksgiving, a half day after
    ("2024-06-03T19:59:30", "2024-06-03T20:00", 0.5 / 60, 0, 0, 0),  # the last 30 seconds
    ("2012-10-26T20:00", "2012-10-31T13:30", 0, 17.5, 48, 48),  # Sandy
    ("2024-12-31T21:00", "2025-01-02T14:30", 0, 17.5, 0, 24),  # across the year
]


@pytest.mark.parametrize(("start", "end", "session", "night", "weekend", "holiday"), SPANS)
def test_hours_are_those_of_the_new_york_sessions(start, end, session, night, weekend, holiday):
    clock = VolClock(overnight=0.3, weekend=0.11, holiday=0.07)
    hours = session + 0.3 * night + 0.11 * weekend + 0.07 * holiday
    got = clock.tau(ns(start), ns(end))
    np.testing.assert_allclose(got, hours / year_hours(clock), rtol=1e-13)
    np.testing.assert_allclose(clock.tau(ns(end), ns(start)), -got, rtol=1e-13)


def test_days_off_can_be_given():
    start, end = ns("2024-06-03T20:00"), ns("2024-06-05T20:00")
    clock = VolClock(holidays=["2024-06-04"], half_days=["2024-06-05"])
    hours = 3.5 + 20.5 * clock.overnight + 24 * clock.holiday
    np.testing.assert_allclose(clock.tau(start, end), hours / year_hours(clock), rtol=1e-13)


def test_equal_weights_are_exactly_act_365():
    rng = np.random.default_rng(1)
    now = ns("2024-02-27T15:00:00")
    until = now + rng.integers(1, 10 * NS_PER_YEAR, 1000)
    np.testing.assert_array_equal(CALENDAR.tau(now, until), years_between(now, until))
    assert YEAR_HOURS.sum() == 8760.0
    almost = VolClock(1.0, 1.0, 1.0 + 1e-12)  # the same through the counting of hours
    np.testing.assert_allclose(almost.tau(now, until), years_between(now, until), rtol=1e-11)


def test_a_calendar_year_is_about_one():
    """The NYSE held 248 sessions in 2001 and 253 in 2003, 252 is the year of reference."""
    starts = np.array([ns(f"{y}-01-01") for y in range(2001, 2031)])
    years = VolClock(half_days=()).tau(starts[:-1], starts[1:])
    assert np.all((years > 248 / 252) & (years < 253 / 252))
    assert abs(years.mean() - 1.0) < 0.003


def test_time_never_stands_still_and_adds_up():
    """Two seconds apart at any time of four years; a -> b -> c is a -> c to rounding."""
    rng = np.random.default_rng(2)
    clock, start = VolClock(), ns("2021-01-01")
    a, b, c = np.sort(start + rng.integers(0, 4 * NS_PER_YEAR, (3, 20_000)), axis=0)
    assert np.all(clock.tau(a, a + 2 * SECOND) > 0.0)
    assert np.all(clock.tau(start, a + SECOND) > clock.tau(start, a))
    whole = clock.tau(a, c)
    np.testing.assert_allclose(clock.tau(a, b) + clock.tau(b, c), whole, rtol=0, atol=2e-15)


def test_any_shapes():
    now, until = ns("2024-06-03T14:00"), ns("2024-06-10T20:00")
    grid = until + HOUR * np.arange(6).reshape(2, 3)
    got = VolClock().tau(now, grid)
    assert got.shape == (2, 3)
    assert got[1, 2] == VolClock().tau(now, grid[1, 2])
    assert VolClock().tau(now, np.array([], np.int64)).shape == (0,)
    np.testing.assert_array_equal(got, VolClock().tau(now, grid.astype("datetime64[ns]")))


def test_an_event_counts_from_its_instant_on():
    """It belongs to options that live past it; the one that dies with it has no part in it."""
    at = ns("2024-06-05T20:30")
    clock = VolClock(events=(Event.of_move(at, 0.05, "earnings"), Event(at + NS_PER_DAY, 1e-4)))
    until = [at - 1, at, at + 1, at + NS_PER_DAY + 1]
    np.testing.assert_allclose(
        clock.event_variance(at - HOUR, until), [0, 0, 0.0025, 0.0026], rtol=1e-15
    )
    np.testing.assert_allclose(clock.event_variance(at + 1, until), [0, 0, 0, 1e-4])
    w = clock.total_variance(0.3, now_ns=at - HOUR, until_ns=at + 1)
    np.testing.assert_allclose(w, 0.09 * clock.tau(at - HOUR, at + 1) + 0.0025)
    assert clock.events[0].move == pytest.approx(0.05)


def test_calendar_interpolation_is_linear_in_calendar_time():
    now = ns("2024-06-03T14:00")
    got = interpolate(
        at_ns=now + np.array([20, 25, 40]) * NS_PER_DAY,
        before_ns=now + 20 * NS_PER_DAY,
        after_ns=now + 40 * NS_PER_DAY,
        w_before=0.01,
        w_after=0.03,
    )
    np.testing.assert_allclose(got.total_variance, [0.01, 0.015, 0.03], rtol=1e-14)
    np.testing.assert_array_equal(got.excess, 0.0)


def test_a_constant_vol_with_events_is_reproduced_between_its_slices():
    """w = vol^2 tau + events at two slices gives the same at every instant between."""
    now, clock = ns("2024-06-03T14:00"), VolClock(weekend=0.1)
    days = [3.3, 12.0, 12.5, 40.0]
    clock = VolClock(
        weekend=0.1, events=tuple(Event(now + int(d * NS_PER_DAY), 1e-3) for d in days)
    )
    before, after = now + 10 * NS_PER_DAY, now + 31 * NS_PER_DAY
    at = before + np.arange(0, 21 * 24 + 1) * HOUR

    def truth(t):
        return clock.total_variance(0.25, now_ns=now, until_ns=t)

    ends = {"w_before": truth(before), "w_after": truth(after)}
    got = interpolate(at_ns=at, before_ns=before, after_ns=after, clock=clock, **ends)
    np.testing.assert_allclose(got.total_variance, truth(at), rtol=1e-13)
    np.testing.assert_array_equal(got.excess, 0.0)
    first = interpolate(
        at_ns=now + 5 * NS_PER_DAY, before_ns=now, after_ns=before, clock=clock, w_before=0.0,
        w_after=truth(before),
    )  # fmt: skip
    np.testing.assert_allclose(first.total_variance, truth(now + 5 * NS_PER_DAY), rtol=1e-13)
    past = at + 21 * NS_PER_DAY
    out = extrapolate(at_ns=past, now_ns=now, last_ns=after, w_last=truth(after), clock=clock)
    np.testing.assert_allclose(out.total_variance, truth(past), rtol=1e-13)


def test_interpolation_is_monotone_and_caps_what_does_not_fit():
    """Random slices in calendar order with random events, some larger than the gap."""
    rng = np.random.default_rng(3)
    now = ns("2024-06-03T14:00")
    before, after = now + 5 * NS_PER_DAY, now + 19 * NS_PER_DAY
    at = before + (np.arange(0, 14 * 48 + 1) * HOUR) // 2
    low = rng.uniform(0.001, 0.01, 200)
    gap = rng.uniform(0.0, 0.01, 200)
    for low_w, rise in zip(low, gap, strict=True):
        moved = tuple(
            Event(int(t), float(v))
            for t, v in zip(rng.choice(at, 3), rng.exponential(0.003, 3), strict=True)
        )
        clock = VolClock(events=moved)
        ends = {"w_before": low_w, "w_after": low_w + rise}
        got = interpolate(at_ns=at, before_ns=before, after_ns=after, clock=clock, **ends)
        between = clock.event_variance(before, after)
        assert np.diff(got.total_variance).min() >= -1e-17
        np.testing.assert_allclose(got.total_variance[[0, -1]], [low_w, low_w + rise], rtol=1e-13)
        np.testing.assert_allclose(got.excess, max(between - rise, 0.0), atol=1e-17)


def test_slices_that_cross_leave_no_room_for_events():
    now = ns("2024-06-03T14:00")
    clock = VolClock(1.0, 1.0, 1.0, events=(Event(now + NS_PER_DAY, 0.01),))
    got = interpolate(
        at_ns=now + 2 * NS_PER_DAY,
        before_ns=now,
        after_ns=now + 4 * NS_PER_DAY,
        w_before=[0.02, 0.02],
        w_after=[0.01, 0.025],
        clock=clock,
    )
    np.testing.assert_allclose(got.total_variance, [0.015, 0.025], rtol=1e-14)
    np.testing.assert_allclose(got.excess, [0.01, 0.005], rtol=1e-14)


def test_outside_the_slices_is_refused():
    with pytest.raises(InvalidInput, match=r"at_ns\[1\] is 9, must lie between .* extrapolate"):
        interpolate(at_ns=[3, 9], before_ns=2, after_ns=5, w_before=0.01, w_after=0.02)
    with pytest.raises(InvalidInput, match=r"at_ns\[0\] is 1, .* Use interpolate"):
        extrapolate(at_ns=1, now_ns=0, last_ns=5, w_last=0.01)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: VolClock(weekend=0.0), "weekend is 0, must be > 0"),
        (lambda: VolClock(holidays=["24/12/2024"]), "holidays: .*YYYY-MM-DD"),
        (lambda: Event(0, -0.1), "variance is -0.1, must be >= 0"),
        (lambda: VolClock().tau(0.5, 1), "now_ns has type float64, must be int64 nanoseconds"),
        (lambda: Event.of_move(0, -0.1), "move is -0.1, must be >= 0"),
    ],
)
def test_errors_name_what_is_wrong(make, said):
    with pytest.raises(InvalidInput, match=said):
        make()


def test_the_calendar_library_loads_only_when_trading_time_is_asked_for():
    code = (
        "import sys; from surfaces.curves.clock import CALENDAR, VolClock;"
        "CALENDAR.tau(0, 10); VolClock(holidays=(), half_days=()).tau(0, 10);"
        "sys.exit(any(m in sys.modules for m in ('pandas', 'pandas_market_calendars', 'numba')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
