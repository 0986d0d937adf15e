"""What a run is fed: one chain, the sessions it trades in, and their events in blocks.

A day may be larger than memory, so events come in blocks, in order, and can be had again from the
start. Nothing may depend on where a block ends.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from optmm.config_days import Corporate
from optmm.errors import UsageError
from optmm.market.adjusted import adjusted_chain
from optmm.market.chain import Chain, DataQuality, MarketDay, Session
from optmm.market.span import listed_daily, remapped, spread, union

BLOCK = 1 << 17  # events: 8 MB


@dataclass(frozen=True, slots=True)
class FeedDay:
    """One session's events, in blocks of the order of `events.in_order`."""

    session: Session
    blocks: Callable[[], Iterator[np.ndarray]]  # from the first event at every call
    events: int
    quality: DataQuality


@dataclass(frozen=True, slots=True)
class Feed:
    """One or several sessions of one chain; `sources` are (file, sha256)."""

    chain: Chain
    days: tuple[FeedDay, ...]
    bar_ns: int
    sources: tuple[tuple[str, str], ...]
    open_interest: np.ndarray | None = None
    simulated: bool = False
    daily: np.ndarray | None = None  # slices (m,) that every day lists; None: one day

    @property
    def session(self) -> Session:
        """The first session."""
        return self.days[0].session

    @property
    def events(self) -> int:
        """Events of all sessions."""
        return sum(day.events for day in self.days)

    @property
    def dates(self) -> str:
        """The trade date, or the first and the last."""
        first, last = self.days[0].session.date, self.days[-1].session.date
        return first if first == last else f"{first}..{last}"

    @property
    def quality(self) -> DataQuality:
        """Of all sessions: sums, and the two-sided share weighted by rows."""
        parts = [day.quality for day in self.days]
        if len(parts) == 1:
            return parts[0]
        counted: dict[str, int] = {}
        for part in parts:
            for why, rows in part.quarantined.items():
                counted[why] = counted.get(why, 0) + rows
        known = [part for part in parts if np.isfinite(part.two_sided_share)]
        rows = sum(part.rows for part in known)
        share = sum(part.two_sided_share * part.rows for part in known) / rows if rows else np.nan
        notes = tuple(
            f"{day.session.date}: {note}" for day in self.days for note in day.quality.notes
        )
        return DataQuality(
            sum(part.rows for part in parts), dict(sorted(counted.items())), float(share), notes
        )


def feed_of(day: MarketDay) -> Feed:
    """A day in memory as a feed."""

    def blocks() -> Iterator[np.ndarray]:
        for start in range(0, day.events.size, BLOCK):
            yield day.events[start : start + BLOCK]

    one = FeedDay(day.session, blocks, int(day.events.size), day.quality)
    return Feed(day.chain, (one,), day.bar_ns, day.sources, day.open_interest, day.simulated)


def joined(feeds: Sequence[Feed]) -> Feed:
    """Several feeds as one run, in order of their dates, on the union of their chains.

    Raises
    ------
    UsageError
        Dates overlap or repeat, or bars, recorded and simulated days are mixed.
    DataError
        One series has different terms in two of them.
    """
    feeds = sorted(feeds, key=lambda feed: feed.session.open_ns)
    if len(feeds) == 1:
        return feeds[0]
    for one, other in pairwise(feeds):
        last, first = one.days[-1].session, other.days[0].session
        if first.open_ns < last.close_ns:
            raise UsageError(f"{last.date} and {first.date} overlap; name each date once")
    for name in ("bar_ns", "simulated"):
        found = {getattr(feed, name) for feed in feeds}
        if len(found) > 1:
            raise UsageError(f"the days differ in {name}: {sorted(found)}; run them apart")
    chain, rows = union([feed.chain for feed in feeds])
    days = tuple(
        FeedDay(day.session, _mapped(day.blocks, to), day.events, day.quality)
        for feed, to in zip(feeds, rows, strict=True)
        for day in feed.days
    )
    sources = tuple(
        (f"{feed.dates}/{name}", sha) for feed in feeds for name, sha in feed.sources
    )  # fmt: skip
    interest = _interest(feeds[0], rows[0])
    daily = listed_daily(chain, rows)
    return Feed(chain, days, feeds[0].bar_ns, sources, interest, feeds[0].simulated, daily)


def with_splits(feed: Feed, config: Corporate) -> Feed:
    """The feed with the series that the splits inside its dates make of what is listed before."""
    chain = feed.chain
    for before, after in pairwise(feed.days):
        ratio = config.ratio(before.session.date, after.session.date)
        if ratio is not None and ratio.denominator == 1:
            chain = union([chain, adjusted_chain(chain, ratio)])[0]
    if chain is feed.chain:
        return feed
    _, (_, rows) = union([chain, feed.chain])
    days = tuple(
        FeedDay(day.session, _mapped(day.blocks, rows), day.events, day.quality)
        for day in feed.days
    )
    interest = _interest(feed, rows)
    daily = None if feed.daily is None else listed_daily(chain, [rows])
    return Feed(chain, days, feed.bar_ns, feed.sources, interest, feed.simulated, daily)


def _mapped(
    blocks: Callable[[], Iterator[np.ndarray]], rows: np.ndarray
) -> Callable[[], Iterator[np.ndarray]]:
    """The same blocks with every instrument as its row of the union; rows below 0 stay."""

    def mapped() -> Iterator[np.ndarray]:
        for block in blocks():
            yield remapped(block, rows)

    return mapped


def _interest(first: Feed, rows: np.ndarray) -> np.ndarray | None:
    """Open interest before the first day, by row of the union; -1 unknown."""
    if first.open_interest is None:
        return None
    return spread(first.open_interest, rows, fill=-1)
