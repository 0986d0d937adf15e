"""Every pricer treats its arguments alike: rights, shapes, arrays, frames; no side effects."""

from functools import partial

import numpy as np
import pandas as pd
import polars as pl
import pytest

from surfaces.errors import InvalidInput
from surfaces.pricing import american, bachelier, black, bsm, cash_european, implied, payoffs
from surfaces.pricing.dividends import Dividends

ON_FORWARD = {"right": 1, "forward": 100.0, "strike": 97.0, "years": 0.5, "vol": 0.25, "df": 0.98}
ON_SPOT = {"right": 1, "spot": 100.0, "strike": 97.0, "years": 0.5, "vol": 0.25, "rate": 0.03,
           "dividend_yield": 0.01}  # fmt: skip
QUOTE = {"right": 1, "forward": 100.0, "strike": 97.0, "years": 0.5, "df": 0.98, "price": 8.5}
NORMAL = {**ON_FORWARD, "vol": 25.0}
DIGITAL = {**ON_FORWARD, "vol_slope": -0.001}
PAID = {"dividends": Dividends.declared(years=[0.1, 0.35], cash=0.8)}
ESCROWED = {**PAID, "model": "escrowed"}
SPOT_QUOTE = {name: v for name, v in ON_SPOT.items() if name != "vol"} | {"price": 8.5}


def vols(function, **arguments):
    return function(**arguments).vol


def deltas(function, **arguments):
    return function(**arguments).delta


CALLS = {
    "black.price": (black.price, ON_FORWARD),
    "black.greeks": (partial(deltas, black.greeks), ON_FORWARD),
    "bsm.price": (bsm.price, ON_SPOT),
    "bsm.greeks": (partial(deltas, bsm.greeks), ON_SPOT),
    "bachelier.price": (bachelier.price, NORMAL),
    "bachelier.greeks": (partial(deltas, bachelier.greeks), NORMAL),
    "bachelier.vol": (partial(vols, bachelier.vol), QUOTE),
    "implied.vol": (partial(vols, implied.vol), QUOTE),
    "implied.vol on spot": (partial(vols, implied.vol), SPOT_QUOTE),
    "american.price": (american.price, ON_SPOT),
    "american.greeks": (partial(deltas, american.greeks), ON_SPOT),
    "american.vol": (partial(vols, american.vol), SPOT_QUOTE),
    "digital_price": (payoffs.digital_price, DIGITAL),
    "digital_greeks": (partial(deltas, payoffs.digital_greeks), DIGITAL),
    "digital_price, asset": (partial(payoffs.digital_price, pays="asset"), DIGITAL),
    "cash_european.price": (partial(cash_european.price, **PAID), ON_SPOT),
    "cash_european.greeks": (partial(deltas, cash_european.greeks, **PAID), ON_SPOT),
    "cash_european.vol": (partial(vols, cash_european.vol, **PAID), SPOT_QUOTE),
    "escrowed price": (partial(cash_european.price, **ESCROWED), ON_SPOT),
    "escrowed greeks": (partial(deltas, cash_european.greeks, **ESCROWED), ON_SPOT),
    "escrowed vol": (partial(vols, cash_european.vol, **ESCROWED), SPOT_QUOTE),
}
GREEKS = {
    "black": (black.greeks, ON_FORWARD),
    "bsm": (bsm.greeks, ON_SPOT),
    "bachelier": (bachelier.greeks, NORMAL),
    "american": (american.greeks, ON_SPOT),
    "digital": (payoffs.digital_greeks, DIGITAL),
    "cash_european": (partial(cash_european.greeks, **PAID), ON_SPOT),
    "escrowed": (partial(cash_european.greeks, **ESCROWED), ON_SPOT),
}


@pytest.fixture(params=CALLS)
def case(request):
    """(function of keyword arguments, arguments it likes)."""
    return CALLS[request.param]


def columns(arguments: dict, n: int, seed: int = 3) -> dict[str, np.ndarray]:
    """The arguments as arrays that differ from row to row by up to 2 %."""
    rng = np.random.default_rng(seed)
    out = {name: v * rng.uniform(0.99, 1.01, n) for name, v in arguments.items()}
    return out | {"right": rng.choice([-1.0, 1.0], n)}


@pytest.mark.parametrize(
    "right", ["x", "", "cp", "1", 0, 2, -1.5, np.nan, np.inf, None, ["c", "x"], [1, 0],
              [1.0, np.nan], [True, None], np.array([1, 0], np.int8)], ids=repr)  # fmt: skip
def test_an_unknown_right_raises_and_never_means_put(case, right):
    function, arguments = case
    with pytest.raises(InvalidInput, match=r"right(\[\d\])? is .*must be \+1"):
        function(**{**arguments, "right": right})


def test_every_spelling_of_a_right(case):
    function, arguments = case
    call, put = (function(**{**arguments, "right": w}) for w in (1, -1))
    assert call != put
    for right in ("c", "C", "call", "CALL", "Call", b"c", True, np.True_, 1.0, np.int8(1)):
        assert function(**{**arguments, "right": right}) == call, right
    for right in ("p", "P", "put", "PUT", "Put", b"p", False, np.False_, -1.0, np.int8(-1)):
        assert function(**{**arguments, "right": right}) == put, right
    many = function(**{**arguments, "right": np.array([True, False])})
    assert (many[0], many[1]) == (call, put)


def test_scalars_in_scalars_out_and_arrays_of_the_broadcast_shape(case):
    function, arguments = case
    one = function(**arguments)
    assert np.shape(one) == ()
    assert isinstance(float(one), float)
    grid = function(**{**arguments, "strike": np.full((3, 1), 97.0), "right": np.ones(4)})
    assert grid.shape == (3, 4)
    assert np.all(grid == one)
    assert function(**{**arguments, "strike": [97.0]}).shape == (1,)
    for empty in (np.empty(0), np.empty((0, 5)), []):
        assert function(**{**arguments, "strike": empty}).shape == np.shape(empty)


def test_shapes_that_do_not_broadcast_are_named(case):
    function, arguments = case
    with pytest.raises(InvalidInput, match=r"shapes.*\(2,\).*\(3,\)|shapes.*\(3,\).*\(2,\)"):
        function(**{**arguments, "strike": np.full(2, 97.0), "years": np.full(3, 0.5)})


def test_any_array_of_numbers_gives_the_same_numbers(case):
    """float32, integers, lists, views, Fortran order, read-only, byte-swapped."""
    function, arguments = case
    few = {**arguments, "strike": np.array([95.0, 96.0, 97.0, 101.0]), "years": np.full(4, 0.5)}
    want = function(**few)
    for strike in (
        few["strike"].astype(np.float32),
        few["strike"].astype(np.int16),
        few["strike"].tolist(),
        tuple(few["strike"]),
        few["strike"].astype(">f8"),
        np.repeat(few["strike"], 3)[::3],
        few["strike"][::-1].copy()[::-1],
        np.array(few["strike"], dtype=object),
    ):
        assert np.array_equal(function(**{**few, "strike": strike}), want)
    table = np.asfortranarray(np.tile(few["strike"], (3, 1)))
    got = function(**{**few, "strike": table})
    assert got.shape == (3, 4)
    assert np.array_equal(got[1], want)


NO_NUMBERS = {
    "words": ["95", "96"],
    "array of words": np.array(["95", "96"]),
    "one word": [95.0, "x"],
    "ragged": [[1.0], [2, 3]],
    "dates": np.array(["2024-01-02"], "M8[D]"),
    "complex": np.array([1 + 1j]),
}


@pytest.mark.parametrize("values", NO_NUMBERS.values(), ids=NO_NUMBERS)
def test_what_is_no_number_is_refused(case, values):
    function, arguments = case
    with pytest.raises(InvalidInput, match="strike"):
        function(**{**arguments, "strike": values})


def test_inputs_are_read_only_to_us(case):
    """Locked arrays are accepted, open ones come back with the same bytes."""
    function, arguments = case
    rows = columns(arguments, 700)
    want = function(**rows)
    before = {name: v.tobytes() for name, v in rows.items()}
    assert np.array_equal(function(**rows), want, equal_nan=True)
    assert {name: v.tobytes() for name, v in rows.items()} == before
    for v in rows.values():
        v.flags.writeable = False
    assert np.array_equal(function(**rows), want, equal_nan=True)
    assert not any(v.flags.writeable for v in rows.values())


def test_results_do_not_share_memory_with_inputs_or_each_other(case):
    function, arguments = case
    rows = columns(arguments, 50)
    first, second = function(**rows), function(**rows)
    assert first.flags.writeable
    assert not np.shares_memory(first, second)
    assert not any(np.shares_memory(first, v) for v in rows.values())


def test_the_same_input_gives_the_same_bytes_at_any_length(case):
    function, arguments = case
    rows = columns(arguments, 1100)
    whole = function(**rows)
    for a, b in ((0, 1), (0, 9), (250, 263), (3, 1100), (511, 1025)):
        part = function(**{name: v[a:b] for name, v in rows.items()})
        assert part.tobytes() == whole[a:b].tobytes(), (a, b)


@pytest.mark.parametrize("name", GREEKS)
def test_every_greek_is_the_same_bytes_at_any_length(name):
    function, arguments = GREEKS[name]
    rows = columns(arguments, 700)
    whole = dict(function(**rows).items())
    for a, b in ((0, 1), (0, 9), (250, 263), (3, 700), (511, 512), (699, 700)):
        part = dict(function(**{of: v[a:b] for of, v in rows.items()}).items())
        assert part.keys() == whole.keys()
        for greek, values in part.items():
            assert values.tobytes() == whole[greek][a:b].tobytes(), (greek, a, b)


def test_one_value_for_all_is_that_value_for_each(case):
    function, arguments = case
    rows = columns(arguments, 300)
    for name in rows:
        one = {**rows, name: rows[name][0]}
        full = {**rows, name: np.full(300, rows[name][0])}
        assert function(**one).tobytes() == function(**full).tobytes(), name


def test_a_pandas_index_is_kept_and_rows_are_never_aligned_silently(case):
    function, arguments = case
    rows = columns(arguments, 5)
    index = pd.Index([30, 10, 50, 20, 40], name="row")
    frame = pd.DataFrame(rows, index=index)
    got = function(**{name: frame[name] for name in rows})
    assert isinstance(got, pd.Series)
    assert got.index.equals(index)
    assert got.index.name == "row"
    assert np.array_equal(got.to_numpy(), function(**rows), equal_nan=True)
    words = pd.Series(np.where(frame["right"] > 0, "C", "put"), index=index)
    assert function(**{**rows, "right": words}).equals(got)
    with pytest.raises(InvalidInput, match="index"):
        function(**{**rows, "strike": frame["strike"], "years": frame["years"].sort_index()})


def test_polars_in_polars_out(case):
    function, arguments = case
    rows = columns(arguments, 5)
    frame = pl.DataFrame(rows)
    got = function(**{name: frame[name] for name in rows})
    assert isinstance(got, pl.Series)
    assert np.array_equal(got.to_numpy(), function(**rows), equal_nan=True)
    words = pl.Series(["C" if w > 0 else "put" for w in rows["right"]])
    assert function(**{**rows, "right": words}).equals(got)
    with pytest.raises(InvalidInput, match="pandas and polars"):
        function(**{**rows, "strike": frame["strike"], "years": pd.Series(rows["years"])})


PRICERS = ["black.price", "bsm.price", "bachelier.price", "american.price", "digital_price",
           "digital_price, asset", "cash_european.price", "escrowed price"]  # fmt: skip


@pytest.mark.parametrize("name", PRICERS)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, -1.0], ids=str)
def test_a_pricer_names_the_bad_element(name, bad):
    function, arguments = CALLS[name]
    for argument in arguments:
        signed = argument in ("rate", "dividend_yield", "vol_slope") or (
            name == "bachelier.price" and argument in ("forward", "strike")
        )
        if argument == "right" or (bad == -1.0 and signed):
            continue
        values = np.full(600, arguments[argument])
        values[333] = bad
        with pytest.raises(InvalidInput, match=rf"{argument}\[333\] is .*\(1 of 600 fail\)"):
            function(**{**arguments, argument: values})


@pytest.mark.parametrize(
    "name", ["implied.vol", "bachelier.vol", "american.vol", "cash_european.vol", "escrowed vol"]
)
def test_a_bad_quote_is_a_status_not_an_error(name):
    function, arguments = CALLS[name]
    for argument in arguments:
        for bad in (np.nan, np.inf, -np.inf):
            if argument == "right":
                continue
            values = np.full(600, arguments[argument])
            values[333] = bad
            got = function(**{**arguments, argument: values})
            assert np.isnan(got[333]), (argument, bad)
            assert np.isfinite(np.delete(got, 333)).all()


def test_unknown_arguments_are_refused_by_name(case):
    function, arguments = case
    with pytest.raises(TypeError, match="volatility"):
        function(**arguments, volatility=0.2)
