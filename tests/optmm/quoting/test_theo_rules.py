"""The sheet under every rule of a moving surface: its delta is the slope of its own theo."""

import numpy as np
import pytest

from optmm.bench.surface_minutes import tops
from optmm.data.simulator.config import SimulationConfig
from optmm.data.simulator.day import simulate_day
from optmm.engine.market import slices_of
from optmm.quoting import theo
from surfaces import dynamics
from surfaces.live import FitConfig, LiveFitter


@pytest.fixture(scope="module")
def market():
    """The chain of a simulated morning and a surface fitted to it."""
    config = SimulationConfig(minutes=4, quote_events_target=200_000)
    day = simulate_day(config, 3).day
    fitter = LiveFitter(slices_of(day.chain), FitConfig(rate_prior=0.043))
    *_, (now, spot, bid, ask) = tops(day)
    return day.chain, fitter.update(now, spot=spot, bid=bid, ask=ask)


@pytest.mark.parametrize("rule", [1.3, "sticky_strike", "sticky_moneyness", "local_vol"])
def test_delta_is_the_slope_of_theo_under_the_same_rule(market, rule):
    chain, surface = market
    h = 1e-3
    at, up, down = (
        theo.sheet(chain, surface, surface.ts_ns, surface.spot + d, rule) for d in (0.0, h, -h)
    )
    slope = (up.theo - down.theo) / (2 * h)
    # of third order in h, which matters for the shortest expiry; the premium is a parabola in spot
    good = at.priced & (at.years > 1.0 / 365.0)
    assert good.sum() > 1000
    np.testing.assert_allclose(slope[good], at.delta[good], atol=2e-6)


def test_local_vol_uses_the_ratio_of_each_expiry_and_names_are_their_numbers(market):
    chain, surface = market
    ratio = dynamics.stickiness(surface, "local_vol")
    assert np.ptp(ratio) > 0.1
    local, plain = (
        theo.sheet(chain, surface, surface.ts_ns, surface.spot, rule)
        for rule in ("local_vol", "sticky_strike")
    )
    of = chain.slice_of
    want = plain.delta + plain.vega * (ratio[of] - 1.0) * surface.skew[of] / surface.spot
    european = ~chain.american | (plain.vega > 0.0)
    np.testing.assert_allclose(local.delta[european], want[european], rtol=1e-12)
    np.testing.assert_array_equal(plain.delta, plain.delta_at_strike)
    named, number = (
        theo.sheet(chain, surface, surface.ts_ns, 1.001 * surface.spot, rule)
        for rule in ("sticky_moneyness", 0.0)
    )
    np.testing.assert_array_equal(named.theo, number.theo)
