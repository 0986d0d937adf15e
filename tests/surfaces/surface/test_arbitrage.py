"""Certificates: what must be flagged is flagged."""

import numpy as np
import pytest

from surfaces import arbitrage
from surfaces.pricing import black
from surfaces.smiles.svi import SVI

VOGT = np.array([-0.041, 0.1331, 0.306, 0.3586, 0.4153])


def test_vogt_is_flagged_although_its_wings_are_gentle():
    """Gatheral-Jacquier 2014, example 3.1: b(1+|rho|) = 0.174 and yet g = -0.03286 at k = 0.879."""
    g, k = arbitrage.min_g(SVI, VOGT, -1.5, 1.5)
    assert g == pytest.approx(-0.03286, abs=5e-6)
    assert k == pytest.approx(0.879, abs=5e-4)


def test_min_g_does_not_depend_on_the_phase_of_the_grid():
    lows = [arbitrage.min_g(SVI, VOGT, -1.5 + d, 1.5 + 2 * d)[0] for d in (0.0, 0.003, 0.0071)]
    np.testing.assert_allclose(lows, lows[0], atol=1e-7)


def test_total_variance_below_zero_has_no_g():
    assert arbitrage.min_g(SVI, np.array([-0.1, 0.1, 0.0, 0.0, 0.1]), -1, 1)[0] == -np.inf


def test_a_flat_smile_has_g_one():
    """w constant: the density is lognormal and g is identically one."""
    zero = np.zeros(5)
    np.testing.assert_array_equal(arbitrage.durrleman(np.linspace(-1, 1, 5), 0.04, zero, zero), 1.0)


def test_calendar_margin_is_the_relative_gain_of_variance():
    short = np.array([0.02, 0.1, -0.3, 0.0, 0.2])
    longer = SVI.scaled(short, 1.25)
    got = arbitrage.calendar_margin((SVI, short), (SVI, longer), -0.01, 0.01)
    assert got == pytest.approx(0.2, abs=0.01)
    assert arbitrage.calendar_margin((SVI, longer), (SVI, short), -1.0, 1.0) < -0.2
    assert np.isnan(arbitrage.calendar_margin((SVI, short), (SVI, longer), 0.2, 0.1))


def violations(strike, right, bid, ask, df=0.98):
    """Two expiries of the same quotes: neighbours across them are none."""
    twice = {"strike": strike, "bid": bid, "ask": ask, "cap": np.full(strike.size, df)}
    found = arbitrage.executable_violations(
        right=np.full(2 * strike.size, float(right)),
        slice_of=np.repeat([0, 1], strike.size),
        **{name: np.tile(values, 2) for name, values in twice.items()},
    )
    return found.vertical.tolist(), found.butterfly.tolist()


@pytest.mark.parametrize("right", [1, -1])
def test_executable_violations_name_the_planted_quote_and_no_other(right):
    """Black prices are free of arbitrage, so only what is planted can be found."""
    strike = np.arange(80.0, 121.0, 5.0)
    mid = black.price(right=right, forward=100.0, strike=strike, years=0.5, vol=0.25, df=0.98)
    bid, ask = mid - 0.01, mid + 0.01
    assert violations(strike, right, bid, ask) == ([], [])
    bid[4] += 0.6
    ask[4] += 0.6
    assert violations(strike, right, bid, ask) == ([], [4, 13])
    bid[4] += 9.0
    ask[4] += 9.0
    dearer, cheaper = (3, 5) if right > 0 else (5, 3)
    vertical, butterfly = violations(strike, right, bid, ask)
    assert dearer in vertical or cheaper in vertical or 4 in vertical
    assert {4, 13} <= set(butterfly)


def test_absent_quotes_violate_nothing():
    strike, none = np.arange(3.0) + 1.0, np.full(3, np.nan)
    assert violations(strike, 1, none, none) == ([], [])
