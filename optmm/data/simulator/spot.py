"""The underlying's path: stochastic variance with leverage, a U-shaped day, rare jumps.

Business time u in years. With x the log-return since the open and f the forward variance,
    dx = -v/2 du + sqrt(v) dW + jumps,    v = f(u) exp(L),
    L  = -c x - c^2 <x> / 2 + Y - Var(Y) / 2,    dY = -kappa Y du + xi dZ,
so f is the expected variance (both exponentials are martingales) and implied and realised variance
agree on average. c > 0 is the leverage: its size follows from the smile's skew and its
skew-stickiness ratio, so that prices and path tell one story.
Source  L. Bergomi, Stochastic Volatility Modeling (2016) ch. 7 (lognormal forward variance, one
        factor); the leverage term is ours.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from optmm.data.simulator.clock import BUSINESS_DAYS_PER_YEAR, Clock
from optmm.data.simulator.config import SimulationConfig
from optmm.market.events import Kind, empty
from surfaces.units import NS_PER_YEAR

Floats = NDArray[np.float64]

LOG_VARIANCE_LIMIT = 2.5
CENT_E9 = 10_000_000
SIZE_MEDIAN_SHARES = 400.0


@dataclass(frozen=True, slots=True)
class SpotPath:
    """The truth on the one-second grid; arrays of shape (seconds + 1,)."""

    spot: Floats  # USD
    log_return: Floats  # x, since the open, carry excluded
    quadratic: Floats  # <x>, variance accumulated since the open
    factor: Floats  # Y
    factor_variance: Floats  # Var(Y), known in advance
    variance: Floats  # of the log-return over the second that ends here; 0 at the open


def forward_variance(config: SimulationConfig, elapsed: Floats) -> Floats:
    """Variance expected from the open to `elapsed` business days later, dimensionless."""
    years = elapsed / BUSINESS_DAYS_PER_YEAR
    far, near = config.long_vol_per_year**2, config.spot_vol_per_year**2
    kappa = config.term_reversion_per_year
    return far * years + (near - far) * -np.expm1(-kappa * years) / kappa


def simulate_spot(
    config: SimulationConfig, clock: Clock, leverage: float, streams: dict[str, np.random.Generator]
) -> SpotPath:
    """Draw the path. `leverage` is c above; streams "spot", "variance" and "jumps" are consumed."""
    elapsed = clock.elapsed
    expected = np.diff(forward_variance(config, elapsed))
    daily_jumps = config.jumps_per_day * config.jump_sd_log**2
    diffusive = 1.0 - daily_jumps / (config.spot_vol_per_year**2 / BUSINESS_DAYS_PER_YEAR)
    n = clock.seconds
    shocks = streams["spot"].standard_normal(n)
    count = streams["jumps"].poisson(config.jumps_per_day * np.diff(elapsed))
    jumps = config.jump_sd_log * np.sqrt(count) * streams["jumps"].standard_normal(n)
    factor, factor_variance = _factor(config, elapsed, streams["variance"])
    free = factor - 0.5 * factor_variance
    x, q, variance = np.zeros(n + 1), np.zeros(n + 1), np.zeros(n + 1)
    # plain floats: a loop over numpy scalars is five times slower, and L depends on the path
    at, total = 0.0, 0.0
    rows = zip(
        expected.tolist(), shocks.tolist(), jumps.tolist(), count.tolist(), free.tolist(),
        strict=False,
    )  # fmt: skip
    for i, (budget, shock, jump, jumped, drive) in enumerate(rows, start=1):
        level = drive - leverage * at - 0.5 * leverage * leverage * total
        level = min(max(level, -LOG_VARIANCE_LIMIT), LOG_VARIANCE_LIMIT)
        v = diffusive * budget * math.exp(level)
        at += -0.5 * v + math.sqrt(v) * shock + jump
        total += v + jumped * config.jump_sd_log**2
        x[i], q[i], variance[i] = at, total, v
    carry = config.rate_per_year - config.dividend_yield_per_year
    years = (clock.grid_ns - clock.session.open_ns) / NS_PER_YEAR
    spot = config.spot_usd * np.exp(carry * years + x)
    return SpotPath(spot, x, q, factor, factor_variance, variance)


def _factor(
    config: SimulationConfig, elapsed: Floats, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """Y and Var(Y) on the grid, started at zero; exact transitions in business time."""
    years = elapsed / BUSINESS_DAYS_PER_YEAR
    kappa, xi = config.variance_reversion_per_year, config.vol_of_variance_per_sqrt_year
    variance = xi * xi * -np.expm1(-2.0 * kappa * years) / (2.0 * kappa)
    growth = np.exp(kappa * years)  # Y e^(kappa u) is a martingale: sum its independent steps
    steps = np.sqrt(np.diff(variance * growth**2)) * rng.standard_normal(years.size - 1)
    return np.concatenate(([0.0], np.cumsum(steps))) / growth, variance


def underlying_quotes(
    config: SimulationConfig,
    clock: Clock,
    path: SpotPath,
    instrument: int,
    rng: np.random.Generator,
) -> NDArray[np.void]:
    """One UNDERLYING_QUOTE at the open and whenever the rounded quote changes on the grid.

    One tick wide around the truth, two ticks in `wide_spread_share` of the seconds.
    """
    cents = path.spot * 100.0
    wide = rng.random(cents.size) < config.wide_spread_share
    bid = np.where(wide, np.rint(cents) - 1.0, np.floor(cents)).astype(np.int64)
    ask = bid + np.where(wide, 2, 1)
    changed = np.ones(cents.size, bool)
    changed[1:] = (np.diff(bid) != 0) | (np.diff(ask) != 0)
    changed[-1] = False  # the session is over at the last grid point
    at = np.flatnonzero(changed)
    out = empty(at.size)
    out["ts_event_ns"] = out["ts_recv_ns"] = clock.grid_ns[at]
    out["bid_e9"] = bid[at] * CENT_E9
    out["ask_e9"] = ask[at] * CENT_E9
    for side in ("bid_lots", "ask_lots"):
        drawn = SIZE_MEDIAN_SHARES * np.exp(0.6 * rng.standard_normal(at.size))
        out[side] = np.maximum(100, np.rint(drawn / 100.0) * 100).astype(np.int64)
    out["instrument"] = instrument
    out["kind"] = Kind.UNDERLYING_QUOTE
    return out
