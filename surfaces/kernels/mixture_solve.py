"""Weights of one or several mixture smiles: a convex program, by an interior point in nopython.

Unknown are u >= 0, the weights of a slice's bumps in units of a first guess. The cost of a slice is

    sum_i alpha_i r_i^2 / 2 + cap_i max(r_i - high_i, -r_i - low_i, 0)     r = (price - mid) / half
    + lam/2 |third differences of u|^2 + sum_j stiff_j (u_j - prior_j)^2 / 2

under two equalities, and a row of a link between neighbours costs cap max(A u_t - B u_{t+1}, 0).
So all that data may break is a hinge: x = p - s with s, p >= 0 and multipliers y and cap - y.
Nothing can make the program infeasible, and one wild quote pulls with a bounded force.

A step is Mehrotra's (1992) predictor and corrector; its system is block tridiagonal in the slices.
Source  S. Mehrotra, SIAM J. Optimization 2 (1992) 575-601; the elimination of hinges is ours.
"""

import math
from typing import NamedTuple

import numba as nb
import numpy as np
from numpy.typing import NDArray

from surfaces.kernels.compiling import INNER, fma, keep_apart
from surfaces.kernels.mixture_linear import (
    BORDER,
    add_gram,
    axpy,
    backward,
    dot,
    forward,
    forward_rows,
    sub_cross,
    sub_gram,
)

SOLVED, SLOW, STUCK = 0, 1, 2
LIMITS = {"nsz", "reassoc", "nnan"}  # a maximum has no roundings to reorder
S, P, Y, DS, DP, DY, X, DX, CAP = range(9)  # rows of a table of hinges
TABLE = 9
FORECAST = 3.0  # a forecast is worth its cost while mu is this many times its goal
NEAR_ONE = 0.995  # share of the way to the wall a step may go
LINEAR = 1e-6  # share of the linear equations' first error that a solution may keep

Array = NDArray[np.float64]
Ints = NDArray[np.int64]


class Rows(NamedTuple):
    """Quotes of all slices, q in total; slice t has rows start[t] to start[t + 1]."""

    start: Ints  # (m + 1,)
    design: Array  # (q, bumps) price of a unit of u
    spans: Ints  # (q, 2) bumps whose price is not zero
    mid: Array
    per_half: Array  # 1 / half spread
    low: Array
    high: Array
    alpha: Array
    cap: Array


class Blocks(NamedTuple):
    """What there is once a slice; padded to the most bumps of any."""

    bumps: Ints  # (m,)
    border: Array  # (m, 2, bumps) of the equalities border u = target
    target: Array  # (m, 2)
    lam: Array  # (m,)
    prior: Array  # (m, bumps)
    stiff: Array  # (m, bumps)


class Links(NamedTuple):
    """Rows between slice t and t + 1, from start[t] to start[t + 1]; all kept <= 0 if paid."""

    start: Ints  # (m + 1,)
    early: Array  # (c, bumps)
    late: Array
    early_spans: Ints  # (c, 2)
    late_spans: Ints
    cap: Array  # (c,)


class State(NamedTuple):
    """What a solution leaves behind, and what the next one starts from."""

    u: Array  # (m, bumps)
    z: Array  # (m, bumps) multipliers of u >= 0
    nu: Array  # (m, 2) multipliers of the equalities
    residual: Array  # (q,)
    force: Array  # (q,) multiplier of the hinge, signed: > 0 pulls down
    weight: Array  # (q,) curvature of the hinge in the last step, per residual^2
    warm: Array  # (m, 2, bumps) u and z where the next solution starts
    warm_rows: Array  # (6, q) s, p, y of the hinge from above, then from below
    warm_links: Array  # (3, c) the same of the links
    level: Array  # (m,) mu of that start; 0: none yet
    system: Array  # (m, bumps + 2, bumps + 2) factor of the last Newton matrix


@nb.njit(**INNER)
def centre(mu, h):
    """Hinges on the central path of `mu`, given x: y solves mu/(cap - y) - mu/y = x."""
    keep_apart()
    for i in range(h.shape[1]):
        x, cap = h[X, i], h[CAP, i]
        push = abs(x) * cap
        small = 2.0 * mu * cap / (math.sqrt(push * push + 4.0 * mu * mu) + 2.0 * mu + push)
        y = small if x <= 0.0 else cap - small
        v = cap - small if x <= 0.0 else small
        h[Y, i] = y
        h[S, i] = mu / y
        h[P, i] = mu / v


@nb.njit(**INNER)
def stiffness(h, out):
    """Second derivative of each hinge in the Newton system."""
    keep_apart()
    s, p, y, cap = h[S], h[P], h[Y], h[CAP]
    for i in range(s.size):
        v = cap[i] - y[i]
        out[i] = y[i] * v / (s[i] * v + p[i] * y[i])


@nb.njit(**INNER)
def pull(h, tau, out):
    """First derivative of each hinge, aimed at complementarity `tau`, over a forecast."""
    keep_apart()
    s, p, y, cap, ds, dp, dy, x = h[S], h[P], h[Y], h[CAP], h[DS], h[DP], h[DY], h[X]
    for i in range(s.size):
        v = cap[i] - y[i]
        a = tau - y[i] * s[i] - ds[i] * dy[i]
        b = tau - v * p[i] + dp[i] * dy[i]
        apart = y[i] * v * (x[i] - p[i] + s[i])
        out[i] = y[i] + (apart + a * v - b * y[i]) / (s[i] * v + p[i] * y[i])


@nb.njit(**INNER)
def move(h, tau):
    """The step of every hinge that goes with DX, over the forecast."""
    keep_apart()
    s, p, y, cap, ds, dp, dy = h[S], h[P], h[Y], h[CAP], h[DS], h[DP], h[DY]
    x, dx = h[X], h[DX]
    for i in range(s.size):
        v = cap[i] - y[i]
        a = tau - y[i] * s[i] - ds[i] * dy[i]
        b = tau - v * p[i] + dp[i] * dy[i]
        apart = y[i] * v * (dx[i] + x[i] - p[i] + s[i])
        d = (apart + a * v - b * y[i]) / (s[i] * v + p[i] * y[i])
        dy[i] = d
        ds[i] = (a - s[i] * d) / y[i]
        dp[i] = (b + p[i] * d) / v


@nb.njit(**INNER, fastmath=LIMITS)
def hinge_wall(h):
    """The reciprocal of the longest step that leaves s, p, y and cap - y positive."""
    keep_apart()
    s, p, y, cap, ds, dp, dy = h[S], h[P], h[Y], h[CAP], h[DS], h[DP], h[DY]
    worst = 0.0
    for i in range(s.size):
        worst = max(worst, -ds[i] / s[i])
        worst = max(worst, -dp[i] / p[i])
        worst = max(worst, -dy[i] / y[i])
        worst = max(worst, dy[i] / (cap[i] - y[i]))
    return worst


@nb.njit(**INNER, fastmath=LIMITS)
def wall(x, dx):
    """The reciprocal of the longest step that leaves x positive."""
    worst = 0.0
    for i in range(x.size):
        worst = max(worst, -dx[i] / x[i])
    return worst


@nb.njit(**INNER)
def product_after(x, dx, y, dy, step):
    """Inner product of x + step dx and y + step dy, in four lanes."""
    whole = x.size - x.size % 4
    t0 = t1 = t2 = t3 = 0.0
    for i in range(0, whole, 4):
        t0 = fma(fma(step, dx[i], x[i]), fma(step, dy[i], y[i]), t0)
        t1 = fma(fma(step, dx[i + 1], x[i + 1]), fma(step, dy[i + 1], y[i + 1]), t1)
        t2 = fma(fma(step, dx[i + 2], x[i + 2]), fma(step, dy[i + 2], y[i + 2]), t2)
        t3 = fma(fma(step, dx[i + 3], x[i + 3]), fma(step, dy[i + 3], y[i + 3]), t3)
    for i in range(whole, x.size):
        t0 = fma(fma(step, dx[i], x[i]), fma(step, dy[i], y[i]), t0)
    return (t0 + t1) + (t2 + t3)


@nb.njit(**INNER)
def hinge_gap(h, step):
    """Sum of y s + (cap - y) p after a step."""
    keep_apart()
    below = product_after(h[S], h[DS], h[Y], h[DY], step)
    above = -product_after(h[P], h[DP], h[Y], h[DY], step)
    cap, p, dp = h[CAP], h[P], h[DP]
    for i in range(p.size):
        above = fma(cap[i], fma(step, dp[i], p[i]), above)
    return below + above


@nb.njit(**INNER)
def scale_rows(h, first, last, c):
    """h[first:last] *= c; zero also where it is infinite if c is zero."""
    for a in range(first, last):
        x = h[a]
        for i in range(x.size):
            x[i] = x[i] * c if c != 0.0 else 0.0


@nb.njit(**INNER)
def add_rough(u, n, lam, out):
    """out -= the gradient of the third differences' cost."""
    keep_apart()
    for j in range(n - 3):
        d = lam * (u[j + 3] - 3.0 * u[j + 2] + 3.0 * u[j + 1] - u[j])
        out[j] += d
        out[j + 1] -= 3.0 * d
        out[j + 2] += 3.0 * d
        out[j + 3] -= d


@nb.njit(**INNER)
def add_rough_matrix(n, lam, H):
    """H += its matrix, lower triangle."""
    pattern = (-1.0, 3.0, -3.0, 1.0)
    for j in range(n - 3):
        for a in range(4):
            for b in range(a + 1):
                H[j + a, j + b] += lam * pattern[a] * pattern[b]


@nb.njit(**INNER)
def fill_base(t, rows, blocks, weight, H):
    """The part of a Newton matrix that no step changes, lower triangle and border."""
    keep_apart()
    n, low, high = blocks.bumps[t], rows.start[t], rows.start[t + 1]
    for a in range(n + BORDER):
        for b in range(n + BORDER):
            H[a, b] = 0.0
    for i in range(high - low):
        weight[i] = rows.alpha[low + i] * rows.per_half[low + i] ** 2
    add_gram(rows.design, rows.spans, low, weight[: high - low], H)
    add_rough_matrix(n, blocks.lam[t], H)
    for a in range(n):
        H[a, a] += blocks.stiff[t, a]
        H[n, a] = blocks.border[t, 0, a]
        H[n + 1, a] = blocks.border[t, 1, a]


@nb.njit(**INNER)
def couple(t, blocks, links, weight, previous, C, T, H):
    """Add link rows t-1 to H of slice t, and take what eliminating slice t-1 leaves of it."""
    keep_apart()
    n, before, low = blocks.bumps[t], blocks.bumps[t - 1], links.start[t - 1]
    add_gram(links.late, links.late_spans, low, weight, H)
    for a in range(n):
        for b in range(before):
            C[a, b] = 0.0
    sub_cross(links.late, links.late_spans, links.early, links.early_spans, low, weight, C)
    forward_rows(previous, before, n, C, T)
    sub_gram(T, before, n, H)


@nb.njit(**INNER)
def solve_blocks(first, last, bumps, system, mover, d):
    """Solve the factorised block tridiagonal system in place; row 0 of d is slice `first`."""
    keep_apart()
    for t in range(first, last):
        n, x = bumps[t], d[t - first]
        forward(system[t], n, n + BORDER, x)
        if t + 1 < last:
            T, after = mover[t - first], d[t + 1 - first]
            for k in range(n + BORDER):
                axpy(-x[k], T[k, : bumps[t + 1]], after[: bumps[t + 1]])
    for t in range(last - 1, first - 1, -1):
        n, x = bumps[t], d[t - first]
        if t + 1 < last:
            p = bumps[t + 1]
            T, after = mover[t - first], d[t + 1 - first, :p]
            for k in range(n):
                x[k] -= dot(after, T[k, :p])
            for k in range(n, n + BORDER):
                x[k] += dot(after, T[k, :p])
        backward(system[t], n + BORDER, x)
