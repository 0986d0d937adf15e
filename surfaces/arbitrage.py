"""Static arbitrage, measured: Durrleman's g for butterflies, variance gaps for calendars.

Nothing here repairs; a certificate says what is true on a dense grid, and how far it reached.
Margins of the calendar are (w_later - w_earlier)/w_later(0): 0.01 is one per cent of the longer
expiry's at-the-money variance, and negative means arbitrage.

Source  Gatheral-Jacquier 2014 (g, and Vogt's parameters, which must fail); Roper 2010.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from surfaces import checks as check
from surfaces.smiles.base import Array, CurveStack, SmileModel, reach


def durrleman(k: ArrayLike, w: ArrayLike, w1: ArrayLike, w2: ArrayLike) -> Array:
    """g(k) from total variance and its two derivatives in k; g < 0 is a butterfly arbitrage.

    The density of the log-price is g(k) phi(d-)/sqrt(w). All arguments broadcast.
    """
    k, w, w1, w2 = (
        check.numbers(n, v) for n, v in zip(("k", "w", "w1", "w2"), (k, w, w1, w2), strict=True)
    )
    half = 1.0 - 0.5 * k * w1 / w
    return half * half - 0.25 * w1 * w1 * (1.0 / w + 0.25) + 0.5 * w2


def min_g(model: SmileModel, theta: Array, k_low: float, k_high: float) -> tuple[float, float]:
    """The lowest g over 1.3 times the quoted range, and the k where it is.

    A grid's lowest point is refined twice, so the answer does not depend on the grid's phase. Total
    variance at or below zero anywhere gives minus infinity.
    """
    stack, only = CurveStack.of_curves((model,), (theta,)), np.zeros(1, np.int64)
    g, k = min_gs(stack, only, np.array([k_low]), np.array([k_high]))
    return float(g[0]), float(k[0])


def min_gs(
    stack: CurveStack,
    of: NDArray[np.int64],
    k_low: Array,
    k_high: Array,
    points: int = 401,
) -> tuple[Array, Array]:
    """`min_g` of the curves `of` (c,) at once; ranges and both results have the shape (c,)."""
    each = np.arange(of.size)
    grid = reach(k_low[:, None], k_high[:, None], points=points)
    lost, lost_at = np.zeros(each.size, bool), np.zeros(each.size)
    for _ in range(3):
        w, w1, w2 = stack.derivatives(of, grid)
        lowest = np.argmin(w, axis=1)
        now = ~(w[each, lowest] > 0.0) & ~lost
        lost_at[now] = grid[each, lowest][now]
        lost |= now
        if lost.any():
            w = np.where(w > 0.0, w, 1.0)
        g = durrleman(grid, w, w1, w2)
        at = np.argmin(g, axis=1)
        best, where = g[each, at], grid[each, at]
        low = grid[each, np.maximum(at - 1, 0)]
        high = grid[each, np.minimum(at + 1, grid.shape[1] - 1)]
        grid = reach(low[:, None], high[:, None], edge=1.0, points=41)
    return np.where(lost, -np.inf, best), np.where(lost, lost_at, where)


def calendar_margin(
    earlier: tuple[SmileModel, Array],
    later: tuple[SmileModel, Array],
    k_low: float,
    k_high: float,
    edge: float = 1.0,
) -> float:
    """Least variance gained from one expiry to the next over `edge` times [k_low, k_high].

    In units of the later expiry's at-the-money variance; NaN for an empty range.
    """
    if not k_high > k_low:
        return float("nan")
    stack = CurveStack.of_curves((earlier[0], later[0]), (earlier[1], later[1]))
    grid, first = reach(np.array([[k_low]]), np.array([[k_high]]), edge), np.zeros(1, np.int64)
    span = grid[:, 0], grid[:, -1]
    return float(calendar_margins(stack, first, first + 1, span, span)[0][0])


def calendar_margins(
    stack: CurveStack,
    earlier: NDArray[np.int64],
    later: NDArray[np.int64],
    inner: tuple[Array, Array],
    outer: tuple[Array, Array],
    points: int = 401,
) -> tuple[Array, Array]:
    """`calendar_margin` of c pairs of curves on two ranges, (c,) each; (c,) index the stack.

    `inner` and `outer` are (low, high) of each pair, one inside the other; `points` lie evenly in
    the inner one, half as many in what is left of the outer.
    """
    (low, high), (first, last) = inner, outer
    empty = ~(high >= low)
    low, high = np.where(empty, first, low), np.where(empty, last, high)
    within = reach(low[:, None], high[:, None], 1.0, points)
    side = max(points // 4, 2)
    left = reach(first[:, None], low[:, None], 1.0, side)
    right = reach(high[:, None], last[:, None], 1.0, side)
    grid = np.concatenate((left, within, right), axis=1)
    gain = stack.total_variance(later, grid) - stack.total_variance(earlier, grid)
    at_money = stack.total_variance(later, np.zeros(later.size))
    middle = gain[:, side:-side].min(axis=1) / at_money
    return np.where(empty, np.nan, middle), gain.min(axis=1) / at_money


@dataclass(frozen=True, slots=True)
class Violations:
    """Chain rows of arbitrages among neighbouring quotes: the nearer strike of a vertical spread,
    the middle strike of a butterfly."""

    vertical: NDArray[np.int64]
    butterfly: NDArray[np.int64]


def executable_violations(
    *,
    strike: Array,
    right: Array,
    bid: Array,
    ask: Array,
    slice_of: NDArray[np.int64],
    cap: Array,
    tolerance: float = 1e-9,
) -> Violations:
    """Arbitrage between quotes that can be traded: buy at the ask, sell at the bid.

    Chain rows (n,), strikes rising in each slice and right; USD per share, NaN where absent. `cap`
    (n,): what a spread of one dollar may cost at most: the discount factor of a European option,
    one of an American.
    """
    vertical, butterfly = [], []
    for side in (1.0, -1.0):
        rows = np.flatnonzero(right == side)
        if side < 0.0:  # a put spread is a call spread in mirrored strikes
            rows = rows[::-1]
        of, k, low, high, most = (a[rows] for a in (slice_of, side * strike, bid, ask, cap))
        width = np.diff(k)
        broken = (low[1:] - high[:-1] > tolerance) | (
            low[:-1] - high[1:] - most[1:] * width > tolerance
        )
        vertical.append(rows[:-1][broken & (of[1:] == of[:-1])])
        total = width[1:] + width[:-1]
        share = width[1:] / np.where(of[2:] == of[:-2], total, 1.0)
        cost = share * high[:-2] + (1.0 - share) * high[2:] - low[1:-1]
        butterfly.append(rows[1:-1][(cost < -tolerance) & (of[2:] == of[:-2])])
    return Violations(*(np.sort(np.concatenate(found)) for found in (vertical, butterfly)))
