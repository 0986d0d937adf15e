"""What is booked outside the market: legs in an instrument, and cash lines without one."""

from dataclasses import dataclass
from typing import Literal

LegKind = Literal["opening", "settlement", "exercise", "split", "roll"]
Cause = Literal[
    "opening", "expiry", "early_exercise", "assignment", "contrary_exercise", "split", "roll"
]
CarryKind = Literal["dividend", "financing", "borrow"]


@dataclass(frozen=True, slots=True)
class Leg:
    """One booking, as `state.settle` and a fill row take it.

    `kind` "settlement" closes an option, "exercise" delivers the underlying; `cause` says why.
    """

    instrument: int
    side: int  # +1 we buy, -1 we sell
    lots: int  # > 0
    px_e9: int  # may be negative: an option exercised against the rule
    mark_e9: int  # what it is worth at that moment; the price, but for a roll at the touch
    kind: LegKind
    cause: Cause


@dataclass(frozen=True, slots=True)
class CarryLine:
    """Cash that is no trade: > 0 is received. To be booked with `Ledger.book_carry`."""

    kind: CarryKind
    amount_e9: int
    note: str


def moved(*, instrument: int, lots: int, px_e9: int, kind: LegKind, cause: Cause) -> Leg:
    """A leg of signed `lots`, marked at its own price."""
    return Leg(instrument, 1 if lots > 0 else -1, abs(lots), px_e9, px_e9, kind, cause)
