"""A run: one or several sessions through one world per fill assumption, into a run folder.

A run that was interrupted goes on by deriving everything again, as fast as it can, and holding each
row against what its journals already say; where they end it continues. What differs is named.
"""

import hashlib
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import polars as pl

from optmm.config import DeskConfig
from optmm.engine import closing, manifest, overnight, positions_file
from optmm.engine.closing_marks import ABSENT, read_official
from optmm.engine.desk import World
from optmm.engine.fixing_prices import FixingPrices
from optmm.engine.journal import Journal
from optmm.engine.loop import Control, Progress, run_session
from optmm.engine.market import MarketView
from optmm.engine.records import (
    FILL_SCHEMA,
    QuoteLog,
    QuoteWriter,
    file_digest,
    write_frame,
    write_json,
)
from optmm.engine.tick_to_quote import Stopwatch
from optmm.errors import DataError, UsageError
from optmm.market.chain import MarketDay
from optmm.market.events import Kind
from optmm.market.feed import Feed, FeedDay, feed_of, with_splits
from optmm.market.synthetic import SyntheticFuture, declared

DAY_NS = 86_400_000_000_000
SAME_RUN = ("config_hash", "data_hash", "seed", "bounds", "underlying", "sessions")
MakeMarket = Callable[[Feed, DeskConfig], MarketView]


@dataclass(slots=True)
class Run:
    """A run in progress or done: its worlds, its market view and where it writes."""

    feed: Feed
    config: DeskConfig
    market: MarketView
    worlds: list[World]
    fixings: FixingPrices
    synthetic: SyntheticFuture | None  # the declared future that hedges, if one is configured
    folder: Path
    total: int  # events of the tape
    started: float
    watch: Stopwatch
    next_open_ns: int = 0  # after this session
    unseen: bool = True  # the underlying has shown no level in this session
    settled: list[dict] = field(default_factory=list)  # fixings, with where they came from

    def journal_surface(self, now_ns: int) -> None:
        """Put the version in force and the hash of its content on every chain."""
        surface = self.market.surface
        assert surface is not None
        content = hashlib.sha256(
            surface.row_vols().tobytes() + surface.forwards.tobytes() + surface.dfs.tobytes()
        ).hexdigest()
        for world in self.worlds:
            row = {"version": surface.version, "sha256": content}
            world.journal.append(now_ns, "surface", row)


def run(
    day: MarketDay | Feed,
    config: DeskConfig,
    folder: Path,
    *,
    seed: int = 0,
    command: str = "",
    progress: Progress | None = None,
    control: Control | None = None,
    market: MakeMarket = MarketView,
    positions: Path | None = None,
    resume: bool = False,
) -> Run:
    """Quote one or several sessions and write the run folder (without the report, which reads it).

    Parameters
    ----------
    day : from `optmm.data.readers` or the simulator
    folder : made here; must not hold anything yet, unless `resume`
    seed : of what the venue draws, latencies among them
    progress : called every few seconds of event time with (run, time ns, share of the tape done)
    control : paces, pauses and stops the run; None is as fast as the machine can
    market : makes the view of the market; another one prices by another model
    positions : table of what is held before the first session (docs/days.md)
    resume : go on with the interrupted run that `folder` holds

    Raises
    ------
    UsageError
        If the folder is taken, or is not that of this run.
    DataError
        If the day has no usable events, or what a journal holds is not derived again.
    """
    feed = prepared(day if isinstance(day, Feed) else feed_of(day), config, positions)
    bounds = ("simulated",) if feed.simulated else config.replay.bounds
    for each in feed.days:
        check_day(each, feed, config)
    held = () if positions is None else positions_file.read(
        positions, feed.chain, open_ns=feed.session.open_ns
    )  # fmt: skip
    head = manifest.heading(feed, config, bounds, seed, command)
    if resume:
        reclaim_folder(folder, head)
    else:
        claim_folder(folder)
        write_json(folder / "manifest.json", head)
    started = time.perf_counter()
    # journals first: they are locked, so the tables of a run that is still on are left alone
    journals = [Journal(folder / f"journal-{name}.sqlite", resume=resume) for name in bounds]
    for table in folder.glob("*.parquet*"):
        table.unlink()  # written again from the first row
    writer = QuoteWriter(folder / "quotes.parquet")
    watch = Stopwatch()
    worlds = _worlds(feed, config, journals, writer, head, watch=watch, held=held)
    it = Run(
        feed, config, market(feed, config), worlds,
        FixingPrices(feed.chain, config.settlement, rate=config.rates.prior),
        _synthetic(feed, config), folder, feed.events, started, watch,
    )  # fmt: skip
    try:
        _sessions(it, progress, control)
        writer.close()
        _write(it, head)
    except BaseException:
        for world in worlds:
            world.journal.leave()
        writer.close()
        raise
    return it


def _worlds(
    feed: Feed, config: DeskConfig, journals: list[Journal], writer: QuoteWriter, head: dict, *,
    watch: Stopwatch, held: tuple[positions_file.Position, ...],
) -> list[World]:  # fmt: skip
    """A world a fill assumption, its journal opened with what the run is of."""
    worlds = []
    for name, journal in zip(head["bounds"], journals, strict=True):
        journal.append(feed.session.open_ns, "open", {
            "bound": name, "config": head["config_hash"], "data": head["data_hash"],
            "seed": head["seed"], "session": feed.session.date,
            "underlying": feed.chain.underlying.symbol, "bounds": head["bounds"],
        })  # fmt: skip
        log = QuoteLog(name, writer, journal)
        worlds.append(World(
            name, feed, config, journal, log, watch=watch, seed=head["seed"], opening=held,
            keeps_prints=name == head["bounds"][0],
        ))  # fmt: skip
    return worlds


def prepared(feed: Feed, config: DeskConfig, positions: Path | None) -> Feed:
    """The feed as this run needs it: its declared hedge, the series a split makes, its sources."""
    if config.synthetic.enabled:
        feed = replace(feed, chain=declared(feed.chain, config.synthetic))
    feed = with_splits(feed, config.corporate)
    for path in (positions, Path(config.marks.official_file)):
        if path is not None and path.is_file():
            feed = replace(feed, sources=(*feed.sources, (path.name, file_digest(path))))
    return feed


def _synthetic(feed: Feed, config: DeskConfig) -> SyntheticFuture | None:
    """The declared future of a run, if it has one."""
    if not config.synthetic.enabled:
        return None
    return SyntheticFuture(
        feed.chain, config.synthetic, rate=config.rates.prior,
        until_ns=feed.days[-1].session.close_ns, daily=feed.daily,
    )  # fmt: skip


def _sessions(it: Run, progress: Progress | None, control: Control | None) -> None:
    """Every session in turn, with the night after it; positions and cash go straight through."""
    file = it.config.marks.official_file
    official = read_official(Path(file), it.feed.chain) if file else {}
    absent = np.full(len(it.feed.chain) + 1, ABSENT, np.int64)
    now_ns = it.feed.session.open_ns
    for k, day in enumerate(it.feed.days):
        last = k + 1 == len(it.feed.days)
        it.next_open_ns = (
            day.session.open_ns + DAY_NS if last else it.feed.days[k + 1].session.open_ns
        )
        it.unseen = True
        it.fixings.open(day.session)
        it.market.begin(day.session)
        for world in it.worlds:
            world.begin(day.session)
        now_ns = run_session(it, day, progress=progress, control=control)
        fixings = it.fixings.due(now_ns)
        it.settled += it.fixings.labels(now_ns)
        for world in it.worlds:
            world.end(now_ns, fixings, official.get(day.session.date, absent))
            if not last:
                overnight.between(world, day.session, it.feed.days[k + 1].session)
    for world in it.worlds:
        world.quotes.seal(world.journal, now_ns)


def check_day(day: FeedDay, feed: Feed, config: DeskConfig) -> None:
    """Refuse a day that cannot be quoted, before anything is written.

    Raises
    ------
    DataError
        No two-sided option quote, or no level of the underlying; says what to do.
    """
    name = f"{feed.chain.underlying.symbol} {day.session.date}"
    index = feed.chain.underlying.kind == "index"
    level = Kind.UNDERLYING_TRADE if index else Kind.UNDERLYING_QUOTE
    quoted, shown = False, config.synthetic.enabled  # the declared future follows the options
    for block in day.blocks():
        kind, bid = block["kind"], block["bid_e9"]
        quoted |= bool(((kind == Kind.QUOTE) & (bid > 0) & (block["ask_e9"] > bid)).any())
        shown |= bool(((kind == level) & (bid > 0)).any())
        if quoted and shown:
            return
    if not quoted:
        aside = ", ".join(f"{why} {n:,}" for why, n in day.quality.quarantined.items())
        raise DataError(
            f"{name} has no usable two-sided option quote ({aside or 'no rows at all'})",
            remedy="Check the quote file with `optmm data info`.",
        )
    what = "prints" if index else "quotes"
    raise DataError(
        f"{name} has no {what} of the underlying, so nothing says where it trades",
        remedy=f"Add the underlying's {what} of that date beside the options, choose a date that "
        "`optmm data info` lists with them, or hedge an index with [synthetic] (docs/days.md).",
    )


def claim_folder(folder: Path) -> None:
    """Make the run folder and claim it: of two runs that want it, exactly one gets it.

    Raises
    ------
    UsageError
        It holds something already, another run took it, or it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise UsageError(f"{folder} is not empty; choose another --out, or remove it first")
        os.close(os.open(folder / "manifest.json", os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    except FileExistsError:
        raise UsageError(f"{folder} is taken; choose another --out") from None
    except OSError as bad:
        raise UsageError(
            f"{folder} cannot be written: {bad.strerror}; choose another --out"
        ) from None


def reclaim_folder(folder: Path, head: dict) -> None:
    """Take an interrupted run up again: it must be of the same data, configuration and seed.

    Raises
    ------
    UsageError
        There is no such run, it is complete, or it is another; names the first difference.
    """
    path = folder / "manifest.json"
    if not path.is_file() or not path.stat().st_size:
        raise UsageError(f"{folder} holds no run that could go on; leave --resume out")
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as bad:
        raise UsageError(f"{path} is not a manifest: {bad}; remove the folder") from None
    if found.get("complete"):
        raise UsageError(f"{folder} is complete; there is nothing to go on with")
    for name in SAME_RUN:
        if found.get(name) != json.loads(json.dumps(head[name])):
            raise UsageError(
                f"{folder} is of another run: its {name} is {found.get(name)!r}, "
                f"this one's {head[name]!r}"
            )


def _write(it: Run, head: dict) -> None:
    """Write every table, end the journals over their digests, then the manifest with results.

    `complete` stays false: the report is written after this, then `complete_run` says so.
    """
    files = _write_tables(it)
    for world in it.worlds:
        world.close(files)
    head["results"] = manifest.results(it)
    head["events"] = head["results"]["events"]
    write_json(it.folder / "manifest.json", head)


def _write_tables(it: Run) -> dict[str, str]:
    """Write the tables of docs/run_folder.md; return {file name: sha256}, quotes apart."""
    worlds = it.worlds
    fills = [world.fills.frame() for world in worlds]
    presence = [
        pl.DataFrame({"instrument": np.arange(w.n, dtype=np.int32)} | w.presence.columns())
        .select(pl.lit(w.name).alias("bound"), pl.all())
        for w in worlds
    ]  # fmt: skip
    frames = {
        "chain.parquet": closing.chain_frame(it),
        "fills.parquet": pl.concat([pl.DataFrame(schema=FILL_SCHEMA), *fills]),
        "pnl.parquet": pl.DataFrame([row for w in worlds for row in w.pnl]),
        "greeks.parquet": pl.concat([closing.greeks_frame(it, w) for w in worlds]),
        "surface.parquet": it.market.surface_frame(),
        "smiles.parquet": it.market.smiles_frame(),
        "prints.parquet": closing.prints_frame(it),
        "presence.parquet": pl.concat(presence),
        "pins.parquet": closing.pins_frame(it),
        "carry.parquet": closing.carry_frame(it),
    }
    for name, frame in frames.items():
        write_frame(it.folder / name, frame)
    return {name: file_digest(it.folder / name) for name in frames}


def complete_run(folder: Path) -> None:
    """Declare the run folder complete: the last write of a run."""
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    manifest["complete"] = True
    write_json(path, manifest)
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
