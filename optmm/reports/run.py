"""A run folder as frames: the only input of every report (docs/run_folder.md)."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

from optmm.errors import DataError

# the columns of docs/run_folder.md: s text, d date, b truth, f float, else integer
COLUMNS = {
    "chain": "instrument symbol:s root:s right strike:f expiry:d fixing_ns american:b physical:b "
    "am_settled:b multiplier slice open_interest closing_mark_e9 closing_source:s closing_vol:f "
    "closing_delta:f closing_bid_e9 closing_ask_e9",
    "fills": "bound:s seq ts_ns instrument symbol:s kind:s side lots px_e9 multiplier fee_e9 "
    "mark_e9 spot_e9 delta:f vega:f bid_e9 ask_e9 own_lots mark_60s_e9 spot_60s_e9 mark_300s_e9 "
    "spot_300s_e9 picked_off:b",
    "prints": "ts_ns instrument px_e9 px_high_e9 lots aggressor bid_e9 ask_e9 delta:f vega:f "
    "theo_e9",
    "pnl": "bound:s ts_ns spot:f cash_e9 mtm_e9 net_e9 fees_e9 fills contracts hedge_lots "
    "delta_shares:f option_delta_shares:f gamma_shares_per_usd:f vega_usd_per_volpt:f "
    "theta_usd_per_day:f gross_premium_usd:f inventory_usd:f live_sides",
    "greeks": "bound:s instrument symbol:s expiry:d strike:f right lots multiplier mark_e9 vol:f "
    "years:f delta:f gamma:f vega:f theta:f vanna:f volga:f rho:f",
    "surface": "ts_ns version slice expiry:d root:s years:f spot:f forward:f forward_error:f df:f "
    "rate:f carry:f a:f b:f rho:f m:f sigma:f atm_vol:f skew:f quotes hits core_quotes core_hits "
    "chi2:f min_g:f calendar_margin:f calendar_margin_wings:f path:s status:s",
    "smiles": "slice expiry:d root:s strike:f right k:f bid_vol:f ask_vol:f model_vol:f used:b",
    "presence": "bound:s instrument eligible_s:f two_sided_s:f open_s:f",
    "pins": "bound:s ts_ns instrument symbol:s lots strike:f exercise:f at_strike:f near:b "
    "sd_lots:f expiry:s total_sd_lots:f mean_lots:f gap_usd:f without_vol",
    "carry": "bound:s ts_ns kind:s amount_e9 note:s",
}
FRAMES = tuple(COLUMNS)
TYPES: dict[str, type[pl.DataType]] = {
    "": pl.Int64, "s": pl.String, "f": pl.Float64, "b": pl.Boolean, "d": pl.Date,
}  # fmt: skip
HEAD_KEYS = ("underlying", "session", "config_hash", "data_hash", "seed", "bounds")
SESSION_KEYS = ("date", "open_ns", "close_ns", "timezone")
AGAIN = "Replay the day again."


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
    pins: pl.DataFrame
    carry: pl.DataFrame

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
        path = self.folder / "quotes.parquet"
        with _parquet(path):
            lazy = pl.scan_parquet(path).filter(where)
            return lazy.sort("ts_ns", maintain_order=True).collect()

    def local(self, ts_ns: int) -> datetime:
        """A moment on the exchange's clock."""
        zone = ZoneInfo(self.manifest["session"]["timezone"])
        return datetime.fromtimestamp(ts_ns / 1e9, zone)

    @property
    def sessions(self) -> list[dict[str, Any]]:
        """Every session of the run: date, open_ns, close_ns, timezone."""
        return self.manifest.get("sessions") or [self.manifest["session"]]

    def elapsed_ns(self, ts_ns: np.ndarray) -> np.ndarray:
        """Session time since the first open, int64, shape of the argument; nights add nothing."""
        stamp = np.asarray(ts_ns, np.int64)
        out = np.zeros(stamp.shape, np.int64)
        for k, session in enumerate(self.sessions):
            opened, closed = session["open_ns"], session["close_ns"]
            # what lies outside all sessions stays where it is: before the first, after the last
            low = opened if k else np.iinfo(np.int64).min
            high = closed if k < len(self.sessions) - 1 else np.iinfo(np.int64).max
            out += np.clip(stamp, low, high) - opened
        return out

    def hours(self, ts_ns: np.ndarray) -> np.ndarray:
        """Hours of session time since the first open, shape of the argument."""
        return self.elapsed_ns(ts_ns) / 3600e9

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

    Raises DataError naming the file that is missing or cannot be read, or what it lacks.
    """
    head = folder / "manifest.json"
    if not head.is_file():
        raise DataError("no such file", file=str(head), remedy="Give the folder of a run.")
    manifest = read_object(head)
    schema = manifest.get("schema")
    if schema != "optmm.run/1":
        remedy = "This version reads 'optmm.run/1'."
        raise DataError(f"schema is {schema!r}", file=str(head), remedy=remedy)
    _lacking(head, manifest, HEAD_KEYS)
    _lacking(head, manifest["session"], SESSION_KEYS)
    missing = [n for n in (*FRAMES, "quotes") if not (folder / f"{n}.parquet").is_file()]
    if missing:
        names = ", ".join(f"{name}.parquet" for name in missing)
        remedy = "The run was cut short: replay the day again."
        raise DataError(f"lacks {names}", file=str(folder), remedy=remedy)
    frames = {name: _table(folder / f"{name}.parquet", COLUMNS[name]) for name in FRAMES}
    _numbered(folder, frames)
    return Run(folder, manifest, tuple(manifest["bounds"]), **frames)


def read_object(path: Path) -> dict[str, Any]:
    """A file that holds one JSON object. Raises DataError naming the file."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except OSError as bad:
        raise DataError(f"cannot be read: {bad.strerror}", file=str(path), remedy=AGAIN) from None
    except (ValueError, RecursionError) as bad:
        raise DataError(f"not JSON: {bad}", file=str(path), remedy=AGAIN) from None
    if not isinstance(value, dict):
        raise DataError("not a JSON object", file=str(path), remedy=AGAIN)
    return value


def read_table(path: Path) -> pl.DataFrame:
    """A Parquet file as a frame. Raises DataError naming the file."""
    with _parquet(path):
        return pl.read_parquet(path)


@contextmanager
def _parquet(path: Path) -> Iterator[None]:
    """Turn what polars says of a damaged file into a DataError that names it."""
    try:
        yield
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as bad:
        first = str(bad).partition("\n")[0]
        raise DataError(f"cannot be read: {first}", file=str(path), remedy=AGAIN) from None


def _table(path: Path, columns: str) -> pl.DataFrame:
    """One of the tables, its columns and their types checked; one without any column is empty."""
    kinds = {name: TYPES[letter] for name, _, letter in (c.partition(":") for c in columns.split())}
    frame = read_table(path)
    if frame.width == 0:  # the engine recorded nothing and so knew no type
        return pl.DataFrame(schema=kinds)
    _lacking(path, frame.schema, tuple(kinds))
    for name, kind in kinds.items():
        found = frame.schema[name]
        both_numbers = kind in (pl.Int64, pl.Float64) and found.is_numeric()
        both_dates = kind == pl.Date and found == pl.String  # YYYY-MM-DD
        if found not in (kind, pl.Null) and not both_numbers and not both_dates:
            what = f"column {name} holds {found}, not {kind.__name__}"
            raise DataError(what, file=str(path), remedy=AGAIN)
    return frame


def _numbered(folder: Path, frames: dict[str, pl.DataFrame]) -> None:
    """Every instrument is a row of the chain, or the underlying's after it where that can be."""
    options = frames["chain"].height
    rows = {"prints": options, "presence": options, "fills": options + 1, "greeks": options + 1}
    for name, count in rows.items():
        found = frames[name]["instrument"]
        strange = found.is_null() | (found < 0) | (found >= count)
        if strange.any():
            at = int(strange.arg_true()[0])
            what = f"instrument is {found[at]}, the chain has {options} options"
            file = str(folder / f"{name}.parquet")
            raise DataError(what, file=file, row=at + 1, remedy=AGAIN)


def _lacking(path: Path, found: Any, wanted: tuple[str, ...]) -> None:
    """Refuse a mapping without one of its keys, or what is no mapping at all."""
    missing = [name for name in wanted if name not in found] if hasattr(found, "keys") else wanted
    if missing:
        raise DataError(f"lacks {', '.join(missing)}", file=str(path), remedy=AGAIN)
