"""A day from the open to the close, through one world per fill assumption, into a run folder.

The worlds advance in lockstep between the stops that market data cause (timers, spot out of the
Taylor range, halts), so that one surface serves all of them and memory does not grow with the day.
"""

import hashlib
import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import polars as pl

from optmm.config import DeskConfig, canonical, digest
from optmm.engine import closing, explain
from optmm.engine.desk import E9, World
from optmm.engine.journal import Journal
from optmm.engine.market import MarketView
from optmm.engine.reasons import Reason
from optmm.engine.records import (
    FILL_SCHEMA,
    QuoteLog,
    QuoteWriter,
    file_digest,
    write_frame,
    write_json,
)
from optmm.engine.settlement import fixings
from optmm.errors import DataError, UsageError
from optmm.market.chain import MarketDay
from optmm.market.events import Kind, empty, in_order

VERSIONED = ("optmm", "numpy", "scipy", "numba", "polars", "pyarrow", "apsw", "QuantLib")
SLOW_PATH_S = 15.0  # stops, markouts, settlement: event feeds wait no longer for them
Progress = Callable[["Run", int, float], None]


@dataclass(slots=True)
class Run:
    """A run in progress or done: its worlds, its market view and where it writes."""

    day: MarketDay
    config: DeskConfig
    market: MarketView
    worlds: list[World]
    folder: Path
    events: np.ndarray
    started: float


def with_timers(day: MarketDay, config: DeskConfig) -> np.ndarray:
    """Merge TIMER events into the tape: every bar; on event feeds at least every 15 seconds."""
    every_s = min(config.hedging.interval_s, config.surface.refit_s, SLOW_PATH_S)
    step = day.bar_ns or round(every_s * E9)
    times = np.arange(day.session.open_ns + step, day.session.close_ns + 1, step)
    if times.size == 0 or times[-1] < day.session.close_ns:
        times = np.append(times, day.session.close_ns)
    timers = empty(times.size)
    timers["ts_event_ns"] = timers["ts_recv_ns"] = times
    timers["kind"], timers["instrument"] = Kind.TIMER, -1
    return in_order(np.concatenate([day.events, timers]))


def run(
    day: MarketDay,
    config: DeskConfig,
    folder: Path,
    *,
    seed: int = 0,
    command: str = "",
    progress: Progress | None = None,
) -> Run:
    """Quote a whole day and write its run folder (without the report, which reads it).

    Parameters
    ----------
    day : from `optmm.data.readers.open_day` or the simulator
    folder : made here; must not hold anything yet
    seed : recorded; the replay itself draws nothing
    progress : called after every timer with (run, time ns, share of the tape done)

    Raises
    ------
    UsageError
        If the folder is taken.
    DataError
        If the day has no usable events.
    """
    bounds = ("simulated",) if day.simulated else config.replay.bounds
    check_day(day)
    claim_folder(folder)
    manifest = _manifest(day, config, bounds, seed, command)
    write_json(folder / "manifest.json", manifest)
    started = time.perf_counter()
    events = with_timers(day, config)
    writer = QuoteWriter(folder / "quotes.parquet")
    worlds = []
    for name in bounds:
        journal = Journal(folder / f"journal-{name}.sqlite")
        journal.append(day.session.open_ns, "open", {
            "bound": name, "config": manifest["config_hash"], "data": manifest["data_hash"],
            "seed": seed, "session": day.session.date, "underlying": day.chain.underlying.symbol,
            "bounds": list(bounds),
        })  # fmt: skip
        worlds.append(World(name, day, config, journal, QuoteLog(name, writer, journal)))
    it = Run(day, config, MarketView(day, config), worlds, folder, events, started)
    _loop(it, progress)
    writer.close()
    _write(it, manifest)
    return it


def _loop(it: Run, progress: Progress | None) -> None:
    """Lockstep: every world to the same stop, one refit for all, each world's own decisions."""
    settle = fixings(it.day)
    at, total, now_ns = 0, it.events.size, it.day.session.open_ns
    while True:
        stops = [world.run_to_stop(it.events, at) for world in it.worlds]
        if len(set(stops)) != 1:
            raise RuntimeError(f"worlds stopped apart at {stops}: a stop depends on our own fills")
        at, reasons = stops[0]
        lead = it.worlds[0].state
        now_ns = int(lead.head["now_ns"][0])
        if reasons & (Reason.TIMER | Reason.TAYLOR):
            terms = None
            if reasons & Reason.TIMER and it.market.due(now_ns):
                terms = it.market.refit(now_ns, lead)
                if terms is not None:
                    _journal_surface(it, now_ns)
            elif reasons & Reason.TAYLOR:
                terms = it.market.reprice(now_ns, lead)
            for world in it.worlds:
                world.on_timer(now_ns, terms, settle)
            if progress is not None:
                progress(it, now_ns, at / total)
        if reasons & Reason.END:
            break
    for world in it.worlds:
        world.end(max(now_ns, it.day.session.close_ns), settle)


def _journal_surface(it: Run, now_ns: int) -> None:
    surface = it.market.surface
    assert surface is not None
    content = hashlib.sha256(
        surface.row_vols().tobytes() + surface.forwards.tobytes() + surface.dfs.tobytes()
    ).hexdigest()
    for world in it.worlds:
        world.journal.append(now_ns, "surface", {"version": surface.version, "sha256": content})


def check_day(day: MarketDay) -> None:
    """Refuse a day that cannot be quoted, before anything is written.

    Raises
    ------
    DataError
        No two-sided option quote, or no level of the underlying; says what to do.
    """
    events, name = day.events, f"{day.chain.underlying.symbol} {day.session.date}"
    quotes = events[events["kind"] == Kind.QUOTE]
    if not ((quotes["bid_e9"] > 0) & (quotes["ask_e9"] > quotes["bid_e9"])).any():
        aside = ", ".join(f"{why} {n:,}" for why, n in day.quality.quarantined.items())
        raise DataError(
            f"{name} has no usable two-sided option quote ({aside or 'no rows at all'})",
            remedy="Check the quote file with `optmm data info`.",
        )
    level = Kind.UNDERLYING_TRADE if day.chain.underlying.kind == "index" else Kind.UNDERLYING_QUOTE
    shown = events[events["kind"] == level]
    if not (shown["bid_e9"] > 0).any():
        what = "prints" if level == Kind.UNDERLYING_TRADE else "quotes"
        raise DataError(
            f"{name} has no {what} of the underlying, so nothing says where it trades",
            remedy=f"Add the underlying's {what} of that date beside the options, or choose a date "
            "that `optmm data info` lists with them.",
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


def _manifest(
    day: MarketDay, config: DeskConfig, bounds: tuple[str, ...], seed: int, command: str
) -> dict:
    data = [{"file": name, "sha256": value} for name, value in day.sources]
    session = day.session
    return {
        "schema": "optmm.run/1",
        "complete": False,
        "versions": {"python": platform.python_version()}
        | {name: version(name) for name in VERSIONED},
        "command": command,
        "config": config.model_dump(mode="json"),
        "config_hash": digest(config),
        "data": data,
        "data_hash": hashlib.sha256(canonical(data)).hexdigest(),
        "seed": seed,
        "underlying": day.chain.underlying.symbol,
        "hedge": {
            "symbol": day.chain.underlying.symbol, "kind": day.chain.underlying.kind,
            "multiplier": day.chain.underlying.multiplier, "tick_e9": day.chain.underlying.tick_e9,
        },
        "session": {
            "date": session.date, "open_ns": session.open_ns, "close_ns": session.close_ns,
            "timezone": session.timezone,
        },
        "bounds": list(bounds),
        "events": 0,
        "bar_ns": day.bar_ns,
        "simulated": day.simulated,
    }  # fmt: skip


def _write(it: Run, manifest: dict) -> None:
    """Write every table, end the journals over their digests, then the manifest with results.

    `complete` stays false: the report is written after this, then `complete_run` says so.
    """
    files = _write_tables(it)
    for world in it.worlds:
        world.close(files)
    manifest["events"] = int(it.worlds[0].state.head["events"][0])
    quality = it.day.quality
    manifest["results"] = {
        "wall_seconds": round(time.perf_counter() - it.started, 3),
        "events": manifest["events"],
        "fits": it.market.fits,
        "bounds": {w.name: _results(w) for w in it.worlds},
        "fixings": [
            {"expiry": str(it.day.chain.expiry[it.day.chain.slice_start[j]]),
             "px_e9": fixing.px_e9, "source": fixing.source}
            for j, fixing in fixings(it.day).items()
        ],
        "data_quality": {
            "rows": quality.rows,
            "quarantined": dict(quality.quarantined),
            "two_sided_share": closing.finite(quality.two_sided_share),
            "notes": list(quality.notes),
        },
    }  # fmt: skip
    write_json(it.folder / "manifest.json", manifest)


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
    }
    for name, frame in frames.items():
        write_frame(it.folder / name, frame)
    return {name: file_digest(it.folder / name) for name in frames}


def complete_run(folder: Path) -> None:
    """Declare the run folder complete: the last write of a run."""
    import json

    path = folder / "manifest.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    manifest["complete"] = True
    write_json(path, manifest)
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _results(world: World) -> dict:
    head, config = world.state.head[0], world.config
    return {
        "journal_hash": world.journal.hex,
        "fills": int(head["fills"]),
        "contracts": int(head["contracts"]),
        "quotes_sent": int(head["messages"]),
        "quotes_landed": world.quotes.count,
        "throttled": int(head["throttled"]),
        "rejected": int(head["rejected"]),
        "trips": int(head["trips"]),
        "hedges": world.hedges,
        "hedge_lots": world.hedge_lots,
        "killed": world.stopped,
        "ledger_net_e9": world.net_e9(),
        "explained_usd": {
            name: float(usd) for name, usd in zip(explain.LINES, world.explained, strict=True)
        },
        "fees_e9": world.fees_e9,
        "closing_spot_e9": int(world.marks.e9[-1]),
        "limit": {
            "inventory_usd": config.limits.inventory_usd,
            "worst_inventory_usd": closing.finite(world.worst_inventory_usd),
            "breached": bool(world.breaches)
            or world.worst_inventory_usd > config.limits.inventory_usd,
            "breaches": dict(world.breaches),
        },
    }
