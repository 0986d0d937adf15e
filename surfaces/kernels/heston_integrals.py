"""Integrals of Heston and Bates prices and Greeks on one contour: nopython, unchecked.

    C/df = Black(w) + sqrt(F K)/pi int_0^inf Re[exp(-i u k) (phi_B - phi)(u - i/2) / Q] du

with k = ln(K/F), Q = u^2 + 1/4, and w the expected integrated variance: the Gaussian phi_B takes
the pole at u = i/2 away and most of the integral. Derivatives are the same integral of other
numerators, so the strikes of an expiry share phi and its derivatives, node by node.

Nodes lie on a hyperbola, u(t) = b [sinh(t - i lean) + i sin(lean)], at equal steps of t (S.
Boyarchenko and S. Levendorskii, Sinh-acceleration, 2019): the trapezoidal rule, whose error falls
geometrically as the step is halved. The rule at twice the step is a subset of its nodes, so every
integral comes with a second opinion at no cost, and is refined until the two agree to `within`;
the error of the finer one is then about `within` squared.
"""

import math

import numba as nb

from surfaces.kernels.compiling import INNER, keep_apart
from surfaces.kernels.heston_cf import exponents, gradient, inverse, power, wave
from surfaces.kernels.normal import exp

# Numerators, in units of sqrt(F K): what to multiply exp(-iuk) phi / Q with.
WIDTH = 8
(PRICE, SLOPE, V0, KAPPA, THETA, SIGMA, RHO, YEARS) = range(WIDTH)
(RATE, MEAN, STD, CURVE, V0_SLOPE, V0_V0, YEARS_SLOPE) = range(WIDTH, 2 * WIDTH - 1)
PRICES, GRADIENT, ALL = 0, 1, 2  # levels: the first two numerators, the first WIDTH, all of them

CHUNK = 32
TAIL = 1e-14  # where an integrand is taken to have ended
NOISE, LEAST = 1e-6, 1e-13
SHARE = 30.0
SLOPES = 0.01  # of TAIL, for slopes: they need fewer digits, and the price beside them has Q
MOST_NODES = 1 << 20
HALVINGS = 12
INV_PI = 1.0 / math.pi


@nb.njit(**INNER)
def jumps(eta, years, rate, mean, std):
    """The jumps' share of ln phi, and its derivatives by rate, mean and std (Bates 1996)."""
    leap = power(eta * (mean + 0.5 * std * std * eta))
    pull = eta * math.exp(mean + 0.5 * std * std)
    gap = leap - 1.0 - pull + eta
    by_mean = years * rate * (eta * leap - pull)
    by_std = years * rate * std * (eta * eta * leap - pull)
    return years * rate * gap, years * gap, by_mean, by_std


@nb.njit(**INNER)
def tabulate(u, weight, p, years, w, level, table, n):
    """Write weight numerator(u) / Q of every channel to row n; returns the size of what decays."""
    keep_apart()
    v0, kappa, theta, sigma, rho, rate = p[0], p[1], p[2], p[3], p[4], p[5]
    zero = complex(0.0, 0.0)
    if level == 0:
        Q, a, D = exponents(u, years, kappa, sigma, rho)
        a_k = D_k = a_s = D_s = a_r = D_r = D_T = zero
    else:
        Q, a, D, a_k, D_k, a_s, D_s, a_r, D_r, D_T = gradient(u, years, kappa, sigma, rho)
    phi = power(kappa * theta * a + v0 * D)
    plain = power(-0.5 * w * Q)
    size = abs(phi.real) + abs(phi.imag) + abs(plain.real) + abs(plain.imag)
    jump = by_rate = by_mean = by_std = zero
    if rate != 0.0 or level == 2:
        jump, by_rate, by_mean, by_std = jumps(1j * u + 0.5, years, rate, p[6], p[7])
        phi *= power(jump)
    unit = weight * inverse(Q)
    phi *= -unit
    gap = plain * unit + phi
    if level == 0:
        put(table, n, PRICE, gap)
        put(table, n, SLOPE, 1j * u * gap)
        return size * abs(unit)
    per_year = kappa * theta * D + v0 * D_T
    per_year += jump / years
    put(table, n, PRICE, gap)
    put(table, n, V0, phi * D)
    put(table, n, KAPPA, phi * (theta * (a + kappa * a_k) + v0 * D_k))
    put(table, n, THETA, phi * (kappa * a))
    put(table, n, SIGMA, phi * (kappa * theta * a_s + v0 * D_s))
    put(table, n, RHO, phi * (kappa * theta * a_r + v0 * D_r))
    put(table, n, SLOPE, 1j * u * gap)
    put(table, n, YEARS, phi * per_year)
    if level == 2:
        put(table, n, RATE, phi * by_rate)
        put(table, n, MEAN, phi * by_mean)
        put(table, n, STD, phi * by_std)
        put(table, n, CURVE, -gap * Q)
        put(table, n, V0_SLOPE, 1j * u * phi * D)
        put(table, n, V0_V0, phi * D * D)
        put(table, n, YEARS_SLOPE, 1j * u * phi * per_year)
    return size * abs(weight) * SLOPES


@nb.njit(**INNER)
def put(table, n, channel, value):
    """Both parts of one numerator."""
    table[0, n, channel] = value.real
    table[1, n, channel] = value.imag


@nb.njit(**INNER)
def waves(x, k, n, c, s):
    """cos(x k) and sin(x k) of the first n of `x`."""
    keep_apart()
    for j in range(n):
        c[j], s[j] = wave(x[j] * k)


@nb.njit(**INNER)
def sweep(first, step, b, lean, p, years, w, k, level, table, at, sums, reach):
    """Add to `sums` the nodes t = first, first + step, ... until phi has decayed; returns how many.

    table: (2, CHUNK, 2 WIDTH), real and imaginary parts; at: (4, CHUNK), the parts of u and the
    waves of a strike; sums: (strikes, 2 WIDTH); reach: (2 WIDTH,), sums of moduli.
    """
    keep_apart()
    cos_lean, sin_lean = math.cos(lean), math.sin(lean)
    low, high = k[0], k[0]
    for i in range(k.size):
        low, high = min(low, k[i]), max(high, k[i])
    j, alive = 0, True
    while alive:
        n = 0
        while n < CHUNK and alive:
            t = first + j * step
            grow = exp(t)
            sh, ch = 0.5 * (grow - 1.0 / grow), 0.5 * (grow + 1.0 / grow)
            u = complex(b * sh * cos_lean, -b * (ch - 1.0) * sin_lean)
            weight = complex(b * ch * cos_lean, -b * sh * sin_lean)
            if t == 0.0:
                weight *= 0.5
            size = tabulate(u, weight, p, years, w, level, table, n)
            at[0, n], at[1, n] = u.real, u.imag
            wane = exp(max(u.imag * low, u.imag * high)) if lean != 0.0 else 1.0
            size *= wane  # phi alone may grow
            for m in range(2 if level == PRICES else level * WIDTH):
                reach[m] += wane * (abs(table[0, n, m]) + abs(table[1, n, m]))
            n += 1
            j += 1
            alive = size > TAIL and j < MOST_NODES
        for i in range(k.size):
            waves(at[0], k[i], n, at[2], at[3])
            if lean != 0.0:
                for m in range(n):
                    size = exp(at[1, m] * k[i])
                    at[2, m] *= size
                    at[3, m] *= size
            if level == PRICES:
                value, slope = 0.0, 0.0
                for m in range(n):
                    value += at[2, m] * table[0, m, PRICE] + at[3, m] * table[1, m, PRICE]
                    slope += at[2, m] * table[0, m, SLOPE] + at[3, m] * table[1, m, SLOPE]
                sums[i, PRICE] += value
                sums[i, SLOPE] += slope
            else:
                add(0, n, table, at, sums[i])
                if level == ALL:
                    add(WIDTH, n, table, at, sums[i])
    return j


@nb.njit(**INNER)
def add(o, n, table, at, sums):
    """Add the waves times the first n rows of the table to WIDTH sums from `o` on."""
    keep_apart()
    s0, s1, s2, s3 = sums[o], sums[o + 1], sums[o + 2], sums[o + 3]
    s4, s5, s6, s7 = sums[o + 4], sums[o + 5], sums[o + 6], sums[o + 7]
    for j in range(n):
        c, s = at[2, j], at[3, j]
        s0 += c * table[0, j, o] + s * table[1, j, o]
        s1 += c * table[0, j, o + 1] + s * table[1, j, o + 1]
        s2 += c * table[0, j, o + 2] + s * table[1, j, o + 2]
        s3 += c * table[0, j, o + 3] + s * table[1, j, o + 3]
        s4 += c * table[0, j, o + 4] + s * table[1, j, o + 4]
        s5 += c * table[0, j, o + 5] + s * table[1, j, o + 5]
        s6 += c * table[0, j, o + 6] + s * table[1, j, o + 6]
        s7 += c * table[0, j, o + 7] + s * table[1, j, o + 7]
    sums[o], sums[o + 1], sums[o + 2], sums[o + 3] = s0, s1, s2, s3
    sums[o + 4], sums[o + 5], sums[o + 6], sums[o + 7] = s4, s5, s6, s7


@nb.njit(**INNER)
def agree(step, b, sums, more, reach, level, within):
    """Whether the rules at `step` and at half of it agree, numerator by numerator.

    To `within` of the integral of moduli, and a price to SHARE of it, but to no more than `within`
    of sqrt(F K); below NOISE there is nothing to agree on.
    """
    unit = 0.5 * step * INV_PI
    for m in range(2 if level == PRICES else level * WIDTH):
        size = unit * reach[m]
        if m == PRICE:
            bound = within * min(1.0, SHARE * size) + LEAST
        else:
            bound = within * (size + NOISE * (1.0 + b))
        for i in range(more.shape[0]):
            if not unit * abs(sums[i, m] - more[i, m]) <= bound:
                return False
    return True


@nb.njit(**INNER)
def integrate(p, years, w, k, level, within, step, b, lean, table, at, sums, more, reach):
    """All integrals of the strikes `k` into `sums`; returns (nodes used, whether they agree)."""
    keep_apart()
    count = 2 if level == PRICES else level * WIDTH
    reach[:] = 0.0
    sums[:, :] = 0.0
    nodes = sweep(0.0, step, b, lean, p, years, w, k, level, table, at, sums, reach)
    fine = False
    for _ in range(HALVINGS):
        more[:, :] = 0.0
        nodes += sweep(0.5 * step, step, b, lean, p, years, w, k, level, table, at, more, reach)
        fine = agree(step, b, sums, more, reach, level, within)
        step *= 0.5
        for i in range(k.size):
            for m in range(count):
                sums[i, m] += more[i, m]
        if fine or nodes > MOST_NODES:
            break
    for i in range(k.size):
        for m in range(count):
            sums[i, m] *= step * INV_PI
    return nodes, fine
