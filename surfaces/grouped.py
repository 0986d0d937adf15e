"""Sums and medians of values that come in groups, all groups at once.

`of` (n,) says which of `groups` each value belongs to and never falls along the array, as chain
rows and their slices do. A Python loop over slices costs more than all of their arithmetic.
"""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Index = NDArray[np.int64]


def count(which: NDArray[np.bool_], of: Index, groups: int) -> Index:
    """How many of each group are true, (groups,)."""
    return np.bincount(of[which], minlength=groups)


def total(values: Array, of: Index, groups: int) -> Array:
    """Sum of each group, (groups,); zero for an empty one."""
    return np.bincount(of, values, minlength=groups).astype(np.float64)


def median(values: Array, of: Index, groups: int) -> Array:
    """Median of each group, (groups,); NaN for an empty one. No value may be NaN."""
    sizes = np.bincount(of, minlength=groups)
    first = np.cumsum(sizes) - sizes
    table = np.full((groups, int(sizes.max(initial=0)) + 1), np.inf)
    table[of, np.arange(of.size) - first[of]] = values
    table.sort(axis=1)
    every = np.arange(groups)
    low, high = table[every, np.maximum(sizes - 1, 0) // 2], table[every, sizes // 2]
    return np.where(sizes > 0, 0.5 * (low + high), np.nan)
