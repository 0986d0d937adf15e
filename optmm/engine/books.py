"""A world's money: legs and cash booked outside the market, net P&L, a row of pnl.parquet."""

from typing import TYPE_CHECKING

import numpy as np

from optmm.engine import closing_marks
from optmm.engine import state as tables
from optmm.engine.closing_marks import ABSENT, Marked
from optmm.engine.marks import NONE, SETTLEMENT
from optmm.errors import LimitBreached
from optmm.market.booking import CarryLine, Leg

if TYPE_CHECKING:
    from optmm.engine.desk import World

E9 = 1_000_000_000
MONEY_BOUND = 1 << 62


def book_leg(world: "World", now_ns: int, leg: Leg) -> None:
    """Book one leg outside the market: position, cash, fee, fill row and journal row.

    A holder who exercises, and whoever is assigned, pays the exercise fee of each contract.
    """
    delivers = leg.cause in ("expiry", "early_exercise", "assignment", "contrary_exercise")
    fee = 0
    if delivers and leg.kind == "settlement" and leg.px_e9:
        fee = world.exercise_e9 * leg.lots
    world.fees_e9 += fee
    tables.settle(world.state, instrument=leg.instrument, lots=leg.side * leg.lots, px_e9=leg.px_e9)
    world.fills.add(
        ts_ns=now_ns, instrument=leg.instrument, kind=leg.kind, side=leg.side, lots=leg.lots,
        px_e9=leg.px_e9, fee_e9=fee, mark_e9=leg.mark_e9,
        spot_e9=int(world.state.head["spot_e9"][0]), delta=0.0, vega=0.0, bid_e9=0, ask_e9=0,
        own_lots=0, picked_off=False,
    )  # fmt: skip
    world.journal_fill(now_ns, leg.kind)


def book_carry(world: "World", now_ns: int, line: CarryLine) -> None:
    """Book cash that is no trade; > 0 is received."""
    world.carry_e9 += line.amount_e9
    row = {"kind": line.kind, "amount_e9": line.amount_e9, "note": line.note}
    world.cash_lines.append({"bound": world.name, "ts_ns": now_ns} | row)
    world.journal.append(now_ns, "carry", row)


def mark_close(world: "World", official_e9: np.ndarray) -> Marked:
    """Mark the close by the policy of the configuration; the world's marks are these from now."""
    marks, own, mkt = world.marks, world.state.own, world.state.mkt
    settled = np.where(marks.source == SETTLEMENT, marks.e9, ABSENT)
    last = np.where(marks.source == NONE, ABSENT, marks.e9)
    by_name = closing_marks.candidates(world.state, settled, last, official_e9)
    marked = closing_marks.mark(
        by_name, policy=world.config.marks.policy, lots=own["qty"], multiplier=mkt["multiplier"]
    )
    marks.e9, marks.source = marked.e9, marked.source
    return marked


def net_e9(world: "World") -> int:
    """Ledger P&L now: cash, plus positions at marks, less fees, plus carry. Exact."""
    own, mkt = world.state.own, world.state.mkt
    held = np.flatnonzero(own["qty"])
    qty, mark, unit = own["qty"][held], world.marks.e9[held], mkt["multiplier"][held]
    if float(np.abs(qty.astype(np.float64) * mark * unit).sum()) >= MONEY_BOUND:
        raise LimitBreached("the book's value is beyond what 1e-9 USD in 64 bits can hold")
    return cash_e9(world) + int((qty * mark * unit).sum())


def cash_e9(world: "World") -> int:
    """All cash moved: trades, fees and carry."""
    return int(world.state.own["cash_e9"].sum()) - world.fees_e9 + world.carry_e9


def greeks(world: "World") -> tuple[float, float, float, float]:
    """Option delta (underlying units), gamma, vega per 1.00, theta per year, at this spot."""
    if world.terms is None:
        return 0.0, 0.0, 0.0, 0.0
    rows = np.flatnonzero(world.lots)
    sheet = world.terms.sheet
    live = rows[np.isfinite(sheet.theo[rows])]
    q = world.lots[live] * world.chain.multiplier[live]
    move = float(world.state.head["spot"][0]) - sheet.spot
    delta = float(q @ (sheet.delta[live] + move * sheet.gamma[live]))
    return (
        delta, float(q @ sheet.gamma[live]), float(q @ sheet.vega[live]),
        float(q @ sheet.theta[live]),
    )  # fmt: skip


def snapshot(world: "World", now_ns: int) -> None:
    """Append a row of pnl.parquet."""
    own, h = world.state.own, world.state.head[0]
    delta, gamma, vega, theta = greeks(world)
    unit = world.chain.underlying.multiplier
    net, cash = net_e9(world), cash_e9(world)
    inventory = world.plan.inventory if world.plan else None
    world.pnl.append(
        {
            "bound": world.name, "ts_ns": now_ns, "spot": float(h["mid"]), "cash_e9": cash,
            "mtm_e9": net - cash, "net_e9": net, "fees_e9": world.fees_e9,
            "fills": int(h["fills"]), "contracts": int(h["contracts"]),
            "hedge_lots": int(own["qty"][-1]),
            "delta_shares": delta + float(own["qty"][-1]) * unit,
            "option_delta_shares": delta, "gamma_shares_per_usd": gamma,
            "vega_usd_per_volpt": vega / 100.0, "theta_usd_per_day": theta / 365.0,
            "gross_premium_usd": inventory.premium_usd if inventory else 0.0,
            "inventory_usd": inventory.total_usd if inventory else 0.0,
            "live_sides": int((own["bid_lots"] > 0).sum() + (own["ask_lots"] > 0).sum()),
        }
    )  # fmt: skip
