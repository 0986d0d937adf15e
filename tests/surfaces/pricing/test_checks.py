"""What is no number is refused by name, and a missing one is NaN."""

import datetime as dt

import numpy as np
import polars as pl
import pytest

from surfaces import checks
from surfaces.errors import InvalidInput
from surfaces.pricing import american, black, bsm


@pytest.mark.parametrize(
    "values",
    ["1", ["1", "2"], np.array(["2026-01-16"], "datetime64[ns]"), dt.date(2026, 1, 16), True,
     [True, False], 1 + 2j, [dt.timedelta(days=3)], pl.Series(["a", "b"]), object()],
    ids=lambda values: type(values).__name__,
)  # fmt: skip
def test_what_is_no_number_is_refused(values):
    with pytest.raises(InvalidInput, match=r"years is .*, must be a number or numbers") as error:
        checks.numbers("years", values)
    assert "\n" not in str(error.value)


def test_what_is_missing_is_nan():
    masked = np.ma.masked_array([1.0, 2.0], mask=[False, True])
    for values in (masked, [1.0, None], pl.Series([1.0, None])):
        np.testing.assert_array_equal(checks.numbers("vol", values), [1.0, np.nan])


def test_out_may_not_be_an_argument():
    vol = np.full(300, 0.2)
    with pytest.raises(InvalidInput, match="out shares memory with an argument"):
        black.price(right=1, forward=100.0, strike=90.0, years=0.5, vol=vol, out=vol)
    np.testing.assert_array_equal(vol, 0.2)


def test_rates_in_percent_are_refused_where_nothing_would_be_finite():
    kw = {"right": 1, "spot": 100.0, "strike": 90.0, "vol": 0.2}
    for engine in (bsm.price, american.price):
        with pytest.raises(InvalidInput, match=r"rate \* years is -5000 in row 1, .*0.05 for 5 %"):
            engine(**kw, years=[1.0, 1000.0], rate=-5.0)


@pytest.mark.parametrize("values", [{1, -1}, {}, [[1], [1, -1]]], ids=["set", "dict", "ragged"])
def test_rights_of_no_shape_are_refused(values):
    with pytest.raises(InvalidInput, match=r"right is .*, must be"):
        checks.right(values)


def test_a_masked_right_is_missing():
    with pytest.raises(InvalidInput, match=r"right\[1\] is"):
        checks.right(np.ma.masked_array([1, -1], mask=[False, True]))
