"""What a session starts from: spot, the variance that is expected, the factors, the listing."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import partial

import numpy as np
from numpy.typing import NDArray

from optmm.data.simulator.clock import BUSINESS_DAYS_PER_YEAR
from optmm.data.simulator.config import SimulationConfig
from optmm.market.instruments import Option

Floats = NDArray[np.float64]

FACTORS = ("skew", "curvature", "term")


@dataclass(frozen=True, slots=True)
class Opening:
    """The state of the market at an open.

    `variance` says how much variance of the log-return is expected from the open until so many
    business days later (an array in, an array out), scheduled events apart.
    """

    spot_usd: float
    variance: Callable[[Floats], Floats]
    factors: Mapping[str, float] = field(default_factory=dict)  # in s.d.; absent: stationary law
    noise: Mapping[date, float] = field(default_factory=dict)  # of an expiry's level, in s.d.
    listed: tuple[Option, ...] = ()  # on an earlier day, and still alive


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """Expected variance as a piecewise line through (`knots`, `total`), both from 0; beyond the
    last knot it rises by `slope` a business day."""

    knots: Floats
    total: Floats
    slope: float

    def __call__(self, elapsed: Floats) -> Floats:
        """Variance from the open to `elapsed` business days later."""
        at = np.asarray(elapsed, np.float64)
        inside = np.interp(at, self.knots, self.total)
        return np.asarray(inside + self.slope * np.maximum(at - self.knots[-1], 0.0))


def forward_variance(config: SimulationConfig, elapsed: Floats) -> Floats:
    """Variance expected from the open to `elapsed` business days later, dimensionless."""
    years = elapsed / BUSINESS_DAYS_PER_YEAR
    far, near = config.long_vol_per_year**2, config.spot_vol_per_year**2
    kappa = config.term_reversion_per_year
    return far * years + (near - far) * -np.expm1(-kappa * years) / kappa


def first_opening(config: SimulationConfig) -> Opening:
    """The first day's: everything as configured."""
    return Opening(config.spot_usd, partial(forward_variance, config))
