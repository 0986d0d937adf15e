"""Time to expiry for volatility: ACT/365 calendar time, never quite zero.

An option in its last seconds must price to something finite, so live time has a floor; whether it
may still trade is the chain's business, not the clock's.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from surfaces.units import NS_PER_YEAR, years_between

FLOOR_SECONDS = 10.0


def years_to(
    fixing_ns: ArrayLike, now_ns: int, floor_seconds: float = FLOOR_SECONDS
) -> NDArray[np.float64]:
    """Years from `now_ns` to each instant, ns UTC, at least `floor_seconds`, also in the past."""
    left = years_between(np.int64(now_ns), np.asarray(fixing_ns, np.int64))
    return np.maximum(left, floor_seconds * 1e9 / NS_PER_YEAR)
