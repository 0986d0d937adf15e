"""No-trade bands against a table computed elsewhere and simulations with known truth."""

import csv
import math

import numpy as np
import pytest
from scipy.special import ndtr

from hedging import bands
from hedging.errors import InvalidInput

S, VOL = 100.0, 0.20


def rows(path):
    with path.open() as file:
        return [
            {name: float(x) for name, x in row.items()}
            for row in csv.DictReader(line for line in file if not line.startswith("#"))
        ]


def test_whalley_wilmott_equals_the_table(tables):
    """Sixteen digits are printed; the cube root loses a few."""
    for row in rows(tables / "whalley_wilmott_bands.csv"):
        model = bands.band(
            "whalley_wilmott",
            {"cost_rate": row["cost_rate"], "risk_aversion": row["risk_aversion"]},
        )
        got = model.half_width(bands.BandInputs(spot=row["spot"], gamma_shares=row["gamma"]))
        assert got == pytest.approx(row["half_width"], rel=1e-12), row


def test_whalley_wilmott_scales_with_the_book_and_not_with_its_legs():
    """Gammas that offset need no hedge; n times the book under a / n aversion has n times the band.

    Wealth n W under aversion a / n has the utility of W under a, so shares scale by n.
    """
    base = bands.WhalleyWilmott(cost_rate=1e-4, risk_aversion=1e-3)
    shared = bands.WhalleyWilmott(cost_rate=1e-4, risk_aversion=1e-5)
    one = base.half_width(bands.BandInputs(spot=S, gamma_shares=30.0))
    hundred = shared.half_width(bands.BandInputs(spot=S, gamma_shares=3000.0))
    assert hundred == pytest.approx(100.0 * one, rel=1e-12)
    assert base.half_width(bands.BandInputs(spot=S, gamma_shares=30.0 - 30.0)) == 0.0


def simulate(delta_of, *, years, steps, paths, seed):
    """Spot paths without drift, and the hedge ratio of one long call on each, step by step."""
    rng = np.random.default_rng(seed)
    dt = years / steps
    spot = np.full(paths, S)
    for i in range(steps):
        yield spot, delta_of(spot, years - i * dt), i
        spot = spot * np.exp(VOL * math.sqrt(dt) * rng.standard_normal(paths) - 0.5 * VOL**2 * dt)
    yield spot, (spot > S).astype(float), steps


def call_delta(vol):
    def delta_of(spot, years):
        return ndtr(np.log(spot / S) / (vol * math.sqrt(years)) + 0.5 * vol * math.sqrt(years))

    return delta_of


def call_price(vol, years):
    half = 0.5 * vol * math.sqrt(years)
    return S * (ndtr(half) - ndtr(-half))


def test_whalley_wilmott_beats_a_third_and_three_times_its_width():
    """Hedge a short thousand calls to the edge: the mean-variance utility is best near H."""
    held, cost, aversion, years, steps = 1000.0, 1e-3, 1e-2, 0.25, 600
    factors = np.array([[1 / 3], [1.0], [3.0]])
    shares = np.zeros((3, 3000))
    cash = np.zeros_like(shares)
    model = bands.WhalleyWilmott(cost_rate=cost, risk_aversion=aversion)
    delta_of = call_delta(VOL)
    for spot, delta, i in simulate(delta_of, years=years, steps=steps, paths=3000, seed=1997):
        if i == steps:
            break
        left = years - i * years / steps
        d1 = np.log(spot / S) / (VOL * math.sqrt(left)) + 0.5 * VOL * math.sqrt(left)
        gamma = held * np.exp(-0.5 * d1**2) / math.sqrt(2 * math.pi) / (spot * VOL * left**0.5)
        # One evaluation a step: the width is a power of spot and gamma, so scale the reference.
        unit = model.half_width(bands.BandInputs(spot=1.0, gamma_shares=1.0))
        width = factors * unit * np.cbrt(spot * gamma**2)
        gap = held * delta - shares
        trade = np.sign(gap) * np.maximum(np.abs(gap) - width, 0.0)
        shares += trade
        cash -= trade * spot + cost * np.abs(trade) * spot
    wealth = cash + shares * spot - held * np.maximum(spot - S, 0.0)
    utility = wealth.mean(axis=1) - 0.5 * aversion * wealth.var(axis=1)
    assert utility[1] > utility[0]
    assert utility[1] > utility[2]


def test_leland_volatility_pays_for_its_own_hedging():
    """A call sold at the Leland price and hedged on it breaks even; at the Black price it loses.

    Leland's result is a limit of small intervals and costs; a tenth of the extra premium is
    allowed, beside three standard errors.
    """
    years, steps, round_trip, paths = 0.25, 63, 0.004, 40_000
    sold = bands.leland_vol(
        VOL, round_trip_cost=round_trip, interval_years=years / steps, short=True
    )
    shares, cash = np.zeros(paths), np.zeros(paths)
    for spot, delta, i in simulate(
        call_delta(sold), years=years, steps=steps, paths=paths, seed=1985
    ):
        if i == steps:
            break
        trade = delta - shares
        free = i == 0  # the theory has no cost of setting up
        cash -= trade * spot + (0.0 if free else 0.5 * round_trip * np.abs(trade) * spot)
        shares = delta
    pnl = cash + shares * spot - np.maximum(spot - S, 0.0)
    extra = call_price(sold, years) - call_price(VOL, years)
    error = 3 * pnl.std() / math.sqrt(paths)
    assert abs(pnl.mean() + call_price(sold, years)) < 0.1 * extra + error
    assert pnl.mean() + call_price(VOL, years) < -0.8 * extra


def test_leland_lowers_the_vol_of_a_long_book_and_stops_at_zero():
    up = bands.leland_vol(0.2, round_trip_cost=0.01, interval_years=1 / 252, short=True)
    down = bands.leland_vol(0.2, round_trip_cost=0.01, interval_years=1 / 252, short=False)
    # The variances are symmetric around vol^2.
    assert up**2 + down**2 == pytest.approx(2 * 0.2**2, rel=1e-14)
    assert bands.leland_vol(0.2, round_trip_cost=0.5, interval_years=1e-4, short=False) == 0.0


def test_discrete_hedging_error_matches_formula_and_simulation(tables):
    """Its formula column to rounding, its simulated spread by a simulation here (3 s.e.)."""
    years, paths = 1 / 12, 20_000
    half = 0.5 * VOL * math.sqrt(years)
    vega = S * math.exp(-0.5 * half**2) / math.sqrt(2 * math.pi) * math.sqrt(years)
    for row in rows(tables / "discrete_hedge_error.csv")[:2]:
        steps = int(row["N"])
        formula = bands.discrete_hedge_std(vega, vol=VOL, hedges=steps)
        assert formula == pytest.approx(row["formula"], rel=1e-12)
        pnl, shares, last = np.zeros(paths), None, None
        for spot, delta, _ in simulate(
            call_delta(VOL), years=years, steps=steps, paths=paths, seed=1999
        ):
            if shares is not None:
                pnl += shares * (spot - last)
            shares, last = delta, spot
        pnl -= np.maximum(last - S, 0.0) - call_price(VOL, years)
        kurtosis = np.mean((pnl - pnl.mean()) ** 4) / pnl.var() ** 2
        error = row["std_pl"] * math.sqrt((kurtosis - 1) / (4 * paths))
        assert pnl.std() == pytest.approx(row["std_pl"], abs=3 * math.sqrt(2) * error)
        assert pnl.std() == pytest.approx(formula, rel=0.05)


def test_the_shelf_builds_by_name_and_names_what_exists():
    assert (
        bands.band("fixed", {"shares": 50}).half_width(bands.BandInputs(spot=S, gamma_shares=1e9))
        == 50
    )
    parameters = {
        "fixed": {"shares": 1.0},
        "whalley_wilmott": {"cost_rate": 1e-4, "risk_aversion": 1e-6},
    }
    assert {name: bands.band(name, parameters[name]).name for name in bands.BANDS} == {
        name: name for name in bands.BANDS
    }
    with pytest.raises(InvalidInput, match=r"unknown band 'wide'; choose one of fixed, whalley"):
        bands.band("wide", {})
    with pytest.raises(InvalidInput, match=r"'fixed' does not take these parameters"):
        bands.band("fixed", {"width": 3})
    with pytest.raises(InvalidInput, match=r"risk_aversion is 0 per USD, must be > 0"):
        bands.band("whalley_wilmott", {"cost_rate": 1e-4, "risk_aversion": 0.0})
    with pytest.raises(InvalidInput, match=r"interval_years is 0, must be > 0"):
        bands.leland_vol(0.2, round_trip_cost=0.01, interval_years=0.0, short=True)
