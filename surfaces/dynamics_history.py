"""The skew-stickiness ratio that a market shows: vols at the money against the skew times the move.

    vol_change = alpha + R skew log_move + noise        (`surfaces.dynamics_changes` makes the rows)

Every expiry has its own alpha. Standard errors sum the scores of an instant over its expiries,
which share the move of spot, and weight lagged products by Bartlett (Newey and West 1987): steps
may overlap, and noise in a vol, which enters two neighbouring changes with opposite signs, is
allowed for.

What biases the ratio, and what says so
    noise in forwards   a forward read too high raises the move and reads the vol further along the
                        skew, by skew times as much: R is pulled towards 1, by the share of noise in
                        the variance of moves. `reliability` is 1 - that share by the covariance of
                        successive moves (Roll 1984); NOISY_MOVES.
    late quotes         vols that answer the move of a step before, because quotes are older than
                        spot, pull R towards 0: `late` is what the earlier move still explains, in
                        the unit of R (Dimson 1979); LATE_VOLS. A longer `step` is the remedy of
                        both.
    noise in vols       no bias, larger errors; `noise` is the share of the unexplained variance
                        that the surfaces' own errors account for.

Units   vols decimal, moves in ln, years ACT/365.
Source  L. Bergomi, Stochastic Volatility Modeling (2016), section 9.1.
Checked tests/surfaces/surface/test_dynamics_history.py: worlds with a known ratio, Heston's.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from surfaces import checks as check
from surfaces.dynamics_changes import AtmChanges
from surfaces.errors import InvalidInput
from surfaces.smiles.base import Array

BUCKETS = (1 / 365, 7 / 365, 30 / 365, 91 / 365, 1.0, 10.0)  # edges in years
LEAST = 20  # steps that do not overlap, below which no error can be trusted
RANGE = (
    0.0,
    3.0,
)  # sticky moneyness; local volatility with a skew that falls with the root of time
TELLING = 0.5  # a standard error that does not tell neighbouring rules, one apart, at two of them
NOISE = 0.1  # share of moves that is noise, beyond what chance gives
LATE = 0.1  # of the ratio
SMALLEST = 1e-9  # a ln move, or a skew, that is none: a millionth of a cent in 10 USD


class Status(IntEnum):
    """What a bucket's ratio is worth; `words` says what to do."""

    OK = 0
    TOO_FEW = 1
    SMALL_MOVES = 2
    NOISY_MOVES = 3
    LATE_VOLS = 4
    IMPLAUSIBLE = 5
    NO_SKEW = 6
    NO_MOVE = 7

    @property
    def words(self) -> str:
        """One sentence; empty for OK."""
        return _WORDS[self]


_WORDS = {
    Status.OK: "",
    Status.TOO_FEW: "too few instants for a ratio: give a longer history",
    Status.SMALL_MOVES: (
        "moves are too small for the noise: two standard errors do not tell sticky strike from its "
        "neighbours; give more days, or a longer step"
    ),
    Status.NOISY_MOVES: (
        "moves of the forward undo themselves at the next step, as noise does, which pulls the "
        "ratio towards 1: use a longer step"
    ),
    Status.LATE_VOLS: (
        "vols still answer the move of the step before, so the ratio is too close to 0: quotes are "
        "older than spot; use a longer step"
    ),
    Status.IMPLAUSIBLE: (
        "below 0 or above 3 by more than two errors, which no rule and no diffusion gives: stale "
        "quotes under a small skew look so; use a longer step, or take no ratio from this bucket"
    ),
    Status.NO_SKEW: (
        "no skew where the forward moved, so every ratio moves vols alike: give changes of curves "
        "with a skew"
    ),
    Status.NO_MOVE: (
        "the forward did not move, or by the same amount at each step, so no ratio can be told: "
        "give a history in which it moves"
    ),
}


class Bucket(NamedTuple):
    """The ratio of expiries from `low` to `high` years, and what it rests on."""

    low: float
    high: float
    ratio: float  # R; NaN if TOO_FEW, NO_SKEW or NO_MOVE
    error: float  # one standard error
    rows: int
    instants: int
    expiries: int
    move: float  # root mean square of ln moves
    explained: float  # share of the variance of vol changes
    noise: float  # of the unexplained variance, by the surfaces' own errors; NaN if unknown
    reliability: float  # share of the variance of moves that is not noise
    late: float  # what the move of the step before adds, in the unit of the ratio
    status: Status

    def __str__(self) -> str:
        days = f"{365 * self.low:.0f} to {365 * self.high:.0f} days"
        if np.isnan(self.ratio):
            return f"{days}: {self.status.words} ({self.instants})"
        said = f"; {self.status.words}" if self.status.words else ""
        return (
            f"{days}: R {self.ratio:.2f} ± {self.error:.2f}, {self.instants} instants, "
            f"{self.expiries} expiries{said}"
        )


@dataclass(frozen=True, slots=True)
class Stickiness:
    """Ratios by bucket of expiry, shortest first; `str` is a table of them."""

    buckets: tuple[Bucket, ...]
    step: int
    lags: int

    def __iter__(self) -> Iterator[Bucket]:
        return iter(self.buckets)

    def __str__(self) -> str:
        return "\n".join(map(str, self.buckets))


def skew_stickiness(
    changes: AtmChanges,
    *,
    edges: Sequence[float] = BUCKETS,
    lags: int | None = None,
    least: int = LEAST,
) -> Stickiness:
    """Estimate R in each bucket of years to expiry; buckets without a row are left out.

    Parameters
    ----------
    changes : from `dynamics_changes.of_surfaces` or `of_frame`; rows with a NaN are left out
    edges : years, rising; a row belongs where its years at the start are >= low and < high
    lags : products of scores so many instants apart enter the error; default the larger of the
        changes' step and 4 (n/100)^(2/9)
    least : steps that do not overlap, below which there is no ratio

    Raises
    ------
    InvalidInput
        Edges do not rise, `lags` is negative, `least` below 5.
    """
    check.kind("changes", changes, AtmChanges, hint="dynamics_changes.of_surfaces makes them.")
    bounds = check.at_least("edges", edges, 0.0, unit="years", hint="From short to long.")
    if bounds.ndim != 1 or bounds.size < 2 or not (np.diff(bounds) > 0.0).all():
        raise InvalidInput("edges must be two or more years that rise")
    least = check.count("least", least, 5, hint="An error needs some instants.")
    if lags is not None:
        lags = check.count("lags", lags, 0, hint="Zero takes instants as independent.")
    x = changes.skew * changes.log_move
    good = np.isfinite(x * changes.vol_change)
    found, used = [], 0
    for low, high in pairwise(bounds.tolist()):
        rows = np.flatnonzero(good & (changes.years >= low) & (changes.years < high))
        if rows.size:
            n = np.unique(changes.start_ns[rows]).size
            far = max(changes.step, int(4.0 * (n / 100.0) ** (2.0 / 9.0))) if lags is None else lags
            used = max(used, far)
            found.append(_bucket(changes, rows, (low, high), far, least))
    return Stickiness(tuple(found), changes.step, used)


def _bucket(
    changes: AtmChanges, rows: NDArray[np.int64], span: tuple[float, float], lags: int, least: int
) -> Bucket:
    """The regression of one bucket."""
    names, of = np.unique(changes.expiry[rows], return_inverse=True)
    stamps, at = np.unique(changes.start_ns[rows], return_inverse=True)
    move = changes.log_move[rows]
    size = float(np.sqrt(np.mean(move * move)))
    x = _centred(changes.skew[rows] * move, of)
    y = _centred(changes.vol_change[rows], of)
    within = float(x @ x)
    empty = Bucket(
        *span, np.nan, np.nan, rows.size, stamps.size, names.size, size,
        np.nan, np.nan, np.nan, np.nan, Status.TOO_FEW,
    )  # fmt: skip
    if stamps.size < least * changes.step or rows.size <= names.size + 1:
        return empty
    if np.abs(_centred(move, of)).max() <= SMALLEST:
        return empty._replace(status=Status.NO_MOVE)
    if within <= 0.0 or np.abs(changes.skew[rows]).max() <= SMALLEST:
        return empty._replace(status=Status.NO_SKEW)
    ratio = float(x @ y) / within
    left = y - ratio * x
    score = np.bincount(at, x * left).astype(np.float64)
    free = stamps.size / max(stamps.size - 2.0, 1.0)
    error = float(np.sqrt(free * max(_long_run(score, lags), 0.0))) / within
    whole, unexplained = float(y @ y), float(left @ left)
    reliability, chance = _reliability(np.bincount(at, move) / np.bincount(at), changes.step)
    late, late_error = _late(changes, rows, left, at, lags)
    status = Status.OK
    if error > TELLING:
        status = Status.SMALL_MOVES
    elif not RANGE[0] - 2.0 * error <= ratio <= RANGE[1] + 2.0 * error:
        status = Status.IMPLAUSIBLE
    elif 1.0 - reliability > NOISE + chance:
        status = Status.NOISY_MOVES
    elif late > max(LATE * abs(ratio), 3.0 * late_error):
        status = Status.LATE_VOLS
    own = changes.vol_error[rows]
    return empty._replace(
        ratio=ratio,
        error=error,
        explained=1.0 - unexplained / whole if whole > 0.0 else np.nan,
        noise=float(own @ own) / unexplained if unexplained > 0.0 else np.nan,
        reliability=reliability,
        late=late,
        status=status,
    )


def _centred(values: Array, of: NDArray[np.int64]) -> Array:
    """Less the mean of each group."""
    return values - (np.bincount(of, values) / np.bincount(of))[of]


def _long_run(score: Array, lags: int) -> float:
    """Variance of the sum of `score`, Bartlett's weights on products up to `lags` apart."""
    total = float(score @ score)
    for lag in range(1, min(lags, score.size - 1) + 1):
        total += 2.0 * (1.0 - lag / (lags + 1.0)) * float(score[lag:] @ score[:-lag])
    return total


def _reliability(move: Array, step: int) -> tuple[float, float]:
    """1 - the share of noise in moves, by those one step later, and two errors of that share."""
    if move.size <= step + 1:
        return np.nan, np.inf
    centred = move - move.mean()
    variance = float(centred @ centred) / move.size
    if variance <= 0.0:
        return np.nan, np.inf
    shared = float(centred[step:] @ centred[:-step]) / (move.size - step)
    return 1.0 - 2.0 * max(-shared / variance, 0.0), 4.0 * np.sqrt(step / move.size)


def _late(
    changes: AtmChanges, rows: NDArray[np.int64], left: Array, at: NDArray[np.int64], lags: int
) -> tuple[float, float]:
    """Slope of what is left on skew times the move of the step before, and its error."""
    key = {
        (name, end): i
        for i, (name, end) in enumerate(
            zip(changes.expiry.tolist(), changes.end_ns.tolist(), strict=True)
        )
    }
    starts = zip(changes.expiry[rows].tolist(), changes.start_ns[rows].tolist(), strict=True)
    before = np.array([key.get(pair, -1) for pair in starts])
    there = np.flatnonzero(before >= 0)
    x = changes.skew[rows[there]] * changes.log_move[before[there]]
    there, x = there[np.isfinite(x)], x[np.isfinite(x)]
    if there.size < 2 or not (x @ x) > 0.0:
        return np.nan, np.inf
    x = x - x.mean()
    slope = float(x @ left[there]) / float(x @ x)
    score = np.bincount(at[there], x * (left[there] - slope * x)).astype(np.float64)
    return slope, float(np.sqrt(max(_long_run(score, lags), 0.0))) / float(x @ x)
