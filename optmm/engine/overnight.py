"""What a night does to a book, between a close and the next open (docs/days.md).

Everything is decided from what is known at the close, in this order: exercise and assignment,
dividends, interest and borrow, splits.
"""

from typing import TYPE_CHECKING

import numpy as np

from optmm.engine import books, carry, corporate, exercise, pin
from optmm.market.booking import CarryLine
from optmm.market.chain import Session

if TYPE_CHECKING:
    from optmm.engine.desk import World


def between(world: "World", before: Session, after: Session) -> None:
    """Book the night from the close of `before` to the open of `after`."""
    _exercise(world, before, after)
    _carry(world, before, after)
    ratio = world.config.corporate.ratio(before.date, after.date)
    world.revalue_from_here(split=ratio is not None)
    if ratio is None:
        return
    own = world.state.own
    adjusted = corporate.split(
        world.chain, ratio=ratio, now_ns=before.close_ns, lots=own["qty"].copy(),
        marks_e9=world.marks.e9,
    )  # fmt: skip
    for leg in adjusted.legs:
        books.book_leg(world, before.close_ns, leg)
    world.marks.e9 = adjusted.marks_e9
    world.journal.append(before.close_ns, "split_ratio", {
        "ratio": f"{ratio.numerator}:{ratio.denominator}", "in_lieu_e9": adjusted.in_lieu_e9,
    })  # fmt: skip


def _exercise(world: "World", before: Session, after: Session) -> None:
    """Early exercise of what we are long, assignment of what we are short."""
    if world.terms is None:
        return
    sheet = world.terms.sheet
    known = exercise.Evening(
        now_ns=before.close_ns, next_open_ns=after.open_ns, date=before.date,
        spot_e9=int(world.marks.e9[-1]), vol=sheet.vol, rate=sheet.rate, carry=sheet.carry,
    )  # fmt: skip
    result = exercise.evening(
        world.chain, world.lots.copy(), known, config=world.config.exercise,
        dividends=world.config.dividends, seed=world.seed,
    )  # fmt: skip
    for row in result.rows:
        world.journal.append(before.close_ns, row.cause, {
            "instrument": row.instrument, "lots": row.lots, "held": row.held,
        })  # fmt: skip
    for leg in result.legs:
        books.book_leg(world, before.close_ns, leg)
    if result.undecided:
        world.journal.append(before.close_ns, "undecided", {"instruments": list(result.undecided)})


def _carry(world: "World", before: Session, after: Session) -> None:
    """Dividends on the shares held now, then interest on the cash and borrow of shares short."""
    paid, under = world.config.dividends, world.chain.underlying
    held = int(world.state.own["qty"][-1])
    lines: tuple[CarryLine, ...] = ()
    if under.kind == "equity":
        lines = carry.dividends(
            ex_dates=paid.ex_dates, cash_usd=paid.cash_usd, after=before.date, until=after.date,
            shares=held * under.multiplier,
        )  # fmt: skip
    for line in lines:
        books.book_carry(world, before.close_ns, line)
    for line in carry.overnight(
        underlying=under, config=world.config.carry, after=before.date, until=after.date,
        cash_e9=books.cash_e9(world), hedge_lots=held, hedge_mark_e9=int(world.marks.e9[-1]),
    ):  # fmt: skip
        books.book_carry(world, before.close_ns, line)


def opened(world: "World", now_ns: int) -> None:
    """Compare the first level of a session with the last close; an unexplained jump kills."""
    said = corporate.jumped(
        before_e9=world.close_e9, after_e9=int(world.state.head["spot_e9"][0]),
        ratio=world.config.corporate.ratio(world.close_date, world.session.date),
        most_share=world.config.corporate.jump_share,
    )  # fmt: skip
    if said:
        world.kill(now_ns, said)


def pinned(world: "World", now_ns: int, until_ns: int, next_open_ns: int) -> list[dict]:
    """The pin report of what expires in (now, until]; empty without a sheet."""
    if world.terms is None:
        return []
    sheet = world.terms.sheet
    found = pin.rows(
        world.chain, world.lots.copy(), vol=sheet.vol,
        forward=np.asarray(sheet.growth) * float(world.state.head["spot"][0]), now_ns=now_ns,
        until_ns=until_ns, next_open_ns=next_open_ns, config=world.config.exercise,
    )  # fmt: skip
    return [{"bound": world.name, "ts_ns": now_ns} | row for row in found]
