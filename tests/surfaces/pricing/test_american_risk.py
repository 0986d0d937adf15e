"""American Greeks against differences of a finer price, and American implied vol."""

import numpy as np
import pytest

from surfaces.kernels import american as kernel
from surfaces.kernels import american_tables as tables
from surfaces.pricing import american, bsm, implied
from surfaces.status import Status

FINE = tables.build(nodes=16, inner=30, outer=120, newton=3, sweeps=8)


@pytest.fixture(scope="module")
def book() -> dict[str, np.ndarray]:
    """Live options (not to be exercised, not near it), three days to two years."""
    rng, n = np.random.default_rng(2), 250
    years = np.exp(rng.uniform(np.log(3 / 365), np.log(2.0), n))
    vol = np.exp(rng.uniform(np.log(0.1), np.log(0.8), n))
    out = {
        "right": rng.choice([-1.0, 1.0], n),
        "spot": np.full(n, 100.0),
        "strike": 100.0 * np.exp(rng.uniform(-1.5, 1.5, n) * vol * np.sqrt(years)),
        "years": years,
        "vol": vol,
        "rate": rng.uniform(0.005, 0.08, n),
        "dividend_yield": rng.uniform(0.005, 0.08, n),
    }
    spare = fine(out) - np.maximum(out["right"] * (out["spot"] - out["strike"]), 0.0)
    return {name: values[spare > 0.05] for name, values in out.items()}


def fine(args: dict[str, np.ndarray], **changed: np.ndarray) -> np.ndarray:
    """Premium plus European on a fine grid, whose differences are smooth."""
    order = ("right", "spot", "strike", "years", "vol", "rate", "dividend_yield")
    columns = [np.ascontiguousarray((args | changed)[name]) for name in order]
    price, premium = np.empty(columns[0].size), np.empty(columns[0].size)
    for hard in (0, 1):  # the same fine engine for both kinds of rows
        kernel.fill_price(*columns, hard, tables.fresh(FINE), price, premium)
    return price


def first(book, name, step):
    """Central difference with one Richardson step: error of order step^4."""
    x = book[name]

    def central(h):
        return (fine(book, **{name: x + h}) - fine(book, **{name: x - h})) / (2 * h)

    return (4 * central(step) - central(2 * step)) / 3


def second(book, name, step):
    """Second central difference with one Richardson step."""
    x, mid = book[name], fine(book)

    def central(h):
        return (fine(book, **{name: x + h}) - 2 * mid + fine(book, **{name: x - h})) / h**2

    return (4 * central(step) - central(2 * step)) / 3


def mixed(book, one, step, two, other):
    """Cross difference."""
    total = 0.0
    for i in (1, -1):
        for j in (1, -1):
            moved = {one: book[one] + i * step, two: book[two] + j * other}
            total = total + i * j * fine(book, **moved)
    return total / (4 * step * other)


@pytest.mark.parametrize("accuracy", ["fast", "precise"])
def test_greeks_are_the_derivatives_they_say(book, accuracy):
    """Tolerances: a share of the book's largest value of that Greek, from the price's error."""
    got = american.greeks(**book, accuracy=accuracy)
    # a step of 4 % of a standard deviation, so short options are resolved as well as long ones
    dS = 0.04 * book["spot"] * book["vol"] * np.sqrt(book["years"])
    dv, dT, dr = 0.01 * book["vol"], 0.01 * book["years"], np.full(dS.size, 2e-4)
    want = {
        "price": fine(book),
        "delta": first(book, "spot", dS),
        "gamma": second(book, "spot", dS),
        "vega": first(book, "vol", dv),
        "theta": -first(book, "years", dT),
        "rho": first(book, "rate", dr),
        "volga": second(book, "vol", dv),
        "vanna": mixed(book, "spot", 0.5 * dS, "vol", dv),
        "charm": -mixed(book, "spot", 0.5 * dS, "years", dT),
    }
    tight = 1e-3 if accuracy == "precise" else 3e-3
    for name, value in want.items():
        error = np.abs(getattr(got, name) - value)
        share = error / np.max(np.abs(value))
        limit = tight if name in ("price", "delta", "gamma", "vega", "theta", "rho") else 4 * tight
        worst = int(np.argmax(share))
        assert share[worst] <= limit, (name, {k: v[worst] for k, v in book.items()})


def test_gamma_bends_delta_and_color_moves_gamma(book):
    """speed, zomma and color are differences of our own gamma, where it is smooth."""
    got = american.greeks(**book, accuracy="precise")
    dS = 0.02 * book["spot"] * book["vol"] * np.sqrt(book["years"])

    def gamma(**changed):
        return american.greeks(**(book | changed), accuracy="precise").gamma

    checks = {
        "speed": (gamma(spot=book["spot"] + dS) - gamma(spot=book["spot"] - dS)) / (2 * dS),
        "zomma": (gamma(vol=book["vol"] * 1.01) - gamma(vol=book["vol"] * 0.99))
        / (0.02 * book["vol"]),
        "color": -(gamma(years=book["years"] * 1.01) - gamma(years=book["years"] * 0.99))
        / (0.02 * book["years"]),
    }
    for name, value in checks.items():
        share = np.abs(getattr(got, name) - value) / np.max(np.abs(value))
        assert share.max() <= 5e-3, name


def test_greeks_without_early_exercise_are_european():
    kw = {
        "right": 1,
        "spot": 100.0,
        "strike": [90.0, 110.0],
        "years": 0.5,
        "vol": 0.3,
        "rate": 0.05,
    }
    ours, plain = american.greeks(**kw), bsm.greeks(**kw)
    for name, value in ours.items():
        np.testing.assert_allclose(value, getattr(plain, name), rtol=1e-13, err_msg=name)


# what "fast" Greeks of 99 rows of 100 stay within of "precise" ones at spot 100, as stated
FAST = {"delta": 5e-6, "gamma": 2e-5, "vega": 5e-4, "theta": 2e-3, "rho": 0.01, "vanna": 1e-3,
        "volga": 0.1, "charm": 0.03, "speed": 2e-4, "zomma": 0.015, "color": 0.6}  # fmt: skip


def test_fast_greeks_are_as_near_precise_ones_as_stated():
    rng, n = np.random.default_rng(17), 6_000
    years = np.exp(rng.uniform(0.0, np.log(730.0), n)) / 365.0
    vol = np.exp(rng.uniform(np.log(0.06), np.log(0.8), n))
    strike = 100.0 * np.exp(rng.uniform(-2.5, 2.5, n) * vol * np.sqrt(years))
    rows = {"right": rng.choice([-1.0, 1.0], n), "spot": 100.0, "strike": strike, "years": years,
            "vol": vol, "rate": rng.uniform(0.0, 0.08, n),
            "dividend_yield": rng.uniform(0.0, 0.08, n)}  # fmt: skip
    fast, precise = (american.greeks(**rows, accuracy=mode) for mode in ("fast", "precise"))
    for name, stated in FAST.items():
        gap = np.abs(getattr(fast, name) - getattr(precise, name))
        assert np.quantile(gap, 0.99) <= stated, name


@pytest.mark.parametrize("accuracy", ["fast", "precise"])
def test_which_changes_no_number(book, accuracy):
    """Any choice gives the numbers of the whole, and price is `price` to the last bit."""
    few = {name: values[:40] for name, values in book.items()}
    whole = american.greeks(**few, accuracy=accuracy)
    assert whole.price.tobytes() == american.price(**few, accuracy=accuracy).tobytes()
    flat = ["price", "delta", "gamma", "theta", "charm", "speed", "color", "dual_delta"]
    for which in (flat, ["vega", "volga", "vanna", "zomma"], ["rho"], ["rho", "delta", "vega"]):
        got = american.greeks(**few, accuracy=accuracy, which=which)
        assert list(got.values) == which
        for name in which:
            np.testing.assert_array_equal(getattr(got, name), getattr(whole, name), err_msg=name)


def test_price_row_of_greeks_has_no_minus_zero():
    kw = {"right": -1, "spot": 100.0, "strike": 100.0, "years": 0.0, "vol": 0.2, "rate": 0.05}
    assert np.signbit(american.price(**kw)) == np.signbit(american.greeks(**kw).price) == 0


def test_two_boundaries_which_and_price():
    strike = np.array([90.0, 100.0, 115.0])
    kw = {"right": -1, "spot": 100.0, "strike": strike, "years": 1.0, "vol": 0.1, "rate": -0.01,
          "dividend_yield": -0.04}  # fmt: skip
    whole = american.greeks(**kw)
    assert whole.price.tobytes() == american.price(**kw).tobytes()
    for name in ("delta", "vega", "rho"):
        got = american.greeks(**kw, which=name)
        np.testing.assert_array_equal(getattr(got, name), getattr(whole, name))


@pytest.mark.parametrize("right", [1, -1])
def test_rho_does_not_jump_where_early_exercise_begins(right):
    """At rate = yield = 0 rho is that of the side with a premium: a step of 1 bp of the price."""
    kw = {"right": right, "spot": 100.0, "strike": 100.0, "years": 1.0, "vol": 0.2}
    at, near, beyond = (
        float(american.greeks(**kw, rate=-right * r, which="rho").rho) for r in (0.0, 1e-8, 1e-4)
    )
    assert at == pytest.approx(near, abs=1e-2)
    assert at == pytest.approx(beyond, abs=1.0)
    step = -right * 1e-4
    moved = american.price(**kw, rate=step, accuracy="precise")
    slope = (moved - american.price(**kw, rate=0.0, accuracy="precise")) / step
    assert at == pytest.approx(float(slope), abs=0.05)


def test_greeks_are_finite_at_the_corners():
    corners = np.array(np.meshgrid([1.0, -1.0], [80.0, 100.0, 125.0], [0.0, 1e-7, 0.5],
                                   [0.0, 1e-7, 0.3], [0.0, 0.05], [0.05, 0.0]))  # fmt: skip
    w, spot, years, vol, r, q = corners.reshape(6, -1)
    got = american.greeks(right=w, spot=spot, strike=100.0, years=years, vol=vol, rate=r,
                          dividend_yield=q)  # fmt: skip
    for name, value in got.items():
        assert np.isfinite(value).all(), name


@pytest.mark.parametrize("accuracy", ["fast", "precise"])
def test_vol_inverts_price(book, accuracy):
    args = {name: values for name, values in book.items() if name != "vol"}
    price = american.price(**book, accuracy=accuracy)
    got = american.vol(price=price, **args, accuracy=accuracy)
    assert got.ok.all(), got.why()
    again = american.price(**args, vol=got.vol, accuracy=accuracy)
    np.testing.assert_allclose(again, price, rtol=1e-10)
    assert np.max(np.abs(got.vol - book["vol"])) <= 1e-6


def test_vol_of_bad_quotes():
    kw = {"right": -1, "spot": 80.0, "strike": 100.0, "years": 0.5, "rate": 0.05}
    prices = [20.5, 19.99, 20.0, 100.0, 101.0, np.nan, -1.0, 99.0]
    got = american.vol(price=prices, **kw)
    S = Status
    want = [S.OK, S.BELOW_INTRINSIC, S.NO_VEGA, S.ABOVE_BOUND, S.ABOVE_BOUND, S.BAD_INPUT,
            S.BELOW_INTRINSIC, S.OK]  # fmt: skip
    assert got.status.tolist() == want
    assert np.array_equal(np.isfinite(got.vol), got.ok)
    expired = american.vol(price=1.0, **{**kw, "years": 0.0})
    assert int(expired.status) == S.BAD_INPUT
    for r, q in ((8.0, 0.0), (-8.0, 0.0), (0.05, 8.0), (-0.05, -8.0)):  # e^800 is no number
        far = kw | {"years": 100.0, "rate": r, "dividend_yield": q}
        assert int(american.vol(price=25.0, **far).status) == S.BAD_INPUT


def test_vol_without_early_exercise_is_the_european_one():
    forward = 100.0 * np.exp(0.05 * 0.5)
    ours = american.vol(price=8.0, right=1, spot=100.0, strike=100.0, years=0.5, rate=0.05)
    plain = implied.vol(price=8.0, right=1, forward=forward, strike=100.0, years=0.5,
                        df=np.exp(-0.05 * 0.5))  # fmt: skip
    assert ours.vol == pytest.approx(float(plain.vol), rel=1e-14)


def test_vol_next_to_the_european_one_is_solved_to_the_end():
    """The second secant step lands on the root; halving the bracket from there used to stop early,
    a part in 100,000 away."""
    kw = {"right": 1.0, "spot": 403.73371283133906, "strike": 406.3180727132949,
          "years": 0.01680799885120369, "rate": 0.03004, "dividend_yield": 0.03004}  # fmt: skip
    vols = 0.0724 + np.linspace(0.0, 1e-3, 200)
    got = american.vol(price=american.price(vol=vols, **kw), **kw)
    np.testing.assert_allclose(got.vol, vols, rtol=1e-12)


def test_a_price_without_time_value_holds_no_vol():
    """A day's carry is all that a call far in the money has above intrinsic: any vol makes it."""
    kw = {"right": 1, "spot": 561.2, "strike": 450.0, "years": 1 / 365, "rate": 0.043,
          "dividend_yield": 0.012}  # fmt: skip
    price = american.price(**kw, vol=[0.1, 0.28])
    assert price[0] == price[1]
    got = american.vol(price=price, **kw)
    assert (got.status == Status.NO_VEGA).all()
    assert np.isnan(got.vol).all()
    cheap = american.vol(price=1e-30, **kw | {"strike": 700.0})
    assert cheap.ok  # out of the money any price holds one
    again = american.price(**kw | {"strike": 700.0}, vol=cheap.vol)
    assert again == pytest.approx(1e-30, rel=1e-9)
