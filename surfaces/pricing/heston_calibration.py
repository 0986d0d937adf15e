"""The fit of Heston and Bates to quotes, and what it reports. Called through `heston`, `bates`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from surfaces import checks as check
from surfaces.errors import CalibrationFailed, InvalidInput
from surfaces.kernels import heston_fit as kernel
from surfaces.pricing import black, implied, option_quotes
from surfaces.pricing import heston_engine as engine
from surfaces.pricing import heston_identification as identification
from surfaces.pricing.heston_letters import EDGE, Flags, Floats, box, letters, mirror
from surfaces.pricing.option_quotes import Fit, OptionQuotes

if TYPE_CHECKING:
    import polars as pl

P = TypeVar("P")

WITHIN = 1e-4  # agreement asked of two quadrature rules in a descent: 1e-8 of the better one
COARSE = 1e-3  # and where starts are only compared
EXACT = 1e-7  # root mean square residual in vol below which no other start is tried
SAME = 1e-3  # starts that end within this share of a cost ended alike
MANY = 50  # steps after which more are no remedy for letters hardly known
ALIKE = 4.0  # in squared deviations of the noise: two fits that differ by less are alike
TWINS = 0.02, 4.0  # in rho and in its errors: mirrors nearer than either are one minimum


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
        "converged with {bounds} at the edge of what is allowed: the quotes do not tell it apart, "
        "and errors of the others are those with it free; give more expiries or strikes, or other "
        "bounds"
    ),
    FitStatus.STALLED: (
        "no step improves the fit, and it is not at a minimum: check the quotes for outliers, or "
        "give a start"
    ),
    FitStatus.OUT_OF_STEPS: "still improving after {steps} steps: raise max_steps",
    FitStatus.UNIDENTIFIED: (
        "the quotes do not tell {vague} apart{why}: give more expiries or strikes, or hold some by "
        "bounds"
    ),
}
_SILENT = ", whose standard errors are infinite"
_MIRROR = (
    ", whose standard errors are infinite, as their mirror with the other sign of rho fits alike "
    "(strikes at the money do not show it; some off the money do)"
)
_LOOSE = " after {steps} steps, and their standard errors are of their own size or more"
_NO_SPARE = (
    "{have} quotes for {free} parameters leave none over to tell the standard errors by, which are "
    "infinite: give more quotes"
)


@dataclass(frozen=True, slots=True, eq=False)
class Calibration(Generic[P]):
    """Fitted parameters and how good they are. Errors are in vol, or in USD where named price.

    Standard errors and covariance are those of the parameters, in the order of `names`, if the
    residuals of the fit are independent noise: s^2 (J'J)^-1, s^2 the weighted residual variance.
    NaN for a parameter at its bound or held by bounds, infinite for one the quotes say nothing
    about. Beside a parameter at its bound the others' errors are those with it free to move: given
    the bound they would be many times too small. Figures are over quotes of a weight above zero.
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
            f"<Calibration {self.params}, rmse {self.rmse_vol:.3g} vol over "
            f"{np.count_nonzero(self.quotes.weight)} quotes, {self.message}>"
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
    def held(self) -> Flags:
        """Letters the caller fixed."""
        return self.low == self.high

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
    q = option_quotes.read(quotes, weights, fit)
    option_quotes.fewest(q, names)
    edges = box(names, {} if bounds is None else bounds)
    if fit == "vol":
        return Problem(q, names, kernel.IN_VOL, q.k, q.vol, q.weight, *edges)
    unit = np.sqrt(q.forward * q.strike)
    side = np.where(q.k >= 0.0, 1.0, -1.0)
    target = black.price(
        right=side, forward=q.forward, strike=q.strike, years=q.each_years, vol=q.vol
    )
    return Problem(q, names, kernel.IN_PRICE, q.k, target / unit, q.weight * q.df * unit, *edges)


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
    """Names of letters on an edge, but for those that are held."""
    return tuple(np.array(task.names)[_on_edge(task, x)].tolist())


def _on_edge(task: Problem, x: Floats) -> Flags:
    return ~task.held & ((x - task.low < EDGE) | (task.high - x < EDGE))


def report(
    task: Problem, done: list[Descent], params: P, vector: Floats, feller: float, max_steps: int,
    fit: Fit,
) -> Calibration[P]:  # fmt: skip
    """The best descent in words and numbers."""
    found, q = best(done), task.quotes
    status, message, covariance = _verdict(task, found, max_steps)
    errors = np.sqrt(np.diag(covariance))
    model_vol, model_price = _at(vector, q)
    used = q.weight > 0.0
    off = (model_vol - q.vol)[used]
    return Calibration(
        params=params,
        names=task.names,
        standard_errors=dict(zip(task.names, errors.tolist(), strict=True)),
        covariance=covariance,
        rmse_vol=float(np.sqrt(np.mean(off**2))),
        rmse_price=float(np.sqrt(np.mean((model_price - q.price)[used] ** 2))),
        rmse_half_spreads=q.half_spreads_rms(model_vol - q.vol),
        max_error_vol=float(np.max(np.abs(off))),
        status=status,
        message=message,
        at_bounds=at_bounds(task, found.x),
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


def _verdict(task: Problem, found: Descent, max_steps: int) -> tuple[FitStatus, str, Floats]:
    """(status, its words, covariance of the parameters)."""
    have, free = int(np.count_nonzero(task.weight)), int(np.count_nonzero(~task.held))
    noise = 2.0 * found.cost / (have - free) if have > free else np.inf
    edge = _on_edge(task, found.x)
    known = identification.told(found.x, found.jac, noise, task.held, edge)
    covariance, short = known.covariance, found.ended == kernel.OUT_OF_STEPS
    vague, why = known.silent, _SILENT
    if not vague.any() and _mirrored(task, found, np.sqrt(covariance[4, 4])):
        vague, why = np.isin(task.names, ("kappa", "theta", "rho")) & ~task.held & ~edge, _MIRROR
        identification.unknown(covariance, vague)
    elif not vague.any() and short and max_steps >= MANY:
        vague, why = known.loose, _LOOSE
    if found.ended == kernel.STALLED:
        status = FitStatus.STALLED
    elif short:
        status = FitStatus.UNIDENTIFIED if vague.any() else FitStatus.OUT_OF_STEPS
    elif edge.any():
        status = FitStatus.AT_BOUNDS
    else:
        bad = vague.any() or have <= free
        status = FitStatus.UNIDENTIFIED if bad else FitStatus.CONVERGED
    words = _WORDS[status] if status is not FitStatus.UNIDENTIFIED or vague.any() else _NO_SPARE
    names = np.array(task.names)
    message = words.format(
        bounds=", ".join(names[edge]), steps=max_steps, vague=", ".join(names[vague]),
        why=why.format(steps=max_steps), have=have, free=free,
    )  # fmt: skip
    return status, message, covariance


def _mirrored(task: Problem, found: Descent, error: float) -> bool:
    """Whether the model with the other sign of rho fits alike, and is a minimum of its own.

    Were it the same one, it would fit worse by the square of its distance in errors of rho.
    """
    other = mirror(found.x)
    inside = np.all((task.low <= other) & (other <= task.high))
    distance = 2.0 * abs(np.tanh(other[4]))
    if not inside or distance <= TWINS[0] or distance <= TWINS[1] * error:
        return False
    cost = float(kernel.score(other[None, :], task.kind, WITHIN, *task.arrays)[0])
    spare = max(int(np.count_nonzero(task.weight)) - int(np.count_nonzero(~task.held)), 1)
    return cost <= max(task.exact, found.cost * (1.0 + ALIKE / spare))


def given(start: Any, kind: type) -> Floats | None:
    """Letters of the caller's start."""
    if start is None:
        return None
    first = start.params if isinstance(start, Calibration) else start
    called = f"{kind.__module__.rpartition('.')[2]}.{kind.__name__}"
    check.kind("start", first, kind, hint="Or give the Calibration before.", called=called)
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
