"""The first flow table: who traded, how much, and what our fills were worth afterwards.

Rows FA1-FA10 of the flow template. What one day of this feed cannot support is `n/a` with its
reason, never a guess.
"""

from typing import Any

import numpy as np
import polars as pl

from optmm.flow import markouts
from optmm.flow.signing import Method, Signed, sign_prints
from optmm.reports import sessions
from optmm.reports.measure import measure, missing
from optmm.reports.run import Run

HORIZONS = (60, 300)
HOUR_NS = 3_600_000_000_000

ABSENT = {
    "toxicity": ("FA2", "needs the VPIN distribution of 20 earlier days, which a run has not"),
    "institutional_share": ("FA4", "the feed has no trade condition codes"),
    "order_types": ("FA5", "the feed has no order-level messages or condition codes"),
    "hit_rate_wide": ("FA8", "needs trailing 20-day spread cells, which a run has not"),
    "predictability": ("FA9", "not computed by this version"),
    "kyle_lambda": ("FA10", "not computed by this version"),
}


def signed(run: Run) -> Signed:
    """Signs of the day's public prints, in the order of prints.parquet."""
    columns = ("instrument", "bid_e9", "ask_e9", "aggressor")
    arrays: dict[str, Any] = {name: run.prints[name].to_numpy() for name in columns}
    low, high = run.prints["px_e9"].to_numpy(), run.prints["px_high_e9"].to_numpy()
    return sign_prints(**arrays, low_e9=low, high_e9=high)


def _hour_row(run: Run, start_ns: int, part: pl.DataFrame, sign: np.ndarray) -> dict[str, Any]:
    """One session hour: counts and the volume shares of buyers, sellers and the unsigned."""
    lots = part["lots"].to_numpy()
    total = int(lots.sum())
    start = run.local(start_ns)
    shares = {
        name: float(lots[sign == which].sum() / total) if total else None
        for name, which in (("buy_share", 1), ("sell_share", -1), ("unsigned_share", 0))
    }
    head = {"date": f"{start:%Y-%m-%d}", "from": f"{start:%H:%M}"}
    return head | {"prints": part.height, "contracts": total} | shares


def hourly(run: Run, sign: np.ndarray) -> list[dict[str, Any]]:
    """FA1: a row per session hour with prints; local exchange time."""
    stamp = run.prints["ts_ns"].to_numpy()
    which = sessions.number_of(run, stamp)
    rows = []
    for k, session in enumerate(run.sessions):
        hour = (stamp - session["open_ns"]) // HOUR_NS
        mine = which == k
        for h in range(int(hour[mine].min()), int(hour[mine].max()) + 1) if mine.any() else ():
            here = mine & (hour == h)
            start_ns = session["open_ns"] + h * HOUR_NS
            rows.append(_hour_row(run, start_ns, run.prints.filter(pl.Series(here)), sign[here]))
    return rows


def sizes(run: Run) -> dict[str, Any]:
    """FA3: mean, median and 95th percentile of a print, in contracts, premium and vega."""
    prints = run.prints
    if not prints.height:
        return {
            name: missing("FA3", "no public prints", unit)
            for name, unit in (("contracts", "contracts"), ("premium", "USD"), ("vega", "USD/pt"))
        }
    points = run.chain["multiplier"].to_numpy()[prints["instrument"].to_numpy()]
    lots = prints["lots"].to_numpy().astype(float)
    price = (prints["px_e9"].to_numpy() + prints["px_high_e9"].to_numpy()) / 2e9
    kinds = {
        "contracts": (lots, "contracts"),
        "premium": (lots * points * price, "USD"),
        "vega": (lots * points * np.abs(prints["vega"].to_numpy()) / 100.0, "USD per vol pt"),
    }
    bar_s = run.manifest.get("bar_ns", 0) / 1e9
    note = f"a print is one bar ({bar_s:g} s) of a series" if bar_s else ""
    out = {}
    for name, (raw, unit) in kinds.items():
        x = raw[np.isfinite(raw)]
        if not x.size:
            out[name] = missing("FA3", "no finite values in prints.parquet", unit)
            continue
        tail: dict[str, Any] = {"median": float(np.median(x)), "p95": float(np.quantile(x, 0.95))}
        out[name] = measure("FA3", float(x.mean()), unit, n=int(x.size), note=note, **tail)
    return out


def _horizon(fills: pl.DataFrame, tau: int) -> dict[str, Any]:
    """FA6 and FA7 at one horizon: counterparty alpha three ways, our edge, price impact."""
    col = {
        name: fills[f"{name}_e9"].to_numpy() / 1e9
        for name in ("px", "mark", "spot", f"mark_{tau}s", f"spot_{tau}s")
    }
    side = fills["side"].to_numpy().astype(float)
    shares = (fills["lots"] * fills["multiplier"]).to_numpy().astype(float)
    alpha = markouts.counterparty_alpha(
        side=side,
        mark=col["mark"],
        mark_later=col[f"mark_{tau}s"],
        delta=fills["delta"].to_numpy(),
        spot=col["spot"],
        spot_later=col[f"spot_{tau}s"],
    )
    edge = side * (col["mark"] - col["px"]) - alpha
    group = markouts.clusters_of(fills["ts_ns"].to_numpy(), tau)
    one, vega = np.ones(fills.height), fills["vega"].to_numpy()
    ways = {
        "alpha_usd_per_share": (alpha, one, 1.0),
        "alpha_bps_of_mark": (alpha, col["mark"], 1e4),
        "alpha_vol_points": (alpha, vega, 100.0),
        "edge_usd_per_share": (edge, one, 1.0),
    }
    out: dict[str, Any] = {"horizon_s": tau}
    for name, (top, bottom, scale) in ways.items():
        r = markouts.ratio_of_sums(top, bottom, weight=shares, cluster=group)
        out[name] = {"value": r.value * scale, "se": r.se * scale, "t": r.t}
        out["n"], out["clusters"] = r.n, r.clusters
    split = markouts.impact(
        side=side, px=col["px"], mark=col["mark"], mark_later=col[f"mark_{tau}s"], weight=shares
    )
    impact = {"permanent": split.permanent, "temporary": split.temporary}
    return out | {"impact_bps": impact | {"half_spread": split.half_spread}}


def our_markouts(run: Run, bound: str) -> dict[str, Any]:
    """FA6, FA7 of one world's quote fills: capture at the fill, then one entry a horizon."""
    hedgeable = pl.col("delta").is_finite() & pl.col("vega").is_finite()
    fills = run.world(run.fills, bound).filter((pl.col("kind") == "quote") & hedgeable)
    if not fills.height:
        return {"n": 0, "contracts": 0, "note": "no quote fills", "horizons": []}
    shares = (fills["lots"] * fills["multiplier"]).to_numpy().astype(float)
    edge = ((fills["mark_e9"] - fills["px_e9"]) * fills["side"]).to_numpy() / 1e9
    capture = markouts.ratio_of_sums(
        edge,
        np.ones(fills.height),
        weight=shares,
        cluster=markouts.clusters_of(fills["ts_ns"].to_numpy(), HORIZONS[0]),
    )
    return {
        "n": fills.height,
        "contracts": int(fills["lots"].sum()),
        "capture_usd_per_share": {"value": capture.value, "se": capture.se, "t": capture.t},
        "horizons": [_horizon(fills, tau) for tau in HORIZONS],
    }


def section(run: Run) -> dict[str, Any]:
    """`flow` of report.json. Public prints are the same in every world; markouts are per world."""
    how = signed(run)
    lots = run.prints["lots"].to_numpy()
    total = int(lots.sum())
    by = {m.name.lower(): int(lots[how.method == m].sum()) for m in Method}
    return {
        "prints": run.prints.height,
        "contracts": total,
        "signing": {"rule": "given aggressor, else quote rule, tick rule at mid", "contracts": by},
        "hourly": hourly(run, how.sign),
        "sizes": sizes(run),
        "markouts": {bound: our_markouts(run, bound) for bound in run.bounds},
        "absent": {name: missing(row, why) for name, (row, why) in ABSENT.items()},
    }
