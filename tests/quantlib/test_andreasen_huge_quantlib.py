"""Andreasen and Huge's interpolation against QuantLib's, on the SX5E quotes of the paper.

Both let the local vol be linear between quoted strikes. Where both have quotes at every strike that
counts they are the same model, and differ by the error of their grids: 1e-4 of vol at 500 nodes.
Before a later expiry with more strikes they differ on purpose: ours leans to its shape.
"""

import csv

import numpy as np
import pytest

from surfaces.andreasen_huge import calibrate

NODES = 500


@pytest.fixture(scope="module")
def sx5e(tables) -> dict[str, np.ndarray]:
    """Without the vol that no surface free of arbitrage holds; years of whole days."""
    with open(tables / "andreasen_huge_sx5e.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
    out = {name: np.array([float(row[name]) for row in rows]) for name in rows[0]}
    keep = ~((out["moneyness"] == 0.6597) & (out["years"] == 4.778))
    out = {name: values[keep] for name, values in out.items()}
    return out | {"years": np.rint(out["years"] * 365.0) / 365.0}


@pytest.fixture(scope="module")
def theirs(ql, sx5e):
    """QuantLib's interpolation; whatever it holds is returned too, lest it be freed."""
    today, count = ql.Date(1, 3, 2010), ql.Actual365Fixed()
    ql.Settings.instance().evaluationDate = today
    flat = ql.YieldTermStructureHandle(ql.FlatForward(today, 0.0, count))
    spot = ql.QuoteHandle(ql.SimpleQuote(1.0))
    quotes = []
    for x, years, vol in zip(
        *(sx5e[n].tolist() for n in ("moneyness", "years", "vol")), strict=True
    ):
        payoff = ql.PlainVanillaPayoff(ql.Option.Call if x >= 1.0 else ql.Option.Put, x)
        option = ql.VanillaOption(payoff, ql.EuropeanExercise(today + round(365.0 * years)))
        quotes.append((option, ql.SimpleQuote(vol)))
    kind = ql.AndreasenHugeVolatilityInterpl
    made = kind(ql.CalibrationSet(quotes), spot, flat, flat, kind.Linear, kind.Call, NODES)
    vols, local = (
        ql.AndreasenHugeVolatilityAdapter(made, 1e-12),
        ql.AndreasenHugeLocalVolAdapter(made),
    )
    vols.enableExtrapolation()
    return vols, local


def test_both_reprice_the_quotes(sx5e, theirs):
    rows = zip(sx5e["years"].tolist(), sx5e["moneyness"].tolist(), strict=True)
    got = np.array([theirs[0].blackVol(t, x, True) for t, x in rows])
    assert np.abs(got - sx5e["vol"]).max() < 1e-8
    assert np.abs(calibrate(**sx5e, points=NODES).error).max() < 1e-8


@pytest.mark.parametrize("years", [0.4, 1.2, 2.6, 3.3, 4.2])
def test_vols_agree_between_strikes_and_expiries(sx5e, theirs, years):
    found = calibrate(**sx5e, points=NODES)
    strike = np.linspace(0.85, 1.18, 34) if years < 1.0 else np.linspace(0.75, 1.3, 34)
    got = found.vol(np.log(strike), years)
    wanted = np.array([theirs[0].blackVol(years, x, True) for x in strike.tolist()])
    assert np.abs(got - wanted).max() < 3e-4
    local = found.local_vol(years=[years], k=np.log(strike)).vol[0]
    wanted = np.array([theirs[1].localVol(years, x, True) for x in strike.tolist()])
    assert np.median(np.abs(local - wanted)) < 5e-4
