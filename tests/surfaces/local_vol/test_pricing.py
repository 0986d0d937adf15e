"""Prices under a local vol against closed forms.

Tolerances are those that the module states for its default scheme, relative to the vol: 5e-4
within three deviations (1 bp of 20 %), 3e-3 to five.
"""

import numpy as np
import pytest
from scipy.stats import ncx2

from surfaces.errors import InvalidInput
from surfaces.local_vol import LocalVol, dupire_of, spread_nodes
from surfaces.pricing import black, implied, local_vol

BP = 1e-4
YEARS = np.array([2 / 365, 7 / 365, 0.1, 0.5, 1.0, 3.0])[:, None]
Z = np.linspace(-5.0, 5.0, 21)


def whole(years, k, vol) -> LocalVol:
    years, k = np.atleast_1d(years), np.atleast_1d(k)
    vol = np.broadcast_to(vol, (years.size, k.size))
    return LocalVol(years, k, vol, np.zeros(vol.shape, np.uint8))


def close(got, vol, z=Z):
    """Within 5e-4 of the vol at three deviations and nearer, 3e-3 further out."""
    off = np.abs(got / vol - 1.0)
    limit = np.where(np.abs(z) <= 3.0, 5e-4, 3e-3)
    worst = np.unravel_index(np.argmax(off / limit), off.shape)
    assert np.all(off <= limit), (worst, off[worst])


@pytest.mark.parametrize("vol", [0.03, 0.2, 1.2])
def test_a_constant_is_its_own_implied_vol(vol):
    got = local_vol.implied_vol(whole(1.0, 0.0, vol), k=Z * vol * np.sqrt(YEARS), years=YEARS)
    close(got, vol)


def test_vol_of_time_gives_the_mean_variance():
    """The vol is linear between nodes, so its square integrates to (a^2 + ab + b^2)/3 a piece."""
    at, vol = np.array([0.1, 0.5, 1.5]), np.array([0.4, 0.1, 0.3])
    gone = np.cumsum(
        [0.4**2 * 0.1, *(np.diff(at) * (vol[:-1] ** 2 + vol[:-1] * vol[1:] + vol[1:] ** 2) / 3)]
    )
    years = np.array([0.1, 0.5, 1.5, 2.0])[:, None]
    w = np.append(gone, gone[-1] + 0.5 * 0.3**2)[:, None]
    got = local_vol.implied_vol(whole(at, 0.0, vol[:, None]), k=Z * np.sqrt(w), years=years)
    close(got, np.sqrt(w / years))


def test_a_vol_that_jumps_is_two_nodes_side_by_side():
    at = np.array([0.25, 0.25 + 1e-9])
    local = whole(at, 0.0, np.array([[0.1], [0.5]]))
    got = local_vol.implied_vol(local, k=0.0, years=[0.25, 1.0])
    np.testing.assert_allclose(got, [0.1, np.sqrt(0.25 * 0.01 + 0.75 * 0.25)], atol=BP)


@pytest.mark.parametrize("beta", [0.2, 0.5, 0.8])
def test_constant_elasticity_of_variance(beta):
    """dF = sigma F^beta dW: M. Schroder, J. Finance 44 (1989) 211-219, absorbed at zero."""
    sigma, years = 0.25, np.array([0.1, 1.0, 3.0])[:, None]
    k = np.linspace(-2.5, 2.5, 21) * sigma * np.sqrt(years)
    strike, scale = np.exp(k), (sigma * (1.0 - beta)) ** 2 * years
    a, b, c = strike ** (2 - 2 * beta) / scale, 1.0 / (1.0 - beta), 1.0 / scale
    call = ncx2.sf(a, b + 2.0, c) - strike * ncx2.cdf(c, b, a)
    theirs = implied.vol(price=call, right=1, forward=1.0, strike=strike, years=years).vol
    nodes = np.linspace(-6.0, 4.0, 2001)
    got = local_vol.implied_vol(
        whole(1.0, nodes, sigma * np.exp((beta - 1.0) * nodes)), k=k, years=years
    )
    close(got, theirs, np.zeros(k.shape))


def ssvi(k, T):
    """w and its derivatives of Gatheral-Jacquier's SSVI (2014), theta = 0.04 T, power-law phi."""
    rho, theta = -0.6, 0.04 * T
    phi = 0.9 / np.sqrt(theta * (1.0 + theta))
    root = np.sqrt((phi * k + rho) ** 2 + 1.0 - rho * rho)
    w = 0.5 * theta * (1.0 + rho * phi * k + root)
    w_k = 0.5 * theta * phi * (rho + (phi * k + rho) / root)
    w_kk = 0.5 * theta * phi**2 * (1.0 - rho * rho) / root**3
    slope = -0.5 * phi * (1.0 + 2.0 * theta) / (theta * (1.0 + theta))  # of phi in theta
    in_theta = w / theta + 0.5 * theta * slope * (rho * k + (phi * k + rho) * k / root)
    return w, w_k, w_kk, 0.04 * in_theta


def test_dupire_of_a_smile_with_known_prices_gives_them_back():
    k = spread_nodes(-3.0, 3.0, 1e-4, 1201)
    years = np.geomspace(1e-6, 2.0, 300)
    w, w_k, w_kk, w_T = ssvi(k, years[:, None])
    vol, flag = dupire_of(k=k, w=w, w_k=w_k, w_kk=w_kk, w_T=w_T)
    local = LocalVol(years, k, vol, flag)
    assert local.counts() == {0: vol.size}
    at = np.array([0.05, 0.25, 1.0, 2.0])[:, None]
    z = np.linspace(-3.0, 2.5, 23)
    asked = z * 0.2 * np.sqrt(at)
    got = local_vol.implied_vol(local, k=asked, years=at)
    np.testing.assert_allclose(got, np.sqrt(ssvi(asked, at)[0] / at), atol=BP)


def test_prices_in_usd_scale_and_keep_parity():
    local = whole(1.0, np.array([-1.0, 0.0, 1.0]), [0.35, 0.2, 0.15])
    terms = {"forward": 500.0, "strike": [350.0, 500.0, 640.0], "years": [[0.2], [1.1]], "df": 0.97}
    call, put = (local_vol.price(local, right=w, **terms) for w in (1, -1))
    np.testing.assert_allclose(
        call - put, 0.97 * (500.0 - np.array([[350.0, 500.0, 640.0]] * 2)), rtol=1e-12
    )
    flat = local_vol.price(whole(1.0, 0.0, 0.2), right=-1, **terms)
    exact = black.price(right=-1, vol=0.2, **terms)
    np.testing.assert_allclose(flat, exact, atol=BP * 500.0 * np.sqrt(1.1 / 6.28))


def test_order_of_the_rows_does_not_matter():
    local = whole(1.0, np.array([-1.0, 0.0, 1.0]), [0.35, 0.2, 0.15])
    k, years = np.array([0.1, -0.2, 0.0, 0.1]), np.array([1.0, 0.1, 0.5, 0.2])
    turn = np.array([2, 0, 3, 1])
    a = local_vol.otm_price(local, k=k, years=years)
    assert np.array_equal(a[turn], local_vol.otm_price(local, k=k[turn], years=years[turn]))


def test_a_grid_with_holes_is_refused():
    local = LocalVol(np.ones(1), np.zeros(1), np.full((1, 1), np.nan), np.ones((1, 1), np.uint8))
    with pytest.raises(InvalidInput, match="filled"):
        local_vol.otm_price(local, k=0.0, years=1.0)


def test_another_model_s_parameters_are_refused_in_words():
    """Heston's letters used to be an AttributeError of `complete`."""
    from surfaces.pricing.heston import Parameters

    letters = Parameters(v0=0.04, kappa=2.0, theta=0.04, sigma=0.5, rho=-0.7)
    with pytest.raises(InvalidInput, match=r"local_vol is .*, must be a LocalVol. .*dupire"):
        local_vol.price(letters, right=1, forward=100.0, strike=100.0, years=0.5)
