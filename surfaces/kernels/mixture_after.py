"""What is asked of a solved mixture program: link rows, and the Newton system of one slice."""

import numba as nb
import numpy as np

from surfaces.kernels.compiling import OUTER
from surfaces.kernels.mixture_linear import BORDER, add_gram, dot, factor, forward, times
from surfaces.kernels.mixture_solve import fill_base


@nb.njit(**OUTER)
def link_values(blocks, links, u, out):
    """What every link row is about, (c,): above zero it is not kept."""
    spare = np.empty(out.size)
    for t in range(blocks.bumps.size - 1):
        low, high = links.start[t], links.start[t + 1]
        part, other = out[low:high], spare[low:high]
        times(links.early, links.early_spans, u[t], low, part)
        times(links.late, links.late_spans, u[t + 1], low, other)
        for i in range(high - low):
            part[i] -= other[i]


@nb.njit(**OUTER)
def link_gaps(blocks, links, u, share, out):
    """`link_values` without the margin, which is `share` of what the rows say of the early side."""
    for t in range(blocks.bumps.size - 1):
        low, high = links.start[t], links.start[t + 1]
        times(links.early, links.early_spans, u[t], low, out[low:high])
    early = out.copy()
    link_values(blocks, links, u, out)
    for i in range(out.size):
        out[i] -= share * early[i]


@nb.njit(**OUTER)
def own_system(t, rows, blocks, state, H):
    """Factor of the Newton matrix of slice `t` alone: its quotes, roughness, prior and walls."""
    n, low, high = blocks.bumps[t], rows.start[t], rows.start[t + 1]
    weight = np.empty(high - low)
    fill_base(t, rows, blocks, weight, H)
    for i in range(high - low):
        weight[i] = state.weight[low + i] * rows.per_half[low + i] ** 2
    add_gram(rows.design, rows.spans, low, weight, H)
    for a in range(n):
        H[a, a] += state.z[t, a] / state.u[t, a]
    return factor(H, n, n + BORDER)


@nb.njit(**OUTER)
def quadratic(H, n, B, out):
    """out[i] = B[i] H^-1 B[i]' for rows of B (p, >= n) and a factor H."""
    x = np.empty(n + BORDER)
    for i in range(B.shape[0]):
        for a in range(n + BORDER):
            x[a] = B[i, a] if a < n else 0.0
        forward(H, n, n + BORDER, x)
        out[i] = dot(x[:n], x[:n]) - x[n] * x[n] - x[n + 1] * x[n + 1]


@nb.njit(**OUTER)
def levers(rows, blocks, state, beyond, beyond_start, H, quoted, out):
    """B H^-1 B' of every quote into `quoted` (q,), and of rows `beyond` (p, bumps) into `out` (p,).

    Rows beyond_start[t] to beyond_start[t + 1] belong to slice t; H is scratch.
    """
    for t in range(blocks.bumps.size):
        n = blocks.bumps[t]
        own_system(t, rows, blocks, state, H)
        low, high = rows.start[t], rows.start[t + 1]
        quadratic(H, n, rows.design[low:high], quoted[low:high])
        low, high = beyond_start[t], beyond_start[t + 1]
        quadratic(H, n, beyond[low:high], out[low:high])
