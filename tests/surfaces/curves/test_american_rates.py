"""Forwards and rates of whole chains, from quotes whose truth is known, through the live fitter."""

import numpy as np
import pytest

from surfaces.curves.cash import CashDividends
from surfaces.live import FitConfig, LiveFitter
from surfaces.pricing import american_cash, black
from surfaces.surface import ChainSlices
from surfaces.units import NS_PER_DAY, NS_PER_YEAR

NOW = 1_700_000_000_000_000_000
DAYS = np.array([11, 39, 67, 186, 375, 645])
YEARS = DAYS / 365
RATE = 0.055 - 0.006 * YEARS  # inverted, as in 2023
PAID = CashDividends(NOW + NS_PER_DAY // 2 + 91 * NS_PER_DAY * np.arange(8), 1.6)
VOL, SPOT = 0.15, 450.0


def chain(american: bool) -> ChainSlices:
    """Some sixty strikes an expiry, calls before puts."""
    strikes = []
    for T in YEARS:
        width = 1.8 * VOL * np.sqrt(T)
        step = 1.0 if T < 0.1 else 2.0 if T < 0.5 else 5.0
        low, high = SPOT * np.exp(-width), SPOT * np.exp(width)
        strikes.append(np.arange(np.ceil(low / step) * step, high, step))
    sizes = [2 * k.size for k in strikes]
    return ChainSlices(
        right=np.concatenate([np.repeat([1.0, -1.0], k.size) for k in strikes]),
        strike=np.concatenate([np.tile(k, 2) for k in strikes]),
        american=np.full(sum(sizes), american),
        fixing_ns=NOW + DAYS * NS_PER_DAY,
        slice_start=np.cumsum([0, *sizes]),
        expiry_labels=tuple(DAYS.tolist()),
        roots=("X",) * DAYS.size,
    )


def forwards(spot: float) -> np.ndarray:
    """Cash dividends taken off, in closed form."""
    when = (PAID.ex_ns - NOW) / NS_PER_YEAR
    due = (when > 0.0) & (when <= YEARS[:, None])
    present = np.where(due, PAID.cash * np.exp(-RATE[:, None] * when), 0.0).sum(axis=1)
    return (spot - present) * np.exp(RATE * YEARS)


def mids(slices: ChainSlices, spot: float) -> np.ndarray:
    """What each option is worth: Black, or the American price on the share with its dividends."""
    of = slices.slice_of
    terms = {"right": slices.right, "strike": slices.strike, "years": YEARS[of], "vol": VOL}
    if slices.american.any():
        return american_cash.price(
            spot=spot, rate=RATE[of], dividends=PAID.at(NOW), accuracy="precise", **terms
        )
    return black.price(forward=forwards(spot)[of], df=np.exp(-RATE * YEARS)[of], **terms)


def quotes(mid: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Bids and asks in cents around mids that are off by up to half their spread."""
    rng = np.random.default_rng(seed)
    half = 0.03 + 0.005 * mid * rng.uniform(0.5, 1.5, mid.size)
    shown = mid + half * rng.uniform(-1.0, 1.0, mid.size)
    return np.floor((shown - half) * 100) / 100, np.ceil((shown + half) * 100) / 100


def fitted(slices: ChainSlices, mid: np.ndarray, seed: int, **config):
    bid, ask = quotes(mid, seed)
    fitter = LiveFitter(slices, FitConfig(rate_prior=0.03, rate_prior_sd=0.015, **config))
    return fitter.update(NOW, spot=SPOT, bid=bid, ask=ask)


def test_an_american_chain_on_the_eve_of_a_dividend_gives_its_rates_back():
    """Eight chains: rates within 25 bp at two months and more from a prior 250 bp away, and
    standardised errors of the forwards of the right size."""
    slices = chain(american=True)
    mid = mids(slices, SPOT)
    z, off = [], []
    for seed in range(8):
        got = fitted(slices, mid, seed, dividends=PAID)
        z.append((got.forwards - forwards(SPOT)) / got.forward_error)
        off.append(got.rate - RATE)
    assert np.abs(np.array(off)[:, YEARS > 0.16]).max() < 0.0025
    assert 0.7 < np.sqrt(np.mean(np.square(z))) < 1.4


def test_a_european_chain_has_honest_forwards_and_rates():
    """Sixty chains without knowledge of the dividends."""
    slices = chain(american=False)
    mid = mids(slices, SPOT)
    z, off = [], []
    for seed in range(60):
        got = fitted(slices, mid, seed)
        z.append((got.forwards - forwards(SPOT)) / got.forward_error)
        off.append(got.rate - RATE)
    size = np.sqrt(np.mean(np.square(z), axis=0))
    assert np.all((size > 0.7) & (size < 1.4)), size
    assert np.sqrt(np.mean(np.square(off), axis=0))[YEARS > 0.16].max() < 0.004


@pytest.mark.parametrize("american", [True, False])
def test_a_bootstrapped_curve_is_taken_as_prior(american):
    """A rate for every slice with an error of a basis point: the fit keeps it."""
    slices = chain(american)
    more = {"dividends": PAID} if american else {}
    config = FitConfig(rate_prior=RATE, rate_prior_sd=np.full(YEARS.size, 1e-4), **more)
    bid, ask = quotes(mids(slices, SPOT), 5)
    got = LiveFitter(slices, config).update(NOW, spot=SPOT, bid=bid, ask=ask)
    np.testing.assert_allclose(got.rate, RATE, atol=3e-4)
    assert config == FitConfig(rate_prior=RATE, rate_prior_sd=np.full(YEARS.size, 1e-4), **more)
