"""Andreasen and Huge's steps prepared and taken: nodes, guides and the march through the expiries.

For `surfaces.andreasen_huge`, which says what they are for. Quotes are checked, sorted by expiry
and strike, and in units of the forward.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from surfaces.kernels import andreasen_huge as kernel
from surfaces.kernels.andreasen_huge_step import ROWS
from surfaces.local_vol import spread_nodes, stencil
from surfaces.pricing import black

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

TOLERANCE = 1e-5  # error in vol up to which a quote is repriced
ACCURATE = 1e-9  # error in vol, or in half spreads, that ends a search
SEARCH = 60  # steps of a search
FAR = 9.0  # deviations that nodes reach
FINE = 0.08  # of the first expiry's deviation: the spacing of nodes at the forward
CLOSE = 0.3  # of the spacing: nodes nearer than this to a quoted strike are left out
APART = 0.75  # deviations between guides, and from the nearest quote
REACH = 6.0  # deviations as far as which there are guides
LEAN = 0.05  # of the time between: how much less than the next a guide is at least
GUIDE = 0.01  # weight of a guide beside a quote


class Steps(NamedTuple):
    """m calibrated steps on n nodes: what the kernels take."""

    x: Floats
    grid: Floats  # (3, n)
    starts: Floats  # (m,)
    segment: Ints  # (m, n)
    share: Floats  # (m, n)
    vol: Floats  # (m, knots), padded with the last knot's
    prices: Floats  # (m, 2, n): price and density before each step


class Quotes(NamedTuple):
    """Quotes in rising (years, k), (q,): `scale` ln(model price / price) is the misfit."""

    k: Floats
    years: Floats
    vol: Floats
    price: Floats
    scale: Floats


class Plan(NamedTuple):
    """How to march: nodes in k, whether the local vol is constant about each strike, the cost of
    second differences, and the weight of a misfit of 1.00 of vol."""

    nodes: Floats
    constant: bool
    smoothing: float
    unit: float


class Marched(NamedTuple):
    """What calibration found: per expiry (m,), and per quote (q,) the price and a status."""

    steps: Steps
    years: Floats
    searches: Ints
    price: Floats
    status: NDArray[np.uint8]


def nodes_of(k: Floats, T: Floats, v: Floats, points: int) -> Floats:
    """Nodes in k: spread evenly in asinh, with zero and every quoted strike among them."""
    width = v * np.sqrt(T)
    first = float(width[int(np.searchsorted(T, T[0], side="right")) // 2])
    far = FAR * float(width.max())
    low, high = min(1.5 * k.min(), -far), max(1.5 * k.max(), far)
    nodes = spread_nodes(low, high, FINE * first, points)
    asked = np.unique(np.append(k, 0.0))
    gap = np.gradient(nodes)
    after = np.clip(np.searchsorted(asked, nodes), 0, asked.size - 1)
    near = np.minimum(np.abs(asked[after] - nodes), np.abs(asked[np.maximum(after - 1, 0)] - nodes))
    return np.sort(np.concatenate((nodes[near > CLOSE * gap], asked)))


def march(quotes: Quotes, plan: Plan, under: NDArray[np.bool_]) -> Marched:
    """Calibrate expiry after expiry. `under`: quotes that the expiry before must stay below."""
    x, grid = stencil(plan.nodes)
    years, first = np.unique(quotes.years, return_index=True)
    count = quotes.k.size
    of, guide_k, guide_w = _guides(quotes, years, np.append(first, count), under)
    guide_price, guide_scale = priced(guide_k, guide_w, years[of])
    k, T, w, price, scale = (
        np.concatenate(pair)
        for pair in (
            (quotes.k, guide_k),
            (quotes.years, years[of]),
            (quotes.vol**2 * quotes.years, guide_w),
            (quotes.price, guide_price),
            (quotes.scale, GUIDE * plan.unit * guide_scale),
        )
    )
    order = np.lexsort((k, T))
    k, w, price, scale = k[order], w[order], price[order], scale[order]
    own = (order < count).astype(np.int64)
    ends = np.append(np.searchsorted(T[order], years), k.size)
    m, n, c = years.size, x.size, 2 * int(np.diff(ends).max()) + 6
    prices = np.zeros((m + 1, 2, n))
    middle = int(np.searchsorted(plan.nodes, 0.0))
    prices[0, 1, middle] = 2.0 / (x[middle + 1] - x[middle - 1])
    segment, share, vol = np.empty((m, n), np.int64), np.empty((m, n)), np.empty((m, c))
    searches, found = np.zeros(m, np.int64), np.empty(k.size)
    status = np.zeros(k.size, np.uint8)
    kernel.march(
        plan.nodes, x, grid, years, ends, np.searchsorted(plan.nodes, k), k, w, price, scale, own,
        plan.constant, plan.smoothing, ACCURATE, TOLERANCE, SEARCH, segment, share, vol, prices,
        searches, found, status, np.empty((ROWS, n)), np.empty((4 * c + 10, c)),
        np.empty((kernel.NUMBERS, c)), np.empty((5, c), np.int64),
    )  # fmt: skip
    starts = np.concatenate(([0.0], years[:-1]))
    steps = Steps(x, grid, starts, segment, share, vol, prices[:-1])
    quoted = own == 1
    return Marched(steps, years, searches, found[quoted], status[quoted])


def _guides(
    quotes: Quotes, years: Floats, ends: Ints, under: NDArray[np.bool_]
) -> tuple[Ints, Floats, Floats]:
    """Where an expiry has no quote but a later one has: expiry, k and a total variance to lean to.

    Past the last strike of an expiry one step's prices fall off exponentially, slower than what
    later expiries may quote there, and could end up above them. So an expiry's smile follows the
    shape of the next one; also at quotes marked `under`, however near its own are.
    """
    most = int(np.diff(ends).max())
    room = int(2 * REACH / APART + 3) + most + int(under.sum())
    of, rows = np.empty(room * years.size, np.int64), np.empty((2, room * years.size))
    n = kernel.fill_guides(
        years, ends, quotes.k, quotes.vol**2 * quotes.years, under, APART, REACH, LEAN, of, *rows,
        np.empty((kernel.GUIDING, room + most)),
    )  # fmt: skip
    return of[:n], rows[0, :n], rows[1, :n]


def priced(k: Floats, w: Floats, T: Floats) -> tuple[Floats, Floats]:
    """Out-of-the-money price, and price/vega: the vol error that a relative price error is."""
    right = np.where(k >= 0.0, 1.0, -1.0)
    root = np.sqrt(w)
    price = black.price(right=right, forward=1.0, strike=np.exp(k), years=1.0, vol=root)
    d1 = -k / root + 0.5 * root
    vega = np.exp(-0.5 * d1 * d1) * np.sqrt(T / (2.0 * np.pi))
    carries = (price > 1e-250) & (vega > 1e-250)
    return np.where(carries, price, 0.0), np.where(carries, price, 1.0) / np.where(
        carries, vega, 1.0
    )
