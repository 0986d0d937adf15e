"""Marks for a fitted surface: hits, chi-square, error of the vols, and the arbitrage certificate.

The quotes that count are chosen before any fit: two-sided, unlocked, usable, out of the money. A
quote the fit dropped still counts, as a miss. A hit is a model price, early-exercise premium
included, inside [bid, ask]. The core is -3 < z < 2, z = k/(atm vol sqrt(years)).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from surfaces import arbitrage
from surfaces.smiles.base import EDGE, SMILES, Array
from surfaces.smiles.quotes import SmileQuotes

CORE = (-3.0, 2.0)
TOUCH = 1e-9  # USD: a price on the bid is a hit whatever the rounding


@dataclass(slots=True)
class Curve:
    """One slice on its way to a surface: what was fitted, from what, and what to say about it."""

    model: str = ""
    theta: Array | None = None
    path: str = "none"
    notes: tuple[str, ...] = ()
    k_low: float = float("nan")
    k_high: float = float("nan")
    fit_error: float = float("nan")
    fit_ns: int = 0

    def total_variance(self, k: Array) -> Array:
        """w(k) of the curve, which must exist."""
        assert self.theta is not None
        return SMILES[self.model].total_variance(k, self.theta)


@dataclass(frozen=True, slots=True)
class Marks:
    """Counts of one slice."""

    quotes: int
    hits: int
    core_quotes: int
    core_hits: int


def marks(*, price: Array, bid: Array, ask: Array, k: Array, years: float, atm_vol: float) -> Marks:
    """Count hits among one slice's judged quotes; arrays (q,), prices in USD as traded."""
    hit = (price >= bid - TOUCH) & (price <= ask + TOUCH)
    z = k / max(atm_vol * np.sqrt(years), 1e-12) if np.isfinite(atm_vol) else np.full(k.shape, 9e9)
    core = (z > CORE[0]) & (z < CORE[1])
    counts = (hit.size, np.count_nonzero(hit), np.count_nonzero(core), np.count_nonzero(core & hit))
    return Marks(*(int(c) for c in counts))


def misfit(curve: Curve, quotes: SmileQuotes, parameters: int) -> tuple[float, float]:
    """Reduced chi-square in half spreads, and one standard error of a fitted vol.

    The error joins what the curve misses (rms, weighted as the fit is) with what the quotes leave
    open (median half spread, averaged over the quotes there are per parameter).
    """
    firm = ~quotes.one_sided
    half = quotes.half_vol[firm]
    w = np.maximum(curve.total_variance(quotes.k[firm]), 0.0)
    gap = np.sqrt(w / quotes.years) - quotes.mid_vol[firm]
    weight = 1.0 / half**2
    chi2 = float(np.sum(weight * gap**2)) / max(half.size - parameters, 1)
    clipped = np.minimum(np.abs(gap), 3.0 * np.maximum(half, np.median(np.abs(gap))))
    mean_square = float(weight @ clipped**2 / weight.sum())
    open_part = float(np.median(half)) ** 2 / max(half.size / parameters, 1.0)
    return chi2, float(np.sqrt(mean_square + open_part))


def certify(
    curves: list[Curve], years: Array, alive: NDArray[np.bool_]
) -> tuple[Array, Array, Array]:
    """Per slice: min g, calendar margin against the slice before on strikes both quote, and on 1.3
    times the union of their ranges. NaN where there is nothing to compare."""
    m = len(curves)
    low, margin, wings = (np.full(m, np.nan) for _ in range(3))
    before = -1
    for j in np.argsort(years, kind="stable"):
        curve = curves[j]
        if curve.theta is None or not alive[j] or not np.isfinite(curve.k_low):
            continue
        model = SMILES[curve.model]
        low[j] = arbitrage.min_g(model, curve.theta, curve.k_low, curve.k_high)[0]
        if before >= 0 and years[j] > years[before]:
            old = curves[before]
            assert old.theta is not None
            both = (SMILES[old.model], old.theta), (model, curve.theta)
            inner = max(old.k_low, curve.k_low), min(old.k_high, curve.k_high)
            outer = min(old.k_low, curve.k_low), max(old.k_high, curve.k_high)
            margin[j] = arbitrage.calendar_margin(*both, *inner)
            wings[j] = arbitrage.calendar_margin(*both, *outer, edge=EDGE)
        before = j
    return low, margin, wings
