"""Raw SVI against published parameters, and its fit against quotes it made itself."""

import csv

import numpy as np
import pytest

from surfaces import arbitrage
from surfaces.smiles.base import Below
from surfaces.smiles.quotes import SmileQuotes
from surfaces.smiles.svi import SVI, jump_wing

LETTERS = ("a", "b", "rho", "m", "sigma")


def read(path):
    with path.open() as file:
        return list(csv.DictReader(line for line in file if not line.startswith("#")))


def theta_of(row) -> np.ndarray:
    return np.array([float(row[x]) for x in LETTERS])


def quotes(k, vol, half, years=1.0) -> SmileQuotes:
    k, vol = np.asarray(k, float), np.asarray(vol, float)
    half = np.full(k.shape, half)
    return SmileQuotes(years, k, vol - half, vol + half, vol, half, np.zeros(k.shape, bool))


def test_w_and_g_match_gatheral_jacquier_2014(tables):
    """Rows were computed from the printed parameters in double precision."""
    rows = read(tables / "svi_vogt.csv")
    assert rows
    for row in rows:
        k = np.array([float(row["k"])])
        w, w1, w2 = SVI.derivatives(k, theta_of(row))
        assert w[0] == pytest.approx(float(row["w"]), rel=1e-12)
        assert SVI.total_variance(k, theta_of(row))[0] == pytest.approx(float(row["w"]), rel=1e-12)
        assert arbitrage.durrleman(k, w, w1, w2)[0] == pytest.approx(float(row["g"]), abs=1e-12)


def test_jump_wing_letters_match_gatheral_jacquier_2014(tables):
    for row in read(tables / "svi_vogt.csv"):
        names = ("jw_v", "jw_psi", "jw_p", "jw_c", "jw_vtilde")
        expected = [float(row[name]) for name in names]
        np.testing.assert_allclose(jump_wing(theta_of(row), 1.0), expected, rtol=1e-6)


def test_vols_match_tf_quant_finance(tables):
    """Printed to eight decimals."""
    for row in read(tables / "svi_tfq_calibration.csv"):
        k = np.log(float(row["K"]) / float(row["F"]))
        vol = np.sqrt(SVI.total_variance(k, theta_of(row)) / float(row["T"]))
        assert vol == pytest.approx(float(row["iv"]), abs=1e-8)


def test_fit_recovers_the_parameters_of_tf_quant_finance(tables):
    """Input vols carry eight decimals; the curvature of the problem loses two of them."""
    rows = read(tables / "svi_tfq_calibration.csv")
    k = [np.log(float(r["K"]) / float(r["F"])) for r in rows]
    got = SVI.fit(quotes(k, [float(r["iv"]) for r in rows], 1e-3))
    np.testing.assert_allclose(got.theta, theta_of(rows[0]), atol=1e-6)


@pytest.mark.parametrize("seed", range(12))
def test_fit_recovers_known_parameters(seed):
    """Noise-free quotes of a random arbitrage-free SVI give its parameters back to 1e-6."""
    rng = np.random.default_rng(seed)
    years = float(np.exp(rng.uniform(np.log(0.02), np.log(2.0))))
    root = 0.25 * np.sqrt(years)
    truth = np.array(
        [
            rng.uniform(0.2, 0.8) * root**2,
            rng.uniform(0.1, 0.4) * root,
            rng.uniform(-0.8, 0.4),
            rng.uniform(-0.2, 0.3) * root,
            rng.uniform(0.4, 1.2) * root,
        ]
    )
    k = np.linspace(-3.0, 2.0, 40) * root
    g = arbitrage.min_g(SVI, truth, k[0], k[-1])[0]
    assert g > 0.0
    got = SVI.fit(quotes(k, np.sqrt(SVI.total_variance(k, truth) / years), 2e-3, years))
    assert got.used.all()
    np.testing.assert_allclose(got.theta, truth, atol=1e-6)


def test_warm_start_lands_where_the_cold_search_does():
    k = np.linspace(-0.4, 0.3, 30)
    truth = np.array([0.01, 0.1, -0.5, 0.0, 0.15])
    rng = np.random.default_rng(4)
    vol = np.sqrt(SVI.total_variance(k, truth)) + 5e-4 * rng.standard_normal(30)
    cold = SVI.fit(quotes(k, vol, 1e-3))
    warm = SVI.fit(quotes(k, vol, 1e-3), start=truth)
    a, b = (SVI.total_variance(k, f.theta) for f in (cold, warm))
    np.testing.assert_allclose(a, b, rtol=1e-4)


def test_a_wild_quote_is_dropped_and_does_not_bend_the_curve():
    k = np.linspace(-0.4, 0.3, 30)
    truth = np.array([0.01, 0.1, -0.5, 0.0, 0.15])
    vol = np.sqrt(SVI.total_variance(k, truth))
    vol[12] += 0.20
    got = SVI.fit(quotes(k, vol, 1e-3))
    assert np.flatnonzero(~got.used).tolist() == [12]
    np.testing.assert_allclose(got.theta, truth, atol=1e-6)


def test_bounds_hold_on_quotes_that_ask_for_arbitrage():
    """Vols rising without end in k: Lee's slope 2, w > 0 and g >= 0 must hold all the same."""
    for seed in range(20):
        rng = np.random.default_rng(seed)
        k = np.sort(rng.uniform(-1.5, 1.5, 12))
        vol = np.abs(0.2 + rng.uniform(-2, 2) * k + rng.uniform(0, 3) * k**2) + 0.05
        vol *= np.exp(0.2 * rng.standard_normal(12))
        got = SVI.fit(quotes(k, vol, 0.01))
        _, b, rho, _, sigma = got.theta
        assert b >= 0.0 and abs(rho) <= 1.0 and sigma > 0.0
        assert b * (1.0 + abs(rho)) <= 2.0 + 1e-9
        assert SVI.total_variance(np.linspace(-5, 5, 2001), got.theta).min() > 0.0
        assert arbitrage.min_g(SVI, got.theta, k[0], k[-1])[0] > -1e-4


def test_the_shorter_expiry_is_a_floor_where_both_are_quoted():
    """Quotes of the longer expiry that cross the shorter are pulled up to it, elastically."""
    k = np.linspace(-0.3, 0.2, 25)
    short = np.array([0.010, 0.1, -0.4, 0.0, 0.1])
    crossing = np.sqrt(SVI.total_variance(k, short) * (1.0 - 0.05))
    free = SVI.fit(quotes(k, crossing, 5e-3))
    held = SVI.fit(quotes(k, crossing, 5e-3), below=Below(SVI, short, -0.3, 0.2))
    gaps = [
        arbitrage.calendar_margin((SVI, short), (SVI, f.theta), -0.3, 0.2) for f in (free, held)
    ]
    assert gaps[0] < -0.04
    assert gaps[1] > -0.005


def test_an_ask_without_a_bid_only_pulls_from_above():
    k = np.linspace(-0.3, 0.3, 21)
    truth = np.array([0.01, 0.1, -0.5, 0.0, 0.15])
    vol = np.sqrt(SVI.total_variance(k, truth))
    one = np.zeros(21, bool)
    one[-2:] = True
    mid = np.where(one, vol + 0.3, vol)
    half = np.full(21, 1e-3)
    book = SmileQuotes(1.0, k, np.where(one, np.nan, mid - half), mid + half, mid, half, one)
    np.testing.assert_allclose(SVI.fit(book).theta, truth, atol=1e-6)
