"""What a result rests on: latency, queue and fills in words, and what each of them cost.

Also what happened outside the market: legs of expiries and nights, cash lines, pin risk.
"""

from typing import Any

import polars as pl

from optmm.reports.run import Run

OUTSIDE = ("opening", "settlement", "exercise", "split", "roll")


def section(run: Run) -> dict[str, Any]:
    """`venue` of report.json."""
    return {
        "assumptions": list(run.results.get("assumptions", [])),
        "bounds": {bound: _costs(run, bound) for bound in run.bounds},
    }


def _costs(run: Run, bound: str) -> dict[str, Any]:
    """Pick-offs and what the message budget left unquoted, of one world."""
    engine = run.result_of(bound)
    open_s = sum(each["close_ns"] - each["open_ns"] for each in run.sessions) / 1e9
    unquoted = engine.get("unquoted_usd_s")
    return {
        "picked_off_contracts": engine.get("picked_off_contracts"),
        "picked_off_usd": _usd(engine.get("picked_off_e9")),
        "unquoted_usd_seconds": unquoted,
        "unquoted_average_usd": None if unquoted is None else unquoted / open_s,
        "throttled": engine.get("throttled"),
        "excluded_prints": engine.get("excluded_prints"),
        "side_trips": engine.get("side_trips"),
        "decisions": engine.get("decisions"),
        "sweeps": engine.get("sweeps"),
    }


def _usd(e9: int | None) -> float | None:
    return None if e9 is None else e9 / 1e9


def nights(run: Run) -> dict[str, Any]:
    """`nights` of report.json: what was booked outside the market, and pin risk before fixings."""
    return {
        "bounds": {
            bound: {
                "legs": _legs(run.world(run.fills, bound)),
                "carry": _carry(run.world(run.carry, bound)),
                "pins": _pins(run.world(run.pins, bound)),
            }
            for bound in run.bounds
        }
    }


def _legs(fills: pl.DataFrame) -> list[dict[str, Any]]:
    """Legs by kind: how many, and their lots."""
    kinds = fills.filter(pl.col("kind").is_in(OUTSIDE))
    grouped = kinds.group_by("kind").agg(pl.len().alias("legs"), pl.col("lots").sum()).sort("kind")
    return grouped.to_dicts()


def _carry(lines: pl.DataFrame) -> list[dict[str, Any]]:
    """Cash lines in order of time."""
    return [
        {"ts_ns": row["ts_ns"], "kind": row["kind"], "usd": row["amount_e9"] / 1e9,
         "note": row["note"]}
        for row in lines.sort("ts_ns", maintain_order=True).to_dicts()
    ]  # fmt: skip


def _pins(rows: pl.DataFrame) -> list[dict[str, Any]]:
    """Pin risk by expiry, just before its fixing, and the positions near their strike."""
    out = []
    for (expiry,), part in rows.group_by("expiry", maintain_order=True):
        first = part.row(0, named=True)
        near = part.filter(pl.col("near"))
        out.append({
            "expiry": expiry, "ts_ns": first["ts_ns"], "positions": part.height,
            "total_sd_lots": first["total_sd_lots"], "mean_lots": first["mean_lots"],
            "gap_usd": first["gap_usd"], "without_vol": first["without_vol"],
            "near": near.select(
                "symbol", "lots", "strike", "exercise", "at_strike", "sd_lots"
            ).to_dicts(),
        })  # fmt: skip
    return out
