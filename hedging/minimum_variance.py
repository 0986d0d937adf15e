"""The coefficients of Hull and White's delta, estimated from hedged options, over a rolling window.

What a Black hedge leaves is regressed on what spot moves of the vol, without a constant, calls and
puts apart (equation 6 of the paper):

    dV - delta dS = (vega / sqrt(T)) (dS / S) (a + b delta + c delta^2) + noise

and `hedging.delta.minimum_variance` hedges with the result. Options of one instant share the move
of spot and most of the noise, so errors sum the scores of an instant first. The gain is
1 - SSE(minimum variance) / SSE(Black), in the sample of the estimate or after it.

All that is kept of an instant are its sums (`Blocks`). A window adds its blocks up anew, oldest
first: nothing is ever subtracted, so ten years of updates are as exact as one estimate. Give
changes that follow one another (a day each, say); ones that overlap would make errors too small.

The paper uses changes of a day, 36 months to estimate and the month after to test, options with 14
days or more to expiry and a delta of 0.05 to 0.95 in size, which are the defaults here.

Units   changes and spot in USD per share; delta in shares per share, negative for a put; vega in
        USD per 1.00 of vol; years ACT/365.
Source  J. Hull and A. White, J. Banking & Finance 82 (2017) 180-190.
Checked tests/hedging/test_minimum_variance.py: known coefficients, least squares by numpy, and
        Heston's model, whose minimum-variance delta is known.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hedging import delta as deltas
from hedging.errors import InvalidInput
from surfaces import checks as check
from surfaces.errors import InvalidInput as Refused
from surfaces.units import NS_PER_YEAR

Array = NDArray[np.float64]

YEARS = 3.0  # of the window
LEAST = 60  # instants, a quarter of a year of days
TERMS = 3
RANK = 1e-12  # least eigenvalue of the scaled normal equations, of at most three


class Status(IntEnum):
    """Whether there are coefficients; `words` says what to do."""

    OK = 0
    TOO_FEW = 1
    NO_SPREAD = 2

    @property
    def words(self) -> str:
        """One sentence; empty for OK."""
        return _WORDS[self]


_WORDS = {
    Status.OK: "",
    Status.TOO_FEW: "too few instants with usable options: lengthen the window or wait",
    Status.NO_SPREAD: (
        "deltas do not spread enough, or spot did not move, so the three coefficients cannot be "
        "told apart: use options of more strikes"
    ),
}


@dataclass(frozen=True, slots=True, eq=False)
class Blocks:
    """Sums of one right by instant, (t,) in order of time; `joined` and `between` make others."""

    ts_ns: NDArray[np.int64]
    gram: Array  # (t, 3, 3) of the regressors
    cross: Array  # (t, 3) of regressors and what Black leaves
    square: Array  # (t,) of what Black leaves, USD^2
    rows: NDArray[np.int64]

    def between(self, start_ns: int, end_ns: int) -> "Blocks":
        """Instants from `start_ns` to before `end_ns`."""
        return self._cut(*np.searchsorted(self.ts_ns, [start_ns, end_ns]))

    def last(self, instants: int) -> "Blocks":
        """The last so many."""
        return self._cut(max(self.ts_ns.size - instants, 0), self.ts_ns.size)

    def joined(self, later: "Blocks") -> "Blocks":
        """These and later ones. Raises InvalidInput if they are not later."""
        if self.ts_ns.size and later.ts_ns.size and later.ts_ns[0] <= self.ts_ns[-1]:
            raise InvalidInput(
                f"later starts at {later.ts_ns[0]} ns, must be after {self.ts_ns[-1]} ns; put all "
                "options of an instant into one call"
            )
        return Blocks(
            *(
                np.concatenate([getattr(self, name), getattr(later, name)])
                for name in self.__slots__
            )
        )

    def _cut(self, start: int, stop: int) -> "Blocks":
        return Blocks(*(getattr(self, name)[start:stop] for name in self.__slots__))

    def error_of(self, coefficients: ArrayLike) -> float:
        """Sum of squares, USD^2, that a hedge with `coefficients` would have left."""
        c = np.asarray(coefficients, np.float64)
        gram, cross = self.gram.sum(axis=0), self.cross.sum(axis=0)
        return float(self.square.sum() - 2.0 * c @ cross + c @ gram @ c)


class Estimate(NamedTuple):
    """Coefficients of one right, NaN unless the status is OK."""

    coefficients: tuple[float, float, float]
    errors: tuple[float, float, float]  # one standard error each; they are strongly correlated
    gain: float  # in the sample
    rows: int
    instants: int
    status: Status


class Period(NamedTuple):
    """One estimate of `rolling`, and what it did on the instants after it."""

    start_ns: int  # of those, and the end of the window
    end_ns: int  # last of those
    estimate: Estimate
    black: float  # sum of squares, USD^2, of the Black hedge; NaN without an estimate
    minimum_variance: float


@dataclass(frozen=True, slots=True)
class Rolling:
    """Estimates in order of time; each was tested on instants that it had not seen."""

    periods: tuple[Period, ...]

    @property
    def gain(self) -> float:
        """Out of sample, over all periods with an estimate; NaN without one."""
        made = [p for p in self.periods if p.estimate.status is Status.OK]
        black = sum(p.black for p in made)
        return 1.0 - sum(p.minimum_variance for p in made) / black if black > 0.0 else np.nan


@dataclass(frozen=True, slots=True)
class MinimumVariance:
    """Estimates of both rights, ready to hedge with."""

    call: Estimate
    put: Estimate

    def delta(
        self,
        delta: ArrayLike,
        vega: ArrayLike,
        *,
        right: ArrayLike,
        spot: ArrayLike,
        years: ArrayLike,
    ) -> Array:
        """Hull-White deltas, broadcast shape; the Black delta where the right has no estimate.

        `right` +1 or "c" for a call, -1 or "p" for a put; others as in
        `hedging.delta.minimum_variance`. Raises InvalidInput for any other right.
        """
        with _refusals():
            call = check.right(right) > 0.0
        out = [np.asarray(delta, np.float64)] * 2
        for i, mine in enumerate((self.call, self.put)):
            if mine.status is Status.OK:
                out[i] = deltas.minimum_variance(
                    delta, vega, spot=spot, years=years, coefficients=mine.coefficients
                )
        return np.where(call, out[0], out[1])


def blocks(
    *,
    ts_ns: ArrayLike,
    delta: ArrayLike,
    vega: ArrayLike,
    years: ArrayLike,
    spot: ArrayLike,
    option_change: ArrayLike,
    spot_change: ArrayLike,
    least_years: float = 14.0 / 365.0,
    delta_range: tuple[float, float] = (0.05, 0.95),
) -> Blocks:
    """Add up the hedged changes of options of one right, shape (n,) each, in any order.

    Parameters
    ----------
    ts_ns : when each change began, ns UTC; equal for options that share a move of spot
    delta, vega, years, spot : of then, by Black
    option_change, spot_change : USD per share, until the next instant
    least_years, delta_range : rows with less time, or a delta of a size outside, are left out, and
        so are rows with a number that is not finite

    Raises
    ------
    InvalidInput
        Shapes disagree, what is no number or time, or deltas of both signs: give calls and puts
        apart.
    """
    stamp = _stamps(ts_ns)
    columns = {"delta": delta, "vega": vega, "years": years, "spot": spot}
    columns |= {"option_change": option_change, "spot_change": spot_change}
    with _refusals():
        found = {name: check.numbers(name, value) for name, value in columns.items()}
    for name, value in found.items():
        if stamp.ndim != 1 or value.shape != stamp.shape:
            raise InvalidInput(
                f"{name} has shape {value.shape} and ts_ns {stamp.shape}: one row a change"
            )
    d, nu, tau, at_spot, dv, ds = found.values()
    size = np.abs(d)
    with np.errstate(invalid="ignore"):
        use = np.isfinite(d + nu + tau + at_spot + dv + ds) & (tau >= least_years)
        use &= (tau > 0.0) & (at_spot > 0.0)
        use &= (size >= delta_range[0]) & (size <= delta_range[1])
    if (d[use] > 0.0).any() and (d[use] < 0.0).any():
        raise InvalidInput("delta has both signs; calls and puts have coefficients of their own")
    d, nu, tau, at_spot, dv, ds = (a[use] for a in (d, nu, tau, at_spot, dv, ds))
    x = (nu / np.sqrt(tau) * (ds / at_spot))[:, None] * np.stack(
        [np.ones(d.size), d, d * d], axis=1
    )
    y = dv - d * ds
    instants, at = np.unique(stamp[use], return_inverse=True)
    t = instants.size
    gram, cross = np.zeros((t, TERMS, TERMS)), np.zeros((t, TERMS))
    for i in range(TERMS):
        cross[:, i] = np.bincount(at, x[:, i] * y, minlength=t)
        for j in range(TERMS):
            gram[:, i, j] = np.bincount(at, x[:, i] * x[:, j], minlength=t)
    square = np.bincount(at, y * y, minlength=t).astype(np.float64)
    return Blocks(instants, gram, cross, square, np.bincount(at, minlength=t).astype(np.int64))


def estimate(window: Blocks, *, least: int = LEAST) -> Estimate:
    """Coefficients of a window, or why there are none: fewer than `least` instants, no spread."""
    t, rows = window.ts_ns.size, int(window.rows.sum())
    nothing = (np.nan, np.nan, np.nan)
    least = _count("least", least, TERMS + 1, "Three coefficients need more.")
    if t < least:
        return Estimate(nothing, nothing, np.nan, rows, t, Status.TOO_FEW)
    gram, cross = window.gram.sum(axis=0), window.cross.sum(axis=0)
    unit = np.sqrt(np.diag(gram))
    if not (unit > 0.0).all() or np.linalg.eigvalsh(gram / np.outer(unit, unit))[0] < RANK:
        return Estimate(nothing, nothing, np.nan, rows, t, Status.NO_SPREAD)
    scaled = gram / np.outer(unit, unit)
    c = np.linalg.solve(scaled, cross / unit) / unit
    score = window.cross - window.gram @ c  # (t, 3): of an instant, all its options together
    inverse = np.linalg.inv(scaled) / np.outer(unit, unit)
    covariance = inverse @ (score.T @ score) @ inverse * (t / (t - TERMS))
    black = float(window.square.sum())
    gain = 1.0 - window.error_of(c) / black if black > 0.0 else 0.0
    a, b, second = c.tolist()
    e0, e1, e2 = np.sqrt(np.diag(covariance)).tolist()
    return Estimate((a, b, second), (e0, e1, e2), gain, rows, t, Status.OK)


def rolling(
    history: Blocks,
    *,
    years: float = YEARS,
    instants: int | None = None,
    refit: int = 21,
    least: int = LEAST,
) -> Rolling:
    """Estimate every `refit` instants on the window before, and hedge the instants up to the next.

    Parameters
    ----------
    history : of one right
    years : length of the window, ACT/365; the window never includes the instants it is tested on
    instants : its length in instants instead
    refit : instants from one estimate to the next; 21 days are the paper's month
    least : instants below which there is no estimate; the first tests start after so many

    Raises
    ------
    InvalidInput
        A length is not above zero, or a count of instants no whole number.
    """
    with _refusals():
        span = check.above("years", years, 0.0, unit="years", hint="The paper has 3.")
        years = check.one("years", span)
    refit = _count("refit", refit, 1, "Instants from one estimate to the next.")
    least = _count("least", least, TERMS + 1, "Three coefficients need more.")
    if instants is not None:
        instants = _count("instants", instants, 1, "The length of the window; None takes years.")
    found = []
    stamps = history.ts_ns
    for i in range(least, stamps.size, refit):
        seen = history._cut(0, i)
        if instants is not None:
            window = seen.last(instants)
        else:
            now = int(stamps[i])
            window = seen.between(now - round(years * NS_PER_YEAR), now)
        made = estimate(window, least=least)
        test = history._cut(i, min(i + refit, stamps.size))
        good = made.status is Status.OK
        found.append(
            Period(
                int(test.ts_ns[0]),
                int(test.ts_ns[-1]),
                made,
                float(test.square.sum()) if good else np.nan,
                test.error_of(made.coefficients) if good else np.nan,
            )
        )
    return Rolling(tuple(found))


@contextmanager
def _refusals() -> Iterator[None]:
    """What checks of the floor below refuse is refused by this floor."""
    try:
        yield
    except Refused as bad:
        raise InvalidInput(str(bad)) from None


def _count(name: str, value: object, least: int, hint: str) -> int:
    with _refusals():
        return check.count(name, value, least, hint=hint)


def _stamps(values: ArrayLike) -> NDArray[np.int64]:
    """Instants in ns UTC; whole numbers, or numpy's times of any unit."""
    raw = np.asarray(values)
    if raw.dtype.kind == "M":
        return raw.astype("datetime64[ns]").astype(np.int64)
    good = np.asarray(raw.dtype.kind in "iuf" and (np.abs(raw) < 2.0**63) & (raw == np.rint(raw)))
    if not good.all():
        at = int(np.argmin(good)) if good.ndim else 0
        said = " ".join(repr(raw.ravel().tolist()[at]).split())
        raise InvalidInput(
            f"ts_ns is {said:.80}, must be whole nanoseconds since 1970 UTC, or datetime64. Parse "
            "text into times first."
        )
    return raw.astype(np.int64)
