"""The report as one HTML file: no script, no external resource, figures as inline SVG."""

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from optmm.reports import tables_desk as desk
from optmm.reports import tables_market as market
from optmm.reports.run import Run
from optmm.reports.tables import NA, Column, Table, number, percent, worlds

MINUS = "\N{MINUS SIGN}"


def _minus(text: str) -> str:
    """A typographic minus before digits; `n/a` and words stay as they are."""
    return MINUS + text[1:] if text[:1] == "-" and text[1:2].isdigit() else text


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("optmm.reports", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["minus"] = _minus
    return environment


def _sections(report: dict[str, Any]) -> list[dict[str, Any]]:
    """Headings, tables and names of figures, in reading order."""
    each = worlds(report)
    several = len(report["sessions"]) > 1
    stress = [table for bound in each if (table := desk.stress(report, bound))]
    return [
        {"title": "Result", "figures": ["pnl"],
         "tables": [desk.headline(report), *([desk.days(report)] if several else [])]},
        {"title": "Risk", "figures": ["inventory"],
         "tables": [desk.risk(report), desk.limits(report)]},
        {"title": "Book at the close", "figures": [],
         "tables": [*(desk.greeks(report, b) for b in each), *stress, desk.closing(report)]},
        {"title": "Obligations", "figures": ["presence"],
         "tables": [desk.obligations(report), desk.absences(report)]},
        {"title": "Surface", "figures": ["smiles", "term"], "tables": [market.surface(report)]},
        {"title": "Flow", "figures": ["markouts"],
         "tables": [market.hourly(report), market.sizes(report), market.markouts(report),
                    market.flow_absent(report)]},
        {"title": "Quote card", "figures": ["tape"], "tables": [market.quote_card(report)]},
        {"title": "Data and provenance", "figures": [],
         "tables": [market.quality(report), market.provenance(report)]},
    ]  # fmt: skip


def _cards(report: dict[str, Any]) -> list[dict[str, str]]:
    """The four numbers at the top of the page, one line a world."""
    out = []
    for bound, b in report["bounds"].items():
        presence = report["obligations"]["bounds"][bound]["share"]
        out.append(
            {
                "bound": bound,
                "net": number(b["pnl"]["net"], 2),
                "tone": "loss" if b["pnl"]["net"] < 0 else "gain",
                "fills": f"{number(b['fills'])} fills, {number(b['contracts'])} contracts",
                "presence": f"two-sided {percent(presence)} % of eligible time",
            }
        )
    return out


CAPTIONS = {
    "pnl": "Each fill assumption is a world of its own: fills change the inventory, and so every "
    "later quote.",
    "inventory": "What the book carried, and what the hedge left of it.",
    "presence": "Time with both our sides live, of the time they should have been. The scale does "
    "not start at zero.",
    "smiles": "Bars are the market's bid and ask in volatility, dim where the fit did not use "
    "them; the line is the model.",
    "term": "Left, what the market charges; right, what financing and dividends do to the forward. "
    "Expiries under a day are left out.",
    "markouts": "A line that falls shows that takers knew something.",
    "tape": "Grey bars are the market's bid and ask at each public print.",
}


def render(run: Run, report: dict[str, Any], figures: dict[str, str]) -> str:
    """The page. `figures` are trusted SVG strings by name; all other text is escaped.

    Numbers come from `report`, so that the page and report.json cannot disagree.
    """
    session, last = report["sessions"][0], report["sessions"][-1]
    opened, closed = run.local(session["open_ns"]), run.local(last["close_ns"])
    hours = f"{opened:%H:%M} to {closed:%H:%M}"
    if last is not session:
        hours = f"{len(report['sessions'])} sessions to {last['date']}, {hours}"
    return (
        _environment()
        .get_template("report.html")
        .render(
            report=report,
            session=session,
            hours=hours,
            cards=_cards(report),
            sections=_sections(report),
            figures={name: Markup(svg) for name, svg in figures.items()},
            captions=CAPTIONS,
            events=number(report["events"]),
            rate=number(report["events_per_second"]),
            empty=_is_empty,
            kind=_cell_class,
        )
    )


def _cell_class(cell: str, column: Column) -> Markup:
    """The class attribute of a cell: words left, `n/a` dim, hashes monospaced, long wrapped."""
    names = [] if column.numeric else ["text"]
    if cell.startswith(NA):
        names.append("na")
    if len(cell) == 64 and cell.isalnum():
        names.append("hash")
    elif len(cell) > 44:
        names.append("long")
    return Markup(f' class="{" ".join(names)}"') if names else Markup("")


def _is_empty(table: Table) -> bool:
    """A table without rows says so instead of showing bare headings."""
    return not table.rows
