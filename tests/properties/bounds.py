"""How far a correctly built double-precision pricer may be off, from the formula's conditioning.

h = |ln F/K|/s and t = s/2 come out of a logarithm, a root, a product and a quotient: EASE = 4
roundings bound the error of h + t in units of EPS (h + t). A Greek adds OWN of its own: exp 2,
Mills' ratio 3 each way, products 4. A price is a difference of two Mills ratios, which for t > 0.1
(below, a series is at hand) are up to 6.3 times the difference: GAP = 2 x 1.5 x 6.3 + 5 roundings.
Nothing here was fitted to what the product does.
"""

import numpy as np
from longdouble import black_parts, in_chunks

EPS = np.finfo(float).eps
EASE, OWN, GAP = 4.0, 12.0, 24.0


def price_error(parts: dict, F, K, df):
    """Allowed |error| of a discounted price; `parts` from `longdouble.black_parts`.

    The out-of-the-money part or the rest of its cap, whichever is smaller, carries the exponent's
    error (h + t)^2; the sum of it, of intrinsic and of the product with df is rounded.
    """
    otm, rest = (np.asarray(parts[name], float) for name in ("otm", "rest"))
    reach = np.asarray(parts["h"] + parts["t"], float)
    smaller = np.minimum(otm, rest)
    rounded = 2.0 * (otm + np.abs(F - K))
    tiny = 8.0 * np.finfo(float).smallest_subnormal / np.maximum(EPS, smaller)
    return df * EPS * (rounded + (GAP + EASE * reach**2) * smaller * (1.0 + tiny))


def input_rounding(parts: dict, F, K, years, vol, df, right):
    """(what rounding the inputs of an inversion once moves the undiscounted price by, vol vega).

    2^-53 (price + F |dV/dF| + K |dV/dK| + 1.5 vol vega), the terms of the table of hard cases; the
    price counts twice where df is not 1, since it is divided by it.
    """
    h, t = (np.asarray(parts[name], float) for name in ("h", "t"))
    d1 = np.where(F > K, h, -h) + t
    with np.errstate(under="ignore"):
        bell = np.exp(-0.5 * (h - t) ** 2) / np.sqrt(2 * np.pi)
        scale = vol * np.sqrt(years) * np.minimum(F, K) * bell
        price = np.asarray(parts["otm"], float) + np.maximum(right * (F - K), 0.0)
        legs = F * normal(right * d1) + K * normal(right * (d1 - 2 * t))
    return 0.5 * EPS * (price * np.where(df == 1.0, 1.0, 2.0) + legs + 1.5 * scale), scale


def vol_error(parts: dict, F, K, years, vol, df, right):
    """Relative error of a vol that rounding its price, forward and strike once causes."""
    moved, scale = input_rounding(parts, F, K, years, vol, df, right)
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        error = moved / scale
    return np.fmin(error, 1.0)  # 1: the price says nothing; also 0/0, where both have underflowed


def spot_price_error(S, K, years, vol, rate, q):
    """Allowed |error| of a European price on spot, whose forward and factors are rounded too."""
    b = rate - q
    F, df = S * np.exp(b * years), np.exp(-rate * years)
    loose = EPS * (3.0 + np.abs(b * years) + np.abs(rate * years))
    parts = in_chunks(black_parts, F, K, years, vol)
    return price_error(parts, F, K, df) + loose * df * np.maximum(F, K)


def normal(z):
    """N(z), relative accuracy in the left tail."""
    from scipy.special import ndtr

    return ndtr(z)


def greek_errors(w, F, K, years, vol, df) -> dict[str, np.ndarray]:
    """Allowed |error| of each Greek of `black.greeks`, whose rate is -ln(df)/years."""
    out = spread(w, F, K, years, vol, df, F, -np.log(df) / years, 0.0, 0.0)
    out["rho"] = out.pop("years * price")
    return out


def spot_greek_errors(w, S, K, years, vol, rate, q) -> dict[str, np.ndarray]:
    """Allowed |error| of each Greek of `bsm.greeks`: the forward itself is rounded here."""
    b = rate - q
    F, df = S * np.exp(b * years), np.exp(-rate * years)
    loose = EPS * (3.0 + np.abs(b * years) + np.abs(rate * years) + np.abs(q * years))
    out = spread(w, F, K, years, vol, df, S, rate, b, loose)
    held = out.pop("years * price")
    out["rho"] = held + years * (S * out["delta"] + 2 * EPS * S * df * F / S)
    return out


def spread(w, F, K, years, vol, df, U, rate, b, loose) -> dict[str, np.ndarray]:
    """First-order propagation of the errors of d1 and d2 into all Greeks in the underlying U.

    A rate may be taken back from the discount factor, which rounds it by EPS / years. `b` is U's
    carry and `loose` the relative error of the forward and the discount factors.
    """
    s = vol * np.sqrt(years)
    x = np.abs(np.log1p((F - K) / K))
    h, t = x / s, 0.5 * s
    d1 = np.where(F > K, h, -h) + t
    d2 = d1 - s
    shift = EASE * EPS * (h + t) + loose / s  # of d1 and d2
    a1, a2 = np.abs(d1), np.abs(d2)
    both = a1 * a2
    sway = shift * (a1 + a2)  # of d1 d2
    rate, b = np.abs(rate), np.abs(b)
    with np.errstate(under="ignore"):
        bell = np.exp(-0.5 * d1 * d1) / np.sqrt(2 * np.pi)
        dq = df * F / U
        phi = dq * bell
        # phi and everything that it multiplies, relative
        own = OWN * EPS + a1 * shift + shift**2 + loose
        gamma = phi / (U * s)
        vega = phi * U * np.sqrt(years)
        n1, n2 = normal(w * d1), normal(w * d2)
        phi2 = df * bell * F / K
        delta = phi * shift + (OWN * EPS + loose) * dq * n1
        low = np.minimum(F, K)
        otm = df * low * np.minimum(normal(t - h), 1.0)
        value = otm * EPS * (GAP + EASE * (h + t) ** 2)
        value = np.minimum(value, EPS * 40 * df * low) + 2 * EPS * df * np.abs(F - K)
        full = df * np.maximum(w * (F - K), 0.0) + otm
        value += loose * (df * (F * n1 + K * n2) + full)
        fade = 0.5 / years
        return {
            "delta": delta,
            "gamma": gamma * own,
            "vega": vega * own,
            "theta": rate * (value + 4 * EPS * full)
            + 2 * EPS * full / years
            + fade * vega * vol * own
            + b * U * (delta + 4 * EPS * dq * n1),
            "years * price": years * (value + 2 * EPS * full),
            "vanna": phi / vol * (a2 * own + shift),
            "volga": vega / vol * (both * own + sway),
            "charm": (rate + b) * (delta + 4 * EPS * dq * n1) + 2 * EPS * dq * n1 / years
            + phi * ((b / s + fade * a2) * own + fade * shift),
            "speed": gamma / U * ((1 + a1 / s) * own + shift / s),
            "zomma": gamma / vol * ((1 + both) * own + sway),
            "color": gamma * ((rate + b + b * a1 / s) * own + b * shift / s + 2 * EPS / years
                              + fade * ((1 + both) * own + sway)),
            "dual_delta": phi2 * shift + (OWN * EPS + loose) * df * n2,
            "density": phi2 / (df * K * s) * (OWN * EPS + a2 * shift + loose),
        }  # fmt: skip
