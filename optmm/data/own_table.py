"""Our own table of quotes: one Parquet file of any number of chains, `optmm.quotes/1`.

Its columns are those of `quote_rows.ROWS` without the reason; rows that could not be used are not
in it but counted in the file's metadata, with the name and hash of what it was made of.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from optmm.data.formats import Context, register
from optmm.data.quote_rows import ROWS
from optmm.data.snapshot import Snapshot
from optmm.errors import DataError

SCHEMA = "optmm.quotes/1"
KEY = b"optmm"
COLUMNS = {name: kind for name, kind in ROWS.items() if name != "reason"}
_TYPES = {
    pl.Int64: pa.int64(), pl.String: pa.string(), pl.Date: pa.date32(), pl.Float64: pa.float64(),
    pl.Int8: pa.int8(),
}  # fmt: skip
ARROW = pa.schema([pa.field(name, _TYPES[kind]) for name, kind in COLUMNS.items()])


@dataclass(frozen=True, slots=True)
class OwnTable:
    """What `Writer` wrote."""

    name: str = "optmm table of quotes"
    tape: bool = False
    has_days: bool = True
    notes: tuple[str, ...] = ()

    def recognises(self, columns: Sequence[str]) -> bool:
        return {"ts", "underlying", "spot_bid", "strike", "bid", "ask"} <= set(columns)

    def timed(self, columns: Sequence[str]) -> bool:
        return True

    def rows(self, frame: pl.DataFrame, context: Context) -> pl.DataFrame:
        for name, kind in COLUMNS.items():
            if name not in frame.columns or frame.schema[name] != kind:
                found = frame.schema.get(name, "absent")
                raise DataError(
                    f"column {name} is {found}, expected {kind()}",
                    file=context.file, remedy="Convert it again from its source.",
                )  # fmt: skip
        return frame


register(OwnTable())


class Writer:
    """Writes chunks of judged rows; the file is whole after `close`."""

    def __init__(self, path: Path) -> None:
        self._out = pq.ParquetWriter(path, ARROW, compression="zstd")
        self.rows = 0

    def write(self, rows: pl.DataFrame) -> None:
        """Rows without a reason; they lose the column."""
        if rows.height:
            table = rows.select(list(COLUMNS)).to_arrow().cast(ARROW)
            self._out.write_table(table)
            self.rows += rows.height

    def close(self, about: dict[str, Any]) -> None:
        """Finish the file; `about` is JSON-ready."""
        text = json.dumps({"schema": SCHEMA} | about, sort_keys=True)
        self._out.add_key_value_metadata({KEY: text.encode()})
        self._out.close()


def about(path: Path) -> dict[str, Any]:
    """What a table says of its making; {} where it says nothing."""
    found = (pq.read_metadata(path).metadata or {}).get(KEY)
    return {} if found is None else json.loads(found)


def of_snapshot(found: Snapshot) -> pl.DataFrame:
    """One chain as rows."""
    quotes = found.quotes
    sizes = {n: pl.col(n) if n in quotes.columns else None for n in ("bid_size", "ask_size")}
    frame = quotes.with_columns(
        ts=pl.lit(found.valuation_ns), underlying=pl.lit(found.underlying),
        kind=pl.lit(found.kind), spot_bid=pl.lit(found.bid), spot_ask=pl.lit(found.ask),
        spot=pl.lit(found.last), low=None, high=None, volume=None, vol=None, **sizes,
    )  # fmt: skip
    frame = frame.select(pl.col(name).cast(kind) for name, kind in COLUMNS.items())
    prices = ("bid", "ask", "spot_bid", "spot_ask", "spot")
    return frame.with_columns(pl.col(prices).fill_nan(None))
