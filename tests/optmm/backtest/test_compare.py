"""The comparison on tables of known content: pairs, days left out, signs, cautions."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from optmm.backtest import show
from optmm.backtest.compare import compare
from optmm.backtest.grid import Grid, read

DAYS = 16


def grid_of(folder: Path, extra: str = "", key: str = "quoting.market_share") -> Grid:
    path = folder / "grid.toml"
    seeds = list(range(DAYS))
    path.write_text(
        f"[[days]]\nseeds = {seeds}\n[grid]\n'{key}' = [0.3, 0.4, 0.5]\n[compare]\nbaseline = 2\n"
        f"metrics = ['net_usd', 'fills']\ndraws = 2000\n{extra}",
        encoding="utf-8",
    )
    return read(path)


def table(
    net, *, bounds=("pessimistic", "queue", "optimistic"), blocks=None, missing=(), killed=None
):
    """results.parquet as far as a comparison reads it; `net` (cell, day, bound)."""
    rows = []
    for cell in range(net.shape[0]):
        for day in range(net.shape[1]):
            for b, bound in enumerate(bounds):
                gone = (cell + 1, day + 1) in missing
                rows.append(
                    {
                        "cell": cell + 1, "day": day + 1, "bound": bound,
                        "block": f"{day:03d}" if blocks is None else blocks[day],
                        "status": "error" if gone else "ok",
                        "net_usd": None if gone else float(net[cell, day, b]),
                        "fills": None if gone else 10 + day,
                        "killed": None if (cell, day, b) != killed else "loss",
                        "limit_used_share": 0.5,
                    }
                )  # fmt: skip
    return pl.DataFrame(rows, schema_overrides={"killed": pl.String})


def lines(result, bound, metric):
    return [x for x in result.lines if (x.bound, x.metric) == (bound, metric)]


@pytest.fixture
def net():
    """Days differ by hundreds, cells by one dollar exactly and by noise."""
    rng = np.random.default_rng(4)
    day = rng.normal(0.0, 400.0, (1, DAYS, 1))
    cells = np.array([1.0, 0.0, 0.0])[:, None, None]
    noise = np.array([0.0, 0.0, 1.0])[:, None, None] * rng.normal(0.0, 300.0, (1, DAYS, 1))
    return day + cells + noise + np.zeros((1, 1, 3))


def test_differences_are_of_the_same_days(tmp_path, net):
    """A dollar more on every day is a dollar, to the last bit of the days, with no interval to
    speak of, however much the days themselves vary."""
    first, base, noisy = lines(compare(grid_of(tmp_path), table(net)), "queue", "net_usd")
    assert (first.difference, first.difference_low, first.difference_high) == pytest.approx(
        (1.0, 1.0, 1.0), abs=1e-9
    )
    assert first.high - first.low > 100.0
    assert first.differs and not noisy.differs
    assert base.difference is None and base.p is None and base.p_holm is None
    for line in (first, noisy):
        assert line.difference == pytest.approx(line.mean - base.mean, abs=1e-9)


def test_means_and_counts_are_those_of_the_table(tmp_path, net):
    result = compare(grid_of(tmp_path), table(net))
    for line in lines(result, "queue", "net_usd"):
        assert line.mean == pytest.approx(net[line.cell - 1, :, 1].mean(), abs=1e-9)
        assert (line.days, line.blocks) == (DAYS, DAYS)
    assert {x.mean for x in lines(result, "queue", "fills")} == {10 + (DAYS - 1) / 2}
    assert not any(x.differs for x in lines(result, "queue", "fills"))


def test_a_day_that_one_cell_lacks_is_left_out_for_all(tmp_path, net):
    result = compare(grid_of(tmp_path), table(net, missing={(3, 5)}))
    kept = [d for d in range(DAYS) if d != 4]
    for line in lines(result, "queue", "net_usd"):
        assert line.days == DAYS - 1
        assert line.mean == pytest.approx(net[line.cell - 1, kept, 1].mean(), abs=1e-9)
    assert result.left_out == {"pessimistic": 1, "queue": 1, "optimistic": 1}


def test_few_days_give_a_mean_and_no_interval(tmp_path, net):
    grid = grid_of(tmp_path)
    for line in lines(compare(grid, table(net[:, :3])), "queue", "net_usd"):
        assert line.mean is not None and line.low is None and line.p is None
        assert line.note == "n/a (n = 3 days)"


def test_days_of_one_date_are_one_block(tmp_path, net):
    """Two underlyings on eight dates: eight blocks, so no interval from sixteen rows."""
    pairs = [f"2015-12-{1 + d // 2:02d}" for d in range(DAYS)]
    result = compare(grid_of(tmp_path), table(net, blocks=pairs))
    assert {(x.days, x.blocks, x.low) for x in result.lines} == {(DAYS, 8, None)}
    wide = compare(grid_of(tmp_path, "min_days = 8\n"), table(net, blocks=pairs))
    assert all(x.low is not None for x in wide.lines)


def test_a_figure_that_a_day_lacks_is_said_not_skipped(tmp_path, net):
    net[0, 7, 1] = np.nan
    rows = table(net).with_columns(pl.col("net_usd").fill_nan(None))
    first, second, _ = lines(compare(grid_of(tmp_path), rows), "queue", "net_usd")
    assert first.mean is None and first.note == f"n/a (1 of {DAYS} days have no figure)"
    assert second.mean is not None


def test_another_sign_under_another_assumption_is_said(tmp_path, net):
    net = net - net.mean(axis=1, keepdims=True) + 50.0
    net[1, :, 0] -= 100.0  # cell 2 loses under the pessimistic assumption only
    result = compare(grid_of(tmp_path), table(net))
    assert result.sign_differs == (2,)
    assert result.cautions[0] == (
        "Cell 2: the sign of the mean net P&L differs between fill assumptions: the tape cannot "
        "say which."
    )


def test_width_on_a_tape_is_cautioned_and_on_a_simulated_market_not(tmp_path, net):
    words = "cannot identify the level of spreads"
    wide = grid_of(tmp_path)
    assert any(words in said for said in compare(wide, table(net)).cautions)
    simulated = table(net[:, :, :1], bounds=("simulated",))
    assert not any(words in said for said in compare(wide, simulated).cautions)
    other = grid_of(tmp_path, key="hedging.min_band_usd")
    assert not any(words in said for said in compare(other, table(net)).cautions)


def test_a_cell_that_a_limit_stopped_is_named(tmp_path, net):
    result = compare(grid_of(tmp_path), table(net, killed=(2, 4, 0)))
    assert any(
        said.startswith("Cell 3 passed a limit or was stopped by one on 1 of 16 days")
        for said in result.cautions
    )
    clean = compare(grid_of(tmp_path), table(net))
    assert not any("passed a limit" in said for said in clean.cautions)


def test_one_assumption_alone_is_cautioned(tmp_path, net):
    result = compare(grid_of(tmp_path), table(net[:, :, :1], bounds=("queue",)))
    assert any("One fill assumption (queue) was run" in said for said in result.cautions)


def test_neither_rows_nor_hash_seed_order_the_result(tmp_path, net):
    rows = table(net)
    shuffled = rows.sample(fraction=1.0, shuffle=True, seed=3)
    grid = grid_of(tmp_path)
    assert compare(grid, rows).lines == compare(grid, shuffled).lines


def test_stretches_of_days_need_as_many_independent_ones(tmp_path, net):
    """Sixteen days in stretches of four are four independent ones."""
    result = compare(grid_of(tmp_path, "block_days = 4.0\n"), table(net))
    assert {x.note for x in result.lines} == {"n/a (n = 4 independent stretches of 4 days)"}


def test_the_table_names_assumption_days_and_adjustment(tmp_path, net):
    import io

    stream = io.StringIO()
    grid = grid_of(tmp_path)
    show.show(grid, compare(grid, table(net)), stream)
    text = " ".join(stream.getvalue().split())
    for words in (
        "fill assumption: pessimistic", "fill assumption: queue", "fill assumption: optimistic",
        "baseline: cell 2 (market_share=0.4)", "95 % intervals: BCa", "Holm's adjustment",
        "net_usd per day",
    ):  # fmt: skip
        assert words in text


def test_the_figure_is_the_same_bytes_again(tmp_path, net):
    grid = grid_of(tmp_path)
    result = compare(grid, table(net))
    for name in ("a.png", "b.png"):
        show.draw(grid, result, tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    show.draw(grid, replace(result, lines=result.lines[:3]), tmp_path / "c.png")
    assert (tmp_path / "c.png").read_bytes() != (tmp_path / "a.png").read_bytes()
