"""From the numbers in LEAN files to clean, exact, forward-filled rows.

Every row is kept or put aside for exactly one reason, and counted. A minute bar stamped t is known
at t + 60 s, so `end_ns` is the bar's end. A blank side means "no update in this minute", so the
last known price and size of the session are carried; a side never seen is 0, absent.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from optmm.data.lean_zip import Table
from optmm.market import calendar
from optmm.market.chain import Session

BAR_NS = 60_000_000_000
DAY_MS = 86_400_000
MAX_PRICE_E9 = 10**16  # 10 million USD; beyond it a float64 price is not exact
MAX_SIZE = 10**12
BID, BID_SIZE, ASK, ASK_SIZE = 4, 5, 9, 10  # columns of a quote bar: closes and last sizes
HIGH, LOW, CLOSE, VOLUME = 2, 3, 4, 5  # columns of a trade bar


@dataclass(frozen=True, slots=True)
class File:
    """One zip with what its numbers mean."""

    table: Table
    date: str  # stored date, YYYY-MM-DD
    zone: str  # clock of its ms column
    price_e9: int  # what 1 in a price column is worth
    row_of: np.ndarray  # int32 (members,): chain row; -1 adjusted root, -2 not a series


@dataclass(frozen=True, slots=True)
class Rows:
    """Clean rows sorted by (instrument, time); prices int64 1e-9 USD, 0 absent; sizes lots.

    A quote: `low_e9` and `high_e9` are bid and ask. A print: the bar's low and high.
    """

    instrument: np.ndarray
    end_ns: np.ndarray
    low_e9: np.ndarray
    high_e9: np.ndarray
    low_lots: np.ndarray
    high_lots: np.ndarray
    close_e9: np.ndarray

    def __len__(self) -> int:
        return self.instrument.size


class Sieve:
    """Rows of one file that are still good; a row falls for the first reason that holds."""

    def __init__(self, rows: int, tally: Counter[str], prefix: str) -> None:
        self.good = np.ones(rows, np.bool_)
        self._tally, self._prefix = tally, prefix

    def drop(self, bad: np.ndarray | np.bool_, reason: str) -> None:
        """Put aside and count the good rows where `bad`."""
        hits = int(np.count_nonzero(self.good & bad))
        if hits:
            self._tally[self._prefix + reason] += hits
            self.good &= ~bad


def quotes(
    sources: Sequence[File], session: Session, stop_ns: np.ndarray, tally: Counter[str], prefix: str
) -> Rows:
    """Quote bars, forward-filled. `stop_ns` (chain rows) ends each instrument's trading."""
    parts = [_clean(s, session, stop_ns, tally, prefix, _judge_quotes) for s in sources]
    instrument, end_ns, values, blank, scale = _merge(parts, len(QUOTE_COLUMNS))
    first = _group_starts(instrument)
    bid, bid_size, ask, ask_size = (
        _carry(values[i], ~blank[BID_OR_ASK[i]], first) for i in range(4)
    )
    bid_e9, ask_e9 = _exact(bid, scale), _exact(ask, scale)
    lots = bid_size.astype(np.int64), ask_size.astype(np.int64)
    return Rows(instrument, end_ns, bid_e9, ask_e9, *lots, close_e9=bid_e9)


def prints(
    sources: Sequence[File], session: Session, stop_ns: np.ndarray, tally: Counter[str], prefix: str
) -> Rows:
    """Trade bars: low, high and close, and the volume as `low_lots`."""
    parts = [_clean(s, session, stop_ns, tally, prefix, _judge_prints) for s in sources]
    instrument, end_ns, values, _, scale = _merge(parts, len(PRINT_COLUMNS))
    low, high, close = (_exact(values[i], scale) for i in range(3))
    volume = values[3].astype(np.int64)
    return Rows(instrument, end_ns, low, high, volume, np.zeros_like(volume), close)


QUOTE_COLUMNS = (BID, BID_SIZE, ASK, ASK_SIZE)
PRINT_COLUMNS = (LOW, HIGH, CLOSE, VOLUME)
BID_OR_ASK = (0, 0, 2, 2)  # a size is as old as the price beside it


@dataclass(frozen=True, slots=True)
class _Part:
    """Good rows of one file, in file order; `values` and `blank` are (columns kept, rows)."""

    instrument: np.ndarray
    end_ns: np.ndarray
    values: np.ndarray
    blank: np.ndarray
    price_e9: int


def _clean(source: File, session: Session, stop_ns, tally, prefix, judge) -> _Part:
    table, sieve = source.table, Sieve(len(source.table), tally, prefix)
    row = source.row_of[table.member]
    sieve.drop(row == -1, "adjusted root")
    sieve.drop(row == -2, "member is no known series")
    ms = table.values[0]
    odd = ~np.isfinite(table.values)
    sieve.drop((odd & ~table.blank).any(axis=0) | odd[0], "not a number")
    sieve.drop((table.values < 0.0).any(axis=0), "negative price or size")
    sieve.drop(ms >= DAY_MS, "clock outside the day")
    ms = np.where(sieve.good, ms, 0.0).astype(np.int64)
    _judge_clock(table.member, ms, sieve)
    columns = judge(table, source.price_e9, sieve)
    end_ns = calendar.wall_ns(source.date, ms, source.zone) + BAR_NS
    sieve.drop(
        (end_ns - BAR_NS < session.open_ns) | (end_ns > session.close_ns), "outside the session"
    )
    sieve.drop(end_ns > stop_ns[np.maximum(row, 0)], "after the last trade of its series")
    good = sieve.good
    return _Part(
        row[good].astype(np.int32),
        end_ns[good],
        table.values[list(columns)][:, good],
        table.blank[list(columns)][:, good],
        source.price_e9,
    )


def _judge_clock(member: np.ndarray, ms: np.ndarray, sieve: Sieve) -> None:
    """Put aside rows at or before the latest time already seen in their member."""
    at = np.flatnonzero(sieve.good)
    # Members follow one another, so one running maximum over (member, ms) serves them all.
    key = member[at].astype(np.int64) * DAY_MS + ms[at]
    latest = np.maximum.accumulate(key)
    earlier = np.concatenate(([-1], latest[:-1]))[: key.size]
    for bad, reason in ((key == earlier, "duplicate"), (key < earlier, "clock backwards")):
        mask = np.zeros_like(sieve.good)
        mask[at[bad]] = True
        sieve.drop(mask, reason)


def _judge_quotes(table: Table, price_e9: int, sieve: Sieve) -> tuple[int, ...]:
    bid, ask = table.values[BID], table.values[ASK]
    sizes = table.values[[BID_SIZE, ASK_SIZE]]
    limit = MAX_PRICE_E9 / price_e9
    sieve.drop((bid > limit) | (ask > limit) | (sizes > MAX_SIZE).any(axis=0), "out of range")
    sieve.drop(table.blank[BID] & table.blank[ASK], "blank on both sides")
    for price, size in ((BID, BID_SIZE), (ASK, ASK_SIZE)):
        sieve.drop(~table.blank[price] & table.blank[size], "price without a size")
    sieve.drop((ask > 0.0) & (bid > ask), "crossed quote")
    return QUOTE_COLUMNS


def _judge_prints(table: Table, price_e9: int, sieve: Sieve) -> tuple[int, ...]:
    prices = table.values[1:5]
    sieve.drop(table.blank.any(axis=0), "blank field")
    sieve.drop((prices <= 0.0).any(axis=0), "price of zero")
    over = (prices > MAX_PRICE_E9 / price_e9).any(axis=0) | (table.values[VOLUME] > MAX_SIZE)
    sieve.drop(over, "out of range")
    outside = (prices < prices[LOW - 1]) | (prices > prices[HIGH - 1])
    sieve.drop(outside.any(axis=0), "price outside its bar")
    return PRINT_COLUMNS


def _merge(
    parts: Sequence[_Part], columns: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """All parts sorted by (instrument, time); `scale` is each row's price unit."""
    if not parts:
        none = np.empty(0, np.int64)
        empty = np.empty((columns, 0))
        return none.astype(np.int32), none, empty, empty.astype(np.bool_), none
    instrument = np.concatenate([p.instrument for p in parts])
    end_ns = np.concatenate([p.end_ns for p in parts])
    scale = np.concatenate([np.full(p.end_ns.size, p.price_e9, np.int64) for p in parts])
    order = np.lexsort((end_ns, instrument))
    values = np.concatenate([p.values for p in parts], axis=1)[:, order]
    blank = np.concatenate([p.blank for p in parts], axis=1)[:, order]
    return instrument[order], end_ns[order], values, blank, scale[order]


def _group_starts(instrument: np.ndarray) -> np.ndarray:
    """Index of the first row of each row's instrument; input sorted."""
    new = np.ones(instrument.size, np.bool_)
    new[1:] = instrument[1:] != instrument[:-1]
    return np.maximum.accumulate(np.where(new, np.arange(instrument.size), 0))


def _carry(values: np.ndarray, seen: np.ndarray, first: np.ndarray) -> np.ndarray:
    """The last seen value at or before each row of its instrument; 0 where there is none."""
    last = np.maximum.accumulate(np.where(seen, np.arange(values.size), -1))
    return np.where(last >= first, values[np.maximum(last, 0)], 0.0)


def _exact(prices: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Prices in file units as int64 1e-9 USD; the product is within 0.01 of the integer."""
    return np.rint(prices * scale).astype(np.int64)
