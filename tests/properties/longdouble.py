"""Black (1976) and Bachelier (1900) in 80-bit arithmetic, apart from the product: the referee.

Mills' ratio is the midpoint rule for its own integral with the pole's residue (F. Matta,
A. Reichel, Math. Comp. 25 (1971) 339-344), whose terms are all positive: relative error about
1e-19 for every argument. test_long_double.py checks it in 70-digit decimals.
"""

import numpy as np
import pytest

LD = np.longdouble
if np.finfo(LD).eps > 1e-18:
    pytest.skip("long double is no wider than double on this machine", allow_module_level=True)

PI = LD("3.14159265358979323846264338327950288")
ROOT_2PI = np.sqrt(2 * PI)
STEP = LD("0.4")
NODES = ((np.arange(18, dtype=LD) + LD("0.5")) * STEP) ** 2
WEIGHTS = np.exp(-NODES)
SMALL = 0.05  # half widths below which a difference of Mills ratios is taken as a Taylor series


def mills(z):
    """N(-z) / phi(z) for z >= 0."""
    x2 = z * z / 2
    total = np.zeros_like(z)
    for node, weight in zip(NODES, WEIGHTS, strict=True):
        total += weight / (x2 + node)
    total *= np.sqrt(LD(2)) * STEP * z / PI
    turn = np.sqrt(LD(2)) * PI * z / STEP  # 2 pi x / step, x = z / sqrt 2
    near = turn < 2 * (PI / STEP) ** 2
    total[near] += 2 * np.exp(x2[near]) / (1 + np.exp(turn[near]))
    return np.sqrt(PI / 2) * total


def density(z):
    """phi(z)."""
    return np.exp(-z * z / 2) / ROOT_2PI


def cdf(z):
    """N(z), relative accuracy on the left."""
    tail = density(z) * mills(np.abs(z))
    return np.where(z > 0, 1 - tail, tail)


def log_ratio(a, b):
    """ln(a/b), also where it is tiny."""
    gap = (a - b) / b
    return np.where(np.abs(gap) < 0.25, np.log1p(np.where(np.abs(gap) < 0.25, gap, 0)),
                    np.log(a / b))  # fmt: skip


def mills_gap(h, t):
    """M(h - t) - M(h + t), 0 <= t <= h or t small."""
    out = np.empty_like(h)
    small = t < SMALL
    x, u = h[small], t[small]
    # I_n = int_0^inf y^n exp(-x y - y^2/2) dy; the gap is 2 sum of t^n I_n / n!, n odd
    even = mills(x)
    odd = 1 - x * even
    power = 2 * u
    total = power * odd
    for n in (1, 3, 5, 7, 9):
        even = n * even - x * odd
        odd = (n + 1) * odd - x * even
        power = power * u * u / ((n + 1) * (n + 2))
        total += power * odd
    out[small] = total
    x, u = h[~small], t[~small]
    out[~small] = mills(np.abs(x - u)) - mills(x + u)
    return out


def black_parts(F, K, years, vol) -> dict[str, np.ndarray]:
    """Undiscounted out-of-the-money price, the rest of its cap min(F, K), h and t; all 80-bit.

    h = |ln F/K| / s and t = s/2 with s = vol sqrt(years); inputs are doubles taken as exact.
    """
    F, K, years, vol = (np.asarray(v, LD) for v in (F, K, years, vol))
    low, high = np.minimum(F, K), np.maximum(F, K)
    s = vol * np.sqrt(years)
    h, t = log_ratio(high, low) / s, s / 2
    price, rest = np.empty_like(h), np.empty_like(h)
    cap = (t > h) & (t >= SMALL)
    a, b = h[cap], t[cap]
    rest[cap] = low[cap] * density(b - a) * (mills(b - a) + mills(a + b))
    price[cap] = low[cap] - rest[cap]
    a, b = h[~cap], t[~cap]
    price[~cap] = low[~cap] * density(a - b) * mills_gap(a, b)
    rest[~cap] = low[~cap] - price[~cap]
    return {"otm": price, "rest": rest, "h": h, "t": t}


def normal_parts(F, K, years, vol) -> dict[str, np.ndarray]:
    """Bachelier's undiscounted out-of-the-money price and h = |F - K| / s, s = vol sqrt(years)."""
    F, K, years, vol = (np.asarray(v, LD) for v in (F, K, years, vol))
    s = vol * np.sqrt(years)
    h = np.abs(F - K) / s
    return {"otm": s * density(h) * (1 - h * mills(h)), "h": h}


def in_chunks(function, *columns, size: int = 16_384) -> dict[str, np.ndarray]:
    """`function(*columns)` piece by piece, which keeps 80-bit work in the processor's cache."""
    pieces = [
        function(*(c[i : i + size] for c in columns)) for i in range(0, columns[0].size, size)
    ]
    return {name: np.concatenate([p[name] for p in pieces]) for name in pieces[0]}
