"""The business clock that variance runs on: U-shaped by day, slow at night, still at weekends.

One business day is the night before a session plus the session. Business time is counted from the
open of the simulated day, so `elapsed` of an instant today is a number below one, and an expiry
`n` sessions ahead lies at `n` plus today's session share.

Units   instants int64 ns UTC; business time in days (252 to a business year).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from optmm.market.chain import Session

Floats = NDArray[np.float64]

NS_PER_SECOND = 1_000_000_000
BUSINESS_DAYS_PER_YEAR = 252.0
NIGHT_SECONDS = 17.5 * 3600.0
OPEN_BURST, OPEN_SCALE = 1.6, 0.07
CLOSE_BURST, CLOSE_SCALE = 0.9, 0.06
QUIET = 0.65


@dataclass(frozen=True, slots=True)
class Clock:
    """A day's one-second grid and its business time."""

    session: Session
    fixing_ns: int  # end of the regular session: what expires today is fixed here
    night_share: float  # of a business day's variance
    seconds: int  # grid points are open + 0..seconds

    @property
    def grid_ns(self) -> NDArray[np.int64]:
        """Instants of the grid, shape (seconds + 1,)."""
        return self.session.open_ns + NS_PER_SECOND * np.arange(self.seconds + 1, dtype=np.int64)

    @property
    def elapsed(self) -> Floats:
        """Business days since the open at every grid point, shape (seconds + 1,), increasing."""
        at = np.arange(self.seconds + 1, dtype=np.float64)
        regular = (self.fixing_ns - self.session.open_ns) / NS_PER_SECOND
        day = (1.0 - self.night_share) * activity(np.minimum(at / regular, 1.0))
        return day + self.night_share * np.maximum(at - regular, 0.0) / NIGHT_SECONDS

    def at_expiry(self, sessions_ahead: NDArray[np.int64]) -> Floats:
        """Business days from the open to the fixing `sessions_ahead` sessions later; 0 is today."""
        return 1.0 - self.night_share + sessions_ahead.astype(np.float64)

    def index(self, ts_ns: NDArray[np.int64] | int) -> NDArray[np.int64]:
        """Last grid point at or before each instant: the truth steps on whole seconds."""
        at = (np.asarray(ts_ns, np.int64) - self.session.open_ns) // NS_PER_SECOND
        return np.clip(at, 0, self.seconds)


def activity(fraction: Floats) -> Floats:
    """Share of a session's activity done by `fraction` of its length: 0 to 0, 1 to 1, U-shaped."""
    fraction = np.asarray(fraction, np.float64)

    def raw(x: Floats) -> Floats:
        opening = OPEN_BURST * OPEN_SCALE * (1.0 - np.exp(-x / OPEN_SCALE))
        fall = np.exp(-(1.0 - x) / CLOSE_SCALE) - np.exp(-1.0 / CLOSE_SCALE)
        return QUIET * x + opening + CLOSE_BURST * CLOSE_SCALE * fall

    return raw(fraction) / raw(np.asarray(1.0))
