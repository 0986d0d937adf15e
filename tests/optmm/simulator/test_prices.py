"""True prices against a second engine, and their limits."""

import numpy as np
import pytest


def _quantlib_american(right, spot, strike, years, vol, rate, dividend):
    """An American price depends on r T, q T and vol^2 T only, so one year stands for any time."""
    ql = pytest.importorskip("QuantLib")
    today = ql.Date(1, 1, 2025)
    ql.Settings.instance().evaluationDate = today
    count, nowhere = ql.Actual365Fixed(), ql.NullCalendar()

    def curve(value):
        return ql.YieldTermStructureHandle(ql.FlatForward(today, value, count))

    sigma = ql.BlackVolTermStructureHandle(
        ql.BlackConstantVol(today, nowhere, vol * np.sqrt(years), count)
    )
    process = ql.BlackScholesMertonProcess(
        ql.QuoteHandle(ql.SimpleQuote(spot)), curve(dividend * years), curve(rate * years), sigma
    )
    option = ql.VanillaOption(
        ql.PlainVanillaPayoff(ql.Option.Call if right > 0 else ql.Option.Put, strike),
        ql.AmericanExercise(today, today + 365),
    )
    option.setPricingEngine(ql.QdFpAmericanEngine(process, ql.QdFpAmericanEngine.accurateScheme()))
    return option.NPV()


@pytest.mark.parametrize("seconds", [0, 900, 5400, 11_111, 20_000])
def test_true_prices_are_american_prices(full, seconds):
    """Against QuantLib, at nodes of the premium table and between them.

    Half a tick is what a quote could notice; the tail is what the module's docstring admits.
    """
    truth, chain = full.truth, full.day.chain
    at = int(truth.ts_ns[seconds])
    rng = np.random.default_rng(seconds)
    rows = rng.choice(np.flatnonzero(chain.fixing_ns > at), 100, replace=False)
    fair = truth.fair(rows, at)
    config = truth.prices.config
    years = (chain.fixing_ns[rows] - at) / (365 * 86400e9)
    theirs = [
        _quantlib_american(
            int(chain.right[row]), float(truth.spot[seconds]), float(chain.strike[row]), float(t),
            float(vol), config.rate_per_year, config.dividend_yield_per_year,
        )
        for row, t, vol in zip(rows, years, fair.vol, strict=True)
    ]  # fmt: skip
    error = np.abs(fair.price - theirs)
    worst = int(np.argmax(error))
    assert error[worst] < 0.02, (chain.symbol[rows[worst]], error[worst])
    assert np.quantile(error, 0.95) < 0.005


def test_early_exercise_is_worth_something_for_puts(full):
    """Deep in the money a put is worth its intrinsic value, more than its European price."""
    chain, at = full.day.chain, full.day.session.open_ns
    later = np.flatnonzero((chain.right < 0) & (chain.slice_of == 20) & (chain.strike > 600.0))
    premium = full.truth.premium(later, at)
    assert (premium > 0.1).all()
    value = full.truth.theo(later, at)
    assert (value >= chain.strike[later] - full.truth.spot[0] - 1e-9).all()


def test_after_the_fixing_only_intrinsic_value_is_left(full):
    chain = full.day.chain
    rows = np.arange(chain.slice_start[1])
    at = int(chain.fixing_ns[0]) + 60 * 10**9
    spot = full.truth.spot[full.truth.prices.clock.index(at)]
    intrinsic = np.maximum(chain.right[rows] * (spot - chain.strike[rows]), 0.0)
    np.testing.assert_allclose(full.truth.theo(rows, at), intrinsic, atol=1e-12)


def test_delta_and_vega_are_derivatives(full):
    """Central differences of the European price at fixed vol."""
    prices, chain = full.truth.prices, full.day.chain
    rows = np.arange(0, len(chain), 7)
    second = np.full(rows.size, 4000)
    spot = prices.path.spot[second]
    here = prices.european(rows, second)
    h = 0.01
    up = prices.european(rows, second, spot + h).price
    down = prices.european(rows, second, spot - h).price
    np.testing.assert_allclose(here.delta, (up - down) / (2 * h), atol=2e-5)
    from surfaces.pricing import black

    years = (chain.fixing_ns[rows] - prices.clock.grid_ns[4000]) / (365 * 86400e9)
    forward = prices.forward(chain.slice_of[rows], second)
    terms = {
        "right": chain.right[rows], "forward": forward, "strike": chain.strike[rows],
        "years": years, "df": np.exp(-prices.config.rate_per_year * years),
    }  # fmt: skip
    wide = black.price(vol=here.vol + 1e-4, **terms) - black.price(vol=here.vol - 1e-4, **terms)
    np.testing.assert_allclose(here.vega, wide / 2e-4, rtol=1e-4, atol=1e-5)
