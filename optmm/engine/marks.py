"""Marks: what every instrument is worth now, as integers: settlement, else theo, mid, last.

One rounding to 1e-9 USD happens here; the ledger and the attribution share these integers.
"""

import numpy as np

from optmm.engine.state import EngineState

SOURCES = ("settlement", "theo", "mid", "last", "none", "official")
SETTLEMENT, THEO, MID, LAST, NONE = range(5)


class Marks:
    """Marks of n options and the underlying (row n), int64 1e-9 USD, with their source."""

    def __init__(self, n: int) -> None:
        self.e9 = np.zeros(n + 1, np.int64)
        self.source = np.full(n + 1, NONE, np.int8)

    def refresh(self, state: EngineState) -> None:
        """Mark at the state's present spot; a settled series keeps its settlement value."""
        mkt = state.mkt
        move = float(state.head["mid"][0]) - mkt["spot_ref"]  # whatever fair value quotes follow
        theo = np.maximum(mkt["theo"] + move * (mkt["delta"] + move * mkt["gamma_half"]), 0.0)
        open_ = self.source != SETTLEMENT
        two_sided = (mkt["bid_e9"] > 0) & (mkt["ask_e9"] > mkt["bid_e9"])
        priced = np.isfinite(theo)
        known = self.source != NONE
        self.source[open_ & known] = LAST
        mid = open_ & two_sided
        self.e9[mid] = (mkt["bid_e9"][mid] + mkt["ask_e9"][mid]) // 2
        self.source[mid] = MID
        fair = open_ & priced
        fair[-1] = False
        self.e9[fair] = np.floor(theo[fair] * 1e9 + 0.5).astype(np.int64)
        self.source[fair] = THEO
        # spot_ns is 0 until a session shows a level: yesterday's may be one from before a split
        if state.head["spot_e9"][0] > 0 and state.head["spot_ns"][0] > 0:
            self.e9[-1] = state.head["spot_e9"][0]
            self.source[-1] = MID

    def given(self, instrument: int, px_e9: int) -> None:
        """Mark at a price that came with a position, until the market shows one."""
        if self.source[instrument] == NONE:
            self.e9[instrument], self.source[instrument] = px_e9, LAST

    def known(self) -> np.ndarray:
        """Which instruments have a mark, (n + 1,)."""
        return self.source != NONE

    def settle(self, instrument: int, value_e9: int) -> None:
        """Fix an expired option at its settlement value for good."""
        self.e9[instrument] = value_e9
        self.source[instrument] = SETTLEMENT
