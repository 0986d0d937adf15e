"""The lockstep: every world through one session, block by block, timer by timer.

All worlds advance to the same stop, one surface serves them all, and memory does not grow with the
day. Events are cut where a timer is due, and where whoever paces the run wants to be asked; neither
a cut nor the end of a block changes what is decided.
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Protocol

import numpy as np

from optmm.config import DeskConfig
from optmm.config_days import exact_e9
from optmm.engine import books, overnight
from optmm.engine.reasons import Reason
from optmm.market.chain import Session
from optmm.market.events import Bits, Kind, empty
from optmm.market.feed import FeedDay
from optmm.market.synthetic import roll_legs

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
    pins = _pin_timers(it, day.session, due)
    now_ns = day.session.open_ns
    for whole in timed(_hedged(it, day.blocks()), due):
        for piece in _paced(it, whole, control):
            it.fixings.see(piece)
            now_ns = _advance(it, piece, pins)
            if progress is not None and it.worlds[0].pnl:
                done = int(it.worlds[0].state.head["events"][0])
                progress(it, now_ns, min(done / it.total, 1.0))
    return max(now_ns, day.session.close_ns)


def _hedged(it: "Run", blocks: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    """The blocks with the declared future's quotes among them, where there is one."""
    if it.synthetic is None:
        yield from blocks
        return
    for block in blocks:
        yield it.synthetic.see(block)
    yield it.synthetic.finish()


def _pin_timers(it: "Run", session: Session, due: np.ndarray) -> dict[int, int]:
    """By the last timer before a fixing of this session: the latest fixing it stands before."""
    chain = it.feed.chain
    fixing = np.unique(chain.fixing_ns[chain.slice_start[:-1]])
    inside = fixing[(fixing > due[0]) & (fixing <= session.close_ns)]
    at = due[np.searchsorted(due, inside, side="left") - 1]
    return dict(zip(at.tolist(), inside.tolist(), strict=True))


def _advance(it: "Run", piece: np.ndarray, pins: dict[int, int]) -> int:
    """Every world to the end of `piece`, stopping together where market data ask for it."""
    at = 0
    lead = it.worlds[0]
    while at < piece.size:
        stops = [world.run_to_stop(piece, at) for world in it.worlds]
        if len(set(stops)) != 1:
            raise RuntimeError(f"worlds stopped apart at {stops}: a stop depends on our own fills")
        at, reasons = stops[0]
        now_ns = int(lead.state.head["now_ns"][0])
        if reasons & (Reason.TIMER | Reason.TAYLOR):
            _decide(it, now_ns, reasons)
        if reasons & Reason.TIMER and now_ns in pins:
            for world in it.worlds:
                world.pins += overnight.pinned(world, now_ns, pins[now_ns], it.next_open_ns)
    return int(lead.state.head["now_ns"][0])


def _decide(it: "Run", now_ns: int, reasons: int) -> None:
    """One surface or sheet for all worlds, then each world's own decisions."""
    lead = it.worlds[0].state
    if reasons & Reason.TIMER:
        _between_decisions(it, now_ns)
    terms = None
    if reasons & Reason.TIMER and it.market.due(now_ns):
        terms = it.market.refit(now_ns, lead)
        if terms is not None:
            it.journal_surface(now_ns)
    elif reasons & Reason.TAYLOR:
        terms = it.market.reprice(now_ns, lead)
    fixings = it.fixings.due(now_ns)
    for world in it.worlds:
        world.on_timer(now_ns, terms, fixings)


def _between_decisions(it: "Run", now_ns: int) -> None:
    """What a timer sees first: a session that opened far away, a hedge that changed contract."""
    if it.unseen and it.worlds[0].state.head["spot_ns"][0] > 0:
        it.unseen = False
        for world in it.worlds:
            overnight.opened(world, now_ns)
    if it.synthetic is None:
        return
    rolls, it.synthetic.rolls[:] = list(it.synthetic.rolls), []
    half_e9 = exact_e9(it.config.synthetic.half_spread_usd)
    for roll in rolls:
        for world in it.worlds:
            lots = int(world.state.own["qty"][-1])
            for leg in roll_legs(roll, lots, instrument=world.n, half_e9=half_e9):
                books.book_leg(world, now_ns, leg)
