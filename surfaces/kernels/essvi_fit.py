"""All eSSVI slices of a chain fitted at once, by an interior point in nopython.

A slice is x = (ln theta, ln L, ln R) with L, R = psi (1 -+ rho) its wing slopes. In these letters
the calendar-safe set of Mingone (2022) is three increasing sequences,

    ln L_i,  ln R_i,  ln theta_i - ln psi_i   (psi/theta may only fall),

which make theta_i >= p_i theta_{i-1} true as well, and the butterfly bound is one more row a slice.
Every iterate keeps every row strictly, so whatever the iteration stops at is free of arbitrage.

Cost    Huber of (vol - mid)/half spread, plus a weak pull of neighbours towards one another in
        ln(R/L) and ln(psi/sqrt(theta)), which is all that a slice with a quote or two goes by.
Step    primal-dual with a Gauss-Newton Hessian; the system has bandwidth five.
Source  Mingone, Quantitative Finance 22 (2022) (the set); the interior point is textbook, e.g.
        Nocedal-Wright 2006, chapter 19.
"""

import math
from typing import NamedTuple

import numba as nb
import numpy as np
from numpy.typing import NDArray

from surfaces.kernels.essvi import log_bound, slice_sums

ROWS = 6  # constraints of a slice: L, R and theta/psi above the shorter one's, bound on psi, |rho|
BAND = 6  # diagonals of the lower half of the system
TILT_MAX = 7.6  # |ln(R/L)|: |rho| <= 0.999
PULL = 0.09  # of a neighbour, half spreads squared per squared unit of the letters
ANCHOR = 1e-4  # of the same letters towards ANCHOR_TILT and ANCHOR_BEND, where all is silent
ANCHOR_TILT, ANCHOR_BEND = -0.6, -0.5
LEAST_MU = 1e-3
LEAST_SLACK = 1e-9
STRIDE_MAX = 1.5  # of a letter in one step
NEAR_ONE = 0.995

Array = NDArray[np.float64]


class Book(NamedTuple):
    """Quotes of m slices; slice i has rows start[i] to start[i + 1]."""

    start: NDArray[np.int64]
    k: Array
    mid: Array
    per_half: Array
    side: Array  # 0 pulls both ways, +1 a ceiling, -1 a floor
    per_year: Array  # (m,)


class Point(NamedTuple):
    """What is known at one x (m, 3)."""

    band: Array  # (3m, BAND) lower half of the Hessian, band[i, d] couples i with i - d
    gradient: Array  # (3m,)
    slack: Array  # (m, ROWS)
    bound: Array  # (m, 3) gradient of the butterfly row in x


@nb.njit(cache=True, error_model="numpy")
def new_point(m):
    """Room for a point of m slices."""
    return Point(np.empty((3 * m, BAND)), np.empty(3 * m), np.ones((m, ROWS)), np.empty((m, 3)))


@nb.njit(cache=True, error_model="numpy")
def log_psi(x, i):
    """ln psi of slice i, and the share of R in L + R, which is its derivative in ln R."""
    gap = x[i, 2] - x[i, 1]
    share = 1.0 / (1.0 + math.exp(-gap))
    return max(x[i, 1], x[i, 2]) + math.log1p(math.exp(-abs(gap))) - math.log(2.0), share


@nb.njit(cache=True, error_model="numpy")
def set_slacks(x, point):
    """Slack of every row at `x`, and the butterfly rows' gradients; False if one is not positive.

    Cheap rows come first, so a bad trial is given up before the bound is looked for.
    """
    slack, bound = point.slack, point.bound
    before = 0.0
    least = np.inf
    for i in range(x.shape[0]):
        psi, _ = log_psi(x, i)
        tilt = x[i, 2] - x[i, 1]
        slack[i, 4], slack[i, 5] = TILT_MAX - tilt, TILT_MAX + tilt
        least = min(least, slack[i, 4], slack[i, 5])
        if i > 0:
            slack[i, 0], slack[i, 1] = x[i, 1] - x[i - 1, 1], x[i, 2] - x[i - 1, 2]
            slack[i, 2] = x[i, 0] - psi - before
            least = min(least, slack[i, 0], slack[i, 1], slack[i, 2])
        before = x[i, 0] - psi
    if not least > LEAST_SLACK:
        return False
    for i in range(x.shape[0]):
        psi, share = log_psi(x, i)
        rho = 2.0 * share - 1.0
        most, by_theta, by_rho = log_bound(math.exp(x[i, 0]), rho)
        turn = 2.0 * share * (1.0 - share) * by_rho
        slack[i, 3] = most - psi
        bound[i, 0], bound[i, 1], bound[i, 2] = by_theta, -turn - (1.0 - share), turn - share
        if not slack[i, 3] > LEAST_SLACK:
            return False
    return True


@nb.njit(cache=True, error_model="numpy")
def add_row(band, gradient, i, early, late, weight, pull):
    """Add weight a a' and pull a, for a row with `late` on slice i and `early` on slice i - 1."""
    for a in range(3):
        gradient[3 * i + a] += pull * late[a]
        for b in range(a + 1):
            band[3 * i + a, a - b] += weight * late[a] * late[b]
    if i == 0:
        return
    for a in range(3):
        gradient[3 * i - 3 + a] += pull * early[a]
        for b in range(a + 1):
            band[3 * i - 3 + a, a - b] += weight * early[a] * early[b]
        for b in range(3):
            band[3 * i + a, 3 + a - b] += weight * late[a] * early[b]


@nb.njit(cache=True, error_model="numpy")
def evaluate(x, book, point):
    """The cost at `x`; its Gauss-Newton Hessian and gradient go into `point`."""
    band, gradient = point.band, point.gradient
    band[:] = 0.0
    gradient[:] = 0.0
    sums, turn = np.empty(9), np.zeros((3, 3))
    early, late = np.zeros(3), np.zeros(3)
    total = 0.0
    tilt_before = bend_before = share_before = 0.0
    for i in range(x.shape[0]):
        theta, left, right = math.exp(x[i, 0]), math.exp(x[i, 1]), math.exp(x[i, 2])
        first, last = book.start[i], book.start[i + 1]
        total += slice_sums(
            book.k[first:last], book.mid[first:last], book.per_half[first:last],
            book.side[first:last], book.per_year[i], theta, 0.5 * (right - left),
            0.5 * (left + right), sums,
        )  # fmt: skip
        turn[0, 0] = theta  # d(theta, tilt, psi)/dx
        turn[1, 1], turn[1, 2], turn[2, 1], turn[2, 2] = -left, right, left, right
        for a in range(1, 3):
            for b in range(1, 3):
                turn[a, b] *= 0.5
        add_turned(band, gradient, i, sums, turn)
        psi, share = log_psi(x, i)
        tilt, bend = x[i, 2] - x[i, 1], psi - 0.5 * x[i, 0]
        for which in range(2):
            late[0] = 0.0 if which == 0 else -0.5
            late[1] = -1.0 if which == 0 else 1.0 - share
            late[2] = 1.0 if which == 0 else share
            here = tilt if which == 0 else bend
            off = here - (ANCHOR_TILT if which == 0 else ANCHOR_BEND)
            early[:] = 0.0
            add_row(band, gradient, i, early, late, ANCHOR, ANCHOR * off)
            total += 0.5 * ANCHOR * off * off
            if i > 0:
                early[0] = 0.0 if which == 0 else 0.5
                early[1] = 1.0 if which == 0 else share_before - 1.0
                early[2] = -1.0 if which == 0 else -share_before
                off = here - (tilt_before if which == 0 else bend_before)
                add_row(band, gradient, i, early, late, PULL, PULL * off)
                total += 0.5 * PULL * off * off
        tilt_before, bend_before, share_before = tilt, bend, share
    return total


@nb.njit(cache=True, error_model="numpy")
def add_turned(band, gradient, i, sums, turn):
    """Add the quotes' sums of slice i, turned from (theta, tilt, psi) into its letters."""
    full = np.empty((3, 3))
    full[0, 0], full[1, 1], full[2, 2] = sums[0], sums[2], sums[5]
    full[1, 0] = full[0, 1] = sums[1]
    full[2, 0] = full[0, 2] = sums[3]
    full[2, 1] = full[1, 2] = sums[4]
    for a in range(3):
        for c in range(3):
            gradient[3 * i + a] += turn[c, a] * sums[6 + c]
            for d in range(3):
                for b in range(a + 1):
                    band[3 * i + a, a - b] += turn[c, a] * full[c, d] * turn[d, b]


@nb.njit(cache=True, error_model="numpy")
def row_of(x, point, i, row, early, late):
    """Write the gradient of one constraint of slice i; what `early` holds belongs to i - 1."""
    early[:] = 0.0
    late[:] = 0.0
    if row <= 1:
        late[row + 1], early[row + 1] = 1.0, -1.0
    elif row == 2:
        _, share = log_psi(x, i)
        _, share_before = log_psi(x, i - 1)
        late[0], late[1], late[2] = 1.0, share - 1.0, -share
        early[0], early[1], early[2] = -1.0, 1.0 - share_before, share_before
    elif row == 3:
        late[0], late[1], late[2] = point.bound[i, 0], point.bound[i, 1], point.bound[i, 2]
    else:
        late[2] = -1.0 if row == 4 else 1.0
        late[1] = -late[2]


@nb.njit(cache=True, error_model="numpy")
def barrier(slack, mu):
    """-mu times the sum of the logarithms of the slacks."""
    total = 0.0
    for i in range(slack.shape[0]):
        product = 1.0
        for row in range(0 if i > 0 else 3, ROWS):
            product *= slack[i, row]
        total -= mu * math.log(product)
    return total


@nb.njit(cache=True, error_model="numpy")
def solve_band(band, rhs):
    """Cholesky solve of a banded system in place; False if it is not positive definite."""
    n = rhs.size
    for i in range(n):
        for d in range(min(i, BAND - 1), -1, -1):
            j = i - d
            value = band[i, d]
            for c in range(max(0, i - BAND + 1), j):
                if j - c < BAND:
                    value -= band[i, i - c] * band[j, j - c]
            if d > 0:
                band[i, d] = value / band[j, 0]
            elif value > 0.0:
                band[i, 0] = math.sqrt(value)
            else:
                return False
    for i in range(n):
        for d in range(1, min(i, BAND - 1) + 1):
            rhs[i] -= band[i, d] * rhs[i - d]
        rhs[i] /= band[i, 0]
    for i in range(n - 1, -1, -1):
        for d in range(1, min(n - 1 - i, BAND - 1) + 1):
            rhs[i] -= band[i + d, d] * rhs[i + d]
        rhs[i] /= band[i, 0]
    return True


@nb.njit(cache=True, error_model="numpy")
def direction(x, point, dual, mu, damping, step, dual_step):
    """Write the primal-dual step; returns the slope of the merit along it, NaN if none exists."""
    m = x.shape[0]
    band, merit = point.band.copy(), point.gradient.copy()
    early, late = np.empty(3), np.empty(3)
    for i in range(m):
        for row in range(0 if i > 0 else 3, ROWS):
            slack = point.slack[i, row]
            row_of(x, point, i, row, early, late)
            add_row(band, merit, i, early, late, dual[i, row] / slack, -mu / slack)
    for i in range(3 * m):
        band[i, 0] += damping * band[i, 0] + 1e-9
        step[i] = -merit[i]
    if not solve_band(band, step):
        return np.nan
    for i in range(m):
        for row in range(0 if i > 0 else 3, ROWS):
            row_of(x, point, i, row, early, late)
            change = 0.0
            for a in range(3):
                change += late[a] * step[3 * i + a]
                if i > 0:
                    change += early[a] * step[3 * i - 3 + a]
            slack, own = point.slack[i, row], dual[i, row]
            dual_step[i, row] = mu / slack - own - own / slack * change
    slope = 0.0
    for i in range(3 * m):
        slope += merit[i] * step[i]
    return slope
