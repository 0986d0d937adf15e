"""Heston paths by Andersen's quadratic-exponential (QE) scheme with the martingale correction.

A step draws the next variance by moment matching: a shifted squared normal where psi = s^2/m^2 is
at most 1.5, else an atom at zero with an exponential tail, both by inversion of one normal, so
that a bridged low-discrepancy number drives them monotonely. The log forward then moves by

    K0* + K1 v + K2 v' + sqrt(c + K3 v + K4 v') Z,

and K0* = -ln E[exp(A v')] - (K1 + K3/2) v - c/2, A = K2 + K4/2, makes the forward a martingale
exactly. Given the variance path the log forward is normal, so a European option needs no Z at all.

The integral of the variance over a step is taken as tau (v + v') + theta (dt - 2 tau) with
tau = tanh(kappa dt/2)/kappa. For small kappa dt that is Andersen's central dt (v + v')/2; for any
it has the right mean given v, which the trapezoid has not while the variance relaxes.

Source  L. Andersen, J. Computational Finance 11(3) (2008), sections 3.2 and 4.1-4.3; tau is ours.
        The bound in `fill_table` is ours: with r = s^2/m <= sigma^2 (1 - e^-kappa dt)/kappa, the
        squared normal's moment exists when A r < 3/2, the exponential's when A r < 6/5.
"""

import math

import numba as nb

from surfaces.kernels.black import price_one
from surfaces.kernels.compiling import INNER, OUTER
from surfaces.kernels.normal import cdf

PSI_CHANGE = 1.5
COLUMNS = 9  # e^-kappa dt, m at v = 0, s^2 per v, s^2 at v = 0, K1 to K4, c
MOMENT = 1.2


@nb.njit(**INNER)
def decayed(kappa, dt):
    """(1 - exp(-kappa dt)) / kappa, with its limit dt."""
    x = kappa * dt
    return dt if x < 1e-12 else -math.expm1(-x) / kappa


@nb.njit(**OUTER)
def fill_table(times, kappa, theta, sigma, rho, table):
    """Coefficients of every step of `times` (n + 1,) in `table` (n, COLUMNS), rows in time.

    Returns the largest A r / MOMENT of a step: below one the corrected moment exists everywhere.
    """
    worst = 0.0
    for i in range(times.size - 1):
        dt = times[i + 1] - times[i]
        g = decayed(kappa, dt)
        e = math.exp(-kappa * dt)
        tau = g / (1.0 + e)
        drift, left = kappa * rho / sigma - 0.5, 1.0 - rho * rho
        table[i, 0] = e
        table[i, 1] = theta * kappa * g
        table[i, 2] = sigma * sigma * e * g
        table[i, 3] = 0.5 * theta * kappa * sigma * sigma * g * g
        table[i, 4] = tau * drift - rho / sigma
        table[i, 5] = tau * drift + rho / sigma
        table[i, 6] = tau * left
        table[i, 7] = tau * left
        table[i, 8] = theta * max(dt - 2.0 * tau, 0.0) * left
        worst = max(worst, (table[i, 5] + 0.5 * table[i, 7]) * sigma * sigma * g / MOMENT)
    return worst


@nb.njit(**INNER)
def step(v, z, e, m0, s1, s0, a_moment):
    """(next variance, ln E[exp(A v')]) from variance `v` and a standard normal `z`."""
    m = m0 + v * e
    s2 = v * s1 + s0
    if not (m > 0.0 and s2 > 0.0):
        return m, a_moment * m
    psi = s2 / (m * m)
    if psi <= PSI_CHANGE:
        q = 2.0 / psi
        b2 = q - 1.0 + math.sqrt(q) * math.sqrt(q - 1.0)
        a = m / (1.0 + b2)
        root = math.sqrt(b2) + z
        left = 1.0 - 2.0 * a_moment * a
        return a * root * root, a_moment * b2 * a / left - 0.5 * math.log(left)
    p = (psi - 1.0) / (psi + 1.0)
    scale = m / (1.0 - p)
    above = cdf(-z)
    grown = 0.0 if above >= 1.0 - p else scale * math.log((1.0 - p) / above)
    x = a_moment * scale
    return grown, math.log1p((1.0 - p) * x / (1.0 - x))


@nb.njit(**OUTER)
def conditional(z, table, v0, stops, mean, variance):
    """Mean and variance of the log forward given the variance path.

    z (paths, n) standard normals of the variance; stops (m,) steps after which to write, rising,
    the last one n; mean, variance (m, paths).
    """
    for p in range(z.shape[0]):
        v, total, spread, at = v0, 0.0, 0.0, 0
        for i in range(z.shape[1]):
            e, m0, s1, s0 = table[i, 0], table[i, 1], table[i, 2], table[i, 3]
            k2, k3, k4 = table[i, 5], table[i, 6], table[i, 7]
            after, moment = step(v, z[p, i], e, m0, s1, s0, k2 + 0.5 * k4)
            known = table[i, 8] + k3 * v
            total += k2 * after - moment - 0.5 * known
            spread += known + k4 * after
            v = after
            if i + 1 == stops[at]:
                mean[at, p] = total
                variance[at, p] = spread
                at += 1


@nb.njit(**OUTER)
def fill_paths(z, x, table, v0, stops, log_forward, variance):
    """Paths of ln(F_t/F_0) and of the variance at `stops`.

    z, x (paths, n) standard normals of the variance and of the forward; results (paths, m).
    """
    for p in range(z.shape[0]):
        v, total, at = v0, 0.0, 0
        for i in range(z.shape[1]):
            e, m0, s1, s0 = table[i, 0], table[i, 1], table[i, 2], table[i, 3]
            k2, k3, k4 = table[i, 5], table[i, 6], table[i, 7]
            after, moment = step(v, z[p, i], e, m0, s1, s0, k2 + 0.5 * k4)
            spread = table[i, 8] + k3 * v
            noise = math.sqrt(spread + k4 * after) * x[p, i]
            total += k2 * after - moment - 0.5 * spread + noise
            v = after
            if i + 1 == stops[at]:
                log_forward[p, at] = total
                variance[p, at] = v
                at += 1


@nb.njit(**OUTER)
def add_prices(mean, variance, right, forward, strike, stop, price, control):
    """Add to `price` (q,) the options' prices given the variance, summed over the paths, and to
    `control` (m,) the forwards per unit of today's; mean, variance (m, paths); stop (q,) in m."""
    paths = mean.shape[1]
    for j in range(control.size):
        total = 0.0
        for p in range(paths):
            total += math.exp(mean[j, p] + 0.5 * variance[j, p])
        control[j] += total
    for i in range(price.size):
        j, total = stop[i], 0.0
        for p in range(paths):
            F = forward[i] * math.exp(mean[j, p] + 0.5 * variance[j, p])
            total += price_one(right[i], F, strike[i], math.sqrt(variance[j, p]))
        price[i] += total
