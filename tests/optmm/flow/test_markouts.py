"""Markouts against textbook standard errors and simulated flow whose truth is known."""

import math

import numpy as np
import pytest

from optmm.flow import markouts


def ratio(top, *, weight=None, cluster=None, bottom=None):
    """A ratio of sums with the obvious defaults: equal weights, every fill its own cluster."""
    top = np.asarray(top, float)
    return markouts.ratio_of_sums(
        top,
        np.ones(top.size) if bottom is None else np.asarray(bottom, float),
        weight=np.ones(top.size) if weight is None else np.asarray(weight, float),
        cluster=np.arange(top.size) if cluster is None else np.asarray(cluster),
    )


def test_with_one_fill_a_cluster_it_is_the_textbook_standard_error():
    """Mean, and sample standard deviation over the square root of n."""
    x = np.random.default_rng(5).normal(0.3, 2.0, 250)
    got = ratio(x)
    assert got.value == pytest.approx(x.mean(), rel=1e-13)
    assert got.se == pytest.approx(x.std(ddof=1) / math.sqrt(x.size), rel=1e-12)


def test_fills_copied_inside_their_cluster_teach_nothing_new():
    """Ten copies of each fill leave the estimate and its error where they were."""
    x = np.random.default_rng(6).normal(0.0, 1.0, 80)
    once, copied = ratio(x), ratio(np.repeat(x, 10), cluster=np.repeat(np.arange(80), 10))
    assert copied.value == pytest.approx(once.value, abs=1e-14)
    assert copied.se == pytest.approx(once.se, rel=1e-12)
    assert (copied.n, copied.clusters) == (800, 80)


def test_weight_two_is_two_contracts_of_one_fill():
    got = ratio([1.0, 4.0], weight=[2.0, 1.0])
    assert got.value == pytest.approx(2.0, rel=1e-15)


def test_clustered_interval_covers_where_the_naive_one_does_not():
    """400 tapes of 40 moments x 8 fills that share their future: 95 % must mean 95 %.

    The binomial 3-sigma band around 0.95 for 400 tapes is 0.917 to 0.983.
    """
    rng = np.random.default_rng(11)
    inside = naive = 0
    for _ in range(400):
        shock = np.repeat(rng.normal(0.0, 1.0, 40), 8) + rng.normal(0.0, 0.3, 320)
        got = ratio(shock, cluster=np.repeat(np.arange(40), 8))
        inside += abs(got.value) <= 2.02 * got.se  # Student's t with 39 degrees of freedom
        naive += abs(got.value) <= 1.96 * ratio(shock).se
    assert 0.917 <= inside / 400 <= 0.983
    assert naive / 400 < 0.7


def fills(n, *, drift, seed):
    """Fills of both sides, a spot that moves, and takers who know `drift` of the coming move."""
    rng = np.random.default_rng(seed)
    side = rng.choice([-1.0, 1.0], n)
    mark, spot = rng.uniform(1.0, 9.0, n), np.full(n, 100.0)
    delta = rng.uniform(-0.9, 0.9, n)
    later = spot + rng.normal(0.0, 1.0, n)
    noise = rng.normal(0.0, 0.05, n)
    return {
        "side": side,
        "mark": mark,
        "mark_later": mark + delta * (later - spot) - side * drift + noise,
        "delta": delta,
        "spot": spot,
        "spot_later": later,
    }


@pytest.mark.parametrize("drift", [0.0, 0.02])
def test_alpha_finds_the_drift_that_takers_knew(drift):
    """Informed flow of known drift per share; the spot's own move must hedge away."""
    got = ratio(markouts.counterparty_alpha(**fills(20_000, drift=drift, seed=2)))
    assert abs(got.value - drift) <= 3.0 * got.se
    assert got.se == pytest.approx(0.05 / math.sqrt(20_000), rel=0.05)


def test_permanent_and_temporary_impact_add_up_to_the_half_spread():
    """Huang and Stoll (1996): effective = realised + adverse, an identity."""
    f = fills(500, drift=0.01, seed=4)
    px = f["mark"] - f["side"] * 0.05
    got = markouts.impact(
        side=f["side"], px=px, mark=f["mark"], mark_later=f["mark_later"], weight=np.ones(500)
    )
    assert got.permanent + got.temporary == pytest.approx(got.half_spread, abs=1e-9)
    assert got.half_spread == pytest.approx(0.05 * 500 / f["mark"].sum() * 1e4, rel=1e-12)


def test_clusters_are_spans_of_the_horizon():
    ts = np.array([0, 59, 60, 119, 120]) * 10**9
    assert markouts.clusters_of(ts, 60).tolist() == [0, 0, 1, 1, 2]


def test_nothing_to_average_is_nan_not_zero():
    empty = np.empty(0)
    got = markouts.ratio_of_sums(empty, empty, weight=empty, cluster=empty)
    assert math.isnan(got.value)
    assert got.n == 0
    one = ratio([0.5])
    assert one.value == 0.5
    assert math.isnan(one.se)
