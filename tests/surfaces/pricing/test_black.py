"""Black (1976): parity, 70-digit arithmetic, limits, QuantLib, and the words of errors."""

from decimal import Decimal

import numpy as np
import pytest

from surfaces.errors import InvalidInput
from surfaces.pricing import black

EPS = np.finfo(float).eps


def test_put_call_parity_holds_everywhere(options):
    """C - P = df (F - K) exactly, so the only tolerance is rounding on the larger leg."""
    call, put = (black.price(**{**options, "right": w}) for w in (1, -1))
    gap = call - put - options["df"] * (options["forward"] - options["strike"])
    ulps = np.abs(gap) / (EPS * np.maximum(options["forward"], options["strike"]))
    worst = np.argmax(ulps)
    assert ulps[worst] <= 8, {name: values[worst] for name, values in options.items()}


def test_price_agrees_with_quantlib(options, ql):
    """An independent implementation, on the first 500 drawn options."""
    few = {name: values[:500] for name, values in options.items()}
    theirs = [
        ql.blackFormula(ql.Option.Call if w > 0 else ql.Option.Put, K, F, v * np.sqrt(T), df)
        for w, F, K, T, v, df in zip(*few.values(), strict=True)
    ]
    np.testing.assert_allclose(
        black.price(**few), theirs, rtol=1e-11, atol=1e-12 * few["forward"].max()
    )


def test_out_of_the_money_prices_keep_relative_accuracy(exact_black):
    """Down to 1e-280 USD, within the error that rounding ln(F/K)/s once causes: h^2 units."""
    rng = np.random.default_rng(4)
    worst = 0.0
    for _ in range(150):
        s = 10 ** rng.uniform(-3, 0.3)
        h = rng.uniform(0.01, 34.0)
        F, K, T = 100.0, float(100.0 * np.exp(min(h * s, 200.0))), float(rng.uniform(0.01, 2))
        vol = float(s / np.sqrt(T))
        got = float(black.price(right=1, forward=F, strike=K, years=T, vol=vol))
        want = exact_black(1, *(Decimal(v) for v in (F, K, T, vol)), Decimal(0))
        if want > Decimal("1e-280"):
            error = float(abs(Decimal(got) / want - 1))
            worst = max(worst, error / (EPS * (8.0 + 4.0 * h * h)))
    assert worst <= 1.0


def test_limits_are_payoffs_not_nan():
    kw = {"forward": [90.0, 100.0, 110.0], "strike": 100.0}
    np.testing.assert_array_equal(black.price(right=1, years=0.0, vol=0.2, **kw), [0, 0, 10])
    np.testing.assert_array_equal(black.price(right=-1, years=1.0, vol=0.0, **kw), [10, 0, 0])
    assert black.price(right=1, forward=100.0, strike=0.0, years=1.0, vol=0.2) == 100.0
    assert black.price(right=-1, forward=0.0, strike=50.0, years=1.0, vol=0.2, df=0.5) == 25.0
    # vol -> infinity: the call is worth the forward, the put the strike
    assert black.price(right=1, forward=100.0, strike=90.0, years=1.0, vol=1e3) == 100.0
    assert black.price(right="p", forward=100.0, strike=90.0, years=1.0, vol=1e3) == 90.0


def test_price_rises_with_vol_and_time(options):
    low = black.price(**options)
    high = black.price(**{**options, "vol": options["vol"] * 1.001})
    rounding = 4 * EPS * np.maximum(options["forward"], options["strike"])
    assert np.all(high >= low - rounding)


def test_shapes_broadcast_and_scalars_stay_scalars():
    grid = black.price(
        right=[[1], [-1]], forward=100.0, strike=np.arange(80.0, 121.0, 10.0), years=0.5, vol=0.2
    )
    assert grid.shape == (2, 5)
    one = black.price(right="call", forward=100.0, strike=100.0, years=0.25, vol=0.20)
    assert one.shape == ()
    assert round(float(one), 4) == 3.9878  # the style guide's example: 100 (2 N(0.05) - 1)
    assert black.price(right=[], forward=1.0, strike=1.0, years=1.0, vol=0.2).shape == (0,)


def test_negative_time_names_the_row_and_the_remedy():
    words = r"years\[1\] is -0.01 years, must be >= 0 \(1 of 2 fail\).*alive"
    with pytest.raises(InvalidInput, match=words):
        black.price(right=1, forward=100.0, strike=[90.0, 110.0], years=[0.1, -0.01], vol=0.2)


def test_nan_vol_and_zero_df_are_refused():
    with pytest.raises(InvalidInput, match=r"vol is nan per sqrt-year, must be >= 0.*inversion"):
        black.price(right=1, forward=100.0, strike=90.0, years=0.1, vol=np.nan)
    with pytest.raises(InvalidInput, match=r"df is 0, must be > 0 \(1 of 1 fail\). Discount"):
        black.price(right=1, forward=100.0, strike=90.0, years=0.1, vol=0.2, df=0.0)
    with pytest.raises(InvalidInput, match=r"strike\[0\] is inf USD, must be finite and >= 0"):
        black.price(right=1, forward=100.0, strike=[np.inf], years=0.1, vol=0.2)


@pytest.mark.parametrize("right", ["x", 0, 2, -1.5, None, "", np.nan, ["c", "q"]])
def test_an_unknown_right_raises_and_never_means_put(right):
    with pytest.raises(InvalidInput, match=r"right(\[\d\])? is .*, must be \+1 or 'c'"):
        black.price(right=right, forward=100.0, strike=90.0, years=0.1, vol=0.2)


@pytest.mark.parametrize("right", ["C", "call", "CALL", " cAll", 1, 1.0, np.int8(1), b"c", True])
def test_every_spelling_of_a_call(right):
    kw = {"forward": 100.0, "strike": 90.0, "years": 0.1, "vol": 0.2}
    assert black.price(right=right, **kw) == black.price(right=1, **kw)


def test_shapes_that_do_not_broadcast_are_named():
    with pytest.raises(InvalidInput, match=r"shapes .*\([23],\).*\([23],\).* do not broadcast"):
        black.price(right=1, forward=[1.0, 2.0], strike=[1.0, 2.0, 3.0], years=0.1, vol=0.2)
