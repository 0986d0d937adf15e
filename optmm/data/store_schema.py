"""The columns of a stored day, and a chain as a table and back."""

import numpy as np
import pyarrow as pa

from optmm.errors import DataError
from optmm.market.chain import Chain, Underlying
from optmm.market.events import MARKET_EVENT

DAY_SCHEMA = "optmm.day/1"

EVENT_FIELDS = MARKET_EVENT.names or ()
EVENT_SCHEMA = pa.schema(
    [pa.field(n, pa.from_numpy_dtype(MARKET_EVENT[n]), nullable=False) for n in EVENT_FIELDS]
)

_TEXT = ("symbol", "root")
_ARRAYS: dict[str, pa.DataType] = {
    "right": pa.int8(),
    "strike_e9": pa.int64(),
    "expiry": pa.date32(),
    "last_trade_ns": pa.int64(),
    "fixing_ns": pa.int64(),
    "exercise_ns": pa.int64(),
    "american": pa.bool_(),
    "physical": pa.bool_(),
    "am_settled": pa.bool_(),
    "multiplier": pa.int64(),
    "tick_split_e9": pa.int64(),
    "tick_below_e9": pa.int64(),
    "tick_above_e9": pa.int64(),
    "slice_of": pa.int32(),
}
CHAIN_SCHEMA = pa.schema(
    [
        *(pa.field(name, pa.string(), nullable=False) for name in _TEXT),
        *(pa.field(name, kind, nullable=False) for name, kind in _ARRAYS.items()),
        pa.field("open_interest", pa.int64(), nullable=False),  # -1 unknown
    ]
)


def check(found: pa.Schema, expected: pa.Schema, file: str) -> None:
    """DataError for the first column that is missing, of another type, or not ours."""
    for field in expected:
        if field.name not in found.names:
            raise DataError(f"has no column {field.name}", file=file, remedy=_REMEDY)
        kind = found.field(field.name).type
        if kind != field.type:
            raise DataError(
                f"column {field.name} is {kind}, expected {field.type}", file=file, remedy=_REMEDY
            )
    extra = [name for name in found.names if name not in expected.names]
    if extra:
        raise DataError(f"column {extra[0]} is not ours", file=file, remedy=_REMEDY)


_REMEDY = "It was written by another version; write the day again from its source."


def chain_table(chain: Chain, open_interest: np.ndarray | None) -> pa.Table:
    """The chain as a table of `CHAIN_SCHEMA`."""
    unknown = np.full(len(chain), -1, np.int64)
    columns = [
        *(list(getattr(chain, name)) for name in _TEXT),
        *(getattr(chain, name) for name in _ARRAYS),
        unknown if open_interest is None else open_interest,
    ]
    arrays = [pa.array(c, f.type) for c, f in zip(columns, CHAIN_SCHEMA, strict=True)]
    return pa.table(arrays, CHAIN_SCHEMA)


def chain_from(table: pa.Table, underlying: Underlying, slice_start: list[int]) -> Chain:
    """The chain of a table of `CHAIN_SCHEMA`; DataError when its slices do not fit its rows."""
    arrays = {name: column(table, name) for name in _ARRAYS}
    starts = np.array(slice_start, np.int32)
    widths = np.diff(starts)
    fits = (
        starts.size > 0
        and starts[0] == 0
        and starts[-1] == table.num_rows
        and bool((widths > 0).all())
        and np.array_equal(np.repeat(np.arange(widths.size), widths), arrays["slice_of"])
    )
    if not fits:
        raise DataError(
            "column slice_of does not agree with slice_start of day.json",
            file="chain.parquet",
            remedy=_REMEDY,
        )
    symbol, root = (tuple(table.column(name).to_pylist()) for name in _TEXT)
    return Chain(underlying=underlying, symbol=symbol, root=root, slice_start=starts, **arrays)


def column(table: pa.Table, name: str) -> np.ndarray:
    """A column as an owned, writable numpy array of its exact dtype; DataError on a null."""
    values = table.column(name)
    if values.null_count:
        raise DataError(f"column {name} has {values.null_count} nulls", file="a stored table")
    return np.array(values.to_numpy())
