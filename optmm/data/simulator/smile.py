"""The true surface: one arbitrage-free SVI slice an expiry, moving with spot and on its own.

Every slice is Gatheral and Jacquier's power-law SSVI,
    w(k) = theta/2 (1 + rho phi k + sqrt((phi k + rho)^2 + 1 - rho^2)),
    phi  = eta theta^-gamma (1 + theta)^(gamma - 1),
which has no butterfly when eta (1 + |rho|) <= 2 and no calendar arbitrage when theta rises with
expiry and rho is common, both true here at every instant. theta is the sum of forward variances of
the intervals between expiries, each multiplied by a positive martingale, so it always rises.

Two more factors are common to all expiries: eta (curvature) and a tilt of short against long
forward variance (term). Skew, curvature and term are Ornstein-Uhlenbeck processes of their own
half-lives, each correlated with spot, cut at four standard deviations, where the configuration has
checked eta (1 + |rho|) <= 2. A scheduled event adds its variance to every expiry after it until it
has happened, which keeps theta rising.

How spot moves it: the at-the-money vol of a slice moves by R x skew x dlnS, the skew-stickiness
ratio R of the configuration. For SSVI that is dln(theta) = R rho phi(theta) dlnS, met by giving
the forward variance of interval i the exponent -R g_i x with
    g_i = |rho| eta (theta_i^(1-gamma) - theta_(i-1)^(1-gamma)) / (theta_i - theta_(i-1)).
Source  Gatheral, Jacquier, Quantitative Finance 14 (2014) 59-71; Bergomi (2016) ch. 9 for R.
"""

from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from optmm.data.simulator.clock import BUSINESS_DAYS_PER_YEAR, Clock
from optmm.data.simulator.config import LARGEST_SD, SimulationConfig
from optmm.data.simulator.opening import FACTORS, Opening, first_opening
from optmm.data.simulator.schedule import event_variance
from optmm.data.simulator.spot import SpotPath

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

THETA_MIN = 1e-16
LEVEL_LIMIT = 2.5
TERM_YEARS = 0.25  # the tilt changes sign here
BLOCK_HALF_LIVES = 40.0


@dataclass(frozen=True, slots=True)
class SmilePath:
    """SSVI parameters on the one-second grid."""

    theta: Floats  # (slices, seconds + 1): at-the-money total variance; 0 once fixed
    rho: Floats  # (seconds + 1,)
    eta: Floats  # (seconds + 1,)
    gamma: float
    noise: Floats  # (slices, seconds + 1): each expiry's own, in s.d.
    factors: dict[str, Floats]  # skew, curvature, term (seconds + 1,), in s.d.

    def phi(self, slices: Ints, second: Ints) -> Floats:
        """Curvature of the smile of each (slice, second)."""
        theta = np.maximum(self.theta[slices, second], THETA_MIN)
        return self.eta[second] * theta**-self.gamma * (1.0 + theta) ** (self.gamma - 1.0)

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


def loadings(config: SimulationConfig, knots: Floats, opening: Opening | None = None) -> Floats:
    """c_i = R g_i: what one unit of log-return takes from the log forward variance of interval i.

    `knots` are the expiries in business days, shape (slices,); interval i ends at knot i.
    """
    variance = (opening or first_opening(config)).variance
    theta = np.concatenate(([0.0], variance(knots)))
    power = 1.0 - config.smile_gamma
    slope = np.diff(theta**power) / np.diff(theta)
    return config.skew_stickiness * abs(config.smile_rho) * config.smile_eta * slope


class Driven(NamedTuple):
    """What drives forward variance: x, <x>, Y and Var(Y) at instants `elapsed`; equal shapes."""

    elapsed: Floats
    log_return: Floats
    quadratic: Floats
    factor: Floats
    factor_variance: Floats


def level(config: SimulationConfig, c: float, start: Floats, knot: float, by: Driven) -> Floats:
    """Log of the martingale that multiplies the forward variance from `start` to `knot`."""
    pull = _mean_decay(config.variance_reversion_per_year, start - by.elapsed, knot - by.elapsed)
    return (
        -c * (by.log_return + 0.5 * by.quadratic)  # a martingale, as x alone is not
        - 0.5 * c**2 * by.quadratic
        + pull * by.factor
        - 0.5 * pull**2 * by.factor_variance
    )


def tilt(knots: Floats) -> Floats:
    """Loading of each interval on the term factor: 1 at the short end, -1 at the long."""
    years = knots / BUSINESS_DAYS_PER_YEAR
    return 1.0 - 2.0 * years / (years + TERM_YEARS)


def simulate_smile(
    config: SimulationConfig,
    clock: Clock,
    knots: Floats,
    path: SpotPath,
    rng: np.random.Generator,
    *,
    fixing_ns: Ints,
    expiries: tuple[date, ...],
    opening: Opening | None = None,
) -> SmilePath:
    """Carry the surface along the path; `rng` draws the factors and each expiry's noise.

    `knots`, `fixing_ns` and `expiries` say of each slice when it is fixed.
    """
    opening = opening or first_opening(config)
    points = clock.seconds + 1
    factors = {}
    for name in FACTORS:
        half_life, correlation = (
            getattr(config, f"{name}_{what}") for what in ("half_life_minutes", "spot_correlation")
        )
        own = rng.standard_normal((1, points))
        first = np.array([opening.factors.get(name, own[0, 0])])
        drive = correlation * path.shock[1:] + np.sqrt(1.0 - correlation**2) * own[:, 1:]
        factors[name] = np.clip(
            stationary(seconds_decay(half_life), first, drive)[0], -LARGEST_SD, LARGEST_SD
        )
    drawn = rng.standard_normal((knots.size, points))
    first = np.array(
        [opening.noise.get(day, value) for day, value in zip(expiries, drawn[:, 0], strict=True)]
    )
    noise = stationary(seconds_decay(config.noise_half_life_minutes), first, drawn[:, 1:])
    c, lean = loadings(config, knots, opening), tilt(knots)
    left = np.concatenate(([0.0], knots[:-1]))
    by = Driven(clock.elapsed, path.log_return, path.quadratic, path.factor, path.factor_variance)
    theta, running = np.zeros((knots.size, points)), np.zeros(points)
    for i in range(knots.size):
        start = np.clip(by.elapsed, left[i], knots[i])
        base = opening.variance(knots[i : i + 1]) - opening.variance(start)
        own = config.level_noise_sd * noise[i] + config.term_noise_sd * lean[i] * factors["term"]
        moved = level(config, c[i], start, knots[i], by) + own
        running = running + base * np.exp(np.clip(moved, -LEVEL_LIMIT, LEVEL_LIMIT))
        theta[i] = np.where(by.elapsed < knots[i], running, 0.0)
    theta += np.where(theta > 0.0, event_variance(config, clock, fixing_ns), 0.0)
    rho = config.smile_rho + config.skew_noise_sd * factors["skew"]
    eta = config.smile_eta * np.exp(config.curvature_noise_sd * factors["curvature"])
    return SmilePath(theta, rho, eta, config.smile_gamma, noise, factors)


def _mean_decay(kappa: float, near: Floats, far: Floats) -> Floats:
    """Mean of exp(-kappa u) for u from `near` to `far` business days; 0 where nothing is left."""
    a = kappa * np.maximum(near, 0.0) / BUSINESS_DAYS_PER_YEAR
    length = np.maximum(kappa * far / BUSINESS_DAYS_PER_YEAR - a, 0.0)
    safe = np.where(length > 0.0, length, 1.0)
    return np.where(length > 0.0, np.exp(-a) * -np.expm1(-safe) / safe, 0.0)


def seconds_decay(half_life_minutes: float) -> float:
    """What a second leaves of a deviation."""
    return float(0.5 ** (1.0 / (60.0 * half_life_minutes)))


def stationary(decay: float, first: Floats, drive: Floats) -> Floats:
    """AR(1) series of unit variance: `first` (m,) and shocks `drive` (m, steps) to (m, steps + 1).

    Solved as a sum in blocks short enough that decay^-steps stays a number.
    """
    steps = drive.shape[1]
    out = np.empty((first.size, steps + 1))
    out[:, 0] = first
    scaled = drive * np.sqrt(1.0 - decay * decay)
    block = int(np.clip(BLOCK_HALF_LIVES * np.log(0.5) / np.log(decay), 1, max(steps, 1)))
    for at in range(0, steps, block):
        size = min(block, steps - at)
        growth = decay ** -np.arange(1.0, size + 1.0)
        sums = np.cumsum(scaled[:, at : at + size] * growth, axis=1)
        out[:, at + 1 : at + size + 1] = (out[:, at : at + 1] + sums) / growth
    return out
