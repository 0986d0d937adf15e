"""Greeks of American options in scalars: nopython, no checks, no allocation.

The European part is analytic. Of the premium, derivatives in spot are taken under the integral (the
boundary does not depend on spot), and theta, charm and color follow from them through the pricing
equation, which holds wherever the option is alive. Only vol and rate move the boundary, so vega,
volga, vanna, zomma and rho are central differences with the steps below. The price scales with
spot and strike together, which gives the derivatives in strike.

Exercised (spot past the boundary): price is intrinsic, delta is w, the rest is zero.
"""

import math

import numba as nb

from surfaces.kernels.american import TINY, form_of, is_hard, priced, regime
from surfaces.kernels.american_boundary import (
    DRIFT,
    EDGE,
    EQ,
    ER,
    HALF,
    INNER,
    INV,
    LOOPS,
    T3,
    T4,
    TQ,
    TR,
    B,
    income,
    lean_cdf,
    lean_density,
    set_boundary,
)
from surfaces.kernels.black import spot_greeks_one

VOL_STEP = 2e-3  # share of the vol
RATE_STEP = 1e-4  # per year
PRICE, DELTA, GAMMA, VEGA, THETA, RHO, VANNA, VOLGA, CHARM, SPEED, ZOMMA, COLOR, DUAL = range(13)
DENSITY = 13


@nb.njit(**LOOPS)
def slopes(w, S, K, outer):
    """First to fourth derivative in spot of the premium integral over the boundary in `outer`.

    In x = ln S the integrand is -w (P - Q), P = r K e^(-rt) N(w d-), Q = q S e^(-qt) N(w d+), with
    P' = w A and Q' = Q + w C; A and C are densities, whose derivatives are Hermite polynomials.
    """
    x = -w * math.log(S / K)  # the table is that of a put, whatever w
    interest, paid = (EQ, ER) if w > 0.0 else (ER, EQ)
    for m in range(outer.shape[1]):
        inv = outer[INV, m]
        em = -w * (x - outer[EDGE, m] + outer[DRIFT, m]) * inv - outer[HALF, m]
        ep = em + 2.0 * outer[HALF, m]
        a = K * outer[interest, m] * lean_density(em) * inv
        c = S * outer[paid, m] * lean_density(ep) * inv
        held = w * S * outer[paid, m] * lean_cdf(w * ep)
        inv2 = inv * inv
        f = -em * inv
        g = 1.0 - ep * inv
        a3, c3 = f * f - inv2, g * g - inv2
        a4, c4 = f * (f * f - 3.0 * inv2), g * (g * g - 3.0 * inv2)
        outer[TR, m] = held - a + c
        outer[TQ, m] = held - f * a + c * (1.0 + g)
        outer[T3, m] = held - a3 * a + c * (1.0 + g + c3)
        outer[T4, m] = held - a4 * a + c * (1.0 + g + c3 + c4)
    x1, x2, x3, x4 = 0.0, 0.0, 0.0, 0.0
    for m in range(outer.shape[1]):
        x1 += outer[TR, m]
        x2 += outer[TQ, m]
        x3 += outer[T3, m]
        x4 += outer[T4, m]
    s2 = (x2 - x1) / S**2
    s3 = (x3 - 3.0 * x2 + 2.0 * x1) / S**3
    s4 = (x4 - 6.0 * x3 + 11.0 * x2 - 6.0 * x1) / S**4
    return x1 / S, s2, s3, s4


@nb.njit(**INNER)
def premium_jet(w, S, K, T, sigma, r, q, form, node, point, outer, inner, blend, key):
    """(premium, its first, its second derivative in spot), also past the boundary."""
    if w > 0.0:
        set_boundary(T, sigma, q, r, form, node, point, outer, inner, blend, key)
    else:
        set_boundary(T, sigma, r, q, form, node, point, outer, inner, blend, key)
    x = -w * math.log(S / K)
    if x <= node[B, node.shape[1] - 1]:
        plain = spot_greeks_one(w, S, K, T, sigma, r, q)
        return w * (S - K) - plain[0], w - plain[1], -plain[2]
    near, far = (K, S) if w > 0.0 else (S, K)
    extra = income(x, near, far, outer)
    s1, s2, _, _ = slopes(w, S, K, outer)
    return extra, s1, s2


@nb.njit(**INNER)
def fill_constant(value, w, i, out):
    """Row i of an option whose price is `value` and that moves with spot one to one."""
    for j in range(out.shape[0]):
        out[j, i] = 0.0
    out[PRICE, i], out[DELTA, i], out[DUAL, i] = value, w, -w


@nb.njit(cache=True, error_model="numpy")
def bumped(k, w, sigma, r, q):
    """Vol and rate of bump k: vol up (0), vol down (1), rate up (2), rate down (3).

    A step in rate that would leave the regime ends just short of a rate of zero, or is not taken;
    so rho does not jump where the premium begins.
    """
    sign = 1.0 - 2.0 * (k % 2)
    if k < 2:
        return sign, sigma + sign * VOL_STEP * sigma, r
    kind, moved = regime(w, r, q), r + sign * RATE_STEP
    if regime(w, moved, q) != kind:
        moved = 1e-3 * r if sign * r < 0.0 else r
        moved = moved if regime(w, moved, q) == kind else r
    return sign, sigma, moved


@nb.njit(**INNER)
def assemble(S, K, r, q, sigma, value, extra, flat, vols, i, out):
    """Add the premium to the European row i: `flat` its four slopes in spot, `vols` what bumping
    vol gave: sum of the two premiums, then differences of them and of their two slopes.
    """
    s1, s2, s3, s4 = flat
    total, first, second, third = vols
    half, drift, var, h = 0.5 * sigma * sigma * S * S, (r - q) * S, sigma * sigma, VOL_STEP * sigma
    out[PRICE, i] = value
    out[DELTA, i] += s1
    out[GAMMA, i] += s2
    out[VEGA, i] += first / (2.0 * h)
    out[THETA, i] += r * extra - drift * s1 - half * s2
    out[VANNA, i] += second / (2.0 * h)
    out[VOLGA, i] += (total - 2.0 * extra) / (h * h)
    out[CHARM, i] += q * s1 - (drift + var * S) * s2 - half * s3
    out[SPEED, i] += s3
    out[ZOMMA, i] += third / (2.0 * h)
    out[COLOR, i] += (2.0 * q - r - var) * s2 - (2.0 * var * S + drift) * s3 - half * s4
    out[DUAL, i] = (value - S * out[DELTA, i]) / K
    out[DENSITY, i] = out[GAMMA, i] * (S / K) ** 2


@nb.njit(**INNER)
def greeks_one(w, S, K, T, sigma, r, q, begin, end, node, point, outer, inner, blend, key, i, out):
    """Write row i of the numbers of `surfaces.pricing.greeks`; returns the premium.

    NaN for two boundaries. Bumps `begin` to `end` are taken: without 0 and 1 the vol Greeks,
    without 2 and 3 rho lack the premium's part.
    """
    plain = spot_greeks_one(w, S, K, T, sigma, r, q)
    value, extra = priced(w, S, K, T, sigma, r, q, node, point, outer, inner, blend, key)
    for j, number in enumerate(plain):
        out[j, i] = math.nan if math.isnan(value) else number
    if math.isnan(value) or regime(w, r, q) == 0 or not T > 0.0:
        out[PRICE, i] = value
        return extra
    if value <= max(w * (S - K), 0.0) and extra > 0.0:  # exercised now
        fill_constant(value, w, i, out)
        return extra
    if not (sigma * math.sqrt(T) > TINY and S > 0.0 and K > 0.0):
        out[PRICE, i] = value
        if extra > 0.0:  # exercised for sure at a later moment, which depends on spot
            t = math.log(q * S / (r * K)) / (q - r)
            fill_constant(value, w * math.exp(-q * t), i, out)
            out[GAMMA, i] = -q * out[DELTA, i] / (S * (q - r))
            out[RHO, i] = w * t * K * math.exp(-r * t)
            out[DUAL, i] = -w * math.exp(-r * t)
            out[DENSITY, i] = out[GAMMA, i] * (S / K) ** 2
        return extra
    form = form_of(w, sigma, r, q)
    flat = slopes(w, S, K, outer)
    total, first, second, third, rates, width = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for k in range(begin, end):
        sign, v, rate = bumped(k, w, sigma, r, q)
        jet = premium_jet(w, S, K, T, v, rate, q, form, node, point, outer, inner, blend, key)
        if k < 2:
            total += jet[0]
            first += sign * jet[0]
            second += sign * jet[1]
            third += sign * jet[2]
        else:
            rates += sign * jet[0]
            width += abs(rate - r)
    assemble(S, K, r, q, sigma, value, extra, flat, (total, first, second, third), i, out)
    out[RHO, i] += rates / width if width > 0.0 else 0.0
    return extra


@nb.njit(cache=True, error_model="numpy")
def fill_greeks(w, S, K, T, vol, r, q, hard, begin, end, engine, premium, out):
    """Write the Greeks of row i into out[:, i], and its premium; rows as in `american.fill_price`.

    `begin` and `end` as in `greeks_one`.
    """
    node, point, outer, inner, blend, key = engine
    left = 0
    for i in range(out.shape[1]):
        if is_hard(T[i], vol[i], r[i], q[i]) != hard:
            left += 1
            continue
        premium[i] = greeks_one(
            w[i], S[i], K[i], T[i], vol[i], r[i], q[i], begin, end,
            node, point, outer, inner, blend, key, i, out,
        )  # fmt: skip
    return left
