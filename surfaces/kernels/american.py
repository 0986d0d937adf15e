"""American options on a continuous yield in scalars: nopython, no checks, no allocation.

Price = European + premium, and the premium is an integral over the exercise boundary B(tau):

    premium = int_0^T [ r K e^(-r t) N(-d-(t, S/B)) - q S e^(-q t) N(-d+(t, S/B)) ] dt     (put)

with t the time until exercise and B taken at T - t left. The boundary solves a fixed-point
equation, at Chebyshev nodes in sqrt(tau) for H = ln(B/X)^2, X = K min(1, r/q), which is nearly a
straight line. It scales with K and serves a call with r and q swapped (McDonald-Schroder):
B_call / K = K / B_put(q, r). So the boundary is kept as b = ln(B/K) of a put.

Source  L. Andersen, M. Lake, D. Offengenden, J. Computational Finance 20(1) (2016) 39-87: their
        fixed points A and B; start: M. Li, Quantitative Finance 10 (2010), QD+.
        Which of the two: A converges faster, but its iteration explodes where r or r - q is
        large against sigma^2 (calm and long); B always contracts. The switch was measured: A
        is the better one up to about 8, and diverges from about 20.
"""

import math
from typing import NamedTuple

import numba as nb
import numpy as np
from numpy.typing import NDArray

from surfaces.kernels.black import price_one
from surfaces.kernels.normal import INV_SQRT_2PI, mills

CALM = 6.0  # 2 max(r, r - q) / sigma^2 from which fixed point B is used
TINY = 1e-5  # sigma sqrt(T) below which only the moment of exercise matters, not chance


class Scheme(NamedTuple):
    """Constants of one accuracy: n + 1 boundary nodes, l inner and p outer quadrature nodes.

    A quadrature variable v in [0, 1] stands for time t = tau v^2; weights include dt/dv / tau.
    """

    root: NDArray[np.float64]  # (n+1,) sqrt(tau / T) of the boundary nodes, ascending from 0
    v: NDArray[np.float64]  # (l,)
    w: NDArray[np.float64]  # (l,)
    inner: NDArray[np.float64]  # (n, l, n+1) H at node i, point k, from H at the nodes
    outer_v: NDArray[np.float64]  # (p,)
    outer_w: NDArray[np.float64]  # (p,)
    outer: NDArray[np.float64]  # (p, n+1)
    steps: int  # fixed-point iterations after the start
    tol: float  # Newton on the start stops at this change of ln B


@nb.njit(cache=True, error_model="numpy")
def regime(w, r, q):
    """0: never exercised early; 1: one boundary; 2: two boundaries, which are not priced here."""
    rate, other = (q, r) if w > 0.0 else (r, q)  # what exercising early earns interest at
    if rate > 0.0:
        return 1
    if other >= rate:
        return 0
    return 1 if rate == 0.0 else 2


@nb.njit(cache=True, error_model="numpy")
def use_form_a(w, sigma, r, q):
    """Which fixed point to iterate; r and q change places for a call."""
    rate, other = (q, r) if w > 0.0 else (r, q)
    return 2.0 * max(rate, rate - other) < CALM * sigma * sigma


@nb.njit(cache=True, error_model="numpy")
def grown_density(g, z):
    """exp(g) phi(z) in one exponential."""
    return INV_SQRT_2PI * math.exp(g - 0.5 * z * z)


@nb.njit(cache=True, error_model="numpy")
def grown_cdf(g, z):
    """exp(g) N(z); loses z^2 units in the last place in the far tail, which is nothing here."""
    tail = grown_density(g, z) * mills(abs(z))
    return tail if z <= 0.0 else math.exp(g) - tail


@nb.njit(cache=True, error_model="numpy")
def qd_plus(r, q, sigma, tau, b):
    """Li's QD+ equation at ln(S/K) = b and its derivative in b; its root is the first guess."""
    variance = sigma * sigma
    v = sigma * math.sqrt(tau)
    df, dq = math.exp(-r * tau), math.exp(-q * tau)
    grown = r / -math.expm1(-r * tau) if abs(r * tau) > 1e-12 else 1.0 / tau
    omega = 2.0 * (r - q) / variance
    spread = math.sqrt((omega - 1.0) ** 2 + 8.0 * grown / variance)
    lam = 0.5 * (1.0 - omega - spread)
    lam_slope = 2.0 * grown * grown / (variance * spread)
    alpha = -2.0 * df / (variance * spread)
    beta = alpha * (grown - lam_slope / spread) - lam
    S = math.exp(b)
    dp = (b + (r - q) * tau) / v + 0.5 * v
    dm = dp - v
    n1, n2, phi = grown_cdf(0.0, -dp), grown_cdf(0.0, -dm), grown_density(0.0, dp)
    put = df * n2 - S * dq * n1
    theta = r * df * n2 - q * S * dq * n1 - 0.5 * variance * S / v * dq * phi
    charm = -dq * (phi * ((r - q) / v - 0.5 * dm / tau) + q * n1)
    value = (1.0 - dq * n1) * S - beta * (1.0 - S - put) + alpha * theta / df
    slope = (1.0 - dq * n1) * (1.0 + beta) + dq / v * phi + alpha / df * charm
    return value, slope * S


@nb.njit(cache=True, error_model="numpy")
def start_boundary(r, q, sigma, T, floor, scheme, b):
    """First guess of b = ln(B/K) at the nodes, by Newton on QD+ from the node before."""
    top = b[0]
    guess = top - 0.5 * sigma * math.sqrt(T) * scheme.root[1]
    for i in range(1, b.size):
        tau = T * scheme.root[i] * scheme.root[i]
        for _ in range(20):
            value, slope = qd_plus(r, q, sigma, tau, guess)
            step = -value / slope
            if not abs(step) < math.inf:
                break
            if guess + step >= top:
                step = 0.5 * (top - guess)
            step = max(step, -1.0)
            guess += step
            if abs(step) < scheme.tol:
                break
        guess = min(max(guess, floor), top)
        b[i] = guess


@nb.njit(cache=True, error_model="numpy")
def image(r, q, sigma, tau, bi, top, i, form_a, scheme, H):
    """What one fixed-point iteration makes of ln(B/K) at node i."""
    v = sigma * math.sqrt(tau)
    drift = (r - q) * tau
    dm = (bi + drift) / v - 0.5 * v
    dp = dm + v
    up, down = 0.0, 0.0
    for k in range(scheme.v.size):
        h = 0.0
        for j in range(H.size):
            h += scheme.inner[i - 1, k, j] * H[j]
        y = scheme.v[k]
        s = v * y
        em = (bi - top + math.sqrt(max(h, 0.0)) + drift * y * y) / s - 0.5 * s
        ep = em + s
        u = tau * (1.0 - y * y)
        if form_a:
            up += scheme.w[k] * grown_density(r * u, em) / s
            near = grown_density(q * u, ep)
            below = near * mills(abs(ep))
            down += scheme.w[k] * (near / s + (below if ep <= 0.0 else math.exp(q * u) - below))
        else:
            up += scheme.w[k] * grown_cdf(r * u, em)
            down += scheme.w[k] * grown_cdf(q * u, ep)
    if form_a:
        up = grown_density(0.0, dm) / v + r * tau * up
        down = grown_density(0.0, dp) / v + grown_cdf(0.0, dp) + q * tau * down
    else:
        up = grown_cdf(0.0, dm) + r * tau * up
        down = grown_cdf(0.0, dp) + q * tau * down
    return math.log(up / down) - drift


@nb.njit(cache=True, error_model="numpy")
def fill_boundary(r, q, sigma, T, form_a, scheme, b, H):
    """Write b = ln(B/K) of a put and H = (b - b[0])^2 at the scheme's nodes; r > 0 or r = 0 > q.

    Every iterate is kept between the perpetual boundary and the one at expiry.
    """
    top = min(0.0, math.log(r / q)) if r > 0.0 and q > 0.0 else 0.0
    half = 0.5 - (r - q) / (sigma * sigma)
    lam = half - math.sqrt(half * half + 2.0 * r / (sigma * sigma))
    floor = math.log(lam / (lam - 1.0)) if lam < -1e-300 else -700.0
    b[0], H[0] = top, 0.0
    start_boundary(r, q, sigma, T, floor, scheme, b)
    for _ in range(scheme.steps):
        for i in range(1, b.size):
            H[i] = (b[i] - top) ** 2
        for i in range(1, b.size):
            tau = T * scheme.root[i] * scheme.root[i]
            new = image(r, q, sigma, tau, b[i], top, i, form_a, scheme, H)
            if floor <= new <= top:  # also refuses NaN
                b[i] = new
            elif new > top:
                b[i] = 0.5 * (b[i] + top)
            elif new < floor:
                b[i] = 0.5 * (b[i] + floor)
    for i in range(1, b.size):
        H[i] = (b[i] - top) ** 2


@nb.njit(cache=True, error_model="numpy")
def prepared_boundary(w, T, sigma, r, q, form_a, scheme, b, H):
    """The boundary of a call or a put; returns ln(B/K) at T left, with the option's own sign."""
    if w > 0.0:
        fill_boundary(q, r, sigma, T, form_a, scheme, b, H)
    else:
        fill_boundary(r, q, sigma, T, form_a, scheme, b, H)
    return -w * b[b.size - 1]


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
    """Black-Scholes-Merton."""
    forward = S * math.exp((r - q) * T)
    return math.exp(-r * T) * price_one(w, forward, K, sigma * math.sqrt(T))


@nb.njit(cache=True, error_model="numpy")
def integral(w, S, K, T, sigma, r, q, top, scheme, H):
    """The premium as the integral over the boundary held in H; S is on the side of waiting."""
    x = math.log(S / K)
    v = sigma * math.sqrt(T)
    total = 0.0
    for k in range(scheme.outer_v.size):
        h = 0.0
        for j in range(H.size):
            h += scheme.outer[k, j] * H[j]
        y = scheme.outer_v[k]
        t = T * y * y
        s = v * y
        edge = -w * (top - math.sqrt(max(h, 0.0)))
        em = (x - edge + (r - q) * t) / s - 0.5 * s
        due = r * K * grown_cdf(-r * t, w * em)
        paid = q * S * grown_cdf(-q * t, w * (em + s))
        total += scheme.outer_w[k] * (paid - due)
    return w * T * total


@nb.njit(cache=True, error_model="numpy")
def priced(w, S, K, T, sigma, r, q, scheme, b, H, kept, edge):
    """(American price, premium over the European, whether b and H now hold a boundary, its edge).

    `kept` says that they hold it already, for this w, T, sigma, r and q: a boundary knows neither
    spot nor strike. NaN where two boundaries exist.
    """
    plain = european(w, S, K, T, sigma, r, q)
    kind = regime(w, r, q)
    if kind == 0 or not (T > 0.0 and S > 0.0 and K > 0.0):
        now = max(w * (S - K), 0.0)  # S = 0 or K = 0: exercise at once if that is worth anything
        if kind == 0 or not (T > 0.0 and now > plain):
            return plain, 0.0, False, 0.0
        return now, now - plain, False, 0.0
    if kind == 2:
        return math.nan, math.nan, False, 0.0
    least = sure_value(w, S, K, T, r, q)
    if not sigma * math.sqrt(T) > TINY:
        return max(plain, least), max(least - plain, 0.0), False, 0.0
    if not kept:
        form_a = use_form_a(w, sigma, r, q)
        edge = prepared_boundary(w, T, sigma, r, q, form_a, scheme, b, H)
    if w * (math.log(S / K) - edge) >= 0.0:
        now = w * (S - K)
        return max(now, plain), max(now - plain, 0.0), True, edge
    extra = integral(w, S, K, T, sigma, r, q, b[0], scheme, H)
    value = max(plain + max(extra, 0.0), least)
    return value, max(extra, value - plain, 0.0), True, edge


@nb.njit(cache=True, error_model="numpy")
def price_and_premium(w, S, K, T, sigma, r, q, scheme, b, H):
    """(American price, premium over the European); NaN where two boundaries exist."""
    value, premium, _, _ = priced(w, S, K, T, sigma, r, q, scheme, b, H, False, 0.0)
    return value, premium


@nb.njit(cache=True, error_model="numpy")
def fill_price(w, S, K, T, vol, r, q, scheme, b, H, price, premium):
    """Write price[i] and premium[i]; b and H are scratch of the scheme's size.

    Neighbours that differ in spot and strike only share one boundary.
    """
    kept, edge = False, 0.0
    for i in range(price.size):
        j = i - 1
        if kept:
            kept = (
                w[i] == w[j] and T[i] == T[j] and vol[i] == vol[j] and r[i] == r[j] and q[i] == q[j]
            )
        price[i], premium[i], kept, edge = priced(
            w[i], S[i], K[i], T[i], vol[i], r[i], q[i], scheme, b, H, kept, edge
        )
