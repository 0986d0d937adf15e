"""Tables of the run folder that are built once, at the end: chain, closing Greeks, prints."""

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from optmm.engine import state as tables
from optmm.engine.marks import SOURCES

if TYPE_CHECKING:
    from optmm.engine.desk import World
    from optmm.engine.replay import Run


def finite(value: float) -> float | None:
    """A float, or None where there is no finite one."""
    return float(value) if np.isfinite(value) else None


def chain_frame(it: "Run") -> pl.DataFrame:
    """chain.parquet: the instruments with their closing marks."""
    c, w = it.feed.chain, it.worlds[0]
    mkt = w.state.mkt[:-1]
    n = len(c)
    unknown = np.full(n, np.nan)
    sheet = w.terms.sheet if w.terms else None
    interest = it.feed.open_interest
    return pl.DataFrame({
        "instrument": np.arange(n, dtype=np.int32), "symbol": list(c.symbol), "root": list(c.root),
        "right": c.right, "strike": c.strike, "expiry": c.expiry.astype("datetime64[D]"),
        "fixing_ns": c.fixing_ns, "american": c.american, "physical": c.physical,
        "am_settled": c.am_settled, "multiplier": c.multiplier, "slice": c.slice_of,
        "open_interest": np.full(n, -1) if interest is None else interest,
        "closing_mark_e9": w.marks.e9[:-1],
        "closing_source": [SOURCES[s] for s in w.marks.source[:-1]],
        "closing_vol": sheet.vol if sheet else unknown,
        "closing_delta": sheet.delta if sheet else unknown,
        "closing_bid_e9": mkt["bid_e9"], "closing_ask_e9": mkt["ask_e9"],
    })  # fmt: skip


GREEK_SCHEMA = {
    "bound": pl.String, "instrument": pl.Int32, "symbol": pl.String, "expiry": pl.Date,
    "strike": pl.Float64, "right": pl.Int8, "lots": pl.Int64, "multiplier": pl.Int64,
    "mark_e9": pl.Int64, "vol": pl.Float64, "years": pl.Float64, "delta": pl.Float64,
    "gamma": pl.Float64, "vega": pl.Float64, "theta": pl.Float64, "vanna": pl.Float64,
    "volga": pl.Float64, "rho": pl.Float64,
}  # fmt: skip


def greeks_frame(it: "Run", world: "World") -> pl.DataFrame:
    """greeks.parquet of one world: its positions at the close, the underlying last."""
    c, own = it.feed.chain, world.state.own
    sheet = world.terms.sheet if world.terms else None
    out = []
    for i in np.flatnonzero(own["qty"]):
        option = i < world.n
        row: dict = {
            "bound": world.name, "instrument": int(i), "lots": int(own["qty"][i]),
            "multiplier": int(world.state.mkt["multiplier"][i]), "mark_e9": int(world.marks.e9[i]),
        }  # fmt: skip
        if option:
            row |= {"symbol": c.symbol[i], "expiry": c.expiry[i].item(),
                    "strike": float(c.strike[i]),
                    "right": int(c.right[i])}  # fmt: skip
        else:
            row |= {"symbol": c.underlying.symbol, "delta": 1.0}
        if option and sheet is not None:
            names = ("vol", "years", "delta", "gamma", "vega", "theta", "vanna", "volga", "rho")
            row |= {name: finite(getattr(sheet, name)[i]) for name in names}
        out.append(row)
    return pl.DataFrame(out, schema=GREEK_SCHEMA)


def prints_frame(it: "Run") -> pl.DataFrame:
    """prints.parquet: the public prints, with the market and our fair value just before each."""
    w = it.worlds[0]
    acts = np.concatenate(w.prints) if w.prints else np.zeros(0, tables.ACT)
    vega = np.concatenate(w.print_vega) if w.print_vega else np.zeros(0)
    return pl.DataFrame({
        "ts_ns": acts["ts_ns"], "instrument": acts["instrument"], "px_e9": acts["px_e9"],
        "px_high_e9": acts["own_lots"], "lots": acts["lots"],
        "aggressor": acts["side"].astype(np.int8),
        "bid_e9": acts["bid_e9"], "ask_e9": acts["ask_e9"], "delta": acts["delta"],
        "vega": vega, "theo_e9": acts["mark_e9"],
    })  # fmt: skip


PIN_SCHEMA = {
    "bound": pl.String, "ts_ns": pl.Int64, "instrument": pl.Int32, "symbol": pl.String,
    "lots": pl.Int64, "strike": pl.Float64, "exercise": pl.Float64, "at_strike": pl.Float64,
    "near": pl.Boolean, "sd_lots": pl.Float64, "expiry": pl.String, "total_sd_lots": pl.Float64,
    "mean_lots": pl.Float64, "gap_usd": pl.Float64, "without_vol": pl.Int64,
}  # fmt: skip


def pins_frame(it: "Run") -> pl.DataFrame:
    """pins.parquet: positions that deliver, at the last timer before their fixing."""
    return pl.DataFrame([row for w in it.worlds for row in w.pins], schema=PIN_SCHEMA)
