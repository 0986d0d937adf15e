"""The underlying's path: stochastic variance with leverage, a U-shaped day, rare jumps.

Business time u in years. With x the log-return since the open and f the forward variance,
    dx = -v/2 du + sqrt(v) dW + jumps,    v = f(u) exp(L),
    L  = -c (x + <x>/2) - c^2 <x> / 2 + Y - Var(Y) / 2,    dY = -kappa Y du + xi dZ,
so f is the expected variance (both exponentials are martingales) and implied and realised variance
agree on average. c > 0 is the leverage: its size follows from the smile's skew and its
skew-stickiness ratio, so that prices and path tell one story. A scheduled event adds a jump of
known variance at its second.
Source  L. Bergomi, Stochastic Volatility Modeling (2016) ch. 7 (lognormal forward variance, one
        factor); the leverage term is ours.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from optmm.data.simulator.clock import BUSINESS_DAYS_PER_YEAR, Clock
from optmm.data.simulator.config import SimulationConfig
from optmm.data.simulator.opening import Opening, first_opening
from optmm.data.simulator.schedule import moves
from surfaces.units import NS_PER_YEAR

Floats = NDArray[np.float64]

LOG_VARIANCE_LIMIT = 2.5


@dataclass(frozen=True, slots=True)
class SpotPath:
    """The truth on the one-second grid; arrays of shape (seconds + 1,)."""

    spot: Floats  # USD
    log_return: Floats  # x, since the open, carry excluded
    quadratic: Floats  # <x>, variance accumulated since the open
    factor: Floats  # Y
    factor_variance: Floats  # Var(Y), known in advance
    variance: Floats  # of the log-return over the second that ends here; 0 at the open
    shock: Floats  # standard normal that drove that second's diffusion; 0 at the open


def simulate_spot(
    config: SimulationConfig,
    clock: Clock,
    leverage: float,
    streams: dict[str, np.random.Generator],
    opening: Opening | None = None,
) -> SpotPath:
    """Draw the path. `leverage` is c above; streams "spot", "variance", "jumps" and "events" are
    consumed. Without an `opening` the day is the first."""
    opening = opening or first_opening(config)
    elapsed = clock.elapsed
    expected = np.diff(opening.variance(elapsed))
    daily_jumps = config.jumps_per_day * config.jump_sd_log**2
    today = float(opening.variance(np.ones(1))[0])
    diffusive = max(1.0 - daily_jumps / today, 0.1)
    n = clock.seconds
    shocks = streams["spot"].standard_normal(n)
    count = streams["jumps"].poisson(config.jumps_per_day * np.diff(elapsed))
    planned = moves(config, clock)
    surprise = planned * streams["events"].standard_normal(n) - 0.5 * planned**2
    jumps = config.jump_sd_log * np.sqrt(count) * streams["jumps"].standard_normal(n)
    jumps += surprise - 0.5 * count * config.jump_sd_log**2
    jump_variance = count * config.jump_sd_log**2 + planned**2
    factor, factor_variance = _factor(config, elapsed, streams["variance"])
    free = factor - 0.5 * factor_variance
    x, q, variance = np.zeros(n + 1), np.zeros(n + 1), np.zeros(n + 1)
    # plain floats: a loop over numpy scalars is five times slower, and L depends on the path
    at, total = 0.0, 0.0
    rows = zip(
        expected.tolist(), shocks.tolist(), jumps.tolist(), jump_variance.tolist(), free.tolist(),
        strict=False,
    )  # fmt: skip
    for i, (budget, shock, jump, jumped, drive) in enumerate(rows, start=1):
        level = drive - leverage * at - 0.5 * leverage * (1.0 + leverage) * total
        level = min(max(level, -LOG_VARIANCE_LIMIT), LOG_VARIANCE_LIMIT)
        v = diffusive * budget * math.exp(level)
        at += -0.5 * v + math.sqrt(v) * shock + jump
        total += v + jumped
        x[i], q[i], variance[i] = at, total, v
    carry = config.rate_per_year - config.dividend_yield_per_year
    years = (clock.grid_ns - clock.session.open_ns) / NS_PER_YEAR
    spot = opening.spot_usd * np.exp(carry * years + x)
    shown = np.concatenate(([0.0], shocks))
    return SpotPath(spot, x, q, factor, factor_variance, variance, shown)


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
