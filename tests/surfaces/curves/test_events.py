"""Events and weekend weights read off simulated term structures whose truth is known.

Curves: two-factor mean reversion, levels 10 to 60 %, reversion in weeks to years, on the listing of
a stock (weeklies, monthlies, LEAPS) or of SPXW (every weekday for six weeks as well).
"""

from dataclasses import dataclass

import numpy as np
import pytest

from surfaces.curves.clock import CALENDAR, Event, VolClock
from surfaces.curves.events import estimate_events, estimate_weekend_weight
from surfaces.errors import InvalidInput
from surfaces.units import NS_PER_DAY

NOW = int(np.datetime64("2024-06-03T15:00", "ns").astype(np.int64))  # a Monday, 11:00 New York
CLOSE = int(np.datetime64("2024-06-03T20:00", "ns").astype(np.int64))
STOCK = [4, 11, 18, 25, 32, 39, 46, 74, 109, 137, 165, 200, 228, 291, 382, 473, 564, 746]
DAILY = sorted({*STOCK, *(d for d in range(42) if d % 7 < 5)})
ALARM = 1e-2


@dataclass
class Chain:
    """Expiries, and total variances with errors on a clock; `true` has no noise."""

    fixing: np.ndarray
    tau: np.ndarray
    true: np.ndarray
    error: np.ndarray

    def quoted(self, rng) -> dict:
        w = self.true + self.error * rng.normal(size=self.true.size)
        return {"atm_variance": np.maximum(w, 1e-9), "errors": self.error}


def simulate(rng, days, *, vol_error, clock=None, moves=()) -> Chain:
    """A smooth forward variance run on `clock`, plus moves given as (tau, move)."""
    fixing = CLOSE + np.array(days) * NS_PER_DAY
    tau = (clock or VolClock()).tau(NOW, fixing)
    w = np.array([-1.0])
    while np.any(np.diff(w, prepend=0.0) <= 0.0):
        start = rng.uniform(0.1, 0.6) ** 2
        end, fast = start * np.exp(rng.normal(0, 0.5)), np.exp(rng.uniform(np.log(0.5), np.log(25)))
        slow, hump = np.exp(rng.uniform(np.log(0.3), np.log(3))), start * rng.normal(0, 0.3)
        w = end * tau + (start - end) * (1 - np.exp(-fast * tau)) / fast
        w = w + 0.5 * hump * (1 - np.exp(-slow * tau) * (1 + slow * tau)) / slow
    for at, move in moves:
        w = w + move**2 * (tau > at)
    return Chain(fixing, tau, w, 2.0 * np.sqrt(w * tau) * vol_error)


@pytest.mark.parametrize("vol_error", [5e-4, 3e-3])
@pytest.mark.parametrize("days", [STOCK, DAILY], ids=["stock", "daily"])
def test_nothing_is_invented_in_a_smooth_curve(days, vol_error):
    """Every gap on offer, 150 curves: alarms at the rate asked for, 1 %; five would be 3 sigma."""
    rng = np.random.default_rng(5)
    alarms = 0
    for _ in range(150):
        chain = simulate(rng, days, vol_error=vol_error)
        got = estimate_events(tau=chain.tau, **chain.quoted(rng), false_alarm=ALARM)
        alarms += got.found.any()
    assert alarms <= 5


@pytest.mark.parametrize("vol_error", [5e-4, 3e-3])
@pytest.mark.parametrize("days", [STOCK, DAILY], ids=["stock", "daily"])
def test_a_planted_move_is_recovered_within_its_error(days, vol_error):
    """3 to 8 % moves in the first two months beside two dates on which nothing happens.

    On 100 curves at least 90 within two errors; errors may not be a way out, so half the moves must
    be told to a sixth of their variance; and the idle dates stay idle.
    """
    rng = np.random.default_rng(6)
    inside, shares, idle = 0, [], 0
    for _ in range(100):
        last = VolClock().tau(NOW, CLOSE + 74 * NS_PER_DAY)
        dates, move = rng.uniform(0.003, last, 3), rng.uniform(0.03, 0.08)
        chain = simulate(rng, days, vol_error=vol_error, moves=[(dates[0], move)])
        got = estimate_events(tau=chain.tau, candidates=dates, **chain.quoted(rng))
        same = got.gap == got.gap[0]
        variance, error = got.variance[same].sum(), got.error[same].sum()
        inside += abs(variance - move**2) < 2.0 * error
        shares.append(error / move**2)
        idle += got.found[~same].any()
    assert inside >= 90
    assert np.median(shares) < 1 / 6
    assert idle <= 1


def test_earnings_make_the_vol_of_the_money_fall_and_rise():
    """A 5 % move in a 30 % stock: ATM vol jumps at the expiry after it and decays; found, sized."""
    rng = np.random.default_rng(7)
    tau = VolClock().tau(NOW, CLOSE + np.array(STOCK) * NS_PER_DAY)
    earnings = 0.5 * (tau[1] + tau[2])
    w = 0.3**2 * tau + 0.05**2 * (tau > earnings)
    error = 2.0 * np.sqrt(w * tau) * 1e-3
    vol = np.sqrt(w / tau)
    assert vol[1] < vol[3] < vol[2]
    got = estimate_events(
        tau=tau, atm_variance=w + error * rng.normal(size=w.size), errors=error,
        candidates=[earnings, 0.5 * (tau[4] + tau[5])],
    )  # fmt: skip
    assert got.found.tolist() == [True, False]
    assert abs(got.variance[0] - 0.0025) < 2.0 * got.error[0]
    assert got.error[0] < 0.0005
    assert got.significance[0] > 5.0


def test_two_moves_are_told_apart():
    rng = np.random.default_rng(8)
    tau = VolClock().tau(NOW, CLOSE + np.array(DAILY) * NS_PER_DAY)
    dates, moves = 0.5 * (tau[[4, 20]] + tau[[5, 21]]), np.array([0.01, 0.02])
    w = 0.15**2 * tau + sum(m**2 * (tau > t) for t, m in zip(dates, moves, strict=True))
    error = 2.0 * np.sqrt(w * tau) * 5e-4
    got = estimate_events(
        tau=tau, atm_variance=w + error * rng.normal(size=w.size), errors=error, candidates=dates
    )
    assert got.found.all()
    assert np.all(np.abs(got.variance - moves**2) < 2.5 * got.error)


def test_a_bad_expiry_is_an_outlier_and_no_event():
    """One expiry a vol point too high: a step up that comes down again."""
    rng = np.random.default_rng(9)
    for _ in range(20):
        chain = simulate(rng, STOCK, vol_error=5e-4)
        bad = int(rng.integers(2, 10))
        quoted = chain.quoted(rng)
        quoted["atm_variance"][bad] = (
            np.sqrt(quoted["atm_variance"][bad] / chain.tau[bad]) + 0.02
        ) ** 2 * chain.tau[bad]
        got = estimate_events(tau=chain.tau, **quoted)
        assert not got.found.any()


def test_weekends_are_no_events_on_a_clock_that_knows_them():
    """Variance that rests on weekends: quiet on its own clock, whatever is offered."""
    rng = np.random.default_rng(10)
    alarms = 0
    for _ in range(40):
        chain = simulate(rng, DAILY, vol_error=5e-4, clock=VolClock(weekend=0.01, holiday=0.01))
        got = estimate_events(tau=chain.tau, **chain.quoted(rng), false_alarm=ALARM)
        alarms += got.found.any()
    assert alarms <= 3
    # and on calendar time the flat vol of that clock is anything but flat
    flat = 0.2**2 * chain.tau
    forward = np.diff(flat) / np.diff(CALENDAR.tau(NOW, chain.fixing))
    assert forward[:20].max() > 2.0 * forward[:20].min()


def test_dates_no_expiry_sees_and_dates_that_share_a_gap():
    rng = np.random.default_rng(11)
    chain = simulate(rng, STOCK, vol_error=1e-3, moves=[(0.04, 0.06)])
    tau = chain.tau
    inside = np.flatnonzero(tau > 0.04)[0]
    two = 0.5 * (tau[inside - 1] + tau[inside])
    got = estimate_events(
        tau=tau, **chain.quoted(rng), candidates=[-0.1, 0.04, two, tau[-1], tau[2]]
    )
    assert got.gap.tolist() == [-1, inside, inside, -1, 3]  # at an expiry: for later ones
    assert got.shared.tolist() == [0, 2, 2, 0, 1]
    assert got.found[[1, 2]].all()
    assert got.variance[1] == got.variance[2]
    assert abs(2 * got.variance[1] - 0.0036) < 2.5 * 2 * got.error[1]
    assert np.isinf(got.error[[0, 3]]).all()
    assert not got.found[[0, 3]].any()


def test_found_events_go_back_into_a_clock():
    """Interpolating with them reproduces the variances the chain was made of."""
    clock = VolClock()
    rng = np.random.default_rng(12)
    tau = clock.tau(NOW, CLOSE + np.array(STOCK) * NS_PER_DAY)
    at_ns = CLOSE + 13 * NS_PER_DAY
    at = clock.tau(NOW, at_ns)
    w = 0.3**2 * tau + 0.05**2 * (tau > at)
    error = 2.0 * np.sqrt(w * tau) * 3e-4
    got = estimate_events(
        tau=tau, atm_variance=w + error * rng.normal(size=w.size), errors=error, candidates=[at]
    )
    known = VolClock(events=(Event(at_ns, float(got.variance[0]), "earnings"),))
    rest = w - known.event_variance(NOW, CLOSE + np.array(STOCK) * NS_PER_DAY)
    np.testing.assert_allclose(np.sqrt(rest / tau), 0.3, atol=0.006)


@pytest.mark.parametrize("weight", [0.02, 0.05, 0.15, 0.4])
def test_the_weekend_weight_of_a_daily_chain_is_recovered(weight):
    """Ten chains, 3 bp errors of vol: the mean within 2.5 of its errors, each within 3.5."""
    rng = np.random.default_rng(13)
    found = []
    for _ in range(10):
        chain = simulate(rng, DAILY, vol_error=3e-4, clock=VolClock(weekend=weight))
        found.append(
            estimate_weekend_weight(now_ns=NOW, fixing_ns=chain.fixing, **chain.quoted(rng))
        )
    got, error = np.array(found).T
    assert np.all(np.abs(got - weight) < 3.5 * error)
    assert abs(got.mean() - weight) < 2.5 * np.sqrt(np.mean(error**2) / 10)
    assert error.max() < 0.02


def test_a_known_event_does_not_pass_for_a_weekend():
    """A move on a Sunday, told to the clock, leaves the weekend what it is."""
    rng = np.random.default_rng(14)
    sunday = NOW + 6 * NS_PER_DAY
    clock = VolClock(weekend=0.05, events=(Event.of_move(sunday, 0.03, "election"),))
    at = float(clock.tau(NOW, sunday))
    chain = simulate(rng, DAILY, vol_error=3e-4, clock=clock, moves=[(at, 0.03)])
    quoted = chain.quoted(rng)
    got = estimate_weekend_weight(now_ns=NOW, fixing_ns=chain.fixing, clock=clock, **quoted)
    assert abs(got.weight - 0.05) < 3.5 * got.error
    unknown = estimate_weekend_weight(now_ns=NOW, fixing_ns=chain.fixing, **quoted)
    assert abs(unknown.weight - 0.05) > abs(got.weight - 0.05)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"tau": [0.1, 0.1, 0.2]}, r"tau\[1\] is 0.1 after 0.1, must rise \(1 of 3 fail\)"),
        ({"tau": [], "atm_variance": [], "errors": []}, "tau is empty; at least one"),
        ({"tau": [0.1, 0.2]}, r"shapes \(2,\), \(3,\) and \(3,\), must be \(m,\) each"),
        ({"errors": [0.1, 0.0, 0.1]}, r"errors\[1\] is 0, must be > 0"),
        ({"candidates": [np.nan]}, r"candidates\[0\] is nan years, must be finite"),
        ({"false_alarm": 0.0}, "false_alarm is 0, must be a chance"),
    ],
)
def test_errors_name_what_is_wrong(change, said):
    given = {"tau": [0.1, 0.2, 0.3], "atm_variance": [0.01, 0.02, 0.03], "errors": [1e-4] * 3}
    with pytest.raises(InvalidInput, match=said):
        estimate_events(**(given | change))


@pytest.mark.parametrize("m", [1, 2, 3])
def test_few_expiries_tell_nothing_and_fail_nothing(m):
    tau = np.array([0.1, 0.2, 0.3])[:m]
    got = estimate_events(tau=tau, atm_variance=0.04 * tau, errors=np.full(m, 1e-4))
    assert got.variance.shape == (m,)
    assert not got.found.any()
