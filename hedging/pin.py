"""Pin risk: what a book near its strikes may deliver at expiry, and what that costs over the gap.

With p = P(exercise) = N(w d2) the shares a position delivers have standard deviation
multiplier |n| sqrt(p (1 - p)). Over all strikes one price decides, so the total is that of a step
function of it, summed exactly over the intervals between strikes.

Units   USD per share; years ACT/365; vols per square-root year. Lots signed.
Source  Black (1976) for d2; the step function is elementary.
Checked tests/hedging/test_pin.py: the formula, and a simulation.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from hedging.errors import InvalidInput

Array = NDArray[np.float64]
LEAST_DEVIATION = 1e-9  # of ln(price), at the fixing itself


@dataclass(frozen=True, slots=True)
class PinReport:
    """Positions (m,) of one expiry, and the whole of them.

    `share_sd` and `total_sd` in units of the underlying; `gap_usd`: one s.d. of what those shares
    gain or lose beyond the mean until they can be hedged.
    """

    exercise: Array  # P(exercise)
    at_strike: Array  # P(|price at expiry - strike| < half width)
    near: NDArray[np.bool_]  # the strike lies within so many deviations of the forward
    share_sd: Array
    mean_shares: float
    total_sd: float
    gap_usd: float


def report(
    *,
    right: Array,
    strike: Array,
    lots: NDArray[np.int64],
    multiplier: NDArray[np.int64],
    forward: float,
    years: float,
    vol: Array,
    gap_years: float,
    half_width: float = 0.5,
    deviations: float = 1.0,
) -> PinReport:
    """Pin risk of positions on one expiry that delivers.

    Parameters
    ----------
    right, strike, lots, multiplier, vol : (m,); the vol of each strike
    forward, years : of the expiry, > 0 and >= 0; at zero years what is in the money is sure
    gap_years : from the fixing to the next moment a hedge can trade, in years of volatility
    half_width : USD from the strike that counts as at it
    deviations : of the price at expiry, within which a strike is near

    Raises
    ------
    InvalidInput
        For a forward that is not above zero, negative years, or a vol that is not a number.
    """
    strike, vol = np.asarray(strike, np.float64), np.asarray(vol, np.float64)
    if not forward > 0.0 or not years >= 0.0 or not gap_years >= 0.0:
        raise InvalidInput(
            f"forward is {forward:g} USD, years {years:g}, gap_years {gap_years:g}; need a forward "
            "above zero and times that are not negative."
        )
    if not (np.isfinite(vol) & (vol >= 0.0)).all():
        raise InvalidInput("vol has values that are no volatility. Leave those positions out.")
    spread = np.maximum(vol * np.sqrt(years), LEAST_DEVIATION)
    above = ndtr(_d2(forward, strike, spread))
    exercise = np.where(np.asarray(right) > 0, above, 1.0 - above)
    low = ndtr(_d2(forward, np.maximum(strike - half_width, 1e-12), spread))
    high = ndtr(_d2(forward, strike + half_width, spread))
    shares = np.asarray(lots) * np.asarray(multiplier)
    share_sd = np.abs(shares) * np.sqrt(exercise * (1.0 - exercise))
    # one vol for the joint law: that of the strike nearest the forward
    at = int(np.argmin(np.abs(np.log(strike / forward)))) if strike.size else 0
    central = float(spread[at]) if strike.size else LEAST_DEVIATION
    mean, total = _total(np.asarray(right), strike, shares, forward, central)
    move = (float(vol[at]) if strike.size else 0.0) * np.sqrt(gap_years)
    return PinReport(
        exercise=exercise,
        at_strike=low - high,
        near=np.abs(np.log(strike / forward)) <= deviations * spread,
        share_sd=share_sd,
        mean_shares=mean,
        total_sd=total,
        # the mean is hedged beforehand; what differs from it waits for the next open
        gap_usd=float(total * forward * move),
    )


def _d2(forward: float, strike: Array, spread: Array | float) -> Array:
    return np.asarray(np.log(forward / strike) / spread - 0.5 * np.asarray(spread))


def _total(
    right: NDArray, strike: Array, shares: NDArray, forward: float, spread: float
) -> tuple[float, float]:
    """Mean and s.d. of the shares delivered, over the intervals between strikes."""
    if not strike.size:
        return 0.0, 0.0
    edges = np.unique(strike)
    beyond = ndtr(_d2(forward, edges, spread))  # P(price > edge)
    mass = -np.diff(np.concatenate([[1.0], beyond, [0.0]]))
    middle = np.concatenate([edges[:1] - 1.0, 0.5 * (edges[1:] + edges[:-1]), edges[-1:] + 1.0])
    inside = right * (middle[:, None] - strike) > 0.0
    delivered = inside @ (right * shares).astype(np.float64)
    mean = float(mass @ delivered)
    return mean, float(np.sqrt(max(mass @ (delivered - mean) ** 2, 0.0)))
