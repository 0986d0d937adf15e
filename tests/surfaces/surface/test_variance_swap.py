"""Fair variance against closed forms: flat vol, mixtures of lognormals, Heston, SVI in d2."""

import itertools

import numpy as np
import pytest
from scipy.integrate import quad

import surfaces
from surfaces import variance_swap
from surfaces.errors import InvalidInput
from surfaces.live import FitConfig, LiveFitter
from surfaces.pricing import black
from surfaces.smiles.svi import SVI


@pytest.mark.parametrize("vol", [0.02, 0.2, 1.0, 3.0])
@pytest.mark.parametrize("years", [1e-4, 0.1, 2.0])
def test_a_flat_vol_is_its_own_fair_vol(vol, years):
    total, error, left, right = variance_swap.log_contract(
        lambda k: np.full(k.shape, vol * vol * years)
    )
    assert total == pytest.approx(vol * vol * years, rel=1e-13)
    assert error == 0.0
    assert left + right == pytest.approx(1.0)  # everything lies beyond an empty range


def test_a_mixture_of_lognormals_is_exact():
    """-2 E ln S = sum of weight (w_j - 2 ln F_j): two narrow bumps and a wide one."""
    weight = np.array([0.2, 0.7, 0.1])
    forward = np.array([0.7, 1.05, 1.25])
    forward = forward / (weight @ forward)
    w = np.array([0.05, 0.01, 0.09])

    def price(k):
        right = np.where(k >= 0.0, 1.0, -1.0)
        legs = [
            black.price(right=right, forward=f, strike=np.exp(k), years=1.0, vol=np.sqrt(v))
            for f, v in zip(forward, w, strict=True)
        ]
        return weight @ np.array(legs)

    total, _, _ = variance_swap.replicate(price, width=0.2)
    assert total == pytest.approx(weight @ (w - 2.0 * np.log(forward)), rel=1e-12)


@pytest.mark.parametrize("rho", [-0.8, 0.3])
def test_heston_is_the_mean_of_its_variance(rho):
    """theta + (v0 - theta)(1 - e^-kappa T)/(kappa T): prices by Lewis's integral, on a grid."""
    v0, kappa, theta, sigma, years = 0.02, 2.0, 0.06, 0.5, 1.0
    u = np.linspace(0.0, 200.0, 8001)
    z = u - 0.5j
    b = kappa - 1j * rho * sigma * z
    d = np.sqrt(b * b + sigma**2 * (1j * z + z * z))
    g, e = (b - d) / (b + d), np.exp(-d * years)
    f = np.exp(
        kappa * theta / sigma**2 * ((b - d) * years - 2.0 * np.log((1 - g * e) / (1 - g)))
        + v0 * (b - d) / sigma**2 * (1 - e) / (1 - g * e)
    )
    simpson = np.where(np.arange(u.size) % 2, 4.0, 2.0)
    simpson[[0, -1]] = 1.0
    weighted = f / (u * u + 0.25) * simpson * (u[1] - u[0]) / 3.0

    def price(k):
        out = np.zeros(k.shape)
        near = np.abs(k) < 6.0  # farther out the integral is rounding and the price below 1e-12
        for i in np.flatnonzero(near):
            covered = np.exp(0.5 * k[i]) / np.pi * (np.exp(-1j * u * k[i]) @ weighted).real
            out[i] = 1.0 - covered if k[i] >= 0.0 else np.exp(k[i]) - covered
        return np.where(out > 1e-13, out, 0.0)

    total, _, _ = variance_swap.replicate(price, width=0.25)
    want = theta * years + (v0 - theta) * (1.0 - np.exp(-kappa * years)) / kappa
    assert total == pytest.approx(want, rel=1e-8)


@pytest.mark.parametrize("wing", [0.4, 0.8])
def test_svi_agrees_with_gatherals_integral_in_d2(wing):
    """int w(k(z)) phi(z) dz over z = d2 (Gatheral 2006, eq. 11.4): no price is computed in it."""
    theta = np.array([0.04, wing, -0.5, 0.0, 0.2])

    def integrand(k):
        w, w1, _ = SVI.derivatives(np.array([k]), theta)
        w, w1 = float(w[0]), float(w1[0])
        root = np.sqrt(w)
        z = -k / root - 0.5 * root
        slope = 1.0 / root - 0.5 * k * w1 / w**1.5 + 0.25 * w1 / root
        return w * slope * np.exp(-0.5 * z * z) / np.sqrt(2.0 * np.pi)

    edges = (-600.0, -100.0, -30.0, -5.0, 0.0, 5.0, 30.0, 100.0, 600.0)
    want = sum(
        quad(integrand, a, b, epsabs=1e-14, limit=400)[0] for a, b in itertools.pairwise(edges)
    )
    total, _, left, right = variance_swap.log_contract(
        lambda k: SVI.total_variance(k, theta), low=-0.4, high=0.3
    )
    assert total == pytest.approx(want, rel=1e-9)
    assert 0.0 < right < left < 1.0


def test_a_wing_as_steep_as_lees_bound_is_refused():
    with pytest.raises(InvalidInput, match=r"left wing still holds .* no value"):
        variance_swap.log_contract(lambda k: 0.04 + 2.0 * np.abs(k))


def test_an_error_of_every_vol_is_the_slope_of_the_square():
    """d(s^2) = 2 s ds, so the vegas of all strikes must add up to 2 s."""
    _, error, _, _ = variance_swap.log_contract(
        lambda k: np.full(k.shape, 0.3**2), error=lambda k: np.full(k.shape, 0.01)
    )
    assert error == pytest.approx(2.0 * 0.3 * 0.01, rel=1e-12)


def test_shares_are_those_of_the_strikes_beyond():
    """A flat vol, cut at one deviation: the same integral by quadrature."""
    s = 0.2

    def leg(k):
        right = 1.0 if k > 0 else -1.0
        price = black.price(right=right, forward=1.0, strike=np.exp(k), years=1.0, vol=s)
        return 2.0 * np.exp(-k) * float(price)

    _, _, left, right = variance_swap.log_contract(
        lambda k: np.full(k.shape, s * s), low=-0.2, high=0.15
    )
    assert left == pytest.approx(quad(leg, -3.0, -0.2)[0] / s**2, rel=1e-9)
    assert right == pytest.approx(quad(leg, 0.15, 3.0)[0] / s**2, rel=1e-9)


def test_a_fitted_surface_has_the_fair_variance_of_its_truth(european):
    """Within three of its own errors, at every expiry; between two, total variance between theirs.

    The errors are a bound (all strikes off to the same side), and the quotes have no noise.
    """
    world = european(half=0.02)
    surface = surfaces.fit(world.frame(), valuation_ns=world.now_ns, spot=world.spot, model="svi")
    got = variance_swap.fair_variance(surface, world.years)
    truth = np.array([
        variance_swap.log_contract(lambda k, th=theta: SVI.total_variance(k, th))[0]
        for theta in world.thetas
    ])  # fmt: skip
    assert np.all(np.abs(got.total_variance - truth) <= 3.0 * got.error * world.years + 1e-9)
    assert got.total_variance == pytest.approx(truth, rel=0.01)
    assert np.all((got.left_share > 0.0) & (got.left_share < 0.2))
    np.testing.assert_allclose(got.vol**2, got.variance)
    # SVI knows one error of the vol inside the quotes, and it grows beyond them
    least = 2.0 * got.vol * surface.fit_error
    assert np.all((got.error >= 0.95 * least) & (got.error <= 2.0 * least))
    between = variance_swap.fair_variance(surface, 0.2)
    assert between.total_variance.shape == ()
    assert got.total_variance[1] < between.total_variance < got.total_variance[2]


def test_prices_of_nothing_are_refused():
    """Zero prices used to divide by zero."""
    for price in (lambda k: np.zeros(k.shape), lambda k: np.full(k.shape, np.nan)):
        with pytest.raises(InvalidInput, match=r"the prices replicate (0|nan), must be > 0"):
            variance_swap.replicate(price, width=0.2)


def test_a_curve_that_is_none_is_refused_for_what_it_is():
    """Negative w used to be cut off in silence, and NaN called a vol of zero at the forward."""
    cases = (
        (
            lambda k: np.where(np.abs(k) > 1.0, -0.01, 0.04),
            r"is -0.01 at k = -?1\.\d*, must be >= 0",
        ),
        (lambda k: np.full(k.shape, np.nan), r"is nan at k = 0, must be >= 0 and finite"),
        (lambda k: np.where(k > 3.0, np.nan, 0.04), r"is nan at k = 3\.\d*, must"),
        (lambda k: np.zeros(k.shape), r"is 0 at k = 0, must be > 0: no variance"),
        (lambda k: np.full((2, 2), 0.04), r"has shape \(2, 2\) for k of shape \(1,\)"),
    )
    for curve, words in cases:
        with pytest.raises(InvalidInput, match="total_variance " + words):
            variance_swap.log_contract(curve)


def test_a_surface_without_a_curve_says_so(european):
    """The NaN used to come without a word."""
    world = european()
    fitter = LiveFitter(world.slices, FitConfig(rate_prior=0.04))
    nothing = np.full(world.bid.size, np.nan)
    bare = fitter.update(world.now_ns, spot=world.spot, bid=nothing, ask=nothing)
    got = variance_swap.fair_variance(bare, [0.1, 0.5])
    assert np.isnan(got.variance).all()
    assert got.status.tolist() == [variance_swap.SwapStatus.NO_CURVE] * 2
    assert got.remedy.startswith("2 of 2 maturities have no curve")
    fitted = fitter.update(world.now_ns, spot=world.spot, bid=world.bid, ask=world.ask)
    whole = variance_swap.fair_variance(fitted, 0.2)
    assert whole.status == variance_swap.SwapStatus.OK and whole.remedy == ""
