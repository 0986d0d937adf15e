"""What must hold of our quotes whatever the market does: grid, sides, switches, no surprises."""

import numpy as np
import pytest
import tape
from bench import Bench
from hypothesis import given, settings
from hypothesis import strategies as st

from optmm.engine import quote
from optmm.engine import state as tables

E9, CENT = tape.E9, tape.BELOW
# (premium at which the tick changes, tick below, tick above), 1e-9 USD
TICK_RULES = [
    (3 * E9, CENT, 5 * CENT),  # stock options in the penny programme
    (3 * E9, 5 * CENT, 10 * CENT),  # and outside it
    (0, CENT, CENT),
    (5 * E9, 5 * CENT, 25 * CENT),  # options on CME's equity index futures
]


def next_on_grid(px: int, split: int, below: int, above: int) -> int:
    """The grid price after grid price `px`."""
    return px + (below if px < split else above)


@settings(deadline=None, derandomize=True, max_examples=500)
@given(px=st.integers(0, 10_000 * E9), rule=st.sampled_from(TICK_RULES), near=st.booleans())
def test_ticks_round_to_the_nearest_grid_price_on_the_outer_side(px, rule, near):
    split, below, above = rule
    if near:  # where the tick changes is where rounding goes wrong
        px = max(split + px % (4 * above) - 2 * above, 0)
    floor, ceil = quote.floor_tick(px, *rule), quote.ceil_tick(px, *rule)
    for rounded in (floor, ceil):
        assert rounded % (below if rounded < split else above) == 0
    assert floor <= px < next_on_grid(floor, *rule)
    assert ceil == (px if floor == px else next_on_grid(floor, *rule))


@settings(deadline=None, derandomize=True, max_examples=500)
@given(px=st.integers(1, 10_000 * E9), rule=st.sampled_from(TICK_RULES))
def test_the_tick_under_and_over_are_neighbours(px, rule):
    under, over = quote.tick_under(px, *rule), quote.tick_over(px, *rule)
    assert under < px <= next_on_grid(under, *rule)
    assert over == next_on_grid(quote.floor_tick(px, *rule), *rule)


def sent_since(state: tables.EngineState, messages: int) -> np.ndarray:
    """The quote messages put on the wire after the first `messages`."""
    h = state.head[0]
    last = int(h["wire_first"]) + int(h["wire_count"])
    rows = np.arange(last - (int(h["messages"]) - messages), last) % state.wire.size
    return state.wire[rows]


def fair_now(state: tables.EngineState, rows: np.ndarray) -> np.ndarray:
    """Taylor value of the sheet at the present spot, USD, not below zero."""
    m = state.mkt[rows]
    move = state.head["spot"][0] - m["spot_ref"]
    return np.maximum(m["theo"] + m["delta"] * move + m["gamma_half"] * move * move, 0.0)


@pytest.mark.parametrize("world", tape.WORLDS)
def test_invariants_hold_after_every_event(world):
    """Sides never meet, nothing outlives a trip, what is sent is on the grid and outside fair."""
    replay = tape.Replay(tape.Setup(world=world, seed=6, events=12_000, tight=True))
    both, tripped, wrong = 0, 0, []
    while replay.at < replay.events.size:
        messages = int(replay.state.head["messages"][0])
        replay.run(replay.at + 1)
        own = replay.state.own[:-1]
        live = (own["bid_lots"] > 0) & (own["ask_lots"] > 0)
        both += int(live.sum())
        assert (own["bid_e9"] < own["ask_e9"])[live].all()
        assert (own["bid_lots"] >= 0).all() and (own["ask_lots"] >= 0).all()
        if replay.state.head["is_tripped"][0]:
            tripped += 1
            assert not own["bid_lots"].any() and not own["ask_lots"].any()
        sent = sent_since(replay.state, messages)
        sent = sent[sent["lots"] > 0]
        if sent.size:
            fair = fair_now(replay.state, sent["instrument"])
            tick = np.where(sent["px_e9"] < tape.SPLIT, tape.BELOW, tape.ABOVE)
            outside = sent["side"] * (fair - sent["px_e9"] / E9) >= -1e-12 * (1.0 + fair)
            wrong.extend(sent[(sent["px_e9"] % tick != 0) | ~outside])
    assert both > 10_000
    assert tripped > 100
    assert not wrong


@pytest.mark.parametrize("world", tape.WORLDS)
def test_no_quote_rests_that_met_the_market_when_it_landed(world):
    """Of all quotes that came to rest; the refused ones show that the tape tempts them."""
    replay = tape.Replay(tape.Setup(world=world, latency_ns=200_000_000)).run()
    acts = replay.all_acts()
    landed = acts[(acts["kind"] == tables.ACT_QUOTE) & (acts["lots"] > 0)]
    bids, asks = landed[landed["side"] > 0], landed[landed["side"] < 0]
    assert min(bids.size, asks.size) > 3_000
    assert ((bids["ask_e9"] == 0) | (bids["px_e9"] < bids["ask_e9"])).all()
    assert ((asks["bid_e9"] == 0) | (asks["px_e9"] > asks["bid_e9"])).all()
    assert (acts["kind"] == tables.ACT_REJECT).sum() >= 50


def test_a_kill_latches():
    """Every quote is gone at once, those in flight land as cancels, and `rearm` lifts nothing."""
    replay = tape.Replay(tape.Setup(world="optimistic")).run(20_000)
    state, own = replay.state, replay.state.own
    fills, messages = (int(state.head[name][0]) for name in ("fills", "messages"))
    assert fills > 500 and own["bid_lots"].any() and int(state.head["wire_count"][0])
    tables.kill(state)
    for stop in (20_001, 25_000, 40_000, 60_000):
        assert not own["bid_lots"].any() and not own["ask_lots"].any()
        tables.rearm(state)
        replay.run(stop)
        assert bool(state.head["is_killed"][0])
        assert (int(state.head["fills"][0]), int(state.head["messages"][0])) == (fills, messages)


def test_a_trip_holds_until_it_is_rearmed_and_then_quotes_return():
    replay = tape.Replay(tape.Setup(world="optimistic", tight=True))
    while not replay.state.head["is_tripped"][0]:
        replay.run(replay.at + 1)
    tape.set_limits(replay.state, replay.setup)
    messages, at = int(replay.state.head["messages"][0]), replay.at
    stop = at - at % tape.STOP_EVERY + tape.STOP_EVERY  # no decision before
    replay.run(stop)
    assert int(replay.state.head["messages"][0]) == messages
    tables.rearm(replay.state)
    replay.run(stop + 2 * tape.STOP_EVERY)
    assert int(replay.state.head["messages"][0]) > messages


def test_a_refused_message_does_not_hide_the_one_behind_it():
    """The refusal of a first message used to erase the memory of a second, in flight.

    The second came to rest unknown to the desk, was never cancelled, and filled without fair value.
    """
    bench = Bench()
    bench.theo(2.30)
    bench.market(1.000, 210, 260)  # sends a bid of 2.25
    bench.market(1.005, 210, 225)  # sends a lower one behind it: 2.25 would lock
    bench.wait(1.500)  # 2.25 was refused at 1.010, the lower one rests since 1.015
    assert bench.state.head["rejected"] == 1
    assert bench.own["bid_lots"] == 10 and bench.own["bid_e9"] < 225 * CENT
    bench.theo(np.nan)
    bench.market(2.000, 200, 240)  # no fair value: every quote must be cancelled
    bench.trade(2.100, 205, 50)
    assert (bench.own["qty"], bench.own["bid_lots"]) == (0, 0)


def test_a_fill_does_not_hide_a_smaller_message_in_flight():
    """Lots of the old quote used to be taken off the size of its replacement, still in flight.

    The replacement came to rest unknown to the desk, and filled where no headroom was left.
    """
    bench = Bench()
    bench.market(1.000, 200, 240)
    bench.sizes(2, 2)
    bench.market(2.000, 200, 240)  # the bid of ten becomes one of two at 2.010
    bench.trade(2.005, 210, 4)
    bench.wait(2.500)
    assert (bench.own["qty"], bench.own["bid_lots"]) == (4, 2)
    bench.sizes(0, 0)  # no headroom
    bench.market(3.000, 200, 240)
    bench.trade(3.100, 210, 50)
    assert (bench.own["qty"], bench.own["bid_lots"]) == (4, 0)


def test_a_side_that_gave_way_to_our_other_side_is_quoted_again():
    """With the budget used up by the bid, the ask it removed used to be taken for live for ever."""
    bench = Bench(messages=3, message_window_ns=10 * E9)
    bench.market(1.0, 200, 240)
    bench.theo(2.40)
    bench.market(1.1, 220, 260)  # the bid goes to 2.35, over the ask of 2.25; no budget for the ask
    bench.market(1.2, 220, 260)
    assert bench.own["ask_lots"] == 0
    bench.theo(2.20)
    bench.market(20.0, 200, 240)
    bench.market(20.1, 200, 240)
    assert (bench.own["ask_e9"], bench.own["ask_lots"]) == (225 * CENT, 10)


@pytest.mark.parametrize("world", tape.WORLDS)
def test_what_rests_is_what_was_last_sent_once_nothing_flies(world):
    """The desk decides by `sent`; wherever it differs from the exchange, it decides blindly."""
    replay = tape.Replay(tape.Setup(world=world, seed=7, events=12_000, tight=True))
    state, wrong = replay.state, []
    while replay.at < replay.events.size:
        replay.run(replay.at + 1)
        h, own = state.head[0], state.own
        flying = (int(h["wire_first"]) + np.arange(int(h["wire_count"]))) % state.wire.size
        for side, word in ((1, "bid"), (-1, "ask")):
            live, sent = own[word + "_lots"], own[f"sent_{word}_lots"]
            differ = (live != sent) | ((live > 0) & (own[word + "_e9"] != own[f"sent_{word}_e9"]))
            ours = state.wire[flying]
            differ[ours["instrument"][ours["side"] == side]] = False
            for i in np.flatnonzero(differ):
                wrong.append((replay.at - 1, int(i), word, int(live[i]), int(sent[i])))
    assert not wrong, f"{len(wrong)} (event, option, side, lots live, lots sent): {wrong[:5]}"
