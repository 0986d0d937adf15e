"""Deribit book summaries: options that are quoted, margined and paid in coin.

An inverse option pays max(±(S - K), 0) / S coins. Its quote in coin, times the forward of its own
expiry (`underlying_price`), is the undiscounted USD premium of the plain option on that forward:
Deribit's own marks are Black (1976) on the forward, divided by it. So what is read is a European
chain in USD with every discount factor 1, and parity reads (c - p) F = F - K. The price in coin is
not the price in USD at any other rate than F: not at the index, not at another expiry's forward.
Options on USDC or USDT are linear: their quotes are taken as they stand.

Expiry is 08:00 UTC. `mark_iv` is percent and passed on as a decimal. Amounts are fractions of a
coin, which lots of contracts cannot say: sizes are left out. The rows of one summary were asked for
one after the other; the latest stamp stands for all of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import polars as pl

from optmm.data.formats import Context, register
from optmm.data.quote_rows import first_of, number
from optmm.data.vendors import optional, positive

NAME = r"^([A-Z0-9]+?)(?:_(USDC|USDT))?-(\d{1,2}[A-Z]{3}\d{2})-(\d+(?:d\d+)?)-([CP])$"
HOUR_NS = 3_600_000_000_000
EXPIRY_HOUR = 8  # UTC
STAMPS = ("creation_timestamp", "timestamp")  # ms UTC


@dataclass(frozen=True, slots=True)
class Deribit:
    """Summaries with the API's names, with best prices and amounts, or one snapshot a row set."""

    name: str = "Deribit book summary"
    tape: bool = False
    has_days: bool = False  # it trades around the clock, every day
    notes: tuple[str, ...] = (
        "coin prices were multiplied by the forward of their expiry: premiums are undiscounted USD",
    )
    SPELLINGS: ClassVar[tuple[tuple[str, str, str], ...]] = (
        ("instrument_name", "bid_price", "ask_price"),
        ("instrument_name", "best_bid_price", "best_ask_price"),
        ("instrument", "bid", "ask"),
    )

    def recognises(self, columns: Sequence[str]) -> bool:
        return "underlying_price" in columns and self._spelling(columns) is not None

    def timed(self, columns: Sequence[str]) -> bool:
        return "snapshot_utc" in columns or any(name in columns for name in STAMPS)

    def rows(self, frame: pl.DataFrame, context: Context) -> pl.DataFrame:
        spelling = self._spelling(frame.columns)
        assert spelling is not None
        symbol, bid, ask = spelling
        part = [pl.col(symbol).cast(pl.String).str.extract(NAME, n) for n in range(1, 6)]
        inverse = part[1].is_null()
        forward = positive("underlying_price")
        rate = pl.when(inverse).then(forward).otherwise(1.0)
        date = part[2].str.to_titlecase().str.to_date("%d%b%y", strict=False)
        midnight = date.cast(pl.Datetime("ns")).dt.epoch("ns")
        rules = [("no forward to convert coin prices with", inverse & forward.is_null())]
        if "exchange" in frame.columns:
            other = pl.col("exchange").cast(pl.String).str.to_lowercase() != "deribit"
            rules.insert(0, ("another exchange", other))
        return frame.select(
            ts=self._stamp(frame, context),
            underlying=part[0],
            root=pl.when(inverse).then(part[0]).otherwise(part[0] + "_" + part[1]),
            kind=pl.lit("index"), date=date, expiry=midnight + EXPIRY_HOUR * HOUR_NS,
            strike=part[3].str.replace("d", ".", literal=True).cast(pl.Float64, strict=False),
            right=pl.when(part[4] == "C").then(1).when(part[4] == "P").then(-1),
            bid=number(bid) * rate, ask=number(ask) * rate, style=pl.lit("european"),
            spot=positive("index_price") if "index_price" in frame.columns else pl.lit(None),
            vol=optional(frame, "mark_iv") / 100.0, reason=first_of(*rules),
        )  # fmt: skip

    def _spelling(self, columns: Sequence[str]) -> tuple[str, str, str] | None:
        return next((s for s in self.SPELLINGS if set(s) <= set(columns)), None)

    def _stamp(self, frame: pl.DataFrame, context: Context) -> pl.Expr:
        """When the quotes were in force, ns UTC."""
        if "snapshot_utc" in frame.columns:
            text = pl.col("snapshot_utc").cast(pl.String).str.replace("T", " ").str.slice(0, 19)
            when = text.str.to_datetime("%Y-%m-%d %H:%M:%S", time_unit="ns", strict=False)
            return when.dt.epoch("ns")
        for name in STAMPS:
            if name in frame.columns:
                return number(name).max().cast(pl.Int64, strict=False) * 1_000_000
        return pl.lit(context.at_ns, pl.Int64)


register(Deribit())
