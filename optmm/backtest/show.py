"""The comparison for people: tables for a terminal, and net P&L per day with intervals as a figure.

A figure says which fill assumption it comes from, how many days it rests on, and why an interval is
missing.
"""

from pathlib import Path
from typing import Any, TextIO

from optmm.backtest.compare import Comparison, Line
from optmm.backtest.grid import Grid

MOST = 40  # cells of a table on a terminal
COLOURS = {
    "pessimistic": "#b4552d", "queue": "#2b5c9e", "optimistic": "#3f8a63", "simulated": "#2b5c9e",
}  # fmt: skip
WORLDS = {"simulated": "simulated exchange: takers decide by our price"}


def show(grid: Grid, result: Comparison, stream: TextIO) -> None:
    """Write every table, then what must be known beside them, to `stream`."""
    from rich.text import Text

    from optmm.reports.terminal import console

    out = console(stream)
    out.print(_head(grid, result))
    groups = dict.fromkeys((line.bound, line.metric) for line in result.lines)
    for bound, metric in groups:
        lines = [x for x in result.lines if (x.bound, x.metric) == (bound, metric)]
        world = WORLDS.get(bound, f"fill assumption: {bound}")
        out.print(Text(f"\n{metric} per day", style="bold").append(f"  {world}", "not bold dim"))
        out.print(_table(grid, lines))
        if len(lines) > MOST:
            out.print(f"first {MOST} of {len(lines)} cells; comparison.csv has all", style="dim")
    out.print()
    for words in result.cautions:
        out.print(f"caution: {words}")
    out.print(
        f"* differs from cell {grid.baseline} at {100 * (1 - grid.compare.confidence):.3g} % after "
        "Holm's adjustment",
        style="dim",
    )


def _head(grid: Grid, result: Comparison) -> Any:
    from rich.text import Text

    c = grid.compare
    kind = (
        "BCa, blocks of one day"
        if c.block_days == 1.0
        else f"percentile, stationary bootstrap, stretches of {c.block_days:g} days"
    )
    text = Text("Backtest", style="bold")
    text.append(
        f"  {len(grid.cells)} cells x {len(grid.days)} days; baseline: cell {grid.baseline} "
        f"({grid.cells[grid.baseline - 1].label})",
        style="not bold",
    )
    text.append(
        f"\n{100 * c.confidence:g} % intervals: {kind}, {c.draws:,} draws, seed {c.seed}; the same "
        "days for every cell",
        style="not bold dim",
    )
    text.append(f"; fewer than {c.min_days} days give none", style="not bold dim")
    for bound, n in result.left_out.items():
        if n:
            text.append(
                f"\n{bound}: days left out, for not every cell finished them: {n}", "not bold"
            )
    for cell in grid.cells[:MOST]:
        text.append(f"\ncell {cell.number:>3}  {cell.label}", style="not bold")
    return text


def _table(grid: Grid, lines: list[Line]) -> Any:
    from optmm.reports.terminal import grid as table

    heads = (
        "cell",
        "days",
        "mean",
        "interval",
        f"less cell {grid.baseline}",
        "interval",
        "p, Holm",
    )
    rows = [
        (
            str(x.cell), _days(x), _number(x.mean), _span(x.low, x.high, x.note),
            "baseline" if x.cell == grid.baseline else _number(x.difference),
            _span(x.difference_low, x.difference_high, ""),
            "" if x.p_holm is None else f"{_chance(x.p_holm)}{'*' if x.differs else ' '}",
        )
        for x in lines[:MOST]
    ]  # fmt: skip
    return table(heads, rows)


def _days(line: Line) -> str:
    """Days, and blocks where several share one."""
    same = line.blocks == line.days
    return f"{line.days:,}" if same else f"{line.days:,} in {line.blocks:,} blocks"


def _number(value: float | None) -> str:
    """Thousands separators; decimals where the size is small."""
    from optmm.reports.tables import number

    if value is None:
        return number(None)
    size = abs(value)
    return number(value, 0 if size >= 1000 else 2 if size >= 1 or size == 0 else 4)


def _chance(p: float) -> str:
    return f"{p:.3f}" if p >= 0.001 else "<0.001"


def _span(low: float | None, high: float | None, note: str) -> str:
    if low is None or high is None:
        return note
    return f"[{_number(low)}, {_number(high)}]"


def draw(grid: Grid, result: Comparison, path: Path) -> None:
    """net per day by cell with its intervals, one colour a fill assumption, as a PNG.

    Cells are drawn as far as they are readable: the first `MOST`.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    metric = "net_usd" if "net_usd" in grid.compare.metrics else grid.compare.metrics[0]
    lines = [x for x in result.lines if x.metric == metric and x.cell <= MOST]
    cells = grid.cells[:MOST]
    bounds = list(dict.fromkeys(x.bound for x in lines))
    figure = Figure(figsize=(11.0, 1.6 + 0.36 * len(cells)), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2, sharey=True)
    for i, bound in enumerate(bounds):
        shift = 0.18 * (i - (len(bounds) - 1) / 2)
        mine = [x for x in lines if x.bound == bound]
        label = f"{bound}, n = {mine[0].days} days"
        _points(left, [(x.mean, x.low, x.high) for x in mine], shift, COLOURS[bound], label)
        apart = [(x.difference, x.difference_low, x.difference_high) for x in mine]
        _points(right, apart, shift, COLOURS[bound], label)
    for ax, title in (
        (left, f"{metric}, mean per day"),
        (right, f"less that of cell {grid.baseline}, the same days"),
    ):
        ax.axvline(0.0, color="#6a737d", linewidth=0.8)
        ax.set_title(title, loc="left", fontsize=10)
        ax.grid(axis="x", color="#e3e6ea", linewidth=0.7)
        ax.set_axisbelow(True)
        ax.spines[["top", "right"]].set_visible(False)
        ax.margins(x=0.08)
    left.set_yticks(range(len(cells)), [f"{c.number}  {c.label}" for c in cells])
    left.set_ylim(len(cells) - 0.5, -0.5)
    left.legend(loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=3, frameon=False, fontsize=8)
    some = any(x.low is not None for x in lines)
    said = f"bars: {100 * grid.compare.confidence:g} % intervals by resampling days"
    why = next((x.note for x in lines if x.note), "n/a")
    figure.supxlabel(said if some else f"no intervals: {why}", fontsize=8, color="#6a737d")
    draft = path.with_name(f".{path.name}.part")
    figure.savefig(draft, format="png", dpi=130, metadata={"Software": None})
    draft.replace(path)


def _points(ax: Any, points: list[tuple], shift: float, colour: str, label: str) -> None:
    """Means as dots, intervals as bars; what is not known is not drawn."""
    shown = [(i + shift, *point) for i, point in enumerate(points) if point[0] is not None]
    ax.plot([x for _, x, _, _ in shown], [y for y, *_ in shown], "o", color=colour, markersize=5,
            label=label)  # fmt: skip
    spans = [(y, low, high) for y, _, low, high in shown if low is not None]
    ax.hlines(
        [y for y, *_ in spans], [a for _, a, _ in spans], [b for *_, b in spans], color=colour,
        linewidth=1.6,
    )  # fmt: skip
