"""Heston and Bates prices and Greeks of many options: nopython, unchecked.

Rows come sorted by time to expiry. The strikes of an expiry share one contour, unless the waves
exp(-iuk) are many before phi has decayed: far strikes of either side have a contour that leans to
where they decay themselves, so that no strike needs more than some hundred nodes.
"""

import math

import numba as nb
import numpy as np

from surfaces.kernels.black import price_one
from surfaces.kernels.compiling import ALLOCATES, INNER, OUTER, keep_apart
from surfaces.kernels.heston_integrals import (
    CHUNK,
    CURVE,
    GRADIENT,
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
from surfaces.kernels.normal import cdf, density

WIDEST = 0.25 * math.pi  # the half angle in which a Gaussian decays
HUMP = 6.0  # twice the logarithm of what an integrand may grow to on the way out
HARD = 8.0  # waves per decay from which a strike gets a leaning contour
DECAYED = 37.0  # -ln TAIL
SWING = 8.0  # b |k| at most: the waves near zero, where no contour leans yet, are to be seen
PACE = 0.43  # step per half angle that needs the fewest nodes where close agreement is asked,
LIGHT_PACE, LIGHT = 0.5, 5e-5  # and where no more than LIGHT is


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
    """Which contour of an expiry a strike is on: 0 the shared one, 1 far calls, -1 far puts.

    A contour that leans towards a strike makes exp(-iuk) decay; phi too if its own waves go the
    same way. Jumps grow on a leaning contour, so they have none.
    """
    if jumping or abs(k + shift) < HARD * c or k * (k + shift) <= 0.0:
        return 0
    return 1 if k > 0.0 else -1


@nb.njit(**INNER)
def contour(k, w, c, shift, jumping):
    """(lean, half angle): the middle and half width of the angles at which all strikes decay.

    Far out exp(-iuk) phi falls on a ray of angle -x if c cos x + (k + shift) sin x > 0, near zero
    if x is within a Gaussian's pi/4.
    """
    low, high = k[0], k[0]
    for i in range(k.size):
        low, high = min(low, k[i]), max(high, k[i])
    least, most = -WIDEST, WIDEST
    if high + shift > 0.0:
        least = max(least, -math.atan(c / (high + shift)))
    if low + shift < 0.0:
        most = min(most, math.atan(-c / (low + shift)))
    lean = 0.0 if jumping else 0.5 * (least + most)
    against = max(-low, 0.0) if lean > 0.0 else max(high, 0.0)
    while (against * math.sin(lean)) ** 2 > HUMP * w * math.cos(2.0 * lean):
        lean *= 0.5
    return lean, min(most - lean, lean - least)


@nb.njit(**ALLOCATES)
def workspace(n):
    """Scratch of `expiry` for up to n strikes."""
    few, sides, reach = np.empty(n), np.empty(n, np.int64), np.empty(2 * WIDTH)
    table, at = np.zeros((2, CHUNK, 2 * WIDTH)), np.empty((4, CHUNK))
    return few, sides, np.empty((n, 2 * WIDTH)), np.empty((n, 2 * WIDTH)), reach, table, at


@nb.njit(**INNER)
def pace(within):
    """Step per half angle: the error of a rule falls like exp(-2 pi / pace)."""
    return PACE if within < LIGHT else LIGHT_PACE


@nb.njit(**INNER)
def expiry(p, years, w, k, level, within, work, sums):
    """The integrals of one expiry's strikes `k` into `sums`; NaN where the rules do not agree."""
    keep_apart()
    few, sides, part, more, reach, table, at = work
    c, shift = decay(years, w, p)
    b = scale(years, w, p[1], p[3], p[4])
    jumping = p[5] != 0.0
    for i in range(k.size):
        sides[i] = side(k[i], c, shift, jumping)
    for which in range(-1, 2):
        count = 0
        for i in range(k.size):
            if sides[i] == which:
                few[count] = k[i]
                count += 1
        if count == 0:
            continue
        lean, half = contour(few[:count], w, c, shift, jumping)
        far = 0.0
        for i in range(count):
            far = max(far, abs(few[i]))
        near = min(b, SWING / far) if far > 0.0 else b
        _, fine = integrate(
            p, years, w, few[:count], level, within, pace(within) * half, near, lean, table, at,
            part[:count], more[:count], reach,
        )  # fmt: skip
        count = 0
        for i in range(k.size):
            if sides[i] == which:
                for m in range(2 * WIDTH):
                    sums[i, m] = part[count, m] if fine else math.nan
                count += 1


@nb.njit(**INNER)
def prices(right, F, K, T, df, w, sums):
    """The price from its integral, between its bounds."""
    if not w > 0.0:
        return df * max(right * (F - K), 0.0)
    value = price_one(right, F, K, math.sqrt(w)) + math.sqrt(F * K) * sums[PRICE]
    least, most = max(right * (F - K), 0.0), F if right > 0.0 else K
    return df * (min(max(value, least), most) if not math.isnan(value) else value)


@nb.njit(**INNER)
def finish(right, F, K, T, df, w, p, sums, level, row):
    """What `level` has of the engine's NAMES, from one option's integrals."""
    keep_apart()
    v0, theta = p[0], p[2]
    live = w > 0.0
    rate = -math.log(df) / T if T > 0.0 else 0.0
    unit = df * math.sqrt(F * K)
    lean = unit / F
    root, far = math.sqrt(v0), math.sqrt(theta)
    by_v0, by_theta = unit * sums[V0], unit * sums[THETA]
    price = prices(right, F, K, T, df, w, sums)
    row[0] = price
    if level == PRICES:
        return
    s = math.sqrt(w)
    d1 = math.log(F / K) / s + 0.5 * s if live else math.inf * (F - K)
    near = right * cdf(right * d1) if F != K or live else 0.5 * right
    delta = df * near + lean * (0.5 * sums[PRICE] + sums[SLOPE])
    row[1] = delta
    row[3] = rate * price - unit * sums[YEARS]
    row[4] = -T * price
    row[5] = 2.0 * root * by_v0
    row[6] = 2.0 * (root * by_v0 + far * by_theta)
    row[10] = (price - F * delta) / K
    row[12] = by_v0
    row[13] = unit * sums[KAPPA]
    row[14] = by_theta
    row[15] = unit * sums[SIGMA]
    row[16] = unit * sums[RHO]
    if level == GRADIENT:
        return
    bell = df * density(d1) / (F * s) if live else 0.0
    gamma = bell + lean / F * sums[CURVE]
    row[2] = gamma
    row[7] = 2.0 * root * lean * (0.5 * sums[V0] + sums[V0_SLOPE])
    row[8] = 2.0 * by_v0 + 4.0 * v0 * unit * sums[V0_V0]
    row[9] = rate * delta - lean * (0.5 * sums[YEARS] + sums[YEARS_SLOPE])
    row[11] = gamma * (F / K) * (F / K) / df
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
    k, sums, row = np.empty(n), np.zeros((n, 2 * WIDTH)), np.empty(where.size)
    work = workspace(n)
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
            expiry(p, T, w, k[:m], level, within, work, sums)
        for j in range(m):
            i = order[first + j]
            finish(right[i], forward[i], strike[i], T, df[i], w, p, sums[j], level, row)
            failed += math.isnan(row[0])
            for g in range(where.size):
                if where[g] >= 0:
                    out[where[g], i] = row[g]
        first = last
    return failed
