"""A natural cubic spline of total variance with straight wings, and the elastic program behind it.

Between knots w is cubic with a continuous second derivative that is zero at both ends; beyond them
it is straight. In values y at the knots everything is linear: w = B y, w' = B1 y, w'' = B2 y.

The program is   min x'Qx/2 + q'x + sum_i cap_i max(a_i x - b_i, 0),   every row a hinge, so that
no input makes it infeasible. Each hinge is a_i x - b_i = p - s with s, p >= 0 and a multiplier y in
[0, cap]; a step is Mehrotra's predictor and corrector on s y = mu, p (cap - y) = mu.

Source  C. de Boor, A Practical Guide to Splines, 1978, ch. IV (natural splines);
        S. Mehrotra, SIAM J. Optimization 2 (1992) 575-601.
"""

import math

import numba as nb
import numpy as np

import surfaces.kernels  # noqa: F401  sets the cache folder before anything is decorated

SUMS = {"contract", "nsz", "reassoc"}
NEAR_ONE = 0.99  # share of the way to the wall a step may go
GOAL = 1e-7  # mean complementarity at which the program is solved
STEPS = 60


@nb.njit(cache=True, error_model="numpy")
def fill_curve(k, theta, w, w1, w2):
    """w(k) and two derivatives: k, w, w1, w2 (rows, points), theta (rows, 1 + 3n).

    theta: scale, knots, values and second derivatives of w/scale.
    """
    n = (theta.shape[1] - 1) // 3
    for row in range(k.shape[0]):
        scale = theta[row, 0]
        knot, value, bend = (
            theta[row, 1 : 1 + n],
            theta[row, 1 + n : 1 + 2 * n],
            theta[row, 1 + 2 * n :],
        )
        for i in range(k.shape[1]):
            at = k[row, i]
            inside = min(max(at, knot[0]), knot[n - 1])
            j = min(max(np.searchsorted(knot, inside) - 1, 0), n - 2)
            h = knot[j + 1] - knot[j]
            b = (inside - knot[j]) / h
            a = 1.0 - b
            level = a * value[j] + b * value[j + 1]
            level += ((a * a - 1.0) * a * bend[j] + (b * b - 1.0) * b * bend[j + 1]) * h * h / 6.0
            slope = (value[j + 1] - value[j]) / h
            slope += ((3.0 * b * b - 1.0) * bend[j + 1] - (3.0 * a * a - 1.0) * bend[j]) * h / 6.0
            w[row, i] = scale * (level + slope * (at - inside))
            w1[row, i] = scale * slope
            w2[row, i] = scale * (a * bend[j] + b * bend[j + 1]) if at == inside else 0.0


@nb.njit(cache=True, error_model="numpy")
def fill_bends(knot, T):
    """Second derivatives at the knots are T y: the tridiagonal system of natural splines."""
    n = knot.size
    upper = np.zeros(n)
    T[:] = 0.0
    for j in range(1, n - 1):
        left, right = knot[j] - knot[j - 1], knot[j + 1] - knot[j]
        pivot = 2.0 * (left + right) - left * upper[j - 1]
        upper[j] = right / pivot
        for c in range(n):
            T[j, c] = -left * T[j - 1, c]
        T[j, j - 1] += 6.0 / left
        T[j, j] -= 6.0 / left + 6.0 / right
        T[j, j + 1] += 6.0 / right
        for c in range(n):
            T[j, c] /= pivot
    for j in range(n - 2, 0, -1):
        for c in range(n):
            T[j, c] -= upper[j] * T[j + 1, c]


@nb.njit(cache=True, error_model="numpy")
def fill_rows(k, knot, T, B, B1, B2):
    """Rows (points, n) of w, w' and w'' at k in the values at the knots."""
    n = knot.size
    for i in range(k.size):
        inside = min(max(k[i], knot[0]), knot[n - 1])
        j = min(max(np.searchsorted(knot, inside) - 1, 0), n - 2)
        h = knot[j + 1] - knot[j]
        b = (inside - knot[j]) / h
        a = 1.0 - b
        p0, p1 = (a * a - 1.0) * a * h * h / 6.0, (b * b - 1.0) * b * h * h / 6.0
        d0, d1 = -(3.0 * a * a - 1.0) * h / 6.0, (3.0 * b * b - 1.0) * h / 6.0
        beyond = k[i] - inside
        for c in range(n):
            slope = d0 * T[j, c] + d1 * T[j + 1, c]
            level = p0 * T[j, c] + p1 * T[j + 1, c]
            if c == j:
                level += a
                slope -= 1.0 / h
            elif c == j + 1:
                level += b
                slope += 1.0 / h
            B[i, c] = level + slope * beyond
            B1[i, c] = slope
            B2[i, c] = a * T[j, c] + b * T[j + 1, c] if beyond == 0.0 else 0.0


@nb.njit(cache=True, error_model="numpy", fastmath=SUMS)
def add_gram(A, d, H):
    """Lower triangle of H += A' diag(d) A."""
    n = A.shape[1]
    for i in range(A.shape[0]):
        row = A[i]
        for c in range(n):
            f = d[i] * row[c]
            if f != 0.0:
                for e in range(c + 1):
                    H[c, e] += f * row[e]


@nb.njit(cache=True, error_model="numpy", fastmath=SUMS)
def factor(H):
    """Cholesky factor of the lower triangle of H, in place."""
    n = H.shape[0]
    for c in range(n):
        for e in range(c + 1):
            total = H[c, e]
            for i in range(e):
                total -= H[c, i] * H[e, i]
            H[c, e] = math.sqrt(max(total, 1e-300)) if e == c else total / H[e, e]


@nb.njit(cache=True, error_model="numpy", fastmath=SUMS)
def substitute(L, x):
    """x := (L L')^-1 x."""
    n = x.size
    for c in range(n):
        for e in range(c):
            x[c] -= L[c, e] * x[e]
        x[c] /= L[c, c]
    for c in range(n - 1, -1, -1):
        for e in range(c + 1, n):
            x[c] -= L[e, c] * x[e]
        x[c] /= L[c, c]


@nb.njit(cache=True, error_model="numpy", fastmath=SUMS)
def times(A, x, out):
    """out = A x."""
    for i in range(A.shape[0]):
        total = 0.0
        for c in range(x.size):
            total += A[i, c] * x[c]
        out[i] = total


@nb.njit(cache=True, error_model="numpy", fastmath=SUMS)
def add_transposed(A, y, out):
    """out += A' y."""
    for i in range(A.shape[0]):
        for c in range(out.size):
            out[c] += A[i, c] * y[i]


@nb.njit(cache=True, error_model="numpy")
def longest(value, change, share):
    """The largest step <= 1 that keeps value + step change >= (1 - share) value."""
    step = 1.0
    for i in range(value.size):
        if change[i] < 0.0:
            step = min(step, -share * value[i] / change[i])
    return step


@nb.njit(cache=True, error_model="numpy")
def solve(Q, q, A, b, cap, x):
    """Minimise from `x`, which becomes the answer; returns the steps taken, STEPS if it is slow."""
    m, n = A.shape
    s, p, y, v = np.empty(m), np.empty(m), np.empty(m), np.empty(m)
    ds, dp, dy, tail, d = np.empty(m), np.empty(m), np.empty(m), np.empty(m), np.empty(m)
    rs, rv, gap = np.empty(m), np.empty(m), np.empty(m)
    H, dual, dx = np.empty((n, n)), np.empty(n), np.empty(n)
    times(A, x, gap)
    for i in range(m):
        y[i] = 0.5 * cap[i]
        v[i] = cap[i] - y[i]
        at = gap[i] - b[i]
        p[i] = max(at, 0.0) + 1.0
        s[i] = p[i] - at
    for step in range(STEPS):
        mu = 0.0
        times(A, x, gap)
        for i in range(m):
            mu += s[i] * y[i] + p[i] * v[i]
            gap[i] += s[i] - p[i] - b[i]
            d[i] = 1.0 / (p[i] / v[i] + s[i] / y[i])
        mu /= 2.0 * m
        times(Q, x, dual)
        for c in range(n):
            dual[c] += q[c]
        add_transposed(A, y, dual)
        if mu < GOAL and np.abs(dual).max() < 1e-6 * (1.0 + np.abs(q).max()):
            return step
        H[:] = Q
        add_gram(A, d, H)
        factor(H)
        for phase in range(2):
            if phase == 0:
                for i in range(m):
                    rs[i] = -s[i] * y[i]
                    rv[i] = -p[i] * v[i]
            else:
                near = min(longest(s, ds, 1.0), longest(p, dp, 1.0))
                near = min(near, longest(y, dy, 1.0), longest(v, -dy, 1.0))
                after = 0.0
                for i in range(m):
                    after += (s[i] + near * ds[i]) * (y[i] + near * dy[i])
                    after += (p[i] + near * dp[i]) * (v[i] - near * dy[i])
                goal = mu * (after / (2.0 * m * mu)) ** 3
                for i in range(m):
                    rs[i] = goal - s[i] * y[i] - ds[i] * dy[i]
                    rv[i] = goal - p[i] * v[i] + dp[i] * dy[i]
            for i in range(m):
                tail[i] = d[i] * (gap[i] + rs[i] / y[i] - rv[i] / v[i])
            for c in range(n):
                dx[c] = dual[c]
            add_transposed(A, tail, dx)
            for c in range(n):
                dx[c] = -dx[c]
            substitute(H, dx)
            times(A, dx, dy)
            for i in range(m):
                dy[i] = d[i] * dy[i] + tail[i]
                ds[i] = (rs[i] - s[i] * dy[i]) / y[i]
                dp[i] = (rv[i] + p[i] * dy[i]) / v[i]
        walk = min(longest(s, ds, NEAR_ONE), longest(p, dp, NEAR_ONE))
        walk = min(walk, longest(y, dy, NEAR_ONE), longest(v, -dy, NEAR_ONE))
        for i in range(m):
            s[i] += walk * ds[i]
            p[i] += walk * dp[i]
            y[i] += walk * dy[i]
            v[i] = max(v[i] - walk * dy[i], 1e-300)
        for c in range(n):
            x[c] += walk * dx[c]
    return STEPS
