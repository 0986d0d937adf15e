"""Greeks and implied vols with cash dividends in scalars: nopython, no checks, no allocation.

Spot derivatives are differences on the grid, where spot is a node; theta, charm and color follow
from them through the pricing equation. Vol and rate derivatives are central differences of what the
price and its spot derivatives have over Black-Scholes-Merton on the yield that gives the same
forward: that part is analytic, and differences of the small smooth rest lose little.

Exercised (spot past the boundary): price is intrinsic, delta is w, the rest is zero.
"""

import math

import numba as nb

from surfaces.kernels.american_vol import fit
from surfaces.kernels.black import spot_greeks_one
from surfaces.kernels.implied import (
    ABOVE_BOUND,
    BAD_INPUT,
    BELOW_INTRINSIC,
    NO_VEGA,
    NOT_CONVERGED,
    OK,
    vol_one,
)
from surfaces.kernels.pde_cash import live_range, price_and_slopes, sure_cash

VOL_STEP = 0.03  # share of the vol
RATE_STEP = 1e-3
SURE_STEP = 1e-5  # share of spot, where there is no chance and so no curvature
MAX_STEPS = 60
GRAIN = 1e-7  # of spot and strike: as near as this to the best sure exercise a price holds no vol
WIDEST = 12.0  # sigma sqrt(T) past which a price is at its cap
TOLERANCE = 1e-9  # share of the vol


@nb.njit(cache=True, error_model="numpy")
def sure_forward(S, T, r, q, times, cash, part):
    """Spot at T, past its dividends, if it grew surely."""
    first, last = live_range(T, times)
    now = 0.0
    for i in range(first, last):
        S = max(S * math.exp((r - q) * (times[i] - now)) * (1.0 - part[i]) - cash[i], 0.0)
        now = times[i]
    return S * math.exp((r - q) * (T - now))


@nb.njit(cache=True, error_model="numpy")
def fill_rest(w, S, K, T, sigma, r, q, same, times, cash, part, american, plan, work, jets, rest):
    """Write what (price, delta, gamma) have over Black-Scholes-Merton on the yield `same`."""
    price_and_slopes(
        w, S, K, T, sigma, r, q, times, cash, part, american, plan, work, jets[0], jets[1]
    )
    rest[0] = jets[0, 0]
    rest[1] = jets[0, 1] / S
    rest[2] = (jets[0, 2] - jets[0, 1]) / (S * S)
    if same < math.inf:
        plain = spot_greeks_one(w, S, K, T, sigma, r, same)
        for j in range(3):
            rest[j] -= plain[j]


@nb.njit(cache=True, error_model="numpy")
def fill_sure_greeks(w, S, K, T, r, q, times, cash, part, american, out):
    """Greeks where nothing is left to chance: slopes of the best sure exercise, no curvature."""
    out[:12] = 0.0
    out[0] = sure_cash(w, S, K, T, r, q, times, cash, part, american)
    h = SURE_STEP * S
    if h > 0.0:
        up = sure_cash(w, S + h, K, T, r, q, times, cash, part, american)
        down = sure_cash(w, S - h, K, T, r, q, times, cash, part, american)
        out[1] = (up - down) / (2.0 * h)
    elif K > 0.0:
        h = SURE_STEP * K  # spot can only rise
        out[1] = (sure_cash(w, h, K, T, r, q, times, cash, part, american) - out[0]) / h
    if american and T > 0.0 and out[0] <= w * (S - K):
        return
    up = sure_cash(w, S, K, T, r + SURE_STEP, q, times, cash, part, american)
    down = sure_cash(w, S, K, T, r - SURE_STEP, q, times, cash, part, american)
    out[4] = r * out[0] - (r - q) * S * out[1]
    out[5] = (up - down) / (2.0 * SURE_STEP)


@nb.njit(cache=True, error_model="numpy")
def greeks_one(
    w, S, K, T, sigma, r, q, times, cash, part, american, plan, work, jets, rest, vols, rates, out
):
    """Write twelve numbers in the order of `surfaces.pricing.greeks` into out.

    jets is scratch of shape (2, 5), rest of shape (3, 3). Without `vols` the Greeks by vol are
    those of the closed form alone, without `rates` rho is.
    """
    done = price_and_slopes(
        w, S, K, T, sigma, r, q, times, cash, part, american, plan, work, jets[0], jets[1]
    )
    if math.isnan(jets[0, 1]):
        fill_sure_greeks(w, S, K, T, r, q, times, cash, part, american, out)
        return
    value, x1, x2, x3, x4 = jets[0, 0], jets[0, 1], jets[0, 2], jets[0, 3], jets[0, 4]
    out[:12] = 0.0
    out[0] = value
    out[1] = x1 / S
    if done:
        return
    s2 = (x2 - x1) / S**2
    s3 = (x3 - 3.0 * x2 + 2.0 * x1) / S**3
    s4 = (x4 - 6.0 * x3 + 11.0 * x2 - 6.0 * x1) / S**4
    half, drift, var = 0.5 * sigma * sigma * S * S, (r - q) * S, sigma * sigma
    out[2] = s2
    out[4] = r * value - drift * out[1] - half * s2
    out[8] = q * out[1] - (drift + var * S) * s2 - half * s3
    out[9] = s3
    out[11] = (2.0 * q - r - var) * s2 - (2.0 * var * S + drift) * s3 - half * s4
    forward = sure_forward(S, T, r, q, times, cash, part)
    same = r - math.log(forward / S) / T if forward > 1e-3 * S else math.inf
    least = sure_cash(w, S, K, T, r, q, times, cash, part, american)
    flat = american and least > 0.0 and value - least <= GRAIN * max(S, K)
    h = VOL_STEP * sigma
    terms = (times, cash, part, american, plan, work, jets)
    if vols:
        fill_rest(w, S, K, T, sigma + h, r, q, same, *terms, rest[0])
        fill_rest(w, S, K, T, sigma - h, r, q, same, *terms, rest[1])
    for j in range(3):
        rest[2, j] = out[j]
    if same < math.inf:
        plain = spot_greeks_one(w, S, K, T, sigma, r, same)
        out[3], out[5], out[6], out[7], out[10] = plain[3], plain[5], plain[6], plain[7], plain[10]
        for j in range(3):
            rest[2, j] -= plain[j]
    if vols:
        out[3] += (rest[0, 0] - rest[1, 0]) / (2.0 * h)
        out[6] += (rest[0, 1] - rest[1, 1]) / (2.0 * h)
        out[7] += (rest[0, 0] - 2.0 * rest[2, 0] + rest[1, 0]) / (h * h)
        out[10] += (rest[0, 2] - rest[1, 2]) / (2.0 * h)
    if flat:  # exercise at a known moment: the grid's noise is no slope in vol
        out[3], out[6], out[7], out[10] = 0.0, 0.0, 0.0, 0.0
    if not rates:
        return
    fill_rest(w, S, K, T, sigma, r + RATE_STEP, q, same, *terms, rest[0])
    fill_rest(w, S, K, T, sigma, r - RATE_STEP, q, same, *terms, rest[1])
    out[5] += (rest[0, 0] - rest[1, 0]) / (2.0 * RATE_STEP)


@nb.njit(cache=True, error_model="numpy")
def fill_greeks(
    w,
    S,
    K,
    T,
    vol,
    r,
    q,
    times,
    cash,
    part,
    american,
    plan,
    work,
    jets,
    rest,
    row,
    vols,
    rates,
    out,
):
    """Write the twelve Greeks of row i into out[:, i]; jets, rest and row are scratch."""
    for i in range(out.shape[1]):
        greeks_one(
            w[i], S[i], K[i], T[i], vol[i], r[i], q[i],
            times, cash, part, american, plan, work, jets, rest, vols, rates, row,
        )  # fmt: skip
        for j in range(12):
            out[j, i] = row[j]


@nb.njit(cache=True, error_model="numpy")
def cash_vol(price, w, S, K, T, r, q, times, cash, part, american, plan, work, jets):
    """(vol, status) of one price; vol is NaN unless the status is OK.

    The start is Black's implied vol on the forward; then secant steps inside the bracket, the first
    with Black's vega.
    """
    if not fit(price, S, K, T, r, q):
        return math.nan, BAD_INPUT
    least = sure_cash(w, S, K, T, r, q, times, cash, part, american)
    if price <= 0.0 or least <= 0.0:
        if price <= 0.0:
            return (0.0, NO_VEGA) if price == 0.0 == least else (math.nan, BELOW_INTRINSIC)
    elif abs(price - least) <= GRAIN * max(S, K):
        return math.nan, NO_VEGA
    elif price < least:
        return math.nan, BELOW_INTRINSIC
    cap, grows = (S, -q) if w > 0.0 else (K, -r)
    if price >= cap * math.exp(max(grows, 0.0) * T if american else grows * T):
        return math.nan, ABOVE_BOUND
    forward, root = sure_forward(S, T, r, q, times, cash, part), math.sqrt(T)
    x, code = vol_one(price, w, max(forward, 1e-3 * S), K, T, math.exp(-r * T))
    if code != OK:
        x = 0.2
    x = min(max(x, 1e-3 / root), 0.5 * WIDEST / root)
    same = r - math.log(max(forward, 1e-3 * S) / S) / T
    low, high, last, missed = 0.0, math.inf, 0.0, 0.0
    for step in range(MAX_STEPS):
        price_and_slopes(
            w, S, K, T, x, r, q, times, cash, part, american, plan, work, jets[0], jets[1]
        )
        miss = jets[0, 0] - price
        if miss < 0.0:
            low = x
            if x * root >= WIDEST:
                return math.nan, ABOVE_BOUND
        else:
            high = x
        if miss == 0.0:
            return x, OK
        slope = (miss - missed) / (x - last)
        if step == 0:
            slope = spot_greeks_one(w, S, K, T, x, r, same)[3]
        new = x - miss / slope
        top = high if high < math.inf else min(2.0 * x, 1.01 * WIDEST / root)
        if not low < new < top or (step % 5 == 4 and high < math.inf):
            new = 0.5 * (low + high) if high < math.inf else top
        last, missed = x, miss
        if abs(new - x) <= TOLERANCE * x:
            return new, OK
        x = new
    return math.nan, NOT_CONVERGED


@nb.njit(cache=True, error_model="numpy")
def fill_vol(price, w, S, K, T, r, q, times, cash, part, american, plan, work, jets, vol, status):
    """Write vol[i] and status[i] (uint8); work and jets are scratch."""
    for i in range(vol.size):
        vol[i], status[i] = cash_vol(
            price[i], w[i], S[i], K[i], T[i], r[i], q[i],
            times, cash, part, american, plan, work, jets,
        )  # fmt: skip
