"""The iteration over a whole eSSVI chain, and a start that is always inside.

See `surfaces.kernels.essvi_fit` for the letters, the constraints and the step.
"""

import math

import numba as nb
import numpy as np

from surfaces.kernels.essvi import log_bound
from surfaces.kernels.essvi_fit import (
    LEAST_MU,
    NEAR_ONE,
    ROWS,
    STRIDE_MAX,
    barrier,
    direction,
    evaluate,
    new_point,
    set_slacks,
)

MOST_STEPS = 60
MOST_TRIALS = 12
ENOUGH = 1e-5  # share of the cost a step must gain, once mu is at its least, for another to follow
START_TILT = -0.6  # ln(R/L) of the start: rho of -0.3
START_BEND = 1.0  # psi/sqrt(theta) of the start, where the butterfly bound allows it
NEAREST = 5  # quotes whose median is a slice's first level
RISE = 1e-3  # of ln theta from slice to slice, at least, in a start


@nb.njit(cache=True, error_model="numpy")
def assign(source, out):
    """out = source, both (m, 3); a loop, because numba compiles slices for seconds."""
    for i in range(source.shape[0]):
        for a in range(3):
            out[i, a] = source[i, a]


@nb.njit(cache=True, error_model="numpy")
def mix(x, y, share, out):
    """out = x + share (y - x), all (m, 3)."""
    for i in range(x.shape[0]):
        for a in range(3):
            out[i, a] = x[i, a] + share * (y[i, a] - x[i, a])


@nb.njit(cache=True, error_model="numpy")
def middle_of(values, n):
    """The (lower) median of the first n values, which it sorts."""
    for i in range(1, n):
        own, at = values[i], i
        while at > 0 and values[at - 1] > own:
            values[at] = values[at - 1]
            at -= 1
        values[at] = own
    return values[(n - 1) // 2]


@nb.njit(cache=True, error_model="numpy")
def first_levels(book, x):
    """Write ln theta of every slice into x[:, 0]: medians near the money, pooled until rising."""
    m = x.shape[0]
    values, distance = np.empty(NEAREST), np.empty(NEAREST)
    level, weight, width = np.empty(m), np.empty(m), np.empty(m, np.int64)
    blocks = 0
    for i in range(m):
        n = 0
        for q in range(book.start[i], book.start[i + 1]):
            if book.side[q] != 0.0:
                continue
            at = n if n < NEAREST else NEAREST - 1
            if n == NEAREST and not abs(book.k[q]) < distance[at]:
                continue
            n = min(n + 1, NEAREST)
            while at > 0 and distance[at - 1] > abs(book.k[q]):
                distance[at], values[at] = distance[at - 1], values[at - 1]
                at -= 1
            distance[at], values[at] = abs(book.k[q]), book.mid[q]
        middle = middle_of(values, n)
        level[blocks] = math.log(max(middle * middle / book.per_year[i], 1e-12))
        weight[blocks], width[blocks] = float(n), 1
        blocks += 1
        while blocks > 1 and level[blocks - 2] > level[blocks - 1]:
            both = weight[blocks - 2] + weight[blocks - 1]
            level[blocks - 2] += (level[blocks - 1] - level[blocks - 2]) * weight[blocks - 1] / both
            weight[blocks - 2] = both
            width[blocks - 2] += width[blocks - 1]
            blocks -= 1
    at = 0
    for block in range(blocks):
        for _ in range(width[block]):
            x[at, 0] = level[block]
            if at > 0:
                x[at, 0] = max(x[at, 0], x[at - 1, 0] + RISE)
            at += 1


@nb.njit(cache=True, error_model="numpy")
def safe_start(book, x):
    """An SSVI chain strictly inside: one rho, psi = eta sqrt(theta), theta rising."""
    first_levels(book, x)
    rho = math.tanh(0.5 * START_TILT)
    bend = math.log(START_BEND)
    for i in range(x.shape[0]):
        most, _, _ = log_bound(math.exp(x[i, 0]), rho)
        bend = min(bend, most - 0.5 * x[i, 0] - 0.5)
    for i in range(x.shape[0]):
        psi = bend + 0.5 * x[i, 0]
        x[i, 1], x[i, 2] = psi + math.log(1.0 - rho), psi + math.log(1.0 + rho)


@nb.njit(cache=True, error_model="numpy")
def towards_inside(x, inside):
    """Move `x` towards the feasible point `inside` until it is feasible too; how far it went."""
    point = new_point(x.shape[0])
    trial = np.empty((x.shape[0], 3))
    share = 0.0
    for _ in range(8):
        mix(x, inside, share, trial)
        if set_slacks(trial, point):
            assign(trial, x)
            return share
        share = 0.5 * (1.0 + share) if share > 0.0 else 0.02
    assign(inside, x)
    return 1.0


@nb.njit(cache=True, error_model="numpy")
def longest(values, steps, most):
    """The longest share of `steps`, at most `most`, that leaves values above their last 0.5 %."""
    for i in range(values.shape[0]):
        for row in range(0 if i > 0 else 3, ROWS):
            if steps[i, row] < 0.0:
                most = min(most, -NEAR_ONE * values[i, row] / steps[i, row])
    return most


@nb.njit(cache=True, error_model="numpy")
def minimise(book, x, mu):
    """Minimise from the strictly feasible `x`, in place; returns the cost and the steps taken."""
    m = x.shape[0]
    here, there = new_point(m), new_point(m)
    dual, dual_step = np.empty((m, ROWS)), np.empty((m, ROWS))
    step, trial = np.empty(3 * m), np.empty((m, 3))
    set_slacks(x, here)
    cost = evaluate(x, book, here)
    for i in range(m):
        for row in range(ROWS):
            dual[i, row] = mu / here.slack[i, row]
    damping = 1e-4
    for count in range(MOST_STEPS):
        slope = direction(x, here, dual, mu, damping, step, dual_step)
        if not slope < 0.0:
            damping = max(10.0 * damping, 1e-4)
            if slope == 0.0 or damping > 1e8:
                return cost, count
            continue
        stride = 0.0
        for i in range(3 * m):
            stride = max(stride, abs(step[i]))
        share = min(1.0, STRIDE_MAX / max(stride, 1e-300))
        merit = cost + barrier(here.slack, mu)
        gain = 0.0
        for _ in range(MOST_TRIALS):
            for i in range(m):
                for a in range(3):
                    trial[i, a] = x[i, a] + share * step[3 * i + a]
            if set_slacks(trial, there):
                new = evaluate(trial, book, there)
                gain = merit - new - barrier(there.slack, mu)
                if gain >= -1e-4 * share * slope:
                    break
                gain = 0.0
            share *= 0.5
        if not gain > 0.0:
            if mu > LEAST_MU:
                mu = LEAST_MU
                continue
            damping = max(10.0 * damping, 1e-4)
            if damping > 1e4:
                return cost, count
            continue
        assign(trial, x)
        here, there = there, here
        cost = new
        dual_share = longest(dual, dual_step, 1.0)
        for i in range(m):
            for row in range(ROWS):
                own = dual[i, row] + dual_share * dual_step[i, row]
                central = mu / here.slack[i, row]
                dual[i, row] = min(max(own, 1e-4 * central), 1e4 * central)
        if mu <= LEAST_MU and gain <= ENOUGH * max(cost, 1.0):
            return cost, count + 1
        if share > 0.5:
            damping = max(0.2 * damping, 1e-8)
            mu = max(LEAST_MU, 0.2 * mu)
        elif share < 0.1:
            damping *= 4.0
    return cost, MOST_STEPS


@nb.njit(cache=True, error_model="numpy")
def fit(book, warm, x):
    """Fit all slices, from `x` if `warm`; the answer goes into `x`. Returns the steps taken.

    A warm start that is not inside (time passed, slices moved) is first drawn towards a safe one.
    """
    m = x.shape[0]
    start = np.empty((m, 3))
    point = new_point(m)
    mu = 10.0 * LEAST_MU
    if not (warm and set_slacks(x, point)):
        safe_start(book, start)
        if warm:
            if towards_inside(x, start) == 1.0:
                mu = 1.0
        else:
            assign(start, x)
            mu = 1.0
    return minimise(book, x, mu)[1]
