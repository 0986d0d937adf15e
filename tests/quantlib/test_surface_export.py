"""Surfaces and Heston handed to QuantLib: its numbers are ours, and its globals are left alone.

Tolerances: at a node both sides hold the same double, up to a square, a product and a root (1e-13
relative). Between nodes QuantLib is linear in strike between neighbouring strikes of the chain;
the error is at most h^2/8 of the second derivative in strike, bounded here from our own surface.
"""

import datetime as dt
from types import SimpleNamespace

import numpy as np
import pytest

from surfaces import fit
from surfaces.errors import InvalidInput
from surfaces.pricing import black
from surfaces.units import NS_PER_DAY

NOW_NS = 1_700_000_000_000_000_000  # 2023-11-14, 17:13 in New York
SPOT, RATE, CARRY = 500.0, 0.04, 0.01
# two of one date, one of today, two that fix at another time of day than that of the surface
DAYS = (0.1, 9.2, 30.0, 30.2, 90.9, 365.0)


@pytest.fixture(scope="module")
def export(ql):
    from surfaces import quantlib

    return quantlib


@pytest.fixture(scope="module")
def surface():
    """Black's prices at a skewed vol on six expiries."""
    columns: dict[str, list] = {n: [] for n in ("expiry", "strike", "right", "bid", "ask")}
    for days in DAYS:
        years = days / 365.0
        forward, df = SPOT * np.exp((RATE - CARRY) * years), np.exp(-RATE * years)
        step = 2.5 if days == 30.0 else 5.0  # the better quoted of the two of its date
        width = 2.5 * 0.2 * np.sqrt(max(years, 0.01)) * forward
        strike = np.arange(np.ceil((forward - width) / step) * step, forward + width, step)
        vol = 0.2 - 0.1 * np.log(strike / forward)
        for right in (1.0, -1.0):
            mid = black.price(
                right=right, forward=forward, strike=strike, years=years, vol=vol, df=df
            )
            columns["expiry"] += [NOW_NS + int(days * NS_PER_DAY)] * strike.size
            columns["strike"] += strike.tolist()
            columns["right"] += [right] * strike.size
            columns["bid"] += np.maximum(mid - 0.05, 0.01).tolist()
            columns["ask"] += (mid + 0.05).tolist()
    columns["style"] = ["european"] * len(columns["bid"])
    return fit(columns, valuation_ns=NOW_NS, spot=SPOT, model="svi")


@pytest.mark.parametrize("keep", ["variance", "vol"])
def test_a_node_holds_our_number(export, surface, keep):
    grid, theirs = export.nodes(surface, keep=keep), export.to_quantlib(surface, keep=keep)
    assert (np.abs(surface.years[grid.slices[[0, 2]]] / grid.years[[0, 2]] - 1.0) > 1e-3).all()
    for t, j in zip(grid.years, grid.slices, strict=True):
        for strike in grid.strikes[::7]:
            vol = float(surface.slice_vol(int(j), strike))
            if keep == "vol":
                assert theirs.blackVol(t, strike) == pytest.approx(vol, rel=1e-12)
            else:
                wanted = vol**2 * surface.years[j]
                assert theirs.blackVariance(t, strike) == pytest.approx(wanted, rel=1e-12)


def test_dates_are_those_of_new_york_and_one_expiry_each(export, surface):
    grid = export.nodes(surface)
    assert grid.reference == dt.date(2023, 11, 14)
    assert grid.dates == tuple(grid.reference + dt.timedelta(days=d) for d in (9, 30, 91, 365))
    assert grid.slices.tolist() == [1, 2, 4, 5]
    assert sorted(grid.left_out) == [0, 3]
    assert "reference date" in grid.left_out[0] and "more quotes" in grid.left_out[3]


def test_between_strikes_it_is_a_straight_line_in_variance(export, surface):
    grid, theirs = export.nodes(surface), export.to_quantlib(surface)
    t, j = grid.years[-1], int(grid.slices[-1])
    low, high = grid.strikes[:-1], grid.strikes[1:]
    middle = 0.5 * (low + high)
    w = surface.slice_vol(j, np.stack((low, middle, high))) ** 2 * surface.years[j]
    got = np.array([theirs.blackVariance(t, k) for k in middle.tolist()])
    np.testing.assert_allclose(got, 0.5 * (w[0] + w[2]), rtol=1e-12)
    ours = np.abs(got / w[1] - 1.0)
    assert 0.0 < ours.max() < 1e-4  # five-dollar strikes at a spot of 500


def test_beyond_the_grid_the_vol_is_held(export, surface):
    grid, theirs = export.nodes(surface), export.to_quantlib(surface)
    t = float(grid.years[1])
    for far, edge in ((1.0, grid.strikes[0]), (5e4, grid.strikes[-1])):
        assert theirs.blackVol(t, far) == pytest.approx(theirs.blackVol(t, float(edge)), rel=1e-12)
    last = float(grid.years[-1])
    assert theirs.blackVol(3 * last, 500.0) == pytest.approx(theirs.blackVol(last, 500.0), rel=1e-9)


@pytest.mark.parametrize("right", [1, -1])
def test_europeans_cost_what_they_cost_here(ql, export, surface, right):
    """Black-Scholes on the exported process against Black on our forward, df and vol."""
    grid, process = export.nodes(surface), export.process(surface)
    engine = ql.AnalyticEuropeanEngine(process)
    kind = ql.Option.Call if right > 0 else ql.Option.Put
    with export.evaluation_date(grid.reference):
        for day, j in zip(grid.dates, grid.slices.tolist(), strict=True):
            exercise = ql.EuropeanExercise(ql.Date(day.day, day.month, day.year))
            for strike in grid.strikes[10::15].tolist():
                option = ql.VanillaOption(ql.PlainVanillaPayoff(kind, strike), exercise)
                option.setPricingEngine(engine)
                ours = black.price(
                    right=right, forward=surface.forwards[j], strike=strike,
                    years=surface.years[j], vol=surface.slice_vol(j, strike), df=surface.dfs[j],
                )  # fmt: skip
                # A put is F - K away from its call in QuantLib's cdfs: rounding is of the strike.
                assert option.NPV() == pytest.approx(float(ours), abs=1e-13 * strike * 8)


def test_the_method_is_the_function(export, surface):
    one, other = surface.to_quantlib(), export.to_quantlib(surface)
    assert one.blackVol(0.3, 480.0) == other.blackVol(0.3, 480.0)


def test_no_global_is_left_behind(ql, export, surface):
    settings = ql.Settings.instance()
    before = settings.evaluationDate
    try:
        settings.evaluationDate = ql.Date(5, 6, 2019)
        export.process(surface)
        export.heston_model(SimpleNamespace(v0=0.04, kappa=2.0, theta=0.05, sigma=0.5, rho=-0.7),
                            export.curves(surface))  # fmt: skip
        assert settings.evaluationDate == ql.Date(5, 6, 2019)
        with pytest.raises(KeyError), export.evaluation_date(dt.date(2023, 11, 14)):
            assert settings.evaluationDate == ql.Date(14, 11, 2023)
            raise KeyError
        assert settings.evaluationDate == ql.Date(5, 6, 2019)
    finally:
        settings.evaluationDate = before


def test_what_cannot_be_exported_says_why(export, surface):
    with pytest.raises(InvalidInput, match=r"strikes of shape \(2,\) must be two or more, and ri"):
        export.to_quantlib(surface, strikes=[500.0, 400.0])
    with pytest.raises(InvalidInput, match="keep is 'both', must be one of"):
        export.to_quantlib(surface, keep="both")


def test_heston_goes_there_and_back(ql, export):
    """Letters are kept, and QuantLib's price on flat curves is that of a published row.

    A. Lewis, Wilmott forum (2010), 15 digits: S = 100, T = 1, r = 0.01, q = 0.02, v0 = 0.04,
    kappa = 4, theta = 0.25, sigma = 1, rho = -0.5, call of strike 100: 16.070154917028834.
    """
    letters = SimpleNamespace(v0=0.04, kappa=4.0, theta=0.25, sigma=1.0, rho=-0.5)
    reference = dt.date(2023, 3, 1)
    flat = export.flat_curves(reference=reference, spot=100.0, rate=0.01, carry=0.02)
    model = export.heston_model(letters, flat)
    assert export.heston_letters(model)._asdict() == vars(letters)
    with export.evaluation_date(reference):
        option = ql.VanillaOption(
            ql.PlainVanillaPayoff(ql.Option.Call, 100.0),
            ql.EuropeanExercise(ql.Date(29, 2, 2024)),  # 365 days
        )
        option.setPricingEngine(ql.AnalyticHestonEngine(model, 1e-12, 1_000_000))
        assert option.NPV() == pytest.approx(16.070154917028834, rel=1e-10)


def test_what_is_no_market_or_no_heston_is_refused(export):
    """A spot of -1 or NaN used to be accepted, and a 1 for letters an AttributeError."""
    day = {"reference": dt.date(2023, 3, 1)}
    for spot in (-1.0, 0.0, np.nan):
        with pytest.raises(InvalidInput, match=f"spot is {spot:g} USD, must be > 0"):
            export.flat_curves(spot=spot, rate=0.0, **day)
    with pytest.raises(InvalidInput, match="rate is nan, must be finite"):
        export.flat_curves(spot=1.0, rate=np.nan, **day)
    with pytest.raises(InvalidInput, match="reference is 5, must be a date"):
        export.flat_curves(reference=5, spot=1.0, rate=0.0)
    flat = export.flat_curves(spot=100.0, rate=0.0, **day)
    with pytest.raises(InvalidInput, match="params is 1, must have v0"):
        export.heston_model(1, flat)
    letters = {"v0": 0.04, "kappa": 4.0, "theta": 0.25, "sigma": 1.0, "rho": -0.5}
    for name, value in (("v0", np.nan), ("sigma", -1.0), ("rho", 1.5)):
        with pytest.raises(InvalidInput, match=f"{name} is "):
            export.heston_model(SimpleNamespace(**(letters | {name: value})), flat)
    with pytest.raises(InvalidInput, match="on is 1, must be a Curves"):
        export.heston_model(SimpleNamespace(**letters), 1)
    with pytest.raises(InvalidInput, match="model is 1, must be a HestonModel"):
        export.heston_letters(1)


def test_curves_have_our_forwards_and_discount_factors(export, surface):
    made, grid = export.curves(surface), export.nodes(surface)
    for t, j in zip(grid.years.tolist(), grid.slices.tolist(), strict=True):
        df, growth = made.risk_free.discount(t), made.dividend.discount(t)
        assert df == pytest.approx(surface.dfs[j], rel=1e-14)
        assert made.spot.value() * growth / df == pytest.approx(surface.forwards[j], rel=1e-13)
