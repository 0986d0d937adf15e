"""How speeds become rows, what is skipped without tables or peers, and QuantLib at equal error."""

import math

import numpy as np
import pytest

from optmm.bench import european, referee, tables
from optmm.bench.referee import Step


def test_speed_is_of_the_slowest_batch_and_the_ratio_of_the_closest():
    speeds = {
        1_000: {"optmm": 40.0, "lbriv": 360.0},
        10_000: {"optmm": 30.0, "lbriv": 330.0},
    }
    own, lbriv, engine = european._speed_rows("implied vol", speeds, 8.0, 60.0)
    assert (own.measured, own.verdict) == (40.0, "meets")
    assert lbriv.measured == pytest.approx(9.0) and lbriv.verdict == "meets"
    assert engine.verdict == "skipped" and "scripts/bench" in engine.note


def test_greek_ratio_is_to_the_quickest_of_those_compared():
    speeds = {
        1_000: {"optmm": 20.0, "pyvolr": 200.0, "polars-vol": 80.0, "scipy": 30.0},
        10_000: {"optmm": 20.0, "pyvolr": 50.0, "polars-vol": 80.0, "scipy": 30.0},
    }
    (row,) = european._greek_ratio("x", speeds, {"scipy"}, 3.0)
    assert row.measured == pytest.approx(2.5) and row.verdict == "misses"
    assert "4.0 (polars-vol) at 1,000" in row.note and "2.5 (pyvolr) at 10,000" in row.note
    (none,) = european._greek_ratio("x", {1_000: {"optmm": 20.0}}, set(), 3.0)
    assert none.verdict == "skipped"


def test_without_the_tests_folder_tables_are_skipped_and_say_so(monkeypatch):
    monkeypatch.setattr(tables, "folder", lambda: None)
    (cases,) = european._on_table([], {})
    (statuses,) = european.invalid_quotes()
    assert {cases.verdict, statuses.verdict} == {"skipped"}
    assert cases.note == "tests/tables is not here: run from a checkout"
    assert tables.american_yield() is None and tables.american_cash() is None


LADDER = [
    Step("rough", 10.0, 1e-3),
    Step("worse", 15.0, 2e-3),  # slower and further off: never the one to compare with
    Step("good", 40.0, 1e-5),
]


def test_time_at_an_error_between_two_schemes_is_on_the_line_of_logarithms():
    got, words = referee.at_error(LADDER, 1e-4)
    assert got == pytest.approx(math.sqrt(10.0 * 40.0))  # half way in log error
    assert "between rough" in words and "good" in words


@pytest.mark.parametrize(("rmse", "time", "name"), [(1.0, 10.0, "rough"), (1e-9, 40.0, "good")])
def test_past_the_ladder_its_end_is_compared(rmse, time, name):
    got, words = referee.at_error(LADDER, rmse)
    assert got == time and words.startswith(name)


def test_the_referee_prices_the_published_rows():
    """QuantLib's own tanh-sinh prices, computed elsewhere: objects are built as they should be."""
    pytest.importorskip("QuantLib")
    options, printed = tables.american_yield()
    few = type(options)(*(column[:3] for column in options.keywords().values()))
    np.testing.assert_allclose(referee.precise(few), printed[:3], atol=1e-9)


def test_a_pass_over_prebuilt_objects_recalculates_each(monkeypatch):
    """A spot moved by a hair makes QuantLib price again, and the price hardly moves."""
    ql = referee.library()
    options, printed = tables.american_yield()
    few = type(options)(*(column[:2] for column in options.keywords().values()))
    built = referee._built(ql, few, ql.QdFpAmericanEngine.accurateScheme())
    before = [option.NPV() for _, option in built]
    referee._pass(built, few.spot.tolist())()
    after = [option.NPV() for _, option in built]
    assert all(quote.value() != 500.0 for quote, _ in built)
    np.testing.assert_allclose(before, printed[:2], atol=1e-3)
    assert all(0.0 < abs(a - b) < 1e-6 for a, b in zip(after, before, strict=True))


def test_grids_with_cash_dividends_close_in_on_the_published_rows():
    """Dates, amounts and the spot model are right: a finer grid is nearer to the table."""
    pytest.importorskip("QuantLib")
    options, times, each, printed = tables.american_cash()
    few = type(options)(*(column[:3] for column in options.keywords().values()))
    coarse, fine = referee.cash_grids(few, times[:3], each[:3], printed[:3])
    assert fine.rmse < 0.01 and fine.rmse < coarse.rmse
