"""Events and the weight of a weekend, read off the at-the-money variances of a chain.

An event is a jump in total variance between two neighbouring expiries that a smooth term structure
does not make. The model: forward variance is a Gaussian process, smooth in ln(time) (Matern 5/2),
plus a random walk for the ordinary unevenness of days, plus the errors of the quotes; an event adds
a step to every later expiry, an outlier to its own alone. How smooth, how uneven and how much worse
than stated the errors are is chosen by likelihood from a small grid, jointly with the events: a
rough curve thus asks more of an event than a calm one. Events and outliers enter one by one, by the
likelihood they gain, and must keep their place; event variance is never negative.

Units   tau in years of the clock used, w = vol^2 tau total variances; see `surfaces.curves.clock`.
Source  likelihood ratios in Gaussian process regression: C. E. Rasmussen and C. K. I. Williams,
        Gaussian Processes for Machine Learning (2006), 2.7 and 5.4.1. The mean-shift outlier:
        R. D. Cook and S. Weisberg, Residuals and Influence in Regression (1982), 2.2.2.
Checked tests/surfaces/curves/test_events.py, on simulated chains with known events.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize_scalar
from scipy.stats import norm

from surfaces import checks as check
from surfaces.curves.clock import Floats, VolClock
from surfaces.errors import InvalidInput
from surfaces.units import TRADING_DAYS

Indices = NDArray[np.int64]

# The grid: s.d. of forward variance along the curve and from day to day, as shares of its level,
# and how much larger the errors are than stated.
BENDS = (0.02, 0.05, 0.1, 0.2, 0.35, 0.6, 1.0, 1.8)
DAILY = (0.0, 0.15, 0.4)
INFLATION = (1.0, 1.7, 3.0, 6.0)
LENGTH = 1.5  # of the process, in e-folds of time
EARLY = 0.02  # years: within the first week time counts evenly
OUTLIER_Z = 4.0
OUTLIER_HANDICAP = 4.0  # of twice the log likelihood: an event on offer is believed first
UNSEEN = 1e-9  # share of a column's information that is left once the rest is known


@dataclass(frozen=True, slots=True, eq=False)
class Estimated:
    """What the term structure says of c candidates; arrays (c,).

    variance : of ln(price), >= 0; times the clock's other variance it explains the jump
    error : one standard error; infinite where no expiry tells
    significance : signed root of the likelihood ratio, in standard errors
    found : significant among so many candidates, at the chance of a false alarm asked for
    gap : the gap between expiries it lies in, 0 before the first; -1 before now or past the last
    shared : candidates in that gap; they cannot be told apart, and each has an equal part
    outliers : expiries whose variance belongs to no curve
    """

    variance: Floats
    error: Floats
    significance: Floats
    found: NDArray[np.bool_]
    gap: Indices
    shared: Indices
    outliers: Indices


class WeekendWeight(NamedTuple):
    """An hour of the weekend against an hour of the session, and its standard error."""

    weight: float
    error: float


def estimate_events(
    *,
    tau: ArrayLike,
    atm_variance: ArrayLike,
    errors: ArrayLike,
    candidates: ArrayLike | None = None,
    false_alarm: float = 1e-3,
) -> Estimated:
    """Event variance at each candidate instant, with its error and whether it is there at all.

    Measure `tau` on a clock with weekend weights, or a weekend may be taken for an event. Events at
    an expiry's own instant count for later ones only.

    Parameters
    ----------
    tau : (m,) years from now to each expiry, > 0, rising
    atm_variance : (m,) total variance at the money, vol^2 times the years it is quoted on
    errors : (m,) one standard error of each, > 0: twice vol times years times the error of vol
    candidates : (c,) years of tau from now; None tries the middle of every gap
    false_alarm : chance that any event at all is found where there is none

    Raises
    ------
    InvalidInput
        Unequal lengths, times that do not rise, errors that are not positive.
    """
    at, w, sd = _columns(tau, atm_variance, errors)
    edges = np.concatenate(([0.0], at))
    middle = 0.5 * (edges[1:] + edges[:-1])
    given = middle if candidates is None else candidates
    when = np.atleast_1d(check.finite("candidates", given, unit="years", hint="Years of tau."))
    if not 0.0 < false_alarm < 1.0:
        raise InvalidInput(f"false_alarm is {false_alarm:g}, must be a chance between 0 and 1")
    gap = np.searchsorted(at, when, side="right")
    gap = np.where((when >= 0.0) & (gap < at.size), gap, -1)
    tried = np.unique(gap[gap >= 0])
    steps = (np.arange(at.size)[:, None] >= tried).astype(np.float64)
    model = _Curve(at, w, sd, steps)
    chosen = _select(model, float(norm.isf(false_alarm / max(tried.size, 1))))
    shared = np.sum((gap[:, None] == gap) & (gap >= 0), axis=1)
    parts = np.maximum(shared, 1)
    # One column more than gaps were tried, for the candidates that no expiry sees.
    place = np.where(gap >= 0, np.searchsorted(tried, gap), tried.size)
    variance, error, z = model.read(chosen)
    return Estimated(
        np.append(variance, 0.0)[place] / parts,
        np.append(error, np.inf)[place] / parts,
        np.append(z, 0.0)[place],
        np.isin(1 + place, chosen) & (gap >= 0),
        gap,
        shared,
        np.sort(chosen[chosen > tried.size]) - tried.size - 1,
    )


def estimate_weekend_weight(
    *,
    now_ns: int,
    fixing_ns: ArrayLike,
    atm_variance: ArrayLike,
    errors: ArrayLike,
    clock: VolClock | None = None,
) -> WeekendWeight:
    """The weekend weight under which the forward variance of a dense chain is smoothest.

    Daily expiries are needed: only they tell a Friday's variance from a Monday's. All else of the
    clock is taken as given; what is measured is the weekend against a weekday, so the weight scales
    with 6.5 + 17.5 times the overnight weight. Known events go into `clock.events`.

    Parameters
    ----------
    now_ns : int64 ns UTC
    fixing_ns : (m,) ns UTC, rising
    atm_variance, errors : (m,) as in `estimate_events`
    clock : the default weights unless given
    """
    base = VolClock() if clock is None else clock
    fixing = np.asarray(fixing_ns, np.int64)
    at, w, sd = _columns(base.tau(now_ns, fixing), atm_variance, errors)
    w = w - base.event_variance(now_ns, fixing)
    none = np.zeros((at.size, 0))

    def likelihood(weight: float) -> Floats:
        tau = replace(base, weekend=weight).tau(now_ns, fixing)
        return _Curve(tau, w, sd, none).likelihood(np.array([0]))

    best = minimize_scalar(
        lambda x: -likelihood(float(np.exp(x))).max(),
        bounds=(np.log(1e-3), np.log(3.0)),
        method="bounded",
        options={"xatol": 1e-3},
    )
    weight = float(np.exp(best.x))
    here = likelihood(weight)
    h, step = int(np.argmax(here)), max(0.1 * weight, 5e-3)
    low = max(weight - step, 0.5 * weight)
    curvature = 2.0 * (
        (likelihood(weight + step)[h] - here[h]) / step
        - (here[h] - likelihood(low)[h]) / (weight - low)
    ) / (step + weight - low)  # fmt: skip
    error = float(1.0 / np.sqrt(-curvature)) if curvature < 0.0 else float("inf")
    return WeekendWeight(weight, error)


class _Curve:
    """One term structure under every setting of the grid, reduced to its normal equations.

    Column 0 is the level of variance, then the events' steps, then an outlier for each expiry.
    """

    def __init__(self, tau: Floats, w: Floats, sd: Floats, steps: Floats) -> None:
        m = tau.size
        level = float(np.median(w / tau))
        bend, daily = _wanderings(tau)
        columns = np.column_stack((w, tau, steps, np.eye(m)))
        self.expiries, self.events = steps.shape
        grams, logdet = [], []
        for a in BENDS:
            for q in DAILY:
                for s in INFLATION:
                    cov = level**2 * (a**2 * bend + q**2 * daily) + np.diag((s * sd) ** 2)
                    root = np.linalg.cholesky(cov)
                    white = np.linalg.solve(root, columns)
                    grams.append(white.T @ white)
                    logdet.append(2.0 * np.log(np.diag(root)).sum())
        gram = np.array(grams)
        self.normal, self.right, self.total = gram[:, 1:, 1:], gram[:, 1:, 0], gram[:, 0, 0]
        self.logdet = np.array(logdet)

    def _solved(self, chosen: Indices) -> tuple[Floats, Floats]:
        """Coefficients of the columns chosen and of all others on them, by setting."""
        inner = self.normal[:, chosen[:, None], chosen]
        both = np.concatenate((self.right[:, chosen, None], self.normal[:, chosen, :]), axis=2)
        solved = np.linalg.solve(inner, both)
        return solved[:, :, 0], solved[:, :, 1:]

    def likelihood(self, chosen: Indices) -> Floats:
        """Log likelihood by setting, at the best coefficients."""
        beta, _ = self._solved(chosen)
        rss = self.total - np.einsum("hi,hi->h", beta, self.right[:, chosen])
        return -0.5 * (rss + self.logdet)

    def left(self, chosen: Indices) -> tuple[Floats, Floats]:
        """What each column still explains (score) and could tell (information), by setting."""
        beta, along = self._solved(chosen)
        score = self.right - np.einsum("hi,hij->hj", beta, self.normal[:, chosen, :])
        own = np.diagonal(self.normal, axis1=1, axis2=2)
        information = own - np.einsum("hij,hij->hj", along, self.normal[:, chosen, :])
        return score, np.where(information > UNSEEN * own, information, 0.0)

    def gains(self, chosen: Indices) -> Floats:
        """Twice the log likelihood that each further column would add, settings chosen anew."""
        score, information = self.left(chosen)
        told = np.where(information > 0.0, score**2 / np.where(information > 0, information, 1), 0)
        events = slice(1, 1 + self.events)
        told[:, events] = np.where(score[:, events] > 0.0, told[:, events], 0.0)
        now = self.likelihood(chosen)
        return 2.0 * np.max(now[:, None] + 0.5 * told, axis=0) - 2.0 * now.max()

    def read(self, chosen: Indices) -> tuple[Floats, Floats, Floats]:
        """Variance, error and significance of every event, at the likeliest setting."""
        h = int(np.argmax(self.likelihood(chosen)))
        score, information = (a[h, 1 : 1 + self.events] for a in self.left(chosen))
        there = information > 0.0
        safe = np.where(there, information, 1.0)
        variance = np.where(there, np.maximum(score, 0.0) / safe, 0.0)
        error = np.where(there, 1.0 / np.sqrt(safe), np.inf)
        z = np.sqrt(np.maximum(self.gains(chosen)[1 : 1 + self.events], 0.0))
        beta = self._solved(chosen)[0][h]
        inverse = np.linalg.inv(self.normal[h][np.ix_(chosen, chosen)])
        for i, column in enumerate(chosen):
            if 1 <= column <= self.events:
                variance[column - 1] = beta[i]
                error[column - 1] = np.sqrt(inverse[i, i])
                z[column - 1] = np.sqrt(max(self.worth(chosen, column), 0.0))
        return variance, error, z

    def worth(self, chosen: Indices, column: int) -> float:
        """Twice the log likelihood that `column` adds to the others chosen."""
        return float(self.gains(chosen[chosen != column])[column])


def _select(model: _Curve, least: float) -> Indices:
    """Columns that earn their place, best first, each checked again once another has entered."""
    chosen = np.array([0])
    events = slice(1, 1 + model.events)
    bar = np.full(model.right.shape[1], OUTLIER_Z**2 + OUTLIER_HANDICAP)
    bar[events] = least**2
    handicap = np.where(np.arange(bar.size) > model.events, OUTLIER_HANDICAP, 0.0)
    dropped: set[int] = set()
    for _ in range(model.right.shape[1]):
        gain = model.gains(chosen) - handicap
        gain[np.append(chosen, list(dropped)).astype(np.int64)] = -np.inf
        gain[gain + handicap < bar] = -np.inf
        best = int(np.argmax(gain))
        if gain[best] == -np.inf or chosen.size > model.expiries // 2:
            break
        chosen = np.append(chosen, best)
        for column in chosen[1:]:
            if model.worth(chosen, int(column)) < bar[column]:
                chosen = chosen[chosen != column]
                dropped.add(int(column))
    return chosen


def _wanderings(tau: Floats) -> tuple[Floats, Floats]:
    """Covariances of total variance, (m, m), under a unit smooth process and a daily walk."""
    steps = np.diff(tau, prepend=0.0)
    x = np.log(tau - 0.5 * steps + EARLY)
    far = np.sqrt(5.0) * np.abs(x[:, None] - x) / LENGTH
    kernel = (1.0 + far + far**2 / 3.0) * np.exp(-far)
    sums = np.tri(tau.size) * steps
    return sums @ kernel @ sums.T, np.minimum(tau[:, None], tau) / TRADING_DAYS


def _columns(tau: ArrayLike, w: ArrayLike, sd: ArrayLike) -> tuple[Floats, Floats, Floats]:
    """The three columns, checked."""
    at = check.above("tau", tau, 0.0, unit="years", hint="Remove expired rows.")
    variance = check.above("atm_variance", w, 0.0, unit="", hint="Remove expiries without a fit.")
    error = check.above("errors", sd, 0.0, unit="", hint="One standard error of atm_variance.")
    if (
        not at.ndim == variance.ndim == error.ndim == 1
        or not at.size == variance.size == error.size
    ):
        raise InvalidInput(
            f"tau, atm_variance and errors have shapes {at.shape}, {variance.shape} and "
            f"{error.shape}, must be (m,) each"
        )
    if at.size == 0:
        raise InvalidInput("tau is empty; at least one expiry is needed")
    falls = np.diff(at) <= 0.0
    if falls.any():
        i = int(np.argmax(falls)) + 1
        raise InvalidInput(
            f"tau[{i}] is {at[i]:g} after {at[i - 1]:g}, must rise ({int(falls.sum())} of "
            f"{at.size} fail). Sort the expiries and keep one of each instant."
        )
    return at, variance, error
