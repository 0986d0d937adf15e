"""Greeks of Black (1976) and Bachelier (1900) by automatic differentiation in 80-bit arithmetic.

The first derivatives are the textbook's: dV/dF = df w N(w d1), dV/dK = -df w N(w d2) and dV/dvol =
df F phi(d1) sqrt(T). Differentiating the price would find them too, but by a cancellation,
F phi(d1) = K phi(d2), that 80 bits do not survive over a million hard rows. Every higher derivative
comes from those by jets: truncated power series in the underlying u, vol v, years t and strike k,
held as {powers: coefficient}. So no formula of a second or third Greek is used.
test_long_double.py checks all of them against differences of a 70-digit price.
"""

import numpy as np
from longdouble import LD, black_parts, cdf, density, log_ratio, normal_parts

ONE = (0, 0, 0, 0)
# Powers of (u, v, t, k) that a Greek needs after its first derivative, with all their divisors.
KEPT = [
    ONE,
    (1, 0, 0, 0),
    (2, 0, 0, 0),
    (0, 1, 0, 0),
    (1, 1, 0, 0),
    (0, 0, 1, 0),
    (1, 0, 1, 0),
    (0, 0, 0, 1),
]
# name: (which first derivative, power, factor)
HIGHER = {
    "gamma": ("delta", (1, 0, 0, 0), 1),
    "speed": ("delta", (2, 0, 0, 0), 2),
    "vanna": ("delta", (0, 1, 0, 0), 1),
    "zomma": ("delta", (1, 1, 0, 0), 1),
    "charm": ("delta", (0, 0, 1, 0), -1),
    "color": ("delta", (1, 0, 1, 0), -1),
    "volga": ("vega", (0, 1, 0, 0), 1),
    "density": ("dual_delta", (0, 0, 0, 1), 1),
}

Jet = dict[tuple[int, ...], np.ndarray]


def variable(value, place: int) -> Jet:
    """value + its own small change."""
    return {ONE: value, tuple(int(i == place) for i in range(4)): np.ones_like(value)}


def add(a: Jet, b: Jet, times: float = 1) -> Jet:
    """a + times b."""
    out = dict(a)
    for m, c in b.items():
        out[m] = out[m] + times * c if m in out else times * c
    return out


def mul(a: Jet, b: Jet) -> Jet:
    """a b, truncated to what is kept."""
    out: Jet = {}
    for m, x in a.items():
        for n, y in b.items():
            p = tuple(i + j for i, j in zip(m, n, strict=True))
            if p in KEPT:
                out[p] = out[p] + x * y if p in out else x * y
    return out


def of(a: Jet, f0, f1, f2) -> Jet:
    """f(a) from the value and first two derivatives of f at a's constant."""
    step = {m: c for m, c in a.items() if m != ONE}
    out = {ONE: f0}
    for power, slope in ((step, f1), (mul(step, step), f2 / 2)):
        for m, c in power.items():
            out[m] = out[m] + slope * c if m in out else slope * c
    return out


def log(a: Jet) -> Jet:
    x = 1 / a[ONE]
    return of(a, np.log(a[ONE]), x, -x * x)


def exp(a: Jet) -> Jet:
    e = np.exp(a[ONE])
    return of(a, e, e, e)


def root(a: Jet) -> Jet:
    y, x = np.sqrt(a[ONE]), 1 / a[ONE]
    return of(a, y, y * x / 2, -y * x * x / 4)


def inverse(a: Jet) -> Jet:
    x = 1 / a[ONE]
    return of(a, x, -x * x, 2 * x**3)


def bell(a: Jet) -> Jet:
    z = a[ONE]
    phi = density(z)
    return of(a, phi, -z * phi, (z * z - 1) * phi)


def normal(a: Jet) -> Jet:
    z = a[ONE]
    phi = density(z)
    return of(a, cdf(z), phi, -z * phi)


def greeks(w, F: Jet, K: Jet, T: Jet, vol: Jet, r, slide: Jet) -> dict[str, np.ndarray]:
    """All Greeks of V(F(u, t), K, T, vol) at constant r; `slide` is dF/du, (r - q) F = dF/dt."""
    s = mul(vol, root(T))
    x = add(log(F), log(K), -1)
    x[ONE] = log_ratio(F[ONE], K[ONE])
    d1 = add(mul(x, inverse(s)), s, LD("0.5"))
    d2 = add(d1, s, -1)
    df = exp({m: -r * c for m, c in T.items()})
    first = {
        "delta": mul(slide, mul(df, sided(w, d1))),
        "vega": mul(mul(df, F), mul(bell(d1), root(T))),
        "dual_delta": mul({ONE: -LD(1)}, mul(df, sided(w, d2))),
    }
    return finished(first, df)


def sided(w, d: Jet) -> Jet:
    """w N(w d)."""
    return {m: w * c for m, c in normal({m: w * c for m, c in d.items()}).items()}


def finished(first: dict[str, Jet], df: Jet) -> dict[str, np.ndarray]:
    """The first derivatives' values and all that HIGHER takes from them."""
    out = {name: jet[ONE] for name, jet in first.items()}
    for name, (of_first, power, factor) in HIGHER.items():
        out[name] = LD(factor) * first[of_first][power]
    out["density"] = out["density"] / df[ONE]
    return out


def forward_greeks(w, F, K, years, vol, df) -> dict[str, np.ndarray]:
    """What `black.greeks` defines: the forward is the underlying, r = -ln(df)/years."""
    w, F, K, T, vol, df = (np.asarray(v, LD) for v in (w, F, K, years, vol, df))
    r = -np.log(df) / T
    one = {ONE: np.ones_like(F)}
    out = greeks(w, variable(F, 0), variable(K, 3), variable(T, 2), variable(vol, 1), r, one)
    parts = black_parts(F, K, T, vol)
    out["price"] = df * (parts["otm"] + np.maximum(w * (F - K), 0))
    out["rho"] = -T * out["price"]
    out["theta"] = r * out["price"] - out["vega"] * vol / (2 * T)
    return out


def spot_greeks(w, S, K, years, vol, rate, q) -> dict[str, np.ndarray]:
    """What `bsm.greeks` defines: the spot is the underlying; rate and yield are constants."""
    w, S, K, T, vol, r, q = (np.asarray(v, LD) for v in (w, S, K, years, vol, rate, q))
    slide = exp({m: (r - q) * c for m, c in variable(T, 2).items()})
    F = mul(variable(S, 0), slide)
    out = greeks(w, F, variable(K, 3), variable(T, 2), variable(vol, 1), r, slide)
    parts = black_parts(F[ONE], K, T, vol)
    out["price"] = np.exp(-r * T) * (parts["otm"] + np.maximum(w * (F[ONE] - K), 0))
    out["rho"] = -T * K * out["dual_delta"]
    carry = (r - q) * S * out["delta"]
    out["theta"] = r * out["price"] - out["vega"] * vol / (2 * T) - carry
    return out


def bachelier_greeks(w, F, K, years, vol, df) -> dict[str, np.ndarray]:
    """What `bachelier.greeks` defines, d = (F - K) / (vol sqrt(T))."""
    w, F, K, T, vol, df = (np.asarray(v, LD) for v in (w, F, K, years, vol, df))
    r = -np.log(df) / T
    time = variable(T, 2)
    s = mul(variable(vol, 1), root(time))
    d = mul(add(variable(F, 0), variable(K, 3), -1), inverse(s))
    fall = exp({m: -r * c for m, c in time.items()})
    delta = mul(fall, sided(w, d))
    first = {
        "delta": delta,
        "vega": mul(fall, mul(bell(d), root(time))),
        "dual_delta": {m: -c for m, c in delta.items()},
    }
    out = finished(first, fall)
    out["price"] = df * (normal_parts(F, K, T, vol)["otm"] + np.maximum(w * (F - K), 0))
    out["rho"] = -T * out["price"]
    out["theta"] = r * out["price"] - out["vega"] * vol / (2 * T)
    return out
