"""European prices and Greeks on spot with a continuous yield (Black-Scholes-Merton).

Black (1976) on the forward spot * exp((rate - dividend_yield) * years). The yield holds everything
that the spot's holder earns and the option's does not: dividends and borrow fees.

Units   as `surfaces.pricing.black`; rates and yields are continuously compounded decimals a year.
Source  R. Merton, Bell J. Economics 4 (1973) 141-183; spot Greeks by the chain rule on the forward.
Checked tests/surfaces/pricing/test_bsm.py: Haug (1998), Hull, QuantLib.
"""

import numpy as np
from numpy.typing import ArrayLike

from surfaces import checks as check
from surfaces.kernels import black as kernel
from surfaces.pricing.greeks import NAMES, Floats, Greeks


def price(
    *,
    right: ArrayLike,
    spot: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    vol: ArrayLike,
    rate: ArrayLike = 0.0,
    dividend_yield: ArrayLike = 0.0,
) -> Floats:
    """Price European options on spot; all arguments broadcast together.

    Parameters
    ----------
    right : +1 or "c" for a call, -1 or "p" for a put
    spot : USD per share, >= 0
    strike : USD per share, >= 0
    years : time to expiry in years, >= 0; zero gives intrinsic value
    vol : decimal per square-root year, >= 0
    rate : continuously compounded decimal per year; may be negative
    dividend_yield : the same, including borrow; `rate` for an option on a future

    Returns
    -------
    USD per share, >= 0.

    Raises
    ------
    InvalidInput
        Names the first offending element, its value and the remedy.

    Examples
    --------
    >>> float(price(right=1, spot=42.0, strike=40.0, years=0.5, vol=0.2, rate=0.1).round(2))
    4.76
    """
    shape, columns = spot_columns(right, spot, strike, years, vol, rate, dividend_yield)
    out = np.empty(columns[0].size)
    kernel.fill_spot_price(*columns, out)
    return out.reshape(shape)


def greeks(
    *,
    right: ArrayLike,
    spot: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    vol: ArrayLike,
    rate: ArrayLike = 0.0,
    dividend_yield: ArrayLike = 0.0,
) -> Greeks:
    """Price and eleven Greeks with respect to spot, at constant rate and yield; see `price`."""
    shape, columns = spot_columns(right, spot, strike, years, vol, rate, dividend_yield)
    rows = np.empty((len(NAMES), columns[0].size))
    kernel.fill_spot_greeks(*columns, rows)
    return Greeks.from_rows(rows, shape)


def spot_columns(
    right: ArrayLike,
    spot: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    vol: ArrayLike,
    rate: ArrayLike,
    dividend_yield: ArrayLike,
) -> tuple[tuple[int, ...], list[Floats]]:
    """Checked and broadcast, in the order of every kernel on spot."""
    strikes = "Drop adjusted contracts before pricing."
    alive = "Remove expired rows with chain.alive(now)."
    failed = "A NaN is a failed inversion; see its status code."
    curve = "Take it from surfaces.curves, continuously compounded."
    return check.columns(
        check.right(right),
        check.at_least("spot", spot, 0.0, unit="USD", hint="A price on spot needs one."),
        check.at_least("strike", strike, 0.0, unit="USD", hint=strikes),
        check.at_least("years", years, 0.0, unit="years", hint=alive),
        check.at_least("vol", vol, 0.0, unit="per sqrt-year", hint=failed),
        check.finite("rate", rate, unit="per year", hint=curve),
        check.finite("dividend_yield", dividend_yield, unit="per year", hint=curve),
    )
