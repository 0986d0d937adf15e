"""American options with cash dividends on drawn rows, to the error that `american_cash` states.

STATED is (root mean square, what 99 rows of 100 stay within, worst), in USD at spot 560, and times
strike over spot where that is larger.
"""

import numpy as np
import pytest

from surfaces.kernels.pde_cash import Plan
from surfaces.pricing import american, american_cash, bsm, cash_european
from surfaces.pricing.dividends import Dividends
from surfaces.status import Status

STATED = {"fast": (2e-3, 5e-3, 0.2), "precise": (5e-4, 6e-4, 0.1)}
EUROPEAN = {"fast": (1e-4, 3e-3), "precise": (1e-5, 2e-4)}  # root mean square, worst
PLAIN = {"fast": (1e-3, 0.05), "precise": (2e-4, 5e-3)}  # the same, no dividend before expiry
QUARTERLY = Dividends.declared(years=[0.1, 0.35, 0.6, 0.85, 1.1, 1.35], cash=1.80)


@pytest.fixture(scope="module", params=STATED)
def mode(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def rows() -> dict[str, np.ndarray]:
    """Two thousand listed options: three days to 18 months, 8 % to 80 %, rates 0 to 7 %."""
    rng, n = np.random.default_rng(81), 2_000
    years = np.exp(rng.uniform(np.log(3 / 365), np.log(1.5), n))
    vol = np.exp(rng.uniform(np.log(0.08), np.log(0.8), n))
    reach = np.clip(rng.uniform(-3.0, 3.0, n) * vol * np.sqrt(years), -0.7, 0.7)
    return {
        "right": rng.choice([-1.0, 1.0], n),
        "spot": np.full(n, 560.0),
        "strike": 560.0 * np.exp(reach),
        "years": years,
        "vol": vol,
        "rate": rng.uniform(0.0, 0.07, n),
        "dividend_yield": np.where(rng.random(n) < 0.5, 0.0, rng.uniform(0.0, 0.02, n)),
    }


def size(rows) -> np.ndarray:
    """What stated errors are multiplied with."""
    return np.maximum(rows["strike"] / 560.0, 1.0)


@pytest.fixture(scope="module")
def hold(mode, within):
    """Asserts that a violation is within `times` what is stated: of every row, and of most."""

    def check(violation, times, rows, what):
        _, most, worst = STATED[mode]
        within(violation, times * worst * size(rows), rows, what)
        assert np.mean(np.abs(violation) > times * most * size(rows)) <= 0.01, what

    return check


@pytest.fixture(scope="module")
def price(mode, rows) -> np.ndarray:
    return american_cash.price(**rows, dividends=QUARTERLY, accuracy=mode)


def test_without_a_dividend_it_is_the_yield_engine(mode, rows, within):
    late = Dividends.declared(years=[2.0], cash=[5.0])
    got = american_cash.price(**rows, dividends=late, accuracy=mode)
    error = got - american.price(**rows, accuracy="precise")
    usual, worst = PLAIN[mode]
    within(error, worst * size(rows), rows, "no dividend")
    assert np.sqrt(np.mean((error / size(rows)) ** 2)) <= usual


def test_error_against_a_finer_grid(mode, rows, price, hold, monkeypatch):
    """American, with the dividends: a grid five times as fine as "fast"."""
    few = {name: v[:250] for name, v in rows.items()}
    fine = Plan(h=0.03, steps=110.0, reach=6.0, felt=6.0, most=4000, widest=0.06)
    monkeypatch.setattr(american_cash, "_plan", lambda _: fine)
    error = price[:250] - american_cash.price(**few, dividends=QUARTERLY)
    hold(error, 1, few, "finer grid")
    assert np.sqrt(np.mean((error / size(few)) ** 2)) <= STATED[mode][0]


def test_european_exercise_is_the_exact_quadrature(mode, rows, within):
    kw = {**rows, "dividends": QUARTERLY}
    got = american_cash.price(**kw, accuracy=mode, exercise="european")
    error = got - cash_european.price(**kw)
    usual, worst = EUROPEAN[mode]
    within(error, worst * size(rows), rows, "european")
    assert np.sqrt(np.mean((error / size(rows)) ** 2)) <= usual


def test_bounds(rows, price, hold):
    """Exercise now exactly; the European and exercise just before any ex-date to the error."""
    w, S, K, T = (rows[name] for name in ("right", "spot", "strike", "years"))
    assert np.all(price >= np.maximum(w * (S - K), 0.0))
    european = cash_european.price(**rows, dividends=QUARTERLY)
    hold(np.minimum(price - european, 0.0), 1, rows, "European")
    calls = w > 0
    for date in QUARTERLY.years:  # the right to exercise then is worth a European to that date
        before = Dividends.declared(years=QUARTERLY.years[QUARTERLY.years < date], cash=1.80)
        some = calls & (date <= T)
        few = {name: v[some] for name, v in rows.items()} | {"years": np.full(some.sum(), date)}
        least = cash_european.price(**few, dividends=before)
        hold(np.minimum(price[some] - least, 0.0), 1, few, f"exercise before {date}")
    # the dividends only lower the share: a call is worth less with them, a put more
    plain = american.price(**rows, accuracy="precise")
    hold(np.minimum(w * (plain - price), 0.0), 1, rows, "against no dividends")


def test_orders_in_strike_and_vol(mode, rows, price, hold):
    kw = {"dividends": QUARTERLY, "accuracy": mode}
    step = 0.02 * rows["strike"]
    low, high = (
        american_cash.price(**{**rows, "strike": rows["strike"] + i * step}, **kw) for i in (-1, 1)
    )
    hold(np.minimum(rows["right"] * (low - price), 0.0), 2, rows, "monotone")
    hold(np.minimum(low + high - 2 * price, 0.0), 4, rows, "convex")
    more = american_cash.price(**{**rows, "vol": 1.02 * rows["vol"]}, **kw)
    hold(np.minimum(more - price, 0.0), 2, rows, "rising in vol")


def test_scaling_all_money_scales_the_price(mode, rows, price, within):
    moved = {name: 2.0 * rows[name] for name in ("spot", "strike")}
    double = Dividends.declared(years=QUARTERLY.years, cash=2.0 * QUARTERLY.cash)
    got = american_cash.price(**{**rows, **moved}, dividends=double, accuracy=mode)
    within(got / 2.0 - price, 1e-9 * rows["strike"], rows, "homogeneous")


def test_vol_of_price_gives_the_price_back(mode, rows, price, hold):
    """To the stated error: the grid, and with it the error, changes by steps as vol moves."""
    few = {name: v[:500] for name, v in rows.items()}
    quotes = {name: v for name, v in few.items() if name != "vol"} | {"price": price[:500]}
    got = american_cash.vol(**quotes, dividends=QUARTERLY, accuracy=mode)
    assert not np.isin(got.status, [Status.NOT_CONVERGED, Status.BAD_INPUT]).any()
    vol = np.where(got.ok, got.vol, few["vol"])
    again = american_cash.price(**{**few, "vol": vol}, dividends=QUARTERLY, accuracy=mode)
    hold(again - price[:500], 1, few, "price of vol of price")
    assert np.median(np.abs(again - price[:500])) <= 1e-6
    exercised = np.maximum(few["right"] * (few["spot"] - few["strike"]), 0.0)
    assert got.ok[price[:500] > exercised + 1e-2 * few["vol"] * np.sqrt(few["years"]) * 560.0].all()


def test_a_dividend_due_now_or_never(mode, within):
    """Limits: gone tomorrow morning, spot less cash; after expiry, no dividend at all."""
    strike = np.linspace(450.0, 650.0, 41)
    rows = {"right": -1.0, "spot": 560.0, "strike": strike, "years": 0.5, "vol": 0.2, "rate": 0.05}
    slack = PLAIN[mode][1] * size({"strike": strike})
    soon = Dividends.declared(years=[1e-6], cash=[5.0])
    got = american_cash.price(**rows, dividends=soon, accuracy=mode)
    want = american.price(**{**rows, "spot": 555.0}, accuracy="precise")
    within(got - want, slack, {"strike": strike}, "soon")
    after = Dividends.declared(years=[0.5 + 1e-9], cash=[5.0])
    got = american_cash.price(**rows, dividends=after, accuracy=mode)
    want = american.price(**rows, accuracy="precise")
    within(got - want, slack, {"strike": strike}, "after expiry")


@pytest.mark.parametrize("right", [1, -1])
def test_absurd_vols_stay_between_the_bounds(mode, right):
    """Zero to 2000 %: finite, rising, at least sure exercise and at most spot or strike."""
    vols = np.array([0.0, 1e-8, 1e-4, 1e-2, 0.2, 1.0, 3.0, 10.0, 20.0])
    kw = {"spot": 560.0, "strike": 560.0, "years": 0.7, "rate": 0.04, "dividends": QUARTERLY}
    got = american_cash.price(right=right, vol=vols, accuracy=mode, **kw)
    assert np.all(np.isfinite(got))
    assert np.all((got >= 0.0) & (got <= 560.0))
    assert np.all(np.diff(got) >= -STATED[mode][1])


def test_greeks_price_is_the_price_and_calls_without_dividends_are_european(mode, rows, price):
    got = american_cash.greeks(**rows, dividends=QUARTERLY, accuracy=mode)
    np.testing.assert_array_equal(got.price, price)
    none = Dividends.declared(years=[9.0], cash=[1.0])
    calls = {**rows, "right": 1.0, "dividend_yield": 0.0}
    flat = american_cash.price(**calls, dividends=none, accuracy=mode)
    error = flat - bsm.price(**calls)
    assert np.sqrt(np.mean((error / size(calls)) ** 2)) <= EUROPEAN[mode][0]
