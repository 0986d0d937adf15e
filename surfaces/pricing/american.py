"""American prices, early-exercise premia, Greeks, implied vols and exercise boundaries.

On a continuous yield; with `dividends` a cash schedule is priced by `american_cash`. For an option
on a future pass the future as `spot` and `dividend_yield=rate`. Rates and yields may have any sign;
where both are negative and exercise pays between two boundaries only, both are solved.

Accuracy  Root mean square and worst error, as a share of the spot, against QuantLib's tanh-sinh
          engine on 111,000 drawn options. Up to two years, rates to 8 %, vols from 6 %: "fast"
          3e-8 and 2e-6, "precise", at four times the cost, 3e-9 and 3e-7. A day to thirty years,
          rates -5 % to 30 %, vols 1 % to 300 %: 8e-7 and 1e-4, and 3e-8 and 2e-6; hard lives take
          more points by themselves. With two boundaries 1e-8, at a hundred times the cost of
          "fast", whatever is asked.
Units     as `surfaces.pricing.bsm`; Greeks as `surfaces.pricing.greeks`, on spot.
Source    see `surfaces.kernels.american_boundary` and `american_double`.
Checked   tests/surfaces/pricing/test_american*.py: Andersen-Lake-Offengenden (2016), QuantLib's
          tables at edges and at random, its tanh-sinh and finite-difference engines.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from surfaces import checks as check
from surfaces import containers
from surfaces.errors import InvalidInput
from surfaces.kernels import american as kernel
from surfaces.kernels import american_tables as tables
from surfaces.kernels.american_boundary import SHARE, WEIGHT, Engine
from surfaces.pricing import bsm
from surfaces.pricing.bsm import spot_columns
from surfaces.pricing.dividends import Dividends
from surfaces.pricing.greeks import NAMES, Floats, Greeks, Unit, wanted
from surfaces.pricing.implied import ImpliedVol

Accuracy = Literal["fast", "precise"]
COMPUTED = NAMES[:13]  # an early exercise leaves no density at expiry


@dataclass(frozen=True, slots=True)
class ExerciseRegion:
    """Exercise is optimal for lower <= spot <= upper; NaN where it is nowhere."""

    lower: Any  # USD; zero for a put with one boundary
    upper: Any  # USD; infinite for a call with one boundary
    critical: Any  # USD; the end that an option out of the money meets first


def price(
    *,
    right: ArrayLike,
    spot: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    vol: ArrayLike,
    rate: ArrayLike,
    dividend_yield: ArrayLike = 0.0,
    dividends: Dividends | None = None,
    accuracy: Accuracy = "fast",
) -> Any:
    """Price American options; arguments broadcast and results come as in `black.price`.

    Parameters
    ----------
    right : +1, True or "c" for a call; -1, False or "p" for a put
    spot : USD per share, >= 0
    strike : USD per share, >= 0
    years : time to expiry in years, >= 0; zero gives intrinsic value
    vol : decimal per square-root year, >= 0; zero gives the best sure moment of exercise
    rate : continuously compounded decimal per year; may be negative
    dividend_yield : the same, including borrow; `rate` for an option on a future
    dividends : a cash schedule for all rows, or None; priced by `american_cash`
    accuracy : "fast" or "precise"

    Returns
    -------
    USD per share, at least intrinsic and at least the European price.

    Raises
    ------
    InvalidInput
        Names the first offending element, its value and the remedy.

    Examples
    --------
    >>> float(price(right=-1, spot=36.0, strike=40.0, years=1.0, vol=0.2, rate=0.06).round(3))
    4.487
    """
    box = containers.of(right, spot, strike, years, vol, rate, dividend_yield)
    if dividends is not None:
        from surfaces.pricing import american_cash

        found = american_cash.price(
            right=right, spot=spot, strike=strike, years=years, vol=vol, rate=rate,
            dividends=dividends, dividend_yield=dividend_yield, accuracy=accuracy,
        )  # fmt: skip
        return box.wrap("price", found, found.shape)
    shape, columns = spot_columns(right, spot, strike, years, vol, rate, dividend_yield)
    return box.wrap("price", _priced(columns, accuracy)[0], shape)


def premium(
    *,
    right: ArrayLike,
    spot: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    vol: ArrayLike,
    rate: ArrayLike,
    dividend_yield: ArrayLike = 0.0,
    accuracy: Accuracy = "fast",
) -> Any:
    """What the right to exercise early adds to the European price; arguments as in `price`.

    USD per share, >= 0; exactly zero where early exercise never pays (a put with rate <= 0 and
    dividend_yield >= rate, a call with dividend_yield <= 0 and rate >= dividend_yield).
    """
    box = containers.of(right, spot, strike, years, vol, rate, dividend_yield)
    shape, columns = spot_columns(right, spot, strike, years, vol, rate, dividend_yield)
    return box.wrap("premium", _priced(columns, accuracy)[1], shape)


def greeks(
    *,
    right: ArrayLike,
    spot: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    vol: ArrayLike,
    rate: ArrayLike,
    dividend_yield: ArrayLike = 0.0,
    dividends: Dividends | None = None,
    accuracy: Accuracy = "fast",
    which: Sequence[str] | None = None,
    units: Unit = "natural",
) -> Greeks:
    """Price and Greeks with respect to spot; arguments and errors as in `price`.

    The European part is analytic, the premium's spot and time derivatives are taken under its
    integral, and its vol and rate derivatives are central differences (0.2 % of vol, 1 bp of rate).
    Past the exercise boundary delta is +1 or -1, dual delta the opposite and the others are zero;
    gamma jumps there. `which` names the numbers to return; there is no density.
    """
    names = wanted(which, COMPUTED)
    box = containers.of(right, spot, strike, years, vol, rate, dividend_yield)
    if dividends is not None:
        from surfaces.pricing import american_cash

        cash = american_cash.greeks(
            right=right, spot=spot, strike=strike, years=years, vol=vol, rate=rate,
            dividends=dividends, dividend_yield=dividend_yield, accuracy=accuracy,
        )  # fmt: skip
        have = [name for name in names if name in cash.values or which is not None]
        values = {name: getattr(cash, name) for name in have}
        shape = np.shape(cash.price)
        return Greeks({name: box.wrap(name, a, shape) for name, a in values.items()}).in_units(
            units
        )
    shape, columns = spot_columns(right, spot, strike, years, vol, rate, dividend_yield)
    rows = _greek_rows(columns, accuracy)
    chosen = rows[[NAMES.index(name) for name in names]]
    return Greeks.from_rows(chosen, shape, names, box).in_units(units)


def _greek_rows(columns: list[Floats], accuracy: Accuracy) -> Floats:
    """One row for each of NAMES; options never exercised early are `bsm`'s to the last bit."""
    from surfaces.kernels.american_greeks import fill_greeks

    rows = np.empty((len(NAMES), columns[0].size))
    for hard, engine in _engines(accuracy):
        if not fill_greeks(*columns, hard, engine, rows):
            break
    two = _two_boundaries(columns[0], *columns[5:])
    if two.size:
        from surfaces.kernels.american_double import fill_double_greeks

        found = np.empty((len(NAMES), two.size))
        fill_double_greeks(*(a[two] for a in columns), *_pair(), found)
        rows[:, two] = found
    never = _never_early(columns[0], *columns[5:])
    if never.any():
        w, S, K, T, v, r, q = (a[never] for a in columns)
        plain = bsm.greeks(right=w, spot=S, strike=K, years=T, vol=v, rate=r, dividend_yield=q)
        rows[:, never] = list(plain.values.values())
    return rows


def vol(
    *,
    price: ArrayLike,
    right: ArrayLike,
    spot: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    rate: ArrayLike,
    dividend_yield: ArrayLike = 0.0,
    dividends: Dividends | None = None,
    accuracy: Accuracy = "fast",
) -> ImpliedVol:
    """Invert `price` at the same accuracy. A bad quote never raises: it gets NaN and a status.

    BELOW_INTRINSIC is below the best sure exercise (intrinsic or later), NO_VEGA exactly there;
    ABOVE_BOUND at or above spot for a call, strike for a put (grown to expiry with two
    boundaries); the others as in `surfaces.pricing.implied.vol`.
    """
    box = containers.of(price, right, spot, strike, years, rate, dividend_yield)
    if dividends is not None:
        from surfaces.pricing import american_cash

        got = american_cash.vol(
            price=price, right=right, spot=spot, strike=strike, years=years, rate=rate,
            dividends=dividends, dividend_yield=dividend_yield, accuracy=accuracy,
        )  # fmt: skip
        shape = got.vol.shape
        return ImpliedVol(box.wrap("vol", got.vol, shape), box.wrap("status", got.status, shape))
    from surfaces.kernels.american_vol import fill_vol

    shape, columns = check.columns(
        check.numbers("price", price),
        check.right(right),
        check.numbers("spot", spot),
        check.numbers("strike", strike),
        check.numbers("years", years),
        check.numbers("rate", rate),
        check.numbers("dividend_yield", dividend_yield),
    )
    size = columns[0].size
    out, status = np.empty(size), np.empty(size, np.uint8)
    for hard, engine in _engines(accuracy):
        if not fill_vol(*columns, hard, engine, out, status):
            break
    two = _two_boundaries(columns[1], *columns[5:])
    if two.size:
        from surfaces.kernels.american_double import fill_double_vol

        found, codes = np.empty(two.size), np.empty(two.size, np.uint8)
        fill_double_vol(*(a[two] for a in columns), *_pair(), found, codes)
        out[two], status[two] = found, codes
    return ImpliedVol(box.wrap("vol", out, shape), box.wrap("status", status, shape))


def boundary(
    *,
    right: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    vol: ArrayLike,
    rate: ArrayLike,
    dividend_yield: ArrayLike = 0.0,
    accuracy: Accuracy = "fast",
) -> ExerciseRegion:
    """Spot levels at which exercise is optimal with `years` left; arguments as in `price`.

    A put is exercised up to `critical`, a call from it on; with two boundaries (put:
    dividend_yield < rate < 0, call: rate < dividend_yield < 0) between `lower` and `upper`. At zero
    years it is the limit: strike * min(1, rate / dividend_yield) for a put, strike *
    max(1, rate / dividend_yield) for a call.

    Examples
    --------
    >>> put = boundary(right=-1, strike=100.0, years=0.5, vol=0.2, rate=0.05)
    >>> float(put.critical.round(2))
    83.92
    """
    box = containers.of(right, strike, years, vol, rate, dividend_yield)
    shape, (w, _, *rest) = spot_columns(right, 1.0, strike, years, vol, rate, dividend_yield)
    lower, upper = np.empty(w.size), np.empty(w.size)
    for hard, engine in _engines(accuracy):
        if not kernel.fill_region(w, *rest, hard, engine, lower, upper):
            break
    two = _two_boundaries(w, *rest[3:])
    if two.size:
        from surfaces.kernels.american_double import fill_double_region

        low, high = np.empty(two.size), np.empty(two.size)
        fill_double_region(*(a[two] for a in (w, *rest)), *_pair(), low, high)
        lower[two], upper[two] = low, high
    near = np.where(w > 0.0, lower, upper)
    found = {"lower": lower, "upper": upper, "critical": near}
    return ExerciseRegion(**{name: box.wrap(name, a, shape) for name, a in found.items()})


@cache
def _constants(accuracy: str) -> tuple[Engine, Engine]:
    """Engines of the named accuracy for usual and for hard rows."""
    if accuracy == "fast":
        return (
            tables.build(nodes=8, inner=7, outer=32, newton=1, sweeps=5),
            tables.build(nodes=16, inner=9, outer=96, newton=3, sweeps=5),
        )
    if accuracy == "precise":
        return (
            tables.build(nodes=16, inner=11, outer=64, newton=2, sweeps=8),
            tables.build(nodes=24, inner=15, outer=192, newton=3, sweeps=12),
        )
    raise InvalidInput(f"accuracy is {accuracy!r}, must be 'fast' or 'precise'")


def _engines(accuracy: Accuracy) -> Iterator[tuple[int, Engine]]:
    """(0, the usual engine), then (1, the one for hard rows), with work space of their own."""
    return ((hard, tables.fresh(plan)) for hard, plan in enumerate(_constants(accuracy)))


@cache
def _two_constants() -> Engine:
    """One accuracy for two boundaries: their search costs more than their points."""
    return tables.build(nodes=16, inner=13, outer=64, newton=0, sweeps=0)


def _pair() -> tuple[Floats, Floats, Engine, Engine]:
    """(share, weight, upper, lower): what the kernels of two boundaries work with."""
    plan = _two_constants()
    return (
        plan.outer[SHARE].copy(),
        plan.outer[WEIGHT].copy(),
        tables.fresh(plan),
        tables.fresh(plan),
    )


def _two_boundaries(w: Floats, r: Floats, q: Floats) -> NDArray[np.int64]:
    """Rows with two exercise boundaries."""
    if not (r.size and min(r.min(), q.min()) < 0.0):  # both must be negative; NaN passes
        return np.empty(0, np.int64)
    earned, other = np.where(w > 0.0, q, r), np.where(w > 0.0, r, q)
    return np.flatnonzero((earned < 0.0) & (other < earned))


def _never_early(w: Floats, r: Floats, q: Floats) -> NDArray[np.bool_]:
    """Rows that are European whatever happens."""
    earned, other = np.where(w > 0.0, q, r), np.where(w > 0.0, r, q)
    return np.asarray((earned <= 0.0) & (other >= earned))


def _priced(columns: list[Floats], accuracy: Accuracy) -> tuple[Floats, Floats]:
    """(price, premium), 1-D; not below `bsm.price`, and equal to it without a premium."""
    value, extra = np.empty(columns[0].size), np.empty(columns[0].size)
    for hard, engine in _engines(accuracy):
        if not kernel.fill_price(*columns, hard, engine, value, extra):
            break
    w, S, K, T, v, r, q = columns
    two = _two_boundaries(w, r, q)
    if two.size:
        from surfaces.kernels.american_double import fill_double

        found, more = np.empty(two.size), np.empty(two.size)
        fill_double(*(a[two] for a in columns), *_pair(), found, more)
        value[two], extra[two] = found, more
    plain = bsm.price(right=w, spot=S, strike=K, years=T, vol=v, rate=r, dividend_yield=q)
    kept = np.where(extra > 0.0, np.maximum(value, plain), plain)
    return np.maximum(kept, w * (S - K)) + 0.0, extra  # adding zero takes the sign off -0.0
