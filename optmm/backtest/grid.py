"""grid.toml: days, base configuration, values to try and how to compare, checked before a run.

    [[days]]     path, underlying, dates, seed   or   seeds, simulation
    [base]       config = "desk.toml", and sections of the desk's configuration over it
    [grid]       "quoting.market_share" = [0.3, 0.4, 0.5]: every combination is a cell
    [compare]    baseline, metrics, confidence, draws, seed, block_days, min_days

Paths are relative to the folder of grid.toml. Unknown keys are errors.
"""

import difflib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator

from optmm.backtest.days import Day, resolve, toml_of
from optmm.backtest.figures import METRICS
from optmm.config import DeskConfig, Section, digest, load, parsed
from optmm.errors import ConfigError

MAX_CELLS = 10_000


class Source(Section):
    """Days of one kind: recorded ones of a path, or simulated ones of some seeds."""

    path: str | None = Field(None, description="a source that `optmm replay` reads")
    underlying: str | None = Field(None, description="where the path holds several")
    dates: tuple[str, ...] | None = Field(
        None, min_length=1, description="YYYY-MM-DD; all that the path holds if absent"
    )
    seed: int = Field(0, ge=0, description="of a recorded day: recorded with the run")
    seeds: tuple[int, ...] | None = Field(
        None, min_length=1, description="of simulated days, one day each"
    )
    simulation: dict[str, Any] | str = Field(
        default_factory=dict, description="settings of the simulator, or a TOML file of them"
    )

    @field_validator("simulation", mode="plain")
    @classmethod
    def _settings(cls, value: object) -> Any:
        if not isinstance(value, dict | str):
            raise ValueError(f"is {value!r:.40}, must be a table of settings or the path of a file")
        return value

    @field_validator("seeds")
    @classmethod
    def _natural(cls, seeds: tuple[int, ...] | None) -> tuple[int, ...] | None:
        if seeds is not None and min(seeds) < 0:
            raise ValueError("seeds must be >= 0")
        return seeds

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if (self.path is None) == (self.seeds is None):
            raise ValueError("needs either path (recorded days) or seeds (simulated days)")
        given = self.model_fields_set
        wrong = {"simulation"} if self.seeds is None else {"underlying", "dates", "seed"}
        if wrong & given:
            kind = "recorded" if self.seeds is None else "simulated"
            raise ValueError(f"has {', '.join(sorted(wrong & given))}, not for {kind} days")
        return self


class Compare(Section):
    """What the comparison says, about which cell, and how surely."""

    baseline: dict[str, Any] | int | None = Field(
        None, description="grid values of one cell, or its number; else the base's own, else cell 1"
    )
    metrics: tuple[str, ...] = Field(
        ("net_usd", "spread_capture_usd", "adverse_selection_usd", "contracts"), min_length=1
    )
    confidence: float = Field(0.95, ge=0.5, le=0.999)
    draws: int = Field(10_000, ge=1_000, le=100_000, description="resamples")
    seed: int = Field(0, ge=0, description="of the resamples")
    block_days: float = Field(
        1.0, ge=1.0, le=60.0, description="mean stretch of days kept together; 1: independent days"
    )
    min_days: int = Field(10, ge=5, le=1_000, description="fewer give no interval")

    @field_validator("baseline", mode="plain")
    @classmethod
    def _one_cell(cls, value: object) -> Any:
        if not isinstance(value, dict | int) or isinstance(value, bool):
            raise ValueError(f"is {value!r:.40}, must be a table of grid values or a cell's number")
        return value

    @field_validator("metrics")
    @classmethod
    def _known(cls, metrics: tuple[str, ...]) -> tuple[str, ...]:
        for name in metrics:
            if name not in METRICS:
                near = difflib.get_close_matches(name, METRICS, n=1)
                hint = f"did you mean {near[0]!r}?" if near else "docs/backtest.md lists them"
                raise ValueError(f"unknown metric {name!r}; {hint}")
        if len(set(metrics)) != len(metrics):
            raise ValueError("names a metric twice")
        return metrics


class GridFile(Section):
    """The file as it stands."""

    days: tuple[Source, ...]
    base: dict[str, Any] = Field(default_factory=dict)
    grid: dict[str, Any] = Field(default_factory=dict)
    compare: Compare = Compare()

    @field_validator("days")
    @classmethod
    def _some(cls, days: tuple[Source, ...]) -> tuple[Source, ...]:
        if not days:  # a bound on the length would be judged on what is left of bad entries
            raise ValueError("names no day")
        return days


@dataclass(frozen=True, slots=True)
class Cell:
    """One configuration. `settings` are the grid's keys with their validated values."""

    number: int  # from 1, in the order of the file, last key fastest
    settings: tuple[tuple[str, Any], ...]
    label: str
    config: DeskConfig
    config_hash: str


@dataclass(frozen=True, slots=True)
class Grid:
    """Everything a backtest depends on."""

    origin: str
    keys: tuple[str, ...]
    cells: tuple[Cell, ...]
    days: tuple[Day, ...]
    compare: Compare
    baseline: int  # a cell's number

    @property
    def size(self) -> int:
        """Cell-days."""
        return len(self.cells) * len(self.days)


def read(path: Path) -> Grid:
    """Read and check a grid file, and that its days are there.

    Raises
    ------
    ConfigError
        The file, a key, a value or a cell is wrong: says which and what would be right.
    DataError
        A day is not there.
    """
    origin = str(path)
    raw = toml_of(path, "docs/examples/grid.toml is one")
    if isinstance(raw.get("days"), dict):
        raw["days"] = [raw["days"]]  # one source may be written [days]
    file = _validated(raw, origin)
    base = _base(file.base, path.parent, origin)
    keys, cells = _cells(file.grid, base, origin)
    baseline = _baseline(file.compare.baseline, keys, cells, base, origin)
    days = resolve(file.days, path.parent, origin)
    return Grid(origin, keys, cells, days, file.compare, baseline)


def _validated(raw: dict[str, Any], origin: str) -> GridFile:
    try:
        return GridFile.model_validate(_plain(raw))
    except ValidationError as bad:
        raise ConfigError(f"{origin}: " + "; ".join(map(_explain, bad.errors()))) from None


def _plain(value: Any) -> Any:
    """The same with every list a tuple and every date its ISO text."""
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, list):
        return tuple(map(_plain, value))
    return value.isoformat() if type(value) is date else value


def _explain(error: Any) -> str:
    """One fault in the user's words."""
    where = ""
    for part in error["loc"]:
        where += f"[{part + 1}]" if isinstance(part, int) else f"{'.' if where else ''}{part}"
    said = error["msg"].removeprefix("Value error, ")
    if error["type"] == "too_short":
        return f"{where} is empty; name at least one"
    if error["type"] == "missing":
        return f"{where} is missing; write [[{where}]]"
    if error["type"] != "extra_forbidden":
        return f"{where}: {said}" if error["type"] == "value_error" else (
            f"{where} is {error['input']!r:.80}: {said}"
        )  # fmt: skip
    models: dict[str, type[BaseModel]] = {"days": Source, "compare": Compare}
    model = models.get(error["loc"][0], GridFile) if len(error["loc"]) > 1 else GridFile
    near = difflib.get_close_matches(str(error["loc"][-1]), model.model_fields, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(model.model_fields)}"
    return f"unknown key {where!r}; {hint}"


def _base(base: dict[str, Any], folder: Path, origin: str) -> DeskConfig:
    """The desk file, and the sections written over it."""
    file = base.get("config")
    if file is not None and not isinstance(file, str):
        raise ConfigError(f"{origin}: base.config is {file!r}: must be the path of a desk.toml")
    raw = load(None if file is None else folder / file).model_dump(mode="python")
    for section, values in base.items():
        if section == "config":
            continue
        if not isinstance(values, dict) or not isinstance(raw.get(section), dict):
            raw[section] = values  # the desk's own check says what is wrong
            continue
        raw[section] = raw[section] | values
    return parsed(raw, f"{origin}: base")


def _lists(table: dict[str, Any], origin: str, above: str = "") -> Iterator[tuple[str, tuple]]:
    """(dotted name, values) of [grid], whether a key is quoted or not."""
    for key, values in table.items():
        name = f"{above}{key}"
        if isinstance(values, dict):
            yield from _lists(values, origin, f"{name}.")
        elif not isinstance(values, tuple) or not values:
            raise ConfigError(
                f"{origin}: grid.{name} is {_written(values)}: must be a list of one or more values"
            )
        elif name == "replay.bounds":
            raise ConfigError(
                f"{origin}: grid.replay.bounds: fill assumptions are rows of every cell, not "
                "values to compare; set [base.replay] bounds"
            )
        else:
            yield name, values


def _cells(
    table: dict[str, Any], base: DeskConfig, origin: str
) -> tuple[tuple[str, ...], tuple[Cell, ...]]:
    """Every combination, the last key fastest."""
    lists = dict(_lists(table, origin))
    count = 1
    for values in lists.values():
        count *= len(values)
    if count > MAX_CELLS:
        raise ConfigError(f"{origin}: grid has {count:,} cells, at most {MAX_CELLS:,}")
    keys, dumped = tuple(lists), base.model_dump(mode="python")
    cells: list[Cell] = []
    seen: dict[str, int] = {}
    for number, values in enumerate(itertools.product(*lists.values()), start=1):
        raw: Any = {section: dict(entries) for section, entries in dumped.items()}
        asked = ", ".join(f"{k} = {_written(v)}" for k, v in zip(keys, values, strict=True))
        for key, value in zip(keys, values, strict=True):
            section, _, name = key.partition(".")
            if name and isinstance(raw.get(section, {}), dict):
                raw.setdefault(section, {})[name] = value
            else:
                raw[key] = value
        config = parsed(raw, f"{origin}: cell {number} ({asked})")
        settings = tuple((key, value_of(config, key)) for key in keys)
        label = ", ".join(f"{_short(k, keys)}={_written(v)}" for k, v in settings) or "base"
        cell = Cell(number, settings, label, config, digest(config))
        if cell.config_hash in seen:
            raise ConfigError(
                f"{origin}: cells {seen[cell.config_hash]} and {number} are the same ({label}); "
                "write each value once"
            )
        seen[cell.config_hash] = number
        cells.append(cell)
    return keys, tuple(cells)


def value_of(config: DeskConfig, key: str) -> Any:
    """The value of a dotted key, as validated."""
    value: Any = config
    for part in key.split("."):
        value = getattr(value, part)
    return value


def _short(key: str, keys: tuple[str, ...]) -> str:
    """The key without its section, where that names one key only."""
    name = key.rpartition(".")[2]
    return name if sum(k.rpartition(".")[2] == name for k in keys) == 1 else key


def _written(value: Any) -> str:
    """A value as a person writes it."""
    if isinstance(value, tuple):
        return "[" + ", ".join(map(_written, value)) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and float(f"{value:g}") == value:
        return f"{value:g}"
    return str(value)


def _baseline(
    wanted: dict[str, Any] | int | None,
    keys: tuple[str, ...],
    cells: tuple[Cell, ...],
    base: DeskConfig,
    origin: str,
) -> int:
    """Number of the cell that others are compared with."""
    if wanted is None:
        same = [cell.number for cell in cells if cell.config_hash == digest(base)]
        return same[0] if same else 1
    if isinstance(wanted, int):
        if not 1 <= wanted <= len(cells):
            raise ConfigError(
                f"{origin}: compare.baseline is {wanted}: must be a cell from 1 to {len(cells)}"
            )
        return wanted
    asked = _flat(wanted)
    for key in asked:
        if key not in keys:
            raise ConfigError(
                f"{origin}: compare.baseline names {key!r}, which [grid] does not vary; it varies "
                f"{', '.join(keys) or 'nothing'}"
            )
    fits = [
        cell.number
        for cell in cells
        if all(dict(cell.settings)[key] == value for key, value in asked.items())
    ]
    if len(fits) != 1:
        there = f"cells {', '.join(map(str, fits))}; name every key" if fits else "no cell"
        raise ConfigError(f"{origin}: compare.baseline fits {there}")
    return fits[0]


def _flat(table: dict[str, Any], above: str = "") -> dict[str, Any]:
    """Nested tables under dotted names."""
    out: dict[str, Any] = {}
    for key, value in table.items():
        name = f"{above}{key}"
        out |= _flat(value, f"{name}.") if isinstance(value, dict) else {name: value}
    return out
