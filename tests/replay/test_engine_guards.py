"""The message budget, the windows over our fills, one-sided trading, pick-offs, spot for theo."""

import numpy as np
import pytest
import tape
from bench import Bench

from optmm.engine import state as tables
from optmm.engine.layout import FUTURE, MICROPRICE
from optmm.engine.reasons import Why
from optmm.market.events import Bits, Kind

E9, CENT = tape.E9, tape.BELOW


# ---- the budget --------------------------------------------------------------------------------


@pytest.mark.parametrize(("cap", "seed"), [(1, 1), (7, 2), (50, 3)])
def test_no_second_holds_more_quote_messages_than_the_cap(cap, seed):
    """Counted from the wire: when a quote goes out, fewer than `cap` went in the second before."""
    setup = tape.Setup(world="optimistic", events=4_000, seed=seed, latency_ns=10**12)
    replay = tape.Replay(setup)
    replay.state = tables.sized(replay.state, max_fills=1_000, messages=cap)
    sent: list[tuple[int, int]] = []
    for k in range(1, setup.events + 1):
        before = int(replay.state.head["messages"][0])
        replay.run(k)
        h = replay.state.head[0]
        last = int(h["wire_first"]) + int(h["wire_count"])
        rows = np.arange(last - (int(h["messages"]) - before), last) % replay.state.wire.size
        sent += [(int(h["now_ns"]), int(lots)) for lots in replay.state.wire["lots"][rows]]
    times = np.array([ts for ts, _ in sent])
    for k, (ts_ns, lots) in enumerate(sent):
        if lots > 0:
            assert (times[:k] > ts_ns - E9).sum() < cap
    assert sum(lots > 0 for _, lots in sent) > 10 * cap
    assert replay.state.head["throttled"][0] > 100


def throttled_bench() -> Bench:
    """Both quotes out and two messages of two used; the budget is free again after ten seconds."""
    bench = Bench(messages=2, message_window_ns=10 * E9)
    bench.market(1.0, 200, 240)
    bench.wait(1.5)
    assert (bench.own["bid_e9"], bench.own["ask_e9"]) == (215 * CENT, 225 * CENT)
    return bench


def test_what_may_not_be_moved_stays_while_it_has_edge():
    """Fair value falls by three cents: the bid of 2.15 still has two, so it is not cancelled."""
    bench = throttled_bench()
    bench.theo(2.17)
    bench.market(2.0, 200, 240)
    bench.wait(2.5)
    assert (bench.own["bid_e9"], bench.own["bid_lots"]) == (215 * CENT, 10)
    assert bench.own["why_bid"] & Why.THROTTLED
    bench.market(11.1, 200, 240)
    bench.wait(11.5)
    assert bench.own["bid_e9"] == 212 * CENT


def test_what_lost_its_edge_is_cancelled_without_budget():
    bench = throttled_bench()
    bench.theo(2.14)
    bench.market(2.0, 200, 240)
    bench.wait(2.5)
    assert bench.own["bid_lots"] == 0
    assert bench.own["ask_lots"] == 10


def test_edge_left_unquoted_is_half_width_times_size_times_time():
    """A bid and an ask of ten lots, five cents, a hundred shares, for nine seconds: USD 900 s."""
    bench = throttled_bench()
    bench.theo(2.17)
    bench.market(2.0, 200, 240)  # both want to move, neither may
    assert bench.state.head["unquoted_e6"][0] == 2 * 10 * 5 * 10**6
    bench.market(11.0, 200, 240)
    assert tables.unquoted_usd_s(bench.state) == pytest.approx(2 * 0.05 * 10 * 100 * 9.0, rel=1e-12)
    bench.market(12.0, 200, 240)
    assert bench.state.head["unquoted_e6"][0] == 0


def test_messages_go_where_most_is_at_stake():
    """Eight options, four messages: first the quotes past fair value, then by dollars."""
    setup = tape.Setup(world="pessimistic", options=8, events=10, latency_ns=1)
    replay = tape.Replay(setup)
    replay.state = state = tables.sized(replay.state, max_fills=100, messages=16)
    state.mkt["close_ns"] = tape.FAR
    state.mkt["multiplier"][:-1] = 100
    for name, value in (
        ("hysteresis", 0.0), ("stale_spot_ns", 99 * E9), ("stale_quote_ns", 99 * E9),
        ("middle_ns", 0), ("sweep_ns", 0),
    ):  # fmt: skip
        state.head[name] = value
    flat, none = np.zeros(8), np.zeros(8, np.int64)
    slope = np.array([1.3, 8.3, 2.3, 16.3, 0.3, 4.3, 32.3, 1.3])  # cents a dollar, by option
    tables.publish_theo(
        state, theo=flat + 2.0, delta=slope / 100, gamma=flat, df=flat + 1, growth=flat + 1,
        spot_ref=100.0, taylor_range=1.0,
    )  # fmt: skip
    tables.publish_quotes(
        state, half_bid=flat + 0.10, half_ask=flat + 0.10, skew=flat, cap_bid=none + 4,
        cap_ask=none, why_bid=none, why_ask=none,
    )  # fmt: skip
    state.mkt["strike"][:-1], state.mkt["right"][:-1], state.mkt["american"][:-1] = 100, 1, 0
    quotes = [(1, Kind.QUOTE, i, 150, 290, 9, 9, 0) for i in range(8)]
    u = (Kind.UNDERLYING_QUOTE, 8)
    replay.events = tape.script([
        (0, Kind.STATUS, 0, 0, 0, 0, 0, Bits.OPEN), (0.5, *u, 9999, 10001, 9, 9, 0), *quotes,
        (20, *u, 9999, 10001, 9, 9, 0),
    ])  # fmt: skip
    replay.step(replay.events.size)
    assert (state.own["sent_bid_e9"][:-1] == 190 * CENT).all()
    replay.state = state = tables.sized(state, max_fills=100, messages=4)
    # a dollar up: targets rise by the slope, of option 6 by 32 cents, of option 4 by none
    replay.events, replay.at = tape.script([(30, *u, 10099, 10101, 9, 9, 0)]), 0
    replay.step(1)
    moved = np.flatnonzero(state.own["sent_bid_e9"][:-1] != 190 * CENT)
    assert set(moved.tolist()) == {6, 3, 1, 5}
    assert (state.own["why_bid"][[0, 2, 7]] & int(Why.THROTTLED) != 0).all()


# ---- windows over our fills --------------------------------------------------------------------


def bench_with_greeks(**head: float) -> Bench:
    """As the bench, with a delta of 0.5 and a vega of 12 USD per 1.00 of vol."""
    bench = Bench(fill_window_ns=4 * E9, **head)
    state = bench.state
    tables.publish_theo(
        state, theo=np.array([2.20, np.nan]), delta=np.full(2, 0.5), gamma=np.zeros(2),
        df=np.ones(2), growth=np.ones(2), spot_ref=100.0, taylor_range=1.0, vega=np.full(2, 12.0),
    )  # fmt: skip
    bench.market(1.0, 200, 240)
    bench.wait(1.5)
    return bench


@pytest.mark.parametrize(
    ("field", "a_lot"), [("max_delta_usd", 100 * 0.5 * 100.0), ("max_vega_usd", 100 * 0.12)]
)
def test_four_lots_of_net_risk_fit_and_the_fifth_trips(field, a_lot):
    """USD 5,000 of delta and USD 12 a vol point of vega, a lot."""
    bench = bench_with_greeks(**{field: 4.5 * a_lot})
    for lot in range(1, 6):
        assert bench.state.head["is_tripped"][0] == 0, lot
        bench.trade(2.0 + lot / 10, 210, 1)  # through our bid
    assert bench.state.head["is_tripped"][0] == 1
    assert not bench.own["bid_lots"] and not bench.own["ask_lots"]


def test_a_window_is_half_open():
    """Fills at 2 s count until, not at, 6 s: the third may come then, not a nanosecond before."""
    for late_ns, trips in ((0, 0), (-1, 1)):
        bench = bench_with_greeks(max_fills=2)
        bench.trade(2.0, 210, 1)
        bench.trade(2.0, 210, 1)
        events = tape.script([(6.0, Kind.TRADE, 0, 210, 210, 1, 0, 0)])
        events["ts_event_ns"] += late_ns
        bench.replay.events, bench.replay.at = events, 0
        bench.replay.step(1)
        assert (bench.state.head["trips"][0], bench.state.head["fills"][0]) == (trips, 3)


# ---- one side ----------------------------------------------------------------------------------


def one_sided(prints: list[tuple[float, int, int]], strikes: int) -> tables.EngineState:
    """Six series at 2.00 to 2.40 and prints (seconds, series, +1 at the ask or -1 at the bid)."""
    replay = tape.Replay(tape.Setup(world="pessimistic", options=6, events=10))
    state = replay.state
    for name, value in (
        ("side_strikes", strikes), ("side_window_ns", E9), ("stale_spot_ns", 99 * E9)
    ):  # fmt: skip
        state.head[name] = value
    state.mkt["close_ns"] = tape.FAR
    rows = [(0, Kind.STATUS, 0, 0, 0, 0, 0, Bits.OPEN)]
    rows += [(1, Kind.QUOTE, i, 200, 240, 9, 9, 0) for i in range(6)]
    for seconds, i, side in prints:
        px = 240 if side > 0 else 200
        rows.append((seconds, Kind.TRADE, i, px, px, 1, 0, 0))
    replay.events = tape.script(rows)
    replay.run()
    return replay.state


@pytest.mark.parametrize(
    ("prints", "trips"),
    [
        ([(2.0, 0, 1), (2.1, 1, 1), (2.2, 2, 1)], 1),
        ([(2.0, 0, 1), (2.1, 0, 1), (2.2, 1, 1), (2.3, 1, 1)], 0),  # two series only
        ([(2.0, 0, 1), (2.1, 1, -1), (2.2, 2, 1)], 0),  # two on either side
        ([(2.0, 0, -1), (2.4, 1, -1), (3.0, 2, -1)], 0),  # the first has left the window
        ([(2.0, 0, -1), (2.4, 1, -1), (2.9, 0, -1), (3.3, 2, -1)], 1),  # renewed before it left
    ],
    ids=["three", "repeats", "both sides", "too slow", "renewed"],
)
def test_many_series_trading_on_one_side_pull_every_quote(prints, trips):
    state = one_sided(prints, strikes=3)
    h = state.head[0]
    assert (h["trips"], h["side_trips"], h["is_tripped"]) == (trips, trips, trips)
    acts = tables.pending(state)
    said = acts[acts["kind"] == tables.ACT_TRIP]
    assert said["why"].tolist() == [int(Why.SAME_SIDE)] * trips
    tables.rearm(state)
    assert (h["is_tripped"], h["trip_why"]) == (0, 0)


@pytest.mark.parametrize("seed", range(4))
def test_the_count_of_series_on_a_side_is_that_of_a_plain_scan(seed):
    """Random prints, with repeats: the first event at which a scan of the last second sees four."""
    rng = np.random.default_rng(seed)
    prints = [
        (2.0 + t, int(rng.integers(0, 6)), int(rng.choice([-1, 1])))
        for t in np.cumsum(rng.exponential(0.12, 400)).round(6)
    ]
    first = next(
        k
        for k, (at, _, side) in enumerate(prints)
        if len({i for t, i, s in prints[: k + 1] if s == side and round(at - t, 6) < 1.0}) >= 4
    )
    assert one_sided(prints[:first], strikes=4).head["trips"][0] == 0
    assert one_sided(prints[: first + 1], strikes=4).head["trips"][0] == 1


# ---- pick-offs ---------------------------------------------------------------------------------


def test_a_fill_with_its_cancel_on_the_way_is_a_pick_off_and_has_its_price():
    """Fair value falls to 2.05; the bid of 2.15 is hit before its replacement lands."""
    bench = Bench()
    bench.market(1.0, 200, 240)
    bench.wait(1.5)
    bench.theo(2.05)
    bench.market(2.0, 200, 240)
    bench.trade(2.005, 210, 4)
    acts = tables.pending(bench.state)
    fill = acts[acts["kind"] == tables.ACT_FILL][-1]
    assert fill["why"] & Why.PICKED_OFF
    assert bench.state.head["picked_lots"][0] == 4
    assert bench.state.head["picked_e9"][0] == 4 * 100 * 10 * CENT
    bench.wait(2.5)
    bench.trade(3.0, 195, 3)  # through the bid of 2.00, with nothing on the way
    assert bench.state.head["picked_lots"][0] == 4


# ---- spot for theo -----------------------------------------------------------------------------


def test_the_microprice_leans_to_the_thinner_side_and_the_mid_stays_for_marks():
    """(99.99 x 1 + 100.01 x 3) / 4 with three behind the bid and one behind the ask."""
    bench = Bench(spot_source=MICROPRICE)
    bench.feed((2, Kind.UNDERLYING_QUOTE, 2, 9999, 10001, 3, 1, 0))
    assert float(bench.state.head["spot"][0]) == pytest.approx(100.005, abs=1e-12)
    assert (bench.state.head["spot_e9"][0], bench.state.head["mid"][0]) == (100 * E9, 100.0)
    bench.feed((3, Kind.UNDERLYING_QUOTE, 2, 9999, 10001, 0, 0, 0))
    assert bench.state.head["spot"][0] == 100.0


def test_the_future_leads_by_its_move_from_the_average_basis():
    """Basis 5.00; half a half-life's weight on a new 7.00 after one half-life."""
    bench = Bench(spot_source=FUTURE, basis_half_life_ns=10 * E9)
    bench.feed((1, Kind.REFERENCE_QUOTE, 2, 10499, 10501, 9, 9, 0))
    assert bench.state.head["spot"][0] == 100.0
    bench.feed((2, Kind.REFERENCE_QUOTE, 2, 10599, 10601, 9, 9, 0))
    assert float(bench.state.head["spot"][0]) == pytest.approx(101.0, abs=1e-9)
    bench.feed((11, Kind.UNDERLYING_QUOTE, 2, 9899, 9901, 9, 9, 0))  # basis 7.00, ten seconds later
    assert float(bench.state.head["basis"][0]) == pytest.approx(6.0, abs=1e-9)
    assert float(bench.state.head["spot"][0]) == pytest.approx(100.0, abs=1e-9)
    assert bench.state.head["spot_e9"][0] == 99 * E9
    bench.feed((12, Kind.REFERENCE_QUOTE, 2, 0, 10601, 0, 9, 0))  # one-sided: the mid
    assert bench.state.head["spot"][0] == 99.0


def test_the_basis_to_an_index_follows_its_prints():
    """An index has no quotes: its prints are its level, and what the basis is measured by."""
    bench = Bench(spot_source=FUTURE, basis_half_life_ns=10 * E9, spot_from_prints=1)
    bench.feed((1, Kind.REFERENCE_QUOTE, 2, 10499, 10501, 9, 9, 0))
    bench.feed((11, Kind.UNDERLYING_TRADE, 2, 9800, 9800, 1, 0, 0))  # basis 7.00
    assert float(bench.state.head["basis"][0]) == pytest.approx(6.0, abs=1e-9)
    assert float(bench.state.head["spot"][0]) == pytest.approx(99.0, abs=1e-9)


def test_a_future_no_higher_than_its_basis_is_no_level():
    """A wrong quote of 4.00 over a basis of 5.00 would price the chain at a spot below zero."""
    bench = Bench(spot_source=FUTURE, basis_half_life_ns=10 * E9)
    bench.feed((1, Kind.REFERENCE_QUOTE, 2, 10499, 10501, 9, 9, 0))
    bench.feed((2, Kind.REFERENCE_QUOTE, 2, 399, 401, 9, 9, 0))
    assert bench.state.head["spot"][0] == 100.0
