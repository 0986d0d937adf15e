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
def lowest_g(low, high, points, x):
    """The least g of box letters `x` on an even grid."""
    bottom, half_gap, half_sum, m, sigma = shape_of(x)
    least = np.inf
    for i in range(points):
        k = low + (high - low) * i / (points - 1)
        least = min(least, w_and_g(k, bottom, half_gap, half_sum, m, sigma)[1])
    return least


@nb.njit(cache=True, error_model="numpy")
def w_and_gradient(k, x, out):
    """Total variance at one k; its five derivatives in the box letters go into `out`."""
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
    return x[0] - sigma * left * right + half_gap * d + half_sum * root


@nb.njit(cache=True, error_model="numpy")
def cost_at(x, k, mid, half, one_sided, years, grid, floor_w, scale_w, least_g):
    """Huber cost of the quotes plus the elastic penalties; see `normal_equations`."""
    low, half_gap, half_sum, m, sigma = shape_of(x)
    total = 0.0
    for i in range(k.size):
        d = k[i] - m
        w = low + half_gap * d + half_sum * math.sqrt(d * d + sigma * sigma)
        r = (math.sqrt(max(w, 1e-14) / years) - mid[i]) / half[i]
        if one_sided[i] and r < 0.0:
            continue
        size = abs(r)
        total += 0.5 * r * r if size <= HUBER else HUBER * (size - 0.5 * HUBER)
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
def accumulate(jac, r, weight, hessian, gradient):
    """Add one weighted residual row to the Gauss-Newton normal equations."""
    for i in range(SIZE):
        scaled = weight * jac[i]
        gradient[i] += scaled * r
        for j in range(i + 1):
            hessian[i, j] += scaled * jac[j]


@nb.njit(cache=True, error_model="numpy")
def normal_equations(
    x, k, mid, half, one_sided, years, grid, floor_w, scale_w, least_g, hessian, gradient
):
    """Gauss-Newton matrix and gradient: Huber-weighted vol residuals, g >= least_g, w >= floor_w.

    A one-sided quote (no bid: `mid` is then the ask) only pulls when the curve is above it.
    """
    for i in range(SIZE):
        gradient[i] = 0.0
        for j in range(SIZE):
            hessian[i, j] = 0.0
    jac = np.empty(SIZE)
    moved = np.empty(SIZE)
    low, half_gap, half_sum, m, sigma = shape_of(x)
    for i in range(k.size):
        w = max(w_and_gradient(k[i], x, jac), 1e-14)
        vol = math.sqrt(w / years)
        r = (vol - mid[i]) / half[i]
        if one_sided[i] and r < 0.0:
            continue
        chain = 1.0 / (2.0 * vol * years * half[i])
        for j in range(SIZE):
            jac[j] *= chain
        size = abs(r)
        accumulate(jac, r, 1.0 if size <= HUBER else HUBER / size, hessian, gradient)
    for i in range(grid.size):
        w, g = w_and_g(grid[i], low, half_gap, half_sum, m, sigma)
        if g < least_g:
            for j in range(SIZE):
                copy(x, moved)
                step = 1e-6 * max(abs(x[j]), 1e-3)
                moved[j] += step
                jac[j] = -BUTTERFLY_WEIGHT * (g_at(grid[i], moved) - g) / step
            accumulate(jac, BUTTERFLY_WEIGHT * (least_g - g), 1.0, hessian, gradient)
        if w < floor_w[i]:
            w_and_gradient(grid[i], x, jac)
            for j in range(SIZE):
                jac[j] *= -CALENDAR_WEIGHT / scale_w
            accumulate(jac, CALENDAR_WEIGHT * (floor_w[i] - w) / scale_w, 1.0, hessian, gradient)


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
    """Projected Levenberg-Marquardt from `x`, in place; returns the final cost."""
    hessian = np.empty((SIZE, SIZE))
    gradient = np.empty(SIZE)
    trial = np.empty(SIZE)
    for i in range(SIZE):
        x[i] = min(max(x[i], low[i]), high[i])
    cost = cost_at(x, k, mid, half, one_sided, years, grid, floor_w, scale_w, least_g)
    damping = 1e-3
    fresh = True
    for _ in range(steps):
        if fresh:
            normal_equations(
                x,
                k,
                mid,
                half,
                one_sided,
                years,
                grid,
                floor_w,
                scale_w,
                least_g,
                hessian,
                gradient,
            )
        fresh = False
        if projected_step(x, hessian, gradient, damping, low, high, trial):
            new = cost_at(trial, k, mid, half, one_sided, years, grid, floor_w, scale_w, least_g)
            if new < cost:
                gain = cost - new
                copy(trial, x)
                cost = new
                damping = max(damping * 0.2, 1e-12)
                fresh = True
                if gain <= 1e-9 * cost or cost < 1e-22:
                    break
                continue
        damping *= 6.0
        if damping > 1e8:
            break
    return cost


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
