"""Bates: Merton's series, Heston without jumps, differences of prices, fits with a known truth."""

import math
from dataclasses import replace

import numpy as np
import pytest

from surfaces.errors import InvalidInput
from surfaces.pricing import bates, black, heston

INDEX = bates.Parameters(
    v0=0.03, kappa=1.5, theta=0.04, sigma=0.5, rho=-0.6, jump_rate=0.4, jump_mean=-0.1,
    jump_std=0.12,
)  # fmt: skip


def merton(strike: float, years: float, vol: float, rate: float, mean: float, std: float) -> float:
    """R. Merton, J. Financial Economics 3 (1976), eq. 19: Black prices weighted by Poisson."""
    drift = rate * (math.exp(mean + 0.5 * std * std) - 1.0)
    total, weight = 0.0, math.exp(-rate * years)
    for n in range(80):
        forward = 100.0 * math.exp(-drift * years + n * (mean + 0.5 * std * std))
        each = black.price(
            right=1, forward=forward, strike=strike, years=years,
            vol=math.sqrt(vol * vol + n * std * std / years),
        )  # fmt: skip
        total += weight * float(each)
        weight *= rate * years / (n + 1)
    return total


@pytest.mark.parametrize("years", [1 / 365, 0.1, 1.0, 10.0])
@pytest.mark.parametrize("jumps", [(0.8, -0.2, 0.15), (2.0, 0.05, 0.02), (0.1, -0.5, 0.0)])
def test_constant_variance_is_merton_1976(years, jumps):
    rate, mean, std = jumps
    p = bates.Parameters(0.04, 1.0, 0.04, 0.0, 0.0, rate, mean, std)
    strike = np.array([40.0, 90.0, 100.0, 110.0, 250.0])
    got = bates.price(p, right=1, forward=100.0, strike=strike, years=years)
    want = [merton(K, years, 0.2, *jumps) for K in strike]
    np.testing.assert_allclose(got, want, rtol=0.0, atol=1e-10)


def test_no_jumps_are_heston():
    plain = heston.Parameters(0.03, 1.5, 0.04, 0.5, -0.6)
    options = {"right": [1, -1, 1], "forward": 100.0, "strike": [80.0, 100.0, 130.0], "years": 0.4}
    for still in ((0.0, -0.1, 0.2), (3.0, 0.0, 0.0)):
        p = bates.Parameters(*plain.vector(), *still)
        np.testing.assert_allclose(
            bates.price(p, **options), heston.price(plain, **options), rtol=0.0, atol=1e-11
        )
    got = bates.greeks(bates.Parameters(*plain.vector(), 0.0, -0.1, 0.2), **options)
    want = heston.greeks(plain, **options)
    for name, values in want.items():
        np.testing.assert_allclose(getattr(got, name), values, rtol=1e-9, atol=1e-9)


def sixth(f, step):
    """f' at zero by central differences of sixth order."""
    near, far, last = (f(i * step) - f(-i * step) for i in (1, 2, 3))
    return (45.0 * near - 9.0 * far + last) / (60.0 * step)


def test_greeks_are_slopes_of_prices():
    """Differences of sixth order at 1 % are off by some 1e-9 of the largest slope here."""
    options = {"right": 1, "strike": np.array([75.0, 95.0, 100.0, 120.0])}
    fixed = options | {"forward": 100.0, "years": 0.3}
    got = bates.greeks(INDEX, **fixed)
    for name in bates.ALL:
        at = getattr(INDEX, name)
        want = sixth(
            lambda h, name=name, at=at: bates.price(replace(INDEX, **{name: at + h}), **fixed),
            0.01 * abs(at),
        )
        np.testing.assert_allclose(getattr(got, f"d_{name}"), want, rtol=1e-7, atol=1e-8)
    want = -sixth(lambda h: bates.price(INDEX, **(fixed | {"years": 0.3 + h})), 0.003)
    np.testing.assert_allclose(got.theta, want, rtol=1e-7, atol=1e-8)
    want = sixth(lambda h: bates.price(INDEX, **(fixed | {"forward": 100.0 + h})), 0.5)
    np.testing.assert_allclose(got.delta, want, rtol=1e-7, atol=1e-8)
    want = sixth(
        lambda h: bates.greeks(INDEX, **(fixed | {"forward": 100.0 + h}), which=["delta"]).delta,
        0.5,
    )
    np.testing.assert_allclose(got.gamma, want, rtol=1e-7, atol=1e-8)


def test_the_forward_stays_a_forward():
    """The drift of the jumps is taken back: the density's mean is the forward."""
    strike = np.linspace(0.5, 500.0, 1_000)
    density = bates.greeks(
        INDEX, right=1, forward=100.0, strike=strike, years=0.5, which=["density"]
    ).density
    step = strike[1] - strike[0]
    assert density.sum() * step == pytest.approx(1.0, abs=1e-6)
    assert (density * strike).sum() * step == pytest.approx(100.0, abs=1e-4)


def test_parameters_come_back_from_exact_vols():
    """Thirty random sets with jumps to be seen: all but one within 1e-3."""
    rng = np.random.default_rng(12)
    years = np.repeat(np.array([7, 14, 30, 61, 91, 182, 274, 365, 548, 730]) / 365.0, 10)
    strike = 100.0 * np.exp(np.tile(np.linspace(-2.0, 2.0, 10), 10) * 0.22 * np.sqrt(years))
    close = 0
    for _ in range(30):
        truth = bates.Parameters(
            v0=rng.uniform(0.01, 0.1), kappa=rng.uniform(0.5, 5.0), theta=rng.uniform(0.01, 0.1),
            sigma=rng.uniform(0.2, 0.8), rho=rng.uniform(-0.9, -0.1),
            jump_rate=rng.uniform(0.1, 1.0), jump_mean=rng.uniform(-0.2, -0.02),
            jump_std=rng.uniform(0.03, 0.2),
        )  # fmt: skip
        vol = bates.vol(truth, forward=100.0, strike=strike, years=years).vol
        quotes = {"years": years, "strike": strike, "forward": np.full(100, 100.0), "vol": vol}
        got = bates.calibrate(quotes)
        close += np.max(np.abs(got.params.vector() / truth.vector() - 1.0)) <= 1e-3
    assert close >= 29
    assert got.names == bates.ALL and set(got.standard_errors) == set(bates.ALL)
    again = bates.calibrate(quotes, got)
    assert again.starts == 1 and again.rmse_vol < 1e-8


def test_bad_parameters_say_what_they_are():
    for name, value, words in (
        ("jump_rate", -1.0, r"jump_rate is -1 per year, must be >= 0 .*no jump"),
        ("jump_std", -0.1, r"jump_std is -0.1, must be >= 0"),
        ("jump_mean", np.nan, r"jump_mean is nan, must be finite .*mean jump"),
        ("rho", -1.0, r"rho is -1, must be > -1 and < 1"),
        ("theta", -0.1, r"theta is -0.1 per year"),
    ):
        with pytest.raises(InvalidInput, match=words):
            replace(INDEX, **{name: value})
    with pytest.raises(InvalidInput, match=r"for 8 parameters, .*jump_std; give at least 8"):
        bates.calibrate({n: np.full(7, 1.0) for n in ("years", "strike", "forward", "vol")})
