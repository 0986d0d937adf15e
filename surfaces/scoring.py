"""Marks for a fitted surface: hits, chi-square, error of the vols, and the arbitrage certificate.

The quotes that count are chosen before any fit: two-sided, unlocked, usable, out of the money. A
quote the fit dropped still counts, as a miss. A hit is a model price, early-exercise premium
included, inside [bid, ask]. The core is -3 < z < 2, z = k/(atm vol sqrt(years)).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from surfaces import arbitrage, grouped
from surfaces.smiles.base import EDGE, SMILES, Array, CurveStack
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
    error_k: Array | None = None  # where the model knows one standard error of its vol,
    error_vol: Array | None = None  # and that error


def stacked(curves: list[Curve]) -> CurveStack:
    """The curves as one stack; those without parameters are absent from it."""
    models = [None if c.theta is None else SMILES[c.model] for c in curves]
    return CurveStack.of_curves(models, [c.theta for c in curves])


@dataclass(frozen=True, slots=True)
class Marks:
    """Counts of every slice, (m,)."""

    quotes: NDArray[np.int64]
    hits: NDArray[np.int64]
    core_quotes: NDArray[np.int64]
    core_hits: NDArray[np.int64]


def marks(
    *, price: Array, bid: Array, ask: Array, k: Array, of: NDArray[np.int64], width: Array
) -> Marks:
    """Count hits among judged quotes; arrays (q,), prices in USD as traded.

    `of` (q,): the slice of each quote. `width` (m,): one standard deviation of ln(K/F) at the
    money, NaN for a slice without a curve.
    """
    m = width.size
    hit = (price >= bid - TOUCH) & (price <= ask + TOUCH)
    z = k / np.maximum(width, 1e-12)[of]
    core = (z > CORE[0]) & (z < CORE[1])
    counts = [grouped.count(which, of, m) for which in (hit, core, core & hit)]
    return Marks(np.bincount(of, minlength=m), *counts)


def misfits(
    curves: list[Curve], quotes: list[SmileQuotes | None], years: Array
) -> tuple[Array, Array]:
    """Reduced chi-square in half spreads and one standard error of a fitted vol, (m,) each.

    `quotes`: those each curve was drawn from; None, and NaN in the answer, for a curve kept from
    before. The error joins what the curve misses (rms, weighted as the fit is) with what the
    quotes leave open (median half spread, averaged over the quotes there are per parameter).
    """
    m = len(curves)
    fitted = [(j, q) for j, q in enumerate(quotes) if q is not None]
    if not fitted:
        return np.full(m, np.nan), np.full(m, np.nan)
    of = np.repeat([j for j, _ in fitted], [len(q) for _, q in fitted])
    k, mid, half = (
        np.concatenate([getattr(q, name) for _, q in fitted])
        for name in ("k", "mid_vol", "half_vol")
    )
    firm = ~np.concatenate([q.one_sided for _, q in fitted])
    of, k, mid, half = of[firm], k[firm], mid[firm], half[firm]
    w = np.maximum(stacked(curves).total_variance(of, k), 0.0)
    gap = np.abs(np.sqrt(w / years[of]) - mid)
    weight = 1.0 / half**2
    count = np.bincount(of, minlength=m)
    parameters = np.array([len(SMILES[c.model].parameters) if c.model else 0 for c in curves])
    chi2 = grouped.total(weight * gap**2, of, m) / np.maximum(count - parameters, 1)
    clipped = np.minimum(gap, 3.0 * np.maximum(half, grouped.median(gap, of, m)[of]))
    mass = np.where(count > 0, grouped.total(weight, of, m), np.nan)
    mean_square = grouped.total(weight * clipped**2, of, m) / mass
    each = np.maximum(count / np.maximum(parameters, 1), 1.0)
    open_part = grouped.median(half, of, m) ** 2 / each
    return np.where(count > 0, chi2, np.nan), np.sqrt(mean_square + open_part)


def certify(
    curves: list[Curve], stack: CurveStack, years: Array, alive: NDArray[np.bool_]
) -> tuple[Array, Array, Array]:
    """Per slice: min g, calendar margin against the slice before on strikes both quote, and on 1.3
    times the union of their ranges. NaN where there is nothing to compare."""
    low, margin, wings = (np.full(len(curves), np.nan) for _ in range(3))
    there = [
        j
        for j in np.argsort(years, kind="stable").tolist()
        if curves[j].theta is not None and alive[j] and np.isfinite(curves[j].k_low)
    ]
    if not there:
        return low, margin, wings
    of = np.array(there)
    k_low = np.array([curves[j].k_low for j in there])
    k_high = np.array([curves[j].k_high for j in there])
    low[of] = arbitrage.min_gs(stack, of, k_low, k_high)[0]
    later = np.flatnonzero(np.diff(years[of]) > 0.0) + 1
    pair = (stack, of[later - 1], of[later])
    (low0, low1), (high0, high1) = ((a[later - 1], a[later]) for a in (k_low, k_high))
    inner = np.maximum(low0, low1), np.minimum(high0, high1)
    outer = np.minimum(low0, low1), np.maximum(high0, high1)
    margin[of[later]] = arbitrage.calendar_margins(*pair, *inner)
    wings[of[later]] = arbitrage.calendar_margins(*pair, *outer, EDGE)
    return low, margin, wings
