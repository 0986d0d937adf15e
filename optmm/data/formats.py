"""The shelf of tables that vendors sell: each turns its own columns into `quote_rows`.

A format is known by its column names, never by a file's name. Adding one is a class and one
`register` line.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import polars as pl

from optmm.data import quote_rows, tables
from optmm.errors import DataError, UsageError


@dataclass(frozen=True, slots=True)
class Context:
    """What a table does not say itself."""

    file: str  # its name
    at_ns: int | None = None  # when the quotes were in force, for a table without times
    underlying: str | None = None
    symbols: quote_rows.Symbols = field(default_factory=quote_rows.Symbols)


class TableFormat(Protocol):
    """One vendor's table. Stateless."""

    @property
    def name(self) -> str:
        """What an error message calls it."""

    @property
    def tape(self) -> bool:
        """Whether a row is a change of one option (a tape) rather than part of a whole chain."""

    @property
    def has_days(self) -> bool:
        """Whether a trading day can be made of its rows."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user of the numbers should know."""

    def recognises(self, columns: Sequence[str]) -> bool:
        """Whether a table with these columns (lower case, trimmed) is of this format."""

    def timed(self, columns: Sequence[str]) -> bool:
        """Whether the rows of such a table say when they were in force."""

    def rows(self, frame: pl.DataFrame, context: Context) -> pl.DataFrame:
        """Columns of `quote_rows.ROWS`, those that the format knows; not judged yet."""


FORMATS: dict[str, TableFormat] = {}


def register(table: TableFormat) -> TableFormat:
    """Put `table` on the shelf; a second one of the same name is a bug, not an override."""
    if table.name in FORMATS:
        raise UsageError(f"table format {table.name!r} is already registered")
    FORMATS[table.name] = table
    return table


def shelf() -> dict[str, TableFormat]:
    """All formats by name."""
    from optmm.data import deribit, own_table, vendors  # noqa: F401 - importing registers them

    return FORMATS


def format_of(path: Path) -> TableFormat | None:
    """The format of the file at `path`; None when it is no table of ours. Never raises."""
    try:
        columns = tables.heading(path) if path.is_file() else []
    except DataError:
        return None
    return format_with(columns)


def format_with(columns: Sequence[str]) -> TableFormat | None:
    """The format of a table with these columns, or None."""
    return next((table for table in shelf().values() if table.recognises(columns)), None)


def known(path: Path) -> TableFormat:
    """The format of the file at `path`; DataError when it is none of ours."""
    table = format_with(tables.heading(path))
    if table is None:
        raise DataError(
            "is no table we read", file=path.name, remedy=f"Give one of {', '.join(shelf())}."
        )
    return table


def judged(table: TableFormat, path: Path, context: Context) -> Iterator[pl.DataFrame]:
    """The rows of the file at `path` in chunks, in `quote_rows.ROWS`, each with its reason.

    Rows whose cells do not fit the heading have that reason and nothing else.

    Raises
    ------
    DataError
        The file is damaged; or its columns are not those of its heading (schema drift).
    """
    for chunk in tables.chunks(path):
        yield judge(table, chunk.frame, context)
        if chunk.ragged:
            empty = {name: [None] * chunk.ragged for name in quote_rows.ROWS}
            lost = pl.DataFrame(empty | {"reason": [quote_rows.RAGGED] * chunk.ragged},
                                quote_rows.ROWS)  # fmt: skip
            yield lost


def judge(table: TableFormat, frame: pl.DataFrame, context: Context) -> pl.DataFrame:
    """One chunk, judged."""
    if not table.recognises(frame.columns):
        raise DataError(
            f"has columns {', '.join(frame.columns)}, not those of {table.name}", file=context.file
        )
    try:
        return quote_rows.complete(table.rows(frame, context))
    except KeyError as error:
        raise DataError(f"lacks column {error} of {table.name}", file=context.file) from None
    except (pl.exceptions.PolarsError, TypeError) as error:
        reason = str(error).partition("\n")[0]
        raise DataError(f"is no {table.name} that we read: {reason}", file=context.file) from None
