"""One asset beside hftbacktest: the same tape, latency, queue model and quoting rule, in one run.

Ours   The asset is quoted as a call with a strike of a tenth of a cent, whose fair value is the
       middle of the underlying (theo = spot, delta 1, gamma 0), in the `queue` world with all of a
       print behind the queue for us. A top of book that moves the middle is two events to us, the
       underlying's and the option's; events a second count the tape's, as they do for the peer.
Peer   hftbacktest in a process of its own (`hft_peer`) on the same core: the vector of depth,
       constant order latency, `RiskAdverseQueueModel` (displayed size ahead, moved by trades at the
       price and never more than is shown), post-only orders of one lot.
Rule   bid and ask at the middle less and plus two ticks, outward to the tick, left alone inside a
       band round the target; decided at every event of the tape.

Passes are taken in turns, the best counts. What they do is compared: orders sent, orders replaced,
fills, each within 5 %. The bars are on a tape with the mix of real ticks and a band under a tick,
so that an order always follows its target. Two more are shown. Inside a whole tick an order may
stay behind when the market improves; when it comes back, we start behind all that is displayed,
as a top of book cannot say whose size that is, while the peer keeps the place it had and fills more
often. And a tape whose prices move four times as often, where messages and fills, each of which
comes back to Python, outweigh the events.
"""

import datetime as dt
import json
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optmm.bench.replay import CORRECT, EVENTS, FAR_NS, WHOLE, replayed
from optmm.bench.replay_tape import DATE, ROOT
from optmm.bench.rows import Row, skipped
from optmm.engine import state as tables
from optmm.market.chain import Underlying
from optmm.market.events import Bits, Kind, empty
from optmm.market.instruments import Option
from optmm.market.products import list_chain, product

PYTHON = "OPTMM_REPLAY_PEERS"  # the peer's Python, set by scripts/bench; ours without it
FAILURES = "OPTMM_REPLAY_PEERS_FAILED"  # lines "distribution <tab> why", from scripts/bench
PEER = "hftbacktest"

E9 = 1_000_000_000
EXPIRY = dt.date(2025, 12, 19)
TICK_E9 = 10_000_000
MIDDLE = 10_000  # ticks, where the tape starts
REACH = 9_000  # ticks from there that the tape stays inside
RATE = 1_000.0  # events a second of event time
LATENCY_NS = 250_000
HALF_TICKS = 2
THROUGH = 0.02  # of the prints: a tick beyond the touch, as the end of a sweep
AGREE, LEAST, TIMES = 0.05, 3.0, "times"
COUNTS = ("sent", "replaced", "fills")
EVENTS_OF_TAPE, QUICK_EVENTS = 1_000_000, 200_000
BID, ASK = 1 << 29, 1 << 28  # hftbacktest's event bits
BOTH_SEE = 1 << 31 | 1 << 30
DEPTH, TRADE = 1, 2
THEIRS = np.dtype(
    [
        ("ev", "u8"), ("exch_ts", "i8"), ("local_ts", "i8"), ("px", "f8"), ("qty", "f8"),
        ("order_id", "u8"), ("ival", "i8"), ("fval", "f8"),
    ],
    align=True,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Flow:
    """What a tape is made of and how orders follow it. Shares of the events; the rest are sizes."""

    label: str
    prints: float
    prices: float
    band: int = 0  # ticks that a target may be away
    barred: bool = False


FLOWS = (
    # of AIG's ticks on 2013-10-07 (LEAN's sample) 2.3 % are prints, and of the changes of one
    # exchange's side 3.7 % move its price
    Flow("single asset", 0.023, 0.036, barred=True),
    Flow("single asset, orders stay within a tick", 0.023, 0.036, band=1),
    Flow("single asset, prices move four times as often", 0.023, 0.15),
)


@dataclass(frozen=True, slots=True)
class Book:
    """The tape: one event a row. Prices in ticks, sizes in lots; `side` +1 the bid's, -1 the ask's.

    kind 0: a size, 1: a price and its size, 2: a print at `px` that hits the bid (+1) or lifts the
    ask (-1).
    """

    ts_ns: NDArray[np.int64]
    kind: NDArray[np.int64]
    side: NDArray[np.int64]
    px: NDArray[np.int64]
    lots: NDArray[np.int64]
    bid: NDArray[np.int64]  # after the event
    ask: NDArray[np.int64]
    bid_lots: NDArray[np.int64]
    ask_lots: NDArray[np.int64]


def drawn(flow: Flow, events: int, seed: int = 11) -> Book:
    """A book four or five ticks wide whose sides move a tick at a time; the first row is a size."""
    rng = np.random.Generator(np.random.PCG64(seed))
    u = rng.random(events)
    kind = np.where(u < flow.prints, 2, np.where(u < flow.prints + flow.prices, 1, 0))
    kind[0] = 0
    side = np.where(rng.random(events) < 0.5, 1, -1)
    priced = kind == 1
    # wide after every second move: from four ticks a side steps back, from five one steps up
    widens = np.cumsum(priced) % 2 == 1
    step = np.where(priced, np.where(widens, -side, side), 0)
    bid = MIDDLE - 2 + np.cumsum(np.where(side > 0, step, 0))
    ask = MIDDLE + 2 + np.cumsum(np.where(side < 0, step, 0))
    if abs(bid - MIDDLE).max() > REACH:
        raise ValueError(f"{events:,} events leave the {REACH:,} ticks that the tape has room for")
    size = np.maximum(np.rint(20.0 * np.exp(0.8 * rng.standard_normal(events))), 1.0)
    size = size.astype(np.int64)
    shown = []
    for which in (1, -1):
        new = (kind < 2) & (side == which)
        new[0] = True
        shown.append(size[np.maximum.accumulate(np.where(new, np.arange(events), 0))])
    through = rng.random(events) < THROUGH
    touch = np.where(side > 0, bid, ask)
    px = np.where((kind == 2) & through, touch - side, touch)
    lots = rng.geometric(0.5, events) * np.where(through, 100, 1)
    gaps = np.maximum(rng.exponential(E9 / RATE, events).astype(np.int64), 1)
    start = product(ROOT).session(DATE).open_ns
    return Book(start + np.cumsum(gaps), kind, side, px, lots, bid, ask, shown[0], shown[1])


def ours(book: Book) -> NDArray[np.void]:
    """Our events: a price that moves is the underlying's quote, then the option's."""
    n = book.kind.size
    both = book.kind == 1
    both[0] = True
    place = np.arange(n) + np.cumsum(both)
    out = empty(n + int(both.sum()))
    for at, rows, kind, instrument in (
        (place, np.arange(n), Kind.QUOTE, 0),
        (place[both] - 1, np.flatnonzero(both), Kind.UNDERLYING_QUOTE, 1),
    ):
        out["ts_event_ns"][at] = out["ts_recv_ns"][at] = book.ts_ns[rows]
        out["bid_e9"][at], out["ask_e9"][at] = book.bid[rows] * TICK_E9, book.ask[rows] * TICK_E9
        out["bid_lots"][at], out["ask_lots"][at] = book.bid_lots[rows], book.ask_lots[rows]
        out["kind"][at], out["instrument"][at] = kind, instrument
    traded = np.flatnonzero(book.kind == 2)
    at = place[traded]
    out["kind"][at] = Kind.TRADE
    out["bid_e9"][at] = out["ask_e9"][at] = book.px[traded] * TICK_E9
    out["bid_lots"][at], out["ask_lots"][at] = book.lots[traded], -book.side[traded]
    return out


def theirs(book: Book) -> NDArray[np.void]:
    """hftbacktest's rows: levels change one at a time, so that the best moves in one row.

    A best that steps back is the new level first and the old one's removal after it.
    """
    rows = []
    before = np.where(book.side > 0, np.roll(book.bid, 1), np.roll(book.ask, 1))
    now = np.where(book.side > 0, book.bid, book.ask)
    lots = np.where(book.side > 0, book.bid_lots, book.ask_lots)
    back = (book.kind == 1) & (book.side * (now - before) < 0)
    quoted, traded = book.kind < 2, book.kind == 2
    index = np.arange(book.kind.size)

    def made(which: Any, ev: Any, px: Any, qty: Any, rank: int) -> None:
        out = np.zeros(int(which.sum()), THEIRS)
        side = np.where(book.side[which] > 0, BID, ASK)
        out["ev"] = BOTH_SEE | ev | side
        out["exch_ts"] = out["local_ts"] = book.ts_ns[which]
        out["px"], out["qty"] = px[which] * TICK_E9 / E9, qty[which]
        rows.append((2 * index[which] + rank, out))

    made(quoted, DEPTH, now, lots, 0)
    made(back, DEPTH, before, np.zeros_like(lots), 1)
    # the side of a trade is its initiator's: a print that hits the bid is a seller's
    out = np.zeros(int(traded.sum()), THEIRS)
    out["ev"] = BOTH_SEE | TRADE | np.where(book.side[traded] > 0, ASK, BID).astype(np.uint64)
    out["exch_ts"] = out["local_ts"] = book.ts_ns[traded]
    out["px"], out["qty"] = book.px[traded] * TICK_E9 / E9, book.lots[traded]
    rows.append((2 * index[traded], out))
    order = np.argsort(np.concatenate([place for place, _ in rows]), kind="stable")
    first = np.zeros(2, THEIRS)
    first["ev"] = BOTH_SEE | DEPTH | np.array([BID, ASK], np.uint64)
    first["exch_ts"] = first["local_ts"] = book.ts_ns[0] - 1
    first["px"] = np.array([book.bid[0], book.ask[0]]) * TICK_E9 / E9
    first["qty"] = book.bid_lots[0], book.ask_lots[0]
    return np.concatenate([first, np.concatenate([out for _, out in rows])[order]])


def opened(book: Book, band: int) -> tables.EngineState:
    """Our world before the first event: fair value is the underlying's middle."""
    stock = Underlying(ROOT, "equity", 1, TICK_E9)
    chain = list_chain([Option(ROOT, EXPIRY, 1, 1_000_000)], date=DATE, underlying=stock)
    state = tables.create(chain, "queue")
    for name, value in (
        ("latency_ns", LATENCY_NS), ("order_ns", LATENCY_NS), ("stale_spot_ns", FAR_NS),
        ("stale_quote_ns", FAR_NS), ("guard_ns", FAR_NS), ("on_event", 1), ("share_pm", 1000),
        # half a tick more than the band: it is counted in whole ticks on both sides
        ("hysteresis", (band + 0.5) / HALF_TICKS),
    ):  # fmt: skip
        state.head[name] = value
    spot, one = MIDDLE * TICK_E9 / E9, np.ones(1)
    tables.publish_theo(
        state, theo=spot * one, delta=one, gamma=0.0 * one, df=one, growth=one, spot_ref=spot,
        taylor_range=1.0,
    )  # fmt: skip
    # a millionth of a dollar under two ticks: floating point may not turn a price into its
    # neighbour when the target falls on the grid
    half = (HALF_TICKS * TICK_E9 / E9 - 1e-6) * one
    lots, zero = np.ones(1, np.int64), np.zeros(1, np.int64)
    tables.publish_quotes(
        state, half_bid=half, half_ask=half, skew=0.0 * one, cap_bid=lots, cap_ask=lots,
        why_bid=zero, why_ask=zero,
    )  # fmt: skip
    tables.set_limits(state, headroom_usd=math.inf, max_fill_usd=0.0, unit_usd=np.zeros(1))
    status = empty(1)
    status["ts_event_ns"] = book.ts_ns[0] - 1
    status["kind"], status["bits"], status["instrument"] = Kind.STATUS, Bits.OPEN, 1
    return replayed(state, status, 1).state


def counted(acts: NDArray[np.void]) -> dict[str, int]:
    """Orders that landed, how many of them replaced a resting one, fills and position."""
    sent = replaced = fills = position = 0
    live = {1: False, -1: False}
    rows = acts[np.isin(acts["kind"], (tables.ACT_QUOTE, tables.ACT_REJECT, tables.ACT_FILL))]
    for kind, side, lots in zip(
        rows["kind"].tolist(), rows["side"].tolist(), rows["lots"].tolist(), strict=True
    ):
        if kind == tables.ACT_FILL:
            fills += 1
            position += side * lots
            live[side] = False
        elif lots > 0:
            sent += 1
            replaced += live[side]
            live[side] = True
        else:
            live[side] = False
    return {"sent": sent, "replaced": replaced, "fills": fills, "position": position}


@contextmanager
def _peer(book: Book, band: int) -> Iterator[subprocess.Popen[str]]:
    """The peer's process, waiting for lines; it inherits our core."""
    with tempfile.TemporaryDirectory(prefix="optmm-bench-") as folder:
        tape, settings = Path(folder) / "tape.npy", Path(folder) / "settings.json"
        np.save(tape, theirs(book))
        tick = TICK_E9 / E9
        settings.write_text(
            json.dumps(
                {
                    "latency_ns": LATENCY_NS, "tick": tick, "low": (MIDDLE - REACH) * tick,
                    "high": (MIDDLE + REACH) * tick, "half_ticks": HALF_TICKS, "band_ticks": band,
                }
            ),
            encoding="utf-8",
        )  # fmt: skip
        program = Path(__file__).with_name("hft_peer.py")
        child = subprocess.Popen(
            [os.environ.get(PYTHON, sys.executable), str(program), str(tape), str(settings)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            yield child
        finally:
            child.kill()
            # what was written to a peer that had ended is flushed here, in vain
            with suppress(BrokenPipeError):
                child.communicate()


def _asked(child: subprocess.Popen[str]) -> dict[str, Any]:
    """One pass of the peer.

    Raises
    ------
    PeerError
        It ended instead; with the last line it said.
    """
    assert child.stdin is not None and child.stdout is not None and child.stderr is not None
    try:
        child.stdin.write("go\n")
        child.stdin.flush()
        line = child.stdout.readline()
    except BrokenPipeError:
        line = ""
    if not line:
        said = child.stderr.read().strip().splitlines()
        raise PeerError(said[-1] if said else f"ended with code {child.wait()}")
    found: dict[str, Any] = json.loads(line)
    return found


class PeerError(RuntimeError):
    """The peer is not installed or could not run; the text says what it said."""


def beside(flow: Flow, *, events: int, rounds: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """(ours, the peer's): events a second at best, orders sent and replaced, fills, position."""
    book = drawn(flow, events)
    start, rows = opened(book, flow.band), ours(book)
    with _peer(book, flow.band) as child:
        counts = _asked(child)  # compiles
        mine = replayed(start, rows, WHOLE)
        theirs_s, ours_s = math.inf, math.inf
        for _ in range(rounds):
            ours_s = min(ours_s, replayed(start, rows, WHOLE).seconds)
            theirs_s = min(theirs_s, float(_asked(child)["seconds"]))
    return (
        {"events_per_second": events / ours_s} | counted(mine.acts),
        {"events_per_second": events / theirs_s} | counts,
    )


def run(*, quick: bool, with_peers: bool) -> tuple[list[Row], list[dict[str, Any]], list[str]]:
    """(rows, peers, what is wrong). Without the peer one skipped row says how to get it."""
    what = f"single asset: events a second, times {PEER}'s"
    if not with_peers:
        return [skipped(what, TIMES, LEAST, "run with --peers")], [], []
    rows: list[Row] = []
    peers: list[dict[str, Any]] = []
    wrong: list[str] = []
    for flow in FLOWS:
        try:
            mine, other = beside(flow, events=QUICK_EVENTS if quick else EVENTS_OF_TAPE, rounds=5)
        except PeerError as failed:
            why = _failures().get(PEER) or str(failed)
            peers.append({"peer": PEER, "note": f"not measured: {why}"})
            note = f"{PEER} was not measured: {why}; scripts/bench replay installs it"
            return [skipped(what, TIMES, LEAST, note)], peers, wrong
        rows += _rows(flow, mine, other)
        peers.append({"peer": PEER, "flow": asdict(flow), "ours": mine, "theirs": other})
    wrong = [row.what for row in rows if row.what.startswith(CORRECT) and row.verdict == "misses"]
    return rows, peers, wrong


def _rows(flow: Flow, mine: dict[str, Any], other: dict[str, Any]) -> list[Row]:
    """Speeds, their ratio and the counts; only one flow has bars."""
    barred, label = flow.barred, flow.label
    ratio = mine["events_per_second"] / other["events_per_second"]
    rows = [
        Row(f"{label}: ours", mine["events_per_second"] / 1e6, EVENTS),
        Row(f"{label}: {PEER} {other['version']}", other["events_per_second"] / 1e6, EVENTS),
        Row(f"{label}: events a second, times {PEER}'s", ratio, TIMES,
            LEAST if barred else None, at_least=True),
    ]  # fmt: skip
    for name in COUNTS:
        off = mine[name] / max(other[name], 1) - 1.0
        rows.append(
            Row(f"{CORRECT if barred else ''}{label}: {name}, difference", 100.0 * abs(off), "%",
                100.0 * AGREE if barred else None,
                note=f"ours {mine[name]:,}, {PEER} {other[name]:,}")
        )  # fmt: skip
    return rows


def _failures() -> dict[str, str]:
    """What scripts/bench wrote of peers that do not install."""
    path = os.environ.get(FAILURES, "")
    if not path or not Path(path).is_file():
        return {}
    lines = Path(path).read_text(encoding="utf-8").splitlines()
    return {name: why for name, _, why in (line.partition("\t") for line in lines)}
