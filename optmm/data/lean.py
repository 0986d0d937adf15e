"""A day of LEAN minute data as one `MarketDay`.

Prices of equity and index options are written x 10000, those of futures, their options and indices
as decimals; clocks differ by class (`lean_layout`). Events: option quote bars (closing bid and ask,
last sizes), option trade bars, the underlying's quotes and trade closes, and OPEN and CLOSE. STATUS
events carry the underlying's row, since they concern the whole class.
Source: QuantConnect/Lean, Data folder and its market-hours database.
"""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np

from optmm.data import lean_layout as layout
from optmm.data import lean_rows, lean_zip
from optmm.data.lean_layout import CLASSES, LeanClass, Listing
from optmm.data.lean_rows import BAR_NS, File, Rows
from optmm.data.lean_zip import Table
from optmm.errors import DataError
from optmm.market.chain import Chain, DataQuality, MarketDay, Session, Underlying
from optmm.market.events import Bits, Kind, empty, in_order
from optmm.market.instruments import Option, is_adjusted
from optmm.market.products import Product, list_chain, product

QUOTE_COLUMNS, TRADE_COLUMNS, INTEREST_COLUMNS = 11, 6, 2


def load(root: Path, underlying: str, date: str) -> MarketDay:
    """Read one trade date of one option class and its underlying from a LEAN Data folder.

    Parameters
    ----------
    root : folder that contains option/, indexoption/ or futureoption/
    underlying : GOOG, SPXW, ES; ES/202003 where several contract months are stored
    date : trade date, YYYY-MM-DD

    Raises
    ------
    DataError
        Something is not there (names what is), or a file is truncated, corrupt or does not parse
        (names file, member and row).
    UsageError
        The date is malformed, or several contract months fit.
    """
    listing = layout.find(root, underlying, date)
    cls = CLASSES[listing.cls]
    terms = product(listing.underlying, kind=cls.kind)
    session = terms.session(date)
    raw = _read_options(root, listing, cls, session)
    chain, rows = _chain(raw, listing, cls, terms, session.date)
    tally: Counter[str] = Counter()
    stops = np.append(chain.last_trade_ns, session.close_ns)
    quotes = lean_rows.quotes(raw.files("quote", rows), session, stops, tally, "")
    prints = lean_rows.prints(raw.files("trade", rows), session, stops, tally, "")
    under = _read_underlying(root, listing, cls, terms, session, len(chain))
    own_quotes = lean_rows.quotes(under.files("quote", {}), session, stops, tally, "underlying ")
    own_prints = lean_rows.prints(under.files("trade", {}), session, stops, tally, "underlying ")
    events = in_order(
        np.concatenate(
            [
                _status(session, len(chain)),
                _events(Kind.QUOTE, quotes),
                _events(Kind.BAR, prints),
                _events(Kind.UNDERLYING_QUOTE, own_quotes),
                _events(Kind.UNDERLYING_TRADE, own_prints),
            ]
        )
    )
    quoted = np.unique(raw.rows_of("quote", rows))
    quality = DataQuality(
        rows=raw.rows + under.rows,
        quarantined=dict(sorted(tally.items())),
        two_sided_share=_two_sided(quotes, quoted, chain, session),
        notes=_notes(raw, chain, quotes, own_quotes, own_prints, quoted.size),
    )
    return MarketDay(
        chain=chain,
        session=session,
        events=events,
        bar_ns=BAR_NS,
        quality=quality,
        sources=tuple(sorted({(t.file, t.sha256) for t in [*raw.tables(), *under.tables()]})),
        open_interest=_open_interest(raw, rows, len(chain)),
    )


@dataclass(frozen=True, slots=True)
class _Raw:
    """Tables by kind of row, each with its stored date; `fixed_row` for an underlying."""

    parts: dict[str, list[tuple[str, Table]]]
    zone: str
    price_e9: int
    fixed_row: int | None
    missing: tuple[str, ...] = ()

    def tables(self) -> list[Table]:
        return [table for part in self.parts.values() for _, table in part]

    @property
    def rows(self) -> int:
        """Quote and trade rows read."""
        return sum(len(t) for what in ("quote", "trade") for _, t in self.parts.get(what, []))

    def series(self, what: str) -> dict[Option, bool]:
        """Standard series named by the members of one kind, with their exercise style."""
        names = {name for _, table in self.parts.get(what, []) for name in table.members}
        known = (found for name in names if (found := layout.member(name)) is not None)
        return {option: american for option, american in known if not is_adjusted(option.root)}

    def files(self, what: str, rows: dict[Option, int]) -> list[File]:
        return [
            File(table, date, self.zone, self.price_e9, self._row_of(table, rows))
            for date, table in self.parts.get(what, [])
        ]

    def rows_of(self, what: str, rows: dict[Option, int]) -> np.ndarray:
        """Chain rows that have a member of one kind."""
        return np.array([rows[option] for option in self.series(what)], np.int32)

    def _row_of(self, table: Table, rows: dict[Option, int]) -> np.ndarray:
        if self.fixed_row is not None:
            return np.full(len(table.members), self.fixed_row, np.int32)
        found = [layout.member(name) for name in table.members]
        return np.array([-2 if f is None else rows.get(f[0], -1) for f in found] or [-2], np.int32)


def _stored_dates(session: Session, zone: str) -> list[str]:
    """The file dates, in the files' own zone, that a session touches."""
    ends = (session.open_ns, session.close_ns - 1)
    return sorted(
        {datetime.fromtimestamp(t // 10**9, ZoneInfo(zone)).date().isoformat() for t in ends}
    )


def _read_options(root: Path, listing: Listing, cls: LeanClass, session: Session) -> _Raw:
    columns = {
        "quote": QUOTE_COLUMNS, "trade": TRADE_COLUMNS, "openinterest": INTEREST_COLUMNS
    }  # fmt: skip
    dates = _stored_dates(session, cls.zone)
    parts = {
        what: [
            (date, lean_zip.read(path, root, width))
            for date in dates
            for path in layout.files(root, listing.folder, date, what)
        ]
        for what, width in columns.items()
    }
    present = {date for date, _ in parts["quote"]}
    missing = tuple(date for date in dates if date not in present)
    return _Raw(parts, cls.zone, cls.price_e9, None, missing)


def _read_underlying(
    root: Path, listing: Listing, cls: LeanClass, terms: Product, session: Session, row: int
) -> _Raw:
    """The underlying's bars; of a future, the contract month of the options' folder."""
    folder = f"{cls.underlying}/{listing.market}/minute/{terms.underlying.lower()}"
    parts = {
        what: [
            (date, lean_zip.read(path, root, width, layout.underlying_member(what, listing.month)))
            for date in _stored_dates(session, cls.underlying_zone)
            for path in layout.files(root, folder, date, what)
        ]
        for what, width in (("quote", QUOTE_COLUMNS), ("trade", TRADE_COLUMNS))
    }
    return _Raw(parts, cls.underlying_zone, cls.underlying_price_e9, row)


def _chain(
    raw: _Raw, listing: Listing, cls: LeanClass, terms: Product, date: str
) -> tuple[Chain, dict[Option, int]]:
    """The chain of every quoted or traded series, and the row of each."""
    series = raw.series("trade") | raw.series("quote")
    if not series:
        raise DataError(
            f"no standard series of {listing.underlying} on {date}",
            file=", ".join(t.file for t in raw.tables()),
            remedy="Members must be named as LEAN names them.",
        )
    code = terms.underlying
    under = Underlying(
        symbol=layout.future_code(code, listing.month) if listing.month else code,
        kind=cls.kind,
        multiplier=terms.underlying_multiplier,
        tick_e9=terms.underlying_tick_e9,
    )
    american = {option.root: style for option, style in series.items()}
    chain = list_chain(series, date=date, underlying=under, kind=cls.kind, american=american)
    place = {symbol: i for i, symbol in enumerate(chain.symbol)}
    return chain, {option: place[option.osi] for option in series}


def _status(session: Session, row: int) -> np.ndarray:
    out = empty(2)
    out["ts_event_ns"] = out["ts_recv_ns"] = session.open_ns, session.close_ns
    out["kind"], out["instrument"] = Kind.STATUS, row
    out["bits"] = Bits.OPEN, Bits.CLOSE
    return out


def _events(kind: Kind, rows: Rows) -> np.ndarray:
    out = empty(len(rows))
    out["kind"], out["instrument"] = kind, rows.instrument
    out["ts_event_ns"] = out["ts_recv_ns"] = rows.end_ns
    close_only = kind == Kind.UNDERLYING_TRADE
    out["bid_e9"] = rows.close_e9 if close_only else rows.low_e9
    out["ask_e9"] = rows.close_e9 if close_only else rows.high_e9
    out["bid_lots"], out["ask_lots"] = rows.low_lots, rows.high_lots
    return out


def _two_sided(quotes: Rows, quoted: np.ndarray, chain: Chain, session: Session) -> float:
    """Share of the quoted series' trading time in which both sides are present."""
    if not len(quotes):
        return float("nan")
    ends = np.minimum(chain.last_trade_ns, session.close_ns)
    last = np.append(quotes.instrument[1:] != quotes.instrument[:-1], True)
    until = np.where(last, ends[quotes.instrument], np.append(quotes.end_ns[1:], 0))
    both = (quotes.low_e9 > 0) & (quotes.high_e9 > 0)
    held = float(np.sum((until - quotes.end_ns)[both], dtype=np.float64))
    whole = np.maximum(ends[quoted] - session.open_ns, 0)
    return held / float(np.sum(whole, dtype=np.float64))


def _notes(
    raw: _Raw, chain: Chain, quotes: Rows, own_quotes: Rows, own_prints: Rows, quoted: int
) -> tuple[str, ...]:
    notes = [f"no option quotes stored for {date}" for date in raw.missing]
    if not len(own_quotes):
        notes.append(
            f"{chain.underlying.symbol} has trades but no quotes"
            if len(own_prints)
            else f"{chain.underlying.symbol} has no prices: use the forward of put-call parity"
        )
    if len(chain) > quoted:
        notes.append(f"{len(chain) - quoted} series traded but were never quoted")
    prices = np.concatenate([quotes.low_e9, quotes.high_e9])
    at = np.tile(quotes.instrument, 2)
    below = prices < chain.tick_split_e9[at]
    off = prices % np.where(below, chain.tick_below_e9[at], chain.tick_above_e9[at]) != 0
    if off.any():
        notes.append(f"{int(off.sum())} of {off.size} quoted prices are off the tick grid")
    return tuple(notes)


def _open_interest(raw: _Raw, rows: dict[Option, int], n: int) -> np.ndarray | None:
    """Contracts open the evening before, -1 unknown; None when nothing is stored."""
    stored = raw.files("openinterest", rows)
    if not stored:
        return None
    out = np.full(n, -1, np.int64)
    for source in stored:
        row = source.row_of[source.table.member]
        value = source.table.values[1]
        good = (row >= 0) & (value >= 0.0) & (value <= lean_rows.MAX_SIZE)
        out[row[good]] = value[good].astype(np.int64)
    return out
