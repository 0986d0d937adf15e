"""SABR's implied vols in nopython, forward-free: Hagan (2002) and Obloj (2008), with derivatives.

With k = ln(K/F), c = 1 - beta, a = alpha F^-c (the vol at the money to leading order) and
zeta = nu/a, both formulas are

    vol = a / (E(k) D(zeta Y(k))) (1 + A e^-ck + B e^-ck/2 + C)
    A = c^2 a^2 T/24,  B = rho beta nu a T/4,  C = (2 - 3 rho^2) nu^2 T/24
    D(u) = X(u)/u,  X(u) = ln((S + u + rho)/(1 + rho)),  S = sqrt(1 + 2 rho u + u^2)

    Obloj  Y = (e^ck - 1)/c             E = Y/k
    Hagan  Y = k e^ck/2                 E = e^ck/2 (1 + h^2/6 + h^4/120), h = ck/2

so that nothing is divided by k: at the money E and D are series. X' = 1/S generates Legendre
polynomials, D(u) = sum P_n(-rho) u^n/(n + 1), which gives the derivatives near zero to rounding.

Source  P. Hagan et al., Wilmott (Sept. 2002) 84-108, (2.17), and (B.67a) for the normal vol;
        J. Obloj, Fine-tune your smile (2008), arXiv 0708.0998, for the leading term.
"""

import math

import numba as nb

from surfaces.kernels.compiling import INNER, OUTER

HAGAN, OBLOJ = 0, 1
NEAR = 0.1  # |u| below which D is its series
TERMS = 18  # of it: 0.1^18 is below rounding
CLOSE = 0.5  # |ck| below which (e^ck - 1)/ck is its series


@nb.njit(**INNER)
def spread(u, rho):
    """D(u) = X(u)/u and its first two derivatives."""
    if abs(u) < NEAR:
        before, now = 0.0, 1.0  # P_n-1 and P_n at -rho
        d0 = d1 = d2 = 0.0
        power, lower, lowest = 1.0, 0.0, 0.0  # u^n, u^n-1, u^n-2
        for n in range(TERMS):
            share = now / (n + 1.0)
            d0 += share * power
            d1 += n * share * lower
            d2 += n * (n - 1.0) * share * lowest
            before, now = now, (-(2.0 * n + 1.0) * rho * now - n * before) / (n + 1.0)
            lowest, lower, power = lower, power, power * u
        return d0, d1, d2
    d0 = ratio(u, rho)
    s = math.sqrt((u + rho) * (u + rho) + (1.0 - rho) * (1.0 + rho))
    d1 = (1.0 / s - d0) / u
    return d0, d1, (-(u + rho) / (s * s * s) - 2.0 * d1) / u


@nb.njit(**INNER)
def ratio(u, rho):
    """D(u) alone; sums of positive terms only, so that |rho| near one costs no digits."""
    if u == 0.0:
        return 1.0
    z, r = abs(u), -rho if u > 0.0 else rho
    s = math.sqrt((z - r) * (z - r) + (1.0 - r) * (1.0 + r))
    if z < r:
        over = (1.0 + s + 2.0 * r - z) / ((1.0 + s) * (s + r - z))
    else:
        over = ((1.0 - r) + (s + z - r)) / ((1.0 + s) * (1.0 - r))
    return math.log1p(z * over) / z


@nb.njit(**INNER)
def grown(t):
    """(e^t - 1)/t and its first two derivatives in t."""
    if abs(t) < CLOSE:
        e0 = e1 = e2 = 0.0
        term = 1.0  # t^n/(n + 1)!
        lower = lowest = 0.0  # t^n-1/(n + 1)!, t^n-2/(n + 1)!
        for n in range(16):
            e0 += term
            e1 += n * lower
            e2 += n * (n - 1.0) * lowest
            per = 1.0 / (n + 2.0)
            lowest, lower, term = lower * per, term * per, term * t * per
        return e0, e1, e2
    power = math.exp(t)
    e0 = math.expm1(t) / t
    e1 = (power - e0) / t
    return e0, e1, (power - 2.0 * e1) / t


@nb.njit(**INNER)
def stem(k, c, formula):
    """E, E', E'' and Y, Y', Y'' in k."""
    if c == 0.0:
        return 1.0, 0.0, 0.0, k, 1.0, 0.0
    if formula == OBLOJ:
        e0, e1, e2 = grown(c * k)
        power = math.exp(c * k)
        return e0, c * e1, c * c * e2, k * e0, power, c * power
    h, half = 0.5 * c * k, 0.5 * c
    power = math.exp(h)
    p0 = 1.0 + h * h / 6.0 + h * h * h * h / 120.0
    p1 = h / 3.0 + h * h * h / 30.0
    p2 = 1.0 / 3.0 + h * h / 10.0
    return (
        power * p0, half * power * (p0 + p1), half * half * power * (p0 + 2.0 * p1 + p2),
        k * power, power * (1.0 + h), power * half * (2.0 + h),
    )  # fmt: skip


@nb.njit(**INNER)
def corrections(a, c, rho, nu, years):
    """A, B and C: the three parts of the correction in time."""
    return (
        c * c * a * a * years / 24.0,
        0.25 * rho * (1.0 - c) * nu * a * years,
        (2.0 - 3.0 * rho * rho) * nu * nu * years / 24.0,
    )


@nb.njit(**INNER)
def curve(k, c, formula, rho, zeta, in_a, in_b, in_c):
    """vol/a and its first two derivatives in k."""
    e0, e1, e2, y0, y1, y2 = stem(k, c, formula)
    d0, d1, d2 = spread(zeta * y0, rho)
    d2 = zeta * zeta * y1 * y1 * d2 + zeta * y2 * d1
    d1 *= zeta * y1
    g0, g1, g2 = e0 * d0, e1 * d0 + e0 * d1, e2 * d0 + 2.0 * e1 * d1 + e0 * d2
    v0 = 1.0 / g0
    v1 = -g1 * v0 * v0
    v2 = (2.0 * g1 * g1 * v0 - g2) * v0 * v0
    half = math.exp(-0.5 * c * k) if c > 0.0 else 1.0
    a, b = in_a * half * half, in_b * half
    t0, t1, t2 = 1.0 + a + b + in_c, -c * (a + 0.5 * b), c * c * (a + 0.25 * b)
    return v0 * t0, v1 * t0 + v0 * t1, v2 * t0 + 2.0 * v1 * t1 + v0 * t2


@nb.njit(**INNER)
def vol_one(k, a, c, formula, rho, nu, years):
    """Black vol at one k."""
    in_a, in_b, in_c = corrections(a, c, rho, nu, years)
    if c == 0.0:
        return a * (1.0 + in_b + in_c) / ratio(nu / a * k, rho)
    if formula == OBLOJ:
        e, power = grown(c * k)[0], math.exp(-0.5 * c * k)
        y = k * e
    else:
        h = 0.5 * c * k
        power = math.exp(-h)
        e, y = (1.0 + h * h / 6.0 + h * h * h * h / 120.0) / power, k / power
    late = 1.0 + (in_a * power + in_b) * power + in_c
    return a * late / (e * ratio(nu / a * y, rho))


@nb.njit(**OUTER)
def fill_vol(forward, strike, years, alpha, beta, rho, nu, formula, out):
    """Black vols of shifted forwards and strikes; arrays 1-D, parameters scalars."""
    c = 1.0 - beta
    for i in range(out.size):
        k, a = math.log(strike[i] / forward[i]), alpha * math.pow(forward[i], -c)
        out[i] = vol_one(k, a, c, formula, rho, nu, years[i])


@nb.njit(**OUTER)
def fill_jets(forward, strike, years, alpha, beta, rho, nu, formula, out):
    """Rows of `out` (4, n): vol, dvol/dk, d2vol/dk2, dvol/da x a at a fixed k."""
    c = 1.0 - beta
    for i in range(forward.size):
        k, a = math.log(strike[i] / forward[i]), alpha * math.pow(forward[i], -c)
        in_a, in_b, in_c = corrections(a, c, rho, nu, years[i])
        zeta = nu / a
        v0, v1, v2 = curve(k, c, formula, rho, zeta, in_a, in_b, in_c)
        u = zeta * stem(k, c, formula)[3]
        d0, d1, _ = spread(u, rho)
        half = math.exp(-0.5 * c * k)
        moved = 2.0 * in_a * half * half + in_b * half
        late = 1.0 + in_a * half * half + in_b * half + in_c
        out[0, i], out[1, i], out[2, i] = a * v0, a * v1, a * v2
        out[3, i] = a * v0 * (1.0 + u * d1 / d0 + moved / late)


@nb.njit(**INNER)
def sinhc(h):
    """sinh(h)/h."""
    return 1.0 + h * h / 6.0 * (1.0 + h * h / 20.0) if abs(h) < 1e-3 else math.sinh(h) / h


@nb.njit(**INNER)
def normal_one(forward, strike, years, alpha, beta, rho, nu, formula):
    """Bachelier vol. OBLOJ: the integral of 1/C(x) is exact; HAGAN: expanded in ln(F/K).

    With beta = 0 forward and strike may have any sign.
    """
    late = (2.0 - 3.0 * rho * rho) * nu * nu * years / 24.0
    if beta == 0.0 and formula == OBLOJ:
        return alpha * (1.0 + late) / ratio(nu / alpha * (strike - forward), rho)
    c, k = 1.0 - beta, math.log(strike / forward)
    middle = math.sqrt(forward) * math.sqrt(strike)
    lift = math.pow(middle, -c)  # F^(beta - 1) at the geometric mean
    a = alpha * lift
    late += (-beta * (2.0 - beta) * a / 24.0 + 0.25 * rho * nu * beta) * a * years
    h, x = 0.5 * c * k, 0.5 * k
    if formula == OBLOJ:
        over, under = sinhc(x), sinhc(h)
        u = nu / a * k * under
    else:
        over = 1.0 + x * x / 6.0 + x * x * x * x / 120.0
        under = 1.0 + h * h / 6.0 + h * h * h * h / 120.0
        u = nu / a * k
    return a * middle * over * (1.0 + late) / (under * ratio(u, rho))


@nb.njit(**OUTER)
def fill_normal(forward, strike, years, alpha, beta, rho, nu, formula, out):
    """Bachelier vols in the unit of the forward; arrays as `fill_vol`."""
    for i in range(out.size):
        out[i] = normal_one(forward[i], strike[i], years[i], alpha, beta, rho, nu, formula)
