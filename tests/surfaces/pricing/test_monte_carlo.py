"""Simulated Heston prices and paths: Fourier integrals, the law of the variance, honest errors."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.integrate import quad

from surfaces.errors import InvalidInput
from surfaces.kernels import heston_qe
from surfaces.kernels import monte_carlo as kernel
from surfaces.pricing import black, heston
from surfaces.pricing import monte_carlo as mc
from surfaces.pricing import monte_carlo_draws as draws

NAMES = ("v0", "kappa", "theta", "sigma", "rho")
EQUITY = {"v0": 0.04, "kappa": 1.5, "theta": 0.06, "sigma": 0.6, "rho": -0.7}
WILD = {"v0": 0.04, "kappa": 1.0, "theta": 0.06, "sigma": 1.8, "rho": -0.7}


def model(case):
    return SimpleNamespace(**case)


def characteristic(u, years, v0, kappa, theta, sigma, rho):
    """E[exp(i u ln S/F)] in the form of Albrecher et al. (2007)."""
    b = kappa - 1j * rho * sigma * u
    d = np.sqrt(b * b + sigma**2 * (1j * u + u * u))
    g, decay = (b - d) / (b + d), np.exp(-d * years)
    level = kappa * theta / sigma**2 * ((b - d) * years - 2.0 * np.log((1 - g * decay) / (1 - g)))
    return np.exp(level + v0 * (b - d) / sigma**2 * (1.0 - decay) / (1.0 - g * decay))


def call(strike, years, case, forward=100.0):
    """Undiscounted call by an integral of its own, slow and plain (Lewis 2001).

    C = F - sqrt(F K)/pi int_0^inf Re[e^{iux} f(u - i/2)]/(u^2 + 1/4) du, x = ln F/K.
    """
    x = np.log(forward / strike)

    def integrand(u):
        f = characteristic(u - 0.5j, years, **case)
        return (np.exp(1j * u * x) * f).real / (u * u + 0.25)

    edges = [0.0, 1.0, 4.0, 16.0, 64.0, 256.0, 2000.0]
    whole = sum(
        quad(integrand, a, b, epsabs=1e-12, epsrel=1e-11, limit=800)[0]
        for a, b in itertools.pairwise(edges)
    )
    return forward - np.sqrt(forward * strike) / np.pi * whole


def test_fourier_referee_agrees_with_the_table(rows):
    """The integral of these tests against 30-digit arithmetic."""
    for row in rows("heston_andersen2008.csv"):
        if row["call"]:
            case = {name: float(row[name]) for name in NAMES}
            got = call(float(row["strike"]), float(row["years"]), case)
            assert got == pytest.approx(float(row["call"]), abs=1e-9)


@pytest.mark.parametrize("name", ["I", "II", "III"])
@pytest.mark.parametrize("sampling", ["sobol", "pseudo"])
def test_andersens_cases_are_within_three_errors(rows, name, sampling):
    table = [row for row in rows("heston_andersen2008.csv") if row["case"] == name]
    case = {n: float(table[0][n]) for n in NAMES}
    years, strikes = float(table[0]["years"]), np.array([float(r["strike"]) for r in table])
    got = mc.heston(
        model(case), right=1, forward=100.0, strike=strikes, years=years, paths=16_384, seed=1,
        sampling=sampling,
    )  # fmt: skip
    truth = np.array([call(k, years, case) for k in strikes])
    z = (got.price - truth) / got.error
    assert np.abs(z).max() <= 3.0, (z, got)
    assert got.error.max() <= 0.05


@pytest.mark.parametrize(
    ("case", "years"),
    [
        (WILD, 1.0),
        (WILD, 1.0 / 52.0),
        ({"v0": 0.09, "kappa": 3.0, "theta": 0.06, "sigma": 1.5, "rho": -0.8}, 0.02),
        ({"v0": 0.04, "kappa": 4.0, "theta": 0.25, "sigma": 1.0, "rho": -0.5}, 1.0),
        ({"v0": 0.04, "kappa": 1.0, "theta": 0.06, "sigma": 1.0, "rho": 0.7}, 1.0),
        ({"v0": 0.01, "kappa": 8.0, "theta": 0.09, "sigma": 0.3, "rho": 0.0}, 0.5),
    ],
)
def test_wide_parameters_are_within_three_errors(case, years):
    width = np.sqrt(max(case["v0"], case["theta"]) * years)
    strikes = 100.0 * np.exp(width * np.array([-1.5, 0.0, 1.0]))
    got = mc.heston(
        model(case), right=1, forward=100.0, strike=strikes, years=years, paths=16_384, seed=2
    )
    truth = np.array([call(k, years, case) for k in strikes])
    z = (got.price - truth) / got.error
    assert np.abs(z).max() <= 3.0, (z, got)
    assert got.error.max() <= 0.02


@pytest.mark.parametrize("sampling", ["sobol", "pseudo"])
def test_the_error_is_that_of_the_price(sampling):
    """Over 80 seeds the squared z-scores add up to chi-square's, with t's excess 30/28.

    The stretch of two t errors to two normal ones, 2.0870/2, is taken out again. Sixteen steps:
    their bias is a fiftieth of an error.
    """
    truth = call(100.0, 0.5, EQUITY)
    z = []
    for seed in range(80):
        got = mc.heston(
            model(EQUITY), right=1, forward=100.0, strike=100.0, years=0.5, paths=2048, seed=seed,
            sampling=sampling, steps_a_year=32,
        )  # fmt: skip
        z.append((got.price - truth) / got.sampling_error * 1.0435)
    assert 80 * 0.56 < np.square(z).sum() < 80 * 1.71  # 0.1 % on either side, times 30/28


def test_calls_and_puts_obey_parity_and_broadcast():
    strikes, years = np.array([80.0, 100.0, 125.0]), np.array([[0.1], [0.7]])
    terms = {"forward": 100.0 + years, "strike": strikes, "years": years, "df": 0.9, "paths": 4096}
    calls = mc.heston(model(EQUITY), right=1, **terms)
    puts = mc.heston(model(EQUITY), right="p", **terms)
    assert calls.price.shape == calls.error.shape == (2, 3)
    gap = calls.price - puts.price - 0.9 * (100.0 + years - strikes)
    assert np.abs(gap).max() <= 1e-10
    assert calls.sampling_error == pytest.approx(puts.sampling_error, rel=1e-6)


def test_the_models_own_parameters_and_price_fit():
    """`surfaces.pricing.heston` on the other side: two engines of one model."""
    params = heston.Parameters(**WILD)
    terms = {"right": [-1, 1], "forward": 100.0, "strike": [80.0, 120.0], "years": 0.5}
    got = mc.heston(params, paths=16_384, df=0.97, **terms)
    want = heston.price(params, df=0.97, **terms)
    assert np.abs((got.price - want) / got.error).max() <= 3.0


def test_a_set_of_expiries_prices_as_each_alone():
    years = np.array([0.05, 0.5, 2.0])
    together = mc.heston(model(EQUITY), right=1, forward=100.0, strike=100.0, years=years)
    truth = np.array([call(100.0, t, EQUITY) for t in years])
    assert np.abs((together.price - truth) / together.error).max() <= 3.0


@pytest.mark.parametrize("sigma", [0.0, 1e-8, 1e-5, 1e-3])
@pytest.mark.parametrize("kappa", [0.0, 2.0])
def test_no_vol_of_vol_is_black_with_the_mean_variance(sigma, kappa):
    """The variance path is its mean, whose integral every step has exactly.

    What sigma adds to the vol is below rho sigma, at 40 USD of vega. The noise of a small sigma
    still carries rho^2 of the price's variance, so that there is a sampling error.
    """
    case = {"v0": 0.04, "kappa": kappa, "theta": 0.09, "sigma": sigma, "rho": -0.5}
    w = 0.04 if kappa == 0.0 else 0.09 - 0.05 * (1.0 - np.exp(-kappa)) / kappa
    terms = {"right": 1, "forward": 100.0, "strike": [90.0, 110.0], "years": 1.0}
    got = mc.heston(model(case), paths=8192, **terms)
    want = black.price(vol=np.sqrt(w), **terms)
    assert np.all(np.abs(got.price - want) <= 3.0 * got.error + 40.0 * sigma + 1e-9)
    assert got.error.max() < 5e-3


def test_moments_of_the_variance_are_exact_at_any_step():
    """QE matches two conditional moments, so two steps a year must give both (Cox et al. 1985)."""
    case, t = WILD, 2.0
    paths = mc.heston_paths(
        model(case), forward=100.0, years=[1.0, t], paths=65_536, steps_a_year=2, seed=3
    )
    e = np.exp(-case["kappa"] * t)
    mean = case["theta"] + (case["v0"] - case["theta"]) * e
    spread = (
        case["sigma"] ** 2
        / case["kappa"]
        * (case["v0"] * e * (1 - e) + 0.5 * case["theta"] * (1 - e) ** 2)
    )
    v = paths.variance[:, 1]
    got = mc.value(paths, np.column_stack((v, (v - mean) ** 2)), control=False)
    assert np.abs((got.price - [mean, spread]) / got.error).max() <= 3.5


@pytest.mark.parametrize("rho", [-0.9, 0.0, 0.6])
def test_the_forward_is_a_martingale_at_a_coarse_step(rho):
    """Three and a half errors of a mean without controls; uncorrected, rho = -0.9 fails."""
    case = WILD | {"rho": rho}
    paths = mc.heston_paths(
        model(case), forward=[101.0, 104.0], years=[0.5, 1.0], paths=131_072, steps_a_year=4
    )
    got = mc.value(paths, lambda spot: spot, control=False)
    assert np.abs((got.price - [101.0, 104.0]) / got.error).max() <= 3.5


def test_steps_shrink_until_the_correction_has_its_moment():
    """Over steps of four years E[exp(A v')] does not exist in every state."""
    case = {"v0": 0.04, "kappa": 1.0, "theta": 0.04, "sigma": 2.0, "rho": 0.9}
    table = np.empty((1, heston_qe.COLUMNS))
    assert heston_qe.fill_table(np.array([0.0, 4.0]), 1.0, 0.04, 2.0, 0.9, table) > 1.0
    assert heston_qe.fill_table(np.array([0.0, 1.0]), 1.0, 0.04, 2.0, 0.9, table) < 1.0
    terms = {"right": -1, "forward": 100.0, "strike": 100.0, "years": 4.0, "paths": 2048}
    asked = mc.heston(model(EQUITY), steps_a_year=0.5, **terms)
    got = mc.heston(model(case), steps_a_year=0.5, **terms)
    assert asked.steps == 2
    assert got.steps == 8  # and twice the step, a year, for the coarse paths
    assert np.isfinite(got.price)


@pytest.mark.parametrize("seed", range(4))
def test_the_bound_on_the_moment_holds_in_every_state(seed):
    """Where fill_table says so, ln E[exp(A v')] is finite for variances from zero to 100."""
    rng = np.random.default_rng(seed)
    for _ in range(200):
        kappa, theta, sigma = rng.uniform(0.01, 5), rng.uniform(0.001, 1), rng.uniform(0.1, 8)
        rho, dt = rng.uniform(0, 1), 10.0 ** rng.uniform(-3, 0)
        table = np.empty((1, heston_qe.COLUMNS))
        if heston_qe.fill_table(np.array([0.0, dt]), kappa, theta, sigma, rho, table) >= 1.0:
            continue
        z = np.zeros((1, 1))
        for v in (0.0, *10.0 ** np.linspace(-8, 2, 60)):
            out = np.empty((2, 1, 1))
            heston_qe.conditional(z, table, v, np.array([1]), out[0], out[1])
            assert np.isfinite(out).all(), (kappa, theta, sigma, rho, dt, v)


def test_paths_price_as_the_conditional_estimate_does():
    """Two estimators of one discretised model; the strip of ones is a digital by Fourier."""
    paths = mc.heston_paths(model(EQUITY), forward=100.0, years=[0.5, 1.0], paths=65_536, seed=5)
    got = mc.value(paths, lambda s: np.maximum(s - 100.0, 0.0), df=0.95)
    want = np.array([0.95 * call(100.0, t, EQUITY) for t in (0.5, 1.0)])
    assert np.abs((got.price - want) / got.error).max() <= 3.5
    # E[(S/F)^(1/2)] from the characteristic function at -i/2
    half = mc.value(paths, lambda s: np.sqrt(s[:, 1] / 100.0))
    truth = characteristic(-0.5j, 1.0, **EQUITY).real
    assert abs(half.price - truth) <= 3.5 * half.error + 1e-5
    assert half.error < 1e-4


def test_controls_help_and_do_not_move_the_mean():
    months = np.arange(1, 13) / 12.0
    paths = mc.heston_paths(
        model(EQUITY), forward=100.0, years=months, paths=16_384, sampling="pseudo"
    )

    def asian(spot):
        return np.maximum(spot.mean(axis=1) - 95.0, 0.0)

    plain, helped = (mc.value(paths, asian, control=c) for c in (False, True))
    assert helped.error < 0.9 * plain.error  # antithetic paths have balanced the linear part
    assert abs(helped.price - plain.price) <= 4.0 * plain.error


def test_same_seed_same_bytes_whatever_the_block(monkeypatch):
    terms = {
        "right": 1,
        "forward": 100.0,
        "strike": [90.0, 100.0],
        "years": [0.3, 1.0],
        "paths": 4096,
    }
    first, again = (mc.heston(model(EQUITY), seed=9, **terms) for _ in range(2))
    other = mc.heston(model(EQUITY), seed=10, **terms)
    assert first.price.tobytes() == again.price.tobytes()
    assert first.error.tobytes() == again.error.tobytes()
    assert (first.price != other.price).all()
    monkeypatch.setattr(draws, "BLOCK", 1024)  # many small blocks: the same points
    small = mc.heston(model(EQUITY), seed=9, **terms)
    np.testing.assert_allclose(small.price, first.price, rtol=1e-12)


def test_progress_counts_every_path():
    seen = []
    mc.heston(
        model(EQUITY), right=1, forward=100.0, strike=100.0, years=0.2, paths=1000,
        progress=lambda done, total: seen.append((done, total)),
    )  # fmt: skip
    assert seen[-1] == (1024, 1024)
    assert len(seen) == 32


@pytest.mark.parametrize("n", [1, 2, 7, 64])
def test_the_bridge_is_an_orthogonal_map_that_starts_at_the_end(n):
    """So increments are independent standard normals; the first number is the end of the path."""
    rng = np.random.default_rng(n)
    times = np.concatenate(([0.0], np.cumsum(rng.uniform(0.1, 2.0, n))))
    plan = draws.bridge_of(draws.Grid(times, np.array([n])))
    out = np.empty((n, n))
    kernel.bridge(np.eye(n), times, *plan, out)
    np.testing.assert_allclose(out @ out.T, np.eye(n), atol=1e-12)
    end = out @ np.sqrt(np.diff(times))
    np.testing.assert_allclose(end, np.sqrt(times[-1]) * (np.arange(n) == 0), atol=1e-12)


def test_long_paths_draw_their_finest_numbers_without_sobol(monkeypatch):
    monkeypatch.setattr(draws, "SOBOL_MOST", 8)
    got = mc.heston(model(EQUITY), right=1, forward=100.0, strike=100.0, years=1.0, paths=16_384)
    assert abs(got.price - call(100.0, 1.0, EQUITY)) <= 3.0 * got.error
    assert got.error < 0.02


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"sigma": -0.1}, r"sigma is -0.1, must be >= 0"),
        ({"rho": 1.2}, r"rho is 1.2, must be between -1 and 1"),
        ({"v0": -0.1}, r"v0 is -0.1, must be >= 0"),
        ({"kappa": np.nan}, r"kappa is nan, must be >= 0"),
    ],
)
def test_parameters_outside_their_domain_are_named(wrong, text):
    with pytest.raises(InvalidInput, match=text):
        mc.heston(model(EQUITY | wrong), right=1, forward=100.0, strike=100.0, years=1.0)


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"strike": [90.0, -1.0]}, r"strike\[1\] is -1 USD, must be > 0"),
        ({"years": 0.0}, r"years is 0 years, must be > 0"),
        ({"replicates": 15}, r"replicates is 15, must be a whole number >= 16"),
        ({"paths": 3}, r"paths is 3, must be a whole number >= 32"),
        ({"paths": 10**12}, r"paths is 1000000000000, must be <= 268435456 .* different seeds"),
        ({"sampling": "halton"}, r"sampling is 'halton', must be 'sobol' or 'pseudo'"),
        ({"steps_a_year": 1e6}, r"steps_a_year is 1e\+06: 1000000 steps to 1 years, must be"),
        ({"strike": []}, r"are empty, must be one option"),
    ],
)
def test_arguments_outside_their_domain_are_named(wrong, text):
    terms = {"right": 1, "forward": 100.0, "strike": 100.0, "years": 1.0} | wrong
    with pytest.raises(InvalidInput, match=text):
        mc.heston(model(EQUITY), **terms)


def test_payoffs_and_dates_are_checked():
    paths = mc.heston_paths(model(EQUITY), forward=100.0, years=[0.1], paths=64)
    with pytest.raises(InvalidInput, match=r"payoff has shape \(3,\), must be \(64,\) or"):
        mc.value(paths, np.zeros(3))
    with pytest.raises(InvalidInput, match=r"payoff\[0\] is nan USD, must be finite"):
        mc.value(paths, np.full(64, np.nan))
    with pytest.raises(InvalidInput, match="rising order"):
        mc.heston_paths(model(EQUITY), forward=100.0, years=[0.2, 0.1])
    with pytest.raises(InvalidInput, match="more than 2 GB"):
        mc.heston_paths(model(EQUITY), forward=100.0, years=[0.1, 0.2], paths=2**26)
