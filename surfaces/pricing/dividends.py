"""The dividends of one share: a schedule of ex-dates with cash and proportional amounts.

At an ex-date the share falls from S to max(S (1 - proportional) - cash, 0): the cash is what was
declared or, for a share that cannot pay it, what is left.

A dividend belongs to an option with `years` to go when 0 < ex-date <= years. One that goes ex now
is already out of today's spot. One at expiry counts, because shares go ex before the open and
options expire after it (SPY's quarterly ex-dates are expiry Fridays); an American call may still
be exercised the instant before.

Units   ex-dates in years from the valuation; cash in USD per share; proportional as a decimal
        share of the spot just before; rates and yields continuously compounded decimals a year.
Source  blending cash into proportional keeps far dividends from exceeding a fallen spot:
        H. Buehler, Volatility and dividends (2010).
Checked tests/surfaces/pricing/test_dividends.py.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from surfaces import checks as check
from surfaces.errors import InvalidInput

Floats = NDArray[np.float64]

_CURVE, _NONE = "Take it from surfaces.curves.", "0.0 for none."


@dataclass(frozen=True, slots=True, eq=False, init=False)
class Dividends:
    """Three arrays of shape (m,), ex-dates rising; read-only.

    Amounts may be given as one number for all ex-dates; InvalidInput names the first offender.
    """

    years: Floats
    cash: Floats
    proportional: Floats

    def __init__(self, years: ArrayLike, cash: ArrayLike, proportional: ArrayLike = 0.0) -> None:
        hint = "A dividend is paid to the holder; model borrow as dividend_yield."
        later = "Ex-dates in years from the valuation."
        dates = np.atleast_1d(check.finite("years", years, unit="years", hint=later))
        if dates.ndim != 1:
            raise InvalidInput(f"years has shape {dates.shape}, must be (m,)")
        _refuse_unordered(dates)
        given = {"cash": (cash, "USD"), "proportional": (proportional, "of spot")}
        columns = {"years": dates}
        for name, (values, unit) in given.items():
            spread = _spread(name, values, dates)
            columns[name] = check.at_least(name, spread, 0.0, unit=unit, hint=hint)
        share = columns["proportional"]
        if np.any(share >= 1.0):
            i = int(np.argmax(share >= 1.0))
            raise InvalidInput(
                f"proportional[{i}] is {share[i]:g} of spot, must be < 1 "
                f"({int(np.sum(share >= 1.0))} of {share.size} fail). Two percent is 0.02."
            )
        for name, values in columns.items():
            kept = np.array(values)
            kept.flags.writeable = False
            object.__setattr__(self, name, kept)

    @classmethod
    def declared(cls, *, years: ArrayLike, cash: ArrayLike) -> Self:
        """Cash only; `cash` of shape (m,), or one amount for every ex-date."""
        return cls(years, cash)

    @classmethod
    def blended(
        cls,
        *,
        years: ArrayLike,
        cash: ArrayLike,
        spot: float,
        rate: float,
        dividend_yield: float = 0.0,
        cash_until: float = 1.0,
        proportional_from: float = 2.0,
    ) -> Self:
        """Cash near by, proportional far out, linear between: the practice of listed options.

        The proportional part is sized on the forward just before the ex-date, weight * cash /
        forward, so every forward is that of the cash schedule.

        Parameters
        ----------
        years, cash : as in `declared`
        spot : USD per share, > 0
        rate, dividend_yield : of the forward; numbers
        cash_until, proportional_from : years, the ends of the blend
        """
        _one_each(cash_until=cash_until, proportional_from=proportional_from)
        if not cash_until <= proportional_from:
            raise InvalidInput(
                f"cash_until is {cash_until:g} years, must be <= proportional_from "
                f"({proportional_from:g}). Equal values switch at once."
            )
        plain = cls.declared(years=years, cash=cash)
        S, r, q = _one_each(spot=spot, rate=rate, dividend_yield=dividend_yield)
        check.above("spot", S, 0.0, unit="USD", hint="The forward starts there.")
        check.finite("rate", r, unit="per year", hint=_CURVE)
        check.finite("dividend_yield", q, unit="per year", hint=_NONE)
        dates, amounts = plain.years, plain.cash
        width = proportional_from - cash_until
        if width > 0.0:
            weight = np.clip((dates - cash_until) / width, 0.0, 1.0)
        else:
            weight = (dates > cash_until).astype(np.float64)
        growth = np.exp((r - q) * dates)
        live = dates > 0.0
        paid = np.where(live, amounts / growth, 0.0)
        before = (S - (np.cumsum(paid) - paid)) * growth
        if np.any(before[live] <= amounts[live]):
            i = int(np.argmax(live & (before <= amounts)))
            raise InvalidInput(
                f"cash[{i}] is {amounts[i]:g} USD, must be below the forward {before[i]:g} before "
                f"its ex-date. Check the units of cash and spot."
            )
        share = np.where(live, weight * amounts / np.where(live, before, 1.0), 0.0)
        return cls(dates, (1.0 - weight) * amounts, share)

    def before(self, years: float) -> Self:
        """The dividends that an option with `years` to go sees."""
        (last,) = _one_each(years=years)
        keep = (self.years > 0.0) & (self.years <= last)
        return type(self)(self.years[keep], self.cash[keep], self.proportional[keep])

    def forward(
        self, *, spot: ArrayLike, years: ArrayLike, rate: ArrayLike, dividend_yield: ArrayLike = 0.0
    ) -> Floats:
        """Forward price for delivery in `years`, past the dividends until then; all broadcast.

        USD per share, >= 0. The chance that a share cannot pay its cash dividend is not counted.
        """
        S, T, r, q = _broadcast(spot, years, rate, dividend_yield)
        value, now = np.array(S, np.float64), np.zeros(S.shape)
        for date, cash, share in zip(self.years, self.cash, self.proportional, strict=True):
            live = (date > 0.0) & (date <= T)
            grown = value * np.exp((r - q) * (date - now))
            value = np.where(live, np.maximum(grown * (1.0 - share) - cash, 0.0), value)
            now = np.where(live, date, now)
        return value * np.exp((r - q) * (T - now))

    def present_value(
        self, *, spot: ArrayLike, years: ArrayLike, rate: ArrayLike, dividend_yield: ArrayLike = 0.0
    ) -> Floats:
        """What the dividends until `years` take from today's spot, USD per share.

        spot - forward * exp(-(rate - dividend_yield) * years): for cash alone and no yield the sum
        of cash * exp(-rate * ex-date).
        """
        S, T, r, q = _broadcast(spot, years, rate, dividend_yield)
        there = self.forward(spot=S, years=T, rate=r, dividend_yield=q)
        return S - there * np.exp(-(r - q) * T)

    def __len__(self) -> int:
        return self.years.size


def _broadcast(
    spot: ArrayLike, years: ArrayLike, rate: ArrayLike, dividend_yield: ArrayLike
) -> tuple[Floats, ...]:
    """The arguments of a forward, checked and of one shape."""
    given = (
        check.at_least("spot", spot, 0.0, unit="USD", hint="A forward on spot needs one."),
        check.at_least("years", years, 0.0, unit="years", hint="Remove expired rows."),
        check.finite("rate", rate, unit="per year", hint=_CURVE),
        check.finite("dividend_yield", dividend_yield, unit="per year", hint=_NONE),
    )
    shape, columns = check.columns(*given)
    return tuple(a.reshape(shape) for a in columns)


def _one_each(**given: ArrayLike) -> tuple[float, ...]:
    """Each argument as one number, or InvalidInput."""
    arrays = {name: check.numbers(name, value) for name, value in given.items()}
    for name, array in arrays.items():
        if array.size != 1:
            raise InvalidInput(f"{name} has shape {array.shape}, must be one number")
    return tuple(array.item() for array in arrays.values())


def _spread(name: str, values: ArrayLike, like: Floats) -> Floats:
    """`values` in the shape of `like`, or InvalidInput."""
    given = check.numbers(name, values)
    if given.ndim and given.shape != like.shape:
        raise InvalidInput(
            f"{name} has shape {given.shape}, years {like.shape}; give one amount for each "
            "ex-date, or one for all"
        )
    return np.full(like.shape, given) if given.ndim == 0 else given


def _refuse_unordered(dates: Floats) -> None:
    """Raise for ex-dates that do not rise."""
    falls = np.diff(dates) <= 0.0
    if np.any(falls):
        i = int(np.argmax(falls)) + 1
        raise InvalidInput(
            f"years[{i}] is {dates[i]:g} after {dates[i - 1]:g}, ex-dates must rise "
            f"({int(falls.sum())} of {dates.size} fail). Sort them and add up those of one day."
        )
