"""A book's Greeks against bumping and revaluing the whole book."""

import numpy as np
import pytest

from optmm.errors import UsageError
from optmm.risk import greeks
from surfaces.pricing import black

SPOT = 500.0
YEARS = np.array([7, 30, 30, 91, 91, 182]) / 365.0
STRIKE = np.array([495.0, 500.0, 510.0, 480.0, 520.0, 450.0])
RIGHT = np.array([1, -1, 1, -1, 1, -1])
VOL = np.array([0.18, 0.17, 0.16, 0.20, 0.155, 0.24])
SLICE = np.array([0, 1, 1, 2, 2, 3])
LOTS = np.array([40, -25, 13, -60, 35, 80])
MULTIPLIER = np.full(6, 100)
DAY, POINT = 1 / 365.0, 0.01


def value(spot=SPOT, dvol=0.0, passed=0.0, lots=LOTS):
    """USD value of the book, r = q = 0."""
    price = black.price(
        right=RIGHT, forward=spot, strike=STRIKE, years=YEARS - passed, vol=VOL + dvol
    )
    return float(np.sum(lots * MULTIPLIER * price))


def book(lots=LOTS, **changes):
    at = black.greeks(right=RIGHT, forward=SPOT, strike=STRIKE, years=YEARS, vol=VOL)
    rows = {
        "delta": at.delta, "gamma": at.gamma, "vega": at.vega,
        "theta": at.theta, "vanna": at.vanna, "volga": at.volga,
    }  # fmt: skip
    rows.update(changes)
    return greeks.exposure(
        lots=lots, multiplier=MULTIPLIER, bucket_of=SLICE, buckets=5, years=YEARS, spot=SPOT, **rows
    )


def test_delta_and_gamma_are_what_bumping_spot_shows():
    got, h = book(), 0.05
    slope = (value(SPOT + h) - value(SPOT - h)) / (2 * h)
    bend = (value(SPOT + h) - 2 * value() + value(SPOT - h)) / h**2
    assert got.delta_shares == pytest.approx(slope, rel=1e-6)
    assert got.delta_contracts == got.delta_shares / 100
    assert got.gamma_shares_per_usd == pytest.approx(bend, rel=1e-4)
    # $gamma 1 %: dollar delta after one per cent of spot, at constant shares, to first order.
    assert got.gamma_usd_per_pct == pytest.approx(bend * 0.01 * SPOT * SPOT, rel=1e-4)


def test_vega_is_what_bumping_the_surface_shows_and_buckets_add_up():
    got, h = book(), 1e-5
    slope = (value(dvol=h) - value(dvol=-h)) / (2 * h)
    assert got.vega_usd_per_volpt == pytest.approx(slope * POINT, rel=1e-8)
    assert float(got.vega_by_bucket_usd_per_volpt.sum()) == got.vega_usd_per_volpt
    for j in range(4):
        bumped = np.where(j == SLICE, h, 0.0)
        slope = (value(dvol=bumped) - value(dvol=-bumped)) / (2 * h)
        assert got.vega_by_bucket_usd_per_volpt[j] == pytest.approx(slope * POINT, rel=1e-7)
    assert got.vega_by_bucket_usd_per_volpt[4] == 0.0


def test_weighted_vega_is_a_shift_that_dies_with_the_root_of_time():
    """Bump each expiry by one point at 30 days and by sqrt(30/T) points elsewhere."""
    got, h = book(), 1e-5
    shift = h * np.sqrt(30 / 365 / YEARS)
    slope = (value(dvol=shift) - value(dvol=-shift)) / (2 * h)
    assert got.vega_weighted_usd_per_volpt == pytest.approx(slope * POINT, rel=1e-8)


def test_theta_is_a_day_of_waiting_and_minus_half_gamma_variance():
    """Black and Scholes with r = 0: theta = -gamma S^2 vol^2 / 2, option by option."""
    got, h = book(), 1e-3 * DAY
    slope = (value(passed=h) - value(passed=-h)) / (2 * h)
    assert got.theta_usd_per_day == pytest.approx(slope * DAY, rel=1e-6)
    at = black.greeks(right=RIGHT, forward=SPOT, strike=STRIKE, years=YEARS, vol=VOL)
    earned = -0.5 * np.sum(LOTS * MULTIPLIER * at.gamma * SPOT**2 * VOL**2) / 365
    assert got.theta_usd_per_day == pytest.approx(float(earned), rel=1e-12)


def test_vanna_and_volga_are_bumps_of_delta_and_vega():
    got, h, v = book(), 0.01, 3e-5
    cross = (
        value(SPOT + h, v) - value(SPOT - h, v) - value(SPOT + h, -v) + value(SPOT - h, -v)
    ) / (4 * h * v)
    bend = (value(dvol=v) - 2 * value() + value(dvol=-v)) / v**2
    assert got.vanna_shares_per_volpt == pytest.approx(cross * POINT, rel=1e-5)
    assert got.volga_usd_per_volpt2 == pytest.approx(bend * POINT**2, rel=1e-4)


def test_hedge_shares_move_delta_only_and_not_what_the_limit_reads():
    at = black.greeks(right=RIGHT, forward=SPOT, strike=STRIKE, years=YEARS, vol=VOL)
    common = {
        "lots": LOTS, "multiplier": MULTIPLIER, "bucket_of": SLICE, "buckets": 4, "years": YEARS,
        "spot": SPOT, "delta": at.delta, "gamma": at.gamma, "vega": at.vega, "theta": at.theta,
        "vanna": at.vanna, "volga": at.volga,
    }  # fmt: skip
    bare = greeks.exposure(**common)
    hedged = greeks.exposure(**common, hedge_shares=-bare.delta_shares)
    assert hedged.delta_shares == 0.0
    assert hedged.option_delta_usd == bare.delta_usd
    assert hedged.gamma_shares_per_usd == bare.gamma_shares_per_usd


def test_a_held_position_without_greeks_is_named_and_an_unheld_one_ignored():
    broken = np.array([0.5, np.nan, 0.5, 0.5, 0.5, 0.5])
    with pytest.raises(UsageError, match=r"delta\[1\] is nan for a position that is held"):
        book(delta=broken)
    quiet = LOTS.copy()
    quiet[1] = 0
    assert np.isfinite(book(lots=quiet, delta=broken).delta_shares)


def test_tenor_buckets_close_on_the_right():
    got = greeks.tenor_bucket(
        np.array([7, 30, 31, 400]) / 365, edges_years=np.array([30, 91]) / 365
    )
    assert got.tolist() == [0, 0, 1, 2]
