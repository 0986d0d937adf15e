"""The fit of one SVI expiry in nopython: box, start, descent, and g >= 0 asked for until true.

See `surfaces.kernels.svi` for the letters and the cost.
"""

import math

import numba as nb
import numpy as np

from surfaces.kernels.svi import (
    SIZE,
    SLOPE_ROOT_MAX,
    copy,
    cost_at,
    descend,
    least_on,
    solve,
    to_raw,
)
from surfaces.kernels.svi_domain import FREE, judge, proper
from surfaces.kernels.svi_domain import lowest_g as exact_lowest_g

LEAST_G = 1e-3  # what the elastic penalty asks of g
EDGE = 1.3  # the search looks this far beyond the quoted range
ROUNDS = 8  # of asking for g >= 0
FAMILIAR = 1.5  # a fit that gains less than this on its start had a good start
# An array, because numba compiles a copy of the callee for every literal it is given.
STEPS = np.array([30, 80])  # of a warm and of a cold descent
COARSE_STEPS = 12  # bisections that find the lowest g well enough to ask for more
FAILED, CLEAN, DIRTY = 0, 1, 2  # what `fit` found: nothing, a curve, a curve with g < 0 somewhere


@nb.njit(cache=True, error_model="numpy")
def linear_start(k, w, weight, m, sigma, x):
    """Weighted least squares of w on (1, k - m, root) for fixed m, sigma, as box letters."""
    matrix = np.zeros((3, 3))
    rhs = np.zeros(3)
    basis = np.empty(3)
    for i in range(k.size):
        d = k[i] - m
        basis[0], basis[1], basis[2] = 1.0, d, math.sqrt(d * d + sigma * sigma)
        for a in range(3):
            rhs[a] += weight[i] * basis[a] * w[i]
            for b in range(a + 1):
                matrix[a, b] += weight[i] * basis[a] * basis[b]
    for a in range(3):
        matrix[a, a] *= 1.0 + 1e-10
    if not solve(matrix, rhs):
        return False
    x[1] = math.sqrt(max(rhs[2] - rhs[1], 1e-10))
    x[2] = math.sqrt(max(rhs[2] + rhs[1], 1e-10))
    x[0] = rhs[0] + sigma * x[1] * x[2]
    x[3] = m
    x[4] = math.log(sigma)
    return True


@nb.njit(cache=True, error_model="numpy")
def search(k, mid, half, one_sided, years, grid, floor_w, scale_w, least_g, span, low, high, x):
    """Cold start: the linear problem on a coarse (m, sigma) grid, then descend from the best."""
    starts, kept = 40, 3
    costs = np.full(starts, np.inf)
    points = np.empty((starts, SIZE))
    weight = np.empty(k.size)
    w = np.empty(k.size)
    for i in range(k.size):
        w[i] = mid[i] * mid[i] * years
        width = 2.0 * mid[i] * years * half[i]
        weight[i] = 0.0 if one_sided[i] else 1.0 / (width * width)
    first = 0.5 * (k[0] + k[k.size - 1] - span)
    trial = np.empty(SIZE)
    for s in range(starts):
        m = first + span * (s % 8 + 0.5) / 8.0
        sigma = span * 0.02 * 2.6 ** (s // 8)
        if linear_start(k, w, weight, m, sigma, trial):
            for i in range(SIZE):
                trial[i] = min(max(trial[i], low[i]), high[i])
            copy(trial, points[s])
            costs[s] = cost_at(
                trial, k, mid, half, one_sided, years, grid, floor_w, scale_w, least_g
            )
    best = np.inf
    for _ in range(kept):
        least = 0
        for s in range(starts):
            least = s if costs[s] < costs[least] else least
        if not costs[least] < np.inf:
            break
        copy(points[least], trial)
        costs[least] = np.inf
        _, cost = descend(
            trial, k, mid, half, one_sided, years, grid, floor_w, scale_w, least_g, low, high,
            STEPS[1],
        )  # fmt: skip
        if cost < best:
            best = cost
            copy(trial, x)
    return best


@nb.njit(cache=True, error_model="numpy")
def set_box(k, mid, one_sided, years, k_low, k_high, low, high):
    """Write the box of the search about the quoted range; returns total variance at the money."""
    least, most = np.inf, 0.0
    first, before, after = -1, -1, -1
    for i in range(k.size):
        if one_sided[i]:
            continue
        w = mid[i] * mid[i] * years
        least, most = min(least, w), max(most, w)
        first = i if first < 0 else first
        if k[i] <= 0.0:
            before = i
        elif after < 0:
            after = i
    if before >= 0 and after >= 0:
        w, w1 = mid[before] * mid[before] * years, mid[after] * mid[after] * years
        atm = w - (w1 - w) / (k[after] - k[before]) * k[before]
    else:
        edge = first if before < 0 else before
        atm = mid[edge] * mid[edge] * years
    span = max(k_high - k_low, 1e-6)
    low[0], low[1], low[2], low[3] = 1e-4 * least, 0.0, 0.0, k_low - 0.5 * span
    low[4] = math.log(max(0.05 * math.sqrt(atm), 1e-6))
    high[0], high[1], high[2] = 4.0 * most, SLOPE_ROOT_MAX, SLOPE_ROOT_MAX
    high[3], high[4] = k_high + 0.5 * span, math.log(10.0 * span)
    for i in range(SIZE):
        high[i] = max(high[i], low[i])
    return atm


@nb.njit(cache=True, error_model="numpy")
def fit(k, mid, half, one_sided, years, k_low, k_high, grid, floor_w, warm, x):
    """Fit one expiry from `x` if `warm`, else by a search; the answer goes into `x`.

    FAILED if no finite point was found, DIRTY if g < 0 somewhere in spite of the penalty.
    """
    low, high = np.empty(SIZE), np.empty(SIZE)
    atm = set_box(k, mid, one_sided, years, k_low, k_high, low, high)
    first, cost = np.inf, np.inf
    if warm:
        first, cost = descend(
            x, k, mid, half, one_sided, years, grid, floor_w, atm, LEAST_G, low, high, STEPS[0]
        )
    # No start, or one that quotes left far behind, and that may end in a local minimum.
    if cost > 4.0 * k.size and not first < FAMILIAR * cost:
        cold = np.empty(SIZE)
        found = search(
            k, mid, half, one_sided, years, grid, floor_w, atm, LEAST_G, EDGE * (k_high - k_low),
            low, high, cold,
        )  # fmt: skip
        if found < cost:
            cost = found
            copy(cold, x)
    if not cost < np.inf:
        return FAILED
    # The penalty is soft and the grid ends: what it gives way is asked for on top, where it gave
    # way is added to the grid, until g >= 0 is proved on the whole line.
    wide, wide_floor = np.empty(grid.size + ROUNDS), np.empty(grid.size + ROUNDS)
    for i in range(grid.size):
        wide[i], wide_floor[i] = grid[i], floor_w[i]
    raw, at = np.empty(SIZE), np.empty(1)
    asked = LEAST_G
    for found in range(ROUNDS):
        to_raw(x, raw)
        if judge(raw, 0.0, at) == FREE:
            return CLEAN
        gave = least_on(wide[: grid.size + found], x)
        asked += LEAST_G - 1.5 * min(gave, 0.0)
        if proper(raw) and raw[1] > 0.0:
            exact_lowest_g(raw, COARSE_STEPS, at)
        n = grid.size + found + 1
        wide[n - 1], wide_floor[n - 1] = at[0], -1.0
        descend(
            x, k, mid, half, one_sided, years, wide[:n], wide_floor[:n], atm, asked, low, high,
            STEPS[0],
        )  # fmt: skip
    to_raw(x, raw)
    return CLEAN if judge(raw, 0.0, at) == FREE else DIRTY
