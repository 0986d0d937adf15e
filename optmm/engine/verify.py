"""Check a finished run: every file of it against its journals, and every sum again from its fills.

Trust starts at the chain. Each journal is read whole (hashes, gap-free sequence, opening row first,
closing row last); then the manifest, the tables, the quotes and the report must be what the
journals say. What is compared with what is in docs/run_folder.md; `CHECKED` names it in a line.

A chain without a key proves that a folder is consistent, not who wrote it: whoever forges all of a
run, fills included, has made another run. Compare `journal_hash` with one kept elsewhere for that.
"""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from optmm.config import canonical
from optmm.engine.fold import Story, shaped, story_of, whole
from optmm.engine.records import (
    FILL_SCHEMA,
    JOURNALED,
    QUOTE_COLUMNS,
    file_digest,
    marks_digest,
    quote_digest,
)
from optmm.errors import DataError
from optmm.reports.run import COLUMNS, read_object, read_table

CHECKED = (
    "journal chains, configuration and data hashes, the bytes of every table, every quote, every "
    "fill, P&L from fills and closing marks, report.json"
)
NOT_CHECKED = (
    "what only the manifest knows (command, versions, timings, time zone, data quality, fixings, "
    "counts of events, messages and trips, worst inventory); report.html"
)

TABLES = tuple(f"{name}.parquet" for name in COLUMNS)
QUOTE_SCHEMA = {"bound": pl.String} | {
    name: {np.int64: pl.Int64, np.int32: pl.Int32, np.int8: pl.Int8}[kind]
    for name, kind in QUOTE_COLUMNS
}


def verify_run(folder: Path) -> dict:
    """Fold every journal of a run again and compare it with everything else in the folder.

    Returns
    -------
    {"bounds": {name: {rows, fills, quotes, segments, net_usd, journal_hash}}, "checked": text,
    "not_checked": text}

    Raises
    ------
    DataError
        The folder is incomplete, or names the first thing that does not agree.
    """
    folder = Path(folder)
    manifest = _manifest(folder)
    stories = {bound: story_of(folder, bound) for bound in _bounds(folder, manifest)}
    for bound, story in stories.items():
        with shaped("manifest.json"):
            _ends(bound, story, manifest)
        _bytes(folder, story)
    tables = {name: read_table(folder / name) for name in TABLES}
    quotes = read_table(folder / "quotes.parquet")
    _schemas(tables, quotes)
    _worlds(list(stories), tables, quotes)
    out = {}
    for bound, story in stories.items():
        mine = pl.col("bound") == bound
        _fills(story, tables["fills.parquet"].filter(mine), tables["chain.parquet"], manifest)
        _seals(story, quotes.filter(mine))
        _money(story, tables["chain.parquet"])
        with shaped("manifest.json"):
            _results(bound, story, manifest)
        out[bound] = {
            "rows": story.rows, "fills": len(story.fills), "segments": len(story.seals),
            "quotes": sum(seal["rows"] for seal in story.seals),
            "net_usd": story.closed["net_e9"] / 1e9, "journal_hash": story.hash,
        }  # fmt: skip
    _report(folder)
    return {"bounds": out, "checked": CHECKED, "not_checked": NOT_CHECKED}


# ---- manifest --------------------------------------------------------------------------------


def _manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a complete run, whose hashes are those of what it holds."""
    path = folder / "manifest.json"
    if not path.is_file():
        raise DataError(f"{folder} is not a run folder: it has no manifest.json")
    manifest = read_object(path)
    if manifest.get("complete") is not True:
        raise DataError(f"{folder} is not complete: the run was interrupted. Replay it again")
    with shaped("manifest.json"):
        for key in ("config", "data"):
            if hashlib.sha256(canonical(manifest[key])).hexdigest() != manifest[f"{key}_hash"]:
                raise DataError(f"manifest.json: {key}_hash is not the hash of its {key}")
    return manifest


def _bounds(folder: Path, manifest: dict[str, Any]) -> list[str]:
    """The worlds of the manifest: exactly those that have a journal."""
    bounds = manifest.get("bounds")
    if not isinstance(bounds, list) or not bounds or not all(isinstance(b, str) for b in bounds):
        raise DataError(f"manifest.json: bounds is {bounds!r}, must be a list of names")
    found = {path.name for path in folder.glob("journal-*.sqlite")}
    listed = {f"journal-{bound}.sqlite" for bound in bounds}
    if found - listed:
        raise DataError(f"manifest.json: bounds lacks the world of {min(found - listed)}")
    if listed - found:
        raise DataError(f"{min(listed - found)} is missing: this run folder is not complete")
    return bounds


def _ends(bound: str, story: Story, manifest: dict[str, Any]) -> None:
    """What the journal opened with, and when, is what the manifest says of the run."""
    session, sessions = manifest["session"], manifest["sessions"]
    for key, found in {
        "bound": bound, "bounds": manifest["bounds"], "config": manifest["config_hash"],
        "data": manifest["data_hash"], "seed": manifest["seed"], "session": session["date"],
        "underlying": manifest["underlying"],
    }.items():  # fmt: skip
        if difference(found, story.opened[key]):
            said = f"{story.name} opened with {story.opened[key]!r}"
            raise DataError(f"manifest.json: {key} is {found!r}, {said}")
    told = [[each["date"], each["open_ns"], each["close_ns"]] for each in sessions]
    if session != sessions[0] or difference(told, story.sessions):
        raise DataError(f"manifest.json: the session is not the one that {story.name} covers")
    if manifest["simulated"] is not (manifest["bounds"] == ["simulated"]):
        raise DataError(f"manifest.json: simulated is {manifest['simulated']!r}, the worlds differ")


def _bytes(folder: Path, story: Story) -> None:
    """Every table is, byte for byte, the one over which the journal closed."""
    files = story.closed["files"]
    if not isinstance(files, dict) or set(files) != set(TABLES):
        odd = sorted(set(files) ^ set(TABLES)) if isinstance(files, dict) else [files]
        raise DataError(f"{story.name}: its closing row has no digest, or a strange one: {odd[0]}")
    for name in TABLES:
        try:
            found = file_digest(folder / name)
        except OSError as bad:
            raise DataError(f"{name} cannot be read: {bad.strerror}") from None
        if found != files[name]:
            raise DataError(
                f"{name} was altered: its sha256 is {found[:16]}, "
                f"{story.name} closed over {str(files[name])[:16]}"
            )


# ---- tables ----------------------------------------------------------------------------------


def _schemas(tables: dict[str, pl.DataFrame], quotes: pl.DataFrame) -> None:
    """Exact types where numbers are compared: a cast could hide half a nano-dollar."""
    chain = tables["chain.parquet"]
    wanted = {name: chain.schema.get(name) for name in ("instrument", "multiplier", "symbol")}
    whole = all(kind is not None and kind.is_integer() for kind in list(wanted.values())[:2])
    numbered = whole and chain["instrument"].to_list() == list(range(chain.height))
    if not numbered or chain.schema.get("closing_mark_e9") != pl.Int64 or wanted["symbol"] is None:
        raise DataError("chain.parquet: rows or columns are not those of a chain")
    for name, frame, schema in (
        ("fills.parquet", tables["fills.parquet"], FILL_SCHEMA),
        ("quotes.parquet", quotes, QUOTE_SCHEMA),
    ):
        if dict(frame.schema) != schema:
            raise DataError(f"{name}: its columns or their types are not those of a run folder")
    if sum(quotes.null_count().row(0)):
        raise DataError("quotes.parquet has empty cells")


def _worlds(bounds: list[str], tables: dict[str, pl.DataFrame], quotes: pl.DataFrame) -> None:
    """No table speaks of another world; each has its curve and its presence."""
    for name in ("fills", "pnl", "greeks", "presence", "quotes"):
        frame = quotes if name == "quotes" else tables[f"{name}.parquet"]
        if "bound" not in frame.columns:
            raise DataError(f"{name}.parquet lacks 'bound'")
        found = set(frame["bound"].unique().to_list())
        if found - set(bounds):
            odd = sorted(map(str, found - set(bounds)))[0]
            raise DataError(f"{name}.parquet has rows of {odd!r}, which is no world of this run")
        if name in ("pnl", "presence") and found != set(bounds):
            raise DataError(f"{name}.parquet has no rows of {min(set(bounds) - found)!r}")


def _fills(
    story: Story, fills: pl.DataFrame, chain: pl.DataFrame, manifest: dict[str, Any]
) -> None:
    """One world's rows of fills.parquet are its journal's fills, in its contracts."""
    if fills.height != len(story.fills):
        raise DataError(
            f"fills.parquet has {fills.height} rows, {story.name} {len(story.fills)} fills"
        )
    with shaped(story.name):
        theirs = {name: [row.payload[name] for row in story.fills] for name in JOURNALED}
    theirs["ts_ns"] = [row.ts_ns for row in story.fills]
    for column, values in theirs.items():
        if fills[column].to_list() != values:
            raise DataError(f"fills.parquet: column {column} differs from {story.name}")
    with shaped("manifest.json"):
        units = [*chain["multiplier"].to_list(), manifest["hedge"]["multiplier"]]
        symbols = [*chain["symbol"].to_list(), manifest["hedge"]["symbol"]]
    for i, symbol, unit in fills.select("instrument", "symbol", "multiplier").unique().iter_rows():
        if not 0 <= i < len(units) or (symbol, unit) != (symbols[i], units[i]):
            raise DataError(f"fills.parquet: instrument {i} ({symbol}) is not that of the chain")


def _seals(story: Story, quotes: pl.DataFrame) -> None:
    """One world's rows of quotes.parquet, in their order, are what its journal sealed."""
    columns = {name: quotes[name].to_numpy() for name, _ in QUOTE_COLUMNS}
    at = 0
    for number, seal in enumerate(story.seals, 1):
        with shaped(story.name):
            end = at + whole(seal, "rows")
        part = {name: values[at:end] for name, values in columns.items()}
        matches = at < end <= quotes.height and quote_digest(part) == seal["sha256"]
        if seal["segment"] != number or not matches:
            raise DataError(
                f"quotes.parquet: segment {number} does not match its seal in {story.name}"
            )
        at = end
    if at != quotes.height:
        raise DataError(
            f"quotes.parquet has {quotes.height - at} rows that no seal of {story.name} covers"
        )


def _money(story: Story, chain: pl.DataFrame) -> None:
    """Net P&L again: cash and positions of the fold, at the chain's closing marks, less fees."""
    with shaped(story.name):
        marks = [*chain["closing_mark_e9"].to_list(), whole(story.closed, "spot_e9")]
        if marks_digest(np.array(marks, np.int64)) != story.closed["marks"]:
            raise DataError(f"chain.parquet: closing marks are not those of {story.name}")
        value = sum(
            cash + lots * marks[i] * story.multiplier[i] for i, (lots, cash) in story.held.items()
        )
        net, said = value - story.fees_e9 + story.carry_e9, whole(story.closed, "net_e9")
    if net != said:
        raise DataError(
            f"{story.name}: fills and marks make {net / 1e9:,.2f} USD, it closed with "
            f"{said / 1e9:,.2f}"
        )


def _results(bound: str, story: Story, manifest: dict[str, Any]) -> None:
    """Whatever the manifest says of a world that its journal says as well."""
    results, limits = manifest["results"]["bounds"], manifest["config"]["limits"]
    if set(results) != set(manifest["bounds"]):
        raise DataError("manifest.json: results are not those of its bounds")
    bodies = [row.payload for row in story.fills]
    quoted = [body["lots"] for body in bodies if body["kind"] == "quote"]
    hedged = [body["lots"] for body in bodies if body["kind"] == "hedge"]
    told = results[bound] | {"inventory_usd": results[bound]["limit"]["inventory_usd"]}
    for key, value in {
        "journal_hash": story.hash, "ledger_net_e9": story.closed["net_e9"],
        "fees_e9": story.fees_e9, "carry_e9": story.carry_e9,
        "closing_spot_e9": story.closed["spot_e9"],
        "fills": len(quoted), "contracts": sum(quoted),
        "hedges": len(hedged), "hedge_lots": sum(hedged), "killed": story.killed,
        "quotes_landed": sum(seal["rows"] for seal in story.seals),
        "inventory_usd": limits["inventory_usd"],
    }.items():  # fmt: skip
        if difference(told[key], value):
            raise DataError(
                f"manifest.json: {key} of {bound} is {told[key]!r}, {story.name} gives {value!r}"
            )


# ---- report ----------------------------------------------------------------------------------


def _report(folder: Path) -> None:
    """report.json is what the folder gives when the report is built again."""
    import json

    from optmm import reports

    shown = read_object(folder / "report.json")
    with shaped("the run folder"):
        again = json.loads(reports.dumps(reports.build(folder)))
    where = difference(shown, again)
    if where:
        raise DataError(
            f"report.json: {where} is not what the run folder gives. "
            f"`optmm report {folder}` builds it again"
        )


def difference(shown: Any, wanted: Any, path: str = "") -> str:
    """Key path of the first value that differs in two JSON values, types included; "" if none."""
    if isinstance(shown, dict) and isinstance(wanted, dict):
        for key in [*wanted, *(key for key in shown if key not in wanted)]:
            here = f"{path}.{key}" if path else str(key)
            if key not in shown or key not in wanted:
                return here
            deeper = difference(shown[key], wanted[key], here)
            if deeper:
                return deeper
        return ""
    if isinstance(shown, list) and isinstance(wanted, list):
        for at, (one, other) in enumerate(zip(shown, wanted, strict=False)):
            deeper = difference(one, other, f"{path}[{at}]")
            if deeper:
                return deeper
        return "" if len(shown) == len(wanted) else f"{path}[{min(len(shown), len(wanted))}]"
    return "" if type(shown) is type(wanted) and shown == wanted else path or "value"
