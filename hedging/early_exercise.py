"""Whether holders of American options exercise this evening, from what is known this evening.

A call is exercised on the eve of an ex-date if intrinsic value now is worth more than the option on
the share without the dividend: S - K against C(S - PV(D), K). Without later dividends and with the
European value in place of the American one that is Merton's condition by put-call parity, dividend
above the put plus the interest on the strike. On any other evening a call waits.

A put is exercised where its American value is no more than intrinsic: past the exercise boundary,
where interest on the strike exceeds what waiting may bring. Dividends to come are in its value.
Calls on a future have such a boundary too, and no ex-dates.

Units   USD per share; years ACT/365; rates continuously compounded a year.
Source  R. C. Merton, Bell J. of Economics 4 (1973) 141-183, section 7; R. Roll, J. Financial
        Economics 5 (1977) 251-258, for the call with one dividend.
Checked tests/hedging/test_early_exercise.py: parity, QuantLib's finite differences with dividends.
"""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hedging.errors import InvalidInput
from surfaces.pricing import american
from surfaces.pricing.dividends import Dividends

ROUNDING = 1e-6  # of spot: a "precise" American price errs by less
CASH_ROUNDING = 2e-6  # of spot: the same with cash dividends before expiry, 99 rows of 100


class Answer(IntEnum):
    """What the holder does, or why nobody can say."""

    HOLD = 0  # "worth more alive"
    EXERCISE = 1  # "worth more exercised"
    UNKNOWN = 2  # "no volatility: never exercised by this rule"


@dataclass(frozen=True, slots=True)
class Decisions:
    """Per option, (n,): the answer, and USD a share that exercise gains over holding.

    `gain` of a put past its boundary is zero to rounding: what is lost by waiting is of the night.
    """

    answer: NDArray[np.int8]
    intrinsic: NDArray[np.float64]
    continuation: NDArray[np.float64]

    @property
    def gain(self) -> NDArray[np.float64]:
        """Intrinsic value less the value alive, NaN where unknown."""
        return self.intrinsic - self.continuation


def decide(
    *,
    right: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    vol: ArrayLike,
    rate: ArrayLike,
    dividend_yield: ArrayLike,
    spot: float,
    ex_years: ArrayLike = (),
    cash: ArrayLike = (),
    next_years: float,
    min_gain: float = 0.0,
    on_future: bool = False,
) -> Decisions:
    """Decide for every option; arrays (n,) or one number for all.

    Parameters
    ----------
    right : +1 call, -1 put
    years : to expiry, > 0
    vol : per square-root year; NaN where unknown
    rate, dividend_yield : continuously compounded a year; the yield is borrow where cash is given
    spot : USD, the last price of this evening, with the dividend
    ex_years, cash : ex-dates from now in years, rising, and USD a share, (d,)
    next_years : from now to the next session's open: a dividend up to then is for exercise now
    min_gain : USD a share that a call must gain to be exercised before a dividend
    on_future : `spot` is the future that is delivered; `dividend_yield` is not read

    Raises
    ------
    InvalidInput
        For a spot that is not above zero, or ex-dates that do not pair with cash.
    """
    if not spot > 0.0:
        raise InvalidInput(f"spot is {spot:g} USD, must be > 0. Wait for a price of the share.")
    ex, paid = np.atleast_1d(np.asarray(ex_years, float)), np.atleast_1d(np.asarray(cash, float))
    if ex.shape != paid.shape:
        raise InvalidInput(f"ex_years has {ex.size} dates and cash {paid.size}; pair them.")
    columns = np.broadcast_arrays(right, strike, years, vol, rate, dividend_yield)
    w, K, T, v, r, q = (np.array(a, np.float64).ravel() for a in columns)
    q = r if on_future else q
    intrinsic = w * (spot - K)
    alive = np.full(w.size, np.nan)
    tonight, later = (ex > 0.0) & (ex <= next_years), ex > next_years
    before_cash = (w > 0.0) & bool(tonight.any()) & (not on_future)
    # without interest there is nothing to gain by being paid sooner
    at_boundary = ((w < 0.0) | on_future) & ~(r <= 0.0)
    asked = (intrinsic > 0.0) & (before_cash | at_boundary)
    usable = asked & np.isfinite(v) & (v >= 0.0) & np.isfinite(r) & np.isfinite(q) & (T > 0.0)
    calls, others = np.flatnonzero(usable & before_cash), np.flatnonzero(usable & at_boundary)
    if calls.size:
        # one rate for the dividend of a night; the expiries of a chain differ by nothing there
        due = float((paid[tonight] * np.exp(-float(np.median(r[calls])) * ex[tonight])).sum())
        without = max(spot - due, 0.0)
        alive[calls] = _price((w, K, T, v, r, q), calls, without, ex[later], paid[later])
    if others.size:
        due_ones = ex > 0.0
        alive[others] = _price((w, K, T, v, r, q), others, spot, ex[due_ones], paid[due_ones])
    slack = spot * (CASH_ROUNDING if (ex > 0.0).any() else ROUNDING)
    gain = intrinsic - alive
    ends = np.where(before_cash, gain > min_gain, gain >= -slack)
    answer = np.where(usable & ends, Answer.EXERCISE, Answer.HOLD).astype(np.int8)
    answer[asked & ~usable] = Answer.UNKNOWN
    return Decisions(answer, intrinsic, alive)


def _price(columns: tuple, rows: NDArray, spot: float, ex: NDArray, cash: NDArray) -> NDArray:
    """American values of `rows` at `spot`, USD."""
    w, K, T, v, r, q = (a[rows] for a in columns)
    schedule = Dividends(ex, cash) if ex.size and (ex <= T.max()).any() else None
    return np.asarray(
        american.price(
            right=w, spot=spot, strike=K, years=T, vol=v, rate=r, dividend_yield=q,
            dividends=schedule, accuracy="precise",
        )
    )  # fmt: skip
