"""Simulated local vol: constant and moving vols against Black, CEV against its closed form."""

from dataclasses import dataclass

import numpy as np
import pytest
from scipy.stats import ncx2

from surfaces.errors import InvalidInput
from surfaces.pricing import black
from surfaces.pricing import monte_carlo as mc

F = 100.0


@dataclass
class Grid:
    """What `surfaces.local_vol.LocalVol` has."""

    years: np.ndarray
    k: np.ndarray
    vol: np.ndarray


def flat(vol):
    return Grid(np.array([1.0]), np.array([0.0]), np.array([[vol]]))


def cev(level, beta):
    """dS = level F^(1 - beta) S^beta dW as a table, fine enough to leave 1e-6 of vol."""
    k = np.linspace(-3.0, 1.6, 2001)
    return Grid(np.array([1.0]), k, level * np.exp(k * (beta - 1.0))[None, :])


def cev_call(strike, years, level, beta):
    """Schroder (1989) for beta < 1, absorbed at zero."""
    power, scale = 2.0 * (1.0 - beta), (level * F ** (1.0 - beta)) ** 2
    factor = 1.0 / (scale * (1.0 - beta) ** 2 * years)
    at, to = strike**power * factor, F**power * factor
    n = 1.0 / (1.0 - beta)
    return F * ncx2.sf(at, n + 2.0, to) - strike * ncx2.cdf(to, n, at)


def test_constant_vol_is_black_at_any_step():
    """The scheme is exact, so the step error is rounding."""
    strikes = np.array([80.0, 100.0, 130.0])
    got = mc.local_vol(
        flat(0.25), right=1, forward=F, strike=strikes, years=1.0, df=0.9, steps_a_year=2
    )
    want = black.price(right=1, forward=F, strike=strikes, years=1.0, vol=0.25, df=0.9)
    assert np.abs((got.price - want) / got.error).max() <= 3.0
    assert got.step_error.max() < 1e-12
    assert got.error.max() < 1e-3


def test_vol_that_moves_in_time_is_its_mean_square():
    at, vols = np.array([0.0, 1.0, 2.0]), np.array([0.1, 0.3, 0.2])
    model = Grid(at, np.array([-1.0, 1.0]), np.repeat(vols[:, None], 2, axis=1))
    # the integral of a squared line from a to b is (a^2 + a b + b^2)/3 a year
    w = (0.1**2 + 0.1 * 0.3 + 0.3**2) / 3.0 + (0.3**2 + 0.3 * 0.2 + 0.2**2) / 3.0
    got = mc.local_vol(model, right=[1, -1], forward=F, strike=105.0, years=2.0)
    want = black.price(right=[1, -1], forward=F, strike=105.0, years=1.0, vol=np.sqrt(w))
    assert np.abs((got.price - want) / got.error).max() <= 3.0
    assert got.error.max() < 3e-3


@pytest.mark.parametrize("beta", [0.5, 0.8])
@pytest.mark.parametrize("years", [0.25, 3.0])
def test_cev_is_within_three_errors_of_its_closed_form(beta, years):
    strikes = F * np.exp(0.25 * np.sqrt(years) * np.array([-1.0, 0.0, 1.0]))
    got = mc.local_vol(cev(0.25, beta), right=1, forward=F, strike=strikes, years=years, seed=4)
    want = cev_call(strikes, years, 0.25, beta)
    assert np.abs((got.price - want) / got.error).max() <= 3.0, (got.price - want, got.error)
    assert got.error.max() < 1e-3


def test_the_scheme_has_order_two():
    """CEV to ten years: a step a year errs by cents, and half of it by less than a third."""
    want = cev_call(np.array([F]), 8.0, 0.25, 0.5)
    bias = []
    for steps in (1, 2):
        got = mc.local_vol(
            cev(0.25, 0.5), right=1, forward=F, strike=[F], years=8.0, steps_a_year=steps
        )
        bias.append(abs(got.price - want)[0])
        assert bias[-1] <= 3.0 * got.error[0]
    assert bias[0] > 0.02
    assert bias[1] < bias[0] / 3.0


JUMPS = (
    np.array([0.1, 0.1 + 1e-9, 0.1 + 1 / 365, 0.1 + 1 / 365 + 1e-9, 0.2]),
    np.array([0.1, 1.0, 1.0, 0.1, 0.1]),
)


def jumping():
    """10 % of vol, and one day of 100 %."""
    at, vols = JUMPS
    return Grid(at, np.linspace(-1.0, 1.0, 5), np.repeat(vols[:, None], 5, axis=1))


def gone(years):
    """Total variance to `years` of `jumping`."""
    return 0.01 * years + 0.99 * np.clip(years - 0.1, 0.0, 1 / 365)


@pytest.mark.parametrize("steps_a_year", [None, 2.0])
def test_a_vol_that_jumps_in_time_is_its_mean_square(steps_a_year):
    """Steps went over the jump, or began on it with the vol from before: 1.78 with an error of
    0.0002, and no step error at all, where 2.74 is right. Also where an option ends on a side of a
    jump, or between the two."""
    years = np.array([0.1, 0.1 + 4e-10, 0.1 + 1e-9, 0.1 + 0.5 / 365, 0.1 + 1 / 365, 0.2, 0.25])
    got = mc.local_vol(
        jumping(), right=1, forward=F, strike=F, years=years, paths=16_384,
        steps_a_year=steps_a_year,
    )  # fmt: skip
    want = black.price(right=1, forward=F, strike=F, years=1.0, vol=np.sqrt(gone(years)))
    assert np.abs((got.price - want) / got.error).max() <= 3.0
    assert got.error.max() < 0.01
    one = mc.local_vol(jumping(), right=1, forward=F, strike=F, years=0.2, paths=16_384)
    assert one.price == pytest.approx(2.7381, abs=3.0 * one.error)
    assert one.step_error < 1e-12


def test_paths_take_the_variance_of_a_day_of_jumps():
    """The same of `local_vol_paths`, which has no step error to warn with."""
    years = np.array([0.05, 0.2])
    paths = mc.local_vol_paths(jumping(), forward=F, years=years)
    logs = np.log(paths.spot / F)
    got = mc.value(paths, (logs + 0.5 * gone(years)) ** 2, control=False)
    # the scheme is exact in a vol that is constant between jumps
    assert np.abs((got.price - gone(years)) / got.error).max() <= 3.0
    assert (got.error < 0.01 * gone(years)).all()


def test_more_jumps_than_steps_can_meet_are_refused():
    at = np.linspace(1e-3, 1.0, 6000)
    years = np.sort(np.concatenate((at, at + 1e-9)))
    model = Grid(years, np.array([0.0]), np.full((years.size, 1), 0.2))
    with pytest.raises(InvalidInput, match=r"with \d+ jumps of the vol to meet, must be <= 20000"):
        mc.local_vol(model, right=1, forward=F, strike=F, years=1.0)


def test_the_forward_is_a_martingale_at_a_coarse_step():
    k = np.linspace(-2.0, 2.0, 5)
    model = Grid(np.array([0.5, 1.0]), k, np.vstack((0.5 - 0.1 * k, 0.3 - 0.1 * k)))
    paths = mc.local_vol_paths(model, forward=[F, 1.1 * F], years=[0.5, 2.0], steps_a_year=2)
    got = mc.value(paths, lambda spot: spot, control=False)
    assert np.abs((got.price - [F, 1.1 * F]) / got.error).max() <= 3.5


def test_a_geometric_asian_is_lognormal():
    """Kemna and Vorst (1990), twelve fixings: variance of the mean log in closed form."""
    at, vol = np.arange(1, 13) / 12.0, 0.3
    paths = mc.local_vol_paths(flat(vol), forward=F, years=at, paths=65_536)
    mean = -0.5 * vol**2 * at.mean()
    variance = vol**2 * np.minimum.outer(at, at).mean()
    forward = F * np.exp(mean + 0.5 * variance)
    want = black.price(right=1, forward=forward, strike=F, years=1.0, vol=np.sqrt(variance))
    got = mc.value(paths, lambda s: np.maximum(np.exp(np.log(s).mean(axis=1)) - F, 0.0))
    assert abs(got.price - want) <= 3.0 * got.error
    assert got.error < 3e-3


def test_flat_outside_the_table_and_linear_inside():
    """Two models with one vol at every k that matters: a table and its refinement."""
    k = np.array([-0.5, 0.0, 0.4])
    vol = np.array([[0.4, 0.2, 0.1], [0.3, 0.25, 0.15]])
    years = np.array([0.2, 0.8])
    coarse = Grid(years, k, vol)
    fine_k = np.linspace(-3.0, 3.0, 61)
    inside = np.array([np.interp(fine_k, k, row) for row in vol])
    fine_years = np.array([0.0, 0.2, 0.5, 0.8, 1.0])
    share = np.interp(fine_years, years, [0.0, 1.0])[:, None]
    fine = Grid(fine_years, fine_k, inside[0] + share * (inside[1] - inside[0]))
    terms = {"right": 1, "forward": F, "strike": [90.0, 110.0], "years": 1.0, "paths": 4096}
    one, two = (mc.local_vol(m, **terms).price for m in (coarse, fine))
    np.testing.assert_allclose(one, two, rtol=1e-9)


@pytest.mark.parametrize(
    ("vol", "text"),
    [
        ([[0.2, 0.2]], r"vol has shape \(1, 2\), must be \(1, 1\)"),
        ([[np.nan]], r"vol\[0, 0\] is nan per sqrt-year, must be >= 0 .*fill it from its"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused(vol, text):
    model = Grid(np.array([1.0]), np.array([0.0]), np.array(vol))
    with pytest.raises(InvalidInput, match=text):
        mc.local_vol(model, right=1, forward=F, strike=F, years=1.0)
