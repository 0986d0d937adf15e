"""De-Americanised vols of a chain against the vols that made its prices, and american.vol."""

import numpy as np
import pytest

from surfaces.pricing import american, bsm, deamericanise, implied
from surfaces.pricing.dividends import Dividends
from surfaces.status import Status

STATED = 1e-5  # of vol, against `american.vol`


@pytest.fixture(scope="module")
def chain() -> dict[str, np.ndarray]:
    """Eight expiries of 60 strikes and both rights under a skewed smile, rows shuffled."""
    columns = []
    for years, rate, carry in zip(
        [2 / 365, 9 / 365, 0.08, 0.2, 0.45, 0.8, 1.3, 2.0], np.linspace(0.03, 0.05, 8),
        [0.0, 0.01, 0.012, 0.03, 0.06, 0.015, 0.0, 0.02], strict=True,
    ):  # fmt: skip
        reach = 0.2 * np.sqrt(years)
        strike = np.repeat(560.0 * np.exp(np.linspace(-3.5 * reach, 3.0 * reach, 60)), 2)
        k = np.log(strike / 560.0) / np.sqrt(years)
        vol = 0.17 - 0.12 * k + 0.25 * np.sqrt(0.02 + k * k)
        terms = np.broadcast_arrays(strike, years, rate, carry, vol, np.tile([1.0, -1.0], 60))
        columns.append(np.array(terms))
    names = ("strike", "years", "rate", "dividend_yield", "vol", "right")
    mixed = np.random.default_rng(3).permutation(np.concatenate(columns, axis=1).T)
    out = {name: np.ascontiguousarray(mixed[:, i]) for i, name in enumerate(names)}
    return out | {"spot": np.full(out["strike"].size, 560.0)}


@pytest.fixture(scope="module")
def terms(chain) -> dict[str, np.ndarray]:
    return {name: values for name, values in chain.items() if name != "vol"}


def out_of_the_money(terms) -> np.ndarray:
    carry = (terms["rate"] - terms["dividend_yield"]) * terms["years"]
    return terms["right"] * (terms["spot"] * np.exp(carry) - terms["strike"]) < 0.0


def test_gives_back_the_vols_that_made_the_prices(chain, terms):
    price = american.price(**chain)
    got = deamericanise.vols(price=price, **terms)
    otm = out_of_the_money(terms)
    assert got.ok[otm].all(), got.why()
    direct = american.vol(price=price, **terms)
    np.testing.assert_array_equal(got.status, direct.status)
    assert np.max(np.abs(got.vol - direct.vol)[got.ok]) <= STATED
    again = american.price(**{n: v[got.ok] for n, v in terms.items()}, vol=got.vol[got.ok])
    assert np.max(np.abs(again - price[got.ok])) <= 2e-3  # USD, in the money too


def test_solves_far_fewer_rows_than_it_returns(chain, terms, monkeypatch):
    """Out of the money alone, where the difference is smooth, most rows are interpolated."""
    otm = out_of_the_money(terms)
    few = {name: values[otm] for name, values in terms.items()}
    price, solved, exact = american.price(**few, vol=chain["vol"][otm]), [], american.vol

    def counting(**kw):
        solved.append(np.size(kw["price"]))
        return exact(**kw)

    monkeypatch.setattr(american, "vol", counting)
    thick = {n: np.concatenate([v, v * (1.0 + 1e-4 * (n == "strike"))]) for n, v in few.items()}
    deamericanise.vols(price=np.concatenate([price, price]), **thick)
    monkeypatch.undo()
    assert 0 < sum(solved) < 0.4 * price.size * 2  # twenty strikes of sixty in two expiries of one


def disturbed(price, how):
    """Quotes as they come."""
    rng = np.random.default_rng(1)
    if how == "cents":
        return np.round(price, 2)
    if how == "noise":
        return np.round(price + rng.normal(0.0, 0.02, price.size), 2)
    out = price.copy()
    rows = rng.choice(price.size, price.size // 40, replace=False)
    out[rows] += rng.choice([-1.0, 1.0], rows.size) * rng.uniform(1.0, 5.0, rows.size)
    return out


@pytest.mark.parametrize("how", ["cents", "noise", "outliers"])
def test_each_row_keeps_its_own_vol(chain, terms, how):
    """The difference from the European vol depends on the row's own price, not its neighbours'."""
    quotes = disturbed(american.price(**chain), how)
    got, direct = deamericanise.vols(price=quotes, **terms), american.vol(price=quotes, **terms)
    np.testing.assert_array_equal(got.status, direct.status)
    np.testing.assert_array_equal(np.isnan(got.vol), np.isnan(direct.vol))
    assert np.nanmax(np.abs(got.vol - direct.vol)) <= STATED


@pytest.mark.parametrize("row", range(10, 50, 3))
def test_one_outlier_moves_no_other_vol(row):
    """One expiry of puts: a quote three dollars off, on sampled strikes and between them."""
    strike = np.linspace(450.0, 560.0, 60)
    kw = {"right": -1, "spot": 560.0, "strike": strike, "years": 0.5, "rate": 0.045}
    price = american.price(vol=0.2, **kw)
    price[row] += 3.0
    got, direct = deamericanise.vols(price=price, **kw), american.vol(price=price, **kw)
    assert got.ok.all(), got.why()
    assert np.max(np.abs(got.vol - direct.vol)) <= STATED


def test_series_in_series_out(chain, terms):
    """pandas with its index, polars, and numbers for numbers."""
    pd, pl = pytest.importorskip("pandas"), pytest.importorskip("polars")
    price = american.price(**chain)
    plain = deamericanise.vols(price=price, **terms)
    frame = pd.DataFrame(terms | {"price": price}, index=np.arange(price.size) + 7)
    got = deamericanise.vols(**{name: frame[name] for name in frame})
    assert got.vol.index.equals(frame.index) and got.status.index.equals(frame.index)
    np.testing.assert_array_equal(got.vol.to_numpy(), plain.vol)
    back = deamericanise.prices(vol=got.vol, **{name: frame[name] for name in terms})
    assert back.index.equals(frame.index)
    table = pl.DataFrame(terms | {"price": price})
    got = deamericanise.vols(**{name: table[name] for name in table.columns})
    assert isinstance(got.vol, pl.Series)
    np.testing.assert_array_equal(got.vol.to_numpy(), plain.vol)
    assert isinstance(deamericanise.prices(vol=table["price"] * 0.0 + 0.2, **terms), pl.Series)
    one = {"right": -1, "spot": 100.0, "strike": 100.0, "years": 0.5, "rate": 0.04}
    assert isinstance(deamericanise.vols(price=5.0, **one).vol, np.float64)
    assert isinstance(deamericanise.prices(vol=0.2, **one), np.float64)


def test_european_prices_have_these_vols(chain, terms):
    vol = chain["vol"].copy()
    vol[3] = np.nan
    got = deamericanise.prices(vol=vol, **terms)
    assert np.isnan(got[3])
    fine = np.arange(vol.size) != 3
    rows = {name: values[fine] for name, values in terms.items()}
    np.testing.assert_array_equal(got[fine], bsm.price(vol=vol[fine], **rows))


def test_without_early_exercise_it_is_the_european_vol():
    strike = np.linspace(80.0, 120.0, 50)
    kw = {"right": 1, "spot": 100.0, "strike": strike, "years": 0.5, "rate": 0.04}
    price = bsm.price(vol=0.2, **kw)
    got = deamericanise.vols(price=price, **kw)
    plain = implied.vol(price=price, right=1, strike=strike, years=0.5, spot=100.0, rate=0.04)
    np.testing.assert_array_equal(got.vol, plain.vol)


def test_bad_rows_get_a_status_and_leave_the_others_alone(chain, terms):
    price = american.price(**chain)
    clean = deamericanise.vols(price=price, **terms)
    bad = price.copy()
    rows = np.flatnonzero(out_of_the_money(terms))[:3]
    bad[rows] = [np.nan, -1.0, 1e6]
    got = deamericanise.vols(price=bad, **terms)
    want = [Status.BAD_INPUT, Status.BELOW_INTRINSIC, Status.ABOVE_BOUND]
    assert got.status[rows].tolist() == want
    others = np.setdiff1d(np.flatnonzero(clean.ok & out_of_the_money(terms)), rows)
    assert np.max(np.abs(got.vol - clean.vol)[others]) <= STATED
    far = {"right": -1, "spot": 1e-3, "strike": np.linspace(90.0, 110.0, 40), "rate": 7.005}
    got = deamericanise.vols(price=far["strike"] * 1e-305, years=100.0, **far)
    assert np.all(got.status == Status.BAD_INPUT)  # e^-700.5 is no discount factor
    empty = {name: values[:0] for name, values in terms.items()}
    assert deamericanise.vols(price=[], **empty).vol.size == 0


def test_cash_dividends_are_delegated():
    """One expiry, one side: the vols that made the prices of the cash engine."""
    paid = Dividends.declared(years=[0.1, 0.35], cash=[1.8, 1.8])
    strike = np.linspace(505.0, 560.0, 56)
    kw = {"right": -1, "spot": 560.0, "strike": strike, "years": 0.5, "rate": 0.045,
          "dividends": paid}  # fmt: skip
    vol = 0.2 + 0.3 * np.log(strike / 560.0) ** 2
    price = american.price(vol=vol, **kw)
    got = deamericanise.vols(price=price, **kw)
    assert got.ok.all(), got.why()
    assert np.max(np.abs(got.vol - vol)) <= STATED
    assert np.all(deamericanise.prices(vol=got.vol, **kw) < price)
    risk = american.greeks(vol=vol, **kw)
    np.testing.assert_allclose(risk.price, price, atol=2e-2)
    back = american.vol(price=price[:3], **kw | {"strike": strike[:3]})
    assert np.max(np.abs(back.vol - vol[:3])) <= 1e-6
