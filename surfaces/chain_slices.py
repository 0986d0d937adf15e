"""The chain that a surface is for: rows of options, grouped by expiry and settlement class."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from surfaces import checks as check
from surfaces.errors import InvalidInput
from surfaces.instants import within

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ChainSlices:
    """The rows a surface is for, in chain order (n,), grouped in m slices by `slice_start` (m+1,).

    `right` +1 call, -1 put; `strike` USD; `american`; `fixing_ns` (m,) or (n,): the end of
    optionality. `expiry_labels` and `roots` (m,) are only repeated in reports.

    Quotes given to the fitter are rows of this chain in this order, whatever order that is; of
    quotes in a frame `surfaces.fitting.chain_of` makes the chain, and the order that puts rows of
    the frame into it.
    """

    right: Array
    strike: Array
    american: NDArray[np.bool_]
    fixing_ns: NDArray[np.int64]
    slice_start: NDArray[np.int64]
    expiry_labels: tuple[Any, ...]
    roots: tuple[str, ...]
    slice_of: NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        strike = check.above("strike", self.strike, 0.0, unit="USD", hint="Drop such contracts.")
        n = strike.size
        starts = _starts(self.slice_start, n)
        m = starts.size - 1
        values: dict[str, Any] = {
            "right": check.right(self.right),
            "strike": np.array(strike),
            "american": np.array(check.flags("american", self.american)),
            "expiry_labels": tuple(self.expiry_labels),
            "roots": tuple(str(r) for r in self.roots),
        }
        for name, value in values.items():
            size, per = (m, "slice") if isinstance(value, tuple) else (n, "row")
            if np.shape(value)[:1] != (size,) or getattr(value, "ndim", 1) != 1:
                raise InvalidInput(
                    f"{name} has {_size(value)} entries for {n} rows in {m} slices; give one a "
                    f"{per}, {size}"
                )
        values |= {
            "fixing_ns": _fixings(self.fixing_ns, starts),
            "slice_start": starts,
            "slice_of": np.repeat(np.arange(m), np.diff(starts)),
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def __len__(self) -> int:
        return self.strike.size

    def __repr__(self) -> str:
        m, roots = self.slices, ", ".join(dict.fromkeys(r for r in self.roots if r))
        first, last = (
            np.datetime64(int(t) // 10**9, "s") for t in np.sort(self.fixing_ns)[[0, -1]]
        )
        return (
            f"<ChainSlices {f'{roots:.40}, ' if roots else ''}{len(self)} options in {m} slices, "
            f"strikes {self.strike.min():g} to {self.strike.max():g}, fixing {first}Z to {last}Z>"
        )

    @property
    def slices(self) -> int:
        """Number of slices, m."""
        return self.slice_start.size - 1

    def numbered(self, j: int) -> int:
        """`j` if it is the number of a slice, 0 to m-1, else InvalidInput."""
        whole = isinstance(j, int | np.integer) and not isinstance(j, bool)
        if not whole or not 0 <= j < self.slices:
            raise InvalidInput(
                f"slice number is {j!r:.40}, must be a whole number from 0 to {self.slices - 1}; "
                "rows of diagnostics are in their order"
            )
        return int(j)

    def rows(self, j: int) -> slice:
        """Rows of slice `j`."""
        return slice(int(self.slice_start[j]), int(self.slice_start[j + 1]))


def _starts(given: ArrayLike, n: int) -> NDArray[np.int64]:
    """First row of each slice and n, checked."""
    raw = np.asarray(given)
    if raw.ndim != 1 or raw.dtype.kind not in "iu" or raw.size < 2:
        raise InvalidInput(
            f"slice_start is {' '.join(repr(given).split()):.80}, must be whole numbers (m+1,): "
            "the first row of each slice, and the number of rows"
        )
    starts = np.array(raw, np.int64)
    if starts[0] != 0 or starts[-1] != n or np.any(np.diff(starts) < 1):
        raise InvalidInput(
            f"slice_start is {starts.tolist()!s:.80}, must rise from 0 to the number of rows, {n}"
        )
    return starts


def _fixings(given: ArrayLike, starts: NDArray[np.int64]) -> NDArray[np.int64]:
    """One fixing a slice, ns UTC, from one a slice or one a row."""
    fixing, m, n = np.array(given), starts.size - 1, int(starts[-1])
    if fixing.dtype.kind == "M":
        fixing = fixing.astype("datetime64[ns]").astype(np.int64)
    if fixing.dtype.kind not in "iu" or fixing.ndim != 1 or fixing.size not in (m, n):
        raise InvalidInput(
            f"fixing_ns has type {fixing.dtype} and shape {fixing.shape} for {n} rows in {m} "
            f"slices, must be int64 in ns UTC, one a slice or one a row"
        )
    per_slice = fixing if fixing.size == m else fixing[starts[:-1]]
    if fixing.size == n and np.any(fixing != np.repeat(per_slice, np.diff(starts))):
        raise InvalidInput("fixing_ns differs within a slice; give each expiry its own slice")
    for j, value in enumerate(per_slice.tolist()):
        within(f"fixing_ns[{j}]", value)
    return per_slice.astype(np.int64)


def _size(value: Any) -> str:
    return " x ".join(map(str, np.shape(value))) or "no"
