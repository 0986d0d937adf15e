"""What a source holds, in numbers: the rows behind `optmm data info`.

Everything returned is JSON-ready. Prices are USD, times ISO 8601 in UTC, shares decimals.
"""

import math
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from optmm.data.readers import reader_for
from optmm.data.snapshot import Snapshot, both_sides, utc
from optmm.market.chain import Chain, MarketDay
from optmm.market.events import Kind

SCHEMA = "optmm.data_info/1"
SNAPSHOT_SCHEMA = "optmm.snapshot_info/1"


def catalogue(path: Path) -> dict[str, Any]:
    """The chains and trade dates behind `path`."""
    reader = reader_for(path)
    return {
        "schema": SCHEMA,
        "reader": reader.name,
        "available": [
            {"underlying": chain.underlying, "class": chain.cls, "dates": list(chain.dates)}
            for chain in reader.days(path)
        ],
    }


def summary(day: MarketDay) -> dict[str, Any]:
    """Contracts, hours, rows by kind and quality of one day."""
    chain, quality = day.chain, day.quality
    kinds, counts = np.unique(day.events["kind"], return_counts=True)
    bars = day.events[day.events["kind"] == Kind.BAR]
    trades = day.events[day.events["kind"] == Kind.TRADE]
    interest = day.open_interest
    share = quality.two_sided_share
    return {
        "schema": SCHEMA,
        "underlying": {
            "symbol": chain.underlying.symbol,
            "kind": chain.underlying.kind,
            "multiplier": chain.underlying.multiplier,
            "tick_usd": chain.underlying.tick_e9 / 1e9,
        },
        "date": day.session.date,
        "open": utc(day.session.open_ns),
        "close": utc(day.session.close_ns),
        "timezone": day.session.timezone,
        "contracts": len(chain),
        "expiries": len(np.unique(chain.expiry)),
        "slices": [_slice(chain, j) for j in range(chain.slices)],
        "bar_seconds": day.bar_ns / 1e9,
        "events": {Kind(k).name.lower(): int(n) for k, n in zip(kinds, counts, strict=True)},
        "contracts_traded": int(bars["bid_lots"].sum() + trades["bid_lots"].sum()),
        "rows": quality.rows,
        "quarantined": dict(quality.quarantined),
        "two_sided_share": share if math.isfinite(share) else None,
        "open_interest": None if interest is None else int(interest[interest > 0].sum()),
        "notes": list(quality.notes),
        "simulated": day.simulated,
        "sources": [{"file": file, "sha256": sha} for file, sha in day.sources],
    }


def snapshot(found: Snapshot) -> dict[str, Any]:
    """Time, spot, quality and expiries of one chain at one instant."""
    quotes = found.quotes
    share = found.two_sided_share
    rows = quotes.group_by("expiry", "date", "root", maintain_order=True).agg(
        pl.len().alias("options"), both_sides().sum().alias("two_sided"),
        pl.col("strike").min().alias("low"), pl.col("strike").max().alias("high"),
        pl.col("style").first(),
    )  # fmt: skip
    return {
        "schema": SNAPSHOT_SCHEMA,
        "reader": found.reader,
        "underlying": {"symbol": found.underlying, "kind": found.kind},
        "valuation": utc(found.valuation_ns),
        "spot_usd": found.spot,
        **{
            f"{name}_usd": value if math.isfinite(value) else None
            for name, value in (("last", found.last), ("bid", found.bid), ("ask", found.ask))
        },
        "read": found.read,
        "options": quotes.height,
        "two_sided_share": share if math.isfinite(share) else None,
        "sizes": "bid_size" in quotes.columns,
        "expiries": [
            {
                "expiry": str(row["date"]),
                "root": row["root"],
                "style": row["style"],
                "fixing": utc(row["expiry"]),
                "options": row["options"],
                "two_sided": row["two_sided"],
                "lowest_strike_usd": row["low"],
                "highest_strike_usd": row["high"],
            }
            for row in rows.iter_rows(named=True)
        ],
        "quarantined": dict(found.quarantined),
        "notes": list(found.notes),
    }


def _slice(chain: Chain, j: int) -> dict[str, Any]:
    rows = chain.rows(j)
    first = rows.start
    return {
        "expiry": str(chain.expiry[first]),
        "root": chain.root[first],
        "contracts": rows.stop - rows.start,
        "lowest_strike_usd": float(chain.strike[rows].min()),
        "highest_strike_usd": float(chain.strike[rows].max()),
        "style": "american" if chain.american[first] else "european",
        "settlement": ("physical" if chain.physical[first] else "cash")
        + (" AM" if chain.am_settled[first] else " PM"),
        "multiplier": int(chain.multiplier[first]),
        "last_trade": utc(int(chain.last_trade_ns[first])),
        "fixing": utc(int(chain.fixing_ns[first])),
        "exercise_cutoff": utc(int(chain.exercise_ns[first])),
        "tick_split_usd": chain.tick_split_e9[first] / 1e9,
        "tick_below_usd": chain.tick_below_e9[first] / 1e9,
        "tick_above_usd": chain.tick_above_e9[first] / 1e9,
    }
