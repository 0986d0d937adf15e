"""The long day repeats the short one: same prices, new sizes, in order, no truth in it."""

import sys

import numpy as np
import pytest

from optmm.bench import memory, replay_day
from optmm.data import store
from optmm.data.tape import Ledger
from optmm.market.events import Kind


@pytest.fixture(scope="module")
def base():
    return replay_day.recorded(minutes=5)


def test_a_recorded_day_has_prints_and_no_takers(base):
    kinds = set(np.unique(base.events["kind"]).tolist())
    assert Kind.TAKER not in kinds and Kind.TRADE in kinds
    assert not base.simulated


def test_prints_are_at_the_touch_that_was_displayed(base):
    shown = {}
    for row in base.events:
        i = int(row["instrument"])
        if row["kind"] == Kind.QUOTE:
            shown[i] = int(row["bid_e9"]), int(row["ask_e9"])
        elif row["kind"] == Kind.TRADE:
            assert int(row["bid_e9"]) == shown[i][0 if row["ask_lots"] < 0 else 1]
            assert row["bid_lots"] > 0 and row["bits"] == 0


def test_the_long_day_shows_every_quote_so_often_with_the_prices_of_its_time(base, tmp_path):
    times = 4
    events = replay_day.stored(base, times, tmp_path / "day")
    day = store.read(tmp_path / "day")
    assert day.events.size == events
    quotes = int((base.events["kind"] == Kind.QUOTE).sum())
    assert events == base.events.size + (times - 1) * quotes
    assert (np.diff(day.events["ts_event_ns"]) >= 0).all()
    # an option's prices in time, repeats dropped, are those of the short day
    for i in np.unique(base.events["instrument"])[:50].tolist():
        short, long = (
            rows[(rows["kind"] == Kind.QUOTE) & (rows["instrument"] == i)][["bid_e9", "ask_e9"]]
            for rows in (base.events, day.events)
        )
        assert np.array_equal(_changes(short), _changes(long))


def _changes(rows):
    keep = np.ones(rows.size, bool)
    keep[1:] = rows[1:] != rows[:-1]
    return rows[keep]


def test_blocks_are_bounded(base, monkeypatch):
    monkeypatch.setattr(replay_day, "BLOCK_ROWS", 1_000)
    sizes = [b.size for b in replay_day.Repeated(base, 10).blocks(Ledger(), lambda rows: None)]
    assert max(sizes) <= 1_000 and len(sizes) > 20


def test_memory_has_a_row_a_day_and_names_a_replay_that_failed(monkeypatch):
    peaks = iter([(800.0, 9.0, 0), (1100.0, 90.0, 4)])
    monkeypatch.setattr(memory, "peak_mb", lambda line: next(peaks))
    monkeypatch.setattr(memory.replay_day, "stored", lambda base, times, folder: 700_000 * times)
    monkeypatch.setattr(memory.replay_day, "recorded", _Day)
    rows, wrong = memory.run(quick=False, say=lambda words: None)
    assert [row.verdict for row in rows] == ["meets", "misses", "shown"]
    assert rows[2].measured == pytest.approx(1.375)
    assert wrong == ["correct: the replay of 70,000,000 events ended with code 4"]


class _Day:
    chain = range(2_500)


def test_the_peak_is_the_childs_and_its_code_comes_back():
    """It used to be ours where that is larger: a child starts with its parent's on its record."""
    ours = bytearray(600_000_000)
    line = [sys.executable, "-c", "x = bytearray(150_000_000); raise SystemExit(3)"]
    peak, seconds, code = memory.peak_mb(line)
    assert code == 3 and 150.0 < peak < 400.0 and seconds >= 0.0
    assert len(ours) == 600_000_000
