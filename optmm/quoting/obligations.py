"""Presence: how long each series was quoted on both sides while it had to be, and why not.

The denominator is fixed before a quote is sent: series under nine months to expiry, with
0.05 <= |delta| <= 0.95, whose market is two-sided. Time before the first fair value counts too: its
eligibility is judged with the first deltas known, and its absence is put down to NO_THEO.
"""

import numpy as np

from optmm.engine.reasons import ABSENT, Why

NINE_MONTHS_YEARS = 0.75
LEAST_DELTA, MOST_DELTA = 0.05, 0.95
REASONS = tuple(why for why in Why if why & ABSENT and why is not Why.NONE)
COLUMNS = tuple(f"absent_{str(why.name).lower()}_s" for why in REASONS)


class Presence:
    """Seconds per option (n,), accumulated at every timer."""

    def __init__(self, n: int) -> None:
        self.open_s = np.zeros(n)
        self.eligible_s = np.zeros(n)
        self.two_sided_s = np.zeros(n)
        self.in_flight_s = np.zeros(n)
        self.absent_s = np.zeros((n, len(REASONS)))
        self._before_theo_s = np.zeros(n)
        self._delta = np.full(n, np.nan)  # last known

    def add(
        self,
        seconds: float,
        *,
        is_open: np.ndarray,
        delta: np.ndarray,
        years: np.ndarray,
        market_two_sided: np.ndarray,
        quoted: np.ndarray,
        why: np.ndarray,
    ) -> None:
        """Count the `seconds` that just passed, in the state that held through them.

        All arrays (n,): `delta` NaN before a series first has a fair value; `why` is the bitwise or
        of both sides' reasons; `quoted` is both sides live at the venue.
        """
        self.open_s[is_open] += seconds
        # a series that has lost its fair value is still the series it was
        self._delta = np.where(np.isfinite(delta), delta, self._delta)
        near = is_open & market_two_sided & (years < NINE_MONTHS_YEARS)
        self._before_theo_s[near & ~np.isfinite(self._delta)] += seconds
        size = np.abs(self._delta)
        eligible = near & (size >= LEAST_DELTA) & (size <= MOST_DELTA)
        listed = (size >= LEAST_DELTA) & (size <= MOST_DELTA)
        late = np.where(listed, self._before_theo_s, 0.0)
        self.eligible_s += late + np.where(eligible, seconds, 0.0)
        self.absent_s[:, REASONS.index(Why.NO_THEO)] += late
        self._before_theo_s[np.isfinite(self._delta)] = 0.0
        self.two_sided_s[eligible & quoted] += seconds
        missing = eligible & ~quoted
        named = np.zeros(missing.shape, bool)
        for j, reason in enumerate(REASONS):
            hit = missing & (why & int(reason) != 0)
            self.absent_s[hit, j] += seconds
            named |= hit
        self.in_flight_s[missing & ~named] += seconds

    def close(self) -> None:
        """Count series that never had a fair value: nobody knows that they were not eligible."""
        self.eligible_s += self._before_theo_s
        self.absent_s[:, REASONS.index(Why.NO_THEO)] += self._before_theo_s
        self._before_theo_s[:] = 0.0

    def columns(self) -> dict[str, np.ndarray]:
        """The columns of presence.parquet besides `bound` and `instrument`."""
        out = {
            "open_s": self.open_s,
            "eligible_s": self.eligible_s,
            "two_sided_s": self.two_sided_s,
            "absent_in_flight_s": self.in_flight_s,
        }
        return out | {name: self.absent_s[:, j] for j, name in enumerate(COLUMNS)}
