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
ZERO = {"nsz"}  # the sign of zero does not matter: loops over bumps run side by side
FAR = 36.0
CUT = 11.0
NOTHING = 1e-150  # prices below it are no part of a link
LOG_INV_SQRT_2PI = -0.9189385332046727


@nb.njit(**INNER, forceinline=True, fastmath=ZERO)
def held(d):
    """d within +-36, beyond which the normal functions are subnormal numbers, and slow."""
    d = FAR if d > FAR else d
    return -FAR if d < -FAR else d


@nb.njit(**INNER, fastmath=ZERO)
def distances(k, side, centre, width, d):
    """d2 of every bump at k, signed so that a high one is in the money."""
    for j in range(d.size):
        d[j] = held(side * (centre[j] - k) / width[j])


@nb.njit(**INNER, fastmath=ZERO)
def nearer(side, d, width, out):
    """d1 = d2 + the bump's width."""
    for j in range(d.size):
        out[j] = held(d[j] + side * width[j])


@nb.njit(**INNER, fastmath=ZERO)
def to_cdf(x):
    """x := N(x); of one array alone, as two that overlap would be taken one bump at a time."""
    for j in range(x.size):
        x[j] = cdf(x[j])


@nb.njit(**INNER, fastmath=ZERO)
def to_density(x):
    """x := phi(x)."""
    for j in range(x.size):
        x[j] = density(x[j])


@nb.njit(**INNER)
def copy(x, out):
    """out := x."""
    for j in range(x.size):
        out[j] = x[j]


@nb.njit(**INNER, fastmath=ZERO)
def to_price(side, strike, forward, n2, n1):
    """n1 := side (forward N(d1) - strike N(d2))."""
    for j in range(n1.size):
        n1[j] = side * (forward[j] * n1[j] - strike * n2[j])


@nb.njit(**INNER)
def fill_otm(k, centre, width, forward, scale, out, n2):
    """Out-of-the-money prices at one k of every component (bumps,), times `scale`; n2 is scratch.

    Each loop has few arrays, or it would run one bump at a time.
    """
    keep_apart()
    side = 1.0 if k >= 0.0 else -1.0
    distances(k, side, centre, width, n2)
    nearer(side, n2, width, out)
    to_cdf(n2)
    to_cdf(out)
    to_price(side, math.exp(k), forward, n2, out)
    for j in range(out.size):
        out[j] = scale[j] * max(out[j], 0.0)


@nb.njit(**INNER)
def terms(k, side, centre, width, forward, weight, want, price, digital, bend):
    """Each component's out-of-the-money price, and if `want` N(side d2) and density of ln S,
    weighted; else these two are scratch."""
    keep_apart()
    distances(k, side, centre, width, bend)
    nearer(side, bend, width, price)
    copy(bend, digital)
    to_cdf(price)
    to_cdf(digital)
    to_price(side, math.exp(k), forward, digital, price)
    for j in range(price.size):
        price[j] *= weight[j]
    if not want:
        return
    to_density(bend)
    for j in range(price.size):
        digital[j] *= weight[j]
        bend[j] *= weight[j] / width[j]


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


@nb.njit(**INNER)
def bumps_of(weight):
    """How many bumps there are before the padding."""
    n = weight.size
    while n > 1 and not weight[n - 1] > 0.0:
        n -= 1
    return n


@nb.njit(**INNER)
def cut_at(k, centre, width):
    """Deviations beyond which a bump is nothing, or all of itself, at k: `CUT`, and more past the
    outermost bumps, where the nearest one is far away itself."""
    n = centre.size
    out = max((centre[0] - k) / width[0], (k - centre[n - 1]) / width[n - 1])
    return math.sqrt(out * out + CUT * CUT) if out > 0.0 else CUT


@nb.njit(**OUTER)
def fill_sums(k, theta, want, value, digital, pdf):
    """Price, and if `want` N(side d2) and density of ln S, of the mixtures at k: (rows, points).

    theta (rows, 1 + 3n): scale, centres, widths, weights. A price too small for a double is told by
    its logarithm, below zero, with the other two as shares of it.
    """
    size = (theta.shape[1] - 1) // 3
    forward, price, spare, bend = np.empty(size), np.empty(size), np.empty(size), np.empty(size)
    mass, worth = np.empty(size + 1), np.empty(size + 1)  # of the bumps before each
    for row in range(k.shape[0]):
        n = bumps_of(theta[row, 1 + 2 * size :])
        centre, width = theta[row, 1 : 1 + n], theta[row, 1 + size : 1 + size + n]
        weight = theta[row, 1 + 2 * size : 1 + 2 * size + n]
        mass[0] = worth[0] = 0.0
        for j in range(n):
            forward[j] = math.exp(centre[j] + 0.5 * width[j] * width[j])
            mass[j + 1] = mass[j] + weight[j]
            worth[j + 1] = worth[j] + weight[j] * forward[j]
        low = high = 0
        for i in range(k.shape[1]):
            at = k[row, i]
            side = 1.0 if at >= 0.0 else -1.0
            low, high = window(at, centre, width, low, high)
            terms(
                at, side, centre[low:high], width[low:high], forward[low:high], weight[low:high],
                want, price[low:high], spare[low:high], bend[low:high],
            )  # fmt: skip
            # the others are worth nothing, or what they pay for certain
            sure = mass[n] - mass[high] if side > 0.0 else mass[low]
            paid = worth[n] - worth[high] if side > 0.0 else worth[low]
            found = total(price[low:high]) + side * (paid - math.exp(at) * sure)
            if found > TINY:
                value[row, i] = found
                if want:
                    digital[row, i] = total(spare[low:high]) + sure
                    pdf[row, i] = total(bend[low:high])
            else:
                value[row, i], digital[row, i], pdf[row, i] = far(
                    at, side, centre, width, forward[:n], weight
                )


@nb.njit(**INNER)
def window(k, centre, width, low, high):
    """The bumps that are not all or nothing at k, from those of a k near by."""
    n, cut = centre.size, cut_at(k, centre, width)
    while low < n and (k - centre[low]) > cut * width[low]:
        low += 1
    while low > 0 and (k - centre[low - 1]) <= cut * width[low - 1]:
        low -= 1
    high = max(high, low)
    while high < n and (centre[high] - k) <= cut * width[high]:
        high += 1
    while high > low and (centre[high - 1] - k) > cut * width[high - 1]:
        high -= 1
    return low, high


@nb.njit(**OUTER)
def fill_shape(k, scale, value, digital, pdf, s, want, w, w1, w2):
    """w(k), and if `want` its two derivatives, from `fill_sums` and total vols `s`; where s is not
    above zero (or NaN) it is solved for here. `scale` (rows,); the others (rows, points)."""
    for row in range(k.shape[0]):
        for i in range(k.shape[1]):
            at, found, total_s, times = k[row, i], value[row, i], s[row, i], scale[row]
            side = 1.0 if at >= 0.0 else -1.0
            floor = min(at, 0.0)  # ln of the cap, the lesser of strike and one
            log_value = math.log(found) if found > 0.0 else found
            if not total_s > 0.0:
                share = found * math.exp(-floor) if found > 0.0 else math.exp(found - floor)
                total_s, _ = total_vol(abs(at), share, log_value - floor, 1.0 - share)
            w[row, i] = times * total_s * total_s
            if not want:
                continue
            d2 = -at / total_s - 0.5 * total_s
            if found > 0.0:
                ratio = 1.0 / (INV_SQRT_2PI * math.exp(-0.5 * d2 * d2))
            else:
                ratio = math.exp(log_value + 0.5 * d2 * d2 - LOG_INV_SQRT_2PI)
            own = mills(-side * d2) if side * d2 <= 1.0 else cdf(side * d2) * ratio
            slope = side * (own - digital[row, i] * ratio)  # (N2 - mixture's N2) / phi(d2)
            g = pdf[row, i] * ratio * total_s
            v, v1 = total_s * total_s, 2.0 * total_s * slope
            half = 1.0 - 0.5 * at * v1 / v
            w1[row, i] = times * v1
            w2[row, i] = times * 2.0 * (g - half * half + 0.25 * v1 * v1 * (1.0 / v + 0.25))


@nb.njit(**OUTER)
def fill_rows(k, centre, width, n, scale, least, first, X, spans):
    """X[first + i, j] = scale[j] times component j's price at k[i]; below `least` (p,) it is zero.

    `spans` (., 2): the bumps with anything in them.
    """
    keep_apart()
    forward, n2 = np.empty(n), np.empty(n)
    for j in range(n):
        forward[j] = math.exp(centre[j] + 0.5 * width[j] * width[j])
    for i in range(k.size):
        row = X[first + i]
        fill_otm(k[i], centre[:n], width[:n], forward, scale[:n], row[:n], n2)
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


@nb.njit(**OUTER, fastmath=ZERO)
def fill_cdf(z, out):
    """N(z), shape (p,)."""
    for i in range(z.size):
        out[i] = cdf(z[i])
