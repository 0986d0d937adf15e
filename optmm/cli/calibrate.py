"""optmm calibrate: one chain in, one surface out, with what it hits and what it may not promise."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from optmm.cli import terms as typed
from optmm.cli.compiling import compile_ahead, say_if_cold

if TYPE_CHECKING:
    import datetime as dt

    from optmm.data.snapshot import Snapshot
    from surfaces.curves.cash import CashDividends
    from surfaces.curves.discount import DiscountCurve
    from surfaces.surface import VolSurface

PIPED_WIDTH = 170  # columns when stdout is no terminal


def calibrate(
    chain: Annotated[
        Path,
        typer.Argument(
            metavar="CHAIN",
            help="Cboe quotedata or JSON, table of quotes (.csv, Parquet), plain or gzip; LEAN "
            "data root or stored day",
        ),
    ],
    model: Annotated[
        str | None, typer.Option("--model", help="a smile on the shelf; default that of fit()")
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(
            "--at", help="time of the quotes: '2023-09-14 11:40' in New York, or with an offset"
        ),
    ] = None,
    underlying: Annotated[
        str | None, typer.Option("--underlying", help="symbol, where the source holds several")
    ] = None,
    spot: Annotated[
        float | None, typer.Option("--spot", help="USD; default what the source says, else parity")
    ] = None,
    rate: Annotated[
        str | None,
        typer.Option("--rate", help="interest, continuous: 5.3% or 0.053; default implied"),
    ] = None,
    rates: Annotated[
        Path | None,
        typer.Option(
            "--rates",
            help="US Treasury par yields (CSV or folder of them): what rates are expected to be",
        ),
    ] = None,
    dividends: Annotated[
        Path | None,
        typer.Option(
            "--dividends",
            help="CSV of Date, Dividends (USD a share); past the last, its last year is repeated",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="folder for diagnostics.parquet and residuals.parquet"),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option("--plot", help="folder for the figures, SVG and PNG")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object on stdout")] = False,
) -> None:
    """Fit a volatility surface to one snapshot of a chain and judge it, expiry by expiry.

    Vols and rates in percent, prices in USD, skew = d vol / d ln(strike). Exit code 6 when an
    expiry has no certified curve; the table, files and figures are there all the same.

    Example: optmm calibrate spx_2023-05-26_close.csv.gz --out fits --plot figures
    """
    import json
    import time

    from optmm.data.snapshots import open_snapshot
    from optmm.errors import CalibrationFailed, UsageError
    from optmm.reports import calibration

    value = None if rate is None else typed.share("--rate", rate, typed.HIGHEST_RATE)
    _known(model)
    if rate is not None and rates is not None:
        raise UsageError("--rate and --rates are both given; one rate or a curve, not both")
    _folder("--out", out)
    _folder("--plot", plot)
    compile_ahead()
    snapshot = open_snapshot(chain, at=at, underlying=underlying).check()
    say_if_cold()
    started = time.perf_counter()
    if spot is not None and not spot > 0.0:
        raise UsageError(f"--spot is {spot:g} USD, must be > 0")
    given = {} if model is None else {"model": model}
    surface = _fit(
        snapshot,
        spot=snapshot.spot if spot is None else spot,
        rate=value,
        curve=_curve(rates, snapshot),
        dividends=_dividends(dividends, snapshot),
        **given,
    )
    report = calibration.section(snapshot, surface)
    for line in calibration.words(snapshot, report, time.perf_counter() - started):
        typer.echo(line, err=True)
    if out is not None:
        for path in calibration.write(out, surface):
            typer.echo(f"wrote {path}", err=True)
    if plot is not None:
        when = report["valuation"].replace("T", " ").replace(":00Z", " UTC")
        _draw(surface, plot, f"{snapshot.underlying} {when}")
    if as_json:
        typer.echo(json.dumps(report, indent=2, allow_nan=False))
    else:
        _show(report)
    failed = calibration.failure(report)
    if failed is not None:
        raise CalibrationFailed(failed)


def _known(model: str | None) -> None:
    """Refuse a model that is not on the shelf."""
    from optmm.errors import UsageError
    from surfaces.smiles import SMILES

    if model is not None and model not in SMILES:
        raise UsageError(f"--model is {model!r}, must be one of {', '.join(sorted(SMILES))}")


def _folder(name: str, path: Path | None) -> None:
    """Refuse a place that cannot become a folder, before the work is done."""
    from optmm.errors import UsageError

    if path is None:
        return
    for place in (path, *path.parents):
        if place.exists() and not place.is_dir():
            raise UsageError(f"{name} is {path}, but {place} is a file; name a folder")


def _fit(snapshot: "Snapshot", **given: Any) -> "VolSurface":
    """The surface; a chain that nothing can be fitted to is a failed calibration."""
    import surfaces
    from optmm.errors import CalibrationFailed
    from surfaces.errors import SurfacesError

    try:
        return surfaces.fit(snapshot.quotes, valuation_ns=snapshot.valuation_ns, **given)
    except SurfacesError as bad:
        raise CalibrationFailed(str(bad)) from None


def _curve(path: Path | None, snapshot: "Snapshot") -> "DiscountCurve | None":
    """The curve of the day before the quotes, or of that day."""
    if path is None:
        return None
    from surfaces.curves.discount import DiscountCurve, read_treasury

    day = _new_york(snapshot.valuation_ns)
    with _as_data("--rates", path):
        return DiscountCurve.from_par_yields(day, read_treasury(path, day))


def _dividends(path: Path | None, snapshot: "Snapshot") -> "CashDividends | None":
    """What is still to come until the last expiry."""
    if path is None:
        return None
    from surfaces.curves.discount import read_dividends

    with _as_data("--dividends", path):
        paid = read_dividends(path)
    return paid.repeated(snapshot.valuation_ns, int(snapshot.quotes["expiry"].to_numpy().max()))


def _new_york(ts_ns: int) -> "dt.date":
    import datetime as dt
    from zoneinfo import ZoneInfo

    return dt.datetime.fromtimestamp(ts_ns // 10**9, ZoneInfo("America/New_York")).date()


@contextmanager
def _as_data(name: str, path: Path) -> Iterator[None]:
    """Turn what a reader of rates or dividends raises into a data error that names the file."""
    from optmm.errors import DataError
    from surfaces.errors import SurfacesError

    if not path.exists():
        raise DataError(f"{name}: there is no {path}", remedy="Check the path.")
    try:
        yield
    except OSError as bad:
        raise DataError(f"{name}: cannot be read: {bad.strerror}", file=str(path)) from None
    except (SurfacesError, KeyError, ValueError) as bad:
        what = str(bad).rstrip(".")
        raise DataError(f"{name} {path}: {what}", remedy="See optmm calibrate --help.") from None


def _show(report: dict) -> None:
    """The table on stdout, as wide as the screen allows."""
    from rich.console import Console

    from optmm.reports import calibration
    from optmm.reports.terminal import grid

    wide = None if sys.stdout.isatty() or "COLUMNS" in os.environ else PIPED_WIDTH
    console = Console(file=sys.stdout, width=wide, highlight=False, emoji=False)
    heads, rows = calibration.table(report, console.width)
    console.print(grid(heads, rows, text=2, strong=(len(rows) - 1,)))


def _draw(surface: "VolSurface", folder: Path, title: str) -> None:
    """Every figure as SVG and PNG."""
    from surfaces import plot

    for path in plot.save(surface, folder, title):
        typer.echo(f"wrote {path}", err=True)
