"""Dupire's forward equation on a line of moneyness: nopython, no checks, no allocation.

The out-of-the-money price u(x, T) in units of the forward, x = strike/forward, obeys

    u_T = sigma(ln x, T)^2 x^2 / 2  c_xx,

with c_xx the density, at first all at x = 1. Over a step of length dT, with a = x^2 sigma^2 dT / 2
at its middle and D the second difference, the rise d solves Crank and Nicolson's

    (1 - a D / 2) d = a density,      density += D d.

One sweep gives all strikes and expiries. A point mass is carried on as an oscillation where
a D >> 1; steps that are even in the square root of time begin with a D < 1 and need no damping.

Source  B. Dupire, Risk 7 (1994) 18-20.
"""

import numba as nb

from surfaces.kernels.andreasen_huge_step import at_strike
from surfaces.kernels.compiling import INNER, OUTER, keep_apart

ROWS = 5  # of work, of length n


@nb.njit(**INNER)
def _advance(grid, state, work):
    """One step from a in work[0]; state is (price, density)."""
    keep_apart()
    a, inverse, d = work[0], work[1], work[2]
    left, right = grid[1], grid[2]
    price, density = state[0], state[1]
    n = a.size
    d[0] = 0.0
    d[n - 1] = 0.0
    ratio = 1.0
    for j in range(1, n - 1):
        b = 0.5 * a[j]
        s = 1.0 + b * left[j] * ratio
        inverse[j] = 1.0 / (s + b * right[j])
        ratio = s * inverse[j]
        d[j] = (a[j] * density[j] + b * left[j] * d[j - 1]) * inverse[j]
    for j in range(n - 3, 0, -1):
        d[j] += 0.5 * a[j] * right[j] * inverse[j] * d[j + 1]
    for j in range(1, n - 1):
        price[j] += d[j]
        density[j] += right[j] * (d[j + 1] - d[j]) - left[j] * (d[j] - d[j - 1])


@nb.njit(**INNER)
def _variances(grid, length, middle, years, vol, row, cell, part, a):
    """a of a step about the time `middle`; row: the node of `years` before it. Linear in time and
    in k, flat outside."""
    keep_apart()
    last = years.size - 1
    later = min(row + 1, last)
    w = 0.0
    if later > row:
        w = min(max((middle - years[row]) / (years[later] - years[row]), 0.0), 1.0)
    for j in range(a.size):
        i = cell[j]
        p = part[j]
        k = min(i + 1, vol.shape[1] - 1)
        low = vol[row, i] + p * (vol[row, k] - vol[row, i])
        high = vol[later, i] + p * (vol[later, k] - vol[later, i])
        sigma = low + w * (high - low)
        a[j] = grid[0, j] * length * sigma * sigma


@nb.njit(**OUTER)
def fill_forward(x, grid, times, years, vol, cell, part, when, strike, state, work, out):
    """Out-of-the-money prices in units of the forward, at strike/forward `strike` and rising times
    `when`, which are among `times`.

    x (n,); grid (3, n): x^2/2 and the stencil; times (s + 1,) from zero; years (t,), vol (t, nk):
    the local vol; cell, part (n,): where each x lies among its k; state (2, n): price and density
    at zero, overwritten; work (ROWS, n). Zero outside the grid.
    """
    row, i = 0, 0
    for s in range(times.size - 1):
        middle = 0.5 * (times[s] + times[s + 1])
        while row < years.size - 1 and years[row + 1] <= middle:
            row += 1
        length = times[s + 1] - times[s]
        _variances(grid, length, middle, years, vol, row, cell, part, work[0])
        _advance(grid, state, work)
        while i < when.size and when[i] <= times[s + 1]:
            out[i] = at_strike(x, state[0], strike[i])
            i += 1
