"""A backtest from its grid to its folder: run what is missing, then compare what is there."""

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from optmm.backtest import pool, results, show
from optmm.backtest.compare import Comparison, compare
from optmm.backtest.grid import Grid
from optmm.backtest.worker import Outcome, Task

WARM = "backtest.warm"  # in the cache folder: a cell-day was done with these kernels
Progress = Callable[[int, int, Task, Outcome], None]  # done, of, task, outcome


@dataclass(frozen=True, slots=True)
class Finished:
    """What a backtest left: `failed` maps (cell, day) to the error."""

    results: pl.DataFrame
    comparison: Comparison
    failed: dict[tuple[int, int], str]
    ran: int  # cell-days of this call
    seconds: float


def run(
    grid: Grid, folder: Path, *, jobs: int, resume: bool, keep_runs: bool, progress: Progress,
    say: Callable[[str], None],
) -> Finished:  # fmt: skip
    """Run the cell-days that `folder` lacks and write its tables.

    Parameters
    ----------
    jobs : processes, >= 1
    resume : go on with a folder that holds some cell-days already; failed ones are tried again
    keep_runs : leave the run folder of each cell-day in runs/
    progress : told of every cell-day that ended
    say : told why nothing seems to happen

    Raises
    ------
    UsageError
        The folder is taken, in use, or that of another grid, of other data or versions.
    DataError
        Data changed since the folder was started.
    KeyboardInterrupt
        Workers are stopped; what was finished is kept.
    """
    began = time.perf_counter()
    with results.locked(folder):
        results.claim(folder, grid, resume=resume)
        found = results.kept(folder, grid)
        results.unchanged(found, grid)
        failed, timings = _run_missing(grid, folder, found, jobs, keep_runs, progress, say)
        ran = len(timings)
        found = results.kept(folder, grid)
        table = results.frame(grid, found, failed)
        results.write_parquet(table, folder / "results.parquet")
        _write_timings(folder / "timings.parquet", timings)
        comparison = compare(grid, table)
        write_comparison(grid, comparison, folder)
        results.complete(folder, failed=[f"{c}-{d}" for c, d in failed])
    return Finished(table, comparison, failed, ran, time.perf_counter() - began)


def _run_missing(
    grid: Grid, folder: Path, found: dict[tuple[int, int], Any], jobs: int, keep_runs: bool,
    progress: Progress, say: Callable[[str], None],
) -> tuple[dict[tuple[int, int], str], list[dict[str, Any]]]:  # fmt: skip
    """Errors by (cell, day), and what each cell-day cost."""
    from surfaces.kernels import cache

    running = folder / "running"
    shutil.rmtree(running, ignore_errors=True)
    place = folder / "runs" if keep_runs else running
    tasks = [
        Task(cell.number, cell.config, day, place / f"c{cell.number:05d}-d{day.number:05d}",
             keep_runs)
        for day in grid.days
        for cell in grid.cells
        if (cell.number, day.number) not in found
    ]  # fmt: skip
    failed: dict[tuple[int, int], str] = {}
    timings: list[dict[str, Any]] = []
    if not tasks:
        return failed, timings
    place.mkdir(exist_ok=True)
    kernels = cache.prepare()
    mark = Path(kernels.path) / WARM
    cells = {cell.number: cell for cell in grid.cells}

    def done(task: Task, outcome: Outcome) -> None:
        key = (task.cell, task.day.number)
        if outcome.error:
            failed[key] = outcome.error
            if outcome.trace:
                path = folder / "errors" / f"{task.folder.name}.txt"
                path.parent.mkdir(exist_ok=True)
                results.replace(path, outcome.trace)
        else:
            results.keep(folder, cells[task.cell], task.day, outcome)
            mark.touch()
        timings.append(
            {"cell": key[0], "day": key[1], "seconds": outcome.seconds, "peak_mb": outcome.peak_mb}
        )
        progress(len(timings), len(tasks), task, outcome)

    # a temporary cache belongs to this process and is shared with the workers through its path
    if not mark.exists():
        say("one process compiles the kernels first, once for this version: up to a minute or two")
    base = str(Path(kernels.path) if kernels.is_temporary else Path(kernels.path).parent)
    try:
        pool.run_all(tasks, jobs=min(jobs, len(tasks)), cache=base, warm=mark.exists(), done=done)
    finally:
        shutil.rmtree(running, ignore_errors=True)
    return dict(sorted(failed.items())), timings


def _write_timings(path: Path, timings: list[dict[str, Any]]) -> None:
    schema: dict[str, Any] = {
        "cell": pl.Int32, "day": pl.Int32, "seconds": pl.Float64, "peak_mb": pl.Float64
    }  # fmt: skip
    if timings or not path.exists():
        table = pl.DataFrame(timings, schema=schema)
        before = [pl.read_parquet(path)] if path.exists() else []
        results.write_parquet(pl.concat([*before, table]), path)


def write_comparison(grid: Grid, comparison: Comparison, folder: Path) -> None:
    """comparison.parquet, .csv and .json, and net.png."""
    table = comparison.frame()
    results.write_parquet(table, folder / "comparison.parquet")
    results.replace(folder / "comparison.csv", table.write_csv())
    text = json.dumps(as_json(grid, comparison), indent=1, allow_nan=False, ensure_ascii=False)
    results.replace(folder / "comparison.json", text + "\n")
    show.draw(grid, comparison, folder / "net.png")


def as_json(grid: Grid, comparison: Comparison) -> dict[str, Any]:
    """The comparison as plain values; docs/backtest.md documents every key."""
    settings = grid.compare
    return {
        "schema": results.SCHEMA,
        "cells": [
            {"cell": c.number, "label": c.label, "config_hash": c.config_hash,
             "parameters": dict(c.settings)}
            for c in grid.cells
        ],
        "days": [{"day": d.number, "name": d.name, "simulated": d.simulated} for d in grid.days],
        "baseline": grid.baseline,
        "intervals": {
            "confidence": settings.confidence,
            "method": "BCa" if settings.block_days == 1.0 else "percentile",
            "draws": settings.draws, "seed": settings.seed, "block_days": settings.block_days,
            "min_days": settings.min_days, "adjustment": "Holm",
        },
        "comparison": comparison.frame().to_dicts(),
        "days_left_out": comparison.left_out,
        "sign_differs_in_cells": list(comparison.sign_differs),
        "cautions": list(comparison.cautions),
    }  # fmt: skip
