"""Greeks against differences of a 70-digit price, and the algebra of the struct."""

from decimal import Decimal, localcontext

import numpy as np
import pytest

from surfaces.errors import InvalidInput
from surfaces.pricing import black, bsm
from surfaces.pricing.greeks import NAMES

STEP = Decimal("1e-12")  # relative; in 70 digits a difference of order three keeps 30 of them


def differences(price, U: Decimal, vol: Decimal, T: Decimal, r: Decimal) -> dict[str, float]:
    """All Greeks of price(U, vol, T, r) by central differences; errors of order STEP^2."""
    hu, hv, ht, hr = U * STEP, vol * STEP, T * STEP, STEP

    def at(i=0, j=0, k=0, m=0):
        return price(U + i * hu, vol + j * hv, T + k * ht, r + m * hr)

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
    }
    return {name: float(value) for name, value in out.items()}


CASES = [
    (1, 100.0, 100.0, 0.25, 0.2, 0.03),
    (-1, 100.0, 110.0, 1.5, 0.35, 0.05),
    (1, 5800.0, 6100.0, 0.02, 0.11, 0.045),
    (-1, 40.0, 25.0, 0.5, 0.8, -0.01),
]


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"w={c[0]},K={c[2]:g},T={c[3]:g}")
def test_forward_greeks_are_the_derivatives_they_say(case, exact_black):
    """Forward fixed, df = exp(-rT): what `black` documents."""
    w, F, K, T, vol, r = case
    with localcontext() as context:
        context.prec = 70
        want = differences(
            lambda U, v, t, x: exact_black(w, U, Decimal(K), t, v, x),
            *(Decimal(v) for v in (F, vol, T, r)),
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

        def price(U, v, t, x):
            with localcontext() as inner:
                inner.prec = 70
                return exact_black(w, U * ((x - Decimal(q)) * t).exp(), Decimal(K), t, v, x)

        want = differences(price, *(Decimal(v) for v in (S, vol, T, r)))
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
