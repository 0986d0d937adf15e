"""One smile as a mixture of lognormal densities: prices, and total variance by inversion.

Component j has mean forward exp(centre_j + width_j^2 / 2), total vol width_j and weight x_j; the
mixture's forward is one. Prices are undiscounted and in units of the forward, k = ln(strike).
The density is positive because the weights are; so g = density sqrt(w) / phi(d2) is too, and w
stays finite in the wings: past the outermost bump it tends to the widest component's variance.
"""

import math

import numba as nb
import numpy as np

from surfaces.kernels.compiling import INNER, OUTER, keep_apart
from surfaces.kernels.implied import total_vol
from surfaces.kernels.normal import INV_SQRT_2PI, cdf, density, mills

TINY = 1e-250  # prices below it are handled as logarithms
FAR = 36.0
NOTHING = 1e-150  # prices below it are no part of a link
LOG_INV_SQRT_2PI = -0.9189385332046727


@nb.njit(**INNER, forceinline=True)
def held(d):
    """d within +-36, beyond which the normal functions are subnormal numbers, and slow."""
    d = FAR if d > FAR else d
    return -FAR if d < -FAR else d


@nb.njit(**INNER)
def fill_otm(k, centre, width, forward, scale, out):
    """Out-of-the-money prices at one k of every component (bumps,), times `scale`."""
    keep_apart()
    side = 1.0 if k >= 0.0 else -1.0
    strike = math.exp(k)
    for j in range(centre.size):
        d2 = side * (centre[j] - k) / width[j]
        d1 = held(d2 + side * width[j])
        value = side * (forward[j] * cdf(d1) - strike * cdf(held(d2)))
        out[j] = scale[j] * (value if value > 0.0 else 0.0)


@nb.njit(**INNER)
def terms(k, side, centre, width, forward, weight, price, digital, bend):
    """Each component's out-of-the-money price, N(side d2) and density of ln S, weighted."""
    keep_apart()
    strike = math.exp(k)
    for j in range(centre.size):
        d2 = side * (centre[j] - k) / width[j]
        d1 = held(d2 + side * width[j])
        d2 = held(d2)
        n2 = cdf(d2)
        price[j] = weight[j] * (side * (forward[j] * cdf(d1) - strike * n2))
        digital[j] = weight[j] * n2
        bend[j] = weight[j] * density(d2) / width[j]


@nb.njit(**INNER)
def total(x):
    """Sum of x, in four lanes."""
    whole = x.size - x.size % 4
    t0 = t1 = t2 = t3 = 0.0
    for i in range(0, whole, 4):
        t0 += x[i]
        t1 += x[i + 1]
        t2 += x[i + 2]
        t3 += x[i + 3]
    for i in range(whole, x.size):
        t0 += x[i]
    return (t0 + t1) + (t2 + t3)


@nb.njit(**INNER)
def far(k, side, centre, width, forward, weight):
    """(log price, digital / price, density / price) where the price is too small for a double."""
    keep_apart()
    top = -math.inf
    for j in range(centre.size):
        if weight[j] > 0.0:
            d2 = (centre[j] - k) / width[j]
            top = max(top, math.log(weight[j]) - 0.5 * d2 * d2)
    strike = math.exp(k)
    price = digital = bend = 0.0
    for j in range(centre.size):
        if weight[j] > 0.0:
            d2 = (centre[j] - k) / width[j]
            h2 = max(-side * d2, -1.0)
            h1 = max(-side * (d2 + width[j]), -1.0)
            unit = math.exp(math.log(weight[j]) - 0.5 * d2 * d2 - top)
            # forward phi(d1) = strike phi(d2), so the price is a difference of two Mills ratios
            price += unit * strike * side * (mills(h1) - mills(h2))
            digital += unit * mills(h2)
            bend += unit / width[j]
    return top + LOG_INV_SQRT_2PI + math.log(price), digital / price, bend / price


@nb.njit(**OUTER)
def fill_curve(k, theta, want, w, w1, w2):
    """w(k), and if `want` its two derivatives: k, w, w1, w2 (rows, points), theta (rows, 1 + 3n).

    theta: scale, centres, widths, weights; w is `scale` times the mixture's total variance.
    """
    n = (theta.shape[1] - 1) // 3
    forward, price, digital, bend = np.empty(n), np.empty(n), np.empty(n), np.empty(n)
    for row in range(k.shape[0]):
        centre, width = theta[row, 1 : 1 + n], theta[row, 1 + n : 1 + 2 * n]
        weight, scale = theta[row, 1 + 2 * n :], theta[row, 0]
        for j in range(n):
            forward[j] = math.exp(centre[j] + 0.5 * width[j] * width[j])
        for i in range(k.shape[1]):
            at = k[row, i]
            side = 1.0 if at >= 0.0 else -1.0
            terms(at, side, centre, width, forward, weight, price, digital, bend)
            value = total(price)
            if value > TINY:
                log_value = math.log(value)
                dig, pdf = total(digital), total(bend)
                share = value * math.exp(-min(at, 0.0))  # of the cap, the lesser of strike and 1
            else:
                log_value, dig, pdf = far(at, side, centre, width, forward, weight)
                share = math.exp(log_value - min(at, 0.0))
            s, _ = total_vol(abs(at), share, log_value - min(at, 0.0), 1.0 - share)
            w[row, i] = scale * s * s
            if not want:
                continue
            d2 = -at / s - 0.5 * s
            if value > TINY:
                ratio = 1.0 / (INV_SQRT_2PI * math.exp(-0.5 * d2 * d2))
            else:
                ratio = math.exp(log_value + 0.5 * d2 * d2 - LOG_INV_SQRT_2PI)
            own = mills(-side * d2) if side * d2 <= 1.0 else cdf(side * d2) * ratio
            slope = side * (own - dig * ratio)  # ds/dk = (N2 - mixture's N2) / phi(d2)
            g = pdf * ratio * s
            v, v1 = s * s, 2.0 * s * slope
            half = 1.0 - 0.5 * at * v1 / v
            w1[row, i] = scale * v1
            w2[row, i] = scale * 2.0 * (g - half * half + 0.25 * v1 * v1 * (1.0 / v + 0.25))


@nb.njit(**OUTER)
def fill_rows(k, centre, width, n, scale, least, first, X, spans):
    """X[first + i, j] = scale[j] times component j's price at k[i]; below `least` (p,) it is zero.

    `spans` (., 2): the bumps with anything in them.
    """
    keep_apart()
    forward = np.empty(n)
    for j in range(n):
        forward[j] = math.exp(centre[j] + 0.5 * width[j] * width[j])
    for i in range(k.size):
        row = X[first + i]
        fill_otm(k[i], centre[:n], width[:n], forward, scale[:n], row[:n])
        low, high = n, 0
        for j in range(n):
            if row[j] > least[i]:
                low = min(low, j)
                high = j + 1
            else:
                row[j] = 0.0
        spans[first + i, 0] = min(low, high)
        spans[first + i, 1] = high


@nb.njit(**OUTER)
def fill_design(k, start, bumps, centre, width, scale, least, X, spans):
    """`fill_rows` of every slice; centre, width, scale (m, bumps)."""
    for t in range(bumps.size):
        low, high = start[t], start[t + 1]
        fill_rows(
            k[low:high], centre[t], width[t], bumps[t], scale[t], least[low:high], low, X, spans
        )


@nb.njit(**OUTER)
def fill_links(k, start, bumps, centre, width, scale, margin, early, late, early_spans, late_spans):
    """Rows (1 + margin) price_t - price_{t+1} at k, in units of the larger price at u = 1."""
    for t in range(bumps.size - 1):
        low, high = start[t], start[t + 1]
        part = k[low:high]
        none = np.full(part.size, NOTHING)
        n, p = bumps[t], bumps[t + 1]
        fill_rows(part, centre[t], width[t], n, scale[t], none, low, early, early_spans)
        fill_rows(part, centre[t + 1], width[t + 1], p, scale[t + 1], none, low, late, late_spans)
        for i in range(low, high):
            x, y = early[i], late[i]
            per = 1.0 / max(total(x[:n]), total(y[:p]), 1e-290)
            for a in range(n):
                x[a] *= per * (1.0 + margin)
            for a in range(p):
                y[a] *= per


@nb.njit(**OUTER)
def fill_cdf(z, out):
    """N(z), shape (p,)."""
    for i in range(z.size):
        out[i] = cdf(z[i])
