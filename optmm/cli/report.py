"""optmm report: rebuild a run's report from its folder and show it."""

from pathlib import Path
from typing import Annotated

import typer


def report(
    run: Annotated[Path, typer.Argument(help="run folder", metavar="RUN")],
    open_page: Annotated[
        bool, typer.Option("--open", help="open report.html in the browser")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="the whole report as one JSON object on stdout")
    ] = False,
    expiry: Annotated[
        list[str] | None,
        typer.Option("--expiry", help="YYYY-MM-DD, repeatable: rows of Greeks and surface"),
    ] = None,
) -> None:
    """Rebuild report.json and report.html from the run folder and print the report.

    P&L is in USD, one column a fill assumption; vega in USD per vol point, theta in USD per day.

    Example: optmm report runs/goog-2015-12-24 --open
    """
    import json
    import sys

    from optmm import reports

    done = reports.write(run)
    if not json.loads((run / "manifest.json").read_text(encoding="utf-8")).get("complete"):
        typer.echo(f"optmm: {run} is not complete; its run was cut short before the end", err=True)
    if expiry:
        _known(expiry, done)
    if as_json:
        typer.echo(reports.dumps(done))
    else:
        from optmm.reports import terminal

        terminal.show(done, sys.stdout, expiries=expiry)
    typer.echo(f"wrote {run / 'report.json'} and {run / 'report.html'}", err=True)
    if open_page:
        typer.launch((run / "report.html").resolve().as_uri())


def _known(expiries: list[str], done: dict) -> None:
    """Refuse an expiry that the surface never saw, naming those that it did."""
    from optmm.errors import UsageError

    names = sorted({row["expiry"] for row in done["surface"]["expiries"]})
    for name in expiries:
        if name not in names:
            raise UsageError(f"--expiry {name}: this run has {', '.join(names) or 'none'}")
