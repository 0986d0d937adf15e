"""The report on a terminal: about sixty lines of a hundred columns, plain when piped."""

from collections.abc import Sequence
from typing import Any, TextIO

from rich.console import Console, Group, RenderableType
from rich.table import Table as RichTable
from rich.text import Text

from optmm.reports import tables_desk as desk
from optmm.reports import tables_market as market
from optmm.reports.tables import NA, main_world, number, percent, short

WIDTH = 100
EXPIRIES = 3  # rows of detail without --expiry
HOURS = 7


def console(stream: TextIO) -> Console:
    """A console that colours only a terminal, and never under NO_COLOR."""
    width = None if stream.isatty() else WIDTH
    return Console(file=stream, width=width, highlight=False, emoji=False)


def grid(
    heads: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    text: int = 1,
    strong: Sequence[int] = (),
) -> RenderableType:
    """Rows under one line of headings, the first of which is the table's title.

    `text` columns on the left are words; the others are numbers and align right.
    """
    out = RichTable(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for i, head in enumerate(heads):
        title = Text(head, style="bold not dim") if i == 0 else head
        out.add_column(
            title, justify="left" if i < text else "right", no_wrap=i > 0 or len(heads) > 2
        )
    for i, row in enumerate(rows):
        out.add_row(*row, style="bold" if i in strong else None)
    return out


def _head(report: dict[str, Any]) -> Group:
    sessions, q = report["sessions"], report["data_quality"]
    last = "" if len(sessions) == 1 else f" to {sessions[-1]['date']}"
    kind = "simulated exchange" if report["simulated"] else "recorded tape"
    first = Text(f"{report['underlying']}  {sessions[0]['date']}{last}", style="bold")
    first.append(
        f"  {kind}, {number(report['events'])} events, {number(report['events_per_second'])} a "
        "second",
        style="not bold",
    )
    second = (
        f"seed {report['seed']}, config {report['config_hash'][:8]}, data "
        f"{report['data_hash'][:8]}; two-sided {percent(q['two_sided_share'])} %, set aside "
        f"{number(sum(q['quarantined'].values()))} rows"
    )
    return Group(first, Text(second, style="dim"))


def _edges(markout: dict[str, Any]) -> str:
    """Edge per share at the fill and at each horizon, in cents."""
    if not markout["horizons"]:
        return NA
    points = [markout["capture_usd_per_share"]]
    points += [h["edge_usd_per_share"] for h in markout["horizons"]]
    return " / ".join(NA if p["value"] is None else number(100 * p["value"], 1) for p in points)


def _headline(report: dict[str, Any]) -> RenderableType:
    bounds = report["bounds"].values()
    full = desk.headline(report)
    rows = [(row[0], *row[2:]) for row in full.rows[: len(desk.SPLIT)]]
    rows += [
        ("Ledger less split, 1e-9 USD", *(number(b["identity_error"]) for b in bounds)),
        ("Adverse selection, 60 s",
         *(number(b["pnl_60s"]["adverse_selection"], 2) for b in bounds)),
        ("Edge, cents/share: 0, 60, 300 s",
         *(_edges(m) for m in report["flow"]["markouts"].values())),
        ("Fills / contracts",
         *(f"{number(b['fills'])} / {number(b['contracts'])}" for b in bounds)),
        ("Quotes sent / hedges",
         *(f"{number(b['quotes_sent'])} / {number(b['hedges'])}" for b in bounds)),
    ]  # fmt: skip
    heads = ("Result, USD", *report["bounds"])
    said = Text(
        report["headline"]["sign"], style="bold" if report["headline"]["sign_differs"] else ""
    )
    note = (
        "Its takers react to our price."
        if report["simulated"]
        else "A tape cannot identify the level of P&L as a function of our own width."
    )
    return Group(grid(heads, rows, strong=(len(desk.SPLIT) - 1,)), said, Text(note, style="dim"))


RISK = (
    ("VaR 95 % / ES 97.5 %, 1 day, USD", ("var", "expected_shortfall"), 0, 1.0),
    ("Inventory / vega turnover, a day", ("inventory_turnover", "vega_turnover"), 2, 1.0),
    ("Sharpe ratio", ("sharpe",), 2, 1.0),
    ("Maximum drawdown, USD", ("max_drawdown_usd",), 0, 1.0),
    ("Win rate of round trips, %", ("win_rate",), 1, 100.0),
    ("Average trade duration, minutes", ("trade_duration",), 1, 1.0),
    ("Profit factor", ("profit_factor",), 2, 1.0),
)


def _risk(report: dict[str, Any]) -> RenderableType:
    """A row a number; counts in a column of their own, reasons of absence below."""
    rows, reasons = [], {}
    for label, keys, digits, scale in RISK:
        risks = [b["risk"] for b in report["bounds"].values()]
        cells = [" / ".join(short(r.get(k), digits, scale) for k in keys) for r in risks]
        first = [r.get(keys[0]) or {} for r in risks]
        for m in first:
            if m.get("value") is None and m.get("note"):
                reasons[m["note"]] = label.split(",")[0].split(" / ")[0]
        counts = " / ".join(NA if m.get("n") is None else number(m["n"]) for m in first)
        rows.append((label, *cells, counts))
    said = "; ".join(f"{label}: {reason}" for reason, label in reasons.items())
    table = grid(("Risk", *report["bounds"], "n"), rows)
    return Group(table, Text(f"{NA}: {said}", style="dim")) if said else table


def _some(table: RenderableType, shown: int, there: int, what: str) -> RenderableType:
    """A table that shows some of its rows says so: its last line is the sum of all of them."""
    if shown >= there:
        return table
    note = f"{shown} of {there} {what} shown, the last line is all; the rest in report.html"
    return Group(table, Text(note, style="dim"))


def _greeks(report: dict[str, Any], expiries: list[str] | None) -> RenderableType:
    """The expiries asked for, else those with the most vega; hedge and book below."""
    world = main_world(report)
    full = desk.greeks(report, world)
    by = report["bounds"][world]["greeks"]["by_expiry"]
    order = sorted(range(len(by)), key=lambda i: -abs(by[i]["vega_usd_per_volpt"]))
    chosen = (
        [i for i, row in enumerate(by) if row["expiry"] in expiries]
        if expiries
        else sorted(order[:EXPIRIES])
    )
    rows = [full.rows[i] for i in chosen] + list(full.rows[-2:])
    heads = (f"Book, {world}", "delta, sh", "gamma, sh/$", "vega, $/pt", "theta, $/day",
             "vanna, sh/pt", "volga, $/pt²")  # fmt: skip
    return _some(grid(heads, rows, strong=(len(rows) - 1,)), len(chosen), len(by), "expiries")


def _obligations(report: dict[str, Any]) -> Text:
    """Shares of all worlds, then the main world's reasons."""
    o, world = report["obligations"], main_world(report)
    shares = ", ".join(f"{b} {percent(w['share'])} %" for b, w in o["bounds"].items())
    text = Text("Obligations", style="bold")
    text.append(f"  two-sided {shares}; target {percent(o['target'], 0)} %", style="not bold")
    top = o["bounds"][world]["absent"][:2]
    why = "; ".join(f"{r['text']} {percent(r['share'], 1)} %" for r in top) or "never"
    text.append(f"\nabsent: {why}", style="not bold dim")
    return text


def _surface(report: dict[str, Any], expiries: list[str] | None) -> RenderableType:
    """The expiries asked for, else the nearest; then all of them in one line."""
    full = market.surface(report, expiries)
    body = full.rows[:-1] if expiries else full.rows[:-1][:EXPIRIES]
    keep = (0, 1, 2, 3, 4, 5, 6, 7, 8, 11)  # without rate and carry
    rows = [tuple(row[i] for i in keep) for row in (*body, full.rows[-1])]
    heads = ("Surface", "fits", "hit %", "core %", "min g", "calendar", "fallback %", "forward",
             "±", "ATM %")  # fmt: skip
    table = grid(heads, rows, strong=(len(body),))
    return _some(table, len(body), len(full.rows) - 1, "expiries")


def _flow(report: dict[str, Any]) -> RenderableType:
    """Session hours, the busiest of them where there are many, and the size of a print."""
    full = market.hourly(report)
    hours = report["flow"]["hourly"]
    busiest = sorted(range(len(hours)), key=lambda i: -hours[i]["contracts"])[:HOURS]
    rows = [full.rows[i] for i in sorted(busiest)] + list(full.rows[len(hours) :])
    table = _some(
        grid(("Flow, hour", "prints", "contracts", "buy %", "sell %", "unsigned %"), rows),
        len(busiest), len(hours), "hours",
    )  # fmt: skip
    m = report["flow"]["sizes"]["contracts"]
    if m["value"] is None:
        return table
    size = (
        f"contracts a print: mean {number(m['value'], 1)}, median {number(m['median'], 1)}, "
        f"p95 {number(m['p95'], 1)}; n = {number(m['n'])}"
    )
    return Group(table, Text(size, style="dim"))


CARD = ("Instrument", "Fair", "Market", "Inventory", "Our bid", "Our ask", "Limits")


def _days(report: dict[str, Any]) -> RenderableType:
    """A line a session."""
    full = desk.days(report)
    heads = (full.title, *(column.title for column in full.columns[1:]))
    return grid(heads, full.rows, strong=sorted(full.strong))


def _card(report: dict[str, Any]) -> RenderableType:
    """The card's first rows."""
    full = market.quote_card(report)
    rows = [row for row in full.rows if row[0].startswith(CARD)]
    return grid((full.title, ""), rows, text=2)


def renderable(report: dict[str, Any], *, expiries: list[str] | None = None) -> Group:
    """The whole report; `expiries` (YYYY-MM-DD) chooses the rows of Greeks and surface."""
    parts = (
        _head(report),
        _headline(report),
        *([_days(report)] if len(report["sessions"]) > 1 else []),
        _risk(report),
        _greeks(report, expiries),
        _obligations(report),
        _surface(report, expiries),
        _flow(report),
        _card(report),
    )
    blank = Text("")
    return Group(*(item for part in parts for item in (part, blank)))


def show(report: dict[str, Any], stream: TextIO, *, expiries: list[str] | None = None) -> None:
    """Write the report to `stream`."""
    console(stream).print(renderable(report, expiries=expiries))
