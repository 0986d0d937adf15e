"""A surface for QuantLib: vols, curves, a process, and Heston's model in both directions.

The only module that imports QuantLib (and `surfaces.curves.discount`), and never on a pricing path.

Time. QuantLib counts whole days; we count from instant to instant. A node is the New York date on
which an expiry fixes, the reference date that on which the surface was made, and Actual/365 (Fixed)
the time between. With keep="variance", the default, the node's vol is such that vol^2 x QuantLib's
time is our total variance, so prices agree; with keep="vol" it is our vol. The two are the same
where an expiry fixes at the time of day at which the surface was made. Expiries that fix on the
reference date have no time left in QuantLib and are left out, as are those without a curve.

One expiry a date: of several (AM and PM, weekly and monthly), the one with the most judged quotes,
of equals the later.

Between nodes QuantLib interpolates variance linearly in strike and, at a fixed strike, in time; we
do at a fixed k. Its time grid starts with variance zero today.

Globals. Nothing here sets QuantLib's evaluation date: every object has an explicit reference date.
A pricing engine still asks it whether an option has expired, so price inside `evaluation_date`,
which puts the old one back.
"""

import datetime as dt
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import ArrayLike, NDArray

from surfaces import checks as check
from surfaces.curves.clock import ZONE
from surfaces.errors import InvalidInput
from surfaces.pricing.heston_letters import HestonLike
from surfaces.surface import VolSurface

with warnings.catch_warnings():  # its wrapper warns of itself
    warnings.simplefilter("ignore", DeprecationWarning)
    import QuantLib as ql  # noqa: N813  its own name for itself

Array = NDArray[np.float64]
Keep = Literal["variance", "vol"]

YEAR = 365.0


@dataclass(frozen=True, slots=True, eq=False)
class Nodes:
    """What is handed over: `vols` (strikes, dates) and the slices they are from, rising in date.

    `years` are QuantLib's, whole days over 365. `left_out` says why slices are not among them.
    """

    reference: dt.date
    dates: tuple[dt.date, ...]
    years: Array
    slices: NDArray[np.int64]
    strikes: Array
    vols: Array
    left_out: dict[int, str]


class Curves(NamedTuple):
    """Spot and curves as QuantLib handles; `reference` is their first date."""

    reference: dt.date
    spot: Any
    risk_free: Any
    dividend: Any


class HestonLetters(NamedTuple):
    """Heston's letters read off a QuantLib model."""

    v0: float
    kappa: float
    theta: float
    sigma: float
    rho: float


def nodes(surface: VolSurface, strikes: ArrayLike | None = None, keep: Keep = "variance") -> Nodes:
    """The grid that `to_quantlib` hands over.

    `strikes`: rising, USD; by default every strike of the chain that some exported expiry quotes
    on both sides, or next to such.
    """
    if keep not in ("variance", "vol"):
        raise InvalidInput(f"keep is {keep!r}, must be one of variance, vol")
    reference = _date(surface.ts_ns)
    slices, left_out = _one_a_date(surface, reference)
    if not slices:
        raise InvalidInput(
            "no expiry has a curve and fixes after the date of the surface, so QuantLib has no "
            f"time to put it in: {left_out}"
        )
    grid = _strikes(surface, slices) if strikes is None else _given(strikes)
    dates = tuple(_date(int(surface.chain.fixing_ns[j])) for j in slices)
    years = np.array([(day - reference).days / YEAR for day in dates])
    vols = np.stack([surface.slice_vol(j, grid) for j in slices], axis=1)
    if keep == "variance":
        vols = vols * np.sqrt(surface.years[slices] / years)
    return Nodes(reference, dates, years, np.array(slices), grid, vols, left_out)


def to_quantlib(
    surface: VolSurface, strikes: ArrayLike | None = None, keep: Keep = "variance"
) -> Any:
    """A `BlackVarianceSurface` with a node at every exported expiry and strike of `nodes`.

    Bilinear in variance; extrapolation is on, constant in strike beyond the grid, and in time the
    last vol is held.

    Raises
    ------
    InvalidInput
        Nothing to export, strikes that do not rise, or a surface whose variance at a fixed strike
        falls in time, which QuantLib refuses.
    """
    grid = nodes(surface, strikes, keep)
    matrix = ql.Matrix(*grid.vols.shape)
    for i, row in enumerate(grid.vols.tolist()):
        for j, value in enumerate(row):
            matrix[i][j] = value
    flat = ql.BlackVarianceSurface.ConstantExtrapolation
    try:
        out = ql.BlackVarianceSurface(
            _day(grid.reference), ql.NullCalendar(), [_day(d) for d in grid.dates],
            grid.strikes.tolist(), matrix, ql.Actual365Fixed(), flat, flat,
        )  # fmt: skip
    except RuntimeError as error:
        raise InvalidInput(
            f"QuantLib refuses the grid: {error}; export fewer expiries or strikes, or a "
            "certified surface"
        ) from None
    out.enableExtrapolation()
    return out


def curves(surface: VolSurface) -> Curves:
    """Spot, discount and dividend curves with nodes at the exported dates; log-linear between.

    A node's factors are the expiry's own, so QuantLib's forward there is ours; flat forward rates
    beyond the last.
    """
    reference = _date(surface.ts_ns)
    slices, left_out = _one_a_date(surface, reference)
    if not slices:
        raise InvalidInput(f"no expiry fixes after the date of the surface: {left_out}")
    days = [_day(reference), *(_day(_date(int(surface.chain.fixing_ns[j]))) for j in slices)]
    dfs = surface.dfs[slices]
    yields = dfs * surface.forwards[slices] / surface.spot
    return _curves(reference, surface.spot, days, dfs, yields)


def flat_curves(*, reference: dt.date, spot: float, rate: float, carry: float = 0.0) -> Curves:
    """Curves of one continuously compounded rate and carry (dividend yield and borrow).

    Raises InvalidInput unless the spot is > 0 and rate and carry are finite.
    """
    check.kind("reference", reference, dt.date, hint="The curves' first day.")
    price = check.one("spot", check.above("spot", spot, 0.0, unit="USD", hint="A price."))
    rate, carry = (
        check.one(name, check.finite(name, value, unit="", hint="Continuous, a decimal."))
        for name, value in (("rate", rate), ("carry", carry))
    )
    day = ql.Date(reference.day, reference.month, reference.year)
    flat = [ql.FlatForward(day, x, ql.Actual365Fixed()) for x in (rate, carry)]
    handles = [ql.YieldTermStructureHandle(curve) for curve in flat]
    return Curves(reference, ql.QuoteHandle(ql.SimpleQuote(price)), *handles)


def process(surface: VolSurface, strikes: ArrayLike | None = None, keep: Keep = "variance") -> Any:
    """A `BlackScholesMertonProcess` of the surface: its spot, its forwards, its vols."""
    made = curves(surface)
    vols = ql.BlackVolTermStructureHandle(to_quantlib(surface, strikes, keep))
    return ql.BlackScholesMertonProcess(made.spot, made.dividend, made.risk_free, vols)


def heston_model(params: HestonLike, on: Curves) -> Any:
    """A `HestonModel` with these letters on `curves(surface)` or `flat_curves(...)`.

    Raises InvalidInput for letters outside their domain, or that QuantLib does not take.
    """
    check.kind("on", on, Curves, hint="Make it with curves or flat_curves.")
    letters = []
    for name in HestonLetters._fields:
        if not hasattr(params, name):
            said = " ".join(repr(params).split())
            raise InvalidInput(f"params is {said:.80}, must have {name}. Give heston.Parameters.")
        value = check.finite(name, getattr(params, name), unit="", hint="One of Heston's letters.")
        letters.append(check.one(name, value))
        if name != "rho":
            check.at_least(name, value, 0.0, unit="", hint="Variances and rates are not negative.")
    if abs(letters[-1]) > 1.0:
        raise InvalidInput(f"rho is {letters[-1]:g}, must be between -1 and 1")
    try:
        return ql.HestonModel(ql.HestonProcess(on.risk_free, on.dividend, on.spot, *letters))
    except RuntimeError as error:
        raise InvalidInput(f"QuantLib refuses the letters {letters}: {error}") from None


def heston_letters(model: Any) -> HestonLetters:
    """The letters of a `HestonModel`, calibrated ones too; as keywords, `_asdict()`."""
    check.kind("model", model, ql.HestonModel, hint="Make one with heston_model.")
    return HestonLetters(model.v0(), model.kappa(), model.theta(), model.sigma(), model.rho())


@contextmanager
def evaluation_date(day: dt.date) -> Iterator[None]:
    """QuantLib's global evaluation date for a while; afterwards what it was before."""
    settings = ql.Settings.instance()
    before = settings.evaluationDate
    settings.evaluationDate = _day(day)
    try:
        yield
    finally:
        settings.evaluationDate = before


def _one_a_date(surface: VolSurface, reference: dt.date) -> tuple[list[int], dict[int, str]]:
    """Slices to export in rising date, and why the others are not."""
    best: dict[dt.date, int] = {}
    left_out: dict[int, str] = {}
    for j in np.argsort(surface.chain.fixing_ns, kind="stable").tolist():
        day = _date(int(surface.chain.fixing_ns[j]))
        if not surface.models[j]:
            left_out[j] = "no curve"
        elif day <= reference:
            left_out[j] = "fixes on the reference date, or has fixed"
        elif day in best and surface.scores.quotes[j] < surface.scores.quotes[best[day]]:
            left_out[j] = f"slice {best[day]} of the same date has more quotes"
        else:
            if day in best:
                left_out[best[day]] = f"slice {j} of the same date has as many quotes or more"
            best[day] = j
    return [best[day] for day in sorted(best)], left_out


def _strikes(surface: VolSurface, slices: list[int]) -> Array:
    """Strikes of the chain within an exported expiry's quoted range."""
    chain, of = surface.chain, surface.chain.slice_of
    k = np.log(chain.strike / surface.forwards[of])
    low, high = surface.quoted_range[of].T
    near = np.isin(of, slices) & (k >= low - 1e-9) & (k <= high + 1e-9)
    found = np.unique(chain.strike[near])
    return found if found.size > 1 else np.unique(chain.strike[np.isin(of, slices)])


def _given(strikes: ArrayLike) -> Array:
    grid = check.above("strikes", strikes, 0.0, unit="USD", hint="Strikes are prices.")
    if grid.ndim != 1 or grid.size < 2 or not np.all(np.diff(grid) > 0.0):
        raise InvalidInput(f"strikes of shape {grid.shape} must be two or more, and rise")
    return grid


def _curves(reference: dt.date, spot: float, days: list, dfs: Array, yields: Array) -> Curves:
    made = []
    for factors in (dfs, yields):
        curve = ql.DiscountCurve(days, [1.0, *factors.tolist()], ql.Actual365Fixed())
        curve.enableExtrapolation()
        made.append(ql.YieldTermStructureHandle(curve))
    return Curves(reference, ql.QuoteHandle(ql.SimpleQuote(spot)), *made)


def _date(ns: int) -> dt.date:
    """The New York date of an instant."""
    return dt.datetime.fromtimestamp(ns // 10**9, ZoneInfo(ZONE)).date()


def _day(day: dt.date) -> Any:
    return ql.Date(day.day, day.month, day.year)
