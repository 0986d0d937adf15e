"""The quote card: one series at one moment, as a trader would ask for it (QM1-QM8, first form).

The moment is the last public print of the day's most traded series at which we quoted both sides:
there the run folder holds fair value, market and our own quote of the same instant.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from optmm.engine.reasons import describe
from optmm.reports import sessions
from optmm.reports.measure import measure, missing
from optmm.reports.run import Run

E9 = 1e9
TRIES = 10  # series looked at for one that we quoted
PREFERRED = ("queue", "simulated", "pessimistic", "optimistic")


@dataclass(frozen=True, slots=True)
class Side:
    """Our last message on one side: price in USD (0 a cancel), lots, reason bits, its time."""

    px: float
    lots: int
    why: int
    ts_ns: int


def favourite(run: Run) -> int | None:
    """Row of the series with the most contracts printed; the lower row wins a tie."""
    tape = run.prints if run.prints.height else run.fills.filter(pl.col("kind") == "quote")
    if not tape.height:
        return None
    lots = np.zeros(run.chain.height, np.int64)
    np.add.at(lots, tape["instrument"].to_numpy(), tape["lots"].to_numpy())
    busiest = np.argsort(-lots, kind="stable")[:TRIES]
    for row in busiest[lots[busiest] > 0]:
        # a series that nobody ever showed a market in has no quote of ours to put on a card
        if (run.quotes(run.bounds[0], int(row))["lots"] > 0).any():
            return int(row)
    return int(lots.argmax())


def canonical(series: dict[str, Any]) -> str:
    """QM1: symbol, style, multiplier and settlement, in words that need no manual."""
    style = "American" if series["american"] else "European"
    pays = "physical" if series["physical"] else "cash"
    time = "AM" if series["am_settled"] else "PM"
    return f"{series['symbol']} {style} x{series['multiplier']} {pays} {time}"


def _sides_at(quotes: pl.DataFrame, ts_ns: int) -> dict[int, Side]:
    """Our last message on each side just before `ts_ns`; price 0 where nothing is live."""
    out = {1: Side(0.0, 0, 0, 0), -1: Side(0.0, 0, 0, 0)}
    past = quotes.filter(pl.col("ts_ns") < ts_ns)
    for side in out:
        rows = past.filter(pl.col("side") == side)
        if rows.height:
            last = rows.row(rows.height - 1, named=True)
            out[side] = Side(last["px_e9"] / E9, last["lots"], last["why"], last["ts_ns"])
    return out


def _moment(prints: pl.DataFrame, quotes: pl.DataFrame) -> tuple[dict, dict[int, Side]]:
    """The last print while we quoted both sides, else the last print, and our quotes then."""
    ts = prints["ts_ns"].to_numpy()
    both = np.ones(ts.size, bool)
    for side in (1, -1):
        rows = quotes.filter(pl.col("side") == side)
        at = np.searchsorted(rows["ts_ns"].to_numpy(), ts, side="left") - 1
        px = np.append(rows["px_e9"].to_numpy(), 0)
        both &= px[at] > 0
    chosen = int(np.flatnonzero(both)[-1]) if both.any() else ts.size - 1
    return prints.row(chosen, named=True), _sides_at(quotes, int(ts[chosen]))


def _side(side: Side, sign: int, fair: float, half: float | None) -> dict[str, Any]:
    """QM4/QM5: price, size, skew and reasons of one side of ours."""
    if not side.px:
        reason = "no quote of ours was live on this side"
        px = missing("QM4", reason, "USD")
        return {"px": px, "lots": 0, "why": describe(side.why), "why_bits": side.why}
    body: dict[str, Any] = {
        "px": measure("QM4", side.px, "USD"),
        "lots": side.lots,
        "why": describe(side.why),
        "why_bits": side.why,
    }
    if not half:
        body["skew_percent"] = missing("QM5", "needs both sides of ours", "%")
        return body
    gap = sign * (fair - side.px)
    note = "against half our own width; the unskewed half width is not recorded"
    body["skew_percent"] = measure("QM5", 100.0 * (gap / half - 1.0), "%", note=note)
    return body


def _book(run: Run, bound: str, ts_ns: int) -> dict[str, Any] | None:
    """The world's last timer row at or before `ts_ns`, with the day's P&L until then."""
    rows = run.world(run.pnl, bound).filter(pl.col("ts_ns") <= ts_ns)
    if not rows.height:
        return None
    day_e9 = int(sessions.since_close(run, rows)[-1])
    return rows.row(rows.height - 1, named=True) | {"day_e9": day_e9}


def _uses(run: Run, lots: int, points: int, tick: dict, spot: float) -> list[dict[str, Any]]:
    """What a position in this series uses of each limit the configuration names."""
    limits = run.manifest.get("config", {}).get("limits", {})
    shares = lots * points
    vega = abs(shares * tick["vega"]) / 100.0
    table = (
        ("inventory_usd", abs(shares * tick["delta"]) * spot, "USD"),
        ("vega_usd_per_volpt", vega, "USD per vol pt"),
        ("expiry_vega_usd_per_volpt", vega, "USD per vol pt"),
    )
    return [
        {
            "limit": name,
            "used": used,
            "of": limits[name],
            "unit": unit,
            "share": used / limits[name],
        }
        for name, used, unit in table
        if limits.get(name)
    ]


def _headroom(run: Run, book: dict[str, Any] | None) -> list[dict[str, Any]]:
    """QM8: the whole book against each limit at that moment, tightest first."""
    limits = run.manifest.get("config", {}).get("limits", {})
    if book is None:
        return []
    table = (
        ("inventory_usd", book["inventory_usd"]),
        ("vega_usd_per_volpt", abs(book["vega_usd_per_volpt"])),
        ("loss_stop_usd", max(-book["day_e9"] / E9, 0.0)),
    )
    rows = [
        {"limit": name, "used": used, "of": limits[name], "share": used / limits[name]}
        for name, used in table
        if limits.get(name)
    ]
    return sorted(rows, key=lambda r: -r["share"])


def _exposure(side: Side, sign: int, points: int, tick: dict, book: dict | None) -> dict:
    """QM7: Greeks of one of our sides if it trades in full, and the book's after it."""
    if not side.px:
        return {"delta_shares": missing("QM7", "nothing is live on this side", "shares")}
    shares = sign * side.lots * points
    delta, vega = shares * tick["delta"], shares * tick["vega"] / 100.0
    out = {
        "delta_shares": measure("QM7", delta, "shares"),
        "vega_usd_per_volpt": measure("QM7", vega, "USD per vol pt"),
        "gamma_shares_per_usd": missing("QM7", "gamma is not in prints.parquet", "shares per USD"),
    }
    if book is not None:
        out["book_delta_after"] = measure("QM7", book["delta_shares"] + delta, "shares")
        after = book["vega_usd_per_volpt"] + vega
        out["book_vega_after"] = measure("QM7", after, "USD per vol pt")
    return out


def section(run: Run) -> dict[str, Any]:
    """`quote_card` of report.json; only a `note` where nothing printed in the day."""
    row = favourite(run)
    prints = run.prints.filter(pl.col("instrument") == (-1 if row is None else row))
    if row is None or not prints.height:
        return {"note": "n/a (no public print: fair value and market of one instant are unknown)"}
    bound = next((b for b in PREFERRED if b in run.bounds), run.bounds[0])
    series = run.chain.row(row, named=True)
    tick, sides = _moment(prints, run.quotes(bound, row))
    fair, points = tick["theo_e9"] / E9, series["multiplier"]
    bid, ask = sides[1], sides[-1]
    width = ask.px - bid.px if bid.px and ask.px else None
    book = _book(run, bound, tick["ts_ns"])
    mine = run.world(run.fills, bound).filter(
        (pl.col("instrument") == row) & (pl.col("ts_ns") <= tick["ts_ns"])
    )
    held = int((mine["side"] * mine["lots"]).sum())
    spot = book["spot"] if book else float("nan")
    uses = _uses(run, held, points, tick, spot)
    return {
        "bound": bound,
        "at": f"{run.local(tick['ts_ns']):%H:%M:%S}",
        "ts_ns": tick["ts_ns"],
        "instrument": canonical(series),
        "expiry": str(series["expiry"]),
        "strike": series["strike"],
        "right": series["right"],
        "printed_contracts": int(prints["lots"].sum()),
        "fair_value": measure("QM2", fair, "USD"),
        "confidence": missing("QM2", "its standard deviation is not in the run folder", "USD"),
        "spot": measure("", spot, "USD"),
        "market": {"bid": tick["bid_e9"] / E9, "ask": tick["ask_e9"] / E9},
        "bid": _side(bid, 1, fair, width and width / 2),
        "ask": _side(ask, -1, fair, width and width / 2),
        "spread": _spread(width, fair, tick["vega"]),
        "inventory_lots": measure("QM3", held, "contracts"),
        "inventory_limits": sorted(uses, key=lambda r: -r["share"]),
        "greeks_per_share": {"delta": tick["delta"], "vega_per_volpt": tick["vega"] / 100.0},
        "if_bid_trades": _exposure(bid, 1, points, tick, book),
        "if_ask_trades": _exposure(ask, -1, points, tick, book),
        "headroom": _headroom(run, book),
    }


def _spread(width: float | None, fair: float, vega: float) -> dict[str, Any]:
    """QM6: our width in USD, in percent of fair value and in vol points."""
    history = missing("QM6", "needs 20 earlier days in the same cell; this run is one day")
    if width is None:
        reason = "needs both sides of ours"
        return {"usd": missing("QM6", reason, "USD"), "against_history": history}
    return {
        "usd": measure("QM6", width, "USD"),
        "percent": measure("QM6", 100.0 * width / fair if fair > 0 else None, "% of fair value"),
        "vol_points": measure("QM6", 100.0 * width / vega if vega > 0 else None, "vol pt"),
        "against_history": history,
    }
