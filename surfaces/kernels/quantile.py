"""A running weighted quantile along the strikes of each expiry, own value left out."""

import math

import numba as nb
import numpy as np

from surfaces.kernels.compiling import ALLOCATES, OUTER


@nb.njit(**ALLOCATES)
def sorted_in(values, weights, value, weight, count):
    """Put one value with its weight into the first `count` entries, which rise."""
    at = count
    while at > 0 and values[at - 1] > value:
        values[at], weights[at] = values[at - 1], weights[at - 1]
        at -= 1
    values[at], weights[at] = value, weight


@nb.njit(**OUTER)
def fill_running(x, start, width, window, prob, out):
    """Quantile `prob` of x over the neighbours of each place, weighted by exp(-distance / width).

    `start` (m + 1,): groups that do not mix. Neighbours are at most `window` places away; NaN are
    passed over, and so is x[i] itself. NaN where nothing is left.
    """
    values, weights = np.empty(2 * window + 2), np.empty(2 * window + 2)
    decay = np.empty(window + 1)
    for d in range(window + 1):
        decay[d] = math.exp(-d / width)
    for t in range(start.size - 1):
        for i in range(start[t], start[t + 1]):
            count = 0
            total = 0.0
            for j in range(max(i - window, start[t]), min(i + window + 1, start[t + 1])):
                if j != i and x[j] == x[j]:
                    weight = decay[abs(i - j)]
                    sorted_in(values, weights, x[j], weight, count)
                    count += 1
                    total += weight
            out[i] = pick(values, weights, count, prob * total)


@nb.njit(**ALLOCATES)
def pick(values, weights, count, goal):
    """The value at which the running weight reaches `goal`, linear between two of them."""
    if count == 0:
        return math.nan
    reached, before = 0.0, 0.0
    for i in range(count):
        if reached + weights[i] >= goal:
            share = (goal - reached) / weights[i]
            return before + share * (values[i] - before) if i > 0 else values[i] * share
        reached += weights[i]
        before = values[i]
    return values[count - 1]
