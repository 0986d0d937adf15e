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
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from surfaces.kernels import parity as kernel

Array = NDArray[np.float64]


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
    """The `count` pairs nearest the forward that the weighted median of all pairs points at.

    Without those far wider than the tightest of them.
    """
    if pairs.strike.size == 0:
        return pairs
    near = kernel.nearest(pairs.strike, pairs.gap, pairs.sd, df, count)
    return pairs.keep(kernel.tight(near, pairs.sd))


def forward_given_df(pairs: Pairs, df: float) -> Implied | None:
    """Robust weighted mean of K + (C - P)/df over near pairs; None without a pair."""
    near = near_money(pairs, df, kernel.NEAR_AMERICAN)
    if near.strike.size == 0:
        return None
    out = np.empty(3)
    kernel.robust_forward(near.strike, near.gap, near.half, near.sd, df, out)
    value, error, inside = out.tolist()
    return Implied(value, error, df, 0.0, near.strike.size, inside)


def forward_and_df(pairs: Pairs, df_prior: float, df_sd: float) -> Implied | None:
    """Robust regression of C - P on K with the prior df ~ N(df_prior, df_sd^2), European only."""
    near = near_money(pairs, df_prior, kernel.NEAR_EUROPEAN)
    if near.strike.size == 0:
        return None
    out = np.empty(kernel.LINE)
    whole = kernel.line(near.strike, near.gap, near.half, near.sd, df_prior, df_sd, out)
    forward, error, df, df_error, inside = out[:5].tolist()
    used = near.strike.size if whole else min(near.strike.size, kernel.NEAR_AMERICAN)
    return Implied(forward, error, df, df_error, used, inside)


def slope_rate(pairs: Pairs, df_prior: float, years: float) -> tuple[float, float] | None:
    """Rate and its standard error from the slope of near-the-money pairs alone, without a prior.

    The premia of American pairs were computed at the rate of `df_prior`, and the slope leans
    towards it: only the share 1 - `leaning` of a change of rate shows. That is undone here, error
    bar included. None with fewer than four pairs, or when too little would be left to see.
    """
    near = near_money(pairs, df_prior, kernel.NEAR_SLOPE)
    out = np.empty(4)
    arrays = near.strike, near.gap, near.half, near.sd, near.lean
    if not kernel.slope_rate(*arrays, df_prior, years, out):
        return None
    return float(out[0]), float(np.hypot(out[1], out[3]))


@dataclass(frozen=True, slots=True)
class PairRows:
    """Chain rows of the call and of the put of every pair, slice j's at start[j]:start[j + 1]."""

    call: NDArray[np.int64]
    put: NDArray[np.int64]
    start: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ChainParity:
    """What parity says of m slices, (m,), NaN where it says nothing: see `Implied`.

    `df` is the regression's for European slices, the given one for American; `error` is that of the
    forward were the rate known, `lean` how the forward moves with it, through discounting and
    premia, USD per 1.00. `rate` and `rate_error`: the slope's own word, without the prior, of an
    American slice as `slope_rate`, whose premia hide the share `leaning` of a change of rate.
    `tilt`: how far that rate is off if mids above the forward are off against those below by a
    twentieth of the spread, as they may be in all of a chain's expiries; no part of `rate_error`.
    """

    forward: Array
    error: Array
    df: Array
    inside: Array
    lean: Array
    rate: Array
    rate_error: Array
    leaning: Array
    tilt: Array

    def at_rate(self, rate: Array, years: Array) -> Array:
        """Forwards (m,) that the same quotes say at other rates; USD."""
        # exact for European slices: F = mean strike + mean gap / df, lean = years mean gap / df
        return self.forward + self.lean * np.expm1(rate * years + np.log(self.df)) / years


def imply_chain(
    rows: PairRows,
    *,
    strike: Array,
    bid: Array,
    ask: Array,
    premium: Array,
    by_rate: Array,
    american: NDArray[np.bool_],
    years: Array,
    df: Array,
    df_sd: Array,
    learn_rate: bool,
) -> ChainParity:
    """Parity of every slice in one call.

    `strike`, `bid`, `ask` (NaN where absent), `premium` and its growth `by_rate` per 1.00 of rate:
    USD, per chain row (n,). `american`, `years`, `df`, `df_sd` (m,): American slices take `df` as
    given, European ones as a prior with that error.
    """
    out = np.full((years.size, kernel.FIELDS), np.nan)
    # Copies: a read-only array, as a published surface holds, would compile a second kernel.
    prices = (np.array(a) for a in (strike, bid, ask, premium, by_rate))
    slices = (np.array(a) for a in (american, years, df, df_sd))
    kernel.imply(rows.start, rows.call, rows.put, *prices, *slices, learn_rate, out)
    return ChainParity(*out.T)


def pair_rows(right: Array, strike: Array, slice_start: NDArray[np.int64]) -> PairRows:
    """Rows of the call and of the put at every strike of each slice that lists both."""
    calls, puts = [], []
    for first, last in pairwise(slice_start.tolist()):
        rows = np.arange(first, last)
        call, put = (rows[right[rows] == w] for w in (1.0, -1.0))
        _, in_call, in_put = np.intersect1d(strike[call], strike[put], return_indices=True)
        calls.append(call[in_call])
        puts.append(put[in_put])
    start = np.cumsum([0, *(c.size for c in calls)])
    return PairRows(np.concatenate(calls), np.concatenate(puts), start)
