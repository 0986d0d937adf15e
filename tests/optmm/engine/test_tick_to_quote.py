"""The stopwatch changes nothing, counts what sent a quote, and states no percentile too low."""

import numpy as np
import pytest

from optmm.bench import replay
from optmm.bench.replay_tape import Mix, Tape
from optmm.engine import core
from optmm.engine import state as tables
from optmm.engine.reasons import Reason
from optmm.engine.tick_to_quote import OCTAVE, Histogram, Stopwatch
from optmm.market.events import Kind


@pytest.fixture(scope="module")
def tape():
    it = Tape(Mix(instruments=40, events_per_s=2_000.0, underlying=0.02))
    return replay.opened(it, replay.desk()), np.concatenate(list(it.blocks(12_000)))


def walked(start, events, advance):
    """(digest of everything, reasons in order) of a run whose loop is `advance`."""
    state, acts, reasons, at = tables.restored(tables.snapshot(start), start), [], [], 0
    while True:
        at, why = advance(state, events, at)
        acts.append(tables.drained(state))
        reasons.append((at, int(why)))
        if why & Reason.END:
            break
    return replay.digest(replay.Pass(0.0, state, np.concatenate(acts))), reasons


@pytest.mark.parametrize(("every", "every_spot"), [(1, 1), (7, 3), (256, 4), (10**9, 10**9)])
def test_a_sampled_run_is_the_run(tape, every, every_spot):
    start, events = tape
    watch = Stopwatch(every, every_spot)
    assert walked(start, events, watch.advance) == walked(start, events, core.advance)


def test_it_looks_at_the_events_it_says_and_counts_those_that_sent_a_quote(tape):
    start, events = tape
    watch = Stopwatch(every=5, every_spot=2)
    walked(start, events, watch.advance)
    spot = np.flatnonzero(events["kind"] == Kind.UNDERLYING_QUOTE)[::2]
    looked = sorted({*spot.tolist(), *range(4, events.size, 5)})
    assert watch.looked_at == len(looked)
    # counted again with the loop stopped before and after each of those events
    state, sent = tables.restored(tables.snapshot(start), start), 0

    def to(stop, at):
        while at < stop:
            at, _ = core.advance(state, events[:stop], at)
            tables.empty_acts(state)
        return int(state.head["messages"][0])

    for index in looked:
        before = to(index, int(state.head["events"][0] - start.head["events"][0]))
        sent += to(index + 1, index) > before
    assert watch.event.samples == sent > 20


def test_a_block_that_ends_where_a_sample_does_ends_there(tape):
    start, events = tape
    watch = Stopwatch(every=10, every_spot=10**9)
    state = tables.restored(tables.snapshot(start), start)
    quiet = events[events["kind"] == Kind.QUOTE][:10].copy()
    at = 0
    while at < quiet.size:
        at, why = watch.advance(state, quiet, at)
    assert (at, why) == (10, Reason.END) and watch.looked_at == 1
    assert watch.advance(state, quiet, 10) == (10, Reason.END)


def test_percentiles_are_never_too_low_and_at_most_a_bucket_too_high():
    rng = np.random.default_rng(3)
    drawn = np.maximum(np.exp(rng.normal(9.0, 1.5, 5_001)), 1.0).astype(np.int64)
    it = Histogram()
    for ns in drawn.tolist():
        it.add(ns)
    for percent in (1, 50, 90, 99, 100):
        # the smallest duration that so many per cent do not exceed
        exact = np.sort(drawn)[int(np.ceil(drawn.size * percent / 100)) - 1] / 1e3
        assert exact <= it.percentile_us(percent) <= exact * 2 ** (1 / OCTAVE) * (1 + 1e-12)
    assert it.as_json()["max_us"] == pytest.approx(drawn.max() / 1e3, abs=5e-4)


def test_bars_hold_every_sample_once_under_their_edge():
    rng = np.random.default_rng(4)
    drawn = rng.integers(1, 10**6, 2_000).tolist()
    it = Histogram()
    for ns in drawn:
        it.add(ns)
    bars = it.bars()
    assert sum(bar["count"] for bar in bars) == len(drawn)
    for bar in bars:
        below = sum(ns <= bar["le_us"] * 1e3 for ns in drawn)
        assert below == sum(b["count"] for b in bars if b["le_us"] <= bar["le_us"])


def test_an_empty_histogram_says_nothing():
    assert Histogram().as_json() == {
        "samples": 0, "p50_us": None, "p90_us": None, "p99_us": None, "max_us": None,
        "histogram": [],
    }  # fmt: skip


def test_a_decision_is_timed_apart():
    watch = Stopwatch()
    with watch.deciding():
        pass
    got = watch.as_json()
    assert (got["decision"]["samples"], got["event"]["samples"], got["looked_at"]) == (1, 0, 0)
