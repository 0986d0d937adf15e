"""Least squares of one expiry in SABR's letters, in nopython; g >= 0 and a calendar floor elastic.

The search is in x = (ln vol at the money, rho, ln nu): alpha is the cubic's root, so the level and
the shape hardly disturb each other. Beyond `ends` a curve has straight wings in w, as the smile of
the shelf has (`surfaces.smiles.sabr_smile`), where they rise outwards.
"""

import math

import numba as nb
import numpy as np

from surfaces.kernels.compiling import ALLOCATES, INNER, OUTER
from surfaces.kernels.sabr import corrections, curve, vol_one
from surfaces.kernels.sabr_atm import at_money, level, solve3

SIZE = 3
STEPS = 60
BUTTERFLY_WEIGHT = 300.0
CALENDAR_WEIGHT = 300.0
TINY = 1e-26  # a cost that is rounding
STEP = 1e-6  # of a letter, for derivatives
SLOPE_STEP = 1e-5  # of a letter, for errors
FAILED, OK, STOPPED = 0, 1, 2


@nb.njit(**INNER)
def unpacked(x, c, years):
    """(a, rho, nu) of search letters; a is NaN where no alpha has the vol."""
    nu = math.exp(x[2])
    return level(math.exp(x[0]), c, x[1], nu, years), x[1], nu


@nb.njit(**INNER)
def bent(k, ends, c, formula, letters):
    """w and its derivatives; `letters` (level, rho, zeta, A, B, C)."""
    at = min(max(k, ends[0]), ends[1])
    scale, rho, zeta, in_a, in_b, in_c = letters
    v, v1, v2 = curve(at, c, formula, rho, zeta, in_a, in_b, in_c)
    w, w1, w2 = scale * v * v, 2.0 * scale * v * v1, 2.0 * scale * (v1 * v1 + v * v2)
    if at == k:
        return w, w1, w2
    if w1 * (k - at) < 0.0:  # still falling: the curve itself goes on, until it turns
        v, v1, v2 = curve(k, c, formula, rho, zeta, in_a, in_b, in_c)
        return scale * v * v, 2.0 * scale * v * v1, 2.0 * scale * (v1 * v1 + v * v2)
    return w + w1 * (k - at), w1, 0.0


@nb.njit(**INNER)
def fill_row(x, k, years, c, formula, grid, ends, vols, ws, gs):
    """Vols at `k`, w and g on `grid`; False where the letters have no curve."""
    a, rho, nu = unpacked(x, c, years)
    if not a > 0.0:
        return False
    for i in range(k.size):
        vols[i] = vol_one(k[i], a, c, formula, rho, nu, years)
        if not vols[i] > 0.0:
            return False
    in_a, in_b, in_c = corrections(a, c, rho, nu, years)
    letters = (a * a * years, rho, nu / a, in_a, in_b, in_c)
    for i in range(grid.size):
        w, w1, w2 = bent(grid[i], ends, c, formula, letters)
        if not w > 0.0:
            return False
        half = 1.0 - 0.5 * grid[i] * w1 / w
        ws[i] = w
        gs[i] = half * half - 0.25 * w1 * w1 * (1.0 / w + 0.25) + 0.5 * w2
    return True


@nb.njit(**INNER)
def cost_of(vols, ws, gs, mid, half, one_sided, huber, floor_w, scale_w, asked):
    """Huber cost of vol residuals in half spreads, plus the elastic walls."""
    total = 0.0
    for i in range(mid.size):
        r = (vols[i] - mid[i]) / half[i]
        size = 0.0 if one_sided[i] and r < 0.0 else abs(r)
        inner = min(size, huber)
        total += inner * (size - 0.5 * inner)
    for i in range(ws.size):
        short = max(asked - gs[i], 0.0) * BUTTERFLY_WEIGHT
        under = max(floor_w[i] - ws[i], 0.0) * CALENDAR_WEIGHT / scale_w
        total += 0.5 * (short * short + under * under)
    return total


@nb.njit(**INNER)
def add_row(slopes, r, weight, hessian, gradient):
    """Add one weighted residual to the normal equations."""
    for i in range(SIZE):
        gradient[i] += weight * slopes[i] * r
        for j in range(SIZE):
            hessian[i, j] += weight * slopes[i] * slopes[j]


@nb.njit(**INNER)
def equations(
    vols, ws, gs, steps, mid, half, one_sided, huber, floor_w, scale_w, asked, slopes, hessian,
    gradient,
):  # fmt: skip
    """Gauss-Newton matrix and gradient; row 0 of each table is the curve, rows 1 to 3 moved."""
    for i in range(SIZE):
        gradient[i] = 0.0
        for j in range(SIZE):
            hessian[i, j] = 0.0
    for i in range(mid.size):
        r = (vols[0, i] - mid[i]) / half[i]
        if one_sided[i] and r < 0.0:
            continue
        for j in range(SIZE):
            slopes[j] = (vols[j + 1, i] - vols[0, i]) / (steps[j] * half[i])
        add_row(slopes, r, huber / max(abs(r), huber), hessian, gradient)
    for i in range(floor_w.size):
        if gs[0, i] < asked:
            for j in range(SIZE):
                slopes[j] = -BUTTERFLY_WEIGHT * (gs[j + 1, i] - gs[0, i]) / steps[j]
            add_row(slopes, BUTTERFLY_WEIGHT * (asked - gs[0, i]), 1.0, hessian, gradient)
        if ws[0, i] < floor_w[i]:
            unit = CALENDAR_WEIGHT / scale_w
            for j in range(SIZE):
                slopes[j] = -unit * (ws[j + 1, i] - ws[0, i]) / steps[j]
            add_row(slopes, unit * (floor_w[i] - ws[0, i]), 1.0, hessian, gradient)


@nb.njit(**INNER)
def projected(x, hessian, gradient, damping, low, high, matrix, step, trial):
    """The damped step from `x`, clipped to the box, in `trial`; a letter held at a bound stays."""
    for i in range(SIZE):
        held = (x[i] <= low[i] and gradient[i] > 0.0) or (x[i] >= high[i] and gradient[i] < 0.0)
        step[i] = 0.0 if held else -gradient[i]
        for j in range(SIZE):
            matrix[i, j] = hessian[i, j]
        if held:
            for j in range(SIZE):
                matrix[i, j] = 0.0
            matrix[i, i] = 1.0
        else:
            matrix[i, i] += damping * (matrix[i, i] + 1e-12)
    solve3(matrix, step)
    for i in range(SIZE):
        if not abs(step[i]) < np.inf:
            return False
        trial[i] = min(max(x[i] + step[i], low[i]), high[i])
    return True


@nb.njit(**ALLOCATES)
def descend(
    x, k, mid, half, one_sided, huber, years, c, formula, grid, floor_w, ends, asked, low, high,
    enough, hessian,
):  # fmt: skip
    """Projected Levenberg-Marquardt from `x`, in place; the cost, and how it ended.

    `hessian` is left at the answer's, quotes and walls together.
    """
    vols = np.empty((SIZE + 1, k.size))
    ws, gs = np.empty((SIZE + 1, grid.size)), np.empty((SIZE + 1, grid.size))
    gradient, step, trial, steps = np.empty(SIZE), np.empty(SIZE), np.empty(SIZE), np.empty(SIZE)
    slopes, matrix = np.empty(SIZE), np.empty((SIZE, SIZE))
    for i in range(SIZE):
        x[i] = min(max(x[i], low[i]), high[i])
    if not fill_row(x, k, years, c, formula, grid, ends, vols[0], ws[0], gs[0]):
        return np.inf, FAILED
    scale_w = math.exp(2.0 * x[0]) * years
    cost = cost_of(vols[0], ws[0], gs[0], mid, half, one_sided, huber, floor_w, scale_w, asked)
    damping, ended = 1e-3, STOPPED
    for _ in range(STEPS):
        for j in range(SIZE):
            for i in range(SIZE):
                trial[i] = x[i]
            steps[j] = STEP * (0.1 + abs(x[j])) * (-1.0 if x[j] > 0.5 * (low[j] + high[j]) else 1.0)
            trial[j] = x[j] + steps[j]
            steps[j] = trial[j] - x[j]
            at = j + 1
            if not fill_row(trial, k, years, c, formula, grid, ends, vols[at], ws[at], gs[at]):
                return cost, STOPPED
        equations(
            vols, ws, gs, steps, mid, half, one_sided, huber, floor_w, scale_w, asked, slopes,
            hessian, gradient,
        )  # fmt: skip
        gained = -1.0
        while damping < 1e9:
            if projected(
                x, hessian, gradient, damping, low, high, matrix, step, trial
            ) and fill_row(trial, k, years, c, formula, grid, ends, vols[1], ws[1], gs[1]):
                new = cost_of(
                    vols[1], ws[1], gs[1], mid, half, one_sided, huber, floor_w, scale_w, asked
                )
                if new <= cost:
                    gained = cost - new
                    break
            damping *= 6.0
        if gained < 0.0:  # not even a tiny step down: the least that rounding lets be found
            ended = OK
            break
        for i in range(SIZE):
            x[i] = trial[i]
        vols[0], ws[0], gs[0] = vols[1], ws[1], gs[1]
        cost -= gained
        damping = max(damping * 0.1, 1e-12)
        if gained <= enough * cost or cost < TINY:
            ended = OK
            break
    return cost, ended


@nb.njit(**OUTER)
def fit(
    starts, k, mid, half, one_sided, huber, years, c, formula, grid, floor_w, ends, asked, low,
    high, good, enough, hessian, x,
):  # fmt: skip
    """The best of descents from the rows of `starts` (s, 3), into `x`; its cost, and how it ended.

    A descent that costs less than `good` ends the search; `enough` is the share of the cost that
    a step must gain for another to follow. `hessian` (3, 3) is the answer's.
    """
    best, how = np.inf, FAILED
    trial, matrix = np.empty(SIZE), np.empty((SIZE, SIZE))
    for s in range(starts.shape[0]):
        for i in range(SIZE):
            trial[i] = starts[s, i]
        cost, ended = descend(
            trial, k, mid, half, one_sided, huber, years, c, formula, grid, floor_w, ends, asked,
            low, high, enough, matrix,
        )  # fmt: skip
        if ended != FAILED and cost < best:
            best, how = cost, ended
            for i in range(SIZE):
                x[i] = trial[i]
                for j in range(SIZE):
                    hessian[i, j] = matrix[i, j]
        if best < good:
            break
    return best, how


@nb.njit(**INNER)
def answers(x, c, years):
    """a, rho, nu, and vol, skew and curvature at the money, of search letters."""
    a, rho, nu = unpacked(x, c, years)
    vol, skew, bend = at_money(a, rho * nu, nu * nu, c, years)
    return a, rho, nu, vol, skew, bend


@nb.njit(**OUTER)
def fill_errors(x, hessian, c, years, out):
    """One standard error of each of `answers`, residuals having variance one, by slopes."""
    matrix, moved = np.empty((SIZE, SIZE)), np.empty(SIZE)
    slopes, pulled = np.empty((len(out), SIZE)), np.empty(SIZE)
    for j in range(SIZE):
        for i in range(SIZE):
            moved[i] = x[i]
        moved[j] = x[j] + SLOPE_STEP
        up = answers(moved, c, years)
        moved[j] = x[j] - SLOPE_STEP
        down = answers(moved, c, years)
        slopes[0, j], slopes[1, j] = up[0] - down[0], up[1] - down[1]
        slopes[2, j], slopes[3, j] = up[2] - down[2], up[3] - down[3]
        slopes[4, j], slopes[5, j] = up[4] - down[4], up[5] - down[5]
    for q in range(out.size):
        for i in range(SIZE):
            pulled[i] = slopes[q, i]
            for j in range(SIZE):
                matrix[i, j] = hessian[i, j]
        solve3(matrix, pulled)
        total = 0.0
        for i in range(SIZE):
            total += slopes[q, i] * pulled[i]
        out[q] = math.sqrt(max(total, 0.0)) / (2.0 * SLOPE_STEP)


@nb.njit(**OUTER)
def fill_theta(x, years, c, ends, theta):
    """Letters of the shelf's smile: level, 1 - beta, rho, zeta, tau, tilt, ends of the wings."""
    a, rho, nu = unpacked(x, c, years)
    theta[0] = theta[4] = a * a * years
    theta[1], theta[2], theta[3], theta[5] = c, rho, nu / a, 1.0 - c
    theta[6], theta[7] = ends[0], ends[1]


@nb.njit(**OUTER)
def fill_curve(k, theta, formula, w, w1, w2):
    """w and its derivatives of smiles: `k` (r, n), `theta` (r, 8) or (1, 8), results (r, n)."""
    for r in range(k.shape[0]):
        t = theta[r if theta.shape[0] > 1 else 0]
        scale, c, rho, zeta, tau, tilt = t[0], t[1], t[2], t[3], t[4], t[5]
        in_a, in_b = c * c * tau / 24.0, 0.25 * rho * tilt * zeta * tau
        in_c = (2.0 - 3.0 * rho * rho) * zeta * zeta * tau / 24.0
        for i in range(k.shape[1]):
            at = min(max(k[r, i], t[6]), t[7])
            v, v1, v2 = curve(at, c, formula, rho, zeta, in_a, in_b, in_c)
            gap = k[r, i] - at
            w1[r, i] = 2.0 * scale * v * v1
            w[r, i] = scale * v * v + w1[r, i] * gap
            w2[r, i] = 2.0 * scale * (v1 * v1 + v * v2) if gap == 0.0 else 0.0
