"""optmm data: what a recorded market holds, before anything is traded on it."""

from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(no_args_is_help=True, help="Look at recorded markets.")


@app.callback()
def data() -> None:
    """Look at recorded markets: a LEAN Data folder or a stored day."""


@app.command()
def info(
    path: Annotated[
        Path, typer.Argument(help="LEAN Data folder, stored day, or a file of one chain")
    ],
    underlying: Annotated[
        str | None, typer.Option(help="symbol, as GOOG, SPXW, ES; left out: list what is there")
    ] = None,
    date: Annotated[str | None, typer.Option(help="trade date, YYYY-MM-DD")] = None,
    at: Annotated[
        str | None, typer.Option("--at", help="time of a file of one chain that does not say it")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object on stdout")] = False,
) -> None:
    """Show contracts, hours, rows and data quality of a day, or list the days.

    Prices in USD, times in UTC, the two-sided share in percent of contract-time.

    Example: optmm data info ../shared/data/lean --underlying GOOG --date 2015-12-24
    """
    import json

    from optmm.data import info as report
    from optmm.data.readers import open_day
    from optmm.data.snapshots import is_recorded_day, open_snapshot

    if path.is_file() and not is_recorded_day(path):
        one = report.snapshot(open_snapshot(path, at=at, underlying=underlying))
        if as_json:
            typer.echo(json.dumps(one, allow_nan=False))
        else:
            _print_snapshot(one)
        return
    listing = report.catalogue(path)
    days = sum(len(chain["dates"]) for chain in listing["available"])
    if underlying is None and date is None and days != 1:
        if as_json:
            typer.echo(json.dumps(listing, allow_nan=False))
        else:
            _print_catalogue(listing)
        return
    facts = report.summary(open_day(path, underlying, date))
    if as_json:
        typer.echo(json.dumps(facts, allow_nan=False))
    else:
        _print_summary(facts)


def _print_catalogue(listing: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=listing["reader"], title_justify="left")
    for name in ("underlying", "class", "dates"):
        table.add_column(name)
    for chain in listing["available"]:
        table.add_row(chain["underlying"], chain["class"], ", ".join(chain["dates"]))
    Console().print(table)
    Console(stderr=True).print("Name one with --underlying and --date.", highlight=False)


def _print_snapshot(facts: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    under, share = facts["underlying"], facts["two_sided_share"]
    head = Table(
        title=f"{under['symbol']} options, {facts['reader']}", title_justify="left",
        show_header=False,
    )  # fmt: skip
    head.add_column("what")
    head.add_column("value", justify="right")
    spot = facts["spot_usd"]
    for row in (
        ("quotes in force, UTC", _minute(facts["valuation"])),
        ("underlying", f"{under['kind']}, {'no price' if spot is None else f'{spot:,.2f} USD'}"),
        ("options read", f"{facts['read']:,}"),
        ("options usable", f"{facts['options']:,}"),
        ("two-sided, % of those alive", "n/a" if share is None else f"{100 * share:.1f}"),
        *((f"quarantined: {reason}", f"{n:,}") for reason, n in facts["quarantined"].items()),
    ):
        head.add_row(*row)
    table = Table(title="Expiries, strikes in USD, fixing in UTC", title_justify="left")
    for name in ("expiry", "root", "style", "options", "two-sided", "strikes", "fixing"):
        table.add_column(name, justify="right" if name in ("options", "two-sided") else "left")
    for s in facts["expiries"]:
        table.add_row(
            s["expiry"], s["root"], s["style"], f"{s['options']:,}", f"{s['two_sided']:,}",
            f"{s['lowest_strike_usd']:g} to {s['highest_strike_usd']:g}", _minute(s["fixing"]),
        )  # fmt: skip
    console = Console()
    console.print(head)
    console.print(table)
    for note in facts["notes"]:
        console.print(f"note: {note}", highlight=False, markup=False)


def _print_summary(facts: dict[str, Any]) -> None:
    from rich.console import Console

    console = Console()
    console.print(_overview(facts))
    console.print(_expiries(facts))
    for note in facts["notes"]:
        console.print(f"note: {note}", highlight=False, markup=False)


def _overview(facts: dict[str, Any]) -> Any:
    """The day in two columns: what, how much."""
    from rich.table import Table

    under, share = facts["underlying"], facts["two_sided_share"]
    title = f"{under['symbol']} options, {facts['date']}" + (
        " (simulated)" if facts["simulated"] else ""
    )
    table = Table(title=title, title_justify="left", show_header=False)
    table.add_column("what")
    table.add_column("value", justify="right")
    rows: list[tuple[str, str]] = [
        ("session, UTC", f"{_minute(facts['open'])} to {_minute(facts['close'])}"),
        ("underlying", f"{under['kind']}, tick {under['tick_usd']:g} USD"),
        *_terms(facts["slices"]),
        ("contracts", f"{facts['contracts']:,}"),
        ("expiries", f"{facts['expiries']:,}"),
        ("rows read", f"{facts['rows']:,}"),
        *((f"events: {kind.replace('_', ' ')}", f"{n:,}") for kind, n in facts["events"].items()),
        ("contracts traded", f"{facts['contracts_traded']:,}"),
        ("two-sided, % of contract-time", "n/a" if share is None else f"{100 * share:.1f}"),
        *((f"quarantined: {reason}", f"{n:,}") for reason, n in facts["quarantined"].items()),
    ]
    if not facts["quarantined"]:
        rows.append(("quarantined", "0"))
    interest = facts["open_interest"]
    rows.append(("open interest, contracts", "n/a" if interest is None else f"{interest:,}"))
    for row in rows:
        table.add_row(*row)
    return table


def _terms(slices: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Style, settlement and ticks, one row for each combination that occurs."""
    rows = []
    for s in slices:
        below, above, split = s["tick_below_usd"], s["tick_above_usd"], s["tick_split_usd"]
        ticks = f"{below:g}" if below == above else f"{below:g}, from {split:g} {above:g}"
        rows.append((f"{s['root']} terms", f"{s['style']}, {s['settlement']}"))
        rows.append((f"{s['root']} tick, USD", ticks))
    return list(dict.fromkeys(rows))


def _expiries(facts: dict[str, Any]) -> Any:
    """One row an expiry and root."""
    from rich.table import Table

    table = Table(title="Expiries, strikes in USD, last trade in UTC", title_justify="left")
    for name in ("expiry", "root", "contracts", "strikes", "last trade"):
        table.add_column(name, justify="right" if name == "contracts" else "left")
    for s in facts["slices"]:
        strikes = f"{s['lowest_strike_usd']:g} to {s['highest_strike_usd']:g}"
        last = _minute(s["last_trade"])
        table.add_row(s["expiry"], s["root"], f"{s['contracts']:,}", strikes, last)
    return table


def _minute(utc: str) -> str:
    """2015-12-24T18:00:00Z -> 2015-12-24 18:00."""
    return utc[:16].replace("T", " ")
