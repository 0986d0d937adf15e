"""Tables of text or Parquet in chunks of a bounded size, every cell of text still text.

A row with another number of cells than the heading is left out and counted; a last row that is cut
off, a column that changes its name between members, and bytes that are no text are errors.
"""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from optmm.data import streams
from optmm.data.streams import AGAIN
from optmm.errors import DataError

PARQUET = b"PAR1"
CHUNK_ROWS = 1 << 18  # of Parquet; a chunk of text is one block
JSON_LIMIT = 256 << 20  # bytes
LONGEST = 16 << 20  # bytes of a line


@dataclass(frozen=True, slots=True)
class Chunk:
    """Rows of one table, in file order."""

    frame: pl.DataFrame
    ragged: int = 0  # rows left out: not as many cells as the heading


def is_parquet(path: Path) -> bool:
    """Whether the file is, or begins as, Parquet."""
    with path.open("rb") as stream:
        return stream.read(4) == PARQUET


def heading(path: Path) -> list[str]:
    """Names of the columns, trimmed and in lower case; [] where the file is no table.

    Raises
    ------
    DataError
        The file is absent, or damaged in its first bytes.
    """
    if streams.packing(path) == "" and is_parquet(path):
        return [name.strip().lower() for name in _parquet(path).schema_arrow.names]
    first = streams.head(path)
    if b"\0" in first[:4096]:
        return []
    if _is_json(first):
        return list(_json(path).columns)
    return _names(first.lstrip(b"\r\n").split(b"\n", 1)[0])


def chunks(path: Path) -> Iterator[Chunk]:
    """The table in order, a chunk at a time.

    Raises
    ------
    DataError
        Truncated, corrupt, no text, or cut off in the middle of a row; names the row.
    """
    if streams.packing(path) == "" and is_parquet(path):
        yield from _batches(path)
        return
    if _is_json(streams.head(path)):
        yield Chunk(_json(path))
        return
    member: str | None = None
    names: list[str] = []
    found: list[str] = []
    rest, row = b"", 1
    for name, block in streams.blocks(path):
        if name != member:
            if member is not None and rest:
                yield _text(rest, names, path.name, row, last=True)
            found, rest, member = [], b"", name
        data = rest + block
        if b"\0" in block:
            raise DataError("is binary, not text", file=path.name, row=row)
        cut = data.rfind(b"\n") + 1
        lines, rest = data[:cut], data[cut:]
        if len(rest) > LONGEST:
            raise DataError(f"has a line of over {LONGEST >> 20} MiB", file=path.name, row=row)
        if not found and lines:
            first, lines = lines.lstrip(b"\r\n").split(b"\n", 1)
            found, row = _names(first), 2
            if names and found != names:
                drifted = next(
                    (a for a in found if a not in names), f"{len(found)} for {len(names)}"
                )
                raise DataError(f"member {name} has another column: {drifted}", file=path.name)
            names = found
        if lines:
            yield _text(lines, names, path.name, row, last=False)
            row += lines.count(b"\n")
    if member is None:
        raise DataError("is empty", file=path.name, remedy=AGAIN)
    if rest and found:
        yield _text(rest, names, path.name, row, last=True)


def _is_json(first: bytes) -> bool:
    """Whether a file begins like an answer of an exchange with named instruments."""
    return first.lstrip()[:1] in (b"{", b"[") and b'"instrument_name"' in first


def _json(path: Path) -> pl.DataFrame:
    """The list of objects of a JSON file, or of its `result`."""
    try:
        found = json.loads(streams.whole(path, JSON_LIMIT))
        rows = found["result"] if isinstance(found, dict) else found
        frame = pl.DataFrame(rows, infer_schema_length=None)
    except (ValueError, KeyError, TypeError, pl.exceptions.PolarsError) as error:
        raise DataError(f"is no whole JSON table: {error}", file=path.name, remedy=AGAIN) from None
    return frame.rename({name: name.strip().lower() for name in frame.columns})


def _names(first: bytes) -> list[str]:
    text = first.decode("utf-8-sig", errors="replace")
    cells = next(csv.reader([text], skipinitialspace=True), [])
    return [cell.strip(" \t\r[]").lower() for cell in cells]


def _text(lines: bytes, names: Sequence[str], file: str, row: int, *, last: bool) -> Chunk:
    """Lines as a frame of text; `row` is the number of the first."""
    width, ragged = len(names), 0
    if b'"' in lines or not _even(lines, width - 1):
        lines, ragged = _square(lines, width, file, row, last=last)
    if not lines:
        return Chunk(pl.DataFrame({name: [] for name in names}, dict.fromkeys(names, pl.String)))
    schema = dict.fromkeys(names, pl.String)
    try:
        frame = pl.read_csv(
            io.BytesIO(lines), has_header=False, schema=schema, encoding="utf8-lossy"
        )
    except pl.exceptions.PolarsError as error:
        reason = str(error).partition("\n")[0]
        raise DataError(f"cannot be read: {reason}", file=file, row=row) from None
    return Chunk(frame.with_columns(pl.all().str.strip_chars()), ragged)


def _even(lines: bytes, commas: int) -> bool:
    """Whether every line has that many commas; a short one must not be balanced by a long one."""
    text = np.frombuffer(lines, np.uint8)
    ends = np.flatnonzero(text == ord("\n"))
    if not lines.endswith(b"\n"):
        ends = np.append(ends, text.size)
    upto = np.searchsorted(np.flatnonzero(text == ord(",")), ends)
    return bool((np.diff(upto, prepend=0) == commas).all())


def _square(lines: bytes, width: int, file: str, row: int, *, last: bool) -> tuple[bytes, int]:
    """The rows of `width` cells, and how many others there were."""
    text = lines.decode("utf-8", errors="replace")
    out, ragged, cells = io.StringIO(), 0, width
    writer = csv.writer(out, lineterminator="\n")
    for cells_of in csv.reader(io.StringIO(text)):
        if not cells_of:
            continue
        cells = len(cells_of)
        if cells == width:
            writer.writerow(cells_of)
        else:
            ragged += 1
    if last and cells != width and not lines.endswith(b"\n"):
        raise DataError(
            f"ends in the middle of a row, after {cells} of {width} columns",
            file=file, row=row + lines.count(b"\n"), remedy=AGAIN,
        )  # fmt: skip
    return out.getvalue().encode(), ragged


def _parquet(path: Path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(path)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise _broken(path, error) from None


def _batches(path: Path) -> Iterator[Chunk]:
    import pyarrow as pa

    source = _parquet(path)
    meta = source.metadata
    size = sum(meta.row_group(i).total_byte_size for i in range(meta.num_row_groups))
    if size > max(streams.SMALL, streams.MAX_RATIO * path.stat().st_size):
        raise DataError(
            f"unpacks to {size / 1e6:,.0f} MB, over {streams.MAX_RATIO} times its size",
            file=path.name, remedy="This is no market data; remove it.",
        )  # fmt: skip
    row = 0
    try:
        for batch in source.iter_batches(CHUNK_ROWS):
            frame = pl.from_arrow(batch)
            assert isinstance(frame, pl.DataFrame)
            words = [n for n, kind in frame.schema.items() if kind in (pl.Categorical, pl.Enum)]
            frame = frame.with_columns(pl.col(words).cast(pl.String))
            yield Chunk(frame.rename({n: n.strip().lower() for n in frame.columns}))
            row += batch.num_rows
    except (pa.ArrowException, OSError, ValueError) as error:
        raise _broken(path, error, row) from None


def _broken(path: Path, error: Exception, row: int = 0) -> DataError:
    reason = str(error).partition("\n")[0]
    return DataError(
        f"truncated or corrupt Parquet, {path.stat().st_size:,} bytes, {row:,} rows read: {reason}",
        file=path.name, remedy=AGAIN,
    )  # fmt: skip
