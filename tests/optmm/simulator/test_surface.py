"""The true surface is free of arbitrage and moves with spot as configured."""

import numpy as np
import pytest

from optmm.data.simulator import simulate_day
from optmm.data.simulator.config import SimulationConfig

K = np.linspace(-1.2, 0.8, 401)
HOURS = (0.0, 0.5, 3.0, 6.0, 6.45, 6.7)


def _instants(full):
    return [int(full.truth.ts_ns[int(h * 3600)]) for h in HOURS]


def _slices_alive(full, at):
    chain = full.day.chain
    return np.flatnonzero(chain.fixing_ns[chain.slice_start[:-1]] > at)


def test_raw_svi_is_the_total_variance(full):
    """Gatheral's raw parameters and the SSVI form are two spellings of one curve."""
    for at in _instants(full):
        for j in _slices_alive(full, at):
            a, b, rho, m, sigma = full.truth.svi(j, at)
            raw = a + b * (rho * (K - m) + np.hypot(K - m, sigma))
            ours = full.truth.total_variance(j, at, K)
            np.testing.assert_allclose(raw, ours, rtol=1e-9, atol=1e-15)


def test_no_butterfly(full):
    """Gatheral's density factor g(k) >= 0 from the exact derivatives of raw SVI."""
    for at in _instants(full):
        for j in _slices_alive(full, at):
            a, b, rho, m, sigma = full.truth.svi(j, at)
            root = np.hypot(K - m, sigma)
            w = a + b * (rho * (K - m) + root)
            w1 = b * (rho + (K - m) / root)
            w2 = b * sigma**2 / root**3
            g = (1.0 - 0.5 * K * w1 / w) ** 2 - 0.25 * w1**2 * (1.0 / w + 0.25) + 0.5 * w2
            assert g.min() > 0.0, (at, j, g.min())
            assert b * (1.0 + abs(rho)) < 2.0  # Lee's bound on the wings


def test_no_calendar_arbitrage(full):
    for at in _instants(full):
        alive = _slices_alive(full, at)
        w = full.truth.total_variance(alive[:, None], at, K)
        assert (np.diff(w, axis=0) > 0.0).all()


def test_at_the_money_vol_is_plausible_from_a_week_on(full):
    chain, at = full.day.chain, full.day.session.open_ns
    first = chain.slice_start[:-1]
    years = (chain.fixing_ns[first] - at) / (365 * 86400e9)
    vol = np.sqrt(full.truth.total_variance(np.arange(chain.slices), at, 0.0) / years)
    later = vol[years > 7 / 365]
    assert later.min() > 0.17 and later.max() < 0.23


def test_skew_stickiness_ratio():
    """d(atm vol) = R x skew x dlnS, with R as configured, when nothing else moves the surface."""
    config = SimulationConfig(
        vol_of_variance_per_sqrt_year=0.0, level_noise_sd=0.0, skew_noise_sd=0.0, minutes=120,
        takers_per_day=0.0, quote_events_target=10_000,
    )  # fmt: skip
    truth = simulate_day(config, 5).truth
    chain = truth.prices.chain
    at = truth.ts_ns[::60]
    move = np.diff(np.log(truth.spot[::60]))
    first = chain.slice_start[:-1]
    for j in np.flatnonzero(chain.fixing_ns[first] > at[0] + 7 * 86400 * 10**9):
        years = (chain.fixing_ns[first[j]] - at) / (365 * 86400e9)

        def vol(k, j=j, years=years):
            return np.sqrt(truth.total_variance(j, at, k) / years)

        skew = (vol(1e-4) - vol(-1e-4)) / 2e-4
        change = np.diff(vol(0.0))
        ratio = np.polyfit(skew[:-1] * move, change, 1)[0]
        assert ratio == pytest.approx(config.skew_stickiness, abs=0.1), j


def test_the_level_moves_on_its_own_too(full):
    """Forward variance carries a factor and noise that spot does not explain."""
    truth = full.truth
    theta = truth.prices.smile.theta[12, ::300]
    x = truth.prices.path.log_return[::300]
    corr = np.corrcoef(np.diff(np.log(theta)), np.diff(x))[0, 1]
    assert -0.97 < corr < -0.3
