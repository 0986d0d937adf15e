"""A curve of rates from noisy readings in nopython: a Gaussian process with errors in common.

Call through `surfaces.curves.carry.rate_curve`, which says what the numbers mean; unchecked here.
Source  H. Rauch, F. Tung, C. Striebel, AIAA Journal 3 (1965) 1445-1450: the smoother; Huber's
        weights, then their squares.
"""

import math

import numba as nb
import numpy as np

from surfaces.kernels.compiling import ALLOCATES, OUTER

ROUNDS = 6


@nb.njit(**ALLOCATES)
def smooth(clock, reading, noise, scale, memory, value, sd):
    """Posterior of a curve and its error at m points of rising `clock` into `value`, `sd`.

    The curve is scale z(clock), z stationary with mean zero, variance one and correlation
    exp(-|difference| / memory); `reading` of it has error `noise`, infinite where there is none.
    A Kalman filter forth and back.
    """
    m = clock.size
    z, v = 0.0, 1.0
    for j in range(m):  # `value`, `sd`: mean and variance of z given the readings so far
        if j > 0:
            keep = math.exp(-(clock[j] - clock[j - 1]) / memory)
            z, v = keep * z, keep * keep * v + 1.0 - keep * keep
        if noise[j] < math.inf:
            gain = v / (v + (noise[j] / scale[j]) ** 2)
            z += gain * (reading[j] / scale[j] - z)
            v *= 1.0 - gain
        value[j], sd[j] = z, v
    for j in range(m - 1, -1, -1):
        if j < m - 1:
            keep = math.exp(-(clock[j + 1] - clock[j]) / memory)
            before = keep * keep * sd[j] + 1.0 - keep * keep
            back = keep * sd[j] / before if before > 0.0 else 0.0
            z = value[j] + back * (z - keep * value[j])
            v = sd[j] + back * back * (v - before)
        value[j], sd[j] = z, v
    for j in range(m):
        value[j] *= scale[j]
        sd[j] = scale[j] * math.sqrt(max(sd[j], 0.0))


@nb.njit(**ALLOCATES)
def merge(gap, weight, shared, mean, noise, tilt):
    """One reading a point out of r, by `weight` = 1 / error^2: `mean`, `noise`, and `tilt` (p, m)
    of what is shared."""
    m, r = gap.shape
    for j in range(m):
        total = 0.0
        mean[j] = 0.0
        tilt[:, j] = 0.0
        for i in range(r):
            total += weight[j, i]
            mean[j] += weight[j, i] * gap[j, i]
            for a in range(tilt.shape[0]):
                tilt[a, j] += weight[j, i] * shared[a, j, i]
        noise[j] = 1.0 / math.sqrt(total) if total > 0.0 else math.inf
        if total > 0.0:
            mean[j] /= total
            for a in range(tilt.shape[0]):
                tilt[a, j] /= total


@nb.njit(**ALLOCATES)
def invert(matrix, inverse):
    """Gauss-Jordan inverse of a small positive definite matrix, which is spoilt."""
    n = matrix.shape[0]
    for i in range(n):
        for j in range(n):
            inverse[i, j] = 1.0 if i == j else 0.0
    for i in range(n):
        pivot = matrix[i, i]
        for j in range(n):
            matrix[i, j] /= pivot
            inverse[i, j] /= pivot
        for k in range(n):
            if k != i:
                factor = matrix[k, i]
                for j in range(n):
                    matrix[k, j] -= factor * matrix[i, j]
                    inverse[k, j] -= factor * inverse[i, j]


@nb.njit(**OUTER)
def curve(clock, scale, gap, error, shared, memory, loud, out):
    """Curve and its error into `out` (2, m) from r readings a point with p mistakes in common.

    `gap`, `error` (m, r), infinite where there is none; `shared` (p, m, r) per standard error of a
    mistake u ~ N(0, 1). With y = curve + shared u + noise and S = Cov(curve + noise), S^-1 a =
    (a - smoothed a) / error^2 gives the posterior of u, and the curve is linear in it. Readings
    beyond `loud` errors from curve and mistakes are weighed down.
    """
    m, r = gap.shape
    p = shared.shape[0]
    weight, mean, noise = np.empty((m, r)), np.empty(m), np.empty(m)
    tilt, spread, spare = np.empty((p, m)), np.empty((p, m)), np.empty(m)
    certain, inverse, told, u = np.empty((p, p)), np.empty((p, p)), np.empty(p), np.zeros(p)
    for turn in range(ROUNDS):
        for j in range(m):
            for i in range(r):
                left = gap[j, i] - out[0, j] if turn > 0 else 0.0
                for a in range(p):
                    left -= shared[a, j, i] * u[a]
                size = abs(left) / error[j, i]
                less = 1.0 if size <= loud else loud / size
                if 2 * turn >= ROUNDS:
                    less *= less
                weight[j, i] = less / (error[j, i] * error[j, i])
        merge(gap, weight, shared, mean, noise, tilt)
        for a in range(p):
            smooth(clock, tilt[a], noise, scale, memory, spread[a], spare)
        smooth(clock, mean, noise, scale, memory, out[0], out[1])
        for a in range(p):
            told[a] = 0.0
            for b in range(p):
                certain[a, b] = 1.0 if a == b else 0.0
            for j in range(m):
                for i in range(r):
                    known = shared[a, j, i] * weight[j, i]
                    told[a] += known * (gap[j, i] - out[0, j])
                    for b in range(p):
                        certain[a, b] += known * (shared[b, j, i] - spread[b, j])
        invert(certain, inverse)
        for a in range(p):
            u[a] = 0.0
            for b in range(p):
                u[a] += inverse[a, b] * told[b]
        for j in range(m):
            variance = out[1, j] * out[1, j]
            for a in range(p):
                out[0, j] -= spread[a, j] * u[a]
                for b in range(p):
                    variance += spread[a, j] * inverse[a, b] * spread[b, j]
            out[1, j] = math.sqrt(max(variance, 0.0))
