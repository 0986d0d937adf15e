"""European prices and Greeks under Black (1976).

The forward, not spot, is the underlying: carry, dividends and borrow live in `surfaces.curves`, so
this module has no rate argument to get wrong.

Units   prices and strikes in USD per share; years of calendar time (ACT/365); vol as a decimal per
        square-root year (0.20 is 20 %); Greeks as `surfaces.pricing.greeks` defines them.
Layout  general: every argument has one value an option, or one for all. Chain: with `slices`,
        `forward`, `years` and `df` have one value an expiry.
Source  F. Black, J. Financial Economics 3 (1976) 167-179; the limits s -> 0 are ours.
Checked tests/surfaces/pricing/test_black.py: Haug (1998) tables, parity, 50-digit arithmetic,
        QuantLib; test_greeks.py: differences of a high-precision price.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from surfaces import checks as check
from surfaces import containers
from surfaces.pricing import rows
from surfaces.pricing.greeks import Floats, Greeks, Unit, wanted

NOTHING = np.zeros(())  # where the kernel has a yield


def price(
    *,
    right: ArrayLike,
    forward: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    vol: ArrayLike,
    df: ArrayLike = 1.0,
    slices: ArrayLike | None = None,
    out: Floats | None = None,
) -> Any:
    """Price European options on a forward.

    All arguments broadcast together; the result has the broadcast shape, a number for numbers and
    a Series (pandas, with its index, or polars) for Series.

    Parameters
    ----------
    right : +1, True or "c" for a call; -1, False or "p" for a put
    forward : USD per share, >= 0, for delivery at expiry
    strike : USD per share, >= 0
    years : time to expiry in years, >= 0; zero gives intrinsic value
    vol : decimal per square-root year, >= 0
    df : discount factor to payment, > 0; 1.0 for an undiscounted price
    slices : (m + 1,) row bounds of the expiries; then forward, years and df have shape (m,)
    out : float64 array of the result's shape, which is written to it

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
    box = containers.of(right, forward, strike, years, vol, df)
    shape, found = _run(right, forward, strike, years, vol, df, slices, ["price"], out)
    return box.wrap("price", found[0], shape)


def greeks(
    *,
    right: ArrayLike,
    forward: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    vol: ArrayLike,
    df: ArrayLike = 1.0,
    slices: ArrayLike | None = None,
    which: Sequence[str] | None = None,
    out: Floats | None = None,
    units: Unit = "natural",
) -> Greeks:
    """Price and Greeks with respect to the forward; arguments as in `price`.

    delta is dV/dF and includes df; theta, charm and color are per year of calendar time at constant
    forward, with r = -ln(df)/years. At years = 0 or vol = 0 all are finite: curvature is zero.

    Parameters
    ----------
    which : names to compute, in the order wanted; all of `greeks.NAMES` by default
    out : float64 array of shape (len(which), *shape) to write to; the arrays are its rows
    units : "natural", or "trader" for vega a vol point and theta a day (then `out` stays natural)
    """
    names = wanted(which)
    box = containers.of(right, forward, strike, years, vol, df)
    shape, found = _run(right, forward, strike, years, vol, df, slices, names, out)
    return Greeks.from_rows(found, shape, names, box).in_units(units)


def _run(
    right: ArrayLike,
    forward: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    vol: ArrayLike,
    df: ArrayLike,
    slices: ArrayLike | None,
    names: list[str],
    out: Floats | None,
) -> tuple[tuple[int, ...], Floats]:
    """The broadcast shape and one row a name. The kernel reports bad input, `_refuse` words it."""
    w, F, K = check.signs(right), check.numbers("forward", forward), check.numbers("strike", strike)
    T, v, d = check.numbers("years", years), check.numbers("vol", vol), check.numbers("df", df)
    shape, found, fine = rows.run(0, (w, K, v), (F, T, d, NOTHING), slices, names, out)
    if not fine:
        _refuse(right, forward, strike, years, vol, df)
    return shape, found


def _refuse(
    right: ArrayLike,
    forward: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    vol: ArrayLike,
    df: ArrayLike,
) -> None:
    """Raise for the first argument that is not what a pricer takes."""
    check.right(right)
    hint = "Shift a negative forward, or use bachelier."
    check.at_least("forward", forward, 0.0, unit="USD", hint=hint)
    check.at_least(
        "strike", strike, 0.0, unit="USD", hint="Drop adjusted contracts before pricing."
    )
    alive = "Remove expired rows with chain.alive(now)."
    check.at_least("years", years, 0.0, unit="years", hint=alive)
    failed = "A NaN is a failed inversion; see its status code."
    check.at_least("vol", vol, 0.0, unit="per sqrt-year", hint=failed)
    check.above("df", df, 0.0, unit="", hint="Discount factors, not rates: exp(-r*T).")
