"""A grid file is judged whole before anything runs, in words that name the remedy."""

import subprocess
import sys
from pathlib import Path

import pytest

from optmm.backtest import results
from optmm.backtest.days import open_one
from optmm.backtest.grid import read
from optmm.data import store
from optmm.data.simulator import simulate_day
from optmm.data.simulator.config import simulation_config
from optmm.errors import ConfigError, DataError

ROOT = Path(__file__).resolve().parents[3]
DAYS = "[[days]]\nseeds = [1, 2]\n"


def written(folder: Path, text: str) -> Path:
    path = folder / "grid.toml"
    path.write_text(text, encoding="utf-8")
    return path


def refused(folder: Path, text: str) -> str:
    """The message without the path of the file."""
    path = written(folder, text)
    with pytest.raises((ConfigError, DataError)) as caught:
        read(path)
    return str(caught.value).replace(str(path), "grid.toml").replace(str(folder), "HERE")


BAD = {
    "": "grid.toml: days is missing; write [[days]]",
    "days = []\n": "grid.toml: days: names no day",
    "[[days]]\nseeds = []\n": "grid.toml: days[1].seeds is empty; name at least one",
    "[[days]]\nseed = 3\n": (
        "grid.toml: days[1]: needs either path (recorded days) or seeds (simulated days)"
    ),
    "[[days]]\nseeds = [1]\nunderlying = 'GOOG'\n": (
        "grid.toml: days[1]: has underlying, not for simulated days"
    ),
    "[[days]]\nseeds = [1, -1]\n": "grid.toml: days[1].seeds: seeds must be >= 0",
    "[[days]]\nseed_list = [1]\n": (
        "grid.toml: unknown key 'days[1].seed_list'; did you mean 'seeds'?"
    ),
    DAYS + "[grids]\n": "grid.toml: unknown key 'grids'; did you mean 'grid'?",
    DAYS + "[compare]\nmetric = ['net_usd']\n": (
        "grid.toml: unknown key 'compare.metric'; did you mean 'metrics'?"
    ),
    DAYS + "[compare]\nmetrics = ['nett_usd']\n": (
        "grid.toml: compare.metrics: unknown metric 'nett_usd'; did you mean 'net_usd'?"
    ),
    DAYS + "[compare]\nmetrics = ['fills', 'fills']\n": (
        "grid.toml: compare.metrics: names a metric twice"
    ),
    DAYS + "[compare]\nconfidence = 95\n": (
        "grid.toml: compare.confidence is 95: Input should be less than or equal to 0.999"
    ),
    DAYS + "[grid]\n'quoting.market_share' = 0.4\n": (
        "grid.toml: grid.quoting.market_share is 0.4: must be a list of one or more values"
    ),
    DAYS + "[grid]\n'quoting.market_share' = []\n": (
        "grid.toml: grid.quoting.market_share is []: must be a list of one or more values"
    ),
    DAYS + "[grid]\n'quoting.market_shar' = [0.4]\n": (
        "grid.toml: cell 1 (quoting.market_shar = 0.4): unknown key 'quoting.market_shar'; did you "
        "mean 'market_share'?"
    ),
    DAYS + "[grid]\n'quotin.market_share' = [0.4]\n": (
        "grid.toml: cell 1 (quotin.market_share = 0.4): unknown key 'quotin'; did you mean "
        "'quoting'?"
    ),
    DAYS + "[grid]\nmarket_share = [0.4]\n": (
        "grid.toml: cell 1 (market_share = 0.4): unknown key 'market_share'; known keys: carry, "
        "clock, corporate, dividends, exercise, fees, hedging, limits, marks, protections, "
        "quoting, rates, replay, settlement, surface, synthetic"
    ),
    DAYS + "[grid]\nquoting.market_share = [0.4, 3.0]\n": (
        "grid.toml: cell 2 (quoting.market_share = 3): quoting.market_share is 3.0: Input should "
        "be less than or equal to 2"
    ),
    DAYS + "[grid]\nquoting.max_lots = [5, 'six']\n": (
        "grid.toml: cell 2 (quoting.max_lots = six): quoting.max_lots is 'six': Input should be a "
        "valid integer"
    ),
    DAYS + "[grid]\nreplay.order_latency_ms = [5, 50, 5.0]\n": (
        "grid.toml: cells 1 and 3 are the same (order_latency_ms=5); write each value once"
    ),
    DAYS + "[grid]\nreplay.bounds = [['queue']]\n": (
        "grid.toml: grid.replay.bounds: fill assumptions are rows of every cell, not values to "
        "compare; set [base.replay] bounds"
    ),
    DAYS + "[base.quoting]\nmax_lot = 3\n": (
        "grid.toml: base: unknown key 'quoting.max_lot'; did you mean 'max_lots'?"
    ),
    DAYS + "[base]\nconfig = 'desk.toml'\n": (
        "HERE/desk.toml: no such file. Write one, or drop --config for defaults"
    ),
    DAYS + "[grid]\nquoting.max_lots = [5, 6]\n[compare]\nbaseline = 3\n": (
        "grid.toml: compare.baseline is 3: must be a cell from 1 to 2"
    ),
    DAYS + "[grid]\nquoting.max_lots = [5, 6]\n[compare.baseline]\nquoting.max_lots = 7\n": (
        "grid.toml: compare.baseline fits no cell"
    ),
    DAYS
    + "[grid]\nquoting.max_lots = [5, 6]\nreplay.order_latency_ms = [1, 2]\n"
    + "[compare.baseline]\nquoting.max_lots = 6\n": (
        "grid.toml: compare.baseline fits cells 3, 4; name every key"
    ),
    DAYS + "[grid]\nquoting.max_lots = [5, 6]\n[compare.baseline]\nquoting.max_lot = 6\n": (
        "grid.toml: compare.baseline names 'quoting.max_lot', which [grid] does not vary; it "
        "varies quoting.max_lots"
    ),
    DAYS + "[[days]]\nseeds = [2]\n": (
        "grid.toml: days 2 and 3 are the same (seed 2); name each day once"
    ),
    "[[days]]\nseeds = [1]\nsimulation = { minute = 5 }\n": (
        "grid.toml: days[1].simulation: unknown key 'minute'; did you mean 'minutes'?"
    ),
    "[[days]]\nseeds = [1]\nsimulation = 'sim.toml'\n": (
        "HERE/sim.toml: no such file. Check days.simulation"
    ),
    DAYS + "[compare]\nbaseline = 'first'\n": (
        "grid.toml: compare.baseline: is 'first', must be a table of grid values or a cell's number"
    ),
    "[[days]]\nseeds = [1]\nsimulation = 5\n": (
        "grid.toml: days[1].simulation: is 5, must be a table of settings or the path of a file"
    ),
    "[[days]]\npath = 'nowhere'\n": "there is no HERE/nowhere. Check the path.",
    "days = [\n": "grid.toml: not valid TOML: Invalid value (at end of document)",
}


@pytest.mark.parametrize("text", BAD, ids=range(len(BAD)))
def test_bad_grids_by_their_words(tmp_path, text):
    assert refused(tmp_path, text) == BAD[text]


def test_days_that_a_source_does_not_list(tmp_path):
    day = simulate_day(simulation_config({"minutes": 1}), 5).day
    store.write(day, tmp_path / "stored")
    for dates, words in (
        ("['2025-03-13']", "stored has no SPY on 2025-03-13. It has 2025-03-12."),
        ("['2025-13-12']", "grid.toml: days[1].dates: '2025-13-12' is not a date: write "
         "YYYY-MM-DD, for example 2015-12-24"),
        ("[]", "grid.toml: days[1].dates is empty; name at least one"),
    ):  # fmt: skip
        assert refused(tmp_path, f"[[days]]\npath = 'stored'\ndates = {dates}\n") == words
    words = "no options on QQQ in stored. There is SPY; write underlying."
    assert refused(tmp_path, "[[days]]\npath = 'stored'\nunderlying = 'QQQ'\n") == words
    (found,) = read(written(tmp_path, "[[days]]\npath = 'stored'\nunderlying = 'spy'\n")).days
    assert (found.underlying, found.date, found.simulated) == ("SPY", "2025-03-12", True)


def test_days_in_a_folder_of_days_are_what_they_say_and_are_found_again(tmp_path):
    day = simulate_day(simulation_config({"minutes": 1}), 5).day
    folder = store.write(day, tmp_path / "week" / "2025-03-12")
    grid = read(written(tmp_path, "[[days]]\npath = 'week'\n"))
    assert grid.days[0].simulated
    stored = open_one(grid.days[0])
    results.unchanged({(1, 1): {"facts": {"sources": stored.sources}}}, grid)
    (folder / "chain.parquet").write_bytes(b"")
    with pytest.raises(DataError, match=r"chain\.parquet of SPY 2025-03-12 changed"):
        results.unchanged({(1, 1): {"facts": {"sources": stored.sources}}}, grid)


def test_too_many_cells_are_counted_not_built(tmp_path):
    values = ", ".join(str(i) for i in range(1, 102))
    text = DAYS + f"[grid]\nquoting.max_lots = [{values}]\nprotections.max_fills = [{values}]\n"
    assert refused(tmp_path, text) == "grid.toml: grid has 10,201 cells, at most 10,000"


@pytest.mark.parametrize(
    ("text", "code"), [("[grid]\n", 3), ("[[days]]\npath = 'nowhere'\n", 4)], ids=["config", "data"]
)
def test_exit_codes_and_nothing_written(tmp_path, text, code):
    path, out = written(tmp_path, text), tmp_path / "out"
    command = [sys.executable, "-m", "optmm.cli.main", "backtest", "--grid", str(path)]
    done = subprocess.run(
        [*command, "--out", str(out)], capture_output=True, text=True, check=False
    )
    assert done.returncode == code
    assert done.stderr.count("\n") == 1
    assert not out.exists()


def test_cells_are_every_combination_with_the_last_key_fastest(tmp_path):
    plan = read(
        written(
            tmp_path,
            DAYS + "[base.quoting]\nmax_lots = 7\n[grid]\n'quoting.market_share' = [0.3, 0.4]\n"
            "replay.order_latency_ms = [1, 5, 50]\n",
        )
    )
    got = [tuple(value for _, value in cell.settings) for cell in plan.cells]
    assert got == [(0.3, 1.0), (0.3, 5.0), (0.3, 50.0), (0.4, 1.0), (0.4, 5.0), (0.4, 50.0)]
    assert all(cell.config.quoting.max_lots == 7 for cell in plan.cells)
    for cell in plan.cells:
        assert cell.config.quoting.market_share == dict(cell.settings)["quoting.market_share"]
    assert plan.baseline == 5  # the base's own: 0.4 and 5 ms are the defaults
    assert plan.cells[1].label == "market_share=0.3, order_latency_ms=5"


def test_a_desk_file_is_the_base_and_inline_sections_go_over_it(tmp_path):
    (tmp_path / "desk.toml").write_text("[quoting]\nmax_lots = 9\nvol_edge = 0.001\n")
    text = DAYS + "[base]\nconfig = 'desk.toml'\n[base.quoting]\nmax_lots = 2\n"
    (cell,) = read(written(tmp_path, text)).cells
    assert (cell.config.quoting.max_lots, cell.config.quoting.vol_edge) == (2, 0.001)


def test_the_example_in_the_docs_is_a_grid():
    plan = read(ROOT / "docs" / "examples" / "grid.toml")
    assert (len(plan.cells), len(plan.days), plan.baseline) == (6, 12, 3)


def test_checking_a_grid_of_simulated_days_loads_nothing_heavy(tmp_path):
    code = (
        "import sys\nfrom pathlib import Path\nfrom optmm.backtest.grid import read\n"
        "read(Path(sys.argv[1]))\n"
        "print(sorted({'numba', 'pandas', 'matplotlib', 'polars', 'scipy'} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(written(tmp_path, DAYS))],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == "[]"
