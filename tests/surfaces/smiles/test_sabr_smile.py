"""SABR on the shelf: Obloj's curve inside, straight wings outside, no butterfly anywhere."""

import numpy as np
import pytest

from surfaces.arbitrage import durrleman
from surfaces.certificate import LEE
from surfaces.errors import InvalidInput
from surfaces.fitting import fit
from surfaces.live import FitConfig, LiveFitter
from surfaces.smiles import fit_rungs, sabr
from surfaces.smiles.base import Below, smile
from surfaces.smiles.quotes import SmileQuotes


def quotes(vol, k, years=0.25, half=0.003):
    h = np.full(k.size, half)
    return SmileQuotes(years, k, vol - h, vol + h, vol, h, np.zeros(k.size, bool))


def of_sabr(years=0.25, level=0.2, nu=1.2, rho=-0.6, n=41):
    params = sabr.Parameters(alpha=level, beta=1.0, nu=nu, rho=rho)
    k = level * np.sqrt(years) * np.linspace(-3.0, 2.0, n)
    vol = sabr.vol(params, forward=1.0, strike=np.exp(k), years=years, formula="obloj")
    return params, quotes(vol, k, years)


def test_a_smile_of_sabr_is_found_again():
    params, book = of_sabr()
    found = sabr.SABR.fit(book)
    assert found.used.all()
    vol = np.sqrt(sabr.SABR.total_variance(book.k, found.theta) / book.years)
    np.testing.assert_allclose(vol, book.mid_vol, atol=1e-6)
    back = sabr.parameters_of(found.theta, forward=80.0, years=0.25)
    for name in ("alpha", "nu", "rho", "beta"):
        assert getattr(back, name) == pytest.approx(getattr(params, name), rel=1e-3)


def test_the_curve_is_the_formula_inside_and_straight_outside():
    _, book = of_sabr()
    theta = sabr.SABR.fit(book).theta
    low, high = theta[6:]
    assert low < book.k[0] and book.k[-1] < high
    params = sabr.parameters_of(theta, forward=1.0, years=0.25)
    k = np.linspace(low, high, 33)
    vol = sabr.vol(params, forward=1.0, strike=np.exp(k), years=0.25, formula="obloj")
    np.testing.assert_allclose(sabr.SABR.total_variance(k, theta), vol**2 * 0.25, rtol=1e-12)
    for far in (np.array([3.0, 4.0, 5.0]), np.array([-3.0, -4.0, -5.0])):
        w, _, w2 = sabr.SABR.derivatives(far, theta)
        assert w[2] - w[1] == pytest.approx(w[1] - w[0], rel=1e-9) and not w2.any()


@pytest.mark.parametrize("seed", range(4))
def test_no_fit_has_a_butterfly_far_out_either(seed):
    """Noisy, short and long, skewed both ways: g >= 0 on 4,000 points, slopes within Lee's."""
    rng = np.random.default_rng(seed)
    fitted = 0
    for _ in range(12):
        years = float(np.exp(rng.uniform(np.log(2 / 365), np.log(3.0))))
        _, book = of_sabr(years, level=rng.uniform(0.1, 0.6), rho=rng.uniform(-0.9, 0.6),
                          nu=rng.uniform(0.2, 1.0) * 2.0 / max(np.sqrt(years), 0.3))  # fmt: skip
        noisy = book.mid_vol * (1.0 + 0.03 * rng.standard_normal(len(book)))
        found = sabr.SABR.fit(quotes(noisy, book.k, years, 0.02))
        if found is None:
            continue
        fitted += 1
        s = np.sqrt(found.theta[0])
        k = np.linspace(book.k[0] - 30.0 * s, book.k[-1] + 30.0 * s, 4001)
        w, w1, w2 = sabr.SABR.derivatives(k, found.theta)
        assert w.min() > 0.0 and np.abs(w1).max() <= LEE
        assert durrleman(k, w, w1, w2).min() >= -1e-9, (years, found.theta)
    assert fitted >= 8


def test_a_shorter_expiry_is_a_floor():
    _, book = of_sabr()
    own = sabr.SABR.fit(book)
    high = sabr.SABR.scaled(own.theta, 1.1)
    lifted = sabr.SABR.fit(book, None, Below(sabr.SABR, high, book.k[0], book.k[-1]))
    gap = sabr.SABR.total_variance(book.k, lifted.theta) / sabr.SABR.total_variance(book.k, high)
    assert gap.min() > 0.99
    assert (sabr.SABR.total_variance(book.k, own.theta)
            / sabr.SABR.total_variance(book.k, high)).max() < 0.92  # fmt: skip


def test_a_wild_quote_is_dropped_once():
    _, book = of_sabr()
    vol = book.mid_vol.copy()
    vol[20] += 0.3
    found = sabr.SABR.fit(quotes(vol, book.k))
    assert np.flatnonzero(~found.used).tolist() == [20]
    got = np.sqrt(sabr.SABR.total_variance(book.k, found.theta) / book.years)
    np.testing.assert_allclose(got, book.mid_vol, atol=1e-5)


def test_what_sabr_draws_only_with_a_butterfly_goes_down_the_ladder():
    """Variance of slope eight, four times what Lee allows, in tight markets: SVI mends, SABR
    passes. Of slope four it is drawn within the law, far from the quotes."""
    k = np.linspace(-1.0, 1.0, 41)
    for slope, rung in ((4.0, "sabr"), (8.0, "svi")):
        steep = quotes(np.sqrt(0.04 + slope * np.abs(k)), k, years=1.0, half=1e-3)
        found = fit_rungs(("sabr", "svi", "parabola", "flat"), steep)
        assert found is not None and found.model == rung
        w, w1, w2 = smile(rung).derivatives(k, found.theta)
        assert durrleman(k, w, w1, w2).min() >= -1e-9


def test_a_smile_that_was_moved_has_no_letters():
    _, book = of_sabr()
    theta = sabr.SABR.fit(book).theta
    for moved in (sabr.SABR.scaled(theta, 0.9), sabr.SABR.stretched(theta, 1.1)):
        with pytest.raises(InvalidInput, match="moved in time or level"):
            sabr.parameters_of(moved, forward=1.0, years=0.25)


def test_a_chain_is_fitted_with_it(european):
    """Every expiry by SABR, certified, and near the truth it was made from."""
    world = european()
    surface = fit(world.frame(), valuation_ns=world.now_ns, spot=world.spot, model="sabr")
    assert set(surface.path) == {"sabr"} and surface.certificate.certified.all()
    assert surface.scores.hits.sum() > 0.6 * surface.scores.quotes.sum()


def test_a_live_chain_starts_from_its_last_curves(european):
    """The same quotes an hour later: the same vols, from a warm start."""
    world = european()
    fitter = LiveFitter(world.slices, FitConfig(model="sabr", rate_prior=0.04))
    market = {"spot": world.spot, "bid": world.bid, "ask": world.ask}
    first = fitter.update(world.now_ns, **market)
    again = fitter.update(world.now_ns + 1_000_000_000, **market)
    assert set(again.path) == {"sabr"}
    strike = np.linspace(480.0, 520.0, 9)
    for j in range(len(first.path)):
        np.testing.assert_allclose(
            again.slice_vol(j, strike), first.slice_vol(j, strike), atol=2e-4
        )


@pytest.mark.parametrize("ratio", [0.5, 0.9, 1.3])
def test_stretching_and_scaling_are_exact(ratio):
    """In every letter's power of the ratio, wings too, twice over."""
    _, book = of_sabr()
    theta = sabr.SABR.scaled(sabr.SABR.fit(book).theta, 0.7)
    k = np.linspace(-4.0, 4.0, 81)
    for _ in range(2):
        moved = sabr.SABR.stretched(theta, ratio)
        wanted = ratio * sabr.SABR.total_variance(k / np.sqrt(ratio), theta)
        np.testing.assert_allclose(sabr.SABR.total_variance(k, moved), wanted, rtol=1e-12)
        theta = moved


def test_letters_of_what_is_no_sabr_smile_are_refused():
    """Five ones used to escape as ValueError of an unpacking."""
    for theta in (np.ones(5), np.ones((2, 8)), 1.0):
        with pytest.raises(InvalidInput, match=r"theta has shape .* must be \(8,\)"):
            sabr.parameters_of(theta, forward=1.0, years=1.0)
    with pytest.raises(InvalidInput, match="years is 0 years, must be > 0"):
        sabr.parameters_of(np.ones(8), forward=1.0, years=0.0)
