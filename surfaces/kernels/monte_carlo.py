"""Brownian bridges and local-volatility paths.

The bridge puts the end of a path on the first number, its middle on the second, and so on, so that
the best dimensions of a low-discrepancy sequence carry most of the variance.

A local-volatility step is the derivative-free scheme of weak order two for one noise,
    X' = X + mu + s Z + q (Z^2 - 1),   b = vol(X, t+), b+- = vol(X - b^2 dt/2 +- b sqrt(dt), t'-),
t+ just after the start of the step and t'- just before its end, should the vol jump there, and
    s = (2b + b+ + b-) sqrt(dt)/4 + (b-^2 - b+^2) dt/8,   q = (b+ - b-) sqrt(dt)/4,
with mu such that E[exp(X' - X)] = 1 exactly: forwards are repriced whatever the step.

Source  P. Kloeden, E. Platen, Numerical Solution of SDEs (1992), eq. 15.1.1 (explicit weak order
        2.0); mu in place of its drift is ours. Bridge: R. Caflisch, W. Morokoff, A. Owen,
        J. Computational Finance 1(1) (1997).
"""

import math

import numba as nb
import numpy as np

from surfaces.kernels.compiling import INNER, OUTER

MOST_CURVATURE = 0.2  # of q: below a half, where the moment of Z^2 ends


@nb.njit(**OUTER)
def plan_bridge(times, place, left, right, weight, deviation):
    """Order in which the n points of `times` (n + 1,) are filled, widest gap first.

    Point place[j] lies between the points left[j] and right[j], filled before; weight[j] is the
    share of the left one, deviation[j] what the j-th normal is multiplied by.
    """
    n = times.size - 1
    place[0], left[0], right[0], weight[0] = n, 0, 0, 1.0
    deviation[0] = math.sqrt(times[n] - times[0])
    low, high = np.zeros(n, np.int64), np.zeros(n, np.int64)  # gaps still to halve, first in first
    head, tail, j = 0, 0, 1
    if n > 1:
        low[0], high[0], tail = 0, n, 1
    while head < tail:
        a, b = low[head], high[head]
        head += 1
        m = (a + b + 1) // 2
        place[j], left[j], right[j] = m, a, b
        span = times[b] - times[a]
        weight[j] = (times[b] - times[m]) / span
        deviation[j] = math.sqrt((times[m] - times[a]) * (times[b] - times[m]) / span)
        j += 1
        if m - a > 1:
            low[tail], high[tail] = a, m
            tail += 1
        if b - m > 1:
            low[tail], high[tail] = m, b
            tail += 1


@nb.njit(**OUTER)
def bridge(z, times, place, left, right, weight, deviation, out):
    """Standardised increments (paths, n) of the Brownian path whose bridge numbers are `z`."""
    n = times.size - 1
    w = np.zeros(n + 1)
    root = np.empty(n)
    for i in range(n):
        root[i] = 1.0 / math.sqrt(times[i + 1] - times[i])
    for p in range(z.shape[0]):
        w[n] = deviation[0] * z[p, 0]
        for j in range(1, n):
            share = weight[j]
            middle = share * w[left[j]] + (1.0 - share) * w[right[j]]
            w[place[j]] = middle + deviation[j] * z[p, j]
        for i in range(n):
            out[p, i] = (w[i + 1] - w[i]) * root[i]


@nb.njit(**INNER)
def vol_at(k, years, vol, row, share, x):
    """Vol at x: linear in k and between the rows `row` and `row + 1` of `years`, flat outside."""
    n = k.size
    if x <= k[0] or n == 1:
        i, t = 0, 0.0
    elif x >= k[n - 1]:
        i, t = n - 2, 1.0
    else:
        low, high = 0, n - 1
        while high - low > 1:
            middle = (low + high) // 2
            if k[middle] <= x:
                low = middle
            else:
                high = middle
        i = low
        t = (x - k[i]) / (k[i + 1] - k[i])
    j = min(i + 1, n - 1)
    here = vol[row, i] + t * (vol[row, j] - vol[row, i])
    if share == 0.0:
        return here
    there = vol[row + 1, i] + t * (vol[row + 1, j] - vol[row + 1, i])
    return here + share * (there - here)


@nb.njit(**INNER)
def row_at(years, time):
    """(row, share of the next) for a time; flat outside."""
    n = years.size
    if n == 1 or time <= years[0]:
        return 0, 0.0
    if time >= years[n - 1]:
        return n - 1, 0.0
    i = 0
    while years[i + 1] <= time:
        i += 1
    return i, (time - years[i]) / (years[i + 1] - years[i])


@nb.njit(**OUTER)
def fill_local_vol(z, times, first, last, years, k, vol, stops, log_forward):
    """Paths of ln(F_t/F_0) at `stops`; z (paths, n), vol (nt, nk), result (paths, m).

    first, last (n,): the times at which a step reads the vol, at its start and at its end.
    """
    n = times.size - 1
    row, share = np.empty((2, n), np.int64), np.empty((2, n))
    for i in range(n):
        row[0, i], share[0, i] = row_at(years, first[i])
        row[1, i], share[1, i] = row_at(years, last[i])
    for p in range(z.shape[0]):
        x, at = 0.0, 0
        for i in range(n):
            dt = times[i + 1] - times[i]
            root = math.sqrt(dt)
            b = vol_at(k, years, vol, row[0, i], share[0, i], x)
            middle = x - 0.5 * b * b * dt
            up = vol_at(k, years, vol, row[1, i], share[1, i], middle + b * root)
            down = vol_at(k, years, vol, row[1, i], share[1, i], middle - b * root)
            s = 0.25 * (2.0 * b + up + down) * root + 0.125 * (down * down - up * up) * dt
            q = min(0.25 * (up - down) * root, MOST_CURVATURE)
            left = 1.0 - 2.0 * q
            mu = q + 0.5 * math.log(left) - 0.5 * s * s / left
            x += mu + s * z[p, i] + q * (z[p, i] * z[p, i] - 1.0)
            if i + 1 == stops[at]:
                log_forward[p, at] = x
                at += 1


@nb.njit(**OUTER)
def pair(z, out):
    """Increments over two equal steps: out[p, i] = (z[p, 2i] + z[p, 2i + 1]) / sqrt(2)."""
    half = math.sqrt(0.5)
    for p in range(out.shape[0]):
        for i in range(out.shape[1]):
            out[p, i] = half * (z[p, 2 * i] + z[p, 2 * i + 1])


@nb.njit(**OUTER)
def add_payoffs(log_forward, right, forward, strike, stop, price, control):
    """Add to `price` (q,) the options' payoffs, summed over the paths, and to `control` (m,) the
    forwards per unit of today's; log_forward (paths, m); stop (q,) in m."""
    paths = log_forward.shape[0]
    for j in range(control.size):
        total = 0.0
        for p in range(paths):
            total += math.exp(log_forward[p, j])
        control[j] += total
    for i in range(price.size):
        j, total = stop[i], 0.0
        for p in range(paths):
            total += max(right[i] * (forward[i] * math.exp(log_forward[p, j]) - strike[i]), 0.0)
        price[i] += total
