"""Expiry inside a session: the fixing price, and the legs that end each series."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hedging import expiry
from optmm.engine import state as tables
from optmm.market.chain import MarketDay
from optmm.market.events import Kind

if TYPE_CHECKING:
    from optmm.engine.desk import World

WINDOW_NS = 3_600 * 1_000_000_000


@dataclass(frozen=True, slots=True)
class Fixing:
    """The price that settles an expiry, and where it came from."""

    px_e9: int
    source: str


def fixings(day: MarketDay) -> dict[int, Fixing]:
    """Fixing price per slice that expires inside the session; applied only once its time has come.

    The last underlying print at or before the fixing stands for the official price, else the last
    two-sided mid; a slice with neither within an hour is left unsettled.
    """
    events, chain = day.events, day.chain
    out: dict[int, Fixing] = {}
    for j in range(chain.slices):
        at = int(chain.fixing_ns[chain.slice_start[j]])
        if not day.session.open_ns < at <= day.session.close_ns:
            continue
        window = (events["ts_event_ns"] <= at) & (events["ts_event_ns"] > at - WINDOW_NS)
        prints = events[window & (events["kind"] == Kind.UNDERLYING_TRADE)]
        quotes = events[window & (events["kind"] == Kind.UNDERLYING_QUOTE)]
        quotes = quotes[(quotes["bid_e9"] > 0) & (quotes["ask_e9"] > quotes["bid_e9"])]
        if prints.size:
            out[j] = Fixing(int(prints["bid_e9"][-1]), "last underlying print")
        elif quotes.size:
            mid = (int(quotes["bid_e9"][-1]) + int(quotes["ask_e9"][-1])) // 2
            out[j] = Fixing(mid, "last underlying mid")
    return out


def settle_expired(world: "World", now_ns: int, prices: dict[int, Fixing]) -> None:
    """Settle every slice whose fixing has passed, once."""
    for j, fixing in prices.items():
        rows = world.chain.rows(j)
        if j in world.settled or now_ns < int(world.chain.fixing_ns[rows.start]):
            continue
        world.settled.add(j)
        for i in range(rows.start, rows.stop):
            _settle(world, i, now_ns, fixing)


def _settle(world: "World", i: int, now_ns: int, fixing: Fixing) -> None:
    """Close one option at its settlement value; deliver the underlying at the fixing if it does."""
    c = world.chain
    value = expiry.settlement_value_e9(
        right=int(c.right[i]), strike_e9=int(c.strike_e9[i]), fixing_e9=fixing.px_e9
    )
    legs = expiry.settle(
        lots=int(world.lots[i]),
        right=int(c.right[i]),
        strike_e9=int(c.strike_e9[i]),
        fixing_e9=fixing.px_e9,
        multiplier=int(c.multiplier[i]),
        physical=bool(c.physical[i]),
        underlying_multiplier=c.underlying.multiplier,
    )
    world.marks.settle(i, value)
    for leg in legs:
        option = leg.kind == "settlement"
        where = i if option else world.n
        fee = world.exercise_e9 * leg.lots if option and value else 0
        world.fees_e9 += fee
        tables.settle(world.state, instrument=where, lots=leg.side * leg.lots, px_e9=leg.px_e9)
        world.fills.add(
            ts_ns=now_ns, instrument=where, kind=leg.kind, side=leg.side, lots=leg.lots,
            px_e9=leg.px_e9, fee_e9=fee, mark_e9=leg.px_e9, spot_e9=fixing.px_e9, delta=0.0,
            vega=0.0, bid_e9=0, ask_e9=0, own_lots=0,
        )  # fmt: skip
        world.journal_fill(now_ns, leg.kind)
