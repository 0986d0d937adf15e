"""Tables of the desk: result, risk, Greeks, marks, obligations, limits."""

from typing import Any

from optmm.reports.tables import (
    NA,
    Column,
    Table,
    limit_name,
    main_world,
    number,
    percent,
    short,
    words,
    worlds,
)

SPLIT = (
    ("spread_capture", "Spread capture"),
    ("adverse_selection", "Adverse selection, 300 s"),
    ("inventory_alpha", "Inventory alpha"),
    ("hedging_costs", "Hedging costs"),
    ("carry", "Carry"),
    ("fees", "Fees"),
    ("net", "Net P&L"),
)
EXPLAINED = (
    "theta", "delta", "gamma", "vega", "vanna", "volga", "forward", "unexplained", "revaluation",
)  # fmt: skip
COUNTS = (
    ("fills", "Fills"),
    ("contracts", "Contracts"),
    ("quotes_sent", "Quotes sent"),
    ("hedges", "Hedges"),
    ("trips", "Protection trips"),
    ("throttled", "Messages throttled"),
    ("rejected", "Quotes refused by the venue"),
)


def headline(report: dict[str, Any]) -> Table:
    """Each world's P&L, its split and its counts, side by side."""
    bounds = report["bounds"]
    rows = [
        (label, "USD", *(number(b["pnl"][key], 2) for b in bounds.values())) for key, label in SPLIT
    ]
    strong = frozenset({len(SPLIT) - 1})
    rows.append(("Ledger net", "USD", *(number(b["ledger_net"], 2) for b in bounds.values())))
    errors = (number(b["identity_error"]) for b in bounds.values())
    rows.append(("Split less ledger", "1e-9 USD", *errors))
    late = (number(b["pnl_60s"]["adverse_selection"], 2) for b in bounds.values())
    rows.append(("Adverse selection, 60 s", "USD", *late))
    for key in EXPLAINED:
        parts = (b["inventory_explained"].get(key) for b in bounds.values())
        rows.append((f"Held book: {key}", "USD", *(number(part, 2) for part in parts)))
    rows += [(label, "", *(number(b.get(key)) for b in bounds.values())) for key, label in COUNTS]
    columns = (*words("", "unit"), *(Column(name) for name in bounds))
    return Table("headline", "Result by fill assumption", columns, tuple(rows), "", strong)


def days(report: dict[str, Any]) -> Table:
    """Each session's P&L, contracts and closing book in every world; a total below."""
    bounds = report["bounds"]
    rows = []
    for k, session in enumerate(report["sessions"]):
        cells = [session["date"]]
        for b in bounds.values():
            row = b["days"][k]
            cells += [number(row["net"], 2), number(row["contracts"]),
                      number(row["closing_delta_shares"])]  # fmt: skip
        rows.append(tuple(cells))
    total = ["all"]
    for b in bounds.values():
        traded = sum(row["contracts"] for row in b["days"])
        total += [number(sum(row["net"] for row in b["days"]), 2), number(traded), ""]
    columns = list(words("session"))
    for name in bounds:
        columns += [Column(f"{name} net", "USD"), Column("contracts"), Column("delta", "shares")]
    return Table("days", "Session by session", tuple(columns), (*rows, tuple(total)),
                 "From close to close; the first session from its opening.",
                 frozenset({len(rows)}))  # fmt: skip


# key in `risk`, label, digits, scale
RISK = (
    ("var", "VaR 95 %, 1 day", 0, 1.0),
    ("expected_shortfall", "Expected shortfall 97.5 %, 1 day", 0, 1.0),
    ("var_cornish_fisher", "VaR 95 % by Cornish-Fisher", 0, 1.0),
    ("inventory_turnover", "Inventory turnover", 2, 1.0),
    ("vega_turnover", "Vega turnover", 2, 1.0),
    ("sharpe", "Sharpe ratio", 2, 1.0),
    ("max_drawdown", "Maximum drawdown", 4, 1.0),
    ("max_drawdown_usd", "Maximum drawdown", 0, 1.0),
    ("win_rate", "Win rate, FIFO round trips", 1, 100.0),
    ("trade_duration", "Average trade duration", 1, 1.0),
    ("half_life", "Inventory half-life", 1, 1.0),
    ("profit_factor", "Profit factor", 2, 1.0),
)


def _risk_note(per_world: list[dict[str, Any]]) -> str:
    """Counts of each world, window, and the reasons of whatever is absent."""
    counts = [str(m["n"]) for m in per_world if m.get("n") is not None]
    parts = [f"n = {' / '.join(counts)}"] if counts else []
    if per_world and per_world[0].get("window") != "session":
        parts.append(str(per_world[0]["window"]))
    if any("low" in m for m in per_world):
        spans = (
            f"{number(100 * m['low'], 0)}-{number(100 * m['high'], 0)}"
            for m in per_world
            if m.get("low") is not None
        )
        parts.append("95 % interval " + " / ".join(spans))
    notes = dict.fromkeys(m["note"] for m in per_world if m.get("note"))
    absent = any(m.get("value") is None for m in per_world)
    parts += [f"{NA}: {note}" if absent else note for note in notes]
    return "; ".join(parts)


def risk(report: dict[str, Any]) -> Table:
    """RR10-RR16: a row a number, a column a world, then n, window and reasons."""
    rows = []
    for key, label, digits, scale in RISK:
        per_world = [b["risk"][key] for b in report["bounds"].values() if key in b["risk"]]
        if not per_world:
            continue
        unit = "%" if scale == 100.0 else per_world[0]["unit"]
        cells = (short(b["risk"].get(key), digits, scale) for b in report["bounds"].values())
        rows.append((per_world[0]["row"], label, unit, *cells, _risk_note(per_world)))
    columns = (
        *words("row", "", "unit"),
        *(Column(name) for name in worlds(report)),
        Column("n, window, reason", numeric=False),
    )
    method = next(
        (
            b["risk"]["var"].get("method", "")
            for b in report["bounds"].values()
            if "var" in b["risk"]
        ),
        "",
    )
    quantile = "exact quantile of the law" if method else ""
    note = f"VaR: {method}; {quantile}." if method else ""
    return Table("risk", "Risk report", columns, tuple(rows), note)


GREEKS = (
    ("delta_shares", "delta", "shares", 0),
    ("gamma_shares_per_usd", "gamma", "shares / USD", 1),
    ("vega_usd_per_volpt", "vega", "USD / vol pt", 0),
    ("theta_usd_per_day", "theta", "USD / day", 0),
    ("vanna_shares_per_volpt", "vanna", "shares / vol pt", 1),
    ("volga_usd_per_volpt2", "volga", "USD / vol pt²", 1),
)


def greeks(report: dict[str, Any], bound: str | None = None) -> Table:
    """Greeks at the close of one world: options by expiry, the hedge, the total."""
    bound = bound or main_world(report)
    g = report["bounds"][bound]["greeks"]
    rows = [
        (row["expiry"], *(number(row[key], d) for key, _, _, d in GREEKS)) for row in g["by_expiry"]
    ]
    blanks = ("",) * (len(GREEKS) - 1)
    rows.append(("hedge", number(g["hedge_shares"]), *blanks))
    rows.append(("book", *(number(g[key], d) for key, _, _, d in GREEKS)))
    columns = (*words("expiry"), *(Column(t, u) for _, t, u, _ in GREEKS))
    note = (
        f"{g['positions']} positions, {number(g['contracts_gross'])} contracts gross; dollar delta "
        f"{number(g['delta_usd'])} USD; gamma {number(g['gamma_usd_per_pct'])} USD per 1 %; "
        f"time-weighted vega {number(g['vega_weighted_usd_per_volpt'])} USD per vol pt."
    )
    if g.get("note"):
        note = g["note"]
    title = f"Book at the close, {bound}"
    strong = frozenset({len(rows) - 1})
    return Table(f"greeks-{bound}", title, columns, tuple(rows), note, strong)


def stress(report: dict[str, Any], bound: str | None = None) -> Table | None:
    """Stress matrix of one world, None where it could not be computed."""
    bound = bound or main_world(report)
    m = report["bounds"][bound]["stress"]
    if "pnl_usd" not in m:
        return None
    rows = tuple(
        (f"{100 * s:+.0f} %", *(number(x) for x in line))
        for s, line in zip(m["spot_shocks"], m["pnl_usd"], strict=True)
    )
    columns = (*words("spot"), *(Column(f"vol {100 * v:+.0f} %") for v in m["vol_shocks"]))
    note = f"USD, full revaluation; {m['surface_rule']}; vol shocks relative; no time passes."
    return Table(f"stress-{bound}", f"Stress matrix, {bound}", columns, rows, note)


def closing(report: dict[str, Any]) -> Table:
    """What closing marks rest on, and theo against mid in USD."""
    marks = report["closing_marks"]
    rows = [
        (bound, number(m["theo_less_mid_usd"], 2), number(m["positions_compared"]),
         number(m["positions_without_both"]))
        for bound, m in marks["bounds"].items()
    ]  # fmt: skip
    counts = ", ".join(f"{n:,} {source}" for source, n in marks["series"].items())
    columns = (
        *words("world"),
        Column("theo less mid", "USD"),
        Column("positions compared"),
        Column("without both"),
    )
    fixed = "; ".join(f"{f['expiry']} at {f['usd']:,.2f}, {f['source']}" for f in marks["fixings"])
    settled = f" Fixings: {fixed}." if fixed else ""
    note = f"Policy: {marks['policy']}. Series by source: {counts}.{settled}"
    return Table("closing", "Closing marks", columns, tuple(rows), note)


def obligations(report: dict[str, Any]) -> Table:
    """Two-sided presence of each world against the target."""
    o = report["obligations"]
    rows = [
        (bound, percent(w["share"]), {True: "yes", False: "no", None: NA}[w["met"]],
         number(w["series_at_target"]), number(w["series"]), number(w["eligible_s"] / 3600))
        for bound, w in o["bounds"].items()
    ]  # fmt: skip
    columns = (
        *words("world"),
        Column("two-sided", "%"),
        Column("target met"),
        Column("series at target"),
        Column("series eligible"),
        Column("eligible", "series-hours"),
    )
    note = f"Target {percent(o['target'], 0)} % of {o['denominator']}."
    return Table("obligations", "Quoting obligations", columns, tuple(rows), note)


def absences(report: dict[str, Any]) -> Table:
    """Why we were absent, in every world; a reason's share is of eligible time."""
    o = report["obligations"]["bounds"]
    names: dict[str, str] = {}
    for w in o.values():
        names |= {r["reason"]: r["text"] for r in w["absent"]}
    share = {b: {r["reason"]: r["share"] for r in w["absent"]} for b, w in o.items()}
    order = sorted(names, key=lambda n: (-max(s.get(n) or 0.0 for s in share.values()), n))
    rows = tuple((names[n], *(percent(share[b].get(n, 0.0), 2) for b in o)) for n in order)
    columns = (*words("reason"), *(Column(b, "% of eligible time") for b in o))
    note = "Reasons may overlap, so they need not add up to the absence."
    return Table("absences", "Why a side was absent", columns, rows, note)


def limits(report: dict[str, Any]) -> Table:
    """The worst use of each limit in each world."""
    rows = []
    for bound, entries in report["limits"].items():
        for e in entries:
            row = (bound, limit_name(e["limit"]), e["unit"], number(e["worst"]),
                   number(e["of"]), percent(e["share"], 2))  # fmt: skip
            rows.append(row)
    columns = (
        *words("world", "limit", "unit"),
        Column("worst"),
        Column("limit"),
        Column("used", "%"),
    )
    note = "Worst over the day's timers; inventory as the engine measured it at every event."
    return Table("limits", "Limits", columns, tuple(rows), note)
