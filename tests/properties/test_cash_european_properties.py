"""European options with cash dividends on drawn rows: parity, orders, scaling, limits.

The spot model states 1e-13 of spot; TOLERANCE allows ten such errors, since every property compares
two or three prices.
"""

import numpy as np
import pytest

from surfaces.pricing import black, bsm, cash_european
from surfaces.pricing.dividends import Dividends
from surfaces.status import Status

TOLERANCE = 1e-12
MODELS = ("spot", "escrowed")


QUARTERLY = Dividends([0.11, 0.36, 0.61, 0.86, 1.11, 1.36], [1.0, 1.0, 1.0, 1.1, 1.1, 1.1])


@pytest.fixture(scope="module")
def rows() -> dict[str, np.ndarray]:
    """Two thousand: a day to 1.5 years, 5 % to 150 %, rates -3 to 10 %, spot 100."""
    rng, n = np.random.default_rng(71), 2_000
    years = np.exp(rng.uniform(np.log(1 / 365), np.log(1.5), n))
    vol = np.exp(rng.uniform(np.log(0.05), np.log(1.5), n))
    reach = np.clip(rng.uniform(-4.0, 4.0, n) * vol * np.sqrt(years), -1.5, 1.5)
    return {
        "right": rng.choice([-1.0, 1.0], n),
        "spot": np.full(n, 100.0),
        "strike": 100.0 * np.exp(reach),
        "years": years,
        "vol": vol,
        "rate": rng.uniform(-0.03, 0.10, n),
        "dividend_yield": rng.uniform(-0.02, 0.05, n),
    }


def priced(rows: dict, model: str, dividends=QUARTERLY, **moved) -> np.ndarray:
    return cash_european.price(**{**rows, **moved}, dividends=dividends, model=model)


@pytest.mark.parametrize("model", MODELS)
def test_parity_holds_with_one_forward_for_all_strikes(model, rows, within):
    """(C - P) / df + K is the forward, whatever the strike: in both models and at a zero floor."""
    df = np.exp(-rows["rate"] * rows["years"])
    forwards = []
    for K in (rows["strike"], 0.6 * rows["strike"], np.full(rows["strike"].size, 100.0)):
        call, put = (priced(rows, model, right=w, strike=K) for w in (1, -1))
        forwards.append((call - put) / df + K)
    for other in forwards[1:]:
        within(other - forwards[0], TOLERANCE * 450.0 / df, rows, "forward")


@pytest.mark.parametrize("model", MODELS)
def test_orders_in_strike_and_vol(model, rows, within):
    step = 10 ** np.random.default_rng(1).uniform(-2.0, 1.0, rows["spot"].size)
    low, mid, high = (priced(rows, model, strike=rows["strike"] + i * step) for i in (-1, 0, 1))
    slack = TOLERANCE * np.maximum(rows["spot"], rows["strike"])
    within(np.minimum(rows["right"] * (low - mid), 0.0), slack, rows, "monotone")
    within(np.minimum(low + high - 2.0 * mid, 0.0), 4 * slack, rows, "convex")
    more = priced(rows, model, right=1, vol=1.01 * rows["vol"])
    within(np.minimum(more - priced(rows, model, right=1), 0.0), slack, rows, "rising in vol")


@pytest.mark.parametrize("model", MODELS)
def test_scaling_all_money_scales_the_price(model, rows, within):
    price = priced(rows, model)
    for factor in (2.0, 0.013):
        moved = {name: factor * rows[name] for name in ("spot", "strike")}
        dividends = Dividends(QUARTERLY.years, factor * QUARTERLY.cash)
        got = priced(rows, model, dividends, **moved)
        within(got / factor - price, TOLERANCE * 100.0, rows, "homogeneous")


@pytest.mark.parametrize("model", MODELS)
def test_no_dividend_before_expiry_is_black_scholes_merton(model, rows, within):
    plain = bsm.price(**rows)
    late, gone = Dividends([2.0, 3.0], [5.0, 5.0]), Dividends([-1.0, 0.0], [5.0, 5.0])
    empty, nothing = Dividends([], []), Dividends([0.1, 0.2], [0.0, 0.0])
    for dividends in (None, empty, late, gone, nothing):
        within(priced(rows, model, dividends) - plain, TOLERANCE * 100.0, rows, "none")


@pytest.mark.parametrize("model", MODELS)
def test_proportional_dividends_only_lower_the_spot(model, rows, within):
    dividends = Dividends([0.05, 0.4], [0.0, 0.0], [0.01, 0.02])
    kept = np.where(rows["years"] >= 0.05, 0.99, 1.0) * np.where(rows["years"] >= 0.4, 0.98, 1.0)
    want = bsm.price(**{**rows, "spot": 100.0 * kept})
    within(priced(rows, model, dividends) - want, TOLERANCE * 100.0, rows, "proportional")


def test_escrowed_is_black_on_the_forward_left(rows, within):
    r, q, T = (rows[name] for name in ("rate", "dividend_yield", "years"))
    forward = 100.0 * np.exp((r - q) * T)
    for t, cash in zip(QUARTERLY.years, QUARTERLY.cash, strict=True):
        forward -= np.where(t <= T, cash * np.exp((r - q) * (T - t)), 0.0)
    kept = {name: rows[name] for name in ("right", "strike", "years", "vol")}
    want = black.price(forward=forward, df=np.exp(-r * T), **kept)
    within(priced(rows, "escrowed") - want, TOLERANCE * 100.0, rows, "escrowed")


@pytest.mark.parametrize("model", MODELS)
def test_two_halves_on_one_day_are_one_dividend(model, rows, within):
    same_day = [0.2, np.nextafter(0.2, 1.0)]  # a schedule's dates must rise
    whole, halves = Dividends([0.2], [3.0]), Dividends(same_day, [1.5, 1.5])
    gap = priced(rows, model, halves) - priced(rows, model, whole)
    within(gap, TOLERANCE * 100.0, rows, "halves")


def test_a_dividend_just_after_now_or_just_before_expiry(within):
    """Limits of the spot model: pay now, S - D; pay at expiry, a strike higher by D."""
    K = np.linspace(60.0, 140.0, 81)
    rows = {"right": 1.0, "spot": 100.0, "strike": K, "years": 1.0, "vol": 0.25, "rate": 0.03}
    day = 1e-3  # the price moves by less than 2 D vol^2 S per year of delay
    soon = cash_european.price(**rows, dividends=Dividends([day], [4.0]))
    late = cash_european.price(**rows, dividends=Dividends([1.0 - day], [4.0]))
    within(soon - bsm.price(**{**rows, "spot": 96.0}), 2 * 4.0 * day, {"strike": K}, "soon")
    within(late - bsm.price(**{**rows, "strike": K + 4.0}), 2 * 4.0 * day, {"strike": K}, "late")


def test_a_share_that_dividends_empty_is_worth_its_bounds():
    """The floor at zero: a call is worth almost nothing, a put its discounted strike."""
    rows = {"spot": 100.0, "strike": 50.0, "years": 1.0, "vol": 0.2, "rate": 0.03}
    both = Dividends([0.2, 0.5], [100.0, 100.0])
    assert 0.0 <= cash_european.price(right=1, **rows, dividends=both) < 1e-6
    put = cash_european.price(right=-1, **rows, dividends=both)
    assert put == pytest.approx(50.0 * np.exp(-0.03), abs=1e-6)


@pytest.mark.parametrize("model", MODELS)
def test_prices_stay_between_their_bounds_at_absurd_vols(model):
    vols = np.array([1e-8, 1e-3, 5.0, 20.0, 60.0, 1e3])
    rows = {"spot": 100.0, "strike": 90.0, "years": 1.3, "vol": vols, "rate": 0.03}
    call, put = (
        cash_european.price(right=w, **rows, dividends=QUARTERLY, model=model) for w in (1, -1)
    )
    assert np.all((call >= 0.0) & (call <= 100.0 * (1 + 1e-9)))
    assert np.all((put >= 0.0) & (put <= 90.0 * np.exp(-0.03 * 1.3) * (1 + 1e-9)))


@pytest.mark.parametrize("model", MODELS)
def test_a_vol_comes_back_as_far_as_the_price_holds_it(model, rows, within):
    """What 1e-13 of spot moves the vol by, or rounding; the price it gives is the one given."""
    given = {name: v for name, v in rows.items() if name != "vol"}
    got = cash_european.greeks(**rows, dividends=QUARTERLY, model=model, which=["price", "vega"])
    found = cash_european.vol(price=got.price, **given, dividends=QUARTERLY, model=model)
    intrinsic = priced(rows, model, vol=1e-9)
    clear = got.price - intrinsic > 1e-11 * rows["spot"]
    assert clear.mean() > 0.8
    assert found.ok[clear].all(), found.why()
    assert np.isin(found.status[~clear], [Status.OK, Status.NO_VEGA, Status.BELOW_INTRINSIC]).all()
    allowed = 10 * TOLERANCE * rows["spot"] / got.vega + 1e-13 * rows["vol"]
    within(np.where(clear, found.vol - rows["vol"], 0.0), allowed, rows, "vol")
    again = priced(rows, model, vol=np.where(found.ok, found.vol, rows["vol"]))
    within(again - got.price, 10 * TOLERANCE * rows["spot"], rows, "repriced")
