"""The only home of 365, 252 and 1e9, so a unit is converted in one place.

Years are ACT/365 calendar time: ns / NS_PER_YEAR. Money that trades is int64 in 1e-9 USD.
"""

from typing import overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

DAYS_PER_YEAR = 365
TRADING_DAYS = 252
NS_PER_SECOND = 1_000_000_000
NS_PER_HOUR = 3_600 * NS_PER_SECOND
NS_PER_DAY = 24 * NS_PER_HOUR
NS_PER_YEAR = DAYS_PER_YEAR * NS_PER_DAY
E9 = 1e9


@overload
def years_between(from_ns: int, to_ns: int) -> float: ...
@overload
def years_between(from_ns: ArrayLike, to_ns: ArrayLike) -> NDArray[np.float64]: ...
def years_between(from_ns: ArrayLike, to_ns: ArrayLike) -> float | NDArray[np.float64]:
    """ACT/365 years from one instant to another, both ns UTC; negative when `to_ns` is earlier.

    The difference is taken in integers: float64 holds 1.7e18 ns only to 256 ns.
    """
    if isinstance(from_ns, int) and isinstance(to_ns, int):
        return (to_ns - from_ns) / NS_PER_YEAR
    return (np.asarray(to_ns, np.int64) - np.asarray(from_ns, np.int64)) / NS_PER_YEAR
