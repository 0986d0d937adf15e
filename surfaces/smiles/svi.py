"""Raw SVI: w(k) = a + b(rho(k - m) + sqrt((k - m)^2 + sigma^2)).

The fit is robust least squares on mid vols in half spreads (quadratic inside the market, linear
outside), exact in Lee's bound b(1+|rho|) <= 2 and in w >= 0, elastic in the calendar against the
shorter expiry where both are quoted. g >= 0 is asked for elastically, more and more, until it is
proved on the whole real line (`svi_domain`); what quotes still resist is mended, so every fit is
free of butterflies, wings included. Quotes far outside what the rest agree on are dropped once, and
the caller counts them as misses.

Units   a, b dimensionless total variance (vol^2 years); m, sigma in log-moneyness.
Source  Gatheral 2004; Gatheral-Jacquier, Quantitative Finance 14 (2014) 59-71 (g).
"""

from dataclasses import dataclass

import numpy as np

from surfaces.kernels import svi as kernel
from surfaces.kernels import svi_fit
from surfaces.smiles.base import Array, Below, SmileFit, reach, register
from surfaces.smiles.quotes import SmileQuotes
from surfaces.smiles.svi_domain import mended
from surfaces.smiles.svi_forms import jump_wing

__all__ = ["SVI", "RawSvi", "jump_wing"]

GRID = 81
WING = 0.1 * (1.5 ** np.arange(1.0, 11.0) - 1.0)  # points past the grid, in quoted ranges
WILD = 10.0  # half spreads from the curve at which a quote is suspect,
WILD_SCALE = 6.0  # and this many times the expiry's median residual
WILD_SHARE = 0.2  # at most this share of an expiry may be called wild


@dataclass(frozen=True, slots=True)
class RawSvi:
    """Raw SVI on the shelf; parameters (a, b, rho, m, sigma)."""

    name: str = "svi"
    parameters: tuple[str, ...] = ("a", "b", "rho", "m", "sigma")
    minimum_quotes: int = 5

    def total_variance(self, k: Array, theta: Array) -> Array:
        """w(k), dimensionless, in the shape of `k`."""
        a, b, rho, m, sigma = theta
        d = k - m
        return a + b * (rho * d + np.sqrt(d * d + sigma * sigma))

    def derivatives(self, k: Array, theta: Array) -> tuple[Array, Array, Array]:
        """w, dw/dk and d2w/dk2."""
        a, b, rho, m, sigma = theta
        d = k - m
        root = np.sqrt(d * d + sigma * sigma)
        return (
            a + b * (rho * d + root),
            b * (rho + d / root),
            b * sigma * sigma / (root * root * root),
        )

    def scaled(self, theta: Array, ratio: float) -> Array:
        """Parameters of ratio * w(k)."""
        return theta * np.array([ratio, ratio, 1.0, 1.0, 1.0])

    def stretched(self, theta: Array, ratio: float) -> Array:
        """Parameters of ratio * w(k / sqrt(ratio))."""
        root = np.sqrt(ratio)
        return theta * np.array([ratio, root, 1.0, root, root])

    def fit(
        self, quotes: SmileQuotes, start: Array | None = None, below: Below | None = None
    ) -> SmileFit | None:
        """Fit one expiry; None if the search finds no finite point.

        `start`: raw parameters of an earlier fit of the same expiry; without it, a grid search.
        """
        firm = quotes.k[~quotes.one_sided]
        span = float(firm[0]), float(firm[-1])
        x = _solve(quotes, span, start, below)
        if x is None:
            return None
        used = ~_wild(quotes, x)
        if not used.all():
            again = _solve(quotes.keep(used), span, _raw(x), below)
            x = x if again is None else again
        return SmileFit(self.name, _raw(x), used)


def _raw(x: Array) -> Array:
    raw = np.empty(kernel.SIZE)
    kernel.to_raw(x, raw)
    return raw


def _solve(
    quotes: SmileQuotes, quoted: tuple[float, float], start: Array | None, below: Below | None
) -> Array | None:
    """Box letters of the best fit, or None; the walls reach beyond the range `quoted`."""
    inner = reach(*quoted, points=GRID - 2 * WING.size)
    wing = WING * (quoted[1] - quoted[0])
    grid = np.concatenate((inner[0] - wing[::-1], inner, inner[-1] + wing))
    floor = np.full(GRID, -1.0)
    if below is not None:
        low, high = max(below.k_low, quoted[0]), min(below.k_high, quoted[1])
        if isinstance(below.model, RawSvi):
            kernel.fill_w(grid, below.theta, low, high, floor)
        else:
            both = (grid >= low) & (grid <= high)
            floor[both] = below.model.total_variance(grid[both], below.theta)
    x = np.empty(kernel.SIZE)
    if start is not None:
        kernel.to_box(start, x)
    found = svi_fit.fit(
        quotes.k, quotes.mid_vol, quotes.half_vol, quotes.one_sided, quotes.years,
        *quoted, grid, floor, start is not None, x,
    )  # fmt: skip
    if found == svi_fit.FAILED:
        return None
    if found == svi_fit.DIRTY:
        kernel.to_box(mended(_raw(x)), x)
    return x


def _wild(quotes: SmileQuotes, x: Array) -> np.ndarray:
    """Mask of quotes no smooth curve could mean: stale or mistyped. At most a fifth."""
    miss = np.empty(len(quotes))
    worst = kernel.misses(
        x, quotes.k, quotes.mid_vol, quotes.half_vol, quotes.one_sided, quotes.years, miss
    )
    if worst <= WILD:  # nearly always, and the median is not needed to know it
        return np.zeros(len(quotes), bool)
    limit = max(WILD, WILD_SCALE * float(np.median(miss[~quotes.one_sided])))
    wild = miss > limit
    most = int(WILD_SHARE * np.count_nonzero(~quotes.one_sided))
    if np.count_nonzero(wild) > most:
        keep = np.argsort(miss, kind="stable")[: miss.size - most]
        wild[keep] = False
    return wild


SVI = register(RawSvi())
