"""The days of a grid: found and named before anything runs, loaded one at a time by a worker."""

import json
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optmm.data.simulator.config import SimulationConfig, simulation_config
from optmm.errors import ConfigError, DataError, UsageError

if TYPE_CHECKING:
    from optmm.backtest.grid import Source
    from optmm.market.chain import MarketDay


@dataclass(frozen=True, slots=True)
class Day:
    """One day of the grid. A recorded one has a place; a simulated one has settings."""

    number: int  # from 1, in the order of the file
    source: str  # as the grid file writes it, or "simulator"
    underlying: str  # empty for a simulated day, which says so itself
    date: str  # YYYY-MM-DD
    seed: int
    simulated: bool  # its takers decide by our price: one world, no fill assumption
    place: Path | None = None
    simulation: SimulationConfig | None = None

    @property
    def name(self) -> str:
        """How a person calls it."""
        if self.simulation is not None:
            return f"seed {self.seed}"
        return f"{self.underlying} {self.date}"

    @property
    def block(self) -> str:
        """Days of one block are resampled together: one date, or one seed of the simulator."""
        return self.date if self.simulation is None else f"seed {self.seed:020d}"

    def identity(self) -> dict[str, Any]:
        """What makes it this day and no other, as JSON."""
        return {
            "source": self.source,
            "underlying": self.underlying,
            "date": self.date,
            "seed": self.seed,
            "simulation": None if self.simulation is None else self.simulation.digest,
        }


def resolve(sources: "Sequence[Source]", folder: Path, origin: str) -> tuple[Day, ...]:
    """The days of all sources in order.

    Raises
    ------
    ConfigError
        A source holds several underlyings and none is named, or a day is named twice.
    DataError
        A path, underlying or date is not there.
    """
    days: list[Day] = []
    for index, source in enumerate(sources, start=1):
        where = f"{origin}: days[{index}]"
        found = (
            _simulated(source, folder, where) if source.seeds else _recorded(source, folder, where)
        )
        days += [Day(len(days) + i, *rest) for i, rest in enumerate(found, start=1)]
    seen: dict[str, int] = {}
    for day in days:
        key = json.dumps(day.identity() | {"place": str(day.place)}, sort_keys=True)
        if key in seen:
            raise ConfigError(
                f"{origin}: days {seen[key]} and {day.number} are the same ({day.name}); name each "
                "day once"
            )
        seen[key] = day.number
    return tuple(days)


def toml_of(path: Path, remedy: str) -> dict[str, Any]:
    """A TOML file as a mapping, or ConfigError; `remedy` is for a file that is not there."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file. {remedy}") from None
    except OSError as bad:
        raise ConfigError(f"{path}: cannot be read: {bad.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as bad:
        raise ConfigError(f"{path}: not valid TOML: {bad}") from None


def _simulated(source: "Source", folder: Path, where: str) -> list[tuple]:
    settings: Any = source.simulation
    if isinstance(settings, str):
        file = folder / settings
        config = simulation_config(toml_of(file, "Check days.simulation"), str(file))
    else:
        config = simulation_config(settings, f"{where}.simulation")
    return [
        ("simulator", "", config.trade_date, seed, True, None, config)
        for seed in source.seeds or ()
    ]


def _recorded(source: "Source", folder: Path, where: str) -> list[tuple]:
    """Days of one path, in the order named, else by date."""
    from optmm.data.readers import FolderReader, reader_for
    from optmm.market import calendar

    assert source.path is not None
    place = folder / source.path
    reader = reader_for(place)
    listed = reader.days(place)
    names = [
        x for x in listed if source.underlying is None or _same(x.underlying, source.underlying)
    ]
    if len({x.underlying for x in names}) != 1:
        there = ", ".join(sorted({x.underlying for x in names or listed})) or "nothing"
        asked = source.underlying or "one underlying"
        raise DataError(
            f"{source.path} does not say which options {asked} means"
            if names
            else f"no options on {asked} in {source.path}",
            remedy=f"There is {there}; write underlying.",
        )
    held = sorted({date for x in names for date in x.dates})
    try:
        dates = held if source.dates is None else [calendar.iso(text) for text in source.dates]
    except UsageError as bad:
        raise ConfigError(f"{where}.dates: {bad}") from None
    absent = [date for date in dates if date not in held]
    if absent or not dates:
        shown = f"{held[0]} to {held[-1]}, {len(held)} dates" if len(held) > 1 else "".join(held)
        raise DataError(
            f"{source.path} has no {names[0].underlying} on {', '.join(absent[:5]) or 'any date'}",
            remedy=f"It has {shown or 'no date at all'}.",
        )
    name = names[0].underlying
    found: list[tuple] = []
    for date in dates:
        home, simulated = place, False
        if isinstance(reader, FolderReader):
            home = reader.folder(place, name, date)
            simulated = _says_simulated(home)
        found.append((source.path, name, date, source.seed, simulated, home))
    return found


def _same(listed: str, asked: str) -> bool:
    """Whether `asked` names `listed`; the month of a future option (ES/202003) may be left out."""
    one, other = listed.upper(), asked.upper()
    return other == one or other == one.partition("/")[0]


def _says_simulated(place: Path) -> bool:
    """Whether a stored day calls itself simulated; a damaged one is left to its reader."""
    from optmm.data.store import DAY

    try:
        return json.loads((place / DAY).read_text(encoding="utf-8")).get("simulated") is True
    except (OSError, ValueError, AttributeError):
        return False


def open_one(day: Day) -> "MarketDay":
    """Load or simulate the day; errors as those of the reader."""
    if day.simulation is not None:
        from optmm.data.simulator import simulate_day

        return simulate_day(day.simulation, day.seed).day
    from optmm.data.readers import open_day

    assert day.place is not None
    return open_day(day.place, day.underlying, day.date)
