"""One instant of a table of many: the snapshot that `--at` asks for, in one pass.

A table holds whole chains at instants. `at` chooses the last of them at or before it on the same
New York day; a date alone the last of that date. Without it the table must hold one instant.
"""

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from optmm.data import formats, quote_rows, stamps, tables
from optmm.data.formats import Context, TableFormat
from optmm.data.snapshot import SCHEMA, SIZES, Snapshot, sift, utc
from optmm.errors import DataError, UsageError
from optmm.market import calendar

LISTED = 6  # instants that an error names
DAY_NS = 86_400 * 10**9


@dataclass(frozen=True, slots=True)
class Wanted:
    """The instants that fit a `--at`: after `after_ns`, up to `until_ns`, the last of them."""

    after_ns: int
    until_ns: int
    given: str


def read(
    table: TableFormat, path: Path, at: str | None = None, underlying: str | None = None
) -> Snapshot:
    """The chain in force at `at` from the table at `path`.

    Raises
    ------
    DataError
        Damaged, no row can be used, no time is known, or several underlyings are in it.
    UsageError
        `at` is no time, no instant fits it, or several fit where none is named.
    """
    timed = table.timed(tables.heading(path))
    at_ns = None if timed else untimed(path.name, at)
    context = Context(path.name, at_ns, underlying)
    return pick(table, formats.judged(table, path, context), context, at if timed else None)


def from_frame(frame: Any, at: str | None = None, underlying: str | None = None) -> Snapshot:
    """The same from a frame in memory, polars or pandas.

    Raises
    ------
    DataError
        Its columns are of no format on the shelf; else as `read`.
    """
    frame = frame if isinstance(frame, pl.DataFrame) else pl.from_pandas(frame)
    frame = frame.rename({name: name.strip(" []").lower() for name in frame.columns})
    table = formats.format_with(frame.columns)
    if table is None:
        raise DataError(
            f"no table we read has columns {', '.join(frame.columns)}",
            remedy=f"Give one of these: {', '.join(formats.shelf())}.",
        )
    timed = table.timed(frame.columns)
    context = Context("the frame", None if timed else untimed("", at), underlying)
    return pick(table, [formats.judge(table, frame, context)], context, at if timed else None)


def untimed(file: str, at: str | None) -> int:
    """When a table without times was in force: the user's word, else its file's name."""
    named = stamps.read_name(file)
    if at is not None:
        return stamps.read_at(at, None if named is None else named.date)
    if named is None:
        raise DataError(
            "does not say when its quotes were in force",
            file=file or "the frame", remedy=f"Say it with --at, as {stamps.AT_EXAMPLES}.",
        )  # fmt: skip
    return named.ns if named.time is not None else stamps.taken(named)[0]


def wanted(at: str) -> Wanted:
    """What `--at` asks for: a date, or a date and time; UsageError otherwise."""
    text = at.strip()
    if len(text) in (8, 10) and text.replace("-", "").isdigit():
        start = calendar.at_ns(text, "00:00", stamps.NEW_YORK)
        return Wanted(start - 1, start + DAY_NS + DAY_NS // 24, text)
    ns = stamps.read_at(text)
    day = stamps.new_york_day(ns).isoformat()
    return Wanted(calendar.at_ns(day, "00:00", stamps.NEW_YORK) - 1, ns, text)


def pick(
    table: TableFormat, chunks: Iterable[pl.DataFrame], context: Context, at: str | None
) -> Snapshot:
    """The snapshot in judged `chunks`; holds the rows of one instant only."""
    ask = None if at is None else wanted(at)
    best: int | None = None
    instants: set[int] = set()
    held: list[pl.DataFrame] = []
    lost: Counter[str] = Counter()  # rows that name no instant
    for rows in chunks:
        timeless = rows.filter(pl.col("ts").is_null())
        for reason, n in timeless["reason"].value_counts().iter_rows():
            lost[reason] += n
        found = rows["ts"].drop_nulls().unique().to_list()
        instants.update(found)
        fits = [t for t in found if ask is None or ask.after_ns < t <= ask.until_ns]
        if ask is not None and fits and stamps.new_york_day(max(fits)) != _day(ask):
            fits = [t for t in fits if stamps.new_york_day(t) == _day(ask)]
        if not fits:
            continue
        if best is None or max(fits) > best:
            best, held = max(fits), []
        held.append(rows.filter(pl.col("ts") == best))
    if best is None:
        raise _nothing(context.file, instants, lost, ask)
    if ask is None and len(instants) > 1:
        raise UsageError(
            f"{context.file} holds {len(instants):,} instants: name one with --at: "
            f"{_listed(instants)}"
        )
    return _snapshot(table, pl.concat(held), best, lost, context)


def _day(ask: Wanted):
    return stamps.new_york_day(ask.after_ns + 1)


def _listed(instants: set[int]) -> str:
    ordered = sorted(instants)
    shown = ordered if len(ordered) <= LISTED else [*ordered[: LISTED - 1], ordered[-1]]
    words = [utc(t) for t in shown]
    if len(ordered) > LISTED:
        words.insert(-1, "...")
    return ", ".join(words)


def _nothing(
    file: str, instants: set[int], lost: Counter[str], ask: Wanted | None
) -> DataError | UsageError:
    if instants and ask is not None:
        return UsageError(f"{file} has no quotes for --at {ask.given}: it has {_listed(instants)}")
    counted = ", ".join(f"{reason} {n:,}" for reason, n in sorted(lost.items()))
    return DataError(f"has no row that can be used ({counted or 'no rows at all'})", file=file)


def _snapshot(
    table: TableFormat, rows: pl.DataFrame, at_ns: int, lost: Counter[str], context: Context
) -> Snapshot:
    tally = Counter(lost)
    read_rows = rows.height + sum(lost.values())
    both = (pl.col("bid") > 0.0) & (pl.col("ask") > 0.0)
    good = quote_rows.tally_of(rows, tally)
    names = good["underlying"].unique().drop_nulls().to_list()
    asked = None if context.underlying is None else context.underlying.upper()
    if len(names) > 1 and asked is not None:
        mine = (pl.col("underlying") == asked) | (pl.col("root") == asked)
        read_rows -= good.filter(~mine).height
        good = good.filter(mine)
        names = good["underlying"].unique().to_list()
    if len(names) > 1:
        raise DataError(
            f"holds options on {', '.join(sorted(names))}",
            file=context.file, remedy="Name one with --underlying.",
        )  # fmt: skip
    if not names:
        counted = ", ".join(f"{reason} {n:,}" for reason, n in sorted(tally.items()))
        raise DataError(
            f"has no row that can be used at {utc(at_ns)} ({counted})", file=context.file
        )
    sized = bool(good["bid_size"].is_not_null().any())
    kinds = SCHEMA | (SIZES if sized else {})
    frame = good.select(pl.col(name).cast(kind) for name, kind in kinds.items())
    frame = frame.with_columns(pl.col("bid", "ask").fill_null(math.nan))
    kept, two_sided = sift(frame, at_ns, tally, file=context.file)
    return Snapshot(
        underlying=names[0], kind=good["kind"][0], american=good["style"][0] == "american",
        valuation_ns=at_ns, last=_middle(good, "spot"), bid=_middle(good, "spot_bid"),
        ask=_middle(good, "spot_ask"), quotes=kept, read=read_rows,
        read_two_sided=max(two_sided, 0),
        quarantined=dict(sorted(tally.items())), notes=(*table.notes, *_notes(rows, both)),
        reader=table.name,
    )  # fmt: skip


def _notes(rows: pl.DataFrame, both: pl.Expr) -> tuple[str, ...]:
    locked = rows.filter(pl.col("reason").is_null() & both & (pl.col("bid") == pl.col("ask")))
    return (f"{locked.height:,} quotes are locked: bid and ask agree",) if locked.height else ()


def _middle(rows: pl.DataFrame, name: str) -> float:
    """The one value that a chain repeats: its median, NaN without one."""
    value = rows[name].drop_nulls().median()
    return math.nan if value is None else float(value)  # type: ignore[arg-type]
