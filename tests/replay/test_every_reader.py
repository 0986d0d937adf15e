"""Every reader of recorded days under every fill assumption: same bytes, resumable, no look-ahead.

One small market goes through each format (`small_market`). What a run decides may depend on the
recorded events alone: not on the run, the size of the feed's blocks, an interruption, or what comes
later. Journals are compared by the hash of their chain, which covers every decision.
"""

import contextlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import small_market as small
from small_market import Market
from test_loop import StopAt, hashes

from optmm.config import DeskConfig, parsed
from optmm.data import feeds
from optmm.data.readers import READERS, reader_for
from optmm.engine import replay

WORLDS = ("pessimistic", "queue", "optimistic")
CUT_S = 3.5 * 60  # after the open, between two bars and two rounds of ticks
SECOND = 10**9
DEFAULT = DeskConfig()
INDEX = parsed({"synthetic": {"enabled": True}}, "test")  # hedged with the parity forward


@dataclass(frozen=True, slots=True)
class Source:
    """A format, and what a run of it needs and shows."""

    reader: str
    write: Callable[[Path, Market], Path]
    underlying: str
    date: str | None = None
    config: DeskConfig = DEFAULT
    worlds: tuple[str, ...] = WORLDS
    prints: bool = True


SOURCES = {
    "lean": Source("LEAN data folder", small.lean, "SPY"),
    "stored ticks": Source("stored day", small.stored, "SPY"),
    "stored simulated": Source(
        "stored day", small.stored_simulated, "SPY", worlds=("simulated",)
    ),
    "stored days": Source(
        "folder of stored days", small.stored_days, "SPY", f"{small.DAY}..{small.NEXT}"
    ),
    "databento": Source("Databento files", small.databento, "SPY"),
    "datashop": Source("table of quotes with times", small.datashop, "SPY"),
    "own table": Source("table of quotes with times", small.own_table, "SPY"),
    "optionsdx": Source(
        "table of quotes with times", small.optionsdx, "SPX", config=INDEX, prints=False
    ),
    "massive": Source(
        "table of quotes with times", small.massive, "SPX", config=INDEX, prints=False
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Case:
    """A written source with its first run."""

    source: Source
    path: Path
    folder: Path
    run: replay.Run
    cut_ns: int  # an instant within the last session

    def again(self, folder: Path, path: Path | None = None, rows: int = 0, **how) -> replay.Run:
        """Another run, of this source or of `path`, fed `rows` events at a time if given."""
        source = self.source
        with opened(source, path or self.path) as feed:
            fed = in_blocks(feed, rows) if rows else feed
            return replay.run(fed, source.config, folder, seed=1, **how)


@contextlib.contextmanager
def opened(source: Source, path: Path):
    """What the reader gives, with sessions that close a minute after the last quote.

    The hours until the close of the class would hold nothing but timers.
    """

    def short(day):
        last_ns = day.session.open_ns + (small.MINUTES + 1) * 60 * SECOND
        close_ns = min(last_ns, day.session.close_ns)

        def blocks():
            for block in day.blocks():
                events = block.copy()
                for name in ("ts_event_ns", "ts_recv_ns"):  # only CLOSE is later
                    events[name] = np.minimum(events[name], close_ns)
                yield events

        return replace(day, session=replace(day.session, close_ns=close_ns), blocks=blocks)

    with feeds.opened(path, source.underlying, source.date) as feed:
        yield replace(feed, days=tuple(short(day) for day in feed.days))


def in_blocks(feed, rows: int):
    """The feed, `rows` events at a time."""

    def cut(day):
        events = np.concatenate(list(day.blocks()))
        pieces = [events[i : i + rows] for i in range(0, events.size, rows)]
        return replace(day, blocks=lambda: iter(pieces))

    return replace(feed, days=tuple(cut(day) for day in feed.days))


@pytest.fixture(scope="module", params=list(SOURCES))
def case(request, tmp_path_factory):
    source = SOURCES[request.param]
    if request.param == "databento" and importlib.util.find_spec("databento_dbn") is None:
        pytest.skip("pip install 'optmm[databento]'")
    place = tmp_path_factory.mktemp("source")
    path = source.write(place, Market())
    with opened(source, path) as feed:
        run = replay.run(feed, source.config, place / "run", seed=1)
        cut_ns = feed.days[-1].session.open_ns + round(CUT_S * SECOND)
    return Case(source, path, place / "run", run, cut_ns)


def test_no_reader_is_left_out():
    assert {source.reader for source in SOURCES.values()} == set(READERS)


def test_the_small_day_shows_something(case):
    """A surface in force before the cut, quotes in every world, fills where the format prints."""
    assert reader_for(case.path).name == case.source.reader
    assert tuple(world.name for world in case.run.worlds) == case.source.worlds
    quotes = pl.read_parquet(case.folder / "quotes.parquet").filter(pl.col("lots") > 0)
    fills = pl.read_parquet(case.folder / "fills.parquet").filter(pl.col("kind") == "quote")
    for world in case.source.worlds:
        mine = quotes.filter(pl.col("bound") == world)
        assert mine.filter(pl.col("ts_ns") <= case.cut_ns).height > 50
        assert mine.filter(pl.col("ts_ns") > case.cut_ns).height > 50
        traded = fills.filter((pl.col("bound") == world) & (pl.col("ts_ns") <= case.cut_ns))
        assert (traded.height > 0) == case.source.prints, world
    if case.source.prints and len(case.source.worlds) > 1:  # three worlds, not one thrice
        tapes = [fills.filter(pl.col("bound") == w).drop("bound") for w in case.source.worlds]
        assert not tapes[0].equals(tapes[-1], null_equal=True)
    assert pl.read_parquet(case.folder / "surface.parquet")["expiry"].n_unique() >= 2


def test_two_runs_have_the_same_hashes(case, tmp_path):
    assert hashes(case.again(tmp_path / "run")) == hashes(case.run)


def test_blocks_of_seven_have_the_same_hashes(case, tmp_path):
    assert hashes(case.again(tmp_path / "run", rows=7)) == hashes(case.run)


def test_an_interrupted_run_ends_with_the_same_hashes(case, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        case.again(tmp_path / "run", control=StopAt(case.cut_ns))
    assert hashes(case.again(tmp_path / "run", resume=True)) == hashes(case.run)


def test_another_future_leaves_the_past_as_it_was(case, tmp_path):
    other = case.source.write(tmp_path, Market(changed_after_s=CUT_S))
    case.again(tmp_path / "run", path=other)
    for name in ("quotes", "fills", "surface"):
        old, new = (
            pl.read_parquet(folder / f"{name}.parquet")
            for folder in (case.folder, tmp_path / "run")
        )
        if name == "fills":  # marks minutes later are of the future
            known = ["bound", "seq", "ts_ns", "instrument", "side", "lots", "px_e9", "mark_e9"]
            old, new = old.select(known), new.select(known)
        past = [frame.filter(pl.col("ts_ns") <= case.cut_ns) for frame in (old, new)]
        assert past[0].height > 0 or (name == "fills" and not case.source.prints)
        assert past[0].equals(past[1], null_equal=True), name
        if name != "fills":
            assert not old.equals(new), name  # the futures really differ
