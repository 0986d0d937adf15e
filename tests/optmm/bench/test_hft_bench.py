"""The tape beside hftbacktest: both forms of it tell one story, and a peer that fails is named."""

import sys

import numpy as np
import pytest

from optmm.bench import hft
from optmm.bench.replay import WHOLE, replayed
from optmm.engine import state as tables
from optmm.market.events import Kind

FLOW = hft.Flow("test", prints=0.05, prices=0.2)


@pytest.fixture(scope="module")
def book():
    return hft.drawn(FLOW, 20_000)


def test_the_book_is_four_or_five_ticks_wide_and_moves_a_side_at_a_time(book):
    assert set((book.ask - book.bid).tolist()) == {4, 5}
    moved = np.abs(np.diff(book.bid)) + np.abs(np.diff(book.ask))
    assert (moved == (book.kind[1:] == 1)).all()


def test_the_peers_rows_rebuild_the_same_top_of_book(book):
    """A dict of levels, fed row by row: after the last row of an instant the best is the book's."""
    rows = hft.theirs(book)
    assert (np.diff(rows["exch_ts"]) >= 0).all()
    levels = {hft.BID: {}, hft.ASK: {}}
    tops = {}
    for row in rows:
        side = int(row["ev"]) & (hft.BID | hft.ASK)
        if int(row["ev"]) & 0xFF == hft.DEPTH:
            tick, qty = round(row["px"] * 100), int(row["qty"])
            levels[side][tick] = qty
            if not qty:
                del levels[side][tick]
        if not (levels[hft.BID] and levels[hft.ASK]):
            continue  # the first of the two rows that open the book
        bid, ask = max(levels[hft.BID]), min(levels[hft.ASK])
        tops[int(row["exch_ts"])] = bid, ask, levels[hft.BID][bid], levels[hft.ASK][ask]
    want = zip(book.bid, book.ask, book.bid_lots, book.ask_lots, strict=True)
    for at, top in zip(book.ts_ns.tolist(), want, strict=True):
        assert tops[at] == tuple(int(x) for x in top)


def test_no_best_of_the_peers_book_is_wrong_between_two_rows(book):
    """A side that steps back shows its new level before the old one goes."""
    rows = hft.theirs(book)
    twice = np.flatnonzero(np.diff(rows["exch_ts"]) == 0)[1:]
    assert twice.size > 100
    assert (rows["qty"][twice] > 0).all() and (rows["qty"][twice + 1] == 0).all()


def test_our_events_tell_the_same_and_prices_come_twice(book):
    rows = hft.ours(book)
    quotes = rows[rows["kind"] == Kind.QUOTE]
    kept = book.kind < 2
    assert (quotes["bid_e9"] == book.bid[kept] * hft.TICK_E9).all()
    assert (quotes["ask_lots"] == book.ask_lots[kept]).all()
    assert (rows["kind"] == Kind.UNDERLYING_QUOTE).sum() == 1 + (book.kind == 1).sum()
    prints = rows[rows["kind"] == Kind.TRADE]
    assert (prints["ask_lots"] == -book.side[book.kind == 2]).all()


def simulated(book, latency_ns):
    """The rule, the latency and the queue in plain Python: (sent, fills) of one lot a side."""
    sent, fills, wire = 0, 0, []
    want = {1: None, -1: None}  # ticks of what was sent last; None is nothing
    live = {1: None, -1: None}  # [tick, ahead]
    shown = (0, 0, 0, 0)

    def land(until):
        while wire and wire[0][0] <= until:
            _, side, tick = wire.pop(0)
            top, lots = (shown[0], shown[2]) if side > 0 else (shown[1], shown[3])
            live[side] = [tick, 0 if side * (tick - top) > 0 else lots]

    for k in range(book.kind.size):
        at = int(book.ts_ns[k])
        land(at)
        was = shown
        shown = tuple(int(x[k]) for x in (book.bid, book.ask, book.bid_lots, book.ask_lots))
        if book.kind[k] < 2:
            for side in (1, -1):
                if live[side] is None:
                    continue
                tick, ahead = live[side]
                top, lots = (shown[0], shown[2]) if side > 0 else (shown[1], shown[3])
                before = was[0] if side > 0 else was[1]
                if side * (tick - top) > 0:
                    ahead = 0
                elif tick != top:
                    ahead = max(ahead, lots)
                else:
                    ahead = min(ahead, lots) if before == top else lots
                live[side] = [tick, ahead]
        else:
            side, px, lots = int(book.side[k]), int(book.px[k]), int(book.lots[k])
            if live[side] is not None and side * (live[side][0] - px) >= 0:
                tick, ahead = live[side]
                if lots > ahead:
                    fills += 1
                    live[side] = None
                    want[side] = None
                elif tick == px:
                    live[side] = [tick, ahead - lots]
        middle2 = shown[0] + shown[1]
        for side in (1, -1):
            target = side * ((side * middle2 - 2 * hft.HALF_TICKS) // 2)
            if want[side] != target:
                want[side] = target
                wire.append((at + latency_ns, side, target))
                sent += 1
    return sent, fills


def test_the_engine_does_what_a_plain_program_of_the_same_rules_does(book):
    done = replayed(hft.opened(book, 0), hft.ours(book), WHOLE)
    found = hft.counted(done.acts)
    sent, fills = simulated(book, hft.LATENCY_NS)
    still_flying = int(done.state.head["wire_count"][0])
    assert fills > 50
    # a fill while a message flies, or two prices within the latency, may differ by one message
    assert found["fills"] == pytest.approx(fills, abs=3)
    assert found["sent"] + still_flying == pytest.approx(sent, rel=0.005)


def test_replaced_orders_are_those_that_rested():
    acts = np.zeros(5, tables.ACT)
    q, fill = tables.ACT_QUOTE, tables.ACT_FILL
    acts["kind"], acts["side"] = [q, q, fill, q, q], [1, 1, 1, 1, -1]
    acts["lots"] = [1, 1, 1, 1, 0]
    assert hft.counted(acts) == {"sent": 3, "replaced": 1, "fills": 1, "position": 1}


def test_a_peer_that_is_not_there_is_named_and_stops_nothing(monkeypatch, tmp_path):
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho \"No module named 'hftbacktest'\" >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv(hft.PYTHON, str(broken))
    monkeypatch.delenv(hft.FAILURES, raising=False)
    monkeypatch.setattr(hft, "FLOWS", (hft.Flow("single asset", 0.05, 0.2, barred=True),))
    monkeypatch.setattr(hft, "QUICK_EVENTS", 2_000)
    rows, peers, wrong = hft.run(quick=True, with_peers=True)
    assert [row.verdict for row in rows] == ["skipped"] and wrong == []
    assert (
        "No module named 'hftbacktest'" in rows[0].note and "scripts/bench replay" in rows[0].note
    )
    assert peers[0]["peer"] == "hftbacktest"
    failed = tmp_path / "failed"
    failed.write_text("hftbacktest\tERROR: no wheel for this Python\n", encoding="utf-8")
    monkeypatch.setenv(hft.FAILURES, str(failed))
    assert "no wheel for this Python" in hft.run(quick=True, with_peers=True)[0][0].note


def test_without_peers_one_row_says_how(monkeypatch):
    monkeypatch.setenv(hft.PYTHON, sys.executable)
    rows, peers, wrong = hft.run(quick=True, with_peers=False)
    assert rows[0].note == "run with --peers" and peers == wrong == []


def test_a_count_that_is_off_misses(book):
    mine = {"events_per_second": 9e6, "sent": 106, "replaced": 100, "fills": 10, "position": 0}
    other = mine | {"events_per_second": 3e6, "sent": 100, "version": "1"}
    barred = hft.Flow("x", 0.1, 0.1, barred=True)
    found = {row.what: row.verdict for row in hft._rows(barred, mine, other)}
    assert found["correct: x: sent, difference"] == "misses"
    assert found["correct: x: fills, difference"] == "meets"
    assert found["x: events a second, times hftbacktest's"] == "meets"
    assert {r.verdict for r in hft._rows(hft.Flow("y", 0.1, 0.1), mine, other)} == {"shown"}
