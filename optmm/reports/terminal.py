"""The report on a terminal: about sixty lines of a hundred columns, plain when piped."""

from typing import Any, TextIO

from rich.console import Console, Group, RenderableType
from rich.table import Table as RichTable
from rich.text import Text

from optmm.reports import tables_desk as desk
from optmm.reports import tables_market as market
from optmm.reports.tables import NA, Table, main_world, number, percent, small

WIDTH = 100
RISK_ROWS = ("RR10", "RR11", "RR12", "RR13", "RR14", "RR15", "RR16")


def console(stream: TextIO) -> Console:
    """A console that colours only a terminal, and never under NO_COLOR."""
    width = None if stream.isatty() else WIDTH
    return Console(file=stream, width=width, highlight=False, soft_wrap=False, emoji=False)


def rich_table(table: Table, *, title: bool = True, note: bool = False) -> RenderableType:
    """A table without boxes; units stand in the heading."""
    out = RichTable(
        box=None,
        title=table.title if title else None,
        title_justify="left",
        title_style="bold",
        header_style="dim",
        padding=(0, 2, 0, 0),
        pad_edge=False,
    )
    for column in table.columns:
        head = f"{column.title}, {column.unit}" if column.unit else column.title
        fold = not column.numeric
        out.add_column(
            head, justify="right" if column.numeric else "left", no_wrap=not fold, overflow="fold"
        )
    for i, row in enumerate(table.rows):
        out.add_row(*row, style="bold" if i in table.strong else None)
    if note and table.note:
        return Group(out, Text(table.note, style="dim"))
    return out


def _head(report: dict[str, Any]) -> Text:
    session = report["sessions"][0]
    kind = "simulated exchange" if report["simulated"] else "recorded tape"
    text = Text(f"{report['underlying']}  {session['date']}", style="bold")
    rate = number(report["events_per_second"])
    text.append(
        f"  {kind}, {number(report['events'])} events at {rate} a second, "
        f"seed {report['seed']}, config {report['config_hash'][:8]}, data {report['data_hash'][:8]}",
        style="not bold",
    )
    return text


def _compact_risk(report: dict[str, Any]) -> Table:
    """The risk table without its second methods; reasons kept short by their own column."""
    full = desk.risk(report)
    skip = ("VaR 95 % by Cornish-Fisher", "Vega turnover")
    rows = tuple(row[1:] for row in full.rows if row[1] not in skip)
    return Table("risk", full.title, full.columns[1:], rows)


def _obligations(report: dict[str, Any]) -> Text:
    """One line a fact: shares of all worlds, then the main world's reasons."""
    o = report["obligations"]
    shares = ", ".join(f"{b} {percent(w['share'])} %" for b, w in o["bounds"].items())
    world = main_world(report)
    top = o["bounds"][world]["absent"][:3]
    why = "; ".join(f"{r['text']} {percent(r['share'], 2)} %" for r in top) or "nothing"
    text = Text("Two-sided ", style="bold")
    text.append(f"{shares} of eligible time, target {percent(o['target'], 0)} %.", style="not bold")
    text.append(f"\nAbsent ({world}): {why}", style="dim")
    return text


def _surface(report: dict[str, Any], expiries: list[str] | None) -> RenderableType:
    """All expiries in one line, the chosen ones (else the first five) as rows."""
    full = market.surface(report, expiries)
    body = full.rows[:-1] if expiries else full.rows[:-1][:5]
    left_out = len(full.rows) - 1 - len(body)
    rows = (*body, full.rows[-1])
    table = Table("surface", full.title, full.columns, rows, "", frozenset({len(rows) - 1}))
    s = report["surface"]
    note = f"{number(s['quotes'])} quotes, worst wing margin {small(s['calendar_margin_wings'])}"
    note += f"; {left_out} more expiries in report.html" if left_out else ""
    return Group(rich_table(table), Text(note, style="dim"))


def _flow(report: dict[str, Any]) -> RenderableType:
    """The hourly table beside nothing else, then one line of size and one of markouts a world."""
    lines = []
    size = report["flow"]["sizes"]["contracts"]
    if size["value"] is not None:
        lines.append(
            f"Print size: mean {number(size['value'], 1)}, median {number(size['median'], 1)}, "
            f"p95 {number(size['p95'], 1)} contracts (n = {number(size['n'])})"
        )
    for bound, m in report["flow"]["markouts"].items():
        parts = [
            f"{h['horizon_s']} s {_cents(h['edge_usd_per_share'])}"
            for h in m["horizons"]
        ]
        if parts:
            first = f"{number(100 * m['capture_usd_per_share']['value'], 2)}"
            lines.append(
                f"Edge left, cents/share, {bound}: fill {first}, {', '.join(parts)} (n = {m['n']:,})"
            )
    return Group(rich_table(market.hourly(report)), Text("\n".join(lines), style="dim"))


def _cents(x: dict[str, Any]) -> str:
    error = NA if x["se"] is None else number(100 * x["se"], 2)
    return NA if x["value"] is None else f"{number(100 * x['value'], 2)} ± {error}"


def _card(report: dict[str, Any]) -> RenderableType:
    """The card's first rows."""
    full = market.quote_card(report)
    keep = [r for r in full.rows if not r[0].startswith(("Spread against", "Greeks", "If our"))]
    return rich_table(Table("card", full.title, full.columns, tuple(keep)))


def renderable(report: dict[str, Any], *, expiries: list[str] | None = None) -> Group:
    """The whole report for one screen and a half."""
    said = Text(report["headline"]["sign"])
    limit = Text(report["headline"]["limits"], style="dim")
    q = report["data_quality"]
    kept = ", ".join(f"{k} {number(v)}" for k, v in sorted(q["quarantined"].items())) or "nothing"
    quality = Text(
        f"Data: two-sided {percent(q.get('two_sided_share'))} %, quarantined {kept}", style="dim"
    )
    blank = Text("")
    return Group(
        _head(report),
        quality,
        blank,
        rich_table(desk.headline(report)),
        said,
        limit,
        blank,
        rich_table(_compact_risk(report)),
        blank,
        rich_table(desk.greeks(report)),
        blank,
        _obligations(report),
        blank,
        _surface(report, expiries),
        blank,
        _flow(report),
        blank,
        _card(report),
    )


def show(report: dict[str, Any], stream: TextIO, *, expiries: list[str] | None = None) -> None:
    """Write the report to `stream`."""
    console(stream).print(renderable(report, expiries=expiries))
