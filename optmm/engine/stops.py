"""What ends or pauses quoting between events: day loss, hard limits, the time to re-arm."""

from typing import TYPE_CHECKING

from optmm.engine import books
from optmm.engine import state as tables
from optmm.engine.reasons import Why
from optmm.quoting import quoter
from optmm.risk import limits as risk_limits

if TYPE_CHECKING:
    from optmm.engine.desk import World

E9 = 1_000_000_000


def check(world: "World", now_ns: int) -> None:
    """Look at every stop once, at a timer."""
    limits = world.config.limits
    net_usd = (books.net_e9(world) - world.opening_net_e9) / E9
    if net_usd < -limits.loss_stop_usd:
        world.kill(now_ns, f"day loss USD {-net_usd:,.0f} beyond the stop")
    cash = world.state.own["cash_e9"].astype(float)
    if float(abs(cash).sum()) >= books.MONEY_BOUND:
        world.kill(now_ns, "cash is beyond what 1e-9 USD in 64 bits can hold")
    if _over_limits(world, now_ns):
        return  # still over: no time has passed towards re-arming
    pause = world.config.protections.rearm_s * E9
    if world.tripped_ns is not None and now_ns - world.tripped_ns >= pause:
        tables.rearm(world.state)
        world.tripped_ns = None
        world.journal.append(now_ns, "rearm", {})


def _over_limits(world: "World", now_ns: int) -> bool:
    """Pull every quote while the book is over a hard limit: the market can carry it there."""
    if world.terms is None:
        return False
    hard = quoter.limits_of(world.config, share=1.0)
    states = risk_limits.states(world.lots, world.terms.unit, limits=hard)
    over = [state for state in states if state.state == "hard"]
    for state in over:
        name = risk_limits.TEXT[state.binding]
        if name not in world.breaches:
            used, limit = round(state.used), round(state.hard)
            world.journal.append(now_ns, "limit", {"limit": name, "used": used, "hard": limit})
        world.breaches[name] = max(world.breaches.get(name, 0.0), state.used)
    if not over:
        return False
    if world.tripped_ns is None:
        world.journal.append(now_ns, "trip", {
            "fills": int(world.state.head["fills"][0]), "cause": "hard limit",
        })  # fmt: skip
        world.state.head["trips"] += 1
        world.state.head["is_tripped"] = 1
        world.quotes.add(tables.withdraw(world.state, int(Why.TRIPPED)))
    world.tripped_ns = now_ns
    return True
