"""The two lower rungs: a damped parabola for three or four strikes, a flat vol for one or two.

Neither extrapolates: the parabola is frozen at its outermost strikes, because a quadratic in k
breaks Lee's bound in any wing.
"""

from dataclasses import dataclass

import numpy as np

from surfaces.smiles.base import Array, Below, SmileFit, register
from surfaces.smiles.quotes import SmileQuotes

DAMPING = 0.1  # ridge on slope and curvature, in units of the weighted level
MAX_BEND = 0.5  # slope and curvature terms move the vol by at most this share of the level


def _level(quotes: SmileQuotes) -> tuple[Array, Array, Array]:
    """k, mid vol and weights of the two-sided quotes, weights scaled to sum to one."""
    firm = ~quotes.one_sided
    weight = 1.0 / quotes.half_vol[firm] ** 2
    return quotes.k[firm], quotes.mid_vol[firm], weight / weight.sum()


@dataclass(frozen=True, slots=True)
class Parabola:
    """vol(k) = level + slope y + bend y^2, y = (k - centre)/reach, k held inside the quoted range.

    Parameters (level, slope, bend, centre, reach, years), vols in decimals.
    """

    name: str = "parabola"
    parameters: tuple[str, ...] = ("level", "slope", "bend", "centre", "reach", "years")
    minimum_quotes: int = 3

    def derivatives(self, k: Array, theta: Array) -> tuple[Array, Array, Array]:
        """w, dw/dk and d2w/dk2; the last two are zero beyond the quoted range."""
        level, slope, bend, centre, reach, years = theta
        raw = (k - centre) / reach
        y = np.clip(raw, -1.0, 1.0)
        inside = (np.abs(raw) <= 1.0) / reach
        vol = level + (slope + bend * y) * y
        vol1 = (slope + 2.0 * bend * y) * inside
        vol2 = 2.0 * bend * inside * inside
        return vol * vol * years, 2.0 * vol * vol1 * years, 2.0 * (vol1**2 + vol * vol2) * years

    def total_variance(self, k: Array, theta: Array) -> Array:
        """w(k), dimensionless, in the shape of `k`."""
        return self.derivatives(np.asarray(k, np.float64), theta)[0]

    def scaled(self, theta: Array, ratio: float) -> Array:
        """Parameters of ratio * w(k)."""
        return theta * np.array([1.0, 1.0, 1.0, 1.0, 1.0, ratio])

    def stretched(self, theta: Array, ratio: float) -> Array:
        """Parameters of ratio * w(k / sqrt(ratio))."""
        root = np.sqrt(ratio)
        return theta * np.array([root, root, root, root, root, 1.0])

    def fit(
        self, quotes: SmileQuotes, start: Array | None = None, below: Below | None = None
    ) -> SmileFit | None:
        """Weighted ridge; `start` and `below` are not needed at this resolution."""
        k, mid, weight = _level(quotes)
        centre = 0.5 * float(k[0] + k[-1])
        reach = max(0.5 * float(k[-1] - k[0]), 1e-9)
        y = (k - centre) / reach
        basis = np.stack((np.ones_like(y), y, y * y), axis=1)
        normal = basis.T @ (weight[:, None] * basis) + DAMPING * np.diag([0.0, 0.1, 1.0])
        level, slope, bend = np.linalg.solve(normal, basis.T @ (weight * mid))
        moved = abs(slope) + abs(bend)
        if not level > 0.0:
            return None
        if moved > MAX_BEND * level:
            slope, bend = np.array([slope, bend]) * (MAX_BEND * level / moved)
        theta = np.array([level, slope, bend, centre, reach, quotes.years])
        return SmileFit(self.name, theta, np.ones(len(quotes), bool))


@dataclass(frozen=True, slots=True)
class Flat:
    """One vol for every strike; the parameter is its total variance."""

    name: str = "flat"
    parameters: tuple[str, ...] = ("w",)
    minimum_quotes: int = 1

    def total_variance(self, k: Array, theta: Array) -> Array:
        """w, dimensionless, in the shape of `k`."""
        return np.full(np.shape(k), theta[0])

    def derivatives(self, k: Array, theta: Array) -> tuple[Array, Array, Array]:
        """w and two zeros."""
        zero = np.zeros(np.shape(k))
        return zero + theta[0], zero, zero.copy()

    def scaled(self, theta: Array, ratio: float) -> Array:
        """Parameters of ratio * w(k)."""
        return theta * ratio

    def stretched(self, theta: Array, ratio: float) -> Array:
        """Parameters of ratio * w."""
        return theta * ratio

    def fit(
        self, quotes: SmileQuotes, start: Array | None = None, below: Below | None = None
    ) -> SmileFit | None:
        """The weighted mean of the mid vols."""
        _, mid, weight = _level(quotes)
        vol = float(weight @ mid)
        return SmileFit(self.name, np.array([vol * vol * quotes.years]), np.ones(len(quotes), bool))


PARABOLA = register(Parabola())
FLAT = register(Flat())
