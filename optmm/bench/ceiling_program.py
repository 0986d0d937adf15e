"""The program behind `optmm.bench.ceiling`: prices at strikes, rows of no arbitrage, and misses.

Unknown are out-of-the-money prices in half spreads from the middle, so that a quote worth a
millionth of the forward weighs as much in the solver's tolerances as one at the money.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

TOUCH = 1e-9  # of the price: a curve that close to a bid or an ask is inside
ROUNDS = 6  # of weighing anew
HIGHEST = 3.0, 10.0  # branch and bound: no curve over this times the middle, plus half spreads
BRANCHES = 2_000  # nodes after which it gives up on a proof
COMMON = (64, 16)  # strikes of the common grid among the quoted ones, and on either side of them
SOFT = (0.3, 0.01)  # half spreads added to a miss before its weight is one over it, first and last
SLACK = 1e-9  # what rounding may leave of a row, in half spreads
FAR = 2.0  # the last strike over the highest quoted one


@dataclass(frozen=True, slots=True)
class PricedQuotes:
    """One expiry, arrays (n,) in rising k. A bid that is NaN or not positive is no bid, an ask that
    is not finite no ask. `width`: one standard deviation of ln K/F at the money, which bounds the
    core; NaN reads it off the middles."""

    k: Array
    bid: Array
    ask: Array
    width: float = float("nan")


def two_sided(quotes: PricedQuotes) -> Mask:
    """Quotes (n,) with a bid and an ask: those that a hit rate counts."""
    return (quotes.bid > 0.0) & np.isfinite(quotes.ask)


@dataclass(frozen=True, slots=True)
class Nodes:
    """Strikes of one expiry's curve, zero first; its price there is base + unit x, x unknown."""

    strike: Array
    base: Array
    unit: Array
    quoted: NDArray[np.int64]  # nodes of the two-sided quotes
    room: Array  # half spread in units of x

    @property
    def intrinsic(self) -> Array:
        """What the call is worth above the out-of-the-money option."""
        return np.maximum(1.0 - self.strike, 0.0)


@dataclass(frozen=True, slots=True)
class Program:
    """Rows A x >= low with x >= floor; |x[quoted]| <= room, or it is a miss."""

    nodes: list[Nodes]
    rows: Any  # sparse (rows, x)
    low: Array
    floor: Array
    top: Array
    quoted: NDArray[np.int64]
    room: Array


def _nodes(quotes: PricedQuotes, beside: list[Array], last: float) -> Nodes:
    """Nodes at zero, the two-sided strikes, the strikes `beside` and `last`."""
    two = two_sided(quotes)
    own = np.exp(quotes.k[two])
    strike = np.unique(np.concatenate(([0.0, last], own, *beside)))
    quoted = np.searchsorted(strike, own)
    mid = 0.5 * (quotes.bid + quotes.ask)[two]
    room = 0.5 * (quotes.ask - quotes.bid)[two]
    half = np.maximum(room, TOUCH * mid)
    base, unit = np.zeros(strike.size), np.ones(strike.size)
    if own.size:
        unit = np.exp(np.interp(strike, own, np.log(half)))
        base[quoted] = mid
    return Nodes(strike, base, unit, quoted, room / unit[quoted])


def program(slices: Sequence[PricedQuotes]) -> Program:
    """All slices as one; linked in time where there is more than one."""
    from scipy import sparse

    own = [np.exp(q.k[two_sided(q)]) for q in slices]
    last = FAR * max([1.0, *(float(s[-1]) for s in own if s.size)])
    near = [[own[j] for j in (t - 1, t + 1) if 0 <= j < len(own)] for t in range(len(own))]
    if len(own) > 1:
        near = [[*beside, _common(own, last)] for beside in near]
    nodes = [_nodes(q, beside, last) for q, beside in zip(slices, near, strict=True)]
    shapes = [_shape(n) for n in nodes]
    rows = [sparse.block_diag([a for a, _ in shapes], format="csr")]
    low = [bound for _, bound in shapes]
    first = np.cumsum([0, *(n.strike.size for n in nodes)])
    for t, (short, long) in enumerate(pairwise(nodes)):
        strike = np.unique(np.concatenate((short.strike, long.strike)))
        a, b = _between(short, strike), _between(long, strike)
        beside = first[t], first[-1] - first[t + 2]
        blank = [sparse.csr_array((strike.size, int(n))) for n in beside]
        rows.append(sparse.hstack([blank[0], -_in_x(a, short), _in_x(b, long), blank[1]]))
        low.append(a @ (short.base + short.intrinsic) - b @ (long.base + long.intrinsic))
    table = sparse.vstack(rows, format="csr")
    scale = 1.0 / np.maximum(abs(table).max(axis=1).toarray().ravel(), 1e-300)
    floor = np.concatenate([-n.base / n.unit for n in nodes])
    top = np.full(floor.size, np.inf)
    top[first[:-1]] = 0.0
    return Program(
        nodes,
        sparse.diags_array(scale) @ table,
        scale * np.concatenate(low),
        floor,
        top,
        np.concatenate([f + n.quoted for f, n in zip(first[:-1], nodes, strict=True)]),
        np.concatenate([n.room for n in nodes]),
    )


def _common(own: list[Array], last: float) -> Array:
    """Strikes that every curve may bend at: among all that are quoted, and on to either end."""
    every = np.concatenate(own)
    if not every.size:
        return every
    inside = np.quantile(every, np.linspace(0.0, 1.0, COMMON[0]), method="nearest")
    below = np.geomspace(every.min() / FAR**4, every.min(), COMMON[1])
    return np.concatenate((below, inside, np.geomspace(every.max(), last, COMMON[1])))


def _in_x(rows: Any, n: Nodes) -> Any:
    """Rows in prices as rows in x."""
    from scipy import sparse

    return rows @ sparse.diags_array(n.unit)


def _shape(n: Nodes) -> tuple[Any, Array]:
    """Rows of one curve: slopes that rise, and the last of them not above zero.

    The first slope is at least -1 because no out-of-the-money price is negative.
    """
    from scipy import sparse

    size = n.strike.size
    inverse = 1.0 / np.diff(n.strike)
    bands = [inverse[:-1], -inverse[:-1] - inverse[1:], inverse[1:]]
    bend = sparse.diags_array(bands, offsets=[0, 1, 2], shape=(size - 2, size))
    kink = bend @ n.intrinsic
    straddles = (n.strike[:-2] < 1.0) & (n.strike[2:] > 1.0)
    kink[~straddles] = 0.0  # what rounding leaves there is not small against a deep quote
    fall = sparse.csr_array(([1.0, -1.0], ([0, 0], [size - 2, size - 1])), shape=(1, size))
    rows = sparse.vstack([bend, fall], format="csr")
    known = rows @ n.base + np.append(kink, fall @ n.intrinsic)
    return _in_x(rows, n), -known


def _between(n: Nodes, strike: Array) -> Any:
    """Rows that read the call price at `strike` off a straight line between nodes."""
    from scipy import sparse

    above = np.clip(np.searchsorted(n.strike, strike), 1, n.strike.size - 1)
    share = (strike - n.strike[above - 1]) / (n.strike[above] - n.strike[above - 1])
    row = np.tile(np.arange(strike.size), 2)
    column, value = np.concatenate((above - 1, above)), np.concatenate((1.0 - share, share))
    out = sparse.csr_array((value, (row, column)), shape=(strike.size, n.strike.size))
    out.eliminate_zeros()
    return out


def _picked(it: Program) -> Any:
    """Rows that pick the quotes' x out of all."""
    from scipy import sparse

    each = np.arange(it.quoted.size)
    return sparse.csr_array(
        (np.ones(each.size), (each, it.quoted)), shape=(each.size, it.floor.size)
    )


def _solved(it: Program, weight: Array, hard: Mask) -> Array | None:
    """x of least weighted misses, none at all where `hard`; None if that cannot be."""
    from scipy import sparse
    from scipy.optimize import linprog

    size, quotes = it.floor.size, it.quoted.size
    pick = _picked(it)
    one = sparse.eye_array(quotes)
    room = np.maximum(it.room - SLACK, 0.0)
    table = sparse.vstack(
        [
            sparse.hstack([-it.rows, sparse.csr_array((it.low.size, quotes))]),
            sparse.hstack([pick, -one]),
            sparse.hstack([-pick, -one]),
        ],
        format="csr",
    )
    low = np.concatenate((it.floor, np.zeros(quotes)))
    high = np.concatenate((it.top, np.where(hard, 0.0, np.inf)))
    found = linprog(
        np.concatenate((np.zeros(size), weight)),
        A_ub=table,
        b_ub=np.concatenate((-it.low, room, room)),
        bounds=np.stack((low, high), axis=1),
        method="highs",
        options={"primal_feasibility_tolerance": SLACK, "dual_feasibility_tolerance": 1e-9},
    )
    return None if found.x is None or found.status != 0 else found.x[:size]


def misses(it: Program, x: Array) -> Array:
    """How far outside each quote is, in units of x; zero if inside to within rounding."""
    miss = np.abs(x[it.quoted]) - it.room
    base, unit = (np.concatenate([getattr(n, a) for n in it.nodes]) for a in ("base", "unit"))
    touch = np.maximum(TOUCH * base[it.quoted] / unit[it.quoted], SLACK)
    return np.where(miss <= touch, 0.0, miss)


def fewest_misses(it: Program) -> tuple[Array, bool]:
    """x that misses fewest quotes, and whether that is proven."""
    quotes = it.quoted.size
    best = _solved(it, np.ones(quotes), np.zeros(quotes, bool))
    if best is None:  # no time value anywhere always satisfies the rows
        return it.floor, False
    best, left = _reweighted(it, best)
    if not left.any():
        return best, True
    few = int(np.count_nonzero(left))
    hard, bound = _branched(it)
    if hard is not None and np.count_nonzero(~hard) < few:
        x = _solved(it, np.ones(quotes), hard)
        if x is not None and np.count_nonzero(misses(it, x)) < few:
            best = x
            few = int(np.count_nonzero(misses(it, x)))
    return best, few <= np.ceil(bound - 1e-3)


def _reweighted(it: Program, best: Array) -> tuple[Array, Array]:
    """Fewer misses than `best` by weighing each by one over its size, and what is left of them."""
    miss = left = misses(it, best)
    for soft in np.geomspace(*SOFT, ROUNDS):
        if not left.any():
            break
        x = _solved(it, 1.0 / (miss + soft), np.zeros(left.size, bool))
        if x is None:
            break
        miss = misses(it, x)
        if np.count_nonzero(miss) <= np.count_nonzero(left):
            best, left = x, miss
    return best, left


def linked(it: Program, apart: Mask) -> tuple[Array, bool]:
    """The same for expiries in calendar order, from what each hits `apart`: it cannot be more."""
    best = _solved(it, np.ones(apart.size), apart)
    if best is not None:
        return best, True
    best = _solved(it, np.where(apart, 1.0, SOFT[1]), np.zeros(apart.size, bool))
    if best is None:
        return it.floor, False
    best, left = _reweighted(it, best)
    return best, int(np.count_nonzero(left)) <= int(np.count_nonzero(~apart))


def _branched(it: Program) -> tuple[Mask | None, float]:
    """Quotes that can all be hit, and a lower bound on how many must be missed."""
    from scipy import sparse
    from scipy.optimize import Bounds, LinearConstraint, milp

    size, quotes = it.floor.size, it.quoted.size
    pick = _picked(it)
    wide = sparse.diags_array(HIGHEST[1] - (HIGHEST[0] - 1.0) * it.floor[it.quoted])
    table = sparse.vstack(
        [
            sparse.hstack([it.rows, sparse.csr_array((it.low.size, quotes))]),
            sparse.hstack([pick, -wide]),
            sparse.hstack([pick, wide]),
        ]
    )
    free = np.full(quotes, np.inf)
    found = milp(
        np.concatenate((np.zeros(size), np.ones(quotes))),
        integrality=np.concatenate((np.zeros(size), np.ones(quotes))),
        bounds=Bounds(
            np.concatenate((it.floor, np.zeros(quotes))),
            np.concatenate((it.top, np.ones(quotes))),
        ),
        constraints=LinearConstraint(
            table,
            np.concatenate((it.low, -free, -it.room)),
            np.concatenate((np.full(it.low.size, np.inf), it.room, free)),
        ),
        options={"node_limit": BRANCHES},
    )
    bound = float(found.mip_dual_bound) if found.mip_dual_bound is not None else 0.0
    return (None if found.x is None else found.x[size:] < 0.5), bound
