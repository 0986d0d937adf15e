"""European prices, Greeks and implied vols under Bachelier's normal model.

The forward moves in USD, not in percent, so forward and strike may have any sign: spreads, rates,
and oil in April 2020.

Units   prices, forwards and strikes in USD per share; years of calendar time (ACT/365); vol in USD
        per square-root year; Greeks as `surfaces.pricing.greeks` with that vol, so vega is USD per
        1 USD per sqrt-year, and "trader" units are per 0.01 of it.
Source  see `surfaces.kernels.bachelier`; the limits vol -> 0 are ours.
Checked tests/surfaces/pricing/test_bachelier.py: 70-digit arithmetic, parity, QuantLib, Black.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from surfaces import checks as check
from surfaces import containers
from surfaces.kernels import bachelier as kernel
from surfaces.pricing.greeks import NAMES, Floats, Greeks, Unit, wanted
from surfaces.pricing.implied import ImpliedVol


def price(
    *,
    right: ArrayLike,
    forward: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    vol: ArrayLike,
    df: ArrayLike = 1.0,
) -> Any:
    """Price European options on a forward of any sign; all arguments broadcast together.

    Parameters
    ----------
    right : +1, True or "c" for a call; -1, False or "p" for a put
    forward : USD per share, for delivery at expiry
    strike : USD per share
    years : time to expiry in years, >= 0; zero gives intrinsic value
    vol : USD per square-root year, >= 0
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
    >>> float(price(right=1, forward=-3.0, strike=-3.0, years=0.25, vol=20.0).round(4))
    3.9894
    """
    box = containers.of(right, forward, strike, years, vol, df)
    shape, columns = _columns(right, forward, strike, years, vol, df)
    out = np.empty(columns[0].size)
    kernel.fill_price(*columns, out)
    return box.wrap("price", out, shape)


def greeks(
    *,
    right: ArrayLike,
    forward: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    vol: ArrayLike,
    df: ArrayLike = 1.0,
    which: Sequence[str] | None = None,
    units: Unit = "natural",
) -> Greeks:
    """Price and thirteen Greeks with respect to the forward; arguments as in `price`.

    Theta, charm and color hold the forward, with r = -ln(df)/years. At years = 0 or vol = 0 all are
    finite: curvature is zero. `which` names the numbers to return, by default all.
    """
    box = containers.of(right, forward, strike, years, vol, df)
    shape, columns = _columns(right, forward, strike, years, vol, df)
    names = wanted(which)
    rows = np.empty((len(NAMES), columns[0].size))
    kernel.fill_greeks(*columns, np.empty((kernel.STATES, kernel.BLOCK)), rows)
    if which is not None:
        rows = rows[[NAMES.index(name) for name in names]]
    return Greeks.from_rows(rows, shape, names, box).in_units(units)


def vol(
    *,
    price: ArrayLike,
    right: ArrayLike,
    forward: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    df: ArrayLike = 1.0,
) -> ImpliedVol:
    """Invert `price`, discounted. A bad quote never raises: it gets NaN and a status.

    The vol is in USD per sqrt-year. `status` is OK; BELOW_INTRINSIC; NO_VEGA (exactly intrinsic:
    NaN, but an out-of-the-money price of zero gives vol 0.0, a true lower bound); BAD_INPUT (NaN or
    infinite, or years or df not positive). There is no upper bound to be above.

    Raises
    ------
    InvalidInput
        For an unknown right or shapes that do not broadcast: mistakes of the caller, not quotes.

    Examples
    --------
    >>> got = vol(price=3.9894228, right=1, forward=-3.0, strike=-3.0, years=0.25)
    >>> float(got.vol.round(5)), int(got.status)
    (20.0, 0)
    """
    box = containers.of(price, right, forward, strike, years, df)
    shape, columns = check.columns(
        check.numbers("price", price),
        check.right(right),
        check.numbers("forward", forward),
        check.numbers("strike", strike),
        check.numbers("years", years),
        check.numbers("df", df),
    )
    size = columns[0].size
    out, status = np.empty(size), np.empty(size, np.uint8)
    kernel.fill_vol(*columns, out, status)
    return ImpliedVol(box.wrap("vol", out, shape), box.wrap("status", status, shape))


def _columns(
    right: ArrayLike,
    forward: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    vol: ArrayLike,
    df: ArrayLike,
) -> tuple[tuple[int, ...], list[Floats]]:
    """Checked and broadcast, in the kernels' order."""
    curve = "Take it from surfaces.curves."
    strikes = "Drop adjusted contracts before pricing."
    alive = "Remove expired rows with chain.alive(now)."
    failed = "A NaN is a failed inversion; see its status code."
    factor = "Discount factors, not rates: exp(-r*T)."
    return check.columns(
        check.right(right),
        check.finite("forward", forward, unit="USD", hint=curve),
        check.finite("strike", strike, unit="USD", hint=strikes),
        check.at_least("years", years, 0.0, unit="years", hint=alive),
        check.at_least("vol", vol, 0.0, unit="USD per sqrt-year", hint=failed),
        check.above("df", df, 0.0, unit="", hint=factor),
    )
