"""optmm bench: our figures and other libraries', in one run on one core, beside their bars."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from optmm.bench.rows import PeerRow, Report, Row

app = typer.Typer(
    help="Measure speed and accuracy, with the peers beside.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

DATA = typer.Option("--data", help="folder with `reference` and `data`; what is absent is skipped")
CORE = typer.Option("--core", help="processor core to stay on; default the last")
STRICT = typer.Option("--strict", help="exit code 1 when a bar is missed")
JSON = typer.Option("--json", help="one JSON object on stdout")


@app.callback()
def _group() -> None:
    """The group of benchmarks."""


@app.command("pricing")
def pricing(
    with_peers: Annotated[
        bool, typer.Option("--peers", help="measure every installed peer in the same process")
    ] = False,
    quick: Annotated[
        bool, typer.Option("--quick", help="smaller sets: a look in about a minute")
    ] = False,
    core: Annotated[int | None, CORE] = None,
    strict: Annotated[bool, STRICT] = False,
    as_json: Annotated[bool, JSON] = False,
) -> None:
    """Measure the pricing floor: nanoseconds an option, errors against 70 digits and QuantLib.

    CPU time of one process on one core, best of many. Peers come with the `bench` extra:
    scripts/bench installs them.

    Example: optmm bench pricing --peers
    """
    import json
    import sys

    from optmm.bench import timing

    pinned = timing.pin(core)  # before numba and the peers are imported
    from optmm.bench import pricing as table

    report = table.run(quick=quick, with_peers=with_peers, pinned=pinned, say=_say)
    if as_json:
        typer.echo(json.dumps(report.as_json(), indent=2, allow_nan=False))
    else:
        from optmm.reports.terminal import console

        out = console(sys.stdout)
        _rows(out, report.rows, "pricing")
        if report.peers[1:]:
            _peers(out, report.peers)
        out.print("\n" + "\n".join(f"{name}: {said}" for name, said in report.about.items()))
    if strict and any(row.verdict == "misses" for row in report.rows):
        raise typer.Exit(1)


@app.command("surface")
def surface(
    parts: Annotated[
        list[str] | None,
        typer.Option(
            "--part",
            help="reference, snapshots, american, minutes, speed, confidence "
            "or peers; may be repeated; default all but peers",
        ),
    ] = None,
    data: Annotated[Path, DATA] = Path("../shared"),
    with_peers: Annotated[
        bool, typer.Option("--peers", help="also other libraries, each in a process of its own")
    ] = False,
    quick: Annotated[
        bool, typer.Option("--quick", help="sample expiries, minutes and rounds")
    ] = False,
    core: Annotated[int | None, CORE] = None,
    strict: Annotated[bool, STRICT] = False,
    as_json: Annotated[bool, JSON] = False,
) -> None:
    """Measure surfaces: hits and certificates on real chains, confidence, time, peers.

    Exit code 1 when a fit that was timed is wrong; a missed bar is only shown, unless --strict.
    The parts take from half a minute (speed) to several (snapshots, confidence).

    Example: optmm bench surface --part reference --part speed
    """

    from optmm.bench import timing

    pinned = timing.pin(core)  # before numba and the peers are imported
    from optmm.bench import surface as table

    chosen = _chosen(parts, table.PARTS, table.PARTS[:-1])
    report = table.run(chosen, data, quick=quick, with_peers=with_peers, pinned=pinned, say=_say)
    _show(report, as_json, strict)


@app.command("models")
def models(
    parts: Annotated[
        list[str] | None,
        typer.Option(
            "--part", help="heston, sabr, local_vol or monte_carlo; may be repeated; default all"
        ),
    ] = None,
    data: Annotated[Path, DATA] = Path("../shared"),
    quick: Annotated[bool, typer.Option("--quick", help="fewer sets, paths and rounds")] = False,
    core: Annotated[int | None, CORE] = None,
    strict: Annotated[bool, STRICT] = False,
    as_json: Annotated[bool, JSON] = False,
) -> None:
    """Measure Heston, SABR, local volatility and Monte Carlo, each beside QuantLib in one process.

    Exit code 1 when what was timed is wrong; a missed bar is only shown, unless --strict.

    Example: optmm bench models --part heston
    """
    from optmm.bench import timing

    pinned = timing.pin(core)
    from optmm.bench import models as table

    chosen = _chosen(parts, table.PARTS, table.PARTS)
    _show(table.run(chosen, data, quick=quick, pinned=pinned, say=_say), as_json, strict)


@app.command("heston")
def heston(
    data: Annotated[Path, DATA] = Path("../shared"),
    quick: Annotated[bool, typer.Option("--quick", help="fewer sets and rounds")] = False,
    core: Annotated[int | None, CORE] = None,
    strict: Annotated[bool, STRICT] = False,
    as_json: Annotated[bool, JSON] = False,
) -> None:
    """Measure Heston alone: prices, gradient, calibration, beside QuantLib in one process.

    The same as `optmm bench models --part heston`.

    Example: optmm bench heston --quick
    """
    models(["heston"], data, quick, core, strict, as_json)


@app.command("replay")
def replay(
    parts: Annotated[
        list[str] | None,
        typer.Option(
            "--part",
            help="loop, peer, memory or profile; may be repeated; default loop and peer",
        ),
    ] = None,
    data: Annotated[Path, DATA] = Path("../shared"),
    with_peers: Annotated[
        bool, typer.Option("--peers", help="also hftbacktest on one tape, in a process of its own")
    ] = False,
    quick: Annotated[bool, typer.Option("--quick", help="shorter tapes and fewer rounds")] = False,
    core: Annotated[int | None, CORE] = None,
    strict: Annotated[bool, STRICT] = False,
    as_json: Annotated[bool, JSON] = False,
) -> None:
    """Measure the replay: events a second, a peer beside, peak memory, share of the interpreter.

    Exit code 1 when what was timed is wrong; a missed bar is only shown, unless --strict. Memory
    stores days of 7 and 70 million events in the temporary folder and takes several minutes.

    Example: optmm bench replay --peers
    """
    from optmm.bench import timing

    pinned = timing.pin(core)  # before numba and the peers are imported
    from optmm.bench import replay_parts as table

    chosen = _chosen(parts, table.PARTS, table.PARTS[:2])
    report = table.run(chosen, data, quick=quick, with_peers=with_peers, pinned=pinned, say=_say)
    _show(report, as_json, strict)


@app.command("quoting")
def quoting(
    with_peers: Annotated[
        bool, typer.Option("--peers", help="no more than without: the peer is numpy, always there")
    ] = False,
    quick: Annotated[bool, typer.Option("--quick", help="a shorter warm-up")] = False,
    core: Annotated[int | None, CORE] = None,
    strict: Annotated[bool, STRICT] = False,
    as_json: Annotated[bool, JSON] = False,
) -> None:
    """Measure a requote of 10,000 options: by Taylor and from new vols, decisions included.

    Exit code 1 when quotes are not what numpy and a full pass say; a missed bar is only shown,
    unless --strict.

    Example: optmm bench quoting --json
    """
    from optmm.bench import timing

    pinned = timing.pin(core)
    from optmm.bench import requote as table

    _say("a requote of 10,000 options")
    _show(table.report(quick=quick, pinned=pinned), as_json, strict)


@app.command("truth")
def truth(
    quick: Annotated[
        bool, typer.Option("--quick", help="a third of the takers, which miss the bar of contracts")
    ] = False,
    core: Annotated[int | None, CORE] = None,
    strict: Annotated[bool, STRICT] = False,
    as_json: Annotated[bool, JSON] = False,
) -> None:
    """Measure the engine where the answer is known: P&L, adverse selection and volume by formula.

    The whole engine quotes the true value on the plain market (docs/simulator.md). Exit code 1 when
    a mean is more than three standard errors from its formula.

    Example: optmm bench truth
    """
    from optmm.bench import timing

    pinned = timing.pin(core)
    from optmm.bench import ground_truth
    from optmm.bench.rows import Report

    rows, wrong = ground_truth.run(Path(), _say, quick=quick)
    about = timing.machine() | {
        "core": pinned or "not pinned",
        "sets": "quick" if quick else "full",
    }
    _show(Report("truth", {"truth": rows}, about, wrong=tuple(wrong)), as_json, strict)


def _chosen(
    parts: list[str] | None, known: tuple[str, ...], usual: tuple[str, ...]
) -> tuple[str, ...]:
    """What was asked for, or the usual; UsageError for a part that there is not."""
    from optmm.errors import UsageError

    for part in parts or ():
        if part not in known:
            raise UsageError(f"--part is {part!r}, must be one of {', '.join(known)}")
    return tuple(parts or usual)


def _say(words: str) -> None:
    typer.echo(f"{words} ...", err=True)


def _show(report: "Report", as_json: bool, strict: bool) -> None:
    """The report on stdout; exit 1 for what is wrong, or missed where that counts."""
    import json

    if as_json:
        typer.echo(json.dumps(report.as_json(), indent=2, allow_nan=False))
    else:
        _parts(report)
    for what in report.wrong:
        typer.echo(f"wrong: {what}", err=True)
    missed = any(row.verdict == "misses" for rows in report.rows.values() for row in rows)
    if report.wrong or (strict and missed):
        raise typer.Exit(1)


def _parts(report: "Report") -> None:
    """A table a part, one of the peers, and what was run."""
    import sys

    from optmm.reports.terminal import console, grid

    out = console(sys.stdout)
    for part, rows in report.rows.items():
        _rows(out, rows, part)
        out.print()
    if report.bench == "surface" and report.peers:
        heads = ("peer", "inside %", "core %", "no fit", "g < 0", "crossed", "first s", "again s")
        out.print(grid(heads, [_peer(row) for row in report.peers]))
        for row in report.peers:
            if row.get("note"):
                out.print(f"{row['peer']}: {row['note']}", markup=False, style="dim")
        out.print()
    out.print("\n".join(f"{name}: {said}" for name, said in report.about.items()))


def _peer(row: dict[str, Any]) -> tuple[str, ...]:
    """One library: hits, expiries without a curve, with a butterfly, pairs that cross, seconds."""

    def share(hits: str, of: str) -> str:
        return f"{100.0 * row[hits] / row[of]:.1f}" if row.get(of) else "-"

    counts = [
        _cell(row.get(name)) if row.get("quotes") else "-"
        for name in ("failed", "butterflies", "crossings", "first", "again")
    ]
    name = f"{row['peer']} {row.get('version', '')}".strip()
    return name, share("hits", "quotes"), share("core_hits", "core_quotes"), *counts


def _rows(out: "Console", rows: "list[Row]", title: str) -> None:
    """What, measured, bar, verdict; notes below, numbered."""
    from rich.table import Table

    notes = []
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    table.add_column(title, overflow="fold")
    for head in ("measured", "bar"):
        table.add_column(head, justify="right", no_wrap=True)
    for head in ("unit", "verdict"):
        table.add_column(head, no_wrap=True)
    for row in rows:
        mark = ""
        if row.note:
            notes.append(row.note)
            mark = f" [{len(notes)}]"
        sign = ">=" if row.at_least else "<="
        bar = "" if row.bar is None else f"{sign} {row.bar:g}"
        found = "-" if row.measured is None else f"{row.measured:.4g}"
        style = "bold red" if row.verdict == "misses" else None
        table.add_row(row.what + mark, found, bar, row.unit, row.verdict, style=style)
    out.print(table)
    for number, note in enumerate(notes, 1):
        out.print(f"[{number}] {note}", markup=False, style="dim")


def _peers(out: "Console", peers: "list[PeerRow]") -> None:
    """One table a group of figures, one line a library."""
    from optmm.reports.terminal import grid

    groups: dict[str, list[str]] = {}
    for row in peers:
        for name in row.figures:
            group, _, column = name.rpartition(": ")
            columns = groups.setdefault(group, [])
            if column not in columns:
                columns.append(column)
    for group, columns in groups.items():
        cells = [
            (
                f"{row.library} {row.version}",
                *(_cell(row.figures.get(f"{group}: {column}")) for column in columns),
            )
            for row in peers
            if any(f"{group}: {column}" in row.figures for column in columns)
        ]
        out.print()
        out.print(grid((group, *columns), cells))
    for row in peers:
        if row.note:
            out.print(f"{row.library}: {row.note}", markup=False, style="dim")


def _cell(value: float | None) -> str:
    """Three digits, no exponent while the number is readable without."""
    if value is None or not math.isfinite(value):
        return "-"
    if value == int(value) and abs(value) < 1e6:
        return f"{value:.0f}"
    return f"{value:.3g}" if abs(value) < 1.0 or abs(value) >= 1e6 else f"{value:,.1f}"
