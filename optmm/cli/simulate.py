"""optmm simulate: write a seeded day of a SPY-like market, with its ground truth beside it."""

import contextlib
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from optmm.errors import UsageError

if TYPE_CHECKING:
    from optmm.data.simulator.config import SimulationConfig
    from optmm.data.simulator.day import SimulatedDay


def simulate(
    seed: Annotated[int, typer.Option(help="same seed and settings, same bytes", min=0)] = 7,
    out: Annotated[Path, typer.Option(help="folder to write")] = Path("simulated-day"),
    minutes: Annotated[
        int | None, typer.Option(help="length from the open; all day if absent", min=1, max=405)
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="TOML of simulation settings (SimulationConfig)")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="replace an existing folder")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object on stdout")] = False,
) -> None:
    """Simulate one trading day of SPY-like options and store it for `optmm replay`.

    The folder holds the public day (events.parquet, chain.parquet, day.json) and, in truth/, what
    no desk may read: the true spot, surface and takers.

    Example: optmm simulate --seed 7 --out spy-day
    """
    refuse_occupied(out, force=force)
    settings = configured(minutes, config)
    from optmm.data.simulator import simulate_day

    simulated = simulate_day(settings, seed)
    store_simulated(simulated, out)
    found = summary(simulated, out)
    if as_json:
        print(json.dumps(found, sort_keys=True))
        return
    width = max(map(len, found))
    for name, value in found.items():
        print(
            f"{name:<{width}}  {value:,}" if isinstance(value, int) else f"{name:<{width}}  {value}"
        )


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

    out.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    old: Path | None = None
    try:
        write_truth(simulated.truth, draft / "truth")
        store.write(simulated.day, draft)
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
    """Whether a folder holds a stored day and nothing we did not write."""
    names = {entry.name for entry in folder.iterdir()}
    return "day.json" in names and names <= {"day.json", "events.parquet", "chain.parquet", "truth"}


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
