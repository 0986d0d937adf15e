"""One instant of one option class: what every source of quotes is turned into before a fit.

`quotes` has one row an option, sorted by (expiry, root, strike, call before put):

    column              type     what
    expiry              Int64    the end of optionality, ns UTC: 09:30 New York for AM-settled
                                 roots, 16:00 for PM roots (`optmm.market.products`)
    date                Date     expiry as listed
    root                String   settlement class: SPX and SPXW may share a date
    strike, bid, ask    Float64  USD; a side that is absent is NaN
    right               Int8     +1 call, -1 put
    bid_size, ask_size  Int64    contracts, only where the source has them
    style               String   "american" or "european"

so that `surfaces.fit(snapshot.quotes, valuation_ns=snapshot.valuation_ns)` reads it as it stands.
Nothing vanishes: rows that are left out are counted by reason in `quarantined`.
"""

import datetime as dt
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from optmm.errors import DataError

SCHEMA: dict[str, Any] = {
    "expiry": pl.Int64, "date": pl.Date, "root": pl.String, "strike": pl.Float64,
    "right": pl.Int8, "bid": pl.Float64, "ask": pl.Float64, "style": pl.String,
}  # fmt: skip
SIZES: dict[str, Any] = {"bid_size": pl.Int64, "ask_size": pl.Int64}
CONTRACT = ["expiry", "root", "strike", "right"]
LEAST_TWO_SIDED = 0.25  # real sessions show 0.8 and more, a file from before the open 0.015
MOSTLY = 0.5  # more than this share already expired: the date is wrong
TIGHT = 0.002  # an underlying's quote is believed when its width is at most this share of its mid


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Quotes of one option class in force at `valuation_ns`. USD; NaN where a price is absent."""

    underlying: str
    kind: str  # of the underlying: "equity", "index", "future"
    american: bool  # exercise style of the class; each row has its own
    valuation_ns: int  # UTC
    last: float
    bid: float
    ask: float
    quotes: pl.DataFrame
    read: int  # options read, before anything was left out
    read_two_sided: int  # those of them with a bid and an ask
    quarantined: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()  # what a user should know about time and quality
    reader: str = ""

    @property
    def spot(self) -> float | None:
        """Middle of a tight quote of something that trades, else the last price; None without."""
        width, mid = self.ask - self.bid, 0.5 * (self.ask + self.bid)
        if self.kind != "index" and self.bid > 0.0 and 0.0 <= width <= TIGHT * mid:
            return mid
        return self.last if self.last > 0.0 and math.isfinite(self.last) else None

    @property
    def two_sided_share(self) -> float:
        """Share of the options alive at `valuation_ns` that have both sides; NaN without any."""
        alive = self.quotes.height + self.quarantined.get("no quote at all", 0)
        if not alive:
            return math.nan
        return self.quotes.filter(both_sides()).height / alive

    def check(self) -> "Snapshot":
        """Itself, if a surface can be fitted to it.

        Raises
        ------
        DataError
            Nothing is left, or too few options have both sides; says which and what to do.
        """
        share = self.two_sided_share
        if self.quotes.is_empty() or share < LEAST_TWO_SIDED:
            aside = ", ".join(f"{reason} {n:,}" for reason, n in self.quarantined.items())
            alive = f" ({100 * share:.1f} % of those alive)" if math.isfinite(share) else ""
            raise DataError(
                "; ".join(
                    (
                        f"{self.underlying}: {self.quotes.height:,} of {self.read:,} options are "
                        f"usable, and only {100 * self.read_two_sided / max(self.read, 1):.1f} % "
                        f"have both sides{alive}",
                        f"set aside: {aside or 'nothing'}",
                        *self.notes,
                    )
                ),
                remedy=f"A fit wants {100 * LEAST_TWO_SIDED:.0f} % two-sided: take the snapshot "
                "while the options trade, or after their close.",
            )
        return self


def both_sides() -> pl.Expr:
    """Rows with a bid and an ask."""
    return pl.col("bid").is_not_nan() & pl.col("ask").is_not_nan()


def sift(
    rows: pl.DataFrame, valuation_ns: int, tally: Counter[str], *, file: str | None = None
) -> tuple[pl.DataFrame, int]:
    """What can be used of `rows` (the columns above), in order, and how many had both sides.

    A price that is missing, zero or negative, or whose size is zero, is absent. Reasons counted
    in `tally`, each row once: expired, duplicate contract, no quote at all, crossed. A contract
    listed twice keeps its first row.

    Raises
    ------
    DataError
        Most rows have expired by `valuation_ns`: the time is wrong, not the market.
    """
    for side in ("bid", "ask"):
        absent = ~(pl.col(side) > 0.0) | pl.col(side).is_null() | pl.col(side).is_infinite()
        if f"{side}_size" in rows.columns:
            absent |= pl.col(f"{side}_size") == 0
        rows = rows.with_columns(pl.when(absent).then(math.nan).otherwise(side).alias(side))
    two_sided = rows.filter(both_sides()).height
    expired = rows.filter(pl.col("expiry") <= valuation_ns).height
    if rows.height and expired > MOSTLY * rows.height:
        raise DataError(
            f"{expired:,} of {rows.height:,} options had expired by {utc(valuation_ns)}",
            file=file,
            remedy="The time is wrong: give the right one with --at 'YYYY-MM-DD HH:MM'.",
        )
    neither = pl.col("bid").is_nan() & pl.col("ask").is_nan()
    rules: Sequence[tuple[str, pl.Expr]] = (
        ("expired", pl.col("expiry") <= valuation_ns),
        ("duplicate contract", ~pl.struct(CONTRACT).is_first_distinct()),
        ("no quote at all", neither),
        ("crossed", both_sides() & (pl.col("bid") > pl.col("ask"))),
    )
    for reason, bad in rules:
        kept = rows.filter(~bad)
        if kept.height < rows.height:
            tally[reason] += rows.height - kept.height
        rows = kept
    return rows.sort(CONTRACT, descending=[False, False, False, True]), two_sided


def utc(ns: int) -> str:
    """An instant in ns UTC as ISO 8601 to the second, ending in Z."""
    return dt.datetime.fromtimestamp(ns // 10**9, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
