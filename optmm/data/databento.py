"""A trade date out of Databento files: definitions, quotes, trades, statistics and status joined.

A folder (or one file) may hold several datasets and schemas. Options come from whatever dataset
names them by OSI symbols (OPRA.PILLAR); the underlying from any other that quotes or trades its
symbol. Of several schemas of quotes the finest is read: cmbp-1, cbbo-1s, cbbo-1m.

What the files mean
    prices int64 x 1e-9, as in our events; INT64_MAX is no price
    cmbp-1, trades    in force at ts_event, known at ts_recv; a record without ts_event: at ts_recv
    cbbo-1s, cbbo-1m  the book at the end of the interval, ts_recv; ts_event is the last trade's
    action T of cmbp-1 is a print, read only where no file of trades is given; R empties the book
    side of OPRA trades is N: the aggressor is unknown
    statistics        type 9 is the open interest
    status            halts: a series loses its quotes, the class once half its series are halted
"""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from optmm.data import dbn_file, dbn_halts
from optmm.data.dbn_file import BOOKS, SAMPLED, TRADES, UNDEFINED_PRICE, UNDEFINED_TIME
from optmm.data.dbn_names import Names
from optmm.data.lean_layout import inside
from optmm.data.tape import Ledger, Progress, Watch, bounds, session_of, sha256
from optmm.errors import DataError
from optmm.market import calendar
from optmm.market.chain import Chain, Session, Underlying
from optmm.market.events import Kind, empty
from optmm.market.products import list_chain, product

QUOTES = ("cmbp-1", "cbbo-1s", "cbbo-1m")  # finest first
UNDERLYING_QUOTES = ("cmbp-1", "mbp-1", "cbbo-1s", "bbo-1s", "cbbo-1m", "bbo-1m")
BAD_BOOK = 4  # flag: the book may be wrong
MAX_PRICE_E9 = 10**16
OPEN_INTEREST = 9
SIDES = {b"B": 1, b"A": -1}  # aggressor


@dataclass(frozen=True, slots=True)
class File:
    """One file and what its header says."""

    path: Path
    dataset: str
    schema: str
    start_ns: int
    end_ns: int  # exclusive; start_ns where the header has none
    header: Any


def find(path: Path) -> list[Path]:
    """The DBN files behind a file or a folder (and its folders).

    Raises
    ------
    DataError
        A link leads out of the folder.
    """
    if path.is_file():
        return [path] if dbn_file.is_dbn(path) else []
    found = sorted(p for p in path.rglob("*.dbn*") if p.name.endswith((".dbn", ".dbn.zst")))
    return [inside(path, p) for p in found]


def is_folder(path: Path) -> bool:
    """Whether a folder has a file that is named as these are; never raises."""
    return any(p.name.endswith((".dbn", ".dbn.zst")) for p in path.rglob("*.dbn*"))


def files(path: Path) -> list[File]:
    """Headers of all files, in order of start and name."""
    out = []
    for place in find(path):
        head = dbn_file.metadata(place)
        end = head.end if head.end not in (None, 0, UNDEFINED_TIME) else head.start + 1
        schema = str(head.schema or "mixed")
        out.append(File(place, head.dataset, schema, int(head.start), int(end), head))
    return sorted(out, key=lambda f: (f.start_ns, str(f.path)))


def trading_days(path: Path) -> dict[str, tuple[str, ...]]:
    """Sessions that the headers cover, by underlying."""
    there = files(path)
    names = Names()
    for file in there:
        names.read(file, None)
    covered: set[str] = set()
    for file in there:
        day = dt.datetime.fromtimestamp(file.start_ns // 10**9, dt.UTC).date()
        last = dt.datetime.fromtimestamp((file.end_ns - 1) // 10**9, dt.UTC).date()
        while day <= last:
            covered.add(day.isoformat())
            day += dt.timedelta(days=1)
    days = tuple(sorted(d for d in covered if calendar.is_session("NYSE", d)))
    return dict.fromkeys(names.underlyings(), days) if days else {}


@dataclass(frozen=True, slots=True)
class Source:
    """One file to be read for one purpose: "quotes", "trades", "both", "spot", "spot prints"."""

    file: File
    purpose: str
    ids: np.ndarray  # instrument ids known in this dataset, ascending
    rows: np.ndarray  # their rows: a chain row, or a code of `Names`


@dataclass(frozen=True, slots=True)
class DbnDay:
    """One date of one underlying, as a `DayStream`."""

    chain: Chain
    session: Session
    bar_ns: int
    sources: tuple[tuple[str, str], ...]
    open_interest: np.ndarray | None
    parts: tuple[Source, ...]
    halts: dbn_halts.Halts
    notes: tuple[str, ...]

    @property
    def reader(self) -> str:
        """What it was read as."""
        return "Databento files"

    def blocks(self, ledger: Ledger, progress: Progress) -> Iterator[np.ndarray]:
        """Events in the order of the files, one file after the other."""
        n = len(self.chain)
        ledger.notes.extend(self.notes)
        yield np.concatenate([bounds(self.session, n), self.halts.events(n, self.session)])
        for part in self.parts:
            watches = {kind: Watch(n + 1) for kind in (Kind.QUOTE, Kind.TRADE)}
            for kind, records in dbn_file.runs(part.file.path):
                if kind not in BOOKS and part.purpose in ("quotes", "spot"):
                    continue
                for events in self._of(part, kind, records, ledger):
                    same = Kind.QUOTE if _is_quote(events) else Kind.TRADE
                    yield events[watches[same].stands(events, ledger)]
                progress(records.size)

    def _of(
        self, part: Source, kind: int, records: np.ndarray, ledger: Ledger
    ) -> Iterator[np.ndarray]:
        """Quotes and prints of one run of records."""
        # sampled books have no action
        printed = np.full(records.size, kind == TRADES)
        if kind not in SAMPLED:
            printed |= records["action"] == b"T"
        if part.purpose in ("quotes", "both", "spot") and kind in BOOKS:
            yield self._events(part, records[~printed], ledger, kind=kind, prints=False)
        if part.purpose in ("trades", "both", "spot prints"):
            yield self._events(part, records[printed], ledger, kind=kind, prints=True)

    def _events(
        self, part: Source, records: np.ndarray, ledger: Ledger, *, kind: int, prints: bool
    ) -> np.ndarray:
        n = len(self.chain)
        row, ours = _look_up(part, records["instrument_id"])
        records, row = records[ours], row[ours]
        ledger.rows += records.size
        out = empty(records.size)
        stamp, recv = records["ts_event"], records["ts_recv"]
        when = np.where((kind in SAMPLED) | (stamp == UNDEFINED_TIME), recv, stamp)
        timeless = (when == UNDEFINED_TIME) | (when >= 2**62)
        out["ts_event_ns"] = np.where(timeless, 0, when).astype(np.int64)
        known = np.where((recv == UNDEFINED_TIME) | (recv < when), when, recv)
        out["ts_recv_ns"] = np.where(timeless, 0, known).astype(np.int64)
        out["instrument"] = np.maximum(row, 0)
        own = row == n
        if prints:
            out["kind"] = np.where(own, Kind.UNDERLYING_TRADE, Kind.TRADE)
            out["bid_e9"], out["ask_e9"] = records["price"], records["price"]
            out["bid_lots"] = np.where(own, 0, records["lots"])
            side = np.zeros(records.size, np.int64)
            for letter, value in SIDES.items():
                side[records["side"] == letter] = value
            out["ask_lots"] = np.where(own, 0, side)
        else:
            out["kind"] = np.where(own, Kind.UNDERLYING_QUOTE, Kind.QUOTE)
            for name in ("bid", "ask"):
                price, size = records[f"{name}_px"], records[f"{name}_sz"]
                there = (price != UNDEFINED_PRICE) & (size > 0)
                out[f"{name}_e9"] = np.where(there, price, 0)
                out[f"{name}_lots"] = np.where(there, size, 0)
        out["seq"] = records["sequence"] if kind in (TRADES, dbn_file.MBP_1) else 0
        bad_book = (records["flags"] & BAD_BOOK) != 0
        return out[self._judge(out, row, timeless, bad_book, ledger, prints=prints)]

    def _judge(
        self, events: np.ndarray, row: np.ndarray, timeless: np.ndarray, bad_book: np.ndarray,
        ledger: Ledger, *, prints: bool,
    ) -> np.ndarray:  # fmt: skip
        """Which events can be used; the others are counted, each for its first reason."""
        good = np.ones(events.size, np.bool_)
        bid, ask, when = events["bid_e9"], events["ask_e9"], events["ts_event_ns"]
        n = len(self.chain)
        stops = np.append(self.chain.last_trade_ns, self.session.close_ns)
        rules: list[tuple[str, np.ndarray]] = [
            (reason, row == code) for code, reason in Names.REASONS.items()
        ]
        outside = (when < self.session.open_ns) | (when > self.session.close_ns)
        rules += [
            ("unreadable time", timeless),
            ("flagged as a bad book", bad_book),
            ("no price or size", prints & ((bid == UNDEFINED_PRICE) | (bid == 0)
             | ((row < n) & (events["bid_lots"] == 0)))),
            ("negative price or size", (bid < 0) | (ask < 0)),
            ("out of range", (bid > MAX_PRICE_E9) | (ask > MAX_PRICE_E9)),
            ("crossed quote", (ask > 0) & (bid > ask)),
            ("outside the session", outside),
            ("after the last trade of its series", when > stops[np.maximum(row, 0)]),
            ("while its series was halted", self.halts.inside(row, when)),
        ]  # fmt: skip
        for reason, bad in rules:
            hit = good & bad
            if hit.any():
                ledger.quarantined[reason] += int(hit.sum())
                good &= ~bad
        return good


def _is_quote(events: np.ndarray) -> bool:
    return bool(events.size) and events["kind"][0] in (Kind.QUOTE, Kind.UNDERLYING_QUOTE)


def _look_up(part: Source, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Row of each record (a code below zero where it has none), and whether it concerns us."""
    if not part.ids.size:
        return np.full(ids.size, Names.UNKNOWN, np.int64), np.ones(ids.size, np.bool_)
    at = np.minimum(np.searchsorted(part.ids, ids), part.ids.size - 1)
    row = np.where(part.ids[at] == ids, part.rows[at], Names.UNKNOWN)
    return row, row != Names.OTHER


def open_dbn(path: Path, underlying: str, date: str) -> DbnDay:
    """Chain, hours, open interest and halts of one date; its quotes and trades are read later.

    Raises
    ------
    DataError
        No option of that underlying is named, no quotes are there, or a file is damaged.
    """
    day, name = calendar.iso(date), underlying.upper()
    there = [f for f in files(path) if _covers(f, day)]
    names = Names(name)
    for file in there:
        names.read(file, day)
    options = names.options(name)
    if not options:
        known = ", ".join(names.underlyings()) or "nothing"
        raise DataError(
            f"names no standard option on {name} for {day}",
            file=path.name, remedy=f"There is {known}; definitions name what headers do not.",
        )  # fmt: skip
    root = min(option.root for option in options)
    terms = product(root)
    under = Underlying(
        terms.underlying, terms.kind, terms.underlying_multiplier, terms.underlying_tick_e9
    )
    chain = list_chain(options, date=day, underlying=under, kind=terms.kind)
    session = session_of(chain, day)
    parts, notes = _parts(there, names, chain)
    if not parts:
        raise DataError(
            f"holds no quotes or trades of {name} for {day}",
            file=path.name, remedy=f"Schemas read are {', '.join(QUOTES)} and trades.",
        )  # fmt: skip
    used = {f.path for f in there if f.schema in ("definition", "statistics", "status")}
    used |= {part.file.path for part in parts}
    base = path if path.is_dir() else path.parent
    return DbnDay(
        chain=chain, session=session, bar_ns=0,
        sources=tuple((p.relative_to(base).as_posix(), sha256(p)) for p in sorted(used)),
        open_interest=_open_interest(there, names, chain), parts=tuple(parts),
        halts=dbn_halts.read([f for f in there if f.schema == "status"], names, chain),
        notes=(*names.notes(), *notes),
    )  # fmt: skip


def _covers(file: File, day: str) -> bool:
    start = calendar.at_ns(day, "00:00", "UTC")
    return file.start_ns < start + 86_400 * 10**9 and file.end_ns > start


def _parts(there: list[File], names: Names, chain: Chain) -> tuple[list[Source], list[str]]:
    """What to read of which file, and what a user should know of the choice."""
    out: list[Source] = []
    notes: list[str] = []
    unread: set[str] = set()
    datasets = sorted({f.dataset for f in there})
    of_options = [d for d in datasets if names.has_options(d, chain)]
    mine = [f for f in there if f.dataset in of_options]
    finest = next((s for s in QUOTES if any(f.schema == s for f in mine)), None)
    traded = any(f.schema == "trades" for f in mine)
    for file in mine:
        purpose = {finest: "quotes" if traded or finest != "cmbp-1" else "both",
                   "trades": "trades", "mixed": "both"}.get(file.schema)  # fmt: skip
        if purpose is not None:
            out.append(Source(file, purpose, *names.rows(file.dataset, chain)))
        elif file.schema not in ("definition", "statistics", "status"):
            unread.add(file.schema)
    if unread:
        notes.append(f"not read: {', '.join(sorted(unread))}")
    if finest is None:
        notes.append("no quotes of the options: cmbp-1, cbbo-1s or cbbo-1m would have them")
    own = [
        f for f in there
        if names.has_symbol(f.dataset, chain.underlying.symbol)
        and f.schema in (*UNDERLYING_QUOTES, "trades")
    ]  # fmt: skip
    best = min(
        (UNDERLYING_QUOTES.index(f.schema) for f in own if f.schema in UNDERLYING_QUOTES),
        default=None,
    )
    for file in own:
        purpose = "spot prints" if file.schema == "trades" else "spot"
        if purpose == "spot prints" or UNDERLYING_QUOTES.index(file.schema) == best:
            out.append(Source(file, purpose, *names.spot_rows(file.dataset, chain)))
    if not own:
        symbol = chain.underlying.symbol
        notes.append(f"{symbol} has no prices: use the forward of put-call parity")
    return out, notes


def _open_interest(there: list[File], names: Names, chain: Chain) -> np.ndarray | None:
    """Contracts open the evening before, -1 unknown; None without a file of statistics."""
    stored = [f for f in there if f.schema == "statistics"]
    if not stored:
        return None
    out = np.full(len(chain), -1, np.int64)
    for file in stored:
        ids, rows = names.rows(file.dataset, chain)
        place = dict(zip(ids.tolist(), rows.tolist(), strict=True))
        for record in dbn_file.messages(file.path):
            if int(getattr(record, "stat_type", -1)) != OPEN_INTEREST:
                continue
            row = place.get(record.instrument_id, -1)
            if row >= 0 and 0 <= record.quantity < 2**53:
                out[row] = record.quantity
    return out
