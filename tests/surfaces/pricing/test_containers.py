"""Numbers in, numbers out; Series in, Series out with their index and without copies."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

from surfaces import checks
from surfaces.errors import InvalidInput
from surfaces.pricing import black, bsm, implied

CHAIN = {"forward": 100.0, "years": 0.25, "vol": 0.2}


def test_scalars_in_a_scalar_out():
    one = black.price(right="c", strike=100.0, **CHAIN)
    assert isinstance(one, np.float64)
    assert isinstance(black.greeks(right="c", strike=100.0, **CHAIN).gamma, np.float64)
    got = implied.vol(price=one, right="c", forward=100.0, strike=100.0, years=0.25)
    assert isinstance(got.vol, np.float64)
    assert isinstance(got.status, np.uint8)


def test_pandas_keeps_its_index():
    strike = pd.Series([90.0, 100.0, 110.0], index=["a", "b", "c"], name="K")
    price = black.price(right="p", strike=strike, **CHAIN)
    assert price.index.equals(strike.index)
    np.testing.assert_array_equal(
        price.to_numpy(), black.price(right=-1, strike=[90, 100, 110], **CHAIN)
    )
    greeks = bsm.greeks(right="p", spot=100.0, strike=strike, years=0.25, vol=0.2)
    assert greeks.vega.index.equals(strike.index)
    assert greeks.to_pandas().index.equals(strike.index)
    assert (greeks + greeks).vega.index.equals(strike.index)
    back = implied.vol(price=price, right="p", forward=100.0, strike=strike, years=0.25)
    assert back.vol.index.equals(strike.index)
    assert back.ok.all()
    assert back.why() == {}
    np.testing.assert_allclose(back.vol, 0.2, rtol=1e-13)


def test_pandas_rows_are_never_aligned_silently():
    a = pd.Series([90.0, 100.0], index=[0, 1])
    b = pd.Series([0.2, 0.3], index=[1, 0])
    with pytest.raises(InvalidInput, match="different indexes in one call; align them first"):
        black.price(right=1, forward=100.0, strike=a, years=0.5, vol=b)
    with pytest.raises(InvalidInput, match="pandas and polars Series in one call"):
        black.price(right=1, forward=100.0, strike=a, years=0.5, vol=pl.Series([0.2, 0.3]))


def test_polars_in_polars_out():
    frame = pl.DataFrame({"right": ["c", "p", "C"], "strike": [90.0, 100.0, 110.0]})
    got = black.price(right=frame["right"], strike=frame["strike"], **CHAIN)
    assert isinstance(got, pl.Series)
    want = black.price(right=[1, -1, 1], strike=[90.0, 100.0, 110.0], **CHAIN)
    np.testing.assert_array_equal(got.to_numpy(), want)


def test_a_null_is_a_missing_number_and_is_named():
    with pytest.raises(InvalidInput, match=r"strike\[1\] is nan USD, must be >= 0"):
        black.price(right=1, strike=pl.Series([90.0, None]), **CHAIN)
    with pytest.raises(InvalidInput, match=r"vol\[0\] is nan"):
        black.price(right=1, forward=100.0, strike=90.0, years=0.1,
                    vol=pd.array([None, 0.2], dtype="Float64"))  # fmt: skip


@pytest.mark.parametrize("make", [pd.Series, pl.Series], ids=["pandas", "polars"])
def test_a_series_reaches_the_kernel_without_a_copy(make):
    values = make(np.linspace(80.0, 120.0, 1000))
    _, (lane,) = checks.lanes(checks.numbers("strike", values))
    assert np.shares_memory(lane, np.asarray(values))
    assert lane.flags.writeable  # a read-only array would compile a second kernel


def test_inputs_are_never_written():
    strike = np.linspace(80.0, 120.0, 1000)
    kept = strike.copy()
    strike.flags.writeable = False
    black.greeks(right=1, strike=strike, **CHAIN)
    np.testing.assert_array_equal(strike, kept)


def test_integers_views_and_float32_give_the_same_numbers():
    strikes = np.arange(80, 121)
    want = black.price(right=1, strike=strikes.astype(float), **CHAIN)
    for other in (strikes, strikes.astype(np.float32), np.repeat(strikes, 2)[::2], list(strikes)):
        np.testing.assert_array_equal(black.price(right=1, strike=other, **CHAIN), want)


def test_greeks_are_scaled_and_added_row_by_row_only():
    strike = pd.Series([90.0, 100.0], index=["a", "b"])
    greeks = black.greeks(right="p", strike=strike, **CHAIN)
    turned = pd.Series([10.0, 1.0], index=["b", "a"])
    for wrong in (
        lambda: greeks.scaled(turned),
        lambda: greeks.dollars(100.0, turned),
        lambda: greeks + black.greeks(right="p", strike=turned, **CHAIN),
    ):
        with pytest.raises(InvalidInput, match="different indexes in one call; align them first"):
            wrong()
    np.testing.assert_allclose(greeks.scaled(turned[["a", "b"]]).vega, greeks.vega * [1.0, 10.0])


def test_a_struct_says_what_it_holds():
    one = black.greeks(right="c", strike=100.0, **CHAIN, which=["price", "vega"])
    assert repr(one) == "Greeks(price=3.98776, vega=19.9222; natural units)"
    many = black.greeks(right="c", strike=[[90.0], [100.0]], **CHAIN, which=["delta"])
    assert repr(many) == "Greeks(delta: 1 arrays of shape (2, 1); natural units)"
    assert {"price", "vega"} <= set(dir(one))
    with pytest.raises(InvalidInput, match=r"Greeks of shape \(2, 1\) have no frame"):
        many.to_pandas()
