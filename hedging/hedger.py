"""The hedge decision: a pure function of the book, the band and the state of the hedge market.

It never asks for more than brings the delta to the edge (or the middle) of the band, and rounds
toward zero, so a decision cannot overshoot and the next one cannot have to undo it.

Units   all quantities in lots of the hedge instrument; positive is long.
Checked tests/hedging/test_hedger.py: the rule on drawn inputs, and each reason once.
"""

import math
from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

from hedging.errors import InvalidInput

Target = Literal["edge", "middle"]


class Reason(IntEnum):
    """Why the decision is what it is; `TEXT` has what a report prints."""

    INSIDE_BAND = 0
    BELOW_LOT = 1
    TRADE = 2
    CAPPED = 3
    CLOSED = 4
    NO_MARKET = 5
    STALE = 6
    NO_DELTA = 7


TEXT: dict[Reason, str] = {
    Reason.INSIDE_BAND: "delta is inside the no-trade band",
    Reason.BELOW_LOT: "delta is outside the band by less than one lot",
    Reason.TRADE: "hedged to the target",
    Reason.CAPPED: "hedged part of the way: the order is at its largest size",
    Reason.CLOSED: "the hedge market is not open",
    Reason.NO_MARKET: "the hedge market is not two-sided, or is crossed",
    Reason.STALE: "the hedge quote is too old to trade on",
    Reason.NO_DELTA: "an option held has no delta: hedging would be a guess",
}


@dataclass(frozen=True, slots=True)
class HedgeInputs:
    """One look at the book and at the market of its hedge. Lots of the hedge throughout."""

    book_delta_lots: float  # options and hedge held; NaN if unknown
    band_lots: float  # half width of the no-trade band, >= 0
    max_order_lots: int  # largest single order, >= 1
    open: bool
    two_sided: bool
    fresh: bool
    lot_size: int = 1  # orders are multiples of it
    pending_lots: int = 0  # signed hedge orders sent and not yet filled or dead


@dataclass(frozen=True, slots=True)
class HedgeDecision:
    """What to do: signed lots to trade (0 for nothing) and why."""

    lots: int
    reason: Reason

    @property
    def text(self) -> str:
        """The reason in words."""
        return TEXT[self.reason]


def decide(inputs: HedgeInputs, *, to: Target = "edge") -> HedgeDecision:
    """Decide one hedge order.

    Parameters
    ----------
    inputs : book, band and market; orders in flight count as done, or a slow venue is hit twice
    to : "edge" trades to the nearer edge of the band (optimal for costs proportional to size),
        "middle" to zero delta (for costs that are mostly per order)

    Returns
    -------
    Lots are a multiple of `lot_size`, at most `max_order_lots`, and opposite in sign to the delta.

    Raises
    ------
    InvalidInput
        A negative or NaN band, a cap or lot size below 1, or an unknown target.
    """
    _check(inputs, to)
    exposure = inputs.book_delta_lots + inputs.pending_lots
    if not math.isfinite(exposure):
        return HedgeDecision(0, Reason.NO_DELTA)
    outside = abs(exposure) - inputs.band_lots
    if outside <= 0.0:
        return HedgeDecision(0, Reason.INSIDE_BAND)
    if not inputs.open:
        return HedgeDecision(0, Reason.CLOSED)
    if not inputs.two_sided:
        return HedgeDecision(0, Reason.NO_MARKET)
    if not inputs.fresh:
        return HedgeDecision(0, Reason.STALE)
    wanted = outside if to == "edge" else abs(exposure)
    lots = min(math.floor(wanted), inputs.max_order_lots) // inputs.lot_size * inputs.lot_size
    if lots == 0:
        return HedgeDecision(0, Reason.BELOW_LOT)
    reason = Reason.CAPPED if wanted - lots >= inputs.lot_size else Reason.TRADE
    return HedgeDecision(-lots if exposure > 0.0 else lots, reason)


def _check(inputs: HedgeInputs, to: str) -> None:
    if not inputs.band_lots >= 0.0:
        raise InvalidInput(
            f"band_lots is {inputs.band_lots:g}, must be >= 0. Zero hedges every whole lot."
        )
    if inputs.lot_size < 1 or inputs.max_order_lots < inputs.lot_size:
        raise InvalidInput(
            f"max_order_lots is {inputs.max_order_lots} and lot_size {inputs.lot_size}: need "
            "max_order_lots >= lot_size >= 1, or no order can ever be sent."
        )
    if to not in ("edge", "middle"):
        raise InvalidInput(f"to is {to!r}; choose 'edge' or 'middle'.")
