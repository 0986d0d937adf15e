"""European options with cash dividends: nopython, unchecked, scratch arrays apart no allocation.

Two models. Escrowed: Black's on the forward that the dividends leave. Spot, or piecewise lognormal:
the share itself is lognormal between ex-dates, and on an ex-date S becomes max(keep S - cash, 0).

The spot model goes backwards over ex-dates. In y = ln(share after the dividend) the value is a
Gaussian convolution, and so is the transition density in x = ln(share before) = ln((e^y + cash) /
keep), which is as smooth in y, floor and all. For such integrands the trapezoid rule on the whole
line converges like exp(-2 (pi width / step)^2), so values at the nodes of one ex-date are sums over
the nodes of the next, with no interpolation in between. What falls to zero adds its probability
times the payoff there. The last stretch, from the last ex-date to expiry, is Black's formula.

Source  the model: E. Haug, J. Haug, A. Lewis, Wilmott magazine (2003) 37-47; the recursion is ours.
"""

import math

import numba as nb
import numpy as np

from surfaces.kernels.black import price_one
from surfaces.kernels.normal import INV_SQRT_2PI, exp

CHANCE = 9.0  # standard deviations that integrals reach to
STEP = 0.7  # of the width of the narrowest factor of an integrand: an error of 1e-16 of it
WIDEST = 0.3  # step in ln S: the map from x to y is analytic within pi of the real line only
DEPTH = 36.0  # ln of how far below the smallest dividend shares still count: e^-36
AT_EXPIRY = 1e-6  # years: an ex-date this close to expiry is at expiry
SOON = 1e-9  # years: an ex-date sooner is taken to be this far away
CALM = 1e-6  # vol sqrt(T) below which only the sure path counts: 4e-7 of spot at most, and no cost
WILD = 16.0  # vol sqrt(T) past which nothing changes: N(-8) is below the last place of a price
PRICE, DUAL, DENSITY = 0, 1, 2
INV_SQRT_2 = 0.7071067811865476


@nb.njit(cache=True, error_model="numpy")
def cdf(z):
    """N(z) by the library: nothing vectorises here, and this compiles in less time."""
    return 0.5 * math.erfc(-z * INV_SQRT_2)


@nb.njit(cache=True, error_model="numpy")
def due(T, years):
    """How many of the rising ex-dates come until expiry, expiry included."""
    n = 0
    while n < years.size and years[n] <= T:
        n += 1
    return n


@nb.njit(cache=True, error_model="numpy")
def forward_jet(S, T, b, years, keep, cash):
    """(forward, its slope in spot, its slope in the rate), no floor at zero."""
    slope = math.exp(b * T)
    paid, by_rate, kept = 0.0, 0.0, 1.0
    for i in range(due(T, years) - 1, -1, -1):
        value = cash[i] * kept * math.exp(b * (T - years[i]))
        paid += value
        by_rate += value * (T - years[i])
        kept *= keep[i]
    slope *= kept
    return S * slope - paid, slope, S * slope * T - by_rate


@nb.njit(cache=True, error_model="numpy")
def fill_escrowed(w, S, K, T, vol, r, q, years, keep, cash, out):
    """Write escrowed prices; False if a forward is negative, whose price is then NaN."""
    fine = True
    for i in range(out.size):
        F, _, _ = forward_jet(S[i], T[i], r[i] - q[i], years, keep, cash)
        fine &= F >= 0.0
        s = vol[i] * math.sqrt(T[i])
        out[i] = math.exp(-r[i] * T[i]) * price_one(w[i], F, K[i], s) if F >= 0.0 else math.nan
    return fine


@nb.njit(cache=True, error_model="numpy")
def sure_share(S, T, b, years, keep, cash):
    """What the share is worth at expiry if it grows surely; zero once a dividend takes all."""
    at = 0.0
    for i in range(due(T, years)):
        S = max(keep[i] * S * math.exp(b * (years[i] - at)) - cash[i], 0.0)
        at = years[i]
    return S * math.exp(b * (T - at))


@nb.njit(cache=True, error_model="numpy")
def at_end(kind, w, F, K, floor, kept, s):
    """Undiscounted value after the last ex-date before expiry, or its slope or bend in the strike.

    A dividend at expiry makes the payoff kept (S - K)^+ of a call, and kept [(K - S)^+ -
    (floor - S)^+] of a put, with K and floor before it.
    """
    if kind == PRICE:
        value = price_one(w, F, K, s)
        if w < 0.0 and floor > 0.0:
            value -= price_one(-1.0, F, floor, s)
        return kept * value
    if not K > 0.0:
        return -1.0 if kind == DUAL and w > 0.0 else 0.0
    d2 = math.log(F / K) / s - 0.5 * s
    if kind == DUAL:
        return -w * cdf(w * d2)
    return INV_SQRT_2PI * math.exp(-0.5 * d2 * d2) / (K * s * kept)


@nb.njit(cache=True, error_model="numpy")
def since(i, years):
    """Years from the ex-date before, or from today, to ex-date i."""
    return years[i] - years[i - 1] if i > 0 else max(years[0], SOON)


@nb.njit(cache=True, error_model="numpy")
def grid(i, n, S, T, sigma, b, years, keep, cash):
    """(lowest y, step, number of nodes) of ex-date i of n, y = ln(share after it)."""
    t, before = max(years[i], SOON), since(i, years)
    after = (years[i + 1] if i + 1 < n else T) - t
    step = min(STEP * sigma * math.sqrt(before * after / (before + after)), WIDEST)
    drift, reach = b - 0.5 * sigma * sigma, CHANCE * sigma * math.sqrt(t)
    high = math.log(S) + drift * t + reach + sigma * sigma * t
    low, least, at = S, math.inf, 0.0
    for j in range(i + 1):
        gap = years[j] - at
        at = years[j]
        high += math.log(keep[j])
        # The straight path down; twice the dividends, for paths that pay them when lower.
        low = keep[j] * low * math.exp(drift * gap - reach * gap / t) - 2.0 * cash[j]
        if cash[j] > 0.0:
            least = min(least, cash[j])
    if least < math.inf:
        floor = math.log(least) - DEPTH
        bottom = max(math.log(low), floor) if low > 0.0 else floor
    else:
        bottom = math.log(low)
    return bottom, step, int(max((high - bottom) / step, 1.0)) + 2


@nb.njit(cache=True, error_model="numpy", fastmath={"nsz"})
def spread(x, a, m, inverse, part):
    """part = a exp(-z^2/2), z = (x - m) inverse."""
    for k in range(part.size):
        z = (x[k] - m) * inverse
        part[k] = a[k] * exp(-0.5 * z * z)


@nb.njit(cache=True, error_model="numpy")
def hermite_sums(x, a, m, s, out):
    """Sum of a exp(-z^2/2) and its first four derivatives in m."""
    for j in range(5):
        out[j] = 0.0
    for k in range(x.size):
        z = (x[k] - m) / s
        e = a[k] * math.exp(-0.5 * z * z)
        y = z * z
        out[0] += e
        out[1] += e * z / s
        out[2] += e * (y - 1.0) / (s * s)
        out[3] += e * z * (y - 3.0) / (s * s * s)
        out[4] += e * (y * (y - 6.0) + 3.0) / (s * s * s * s)


@nb.njit(cache=True, error_model="numpy")
def add_gone(worth, z, s, out):
    """Add `worth` N(z) and its derivatives in m, z = (edge - m)/s: the share fell to zero."""
    y = z * z
    weight = worth * INV_SQRT_2PI * math.exp(-0.5 * y)
    out[0] += worth * cdf(z)
    out[1] -= weight / s
    out[2] -= weight * z / (s * s)
    out[3] -= weight * (y - 1.0) / (s * s * s)
    out[4] -= weight * z * (y - 3.0) / (s * s * s * s)


@nb.njit(cache=True, error_model="numpy")
def back(i, n, S, T, sigma, b, worth, values, years, keep, cash):
    """Values at the nodes of ex-date i - 1 from those at the nodes of ex-date i."""
    x, a, edge = density_weights(i, n, S, T, sigma, b, values, years, keep, cash)
    gap = since(i, years)
    s = sigma * math.sqrt(gap)
    low, step, count = grid(i - 1, n, S, T, sigma, b, years, keep, cash)
    out = np.empty(count)
    part = np.empty(x.size)
    first, last = 0, 0
    for j in range(count):
        m = low + step * j + (b - 0.5 * sigma * sigma) * gap
        while first < x.size and x[first] < m - CHANCE * s:
            first += 1
        while last < x.size and x[last] <= m + (CHANCE + s) * s:
            last += 1
        spread(x[first:last], a[first:last], m, 1.0 / s, part[first:last])
        total = worth * cdf((edge - m) / s) if worth != 0.0 else 0.0
        for k in range(first, last):
            total += part[k]
        out[j] = total
    return out


@nb.njit(cache=True, error_model="numpy")
def density_weights(i, n, S, T, sigma, b, values, years, keep, cash):
    """(x, a, ln of the share that falls to zero) at the nodes of ex-date i.

    `a` is the value times all of the transition density but its exponential.
    """
    low, step, count = grid(i, n, S, T, sigma, b, years, keep, cash)
    s = sigma * math.sqrt(since(i, years))
    x, a = np.empty(count), np.empty(count)
    for k in range(count):
        after = math.exp(low + step * k)
        x[k] = math.log((after + cash[i]) / keep[i])
        a[k] = values[k] * after / (after + cash[i]) * (step * INV_SQRT_2PI / s)
    edge = math.log(cash[i] / keep[i]) if cash[i] > 0.0 else -math.inf
    return x, a, edge


@nb.njit(cache=True, error_model="numpy")
def jet(kind, w, S, K, T, sigma, b, n, years, keep, cash, out):
    """Undiscounted value (or slope or bend in the strike) and four derivatives in ln S into `out`.

    n >= 1 ex-dates before expiry; the one after them, if due, is at expiry.
    """
    kept, floor, strike = 1.0, 0.0, K
    if due(T, years) > n:
        kept, floor = keep[n], cash[n] / keep[n]
        strike = K / kept + floor
    worth = 0.0 if w > 0.0 or kind == DENSITY else (K if kind == PRICE else 1.0)
    last = T - years[n - 1]
    low, step, count = grid(n - 1, n, S, T, sigma, b, years, keep, cash)
    values = np.empty(count)
    for k in range(count):
        F = math.exp(low + step * k + b * last)
        values[k] = at_end(kind, w, F, strike, floor, kept, sigma * math.sqrt(last))
    for i in range(n - 1, 0, -1):
        values = back(i, n, S, T, sigma, b, worth, values, years, keep, cash)
    x, a, edge = density_weights(0, n, S, T, sigma, b, values, years, keep, cash)
    m = math.log(S) + (b - 0.5 * sigma * sigma) * since(0, years)
    s = sigma * math.sqrt(since(0, years))
    hermite_sums(x, a, m, s, out)
    if worth != 0.0 and cash[0] > 0.0:
        add_gone(worth, (edge - m) / s, s, out)


@nb.njit(cache=True, error_model="numpy")
def before_expiry(T, years):
    """How many ex-dates come before expiry and are not at it."""
    n = due(T, years)
    return n - 1 if n > 0 and T - years[n - 1] < AT_EXPIRY else n


@nb.njit(cache=True, error_model="numpy")
def without_recursion(w, S, K, T, vol, b, years, keep, cash):
    """Undiscounted price where no ex-date comes before expiry, or nothing is left to chance."""
    s = vol * math.sqrt(T)
    if not (S > 0.0 and s > CALM):
        return max(w * (sure_share(S, T, b, years, keep, cash) - K), 0.0)
    F = S * math.exp(b * T)
    if due(T, years) == 0:
        return price_one(w, F, K, s)
    floor = cash[0] / keep[0]
    return at_end(PRICE, w, F, K / keep[0] + floor, floor, keep[0], s)


@nb.njit(cache=True, error_model="numpy")
def fill_spot(w, S, K, T, vol, r, q, years, keep, cash, out):
    """Write spot-model prices; the schedule is three arrays with rising ex-dates after today."""
    found = np.empty(5)
    for i in range(out.size):
        b = r[i] - q[i]
        n = before_expiry(T[i], years)
        if n > 0 and S[i] > 0.0 and vol[i] * math.sqrt(T[i]) > CALM:
            v = min(vol[i], WILD / math.sqrt(T[i]))
            jet(PRICE, w[i], S[i], K[i], T[i], v, b, n, years, keep, cash, found)
            value = max(found[0], 0.0)
        else:
            value = without_recursion(w[i], S[i], K[i], T[i], vol[i], b, years, keep, cash)
        out[i] = math.exp(-r[i] * T[i]) * value
