"""Bachelier's normal model: prices, Greeks, implied vols; nopython, no checks, no allocation.

With s = vol sqrt(T) in USD and h = |F - K| / s, the out-of-the-money price is s phi(h) A(h), where
A(h) = 1 - h M(h) and M is the Mills ratio. A falls like 1/h^2, so the difference is never taken: A
and M are two rationals with one denominator Q, M = (Q - R) / (h Q), and no negative coefficient. A
price of 1e-280 has as many good digits as one of 10.

Implied vol solves ln(phi(h) A(h) / h) = ln(price / |F - K|) for ln h, whose slope is -1/A(h) with
A < 1: the vol is never less exact, relatively, than the price. A rational start within 3.3e-6 and
one step of fourth order leave rounding only.

Source  L. Bachelier, Ann. Sci. ENS 17 (1900) 21-86; the reduction to the price over the distance to
        the strike is P. Jaeckel's, Implied normal volatility, Wilmott (2017). The rationals are
        ours: fits to 80-digit values, relative errors 2.6e-17 (A and M) and 3.3e-6 (the start).

Only polynomials are fused ("contract"): sums of two products would be fused one way in a loop's
vectors and another in its remainder, and a row's last bit would depend on its place in the batch.
"""

import math

import numba as nb

from surfaces.kernels.normal import SQRT_2PI, density, log, log_ratio
from surfaces.status import Status

OK = int(Status.OK)
BELOW_INTRINSIC = int(Status.BELOW_INTRINSIC)
NO_VEGA = int(Status.NO_VEGA)
NOT_CONVERGED = int(Status.NOT_CONVERGED)
BAD_INPUT = int(Status.BAD_INPUT)

BLOCK = 256
FAR = 64.0  # standard deviations past which every density is zero
NEAR = 1e-8  # distance over price below which the straight line through F = K is exact
SMALLEST, LARGEST = 1e-285, 1e285  # of price over distance, on the fast path
TINY = 1e-140  # vol sqrt(T) and T below which there is no curvature
LOG_INV_SQRT_2PI = -0.9189385332046727
MAX_STEPS = 20
STATES = 7


@nb.njit(cache=True, error_model="numpy", forceinline=True, fastmath={"contract", "nsz"})
def tails(h):
    """(A(h), M(h)) for 0 <= h; past FAR the values at FAR.

    The first coefficient is one number, rounded to three neighbours: a product that two polynomials
    shared would be fused into neither, but into the one of a loop that needs no other.
    """
    h = FAR if h > FAR else h
    p = 2.3378620603652145e-07
    p = p * h + 7.187147138041357e-06
    p = p * h + 0.00011146328419584787
    p = p * h + 0.001128196651845204
    p = p * h + 0.008189890451819908
    p = p * h + 0.04447177876135216
    p = p * h + 0.18360768599214913
    p = p * h + 0.5754237448114342
    p = p * h + 1.34224393172539
    p = p * h + 2.2260772199868333
    p = p * h + 2.3774750438413585
    p = p * h + 1.2533141373155001
    a = 2.337862060365215e-07
    a = a * h + 7.187147138041336e-06
    a = a * h + 0.00011099571178378689
    a = a * h + 0.0011138223575664656
    a = a * h + 0.007969301745792535
    a = a * h + 0.04228725690799467
    a = a * h + 0.16832523871946423
    a = a * h + 0.49723027338941295
    a = a * h + 1.0488449947287262
    a = a * h + 1.4415210546624955
    a = a * h + 1.0
    q = 2.3378620603652147e-07
    q = q * h + 7.187147138041357e-06
    q = q * h + 0.0001116970704018844
    q = q * h + 0.0011353837989832455
    q = q * h + 0.008300886163603693
    q = q * h + 0.04558560111891862
    q = q * h + 0.19157698773794168
    q = q * h + 0.6177110017194288
    q = q * h + 1.5105691704448543
    q = q * h + 2.7233074933762462
    q = q * h + 3.4263200385700845
    q = q * h + 2.6948351919779956
    q = q * h + 1.0
    inverse = 1.0 / q
    return a * inverse, p * inverse


@nb.njit(cache=True, error_model="numpy", forceinline=True)
def price_one(w, F, K, s):
    """Undiscounted price; s = vol sqrt(T) in USD. The limit s -> 0 is intrinsic."""
    gap = w * (F - K)
    h = abs(gap) / s if s > 0.0 else FAR
    a, _ = tails(h)
    return (gap if gap > 0.0 else 0.0) + s * density(h) * a


@nb.njit(cache=True, error_model="numpy")
def fill_price(w, F, K, T, vol, df, out):
    """Write price[i] into `out`; all arguments are 1-D and equally long."""
    for i in range(out.size):
        out[i] = df[i] * price_one(w[i], F[i], K[i], vol[i] * math.sqrt(T[i]))


@nb.njit(cache=True, error_model="numpy")
def common(w, F, K, T, vol, df, d, weight, per_s, per_t, rate, price, delta):
    """Fill the last seven with what Greeks share: signed h, df phi, 1/s, 1/(2T), r, V and dV/dF.

    Without vol sqrt(T) the factors 1/s and 1/(2T) are zero, and with them all curvature.
    """
    for i in range(d.size):
        s = vol[i] * math.sqrt(T[i])
        alive = (s > TINY) & (T[i] > TINY)
        gap = F[i] - K[i]
        edge = FAR if gap > 0.0 else (-FAR if gap < 0.0 else 0.0)
        x = gap / (s if s > 0.0 else 1.0)
        x = x if (s > 0.0) & (abs(x) < FAR) else edge
        h = abs(x)
        a, m = tails(h)
        phi = density(h)
        tail = phi * m
        inside = w[i] * gap > 0.0
        t = T[i] if T[i] > TINY else 1.0
        d[i] = x
        weight[i] = df[i] * phi
        per_s[i] = 1.0 / s if alive else 0.0
        per_t[i] = 0.5 / t if alive else 0.0
        rate[i] = -log(df[i]) / t if T[i] > TINY else 0.0
        price[i] = df[i] * ((abs(gap) if inside else 0.0) + s * phi * a)
        delta[i] = df[i] * w[i] * (1.0 - tail if inside else tail)


@nb.njit(cache=True, error_model="numpy")
def store(T, vol, df, d, weight, per_s, per_t, rate, price, delta, at, out):
    """Write the Greeks of a block into the columns of `out` from `at` on, a loop a row."""
    n = d.size
    for i in range(n):
        out[0, at + i] = price[i]
    for i in range(n):
        out[1, at + i] = delta[i]
    for i in range(n):
        out[2, at + i] = weight[i] * per_s[i]
    for i in range(n):
        out[3, at + i] = weight[i] * math.sqrt(T[i])
    for i in range(n):
        out[4, at + i] = rate[i] * price[i] - weight[i] * math.sqrt(T[i]) * vol[i] * per_t[i]
    for i in range(n):
        out[5, at + i] = -T[i] * price[i]
    for i in range(n):
        out[6, at + i] = -weight[i] * d[i] * per_s[i] * math.sqrt(T[i])
    for i in range(n):
        out[7, at + i] = weight[i] * d[i] * d[i] * per_s[i] * T[i]
    for i in range(n):
        out[8, at + i] = rate[i] * delta[i] + weight[i] * d[i] * per_t[i]
    for i in range(n):
        out[9, at + i] = -weight[i] * d[i] * per_s[i] * per_s[i]
    for i in range(n):
        out[10, at + i] = weight[i] * per_s[i] * (d[i] * d[i] - 1.0) * per_s[i] * math.sqrt(T[i])
    for i in range(n):
        out[11, at + i] = weight[i] * per_s[i] * (rate[i] - (d[i] * d[i] - 1.0) * per_t[i])
    for i in range(n):
        out[12, at + i] = -delta[i]
    for i in range(n):
        out[13, at + i] = weight[i] * per_s[i] / df[i]


@nb.njit(cache=True, error_model="numpy")
def fill_greeks(w, F, K, T, vol, df, scratch, out):
    """Write the numbers of `surfaces.pricing.greeks` of option i into out[:, i].

    They are with respect to the forward; `out` has shape (14, n), `scratch` (7, BLOCK). Where
    vol sqrt(T) is zero, gamma and the rest are zero, also at F = K, where the true gamma is
    infinite; delta and vega at F = K are the limits.
    """
    for at in range(0, out.shape[1], BLOCK):
        n = min(BLOCK, out.shape[1] - at)
        to = at + n
        d, weight, per_s, per_t = scratch[0, :n], scratch[1, :n], scratch[2, :n], scratch[3, :n]
        rate, price, delta = scratch[4, :n], scratch[5, :n], scratch[6, :n]
        T_, vol_, df_ = T[at:to], vol[at:to], df[at:to]
        common(
            w[at:to], F[at:to], K[at:to], T_, vol_, df_, d, weight, per_s, per_t, rate, price, delta
        )
        store(T_, vol_, df_, d, weight, per_s, per_t, rate, price, delta, at, out)


@nb.njit(cache=True, error_model="numpy", forceinline=True)
def reduced(price, w, F, K, df):
    """(out-of-the-money price, |F - K|, signed distance into the money), undiscounted.

    F - K = gap + lost exactly, so what rounding takes from an in-the-money price goes back in.
    """
    gap = F - K
    back = gap - F
    lost = (F - (gap - back)) - (K + back)
    value = price / df
    inside = w * (gap + lost)
    value = (value - w * gap) - w * lost if inside > 0.0 else value
    return value, abs(gap + lost), inside


@nb.njit(cache=True, error_model="numpy", forceinline=True, fastmath={"contract", "nsz"})
def start(log_one_plus):
    """First h for ln(1 + |F - K| / price)."""
    y = math.sqrt(log_one_plus)
    p = 0.0022061820651310252
    p = p * y + 0.0021399833220556884
    p = p * y + 0.007038517194187647
    p = p * y + 0.060060634025566884
    p = p * y - 0.07230171235638859
    p = p * y + 0.39894018144650645
    q = 0.001559683461820252
    q = q * y + 0.0015785751499243512
    q = q * y + 0.013968462723150016
    q = q * y + 0.014019297896359218
    q = q * y + 0.15185051261053778
    q = q * y - 0.18141589602005853
    q = q * y + 1.0
    return log_one_plus * p / q


@nb.njit(cache=True, error_model="numpy", forceinline=True)
def step(h, a, miss):
    """Change of ln h that removes `miss` from ln(phi A / h): Householder's third order."""
    square = 1.0 + h * h
    k = 1.0 - square * a
    newton = a * miss
    first = k / a
    second = (square * k - 2.0 * h * h * a) / a + 2.0 * first * first
    return (
        newton
        * (1.0 + 0.5 * first * newton)
        / (1.0 + newton * (first + second * newton * (1.0 / 6.0)))
    )


@nb.njit(cache=True, error_model="numpy")
def vol_one(price, w, F, K, T, df):
    """(vol, status) of one discounted price, wherever it lies; see `fill_vol` for the fast path.

    An out-of-the-money price of exactly zero gives vol 0 with NO_VEGA, a true lower bound.
    """
    good = 0.0 < T < math.inf and 0.0 < df < math.inf and abs(price) < math.inf
    if not (good and abs(F) < math.inf and abs(K) < math.inf):
        return math.nan, BAD_INPUT
    value, gap, inside = reduced(price, w, F, K, df)
    if not value > 0.0:
        if value == 0.0:
            return (math.nan if inside > 0.0 else 0.0), NO_VEGA
        return math.nan, BELOW_INTRINSIC
    if not (value < math.inf and gap < math.inf):  # their difference or quotient overflows
        return math.nan, BAD_INPUT
    if gap <= NEAR * value:
        return SQRT_2PI * (value + 0.5 * gap) / math.sqrt(T), OK
    target = math.log(value) - math.log(gap)
    h = start(math.log1p(math.exp(-target)) if target > -600.0 else -target)
    for _ in range(MAX_STEPS):
        a, _ = tails(h)
        miss = math.log(a / h) - 0.5 * h * h + LOG_INV_SQRT_2PI - target
        move = step(h, a, miss)
        h *= math.exp(move)
        if abs(move) < 1e-5:
            return gap / h / math.sqrt(T), OK
    return math.nan, NOT_CONVERGED


@nb.njit(cache=True, error_model="numpy")
def fill_fast(price, w, F, K, T, df, vol, status):
    """Vols of ordinary quotes, several at a time; status OK or NOT_CONVERGED, for a closer look."""
    count = 0
    for i in range(vol.size):
        value, gap, _ = reduced(price[i], w[i], F[i], K[i], df[i])
        r = value / gap
        v = gap / value
        sound = (r > SMALLEST) & (r < LARGEST) & (value < LARGEST) & (T[i] > 0.0) & (df[i] > 0.0)
        sound = sound & (T[i] < LARGEST) & (df[i] < LARGEST)
        u = 1.0 + (v if sound else 1.0)
        h = start(v * (1.0 - 0.5 * v) if v < 1e-5 else log(u))
        a, _ = tails(h)
        miss = log_ratio(density(h) * a, h * r)
        move = step(h, a, miss)
        h = h * (1.0 + move * (1.0 + move * (0.5 + move * (1.0 / 6.0))))
        s = SQRT_2PI * (value + 0.5 * gap) if v < NEAR else gap / h
        vol[i] = s / math.sqrt(T[i])
        status[i] = OK if sound else NOT_CONVERGED
        count += 0 if sound else 1
    return count


@nb.njit(cache=True, error_model="numpy")
def fill_vol(price, w, F, K, T, df, vol, status):
    """Write vol[i] and status[i] (uint8); all arguments are 1-D and equally long."""
    if fill_fast(price, w, F, K, T, df, vol, status) > 0:
        for i in range(vol.size):
            if status[i] != OK:
                vol[i], status[i] = vol_one(price[i], w[i], F[i], K[i], T[i], df[i])
