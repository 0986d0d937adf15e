"""Anything that is read, as our Parquet: a stored day, or a table of quotes.

A destination that ends in .parquet is a table of chains (`own_table`); any other is the folder of
one trade date (`store`). Either appears when its last byte is written, or not at all. Sources that
are larger than memory go through in blocks; LEAN zips and files of one chain are bounded in size.
"""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from optmm.data import formats, own_table, packed, quote_rows, stamps, store
from optmm.data.formats import Context
from optmm.data.readers import READERS, StreamReader, choose
from optmm.data.sheets import untimed
from optmm.data.snapshots import SNAPSHOTS, open_snapshot
from optmm.data.tables import heading
from optmm.data.tape import Progress, no_progress, sha256
from optmm.errors import DataError, UsageError
from optmm.market import calendar

SCHEMA = "optmm.data_convert/1"
AT_ONCE = ["ts", *quote_rows.SERIES]
MOST_HELD = 1_000_000  # rows whose contracts are remembered to find repeats


@dataclass(frozen=True, slots=True)
class Converted:
    """What was written. `read` = `written` + the sum of `quarantined` for a table."""

    kind: str  # "day", "table"
    reader: str
    out: Path
    read: int
    written: int
    quarantined: dict[str, int]
    notes: tuple[str, ...]


def convert(
    source: Path,
    out: Path,
    *,
    underlying: str | None = None,
    date: str | None = None,
    at: str | None = None,
    progress: Progress = no_progress,
) -> Converted:
    """Write what `source` holds to `out`.

    Parameters
    ----------
    source : any file or folder of docs/formats.md
    out : NAME.parquet for a table of quotes, else the folder of a stored day
    underlying, date : which day, where several fit; for a table, which rows
    at : time of a file of one chain that does not say it
    progress : told how many rows were read

    Raises
    ------
    UsageError
        `out` exists, or does not fit what `source` is; several days fit.
    DataError
        The source is damaged, or nothing of it can be used. Nothing is left behind.
    """
    if not source.exists():
        raise DataError(f"there is no {source}", remedy="Check the path.")
    if out.exists():
        raise UsageError(f"{out} exists: name another place or remove it")
    table = formats.format_of(source)
    if out.suffix.lower() != ".parquet":
        return _day(source, out, underlying, date, progress)
    if table is not None:
        return _table(source, out, underlying, date, at, progress)
    if any(reader.recognises(source) for reader in READERS.values()):
        raise UsageError(
            f"{source} holds recorded days, which are stored as folders: "
            f"name one for {out.name}, without .parquet"
        )
    return _chain(source, out, underlying, at)


def _day(
    source: Path, out: Path, underlying: str | None, date: str | None, progress: Progress
) -> Converted:
    one_chain = source.is_file() and not any(r.recognises(source) for r in READERS.values())
    if one_chain and (formats.format_of(source) or _is_chain(source)):
        raise UsageError(f"{source.name} is no trading day: name {out}.parquet for a table of it")
    reader, name, day = choose(source, underlying, date)
    if store.is_stored(source):
        raise UsageError(f"{source} is a stored day already")
    said = reader.name
    if not isinstance(reader, StreamReader):
        whole = reader.load(source, name, day)
        with store.drafted(out) as draft:
            store.write(whole, draft)
        progress(whole.quality.rows)
    else:
        stream = reader.stream(source, name, day)
        said, whole = stream.reader, store.write_stream(stream, out, progress)
    quality = whole.quality
    aside = sum(quality.quarantined.values())
    return Converted(
        "day", said, out, quality.rows, quality.rows - aside, dict(quality.quarantined),
        quality.notes,
    )  # fmt: skip


def _is_chain(source: Path) -> bool:
    raw = packed.read(source)
    return any(reader.recognises(raw) for reader in SNAPSHOTS.values())


def _table(
    source: Path, out: Path, underlying: str | None, date: str | None, at: str | None,
    progress: Progress,
) -> Converted:  # fmt: skip
    table = formats.known(source)
    at_ns = None if table.timed(heading(source)) else untimed(source.name, at)
    context = Context(source.name, at_ns, underlying)
    tally: Counter[str] = Counter()
    read = 0
    with store.drafted(out) as draft:
        writer = own_table.Writer(draft)
        repeats = _Repeats(table.tape)
        for rows in formats.judged(table, source, context):
            mine = rows.filter(_wanted(underlying, date))
            read += mine.height
            writer.write(repeats.first(quote_rows.tally_of(mine, tally), tally))
            progress(rows.height)
        if not writer.rows:
            counted = ", ".join(f"{reason} {n:,}" for reason, n in sorted(tally.items()))
            raise DataError(f"has no row that can be used ({counted})", file=source.name)
        counted_by = dict(sorted(tally.items()))
        writer.close(
            {"source": source.name, "sha256": sha256(source), "reader": table.name,
             "read": read, "quarantined": counted_by}
        )  # fmt: skip
    return Converted("table", table.name, out, read, writer.rows, counted_by, table.notes)


def _wanted(underlying: str | None, date: str | None) -> pl.Expr:
    """Rows of one underlying and New York date, and those that do not say."""
    which = pl.lit(True)
    if underlying is not None:
        name = underlying.upper()
        which &= ((pl.col("underlying") == name) | (pl.col("root") == name)).fill_null(True)
    if date is not None:
        zoned = pl.from_epoch("ts", "ns").dt.replace_time_zone("UTC")
        day = zoned.dt.convert_time_zone(stamps.NEW_YORK).dt.date().cast(pl.String)
        which &= (day == calendar.iso(date)).fill_null(True)
    return which


class _Repeats:
    """Contracts already written for the latest instants; a tape may repeat."""

    def __init__(self, tape: bool) -> None:
        self._tape = tape
        self._seen = pl.DataFrame(schema={name: quote_rows.ROWS[name] for name in AT_ONCE})

    def first(self, rows: pl.DataFrame, tally: Counter[str]) -> pl.DataFrame:
        """The rows of contracts not yet seen at their instant."""
        if self._tape or not rows.height:
            return rows
        kept = rows.unique(AT_ONCE, keep="first", maintain_order=True)
        kept = kept.join(self._seen, on=AT_ONCE, how="anti", maintain_order="left")
        if kept.height < rows.height:
            tally["duplicate contract"] += rows.height - kept.height
        self._seen = pl.concat([self._seen, kept.select(AT_ONCE)]).tail(MOST_HELD)
        return kept


def _chain(source: Path, out: Path, underlying: str | None, at: str | None) -> Converted:
    """A file of one chain."""
    found = open_snapshot(source, at=at, underlying=underlying)
    with store.drafted(out) as draft:
        writer = own_table.Writer(draft)
        writer.write(own_table.of_snapshot(found))
        if not writer.rows:
            raise DataError("has no quote that can be used", file=source.name)
        writer.close(
            {"source": source.name, "sha256": sha256(source), "reader": found.reader,
             "read": found.read, "quarantined": dict(found.quarantined)}
        )  # fmt: skip
    return Converted(
        "table", found.reader, out, found.read, writer.rows, dict(found.quarantined), found.notes
    )
