"""eSSVI in nopython: the exact bound on psi, and the quotes' share of the normal equations.

    w(k) = (theta + rho psi k + sqrt((psi k + theta rho)^2 + theta^2 (1 - rho^2))) / 2

In z = (psi k/theta + rho)/s, s = sqrt(1 - rho^2), w = theta s N/2 with N = s + rho z + sqrt(z^2+1)
and Durrleman's g = h^2 - psi^2 (theta s N'^2/16 - g2)/(4 theta s), so g >= 0 everywhere is
psi^2 <= 4 theta s h^2/(theta s N'^2/16 - g2) for all z where the right side is positive.

Source  Hendriks-Martini 2019 (eSSVI); Martini-Mingone 2022 (the bound: its infimum is in z > l2);
        Gatheral-Jacquier 2014 theorem 4.2 (the sufficient bound).
"""

import math

import numba as nb

import surfaces.kernels  # noqa: F401  sets numba's cache folder before anything is decorated

LIMITS = {"contract", "nsz", "reassoc"}
COARSE = 28  # points that bracket the infimum
GOLDEN_STEPS = 30
GOLDEN = 0.6180339887498949
HUBER = 1.0  # residuals are in half spreads


@nb.njit(cache=True, error_model="numpy")
def square_bound(z, theta, rho):
    """What psi^2 may be at most for g(z) >= 0, rho >= 0; infinite where any psi will do."""
    s = math.sqrt((1.0 - rho) * (1.0 + rho))
    root = math.sqrt(z * z + 1.0)
    N = s + rho * z + root
    N1 = rho + z / root
    h = 1.0 - (z - rho / s) * N1 / (2.0 * N)
    steep = theta * s * N1 * N1 / 16.0
    below = steep - 1.0 / (root * root * root) + N1 * N1 / (2.0 * N)
    return 4.0 * theta * s * h * h / below if below > 0.0 else math.inf


@nb.njit(cache=True, error_model="numpy")
def tightest(theta, rho):
    """The z > l2 where `square_bound` is least, for rho in [0, 1)."""
    first = math.tan(math.acos(-rho) / 3.0)
    s = math.sqrt((1.0 - rho) * (1.0 + rho))
    low, high = math.log(1e-4), math.log(1e3 * (1.0 + 1.0 / (theta * s)) + rho / s)
    step = (high - low) / (COARSE - 1)
    best, least = 0, math.inf
    for i in range(COARSE):
        value = square_bound(first + math.exp(low + i * step), theta, rho)
        if value < least:
            best, least = i, value
    left, right = low + (best - 1) * step, low + (best + 1) * step
    a, b = right - GOLDEN * (right - left), left + GOLDEN * (right - left)
    at_a = square_bound(first + math.exp(a), theta, rho)
    at_b = square_bound(first + math.exp(b), theta, rho)
    for _ in range(GOLDEN_STEPS):
        if at_a < at_b:
            right, b, at_b = b, a, at_a
            a = right - GOLDEN * (right - left)
            at_a = square_bound(first + math.exp(a), theta, rho)
        else:
            left, a, at_a = a, b, at_b
            b = left + GOLDEN * (right - left)
            at_b = square_bound(first + math.exp(b), theta, rho)
    return first + math.exp(0.5 * (left + right))


@nb.njit(cache=True, error_model="numpy")
def psi_max(theta, rho):
    """The largest psi free of butterflies, exact; at most 4/(1 + |rho|), Lee's bound."""
    size = abs(rho)
    wing = 4.0 / (1.0 + size)
    if not size < 1.0:  # s = 0: only the wing term of g is left; no slice of ours goes there
        return 0.0
    return min(wing, math.sqrt(square_bound(tightest(theta, size), theta, size)))


@nb.njit(cache=True, error_model="numpy")
def fill_psi_max(theta, rho, out):
    """Write the bound of each slice into `out`; all arguments are 1-D and equally long."""
    for i in range(out.size):
        out[i] = psi_max(theta[i], rho[i])


@nb.njit(cache=True, error_model="numpy")
def log_bound(theta, rho):
    """ln psi_max and its derivatives in ln theta and in rho (by the envelope theorem)."""
    size = abs(rho)
    z = tightest(theta, size)
    square = square_bound(z, theta, size)
    wing = 4.0 / (1.0 + size)
    sign = 1.0 if rho >= 0.0 else -1.0
    if square >= wing * wing:
        return math.log(wing), 0.0, -sign / (1.0 + size)
    step = 1e-5
    up, down = square_bound(z, theta * (1.0 + step), size), square_bound(z, theta, size)
    by_theta = 0.5 * math.log(up / down) / math.log1p(step)
    other = min(size + 1e-5 * (1.0 - size), 1.0)
    by_rho = 0.5 * math.log(square_bound(z, theta, other) / square) / (other - size)
    return 0.5 * math.log(square), by_theta, sign * by_rho


@nb.njit(cache=True, error_model="numpy", fastmath=LIMITS)
def slice_sums(k, mid, per_half, side, per_year, theta, tilt, psi, sums):
    """Huber cost of one expiry's quotes; its normal equations in (theta, tilt = rho psi, psi).

    `side` is zero for a quote that pulls both ways, +1 for a ceiling, -1 for a floor. Six products
    and three with the residual go into `sums`.
    """
    total = 0.0
    a00 = a10 = a11 = a20 = a21 = a22 = b0 = b1 = b2 = 0.0
    for i in range(k.size):
        x = k[i]
        square = psi * psi * x * x
        root = math.sqrt(square + theta * (2.0 * tilt * x + theta))
        w = 0.5 * (theta + tilt * x + root)
        vol = math.sqrt(max(w, 1e-14) * per_year)
        r = (vol - mid[i]) * per_half[i]
        size = abs(r)
        inner = min(size, HUBER)
        on = 1.0 if side[i] * r >= 0.0 else 0.0
        total += on * inner * (size - 0.5 * inner)
        chain = 0.25 * per_year * per_half[i] / vol  # half of it is the half before w's bracket
        pull = on * chain * (HUBER / max(size, HUBER))
        over = 1.0 / root
        j0 = 1.0 + (tilt * x + theta) * over
        j1 = x + theta * x * over
        j2 = psi * x * x * over
        weight = pull * chain
        pull *= r
        c, d, e = weight * j0, weight * j1, weight * j2
        a00 += c * j0
        a10 += d * j0
        a11 += d * j1
        a20 += e * j0
        a21 += e * j1
        a22 += e * j2
        b0 += pull * j0
        b1 += pull * j1
        b2 += pull * j2
    sums[0], sums[1], sums[2], sums[3], sums[4], sums[5] = a00, a10, a11, a20, a21, a22
    sums[6], sums[7], sums[8] = b0, b1, b2
    return total
