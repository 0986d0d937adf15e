"""SABR at the money and back, the cubic of alpha, and fits whose truth is known."""

import re

import numpy as np
import pytest

from surfaces.errors import CalibrationFailed, InvalidInput
from surfaces.pricing import heston
from surfaces.smiles import sabr


def drawn(n, seed):
    """Parameters and markets where the expansion is well behaved: nu^2 T <= 1.5, T <= 3 years."""
    rng = np.random.default_rng(seed)
    for i in range(n):
        years = float(np.exp(rng.uniform(np.log(1 / 365), np.log(3.0))))
        beta = (0.0, 1.0, 0.5, float(rng.uniform()))[i % 4]
        forward = float(np.exp(rng.uniform(-3.0, 7.0)))
        level = float(np.exp(rng.uniform(np.log(0.05), np.log(0.8))))
        params = sabr.Parameters(
            alpha=level * forward ** (1.0 - beta), beta=beta, rho=float(rng.uniform(-0.9, 0.9)),
            nu=float(rng.uniform(0.05, min(3.0, np.sqrt(1.5 / years)))),
        )  # fmt: skip
        yield params, forward, years, level


@pytest.mark.parametrize("formula", ["hagan", "obloj"])
def test_at_the_money_are_the_derivatives_of_the_vol(formula):
    """Differences of step h: truncation h^2, rounding EPS/h^2 of the second: 1e-6."""
    h = 1e-3
    for params, forward, years, _ in drawn(60, seed=2):
        strike = forward * np.exp(h * np.array([-2.0, -1.0, 0.0, 1.0, 2.0]))
        v = sabr.vol(params, forward=forward, strike=strike, years=years, formula=formula)
        got = sabr.to_atm(params, forward=forward, years=years)
        skew = (8.0 * (v[3] - v[1]) - (v[4] - v[0])) / (12.0 * h)
        bend = (16.0 * (v[3] + v[1]) - (v[4] + v[0]) - 30.0 * v[2]) / (12.0 * h * h)
        assert got.atm_vol == pytest.approx(float(v[2]), rel=1e-13)
        scale = params.nu**2 / v[2] + v[2]  # what the curvature is made of
        assert got.skew == pytest.approx(float(skew), abs=1e-8 * (1.0 + scale / v[2]))
        assert got.curvature == pytest.approx(float(bend), abs=1e-5 * (1.0 + (scale / v[2]) ** 2))


def test_and_back_again():
    for params, forward, years, _ in drawn(400, seed=4):
        money = sabr.to_atm(params, forward=forward, years=years)
        back = sabr.from_atm(**money._asdict(), beta=params.beta, forward=forward, years=years)
        again = sabr.to_atm(back, forward=forward, years=years)
        np.testing.assert_allclose(again, money, rtol=1e-9, atol=1e-12)


def test_back_again_finds_the_letters_of_a_short_expiry():
    """Where nu^2 T is small there is one answer."""
    params = sabr.Parameters(alpha=0.3, beta=0.5, nu=1.2, rho=-0.5, shift=0.01)
    money = sabr.to_atm(params, forward=0.04, years=0.2)
    back = sabr.from_atm(**money._asdict(), beta=0.5, forward=0.04, years=0.2, shift=0.01)
    for name in ("alpha", "nu", "rho", "shift"):
        assert getattr(back, name) == pytest.approx(getattr(params, name), rel=1e-9)


@pytest.mark.parametrize("beta", [0.0, 0.5, 1.0])
def test_the_curvature_that_a_refusal_names_works(beta):
    """Skew -5 and curvature -3 used to be sent to 7.58e+09, and 8e9 to -0.000243: neither works."""
    market = {"atm_vol": 0.2, "beta": beta, "forward": 1.0}
    refused = 0
    for years in (0.1, 0.5, 1.0, 5.0):
        for skew in (-0.5, -5.0, 3.0):
            for curvature in (-30.0, -3.0, 8e9):
                try:
                    sabr.from_atm(skew=skew, curvature=curvature, years=years, **market)
                except InvalidInput as error:
                    refused += 1
                    named = re.search(r"Give a curvature of (\S+), a flatter skew", str(error))
                    assert named, error
                    sabr.from_atm(skew=skew, curvature=float(named[1]), years=years, **market)
    assert refused >= 8


def test_where_no_curvature_is_found_the_skew_is_named():
    """No number is made up: a skew of 1e300 has no curvature near."""
    market = {"atm_vol": 0.2, "curvature": 1.0, "beta": 1.0, "forward": 1.0, "years": 5.0}
    with pytest.raises(InvalidInput, match=r"breaks down\. Give a flatter skew, or another beta"):
        sabr.from_atm(skew=1e300, **market)
    with pytest.raises(InvalidInput, match="beta is 2, must be <= 1"):
        sabr.from_atm(skew=0.0, **(market | {"beta": 2.0}))


def test_letters_of_another_model_are_named():
    """These used to escape as AttributeError."""
    other = heston.Parameters(v0=0.04, kappa=1.0, theta=0.04, sigma=0.5, rho=-0.5)
    one = {"forward": 1.0, "years": 1.0}
    for call in (
        lambda: sabr.vol(other, strike=1.0, **one),
        lambda: sabr.normal_vol(other, strike=1.0, **one),
        lambda: sabr.price(other, right=1, strike=1.0, **one),
        lambda: sabr.density(other, strike=1.0, **one),
        lambda: sabr.delta(other, right=1, strike=1.0, **one),
        lambda: sabr.vega(other, right=1, strike=1.0, **one),
        lambda: sabr.to_atm(other, **one),
        lambda: sabr.check_density(other, **one),
        lambda: sabr.arbitrage_free(other, **one),
    ):
        with pytest.raises(InvalidInput, match=r"params is Parameters\(v0.*Give sabr.Parameters"):
            call()
    for start in (1, other):
        with pytest.raises(InvalidInput, match=r"start is .* must be a Parameters. Give sabr.Para"):
            sabr.calibrate(strike=[0.9, 1.0, 1.1], vol=[0.2] * 3, beta=1.0, start=start, **one)


def test_alpha_is_the_least_root_of_its_cubic():
    for params, forward, years, _ in drawn(300, seed=6):
        vol = sabr.to_atm(params, forward=forward, years=years).atm_vol
        letters = {"beta": params.beta, "nu": params.nu, "rho": params.rho}
        found = sabr.alpha_of(atm_vol=vol, forward=forward, years=years, **letters)
        assert found <= params.alpha * (1.0 + 1e-12)
        made = sabr.Parameters(alpha=found, **letters)
        assert sabr.to_atm(made, forward=forward, years=years).atm_vol == pytest.approx(
            vol, rel=1e-13
        )
        c = 1.0 - params.beta
        cubic = np.array([
            c * c * years / 24.0, 0.25 * params.rho * params.beta * params.nu * years,
            1.0 + (2.0 - 3.0 * params.rho**2) * params.nu**2 * years / 24.0, -vol,
        ])  # fmt: skip
        roots = np.roots(np.trim_zeros(cubic, "f"))
        real = roots[(np.abs(roots.imag) < 1e-9) & (roots.real > 0.0)].real
        assert found * forward**-c == pytest.approx(real.min(), rel=1e-7)


def test_a_vol_that_no_alpha_has_is_refused():
    with pytest.raises(InvalidInput, match=r"no alpha has the vol 2 at the money.*tops out"):
        sabr.alpha_of(atm_vol=2.0, beta=1.0, nu=2.0, rho=-0.9, forward=1.0, years=2.0)


@pytest.mark.parametrize("formula", ["hagan", "obloj"])
def test_a_smile_without_noise_is_found(formula):
    """To a ten-thousandth of a half spread of 20 bp at every strike."""
    for params, forward, years, level in drawn(150, seed=8):
        reach = level * np.sqrt(years)
        strike = forward * np.exp(reach * np.linspace(-2.5, 2.0, 40))
        market = {"forward": forward, "strike": strike, "years": years, "formula": formula}
        vol = sabr.vol(params, **market)
        got = sabr.calibrate(vol=vol, beta=params.beta, half_spread=0.002, **market)
        assert got.status == "ok" and got.remedy == ""
        assert np.abs(got.residuals).max() < 1e-4, (params, forward, years)


def test_residuals_are_in_the_order_given_and_weights_count():
    params = sabr.Parameters(alpha=0.2, beta=1.0, nu=1.2, rho=-0.6)
    strike = np.array([1.1, 0.8, 1.0, 0.9, 1.2])
    vol = sabr.vol(params, forward=1.0, strike=strike, years=0.25)
    off = vol + np.array([0.0, 0.05, 0.0, 0.0, 0.0])
    half = np.array([0.001, 10.0, 0.001, 0.001, 0.001])
    got = sabr.calibrate(
        forward=1.0, strike=strike, years=0.25, vol=off, beta=1.0, half_spread=half
    )
    assert got.params.nu == pytest.approx(1.2, rel=1e-3)
    assert got.residuals[1] == pytest.approx(-0.005, rel=1e-2)
    assert np.abs(got.residuals[[0, 2, 3, 4]]).max() < 1e-2


@pytest.mark.parametrize("beta", [1.0, 0.5])
def test_standard_errors_are_those_of_many_draws(beta):
    """Errors of 400 noisy smiles in units of what is claimed: one, to 4 / sqrt(2 x 400) = 0.14.

    With beta 0.5 and a forward of 100, alpha is ten vols: its error without the forward's power
    (which used to pass, as only beta 1 was looked at) would be a tenth.
    """
    rng = np.random.default_rng(11)
    alpha, forward = 0.2 * 100.0 ** (1.0 - beta), 100.0
    params = sabr.Parameters(alpha=alpha, beta=beta, nu=1.2, rho=-0.6)
    strike = forward * np.exp(np.linspace(-0.4, 0.25, 40))
    market = {"forward": forward, "strike": strike, "years": 0.25}
    vol = sabr.vol(params, **market)
    money = sabr.to_atm(params, forward=forward, years=0.25)
    z = []
    for _ in range(400):
        noisy = vol + 0.004 * rng.standard_normal(strike.size)
        got = sabr.calibrate(vol=noisy, beta=beta, half_spread=0.008, **market)
        found = np.array([got.params.alpha, got.params.rho, got.params.nu])
        z.append([*(found - [alpha, -0.6, 1.2]) / got.errors,
                  *(np.array(got.at_money) - money) / got.at_money_error])  # fmt: skip
    np.testing.assert_allclose(np.std(z, axis=0), 1.0, atol=0.14)
    np.testing.assert_allclose(np.mean(z, axis=0), 0.0, atol=0.2)


def test_a_start_is_taken_and_changes_nothing():
    params = sabr.Parameters(alpha=0.2, beta=0.5, nu=1.2, rho=-0.6)
    strike = np.exp(np.linspace(-0.4, 0.25, 30))
    market = {"forward": 1.0, "strike": strike, "years": 0.25, "beta": 0.5}
    vol = sabr.vol(params, forward=1.0, strike=strike, years=0.25)
    one, other = (sabr.calibrate(vol=vol, start=s, **market) for s in (None, params))
    assert one.params.nu == pytest.approx(other.params.nu, rel=1e-6)


def test_too_few_strikes_name_the_remedy():
    for strikes, words in (([1.0], "1 different strike cannot"), ([1.0, 1.1, 1.1], "2 different")):
        with pytest.raises(CalibrationFailed, match=f"{words}.*sabr.alpha_of"):
            sabr.calibrate(
                forward=1.0, strike=strikes, years=1.0, vol=[0.2] * len(strikes), beta=1.0
            )


def test_quotes_that_determine_nothing_say_so():
    """A smile that bends down has no nu: it runs into its bound."""
    strike = np.exp(np.linspace(-0.3, 0.3, 11))
    vol = 0.2 - 0.5 * np.log(strike) ** 2
    got = sabr.calibrate(forward=1.0, strike=strike, years=0.5, vol=vol, beta=1.0)
    assert got.status == "at_bound" and "another beta" in got.remedy


def test_what_is_no_quote_is_refused():
    market = {"forward": 1.0, "years": 0.5, "beta": 1.0}
    with pytest.raises(InvalidInput, match=r"vol\[1\] is nan"):
        sabr.calibrate(strike=[0.9, 1.0, 1.1], vol=[0.2, np.nan, 0.2], **market)
    with pytest.raises(InvalidInput, match=r"half_spread is 0 , must be > 0|half_spread is 0"):
        sabr.calibrate(strike=[0.9, 1.0, 1.1], vol=[0.2, 0.2, 0.2], half_spread=0.0, **market)
