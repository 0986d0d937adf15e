"""The quality table of a source, in bounded memory: the rows behind `optmm data check`.

Everything returned is JSON-ready; null where a source cannot say. A source is unusable when
nothing of it can be used, less than a quarter of its quotes have both sides, or more than half of
its rows had to be set aside.
"""

import datetime as dt
import math
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from optmm.data import formats, quote_rows, stamps
from optmm.data.convert import AT_ONCE
from optmm.data.formats import Context
from optmm.data.quality import Ages, Parity, Sides, Unchanged, merged
from optmm.data.readers import READERS, StreamReader, choose
from optmm.data.sheets import untimed
from optmm.data.snapshot import LEAST_TWO_SIDED, Snapshot, utc
from optmm.data.snapshots import open_snapshot
from optmm.data.tables import heading
from optmm.data.tape import LATE, DayStream, Ledger, Progress, no_progress, ordered
from optmm.errors import DataError
from optmm.market import calendar
from optmm.market.chain import MarketDay
from optmm.market.events import Kind

SCHEMA = "optmm.data_check/1"
MOST_ASIDE = 0.5  # more than this share of the rows set aside: something is wrong with all of them
BLOCK = 1 << 20
WHOLE_TAPE = "a tape is judged whole: name --underlying for its order, ages, gaps and parity"
NAMED = 8  # underlyings that a table lists
LOOKS = 8  # instants of a day at which parity is looked at


def check(
    source: Path,
    *,
    underlying: str | None = None,
    date: str | None = None,
    at: str | None = None,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Judge what `source` holds.

    Parameters
    ----------
    source : any file or folder of docs/formats.md
    underlying, date : which recorded day, where several fit. A table is judged whole unless `date`
        names a day of it, or `underlying` that of a tape: only a day has an order, ages and gaps
    at : time of a file of one chain that does not say it
    progress : told how many rows were read

    Raises
    ------
    DataError
        The source is damaged or is nothing we read.
    UsageError
        Several recorded days fit.
    """
    if not source.exists():
        raise DataError(f"there is no {source}", remedy="Check the path.")
    table = formats.format_of(source)
    named = date is not None or (table is not None and table.tape and underlying is not None)
    if table is not None and at is None and not named:
        return _table(table, source, underlying, progress)
    if at is None and any(reader.recognises(source) for reader in READERS.values()):
        reader, name, day = choose(source, underlying, date)
        if isinstance(reader, StreamReader):
            return _stream(reader.stream(source, name, day), progress)
        return _day(reader.name, reader.load(source, name, day), progress)
    return _snapshot(open_snapshot(source, at=at, underlying=underlying))


def verdict(facts: dict[str, Any], *, most_aside: float = MOST_ASIDE) -> list[str]:
    """What makes the source unusable, empty where it can be used.

    `most_aside` is the share of the rows that may have been set aside.
    """
    out = []
    share, rows = facts["two_sided_share"], facts["rows"]
    aside = sum(facts["quarantined"].values())
    if not facts["quotes"]:
        out.append("no quote can be used")
    elif share is None or share < LEAST_TWO_SIDED:
        out.append(f"{100 * (share or 0.0):.1f} % of the quotes have both sides, needed are 25 %")
    if aside > most_aside * rows:
        out.append(f"{aside:,} of {rows:,} rows had to be set aside")
    return out


def _facts(
    reader: str, rows: int, tally: Counter[str], sides: Sides, parity: Parity,
    more: dict[str, Any], most_aside: float = MOST_ASIDE,
) -> dict[str, Any]:  # fmt: skip
    """The table; `more` are the figures that only some sources have."""
    crossed = merged(tally, "crossed") + merged(tally, "underlying crossed")
    facts: dict[str, Any] = {
        "schema": SCHEMA,
        "reader": reader,
        "underlying": None, "date": None, "first": None, "last": None, "instants": None,
        "rows": rows,
        "quotes": sides.quotes,
        "two_sided_share": sides.two_sided / sides.quotes if sides.quotes else None,
        "one_sided": sides.no_bid + sides.no_ask,
        "zero_bids": sides.no_bid,
        "no_ask": sides.no_ask,
        "empty": sides.empty,
        "locked": sides.locked,
        "crossed": crossed,
        "stale_share": None, "stale_means": "",
        "out_of_order": tally[LATE] + merged(tally, "clock backwards"),
        "reordered": None,
        "duplicates": merged(tally, "duplicate"),
        "gaps": None, "longest_gap_seconds": None,
        "parity_pairs": parity.pairs or None,
        "parity_violations": parity.outside if parity.pairs else None,
        "quarantined": dict(sorted(tally.items())),
        "notes": [],
    } | more  # fmt: skip
    facts["problems"] = verdict(facts, most_aside=most_aside)
    facts["usable"] = not facts["problems"]
    return facts


def _table(
    table: formats.TableFormat, source: Path, underlying: str | None, progress: Progress
) -> dict[str, Any]:
    at_ns = None if table.timed(heading(source)) else untimed(source.name, None)
    tally: Counter[str] = Counter()
    sides, parity, unchanged = Sides(), Parity(), Unchanged()
    instants: set[int] = set()
    names: set[str] = set()
    spans: list[int] = []
    read = 0
    mine = pl.lit(True)
    if underlying is not None:
        name = underlying.upper()
        mine = ((pl.col("underlying") == name) | (pl.col("root") == name)).fill_null(True)
    for chunk in formats.judged(table, source, Context(source.name, at_ns, underlying)):
        rows = chunk.filter(mine)
        read += rows.height
        good = quote_rows.tally_of(rows, tally)
        if not table.tape:
            whole = good.height
            good = good.unique(AT_ONCE, keep="first", maintain_order=True)
            if whole > good.height:
                tally["duplicate contract"] += whole - good.height
            unchanged.add(good)
            instants.update(good["ts"].unique().to_list())
            if good.height:
                busiest = int(good["ts"].mode().min())  # type: ignore[arg-type]
                parity.add(good.filter(pl.col("ts") == busiest), busiest)
        names.update(good["underlying"].unique().to_list())
        if good.height:
            ends = good.select(pl.col("ts").min().alias("a"), pl.col("ts").max().alias("b")).row(0)
            spans += ends
        bid, ask = (good[n].fill_null(0.0).to_numpy() for n in ("bid", "ask"))
        sides.add(bid, ask)
        progress(chunk.height)
    steps = np.diff(sorted(instants))
    gaps = _sessions_missing(instants) if table.has_days and instants else None
    more = {
        "underlying": _listed(names),
        "first": utc(min(spans)) if spans else None,
        "last": utc(max(spans)) if spans else None,
        "instants": len(instants) or None,
        "stale_share": unchanged.same / unchanged.compared if unchanged.compared else None,
        "stale_means": "quotes that are those of the instant before",
        "longest_gap_seconds": int(steps.max()) / 1e9 if steps.size else None,
        "gaps": gaps,
        "out_of_order": None,
        "duplicates": None if table.tape else tally["duplicate contract"],
        "notes": [*table.notes, *([WHOLE_TAPE] if table.tape else [])],
    }
    return _facts(table.name, read, tally, sides, parity, more)


def _listed(names: set[str]) -> str | None:
    """Some of the underlyings of a source, and how many more there are."""
    shown = sorted(names)[:NAMED]
    more = f" and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
    return ", ".join(shown) + more if shown else None


def _sessions_missing(instants: set[int]) -> int:
    """Sessions between the first and the last chain that have none."""
    days = {stamps.new_york_day(t) for t in instants}
    day, missing = min(days), 0
    while day < max(days):
        day += dt.timedelta(days=1)
        missing += day not in days and calendar.is_session(stamps.EXCHANGE, day.isoformat())
    return missing


class _Running:
    """Figures of a recorded day while its events pass in order."""

    def __init__(self, day: DayStream | MarketDay) -> None:
        chain, session = day.chain, day.session
        self.sides, self.parity = Sides(), Parity()
        self.ages = Ages(chain, session, day.bar_ns)
        self._chain = chain
        self._bid, self._ask = (np.zeros(len(chain)) for _ in range(2))
        length = session.close_ns - session.open_ns
        self._looks = [session.open_ns + length * (k + 1) // LOOKS for k in range(LOOKS)]

    def add(self, events: np.ndarray) -> None:
        """The next block."""
        while self._looks and events.size and events["ts_event_ns"][-1] > self._looks[0]:
            look = self._looks.pop(0)
            cut = int(np.searchsorted(events["ts_event_ns"], look, side="right"))
            self._take(events[:cut])
            events = events[cut:]
            self._look(look)
        self._take(events)

    def finish(self) -> None:
        """The day is over."""
        for look in self._looks:
            self._look(look)
        self.ages.finish()

    def _take(self, events: np.ndarray) -> None:
        quotes = events[events["kind"] == Kind.QUOTE]
        self.sides.add(quotes["bid_e9"], quotes["ask_e9"])
        self._bid[quotes["instrument"]] = quotes["bid_e9"] / 1e9
        self._ask[quotes["instrument"]] = quotes["ask_e9"] / 1e9
        self.ages.add(events)

    def _look(self, at_ns: int) -> None:
        chain = self._chain
        frame = pl.DataFrame(
            {
                "expiry": chain.fixing_ns, "root": chain.root, "strike": chain.strike,
                "right": chain.right, "bid": self._bid, "ask": self._ask,
                "style": np.where(chain.american, "american", "european"),
            }
        )  # fmt: skip
        self.parity.add(frame, at_ns)


def _stream(stream: DayStream, progress: Progress) -> dict[str, Any]:
    ledger, running = Ledger(), _Running(stream)
    with tempfile.TemporaryDirectory(prefix="optmm-") as scratch:
        for block in ordered(stream.blocks(ledger, progress), Path(scratch)):
            running.add(block)
    running.finish()
    return _of_day(
        stream.reader,
        stream,
        ledger.rows,
        ledger.quarantined,
        running,
        ledger.notes,
        ledger.reordered,
    )


def _day(reader: str, day: MarketDay, progress: Progress) -> dict[str, Any]:
    running = _Running(day)
    for start in range(0, day.events.size, BLOCK):
        running.add(day.events[start : start + BLOCK])
        progress(min(BLOCK, day.events.size - start))
    running.finish()
    tally = Counter(day.quality.quarantined)
    return _of_day(reader, day, day.quality.rows, tally, running, list(day.quality.notes), None)


def _of_day(
    reader: str, day: DayStream | MarketDay, rows: int, tally: Counter[str], running: _Running,
    notes: list[str], reordered: int | None,
) -> dict[str, Any]:  # fmt: skip
    ages, session = running.ages, day.session
    more = {
        "underlying": day.chain.underlying.symbol,
        "date": session.date,
        "first": utc(session.open_ns),
        "last": utc(session.close_ns),
        "stale_share": ages.old_ns / ages.held_ns if ages.held_ns else None,
        "stale_means": f"contract-time with a quote older than {ages.limit_ns / 1e9:g} seconds",
        "reordered": reordered,
        "gaps": ages.gaps,
        "longest_gap_seconds": ages.longest_ns / 1e9,
        "notes": notes,
    }
    return _facts(reader, rows, tally, running.sides, running.parity, more)


def _snapshot(found: Snapshot) -> dict[str, Any]:
    sides, parity = Sides(), Parity()
    bid, ask = (found.quotes[n].fill_nan(0.0).to_numpy() for n in ("bid", "ask"))
    sides.add(bid, ask)
    parity.add(found.quotes.fill_nan(0.0), found.valuation_ns)
    share = found.two_sided_share
    # expired rows and empty quotes are no fault of a page: the share of both sides judges it
    more = {
        "underlying": found.underlying,
        "first": utc(found.valuation_ns),
        "last": utc(found.valuation_ns),
        "instants": 1,
        "two_sided_share": share if math.isfinite(share) else None,
        "notes": list(found.notes),
    }
    tally = Counter(found.quarantined)
    return _facts(found.reader, found.read, tally, sides, parity, more, most_aside=1.0)
