"""Whether raw SVI is free of butterflies on the whole real line, decided by one polynomial.

With d = k - m, z = d/sigma = (u - 1/u)/2 and root = sigma (u + 1/u)/2, u > 0, every part of
Durrleman's g is rational in u, and g 16 R^3 Q^2 is a polynomial of degree ten:

    4 R H^2 - b^2 S^2 Q^2 R + (64 b/sigma) u^3 Q^2 - (8 b/sigma) u S^2 Q R,       H = 2 R Q - V S
    Q = (1+rho) u^2 + 2 alpha u + (1-rho),   S = (1+rho) u^2 - (1-rho),   R = u^2 + 1
    V = u^2 + 2 (m/sigma) u - 1,   alpha = a/(b sigma),   w = b sigma Q/(2u),   w' = b S/R

On u = t/(1-t) its Bernstein coefficients in t are the plain ones over binomials, so halving the
interval proves the sign: all coefficients >= 0 is a proof, a negative end is a counter-example.

Source  raw SVI as in Martini-Mingone, SIAM J. Financial Math. 13 (2022); the polynomial is ours.
"""

import math

import numba as nb
import numpy as np

import surfaces.kernels  # noqa: F401  sets numba's cache folder before anything is decorated

DEGREE = 10
MOST_SPLITS = 4000
FREE, ARBITRAGE, UNDECIDED = 0, 1, 2
BINOMIALS = np.array([1.0, 10.0, 45.0, 120.0, 210.0, 252.0, 210.0, 120.0, 45.0, 10.0, 1.0])


@nb.njit(cache=True, error_model="numpy")
def product(p, q, out):
    """Write the coefficients of p(u) q(u) into `out`, of size p.size + q.size - 1."""
    for i in range(out.size):
        out[i] = 0.0
    for i in range(p.size):
        for j in range(q.size):
            out[i + j] += p[i] * q[j]


@nb.njit(cache=True, error_model="numpy")
def scale_of(rho):
    """The unit of u in which both wings weigh alike; one where a wing is flat."""
    inner = (1.0 - rho) * (1.0 + rho)
    return math.sqrt((1.0 - rho) / (1.0 + rho)) if inner > 1e-24 else 1.0


@nb.njit(cache=True, error_model="numpy")
def fill_polynomials(raw, fixed, bent, unit):
    """Coefficients in u/scale of 16 R^3 Q^2 times the three parts of g.

    `fixed` is what does not know sigma once a/(b sigma) and m/sigma are given, `bent` is what is
    divided by sigma, `unit` is 16 R^3 Q^2 itself: g = (fixed + bent/sigma)/unit.
    """
    b, rho, sigma = raw[1], raw[2], raw[4]
    c = scale_of(rho)
    even = c * (1.0 + rho)
    low = (1.0 - rho) / c
    Q = np.array([low, 2.0 * raw[0] / (b * sigma), even])
    S = np.array([-low, 0.0, even])
    R = np.array([1.0, 0.0, c * c])
    V = np.array([-1.0, 2.0 * c * raw[3] / sigma, c * c])
    H, VS = np.empty(5), np.empty(5)
    product(R, Q, H)
    product(V, S, VS)
    for i in range(5):
        H[i] = 2.0 * H[i] - VS[i]
    SQ, minus, plus, both = np.empty(5), np.empty(5), np.empty(5), np.empty(9)
    product(S, Q, SQ)
    for i in range(5):
        minus[i] = 2.0 * H[i] - b * c * SQ[i]
        plus[i] = 2.0 * H[i] + b * c * SQ[i]
    product(minus, plus, both)
    product(R, both, fixed)
    QQ, SR, SSQR = np.empty(5), np.empty(5), np.empty(9)
    product(Q, Q, QQ)
    product(S, R, SR)
    product(SR, SQ, SSQR)
    for i in range(DEGREE + 1):
        bent[i] = 0.0
    for i in range(5):
        bent[i + 3] += 64.0 * b * c * c * c * QQ[i]
    for i in range(9):
        bent[i + 1] -= 8.0 * b * c * c * SSQR[i]
    RQ, RRQQ = np.empty(5), np.empty(9)
    product(R, Q, RQ)
    product(RQ, RQ, RRQQ)
    product(R, RRQQ, unit)
    for i in range(DEGREE + 1):
        unit[i] *= 16.0


@nb.njit(cache=True, error_model="numpy")
def sign_on_half_line(p, at):
    """FREE if the polynomial `p` is proved >= 0 on u >= 0; else `at[0]` is where it is not."""
    deep = 60
    stack = np.empty((deep + 2, DEGREE + 1))
    ends = np.empty((deep + 2, 2))
    for i in range(DEGREE + 1):
        stack[0, i] = p[i] / BINOMIALS[i]
        if not abs(p[i]) < np.inf:
            at[0] = 1.0
            return UNDECIDED
    ends[0, 0], ends[0, 1] = 0.0, 1.0
    n = 1
    for _ in range(MOST_SPLITS):
        if n == 0:
            return FREE
        top = stack[n - 1]
        left, right = ends[n - 1, 0], ends[n - 1, 1]
        if top[0] < 0.0 or top[DEGREE] < 0.0:
            t = left if top[0] < 0.0 else right
            at[0] = t / (1.0 - t) if t < 1.0 else np.inf
            return ARBITRAGE
        least = 0.0
        for i in range(DEGREE + 1):
            least = min(least, top[i])
        if least >= 0.0:
            n -= 1
            continue
        middle = 0.5 * (left + right)
        if n > deep or not left < middle < right:
            at[0] = middle / (1.0 - middle)
            return UNDECIDED
        left_half = stack[n]  # de Casteljau: the right half stays in place, the left goes on top
        left_half[0] = top[0]
        for r in range(1, DEGREE + 1):
            for i in range(DEGREE + 1 - r):
                top[i] = 0.5 * (top[i] + top[i + 1])
            left_half[r] = top[0]
        ends[n, 0], ends[n, 1] = left, middle
        ends[n - 1, 0] = middle
        n += 1
    at[0] = 1.0
    return UNDECIDED


@nb.njit(cache=True, error_model="numpy")
def proper(raw):
    """Whether the letters themselves are in order: w > 0, b >= 0, |rho| <= 1, Lee's slope < 2."""
    a, b, rho, m, sigma = raw[0], raw[1], raw[2], raw[3], raw[4]
    finite = abs(a) + abs(b) + abs(m) + abs(sigma) < np.inf
    if not (finite and b >= 0.0 and abs(rho) <= 1.0 and b * (1.0 + abs(rho)) < 2.0):
        return False
    lowest = a + b * sigma * math.sqrt((1.0 - rho) * (1.0 + rho))
    return a > 0.0 if b == 0.0 else sigma > 0.0 and lowest > 0.0


@nb.njit(cache=True, error_model="numpy")
def judge(raw, least, at):
    """FREE if g >= `least` is proved on the real line; else `at[0]` is a k that says otherwise."""
    at[0] = 0.0
    if not proper(raw):
        return ARBITRAGE
    if raw[1] == 0.0:
        return FREE
    fixed, bent, unit = np.empty(DEGREE + 1), np.empty(DEGREE + 1), np.empty(DEGREE + 1)
    fill_polynomials(raw, fixed, bent, unit)
    for i in range(DEGREE + 1):
        fixed[i] += bent[i] / raw[4] - least * unit[i]
    found = sign_on_half_line(fixed, at)
    at[0] = k_of(at[0], raw)
    return found


@nb.njit(cache=True, error_model="numpy")
def k_of(u, raw):
    """The k of a scaled u, far but finite at the ends of the line."""
    u = min(max(u * scale_of(raw[2]), 1e-12), 1e12)
    return raw[3] + 0.5 * raw[4] * (u - 1.0 / u)


@nb.njit(cache=True, error_model="numpy")
def lowest_g(raw, steps, at):
    """The greatest lower bound of g over the real line, by bisection; `at[0]` is near its k.

    `raw` must be `proper` with b > 0. The value returned is proved: g is nowhere less.
    """
    fixed, bent, unit = np.empty(DEGREE + 1), np.empty(DEGREE + 1), np.empty(DEGREE + 1)
    trial, where = np.empty(DEGREE + 1), np.empty(1)
    fill_polynomials(raw, fixed, bent, unit)
    top, bottom = 0.0, 0.0
    for i in range(DEGREE + 1):
        fixed[i] += bent[i] / raw[4]
        top += fixed[i]
        bottom += unit[i]
    above = top / bottom
    at[0] = k_of(1.0, raw)
    gap = max(abs(above), 1e-3)
    below = above - gap
    for _ in range(200):
        for i in range(DEGREE + 1):
            trial[i] = fixed[i] - below * unit[i]
        if sign_on_half_line(trial, where) == FREE:
            break
        above = below
        at[0] = k_of(where[0], raw)
        gap *= 2.0
        below -= gap
    for _ in range(steps):
        middle = 0.5 * (below + above)
        if not below < middle < above:
            break
        for i in range(DEGREE + 1):
            trial[i] = fixed[i] - middle * unit[i]
        if sign_on_half_line(trial, where) == FREE:
            below = middle
        else:
            above = middle
            at[0] = k_of(where[0], raw)
    return below


@nb.njit(cache=True, error_model="numpy")
def least_sigma(raw, steps):
    """The smallest sigma free of butterflies at the raw b, rho, m/sigma and a/(b sigma).

    In 1/sigma g is linear, so the free values are all above one threshold; infinite if Fukasawa's
    conditions fail (no sigma is free), zero if all are.
    """
    fixed, bent, unit = np.empty(DEGREE + 1), np.empty(DEGREE + 1), np.empty(DEGREE + 1)
    trial, where = np.empty(DEGREE + 1), np.empty(1)
    fill_polynomials(raw, fixed, bent, unit)
    if sign_on_half_line(fixed, where) != FREE:
        return np.inf
    free, not_free = 0.0, 1.0 / raw[4]
    for _ in range(400):
        for i in range(DEGREE + 1):
            trial[i] = fixed[i] + not_free * bent[i]
        if sign_on_half_line(trial, where) != FREE:
            break
        free = not_free
        not_free *= 4.0
        if not_free > 1e300:
            return 0.0
    for _ in range(steps):
        middle = 0.5 * (free + not_free) if free > 0.0 else 0.25 * not_free
        if not free < middle < not_free:
            break
        for i in range(DEGREE + 1):
            trial[i] = fixed[i] + middle * bent[i]
        if sign_on_half_line(trial, where) == FREE:
            free = middle
        else:
            not_free = middle
    return 1.0 / free if free > 0.0 else np.inf
