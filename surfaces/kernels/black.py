"""Black-76 in scalars: nopython, no checks, no allocation. Call through surfaces.pricing.black.

The out-of-the-money leg is always the one computed, as min(F, K) phi(h-t) [M(h-t) - M(h+t)] with
h = |ln F/K| / s, t = s/2 and M the Mills ratio, and the in-the-money price is intrinsic plus it. So
a price of 1e-200 has as many good digits as one of 10, and parity holds to the last rounding.

`w` is +1 for a call and -1 for a put, `s` is vol * sqrt(years).
"""

import math

import numba as nb

from surfaces.kernels.normal import INV_SQRT_2PI, cdf, density, mills

# Past these, N(-z) is below the smallest double.
FAR = 39.0


@nb.njit(cache=True, error_model="numpy")
def log_moneyness(F, K):
    """|ln F/K| with relative accuracy near F = K, where the plain quotient has lost it."""
    low = min(F, K)
    gap = max(F, K) - low
    if gap < 0.5 * low:
        return math.log1p(gap / low)
    ratio = max(F, K) / low
    return math.log(ratio) if ratio < math.inf else math.log(max(F, K)) - math.log(low)


@nb.njit(cache=True, error_model="numpy")
def mills_gap(h, t):
    """M(h - t) - M(h + t) for 0 <= t, and t <= h unless t < 0.5, without cancelling.

    For small t the difference of two Mills ratios cancels. Its odd Taylor series does not: all
    terms are integrals of positive functions, I_n = int_0^inf u^n exp(-h u - u^2/2) du, with
    I_0 = M(h), I_1 = 1 - h M(h), I_(n+1) = n I_(n-1) - h I_n. What 1 - h M(h) loses at large h,
    a relative h^2 eps, is what the price's exponent exp(-h^2/2) loses to the rounding of h anyway.
    """
    if t >= 0.5 or h * t >= 0.75:
        return mills(h - t) - mills(h + t)
    even = mills(h)
    odd = 1.0 - h * even
    power = 2.0 * t
    total = power * odd
    n = 1
    while n < 25:
        even = n * even - h * odd
        odd = (n + 1) * odd - h * even
        power *= t * t / ((n + 1) * (n + 2))
        term = power * odd
        total += term
        if not abs(term) > 1e-18 * total:
            break
        n += 2
    return total


@nb.njit(cache=True, error_model="numpy")
def otm_one(F, K, s):
    """Undiscounted price of whichever of call and put is out of the money; F, K, s > 0."""
    h = log_moneyness(F, K) / s
    t = 0.5 * s
    low = min(F, K)
    if h - t > FAR:
        return 0.0
    if t - h > FAR:
        return low
    if t > h and t >= 0.5:
        # Past the inflection the price is closer to its cap than to zero: take the gap to the cap.
        rest = density(t - h) * mills(t - h) * low + density(h + t) * mills(h + t) * max(F, K)
        return max(low - rest, 0.0)
    return low * INV_SQRT_2PI * math.exp(-0.5 * (h - t) * (h - t)) * mills_gap(h, t)


@nb.njit(cache=True, error_model="numpy")
def price_one(w, F, K, s):
    """Undiscounted price. The limits s -> 0, F -> 0 and K -> 0 are intrinsic, not NaN."""
    intrinsic = max(w * (F - K), 0.0)
    if not (s > 0.0 and F > 0.0 and K > 0.0):
        return intrinsic
    return intrinsic + otm_one(F, K, s)


@nb.njit(cache=True, error_model="numpy")
def greeks_one(w, F, K, T, vol, df):
    """The numbers of `surfaces.pricing.greeks`, with respect to the forward."""
    return forward_greeks(w, F, K, T, vol, df, -math.log(df) / T if T > 0.0 else 0.0)


@nb.njit(cache=True, error_model="numpy")
def forward_greeks(w, F, K, T, vol, df, rate):
    """As `greeks_one` for a known rate, df = exp(-rate T).

    Where vol*sqrt(T) is zero there is no curvature: gamma and the rest are zero, also at F = K,
    where the true gamma is infinite; delta and vega at F = K are the limits s -> 0.
    """
    s = vol * math.sqrt(T)
    price = df * price_one(w, F, K, s)
    rho = -T * price
    if not (s > 0.0 and F > 0.0 and K > 0.0):
        moneyness = w * (F - K)
        n1 = 1.0 if moneyness > 0.0 else (0.5 if moneyness == 0.0 and F > 0.0 else 0.0)
        delta = df * w * n1
        vega = df * F * INV_SQRT_2PI * math.sqrt(T) if moneyness == 0.0 else 0.0
        theta, charm = rate * price, rate * delta
        n2 = 1.0 if moneyness > 0.0 else (0.5 if moneyness == 0.0 else 0.0)
        dual = -df * w * n2
        return price, delta, 0.0, vega, theta, rho, 0.0, 0.0, charm, 0.0, 0.0, 0.0, dual, 0.0
    x = log_moneyness(F, K)
    d1 = (x if F > K else -x) / s + 0.5 * s
    d2 = d1 - s
    root = math.sqrt(T)
    phi = density(d1)
    delta = df * w * cdf(w * d1)
    gamma = df * phi / (F * s)
    vega = df * F * phi * root
    theta = rate * price - 0.5 * vega * vol / T
    vanna = -df * phi * d2 / vol
    volga = vega * d1 * d2 / vol
    charm = rate * delta + 0.5 * df * phi * d2 / T
    speed = -gamma / F * (1.0 + d1 / s)
    zomma = gamma * (d1 * d2 - 1.0) / vol
    color = rate * gamma + 0.5 * gamma * (1.0 - d1 * d2) / T
    dual = -df * w * cdf(w * d2)
    pdf = density(d2) / (K * s)
    third = speed, zomma, color
    return price, delta, gamma, vega, theta, rho, vanna, volga, charm, *third, dual, pdf


@nb.njit(cache=True, error_model="numpy")
def spot_greeks_one(w, S, K, T, vol, r, q):
    """Greeks with respect to spot at constant rate and yield, by the chain rule on the forward."""
    b = r - q
    A = math.exp(b * T)
    F = S * A
    row = forward_greeks(w, F, K, T, vol, math.exp(-r * T), r)
    price, delta, gamma, vega, theta, rho, vanna, volga, charm, speed, zomma, color = row[:12]
    slide = b * F  # dF/dT at constant spot
    return (
        price,
        A * delta,
        A * A * gamma,
        vega,
        theta - slide * delta,
        rho + T * F * delta,
        A * vanna,
        volga,
        A * (charm - slide * gamma - b * delta),
        A * A * A * speed,
        A * A * zomma,
        A * A * (color - slide * speed - 2.0 * b * gamma),
        row[12],
        row[13],
    )
