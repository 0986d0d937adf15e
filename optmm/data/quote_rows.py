"""Rows of quotes in one shape, whatever table they came from, and what is wrong with each.

    column                        type     what
    ts                            Int64    when the quote was in force, ns UTC
    underlying, root              String   symbols; `root` is the settlement class
    kind                          String   of the underlying: "equity", "index"; null: by the root
    date                          Date     expiry as listed
    expiry                        Int64    end of optionality, ns UTC; null: that of its root
    strike, bid, ask              Float64  USD; a side that is absent is null
    right                         Int8     +1 call, -1 put
    bid_size, ask_size            Int64    contracts; null where the source has none
    style                         String   "american", "european"; null: that of its root
    spot_bid, spot_ask, spot      Float64  the underlying at `ts`, USD; null where unknown
    low, high, volume             Float64  prints of the interval that ended at `ts`; null without
    vol                           Float64  the vendor's own implied vol, decimal; never used here
    reason                        String   why the row cannot be used; null where it can

A row has one reason: the first that holds. Text that is no number is NaN until it is judged.
"""

from collections import Counter
from typing import Any

import polars as pl

from optmm.errors import DataError, UsageError
from optmm.market.instruments import Option, is_adjusted, parse_osi
from optmm.market.products import PRODUCTS, Product, instants, product

ROWS: dict[str, Any] = {
    "ts": pl.Int64, "underlying": pl.String, "root": pl.String, "kind": pl.String,
    "date": pl.Date, "expiry": pl.Int64, "strike": pl.Float64, "right": pl.Int8,
    "bid": pl.Float64, "ask": pl.Float64, "bid_size": pl.Int64, "ask_size": pl.Int64,
    "style": pl.String, "spot_bid": pl.Float64, "spot_ask": pl.Float64, "spot": pl.Float64,
    "low": pl.Float64, "high": pl.Float64, "volume": pl.Float64,
    "vol": pl.Float64, "reason": pl.String,
}  # fmt: skip
MAX_PRICE = 1e7  # USD; beyond it a float64 price is not exact to 1e-9
MAX_SIZE = 10**12
RAGGED = "row of another length"
SERIES = ["root", "date", "strike", "right"]
NAN = float("nan")


def number(name: str) -> pl.Expr:
    """A column as Float64: blank is null, text that is no number is NaN."""
    cell = pl.col(name)
    read = cell.cast(pl.Float64, strict=False)
    text = cell.cast(pl.String).str.strip_chars()
    return pl.when(cell.is_null() | (text == "")).then(None).otherwise(read.fill_null(NAN))


def first_of(*rules: tuple[str, pl.Expr]) -> pl.Expr:
    """The first reason whose expression holds, null where none does."""
    return pl.coalesce(pl.when(bad).then(pl.lit(reason)) for reason, bad in rules)


def complete(frame: pl.DataFrame) -> pl.DataFrame:
    """`frame` with every column of `ROWS`, judged, its instants and styles filled in.

    A format's own `reason` goes before ours. Sizes may be Float64, as `number` gives them.
    """
    absent = [name for name in ROWS if name not in frame.columns]
    frame = frame.with_columns(pl.lit(None, ROWS[name]).alias(name) for name in absent)
    frame = frame.with_columns(
        pl.col("root").str.to_uppercase(), pl.col("underlying").str.to_uppercase()
    )
    adjusted = [root for root in frame["root"].unique() if root and is_adjusted(root)]
    reasons = first_of(*_rules(adjusted))
    frame = _terms(frame).with_columns(reason=pl.coalesce("reason", reasons))
    sizes = [
        pl.when(pl.col("reason").is_null()).then(pl.col(n)).cast(pl.Int64, strict=False).alias(n)
        for n in ("bid_size", "ask_size")
    ]
    return frame.with_columns(sizes).select(
        pl.col(name).cast(kind, strict=False) for name, kind in ROWS.items()
    )


def _rules(adjusted: list[str]) -> tuple[tuple[str, pl.Expr], ...]:
    prices, sizes = ("bid", "ask"), ("bid_size", "ask_size")
    values = [pl.col(n).cast(pl.Float64) for n in (*prices, *sizes)]
    bid, ask, strike = (pl.col(n) for n in ("bid", "ask", "strike"))
    return (
        ("unknown symbol", pl.col("root").is_null() | (pl.col("root") == "")),
        ("adjusted root", pl.col("root").is_in(adjusted)),
        ("unreadable time", pl.col("ts").is_null()),
        ("unreadable expiry", pl.col("date").is_null() | pl.col("expiry").is_null()),
        ("unreadable right", pl.col("right").is_null()),
        ("unreadable strike", strike.is_null() | ~strike.is_finite() | (strike <= 0.0)),
        ("not a number", pl.any_horizontal(v.is_not_null() & ~v.is_finite() for v in values)),
        ("negative price or size", pl.any_horizontal(v < 0.0 for v in values)),
        ("out of range", (bid > MAX_PRICE) | (ask > MAX_PRICE)
         | pl.any_horizontal(pl.col(n).cast(pl.Float64) > MAX_SIZE for n in sizes)),
        ("crossed quote", (ask > 0.0) & (bid > ask)),
    )  # fmt: skip


def _terms(frame: pl.DataFrame) -> pl.DataFrame:
    """Underlying, kind, expiry and style of every (root, date) where the format left them out."""
    keys = frame.select("root", "date", "kind").unique()
    found = []
    for root, date, kind in keys.iter_rows():
        if not root or date is None or is_adjusted(root):
            continue
        try:
            terms = terms_of(root, kind)
            fixing = instants(terms, date.isoformat()).fixing_ns
        except (DataError, UsageError, ValueError, OverflowError):
            continue
        style = "american" if terms.american else "european"
        found.append((root, date, kind, fixing, style, terms.kind, terms.underlying))
    names = ("root", "date", "kind", "_expiry", "_style", "_kind", "_underlying")
    types = (pl.String, pl.Date, pl.String, pl.Int64, pl.String, pl.String, pl.String)
    table = pl.DataFrame(found, dict(zip(names, types, strict=True)), orient="row")
    joined = frame.join(table, on=["root", "date", "kind"], how="left", nulls_equal=True,
                        maintain_order="left")  # fmt: skip
    listed = pl.col("root").is_in(list(PRODUCTS))
    return joined.with_columns(
        expiry=pl.coalesce("expiry", "_expiry"),
        style=pl.coalesce("style", "_style"),
        kind=pl.coalesce("kind", "_kind"),
        underlying=pl.when(listed).then("_underlying")
        .otherwise(pl.coalesce("underlying", "_underlying")),
    ).drop("_expiry", "_style", "_kind", "_underlying")  # fmt: skip


def terms_of(root: str, kind: str | None) -> Product:
    """Terms of a root, the defaults of its class where the table does not list it."""
    return product(root, kind=kind or "equity")


class Symbols:
    """OSI symbols as columns; every distinct symbol is parsed once."""

    def __init__(self) -> None:
        self._known: dict[str, Option | None] = {}

    def columns(self, frame: pl.DataFrame, name: str) -> pl.DataFrame:
        """`frame` with root, date, strike and right of the symbol in column `name`.

        What is no symbol has null in all of them, which `complete` calls an unknown symbol.
        """
        rows = []
        for symbol in frame[name].unique():
            if symbol not in self._known:
                self._known[symbol] = _option(symbol)
            option = self._known[symbol]
            if option is not None:
                strike = option.strike_e9 / 1e9
                rows.append((symbol, option.root, option.expiry, strike, option.right))
        types = {name: pl.String} | {n: ROWS[n] for n in SERIES}
        table = pl.DataFrame(rows, types, orient="row")
        return frame.join(table, on=name, how="left", maintain_order="left")


def _option(symbol: str | None) -> Option | None:
    try:
        return None if symbol is None else parse_osi(symbol.strip())
    except DataError:
        return None


def tally_of(rows: pl.DataFrame, tally: Counter[str]) -> pl.DataFrame:
    """The rows without a reason; the others are counted by theirs."""
    for reason, n in rows["reason"].drop_nulls().value_counts().iter_rows():
        tally[reason] += n
    return rows.filter(pl.col("reason").is_null())
