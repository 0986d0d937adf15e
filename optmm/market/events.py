"""One event table for every feed: what the market said, and when we could know it.

`MarketEvent` is a numpy structured dtype. A day is one array of it, sorted by `ts_event_ns`; inside
one instant the order is status, option prints, underlying prints, underlying quotes, option quotes,
timers, the close. Prints come before quotes because inside a bar their order is unknown, and a
print tested against a quote that was decided after it would be look-ahead.

Fields by kind (`instrument` is the chain row; the underlying has row `len(chain)`):

kind              bid_e9            ask_e9           bid_lots    ask_lots
QUOTE             best bid, 0 none  best ask, 0 none bid size    ask size
TRADE             price             price            size        aggressor: +1, -1, 0 unknown
BAR               low of the prints high             volume      0
TAKER             seller's lowest   buyer's highest  sell size   buy size    (simulated venue only)
UNDERLYING_QUOTE  best bid          best ask         bid size    ask size
UNDERLYING_TRADE  price (bar close) price            size        0
STATUS            0                 0                0           0           (`bits` says which)
TIMER             0                 0                0           0           (slow path is due)
REFERENCE_QUOTE   best bid          best ask         bid size    ask size    (a future that leads)

Units: prices int64 in 1e-9 USD (`_e9`), sizes in lots (contracts, shares), time int64 ns UTC.
Field names avoid those that numpy records own (size, flags, data, base, item).
"""

from enum import IntEnum, IntFlag

import numpy as np

MARKET_EVENT = np.dtype(
    [
        ("ts_event_ns", np.int64),
        ("ts_recv_ns", np.int64),
        ("seq", np.int64),
        ("bid_e9", np.int64),
        ("ask_e9", np.int64),
        ("bid_lots", np.int64),
        ("ask_lots", np.int64),
        ("instrument", np.int32),
        ("kind", np.int16),
        ("bits", np.int16),
    ],
    align=True,
)


class Kind(IntEnum):
    """What an event says; the value is also its rank inside one instant."""

    STATUS = 0
    TRADE = 1
    BAR = 2
    TAKER = 3
    UNDERLYING_TRADE = 4
    UNDERLYING_QUOTE = 5
    QUOTE = 6
    TIMER = 7
    REFERENCE_QUOTE = 8  # of the leading future; its `instrument` is the underlying's row


class Bits(IntFlag):
    """Flags of an event. STATUS events carry exactly one of OPEN, CLOSE, HALT, RESUME."""

    NONE = 0
    OPEN = 1
    CLOSE = 2
    HALT = 4
    RESUME = 8
    AUCTION = 32  # of a print: an opening, closing or price-improvement auction
    COMPLEX = 64  # of a print: a leg of a complex order
    FLOOR = 128  # of a print: open outcry


NOT_HITTABLE = Bits.AUCTION | Bits.COMPLEX | Bits.FLOOR  # such a print never met a resting quote


def empty(n: int) -> np.ndarray:
    """Return `n` zeroed events."""
    return np.zeros(n, MARKET_EVENT)


def in_order(events: np.ndarray) -> np.ndarray:
    """Sort by (ts_event_ns, kind, instrument), stably, and number `seq` from zero.

    A CLOSE comes last of its instant: the bars that end at the close still belong to the session.
    """
    closes = (events["kind"] == Kind.STATUS) & (events["bits"] & Bits.CLOSE != 0)
    rank = np.where(closes, np.int16(len(Kind)), events["kind"])
    order = np.lexsort((events["instrument"], rank, events["ts_event_ns"]))
    out = events[order].copy()
    out["seq"] = np.arange(out.size)
    return out
