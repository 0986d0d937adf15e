"""What the surface's figures are made of: denominators, cells, the simulated chain, parts."""

import math

import numpy as np
import pytest

from optmm.bench import surface, surface_confidence, surface_simulated
from optmm.bench.surface_confidence import Cell, LeftOut, cells, factor_of
from optmm.bench.surface_files import Pairs
from optmm.bench.surface_hits import Expiry, Share, certificate_of, shares
from optmm.bench.surface_snapshots import Found, rows_of
from surfaces import arbitrage
from surfaces.smiles.mixture import fit_joint
from surfaces.surface import ChainSlices


def flat(years=0.25, vol=0.2, half=0.002, count=31) -> Expiry:
    k = np.linspace(-4.0, 3.0, count) * vol * np.sqrt(years)
    return Expiry("flat", years, True, k, np.full(count, vol - half), np.full(count, vol + half))


def test_the_core_is_read_off_the_middles():
    """A flat vol of 20 % at a quarter of a year: z = k / 0.1."""
    one = flat()
    assert one.width == pytest.approx(0.1)
    np.testing.assert_array_equal(one.core, (one.k > -0.3) & (one.k < 0.2))


def test_hits_of_a_fit_and_of_none():
    book = [flat(), flat(0.5)]
    quotes = [e.priced() for e in book]
    fit = fit_joint(quotes)
    every, core = shares(book, fit)
    assert every == Share(62, 62) and core.hits == core.quotes == 2 * int(flat().core.sum())
    found = certificate_of(quotes, np.array([0.25, 0.5]), fit)
    assert found.points == 2_000 and found.certified.all()
    fit.theta[0] = np.nan
    assert shares(book, fit)[0] == Share(31, 62)


def test_pairs_are_inside_up_to_rounding():
    """df (F - K) at K = 90, 100 with df 0.5, F 100: 5 and 0."""
    pairs = Pairs(np.array([90.0, 100.0]), np.array([5.0, 0.1]), np.array([5.5, 0.2]))
    assert pairs.inside(100.0, 0.5).tolist() == [True, False]


def test_a_factor_fits_normal_residuals():
    """Standard normal draws with standard errors half as large as they should be: twice."""
    draw = np.random.default_rng(5)
    loo = draw.standard_normal(200_000)
    day = LeftOut("day", loo, np.full(loo.size, 0.5), np.zeros(loo.size, np.int64))
    factor = factor_of(day)
    assert factor == pytest.approx(2.0, rel=0.01)
    assert day.inside(factor).mean() == pytest.approx(0.95, abs=1e-3)


def test_cells_count_stale_quotes_as_outside_and_small_cells_not():
    loo = np.r_[np.zeros(97), np.full(3, np.inf), np.zeros(99)]
    cell = np.r_[np.zeros(100, int), np.full(99, 7)]
    (only,) = cells([LeftOut("day", loo, np.ones(loo.size), cell)], 1.0)
    assert (only.count, only.percent, only.fine) == (100, 97.0, True)
    assert only.where == "|delta| 0-0.02, 0-7 days"
    assert Cell("", 100, 99.0).off == pytest.approx(1.0)
    assert Cell("", 100, 80.0).off == pytest.approx(10.0)


def test_a_file_reports_how_far_below_the_referee_it_is():
    found = Found("day", judged=Share(90, 100), best=Share(99, 100), lost=[(9, "SPX", 100)])
    row = next(r for r in rows_of([found]) if "linear program" in r.what)
    assert row.measured == pytest.approx(9.0) and row.verdict == "misses"
    assert "9 of 100 in SPX" in row.note


def test_the_simulated_truth_is_free_of_arbitrage():
    """Durrleman's g by central differences, and total variance rising at equal k."""
    years, strike = surface_simulated.strikes()
    low, high = np.log(strike[-1, [0, -1]] / surface_simulated.FORWARD)
    k = np.linspace(low, high, 2001)
    step = k[1] - k[0]
    w = np.array([surface_simulated.total_variance(k, np.full(k.size, t)) for t in years])
    assert (np.diff(w, axis=0) > 0.0).all()
    slope, bend = (w[:, 2:] - w[:, :-2]) / (2 * step), np.diff(w, 2, axis=1) / step**2
    assert (arbitrage.durrleman(k[1:-1], w[:, 1:-1], slope, bend) > -1e-6).all()


def test_the_simulated_quotes_hold_the_truth_and_are_seeded():
    """Off the middle by 40 % of half a spread at most, so the truth is inside every market."""
    one, again = surface_simulated.market(3), surface_simulated.market(3)
    np.testing.assert_array_equal(one.bid, again.bid)
    assert one.k.shape == (30, 200)
    assert (one.bid > 0.0).all() and (one.ask > one.bid).all()
    quotes = one.in_vol()
    for q, vol in zip(quotes, one.vol, strict=True):
        inside = (q.ask_vol > vol) & ~(q.bid_vol > vol)
        assert inside.all()


def test_between_instants_only_the_renewed_quotes_change_place():
    still, moved = surface_simulated.instants(2, renewed=0.0)
    same = surface_simulated.market(1, noise=np.zeros(still.k.shape, np.int64))
    np.testing.assert_array_equal(moved.bid, same.bid)
    chain, bid, ask = surface_simulated.whole_chain(still)
    assert isinstance(chain, ChainSlices) and len(chain) == 12_000 and (ask > bid).all()


def test_parts_whose_data_is_absent_are_skipped_and_say_so(tmp_path):
    parts = ("reference", "snapshots", "american", "minutes", "confidence", "peers")
    report = surface.run(parts, tmp_path)
    rows = [row for some in report.rows.values() for row in some]
    assert {row.verdict for row in rows} == {"skipped"} and all(row.note for row in rows)
    assert report.peers[0]["note"] and report.wrong == ()
    assert report.as_json()["parts"]["reference"][0]["measured"] is None


def test_no_cell_is_no_share():
    assert math.isnan(surface_confidence._fine([]))
    assert math.isnan(Share(0, 0).percent)
