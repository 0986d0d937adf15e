"""The tape of the replay bench is what it says, and its checks can fail."""

import numpy as np
import pytest

from optmm.bench import replay
from optmm.bench.replay_tape import HALF_CENT_E9, SPOT, VOL_OF_SECOND, Mix, Tape, shares
from optmm.engine import state as tables
from optmm.market.events import Kind

SMALL = Mix(instruments=60, events_per_s=4_000.0)


@pytest.fixture(scope="module")
def tape():
    it = Tape(SMALL)
    return it, it.opening(), np.concatenate(list(it.blocks(40_000, block=7_000)))


@pytest.fixture(scope="module")
def run():
    it = Tape(SMALL)
    start = replay.opened(it, replay.desk())
    events = np.concatenate(list(it.blocks(30_000)))
    return start, events, replay.replayed(start, events, replay.WHOLE)


def test_the_mix_is_kept_within_three_standard_errors(tape):
    events = tape[2]
    for kind, share in ((Kind.TRADE, SMALL.prints), (Kind.UNDERLYING_QUOTE, SMALL.underlying)):
        error = np.sqrt(share * (1.0 - share) / events.size)
        assert abs(np.mean(events["kind"] == kind) - share) < 3.0 * error
    seconds = (events["ts_event_ns"][-1] - events["ts_event_ns"][0]) / 1e9
    assert seconds == pytest.approx(events.size / SMALL.events_per_s, rel=0.03)


def test_quotes_lie_on_the_tick_and_never_cross(tape):
    it, opening, events = tape
    quotes = np.concatenate([opening, events])
    quotes = quotes[quotes["kind"] == Kind.QUOTE]
    tick = it.chain.tick_below_e9[quotes["instrument"]]
    assert not (quotes["bid_e9"] % tick).any() and not (quotes["ask_e9"] % tick).any()
    assert (quotes["ask_e9"] > quotes["bid_e9"]).all()
    assert ((quotes["bid_lots"] > 0) == (quotes["bid_e9"] > 0)).all()
    assert (np.diff(events["ts_event_ns"]) >= 0).all()


def test_sizes_change_more_often_than_prices(tape):
    found = shares(tape[2], SMALL.instruments)
    assert found["size only"] > found["price"] > 0.02
    assert found["price"] + found["size only"] + found["none"] == pytest.approx(1.0)


def test_prints_are_at_the_last_quote_of_their_option_or_a_tick_beyond(tape):
    """Counted again one event at a time, over the boundaries of blocks."""
    it, opening, events = tape
    shown = {}
    for row in np.concatenate([opening, events]):
        i = int(row["instrument"])
        if row["kind"] == Kind.QUOTE:
            shown[i] = int(row["bid_e9"]), int(row["ask_e9"])
        elif row["kind"] == Kind.TRADE:
            (bid, ask), tick = shown[i], int(it.chain.tick_below_e9[i])
            near = (max(bid - tick, tick), bid) if row["ask_lots"] < 0 else (ask, ask + tick)
            assert int(row["bid_e9"]) in near


def test_the_underlying_moves_half_a_cent_at_a_time_with_the_variance_of_the_day():
    it = Tape(Mix(instruments=2, events_per_s=100_000.0))
    it.opening()
    middle = it._walk(2_000_000)
    assert (np.abs(np.diff(middle)) == 1).all()
    # 2,000,000 steps are 10,000 seconds: the variance of a second has a relative error of 1.4 %
    second = np.diff(middle[::200]) * HALF_CENT_E9 / 1e9
    # one second's difference of a walk with turns keeps a bounce of about one step
    assert np.std(second) == pytest.approx(VOL_OF_SECOND * SPOT, rel=0.06)


def test_the_same_seed_gives_the_same_tape_and_another_does_not():
    first, again, other = (
        next(iter(Tape(SMALL, seed).blocks(500))).tobytes() for seed in (1, 1, 2)
    )
    assert first == again != other


def test_without_moves_only_sizes_of_the_underlying_change():
    it = Tape(Mix(instruments=20, moves=False))
    it.opening()
    rows = next(iter(it.blocks(30_000)))
    rows = rows[rows["kind"] == Kind.UNDERLYING_QUOTE]
    assert rows.size > 10 and np.unique(rows["bid_e9"]).size == np.unique(rows["ask_e9"]).size == 1


def test_blocks_do_not_change_what_happens_and_the_books_agree(run):
    start, events, whole = run
    assert int(whole.state.head["fills"][0]) > int(start.head["fills"][0])
    for block in (7, 4096):
        assert replay.digest(replay.replayed(start, events, block)) == replay.digest(whole)
    assert replay.books(start, whole) == []


def test_books_that_do_not_agree_are_named(run):
    start, _, whole = run
    fill = np.flatnonzero(whole.acts["kind"] == tables.ACT_FILL)[0]
    acts = whole.acts.copy()
    acts["px_e9"][fill] += 1
    assert replay.books(start, replay.Pass(0.0, whole.state, acts)) == [
        "cash_e9 of 1 instruments is not what the fills add up to"
    ]
    fewer = replay.books(start, replay.Pass(0.0, whole.state, np.delete(whole.acts, fill)))
    assert fewer[0].endswith("counted") and len(fewer) == 3


def test_requotes_count_both_sides_of_an_instant_once():
    acts = np.zeros(4, tables.ACT)
    acts["kind"] = tables.ACT_QUOTE
    acts["ts_ns"], acts["instrument"], acts["side"] = [1, 1, 1, 2], [5, 5, 6, 5], [1, -1, 1, 1]
    assert replay.requoted(acts) == 3
