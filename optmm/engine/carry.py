"""What a night costs or pays: dividends on hedge shares, interest on cash, borrow on short shares.

Cash lines, not trades: `Ledger.book_carry` takes each, and the report shows their sum as `carry`.
Exact integers of 1e-9 USD, rounded once a line, half to even.

A dividend belongs to whoever holds the share at the close before the ex-date: long receives, short
pays. Interest is simple on ACT/360, from the trade date of one session to that of the next.

A future is no money lent: its notional is neither paid nor received, only its gains and losses are,
so a hedge in futures is financed at cash plus notional.
"""

from collections.abc import Sequence
from datetime import date

from optmm.config_days import Carry, exact_e9
from optmm.market.booking import CarryLine
from optmm.market.chain import Underlying
from optmm.pnl.ledger import interest_e9


def dividends(
    *, ex_dates: Sequence[str], cash_usd: Sequence[float], after: str, until: str, shares: int
) -> tuple[CarryLine, ...]:
    """Cash on `shares` held (signed) at the close of `after`, for ex-dates in (after, until].

    Parameters
    ----------
    ex_dates, cash_usd : ISO dates and USD a share, as the configuration has them
    after, until : trade dates of the session that closed and of the next one, ISO
    shares : of the underlying, after settlement and exercise of that evening
    """
    if shares == 0:
        return ()
    return tuple(
        CarryLine("dividend", shares * exact_e9(usd), f"{usd:g} USD a share ex {day}")
        for day, usd in zip(ex_dates, cash_usd, strict=True)
        if after < day <= until
    )


def overnight(
    *,
    underlying: Underlying,
    config: Carry,
    after: str,
    until: str,
    cash_e9: int,
    hedge_lots: int,
    hedge_mark_e9: int,
) -> tuple[CarryLine, ...]:
    """Interest on the book's cash and the fee on shares held short, from `after` to `until`.

    Parameters
    ----------
    cash_e9 : all cash of the book after that evening's settlement: trades less fees plus carry
    hedge_lots, hedge_mark_e9 : of the underlying at the close; lots signed
    """
    days = (date.fromisoformat(until) - date.fromisoformat(after)).days
    value = hedge_lots * underlying.multiplier * hedge_mark_e9
    balance = cash_e9 + (value if underlying.kind == "future" else 0)
    span = f"{days} days"
    out = []
    if config.financing_rate and balance:
        interest = interest_e9(balance, annual_rate=config.financing_rate, days=days)
        note = f"{span} on USD {balance / 1e9:,.2f} at {config.financing_rate:g}"
        out.append(CarryLine("financing", interest, note))
    if config.short_borrow_rate and hedge_lots < 0 and underlying.kind == "equity":
        fee = interest_e9(value, annual_rate=config.short_borrow_rate, days=days)
        note = f"{span} on {-hedge_lots:,} shares short at {config.short_borrow_rate:g}"
        out.append(CarryLine("borrow", fee, note))
    return tuple(line for line in out if line.amount_e9)
