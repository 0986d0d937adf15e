"""Black implied volatility in scalars: nopython, no checks, no allocation.

The quote is reduced to its out-of-the-money option (time value, exact through an error-free
difference), in units of its cap min(F, K), and to x = |ln F/K|. Then one of

    ln b(x, s) = ln share              below about half of the cap
    ln(1 - b(x, s)) = ln(1 - share)    above

is solved for s = vol * sqrt(T) by third-order Householder steps inside a bracket. In logarithms the
problem is nearly linear in 1/s^2, so a seed within a factor of two needs three or four steps.

Source  the two-sided log objective is P. Jaeckel's, Let's be rational, Wilmott (2015); the Mills
        form of the price is J. Choi, J. Huh, N. Su, arXiv 2302.08758. Seeds are ours.
"""

import math

import numba as nb

from surfaces.kernels.black import log_moneyness, mills_gap
from surfaces.kernels.normal import INV_SQRT_2PI, cdf, mills
from surfaces.status import Status

OK = int(Status.OK)
BELOW_INTRINSIC = int(Status.BELOW_INTRINSIC)
ABOVE_BOUND = int(Status.ABOVE_BOUND)
NO_VEGA = int(Status.NO_VEGA)
NOT_CONVERGED = int(Status.NOT_CONVERGED)
BAD_INPUT = int(Status.BAD_INPUT)

MAX_STEPS = 60
LOG_INV_SQRT_2PI = -0.9189385332046727
SQRT_2PI = 2.5066282746310002


@nb.njit(cache=True, error_model="numpy")
def quantile(p):
    """N^-1(p) for 0 < p <= 0.5 to about 1e-3, good enough to start from."""
    u = math.sqrt(-2.0 * math.log(p))
    return -(u - (2.30753 + 0.27061 * u) / (1.0 + u * (0.99229 + 0.04481 * u)))


@nb.njit(cache=True, error_model="numpy")
def seed_low(x, beta, log_beta):
    """Start for prices below half the cap: Bachelier's near the money, exp(-h^2/2) in the wing."""
    if beta > 0.08 * x:
        return SQRT_2PI * (beta + 0.5 * x)
    # h = x/s solves h^2/2 + t^2/2 = ln(gap(h, t) / sqrt(2 pi)) - ln beta; gap falls like 1/h^3.
    target = LOG_INV_SQRT_2PI - log_beta
    floor = math.sqrt(0.5 * x)  # h = t: the inflection of the price in s
    h = max(floor, 1.0, math.sqrt(2.0 * max(target + math.log(x), 0.0)))
    for _ in range(3):
        t = 0.5 * x / h
        miss = 0.5 * (h * h + t * t) - target - math.log(mills_gap(h, t))
        h = max(h - miss / (h + 2.0 / h), floor, 0.5 * h)
    return x / h


@nb.njit(cache=True, error_model="numpy")
def seed_high(x, rest):
    """Start for prices near the cap: 1 - b is about (1 + e^x) N(-s/2)."""
    p = rest / (1.0 + math.exp(min(x, 700.0)))
    t = -quantile(min(max(p, 1e-300), 0.5))
    return 2.0 * max(t, math.sqrt(0.5 * x), 1e-3)


@nb.njit(cache=True, error_model="numpy")
def low_objective(x, s, share, log_share):
    """ln(b/share) and d ln b / ds; the vega in it is exactly 1/gap, so nothing underflows.

    b = phi(h - t) [M(h - t) - M(h + t)]: of the exponent (h^2 + t^2)/2 the large part h t = x/2 is
    in the unit of price, not in the rounding.
    """
    h = x / s
    t = 0.5 * s
    expo = -0.5 * (h - t) * (h - t)
    if t > h and t >= 0.5:
        unit = INV_SQRT_2PI * math.exp(expo)
        b = 1.0 - unit * (mills(t - h) + mills(t + h))
        slope = unit / b
    else:
        gap = mills_gap(h, t)
        slope = 1.0 / gap
        if expo < -600.0 or log_share < -600.0:
            return expo + LOG_INV_SQRT_2PI + math.log(gap) - log_share, slope
        b = INV_SQRT_2PI * math.exp(expo) * gap
    ratio = b / share
    if 0.5 < ratio < 2.0:
        return math.log1p((b - share) / share), slope
    return math.log(ratio), slope


@nb.njit(cache=True, error_model="numpy")
def high_objective(x, s, rest):
    """-ln((1 - b)/rest) and its slope, both increasing in s like the low objective's."""
    h = x / s
    t = 0.5 * s
    expo = -0.5 * (h - t) * (h - t)
    if t >= h:
        total = mills(t - h) + mills(t + h)
        slope = 1.0 / total
        if expo < -600.0:
            return -(expo + LOG_INV_SQRT_2PI + math.log(total) - math.log(rest)), slope
        c = INV_SQRT_2PI * math.exp(expo) * total
    else:
        unit = INV_SQRT_2PI * math.exp(expo)
        c = cdf(h - t) + unit * mills(h + t)
        slope = unit / c
    ratio = c / rest
    if 0.5 < ratio < 2.0:
        return -math.log1p((c - rest) / rest), slope
    return -math.log(ratio), slope


@nb.njit(cache=True, error_model="numpy")
def total_vol(x, share, log_share, rest):
    """(s, converged) with b(x, s) = share; `rest` is 1 - share without cancellation.

    `log_share` comes separately because the share itself may underflow.
    """
    use_low = share < 1.2 * rest
    if use_low:
        s = seed_low(x, share * math.exp(-0.5 * x), log_share - 0.5 * x)
    else:
        s = seed_high(x, rest)
    low, high = 0.0, math.inf
    for _ in range(MAX_STEPS):
        if use_low:
            f, slope = low_objective(x, s, share, log_share)
        else:
            f, slope = high_objective(x, s, rest)
        if f == 0.0:
            return s, True
        if f < 0.0:
            low = s
        else:
            high = s
        h2 = (x / s) * (x / s)
        bend = h2 / s - 0.25 * s  # d ln(vega) / ds
        turn = -3.0 * h2 / (s * s) - 0.25
        sign = -slope if use_low else slope
        first = bend + sign
        second = first * first + turn + sign * (bend + sign)
        newton = -f / slope
        step = newton * (1.0 + 0.5 * first * newton)
        below = 1.0 + newton * (first + second * newton / 6.0)
        step = step / below if below > 0.0 else newton
        if not (abs(step) < 0.7 * s and step * newton > 0.0):
            step = math.copysign(min(abs(newton), 0.7 * s), newton)
        new = s + step
        if abs(step) < 1e-5 * s:
            return new, True
        if not low < new < high:
            new = 0.5 * (low + high) if high < math.inf else 2.0 * s
            if new == s or not low < new < high:
                return s, True
        s = new
    return s, False


@nb.njit(cache=True, error_model="numpy")
def vol_one(price, w, F, K, T, df):
    """(vol, status) of one discounted price; vol is NaN unless the status is OK.

    One exception: an out-of-the-money price of exactly zero gives vol 0 with NO_VEGA, because zero
    is a true lower bound for the vol of an option nobody bids for.
    """
    good = F > 0.0 and K > 0.0 and T > 0.0 and df > 0.0 and abs(price) < math.inf
    if not (good and max(F, K, T, df) < math.inf):
        return math.nan, BAD_INPUT
    p = price / df
    cap, gap = (F, F - K) if w > 0.0 else (K, K - F)
    if p >= cap:
        return math.nan, ABOVE_BOUND
    if gap > 0.0:
        # F - K = gap + lost exactly: what rounding took from the difference goes back in.
        big, small = max(F, K), min(F, K)
        back = big - gap
        lost = (big - (gap + back)) + (back - small)
        value = (p - gap) - lost
        if value <= 0.0:
            return math.nan, NO_VEGA if value == 0.0 else BELOW_INTRINSIC
    else:
        value = p
        if value <= 0.0:
            return (0.0, NO_VEGA) if value == 0.0 else (math.nan, BELOW_INTRINSIC)
    low = min(F, K)
    share = value / low
    log_share = math.log(share) if share > 1e-290 else math.log(value) - math.log(low)
    # The cap less the price is the same for the option and for its out-of-the-money twin.
    s, done = total_vol(log_moneyness(F, K), share, log_share, (cap - p) / low)
    if not done:
        return math.nan, NOT_CONVERGED
    return s / math.sqrt(T), OK
