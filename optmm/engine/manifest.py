"""manifest.json: what a run is of, and, once it has ended, what came out of it."""

import hashlib
import platform
import time
from importlib.metadata import version
from typing import TYPE_CHECKING

from optmm.config import DeskConfig, canonical, digest
from optmm.engine import books, closing, explain
from optmm.market.feed import Feed

if TYPE_CHECKING:
    from optmm.engine.desk import World
    from optmm.engine.replay import Run

VERSIONED = ("optmm", "numpy", "scipy", "numba", "polars", "pyarrow", "apsw", "QuantLib")


def heading(
    feed: Feed, config: DeskConfig, bounds: tuple[str, ...], seed: int, command: str
) -> dict:
    """The manifest of a run that has not ended."""
    data = [{"file": name, "sha256": value} for name, value in feed.sources]
    sessions = [
        {"date": day.session.date, "open_ns": day.session.open_ns,
         "close_ns": day.session.close_ns, "timezone": day.session.timezone}
        for day in feed.days
    ]  # fmt: skip
    underlying = feed.chain.underlying
    return {
        "schema": "optmm.run/1",
        "complete": False,
        "versions": {"python": platform.python_version()}
        | {name: version(name) for name in VERSIONED},
        "command": command,
        "config": config.model_dump(mode="json"),
        "config_hash": digest(config),
        "data": data,
        "data_hash": hashlib.sha256(canonical(data)).hexdigest(),
        "seed": seed,
        "underlying": underlying.symbol,
        "hedge": {
            "symbol": underlying.symbol, "kind": underlying.kind,
            "multiplier": underlying.multiplier, "tick_e9": underlying.tick_e9,
        },
        "session": sessions[0],
        "sessions": sessions,
        "bounds": list(bounds),
        "events": 0,
        "bar_ns": feed.bar_ns,
        "simulated": feed.simulated,
    }  # fmt: skip


def results(it: "Run") -> dict:
    """What came out of a run whose worlds have closed."""
    quality = it.feed.quality
    return {
        "wall_seconds": round(time.perf_counter() - it.started, 3),
        "events": int(it.worlds[0].state.head["events"][0]),
        "fits": it.market.fits,
        "bounds": {w.name: _results(w) for w in it.worlds},
        "fixings": it.settled,
        "data_quality": {
            "rows": quality.rows,
            "quarantined": dict(quality.quarantined),
            "two_sided_share": closing.finite(quality.two_sided_share),
            "notes": list(quality.notes),
        },
    }  # fmt: skip


def _results(world: "World") -> dict:
    head, config = world.state.head[0], world.config
    return {
        "journal_hash": world.journal.hex,
        "fills": int(head["fills"]),
        "contracts": int(head["contracts"]),
        "quotes_sent": int(head["messages"]),
        "quotes_landed": world.quotes.count,
        "throttled": int(head["throttled"]),
        "rejected": int(head["rejected"]),
        "trips": int(head["trips"]),
        "hedges": world.hedges,
        "hedge_lots": world.hedge_lots,
        "killed": world.stopped,
        "closing_marks": {
            "policy": config.marks.policy,
            "against_e9": {} if world.marked is None else dict(world.marked.against_e9),
        },
        "ledger_net_e9": books.net_e9(world),
        "explained_usd": {
            name: float(usd) for name, usd in zip(explain.LINES, world.explained, strict=True)
        },
        "fees_e9": world.fees_e9,
        "carry_e9": world.carry_e9,
        "closing_spot_e9": int(world.marks.e9[-1]),
        "limit": {
            "inventory_usd": config.limits.inventory_usd,
            "worst_inventory_usd": closing.finite(world.worst_inventory_usd),
            "breached": bool(world.breaches)
            or world.worst_inventory_usd > config.limits.inventory_usd,
            "breaches": dict(world.breaches),
        },
    }
