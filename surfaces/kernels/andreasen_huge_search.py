"""Levenberg and Marquardt's search for the local vols of one implicit step: nopython, no checks.

The derivative of d in a is (1 - aD)^-1 diag(M). A row of the inverse falls off on either side as a
product of ratios that do not depend on the row, so the sums over the nodes between two knots are
formed once for all quotes: a Jacobian costs as much as a few steps.

Source  K. Levenberg, Q. Applied Math. 2 (1944) 164-168; D. Marquardt, J. SIAM 11 (1963) 431-441.
"""

import math

import numba as nb

from surfaces.kernels.andreasen_huge_step import TINY, take_step
from surfaces.kernels.compiling import INNER, keep_apart

LOWEST, HIGHEST = -9.0, 3.0  # ln of a local vol


@nb.njit(**INNER)
def _chains(grid, share, density, at, work, sums):
    """Sums over the nodes between two knots, as seen from either of them.

    Row i of (1 - aD)^-1 is its diagonal times ratios: going left a[j+1] left[j+1] / low[j], going
    right a[j-1] right[j-1] / high[j], with the pivots from the left and from the right. For segment
    s, seen from its right knot: sums[s, 0] is the product of all ratios as far as its left knot,
    [s, 1] and [s, 2] the sums that belong to its left and right knots; [s, 3..5] the same seen from
    its left. Leaves reciprocal pivots from the right, and the density times the derivative of a in
    the local vol, in work.
    """
    keep_apart()
    a, low, sigma, high, slope = work[0], work[1], work[3], work[4], work[5]
    left, right = grid[1], grid[2]
    n, knots = a.size, at.size
    ratio = 1.0
    for j in range(n - 2, 0, -1):
        t = 1.0 + a[j] * right[j] * ratio
        high[j] = 1.0 / (t + a[j] * left[j])
        ratio = t * high[j]
    for j in range(n):
        slope[j] = 2.0 * a[j] / sigma[j] * density[j]
    for s in range(knots + 1):
        start = at[s - 1] if s > 0 else 0
        stop = at[s] if s < knots else n - 1
        chain, one, two = 1.0, 0.0, 0.0
        if s < knots:
            for j in range(stop - 1, start, -1):
                chain *= a[j + 1] * left[j + 1] * low[j]
                term = chain * slope[j]
                one += term * (1.0 - share[j])
                two += term * share[j]
            if s > 0:
                chain *= a[start + 1] * left[start + 1] * low[start]
        sums[s, 0], sums[s, 1], sums[s, 2] = chain, one, two
        chain, one, two = 1.0, 0.0, 0.0
        if s > 0:
            for j in range(start + 1, stop):
                chain *= a[j - 1] * right[j - 1] * high[j]
                term = chain * slope[j]
                one += term * (1.0 - share[j])
                two += term * share[j]
            if s < knots:
                chain *= a[stop - 1] * right[stop - 1] * high[stop]
        sums[s, 3], sums[s, 4], sums[s, 5] = chain, one, two


@nb.njit(**INNER)
def _row(p, grid, vol, at, work, sums, out):
    """Derivatives of the price at knot p in the logarithms of the knots' vols."""
    keep_apart()
    a, low, high, slope = work[0], work[1], work[4], work[5]
    knots, i = at.size, at[p]
    diagonal = 1.0 / (1.0 / low[i] + 1.0 / high[i] - 1.0 - a[i] * (grid[1, i] + grid[2, i]))
    for q in range(knots):
        out[q] = 0.0
    out[p] = diagonal * slope[i]
    chain = diagonal
    for s in range(p, -1, -1):
        out[max(s - 1, 0)] += chain * sums[s, 1]
        out[s] += chain * sums[s, 2]
        if s > 0:
            chain *= sums[s, 0]
            out[s - 1] += chain * slope[at[s - 1]]
    chain = diagonal
    for s in range(p + 1, knots + 1):
        out[s - 1] += chain * sums[s, 4]
        out[min(s, knots - 1)] += chain * sums[s, 5]
        if s < knots:
            chain *= sums[s, 3]
            out[s] += chain * slope[at[s]]
    for q in range(knots):
        out[q] *= vol[q]


@nb.njit(**INNER)
def _misfit(price, at, quoted, target, scale, theta, smooth, out):
    """Half the sum of squares; out[i] is quote i's misfit, about its error in vol x its weight."""
    keep_apart()
    total = 0.0
    for i in range(target.size):
        out[i] = scale[i] * math.log(max(price[at[quoted[i]]], TINY) / target[i])
        total += out[i] * out[i]
    if smooth > 0.0:
        for q in range(1, theta.size - 1):
            bend = theta[q - 1] - 2.0 * theta[q] + theta[q + 1]
            total += smooth * bend * bend
    return 0.5 * total


@nb.njit(**INNER)
def _normal(jacobian, residual, theta, smooth, matrix, vector):
    """Gauss and Newton's equations: lower half of the matrix, and minus the gradient."""
    keep_apart()
    quotes, knots = jacobian.shape
    for p in range(knots):
        vector[p] = 0.0
        for q in range(p + 1):
            matrix[p, q] = 0.0
    for i in range(quotes):
        for p in range(knots):
            slope = jacobian[i, p]
            vector[p] -= slope * residual[i]
            for q in range(p + 1):
                matrix[p, q] += slope * jacobian[i, q]
    if smooth > 0.0:
        for p in range(1, knots - 1):
            bend = theta[p - 1] - 2.0 * theta[p] + theta[p + 1]
            for i in range(3):
                c = -2.0 if i == 1 else 1.0
                vector[p - 1 + i] -= smooth * c * bend
                for j in range(i + 1):
                    matrix[p - 1 + i, p - 1 + j] += smooth * c * (-2.0 if j == 1 else 1.0)


@nb.njit(**INNER)
def _cholesky(matrix, diagonal, vector, factor, out):
    """Solve (matrix + diagonal) out = vector; False where rounding makes it indefinite."""
    keep_apart()
    n = vector.size
    for p in range(n):
        for q in range(p + 1):
            value = matrix[p, q]
            if p == q:
                value += diagonal
            for c in range(q):
                value -= factor[p, c] * factor[q, c]
            if p == q:
                if not value > 0.0:
                    return False
                factor[p, p] = math.sqrt(value)
            else:
                factor[p, q] = value / factor[q, q]
    for p in range(n):
        value = vector[p]
        for c in range(p):
            value -= factor[p, c] * out[c]
        out[p] = value / factor[p, p]
    for p in range(n - 1, -1, -1):
        value = out[p]
        for c in range(p + 1, n):
            value -= factor[c, p] * out[c]
        out[p] = value / factor[p, p]
    return True


@nb.njit(**INNER)
def _try(
    grid, years, segment, share, before, at, quoted, target, scale, smooth, theta, vol, after, work,
    out,
):  # fmt: skip
    """Take the step with exp(theta) as the knots' vols; half the sum of squares, misfits in out."""
    keep_apart()
    for q in range(theta.size):
        vol[q] = math.exp(theta[q])
    take_step(grid, years, segment, share, vol[: theta.size], before, after, work)
    return _misfit(after[0], at, quoted, target, scale, theta, smooth, out)


@nb.njit(**INNER)
def _worst(residual, mine, n):
    """Largest misfit of all n rows, and of those that are quotes."""
    keep_apart()
    every, quotes = 0.0, 0.0
    for i in range(n):
        every = max(every, abs(residual[i]))
        if mine[i] > 0:
            quotes = max(quotes, abs(residual[i]))
    return every, quotes


@nb.njit(**INNER)
def _moved(theta, move, trial):
    """theta + move, shortened to a factor of e^1.5 in vol and kept within bounds, in trial."""
    keep_apart()
    longest = 0.0
    for q in range(theta.size):
        longest = max(longest, abs(move[q]))
    shrink = min(1.0, 1.5 / longest) if longest > 0.0 else 1.0
    for q in range(theta.size):
        trial[q] = min(max(theta[q] + shrink * move[q], LOWEST), HIGHEST)


@nb.njit(**INNER)
def search(
    grid, years, segment, share, before, at, quoted, target, scale, mine, smooth, accurate, close,
    most, theta, after, work, dense,
):  # fmt: skip
    """Fit theta, the logarithms of the knots' vols, to one expiry; steps taken.

    Levenberg and Marquardt on residuals in vol; `quoted`: the knot of each quote; `mine`: 0 for a
    guide. Ends when the largest residual is `accurate`, when the sum of squares stands still, or
    when it only creeps and the quotes are `close`.
    """
    keep_apart()
    quotes, knots = target.size, theta.size
    jacobian = dense[:quotes, :knots]
    matrix = dense[quotes : quotes + knots, :knots]
    factor = dense[quotes + knots : quotes + 2 * knots, :knots]
    sums = dense[quotes + 2 * knots : quotes + 3 * knots + 1, :6]
    spare = dense[quotes + 3 * knots + 1 :]
    vol, vector, move, trial = spare[0], spare[1, :knots], spare[2, :knots], spare[3, :knots]
    residual, other = spare[4], spare[5]
    cost = _try(
        grid, years, segment, share, before, at, quoted, target, scale, smooth, theta, vol, after,
        work, residual,
    )  # fmt: skip
    damping = 1e-3
    for turn in range(most):
        if smooth == 0.0 and _worst(residual, mine, quotes)[0] <= accurate:
            return turn
        _chains(grid, share, after[1], at, work, sums)
        for i in range(quotes):
            _row(quoted[i], grid, vol, at, work, sums, jacobian[i])
            for q in range(knots):
                jacobian[i, q] *= scale[i] / max(after[0, at[quoted[i]]], TINY)
        _normal(jacobian, residual, theta, smooth, matrix, vector)
        biggest = 0.0
        for q in range(knots):
            biggest = max(biggest, matrix[q, q])
        gain = 0.0
        for _ in range(12):
            if _cholesky(matrix, damping * biggest, vector, factor, move):
                _moved(theta, move, trial)
                now = _try(
                    grid, years, segment, share, before, at, quoted, target, scale, smooth, trial,
                    vol, after, work, other,
                )  # fmt: skip
                gain = cost - now
                if gain > 0.0:
                    break
            damping = max(10.0 * damping, 1e-14)
        if not gain > 0.0:
            _try(
                grid, years, segment, share, before, at, quoted, target, scale, smooth, theta, vol,
                after, work, residual,
            )  # fmt: skip
            return turn
        cost -= gain
        damping = max(0.1 * damping, 1e-15)
        for q in range(knots):
            theta[q] = trial[q]
        for i in range(quotes):
            residual[i] = other[i]
        creeps = gain <= 1e-2 * cost and smooth == 0.0
        if (creeps and _worst(residual, mine, quotes)[1] <= close) or gain <= 1e-8 * cost:
            return turn + 1
    return most
