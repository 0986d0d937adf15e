"""Put-call parity in nopython: near pairs, a robust forward, a robust line, every slice of a chain.

Pairs are 1-D arrays of equal length: strike, `gap` = C - P free of premium, `half` its half width,
`sd` its error, `lean` its growth per 1.00 of rate. Call through `surfaces.curves.parity`, which
says what the numbers mean; unchecked here, small scratch arrays apart nothing is allocated.
"""

import math

import numba as nb
import numpy as np

from surfaces.kernels.compiling import ALLOCATES, OUTER

HUBER = 1.5  # standard errors
ROUNDS = 5
BELIEF = 12.0  # pairs that the spreads' own word on their error is worth
NEAR_AMERICAN = 12
NEAR_EUROPEAN = 200
NEAR_SLOPE = 24  # American pairs that say something of the rate
MOST_LEANING = 0.9
TIE = 1e-12  # USD
WIDE = 2.5  # times the spread of the tightest pairs: protective quotes, whose mids agree on nothing
TIGHTEST = 8  # one pair in so many is among the tightest
LOPSIDED = 0.05  # half spreads by which mids above the forward may be off against those below
NO_LEVER = 1e-12  # of the moment of the strikes: all at one place
LINE = 10  # what `robust_line` writes
FIELDS = 9  # of one slice, see `surfaces.curves.parity.ChainParity`


@nb.njit(**ALLOCATES)
def refine_order(values, order):
    """Sort the indices `order` by `values`, ties left as they stand: a bottom-up merge sort."""
    n = order.size
    spare = np.empty(n, np.int64)
    width = 1
    while width < n:
        for start in range(0, n, 2 * width):
            middle, stop = min(start + width, n), min(start + 2 * width, n)
            i, j = start, middle
            for at in range(start, stop):
                if i < middle and (j >= stop or values[order[i]] <= values[order[j]]):
                    spare[at] = order[i]
                    i += 1
                else:
                    spare[at] = order[j]
                    j += 1
        for at in range(n):
            order[at] = spare[at]
        width *= 2


@nb.njit(**ALLOCATES)
def weighted_median(values, sd):
    """The first value at which half of the weight 1/sd^2 is reached."""
    n = values.size
    order = np.empty(n, np.int64)
    total = 0.0
    for i in range(n):
        order[i] = i
    refine_order(values, order)
    for i in range(n):
        total += 1.0 / (sd[order[i]] * sd[order[i]])
    reached = 0.0
    for i in range(n):
        reached += 1.0 / (sd[order[i]] * sd[order[i]])
        if reached >= 0.5 * total:
            return values[order[i]]
    return values[order[n - 1]]


@nb.njit(**OUTER)
def nearest(strike, gap, sd, df, count):
    """Rising indices of the `count` pairs nearest the forward their weighted median points at.

    Ties go to the lower strike, so the order of the input does not matter.
    """
    n = strike.size
    order = np.empty(n, np.int64)
    for i in range(n):
        order[i] = i
    if n <= count:
        return order
    away = np.empty(n)
    for i in range(n):
        away[i] = strike[i] + gap[i] / df
    centre = weighted_median(away, sd)
    for i in range(n):
        away[i] = abs(strike[i] - centre)
    refine_order(strike, order)
    refine_order(away, order)
    chosen = np.zeros(n, np.bool_)
    for i in range(count):
        chosen[order[i]] = True
    at = 0
    for i in range(n):
        if chosen[i]:
            order[at] = i
            at += 1
    return order[:count]


@nb.njit(**OUTER)
def tight(near, sd):
    """Those of the indices `near` whose error is at most `WIDE` times that of the tightest eighth.

    Wide quotes are not only vaguer: a market maker who steps back moves all their mids to one side.
    """
    n = near.size
    order = near.copy()
    refine_order(sd, order)
    most = WIDE * sd[order[n // TIGHTEST]]
    at = 0
    for i in range(n):
        if sd[near[i]] <= most:
            order[at] = near[i]
            at += 1
    return order[:at]


@nb.njit(**ALLOCATES)
def take(values, where):
    """values[where], which costs half a second more to compile when written so."""
    out = np.empty(where.size)
    for i in range(where.size):
        out[i] = values[where[i]]
    return out


@nb.njit(**ALLOCATES)
def huber(standardised):
    """Weight of a residual: one up to `HUBER` errors, falling as its inverse beyond."""
    size = abs(standardised)
    return 1.0 if size <= HUBER else HUBER / size


@nb.njit(**ALLOCATES)
def scale_of(chi2, freedom):
    """Factor on an error bar given the reduced chi-square of its residuals."""
    if chi2 >= 1.0:
        return math.sqrt(chi2)
    freedom = max(freedom, 0)
    return math.sqrt((chi2 * freedom + BELIEF) / (freedom + BELIEF))


@nb.njit(**OUTER)
def robust_forward(strike, gap, half, sd, df, out):
    """Robust weighted mean of K + (C - P)/df; `out`: forward, its error, share inside."""
    n = strike.size
    each = np.empty(n)
    error = np.empty(n)
    weight = np.empty(n)
    for i in range(n):
        each[i] = strike[i] + gap[i] / df
        error[i] = sd[i] / df
    value = weighted_median(each, error)
    total = 0.0
    for _ in range(ROUNDS):
        total, moment = 0.0, 0.0
        for i in range(n):
            weight[i] = huber((each[i] - value) / error[i]) / (error[i] * error[i])
            total += weight[i]
            moment += weight[i] * each[i]
        value = moment / total
    chi2 = 0.0
    inside = 0
    for i in range(n):
        chi2 += weight[i] * (each[i] - value) ** 2
        inside += abs(gap[i] - df * (value - strike[i])) <= half[i] + TIE
    out[0] = value
    out[1] = scale_of(chi2 / max(n - 1, 1), n - 1) / math.sqrt(total)
    out[2] = inside / n


@nb.njit(**ALLOCATES)
def robust_line(strike, gap, half, sd, df_prior, df_sd, middle, out):
    """Robust line of C - P on K - `middle` with the prior df ~ N(df_prior, df_sd^2).

    `out`: forward, its error, df, its error, share inside; then without the prior: df and its error
    (infinite if the strikes do not tell), the error of the forward were df known, the mean gap, and
    the error of that df were all mids above the forward off against those below.
    False, and nothing written, when the slope is no discount factor.
    """
    n = strike.size
    weight = np.empty(n)
    prior = 1.0 / max(df_sd, 1e-12) ** 2
    intercept, df = 0.0, df_prior
    s0, s1, s2 = 0.0, 0.0, 0.0
    for _ in range(ROUNDS):
        s0, s1, s2, g0, g1 = 0.0, 0.0, 0.0, 0.0, 0.0
        for i in range(n):
            x = strike[i] - middle
            weight[i] = huber((gap[i] - intercept + df * x) / sd[i]) / (sd[i] * sd[i])
            s0 += weight[i]
            s1 += weight[i] * x
            s2 += weight[i] * x * x
            g0 += weight[i] * gap[i]
            g1 += weight[i] * x * gap[i]
        # [[s0, -s1], [-s1, s2 + prior]] (intercept, df) = (g0, prior df_prior - g1)
        lean = s1 / s0
        df = (prior * df_prior - g1 + lean * g0) / (s2 + prior - lean * s1)
        intercept = (g0 + s1 * df) / s0
    chi2 = 0.0
    inside = 0
    for i in range(n):
        left = gap[i] - intercept + df * (strike[i] - middle)
        chi2 += weight[i] * left * left
        inside += abs(left) <= half[i] + TIE
    if not 0.2 < df < 2.0:
        return False
    scale = scale_of(chi2 / max(n - 2, 1), n - 2)
    lean = s1 / s0
    # The prior's own error does not scale. Inverse of the matrix above, by its Schur complement.
    told = s2 - lean * s1
    own = scale * scale / (told + prior * scale * scale)
    shift = intercept / df
    variance = (scale * scale / s0 + own * (lean - shift) ** 2) / (df * df)
    out[0] = middle + shift
    out[1] = math.sqrt(max(variance, 0.0))
    out[2] = df
    out[3] = math.sqrt(own)
    out[4] = inside / n
    out[5], out[6], out[9] = df_prior, math.inf, 0.0
    if told > NO_LEVER * s2:
        tilt = 0.0
        for i in range(n):
            tilt += weight[i] * half[i] * abs(strike[i] - middle - lean)
        out[5] = (lean * g0 - g1) / told
        out[6] = scale / math.sqrt(told)
        out[9] = LOPSIDED * tilt / told
    out[7] = scale / math.sqrt(s0) / df
    out[8] = g0 / s0
    return True


@nb.njit(**OUTER)
def line(strike, gap, half, sd, df_prior, df_sd, out):
    """`robust_line` about the forward at the prior; where it fails, that forward with error 0."""
    near = nearest(strike, gap, sd, df_prior, min(NEAR_AMERICAN, strike.size))
    guess = np.empty(3)
    robust_forward(
        take(strike, near), take(gap, near), take(half, near), take(sd, near), df_prior, guess
    )
    if robust_line(strike, gap, half, sd, df_prior, df_sd, guess[0], out):
        return True
    out[0], out[1], out[2], out[3], out[4] = guess[0], guess[1], df_prior, 0.0, guess[2]
    out[5], out[6], out[7], out[8], out[9] = df_prior, math.inf, guess[1], 0.0, 0.0
    return False


@nb.njit(**OUTER)
def slope_rate(strike, gap, half, sd, lean, df_prior, years, out):
    """Rate, its error, the leaning and the tilt of near American pairs into `out`; see the wrapper.

    False with fewer than four pairs, or when the premia hide too much of a change of rate.
    """
    n = strike.size
    found = np.empty(LINE)
    if n < 4 or not line(strike, gap, half, sd, df_prior, 1e3, found) or found[6] == math.inf:
        return False
    total, centre = 0.0, 0.0
    for i in range(n):
        weight = 1.0 / (sd[i] * sd[i])
        total += weight
        centre += weight * strike[i]
    centre /= total
    together, spread = 0.0, 0.0
    for i in range(n):
        weight = 1.0 / (sd[i] * sd[i])
        away = strike[i] - centre
        together += weight * away * lean[i]
        spread += weight * away * away
    leaning = together / spread / (df_prior * years)
    if leaning > MOST_LEANING:
        return False
    assumed = -math.log(df_prior) / years
    seen = -math.log(found[5]) / years - assumed
    share = 1.0 - max(leaning, 0.0)
    out[0] = assumed + seen / share
    out[1] = found[6] / (found[5] * years) / share
    out[2] = 1.0 - share
    out[3] = found[9] / (found[5] * years) / share
    return True


@nb.njit(**ALLOCATES)
def weighted_mean(values, sd):
    """Mean of `values` with weights 1/sd^2."""
    total, moment = 0.0, 0.0
    for i in range(values.size):
        weight = 1.0 / (sd[i] * sd[i])
        total += weight
        moment += weight * values[i]
    return moment / total


@nb.njit(**ALLOCATES)
def gather(low, high, call, put, strike, bid, ask, premium, by_rate, pairs):
    """Pairs low to high with a market: strike, gap, half, sd, lean in the rows of `pairs`, from
    the first column on; returns how many."""
    n = 0
    for i in range(low, high):
        c, p = call[i], put[i]
        call_bid, call_ask = bid[c] - premium[c], ask[c] - premium[c]
        put_bid, put_ask = bid[p] - premium[p], ask[p] - premium[p]
        call_half, put_half = 0.5 * (call_ask - call_bid), 0.5 * (put_ask - put_bid)
        gap = 0.5 * (call_ask + call_bid) - 0.5 * (put_ask + put_bid)
        sd = math.sqrt((call_half * call_half + put_half * put_half) / 3.0)
        if call_half > 0.0 and put_half > 0.0 and abs(gap) < math.inf and sd < math.inf:
            pairs[0, n] = strike[c]
            pairs[1, n] = gap
            pairs[2, n] = call_half + put_half
            pairs[3, n] = sd
            pairs[4, n] = by_rate[p] - by_rate[c]
            n += 1
    return n


@nb.njit(**OUTER)
def imply(
    start, call, put, strike, bid, ask, premium, by_rate, american, years, df, df_sd, learn, out
):
    """Parity of every slice into the rows of `out` (m, FIELDS), whose NaN stay where it is mute.

    `call` and `put`: chain rows of the pairs of slice j at start[j]:start[j + 1]. `df` is given for
    an American slice and a prior with error `df_sd` for a European one. `learn`: rates as well.
    """
    pairs = np.empty((5, call.size))
    found = np.empty(LINE)
    for j in range(start.size - 1):
        n = gather(start[j], start[j + 1], call, put, strike, bid, ask, premium, by_rate, pairs)
        if n == 0:
            continue
        count = NEAR_SLOPE if american[j] else NEAR_EUROPEAN
        near = nearest(pairs[0, :n], pairs[1, :n], pairs[3, :n], df[j], count)
        near = tight(near, pairs[3])
        k, gap = take(pairs[0], near), take(pairs[1], near)
        half, sd, lean = take(pairs[2], near), take(pairs[3], near), take(pairs[4], near)
        if american[j]:
            if learn and slope_rate(k, gap, half, sd, lean, df[j], years[j], found):
                out[j, 5], out[j, 6] = found[0], found[1]
                out[j, 7], out[j, 8] = found[2], found[3]
            few = nearest(k, gap, sd, df[j], NEAR_AMERICAN)
            gap, sd, lean = take(gap, few), take(sd, few), take(lean, few)
            robust_forward(take(k, few), gap, take(half, few), sd, df[j], found)
            out[j, 0], out[j, 1], out[j, 2], out[j, 3] = found[0], found[1], df[j], found[2]
            through = weighted_mean(lean, sd) + weighted_mean(gap, sd) * years[j]
            out[j, 4] = through / df[j]
        else:
            line(k, gap, half, sd, df[j], df_sd[j], found)
            out[j, 0], out[j, 1], out[j, 2], out[j, 3] = found[0], found[7], found[2], found[4]
            out[j, 4] = found[8] * years[j] / found[2]
            if found[5] > 0.0 and found[6] < math.inf:
                out[j, 5] = -math.log(found[5]) / years[j]
                out[j, 6] = found[6] / (found[5] * years[j])
                out[j, 7], out[j, 8] = 0.0, found[9] / (found[5] * years[j])
