"""Takers follow the law they were drawn from; the informed know, the others do not."""

import numpy as np
import pytest

from optmm.data.simulator import simulate_day
from optmm.data.simulator.config import SimulationConfig
from optmm.market.events import Bits, Kind


@pytest.fixture(scope="module")
def busy():
    """Many takers, few quotes: statistics are cheap."""
    config = SimulationConfig(takers_per_day=60_000.0, quote_events_target=10_000)
    return simulate_day(config, 3)


def _three_errors(values):
    return 3.0 * values.std() / np.sqrt(values.size)


def test_share_willing_at_a_distance_falls_exponentially(busy):
    takers = busy.truth.takers
    mean = busy.truth.prices.config.willingness_half_widths
    # a reservation cannot go below zero: keep options dear enough for it not to matter
    plain = (takers.informed == 0) & (takers.theo > 12.0 * mean * takers.half_width)
    gap = takers.side * (takers.reservation_e9 * 1e-9 - takers.theo) / takers.half_width
    gap = gap[plain]
    assert gap.size > 20_000
    for d in (0.25, 0.5, 1.0, 2.0, 3.0):
        expected = np.exp(-d / mean)
        error = np.sqrt(expected * (1.0 - expected) / gap.size)
        assert abs((gap > d).mean() - expected) < 3.0 * error, d


def test_uninformed_do_not_know_the_next_move(busy):
    takers = busy.truth.takers
    plain = takers.informed == 0
    for move in (takers.move, takers.hedged_move):
        mine = (takers.side * move)[plain]
        assert abs(mine.mean()) < _three_errors(mine)


def test_informed_know_the_next_move(busy):
    takers = busy.truth.takers
    for kind, move in ((1, takers.move), (2, takers.hedged_move)):
        mine = (takers.side * move)[takers.informed == kind]
        assert (mine >= 0.0).all()
        assert mine.mean() > _three_errors(mine)
    known = (takers.side * takers.hedged_move)[takers.informed == 2]
    assert busy.truth.kappa_usd == pytest.approx(known.mean())


def test_the_move_is_the_change_of_the_true_price(busy):
    takers, truth = busy.truth.takers, busy.truth
    some = slice(0, None, 97)
    end = takers.ts_ns[some] + takers.horizon_ns
    inside = end < busy.day.session.close_ns
    now = truth.theo(takers.instrument[some], takers.ts_ns[some])
    then = truth.theo(takers.instrument[some], end)
    np.testing.assert_allclose(takers.theo[some], now)
    np.testing.assert_allclose(takers.move[some][inside], (then - now)[inside], atol=1e-12)


def test_shares_are_as_configured(busy):
    takers, config = busy.truth.takers, busy.truth.prices.config
    n = takers.ts_ns.size
    assert abs(n - config.takers_per_day) < 4.0 * np.sqrt(config.takers_per_day)
    for found, wanted in (
        ((takers.informed > 0).mean(), config.informed_share),
        ((takers.side[takers.informed == 0] > 0).mean(), 0.5),
    ):
        assert abs(found - wanted) < 3.0 * np.sqrt(wanted * (1.0 - wanted) / (0.8 * n))


def test_sizes_are_heavy_tailed_from_one_to_twenty(busy):
    lots = busy.truth.takers.lots
    assert lots.min() == 1 and lots.max() == 20
    assert np.median(lots) <= 3 and np.quantile(lots, 0.95) >= 10


def test_flow_is_short_dated_near_the_money_and_u_shaped(busy):
    takers, truth, chain = busy.truth.takers, busy.truth, busy.day.chain
    days = (chain.fixing_ns[takers.instrument] - busy.day.session.open_ns) / (86400 * 10**9)
    assert (days < 1.0).mean() > 0.25 and (days < 14.0).mean() > 0.7
    fair = truth.fair(takers.instrument, takers.ts_ns)
    assert np.median(np.abs(fair.delta)) < 0.5
    hour = np.histogram((takers.ts_ns - busy.day.session.open_ns) / 3600e9, np.arange(0, 7, 0.5))[0]
    assert hour[0] > 1.5 * hour[6] and hour[12] > 1.2 * hour[6]


def test_nobody_trades_what_has_been_fixed(busy):
    takers, chain = busy.truth.takers, busy.day.chain
    assert (takers.ts_ns < chain.fixing_ns[takers.instrument]).all()


def test_events_carry_exactly_one_side(full):
    events = full.day.events
    takers = events[events["kind"] == Kind.TAKER]
    truth = full.truth.takers
    sells = takers["bid_lots"] > 0
    assert (sells ^ (takers["ask_lots"] > 0)).all()
    assert (np.where(sells, takers["ask_e9"], takers["bid_e9"]) == 0).all()
    assert (np.where(sells, takers["bid_e9"], takers["ask_e9"]) > 0).all()
    assert (takers["ts_event_ns"] == truth.ts_ns).all()
    assert ((takers["bits"] == Bits.INFORMED) == (truth.informed > 0)).all()
    assert 5_000 <= takers.size <= 8_000
    assert 0.10 <= (truth.informed > 0).mean() <= 0.15


def test_makers_refresh_before_a_taker_arrives(full):
    """The displayed quote a taker meets was made from the truth of the same second."""
    events, truth = full.day.events, full.truth.takers
    quotes = events[events["kind"] == Kind.QUOTE]
    order = np.lexsort((quotes["ts_event_ns"], quotes["instrument"]))
    quotes = quotes[order]
    span = 10**15
    key = quotes["instrument"].astype(np.int64) * span + (
        quotes["ts_event_ns"] - full.day.session.open_ns
    )
    wanted = truth.instrument * span + (truth.ts_ns - full.day.session.open_ns)
    met = quotes[np.searchsorted(key, wanted) - 1]
    assert (met["instrument"] == truth.instrument).all()
    assert (truth.ts_ns - met["ts_event_ns"] <= 250_000_000).all()
    assert (met["bid_e9"] * 1e-9 <= truth.theo).all() and (met["ask_e9"] * 1e-9 >= truth.theo).all()
