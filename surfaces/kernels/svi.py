"""Raw SVI in nopython: curve, Durrleman's g, and a bounded robust least-squares fit of one expiry.

The fit works in x = (v, p, q, m, ln sigma) with v the lowest total variance, p^2 and q^2 the left
and right wing slopes. In these letters Lee's bound b(1+|rho|) <= 2, b >= 0, |rho| <= 1 and w >= 0
are a box, so a projected Levenberg-Marquardt step keeps them exactly:

    w(k) = v - sigma p q + (q^2 - p^2)/2 (k - m) + (p^2 + q^2)/2 sqrt((k - m)^2 + sigma^2)

Source  Gatheral 2004 (raw SVI); Lee 2004 (slope 2); Durrleman's g as in Gatheral-Jacquier 2014.
"""

import math

import numba as nb
import numpy as np

import surfaces.kernels  # noqa: F401  sets numba's cache folder before anything is decorated

SIZE = 5
SLOPE_ROOT_MAX = math.sqrt(2.0)
HUBER = 1.0  # residuals are in half spreads: quadratic inside the market, linear outside
BUTTERFLY_WEIGHT = 300.0
CALENDAR_WEIGHT = 300.0
ENOUGH = 1e-7  # share of the cost a step must gain for another to follow
LIMITS = {"contract", "nsz", "reassoc"}  # sums over quotes may be vectorised


@nb.njit(cache=True, error_model="numpy")
def copy(source, out):
    """out[:] = source, without the second that compiling that line's error message takes."""
    for i in range(out.size):
        out[i] = source[i]


@nb.njit(cache=True, error_model="numpy")
def to_raw(x, raw):
    """Write (a, b, rho, m, sigma) of box letters `x` into `raw`."""
    left, right, sigma = x[1], x[2], math.exp(x[4])
    b = 0.5 * (left * left + right * right)
    raw[0] = x[0] - sigma * left * right
    raw[1] = b
    raw[2] = 0.5 * (right * right - left * left) / b if b > 0.0 else 0.0
    raw[3] = x[3]
    raw[4] = sigma


@nb.njit(cache=True, error_model="numpy")
def to_box(raw, x):
    """Write the box letters of raw parameters into `x`."""
    a, b, rho, m, sigma = raw[0], raw[1], raw[2], raw[3], raw[4]
    x[0] = a + b * sigma * math.sqrt(max(1.0 - rho * rho, 0.0))
    x[1] = math.sqrt(max(b * (1.0 - rho), 0.0))
    x[2] = math.sqrt(max(b * (1.0 + rho), 0.0))
    x[3] = m
    x[4] = math.log(max(sigma, 1e-12))


@nb.njit(cache=True, error_model="numpy")
def durrleman(k, w, w1, w2):
    """Durrleman's g; the density is g phi(d-)/(K sqrt w), so g < 0 is a butterfly arbitrage."""
    half = 1.0 - 0.5 * k * w1 / w
    return half * half - 0.25 * w1 * w1 * (1.0 / w + 0.25) + 0.5 * w2


@nb.njit(cache=True, error_model="numpy")
def shape_of(x):
    """Letters of w(k) = low + half_gap d + half_sum root, d = k - m: (low, gap, sum, m, sigma)."""
    left, right, sigma = x[1], x[2], math.exp(x[4])
    half_sum = 0.5 * (left * left + right * right)
    half_gap = 0.5 * (right * right - left * left)
    return x[0] - sigma * left * right, half_gap, half_sum, x[3], sigma


@nb.njit(cache=True, error_model="numpy")
def w_and_g(k, low, half_gap, half_sum, m, sigma):
    """Total variance and Durrleman's g at one k, from the letters of `shape_of`."""
    d = k - m
    root = math.sqrt(d * d + sigma * sigma)
    w = low + half_gap * d + half_sum * root
    w1 = half_gap + half_sum * d / root
    w2 = half_sum * sigma * sigma / (root * root * root)
    return w, durrleman(k, max(w, 1e-14), w1, w2)


@nb.njit(cache=True, error_model="numpy")
def g_at(k, x):
    """g of box letters `x` at one k."""
    low, half_gap, half_sum, m, sigma = shape_of(x)
    return w_and_g(k, low, half_gap, half_sum, m, sigma)[1]


@nb.njit(cache=True, error_model="numpy")
def least_on(grid, x):
    """The least g of box letters `x` on a grid."""
    bottom, half_gap, half_sum, m, sigma = shape_of(x)
    least = np.inf
    for i in range(grid.size):
        least = min(least, w_and_g(grid[i], bottom, half_gap, half_sum, m, sigma)[1])
    return least


@nb.njit(cache=True, error_model="numpy")
def fill_gradient(k, x, out):
    """Write the five derivatives of total variance at one k in the box letters into `out`."""
    left, right, sigma = x[1], x[2], math.exp(x[4])
    d = k - x[3]
    root = math.sqrt(d * d + sigma * sigma)
    half_sum = 0.5 * (left * left + right * right)
    half_gap = 0.5 * (right * right - left * left)
    out[0] = 1.0
    out[1] = left * (root - d) - sigma * right
    out[2] = right * (root + d) - sigma * left
    out[3] = -half_gap - half_sum * d / root
    out[4] = sigma * (half_sum * sigma / root - left * right)


@nb.njit(cache=True, error_model="numpy", fastmath=LIMITS)
def quote_cost(low, half_gap, half_sum, m, sigma, k, mid, half, one_sided, years):
    """Huber cost of the quotes for the letters of `shape_of`."""
    total = 0.0
    per_year = 1.0 / years
    for i in range(k.size):
        d = k[i] - m
        w = low + half_gap * d + half_sum * math.sqrt(d * d + sigma * sigma)
        r = (math.sqrt(max(w, 1e-14) * per_year) - mid[i]) / half[i]
        size = 0.0 if one_sided[i] and r < 0.0 else abs(r)
        inner = min(size, HUBER)
        total += inner * (size - 0.5 * inner)
    return total


@nb.njit(cache=True, error_model="numpy", fastmath=LIMITS)
def quote_sums(low, half_gap, half_sum, m, sigma, k, mid, half, one_sided, years, sums):
    """As `quote_cost`; Huber-weighted sums of the rows (1, d, root, dw/dm, dw/dln sigma).

    Fifteen products of the rows and five with the residual go into `sums`, in the order that
    `box_equations` reads.
    """
    total = 0.0
    a00 = a10 = a11 = a20 = a21 = a22 = a30 = a31 = a32 = a33 = 0.0
    a40 = a41 = a42 = a43 = a44 = b0 = b1 = b2 = b3 = b4 = 0.0
    per_year, square = 1.0 / years, sigma * sigma
    for i in range(k.size):
        d = k[i] - m
        root = math.sqrt(d * d + square)
        w = low + half_gap * d + half_sum * root
        vol = math.sqrt(max(w, 1e-14) * per_year)
        per_half = 1.0 / half[i]
        r = (vol - mid[i]) * per_half
        size = abs(r)
        inner = min(size, HUBER)
        on = 0.0 if one_sided[i] and r < 0.0 else 1.0
        total += on * inner * (size - 0.5 * inner)
        chain = 0.5 * per_year * per_half / vol
        pull = on * chain * (HUBER / max(size, HUBER))
        weight = pull * chain
        over = half_sum / root
        j3 = -half_gap - over * d
        j4 = over * square
        b, c, e, f = weight * d, weight * root, weight * j3, weight * j4
        pull *= r
        a00 += weight
        a10 += b
        a11 += b * d
        a20 += c
        a21 += c * d
        a22 += c * root
        a30 += e
        a31 += e * d
        a32 += e * root
        a33 += e * j3
        a40 += f
        a41 += f * d
        a42 += f * root
        a43 += f * j3
        a44 += f * j4
        b0 += pull
        b1 += pull * d
        b2 += pull * root
        b3 += pull * j3
        b4 += pull * j4
    sums[0], sums[1], sums[2], sums[3], sums[4], sums[5] = a00, a10, a11, a20, a21, a22
    sums[6], sums[7], sums[8], sums[9], sums[10], sums[11] = a30, a31, a32, a33, a40, a41
    sums[12], sums[13], sums[14] = a42, a43, a44
    sums[15], sums[16], sums[17], sums[18], sums[19] = b0, b1, b2, b3, b4
    return total


@nb.njit(cache=True, error_model="numpy")
def box_equations(sums, x, hessian, gradient):
    """Gauss-Newton matrix and gradient in the box letters, from the sums of `quote_sums`."""
    left, right, sigma = x[1], x[2], math.exp(x[4])
    turn = np.zeros((SIZE, SIZE))  # d(low, gap, sum, m, ln sigma)/d(box letters)
    turn[0, 0], turn[0, 1], turn[0, 2] = 1.0, -sigma * right, -sigma * left
    turn[0, 4] = -sigma * left * right
    turn[1, 1], turn[1, 2], turn[2, 1], turn[2, 2] = -left, right, left, right
    turn[3, 3] = turn[4, 4] = 1.0
    full = np.empty((SIZE, SIZE))
    at = 0
    for i in range(SIZE):
        for j in range(i + 1):
            full[i, j] = full[j, i] = sums[at]
            at += 1
    for i in range(SIZE):
        gradient[i] = 0.0
        for a in range(SIZE):
            gradient[i] += turn[a, i] * sums[15 + a]
        for j in range(i + 1):
            total = 0.0
            for a in range(SIZE):
                for b in range(SIZE):
                    total += turn[a, i] * full[a, b] * turn[b, j]
            hessian[i, j] = total


@nb.njit(cache=True, error_model="numpy")
def cost_at(x, k, mid, half, one_sided, years, grid, floor_w, scale_w, least_g):
    """Huber cost of the quotes plus the elastic penalties; see `normal_equations`."""
    low, half_gap, half_sum, m, sigma = shape_of(x)
    total = quote_cost(low, half_gap, half_sum, m, sigma, k, mid, half, one_sided, years)
    for i in range(grid.size):
        w, g = w_and_g(grid[i], low, half_gap, half_sum, m, sigma)
        short = least_g - g
        if short > 0.0:
            total += 0.5 * (BUTTERFLY_WEIGHT * short) ** 2
        under = floor_w[i] - w
        if under > 0.0:
            total += 0.5 * (CALENDAR_WEIGHT * under / scale_w) ** 2
    return total


@nb.njit(cache=True, error_model="numpy")
def accumulate(jac, r, hessian, gradient):
    """Add one residual row to the Gauss-Newton normal equations."""
    for i in range(SIZE):
        gradient[i] += jac[i] * r
        for j in range(i + 1):
            hessian[i, j] += jac[i] * jac[j]


@nb.njit(cache=True, error_model="numpy")
def normal_equations(
    x, k, mid, half, one_sided, years, grid, floor_w, scale_w, least_g, hessian, gradient
):
    """The cost, and its Gauss-Newton matrix and gradient.

    Huber-weighted vol residuals, g >= least_g, w >= floor_w. A one-sided quote (no bid: `mid` is
    then the ask) only pulls when the curve is above it.
    """
    jac, moved, sums = np.empty(SIZE), np.empty(SIZE), np.empty(20)
    low, half_gap, half_sum, m, sigma = shape_of(x)
    total = quote_sums(low, half_gap, half_sum, m, sigma, k, mid, half, one_sided, years, sums)
    box_equations(sums, x, hessian, gradient)
    for i in range(grid.size):
        w, g = w_and_g(grid[i], low, half_gap, half_sum, m, sigma)
        if g < least_g:
            for j in range(SIZE):
                copy(x, moved)
                step = 1e-6 * max(abs(x[j]), 1e-3)
                moved[j] += step
                jac[j] = -BUTTERFLY_WEIGHT * (g_at(grid[i], moved) - g) / step
            r = BUTTERFLY_WEIGHT * (least_g - g)
            accumulate(jac, r, hessian, gradient)
            total += 0.5 * r * r
        if w < floor_w[i]:
            fill_gradient(grid[i], x, jac)
            for j in range(SIZE):
                jac[j] *= -CALENDAR_WEIGHT / scale_w
            r = CALENDAR_WEIGHT * (floor_w[i] - w) / scale_w
            accumulate(jac, r, hessian, gradient)
            total += 0.5 * r * r
    return total


@nb.njit(cache=True, error_model="numpy")
def solve(matrix, rhs):
    """Cholesky solve from the lower triangle, in place; False if not positive."""
    n = rhs.size
    for j in range(n):
        pivot = matrix[j, j]
        for c in range(j):
            pivot -= matrix[j, c] * matrix[j, c]
        if not pivot > 0.0:
            return False
        root = math.sqrt(pivot)
        matrix[j, j] = root
        for i in range(j + 1, n):
            value = matrix[i, j]
            for c in range(j):
                value -= matrix[i, c] * matrix[j, c]
            matrix[i, j] = value / root
    for i in range(n):
        for c in range(i):
            rhs[i] -= matrix[i, c] * rhs[c]
        rhs[i] /= matrix[i, i]
    for i in range(n - 1, -1, -1):
        for c in range(i + 1, n):
            rhs[i] -= matrix[c, i] * rhs[c]
        rhs[i] /= matrix[i, i]
    return True


@nb.njit(cache=True, error_model="numpy")
def projected_step(x, hessian, gradient, damping, low, high, trial):
    """Write the damped Gauss-Newton step from `x`, clipped to the box, into `trial`.

    A letter at its bound whose gradient pushes outwards is held, so it cannot spoil the others.
    """
    free = np.empty(SIZE, np.int64)
    n = 0
    for i in range(SIZE):
        trial[i] = x[i]
        held = (x[i] <= low[i] and gradient[i] > 0.0) or (x[i] >= high[i] and gradient[i] < 0.0)
        if not held:
            free[n] = i
            n += 1
    matrix = np.zeros((n, n))
    rhs = np.empty(n)
    for i in range(n):
        rhs[i] = -gradient[free[i]]
        for j in range(i + 1):
            matrix[i, j] = hessian[free[i], free[j]]
        matrix[i, i] += damping * (matrix[i, i] + 1e-12)
    if n == 0 or not solve(matrix, rhs):
        return False
    for i in range(n):
        j = free[i]
        trial[j] = min(max(x[j] + rhs[i], low[j]), high[j])
    return True


@nb.njit(cache=True, error_model="numpy")
def descend(x, k, mid, half, one_sided, years, grid, floor_w, scale_w, least_g, low, high, steps):
    """Projected Levenberg-Marquardt from `x`, in place; returns the first and the final cost."""
    hessian, gradient = np.empty((SIZE, SIZE)), np.empty(SIZE)
    new_hessian, new_gradient = np.empty((SIZE, SIZE)), np.empty(SIZE)
    trial = np.empty(SIZE)
    for i in range(SIZE):
        x[i] = min(max(x[i], low[i]), high[i])
    cost = normal_equations(
        x, k, mid, half, one_sided, years, grid, floor_w, scale_w, least_g, hessian, gradient
    )
    first = cost
    damping = 1e-3
    for _ in range(steps):
        if projected_step(x, hessian, gradient, damping, low, high, trial):
            new = normal_equations(
                trial, k, mid, half, one_sided, years, grid, floor_w, scale_w, least_g,
                new_hessian, new_gradient,
            )  # fmt: skip
            if new < cost:
                gain = cost - new
                copy(trial, x)
                cost = new
                hessian, new_hessian = new_hessian, hessian
                gradient, new_gradient = new_gradient, gradient
                damping = max(damping * 0.2, 1e-12)
                if gain <= ENOUGH * cost or cost < 1e-22:
                    break
                continue
        damping *= 6.0
        if damping > 1e8:
            break
    return first, cost


@nb.njit(cache=True, error_model="numpy")
def fill_w(k, raw, low, high, out):
    """Write w of raw parameters into `out` where low <= k <= high; the rest is left alone."""
    a, b, rho, m, sigma = raw[0], raw[1], raw[2], raw[3], raw[4]
    for i in range(k.size):
        if low <= k[i] <= high:
            d = k[i] - m
            out[i] = a + b * (rho * d + math.sqrt(d * d + sigma * sigma))


@nb.njit(cache=True, error_model="numpy")
def misses(x, k, mid, half, one_sided, years, out):
    """Write how many half spreads the curve misses each quote by, zero for asks; the largest."""
    low, half_gap, half_sum, m, sigma = shape_of(x)
    worst = 0.0
    for i in range(k.size):
        d = k[i] - m
        w = low + half_gap * d + half_sum * math.sqrt(d * d + sigma * sigma)
        miss = abs(math.sqrt(max(w, 0.0) / years) - mid[i]) / half[i]
        out[i] = 0.0 if one_sided[i] else miss
        worst = max(worst, out[i])
    return worst
