"""Black implied volatility, element by element, with a status instead of an exception.

Units   prices, forwards and strikes in USD per share; years; vol as a decimal per sqrt-year.
Source  see `surfaces.kernels.implied` and `implied_lanes`.
Checked tests/surfaces/pricing/test_implied.py: 5,200 cases solved in 90-digit arithmetic.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from surfaces import checks as check
from surfaces import containers
from surfaces.errors import InvalidInput
from surfaces.kernels import implied_lanes as kernel
from surfaces.kernels.black_lanes import BLOCK
from surfaces.status import Status, remedy

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ImpliedVol:
    """Volatilities and why some are missing; both have the broadcast shape, or are Series."""

    vol: Any  # float64, decimal per sqrt-year; NaN where `status` is not OK (see `vol`)
    status: Any  # uint8, surfaces.status.Status codes

    @property
    def ok(self) -> Any:
        """Where the number may be used."""
        return self.status == Status.OK

    def why(self) -> dict[str, int]:
        """How many elements failed, by remedy text; empty when all is well."""
        codes, counts = np.unique(self.status, return_counts=True)
        pairs = zip(codes.tolist(), counts.tolist(), strict=True)
        return {remedy(code): n for code, n in pairs if code != Status.OK}


def vol(
    *,
    price: ArrayLike,
    right: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    forward: ArrayLike | None = None,
    df: ArrayLike | None = None,
    spot: ArrayLike | None = None,
    rate: ArrayLike | None = None,
    dividend_yield: ArrayLike | None = None,
) -> ImpliedVol:
    """Invert Black (1976). A bad quote never raises: it gets NaN and a status.

    Give `forward`, and `df` if prices are discounted; or `spot`, with `rate` and `dividend_yield`.
    Results come as in `black.price`: numbers for numbers, Series for Series.

    Parameters
    ----------
    price : USD per share, discounted (what trades)
    right : +1, True or "c" for a call; -1, False or "p" for a put
    strike : USD per share
    years : to expiry
    forward : USD per share at expiry
    df : discount factor to payment, 1.0 by default
    spot : USD per share
    rate, dividend_yield : continuously compounded decimals per year, 0.0 by default; the yield
        includes borrow

    Returns
    -------
    ImpliedVol of the broadcast shape. `status` is OK; BELOW_INTRINSIC; ABOVE_BOUND (at or above the
    forward for a call, the strike for a put); NO_VEGA (exactly intrinsic: NaN, but an
    out-of-the-money price of zero gives vol 0.0 with this status, a true lower bound);
    BAD_INPUT (NaN, infinite, or forward, strike, years or df not positive); NOT_CONVERGED.

    Raises
    ------
    InvalidInput
        For an unknown right, shapes that do not broadcast, or arguments of both forms: mistakes of
        the caller, not quotes.

    Examples
    --------
    >>> got = vol(price=3.9878, right=1, forward=100.0, strike=100.0, years=0.25)
    >>> float(got.vol.round(5)), int(got.status)
    (0.2, 0)
    """
    given = (forward, df, spot, rate, dividend_yield)
    box = containers.of(price, right, strike, years, *given)
    T = check.numbers("years", years)
    F, d = _forward(*given, T)
    shape, columns = check.lanes(
        check.numbers("price", price), check.signs(right), F, check.numbers("strike", strike), T, d
    )
    size = math.prod(shape)
    out, status = np.empty(size), np.empty(size, np.uint8)
    if not kernel.fill(*columns, np.empty((kernel.ROWS, BLOCK)), out, status):
        check.right(right)
    return ImpliedVol(box.wrap("vol", out, shape), box.wrap("status", status, shape))


def _forward(
    forward: ArrayLike | None,
    df: ArrayLike | None,
    spot: ArrayLike | None,
    rate: ArrayLike | None,
    dividend_yield: ArrayLike | None,
    years: Floats,
) -> tuple[Floats, Floats]:
    """Forward and discount factor from whichever form was given."""
    if (forward is None) == (spot is None):
        said = "neither" if forward is None else "both"
        raise InvalidInput(f"{said} of forward and spot is given; give one of them")
    if forward is not None:
        if rate is not None or dividend_yield is not None:
            raise InvalidInput("rate and dividend_yield go with spot; with a forward give df")
        return check.numbers("forward", forward), check.numbers("df", 1.0 if df is None else df)
    if df is not None:
        raise InvalidInput("df goes with forward; with a spot give rate and dividend_yield")
    assert spot is not None
    S, r = check.numbers("spot", spot), check.numbers("rate", 0.0 if rate is None else rate)
    q = check.numbers("dividend_yield", 0.0 if dividend_yield is None else dividend_yield)
    with np.errstate(all="ignore"):
        try:
            return np.asarray(S * np.exp((r - q) * years)), np.asarray(np.exp(-r * years))
        except ValueError:
            said = ", ".join(str(a.shape) for a in (S, r, q, years))
            raise InvalidInput(
                f"spot, rate, dividend_yield and years of shapes {said} do not broadcast together"
            ) from None
