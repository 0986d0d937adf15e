"""The Heston table measures what it says: its markets, its gradient check, and what is wrong."""

import numpy as np
import pytest

from optmm.bench import heston as bench
from optmm.bench.rows import Row
from surfaces.pricing import black, heston


def test_a_market_is_priced_by_its_truth():
    it = bench.market(bench.USUAL)
    assert it.years.size == 100 and len(set(it.years)) == 10
    got = black.price(right=1, forward=100.0, strike=it.strike, years=it.years, vol=it.vol)
    want = heston.price(bench.USUAL, right=1, forward=100.0, strike=it.strike, years=it.years)
    np.testing.assert_allclose(got, want, atol=1e-10)


def test_random_sets_are_the_same_again_and_inside_their_ranges():
    for wide, most in ((True, 0.4), (False, 0.2)):
        once, again = (list(bench.drawn(20, 3, wide=wide)) for _ in range(2))
        assert once == again
        assert max(p.v0 for p in once) <= most and len({p.rho for p in once}) == 20


def test_the_gradient_check_sees_a_wrong_derivative(monkeypatch):
    assert bench._gradient() < 1e-7
    right = heston.greeks

    def wrong(params, **more):
        found = right(params, **more)
        return type(found)({**found.values, "d_rho": found.d_rho * (1.0 + 1e-6)})

    monkeypatch.setattr(bench.heston, "greeks", wrong)
    assert bench._gradient() > 5e-7


def test_missing_tables_are_skipped_with_the_reason(tmp_path):
    rows = bench._accuracy(tmp_path) + bench._dax(tmp_path)
    assert len(rows) == 4
    assert all(row.verdict == "skipped" and row.note == bench.ABSENT for row in rows)


def test_only_missed_correctness_is_wrong():
    rows = [
        Row("correct: a", 2.0, "", 1.0),
        Row("correct: b", 0.5, "", 1.0),
        Row("slow", 2.0, "us", 1.0),
        Row("correct: c", None, "", 1.0, note="absent"),
    ]
    assert bench.wrong(rows) == ["correct: a"]


def test_recovery_counts_what_came_back(monkeypatch):
    rows = {row.what: row for row in bench._recovery(3)}
    assert rows["correct: parameters within 1e-4 of the truth"].measured == 100.0
    monkeypatch.setattr(bench, "RECOVERED", -1.0)
    rows = {row.what: row for row in bench._recovery(2)}
    assert rows["correct: parameters within 1e-4 of the truth"].measured == 0.0


def test_quantlib_fits_the_same_quotes():
    pytest.importorskip("QuantLib")
    rows = bench._beside(1)
    assert rows[2].measured == 0 and rows[1].measured > 1.0
