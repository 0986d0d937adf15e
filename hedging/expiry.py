"""Settlement of an expiring series: which legs are booked, at which prices. Exact integers.

An option in the money by at least the threshold is exercised by exception. It is closed at its
settlement value max(w(S - K), 0), and if it delivers, the underlying trades at the fixing S itself,
so the two legs together move exactly the strike payment and neither hides a gain of the other.

Units   prices int 1e-9 USD; lots signed contracts held; `multiplier` USD per point and contract.
Source  OCC Rule 805 (exercise by exception at USD 0.01 in the money).
Checked tests/hedging/test_expiry.py: the cash identity to the last 1e-9.
"""

from dataclasses import dataclass
from typing import Literal

from hedging.errors import InvalidInput

EXERCISE_THRESHOLD_E9 = 10_000_000  # USD 0.01


@dataclass(frozen=True, slots=True)
class Leg:
    """One booking. `kind` and the columns are those of fills.parquet."""

    kind: Literal["settlement", "exercise"]  # the option closed; the underlying delivered
    side: int  # +1 we buy, -1 we sell
    lots: int  # > 0
    px_e9: int  # also the mark: a settlement has no capture and no slippage
    multiplier: int


def settlement_value_e9(
    *, right: int, strike_e9: int, fixing_e9: int, threshold_e9: int = EXERCISE_THRESHOLD_E9
) -> int:
    """What one share's worth of the option settles at: w(S - K) from the threshold up, else 0.

    Parameters
    ----------
    right : +1 call, -1 put
    strike_e9, fixing_e9 : 1e-9 USD
    threshold_e9 : least amount in the money that is exercised; 1 for futures options, where any is
    """
    if right not in (1, -1):
        raise InvalidInput(f"right is {right}, must be +1 (call) or -1 (put).")
    inside = int(right) * (int(fixing_e9) - int(strike_e9))
    return inside if inside >= max(threshold_e9, 1) else 0


def settle(
    lots: int,
    *,
    right: int,
    strike_e9: int,
    fixing_e9: int,
    multiplier: int,
    physical: bool,
    underlying_multiplier: int = 1,
    threshold_e9: int = EXERCISE_THRESHOLD_E9,
) -> tuple[Leg, ...]:
    """Legs that end one series.

    Parameters
    ----------
    lots : contracts held, negative if short
    physical : exercise delivers the underlying; else cash
    underlying_multiplier : USD per point and lot of what is delivered: 1 for a share, 50 for ES
    Others as in `settlement_value_e9`.

    Returns
    -------
    Nothing if nothing is held; one leg that closes the option at its settlement value; for a
    physical series in the money also the underlying leg at the fixing.

    Raises
    ------
    InvalidInput
        If a contract does not deliver a whole number of lots of the underlying.
    """
    if lots == 0:
        return ()
    value = settlement_value_e9(
        right=right, strike_e9=strike_e9, fixing_e9=fixing_e9, threshold_e9=threshold_e9
    )
    held = abs(int(lots))
    sign = 1 if lots > 0 else -1
    option = Leg("settlement", -sign, held, value, int(multiplier))
    if value == 0 or not physical:
        return (option,)
    each, odd = divmod(int(multiplier), int(underlying_multiplier))
    if odd:
        raise InvalidInput(
            f"multiplier is {multiplier}, must be a multiple of underlying_multiplier "
            f"{underlying_multiplier}. Adjusted contracts are not settled here."
        )
    delivered = Leg(
        "exercise", sign * int(right), held * each, int(fixing_e9), int(underlying_multiplier)
    )
    return (option, delivered)
