"""optmm journal: check that what a run recorded is whole and adds up."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="The record of a run.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def _group() -> None:
    """Keep `verify` a sub-command even while it is the only one."""


@app.command("verify")
def verify(
    run: Annotated[Path, typer.Argument(help="run folder", metavar="RUN")],
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object on stdout")] = False,
) -> None:
    """Recompute the hash chains, fold the fills again, compare with tables, manifest and report.

    It proves that the folder is consistent with its journals, not who wrote them.

    Example: optmm journal verify runs/goog-2015-12-24
    """
    import json

    from optmm.engine.verify import verify_run

    result = verify_run(run)
    if as_json:
        typer.echo(json.dumps(result, indent=2))
        return
    for bound, found in result["bounds"].items():
        typer.echo(
            f"{bound}: {found['rows']:,} rows, {found['fills']:,} fills, "
            f"{found['quotes']:,} quotes in {found['segments']} segments, "
            f"net USD {found['net_usd']:,.2f}, hash {found['journal_hash'][:16]}"
        )
    typer.echo(f"verified: {result['checked']}")
    typer.echo(f"not checked: {result['not_checked']}", err=True)
