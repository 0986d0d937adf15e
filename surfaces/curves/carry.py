"""ln(F/S) and the rate of every expiry, smoothed through time so that a theo does not jitter.

Each expiry's x = ln(F/S) is a Kalman filter: parity observes it with an error bar, it wanders by
`forward_noise` per square root of an hour. The rate is a plain exponential average of each refit's
posterior: quotes a minute apart repeat their errors, so counting them as independent would
wear the prior away. An expiry never observed borrows its neighbours' carry.

In its last two days an option on a traded stock has ever less room for a dividend, and within its
last day none: there ln(F/S) is all but known, and shrinks with the time left. Without that, a basis
point of noise in the last hour would read as a carry of several hundred per cent a year. Not so for
an index: its options follow a future that the cash index lags.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from surfaces.units import DAYS_PER_YEAR

Array = NDArray[np.float64]

NS_PER_HOUR = 3_600_000_000_000
SURPRISE = 4.0  # errors beyond which a reading of a settled forward counts less
LEAST_RATE_SD = 1e-3
LAST_DAYS = 2 / DAYS_PER_YEAR
START_SD = 5e-3  # of ln(F/S) before any pair was seen: room for a dividend about to go ex


@dataclass(frozen=True, slots=True)
class CarryConfig:
    """Prior and speed. Rates are continuously compounded per year."""

    rate_prior: float = 0.03
    rate_prior_sd: float = 0.015
    carry_prior_sd: float = 0.03  # dividend yield plus borrow
    forward_noise: float = 1e-4  # of ln(F/S) per square root of an hour
    forward_floor: float = 2e-5  # least error of one observation of ln(F/S)
    rate_memory_s: float = 1800.0


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
    spread = config.carry_prior_sd**2 + config.rate_prior_sd**2
    return CarryState(
        now_ns,
        years,
        config.rate_prior * years,
        spread * years**2 + (START_SD * _room(years, traded) ** 2) ** 2,
        np.full(m, config.rate_prior),
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
    """x for every expiry, the unseen ones by interpolated net carry, and where each came from.

    Labels: "parity", "carry_interpolated", "carry_prior".
    """
    known = np.flatnonzero(state.seen)
    if known.size == 0:
        return state.x.copy(), ["carry_prior"] * years.size
    order = known[np.argsort(years[known], kind="stable")]
    net = np.interp(years, years[order], state.x[order] / years[order])
    x = np.where(state.seen, state.x, net * years)
    return x, ["parity" if seen else "carry_interpolated" for seen in state.seen]


def pooled_rate(
    rates: list[tuple[float, float]], prior: float, prior_sd: float
) -> tuple[float, float]:
    """Precision-weighted mean of (rate, error) readings and the prior, and its standard error.

    Robust passes weigh down an expiry that disagrees by more than two of its errors.
    """
    value, information = prior, 1.0 / prior_sd**2
    if not rates:
        return value, prior_sd
    reading = np.array([r for r, _ in rates])
    sd = np.maximum(np.array([s for _, s in rates]), LEAST_RATE_SD)
    weight = 1.0 / sd**2
    for _ in range(4):
        total = weight.sum() + information
        value = float((weight @ reading + prior * information) / total)
        size = np.abs(reading - value) / sd
        weight = np.where(size <= 2.0, 1.0, 2.0 / np.maximum(size, 2.0)) / sd**2
    return value, float(1.0 / np.sqrt(total))
