"""Expiry inside a session: the legs that end each series once its fixing price is known."""

from typing import TYPE_CHECKING

import numpy as np

from hedging import expiry
from optmm.engine import books, exercise
from optmm.engine.fixing_prices import Fixing

if TYPE_CHECKING:
    from optmm.engine.desk import World


def settle_expired(world: "World", now_ns: int, prices: dict[int, Fixing]) -> None:
    """Settle every slice whose fixing is known, once; `prices` by slice."""
    for j, fixing in sorted(prices.items()):
        if j in world.settled:
            continue
        world.settled.add(j)
        world.journal.append(
            now_ns, "fixing", {"slice": j, "px_e9": fixing.px_e9, "source": fixing.source}
        )
        rows = world.chain.rows(j)
        for i in range(rows.start, rows.stop):
            _settle(world, i, now_ns, fixing)


def _settle(world: "World", i: int, now_ns: int, fixing: Fixing) -> None:
    """Close one option at its settlement value; deliver the underlying at the fixing if it does."""
    c = world.chain
    value = expiry.settlement_value_e9(
        right=int(c.right[i]),
        strike_e9=int(c.strike_e9[i]),
        fixing_e9=fixing.px_e9,
        threshold_e9=exercise.threshold_e9(c, i),
    )
    world.marks.settle(i, value)
    if world.opening.waiting:  # it had no mark until now: it comes in at this one, and ends
        now_known = np.arange(world.n + 1) == i
        for leg in world.opening.at_marks(world.marks.e9, now_known):
            books.book_leg(world, now_ns, leg)
    legs = exercise.expired(
        c, i, int(world.lots[i]), fixing_e9=fixing.px_e9, config=world.config.exercise,
        day=world.session.date, seed=world.seed,
    )  # fmt: skip
    for leg in legs:
        books.book_leg(world, now_ns, leg)
