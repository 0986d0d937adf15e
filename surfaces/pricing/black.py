"""European prices and Greeks under Black (1976).

The forward, not spot, is the underlying: carry, dividends and borrow live in `surfaces.curves`, so
this module has no rate argument to get wrong.

Units   prices and strikes in USD per share; years of calendar time (ACT/365); vol as a decimal per
        square-root year (0.20 is 20 %); Greeks as `surfaces.pricing.greeks` defines them.
Source  F. Black, J. Financial Economics 3 (1976) 167-179; the limits s -> 0 are ours.
Checked tests/surfaces/pricing/test_black.py: Haug (1998) tables, parity, 50-digit arithmetic,
        QuantLib; test_greeks.py: differences of a high-precision price.
"""

import numpy as np
from numpy.typing import ArrayLike

from surfaces import checks as check
from surfaces.kernels import black as kernel
from surfaces.pricing.greeks import NAMES, Floats, Greeks


def price(
    *,
    right: ArrayLike,
    forward: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    vol: ArrayLike,
    df: ArrayLike = 1.0,
) -> Floats:
    """Price European options on a forward.

    All arguments broadcast together; the result has the broadcast shape (0-d for scalars).

    Parameters
    ----------
    right : +1 or "c" for a call, -1 or "p" for a put
    forward : USD per share, >= 0, for delivery at expiry
    strike : USD per share, >= 0
    years : time to expiry in years, >= 0; zero gives intrinsic value
    vol : decimal per square-root year, >= 0
    df : discount factor to payment, > 0; 1.0 for an undiscounted price

    Returns
    -------
    USD per share, >= 0; deep out-of-the-money prices keep their relative accuracy.

    Raises
    ------
    InvalidInput
        Names the first offending element, its value and the remedy.

    Examples
    --------
    >>> float(price(right=1, forward=100.0, strike=100.0, years=0.25, vol=0.20).round(4))
    3.9878
    """
    shape, columns = _columns(right, forward, strike, years, vol, df)
    out = np.empty(columns[0].size)
    kernel.fill_price(*columns, out)
    return out.reshape(shape)


def greeks(
    *,
    right: ArrayLike,
    forward: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    vol: ArrayLike,
    df: ArrayLike = 1.0,
) -> Greeks:
    """Price and eleven Greeks with respect to the forward; arguments as in `price`.

    delta is dV/dF and includes df; theta, charm and color are per year of calendar time at constant
    forward, with r = -ln(df)/years. At years = 0 or vol = 0 all are finite: curvature is zero.
    """
    shape, columns = _columns(right, forward, strike, years, vol, df)
    rows = np.empty((len(NAMES), columns[0].size))
    kernel.fill_greeks(*columns, rows)
    return Greeks.from_rows(rows, shape)


def _columns(
    right: ArrayLike,
    forward: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    vol: ArrayLike,
    df: ArrayLike,
) -> tuple[tuple[int, ...], list[Floats]]:
    """Checked and broadcast, in the kernels' order."""
    hint = "Shift a negative forward, or use a normal model."
    strikes = "Drop adjusted contracts before pricing."
    alive = "Remove expired rows with chain.alive(now)."
    failed = "A NaN is a failed inversion; see its status code."
    factor = "Discount factors, not rates: exp(-r*T)."
    return check.columns(
        check.right(right),
        check.at_least("forward", forward, 0.0, unit="USD", hint=hint),
        check.at_least("strike", strike, 0.0, unit="USD", hint=strikes),
        check.at_least("years", years, 0.0, unit="years", hint=alive),
        check.at_least("vol", vol, 0.0, unit="per sqrt-year", hint=failed),
        check.above("df", df, 0.0, unit="", hint=factor),
    )
