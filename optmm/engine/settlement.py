"""Expiry inside a session: the fixing price, and the legs that end each series."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hedging import expiry
from optmm.engine import state as tables
from optmm.market.chain import Chain, Session
from optmm.market.events import Kind

if TYPE_CHECKING:
    from optmm.engine.desk import World

PUBLICATION_NS = 300 * 1_000_000_000
WINDOW_NS = 3_600 * 1_000_000_000


@dataclass(frozen=True, slots=True)
class Fixing:
    """The price that settles an expiry, and where it came from."""

    px_e9: int
    source: str
    known_ns: int  # settled no earlier: a closing level of an index is published after the close


class Levels:
    """The underlying's last levels as the tape passes, and the fixings that are known by now.

    The last underlying print at the fixing (of an index: once its close is published) stands for
    the official price, else the last two-sided mid. One older than an hour is used all the same,
    and its source says so: a position that nobody settles would be a position that nobody marks.
    """

    def __init__(self, chain: Chain) -> None:
        self._chain = chain
        self.fixings: dict[int, Fixing] = {}
        self._due: list[tuple[int, int]] = []  # (known ns, slice), latest first
        self._print: tuple[int, int] | None = None  # (ns, price e9)
        self._middle: tuple[int, int] | None = None
        self._timer = -1  # instant of the timer that was seen last of all

    def begin(self, session: Session) -> None:
        """Start a session: which expiries are fixed in it, and nothing seen yet."""
        chain = self._chain
        self._print = self._middle = None
        self._due = []
        for j in range(chain.slices):
            row = chain.slice_start[j]
            at = int(chain.fixing_ns[row])
            if session.open_ns < at <= session.close_ns:
                published = chain.underlying.kind == "index" and not chain.am_settled[row]
                known = min(at + (PUBLICATION_NS if published else 0), session.close_ns)
                self._due.append((known, j))
        self._due.sort(reverse=True)

    def see(self, events: np.ndarray) -> None:
        """Take the next events; a fixing is known once a later event or its timer has come."""
        while self._due and events.size:
            known, j = self._due[-1]
            stop = int(np.searchsorted(events["ts_event_ns"], known, side="right"))
            self._take(events[:stop])
            events = events[stop:]
            if not events.size and not self._timer_at(known):
                return
            found = self._level(known)
            if found is not None:
                self.fixings[j] = found
            self._due.pop()

    def _take(self, events: np.ndarray) -> None:
        kind = events["kind"]
        self._timer = int(events["ts_event_ns"][-1]) if (kind == Kind.TIMER)[-1:].any() else -1
        prints = events[kind == Kind.UNDERLYING_TRADE][-1:]
        if prints.size:
            self._print = int(prints["ts_event_ns"][0]), int(prints["bid_e9"][0])
        quotes = events[kind == Kind.UNDERLYING_QUOTE]
        quotes = quotes[(quotes["bid_e9"] > 0) & (quotes["ask_e9"] > quotes["bid_e9"])][-1:]
        if quotes.size:
            middle = (int(quotes["bid_e9"][0]) + int(quotes["ask_e9"][0])) // 2
            self._middle = int(quotes["ts_event_ns"][0]), middle

    def _timer_at(self, known_ns: int) -> bool:
        """Whether the timer of that instant has come: nothing of the instant can follow it."""
        return self._timer >= known_ns

    def _level(self, at_ns: int) -> Fixing | None:
        """The underlying's last level; None if there is none."""
        print_, middle = self._print, self._middle
        fresh = [seen is not None and at_ns - seen[0] <= WINDOW_NS for seen in (print_, middle)]
        if print_ is not None and (fresh[0] or not fresh[1]):
            age = "" if fresh[0] else ", more than an hour old"
            return Fixing(print_[1], f"last underlying print{age}", at_ns)
        if middle is not None:
            age = "" if fresh[1] else ", more than an hour old"
            return Fixing(middle[1], f"last underlying middle{age}", at_ns)
        return None


def settle_expired(world: "World", now_ns: int, prices: dict[int, Fixing]) -> None:
    """Settle every slice whose fixing has passed, once."""
    for j, fixing in prices.items():
        rows = world.chain.rows(j)
        if j in world.settled or now_ns < fixing.known_ns:
            continue
        world.settled.add(j)
        world.journal.append(
            now_ns, "fixing", {"slice": j, "px_e9": fixing.px_e9, "source": fixing.source}
        )
        for i in range(rows.start, rows.stop):
            _settle(world, i, now_ns, fixing)


def _settle(world: "World", i: int, now_ns: int, fixing: Fixing) -> None:
    """Close one option at its settlement value; deliver the underlying at the fixing if it does."""
    c = world.chain
    # a future option is exercised whenever it is in the money at all
    threshold = 1 if c.underlying.kind == "future" else expiry.EXERCISE_THRESHOLD_E9
    value = expiry.settlement_value_e9(
        right=int(c.right[i]),
        strike_e9=int(c.strike_e9[i]),
        fixing_e9=fixing.px_e9,
        threshold_e9=threshold,
    )
    legs = expiry.settle(
        lots=int(world.lots[i]),
        right=int(c.right[i]),
        strike_e9=int(c.strike_e9[i]),
        fixing_e9=fixing.px_e9,
        multiplier=int(c.multiplier[i]),
        physical=bool(c.physical[i]),
        underlying_multiplier=c.underlying.multiplier,
        threshold_e9=threshold,
    )
    world.marks.settle(i, value)
    for leg in legs:
        option = leg.kind == "settlement"
        where = i if option else world.n
        fee = world.exercise_e9 * leg.lots if option and value else 0
        world.fees_e9 += fee
        tables.settle(world.state, instrument=where, lots=leg.side * leg.lots, px_e9=leg.px_e9)
        world.fills.add(
            ts_ns=now_ns, instrument=where, kind=leg.kind, side=leg.side, lots=leg.lots,
            px_e9=leg.px_e9, fee_e9=fee, mark_e9=leg.px_e9, spot_e9=fixing.px_e9, delta=0.0,
            vega=0.0, bid_e9=0, ask_e9=0, own_lots=0,
        )  # fmt: skip
        world.journal_fill(now_ns, leg.kind)
