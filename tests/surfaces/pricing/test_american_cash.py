"""Cash dividends by finite differences, against tables, QuantLib, identities and known limits."""

import numpy as np
import pytest

from surfaces.errors import InvalidInput
from surfaces.pricing import american, american_cash, bsm, cash_european
from surfaces.pricing.dividends import Dividends
from surfaces.status import Status

TARGET = {"fast": 2e-3, "precise": 5e-4}  # USD, root mean square at spot 560, as stated
NONE = Dividends([], 0.0)
QUARTERLY = Dividends.declared(years=[0.1, 0.35, 0.6, 0.85], cash=1.8)


def of_row(row) -> dict:
    """A table's row as keyword arguments."""
    dates = [float(t) for t in row["div_times"].split()]
    return {
        "right": row["flag"],
        "spot": float(row["S"]),
        "strike": float(row["K"]),
        "years": float(row["T"]),
        "vol": float(row["sigma"]),
        "rate": float(row["r"]),
        "dividends": Dividends(dates, float(row["D_each"])),
    }


@pytest.mark.parametrize("accuracy", ["fast", "precise"])
@pytest.mark.parametrize("exercise", ["american", "european"])
def test_error_against_a_fine_grid_is_within_target(rows, accuracy, exercise):
    table = rows("american_cash_dividend_pde.csv")
    kw = {"accuracy": accuracy, "exercise": exercise}
    got = np.array([float(american_cash.price(**of_row(row), **kw)) for row in table])
    error = got - [float(row[exercise]) for row in table]
    assert np.sqrt(np.mean(error**2)) <= TARGET[accuracy]
    assert np.max(np.abs(error)) <= 3.0 * TARGET[accuracy], table[int(np.argmax(np.abs(error)))]


def test_european_prices_against_exact_quadrature(rows):
    for row in rows("euro_cash_dividend_exact.csv"):
        got = american_cash.price(
            right=row["flag"], spot=float(row["S"]), strike=float(row["K"]), years=float(row["T"]),
            vol=float(row["sigma"]), rate=float(row["r"]), accuracy="precise", exercise="european",
            dividends=Dividends([float(row["t_div"])], float(row["D"])),
        )  # fmt: skip
        assert got == pytest.approx(float(row["value"]), abs=2e-6 * float(row["S"])), row


def test_haug_haug_lewis_2003_table_6_as_corrected(rows):
    for row in rows("hhl2003_table6.csv"):
        years = float(row["T"])
        got = american_cash.price(
            right=row["flag"], spot=float(row["S"]), strike=float(row["K"]), years=years,
            vol=float(row["sigma"]), rate=float(row["r"]), exercise=row["exercise"],
            dividends=Dividends(np.arange(0.5, years), float(row["D"])),
        )  # fmt: skip
        assert got == pytest.approx(float(row["corrected"]), abs=1e-4), row


def finite_differences(ql, size, w, spot, strike, days, vol, r, q, dates, cash):
    """QuantLib's finite-difference engine with dividends in the spot model, size x 4 size."""
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
    schedule = ql.DividendVector([today + t for t in dates], [cash] * len(dates))
    option.setPricingEngine(ql.FdBlackScholesVanillaEngine(process, schedule, size, 4 * size))
    return option.NPV()


def test_agrees_with_quantlib_at_the_corners(ql):
    """Dividend tomorrow, the day before expiry, monthly, long, calm, wild, large; with a yield."""
    monthly = tuple(range(15, 360, 30))
    cases = [
        (1, 100.0, 90.0, 90, 0.25, 0.05, 0.0, (1,), 2.0),
        (-1, 100.0, 110.0, 90, 0.25, 0.05, 0.0, (1,), 2.0),
        (1, 100.0, 100.0, 90, 0.25, 0.05, 0.0, (89,), 2.0),
        (-1, 100.0, 100.0, 90, 0.25, 0.05, 0.0, (89,), 2.0),
        (1, 100.0, 95.0, 365, 0.2, 0.04, 0.02, monthly, 0.3),
        (-1, 100.0, 105.0, 365, 0.2, 0.04, 0.02, monthly, 0.3),
        (-1, 100.0, 100.0, 1825, 0.25, 0.03, 0.0, (200, 565, 930, 1295, 1660), 2.0),
        (1, 100.0, 98.0, 180, 0.06, 0.03, 0.0, (60,), 1.0),
        (-1, 100.0, 100.0, 365, 1.5, 0.05, 0.0, (100, 300), 3.0),
        (1, 100.0, 60.0, 365, 0.3, 0.05, 0.0, (180,), 45.0),
    ]
    for case in cases:
        w, spot, strike, days, vol, r, q, dates, cash = case
        got = american_cash.price(right=w, spot=spot, strike=strike, years=days / 365, vol=vol,
                                  rate=r, dividend_yield=q, accuracy="precise",
                                  dividends=Dividends(np.array(dates) / 365, cash))  # fmt: skip
        coarse, fine = (finite_differences(ql, size, *case) for size in (200, 400))
        # its error is about of first order here: what is left is one to two of the last change
        assert abs(float(got) - fine) <= 2.0 * abs(fine - coarse) + 1e-4, (case, fine)


def test_large_and_many_dividends_against_quadrature():
    """European, where QuantLib's grid is cut off too early: nested adaptive quadrature is exact."""
    kw = {"spot": 100.0, "rate": 0.05, "exercise": "european", "accuracy": "precise"}
    monthly = Dividends(np.arange(15, 360, 30) / 365, 0.6)
    for paid in (Dividends([0.5], 45.0), Dividends([0.2, 0.7], [30.0, 50.0]), monthly):
        for w, strike, vol in ((-1, 60.0, 0.3), (1, 55.0, 0.3), (-1, 100.0, 0.15), (1, 30.0, 0.6)):
            terms = {"right": w, "strike": strike, "vol": vol, "years": 1.0, "dividends": paid}
            want = cash_european.price(**terms, spot=100.0, rate=0.05, model="spot")
            got = american_cash.price(**terms, **kw)
            assert got == pytest.approx(float(want), abs=1e-4), terms


@pytest.fixture
def drawn() -> dict[str, np.ndarray]:
    """Options on one share: a day to three years, vols 5 % to 80 %, half in the money."""
    rng, n = np.random.default_rng(3), 300
    years = np.exp(rng.uniform(np.log(1 / 365), np.log(3.0), n))
    vol = np.exp(rng.uniform(np.log(0.05), np.log(0.8), n))
    return {
        "right": rng.choice([-1.0, 1.0], n),
        "spot": np.full(n, 100.0),
        "strike": 100.0 * np.exp(rng.normal(0.0, 1.2, n) * vol * np.sqrt(years)),
        "years": years,
        "vol": vol,
        "rate": rng.uniform(0.0, 0.07, n),
        "dividend_yield": rng.choice([0.0, 0.02, 0.06], n),
    }


def test_without_dividends_it_is_the_yield_engine(drawn):
    got = american_cash.price(**drawn, dividends=NONE, accuracy="precise")
    error = got - american.price(**drawn, accuracy="precise")
    assert np.sqrt(np.mean(error**2)) <= TARGET["precise"] * 100 / 560
    got = american_cash.price(**drawn, dividends=NONE, exercise="european")
    np.testing.assert_allclose(got, bsm.price(**drawn), atol=2e-5)


def test_proportional_dividends_scale_spot(drawn):
    """European: S (1-p)^m is lognormal, so Black-Scholes-Merton on it is exact."""
    kept = 0.98 ** np.sum(np.array([[0.2], [0.7], [1.4]]) <= drawn["years"], axis=0)
    want = bsm.price(**{**drawn, "spot": drawn["spot"] * kept})
    paid = Dividends([0.2, 0.7, 1.4], 0.0, 0.02)
    got = american_cash.price(**drawn, dividends=paid, exercise="european", accuracy="precise")
    np.testing.assert_allclose(got, want, atol=2e-5)


def test_bounds_and_parity(drawn):
    paid = Dividends.declared(years=[0.004, 0.25, 0.5, 1.0, 2.0], cash=0.5)
    early = american_cash.price(**drawn, dividends=paid)
    late = american_cash.price(**drawn, dividends=paid, exercise="european")
    w, S, K, T = (drawn[name] for name in ("right", "spot", "strike", "years"))
    tolerance = 1e-3
    assert np.all(early >= np.maximum(w * (S - K), 0.0))
    assert np.all(early >= late - tolerance)
    assert np.all(early <= np.where(w > 0, S, K))
    other = american_cash.price(
        **{**drawn, "right": -w}, dividends=paid, exercise="european", accuracy="precise"
    )
    curve = {name: drawn[name] for name in ("spot", "years", "rate", "dividend_yield")}
    gap = np.exp(-drawn["rate"] * T) * (paid.forward(**curve) - K)
    np.testing.assert_allclose(w * (late - other), gap, atol=tolerance)
    more = american_cash.price(**{**drawn, "vol": drawn["vol"] * 1.05}, dividends=paid)
    assert np.all(more >= early - tolerance)


@pytest.mark.parametrize("right", [1, -1])
def test_errors_do_not_saw_tooth_in_strike(right):
    """Butterflies of the error: an alternating error of e per strike would show as 4 e."""
    strike = np.arange(500.0, 640.0, 1.0)
    kw = {"right": right, "spot": 560.0, "strike": strike, "years": 1.0, "vol": 0.2, "rate": 0.045}
    fast, fine = (american_cash.price(**kw, dividends=QUARTERLY, accuracy=name) for name in TARGET)
    butterfly = np.diff(fast - fine, 2)
    assert np.sqrt(np.mean(butterfly**2)) <= 0.5 * TARGET["fast"]
    assert np.max(np.abs(butterfly)) <= 2.0 * TARGET["fast"]


def test_calls_are_exercised_the_instant_before_the_ex_date():
    """Ex today in a second: a deep call is worth intrinsic now, not what is left after."""
    paid = Dividends([1e-9], 5.0)
    kw = {"right": 1, "spot": 100.0, "years": 0.1, "vol": 0.2, "rate": 0.05, "dividends": paid}
    assert american_cash.price(strike=70.0, **kw) == pytest.approx(30.0, abs=1e-6)
    after = american_cash.price(**{**kw, "spot": 95.0, "dividends": NONE}, strike=110.0)
    assert american_cash.price(strike=110.0, **kw) == pytest.approx(float(after), abs=1e-5)


def test_a_dividend_at_expiry_lowers_the_payoff_but_not_an_american_calls():
    kw = {"spot": 100.0, "strike": 100.0, "years": 0.5, "vol": 0.2, "rate": 0.05}
    paid = Dividends([0.5], 3.0)
    shifted = {**kw, "strike": 103.0}
    for w in (1, -1):
        got = american_cash.price(right=w, **kw, dividends=paid, exercise="european")
        assert got == pytest.approx(float(bsm.price(right=w, **shifted)), abs=1e-4)
    got = american_cash.price(right=1, **kw, dividends=paid)
    assert got == pytest.approx(float(bsm.price(right=1, **kw)), abs=1e-4)


def test_without_vol_the_best_sure_moment_counts():
    """A call before its dividend, a put after it; spot grows at 4 % to 100.80, falls to 95.80."""
    kw = {"spot": 100.0, "years": 0.5, "vol": 0.0, "rate": 0.04, "dividends": Dividends([0.2], 5.0)}
    grown = 100.0 * np.exp(0.04 * 0.2)
    call = np.exp(-0.04 * 0.2) * (grown - 98.0)
    put = np.exp(-0.04 * 0.2) * (98.0 - (grown - 5.0))
    assert american_cash.price(right=1, strike=98.0, **kw) == pytest.approx(call, rel=1e-12)
    assert american_cash.price(right=-1, strike=98.0, **kw) == pytest.approx(put, rel=1e-12)
    at_end = np.exp(-0.04 * 0.3) * 98.0 * np.exp(-0.04 * 0.2) - 100.0 + 5.0 * np.exp(-0.04 * 0.2)
    got = american_cash.price(right=-1, strike=98.0, **kw, exercise="european")
    assert got == pytest.approx(at_end, rel=1e-12)


def test_edges_are_limits_not_nan():
    """No strike, no spot, no time; and a dividend that takes the whole share."""
    kw = {"vol": 0.3, "rate": 0.05, "dividends": Dividends([0.5], 4.0)}
    assert american_cash.price(right=1, spot=100.0, strike=0.0, years=1.0, **kw) == 100.0
    assert american_cash.price(right=-1, spot=0.0, strike=50.0, years=1.0, **kw) == 50.0
    assert american_cash.price(right=-1, spot=45.0, strike=50.0, years=0.0, **kw) == 5.0
    gone = {**kw, "dividends": Dividends([0.5], 1e4)}
    got = american_cash.price(right=-1, spot=100.0, strike=100.0, years=1.0, **gone)
    assert got == pytest.approx(100.0 * np.exp(-0.05 * 0.5), abs=1e-6)
    got = american_cash.price(right=1, spot=100.0, strike=100.0, years=1.0, **gone)
    want = bsm.price(right=1, spot=100.0, strike=100.0, years=0.5, vol=0.3, rate=0.05)
    assert got == pytest.approx(float(want), abs=1e-4)


@pytest.mark.parametrize("right", [1, -1])
@pytest.mark.parametrize("exercise", ["american", "european"])
def test_greeks_are_slopes_of_the_price(right, exercise):
    """Differences of prices on other grids: spot, vol, rate, and time with the ex-dates nearer."""
    kw = {"right": right, "strike": np.array([500.0, 540.0, 560.0, 590.0, 640.0]), "years": 0.7,
          "accuracy": "precise", "exercise": exercise}  # fmt: skip
    at = {"spot": 560.0, "vol": 0.25, "rate": 0.045}

    def price(**moved):
        return american_cash.price(**{**kw, **at, "dividends": QUARTERLY, **moved})

    got = american_cash.greeks(**kw, **at, dividends=QUARTERLY)
    np.testing.assert_array_equal(got.price, price())

    def slope(name, h):
        return (price(**{name: at[name] + h}) - price(**{name: at[name] - h})) / (2 * h)

    np.testing.assert_allclose(got.delta, slope("spot", 3.0), atol=1e-3)
    np.testing.assert_allclose(got.vega, slope("vol", 0.005), rtol=3e-3, atol=0.3)
    np.testing.assert_allclose(got.rho, slope("rate", 0.002), rtol=5e-3, atol=0.5)
    bend = (price(spot=566.0) - 2 * price() + price(spot=554.0)) / 36.0
    np.testing.assert_allclose(got.gamma, bend, atol=5e-5)
    h = 2e-3
    nearer, further = (Dividends(QUARTERLY.years - s, 1.8) for s in (h, -h))
    theta = (price(years=0.7 - h, dividends=nearer) - price(years=0.7 + h, dividends=further)) / (
        2 * h
    )
    np.testing.assert_allclose(got.theta, theta, atol=0.4)


def test_second_order_greeks_without_dividends_are_the_yield_engines():
    kw = {"right": [1, -1, 1, -1], "spot": 100.0, "strike": [95.0, 95.0, 108.0, 102.0],
          "years": 0.8, "vol": 0.3, "rate": 0.04, "dividend_yield": 0.03,
          "accuracy": "precise"}  # fmt: skip
    got, want = american_cash.greeks(**kw, dividends=NONE), american.greeks(**kw)
    for name in ("delta", "gamma", "vega", "theta", "rho", "vanna", "charm", "zomma", "color"):
        np.testing.assert_allclose(
            getattr(got, name), getattr(want, name), rtol=1e-2, atol=3e-4, err_msg=name
        )
    np.testing.assert_allclose(got.volga, want.volga, rtol=0.05, atol=0.5)
    np.testing.assert_allclose(got.speed, want.speed, rtol=2e-2, atol=1e-5)


def test_greeks_past_the_boundary_and_without_chance():
    kw = {"spot": 100.0, "years": 1.0, "rate": 0.06, "dividends": NONE}
    got = american_cash.greeks(right=-1, strike=160.0, vol=0.2, **kw)
    assert (got.price, got.delta, got.gamma, got.vega, got.theta) == (60.0, -1.0, 0.0, 0.0, 0.0)
    got = american_cash.greeks(right=1, strike=90.0, vol=0.0, **kw)  # S - K e^(-rT), a forward
    held = 90.0 * np.exp(-0.06)
    assert got.price == pytest.approx(100.0 - held)
    assert got.delta == pytest.approx(1.0)
    assert got.theta == pytest.approx(-0.06 * held)
    assert got.rho == pytest.approx(held, rel=1e-6)


def test_which_changes_no_number_and_units_scale():
    kw = {"right": [1, -1], "spot": 560.0, "strike": [540.0, 580.0], "years": 0.7, "vol": 0.25,
          "rate": 0.045, "dividends": QUARTERLY}  # fmt: skip
    whole = american_cash.greeks(**kw)
    for which in (["price", "delta", "color"], ["vega", "zomma"], ["rho"], "theta"):
        got = american.greeks(**kw, which=which)
        assert list(got.values) == ([which] if isinstance(which, str) else which)
        for name, value in got.items():
            np.testing.assert_array_equal(value, getattr(whole, name), err_msg=name)
    assert list(american.greeks(**kw).values) == list(whole.values)
    trader = american_cash.greeks(**kw, units="trader")
    np.testing.assert_allclose(trader.vega, whole.vega / 100.0)
    np.testing.assert_allclose(trader.theta, whole.theta / 365.0)


def test_what_is_not_computed_is_refused_before_the_grid_runs(monkeypatch):
    kw = {"right": 1, "spot": 560.0, "strike": 540.0, "years": 0.7, "vol": 0.25, "rate": 0.045}
    monkeypatch.setattr(american_cash, "_terms", None)  # what every run begins with
    with pytest.raises(InvalidInput, match="does not scale with spot and strike alone"):
        american.greeks(**kw, dividends=QUARTERLY, which=["delta", "dual_delta"])
    with pytest.raises(InvalidInput, match="which is 'dollar', must be some of price, delta"):
        american.greeks(**kw, dividends=QUARTERLY, which="dollar")


def test_series_in_series_out_and_numbers_for_numbers():
    pd, pl = pytest.importorskip("pandas"), pytest.importorskip("polars")
    rows = {"spot": [560.0, 560.0], "strike": [540.0, 580.0], "vol": [0.2, 0.3]}
    kw = {"right": -1, "years": 0.5, "rate": 0.045, "dividends": QUARTERLY}
    frame, table = pd.DataFrame(rows, index=["a", "b"]), pl.DataFrame(rows)
    for run in (american_cash.price, american.price):
        plain = run(**kw, **rows)
        got = run(**kw, **{name: frame[name] for name in rows})
        assert list(got.index) == ["a", "b"] and got.name == "price"
        np.testing.assert_array_equal(got.to_numpy(), plain)
        assert isinstance(run(**kw, **{name: table[name] for name in rows}), pl.Series)
        one = {name: values[0] for name, values in rows.items()}
        assert isinstance(run(**kw, **one), np.float64)
    quotes = {name: frame[name] for name in ("spot", "strike")}
    for back in (american_cash.vol, american.vol):
        solved = back(price=got, **kw, **quotes)
        assert list(solved.vol.index) == list(solved.status.index) == ["a", "b"]
        assert isinstance(back(price=30.0, spot=560.0, strike=560.0, **kw).vol, np.float64)
    risk = american_cash.greeks(**kw, **{name: frame[name] for name in rows})
    assert list(risk.to_pandas().index) == ["a", "b"]
    assert isinstance(american_cash.greeks(**kw, **one).delta, np.float64)


def test_edges_are_those_of_the_yield_engine():
    """No spot, no strike, no time, at, in and out of the money: the same slopes, or limits."""
    corners = [(0.0, 100.0, 1.0), (100.0, 0.0, 1.0), (100.0, 100.0, 0.0), (110.0, 100.0, 0.0),
               (90.0, 100.0, 0.0), (0.0, 0.0, 1.0)]  # fmt: skip
    for w in (1, -1):
        for spot, strike, years in corners:
            kw = {"right": w, "spot": spot, "strike": strike, "years": years, "vol": 0.2,
                  "rate": 0.05}  # fmt: skip
            got, want = american_cash.greeks(**kw, dividends=NONE), american.greeks(**kw)
            for name in ("price", "delta", "gamma", "vega", "theta", "rho"):
                same = pytest.approx(float(getattr(want, name)), abs=1e-9)
                assert getattr(got, name) == same, (name, kw)


@pytest.mark.parametrize("exercise", ["american", "european"])
def test_vol_inverts_price(drawn, exercise):
    paid = Dividends.declared(years=[0.1, 0.6, 1.1, 2.0], cash=0.8)
    price = american_cash.price(**drawn, dividends=paid, exercise=exercise)
    terms = {name: values for name, values in drawn.items() if name != "vol"}
    got = american_cash.vol(price=price, **terms, dividends=paid, exercise=exercise)
    again = american_cash.price(
        **{**drawn, "vol": np.where(got.ok, got.vol, 0.2)}, dividends=paid, exercise=exercise
    )
    # the grid's price jumps by as much where a node changes sides of the exercise boundary
    np.testing.assert_allclose(again[got.ok], price[got.ok], atol=1e-4)
    known = {Status.OK, Status.NO_VEGA, Status.BELOW_INTRINSIC}
    assert set(got.status.tolist()) <= known, got.why()
    forward = paid.forward(spot=100.0, years=drawn["years"], rate=drawn["rate"],
                           dividend_yield=drawn["dividend_yield"])  # fmt: skip
    span = np.log(drawn["strike"] / forward) / (drawn["vol"] * np.sqrt(drawn["years"]))
    near = (drawn["right"] * span > -0.5) & (np.abs(span) < 2.5)
    assert np.count_nonzero(near) > 100
    assert np.all(got.ok[near])
    np.testing.assert_allclose(got.vol[near], drawn["vol"][near], rtol=1e-5)


def test_statuses_say_why_a_quote_has_no_vol():
    prices = [5.0, 9.99, 10.0, 100.0, np.nan, 0.0]
    strikes = [100.0, 90.0, 90.0, 100.0, 100.0, 300.0]
    got = american_cash.vol(price=prices, right=1, spot=100.0, strike=strikes, years=0.01,
                            rate=0.0, dividends=Dividends([0.5], 1.0))  # fmt: skip
    assert [Status(s) for s in got.status] == [
        Status.OK, Status.BELOW_INTRINSIC, Status.NO_VEGA, Status.ABOVE_BOUND, Status.BAD_INPUT,
        Status.NO_VEGA,
    ]  # fmt: skip
    assert np.all(np.isnan(got.vol[1:5]))
    assert got.vol[5] == 0.0
    far = american_cash.vol(price=5.0, right=-1, spot=100.0, strike=100.0, years=100.0, rate=8.0,
                            dividends=NONE)  # fmt: skip
    assert int(far.status) == Status.BAD_INPUT  # e^-800 is no discount factor


def test_mistakes_of_the_caller_raise():
    kw = {"right": 1, "spot": 1.0, "strike": 1.0, "years": 1.0, "vol": 0.2, "rate": 0.05}
    with pytest.raises(InvalidInput, match="dividends is a list, must be a schedule"):
        american_cash.price(**kw, dividends=[(0.5, 1.8)])
    with pytest.raises(InvalidInput, match="accuracy is 'best', must be 'fast' or 'precise'"):
        american_cash.price(**kw, dividends=NONE, accuracy="best")
    with pytest.raises(InvalidInput, match=r"exercise is 'bermudan', must be 'american' or"):
        american_cash.price(**kw, dividends=NONE, exercise="bermudan")
    with pytest.raises(InvalidInput, match=r"vol is -0.1 per sqrt-year, must be >= 0"):
        american_cash.price(**{**kw, "vol": -0.1}, dividends=NONE)


def test_without_a_dividend_before_expiry_it_is_the_engine_on_a_yield():
    """Row by row: a schedule whose first ex-date lies past an option's expiry is no schedule."""
    late = Dividends.declared(years=[-0.5, 1.0], cash=1.8)
    kw = {"right": [-1, 1, -1], "spot": 560.0, "strike": 560.0, "vol": 0.2, "rate": 0.04}
    years = np.array([0.25, 0.99, 1.01])
    got = american.greeks(**kw, years=years, dividends=late)
    want = american.greeks(**kw, years=years)
    for name in ("price", "delta", "vega", "rho"):
        np.testing.assert_array_equal(got.values[name][:2], want.values[name][:2], err_msg=name)
    assert got.price[2] > want.price[2] + 0.1  # the last put sees the dividend
    np.testing.assert_array_equal(american.price(**kw, years=years, dividends=late), got.price)
    market = {k: v for k, v in kw.items() if k != "vol"}
    back = american.vol(price=got.price, **market, years=years, dividends=late)
    np.testing.assert_allclose(back.vol, 0.2, atol=1e-6)
    european = american_cash.price(**kw, years=0.5, dividends=late, exercise="european")
    np.testing.assert_array_equal(european, bsm.price(**kw, years=0.5))


def test_a_price_of_a_sure_exercise_holds_no_vol():
    """A put that waits for the next dividend and is exercised then, whatever the vol to 12 %."""
    soon = Dividends.declared(years=0.02 + 0.25 * np.arange(8), cash=1.8)
    kw = {"right": "p", "spot": 561.2, "strike": 715.0, "years": 2.0, "rate": 0.043}
    vols = np.array([0.04, 0.08, 0.12])
    got = american.greeks(**kw, vol=vols, dividends=soon)
    wait = 715.0 * np.exp(-0.043 * 0.02) - (561.2 - 1.8 * np.exp(-0.043 * 0.02))
    np.testing.assert_allclose(got.price, wait, atol=1e-5)
    np.testing.assert_array_equal(got.vega, 0.0)
    back = american.vol(price=got.price, **kw, dividends=soon)
    assert (back.status == Status.NO_VEGA).all()
    assert np.isnan(back.vol).all()
