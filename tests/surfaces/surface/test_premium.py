"""Early-exercise premia: right where made, right nearby, and free where they are nothing."""

import numpy as np
import pytest

from surfaces.curves.cash import CashDividends
from surfaces.premium import PremiumCache, PremiumLimits
from surfaces.pricing import american, american_cash

STRIKE = np.tile(np.arange(80.0, 121.0, 5.0), 2)
RIGHT = np.repeat([1.0, -1.0], 9)
NOW = 1_700_000_000_000_000_000


def cache(is_american=True) -> PremiumCache:
    return PremiumCache(RIGHT, STRIKE, np.full(18, is_american), np.array([0, 18]))


def refresh(made, now=NOW, spot=100.0, vol=0.25, rate=0.05, carry=0.03):
    one = np.ones(1)
    return made.refresh(
        now_ns=now,
        spot=spot,
        years=0.5 * one,
        vols=np.full(18, vol),
        rate=rate * one,
        log_forward=(rate - carry) * 0.5 * one,
    )


def at_reference(made, rate=0.05, carry=0.03):
    return made.snapshot(np.array([rate]), np.array([(rate - carry) * 0.5]))


def truth(spot, rate=0.05, carry=0.03):
    terms = {"years": 0.5, "vol": 0.25, "rate": rate, "dividend_yield": carry}
    return american.premium(right=RIGHT, spot=spot, strike=STRIKE, accuracy="precise", **terms)


def test_at_its_reference_and_nearby_it_is_the_american_premium():
    """Within the refresh limit of 0.3 % of spot; the engine's own error is about 1e-3 at worst."""
    made = cache()
    assert refresh(made) == 18
    for spot in (99.7, 100.0, 100.3):
        np.testing.assert_allclose(at_reference(made).at(spot)[0], truth(spot), atol=3e-3)


@pytest.mark.parametrize("change", [{"rate": 0.051}, {"carry": 0.0315}])
def test_it_follows_the_rate_and_the_forward(change):
    """First order in both; deep in the money it must take back what the European price gains."""
    made = cache()
    refresh(made)
    got = at_reference(made, **change).at(100.0)[0]
    np.testing.assert_allclose(got, truth(100.0, **change), atol=5e-3)


def test_slopes_are_those_of_the_premium():
    made = cache()
    refresh(made)
    slope = at_reference(made).at(100.0)[1]
    np.testing.assert_allclose(slope, (truth(100.5) - truth(99.5)) / 1.0, atol=5e-3)


def test_european_rows_and_calls_without_carry_cost_nothing():
    made = cache(is_american=False)
    assert refresh(made) == 0
    made = cache()
    assert refresh(made, carry=-0.01) == 9
    assert np.all(at_reference(made, carry=-0.01).at(100.0)[0][:9] == 0.0)


def test_it_is_recomputed_only_when_something_moved():
    made = cache()
    refresh(made)
    assert refresh(made, spot=100.2, now=NOW + 60 * 10**9) == 0
    for change in (
        {"spot": 100.5},
        {"vol": 0.26, "spot": 100.5},
        {"now": NOW + 3600 * 10**9, "vol": 0.26, "spot": 100.5},
        {"rate": 0.06, "now": NOW + 3600 * 10**9, "vol": 0.26, "spot": 100.5},
    ):
        assert refresh(made, **change) == 18
    last = {"rate": 0.06, "now": NOW + 3600 * 10**9, "vol": 0.26, "spot": 100.5}
    assert refresh(made, **last) == 0


def test_the_stalest_slices_go_first_when_there_is_not_room_for_all():
    """Three slices, room for two a refit: the third follows at the next one, nothing is lost."""
    limits = PremiumLimits(rows_per_refresh=12)
    made = PremiumCache(RIGHT, STRIKE, np.ones(18, bool), np.array([0, 6, 12, 18]), limits)
    terms = {
        "now_ns": NOW,
        "years": np.full(3, 0.5),
        "vols": np.full(18, 0.25),
        "rate": np.full(3, 0.05),
        "log_forward": np.full(3, 0.01),
    }
    assert made.refresh(spot=100.0, **terms) == 18  # never made: all at once
    assert [made.refresh(spot=101.0, **terms) for _ in range(3)] == [12, 6, 0]


def test_a_premium_is_never_negative():
    made = cache()
    refresh(made)
    value, slope, bend = at_reference(made).at(60.0)
    assert np.all(value >= 0.0)
    dead = value == 0.0
    assert np.all(slope[dead] == 0.0) and np.all(bend[dead] == 0.0)


def test_rates_with_two_exercise_boundaries_get_no_premium():
    """The engine refuses them; a refit must not."""
    made = cache()
    refresh(made, rate=-0.01, carry=-0.03)
    assert np.all(at_reference(made, -0.01, -0.03).at(100.0)[0][RIGHT < 0.0] == 0.0)


@pytest.mark.parametrize("vol", [np.nan, 0.0])
def test_rows_without_a_vol_get_no_premium(vol):
    made = cache()
    assert refresh(made, vol=vol) == 0


DAY = 86_400_000_000_000
PAID = CashDividends([NOW + DAY // 2, NOW + 92 * DAY], [1.58, 1.78])


def cash_chain(strike, years=0.5, vol=0.15, rate=0.055):
    """(made, rows' terms): a fresh cache with cash dividends and no carry besides, spot 450."""
    right, strike = np.repeat([1.0, -1.0], strike.size), np.tile(strike, 2)
    made = PremiumCache(
        right, strike, np.ones(strike.size, bool), np.array([0, strike.size]), dividends=PAID
    )
    years, rate = np.array([years]), np.array([rate])
    net = rate * years + PAID.log_paid(NOW, 450.0, years, rate)
    vols = np.full(strike.size, vol)
    made.refresh(now_ns=NOW, spot=450.0, years=years, vols=vols, rate=rate, log_forward=net)
    return made, rate, net, {"right": right, "strike": strike, "years": years, "vol": vol}


def cash_premium(terms, spot=450.0, rate=0.055, carry=0.0):
    terms = terms | {"spot": spot, "rate": rate, "dividends": PAID.at(NOW), "dividend_yield": carry}
    return american_cash.price(accuracy="precise", **terms) - american_cash.price(
        accuracy="precise", exercise="european", **terms
    )


def test_cash_dividends_are_worth_an_exercise_on_their_eve():
    """The eve of an ex-date: a deep call is exercised tonight, which a yield does not know.

    Tolerance: half a cent, the pricers' own at this spot.
    """
    made, rate, net, terms = cash_chain(np.arange(380.0, 520.0, 10.0))
    for spot in (448.8, 450.0, 451.2):
        np.testing.assert_allclose(
            made.snapshot(rate, net).at(spot)[0], cash_premium(terms, spot), atol=8e-3
        )
    higher = made.snapshot(rate + 1e-3, net).at(450.0)[0]
    wanted = cash_premium(
        terms,
        rate=0.056,
        carry=0.056
        - (net[0] - PAID.log_paid(NOW, 450.0, terms["years"], np.array([0.056]))[0]) / 0.5,
    )
    np.testing.assert_allclose(higher, wanted, atol=8e-3)


def test_strikes_between_those_priced_are_interpolated():
    """140 strikes a side, a third priced: a tenth of a cent within a deviation of the forward, and
    three cents where the boundary bends the curve, under a spread there."""
    strike = np.arange(380.0, 520.0, 1.0)
    made, rate, net, terms = cash_chain(strike)
    off = np.abs(made.snapshot(rate, net).at(450.0)[0] - cash_premium(terms))
    near = np.abs(np.log(terms["strike"] / 459.0)) < 0.07
    assert off[near].max() < 1.5e-3
    assert off.max() < 3e-2
