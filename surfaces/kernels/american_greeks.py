"""Greeks of American options in scalars: nopython, no checks, no allocation.

The European part is analytic. Of the premium, derivatives in spot are taken under the integral (the
boundary does not depend on spot), and theta, charm and color follow from them through the pricing
equation, which holds wherever the option is alive. Only vol and rate move the boundary, so vega,
volga, vanna, zomma and rho are central differences with the steps below.

Exercised (spot past the boundary): price is intrinsic, delta is w, the rest is zero.
"""

import math

import numba as nb

from surfaces.kernels.american import (
    TINY,
    grown_cdf,
    grown_density,
    integral,
    prepared_boundary,
    price_and_premium,
    regime,
    use_form_a,
)
from surfaces.kernels.black import spot_greeks_one

VOL_STEP = 2e-3  # share of the vol
RATE_STEP = 1e-4  # per year, less where the rate itself is smaller


@nb.njit(cache=True, error_model="numpy")
def spot_slopes(w, S, K, T, sigma, r, q, top, scheme, H):
    """First to fourth derivative in spot of the premium integral over the boundary held in H.

    In x = ln S the integrand is -w (P - Q), P = r K e^(-rt) N(w d-), Q = q S e^(-qt) N(w d+), with
    P' = w A and Q' = Q + w C; A and C are densities, whose derivatives are Hermite polynomials.
    """
    x = math.log(S / K)
    v = sigma * math.sqrt(T)
    x1, x2, x3, x4 = 0.0, 0.0, 0.0, 0.0
    for k in range(scheme.outer_v.size):
        h = 0.0
        for j in range(H.size):
            h += scheme.outer[k, j] * H[j]
        y = scheme.outer_v[k]
        t = T * y * y
        s = v * y
        edge = -w * (top - math.sqrt(max(h, 0.0)))
        em = (x - edge + (r - q) * t) / s - 0.5 * s
        ep = em + s
        a = r * K * grown_density(-r * t, em) / s
        c = q * S * grown_density(-q * t, ep) / s
        held = w * q * S * grown_cdf(-q * t, w * ep)
        inv = 1.0 / (s * s)
        f = -em / s
        g = 1.0 - ep / s
        weight = scheme.outer_w[k]
        x1 += weight * (held - a + c)
        x2 += weight * (held - f * a + c * (1.0 + g))
        a3, c3 = f * f - inv, g * g - inv
        x3 += weight * (held - a3 * a + c * (1.0 + g + c3))
        a4, c4 = f * (f * f - 3.0 * inv), g * (g * g - 3.0 * inv)
        x4 += weight * (held - a4 * a + c * (1.0 + g + c3 + c4))
    s1 = T * x1 / S
    s2 = T * (x2 - x1) / S**2
    s3 = T * (x3 - 3.0 * x2 + 2.0 * x1) / S**3
    s4 = T * (x4 - 6.0 * x3 + 11.0 * x2 - 6.0 * x1) / S**4
    return s1, s2, s3, s4


@nb.njit(cache=True, error_model="numpy")
def premium_jet(w, S, K, T, sigma, r, q, form_a, scheme, b, H):
    """(premium, its first, its second derivative in spot), also past the boundary."""
    edge = prepared_boundary(w, T, sigma, r, q, form_a, scheme, b, H)
    if w * (math.log(S / K) - edge) >= 0.0:
        plain = spot_greeks_one(w, S, K, T, sigma, r, q)
        return w * (S - K) - plain[0], w - plain[1], -plain[2]
    s1, s2, _, _ = spot_slopes(w, S, K, T, sigma, r, q, b[0], scheme, H)
    return integral(w, S, K, T, sigma, r, q, b[0], scheme, H), s1, s2


@nb.njit(cache=True, error_model="numpy")
def rate_slope(w, S, K, T, sigma, r, q, form_a, scheme, b, H):
    """d premium / d rate; one-sided where a step would leave the regime of one boundary."""
    h = min(RATE_STEP, 0.5 * abs(r)) if r != 0.0 else RATE_STEP
    high = r + h if regime(w, r + h, q) == 1 else r
    low = r - h if regime(w, r - h, q) == 1 else r
    if not high > low:
        return 0.0
    up = premium_jet(w, S, K, T, sigma, high, q, form_a, scheme, b, H)
    down = premium_jet(w, S, K, T, sigma, low, q, form_a, scheme, b, H)
    return (up[0] - down[0]) / (high - low)


@nb.njit(cache=True, error_model="numpy")
def greeks_one(w, S, K, T, sigma, r, q, scheme, b, H, out):
    """Write the twelve numbers of `surfaces.pricing.greeks` into out; NaN for two boundaries."""
    plain = spot_greeks_one(w, S, K, T, sigma, r, q)
    for j in range(12):
        out[j] = plain[j]
    value, extra = price_and_premium(w, S, K, T, sigma, r, q, scheme, b, H)
    if math.isnan(value):
        out[:] = math.nan
        return
    if regime(w, r, q) == 0 or not T > 0.0:
        return
    if value <= max(w * (S - K), 0.0) and extra > 0.0:  # exercised now
        out[:] = 0.0
        out[0] = value
        out[1] = w
        return
    if not (sigma * math.sqrt(T) > TINY and S > 0.0 and K > 0.0):
        if extra > 0.0:  # exercised for sure at a later moment, which depends on spot
            t = math.log(q * S / (r * K)) / (q - r)
            out[:] = 0.0
            out[0] = value
            out[1] = w * math.exp(-q * t)
            out[2] = -q * out[1] / (S * (q - r))
            out[5] = w * t * K * math.exp(-r * t)
        return
    form_a = use_form_a(w, sigma, r, q)
    s1, s2, s3, s4 = spot_slopes(w, S, K, T, sigma, r, q, b[0], scheme, H)
    h = VOL_STEP * sigma
    up = premium_jet(w, S, K, T, sigma + h, r, q, form_a, scheme, b, H)
    down = premium_jet(w, S, K, T, sigma - h, r, q, form_a, scheme, b, H)
    half, drift, var = 0.5 * sigma * sigma * S * S, (r - q) * S, sigma * sigma
    out[0] = value
    out[1] += s1
    out[2] += s2
    out[3] += (up[0] - down[0]) / (2.0 * h)
    out[4] += r * extra - drift * s1 - half * s2
    out[5] += rate_slope(w, S, K, T, sigma, r, q, form_a, scheme, b, H)
    out[6] += (up[1] - down[1]) / (2.0 * h)
    out[7] += (up[0] - 2.0 * extra + down[0]) / (h * h)
    out[8] += q * s1 - (drift + var * S) * s2 - half * s3
    out[9] += s3
    out[10] += (up[2] - down[2]) / (2.0 * h)
    out[11] += (2.0 * q - r - var) * s2 - (2.0 * var * S + drift) * s3 - half * s4


@nb.njit(cache=True, error_model="numpy")
def fill_greeks(w, S, K, T, vol, r, q, scheme, b, H, row, out):
    """Write the twelve Greeks of row i into out[:, i]; b, H and row are scratch."""
    for i in range(out.shape[1]):
        greeks_one(w[i], S[i], K[i], T[i], vol[i], r[i], q[i], scheme, b, H, row)
        for j in range(12):
            out[j, i] = row[j]
