"""Raw, natural and jump-wing letters against the printed example and against each other."""

import csv

import numpy as np
import pytest

from surfaces.errors import InvalidInput
from surfaces.smiles.svi import SVI
from surfaces.smiles.svi_forms import (
    jump_wing,
    natural,
    raw_of_jump_wing,
    raw_of_natural,
    repaired,
)

VOGT = np.array([-0.0410, 0.1331, 0.3060, 0.3586, 0.4153])


@pytest.fixture(scope="module")
def drawn() -> np.ndarray:
    """Five hundred raw curves with w > 0, shape (5, 500); seed 11."""
    rng = np.random.default_rng(11)
    b, sigma = np.exp(rng.uniform(-5, 0, 500)), np.exp(rng.uniform(-4, 1, 500))
    rho, m = rng.uniform(-0.99, 0.99, 500), rng.normal(0, 0.3, 500)
    a = np.exp(rng.uniform(-6, -1, 500)) - b * sigma * np.sqrt(1 - rho**2)
    return np.array([a, b, rho, m, sigma])


def test_vogts_letters_there_and_back(tables):
    """Gatheral-Jacquier 2014, example 3.1; the table's letters have double precision."""
    with (tables / "svi_vogt.csv").open() as file:
        row = next(csv.DictReader(file))
    letters = [float(row[x]) for x in ("jw_v", "jw_psi", "jw_p", "jw_c", "jw_vtilde")]
    np.testing.assert_allclose(jump_wing(VOGT, 1.0), letters, rtol=1e-12)
    np.testing.assert_allclose(raw_of_jump_wing(letters, 1.0), VOGT, rtol=1e-12)


def test_the_repair_of_vogts_smile_is_the_printed_one():
    """Gatheral-Jacquier 2014 section 5.1 print c = 0.3493158 and v_tilde = 0.01548182."""
    got = repaired(jump_wing(VOGT, 1.0))
    np.testing.assert_allclose(got[3:], [0.3493158, 0.01548182], atol=5e-8)
    np.testing.assert_array_equal(got[:3], jump_wing(VOGT, 1.0)[:3])


def test_a_repaired_smile_is_an_ssvi_slice():
    """In an SSVI slice the natural delta and mu are zero."""
    raw = raw_of_jump_wing(repaired(jump_wing(VOGT, 1.0)), 1.0)
    np.testing.assert_allclose(natural(raw)[:2], 0.0, atol=1e-14)


def test_natural_letters_describe_the_same_curve(drawn):
    """The natural formula of the paper, evaluated apart."""
    delta, mu, rho, omega, zeta = natural(drawn)
    k = np.linspace(-1, 1, 21)[:, None]
    root = np.sqrt((zeta * (k - mu) + rho) ** 2 + 1 - rho**2)
    w = delta + 0.5 * omega * (1 + zeta * rho * (k - mu) + root)
    np.testing.assert_allclose(w, SVI.total_variance(k, drawn), rtol=1e-9, atol=1e-12)


def test_both_round_trips(drawn):
    np.testing.assert_allclose(raw_of_natural(natural(drawn)), drawn, rtol=1e-9, atol=1e-11)
    # the angle between rho and m/root is the whole information on sigma: keep away from zero
    _, psi, p, c, _ = jump_wing(drawn, 0.3)
    some = drawn[:, np.abs(psi) > 0.02 * (p + c)]
    assert some.shape[1] > 400
    back = raw_of_jump_wing(jump_wing(some, 0.3), 0.3)
    np.testing.assert_allclose(back, some, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("rho", [-1.0, 1.0])
def test_a_flat_wing_has_jump_wing_letters_but_no_natural_ones(rho):
    raw = np.array([0.01, 0.1, rho, 0.1, 0.1])
    np.testing.assert_allclose(raw_of_jump_wing(jump_wing(raw, 0.5), 0.5), raw, atol=1e-14)
    with pytest.raises(InvalidInput, match=r"natural letters need \|rho\| < 1; rho is -?1"):
        natural(raw)


def test_a_flat_smile_goes_through():
    raw = np.array([0.04, 0.0, 0.0, 0.0, 1.0])
    np.testing.assert_array_equal(raw_of_jump_wing(jump_wing(raw, 0.5), 0.5), raw)
    np.testing.assert_array_equal(raw_of_natural(natural(raw)), raw)


def test_m_at_zero_needs_no_case_of_its_own():
    raw = np.array([0.01, 0.1, -0.5, 0.0, 0.1])
    np.testing.assert_allclose(raw_of_jump_wing(jump_wing(raw, 0.5), 0.5), raw, atol=1e-14)


def test_least_variance_at_the_money_leaves_sigma_open():
    letters = jump_wing(np.array([0.01, 0.1, 0.0, 0.0, 0.1]), 1.0)
    with pytest.raises(InvalidInput, match=r"v_tilde .* leave sigma open; give raw letters"):
        raw_of_jump_wing(letters, 1.0)


def test_a_slope_steeper_than_its_wing_is_refused():
    with pytest.raises(InvalidInput, match=r"psi is 0.9, must be in \[-p/2, c/2\]"):
        raw_of_jump_wing([0.04, 0.9, 0.5, 0.5, 0.03], 1.0)


def test_four_letters_are_refused():
    with pytest.raises(InvalidInput, match=r"shape \(4,\), must be \(5, ...\)"):
        natural([0.1, 0.1, 0.1, 0.1])
