"""Intervals against scipy's, against means that are known, and against their own p-values."""

import math

import numpy as np
import pytest
from scipy import stats
from scipy.special import stdtrit

from optmm.backtest import bootstrap
from optmm.errors import UsageError


def drawn(values, counts):
    return counts @ values / values.size


def whole(values, *, draws=2_000, seed=0, confidence=0.95, mean_length=1.0):
    """The interval of a mean of single days, as a comparison makes it."""
    counts = bootstrap.block_counts(values.size, draws=draws, seed=seed, mean_length=mean_length)
    return bootstrap.interval(
        drawn(values, counts), float(values.mean()),
        a=bootstrap.acceleration(values, np.ones(values.size)),
        independent=values.size / mean_length, confidence=confidence,
        corrected=mean_length == 1.0,
    )  # fmt: skip


@pytest.mark.parametrize("method", ["BCa", "percentile"])
@pytest.mark.parametrize("seed", range(4))
def test_ends_are_those_of_scipy_on_the_same_resamples(method, seed):
    """scipy takes our resamples and its own formulas; skewed days, so that z0 and a matter."""
    days = np.random.default_rng(seed).gamma(0.7, 900.0, 23) - 400.0
    draws = drawn(days, bootstrap.block_counts(days.size, draws=4_000, seed=seed))
    given = stats.bootstrap((days,), np.mean, n_resamples=9, method="percentile", rng=1)
    given.bootstrap_distribution = draws
    theirs = stats.bootstrap(
        (days,), np.mean, n_resamples=0, bootstrap_result=given, method=method,
        confidence_level=0.9,
    ).confidence_interval  # fmt: skip
    corrected = method == "BCa"
    ours = bootstrap.ends(
        draws,
        z0=bootstrap.bias(draws, float(days.mean())) if corrected else 0.0,
        a=bootstrap.acceleration(days, np.ones(days.size)) if corrected else 0.0,
        deviate=stats.norm.ppf(0.95),
    )
    # the same arithmetic in another order: a few roundings of the largest day
    assert ours == pytest.approx((theirs.low, theirs.high), abs=64 * np.spacing(abs(days).max()))


def test_acceleration_of_blocks_is_the_jackknife_over_blocks():
    """Leaving a block out leaves out all its days: checked with every mean taken by hand."""
    blocks = [[3.0, -1.0], [10.0], [0.5, 0.5, 7.0], [-4.0], [2.0, 2.5]]
    without = [
        np.mean([x for j, days in enumerate(blocks) if j != i for x in days])
        for i in range(len(blocks))
    ]
    u = np.mean(without) - np.array(without)
    expected = (u**3).sum() / (6 * (u**2).sum() ** 1.5)
    sums = np.array([sum(b) for b in blocks])
    sizes = np.array([float(len(b)) for b in blocks])
    assert bootstrap.acceleration(sums, sizes) == pytest.approx(expected, rel=1e-12)


def test_every_resample_has_as_many_blocks_as_there_are():
    for length in (1.0, 3.5):
        counts = bootstrap.block_counts(17, draws=500, seed=3, mean_length=length)
        assert counts.shape == (500, 17)
        assert (counts.sum(axis=1) == 17).all()
        assert (counts >= 0).all()


def test_single_blocks_are_drawn_as_a_multinomial():
    """Variance of a count is n (1/n) (1 - 1/n), within four standard errors of 20,000 draws."""
    n, draws = 10, 20_000
    counts = bootstrap.block_counts(n, draws=draws, seed=5)[:, 0].astype(float)
    variance = 1 - 1 / n
    # the fourth central moment of a binomial gives the error of a variance
    fourth = variance * (1 + 3 * (n - 2) * (1 / n) * (1 - 1 / n) * 1)
    assert abs(counts.var() - variance) < 4 * math.sqrt((fourth - variance**2) / draws)


def test_stationary_variance_of_the_mean_is_that_of_politis_and_romano():
    """Their eq. 5: Var = (c0 + 2 sum_i b_i c_i) / n, b_i = (1 - i/n) q^i + (i/n) q^(n - i), with
    circular autocovariances c_i. In circular form lag i has weight q^i and pairs (n - i) / n."""
    n, length, draws = 24, 4.0, 40_000
    rng = np.random.default_rng(8)
    x = np.cumsum(rng.normal(size=n))
    x -= x.mean()
    q = 1 - 1 / length
    cov = [float(np.mean(x * np.roll(x, -i))) for i in range(n)]
    exact = (cov[0] + 2 * sum((1 - i / n) * q**i * cov[i] for i in range(1, n))) / n
    counts = bootstrap.block_counts(n, draws=draws, seed=9, mean_length=length)
    means = counts @ x / n
    kurtosis = stats.kurtosis(means, fisher=False)
    error = exact * math.sqrt((kurtosis - 1) / draws)
    assert abs(means.var() - exact) < 4 * error


def coverage(n, draw, mean, *, trials, **how):
    """Share of intervals that hold the true mean."""
    rng = np.random.default_rng(2_024)
    found = [whole(draw(rng, n), seed=i, **how) for i in range(trials)]
    return sum(x.low <= mean <= x.high for x in found) / trials


# Gaussian days: the expanded percentile interval is Student's but for the discreteness of draws,
# so 95 % within four binomial standard errors of 1,000 trials and 1 % for BCa's estimated z0 and a.
# Skewed days (exponential less one): no interval of a mean is exact; Hall (1988) has the shortfall
# of a second-order method as O(1/n), and 0.90 is the bound that a brief interval must not pass.
@pytest.mark.parametrize("n", [10, 20, 60])
def test_intervals_of_gaussian_days_cover_as_often_as_they_say(n):
    share = coverage(n, lambda rng, k: rng.normal(30.0, 500.0, k), 30.0, trials=1_000, draws=1_000)
    slack = 4 * math.sqrt(0.95 * 0.05 / 1_000) + 0.01
    assert abs(share - 0.95) < slack


@pytest.mark.parametrize("n", [20, 60])
def test_intervals_of_skewed_days_cover_nine_times_in_ten(n):
    share = coverage(n, lambda rng, k: rng.exponential(1.0, k), 1.0, trials=600, draws=1_000)
    assert 0.90 <= share <= 0.98


def test_dependent_days_need_stretches():
    """AR(1) days, correlation 0.5: single days cover far too rarely; stretches of eight cure most.

    The variance of the mean is three times that of independent days, so an interval that ignores
    it covers 2 Phi(1.96 / sqrt 3) - 1 = 0.742 of the time. Stretches see lag i with weight
    (7/8)^i only, 2.56 of those 3 times, so they cannot reach 95 %: half of the gap is asked for.
    """

    def ar1(rng, n):
        noise = rng.normal(size=n + 50)
        x = np.zeros(n + 50)
        for t in range(1, n + 50):
            x[t] = 0.5 * x[t - 1] + noise[t]
        return x[50:]

    naive = coverage(120, ar1, 0.0, trials=400, draws=500)
    kept = coverage(120, ar1, 0.0, trials=400, draws=500, mean_length=8.0)
    assert abs(naive - 0.742) < 4 * math.sqrt(0.742 * 0.258 / 400) + 0.02
    assert kept - naive > 0.5 * (0.95 - naive)
    assert kept <= 0.99


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("mean_length", [1.0, 2.0])
def test_p_is_the_level_at_which_the_interval_touches_zero(seed, mean_length):
    """Whatever the data, an interval excludes zero exactly where 1 - confidence is above p."""
    values = np.random.default_rng(seed).gamma(0.8, 1.0, 24)
    values += 0.3 * (1 + seed) * values.std() / math.sqrt(24) - values.mean()
    p = whole(values, draws=40_000, mean_length=mean_length).p
    assert 0.002 < p < 0.999  # at least forty draws are past zero
    for factor, excludes in ((0.95, False), (1.05, True)):
        level = 1.0 - p * factor
        if 0.0 < level < 1.0:
            ends = whole(values, draws=40_000, mean_length=mean_length, confidence=level)
            assert (ends.low > 0.0 or ends.high < 0.0) == excludes


def test_expanded_quantile_is_students_with_the_bootstraps_divisor():
    """For n = 10: t(0.975, 9) = 2.262 (any table) over sqrt(9 / 10)."""
    assert bootstrap.expanded(0.95, 10.0) == pytest.approx(2.2622 / math.sqrt(0.9), abs=1e-4)
    assert bootstrap.expanded(0.95, 1e9) == pytest.approx(1.959964, abs=1e-6)
    assert stdtrit(9, 0.975) == pytest.approx(2.2622, abs=5e-5)


def test_days_that_never_differ_give_a_point_and_no_significance():
    same = whole(np.zeros(12))
    assert (same.low, same.high, same.p) == (0.0, 0.0, 1.0)
    always = whole(np.full(12, 3.25))
    assert (always.low, always.high) == (3.25, 3.25)
    assert always.p == 2.0**-11  # twelve equal signs: 2 / 2^12


def test_holm_is_the_step_down_of_his_paper():
    """Three p-values by hand: 3 x 0.01, then 2 x 0.02 = 0.04, then max(0.04, 1 x 0.03)."""
    got = bootstrap.holm(np.array([0.02, 0.01, 0.03]))
    assert got.tolist() == pytest.approx([0.04, 0.03, 0.04])
    assert bootstrap.holm(np.array([0.6, 0.9])).tolist() == [1.0, 1.0]


def test_holm_wrongly_flags_anything_no_more_often_than_it_says():
    """20 cells without any difference: at 5 %, within four standard errors of 4,000 trials."""
    rng = np.random.default_rng(12)
    flagged = [(bootstrap.holm(rng.random(20)) < 0.05).any() for _ in range(4_000)]
    exact = 1 - (1 - 0.05 / 20) ** 20
    assert abs(np.mean(flagged) - exact) < 4 * math.sqrt(exact * (1 - exact) / 4_000)


@pytest.mark.parametrize(("blocks", "draws", "length"), [(0, 10, 1.0), (5, 0, 1.0), (5, 10, 0.5)])
def test_counts_below_one_are_refused(blocks, draws, length):
    with pytest.raises(UsageError, match="each must be >= 1"):
        bootstrap.block_counts(blocks, draws=draws, seed=0, mean_length=length)
