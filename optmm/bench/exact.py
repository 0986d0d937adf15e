"""The referee for European figures: Black (1976) in 70 decimal digits, one option at a time.

Inputs are the float64 numbers that a library gets, taken as exact, so what is measured is the
library's error alone. About a millisecond an option: for hundreds of rows, not for millions.
"""

from dataclasses import dataclass
from decimal import Decimal, localcontext

import numpy as np

from optmm.bench.markets import Floats, Options

DIGITS = 70
PI = Decimal(
    "3.14159265358979323846264338327950288419716939937510582097494459230781640628620899863"
)
TAIL = Decimal(9)
FRACTIONS = 400  # of the continued fraction: 70 digits from `TAIL` on
ULP = Decimal(2) ** -53


@dataclass(frozen=True, slots=True)
class Exact:
    """Undiscounted figures of a set of options, rounded once; arrays of one length."""

    price: Floats
    gamma: Floats
    vega: Floats
    vol: Floats  # of the rounded price, nearest float64
    vol_rest: Floats  # what `vol` leaves of the true one
    attainable: Floats  # relative error of vol that rounding the inputs alone causes


def cdf(x: Decimal) -> Decimal:
    """N(x) at the context's precision: Taylor's series, past 9 Mills' continued fraction."""
    density = pdf(x)
    if abs(x) > TAIL:
        ratio = Decimal(0)
        for k in range(FRACTIONS, 0, -1):
            ratio = k / (abs(x) + ratio)
        tail = density / (abs(x) + ratio)
        return tail if x < 0 else 1 - tail
    term = total = x
    k, small = 1, Decimal(10) ** -DIGITS
    while abs(term) > small:
        term = term * x * x / (2 * k + 1)
        total += term
        k += 1
    return Decimal("0.5") + density * total


def pdf(x: Decimal) -> Decimal:
    """The normal density."""
    return (-x * x / 2).exp() / (2 * PI).sqrt()


def black(options: Options) -> Exact:
    """Price, gamma, vega, and the vol that the rounded price implies, of every option.

    The true vol of a rounded price is the drawn one plus (rounded - exact) / vega: the next term is
    the square of the rounding. Attainable: 2^-53 (k_price + k_forward + k_strike + 1.5), where k
    are the condition numbers of the vol, all in 70 digits.
    """
    out = np.empty((6, len(options)))
    columns = (options.right, options.forward, options.strike, options.years, options.vol)
    with localcontext() as context:
        context.prec = DIGITS
        for i, row in enumerate(zip(*columns, strict=True)):
            out[:, i] = _one(*(Decimal(float(value)) for value in row))
    return Exact(*out)


def _one(
    w: Decimal, F: Decimal, K: Decimal, T: Decimal, v: Decimal
) -> tuple[float, float, float, float, float, float]:
    root = T.sqrt()
    s = v * root
    d1 = (F / K).ln() / s + s / 2
    n1, n2 = cdf(w * d1), cdf(w * (d1 - s))
    price = w * (F * n1 - K * n2)
    vega = F * pdf(d1) * root
    gamma = pdf(d1) / (F * s)
    shown = Decimal(float(price))
    true = v + (shown - price) / vega
    near = Decimal(float(true))
    moves = price + F * n1 + K * n2  # |dp| from one relative unit in price, forward and strike
    attainable = ULP * (moves / (v * vega) + Decimal("1.5"))
    return (
        float(price),
        float(gamma),
        float(vega),
        float(near),
        float(true - near),
        float(attainable),
    )
