"""The path realises the variance it was configured with."""

import numpy as np
import pytest

from optmm.data.simulator.clock import activity
from optmm.data.simulator.config import SimulationConfig
from optmm.data.simulator.opening import forward_variance
from optmm.data.simulator.spot import simulate_spot
from optmm.data.simulator.stock import underlying_quotes

LEVERAGE = 35.0


def _streams(seed: int) -> dict[str, np.random.Generator]:
    names = ("spot", "variance", "jumps", "events")
    children = np.random.SeedSequence(seed).spawn(len(names))
    return {n: np.random.default_rng(c) for n, c in zip(names, children, strict=True)}


@pytest.fixture(scope="module")
def clock(full):
    return full.truth.prices.clock


def test_plain_diffusion_realises_its_variance(clock):
    """Without leverage, noise and jumps the realised variance is a scaled chi-squared sum."""
    config = SimulationConfig(vol_of_variance_per_sqrt_year=0.0, jumps_per_day=0.0)
    path = simulate_spot(config, clock, 0.0, _streams(1))
    budget = np.diff(forward_variance(config, clock.elapsed))
    realised = np.diff(path.log_return) ** 2
    error = realised.sum() - budget.sum()
    assert abs(error) < 3.0 * np.sqrt(2.0 * (budget**2).sum())


def test_stochastic_variance_and_jumps_keep_the_mean(clock):
    """Forward variance is a martingale, so the average over days is the configured variance."""
    config = SimulationConfig()
    total = float(forward_variance(config, clock.elapsed[-1:])[0])
    ratios = []
    for seed in range(80):
        path = simulate_spot(config, clock, LEVERAGE, _streams(seed))
        ratios.append((np.diff(path.log_return) ** 2).sum() / total)
    error = np.std(ratios) / np.sqrt(len(ratios))
    assert abs(np.mean(ratios) - 1.0) < 3.0 * error, (np.mean(ratios), error)


def test_variance_rises_when_spot_falls(full):
    path = full.truth.prices.path
    level = np.log(path.variance[1:] / np.diff(full.truth.prices.clock.elapsed))
    five = slice(None, None, 300)
    change = np.corrcoef(np.diff(path.log_return[1:][five]), np.diff(level[five]))[0, 1]
    assert change < -0.4


def test_activity_is_u_shaped():
    x = np.linspace(0.0, 1.0, 391)
    done = activity(x)
    assert done[0] == 0.0 and done[-1] == pytest.approx(1.0, abs=1e-15)
    rate = np.diff(done)
    assert (rate > 0.0).all()
    assert rate[0] > 2.0 * rate[195] and rate[-1] > 1.5 * rate[195]


def test_underlying_quotes_surround_the_truth_on_whole_cents(full):
    config, clock, path = full.truth.prices.config, full.truth.prices.clock, full.truth.prices.path
    rng = np.random.default_rng(3)
    events = underlying_quotes(config, clock, path, 5, rng)
    true = full.truth.spot[clock.index(events["ts_event_ns"])]
    mid = 0.5e-9 * (events["bid_e9"] + events["ask_e9"])
    assert np.abs(mid - true).max() <= 0.005 + 1e-9
    width = (events["ask_e9"] - events["bid_e9"]) // 10_000_000
    assert set(np.unique(width)) == {1, 2}
    every = width[np.searchsorted(events["ts_event_ns"], clock.grid_ns[:-1], side="right") - 1]
    assert (every == 2).mean() == pytest.approx(config.wide_spread_share, abs=0.01)
    assert (np.diff(events["ts_event_ns"]) > 0).all()
