"""What every model on the shelf owes, and the ladder that picks one."""

import numpy as np
import pytest

from surfaces.errors import InvalidInput
from surfaces.smiles import SMILES, fit_rungs, smile
from surfaces.smiles.base import CurveStack, register
from surfaces.smiles.quotes import SmileQuotes, quote_vols

K = np.linspace(-0.2, 0.15, 15)


def quotes(n: int, years: float = 0.25) -> SmileQuotes:
    k = K[np.linspace(0, K.size - 1, n).astype(int)]
    vol = 0.2 - 0.2 * k + 0.5 * k * k
    half = np.full(n, 0.005)
    return SmileQuotes(years, k, vol - half, vol + half, vol, half, np.zeros(n, bool))


@pytest.mark.parametrize("name", sorted(SMILES))
def test_derivatives_are_those_of_total_variance(name):
    """Central differences; step 1e-4 leaves 1e-8 relative truncation on these scales."""
    model = smile(name)
    theta = model.fit(quotes(15)).theta
    k, h = np.linspace(-0.15, 0.1, 7), 1e-4
    w, w1, w2 = model.derivatives(k, theta)
    up, down = (model.total_variance(k + d, theta) for d in (h, -h))
    np.testing.assert_allclose(w, model.total_variance(k, theta), rtol=1e-14)
    np.testing.assert_allclose(w1, (up - down) / (2 * h), atol=1e-7)
    np.testing.assert_allclose(w2, (up - 2 * w + down) / h**2, atol=1e-5)


@pytest.mark.parametrize("name", sorted(SMILES))
def test_scaled_multiplies_total_variance(name):
    model = smile(name)
    theta = model.fit(quotes(15)).theta
    half = model.total_variance(K, model.scaled(theta, 0.5))
    np.testing.assert_allclose(half, 0.5 * model.total_variance(K, theta), rtol=1e-14)


@pytest.mark.parametrize("name", sorted(SMILES))
@pytest.mark.parametrize("ratio", [0.9, 0.98, 1.05, 1.1])
def test_stretching_keeps_the_shape_in_deviations(name, ratio):
    """w(k) becomes ratio w(k / sqrt(ratio)), a mixture's but for terms in w^2; unstretched again
    it is what it was."""
    model = smile(name)
    theta = model.fit(quotes(15)).theta
    k = np.linspace(-0.2, 0.15, 11)
    moved = model.stretched(theta, ratio)
    wanted = ratio * model.total_variance(k / np.sqrt(ratio), theta)
    np.testing.assert_allclose(model.total_variance(k, moved), wanted, rtol=3e-3)
    back = model.total_variance(k, model.stretched(moved, 1.0 / ratio))
    np.testing.assert_allclose(back, model.total_variance(k, theta), rtol=1e-9)


@pytest.mark.parametrize("name", sorted(SMILES))
def test_fits_stay_between_the_lowest_and_highest_quote(name):
    book = quotes(15)
    w = smile(name).total_variance(book.k, smile(name).fit(book).theta)
    vol = np.sqrt(w / book.years)
    assert np.all(vol > book.bid_vol.min()) and np.all(vol < book.ask_vol.max())


@pytest.mark.parametrize(
    ("count", "rung"), [(15, "svi"), (5, "svi"), (4, "parabola"), (3, "parabola"), (2, "flat")]
)
def test_the_ladder_goes_by_the_number_of_strikes(count, rung):
    assert fit_rungs(("svi", "parabola", "flat"), quotes(count)).model == rung


def test_a_parabola_does_not_extrapolate():
    model = smile("parabola")
    theta = model.fit(quotes(4)).theta
    far = model.total_variance(np.array([-5.0, K[0], K[-1], 5.0]), theta)
    assert far[0] == pytest.approx(far[1]) and far[3] == pytest.approx(far[2])


def test_nothing_quoted_is_no_fit():
    book = quotes(2).keep(np.zeros(2, bool))
    assert fit_rungs(("svi", "parabola", "flat"), book) is None


def test_an_unknown_name_lists_the_choices():
    with pytest.raises(
        InvalidInput, match=r"unknown smile 'sabre'; choose one of .*flat, mixture, parab.*svi"
    ):
        smile("sabre")


def test_a_name_is_taken_once():
    with pytest.raises(InvalidInput, match="already registered"):
        register(smile("svi"))


def test_a_bid_below_intrinsic_leaves_only_the_ask():
    """Premium can push a bid under zero: that quote bounds the vol from above only."""
    one = np.ones(3)
    got = quote_vols(
        right=one,
        strike=110.0 * one,
        forward=100.0 * one,
        years=0.25 * one,
        df=one,
        bid=np.array([-0.5, 0.3, np.nan]),
        ask=np.array([0.4, 0.4, 0.4]),
    )
    assert got.one_sided.tolist() == [True, False, True]
    assert np.isnan(got.bid_vol[[0, 2]]).all() and np.isfinite(got.ask_vol).all()
    assert got.fittable.all()


def test_a_stack_of_every_model_says_what_each_curve_says_alone():
    """Absent curves are NaN; so is nothing else, whatever the shape of k."""
    models = [*(smile(name) for name in sorted(SMILES)), None]
    models = [*models, *reversed(models)]
    thetas = [None if m is None else m.scaled(m.fit(quotes(15)).theta, 1.3) for m in models]
    stack = CurveStack.of_curves(models, thetas)
    of = np.repeat(np.arange(len(models)), 2)
    grid = np.linspace(-0.3, 0.2, 2 * of.size).reshape(of.size, 2)
    for k in (grid, grid[:, 0]):
        got = (stack.total_variance(of, k), *stack.derivatives(of, k))
        for i, j in enumerate(of):
            model, theta = models[j], thetas[j]
            if model is None or theta is None:
                assert all(np.isnan(values[i]).all() for values in got)
                continue
            wanted = (model.total_variance(k[i], theta), *model.derivatives(k[i], theta))
            for values, expected in zip(got, wanted, strict=True):
                np.testing.assert_array_equal(values[i], expected)
