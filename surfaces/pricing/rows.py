"""Where results are written: the rows wanted of a block kernel, the caller's own array, a chain."""

import math
from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from surfaces import checks as check
from surfaces.errors import InvalidInput
from surfaces.kernels import black_lanes as kernel
from surfaces.pricing.greeks import NAMES, Floats


@cache
def where(names: tuple[str, ...]) -> NDArray[np.int64]:
    """For each of NAMES the row of the output that holds it, or -1; not to be written to."""
    rows = np.full(len(NAMES), -1, np.int64)
    for row, name in enumerate(names):
        rows[NAMES.index(name)] = row
    return rows


def target(out: Floats | None, rows: int, shape: tuple[int, ...]) -> Floats:
    """An array of shape (rows, size) to fill: the caller's `out`, or a new one.

    Raises
    ------
    InvalidInput
        If `out` is not a writable, C-contiguous float64 array of shape (rows, *shape); for one row
        `shape` will do.
    """
    size = math.prod(shape)
    if out is None:
        return np.empty((rows, size))
    given = np.asarray(out)
    fits = given.shape == (rows, *shape) or (rows == 1 and given.shape == shape)
    sound = given is out and given.dtype == np.float64 and given.flags.carray
    if not (fits and sound):
        raise InvalidInput(
            f"out has shape {given.shape} and type {given.dtype}, must be a writable C-contiguous "
            f"float64 array of shape {(rows, *shape)}"
        )
    return given.reshape(rows, size)


def bounds(slices: ArrayLike, size: int, expiries: int | None) -> NDArray[np.int64]:
    """Row bounds of a chain's expiries: (m + 1,) integers that rise from 0 to the row count.

    `expiries` is the length of the per-expiry arguments, None if they are all numbers.
    """
    raw = np.asarray(slices)
    if raw.ndim != 1 or raw.size < 1 or raw.dtype.kind not in "iu":
        raise InvalidInput(
            f"slices has shape {raw.shape} and type {raw.dtype}, must be integers of shape (m + 1,)"
        )
    edges = raw.astype(np.int64)
    if edges[0] != 0 or edges[-1] != size or np.any(np.diff(edges) < 0):
        raise InvalidInput(
            f"slices runs from {edges[0]} to {edges[-1]}, must rise from 0 to the {size} rows"
        )
    if expiries is not None and expiries != edges.size - 1:
        raise InvalidInput(
            f"slices bounds {edges.size - 1} expiries, the arguments of an expiry have {expiries}"
        )
    return edges


def run(
    spot: int,
    options: tuple[Floats, Floats, Floats],
    expiry: tuple[Floats, Floats, Floats, Floats],
    slices: ArrayLike | None,
    names: Sequence[str],
    out: Floats | None,
) -> tuple[tuple[int, ...], Floats, bool]:
    """(shape, one row a name, whether all arguments were valid) from the block kernel.

    `options` are right, strike and vol; `expiry` underlying, years, and then discount factor and
    nothing or, with `spot` = 1, rate and yield: one value an expiry if there are `slices`.
    """
    scratch = np.empty((kernel.ROWS, kernel.BLOCK))
    if slices is None:
        shape, columns = check.lanes(*options, *expiry)
        size = math.prod(shape)
        edges = np.array((0, size), np.int64)
    else:
        shape, columns = check.lanes(*options)
        if len(shape) > 1:
            raise InvalidInput(f"a chain is one-dimensional, its arguments have shape {shape}")
        size = shape[0] if shape else 1
        dates, more = check.lanes(*expiry)
        if len(dates) > 1:
            raise InvalidInput(f"the arguments of an expiry have shape {dates}, must be (m,)")
        edges = bounds(slices, size, dates[0] if dates else None)
        columns += more
    found = target(out, len(names), shape)
    if out is not None and any(np.may_share_memory(found, a) for a in columns):
        raise InvalidInput("out shares memory with an argument; give the result its own array")
    chain = 0 if slices is None else 1
    fine = kernel.fill(spot, chain, *columns, edges, where(tuple(names)), scratch, found)
    return shape, found, fine
