"""What simulations take: options, dates, models and grids, checked once.

Models are taken by their attributes, so that a calibrated Heston or a Dupire surface fits without
being imported here.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from surfaces import checks as check
from surfaces.checks import Floats
from surfaces.errors import InvalidInput
from surfaces.kernels import heston_qe
from surfaces.pricing import monte_carlo_draws as draws
from surfaces.pricing.heston_letters import HestonLike
from surfaces.pricing.monte_carlo_draws import Grid, Plan

STEPS_A_YEAR = 32.0
LEAST_STEPS = 32  # to the first expiry
JUMP_STEPS = 64  # that any time gone by is worth at least, where a local vol jumps
LEAST_SIGMA = 1e-6  # rho / sigma must not drown the rest; smaller moves no price by 1e-6
ENOUGH_STEPS = 1024.0  # that a high kappa may ask for by default
LEAST_REPLICATES = 16  # a spread of fewer is not known well enough, Student's t or not
MOST_PATHS = 2**28
JUMP = 1e-3  # of a gap beside it: nodes in time as close as that are one time, where the vol jumps


class LocalVolGrid(Protocol):
    """Local vol (nt, nk) at `years` (nt,) and k = ln(S_t/F(0, t)) (nk,), both rising.

    Linear in k and in years between nodes, flat outside.
    """

    @property
    def years(self) -> Floats: ...
    @property
    def k(self) -> Floats: ...
    @property
    def vol(self) -> Floats: ...


@dataclass(frozen=True, slots=True, eq=False)
class Options:
    """q checked options; `columns`: right, forward, strike and number of the expiry in `dates`."""

    shape: tuple[int, ...]
    columns: tuple[Floats, Floats, Floats, NDArray[np.int64]]
    df: Floats
    dates: Floats


@dataclass(frozen=True, slots=True, eq=False)
class LocalVols:
    """A checked table (nt, nk) and its jumps: `before` and `after` (j,) are the two times of each,
    nodes next to one another."""

    years: Floats
    k: Floats
    vol: Floats
    before: Floats
    after: Floats

    @property
    def table(self) -> tuple[Floats, Floats, Floats]:
        """As the kernel takes it."""
        return self.years, self.k, self.vol

    def grid(self, dates: Floats, steps_a_year: float | None, *, parts: int = 2) -> Grid:
        """The grid of `grid_of` that meets every jump, once, and so does twice its step."""
        j = np.searchsorted(dates, self.before)
        met = (j < dates.size) & (dates[np.minimum(j, dates.size - 1)] <= self.after)
        return grid_of(dates, steps_a_year, meets=self.before[~met], parts=parts)

    def read(self, steps: Grid) -> tuple[Floats, Floats]:
        """When each step reads the vol at its start and at its end: of the two nodes of a jump,
        the later at the start of a step and the earlier at its end."""
        first, last = steps.times[:-1].copy(), steps.times[1:].copy()
        if self.before.size:
            for at, to in ((first, self.after), (last, self.before)):
                j = np.maximum(np.searchsorted(self.before, at, side="right") - 1, 0)
                inside = (self.before[j] <= at) & (at <= self.after[j])
                at[inside] = to[j[inside]]
        return first, last


@dataclass(frozen=True, slots=True)
class Model:
    """Checked numbers."""

    v0: float
    kappa: float
    theta: float
    sigma: float
    rho: float


def options_of(
    right: ArrayLike, forward: ArrayLike, strike: ArrayLike, years: ArrayLike, df: ArrayLike
) -> Options:
    """Options broadcast together, and the expiries they have."""
    alive = "Remove expired rows with chain.alive(now)."
    shape, (w, F, K, T, d) = check.columns(
        check.right(right),
        check.above("forward", forward, 0.0, unit="USD", hint="Forwards are prices."),
        check.above("strike", strike, 0.0, unit="USD", hint="Strikes are prices."),
        check.above("years", years, 0.0, unit="years", hint=alive),
        check.above("df", df, 0.0, unit="", hint="Discount factors, not rates: exp(-r*T)."),
    )
    if not w.size:
        raise InvalidInput("right, forward, strike, years and df are empty, must be one option")
    dates, stop = np.unique(T, return_inverse=True)
    return Options(shape, (w, F, K, stop.astype(np.int64).ravel()), d, dates)


def dates_of(years: ArrayLike, forward: ArrayLike) -> tuple[Floats, Floats]:
    """Dates of a path, and the forward for each."""
    dates = check.above("years", years, 0.0, unit="years", hint="Today is not on the path.")
    dates = np.atleast_1d(dates)
    if dates.ndim != 1 or not dates.size or (np.diff(dates) <= 0.0).any():
        raise InvalidInput("years must be dates in rising order, one row; sort them")
    forwards = check.above("forward", forward, 0.0, unit="USD", hint="Forwards are prices.")
    if forwards.shape not in ((), (1,), dates.shape):
        raise InvalidInput(f"forward has shape {forwards.shape}, must be one or {dates.shape}")
    return dates, np.broadcast_to(forwards, dates.shape).copy()


def plan_of(paths: int, replicates: int, seed: int, sampling: str) -> Plan:
    """How many paths, in how many replicates."""
    r = check.count("replicates", replicates, LEAST_REPLICATES, hint="Fewer tell no honest error.")
    n = check.count("paths", paths, r, hint="At least one a replicate.")
    if n > MOST_PATHS:
        raise InvalidInput(
            f"paths is {n}, must be <= {MOST_PATHS} (2^28, hours of work). Ask for fewer, several "
            "times with different seeds."
        )
    return draws.plan(n, r, check.count("seed", seed, 0, hint="Any whole number."), sampling)


def grid_of(
    dates: Floats,
    steps_a_year: float | None,
    usual: float = STEPS_A_YEAR,
    *,
    meets: Floats = draws.NOTHING,
    parts: int = 2,
) -> Grid:
    """The grid asked for, or the usual one with LEAST_STEPS to the first date; the rest as for
    `draws.grid`."""
    if steps_a_year is None:
        least = JUMP_STEPS if meets.size else LEAST_STEPS
        return draws.grid(dates, usual, least, meets=meets, parts=parts)
    more = "More steps, less bias."
    rate = check.above("steps_a_year", steps_a_year, 0.0, unit="", hint=more)
    return draws.grid(dates, check.one("steps_a_year", rate), parts, meets=meets, parts=parts)


def heston_of(params: HestonLike) -> Model:
    """Parameters as plain numbers. Without vol of vol the correlation changes nothing."""
    hint = "Give surfaces.pricing.heston.Parameters."
    _has("params", params, ("v0", "kappa", "theta", "sigma", "rho"), hint)

    def at_least(name: str, hint: str) -> float:
        return check.one(name, check.at_least(name, getattr(params, name), 0.0, unit="", hint=hint))

    rho = check.one("rho", check.finite("rho", params.rho, unit="", hint="A correlation."))
    if abs(rho) > 1.0:
        raise InvalidInput(f"rho is {rho:g}, must be between -1 and 1")
    sigma = at_least("sigma", "The vol of variance.")
    if sigma < LEAST_SIGMA:
        sigma, rho = LEAST_SIGMA, 0.0
    return Model(
        v0=at_least("v0", "A variance: vol squared."),
        kappa=at_least("kappa", "Mean reversion, per year."),
        theta=at_least("theta", "A variance: vol squared."),
        sigma=sigma,
        rho=rho,
    )


def heston_grid(model: Model, dates: Floats, steps_a_year: float | None) -> Grid:
    """Steps short enough that the martingale correction exists, with twice the step as well."""
    usual = STEPS_A_YEAR * max(1.0, min(model.kappa, ENOUGH_STEPS / STEPS_A_YEAR / dates[-1]))
    steps = grid_of(dates, steps_a_year, usual)
    rate = usual if steps_a_year is None else float(steps_a_year)
    while True:
        twice = steps.halved()
        table = np.empty((twice.steps, heston_qe.COLUMNS))
        worst = heston_qe.fill_table(
            twice.times, model.kappa, model.theta, model.sigma, model.rho, table
        )
        if worst < 1.0:
            return steps
        rate *= 2.0
        steps = draws.grid(dates, rate, steps.steps)


def table_of(model: Model, steps: Grid) -> Floats:
    """Coefficients of every step."""
    table = np.empty((steps.steps, heston_qe.COLUMNS))
    heston_qe.fill_table(steps.times, model.kappa, model.theta, model.sigma, model.rho, table)
    return table


def local_vol_of(model: LocalVolGrid) -> LocalVols:
    """The table, and where it jumps in time."""
    _has("model", model, ("years", "k", "vol"), "Give a surfaces.local_vol.LocalVol.")
    years = np.atleast_1d(check.at_least("years", model.years, 0.0, unit="years", hint="Rising."))
    k = np.atleast_1d(check.finite("k", model.k, unit="", hint="k is ln(S/F)."))
    filled = "A NaN is a node without a local vol: fill it from its neighbours first."
    vol = check.at_least("vol", model.vol, 0.0, unit="per sqrt-year", hint=filled)
    if vol.shape != (years.size, k.size) or (np.diff(years) <= 0).any() or (np.diff(k) <= 0).any():
        raise InvalidInput(
            f"vol has shape {vol.shape}, must be ({years.size}, {k.size}), one row a time and one "
            "column a k, both rising"
        )
    years, k, vol = (np.array(a, np.float64, order="C") for a in (years, k, vol))
    gaps = np.diff(years, prepend=0.0)
    beside = np.maximum(gaps[:-1], np.append(gaps[2:], 0.0))
    close = np.flatnonzero(gaps[1:] <= JUMP * beside)
    return LocalVols(years, k, vol, years[close], years[close + 1])


def _has(name: str, value: object, wanted: tuple[str, ...], hint: str) -> None:
    """Raise unless `value` has every one of the attributes."""
    if missing := [letter for letter in wanted if not hasattr(value, letter)]:
        said = " ".join(repr(value).split())
        raise InvalidInput(f"{name} is {said:.80}, must have {', '.join(missing)}. {hint}")
