"""The exercise boundary: what defines it, and its known limits."""

import numpy as np
import pytest

from surfaces.kernels import black
from surfaces.pricing import american


@pytest.fixture(scope="module")
def terms() -> dict[str, np.ndarray]:
    """200 options, a week to five years, rates and yields 1 % to 8 %."""
    rng, n = np.random.default_rng(4), 200
    return {
        "right": rng.choice([-1.0, 1.0], n),
        "strike": np.full(n, 100.0),
        "years": np.exp(rng.uniform(np.log(0.02), np.log(5.0), n)),
        "vol": rng.uniform(0.1, 0.6, n),
        "rate": rng.uniform(0.01, 0.08, n),
        "dividend_yield": rng.uniform(0.01, 0.08, n),
    }


def test_value_matches_and_pastes_smoothly(terms):
    """At the boundary the option held is worth the option exercised, and so is its delta."""
    at = american.boundary(**terms, accuracy="precise")
    w = terms["right"]
    near = at.critical * (1.0 - w * 1e-7)  # just on the side of waiting
    price = american.price(**terms, spot=near, accuracy="precise")
    assert np.max(np.abs(price - w * (near - 100.0))) <= 2e-4
    delta = american.greeks(**terms, spot=near, accuracy="precise").delta
    assert np.max(np.abs(delta - w)) <= 5e-3
    past = american.price(**terms, spot=at.critical * (1.0 + w * 1e-9), accuracy="precise")
    np.testing.assert_allclose(past, np.abs(at.critical - 100.0), rtol=1e-7)
    put = w < 0
    assert np.all(at.lower[put] == 0.0)
    assert np.all(at.upper[put] == at.critical[put])
    assert np.all(at.upper[~put] == np.inf)
    assert np.all(at.lower[~put] == at.critical[~put])


def test_limits_of_a_short_and_of_a_long_life():
    """Kim (1990) at expiry; Merton (1973) and McKean (1965) without one."""
    r, q, vol = 0.05, np.array([0.0, 0.02, 0.05, 0.10]), 0.25
    kw = {"right": -1, "strike": 100.0, "vol": vol, "rate": r, "dividend_yield": q}
    with np.errstate(divide="ignore"):
        short = 100.0 * np.minimum(1.0, r / q)
    np.testing.assert_allclose(american.boundary(years=0.0, **kw).critical, short)
    np.testing.assert_allclose(american.boundary(years=1e-9, **kw).critical, short, rtol=1e-4)
    half = 0.5 - (r - q) / vol**2
    m = half - np.sqrt(half**2 + 2 * r / vol**2)
    long = american.boundary(years=300.0, accuracy="precise", **kw).critical
    np.testing.assert_allclose(long, 100.0 * m / (m - 1.0), rtol=1e-3)


def test_a_call_is_a_put_with_rate_and_yield_exchanged(terms):
    ours = american.boundary(**terms)
    other = american.boundary(
        **terms | {"right": -terms["right"], "rate": terms["dividend_yield"],
                   "dividend_yield": terms["rate"]}
    )  # fmt: skip
    np.testing.assert_allclose(ours.critical * other.critical, 1e4, rtol=1e-12)


def test_moves_away_from_the_strike_with_time_and_vol(terms):
    at, later, wilder = (
        american.boundary(**terms | changed).critical
        for changed in ({}, {"years": 1.1 * terms["years"]}, {"vol": 1.1 * terms["vol"]})
    )
    assert np.all(np.abs(later - 100.0) >= np.abs(at - 100.0) - 1e-3)
    assert np.all(np.abs(wilder - 100.0) >= np.abs(at - 100.0) - 1e-3)


def test_nan_where_nobody_exercises_early():
    never = american.boundary(right=[1, -1], strike=100.0, years=1.0, vol=0.2, rate=[0.05, 0.0])
    assert np.isnan([never.lower, never.upper, never.critical]).all()


def test_lean_european_is_black(terms):
    """The European part inside the American kernel against `kernels.black`."""
    from surfaces.kernels import american as kernel

    rng = np.random.default_rng(9)
    for _ in range(300):
        w, S, s = rng.choice([-1.0, 1.0]), np.exp(rng.normal(4.6, 1.0)), 10 ** rng.uniform(-4, 1)
        r, q, T = rng.uniform(-0.05, 0.1, 3)
        T = abs(T) * 20 + 1e-3
        forward = S * np.exp((r - q) * T)
        want = np.exp(-r * T) * black.price_one(w, forward, 100.0, s * np.sqrt(T))
        got = kernel.european(w, S, 100.0, T, s, r, q)
        assert abs(got - want) <= 4e-15 * (forward + 100.0) * np.exp(-r * T) + 1e-300
