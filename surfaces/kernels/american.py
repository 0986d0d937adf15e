"""American options on a continuous yield in scalars: nopython, no checks, no allocation.

Price = European + premium, and the premium is an integral over the exercise boundary B(tau):

    premium = int_0^T [ r K e^(-r t) N(-d-(t, S/B)) - q S e^(-q t) N(-d+(t, S/B)) ] dt     (put)

with t the time until exercise and B taken at T - t left; a call is a put with S and K, r and q
swapped. Options with two boundaries are in `surfaces.kernels.american_double`.

Source  see `surfaces.kernels.american_boundary`.
"""

import math

import numba as nb

from surfaces.kernels.american_boundary import CALM, INNER, B, income, lean_cdf, set_boundary

TINY = 1e-5  # sigma sqrt(T) below which only the moment of exercise matters, not chance


@nb.njit(cache=True, error_model="numpy")
def regime(w, r, q):
    """0: never exercised early; 1: one boundary; 2: two boundaries."""
    rate, other = (q, r) if w > 0.0 else (r, q)  # what exercising early earns interest at
    if rate > 0.0:
        return 1
    if other >= rate:
        return 0
    return 1 if rate == 0.0 else 2


@nb.njit(cache=True, error_model="numpy")
def is_hard(T, sigma, r, q):
    """Whether the usual number of points is too small: measured where errors begin to grow.

    Much interest until expiry, a wide distribution, or a drift that leaves nothing to chance.
    """
    if max(abs(r), abs(q)) * T > 0.4:
        return True
    root = math.sqrt(T)
    return sigma * root > 2.5 or abs(r - q) * root > 12.0 * sigma


@nb.njit(cache=True, error_model="numpy")
def form_of(w, sigma, r, q):
    """Which fixed point to iterate, 1.0 for A and 0.0 for B; r and q change places for a call."""
    rate, other = (q, r) if w > 0.0 else (r, q)
    return 1.0 if 2.0 * max(rate, rate - other) < CALM * sigma * sigma else 0.0


@nb.njit(cache=True, error_model="numpy")
def sure_value(w, S, K, T, r, q):
    """Best fixed moment of exercise if spot grew surely: the limit sigma -> 0, else a lower bound.

    max over t in [0, T] of w (S e^(-q t) - K e^(-r t)), and zero.
    """
    best = max(w * (S - K), 0.0, w * (S * math.exp(-q * T) - K * math.exp(-r * T)))
    if r != q and r * q > 0.0 and S > 0.0 and K > 0.0:
        t = math.log(q * S / (r * K)) / (q - r)
        if 0.0 < t < T:
            best = max(best, w * (S * math.exp(-q * t) - K * math.exp(-r * t)))
    return best


@nb.njit(cache=True, error_model="numpy")
def european(w, S, K, T, sigma, r, q):
    """Black-Scholes-Merton: what is in the money plus the option that is not.

    Within 1e-15 of spot and strike, which is far below the premium's error, and cheaper to compile
    than `surfaces.kernels.black`.
    """
    F, s = S * math.exp((r - q) * T), sigma * math.sqrt(T)
    value = max(w * (F - K), 0.0)
    if s > 0.0 and F > 0.0 and K > 0.0:
        side = -1.0 if F > K else 1.0
        d = math.log(F / K) / s
        if d + 0.5 * s < 38.0 and d - 0.5 * s > -38.0:
            up, down = lean_cdf(side * (d + 0.5 * s)), lean_cdf(side * (d - 0.5 * s))
            value += max(side * (F * up - K * down), 0.0)
        elif d + 0.5 * s >= 38.0 and d - 0.5 * s <= -38.0:
            value += min(F, K)
    return math.exp(-r * T) * value


@nb.njit(**INNER)
def priced(w, S, K, T, sigma, r, q, node, point, outer, inner, blend, key):
    """(American price, premium over the European); NaN where two boundaries exist."""
    plain = european(w, S, K, T, sigma, r, q)
    kind = regime(w, r, q)
    if kind == 0 or not (T > 0.0 and S > 0.0 and K > 0.0):
        now = max(w * (S - K), 0.0)  # S = 0 or K = 0: exercise at once if that is worth anything
        if kind == 0 or not (T > 0.0 and now > plain):
            return plain, 0.0
        return now, now - plain
    if kind == 2:
        return math.nan, math.nan
    least = sure_value(w, S, K, T, r, q)
    if not sigma * math.sqrt(T) > TINY:
        return max(plain, least), max(least - plain, 0.0)
    form = form_of(w, sigma, r, q)
    now = w * (S - K)
    if w > 0.0:
        S, K, r, q = K, S, q, r
    set_boundary(T, sigma, r, q, form, node, point, outer, inner, blend, key)
    x = math.log(S / K)
    if x <= node[B, node.shape[1] - 1]:
        value = max(now, plain, least)
        return value, max(value - plain, 0.0)
    extra = income(x, S, K, outer)
    value = max(plain + max(extra, 0.0), least)
    return value, max(extra, value - plain, 0.0)


@nb.njit(cache=True, error_model="numpy")
def fill_price(w, S, K, T, vol, r, q, hard, engine, price, premium):
    """Write price[i] and premium[i] of the rows that are hard (1), or are not (0).

    Returns how many rows it left to the other engine. Neighbours that differ in spot and strike
    only share one boundary, those of one expiry what depends on time and rates.
    """
    node, point, outer, inner, blend, key = engine
    left = 0
    for i in range(price.size):
        if is_hard(T[i], vol[i], r[i], q[i]) != hard:
            left += 1
            continue
        price[i], premium[i] = priced(
            w[i], S[i], K[i], T[i], vol[i], r[i], q[i], node, point, outer, inner, blend, key
        )
    return left


@nb.njit(cache=True, error_model="numpy")
def fill_region(w, K, T, vol, r, q, hard, engine, lower, upper):
    """Write where exercise is optimal, between lower[i] and upper[i]; NaN where it never is.

    Rows as in `fill_price`; not for two boundaries.
    """
    node, point, outer, inner, blend, key = engine
    left = 0
    for i in range(lower.size):
        if is_hard(T[i], vol[i], r[i], q[i]) != hard:
            left += 1
            continue
        lower[i], upper[i] = math.nan, math.nan
        if regime(w[i], r[i], q[i]) != 1:
            continue
        rate, other = (q[i], r[i]) if w[i] > 0.0 else (r[i], q[i])
        if vol[i] * math.sqrt(T[i]) > TINY:
            form = form_of(w[i], vol[i], r[i], q[i])
            set_boundary(T[i], vol[i], rate, other, form, node, point, outer, inner, blend, key)
            share = math.exp(node[B, node.shape[1] - 1])
        else:  # the limit of both a short life and a small vol
            share = min(1.0, rate / other) if other > 0.0 else 1.0
        if w[i] > 0.0:
            lower[i], upper[i] = K[i] / share, math.inf
        else:
            lower[i], upper[i] = 0.0, K[i] * share
    return left
