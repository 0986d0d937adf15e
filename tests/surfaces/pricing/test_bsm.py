"""Black-Scholes-Merton against printed tables and QuantLib."""

import numpy as np
import pytest

from surfaces.errors import InvalidInput
from surfaces.pricing import black, bsm


def test_prices_match_haug_1998(rows, on_spot):
    table = rows("bsm_haug1998.csv")
    printed = np.array([float(row["value"]) for row in table])
    tolerance = np.array([float(row["tol"]) for row in table])
    got = bsm.price(**on_spot(table))
    assert np.all(np.abs(got - printed) <= tolerance), got - printed


def test_prices_match_hull_and_fang_oosterlee(rows, on_spot):
    """Printed to two decimals by Hull and to nine by Fang and Oosterlee."""
    table = [row for row in rows("bsm_hull_fangoosterlee.csv") if "div" not in row["flag"]]
    for row in table:
        row["flag"] = row["flag"].removesuffix("_fut")  # Black-76: the yield is the rate
        decimals = len(row["printed"].partition(".")[2])
        got = float(bsm.price(**on_spot([row]))[0])
        assert got == pytest.approx(float(row["printed"]), abs=0.51 * 10.0 ** -max(decimals, 2))


@pytest.mark.parametrize("name", ["delta", "gamma", "vega", "theta", "rho", "elasticity"])
def test_greeks_match_haug_1998(name, rows, on_spot):
    table = [row for row in rows("bsm_greeks_haug1998.csv") if row["greek"].startswith(name)]
    got = bsm.greeks(**on_spot(table))
    for i, row in enumerate(table):
        if name == "elasticity":
            value = got.delta[i] * float(row["S"]) / got.price[i]
        elif row["greek"] == "theta_per_day":
            value = got.in_trader_units().theta[i]
        else:
            value = getattr(got, name)[i]
        assert value == pytest.approx(float(row["value"]), abs=float(row["tol"])), row


def test_greeks_agree_with_quantlib(ql):
    """Analytic engine of QuantLib on 60 drawn options, whole days."""
    rng = np.random.default_rng(8)
    today = ql.Date(2, 1, 2024)
    ql.Settings.instance().evaluationDate = today
    day = ql.Actual365Fixed()
    for _ in range(60):
        days, w = int(rng.integers(1, 900)), int(rng.choice([-1, 1]))
        vol, r, q = rng.uniform(0.05, 1.2), rng.uniform(-0.03, 0.1), rng.uniform(-0.02, 0.08)
        spot = rng.uniform(5, 500)
        strike = spot * np.exp(rng.normal() * vol * np.sqrt(days / 365))
        process = ql.BlackScholesMertonProcess(
            ql.QuoteHandle(ql.SimpleQuote(spot)),
            ql.YieldTermStructureHandle(ql.FlatForward(today, q, day)),
            ql.YieldTermStructureHandle(ql.FlatForward(today, r, day)),
            ql.BlackVolTermStructureHandle(ql.BlackConstantVol(today, ql.NullCalendar(), vol, day)),
        )
        kind = ql.Option.Call if w > 0 else ql.Option.Put
        option = ql.VanillaOption(
            ql.PlainVanillaPayoff(kind, strike), ql.EuropeanExercise(today + days)
        )
        option.setPricingEngine(ql.AnalyticEuropeanEngine(process))
        got = bsm.greeks(right=w, spot=spot, strike=strike, years=days / 365, vol=vol, rate=r,
                         dividend_yield=q)  # fmt: skip
        names = ("delta", "gamma", "vega", "theta", "rho")
        theirs = {"price": option.NPV()} | {name: getattr(option, name)() for name in names}
        for name, value in theirs.items():
            assert getattr(got, name) == pytest.approx(value, rel=1e-8, abs=1e-9 * spot), name


def test_spot_and_forward_agree():
    r, q, T = 0.04, 0.013, 0.7
    on_spot = bsm.price(right=-1, spot=90.0, strike=100.0, years=T, vol=0.3, rate=r,
                        dividend_yield=q)  # fmt: skip
    on_forward = black.price(right=-1, forward=90.0 * np.exp((r - q) * T), strike=100.0, years=T,
                             vol=0.3, df=np.exp(-r * T))  # fmt: skip
    assert on_spot == pytest.approx(float(on_forward), rel=1e-15)


def test_infinite_rate_is_refused():
    with pytest.raises(InvalidInput, match=r"rate\[0\] is inf per year, must be finite"):
        bsm.price(right=1, spot=1.0, strike=1.0, years=1.0, vol=0.2, rate=[np.inf])


def test_theta_at_expiry_knows_the_rate():
    """df = 1 at years = 0 hides the rate from the forward kernel; theta there used to need it."""
    near, at = (
        bsm.greeks(right=-1, spot=80.0, strike=100.0, years=T, vol=0.2, rate=0.05)
        for T in (1e-9, 0)
    )
    assert at.theta == pytest.approx(float(near.theta), rel=1e-6)
    assert at.charm == pytest.approx(float(near.charm), abs=1e-6)
