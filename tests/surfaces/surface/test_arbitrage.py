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


@pytest.mark.parametrize("right", [1, -1])
def test_executable_violations_name_the_planted_quote_and_no_other(right):
    """Black prices are free of arbitrage, so only what is planted can be found."""
    strike = np.arange(80.0, 121.0, 5.0)
    mid = black.price(right=right, forward=100.0, strike=strike, years=0.5, vol=0.25, df=0.98)
    clean = arbitrage.executable_violations(
        strike=strike, bid=mid - 0.01, ask=mid + 0.01, right=right, df=0.98
    )
    assert all(found.size == 0 for found in clean.values())
    bid, ask = mid - 0.01, mid + 0.01
    bid[4] += 2.0
    ask[4] += 2.0
    found = arbitrage.executable_violations(strike=strike, bid=bid, ask=ask, right=right, df=0.98)
    assert 3 in found["butterfly"]


def test_absent_quotes_violate_nothing():
    strike, none = np.arange(3.0) + 1.0, np.full(3, np.nan)
    found = arbitrage.executable_violations(strike=strike, bid=none, ask=none, right=1, df=1.0)
    assert all(v.size == 0 for v in found.values())
