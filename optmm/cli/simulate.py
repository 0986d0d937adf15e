"""optmm simulate: write seeded days of a SPY-like market, with their ground truth beside them."""

import contextlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from optmm.errors import UsageError

if TYPE_CHECKING:
    from optmm.data.simulator.config import SimulationConfig
    from optmm.data.simulator.day import SimulatedDay


DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


def simulate(
    seed: Annotated[int, typer.Option(help="same seed and settings, same bytes", min=0)] = 7,
    out: Annotated[Path, typer.Option(help="folder to write")] = Path("simulated-day"),
    minutes: Annotated[
        int | None, typer.Option(help="length from the open; all day if absent", min=1, max=405)
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="TOML of simulation settings (SimulationConfig)")
    ] = None,
    days: Annotated[
        int, typer.Option(help="consecutive sessions, each in a folder of its date", min=1, max=250)
    ] = 1,
    facts: Annotated[
        bool, typer.Option("--facts", help="measure the simulated market too; takes a minute a day")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="replace an existing folder")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object on stdout")] = False,
) -> None:
    """Simulate one trading day of SPY-like options and store it for `optmm replay`.

    The folder holds the public day (events.parquet, chain.parquet, day.json) and, in truth/, what
    no desk may read: the true spot, surface and takers. With --days each session has a folder named
    by its date and truth/ one for each date; positions may be carried through them.

    Example: optmm simulate --seed 7 --out spy-day
    """
    refuse_occupied(out, force=force)
    settings = configured(minutes, config)
    if days == 1:
        from optmm.data.simulator import simulate_day

        simulated = simulate_day(settings, seed)
        store_simulated(simulated, out)
        found = [_found(simulated, out, facts)]
    else:
        found = store_days(settings, seed, days, out, facts=facts)
    if as_json:
        print(json.dumps(found[0] if days == 1 else found, sort_keys=True))
        return
    for each in found:
        _show(each)


def _found(simulated: "SimulatedDay", folder: Path, facts: bool) -> dict[str, Any]:
    """The summary of a day, with its stylised facts when asked for."""
    out = summary(simulated, folder)
    if facts:
        from optmm.data.facts import facts_of

        out["facts"] = facts_of(simulated.day).as_json()
    return out


def _show(found: dict[str, Any]) -> None:
    """One line a figure; facts indented below."""
    measured = found.pop("facts", {})
    for name, value in found.items():
        print(f"{name:<18} {value:,}" if isinstance(value, int) else f"{name:<18} {value}")
    for name, value in measured.items():
        print(f"  {name:<46} {'-' if value is None else f'{value:.4g}'}")


def store_days(
    settings: "SimulationConfig", seed: int, days: int, out: Path, *, facts: bool = False
) -> list[dict[str, Any]]:
    """Write several sessions to `out` through a sibling folder; their summaries."""
    from optmm.data import store
    from optmm.data.simulator import simulate_days
    from optmm.data.simulator.truth import write_truth

    found = []
    with _replacing(out) as draft:
        for simulated in simulate_days(settings, seed, days):
            date = simulated.day.session.date
            store.write(simulated.day, draft / date)
            write_truth(simulated.truth, draft / "truth" / date)
            found.append(_found(simulated, out / date, facts))
    return found


def configured(minutes: int | None, file: Path | None = None) -> "SimulationConfig":
    """Settings from a TOML file, or the defaults, cut to `minutes` when given.

    Raises
    ------
    ConfigError
        Names the file, the key, what is wrong and what would be right.
    """
    from optmm.data.simulator.config import simulation_config

    values = {} if file is None else _toml(file)
    if minutes is not None:
        values["minutes"] = minutes
    return simulation_config(values, "simulation config" if file is None else str(file))


def refuse_occupied(out: Path, *, force: bool) -> None:
    """UsageError when `out` is a file, or a folder with content that `force` does not cover."""
    if out.is_file():
        raise UsageError(f"{out} is a file: name a folder with --out")
    if out.is_dir() and any(out.iterdir()):
        if not force:
            raise UsageError(
                f"{out} is not empty: name another folder, or add --force to replace it"
            )
        if not _is_ours(out):
            raise UsageError(f"{out} holds something other than a stored day: remove it yourself")


def store_simulated(simulated: "SimulatedDay", out: Path) -> None:
    """Write day and truth to `out` through a sibling folder, renamed when everything is written."""
    from optmm.data import store
    from optmm.data.simulator.truth import write_truth

    with _replacing(out) as draft:
        write_truth(simulated.truth, draft / "truth")
        store.write(simulated.day, draft)


@contextlib.contextmanager
def _replacing(out: Path) -> Iterator[Path]:
    """A draft folder that takes the place of `out` when the block ends well; else nothing did."""
    out.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    old: Path | None = None
    try:
        yield draft
        draft.chmod(0o777 & ~_umask())  # mkdtemp makes it private
        if out.exists():
            old = Path(tempfile.mkdtemp(prefix=f".{out.name}-old-", dir=out.parent))
            out.replace(old / "day")
        draft.replace(out)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
        if old is not None:
            if not out.exists():
                with contextlib.suppress(OSError):
                    (old / "day").replace(out)
            shutil.rmtree(old, ignore_errors=True)


def summary(simulated: "SimulatedDay", out: Path) -> dict[str, Any]:
    """What was simulated, in the units of the names."""
    import numpy as np

    from optmm.market.events import Kind

    day, truth = simulated.day, simulated.truth
    counts = np.bincount(day.events["kind"], minlength=len(Kind))
    spot, takers = truth.spot, truth.takers
    return {
        "folder": str(out),
        "seed": truth.seed,
        "config_hash": truth.prices.config.digest,
        "data_hash": day.sources[0][1],
        "underlying": day.chain.underlying.symbol,
        "date": day.session.date,
        "minutes": truth.prices.clock.seconds // 60,
        "instruments": len(day.chain),
        "expiries": day.chain.slices,
        "events": int(day.events.size),
        "quotes": int(counts[Kind.QUOTE]),
        "underlying_quotes": int(counts[Kind.UNDERLYING_QUOTE]),
        "takers": int(counts[Kind.TAKER]),
        "informed_takers": int((takers.informed > 0).sum()),
        "taker_lots": int(takers.lots.sum()),
        "spot_open_usd": round(float(spot[0]), 4),
        "spot_close_usd": round(float(spot[-1]), 4),
        "spot_low_usd": round(float(spot.min()), 4),
        "spot_high_usd": round(float(spot.max()), 4),
    }


def _is_ours(folder: Path) -> bool:
    """Whether a folder holds a stored day, or several by date, and nothing we did not write."""
    names = {entry.name for entry in folder.iterdir()}
    if "day.json" in names:
        return names <= {"day.json", "events.parquet", "chain.parquet", "truth"}
    dates = names - {"truth"}
    return bool(dates) and all(
        DATE.fullmatch(name) and (folder / name).is_dir() and _is_ours(folder / name)
        for name in dates
    )


def _toml(path: Path) -> dict[str, Any]:
    import tomllib

    from optmm.errors import ConfigError

    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(
            f"{path}: no such file. Write one, or drop --config for defaults"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as bad:
        raise ConfigError(f"{path}: not valid TOML: {bad}") from None


def _umask() -> int:
    """The process's file mode mask; reading it means setting it for an instant."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
