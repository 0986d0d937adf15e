"""A book's revaluation by Greek, on prices with a closed form."""

from types import SimpleNamespace

import numpy as np
import pytest

from optmm.engine import explain
from surfaces.pricing import bsm
from surfaces.units import NS_PER_YEAR

STRIKES = np.array([90.0, 100.0, 110.0])
SHARES = np.array([-300.0, 500.0, 200.0])


def sheet(ts_years: float, spot: float, vol: np.ndarray) -> SimpleNamespace:
    """What `between` reads of a TheoSheet, from Black-Scholes calls without rates."""
    greeks = bsm.greeks(right=1, spot=spot, strike=STRIKES, years=0.5 - ts_years, vol=vol)
    ones = np.ones(3)
    names = ("gamma", "vega", "theta", "vanna", "volga")
    return SimpleNamespace(
        ts_ns=round(ts_years * NS_PER_YEAR), spot=spot, vol=vol, theo=greeks.price,
        delta_at_strike=greeks.delta, priced=np.ones(3, bool),
        rate=0.0 * ones, carry=0.0 * ones, growth=ones, df=ones,
        **{name: getattr(greeks, name) for name in names},
    )  # fmt: skip


def rest(scale: float, hedge: float) -> float:
    """What Taylor leaves of the true change, for moves scaled as a diffusion scales them."""
    old = sheet(0.0, 100.0, np.full(3, 0.2))
    new = sheet(
        0.01 * scale**2,
        100.0 + 2.0 * scale,
        np.array([0.21, 0.205, 0.2]) * scale + 0.2 * (1 - scale),
    )
    true = SHARES @ (new.theo - old.theo) + hedge * (new.spot - old.spot)
    lines = explain.between(old, new, SHARES, hedge)
    assert lines.sum() == pytest.approx(true, rel=1e-12)  # the lines are the revaluation
    assert lines[explain.LINES.index("forward")] == pytest.approx(0.0, abs=1e-9)
    return float(lines[explain.LINES.index("unexplained")])


def test_the_rest_dies_eightfold_and_the_hedge_is_exact():
    """docs of the formulas: halve dS and dvol, quarter dt, and the residual falls by eight."""
    wide, half = rest(0.25, -120.0), rest(0.125, -120.0)
    assert wide / half == pytest.approx(8.0, rel=0.15)
    assert rest(0.25, -120.0) == pytest.approx(rest(0.25, 5_000.0), abs=1e-9)


def test_an_option_without_fair_value_is_left_out():
    old, new = sheet(0.0, 100.0, np.full(3, 0.2)), sheet(0.01, 101.0, np.full(3, 0.2))
    new.priced = np.array([True, False, True])
    some = explain.between(old, new, SHARES, 0.0)
    without = explain.between(old, new, np.array([-300.0, 0.0, 200.0]), 0.0)
    np.testing.assert_array_equal(some, without)
