"""Between expiries: density, fair value, clocks and the events a term structure shows."""

import numpy as np
import pytest

from surfaces.curves.clock import Event, VolClock
from surfaces.fitting import fit
from surfaces.live import FitConfig, LiveFitter
from surfaces.pricing import black
from surfaces.units import NS_PER_DAY, NS_PER_YEAR


@pytest.fixture
def surface(european):
    world = european()
    fitter = LiveFitter(world.slices, FitConfig(rate_prior=0.04))
    return fitter.update(world.now_ns, spot=world.spot, bid=world.bid, ask=world.ask)


@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
def test_the_density_integrates_to_one_and_to_the_forward(surface, share):
    """At an expiry, between two, and at the next: the trapezium rule over eight deviations."""
    a, b = surface.years[1:3]
    years = a + share * (b - a)
    forward, s = float(surface.forward(years)), float(surface.atm_vol[2]) * np.sqrt(b)
    strike = forward * np.exp(np.linspace(-10.0 * s, 6.0 * s, 8001))
    q = surface.density(strike, years)
    assert q.min() > 0.0
    assert np.trapezoid(q, strike) == pytest.approx(1.0, abs=1e-4)
    assert np.trapezoid(q * strike, strike) == pytest.approx(forward, rel=1e-4)


def test_fair_value_is_black_at_the_surface_vol_with_both_errors(surface):
    strike, years = np.array([460.0, 500.0, 530.0]), float(surface.years[2])
    price, error = surface.fair_value(1, strike, years)
    vol, forward = surface.vol(strike, years), surface.forward(years)
    shared = {"right": 1, "strike": strike, "years": years, "df": surface.df(years)}
    wanted = black.price(forward=forward, vol=vol, **shared)
    np.testing.assert_allclose(price, wanted, rtol=1e-14)
    by_vol = black.price(forward=forward, vol=vol + surface.uncertainty(strike, years), **shared)
    by_forward = black.price(forward=forward + surface.forward_error[2], vol=vol, **shared)
    np.testing.assert_allclose(error, np.hypot(by_vol - wanted, by_forward - wanted), rtol=0.02)


def test_an_event_steps_at_its_instant_and_expiries_do_not_move(surface):
    """5 % between the second and third expiry: the day before has less variance than on the line,
    the day after more, by the event's variance in all."""
    fixing = surface.chain.fixing_ns
    when = int(fixing[1] + (fixing[2] - fixing[1]) // 2)
    variance = 0.5 * float(np.diff(surface.atm_vol[1:3] ** 2 * surface.years[1:3])[0])
    calm = VolClock(1.0, 1.0, 1.0, frozenset(), frozenset())
    clock = VolClock(1.0, 1.0, 1.0, frozenset(), frozenset(), (Event(when, variance),))
    moved, k = surface.on_clock(clock), np.zeros(1)
    for j in range(surface.chain.slices):
        np.testing.assert_allclose(
            moved.total_variance(k, surface.years[j]), surface.total_variance(k, surface.years[j])
        )
    years = [(when + d * NS_PER_DAY // 24 - surface.ts_ns) / NS_PER_YEAR for d in (-1, 1)]
    before, after = (float(moved.total_variance(k, t)[0]) for t in years)
    line = [float(surface.on_clock(calm).total_variance(k, t)[0]) for t in years]
    assert before < line[0] < line[1] < after
    assert after - before == pytest.approx(variance, rel=0.02)


def test_a_planted_event_is_found_and_a_smooth_term_structure_has_none():
    """Ten weekly expiries of a flat vol; a 4 % move between the third and the fourth."""
    now = 1_710_000_000 * 10**9
    fixing = now + (np.arange(10) * 7 + 5) * NS_PER_DAY
    found = {}
    for name, move in (("smooth", 0.0), ("earnings", 0.04)):
        rows = []
        for j, at in enumerate(fixing.tolist()):
            years = (at - now) / NS_PER_YEAR
            w = 0.3**2 * years + (move**2 if j >= 3 else 0.0)
            strike = np.round(100.0 * np.exp(np.linspace(-2.5, 2.5, 31) * np.sqrt(w)), 2)
            for right in (1, -1):
                mid = black.price(
                    right=right, forward=100.0, strike=strike, years=years, vol=np.sqrt(w / years)
                )
                rows += [
                    {"expiry": at, "strike": k, "right": right, "bid": p - 0.01, "ask": p + 0.01}
                    for k, p in zip(strike, mid, strict=True)
                    if p > 0.02
                ]
        columns = {key: [row[key] for row in rows] for key in rows[0]}
        surface = fit(columns, valuation_ns=now, spot=100.0, rate=0.0)
        calendar = VolClock(1.0, 1.0, 1.0, frozenset(), frozenset())
        found[name] = surface.implied_events(calendar)
    assert not found["smooth"].estimated.found.any()
    there = found["earnings"].estimated
    assert np.flatnonzero(there.found).tolist() == [3]
    assert (found["earnings"].after[3], found["earnings"].before[3]) == (2, 3)
    assert abs(there.variance[3] - 0.04**2) < 3.0 * there.error[3]


def test_an_event_larger_than_the_gap_leaves_a_density_between_the_expiries(surface):
    """Cut strike by strike, w had a concave kink where the gap equals the event, and the density
    there was below zero."""
    fixing = surface.chain.fixing_ns
    when = int(fixing[1] + (fixing[2] - fixing[1]) // 2)
    gap = float(np.diff(surface.atm_vol[1:3] ** 2 * surface.years[1:3])[0])
    for share in (0.9, 1.05, 1.2, 1.5, 2.0):
        event = Event(when, share * gap)
        clock = VolClock(1.0, 1.0, 1.0, frozenset(), frozenset(), (event,))
        years = (when + NS_PER_DAY // 24 - surface.ts_ns) / NS_PER_YEAR
        low, high = surface.certificate.reach[1]
        strike = float(surface.forward(years)) * np.exp(np.linspace(low, high, 2001))
        assert surface.on_clock(clock).density(strike, years).min() > 0.0, share
