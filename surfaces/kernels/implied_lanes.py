"""Black implied volatility of many options, several at a time: nopython, unchecked.

In blocks that stay in the nearest cache: reduce each quote to x = |ln F/K| and its time value, over
min(F, K) = share and over sqrt(F K) = beta; start from the inverse of Bachelier's price at beta,
corrected for s = vol sqrt(T); take two third-order Householder steps on ln b(x, s) = ln share. All
of it is branch-free, so it vectorises. Quotes past half their cap, solved on what is left to it,
and quotes that still move in the second step are gathered and take four more steps side by side.
What has no solution or still moves goes through the bracketed scalar solver of `implied`.

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

ROWS = 16  # of scratch, each black_lanes.BLOCK long
NEAR = 12.0  # x / beta up to which h = x/s <= 1
SETTLED = 1e-4  # share of s below which a step leaves nothing for the next
DONE, NONE, MOVING, HIGH = (
    0.0,
    1.0,
    2.0,
    3.0,
)  # marks: solved, not for lanes, not settled, past half


@nb.njit(cache=True, error_model="numpy", forceinline=True, fastmath={"nsz"})
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


@nb.njit(cache=True, error_model="numpy", forceinline=True, fastmath={"nsz"})
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
def reduce(price, w, F, K, T, df, x, inv_beta, inv_share, inv_rest, mark):
    """Fill x = |ln F/K|, 1/beta, 1/share, 1/(1 - share) and the marks DONE, HIGH or NONE."""
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
        inv_rest[i] = small / rest
        usual = (abs(w[i]) == 1.0) & (T[i] > 0.0) & (T[i] < math.inf)
        usual = usual & (df[i] > 0.0) & (df[i] < math.inf) & (small > SMALLEST) & (big < LARGEST)
        usual = usual & (value > 0.0) & (rest > 0.0) & (inv_beta[i] < 1e280)
        mark[i] = (HIGH if value >= 1.2 * rest else DONE) if usual else NONE


@inner
def solve(x, inv_beta, inv_share, T, mark, s, vol):
    """Fill s and vol, and mark MOVING what did not settle; returns how many are not DONE."""
    count = 0
    for i in range(x.size):
        first = start(x[i], inv_beta[i])
        first = first + step(x[i], inv_share[i], first)
        last = step(x[i], inv_share[i], first)
        at = first + last
        settled = (abs(last) < SETTLED * at) & (0.5 * at * at - x[i] < at)
        now = MOVING if (mark[i] == DONE) & (not settled) else mark[i]
        s[i] = at
        vol[i] = at / math.sqrt(T[i])
        mark[i] = now
        count += 1 if now != DONE else 0
    return count


@nb.njit(cache=True, error_model="numpy", forceinline=True, fastmath={"nsz"})
def start_high(x, inv_rest):
    """s of a price near its cap: 1 - b is about (1 + e^x) N(-s/2)."""
    p = 1.0 / (inv_rest * (1.0 + exp(x)))
    p = 0.5 if p > 0.5 else (1e-300 if p < 1e-300 else p)
    u = math.sqrt(-2.0 * log(p))
    t = u - (2.30753 + 0.27061 * u) / (1.0 + u * (0.99229 + 0.04481 * u))
    low = math.sqrt(0.5 * x)
    t = t if t > low else low
    return 2.0 * (t if t > 1e-3 else 1e-3)


@nb.njit(cache=True, error_model="numpy", forceinline=True, fastmath={"nsz"})
def step_high(x, inv_rest, s):
    """As `step` towards ln(1 - b) = ln(1 - share), as `implied.high_objective` has it."""
    inv = 1.0 / s
    h = x * inv
    t = 0.5 * s
    total = mills(t - h) + mills(t + h)
    left = INV_SQRT_2PI * exp(-0.5 * (h - t) * (h - t)) * total
    slope = 1.0 / total
    h2 = h * h
    bend = h2 * inv - 0.25 * s
    first = bend + slope
    second = first * first - 3.0 * h2 * inv * inv - 0.25 + slope * first
    newton = log(left * inv_rest) * total
    return newton * (1.0 + 0.5 * first * newton) / (1.0 + newton * (first + second * newton / 6.0))


@inner
def more_steps(x, inv_share, s, moved):
    """Four more steps in s; `moved` is the last as a share of s, NaN where the formulas end."""
    for _ in range(4):
        for i in range(x.size):
            last = step(x[i], inv_share[i], s[i])
            at = s[i] + last
            s[i] = at
            moved[i] = abs(last) / at if 0.5 * at * at - x[i] < at else math.nan


@inner
def high_steps(x, inv_rest, s, moved):
    """As `more_steps` for prices past half their cap, from their own start."""
    for i in range(x.size):
        s[i] = start_high(x[i], inv_rest[i])
    for _ in range(4):
        for i in range(x.size):
            last = step_high(x[i], inv_rest[i], s[i])
            at = s[i] + last
            s[i] = at
            moved[i] = abs(last) / at if x[i] - 0.5 * at * at < at else math.nan


@inner
def again(kind, x, inverse, T, mark, rows, s, vol):
    """Gather what is marked `kind`, step on, and scatter what settled; returns how many did."""
    n = 0
    for i in range(x.size):
        if mark[i] == kind:
            rows[11, n], rows[12, n], rows[13, n], rows[14, n] = x[i], inverse[i], s[i], i
            n += 1
    if n == 0:
        return 0
    if kind == HIGH:
        high_steps(rows[11, :n], rows[12, :n], rows[13, :n], rows[15, :n])
    else:
        more_steps(rows[11, :n], rows[12, :n], rows[13, :n], rows[15, :n])
    settled = 0
    for k in range(n):
        if rows[15, k] < SETTLED:
            i = int(rows[14, k])
            vol[i] = rows[13, k] / math.sqrt(T[i])
            mark[i] = DONE
            settled += 1
    return settled


@nb.njit(cache=True, error_model="numpy")
def fill(price, w, F, K, T, df, rows, vol, status):
    """Write vol and status (uint8) of every quote; False if a right is neither +1 nor -1.

    An argument of size one serves all; `rows` is scratch of shape (ROWS, BLOCK).
    """
    fine = True
    size = vol.size
    width = step_of(size)
    n = min(width, size)
    x, inv_beta, inv_share, inv_rest = rows[0, :n], rows[1, :n], rows[9, :n], rows[10, :n]
    mark, s = rows[2, :n], rows[3, :n]
    for first in range(0, size, width):
        at = max(min(first, size - width), 0)
        p_, w_ = part(price, at, n, rows[13]), part(w, at, n, rows[4])
        F_, K_ = part(F, at, n, rows[5]), part(K, at, n, rows[6])
        T_, d_ = part(T, at, n, rows[7]), part(df, at, n, rows[8])
        reduce(p_, w_, F_, K_, T_, d_, x, inv_beta, inv_share, inv_rest, mark)
        found, codes = vol[at : at + n], status[at : at + n]
        for i in range(n):
            codes[i] = 0
        left = solve(x, inv_beta, inv_share, T_, mark, s, found)
        for kind, inverse in ((MOVING, inv_share), (HIGH, inv_rest)):
            if left > 0:
                left -= again(kind, x, inverse, T_, mark, rows, s, found)
        if left > 0:
            for i in range(n):
                if mark[i] != DONE:
                    fine &= abs(w_[i]) == 1.0
                    found[i], codes[i] = vol_one(
                        price[at + i if price.size > 1 else 0], w_[i], F_[i], K_[i], T_[i], d_[i]
                    )
    return fine
