"""What a fill was worth later, delta-hedged, and how sure we are.

With s = +1 bought and -1 sold by us, mark m, hedge price S and option delta D at the fill,

    counterparty alpha   a(tau) = -s [m(t+tau) - m(t) - D (S(t+tau) - S(t))]      USD per share
    our edge             e(tau) =  s (m(t) - p) - a(tau)

Averages are ratios of sums, weighted by contracts: alpha over shares (USD per share), over premium
(bps of m) or over vega (vol points). A cheap option cannot dominate them, as it would a mean of
ratios.

Fills of one moment share the future they are judged by. Clusters are spans of event time as long as
the horizon, and the standard error is the linearised (sandwich) one with the factor G / (G - 1).

Source  SEC Rule 605 (realised spread); K.-Y. Liang, S. Zeger, Biometrika 73 (1986) 13; W. Cochran,
        Sampling Techniques (1977) ch. 6 (ratio estimator).
Checked tests/optmm/flow/test_markouts.py: textbook s.e., duplicated fills, simulated informed flow.
"""

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Ratio:
    """A ratio of weighted sums. `se` and `t` are NaN with fewer than two clusters."""

    value: float
    se: float
    t: float
    n: int
    clusters: int


def counterparty_alpha(
    *,
    side: np.ndarray,
    mark: np.ndarray,
    mark_later: np.ndarray,
    delta: np.ndarray,
    spot: np.ndarray,
    spot_later: np.ndarray,
) -> np.ndarray:
    """USD per share earned by whoever traded against us, delta-hedged at the fill. Shape (n,)."""
    return -side * (mark_later - mark - delta * (spot_later - spot))


def clusters_of(ts_ns: np.ndarray, horizon_s: float) -> np.ndarray:
    """Cluster label of each fill: spans of `horizon_s` seconds of event time. int64 (n,)."""
    return ts_ns // int(horizon_s * 1e9)


def ratio_of_sums(
    top: np.ndarray, bottom: np.ndarray, *, weight: np.ndarray, cluster: np.ndarray
) -> Ratio:
    """Sum of weight x top over sum of weight x bottom, with its clustered standard error.

    All arrays have shape (n,). NaN values mean that nothing can be said: no fills, or a zero sum
    at the bottom.
    """
    n = int(top.size)
    below = float(np.sum(weight * bottom))
    if n == 0 or below == 0.0:
        return Ratio(math.nan, math.nan, math.nan, n, 0)
    value = float(np.sum(weight * top)) / below
    names, index = np.unique(cluster, return_inverse=True)
    score = np.zeros(names.size)
    np.add.at(score, index, weight * (top - value * bottom))
    if names.size < 2:
        return Ratio(value, math.nan, math.nan, n, int(names.size))
    scale = names.size / (names.size - 1)
    se = math.sqrt(scale * float(np.sum(score**2))) / abs(below)
    return Ratio(value, se, value / se if se > 0.0 else math.nan, n, int(names.size))


@dataclass(frozen=True, slots=True)
class Impact:
    """Price impact in bps of the mark, contract-weighted: permanent + temporary = half spread."""

    permanent: float
    temporary: float
    half_spread: float
    n: int


def impact(
    *,
    side: np.ndarray,
    px: np.ndarray,
    mark: np.ndarray,
    mark_later: np.ndarray,
    weight: np.ndarray,
) -> Impact:
    """Effective half spread that takers paid us, split at the later mark (Huang-Stoll 1996).

    The taker's sign is -side. Not delta-hedged: this is the move of the price itself.
    """
    below = float(np.sum(weight * mark))
    if px.size == 0 or below == 0.0:
        return Impact(math.nan, math.nan, math.nan, int(px.size))
    taker = -side * weight * 1e4
    permanent = float(np.sum(taker * (mark_later - mark))) / below
    temporary = float(np.sum(taker * (px - mark_later))) / below
    paid = float(np.sum(taker * (px - mark))) / below
    return Impact(permanent, temporary, paid, int(px.size))
