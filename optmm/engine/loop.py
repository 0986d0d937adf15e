"""The lockstep: every world through one session, block by block, timer by timer.

All worlds advance to the same stop, one surface serves them all, and memory does not grow with the
day. Events are cut where a timer is due, and where whoever paces the run wants to be asked; neither
a cut nor the end of a block changes what is decided.
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Protocol

import numpy as np

from optmm.config import DeskConfig
from optmm.engine.reasons import Reason
from optmm.market.chain import Session
from optmm.market.events import Bits, Kind, empty
from optmm.market.feed import FeedDay

if TYPE_CHECKING:
    from optmm.engine.replay import Run

E9 = 1_000_000_000
SLOW_PATH_S = 15.0  # stops, markouts, settlement: event feeds wait no longer for them
Progress = Callable[["Run", int, float], None]


class Control(Protocol):
    """How fast event time may pass, and whether it may. Results never depend on it."""

    def until(self, now_ns: int, *, hurry: bool) -> int | None:
        """Wait as long as it takes; return the instant to be asked again at, None for no limit.

        `hurry` is true while an interrupted run only catches up with its journals.
        Raises KeyboardInterrupt when the run is to stop: everything so far is then made durable.
        """


def timers(session: Session, bar_ns: int, config: DeskConfig) -> np.ndarray:
    """Instants of the slow path, ns: every bar; on event feeds at least every 15 seconds."""
    every_s = min(config.hedging.interval_s, config.surface.refit_s, SLOW_PATH_S)
    step = bar_ns or round(every_s * E9)
    times = np.arange(session.open_ns + step, session.close_ns + 1, step)
    if times.size == 0 or times[-1] < session.close_ns:
        times = np.append(times, session.close_ns)
    return times


def timed(blocks: Iterator[np.ndarray], times: np.ndarray) -> Iterator[np.ndarray]:
    """The blocks with a TIMER event at every instant of `times`, as `events.in_order` has it.

    A timer comes after everything of its instant but a close and a quote of the leading future.
    """
    at = 0
    held = empty(0)  # of the newest instant: more of it may come with the next block
    for block in blocks:
        rows = np.concatenate([held, block]) if held.size else block
        stamp = rows["ts_event_ns"]
        whole = int(np.searchsorted(stamp, stamp[-1], side="left")) if rows.size else 0
        due = int(np.searchsorted(times, stamp[-1], side="left")) if rows.size else at
        yield from _cut(rows[:whole], times[at:due])
        held, at = rows[whole:], due
    yield from _cut(held, times[at:])


def _cut(rows: np.ndarray, times: np.ndarray) -> Iterator[np.ndarray]:
    """`rows` in pieces with the timers between them."""
    start = 0
    for instant in times.tolist():
        stamp = rows["ts_event_ns"]
        first, stop = np.searchsorted(stamp, [instant, instant + 1], side="left").tolist()
        same = rows[first:stop]
        closes = (same["kind"] == Kind.STATUS) & (same["bits"] & Bits.CLOSE != 0)
        stop -= int(np.count_nonzero(closes | (same["kind"] > Kind.TIMER)))
        if stop > start:
            yield rows[start:stop]
            start = stop
        timer = empty(1)
        timer["ts_event_ns"] = timer["ts_recv_ns"] = instant
        timer["kind"], timer["instrument"] = Kind.TIMER, -1
        yield timer
    if start < rows.size:
        yield rows[start:]


def _paced(it: "Run", piece: np.ndarray, control: Control | None) -> Iterator[np.ndarray]:
    """`piece` cut where `control` wants to be asked again; it is asked at least once."""
    while piece.size:
        first = int(piece["ts_event_ns"][0])
        limit = None
        if control is not None:
            limit = control.until(first, hurry=any(w.journal.catching_up for w in it.worlds))
        stop = piece.size
        if limit is not None:
            stop = max(1, int(np.searchsorted(piece["ts_event_ns"], limit, side="right")))
        yield piece[:stop]
        piece = piece[stop:]


def run_session(
    it: "Run", day: FeedDay, *, progress: Progress | None, control: Control | None
) -> int:
    """Take every world through `day`; return the last instant seen."""
    due = timers(day.session, it.feed.bar_ns, it.config)
    now_ns = day.session.open_ns
    for whole in timed(day.blocks(), due):
        for piece in _paced(it, whole, control):
            it.levels.see(piece)
            now_ns = _advance(it, piece)
            if progress is not None and it.worlds[0].pnl:
                progress(it, now_ns, int(it.worlds[0].state.head["events"][0]) / it.total)
    return max(now_ns, day.session.close_ns)


def _advance(it: "Run", piece: np.ndarray) -> int:
    """Every world to the end of `piece`, stopping together where market data ask for it."""
    at = 0
    lead = it.worlds[0]
    while at < piece.size:
        stops = [world.run_to_stop(piece, at) for world in it.worlds]
        if len(set(stops)) != 1:
            raise RuntimeError(f"worlds stopped apart at {stops}: a stop depends on our own fills")
        at, reasons = stops[0]
        if reasons & (Reason.TIMER | Reason.TAYLOR):
            _decide(it, int(lead.state.head["now_ns"][0]), reasons)
    return int(lead.state.head["now_ns"][0])


def _decide(it: "Run", now_ns: int, reasons: int) -> None:
    """One surface or sheet for all worlds, then each world's own decisions."""
    lead = it.worlds[0].state
    terms = None
    if reasons & Reason.TIMER and it.market.due(now_ns):
        terms = it.market.refit(now_ns, lead)
        if terms is not None:
            it.journal_surface(now_ns)
    elif reasons & Reason.TAYLOR:
        terms = it.market.reprice(now_ns, lead)
    for world in it.worlds:
        world.on_timer(now_ns, terms, it.levels.fixings)
