"""Black implied volatility of many options, several at a time: nopython, unchecked.

In blocks that stay in the nearest cache: reduce each quote to x = |ln F/K| and its time value, over
min(F, K) = share and over sqrt(F K) = beta; start from the inverse of Bachelier's price at beta,
corrected for s = vol sqrt(T); take two third-order Householder steps on ln b(x, s) = ln share. All
of it is branch-free, so it vectorises. Quotes without a solution, past half their cap, or still
moving in the second step are marked and go through the bracketed scalar solver of `implied`.

Source  as `implied`; the two rationals of the start are ours, fits with errors of 1e-6 and 8e-6.
"""

import math

import numba as nb

from surfaces.kernels.black_lanes import (
    LARGEST,
    SMALL,
    SMALLEST,
    inner,
    odd_series,
    part,
    step_of,
)
from surfaces.kernels.implied import vol_one
from surfaces.kernels.normal import INV_SQRT_2PI, SQRT_2PI, exp, log, log_ratio, mills

ROWS = 12  # of scratch, each black_lanes.BLOCK long
NEAR = 12.0  # x / beta up to which h = x/s <= 1
SETTLED = 1e-4  # share of s below which the second step leaves nothing for a third


@nb.njit(cache=True, error_model="numpy", forceinline=True, fastmath={"contract", "nsz"})
def start(x, inv_beta):
    """s within 1 % for s < 1: the inverse of s [phi(h) - h N(-h)] = beta, then its term in s^2."""
    r = x * inv_beta
    p = 0.0008970483052868072
    p = p * r + 0.05424370006340784
    p = p * r + 0.528793124871566
    p = p * r + 1.3898055813954038
    p = p * r + 1.0000010381320212
    q = 0.004567175224493125
    q = q * r + 0.16312524986568297
    q = q * r + 0.889852305113322
    q = q * r + 1.0
    near = SQRT_2PI * p / (q * inv_beta)
    v = math.sqrt(log(r if r > NEAR else NEAR))
    p = 0.11811986595733848
    p = p * v + 0.4382972458807562
    p = p * v - 1.3208102796128038
    p = p * v + 1.7083608290547427
    p = p * v - 0.46970696987289634
    q = 0.08349914558090321
    q = q * v + 0.313971925032601
    q = q * v - 0.4565926630029531
    q = q * v + 1.0
    s = x * q / p if r > NEAR else near
    h = x / s
    return s + 0.25 * s * s * s / (6.0 + 2.5 * h * h)


@nb.njit(cache=True, error_model="numpy", forceinline=True, fastmath={"contract", "nsz"})
def step(x, inv_share, s):
    """One third-order Householder step in s towards ln b = ln share, b as in `low_objective`."""
    inv = 1.0 / s
    h = x * inv
    t = 0.5 * s
    gap = mills(h - t) - mills(h + t)
    series = odd_series(h, t)
    gap = series if (t < SMALL) & (h * t < 0.75) else gap
    b = INV_SQRT_2PI * exp(-0.5 * (h - t) * (h - t)) * gap
    f = log(b * inv_share)
    slope = 1.0 / gap
    h2 = h * h
    bend = h2 * inv - 0.25 * s
    turn = -3.0 * h2 * inv * inv - 0.25
    first = bend - slope
    second = first * first + turn - slope * first
    newton = -f * gap
    return newton * (1.0 + 0.5 * first * newton) / (1.0 + newton * (first + second * newton / 6.0))


@inner
def reduce(price, w, F, K, T, df, x, inv_beta, inv_share, hard):
    """Fill x = |ln F/K|, 1/beta, 1/share and the marks of what the fast formulas do not cover."""
    for i in range(x.size):
        p = price[i] / df[i]
        big = F[i] if F[i] > K[i] else K[i]
        small = K[i] if F[i] > K[i] else F[i]
        gap = big - small
        back = big - gap  # big - small = gap + lost exactly
        lost = (big - (gap + back)) + (back - small)
        inside = (w[i] > 0.0) == (F[i] > K[i])
        value = (p - gap) - lost if inside else p
        rest = (F[i] if w[i] > 0.0 else K[i]) - p
        inverse = 1.0 / value
        x[i] = log_ratio(big, small)
        inv_beta[i] = math.sqrt(big * small) * inverse
        inv_share[i] = small * inverse
        usual = (abs(w[i]) == 1.0) & (T[i] > 0.0) & (T[i] < math.inf)
        usual = usual & (df[i] > 0.0) & (df[i] < math.inf) & (small > SMALLEST) & (big < LARGEST)
        usual = usual & (value > 0.0) & (value < 1.2 * rest) & (inv_beta[i] < 1e280)
        hard[i] = 0.0 if usual else 1.0


@inner
def solve(x, inv_beta, inv_share, T, hard, vol):
    """Fill vol and mark what did not settle; returns how many are marked."""
    count = 0
    for i in range(x.size):
        s = start(x[i], inv_beta[i])
        s = s + step(x[i], inv_share[i], s)
        last = step(x[i], inv_share[i], s)
        s = s + last
        settled = (abs(last) < SETTLED * s) & (0.5 * s * s - x[i] < s)
        mark = 0 if (hard[i] == 0.0) & settled else 1
        vol[i] = s / math.sqrt(T[i])
        hard[i] = mark
        count += mark
    return count


@nb.njit(cache=True, error_model="numpy")
def fill(price, w, F, K, T, df, rows, vol, status):
    """Write vol and status (uint8) of every quote; False if a right is neither +1 nor -1.

    An argument of size one serves all; `rows` is scratch of shape (ROWS, BLOCK).
    """
    fine = True
    size = vol.size
    width = step_of(size)
    n = min(width, size)
    x, inv_beta, inv_share, hard = rows[0, :n], rows[1, :n], rows[9, :n], rows[2, :n]
    for first in range(0, size, width):
        at = max(min(first, size - width), 0)
        p_, w_ = part(price, at, n, rows[3]), part(w, at, n, rows[4])
        F_, K_ = part(F, at, n, rows[5]), part(K, at, n, rows[6])
        T_, d_ = part(T, at, n, rows[7]), part(df, at, n, rows[8])
        reduce(p_, w_, F_, K_, T_, d_, x, inv_beta, inv_share, hard)
        found, codes = vol[at : at + n], status[at : at + n]
        for i in range(n):
            codes[i] = 0
        if solve(x, inv_beta, inv_share, T_, hard, found) > 0:
            for i in range(n):
                if hard[i] != 0.0:
                    fine &= abs(w_[i]) == 1.0
                    found[i], codes[i] = vol_one(p_[i], w_[i], F_[i], K_[i], T_[i], d_[i])
    return fine
