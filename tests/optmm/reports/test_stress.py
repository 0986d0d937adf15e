"""The stress matrix follows spot by the run's own rule, priced again here option by option."""

import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from optmm.reports import run as runs
from optmm.reports import stress
from surfaces import dynamics
from surfaces.pricing import black

BOUND = "queue"


def ruled(folder, rule):
    """The run of `folder` as if its desk had been set to `rule`; None leaves it out."""
    path = folder / "manifest.json"
    head = json.loads(path.read_text())
    head["config"].pop("surface", None)
    if rule is not None:
        head["config"]["surface"] = {"skew_stickiness": rule}
    path.write_text(json.dumps(head))
    return runs.load(folder)


def by_hand(run, ratio_of, spot_shock, vol_shock):
    """P&L in USD with dvol(K) = (R - 1) skew ln(1 + shock), early-exercise premium held."""
    book = run.greeks.filter(pl.col("bound") == BOUND)
    hedge = book.filter(pl.col("instrument") == run.underlying_row)
    total = float((hedge["lots"] * hedge["multiplier"]).sum()) * run.closing_spot_e9 / 1e9
    total *= spot_shock
    slices = dict(zip(run.chain["instrument"], run.chain["slice"], strict=True))
    for row in book.filter(pl.col("instrument") < run.underlying_row).iter_rows(named=True):
        mine = run.surface.filter(pl.col("slice") == slices[row["instrument"]])
        at = mine.sort("ts_ns").row(-1, named=True)
        vol = row["vol"] + (ratio_of(at) - 1.0) * at["skew"] * np.log1p(spot_shock)
        terms = {"right": row["right"], "strike": row["strike"], "years": row["years"]}
        after = black.price(
            forward=at["forward"] * (1.0 + spot_shock), vol=vol * (1.0 + vol_shock), df=at["df"],
            **terms,
        )  # fmt: skip
        before = black.price(forward=at["forward"], vol=row["vol"], df=at["df"], **terms)
        total += row["lots"] * row["multiplier"] * float(after - before)
    return total


@pytest.mark.parametrize(
    ("rule", "ratio", "said"),
    [
        (None, 1.3, "R = 1.3:"),
        (1.7, 1.7, "R = 1.7:"),
        ("sticky_strike", 1.0, "R = 1 (sticky strike):"),
        ("sticky_moneyness", 0.0, "R = 0 (sticky moneyness):"),
    ],
)
def test_cells_are_those_of_a_surface_that_follows_the_run_s_rule(busy, rule, ratio, said):
    """Five per cent either way, where no vol of the run doubles or halves."""
    run = ruled(busy, rule)
    got = stress.matrix(run, BOUND)
    assert said in got["surface_rule"]
    for i, j in ((2, 2), (4, 2), (2, 3)):
        spot, vol = got["spot_shocks"][i], got["vol_shocks"][j]
        want = by_hand(run, lambda at: ratio, spot, vol)
        assert got["pnl_usd"][i][j] == pytest.approx(want, rel=1e-9, abs=1e-4)
    assert got["pnl_usd"][3][2] == 0.0


def test_local_volatility_gives_every_expiry_its_own_ratio(busy):
    run = ruled(busy, "local_vol")
    rows = stress.curves(run)
    ratio = dynamics.local_vol_ratio(rows["years"], rows["atm_vol"], rows["skew"])
    known = dict(zip(rows["slice"], ratio, strict=True))
    assert np.ptp(ratio) > 0.01
    got = stress.matrix(run, BOUND)
    low, high = f"{ratio.min():.2f}", f"{ratio.max():.2f}"
    assert f"R of local volatility, {low} to {high} by expiry" in got["surface_rule"]
    assert "first order for moves of about one percent" in got["surface_rule"]  # it did not say
    want = by_hand(run, lambda at: known[at["slice"]], -0.05, 0.0)
    assert got["pnl_usd"][2][2] == pytest.approx(want, rel=1e-9, abs=1e-4)


def test_the_page_s_note_says_the_rule(busy):
    from optmm.reports.tables_desk import stress as table

    run = ruled(busy, None)
    shown = table({"bounds": {BOUND: {"stress": stress.matrix(run, BOUND)}}}, BOUND)
    assert "vols follow spot by R = 1.3: (R - 1) x skew x ln(spot move)" in shown.note


def test_var_s_greeks_are_derivatives_at_an_unmoved_vol_at_the_money():
    """Of Black's price with vol(K) = level + skew ln(K/S), by differences in spot and level."""
    spot, level, skew, ratio = 100.0, 0.2, -0.4, 1.3
    strike, years = np.array([92.0, 100.0, 107.0]), 0.3

    def value(s, vol):
        smile = vol + skew * np.log(strike / s)
        return black.price(right=1, forward=s, strike=strike, years=years, vol=smile)

    vol = level + skew * np.log(strike / spot)
    at = black.greeks(right=1, forward=spot, strike=strike, years=years, vol=vol)
    greek = {name: getattr(at, name) for name in ("gamma", "vega", "vanna", "volga", "theta")}
    greek["delta"] = at.delta + at.vega * (ratio - 1.0) * skew / spot
    one = np.ones(3)
    got = stress.of_atm_vol(greek, skew=skew * one, ratio=ratio * one, spot=spot)
    h, e = 0.01, 1e-4
    up, down = value(spot + h, level), value(spot - h, level)
    np.testing.assert_allclose(got["delta"], (up - down) / (2 * h), rtol=1e-5)
    gamma = (up - 2 * value(spot, level) + down) / h**2
    np.testing.assert_allclose(got["gamma"], gamma, rtol=1e-4)
    cross = value(spot + h, level + e) - value(spot + h, level - e)
    cross = cross - value(spot - h, level + e) + value(spot - h, level - e)
    np.testing.assert_allclose(got["vanna"], cross / (4 * h * e), rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(got["vega"], at.vega)


def test_var_does_not_depend_on_the_rule_that_its_deltas_were_made_by(busy):
    """The same book with deltas of R = 1.3 or of sticky strike is the same risk."""
    plain = ruled(busy, "sticky_strike")
    rows = plain.greeks.join(plain.chain.select("instrument", "slice"), on="instrument", how="left")
    skews = stress.curves(plain).select("slice", "skew")
    rows = rows.join(skews, on="slice", how="left", maintain_order="left")
    moved = pl.col("delta") + pl.col("vega") * 0.3 * pl.col("skew") / (plain.closing_spot_e9 / 1e9)
    smile = rows.with_columns(moved.fill_null(pl.col("delta")).alias("delta"))
    want = stress.value_at_risk(plain, BOUND)["var"]["value"]
    aware = replace(ruled(busy, 1.3), greeks=smile.select(plain.greeks.columns))
    got = stress.value_at_risk(aware, BOUND)["var"]["value"]
    assert got == pytest.approx(want, rel=1e-9)
