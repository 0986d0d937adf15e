"""Greeks against differences of a 70-digit price, and the algebra of the struct."""

import pickle
from decimal import Decimal, localcontext

import numpy as np
import pytest

from surfaces.errors import InvalidInput
from surfaces.pricing import black, bsm
from surfaces.pricing.greeks import NAMES

STEP = Decimal("1e-12")  # relative; in 70 digits a difference of order three keeps 30 of them


def differences(
    price, U: Decimal, vol: Decimal, T: Decimal, r: Decimal, K: Decimal
) -> dict[str, float]:
    """All Greeks of price(U, vol, T, r, K) by central differences; errors of order STEP^2."""
    hu, hv, ht, hr, hk = U * STEP, vol * STEP, T * STEP, STEP, K * STEP

    def at(i=0, j=0, k=0, m=0, n=0):
        return price(U + i * hu, vol + j * hv, T + k * ht, r + m * hr, K + n * hk)

    def gamma(j=0, k=0):
        return (at(1, j, k) - 2 * at(0, j, k) + at(-1, j, k)) / hu**2

    out = {
        "price": at(),
        "delta": (at(1) - at(-1)) / (2 * hu),
        "gamma": gamma(),
        "vega": (at(0, 1) - at(0, -1)) / (2 * hv),
        "theta": -(at(0, 0, 1) - at(0, 0, -1)) / (2 * ht),
        "rho": (at(0, 0, 0, 1) - at(0, 0, 0, -1)) / (2 * hr),
        "vanna": (at(1, 1) - at(1, -1) - at(-1, 1) + at(-1, -1)) / (4 * hu * hv),
        "volga": (at(0, 1) - 2 * at() + at(0, -1)) / hv**2,
        "charm": -(at(1, 0, 1) - at(1, 0, -1) - at(-1, 0, 1) + at(-1, 0, -1)) / (4 * hu * ht),
        "speed": (at(2) - 2 * at(1) + 2 * at(-1) - at(-2)) / (2 * hu**3),
        "zomma": (gamma(1) - gamma(-1)) / (2 * hv),
        "color": -(gamma(0, 1) - gamma(0, -1)) / (2 * ht),
        "dual_delta": (at(n=1) - at(n=-1)) / (2 * hk),
        "density": (at(n=1) - 2 * at() + at(n=-1)) / hk**2 * (r * T).exp(),
    }
    return {name: float(value) for name, value in out.items()}


CASES = [
    (1, 100.0, 100.0, 0.25, 0.2, 0.03),
    (-1, 100.0, 110.0, 1.5, 0.35, 0.05),
    (1, 5800.0, 6100.0, 0.02, 0.11, 0.045),
    (-1, 40.0, 25.0, 0.5, 0.8, -0.01),
    (1, 90.0, 100.0, 2.0, 0.9, 0.02),  # past the fast formulas' range: vol sqrt(T) > 2 + 2 |d2|
    (1, 100.0, 90.0, 4.0, 2.5, 0.02),
]


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"w={c[0]},K={c[2]:g},T={c[3]:g}")
def test_forward_greeks_are_the_derivatives_they_say(case, exact_black):
    """Forward fixed, df = exp(-rT): what `black` documents."""
    w, F, K, T, vol, r = case
    with localcontext() as context:
        context.prec = 70
        want = differences(
            lambda U, v, t, x, k: exact_black(w, U, k, t, v, x),
            *(Decimal(v) for v in (F, vol, T, r, K)),
        )
    got = black.greeks(right=w, forward=F, strike=K, years=T, vol=vol, df=np.exp(-r * T))
    for name, value in got.items():
        assert value == pytest.approx(want[name], rel=2e-11), name


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"w={c[0]},K={c[2]:g},T={c[3]:g}")
def test_spot_greeks_are_the_derivatives_they_say(case, exact_black):
    """Spot and yield fixed: what `bsm` documents."""
    w, S, K, T, vol, r = case
    q = 0.018
    with localcontext() as context:
        context.prec = 70

        def price(U, v, t, x, k):
            with localcontext() as inner:
                inner.prec = 70
                return exact_black(w, U * ((x - Decimal(q)) * t).exp(), k, t, v, x)

        want = differences(price, *(Decimal(v) for v in (S, vol, T, r, K)))
    got = bsm.greeks(right=w, spot=S, strike=K, years=T, vol=vol, rate=r, dividend_yield=q)
    for name, value in got.items():
        assert value == pytest.approx(want[name], rel=5e-11), name


def test_greeks_are_finite_at_expiry_and_at_zero_vol():
    for years, vol in ((0.0, 0.2), (0.5, 0.0), (0.0, 0.0)):
        got = black.greeks(right=[1, -1, 1], forward=[90, 90, 100.0], strike=100.0, years=years,
                           vol=vol, df=0.99)  # fmt: skip
        for name, value in got.items():
            assert np.isfinite(value).all(), name
        np.testing.assert_array_equal(got.delta, [0.0, -0.99, 0.495])
        np.testing.assert_array_equal(got.gamma, 0.0)
    # the one limit that is not zero: vega at F = K, vol -> 0, is df F sqrt(T) phi(0)
    flat, thin = (
        black.greeks(right=1, forward=100.0, strike=100.0, years=0.5, vol=v) for v in (0.0, 1e-9)
    )
    assert flat.vega == pytest.approx(float(thin.vega), rel=1e-12)


def test_gamma_vega_identity(options):
    """vega = gamma F^2 vol T, for calls and puts alike."""
    got = black.greeks(**options)
    want = got.gamma * options["forward"] ** 2 * options["vol"] * options["years"]
    np.testing.assert_allclose(got.vega, want, rtol=1e-13)


def test_which_computes_the_asked_and_names_the_absent():
    kw = {"right": 1, "forward": 100.0, "strike": np.linspace(60, 160, 777), "years": 0.4}
    kw |= {"vol": 0.3, "df": 0.97}
    everything = black.greeks(**kw)
    for name in NAMES:
        alone = black.greeks(**kw, which=[name])
        np.testing.assert_array_equal(getattr(alone, name), getattr(everything, name))
        assert list(alone.values) == [name]
    few = black.greeks(**kw, which=("vega", "delta"))
    assert list(few.values) == ["vega", "delta"]
    assert not hasattr(few, "gamma")
    with pytest.raises(AttributeError, match="gamma was not computed; this struct holds vega, de"):
        few.gamma
    with pytest.raises(AttributeError, match="epsilon is no Greek"):
        few.epsilon
    with pytest.raises(InvalidInput, match="which is 'gama', must be some of price, delta"):
        black.greeks(**kw, which=["gama"])
    with pytest.raises(InvalidInput, match="only one of two Greeks has delta; compute both"):
        few + black.greeks(**kw, which=["vega"])


def test_out_receives_the_rows_and_is_checked():
    kw = {"right": 1, "forward": 100.0, "strike": np.linspace(60, 160, 77), "years": 0.4}
    kw |= {"vol": 0.3}
    rows = np.full((2, 77), np.nan)
    got = black.greeks(**kw, which=("price", "gamma"), out=rows)
    assert np.shares_memory(got.gamma, rows)
    np.testing.assert_array_equal(rows[0], black.price(**kw))
    for wrong in (np.empty((2, 76)), np.empty((2, 77), np.float32), np.empty((77, 2)).T, [[0.0]]):
        with pytest.raises(InvalidInput, match=r"out has shape .* must be a writable C-contiguous"):
            black.greeks(**kw, which=("price", "gamma"), out=wrong)


@pytest.mark.parametrize("engine", [black, bsm], ids=["black", "bsm"])
def test_chain_layout_is_the_general_one_with_expiry_scalars(engine):
    """Expiries of 0, 1, 5, 300 and 700 options, in bits."""
    rng = np.random.default_rng(8)
    counts = np.array([300, 0, 1, 5, 700])
    edges = np.concatenate([[0], np.cumsum(counts)])
    n, years = int(edges[-1]), np.array([0.01, 0.1, 0.3, 1.0, 3.0])
    option = {"right": rng.choice([-1, 1], n), "strike": rng.uniform(50, 200, n)}
    option["vol"] = rng.uniform(0.0, 1.5, n)
    if engine is black:
        date = {"forward": 100 * np.exp(0.02 * years), "years": years, "df": np.exp(-0.04 * years)}
    else:
        date = {"spot": 100.0, "years": years, "rate": np.linspace(0.01, 0.05, 5)}
        date["dividend_yield"] = 0.02
    general = {k: v if np.ndim(v) == 0 else np.repeat(v, counts) for k, v in date.items()}
    got = engine.greeks(**option, **date, slices=edges)
    want = engine.greeks(**option, **general)
    for name, value in got.items():
        np.testing.assert_array_equal(value, want.values[name], err_msg=name)
    price = engine.price(**option, **date, slices=edges)
    np.testing.assert_array_equal(price, want.price)


def test_chain_layout_names_wrong_bounds():
    kw = {"right": 1, "forward": [100.0, 101.0], "strike": [90.0, 95.0, 100.0], "years": [0.1, 0.2]}
    for edges, words in [
        ([0, 1, 2], "slices runs from 0 to 2, must rise from 0 to the 3 rows"),
        ([0, 2, 1, 3], "slices runs from 0 to 3, must rise"),
        ([0, 3], "slices bounds 1 expiries, the arguments of an expiry have 2"),
        ([0.0, 1.0, 3.0], "must be integers of shape"),
    ]:
        with pytest.raises(InvalidInput, match=words):
            black.price(**kw, vol=0.2, slices=edges)
    with pytest.raises(InvalidInput, match=r"years\[1\] is -0.2 years, must be >= 0"):
        black.price(**(kw | {"years": [0.1, -0.2]}), vol=0.2, slices=[0, 1, 3])


def test_struct_adds_scales_and_refuses_mixed_units():
    kw = {"forward": 100.0, "strike": [95.0, 105.0], "years": 0.2, "vol": 0.3}
    call, put = black.greeks(right=1, **kw), black.greeks(right=-1, **kw)
    straddle = call + put
    for name in NAMES:
        np.testing.assert_array_equal(
            getattr(straddle, name), getattr(call, name) + getattr(put, name)
        )
    short = straddle.scaled(-3)
    np.testing.assert_array_equal(short.vega, -3 * straddle.vega)
    with pytest.raises(InvalidInput, match="natural units to Greeks in trader units"):
        call + put.in_trader_units()
    with pytest.raises(InvalidInput, match="in trader units already"):
        call.in_trader_units().in_trader_units()


def test_dollar_greeks_explain_a_small_move():
    """delta x + gamma x^2/2 in percent is the P&L of a move of x %, to third order."""
    kw = {"right": 1, "strike": 100.0, "years": 0.5, "vol": 0.25, "rate": 0.03}
    dollar = bsm.greeks(spot=100.0, **kw).dollars(100.0, 100)
    for x in (0.01, -0.02):
        moved = 100 * (bsm.price(spot=100.0 * (1 + x / 100), **kw) - bsm.price(spot=100.0, **kw))
        explained = dollar.delta * x + dollar.gamma * x * x / 2 + dollar.speed * x**3 / 6
        assert explained == pytest.approx(float(moved), abs=1e-8)
    assert dollar.units == "dollar"
    assert dollar.in_trader_units().units == "dollar+trader"


def test_trader_units_are_per_point_and_per_day():
    natural = black.greeks(right=1, forward=100.0, strike=100.0, years=0.5, vol=0.25, df=0.98)
    trader = natural.in_trader_units()
    assert trader.vega == natural.vega / 100
    assert trader.theta == natural.theta / 365
    assert trader.volga == natural.volga / 10_000
    assert trader.gamma == natural.gamma
    kw = {"right": 1, "forward": 100.0, "strike": 100.0, "years": 0.5, "vol": 0.25, "df": 0.98}
    assert black.greeks(**kw, units="trader").theta == trader.theta
    with pytest.raises(InvalidInput, match="units is 'percent', must be 'natural' or 'trader'"):
        black.greeks(**kw, units="percent")


def test_struct_survives_pickle_and_becomes_a_frame():
    got = black.greeks(right=1, forward=100.0, strike=[90.0, 110.0], years=0.5, vol=0.25)
    again = pickle.loads(pickle.dumps(got))
    np.testing.assert_array_equal(again.vega, got.vega)
    assert got.to_polars().columns == list(NAMES)
    assert got.to_pandas()["gamma"].tolist() == got.gamma.tolist()
