"""American implied volatility in scalars: nopython, no checks, no allocation.

The price rises with vol from the best sure exercise to its cap, so the root is bracketed. The
European implied vol of the same price is a cap on the American one and the start; the first step
takes the European vega, the others are secants inside the bracket.
"""

import math

import numba as nb

from surfaces.kernels.american import is_hard, priced, regime, sure_value
from surfaces.kernels.american_boundary import INNER
from surfaces.kernels.implied import (
    ABOVE_BOUND,
    BAD_INPUT,
    BELOW_INTRINSIC,
    NO_VEGA,
    NOT_CONVERGED,
    OK,
    vol_one,
)
from surfaces.kernels.normal import INV_SQRT_2PI
from surfaces.status import Status

UNSUPPORTED = int(Status.UNSUPPORTED)
FINAL = (BELOW_INTRINSIC, ABOVE_BOUND, NO_VEGA, BAD_INPUT, UNSUPPORTED)
PENDING = 255  # a row that the other engine must solve
MAX_STEPS = 80
WIDEST = 60.0  # sigma sqrt(T) past which a price is at its cap in double precision
MOST = 700.0  # |rate| x years, which the pricers refuse as well
GRAIN = 1e-13  # of spot and strike: what is this near to the best sure exercise holds no vol
CLOSE = 1e-14  # product of the last two relative steps: what a further secant step would gain


@nb.njit(cache=True, error_model="numpy")
def fit(price, S, K, T, r, q):
    """Whether one quote may be solved at all: finite, and no factor that under- or overflows."""
    good = S > 0.0 and K > 0.0 and T > 0.0 and abs(price) < math.inf and max(S, K, T) < math.inf
    return good and abs(r) * T <= MOST and abs(q) * T <= MOST


@nb.njit(cache=True, error_model="numpy")
def european_vega(S, K, T, sigma, r, q):
    """Per 1.00 of vol."""
    v = sigma * math.sqrt(T)
    d = (math.log(S / K) + (r - q) * T) / v + 0.5 * v
    return S * math.exp(-q * T - 0.5 * d * d) * INV_SQRT_2PI * math.sqrt(T)


@nb.njit(**INNER)
def american_vol(price, w, S, K, T, r, q, node, point, outer, inner, blend, key):
    """(vol, status) of one price; vol is NaN unless the status is OK."""
    if not fit(price, S, K, T, r, q):
        return math.nan, BAD_INPUT
    kind = regime(w, r, q)
    if kind == 2:
        return math.nan, UNSUPPORTED
    cap, code = vol_one(price, w, S * math.exp((r - q) * T), K, T, math.exp(-r * T))
    if kind == 0:
        return cap, code
    least = sure_value(w, S, K, T, r, q)
    if price <= 0.0 or least <= 0.0:  # out of the money any price at all holds a vol
        if price <= 0.0:
            return (0.0, NO_VEGA) if price == 0.0 == least else (math.nan, BELOW_INTRINSIC)
    elif abs(price - least) <= GRAIN * max(S, K):
        return math.nan, NO_VEGA
    elif price < least:
        return math.nan, BELOW_INTRINSIC
    if price >= (S if w > 0.0 else K):
        return math.nan, ABOVE_BOUND
    x, slope = 0.2, 0.0  # the European cap may be missing: too dear, or too cheap for a vol
    if code == OK:  # the chord from zero vol is no tangent
        x, slope = cap * (1.0 + 1e-12), european_vega(S, K, T, cap, r, q)
    low, high, width = 0.0, math.inf, math.inf
    last, f_last, before = 0.0, least - price, 1.0
    for step in range(MAX_STEPS):
        f = priced(w, S, K, T, x, r, q, node, point, outer, inner, blend, key)[0] - price
        low, high = (x, high) if f < 0.0 else (low, x)
        if f == 0.0:
            return x, OK
        if high == math.inf:
            if x * math.sqrt(T) > WIDEST:
                return math.nan, ABOVE_BOUND
            last, f_last, x, slope = x, f, 1.5 * x, 0.0
            continue
        new = x - f / (slope if slope > 0.0 else (f - f_last) / (x - last))
        now = abs(new - x) / x
        if now * before < CLOSE:
            return new, OK
        slow = step % 4 == 3 and high - low > 0.5 * width
        width = high - low if step % 4 == 3 else width
        if slow or not low < new < high:
            new, now = 0.5 * (low + high), 1.0
            if not low < new < high:
                return new, OK
        last, f_last, x, slope, before = x, f, new, 0.0, now
    return math.nan, NOT_CONVERGED


@nb.njit(cache=True, error_model="numpy")
def fill_vol(price, w, S, K, T, r, q, hard, engine, vol, status):
    """Write vol[i] and status[i] (uint8); call with hard = 0, then 1 if any row is left PENDING.

    Which engine a row needs is known for sure only from its vol.
    """
    node, point, outer, inner, blend, key = engine
    left = 0
    for i in range(vol.size):
        if hard and status[i] != PENDING:
            continue
        vol[i], status[i] = american_vol(
            price[i], w[i], S[i], K[i], T[i], r[i], q[i], node, point, outer, inner, blend, key
        )
        settled = status[i] == OK and not is_hard(T[i], vol[i], r[i], q[i])
        if not (hard or settled or status[i] in FINAL):
            status[i] = PENDING
            left += 1
    return left
