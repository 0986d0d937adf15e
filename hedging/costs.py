"""What trading costs: fee schedules, and the price of hedging at the touch. Exact integers.

Units   `_e9` is int64 in 1e-9 USD; a fee > 0 is paid, < 0 is a rebate received; lots are contracts,
        shares or futures; `multiplier` is USD per point and lot.
Checked tests/hedging/test_costs.py: hand-computed tickets, to the last 1e-9.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from hedging.errors import InvalidInput

HedgeKind = Literal["equity", "future"]


def to_e9(usd: float | str | Decimal) -> int:
    """Convert a fee in USD, as written in a config file, to 1e-9 USD; 0.65 is 650_000_000 exactly.

    Raises
    ------
    InvalidInput
        If `usd` is not finite or is finer than 1e-9 USD, which would round a fee silently.
    """
    # str() of a float is the shortest decimal that means it, which is what the config file says.
    value = Decimal(str(usd))
    scaled = value * 1_000_000_000
    if not scaled.is_finite() or scaled != scaled.to_integral_value():
        raise InvalidInput(f"usd is {usd}, must be a finite multiple of 1e-9 USD.")
    return int(scaled)


@dataclass(frozen=True, slots=True)
class FeeSchedule:
    """Fees of one venue profile, 1e-9 USD per contract, share or future."""

    option_e9: int = 0  # per contract, maker or taker
    option_maker_rebate_e9: int = 0  # per contract, > 0 is received when our quote is hit
    share_e9: int = 0  # per share of stock
    future_e9: int = 0  # per futures lot

    def option(self, lots: int, *, maker: bool = True) -> int:
        """Fee of `lots` contracts (either sign), 1e-9 USD; negative if the rebate exceeds it."""
        each = self.option_e9 - (self.option_maker_rebate_e9 if maker else 0)
        return abs(int(lots)) * each

    def hedge(self, lots: int, *, kind: HedgeKind) -> int:
        """Fee of `lots` shares or futures (either sign), 1e-9 USD.

        Raises
        ------
        InvalidInput
            If `kind` cannot be traded.
        """
        each = {"equity": self.share_e9, "future": self.future_e9}.get(kind)
        if each is None:
            raise InvalidInput(f"kind is {kind!r}; a hedge is an 'equity' or a 'future'.")
        return abs(int(lots)) * each


def schedule(
    *,
    option: float | str = 0,
    option_maker_rebate: float | str = 0,
    share: float | str = 0,
    future: float | str = 0,
) -> FeeSchedule:
    """Build a schedule from USD per contract, share and future, as a config file has them."""
    return FeeSchedule(to_e9(option), to_e9(option_maker_rebate), to_e9(share), to_e9(future))


@dataclass(frozen=True, slots=True)
class TouchCost:
    """One hedge taken at the touch: where it trades and what that costs, 1e-9 USD, >= 0 is paid."""

    px_e9: int
    mid_e9: int
    slippage_e9: int
    fee_e9: int

    @property
    def total_e9(self) -> int:
        """Slippage against the mid plus fee."""
        return self.slippage_e9 + self.fee_e9


def mid_e9(bid_e9: int, ask_e9: int) -> int:
    """Middle of the market in 1e-9 USD, rounded down; the mark that hedges are judged against."""
    return (int(bid_e9) + int(ask_e9)) // 2


def at_touch(lots: int, *, bid_e9: int, ask_e9: int, multiplier: int, fee_e9: int = 0) -> TouchCost:
    """Cost of trading `lots` (> 0 buys) at the displayed touch.

    Parameters
    ----------
    lots : signed
    bid_e9, ask_e9 : 0 < bid <= ask
    multiplier : USD per point and lot
    fee_e9 : of the whole trade, from `FeeSchedule.hedge`

    Raises
    ------
    InvalidInput
        If the market is one-sided or crossed, where no touch can be believed.
    """
    if not 0 < bid_e9 <= ask_e9:
        raise InvalidInput(
            f"market is {bid_e9} x {ask_e9} (1e-9 USD), must have 0 < bid <= ask. "
            "Wait for a two-sided market before hedging."
        )
    mid = mid_e9(bid_e9, ask_e9)
    px = int(ask_e9) if lots > 0 else int(bid_e9)
    return TouchCost(px, mid, int(lots) * int(multiplier) * (px - mid), fee_e9)
