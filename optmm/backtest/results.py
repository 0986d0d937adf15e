"""The folder of a backtest: what it is, each cell-day as it ends, and results.parquet at the end.

manifest.json       cells, days, versions; `--resume` needs all of them the same
cell-days/          one JSON file a finished cell-day, renamed into place when it is whole
results.parquet     one row a cell, day and fill assumption; the same bytes for the same grid
timings.parquet     seconds and memory of this machine, apart from the results
errors/             the traceback of a cell-day that failed by a fault of ours
running/            run folders in use; emptied
"""

import hashlib
import json
import os
import platform
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import polars as pl

from optmm.backtest.days import Day
from optmm.backtest.figures import BESIDE, FIGURES, WHOLE
from optmm.backtest.grid import Cell, Grid
from optmm.backtest.worker import Outcome
from optmm.config import canonical
from optmm.errors import DataError, UsageError

SCHEMA = "optmm.backtest/1"
VERSIONED = ("optmm", "numpy", "scipy", "numba", "polars", "pyarrow", "apsw", "QuantLib")
LEAD = {
    "cell": pl.Int32, "label": pl.String,
}  # fmt: skip
KEYS: dict[str, Any] = {
    "day": pl.Int32, "source": pl.String, "underlying": pl.String, "date": pl.String,
    "seed": pl.Int64, "simulated": pl.Boolean, "block": pl.String, "bound": pl.String,
    "status": pl.String, "error": pl.String, "config_hash": pl.String, "data_hash": pl.String,
    "journal_hash": pl.String, "killed": pl.String, "events": pl.Int64,
}  # fmt: skip
TYPES: dict[type, Any] = {bool: pl.Boolean, int: pl.Int64, float: pl.Float64}


def sources_hash() -> str:
    """sha256 over the Python sources of the three packages: results of other code are not mixed."""
    root = Path(__file__).resolve().parents[2]
    digest = hashlib.sha256()
    for floor in ("hedging", "optmm", "surfaces"):
        for file in sorted((root / floor).rglob("*.py")):
            text = file.read_bytes()
            digest.update(f"{file.relative_to(root).as_posix()}\0{len(text)}\0".encode())
            digest.update(text)
    return digest.hexdigest()


def identity(grid: Grid) -> dict[str, Any]:
    """What `--resume` needs to find again. How cells are compared is not part of it."""
    return {
        "cells": [
            {"cell": c.number, "label": c.label, "config_hash": c.config_hash} for c in grid.cells
        ],
        "days": [{"day": d.number, "name": d.name} | d.identity() for d in grid.days],
        "versions": {"python": platform.python_version()}
        | {name: version(name) for name in VERSIONED},
        "sources_sha256": sources_hash(),
    }


def claim(folder: Path, grid: Grid, *, resume: bool) -> None:
    """Make the folder, or find it as it was left.

    Raises
    ------
    UsageError
        It holds something and this is no resumption; or it is that of another grid or version.
    DataError
        Its manifest is damaged.
    """
    path, mine = folder / "manifest.json", identity(grid)
    if not resume:
        if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
            raise UsageError(
                f"{folder} is not empty: add --resume to go on with it, or choose another --out"
            )
        folder.mkdir(parents=True, exist_ok=True)
        replace(path, _text({"schema": SCHEMA, "complete": False} | mine))
        return
    if not path.is_file():
        raise UsageError(f"{folder} holds no backtest to resume: leave --resume out to start one")
    try:
        theirs = json.loads(path.read_text(encoding="utf-8"))
        changed = [key for key in mine if theirs[key] != mine[key]]
    except (ValueError, KeyError, TypeError) as bad:
        raise DataError(
            f"is no manifest of a backtest: {bad}", file=str(path), remedy="Start a new --out."
        ) from None
    if changed:
        words = {
            "cells": "the grid or the base configuration", "days": "the days",
            "versions": "the versions of packages", "sources_sha256": "the code of optmm",
        }  # fmt: skip
        raise UsageError(
            f"{folder} cannot be resumed: {' and '.join(words[key] for key in changed)} changed "
            "since it was started. Choose another --out"
        )


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder against a second process; UsageError when another has it."""
    import fcntl

    folder.mkdir(parents=True, exist_ok=True)
    beside = folder.parent / f".{folder.name}.lock"
    with beside.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise UsageError(
                f"{folder} is in use by another backtest; choose another --out"
            ) from None
        try:
            yield
        finally:
            beside.unlink(missing_ok=True)


def _file(folder: Path, cell: int, day: int) -> Path:
    return folder / "cell-days" / f"c{cell:05d}-d{day:05d}.json"


def keep(folder: Path, cell: Cell, day: Day, outcome: Outcome) -> None:
    """Write one finished cell-day, whole or not at all."""
    path = _file(folder, cell.number, day.number)
    path.parent.mkdir(exist_ok=True)
    replace(path, _text({"facts": outcome.facts, "rows": list(outcome.rows)}))


def kept(folder: Path, grid: Grid) -> dict[tuple[int, int], dict[str, Any]]:
    """The finished cell-days by (cell, day).

    Raises
    ------
    DataError
        A file is damaged, or a day's data differ from cell to cell or from what is there now.
    """
    out = {}
    for cell in grid.cells:
        for day in grid.days:
            path = _file(folder, cell.number, day.number)
            if not path.is_file():
                continue
            try:
                found = json.loads(path.read_text(encoding="utf-8"))
                found["facts"]["data_hash"], found["rows"][0]["bound"]
            except (ValueError, KeyError, IndexError, TypeError):
                raise DataError(
                    "is damaged", file=str(path), remedy="Remove it and run again with --resume."
                ) from None
            out[cell.number, day.number] = found
    same_data(out, grid)
    return out


def same_data(found: dict[tuple[int, int], dict[str, Any]], grid: Grid) -> None:
    """Refuse results of one day that come from different data."""
    first: dict[int, str] = {}
    names = {day.number: day.name for day in grid.days}
    for (cell, day), entry in sorted(found.items()):
        digest = entry["facts"]["data_hash"]
        if first.setdefault(day, digest) != digest:
            raise DataError(
                f"the data of {names[day]} changed between cells (cell {cell} saw others)",
                remedy="Start again in another --out.",
            )


def unchanged(found: dict[tuple[int, int], dict[str, Any]], grid: Grid) -> None:
    """Refuse to resume where a source file of a finished day is not what it was.

    Raises
    ------
    DataError
        Names the day and the file.
    """
    for day in grid.days:
        entry = next((e for (_, d), e in sorted(found.items()) if d == day.number), None)
        if entry is None or day.place is None:
            continue
        base = day.place if day.place.is_dir() else day.place.parent
        for name, sha256 in entry["facts"]["sources"]:
            path = base / name
            if not path.is_file() or _digest(path) != sha256:
                what = "changed" if path.is_file() else "is gone"
                raise DataError(
                    f"{name} of {day.name} {what} since this backtest was started",
                    remedy="Start again in another --out.",
                )


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def frame(
    grid: Grid, found: dict[tuple[int, int], dict[str, Any]], failed: dict[tuple[int, int], str]
) -> pl.DataFrame:
    """results.parquet: rows by cell, day and fill assumption; parameters, facts, then figures."""
    lines = []
    for cell in grid.cells:
        for day in grid.days:
            entry, error = (
                found.get((cell.number, day.number)),
                failed.get((cell.number, day.number)),
            )
            if entry is None and error is None:
                continue
            facts = {} if entry is None else entry["facts"]
            head = {
                "cell": cell.number, "label": cell.label,
                **{key: _cellular(value) for key, value in cell.settings},
                "day": day.number, "source": day.source,
                "underlying": facts.get("underlying", day.underlying),
                "date": facts.get("date", day.date), "seed": day.seed, "simulated": day.simulated,
                "block": day.block, "status": "error" if entry is None else "ok", "error": error,
                "config_hash": cell.config_hash, "data_hash": facts.get("data_hash"),
                "events": facts.get("events"),
            }  # fmt: skip
            if entry is not None:
                lines += [head | row for row in entry["rows"]]
            else:
                bounds = ("simulated",) if day.simulated else cell.config.replay.bounds
                lines += [head | {"bound": bound} for bound in bounds]
    return pl.DataFrame(lines, schema=_schema(grid, lines))


def _schema(grid: Grid, lines: list[dict[str, Any]]) -> dict[str, Any]:
    named = [*(f.name for f in FIGURES), *BESIDE]
    figures = {name: pl.Int64 if name in WHOLE else pl.Float64 for name in named}
    known = {*LEAD, *grid.keys, *KEYS, *figures}
    others = sorted({name for line in lines for name in line} - known)
    return (
        LEAD
        | {key: _type(grid, key) for key in grid.keys}
        | KEYS
        | figures
        | dict.fromkeys(others, pl.Float64)
    )


def _cellular(value: Any) -> Any:
    """A parameter as one cell of a table."""
    return json.dumps(value) if isinstance(value, tuple) else value


def _type(grid: Grid, key: str) -> Any:
    """The column type of a parameter; text where its values are of several types."""
    kinds = {type(_cellular(dict(cell.settings)[key])) for cell in grid.cells}
    if kinds == {int, float}:
        return pl.Float64
    return TYPES.get(kinds.pop(), pl.String) if len(kinds) == 1 else pl.String


def write_parquet(table: pl.DataFrame, path: Path) -> None:
    """The same rows give the same bytes; renamed into place."""
    draft = path.with_name(f".{path.name}.part")
    table.write_parquet(draft, compression="zstd", statistics=True)
    draft.replace(path)


def replace(path: Path, text: str) -> None:
    """Write beside the target, sync, then rename over it."""
    draft = path.with_name(f".{path.name}.part")
    with draft.open("w", encoding="utf-8", newline="\n") as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
    draft.replace(path)


def _text(value: dict[str, Any]) -> str:
    return json.dumps(value, indent=1, sort_keys=True, allow_nan=False, ensure_ascii=False) + "\n"


def complete(folder: Path, *, failed: Sequence[str]) -> None:
    """Say in the manifest that everything ran, or how many cell-days failed."""
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    manifest |= {"complete": not failed, "failed": len(failed), "grid_hash": _grid_hash(manifest)}
    replace(path, _text(manifest))


def _grid_hash(manifest: dict[str, Any]) -> str:
    return hashlib.sha256(canonical({k: manifest[k] for k in ("cells", "days")})).hexdigest()
