"""American prices, early-exercise premia, Greeks, implied vols and exercise boundaries.

On a continuous yield; with `dividends` a cash schedule is priced by `american_cash`. For an option
on a future pass the future as `spot` and `dividend_yield=rate`. Rates and yields may have any sign;
where both are negative and exercise pays between two boundaries only, both are solved.

Accuracy  Root mean square and worst error, as a share of the spot. Options of a day to two years,
          vols 6 to 80 %, rates and yields 0 to 8 %, strikes within 2.5 standard deviations: "fast"
          5e-8 and 5e-6, "precise", at four times the cost, 1e-8 and 5e-7 (seen in four draws of
          80,000, the worst rows and 300 others by QuantLib's tanh-sinh engine: 3e-8 and 3.4e-6,
          7e-9 and 2.4e-7). A day to thirty years, rates -5 % to 30 %, vols 1 % to 300 %: about
          1e-6 and 1e-4, and 3e-8 and 2e-6; hard lives take more points by themselves. With two
          boundaries 1e-8, at a hundred times the cost of "fast", whatever is asked.
          Greeks are least exact next to the boundary. "fast" less "precise" on that draw at spot
          100, 99 rows of 100 and the worst of 40,000: delta 5e-6, 3e-4; gamma 2e-5, 0.03; vega
          5e-4, 0.08; theta 2e-3, 1.6; rho 0.01, 1.1; vanna 1e-3, 2.3; volga 0.1, 340; charm 0.03,
          560; speed 2e-4, 16; zomma 0.015, 120; color 0.6, 7e5. For the third order (speed, zomma,
          color) and for charm near the boundary ask for "precise".
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
BY_VOL = {"vega", "vanna", "volga", "zomma"}
RHO, RATE_STEP = NAMES.index("rho"), 1e-4
NEVER, ONE, TWO = np.arange(3, dtype=np.uint8)  # exercise boundaries of a row


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
    if dividends is not None:
        from surfaces.pricing import american_cash

        return american_cash.price(
            right=right, spot=spot, strike=strike, years=years, vol=vol, rate=rate,
            dividends=dividends, dividend_yield=dividend_yield, accuracy=accuracy,
        )  # fmt: skip
    box = containers.of(right, spot, strike, years, vol, rate, dividend_yield)
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
    Where the rate lies on the edge of early exercise (a put at rate 0, a call at rate = yield <= 0)
    rho looks to the side with a premium. Past the exercise boundary delta is +1 or -1, dual delta
    the opposite and the others are zero; gamma jumps there.

    `which` names the numbers to return (there is no density); without vega, vanna, volga, zomma and
    rho the price of a row is all it costs. With `dividends` dual_delta is not among them: a price
    does not scale with spot and strike alone while the cash stays. `which=None` returns what is.
    """
    if dividends is not None:
        from surfaces.pricing import american_cash

        return american_cash.greeks(
            right=right, spot=spot, strike=strike, years=years, vol=vol, rate=rate,
            dividends=dividends, dividend_yield=dividend_yield, accuracy=accuracy,
            which=which, units=units,
        )  # fmt: skip
    names = wanted(which, COMPUTED)
    box = containers.of(right, spot, strike, years, vol, rate, dividend_yield)
    shape, columns = spot_columns(right, spot, strike, years, vol, rate, dividend_yield)
    rows = _greek_rows(columns, names, accuracy)
    chosen = rows[[NAMES.index(name) for name in names]]
    return Greeks.from_rows(chosen, shape, names, box).in_units(units)


def _greek_rows(columns: list[Floats], names: list[str], accuracy: Accuracy) -> Floats:
    """One row for each of NAMES, of which `names` are right; the price is `price`'s.

    Options never exercised early are `bsm`'s to the last bit, but for rho at the edge.
    """
    from surfaces.kernels.american_greeks import fill_greeks

    rows, extra = np.empty((len(NAMES), columns[0].size)), np.empty(columns[0].size)
    bumps = 0 if BY_VOL & set(names) else 2, 4 if "rho" in names else 2
    for hard, engine in _engines(accuracy):
        if not fill_greeks(*columns, hard, *bumps, engine, extra, rows):
            break
    two = np.flatnonzero(regimes(columns[0], *columns[5:]) == TWO)
    if two.size:
        from surfaces.kernels.american_double import fill_double_greeks

        found, more = np.empty((len(NAMES), two.size)), np.empty(two.size)
        fill_double_greeks(*(a[two] for a in columns), *bumps, *_pair(), more, found)
        rows[:, two], extra[two] = found, more
    never = regimes(columns[0], *columns[5:]) == NEVER
    if never.any():
        w, S, K, T, v, r, q = (a[never] for a in columns)
        plain = bsm.greeks(right=w, spot=S, strike=K, years=T, vol=v, rate=r, dividend_yield=q)
        rows[:, never] = list(plain.values.values())
        if "rho" in names:
            _rho_at_the_edge(columns, np.flatnonzero(never), rows, accuracy)
    rows[0] = _settled(columns, rows[0], extra)
    return rows


def _rho_at_the_edge(
    columns: list[Floats], never: NDArray[np.int64], rows: Floats, accuracy: Accuracy
) -> None:
    """Add the premium's slope to rho where a small step in rate makes early exercise pay."""
    w, r, q = (columns[i][never] for i in (0, 5, 6))
    side = np.where(w > 0.0, -1.0, 1.0)
    edge = r == np.where(w > 0.0, q, 0.0)
    if not edge.any():
        return
    some = never[edge]
    moved = [a[some] for a in columns]
    moved[5] = moved[5] + side[edge] * RATE_STEP
    rows[RHO, some] += side[edge] * _priced(moved, accuracy)[1] / RATE_STEP


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
    boundaries); BAD_INPUT also where rate or yield times years is past +-700; the others as in
    `surfaces.pricing.implied.vol`.
    """
    if dividends is not None:
        from surfaces.pricing import american_cash

        return american_cash.vol(
            price=price, right=right, spot=spot, strike=strike, years=years, rate=rate,
            dividends=dividends, dividend_yield=dividend_yield, accuracy=accuracy,
        )  # fmt: skip
    from surfaces.kernels.american_vol import fill_vol

    box = containers.of(price, right, spot, strike, years, rate, dividend_yield)
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
    two = np.flatnonzero(regimes(columns[1], *columns[5:]) == TWO)
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
    two = np.flatnonzero(regimes(w, *rest[3:]) == TWO)
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


def regimes(right: Floats, rate: Floats, dividend_yield: Floats) -> NDArray[np.uint8]:
    """How many exercise boundaries each row has: NEVER, ONE or TWO, as `kernels.american.regime`.

    Rows with a NaN count as ONE: they are left to the solver, which gives them their status.
    """
    found = np.full(rate.size, ONE)
    if rate.size and min(rate.min(), dividend_yield.min()) > 0.0:
        return found
    call = right > 0.0
    earned = np.where(call, dividend_yield, rate)  # what exercising early earns interest at
    other = np.where(call, rate, dividend_yield)
    found[(earned <= 0.0) & (other >= earned)] = NEVER
    found[(earned < 0.0) & (other < earned)] = TWO
    return found


def _priced(columns: list[Floats], accuracy: Accuracy) -> tuple[Floats, Floats]:
    """(price, premium), 1-D; not below `bsm.price`, and equal to it without a premium."""
    value, extra = np.empty(columns[0].size), np.empty(columns[0].size)
    for hard, engine in _engines(accuracy):
        if not kernel.fill_price(*columns, hard, engine, value, extra):
            break
    two = np.flatnonzero(regimes(columns[0], *columns[5:]) == TWO)
    if two.size:
        from surfaces.kernels.american_double import fill_double

        found, more = np.empty(two.size), np.empty(two.size)
        fill_double(*(a[two] for a in columns), *_pair(), found, more)
        value[two], extra[two] = found, more
    return _settled(columns, value, extra), extra


def _settled(columns: list[Floats], value: Floats, extra: Floats) -> Floats:
    """`value` where there is a premium, else the European price; not below either bound."""
    w, S, K, T, v, r, q = columns
    plain = bsm.price(right=w, spot=S, strike=K, years=T, vol=v, rate=r, dividend_yield=q)
    kept = np.where(extra > 0.0, np.maximum(value, plain), plain)
    return np.asarray(np.maximum(kept, w * (S - K)) + 0.0)  # adding zero takes the sign off -0.0
