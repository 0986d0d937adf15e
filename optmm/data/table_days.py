"""A trade date out of a vendor's table: OptionsDX, DataShop, Massive, or our own table of quotes.

Two passes: the first finds the series, the second yields the events. A chain at an instant is a
quote of every option in it; the price of the underlying comes with it where the table has one.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from optmm.data import formats, quote_rows, stamps
from optmm.data.formats import Context, TableFormat
from optmm.data.quote_rows import SERIES
from optmm.data.tape import Ledger, Progress, Watch, bounds, session_of, sha256
from optmm.errors import DataError
from optmm.market.calendar import iso
from optmm.market.chain import Chain, Session, Underlying
from optmm.market.events import Kind, empty
from optmm.market.instruments import Option, has_osi
from optmm.market.products import PRODUCTS, list_chain

E9 = 1e9
UNKNOWN_SIZE = 1  # a quote stands for one contract at least


def trading_days(table: TableFormat, path: Path) -> dict[str, tuple[str, ...]]:
    """Dates with usable rows, by underlying."""
    found: dict[str, set[str]] = {}
    for rows in formats.judged(table, path, Context(path.name)):
        good = rows.filter(pl.col("reason").is_null())
        for name, day in good.select("underlying", _new_york_day()).unique().iter_rows():
            found.setdefault(name, set()).add(day.isoformat())
    return {name: tuple(sorted(days)) for name, days in sorted(found.items())}


def _new_york_day() -> pl.Expr:
    zoned = pl.from_epoch("ts", "ns").dt.replace_time_zone("UTC")
    return zoned.dt.convert_time_zone(stamps.NEW_YORK).dt.date().alias("day")


@dataclass(frozen=True, slots=True)
class TableDay:
    """One date of one underlying in a table, as a `DayStream`."""

    table: TableFormat
    path: Path
    chain: Chain
    session: Session
    bar_ns: int
    sources: tuple[tuple[str, str], ...]
    place: pl.DataFrame  # row of every series
    sized: bool
    open_interest: np.ndarray | None = None

    @property
    def reader(self) -> str:
        """The table's format."""
        return self.table.name

    def blocks(self, ledger: Ledger, progress: Progress) -> Iterator[np.ndarray]:
        """Events in the order of the file."""
        n = len(self.chain)
        watch = Watch(n + 1, single=not self.table.tape)
        shown: set[int] = set()
        ledger.notes.extend(self.table.notes)
        if not self.sized:
            ledger.notes.append(f"sizes are not given: {UNKNOWN_SIZE} contract is assumed")
        priced = False
        yield bounds(self.session, n)
        context = Context(self.path.name, underlying=self.chain.underlying.symbol)
        for rows in formats.judged(self.table, self.path, context):
            mine = self._mine(rows)
            ledger.rows += mine.height
            good = quote_rows.tally_of(self._in_session(mine), ledger.quarantined)
            quotes = _quotes(good)
            stands = watch.stands(quotes, ledger)
            spots = _spots(good.filter(~pl.col("ts").is_in(list(shown))), n)
            if not self.table.tape:
                shown.update(good["ts"].unique().to_list())
            priced |= spots.size > 0
            yield np.concatenate([quotes[stands], spots, _prints(good.filter(stands))])
            progress(rows.height)
        if not priced:
            symbol = self.chain.underlying.symbol
            ledger.notes.append(f"{symbol} has no prices: use the forward of put-call parity")

    def _mine(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Rows of this underlying and date, and those that do not say whose they are."""
        # what names no root or no time could be anybody's: it is counted here, not lost
        ours = (pl.col("underlying") == self.chain.underlying.symbol).fill_null(True)
        return rows.with_columns(_new_york_day()).filter(
            ours & (pl.col("day").is_null() | (pl.col("day").cast(pl.String) == self.session.date))
        )

    def _in_session(self, rows: pl.DataFrame) -> pl.DataFrame:
        """`rows` with their place in the chain and the reasons that a trading day adds."""
        rows = rows.join(self.place, on=["root", *SERIES[1:]], how="left", maintain_order="left")
        ts, session = pl.col("ts"), self.session
        more = quote_rows.first_of(
            ("unknown symbol", pl.col("row").is_null()),
            ("expiry is not the instant of its root", pl.col("expiry") != pl.col("fixing")),
            ("outside the session", (ts < session.open_ns) | (ts > session.close_ns)),
            ("after the last trade of its series", ts > pl.col("stop")),
        )
        return rows.with_columns(reason=pl.coalesce("reason", more))


def _quotes(rows: pl.DataFrame) -> np.ndarray:
    out = empty(rows.height)
    out["kind"], out["instrument"] = Kind.QUOTE, rows["row"].to_numpy()
    out["ts_event_ns"] = out["ts_recv_ns"] = rows["ts"].to_numpy()
    for side in ("bid", "ask"):
        price = rows[side].fill_null(0.0).to_numpy()
        out[f"{side}_e9"] = np.rint(price * E9).astype(np.int64)
        lots = rows[f"{side}_size"].fill_null(UNKNOWN_SIZE).to_numpy()
        out[f"{side}_lots"] = np.where(price > 0.0, lots, 0)
    return out


def _spots(rows: pl.DataFrame, n: int) -> np.ndarray:
    """Quotes, else prints, of the underlying: one an instant."""
    each = rows.unique("ts", keep="first", maintain_order=True)
    out = []
    quoted = each.filter(pl.col("spot_bid").is_not_null() & pl.col("spot_ask").is_not_null())
    printed = each.filter(pl.col("spot").is_not_null())
    for kind, frame, low, high in (
        (Kind.UNDERLYING_QUOTE, quoted, "spot_bid", "spot_ask"),
        (Kind.UNDERLYING_TRADE, printed, "spot", "spot"),
    ):
        events = empty(frame.height)
        events["kind"], events["instrument"] = kind, n
        events["ts_event_ns"] = events["ts_recv_ns"] = frame["ts"].to_numpy()
        events["bid_e9"] = np.rint(frame[low].to_numpy() * E9).astype(np.int64)
        events["ask_e9"] = np.rint(frame[high].to_numpy() * E9).astype(np.int64)
        out.append(events)
    return np.concatenate(out)


def _prints(rows: pl.DataFrame) -> np.ndarray:
    """Bars of the prints of the interval that ended."""
    traded = rows.filter(
        (pl.col("volume") > 0) & (pl.col("low") > 0) & (pl.col("high") >= pl.col("low"))
    )
    out = empty(traded.height)
    out["kind"], out["instrument"] = Kind.BAR, traded["row"].to_numpy()
    out["ts_event_ns"] = out["ts_recv_ns"] = traded["ts"].to_numpy()
    out["bid_e9"] = np.rint(traded["low"].to_numpy() * E9).astype(np.int64)
    out["ask_e9"] = np.rint(traded["high"].to_numpy() * E9).astype(np.int64)
    out["bid_lots"] = traded["volume"].to_numpy().astype(np.int64)
    return out


def open_table(table: TableFormat, path: Path, underlying: str, date: str) -> TableDay:
    """The first pass: series, instants and terms of one date.

    Raises
    ------
    DataError
        The table has no usable row of that underlying on that date, or is damaged.
    """
    day, name = iso(date), underlying.upper()
    if name in PRODUCTS:  # a root answers for its underlying
        name = PRODUCTS[name].underlying
    series: set[tuple] = set()
    instants: set[int] = set()
    kinds: set[str] = set()
    american: dict[str, bool] = {}
    sized = False
    for rows in formats.judged(table, path, Context(path.name, underlying=name)):
        good = rows.with_columns(_new_york_day()).filter(
            pl.col("reason").is_null() & (pl.col("underlying") == name)
            & (pl.col("day").cast(pl.String) == day)
        )  # fmt: skip
        series.update(good.select(SERIES).unique().iter_rows())
        kinds.update(good["kind"].unique().to_list())
        styles = good.select("root", pl.col("style") == "american").unique()
        american.update(dict(styles.iter_rows()))
        sized |= bool(good["bid_size"].is_not_null().any())
        if not table.tape:
            instants.update(good["ts"].unique().to_list())
    options = {key: Option(key[0], key[1], key[3], round(key[2] * E9)) for key in series}
    options = {key: option for key, option in options.items() if has_osi(option)}
    if not options:
        raise DataError(f"has no usable row of {name} on {day}", file=path.name)
    kind = min(kinds)
    terms = quote_rows.terms_of(min(option.root for option in options.values()), kind)
    chain = list_chain(
        options.values(), date=day, kind=kind, american=american,
        underlying=Underlying(name, kind, terms.underlying_multiplier, terms.underlying_tick_e9),
    )  # fmt: skip
    return TableDay(
        table=table, path=path, chain=chain, session=session_of(chain, day),
        bar_ns=_spacing(instants), sources=((path.name, sha256(path)),),
        place=_place(chain, options), sized=sized,
    )  # fmt: skip


def _place(chain: Chain, options: dict[tuple, Option]) -> pl.DataFrame:
    """Row, fixing and end of trading of every series of the table."""
    at = {symbol: i for i, symbol in enumerate(chain.symbol)}
    rows = []
    for key, option in options.items():
        i = at[option.osi]
        rows.append((*key, i, int(chain.fixing_ns[i]), int(chain.last_trade_ns[i])))
    types = {n: quote_rows.ROWS[n] for n in SERIES} | {
        "row": pl.Int32, "fixing": pl.Int64, "stop": pl.Int64
    }  # fmt: skip
    return pl.DataFrame(rows, types, orient="row")


def _spacing(instants: set[int]) -> int:
    """Time between the chains of a day, 0 for a tape or a single chain."""
    return int(np.diff(sorted(instants)).min()) if len(instants) > 1 else 0
