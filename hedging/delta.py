"""From the Greeks of an option book to the delta that the hedge has to flatten.

A Black delta holds the option's own volatility still. Two corrections add what volatility does when
spot moves: the skew-stickiness rule of a desk, and the regression of Hull and White. Either takes
arrays a position long and gives the per-share delta that `book_delta` adds up.

Units   delta per share (shares of underlying per option share); vega in USD per 1.00 of vol and
        share; skew = d(vol)/d(ln strike) at the forward, per 1.00; spot in USD; years ACT/365.
Source  L. Bergomi, Stochastic Volatility Modeling (2016), section 2.5 (skew-stickiness ratio);
        J. Hull and A. White, J. Banking & Finance 82 (2017) 180-190 (minimum-variance delta).
Checked tests/hedging/test_delta.py: repricing under a moving smile, and a regression with known
        coefficients.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hedging.errors import InvalidInput


def book_delta(
    lots: ArrayLike,
    delta: ArrayLike,
    *,
    multiplier: ArrayLike,
    hedge_multiplier: int = 1,
    hedge_lots: int = 0,
) -> float:
    """Delta of a book in lots of the instrument that hedges it, hedge included.

    Parameters
    ----------
    lots : signed contracts held, shape (n,)
    delta : per share, shape (n,); may be NaN where nothing is held
    multiplier : USD per point and contract of the options, scalar or (n,)
    hedge_multiplier : USD per point and lot of the hedge: 1 for a share, 50 for an ES future
    hedge_lots : signed lots of the hedge already held

    Returns
    -------
    Lots of the hedge that the whole book is worth; NaN if a held option has no delta, for which
    `hedger.decide` answers NO_DELTA.

    Raises
    ------
    InvalidInput
        If `hedge_multiplier` is not positive.
    """
    if hedge_multiplier <= 0:
        raise InvalidInput(
            f"hedge_multiplier is {hedge_multiplier}, must be > 0. An index cannot be traded: "
            "choose a share or a future."
        )
    held = np.asarray(lots, np.float64)
    shares = np.where(held != 0.0, held * np.asarray(multiplier, np.float64), 0.0)
    # A NaN delta of an option that is not held must not poison the sum; 0 * NaN would.
    per_share = np.where(shares != 0.0, np.asarray(delta, np.float64), 0.0)
    return float(np.sum(shares * per_share)) / hedge_multiplier + hedge_lots


def smile_aware(
    delta: ArrayLike,
    vega: ArrayLike,
    *,
    skew: ArrayLike,
    spot: ArrayLike,
    stickiness: ArrayLike = 1.0,
) -> NDArray[np.float64]:
    """Delta under a smile that moves with spot: delta + vega * (R - 1) * skew / spot.

    Parameters
    ----------
    delta : Black delta per share
    vega : USD per 1.00 of vol and share
    skew : d(vol)/d(ln strike) at the forward of the option's expiry
    spot : USD
    stickiness : the ratio R, for all or one each: 0 sticky moneyness, 1 sticky strike (plain Black
        delta), 2 the short-dated limit of local volatility; `surfaces.dynamics.stickiness` has
        each expiry's own under local volatility, `skew_stickiness` what a market shows

    Returns
    -------
    Delta per share, broadcast shape.
    """
    beyond = np.asarray(stickiness, np.float64) - 1.0
    moved = beyond * np.asarray(skew, np.float64) / np.asarray(spot, np.float64)
    return np.asarray(delta, np.float64) + np.asarray(vega, np.float64) * moved


def minimum_variance(
    delta: ArrayLike,
    vega: ArrayLike,
    *,
    spot: ArrayLike,
    years: ArrayLike,
    coefficients: tuple[float, float, float],
) -> NDArray[np.float64]:
    """Hull-White delta: delta + vega / (spot * sqrt(years)) * (a + b delta + c delta^2).

    Parameters
    ----------
    delta : Black delta per share (negative for a put: fit calls and puts apart)
    vega : USD per 1.00 of vol and share
    spot : USD, > 0
    years : to expiry, > 0
    coefficients : (a, b, c), from `hedging.minimum_variance`, a right at a time

    Returns
    -------
    Delta per share, broadcast shape; the Black delta where `years` is zero, as vega is zero there.
    """
    a, b, c = coefficients
    d = np.asarray(delta, np.float64)
    root = np.asarray(spot, np.float64) * np.sqrt(np.asarray(years, np.float64))
    scale = np.divide(vega, root, out=np.zeros(np.broadcast(vega, root, d).shape), where=root > 0.0)
    return d + scale * (a + b * d + c * d * d)
