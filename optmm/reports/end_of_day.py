"""The end-of-day report of each world: the P&L and its split, counts, risk template, limits.

The split (optmm.pnl.attribution) and the ledger (optmm.pnl.ledger, run by the engine during the
day and once more here from fills.parquet) share only integer marks; `identity_error` is their
difference in 1e-9 USD.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from optmm.errors import UsageError
from optmm.pnl.attribution import Attribution, attribute
from optmm.pnl.ledger import Ledger
from optmm.pnl.roundtrips import OPTION_KINDS, round_trips, trip_statistics
from optmm.pnl.statistics import Measure, max_drawdown, sharpe, turnover
from optmm.reports import closing, sessions, stress
from optmm.reports.measure import measure, missing
from optmm.reports.run import Run

HORIZONS = (300, 60)
LINES = (
    "spread_capture",
    "adverse_selection",
    "inventory_alpha",
    "hedging_costs",
    "carry",
    "fees",
    "net",
)
SAME_SIGN = "The sign of the P&L is the same under every fill assumption."
SIGN_DIFFERS = (
    "The sign of the P&L differs across fill assumptions: "
    "the tape cannot say whether money was made."
)
ONE_WORLD = "One world: its takers decide by our price, so no fill assumption is needed."
ONE_ASSUMPTION = "One fill assumption was run; the others may change even the sign of the P&L."
LIMITS_TAPE = (
    "Fill assumptions are worlds, not bounds of the P&L. A recorded tape cannot identify the level "
    "of P&L as a function of our own width: its takers did not see our quotes, so P&L rises with "
    "our width. Only a simulated market whose takers react to our price can."
)
LIMITS_SIMULATED = (
    "A simulated market whose takers react to our price: its P&L answers to our own width, and is "
    "as true as its takers are."
)

UNHEDGED = "The book is not hedged: {symbol} is an index, and no future stands in for it here."


def _splits(run: Run, fills: pl.DataFrame, carry_e9: int) -> dict[int, Attribution]:
    """The attribution of one world at each horizon."""
    marks = run.chain["closing_mark_e9"].to_numpy()
    return {
        tau: attribute(
            fills,
            closing_marks_e9=marks,
            closing_spot_e9=run.closing_spot_e9,
            carry_e9=carry_e9,
            tau_s=tau,
        )
        for tau in HORIZONS
    }


def _usd(split: Attribution) -> dict[str, Any]:
    """The headline lines in USD, and inventory alpha's own parts."""
    parts = ("inventory_options", "inventory_hedges", "inventory_opening")
    out: dict[str, Any] = {line: getattr(split, f"{line}_e9") / 1e9 for line in LINES}
    out["tau_s"] = split.tau_s
    return out | {part: getattr(split, f"{part}_e9") / 1e9 for part in parts}


def _ledger_e9(run: Run, fills: pl.DataFrame, carry_e9: int) -> int:
    """Net P&L of the fills by the ledger, 1e-9 USD."""
    ledger = Ledger()
    ledger.book_table(fills)
    ledger.book_carry(carry_e9)
    return ledger.net_e9(run.chain["closing_mark_e9"].to_numpy(), run.closing_spot_e9)


def _template(row: str, m: Measure, window: str = "session", **more: Any) -> dict[str, Any]:
    """A `Measure` of optmm.pnl as a template row; its interval where it has one."""
    span = {} if m.low is None else {"low": m.low, "high": m.high}
    return measure(row, m.value, m.unit, n=m.n, window=window, note=m.reason, **span, **more)


def _turnovers(run: Run, fills: pl.DataFrame) -> dict[str, Any]:
    """RR11 in contracts and in vega; the vega of a series is that of its first fill."""
    option = pl.col("kind").is_in(OPTION_KINDS) & (pl.col("instrument") < run.underlying_row)
    fills = fills.filter(option).sort("ts_ns", maintain_order=True)
    first, last = run.sessions[0]["open_ns"], run.sessions[-1]["close_ns"]
    fills = fills.filter(pl.col("ts_ns").is_between(first, last))
    length = sum(each["close_ns"] - each["open_ns"] for each in run.sessions)
    ends = {"start_ns": 0, "end_ns": length}
    trades: dict[str, Any] = {
        "ts_ns": run.elapsed_ns(fills["ts_ns"].to_numpy()),
        "instrument": fills["instrument"].to_numpy(),
        "signed_lots": (fills["side"] * fills["lots"]).to_numpy(),
    }
    vega = (pl.col("vega") * pl.col("multiplier")).first().over("instrument").alias("weight")
    weight = fills.select(vega)["weight"].to_numpy()
    finite = np.isfinite(weight)
    by_vega = turnover(
        **ends, **{k: v[finite] for k, v in trades.items()}, weight=np.abs(weight[finite])
    )
    return {
        "inventory_turnover": _template("RR11", _a_session(run, turnover(**ends, **trades))),
        "vega_turnover": _template("RR11", _a_session(run, by_vega)),
    }


def _a_session(run: Run, whole: Measure) -> Measure:
    """A count over the whole run as one a session."""
    if whole.value is None:
        return whole
    return replace(whole, value=whole.value / len(run.sessions))


def capital(run: Run) -> float:
    """USD that ratios are taken of: the inventory limit."""
    limits = run.manifest.get("config", {}).get("limits", {})
    return float(limits.get("inventory_usd", 10_000_000.0))


def _performance(run: Run, bound: str, daily: list[dict[str, Any]]) -> dict[str, Any]:
    """RR12 and RR13: one day gives a drawdown and no Sharpe ratio."""
    usd = capital(run)
    curve = run.world(run.pnl, bound)["net_e9"].to_numpy() / 1e9
    note = f"capital is the inventory limit, {usd:,.0f} USD"
    fall = max_drawdown(curve, capital_usd=usd)
    share = _template("RR13", fall)
    share["unit"] = "% of capital"
    if fall.value is not None:
        share["value"], share["note"] = 100.0 * fall.value, note
    dollars = None if fall.value is None else fall.value * usd
    return {
        "sharpe": _template("RR12", sharpe([row["net"] for row in daily], capital_usd=usd)),
        "max_drawdown": share,
        "max_drawdown_usd": measure("RR13", dollars, "USD", n=fall.n, note=fall.reason),
    }


def _risk(run: Run, bound: str, fills: pl.DataFrame, daily: list[dict[str, Any]]) -> dict[str, Any]:
    """RR10-RR16 of one world."""
    options = fills.filter(pl.col("instrument") < run.underlying_row)
    trips = trip_statistics(round_trips(options))
    return {
        **stress.value_at_risk(run, bound),
        **_turnovers(run, fills),
        **_performance(run, bound, daily),
        "win_rate": _template("RR14", trips.win_rate),
        "win_rate_days": _template("RR14", sessions.winning_share(daily)),
        "trade_duration": _template("RR15", trips.duration),
        "half_life": missing("RR15", "not computed by this version", "minutes"),
        "profit_factor": _template("RR16", trips.profit_factor),
    }


def _greeks(run: Run, bound: str) -> dict[str, Any]:
    """The book at the close; a position without Greeks makes every sum `n/a`, with its reason."""
    try:
        return closing.greeks(run, bound)
    except UsageError as lacking:
        blank: dict[str, Any] = dict.fromkeys(closing.SUMS)
        return blank | {"by_expiry": [], "note": f"n/a ({lacking})"}


def _explained(engine: dict[str, Any]) -> dict[str, Any]:
    """RR3 sub-lines: the held book's revaluation from sheet to sheet, by Greek, and its sum."""
    lines = engine.get("explained_usd")
    if not lines:
        return {"note": "the run folder has no revaluation by Greek"}
    return {**lines, "revaluation": sum(lines.values())}


def world(run: Run, bound: str) -> dict[str, Any]:
    """`bounds.<bound>` of report.json."""
    fills = run.world(run.fills, bound).sort("seq", maintain_order=True)
    engine = run.result_of(bound)
    carry_e9 = int(engine.get("carry_e9", 0))
    splits = _splits(run, fills, carry_e9)
    headline = splits[HORIZONS[0]]
    again = _ledger_e9(run, fills, carry_e9)
    ledger_e9 = int(engine.get("ledger_net_e9", again))
    quotes = fills.filter(pl.col("kind") == "quote")
    daily = sessions.days(run, bound)
    return {
        "journal_hash": engine.get("journal_hash"),
        "fills": quotes.height,
        "contracts": int(quotes["lots"].sum()),
        "quotes_sent": engine.get("quotes_sent"),
        "hedges": fills.filter(pl.col("kind") == "hedge").height,
        "hedge_lots": int(fills.filter(pl.col("kind") == "hedge")["lots"].sum()),
        "trips": engine.get("trips"),
        "throttled": engine.get("throttled"),
        "rejected": engine.get("rejected"),
        "killed": engine.get("killed"),
        "pnl": _usd(headline),
        "pnl_60s": _usd(splits[60]),
        "inventory_explained": _explained(engine),
        "ledger_net": ledger_e9 / 1e9,
        "ledger_net_e9": ledger_e9,
        "identity_error": ledger_e9 - headline.net_e9,
        "identity_error_60s": ledger_e9 - splits[60].net_e9,
        "ledger_less_fills_e9": ledger_e9 - again,
        "greeks": _greeks(run, bound),
        "stress": stress.matrix(run, bound),
        "days": daily,
        "risk": _risk(run, bound, fills, daily),
    }


def headline(run: Run, bounds: dict[str, Any]) -> dict[str, Any]:
    """Plain sentences: does the sign depend on the assumption, and what no tape can say."""
    signs = {int(np.sign(b["pnl"]["net"])) for b in bounds.values()} - {0}
    simulated = bool(run.manifest.get("simulated"))
    if len(bounds) == 1:
        said = ONE_WORLD if simulated else ONE_ASSUMPTION
    else:
        said = SIGN_DIFFERS if len(signs) > 1 else SAME_SIGN
    limits = LIMITS_SIMULATED if simulated else LIMITS_TAPE
    hedge = run.manifest.get("hedge", {})
    if hedge.get("kind") == "index":
        limits = f"{UNHEDGED.format(symbol=hedge['symbol'])} {limits}"
    return {"sign": said, "sign_differs": len(signs) > 1, "limits": limits}


def limits(run: Run) -> dict[str, list[dict[str, Any]]]:
    """`limits` of report.json: the worst use of each limit in each world, tightest first.

    Inventory is what the engine measured at every event, where it handed that over; the rest is
    the worst of the day's timers.
    """
    config = run.manifest.get("config", {}).get("limits", {})
    out = {}
    for bound in run.bounds:
        rows = run.world(run.pnl, bound)
        engine = run.result_of(bound).get("limit") or {}
        at_timers = {
            "inventory_usd": (_most(rows["inventory_usd"]), "USD"),
            "vega_usd_per_volpt": (_most(rows["vega_usd_per_volpt"].abs()), "USD per vol pt"),
            "loss_stop_usd": (_most_lost(run, rows), "USD"),
        }
        entries = []
        for name, (at_timer, unit) in at_timers.items():
            limit = config.get(name, engine.get(name))
            at_event = (
                float(engine.get("worst_inventory_usd", 0.0)) if name == "inventory_usd" else 0.0
            )
            worst = max(at_timer, at_event)
            if limit:
                entry = {"limit": name, "unit": unit, "worst": worst, "of": limit}
                entries.append(entry | {"share": worst / limit, "breached": worst > limit})
        out[bound] = sorted(entries, key=lambda e: -e["share"])
    return out


def _most_lost(run: Run, rows: pl.DataFrame) -> float:
    """USD that the worst session was down by at its worst, 0 at least."""
    return max(_most(pl.Series(-sessions.since_close(run, rows))) / 1e9, 0.0)


def _most(values: pl.Series) -> float:
    """Largest finite value, 0 where there is none."""
    x = values.to_numpy().astype(float)
    x = x[np.isfinite(x)]
    return float(x.max()) if x.size else 0.0
