"""The Hawkes process against its theory: rate, dispersion, covariance, clusters."""

import numpy as np
import pytest

from optmm.data.simulator.flow import Hawkes, simulate_flow

LAW = Hawkes(rate=2.0, own=0.4, cross=0.2, decay=3.0)


def _flow(law: Hawkes, length: float, seed: int):
    return simulate_flow(law, length, np.random.default_rng(seed))


def _counts(flow, length: float, window: float):
    return np.histogram(flow.time, np.arange(0.0, length + 0.5 * window, window))[0]


@pytest.mark.parametrize(
    "law",
    [LAW, Hawkes(1.0, 0.0, 0.0, 5.0), Hawkes(4.0, 0.05, 0.6, 1.0), Hawkes(1.0, 0.8, 0.0, 0.5)],
)
def test_rate_and_dispersion(law):
    """Mean rate, and variance of counts rate x length / (1 - n)^2 over long windows.

    Windows of 200 relaxation times; their counts are independent but for a share 1/200.
    """
    n = law.branching
    window = 200.0 * law.decay / (1.0 - n)
    length = 200 * window
    counts = _counts(_flow(law, length, 5), length, window)
    dispersion = 1.0 / (1.0 - n) ** 2
    assert abs(counts.sum() - law.rate * length) < 3.5 * np.sqrt(dispersion * law.rate * length)
    # a sample variance of 200 nearly normal counts has a relative error of sqrt(2 / 199)
    ratio = counts.var(ddof=1) / (law.rate * window)
    assert ratio == pytest.approx(dispersion, rel=3.5 * np.sqrt(2.0 / 199.0) + 1.0 / 200.0)


def test_short_windows_follow_the_covariance_of_hawkes_1971():
    """Var N(w) of all events: Lambda w / (1-n)^2 less what the exponential covariance takes back.

    With kernel n b exp(-b u), b = 1 / decay, the covariance density of the pooled (univariate)
    process is Lambda n b (2 - n) / (2 (1 - n)) exp(-b (1 - n) u) (Hawkes 1971, eq. 16).
    """
    n, b, rate = LAW.branching, 1.0 / LAW.decay, LAW.rate
    size = rate * n * b * (2.0 - n) / (2.0 * (1.0 - n))
    a = b * (1.0 - n)
    length = 200_000.0
    flow = _flow(LAW, length, 9)
    for w in (1.0, 5.0, 20.0):
        expected = rate * w + 2.0 * size * (w / a - (1.0 - np.exp(-a * w)) / a**2)
        counts = _counts(flow, length, w).astype(float)
        batches = counts[: counts.size // 50 * 50].reshape(50, -1)
        estimates = ((batches - rate * w) ** 2).mean(axis=1)
        error = estimates.std(ddof=1) / np.sqrt(50.0)
        assert abs(estimates.mean() - expected) < 3.5 * error, w


def test_sides_follow_the_branching_matrix():
    """Buys less sells: variance Lambda w / (1 - (own - cross))^2 over long windows."""
    window, blocks = 2000.0, 200
    flow = _flow(LAW, window * blocks, 3)
    edges = np.arange(0.0, window * blocks + 1.0, window)
    net = np.histogram(flow.time, edges, weights=flow.side.astype(float))[0]
    expected = LAW.rate * window / (1.0 - (LAW.own - LAW.cross)) ** 2
    assert net.var(ddof=1) == pytest.approx(expected, rel=3.5 * np.sqrt(2.0 / (blocks - 1)) + 0.02)
    assert abs(net.mean()) < 3.5 * np.sqrt(expected / blocks)


def test_children_are_as_many_as_near_and_as_like_as_configured():
    flow = _flow(LAW, 100_000.0, 17)
    born = flow.parent >= 0
    share = born.mean()  # n of all events are children
    error = np.sqrt(LAW.branching * (1.0 - LAW.branching) / flow.time.size / (1 - LAW.branching))
    assert abs(share - LAW.branching) < 5.0 * error
    delay = flow.time[born] - flow.time[flow.parent[born]]
    assert (delay > 0.0).all()
    assert delay.mean() == pytest.approx(LAW.decay, rel=4.0 / np.sqrt(delay.size))
    same = (flow.side[born] == flow.side[flow.parent[born]]).mean()
    assert abs(same - LAW.own / LAW.branching) < 4.0 * np.sqrt(0.25 / born.sum())
    assert (flow.generation[born] == flow.generation[flow.parent[born]] + 1).all()


def test_it_is_stationary_from_the_start():
    """The first relaxation time has as many as any other: its clusters began before the start."""
    first = sum(_flow(LAW, 10.0, seed).time.size for seed in range(1500))
    expected = 1500 * LAW.rate * 10.0
    assert abs(first - expected) < 3.5 * np.sqrt(expected / (1.0 - LAW.branching) ** 2)


def test_in_order_and_reproducible():
    one, two = _flow(LAW, 500.0, 1), _flow(LAW, 500.0, 1)
    assert (np.diff(one.time) >= 0.0).all() and one.time[0] >= 0.0 and one.time[-1] < 500.0
    np.testing.assert_array_equal(one.time, two.time)
    np.testing.assert_array_equal(one.side, two.side)
