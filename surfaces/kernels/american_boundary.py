"""The exercise boundary of American options on a continuous yield: nopython, no checks.

The boundary solves a fixed-point equation, at Chebyshev nodes in sqrt(tau) for H = ln(B/X)^2 with
X its value at expiry, which is nearly a straight line. It scales with K, and serves a call with r
and q swapped (McDonald-Schroder): B_call / K = K / B_put(q, r). So it is kept as b = ln(B/K) of a
put, side = 1. With side = -1 the same functions solve the lower one of two boundaries, under which
a put with q < r < 0 is held again; up to their meeting neither knows of the other.

Loops run over nodes or points with bodies that have no branch, so that they vectorise. An Engine
holds tables, one quantity a row, so that a function takes few arrays: what depends on the accuracy
alone, on (T, r, q) too, or on the boundary is computed once and kept while the key is the same.

Source  L. Andersen, M. Lake, D. Offengenden, J. Computational Finance 20(1) (2016) 39-87: their
        fixed points A and B; start: M. Li, Quantitative Finance 10 (2010), QD+; two boundaries:
        J. Healy, J. Computational Finance 25(1) (2021), arXiv 2109.15157.
        Which of the two: A converges faster, but its iteration explodes where r or r - q is
        large against sigma^2 (calm and long); B always contracts. The switch was measured: A
        is the better one up to about 6, and on long lives diverges from about 4.
"""

import math
from typing import NamedTuple

import numba as nb
import numpy as np
from numpy.typing import NDArray

from surfaces.kernels.normal import INV_SQRT_2PI, LOG2_E, ROUNDER, ROUNDER_BITS, log_ratio, mills

# Functions on tables, which only other kernels call: without wrappers for Python, a fifth of the
# time to compile is saved. Python cannot call them: it crashes where it tries.
INNER = {
    "cache": True,
    "error_model": "numpy",
    "no_cpython_wrapper": True,
    "no_cfunc_wrapper": True,
}
LOOPS = INNER | {"fastmath": {"nsz"}}  # no "contract": see `surfaces.kernels.normal`

CALM = 3.0  # 2 max(r, r - q) / sigma^2 from which fixed point B is used
BLOCK = 8  # the number of nodes is a multiple of it: whole vectors
LN2 = 0.6931471805599453

# Rows of Engine.node, one column a boundary node; ROOT is constant, TAU to GROWN go with (T, r, q).
ROOT, TAU, DF, DQ, GROWN, B, H, UP, DOWN = range(9)
# Rows of Engine.point (inner integrals) and Engine.outer (the premium's), one column a point.
# SHARE and WEIGHT are constant, DRIFT to EQ go with (T, r, q), INV to EDGE with the boundary.
SHARE, WEIGHT, DRIFT, ER, EQ, INV, HALF, EDGE, Z, TR, TQ, T3, T4 = range(13)
# Engine.key: whose boundary this is, then its value at expiry, and two constants.
K_T, K_R, K_Q, K_SIGMA, K_TOP, K_NEWTON, K_SWEEPS = range(7)


class Engine(NamedTuple):
    """Constants and work space of one accuracy: n nodes, n (l + 1) inner and p outer points.

    A quadrature point at share v stands for time t = tau v^2; weights include dt/dv / tau. Inner
    points lie node by node; their last n, at v = 1, stand for what is got at expiry.
    """

    node: NDArray[np.float64]  # (9, n)
    point: NDArray[np.float64]  # (13, n (l + 1))
    outer: NDArray[np.float64]  # (13, p)
    inner: NDArray[np.float64]  # (n, n (l + 1)) H at the inner points from H at the nodes
    blend: NDArray[np.float64]  # (n, p) the same for the outer points
    key: NDArray[np.float64]  # (7,)


@nb.njit(cache=True, error_model="numpy", forceinline=True, fastmath={"contract", "nsz"})
def lean_exp(x):
    """exp(x) within 1e-15 relative, for the sums of this module; held at exp(-700), exp(700)."""
    x = -700.0 if x < -700.0 else x
    x = 700.0 if x > 700.0 else x
    shifted = x * LOG2_E + ROUNDER
    r = x - (shifted - ROUNDER) * LN2
    p = 2.51e-08
    p = p * r + 2.755731922398589e-07
    p = p * r + 2.7557319223985893e-06
    p = p * r + 2.48015873015873e-05
    p = p * r + 1.984126984126984e-04
    p = p * r + 1.388888888888889e-03
    p = p * r + 8.333333333333333e-03
    p = p * r + 4.1666666666666664e-02
    p = p * r + 0.16666666666666666
    p = p * r + 0.5
    p = p * r + 1.0
    p = p * r + 1.0
    power = np.float64(shifted).view(np.int64) - ROUNDER_BITS
    return np.int64(np.float64(p).view(np.int64) + (power << 52)).view(np.float64)


@nb.njit(cache=True, error_model="numpy", forceinline=True, fastmath={"contract", "nsz"})
def lean_density(z):
    """phi(z), as exact as `lean_exp`."""
    return INV_SQRT_2PI * lean_exp(-0.5 * z * z)


@nb.njit(cache=True, error_model="numpy", forceinline=True, fastmath={"contract", "nsz"})
def lean_cdf(z):
    """N(z), as exact as `lean_exp`."""
    y = -z if z < 0.0 else z
    tail = lean_density(y) * mills(y)
    return tail if z <= 0.0 else 1.0 - tail


@nb.njit(**LOOPS)
def set_points(T, r, q, table):
    """Drift, and the income of interest and yield at each point: rate weight T exp(-rate t)."""
    for m in range(table.shape[1]):
        t = T * table[SHARE, m] * table[SHARE, m]
        income = T * table[WEIGHT, m]
        table[DRIFT, m] = (r - q) * t
        table[ER, m] = r * income * lean_exp(-r * t)
        table[EQ, m] = q * income * lean_exp(-q * t)


@nb.njit(**LOOPS)
def set_carry(T, r, q, node, point, outer, key):
    """What depends on (T, r, q) alone: an expiry's strikes share it whatever their vols."""
    key[K_T], key[K_R], key[K_Q], key[K_SIGMA] = T, r, q, math.nan
    top = min(0.0, math.log(r / q)) if r > 0.0 and q > 0.0 else 0.0
    key[K_TOP] = top
    n = node.shape[1]
    for table in (point, outer):
        set_points(T, r, q, table)
    last = point.shape[1] - n
    for i in range(n):
        tau = T * node[ROOT, i] * node[ROOT, i]
        node[TAU, i] = tau
        node[DF, i] = math.exp(-r * tau)
        node[DQ, i] = math.exp(-q * tau)
        node[GROWN, i] = r / -math.expm1(-r * tau) if abs(r * tau) > 1e-12 else 1.0 / tau
        point[DRIFT, last + i] += top  # at expiry it is K that counts, not X
        point[ER, last + i] = node[DF, i]
        point[EQ, last + i] = node[DQ, i]


@nb.njit(**LOOPS)
def first_guess(r, q, sigma, top, floor, node):
    """Where Newton on QD+ starts, within about 5 % of ln(B/K): the known shape near expiry.

    ln(B/X) is -0.64 sigma sqrt(tau) for r < q, and -c sigma sqrt(tau) with c^2 rising like
    -ln((r-q)^2 tau / sigma^2 + r^2 tau^2) for r >= q; both bent towards the perpetual boundary.
    """
    gap = (r - q) / sigma if r > q else 0.0
    for i in range(node.shape[1]):
        tau = node[TAU, i]
        v = sigma * math.sqrt(tau)
        c2 = 0.9 - 0.66 * log_ratio((gap * gap + r * r * tau) * tau + 1e-12, 1.0)
        c2 = c2 if c2 > 0.4 else 0.4
        low = floor * (1.0 - lean_exp(v * math.sqrt(c2) / floor))
        high = floor + (top - floor) * lean_exp(-0.64 * v / (top - floor))
        node[B, i] = low if low < high else high


@nb.njit(**LOOPS)
def qd_plus(r, q, sigma, top, floor, node):
    """One Newton step on Li's QD+ equation at every node, kept between floor and top."""
    variance = sigma * sigma
    omega = 2.0 * (r - q) / variance
    for i in range(node.shape[1]):
        df, dq, grown, tau, old = (
            node[DF, i],
            node[DQ, i],
            node[GROWN, i],
            node[TAU, i],
            node[B, i],
        )
        v = sigma * math.sqrt(tau)
        inv = 1.0 / v
        spread2 = (omega - 1.0) * (omega - 1.0) + 8.0 * grown / variance
        spread = math.sqrt(spread2)
        lam = 0.5 * (1.0 - omega - spread)
        alpha = -2.0 / (variance * spread)
        beta = alpha * df * (grown - 2.0 * grown * grown / (variance * spread2)) - lam
        S = lean_exp(old)
        dp = (old + (r - q) * tau) * inv + 0.5 * v
        dm = dp - v
        n1, n2, phi = dq * lean_cdf(-dp), df * lean_cdf(-dm), dq * lean_density(dp)
        theta = r * n2 - q * S * n1 - 0.5 * variance * S * inv * phi
        charm = -(phi * ((r - q) * inv - 0.5 * dm * variance * inv * inv) + q * n1)
        value = (1.0 - n1) * S - beta * (1.0 - S - n2 + S * n1) + alpha * theta
        slope = ((1.0 - n1) * (1.0 + beta) + phi * inv + alpha * charm) * S
        step = -value / slope
        step = step if step > -1.0 else -1.0
        most = 0.5 * (top - old)
        step = step if step < most else most
        new = old + (0.0 if math.isnan(step) else step)
        node[B, i] = new if new > floor else floor


@nb.njit(**LOOPS)
def interpolate(anchor, node, matrix, table):
    """Z = H at the table's points, from H = (b - anchor)^2 at the nodes."""
    for i in range(node.shape[1]):
        node[H, i] = (node[B, i] - anchor) * (node[B, i] - anchor)
    for m in range(table.shape[1]):
        table[Z, m] = 0.0
    for j in range(matrix.shape[0]):
        value = node[H, j]
        for m in range(table.shape[1]):
            table[Z, m] += matrix[j, m] * value


@nb.njit(**LOOPS)
def weigh(table, weight, sign, thin, full, out):
    """Row `out` = weight (thin phi(d) / s + full N(d)) with d = z / s + sign s / 2."""
    for m in range(table.shape[1]):
        d = table[Z, m] * table[INV, m] + sign * table[HALF, m]
        y = -d if d < 0.0 else d
        phi = lean_density(y)
        tail = phi * mills(y)
        below = tail if d <= 0.0 else 1.0 - tail
        table[out, m] = table[weight, m] * (thin * table[INV, m] * phi + full * below)


@nb.njit(**LOOPS)
def sweep(side, thin, anchor, low, high, node, point, inner):
    """One fixed-point iteration at all nodes: A with thin = 1, B with thin = 0.

    A result beyond `low` or `high` (or the ratio of a diverging one) goes half the way to it.
    """
    n = node.shape[1]
    interpolate(anchor, node, inner, point)
    for m in range(point.shape[1]):
        h = point[Z, m]
        h = h if h > 0.0 else 0.0
        point[Z, m] = math.sqrt(h) + side * (point[DRIFT, m] - anchor)
    for k in range(0, point.shape[1], BLOCK):
        for i in range(BLOCK):
            point[Z, k + i] += side * node[B, k % n + i]
    for j in range(2):  # interest on K, then yield on S
        weigh(point, ER + j, (2.0 * j - 1.0) * side, thin, 1.0 - thin * (1.0 - j), TR + j)
    for i in range(n):
        node[UP, i] = 0.0
        node[DOWN, i] = 0.0
    for k in range(0, point.shape[1], BLOCK):
        for i in range(BLOCK):
            node[UP, k % n + i] += point[TR, k + i]
        for i in range(BLOCK):
            node[DOWN, k % n + i] += point[TQ, k + i]
    for i in range(n):
        ratio = node[UP, i] / node[DOWN, i]
        new = log_ratio(node[UP, i], node[DOWN, i]) if ratio > 1e-300 else -1e3
        old = node[B, i]
        best = new if new <= high else 0.5 * (old + high)
        best = best if best >= low else 0.5 * (old + low)
        node[B, i] = old if math.isnan(ratio) else best


@nb.njit(**LOOPS)
def set_edges(side, v, anchor, node, outer, blend):
    """The boundary at the outer points, and v = sigma sqrt(T) spread over them."""
    interpolate(anchor, node, blend, outer)
    for m in range(outer.shape[1]):
        h = outer[Z, m]
        outer[EDGE, m] = anchor - side * math.sqrt(h if h > 0.0 else 0.0)
        s = v * outer[SHARE, m]
        outer[INV, m] = 1.0 / s
        outer[HALF, m] = 0.5 * s


@nb.njit(**LOOPS)
def set_boundary(T, sigma, r, q, thin, node, point, outer, inner, blend, key):
    """The boundary of a put with r > 0, or r = 0 > q, unless the engine holds it already.

    Every iterate is kept between the perpetual boundary and the one at expiry.
    """
    if not (key[K_T] == T and key[K_R] == r and key[K_Q] == q):
        set_carry(T, r, q, node, point, outer, key)
    if key[K_SIGMA] == sigma:
        return
    key[K_SIGMA] = sigma
    top = key[K_TOP]
    half = 0.5 - (r - q) / (sigma * sigma)
    lam = half - math.sqrt(half * half + 2.0 * r / (sigma * sigma))
    floor = math.log(lam / (lam - 1.0)) if lam < -1e-300 else -700.0
    floor = min(floor, top - 1e-9)
    first_guess(r, q, sigma, top, floor, node)
    for _ in range(np.int64(key[K_NEWTON])):
        qd_plus(r, q, sigma, top, floor, node)
    v = sigma * math.sqrt(T)
    for m in range(point.shape[1]):
        s = v * point[SHARE, m]
        point[INV, m] = 1.0 / s
        point[HALF, m] = 0.5 * s
    for _ in range(np.int64(key[K_SWEEPS])):
        sweep(1.0, thin, top, floor, top, node, point, inner)
    set_edges(1.0, v, top, node, outer, blend)


@nb.njit(**LOOPS)
def income(x, S, K, outer):
    """Expected income from being exercised below the boundary: interest on K less yield on S.

    Of a put, x = ln(S/K); swap S and K for a call. A loop adds in one order, whatever the rest.
    """
    for m in range(outer.shape[1]):
        outer[Z, m] = outer[EDGE, m] - x - outer[DRIFT, m]
    for j in range(2):
        weigh(outer, ER + j, 1.0 - 2.0 * j, 0.0, 1.0, TR + j)
    earned, paid = 0.0, 0.0
    for m in range(outer.shape[1]):
        earned += outer[TR, m]
        paid += outer[TQ, m]
    return K * earned - S * paid
