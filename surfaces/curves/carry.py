"""ln(F/S) and the rate of every expiry, smoothed along the curve and through time.

One snapshot's rates are readings with errors, one or two an expiry: the slope of its parity line
and, for a share whose cash dividends are known, its net carry, as nothing but borrow is left to
tell it from the rate. `rate_curve` joins them: neighbours in time have nearly the same rate, and
all are near the prior.

Through time, x = ln(F/S) of each expiry, cash dividends taken off the share, is a Kalman filter:
parity observes it with an error bar, it wanders by `forward_noise` per square root of an hour. The
rate is a plain exponential average of each refit's posterior: quotes a minute apart repeat their
errors, so counting them as independent would wear the prior away. An expiry never observed borrows
its neighbours' carry.

In its last two days an option on a traded stock has ever less room for a dividend, and within its
last day none: there ln(F/S) is all but known, and shrinks with the time left. Without that, a basis
point of noise in the last hour would read as a carry of several hundred per cent a year. Not so for
an index: its options follow a future that the cash index lags.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from surfaces import checks as check
from surfaces.curves.parity import ChainParity
from surfaces.errors import InvalidInput
from surfaces.kernels import rates as kernel
from surfaces.units import DAYS_PER_YEAR, NS_PER_HOUR

Array = NDArray[np.float64]

LEAST_PRIOR_SD = 1e-6
SURPRISE = 4.0  # errors beyond which a reading of a settled forward counts less
LEAST_RATE_SD = 2e-4
SHORT_END = 0.25  # years: the curve's clock runs as ln(1 + years / SHORT_END)
MEMORY = 6.0  # of that clock: the rates of 3 months and of 2 years differ by 0.65 prior errors
FAR = 4.0  # errors from the prior beyond which a reading is no rate at all
LOUD = 2.0  # errors from the curve beyond which a reading counts less
SPOT_SD = 5e-4  # of ln(F/S): spot and options are not of the same instant
OWN_DOUBT = 1e-4  # and of one expiry against another, where its carry is read
DIVIDEND_DOUBT = 0.03  # share of the cash that may come otherwise than scheduled
PREMIUM_DOUBT = 0.15  # share of a premium that a flat vol may get wrong
CASH_DOUBT = 0.25  # and cash dividends with it: slopes of SPY and QQQ stray by 100 bp, carry by 30
MOST_GAP, MOST_FIRST_GAP = 0.01, 0.05  # of ln(F/S), after a first surface and before
MOST_CARRY = 0.2  # per year
AGREE, NEARLY_ALL = 0.25, 0.7  # within this share of each other, this share of the slices
LAST_DAYS = 2 / DAYS_PER_YEAR
START_SD = 5e-3  # of ln(F/S) before any pair was seen: room for a dividend about to go ex


@dataclass(frozen=True, slots=True)
class CarryConfig:
    """Prior and speed. Rates are continuously compounded per year.

    `rate_prior` and its error are one for all expiries or (m,), as of a bootstrapped curve.
    """

    rate_prior: float | Sequence[float] = 0.03
    rate_prior_sd: float | Sequence[float] = 0.015
    carry_prior_sd: float = 0.03  # dividend yield plus borrow
    borrow_sd: float = 0.0025  # what cash dividends leave unexplained, where they are given
    forward_noise: float = 1e-4  # of ln(F/S) per square root of an hour
    forward_floor: float = 2e-5  # least error of one observation of ln(F/S)
    rate_memory_s: float = 1800.0

    def prior(self, slices: int) -> tuple[Array, Array]:
        """Rate and its error for each of m slices, (m,); raises where the number is another."""
        return (
            _each("rate_prior", self.rate_prior, slices),
            np.maximum(_each("rate_prior_sd", self.rate_prior_sd, slices), LEAST_PRIOR_SD),
        )


def _each(name: str, value: float | Sequence[float], slices: int) -> Array:
    out = check.finite(name, value, unit="per year", hint="Give decimals, 0.05 for 5 %.")
    if out.ndim and out.shape != (slices,):
        raise InvalidInput(
            f"{name} has shape {out.shape}, must be one number or ({slices},), one a slice; "
            "slices are in the order of the chain"
        )
    return np.array(np.broadcast_to(out, (slices,)))


@dataclass(frozen=True, slots=True, eq=False)
class CarryState:
    """Beliefs about m expiries at `ts_ns`: x = ln(F/S), its variance, the rate; shape (m,)."""

    ts_ns: int
    years: Array
    x: Array
    variance: Array
    rate: Array
    seen: NDArray[np.bool_]
    rate_seen: NDArray[np.bool_]


def start(now_ns: int, years: Array, traded: NDArray[np.bool_], config: CarryConfig) -> CarryState:
    """The prior: no dividends, the prior rate, and errors with room for a dividend.

    `traded` (m,): the underlying itself is bought and sold at spot, as a stock is and no index.
    """
    m = years.size
    rate, rate_sd = config.prior(m)
    spread = config.carry_prior_sd**2 + rate_sd**2
    return CarryState(
        now_ns,
        years,
        rate * years,
        spread * years**2 + (START_SD * _room(years, traded) ** 2) ** 2,
        rate,
        np.zeros(m, bool),
        np.zeros(m, bool),
    )


def _room(years: Array, traded: NDArray[np.bool_]) -> Array:
    """Share of the usual room for a dividend: one, falling to zero over the last two days."""
    return np.where(traded, np.minimum(years / LAST_DAYS, 1.0), 1.0)


def predict(
    state: CarryState,
    now_ns: int,
    years: Array,
    traded: NDArray[np.bool_],
    config: CarryConfig,
) -> CarryState:
    """The same beliefs a while later: variances have grown, and a last day's x has shrunk."""
    hours = max(now_ns - state.ts_ns, 0) / NS_PER_HOUR
    room = _room(years, traded)
    shrunk = np.where(room < 0.5, np.minimum(years / state.years, 1.0), 1.0)
    return replace(
        state,
        ts_ns=now_ns,
        years=years,
        x=state.x * shrunk,
        variance=state.variance * shrunk**2 + (config.forward_noise * room) ** 2 * hours,
    )


def observe(state: CarryState, x: Array, sd: Array, config: CarryConfig) -> CarryState:
    """Fold in one reading of ln(F/S) per expiry, NaN where there was none."""
    there = np.isfinite(x) & np.isfinite(sd)
    noise = np.where(there, sd, 1.0) ** 2 + config.forward_floor**2
    gain = np.where(there, state.variance / (state.variance + noise), 0.0)
    moved = np.where(there, x - state.x, 0.0)
    # A reading far from a settled belief is more likely a bad minute than a new dividend: it
    # moves the state, but no further than one of `SURPRISE` errors would.
    surprise = np.abs(moved) / np.sqrt(state.variance + noise)
    gain = np.where(state.seen, gain * np.minimum(1.0, SURPRISE / np.maximum(surprise, 1e-9)), gain)
    return replace(
        state,
        x=state.x + gain * moved,
        variance=(1.0 - gain) * state.variance,
        seen=state.seen | there,
    )


def observe_rate(state: CarryState, rate: Array, since_ns: int, config: CarryConfig) -> CarryState:
    """Move each rate towards this refit's estimate, NaN where there was none; the first is taken.

    `since_ns`: when the last observation was made.
    """
    there = np.isfinite(rate)
    seconds = max(state.ts_ns - since_ns, 0) / 1e9
    step = 1.0 - np.exp(-seconds / config.rate_memory_s)
    gain = np.where(there, np.where(state.rate_seen, step, 1.0), 0.0)
    moved = np.where(there, rate - state.rate, 0.0)
    return replace(state, rate=state.rate + gain * moved, rate_seen=state.rate_seen | there)


def log_forward(state: CarryState, years: Array) -> tuple[Array, list[str]]:
    """x for every expiry, unseen ones interpolated (from zero now; past the last known by its net
    carry), and where each came from.

    Labels: "parity", "carry_interpolated", "carry_prior".
    """
    known = np.flatnonzero(state.seen)
    if known.size == 0:
        return state.x.copy(), ["carry_prior"] * years.size
    order = known[np.argsort(years[known], kind="stable")]
    # x itself, not x / years: that of an expiry in its last minutes is a lag over no time
    at, values = np.append(0.0, years[order]), np.append(0.0, state.x[order])
    beyond = values[-1] * years / at[-1]
    x = np.where(years > at[-1], beyond, np.interp(years, at, values))
    x = np.where(state.seen, state.x, x)
    return x, ["parity" if seen else "carry_interpolated" for seen in state.seen]


@dataclass(frozen=True, slots=True)
class RateReadings:
    """What one snapshot says of m rates in r ways, (m, r), NaN where nothing.

    `shared` (p, m, r): how a reading moves per standard error of each of p mistakes that all
    readings share.
    """

    rate: Array
    error: Array
    shared: Array


def rate_readings(
    found: ChainParity,
    x: Array,
    sd: Array,
    years: Array,
    *,
    paid: Array | None,
    config: CarryConfig,
) -> RateReadings:
    """Readings from slopes and, where `paid` = `CashDividends.log_paid` is given, from net carry.

    All (m,): `x` = ln(F/S) with error `sd`. What they share is the share of premia that is wrong,
    mids off to one side of the forward against the other, and how far spot is out of step with the
    options.
    """
    prior, prior_sd = config.prior(years.size)
    hidden = np.nan_to_num(found.leaning / (1.0 - found.leaning)) * (np.abs(prior) + prior_sd)
    hidden *= PREMIUM_DOUBT if paid is None else CASH_DOUBT
    slope_sd = np.hypot(found.rate_error, hidden)
    tilt, none = np.nan_to_num(found.tilt), np.zeros(years.size)
    if paid is None:
        shared = np.stack((hidden, tilt))[:, :, None]
        return RateReadings(found.rate[:, None], slope_sd[:, None], shared)
    uncertain = np.hypot(np.hypot(sd, OWN_DOUBT), DIVIDEND_DOUBT * paid) / years
    rate = np.stack((found.rate, (x - paid) / years), axis=1)
    error = np.stack((slope_sd, np.hypot(uncertain, config.borrow_sd)), axis=1)
    shared = np.array([[hidden, none], [tilt, none], [none, -SPOT_SD / years]])
    return RateReadings(rate, error, shared.transpose(0, 2, 1))


def rate_curve(years: Array, readings: RateReadings, config: CarryConfig) -> tuple[Array, Array]:
    """The rate of every slice and its standard error, (m,).

    A stationary Gaussian process about the prior (Ornstein-Uhlenbeck in ln(1 + years / 0.25)),
    joined with the mistakes that readings share; each reading weighed down as it strays.
    """
    prior, prior_sd = config.prior(years.size)
    clock = np.log1p(years / SHORT_END)
    order = np.argsort(clock, kind="stable")
    error = np.hypot(readings.error, LEAST_RATE_SD)
    there = np.isfinite(readings.rate) & np.isfinite(error)
    loose = error**2 + prior_sd[:, None] ** 2 + (readings.shared**2).sum(axis=0)
    gap = np.where(there, readings.rate - prior[:, None], 0.0)
    there &= np.abs(gap) < FAR * np.sqrt(loose)
    out = np.empty((2, years.size))
    ordered = (np.ascontiguousarray(a[order]) for a in (clock, prior_sd))
    kernel.curve(
        *ordered,
        np.ascontiguousarray(gap[order]),
        np.where(there, error, np.inf)[order],
        np.ascontiguousarray(readings.shared[:, order]),
        MEMORY,
        LOUD,
        out,
    )
    back = np.empty_like(out)
    back[:, order] = out
    return prior + back[0], back[1]


def common_gap(gaps: Array, seen: NDArray[np.bool_]) -> float:
    """ln(F/S) less what was believed of it, where nearly all of (m,) say the same; else zero."""
    told = gaps[np.isfinite(gaps) & (seen | ~seen.any())]
    if not told.size:
        return 0.0
    gap = float(np.median(told))
    agree = np.abs(told - gap) <= AGREE * abs(gap)
    return gap if agree.mean() >= NEARLY_ALL else 0.0


def spot_off(gaps: Array, seen: NDArray[np.bool_], years: Array) -> float:
    """`common_gap`, if it is too much to be carry: a mistyped spot, or one of another instant.
    Before a first surface carry itself is unknown, and the more so the longer; zero otherwise."""
    gap = common_gap(gaps, seen)
    if seen.any():
        return gap if abs(gap) > MOST_GAP else 0.0
    much = MOST_FIRST_GAP + MOST_CARRY * years[np.isfinite(gaps)]
    return gap if gap != 0.0 and np.all(abs(gap) > much) else 0.0
