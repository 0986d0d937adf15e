"""American options with cash dividends on drawn rows, to the error that `american_cash` states.

Stated: 1e-3 USD root mean square at spot 560 for "fast", 3e-4 for "precise". ERROR is twelve of
those for the larger of spot and strike: the worst of two thousand where errors are about normal is
four, and strikes far in the money of volatile options carry more.
"""

import numpy as np
import pytest

from surfaces.pricing import american, american_cash, bsm, cash_european
from surfaces.pricing.dividends import Dividends
from surfaces.status import Status

TYPICAL = {"fast": 1e-3 / 560.0, "precise": 3e-4 / 560.0}
QUARTERLY = Dividends.declared(years=[0.1, 0.35, 0.6, 0.85, 1.1, 1.35], cash=1.80)


@pytest.fixture(scope="module", params=TYPICAL)
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


@pytest.fixture(scope="module")
def slack(mode, rows) -> np.ndarray:
    return 12.0 * TYPICAL[mode] * np.maximum(rows["spot"], rows["strike"])


@pytest.fixture(scope="module")
def price(mode, rows) -> np.ndarray:
    return american_cash.price(**rows, dividends=QUARTERLY, accuracy=mode)


def test_without_a_dividend_it_is_the_yield_engine(mode, rows, slack, within):
    late = Dividends.declared(years=[2.0], cash=[5.0])
    got = american_cash.price(**rows, dividends=late, accuracy=mode)
    error = got - american.price(**rows, accuracy="precise")
    within(error, slack, rows, "no dividend")
    assert np.sqrt(np.mean(error**2)) <= TYPICAL[mode] * 560.0


def test_european_exercise_is_the_exact_quadrature(mode, rows, slack, within):
    kw = {**rows, "dividends": QUARTERLY}
    got = american_cash.price(**kw, accuracy=mode, exercise="european")
    error = got - cash_european.price(**kw)
    within(error, slack, rows, "european")
    assert np.sqrt(np.mean(error**2)) <= TYPICAL[mode] * 560.0


def test_bounds(rows, slack, price, within):
    """Exercise now exactly; the European and exercise just before any ex-date to the error."""
    w, S, K, T = (rows[name] for name in ("right", "spot", "strike", "years"))
    assert np.all(price >= np.maximum(w * (S - K), 0.0))
    european = cash_european.price(**rows, dividends=QUARTERLY)
    within(np.minimum(price - european, 0.0), slack, rows, "European")
    calls = w > 0
    for date in QUARTERLY.years:  # the right to exercise then is worth a European to that date
        before = Dividends.declared(years=QUARTERLY.years[QUARTERLY.years < date], cash=1.80)
        some = calls & (date <= T)
        few = {name: v[some] for name, v in rows.items()} | {"years": np.full(some.sum(), date)}
        least = cash_european.price(**few, dividends=before)
        within(np.minimum(price[some] - least, 0.0), slack[some], few, f"exercise before {date}")
    # the dividends only lower the share: a call is worth less with them, a put more
    plain = american.price(**rows, accuracy="precise")
    within(np.minimum(w * (plain - price), 0.0), slack, rows, "against no dividends")


def test_orders_in_strike_and_vol(mode, rows, slack, price, within):
    kw = {"dividends": QUARTERLY, "accuracy": mode}
    step = 0.02 * rows["strike"]
    low, high = (
        american_cash.price(**{**rows, "strike": rows["strike"] + i * step}, **kw) for i in (-1, 1)
    )
    within(np.minimum(rows["right"] * (low - price), 0.0), 2 * slack, rows, "monotone")
    within(np.minimum(low + high - 2 * price, 0.0), 4 * slack, rows, "convex")
    more = american_cash.price(**{**rows, "vol": 1.02 * rows["vol"]}, **kw)
    within(np.minimum(more - price, 0.0), 2 * slack, rows, "rising in vol")


def test_scaling_all_money_scales_the_price(mode, rows, price, within):
    moved = {name: 2.0 * rows[name] for name in ("spot", "strike")}
    double = Dividends.declared(years=QUARTERLY.years, cash=2.0 * QUARTERLY.cash)
    got = american_cash.price(**{**rows, **moved}, dividends=double, accuracy=mode)
    within(got / 2.0 - price, 1e-9 * rows["strike"], rows, "homogeneous")


def test_vol_of_price_gives_the_price_back(mode, rows, slack, price, within):
    """To the stated error: the grid, and with it the error, changes by steps as vol moves."""
    few = {name: v[:500] for name, v in rows.items()}
    quotes = {name: v for name, v in few.items() if name != "vol"} | {"price": price[:500]}
    got = american_cash.vol(**quotes, dividends=QUARTERLY, accuracy=mode)
    assert not np.isin(got.status, [Status.NOT_CONVERGED, Status.BAD_INPUT]).any()
    vol = np.where(got.ok, got.vol, few["vol"])
    again = american_cash.price(**{**few, "vol": vol}, dividends=QUARTERLY, accuracy=mode)
    within(again - price[:500], slack[:500], few, "price of vol of price")
    assert np.median(np.abs(again - price[:500])) <= 1e-6
    exercised = np.maximum(few["right"] * (few["spot"] - few["strike"]), 0.0)
    assert got.ok[price[:500] > exercised + 1e-2 * few["vol"] * np.sqrt(few["years"]) * 560.0].all()


def test_a_dividend_due_now_or_never(mode, within):
    """Limits: gone tomorrow morning, spot less cash; after expiry, no dividend at all."""
    strike = np.linspace(450.0, 650.0, 41)
    rows = {"right": -1.0, "spot": 560.0, "strike": strike, "years": 0.5, "vol": 0.2, "rate": 0.05}
    size = 12.0 * TYPICAL[mode] * 650.0
    soon = Dividends.declared(years=[1e-6], cash=[5.0])
    got = american_cash.price(**rows, dividends=soon, accuracy=mode)
    want = american.price(**{**rows, "spot": 555.0}, accuracy="precise")
    within(got - want, size, {"strike": strike}, "soon")
    after = Dividends.declared(years=[0.5 + 1e-9], cash=[5.0])
    got = american_cash.price(**rows, dividends=after, accuracy=mode)
    want = american.price(**rows, accuracy="precise")
    within(got - want, size, {"strike": strike}, "after expiry")


@pytest.mark.parametrize("right", [1, -1])
def test_absurd_vols_stay_between_the_bounds(mode, right):
    """Zero to 2000 %: finite, rising, at least sure exercise and at most spot or strike."""
    vols = np.array([0.0, 1e-8, 1e-4, 1e-2, 0.2, 1.0, 3.0, 10.0, 20.0])
    kw = {"spot": 560.0, "strike": 560.0, "years": 0.7, "rate": 0.04, "dividends": QUARTERLY}
    got = american_cash.price(right=right, vol=vols, accuracy=mode, **kw)
    assert np.all(np.isfinite(got))
    assert np.all((got >= 0.0) & (got <= 560.0))
    assert np.all(np.diff(got) >= -12.0 * TYPICAL[mode] * 560.0)


def test_greeks_price_is_the_price_and_calls_without_dividends_are_european(mode, rows, price):
    got = american_cash.greeks(**rows, dividends=QUARTERLY, accuracy=mode)
    np.testing.assert_allclose(got.price, price, atol=12.0 * TYPICAL[mode] * 560.0)
    none = Dividends.declared(years=[9.0], cash=[1.0])
    calls = {**rows, "right": 1.0, "dividend_yield": 0.0}
    flat = american_cash.price(**calls, dividends=none, accuracy=mode)
    error = flat - bsm.price(**calls)
    assert np.sqrt(np.mean(error**2)) <= TYPICAL[mode] * 560.0
