"""eSSVI: bounds against a published table, arbitrage by brute force, the fit against scipy."""

import csv

import numpy as np
import pytest
from scipy.optimize import minimize

from surfaces import arbitrage
from surfaces.errors import InvalidInput
from surfaces.smiles import CHAINS
from surfaces.smiles.base import Below, CurveStack, smile
from surfaces.smiles.essvi import (
    ESSVI,
    ESSVI_CHAIN,
    global_chain,
    global_letters,
    psi_max,
    psi_sufficient,
    slack,
    ssvi_chain,
)
from surfaces.smiles.quotes import SmileQuotes
from surfaces.smiles.svi_domain import is_free

POINTS = 2_000


def read(path):
    with path.open() as file:
        return list(csv.DictReader(line for line in file if not line.startswith("#")))


def book(years, k, vol, half, one_sided=None) -> SmileQuotes:
    k, vol = np.asarray(k, float), np.asarray(vol, float)
    half = np.broadcast_to(np.asarray(half, float), k.shape).copy()
    none = np.zeros(k.shape, bool) if one_sided is None else one_sided
    return SmileQuotes(years, k, vol - half, vol + half, vol, half, none)


def spx(tables) -> list[SmileQuotes]:
    """The SPX chain of 2024-11-11; half spreads floored as `smile_quotes` does."""
    rows = read(tables / "spx_20241111_otm.csv")
    out = []
    for expiry in sorted({r["expiry"] for r in rows}):
        some = [r for r in rows if r["expiry"] == expiry]
        k, bid, ask = (np.array([float(r[x]) for r in some]) for x in ("k", "bid_iv", "ask_iv"))
        half = 0.5 * (ask - bid)
        half = np.maximum(half, max(1e-4, 0.25 * np.median(half)))
        out.append(book(float(some[0]["T"]), k, 0.5 * (bid + ask), half))
    return out


def quoted_by(chain, years, n, half, seed=0, noise=0.0) -> list[SmileQuotes]:
    """Quotes of a chain (m, 3) over five deviations below the money and three above."""
    rng = np.random.default_rng(seed)
    out = []
    for theta, T in zip(chain, years, strict=True):
        k = np.linspace(-5.0, 3.0, n) * np.sqrt(theta[0])
        vol = np.sqrt(ESSVI.total_variance(k, theta) / T)
        out.append(book(T, k, vol + noise * half * rng.uniform(-1, 1, n), half))
    return out


def chain_of(fit) -> np.ndarray:
    return np.array([s.theta for s in fit.slices])


def assert_free(chain, k_low=-3.0, k_high=3.0):
    """g and the calendar on 2,000 points a slice and a pair, near and far, by direct evaluation."""
    for reach in (1.0, 30.0):
        k = np.linspace(reach * k_low, reach * k_high, POINTS)
        w = np.array([ESSVI.total_variance(k, theta) for theta in chain])
        for theta in chain:
            assert arbitrage.durrleman(k, *ESSVI.derivatives(k, theta)).min() > -1e-9, theta
        assert np.diff(w, axis=0).min(initial=0.0) >= -1e-14 * w.max()
    wings = chain[:, 2:] * (1.0 + np.array([-1.0, 1.0]) * chain[:, 1:2])
    assert np.all(wings < 4.0)  # Lee: slopes are half of these


def test_bounds_match_the_table(tables):
    """psi_max to 1e-6 (columns of Gatheral-Jacquier, Martini-Mingone, and brute force)."""
    rows = read(tables / "essvi_psi_max.csv")
    theta, rho, gj, mm, brute = (
        np.array([float(r[x]) for r in rows])
        for x in ("theta", "abs_rho", "psi_gj", "psi_mm", "psi_brute")
    )
    for sign in (1.0, -1.0):
        np.testing.assert_allclose(psi_max(theta, sign * rho), mm, atol=1e-6)
        np.testing.assert_allclose(psi_max(theta, sign * rho), brute, rtol=1e-6)
        np.testing.assert_allclose(psi_sufficient(theta, sign * rho), gj, rtol=1e-12)


def test_the_bound_separates_by_the_exact_domain_of_raw_svi():
    """An eSSVI slice is a raw SVI curve, whose domain another algorithm decides."""
    rng = np.random.default_rng(3)
    for _ in range(300):
        theta, rho = np.exp(rng.uniform(-9, 1)), rng.uniform(-0.98, 0.98)
        for share, free in ((1.0 - 1e-6, True), (1.0 + 1e-6, False)):
            psi, rest = share * float(psi_max(theta, rho)), np.sqrt(1.0 - rho * rho)
            m, sigma = -rho * theta / psi, rest * theta / psi
            raw = np.array([0.5 * theta * rest**2, 0.5 * psi, rho, m, sigma])
            assert is_free(raw) == free, (theta, rho)


def test_the_slice_is_raw_svi_by_the_identity_of_gatheral_jacquier():
    theta, rho, psi = 0.04, -0.6, 0.5
    rest = np.sqrt(1.0 - rho * rho)
    raw = np.array([0.5 * theta * rest**2, 0.5 * psi, rho, -rho * theta / psi, rest * theta / psi])
    k = np.linspace(-2, 2, 41)
    np.testing.assert_allclose(
        ESSVI.total_variance(k, np.array([theta, rho, psi])),
        smile("svi").total_variance(k, raw),
        rtol=1e-13,
    )


def test_any_global_letters_make_a_chain_without_arbitrage():
    """Mingone 2022: two hundred random chains, checked point by point."""
    rng = np.random.default_rng(8)
    for _ in range(200):
        m = int(rng.integers(2, 9))
        rho = rng.uniform(-0.95, 0.95, m)
        a = np.exp(rng.uniform(-9, -2, m))
        c = rng.uniform(0.001, 0.999, m)
        chain = global_chain(rho=rho, a=a, c=c)
        assert slack(chain) > 0.0
        assert_free(chain)
        for given, back in zip((rho, a, c), global_letters(chain), strict=True):
            np.testing.assert_allclose(back, given, rtol=1e-6, atol=1e-9)


def test_slack_sees_both_arbitrages():
    chain = np.array([[0.02, -0.3, 0.2], [0.04, -0.3, 0.3]])
    assert slack(chain) > 0.0
    flatter = chain * np.array([[1.0, 1.0, 1.0], [1.0, 1.0, 0.5]])
    assert slack(flatter) < 0.0
    assert slack(chain * np.array([1.0, 1.0, 8.0])) < 0.0


def test_ssvi_chains_within_the_published_conditions_are_free():
    """Gatheral-Jacquier 2014: eta (1 + |rho|) <= 2 and gamma <= 1/2."""
    for rho, gamma in ((-0.7, 0.5), (0.2, 0.3), (-0.95, 0.4)):
        chain = ssvi_chain(
            np.geomspace(1e-4, 1.0, 12), rho=rho, eta=1.99 / (1.0 + abs(rho)), gamma=gamma
        )
        assert_free(chain)


def test_the_real_chain_is_fitted_and_free(tables):
    """SPX 2024-11-11 in alternate expiries; 2,000 points a slice and a pair."""
    slices = spx(tables)
    fit = ESSVI_CHAIN.fit_chain(slices)
    chain = chain_of(fit)
    assert slack(chain) > 0.0
    assert_free(chain)
    hits = total = 0
    for quotes, theta in zip(slices, chain, strict=True):
        vol = np.sqrt(ESSVI.total_variance(quotes.k, theta) / quotes.years)
        hits += np.count_nonzero((vol >= quotes.bid_vol) & (vol <= quotes.ask_vol))
        total += len(quotes)
    assert hits > 0.19 * total  # what sequential eSSVI reaches on the whole of this chain


def test_a_chain_gives_its_parameters_back():
    """Quotes without noise; a weak pull between neighbours costs the fifth digit."""
    years = np.geomspace(0.03, 1.5, 8)
    truth = ssvi_chain(0.04 * years, rho=-0.4, eta=0.8)
    truth[:, 1] += np.linspace(-0.1, 0.1, 8)
    assert slack(truth) > 0.0
    got = chain_of(ESSVI_CHAIN.fit_chain(quoted_by(truth, years, 40, 5e-4)))
    np.testing.assert_allclose(got, truth, rtol=1e-3)


def huber(slices, chain) -> float:
    """The cost of the fit, written apart."""
    total = 0.0
    for quotes, theta in zip(slices, chain, strict=True):
        vol = np.sqrt(ESSVI.total_variance(quotes.k, theta) / quotes.years)
        size = np.abs(vol - quotes.mid_vol) / quotes.half_vol
        total += np.where(size <= 1.0, 0.5 * size**2, size - 0.5).sum()
    return float(total)


def test_scipy_finds_no_better_chain_in_mingones_letters():
    """Three expiries whose calendar binds; the referee minimises from our answer and from afar."""
    years = np.array([0.1, 0.2, 0.4])
    crossing = np.array([[0.004, -0.5, 0.06], [0.0035, -0.2, 0.05], [0.012, -0.6, 0.14]])
    slices = quoted_by(crossing, years, 15, 2e-3, noise=1.0)
    ours = chain_of(ESSVI_CHAIN.fit_chain(slices))
    assert slack(ours) > 0.0

    def chain(y):
        return global_chain(
            rho=0.999 * np.tanh(y[:3]), a=np.exp(y[3:6]), c=1.0 / (1.0 + np.exp(-y[6:]))
        )

    rho, a, c = global_letters(ours)
    near = np.concatenate((np.arctanh(rho), np.log(a), np.log(c / (1.0 - c))))
    far = np.concatenate((np.full(3, -0.3), np.log([0.004, 0.001, 0.006]), np.full(3, -2.0)))
    best = min(
        minimize(
            lambda y: huber(slices, chain(np.clip(y, -40.0, 36.0))),
            start,
            method="Nelder-Mead",
            options={"maxiter": 6_000, "maxfev": 6_000, "xatol": 1e-9, "fatol": 1e-9},
        ).fun
        for start in (near, far)
    )
    assert huber(slices, ours) < 1.002 * best + 0.05


def test_a_warm_start_lands_where_a_cold_one_does():
    years = np.geomspace(0.03, 1.5, 8)
    truth = ssvi_chain(0.04 * years, rho=-0.4, eta=0.8)
    first = ESSVI_CHAIN.fit_chain(quoted_by(truth, years, 60, 1e-3, seed=1, noise=1.5))
    later = quoted_by(truth * [1.02, 1.0, 1.01], years - 1e-4, 60, 1e-3, seed=2, noise=1.5)
    cold, warm = ESSVI_CHAIN.fit_chain(later), ESSVI_CHAIN.fit_chain(later, first)
    assert slack(chain_of(warm)) > 0.0
    costs = [huber(later, chain_of(fit)) for fit in (cold, warm)]
    assert costs[0] == pytest.approx(costs[1], rel=1e-3)
    np.testing.assert_allclose(chain_of(cold), chain_of(warm), rtol=5e-3)


def wild(rng) -> list[SmileQuotes]:
    """Quotes nobody would make: any levels, any noise, few strikes, shared expiries."""
    years = np.sort(np.exp(rng.uniform(np.log(2e-4), np.log(5.0), rng.integers(1, 12))))
    if years.size > 2 and rng.uniform() < 0.3:
        years[1] = years[0]
    out = []
    for T in years:
        n = int(rng.choice([1, 2, 3, 5, 20, 60]))
        k = np.sort(rng.normal(size=n)) * np.exp(rng.uniform(-3.0, 0.3)) * 2.0 * np.sqrt(T)
        vol = np.abs(0.2 * np.exp(rng.normal()) + rng.normal() * k) + 0.01
        vol = np.clip(vol * np.exp(rng.normal(size=n) * rng.choice([0, 0.01, 0.3, 1])), 1e-3, 15)
        half = np.maximum(1e-4, vol * np.exp(rng.uniform(-7, 0)))
        one_sided = rng.uniform(size=n) < 0.3
        one_sided[rng.integers(n)] = False
        out.append(book(T, k, vol, half, one_sided))
    return out


def test_random_quotes_never_fail_and_never_arbitrage():
    rng = np.random.default_rng(0)
    for trial in range(300):
        slices = wild(rng)
        chain = chain_of(ESSVI_CHAIN.fit_chain(slices))
        assert np.isfinite(chain).all() and slack(chain) > 0.0, trial
        if trial % 10 == 0:
            assert_free(chain)


def test_a_warm_start_from_anything_is_safe():
    """The memory of quite another market: the result is free all the same."""
    rng = np.random.default_rng(1)
    for _ in range(100):
        first = wild(rng)
        fit = ESSVI_CHAIN.fit_chain(first)
        moved = [
            book(q.years * rng.uniform(0.5, 1.0), q.k, q.mid_vol * rng.uniform(0.3, 3), q.half_vol)
            for q in first
        ]
        moved.sort(key=lambda q: q.years)
        assert slack(chain_of(ESSVI_CHAIN.fit_chain(moved, fit))) > 0.0


def test_a_slice_with_one_quote_borrows_its_shape():
    """Its level is its own; rho and psi/sqrt(theta) are those of its neighbours."""
    years = np.array([0.1, 0.2, 0.4])
    truth = ssvi_chain(0.04 * years, rho=-0.5, eta=0.9)
    slices = quoted_by(truth, years, 40, 5e-4)
    slices[1] = book(0.2, [0.0], [0.2], 5e-4)
    got = chain_of(ESSVI_CHAIN.fit_chain(slices))
    np.testing.assert_allclose(got[1], truth[1], rtol=0.02)


def test_an_ask_without_a_bid_is_a_ceiling():
    years, truth = np.array([0.25]), np.array([[0.01, -0.5, 0.1]])
    (quotes,) = quoted_by(truth, years, 31, 1e-3)
    one = np.zeros(31, bool)
    one[:3] = True
    high = book(0.25, quotes.k, np.where(one, quotes.mid_vol + 0.3, quotes.mid_vol), 1e-3, one)
    np.testing.assert_allclose(ESSVI.fit(high).theta, truth[0], rtol=1e-3)
    low = book(0.25, quotes.k, np.where(one, quotes.mid_vol - 0.02, quotes.mid_vol), 1e-3, one)
    got = ESSVI.total_variance(quotes.k[:3], ESSVI.fit(low).theta)
    assert np.all(got < ESSVI.total_variance(quotes.k[:3], truth[0]))


def test_a_wild_quote_hardly_moves_the_rest():
    years, truth = np.array([0.25]), np.array([[0.01, -0.5, 0.1]])
    (quotes,) = quoted_by(truth, years, 31, 1e-3, noise=0.5)
    bent = quotes.mid_vol.copy()
    bent[10] += 0.3
    plain, moved = (
        np.sqrt(
            ESSVI.total_variance(quotes.k, ESSVI.fit(book(0.25, quotes.k, v, 1e-3)).theta) / 0.25
        )
        for v in (quotes.mid_vol, bent)
    )
    assert np.abs(plain - moved).max() < 5e-4  # half of a half spread


def test_a_single_slice_is_pulled_up_to_the_shorter_expiry():
    k = np.linspace(-0.3, 0.2, 25)
    short = np.array([0.02, -0.4, 0.2])
    crossing = np.sqrt(0.95 * ESSVI.total_variance(k, short))
    held = ESSVI.fit(book(1.0, k, crossing, 5e-3), below=Below(ESSVI, short, -0.3, 0.2))
    gap = arbitrage.calendar_margin((ESSVI, short), (ESSVI, held.theta), -0.3, 0.2)
    assert gap > -0.005


def test_slices_without_a_firm_quote_are_none():
    years = np.array([0.1, 0.2])
    slices = quoted_by(ssvi_chain(0.04 * years, rho=-0.5, eta=0.9), years, 9, 1e-3)
    slices.insert(1, book(0.15, [0.0], [0.2], 0.02, np.ones(1, bool)))
    fit = ESSVI_CHAIN.fit_chain(slices)
    assert fit.slices[1] is None and fit.slices[0] is not None and fit.slices[2] is not None
    assert ESSVI.fit(slices[1]) is None
    assert ESSVI_CHAIN.fit_chain([slices[1]]).slices == (None,)
    assert ESSVI_CHAIN.fit_chain(slices, fit).slices[1] is None


def test_years_that_fall_are_refused():
    years = np.array([0.1, 0.2])
    slices = quoted_by(ssvi_chain(0.04 * years, rho=-0.5, eta=0.9), years, 9, 1e-3)
    with pytest.raises(InvalidInput, match=r"years\[1\] is 0.1 years, must be >= 0.2"):
        ESSVI_CHAIN.fit_chain(slices[::-1])


def test_bad_letters_are_refused():
    with pytest.raises(InvalidInput, match=r"rho is 1, must be inside \(-1, 1\) \(1 of 2 fail\)"):
        psi_max(0.04, [0.5, 1.0])
    with pytest.raises(InvalidInput, match=r"c\[1\] is 1, must be < 1"):
        global_chain(rho=[0.0, 0.0], a=[0.1, 0.1], c=[0.5, 1.0])
    with pytest.raises(InvalidInput, match=r"chain has shape \(3,\), must be \(m, 3\)"):
        slack([0.04, 0.0, 0.1])


def test_the_chain_is_on_the_shelf_and_its_curves_stack(tables):
    fit = CHAINS["essvi"].fit_chain(spx(tables))
    stack = CurveStack.of_curves([ESSVI] * 7, [s.theta for s in fit.slices])
    k = np.tile(np.linspace(-0.2, 0.1, 11), (7, 1))
    w = stack.total_variance(np.arange(7), k)
    for row, curve in zip(w, fit.slices, strict=True):
        np.testing.assert_array_equal(row, ESSVI.total_variance(k[0], curve.theta))
