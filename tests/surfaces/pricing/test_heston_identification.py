"""What a fit of Heston or Bates says of its quotes: weights, bounds, twins, and errors."""

import numpy as np
import pytest

from surfaces.errors import InvalidInput
from surfaces.pricing import bates, black, heston
from surfaces.pricing.heston_calibration import FitStatus
from surfaces.pricing.heston_identification import told
from surfaces.pricing.heston_letters import letters, mirror, parameters
from surfaces.pricing.heston_start import SPEEDS, SPLITS, candidates
from surfaces.pricing.option_quotes import read

TRUTH = heston.Parameters(v0=0.04, kappa=1.5, theta=0.05, sigma=0.6, rho=-0.7)
JUMPY = bates.Parameters(*TRUTH.vector(), jump_rate=0.4, jump_mean=-0.1, jump_std=0.12)
TENORS = np.array([0.05, 0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0])


def grid(years, strikes) -> dict:
    """Columns of all strikes at all expiries, the forward 100."""
    T, K = (a.ravel() for a in np.meshgrid(years, strikes, indexing="ij"))
    return {"years": T, "strike": K, "forward": np.full(T.size, 100.0)}


def exact(place: dict, truth: heston.Parameters = TRUTH) -> np.ndarray:
    return np.asarray(heston.vol(truth, **place).vol)


def priced(place: dict, half: float | np.ndarray) -> dict:
    """Bids and asks about exact prices of out-of-the-money options."""
    right = np.where(place["strike"] >= 100.0, 1, -1)
    mid = heston.price(TRUTH, right=right, **place)
    return place | {"right": right, "bid": mid - half, "ask": mid + half}


def test_prices_are_weighed_by_their_spread_in_price():
    """Two cents each side everywhere used to weigh from .07 to 1.8 when prices were fitted."""
    quotes = priced(grid([0.25, 1.0], np.arange(80.0, 121.0, 5.0)), 0.02)
    for weights in (None, "spread"):
        got = heston.calibrate(quotes, fit="price", weights=weights)
        np.testing.assert_allclose(got.quotes.weight, 1.0, rtol=1e-12)
    half = np.where(quotes["strike"] < 100.0, 0.01, 0.03)
    wide = priced(grid([0.5, 1.0], np.arange(80.0, 121.0, 5.0)), half)
    weight = heston.calibrate(wide, fit="price").quotes.weight
    np.testing.assert_allclose(weight * half, weight[0] * half[0], rtol=1e-12)
    in_vol = heston.calibrate(wide).quotes
    vega = black.greeks(
        right=in_vol.right, forward=100.0, strike=in_vol.strike, years=in_vol.each_years,
        vol=in_vol.vol, which=["vega"],
    ).vega  # fmt: skip
    np.testing.assert_allclose(in_vol.weight * half / vega, (in_vol.weight * half / vega)[0])


def test_vega_counts_once_when_prices_are_fitted():
    """Prices were weighed by vega too, so that errors were in USD squared."""
    quotes = priced(grid([0.25, 1.0], np.arange(80.0, 121.0, 5.0)), 0.02)
    for weights in ("vega", "equal"):
        got = heston.calibrate(quotes, fit="price", weights=weights)
        np.testing.assert_array_equal(got.quotes.weight, 1.0)
    q = heston.calibrate(quotes, weights="vega").quotes
    np.testing.assert_allclose(q.weight / q.vega, q.weight[0] / q.vega[0])


def test_a_bid_of_zero_is_no_bid():
    """Bid 0, ask .05 used to be fitted as a mid of .025."""
    quotes = priced(grid([0.25, 1.0], np.arange(80.0, 121.0, 5.0)), 0.02)
    quotes["bid"][0], quotes["ask"][0] = 0.0, 0.05
    quotes["bid"][17] = -0.01
    got = heston.calibrate(quotes)
    assert got.removed == {"no bid": 2} and len(got.quotes) == 16
    assert not {0, 17} & set(got.quotes.row.tolist())
    place = {name: quotes[name] for name in ("years", "strike", "forward")}
    vol = exact(place)
    bid = np.where(np.arange(18) == 4, 0.0, vol - 0.001)
    got = heston.calibrate(place | {"bid_vol": bid, "ask_vol": vol + 0.001})
    assert got.removed == {"no bid": 1}


def test_a_quote_of_weight_zero_is_in_no_figure():
    """A quote left out by weight used to set rmse_vol and max_error_vol."""
    quotes = grid([0.1, 0.5, 2.0], np.arange(70.0, 131.0, 10.0))
    vol = exact(quotes)
    vol[3] += 0.5
    weight = np.ones(vol.size)
    weight[3] = 0.0
    got = heston.calibrate(quotes | {"vol": vol, "weight": weight})
    assert got.ok and got.rmse_vol < 1e-7 and got.max_error_vol < 1e-7 and got.rmse_price < 1e-5
    assert "over 20 quotes" in repr(got)
    assert got.residuals["vol_error"].abs().max() == pytest.approx(0.5, abs=1e-6)


def test_errors_beside_a_bound_cover_the_truth():
    """One expiry with noise: in 26 of 45 such fits v0 or kappa was 5 of its errors off.

    The errors were those of a model whose theta is 4. Errors of normal noise are 4 deviations off
    once in 16,000; a valley is no straight line, so they are asked to cover, not to fit.
    """
    quotes = grid([0.25], np.arange(70.0, 131.0, 5.0))
    vol, stopped = exact(quotes), 0
    for seed in range(30):
        noise = 1e-3 * np.random.default_rng(seed).standard_normal(vol.size)
        got = heston.calibrate(quotes | {"vol": vol + noise}, max_steps=1000)
        errors = np.array([got.standard_errors[name] for name in got.names])
        off = np.abs(got.params.vector() - TRUTH.vector())
        held = np.isin(got.names, got.at_bounds)
        assert np.all(np.isnan(errors) == held)
        assert np.all(off[~held] < 4.0 * errors[~held]), (seed, off / errors)
        stopped += got.status == FitStatus.AT_BOUNDS
        if got.at_bounds:
            assert "errors of the others are those with it free" in got.message
    assert stopped >= 15


def test_more_steps_are_no_remedy_for_what_quotes_do_not_tell():
    """One expiry used to say "raise max_steps", which walks theta to its bound."""
    quotes = grid([0.25], np.arange(70.0, 131.0, 5.0))
    quotes |= {"vol": exact(quotes) + 1e-3 * np.random.default_rng(0).standard_normal(13)}
    early = heston.calibrate(quotes, max_steps=20)
    assert early.status == FitStatus.OUT_OF_STEPS and "raise max_steps" in early.message
    got = heston.calibrate(quotes, max_steps=100)
    assert got.status == FitStatus.UNIDENTIFIED and not got.ok
    assert "do not tell kappa, theta apart after 100 steps" in got.message
    assert "raise max_steps" not in got.message and "give more expiries" in got.message


def test_mirrors_price_as_put_call_symmetry_says():
    """Vols of the mirror at -k are the model's at k: the identity behind the next test."""
    k = np.linspace(-0.4, 0.4, 9)
    for model, params in ((heston, TRUTH), (bates, JUMPY)):
        other = type(params)(*parameters(mirror(letters(params.vector()))).tolist())
        assert other.rho == pytest.approx(0.7) and other.kappa == pytest.approx(1.92)
        for years in (0.1, 2.0):
            ours, theirs = (
                model.vol(p, forward=100.0, strike=100.0 * np.exp(x), years=years).vol
                for p, x in ((params, k), (other, -k))
            )
            np.testing.assert_allclose(theirs, ours, rtol=0.0, atol=1e-9)
    steep = heston.Parameters(v0=0.04, kappa=0.3, theta=0.05, sigma=0.6, rho=0.7)
    assert np.isnan(mirror(letters(steep.vector()))[1:3]).all()


@pytest.mark.parametrize("max_steps", [100, 3000])
def test_strikes_at_the_money_do_not_show_the_sign_of_rho(max_steps):
    """Eight of them "converged" to rho +.7 with an error of 6e-10, the truth being -.7."""
    quotes = grid(TENORS, [100.0])
    quotes |= {"vol": exact(quotes)}
    got = heston.calibrate(quotes, max_steps=max_steps)
    assert got.status == FitStatus.UNIDENTIFIED and got.rmse_vol < 1e-7
    assert "do not tell kappa, theta, rho apart" in got.message and "off the money" in got.message
    assert all(np.isposinf(got.standard_errors[name]) for name in ("kappa", "theta", "rho"))
    assert got.standard_errors["v0"] < 1e-3
    # the remedies it names: a strike off the money, or a letter held
    wing = {"years": [0.5, 0.5], "strike": [90.0, 110.0], "forward": [100.0, 100.0]}
    more = {n: np.append(quotes[n], wing[n]) for n in wing}
    told = heston.calibrate(more | {"vol": exact(more)}, max_steps=max_steps)
    assert told.ok and told.params.rho == pytest.approx(-0.7, abs=1e-4)
    held = heston.calibrate(quotes, bounds={"rho": (-0.7, -0.7)}, max_steps=max_steps)
    assert held.ok and held.at_bounds == ()
    np.testing.assert_allclose(held.params.vector(), TRUTH.vector(), rtol=1e-5)
    assert np.isnan(held.standard_errors["rho"]) and held.standard_errors["kappa"] < 1e-3


def test_noise_at_the_money_hides_the_sign_of_rho_as_well():
    quotes = grid(np.linspace(0.05, 3.0, 60), [100.0])
    vol = exact(quotes)
    for seed in range(3):
        noise = 1e-5 * np.random.default_rng(seed).standard_normal(vol.size)
        got = heston.calibrate(quotes | {"vol": vol + noise}, max_steps=300)
        assert got.status == FitStatus.UNIDENTIFIED and "theta, rho apart" in got.message


def test_symmetric_smiles_do_not_hide_the_sign_of_rho():
    """Rho is zero, so its mirror is itself: with noise, and with noise of rounding alone."""
    quotes = grid(TENORS, np.arange(80.0, 121.0, 10.0))
    for rho in (0.0, 1e-7, 0.003):
        even = heston.Parameters(v0=0.04, kappa=1.5, theta=0.05, sigma=0.6, rho=rho)
        vol = exact(quotes, even)
        assert heston.calibrate(quotes | {"vol": vol}).ok
        for seed in range(10):
            noise = 1e-2 * np.random.default_rng(seed).standard_normal(vol.size)
            got = heston.calibrate(quotes | {"vol": vol + noise})
            assert "mirror" not in got.message
            assert 0.01 < got.standard_errors["rho"] < 0.1


def test_a_letter_without_slope_is_not_told():
    """Its error is infinite, and the others' are as if it were not there."""
    jac = np.random.default_rng(0).standard_normal((20, 5))
    jac[:, 1] = 0.0
    none = np.zeros(5, bool)
    got = told(letters(TRUTH.vector()), jac, 1.0, none, none)
    assert got.silent.tolist() == [False, True, False, False, False]
    assert np.isposinf(got.covariance[1, 1])
    full = np.linalg.inv(np.delete(jac, 1, axis=1).T @ np.delete(jac, 1, axis=1))
    scale = np.delete([0.04, 1.5, 0.05, 0.6, 1.0 - 0.49], 1)
    rest = np.delete(np.delete(got.covariance, 1, axis=0), 1, axis=1)
    np.testing.assert_allclose(rest, full * np.outer(scale, scale), rtol=1e-9)


def test_five_quotes_for_five_parameters_tell_no_errors():
    """They "converged" with all errors infinite, and no word why."""
    place = {
        "years": np.array([0.1, 0.1, 0.5, 0.5, 0.5]),
        "strike": np.array([95.0, 105.0, 80.0, 100.0, 120.0]),
        "forward": np.full(5, 100.0),
    }
    got = heston.calibrate(place | {"vol": exact(place)}, max_steps=500)
    assert got.rmse_vol < 1e-7 and got.status == FitStatus.UNIDENTIFIED
    assert got.message.startswith("5 quotes for 5 parameters leave none over")
    assert got.message.endswith("give more quotes")
    assert all(np.isposinf(e) for e in got.standard_errors.values())
    held = heston.calibrate(
        place | {"vol": exact(place)}, bounds={"rho": (-0.7, -0.7)}, max_steps=500
    )
    assert held.ok


def test_bounds_that_are_none_are_named():
    """A number for a pair used to raise a bare TypeError."""
    quotes = grid(TENORS, [90.0, 100.0, 110.0])
    quotes |= {"vol": exact(quotes)}
    for bounds, words in (
        ({"rho": 0.5}, r"bounds of rho are 0.5, must be two numbers, \(least, most\)"),
        ({"rho": (0.1, 0.2, 0.3)}, r"bounds of rho are \(0.1, 0.2, 0.3\), must be two numbers"),
        ({"kappa": ("a", 1.0)}, r"bounds of kappa is .*must be a number or numbers"),
        ({"kappa": (np.nan, 1.0)}, r"bounds of kappa are \(nan, 1\), must rise"),
        (0.5, r"bounds is 0.5, must be a Mapping"),
    ):
        with pytest.raises(InvalidInput, match=words):
            heston.calibrate(quotes, bounds=bounds)


def test_parameters_of_the_other_model_are_told_from_these():
    """ "params is Parameters(...), must be a Parameters" helped nobody."""
    option = {"right": 1, "forward": 100.0, "strike": 100.0, "years": 1.0}
    with pytest.raises(InvalidInput, match=r"must be a heston\.Parameters"):
        heston.price(JUMPY, **option)
    with pytest.raises(InvalidInput, match=r"must be a bates\.Parameters"):
        bates.price(TRUTH, **option)
    quotes = grid(TENORS, [90.0, 100.0, 110.0])
    with pytest.raises(InvalidInput, match=r"start is .*must be a bates\.Parameters"):
        bates.calibrate(quotes | {"vol": exact(quotes)}, TRUTH)


def test_a_start_that_ends_at_a_bound_is_not_the_last():
    """A letter that is held is at no bound, and the truth is inside."""
    quotes = grid(TENORS, np.arange(80.0, 121.0, 5.0))
    quotes |= {"vol": exact(quotes)}
    inside = heston.calibrate(quotes, TRUTH)
    assert inside.ok and inside.starts == 1
    walled = heston.calibrate(quotes, TRUTH, bounds={"kappa": (2.0, 30.0)})
    assert walled.at_bounds == ("kappa",) and walled.starts > 1
    held = heston.calibrate(quotes, TRUTH, bounds={"kappa": (2.0, 2.0)})
    assert held.ok and held.starts == 1


def test_a_second_descent_is_made_unless_the_first_is_exact():
    quotes = grid(TENORS, np.arange(80.0, 121.0, 5.0))
    vol = exact(quotes)
    assert heston.calibrate(quotes | {"vol": vol}).starts == 1
    rough = quotes | {"vol": vol + 1e-3 * np.cos(np.arange(vol.size))}
    assert heston.calibrate(rough).starts == 2
    assert heston.calibrate(rough, starts=1).starts == 1


def test_starts_read_variances_off_the_term_structure():
    """Flat smiles of the mean of dv = kappa (theta - v) dt: the variance expected to expiry.

    The candidates of that kappa have that v0 and theta; the first and last level are neither.
    """
    place = grid(TENORS, np.arange(90.0, 111.0, 5.0))
    for number, kappa in enumerate(SPEEDS):
        x = kappa * place["years"]
        variance = 0.06 + (0.03 - 0.06) * (1.0 - np.exp(-x)) / x
        found = candidates(read(place | {"vol": np.sqrt(variance)}))
        of = found[number * len(SPLITS) : (number + 1) * len(SPLITS)]
        np.testing.assert_array_equal(of[:, 1], kappa)
        np.testing.assert_allclose(of[:, 0], 0.03, rtol=1e-8)
        np.testing.assert_allclose(of[:, 2], 0.06, rtol=1e-8)
