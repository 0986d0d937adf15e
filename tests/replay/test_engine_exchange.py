"""The engine against an exchange of Python ints and dicts written from docs/fills.md alone."""

import numpy as np
import pytest
import tape
from exchange import ASK, BID, Event, Exchange, Message, Rules

from optmm.engine import state as tables
from optmm.engine.layout import QUEUE_MODELS
from optmm.market.events import Bits, Kind

COMPARE_EVERY = 10  # events between two comparisons of every quote and position
LEAST_FILLS = {"pessimistic": 500, "queue": 800, "optimistic": 1000, "simulated": 500}


def rules_of(state: tables.EngineState, world: str) -> Rules:
    """The exchange's configuration, read from the engine's."""
    h = state.head[0]
    return Rules(
        world=world,
        stale_quote_ns=int(h["stale_quote_ns"]),
        stale_spot_ns=int(h["stale_spot_ns"]),
        share_pm=int(h["share_pm"]),
        window_ns=int(h["fill_window_ns"]),
        max_fills=int(h["max_fills"]),
        max_lots=int(h["max_lots"]),
        max_usd=float(h["max_notional_usd"]),
        pro_rata=int(h["queue_model"]) == 1,
        customer_pm=int(h["customer_pm"]),
        headroom=float(h["headroom_usd"]),
        largest_fill=float(h["max_fill_usd"]),
        unit=tuple(state.own["unit_usd"].tolist()),
        multiplier=tuple(state.mkt["multiplier"].tolist()),
        close_ns=tuple(state.mkt["close_ns"].tolist()),
    )


def without_untrusted_takers(events: np.ndarray, limit_ns: int) -> np.ndarray:
    """Drop takers who come to a market that is absent on a side, locked, crossed or stale.

    The document's list of what never fills names such markets; a test of its own asks about them.
    """
    keep = np.ones(events.size, bool)
    fair: dict[int, tuple[bool, int]] = {}
    for k, row in enumerate(
        events[["ts_event_ns", "kind", "instrument", "bid_e9", "ask_e9"]].tolist()
    ):
        ts_ns, kind, i, bid, ask = row
        if kind == Kind.QUOTE:
            fair[i] = (0 < bid < ask, ts_ns)
        elif kind == Kind.TAKER:
            good, since_ns = fair.get(i, (False, 0))
            keep[k] = good and ts_ns - since_ns <= limit_ns
    return events[keep]


class Match:
    """The engine and the exchange side by side, one event at a time.

    `wild` replaces the engine's quoting by random messages, to reach what a sane desk would not do.
    """

    def __init__(
        self, setup: tape.Setup, *, wild: bool = False, head: dict[str, float] | None = None
    ) -> None:
        self.replay = tape.Replay(setup)
        state = self.replay.state
        for name, value in (head or {}).items():
            state.head[name] = value
        limit_ns = int(state.head["stale_quote_ns"][0])
        self.replay.events = without_untrusted_takers(self.replay.events, limit_ns)
        self.exchange = Exchange(rules_of(state, setup.world))
        self.kinds = [Kind(k).name for k in self.replay.events["kind"].tolist()]
        self.rows = self.replay.events.tolist()
        self.seen = dict.fromkeys(("fills", "hedges", "refused", "prints", "trips"), 0)
        self.wild = np.random.default_rng(setup.seed) if wild else None
        if wild:
            state.head["on_event"] = 0

    def play(self) -> "Match":
        """Run the whole tape, comparing as it goes."""
        replay, exchange = self.replay, self.exchange
        for k, (row, kind) in enumerate(zip(self.rows, self.kinds, strict=True)):
            if k % tape.STOP_EVERY == 0:
                self._decide()
            if self.wild is not None:
                self._send_anything(self.wild)
            reasons = replay.step(k + 1)
            assert replay.at == k + 1, reasons
            exchange.step(Event(*row[:8], kind, row[9]))
            self._forward(int(replay.state.head["wire_count"][0]))
            self._compare_acts(k, kind)
            if k % COMPARE_EVERY == 0 or kind == "STATUS":
                self._compare_tables(k)
        self._compare_tables(len(self.rows))
        return self

    def _decide(self) -> None:
        replay, exchange = self.replay, self.exchange
        done = replay.decide()
        if done.rearmed:
            exchange.rearm()
            exchange.used = 0.0
        self._forward(int(replay.state.head["wire_count"][0]))

    def _send_anything(self, rng: np.random.Generator) -> None:
        """Put a random message on the wire: about the market, about our other side, or a repeat."""
        state, setup, ex = self.replay.state, self.replay.setup, self.exchange
        i, side = int(rng.integers(0, min(setup.options, 6))), int(rng.choice([BID, ASK]))
        show, mine, other = ex.display[i].px, ex.quotes[i, side], ex.quotes[i, -side]
        anchor = [show[side], show[side], show[-side], mine.px, mine.px, other.px][rng.integers(6)]
        ticks = int(rng.choice([0, 0, 0, -1, 1, 3, -3]))
        px = anchor + ticks * tape.BELOW
        if px <= 0 or ex.tripped:
            return
        lots = int(rng.choice([0, mine.lots, mine.lots + 1, 5, 12, 12]))
        land_ns = int(state.head["now_ns"][0]) + setup.latency_ns
        tape.put_on_wire(state, land_ns=land_ns, instrument=i, side=side, px_e9=px, lots=lots)
        self._forward(int(state.head["wire_count"][0]))

    def _forward(self, in_flight: int) -> None:
        """Hand the exchange the messages that the engine has put on the wire since."""
        state, exchange = self.replay.state, self.exchange
        first = int(state.head["wire_first"][0])
        for j in range(len(exchange.flying), in_flight):
            land_ns, px, lots, i, side, kind, _ = state.wire[(first + j) % state.wire.size].tolist()
            hedge = kind == tables.HEDGE_ORDER
            exchange.send(Message(land_ns, i, side, px, lots, hedge))
        assert len(exchange.flying) == in_flight

    def _compare_acts(self, k: int, event: str) -> None:
        acts = self.replay.drain()
        ex, new = self.exchange, {}
        for name in self.seen:
            log = getattr(ex, name)
            new[name], self.seen[name] = log[self.seen[name] :], len(log)
        if not acts.size and not any(new.values()):
            return
        names = ["ts_ns", "instrument", "side", "px_e9", "lots"]
        did = {kind: acts[names][acts["kind"] == kind].tolist() for kind in range(1, 8)}
        at = f"event {k}: {self.rows[k]}"
        assert did[tables.ACT_FILL] == new["fills"], at
        assert did[tables.ACT_HEDGE] == new["hedges"], at
        refused = did[tables.ACT_REJECT] + did[tables.ACT_HEDGE_REJECT]
        assert sorted(r[:3] for r in refused) == sorted(m[:3] for m in new["refused"]), at
        assert [row[0] for row in did[tables.ACT_TRIP]] == new["trips"], at
        if event == "TAKER":  # recorded prints are acts of the tape, not of the exchange
            assert _volumes(did[tables.ACT_PRINT]) == _volumes(new["prints"]), at

    def _compare_tables(self, k: int) -> None:
        own, ex = self.replay.state.own, self.exchange
        names = ["qty", "cash_e9"]
        for word in ("bid", "ask"):
            names += [f"{word}_{what}" for what in ("lots", "e9", "ahead", "credit")]
        for i, (qty, cash, *quotes) in enumerate(own[names].tolist()):
            assert (qty, cash) == (ex.position[i], ex.cash[i]), (k, i)
            for side, live in ((BID, quotes[:4]), (ASK, quotes[4:])):
                q = ex.quotes[i, side]
                if q.lots or live[0]:
                    assert live == [q.lots, q.px, q.ahead, q.credit], (k, i, side)
        h = self.replay.state.head[0]
        assert bool(h["is_tripped"]) == ex.tripped
        assert float(h["used_usd"]) == ex.used


def _volumes(prints) -> dict:
    """Volume by (instrument, side, price): how a sweep is cut into prints is nobody's business."""
    out: dict = {}
    for _, i, side, px, lots in prints:
        out[i, side, px] = out.get((i, side, px), 0) + lots
    return out


@pytest.mark.parametrize("world", tape.WORLDS)
def test_loose_protections_same_fills_cash_and_positions(world):
    match = Match(tape.Setup(world=world)).play()
    assert len(match.exchange.fills) >= LEAST_FILLS[world]
    assert len(match.exchange.hedges) >= 50
    assert len(match.exchange.refused) >= 20
    assert len(match.exchange.gave_way) >= 20
    assert not match.exchange.trips


@pytest.mark.parametrize("world", tape.WORLDS)
def test_tight_protections_same_trips(world):
    setup = tape.Setup(world=world, seed=2, events=20_000, tight=True)
    match = Match(setup).play()
    assert len(match.exchange.trips) >= 10
    assert len(match.exchange.fills) >= LEAST_FILLS[world] // 4


@pytest.mark.parametrize("latency_ms", [0, 400])
def test_any_latency_gives_the_same_fills(latency_ms):
    """With 0 a message lands at the next event; with 400 ms about ten are in flight a side."""
    setup = tape.Setup(seed=3, events=20_000, latency_ns=latency_ms * 1_000_000)
    match = Match(setup).play()
    assert len(match.exchange.fills) >= 200


@pytest.mark.parametrize("world", tape.WORLDS)
def test_random_messages_land_and_fill_alike(world):
    setup = tape.Setup(world=world, seed=4, events=12_000, options=8)
    match = Match(setup, wild=True).play()
    ex = match.exchange
    assert min(len(ex.fills), len(ex.refused), len(ex.gave_way)) >= 80


@pytest.mark.parametrize("customer_pm", [0, 250, 1000])
@pytest.mark.parametrize("model", ["price_time", "pro_rata"])
def test_queue_models_and_customers_give_the_same_fills(model, customer_pm):
    """Excluded prints are on the tape of every test here; partial fills are most of the fills."""
    head = {"queue_model": QUEUE_MODELS[model], "customer_pm": customer_pm}
    match = Match(tape.Setup(seed=5, events=15_000), head=head).play()
    assert len(match.exchange.fills) >= 80
    assert int(match.replay.state.head["excluded"][0]) >= 50
    partial = sum(fill.lots < 5 for fill in match.exchange.fills)
    assert partial >= 20


def test_drawn_latencies_give_the_same_fills():
    """Draws reorder nothing; the exchange lands what it is sent when it is due."""
    head = {"feed_ns": 60_000_000, "latency_sigma": 1.0, "latency_stress": 2.0, "seed": 9}
    match = Match(tape.Setup(seed=6, events=15_000), head=head).play()
    assert len(match.exchange.fills) >= 150


def resting_bid(world: str, *rows: tuple, **head: float) -> tape.Replay:
    """Advance over a market of 2.00 to 2.40 at 1 s, our bid of 2.10 for five in it, and `rows`."""
    replay = tape.Replay(tape.Setup(world=world, options=2, events=10))
    state = replay.state
    state.head["on_event"] = 0
    state.mkt["close_ns"] = tape.FAR
    for name, value in head.items():
        state.head[name] = value
    opening = (0, Kind.STATUS, 0, 0, 0, 0, 0, Bits.OPEN)
    replay.events = tape.script([opening, (1, Kind.QUOTE, 0, 200, 240, 9, 9, 0), *rows])
    land_ns, px_e9 = int(replay.events["ts_event_ns"][1]) + 1, 210 * tape.BELOW
    tape.put_on_wire(state, land_ns=land_ns, instrument=0, side=BID, px_e9=px_e9, lots=5)
    while replay.at < replay.events.size:
        replay.step(replay.events.size)
    return replay


@pytest.mark.parametrize(("late_ns", "lots"), [(0, 5), (1, 0)])
def test_a_market_as_old_as_the_limit_counts_and_older_does_not(late_ns, lots):
    """docs/fills.md: "quote age at most the configured limit"; here two seconds."""
    replay = resting_bid("pessimistic", (3 + late_ns / tape.E9, Kind.TRADE, 0, 200, 200, 9, 1, 0))
    assert replay.state.own[0]["qty"] == lots


@pytest.mark.parametrize(
    "head",
    [
        {"fill_window_ns": 4 * tape.E9, "max_fills": 4},
        {"fill_window_ns": 4 * tape.E9, "max_lots": 4},
        {"fill_window_ns": 4 * tape.E9, "max_notional_usd": 4 * 100 * 2.10 + 1e-6},
        {"headroom_usd": 4 * 4.0 + 200.0},  # four lots of USD 4, and the largest fill
    ],
    ids=["fills", "lots", "premium", "worst case"],
)
@pytest.mark.parametrize("prints", [4, 5])
def test_four_fills_of_one_lot_fit_and_the_fifth_trips(head, prints):
    """docs/fills.md: beyond the window or the headroom trips; as far as it does not."""
    trade = (2.0, Kind.TRADE, 0, 200, 200, 1, 1, 0)
    replay = resting_bid("pessimistic", *[trade] * prints, **head)
    h = replay.state.head[0]
    assert (int(h["fills"]), int(h["trips"])) == (prints, prints - 4)


@pytest.mark.parametrize(
    ("bid", "ask", "seconds"),
    [(0, 0, 2), (0, 240, 2), (200, 0, 2), (220, 220, 2), (230, 220, 2), (200, 240, 9)],
    ids=["absent", "no bid", "no ask", "locked", "crossed", "stale"],
)
@pytest.mark.parametrize("world", tape.WORLDS)
def test_nobody_trades_with_us_in_a_market_that_cannot_be_trusted(world, bid, ask, seconds):
    """docs/fills.md, "Never: ... against a market that is locked, crossed, one-sided or stale".

    Takers of the simulated world used to: only prints asked about the market.
    """
    seller, print_ = (Kind.TAKER, 0, 100, 0, 7, 0, 0), (Kind.TRADE, 0, 100, 100, 7, 0, 0)
    last = seller if world == "simulated" else print_
    replay = resting_bid(world, (1.5, Kind.QUOTE, 0, bid, ask, 1, 1, 0), (seconds, *last))
    own = replay.state.own[0]
    assert (own["qty"], own["bid_lots"]) == (0, 5)


@pytest.mark.parametrize(("late_ns", "lots"), [(0, 5), (1, 0)])
@pytest.mark.parametrize("world", tape.WORLDS)
def test_a_series_trades_up_to_its_last_instant_and_no_longer(world, late_ns, lots):
    """A quote whose cancel is still on its way used to fill in an expired series."""
    seller, print_ = (Kind.TAKER, 0, 100, 0, 7, 0, 0), (Kind.TRADE, 0, 100, 100, 17, 0, 0)
    replay = tape.Replay(tape.Setup(world=world, options=2, events=10))
    state = replay.state
    state.head["on_event"] = 0
    last = seller if world == "simulated" else print_
    opening = (0, Kind.STATUS, 0, 0, 0, 0, 0, Bits.OPEN)
    replay.events = tape.script([opening, (1, Kind.QUOTE, 0, 200, 240, 9, 9, 0), (2, *last)])
    state.mkt["close_ns"] = int(replay.events["ts_event_ns"][2]) - late_ns
    land_ns, px_e9 = int(replay.events["ts_event_ns"][1]) + 1, 210 * tape.BELOW
    tape.put_on_wire(state, land_ns=land_ns, instrument=0, side=BID, px_e9=px_e9, lots=5)
    while replay.at < replay.events.size:
        replay.step(replay.events.size)
    assert state.own[0]["qty"] == lots
