"""VaR: Imhof's printed table, closed forms, scipy's noncentral chi-square, simulation."""

import math

import numpy as np
import pytest
from scipy import stats

from optmm.errors import UsageError
from optmm.risk import var

# J. Imhof, Biometrika 48 (1961) 419-426, table 1, Q1 = .6 X1^2 + .3 X2^2 + .1 X3^2: P(Q > x),
# printed to four decimals.
IMHOF_Q1 = [(0.1, 0.9458), (0.7, 0.5064), (2.0, 0.1240)]


@pytest.mark.parametrize(("x", "printed"), IMHOF_Q1)
def test_imhof_1961(x, printed):
    law = var.quadratic_law(
        linear=np.zeros(3), quadratic=2 * np.diag([0.6, 0.3, 0.1]), covariance=np.eye(3)
    )
    assert 1 - law.cdf(x) == pytest.approx(printed, abs=5e-5)


def test_equal_weights_are_a_noncentral_chi_square():
    """sum (y_i + m_i)^2 = sum y_i^2 + 2 m_i y_i + m_i^2."""
    m = np.array([0.7, -0.2, 1.1, 0.0])
    law = var.quadratic_law(
        linear=2 * m, quadratic=2 * np.eye(4), covariance=np.eye(4), drift=float(m @ m)
    )
    reference = stats.ncx2(4, float(m @ m))
    for p in (0.01, 0.05, 0.5, 0.95, 0.99):
        assert law.cdf(float(reference.ppf(p))) == pytest.approx(p, abs=1e-7)
        assert law.quantile(p) == pytest.approx(float(reference.ppf(p)), rel=1e-5)


@pytest.mark.parametrize("factors", [1, 3])
def test_a_linear_book_is_normal(factors):
    """VaR 95 % = 1.6449 sd, ES 97.5 % = phi(z) / 0.025 sd, whatever the number of factors."""
    rng = np.random.default_rng(1)
    a = rng.normal(size=(factors, factors))
    weights = rng.normal(size=factors) * 1e5
    law = var.quadratic_law(
        linear=weights, quadratic=np.zeros((factors, factors)), covariance=a @ a.T, drift=-123.0
    )
    sd = math.sqrt(weights @ a @ a.T @ weights)
    z = stats.norm.ppf(0.025)
    for figure in (var.exact(law), var.cornish_fisher(law)):
        assert figure.var_usd == pytest.approx(123.0 + 1.6448536269514722 * sd, rel=1e-6)
        assert figure.es_usd == pytest.approx(123.0 + stats.norm.pdf(z) / 0.025 * sd, rel=1e-5)


@pytest.mark.parametrize(
    ("d", "g"), [(0.0, 2.0), (1.0, 0.5), (-1.0, -0.8), (0.3, -2.0), (1, 1e-15)]
)
def test_one_factor_in_closed_form_agrees_with_numerical_integration(d, g):
    law = var.QuadraticLaw(0.1, np.array([d]), np.array([float(g)]))
    y, step = np.linspace(-12, 12, 2_000_001, retstep=True)
    density = np.exp(-0.5 * y * y) / math.sqrt(2 * math.pi)
    q = 0.1 + d * y + 0.5 * g * y * y
    for x in (-2.0, -0.2, 0.5, 1.5):
        below = q <= x
        assert law.cdf(x) == pytest.approx(float(np.sum(density[below]) * step), abs=2e-5)
        short = float(np.sum(((x - q) * density)[below]) * step)
        assert law._shortfall_below(x) == pytest.approx(short, abs=2e-5)


def test_one_dominant_factor_by_inversion_agrees_with_its_closed_form():
    """A second factor a thousandth as large hardly moves the law; inversion is hard there."""
    one = var.QuadraticLaw(0.0, np.array([0.2]), np.array([1.0]))
    two = var.QuadraticLaw(0.0, np.array([0.2, 1e-3]), np.array([1.0, 0.0]))
    for p in (0.025, 0.05, 0.5, 0.95):
        assert two.quantile(p) == pytest.approx(one.quantile(p), abs=2e-3 * one.std)
    assert two.tail_mean(0.05) == pytest.approx(one.tail_mean(0.05), abs=2e-3 * one.std)


def test_a_book_agrees_with_a_million_simulated_days():
    """Short gamma, long vega, two expiries, correlated factors: three standard errors."""
    covariance = var.factor_covariance(
        spot_std=0.011, vol_std=[0.02, 0.01], spot_vol_correlation=-0.7, vol_correlation=0.9
    )
    greeks = {"vega_by_bucket": np.array([-3e5, 4e5]), "vanna_by_bucket": np.array([2e4, -1e4]),
              "volga_by_bucket": np.array([-5e5, 1e5])}  # fmt: skip
    spot, delta, gamma = 500.0, 900.0, -700.0
    law = var.book_law(
        spot=spot, delta_shares=delta, gamma_shares_per_usd=gamma, theta_usd_per_day=4_000.0,
        covariance=covariance, **greeks,
    )  # fmt: skip
    x = np.random.default_rng(7).multivariate_normal(np.zeros(3), covariance, 1_000_000)
    ds, dv = x[:, 0] * spot, x[:, 1:]
    pnl = (
        4_000.0 + delta * ds + 0.5 * gamma * ds**2 + dv @ greeks["vega_by_bucket"]
        + ds * (dv @ greeks["vanna_by_bucket"]) + 0.5 * dv**2 @ greeks["volga_by_bucket"]
    )  # fmt: skip
    assert law.mean == pytest.approx(pnl.mean(), abs=3 * pnl.std() / 1000)
    assert law.std == pytest.approx(pnl.std(), rel=5e-3)
    figure = var.exact(law)
    # P(P&L <= -VaR) is 5 % within three binomial standard errors of a million draws.
    assert np.mean(pnl <= -figure.var_usd) == pytest.approx(0.05, abs=3 * 2.2e-4)
    tail = pnl[pnl <= np.quantile(pnl, 0.025)]
    assert figure.es_usd == pytest.approx(-tail.mean(), abs=4 * tail.std() / math.sqrt(tail.size))
    sampled = var.empirical(pnl)
    assert sampled.var_usd == pytest.approx(figure.var_usd, rel=0.01)
    # Four cumulants of a book this short of gamma: the right size, and no more.
    assert var.cornish_fisher(law).var_usd == pytest.approx(figure.var_usd, rel=0.1)


def test_cornish_fisher_moments_are_those_of_the_law():
    """Skewness and kurtosis of y^2: sqrt(8) and 12 (chi-square, one degree of freedom)."""
    law = var.QuadraticLaw(0.0, np.zeros(1), np.array([2.0]))
    z = stats.norm.ppf(0.05)
    skew, excess = math.sqrt(8.0), 12.0
    want = (z + (z**2 - 1) * skew / 6 + (z**3 - 3 * z) * excess / 24
            - (2 * z**3 - 5 * z) * skew**2 / 36)  # fmt: skip
    assert var.cornish_fisher(law).var_usd == pytest.approx(-(1 + math.sqrt(2) * want), rel=1e-12)


def test_empirical_quantile_rule_and_tail_by_hand():
    """P&L -1 ... -100: the fifth worst is -96; the worst 2.5 are 100, 99 and half of 98."""
    figure = var.empirical(-np.arange(1.0, 101.0))
    assert figure.var_usd == 96.0
    assert figure.es_usd == pytest.approx((100 + 99 + 0.5 * 98) / 2.5)
    assert figure.scenarios == 100
    with pytest.raises(UsageError, match="has 10 scenarios, needs 40"):
        var.empirical(np.arange(10.0))
    with pytest.raises(UsageError, match="NaN"):
        var.empirical([np.nan] * 100)


def test_a_flat_book_risks_its_drift_only():
    law = var.quadratic_law(
        linear=[0.0, 0.0], quadratic=np.zeros((2, 2)), covariance=np.eye(2), drift=-5.0
    )
    figure = var.exact(law)
    assert (figure.var_usd, figure.es_usd) == (5.0, 5.0)
    assert var.cornish_fisher(law).var_usd == 5.0


def test_impossible_correlations_are_refused():
    bad = [[1.0, 0.9, -0.9], [0.9, 1.0, 0.9], [-0.9, 0.9, 1.0]]
    with pytest.raises(UsageError, match="correlations that contradict each other"):
        var.quadratic_law(linear=np.zeros(3), quadratic=np.eye(3), covariance=bad)
