"""Cboe's delayed quotes: the "quotedata" table (CSV) and the same chain as JSON.

The table has up to three free-form lines (name and last price; date, bid and ask of the
underlying), a line of headings, then one row a strike and expiry: 22 columns, the call on the left,
the strike in the middle, the put on the right. The file shows the market of 15 minutes before
while the exchange trades, else that of the last close.
Source: https://www.cboe.com/delayed_quotes, as downloaded between 2022 and 2023.
"""

import csv
import json
import math
import re
from collections import Counter
from dataclasses import dataclass
from typing import Any

import polars as pl

from optmm.data import stamps
from optmm.data.snapshot import SCHEMA, SIZES, Snapshot, sift
from optmm.errors import DataError
from optmm.market.instruments import is_adjusted, parse_osi
from optmm.market.products import Product, instants, product

HEADINGS = ("expiration date", "calls", "strike", "puts")
SEARCH_LINES = 12  # headings stand in line 3 or 4
NUMBER = re.compile(r"-?\d[\d,]*\.?\d*(?:[eE][+-]?\d+)?")
UNREADABLE = "unreadable row"
AGAIN = "Download it again from Cboe."


@dataclass(frozen=True, slots=True)
class Quote:
    """One option as the file states it; prices NaN where blank."""

    symbol: str
    bid: float
    ask: float
    strike: float | None = None  # where the row repeats it
    bid_size: int | None = None
    ask_size: int | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """A file taken apart, before anything is judged."""

    file: str
    title: str
    stamp: stamps.Wall | None  # of the file's own words
    said: str  # those words
    last: float
    bid: float
    ask: float
    index: bool
    quotes: list[Quote]
    unreadable: int


def is_table(text: str) -> bool:
    """Whether `text` is a quotedata table."""
    return _headings(text.splitlines()[:SEARCH_LINES]) is not None


def read_table(text: str, file: str, at: str | None = None) -> Snapshot:
    """Read a quotedata table.

    Parameters
    ----------
    text : the whole file
    file : its name, which may hold the date: `spx_2023-09-14_close.csv`, `..._1155ET.csv`
    at : when the quotes were in force, if the user knows better

    Raises
    ------
    DataError
        No heading, no rows, cut off in the middle, several underlyings, or no readable date.
    UsageError
        `at` is no time.
    """
    lines = text.splitlines()
    start = _headings(lines[:SEARCH_LINES])
    if start is None:
        raise DataError(
            "has no heading 'Expiration Date,Calls,...,Strike,Puts,...'", file=file, remedy=AGAIN
        )
    columns = [name.strip().lower() for name in next(csv.reader([lines[start]]))]
    quotes, unreadable = _rows(lines[start + 1 :], columns, start + 2, file, text.endswith("\n"))
    head = [line for line in lines[:start] if line.strip(" ,\ufeff")]
    words = " , ".join(head)
    named = next(csv.reader(head[:1]), [""])
    said = _after_date(head)
    page = Page(
        file, named[0].strip(), stamps.read_words(said), said, _labelled("Last", words),
        _labelled("Bid", words), _labelled("Ask", words), "index" in named[0].lower(), quotes,
        unreadable,
    )  # fmt: skip
    return _snapshot(page, at, "Cboe quotedata")


def is_json(text: str) -> bool:
    """Whether `text` looks like Cboe's JSON chain."""
    return text.lstrip()[:1] == "{" and '"options"' in text and '"option"' in text


def read_json(text: str, file: str, at: str | None = None) -> Snapshot:
    """Read Cboe's JSON chain; arguments and errors as `read_table`."""
    try:
        whole = json.loads(text)
        data, rows = whole["data"], whole["data"]["options"]
        items = [(row["option"], row) for row in rows]
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"is no whole Cboe JSON chain: {error}", file=file, remedy=AGAIN) from None
    good = [(name, row) for name, row in items if isinstance(name, str) and isinstance(row, dict)]
    quotes = [
        Quote(
            name.strip(), _given(row.get("bid")), _given(row.get("ask")), None,
            _size(row.get("bid_size")), _size(row.get("ask_size")),
        )
        for name, row in good
    ]  # fmt: skip
    said = str(whole.get("timestamp", ""))
    wall = stamps.read_words(f"{said} UTC")  # the clock of this variant is UTC
    kind = str(data.get("security_type", "")).lower()
    price = data.get("current_price", data.get("close"))
    page = Page(
        file, str(data.get("symbol", whole.get("symbol", ""))), wall, said, _given(price),
        _given(data.get("bid")), _given(data.get("ask")), kind == "index", quotes,
        len(items) - len(good),
    )  # fmt: skip
    return _snapshot(page, at, "Cboe JSON")


def _headings(lines: list[str]) -> int | None:
    """Index of the line of headings, None without one."""
    for i, line in enumerate(lines):
        names = line.lower()
        if all(name in names for name in HEADINGS):
            return i
    return None


def _rows(
    lines: list[str], columns: list[str], first: int, file: str, ended: bool
) -> tuple[list[Quote], int]:
    """Both options of every row, and how many options could not be read."""
    strike, halves = _places(columns, file)
    width, quotes, unreadable, last = len(columns), [], 0, 0
    for number, row in enumerate(csv.reader(lines), first):
        if not any(cell.strip() for cell in row):
            continue
        last = len(row)
        at = _decimal(row[strike]) if len(row) >= width else math.nan
        for name, bid, ask in halves:
            if math.isnan(at):
                unreadable += 1
                continue
            quotes.append(Quote(row[name].strip(), _decimal(row[bid]), _decimal(row[ask]), at))
        if len(row) < width and number - first == len(lines) - 1 and not ended:
            raise DataError(
                f"ends in the middle of a row, after {last} of {width} columns",
                file=file, row=number, remedy=AGAIN,
            )  # fmt: skip
    if not quotes:
        raise DataError("has headings but no readable rows", file=file, remedy=AGAIN)
    return quotes, unreadable


def _places(columns: list[str], file: str) -> tuple[int, list[tuple[int, int, int]]]:
    """Column of the strike, and (symbol, bid, ask) of the call and of the put."""
    try:
        strike, call, put = (columns.index(name) for name in ("strike", "calls", "puts"))
        halves = [
            (side, columns.index("bid", side), columns.index("ask", side)) for side in (call, put)
        ]
    except ValueError as error:
        raise DataError(f"lacks a column: {error}", file=file, remedy=AGAIN) from None
    return strike, halves


def _snapshot(page: Page, at: str | None, reader: str) -> Snapshot:
    """Terms, instants and time for a page's quotes, and what had to be left out."""
    tally: Counter[str] = Counter()
    if page.unreadable:
        tally[UNREADABLE] = page.unreadable
    terms: dict[str, Product] = {}
    fixing: dict[tuple[str, str], int] = {}
    rows: list[dict[str, Any]] = []
    for quote in page.quotes:
        row = _row(quote, page.index, terms, fixing, tally)
        if row is not None:
            rows.append(row)
    if not rows:
        raise DataError(f"no row names an option ({dict(tally)})", file=page.file, remedy=AGAIN)
    names = {t.underlying for t in terms.values()}
    if len(names) > 1:
        raise DataError(
            f"holds options on {', '.join(sorted(names))}",
            file=page.file, remedy="Split it: a surface has one underlying.",
        )  # fmt: skip
    one = next(iter(terms.values()))
    sized = rows[0]["bid_size"] is not None
    frame = pl.DataFrame(rows, SCHEMA | SIZES, orient="row")
    valuation_ns, notes = _valuation(page, at)
    kept, two_sided = sift(
        frame if sized else frame.drop(list(SIZES)), valuation_ns, tally, file=page.file
    )
    return Snapshot(
        underlying=one.underlying, kind=one.kind, american=one.american,
        valuation_ns=valuation_ns, last=page.last, bid=page.bid, ask=page.ask,
        quotes=kept, read=len(page.quotes) + page.unreadable, read_two_sided=two_sided,
        quarantined=dict(sorted(tally.items())), notes=notes, reader=reader,
    )  # fmt: skip


def _row(
    quote: Quote,
    index: bool,
    terms: dict[str, Product],
    fixing: dict[tuple[str, str], int],
    tally: Counter[str],
) -> dict[str, Any] | None:
    """One row of the frame, or None after counting why there is none."""
    try:
        option = parse_osi(quote.symbol.lstrip("^_"))
    except DataError:
        tally[UNREADABLE] += 1
        return None
    root, strike = option.root, option.strike_e9 / 1e9
    if quote.strike is not None and abs(quote.strike - strike) > 5e-4:
        tally["symbol and strike disagree"] += 1
        return None
    if is_adjusted(root):
        tally["adjusted root"] += 1
        return None
    if quote.bid < 0.0 or quote.ask < 0.0:
        tally["negative price"] += 1
        return None
    if root not in terms:
        terms[root] = product(root, kind="index" if index else "equity")
    key = (root, option.expiry.isoformat())
    if key not in fixing:
        fixing[key] = instants(terms[root], key[1]).fixing_ns
    return {
        "expiry": fixing[key], "date": option.expiry, "root": root, "strike": strike,
        "right": option.right, "bid": quote.bid, "ask": quote.ask,
        "style": "american" if terms[root].american else "european",
        "bid_size": quote.bid_size, "ask_size": quote.ask_size,
    }  # fmt: skip


def _valuation(page: Page, at: str | None) -> tuple[int, tuple[str, ...]]:
    """When the quotes were in force: the user's word, the file's own, or its name's."""
    named = stamps.read_name(page.file)
    wall = page.stamp or named
    known = None if wall is None else stamps.taken(wall)
    if at is not None:
        day = None if known is None else stamps.new_york_day(known[0])
        return stamps.read_at(at, day), ()
    if known is None:
        raise DataError(
            f"its date {page.said!r} cannot be read, and its name holds none",
            file=page.file, remedy=f"Say when with --at, as {stamps.AT_EXAMPLES}.",
        )  # fmt: skip
    notes = [known[1]] if known[1] else []
    if page.stamp is None:
        notes.append(f"the date {page.said!r} cannot be read: the file name was believed")
    elif named is not None:
        other = stamps.new_york_day(stamps.taken(named)[0])
        if other != stamps.new_york_day(known[0]) and "preopen" not in page.file:
            notes.append(f"the file name says {other}, its own words {page.said!r} were believed")
    return known[0], tuple(notes)


def _after_date(head: list[str]) -> str:
    """What follows `Date:`, up to the bid; commas and quotes as they come."""
    for line in head:
        found = re.search(r"date:\s*(.*?)(?:\"?\s*,\s*\"?bid:|$)", line, re.IGNORECASE)
        if found:
            return found.group(1).strip(' ",')
    return ""


def _labelled(label: str, words: str) -> float:
    """The number after `label:`, NaN without one or at zero."""
    found = re.search(rf"\b{label}:\s*({NUMBER.pattern})", words, re.IGNORECASE)
    value = _decimal(found.group(1)) if found else math.nan
    return value if value > 0.0 else math.nan


def _decimal(cell: str) -> float:
    """A cell as a number; NaN where it is blank, a dash or does not read."""
    cell = cell.strip()
    return float(cell.replace(",", "")) if NUMBER.fullmatch(cell) else math.nan


def _given(value: Any) -> float:
    """A JSON number as float; NaN for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return math.nan
    return float(value)


def _size(value: Any) -> int:
    """A JSON size in contracts; one that is no number is as good as none."""
    found = _given(value)
    return int(found) if 0.0 <= found < 2**62 else 0
