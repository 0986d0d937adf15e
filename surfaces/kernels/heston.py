"""Heston and Bates prices and Greeks of many options: nopython, unchecked.

Rows come sorted by time to expiry. The strikes of an expiry share one straight contour, unless the
waves exp(-iuk) are many before phi has decayed: far strikes of either side have a contour that
leans to where they decay themselves, so that no strike needs more than some hundred nodes.
"""

import math

import numba as nb
import numpy as np

from surfaces.kernels.black import greeks_one, price_one
from surfaces.kernels.compiling import INNER, OUTER
from surfaces.kernels.heston_integrals import (
    CHUNK,
    CURVE,
    KAPPA,
    MEAN,
    PRICE,
    PRICES,
    RATE,
    RHO,
    SIGMA,
    SLOPE,
    STD,
    THETA,
    V0,
    V0_SLOPE,
    V0_V0,
    WIDTH,
    YEARS,
    YEARS_SLOPE,
    integrate,
)

WIDEST = 0.25 * math.pi  # the half angle in which a Gaussian decays
HARD = 8.0  # waves per decay from which a strike gets a leaning contour
DECAYED = 37.0  # -ln TAIL
PACE = 0.45  # step per half angle at which the first two rules usually agree


@nb.njit(**INNER)
def mean_variance(years, v0, kappa, theta):
    """E of the integral of variance, without loss of digits at kappa -> 0."""
    x = kappa * years
    share = -math.expm1(-x) / x if x > 0.0 else 1.0
    return years * (theta + (v0 - theta) * share)


@nb.njit(**INNER)
def lifetime(p, kappa, sigma, rho):
    """When the moment E S^p becomes infinite, in years (Andersen and Piterbarg 2007, Prop. 3.1)."""
    pull = rho * sigma * p - kappa
    inside = pull * pull - sigma * sigma * p * (p - 1.0)
    if inside >= 0.0:
        if pull <= 0.0:
            return math.inf
        width = math.sqrt(inside)
        return math.log((pull + width) / (pull - width)) / width if width > 0.0 else 2.0 / pull
    width = math.sqrt(-inside)
    return 2.0 / width * math.atan2(width, pull)


@nb.njit(**INNER)
def scale(years, w, kappa, sigma, rho):
    """b: the width of phi, but no more than keeps exploding moments out of the strip."""
    b = 1.5 / math.sqrt(w)
    while b > 0.5:
        reach = 0.75 * b
        low = lifetime(0.5 - reach, kappa, sigma, rho)
        if min(low, lifetime(0.5 + reach, kappa, sigma, rho)) > years:
            return b
        b *= 0.7
    return 0.5


@nb.njit(**INNER)
def variance(years, p):
    """w: what the control is given; jumps are in it."""
    jump = p[5] * years * (p[6] * p[6] + p[7] * p[7])
    return mean_variance(years, p[0], p[1], p[2]) + jump


@nb.njit(**INNER)
def decay(years, w, p):
    """(c, shift): far out |phi| falls like exp(-c u), and its waves are exp(-i u shift)."""
    v0, kappa, theta, sigma, rho = p[0], p[1], p[2], p[3], p[4]
    gauss = DECAYED / math.sqrt(2.0 * DECAYED / w)
    if sigma == 0.0:
        return gauss, 0.0
    reach = (v0 + kappa * theta * years) / sigma
    tail = math.sqrt(1.0 - rho * rho) * reach
    if tail >= gauss:
        return gauss, 0.0
    return tail, rho * reach


@nb.njit(**INNER)
def side(k, c, shift, jumping):
    """(which contour of an expiry: 0 straight, 1 for far calls, -1 for far puts; waves per decay).

    A contour that leans towards a strike makes exp(-iuk) decay; phi too if its own waves go the
    same way. Jumps grow on a leaning contour, so they have none.
    """
    waves = abs(k + shift) / c
    if jumping or waves < HARD or k * (k + shift) <= 0.0:
        return 0, waves
    return (1 if k > 0.0 else -1), waves


@nb.njit(**INNER)
def expiry(p, years, w, k, level, within, table, at, few, sides, waves, part, more, reach, sums):
    """The integrals of one expiry's strikes `k` into `sums`; NaN where the rules do not agree.

    few, waves: (strikes,); sides: (strikes,) integers; part, more: (strikes, 2 WIDTH); reach:
    (2 WIDTH,): scratch.
    """
    c, shift = decay(years, w, p)
    b = scale(years, w, p[1], p[3], p[4])
    for i in range(k.size):
        sides[i], waves[i] = side(k[i], c, shift, p[5] != 0.0)
    for which in range(-1, 2):
        count, most = 0, 1e-3
        for i in range(k.size):
            if sides[i] == which:
                few[count] = k[i]
                count += 1
                most = max(most, waves[i])
        if count == 0:
            continue
        half, lean = min(WIDEST, math.atan(1.0 / most)), 0.0
        if which != 0:
            lean = 0.5 * (WIDEST - half) * which
            half = 0.5 * (WIDEST + half)
        step = PACE * half
        _, fine = integrate(
            p,
            years,
            w,
            few[:count],
            level,
            within,
            step,
            b,
            lean,
            table,
            at,
            part[:count],
            more[:count],
            reach,
        )
        count = 0
        for i in range(k.size):
            if sides[i] == which:
                for m in range(2 * WIDTH):
                    sums[i, m] = part[count, m] if fine else math.nan
                count += 1


@nb.njit(**INNER)
def prices(right, F, K, T, df, w, sums):
    """The price from its integral, between its bounds."""
    value = price_one(right, F, K, math.sqrt(w)) + math.sqrt(F * K) * sums[PRICE]
    least, most = max(right * (F - K), 0.0), F if right > 0.0 else K
    return df * (min(max(value, least), most) if value == value else value)


@nb.njit(**INNER)
def finish(right, F, K, T, df, w, p, sums, row):
    """All of NAMES in `surfaces.pricing.heston` from the integrals of one option."""
    v0, theta = p[0], p[2]
    live = w > 0.0
    plain = greeks_one(right, F, K, T, math.sqrt(w / T) if live else 0.0, df)
    rate = -math.log(df) / T if T > 0.0 else 0.0
    unit = df * math.sqrt(F * K)
    lean = unit / F
    price = prices(right, F, K, T, df, w, sums) if live else plain[0]
    delta = plain[1] + lean * (0.5 * sums[PRICE] + sums[SLOPE])
    gamma = plain[2] + lean / F * sums[CURVE]
    root, level = math.sqrt(v0), math.sqrt(theta)
    by_v0, by_theta = unit * sums[V0], unit * sums[THETA]
    row[0] = price
    row[1] = delta
    row[2] = gamma
    row[3] = rate * price - unit * sums[YEARS]
    row[4] = -T * price
    row[5] = 2.0 * root * by_v0
    row[6] = 2.0 * (root * by_v0 + level * by_theta)
    row[7] = 2.0 * root * lean * (0.5 * sums[V0] + sums[V0_SLOPE])
    row[8] = 2.0 * by_v0 + 4.0 * v0 * unit * sums[V0_V0]
    row[9] = rate * delta - lean * (0.5 * sums[YEARS] + sums[YEARS_SLOPE])
    row[10] = (price - F * delta) / K
    row[11] = gamma * (F / K) * (F / K) / df
    row[12] = by_v0
    row[13] = unit * sums[KAPPA]
    row[14] = by_theta
    row[15] = unit * sums[SIGMA]
    row[16] = unit * sums[RHO]
    row[17] = unit * sums[RATE]
    row[18] = unit * sums[MEAN]
    row[19] = unit * sums[STD]


@nb.njit(**OUTER)
def fill(p, level, within, order, right, forward, strike, years, df, where, out):
    """Write wanted rows of Greeks to `out`, (wanted, n); returns how many options have none.

    p: the five parameters and the jumps' rate, mean and std; order: rows sorted by years; where:
    for each Greek its row of `out` or -1.
    """
    n = order.size
    k, few, waves, sides = np.empty(n), np.empty(n), np.empty(n), np.empty(n, np.int64)
    table, at = np.zeros((2, CHUNK, 2 * WIDTH)), np.empty((4, CHUNK))
    sums, part = np.zeros((n, 2 * WIDTH)), np.zeros((n, 2 * WIDTH))
    more = np.zeros((n, 2 * WIDTH))
    reach, row = np.empty(2 * WIDTH), np.empty(where.size)
    first, failed = 0, 0
    while first < n:
        T = years[order[first]]
        last = first
        while last < n and years[order[last]] == T:
            i = order[last]
            k[last - first] = math.log(strike[i] / forward[i])
            last += 1
        m = last - first
        w = variance(T, p)
        sums[:m, :] = 0.0
        if w > 0.0:
            expiry(
                p, T, w, k[:m], level, within, table, at, few, sides, waves, part, more,
                reach, sums,
            )  # fmt: skip
        for j in range(m):
            i = order[first + j]
            if level == PRICES:
                live = w > 0.0
                row[0] = (
                    prices(right[i], forward[i], strike[i], T, df[i], w, sums[j])
                    if live
                    else df[i] * max(right[i] * (forward[i] - strike[i]), 0.0)
                )
            else:
                finish(right[i], forward[i], strike[i], T, df[i], w, p, sums[j], row)
            failed += not row[0] == row[0]
            for g in range(where.size):
                if where[g] >= 0:
                    out[where[g], i] = row[g]
        first = last
    return failed
