"""A chain in a plain table: .csv or Parquet with the columns that `surfaces.fit` takes.

Needed: expiry, strike, right, bid, ask. Known besides: style, root, bid_size, ask_size. An expiry
is a date (then its settlement instant: that of its root where `optmm.market.products` lists it,
else 16:00 New York), a timestamp (UTC unless it says otherwise), or an integer in ns UTC.
"""

import datetime as dt
import io
import math
import re
from collections import Counter
from collections.abc import Callable
from typing import Any

import polars as pl

from optmm.data import stamps
from optmm.data.snapshot import SCHEMA, SIZES, Snapshot, sift
from optmm.errors import DataError, UsageError
from optmm.market.products import PRODUCTS, Product, instants, product

REQUIRED = ("expiry", "strike", "right", "bid", "ask")
RIGHTS = {"c": 1, "call": 1, "1": 1, "+1": 1, "1.0": 1, "p": -1, "put": -1, "-1": -1, "-1.0": -1}
STYLES = {"american": "american", "a": "american", "european": "european", "e": "european"}
PARQUET = b"PAR1"
MOST_NEEDED = 3  # of the columns needed, by which a table is known
UNREADABLE = "unreadable"


def is_frame(raw: bytes) -> bool:
    """Whether the bytes are Parquet, or text whose first line names most columns needed.

    A table without one or two of them is ours to refuse by name.
    """
    if raw.startswith(PARQUET):
        return True
    first = raw.split(b"\n", 1)[0].decode("utf-8-sig", errors="replace").lower()
    return len(set(REQUIRED) & {name.strip(' "\r') for name in first.split(",")}) >= MOST_NEEDED


def read(raw: bytes, file: str, at: str | None = None, underlying: str | None = None) -> Snapshot:
    """Read a table; its underlying is `underlying`, else that of its roots, else the file's stem.

    Parameters
    ----------
    raw : the whole file
    file : its name, which may hold the date and time
    at : when the quotes were in force
    underlying : symbol

    Raises
    ------
    DataError
        Not readable, a column is missing, or nothing says when the quotes were in force.
    UsageError
        `at` is no time.
    """
    frame = _frame(raw, file)
    named: Any = frame["root"].unique() if "root" in frame.columns else []
    roots = [str(root).upper() for root in named if root]
    stem = re.split(r"[._]", file, maxsplit=1)[0]
    name = (underlying or _underlying(roots) or stem).upper()
    known = PRODUCTS.get(name) or next((PRODUCTS[r] for r in roots if r in PRODUCTS), None)
    valuation_ns = _valuation(file, at)
    tally: Counter[str] = Counter()
    rows, first = [], ""
    for number, values in enumerate(frame.iter_rows(named=True), 1):
        try:
            rows.append(_row(values, known))
        except _UnreadableError as bad:
            tally[f"{UNREADABLE} {bad.column}"] += 1
            first = first or f"first unreadable: {bad.column} {bad.value!r:.40} of row {number}"
    sizes = {name: SIZES[name] for name in SIZES if name in frame.columns}
    made = pl.DataFrame(rows, SCHEMA | sizes, orient="row")
    kept, two_sided = sift(made, valuation_ns, tally, file=file)
    notes = [first] if first else []
    if known is None and "style" not in frame.columns:
        notes.append("no style column and no known root: options are taken as European")
    return Snapshot(
        underlying=name, kind=known.kind if known else "equity",
        american=kept.height > 0 and kept["style"][0] == "american",
        valuation_ns=valuation_ns, last=math.nan, bid=math.nan, ask=math.nan,
        quotes=kept, read=frame.height, read_two_sided=two_sided,
        quarantined=dict(sorted(tally.items())), notes=tuple(notes), reader="table of quotes",
    )  # fmt: skip


def _underlying(roots: list[str]) -> str | None:
    names = {PRODUCTS[r].underlying if r in PRODUCTS else r for r in roots}
    return names.pop() if len(names) == 1 else None


def _frame(raw: bytes, file: str) -> pl.DataFrame:
    try:
        if raw.startswith(PARQUET):
            frame = pl.read_parquet(io.BytesIO(raw))
        else:
            frame = pl.read_csv(io.BytesIO(raw), infer_schema=False)
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = str(error).partition("\n")[0]
        raise DataError(f"truncated or corrupt: {reason}", file=file) from None
    frame = frame.rename({name: name.strip().lower() for name in frame.columns})
    missing = [name for name in REQUIRED if name not in frame.columns]
    if missing:
        raise DataError(
            f"lacks {', '.join(missing)}; it has {', '.join(frame.columns)}",
            file=file, remedy=f"Needed are {', '.join(REQUIRED)}.",
        )  # fmt: skip
    if frame.is_empty():
        raise DataError("has no rows", file=file)
    return frame


def _valuation(file: str, at: str | None) -> int:
    named = stamps.read_name(file)
    if at is not None:
        return stamps.read_at(at, None if named is None else named.date)
    if named is None:
        raise DataError(
            "does not say when its quotes were in force",
            file=file, remedy=f"Say it with --at, as {stamps.AT_EXAMPLES}.",
        )  # fmt: skip
    return named.ns if named.time is not None else stamps.taken(named)[0]


class _UnreadableError(Exception):
    """A cell that is not what its column holds."""

    def __init__(self, column: str, value: Any) -> None:
        super().__init__(column)
        self.column, self.value = column, value


def _row(values: dict[str, Any], known: Product | None) -> dict[str, Any]:
    """One row of the frame; raises naming the first column that cannot be read."""
    root = str(values.get("root") or "").upper()
    terms = PRODUCTS.get(root, known)
    style = "american" if terms is not None and terms.american else "european"
    given = values | {"style": values.get("style") or style}
    row: dict[str, Any] = {"root": root}
    readers: dict[str, Callable[[Any], Any]] = {
        "expiry": lambda value: _instant(value, terms),
        "strike": _strike,
        "right": lambda value: RIGHTS[str(value).strip().lower()],
        "bid": _number,
        "ask": _number,
        "style": lambda value: STYLES[str(value).strip().lower()],
    } | {name: _size for name in SIZES if name in values}
    for column, read_cell in readers.items():
        try:
            row[column] = read_cell(given[column])
        except (ValueError, KeyError, TypeError, OverflowError):
            raise _UnreadableError(column, given[column]) from None
    row["expiry"], row["date"] = row["expiry"]
    return row


def _strike(value: Any) -> float:
    found = _number(value)
    if not 0.0 < found < math.inf:
        raise ValueError(value)
    return found


def _number(value: Any) -> float:
    if value is None or (isinstance(value, str) and not value.strip()):
        return math.nan
    return float(value)


def _size(value: Any) -> int | None:
    found = _number(value)
    return int(found) if 0.0 <= found < 2**62 else None


def _instant(value: Any, terms: Product | None) -> tuple[int, dt.date]:
    """End of optionality in ns UTC, and the date it is listed under."""
    if isinstance(value, str):
        value = value.strip()
        if value.isdigit() and len(value) > 8:
            value = int(value)
        else:
            value = dt.datetime.fromisoformat(value)
    if isinstance(value, int):
        return value, stamps.new_york_day(value)
    if isinstance(value, dt.datetime):
        if value.tzinfo is not None or value.time() != dt.time():
            zoned = value if value.tzinfo is not None else value.replace(tzinfo=dt.UTC)
            ns = round(zoned.timestamp() * 1e6) * 1000
            return ns, stamps.new_york_day(ns)
        value = value.date()
    day = value.isoformat()
    try:
        return instants(terms or product("ANY", kind="index"), day).fixing_ns, value
    except (DataError, UsageError) as bad:
        raise ValueError(str(bad)) from None
