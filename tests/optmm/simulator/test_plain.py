"""The plain market obeys the formulas it is measured by."""

import numpy as np
import pytest

from optmm.data.simulator.plain import NS, PlainConfig, plain_config, plain_market
from optmm.errors import ConfigError
from optmm.market.events import Kind


@pytest.fixture(scope="module")
def market():
    return plain_market(PlainConfig(minutes=10, takers_per_second=20.0), 3)


def _takers(market):
    """(second, row, side, distance beyond the truth USD, lots) of every taker."""
    events = market.day.events
    rows = events[events["kind"] == Kind.TAKER]
    start = market.day.session.open_ns
    second = (rows["ts_event_ns"] - start) // NS
    side = np.where(rows["ask_lots"] > 0, 1, -1)
    sheets = {int(s): market.sheet(start + int(s) * NS).price for s in np.unique(second)}
    true = np.array([sheets[int(s)][i] for s, i in zip(second, rows["instrument"], strict=True)])
    price = (rows["bid_e9"] + rows["ask_e9"]) / 1e9
    return (
        second,
        rows["instrument"],
        side,
        side * (price - true),
        rows["bid_lots"] + rows["ask_lots"],
    )


def test_contracts_against_half_width(market):
    """Those who pay `half`: Poisson with mean takers x exp(-half / willingness), 5 lots each."""
    _, _, _, distance, lots = _takers(market)
    config = market.config
    assert (lots == config.taker_lots).all() and distance.min() > -1e-9
    for half in (0.02, 0.05, 0.1, 0.2):
        found = lots[distance >= half].sum()
        expected = config.contracts(half_width_usd=half)
        assert expected == pytest.approx(12_000 * 5 * np.exp(-half / 0.05))
        assert abs(found - expected) < 3.0 * np.sqrt(expected * config.taker_lots), half
    assert config.contracts(half_width_usd=config.market_half_width_usd + 0.01) == 0.0


def test_spot_is_a_martingale_with_the_options_vol(market):
    move = np.diff(np.log(market.spot))
    per_second = market.config.vol_per_year**2 / (365 * 86_400)
    assert move.var() == pytest.approx(per_second, rel=3.0 * np.sqrt(2.0 / move.size))
    ends = [plain_market(PlainConfig(minutes=2, takers_per_second=0.0), s).spot[-1]
            for s in range(60)]  # fmt: skip
    assert abs(np.mean(ends) - 100.0) < 3.0 * np.std(ends) / np.sqrt(60.0)


def test_truth_is_black_scholes_by_bachelier_s_own_integral(market):
    """An independent price: the payoff integrated over the lognormal density of spot at expiry."""
    at = market.day.session.open_ns + 300 * NS
    sheet, chain = market.sheet(at), market.day.chain
    x = np.linspace(-8.0, 8.0, 40_001)
    density = np.exp(-0.5 * x * x) / np.sqrt(2.0 * np.pi)
    for i in range(0, len(chain), 3):
        sd = 0.20 * np.sqrt(sheet.years[i])
        end = market.spot[300] * np.exp(sd * x - 0.5 * sd * sd)
        payoff = np.maximum(chain.right[i] * (end - chain.strike[i]), 0.0)
        assert sheet.price[i] == pytest.approx(np.trapezoid(payoff * density, x), abs=1e-5)
    assert not chain.american.any()


def test_a_planted_drift_moves_the_truth_as_configured():
    """One taker alone in its option: after the horizon its value has moved drift x side."""
    config = PlainConfig(
        minutes=5, takers_per_second=0.02, spot_moves=False, drift_usd=0.03, drift_seconds=40
    )
    market = plain_market(config, 8)
    second, rows, side, _, _ = _takers(market)
    assert second.size >= 3
    expected = np.zeros_like(market.drifted)
    for s, i, way in zip(second, rows, side, strict=True):
        for now in range(expected.shape[0]):
            expected[now, i] += way * 0.03 * min(max(now - s, 0) / 40.0, 1.0)
    np.testing.assert_allclose(market.drifted, expected, atol=1e-12)


def test_same_seed_same_bytes_and_errors_name_the_key():
    one, two = (plain_market(PlainConfig(minutes=1), 4).day.sources for _ in range(2))
    assert one == two != plain_market(PlainConfig(minutes=1), 5).day.sources
    with pytest.raises(ConfigError, match="leave no time for drifts of 60 seconds"):
        plain_config({"minutes": 1, "drift_usd": 0.01})
    with pytest.raises(ConfigError, match="unknown key 'drift_us'; did you mean 'drift_usd'"):
        plain_config({"drift_us": 0.1})
