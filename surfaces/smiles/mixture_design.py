"""Quotes, settings and matrices of a mixture program: what is known before it is solved."""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from surfaces.kernels import mixture as curve
from surfaces.kernels.mixture_solve import Links
from surfaces.smiles.mixture_grid import GROWTH, SPACING, Dictionary, dictionary, spans

Array = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

MISSING = 1e-12  # of a half spread: prices below it are not worth a column
STRETCH = GROWTH / SPACING
NEAR = 0.2  # s by which link rows may be off their places
SAME_LEVEL = 0.15  # relative move of s that a dictionary outlives


@dataclass(frozen=True, slots=True)
class Settings:
    """Weights and tolerances of the program; the defaults are what the tests certify."""

    alpha: float = 0.05  # of squared residuals inside the spread
    band: float = 0.98  # of the spread that costs nothing more
    roughness: float = 3e-6  # of third differences of the weights, a quote
    calendar: bool = True
    margin: float = 1e-3  # relative price by which later expiries must be dearer
    edge: float = 1.3  # of the union of two quoted ranges, where they must be
    points: int = 300  # rows of a pair
    link_cap: float = 1e3  # cost of a relative price gap of one
    mu_cold: float = 30.0
    mu: float = 3e-4  # complementarity at the end, in half spreads
    steps: int = 100


class Packed(NamedTuple):
    """Quotes of m expiries end to end, (q,)."""

    start: Ints  # (m + 1,)
    k: Array
    mid: Array
    half: Array
    low: Array  # distance of the bid below mid, in `half`
    high: Array
    bid: Array
    ask: Array
    two_sided: Flags
    known: Flags


@dataclass(frozen=True, slots=True, eq=False)
class Design:
    """What stands while the strikes do: matrices of the quotes and of every link row."""

    words: Dictionary
    k: Array
    start: Ints
    matrix: Array
    spans: Ints
    links: Links
    link_k: Array
    settings: Settings
    kept: Flags  # slices (m,) whose dictionary is that of the design before


def design(quotes: Packed, before: Design | None, settings: Settings) -> Design:
    """Dictionary and matrices, as much of them as possible from `before`.

    The dictionary of a slice stays while its level and reach do; link rows stand at distances from
    the forward and so outlive a move of it; the quotes' matrix is theirs alone.
    """
    low, high = quotes.k[quotes.start[:-1]], quotes.k[quotes.start[1:] - 1]
    reach = spans(low, high, settings.edge)
    fits = np.zeros(low.size, bool) if before is None else _fits(before, quotes, reach, settings)
    if before is None or not fits.all():
        half = np.where(quotes.two_sided, quotes.half, np.inf)
        kept = None if before is None or not fits.any() else (before.words, fits)
        words = dictionary(quotes.k, quotes.mid, half, quotes.start, reach, kept)
        before = None
    elif np.array_equal(before.start, quotes.start) and np.array_equal(before.k, quotes.k):
        return before if before.kept.all() else replace(before, kept=fits)
    else:
        words = before.words
    m, bumps = words.centre.shape
    size = quotes.k.size
    matrix, columns = np.zeros((size, bumps)), np.zeros((size, 2), np.int64)
    shape = words.bumps, words.centre, words.width, words.scale
    least = MISSING * quotes.half
    curve.fill_design(quotes.k, quotes.start, *shape, least, matrix, columns)
    per = settings.points if settings.calendar else 0
    link_k = _link_points(words, low, high, per, settings.edge)
    if before is not None:
        near = NEAR * np.repeat(words.s[:-1], per)
        if np.all(np.abs(link_k - before.link_k) <= near):
            rest = before.links, before.link_k
            return Design(words, quotes.k, quotes.start, matrix, columns, *rest, settings, fits)
    start = np.minimum(np.arange(m + 1), m - 1) * per
    early, late = np.zeros((2, link_k.size, bumps))
    early_spans, late_spans = np.zeros((2, link_k.size, 2), np.int64)
    cap = np.full(link_k.size, settings.link_cap)
    curve.fill_links(link_k, start, *shape, settings.margin, early, late, early_spans, late_spans)
    links = Links(start, early, late, early_spans, late_spans, cap)
    return Design(words, quotes.k, quotes.start, matrix, columns, links, link_k, settings, fits)


def _fits(before: Design, quotes: Packed, reach: Array, settings: Settings) -> Flags:
    """Slices (m,) that an earlier dictionary still serves: same settings, levels and reach."""
    words = before.words
    if before.settings != settings or words.s.size != reach.shape[0]:
        return np.zeros(reach.shape[0], bool)
    level, slack = _level(quotes), 0.5 * words.s
    fits = (np.abs(level / words.s - 1.0) < SAME_LEVEL) | np.isnan(level)
    fits &= reach[:, 0] >= words.reach[:, 0] - slack
    fits &= reach[:, 1] <= words.reach[:, 1] + slack
    return np.asarray(fits)


def _level(quotes: Packed) -> Array:
    """A rough at-the-money total vol of each slice, NaN where nothing is quoted near the money."""
    out = np.full(quotes.start.size - 1, np.nan)
    for t in range(out.size):
        part = slice(int(quotes.start[t]), int(quotes.start[t + 1]))
        k = quotes.k[part]
        if k[0] < 0.0 < k[-1]:
            at = int(np.searchsorted(k, 0.0))
            mid, two = quotes.mid[part][at - 1 : at + 1], quotes.two_sided[part][at - 1 : at + 1]
            if two.all():
                share = k[at] / (k[at] - k[at - 1])
                out[t] = np.sqrt(2.0 * np.pi) * (share * mid[0] + (1.0 - share) * mid[1])
    return out


def _link_points(words: Dictionary, low: Array, high: Array, per: int, edge: float) -> Array:
    """k of the link rows, `per` a pair, over `edge` times the union quoted.

    Their distances grow with |k|/s as those of the bumps do, so that each bump has as many.
    """
    first, last = np.minimum(low[1:], low[:-1]), np.maximum(high[1:], high[:-1])
    middle, half = 0.5 * (first + last), 0.5 * edge * (last - first)
    s = words.s[:-1]
    left, right = _stretched((middle - half) / s), _stretched((middle + half) / s)
    y = np.linspace(left, right, per, axis=1) if per else np.zeros((s.size, 0))
    z = np.sign(y) * np.expm1(STRETCH * np.abs(y)) / STRETCH
    return np.ascontiguousarray(s[:, None] * z).ravel()


def _stretched(z: Array) -> Array:
    """A coordinate in which the bumps stand about evenly."""
    return np.asarray(np.sign(z) * np.log1p(STRETCH * np.abs(z)) / STRETCH)


def kept(packed: Packed, keep: Flags, of: Ints) -> Packed:
    """Only the quotes `keep`, and only slices that have one."""
    counts = np.bincount(of[keep], minlength=packed.start.size - 1)
    start = np.cumsum([0, *counts[counts > 0]])
    return Packed._make((start, *(column[keep] for column in packed[1:])))
