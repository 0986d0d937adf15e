"""The fit of Heston or Bates to vols or prices: Levenberg-Marquardt with the analytic gradient.

Box letters x: ln v0, ln kappa, ln theta, ln sigma, atanh rho, then ln rate, mean, ln std of jumps.
In them every step is a step in proportions, and no parameter can leave its domain; in raw letters
the descent runs off to rho = -1. A letter at the edge of its box is held while the slope points
outwards. Residuals are weight (model - quote), in true Black vols or in prices.

Nopython, unchecked. Call through surfaces.pricing.heston and bates.
"""

import math

import numba as nb
import numpy as np

from surfaces.kernels.black import price_one
from surfaces.kernels.compiling import ALLOCATES, INNER, OUTER, keep_apart
from surfaces.kernels.heston import expiry, variance, workspace
from surfaces.kernels.heston_integrals import (
    GRADIENT,
    KAPPA,
    MEAN,
    PRICE,
    PRICES,
    RATE,
    RHO,
    SIGMA,
    STD,
    THETA,
    V0,
    WIDTH,
)
from surfaces.kernels.implied import vol_one
from surfaces.kernels.normal import INV_SQRT_2PI
from surfaces.status import Status

OK = int(Status.OK)
IN_VOL, IN_PRICE = 0, 1
CONVERGED, STALLED, OUT_OF_STEPS = 0, 1, 2
CHANNELS = np.array([V0, KAPPA, THETA, SIGMA, RHO, RATE, MEAN, STD])
FIVE, EIGHT = 5, 8
LEAST = 1e-12  # of sqrt(F K): model prices below are noise, and taken to be this
STEP_MAX = 1.0  # of a letter in one step
DAMPING = 1e-3
GAVE_UP = 1e10
STILL = 1e-9  # a step this small ends the descent
EXACT = 1e-13  # so does a root mean square residual this small


@nb.njit(**INNER)
def to_parameters(x, p):
    """Parameters and d parameter / d letter, which for logarithms is the parameter itself."""
    for i in range(4):
        p[i] = math.exp(x[i])
    p[4] = math.tanh(x[4])
    p[5] = p[6] = p[7] = 0.0
    if x.size == EIGHT:
        p[5], p[6], p[7] = math.exp(x[5]), x[6], math.exp(x[7])


@nb.njit(**INNER)
def slope(i, p):
    """d parameter i / d letter i."""
    return 1.0 - p[4] * p[4] if i == 4 else (1.0 if i == 6 else p[i])


@nb.njit(**INNER)
def residuals(x, kind, within, level, edges, years, k, quote, weight, p, work, sums, r, jac):
    """Fill r and, above level PRICES, jac (n, letters); returns half the sum of squares.

    k = ln(K/F), sorted by expiry, `edges` (m + 1,); quote: a vol, or the out-of-the-money price in
    units of sqrt(F K).
    """
    keep_apart()
    to_parameters(x, p)
    cost = 0.0
    for e in range(years.size):
        first, last = edges[e], edges[e + 1]
        w, root = variance(years[e], p), math.sqrt(years[e])
        expiry(p, years[e], w, k[first:last], level, within, work, sums)
        for i in range(first, last):
            found = sums[i - first]
            far = math.exp(0.5 * k[i])
            near = 1.0 / far
            right = 1.0 if k[i] >= 0.0 else -1.0
            value = price_one(right, near, far, math.sqrt(w)) + found[PRICE]
            unit = weight[i]
            if kind == IN_VOL:
                cap = min(near, far)
                value = min(max(value, LEAST * cap), (1.0 - LEAST) * cap)
                value, status = vol_one(value, right, near, far, years[e], 1.0)
                s = value * root
                vega = INV_SQRT_2PI * root * math.exp(-0.5 * (k[i] * k[i] / (s * s) + 0.25 * s * s))
                unit = unit / max(vega, LEAST) if status == OK else math.nan
            r[i] = weight[i] * (value - quote[i])
            cost += 0.5 * r[i] * r[i]
            if level != PRICES:
                for m in range(x.size):
                    jac[i, m] = unit * found[CHANNELS[m]] * slope(m, p)
    return cost


@nb.njit(**INNER)
def solve(a, rhs, n):
    """Cholesky in place; the answer in `rhs`. False if not positive definite."""
    for i in range(n):
        for j in range(i + 1):
            total = a[i, j]
            for m in range(j):
                total -= a[i, m] * a[j, m]
            if i == j:
                if not total > 0.0:
                    return False
                a[i, i] = math.sqrt(total)
            else:
                a[i, j] = total / a[j, j]
    for i in range(n):
        for m in range(i):
            rhs[i] -= a[i, m] * rhs[m]
        rhs[i] /= a[i, i]
    for i in range(n - 1, -1, -1):
        for m in range(i + 1, n):
            rhs[i] -= a[m, i] * rhs[m]
        rhs[i] /= a[i, i]
    return True


@nb.njit(**INNER)
def normal_equations(r, jac, full, slopes):
    """J'J and J'r."""
    n = slopes.size
    for a in range(n):
        slopes[a] = 0.0
        for b in range(a + 1):
            full[a, b] = 0.0
    for i in range(r.size):
        for a in range(n):
            slopes[a] += jac[i, a] * r[i]
            for b in range(a + 1):
                full[a, b] += jac[i, a] * jac[i, b]


@nb.njit(**INNER)
def propose(x, low, high, full, slopes, damping, largest, left, step):
    """Write a damped step inside the box to `step`; False if the equations are singular.

    Letters at an edge with the descent pointing outwards are held.
    """
    keep_apart()
    n = x.size
    held = 0
    for a in range(n):
        out = (x[a] <= low[a] and slopes[a] > 0.0) or (x[a] >= high[a] and slopes[a] < 0.0)
        step[a] = 0.0 if out else -slopes[a]
        held |= int(out) << a
    for a in range(n):
        for b in range(a + 1):
            off = (held >> a | held >> b) & 1
            left[a, b] = 0.0 if off else full[a, b]
        left[a, a] += damping * largest[a] + 1e-300
        if held >> a & 1:
            left[a, a] = 1.0
    if not solve(left, step, n):
        return False
    most = 0.0
    for a in range(n):
        most = max(most, abs(step[a]))
    cut = min(1.0, STEP_MAX / most) if most > 0.0 else 1.0
    for a in range(n):
        step[a] = min(max(x[a] + cut * step[a], low[a]), high[a]) - x[a]
    return True


@nb.njit(**ALLOCATES)
def descend(x, low, high, steps, kind, within, edges, years, k, quote, weight, work, r, jac):
    """Levenberg-Marquardt from `x`, which moves; returns (cost, steps taken, how it ended).

    r and jac are those of the last x.
    """
    keep_apart()
    n, size = x.size, k.size
    level = GRADIENT if n == FIVE else GRADIENT + 1
    p = np.empty(EIGHT)
    sums = np.empty((size, 2 * WIDTH))
    full, left = np.zeros((n, n)), np.zeros((n, n))
    slopes, step, trial, largest = np.empty(n), np.empty(n), np.empty(n), np.zeros(n)
    tried, tried_jac = np.empty(size), np.empty((size, n))
    cost = residuals(
        x, kind, within, level, edges, years, k, quote, weight, p, work, sums, r, jac
    )  # fmt: skip
    damping, grow = DAMPING, 2.0
    ended, taken = OUT_OF_STEPS, 0
    exact = 0.5 * size * EXACT * EXACT
    while taken < steps:
        if not cost > exact:
            ended = CONVERGED
            break
        normal_equations(r, jac, full, slopes)
        for a in range(n):
            largest[a] = max(full[a, a], 0.1 * largest[a])
        moved = False
        while damping < GAVE_UP and taken < steps:
            taken += 1
            if not propose(x, low, high, full, slopes, damping, largest, left, step):
                damping, grow = damping * grow, 2.0 * grow
                continue
            most = 0.0
            for a in range(n):
                trial[a] = x[a] + step[a]
                most = max(most, abs(step[a]))
            if most < STILL:
                ended = CONVERGED
                break
            new = residuals(
                trial, kind, within, level, edges, years, k, quote, weight, p, work, sums, tried,
                tried_jac,
            )  # fmt: skip
            if new < cost:
                hoped = 0.0
                for a in range(n):
                    hoped -= step[a] * slopes[a]
                gain = (cost - new) / max(0.5 * hoped, 1e-300)
                damping *= 0.1 if gain > 0.7 else (1.0 if gain > 0.25 else 3.0)
                damping, grow = max(damping, 1e-14), 2.0
                if cost - new < 1e-12 * cost and damping < 1e-6:
                    ended = CONVERGED
                cost, moved = new, True
                for a in range(n):
                    x[a] = trial[a]
                for i in range(size):
                    r[i] = tried[i]
                    for a in range(n):
                        jac[i, a] = tried_jac[i, a]
                break
            damping, grow = damping * grow, 2.0 * grow
        if ended == CONVERGED:
            break
        if not moved and damping >= GAVE_UP:
            ended = STALLED
            break
    return cost, taken, ended


@nb.njit(**OUTER)
def score(starts, kind, within, edges, years, k, quote, weight):
    """Half the sum of squares of each start, a row of letters."""
    out, p = np.empty(starts.shape[0]), np.empty(EIGHT)
    work, sums = workspace(k.size), np.empty((k.size, 2 * WIDTH))
    r, jac = np.empty(k.size), np.empty((1, EIGHT))
    for i in range(out.size):
        out[i] = residuals(
            starts[i], kind, within, PRICES, edges, years, k, quote, weight, p, work, sums, r, jac
        )  # fmt: skip
    return out


@nb.njit(**OUTER)
def fit(x, low, high, steps, kind, within, edges, years, k, quote, weight, r, jac):
    """`descend` from Python."""
    work = workspace(k.size)
    return descend(
        x, low, high, steps, kind, within, edges, years, k, quote, weight, work, r, jac
    )  # fmt: skip
