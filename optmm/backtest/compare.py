"""Cells against the baseline, day by day: means, intervals and adjusted differences.

A day counts only if every cell finished it under that fill assumption, so all cells are judged on
the same days, and every resample draws the same days for all of them: differences are of pairs.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import polars as pl

from optmm.backtest import bootstrap
from optmm.backtest.grid import Compare, Grid

# what sets the width of our quotes, whatever the inventory
WIDTH_KEYS = (
    "quoting.min_half_width_usd", "quoting.market_share", "quoting.vol_edge",
    "quoting.spot_edge_share", "quoting.uncertainty_share", "quoting.max_uncertainty_share",
    "quoting.middle_edge_share",
)  # fmt: skip
SIGN = "the sign of the mean net P&L differs between fill assumptions: the tape cannot say which"
ORDER = ("pessimistic", "queue", "optimistic", "simulated")


@dataclass(frozen=True, slots=True)
class Line:
    """One cell, fill assumption and metric. Figures are per day, in the metric's unit."""

    cell: int
    label: str
    bound: str
    metric: str
    days: int
    blocks: int
    mean: float | None
    low: float | None
    high: float | None
    difference: float | None  # to the baseline on the same days
    difference_low: float | None
    difference_high: float | None
    p: float | None  # of no difference
    p_holm: float | None  # over the cells of this metric and fill assumption
    differs: bool | None  # after that adjustment, at 1 - confidence
    note: str  # why there is no figure or no interval


@dataclass(frozen=True, slots=True)
class Comparison:
    """All lines by fill assumption, metric, cell; and what must be said beside them."""

    lines: tuple[Line, ...]
    cautions: tuple[str, ...]
    left_out: dict[str, int]  # days by fill assumption that some cell did not finish
    sign_differs: tuple[int, ...]  # cells

    def frame(self) -> pl.DataFrame:
        """One row a line."""
        columns = {name: _TYPES.get(name, pl.Float64) for name in Line.__slots__}
        return pl.DataFrame([asdict(line) for line in self.lines], schema=columns)


_TYPES: dict[str, Any] = {
    "cell": pl.Int32, "days": pl.Int32, "blocks": pl.Int32, "differs": pl.Boolean,
    "label": pl.String, "bound": pl.String, "metric": pl.String, "note": pl.String,
}  # fmt: skip


def compare(grid: Grid, results: pl.DataFrame) -> Comparison:
    """Compare the cells of results.parquet under every fill assumption that was run."""
    ran = set(results["bound"].to_list())
    lines, left_out = list[Line](), dict[str, int]()
    signs: dict[int, set[int]] = {cell.number: set() for cell in grid.cells}
    for bound in (name for name in ORDER if name in ran):
        rows = results.filter(pl.col("bound") == bound)
        days, blocks = _common(rows, len(grid.cells))
        left_out[bound] = rows["day"].n_unique() - len(days)
        draws = _Draws.of(blocks, grid.compare) if days else None
        if bound != "simulated":
            nets = _pivot(rows, "net_usd", days, grid)
            for cell, net in zip(grid.cells, nets.sum(axis=0), strict=True):
                if abs(net) > 0.0:  # not where a day has none
                    signs[cell.number].add(int(np.sign(net)))
        for metric in grid.compare.metrics:
            table = _pivot(rows, metric, days, grid)
            lines += _lines(grid, bound, metric, table, draws)
    differ = tuple(cell for cell, found in signs.items() if len(found) > 1)
    return Comparison(tuple(lines), tuple(_cautions(grid, results, differ)), left_out, differ)


def _common(rows: pl.DataFrame, cells: int) -> tuple[list[int], list[str]]:
    """Days that every cell finished, and the block of each; in order of blocks, then of days."""
    whole = (
        rows.filter(pl.col("status") == "ok")
        .group_by("day", "block")
        .agg(pl.len().alias("cells"))
        .filter(pl.col("cells") == cells)
        .sort("block", "day")
    )
    return whole["day"].to_list(), whole["block"].to_list()


def _pivot(rows: pl.DataFrame, metric: str, days: list[int], grid: Grid) -> np.ndarray:
    """Values of shape (days, cells), NaN where a cell has no figure."""
    at = {day: i for i, day in enumerate(days)}
    out = np.full((len(days), len(grid.cells)), np.nan)
    for day, cell, value in rows.select("day", "cell", metric).iter_rows():
        if day in at and value is not None:
            out[at[day], cell - 1] = value
    return out


@dataclass(frozen=True, slots=True)
class _Draws:
    """The resamples of one set of days, used for every cell and metric."""

    counts: bootstrap.Floats  # (draws, blocks)
    drawn: bootstrap.Floats  # days of each resample, (draws,)
    block_of: np.ndarray  # (days,)
    sizes: bootstrap.Floats  # (blocks,)
    settings: Compare

    @classmethod
    def of(cls, blocks: Sequence[str], settings: Compare) -> "_Draws":
        names, block_of = np.unique(np.asarray(blocks), return_inverse=True)
        counts = bootstrap.block_counts(
            names.size, draws=settings.draws, seed=settings.seed, mean_length=settings.block_days
        )
        sizes = np.bincount(block_of, minlength=names.size).astype(np.float64)
        weights = counts.astype(np.float64)
        return cls(weights, weights @ sizes, block_of, sizes, settings)

    @property
    def independent(self) -> float:
        """Blocks, or no more than the stretches that fit into them."""
        return self.sizes.size / self.settings.block_days

    def interval(self, values: np.ndarray) -> bootstrap.Interval:
        """Of the mean per day of `values`, (days,)."""
        sums = np.zeros(self.sizes.size)
        np.add.at(sums, self.block_of, values)
        means = (self.counts @ sums) / self.drawn
        return bootstrap.interval(
            means, float(values.mean()),
            a=bootstrap.acceleration(sums, self.sizes),
            independent=self.independent,
            confidence=self.settings.confidence,
            corrected=self.settings.block_days == 1.0,
        )  # fmt: skip


def _lines(
    grid: Grid, bound: str, metric: str, table: np.ndarray, draws: _Draws | None
) -> list[Line]:
    """Every cell of one metric under one fill assumption, with Holm's adjustment over the cells."""
    base = grid.baseline - 1
    lines = [_line(grid, i, bound, metric, table, draws) for i in range(len(grid.cells))]
    tested = [i for i, line in enumerate(lines) if line.p is not None and i != base]
    if not tested:
        return lines
    adjusted = bootstrap.holm(np.array([lines[i].p for i in tested], np.float64))
    for i, p in zip(tested, adjusted.tolist(), strict=True):
        known = asdict(lines[i])
        known |= {"p_holm": p, "differs": p < 1.0 - grid.compare.confidence}
        lines[i] = Line(**known)
    return lines


def _line(
    grid: Grid, i: int, bound: str, metric: str, table: np.ndarray, draws: _Draws | None
) -> Line:
    cell, values, least = grid.cells[i], table[:, i], grid.compare.min_days
    n = values.size
    blocks = 0 if draws is None else draws.sizes.size
    blank = Line(
        cell.number, cell.label, bound, metric, n, blocks, None, None, None, None, None, None,
        None, None, None, "",
    )  # fmt: skip
    lacking = int(np.isnan(values).sum())
    if draws is None or lacking:
        why = f"{lacking} of {n} days have no figure" if n else "no day that every cell finished"
        return Line(**asdict(blank) | {"note": f"n/a ({why})"})
    known: dict[str, Any] = {"mean": float(values.mean())}
    pairs = values - table[:, grid.baseline - 1]
    paired = i != grid.baseline - 1 and bool(np.isfinite(pairs).all())
    if paired:
        known["difference"] = float(pairs.mean())
    if draws.independent < least:
        known["note"] = f"n/a (n = {_counted(draws)})"
        return Line(**asdict(blank) | known)
    own = draws.interval(values)
    known |= {"low": own.low, "high": own.high}
    if paired:
        apart = draws.interval(pairs)
        known |= {"difference_low": apart.low, "difference_high": apart.high, "p": apart.p}
    return Line(**asdict(blank) | known)


def _counted(draws: _Draws) -> str:
    """What an interval rests on, in words."""
    n, length = draws.independent, draws.settings.block_days
    if length > 1.0:
        return f"{n:.3g} independent stretches of {length:g} days"
    if draws.sizes.size < draws.block_of.size:
        return f"{n:g} dates of {draws.block_of.size} days"
    return "1 day" if n == 1 else f"{n:g} days"


def _cautions(grid: Grid, results: pl.DataFrame, differ: tuple[int, ...]) -> list[str]:
    """What a reader must know before believing the table."""
    said = []
    recorded = set(results["bound"].to_list()) - {"simulated"}
    if differ:
        cells = ("Cell " if len(differ) == 1 else "Cells ") + ", ".join(map(str, differ))
        said.append(f"{cells}: {SIGN}.")
    widths = [key for key in grid.keys if key in WIDTH_KEYS]
    if widths and recorded:
        said.append(
            f"The grid varies {', '.join(widths)} on recorded days. P&L rises with our own spread "
            "if the flow ignores width, and the takers of a tape never saw our quotes: it cannot "
            "identify the level of spreads. Only simulated days can."
        )
    over = (pl.col("limit_used_share") > 1.0) | pl.col("killed").is_not_null()
    for cell, days in (
        results.filter(over).group_by("cell").agg(pl.col("day").n_unique()).sort("cell").iter_rows()
    ):
        said.append(
            f"Cell {cell} passed a limit or was stopped by one on {days} of {len(grid.days)} days; "
            "its figures are not those of a desk that may trade on (killed, limit_used_share)."
        )
    if len(recorded) == 1:
        said.append(
            f"One fill assumption ({next(iter(recorded))}) was run; the others may change even the "
            "sign of the P&L."
        )
    if len(grid.cells) > 2:
        said.append(
            f"{len(grid.cells)} cells: p-values are Holm's over the {len(grid.cells) - 1} "
            "differences of one metric under one fill assumption; intervals are not adjusted, and "
            "the best of many cells looks better than it is."
        )
    return said
