"""The tidy columns of a surface, one row an option, and their digest in a Parquet file."""

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa

    from surfaces.surface import VolSurface


def digest(frame: "pa.Table") -> str:
    """sha256 of the columns that people read: names, types, order and every value."""
    out = hashlib.sha256()
    for name, column in zip(frame.column_names, frame.columns, strict=True):
        out.update(f"{name}:{column.type}:{len(column)}:{column.null_count};".encode())
        values = column.to_numpy(zero_copy_only=False)
        if values.dtype.kind in "fiub":
            values = np.ascontiguousarray(values, values.dtype.newbyteorder("<"))
            out.update(values.tobytes())
        else:
            out.update("".join(f"{v!r};" for v in column.to_pylist()).encode())
    return out.hexdigest()


def tidy(surface: "VolSurface") -> dict[str, Any]:
    """The columns of `surfaces.storage.to_polars`."""
    chain, of = surface.chain, surface.chain.slice_of
    n, labels = len(chain), _labels(chain.expiry_labels)
    return {
        "ts_ns": np.full(n, surface.ts_ns),
        "version": np.full(n, surface.version),
        "spot": np.full(n, surface.spot),
        "slice": of.astype(np.int32),
        "expiry": [labels[j] for j in of],
        "root": [chain.roots[j] for j in of],
        "fixing_ns": chain.fixing_ns[of],
        "years": surface.years[of],
        "right": chain.right.astype(np.int8),
        "strike": chain.strike.copy(),
        "american": chain.american.copy(),
        "forward": surface.forwards[of],
        "df": surface.dfs[of],
        "k": np.log(chain.strike / surface.forwards[of]),
        "vol": surface.row_vol.copy(),
        "vol_error": surface.row_error.copy(),
        "certified": surface.row_certified.copy(),
        "premium": surface.premium(surface.spot)[0],
        "model": [surface.models[j] for j in of],
    }


def _labels(labels: tuple[Any, ...]) -> list[Any]:
    """Labels of one kind, as a column needs them: text if they are of several."""
    plain = [v.item() if isinstance(v, np.generic) else v for v in labels]
    return plain if len({type(v) for v in plain}) == 1 else [str(v) for v in labels]
