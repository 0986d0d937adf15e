"""Intervals of a mean per day by resampling whole days, the same days for every cell.

A block is a calendar date (or a simulation seed): everything that happened on it stays together.
Blocks that are independent give BCa intervals; blocks that depend on their neighbours are drawn in
stretches of random length and give percentile intervals. Both take their normal quantiles from
Student's law, so that few days do not give an interval that is too short.

Units   those of the values; probabilities are decimals.
Source  B. Efron, J. American Statistical Association 82 (1987) 171-185 (BCa, eq. 2.3 and 6.6);
        D. Politis, J. Romano, J. American Statistical Association 89 (1994) 1303-1313 (stationary
        bootstrap); T. Hesterberg, The American Statistician 69 (2015) 371-386 (expanded quantiles);
        S. Holm, Scandinavian J. of Statistics 6 (1979) 65-70.
Checked tests/optmm/backtest/test_bootstrap.py: scipy.stats.bootstrap, coverage of known means.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri, stdtr, stdtrit

from optmm.errors import UsageError

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Interval:
    """Ends of a confidence interval, and the level at which it would just touch zero."""

    low: float
    high: float
    p: float  # two-sided; P&L of zero, or no difference


def block_counts(
    blocks: int, *, draws: int, seed: int, mean_length: float = 1.0
) -> NDArray[np.int64]:
    """How often each block is in each resample, shape (draws, blocks); every row sums to `blocks`.

    Parameters
    ----------
    blocks : in order of time, >= 1
    mean_length : expected length of a stretch in blocks, >= 1; at 1 blocks are drawn alone. A
        stretch ends with probability 1 / mean_length after each block and wraps round at the end
        (Politis and Romano 1994, section 2)

    Raises
    ------
    UsageError
        A count or length below 1.
    """
    if blocks < 1 or draws < 1 or not mean_length >= 1.0:
        raise UsageError(
            f"blocks is {blocks}, draws {draws}, mean_length {mean_length:g}; each must be >= 1"
        )
    rng = np.random.default_rng(seed)
    rows = rng.integers(0, blocks, (draws, blocks))
    if mean_length > 1.0:
        goes_on = rng.random((draws, blocks)) >= 1.0 / mean_length
        for t in range(1, blocks):
            rows[:, t] = np.where(goes_on[:, t], (rows[:, t - 1] + 1) % blocks, rows[:, t])
    flat = rows + blocks * np.arange(draws)[:, None]
    return np.bincount(flat.ravel(), minlength=draws * blocks).reshape(draws, blocks)


def expansion(independent: float) -> float:
    """Factor on a deviate that undoes the divisor n of a bootstrap's variance, n >= 2."""
    return math.sqrt(independent / (independent - 1.0))


def expanded(confidence: float, independent: float) -> float:
    """The upper deviate in place of the normal one, for a mean of `independent` blocks.

    sqrt(n / (n - 1)) t, Hesterberg (2015) section 4.3: exact for the percentile interval of a
    normal sample, and the normal deviate as n grows.
    """
    t = float(stdtrit(independent - 1.0, 0.5 + 0.5 * confidence))
    return expansion(independent) * t


def acceleration(sums: Floats, sizes: Floats) -> float:
    """Efron's a from the jackknife over blocks; 0 where nothing varies.

    `sums` and `sizes`, both (blocks,): total and number of days of each block.
    """
    if sums.size < 2:
        return 0.0
    without = (sums.sum() - sums) / (sizes.sum() - sizes)
    u = without.mean() - without
    square = float((u**2).sum())
    scale = float(np.abs(without).max())
    if square <= (1e-14 * scale) ** 2 * sums.size:
        return 0.0
    return float((u**3).sum()) / (6.0 * square**1.5)


def bias(draws: Floats, estimate: float) -> float:
    """Efron's z0: the deviate of the share of draws below the estimate, ties by halves."""
    return _deviate(draws, estimate)


def ends(draws: Floats, *, z0: float, a: float, deviate: float) -> tuple[float, float]:
    """The BCa interval between -deviate and +deviate; z0 = a = 0 is the percentile interval."""
    low, high = (
        float(ndtr(z0 + (z0 + z) / max(1.0 - a * (z0 + z), 1e-3))) for z in (-deviate, deviate)
    )
    found = np.quantile(draws, [low, high])
    return float(found[0]), float(found[1])


def interval(
    draws: Floats, estimate: float, *, a: float, independent: float, confidence: float,
    corrected: bool,
) -> Interval:  # fmt: skip
    """The interval of a mean from its resamples, with the p-value that is dual to it.

    Parameters
    ----------
    draws : means of the resamples, (draws,)
    a : acceleration
    independent : blocks, or blocks over their stretch's length, > 1
    corrected : for bias and acceleration (BCa); else percentile

    Returns
    -------
    The interval excludes zero where 1 - confidence > p. Where no draw passes zero, p is that of the
    estimate over the draws' deviation; it is never below 2^(1 - n), the least that n signs can say.
    """
    z0 = bias(draws, estimate) if corrected else 0.0
    a = a if corrected else 0.0
    low, high = ends(draws, z0=z0, a=a, deviate=expanded(confidence, independent))
    # the deviate whose interval ends at zero, by solving the BCa transform for z
    v = _deviate(draws, 0.0) - z0
    z = v / max(1.0 + a * v, 1e-3) - z0
    if draws.min() > 0.0 or draws.max() < 0.0:  # past what the draws can tell
        spread = float(draws.std())
        z = max(abs(z), abs(estimate) / spread) if spread > 0.0 else math.inf
    t = abs(z) / expansion(independent)
    p = max(2.0 * float(stdtr(independent - 1.0, -t)), 2.0 ** (1.0 - independent))
    return Interval(low, high, p)


def _deviate(draws: Floats, level: float) -> float:
    """Normal deviate of the share of draws below `level`; finite however far out it lies."""
    share = (np.count_nonzero(draws < level) + np.count_nonzero(draws <= level)) / (2 * draws.size)
    least = 0.5 / draws.size
    return float(ndtri(min(max(share, least), 1.0 - least)))


def holm(p: Floats) -> Floats:
    """Holm's step-down p-values of one family, in the order given; shape kept."""
    order = np.argsort(p, kind="stable")
    steps = p[order] * np.arange(p.size, 0, -1)
    out = np.empty(p.size)
    out[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return out
