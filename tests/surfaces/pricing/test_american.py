"""American options against published numbers, QuantLib's tanh-sinh engine, bounds and limits."""

import numpy as np
import pytest

from surfaces.errors import InvalidInput
from surfaces.kernels import american as kernel
from surfaces.kernels import american_tables as tables
from surfaces.pricing import american, bsm

# as `american` states them, a share of the spot: root mean square and worst
STATED = {"fast": (5e-8, 5e-6), "precise": (1e-8, 5e-7)}


def premium_by_engine(engine, *, S, K, T, vol, r, q):
    """The engine with any constants, one put."""
    price, premium = np.empty(1), np.empty(1)
    columns = (np.array([float(v)]) for v in (-1, S, K, T, vol, r, q))
    assert kernel.fill_price(*columns, 0, engine, price, premium) == 0
    return premium[0]


def test_converges_to_the_premium_of_andersen_lake_offengenden_2016(rows):
    """Their (l, m, n) grids: ours, on the same grid (n up to a multiple of eight), is within the
    tolerance printed with it."""
    for row in rows("american_alo2015.csv"):
        engine = tables.build(
            inner=int(row["l"]), sweeps=int(row["m"]), nodes=int(row["n"]), outer=200, newton=3
        )
        got = premium_by_engine(engine, S=100, K=100, T=1.0, vol=0.25, r=0.05, q=0.05)
        tolerance = max(float(row["tol"]), 5.1e-11)  # the exact value is printed to ten digits
        assert got == pytest.approx(float(row["EEP_exact"]), abs=tolerance), row["tol"]


@pytest.mark.parametrize("accuracy", ["fast", "precise"])
def test_error_against_tanh_sinh_quadrature_is_within_target(accuracy, rows, on_spot):
    table = rows("american_yield_qdfp.csv")
    want = np.array([float(row["american"]) for row in table])
    usual, worst = (500.0 * stated for stated in STATED[accuracy])
    error = american.price(**on_spot(table), accuracy=accuracy) - want
    assert np.sqrt(np.mean(error**2)) <= usual
    assert np.max(np.abs(error)) <= worst
    early = want - np.array([float(row["european"]) for row in table])
    premium = american.premium(**on_spot(table), accuracy=accuracy)
    assert np.sqrt(np.mean((premium - early) ** 2)) <= usual


def test_edge_cases_of_quantlib(rows, on_spot):
    """Its two rows with a real premium are the QD+ approximation's own values, not prices."""
    table = [
        row
        for row in rows("american_edge_quantlib.csv")
        if (row["days"], row["r"], row["q"]) != ("3650.0", "0.1", "0.03") and row["q"] != "10.0"
    ]
    assert len(table) == 15
    got = american.price(**on_spot(table), accuracy="precise")
    for value, row in zip(got, table, strict=True):
        # the one row of these with a genuine integral is priced to the engine's own accuracy
        assert value == pytest.approx(float(row["value"]), abs=max(float(row["tol"]), 1e-9)), row


def test_random_extremes_lie_with_quantlibs_two_engines(rows, on_spot):
    """Vols to 1284 %, 142 years: ours is no further from either engine than they are apart."""
    table = rows("american_random_quantlib.csv")
    got = american.price(**on_spot(table), accuracy="precise")
    pde, fixed = (np.array([float(row[name]) for row in table]) for name in
                  ("value_pde", "value_qdfp"))  # fmt: skip
    assert np.all(np.isfinite(got))
    apart = np.abs(pde - fixed)
    ours = np.minimum(np.abs(got - pde), np.abs(got - fixed))
    assert np.all(ours <= apart + 1e-3), table[int(np.argmax(ours - apart))]


def high_precision(ql, w, spot, strike, days, vol, r, q):
    """QuantLib's tanh-sinh engine on whole days."""
    today = ql.Date(2, 1, 2024)
    ql.Settings.instance().evaluationDate = today
    day = ql.Actual365Fixed()
    process = ql.BlackScholesMertonProcess(
        ql.QuoteHandle(ql.SimpleQuote(spot)),
        ql.YieldTermStructureHandle(ql.FlatForward(today, q, day)),
        ql.YieldTermStructureHandle(ql.FlatForward(today, r, day)),
        ql.BlackVolTermStructureHandle(ql.BlackConstantVol(today, ql.NullCalendar(), vol, day)),
    )
    kind = ql.Option.Call if w > 0 else ql.Option.Put
    option = ql.VanillaOption(
        ql.PlainVanillaPayoff(kind, strike), ql.AmericanExercise(today, today + days)
    )
    scheme = ql.QdFpAmericanEngine.highPrecisionScheme()
    option.setPricingEngine(ql.QdFpAmericanEngine(process, scheme))
    return option.NPV()


def test_precise_agrees_with_quantlib_where_the_iteration_is_hard(ql):
    """Calm and long, rates far from yields, both edge rows QD+ misses, and futures (q = r)."""
    hard = [
        (-1, 100.0, 120.0, 3650, 0.25, 0.10, 0.03),
        (-1, 88.57, 100.0, 1628, 0.0318, 0.0818, 0.0),
        (-1, 103.0, 100.0, 809, 0.0975, 0.1366, 0.0),
        (-1, 93.54, 100.0, 1648, 0.0513, 0.03, -0.0197),
        (1, 97.56, 100.0, 1825, 0.0522, -0.025, 0.0009),
        (1, 5800.0, 5600.0, 365, 0.12, 0.045, 0.045),
        (-1, 5800.0, 6200.0, 730, 0.15, 0.045, 0.045),
        (1, 100.0, 80.0, 500, 0.3, 0.01, 0.12),
        (-1, 72.0, 73.0, 1, 0.3, 0.05, 0.0),
    ]
    for row in hard:
        w, spot, strike, days, vol, r, q = row
        got = american.price(right=w, spot=spot, strike=strike, years=days / 365, vol=vol, rate=r,
                             dividend_yield=q, accuracy="precise")  # fmt: skip
        tolerance = (2e-6 if days > 730 else STATED["precise"][1]) * max(spot, strike)
        assert got == pytest.approx(high_precision(ql, *row), abs=tolerance), row


@pytest.fixture(params=[1, 2], ids=lambda seed: f"seed={seed}")
def wide(request) -> dict[str, np.ndarray]:
    """Twenty thousand options, seconds to thirty years, vols 1e-5 to 10, rates of either sign."""
    rng, n = np.random.default_rng(request.param), 20_000
    rates = np.array([-0.03, 0.0, 0.001, 0.05, 0.2])
    w = rng.choice([-1.0, 1.0], n)
    r = rng.choice(rates, n) * rng.uniform(0.5, 1.0, n)
    q = np.where(rng.random(n) < 0.3, r, rng.choice(rates, n) * rng.uniform(0.5, 1.0, n))
    return {
        "right": w,
        "spot": 100.0 * np.exp(rng.normal(0, 1, n) * rng.choice([0.001, 0.1, 1.0], n)),
        "strike": np.full(n, 100.0),
        "years": 10 ** rng.uniform(-8, 1.5, n),
        "vol": 10 ** rng.uniform(-5, 1, n),
        "rate": r,
        "dividend_yield": q,
    }


@pytest.mark.parametrize("accuracy", ["fast", "precise"])
def test_bounds_hold_everywhere(wide, accuracy):
    """European and intrinsic below; spot or strike (grown at a negative rate) above."""
    price = american.price(**wide, accuracy=accuracy)
    premium = american.premium(**wide, accuracy=accuracy)
    plain = bsm.price(**wide)
    w, S, K, T = (wide[name] for name in ("right", "spot", "strike", "years"))
    assert np.all(np.isfinite(price))
    rounding = 1e-14 * (S * np.exp(-wide["dividend_yield"] * T) + K * np.exp(-wide["rate"] * T))
    assert np.all(price >= plain - rounding)
    assert np.all(price >= np.maximum(w * (S - K), 0.0))
    assert np.all(premium >= 0.0)
    assert np.all(np.abs(price - plain - premium) <= rounding + 1e-14 * price)
    lowest = np.where(w > 0, wide["dividend_yield"], wide["rate"])
    cap = np.where(w > 0, S, K) * np.exp(np.maximum(-lowest * T, 0.0))
    assert np.all(price <= cap * (1 + 1e-12))


def test_price_rises_with_vol(wide):
    more = american.price(**{**wide, "vol": wide["vol"] * 1.05})
    # where vol crosses the switch between the two fixed points it may jump by their errors
    largest = np.maximum(wide["spot"], wide["strike"])
    assert np.all(more >= american.price(**wide) - STATED["fast"][1] * largest)


def test_premium_is_exactly_zero_where_waiting_costs_nothing():
    kw = {"spot": np.array([60.0, 100.0, 160.0]), "strike": 100.0, "years": 1.0, "vol": 0.3}
    for w, r, q in ((1, 0.05, 0.0), (1, 0.0, -0.01), (-1, 0.0, 0.03), (-1, -0.01, 0.0),
                    (1, 0.05, -0.02)):  # fmt: skip
        assert np.all(american.premium(right=w, rate=r, dividend_yield=q, **kw) == 0.0)
    assert np.all(american.premium(right=-1, rate=0.05, **{**kw, "years": 0.0}) == 0.0)


def test_in_the_exercise_region_the_price_is_intrinsic():
    kw = {"strike": 100.0, "years": 0.5, "vol": 0.2, "rate": 0.05, "dividend_yield": 0.05}
    assert american.price(right=-1, spot=50.0, **kw) == 50.0
    assert american.price(right=1, spot=200.0, **kw) == 100.0
    got = american.greeks(right=[1, -1], spot=[200.0, 50.0], **kw)
    np.testing.assert_array_equal(got.delta, [1.0, -1.0])
    for name in ("gamma", "vega", "theta", "rho", "vanna", "volga", "charm", "speed"):
        np.testing.assert_array_equal(getattr(got, name), 0.0)


def test_put_call_symmetry(wide):
    """McDonald and Schroder (1998): call(S, K, r, q) = put(K, S, q, r)."""
    swapped = {
        **wide,
        "right": -wide["right"],
        "spot": wide["strike"],
        "strike": wide["spot"],
        "rate": wide["dividend_yield"],
        "dividend_yield": wide["rate"],
    }
    gap = american.price(**wide) - american.price(**swapped)
    assert np.max(np.abs(gap) / np.maximum(wide["spot"], wide["strike"])) <= 1e-11


def test_perpetual_put_is_the_limit_of_long_life():
    """Merton (1973): K/(1-m) ((m-1)/m S/K)^m with m the negative root."""
    S, K, r, vol = 110.0, 100.0, 0.06, 0.3
    m = -2 * r / vol**2
    want = K / (1 - m) * ((m - 1) / m * S / K) ** m
    got = american.price(right=-1, spot=S, strike=K, years=400.0, vol=vol, rate=r,
                         accuracy="precise")  # fmt: skip
    assert got == pytest.approx(want, abs=2e-3)


def test_unknown_accuracy_is_refused():
    with pytest.raises(InvalidInput, match="accuracy is 'best', must be 'fast' or 'precise'"):
        american.price(right=1, spot=1.0, strike=1.0, years=1.0, vol=0.2, rate=0.05,
                       accuracy="best")  # fmt: skip
