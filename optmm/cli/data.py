"""optmm data: what a recorded market holds, how good it is, and the same as our own Parquet."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(no_args_is_help=True, help="Look at recorded markets.")


@app.callback()
def data() -> None:
    """Look at recorded markets, judge them, store them: docs/formats.md says what is read."""


@app.command()
def info(
    path: Annotated[
        Path, typer.Argument(help="LEAN folder, stored day, Databento files, or a file of quotes")
    ],
    underlying: Annotated[
        str | None, typer.Option(help="symbol, as GOOG, SPXW, ES; left out: list what is there")
    ] = None,
    date: Annotated[str | None, typer.Option(help="trade date, YYYY-MM-DD")] = None,
    at: Annotated[
        str | None,
        typer.Option("--at", help="one chain: its time, or its date in a file of many"),
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

    if path.is_file() and (at is not None or not is_recorded_day(path)):
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


@app.command()
def convert(
    path: Annotated[Path, typer.Argument(help="anything that `optmm data info` reads")],
    out: Annotated[
        Path,
        typer.Option("--out", help="NAME.parquet for a table of quotes, else a folder"),
    ],
    underlying: Annotated[str | None, typer.Option(help="symbol, where there are several")] = None,
    date: Annotated[str | None, typer.Option(help="trade date, YYYY-MM-DD")] = None,
    at: Annotated[
        str | None, typer.Option("--at", help="time of a file of one chain that does not say it")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object on stdout")] = False,
) -> None:
    """Store a market as our Parquet, in bounded memory: a table of quotes, or a day to replay.

    Prices become USD, times ns UTC. Rows that cannot be used are counted by reason. What is at
    --out is whole, or not there.

    Example: optmm data convert spy_eod_202201.txt --out spy_2022_01.parquet
    """
    import json

    from optmm.data.convert import SCHEMA
    from optmm.data.convert import convert as run

    with _progress(path) as told:
        done = run(path, out, underlying=underlying, date=date, at=at, progress=told)
    facts = {
        "schema": SCHEMA, "kind": done.kind, "reader": done.reader, "out": str(done.out),
        "rows": done.read, "written": done.written, "quarantined": done.quarantined,
        "notes": list(done.notes),
    }  # fmt: skip
    if as_json:
        typer.echo(json.dumps(facts, allow_nan=False))
        return
    rows = [
        ("written to", str(done.out)),
        ("as", "a day to replay" if done.kind == "day" else "a table of quotes"),
        ("rows read", f"{done.read:,}"),
        ("rows written", f"{done.written:,}"),
        *_aside(done.quarantined),
    ]
    _print_pairs(f"{path.name}, {done.reader}", rows, list(done.notes))


@app.command()
def check(
    path: Annotated[Path, typer.Argument(help="anything that `optmm data info` reads")],
    underlying: Annotated[str | None, typer.Option(help="symbol, where there are several")] = None,
    date: Annotated[str | None, typer.Option(help="trade date of a recorded day")] = None,
    at: Annotated[str | None, typer.Option("--at", help="one chain: its time or date")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object on stdout")] = False,
) -> None:
    """Judge a source: sides, locked and crossed quotes, stale shares, order, gaps, parity.

    Shares in percent, gaps in seconds, rows set aside by reason; n/a where the source cannot say.
    Exit code 4 when it is unusable, after the table.

    Example: optmm data check ../shared/data/cboe_quotedata/spx_2023-05-26_close.csv.gz
    """
    import json

    from optmm.data.check import check as run
    from optmm.errors import DataError

    with _progress(path) as told:
        facts = run(path, underlying=underlying, date=date, at=at, progress=told)
    if as_json:
        typer.echo(json.dumps(facts, allow_nan=False))
    else:
        _print_pairs(f"{path.name}, {facts['reader']}", _quality(facts), facts["notes"])
    if facts["problems"]:
        raise DataError("; ".join(facts["problems"]), file=path.name)


def _quality(facts: dict[str, Any]) -> list[tuple[str, str]]:
    """The figures of a check as people read them."""

    def number(name: str) -> str:
        value = facts[name]
        return "n/a" if value is None else f"{value:,}"

    def percent(name: str) -> str:
        value = facts[name]
        return "n/a" if value is None else f"{100 * value:.1f}"

    gap = facts["longest_gap_seconds"]
    rows = [
        ("usable", "yes" if facts["usable"] else "no"),
        ("underlying", facts["underlying"] or "n/a"),
        ("from, UTC", _minute(facts["first"]) if facts["first"] else "n/a"),
        ("to, UTC", _minute(facts["last"]) if facts["last"] else "n/a"),
        ("instants", number("instants")),
        ("rows read", number("rows")),
        ("quotes kept", number("quotes")),
        ("two-sided, %", percent("two_sided_share")),
        ("one-sided", number("one_sided")),
        ("zero bids", number("zero_bids")),
        ("locked", number("locked")),
        ("crossed", number("crossed")),
        ("stale, %", percent("stale_share")),
        ("out of order", number("out_of_order")),
        ("duplicates", number("duplicates")),
        ("gaps of the feed", number("gaps")),
        ("longest gap, seconds", "n/a" if gap is None else f"{gap:,.0f}"),
        ("parity pairs looked at", number("parity_pairs")),
        ("parity violations", number("parity_violations")),
        *_aside(facts["quarantined"]),
    ]
    if facts["stale_means"] and facts["stale_share"] is not None:
        facts["notes"] = [f"stale: {facts['stale_means']}", *facts["notes"]]
    return rows


def _aside(quarantined: dict[str, int]) -> list[tuple[str, str]]:
    rows = [(f"quarantined: {reason}", f"{n:,}") for reason, n in quarantined.items()]
    return rows or [("quarantined", "0")]


def _print_pairs(title: str, rows: list[tuple[str, str]], notes: list[str]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left", show_header=False)
    table.add_column("what")
    table.add_column("value", justify="right", overflow="fold")
    for row in rows:
        table.add_row(*row)
    console = Console()
    console.print(table)
    for note in notes:
        console.print(f"note: {note}", highlight=False, markup=False)


@contextmanager
def _progress(path: Path) -> Iterator[Any]:
    """Rows read so far, on stderr while it takes; nothing where stderr is no terminal."""
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    bar = Progress(
        SpinnerColumn(), TextColumn("{task.description}"), TextColumn("{task.completed:,} rows"),
        TimeElapsedColumn(), console=console, transient=True, disable=not console.is_terminal,
    )  # fmt: skip
    with bar:
        task = bar.add_task(path.name, total=None)
        yield lambda rows: bar.update(task, advance=rows)


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
