"""Options on a share with cash dividends: prices, Greeks, implied vols, American and European.

The share is lognormal between ex-dates and falls by the dividend at each (the "spot" or piecewise
lognormal model); see `surfaces.pricing.dividends` for which dividends count. One schedule serves
all rows of a call. An American call may be exercised up to the instant before an ex-date.

Accuracy  USD at spot 560 (times strike / spot where that is larger), three days to 18 months, vols
          8 to 80 %, rates to 7 %, six dividends of 1.80, strikes within three standard deviations:
                           root mean square   99 rows of 100   worst
          "fast"           2e-3               5e-3             0.2
          "precise"        5e-4               6e-4             0.1 (at three times the cost)
          European         1e-4, 1e-5                          3e-3, 2e-4
          Rows that expire before the first dividend are `american`'s on a yield, as exact as those.
          Seen on 40,000 rows, those furthest apart by a grid five times as fine: worst 0.11 and
          0.044, calm puts far in the money. Errors vary smoothly with strike, so vols implied
          from a chain do not zigzag. Rates or yields below zero can cut the exercise region off
          from deep in the money; early exercise there is only of first order in the time step.
          Shares that dividends above spot wipe out within days are priced to a percent.
Units     as `surfaces.pricing.bsm`; Greeks as `surfaces.pricing.greeks`, on spot.
Source    see `surfaces.kernels.pde` and `surfaces.kernels.pde_cash`.
Checked   tests/surfaces/pricing/test_american_cash.py: a fine Crank-Nicolson table, exact European
          quadrature, Haug-Haug-Lewis (2003), QuantLib, `surfaces.pricing.american` without cash.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from surfaces import checks as check
from surfaces import containers
from surfaces.errors import InvalidInput
from surfaces.kernels import pde_cash as kernel
from surfaces.kernels.pde_cash import Plan
from surfaces.pricing.bsm import spot_columns
from surfaces.pricing.dividends import Dividends
from surfaces.pricing.greeks import NAMES, Floats, Greeks, Unit, wanted
from surfaces.pricing.implied import ImpliedVol

Accuracy = Literal["fast", "precise"]
LEAST = 1e-100  # of spot to strike, or strike to spot, below which it counts as zero
WILD = 10.0  # vol sqrt(years): prices are within 6e-7 of spot or strike of their limits
Exercise = Literal["american", "european"]

COMPUTED = NAMES[:12]  # price to color
BY_VOL = {"vega", "vanna", "volga", "zomma"}


def price(
    *,
    right: ArrayLike,
    spot: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    vol: ArrayLike,
    rate: ArrayLike,
    dividends: Dividends,
    dividend_yield: ArrayLike = 0.0,
    accuracy: Accuracy = "fast",
    exercise: Exercise = "american",
) -> Any:
    """Price options with cash dividends; arguments broadcast and results come as in `black.price`.

    Parameters
    ----------
    right : +1 or "c" for a call, -1 or "p" for a put
    spot : USD per share, >= 0
    strike : USD per share, >= 0
    years : time to expiry in years, >= 0; zero gives intrinsic value
    vol : decimal per square-root year, >= 0; zero gives the best sure moment of exercise
    rate : continuously compounded decimal per year; may be negative
    dividends : one schedule for all rows
    dividend_yield : paid besides, including borrow
    accuracy : "fast" or "precise"
    exercise : "american" or "european"

    Returns
    -------
    USD per share, >= 0; American prices at least intrinsic.

    Raises
    ------
    InvalidInput
        Names the first offending element, its value and the remedy.

    Examples
    --------
    >>> paid = Dividends.declared(years=[0.1, 0.35, 0.6, 0.85], cash=1.80)
    >>> terms = dict(strike=560.0, years=1.0, vol=0.2, rate=0.045, dividends=paid)
    >>> float(price(right="c", spot=560.0, **terms).round(1))
    53.0
    """
    box = containers.of(right, spot, strike, years, vol, rate, dividend_yield)
    shape, columns = _columns(right, spot, strike, years, vol, rate, dividend_yield)
    plan, terms = _terms(dividends, accuracy, exercise)
    out = np.empty(columns[0].size)
    free = _free(dividends, columns[3])
    if free.any():
        out[free] = _without(columns, free, accuracy, exercise, ["price"])[0]
    due = np.flatnonzero(~free)
    if due.size:
        found, some = np.empty(due.size), [a[due] for a in columns]
        kernel.fill_price(*some, *terms, plan, _work(plan, terms[0]), np.empty((2, 5)), found)
        out[due] = found
    return box.wrap("price", out, shape)


def greeks(
    *,
    right: ArrayLike,
    spot: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    vol: ArrayLike,
    rate: ArrayLike,
    dividends: Dividends,
    dividend_yield: ArrayLike = 0.0,
    accuracy: Accuracy = "fast",
    exercise: Exercise = "american",
    which: Sequence[str] | None = None,
    units: Unit = "natural",
) -> Greeks:
    """Price and eleven Greeks with respect to spot; arguments and errors as in `price`.

    Dividends stay fixed in date and amount while spot, vol, rate or time moves. Spot and time
    derivatives come from the grid; those by vol and rate are central differences (3 % of vol, 10 bp
    of rate) on top of the closed form on the same forward. Past the exercise boundary delta is +1
    or -1 and the others are zero; gamma jumps there.

    `which` names the numbers to return. Costs a price, two more for any of vega, vanna, volga and
    zomma, and two more for rho. There is no dual delta: a price does not scale with spot and strike
    alone while the cash stays.
    """
    from surfaces.kernels.pde_risk import fill_greeks

    names = _asked(which)
    box = containers.of(right, spot, strike, years, vol, rate, dividend_yield)
    shape, columns = _columns(right, spot, strike, years, vol, rate, dividend_yield)
    plan, terms = _terms(dividends, accuracy, exercise)
    rows = np.empty((len(COMPUTED), columns[0].size))
    scratch = np.empty((2, 5)), np.empty((3, 3)), np.empty(len(COMPUTED))
    bumps = not BY_VOL.isdisjoint(names), "rho" in names
    free = _free(dividends, columns[3])
    if free.any():
        rows[:, free] = _without(columns, free, accuracy, exercise, names)
    due = np.flatnonzero(~free)
    if due.size:
        found, some = np.empty((len(COMPUTED), due.size)), [a[due] for a in columns]
        fill_greeks(*some, *terms, plan, _work(plan, terms[0]), *scratch, *bumps, found)
        rows[:, due] = found
    chosen = rows[[NAMES.index(name) for name in names]]
    return Greeks.from_rows(chosen, shape, names, box).in_units(units)


def _asked(which: Sequence[str] | None) -> list[str]:
    """The Greeks asked for; says why there is no dual delta."""
    if which is not None and ("dual_delta" in which or "density" in which):
        raise InvalidInput(
            "which asks for dual_delta or density: with cash dividends a price does not scale with "
            "spot and strike alone; difference american_cash.price in strike, or leave them out"
        )
    return wanted(which, COMPUTED)


def vol(
    *,
    price: ArrayLike,
    right: ArrayLike,
    spot: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    rate: ArrayLike,
    dividends: Dividends,
    dividend_yield: ArrayLike = 0.0,
    accuracy: Accuracy = "fast",
    exercise: Exercise = "american",
) -> ImpliedVol:
    """Invert `price` at the same accuracy. A bad quote never raises: it gets NaN and a status.

    BELOW_INTRINSIC is below the value at no vol (American: the best sure exercise), NO_VEGA exactly
    there; ABOVE_BOUND at or above what no vol reaches (spot for a call, strike for a put);
    BAD_INPUT and NOT_CONVERGED as in `american.vol`.
    """
    from surfaces.kernels.pde_risk import fill_vol

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
    plan, terms = _terms(dividends, accuracy, exercise)
    size = columns[0].size
    out, status = np.empty(size), np.empty(size, np.uint8)
    free = _free(dividends, columns[4]) & (exercise == "american")
    if free.any():
        from surfaces.pricing import american

        p, w, S, K, T, r, q = (a[free] for a in columns)
        got = american.vol(
            price=p, right=w, spot=S, strike=K, years=T, rate=r, dividend_yield=q, accuracy=accuracy
        )
        out[free], status[free] = got.vol, got.status
    due = np.flatnonzero(~free)
    if due.size:
        found, codes = np.empty(due.size), np.empty(due.size, np.uint8)
        some, work = [a[due] for a in columns], _work(plan, terms[0])
        fill_vol(*some, *terms, plan, work, np.empty((2, 5)), found, codes)
        out[due], status[due] = found, codes
    return ImpliedVol(box.wrap("vol", out, shape), box.wrap("status", status, shape))


def _columns(*given: ArrayLike) -> tuple[tuple[int, ...], list[Floats]]:
    """Checked and broadcast, and held where no price changes any more, which bounds the grid."""
    shape, columns = spot_columns(*given)
    _, spot, strike, years, vol, _, _ = columns
    columns[1] = np.where(spot < LEAST * strike, 0.0, spot)
    columns[2] = np.where(strike < LEAST * spot, 0.0, strike)
    with np.errstate(divide="ignore"):
        columns[4] = np.minimum(vol, WILD / np.sqrt(years))
    return shape, columns


def _free(dividends: Dividends, years: Floats) -> NDArray[np.bool_]:
    """Rows that expire before the first dividend: priced without a grid, more exactly."""
    coming = dividends.years[dividends.years > 0.0]
    return years < coming[0] if coming.size else np.ones(years.size, bool)


def _without(
    columns: list[Floats],
    free: NDArray[np.bool_],
    accuracy: Accuracy,
    exercise: Exercise,
    names: list[str],
) -> Floats:
    """One row for each of COMPUTED, or the price alone, of options that see no dividend."""
    from surfaces.pricing import american, bsm

    w, S, K, T, v, r, q = (a[free] for a in columns)
    if exercise == "european":
        found = bsm.greeks(
            right=w, spot=S, strike=K, years=T, vol=v, rate=r, dividend_yield=q, which=names
        )
    elif names == ["price"]:
        plain = american.price(
            right=w, spot=S, strike=K, years=T, vol=v, rate=r, dividend_yield=q, accuracy=accuracy
        )
        return np.asarray(plain)[None]
    else:
        found = american.greeks(
            right=w, spot=S, strike=K, years=T, vol=v, rate=r, dividend_yield=q,
            accuracy=accuracy, which=names,
        )  # fmt: skip
    rows = np.zeros((len(COMPUTED), w.size))  # what was not asked for is not looked at
    for name, values in found.items():
        rows[COMPUTED.index(name)] = values
    return rows


@cache
def _plan(accuracy: str) -> Plan:
    """The named accuracy."""
    if accuracy == "fast":
        return Plan(h=0.15, steps=18.0, reach=5.0, felt=4.5, most=800, widest=0.2)
    if accuracy == "precise":
        return Plan(h=0.07, steps=45.0, reach=5.0, felt=5.0, most=1600, widest=0.12)
    raise InvalidInput(f"accuracy is {accuracy!r}, must be 'fast' or 'precise'")


def _terms(
    dividends: Dividends, accuracy: Accuracy, exercise: Exercise
) -> tuple[Plan, tuple[Floats, Floats, Floats, bool]]:
    """(plan, (ex-dates, cash, proportional, American or not)), as the kernels take them."""
    if not isinstance(dividends, Dividends):
        raise InvalidInput(
            f"dividends is a {type(dividends).__name__}, must be a schedule: "
            "surfaces.pricing.dividends.Dividends.declared(years=..., cash=...)"
        )
    if exercise not in ("american", "european"):
        raise InvalidInput(f"exercise is {exercise!r}, must be 'american' or 'european'")
    schedule = (dividends.years, dividends.cash, dividends.proportional)
    dates, cash, part = (np.array(a) for a in schedule)  # writable, as kernels are compiled for
    return _plan(accuracy), (dates, cash, part, exercise == "american")


def _work(plan: Plan, dates: Floats) -> Floats:
    """Scratch for the grids: four arrays over nodes and one over ex-dates."""
    return np.empty((5, max(plan.most + 1, dates.size)))
