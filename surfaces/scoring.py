"""Marks for a fitted surface: hits, chi-square, error of the vols.

The quotes that count are chosen before any fit: two-sided, unlocked, usable, out of the money. A
quote the fit dropped still counts, as a miss. A hit is a model price, early-exercise premium
included, inside [bid, ask]. The core is -3 < z < 2, z = k/(atm vol sqrt(years)).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from surfaces import grouped
from surfaces.arbitrage import executable_violations
from surfaces.certificate import TOLERANCE, Certificate
from surfaces.smiles.base import SMILES, Array, CurveStack
from surfaces.smiles.quotes import SmileQuotes
from surfaces.surface import ChainSlices, QuoteTable, Scores

CORE = (-3.0, 2.0)
FEW = 4  # quotes near the money below which a slice is not called a misfit
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
class Judged:
    """Quotes as traded and the curves beside them: what `score` needs to know of a refit.

    Prices USD per chain row (n,), NaN where absent; `price` (q,): the model's, for the rows of
    `table`; `cap` (n,) as `arbitrage.executable_violations` takes it; `width` (m,): one standard
    deviation of ln(K/F) at the money.
    """

    chain: ChainSlices
    bid: Array
    ask: Array
    cap: Array
    table: QuoteTable
    price: Array
    width: Array
    chi2: Array


def score(judged: Judged) -> Scores:
    """Hits, quotes left out, chi-square and arbitrage among the quotes of every slice."""
    chain, table = judged.chain, judged.table
    row, of, m = table.row, chain.slice_of[table.row], chain.slices
    counts = marks(
        price=judged.price, bid=judged.bid[row], ask=judged.ask[row], k=table.k, of=of,
        width=judged.width,
    )  # fmt: skip
    found = executable_violations(
        strike=chain.strike, right=chain.right, bid=judged.bid, ask=judged.ask,
        slice_of=chain.slice_of, cap=judged.cap,
    )  # fmt: skip
    return Scores(
        counts.quotes, counts.hits, counts.core_quotes, counts.core_hits, judged.chi2,
        grouped.count(np.abs(table.loo) <= 1.0, of, m),
        *(np.bincount(chain.slice_of[rows], minlength=m) for rows in
          (found.vertical, found.butterfly)),
    )  # fmt: skip


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


def annotate(
    curves: list[Curve], said: list[tuple[str, ...]], found: Certificate, scores: Scores
) -> None:
    """Add to each curve's notes what its forward, certificate and marks have to say."""
    for j, curve in enumerate(curves):
        notes = [*curve.notes, *said[j]]
        if found.min_g[j] < -TOLERANCE:
            notes.append("butterfly")
        if found.calendar_margin[j] < -TOLERANCE:
            notes.append("calendar")
        if scores.core_quotes[j] >= FEW and 2 * scores.core_hits[j] < scores.core_quotes[j]:
            notes.append("misfit")
        curve.notes = tuple(notes)
