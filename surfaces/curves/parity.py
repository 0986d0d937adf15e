"""Forward and discount factor of one expiry from put-call parity, C - P = df (F - K).

European: one robust weighted regression of C - P on K with a prior on the discount factor, because
a free one is useless under a month (rates from -8 % to +6 % on a clean index chain).
American: parity is a band, so the caller takes each leg's early-exercise premium off first, the
discount factor is given, and only pairs near the money vote.

A pair's error is that of its two mids, each taken as uniform inside its spread. Error bars widen
when pairs disagree by more than their spreads allow, and shrink slowly when they agree better:
all mids of a chain can be off to the same side, which no residual shows.

Units   prices and strikes in USD per share; rates continuously compounded, years ACT/365.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

HUBER = 1.5  # standard errors
ROUNDS = 5
BELIEF = 12.0  # pairs that the spreads' own word on their error is worth
NEAR_AMERICAN = 12
MOST_LEANING = 0.9
NEAR_EUROPEAN = 60
TIE = 1e-12  # USD


@dataclass(frozen=True, slots=True)
class Pairs:
    """q call-put pairs: strike, premium-free mid difference, and half width of C - P; USD.

    `lean`: how much `gap` grows per 1.00 of the rate the premia were computed at; zero if European.
    """

    strike: Array
    gap: Array
    half: Array
    sd: Array
    lean: Array

    def keep(self, which: NDArray) -> "Pairs":
        """The pairs selected by a mask or by indices."""
        arrays = (self.strike, self.gap, self.half, self.sd, self.lean)
        return Pairs(*(a[which] for a in arrays))


@dataclass(frozen=True, slots=True)
class Implied:
    """What parity says: forward and discount factor, one standard error each.

    `inside` is the share of the pairs whose spreads contain the fitted parity line.
    """

    forward: float
    forward_error: float
    df: float
    df_error: float
    pairs: int
    inside: float


def make_pairs(
    *,
    strike: Array,
    call_bid: Array,
    call_ask: Array,
    put_bid: Array,
    put_ask: Array,
    lean: Array | None = None,
) -> Pairs:
    """Pairs from premium-free quotes of the same strikes; drops what is not finite or crossed."""
    call_half, put_half = 0.5 * (call_ask - call_bid), 0.5 * (put_ask - put_bid)
    gap = 0.5 * (call_ask + call_bid) - 0.5 * (put_ask + put_bid)
    sd = np.sqrt((call_half**2 + put_half**2) / 3.0)
    good = np.isfinite(gap) & (call_half > 0.0) & (put_half > 0.0) & np.isfinite(sd)
    lean = np.zeros(strike.shape) if lean is None else lean
    return Pairs(strike, gap, call_half + put_half, sd, lean).keep(good)


def near_money(pairs: Pairs, df: float, count: int) -> Pairs:
    """The `count` pairs nearest the forward that the weighted median of all pairs points at."""
    if pairs.strike.size <= count:
        return pairs
    centre = _weighted_median(pairs.strike + pairs.gap / df, 1.0 / pairs.sd**2)
    # A stable sort on (distance, strike): the order of the input does not matter.
    order = np.lexsort((pairs.strike, np.abs(pairs.strike - centre)))
    return pairs.keep(np.sort(order[:count]))


def forward_given_df(pairs: Pairs, df: float) -> Implied | None:
    """Robust weighted mean of K + (C - P)/df over near pairs; None without a pair."""
    near = near_money(pairs, df, NEAR_AMERICAN)
    if near.strike.size == 0:
        return None
    each = near.strike + near.gap / df
    sd = near.sd / df
    value = _weighted_median(each, 1.0 / sd**2)
    weight = 1.0 / sd**2
    for _ in range(ROUNDS):
        weight = _huber((each - value) / sd) / sd**2
        value = float(weight @ each / weight.sum())
    chi2 = float(weight @ (each - value) ** 2) / max(each.size - 1, 1)
    scale = _scale(chi2, each.size - 1)
    error = scale / float(np.sqrt(weight.sum()))
    inside = np.abs(near.gap - df * (value - near.strike)) <= near.half + TIE
    return Implied(value, error, df, 0.0, each.size, float(inside.mean()))


def forward_and_df(pairs: Pairs, df_prior: float, df_sd: float) -> Implied | None:
    """Robust regression of C - P on K with the prior df ~ N(df_prior, df_sd^2), European only."""
    near = near_money(pairs, df_prior, NEAR_EUROPEAN)
    if near.strike.size == 0:
        return None
    guess = forward_given_df(near, df_prior)
    assert guess is not None
    strike = near.strike - guess.forward
    intercept, df = 0.0, df_prior
    prior_weight = 1.0 / max(df_sd, 1e-12) ** 2
    for _ in range(ROUNDS):
        weight = _huber((near.gap - intercept + df * strike) / near.sd) / near.sd**2
        normal = np.array(
            [
                [weight.sum(), -(weight @ strike)],
                [-(weight @ strike), weight @ strike**2 + prior_weight],
            ]
        )
        rhs = np.array([weight @ near.gap, -(weight @ (strike * near.gap))])
        rhs[1] += prior_weight * df_prior
        intercept, df = np.linalg.solve(normal, rhs)
    left = near.gap - intercept + df * strike
    chi2 = float(weight @ left**2) / max(near.strike.size - 2, 1)
    scale = _scale(chi2, near.strike.size - 2)
    normal[1, 1] -= prior_weight * (1.0 - scale**2)  # the prior's own error does not scale
    cov = np.linalg.inv(normal) * scale**2
    if not 0.2 < df < 2.0:
        return guess
    shift = intercept / df
    variance = (cov[0, 0] - 2.0 * shift * cov[0, 1] + shift**2 * cov[1, 1]) / df**2
    inside = np.abs(left) <= near.half + TIE
    return Implied(
        guess.forward + float(shift),
        float(np.sqrt(max(variance, 0.0))),
        float(df),
        float(np.sqrt(cov[1, 1])),
        near.strike.size,
        float(inside.mean()),
    )


def slope_rate(pairs: Pairs, df_prior: float, years: float) -> tuple[float, float] | None:
    """Rate and its standard error from the slope of near-the-money pairs alone, without a prior.

    The premia of American pairs were computed at the rate of `df_prior`, and the slope leans
    towards it: only the share 1 - `leaning` of a change of rate shows. That is undone here, error
    bar included. None with fewer than four pairs, or when too little would be left to see.
    """
    near = near_money(pairs, df_prior, NEAR_AMERICAN)
    if near.strike.size < 4:
        return None
    free = forward_and_df(near, df_prior, 1e3)
    if free is None or free.df_error == 0.0:
        return None
    weight = 1.0 / near.sd**2
    away = near.strike - weight @ near.strike / weight.sum()
    leaning = float(weight @ (away * near.lean) / (weight @ away**2)) / (df_prior * years)
    if leaning > MOST_LEANING:
        return None
    assumed = -np.log(df_prior) / years
    seen = -np.log(free.df) / years - assumed
    share = 1.0 - max(leaning, 0.0)
    return float(assumed + seen / share), free.df_error / (free.df * years) / share


def mean_lean(pairs: Pairs, df: float) -> float:
    """d forward / d rate through the premia of the near pairs, USD per 1.00; zero if European."""
    near = near_money(pairs, df, NEAR_AMERICAN)
    if near.strike.size == 0:
        return 0.0
    weight = 1.0 / near.sd**2
    return float(weight @ near.lean / weight.sum()) / df


def _huber(standardised: Array) -> Array:
    size = np.abs(standardised)
    return np.where(size <= HUBER, 1.0, HUBER / np.maximum(size, HUBER))


def _scale(chi2: float, freedom: int) -> float:
    """Factor on an error bar given the reduced chi-square of its residuals."""
    if chi2 >= 1.0:
        return float(np.sqrt(chi2))
    freedom = max(freedom, 0)
    return float(np.sqrt((chi2 * freedom + BELIEF) / (freedom + BELIEF)))


def _weighted_median(values: Array, weight: Array) -> float:
    order = np.argsort(values, kind="stable")
    total = np.cumsum(weight[order])
    return float(values[order][np.searchsorted(total, 0.5 * total[-1])])
