"""A chain whose parts do not fit one another is refused before any quote."""

import re

import numpy as np
import pytest

from surfaces.errors import InvalidInput
from surfaces.surface import ChainSlices

FIXING = 1_710_446_400 * 10**9


def chain(**change) -> ChainSlices:
    """Two expiries of a call and a put."""
    parts = {
        "right": [1, -1, 1, -1], "strike": [100.0] * 4, "american": [False] * 4,
        "fixing_ns": [FIXING, FIXING + 10**15], "slice_start": [0, 2, 4],
        "expiry_labels": ("a", "b"), "roots": ("", ""),
    }  # fmt: skip
    return ChainSlices(**parts | change)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"american": np.ones(3, bool)},
         "american has 3 entries for 4 rows in 2 slices; give one a row, 4"),
        ({"right": [1, -1]}, "right has 2 entries for 4 rows in 2 slices; give one a row, 4"),
        ({"strike": np.full((2, 2), 100.0)},
         "strike has 2 x 2 entries for 4 rows in 2 slices; give one a row, 4"),
        ({"expiry_labels": ()},
         "expiry_labels has 0 entries for 4 rows in 2 slices; give one a slice, 2"),
        ({"roots": ("SPX",)}, "roots has 1 entries for 4 rows in 2 slices; give one a slice, 2"),
        ({"american": [0, 1, 2, 3]},
         "american[2] is 2, must be True or False (2 of 4 fail). Give one flag a row, not row "
         "numbers."),
        ({"slice_start": [0, 3, 2, 4]},
         "slice_start is [0, 3, 2, 4], must rise from 0 to the number of rows, 4"),
        ({"slice_start": [0, 2]},
         "slice_start is [0, 2], must rise from 0 to the number of rows, 4"),
        ({"slice_start": 4},
         "slice_start is 4, must be whole numbers (m+1,): the first row of each slice, and the "
         "number of rows"),
        ({"fixing_ns": [FIXING]},
         "fixing_ns has type int64 and shape (1,) for 4 rows in 2 slices, must be int64 in ns UTC, "
         "one a slice or one a row"),
        ({"fixing_ns": [1.7e18, 1.8e18]},
         "fixing_ns has type float64 and shape (2,) for 4 rows in 2 slices, must be int64 in ns "
         "UTC, one a slice or one a row"),
        ({"fixing_ns": [FIXING, FIXING + 1, FIXING + 2, FIXING + 2]},
         "fixing_ns differs within a slice; give each expiry its own slice"),
        ({"fixing_ns": [FIXING, 20240621]},
         "fixing_ns[1] is 20240621, must lie from 1990 to 2200 in ns UTC; it looks like yyyymmdd: "
         "pass a date"),
    ],
    ids=str,
)  # fmt: skip
def test_parts_that_do_not_fit_are_named(change, words):
    """Short flags and labels used to fail at the first fit, in another module."""
    with pytest.raises(InvalidInput, match=f"^{re.escape(words)}$"):
        chain(**change)


def test_one_fixing_a_row_is_one_a_slice():
    rows = chain(fixing_ns=np.repeat([FIXING, FIXING + 10**15], 2))
    np.testing.assert_array_equal(rows.fixing_ns, chain().fixing_ns)


def test_a_chain_prints_as_one_line():
    """The default repr wrote out every strike, right and label: thousands of lines at a prompt."""
    n = 3000
    many = chain(
        right=[1, -1] * n, strike=np.repeat(np.linspace(50.0, 250.0, n), 2),
        american=[False] * 2 * n, slice_start=[0, n, 2 * n], roots=("SPX", "SPXW"),
    )  # fmt: skip
    assert repr(many) == (
        "<ChainSlices SPX, SPXW, 6000 options in 2 slices, strikes 50 to 250, "
        "fixing 2024-03-14T20:00:00Z to 2024-03-26T09:46:40Z>"
    )
    assert repr(chain()).startswith("<ChainSlices 4 options in 2 slices, strikes 100 to 100, ")
