"""Takers follow the law they were drawn from; the informed know, the others do not."""

import numpy as np
import pytest

from optmm.data.simulator import simulate_day
from optmm.data.simulator.config import SimulationConfig
from optmm.data.simulator.takers import expected_lots, mean_lots
from optmm.market.events import Kind


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
    """Counts of a Hawkes process have variance rate / (1 - n)^2; signs likewise, own - cross."""
    takers, config = busy.truth.takers, busy.truth.prices.config
    n = takers.ts_ns.size
    own, cross = config.hawkes_own, config.hawkes_cross
    quiet = config.takers_per_day * 1.03  # a quarter of an hour at the quiet rate after the close
    spread = np.sqrt(config.takers_per_day) / (1.0 - own - cross)
    assert config.takers_per_day - 3.5 * spread < n < quiet + 3.5 * spread
    wanted = config.informed_share
    found = (takers.informed > 0).mean()
    assert abs(found - wanted) < 3.0 * np.sqrt(wanted * (1.0 - wanted) / n)
    plain = takers.side[takers.informed == 0]
    assert abs(plain.mean()) < 3.5 / np.sqrt(n) / (1.0 - own + cross) * 1.1


def test_sizes_follow_their_power_law(busy):
    """P(lots >= k) = k^-tail, cut at the largest; the mean is the sum of those."""
    lots, config = busy.truth.takers.lots, busy.truth.prices.config
    for k in (2, 3, 5, 10, 50, config.max_taker_lots):
        expected = k**-config.size_tail
        error = np.sqrt(expected * (1.0 - expected) / lots.size)
        assert abs((lots >= k).mean() - expected) < 3.5 * error, k
    assert lots.min() == 1 and lots.max() <= config.max_taker_lots
    k = np.arange(1, config.max_taker_lots + 1.0)
    mean = (k**-config.size_tail).sum()
    second = ((2.0 * k - 1.0) * k**-config.size_tail).sum()
    assert mean_lots(config) == pytest.approx(mean, rel=1e-12)
    assert abs(lots.mean() - mean) < 3.5 * np.sqrt((second - mean**2) / lots.size)


def test_volume_against_width_is_the_formula(busy):
    """Lots that would pay d half widths or more, among options dear enough for the law."""
    takers, config = busy.truth.takers, busy.truth.prices.config
    plain = (takers.informed == 0) & (takers.theo > 12.0 * takers.half_width)
    gap = (takers.side * (takers.reservation_e9 * 1e-9 - takers.theo) / takers.half_width)[plain]
    lots = takers.lots[plain].astype(float)
    everybody = expected_lots(config, 0.0)
    k = np.arange(1, config.max_taker_lots + 1.0)
    second = ((2.0 * k - 1.0) * k**-config.size_tail).sum()
    for d in (0.5, 1.0, 2.0):
        share = float(expected_lots(config, d) / everybody)
        assert share == pytest.approx(np.exp(-d), rel=1e-12)
        found = lots[gap >= d].sum()
        expected = share * plain.sum() * mean_lots(config)
        # given who came: each pays with probability `share`, sizes drawn apart
        error = np.sqrt(plain.sum() * (share * second - (share * mean_lots(config)) ** 2))
        assert abs(found - expected) < 3.5 * error, d
    whole = config.takers_per_day * (1.0 - config.informed_share) * mean_lots(config)
    assert everybody == pytest.approx(whole)


def test_begotten_trades_follow_into_the_same_option():
    """Neighbours in time are in one option far more often when they follow."""
    base = {"takers_per_day": 20_000.0, "quote_events_target": 10_000, "minutes": 60}
    same = [
        np.mean(np.diff(simulate_day(SimulationConfig(follow_share=f, **base), 2)
                        .truth.takers.instrument) == 0)
        for f in (0.0, 1.0)
    ]  # fmt: skip
    assert same[1] > same[0] + 0.005


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
    assert (takers["bits"] == 0).all()  # who is informed is for the truth alone to say
    assert 4_500 <= takers.size <= 8_500
    assert 0.10 <= (truth.informed > 0).mean() <= 0.15


def test_makers_refresh_before_a_taker_arrives(full):
    """The displayed quote a taker meets was made in the taker's own second."""
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
    assert (truth.ts_ns // 10**9 == met["ts_event_ns"] // 10**9).all()
