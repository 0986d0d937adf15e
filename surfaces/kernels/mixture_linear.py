"""Small dense linear algebra for the mixture's Newton systems: Gram matrices, signed Cholesky.

Design matrices have one row an observation and one column a bump; a row knows the columns it is
not zero in. Products run over four observations at a time, along rows: the inner loops are short,
and this form has the least to set up. Sums may be reordered (fastmath "reassoc"), and nothing here
depends on the order beyond rounding.

A system is symmetric, bordered by the two equalities of a slice: the first n pivots are positive,
the last two negative, and in this order no pivoting is needed (Vanderbei 1995, quasi-definite).
"""

import math

import numba as nb

SUMS = {"contract", "nsz", "reassoc"}
BORDER = 2  # equalities of a slice: the weights sum to one, and so does their mean forward


@nb.njit(cache=True, error_model="numpy", fastmath=SUMS)
def dot(x, y):
    """sum x y."""
    total = 0.0
    for i in range(x.size):
        total += x[i] * y[i]
    return total


@nb.njit(cache=True, error_model="numpy", fastmath=SUMS)
def axpy(c, x, y):
    """y += c x."""
    for i in range(x.size):
        y[i] += c * x[i]


@nb.njit(cache=True, error_model="numpy", fastmath=SUMS)
def dots_4(x, y0, y1, y2, y3):
    """Four dot products with `x`."""
    t0 = t1 = t2 = t3 = 0.0
    for i in range(x.size):
        u = x[i]
        t0 += u * y0[i]
        t1 += u * y1[i]
        t2 += u * y2[i]
        t3 += u * y3[i]
    return t0, t1, t2, t3


@nb.njit(cache=True, error_model="numpy")
def together(spans, i0, i1, i2, i3):
    """The columns that any of four rows is not zero in."""
    low, high = spans[i0, 0], spans[i0, 1]
    for i in (i1, i2, i3):
        low, high = min(low, spans[i, 0]), max(high, spans[i, 1])
    return low, high


@nb.njit(cache=True, error_model="numpy", fastmath=SUMS)
def add_gram(X, spans, first, weight, H):
    """H += sum_i weight[i] x x', x = X[first + i], in the lower triangle."""
    count = weight.size
    for block in range(0, count, 4):
        i0 = first + block
        end = first + count - 1
        i1, i2, i3 = min(i0 + 1, end), min(i0 + 2, end), min(i0 + 3, end)
        w0 = weight[block]
        w1 = weight[block + 1] if block + 1 < count else 0.0
        w2 = weight[block + 2] if block + 2 < count else 0.0
        w3 = weight[block + 3] if block + 3 < count else 0.0
        low, high = together(spans, i0, i1, i2, i3)
        x0, x1, x2, x3 = X[i0, low:high], X[i1, low:high], X[i2, low:high], X[i3, low:high]
        for a in range(high - low):
            c0, c1, c2, c3 = w0 * x0[a], w1 * x1[a], w2 * x2[a], w3 * x3[a]
            row = H[low + a, low:high]
            for b in range(a + 1):
                row[b] += c0 * x0[b] + c1 * x1[b] + c2 * x2[b] + c3 * x3[b]


@nb.njit(cache=True, error_model="numpy", fastmath=SUMS)
def sub_cross(X, spans_x, Y, spans_y, first, weight, C):
    """C -= sum_i weight[i] x y', x = X[first + i], y = Y[first + i]."""
    count = weight.size
    for block in range(0, count, 4):
        i0 = first + block
        end = first + count - 1
        i1, i2, i3 = min(i0 + 1, end), min(i0 + 2, end), min(i0 + 3, end)
        w0 = -weight[block]
        w1 = -weight[block + 1] if block + 1 < count else 0.0
        w2 = -weight[block + 2] if block + 2 < count else 0.0
        w3 = -weight[block + 3] if block + 3 < count else 0.0
        from_a, to_a = together(spans_x, i0, i1, i2, i3)
        low, high = together(spans_y, i0, i1, i2, i3)
        x0, x1, x2, x3 = X[i0], X[i1], X[i2], X[i3]
        y0, y1, y2, y3 = Y[i0, low:high], Y[i1, low:high], Y[i2, low:high], Y[i3, low:high]
        for a in range(from_a, to_a):
            c0, c1, c2, c3 = w0 * x0[a], w1 * x1[a], w2 * x2[a], w3 * x3[a]
            row = C[a, low:high]
            for b in range(row.size):
                row[b] += c0 * y0[b] + c1 * y1[b] + c2 * y2[b] + c3 * y3[b]


@nb.njit(cache=True, error_model="numpy")
def times(X, spans, u, first, out):
    """out[i] = X[first + i] . u."""
    for block in range(0, out.size, 4):
        i0 = first + block
        end = first + out.size - 1
        i1, i2, i3 = min(i0 + 1, end), min(i0 + 2, end), min(i0 + 3, end)
        low, high = together(spans, i0, i1, i2, i3)
        t0, t1, t2, t3 = dots_4(
            u[low:high], X[i0, low:high], X[i1, low:high], X[i2, low:high], X[i3, low:high]
        )
        out[block] = t0
        out[i1 - first] = t1 if block + 1 < out.size else out[i1 - first]
        out[i2 - first] = t2 if block + 2 < out.size else out[i2 - first]
        out[i3 - first] = t3 if block + 3 < out.size else out[i3 - first]


@nb.njit(cache=True, error_model="numpy", fastmath=SUMS)
def add_times(X, spans, f, first, sign, out):
    """out += sign sum_i f[i] X[first + i]."""
    count = f.size
    for block in range(0, count, 4):
        i0 = first + block
        end = first + count - 1
        i1, i2, i3 = min(i0 + 1, end), min(i0 + 2, end), min(i0 + 3, end)
        f0 = sign * f[block]
        f1 = sign * f[block + 1] if block + 1 < count else 0.0
        f2 = sign * f[block + 2] if block + 2 < count else 0.0
        f3 = sign * f[block + 3] if block + 3 < count else 0.0
        low, high = together(spans, i0, i1, i2, i3)
        x0, x1, x2, x3 = X[i0, low:high], X[i1, low:high], X[i2, low:high], X[i3, low:high]
        y = out[low:high]
        for b in range(y.size):
            y[b] += f0 * x0[b] + f1 * x1[b] + f2 * x2[b] + f3 * x3[b]


@nb.njit(cache=True, error_model="numpy")
def factor(H, n, size):
    """H = L S L' in the lower triangle, S = +1 for the first n pivots and -1 after; the diagonal
    keeps 1/L_jj. A pivot of the wrong sign is replaced by a large one, which freezes its unknown;
    the number of those is returned."""
    frozen = 0
    for j in range(size):
        row = H[j]
        sign = 1.0 if j < n else -1.0
        whole = min(j, n)
        d = sign * (row[j] - dot(row[:whole], row[:whole]) + dot(row[n:j], row[n:j]))
        if not d > 1e-13 * abs(row[j]) + 1e-300:
            frozen += 1
            d = 1e30
        inverse = 1.0 / math.sqrt(d)
        row[j] = inverse
        inverse *= sign
        head = row[:whole]
        for i in range(j + 1, size, 4):
            i1, i2, i3 = min(i + 1, size - 1), min(i + 2, size - 1), min(i + 3, size - 1)
            t0, t1, t2, t3 = dots_4(head, H[i, :whole], H[i1, :whole], H[i2, :whole], H[i3, :whole])
            H[i, j] = (H[i, j] - t0) * inverse
            if i + 1 < size:
                H[i1, j] = (H[i1, j] - t1) * inverse
            if i + 2 < size:
                H[i2, j] = (H[i2, j] - t2) * inverse
            if i + 3 < size:
                H[i3, j] = (H[i3, j] - t3) * inverse
    return frozen


@nb.njit(cache=True, error_model="numpy", fastmath=SUMS)
def forward(L, n, size, x):
    """x := S L^-1 x."""
    for i in range(size):
        row = L[i]
        total = x[i] - dot(row[: min(i, n)], x[: min(i, n)])
        if i > n:
            total += row[n] * x[n]  # x[n] has its sign turned already
        x[i] = total * row[i] if i < n else -total * row[i]


@nb.njit(cache=True, error_model="numpy", fastmath=SUMS)
def backward(L, size, x):
    """x := L^-T x."""
    for i in range(size - 1, -1, -1):
        row = L[i]
        x[i] *= row[i]
        axpy(-x[i], row[:i], x[:i])


@nb.njit(cache=True, error_model="numpy", fastmath=SUMS)
def forward_rows(L, n, p, C, T):
    """T := L^-1 C' for C (p, n) over the unknowns before the border; T is (n + BORDER, p)."""
    for i in range(n + BORDER):
        row, out = L[i], T[i, :p]
        for b in range(p):
            out[b] = C[b, i] if i < n else 0.0
        whole = min(i, n)
        done = whole - whole % 4
        for k in range(0, done, 4):
            c0, c1, c2, c3 = row[k], row[k + 1], row[k + 2], row[k + 3]
            t0, t1, t2, t3 = T[k], T[k + 1], T[k + 2], T[k + 3]
            for b in range(p):
                out[b] -= c0 * t0[b] + c1 * t1[b] + c2 * t2[b] + c3 * t3[b]
        for k in range(done, whole):
            axpy(-row[k], T[k, :p], out)
        if i > n:
            axpy(-row[n], T[n, :p], out)
        scale = row[i]
        for b in range(p):
            out[b] *= scale


@nb.njit(cache=True, error_model="numpy", fastmath=SUMS)
def sub_gram(T, n, p, H):
    """H -= T' S T for T (n + BORDER, p), lower triangle."""
    for k in range(0, n, 4):
        k1, k2, k3 = min(k + 1, n - 1), min(k + 2, n - 1), min(k + 3, n - 1)
        s1 = -1.0 if k + 1 < n else 0.0
        s2 = -1.0 if k + 2 < n else 0.0
        s3 = -1.0 if k + 3 < n else 0.0
        t0, t1, t2, t3 = T[k], T[k1], T[k2], T[k3]
        for a in range(p):
            c0, c1, c2, c3 = -t0[a], s1 * t1[a], s2 * t2[a], s3 * t3[a]
            row = H[a]
            for b in range(a + 1):
                row[b] += c0 * t0[b] + c1 * t1[b] + c2 * t2[b] + c3 * t3[b]
    for a in range(p):
        axpy(T[n, a], T[n, : a + 1], H[a, : a + 1])
        axpy(T[n + 1, a], T[n + 1, : a + 1], H[a, : a + 1])
