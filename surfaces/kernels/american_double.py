"""American options with two exercise boundaries: nopython, no checks, no allocation.

A put with q < r < 0 (a call with r < q < 0) is exercised only between a lower and an upper
boundary: below the lower one the stock's negative yield costs more than waiting on the strike
earns. With time left they approach each other and, unless the vol is small, meet; further out
nobody exercises. Up to there each solves the equation of a single boundary, because an option
above the exercise region never hears of what lies under it, nor the other way round. So:

    premium = int [ rK e^(-rt) (N(-d-(u)) - N(-d-(l))) - qS e^(-qt) (N(-d+(u)) - N(-d+(l))) ] dt

over the times at which u(T - t) > l(T - t).

Source  J. Healy, J. Computational Finance 25(1) (2021), arXiv 2109.15157; the two decoupled
        equations and the end at their meeting: L. Andersen, M. Lake, Wilmott (2021) 30-40. The
        search for the meeting is ours: regula falsi (Illinois) in sqrt(tau) over solved windows.
"""

import math

import numba as nb

from surfaces.kernels.american import TINY, european, sure_value
from surfaces.kernels.american_boundary import (
    EQ,
    ER,
    HALF,
    INNER,
    INV,
    K_Q,
    K_R,
    K_SIGMA,
    K_T,
    ROOT,
    SHARE,
    WEIGHT,
    B,
    H,
    income,
    lean_exp,
    set_carry,
    set_edges,
    set_points,
    sweep,
)
from surfaces.kernels.american_greeks import RHO, assemble, bumped, fill_constant, slopes
from surfaces.kernels.american_vol import european_vega, fit
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

MAX_SWEEPS = 60
MAX_STEPS = 80
SETTLED = 1e-13  # change of ln(B/X)^2 at which a boundary stands


@nb.njit(cache=True, error_model="numpy")
def ends(r, q, sigma):
    """(least ln of the upper, most ln of the lower) boundary: perpetual ones, if they exist."""
    bottom = math.log(r / q)
    half = 0.5 - (r - q) / (sigma * sigma)
    square = half * half + 2.0 * r / (sigma * sigma)
    if half >= 0.0 or square < 0.0:
        return bottom, 0.0
    root = math.sqrt(square)
    upper, lower = half - root, half + root
    return math.log(upper / (upper - 1.0)), math.log(lower / (lower - 1.0))


@nb.njit(**INNER)
def settle(side, sigma, tau, anchor, far, engine):
    """Iterate fixed point B of one boundary over the window [0, tau] until it stands."""
    node, point, _, inner, _, _ = engine
    v = sigma * math.sqrt(tau)
    for m in range(point.shape[1]):
        s = v * point[SHARE, m]
        point[INV, m] = 1.0 / s
        point[HALF, m] = 0.5 * s
    span = far - anchor
    for i in range(node.shape[1]):
        node[B, i] = anchor + span * (1.0 - lean_exp(-0.64 * v * node[ROOT, i] / abs(span)))
    low, high = min(anchor, far), max(anchor, far)
    for _ in range(MAX_SWEEPS):
        sweep(side, 0.0, anchor, low, high, node, point, inner)
        most = 0.0
        for i in range(node.shape[1]):
            most = max(most, abs((node[B, i] - anchor) ** 2 - node[H, i]))
        if most < SETTLED:
            break


@nb.njit(**INNER)
def set_window(tau, sigma, r, q, upper, lower):
    """Solve both boundaries over [0, tau]; returns by how much the upper stays above the lower."""
    bottom = math.log(r / q)
    least, most = ends(r, q, sigma)
    n = upper.node.shape[1]
    set_carry(tau, r, q, upper.node, upper.point, upper.outer, upper.key)
    set_carry(tau, r, q, lower.node, lower.point, lower.outer, lower.key)
    for m in range(lower.point.shape[1] - n, lower.point.shape[1]):
        lower.point[ER, m] = 0.0  # at expiry nothing is got below the strike but by exercise
        lower.point[EQ, m] = 0.0
    settle(1.0, sigma, tau, 0.0, least - 1e-12, upper)
    settle(-1.0, sigma, tau, bottom, most + 1e-12, lower)
    return upper.node[B, n - 1] - lower.node[B, n - 1]


@nb.njit(**INNER)
def meeting(T, sigma, r, q, upper, lower):
    """Time to expiry at which the boundaries meet, or T if they have not met by then."""
    at_end = set_window(T, sigma, r, q, upper, lower)
    if at_end > 0.0:
        return T
    a, f_a, b, f_b = 0.0, -math.log(r / q), math.sqrt(T), at_end
    c = b
    for _ in range(60):
        c = (a * f_b - b * f_a) / (f_b - f_a)
        f = set_window(c * c, sigma, r, q, upper, lower)
        if abs(f) < 1e-10 or b - a < 1e-12 * b:
            break
        if f * f_b < 0.0:
            a, f_a = b, f_b
        else:
            f_a *= 0.5
        b, f_b = c, f
    return c * c


@nb.njit(**INNER)
def set_two(T, sigma, r, q, share, weight, upper, lower):
    """Both boundaries of a put with q < r < 0, unless held already; returns the window's length.

    `share` and `weight` are those of the outer points if the window is the whole life; else the
    points are moved into the window, which lies at the end of the life.
    """
    key = lower.key
    if key[K_SIGMA] == sigma and key[K_R] == r and key[K_Q] == q and upper.key[K_SIGMA] == T:
        return key[K_T]
    window = meeting(T, sigma, r, q, upper, lower)
    key[K_SIGMA], upper.key[K_SIGMA] = sigma, T
    v, part = sigma * math.sqrt(T), window / T
    for side in (1.0, -1.0):
        node, _, outer, _, blend, _ = upper if side > 0.0 else lower
        for m in range(share.size):
            y = share[m]
            outer[SHARE, m] = y if window == T else math.sqrt(1.0 - part * (1.0 - y * y))
            outer[WEIGHT, m] = part * weight[m]
        set_points(T, r, q, outer)
        set_edges(side, v, 0.0 if side > 0.0 else math.log(r / q), node, outer, blend)
    return window


@nb.njit(**INNER)
def jet(w, S, K, T, sigma, r, q, share, weight, upper, lower):
    """(premium, its four derivatives in spot, whether exercised now)."""
    near, far, rate, other = (K, S, q, r) if w > 0.0 else (S, K, r, q)
    window = set_two(T, sigma, rate, other, share, weight, upper, lower)
    x, last = math.log(near / far), upper.node.shape[1] - 1
    if window == T and lower.node[B, last] <= x <= upper.node[B, last]:
        plain = spot_greeks_one(w, S, K, T, sigma, r, q)
        return w * (S - K) - plain[0], (w - plain[1], -plain[2], 0.0, 0.0), True
    extra = income(x, near, far, upper.outer) - income(x, near, far, lower.outer)
    a, b = slopes(w, S, K, upper.outer), slopes(w, S, K, lower.outer)
    return extra, (a[0] - b[0], a[1] - b[1], a[2] - b[2], a[3] - b[3]), False


@nb.njit(**INNER)
def double_price(w, S, K, T, sigma, r, q, share, weight, upper, lower):
    """(American price, premium over the European, its slopes, whether exercised now)."""
    plain = european(w, S, K, T, sigma, r, q)
    least = sure_value(w, S, K, T, r, q)
    none = (0.0, 0.0, 0.0, 0.0)
    if not (T > 0.0 and S > 0.0 and K > 0.0 and sigma * math.sqrt(T) > TINY):
        value = max(plain, least if T > 0.0 else plain)
        return value, value - plain, none, False
    extra, flat, now = jet(w, S, K, T, sigma, r, q, share, weight, upper, lower)
    value = w * (S - K) if now else max(plain + max(extra, 0.0), least)
    return value, value - plain, flat, now


@nb.njit(cache=True, error_model="numpy")
def fill_double(w, S, K, T, vol, r, q, share, weight, upper, lower, price, premium):
    """Write price[i] and premium[i]; every row must have two boundaries."""
    for i in range(price.size):
        got = double_price(w[i], S[i], K[i], T[i], vol[i], r[i], q[i], share, weight, upper, lower)
        price[i], premium[i] = max(got[0], got[0] - got[1]), max(got[1], 0.0)


@nb.njit(cache=True, error_model="numpy")
def fill_double_greeks(
    w, S, K, T, vol, r, q, begin, end, share, weight, upper, lower, premium, out
):
    """Write the Greeks of row i into out[:, i], and its premium; all rows have two boundaries.

    `begin` and `end` as in `american_greeks.greeks_one`. With vol * sqrt(T) zero they are those of
    the European option.
    """
    for i in range(out.shape[1]):
        args = (w[i], S[i], K[i], T[i])
        sigma, rate = vol[i], r[i]
        for row, number in enumerate(spot_greeks_one(*args, sigma, rate, q[i])):
            out[row, i] = number
        got = double_price(*args, sigma, rate, q[i], share, weight, upper, lower)
        value, extra, flat, now = got
        premium[i] = max(extra, 0.0)
        if now:
            fill_constant(value, w[i], i, out)
            continue
        out[0, i] = value
        if not (T[i] > 0.0 and S[i] > 0.0 and K[i] > 0.0 and sigma * math.sqrt(T[i]) > TINY):
            continue
        total, first, second, third, rates, width = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
        for k in range(begin, end):
            sign, v, moved = bumped(k, w[i], sigma, rate, q[i])
            more, sloped, _ = jet(*args, v, moved, q[i], share, weight, upper, lower)
            if k < 2:
                total += more
                first += sign * more
                second += sign * sloped[0]
                third += sign * sloped[1]
            else:
                rates += sign * more
                width += abs(moved - rate)
        vols = (total, first, second, third)
        assemble(S[i], K[i], rate, q[i], sigma, value, extra, flat, vols, i, out)
        out[RHO, i] += rates / width if width > 0.0 else 0.0


@nb.njit(**INNER)
def double_vol(price, w, S, K, T, r, q, share, weight, upper, lower):
    """(vol, status) of one price: regula falsi (Illinois) on a bracket."""
    if not fit(price, S, K, T, r, q):
        return math.nan, BAD_INPUT
    least = sure_value(w, S, K, T, r, q)
    if price <= least:
        if price < least:
            return math.nan, BELOW_INTRINSIC
        return (0.0, NO_VEGA) if price == 0.0 else (math.nan, NO_VEGA)
    if price >= (S * math.exp(-q * T) if w > 0.0 else K * math.exp(-r * T)):
        return math.nan, ABOVE_BOUND
    cap, code = vol_one(price, w, S * math.exp((r - q) * T), K, T, math.exp(-r * T))
    a, f_a, c = 0.0, least - price, cap * (1.0 + 1e-12) if code == OK else 0.2
    b, f_b, slope = math.inf, 0.0, european_vega(S, K, T, c, r, q)
    for step in range(MAX_STEPS):
        f = double_price(w, S, K, T, c, r, q, share, weight, upper, lower)[0] - price
        if abs(f) <= 1e-15 * K or abs(c - b) <= 1e-10 * c:
            return c, OK
        if b == math.inf and f < 0.0:  # no upper end yet
            if c * math.sqrt(T) > 60.0:
                return math.nan, ABOVE_BOUND
            a, f_a, c = c, f, 1.5 * c
            continue
        if f * f_b < 0.0:
            a, f_a = b, f_b
        elif step > 1:
            f_a *= 0.5
        b, f_b = c, f
        c = (a * f_b - b * f_a) / (f_b - f_a)
        if step == 0 and slope > 0.0 and b - 1.5 * f_b / slope > 0.0:
            c = b - 1.5 * f_b / slope  # a little too far, so that it becomes the other end
    return math.nan, NOT_CONVERGED


@nb.njit(cache=True, error_model="numpy")
def fill_double_vol(price, w, S, K, T, r, q, share, weight, upper, lower, vol, status):
    """Write vol[i] and status[i] (uint8); every row must have two boundaries."""
    for i in range(vol.size):
        vol[i], status[i] = double_vol(
            price[i], w[i], S[i], K[i], T[i], r[i], q[i], share, weight, upper, lower
        )


@nb.njit(cache=True, error_model="numpy")
def fill_double_region(w, K, T, vol, r, q, share, weight, upper, lower, low, high):
    """Write where exercise is optimal, between low[i] and high[i]; NaN once they have met."""
    last = upper.node.shape[1] - 1
    for i in range(low.size):
        rate, other = (q[i], r[i]) if w[i] > 0.0 else (r[i], q[i])
        bottom, top = rate / other, 1.0
        if vol[i] * math.sqrt(T[i]) > TINY:
            window = set_two(T[i], vol[i], rate, other, share, weight, upper, lower)
            met = window < T[i]
            bottom = math.nan if met else math.exp(lower.node[B, last])
            top = math.nan if met else math.exp(upper.node[B, last])
        low[i], high[i] = K[i] * bottom, K[i] * top
        if w[i] > 0.0:
            low[i], high[i] = K[i] / top, K[i] / bottom
