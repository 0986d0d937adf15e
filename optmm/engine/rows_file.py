"""Small tables that a user writes by hand or a system exports: CSV, Parquet, or TOML.

Cells keep the text or number they came with, so that prices stay exact; what a row means is the
caller's. Nothing is guessed: a column that is not known is an error, since a misspelt one would be
a number left out in silence.
"""

import csv
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from optmm.errors import DataError

MOST_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Columns:
    """The table's name in TOML, the columns it must have and those it may have."""

    table: str
    must: tuple[str, ...]
    may: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """For an error: every name."""
        return "Columns are " + ", ".join(self.must + self.may) + "."


def exact(cells: dict[str, Any], name: str, scale: int, *, remedy: str) -> int | None:
    """The cell times `scale` as an exact integer; None if it is empty."""
    value = cells.get(name)
    text = "" if value is None else str(value).strip()
    if not text:
        return None
    try:
        number = Decimal(text)
        if isinstance(value, bool) or not number.is_finite():
            raise InvalidOperation
    except InvalidOperation:
        raise DataError(f"{name} is {value!r}, which is no number", remedy=remedy) from None
    # the size first: a product of huge exponents overflows
    if number.copy_abs() > 10**15 or number * scale != (number * scale).to_integral_value():
        raise DataError(f"{name} is {value!r}, which is not exact", remedy=remedy)
    return int(number * scale)


def read(path: Path, columns: Columns) -> Iterator[tuple[int, dict[str, Any]]]:
    """Row number as its user counts (a CSV line, else from 1) and cells by column."""
    readers = {".csv": _csv, ".parquet": _parquet, ".toml": _toml}
    if path.suffix.lower() not in readers:
        raise DataError(
            f"{path.name} is no table of ours", remedy=f"Use one of {', '.join(readers)}."
        )
    try:
        if path.stat().st_size > MOST_BYTES:
            raise DataError(f"{path.name} has more than 64 MiB", remedy="One row an instrument.")
        found = list(readers[path.suffix.lower()](path, columns))
    except FileNotFoundError:
        raise DataError(f"there is no {path.name}", remedy="Check the path.") from None
    except OSError as bad:
        raise DataError(f"cannot be read: {bad.strerror}", file=path.name) from None
    except csv.Error as bad:
        raise DataError(f"is no CSV table: {bad}", file=path.name) from None
    except UnicodeDecodeError:
        raise DataError("is not UTF-8 text", file=path.name, remedy="Save it as UTF-8.") from None
    for row, cells in found:
        odd = [name for name in cells if name not in columns.must + columns.may]
        gone = [name for name in columns.must if name not in cells]
        if odd or gone:
            what = f"has the column {odd[0]!r}" if odd else f"lacks the column {gone[0]!r}"
            raise DataError(what, file=path.name, row=row, remedy=columns.text)
        yield row, cells


def _csv(path: Path, columns: Columns) -> Iterator[tuple[int, dict[str, Any]]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines = csv.reader(file)
        head = [name.strip() for name in next(lines, [])]
        if len(set(head)) != len(head) or not set(columns.must) <= set(head):
            raise DataError(
                f"its first line is {','.join(head)!r}", file=path.name, row=1,
                remedy=columns.text,
            )  # fmt: skip
        for cells in lines:
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(head):
                raise DataError(
                    f"has {len(cells)} cells, the first line {len(head)}",
                    file=path.name, row=lines.line_num, remedy="Quote cells that hold commas.",
                )  # fmt: skip
            yield lines.line_num, dict(zip(head, cells, strict=True))


def _parquet(path: Path, columns: Columns) -> Iterator[tuple[int, dict[str, Any]]]:
    import polars as pl

    try:
        frame = pl.read_parquet(path)
    except pl.exceptions.PolarsError as bad:
        raise DataError(f"is no Parquet file: {bad}", file=path.name) from None
    yield from enumerate(frame.iter_rows(named=True), 1)


def _toml(path: Path, columns: Columns) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8-sig"), parse_float=Decimal)
    except tomllib.TOMLDecodeError as bad:
        raise DataError(f"is not valid TOML: {bad}", file=path.name) from None
    table = raw.get(columns.table)
    if set(raw) != {columns.table} or not isinstance(table, list):
        raise DataError(
            f"must hold [[{columns.table}]] tables and nothing else", file=path.name,
            remedy=f"Write [[{columns.table}]] for each row. {columns.text}",
        )  # fmt: skip
    for row, cells in enumerate(table, 1):
        if not isinstance(cells, dict):
            raise DataError("is no table", file=path.name, row=row)
        yield row, cells
