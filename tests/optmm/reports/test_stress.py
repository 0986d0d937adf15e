"""The stress matrix follows spot by the run's own rule, priced again here option by option."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from optmm.quoting import theo
from optmm.reports import run as runs
from optmm.reports import stress
from surfaces import dynamics, fit
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
    assert rows["path"].to_list() == ["last_good", "svi", "svi", "svi"]
    own = rows[1:]  # the first curve is kept from before: it takes the R of the shortest fitted one
    ratio = dynamics.local_vol_ratio(own["years"], own["atm_vol"], own["skew"])
    known = dict(zip(rows["slice"], [ratio[0], *ratio], strict=True))
    assert np.ptp(ratio) > 0.01
    got = stress.matrix(run, BOUND)
    low, high = f"{ratio.min():.2f}", f"{ratio.max():.2f}"
    assert f"R of local volatility, {low} to {high} by expiry" in got["surface_rule"]
    assert "first order for moves of about one percent" in got["surface_rule"]  # it did not say
    want = by_hand(run, lambda at: known[at["slice"]], -0.05, 0.0)
    assert got["pnl_usd"][2][2] == pytest.approx(want, rel=1e-9, abs=1e-4)


def two_roots_and_a_stopgap():
    """A fitted surface: two roots on one instant, of which the second has a smile of its own, and
    an expiry with one strike."""
    now, spot = 1_700_000_000_000_000_000, 100.0
    plan = [(18, "A", 37), (46, "A", 37), (46, "B", 19), (60, "A", 1), (109, "A", 37)]
    columns = {n: [] for n in ("expiry", "root", "strike", "right", "bid", "ask")}
    for days, root, n in plan:
        years = days / 365.0
        width = 0.2 * np.sqrt(years)
        strike = np.round(spot * np.exp(width * (np.linspace(-2.5, 2.0, n) if n > 1 else 0.0)), 2)
        strike = np.atleast_1d(strike)
        z = np.log(strike / spot) / width
        vol = 0.2 - (0.02 if root == "A" else 0.03) * z + 0.004 * z * z
        for right in (1.0, -1.0):
            mid = black.price(right=right, forward=spot, strike=strike, years=years, vol=vol)
            columns["expiry"] += [now + days * 86_400 * 10**9] * n
            columns["root"] += [root] * n
            columns["strike"] += strike.tolist()
            columns["right"] += [right] * n
            columns["bid"] += (mid * 0.995).tolist()
            columns["ask"] += (mid * 1.005).tolist()
    columns["style"] = ["european"] * len(columns["bid"])
    return fit(columns, valuation_ns=now, spot=spot, rate=0.0)


class Listed:
    """The surface's own chain with what a sheet asks of the market's."""

    def __init__(self, chain):
        self.chain, self.underlying = chain, SimpleNamespace(kind="share")
        self.fixing_ns = chain.fixing_ns[chain.slice_of]  # one a row, as a market's chain has it

    def __len__(self):
        return len(self.chain.strike)

    def __getattr__(self, name):
        return getattr(self.chain, name)


@pytest.mark.parametrize("rule", ["local_vol", "sticky_local_vol", 1.3])
def test_the_slope_of_a_row_is_the_delta_of_the_greeks_table(busy, monkeypatch, rule):
    """Expiry by expiry, with a second root at one instant and a one-strike expiry.

    Theo has R = 2, 2.004, 2.004, 2.05, 2.09 there, and the matrix used to have 1.9 for the second
    root and 1.84 for the last expiry.
    """
    surface = two_roots_and_a_stopgap()
    assert surface.path[3] == "flat"
    chain, spot = surface.chain, surface.spot
    sheet = theo.sheet(Listed(chain), surface, surface.ts_ns, spot, rule)
    n = len(chain.strike)
    rng = np.random.default_rng(3)
    table = pl.DataFrame({
        "bound": [BOUND] * n, "instrument": np.arange(n), "right": chain.right.astype(np.int8),
        "strike": chain.strike, "years": sheet.years, "vol": sheet.vol, "delta": sheet.delta,
        "lots": rng.integers(1, 9, n) * rng.choice([-1, 1], n), "multiplier": np.full(n, 100),
    })  # fmt: skip
    listed = pl.DataFrame({
        "instrument": np.arange(n), "slice": chain.slice_of.astype(np.int64),
        "american": chain.american,
    })  # fmt: skip
    manifest = {"config": {"surface": {"skew_stickiness": rule}},
                "results": {"bounds": {BOUND: {"closing_spot_e9": round(spot * 1e9)}}}}  # fmt: skip
    earlier = surface.diagnostics.with_columns(pl.col("ts_ns") - 10**9, pl.col("skew") * 3.0)
    run = replace(
        runs.load(busy), manifest=manifest, chain=listed,
        surface=pl.concat([earlier, surface.diagnostics]),
    )  # fmt: skip
    h = 1e-5
    monkeypatch.setattr(stress, "SPOT_SHOCKS", (-h, h))
    monkeypatch.setattr(stress, "VOL_SHOCKS", (0.0,))
    for j in range(chain.slices):
        mine = table.filter(pl.Series(chain.slice_of == j))
        (down,), (up,) = stress.matrix(replace(run, greeks=mine), BOUND)["pnl_usd"]
        want = float((mine["lots"] * mine["multiplier"] * mine["delta"]).sum())
        gross = float((mine["lots"].abs() * mine["multiplier"]).sum())
        # rounding: 1e-15 of 100 USD an option and shock; third order: h^2
        assert (up - down) / (2 * h * spot) == pytest.approx(want, abs=1e-7 * gross), j


def test_a_slice_that_the_last_refit_left_out_makes_no_ratio(busy):
    """Its row is of another instant: years, vol and skew of then do not go with those of now."""
    run = ruled(busy, "local_vol")
    last = pl.col("ts_ns") == run.surface["ts_ns"].max()
    gone = last & (pl.col("slice") == 2)
    without = run.surface.with_columns(
        pl.when(gone).then(None).otherwise(pl.col("forward")).alias("forward"),
        pl.when(pl.col("slice") == 2).then(3.0 * pl.col("skew")).otherwise("skew").alias("skew"),
    )
    slopes, _ = stress.vol_slopes(replace(run, surface=without))
    rows = stress.curves(run)[[1, 3]]
    near, far = dynamics.local_vol_ratio(rows["years"], rows["atm_vol"], rows["skew"])
    got = slopes["ratio"].to_list()
    assert got[1] == pytest.approx(near, rel=1e-12)
    assert got[3] == pytest.approx(far, rel=1e-12)
    assert near < got[2] < far


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
