"""The true surface: one arbitrage-free SVI slice an expiry, moving with spot and on its own.

Every slice is Gatheral and Jacquier's power-law SSVI,
    w(k) = theta/2 (1 + rho phi k + sqrt((phi k + rho)^2 + 1 - rho^2)),
    phi  = eta theta^-gamma (1 + theta)^(gamma - 1),
which has no butterfly when eta (1 + |rho|) <= 2 and no calendar arbitrage when theta rises with
expiry and rho is common, both true here at every instant. theta is the sum of forward variances of
the intervals between expiries, each multiplied by a positive martingale, so it always rises.

How spot moves it: the at-the-money vol of a slice moves by R x skew x dlnS, the skew-stickiness
ratio R of the configuration. For SSVI that is dln(theta) = R rho phi(theta) dlnS, met by giving
the forward variance of interval i the exponent -R g_i x with
    g_i = |rho| eta (theta_i^(1-gamma) - theta_(i-1)^(1-gamma)) / (theta_i - theta_(i-1)).
Source  Gatheral, Jacquier, Quantitative Finance 14 (2014) 59-71; Bergomi (2016) ch. 9 for R.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from optmm.data.simulator.clock import BUSINESS_DAYS_PER_YEAR, Clock
from optmm.data.simulator.config import SimulationConfig
from optmm.data.simulator.spot import SpotPath, forward_variance

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

THETA_MIN = 1e-16


@dataclass(frozen=True, slots=True)
class SmilePath:
    """SSVI parameters on the one-second grid."""

    theta: Floats  # (slices, seconds + 1): at-the-money total variance; 0 once fixed
    rho: Floats  # (seconds + 1,)
    eta: float
    gamma: float

    def phi(self, slices: Ints, second: Ints) -> Floats:
        """Curvature of the smile of each (slice, second)."""
        theta = np.maximum(self.theta[slices, second], THETA_MIN)
        return self.eta * theta**-self.gamma * (1.0 + theta) ** (self.gamma - 1.0)

    def total_variance(self, slices: Ints, second: Ints, k: Floats) -> Floats:
        """w at log-moneyness k = ln(K/F), per (slice, second); 0 once fixed."""
        theta, rho = self.theta[slices, second], self.rho[second]
        bent = self.phi(slices, second) * k
        return 0.5 * theta * (1.0 + rho * bent + np.sqrt((bent + rho) ** 2 + 1.0 - rho * rho))

    def svi(self, slices: Ints, second: Ints) -> Floats:
        """Raw SVI (a, b, rho, m, sigma) of each (slice, second), shape (..., 5)."""
        theta, rho = self.theta[slices, second], self.rho[second]
        phi, free = self.phi(slices, second), 1.0 - rho * rho
        rows = (0.5 * theta * free, 0.5 * theta * phi, rho, -rho / phi, np.sqrt(free) / phi)
        return np.stack(np.broadcast_arrays(*rows), axis=-1)


def loadings(config: SimulationConfig, knots: Floats) -> Floats:
    """c_i = R g_i: what one unit of log-return takes from the log forward variance of interval i.

    `knots` are the expiries in business days, shape (slices,); interval i ends at knot i.
    """
    theta = np.concatenate(([0.0], forward_variance(config, knots)))
    power = 1.0 - config.smile_gamma
    slope = np.diff(theta**power) / np.diff(theta)
    return config.skew_stickiness * abs(config.smile_rho) * config.smile_eta * slope


def simulate_smile(
    config: SimulationConfig,
    clock: Clock,
    knots: Floats,
    path: SpotPath,
    rng: np.random.Generator,
) -> SmilePath:
    """Carry the surface along the path; `rng` draws the level and skew noise."""
    c = loadings(config, knots)
    decay = 0.5 ** (1.0 / (60.0 * config.noise_half_life_minutes))
    points = clock.seconds + 1
    left = np.concatenate(([0.0], knots[:-1]))
    theta = np.zeros((knots.size, points))
    running = np.zeros(points)
    elapsed = clock.elapsed
    for i in range(knots.size):
        start = np.clip(elapsed, left[i], knots[i])
        base = forward_variance(config, knots[i : i + 1]) - forward_variance(config, start)
        pull = _mean_decay(config.variance_reversion_per_year, start - elapsed, knots[i] - elapsed)
        level = (
            -c[i] * path.log_return
            - 0.5 * c[i] ** 2 * path.quadratic
            + pull * path.factor
            - 0.5 * pull**2 * path.factor_variance
            + config.level_noise_sd * _stationary(decay, points, rng)
        )
        running = running + base * np.exp(np.clip(level, -2.5, 2.5))
        theta[i] = np.where(elapsed < knots[i], running, 0.0)
    noise = np.clip(_stationary(decay, points, rng), -4.0, 4.0)
    rho = config.smile_rho + config.skew_noise_sd * noise
    return SmilePath(theta, rho, config.smile_eta, config.smile_gamma)


def _mean_decay(kappa: float, near: Floats, far: Floats) -> Floats:
    """Mean of exp(-kappa u) for u from `near` to `far` business days; 0 where nothing is left."""
    a = kappa * np.maximum(near, 0.0) / BUSINESS_DAYS_PER_YEAR
    length = np.maximum(kappa * far / BUSINESS_DAYS_PER_YEAR - a, 0.0)
    safe = np.where(length > 0.0, length, 1.0)
    return np.where(length > 0.0, np.exp(-a) * -np.expm1(-safe) / safe, 0.0)


def _stationary(decay: float, points: int, rng: np.random.Generator) -> Floats:
    """A unit-variance AR(1) series started in its stationary law, shape (points,)."""
    drive = rng.standard_normal(points)
    drive[1:] *= np.sqrt(1.0 - decay * decay)
    out, last = np.empty(points), 0.0
    for i, step in enumerate(drive.tolist()):  # importing scipy.signal costs more than this loop
        out[i] = last = decay * last + step
    return out
