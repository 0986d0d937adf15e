"""European options with cash dividends: quadrature, printed tables, closed forms, QuantLib."""

from itertools import pairwise

import numpy as np
import pytest
from scipy.integrate import quad

from surfaces.errors import InvalidInput
from surfaces.pricing import black, bsm, cash_european, implied
from surfaces.pricing.dividends import Dividends
from surfaces.pricing.greeks import NAMES
from surfaces.status import Status

TERMS = {"spot": 100.0, "years": 1.0, "vol": 0.3, "rate": 0.05, "dividend_yield": 0.01}


def priced(right, strike, dividends, **changes):
    return cash_european.price(
        right=right, strike=strike, dividends=dividends, **{**TERMS, **changes}
    )


def test_single_dividends_by_25_digit_quadrature(rows):
    """Two of the rows an hour before expiry are themselves off by 7e-10, the others by 1e-12."""
    for row in rows("euro_cash_dividend_exact.csv"):
        names = {"spot": "S", "strike": "K", "years": "T", "vol": "sigma", "rate": "r"}
        terms = {name: float(row[of]) for name, of in names.items()}
        paid = Dividends([float(row["t_div"])], [float(row["D"])])
        got = cash_european.price(right=row["flag"], **terms, dividends=paid)
        assert got == pytest.approx(float(row["value"]), abs=1e-9), row
        if float(row["t_div"]) != 0.9999:
            assert got == pytest.approx(float(row["value"]), abs=4e-12), row


def test_yearly_dividends_of_haug_haug_lewis_2003(rows):
    """Table 6 as corrected, to its four decimals."""
    for row in rows("hhl2003_table6.csv"):
        names = {"spot": "S", "strike": "K", "years": "T", "vol": "sigma", "rate": "r"}
        terms = {name: float(row[of]) for name, of in names.items()}
        paid = Dividends(np.arange(0.5, terms["years"]), float(row["D"]))
        got = cash_european.price(right=row["flag"], **terms, dividends=paid)
        assert got == pytest.approx(float(row["corrected"]), abs=5e-5), row


def nested(right, strike, dates, cash, keep, years, vol, spot=100.0, rate=0.05, q=0.01) -> float:
    """The spot model by adaptive quadrature over one normal draw an ex-date."""

    def value(share: float, at: float, i: int) -> float:
        if i == len(dates):
            left = years - at
            return float(
                black.price(right=right, forward=share * np.exp((rate - q) * left), strike=strike,
                            years=left, vol=vol)
            )  # fmt: skip
        s = vol * np.sqrt(dates[i] - at)
        drift = (rate - q) * (dates[i] - at) - 0.5 * s * s

        def integrand(z: float) -> float:
            after = keep[i] * share * np.exp(drift + s * z) - cash[i]
            worth = value(after, dates[i], i + 1) if after > 0 else max(-right * strike, 0.0)
            return worth * np.exp(-0.5 * z * z) / np.sqrt(2 * np.pi)

        floor = min(max((np.log(cash[i] / keep[i] / share) - drift) / s, -9.0), 9.0)
        cuts = sorted({-9.0, floor, max(floor, min(floor + 2.0, 9.0)), 9.0})
        tight = {"epsabs": 1e-11, "epsrel": 1e-11, "limit": 200}
        return sum(quad(integrand, a, b, **tight)[0] for a, b in pairwise(cuts))

    return np.exp(-rate * years) * value(spot, 0.0, 0)


@pytest.mark.parametrize("right", [1, -1])
@pytest.mark.parametrize(
    ("dates", "cash", "keep", "vol"),
    [([0.4], [60.0], [1.0], 0.6), ([0.2, 0.9], [3.0, 5.0], [1.0, 0.98], 0.3)],
    ids=["a floor that matters", "two, one of them mixed"],
)
def test_nested_adaptive_quadrature_agrees(right, dates, cash, keep, vol):
    want = nested(right, 95.0, dates, cash, keep, 1.0, vol)
    got = priced(right, 95.0, Dividends(dates, cash, 1.0 - np.array(keep)), vol=vol)
    assert got == pytest.approx(want, abs=2e-10)


@pytest.mark.parametrize("right", [1, -1])
def test_proportional_dividends_are_black_scholes_on_what_is_kept(right):
    """24 of them: S falls by the same factor on every path, so all is in closed form."""
    count, share = 24, 0.004
    paid = Dividends((np.arange(count) + 0.5) / count * 3.0, 0.0, share)
    strikes = np.array([60.0, 95.0, 150.0])
    kept = (1 - share) ** count
    terms = TERMS | {"years": 3.0}
    want = bsm.greeks(right=right, strike=strikes, **terms | {"spot": 100.0 * kept})
    got = cash_european.greeks(right=right, strike=strikes, **terms, dividends=paid)
    power = dict(zip(NAMES, (0, 1, 2, 0, 0, 0, 1, 0, 1, 3, 2, 2, 0, 0), strict=True))
    by_difference = ("vega", "rho", "vanna", "volga", "zomma")
    for name, value in got.items():
        exact = getattr(want, name) * kept ** power[name]
        scale = np.abs(exact).max()
        tight = 2e-8 if name in by_difference else 1e-11
        np.testing.assert_allclose(value, exact, rtol=0.0, atol=tight * scale, err_msg=name)
    escrowed = cash_european.price(
        right=right, strike=strikes, **terms, dividends=paid, model="escrowed"
    )
    np.testing.assert_allclose(escrowed, want.price, rtol=1e-13)


@pytest.mark.parametrize(
    ("count", "years", "vol", "cash"),
    [(1, 0.1, 0.2, 1.0), (20, 2.0, 0.2, 0.5), (250, 1.0, 0.15, 0.006)],
    ids=["one", "twenty", "daily"],
)
def test_parity_with_the_forward_that_dividends_leave(count, years, vol, cash):
    """Where no path reaches the floor, call - put = df (S grown - dividends grown - strike)."""
    dates = (np.arange(count) + 0.5) * years / count
    paid = Dividends(dates, cash)
    strikes = np.array([80.0, 100.0, 125.0])
    call, put = (priced(w, strikes, paid, years=years, vol=vol) for w in (1, -1))
    forward = 100.0 * np.exp(0.04 * years) - np.sum(cash * np.exp(0.04 * (years - dates)))
    np.testing.assert_allclose(call - put, np.exp(-0.05 * years) * (forward - strikes), atol=2e-11)


def test_parity_and_shape_in_the_strike_where_shares_fall_to_zero():
    """The model's own forward is its call struck at zero; prices fall or rise and are convex."""
    paid = Dividends([0.3, 0.9, 1.7], [15.0, 20.0, 10.0], [0.0, 0.05, 0.0])
    strikes = np.linspace(0.0, 300.0, 61)
    call, put = (priced(w, strikes, paid, years=2.0, vol=0.8) for w in (1, -1))
    np.testing.assert_allclose(call - put, call[0] - np.exp(-0.1) * strikes, atol=1e-11)
    plain = 100.0 * np.exp(0.08) * 0.95 - np.sum(
        [15.0 * 0.95 * np.exp(0.04 * 1.7), 20.0 * np.exp(0.04 * 1.1), 10.0 * np.exp(0.04 * 0.3)]
    )
    assert call[0] > np.exp(-0.1) * plain + 0.5  # a share cannot pay what it is not worth
    for prices, sign in ((call, 1.0), (put, -1.0)):
        assert np.all(prices >= 0.0)
        assert np.all(sign * np.diff(prices) <= 1e-12)
        assert np.all(np.diff(prices, 2) >= -1e-11)


def test_dates_past_after_expiry_at_expiry_and_twice():
    strikes = np.array([90.0, 110.0])
    nothing = bsm.price(right=-1, strike=strikes, **TERMS)
    for paid in (None, Dividends([-0.2, 0.0, 1.5], 3.0), Dividends([], [])):
        for model in ("spot", "escrowed"):
            got = priced(-1, strikes, paid, model=model)
            np.testing.assert_allclose(got, nothing, rtol=1e-14)
    # at expiry: a put pays K - max(S - D, 0), which is a put at K + D less one at D
    at_end = priced(-1, strikes, Dividends([1.0], [30.0]), vol=0.9)
    terms = TERMS | {"vol": 0.9}
    closed = bsm.price(right=-1, strike=strikes + 30.0, **terms) - bsm.price(
        right=-1, strike=30.0, **terms
    )
    np.testing.assert_allclose(at_end, closed, rtol=1e-13)
    near = priced(-1, strikes, Dividends([1.0 - 2e-6], [30.0]), vol=0.9)
    np.testing.assert_allclose(near, at_end, atol=1e-4)
    now = priced(-1, strikes, Dividends([1e-12], [30.0]), vol=0.9)
    np.testing.assert_allclose(now, priced(-1, strikes, None, vol=0.9, spot=70.0), atol=1e-7)
    same_day = [0.5, np.nextafter(0.5, 1.0)]  # a schedule's dates must rise
    twice = priced(1, strikes, Dividends(same_day, [2.0, 3.0], [0.0, 0.1]))
    np.testing.assert_allclose(
        twice, priced(1, strikes, Dividends([0.5], [4.8], [0.1])), rtol=1e-15
    )


STEPS = {"spot": 0.5, "vol": 0.004, "rate": 0.002, "years": 0.002, "strike": 0.5}
ORDERS = {
    "delta": {"spot": 1}, "gamma": {"spot": 2}, "vega": {"vol": 1}, "theta": {"years": 1},
    "rho": {"rate": 1}, "vanna": {"spot": 1, "vol": 1}, "volga": {"vol": 2},
    "charm": {"spot": 1, "years": 1}, "speed": {"spot": 3}, "zomma": {"spot": 2, "vol": 1},
    "color": {"spot": 2, "years": 1}, "dual_delta": {"strike": 1}, "density": {"strike": 2},
}  # fmt: skip
NODES = np.array([-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0])
WEIGHTS = {  # seven points: sixth and fourth order
    1: np.array([-1, 9, -45, 0, 45, -9, 1]) / 60.0,
    2: np.array([2, -27, 270, -490, 270, -27, 2]) / 180.0,
    3: np.array([1, -8, 13, 0, -13, 8, -1]) / 8.0,
}


@pytest.mark.parametrize("model", ["spot", "escrowed"])
@pytest.mark.parametrize("right", [1, -1])
def test_greeks_are_the_derivatives_they_say(right, model):
    """Seven-point differences of prices; time moves expiry and ex-dates together."""
    dates, cash, share = np.array([0.2, 0.7]), np.array([3.0, 4.0]), np.array([0.0, 0.02])
    base = {**TERMS, "strike": 97.0}

    def at(**moved) -> float:
        terms = {name: base[name] + moved.get(name, 0.0) for name in base}
        paid = Dividends(dates + moved.get("years", 0.0), cash, share)
        return float(cash_european.price(right=right, **terms, dividends=paid, model=model))

    got = cash_european.greeks(
        right=right, **base, dividends=Dividends(dates, cash, share), model=model
    )
    assert got.price == at()
    for name, orders in ORDERS.items():
        terms = [({}, 1.0)]
        for argument, order in orders.items():
            h = STEPS[argument]
            terms = [
                ({**moved, argument: node * h}, weight * more / h**order)
                for moved, weight in terms
                for node, more in zip(NODES, WEIGHTS[order], strict=True)
                if more != 0.0
            ]
        want = sum(weight * at(**moved) for moved, weight in terms)
        want *= -1.0 if "years" in orders else 1.0
        want /= np.exp(-0.05) if name == "density" else 1.0
        assert getattr(got, name) == pytest.approx(want, rel=2e-6), name


def test_quantlib_agrees_on_both_models(ql):
    today = ql.Date(2, 1, 2026)
    ql.Settings.instance().evaluationDate = today
    count = ql.Actual365Fixed()
    flat = [
        ql.YieldTermStructureHandle(ql.FlatForward(today, rate, count)) for rate in (0.01, 0.05)
    ]
    vol = ql.BlackVolTermStructureHandle(ql.BlackConstantVol(today, ql.NullCalendar(), 0.3, count))
    process = ql.BlackScholesMertonProcess(
        ql.QuoteHandle(ql.SimpleQuote(100.0)), flat[0], flat[1], vol
    )
    days, cash = [40, 130, 221, 312], [1.5, 2.0, 2.0, 2.5]
    paid = Dividends(np.array(days) / 365, cash)
    theirs = ql.DividendVector([today + d for d in days], cash)
    kinds = {
        "spot": (ql.CashDividendEuropeanEngine.Spot, 2e-9),
        "escrowed": (ql.CashDividendEuropeanEngine.Escrowed, 1e-11),
    }
    for model, (kind, tolerance) in kinds.items():
        for right, side in ((1, ql.Option.Call), (-1, ql.Option.Put)):
            for strike in (80.0, 100.0, 120.0):
                option = ql.VanillaOption(
                    ql.PlainVanillaPayoff(side, strike), ql.EuropeanExercise(today + 365)
                )
                option.setPricingEngine(ql.CashDividendEuropeanEngine(process, theirs, kind))
                got = priced(right, strike, paid, model=model)
                assert got == pytest.approx(option.NPV(), abs=tolerance), (model, right, strike)


def test_escrowed_is_black_on_its_forward_and_worth_less():
    paid = Dividends([0.25, 0.75], [2.0, 2.0])
    left = 100.0 - 2.0 * np.exp(-0.04 * 0.25) - 2.0 * np.exp(-0.04 * 0.75)
    strikes = np.array([80.0, 100.0, 120.0])
    got = priced(1, strikes, paid, model="escrowed")
    np.testing.assert_allclose(
        got, bsm.price(right=1, strike=strikes, **TERMS | {"spot": left}), rtol=1e-13
    )
    assert np.all(priced(1, strikes, paid) > got + 0.05)


def test_without_vol_the_share_grows_surely_and_without_value_it_stays_so():
    paid = Dividends([0.5], [4.0])
    forward = (100.0 * np.exp(0.02) - 4.0) * np.exp(0.02)
    for model in ("spot", "escrowed"):
        got = cash_european.greeks(
            right=[1, -1], strike=90.0, dividends=paid, model=model, **TERMS | {"vol": 0.0}
        )
        np.testing.assert_allclose(got.price, [np.exp(-0.05) * (forward - 90.0), 0.0], atol=1e-13)
        np.testing.assert_allclose(got.delta, [np.exp(-0.01), 0.0], rtol=1e-14)
        assert all(np.isfinite(value).all() for _, value in got.items())
    gone = cash_european.greeks(
        right=[1, -1], strike=90.0, dividends=Dividends([0.5], [200.0]), **TERMS | {"vol": 0.0}
    )
    np.testing.assert_allclose(gone.price, [0.0, 90.0 * np.exp(-0.05)], rtol=1e-15)
    np.testing.assert_allclose(gone.theta, 0.05 * gone.price, rtol=1e-15)
    np.testing.assert_array_equal(priced([1, -1], 90.0, paid, years=0.0), [10.0, 0.0])


def test_mistakes_are_named():
    paid = Dividends([0.5], [4.0])
    with pytest.raises(InvalidInput, match=r"model is 'forward', must be 'spot' or 'escrowed'"):
        priced(1, 90.0, paid, model="forward")
    with pytest.raises(
        InvalidInput, match=r"spot less dividends.*\[1\] is -.*1 of 2.*model='spot'"
    ):
        priced(1, 90.0, Dividends([0.5], [50.0]), spot=[100.0, 40.0], model="escrowed")
    with pytest.raises(InvalidInput, match=r"dividends is a list, must be a .*Dividends, or None"):
        priced(1, 90.0, [(0.5, 4.0)])
    with pytest.raises(InvalidInput, match=r"dividends is a dict, must be a .*Dividends, or None"):
        cash_european.vol(price=1.0, right=1, spot=100.0, strike=90.0, years=1.0, rate=0.0,
                          dividends={"years": [0.5]})  # fmt: skip
    with pytest.raises(InvalidInput, match=r"vol is -1 per sqrt-year, must be >= 0"):
        priced(1, 90.0, paid, vol=-1.0)


def test_containers_and_selection_are_kept():
    pd = pytest.importorskip("pandas")
    strike = pd.Series([90.0, 110.0], index=["a", "b"])
    paid = Dividends([0.5], [4.0])
    assert list(priced("c", strike, paid).index) == ["a", "b"]
    some = cash_european.greeks(
        right="c", strike=strike, dividends=paid, which=["vega"], units="trader", **TERMS
    )
    full = cash_european.greeks(right="c", strike=strike, dividends=paid, **TERMS)
    np.testing.assert_allclose(some.vega, full.vega / 100.0, rtol=1e-15)


def test_the_schedule_of_the_american_pricers_is_taken_and_has_the_same_forward():
    paid = Dividends.blended(
        years=[0.0, 0.3, 1.2, 1.9], cash=3.0, spot=100.0, rate=0.05, dividend_yield=0.01
    )
    strikes = np.array([80.0, 120.0])
    forward = paid.forward(spot=100.0, years=1.9, rate=0.05, dividend_yield=0.01)
    for model in ("spot", "escrowed"):
        call, put = (priced(w, strikes, paid, years=1.9, model=model) for w in (1, -1))
        np.testing.assert_allclose(call - put, np.exp(-0.05 * 1.9) * (forward - strikes), atol=1e-9)


QUOTE = {"right": 1, "strike": 80.0, "spot": 100.0, "years": 1.0, "rate": 0.0}


@pytest.mark.parametrize("right", [1, -1])
@pytest.mark.parametrize("strike", [70.0, 100.0, 140.0])
def test_the_vol_of_an_exact_price_is_the_one_it_was_made_with(right, strike):
    """Prices by nested quadrature, good to 2e-10 of 100 USD."""
    dates, cash, keep = [0.2, 0.9], [3.0, 5.0], [1.0, 0.98]
    price = nested(right, strike, dates, cash, keep, 1.0, 0.3)
    terms = {name: value for name, value in TERMS.items() if name != "vol"}
    got = cash_european.vol(
        price=price,
        right=right,
        strike=strike,
        **terms,
        dividends=Dividends(dates, cash, [0, 0.02]),
    )
    assert bool(got.ok)
    assert got.vol == pytest.approx(0.3, abs=1e-9)


def test_an_escrowed_vol_is_blacks_on_the_dividend_forward():
    paid = Dividends([0.25, 0.75], 2.0)
    terms = {name: value for name, value in TERMS.items() if name != "vol"}
    forward = paid.forward(spot=100.0, years=1.0, rate=0.05, dividend_yield=0.01)
    K, price = np.array([80.0, 100.0, 120.0]), np.array([25.0, 10.0, 4.0])
    got = cash_european.vol(
        price=price, right=1, strike=K, **terms, dividends=paid, model="escrowed"
    )
    want = implied.vol(price=price, right=1, strike=K, years=1.0, forward=forward,
                       df=np.exp(-0.05))  # fmt: skip
    np.testing.assert_allclose(got.vol, want.vol, rtol=1e-14)
    assert got.ok.all()


@pytest.mark.parametrize("model", ["spot", "escrowed"])
def test_every_bad_quote_gets_its_status(model):
    """A call is worth at least 100 - 3 - 80 without vol, and at most the share without the cash."""
    paid = Dividends([0.5], 3.0)
    price = [16.9, 17.0, 17.5, 100.0, np.nan, np.inf, -1.0, 0.0]
    got = cash_european.vol(price=price, **QUOTE, dividends=paid, model=model)
    below, bad = Status.BELOW_INTRINSIC, Status.BAD_INPUT
    want = [below, Status.NO_VEGA, Status.OK, Status.ABOVE_BOUND, bad, bad, below, below]
    np.testing.assert_array_equal(got.status, want)
    np.testing.assert_array_equal(np.isnan(got.vol), np.array(want) != Status.OK)
    put = cash_european.vol(
        price=[0.0, 80.0, 90.0], **{**QUOTE, "right": -1}, dividends=paid, model=model
    )
    np.testing.assert_array_equal(put.status, [Status.NO_VEGA] + [Status.ABOVE_BOUND] * 2)
    assert put.vol[0] == 0.0  # a true lower bound
    for name in ("spot", "strike", "years"):
        for value in (0.0, -1.0, np.nan, np.inf):
            odd = cash_european.vol(
                price=17.5, **{**QUOTE, name: value}, dividends=paid, model=model
            )
            assert int(odd.status) == Status.BAD_INPUT and np.isnan(odd.vol), (name, value)


def test_vols_are_found_up_to_sixteen_deviations_and_without_dividends():
    paid = Dividends([0.00005], 0.5)
    terms = {**QUOTE, "strike": 100.0, "years": 1e-4}
    for vol in (0.5, 5.0, 50.0, 600.0):
        price = cash_european.price(**terms, vol=vol, dividends=paid)
        got = cash_european.vol(price=price, **terms, dividends=paid)
        assert got.vol == pytest.approx(vol, rel=1e-9), vol
    for none in (None, Dividends([2.0], 5.0), Dividends([], [])):
        for model in ("spot", "escrowed"):
            got = cash_european.vol(price=25.0, **QUOTE, dividends=none, model=model)
            assert got.vol == implied.vol(price=25.0, **QUOTE).vol
