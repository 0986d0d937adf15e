"""Where the descent of Heston's fit may begin: parameters read off the smiles themselves.

Each expiry's smile is a parabola near the money. For a few speeds kappa, v0 and theta are the
least squares of the at-the-money variances, theta + (v0 - theta)(1 - exp(-kappa T))/(kappa T), and
rho sigma that of the slopes of variance, rho sigma / (kappa T) (1 - (1 - exp(-kappa T))/(kappa T))
(J. Gatheral, The Volatility Surface, Wiley 2006, eq. 3.19). How rho sigma splits is tried.
"""

import numpy as np
from numpy.typing import NDArray

from surfaces.pricing.option_quotes import OptionQuotes

Floats = NDArray[np.float64]

SPEEDS = (0.5, 1.5, 4.0, 12.0)  # kappa
SPLITS = (0.9, 0.65, 0.35)  # |rho|
LEAST_SIGMA, MOST_SIGMA = 0.15, 3.0
# jumps a year, mean and standard deviation of each, and what they leave to v0 and to sigma
JUMPS = ((0.2, -0.15, 0.1, 0.9, 0.7), (1.0, -0.06, 0.06, 0.8, 0.6), (0.5, 0.0, 0.1, 0.8, 0.6))
NEAR = 1.5  # deviations from the money that the parabola sees


def candidates(quotes: OptionQuotes) -> Floats:
    """(12, 5) parameters v0, kappa, theta, sigma, rho."""
    level, slope = _smiles(quotes)
    T = quotes.years
    out = []
    for kappa in SPEEDS:
        x = kappa * T
        share = -np.expm1(-x) / x
        v0, theta = _pair(share, level)
        lean = (1.0 - share) / x
        product = float(lean @ slope / (lean @ lean))
        for rho in SPLITS:
            sigma = min(max(abs(product) / rho, LEAST_SIGMA), MOST_SIGMA)
            out.append((v0, kappa, theta, sigma, float(np.clip(product / sigma, -0.95, 0.95))))
    return np.array(out)


def _smiles(quotes: OptionQuotes) -> tuple[Floats, Floats]:
    """Variance at the money and its slope in k, an expiry each, by weighted parabolas."""
    m = quotes.years.size
    level, slope = np.empty(m), np.zeros(m)
    k, variance = quotes.k, quotes.vol**2
    for e in range(m):
        rows = slice(quotes.edges[e], quotes.edges[e + 1])
        x, v = k[rows], variance[rows]
        width = max(float(np.sqrt(np.median(v) * quotes.years[e])), 1e-6)
        bell = np.exp(-0.5 * (x / (NEAR * width)) ** 2) + 1e-3
        level[e] = float(bell @ v / bell.sum())
        if x.size > 1 and np.ptp(x) > 0.05 * width:
            powers = np.vander(x / width, min(x.size, 3), increasing=True)
            fit = np.linalg.lstsq(powers * bell[:, None], v * bell, rcond=1e-8)[0]
            if fit[0] > 0.25 * v.min():
                level[e], slope[e] = fit[0], fit[1] / width
    return level, slope


def _pair(share: Floats, level: Floats) -> tuple[float, float]:
    """v0 and theta by least squares of relative errors, kept near what is seen."""
    a = np.stack([share, 1.0 - share], axis=1) / level[:, None]
    v0, theta = np.linalg.lstsq(a, np.ones(level.size), rcond=1e-6)[0]
    low, high = 0.2 * float(level.min()), 4.0 * float(level.max())
    return float(np.clip(v0, low, high)), float(np.clip(theta, low, high))


def with_jumps(heston: Floats) -> Floats:
    """(3 n, 8): every start with each kind of jumps in the place of some variance."""
    rows = []
    for rate, mean, std, calm, steady in JUMPS:
        some = heston.copy()
        some[:, [0, 2]] *= calm
        some[:, 3] *= steady
        jumps = np.broadcast_to((rate, mean, std), (len(some), 3))
        rows.append(np.concatenate([some, jumps], axis=1))
    return np.concatenate(rows)
