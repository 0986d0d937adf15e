"""Smoothing of forwards and rates through time."""

from dataclasses import fields

import numpy as np
import pytest

from surfaces.curves import carry
from surfaces.curves.cash import CashDividends
from surfaces.curves.parity import ChainParity
from surfaces.errors import InvalidInput

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


def readings(rate, error, shared=None):
    """Readings (m, r) with nothing in common unless given, (p, m, r)."""
    rate, error = np.array(rate), np.array(error)
    if shared is None:
        shared = np.zeros((1, *rate.shape))
    return carry.RateReadings(rate, error, np.array(shared))


def regression(years, told, config):
    """Posterior mean and error of the curve by one dense Gaussian regression, textbook form."""
    m, r = told.rate.shape
    prior, sd = config.prior(m)
    clock = np.log1p(years / 0.25)
    cov = np.outer(sd, sd) * np.exp(-np.abs(np.subtract.outer(clock, clock)) / carry.MEMORY)
    pick = np.repeat(np.eye(m), r, axis=0)
    noise = np.hypot(told.error.ravel(), carry.LEAST_RATE_SD) ** 2
    common = told.shared.reshape(told.shared.shape[0], -1)
    total = pick @ cov @ pick.T + np.diag(noise) + common.T @ common
    gain = cov @ pick.T @ np.linalg.inv(total)
    mean = prior + gain @ (told.rate.ravel() - pick @ prior)
    return mean, np.sqrt(np.diag(cov - gain @ pick @ cov))


def test_the_rate_curve_is_a_gaussian_regression():
    """Readings near the curve, so no weight falls; two of them an expiry, and two mistakes shared.
    Rasmussen and Williams (2006), eq. 2.23-2.24."""
    rng = np.random.default_rng(4)
    years = np.sort(rng.uniform(0.02, 3.0, 12))
    config = carry.CarryConfig(rate_prior=0.03, rate_prior_sd=0.015)
    error = rng.uniform(0.001, 0.01, (12, 2))
    rate = 0.045 - 0.004 * years[:, None] + 0.3 * error * rng.standard_normal((12, 2))
    told = readings(rate, error, 0.002 * rng.uniform(size=(2, 12, 2)))
    value, sd = carry.rate_curve(years, told, config)
    mean, spread = regression(years, told, config)
    np.testing.assert_allclose(value, mean, atol=1e-9)
    np.testing.assert_allclose(sd, spread, rtol=1e-7)


def test_order_of_slices_and_silence_change_nothing():
    """Slices in another order, one without a reading: the same curve."""
    years = np.array([0.1, 0.4, 0.9, 1.6])
    config = carry.CarryConfig()
    told = readings([[0.05], [np.nan], [0.045], [0.04]], [[0.002], [np.nan], [0.002], [0.001]])
    value, sd = carry.rate_curve(years, told, config)
    assert 0.045 < value[1] < 0.05 and sd[1] > sd[0]
    turn = np.array([2, 0, 3, 1])
    back = carry.rate_curve(years[turn], readings(told.rate[turn], told.error[turn]), config)
    np.testing.assert_allclose(back, (value[turn], sd[turn]), rtol=1e-12)


def test_a_reading_that_disagrees_counts_little():
    """Nine expiries say 5 %, one says 1 % with as small an error."""
    years = np.linspace(0.1, 1.0, 10)
    rate = np.full((10, 1), 0.05)
    rate[4] = 0.01
    value, _ = carry.rate_curve(years, readings(rate, 0.0 * rate + 0.002), carry.CarryConfig())
    np.testing.assert_allclose(value, 0.05, atol=0.002)


def test_the_error_of_the_rate_curve_is_honest():
    """400 inverted curves drawn from the prior itself, with noise and a mistake all share: the
    root mean square of the standardised errors is one (robust weights cost a few per cent)."""
    years = np.array([0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0])
    clock = np.log1p(years / 0.25)
    cov = np.exp(-np.abs(np.subtract.outer(clock, clock)) / carry.MEMORY)
    root, config = np.linalg.cholesky(cov), carry.CarryConfig()
    z = []
    for seed in range(400):
        rng = np.random.default_rng(seed)
        truth = 0.03 + 0.015 * root @ rng.standard_normal(10)
        error = (0.002 / years)[:, None]
        shared = (0.001 / years)[None, :, None]
        noise = error * rng.standard_normal((10, 1)) + shared[0] * rng.standard_normal()
        value, sd = carry.rate_curve(years, readings(truth[:, None] + noise, error, shared), config)
        z.append((value - truth) / sd)
    size = np.sqrt(np.mean(np.square(z), axis=0))
    assert np.all((size > 0.8) & (size < 1.25)), size


def test_a_spot_out_of_step_is_found_by_net_carry():
    """Options quoted a minute after spot, which moved 4 bp: a week's carry is off by 2 % a year."""
    years = np.array([0.02, 0.04, 0.08, 0.16, 0.3, 0.5, 1.0, 1.5])
    rate = 0.055 - 0.004 * years
    m = years.size
    nothing = np.full(m, np.nan)
    found = ChainParity(*([nothing] * len(fields(ChainParity))))
    config = carry.CarryConfig()
    paid = np.zeros(m)
    told = carry.rate_readings(
        found, rate * years + 4e-4, np.full(m, 2e-5), years, paid=paid, config=config
    )
    assert told.rate[0, 1] - rate[0] == pytest.approx(0.02)
    value, sd = carry.rate_curve(years, told, config)
    assert np.all(np.abs(value - rate) < 2.0 * sd)
    assert np.all(np.abs(value - rate)[3:] < 2e-3)


def test_a_prior_for_every_slice_is_followed_where_nothing_is_seen():
    """A bootstrapped curve with its errors: no reading leaves it as it is."""
    curve = np.array([0.054, 0.050, 0.045])
    config = carry.CarryConfig(rate_prior=tuple(curve), rate_prior_sd=(0.001, 0.002, 0.003))
    value, sd = carry.rate_curve(YEARS, readings([[np.nan]] * 3, [[np.nan]] * 3), config)
    np.testing.assert_allclose(value, curve)
    np.testing.assert_allclose(sd, [0.001, 0.002, 0.003])
    np.testing.assert_allclose(carry.start(0, YEARS, INDEX, config).x, curve * YEARS)


def test_a_prior_of_another_length_says_what_it_should_be():
    config = carry.CarryConfig(rate_prior=(0.05, 0.04))
    with pytest.raises(
        InvalidInput, match=r"rate_prior has shape \(2,\), must be one number or \(3,"
    ):
        config.prior(3)


def test_cash_dividends_lower_the_forward_as_the_schedule_says():
    """`Dividends.forward` is the referee; the past and what comes after an expiry do not count."""
    day = 86_400_000_000_000
    cash = CashDividends([-3 * day, 20 * day, 110 * day, 400 * day], [9.0, 1.5, 1.6, 1.7])
    rate = np.array([0.05, 0.045, 0.04])
    paid = cash.log_paid(0, 450.0, YEARS, rate)
    forward = [
        cash.at(0).forward(spot=450.0, years=T, rate=r, dividend_yield=0.0)
        for T, r in zip(YEARS, rate, strict=True)
    ]
    np.testing.assert_allclose(450.0 * np.exp(rate * YEARS + paid), np.ravel(forward), rtol=1e-12)
    with pytest.raises(InvalidInput, match="years"):
        CashDividends([2 * day, day], 1.0)


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


def test_an_expiry_without_quotes_does_not_hear_one_in_its_last_minutes():
    """The index lags its options by half a basis point; over ten seconds that is a carry of 16, and
    a forward of 100 became 118."""
    years = np.array([10.0 / 31_536_000, 0.05, 0.1, 0.3])
    start = carry.start(0, years, np.zeros(4, bool), carry.CarryConfig())
    x = np.array([5e-6, np.nan, 0.002, 0.006])
    state = carry.observe(start, x, np.full(4, 1e-6), carry.CarryConfig())
    got, labels = carry.log_forward(state, years)
    assert labels[1] == "carry_interpolated"
    assert got[1] == pytest.approx(0.001, abs=1e-5)


def test_carry_of_a_long_expiry_is_no_wrong_spot():
    """One expiry of two years and a dividend yield of four per cent is 8 % of ln(F/S)."""
    gap, none = np.array([-0.08]), np.zeros(1, bool)
    assert carry.spot_off(gap, none, np.array([2.0])) == 0.0
    assert carry.spot_off(gap, none, np.array([0.02])) == -0.08
    assert carry.spot_off(np.array([-0.02, -0.021, 0.0]), np.ones(3, bool), np.ones(3)) == 0.0
