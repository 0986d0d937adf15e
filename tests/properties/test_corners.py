"""The far corners, each against 80 bits or a limit: one second to expiry, vols 1e-8 and 1e3,
strikes 1e-12 and 1e12, the forward at the strike, prices of a few subnormals."""

import itertools

import numpy as np
import pytest
from bounds import EPS, price_error
from longdouble import LD, black_parts, in_chunks, normal_parts

from surfaces.pricing import bachelier, black, bsm, implied
from surfaces.status import Status

SECOND = 1.0 / (365 * 86_400)
YEARS = [1e-12, SECOND, 1 / 365, 0.5, 50.0]
VOLS = [1e-8, 1e-3, 0.2, 3.0, 1e3]
STRIKES = [
    1e-150,
    1e-12,
    99.0,
    100.0 - 1e-12,
    100.0,
    np.nextafter(100.0, 200.0),
    101.0,
    1e12,
    1e150,
]
FORWARDS = [1e-150, 1e-12, 100.0, 1e12, 1e150]


@pytest.fixture(scope="module")
def grid() -> dict[str, np.ndarray]:
    """Every combination of the lists above, both rights, discounting down and up."""
    names = ("right", "forward", "strike", "years", "vol", "df")
    rows = itertools.product([1.0, -1.0], FORWARDS, STRIKES, YEARS, VOLS, [1.0, 1.7, 1e-5])
    return dict(zip(names, np.array(list(rows)).T.copy(), strict=True))


def test_prices_in_the_corners(grid, within):
    w, F, K, T, vol, df = grid.values()
    with np.errstate(all="ignore"):
        parts = in_chunks(black_parts, F, K, T, vol)
        want = df * (parts["otm"] + np.maximum(w * (F.astype(LD) - K), 0))
        inside = np.maximum(w * (F - K), 0.0)
        allowed = price_error(parts, np.where(inside > 0, F, 0.0), np.where(inside > 0, K, 0.0), df)
    within(black.price(**grid) - want, allowed + 4 * df * 5e-324, grid, "price")


def test_greeks_are_finite_in_the_corners_and_at_zero(grid):
    zeros = itertools.product([1.0, -1.0], [0.0, 100.0], [0.0, 99.0, 100.0], [0.0, SECOND, 1.0],
                              [0.0, 1e-8, 0.2], [1.0, 0.9])  # fmt: skip
    edges = np.array(list(zeros)).T
    usual = (grid["forward"] >= 1e-12) & (grid["forward"] <= 1e12)
    usual &= (grid["strike"] >= 1e-12) & (grid["strike"] <= 1e12)
    for rows in ({n: v[usual] for n, v in grid.items()}, dict(zip(grid, edges, strict=True))):
        for name, value in black.greeks(**rows).items():
            bad = ~np.isfinite(value)
            i = int(np.argmax(bad))
            assert not bad.any(), (name, value[i], {n: v[i] for n, v in rows.items()})


def test_deltas_and_dual_deltas_stay_probabilities(grid):
    got = black.greeks(**grid)
    w, df = grid["right"], grid["df"]
    for share in (w * got.delta / df, -w * got.dual_delta / df):
        assert np.all((share >= 0.0) & (share <= 1.0 + 2 * EPS))
    for name in ("gamma", "vega", "density"):
        assert np.all(getattr(got, name) >= 0.0), name


@pytest.mark.parametrize("w", [1, -1])
@pytest.mark.parametrize("strike", [80.0, 99.0, 101.0, 120.0])
def test_one_ulp_of_time_value_is_a_vol_and_gives_the_ulp_back(w, strike):
    intrinsic = max(w * (100.0 - strike), 0.0)
    one = np.nextafter(intrinsic, np.inf)
    kw = {"right": w, "forward": 100.0, "strike": strike, "years": SECOND}
    got = implied.vol(price=one, **kw)
    assert got.ok
    assert black.price(vol=got.vol, **kw) == one
    assert implied.vol(price=intrinsic, **kw).status == Status.NO_VEGA
    assert implied.vol(price=np.nextafter(intrinsic, -1.0), **kw).status == Status.BELOW_INTRINSIC


@pytest.mark.parametrize("w", [1, -1])
def test_the_last_ulp_below_the_cap_is_a_vol(w):
    for strike in (1e-6, 80.0, 100.0, 125.0, 1e6):
        cap = 100.0 if w > 0 else strike
        kw = {"right": w, "forward": 100.0, "strike": strike, "years": 2.0}
        got = implied.vol(price=np.nextafter(cap, 0.0), **kw)
        assert got.ok, strike
        assert black.price(vol=got.vol, **kw) == pytest.approx(cap, rel=4 * EPS)
        assert implied.vol(price=cap, **kw).status == Status.ABOVE_BOUND
        assert implied.vol(price=cap * 1.01, **kw).status == Status.ABOVE_BOUND


def test_subnormal_prices_keep_the_digits_they_have():
    """A price of k x 5e-324 has k significant steps; its vol is right to what one of them moves."""
    strike = np.array([101.0, 150.0, 1e4, 1e10])[:, None]
    steps = np.array([1.0, 3.0, 1000.0, 2.0**40])
    price = steps * 5e-324
    got = implied.vol(price=price, right=1, forward=100.0, strike=strike, years=1.0)
    assert got.ok.all()
    assert np.all(np.diff(got.vol, axis=1) > 0.0)
    columns = np.broadcast_arrays(100.0, strike, 1.0, got.vol)
    exact = black_parts(*(c.ravel() for c in columns))["otm"].reshape(got.vol.shape)
    # relative error of the price h^2 times that of the vol, which is 4 roundings
    h = np.log(strike / 100.0) / got.vol
    assert np.all(np.abs(exact / price.astype(LD) - 1) <= 8 * EPS * (1.0 + h**2))


def test_at_the_money_price_is_the_error_function():
    """F = K: F erf(s / (2 sqrt 2)), from s = 1e-12 to 30."""
    from scipy.special import erf

    s = np.logspace(-12, np.log10(30.0), 400)
    got = black.price(right=1, forward=100.0, strike=100.0, years=1.0, vol=s)
    np.testing.assert_allclose(got, 100.0 * erf(s / np.sqrt(8.0)), rtol=24 * EPS)
    back = implied.vol(price=got, right=1, forward=100.0, strike=100.0, years=1.0)
    calm = s < 10.0  # past it the price is its cap to the last bits
    np.testing.assert_allclose(back.vol[calm & (s < 1)], s[calm & (s < 1)], rtol=30 * EPS)
    assert back.ok[calm].all()


def test_one_second_to_expiry():
    """0DTE at its end: a 2-cent time value in a 500-dollar stock, its Greeks and its vol."""
    kw = {"right": [1, -1], "strike": 500.0, "years": SECOND, "vol": 0.3}
    got = bsm.greeks(spot=500.0, rate=0.05, dividend_yield=0.01, **kw)
    s = 0.3 * np.sqrt(SECOND)
    at_money = 500.0 * s / np.sqrt(2 * np.pi)
    np.testing.assert_allclose(got.price, at_money, rtol=1e-4)
    np.testing.assert_allclose(got.gamma, 1 / (500.0 * s * np.sqrt(2 * np.pi)), rtol=1e-6)
    np.testing.assert_allclose(got.theta, -0.5 * at_money / SECOND, rtol=1e-3)
    back = implied.vol(price=got.price, right=[1, -1], strike=500.0, years=SECOND, spot=500.0,
                       rate=0.05, dividend_yield=0.01)  # fmt: skip
    # what rounding the forward of 500 moves the vol by: half its ulp over vega
    vega = 500.0 * np.sqrt(SECOND / (2 * np.pi))
    np.testing.assert_allclose(back.vol, 0.3, atol=4 * EPS * 500.0 / vega)


def test_bachelier_in_the_corners(within):
    rows = itertools.product([1.0, -1.0], [-1e12, -37.0, 0.0, 1e-12, 100.0],
                             [-1e12, -37.0, 0.0, 1e-12, 100.0, np.nextafter(100.0, 0.0)], YEARS,
                             [1e-8, 1e-3, 1.0, 1e3, 1e12], [1.0, 1.7])  # fmt: skip
    names = ("right", "forward", "strike", "years", "vol", "df")
    grid = dict(zip(names, np.array(list(rows)).T.copy(), strict=True))
    w, F, K, T, vol, df = grid.values()
    with np.errstate(all="ignore"):
        parts = in_chunks(normal_parts, F, K, T, vol)
        otm, h = (np.asarray(parts[n], float) for n in ("otm", "h"))
        near = np.where(otm > 0.0, EPS * (12.0 + 4.0 * np.minimum(h, 40.0) ** 2) * otm, 0.0)
    want = df * (parts["otm"] + np.maximum(w * (F.astype(LD) - K), 0))
    allowed = df * (near + 2 * EPS * np.maximum(w * (F - K), 0.0) + 2 * EPS * otm + 2e-323)
    within(bachelier.price(**grid) - want, allowed, grid, "price")
    for name, value in bachelier.greeks(**grid).items():
        assert np.isfinite(value).all(), name
