"""What a run leaves behind: fills with their markouts, quote messages in sealed segments, tables.

docs/run_folder.md has every file and column. The manifest says `complete: false` until the last
file is written, so that a folder that was interrupted can never pass for a finished run.
"""

import hashlib
import json
import os
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from optmm.engine.journal import Journal
from optmm.market.chain import Chain

E9 = 1_000_000_000
HORIZONS_S = (60, 300)
SEGMENT_ROWS = 200_000
WAITING = 4  # segments that may wait to be written
QUOTE_COLUMNS = (
    ("ts_ns", np.int64), ("instrument", np.int32), ("side", np.int8), ("px_e9", np.int64),
    ("lots", np.int64), ("why", np.int32),
)  # fmt: skip
FILL_SCHEMA = {
    "bound": pl.String, "seq": pl.Int64, "ts_ns": pl.Int64, "instrument": pl.Int32,
    "symbol": pl.String, "kind": pl.String, "side": pl.Int8, "lots": pl.Int64, "px_e9": pl.Int64,
    "multiplier": pl.Int64, "fee_e9": pl.Int64, "mark_e9": pl.Int64, "spot_e9": pl.Int64,
    "delta": pl.Float64, "vega": pl.Float64, "bid_e9": pl.Int64, "ask_e9": pl.Int64,
    "own_lots": pl.Int64, "mark_60s_e9": pl.Int64, "spot_60s_e9": pl.Int64,
    "mark_300s_e9": pl.Int64, "spot_300s_e9": pl.Int64, "picked_off": pl.Boolean,
}  # fmt: skip
# of a fill; its time is the time of its row
JOURNALED = (
    "seq", "instrument", "kind", "side", "lots", "px_e9", "multiplier", "fee_e9", "mark_e9",
    "spot_e9",
)  # fmt: skip


class FillLog:
    """Fills of one world in time order, each waiting for its markouts."""

    def __init__(self, bound: str, chain: Chain) -> None:
        self._bound, self._chain = bound, chain
        self._n = len(chain)
        self.rows: list[dict] = []
        self._next = dict.fromkeys(HORIZONS_S, 0)

    def __len__(self) -> int:
        return len(self.rows)

    def add(self, *, instrument: int, **columns: object) -> None:
        """Append a fill; its symbol, multiplier and seq follow from the chain and the order."""
        chain = self._chain
        option = instrument < self._n
        unit = int(chain.multiplier[instrument]) if option else chain.underlying.multiplier
        self.rows.append(
            {
                "bound": self._bound,
                "seq": len(self.rows) + 1,
                "instrument": instrument,
                "symbol": chain.symbol[instrument] if option else chain.underlying.symbol,
                "multiplier": unit,
                **columns,
            }
        )  # fmt: skip

    def last_payload(self) -> dict:
        """The journal's view of the newest fill: integers and its kind."""
        return {name: self.rows[-1][name] for name in JOURNALED}

    def capture(self, now_ns: int | None, marks_e9: np.ndarray) -> None:
        """Give fills whose horizon has passed the marks of now; None is the close: all of them."""
        for seconds in HORIZONS_S:
            at = self._next[seconds]
            while at < len(self.rows):
                row = self.rows[at]
                if now_ns is not None and row["ts_ns"] + seconds * E9 > now_ns:
                    break
                row[f"mark_{seconds}s_e9"] = int(marks_e9[row["instrument"]])
                row[f"spot_{seconds}s_e9"] = int(marks_e9[-1])
                at += 1
            self._next[seconds] = at

    def frame(self) -> pl.DataFrame:
        """fills.parquet's rows of this world."""
        return (
            pl.DataFrame(self.rows, schema=FILL_SCHEMA, orient="row")
            if self.rows
            else pl.DataFrame(schema=FILL_SCHEMA)
        )


class QuoteLog:
    """Quote messages of one world, written as row groups and sealed in its journal."""

    def __init__(self, bound: str, writer: "QuoteWriter", journal: Journal) -> None:
        self._bound, self._writer, self._journal = bound, writer, journal
        self._parts: list[dict[str, np.ndarray]] = []
        self._span = (0, 0)  # first and last event of what is pending
        self._rows = self.count = self._segments = 0

    def add(self, acts: np.ndarray) -> None:
        """Keep the columns of act rows; a full segment is written and sealed."""
        if acts.size == 0:
            return
        first, last = int(acts["event"][0]), int(acts["event"][-1])
        self._span = (self._span[0] if self._parts else first, last)
        self._parts.append({name: acts[name].astype(kind) for name, kind in QUOTE_COLUMNS})
        self._rows += acts.size
        self.count += acts.size
        if self._rows >= SEGMENT_ROWS:
            self.seal(self._journal, int(acts["ts_ns"][-1]))

    def seal(self, journal: Journal, ts_ns: int) -> None:
        """Write what is pending as one segment; the journal keeps its range, count and digest."""
        if not self._parts:
            return
        columns = {
            name: np.concatenate([part[name] for part in self._parts]) for name, _ in QUOTE_COLUMNS
        }
        rows = self._rows
        self._parts, self._rows = [], 0
        self._writer.write(self._bound, columns)
        self._segments += 1
        journal.append(
            ts_ns, "seal",
            {
                "segment": self._segments, "rows": rows,
                "first_event": self._span[0], "last_event": self._span[1],
                "sha256": quote_digest(columns),
            },
        )  # fmt: skip


def quote_digest(columns: dict[str, np.ndarray]) -> str:
    """sha256 over the columns of a segment, in the order and types of `QUOTE_COLUMNS`."""
    digest = hashlib.sha256()
    for name, kind in QUOTE_COLUMNS:
        digest.update(np.ascontiguousarray(columns[name], kind).tobytes())
    return digest.hexdigest()


class QuoteWriter:
    """quotes.parquet: row groups of all worlds, in the order they fill up.

    Compression runs beside the replay in one thread of its own, which keeps that order.
    """

    def __init__(self, path: Path) -> None:
        fields = [pa.field("bound", pa.string())]
        fields += [pa.field(name, pa.from_numpy_dtype(kind)) for name, kind in QUOTE_COLUMNS]
        self._schema = pa.schema(fields)
        self._writer = pq.ParquetWriter(path, self._schema, compression="zstd")
        self._thread = ThreadPoolExecutor(max_workers=1)
        self._written: list[Future[None]] = []

    def write(self, bound: str, columns: dict[str, np.ndarray]) -> None:
        """Append one row group."""
        rows = len(columns["ts_ns"])
        arrays = [pa.array([bound] * rows, pa.string())]
        arrays += [pa.array(columns[name]) for name, _ in QUOTE_COLUMNS]
        table = pa.Table.from_arrays(arrays, schema=self._schema)
        while len(self._written) >= WAITING:  # a run faster than the disk waits for it
            self._written.pop(0).result()
        self._written.append(self._thread.submit(self._writer.write_table, table))

    def close(self) -> None:
        """Wait for every row group, raise what one of them raised, and write the footer."""
        self._thread.shutdown(wait=True)
        try:
            for done in self._written:
                done.result()
        finally:
            self._writer.close()


def file_digest(path: Path) -> str:
    """sha256 of a file's bytes, read in pieces: what the closing row keeps of every table."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def marks_digest(marks_e9: np.ndarray) -> str:
    """sha256 of closing marks, int64 (n + 1,) in chain order with the underlying's last."""
    return hashlib.sha256(np.ascontiguousarray(marks_e9, np.int64).tobytes()).hexdigest()


def write_json(path: Path, value: object) -> None:
    """Write JSON so that the file is either the old one or the whole new one."""
    draft = path.with_name(path.name + ".part")
    draft.write_text(json.dumps(value, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    os.replace(draft, path)


def write_frame(path: Path, frame: pl.DataFrame) -> None:
    """Write Parquet so that the file is either absent or whole."""
    draft = path.with_name(path.name + ".part")
    frame.write_parquet(draft, compression="zstd", statistics=False)
    os.replace(draft, path)
