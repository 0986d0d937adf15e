"""The engine over the plain market: what is measured agrees with what is known by formula."""

from optmm.bench.ground_truth import DRIFT_USD, desk, measure
from optmm.data.simulator.plain import PlainConfig, plain_market


def test_earnings_drift_and_volume_of_a_desk_that_quotes_truth():
    """Half spread less fees, -drift, and takers x exp(-half / willingness), at three s.e."""
    still = {"minutes": 4, "strikes": 41, "spot_moves": False}
    config = PlainConfig(drift_usd=DRIFT_USD, **still)
    found = measure(plain_market(config, 21), desk(0.05))
    assert abs(found.adverse + 100.0 * DRIFT_USD) < 3.0 * found.adverse_error
    assert found.adverse_error < 0.12 * 100.0 * DRIFT_USD
    config = PlainConfig(minutes=4)
    found = measure(plain_market(config, 22), desk(0.05, fee_usd=0.65))
    assert abs(found.half - 0.05) <= 1e-4
    assert abs(found.net - (100.0 * found.half - 0.65)) < 3.0 * found.net_error
    assert found.net_error < 0.05 * 4.35
    expected = config.contracts(half_width_usd=0.05)
    assert abs(found.contracts - expected) < 3.0 * (expected * config.taker_lots) ** 0.5
