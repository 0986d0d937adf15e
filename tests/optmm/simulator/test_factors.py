"""Factors of the surface: the laws they were drawn from, and no arbitrage when they are extreme."""

import numpy as np
import pytest

from optmm.data.simulator import simulate_day
from optmm.data.simulator.chain import listing
from optmm.data.simulator.config import SimulationConfig
from optmm.data.simulator.day import clock_of
from optmm.data.simulator.smile import (
    Driven,
    level,
    loadings,
    simulate_smile,
    stationary,
    tilt,
)
from optmm.data.simulator.spot import simulate_spot

K = np.linspace(-1.2, 0.8, 301)


@pytest.mark.parametrize("decay", [0.5, 0.98, 0.9996])
def test_ar1_solver_is_the_recursion(decay):
    """Against the recursion itself, block after block (a short half-life needs many)."""
    rng = np.random.default_rng(2)
    first, drive = rng.standard_normal(2), rng.standard_normal((2, 3000))
    out = np.empty((2, 3001))
    out[:, 0] = first
    for i in range(3000):
        out[:, i + 1] = decay * out[:, i] + np.sqrt(1.0 - decay**2) * drive[:, i]
    # sums of up to 2^40 lose no more than the last digits of the newest term
    np.testing.assert_allclose(stationary(decay, first, drive), out, atol=1e-11)


def test_factors_have_their_variance_and_correlation_with_spot():
    """OU of unit variance: Var(one-second change) = 2 (1 - a); its correlation with the shock of
    spot is rho sqrt((1 + a) / 2)."""
    config = SimulationConfig(
        skew_spot_correlation=0.6, curvature_spot_correlation=-0.3, term_spot_correlation=0.0,
        skew_half_life_minutes=2.0, curvature_half_life_minutes=1.0, term_half_life_minutes=0.5,
        quote_events_target=10_000, takers_per_day=0.0, skew_noise_sd=0.001,
    )  # fmt: skip
    truth = simulate_day(config, 12).truth
    smile, shock = truth.prices.smile, truth.prices.path.shock[1:]
    n = shock.size
    for name, rho, half_life in (("skew", 0.6, 2.0), ("curvature", -0.3, 1.0), ("term", 0.0, 0.5)):
        a = 0.5 ** (1.0 / (60.0 * half_life))
        series = smile.factors[name]
        change = np.diff(series)
        assert change.var() == pytest.approx(2.0 * (1.0 - a), rel=4.0 * np.sqrt(2.0 / n))
        found = np.corrcoef(change, shock)[0, 1]
        expected = rho * np.sqrt((1.0 + a) / 2.0)
        assert abs(found - expected) < 4.0 * (1.0 - expected**2) / np.sqrt(n) + 1e-3, name
        # the mean square of n values worth n (1 - a) / (1 + a) independent ones
        worth = n * (1.0 - a * a) / (1.0 + a * a)
        assert np.mean(series**2) == pytest.approx(1.0, abs=4.0 * np.sqrt(2.0 / worth))
    rho_path = config.smile_rho + config.skew_noise_sd * smile.factors["skew"]
    np.testing.assert_allclose(smile.rho, rho_path, rtol=1e-12)
    np.testing.assert_allclose(
        smile.eta, config.smile_eta * np.exp(0.01 * smile.factors["curvature"]), rtol=1e-12
    )


def test_the_term_factor_tilts_short_against_long():
    """theta of one expiry moves by the tilt of its intervals: signs differ at the two ends."""
    quiet = {
        "vol_of_variance_per_sqrt_year": 0.0, "level_noise_sd": 0.0, "skew_noise_sd": 0.0,
        "curvature_noise_sd": 0.0, "skew_stickiness": 0.0, "quote_events_target": 10_000,
        "takers_per_day": 0.0, "minutes": 60, "jumps_per_day": 0.0,
    }  # fmt: skip
    moved = simulate_day(SimulationConfig(term_noise_sd=0.02, **quiet), 3).truth
    still = simulate_day(SimulationConfig(term_noise_sd=0.0, **quiet), 3).truth
    lean = tilt(moved.prices.knots)
    assert lean[0] > 0.97 and lean[-1] < -0.6 and (np.diff(lean) < 0.0).all()
    expected = np.zeros_like(moved.prices.smile.factors["term"])
    base = np.diff(still.prices.smile.theta, axis=0, prepend=0.0)
    expected = np.cumsum(
        base * np.exp(0.02 * lean[:, None] * moved.prices.smile.factors["term"]), axis=0
    )
    np.testing.assert_allclose(moved.prices.smile.theta, expected, rtol=1e-12)


def test_no_arbitrage_with_large_factors_and_an_event():
    """Gatheral's g >= 0, calendar order and Lee's bound, with every factor at its widest."""
    config = SimulationConfig(
        smile_rho=-0.75, smile_eta=0.85, skew_noise_sd=0.03, curvature_noise_sd=0.05,
        term_noise_sd=0.1, level_noise_sd=0.05, skew_half_life_minutes=1.0,
        curvature_half_life_minutes=1.0, term_half_life_minutes=1.0,
        events_at=("2025-03-12T14:00:00-04:00",), events_move=(0.02,),
        quote_events_target=10_000, takers_per_day=0.0,
    )  # fmt: skip
    truth = simulate_day(config, 6).truth
    assert np.ptp(truth.prices.smile.factors["skew"]) > 6.0
    for second in range(0, 24_000, 1171):
        at = int(truth.ts_ns[second])
        alive = np.flatnonzero(truth.prices.smile.theta[:, second] > 0.0)
        w = truth.total_variance(alive[:, None], at, K)
        assert (np.diff(w, axis=0) > 0.0).all(), second
        for j in alive:
            a, b, rho, m, sigma = truth.svi(j, at)
            root = np.hypot(K - m, sigma)
            w = a + b * (rho * (K - m) + root)
            w1 = b * (rho + (K - m) / root)
            w2 = b * sigma**2 / root**3
            g = (1.0 - 0.5 * K * w1 / w) ** 2 - 0.25 * w1**2 * (1.0 / w + 0.25) + 0.5 * w2
            assert g.min() > 0.0 and b * (1.0 + abs(rho)) < 2.0, (second, j)


def test_forward_variance_is_a_martingale():
    """E[variance spent + variance still expected] stays what it was; transient factors off."""
    config = SimulationConfig(
        level_noise_sd=0.0, term_noise_sd=0.0, minutes=30, variance_reversion_per_year=500.0
    )
    clock = clock_of(config)
    chain, ahead = listing(config, clock)
    knots, first = clock.at_expiry(ahead), chain.slice_start[:-1]
    ends = {"fixing_ns": chain.fixing_ns[first], "expiries": tuple(chain.expiry[first].tolist())}
    ratios = []
    for seed in range(150):
        names = ("spot", "variance", "jumps", "events")
        streams = {name: np.random.default_rng((seed, i)) for i, name in enumerate(names)}
        path = simulate_spot(config, clock, float(loadings(config, knots)[0]), streams)
        rng = np.random.default_rng((seed, 9))
        theta = simulate_smile(config, clock, knots, path, rng, **ends).theta
        ratios.append((theta[:, -1] - theta[:, 0] + path.quadratic[-1]) / theta[:, 0])
    error = np.std(ratios, axis=0) / np.sqrt(len(ratios))
    away = np.abs(np.mean(ratios, axis=0)) / error
    # of 31 expiries that move together
    assert away.max() < 3.5, away


@pytest.mark.parametrize("c", [0.0, 5.0, 60.0])
def test_the_level_is_the_log_of_a_martingale(c):
    """E[exp(level)] = 1 for x of drift -v/2 and an independent factor, by Gauss-Hermite."""
    config = SimulationConfig()
    z, weight = np.polynomial.hermite_e.hermegauss(80)
    weight = weight / weight.sum()
    v, y = 4e-4, 0.09
    x, factor = np.meshgrid(-0.5 * v + np.sqrt(v) * z, np.sqrt(y) * z, indexing="ij")
    one = np.ones_like(x)
    driven = Driven(0.5 * one, x, v * one, factor, y * one)
    mean = weight @ np.exp(level(config, c, one, 12.0, driven)) @ weight
    assert mean == pytest.approx(1.0, abs=1e-12)
