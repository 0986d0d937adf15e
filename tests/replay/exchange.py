"""A small exchange of Python ints and dicts: `docs/fills.md`, read a second time.

It shares no code with the engine and was written from the document alone. It is told which
messages were sent; it lands and fills them by itself. Prices and cash are ints in 1e-9 USD, time is
int ns, `side` is +1 for our bid and -1 for our ask. Mirrored rules are written once: prices times
`side` grow in the direction that is better for whoever trades against us.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

BID, ASK = 1, -1


class Event(NamedTuple):
    """One row of the event table, as Python ints."""

    ts_ns: int
    recv_ns: int
    seq: int
    bid: int
    ask: int
    bid_lots: int
    ask_lots: int
    instrument: int
    kind: str
    bits: int


class Message(NamedTuple):
    """One message to the exchange; a hedge order has a side and no price."""

    land_ns: int
    instrument: int
    side: int
    px: int
    lots: int
    hedge: bool = False


class Fill(NamedTuple):
    """One fill of ours, a quote's or a hedge's."""

    ts_ns: int
    instrument: int
    side: int
    px: int
    lots: int


@dataclass
class Quote:
    """A resting quote of ours on one side of one instrument; zero lots is none."""

    px: int = 0
    lots: int = 0
    ahead: int = 0
    credit: int = 0


@dataclass
class Display:
    """The market of one instrument without us: price and size a side, and since when."""

    px: dict[int, int] = field(default_factory=lambda: {BID: 0, ASK: 0})
    lots: dict[int, int] = field(default_factory=lambda: {BID: 0, ASK: 0})
    since_ns: int = 0

    def fair(self, now_ns: int, limit_ns: int) -> bool:
        """Whether the market is two-sided, neither locked nor crossed, and young enough."""
        shown = self.px[BID] > 0 and self.px[ASK] > 0
        return shown and self.px[BID] < self.px[ASK] and now_ns - self.since_ns <= limit_ns


@dataclass(frozen=True)
class Rules:
    """What the exchange is configured with; times in ns, `unit` in USD per lot, by instrument."""

    world: str
    stale_quote_ns: int
    stale_spot_ns: int
    share_pm: int
    window_ns: int
    max_fills: int
    max_lots: int
    headroom: float
    largest_fill: float
    unit: tuple[float, ...]
    multiplier: tuple[int, ...]  # of the options, then of the underlying
    close_ns: tuple[int, ...]  # last instant a series trades
    max_usd: float = float("inf")  # of premium within the window
    pro_rata: bool = False
    customer_pm: int = 0


class Exchange:
    """One world: what is displayed, what of ours rests, what is in flight, what traded."""

    def __init__(self, rules: Rules) -> None:
        rows = range(len(rules.multiplier))
        self.rules = rules
        self.underlying = rows[-1]
        self.display = {i: Display() for i in rows}
        self.quotes = {(i, side): Quote() for i in rows for side in (BID, ASK)}
        self.flying: list[Message] = []
        self.position = dict.fromkeys(rows, 0)
        self.cash = dict.fromkeys(rows, 0)
        self.open = self.halted = self.tripped = False
        self.fills: list[Fill] = []
        self.hedges: list[Fill] = []
        self.refused: list[Message] = []
        self.gave_way: list[Message] = []  # before which our opposite quote was taken away
        self.prints: list[Fill] = []  # of takers; `side` is the taker's
        self.trips: list[int] = []
        self.used = 0.0
        self.recent: list[tuple[int, int, float]] = []  # time, lots and premium of our fills

    def send(self, message: Message) -> None:
        """Take a message; it lands with the first event at or after its landing time."""
        self.flying.append(message)

    def rearm(self) -> None:
        """The desk lifts a trip; the windows start afresh."""
        self.tripped = False
        self.recent = []

    def step(self, event: Event) -> None:
        """Land what is due, then apply one event."""
        due = [m for m in self.flying if m.land_ns <= event.ts_ns]
        self.flying = [m for m in self.flying if m.land_ns > event.ts_ns]
        for message in due:
            (self._land_hedge if message.hedge else self._land_quote)(message)
        apply = getattr(self, f"_{event.kind.lower()}", None)
        if apply is not None:
            apply(event)

    def _land_quote(self, m: Message) -> None:
        mine, other = self.quotes[m.instrument, m.side], self.quotes[m.instrument, -m.side]
        show = self.display[m.instrument]
        if m.lots == 0:
            mine.lots = 0
            return
        # "first": even a message that is refused next has taken our opposite quote away
        if other.lots > 0 and m.side * m.px >= m.side * other.px:
            other.lots = 0
            self.gave_way.append(m)
        against = show.px[-m.side]
        if against > 0 and m.side * m.px >= m.side * against:
            mine.lots = 0
            self.refused.append(m)
            return
        if not (mine.lots > 0 and mine.px == m.px and m.lots <= mine.lots):
            mine.credit = 0
            ours_is_best = show.px[m.side] == 0 or m.side * m.px > m.side * show.px[m.side]
            mine.ahead = 0 if ours_is_best else show.lots[m.side]
        mine.px, mine.lots = m.px, m.lots

    def _land_hedge(self, m: Message) -> None:
        show = self.display[self.underlying]
        fair = show.fair(m.land_ns, self.rules.stale_spot_ns)
        if not (self.open and not self.halted and fair):
            self.refused.append(m)
            return
        fill = Fill(m.land_ns, m.instrument, m.side, show.px[-m.side], m.lots)
        self.hedges.append(fill)
        self._book(fill)

    def _status(self, e: Event) -> None:
        if e.bits & 1:
            self.open = True
        if e.bits & 2:
            self.open = False
        if e.bits & 4:
            self.halted = True
        if e.bits & 8:
            self.halted = False
            for shown in self.display.values():
                shown.since_ns = -(10**30)  # nothing shown before the resumption is believed

    def _quote(self, e: Event) -> None:
        show = self.display[e.instrument]
        new_px, new_lots = {BID: e.bid, ASK: e.ask}, {BID: e.bid_lots, ASK: e.ask_lots}
        for side in (BID, ASK):
            mine = self.quotes[e.instrument, side]
            if mine.lots == 0:
                continue
            if new_px[side] == 0 or side * mine.px > side * new_px[side]:
                mine.ahead = 0
            elif mine.px == new_px[side]:
                if show.px[side] == new_px[side]:
                    joined = max(new_lots[side] - show.lots[side], 0)
                    customers = -(-joined * self.rules.customer_pm // 1000)
                    mine.ahead = min(mine.ahead, new_lots[side]) + customers
                else:
                    mine.ahead = new_lots[side]
            else:
                mine.ahead = max(mine.ahead, new_lots[side])
        show.px, show.lots, show.since_ns = new_px, new_lots, e.ts_ns

    def _underlying_quote(self, e: Event) -> None:
        show = self.display[self.underlying]
        show.px, show.lots = {BID: e.bid, ASK: e.ask}, {BID: e.bid_lots, ASK: e.ask_lots}
        show.since_ns = e.ts_ns

    def _tradable(self, e: Event) -> bool:
        fair = self.display[e.instrument].fair(e.ts_ns, self.rules.stale_quote_ns)
        alive = e.ts_ns <= self.rules.close_ns[e.instrument]
        return self.open and not self.halted and alive and fair

    def _trade(self, e: Event) -> None:
        self._bar(e)

    def _bar(self, e: Event) -> None:
        never_met_a_quote = e.bits & (32 | 64 | 128)
        if self.rules.world == "simulated" or never_met_a_quote or not self._tradable(e):
            return
        extreme = {BID: e.bid, ASK: e.ask}  # the low is what could reach a bid
        passed = {}
        for side in (BID, ASK):
            mine = self.quotes[e.instrument, side]
            if mine.lots > 0 and side * extreme[side] <= side * mine.px:
                passed[side] = side * (mine.px - extreme[side])
        if not passed or (len(passed) == 2 and passed[BID] == passed[ASK]):
            return
        side = max(passed, key=lambda s: passed[s])
        mine = self.quotes[e.instrument, side]
        if self.rules.world == "queue" and self.rules.pro_rata and passed[side] == 0:
            lots = self._part(mine, side, self.display[e.instrument], e.bid_lots)
        else:
            lots = self._share(mine, through=passed[side] > 0, volume=e.bid_lots)
        self._fill(e.ts_ns, e.instrument, side, lots)

    def _share(self, mine: Quote, *, through: bool, volume: int) -> int:
        """Return how much of a print that reached us is ours, by the table of worlds."""
        world = self.rules.world
        if world == "optimistic":
            return min(mine.lots, volume)
        behind = max(volume - mine.ahead, 0)
        if through:
            return min(mine.lots, behind)
        if world == "pessimistic":
            return 0
        mine.credit += behind * self.rules.share_pm
        lots, mine.credit = divmod(mine.credit, 1000)
        mine.ahead = max(mine.ahead - volume, 0)
        return min(mine.lots, lots)

    def _part(self, mine: Quote, side: int, show: Display, volume: int) -> int:
        """Return our part of a print at our price under pro rata, the remainder carried."""
        first = others = 0
        if show.px[side] > 0 and side * show.px[side] > side * mine.px:
            first = others = show.lots[side]
        elif show.px[side] == mine.px:
            first = -(-show.lots[side] * self.rules.customer_pm // 1000)
            others = show.lots[side] - first
        rest = max(volume - first, 0)
        mine.credit += rest * mine.lots * 1000 // (mine.lots + others)
        lots, mine.credit = divmod(mine.credit, 1000)
        return min(mine.lots, lots)

    def _taker(self, e: Event) -> None:
        if self.rules.world != "simulated" or not self._tradable(e):
            return
        if e.bid_lots > 0:
            self._meet(e, side=BID, limit=e.bid, lots=e.bid_lots)
        elif e.ask_lots > 0:
            self._meet(e, side=ASK, limit=e.ask, lots=e.ask_lots)

    def _meet(self, e: Event, *, side: int, limit: int, lots: int) -> None:
        """Let a taker of the opposite side trade down our side of the book as far as its limit."""
        mine, show = self.quotes[e.instrument, side], self.display[e.instrument]
        size, rest = show.lots[side], lots
        we = mine.lots > 0 and side * mine.px >= side * limit
        they = size > 0 and show.px[side] > 0 and side * show.px[side] >= side * limit
        turns = []  # (ours?, at most)
        if we and they and mine.px == show.px[side]:
            before = min(mine.ahead, size)
            went = min(lots, before)
            turns = [(False, before), (True, mine.lots), (False, size - before)]
            mine.ahead -= went
        else:
            if they:
                turns.append((False, size))
            if we:
                ours = (True, mine.lots)
                turns.insert(0 if side * mine.px > side * show.px[side] else len(turns), ours)
        for ours, most in turns:
            part = min(most, rest)
            rest -= part
            if part > 0:
                px = mine.px if ours else show.px[side]
                self.prints.append(Fill(e.ts_ns, e.instrument, -side, px, part))
                if ours:
                    self._fill(e.ts_ns, e.instrument, side, part)

    def _fill(self, ts_ns: int, instrument: int, side: int, lots: int) -> None:
        if lots <= 0:
            return
        mine = self.quotes[instrument, side]
        mine.lots -= lots
        fill = Fill(ts_ns, instrument, side, mine.px, lots)
        self.fills.append(fill)
        self._book(fill)
        usd = lots * self.rules.multiplier[instrument] * (mine.px * 1e-9)
        self._protect(ts_ns, lots, self.rules.unit[instrument], usd)

    def _book(self, fill: Fill) -> None:
        self.position[fill.instrument] += fill.side * fill.lots
        worth = fill.px * self.rules.multiplier[fill.instrument]
        self.cash[fill.instrument] -= fill.side * fill.lots * worth

    def _protect(self, now_ns: int, lots: int, unit: float, usd: float) -> None:
        rules = self.rules
        self.used += lots * unit
        self.recent.append((now_ns, lots, usd))
        self.recent = [row for row in self.recent if now_ns - row[0] < rules.window_ns]
        trip = (
            self.used + rules.largest_fill > rules.headroom
            or len(self.recent) > rules.max_fills
            or sum(row[1] for row in self.recent) > rules.max_lots
            or sum(row[2] for row in self.recent) > rules.max_usd
        )
        if trip and not self.tripped:
            self.tripped = True
            self.trips.append(now_ns)
            self.withdraw()

    def withdraw(self) -> None:
        """Empty every quote of ours, live and in flight; hedge orders go on."""
        for quote in self.quotes.values():
            quote.lots = 0
        self.flying = [m if m.hedge else m._replace(lots=0) for m in self.flying]
