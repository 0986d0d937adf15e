"""Calibration of Andreasen and Huge's steps, expiry after expiry: nopython, no checks.

The step itself is in `andreasen_huge_step`, the search for its local vols in
`andreasen_huge_search`. Here: which quotes contradict one another, where an expiry leans to the
next, and where knots are added.
"""

import math

import numba as nb

from surfaces.kernels.andreasen_huge_search import search
from surfaces.kernels.andreasen_huge_step import TINY
from surfaces.kernels.compiling import INNER, OUTER, keep_apart

NUMBERS = 8  # rows of numbers
GUIDING = 7  # rows of what `fill_guides` works in
ROUNDING = 1e-13  # of a price in units of the forward


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
def _between(at, x, y, n):
    """y at `at`, linear between rising x and flat outside."""
    keep_apart()
    low, high = 0, n - 1
    if at <= x[low]:
        return y[low]
    if at >= x[high]:
        return y[high]
    while high - low > 1:
        middle = (low + high) // 2
        if x[middle] <= at:
            low = middle
        else:
            high = middle
    return y[low] + (at - x[low]) / (x[high] - x[low]) * (y[high] - y[low])


@nb.njit(**OUTER)
def fill_guides(years, ends, k, w, under, apart, reach, limit, of, out_k, out_w, scratch):
    """Where an expiry has no quote but a later one has: which expiry, k, and total variance; how
    many, last expiries first, rising in k in each.

    A later strike is taken if it is `apart` deviations from every quote of this expiry and from
    other guides, within `reach`, or `under`. The variance is that of the next expiry, its guides
    included, times the ratio of both at the quotes nearest, and at most 1 - limit (1 - T / next T)
    times it. scratch (GUIDING, ...).
    """
    count = 0
    later_k, later_w, forced = scratch[0], scratch[1], scratch[2]
    more_k, more_w, kept, ratio = scratch[3], scratch[4], scratch[5], scratch[6]
    last = years.size - 1
    size = ends[last + 1] - ends[last]
    for p in range(size):
        row = ends[last] + p
        later_k[p], later_w[p], forced[p] = k[row], w[row], 1.0 if under[row] else 0.0
    for e in range(last - 1, -1, -1):
        start, n = ends[e], ends[e + 1] - ends[e]
        own_k, own_w = k[start : start + n], w[start : start + n]
        for i in range(n):
            ratio[i] = own_w[i] / _between(own_k[i], later_k, later_w, size)
        width = math.sqrt(own_w[n // 2])
        most = 1.0 - limit * (1.0 - years[e] / years[e + 1])
        found, i, bin_before = 0, 0, 0.0
        for p in range(size):
            at = later_k[p]
            while i < n - 1 and own_k[i] < at:
                i += 1
            gap = min(abs(at - own_k[i]), abs(at - own_k[max(i - 1, 0)]))
            must = forced[p] > 0.0 and gap > 0.0
            if not (must or (gap > apart * width and abs(at) < reach * width)):
                continue
            here = math.floor(at / (apart * width))
            if not must and found > 0 and here == bin_before:
                continue
            bin_before = here
            more_k[found], kept[found] = at, forced[p]
            more_w[found] = later_w[p] * min(_between(at, own_k, ratio, n), most)
            of[count], out_k[count], out_w[count] = e, at, more_w[found]
            found += 1
            count += 1
        i, j = 0, 0
        for p in range(n + found):
            if j == found or (i < n and own_k[i] <= more_k[j]):
                later_k[p], later_w[p] = own_k[i], own_w[i]
                forced[p] = 1.0 if under[start + i] else 0.0
                i += 1
            else:
                later_k[p], later_w[p], forced[p] = more_k[j], more_w[j], kept[j]
                j += 1
        size = n + found
    return count


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


@nb.njit(**OUTER)
def march(
    nodes, x, grid, years, ends, node, k, w, price, scale, own, constant, smooth, accurate,
    tolerance, most, segment, share, vol, prices, searches, found, status, work, dense, numbers,
    whole,
):  # fmt: skip
    """Calibrate expiry after expiry.

    nodes, x (n,); grid (3, n): x^2/2 and the stencil; years (m,); ends (m + 1,): the rows of each
    expiry, whose quotes rise in k; node, k, w = vol^2 years, price and scale (q,): the misfit of a
    quote is scale ln(model price / price); own: 0 for a row that is a guide, not a quote. smooth:
    weight of second differences of ln vol; zero leaves contradictory quotes out, and puts knots
    between strikes where the residual of the others is still above `tolerance`. Results: segment,
    share (m, n); vol (m, knots); prices (m + 1, 2, n), of which the first is given; searches (m,);
    found, status (q,). Scratch: work (6, n), dense (4 c + 10, c), numbers (8, c) and whole (5, c)
    with c = 2 x most quotes + 6.
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
            searches[e] += search(
                grid, length, segment[e], share[e], prices[e], at[:knots], quoted[:known],
                target[:known], weight[:known], mine, smooth, accurate, 0.1 * tolerance, most,
                guess[:knots], prices[e + 1], work, dense,
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
