"""Two exercise boundaries (put: q < r < 0): QuantLib's grid, a tree of our own, identities."""

import numpy as np
import pytest

from surfaces.pricing import american, bsm
from surfaces.status import Status

# right, spot, strike, days, vol, rate, yield: boundaries that never meet, that meet within the
# life, and that meet after hours; under, between and over them
CASES = [
    (-1, 80.0, 100.0, 274, 0.30, -0.005, -0.01),
    (-1, 80.0, 100.0, 3650, 0.08, -0.005, -0.01),
    (-1, 95.0, 100.0, 730, 0.15, -0.010, -0.04),
    (-1, 44.0, 100.0, 365, 0.20, -0.020, -0.05),
    (-1, 30.0, 100.0, 1500, 0.15, -0.010, -0.04),
    (-1, 100.0, 100.0, 3650, 0.10, -0.012, -0.016),
    (-1, 75.0, 100.0, 3650, 0.40, -0.012, -0.016),
    (1, 120.0, 100.0, 365, 0.25, -0.040, -0.015),
    (1, 300.0, 100.0, 1000, 0.12, -0.040, -0.02),
]


def as_columns(cases) -> dict[str, np.ndarray]:
    names = ("right", "spot", "strike", "years", "vol", "rate", "dividend_yield")
    out = dict(zip(names, np.array(cases, np.float64).T.copy(), strict=True))
    return out | {"years": out["years"] / 365}


@pytest.fixture(scope="module")
def drawn() -> dict[str, np.ndarray]:
    """300 options with two boundaries: four days to twenty years, vols 3 % to 80 %."""
    rng, n = np.random.default_rng(8), 300
    w = rng.choice([-1.0, 1.0], n)
    earned = -rng.uniform(0.001, 0.04, n)
    other = earned - rng.uniform(0.0005, 0.04, n)
    return {
        "right": w,
        "spot": 100.0 * np.exp(rng.uniform(-0.7, 0.4, n)),
        "strike": np.full(n, 100.0),
        "years": np.exp(rng.uniform(np.log(0.01), np.log(20.0), n)),
        "vol": np.exp(rng.uniform(np.log(0.03), np.log(0.8), n)),
        "rate": np.where(w > 0, other, earned),
        "dividend_yield": np.where(w > 0, earned, other),
    }


def on_grid(ql, case, steps) -> float:
    """QuantLib's finite differences, `steps` in time and twice as many in space."""
    w, spot, strike, days, vol, r, q = case
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
    option.setPricingEngine(ql.FdBlackScholesVanillaEngine(process, steps, 2 * steps, 0))
    return option.NPV()


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"S={case[1]:g},days={case[3]}")
def test_agrees_with_quantlibs_finite_differences(ql, case):
    """The grid is of first order in time: it may be off by what its last halving changed."""
    coarse, fine = on_grid(ql, case, 400), on_grid(ql, case, 800)
    got = float(american.price(**as_columns([case]))[0])
    assert abs(got - (2 * fine - coarse)) <= 0.5 * abs(fine - coarse) + 1e-5 * case[2]


def binomial(w, S, K, T, vol, r, q, steps) -> float:
    """Jarrow-Rudd tree with an American payoff; error of order 1 / steps."""
    dt = T / steps
    drift = (r - q - 0.5 * vol * vol) * dt
    k = np.arange(steps + 1)
    prices = S * np.exp(drift * steps + vol * np.sqrt(dt) * (2.0 * k - steps))
    up = (np.exp((r - q) * dt - drift) - np.exp(-vol * np.sqrt(dt))) / (
        2.0 * np.sinh(vol * np.sqrt(dt))
    )
    value = np.maximum(w * (prices - K), 0.0)
    for n in range(steps - 1, -1, -1):
        prices = S * np.exp(drift * n + vol * np.sqrt(dt) * (2.0 * np.arange(n + 1) - n))
        value = np.exp(-r * dt) * (up * value[1:] + (1.0 - up) * value[:-1])
        value = np.maximum(value, w * (prices - K))
    return float(value[0])


@pytest.mark.parametrize("case", CASES[:4], ids=lambda case: f"S={case[1]:g},days={case[3]}")
def test_agrees_with_a_binomial_tree(case):
    w, spot, strike, days, vol, r, q = case
    trees = [binomial(w, spot, strike, days / 365, vol, r, q, n) for n in (1000, 1001, 2000, 2001)]
    tree = sum(trees[2:]) - sum(trees[:2]) / 2  # even and odd averaged, then extrapolated
    got = float(american.price(**as_columns([case]))[0])
    assert got == pytest.approx(tree, abs=1e-5 * strike)


def test_healys_example():
    """J. Healy's AQFED prints 22.37298 with a coarse scheme (7 nodes), QuantLib's grid 22.37295."""
    got = american.price(right=-1, spot=80.0, strike=100.0, years=0.75, vol=0.3, rate=-0.005,
                         dividend_yield=-0.01)  # fmt: skip
    assert got == pytest.approx(22.372978113275483, abs=5e-5)


def test_bounds_symmetry_and_continuity(drawn):
    """At least European and intrinsic; put and call change places; the seam r = 0 is smooth."""
    price = american.price(**drawn)
    w, S, K = (drawn[name] for name in ("right", "spot", "strike"))
    assert np.all(price >= bsm.price(**drawn) - 1e-11)
    assert np.all(price >= w * (S - K))
    np.testing.assert_allclose(american.premium(**drawn), price - bsm.price(**drawn), atol=1e-10)
    swapped = drawn | {"right": -w, "spot": K, "strike": S, "rate": drawn["dividend_yield"],
                       "dividend_yield": drawn["rate"]}  # fmt: skip
    np.testing.assert_allclose(american.price(**swapped), price, rtol=1e-10)
    kw = {"right": -1, "spot": 90.0, "strike": 100.0, "years": 2.0, "vol": 0.2}
    near, at = (american.price(rate=r, dividend_yield=-0.03, **kw) for r in (-1e-9, 0.0))
    assert near == pytest.approx(float(at), abs=1e-4)


def test_rises_with_vol_and_vol_inverts_it(drawn):
    price = american.price(**drawn)
    more = american.price(**drawn | {"vol": 1.02 * drawn["vol"]})
    assert np.all(more >= price - 1e-9 * drawn["strike"])
    args = {name: values for name, values in drawn.items() if name != "vol"}
    alive = price > american.price(**args, vol=0.0) + 1e-4
    got = american.vol(price=price, **args)
    assert got.ok[alive].all(), got.why()
    few = {name: values[alive] for name, values in args.items()}
    again = american.price(**few, vol=got.vol[alive])
    np.testing.assert_allclose(again, price[alive], rtol=1e-9)
    kw = {"right": -1, "spot": 80.0, "strike": 100.0, "years": 1.0, "rate": -0.02,
          "dividend_yield": -0.03}  # fmt: skip
    bad = american.vol(price=[19.0, 150.0, np.nan], **kw)
    assert bad.status.tolist() == [Status.BELOW_INTRINSIC, Status.ABOVE_BOUND, Status.BAD_INPUT]


def test_greeks_are_differences_of_the_price(drawn):
    """Where the option is not exercised nor close to it."""
    few = {name: values[:60] for name, values in drawn.items()}
    got = american.greeks(**few)
    dS = 0.02 * few["spot"] * few["vol"] * np.sqrt(few["years"])
    dv, dr, dT = 0.01 * few["vol"], np.full(60, 1e-4), 0.004 * few["years"]

    def moved(name, step):
        return american.price(**few | {name: few[name] + step})

    want = {
        "delta": (moved("spot", dS) - moved("spot", -dS)) / (2 * dS),
        "gamma": (moved("spot", dS) - 2 * got.price + moved("spot", -dS)) / dS**2,
        "vega": (moved("vol", dv) - moved("vol", -dv)) / (2 * dv),
        "rho": (moved("rate", dr) - moved("rate", -dr)) / (2 * dr),
        "theta": (moved("years", -dT) - moved("years", dT)) / (2 * dT),
    }
    intrinsic = np.maximum(few["right"] * (few["spot"] - few["strike"]), 0.0)
    clear = (got.price > intrinsic + 0.02) & (dr < 0.2 * np.abs(few["rate"]))
    assert clear.sum() > 20
    for name, value in want.items():
        error = np.abs(getattr(got, name) - value)[clear]
        assert error.max() <= 3e-3 * np.abs(value[clear]).max(), name


def test_region_is_between_the_boundaries():
    kw = {"strike": 100.0, "vol": 0.15, "rate": -0.01, "dividend_yield": -0.04}
    region = american.boundary(right=-1, years=[0.0, 2.0, 60.0], **kw)
    assert region.lower[0] == pytest.approx(25.0)  # strike * rate / dividend_yield
    assert region.upper[0] == 100.0
    low, high = region.lower[1], region.upper[1]
    assert 25.0 < low < high < 100.0
    assert region.critical[1] == high
    spots = np.array([low * 0.98, low * 1.001, high * 0.999, high * 1.02])
    price = american.price(right=-1, spot=spots, years=2.0, **kw)
    assert (price - (100.0 - spots) > 1e-6).tolist() == [True, False, False, True]
    wide = american.boundary(right=-1, years=30.0, **kw | {"vol": 0.4})
    assert np.isnan(wide.critical)  # they have met: nobody exercises that early
