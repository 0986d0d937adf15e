"""Smoothing of forwards and rates through time."""

import numpy as np
import pytest

from surfaces.curves import carry

HOUR = carry.NS_PER_HOUR
YEARS = np.array([0.1, 0.5, 1.0])
INDEX = np.zeros(3, bool)


def test_a_first_reading_is_believed_and_later_noise_is_averaged():
    """A constant truth under noise: after an hour of minutes the state is nearer than a reading."""
    config = carry.CarryConfig()
    truth, sd = np.array([0.001, 0.004, 0.009]), np.full(3, 5e-4)
    rng = np.random.default_rng(3)
    state = carry.start(0, YEARS, INDEX, config)
    moves = []
    for minute in range(60):
        state = carry.predict(state, minute * HOUR // 60, YEARS, INDEX, config)
        before = state.x
        state = carry.observe(state, truth + sd * rng.standard_normal(3), sd, config)
        moves.append(np.abs(state.x - before))
        if minute == 0:
            assert np.all(np.abs(state.x - truth) < 4.0 * sd)
    assert np.all(np.abs(state.x - truth) < 3.0 * np.sqrt(state.variance))
    assert np.all(np.mean(moves[30:], axis=0) < 0.1 * sd)


def test_an_unseen_expiry_takes_its_neighbours_net_carry():
    config = carry.CarryConfig(rate_prior=0.03)
    state = carry.start(0, YEARS, INDEX, config)
    net = 0.02
    x = np.array([net * 0.1, np.nan, net * 1.0])
    state = carry.observe(state, x, np.full(3, 1e-9), config)
    got, labels = carry.log_forward(state, YEARS)
    np.testing.assert_allclose(got, net * YEARS, rtol=1e-3)
    assert labels == ["parity", "carry_interpolated", "parity"]


def test_with_no_reading_at_all_the_prior_rate_carries():
    config = carry.CarryConfig(rate_prior=0.03)
    got, labels = carry.log_forward(carry.start(0, YEARS, INDEX, config), YEARS)
    np.testing.assert_allclose(got, 0.03 * YEARS)
    assert set(labels) == {"carry_prior"}


def test_one_bad_minute_moves_a_settled_forward_little():
    config = carry.CarryConfig()
    state = carry.start(0, YEARS, INDEX, config)
    for minute in range(30):
        state = carry.predict(state, minute * HOUR // 60, YEARS, INDEX, config)
        state = carry.observe(state, np.zeros(3), np.full(3, 2e-4), config)
    hit = carry.observe(state, np.full(3, 0.02), np.full(3, 2e-4), config)
    assert np.all(np.abs(hit.x) < 4e-4)


def test_pooled_rate_is_the_precision_weighted_mean():
    """Two readings and a prior of equal precision: their plain mean, error over the root of three
    (normal theory)."""
    rate, sd = carry.pooled_rate([(0.05, 0.01), (0.04, 0.01)], 0.03, 0.01)
    assert rate == pytest.approx(0.04)
    assert sd == pytest.approx(0.01 / np.sqrt(3.0))
    assert carry.pooled_rate([], 0.03, 0.01) == (0.03, 0.01)


def test_on_its_last_day_a_stock_option_has_no_carry_to_speak_of():
    """Parity off by 2 bp three hours before expiry: for a stock that is noise, for an index not."""
    config = carry.CarryConfig()
    years = np.array([3.0 / 24 / 365])
    got = []
    for traded in (True, False):
        state = carry.start(0, years, np.array([traded]), config)
        got.append(carry.observe(state, np.array([2e-4]), np.array([1e-4]), config))
    assert abs(got[0].x[0]) < 2e-5
    assert got[1].x[0] > 1.5e-4
    later = carry.predict(got[0], HOUR, years * 2 / 3, np.array([True]), config)
    assert later.x[0] == pytest.approx(got[0].x[0] * 2 / 3)
