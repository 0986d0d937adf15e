"""optmm replay and optmm demo: a day quoted, filled, hedged and reported."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from optmm.cli.compiling import compile_ahead, say_if_cold

if TYPE_CHECKING:
    from optmm.config import DeskConfig
    from optmm.engine.replay import Run
    from optmm.market.feed import Feed

Out = Annotated[
    Path | None, typer.Option("--out", help="run folder to make; default runs/<underlying>-<date>")
]
Config = Annotated[Path | None, typer.Option("--config", help="desk.toml; unknown keys are errors")]
AsJson = Annotated[bool, typer.Option("--json", help="report.json on stdout, nothing else")]
Resume = Annotated[
    bool, typer.Option("--resume", help="go on with the interrupted run in --out; same results")
]
Speed = Annotated[
    str,
    typer.Option("--speed", help="max, or event seconds a second: 1x, 10x; space pauses, q stops"),
]
Live = Annotated[
    bool,
    typer.Option(
        "--live/--no-live", help="progress on stderr: the chain on a terminal, lines elsewhere"
    ),
]


def replay(
    path: Annotated[
        Path, typer.Argument(help="LEAN data root, or a stored day folder", metavar="DATA")
    ],
    underlying: Annotated[
        str | None, typer.Option("--underlying", help="symbol, as `optmm data info DATA` lists it")
    ] = None,
    date: Annotated[
        str | None,
        typer.Option("--date", help="trade date; FIRST..LAST or commas for several, as one run"),
    ] = None,
    config: Config = None,
    out: Out = None,
    resume: Resume = False,
    positions: Annotated[
        Path | None,
        typer.Option("--positions", help="table of symbol, lots, px_usd: held before the open"),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="of what the venue draws", min=0)] = 0,
    bounds: Annotated[
        str | None,
        typer.Option(
            "--bounds", help="fill assumptions, comma separated: pessimistic,queue,optimistic"
        ),
    ] = None,
    speed: Speed = "max",
    live: Live = True,
    as_json: AsJson = False,
) -> None:
    """Replay recorded or stored days: quote the chain, fill, hedge, explain the P&L.

    Prices in USD, sizes in contracts. Leaves a run folder with report.html in it. Ctrl-C stops
    where nothing is lost; the same command with --out and --resume goes on.

    Example: optmm replay ../shared/data/lean --underlying GOOG --date 2015-12-24
    """
    from optmm.cli.pacing import speed_of
    from optmm.config import load
    from optmm.data.feeds import opened
    from optmm.errors import UsageError

    pace = speed_of(speed)
    desk = _with_bounds(load(config), bounds)
    compile_ahead()
    with opened(path, underlying, date) as feed:
        if feed.simulated and bounds is not None:
            raise UsageError(
                "--bounds is for recorded days; a simulated one has one world, simulated"
            )
        command = f"replay {feed.chain.underlying.symbol} {feed.dates}"
        _run(feed, desk, out, seed, command, live, as_json, pace, resume, positions)


def demo(
    config: Config = None,
    out: Out = None,
    resume: Resume = False,
    speed: Speed = "max",
    seed: Annotated[int, typer.Option("--seed", help="of the simulated day", min=0)] = 7,
    minutes: Annotated[
        int | None, typer.Option("--minutes", help="stop this long after the open", min=5, max=405)
    ] = None,
    live: Live = True,
    as_json: AsJson = False,
) -> None:
    """Quote a simulated SPY day: no network, no files, the same bytes for the same seed.

    Example: optmm demo --seed 7
    """
    from optmm.cli.pacing import speed_of
    from optmm.cli.simulate import configured
    from optmm.config import load
    from optmm.data.simulator import simulate_day
    from optmm.market.feed import feed_of

    pace = speed_of(speed)
    desk = load(config)
    compile_ahead()
    _say("simulating a SPY-like day ...", quiet=as_json)
    world = simulate_day(configured(minutes), seed)
    feed = feed_of(world.day)
    _run(feed, desk, out, seed, f"demo --seed {seed}", live, as_json, pace, resume)


def _with_bounds(desk: "DeskConfig", bounds: str | None) -> "DeskConfig":
    if bounds is None:
        return desk
    from optmm.config import parsed
    from optmm.errors import ConfigError, UsageError

    raw = desk.model_dump(mode="python")
    raw["replay"]["bounds"] = tuple(part.strip() for part in bounds.split(",") if part.strip())
    try:
        return parsed(raw, f"--bounds {bounds!r}")
    except ConfigError as bad:
        raise UsageError(
            f"{bad}. Name each of pessimistic, queue, optimistic at most once, comma separated"
        ) from None


def _say(words: str, *, quiet: bool) -> None:
    if not quiet:
        typer.echo(words, err=True)


def _free_folder(name: str) -> Path:
    """The first of runs/name, runs/name-2, ... that is not there yet."""
    base = Path("runs")
    for number in range(1, 10_000):
        folder = base / (name if number == 1 else f"{name}-{number}")
        if not folder.exists():
            return folder
    raise RuntimeError("ten thousand runs of one day in one folder")


def _run(
    feed: "Feed", desk: "DeskConfig", out: Path | None, seed: int, command: str, live: bool,
    as_json: bool, speed: float | None, resume: bool, positions: Path | None = None,
) -> None:  # fmt: skip
    """Run the sessions, write the report, print it; an interrupted folder is kept."""
    import gc
    import json
    import sys

    from optmm.cli.pacing import Pacer
    from optmm.cli.screen import Screen
    from optmm.engine import replay as engine
    from optmm.errors import UsageError
    from optmm.reports import write
    from optmm.reports.terminal import show

    if resume and out is None:
        raise UsageError("--resume needs --out: the folder of the run that was interrupted")
    gc.freeze()  # what is loaded by now stays: the collector need not look at it again
    symbol = feed.chain.underlying.symbol
    folder = out or _free_folder(f"{symbol.lower()}-{feed.dates}")
    _say(
        f"{symbol} {feed.dates}: {len(feed.chain):,} options, {feed.chain.slices} expiries, "
        f"{feed.events:,} events",
        quiet=as_json,
    )
    if not as_json:
        say_if_cold()
    try:
        with (
            Screen(feed, enabled=live and not as_json) as screen,
            Pacer(speed, say=screen.note) as pacer,
        ):
            it = engine.run(
                feed, desk, folder, seed=seed, command=command, progress=screen.update,
                control=pacer, resume=resume, positions=positions,
            )  # fmt: skip
        report = write(folder)
        engine.complete_run(folder)
    except KeyboardInterrupt:
        _say(
            f"stopped; {folder} is kept and says complete: false. The same command with "
            f"--out {folder} --resume goes on",
            quiet=False,
        )
        raise
    if as_json:
        typer.echo(json.dumps(report, indent=2, allow_nan=False))
    else:
        show(report, sys.stdout)
        _say(
            f"\nreport: {folder / 'report.html'}\n"
            f"next:   optmm report {folder} --open   |   optmm journal verify {folder}",
            quiet=False,
        )
    _judge(it)


def _judge(it: "Run") -> None:
    """LimitBreached when a world was killed or went over a hard limit."""
    from optmm.errors import LimitBreached

    stopped = {w.name: w.stopped for w in it.worlds if w.stopped}
    over = {w.name: w.breaches for w in it.worlds if w.breaches}
    if stopped or over:
        words = [f"{name}: {why}" for name, why in stopped.items()]
        words += [
            f"{name}: over {limit} ({used:,.0f})"
            for name, passed in over.items()
            for limit, used in passed.items()
        ]
        raise LimitBreached("; ".join(words))
