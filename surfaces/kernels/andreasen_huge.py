"""One implicit step an expiry on a line of moneyness x = strike/forward: no checks, no allocation.

With u the out-of-the-money price in units of the forward, d its rise over the step, D the second
difference in x, M = D c >= 0 the density and a = x^2 sigma^2 dT / 2,

    (1 - a D) d = a M_before,      u = u_before + d,      M = M_before + D d = d / a.

1 - aD is an M-matrix and every right side is >= 0: the factors are formed without a subtraction,
so d and M are positive and exact to rounding relative to themselves, however far out. Prices rise
in time and are convex in strike because of that and not because of a penalty.

The derivative of d in a is (1 - aD)^-1 diag(M). A row of the inverse falls off on either side as a
product of ratios that do not depend on the row, so the sums over the nodes between two knots are
formed once for all quotes: a Jacobian costs as much as a few steps.

Source  J. Andreasen, B. Huge, Volatility interpolation, Risk (March 2011) 76-79. Interpolation
        between nodes: L. Schumaker, SIAM J. Numer. Anal. 20 (1983) 853-864.
"""

import math

import numba as nb

from surfaces.kernels.compiling import INNER, OUTER, keep_apart

LOWEST, HIGHEST = -9.0, 3.0  # ln of a local vol
TINY = 1e-290  # densities below are not divided by
ROWS = 6  # of work, of length n
NUMBERS = 8  # rows of numbers
ROUNDING = 1e-13  # of a price in units of the forward


@nb.njit(**INNER)
def _solve(a, left, right, inverse, density, d):
    """d of (1 - aD) d = a density, zero at both ends; `inverse`: reciprocal pivots."""
    keep_apart()
    n = a.size
    d[0] = 0.0
    d[n - 1] = 0.0
    for j in range(1, n - 1):
        d[j] = a[j] * (density[j] + left[j] * d[j - 1]) * inverse[j]
    for j in range(n - 3, 0, -1):
        d[j] += a[j] * right[j] * inverse[j] * d[j + 1]


@nb.njit(**INNER)
def _step(grid, years, segment, share, vol, before, after, work):
    """One implicit step of `years`; grid rows are x^2/2 and the stencil's left and right; before
    and after are (price, density); segment s lies between knots s - 1 and s. Leaves a, reciprocal
    pivots from the left, d and the local vol in work."""
    keep_apart()
    a, inverse, d, sigma = work[0], work[1], work[2], work[3]
    n, last = a.size, vol.size - 1
    for j in range(n):
        s = segment[j]
        low = vol[max(s - 1, 0)]
        sigma[j] = low + share[j] * (vol[min(s, last)] - low)
        a[j] = grid[0, j] * years * sigma[j] * sigma[j]
    ratio = 1.0
    for j in range(1, n - 1):
        s = 1.0 + a[j] * grid[1, j] * ratio
        inverse[j] = 1.0 / (s + a[j] * grid[2, j])
        ratio = s * inverse[j]
    _solve(a, grid[1], grid[2], inverse, before[1], d)
    for j in range(n):
        after[0, j] = before[0, j] + d[j]
        after[1, j] = d[j] / a[j]  # before + D d would cancel


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
def _basis(nodes, at, constant, segment, share):
    """Between which knots each node lies, and how far on its way from the one to the other; a knot
    belongs to the segment before it. `constant`: all of the nearer one."""
    keep_apart()
    s = 0
    for j in range(nodes.size):
        while s < at.size and at[s] < j:
            s += 1
        segment[j] = s
        share[j] = 0.0
        if 0 < s < at.size:
            low, high = nodes[at[s - 1]], nodes[at[s]]
            share[j] = (nodes[j] - low) / (high - low)
            if constant:
                share[j] = 0.0 if share[j] < 0.5 else 1.0


@nb.njit(**INNER)
def _search(
    grid, years, segment, share, before, at, quoted, target, scale, smooth, accurate, most,
    theta, after, work, dense,
):  # fmt: skip
    """Fit theta, the logarithms of the knots' vols, to one expiry; steps taken.

    Levenberg and Marquardt on residuals in vol; `quoted`: the knot of each quote; ends when the
    largest residual is `accurate` or the sum of squares stands still.
    """
    keep_apart()
    quotes, knots = target.size, theta.size
    jacobian = dense[:quotes, :knots]
    matrix = dense[quotes : quotes + knots, :knots]
    factor = dense[quotes + knots : quotes + 2 * knots, :knots]
    sums = dense[quotes + 2 * knots : quotes + 3 * knots + 1, :6]
    spare = dense[quotes + 3 * knots + 1 :]
    vol, vector, move, trial = spare[0], spare[1], spare[2], spare[3]
    residual, other = spare[4], spare[5]
    for q in range(knots):
        vol[q] = math.exp(theta[q])
    _step(grid, years, segment, share, vol[:knots], before, after, work)
    cost = _misfit(after[0], at, quoted, target, scale, theta, smooth, residual)
    damping = 1e-3
    for turn in range(most):
        worst = 0.0
        for i in range(quotes):
            worst = max(worst, abs(residual[i]))
        if worst <= accurate and smooth == 0.0:
            return turn
        _chains(grid, share, after[1], at, work, sums)
        for i in range(quotes):
            _row(quoted[i], grid, vol, at, work, sums, jacobian[i])
            for q in range(knots):
                jacobian[i, q] *= scale[i] / max(after[0, at[quoted[i]]], TINY)
        _normal(jacobian, residual, theta, smooth, matrix, vector[:knots])
        biggest = 0.0
        for q in range(knots):
            biggest = max(biggest, matrix[q, q])
        better = False
        gain = 0.0
        for _ in range(12):
            solved = _cholesky(matrix, damping * biggest, vector[:knots], factor, move)
            if solved:
                step = 0.0
                for q in range(knots):
                    step = max(step, abs(move[q]))
                shrink = min(1.0, 1.5 / step) if step > 0.0 else 1.0
                for q in range(knots):
                    trial[q] = min(max(theta[q] + shrink * move[q], LOWEST), HIGHEST)
                    vol[q] = math.exp(trial[q])
                _step(grid, years, segment, share, vol[:knots], before, after, work)
                now = _misfit(
                    after[0], at, quoted, target, scale, trial[:knots], smooth, other
                )
                if now < cost:
                    better = True
                    gain, cost = cost - now, now
                    break
            damping = max(10.0 * damping, 1e-14)
        if not better:
            for q in range(knots):
                vol[q] = math.exp(theta[q])
            _step(grid, years, segment, share, vol[:knots], before, after, work)
            return turn
        damping = max(0.1 * damping, 1e-15)
        for q in range(knots):
            theta[q] = trial[q]
        for i in range(quotes):
            residual[i] = other[i]
        if gain <= 1e-8 * cost:
            return turn + 1
    return most


@nb.njit(**INNER)
def _contradictions(x, node, price, before, own, status, call):
    """Mark what no surface without arbitrage can reprice, of one expiry in rising x; rows that are
    not its `own` quotes are looked at for CALENDAR alone.

    CALENDAR (2): worth no more than one expiry earlier. BUTTERFLY (5): the call lies above the line
    between its neighbours; of several the furthest above first, until none is.
    """
    keep_apart()
    n = price.size
    for i in range(n):
        status[i] = 0 if price[i] > before[node[i]] else 2
        call[i] = price[i] + max(1.0 - x[node[i]], 0.0)
    while True:
        worst, which = ROUNDING, -1
        last, here = -1, -1
        for i in range(n + 1):
            if i < n and (status[i] != 0 or not own[i]):
                continue
            if here >= 0:
                x0, c0 = (x[node[last]], call[last]) if last >= 0 else (0.0, 1.0)
                x1, c1 = x[node[here]], call[here]
                p, q = (c1 - c0) / (x1 - x0), 0.0
                g = 1.0
                if i < n:
                    g = x[node[i]] - x1
                    q = (call[i] - c1) / g
                above = (p - q) / (1.0 / (x1 - x0) + 1.0 / g)
                if above > worst:
                    worst, which = above, here
            last, here = here, i
        if which < 0:
            return
        status[which] = 5


@nb.njit(**INNER)
def _gains(k, w, known, length, years, before_k, before_w, before_n, theta):
    """First guess: the rise of total variance since the expiry before, at equal k."""
    keep_apart()
    j = 0
    for i in range(known):
        while j < before_n and before_k[j] < k[i]:
            j += 1
        low = 0.0
        if before_n > 0:
            p, q = max(j - 1, 0), min(j, before_n - 1)
            low = before_w[p]
            if q > p and before_k[q] > before_k[p]:
                part = (k[i] - before_k[p]) / (before_k[q] - before_k[p])
                low += part * (before_w[q] - before_w[p])
        theta[i] = 0.5 * math.log(max((w[i] - low) / length, 0.05 * w[i] / years))


@nb.njit(**INNER)
def _refine(nodes, at, theta, known, more, guess):
    """Knots with a node between each two that have one, and theta there; how many."""
    keep_apart()
    count = 0
    for i in range(known):
        more[count], guess[count] = at[i], theta[i]
        count += 1
        if i < known - 1 and at[i + 1] > at[i] + 1:
            middle = 0.5 * (nodes[at[i]] + nodes[at[i + 1]])
            j = at[i] + 1
            while j < at[i + 1] - 1 and nodes[j] < middle:
                j += 1
            more[count], guess[count] = j, 0.5 * (theta[i] + theta[i + 1])
            count += 1
    return count


@nb.njit(**OUTER)
def march(
    nodes, x, grid, years, ends, node, k, w, price, scale, own, constant, smooth, accurate, tolerance,
    most, segment, share, vol, prices, searches, found, status, work, dense, numbers, whole,
):  # fmt: skip
    """Calibrate expiry after expiry.

    nodes, x (n,); grid (3, n): x^2/2 and the stencil; years (m,); ends (m + 1,): the rows of each
    expiry, whose quotes rise in k; node, k, w = vol^2 years, price and scale (q,): the misfit of a
    quote is scale ln(model price / price); own: 0 for a row that is a guide, not a quote. smooth: weight of second differences of ln vol; zero
    leaves contradictory quotes out, and puts knots between strikes where the residual of the
    others is still above `tolerance`. Results: segment, share (m, n); vol (m, knots); prices
    (m + 1, 2, n), of which the first is given; searches (m,); found, status (q,). Scratch: work
    (6, n), dense (4 c + 10, c), numbers (8, c) and whole (5, c) with c = 2 x most quotes + 6.
    """
    before_n = 0
    for e in range(years.size):
        i, j = ends[e], ends[e + 1]
        length = years[e] - (years[e - 1] if e > 0 else 0.0)
        if smooth == 0.0:
            _contradictions(
                x, node[i:j], price[i:j], prices[e, 0], own[i:j], status[i:j], numbers[0]
            )
        known = 0
        at, quoted, more, again, mine = whole[0], whole[1], whole[2], whole[3], whole[4]
        target, weight, guess = numbers[0], numbers[1], numbers[2]
        here_k, here_w = numbers[3 + 2 * (e % 2)], numbers[4 + 2 * (e % 2)]
        for c in range(i, j):
            if status[c] == 0 or (known == 0 and c == j - 1):  # one at least, to go on with
                at[known], quoted[known], mine[known] = node[c], known, own[c]
                target[known], weight[known] = price[c], scale[c]
                here_k[known], here_w[known] = k[c], w[c]
                known += 1
        _gains(
            here_k, here_w, known, length, years[e],
            numbers[5 - 2 * (e % 2)], numbers[6 - 2 * (e % 2)], before_n, guess,
        )  # fmt: skip
        before_n = known
        knots = known
        for attempt in range(2):
            _basis(nodes, at[:knots], constant, segment[e], share[e])
            searches[e] += _search(
                grid, length, segment[e], share[e], prices[e], at[:knots], quoted[:known],
                target[:known], weight[:known], smooth, accurate, most, guess[:knots],
                prices[e + 1], work, dense,
            )  # fmt: skip
            off = 0.0
            for c in range(known):
                got = max(prices[e + 1, 0, at[quoted[c]]], TINY)
                if mine[c] > 0:
                    off = max(off, abs(weight[c] * math.log(got / target[c])))
            if attempt == 1 or smooth > 0.0 or off <= tolerance:
                break
            for c in range(known):
                numbers[7][c], again[c] = guess[c], at[c]
            knots = _refine(nodes, again, numbers[7], known, more, guess)
            c = 0
            for q in range(knots):
                at[q] = more[q]
                if c < known and again[c] == more[q]:
                    quoted[c] = q
                    c += 1
        for q in range(vol.shape[1]):
            vol[e, q] = math.exp(guess[min(q, knots - 1)])
        for c in range(i, j):
            found[c] = prices[e + 1, 0, node[c]]


@nb.njit(**INNER)
def _inside(x, price, j, at):
    """Price at `at` in (x[j], x[j+1]): Schumaker's convex quadratic spline through the nodes.

    Slopes are means of the two secants beside a node, each weighed by the other's length; at the
    forward, where the out-of-the-money price has its kink, they are those of the call.
    """
    n = x.size
    h = x[j + 1] - x[j]
    s = (price[j + 1] - price[j]) / h
    p = q = s
    if j > 0:
        before = x[j] - x[j - 1]
        own = (price[j] - price[j - 1]) / before - (1.0 if x[j] == 1.0 else 0.0)
        p = (h * own + before * s) / (h + before)
    if j < n - 2:
        after = x[j + 2] - x[j + 1]
        kink = 1.0 if x[j + 1] == 1.0 else 0.0
        own = (price[j + 2] - price[j + 1]) / after + kink
        q = (h * own + after * s) / (h + after)
    rise, fall = s - p, q - s
    if not (rise > 0.0 and fall > 0.0):
        return price[j] + s * (at - x[j])
    cut = 0.5 * h  # the spline's knot; nearer the steeper end where half way is not convex
    if 3.0 * rise < fall:
        cut = h * (1.0 - 2.0 * rise / (rise + fall))
    elif 3.0 * fall < rise:
        cut = h * 2.0 * fall / (rise + fall)
    middle = (2.0 * s * h - cut * p - (h - cut) * q) / h
    u = at - x[j]
    if u <= cut:
        return price[j] + p * u + 0.5 * (middle - p) / cut * u * u
    u = x[j + 1] - at
    return price[j + 1] - q * u + 0.5 * (q - middle) / (h - cut) * u * u


@nb.njit(**INNER)
def at_strike(x, price, strike):
    """Price at any strike/forward, from those on the nodes x; zero outside them."""
    keep_apart()
    low, high = 0, x.size - 1
    if not x[low] < strike < x[high]:
        return 0.0
    while high - low > 1:
        middle = (low + high) // 2
        if x[middle] <= strike:
            low = middle
        else:
            high = middle
    return price[low] if x[low] == strike else _inside(x, price, low, strike)


@nb.njit(**OUTER)
def fill_prices(x, grid, starts, segment, share, vol, prices, years, strike, work, after, out):
    """Out-of-the-money prices at rising `years` (rows of one time together) and any strikes.

    starts (m,): years before each step; segment, share (m, n); vol (m, knots); prices (m, 2, n):
    price and density before each step. Zero outside the grid.
    """
    m = starts.size
    last = -1.0
    for i in range(years.size):
        if years[i] != last:
            last = years[i]
            step = m - 1
            while step > 0 and starts[step] >= last:
                step -= 1
            _step(
                grid, last - starts[step], segment[step], share[step], vol[step],
                prices[step], after, work,
            )  # fmt: skip
        out[i] = at_strike(x, after[0], strike[i])


@nb.njit(**OUTER)
def fill_local(grid, starts, segment, share, vol, prices, years, work, after, out):
    """Local variance on the nodes at rising `years`, (times, n); NaN where no density is left.

    2 u_T / (x^2 M): the derivative of the step in its length solves the same system with a times
    the density after the step on the right, divided by the length.
    """
    m, n = starts.size, grid.shape[1]
    rate = work[4]
    for i in range(years.size):
        step = m - 1
        while step > 0 and starts[step] >= years[i]:
            step -= 1
        length = years[i] - starts[step]
        _step(grid, length, segment[step], share[step], vol[step], prices[step], after, work)
        _solve(work[0], grid[1], grid[2], work[1], after[1], rate)
        for j in range(n):
            out[i, j] = math.nan
            if 0 < j < n - 1 and after[1, j] > TINY:
                out[i, j] = rate[j] / (length * grid[0, j] * after[1, j])
