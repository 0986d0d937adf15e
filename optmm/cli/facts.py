"""optmm data facts: the stylised facts of one day, real or simulated."""

import json
from pathlib import Path
from typing import Annotated

import typer


def facts(
    path: Annotated[
        Path, typer.Argument(help="LEAN data root, or a stored day folder", metavar="DATA")
    ],
    underlying: Annotated[
        str | None, typer.Option("--underlying", help="symbol, as `optmm data info DATA` lists it")
    ] = None,
    date: Annotated[str | None, typer.Option("--date", help="trade date, YYYY-MM-DD")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object on stdout")] = False,
) -> None:
    """Measure a day: spreads, trade sizes and signs, U-shapes, smile moves, realised vol.

    Spreads are shares of the mid, vols decimals a year, vol moves in vol points; a dash is what the
    day does not say. docs/simulator.md defines each figure.

    Example: optmm data facts spy-day
    """
    from optmm.data.facts import facts_of
    from optmm.data.readers import open_day

    found = facts_of(open_day(path, underlying, date))
    if as_json:
        print(json.dumps({"title": found.title, "facts": found.as_json()}, sort_keys=True))
        return
    print(found.title)
    for name, value in found.as_json().items():
        print(f"{name:<42} {'-' if value is None else f'{value:.4g}'}")
