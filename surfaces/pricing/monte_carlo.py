"""Monte Carlo under Heston and local volatility: prices, paths, and a standard error with each.

`heston` and `local_vol` price European options of many strikes and expiries from one set of paths;
`heston_paths` and `local_vol_paths` give the paths themselves, and `value` the mean and standard
error of any payoff on them. The forward, not spot, is the underlying, and it is a martingale of the
scheme itself, whatever the step. Paths come in replicates that are independent of each other (a
scramble of Sobol's points each), and every error is the spread between them. The European pricers
run each path twice, with the step and with twice the step, and add half of the difference to the
error: a Sobol estimate can be better than the scheme it samples. Same seed, same bytes.

A Heston European price is the mean of Black's given the variance path (conditional Monte Carlo).

Units   USD; years ACT/365; vols and variances decimal, per year.
Source  L. Andersen, J. Computational Finance 11(3) (2008); G. Willard, J. Derivatives 5(1) (1997)
        for conditioning; A. Owen (1997) for scrambling; P. Kloeden, E. Platen (1992), eq. 15.1.1.
Checked tests/surfaces/pricing/test_monte_carlo.py and test_monte_carlo_local_vol.py: Fourier
        prices, Black, CEV, the law of the variance, and the errors' own coverage.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from surfaces import checks as check
from surfaces.checks import Floats
from surfaces.errors import InvalidInput
from surfaces.kernels import heston_qe
from surfaces.kernels import monte_carlo as kernel
from surfaces.pricing import monte_carlo_draws as draws
from surfaces.pricing.monte_carlo_draws import Grid, Plan, Sampling
from surfaces.pricing.monte_carlo_estimate import Estimate, estimate, grouped, regressed

__all__ = [
    "Estimate", "Paths", "heston", "heston_paths", "local_vol", "local_vol_paths", "value",
]  # fmt: skip

PATHS = 65_536
REPLICATES = 32
STEPS_A_YEAR = 32.0
LEAST_STEPS = 32  # to the first expiry
MOST_BYTES = 2**31
Progress = Callable[[int, int], object]


class HestonParameters(Protocol):
    """dv = kappa (theta - v) dt + sigma sqrt(v) dW, v(0) = v0, correlation rho with the price."""

    @property
    def v0(self) -> float: ...
    @property
    def kappa(self) -> float: ...
    @property
    def theta(self) -> float: ...
    @property
    def sigma(self) -> float: ...
    @property
    def rho(self) -> float: ...


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
class Paths:
    """Simulated paths at dates, today left out; rows of one replicate follow each other."""

    years: Floats  # (m,)
    forward: Floats  # (m,), the mean of `spot`, exactly
    spot: Floats  # (paths, m)
    variance: Floats | None  # (paths, m) under Heston
    replicates: int
    steps: int  # time steps to the last date


def heston(
    params: HestonParameters,
    *,
    right: ArrayLike,
    forward: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    df: ArrayLike = 1.0,
    paths: int = PATHS,
    steps_a_year: float | None = None,
    seed: int = 0,
    sampling: Sampling = "sobol",
    replicates: int = REPLICATES,
    progress: Progress | None = None,
) -> Estimate:
    """Price European options under Heston by QE paths of the variance.

    Options broadcast together and share one set of paths, whose steps meet every expiry.

    Parameters
    ----------
    params : v0, kappa, theta, sigma and rho, as `surfaces.pricing.heston.Parameters`
    right : +1, True or "c" for a call; -1, False or "p" for a put
    forward : USD per share, for delivery at expiry, > 0
    strike : USD per share, > 0
    years : time to expiry, > 0
    df : discount factor to payment, > 0
    paths : in all; rounded up to a power of two in each replicate
    steps_a_year : 32 max(1, kappa) by default, at least 32 steps to the first expiry. It is
        doubled where a positive rho would leave the martingale correction without its moment.
    seed : of the scrambles
    sampling : "sobol", or "pseudo" for pseudo-random antithetic paths
    replicates : independent groups of paths, >= 8; what the errors are drawn from
    progress : called with (paths done, paths in all)

    Returns
    -------
    Estimate, arrays in the broadcast shape. Calls and puts of one strike obey parity exactly.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> case = SimpleNamespace(v0=0.04, kappa=0.5, theta=0.04, sigma=1.0, rho=-0.9)
    >>> got = heston(case, right=1, forward=100.0, strike=100.0, years=10.0, paths=4096)
    >>> bool(abs(got.price - 13.0847) < 3.0 * got.error)  # Andersen's case I
    True
    """
    model = _heston(params)
    options = _options(right, forward, strike, years, df)
    plan = _plan(paths, replicates, seed, sampling)
    fine = _heston_grid(model, options.dates, steps_a_year)
    levels = [(g, _table(model, g)) for g in (fine, fine.halved())]
    sums = [_Sums(plan, options, g) for g, _ in levels]
    for done, (replicate, (z,)) in enumerate(draws.blocks(fine, 1, plan), 1):
        for level, (g, table) in enumerate(levels):
            part = draws.paired(z) if level else z
            mean, variance = np.empty((2, g.stops.size, z.shape[0]))
            heston_qe.conditional(part, table, model.v0, g.stops, mean, variance)
            into = sums[level]
            heston_qe.add_prices(
                mean, variance, *options.columns, into.price[replicate], into.control[replicate]
            )
        _tell(progress, done * z.shape[0], plan)
    return _estimate(sums, options, plan, fine)


def local_vol(
    model: LocalVolGrid,
    *,
    right: ArrayLike,
    forward: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    df: ArrayLike = 1.0,
    paths: int = PATHS,
    steps_a_year: float | None = None,
    seed: int = 0,
    sampling: Sampling = "sobol",
    replicates: int = REPLICATES,
    progress: Progress | None = None,
) -> Estimate:
    """Price European options under a local volatility; arguments and result as `heston`.

    `model`: as `surfaces.local_vol.LocalVol`. The scheme has weak order two in smooth vols, with
    32 steps a year by default.
    """
    table = _local_vol(model)
    options = _options(right, forward, strike, years, df)
    plan = _plan(paths, replicates, seed, sampling)
    fine = _grid(options.dates, steps_a_year, STEPS_A_YEAR)
    grids = (fine, fine.halved())
    sums = [_Sums(plan, options, g) for g in grids]
    for done, (replicate, (z,)) in enumerate(draws.blocks(fine, 1, plan), 1):
        for level, g in enumerate(grids):
            logs = np.empty((z.shape[0], g.stops.size))
            part = draws.paired(z) if level else z
            kernel.fill_local_vol(part, g.times, *table, g.stops, logs)
            into = sums[level]
            kernel.add_payoffs(
                logs, *options.columns, into.price[replicate], into.control[replicate]
            )
        _tell(progress, done * z.shape[0], plan)
    return _estimate(sums, options, plan, fine)


def heston_paths(
    params: HestonParameters,
    *,
    forward: ArrayLike,
    years: ArrayLike,
    paths: int = PATHS // 4,
    steps_a_year: float | None = None,
    seed: int = 0,
    sampling: Sampling = "sobol",
    replicates: int = REPLICATES,
    progress: Progress | None = None,
) -> Paths:
    """Paths of the price and its variance at `years` (m,), rising and > 0.

    Parameters
    ----------
    forward : USD per share, one for all dates or (m,): the mean of the price at each
    others : as `heston`

    Raises
    ------
    InvalidInput
        Also where the result would take more than 2 GB: ask for fewer paths, several times with
        different seeds.
    """
    model = _heston(params)
    dates, forwards = _dates(years, forward)
    plan = _plan(paths, replicates, seed, sampling)
    steps = _heston_grid(model, dates, steps_a_year)
    table = _table(model, steps)
    logs, variance = _room(plan, dates.size, 2)
    at = 0
    for _, (z, x) in draws.blocks(steps, 2, plan):
        rows = slice(at, at + z.shape[0])
        heston_qe.fill_paths(z, x, table, model.v0, steps.stops, logs[rows], variance[rows])
        at = rows.stop
        _tell(progress, at, plan)
    return _paths(dates, forwards, logs, variance, plan, steps)


def local_vol_paths(
    model: LocalVolGrid,
    *,
    forward: ArrayLike,
    years: ArrayLike,
    paths: int = PATHS // 4,
    steps_a_year: float | None = None,
    seed: int = 0,
    sampling: Sampling = "sobol",
    replicates: int = REPLICATES,
    progress: Progress | None = None,
) -> Paths:
    """Paths of the price under a local volatility; arguments and errors as `heston_paths`."""
    table = _local_vol(model)
    dates, forwards = _dates(years, forward)
    plan = _plan(paths, replicates, seed, sampling)
    steps = _grid(dates, steps_a_year, STEPS_A_YEAR)
    (logs,) = _room(plan, dates.size, 1)
    at = 0
    for _, (z,) in draws.blocks(steps, 1, plan):
        rows = slice(at, at + z.shape[0])
        kernel.fill_local_vol(z, steps.times, *table, steps.stops, logs[rows])
        at = rows.stop
        _tell(progress, at, plan)
    return _paths(dates, forwards, logs, None, plan, steps)


def value(
    paths: Paths,
    payoff: Callable[[Floats], ArrayLike] | ArrayLike,
    *,
    df: float = 1.0,
    control: bool = True,
) -> Estimate:
    """Mean and standard error of a payoff.

    Parameters
    ----------
    paths : from `heston_paths` or `local_vol_paths`
    payoff : a function of the prices (paths, m) that gives (paths,) or (paths, q) values in USD,
        or those values themselves
    df : discount factor to payment
    control : use the last price and the average over the dates, whose means are known, as controls

    Returns
    -------
    Estimate, a number or (q,). Its error is that of sampling alone: repeat with twice the
    `steps_a_year` to see what the time step does, and with closer dates what monitoring does.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> case = SimpleNamespace(v0=0.04, kappa=1.5, theta=0.06, sigma=0.6, rho=-0.7)
    >>> months = np.arange(1, 13) / 12.0
    >>> paths = heston_paths(case, forward=100.0, years=months, paths=4096)
    >>> asian = value(paths, lambda spot: np.maximum(spot.mean(axis=1) - 100.0, 0.0))
    >>> bool(asian.error < 0.02)
    True
    """
    check.kind("paths", paths, Paths, hint="Make them with heston_paths or local_vol_paths.")
    scale = check.one("df", check.above("df", df, 0.0, unit="", hint="Discount factors."))
    paid = payoff(paths.spot) if callable(payoff) else payoff
    found = check.finite("payoff", paid, unit="USD", hint="It must pay on every path.")
    count = paths.spot.shape[0]
    if found.ndim not in (1, 2) or found.shape[0] != count:
        raise InvalidInput(
            f"payoff has shape {found.shape}, must be ({count},) or ({count}, q): one row a path"
        )
    means = grouped(found.reshape(count, -1), paths.replicates)
    known = np.column_stack((paths.spot[:, -1], paths.spot.mean(axis=1)))
    target = np.array([paths.forward[-1], paths.forward.mean()])
    controls = grouped(known, paths.replicates) / target - 1.0
    level, error = regressed(means, controls if control else controls[:, :0])
    shape = found.shape[1:]
    level, error = (scale * a.reshape(shape)[()] for a in (level, error))
    return Estimate(level, error, error, np.zeros(shape)[()], count, paths.replicates, paths.steps)


@dataclass(frozen=True, slots=True, eq=False)
class _Options:
    """q checked options; `columns`: right, forward, strike and number of the expiry in `dates`."""

    shape: tuple[int, ...]
    columns: tuple[Floats, Floats, Floats, NDArray[np.int64]]
    df: Floats
    dates: Floats


class _Sums:
    """Sums over the paths of every replicate, on one grid."""

    def __init__(self, plan: Plan, options: _Options, steps: Grid) -> None:
        self.price = np.zeros((plan.replicates, options.df.size))
        self.control = np.zeros((plan.replicates, steps.stops.size))


def _estimate(sums: list[_Sums], options: _Options, plan: Plan, fine: Grid) -> Estimate:
    stop = options.columns[3]
    pairs = [(s.price / plan.paths, (s.control / plan.paths - 1.0)[:, stop]) for s in sums]
    counts = (plan.paths * plan.replicates, plan.replicates, fine.steps)
    return estimate(pairs[0], pairs[1], options.df, options.shape, counts)


def _options(
    right: ArrayLike, forward: ArrayLike, strike: ArrayLike, years: ArrayLike, df: ArrayLike
) -> _Options:
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
    return _Options(shape, (w, F, K, stop.astype(np.int64).ravel()), d, dates)


def _dates(years: ArrayLike, forward: ArrayLike) -> tuple[Floats, Floats]:
    dates = check.above("years", years, 0.0, unit="years", hint="Today is not on the path.")
    dates = np.atleast_1d(dates)
    if dates.ndim != 1 or not dates.size or (np.diff(dates) <= 0.0).any():
        raise InvalidInput("years must be dates in rising order, one row; sort them")
    forwards = check.above("forward", forward, 0.0, unit="USD", hint="Forwards are prices.")
    if forwards.shape not in ((), (1,), dates.shape):
        raise InvalidInput(f"forward has shape {forwards.shape}, must be one or {dates.shape}")
    return dates, np.broadcast_to(forwards, dates.shape).copy()


def _plan(paths: int, replicates: int, seed: int, sampling: str) -> Plan:
    r = check.count("replicates", replicates, 8, hint="Fewer give no honest error.")
    n = check.count("paths", paths, r, hint="At least one a replicate.")
    return draws.plan(n, r, check.count("seed", seed, 0, hint="Any whole number."), sampling)


def _grid(dates: Floats, steps_a_year: float | None, usual: float) -> Grid:
    """The grid asked for, or the usual one with LEAST_STEPS to the first date."""
    if steps_a_year is None:
        return draws.grid(dates, usual, LEAST_STEPS)
    more = "More steps, less bias."
    rate = check.above("steps_a_year", steps_a_year, 0.0, unit="", hint=more)
    return draws.grid(dates, check.one("steps_a_year", rate), 2)


@dataclass(frozen=True, slots=True)
class _Model:
    """Checked numbers."""

    v0: float
    kappa: float
    theta: float
    sigma: float
    rho: float


def _heston(params: HestonParameters) -> _Model:
    def at_least(name: str, hint: str) -> float:
        return check.one(name, check.at_least(name, getattr(params, name), 0.0, unit="", hint=hint))

    def above(name: str, hint: str) -> float:
        return check.one(name, check.above(name, getattr(params, name), 0.0, unit="", hint=hint))

    rho = check.one("rho", check.finite("rho", params.rho, unit="", hint="A correlation."))
    if abs(rho) > 1.0:
        raise InvalidInput(f"rho is {rho:g}, must be between -1 and 1")
    return _Model(
        at_least("v0", "A variance: vol squared."), above("kappa", "Mean reversion, per year."),
        at_least("theta", "A variance: vol squared."),
        above("sigma", "Without vol of vol, use black with the mean variance."), rho,
    )  # fmt: skip


def _table(model: _Model, steps: Grid) -> Floats:
    table = np.empty((steps.steps, heston_qe.COLUMNS))
    heston_qe.fill_table(steps.times, model.kappa, model.theta, model.sigma, model.rho, table)
    return table


def _heston_grid(model: _Model, dates: Floats, steps_a_year: float | None) -> Grid:
    """Steps short enough that the martingale correction exists, with twice the step as well."""
    usual = STEPS_A_YEAR * max(1.0, model.kappa)
    steps = _grid(dates, steps_a_year, usual)
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


def _local_vol(model: LocalVolGrid) -> tuple[Floats, Floats, Floats]:
    """Years, k and vol as the kernel takes them."""
    years = np.atleast_1d(check.at_least("years", model.years, 0.0, unit="years", hint="Rising."))
    k = np.atleast_1d(check.finite("k", model.k, unit="", hint="k is ln(S/F)."))
    vol = check.at_least("vol", model.vol, 0.0, unit="per sqrt-year", hint="Local vols.")
    if vol.shape != (years.size, k.size) or (np.diff(years) <= 0).any() or (np.diff(k) <= 0).any():
        raise InvalidInput(
            f"vol has shape {vol.shape}, must be ({years.size}, {k.size}), one row a time and one "
            "column a k, both rising"
        )
    return tuple(np.array(a, np.float64, order="C") for a in (years, k, vol))  # type: ignore[return-value]


def _room(plan: Plan, dates: int, arrays: int) -> list[Floats]:
    """Arrays for all paths, if they are not too many."""
    rows = plan.paths * plan.replicates
    if 8 * (arrays + 1) * rows * dates > MOST_BYTES:
        raise InvalidInput(
            f"paths is {rows}, with {dates} dates more than 2 GB. Ask for fewer paths, several "
            "times with different seeds."
        )
    return [np.empty((rows, dates)) for _ in range(arrays)]


def _paths(
    dates: Floats, forwards: Floats, logs: Floats, variance: Floats | None, plan: Plan, steps: Grid
) -> Paths:
    np.exp(logs, out=logs)
    logs *= forwards
    return Paths(dates, forwards, logs, variance, plan.replicates, steps.steps)


def _tell(progress: Progress | None, done: int, plan: Plan) -> None:
    if progress is not None:
        progress(done, plan.paths * plan.replicates)
