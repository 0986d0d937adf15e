"""One implicit step an expiry on a line of moneyness x = strike/forward: no checks, no allocation.

With u the out-of-the-money price in units of the forward, d its rise over the step, D the second
difference in x, M = D c >= 0 the density and a = x^2 sigma^2 dT / 2,

    (1 - a D) d = a M_before,      u = u_before + d,      M = M_before + D d = d / a.

1 - aD is an M-matrix and every right side is >= 0: the factors are formed without a subtraction,
so d and M are positive and exact to rounding relative to themselves, however far out. Prices rise
in time and are convex in strike because of that and not because of a penalty.

Source  J. Andreasen, B. Huge, Volatility interpolation, Risk (March 2011) 76-79. Interpolation
        between nodes: L. Schumaker, SIAM J. Numer. Anal. 20 (1983) 853-864.
"""

import math

import numba as nb

from surfaces.kernels.compiling import INNER, OUTER, keep_apart

TINY = 1e-290  # densities below are not divided by
ROWS = 6  # of work, of length n


@nb.njit(**INNER)
def _solve(a, left, right, inverse, density, d):
    """d of (1 - aD) d = a density, zero at both ends; `inverse`: reciprocal pivots."""
    keep_apart()
    n = a.size
    d[0] = 0.0
    d[n - 1] = 0.0
    for j in range(1, n - 1):
        d[j] = a[j] * (density[j] + left[j] * d[j - 1]) * inverse[j]
    for j in range(n - 3, 0, -1):
        d[j] += a[j] * right[j] * inverse[j] * d[j + 1]


@nb.njit(**INNER)
def take_step(grid, years, segment, share, vol, before, after, work):
    """One implicit step of `years`; grid rows are x^2/2 and the stencil's left and right; before
    and after are (price, density); segment s lies between knots s - 1 and s. Leaves a, reciprocal
    pivots from the left, d and the local vol in work."""
    keep_apart()
    a, inverse, d, sigma = work[0], work[1], work[2], work[3]
    n, last = a.size, vol.size - 1
    for j in range(n):
        s = segment[j]
        low = vol[max(s - 1, 0)]
        sigma[j] = low + share[j] * (vol[min(s, last)] - low)
        a[j] = grid[0, j] * years * sigma[j] * sigma[j]
    ratio = 1.0
    for j in range(1, n - 1):
        s = 1.0 + a[j] * grid[1, j] * ratio
        inverse[j] = 1.0 / (s + a[j] * grid[2, j])
        ratio = s * inverse[j]
    _solve(a, grid[1], grid[2], inverse, before[1], d)
    for j in range(n):
        after[0, j] = before[0, j] + d[j]
        after[1, j] = d[j] / a[j]  # before + D d would cancel


@nb.njit(**INNER)
def _inside(x, price, j, at):
    """Price at `at` in (x[j], x[j+1]): Schumaker's convex quadratic spline through the nodes.

    Slopes are means of the two secants beside a node, each weighed by the other's length; at the
    forward, where the out-of-the-money price has its kink, they are those of the call.
    """
    n = x.size
    h = x[j + 1] - x[j]
    s = (price[j + 1] - price[j]) / h
    p = q = s
    if j > 0:
        before = x[j] - x[j - 1]
        own = (price[j] - price[j - 1]) / before - (1.0 if x[j] == 1.0 else 0.0)
        p = (h * own + before * s) / (h + before)
    if j < n - 2:
        after = x[j + 2] - x[j + 1]
        kink = 1.0 if x[j + 1] == 1.0 else 0.0
        own = (price[j + 2] - price[j + 1]) / after + kink
        q = (h * own + after * s) / (h + after)
    rise, fall = s - p, q - s
    if not (rise > 0.0 and fall > 0.0):
        return price[j] + s * (at - x[j])
    cut = 0.5 * h  # the spline's knot; nearer the steeper end where half way is not convex
    if 3.0 * rise < fall:
        cut = h * (1.0 - 2.0 * rise / (rise + fall))
    elif 3.0 * fall < rise:
        cut = h * 2.0 * fall / (rise + fall)
    middle = (2.0 * s * h - cut * p - (h - cut) * q) / h
    u = at - x[j]
    if u <= cut:
        return price[j] + p * u + 0.5 * (middle - p) / cut * u * u
    u = x[j + 1] - at
    return price[j + 1] - q * u + 0.5 * (q - middle) / (h - cut) * u * u


@nb.njit(**INNER)
def at_strike(x, price, strike):
    """Price at any strike/forward, from those on the nodes x; zero outside them."""
    keep_apart()
    low, high = 0, x.size - 1
    if not x[low] < strike < x[high]:
        return 0.0
    while high - low > 1:
        middle = (low + high) // 2
        if x[middle] <= strike:
            low = middle
        else:
            high = middle
    return price[low] if x[low] == strike else _inside(x, price, low, strike)


@nb.njit(**OUTER)
def fill_prices(x, grid, starts, segment, share, vol, prices, years, strike, work, after, out):
    """Out-of-the-money prices at rising `years` (rows of one time together) and any strikes.

    starts (m,): years before each step; segment, share (m, n); vol (m, knots); prices (m, 2, n):
    price and density before each step. Zero outside the grid.
    """
    m = starts.size
    last = -1.0
    for i in range(years.size):
        if years[i] != last:
            last = years[i]
            step = m - 1
            while step > 0 and starts[step] >= last:
                step -= 1
            take_step(
                grid, last - starts[step], segment[step], share[step], vol[step],
                prices[step], after, work,
            )  # fmt: skip
        out[i] = at_strike(x, after[0], strike[i])


@nb.njit(**OUTER)
def fill_local(grid, starts, segment, share, vol, prices, years, work, after, out):
    """Local variance on the nodes at rising `years`, (times, n); NaN where no density is left.

    2 u_T / (x^2 M): the derivative of the step in its length solves the same system with a times
    the density after the step on the right, divided by the length.
    """
    m, n = starts.size, grid.shape[1]
    rate = work[4]
    for i in range(years.size):
        step = m - 1
        while step > 0 and starts[step] >= years[i]:
            step -= 1
        length = years[i] - starts[step]
        take_step(grid, length, segment[step], share[step], vol[step], prices[step], after, work)
        _solve(work[0], grid[1], grid[2], work[1], after[1], rate)
        for j in range(n):
            out[i, j] = math.nan
            if 0 < j < n - 1 and after[1, j] > TINY:
                out[i, j] = rate[j] / (length * grid[0, j] * after[1, j])
