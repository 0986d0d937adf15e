"""A day of any length as a feed shows it, stored block by block: a simulated one, repeated.

The simulator's day (685,000 events) gives prices, times and who trades. Takers become the prints
they would have left: at the displayed touch, where they would have paid it. Then every option quote
is shown `times` times, evenly until the option's next one, with the same prices and new sizes, as
feeds mostly repeat a price. So a day ten times as long has ten times the quotes on the same clock.
Only the simulated day and one block of the longer one are in memory.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from optmm.data import store
from optmm.data.simulator import simulate_day
from optmm.data.simulator.config import SimulationConfig
from optmm.data.tape import Ledger, Progress
from optmm.market.chain import Chain, MarketDay, Session
from optmm.market.events import Kind, in_order

SEED = 7
BLOCK_ROWS = 1 << 19  # of the longer day
MEDIAN_LOTS = 20.0


@dataclass(frozen=True, slots=True)
class Repeated:
    """`base` with its quotes shown `times` times; a `DayStream`, to be had once."""

    base: MarketDay
    times: int
    reader: str = "repeated simulation"

    @property
    def chain(self) -> Chain:
        """Of the base."""
        return self.base.chain

    @property
    def session(self) -> Session:
        """Of the base."""
        return self.base.session

    @property
    def bar_ns(self) -> int:
        """Events, no bars."""
        return 0

    @property
    def sources(self) -> tuple[tuple[str, str], ...]:
        """Of the base."""
        return self.base.sources

    @property
    def open_interest(self) -> NDArray[np.int64] | None:
        """None."""
        return None

    def blocks(self, ledger: Ledger, progress: Progress) -> Iterator[NDArray[np.void]]:
        """The longer day in bounded blocks."""
        rows, rng = self.base.events, np.random.Generator(np.random.PCG64(SEED))
        until = _next_quote_ns(rows)
        step = max(BLOCK_ROWS // self.times, 1)
        for first in range(0, rows.size, step):
            part = slice(first, first + step)
            out = self._longer(rows[part], until[part], rng)
            ledger.rows += out.size
            progress(out.size)
            yield out

    def _longer(
        self, part: NDArray[np.void], until: NDArray[np.int64], rng: np.random.Generator
    ) -> NDArray[np.void]:
        quoted = part["kind"] == Kind.QUOTE
        times = np.where(quoted, self.times, 1)
        out = np.repeat(part, times)
        nth = np.arange(out.size) - np.repeat(np.cumsum(times) - times, times)
        gap = np.repeat(until - part["ts_event_ns"], times)
        out["ts_event_ns"] += gap // np.repeat(times, times) * nth
        again = nth > 0
        for name in ("bid_lots", "ask_lots"):
            drawn = np.rint(MEDIAN_LOTS * np.exp(0.8 * rng.standard_normal(out.size)))
            new = np.maximum(drawn, 1.0).astype(np.int64)
            out[name] = np.where(again & (out[name] > 0), new, out[name])
        out["ts_recv_ns"] = out["ts_event_ns"]
        return out


def _next_quote_ns(rows: NDArray[np.void]) -> NDArray[np.int64]:
    """When the option of each quote shows its next one; for its last, and for others, its own."""
    until = rows["ts_event_ns"].copy()
    quotes = np.flatnonzero(rows["kind"] == Kind.QUOTE)
    quotes = quotes[np.argsort(rows["instrument"][quotes], kind="stable")]
    same = rows["instrument"][quotes][1:] == rows["instrument"][quotes][:-1]
    until[quotes[:-1][same]] = rows["ts_event_ns"][quotes[1:][same]]
    return until


def recorded(minutes: int | None = None, seed: int = SEED) -> MarketDay:
    """A simulated day as a feed shows it: takers only by their prints, no ground truth."""
    day = simulate_day(SimulationConfig(minutes=minutes), seed).day
    events = day.events.copy()
    taken = np.flatnonzero(events["kind"] == Kind.TAKER)
    quotes = np.flatnonzero(events["kind"] == Kind.QUOTE)
    # the last quote of the taker's option: quotes sorted by (option, place), then looked up
    key = events["instrument"][quotes].astype(np.int64) * events.size + quotes
    order = np.argsort(key)
    wanted = events["instrument"][taken].astype(np.int64) * events.size + taken
    at = np.searchsorted(key[order], wanted) - 1
    shown = events[quotes[order[np.maximum(at, 0)]]]
    mine = (at >= 0) & (shown["instrument"] == events["instrument"][taken])
    taker = events[taken]
    sells = taker["bid_lots"] > 0
    px = np.where(sells, shown["bid_e9"], shown["ask_e9"])
    pays = np.where(sells, taker["bid_e9"] <= px, taker["ask_e9"] >= px) & (px > 0) & mine
    trade = events[taken]
    trade["kind"], trade["bits"] = Kind.TRADE, 0
    trade["bid_e9"] = trade["ask_e9"] = px
    trade["bid_lots"] = np.where(sells, taker["bid_lots"], taker["ask_lots"])
    trade["ask_lots"] = np.where(sells, -1, 1)
    keep = np.ones(events.size, bool)
    keep[taken[~pays]] = False
    events[taken] = trade
    return MarketDay(
        chain=day.chain, session=day.session, events=in_order(events[keep]), bar_ns=0,
        quality=day.quality, sources=day.sources,
    )  # fmt: skip


def stored(base: MarketDay, times: int, folder: Path) -> int:
    """Store `base` with its quotes `times` times in `folder`; return how many events that is."""
    return store.write_stream(Repeated(base, times), folder).quality.rows
