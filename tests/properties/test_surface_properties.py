"""Surfaces of drawn chains: what must hold whatever the smile, the spreads and the strikes.

Chains are made from eSSVI smiles (free of arbitrage by their parameters, another model than the one
that is fitted), quoted in cents with spreads that widen into the wings, middles off by noise.
"""

import numpy as np
import pytest

from surfaces.fitting import fit
from surfaces.pricing import black
from surfaces.smiles import essvi
from surfaces.units import NS_PER_DAY, NS_PER_YEAR

NOW = 1_710_000_000 * 10**9
SEEDS = range(6)


def truths(seed: int) -> list[np.ndarray]:
    """Parameters of the smiles of a chain, as `drawn` takes them first of all."""
    return _letters(np.random.default_rng(seed))[1]


def _letters(rng: np.random.Generator) -> tuple[np.ndarray, list[np.ndarray]]:
    """Days to two to six expiries between a week and two years, and eSSVI parameters of each."""
    m = int(rng.integers(2, 7))
    days = np.sort(rng.choice(np.arange(7, 730), m, replace=False))
    vol = rng.uniform(0.1, 0.6)
    theta = np.maximum.accumulate(vol**2 * days / 365 * rng.uniform(0.9, 1.1, m)) + 1e-6 * days
    rho = rng.uniform(-0.8, -0.1)
    phi = rng.uniform(0.3, 1.2) / np.sqrt(theta)
    most = [0.9 * float(essvi.psi_max(level, rho)) for level in theta]
    return days, [
        np.array([level, rho, min(level * shape, top)])
        for level, shape, top in zip(theta, phi, most, strict=True)
    ]


def drawn(seed: int) -> dict[str, np.ndarray]:
    """Columns of one chain."""
    rng = np.random.default_rng(seed)
    days, letters = _letters(rng)
    rows = []
    for day, theta in zip(days.tolist(), letters, strict=True):
        years, s = day * NS_PER_DAY / NS_PER_YEAR, np.sqrt(theta[0])
        forward = 100.0 * np.exp(0.03 * years)
        z = np.linspace(rng.uniform(-5.0, -2.0), rng.uniform(1.5, 3.0), int(rng.integers(9, 60)))
        strike = np.unique(np.round(forward * np.exp(z * s) * 4.0) / 4.0)
        strike = strike[strike > 0.0]
        k = np.log(strike / forward)
        w = essvi.ESSVI.total_variance(k, theta)
        for right in (1, -1):
            mid = black.price(
                right=right, forward=forward, strike=strike, years=years, vol=np.sqrt(w / years),
                df=np.exp(-0.03 * years),
            )  # fmt: skip
            half = 0.01 + 0.01 * mid * rng.uniform(0.5, 1.5)
            mid = mid + rng.uniform(-0.4, 0.4, mid.size) * half
            bid, ask = np.floor((mid - half) * 100) / 100, np.ceil((mid + half) * 100) / 100
            rows.append(
                np.stack((np.full(strike.size, day), strike, np.full(strike.size, right), bid, ask))
            )
    day, strike, right, bid, ask = np.concatenate(rows, axis=1)
    return {
        "expiry": NOW + day.astype(np.int64) * NS_PER_DAY, "strike": strike, "right": right,
        "bid": np.maximum(bid, 0.0), "ask": ask,
    }  # fmt: skip


def fitted(columns, **kwargs):
    return fit(columns, valuation_ns=NOW, spot=100.0, rate=0.03, **kwargs)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_certified_surface_has_a_density_wherever_it_is_certified(seed):
    """Sampled off the certificate's own grid, at expiries and between them: no negative density,
    and total variance that never falls in time at equal k."""
    surface = fitted(drawn(seed))
    assert surface.certificate.certified.all()
    rng = np.random.default_rng(100 + seed)
    low, high = surface.certificate.reach[:, 0].max(), surface.certificate.reach[:, 1].min()
    years = np.sort(rng.uniform(0.5 * surface.years[0], 1.2 * surface.years[-1], 60))
    k = rng.uniform(low, high, (60, 400))
    strike = surface.forward(years)[:, None] * np.exp(k)
    assert surface.density(strike, years[:, None]).min() > 0.0
    grid = np.linspace(low, high, 777)
    w = surface.total_variance(grid, years[:, None])
    assert np.diff(w, axis=0).min() > 0.0


@pytest.mark.parametrize("seed", SEEDS)
def test_a_surface_refitted_on_its_own_prices_returns_itself(seed):
    """Bid and ask a basis point of the vol around its own prices at its own strikes."""
    columns = drawn(seed)
    surface = fitted(columns)
    chain, of = surface.chain, surface.chain.slice_of
    prices = [
        black.price(
            right=chain.right, forward=surface.forwards[of], strike=chain.strike,
            years=surface.years[of], vol=surface.row_vol * (1.0 + d), df=surface.dfs[of],
        )
        for d in (-1e-4, 1e-4)
    ]  # fmt: skip
    again = fitted(
        {
            "expiry": chain.fixing_ns[of], "strike": chain.strike, "right": chain.right,
            "bid": prices[0], "ask": prices[1],
        }
    )  # fmt: skip
    worth = prices[1] > 1e-4  # USD: below it a basis point of vol is no money
    assert np.abs(again.row_vol / surface.row_vol - 1.0)[worth].max() < 5e-4


@pytest.mark.parametrize("seed", SEEDS[:3])
def test_the_order_of_rows_changes_nothing(seed):
    columns = drawn(seed)
    surface = fitted(columns)
    order = np.random.default_rng(seed).permutation(columns["strike"].size)
    again = fitted({name: values[order] for name, values in columns.items()})
    np.testing.assert_array_equal(again.row_vol, surface.row_vol)
    np.testing.assert_array_equal(again.forwards, surface.forwards)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_wild_quote_moves_the_rest_by_less_than_their_uncertainty(seed):
    """One out-of-the-money call at three times its price or a third of it: all but 3 % of the other
    strikes stay within 1.96 standard errors of the new fit, and none moves by five."""
    columns = drawn(seed)
    surface = fitted(columns)
    rng = np.random.default_rng(200 + seed)
    of, chain = surface.chain.slice_of, surface.chain
    outside = chain.right * np.log(chain.strike / surface.forwards[of]) > 0.0
    quotes = {name: np.array(values, np.float64) for name, values in columns.items()}
    rows = np.flatnonzero(
        (quotes["bid"] > 0.2) & (quotes["right"] * (quotes["strike"] - 100.0 * np.exp(0.03)) > 0.0)
    )
    for row in rng.choice(rows, 3, replace=False).tolist():
        for factor in (3.0, 1.0 / 3.0):
            wild = {name: np.array(values) for name, values in columns.items()}
            for side in ("bid", "ask"):
                wild[side] = np.array(wild[side], np.float64)
                wild[side][row] *= factor
            moved = fitted(wild)
            hurt = (chain.fixing_ns[of] == columns["expiry"][row]) & (
                chain.strike == columns["strike"][row]
            )
            rest = outside & ~hurt & surface.row_certified
            gap = np.abs(moved.row_vol - surface.row_vol)[rest] / moved.row_error[rest]
            assert np.mean(gap > 1.96) <= 0.03, (row, factor)
            assert gap.max() < 5.0, (row, factor)


def test_errors_cover_the_truth_that_the_chains_were_made_from():
    """All chains together: between the outermost quotes 95 % of strikes within 1.96 errors."""
    inside = []
    for seed in SEEDS:
        columns, letters = drawn(seed), truths(seed)
        surface = fitted(columns)
        chain, of = surface.chain, surface.chain.slice_of
        for j, theta in enumerate(letters):
            k = np.log(chain.strike / (100.0 * np.exp(0.03 * surface.years[j])))
            low, high = surface.quoted_range[j]
            rows = (of == j) & (chain.right * k > 0.0) & (k >= low) & (k <= high)
            vol = np.sqrt(essvi.ESSVI.total_variance(k[rows], theta) / surface.years[j])
            z = (surface.row_vol[rows] - vol) / surface.row_error[rows]
            inside.extend((np.abs(z) < 1.96).tolist())
    assert 0.93 <= np.mean(inside) <= 0.995
