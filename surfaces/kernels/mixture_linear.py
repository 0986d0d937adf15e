"""Small dense linear algebra for the mixture's Newton systems: Gram matrices, signed Cholesky.

Design matrices have one row an observation and one column a bump; a row knows the columns it is
not zero in. Products run over four observations at a time, along rows: the inner loops are short,
and this form has the least to set up. Every sum has its order and its roundings written down
(`fma`, four lanes), so all copies that a compiler makes of a function compute the same bits.

A system is symmetric, bordered by the two equalities of a slice: the first n pivots are positive,
the last two negative, and in this order no pivoting is needed (Vanderbei 1995, quasi-definite).
"""

import math

import numba as nb

from surfaces.kernels.compiling import INNER, fma, keep_apart

BORDER = 2  # equalities of a slice: the weights sum to one, and so does their mean forward


@nb.njit(**INNER)
def dot(x, y):
    """sum x y, in four lanes."""
    whole = x.size - x.size % 4
    t0 = t1 = t2 = t3 = 0.0
    for i in range(0, whole, 4):
        t0 = fma(x[i], y[i], t0)
        t1 = fma(x[i + 1], y[i + 1], t1)
        t2 = fma(x[i + 2], y[i + 2], t2)
        t3 = fma(x[i + 3], y[i + 3], t3)
    for i in range(whole, x.size):
        t0 = fma(x[i], y[i], t0)
    return (t0 + t1) + (t2 + t3)


@nb.njit(**INNER)
def axpy(c, x, y):
    """y += c x."""
    for i in range(x.size):
        y[i] = fma(c, x[i], y[i])


@nb.njit(**INNER)
def axpy_4(c0, x0, c1, x1, c2, x2, c3, x3, y):
    """y += c0 x0 + c1 x1 + c2 x2 + c3 x3."""
    for i in range(y.size):
        y[i] = fma(c0, x0[i], fma(c1, x1[i], fma(c2, x2[i], fma(c3, x3[i], y[i]))))


@nb.njit(**INNER)
def four(first, block, count):
    """Rows of a block of four, the last one repeated past the end of `count`."""
    i0, end = first + block, first + count - 1
    return i0, min(i0 + 1, end), min(i0 + 2, end), min(i0 + 3, end)


@nb.njit(**INNER)
def weights(weight, block, sign):
    """Their weights, zero past the end."""
    n = weight.size
    return (
        sign * weight[block],
        sign * weight[block + 1] if block + 1 < n else 0.0,
        sign * weight[block + 2] if block + 2 < n else 0.0,
        sign * weight[block + 3] if block + 3 < n else 0.0,
    )


@nb.njit(**INNER)
def together(spans, i0, i1, i2, i3):
    """The columns that any of four rows is not zero in."""
    low = min(spans[i0, 0], spans[i1, 0], spans[i2, 0], spans[i3, 0])
    high = max(spans[i0, 1], spans[i1, 1], spans[i2, 1], spans[i3, 1])
    return low, high


@nb.njit(**INNER)
def add_gram(X, spans, first, weight, H):
    """H += sum_i weight[i] x x', x = X[first + i], in the lower triangle."""
    keep_apart()
    count = weight.size
    for block in range(0, count, 4):
        i0, i1, i2, i3 = four(first, block, count)
        w0, w1, w2, w3 = weights(weight, block, 1.0)
        low, high = together(spans, i0, i1, i2, i3)
        x0, x1, x2, x3 = X[i0, low:high], X[i1, low:high], X[i2, low:high], X[i3, low:high]
        for a in range(high - low):
            row = H[low + a, low : low + a + 1]
            axpy_4(w0 * x0[a], x0, w1 * x1[a], x1, w2 * x2[a], x2, w3 * x3[a], x3, row)


@nb.njit(**INNER)
def sub_cross(X, spans_x, Y, spans_y, first, weight, C):
    """C -= sum_i weight[i] x y', x = X[first + i], y = Y[first + i]."""
    keep_apart()
    count = weight.size
    for block in range(0, count, 4):
        i0, i1, i2, i3 = four(first, block, count)
        w0, w1, w2, w3 = weights(weight, block, -1.0)
        from_a, to_a = together(spans_x, i0, i1, i2, i3)
        low, high = together(spans_y, i0, i1, i2, i3)
        x0, x1, x2, x3 = X[i0], X[i1], X[i2], X[i3]
        y0, y1, y2, y3 = Y[i0, low:high], Y[i1, low:high], Y[i2, low:high], Y[i3, low:high]
        for a in range(from_a, to_a):
            row = C[a, low:high]
            axpy_4(w0 * x0[a], y0, w1 * x1[a], y1, w2 * x2[a], y2, w3 * x3[a], y3, row)


@nb.njit(**INNER)
def times(X, spans, u, first, out):
    """out[i] = X[first + i] . u."""
    keep_apart()
    for i in range(out.size):
        low, high = spans[first + i, 0], spans[first + i, 1]
        out[i] = dot(X[first + i, low:high], u[low:high])


@nb.njit(**INNER)
def add_times(X, spans, f, first, sign, out):
    """out += sign sum_i f[i] X[first + i]."""
    keep_apart()
    count = f.size
    for block in range(0, count, 4):
        i0, i1, i2, i3 = four(first, block, count)
        f0, f1, f2, f3 = weights(f, block, sign)
        low, high = together(spans, i0, i1, i2, i3)
        x0, x1, x2, x3 = X[i0, low:high], X[i1, low:high], X[i2, low:high], X[i3, low:high]
        axpy_4(f0, x0, f1, x1, f2, x2, f3, x3, out[low:high])


@nb.njit(**INNER)
def factor(H, n, size):
    """H = L S L' in the lower triangle, S = +1 for the first n pivots and -1 after; the diagonal
    keeps 1/L_jj. A pivot of the wrong sign is replaced by a large one, which freezes its unknown;
    the number of those is returned."""
    keep_apart()
    frozen = 0
    for i in range(size):
        row = H[i]
        for j in range(i):
            other, whole = H[j], min(j, n)
            t = row[j] - dot(row[:whole], other[:whole])
            row[j] = t * (other[j] if j < n else -other[j])
        whole = min(i, n)
        d = row[i] - dot(row[:whole], row[:whole])
        if i > n:
            d += row[n] * row[n]
        d = d if i < n else -d
        if not d > 1e-13 * abs(row[i]) + 1e-300:
            frozen += 1
            d = 1e30
        row[i] = 1.0 / math.sqrt(d)
    return frozen


@nb.njit(**INNER)
def forward(L, n, size, x):
    """x := S L^-1 x."""
    keep_apart()
    for i in range(size):
        row, whole = L[i], min(i, n)
        total = x[i] - dot(row[:whole], x[:whole])
        if i > n:
            total += row[n] * x[n]  # x[n] has its sign turned already
        x[i] = total * row[i] if i < n else -total * row[i]


@nb.njit(**INNER)
def backward(L, size, x):
    """x := L^-T x."""
    keep_apart()
    for i in range(size - 1, -1, -1):
        row = L[i]
        x[i] *= row[i]
        axpy(-x[i], row[:i], x[:i])


@nb.njit(**INNER)
def forward_rows(L, n, p, C, T):
    """T := L^-1 C' for C (p, n) over the unknowns before the border; T is (n + BORDER, p)."""
    keep_apart()
    for i in range(n + BORDER):
        row, out = L[i], T[i, :p]
        for b in range(p):
            out[b] = C[b, i] if i < n else 0.0
        whole = min(i, n)
        done = whole - whole % 4
        for k in range(0, done, 4):
            t0, t1, t2, t3 = T[k], T[k + 1], T[k + 2], T[k + 3]
            axpy_4(-row[k], t0, -row[k + 1], t1, -row[k + 2], t2, -row[k + 3], t3, out)
        for k in range(done, whole):
            axpy(-row[k], T[k, :p], out)
        if i > n:
            axpy(-row[n], T[n, :p], out)
        for b in range(p):
            out[b] *= row[i]


@nb.njit(**INNER)
def sub_gram(T, n, p, H):
    """H -= T' S T for T (n + BORDER, p), lower triangle."""
    keep_apart()
    for k in range(0, n, 4):
        k1, k2, k3 = min(k + 1, n - 1), min(k + 2, n - 1), min(k + 3, n - 1)
        s1 = -1.0 if k + 1 < n else 0.0
        s2 = -1.0 if k + 2 < n else 0.0
        s3 = -1.0 if k + 3 < n else 0.0
        t0, t1, t2, t3 = T[k], T[k1], T[k2], T[k3]
        for a in range(p):
            row = H[a, : a + 1]
            axpy_4(-t0[a], t0, s1 * t1[a], t1, s2 * t2[a], t2, s3 * t3[a], t3, row)
    for a in range(p):
        axpy(T[n, a], T[n, : a + 1], H[a, : a + 1])
        axpy(T[n + 1, a], T[n + 1, : a + 1], H[a, : a + 1])
