"""The exact domain against Vogt's parameters, published slices and brute force."""

import csv

import numpy as np
import pytest

from surfaces import arbitrage
from surfaces.errors import InvalidInput
from surfaces.smiles import svi_domain
from surfaces.smiles.svi import SVI
from surfaces.smiles.svi_forms import jump_wing, raw_of_jump_wing

VOGT = np.array([-0.0410, 0.1331, 0.3060, 0.3586, 0.4153])
U = np.exp(np.linspace(-15.0, 15.0, 20_001))
FINE = 0.5 * (U - 1.0 / U)  # deviations sigma from m, to a million and a half either side


def drawn(n: int, seed: int):
    """Raw curves of every kind with w > 0 and wings in Lee's bound; a third nearly one-sided."""
    rng = np.random.default_rng(seed)
    for i in range(n):
        rho = rng.uniform(-1, 1)
        if i % 3 == 0:
            rho = np.sign(rho) * (1.0 - 10.0 ** rng.uniform(-6, -1))
        b = min(np.exp(rng.uniform(-5.0, 0.6)), 1.99 * rng.uniform() / (1.0 + abs(rho)))
        sigma = np.exp(rng.uniform(-4.0, 1.0))
        least = np.exp(rng.uniform(-7.0, 0.0))
        a = least - b * sigma * np.sqrt(1.0 - rho * rho)
        yield np.array([a, b, rho, 2.0 * sigma * rng.normal(), sigma])


def brute_g(theta) -> np.ndarray:
    k = theta[3] + theta[4] * FINE
    return arbitrage.durrleman(k, *SVI.derivatives(k, theta))


def at_money(theta) -> tuple[float, float]:
    w, w1, _ = SVI.derivatives(np.zeros(1), theta)
    return float(w[0]), float(w1[0])


def test_vogts_parameters_are_outside():
    """Gatheral-Jacquier 2014, figure 1; the table's least g is -0.03286 at k = 0.879."""
    assert not svi_domain.is_free(VOGT)
    g, k = svi_domain.lowest_g(VOGT)
    assert g == pytest.approx(-0.03286, abs=5e-6) and k == pytest.approx(0.879, abs=5e-4)


def test_the_optimal_repair_printed_for_vogt_is_inside():
    """Gatheral-Jacquier 2014 section 5.1 print c = 0.8564763 and v_tilde = 0.0116249."""
    letters = jump_wing(VOGT, 1.0)
    letters[3:] = 0.8564763, 0.0116249
    assert svi_domain.is_free(raw_of_jump_wing(letters, 1.0))


def test_the_verdict_is_that_of_brute_force():
    """Two thousand curves on 20,001 points; only a least g within rounding of zero may differ."""
    free = 0
    for theta in drawn(2_000, seed=1):
        least = brute_g(theta).min()
        verdict = svi_domain.is_free(theta)
        free += verdict
        assert verdict == (least >= 0.0) or abs(least) < 1e-8, theta
    assert 500 < free < 1_700


def test_no_grid_finds_less_than_the_lowest_g():
    """And the fine grid comes near it, wherever the bound is not a limit at infinity.

    A million deviations out, 1 - k w'/2w is computed with a relative error of some 1e-11.
    """
    for theta in drawn(300, seed=2):
        low, k = svi_domain.lowest_g(theta)
        inside = np.abs(FINE) < 1e3
        least = brute_g(theta)[inside].min()
        assert low <= least + 1e-9 * max(1.0, abs(least)), theta
        if abs(k - theta[3]) < 500.0 * theta[4]:
            assert low >= least - 1e-4 * max(0.1, abs(least)), theta


def test_the_least_sigma_separates():
    """Just above it brute force finds nothing, just below it finds a butterfly."""
    checked = 0
    for theta in drawn(400, seed=3):
        edge = svi_domain.least_sigma(theta)
        if not 0.0 < edge < np.inf:
            continue
        at_edge = theta * np.array([edge / theta[4], 1.0, 1.0, edge / theta[4], edge / theta[4]])
        for ratio, free in ((1.001, True), (0.999, False)):
            moved = at_edge * np.array([ratio, 1.0, 1.0, ratio, ratio])
            assert svi_domain.is_free(moved) == free
            assert (brute_g(moved).min() > -1e-9) == free
        checked += 1
    assert checked > 100


def test_bad_wings_and_levels_are_outside():
    assert not svi_domain.is_free([0.04, 1.0, 0.0, 0.0, -0.1])
    assert not svi_domain.is_free([0.04, 1.5, 0.5, 0.0, 0.1])  # slope 2.25
    assert not svi_domain.is_free([0.04, 1.0, 1.0, 0.0, 5.0])  # slope of exactly 2
    assert not svi_domain.is_free([-0.04, 0.01, 0.0, 0.0, 0.1])
    assert svi_domain.is_free([0.04, 0.0, 0.0, 0.0, 0.0])  # flat
    assert svi_domain.lowest_g([-0.04, 0.01, 0.0, 0.0, 0.1])[0] == -np.inf


def test_mending_keeps_what_is_free():
    for theta in drawn(200, seed=4):
        if svi_domain.is_free(theta):
            np.testing.assert_array_equal(svi_domain.mended(theta), theta)


def test_a_mended_curve_is_free_by_brute_force_and_keeps_level_and_slope():
    """Of letters with no regard for arbitrage; a slope no free curve has may only shrink."""
    rng = np.random.default_rng(5)
    kept = lifted = 0
    for i in range(300):
        theta = np.array(
            [
                rng.normal(0, 0.1),
                np.exp(rng.uniform(-6, 1)),
                rng.uniform(-1, 1),
                rng.normal(),
                np.exp(rng.uniform(-6, 1)),
            ]
        )
        if i % 25 == 0:
            theta[2] = np.sign(theta[2])
        got = svi_domain.mended(theta)
        assert svi_domain.is_free(got)
        k = got[3] + got[4] * FINE[np.abs(FINE) < 1e4]
        assert arbitrage.durrleman(k, *SVI.derivatives(k, got)).min() > -1e-9
        level, slope = at_money(theta)
        if level <= 0.0:
            lifted += 1
            continue
        new_level, new_slope = at_money(got)
        assert new_level == pytest.approx(level, rel=1e-6, abs=1e-9)
        assert abs(new_slope) <= abs(slope) + 1e-8
        kept += abs(new_slope - slope) < 1e-6 * max(abs(slope), 1e-2)
    assert kept > 0.8 * (300 - lifted)


def test_vogt_is_mended_near_the_money():
    """The repair moves vols within one deviation by less than one and a half points."""
    got = svi_domain.mended(VOGT)
    k = np.sqrt(0.0174) * np.linspace(-1, 1, 41)
    moved = np.sqrt(SVI.total_variance(k, got)) - np.sqrt(SVI.total_variance(k, VOGT))
    assert np.abs(moved).max() < 0.015
    np.testing.assert_allclose(at_money(got), at_money(VOGT), rtol=1e-9)


def test_letters_that_are_no_numbers_are_refused():
    with pytest.raises(InvalidInput, match=r"theta\[1\] is nan"):
        svi_domain.is_free([0.04, np.nan, 0.0, 0.0, 0.1])
    with pytest.raises(InvalidInput, match=r"shape \(4,\), must be \(5,\)"):
        svi_domain.mended([0.04, 0.1, 0.0, 0.0])


def test_every_fit_ends_inside(tables):
    """The SPX chain and quotes that ask for arbitrage: free on the whole line, not on a grid."""
    from surfaces.smiles.quotes import SmileQuotes

    with (tables / "spx_20241111_otm.csv").open() as file:
        rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
    books = []
    for expiry in sorted({r["expiry"] for r in rows}):
        some = [r for r in rows if r["expiry"] == expiry]
        k, bid, ask = (np.array([float(r[x]) for r in some]) for x in ("k", "bid_iv", "ask_iv"))
        books.append((float(some[0]["T"]), k, bid, ask))
    rng = np.random.default_rng(6)
    for _ in range(20):
        k = np.sort(rng.uniform(-1.5, 1.5, 12))
        vol = np.abs(0.2 + rng.uniform(-2, 2) * k + rng.uniform(0, 3) * k**2) + 0.05
        vol *= np.exp(0.2 * rng.standard_normal(12))
        books.append((1.0, k, vol - 0.01, vol + 0.01))
    for years, k, bid, ask in books:
        half = 0.5 * (ask - bid)
        book = SmileQuotes(years, k, bid, ask, 0.5 * (bid + ask), half, np.zeros(k.size, bool))
        got = SVI.fit(book)
        assert svi_domain.is_free(got.theta)
        assert brute_g(got.theta)[np.abs(FINE) < 1e4].min() > -1e-9
