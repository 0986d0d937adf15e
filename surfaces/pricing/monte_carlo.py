"""Monte Carlo under Heston and local volatility: prices, paths, and a standard error with each.

`heston` and `local_vol` price European options of many strikes and expiries from one set of paths;
`heston_paths` and `local_vol_paths` give the paths themselves, and `value` the mean and standard
error of any payoff on them. The forward, not spot, is the underlying, and it is a martingale of the
scheme itself, whatever the step. Paths come in replicates that are independent of each other (a
scramble of Sobol's points each), and every error is the spread between them. The European pricers
run each path again with twice the step, and add half of the difference to the error: a Sobol
estimate can be better than the scheme it samples. Under a local vol, whose wings can be steep
enough to lower the order, it is all of the difference, or half of that between twice and four times
the step where this is more. Same seed, same bytes.

A Heston European price is the mean of Black's given the variance path (conditional Monte Carlo).

Units   USD; years ACT/365; vols and variances decimal, per year.
Source  L. Andersen, J. Computational Finance 11(3) (2008); G. Willard, J. Derivatives 5(1) (1997)
        for conditioning; A. Owen (1997) for scrambling; P. Kloeden, E. Platen (1992), eq. 15.1.1.
Checked tests/surfaces/pricing/test_monte_carlo.py and test_monte_carlo_local_vol.py: Fourier
        prices, Black, CEV, the law of the variance, and the errors' own coverage.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from surfaces import checks as check
from surfaces.checks import Floats
from surfaces.errors import InvalidInput
from surfaces.kernels import heston_qe
from surfaces.kernels import monte_carlo as kernel
from surfaces.pricing import monte_carlo_draws as draws
from surfaces.pricing import monte_carlo_inputs as take
from surfaces.pricing.heston_letters import HestonLike
from surfaces.pricing.monte_carlo_draws import Grid, Plan, Sampling
from surfaces.pricing.monte_carlo_estimate import (
    ErrorStatus,
    Estimate,
    estimate,
    grouped,
    rare,
    regressed,
)
from surfaces.pricing.monte_carlo_inputs import LocalVolGrid, Options

__all__ = [
    "ErrorStatus", "Estimate", "Paths", "heston", "heston_paths", "local_vol", "local_vol_paths",
    "value",
]  # fmt: skip

PATHS = 65_536
REPLICATES = 32
MOST_BYTES = 2**31
HESTON_TRUST = 0.5  # of the difference between two steps
LOCAL_VOL_TRUST = 1.0  # as kinks and steep wings lower the order
Progress = Callable[[int, int], object]


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
    params: HestonLike,
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
    steps_a_year : by default 32, or 32 kappa up to 1,024 steps in all; at least 32 to the first
        expiry. Doubled where a positive rho leaves the martingale correction without its moment.
    seed : of the scrambles
    sampling : "sobol", or "pseudo" for pseudo-random antithetic paths
    replicates : independent groups of paths, >= 16; what the errors are drawn from
    progress : called with (paths done, paths in all)

    Returns
    -------
    Estimate, arrays in the broadcast shape. Calls and puts of one strike obey parity exactly.
    Two errors hold 95 % (Student's t is in them). Where the out-of-the-money option of the strike
    is paid by too few paths to know it to a fifth, the error is NaN and `status` TOO_FEW; not far
    above, more prices lie beyond two errors. At most 2^28 paths.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> case = SimpleNamespace(v0=0.04, kappa=0.5, theta=0.04, sigma=1.0, rho=-0.9)
    >>> got = heston(case, right=1, forward=100.0, strike=100.0, years=10.0, paths=4096)
    >>> bool(abs(got.price - 13.0847) < 3.0 * got.error)  # Andersen's case I
    True
    """
    model = take.heston_of(params)
    options = take.options_of(right, forward, strike, years, df)
    plan = take.plan_of(paths, replicates, seed, sampling)
    fine = take.heston_grid(model, options.dates, steps_a_year)
    levels = [(g, take.table_of(model, g)) for g in (fine, fine.halved())]
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
    return _estimate(sums, options, plan, fine, HESTON_TRUST)


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
    32 steps a year by default. Where the vol jumps in time (two nodes next to one another, as at
    every expiry of `surfaces.local_vol.dupire`), a step ends before the jump and the next begins
    after it, whatever `steps_a_year`.
    """
    vols = take.local_vol_of(model)
    options = take.options_of(right, forward, strike, years, df)
    plan = take.plan_of(paths, replicates, seed, sampling)
    fine = vols.grid(options.dates, steps_a_year, parts=4)
    twice = fine.halved()
    grids = [(g, vols.read(g)) for g in (fine, twice, twice.halved())]
    sums = [_Sums(plan, options, g) for g, _ in grids]
    for done, (replicate, (z,)) in enumerate(draws.blocks(fine, 1, plan), 1):
        part = z
        for level, (g, read) in enumerate(grids):
            logs = np.empty((z.shape[0], g.stops.size))
            part = draws.paired(part) if level else part
            kernel.fill_local_vol(part, g.times, *read, *vols.table, g.stops, logs)
            into = sums[level]
            kernel.add_payoffs(
                logs, *options.columns, into.price[replicate], into.control[replicate]
            )
        _tell(progress, done * z.shape[0], plan)
    return _estimate(sums, options, plan, fine, LOCAL_VOL_TRUST)


def heston_paths(
    params: HestonLike,
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
    model = take.heston_of(params)
    dates, forwards = take.dates_of(years, forward)
    plan = take.plan_of(paths, replicates, seed, sampling)
    steps = take.heston_grid(model, dates, steps_a_year)
    table = take.table_of(model, steps)
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
    vols = take.local_vol_of(model)
    dates, forwards = take.dates_of(years, forward)
    plan = take.plan_of(paths, replicates, seed, sampling)
    steps = vols.grid(dates, steps_a_year)
    read = vols.read(steps)
    (logs,) = _room(plan, dates.size, 1)
    at = 0
    for _, (z,) in draws.blocks(steps, 1, plan):
        rows = slice(at, at + z.shape[0])
        kernel.fill_local_vol(z, steps.times, *read, *vols.table, steps.stops, logs[rows])
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
    `steps_a_year` to see what the time step does, and with closer dates what monitoring does. It is
    NaN, with `status` TOO_FEW, where the payoff is a constant on all but few paths (fewer than 25,
    weighted) or the same in every replicate, as no sample of that kind tells an error.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> case = SimpleNamespace(v0=0.04, kappa=1.5, theta=0.06, sigma=0.6, rho=-0.7)
    >>> months = np.arange(1, 13) / 12.0
    >>> paths = heston_paths(case, forward=100.0, years=months, paths=4096)
    >>> asian = value(paths, lambda spot: np.maximum(spot.mean(axis=1) - 100.0, 0.0))
    >>> bool(asian.error < 0.05)
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
    few = rare(found.reshape(count, -1), means)
    error = np.where(few, np.nan, error)
    level, error = (scale * a.reshape(shape)[()] for a in (level, error))
    return Estimate(
        level, error, error, np.zeros(shape)[()], count, paths.replicates, paths.steps,
        few.astype(np.int64).reshape(shape)[()],
    )  # fmt: skip


class _Sums:
    """Sums over the paths of every replicate, on one grid."""

    def __init__(self, plan: Plan, options: Options, steps: Grid) -> None:
        self.price = np.zeros((plan.replicates, options.df.size))
        self.control = np.zeros((plan.replicates, steps.stops.size))


def _estimate(
    sums: list[_Sums], options: Options, plan: Plan, fine: Grid, trust: float
) -> Estimate:
    stop = options.columns[3]
    pairs = [(s.price / plan.paths, (s.control / plan.paths - 1.0)[:, stop]) for s in sums]
    counts = (plan.paths * plan.replicates, plan.replicates, fine.steps)
    return estimate(pairs, options, counts, trust=trust)


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
