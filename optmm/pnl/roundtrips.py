"""First-in first-out round trips: what was opened, when it closed, and what it made.

Each fill closes the oldest open lots of the other sign before it opens any. Fees are shared out by
lots with cumulative rounding, so that the parts of a fill's fee add up to it exactly and the round
trips of a tape that ends flat add up to its ledger.

Units   `_e9` int 1e-9 USD; durations in minutes; net of fees.
Checked tests/optmm/pnl/test_roundtrips.py: a tape by hand, and any flat tape against the ledger.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from optmm.pnl.ledger import Columns, OpeningPosition
from optmm.pnl.statistics import Measure, missing, wilson

OPTION_KINDS = ("quote", "settlement", "split", "opening")
_NS_PER_MINUTE = 60_000_000_000


@dataclass(frozen=True, slots=True)
class RoundTrip:
    """Lots that one fill opened and one fill closed. `side` +1 was long."""

    instrument: int
    side: int
    lots: int
    open_ns: int
    close_ns: int
    net_e9: int


@dataclass(frozen=True, slots=True)
class TripStatistics:
    """What a report prints of round trips."""

    win_rate: Measure  # share of trips with net > 0, Wilson 95 %
    duration: Measure  # minutes, weighted by lots
    profit_factor: Measure  # gross wins over gross losses


@dataclass(slots=True)
class _Open:
    side: int
    lots: int
    px_e9: int
    ts_ns: int
    fee: "_Fee"


@dataclass(slots=True)
class _Fee:
    """A fill's fee, given out by lots so that the parts add up to it."""

    total_e9: int
    lots: int
    given: int = 0

    def share(self, lots: int) -> int:
        before = self.total_e9 * self.given // self.lots
        self.given += lots
        return self.total_e9 * self.given // self.lots - before


def round_trips(
    fills: Columns,
    *,
    kinds: Sequence[str] = OPTION_KINDS,
    opening: Iterable[OpeningPosition] = (),
    opening_ns: int = 0,
) -> list[RoundTrip]:
    """Match fills first-in first-out, per instrument.

    Parameters
    ----------
    fills : frame or dict with kind, ts_ns, instrument, side, lots, px_e9, multiplier, fee_e9, in
        order of time; of one bound
    kinds : of fills to match; the default leaves hedges and delivered underlying out
    opening : positions carried in, at their opening marks and without fees
    opening_ns : when they are deemed opened

    Returns
    -------
    Closed trips in the order in which they closed; what is still open is in none.
    """
    queues: dict[int, deque[_Open]] = {}
    for position in opening:
        instrument, lots, mark_e9, _ = (int(x) for x in position)
        if lots:
            lot = _Open(1 if lots > 0 else -1, abs(lots), mark_e9, opening_ns, _Fee(0, abs(lots)))
            queues.setdefault(instrument, deque()).append(lot)
    names = ("kind", "ts_ns", "instrument", "side", "lots", "px_e9", "multiplier", "fee_e9")
    columns = [np.asarray(fills[name]).tolist() for name in names]
    trips: list[RoundTrip] = []
    for kind, ts_ns, instrument, side, lots, px_e9, multiplier, fee_e9 in zip(
        *columns, strict=True
    ):
        if kind not in kinds:
            continue
        queue = queues.setdefault(instrument, deque())
        fee, left = _Fee(fee_e9, lots), lots
        while left and queue and queue[0].side == -side:
            first = queue[0]
            part = min(left, first.lots)
            gross = first.side * part * multiplier * (px_e9 - first.px_e9)
            net = gross - first.fee.share(part) - fee.share(part)
            trips.append(RoundTrip(instrument, first.side, part, first.ts_ns, ts_ns, net))
            left -= part
            first.lots -= part
            if first.lots == 0:
                queue.popleft()
        if left:
            queue.append(_Open(side, left, px_e9, ts_ns, fee))
    return trips


def trip_statistics(trips: Sequence[RoundTrip]) -> TripStatistics:
    """Win rate, duration and profit factor; without round trips each says so."""
    n = len(trips)
    if n == 0:
        reason = "no round trip was closed"
        return TripStatistics(
            missing("share of round trips", 0, reason),
            missing("minutes", 0, reason),
            missing("ratio", 0, reason),
        )
    wins = sum(trip.net_e9 > 0 for trip in trips)
    low, high = wilson(wins, n)
    lots = sum(trip.lots for trip in trips)
    held_ns = sum(trip.lots * (trip.close_ns - trip.open_ns) for trip in trips)
    gains = sum(trip.net_e9 for trip in trips if trip.net_e9 > 0)
    losses = -sum(trip.net_e9 for trip in trips if trip.net_e9 < 0)
    factor = (
        Measure(gains / losses, "ratio", n)
        if losses
        else missing("ratio", n, "no round trip lost money")
    )
    return TripStatistics(
        Measure(wins / n, "share of round trips", n, low=low, high=high),
        Measure(held_ns / lots / _NS_PER_MINUTE, "minutes", n),
        factor,
    )
