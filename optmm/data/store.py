"""Our own stored day: a folder of two Parquet tables and one JSON file, an exact round trip.

    events.parquet   the event table, one column a field
    chain.parquet    one row an option
    day.json         underlying, session, quality, origin of the data, hashes of the two tables

`read` refuses a folder whose schema has drifted, whose hashes do not agree or whose rows would send
the engine outside its tables.
"""

import contextlib
import dataclasses
import hashlib
import json
import math
import os
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from optmm.data import store_schema as schema
from optmm.data.tape import DayStream, Ledger, Progress, TwoSided, no_progress, ordered, quality
from optmm.errors import DataError, UsageError
from optmm.market.chain import DataQuality, MarketDay, Session, Underlying
from optmm.market.events import Kind, empty
from optmm.market.feed import BLOCK, Feed, FeedDay

EVENTS, CHAIN, DAY = "events.parquet", "chain.parquet", "day.json"
MAX_BYTES = 8 << 30  # unpacked, of one table
MAX_GROUP_BYTES = 256 << 20  # unpacked, of one row group: what streaming holds at once
GROUP_ROWS = 1 << 20  # events of a row group
T = TypeVar("T", Underlying, Session)
WRITE_AGAIN = "Store the day again from its source."


def write(day: MarketDay, folder: Path) -> Path:
    """Store `day` in `folder`, made if absent, replacing a day that it holds; return `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    # Without day.json the folder is no stored day, so a broken write cannot be mistaken for one.
    (folder / DAY).unlink(missing_ok=True)
    with pq.ParquetWriter(folder / EVENTS, schema.EVENT_SCHEMA, compression="zstd") as out:
        for start in range(0, max(day.events.size, 1), GROUP_ROWS):
            out.write_table(_columns(day.events[start : start + GROUP_ROWS]))
    pq.write_table(
        schema.chain_table(day.chain, day.open_interest), folder / CHAIN, compression="zstd"
    )
    _seal(folder, day)
    return folder


def write_stream(stream: DayStream, folder: Path, progress: Progress = no_progress) -> MarketDay:
    """Store a day that may be larger than memory; its header, without events, is returned.

    The folder appears when the last byte is written, or not at all.

    Raises
    ------
    UsageError
        `folder` exists.
    DataError
        Nothing of the day can be used, or a source is damaged.
    """
    with drafted(folder) as draft:
        draft.mkdir()
        ledger, share = Ledger(), TwoSided(stream.chain, stream.session)
        kept = 0
        with pq.ParquetWriter(draft / EVENTS, schema.EVENT_SCHEMA, compression="zstd") as out:
            for block in _groups(ordered(stream.blocks(ledger, progress), draft)):
                share.add(block)
                kept += int((block["kind"] != Kind.STATUS).sum())
                out.write_table(_columns(block))
        pq.write_table(
            schema.chain_table(stream.chain, stream.open_interest), draft / CHAIN,
            compression="zstd",
        )  # fmt: skip
        day = MarketDay(
            chain=stream.chain, session=stream.session, events=empty(0), bar_ns=stream.bar_ns,
            quality=quality(stream, ledger, share, kept), sources=stream.sources,
            open_interest=stream.open_interest,
        )  # fmt: skip
        _seal(draft, day)
    return day


@contextlib.contextmanager
def drafted(target: Path) -> Iterator[Path]:
    """A free name beside `target`; what is made there is moved to it, or removed after an error.

    Raises
    ------
    UsageError
        `target` exists.
    """
    if target.exists():
        raise UsageError(f"{target} exists: name another place or remove it")
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.parent / f".{target.name}-{os.getpid()}.draft"
    try:
        yield draft
        draft.rename(target)
    finally:
        if draft.is_dir():
            shutil.rmtree(draft)
        else:
            draft.unlink(missing_ok=True)


def _groups(blocks: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    """The same events in blocks of exactly `GROUP_ROWS`, so that the bytes depend on them alone."""
    held: list[np.ndarray] = []
    size = 0
    for block in blocks:
        held.append(block)
        size += block.size
        while size >= GROUP_ROWS:
            whole = np.concatenate(held)
            yield whole[:GROUP_ROWS]
            held, size = [whole[GROUP_ROWS:]], size - GROUP_ROWS
    if size:
        yield np.concatenate(held)


def _columns(events: np.ndarray) -> pa.Table:
    return pa.table(
        [np.ascontiguousarray(events[name]) for name in schema.EVENT_FIELDS], schema.EVENT_SCHEMA
    )


def _seal(folder: Path, day: MarketDay) -> None:
    """Write day.json over the two tables: from now on the folder is a stored day."""
    hashes = {}
    for name in (EVENTS, CHAIN):
        with (folder / name).open("rb") as stream:
            hashes[name] = hashlib.file_digest(stream, "sha256").hexdigest()
    text = json.dumps(_header(day, hashes), indent=1, sort_keys=True, allow_nan=False)
    (folder / DAY).write_text(text + "\n", encoding="utf-8")


def is_stored(folder: Path) -> bool:
    """Whether `folder` holds, or was meant to hold, a stored day."""
    return (folder / DAY).is_file() or (folder / EVENTS).is_file()


def read(folder: Path) -> MarketDay:
    """The day stored in `folder`; its sources are its own three files.

    Raises
    ------
    DataError
        A file is missing, truncated, altered, or its schema is not ours (names file and column).
    """
    head, head_sha = _head(folder)
    try:
        hashes = head["sha256"]
        events = _table(folder, EVENTS, schema.EVENT_SCHEMA, hashes[EVENTS])
        day = _without_events(folder, head, head_sha)
        return dataclasses.replace(day, events=_events(events, len(day.chain)))
    except DataError:
        raise
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise DataError(f"lacks or misstates {error}", file=DAY, remedy=WRITE_AGAIN) from None


def feed(folder: Path) -> Feed:
    """The day stored in `folder` in blocks, so that it may be larger than memory; else as `read`.

    The hash of the events is checked before the first of them is handed out.
    """
    head, head_sha = _head(folder)
    try:
        day = _without_events(folder, head, head_sha)
        path = folder / EVENTS
        rows = _checked_file(path, head["sha256"][EVENTS])
    except DataError:
        raise
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise DataError(f"lacks or misstates {error}", file=DAY, remedy=WRITE_AGAIN) from None
    one = FeedDay(day.session, partial(_blocks, path, len(day.chain)), rows, day.quality)
    return Feed(day.chain, (one,), day.bar_ns, day.sources, day.open_interest, day.simulated)


def _without_events(folder: Path, head: dict[str, Any], head_sha: str) -> MarketDay:
    """Everything of a stored day but its events. KeyError, TypeError: day.json is not as it was."""
    hashes = head["sha256"]
    options = _table(folder, CHAIN, schema.CHAIN_SCHEMA, hashes[CHAIN])
    under = _typed(Underlying, head["underlying"])
    quality = head["quality"]
    share = quality["two_sided_share"]
    return MarketDay(
        chain=schema.chain_from(options, under, head["slice_start"]),
        session=_typed(Session, head["session"]),
        events=empty(0),
        bar_ns=int(head["bar_ns"]),
        quality=DataQuality(
            rows=int(quality["rows"]),
            quarantined=dict(quality["quarantined"]),
            two_sided_share=math.nan if share is None else float(share),
            notes=tuple(quality["notes"]),
        ),
        sources=((CHAIN, hashes[CHAIN]), (DAY, head_sha), (EVENTS, hashes[EVENTS])),
        open_interest=schema.column(options, "open_interest") if head["open_interest"] else None,
        simulated=bool(head["simulated"]),
    )


def _checked_file(path: Path, sha256: str) -> int:
    """Rows of the events on disk; DataError when they are not those that were stored."""
    try:
        with pq.ParquetFile(path) as source:
            schema.check(source.schema_arrow, schema.EVENT_SCHEMA, EVENTS)
            meta = source.metadata
            groups = [meta.row_group(i) for i in range(meta.num_row_groups)]
        with path.open("rb") as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
    except DataError:
        raise
    except FileNotFoundError:
        raise DataError(f"is missing from {path.parent}", file=EVENTS, remedy=WRITE_AGAIN) from None
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise DataError(
            f"truncated or corrupt Parquet: {reason}", file=EVENTS, remedy=WRITE_AGAIN
        ) from None
    if found != sha256:
        raise DataError("is not the file that was stored", file=EVENTS, remedy=WRITE_AGAIN)
    row_bytes = 8 * len(schema.EVENT_FIELDS)
    if any(max(g.total_byte_size, g.num_rows * row_bytes) > MAX_GROUP_BYTES for g in groups):
        what = f"a row group unpacks to more than {MAX_GROUP_BYTES >> 20} MiB"
        raise DataError(what, file=EVENTS, remedy=WRITE_AGAIN)
    return int(meta.num_rows)


def _blocks(path: Path, n: int) -> Iterator[np.ndarray]:
    """The events on disk, a block at a time; DataError as `read`."""
    row, last = 0, None
    with pq.ParquetFile(path, pre_buffer=False) as source:
        for batch in source.iter_batches(batch_size=BLOCK, use_threads=False):
            events = _events(pa.Table.from_batches([batch]), n, row)
            if last is not None and events.size and events["ts_event_ns"][0] < last:
                raise DataError(
                    "column ts_event_ns goes back", file=EVENTS, row=row + 1, remedy=WRITE_AGAIN
                )
            row += events.size
            last = events["ts_event_ns"][-1] if events.size else last
            yield events


def title(folder: Path) -> tuple[tuple[str, ...], str]:
    """Names that a stored day answers to (roots, then the underlying), and its trade date."""
    head, _ = _head(folder)
    try:
        return (*head["roots"], head["underlying"]["symbol"]), str(head["session"]["date"])
    except (KeyError, TypeError) as error:
        raise DataError(f"lacks or misstates {error}", file=DAY, remedy=WRITE_AGAIN) from None


def _head(folder: Path) -> tuple[dict[str, Any], str]:
    """What day.json says, and its sha256."""
    packed = _bytes(folder, DAY)
    try:
        head = json.loads(packed)
        found = head["schema"]
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"is not a stored day: {error}", file=DAY, remedy=WRITE_AGAIN) from None
    if found != schema.DAY_SCHEMA:
        raise DataError(
            f"schema is {found!r}, expected {schema.DAY_SCHEMA!r}", file=DAY, remedy=WRITE_AGAIN
        )
    return head, hashlib.sha256(packed).hexdigest()


def _header(day: MarketDay, hashes: dict[str, str]) -> dict[str, Any]:
    session, under, quality = day.session, day.chain.underlying, day.quality
    share = quality.two_sided_share
    return {
        "schema": schema.DAY_SCHEMA,
        "sha256": hashes,
        "underlying": {name: getattr(under, name) for name in under.__slots__},
        "roots": sorted(set(day.chain.root)),
        "session": {name: getattr(session, name) for name in session.__slots__},
        "bar_ns": day.bar_ns,
        "simulated": day.simulated,
        "open_interest": day.open_interest is not None,
        "slice_start": day.chain.slice_start.tolist(),
        "quality": {
            "rows": quality.rows,
            "quarantined": quality.quarantined,
            "two_sided_share": share if math.isfinite(share) else None,
            "notes": list(quality.notes),
        },
        "origin": [{"file": file, "sha256": sha} for file, sha in day.sources],
    }


def _bytes(folder: Path, name: str) -> bytes:
    path = folder / name
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"is missing from {folder}", file=name, remedy=WRITE_AGAIN) from None
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", file=str(path)) from None


def _typed(kind: type[T], given: dict[str, Any]) -> T:
    """A dataclass of plain fields from JSON; TypeError for a field of another type."""
    for field in dataclasses.fields(kind):
        if type(given[field.name]) is not field.type:
            raise TypeError(f"{field.name} = {given[field.name]!r}")
    return kind(**given)


def _table(folder: Path, name: str, expected: pa.Schema, sha256: str) -> pa.Table:
    """A Parquet table whose schema is exactly `expected` and whose bytes are those stored.

    The schema is judged first, for a message that names the column; no data page of an altered
    file is decoded.
    """
    packed = _bytes(folder, name)
    try:
        source = pq.ParquetFile(pa.BufferReader(packed))
        schema.check(source.schema_arrow, expected, name)
        if hashlib.sha256(packed).hexdigest() != sha256:
            raise DataError("is not the file that was stored", file=name, remedy=WRITE_AGAIN)
        meta = source.metadata
        size = sum(meta.row_group(i).total_byte_size for i in range(meta.num_row_groups))
        if max(size, meta.num_rows * 8 * len(expected)) > MAX_BYTES:
            raise DataError(f"unpacks to more than {MAX_BYTES >> 30} GiB", file=name)
        return source.read()
    except DataError:
        raise
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise DataError(
            f"truncated or corrupt Parquet, {len(packed)} bytes read: {reason}",
            file=name,
            remedy=WRITE_AGAIN,
        ) from None


def _events(table: pa.Table, n: int, start: int = 0) -> np.ndarray:
    """The event array; DataError when a row would lead outside the tables or back in time.

    `start` is the number of rows before these.
    """
    out = empty(table.num_rows)
    for name in schema.EVENT_FIELDS:
        out[name] = schema.column(table, name)
    wrong = {
        "instrument": (out["instrument"] < 0) | (out["instrument"] > n),
        "kind": (out["kind"] < 0) | (out["kind"] >= len(Kind)),
        "ts_event_ns": np.diff(out["ts_event_ns"], prepend=out["ts_event_ns"][:1]) < 0,
    }
    for name, bad in wrong.items():
        if bad.any():
            row = int(np.argmax(bad))
            raise DataError(
                f"column {name} is {out[name][row]}, out of range or order",
                file=EVENTS,
                row=start + row + 1,
                remedy=WRITE_AGAIN,
            )
    return out
