"""Check a finished run against its journals: chain, sequence, fold, sealed segments, report."""

import json
from pathlib import Path

import numpy as np
import polars as pl

from optmm.engine.journal import read
from optmm.engine.records import JOURNALED, QUOTE_COLUMNS, quote_digest
from optmm.errors import DataError

FILL_KINDS = {"fill", "hedge", "settlement", "exercise"}


def verify_run(folder: Path) -> dict:
    """Fold every journal of a run again and compare it with everything else in the folder.

    Returns
    -------
    {"bounds": {name: {rows, fills, quotes, segments, net_usd, journal_hash}}}

    Raises
    ------
    DataError
        The folder is incomplete, or names the first thing that does not agree.
    """
    manifest = _manifest(folder)
    fills = pl.read_parquet(folder / "fills.parquet")
    quotes = pl.read_parquet(folder / "quotes.parquet")
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    out = {}
    for bound in manifest["bounds"]:
        found = _fold(folder / f"journal-{bound}.sqlite", quotes.filter(pl.col("bound") == bound))
        _compare(bound, found, manifest, fills.filter(pl.col("bound") == bound), report)
        out[bound] = {
            "rows": found["rows"], "fills": len(found["fills"]), "quotes": found["quotes"],
            "segments": found["segments"], "net_usd": found["close"]["net_e9"] / 1e9,
            "journal_hash": found["hash"],
        }  # fmt: skip
    return {"bounds": out}


def _manifest(folder: Path) -> dict:
    path = folder / "manifest.json"
    if not path.is_file():
        raise DataError(f"{folder} is not a run folder: it has no manifest.json")
    manifest = json.loads(path.read_text(encoding="utf-8"))
    if not manifest.get("complete"):
        raise DataError(f"{folder} is not complete: the run was interrupted. Replay it again")
    return manifest


def _fold(path: Path, quotes: pl.DataFrame) -> dict:
    """Read one journal in order; positions and cash are what its fills add up to."""
    columns = {name: quotes[name].to_numpy().astype(kind) for name, kind in QUOTE_COLUMNS}
    positions: dict[str, list[int]] = {}
    fees = rows = at = segments = 0
    fills, close, last = [], None, b""
    for row, digest in read(path):
        rows, last = rows + 1, digest
        body = row.payload
        if row.kind in FILL_KINDS:
            held = positions.setdefault(str(body["instrument"]), [0, 0])
            held[0] += body["side"] * body["lots"]
            held[1] -= body["side"] * body["lots"] * body["px_e9"] * body["multiplier"]
            fees += body["fee_e9"]
            fills.append(body)
        elif row.kind == "seal":
            part = {name: values[at : at + body["rows"]] for name, values in columns.items()}
            if len(part["ts_ns"]) != body["rows"] or quote_digest(part) != body["sha256"]:
                raise DataError(
                    f"quotes.parquet: segment {body['segment']} does not match its seal"
                )
            at += body["rows"]
            segments += 1
        elif row.kind == "close":
            close = body
    if close is None:
        raise DataError(f"{path.name} has no closing row: its tail is missing")
    if at != quotes.height:
        raise DataError(f"quotes.parquet has {quotes.height - at} rows that no seal covers")
    kept = {i: held for i, held in positions.items() if held != [0, 0]}
    return {
        "rows": rows, "fills": fills, "close": close, "hash": last.hex(), "positions": kept,
        "fees": fees, "quotes": at, "segments": segments,
    }  # fmt: skip


def _compare(bound: str, found: dict, manifest: dict, fills: pl.DataFrame, report: dict) -> None:
    close = found["close"]
    name = f"journal-{bound}.sqlite"
    if found["positions"] != close["positions"] or found["fees"] != close["fees_e9"]:
        raise DataError(f"{name}: its fills do not add up to its closing positions")
    recorded = manifest["results"]["bounds"][bound]["journal_hash"]
    if found["hash"] != recorded:
        raise DataError(f"{name}: ends in {found['hash'][:16]}, the manifest says {recorded[:16]}")
    if fills.height != len(found["fills"]):
        raise DataError(
            f"fills.parquet has {fills.height} rows, {name} {len(found['fills'])} fills"
        )
    for column in JOURNALED:
        theirs = np.array([body[column] for body in found["fills"]], np.int64)
        if not np.array_equal(fills[column].to_numpy().astype(np.int64), theirs):
            raise DataError(f"fills.parquet: column {column} differs from {name}")
    shown = report["bounds"][bound]
    if shown["journal_hash"] != found["hash"]:
        raise DataError(f"report.json: journal_hash of {bound} differs from {name}")
    if round(shown["ledger_net"] * 1e9) != close["net_e9"]:
        raise DataError(f"report.json: ledger_net of {bound} differs from {name}")
