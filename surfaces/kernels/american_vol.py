"""American implied volatility in scalars: nopython, no checks, no allocation.

The price rises with vol from the best sure exercise to its cap, so the root is bracketed. The
European implied vol of the same price is a cap on the American one and the start; then secant steps
inside the bracket.
"""

import math

import numba as nb

from surfaces.kernels.american import price_and_premium, regime, sure_value
from surfaces.kernels.implied import (
    ABOVE_BOUND,
    BAD_INPUT,
    BELOW_INTRINSIC,
    NO_VEGA,
    NOT_CONVERGED,
    OK,
    vol_one,
)
from surfaces.status import Status

UNSUPPORTED = int(Status.UNSUPPORTED)
MAX_STEPS = 80
WIDEST = 60.0  # sigma sqrt(T) past which a price is at its cap in double precision


@nb.njit(cache=True, error_model="numpy")
def american_vol(price, w, S, K, T, r, q, scheme, b, H):
    """(vol, status) of one price; vol is NaN unless the status is OK."""
    good = S > 0.0 and K > 0.0 and T > 0.0 and abs(price) < math.inf
    if not (good and max(S, K, T) < math.inf and abs(r) < math.inf and abs(q) < math.inf):
        return math.nan, BAD_INPUT
    forward, df = S * math.exp((r - q) * T), math.exp(-r * T)
    kind = regime(w, r, q)
    if kind == 0:
        return vol_one(price, w, forward, K, T, df)
    if kind == 2:
        return math.nan, UNSUPPORTED
    least = sure_value(w, S, K, T, r, q)
    if price < least:
        return math.nan, BELOW_INTRINSIC
    if price == least:
        return (0.0, NO_VEGA) if price == 0.0 else (math.nan, NO_VEGA)
    if price >= (S if w > 0.0 else K):
        return math.nan, ABOVE_BOUND
    root = math.sqrt(T)
    cap, code = vol_one(price, w, forward, K, T, df)
    low, f_low = 0.0, least - price
    if code == OK:
        high = cap * (1.0 + 1e-12)
    else:  # above the European cap, or below the European value at zero vol
        high = 0.2
    f_high = price_and_premium(w, S, K, T, high, r, q, scheme, b, H)[0] - price
    while f_high < 0.0:
        low, f_low = high, f_high
        if high * root > WIDEST:
            return math.nan, ABOVE_BOUND
        high *= 1.5
        f_high = price_and_premium(w, S, K, T, high, r, q, scheme, b, H)[0] - price
    return bracketed(price, w, S, K, T, r, q, low, f_low, high, f_high, scheme, b, H)


@nb.njit(cache=True, error_model="numpy")
def bracketed(price, w, S, K, T, r, q, low, f_low, high, f_high, scheme, b, H):
    """Secant steps from the two latest points, halving the bracket whenever they leave it."""
    if f_high == 0.0:
        return high, OK
    x0, f0 = low, f_low
    x1, f1 = high, f_high
    width = high - low
    for step in range(MAX_STEPS):
        slope = (f1 - f0) / (x1 - x0)
        if step == 0:  # the chord from zero vol is no tangent: difference at the top instead
            near = high * (1.0 - 1e-3)
            slope = f1 - (price_and_premium(w, S, K, T, near, r, q, scheme, b, H)[0] - price)
            slope /= 1e-3 * high
        new = x1 - f1 / slope
        if not low < new < high or (step % 4 == 3 and high - low > 0.5 * width):
            new = 0.5 * (low + high)
        if step % 4 == 3:
            width = high - low
        if abs(new - x1) < 1e-12 * x1 or not low < new < high:
            return new, OK
        x0, f0 = x1, f1
        x1 = new
        f1 = price_and_premium(w, S, K, T, x1, r, q, scheme, b, H)[0] - price
        if f1 == 0.0:
            return x1, OK
        if f1 < 0.0:
            low = x1
        else:
            high = x1
    return math.nan, NOT_CONVERGED


@nb.njit(cache=True, error_model="numpy")
def fill_vol(price, w, S, K, T, r, q, scheme, b, H, vol, status):
    """Write vol[i] and status[i] (uint8); b and H are scratch of the scheme's size."""
    for i in range(vol.size):
        vol[i], status[i] = american_vol(price[i], w[i], S[i], K[i], T[i], r[i], q[i], scheme, b, H)
