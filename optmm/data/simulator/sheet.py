"""The truth of every option at one instant: what a desk that knew everything would quote on."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class TrueSheet(NamedTuple):
    """Arrays (n,) in chain order, USD per share; expired options have their intrinsic value."""

    ts_ns: int  # the whole second the truth is of
    spot: float  # efficient, USD
    price: Floats
    delta: Floats  # per share, at fixed vols
    gamma: Floats
    vega: Floats  # per 1.00 of vol
    vol: Floats  # ACT/365; 0 once fixed
    years: Floats
    forward: Floats
    df: Floats
