"""One option as a heat equation on a line: nopython, no checks, no allocation.

With prices and spots in units of the strike, tau the time left, a = sigma^2/2 and b = r - q - a,

    V(S, tau) = e^(-r tau) u(ln S + b tau, tau)      turns Black-Scholes into      u_tau = a u_yy,

and what exercise pays into w (e^y e^((q+a) tau) - e^(r tau)). No drift is left to be resolved, and
one number, lambda = a dtau / dx^2, holds the whole scheme: Crank-Nicolson in time, Crandall's
three-point scheme of fourth order in space. The tridiagonal matrix is a Toeplitz matrix, so its
factors are known in closed form and a step is two recursions over the nodes.

Node 0 is the in-the-money end for a call and for a put. Early exercise is Brennan and Schwartz's:
the factor is swept from the out-of-the-money end, and substitution starts at the first node where
waiting is worth more. On nodes alone that costs an error of dx^2 which depends on where the
boundary y* lies between them, and prices saw-tooth in the strike. But the pricing equation gives
the value's curvature at the boundary: just inside, value - paid = H (distance / dx)^2 with

    H = (dx^2 / 2a) w (q S - r K)       (in the scheme's units, the interest that exercise earns).

So y* is read off the second node that waits (the first would be too close to read it off stably),
and the node before the boundary takes the continued value instead of what exercise pays.

Source  S. Crandall, Q. Applied Math. 13 (1955) 318-320; M. Brennan, E. Schwartz, J. Finance 32
        (1977) 449-462; R. Rannacher, Numer. Math. 43 (1984) 309-327; H.-O. Kreiss, V. Thomee,
        O. Widlund, Comm. Pure Appl. Math. 23 (1970) 241-259 for rounding a kink.
"""

import math
from typing import NamedTuple

import numba as nb

from surfaces.kernels.black import price_one

SIGNLESS = {"nsz"}  # no "contract": see `surfaces.kernels.normal`
SKIN = 3  # exercised nodes next to the boundary that hold the continued value


class Contract(NamedTuple):
    """One option, its strike the unit of money."""

    w: float  # +1 call, -1 put
    T: float
    sigma: float
    r: float
    q: float
    american: bool
    plain: bool  # exercise never pays between ex-dates
    loose: bool  # the exercise region may be cut off from the in-the-money end


class Grid(NamedTuple):
    """Nodes y_i = y0 - w i dx, i = 0..n."""

    n: int
    y0: float
    dx: float


@nb.njit(cache=True, error_model="numpy", fastmath=SIGNLESS)
def fill_nodes(w, grid, E):
    """e^y at the nodes."""
    e = math.exp(grid.y0)
    ratio = math.exp(-w * grid.dx)
    for i in range(grid.n + 1):
        E[i] = e
        e *= ratio


@nb.njit(cache=True, error_model="numpy", fastmath=SIGNLESS)
def fill_start(c, grid, tau, strike, share, E, u):
    """The closed form `share` Black(`strike`) at tau; returns the first node not exercised.

    A start at tau > 0 has no kink, so the strike need not fall on a node.
    """
    grow = math.exp(c.sigma * c.sigma * 0.5 * tau)
    A, C = math.exp(c.r * tau), math.exp(c.q * tau) * grow
    deviation = c.sigma * math.sqrt(tau)
    first = 0
    for i in range(grid.n + 1):
        forward = E[i] * grow
        if c.plain or abs(forward - strike) < 9.0 * deviation * strike:
            value = share * price_one(c.w, forward, strike, deviation)
        else:
            value = share * max(c.w * (forward - strike), 0.0)
        if not c.plain:
            paid = c.w * (E[i] * C - A)
            if paid >= value and paid > 0.0:
                value = paid
                first = i + 1
        u[i] = value
    return first


@nb.njit(cache=True, error_model="numpy", fastmath=SIGNLESS)
def sweep(n, low, lam, theta, tail, u, g):
    """Backward recursion from the out-of-the-money end to node `low`; returns its constants.

    With o = 1/12 - theta lam the matrix 1 + o delta^2 is p (1 - k z)(1 - k/z); g is what is left
    after the first factor, so that u_i = g_i + k u_(i-1). From node n on u is the line through u[n]
    and `tail` at node n - 1 before every step, which is stable because neither ever changes.
    """
    o = 1.0 / 12.0 - theta * lam
    e = 1.0 / 12.0 + (1.0 - theta) * lam
    p = 0.5 * ((1.0 - 2.0 * o) + math.sqrt(1.0 - 4.0 * o))
    k = -o / p
    middle, side = (1.0 - 2.0 * e) / p, e / p
    here, above = u[n - 1], u[n]
    g[n] = last = above - k * tail + side * (here - tail)
    square = k * k
    i = n - 1
    while i > low:  # two nodes at a time: the recursion's latency is what a step costs
        below, under = u[i - 1], u[i - 2]
        one = middle * here + side * (below + above)
        two = middle * below + side * (under + here) + k * one
        g[i] = one + k * last
        last = two + square * last
        g[i - 1] = last
        above, here = below, under
        i -= 2
    if i == low:
        g[i] = middle * here + side * (u[i - 1] + above) + k * last
    return k, middle, side


@nb.njit(cache=True, error_model="numpy", fastmath=SIGNLESS)
def is_paid(c, i, k, A, C, hump, E, g):
    """Whether node i is exercised, given that node i - 1 is: the boundary is not before it."""
    H = hump * c.w * (c.q * E[i] * C - c.r * A)
    paid = c.w * (E[i] * C - A)
    if not (H > 0.0 and paid > 0.0):
        return False
    here = g[i] + k * c.w * (E[i - 1] * C - A)
    second = g[i + 1] + k * here - c.w * (E[i + 1] * C - A)
    return second <= (1.0 - k * k) * H or here - paid <= -k * H


@nb.njit(cache=True, error_model="numpy", fastmath=SIGNLESS)
def fill_paid(c, n, first, k, A, C, hump, E, u, g):
    """What exercise pays below node `first`, continued next to it; returns y*'s node number.

    With s = first - y*, the second node is worth H (1 + s)^2, of which k^2 H (1 - s)^2 came from
    the continued node before the boundary: a quadratic in 1 + s.
    """
    for i in range(first):
        u[i] = c.w * (E[i] * C - A)
    H = hump * c.w * (c.q * E[first] * C - c.r * A)
    if not (H > 0.0 and first < n):
        return first - 1.0
    second = g[first + 1] + k * (g[first] + k * u[first - 1]) - c.w * (E[first + 1] * C - A)
    k2 = k * k
    root = math.sqrt(max(4.0 * k2 * k2 + (1.0 - k2) * (4.0 * k2 + second / H), 0.0))
    s = min(max((root - 2.0 * k2) / (1.0 - k2) - 1.0, 0.0), 1.0)
    for i in range(max(first - SKIN, 0), first):
        u[i] += H * (first - s - i) ** 2
    return first - s


@nb.njit(cache=True, error_model="numpy", fastmath=SIGNLESS)
def substitute(c, i, n, k, A, C, u, g, E):
    """Forward recursion from node i, which follows known ones, to node n - 1."""
    last = u[i - 1]
    if c.loose:
        for j in range(i, n):
            last = max(g[j] + k * last, c.w * (E[j] * C - A))
            u[j] = last
    else:
        square = k * k
        for j in range(i, n - 1, 2):
            two = g[j + 1] + k * g[j]
            u[j] = g[j] + k * last
            last = two + square * last
            u[j + 1] = last
        if (n - i) % 2 == 1:
            u[n - 1] = g[n - 1] + k * last


@nb.njit(cache=True, error_model="numpy", fastmath=SIGNLESS)
def step(c, grid, held, slope, tail, tau, dtau, theta, u, g, E):
    """One step from tau - dtau to tau in place; returns (held, y*'s node number, slope).

    `held` nodes are exercised, counted from node 0. Beyond node 0 u is alpha + slope e^(y + a tau),
    which grows by itself; the other end is as `sweep` takes it.
    """
    n, a = grid.n, 0.5 * c.sigma * c.sigma
    hump = 0.5 * grid.dx * grid.dx / a
    A, C = math.exp(c.r * tau), math.exp((c.q + a) * tau)
    i = min(max(held, 1), n)
    k, middle, side = sweep(n, i, 0.5 * dtau / hump, theta, tail, u, g)
    end = u[0] + slope * E[0] * math.exp(a * tau) * -math.expm1(-a * dtau)
    paid = c.w * (E[0] * C - A)
    held, edge = 0, -1.0
    if c.plain or paid < end or paid <= 0.0:
        while i > 1:
            i -= 1
            g[i] = middle * u[i] + side * (u[i - 1] + u[i + 1]) + k * g[i + 1]
        u[0] = end
    else:
        slope, held = c.w * math.exp(c.q * tau), i
        while held < n and is_paid(c, held, k, A, C, hump, E, g):
            held += 1
        if held == i:
            while held > 1:
                i = held - 1
                g[i] = middle * u[i] + side * (u[i - 1] + u[i + 1]) + k * g[held]
                if is_paid(c, i, k, A, C, hump, E, g):
                    break
                held = i
        i = held
        edge = fill_paid(c, n, held, k, A, C, hump, E, u, g)
    substitute(c, i, n, k, A, C, u, g, E)
    return held, edge, slope


@nb.njit(cache=True, error_model="numpy", fastmath=SIGNLESS)
def march(c, grid, held, slope, origin, start, end, steps, damped, u, g, E):
    """From tau = start to end in `steps` steps, equal in sqrt(tau - origin); returns as `step`.

    A first step that is `damped` is two implicit half steps, which smooth what a kink leaves.
    """
    root, width = math.sqrt(start - origin), math.sqrt(end - origin)
    tau, edge, tail = start, held - 1.0, u[grid.n - 1]
    for s in range(1, steps + 1):
        y = root + (width - root) * s / steps
        new = origin + y * y if s < steps else end
        parts = 2 if damped and s == 1 else 1
        dtau = (new - tau) / parts
        for part in range(parts, 0, -1):
            held, edge, slope = step(
                c, grid, held, slope, tail, new - (part - 1) * dtau, dtau, 0.5 * parts, u, g, E
            )
        tau = new
    return held, edge, slope


@nb.njit(cache=True, error_model="numpy", fastmath=SIGNLESS)
def between(u, n, z):
    """Lagrange interpolation of degree five at node number z; n >= 5."""
    i = min(max(int(z) - 2, 0), n - 5)
    t = z - i
    t1, t2, t3, t4, t5 = t - 1.0, t - 2.0, t - 3.0, t - 4.0, t - 5.0
    low, high = t1 * t2, t3 * t4
    ends = low * high * (t * u[i + 5] - t5 * u[i])
    inner = 5.0 * t * t5 * (t2 * high * u[i + 1] - low * t3 * u[i + 4])
    middle = 10.0 * t * t5 * (low * t4 * u[i + 3] - t1 * high * u[i + 2])
    return (ends + inner + middle) / 120.0


@nb.njit(cache=True, error_model="numpy", fastmath=SIGNLESS)
def spline_ramp(t):
    """max(t, 0) averaged with the cubic B-spline."""
    total = 0.0
    for shift, weight in ((2.0, 1.0), (1.0, -4.0), (0.0, 6.0), (-1.0, -4.0), (-2.0, 1.0)):
        p = max(t + shift, 0.0)
        total += weight * p * p * p * p * p
    return total / 120.0


@nb.njit(cache=True, error_model="numpy", fastmath=SIGNLESS)
def rounding(t):
    """What Kreiss' smoothing of fourth order adds to max(t, 0); zero for |t| >= 3.

    A kink between nodes costs an error of dx^2 that depends on where it lies; rounded, dx^4.
    """
    here = spline_ramp(t)
    bend = spline_ramp(t + 1.0) - 2.0 * here + spline_ramp(t - 1.0)
    return here - bend / 6.0 - max(t, 0.0)


@nb.njit(cache=True, error_model="numpy", fastmath=SIGNLESS)
def fill_rounded(n, z, jump, v):
    """Round a kink at node number z, where the slope per node rises by `jump`."""
    low = max(int(z) - 2, 0)
    for i in range(low, min(int(z) + 4, n + 1)):
        v[i] += jump * rounding(i - z)
