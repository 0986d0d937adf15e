"""Bachelier: 60-digit arithmetic, parity, QuantLib, a printed value, the limit to Black."""

from decimal import Decimal, localcontext
from itertools import product

import numpy as np
import pytest

from surfaces.errors import InvalidInput
from surfaces.pricing import bachelier, black
from surfaces.pricing.greeks import NAMES
from surfaces.status import Status

EPS = np.finfo(float).eps
PI = Decimal("3.14159265358979323846264338327950288419716939937510582097494459230781640628620899")
DIGITS = 60


def exact_tail(h: Decimal) -> Decimal:
    """N(-h) for h >= 0: Taylor series about zero, or Mills' continued fraction past 8."""
    phi = (-h * h / 2).exp() / (2 * PI).sqrt()
    if h > 8:
        ratio = Decimal(0)
        for k in range(400, 0, -1):
            ratio = k / (h + ratio)
        return phi / (h + ratio)
    term = total = h
    k = 1
    while abs(term) > Decimal(10) ** -(DIGITS + 20):
        term = term * h * h / (2 * k + 1)
        total += term
        k += 1
    return Decimal("0.5") - phi * total


def exact_price(w: int, F: Decimal, K: Decimal, T: Decimal, vol: Decimal, r: Decimal) -> Decimal:
    """exp(-rT) [w (F - K) N(w d) + s phi(d)], d = (F - K) / s."""
    s = vol * T.sqrt()
    h = abs(F - K) / s
    phi = (-h * h / 2).exp() / (2 * PI).sqrt()
    outside = s * phi - abs(F - K) * exact_tail(h)
    return (-r * T).exp() * (outside + max(w * (F - K), Decimal(0)))


@pytest.fixture(params=[11, 22], ids=lambda seed: f"seed={seed}")
def drawn(request) -> dict[str, np.ndarray]:
    """Ten thousand options on forwards from -200 to 200 USD, up to four deviations away."""
    rng, n = np.random.default_rng(request.param), 10_000
    years = np.exp(rng.uniform(np.log(1 / 525_600), np.log(5.0), n))
    vol = np.exp(rng.uniform(np.log(0.01), np.log(100.0), n))
    forward = rng.uniform(-200.0, 200.0, n)
    return {
        "right": rng.choice([-1.0, 1.0], n),
        "forward": forward,
        "strike": forward + rng.uniform(-4.0, 4.0, n) * vol * np.sqrt(years),
        "years": years,
        "vol": vol,
        "df": np.exp(-rng.uniform(-0.03, 0.08, n) * years),
    }


def wide(seed: int, n: int) -> dict[str, np.ndarray]:
    """Undiscounted out-of-the-money options from 1e-12 to 36 deviations away, drawn by distance."""
    rng = np.random.default_rng(seed)
    h = np.where(rng.random(n) < 0.5, 10 ** rng.uniform(-12, 1.5, n), rng.uniform(0, 36, n))
    right, years = rng.choice([-1.0, 1.0], n), np.exp(rng.uniform(-8, 2, n))
    vol, forward = 10 ** rng.uniform(-3, 3, n), rng.normal(size=n) * 100
    strike = forward + right * h * vol * np.sqrt(years)
    return {"right": right, "forward": forward, "strike": strike, "years": years, "vol": vol}


def rows_of(options: dict[str, np.ndarray]):
    return zip(*(values.tolist() for values in options.values()), strict=True)


def test_put_call_parity_holds_everywhere(drawn):
    call, put = (bachelier.price(**{**drawn, "right": w}) for w in (1, -1))
    gap = drawn["df"] * (drawn["forward"] - drawn["strike"])
    ulps = np.abs(call - put - gap) / (EPS * np.maximum(np.maximum(call, put), np.abs(gap)))
    assert ulps.max() <= 4


def test_out_of_the_money_prices_keep_relative_accuracy():
    """Down to 1e-280 USD, within the error that rounding (F - K)/s once causes: h^2 units."""
    options = wide(1, 300)
    prices = bachelier.price(**options)
    worst = 0.0
    for got, (w, *numbers) in zip(prices.tolist(), rows_of(options), strict=True):
        with localcontext() as context:
            context.prec = DIGITS + 20
            F, K, T, vol = map(Decimal, numbers)
            want = exact_price(int(w), F, K, T, vol, Decimal(0))
            h = float(abs(F - K) / (vol * T.sqrt()))
            if want > Decimal("1e-280"):
                worst = max(worst, float(abs(Decimal(got) / want - 1)) / (EPS * (2 + h * h)))
    assert 0.0 < worst <= 2.0


@pytest.mark.parametrize("side", ["out of the money", "in the money"])
def test_implied_vol_is_exact_for_the_price_it_was_given(side):
    """The exact price at the vol found, against the price given.

    d ln(price) / d ln(vol) is 1/A with A = 1 - h M(h) of the out-of-the-money price, so that times
    A is the vol's relative error. Four units allowed: price, sqrt(T), quotients.
    """
    options = wide(2, 250)
    if side == "in the money":
        options["right"] = -options["right"]
        options = {name: values[:100] for name, values in options.items()}
    given = {name: values for name, values in options.items() if name != "vol"}
    prices = bachelier.price(**options)
    got = bachelier.vol(price=prices, **given)
    checked = 0
    for p, vol, row in zip(prices.tolist(), got.vol.tolist(), rows_of(options), strict=True):
        if not p > 0.0 or np.isnan(vol):
            continue
        with localcontext() as context:
            context.prec = DIGITS + 20
            w, F, K, T, _ = map(Decimal, row)
            s = Decimal(vol) * T.sqrt()
            h = abs(F - K) / s
            time_value = Decimal(p) - max(w * (F - K), Decimal(0))
            priced = exact_price(1, min(F, K), max(F, K), T, Decimal(vol), Decimal(0))
            phi = (-h * h / 2).exp() / (2 * PI).sqrt()
            share = 1 - h * exact_tail(h) / phi
            error = float(abs((priced / time_value).ln()) * share)
        assert error <= 4 * EPS, (row, vol)
        checked += 1
    assert checked >= (240 if side == "out of the money" else 30)


def test_round_trip_on_the_fast_and_the_slow_path(drawn):
    """price(vol(price)) is the price; df not positive in one row must not disturb the others."""
    price = bachelier.price(**drawn)
    given = {name: values for name, values in drawn.items() if name != "vol"}
    got = bachelier.vol(price=price, **given)
    intrinsic = drawn["df"] * np.maximum(drawn["right"] * (drawn["forward"] - drawn["strike"]), 0.0)
    inside = price - intrinsic > 1e-10 * price
    assert got.ok[inside].all(), got.why()
    again = bachelier.price(**given, vol=np.where(got.ok, got.vol, 0.0))
    np.testing.assert_allclose(again[inside], price[inside], rtol=2e-14)


def test_the_ends_of_the_double_range_are_solved():
    """Distances of 37 to 50 deviations, where the price over the distance underflows, and F = K."""
    price = np.array([1e-290, 5e-324, 1e-305, 1e300, 2.0, 1e-200, 1e-320])
    gap = np.array([1e3, 1e3, 1e290, 1.0, 0.0, 1e200, 0.0])
    got = bachelier.vol(price=price, right=1, forward=0.0, strike=gap, years=1.0)
    assert got.ok.all()
    assert got.vol[4] == pytest.approx(2.0 * np.sqrt(2 * np.pi), rel=2 * EPS)
    for p, d, vol in zip(price[:3], gap[:3], got.vol[:3], strict=True):
        with localcontext() as context:
            context.prec = DIGITS
            F, K = Decimal(0), Decimal(float(d))
            want = exact_price(1, F, K, Decimal(1), Decimal(float(vol)), Decimal(0))
            assert float(abs((want / Decimal(float(p))).ln())) < 1e-12


def test_quantlib_agrees_on_prices_and_vols(drawn, ql):
    few = {name: values[:400] for name, values in drawn.items()}
    sides = [ql.Option.Call if w > 0 else ql.Option.Put for w in few["right"]]
    ours = bachelier.price(**few)
    columns = list(few.values())[1:]
    theirs = [
        ql.bachelierBlackFormula(side, K, F, v * np.sqrt(T), df)
        for side, F, K, T, v, df in zip(sides, *columns, strict=True)
    ]
    np.testing.assert_allclose(ours, theirs, rtol=1e-11, atol=1e-13)
    given = {name: values for name, values in few.items() if name != "vol"}
    got = bachelier.vol(price=ours, **given)
    outside = few["right"] * (few["forward"] - few["strike"]) <= 0.0
    for i in np.flatnonzero(outside):
        F, K, T, df, p = (float(a[i]) for a in (*list(given.values())[1:], ours))
        assert got.vol[i] == pytest.approx(
            ql.bachelierBlackFormulaImpliedVol(sides[i], K, F, T, p, df), rel=1e-9
        )


def test_a_printed_value():
    """Quantitative Finance Stack Exchange, "Bachelier Normal Implied Vol Python Script".

    Printed there from scipy's normal distribution.
    """
    kw = {"right": 1, "forward": 30.0, "strike": 50.0, "years": 100 / 365}
    assert bachelier.price(**kw, vol=20.0) == pytest.approx(0.112604141934456, abs=5e-15)
    assert bachelier.vol(**kw, price=0.112604141934456).vol == pytest.approx(20.0, rel=1e-14)


def test_normal_vol_of_a_black_price_is_its_expansion_in_small_vol():
    """Grunspan (2011): with m = (F - K) / ln(F/K), vol_N = vol m (1 - c vol^2 T + ...) and
    c = ln(m / sqrt(F K)) / ln(F/K)^2, which is 1/24 at F = K."""
    F, T = 100.0, 0.5
    for vol in (0.02, 0.05, 0.1):
        p = black.price(right=1, forward=F, strike=F, years=T, vol=vol)
        flat = bachelier.vol(price=p, right=1, forward=F, strike=F, years=T).vol
        assert flat == pytest.approx(vol * F * (1 - vol**2 * T / 24), rel=(vol**2 * T) ** 2 / 600)
        K = 104.0
        p = black.price(right=1, forward=F, strike=K, years=T, vol=vol)
        got = bachelier.vol(price=p, right=1, forward=F, strike=K, years=T).vol
        x, mean = np.log(F / K), (F - K) / np.log(F / K)
        bend = np.log(mean / np.sqrt(F * K)) / x**2
        assert got == pytest.approx(vol * mean * (1 - bend * vol**2 * T), rel=(vol**2 * T) ** 2)


ORDERS = {  # how often each number is differentiated by F, K, vol, calendar time and rate
    "price": (0, 0, 0, 0, 0), "delta": (1, 0, 0, 0, 0), "gamma": (2, 0, 0, 0, 0),
    "vega": (0, 0, 1, 0, 0), "theta": (0, 0, 0, 1, 0), "rho": (0, 0, 0, 0, 1),
    "vanna": (1, 0, 1, 0, 0), "volga": (0, 0, 2, 0, 0), "charm": (1, 0, 0, 1, 0),
    "speed": (3, 0, 0, 0, 0), "zomma": (2, 0, 1, 0, 0), "color": (2, 0, 0, 1, 0),
    "dual_delta": (0, 1, 0, 0, 0), "density": (0, 2, 0, 0, 0),
}  # fmt: skip
STENCIL = {0: {0: 1}, 1: {-1: -1, 1: 1}, 2: {-1: 1, 0: -2, 1: 1}, 3: {-2: -1, -1: 2, 1: -2, 2: 1}}
SPAN = {0: 1, 1: 2, 2: 1, 3: 2}  # the stencil divided by span * step^order is the derivative


@pytest.mark.parametrize(
    "case",
    [
        (1, -4.0, 3.0, 0.4, 21.0, 0.03),
        (-1, 95.0, 60.0, 2.0, 14.0, -0.01),
        (1, 2.0, 2.0, 0.1, 5.0, 0.05),
    ],
    ids=lambda case: f"w={case[0]},F={case[1]:g},K={case[2]:g}",
)
def test_greeks_are_the_derivatives_they_say(case):
    """Central differences of a 60-digit price; forward and rate fixed, df = exp(-rT)."""
    w, F, K, T, vol, r = case
    got = bachelier.greeks(right=w, forward=F, strike=K, years=T, vol=vol, df=np.exp(-r * T))
    h = Decimal("1e-10")
    for name, orders in ORDERS.items():
        with localcontext() as context:
            context.prec = DIGITS + 20
            at = [Decimal(x) for x in (F, K, vol, T, r)]
            total = Decimal(0)
            for nodes in product(*(STENCIL[k].items() for k in orders)):
                weight = Decimal(int(np.prod([c for _, c in nodes])))
                U, X, v, t, rate = (a + i * h for a, (i, _) in zip(at, nodes, strict=True))
                total += weight * exact_price(w, U, X, t, v, rate)
            scale = Decimal(int(np.prod([SPAN[k] for k in orders]))) * h ** sum(orders)
            want = float(total / scale) * (-1.0 if orders[3] else 1.0)
        if name == "density":
            want /= np.exp(-r * T)
        assert getattr(got, name) == pytest.approx(want, rel=1e-12, abs=1e-16), name
    assert tuple(ORDERS) == NAMES


def test_limits_are_finite():
    """Expired or without vol: payoff, delta a step (half at F = K), no curvature, vega at F = K."""
    for years, vol in ((0.0, 20.0), (0.5, 0.0), (0.0, 0.0), (0.5, 1e-320)):
        got = bachelier.greeks(
            right=[1, -1, 1], forward=[-9, -9, -5.0], strike=-5.0, years=years, vol=vol, df=0.99
        )
        for name, value in got.items():
            assert np.isfinite(value).all(), name
        np.testing.assert_allclose(got.price, [0.0, 3.96, 0.0], rtol=EPS, atol=1e-300)
        np.testing.assert_array_equal(got.delta, [0.0, -0.99, 0.495])
        np.testing.assert_array_equal(got.gamma, 0.0)
        rate = -np.log(0.99) / years if years else 0.0
        np.testing.assert_allclose(got.theta, rate * got.price, rtol=1e-12, atol=1e-300)
        np.testing.assert_allclose(
            got.vega, [0, 0, 0.99 * np.sqrt(years / (2 * np.pi))], rtol=1e-14
        )


def test_a_block_is_what_its_elements_are(drawn):
    """700 rows cross two block borders; one at a time they are the same bits, price by price."""
    few = {name: values[:700] for name, values in drawn.items()}
    given = {name: values for name, values in few.items() if name != "vol"}
    whole, price = bachelier.greeks(**few), bachelier.price(**few)
    vol = bachelier.vol(price=price, **given).vol
    assert whole.price.tobytes() == price.tobytes()
    for i in range(700):
        row = {name: values[i] for name, values in few.items()}
        one = bachelier.greeks(**row)
        for name, value in one.items():
            assert value == getattr(whole, name)[i], (name, i)
        assert bachelier.price(**row) == price[i], i
        alone = {name: values[i] for name, values in given.items()}
        np.testing.assert_array_equal(bachelier.vol(price=price[i], **alone).vol, vol[i])


def test_a_price_is_the_same_bits_among_greeks_and_alone(drawn):
    for w in (1, -1):
        rows = {**drawn, "right": w}
        assert bachelier.greeks(**rows).price.tobytes() == bachelier.price(**rows).tobytes()


def test_every_bad_quote_gets_its_status():
    kw = {"right": 1, "forward": -10.0, "strike": -12.0, "years": 0.5}
    got = bachelier.vol(price=[2.0, 1.9, -1.0, np.nan, np.inf, 2.5], **kw)
    want = [Status.NO_VEGA, Status.BELOW_INTRINSIC, Status.BELOW_INTRINSIC] + [Status.BAD_INPUT] * 2
    np.testing.assert_array_equal(got.status, [*want, Status.OK])
    np.testing.assert_array_equal(np.isnan(got.vol), [True] * 5 + [False])
    nobody = bachelier.vol(price=0.0, right=-1, forward=-10.0, strike=-12.0, years=0.5)
    assert (float(nobody.vol), int(nobody.status)) == (0.0, Status.NO_VEGA)
    for bad in ({"years": 0.0}, {"df": -1.0}, {"forward": np.nan}, {"strike": np.inf}):
        odd = bachelier.vol(price=3.0, **{**kw, **bad})
        assert int(odd.status) == Status.BAD_INPUT and np.isnan(odd.vol)


def test_arguments_are_checked_and_containers_kept():
    pd = pytest.importorskip("pandas")
    with pytest.raises(InvalidInput, match=r"vol is nan USD per sqrt-year, must be >= 0"):
        bachelier.price(right=1, forward=-1.0, strike=1.0, years=1.0, vol=np.nan)
    with pytest.raises(InvalidInput, match=r"right is 'x', must be \+1 or 'c'"):
        bachelier.vol(price=1.0, right="x", forward=-1.0, strike=1.0, years=1.0)
    strike = pd.Series([1.0, 2.0], index=["a", "b"])
    got = bachelier.price(right="c", forward=-1.0, strike=strike, years=1.0, vol=3.0)
    assert list(got.index) == ["a", "b"]
    two = bachelier.greeks(
        right="c", forward=-1.0, strike=strike, years=1.0, vol=3.0, which=["vega", "price"]
    )
    assert [name for name, _ in two.items()] == ["vega", "price"]
    np.testing.assert_array_equal(two.price, got)
