"""Chains of slices solved together: the loop of `surfaces.kernels.mixture_solve`, and its driver.

A chain is a run of neighbouring slices with links between them; a slice without links is a chain of
its own, with steps of its own. Python goes through the chains: a loop here would have the compiler
optimise all of it a second time.
"""

import math

import numba as nb
import numpy as np

from surfaces.kernels.compiling import ALLOCATES, INNER, OUTER, keep_apart
from surfaces.kernels.mixture_linear import (
    BORDER,
    add_gram,
    add_times,
    dot,
    factor,
    times,
)
from surfaces.kernels.mixture_solve import (
    CAP,
    DP,
    DS,
    DX,
    DY,
    FORECAST,
    LINEAR,
    NEAR_ONE,
    SLOW,
    SOLVED,
    STUCK,
    TABLE,
    P,
    S,
    X,
    Y,
    add_rough,
    centre,
    couple,
    fill_base,
    hinge_gap,
    hinge_wall,
    move,
    product_after,
    pull,
    scale_rows,
    solve_blocks,
    stiffness,
    wall,
)


@nb.njit(**ALLOCATES)
def moved(first, last, rows, blocks, links, u, out):
    """Change of every hinge's x when the weights change by u, into `out`.

    Quotes from above, quotes from below, links: in this order, each in chain order.
    """
    keep_apart()
    q0, q1, c0 = rows.start[first], rows.start[last], links.start[first]
    q = q1 - q0
    for t in range(first, last):
        low, high = rows.start[t], rows.start[t + 1]
        times(rows.design, rows.spans, u[t], low, out[low - q0 : high - q0])
    for i in range(q):
        out[i] *= rows.per_half[q0 + i]
        out[q + i] = -out[i]
    spare = np.empty(out.size)
    for t in range(first, last - 1):
        low, high = links.start[t], links.start[t + 1]
        at = 2 * q + low - c0
        part, other = out[at : at + high - low], spare[: high - low]
        times(links.early, links.early_spans, u[t], low, part)
        times(links.late, links.late_spans, u[t + 1], low, other)
        for i in range(high - low):
            part[i] -= other[i]


@nb.njit(**ALLOCATES)
def fill_x(first, last, rows, blocks, links, state, h):
    """What every hinge is about, at the present weights, and its cap."""
    keep_apart()
    q0, c0 = rows.start[first], links.start[first]
    q = rows.start[last] - q0
    moved(first, last, rows, blocks, links, state.u, h[X])
    for i in range(q):
        at = rows.mid[q0 + i] * rows.per_half[q0 + i]
        h[X, i] -= at + rows.high[q0 + i]
        h[X, q + i] += at - rows.low[q0 + i]
        h[CAP, i] = rows.cap[q0 + i]
        h[CAP, q + i] = rows.cap[q0 + i]
    for i in range(2 * q, h.shape[1]):
        h[CAP, i] = links.cap[c0 + i - 2 * q]


@nb.njit(**ALLOCATES)
def start_cold(first, last, rows, blocks, links, mu, state, h):
    """Start from u = 1 on the central path of `mu`, but for the linear equations."""
    keep_apart()
    for t in range(first, last):
        for a in range(blocks.bumps[t]):
            state.u[t, a] = 1.0
            state.z[t, a] = mu
        for e in range(BORDER):
            state.nu[t, e] = 0.0
    fill_x(first, last, rows, blocks, links, state, h)
    centre(mu, h)


@nb.njit(**ALLOCATES)
def start_warm(first, last, rows, blocks, links, mu, state, h):
    """Start where an earlier solution passed `mu`: multipliers stay, and what the quotes' moves do
    to the linear equations is left to the first steps."""
    keep_apart()
    q0, c0 = rows.start[first], links.start[first]
    q = rows.start[last] - q0
    for t in range(first, last):
        for a in range(blocks.bumps[t]):
            state.u[t, a] = state.warm[t, 0, a]
            state.z[t, a] = state.warm[t, 1, a]
    fill_x(first, last, rows, blocks, links, state, h)
    for i in range(q):
        for row in range(3):
            h[S + row, i] = state.warm_rows[row, q0 + i]
            h[S + row, q + i] = state.warm_rows[3 + row, q0 + i]
    for i in range(2 * q, h.shape[1]):
        for row in range(3):
            h[S + row, i] = state.warm_links[row, c0 + i - 2 * q]
    for i in range(h.shape[1]):
        x, y, cap = h[X, i], h[Y, i], h[CAP, i]
        if not 0.0 < y < cap:  # a row that was not there before
            h[S, i] = max(-x, math.sqrt(mu))
            h[Y, i] = min(mu / h[S, i], 0.5 * cap)
            h[P, i] = mu / (cap - h[Y, i])
        elif i < 2 * q and y < 0.5 * cap and x < 0.0:  # an idle hinge follows its quote
            h[S, i] = max(h[P, i] - x, 0.1 * h[S, i])
            h[Y, i] = min(mu / h[S, i], 0.5 * cap)


@nb.njit(**INNER)
def keep(first, last, rows, blocks, links, mu, state, h):
    """Remember where this solution passed `mu`."""
    keep_apart()
    q0, c0 = rows.start[first], links.start[first]
    q = rows.start[last] - q0
    for t in range(first, last):
        state.level[t] = mu
        for a in range(blocks.bumps[t]):
            state.warm[t, 0, a] = state.u[t, a]
            state.warm[t, 1, a] = state.z[t, a]
    for row in range(3):
        for i in range(q):
            state.warm_rows[row, q0 + i] = h[S + row, i]
            state.warm_rows[3 + row, q0 + i] = h[S + row, q + i]
        for i in range(2 * q, h.shape[1]):
            state.warm_links[row, c0 + i - 2 * q] = h[S + row, i]


@nb.njit(**INNER)
def factor_chain(first, last, rows, blocks, links, state, base, h, room, C, mover):
    """Newton matrix of the chain, factorised; room is scratch as long as h."""
    keep_apart()
    q0, c0 = rows.start[first], links.start[first]
    q = rows.start[last] - q0
    stiffness(h, room)
    for i in range(q):
        state.weight[q0 + i] = room[i] + room[q + i]
        room[i] = state.weight[q0 + i] * rows.per_half[q0 + i] ** 2
    for t in range(first, last):
        n = blocks.bumps[t]
        H = state.system[t]
        for a in range(n + BORDER):
            for b in range(a + 1):
                H[a, b] = base[t - first, a, b]
        low, high = rows.start[t], rows.start[t + 1]
        add_gram(rows.design, rows.spans, low, room[low - q0 : high - q0], H)
        for a in range(n):
            H[a, a] += state.z[t, a] / state.u[t, a]
        if t + 1 < last:
            low, at = links.start[t], 2 * q + links.start[t] - c0
            weight = room[at : at + links.start[t + 1] - low]
            add_gram(links.early, links.early_spans, low, weight, H)
        if t > first:
            low, at = links.start[t - 1], 2 * q + links.start[t - 1] - c0
            weight = room[at : at + links.start[t] - low]
            T = mover[t - 1 - first]
            couple(t, blocks, links, weight, state.system[t - 1], C, T, H)
        factor(H, n, n + BORDER)


@nb.njit(**ALLOCATES)
def direction(first, last, rows, blocks, links, state, tau, h, room, du, dz, d, mover):
    """Newton step into d, du, dz and the table; on entry du, dz, DS, DP, DY hold a forecast.

    Returns the reciprocal of the longest step allowed.
    """
    keep_apart()
    q0, c0 = rows.start[first], links.start[first]
    q = rows.start[last] - q0
    pull(h, tau, room)
    for i in range(q):
        r = h[X, i] + rows.high[q0 + i]
        total = rows.alpha[q0 + i] * r + room[i] - room[q + i]
        room[i] = -total * rows.per_half[q0 + i]
    for t in range(first, last):
        n = blocks.bumps[t]
        g, u, z, nu = d[t - first], state.u[t], state.z[t], state.nu[t]
        one, mean = blocks.border[t, 0], blocks.border[t, 1]
        for a in range(n):
            g[a] = (tau - du[t - first, a] * dz[t - first, a]) / u[a]
            g[a] -= blocks.stiff[t, a] * (u[a] - blocks.prior[t, a])
            g[a] -= one[a] * nu[0] + mean[a] * nu[1]
        g[n] = blocks.target[t, 0] - dot(one[:n], u[:n])
        g[n + 1] = blocks.target[t, 1] - dot(mean[:n], u[:n])
        add_rough(u, n, blocks.lam[t], g)
        low, high = rows.start[t], rows.start[t + 1]
        add_times(rows.design, rows.spans, room[low - q0 : high - q0], low, 1.0, g)
        if t + 1 < last:
            low, at = links.start[t], 2 * q + links.start[t] - c0
            part = room[at : at + links.start[t + 1] - low]
            add_times(links.early, links.early_spans, part, low, -1.0, g)
        if t > first:
            low, at = links.start[t - 1], 2 * q + links.start[t - 1] - c0
            part = room[at : at + links.start[t] - low]
            add_times(links.late, links.late_spans, part, low, 1.0, g)
    solve_blocks(first, last, blocks.bumps, state.system, mover, d)
    worst = 0.0
    full = np.zeros((last, du.shape[1]))
    for t in range(first, last):
        n = blocks.bumps[t]
        u, z, dut, dzt = state.u[t], state.z[t], du[t - first], dz[t - first]
        for a in range(n):
            step = d[t - first, a]
            dzt[a] = (tau - u[a] * z[a] - dut[a] * dzt[a] - z[a] * step) / u[a]
            dut[a] = step
            full[t, a] = step
        worst = max(worst, wall(u[:n], dut[:n]), wall(z[:n], dzt[:n]))
    moved(first, last, rows, blocks, links, full, h[DX])
    move(h, tau)
    return max(worst, hinge_wall(h))


@nb.njit(**INNER)
def gap_after(first, last, blocks, state, h, du, dz, step):
    """Complementarity left after a step."""
    keep_apart()
    total = hinge_gap(h, step)
    for t in range(first, last):
        n = blocks.bumps[t]
        total += product_after(
            state.u[t, :n], du[t - first, :n], state.z[t, :n], dz[t - first, :n], step
        )
    return total


@nb.njit(**INNER)
def take(first, last, blocks, state, h, du, dz, d, step):
    """Move everything by `step`."""
    keep_apart()
    for pair in ((S, DS), (P, DP), (Y, DY), (X, DX)):
        x, dx = h[pair[0]], h[pair[1]]
        for i in range(x.size):
            x[i] += step * dx[i]
    for t in range(first, last):
        n = blocks.bumps[t]
        for a in range(n):
            state.u[t, a] += step * du[t - first, a]
            state.z[t, a] += step * dz[t - first, a]
        for e in range(BORDER):
            state.nu[t, e] += step * d[t - first, n + e]


@nb.njit(**OUTER)
def chain(first, last, rows, blocks, links, state, options):
    """Solve slices first to last - 1 together: (status, steps).

    `options`: mu of a cold start and at the end, most steps. Warm if every slice was solved before.
    """
    q0, q1 = rows.start[first], rows.start[last]
    q, c = q1 - q0, links.start[last - 1] - links.start[first]
    m, width = last - first, state.u.shape[1]
    h = np.zeros((TABLE, 2 * q + c))
    room = np.zeros(2 * q + c)
    base = np.empty((m, width + BORDER, width + BORDER))
    C = np.empty((width, width))
    mover = np.zeros((m - 1, width + BORDER, width))
    d = np.zeros((m, width + BORDER))
    du, dz = np.zeros((m, width)), np.zeros((m, width))
    count = 2.0 * h.shape[1]
    warm = True
    for t in range(first, last):
        fill_base(t, rows, blocks, room, base[t - first])
        count += blocks.bumps[t]
        warm = warm and state.level[t] > 0.0
    if warm:
        start_warm(first, last, rows, blocks, links, options[1], state, h)
    else:
        start_cold(first, last, rows, blocks, links, options[0], state, h)
    status, left, steps = SLOW, 1.0, 0
    while steps < int(options[2]):
        gap = gap_after(first, last, blocks, state, h, du, dz, 0.0)
        mu = gap / count
        if mu <= 1.5 * options[1] and left < LINEAR:
            status = SOLVED
            keep(first, last, rows, blocks, links, mu, state, h)
            break
        factor_chain(first, last, rows, blocks, links, state, base, h, room, C, mover)
        tau = options[1]
        worst = 0.0
        for phase in range(0 if mu > FORECAST * tau else 1, 2):
            aim = tau if phase == 1 else 0.0
            worst = direction(
                first, last, rows, blocks, links, state, aim, h, room, du, dz, d, mover
            )
            if phase == 0:
                reach = min(1.0, 1.0 / max(worst, 1e-9))
                after = gap_after(first, last, blocks, state, h, du, dz, reach) / gap
                tau = max(mu * max(after * after * after, 1e-3), 0.5 * tau)
                # a forecast that stops at once says little about the curvature beyond
                scale_rows(du, 0, m, reach * reach)
                scale_rows(h, DS, DP + 1, reach * reach)
        step = min(1.0, NEAR_ONE / max(worst, 1e-9))
        if not step > 1e-10:
            status = STUCK
            break
        take(first, last, blocks, state, h, du, dz, d, step)
        scale_rows(du, 0, m, 0.0)
        scale_rows(dz, 0, m, 0.0)
        scale_rows(h, DS, DY + 1, 0.0)
        left *= 1.0 - step
        steps += 1
    for i in range(q):
        state.residual[q0 + i] = h[X, i] + rows.high[q0 + i]
        state.force[q0 + i] = h[Y, i] - h[Y, q + i]
    if status != SOLVED:
        for t in range(first, last):
            state.level[t] = 0.0
    return status, steps
