"""Where the held book's revaluation came from, between one sheet and the next.

Value change of each option held at the old sheet, by Taylor in spot, time and its own strike's vol:
theta dt + delta dS + 1/2 gamma dS^2 + vega dvol + vanna dS dvol + 1/2 volga dvol^2. Delta is at a
fixed strike's vol here, since a move of that vol with spot is in dvol already.
"""

import numpy as np

from optmm.quoting.theo import TheoSheet
from surfaces.units import NS_PER_YEAR

LINES = ("theta", "delta", "gamma", "vega", "vanna", "volga")


def between(old: TheoSheet, new: TheoSheet, shares: np.ndarray, hedge_units: float) -> np.ndarray:
    """USD of each of `LINES` from `old` to `new`, for `shares` (n,) of options and the hedge held.

    An option without fair value on either sheet (it expired, or lost its surface) is left out.
    """
    held = np.flatnonzero((shares != 0) & old.priced & new.priced)
    q = shares[held]
    spot = new.spot - old.spot
    years = (new.ts_ns - old.ts_ns) / NS_PER_YEAR
    vol = new.vol[held] - old.vol[held]
    return np.array(
        [
            (q @ old.theta[held]) * years,
            (q @ old.delta_at_strike[held] + hedge_units) * spot,
            0.5 * (q @ old.gamma[held]) * spot * spot,
            q @ (old.vega[held] * vol),
            (q * old.vanna[held]) @ vol * spot,
            0.5 * (q @ (old.volga[held] * vol * vol)),
        ]
    )
