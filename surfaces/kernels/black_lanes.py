"""Black prices and Greeks of many options, several at a time: nopython, unchecked.

Options go through in blocks that stay in the nearest cache. `state` finds what all Greeks share,
branch-free, so that it vectorises; `store` writes one loop a wanted Greek. Rows the fast formulas
do not cover (expired, no vol, past the money by more than one deviation, or bad input) are marked
and go through the scalar kernel of `black`, one by one.

Two layouts share this. In the general one each argument is one value an option, or one for all; in
the chain layout forward, years and discount factor are one value an expiry, and the roots,
logarithms and divisions that depend on them are taken once.

`U` is the underlying the Greeks refer to: the forward (carry b = 0) or a spot (carry b = r - q).
"""

import math

import numba as nb

from surfaces.kernels.black import FAR, greeks_one, spot_greeks_one
from surfaces.kernels.normal import density, exp, log, log_ratio, mills

BLOCK = 512
ROWS = 20  # of scratch, each BLOCK long, named:
(D1, PHI, TAIL1, TAIL2, OTM, PRICE, MARK, CARRY, RATE, RIGHT) = range(10)
(UNDERLYING, STRIKE, YEARS, VOL, X, ROOT, FORWARD, DF, DQ, Y) = range(10, 20)
SMALL = 0.125  # s/2 below which seven terms of the series are exact to rounding
MOST = 700.0  # of |rate| x years: exp overflows at 709
SMALLEST, LARGEST = 1e-140, 1e140  # of forward and strike on the fast path: no quotient overflows

# Only `fill` is called from Python; wrappers for the others would cost a second of compiling.
inner = nb.njit(
    cache=True,
    error_model="numpy",
    fastmath={"nsz"},
    no_cpython_wrapper=True,
    no_cfunc_wrapper=True,
)


@nb.njit(cache=True, error_model="numpy", forceinline=True, fastmath={"nsz"})
def odd_series(h, t):
    """M(h - t) - M(h + t) for t < SMALL by seven terms of the series in `black.mills_gap`.

    The integrals are divided by the factorials: I_n / n!.
    """
    even = mills(h)
    odd = 1.0 - h * even
    square = t * t
    power = 2.0 * t
    total = power * odd
    for n in range(1, 13, 2):
        even = (even - h * odd) * (1.0 / (n + 1.0))
        odd = (odd - h * even) * (1.0 / (n + 2.0))
        power = power * square
        total = total + power * odd
    return total


@nb.njit(cache=True, error_model="numpy", forceinline=True, fastmath={"nsz"})
def share(w, moneyness, tail):
    """w N(w d), where `tail` is N(-|.|) on the side of the out-of-the-money option."""
    return w * (tail if (w > 0.0) == (moneyness <= 0.0) else 1.0 - tail)


@inner
def state(w, F, K, root, vol, d1, phi, tail1, tail2, otm, hard):
    """Fill the last six and return how many options are marked hard.

    tail1 and tail2 are N(-|d|)/phi(d1), N(-|d|)/phi(d2) on the side of the out-of-the-money option,
    whose undiscounted price is otm.
    """
    count = 0
    for i in range(d1.size):
        s = vol[i] * root[i]
        x = log_ratio(F[i], K[i])
        ratio = x / s
        h = abs(ratio)
        t = 0.5 * s
        near, far = mills(h - t), mills(h + t)
        gap = near - far
        series = odd_series(h, t)
        gap = series if (t < SMALL) & (h * t < 0.75) else gap
        d = ratio + t
        density_1 = density(d)
        inside = (F[i] > SMALLEST) & (F[i] < LARGEST) & (K[i] > SMALLEST) & (K[i] < LARGEST)
        usual = (abs(w[i]) == 1.0) & (s > 1e-15) & (s < 2.0 * FAR) & (t - h < 1.0)
        mark = 0 if inside & usual else 1
        d1[i] = d
        phi[i] = density_1
        tail1[i] = far if F[i] > K[i] else near
        tail2[i] = near if F[i] > K[i] else far
        otm[i] = F[i] * density_1 * gap
        hard[i] = mark
        count += mark
    return count


@inner
def store_low(where, at, w, U, K, F, root, vol, df, dq, r, b, own, d1, phi, t1, otm, price, out):
    """Price, delta, gamma, vega, theta, rho of a block; `where` holds each one's row or -1.

    `dq` is d(df F)/dU, `r` and `b` discount rate and carry of U; own = 1.0 where U is a spot, whose
    forward moves with the rate, 0.0 where it is the forward itself.
    """
    n = price.size
    for i in range(n):
        intrinsic = w[i] * (F[i] - K[i])
        price[i] = df[i] * ((intrinsic if intrinsic > 0.0 else 0.0) + otm[i])
    if where[0] >= 0:
        row = out[where[0], at : at + n]
        for i in range(n):
            row[i] = price[i]
    if where[1] >= 0:
        row = out[where[1], at : at + n]
        for i in range(n):
            row[i] = dq[i] * share(w[i], F[i] - K[i], phi[i] * t1[i])
    if where[2] >= 0:
        row = out[where[2], at : at + n]
        for i in range(n):
            row[i] = dq[i] * phi[i] / (U[i] * (vol[i] * root[i]))
    if where[3] >= 0:
        row = out[where[3], at : at + n]
        for i in range(n):
            row[i] = dq[i] * U[i] * phi[i] * root[i]
    if where[4] >= 0:
        row = out[where[4], at : at + n]
        for i in range(n):
            delta = dq[i] * share(w[i], F[i] - K[i], phi[i] * t1[i])
            decay = 0.5 * dq[i] * U[i] * phi[i] * vol[i] / root[i]
            row[i] = r[i] * price[i] - b[i] * U[i] * delta - decay
    if where[5] >= 0:
        row = out[where[5], at : at + n]
        for i in range(n):
            delta = dq[i] * share(w[i], F[i] - K[i], phi[i] * t1[i])
            row[i] = root[i] * root[i] * (own * U[i] * delta - price[i])


@inner
def store_high(where, at, w, U, K, F, root, vol, df, dq, r, b, d1, phi, t1, t2, out):
    """Vanna, volga, charm, speed, zomma, color, dual delta and density of a block; see `store_low`.

    Each derivative is written in d1, d2 = d1 - s and the density, not in a lower Greek, so that any
    of them may be left out.
    """
    n = d1.size
    if where[6] >= 0:
        row = out[where[6], at : at + n]
        for i in range(n):
            row[i] = dq[i] * phi[i] * (vol[i] * root[i] - d1[i]) / vol[i]
    if where[7] >= 0:
        row = out[where[7], at : at + n]
        for i in range(n):
            d2 = d1[i] - vol[i] * root[i]
            row[i] = dq[i] * U[i] * phi[i] * root[i] * d1[i] * d2 / vol[i]
    if where[8] >= 0:
        row = out[where[8], at : at + n]
        for i in range(n):
            d2 = d1[i] - vol[i] * root[i]
            drift = b[i] / (vol[i] * root[i]) - 0.5 * d2 / (root[i] * root[i])
            held = share(w[i], F[i] - K[i], phi[i] * t1[i])
            row[i] = dq[i] * ((r[i] - b[i]) * held - phi[i] * drift)
    if where[9] >= 0:
        row = out[where[9], at : at + n]
        for i in range(n):
            s = vol[i] * root[i]
            row[i] = -dq[i] * phi[i] * (1.0 + d1[i] / s) / (U[i] * U[i] * s)
    if where[10] >= 0:
        row = out[where[10], at : at + n]
        for i in range(n):
            s = vol[i] * root[i]
            row[i] = dq[i] * phi[i] * (d1[i] * (d1[i] - s) - 1.0) / (U[i] * s * vol[i])
    if where[11] >= 0:
        row = out[where[11], at : at + n]
        for i in range(n):
            s = vol[i] * root[i]
            bend = 0.5 * (1.0 - d1[i] * (d1[i] - s)) / (root[i] * root[i])
            row[i] = dq[i] * phi[i] * (r[i] - b[i] + b[i] * d1[i] / s + bend) / (U[i] * s)
    if where[12] >= 0:
        row = out[where[12], at : at + n]
        for i in range(n):
            row[i] = -df[i] * share(w[i], F[i] - K[i], phi[i] * t2[i] * F[i] / K[i])
    if where[13] >= 0:
        row = out[where[13], at : at + n]
        for i in range(n):
            row[i] = F[i] * phi[i] / (K[i] * K[i] * (vol[i] * root[i]))


@inner
def step_of(size):
    """Options a block: as few blocks as fit, equally long, a multiple of the machine's width."""
    blocks = (size + BLOCK - 1) // BLOCK
    return max(8, ((size + blocks - 1) // blocks + 7) // 8 * 8) if blocks > 0 else BLOCK


@inner
def part(a, at, n, row):
    """Options at .. at + n of an argument; one value for all is spread over a row of scratch."""
    if a.size == 1:
        for i in range(n):
            row[i] = a[0]
        return row[:n]
    return a[at : at + n]


@inner
def one(a, m, n, row):
    """An expiry's value spread over a row of scratch."""
    value = a[m if a.size > 1 else 0]
    for i in range(n):
        row[i] = value
    return row[:n]


@inner
def spread(row):
    """The first element everywhere."""
    for i in range(row.size):
        row[i] = row[0]


@inner
def discount_rates(df, root, r):
    """r = -ln(df) / T; garbage where T = 0, which the scalar kernel does again."""
    for i in range(r.size):
        r[i] = -log(df[i]) / (root[i] * root[i])


@inner
def roots(T, df, root):
    """Square roots; NaN, which marks an option as hard, for a negative time or no discounting."""
    for i in range(root.size):
        root[i] = math.sqrt(T[i]) if (df[i] > 0.0) & (df[i] < math.inf) else math.nan


@inner
def grow(S, T, r, q, F, root, df, dq, b):
    """Forward, root of time, discount factor, e^(-qT) and carry of a block of options on spot.

    The root is NaN, which marks an option as hard, where a factor would be no double.
    """
    for i in range(F.size):
        b[i] = r[i] - q[i]
        F[i] = S[i] * exp(b[i] * T[i])
        df[i] = exp(-r[i] * T[i])
        dq[i] = exp(-q[i] * T[i])
        most = abs(r[i]) if abs(r[i]) > abs(q[i]) else abs(q[i])
        most = most if most > abs(b[i]) else abs(b[i])
        root[i] = math.sqrt(T[i]) if most * T[i] < MOST else math.nan


@inner
def ready_forward(chain, first, dated, T, df, root, r):
    """Fill root, and the rate if any Greek in time is wanted; once an expiry of a chain."""
    if not chain:
        roots(T, df, root)
        if dated:
            discount_rates(df, root, r)
    elif first == 0:
        roots(T[:1], df[:1], root[:1])
        discount_rates(df[:1], root[:1], r[:1])
        spread(root)
        spread(r)


@inner
def ready_spot(chain, first, S, T, r, q, F, root, df, dq, b):
    """Fill what `grow` does; once an expiry of a chain."""
    if not chain:
        grow(S, T, r, q, F, root, df, dq, b)
    elif first == 0:
        grow(S[:1], T[:1], r[:1], q[:1], F[:1], root[:1], df[:1], dq[:1], b[:1])
        for row in (F, root, df, dq, b):
            spread(row)


@inner
def rest(spot, at, hard, w, U, K, T, vol, x, y, where, out):
    """The marked options of a block by the scalar kernel; False if one was bad input."""
    fine = True
    for i in range(hard.size):
        if hard[i] == 0.0:
            continue
        fine &= abs(w[i]) == 1.0 and 0.0 <= U[i] < math.inf and 0.0 <= K[i] < math.inf
        fine &= 0.0 <= T[i] < math.inf and 0.0 <= vol[i] < math.inf
        if spot:
            fine &= max(abs(x[i]), abs(y[i]), abs(x[i] - y[i])) * T[i] < MOST
            fine &= abs(x[i]) < math.inf and abs(y[i]) < math.inf
            row = spot_greeks_one(w[i], U[i], K[i], T[i], vol[i], x[i], y[i])
        else:
            fine &= 0.0 < x[i] < math.inf
            row = greeks_one(w[i], U[i], K[i], T[i], vol[i], x[i])
        for j in range(where.size):
            if where[j] >= 0:
                out[where[j], at + i] = row[j]
    return fine


@nb.njit(cache=True, error_model="numpy")
def fill(spot, chain, w, K, vol, U, T, x, y, bounds, where, rows, out):
    """Write the wanted numbers into out[where[j]]; True if every argument was valid.

    x and y are discount factor and nothing, or with `spot` rate and yield. An argument of size one
    serves all. Options bounds[m] .. bounds[m + 1] are one expiry if `chain`, whose U, T, x and y
    have one value an expiry; else m = 0 covers all. `where` has the row of `out` for each Greek or
    -1; `rows` is scratch of shape (ROWS, BLOCK).
    """
    fine = True
    own = 1.0 if spot else 0.0
    dated = where[4] >= 0 or where[8] >= 0 or where[11] >= 0  # Greeks in time need the rate
    third = False
    for j in range(6, where.size):
        third |= where[j] >= 0
    for i in range(BLOCK):
        rows[CARRY, i] = rows[RATE, i] = 0.0
    for m in range(bounds.size - 1):
        start, size = bounds[m], bounds[m + 1] - bounds[m]
        step = step_of(size)
        n = min(step, size)
        d1, phi, tail1, tail2 = rows[D1, :n], rows[PHI, :n], rows[TAIL1, :n], rows[TAIL2, :n]
        otm, price, hard = rows[OTM, :n], rows[PRICE, :n], rows[MARK, :n]
        b, r, root, F = rows[CARRY, :n], rows[RATE, :n], rows[ROOT, :n], rows[FORWARD, :n]
        df, dq = rows[DF, :n], rows[DQ, :n]
        for first in range(0, size, step):
            at = start + max(min(first, size - step), 0)  # the last one goes back, not to be odd
            w_, K_ = part(w, at, n, rows[RIGHT]), part(K, at, n, rows[STRIKE])
            v_ = part(vol, at, n, rows[VOL])
            if chain:
                U_, T_ = one(U, m, n, rows[UNDERLYING]), one(T, m, n, rows[YEARS])
                x_, y_ = one(x, m, n, rows[X]), one(y, m, n, rows[Y])
            else:
                U_, T_ = part(U, at, n, rows[UNDERLYING]), part(T, at, n, rows[YEARS])
                x_, y_ = part(x, at, n, rows[X]), part(y, at, n, rows[Y])
            if spot:
                r = x_
                ready_spot(chain, first, U_, T_, x_, y_, F, root, df, dq, b)
            else:
                F, df, dq = U_, x_, x_
                ready_forward(chain, first, dated, T_, df, root, r)
            count = state(w_, F, K_, root, v_, d1, phi, tail1, tail2, otm, hard)
            store_low(
                where, at, w_, U_, K_, F, root, v_, df, dq, r, b, own,
                d1, phi, tail1, otm, price, out,
            )  # fmt: skip
            if third:
                store_high(
                    where, at, w_, U_, K_, F, root, v_, df, dq, r, b, d1, phi, tail1, tail2, out
                )
            if count > 0:
                fine &= rest(spot, at, hard, w_, U_, K_, T_, v_, x_, y_, where, out)
    return fine
