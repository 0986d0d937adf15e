"""SABR on the shelf: Obloj's formula with beta = 1 where quotes are, straight wings in w beyond.

    w(k) = level v(k)^2, v of `surfaces.kernels.sabr` in the forward-free letters zeta = nu/a and
    tau = a^2 years, for k_low <= k <= k_high; beyond, a straight line of the same slope

SABR's own w grows like (k/ln k)^2, past Lee's bound, so no surface of it could be certified; the
wings begin past 1.3 times the quoted range, and not before the curve rises outwards. `elasticity`
is 1 - beta and `tilt` is beta, kept apart from `level` and `tau` so that `scaled` and `stretched`
are exact. beta = 1: two letters shape one expiry as well as three, and its wings are the tamest.

The fit is robust least squares as SVI's, with g >= 0 asked for elastically on a grid that reaches
far into both wings, more and more until it is so; a curve that still has a butterfly is refused,
and the ladder goes on to SVI. So a "sabr" slice has none.

Units   dimensionless; k = ln(strike/forward).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from surfaces import checks as check
from surfaces.errors import InvalidInput
from surfaces.kernels import sabr as formulas
from surfaces.kernels import sabr_fit as kernel
from surfaces.smiles.base import EDGE, Array, Below, SmileFit, as_rows, reach, register
from surfaces.smiles.quotes import SmileQuotes
from surfaces.smiles.sabr_calibrate import LETTERS, box, guesses
from surfaces.smiles.sabr_model import Parameters
from surfaces.smiles.svi import WILD, WILD_SCALE, WILD_SHARE

ELASTICITY = 0.0  # 1 - beta
HUBER = 1.0  # half spreads: quadratic inside the market, linear outside
INSIDE = 41  # points of the grid where quotes are
WING = 0.05 * 1.8 ** np.arange(11.0)  # and past it, in deviations on either side: to 18
FINE = 401
FAR = np.geomspace(0.02, 40.0, 40)
LEAST_G = 1e-3
ROUNDS = 6  # of asking for more
GOOD = 1.0  # cost a quote below which no other start is tried
ENOUGH = 1e-6  # share of the cost a step must gain for another to follow
FARTHEST = 12.0  # deviations past the quotes where a wing begins at the latest
SIZE = 8


@dataclass(frozen=True, slots=True)
class SabrSmile:
    """Letters (level, elasticity, rho, zeta, tau, tilt, k_low, k_high)."""

    name: str = "sabr"
    parameters: tuple[str, ...] = (
        "level", "elasticity", "rho", "zeta", "tau", "tilt", "k_low", "k_high",
    )  # fmt: skip
    minimum_quotes: int = 4

    def total_variance(self, k: Array, theta: Array) -> Array:
        """w(k), dimensionless, in the shape of `k`."""
        return _curve(k, theta)[0]

    def derivatives(self, k: Array, theta: Array) -> tuple[Array, Array, Array]:
        """w, dw/dk and d2w/dk2; the last is zero in the wings."""
        return _curve(k, theta)

    def scaled(self, theta: Array, ratio: float) -> Array:
        """Parameters of ratio * w(k)."""
        return theta * np.array([ratio, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0])

    def stretched(self, theta: Array, ratio: float) -> Array:
        """Parameters of ratio * w(k / sqrt(ratio))."""
        root = np.sqrt(ratio)
        narrow = 1.0 / root
        return theta * np.array([ratio, narrow, 1.0, narrow, ratio, narrow, root, root])

    def fit(
        self, quotes: SmileQuotes, start: Array | None = None, below: Below | None = None
    ) -> SmileFit | None:
        """Fit one expiry; None if no curve free of butterflies is found."""
        theta = _solved(quotes, quotes, start, below)
        if theta is None:
            return None
        used = ~_wild(quotes, theta)
        if not used.all():
            again = _solved(quotes.keep(used), quotes, theta, below)
            theta = theta if again is None else again
        if not _free(theta, quotes):
            return None
        return SmileFit(self.name, theta, used)


def parameters_of(theta: Array, *, forward: float, years: float) -> Parameters:
    """SABR's own letters of a freshly fitted smile at `forward` and `years`.

    Raises InvalidInput for one that was scaled or stretched since: its correction in time belongs
    to another expiry, so no letters are exactly it.
    """
    letters = check.numbers("theta", theta)
    if letters.shape != (SIZE,):
        raise InvalidInput(
            f"theta has shape {letters.shape}, must be ({SIZE},): the parameters of a fitted "
            '"sabr" smile, not of another model'
        )
    F = check.one("forward", check.above("forward", forward, 0.0, unit="USD", hint="A price."))
    T = check.one("years", check.above("years", years, 0.0, unit="years", hint="To expiry."))
    level, c, rho, zeta, tau, tilt = letters[:6].tolist()
    if not (np.isclose(level, tau, rtol=1e-9) and np.isclose(tilt + c, 1.0, rtol=1e-9)):
        raise InvalidInput("this smile was moved in time or level; fit it again for its letters")
    a = np.sqrt(level / T)
    return Parameters(alpha=a * F**c, beta=1.0 - c, nu=zeta * a, rho=rho)


def _curve(k: Array, theta: Array) -> tuple[Array, Array, Array]:
    """w and its derivatives; theta (p,) for one curve, or (p, curves, 1...) and k (curves, ...)."""
    k = np.asarray(k, np.float64)
    if not k.size:
        return k.copy(), k.copy(), k.copy()
    points, table = as_rows(k, np.asarray(theta, np.float64))
    out = np.empty((3, *points.shape))
    kernel.fill_curve(points, table, formulas.OBLOJ, *out)
    w, w1, w2 = (values.reshape(k.shape) for values in out)
    return w, w1, w2


def _solved(
    quotes: SmileQuotes, quoted: SmileQuotes, start: Array | None, below: Below | None
) -> Array | None:
    """Letters of the best fit to `quotes` over the range of `quoted`, g >= 0 as far as it goes."""
    firm = ~quotes.one_sided
    k, mid, half = quotes.k[firm], quotes.mid_vol[firm], quotes.half_vol[firm]
    if k.size < LETTERS:
        return None
    years, s = quotes.years, float(np.interp(0.0, k, mid)) * np.sqrt(quotes.years)
    span = _span(quoted)
    inner = reach(*span, edge=EDGE, points=INSIDE)
    ends = np.array([min(inner[0], -1e-9), max(inner[-1], 1e-9)])
    grid = np.concatenate((ends[0] - s * WING[::-1], inner, ends[1] + s * WING))
    floor = np.full(grid.size, -1.0)
    if below is not None:
        low, high = max(below.k_low, span[0]), min(below.k_high, span[1])
        both = (grid >= low) & (grid <= high)
        floor[both] = below.model.total_variance(grid[both], below.theta)
    bounds = box(mid, years)
    starts = guesses(k, mid, half, years, ELASTICITY)[:2]
    if start is not None:
        nu = start[3] * np.sqrt(start[4] / years)
        first = [starts[0, 0], start[2], np.log(max(nu, 1e-300))]
        starts = np.array([first, starts[0]])
    x, hessian = np.empty(LETTERS), np.empty((LETTERS, LETTERS))
    asked, good = LEAST_G, GOOD * len(quotes)
    for _ in range(ROUNDS):
        _, how = kernel.fit(
            starts, quotes.k, quotes.mid_vol, quotes.half_vol, quotes.one_sided, HUBER, years,
            ELASTICITY, formulas.OBLOJ, grid, floor, ends, asked, *bounds, good, ENOUGH, hessian, x,
        )  # fmt: skip
        if how == kernel.FAILED:
            return None
        theta = np.empty(SIZE)
        kernel.fill_theta(x, years, ELASTICITY, ends, theta)
        theta[6:] = _wings(theta, ends, s)
        g = _g(grid, theta)
        lack = float(g.min())
        if lack >= 0.0 and _free(theta, quoted):
            break
        asked += LEAST_G - 1.5 * min(lack, 0.0)
        starts, good = x[None].copy(), np.inf
    return theta


def _span(quotes: SmileQuotes) -> tuple[float, float]:
    """The range quoted on both sides."""
    firm = quotes.k[~quotes.one_sided]
    return float(firm[0]), float(firm[-1])


def _wings(theta: Array, ends: Array, s: float) -> Array:
    """Where the wings begin: at `ends`, or further out, where the curve has turned upwards."""
    out = ends.copy()
    whole = theta.copy()
    whole[6:] = -np.inf, np.inf
    for side, sign in ((0, -1.0), (1, 1.0)):
        k = ends[side] + sign * s * np.concatenate(([0.0], np.geomspace(0.01, FARTHEST, 60)))
        rising = np.flatnonzero(sign * _curve(k, whole)[1] >= 0.0)
        out[side] = k[rising[0]] if rising.size else k[-1]
    return out


def _g(k: Array, theta: Array) -> Array:
    """Durrleman's g, minus infinity where w is not positive."""
    w, w1, w2 = _curve(k, theta)
    fine = w > 0.0
    w = np.where(fine, w, 1.0)
    half = 1.0 - 0.5 * k * w1 / w
    return np.where(fine, half * half - 0.25 * w1 * w1 * (1.0 / w + 0.25) + 0.5 * w2, -np.inf)


def _free(theta: Array, quotes: SmileQuotes) -> bool:
    """Whether g >= 0 on a fine grid, and far into both wings, whose slopes obey Lee's bound."""
    low, high = min(_span(quotes)[0], theta[6]), max(_span(quotes)[1], theta[7])
    s = np.sqrt(theta[0])
    k = np.concatenate((low - s * FAR[::-1], reach(low, high, EDGE, FINE), high + s * FAR))
    slopes = _curve(np.array([-1e3, 1e3]), theta)[1]
    return bool(_g(k, theta).min() >= 0.0 and -2.0 <= slopes[0] <= 0.0 <= slopes[1] <= 2.0)


def _wild(quotes: SmileQuotes, theta: Array) -> NDArray[np.bool_]:
    """Mask of quotes no smooth curve could mean, at most a fifth; as SVI's."""
    vol = np.sqrt(np.maximum(_curve(quotes.k, theta)[0], 0.0) / quotes.years)
    miss = np.abs(vol - quotes.mid_vol) / quotes.half_vol
    miss[quotes.one_sided] = 0.0
    if miss.max() <= WILD:
        return np.zeros(len(quotes), bool)
    firm = ~quotes.one_sided
    wild = miss > max(WILD, WILD_SCALE * float(np.median(miss[firm])))
    most = int(WILD_SHARE * np.count_nonzero(firm))
    if np.count_nonzero(wild) > most:
        wild[np.argsort(miss, kind="stable")[: miss.size - most]] = False
    return wild


SABR = register(SabrSmile())
