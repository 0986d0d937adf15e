"""Real cell-days through the command line: bytes, resumption, Ctrl-C, failures, other data."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from optmm.backtest import results
from optmm.backtest.grid import read
from optmm.data import store
from optmm.data.simulator import simulate_day
from optmm.data.simulator.config import simulation_config
from optmm.errors import UsageError
from optmm.market.events import Kind

GRID = """
[[days]]
seeds = [1, 2]
simulation = { minutes = 6 }
[[days]]
path = "blank"
[grid]
quoting.market_share = [0.4, 0.8]
[compare]
min_days = 5
"""


def command(grid: Path, out: Path, *more: str) -> list[str]:
    head = [sys.executable, "-m", "optmm.cli.main", "backtest", "--grid", str(grid)]
    return [*head, "--out", str(out), *more]


def started(grid: Path, out: Path, *more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(grid, out, *more), capture_output=True, text=True, check=False, timeout=300
    )


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A grid of two cells on two simulated days and on a stored day without any usable quote."""
    folder = tmp_path_factory.mktemp("backtest")
    day = simulate_day(simulation_config({"minutes": 1}), 5).day
    events = day.events[day.events["kind"] != Kind.QUOTE]
    store.write(replace(day, events=events), folder / "blank")
    (folder / "grid.toml").write_text(GRID, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def done(place) -> subprocess.CompletedProcess[str]:
    """All of it in two processes, run folders kept."""
    return started(place / "grid.toml", place / "two", "--jobs", "2", "--json", "--keep-runs")


@pytest.fixture(scope="module")
def interrupted(place, done) -> int:
    """The same in one process, stopped by Ctrl-C after the first cell-day; its exit code."""
    out = place / "one"
    process = subprocess.Popen(
        command(place / "grid.toml", out, "--jobs", "1"),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    until = time.monotonic() + 200
    while not list(out.glob("cell-days/c*.json")) and time.monotonic() < until:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: the workers get it too
    return process.wait(timeout=60)


def test_a_failing_day_loses_nothing_else(place, done):
    assert done.returncode == 1
    assert "2 of 6 cell-days failed; first cell 1, SPY 2025-03-12" in done.stderr
    assert "has no usable two-sided option quote" in done.stderr
    rows = pl.read_parquet(place / "two" / "results.parquet")
    assert rows.select("cell", "day", "bound", "status").rows() == [
        (cell, day, "simulated", "error" if day == 3 else "ok")
        for cell in (1, 2)
        for day in (1, 2, 3)
    ]
    failed = rows.filter(pl.col("status") == "error")
    assert failed["error"].str.starts_with("DataError: SPY 2025-03-12 has no usable").all()
    assert failed["net_usd"].null_count() == failed.height


def test_json_says_what_was_compared_and_on_which_days(place, done):
    said = json.loads(done.stdout)
    assert said["schema"] == "optmm.backtest/1"
    assert said["days_left_out"] == {"simulated": 1}
    assert said == json.loads((place / "two" / "comparison.json").read_text())
    assert [cell["parameters"] for cell in said["cells"]] == [
        {"quoting.market_share": 0.4}, {"quoting.market_share": 0.8}
    ]  # fmt: skip
    assert {row["note"] for row in said["comparison"]} == {"n/a (n = 2 days)"}
    assert said["cautions"] == []  # a simulated market: width is identified


def test_rows_are_the_reports_of_the_runs(place, done):
    """Against report.json of each run folder, and the ledger's identity to the last 1e-9 USD."""
    rows = pl.read_parquet(place / "two" / "results.parquet").filter(pl.col("status") == "ok")
    assert rows.height == 4
    for row in rows.iter_rows(named=True):
        folder = place / "two" / "runs" / f"c{row['cell']:05d}-d{row['day']:05d}"
        report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
        world = report["bounds"]["simulated"]
        assert report["seed"] == row["seed"] == row["day"]
        assert row["journal_hash"] == world["journal_hash"]
        assert row["net_usd"] == world["pnl"]["net"]
        assert row["adverse_selection_60s_usd"] == world["pnl_60s"]["adverse_selection"]
        assert row["close_vega_usd_per_volpt"] == world["greeks"]["vega_usd_per_volpt"]
        assert row["risk_var_usd"] == world["risk"]["var"]["value"]
        assert row["contracts"] == world["contracts"]
        assert row["identity_error_e9"] == row["ledger_less_fills_e9"] == 0
        lines = ("spread_capture", "adverse_selection", "inventory_alpha", "hedging_costs")
        total = sum(row[f"{line}_usd"] for line in (*lines, "carry", "fees"))
        assert total == pytest.approx(row["net_usd"], abs=1e-6)
        for number in numbers(world["pnl"]) + numbers(world["greeks"]):
            assert number in row.values()


def numbers(section: dict) -> list[float]:
    """Every figure directly in a section of a report."""
    return [v for k, v in section.items() if isinstance(v, int | float) and k != "tau_s"]


def test_wider_quotes_trade_less(place, done):
    """Takers of the simulated market react to width, so the wide cell cannot trade more."""
    rows = pl.read_parquet(place / "two" / "results.parquet").group_by("cell").agg(
        pl.col("contracts").sum()
    )  # fmt: skip
    traded = dict(rows.rows())
    assert traded[1] > traded[2]


def test_ctrl_c_stops_with_130_and_keeps_what_is_finished(place, interrupted):
    assert interrupted == 130
    left = sorted(p.name for p in (place / "one" / "cell-days").iterdir())
    assert 1 <= len(left) < 4 and all(name.endswith(".json") for name in left)
    assert not (place / "one" / "results.parquet").exists()
    assert not (place / "one" / "running").exists()


def test_resumption_in_one_process_gives_the_bytes_of_two(place, done, interrupted):
    before = {p.name: p.stat().st_mtime_ns for p in (place / "one" / "cell-days").iterdir()}
    again = started(place / "grid.toml", place / "one", "--jobs", "1", "--resume")
    assert again.returncode == 1  # the blank day is tried again, and fails again
    assert f"of {6 - len(before)} cell-days" in again.stderr
    for name, at in before.items():
        assert (place / "one" / "cell-days" / name).stat().st_mtime_ns == at
    for name in ("results.parquet", "comparison.parquet", "comparison.csv", "net.png"):
        one, two = ((place / folder / name).read_bytes() for folder in ("one", "two"))
        assert one == two, name
    assert "simulated exchange: takers decide by our price" in again.stdout


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("0.8]", "0.9]", "the grid or the base configuration changed"),
        ("seeds = [1, 2]", "seeds = [1, 3]", "the days changed"),
    ],
)
def test_another_grid_is_not_resumed(place, done, tmp_path, old, new, words):
    shutil.copytree(place / "blank", tmp_path / "blank")
    (tmp_path / "grid.toml").write_text(GRID.replace(old, new), encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        results.claim(place / "two", read(tmp_path / "grid.toml"), resume=True)
    said = f"cannot be resumed: {words} since it was started. Choose another --out"
    assert said in str(caught.value)


def test_how_cells_are_compared_may_change(place, done, tmp_path):
    """Only cells, days, data and versions are held against a resumption."""
    shutil.copytree(place / "blank", tmp_path / "blank")
    text = GRID + "confidence = 0.9\nmetrics = ['contracts']\n"
    (tmp_path / "grid.toml").write_text(text, encoding="utf-8")
    results.claim(place / "two", read(tmp_path / "grid.toml"), resume=True)


def test_a_folder_with_results_is_never_overwritten(place, done):
    with pytest.raises(UsageError, match="is not empty: add --resume to go on with it, or choose"):
        results.claim(place / "two", read(place / "grid.toml"), resume=False)
