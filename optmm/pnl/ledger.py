"""Path A of the P&L: a ledger of positions, cash and fees in exact integers.

    net = cash flow + (closing value - opening value) - fees + carry

Units   `_e9` is 1e-9 USD in Python ints, which cannot overflow; a sum at or beyond 2^62 is refused
        because files and the engine hold int64. Lots are signed in positions, > 0 in fills.
Checked tests/optmm/pnl/test_ledger.py: hand tapes, cash = realised - cost on any tape.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, NamedTuple, Protocol

import numpy as np

from optmm.errors import LimitBreached, UsageError

MAX_SUM_E9 = 1 << 62
MAX_NOTIONAL_E9 = 10**18  # USD 1 billion: a fill above it is a bug, here or at the venue


class Columns(Protocol):
    """A table read by column: a polars or pandas frame, or a dict of arrays."""

    def __getitem__(self, name: str, /) -> Any:
        """The column of that name."""


def column_names(table: Any) -> set[str]:
    """Names of the columns of a frame or of a dict of arrays."""
    return set(table.columns if hasattr(table, "columns") else table)


class OpeningPosition(NamedTuple):
    """What was held before the first fill, and the mark it is carried in at."""

    instrument: int
    lots: int
    mark_e9: int
    multiplier: int


@dataclass(frozen=True, slots=True)
class PositionBook:
    """One instrument. Identity at all times: cash - opening value = realised - cost.

    `cash_e9` is the flow of trades, fees apart; `cost_e9` what the open lots cost (negative if
    short), at average cost rounded down at each partial close, so that no 1e-9 is ever lost.
    """

    multiplier: int
    lots: int = 0
    cash_e9: int = 0
    fees_e9: int = 0
    realised_e9: int = 0
    cost_e9: int = 0
    opening_e9: int = 0

    def traded(self, *, side: int, lots: int, px_e9: int, fee_e9: int) -> "PositionBook":
        """The book after one fill of `lots` > 0 at `px_e9`."""
        flow = -side * lots * self.multiplier * px_e9
        closing = min(lots, abs(self.lots)) if self.lots * side < 0 else 0
        relieved = self.cost_e9 * closing // abs(self.lots) if closing else 0
        closed_flow = -side * closing * self.multiplier * px_e9
        return replace(
            self,
            lots=self.lots + side * lots,
            cash_e9=_bounded(self.cash_e9 + flow),
            fees_e9=_bounded(self.fees_e9 + fee_e9),
            realised_e9=_bounded(self.realised_e9 + (closed_flow - relieved if closing else 0)),
            cost_e9=_bounded(self.cost_e9 - relieved - (flow - closed_flow)),
        )

    def value_e9(self, mark_e9: int) -> int:
        """Worth of the open lots at a mark."""
        return _bounded(self.lots * self.multiplier * int(mark_e9))

    def net_e9(self, mark_e9: int) -> int:
        """Cash flow plus change of value less fees, 1e-9 USD."""
        return self.cash_e9 + self.value_e9(mark_e9) - self.opening_e9 - self.fees_e9


class Ledger:
    """All instruments of one world: the only object of this package that changes.

    Parameters
    ----------
    opening : positions carried in; the P&L counts from their marks
    """

    __slots__ = ("_books", "_carry_e9")

    def __init__(self, opening: Iterable[OpeningPosition] = ()) -> None:
        self._books: dict[int, PositionBook] = {}
        self._carry_e9 = 0
        for position in opening:
            instrument, lots, mark_e9, multiplier = (int(x) for x in position)
            if instrument in self._books:
                raise UsageError(f"instrument {instrument} opens twice; add its lots up first")
            value = _bounded(lots * multiplier * mark_e9)
            self._books[instrument] = PositionBook(
                multiplier, lots, cost_e9=value, opening_e9=value
            )

    def book(
        self, *, instrument: int, side: int, lots: int, px_e9: int, multiplier: int, fee_e9: int
    ) -> PositionBook:
        """Book one fill and return the instrument's position after it.

        Parameters
        ----------
        side : +1 bought, -1 sold by us
        lots : > 0
        px_e9 : 1e-9 USD per point; multiplier : USD per point and lot
        fee_e9 : > 0 is paid, < 0 a rebate

        Raises
        ------
        LimitBreached
            Above USD 1 billion of notional, or if a sum would leave 2^62.
        UsageError
            For a side, size or multiplier that no fill can have.
        """
        side, lots, px_e9 = int(side), int(lots), int(px_e9)
        if side not in (1, -1) or lots <= 0 or multiplier <= 0:
            raise UsageError(
                f"fill has side {side}, lots {lots}, multiplier {multiplier}; "
                "need +1 or -1, > 0 and > 0"
            )
        notional = lots * int(multiplier) * abs(px_e9)
        if notional > MAX_NOTIONAL_E9:
            raise LimitBreached(
                f"fill of {lots} lots in instrument {instrument} has a notional of USD "
                f"{notional / 1e9:,.0f}, above 1,000,000,000: refused. Check price and multiplier."
            )
        held = self._books.get(int(instrument), PositionBook(int(multiplier)))
        if held.multiplier != multiplier:
            raise UsageError(
                f"instrument {instrument} has multiplier {held.multiplier}, the fill {multiplier}; "
                "an adjusted contract is another instrument"
            )
        after = held.traded(side=side, lots=lots, px_e9=px_e9, fee_e9=int(fee_e9))
        self._books[int(instrument)] = after
        return after

    def book_table(self, fills: Columns) -> None:
        """Book every row of a fills table (a frame, or a dict of columns) in its order."""
        names = ("instrument", "side", "lots", "px_e9", "multiplier", "fee_e9")
        columns = [np.asarray(fills[name]).tolist() for name in names]
        for row in zip(*columns, strict=True):
            self.book(**dict(zip(names, row, strict=True)))

    def book_carry(self, amount_e9: int) -> None:
        """Book financing, borrow or a dividend: > 0 is received."""
        self._carry_e9 = _bounded(self._carry_e9 + int(amount_e9))

    def position(self, instrument: int) -> PositionBook | None:
        """The book of one instrument, or None if it never traded."""
        return self._books.get(instrument)

    @property
    def positions(self) -> dict[int, PositionBook]:
        """A copy of all books by instrument."""
        return dict(self._books)

    @property
    def cash_e9(self) -> int:
        """All cash moved: trades, fees and carry."""
        trades = sum(book.cash_e9 - book.fees_e9 for book in self._books.values())
        return _bounded(trades + self._carry_e9)

    @property
    def fees_e9(self) -> int:
        """Fees paid less rebates received."""
        return _bounded(sum(book.fees_e9 for book in self._books.values()))

    @property
    def realised_e9(self) -> int:
        """Realised by closing trades at average cost, before fees and carry."""
        return _bounded(sum(book.realised_e9 for book in self._books.values()))

    @property
    def carry_e9(self) -> int:
        """Carry booked, > 0 is received."""
        return self._carry_e9

    def value_e9(self, marks_e9: Sequence[int] | np.ndarray, spot_e9: int) -> int:
        """Worth of all positions; `marks_e9` has one row an option, the underlying is the next."""
        total = 0
        for instrument, book in self._books.items():
            total += book.value_e9(_mark(instrument, marks_e9, spot_e9))
        return _bounded(total)

    def net_e9(self, marks_e9: Sequence[int] | np.ndarray, spot_e9: int) -> int:
        """Net P&L at closing marks (options) and closing spot (underlying), 1e-9 USD."""
        opening = sum(book.opening_e9 for book in self._books.values())
        return _bounded(self.cash_e9 + self.value_e9(marks_e9, spot_e9) - opening)


def interest_e9(balance_e9: int, *, annual_rate: float | str, days: int) -> int:
    """Simple interest on ACT/360 in 1e-9 USD, rounded half to even; negative balances pay.

    Parameters
    ----------
    balance_e9 : cash lent, or minus the value of borrowed shares for a borrow fee
    annual_rate : decimal, 0.05 is 5 %, taken as written
    days : calendar days
    """
    return round(Fraction(int(balance_e9)) * Fraction(str(annual_rate)) * int(days) / 360)


def _mark(instrument: int, marks_e9: Sequence[int] | np.ndarray, spot_e9: int) -> int:
    if instrument > len(marks_e9) or instrument < 0:
        raise UsageError(
            f"instrument {instrument} has no mark: there are {len(marks_e9)} options, and the "
            f"underlying is row {len(marks_e9)}"
        )
    return int(spot_e9) if instrument == len(marks_e9) else int(marks_e9[instrument])


def _bounded(amount_e9: int) -> int:
    if abs(amount_e9) >= MAX_SUM_E9:
        raise LimitBreached(
            f"a sum of USD {amount_e9 / 1e9:,.0f} does not fit 2^62 of 1e-9 USD: stop and check"
        )
    return amount_e9
