"""What each session of a run brought."""

from typing import Any

import numpy as np
import polars as pl

from optmm.pnl.statistics import Measure, missing, wilson
from optmm.reports.run import Run


def number_of(run: Run, ts_ns: np.ndarray) -> np.ndarray:
    """Which session each instant belongs to, from 0; a night belongs to the session before it."""
    opens = [session["open_ns"] for session in run.sessions]
    return np.maximum(np.searchsorted(opens, ts_ns, side="right") - 1, 0)


def since_close(run: Run, marks: pl.DataFrame) -> np.ndarray:
    """Net P&L of each row of one world's pnl since the close before its session, 1e-9 USD.

    That is the day's P&L, which the loss stop looks at.
    """
    when, net = number_of(run, marks["ts_ns"].to_numpy()), marks["net_e9"].to_numpy()
    first = np.searchsorted(when, when, side="left")
    return net - np.where(first > 0, net[np.maximum(first - 1, 0)], 0)


def days(run: Run, bound: str) -> list[dict[str, Any]]:
    """A row a session of one world: what its P&L moved by from close to close, and what traded."""
    marks = run.world(run.pnl, bound)
    fills = run.world(run.fills, bound)
    when = number_of(run, marks["ts_ns"].to_numpy())
    trade = number_of(run, fills["ts_ns"].to_numpy())
    kind = fills["kind"].to_numpy()
    lots = fills["lots"].to_numpy()
    out, before = [], 0
    for k, session in enumerate(run.sessions):
        rows = marks.filter(pl.Series(when == k, dtype=pl.Boolean))
        net = int(rows["net_e9"][-1]) if rows.height else before
        quoted, hedged = (trade == k) & (kind == "quote"), (trade == k) & (kind == "hedge")
        out.append({
            "date": session["date"], "net": (net - before) / 1e9, "net_e9": net - before,
            "fills": int(quoted.sum()), "contracts": int(lots[quoted].sum()),
            "hedges": int(hedged.sum()),
            "closing_delta_shares": float(rows["delta_shares"][-1]) if rows.height else None,
            "closing_vega_usd_per_volpt":
                float(rows["vega_usd_per_volpt"][-1]) if rows.height else None,
        })  # fmt: skip
        before = net
    return out


def winning_share(rows: list[dict[str, Any]]) -> Measure:
    """Share of sessions that made money, with Wilson's 95 % interval; one day is no rate."""
    if len(rows) < 2:
        return missing("share of days", len(rows), "one day is no rate")
    won = sum(row["net_e9"] > 0 for row in rows)
    low, high = wilson(won, len(rows))
    return Measure(won / len(rows), "share of days", len(rows), low=low, high=high)
