"""What a feed does wrong: planted at configured rates, and remembered.

crossed    bid and ask are exchanged; our readers put such a row aside and count it, so it is
           not delivered unless `quarantine_crossed` is off
locked     bid and ask agree
stale      the update never arrives: what stood before stands on
duplicate  the row arrives twice
late       the row arrives an exponential time later, and may overwrite a newer one
dropout    the underlying's quotes are missing for a while
"""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from optmm.data.simulator.clock import NS_PER_SECOND, Clock
from optmm.data.simulator.config import SimulationConfig
from optmm.data.simulator.schedule import inside
from optmm.market.events import Kind

Ints = NDArray[np.int64]


class Fault(IntEnum):
    """What was done to a row."""

    CROSSED = 1
    LOCKED = 2
    STALE = 3
    DUPLICATE = 4
    LATE = 5
    DROPOUT = 6


@dataclass(frozen=True, slots=True)
class Faults:
    """Every planted fault; arrays of one length, by kind, then as planted."""

    kind: Ints  # Fault
    ts_ns: Ints  # when the row was true; when a dropout began
    until_ns: Ints  # when a late row arrived, a dropout ended; else as `ts_ns`
    instrument: Ints


def planted(
    config: SimulationConfig, clock: Clock, events: NDArray[np.void], rng: np.random.Generator
) -> tuple[NDArray[np.void], Faults, dict[str, int]]:
    """Spoil a tape (any order): the events delivered, the faults, rows a reader puts aside."""
    shares = (
        config.crossed_share, config.locked_share, config.stale_share, config.duplicate_share,
        config.late_share,
    )  # fmt: skip
    lost, spans = _dropouts(config, clock, events, rng)
    start = clock.session.open_ns
    quotes = np.flatnonzero((events["kind"] == Kind.QUOTE) & (events["bid_e9"] > 0))
    later = quotes[events["ts_event_ns"][quotes] > start]  # the opening quotes are good
    drawn = rng.random(later.size)
    edges = np.cumsum((0.0, *shares))
    hit = {
        fault: later[(drawn >= edges[i]) & (drawn < edges[i + 1])]
        for i, fault in enumerate(list(Fault)[:5])
    }
    held = [_record(events, rows, fault) for fault, rows in hit.items()]
    out = events.copy() if any(rows.size for rows in hit.values()) else events
    crossed, locked, late = (hit[f] for f in (Fault.CROSSED, Fault.LOCKED, Fault.LATE))
    delay = rng.exponential(config.late_ms * 1e6, late.size).astype(np.int64) + 1
    arrived = np.minimum(out["ts_event_ns"][late] + delay, clock.session.close_ns - 1)
    held[4] = (held[4][0], held[4][1], arrived, held[4][3])
    if locked.size:
        out["ask_e9"][locked] = out["bid_e9"][locked]
    if crossed.size:
        out["bid_e9"][crossed], out["ask_e9"][crossed] = (
            out["ask_e9"][crossed], out["bid_e9"][crossed],
        )  # fmt: skip
    if late.size:
        out["ts_event_ns"][late] = out["ts_recv_ns"][late] = arrived
    keep = ~lost
    keep[hit[Fault.STALE]] = False
    aside = {}
    if config.quarantine_crossed and crossed.size:
        keep[crossed] = False
        aside["crossed quote"] = int(crossed.size)
    held.append(
        (np.full(len(spans), Fault.DROPOUT), np.array([a for a, _ in spans], np.int64),
         np.array([b for _, b in spans], np.int64), np.full(len(spans), -1))
    )  # fmt: skip
    faults = Faults(*(np.concatenate(parts).astype(np.int64) for parts in zip(*held, strict=True)))
    twice = out[hit[Fault.DUPLICATE]]
    return np.concatenate([out[keep], twice]) if twice.size else out[keep], faults, aside


def _record(events: NDArray[np.void], rows: Ints, fault: Fault) -> tuple[Ints, Ints, Ints, Ints]:
    at = events["ts_event_ns"][rows]
    return np.full(rows.size, fault), at, at, events["instrument"][rows].astype(np.int64)


def _dropouts(
    config: SimulationConfig, clock: Clock, events: NDArray[np.void], rng: np.random.Generator
) -> tuple[NDArray[np.bool_], list[tuple[int, int]]]:
    """Rows of the underlying that are lost, and the spans; the opening quote is not among them."""
    share = clock.seconds * NS_PER_SECOND / (clock.fixing_ns - clock.session.open_ns)
    count = int(rng.poisson(config.dropouts_per_day * min(share, 1.0)))
    first, last = clock.session.open_ns + 1, clock.session.close_ns
    starts = np.sort(rng.integers(first, last, count)).tolist()
    length = round(config.dropout_seconds * NS_PER_SECOND)
    spans = [(start, min(start + length, last)) for start in starts]
    quotes = events["kind"] == Kind.UNDERLYING_QUOTE
    return quotes & inside(events["ts_event_ns"], spans), spans
