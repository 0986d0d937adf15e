"""Heston and Bates against QuantLib's analytic engines and its own fit; years are whole days."""

import numpy as np
import pytest

from surfaces.pricing import bates, heston

TODAY = (2, 1, 2024)


@pytest.fixture(scope="module")
def flat(ql):
    """(day counter, spot, handles of rate 3 % and yield 1 %)."""
    today = ql.Date(*TODAY)
    ql.Settings.instance().evaluationDate = today
    count = ql.Actual365Fixed()
    curves = [ql.YieldTermStructureHandle(ql.FlatForward(today, r, count)) for r in (0.03, 0.01)]
    return today, ql.QuoteHandle(ql.SimpleQuote(100.0)), *curves


def compare(ql, flat, params, engine, price):
    """Twelve options of one model: calls and puts, a week to five years."""
    today, *_ = flat
    for days in (7, 91, 365, 1826):
        years = days / 365.0
        forward, df = 100.0 * np.exp(0.02 * years), np.exp(-0.03 * years)
        for x in (-1.0, 0.2, 1.0):
            strike = 100.0 * np.exp(x * np.sqrt(max(params.v0, params.theta) * years))
            right = 1 if x > 0 else -1
            option = ql.VanillaOption(
                ql.PlainVanillaPayoff(ql.Option.Call if right > 0 else ql.Option.Put, strike),
                ql.EuropeanExercise(today + days),
            )
            option.setPricingEngine(engine)
            got = price(params, right=right, forward=forward, strike=strike, years=years, df=df)
            # its adaptive Gauss-Lobatto is asked for 1e-9
            assert got == pytest.approx(option.NPV(), abs=5e-8), (params, days, strike)


def drawn(seed, count):
    rng = np.random.default_rng(seed)
    for _ in range(count):
        yield (
            rng.uniform(0.01, 0.2), rng.uniform(0.3, 5.0), rng.uniform(0.01, 0.2),
            rng.uniform(0.1, 1.0), rng.uniform(-0.9, 0.5),
        ), (rng.uniform(0.1, 1.0), rng.uniform(-0.2, 0.1), rng.uniform(0.02, 0.2))  # fmt: skip


def test_heston_prices(ql, flat):
    _, spot, r, q = flat
    for (v0, kappa, theta, sigma, rho), _ in drawn(1, 25):
        process = ql.HestonProcess(r, q, spot, v0, kappa, theta, sigma, rho)
        engine = ql.AnalyticHestonEngine(ql.HestonModel(process), 1e-9, 100_000)
        compare(ql, flat, heston.Parameters(v0, kappa, theta, sigma, rho), engine, heston.price)


def test_bates_prices(ql, flat):
    """Its conventions are ours: lambda jumps a year, nu and delta of ln(1 + jump)."""
    _, spot, r, q = flat
    for (v0, kappa, theta, sigma, rho), jumps in drawn(2, 25):
        process = ql.BatesProcess(r, q, spot, v0, kappa, theta, sigma, rho, *jumps)
        engine = ql.BatesEngine(ql.BatesModel(process), 1e-9, 100_000)
        params = bates.Parameters(v0, kappa, theta, sigma, rho, *jumps)
        compare(ql, flat, params, engine, bates.price)


def test_our_fit_is_never_the_worse_of_two(ql):
    """Vols with noise, both fits from the same start; judged by our vols of both parameters."""
    from optmm.bench import heston as bench

    rng = np.random.default_rng(4)
    for truth in bench.drawn(3, 5, wide=False):
        it = bench.market(truth)
        vol = it.vol + 2e-3 * rng.standard_normal(it.vol.size)
        quotes = it.quotes | {"vol": vol}
        days = np.round(365.0 * it.years).astype(int).tolist()
        made = bench._helpers(ql, days, it.strike, vol, np.zeros(len(days)), 100.0)
        _, theirs = bench._fit(ql, *made)
        ours = heston.calibrate(quotes, bench.START).params
        assert bench._sse(ours, quotes) <= bench._sse(theirs, quotes) * (1.0 + 1e-9)
