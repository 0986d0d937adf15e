"""The characteristic function of Heston (1993), with all first derivatives, at one complex point.

X = ln(S_T/F). On the contour of Lewis (2001), z = u - i/2, with eta = iu + 1/2, Q = u^2 + 1/4:

    ln E exp(i z X) = kappa theta a + v0 D
    beta = kappa - rho sigma eta,  d = sqrt(beta^2 + sigma^2 Q),  P = beta + d
    R = (1 - exp(-d T)) / d,       y = -sigma^2 Q R / (2 P),      L = ln(1 + y) / y
    D = -Q R / (2 (1 + y)),        a = -(Q / P) (T - R L)

This is the "little trap" of Albrecher et al. (2007), continuous in u, rewritten so that nothing is
divided by sigma: at sigma -> 0 it is the Gaussian of the deterministic variance, without loss of
digits. Derivatives go through beta and s = sigma^2 (as Cui, del Bano Rollin and Germano 2017 go
through theirs); those in T are the Riccati equations themselves.

Nopython, no checks, no allocation. Call through surfaces.pricing.heston.
"""

import math

import numba as nb
import numpy as np

from surfaces.kernels.compiling import INNER, keep_apart
from surfaces.kernels.normal import ROUNDER, exp, log

# pi/2 in three parts: products of the first two with a count below 2^20 are exact
QUARTER_1, QUARTER_2, QUARTER_3 = 1.5707963267341256, 6.077100506303966e-11, 2.0222662487959506e-21
QUARTERS = 2.0 / math.pi
SMALL = 0.01  # |y| below which ln(1 + y)/y and its derivative are summed as series


@nb.njit(cache=True, error_model="numpy", forceinline=True)
def wave(z):
    """(cos z, sin z) for |z| below 1e6, branch-free, so that a loop over it vectorises."""
    shifted = z * QUARTERS + ROUNDER
    count = shifted - ROUNDER
    turn = np.float64(shifted).view(np.int64)
    r = ((z - count * QUARTER_1) - count * QUARTER_2) - count * QUARTER_3
    q = r * r
    p = -1.0 / 1307674368000.0
    p = p * q + 1.0 / 6227020800.0
    p = p * q - 1.0 / 39916800.0
    p = p * q + 1.0 / 362880.0
    p = p * q - 1.0 / 5040.0
    p = p * q + 1.0 / 120.0
    p = p * q - 1.0 / 6.0
    sine = r + r * q * p
    p = 1.0 / 20922789888000.0
    p = p * q - 1.0 / 87178291200.0
    p = p * q + 1.0 / 479001600.0
    p = p * q - 1.0 / 3628800.0
    p = p * q + 1.0 / 40320.0
    p = p * q - 1.0 / 720.0
    p = p * q + 1.0 / 24.0
    p = p * q - 0.5
    cosine = 1.0 + q * p
    odd = (turn & 1) == 1
    c, s = (sine if odd else cosine), (cosine if odd else sine)
    return (-c if ((turn + 1) & 2) == 2 else c), (-s if (turn & 2) == 2 else s)


@nb.njit(**INNER)
def power(z):
    """exp(z)."""
    size = exp(z.real)
    c, s = wave(z.imag)
    return complex(size * c, size * s)


@nb.njit(**INNER)
def inverse(z):
    """1/z without the scaling that guards moduli past 1e150."""
    scale = 1.0 / (z.real * z.real + z.imag * z.imag)
    return complex(z.real * scale, -z.imag * scale)


@nb.njit(**INNER)
def root(z):
    """The square root with a real part >= 0."""
    x, y = z.real, z.imag
    size = math.sqrt(x * x + y * y)
    big = math.sqrt(0.5 * (size + abs(x)))
    if big == 0.0:
        return complex(0.0, 0.0)
    other = 0.5 * y / big
    if x >= 0.0:
        return complex(big, other)
    return complex(abs(other), math.copysign(big, y))


@nb.njit(**INNER)
def decayed(z):
    """exp(-z) and 1 - exp(-z), the latter with relative accuracy at z -> 0."""
    less = math.expm1(-z.real)
    size = 1.0 + less
    half = 0.5 * z.imag
    c, s = wave(half)
    fall, turn = 2.0 * s * s, 2.0 * s * c
    return complex(size * (1.0 - fall), -size * turn), complex(size * fall - less, size * turn)


@nb.njit(**INNER)
def log_share(y):
    """L = ln(1 + y)/y, its derivative, and 1/(1 + y)."""
    keep_apart()
    v = inverse(1.0 + y)
    if y.real * y.real + y.imag * y.imag < SMALL * SMALL:
        L, slope = complex(1.0 / 9.0, 0.0), complex(-8.0 / 9.0, 0.0)
        for n in range(8, 0, -1):
            L = 1.0 / n - y * L
        for n in range(7, 0, -1):
            slope = -n / (n + 1.0) - y * slope
        return L, slope, v
    x = 1.0 + y.real
    size = x * x + y.imag * y.imag
    over = inverse(y)
    L = complex(0.5 * log(size), math.atan2(y.imag, x)) * over
    return L, (v - L) * over, v


@nb.njit(**INNER)
def shared(u, years, kappa, sigma, rho):
    """(Q, eta, beta, d, 1/P, exp(-d years), R) of one point."""
    keep_apart()
    Q = u * u + 0.25
    eta = complex(0.5 - u.imag, u.real)
    beta = kappa - rho * sigma * eta
    d = root(beta * beta + sigma * sigma * Q)
    if d.real * d.real + d.imag * d.imag < 1e-200:  # kappa = sigma = 0: R -> years
        return Q, eta, beta, d, inverse(beta + d + 1e-100), complex(1.0, 0.0), complex(years, 0.0)
    E, less = decayed(d * years)
    return Q, eta, beta, d, inverse(beta + d), E, less * inverse(d)


@nb.njit(**INNER)
def exponents(u, years, kappa, sigma, rho):
    """(Q, a, D) at `u`."""
    keep_apart()
    Q, _, _, _, over, _, R = shared(u, years, kappa, sigma, rho)
    y = -0.5 * sigma * sigma * Q * R * over
    L, _, v = log_share(y)
    return Q, -Q * over * (years - R * L), -0.5 * Q * R * v


@nb.njit(**INNER)
def gradient(u, years, kappa, sigma, rho):
    """(Q, a, D), then da and dD by kappa, sigma and rho, then dD by years (da by years is D)."""
    keep_apart()
    Q, eta, beta, d, over, E, R = shared(u, years, kappa, sigma, rho)
    s = sigma * sigma
    y = -0.5 * s * Q * R * over
    L, slope, v = log_share(y)
    rest = years - R * L
    ratio = Q * over
    a = -ratio * rest
    D = -0.5 * Q * R * v
    at_d = inverse(d)
    bend = (years * E - R) * at_d  # dR/dd
    # by beta at fixed s: d moves by beta/d, P by 1 + beta/d
    by = beta * at_d
    turn = bend * by
    widen = (1.0 + by) * over
    move = -0.5 * s * ratio * (turn - R * widen)
    a_beta = ratio * (widen * rest + turn * L + R * slope * move)
    D_beta = -0.5 * Q * v * (turn - R * v * move)
    # by s at fixed beta: d and P move by Q/(2 d)
    by = 0.5 * Q * at_d
    turn = bend * by
    widen = by * over
    move = -0.5 * ratio * (R + s * (turn - R * widen))
    a_s = ratio * (widen * rest + turn * L + R * slope * move)
    D_s = -0.5 * Q * v * (turn - R * v * move)
    lean, tilt = -rho * eta, -sigma * eta
    D_years = D * (0.5 * s * D - beta) - 0.5 * Q
    a_sigma, D_sigma = 2.0 * sigma * a_s + lean * a_beta, 2.0 * sigma * D_s + lean * D_beta
    return Q, a, D, a_beta, D_beta, a_sigma, D_sigma, tilt * a_beta, tilt * D_beta, D_years
