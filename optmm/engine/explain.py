"""Where the held book's revaluation came from, between one sheet and the next.

Gathers two sheets into the `Snapshots` that `optmm.pnl.attribution.explain` takes. Delta is at a
fixed strike's vol: a move of that vol with spot is in the vega line already. `forward` is what a
re-estimated forward and discount factor did at the same spot, beyond their roll in time.
"""

import numpy as np

from optmm.pnl.attribution import Snapshots, explain
from optmm.quoting.theo import TheoSheet
from surfaces.units import NS_PER_YEAR

TAYLOR = ("theta", "delta", "gamma", "vega", "vanna", "volga")
LINES = (*TAYLOR, "forward", "unexplained")


def between(old: TheoSheet, new: TheoSheet, shares: np.ndarray, hedge_units: float) -> np.ndarray:
    """USD of each of `LINES` from `old` to `new`, for `shares` (n,) and the hedge held at `old`.

    The lines add up to the revaluation exactly. An option without fair value on either sheet (it
    expired, or lost its surface) is left out.
    """
    held = np.flatnonzero((shares != 0) & old.priced & new.priced)
    q = shares[held].astype(np.float64)
    years = (new.ts_ns - old.ts_ns) / NS_PER_YEAR

    def column(values: np.ndarray, hedge: float = 0.0) -> np.ndarray:
        return np.append(values, hedge)[None, :].repeat(2, axis=0)

    def at(sheet: TheoSheet) -> np.ndarray:
        return np.append(q * sheet.theo[held], hedge_units * sheet.spot)

    lines = explain(
        Snapshots(
            years=np.array([0.0, years]),
            spot=np.array([old.spot, new.spot]),
            vol=np.stack([np.append(sheet.vol[held], 0.0) for sheet in (old, new)]),
            delta=column(q * old.delta_at_strike[held], hedge_units),
            gamma=column(q * old.gamma[held]),
            vega=column(q * old.vega[held]),
            theta=column(q * old.theta[held]),
            vanna=column(q * old.vanna[held]),
            volga=column(q * old.volga[held]),
            value_start=np.stack([at(old), at(old)]),
            value_end=np.stack([at(new), at(new)]),
        )
    )
    rate, roll = old.rate[held], (old.rate - old.carry)[held]
    growth = new.growth[held] - old.growth[held] * np.exp(-roll * years)
    factor = new.df[held] / (old.df[held] * np.exp(rate * years)) - 1.0
    to_forward = old.delta_at_strike[held] / old.growth[held]
    forward = float(q @ (to_forward * growth * new.spot + old.theo[held] * factor))
    taylor = [getattr(lines, name) for name in TAYLOR]
    return np.array([*taylor, forward, lines.unexplained - forward])
