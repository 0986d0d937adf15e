"""Deltas against repricing under a moving smile, and a regression with known coefficients."""

import math

import numpy as np
import pytest

from hedging import delta
from hedging.errors import InvalidInput
from surfaces.pricing import black

S, K, T, VOL = 100.0, 104.0, 0.25, 0.22


def test_book_delta_adds_shares_and_the_hedge_in_hedge_lots():
    """10 calls at .5 x 100 and -4 puts at -.25 x 100 are 600 shares: 12 ES lots of 50, less 3."""
    shares = delta.book_delta([10, -4], [0.5, -0.25], multiplier=100)
    assert shares == 600.0
    es = delta.book_delta(
        [10, -4], [0.5, -0.25], multiplier=100, hedge_multiplier=50, hedge_lots=-3
    )
    assert es == 12.0 - 3.0


def test_a_missing_delta_matters_only_where_something_is_held():
    assert delta.book_delta([0, 2], [np.nan, 0.5], multiplier=[100, 100]) == 100.0
    assert math.isnan(delta.book_delta([1, 2], [np.nan, 0.5], multiplier=100))


def test_put_call_parity_makes_a_synthetic_forward_one_share_each():
    """Long call, short put at one strike and expiry is the forward, whose delta is 1."""
    call, put = (
        black.greeks(right=w, forward=S, strike=K, years=T, vol=VOL).delta for w in (1, -1)
    )
    got = delta.book_delta([7, -7], [call, put], multiplier=100)
    assert got == pytest.approx(700.0, abs=1e-12 * 700)


def test_an_index_cannot_hedge():
    with pytest.raises(InvalidInput, match=r"hedge_multiplier is 0, must be > 0"):
        delta.book_delta([1], [0.5], multiplier=100, hedge_multiplier=0)


@pytest.mark.parametrize("stickiness", [0.0, 1.0, 2.0, 1.4])
def test_smile_aware_delta_is_the_derivative_of_price_when_the_smile_moves(stickiness):
    """With vol(K, S) = VOL + skew ln(K/S0) + (R-1) skew ln(S/S0) the derivative is known."""
    skew = -0.3

    def value(spot):
        vol = VOL + skew * math.log(K / S) + (stickiness - 1.0) * skew * math.log(spot / S)
        return float(black.price(right=1, forward=spot, strike=K, years=T, vol=vol))

    h = 1e-3
    slope = (value(S + h) - value(S - h)) / (2 * h)
    at = black.greeks(right=1, forward=S, strike=K, years=T, vol=VOL + skew * math.log(K / S))
    got = delta.smile_aware(at.delta, at.vega, skew=skew, spot=S, stickiness=stickiness)
    assert float(got) == pytest.approx(slope, abs=1e-7)


def test_sticky_moneyness_delta_follows_from_homogeneity():
    """A smile of K/S alone makes the price homogeneous: delta = (C - K dC/dK) / S (Bergomi 2.5)."""
    skew = -0.3

    def value(strike):
        vol = VOL + skew * math.log(strike / S)
        return float(black.price(right=1, forward=S, strike=strike, years=T, vol=vol))

    h = 1e-3
    homogeneous = (value(K) - K * (value(K + h) - value(K - h)) / (2 * h)) / S
    at = black.greeks(right=1, forward=S, strike=K, years=T, vol=VOL + skew * math.log(K / S))
    got = delta.smile_aware(at.delta, at.vega, skew=skew, spot=S, stickiness=0.0)
    assert float(got) == pytest.approx(homogeneous, abs=1e-7)


def test_minimum_variance_delta_removes_what_spot_explains_of_vol():
    """Vol is made to move by (a + b d + c d^2)/(S sqrt T) dS + noise: no spot exposure is left."""
    a, b, c = -0.25, 0.4, -0.3
    rng = np.random.default_rng(20170801)
    at = black.greeks(right=1, forward=S, strike=K, years=T, vol=VOL)
    d = float(at.delta)
    ds = rng.normal(0.0, 1.0, 200_000)
    dvol = (a + b * d + c * d * d) / (S * math.sqrt(T)) * ds + rng.normal(0.0, 0.002, ds.size)
    dprice = d * ds + float(at.vega) * dvol
    hedge = float(
        delta.minimum_variance(at.delta, at.vega, spot=S, years=T, coefficients=(a, b, c))
    )
    left = dprice - hedge * ds
    error = left.std() / (ds.std() * math.sqrt(ds.size))
    assert abs(np.cov(left, ds)[0, 1] / ds.var()) < 4 * error
    assert left.var() < (dprice - d * ds).var()


def test_minimum_variance_delta_at_expiry_is_black():
    got = delta.minimum_variance(1.0, 0.0, spot=S, years=0.0, coefficients=(1.0, 1.0, 1.0))
    assert float(got) == 1.0
