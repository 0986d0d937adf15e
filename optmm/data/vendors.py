"""Tables of OptionsDX, Cboe DataShop, Yahoo Finance (yfinance) and Massive (Polygon).

Clocks are New York's unless a column is an epoch. Greeks are never read; a vendor's own implied
vol is passed on as `vol` and used for nothing.
Sources: the vendors' column lists; Cboe's note that "1545" is 12:45 on half days from 2020-02-05.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from optmm.data import stamps
from optmm.data.formats import Context, register
from optmm.data.quote_rows import first_of, number, terms_of
from optmm.errors import DataError, UsageError
from optmm.market import calendar
from optmm.market.products import PRODUCTS

E9 = 1_000_000_000
HALF_DAY_SINCE = "2020-02-05"  # from then on "1545" means 12:45 where the market shuts early
DELIVERABLE = "unknown deliverable"
RIGHTS = {"c": 1, "call": 1, "calls": 1, "p": -1, "put": -1, "puts": -1}


def clock_ns(frame: pl.DataFrame, name: str, *forms: str) -> pl.Expr:
    """A column of clocks as ns UTC; null where it does not read.

    Text in one of `forms` and timestamps without a zone are New York's.
    """
    kind = frame.schema[name]
    wall = pl.col(name)
    if not isinstance(kind, pl.Datetime):
        text = wall.cast(pl.String)
        wall = pl.coalesce(
            text.str.to_datetime(form, time_unit="ns", strict=False) for form in forms
        )
    elif kind.time_zone is not None:
        return wall.dt.epoch("ns")
    zoned = wall.dt.replace_time_zone(stamps.NEW_YORK, ambiguous="earliest", non_existent="null")
    return zoned.dt.epoch("ns")


def date_of(name: str) -> pl.Expr:
    """A column of dates, or of text YYYY-MM-DD or MM/DD/YYYY, as dates; null where unreadable."""
    text = pl.col(name).cast(pl.String).str.slice(0, 10)
    return pl.coalesce(
        text.str.to_date("%Y-%m-%d", strict=False), text.str.to_date("%m/%d/%Y", strict=False)
    )


def right_of(name: str) -> pl.Expr:
    """+1 for a call, -1 for a put, null for anything else."""
    text = pl.col(name).cast(pl.String).str.to_lowercase()
    return text.replace_strict(RIGHTS, default=None, return_dtype=pl.Int8)


def positive(name: str) -> pl.Expr:
    """A price of the underlying; null where it is absent, zero or no number."""
    value = number(name)
    return pl.when((value > 0.0) & value.is_finite()).then(value)


def optional(frame: pl.DataFrame, name: str) -> pl.Expr:
    """`number` of a column that not every file has."""
    return number(name) if name in frame.columns else pl.lit(None, pl.Float64)


@dataclass(frozen=True, slots=True)
class OptionsDx:
    """OptionsDX text files: a call and a put in one row, the symbol only in the file's name."""

    name: str = "OptionsDX"
    tape: bool = False
    has_days: bool = True
    notes: tuple[str, ...] = (
        "OptionsDX names no settlement class: an index expiry counts as AM-settled only where "
        "EXPIRE_UNIX lies before noon in New York",
    )

    def recognises(self, columns: Sequence[str]) -> bool:
        return {"quote_unixtime", "expire_date", "strike", "c_bid", "p_ask"} <= set(columns)

    def timed(self, columns: Sequence[str]) -> bool:
        return True

    def rows(self, frame: pl.DataFrame, context: Context) -> pl.DataFrame:
        symbol = _symbol(context)
        symbol = PRODUCTS[symbol].underlying if symbol in PRODUCTS else symbol
        unix = number("quote_unixtime")
        wall = clock_ns(frame, "quote_readtime", "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S")
        ts = pl.when(unix.is_finite()).then(unix).cast(pl.Int64, strict=False) * E9
        shared = frame.with_columns(
            ts=ts, date=date_of("expire_date"), underlying=pl.lit(symbol),
            root=_settlement_class(symbol), strike=number("strike"), _wall=wall,
            spot=positive("underlying_last"),
        )  # fmt: skip
        halves = [_half(shared, side, right) for side, right in (("c", 1), ("p", -1))]
        odd = pl.col("_wall").is_null() | ((pl.col("_wall") - pl.col("ts")).abs() > 60 * E9)
        return pl.concat(halves).with_columns(reason=first_of(("its two clocks disagree", odd)))


def _symbol(context: Context) -> str:
    """Underlying of an OptionsDX file: as its name says, else as the user does."""
    named = re.match(r"([A-Za-z.]{1,6})_(?:eod|\d)", context.file)
    if named is None and context.underlying is not None:
        return context.underlying.upper()
    return re.split(r"[._-]", context.file, maxsplit=1)[0].upper()


def _settlement_class(symbol: str) -> pl.Expr:
    """Root of an OptionsDX row: that of the afternoon where an index has both, see `notes`."""
    mine = [p for p in PRODUCTS.values() if p.underlying == symbol and p.kind == "index"]
    morning = next((p.root for p in mine if p.am_settled), symbol)
    evening = next((p.root for p in mine if not p.am_settled), symbol)
    seconds = number("expire_unix").cast(pl.Int64, strict=False)
    hour = (
        pl.from_epoch(seconds, "s").dt.replace_time_zone("UTC")
        .dt.convert_time_zone(stamps.NEW_YORK).dt.hour()
    )  # fmt: skip
    return pl.when(hour < 12).then(pl.lit(morning)).otherwise(pl.lit(evening))


def _half(frame: pl.DataFrame, side: str, right: int) -> pl.DataFrame:
    """The calls or the puts of an OptionsDX table."""
    text = pl.col(f"{side}_size").cast(pl.String)
    sizes = [text.str.extract(r"^\s*(\d+)\s*[xX]\s*(\d+)\s*$", n) for n in (1, 2)]
    return frame.select(
        "ts", "date", "underlying", "root", "strike", "spot", "_wall",
        right=pl.lit(right, pl.Int8), bid=number(f"{side}_bid"), ask=number(f"{side}_ask"),
        bid_size=sizes[0].cast(pl.Float64), ask_size=sizes[1].cast(pl.Float64),
        vol=number(f"{side}_iv"),
    )  # fmt: skip


def _of_datashop(frame: pl.DataFrame) -> pl.DataFrame:
    """What both kinds of DataShop file share."""
    symbol = pl.col("underlying_symbol").str.strip_chars()
    code = pl.col("delivery_code") if "delivery_code" in frame.columns else pl.lit("")
    odd = code.cast(pl.String).fill_null("").str.strip_chars() != ""
    return frame.with_columns(
        underlying=symbol.str.strip_prefix("^"),
        kind=pl.when(symbol.str.starts_with("^")).then(pl.lit("index")),
        root=pl.col("root").str.strip_chars().str.strip_prefix("^"), date=date_of("expiration"),
        strike=number("strike"), right=right_of("option_type"),
        reason=first_of((DELIVERABLE, odd)),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class DataShopIntervals:
    """Cboe DataShop option quotes at intervals: a chain at every `quote_datetime` (New York)."""

    name: str = "Cboe DataShop intervals"
    tape: bool = False
    has_days: bool = True
    notes: tuple[str, ...] = ()

    def recognises(self, columns: Sequence[str]) -> bool:
        needed = {"underlying_symbol", "quote_datetime", "root", "expiration", "option_type"}
        return needed | {"strike", "bid", "ask"} <= set(columns)

    def timed(self, columns: Sequence[str]) -> bool:
        return True

    def rows(self, frame: pl.DataFrame, context: Context) -> pl.DataFrame:
        low, high = (positive(n) if n in frame.columns else pl.lit(None) for n in ("low", "high"))
        vol = optional(frame, "implied_volatility")
        sides = ("underlying_bid", "underlying_ask", "active_underlying_price")
        spots = [positive(n) if n in frame.columns else pl.lit(None) for n in sides]
        return _of_datashop(frame).with_columns(
            ts=clock_ns(frame, "quote_datetime", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M"),
            bid=number("bid"), ask=number("ask"), bid_size=optional(frame, "bid_size"),
            ask_size=optional(frame, "ask_size"), spot_bid=spots[0], spot_ask=spots[1],
            spot=spots[2], low=low, high=high, volume=optional(frame, "trade_volume"), vol=vol,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class DataShopDays:
    """Cboe DataShop end of day, with or without Calcs: a chain at 15:45 and one at the close."""

    name: str = "Cboe DataShop end of day"
    tape: bool = False
    has_days: bool = True
    notes: tuple[str, ...] = (
        "the end-of-day quotes are those of the close of the options, 16:15 where a class has it",
    )

    def recognises(self, columns: Sequence[str]) -> bool:
        needed = {"underlying_symbol", "quote_date", "root", "expiration", "option_type"}
        return needed | {"strike", "bid_1545", "ask_1545", "bid_eod", "ask_eod"} <= set(columns)

    def timed(self, columns: Sequence[str]) -> bool:
        return True

    def rows(self, frame: pl.DataFrame, context: Context) -> pl.DataFrame:
        shared = _of_datashop(frame).with_columns(_day=date_of("quote_date"))
        shared = shared.join(
            _close_times(shared), on=["root", "kind", "_day"], how="left", nulls_equal=True,
            maintain_order="left",
        )  # fmt: skip
        parts = []
        for tail in ("1545", "eod"):
            price = f"active_underlying_price_{tail}"
            part = shared.select(
                "underlying", "kind", "root", "date", "strike", "right", "reason",
                ts=f"_{tail}",
                **{
                    short: optional(frame, f"{short}_{tail}")
                    for short in ("bid", "ask", "bid_size", "ask_size")
                },
                spot_bid=positive(f"underlying_bid_{tail}"),
                spot_ask=positive(f"underlying_ask_{tail}"),
                spot=positive(price) if price in frame.columns else pl.lit(None, pl.Float64),
                vol=optional(frame, f"implied_volatility_{tail}"),
            )  # fmt: skip
            parts.append(part)
        return pl.concat(parts)


def _close_times(frame: pl.DataFrame) -> pl.DataFrame:
    """When the two snapshots of a class were taken on each date; null without a session."""
    out = []
    for root, kind, day in frame.select("root", "kind", "_day").unique().iter_rows():
        taken: tuple[int | None, int | None] = (None, None)
        if day is not None and root:
            try:
                date = day.isoformat()
                close = calendar.hours_ns("NYSE", date)[1]
                early = close < calendar.at_ns(date, "16:00", stamps.NEW_YORK)
                time = "12:45" if early and date >= HALF_DAY_SINCE else "15:45"
                known = not early or date >= HALF_DAY_SINCE
                late = terms_of(root, kind).session(date).close_ns
                taken = (calendar.at_ns(date, time, stamps.NEW_YORK) if known else None, late)
            except (DataError, UsageError):
                pass
        out.append((root, kind, day, *taken))
    names = ("root", "kind", "_day", "_1545", "_eod")
    types = (pl.String, pl.String, pl.Date, pl.Int64, pl.Int64)
    return pl.DataFrame(out, dict(zip(names, types, strict=True)), orient="row")


@dataclass(frozen=True, slots=True)
class Yahoo:
    """The calls or puts of yfinance's `option_chain`, or both in one table."""

    name: str = "yfinance option chain"
    tape: bool = False
    has_days: bool = False
    notes: tuple[str, ...] = (
        "Yahoo does not say when its quotes were taken, and shows 0 for both sides out of hours",
    )

    def recognises(self, columns: Sequence[str]) -> bool:
        return {"contractsymbol", "strike", "bid", "ask"} <= set(columns)

    def timed(self, columns: Sequence[str]) -> bool:
        return False

    def rows(self, frame: pl.DataFrame, context: Context) -> pl.DataFrame:
        frame = frame.with_columns(
            _strike=number("strike"), bid=number("bid"), ask=number("ask"),
            vol=optional(frame, "impliedvolatility"), ts=pl.lit(context.at_ns, pl.Int64),
            contractsymbol=pl.col("contractsymbol").cast(pl.String),
        ).drop("strike", "volume", strict=False)  # fmt: skip
        frame = context.symbols.columns(frame, "contractsymbol")
        apart = (pl.col("strike") - pl.col("_strike")).abs() > 5e-4
        rules = [("symbol and strike disagree", apart)]
        if "contractsize" in frame.columns:
            size = pl.col("contractsize").cast(pl.String).str.to_uppercase()
            rules.append((DELIVERABLE, size != "REGULAR"))
        if "currency" in frame.columns:
            rules.append(("currency is not USD", pl.col("currency").cast(pl.String) != "USD"))
        return frame.with_columns(reason=first_of(*rules))


@dataclass(frozen=True, slots=True)
class Massive:
    """Massive (Polygon) quotes_v1: changes of the best market of one option a row."""

    name: str = "Massive quotes"
    tape: bool = True
    has_days: bool = True
    notes: tuple[str, ...] = ()

    def recognises(self, columns: Sequence[str]) -> bool:
        return {"ticker", "sip_timestamp", "bid_price", "ask_price"} <= set(columns)

    def timed(self, columns: Sequence[str]) -> bool:
        return True

    def rows(self, frame: pl.DataFrame, context: Context) -> pl.DataFrame:
        stamp = pl.col("sip_timestamp")
        dated = isinstance(frame.schema["sip_timestamp"], pl.Datetime)
        ts = stamp.dt.epoch("ns") if dated else stamp.cast(pl.Int64, strict=False)
        frame = frame.with_columns(
            ts=pl.when(ts > 0).then(ts), ticker=pl.col("ticker").cast(pl.String),
            bid=number("bid_price"), ask=number("ask_price"),
            bid_size=optional(frame, "bid_size"), ask_size=optional(frame, "ask_size"),
        )  # fmt: skip
        return context.symbols.columns(frame, "ticker")


for _table in (OptionsDx(), DataShopIntervals(), DataShopDays(), Yahoo(), Massive()):
    register(_table)
