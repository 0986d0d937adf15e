"""The fit of Heston and Bates to quotes, and what it reports. Called through `heston`, `bates`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from surfaces import checks as check
from surfaces.errors import CalibrationFailed, InvalidInput
from surfaces.kernels import heston_fit as kernel
from surfaces.pricing import black, implied, option_quotes
from surfaces.pricing import heston_engine as engine
from surfaces.pricing.option_quotes import OptionQuotes

if TYPE_CHECKING:
    import polars as pl

Floats = NDArray[np.float64]
Fit = Literal["vol", "price"]
P = TypeVar("P")

WITHIN = 1e-4  # agreement asked of two quadrature rules in a descent: 1e-8 of the better one
COARSE = 1e-3  # and where starts are only compared
EXACT = 1e-7  # root mean square residual in vol below which no other start is tried
SAME = 1e-3  # starts that end within this share of a cost ended alike
EDGE = 1e-6  # letters this near to their bound are at it

# Names in the order of the kernel's letters, with what the search is allowed.
BOUNDS: dict[str, tuple[float, float]] = {
    "v0": (1e-6, 4.0),
    "kappa": (1e-3, 50.0),
    "theta": (1e-6, 4.0),
    "sigma": (1e-3, 8.0),
    "rho": (-0.999, 0.999),
    "jump_rate": (1e-4, 20.0),
    "jump_mean": (-0.8, 0.5),
    "jump_std": (1e-3, 0.8),
}


class FitStatus(IntEnum):
    """How a fit ended."""

    CONVERGED = 0
    AT_BOUNDS = 1
    STALLED = 2
    OUT_OF_STEPS = 3
    UNIDENTIFIED = 4


_WORDS = {
    FitStatus.CONVERGED: "converged",
    FitStatus.AT_BOUNDS: (
        "converged with {bounds} at the edge of what is allowed: the quotes do not tell it apart; "
        "give more expiries or strikes, or other bounds"
    ),
    FitStatus.STALLED: (
        "no step improves the fit, and it is not at a minimum: check the quotes for outliers, or "
        "give a start"
    ),
    FitStatus.OUT_OF_STEPS: "still improving after {steps} steps: raise max_steps",
    FitStatus.UNIDENTIFIED: (
        "the quotes do not tell {vague} apart, whose standard errors are infinite: give more "
        "expiries or strikes, or hold some by bounds"
    ),
}


@dataclass(frozen=True, slots=True, eq=False)
class Calibration(Generic[P]):
    """Fitted parameters and how good they are. Errors are in vol, or in USD where named price.

    Standard errors and covariance are those of the parameters, in the order of `names`, if the
    residuals of the fit are independent noise: s^2 (J'J)^-1, s^2 the weighted residual variance.
    NaN for a parameter at its bound, infinite for one the quotes say nothing about.
    """

    params: P
    names: tuple[str, ...]
    standard_errors: dict[str, float]
    covariance: Floats
    rmse_vol: float
    rmse_price: float
    rmse_half_spreads: float  # what spread weights make least; NaN without bids and asks
    max_error_vol: float
    status: FitStatus
    message: str
    at_bounds: tuple[str, ...]
    feller: float  # 2 kappa theta / sigma^2; the variance can reach zero below 1
    iterations: int  # steps of all descents
    starts: int  # descents made
    fit: Fit
    removed: dict[str, int]  # quotes left out, by reason
    quotes: OptionQuotes
    model_vol: Floats  # (n,), in the order of `quotes`
    model_price: Floats

    @property
    def ok(self) -> bool:
        """Whether a minimum was found inside the bounds."""
        return self.status == FitStatus.CONVERGED

    @property
    def residuals(self) -> "pl.DataFrame":
        """One row a quote used, by expiry: quote, model, both differences and the weight.

        `row` is where the quote stands in what was given; `inside`: the model's vol is between bid
        and ask (null where there is one value only).
        """
        import polars as pl

        q = self.quotes
        off = self.model_vol - q.vol
        spread = q.half > 0.0
        return pl.DataFrame(
            {
                "row": q.row,
                "years": q.each_years,
                "strike": q.strike,
                "right": q.right,
                "quoted_vol": q.vol,
                "model_vol": self.model_vol,
                "vol_error": off,
                "quoted_price": q.price,
                "model_price": self.model_price,
                "price_error": self.model_price - q.price,
                "weight": q.weight,
                "inside": pl.Series(
                    [bool(a) if s else None for a, s in zip(np.abs(off) <= q.half, spread,
                                                            strict=True)],
                    dtype=pl.Boolean,
                ),
            }
        )  # fmt: skip

    def __repr__(self) -> str:
        return (
            f"<Calibration {self.params}, rmse {self.rmse_vol:.3g} vol over {len(self.quotes)} "
            f"quotes, {self.message}>"
        )


@dataclass(frozen=True, slots=True)
class Problem:
    """What the kernel fits: arrays by quote and the box of its letters."""

    quotes: OptionQuotes
    names: tuple[str, ...]
    kind: int
    k: Floats
    target: Floats
    weight: Floats
    low: Floats
    high: Floats

    @property
    def arrays(self) -> tuple[Any, ...]:
        """The kernel's arguments from `edges` on."""
        q = self.quotes
        return q.edges, q.years, self.k, self.target, self.weight

    @property
    def exact(self) -> float:
        """The cost of residuals that are EXACT vols each."""
        unit = self.quotes.vega if self.kind == kernel.IN_PRICE else np.ones(len(self.quotes))
        return 0.5 * float(np.sum((EXACT * unit * self.quotes.weight) ** 2))


@dataclass(frozen=True, slots=True)
class Descent:
    """Where one descent ended."""

    x: Floats
    cost: float
    steps: int
    ended: int
    jac: Floats


def problem(
    quotes: Any,
    names: tuple[str, ...],
    fit: Fit,
    weights: str | ArrayLike | None,
    bounds: Mapping[str, tuple[float, float]] | None,
) -> Problem:
    """Quotes read and put into the kernel's units."""
    if fit not in ("vol", "price"):
        raise InvalidInput(f"fit is {fit!r}, must be 'vol' or 'price'")
    q = option_quotes.read(quotes, weights)
    option_quotes.fewest(q, names)
    box = _box(names, bounds or {})
    if fit == "vol":
        return Problem(q, names, kernel.IN_VOL, q.k, q.vol, q.weight, *box)
    unit = np.sqrt(q.forward * q.strike)
    side = np.where(q.k >= 0.0, 1.0, -1.0)
    target = black.price(
        right=side, forward=q.forward, strike=q.strike, years=q.each_years, vol=q.vol
    )
    return Problem(q, names, kernel.IN_PRICE, q.k, target / unit, q.weight * q.df * unit, *box)


def letters(params: ArrayLike) -> Floats:
    """The kernel's box letters of parameters, one set or a row each."""
    x = np.array(params, np.float64)
    with np.errstate(divide="ignore"):
        out = np.log(np.where(x > 0.0, x, np.nan))
    out[..., 4] = np.arctanh(x[..., 4])
    if x.shape[-1] > 6:
        out[..., 6] = x[..., 6]
    return out


def parameters(x: Floats) -> Floats:
    """The inverse of `letters`."""
    out = np.exp(x)
    out[..., 4] = np.tanh(x[..., 4])
    if x.shape[-1] > 6:
        out[..., 6] = x[..., 6]
    return out


def _box(
    names: tuple[str, ...], bounds: Mapping[str, tuple[float, float]]
) -> tuple[Floats, Floats]:
    """Least and greatest letters."""
    unknown = [name for name in bounds if name not in names]
    if unknown:
        raise InvalidInput(f"bounds name {', '.join(unknown)}; the model has {', '.join(names)}")
    pairs = []
    for name in names:
        low, high = bounds.get(name, BOUNDS[name])
        least = BOUNDS[name][0] if name in ("rho", "jump_mean") else 1e-12
        most = 0.99999 if name == "rho" else np.inf
        if not (min(least, -most) if name == "rho" else least) <= low <= high <= most:
            raise InvalidInput(
                f"bounds of {name} are ({low:g}, {high:g}), must rise and lie in its domain"
            )
        pairs.append((low, high))
    both = letters(np.array(pairs).T)
    return both[0], both[1]


def descend(task: Problem, start: Floats, max_steps: int) -> Descent:
    """One descent from letters, which are moved into the box first."""
    x = np.clip(np.where(np.isnan(start), task.low, start), task.low, task.high)
    size = len(task.quotes)
    r, jac = np.empty(size), np.empty((size, x.size))
    cost, steps, ended = kernel.fit(
        x, task.low, task.high, max_steps, task.kind, WITHIN, *task.arrays, r, jac
    )
    return Descent(x, cost, steps, ended, jac)


def search(task: Problem, starts: Floats, most: int, max_steps: int) -> list[Descent]:
    """Descents from the best starts, until one is exact or two of the best end alike."""
    starts = np.clip(starts, task.low, task.high)
    costs = kernel.score(starts, task.kind, COARSE, *task.arrays)
    costs = np.where(np.isfinite(costs), costs, np.inf)
    done: list[Descent] = []
    for i in _apart(starts, np.argsort(costs, kind="stable"), most):
        done.append(descend(task, starts[i], max_steps))
        best = min(d.cost for d in done)
        alike = sum(d.cost <= (1.0 + SAME) * best for d in done)
        if best <= task.exact or alike > 1:
            break
    return done


def _apart(starts: Floats, order: NDArray[np.int64], most: int) -> list[int]:
    """The best start, then the best of those in another speed or split, and so on."""
    picked: list[int] = []
    for i in order.tolist():
        if all(np.max(np.abs(starts[i] - starts[j])) > 0.5 for j in picked):
            picked.append(i)
        if len(picked) == most:
            break
    return picked


def best(done: list[Descent]) -> Descent:
    """The least cost; a NaN is none."""
    return min(done, key=lambda d: d.cost if np.isfinite(d.cost) else np.inf)


def at_bounds(task: Problem, x: Floats) -> tuple[str, ...]:
    """Names of letters on an edge."""
    on = (x - task.low < EDGE) | (task.high - x < EDGE)
    return tuple(name for name, hit in zip(task.names, on, strict=True) if hit)


def report(
    task: Problem, done: list[Descent], params: P, vector: Floats, feller: float, max_steps: int,
    fit: Fit,
) -> Calibration[P]:  # fmt: skip
    """The best descent in words and numbers."""
    found, q = best(done), task.quotes
    hit = at_bounds(task, found.x)
    if found.ended == kernel.STALLED:
        status = FitStatus.STALLED
    elif found.ended == kernel.OUT_OF_STEPS:
        status = FitStatus.OUT_OF_STEPS
    else:
        status = FitStatus.AT_BOUNDS if hit else FitStatus.CONVERGED
    covariance, vague = _covariance(task, found, hit)
    errors = np.sqrt(np.diag(covariance))
    if vague and status is FitStatus.CONVERGED:
        status = FitStatus.UNIDENTIFIED
    words = {"bounds": ", ".join(hit), "steps": max_steps, "vague": ", ".join(vague)}
    model_vol, model_price = _at(vector, q)
    off = model_vol - q.vol
    return Calibration(
        params=params,
        names=task.names,
        standard_errors=dict(zip(task.names, errors.tolist(), strict=True)),
        covariance=covariance,
        rmse_vol=float(np.sqrt(np.mean(off**2))),
        rmse_price=float(np.sqrt(np.mean((model_price - q.price) ** 2))),
        rmse_half_spreads=q.half_spreads_rms(off),
        max_error_vol=float(np.max(np.abs(off))),
        status=status,
        message=_WORDS[status].format(**words),
        at_bounds=hit,
        feller=feller,
        iterations=sum(d.steps for d in done),
        starts=len(done),
        fit=fit,
        removed=q.removed,
        quotes=q,
        model_vol=model_vol,
        model_price=model_price,
    )


def _at(vector: Floats, q: OptionQuotes) -> tuple[Floats, Floats]:
    """Vols and discounted prices of the model at the quotes; the latter by parity from one side."""
    T, side = q.each_years, np.where(q.strike >= q.forward, 1.0, -1.0)
    out = engine.run(vector, ["price"], side, q.forward, q.strike, T, 1.0)["price"]
    vol = implied.vol(price=out, right=side, forward=q.forward, strike=q.strike, years=T).vol
    inside = np.where(side == q.right, 0.0, np.abs(q.forward - q.strike))
    return np.asarray(vol), q.df * (out + inside)


def _covariance(
    task: Problem, found: Descent, hit: tuple[str, ...]
) -> tuple[Floats, tuple[str, ...]]:
    """Of the parameters, see `Calibration`; and the names of those the quotes do not tell apart."""
    size = len(task.names)
    free = np.array([name not in hit for name in task.names])
    out = np.full((size, size), np.nan)
    p = parameters(found.x)
    stretch = np.array(
        [1.0 - p[i] ** 2 if i == 4 else 1.0 if i == 6 else p[i] for i in range(size)]
    )
    jac = found.jac[:, free] / np.where(stretch[free] > 0.0, stretch[free], np.nan)
    degrees = int(np.count_nonzero(task.weight)) - int(free.sum())
    noise = 2.0 * found.cost / degrees if degrees > 0 else np.inf
    unit = np.linalg.norm(jac, axis=0)
    if not np.all(np.isfinite(unit) & (unit > 0.0)):
        return out, ()
    values, vectors = np.linalg.eigh((jac / unit).T @ (jac / unit))
    silent = values < 1e-13 * values[-1]
    inverse = (vectors / np.where(silent, 1.0, values)) @ vectors.T
    vague = (vectors[:, silent] ** 2).sum(axis=1) > 1e-6
    out[np.ix_(free, free)] = noise * inverse / np.outer(unit, unit)
    rows = np.flatnonzero(free)[vague]
    out[rows, rows] = np.inf  # also where the fit is exact and noise is zero
    return out, tuple(task.names[i] for i in rows)


def given(start: Any, kind: type) -> Floats | None:
    """Letters of the caller's start."""
    if start is None:
        return None
    first = start.params if isinstance(start, Calibration) else start
    check.kind("start", first, kind, hint="Give Parameters, or the Calibration before.")
    return letters(first.vector())


def solve(
    task: Problem, first: Floats | None, cold: Callable[[], Floats], starts: int, max_steps: int
) -> list[Descent]:
    """One descent from `first` if it ends well inside the box, else also a search from
    the parameters `cold()`.
    """
    check.count("max_steps", max_steps, 1, hint="The usual is 100.")
    check.count("starts", starts, 1, hint="The usual is 4; fewer are made where fits agree.")
    done = [] if first is None else [descend(task, first, max_steps)]
    if not done or done[0].ended or at_bounds(task, done[0].x):
        done += search(task, letters(cold()), starts, max_steps)
    if not np.isfinite(best(done).cost):
        raise CalibrationFailed(
            f"no start of {len(done)} has a finite error on {len(task.quotes)} quotes; check their "
            "units, or give a start"
        )
    return done
