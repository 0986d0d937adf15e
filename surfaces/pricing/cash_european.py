"""European prices and Greeks with cash dividends, under either of the two usual models.

"spot"      the share is lognormal between ex-dates, and on an ex-date S becomes max(S (1 -
            proportional) - cash, 0). This is what `american` prices with dividends.
"escrowed"  Black (1976) on the forward that the dividends leave, so vol acts on the share less the
            present value of what it will pay. Quick, and the same vol is worth less: the two
            prices differ by more than a spread, so a vol belongs to the model it was implied in.

Without a dividend before expiry both are Black-Scholes-Merton.

Accuracy  the spot model to about 1e-13 of spot; Greeks in vol and rate 1e-8 of themselves.
Cost      of the spot model grows with the number of ex-dates and with years over the shortest gap
          between two of them; gaps under half a minute count as none.
Units     as `surfaces.pricing.bsm`.
Source    see `surfaces.kernels.cash_european`.
Checked   tests/surfaces/pricing/test_cash_european.py: 25-digit quadrature, Haug-Haug-Lewis (2003)
          as corrected, nested adaptive quadrature, parity, proportional dividends in closed form,
          QuantLib's escrowed and finite-difference engines.
"""

from collections.abc import Sequence
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from surfaces import checks as check
from surfaces import containers
from surfaces.errors import InvalidInput
from surfaces.pricing.bsm import spot_columns
from surfaces.pricing.greeks import NAMES, Floats, Greeks, Unit, wanted

Model = Literal["spot", "escrowed"]
SAME_DATE = 1e-6  # years


class Schedule(Protocol):
    """What is read of dividends: three arrays of one length, ex-dates rising."""

    @property
    def years(self) -> NDArray[np.float64]:
        """Ex-dates in years from now; those at or before now have gone."""

    @property
    def cash(self) -> NDArray[np.float64]:
        """USD per share, >= 0."""

    @property
    def proportional(self) -> NDArray[np.float64]:
        """Share of the price just before, in [0, 1)."""


def price(
    *,
    right: ArrayLike,
    spot: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    vol: ArrayLike,
    rate: ArrayLike,
    dividend_yield: ArrayLike = 0.0,
    dividends: Schedule | None,
    model: Model = "spot",
) -> Any:
    """Price European options on a share that pays `dividends`; the arrays broadcast together.

    Parameters
    ----------
    right : +1, True or "c" for a call; -1, False or "p" for a put
    spot : USD per share, >= 0, with the dividends still to come
    strike : USD per share, >= 0
    years : time to expiry in years, >= 0; a dividend on the day of expiry is still paid before
    vol : decimal per square-root year, >= 0; of the share ("spot") or of the forward ("escrowed")
    rate : continuously compounded decimal per year; may be negative
    dividend_yield : the same, of what is paid besides `dividends`, including borrow
    dividends : one schedule for all, `surfaces.pricing.dividends.Dividends`; None for none
    model : "spot" or "escrowed"

    Returns
    -------
    USD per share, >= 0.

    Raises
    ------
    InvalidInput
        Names the first offending element; also where "escrowed" dividends are worth more than spot.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> four = SimpleNamespace(years=[0.5, 1.5], cash=[4.0, 4.0], proportional=[0.0, 0.0])
    >>> terms = dict(right=1, spot=100.0, strike=100.0, years=2.0, vol=0.25, rate=0.06)
    >>> float(price(**terms, dividends=four).round(4))
    15.2007
    """
    given = (right, spot, strike, years, vol, rate, dividend_yield)
    box = containers.of(*given)
    shape, columns = spot_columns(*given)
    out = np.empty(columns[0].size)
    dates = _dates(dividends)
    from surfaces.kernels import cash_european as kernel

    if _is_escrowed(model):
        if not kernel.fill_escrowed(*columns, *dates, out):
            _refuse(columns, dates, shape)
    else:
        kernel.fill_spot(*columns, *_merged(*dates), out)
    return box.wrap("price", out, shape)


def greeks(
    *,
    right: ArrayLike,
    spot: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    vol: ArrayLike,
    rate: ArrayLike,
    dividend_yield: ArrayLike = 0.0,
    dividends: Schedule | None,
    model: Model = "spot",
    which: Sequence[str] | None = None,
    units: Unit = "natural",
) -> Greeks:
    """Price and thirteen Greeks with respect to spot; arguments and errors as in `price`.

    Rate, yield and dividends (dates and amounts) stay as they are while spot, vol or time moves, so
    theta has no part for a dividend going ex. Under "spot", the density leaves out the chance that
    the share falls to zero. `which` names the numbers to return, by default all.
    """
    given = (right, spot, strike, years, vol, rate, dividend_yield)
    names = wanted(which)
    box = containers.of(*given)
    shape, columns = spot_columns(*given)
    out = np.empty((len(NAMES), columns[0].size))
    dates = _dates(dividends)
    from surfaces.kernels import cash_european_greeks as kernel

    if _is_escrowed(model):
        if not kernel.fill_escrowed_greeks(*columns, *dates, out):
            _refuse(columns, dates, shape)
    else:
        kernel.fill_spot_greeks(*columns, *_merged(*dates), out)
    if which is not None:
        out = out[[NAMES.index(name) for name in names]]
    return Greeks.from_rows(out, shape, names, box).in_units(units)


def _is_escrowed(model: str) -> bool:
    """Whether `model` is the escrowed one; an unknown name raises."""
    if model not in ("spot", "escrowed"):
        raise InvalidInput(f"model is {model!r}, must be 'spot' or 'escrowed'")
    return model == "escrowed"


def _dates(dividends: Schedule | None) -> tuple[Floats, Floats, Floats]:
    """(ex-dates after now, share of the price kept, cash), one array each."""
    if dividends is None:
        return np.empty(0), np.empty(0), np.empty(0)
    try:
        raw = dividends.years, dividends.cash, dividends.proportional
    except AttributeError:
        raise InvalidInput(
            f"dividends is a {type(dividends).__name__}, must have years, cash and proportional; "
            "make one with surfaces.pricing.dividends"
        ) from None
    years, cash, share = (np.array(a, np.float64, ndmin=1) for a in raw)
    sound = years.shape == cash.shape == share.shape and years.ndim == 1
    if not (sound and np.isfinite(years).all() and np.all(np.diff(years) >= 0.0)):
        raise InvalidInput("dividends must be three arrays of one length, with rising years")
    check.at_least(
        "dividends.cash", cash, 0.0, unit="USD", hint="A dividend is paid to the holder."
    )
    check.at_least("dividends.proportional", share, 0.0, unit="", hint="A share of the price.")
    if np.any(share >= 1.0):
        raise InvalidInput(
            f"dividends.proportional is {share.max():g}, must be < 1; give it as a decimal"
        )
    left = years > 0.0
    return years[left], 1.0 - share[left], cash[left]


def _merged(years: Floats, keep: Floats, cash: Floats) -> tuple[Floats, Floats, Floats]:
    """The schedule with dividends on one date made one: keep (keep' S - cash') - cash."""
    if not np.any(np.diff(years) < SAME_DATE):
        return years, keep, cash
    out: list[list[float]] = []
    for t, k, c in zip(years.tolist(), keep.tolist(), cash.tolist(), strict=True):
        if out and t - out[-1][0] < SAME_DATE:
            out[-1][1] *= k
            out[-1][2] = out[-1][2] * k + c
        else:
            out.append([t, k, c])
    first, second, third = np.array(out).T.copy()
    return first, second, third


def _refuse(
    columns: list[Floats], dates: tuple[Floats, Floats, Floats], shape: tuple[int, ...]
) -> None:
    """Raise, naming the first option whose dividends are worth more than its spot."""
    from surfaces.kernels.cash_european import forward_jet

    _, S, _, T, _, r, q = columns
    forward = np.array([forward_jet(S[i], T[i], r[i] - q[i], *dates)[0] for i in range(S.size)])
    check.at_least(
        "spot less dividends, grown to expiry,",
        forward.reshape(shape),
        0.0,
        unit="USD",
        hint="Use model='spot', where the share stops at zero, or correct the schedule.",
    )
