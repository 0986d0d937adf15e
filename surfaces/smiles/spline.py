"""A spline of total variance, beside the mixture for comparison.

w(k) is a natural cubic spline with straight wings. The fit is a convex program in the values at the
knots: a small quadratic pull to the middle inside the spread, a cost in proportion outside, and a
price on third differences. No construction excludes butterflies, as the mixture's does: g >= 0 is
linearised on a grid about the last round's curve and is elastic, so whoever uses the curve must
look at its certificate; neighbouring expiries are only asked not to cross. Wing slopes obey Lee's
bound and w > 0 exactly: what the program leaves of those is blended away with a flat curve.

Rounds: the first without g; then each quote missed is weighed by one over its miss, g is linearised
anew, and what g still lacks on a fine grid is asked for on top.

Units   k = ln(strike/forward), w = vol^2 years; knots even in asinh(z/1.5), z = k/(atm vol
        sqrt(years)), over 1.3 times the quoted range.
Source  M. Fengler, Quantitative Finance 9 (2009) 417-428, for smoothing splines with rows against
        arbitrage; g: Gatheral-Jacquier 2014; R. Lee, Mathematical Finance 14 (2004) 469-480.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from surfaces.kernels import spline as kernel
from surfaces.smiles.base import EDGE, Array, Below, SmileFit, as_rows, register
from surfaces.smiles.quotes import SmileQuotes

KNOTS = 21
BEND = 1.5  # z from where knots stand wider apart
PULL = 0.05  # of the middle, inside the spread
INSIDE = 0.98  # of the spread, beyond which a quote costs in proportion
ROUGH = 1e-3  # price of a third difference of w/s^2, times quotes
ROUNDS = 4
WARM = 2  # of them when an earlier curve is given
MORE = 3  # rounds that ask for more where g < 0
SOFT = 0.1  # half spreads added to a miss before its weight is one over it
GRID = 81  # points where g >= 0 is asked for
FINE = 401
LEAST_G = 1e-3
FIRM = 1e3  # cost of a unit of g, of slope or of calendar
LEE = 1.99  # slope a wing may have at the very most; two is where moments end
STEEPEST = 1.95  # slope the program lets it have
FLATTEST = 1e-3  # least slope of w/s^2 per z in a wing, so that w > 0 out there
LOWEST = 0.02  # least w over s^2
ROUGHNESS = np.diff(np.eye(KNOTS), 3, axis=0).T @ np.diff(np.eye(KNOTS), 3, axis=0)


@dataclass(frozen=True, slots=True)
class _Design:
    """Rows of w, w' and w'' at the quotes and on the grid, in y = w/s^2 at the knots."""

    s: float
    knots: Array
    bends: Array  # (n, n) second derivatives at the knots
    at_quotes: Array
    grid: Array
    w: Array
    w1: Array
    w2: Array


@dataclass(frozen=True, slots=True)
class _Market:
    """Quotes in half spreads from their middle: rows y - middle within `room`; no lower bound
    where `has_bid` is not, and no pull to the middle where `pull` is zero."""

    rows: Array
    middle: Array
    room: Array
    has_bid: NDArray[np.bool_]
    pull: Array

    def miss(self, y: Array) -> Array:
        """Half spreads outside."""
        off = self.rows @ y - self.middle
        return np.maximum(np.maximum(off, np.where(self.has_bid, -off, 0.0)) - self.room, 0.0)


@dataclass(frozen=True, slots=True)
class Spline:
    """Parameters: scale, then knots, w and d2w/dk2 there, each over scale; as many as KNOTS."""

    name: str = "spline"
    parameters: tuple[str, ...] = ("scale", "knots", "values", "bends")
    minimum_quotes: int = 5

    def total_variance(self, k: Array, theta: Array) -> Array:
        """w(k), dimensionless, in the shape of `k`."""
        return _curve(k, theta)[0]

    def derivatives(self, k: Array, theta: Array) -> tuple[Array, Array, Array]:
        """w, dw/dk and d2w/dk2; the last is zero in the wings."""
        return _curve(k, theta)

    def scaled(self, theta: Array, ratio: float) -> Array:
        """Parameters of ratio * w(k)."""
        out = np.array(theta)
        out[0] *= ratio
        return out

    def stretched(self, theta: Array, ratio: float) -> Array:
        """Parameters of ratio * w(k / sqrt(ratio))."""
        n = (theta.size - 1) // 3
        each = np.repeat([np.sqrt(ratio), ratio, 1.0], n)  # knots, values, second derivatives
        return theta * np.concatenate(([1.0], each))

    def fit(
        self, quotes: SmileQuotes, start: Array | None = None, below: Below | None = None
    ) -> SmileFit | None:
        """Fit one expiry; `start` saves the first rounds, `below` is an elastic floor on w."""
        design = _designed(quotes)
        if design is None:
            return None
        market = _market(quotes, design)
        fixed = [_walls(design), *([] if below is None else [_floor(below, quotes, design)])]
        if start is None:
            y, turns = np.full(KNOTS, 1.0), range(ROUNDS + MORE)
        else:
            y = np.maximum(self.total_variance(design.knots, start) / design.s**2, LOWEST)
            turns = range(ROUNDS - WARM, ROUNDS + MORE)
        weight, asked = np.ones(len(quotes)), np.full(GRID, LEAST_G)
        for turn in turns:
            walls = fixed if turn == 0 else [*fixed, _butterflies(design, y, asked)]
            y = _lawful(design, _solved(market, weight, walls, y))
            theta = _theta(design, y)
            if not np.isfinite(theta).all():
                return None
            if turn < ROUNDS - 1:
                weight = (1.0 + SOFT) / (market.miss(y) + SOFT)
                continue
            lacks = _lacking(design, theta)
            if not lacks.any():
                break
            asked = asked + lacks
        return SmileFit(self.name, theta, np.ones(len(quotes), bool))


def _curve(k: Array, theta: Array) -> tuple[Array, Array, Array]:
    """w and its derivatives; theta (p,) for one curve, or (p, curves, 1...) and k (curves, ...)."""
    k = np.asarray(k, np.float64)
    if not k.size:
        return k.copy(), k.copy(), k.copy()
    points, table = as_rows(k, theta)
    out = np.empty((3, *points.shape))
    kernel.fill_curve(points, table, *out)
    w, w1, w2 = (values.reshape(k.shape) for values in out)
    return w, w1, w2


def _theta(design: _Design, y: Array) -> Array:
    """Parameters of the values y."""
    return np.concatenate(([1.0], design.knots, design.s**2 * y, design.s**2 * (design.bends @ y)))


def _lawful(design: _Design, y: Array) -> Array:
    """y, or the nearest blend of it with a flat curve whose wings and level are within the law."""
    flat = np.full(KNOTS, 1.0) + 2.0 * FLATTEST / design.s * np.abs(design.knots)

    def room(values: Array) -> Array:
        w = _curve(_between(design.grid), _theta(design, values))[0] / design.s**2
        first, last = design.w1[0] @ values, design.w1[-1] @ values
        lee = LEE / design.s**2
        return np.concatenate((w - 0.1 * LOWEST, [-first, first + lee, last, lee - last]))

    have, safe = room(y), room(flat)
    if have.min() > 0.0:
        return y
    share = float(np.max(np.where(have > 0.0, 0.0, (1e-9 - have) / (safe - have))))
    return (1.0 - share) * y + share * flat


def _designed(quotes: SmileQuotes) -> _Design | None:
    """Knots and rows; None where no level can be read off the quotes."""
    firm = ~quotes.one_sided
    k, mid = quotes.k[firm], quotes.mid_vol[firm]
    s = float(np.interp(0.0, k, mid)) * np.sqrt(quotes.years)
    if not (k.size and s > 0.0 and k[-1] > k[0]):
        return None
    middle, half = 0.5 * (k[0] + k[-1]), 0.5 * EDGE * (k[-1] - k[0])
    ends = np.arcsinh(np.array([middle - half, middle + half]) / (BEND * s))
    knots = BEND * s * np.sinh(np.linspace(ends[0], ends[1], KNOTS))
    bends = np.empty((KNOTS, KNOTS))
    kernel.fill_bends(knots, bends)
    at_quotes = np.empty((3, len(quotes), KNOTS))
    kernel.fill_rows(np.ascontiguousarray(quotes.k), knots, bends, *at_quotes)
    grid = BEND * s * np.sinh(np.linspace(ends[0], ends[1], GRID))
    on_grid = np.empty((3, GRID, KNOTS))
    kernel.fill_rows(grid, knots, bends, *on_grid)
    return _Design(s, knots, bends, at_quotes[0], grid, *on_grid)


def _market(quotes: SmileQuotes, design: _Design) -> _Market:
    unit = design.s**2 / quotes.years  # of vol^2
    per = unit / (2.0 * quotes.mid_vol * quotes.half_vol)
    ask, bid = (np.nan_to_num(v) ** 2 / unit for v in (quotes.ask_vol, quotes.bid_vol))
    has_bid = np.isfinite(quotes.bid_vol) & ~quotes.one_sided
    middle = np.where(has_bid, 0.5 * (ask + bid), quotes.mid_vol**2 / unit)
    return _Market(
        per[:, None] * design.at_quotes,
        per * middle,
        INSIDE * per * (ask - middle),
        has_bid,
        np.where(quotes.one_sided, 0.0, PULL),
    )


def _walls(design: _Design) -> tuple[Array, Array, Array]:
    """w at the knots not below LOWEST; wing slopes that fall to the left and rise to the right."""
    first, last = design.w1[0], design.w1[-1]
    lee = STEEPEST / design.s**2
    low = FLATTEST / design.s
    rows = design.s * np.stack((first, -first, -last, last))
    bound = design.s * np.array([-low, lee, -low, lee])
    return (
        np.concatenate((-np.eye(KNOTS), rows)),
        np.concatenate((np.full(KNOTS, -LOWEST), bound)),
        np.full(KNOTS + 4, FIRM),
    )


def _floor(below: Below, quotes: SmileQuotes, design: _Design) -> tuple[Array, Array, Array]:
    """w not below the shorter expiry's, where both are quoted."""
    low, high = max(below.k_low, quotes.k[0]), min(below.k_high, quotes.k[-1])
    k = np.linspace(low, high, GRID if low < high else 0)
    rows = np.empty((3, k.size, KNOTS))
    kernel.fill_rows(k, design.knots, design.bends, *rows)
    floor = below.model.total_variance(k, below.theta) / design.s**2
    return -rows[0], -floor, np.full(k.size, FIRM)


def _butterflies(design: _Design, y: Array, asked: Array) -> tuple[Array, Array, Array]:
    """g >= asked on the grid, linear about y: rows of -g."""
    k, scale = design.grid, design.s**2
    w, w1, w2 = (scale * (rows @ y) for rows in (design.w, design.w1, design.w2))
    w = np.maximum(w, LOWEST * scale)
    half = 1.0 - 0.5 * k * w1 / w
    g = half * half - 0.25 * w1 * w1 * (1.0 / w + 0.25) + 0.5 * w2
    by_w = (half * k * w1 + 0.25 * w1 * w1) / (w * w)
    by_w1 = -half * k / w - 0.5 * w1 * (1.0 / w + 0.25)
    rows = scale * (by_w[:, None] * design.w + by_w1[:, None] * design.w1 + 0.5 * design.w2)
    return -rows, g - asked - rows @ y, np.full(k.size, FIRM)


def _between(grid: Array) -> Array:
    """FINE points over the grid."""
    return np.interp(np.linspace(0.0, GRID - 1.0, FINE), np.arange(float(GRID)), grid)


def _lacking(design: _Design, theta: Array) -> Array:
    """By how much more g has to be asked for at each point of the grid."""
    k = _between(design.grid)
    w, w1, w2 = _curve(k, theta)
    half = 1.0 - 0.5 * k * w1 / w
    g = half * half - 0.25 * w1 * w1 * (1.0 / w + 0.25) + 0.5 * w2
    short = np.where(g < 0.0, 0.5 * LEAST_G - 1.5 * g, 0.0)
    out = np.zeros(GRID)
    near = np.linspace(0.0, GRID - 1.0, FINE)
    for side in (np.floor(near), np.ceil(near)):
        np.maximum.at(out, side.astype(np.int64), short)
    return out


def _solved(
    market: _Market, weight: Array, walls: list[tuple[Array, Array, Array]], y: Array
) -> Array:
    """The program's values at the knots, from y; a miss costs `weight` a half spread."""
    rows, below = market.rows, market.has_bid
    quadratic = rows.T @ (market.pull[:, None] * rows)
    quadratic += ROUGH * weight.size * ROUGHNESS + 1e-9 * np.eye(KNOTS)
    hinges = [
        (rows, market.middle + market.room, weight),
        (-rows[below], (market.room - market.middle)[below], weight[below]),
        *walls,
    ]
    table, bound, cap = (np.concatenate([part[i] for part in hinges]) for i in range(3))
    out = y.copy()
    kernel.solve(quadratic, -rows.T @ (market.pull * market.middle), table, bound, cap, out)
    return out


SPLINE = register(Spline())
