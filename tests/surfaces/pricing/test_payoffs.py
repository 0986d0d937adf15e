"""Digitals and straddles: printed values, replication, differences, parity, inversion."""

import numpy as np
import pytest

from surfaces.errors import InvalidInput
from surfaces.pricing import black, implied, payoffs
from surfaces.status import Status

EPS = np.finfo(float).eps


def test_haug_1998_cash_or_nothing():
    """Haug (1998) 2.11.2: a put on a future, S 100, X 80, T 0.75, r = b + 0.06, b = 0, pays 10."""
    got = 10.0 * payoffs.digital_price(
        right=-1, forward=100.0, strike=80.0, years=0.75, vol=0.35, df=np.exp(-0.06 * 0.75)
    )
    assert got == pytest.approx(2.6710, abs=5e-5)


def test_haug_1998_asset_or_nothing():
    """Haug (1998) 2.11.3: a put, S 70, X 65, T 0.5, r 0.07, yield 0.05, vol 0.27."""
    forward, df = 70.0 * np.exp(0.02 * 0.5), np.exp(-0.07 * 0.5)
    got = payoffs.digital_price(
        right="p", forward=forward, strike=65.0, years=0.5, vol=0.27, df=df, pays="asset"
    )
    assert got == pytest.approx(20.2069, abs=5e-5)


def test_call_and_put_digitals_are_a_bond_and_a_forward(options):
    slope = 0.01 * np.sin(options["strike"]) / options["strike"]
    for pays, whole in (("cash", options["df"]), ("asset", options["df"] * options["forward"])):
        call, put = (
            payoffs.digital_price(**{**options, "right": w}, vol_slope=slope, pays=pays)
            for w in (1, -1)
        )
        scale = np.maximum(np.maximum(np.abs(call), np.abs(put)), whole)
        assert np.max(np.abs(call + put - whole) / scale) <= 16 * EPS


def test_the_option_is_its_asset_less_its_strike_in_cash(options):
    asset, cash = (payoffs.digital_price(**options, pays=pays) for pays in ("asset", "cash"))
    want = black.price(**options)
    made = options["right"] * (asset - options["strike"] * cash)
    scale = options["df"] * np.maximum(options["forward"], options["strike"])
    assert np.max(np.abs(made - want) / scale) <= 16 * EPS


@pytest.mark.parametrize("right", [1, -1])
def test_on_a_smile_a_digital_is_a_tight_spread(right):
    """Its price is the limit of a spread whose two strikes have their own vols: a line in K."""
    K, h, slope = np.array([80.0, 100.0, 115.0]), 1e-3, -0.002
    terms = {"right": right, "forward": 100.0, "years": 0.5, "df": 0.98}

    def option(strike):
        return black.price(**terms, strike=strike, vol=0.25 + slope * (strike - 100.0))

    spread = (
        8.0 * (option(K + h) - option(K - h)) - option(K + 2 * h) + option(K - 2 * h)
    ) / (12.0 * h)  # fmt: skip
    got = payoffs.digital_price(**terms, strike=K, vol=0.25 + slope * (K - 100.0), vol_slope=slope)
    np.testing.assert_allclose(got, -right * spread, atol=1e-10)
    flat = payoffs.digital_price(**terms, strike=K, vol=0.25 + slope * (K - 100.0))
    assert np.all(right * (got - flat) > 0.02)


STEPS = {"forward": 0.4, "vol": 0.002, "years": 0.002, "rate": 0.002}
ORDERS = {
    "delta": {"forward": 1}, "gamma": {"forward": 2}, "vega": {"vol": 1}, "theta": {"years": 1},
    "rho": {"rate": 1}, "vanna": {"forward": 1, "vol": 1}, "volga": {"vol": 2},
    "charm": {"forward": 1, "years": 1}, "speed": {"forward": 3},
    "zomma": {"forward": 2, "vol": 1}, "color": {"forward": 2, "years": 1},
}  # fmt: skip
NODES = np.array([-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0])
WEIGHTS = {  # seven points: sixth and fourth order
    1: np.array([-1, 9, -45, 0, 45, -9, 1]) / 60.0,
    2: np.array([2, -27, 270, -490, 270, -27, 2]) / 180.0,
    3: np.array([1, -8, 13, 0, -13, 8, -1]) / 8.0,
}


@pytest.mark.parametrize("pays", ["cash", "asset"])
@pytest.mark.parametrize(("right", "strike"), [(1, 92.0), (-1, 92.0), (1, 118.0)])
def test_digital_greeks_are_the_derivatives_they_say(right, strike, pays):
    """Forward, vol, slope and rate fixed in turn; df = exp(-rate years)."""
    base = {"forward": 100.0, "vol": 0.3, "years": 0.6, "rate": 0.04}
    fixed = {"right": right, "strike": strike, "vol_slope": -0.0015, "pays": pays}

    def at(**moved) -> float:
        terms = {name: value + moved.get(name, 0.0) for name, value in base.items()}
        df = np.exp(-terms.pop("rate") * terms["years"])
        return float(payoffs.digital_price(**terms, **fixed, df=df))

    rest = {name: value for name, value in base.items() if name != "rate"}
    got = payoffs.digital_greeks(**rest, **fixed, df=np.exp(-0.04 * 0.6))
    assert got.price == at()
    scale = 1.0 if pays == "cash" else strike
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
        assert getattr(got, name) == pytest.approx(want, rel=3e-6, abs=1e-9 * scale), name


def test_digitals_at_the_end_are_steps():
    for years, vol in ((0.0, 0.2), (0.5, 0.0)):
        got = payoffs.digital_greeks(
            right=[1, 1, 1, -1], forward=[90, 100, 110, 90.0], strike=100.0, years=years,
            vol=vol, df=0.97,
        )  # fmt: skip
        np.testing.assert_array_equal(got.price, 0.97 * np.array([0.0, 0.5, 1.0, 1.0]))
        for name, value in got.items():
            assert np.isfinite(value).all(), name
        rate = -np.log(0.97) / years if years else 0.0
        np.testing.assert_allclose(got.theta, rate * got.price, rtol=1e-15)
        np.testing.assert_array_equal(got.rho, -years * got.price)
        np.testing.assert_array_equal([got.delta, got.gamma, got.vega, got.vanna], 0.0)


def test_straddle_is_call_and_put_and_brenner_subrahmanyam_at_the_forward():
    """2 F N(s/2) - F, about sqrt(2/pi) s F (1 - s^2/24) for a small s = vol sqrt(T)."""
    s = 0.2 * np.sqrt(0.25)
    got = payoffs.straddle_price(forward=100.0, years=0.25, vol=0.2, df=0.99)
    want = 0.99 * 100.0 * np.sqrt(2 / np.pi) * s * (1 - s * s / 24)
    assert got == pytest.approx(want, rel=s**4 / 600)
    terms = {"forward": 100.0, "strike": 93.0, "years": 0.25, "vol": 0.2, "df": 0.99}
    both = black.price(right=1, **terms) + black.price(right=-1, **terms)
    assert payoffs.straddle_price(**terms) == both


def test_straddle_vol_inverts_the_price(options):
    near = {name: options[name] for name in ("forward", "years", "vol", "df")}
    near["strike"] = options["forward"] * np.exp(0.5 * options["vol"] * np.sqrt(options["years"]))
    price = payoffs.straddle_price(**near)
    given = {name: values for name, values in near.items() if name != "vol"}
    sound = near["vol"] * np.sqrt(near["years"]) < 4.0
    got = payoffs.straddle_vol(price=price, **given)
    assert got.ok[sound].all(), got.why()
    # rounding the price, which the intrinsic part and the cap amplify
    np.testing.assert_allclose(got.vol[sound], near["vol"][sound], rtol=1e-12)
    at = payoffs.straddle_vol(price=price, forward=near["forward"], years=near["years"])
    want = implied.vol(
        price=price / 2, right=1, forward=near["forward"], strike=near["forward"],
        years=near["years"],
    )  # fmt: skip
    np.testing.assert_array_equal(at.status, want.status)
    np.testing.assert_allclose(at.vol, want.vol, rtol=1e-15)


def test_straddle_statuses():
    got = payoffs.straddle_vol(
        price=[10.0, 9.0, 300.0, np.nan, 12.0], forward=100.0, strike=110.0, years=0.5
    )
    want = [Status.NO_VEGA, Status.BELOW_INTRINSIC, Status.ABOVE_BOUND, Status.BAD_INPUT, Status.OK]
    np.testing.assert_array_equal(got.status, want)
    assert got.vol[0] == 0.0 and np.isnan(got.vol[1:4]).all()
    bad = payoffs.straddle_vol(price=5.0, forward=np.inf, years=0.5)
    assert int(bad.status) == Status.BAD_INPUT


def test_implied_move_is_the_mean_absolute_move():
    """By quadrature of |S - F| over a lognormal S; at break-even the payoff is the cost."""
    F, T, vol, df = 80.0, 0.4, 0.5, 0.97
    z, weight = np.polynomial.legendre.leggauss(400)
    z, weight = 4.0 * z, 4.0 * weight
    s = vol * np.sqrt(T)
    total = 0.0
    for side in (-1.0, 1.0):  # the kink of |S - F| is at z = s / 2
        x = 0.5 * s + side * (z + 4.0)
        total += np.sum(weight * np.abs(np.exp(s * x - 0.5 * s * s) - 1.0)
                        * np.exp(-0.5 * x * x)) / np.sqrt(2 * np.pi)  # fmt: skip
    price = payoffs.straddle_price(forward=F, years=T, vol=vol, df=df)
    assert payoffs.implied_move(price=price, forward=F, df=df) == pytest.approx(total, rel=1e-12)
    low, high = payoffs.break_evens(price=price, strike=F, df=df)
    for end in (low, high):
        assert df * abs(end - F) == pytest.approx(price, rel=1e-14)
    assert low < F < high


def test_mistakes_are_named_and_containers_kept():
    pd = pytest.importorskip("pandas")
    terms = {"forward": 100.0, "years": 0.5, "vol": 0.2}
    with pytest.raises(InvalidInput, match=r"pays is 'gold', must be 'cash' or 'asset'"):
        payoffs.digital_price(right=1, strike=100.0, pays="gold", **terms)
    with pytest.raises(InvalidInput, match=r"vol_slope is nan per USD, must be finite"):
        payoffs.digital_price(right=1, strike=100.0, vol_slope=np.nan, **terms)
    with pytest.raises(InvalidInput, match=r"which is 'density', must be some of price"):
        payoffs.digital_greeks(right=1, strike=100.0, which=["density"], **terms)
    with pytest.raises(InvalidInput, match=r"forward is 0 USD, must be > 0"):
        payoffs.implied_move(price=1.0, forward=0.0)
    with pytest.raises(InvalidInput, match=r"price is -1 USD, must be >= 0"):
        payoffs.break_evens(price=-1.0, strike=100.0)
    for bad in ("100", True):
        for function in (payoffs.digital_price, payoffs.digital_greeks):
            with pytest.raises(InvalidInput, match=rf"forward is '?{bad}'?, must be a number"):
                function(right=1, strike=100.0, **{**terms, "forward": bad})
        with pytest.raises(InvalidInput, match=rf"strike is '?{bad}'?, must be a number"):
            payoffs.straddle_vol(price=9.0, strike=bad, forward=100.0, years=0.5)
        with pytest.raises(InvalidInput, match=rf"df is '?{bad}'?, must be a number"):
            payoffs.straddle_vol(price=9.0, forward=100.0, years=0.5, df=bad)
    two, three = [3.0, 4.0], [100.0, 101.0, 102.0]
    for function in (
        lambda: payoffs.implied_move(price=two, forward=three),
        lambda: payoffs.break_evens(price=two, strike=three),
        lambda: payoffs.straddle_vol(price=two, forward=three, years=0.5),
    ):
        with pytest.raises(InvalidInput, match=r"shapes \(2,\), \(3,\).* do not broadcast"):
            function()
    strike = pd.Series([95.0, 105.0], index=["a", "b"])
    for got in (
        payoffs.digital_price(right="c", strike=strike, **terms),
        payoffs.straddle_price(strike=strike, **terms),
        payoffs.straddle_vol(price=12.0, strike=strike, forward=100.0, years=0.5).vol,
        payoffs.break_evens(price=3.0, strike=strike)[0],
        payoffs.implied_move(price=3.0, forward=strike),
    ):
        assert list(got.index) == ["a", "b"]
