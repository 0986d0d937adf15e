"""A surface written down and read back, bit for bit: JSON, Parquet, and tidy frames.

What is stored is what a `VolSurface` is made from: chain, clock, forwards, curves, scores,
certificate, judged quotes and premia; what it derives is derived again. JSON is one document.
Parquet is the tidy frame of `to_polars`, one row an option, that any reader of Parquet shows; the
columns that start with an underscore hold the exact arrays of that length, and the file's metadata
`surfaces.surface` the rest: the document below, its other arrays in it, zlib and base64. There
"frame" is the digest of the columns that people read: a file whose `vol` somebody rewrote is
refused, not read around. A pandas or polars frame alone is no surface and is not read back: it has
no place for the curves' parameters.

    {"schema": "surfaces.surface/1", "digest": sha256, "surface": tree, "arrays": [...]}

The tree names dataclasses by "is" and arrays by "array", their number; numbers JSON has no word for
are "NaN", "Infinity" and "-Infinity". A later version only adds; a reader refuses a newer schema.
Files are written beside their place and renamed, so that nobody reads half of one.
"""

import base64
import binascii
import datetime as dt
import hashlib
import json
import os
import re
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

import surfaces.smiles  # noqa: F401  puts every model on the shelf
from surfaces import storage_frames as frames
from surfaces.certificate import Certificate
from surfaces.chain_slices import ChainSlices
from surfaces.curves.clock import Event, VolClock
from surfaces.errors import InvalidInput
from surfaces.premium import PremiumSnapshot
from surfaces.smiles.base import SMILES
from surfaces.surface import QuoteTable, Scores, VolSurface

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

SCHEMA = "surfaces.surface"
VERSION = 1
KEY = b"surfaces.surface"  # of the Parquet file's metadata
KINDS: dict[str, type] = {
    kind.__name__: kind
    for kind in (
        VolSurface, ChainSlices, VolClock, Event, Scores, Certificate, QuoteTable, PremiumSnapshot,
    )
}  # fmt: skip
DTYPES = {"f8": np.float64, "i8": np.int64, "b1": np.bool_}
WORDS = {"NaN": np.nan, "Infinity": np.inf, "-Infinity": -np.inf}
Arrays = list[NDArray[Any]]


def to_json(surface: VolSurface) -> str:
    """The surface as one JSON document, strict and without whitespace."""
    tree, arrays = _taken_apart(surface)
    head = {"schema": f"{SCHEMA}/{VERSION}", "digest": _digest(tree, arrays), "surface": tree}
    return _dumps(head | {"arrays": [_listed(a) for a in arrays]})


def from_json(text: str | bytes) -> VolSurface:
    """The surface of a document of `to_json`.

    Raises
    ------
    InvalidInput
        It is no such document, is damaged, is of a newer schema, or has a model not on the shelf.
    """
    return _of_json(text, "the text")


def write_json(surface: VolSurface, path: str | Path) -> None:
    """Write `to_json` to a file, whole or not at all."""
    data = to_json(surface).encode()
    _atomically(Path(path), lambda part: part.write_bytes(data))


def read_json(path: str | Path) -> VolSurface:
    """The surface of a file of `write_json`; errors as `from_json`."""
    return _of_json(Path(path).read_bytes(), str(path))


def _of_json(text: str | bytes, where: str) -> VolSurface:
    head = _head(text, where)
    arrays = [_unlisted(one, f"{where}: array {i}") for i, one in _stored(head, where)]
    return _restored(head, arrays, where)


def to_polars(surface: VolSurface) -> "pl.DataFrame":
    """One row an option of the chain, in its order; one column a number a desk asks for.

    `expiry` and `root` as the chain labels them (text where labels are of several kinds);
    `fixing_ns` UTC; `years` ACT/365; `strike`, `forward`, `premium` (early exercise, at the
    surface's spot) in USD; `k` = ln(strike/forward); `vol` and its standard error `vol_error`
    decimals; `certified`: free of static arbitrage there.
    """
    import polars as pl

    return pl.DataFrame(frames.tidy(surface))


def to_pandas(surface: VolSurface) -> "pd.DataFrame":
    """`to_polars` as a pandas frame."""
    import pandas as pd

    return pd.DataFrame(frames.tidy(surface))


def to_parquet(surface: VolSurface, path: str | Path) -> None:
    """Write the tidy frame with all else that the surface is made from, whole or not at all."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    tree, arrays = _taken_apart(surface)
    n = len(surface.chain)
    as_column = [a.shape == (n,) for a in arrays]
    tidy = pa.table(frames.tidy(surface))
    table = tidy
    for i, (a, there) in enumerate(zip(arrays, as_column, strict=True)):
        table = table.append_column(f"_{i}", pa.array(a)) if there else table
    kept = [None if c else _listed(a) for a, c in zip(arrays, as_column, strict=True)]
    head = {"schema": f"{SCHEMA}/{VERSION}", "digest": _digest(tree, arrays), "surface": tree}
    head |= {"frame": frames.digest(tidy), "arrays": kept}
    packed = base64.b64encode(zlib.compress(_dumps(head).encode()))

    def write(part: Path) -> None:
        with pq.ParquetWriter(
            part, table.schema, compression="zstd", write_page_checksum=True
        ) as writer:
            writer.write_table(table)
            writer.add_key_value_metadata({KEY: packed})  # in the schema it would be there twice

    _atomically(Path(path), write)


def from_parquet(path: str | Path) -> VolSurface:
    """The surface of a file of `to_parquet`; errors as `from_json`, OSError if it cannot be opened.

    A change to any column is refused, to the tidy ones as well.
    """
    import pyarrow as pa

    data = Path(path).read_bytes()  # here, so that an OSError below is the content's
    try:
        return _of_parquet(data, str(path))
    except InvalidInput:
        raise
    except (pa.ArrowException, OSError, LookupError, ValueError, TypeError, OverflowError) as error:
        said = " ".join(str(error).split())
        raise InvalidInput(
            f"{path} is not a Parquet file or is damaged ({said:.160}); write it again from the "
            "surface"
        ) from None


def _of_parquet(data: bytes, where: str) -> VolSurface:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pq.ParquetFile(pa.BufferReader(data), page_checksum_verification=True) as file:
        table, stored = file.read(), (file.metadata.metadata or {}).get(KEY)
    if stored is None:
        raise InvalidInput(
            f"{where} is a Parquet file without a stored surface; write one with to_parquet"
        )
    try:
        head = _head(zlib.decompress(base64.b64decode(stored, validate=True)), where)
    except (zlib.error, binascii.Error) as error:
        raise InvalidInput(f"{where} is damaged: its metadata is no document ({error})") from None
    arrays, hidden = [], []
    for i, one in _stored(head, where):
        if one is not None:
            arrays.append(_unlisted(one, f"{where}: array {i}"))
            continue
        name = f"_{i}"
        if table.column_names.count(name) != 1:
            raise InvalidInput(f"{where} has lost its column {name!r}; write it again")
        arrays.append(table[name].to_numpy(zero_copy_only=False))
        hidden.append(name)
    if frames.digest(table.drop_columns(hidden)) != head.get("frame"):
        raise InvalidInput(
            f"{where} is damaged or was edited: its digest is not that of its columns; write it "
            "again from the surface"
        )
    return _restored(head, arrays, where)


def _taken_apart(surface: VolSurface) -> tuple[Any, Arrays]:
    """A tree of plain values, and the arrays it names by number."""
    arrays: Arrays = []

    def plain(value: Any, where: str) -> Any:
        if value is None or isinstance(value, bool | str):
            return value
        if isinstance(value, np.ndarray):
            arrays.append(_canonical(value))
            return {"array": len(arrays) - 1}
        if isinstance(value, np.datetime64):
            return {"datetime64": str(value), "unit": np.datetime_data(value.dtype)[0]}
        if isinstance(value, np.generic):
            value = value.item()
        if isinstance(value, bool | str):
            return value
        if isinstance(value, int | float):
            return _number(value)
        if is_dataclass(value) and type(value).__name__ in KINDS:
            made = {f.name: getattr(value, f.name) for f in fields(value) if f.init}
            inner = {name: plain(v, f"{where}.{name}") for name, v in made.items()}
            return {"is": type(value).__name__, "fields": inner}
        if isinstance(value, tuple):
            return [plain(v, f"{where}[{i}]") for i, v in enumerate(value)]
        if isinstance(value, frozenset):
            return {"dates": sorted(day.isoformat() for day in value)}
        if isinstance(value, dict):
            return {"counts": {str(k): int(v) for k, v in value.items()}}
        if isinstance(value, dt.datetime):
            return {"datetime": value.isoformat()}
        if isinstance(value, dt.date):
            return {"date": value.isoformat()}
        raise InvalidInput(
            f"{where} is a {type(value).__name__}, which has no place in a file; label expiries "
            "with dates, text or numbers"
        )

    return plain(surface, "surface"), arrays


def _put_together(tree: Any, arrays: Arrays) -> Any:
    """The value of a tree; KeyError, TypeError, ValueError or IndexError where it makes none."""
    if isinstance(tree, list):
        return tuple(_put_together(v, arrays) for v in tree)
    if not isinstance(tree, dict):
        return WORDS.get(tree, tree) if isinstance(tree, str) and tree in WORDS else tree
    if "array" in tree:
        return arrays[tree["array"]]
    if "is" in tree:
        kind = KINDS[tree["is"]]
        known = {f.name for f in fields(kind) if f.init}
        made = {k: _put_together(v, arrays) for k, v in tree["fields"].items() if k in known}
        return kind(**made)
    if "number" in tree:
        return WORDS[tree["number"]]
    if "counts" in tree:
        return dict(tree["counts"])
    if "dates" in tree:
        return frozenset(dt.date.fromisoformat(day) for day in tree["dates"])
    if "datetime64" in tree:
        return np.datetime64(tree["datetime64"], tree["unit"])
    if "datetime" in tree:
        return dt.datetime.fromisoformat(tree["datetime"])
    return dt.date.fromisoformat(tree["date"])


def _stored(head: dict[str, Any], where: str) -> list[tuple[int, Any]]:
    """The document's arrays with their numbers."""
    listed = head.get("arrays", [])
    if not isinstance(listed, list):
        raise InvalidInput(f"{where} is damaged: its arrays are {listed!r:.40}, must be a list")
    return list(enumerate(listed))


def _no_number(word: str) -> Any:
    raise ValueError(f"{word} is no JSON")


def _head(text: str | bytes, where: str) -> dict[str, Any]:
    """The document, its schema known to this version."""
    try:
        head = json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"{where} is not JSON or is cut off: {error}") from None
    schema = head.get("schema") if isinstance(head, dict) else None
    name, _, number = str(schema).partition("/")
    if name != SCHEMA or not re.fullmatch("[0-9]{1,9}", number):
        raise InvalidInput(f"{where} is no stored surface: its schema is {schema!r:.40}")
    if int(number) > VERSION:
        raise InvalidInput(
            f"{where} has the schema {schema}, this version reads up to {SCHEMA}/{VERSION}; "
            "upgrade, or write it again with the older version"
        )
    return head


def _restored(head: dict[str, Any], arrays: Arrays, where: str) -> VolSurface:
    try:
        tree = head["surface"]
        if _digest(tree, arrays) != head["digest"]:
            raise InvalidInput(
                f"{where} is damaged or was edited: its digest is not that of its content; write "
                "it again from the surface"
            )
        models = {m for m in tree["fields"]["models"] if m}
        if missing := sorted(models - set(SMILES)):
            raise InvalidInput(
                f"{where} has the model {missing[0]!r}, which is not on the shelf; import the "
                "module that registers it first"
            )
        surface = _put_together(tree, arrays)
    except InvalidInput:
        raise
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise InvalidInput(f"{where} is damaged: {type(error).__name__} {error}") from None
    if not isinstance(surface, VolSurface):
        raise InvalidInput(f"{where} holds no surface")
    return surface


def _canonical(array: NDArray[Any]) -> NDArray[Any]:
    """A copy in one of three types, every NaN the same bits."""
    kind = {"f": np.float64, "i": np.int64, "u": np.int64, "b": np.bool_}[array.dtype.kind]
    out: NDArray[Any] = np.array(array, kind, order="C")
    if kind is np.float64:
        out[np.isnan(out)] = np.nan
    return out


def _listed(array: NDArray[Any]) -> dict[str, Any]:
    data = array.ravel().tolist()
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        data = [v if np.isfinite(v) else _word(v) for v in data]
    return {"dtype": array.dtype.str[1:], "shape": list(array.shape), "data": data}


def _unlisted(one: Any, where: str) -> NDArray[Any]:
    try:
        kind = DTYPES[one["dtype"]]
        data = [WORDS[v] if isinstance(v, str) else v for v in one["data"]]
        return np.array(data, kind).reshape(one["shape"])
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise InvalidInput(f"{where} is damaged: {type(error).__name__} {error}") from None


def _number(value: float) -> Any:
    if isinstance(value, float) and not np.isfinite(value):
        return {"number": _word(value)}
    return value


def _word(value: float) -> str:
    return "NaN" if np.isnan(value) else "Infinity" if value > 0.0 else "-Infinity"


def _digest(tree: Any, arrays: Arrays) -> str:
    """sha256 of the tree and of every array's type, shape and little-endian bytes."""
    out = hashlib.sha256(_dumps(tree).encode())
    for array in arrays:
        out.update(f"{array.dtype.str[1:]}{array.shape}".encode())
        out.update(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes())
    return out.hexdigest()


def _dumps(value: Any) -> str:
    return json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"))


def _atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Write beside `path`, then rename: a reader sees the old file or the new one."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        write(part)
        with open(part, "rb") as file:
            os.fsync(file.fileno())
        os.replace(part, path)
    except BaseException:
        with suppress(OSError):
            part.unlink()
        raise
