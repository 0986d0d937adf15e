"""The arbitrage-free SABR of Hagan et al. (2014) as a chain on the strikes, in nopython.

Their effective forward equation, absorbed at the barrier F + shift = 0,

    q_t = 1/2 (D^2 q)_FF,  D^2 = alpha^2 (1 + 2 rho nu z + nu^2 z^2) e^(rho nu alpha G t) F^2beta
    z = integral from f to F of dx/(alpha x^beta),  G = (F^beta - f^beta)/(F - f)

is solved for the masses m_j on nodes F_j that are even in y = integral of dF/D(t = 0). Node j
jumps to its neighbours at the rates D^2/((up + down) up) and D^2/((up + down) down) over the
distances up and down: a chain whose mean stays and whose variance grows by D^2 dt. A step is
(1 - (1 - s) dt Q)^-1 (1 + s dt Q) with s <= 1/2 and s dt (up + down) <= 1: both factors have no
negative entry, so masses stay >= 0, and their sum and mean stay, whatever the step. s = 1/2 is
Crank-Nicolson, of second order.

Source  P. Hagan, D. Kumar, A. Lesniewski, D. Woodward, Wilmott (Jan. 2014) 60-75, for the
        equation; F. Le Floc'h, G. Kennedy, J. Computational Finance 20 (2017), for nodes even in y.
"""

import math

import numba as nb
import numpy as np

from surfaces.kernels.compiling import ALLOCATES, INNER, OUTER

FARTHEST = 60.0  # of |ln(F/f)| where the nodes end
FEWEST = 20  # nodes on either side of the forward
LEAST_STEPS = 50.0
STEEPEST = 200.0  # of the exponent in e^(rho nu alpha G t): past it nothing is left to diffuse


@nb.njit(**INNER)
def place(y, forward, alpha, beta, rho, nu):
    """F(y); zero where the barrier has been passed."""
    if nu > 0.0:
        x = nu * y
        z = (math.sinh(x) + rho * (math.cosh(x) - 1.0)) / nu
    else:
        z = y
    c = 1.0 - beta
    if c == 0.0:
        return forward * math.exp(alpha * z)
    inner = 1.0 + c * alpha * math.pow(forward, -c) * z
    return forward * math.exp(math.log(inner) / c) if inner > 0.0 else 0.0


@nb.njit(**INNER)
def distance(ratio, forward, alpha, beta, rho, nu):
    """y of F = ratio x forward; ratio zero is the barrier, which beta < 1 only can reach."""
    c = 1.0 - beta
    if c == 0.0:
        z = math.log(ratio) / alpha
    else:
        z = math.pow(forward, c) / (alpha * c)
        z *= math.expm1(c * math.log(ratio)) if ratio > 0.0 else -1.0
    if nu == 0.0:
        return z
    u = nu * z
    # From the side where nothing cancels: ln((S + u + rho)/(1 + rho)).
    s = math.sqrt((u + rho) * (u + rho) + (1.0 - rho) * (1.0 + rho))
    if u + rho > 0.0:
        return math.log((s + u + rho) / (1.0 + rho)) / nu
    return math.log((1.0 - rho) / (s - u - rho)) / nu


@nb.njit(**OUTER)
def fill_nodes(forward, alpha, beta, rho, nu, low, high, below, nodes):
    """Rising nodes: the barrier, `below` of them under the forward, the forward, the rest above.

    `low` < 0 < `high` are the ends in y; a node that rounding leaves on its neighbour is moved up.
    """
    n = nodes.size - 1
    for j in range(n + 1):
        if j < below:
            y = low * (below - j) / below
        else:
            y = high * (j - below) / (n - below)
        nodes[j] = place(y, forward, alpha, beta, rho, nu)
    nodes[below] = forward
    nodes[0] = 0.0
    for j in range(1, n + 1):
        nodes[j] = max(nodes[j], nodes[j - 1] * (1.0 + 4e-16) + 1e-300)


@nb.njit(**INNER)
def fill_rates(nodes, at, alpha, beta, rho, nu, still, growth):
    """D^2 over both distances at t = 0, and the rate at which it grows; zero at both ends."""
    forward, c = nodes[at], 1.0 - beta
    lift = math.pow(forward, c)
    still[0] = still[nodes.size - 1] = growth[0] = growth[nodes.size - 1] = 0.0
    for j in range(1, nodes.size - 1):
        F = nodes[j]
        log = math.log(F / forward)
        z = log if c == 0.0 else lift * math.expm1(c * log) / c
        z *= nu / alpha
        local = alpha * math.pow(F, beta)
        local *= local * ((z + rho) * (z + rho) + (1.0 - rho) * (1.0 + rho))
        if abs(log) < 1e-6:
            slope = beta / lift
        else:
            slope = math.expm1(beta * log) / (math.expm1(log) * lift)
        growth[j] = rho * nu * alpha * slope
        still[j] = local / (nodes[j + 1] - nodes[j - 1])


@nb.njit(**INNER)
def fill_flows(nodes, still, growth, t, dt, up, down):
    """Chances of a jump up and down in `dt`; returns the largest of their sums."""
    most = 0.0
    for j in range(1, nodes.size - 1):
        rate = dt * still[j] * math.exp(min(growth[j] * t, STEEPEST))
        up[j] = rate / (nodes[j + 1] - nodes[j])
        down[j] = rate / (nodes[j] - nodes[j - 1])
        most = max(most, up[j] + down[j])
    return most


@nb.njit(**INNER)
def explicit_part(share, up, down, mass, out):
    """out = (1 + share Q) mass, >= 0 while share (up + down) <= 1."""
    n = mass.size
    out[0] = mass[0] + share * down[1] * mass[1]
    out[n - 1] = mass[n - 1] + share * up[n - 2] * mass[n - 2]
    for j in range(1, n - 1):
        come = down[j + 1] * mass[j + 1] + up[j - 1] * mass[j - 1]
        out[j] = max(1.0 - share * (up[j] + down[j]), 0.0) * mass[j] + share * come


@nb.njit(**INNER)
def implicit_part(share, up, down, mass, pivot):
    """Solve (1 - share Q) mass = mass in place, by Thomas with sums of positive terms only.

    A pivot is one, plus the flow up, plus that part of the flow down which does not come back.
    """
    n = mass.size
    keep = 1.0 + share * down[1]
    pivot[1] = keep + share * up[1]
    mass[1] /= pivot[1]
    for j in range(2, n - 1):
        keep = 1.0 + share * down[j] * (keep / pivot[j - 1])
        pivot[j] = keep + share * up[j]
        mass[j] = (mass[j] + share * up[j - 1] * mass[j - 1]) / pivot[j]
    for j in range(n - 3, 0, -1):
        mass[j] += share * down[j + 1] * mass[j + 1] / pivot[j]
    mass[0] += share * down[1] * mass[1]
    mass[n - 1] += share * up[n - 2] * mass[n - 2]


@nb.njit(**ALLOCATES)
def walk(nodes, at, alpha, beta, rho, nu, years, most_steps, mass):
    """Masses at `years`, from one unit at node `at`; returns the number of steps.

    As many steps as let Crank-Nicolson keep masses >= 0 (jump chances up to two), at most
    `most_steps`; where that is too few, just as much of a step is explicit as may be.
    """
    n = nodes.size
    still, growth = np.empty(n), np.empty(n)
    up, down, pivot, spare = np.zeros(n), np.zeros(n), np.empty(n), np.empty(n)
    fill_rates(nodes, at, alpha, beta, rho, nu, still, growth)
    most = max(
        fill_flows(nodes, still, growth, 0.0, years, up, down),
        fill_flows(nodes, still, growth, years, years, up, down),
    )
    steps = int(min(max(0.5 * most + 1.0, LEAST_STEPS), most_steps))
    dt = years / steps
    for j in range(n):
        mass[j] = 0.0
    mass[at] = 1.0
    for step in range(steps):
        most = fill_flows(nodes, still, growth, (step + 0.5) * dt, dt, up, down)
        share = min(0.5, 1.0 / most)
        explicit_part(share, up, down, mass, spare)
        implicit_part(1.0 - share, up, down, spare, pivot)
        for j in range(n):
            mass[j] = spare[j]
    return steps


@nb.njit(**OUTER)
def solve(forward, alpha, beta, rho, nu, years, wide, most_steps, nodes, mass):
    """Nodes and masses at `years`; returns the node of the forward and the number of steps.

    The nodes reach `wide` deviations either way, to the barrier, or to e^60 times the forward.
    """
    lift = alpha * math.pow(forward, beta - 1.0)
    reach = (
        wide * math.sqrt(years) * math.exp(min(max(0.5 * rho * nu * beta * lift * years, 0.0), 5.0))
    )
    floor = 0.0 if beta < 1.0 else math.exp(-FARTHEST)
    low = max(distance(floor, forward, alpha, beta, rho, nu), -reach)
    high = min(distance(math.exp(FARTHEST), forward, alpha, beta, rho, nu), reach)
    n = nodes.size - 1
    below = int(min(max(round(n * low / (low - high)), FEWEST), n - FEWEST))
    fill_nodes(forward, alpha, beta, rho, nu, low, high, below, nodes)
    return below, walk(nodes, below, alpha, beta, rho, nu, years, most_steps, mass)
