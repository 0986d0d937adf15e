"""A recorded day as a stream: rows judged as they come, put in order of time in bounded memory.

A source yields blocks of events in its file's order. `Watch` drops what an exchange cannot have
said (a clock that jumps back, the same row twice); `ordered` sorts any number of events with a
merge of runs on disk, holding no more than a run.
"""

import hashlib
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
import polars as pl

from optmm.errors import DataError
from optmm.market.chain import Chain, DataQuality, MarketDay, Session
from optmm.market.events import MARKET_EVENT, Bits, Kind, empty, in_order
from optmm.market.products import product

RUN_ROWS = 1_000_000  # events sorted at once: 64 MB
WINDOW_NS = 10_000_000_000  # rows this much out of order are put back, older ones set aside
LATE, TWICE = "out of order by more than 10 s", "duplicate"
COMPARED = ("ts_event_ns", "kind", "bid_e9", "ask_e9", "bid_lots", "ask_lots", "seq")
Progress = Callable[[int], None]  # told how many rows were read since the last call


def no_progress(rows: int) -> None:
    """For callers who do not watch."""


@dataclass(slots=True)
class Ledger:
    """What happened to the rows of a stream; filled while it runs."""

    rows: int = 0
    reordered: int = 0
    quarantined: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)


class DayStream(Protocol):
    """One trade date of one option class, its events to be had in blocks, once."""

    @property
    def reader(self) -> str:
        """What it was read as."""

    @property
    def chain(self) -> Chain:
        """Its options."""

    @property
    def session(self) -> Session:
        """Its hours."""

    @property
    def bar_ns(self) -> int:
        """Length of its bars, 0 for ticks."""

    @property
    def sources(self) -> tuple[tuple[str, str], ...]:
        """(file, sha256) of what it is read from."""

    @property
    def open_interest(self) -> np.ndarray | None:
        """Contracts open the evening before, -1 unknown."""

    def blocks(self, ledger: Ledger, progress: Progress) -> Iterator[np.ndarray]:
        """Events in the order of the files; what is set aside goes into `ledger`."""


class Watch:
    """Order and repetition, instrument by instrument, over all blocks of one stream."""

    def __init__(self, instruments: int, *, single: bool = False) -> None:
        """`single`: an instrument has one row an instant, the first."""
        self._compared = COMPARED[:2] if single else COMPARED
        self._twice = "duplicate contract" if single else TWICE
        self._latest = np.full(instruments, np.iinfo(np.int64).min)
        self._last = empty(instruments)
        self._last["kind"] = -1

    def stands(self, events: np.ndarray, ledger: Ledger) -> np.ndarray:
        """Which events may stand, as a mask; the others are counted."""
        if not events.size:
            return np.ones(0, np.bool_)
        order = np.argsort(events["instrument"], kind="stable")
        rows = events[order]
        who = rows["instrument"]
        first = np.ones(who.size, np.bool_)
        first[1:] = who[1:] != who[:-1]
        peak = pl.DataFrame({"i": who, "t": rows["ts_event_ns"]}).select(
            pl.col("t").cum_max().over("i")
        )["t"].to_numpy()  # fmt: skip
        before = np.empty_like(peak)
        before[1:] = peak[:-1]
        before = np.where(first, self._latest[who], np.maximum(before, self._latest[who]))
        stamp = rows["ts_event_ns"]
        # both sides shifted, so that the smallest int64 of an unseen instrument cannot wrap
        late = (before > stamp) & (stamp + WINDOW_NS < before)
        twin = np.ones(who.size, np.bool_)
        for name in self._compared:
            earlier = np.empty_like(rows[name])
            earlier[1:] = rows[name][:-1]
            earlier[first] = self._last[name][who[first]]
            twin &= rows[name] == earlier
        last = np.append(np.flatnonzero(first)[1:] - 1, who.size - 1)
        self._latest[who[last]] = np.maximum(self._latest[who[last]], peak[last])
        self._last[who[last]] = rows[last]
        for bad, reason in ((late, LATE), (twin & ~late, self._twice)):
            if bad.any():
                ledger.quarantined[reason] += int(bad.sum())
        good = ~(late | twin)
        ledger.reordered += int((good & (before > stamp)).sum())
        out = np.empty(events.size, np.bool_)
        out[order] = good
        return out


class TwoSided:
    """Share of contract-time with both sides, from events in order of time."""

    def __init__(self, chain: Chain, session: Session) -> None:
        self._ends = np.minimum(chain.last_trade_ns, session.close_ns)
        self._open = session.open_ns
        self._since = np.zeros(len(chain), np.int64)
        self._both = np.zeros(len(chain), np.bool_)
        self._seen = np.zeros(len(chain), np.bool_)
        self._held = 0.0

    def add(self, events: np.ndarray) -> None:
        """Take the next block."""
        rows = events[events["kind"] == Kind.QUOTE]
        if not rows.size:
            return
        rows = rows[np.argsort(rows["instrument"], kind="stable")]
        who, when = rows["instrument"], rows["ts_event_ns"]
        both = (rows["bid_e9"] > 0) & (rows["ask_e9"] > 0)
        first = np.ones(who.size, np.bool_)
        first[1:] = who[1:] != who[:-1]
        since, was = np.empty_like(when), np.empty_like(both)
        since[1:], was[1:] = when[:-1], both[:-1]
        since[first], was[first] = self._since[who[first]], self._both[who[first]]
        self._held += float(np.sum((when - since)[was], dtype=np.float64))
        last = np.append(np.flatnonzero(first)[1:] - 1, who.size - 1)
        self._since[who[last]], self._both[who[last]] = when[last], both[last]
        self._seen[who] = True

    def share(self) -> float:
        """The share when the last block is in; NaN without quotes."""
        whole = float(np.sum(np.maximum(self._ends - self._open, 0)[self._seen], dtype=np.float64))
        rest = np.maximum(self._ends - self._since, 0)[self._both]
        return (self._held + float(np.sum(rest, dtype=np.float64))) / whole if whole else np.nan


def ordered(
    blocks: Iterable[np.ndarray], scratch: Path, run_rows: int = RUN_ROWS
) -> Iterator[np.ndarray]:
    """The events of `blocks` in the order of `events.in_order`, `seq` numbered through.

    `scratch` takes the runs; it must exist and is left as it was found.
    """
    runs: list[Path] = []
    held: list[np.ndarray] = []
    size = 0
    with tempfile.TemporaryDirectory(dir=scratch, prefix="runs-") as place:
        for block in blocks:
            held.append(block)
            size += block.size
            if size >= run_rows:
                runs.append(_run(held, Path(place), len(runs)))
                held, size = [], 0
        if not runs:
            if size:
                yield in_order(np.concatenate(held))
            return
        if size:
            runs.append(_run(held, Path(place), len(runs)))
        start = 0
        for block in _merged(runs, max(run_rows // len(runs), 1)):
            block["seq"] += start
            start += block.size
            yield block


def _run(held: list[np.ndarray], place: Path, number: int) -> Path:
    path = place / str(number)
    in_order(np.concatenate(held)).tofile(path)
    return path


class _Window:
    """The next events of a run on disk; no more of it is held."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._unread = path.stat().st_size // MARKET_EVENT.itemsize
        self._at = 0
        self.rows = empty(0)

    def fill(self, count: int) -> None:
        """Hold `count` events, or all that are left."""
        more = min(count - self.rows.size, self._unread)
        if more > 0:
            start = self._at * MARKET_EVENT.itemsize
            new = np.fromfile(self._path, MARKET_EVENT, more, offset=start)
            self.rows = np.concatenate([self.rows, new])
            self._at += more
            self._unread -= more

    def take(self, limit: int | None) -> np.ndarray:
        """Remove and return the events before `limit`, all of them at None."""
        stop = self.rows.size
        if limit is not None:
            stop = int(np.searchsorted(self.rows["ts_event_ns"], limit, side="left"))
        out, self.rows = self.rows[:stop], self.rows[stop:]
        return out

    @property
    def ends_ns(self) -> int | None:
        """The last instant held where the run goes on beyond it, else None."""
        return int(self.rows["ts_event_ns"][-1]) if self._unread else None


def _merged(runs: list[Path], window: int) -> Iterator[np.ndarray]:
    """Blocks of all runs in order; ties go to the earlier run, as a stable sort has it."""
    windows = [_Window(path) for path in runs]
    step = window
    while True:
        for run in windows:
            run.fill(step)
        # beyond its window a run may hold anything from its window's last instant on
        ends = [run.ends_ns for run in windows if run.ends_ns is not None]
        parts = [run.take(min(ends) if ends else None) for run in windows]
        if any(part.size for part in parts):
            step = window
            yield in_order(np.concatenate(parts))
        elif not ends:
            return
        else:
            step *= 2  # one instant fills a window: look further


def bounds(session: Session, row: int) -> np.ndarray:
    """OPEN and CLOSE of a session; `row` is the underlying's."""
    out = empty(2)
    out["ts_event_ns"] = out["ts_recv_ns"] = session.open_ns, session.close_ns
    out["kind"], out["instrument"] = Kind.STATUS, row
    out["bits"] = Bits.OPEN, Bits.CLOSE
    return out


def session_of(chain: Chain, date: str) -> Session:
    """Hours of a trade date: until the last of the chain's roots shuts."""
    kind = chain.underlying.kind
    days = [product(root, kind=kind).session(date) for root in sorted(set(chain.root))]
    first = days[0]
    close = max(day.close_ns for day in days)
    return Session(first.date, first.open_ns, close, first.timezone)


def sha256(path: Path) -> str:
    """Hash of a file of any size."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def collect(stream: DayStream, progress: Progress = no_progress) -> MarketDay:
    """The whole day in memory.

    Raises
    ------
    DataError
        Nothing of it can be used, or a file is damaged.
    """
    ledger = Ledger()
    share = TwoSided(stream.chain, stream.session)
    with tempfile.TemporaryDirectory(prefix="optmm-") as scratch:
        parts = []
        for block in ordered(stream.blocks(ledger, progress), Path(scratch)):
            share.add(block)
            parts.append(block)
    events = np.concatenate(parts)
    return MarketDay(
        chain=stream.chain, session=stream.session, events=events, bar_ns=stream.bar_ns,
        quality=quality(stream, ledger, share, int((events["kind"] != Kind.STATUS).sum())),
        sources=stream.sources, open_interest=stream.open_interest,
    )  # fmt: skip


def quality(stream: DayStream, ledger: Ledger, share: TwoSided, kept: int) -> DataQuality:
    """What is known of a stream when it has run; DataError when nothing of it could be used."""
    counted = dict(sorted(ledger.quarantined.items()))
    if not kept:
        raise DataError(
            f"no row of {stream.chain.underlying.symbol} {stream.session.date} can be used: "
            f"{counted}", file=", ".join(name for name, _ in stream.sources[:3]),
        )  # fmt: skip
    notes = list(ledger.notes)
    if ledger.reordered:
        notes.append(f"{ledger.reordered:,} rows came late, by 10 s at most, and were put in order")
    return DataQuality(ledger.rows, counted, share.share(), tuple(notes))
