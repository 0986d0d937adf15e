"""A run folder as frames: the only input of every report (docs/run_folder.md)."""

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

from optmm.errors import DataError

FRAMES = ("chain", "fills", "prints", "pnl", "greeks", "surface", "smiles", "presence")


@dataclass(frozen=True, slots=True)
class Run:
    """One run's tables. Rows keep the order of their files; `bounds` the manifest's order."""

    folder: Path
    manifest: dict[str, Any]
    bounds: tuple[str, ...]
    chain: pl.DataFrame
    fills: pl.DataFrame
    prints: pl.DataFrame
    pnl: pl.DataFrame
    greeks: pl.DataFrame
    surface: pl.DataFrame
    smiles: pl.DataFrame
    presence: pl.DataFrame

    @property
    def results(self) -> dict[str, Any]:
        """What the engine handed over with the files: counts, hashes, data quality."""
        return self.manifest.get("results") or {}

    def result_of(self, bound: str) -> dict[str, Any]:
        """The engine's own numbers of one world."""
        return self.results.get("bounds", {}).get(bound) or {}

    @property
    def underlying_row(self) -> int:
        """Instrument number of the underlying: the row after the last option."""
        return self.chain.height

    def world(self, frame: pl.DataFrame, bound: str) -> pl.DataFrame:
        """Rows of one world."""
        return frame.filter(pl.col("bound") == bound)

    def quotes(self, bound: str, instrument: int) -> pl.DataFrame:
        """Our quote messages in one series, oldest first. The file may hold millions of rows."""
        where = (pl.col("bound") == bound) & (pl.col("instrument") == instrument)
        lazy = pl.scan_parquet(self.folder / "quotes.parquet").filter(where)
        return lazy.sort("ts_ns", maintain_order=True).collect()

    def local(self, ts_ns: int) -> datetime:
        """A moment on the exchange's clock."""
        zone = ZoneInfo(self.manifest["session"]["timezone"])
        return datetime.fromtimestamp(ts_ns / 1e9, zone)

    def hours(self, ts_ns: np.ndarray) -> np.ndarray:
        """Hours since the open, shape of the argument."""
        return (ts_ns - self.manifest["session"]["open_ns"]) / 3600e9

    @property
    def closing_spot_e9(self) -> int:
        """The underlying's closing mark: the engine's, else a hedge's, else the last timer's."""
        for bound in self.bounds:
            if "closing_spot_e9" in self.result_of(bound):
                return int(self.result_of(bound)["closing_spot_e9"])
        held = self.greeks.filter(pl.col("instrument") == self.underlying_row)
        if held.height:
            return int(held["mark_e9"][0])
        return round(float(self.pnl["spot"][-1]) * 1e9) if self.pnl.height else 0


def load(folder: Path) -> Run:
    """Read a run folder.

    Raises DataError naming the file that is missing or cannot be read.
    """
    head = folder / "manifest.json"
    if not head.is_file():
        raise DataError("no such file", file=str(head), remedy="Give the folder of a run.")
    try:
        manifest = json.loads(head.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as bad:
        raise DataError(
            f"not JSON: {bad}", file=str(head), remedy="Replay the day again."
        ) from None
    schema = manifest.get("schema")
    if schema != "optmm.run/1":
        remedy = "This version reads 'optmm.run/1'."
        raise DataError(f"schema is {schema!r}", file=str(head), remedy=remedy)
    missing = [n for n in (*FRAMES, "quotes") if not (folder / f"{n}.parquet").is_file()]
    if missing:
        names = ", ".join(f"{name}.parquet" for name in missing)
        remedy = "The run was cut short: replay the day again."
        raise DataError(f"lacks {names}", file=str(folder), remedy=remedy)
    frames = {name: pl.read_parquet(folder / f"{name}.parquet") for name in FRAMES}
    return Run(folder, manifest, tuple(manifest["bounds"]), **frames)
