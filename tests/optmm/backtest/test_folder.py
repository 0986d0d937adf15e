"""Scheduling, lost processes, changed data and damaged files, without running the engine."""

import json
from types import SimpleNamespace

import pytest

from optmm.backtest import figures, pool, results
from optmm.backtest.days import Day
from optmm.backtest.grid import read
from optmm.backtest.worker import Held, Outcome, Task, attempt
from optmm.config import DeskConfig
from optmm.errors import DataError, UsageError


def task(cell: int, day: int, folder="nowhere") -> Task:
    return Task(cell, DeskConfig(), Day(day, "x", "GOOG", "2015-12-24", 0, False), folder, False)


def test_a_worker_keeps_its_day_and_others_are_shared_out():
    """Three days, two workers: a day is begun by a second worker only when none is left alone."""
    queue = pool.queued([task(c, d) for d in (1, 2, 3) for c in (1, 2)])
    first = queue.take(0, [])
    second = queue.take(0, [first.day.number])
    assert (first.day.number, second.day.number) == (1, 2)
    assert queue.take(1, [2]).cell == 2
    assert queue.take(1, [2]).day.number == 3  # its day is done, the third is nobody's
    assert queue.take(2, [3]).day.number == 2
    assert queue.take(2, [3]).day.number == 3  # only then does it help with the other's
    assert len(queue) == 0


def test_a_process_that_dies_is_an_outcome():
    worker = pool._start("nowhere")
    worker.process.kill()
    got = pool._outcome(worker)
    pool._stop([worker])
    assert not got.rows
    assert got.error == (
        "its process ended with code -9; the system may be out of memory: fewer --jobs need less"
    )


def test_a_fault_of_ours_comes_with_its_trace(tmp_path, monkeypatch):
    def broken(_self, _day):
        raise ZeroDivisionError("no such thing")

    monkeypatch.setattr(Held, "open", broken)
    got = attempt(task(1, 1, tmp_path / "run"), Held())
    assert got.error == "ZeroDivisionError: no such thing"
    assert got.trace.startswith("Traceback") and "broken" in got.trace
    assert got.rows == ()


def test_one_day_is_in_memory(monkeypatch):
    """The day before is let go before the next is loaded."""
    held, seen = Held(), []

    def loaded(day):
        seen.append((day.number, held.market))
        return SimpleNamespace(number=day.number)

    monkeypatch.setattr("optmm.backtest.worker.open_one", loaded)
    for number in (1, 1, 2, 1):
        assert held.open(task(1, number).day).number == number
    assert seen == [(1, None), (2, None), (1, None)]


@pytest.fixture
def plan(tmp_path):
    from optmm.data import store
    from optmm.data.simulator import simulate_day
    from optmm.data.simulator.config import simulation_config

    day = simulate_day(simulation_config({"minutes": 1}), 5).day
    store.write(day, tmp_path / "stored")
    (tmp_path / "grid.toml").write_text(
        "[[days]]\npath = 'stored'\n[grid]\nquoting.max_lots = [4, 5]\n", encoding="utf-8"
    )
    return read(tmp_path / "grid.toml"), day


def finished(folder, plan, cell: int, **changed) -> None:
    grid, _ = plan
    facts = {
        "underlying": "SPY", "date": "2025-03-12", "events": 1, "data_hash": "aa",
        "sources": [
            [name, results._digest(grid.days[0].place / name)]
            for name in ("chain.parquet", "day.json", "events.parquet")
        ],
    }  # fmt: skip
    row = {"bound": "simulated", "net_usd": 1.0}
    outcome = Outcome((row,), facts | changed)
    results.keep(folder, grid.cells[cell - 1], grid.days[0], outcome)


def test_data_that_changed_since_the_start_are_not_mixed(plan, tmp_path):
    grid, _ = plan
    results.claim(tmp_path / "out", grid, resume=False)
    finished(tmp_path / "out", plan, 1)
    found = results.kept(tmp_path / "out", grid)
    results.unchanged(found, grid)
    with (grid.days[0].place / "events.parquet").open("ab") as out:
        out.write(b"\0")
    with pytest.raises(
        DataError, match=r"events.parquet of SPY 2025-03-12 changed since this backtest was started"
    ):
        results.unchanged(found, grid)
    (grid.days[0].place / "events.parquet").unlink()
    with pytest.raises(DataError, match=r"events.parquet of SPY 2025-03-12 is gone since"):
        results.unchanged(found, grid)


def test_cells_that_saw_different_data_are_not_compared(plan, tmp_path):
    grid, _ = plan
    results.claim(tmp_path / "out", grid, resume=False)
    finished(tmp_path / "out", plan, 1)
    finished(tmp_path / "out", plan, 2, data_hash="bb")
    with pytest.raises(
        DataError, match=r"the data of SPY 2025-03-12 changed between cells \(cell 2 saw others\)"
    ):
        results.kept(tmp_path / "out", grid)


@pytest.mark.parametrize("text", ["", "{", "{}", '{"facts": {}, "rows": []}'])
def test_a_damaged_cell_day_is_named(plan, tmp_path, text):
    grid, _ = plan
    results.claim(tmp_path / "out", grid, resume=False)
    finished(tmp_path / "out", plan, 1)
    path = tmp_path / "out" / "cell-days" / "c00001-d00001.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=r"c00001-d00001.json: is damaged. Remove it and run again"):
        results.kept(tmp_path / "out", grid)


def test_other_versions_are_not_resumed(plan, tmp_path):
    grid, _ = plan
    results.claim(tmp_path / "out", grid, resume=False)
    results.claim(tmp_path / "out", grid, resume=True)
    path = tmp_path / "out" / "manifest.json"
    for key, words in (("versions", "the versions of packages"), ("sources_sha256", "the code of")):
        good = path.read_text(encoding="utf-8")
        path.write_text(json.dumps(json.loads(good) | {key: "other"}), encoding="utf-8")
        with pytest.raises(UsageError, match=f"cannot be resumed: {words}"):
            results.claim(tmp_path / "out", grid, resume=True)
        path.write_text(good, encoding="utf-8")


def test_a_second_process_is_refused(tmp_path):
    with (
        results.locked(tmp_path / "out"),
        pytest.raises(UsageError, match="is in use by another backtest"),
        results.locked(tmp_path / "out"),
    ):
        pass
    with results.locked(tmp_path / "out"):
        pass


def test_a_figure_that_the_report_gains_is_taken_in():
    bound = {
        "journal_hash": "ab", "pnl": {"net": 1.5, "tau_s": 300},
        "queue": {"pick_off_usd": -3.0, "words": "x", "list": [1]},
        "risk": {"new": {"row": "RR99", "value": 2.0, "unit": "USD", "n": 4}},
    }  # fmt: skip
    report = {
        "bounds": {"queue": bound}, "limits": {"queue": []}, "surface": {},
        "flow": {"markouts": {}}, "obligations": {"bounds": {"queue": {"share": 0.5}}},
    }  # fmt: skip
    (row,) = figures.rows(report)
    assert (row["net_usd"], row["queue_pick_off_usd"], row["risk_new"]) == (1.5, -3.0, 2.0)
    assert row["two_sided_share"] == 0.5
    known = {f.name for f in figures.FIGURES} | set(figures.BESIDE)
    assert set(row) - known == {"bound", "journal_hash", "killed", "queue_pick_off_usd", "risk_new"}
