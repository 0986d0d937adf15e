"""European prices and Greeks on spot with a continuous yield (Black-Scholes-Merton).

Black (1976) on the forward spot * exp((rate - dividend_yield) * years). The yield holds everything
that the spot's holder earns and the option's does not: dividends and borrow fees.

Units   as `surfaces.pricing.black`; rates and yields are continuously compounded decimals a year.
Source  R. Merton, Bell J. Economics 4 (1973) 141-183; spot Greeks by the chain rule on the forward.
Checked tests/surfaces/pricing/test_bsm.py: Haug (1998), Hull, QuantLib.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from surfaces import checks as check
from surfaces import containers
from surfaces.errors import InvalidInput
from surfaces.pricing import rows
from surfaces.pricing.greeks import Floats, Greeks, Unit, wanted

MOST = 700.0  # of |rate| x years; exp overflows at 709


def price(
    *,
    right: ArrayLike,
    spot: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    vol: ArrayLike,
    rate: ArrayLike = 0.0,
    dividend_yield: ArrayLike = 0.0,
    slices: ArrayLike | None = None,
    out: Floats | None = None,
) -> Any:
    """Price European options on spot; arguments broadcast and results come as in `black.price`.

    Parameters
    ----------
    right : +1, True or "c" for a call; -1, False or "p" for a put
    spot : USD per share, >= 0
    strike : USD per share, >= 0
    years : time to expiry in years, >= 0; zero gives intrinsic value
    vol : decimal per square-root year, >= 0
    rate : continuously compounded decimal per year; may be negative
    dividend_yield : the same, including borrow; `rate` for an option on a future
    slices, out : as `black.price`; with slices, spot, years, rate and yield are one an expiry

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
    box = containers.of(right, spot, strike, years, vol, rate, dividend_yield)
    given = (right, spot, strike, years, vol, rate, dividend_yield)
    shape, found = _run(given, slices, ["price"], out)
    return box.wrap("price", found[0], shape)


def greeks(
    *,
    right: ArrayLike,
    spot: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    vol: ArrayLike,
    rate: ArrayLike = 0.0,
    dividend_yield: ArrayLike = 0.0,
    slices: ArrayLike | None = None,
    which: Sequence[str] | None = None,
    out: Floats | None = None,
    units: Unit = "natural",
) -> Greeks:
    """Price and Greeks with respect to spot, at constant rate and yield; arguments as in `price`.

    `which`, `out` and `units` as in `black.greeks`.
    """
    names = wanted(which)
    box = containers.of(right, spot, strike, years, vol, rate, dividend_yield)
    given = (right, spot, strike, years, vol, rate, dividend_yield)
    shape, found = _run(given, slices, names, out)
    return Greeks.from_rows(found, shape, names, box).in_units(units)


def _run(
    given: tuple[ArrayLike, ...], slices: ArrayLike | None, names: list[str], out: Floats | None
) -> tuple[tuple[int, ...], Floats]:
    """The broadcast shape and one row a name; bad input is named by the checks afterwards."""
    labels = ("spot", "strike", "years", "vol", "rate", "dividend_yield")
    w = check.signs(given[0])
    S, K, T, v, r, q = map(check.numbers, labels, given[1:])
    shape, found, fine = rows.run(1, (w, K, v), (S, T, r, q), slices, names, out)
    if not fine:
        _checked(*given)
    return shape, found


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
    return check.columns(*_checked(right, spot, strike, years, vol, rate, dividend_yield))


def _checked(
    right: ArrayLike,
    spot: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    vol: ArrayLike,
    rate: ArrayLike,
    dividend_yield: ArrayLike,
) -> list[Floats]:
    """Each argument as it should be, or InvalidInput for the first that is not."""
    strikes = "Drop adjusted contracts before pricing."
    alive = "Remove expired rows with chain.alive(now)."
    failed = "A NaN is a failed inversion; see its status code."
    curve = "Take it from surfaces.curves, continuously compounded."
    found = [
        check.right(right),
        check.at_least("spot", spot, 0.0, unit="USD", hint="A price on spot needs one."),
        check.at_least("strike", strike, 0.0, unit="USD", hint=strikes),
        check.at_least("years", years, 0.0, unit="years", hint=alive),
        check.at_least("vol", vol, 0.0, unit="per sqrt-year", hint=failed),
        check.finite("rate", rate, unit="per year", hint=curve),
        check.finite("dividend_yield", dividend_yield, unit="per year", hint=curve),
    ]
    _refuse_overflow(found[3], found[5], found[6])
    return found


def _refuse_overflow(years: Floats, rate: Floats, dividend_yield: Floats) -> None:
    """Raise where a discount or growth factor is no double any more."""
    if not (years.size and rate.size and dividend_yield.size):
        return
    if years.max() * (np.abs(rate).max() + np.abs(dividend_yield).max()) < MOST:
        return
    _, (T, r, q) = check.columns(years, rate, dividend_yield)
    named = {"rate": r, "dividend_yield": q, "(rate - dividend_yield)": r - q}
    for name, values in named.items():
        with np.errstate(over="ignore"):
            grown = values * T
        bad = ~(np.abs(grown) < MOST)
        if bad.any():
            i = int(np.argmax(bad))
            raise InvalidInput(
                f"{name} * years is {grown[i]:g} in row {i}, must be within {MOST:g} of zero "
                f"({int(bad.sum())} of {bad.size} fail). Rates are decimals per year, 0.05 for 5 %."
            )
