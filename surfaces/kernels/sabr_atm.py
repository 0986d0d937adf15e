"""SABR at the money in nopython: (vol, skew, curvature), the way back, and alpha's cubic.

With p = rho nu and q = nu^2, at k = 0, to the order of both formulas (they agree to k^2 there):

    vol       = a (1 + kappa),  kappa = A + B + C as in `surfaces.kernels.sabr`
    skew      = (p - c a)/2 (1 + kappa) + a kappa'
    curvature = (a c^2/6 + (2 q - 3 p^2)/(6 a)) (1 + kappa) + (p - c a) kappa' + a kappa''
"""

import math

import numba as nb
import numpy as np

from surfaces.kernels.compiling import INNER, OUTER

STEPS = 60
DOUBLINGS = 80
TIGHT = 1e-15  # of the vol
LOOSE = 1e-12
DIFFERENCE = 1e-6


@nb.njit(**INNER)
def at_money(a, p, q, c, years):
    """Vol, dvol/dk and d2vol/dk2 at k = 0."""
    in_a = c * c * a * a * years / 24.0
    in_b = 0.25 * p * (1.0 - c) * a * years
    late = 1.0 + in_a + in_b + (2.0 * q - 3.0 * p * p) * years / 24.0
    late1, late2 = -c * (in_a + 0.5 * in_b), c * c * (in_a + 0.25 * in_b)
    tilt = p - c * a
    bend = a * c * c / 6.0 + (2.0 * q - 3.0 * p * p) / (6.0 * a)
    return a * late, 0.5 * tilt * late + a * late1, bend * late + tilt * late1 + a * late2


@nb.njit(**INNER)
def level(vol, c, rho, nu, years):
    """The least a > 0 with `vol` at the money, NaN if there is none: alpha's cubic

    a (line + square a + cubic a^2) = vol.

    A root is bracketed by the first turning point, then Newton, bisecting where it leaves.
    """
    cubic = c * c * years / 24.0
    square = 0.25 * rho * (1.0 - c) * nu * years
    line = 1.0 + (2.0 - 3.0 * rho * rho) * nu * nu * years / 24.0
    low, high = 0.0, np.inf
    inside = square * square - 3.0 * cubic * line
    if line > 0.0 and square < 0.0 and inside >= 0.0:
        turn = line / (math.sqrt(inside) - square)
        if ((cubic * turn + square) * turn + line) * turn >= vol:
            high = turn
        else:
            low = turn
    if high == np.inf:
        step = max(vol, low)
        for _ in range(DOUBLINGS):
            at = low + step
            if ((cubic * at + square) * at + line) * at >= vol:
                high = at
                break
            step *= 2.0
        if high == np.inf:
            return np.nan
    a = min(max(vol / line, low), high) if line > 0.1 else 0.5 * (low + high)
    for _ in range(DOUBLINGS):
        miss = ((cubic * a + square) * a + line) * a - vol
        if miss > 0.0:
            high = a
        else:
            low = a
        slope = (3.0 * cubic * a + 2.0 * square) * a + line
        new = a - miss / slope if slope > 0.0 else high + 1.0
        if not low <= new <= high:
            new = 0.5 * (low + high)
        if abs(new - a) <= 4e-16 * a:
            return new
        a = new
    return a


@nb.njit(**OUTER)
def atm_of(a, p, q, c, years, out):
    """Write `at_money` into `out`."""
    out[0], out[1], out[2] = at_money(a, p, q, c, years)


@nb.njit(**OUTER)
def level_of(vol, c, rho, nu, years):
    """`level`, for Python."""
    return level(vol, c, rho, nu, years)


@nb.njit(**INNER)
def solve3(matrix, x):
    """Solve a 3 x 3 system in place by Gauss with pivoting; singular gives what is not finite."""
    for i in range(3):
        best = i
        for r in range(i + 1, 3):
            if abs(matrix[r, i]) > abs(matrix[best, i]):
                best = r
        for j in range(3):
            matrix[i, j], matrix[best, j] = matrix[best, j], matrix[i, j]
        x[i], x[best] = x[best], x[i]
        for r in range(i + 1, 3):
            share = matrix[r, i] / matrix[i, i]
            for j in range(i, 3):
                matrix[r, j] -= share * matrix[i, j]
            x[r] -= share * x[i]
    for i in range(2, -1, -1):
        for j in range(i + 1, 3):
            x[i] -= matrix[i, j] * x[j]
        x[i] /= matrix[i, i]


@nb.njit(**OUTER)
def letters_of(wanted, c, years, letters):
    """Newton for `letters` (a, p, q) of the `wanted` (vol, skew, curvature).

    Returns whether it converged. The start is the answer at years = 0; derivatives are central
    differences, which only cost a step or two.
    """
    vol, skew, curvature = wanted[0], wanted[1], wanted[2]
    p = 2.0 * skew + c * vol
    letters[0], letters[1] = vol, p
    letters[2] = 3.0 * vol * (curvature - vol * c * c / 6.0) + 1.5 * p * p
    matrix, step, moved = np.empty((3, 3)), np.empty(3), np.empty(3)
    for _ in range(STEPS):
        found = at_money(letters[0], letters[1], letters[2], c, years)
        step[0], step[1], step[2] = vol - found[0], skew - found[1], curvature - found[2]
        if abs(step[0]) + abs(step[1]) + vol * abs(step[2]) <= TIGHT * vol:
            return True
        for j in range(3):
            for i in range(3):
                moved[i] = letters[i]
            h = DIFFERENCE * (abs(letters[j]) + (vol if j < 2 else vol * vol))
            moved[j] = letters[j] + h
            up = at_money(moved[0], moved[1], moved[2], c, years)
            moved[j] = letters[j] - h
            low = at_money(moved[0], moved[1], moved[2], c, years)
            matrix[0, j] = (up[0] - low[0]) / (2.0 * h)
            matrix[1, j] = (up[1] - low[1]) / (2.0 * h)
            matrix[2, j] = (up[2] - low[2]) / (2.0 * h)
        solve3(matrix, step)
        shrink = 1.0
        while shrink > 1e-6 and not letters[0] + shrink * step[0] > 0.2 * letters[0]:
            shrink *= 0.5
        for i in range(3):
            letters[i] += shrink * step[i]
    found = at_money(letters[0], letters[1], letters[2], c, years)
    miss = abs(found[0] - vol) + abs(found[1] - skew) + vol * abs(found[2] - curvature)
    return miss <= LOOSE * vol
