"""optmm backtest: a grid of configurations over many days, compared with intervals."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from optmm.backtest.grid import Grid
    from optmm.backtest.worker import Outcome, Task

LINES = 50  # of progress where stderr is no terminal


def backtest(
    grid: Annotated[Path, typer.Option("--grid", help="grid.toml: days, base, grid, compare")],
    out: Annotated[
        Path | None, typer.Option("--out", help="folder to make; default runs/backtest-<grid>")
    ] = None,
    jobs: Annotated[
        int | None, typer.Option("--jobs", help="processes; default one a core", min=1, max=1024)
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="run only the cell-days that the folder lacks")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="check everything, print the cells, run nothing")
    ] = False,
    keep_runs: Annotated[
        bool, typer.Option("--keep-runs", help="leave run folders in runs/, for `optmm report`")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="the comparison as one JSON object on stdout")
    ] = False,
) -> None:
    """Run every combination of a grid of settings on every day and compare them day by day.

    Figures are per day, in USD or contracts, one table a fill assumption. Exit code 1 when a
    cell-day failed; the others are kept. Ctrl-C keeps what is finished for --resume.

    Example: optmm backtest --grid docs/examples/grid.toml --jobs 2
    """
    import json
    import sys

    from optmm.backtest.grid import read

    plan = read(grid)
    if dry_run:
        _print_plan(plan, as_json=as_json)
        return

    import os

    from optmm.backtest import runner, show
    from optmm.errors import OptmmError

    folder = out or Path("runs") / f"backtest-{grid.stem}"
    speaker = _Speaker()
    _say(f"{len(plan.cells)} cells x {len(plan.days)} days into {folder}")
    try:
        done = runner.run(
            plan, folder, jobs=jobs or os.cpu_count() or 1, resume=resume, keep_runs=keep_runs,
            progress=speaker.tell, say=_say,
        )  # fmt: skip
    except KeyboardInterrupt:
        _say(f"stopped; go on with: optmm backtest --grid {grid} --out {folder} --resume")
        raise
    if as_json:
        print(json.dumps(runner.as_json(plan, done.comparison), allow_nan=False))
    else:
        show.show(plan, done.comparison, sys.stdout)
    _say(f"wrote {folder / 'results.parquet'}, comparison.csv and net.png beside it")
    if done.failed:
        (cell, day), error = next(iter(done.failed.items()))
        raise OptmmError(
            f"{len(done.failed)} of {plan.size} cell-days failed; first cell {cell}, "
            f"{plan.days[day - 1].name}: {error}"
        )


def _say(words: str) -> None:
    typer.echo(words, err=True)


def _print_plan(plan: "Grid", *, as_json: bool) -> None:
    """The cells and the days that would run."""
    import json

    if as_json:
        cells = [
            {"cell": c.number, "label": c.label, "parameters": dict(c.settings)} for c in plan.cells
        ]
        days = [{"day": d.number, "name": d.name, "source": d.source} for d in plan.days]
        print(json.dumps({"cells": cells, "days": days, "baseline": plan.baseline}))
        return
    for cell in plan.cells:
        mark = "  (baseline)" if cell.number == plan.baseline else ""
        print(f"cell {cell.number:>4}  {cell.label}{mark}")
    for day in plan.days:
        print(f"day  {day.number:>4}  {day.name}  {day.source}")
    print(f"{len(plan.cells)} cells x {len(plan.days)} days = {plan.size} cell-days")


class _Speaker:
    """Progress on stderr: one line that renews itself on a terminal, some lines elsewhere."""

    def __init__(self) -> None:
        import sys

        self.began = time.monotonic()
        self.tty = sys.stderr.isatty()

    def tell(self, done: int, total: int, task: "Task", outcome: "Outcome") -> None:
        """One cell-day ended."""
        if outcome.error:
            self._write(f"cell {task.cell}, {task.day.name} failed: {outcome.error}", whole=True)
        if self.tty or done == total or done % max(total // LINES, 1) == 0:
            left = (time.monotonic() - self.began) / done * (total - done)
            words = f"{done} of {total} cell-days, {_span(left)} left"
            self._write(words, whole=not self.tty or done == total)

    def _write(self, words: str, *, whole: bool) -> None:
        start = "\r\x1b[K" if self.tty else ""
        typer.echo(f"{start}{words}", err=True, nl=whole)


def _span(seconds: float) -> str:
    """A duration as a person says it."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"
