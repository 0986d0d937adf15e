"""The shelf of snapshot readers, and the one door to a chain at one instant.

A reader is chosen by what a file holds, not by what it is called. Tables of vendors are read a
chunk at a time (`optmm.data.formats`). Recorded days (LEAN folders, stored days, Databento files,
tapes of quotes) are read through `optmm.data.readers` and frozen at a chosen time.
"""

import datetime as dt
import math
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import polars as pl

from optmm.data import cboe, formats, frames, packed, sheets, stamps
from optmm.data.readers import READERS, open_day
from optmm.data.snapshot import Snapshot, sift
from optmm.errors import DataError, UsageError
from optmm.market import calendar
from optmm.market.chain import MarketDay
from optmm.market.events import Kind
from optmm.market.products import PRODUCTS

E9 = 1e9


class SnapshotReader(Protocol):
    """One format of a chain in one file. Stateless."""

    @property
    def name(self) -> str:
        """What an error message calls it."""

    def recognises(self, raw: bytes) -> bool:
        """Whether the unpacked content looks like this format; never raises."""

    def read(self, raw: bytes, file: str, at: str | None, underlying: str | None) -> Snapshot:
        """The snapshot; DataError when it cannot be used."""


SNAPSHOTS: dict[str, SnapshotReader] = {}


def register(reader: SnapshotReader) -> SnapshotReader:
    """Put `reader` on the shelf; a second one of the same name is a bug, not an override."""
    if reader.name in SNAPSHOTS:
        raise UsageError(f"snapshot reader {reader.name!r} is already registered")
    SNAPSHOTS[reader.name] = reader
    return reader


def is_recorded_day(path: Path) -> bool:
    """Whether `path` is a folder of recorded days rather than a file of one chain."""
    return path.is_dir() or any(reader.recognises(path) for reader in READERS.values())


def open_snapshot(
    path: Path | str, *, at: str | None = None, underlying: str | None = None
) -> Snapshot:
    """Read one chain at one instant from whatever `path` is.

    Parameters
    ----------
    path : file of one chain or of many (docs/formats.md), plain, gzip, zstandard or zip; LEAN
        folder, stored day, Databento files
    at : time of the quotes, as '2023-09-14 11:40' (New York) or '2023-09-14T15:40Z'; a time alone
        where the date is known; a date alone for its last chain in a table of many. Left out:
        what the file or its name says; the last moment of a recorded day at which its underlying
        was seen
    underlying : symbol, where the source does not say it or holds several

    Raises
    ------
    DataError
        Nothing is there, or it cannot be read.
    UsageError
        `at` is no time, several recorded days fit, or the file holds another underlying.
    """
    place = Path(path)
    table = formats.format_of(place)
    if table is not None and not table.tape:
        return _asked(sheets.read(table, place, at, underlying), underlying, place.name)
    if place.exists() and is_recorded_day(place):
        return _of_recorded(place, at, underlying)
    raw = packed.read(place)
    for reader in SNAPSHOTS.values():
        if reader.recognises(raw):
            found = reader.read(raw, place.name, at, underlying)
            found = _asked(found, underlying, place.name)
            return found if at is None else replace(found, notes=(*found.notes, *_odd(found)))
    raise DataError(
        f"{place.name} is no chain we read",
        remedy=f"Give one of these: {', '.join([*SNAPSHOTS, *formats.shelf(), *READERS])}.",
    )


def _asked(found: Snapshot, underlying: str | None, file: str) -> Snapshot:
    """`found`, if it is on the underlying asked for."""
    if underlying is not None and not _answers(found, underlying.upper()):
        raise UsageError(f"--underlying is {underlying}, but {file} holds {found.underlying}")
    return found


def _odd(found: Snapshot) -> tuple[str, ...]:
    """A note where the exchange was shut on the day that was asked for."""
    day = stamps.new_york_day(found.valuation_ns)
    if calendar.is_session(stamps.EXCHANGE, day.isoformat()):
        return ()
    return (f"--at {day} is a {day:%A} without a session of the {stamps.EXCHANGE}",)


def _answers(found: Snapshot, asked: str) -> bool:
    """Whether `asked` is the snapshot's underlying or one of the roots on it."""
    return asked == found.underlying or (
        asked in PRODUCTS and PRODUCTS[asked].underlying == found.underlying
    )


def frozen(day: MarketDay, at_ns: int) -> Snapshot:
    """A recorded day at `at_ns`: the last quote of every option and of the underlying by then.

    Raises
    ------
    UsageError
        `at_ns` lies outside the session.
    """
    session, chain = day.session, day.chain
    if not session.open_ns < at_ns <= session.close_ns:
        opens, closes = (stamps.clock_words(t) for t in (session.open_ns, session.close_ns))
        raise UsageError(
            f"--at is {stamps.clock_words(at_ns)}, must lie after {opens} and not after {closes}"
        )
    seen = day.events[day.events["ts_recv_ns"] <= at_ns]
    bid, ask = (np.full(len(chain), math.nan) for _ in range(2))
    lots = np.zeros((2, len(chain)), np.int64)
    quotes = seen[seen["kind"] == Kind.QUOTE]
    rows = quotes["instrument"]
    # the events are in order of time and numpy keeps the last of several writes
    bid[rows], ask[rows] = quotes["bid_e9"] / E9, quotes["ask_e9"] / E9
    lots[0, rows], lots[1, rows] = quotes["bid_lots"], quotes["ask_lots"]
    frame = pl.DataFrame(
        {
            "expiry": chain.fixing_ns, "date": chain.expiry.astype("datetime64[D]"),
            "root": chain.root, "strike": chain.strike, "right": chain.right,
            "bid": bid, "ask": ask,
            "style": np.where(chain.american, "american", "european"),
            "bid_size": lots[0], "ask_size": lots[1],
        }
    )  # fmt: skip
    counted: Counter[str] = Counter()
    kept, two_sided = sift(frame, at_ns, counted, file=session.date)
    under = seen[seen["kind"] == Kind.UNDERLYING_QUOTE]
    prints = seen[seen["kind"] == Kind.UNDERLYING_TRADE]
    return Snapshot(
        underlying=chain.underlying.symbol, kind=chain.underlying.kind,
        american=bool(chain.american.any()), valuation_ns=at_ns,
        last=_last(prints, "bid_e9"), bid=_last(under, "bid_e9"), ask=_last(under, "ask_e9"),
        quotes=kept, read=len(chain), read_two_sided=two_sided,
        quarantined=dict(sorted(counted.items())),
        notes=tuple(
            f"{n:,} recorded rows set aside: {reason}"
            for reason, n in day.quality.quarantined.items()
        ),
        reader="recorded day",
    )  # fmt: skip


def _last(events: np.ndarray, field: str) -> float:
    """Last positive price of a field, USD; NaN without one."""
    price = events[field]
    price = price[price > 0]
    return float(price[-1]) / E9 if price.size else math.nan


def _of_recorded(place: Path, at: str | None, underlying: str | None) -> Snapshot:
    """The day that holds `at`, frozen there."""
    date = None
    if at is not None and not stamps.is_time_alone(at):
        date = stamps.new_york_day(stamps.read_at(at)).isoformat()
    day = open_day(place, underlying, date)
    if at is not None:
        return frozen(day, stamps.read_at(at, dt.date.fromisoformat(day.session.date)))
    return frozen(day, _last_seen(day))


def _last_seen(day: MarketDay) -> int:
    """The last moment of the session at which the underlying, else any option, had a price."""
    kinds, stamp = day.events["kind"], day.events["ts_recv_ns"]
    for wanted in ((Kind.UNDERLYING_QUOTE, Kind.UNDERLYING_TRADE), (Kind.QUOTE,)):
        times = stamp[np.isin(kinds, wanted)]
        times = times[(times > day.session.open_ns) & (times <= day.session.close_ns)]
        if times.size:
            return int(times.max())
    raise DataError(f"{day.chain.underlying.symbol} {day.session.date} has no quotes at all")


@dataclass(frozen=True, slots=True)
class CboeTable:
    """Cboe quotedata."""

    name: str = "Cboe quotedata"

    def recognises(self, raw: bytes) -> bool:
        return b"\0" not in raw[:4096] and cboe.is_table(raw[:8192].decode("utf-8", "replace"))

    def read(self, raw: bytes, file: str, at: str | None, underlying: str | None) -> Snapshot:
        return cboe.read_table(packed.text(raw, file), file, at)


@dataclass(frozen=True, slots=True)
class CboeJson:
    """Cboe's JSON chain."""

    name: str = "Cboe JSON"

    def recognises(self, raw: bytes) -> bool:
        return cboe.is_json(raw[:65536].decode("utf-8", "replace"))

    def read(self, raw: bytes, file: str, at: str | None, underlying: str | None) -> Snapshot:
        return cboe.read_json(packed.text(raw, file), file, at)


@dataclass(frozen=True, slots=True)
class QuoteTable:
    """Any table with the columns of `surfaces.fit`."""

    name: str = "table of quotes (expiry, strike, right, bid, ask)"

    def recognises(self, raw: bytes) -> bool:
        return frames.is_frame(raw)

    def read(self, raw: bytes, file: str, at: str | None, underlying: str | None) -> Snapshot:
        return frames.read(raw, file, at, underlying)


register(CboeTable())
register(CboeJson())
register(QuoteTable())
