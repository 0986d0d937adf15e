"""How good a source is, counted while it streams by: sides, locks, ages, gaps, parity.

All counts are of option quotes that were kept; what was set aside is counted by reason.
"""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from optmm.data.quote_rows import SERIES
from optmm.market.chain import Chain, Session
from optmm.market.events import Kind

OLD_NS = 300 * 10**9  # a quote is old, and a feed has a gap, after five minutes...
OLD_BARS = 1.5  # ...or so many of its bars, where those are longer
YEAR_NS = 365 * 86_400 * 10**9
RATE, RATE_SD = 0.03, 0.05  # prior of the rate behind a parity line, per year
PAIRS_NEEDED = 2  # with the prior of the rate, two disagree or do not


@dataclass(slots=True)
class Sides:
    """Quotes by what they show."""

    quotes: int = 0
    two_sided: int = 0
    no_bid: int = 0  # an ask alone
    no_ask: int = 0  # a bid alone
    empty: int = 0
    locked: int = 0

    def add(self, bid: np.ndarray, ask: np.ndarray) -> None:
        """Prices in any unit, zero where absent."""
        has_bid, has_ask = bid > 0, ask > 0
        self.quotes += bid.size
        self.two_sided += int((has_bid & has_ask).sum())
        self.no_bid += int((~has_bid & has_ask).sum())
        self.no_ask += int((has_bid & ~has_ask).sum())
        self.empty += int((~has_bid & ~has_ask).sum())
        self.locked += int((has_bid & (bid == ask)).sum())


@dataclass(slots=True)
class Parity:
    """Call-put pairs near the money of European expiries, and those outside their spreads."""

    pairs: int = 0
    outside: int = 0

    def add(self, rows: pl.DataFrame, at_ns: int) -> None:
        """One chain at one instant: expiry, root, strike, right, bid, ask, style; 0 or null absent.

        A pair violates parity when C - P lies farther from the line df (F - K) through the pairs
        of its expiry than their two half spreads.
        """
        from surfaces.curves.parity import forward_and_df, make_pairs

        both = (pl.col("bid") > 0.0) & (pl.col("ask") > 0.0)
        good = rows.filter((pl.col("style") == "european") & both & (pl.col("expiry") > at_ns))
        sides = [
            good.filter(pl.col("right") == right).unique(["expiry", "root", "strike"], keep="first")
            for right in (1, -1)
        ]
        joined = sides[0].join(sides[1], on=["expiry", "root", "strike"], suffix="_put")
        for _, pairs in joined.sort("expiry", "root", "strike").group_by(
            "expiry", "root", maintain_order=True
        ):
            if pairs.height < PAIRS_NEEDED:
                continue
            years = (pairs["expiry"][0] - at_ns) / YEAR_NS
            columns = ("strike", "bid", "ask", "bid_put", "ask_put")
            names = ("strike", "call_bid", "call_ask", "put_bid", "put_ask")
            made = make_pairs(
                **{n: pairs[c].to_numpy() for n, c in zip(names, columns, strict=True)}
            )
            line = forward_and_df(made, np.exp(-RATE * years), RATE_SD * max(years, 0.01))
            if line is not None:
                self.pairs += line.pairs
                self.outside += round((1.0 - line.inside) * line.pairs)


@dataclass(slots=True)
class Unchanged:
    """Quotes of a chain that are, in both prices, those of the instant before."""

    compared: int = 0
    same: int = 0
    _before: pl.DataFrame | None = None

    def add(self, rows: pl.DataFrame) -> None:
        """Whole chains, one or several instants."""
        for _, chain in rows.sort("ts", maintain_order=True).group_by("ts", maintain_order=True):
            now = chain.select(*SERIES, pl.col("bid", "ask").fill_null(0.0))
            if self._before is not None:
                both = now.join(self._before, on=SERIES, suffix="_was")
                self.compared += both.height
                self.same += both.filter(
                    (pl.col("bid") == pl.col("bid_was")) & (pl.col("ask") == pl.col("ask_was"))
                ).height
            self._before = now


@dataclass(slots=True)
class Ages:
    """Time for which quotes stood too long, and gaps of the whole feed."""

    chain: Chain
    session: Session
    bar_ns: int
    old_ns: float = 0.0
    held_ns: float = 0.0
    gaps: int = 0
    longest_ns: int = 0
    _since: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))
    _latest: int = 0

    @property
    def limit_ns(self) -> int:
        """How long a quote may stand, and a feed be silent."""
        return max(OLD_NS, round(OLD_BARS * self.bar_ns))

    def __post_init__(self) -> None:
        self._since = np.zeros(len(self.chain), np.int64)

    def add(self, events: np.ndarray) -> None:
        """The next block, in order of time."""
        rows = events[events["kind"] == Kind.QUOTE]
        if not rows.size:
            return
        self._gap(np.diff(rows["ts_event_ns"], prepend=self._latest or self.session.open_ns))
        self._latest = int(rows["ts_event_ns"][-1])
        rows = rows[np.argsort(rows["instrument"], kind="stable")]
        who, when = rows["instrument"], rows["ts_event_ns"]
        first = np.ones(who.size, np.bool_)
        first[1:] = who[1:] != who[:-1]
        since = np.empty_like(when)
        since[1:] = when[:-1]
        since[first] = self._since[who[first]]
        self._hold((when - since)[since > 0])
        last = np.append(np.flatnonzero(first)[1:] - 1, who.size - 1)
        self._since[who[last]] = when[last]

    def finish(self) -> None:
        """No more blocks: what stands, stands until the close."""
        ends = np.minimum(self.chain.last_trade_ns, self.session.close_ns)
        self._hold(np.maximum(ends - self._since, 0)[self._since > 0])
        self._gap(np.array([self.session.close_ns - (self._latest or self.session.open_ns)]))

    def _hold(self, spans: np.ndarray) -> None:
        self.held_ns += float(spans.sum(dtype=np.float64))
        self.old_ns += float(np.maximum(spans - self.limit_ns, 0).sum(dtype=np.float64))

    def _gap(self, spans: np.ndarray) -> None:
        self.gaps += int((spans > self.limit_ns).sum())
        self.longest_ns = max(self.longest_ns, int(spans.max(initial=0)))


def merged(tally: Counter[str], prefix: str) -> int:
    """Sum of the counts whose reason starts with `prefix`."""
    return sum(n for reason, n in tally.items() if reason.startswith(prefix))
