"""Tops of book as they pass, and the put-call parity forward they imply for one expiry.

Plain bookkeeping for what is needed outside the surface: a declared future, a settlement proxy.
European options only, since parity of American ones is a band.
"""

import math

import numpy as np

from optmm.market.chain import Chain
from optmm.market.events import Kind
from surfaces.curves import parity
from surfaces.units import years_between

E9 = 1_000_000_000


class Tops:
    """Last bid and ask of n options with their time, fed block by block in order of time."""

    def __init__(self, chain: Chain) -> None:
        n = len(chain)
        self._chain = chain
        self.bid_e9, self.ask_e9 = np.zeros(n, np.int64), np.zeros(n, np.int64)
        self.ts_ns = np.zeros(n, np.int64)
        pairs = parity.pair_rows(
            chain.right.astype(np.float64), chain.strike, chain.slice_start.astype(np.int64)
        )
        self._call, self._put, self._start = pairs.call, pairs.put, pairs.start
        self.european = np.array(
            [not chain.american[chain.rows(j)].any() for j in range(chain.slices)], np.bool_
        )

    def take(self, events: np.ndarray) -> None:
        """Apply the option quotes among `events`; the last one of a row stands."""
        quotes = events[events["kind"] == Kind.QUOTE]
        at = quotes["instrument"]
        self.bid_e9[at], self.ask_e9[at] = quotes["bid_e9"], quotes["ask_e9"]
        self.ts_ns[at] = quotes["ts_event_ns"]

    def pairs(self, j: int) -> int:
        """Strikes of slice `j` with a call and a put; none if any of its options is American."""
        return int(self._start[j + 1] - self._start[j]) if self.european[j] else 0

    def rows_of(self, j: int) -> np.ndarray:
        """Rows of slice `j` that belong to a pair."""
        span = slice(int(self._start[j]), int(self._start[j + 1]))
        return np.concatenate([self._call[span], self._put[span]])

    def forward(self, j: int, now_ns: int, *, rate: float, stale_ns: int) -> float:
        """Robust parity forward of slice `j`, USD; NaN without a fresh two-sided pair.

        Parameters
        ----------
        rate : continuously compounded, a year, for the discount factor to its fixing
        stale_ns : a quote older than this makes no pair
        """
        if not self.pairs(j):
            return math.nan
        span = slice(int(self._start[j]), int(self._start[j + 1]))
        call, put = self._call[span], self._put[span]
        usable = (self.bid_e9 > 0) & (self.ask_e9 > self.bid_e9) & (now_ns - self.ts_ns <= stale_ns)
        both = usable[call] & usable[put]
        call, put = call[both], put[both]
        if not call.size:
            return math.nan
        pairs = parity.make_pairs(
            strike=self._chain.strike[call],
            call_bid=self.bid_e9[call] / E9, call_ask=self.ask_e9[call] / E9,
            put_bid=self.bid_e9[put] / E9, put_ask=self.ask_e9[put] / E9,
        )  # fmt: skip
        years = max(years_between(now_ns, int(self._chain.fixing_ns[call[0]])), 0.0)
        found = parity.forward_given_df(pairs, math.exp(-rate * years))
        return math.nan if found is None else found.forward


def exact(usd: float) -> int:
    """USD rounded to 1e-9 USD, halves up."""
    return math.floor(usd * 1e9 + 0.5)
