"""The shelf of readers, and the one door to a recorded day.

A reader recognises a path, lists the days behind it, and loads one. Adding a source is one file
with a reader and one `register` line.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from optmm.errors import DataError, UsageError
from optmm.market import calendar
from optmm.market.chain import MarketDay

if TYPE_CHECKING:
    from optmm.data.tape import DayStream


@dataclass(frozen=True, slots=True)
class Stored:
    """A chain that a source holds, and its trade dates."""

    underlying: str  # what `load` accepts
    cls: str  # of the options: "option", "indexoption", "futureoption", "stored day"
    dates: tuple[str, ...]


class Reader(Protocol):
    """One format of recorded days. Stateless."""

    @property
    def name(self) -> str:
        """What an error message calls it."""

    def recognises(self, path: Path) -> bool:
        """Whether `path` looks like this format; never raises."""

    def days(self, path: Path) -> list[Stored]:
        """What `path` holds."""

    def load(self, path: Path, underlying: str, date: str) -> MarketDay:
        """One day; DataError when it is absent or unusable."""


@runtime_checkable
class StreamReader(Reader, Protocol):
    """A reader whose days may be larger than memory."""

    def stream(self, path: Path, underlying: str, date: str) -> "DayStream":
        """One day to be had in blocks; errors as `load`."""


@runtime_checkable
class FolderReader(Reader, Protocol):
    """A reader whose days are folders of ours."""

    def folder(self, path: Path, underlying: str, date: str) -> Path:
        """Where that day is stored; errors as `load`."""


READERS: dict[str, Reader] = {}


def register(reader: Reader) -> Reader:
    """Put `reader` on the shelf; a second one of the same name is a bug, not an override."""
    if reader.name in READERS:
        raise UsageError(f"reader {reader.name!r} is already registered")
    READERS[reader.name] = reader
    return reader


def reader_for(path: Path) -> Reader:
    """The reader of `path`; DataError when there is nothing, or nothing we read."""
    if not path.exists():
        raise DataError(f"there is no {path}", remedy="Check the path.")
    for reader in READERS.values():
        if reader.recognises(path):
            return reader
    if path.is_file():
        from optmm.data import tables

        tables.heading(path)  # a damaged file says so itself
    raise DataError(
        f"{path} is no source we read",
        remedy=f"Point at one of these: {', '.join(sorted(READERS))}.",
    )


def open_day(path: Path | str, underlying: str | None = None, date: str | None = None) -> MarketDay:
    """Read one trade date of one underlying from whatever `path` is.

    Parameters
    ----------
    path : a LEAN Data folder, a stored day, Databento files, or a table of quotes with times
    underlying : symbol; may be left out where only one fits
    date : trade date, YYYY-MM-DD; may be left out where only one fits

    Raises
    ------
    UsageError
        Several days fit; lists them.
    DataError
        Nothing is there, or it cannot be used.
    """
    try:
        return _open(Path(path), underlying, date)
    except PermissionError as bad:
        raise DataError(
            "cannot be read", file=str(bad.filename), remedy="Check its mode."
        ) from None


def _open(place: Path, underlying: str | None, date: str | None) -> MarketDay:
    reader, name, day = choose(place, underlying, date)
    return reader.load(place, name, day)


def choose(place: Path, underlying: str | None, date: str | None) -> tuple[Reader, str, str]:
    """Reader, underlying and date of the one day meant; errors as `open_day`."""
    reader = reader_for(place)
    date = None if date is None else calendar.iso(date)
    if underlying is not None and date is not None and isinstance(reader, StreamReader):
        return reader, underlying, date  # what such a source lists costs a pass over all of it
    fits = [
        (chain.underlying, day)
        for chain in reader.days(place)
        if underlying is None or _same(chain.underlying, underlying)
        for day in chain.dates
        if date is None or day == date
    ]
    if len(fits) == 1:
        return reader, *fits[0]
    if len(fits) > 1 and (underlying is None or date is None):
        there = "; ".join(f"{name} {day}" for name, day in fits)
        raise UsageError(f"{len(fits)} days fit in {place}: name --underlying and --date: {there}")
    if underlying is None or date is None:
        there = ", ".join(sorted({chain.underlying for chain in reader.days(place)})) or "nothing"
        asked = underlying or f"any underlying on {date}"
        raise DataError(f"no options on {asked} in {place}", remedy=f"There is {there}.")
    # The reader knows best how to say what is missing, and may accept other spellings.
    return reader, underlying, date


def _same(listed: str, asked: str) -> bool:
    """Whether `asked` names `listed`; a contract month (ES/202003) may be left out of either."""
    one, other = listed.upper(), asked.upper()
    return other in (one, one.partition("/")[0]) or one == other.partition("/")[0]


@dataclass(frozen=True, slots=True)
class LeanReader:
    """LEAN's Data folder: minute quotes of options with their underlying."""

    name: str = "LEAN data folder"

    def recognises(self, path: Path) -> bool:
        from optmm.data import lean_layout

        return path.is_dir() and lean_layout.is_tree(path)

    def days(self, path: Path) -> list[Stored]:
        from optmm.data import lean_layout

        found = lean_layout.available(path)
        several = {
            x.underlying for x in found if sum(y.underlying == x.underlying for y in found) > 1
        }
        return [
            Stored(
                f"{x.underlying}/{x.month}"
                if x.underlying in several and x.month
                else x.underlying,
                x.cls,
                x.dates,
            )
            for x in found
        ]

    def load(self, path: Path, underlying: str, date: str) -> MarketDay:
        from optmm.data import lean

        return lean.load(path, underlying, date)


@dataclass(frozen=True, slots=True)
class StoredReader:
    """A day written by `store.write`."""

    name: str = "stored day"

    def recognises(self, path: Path) -> bool:
        from optmm.data import store

        return path.is_dir() and store.is_stored(path)

    def days(self, path: Path) -> list[Stored]:
        from optmm.data import store

        names, date = store.title(path)
        return [Stored(names[0], self.name, (date,))]

    def load(self, path: Path, underlying: str, date: str) -> MarketDay:
        from optmm.data import store

        return store.read(self.folder(path, underlying, date))

    def folder(self, path: Path, underlying: str, date: str) -> Path:
        from optmm.data import store

        names, when = store.title(path)
        if underlying.upper() not in names or date != when:
            raise DataError(f"{path} holds {names[0]} {when}, not {underlying} {date}")
        return path


@dataclass(frozen=True, slots=True)
class StoredDaysReader:
    """A folder of days written by `store.write`, one a folder."""

    name: str = "folder of stored days"

    def recognises(self, path: Path) -> bool:
        return path.is_dir() and bool(self._inside(path))

    def days(self, path: Path) -> list[Stored]:
        from optmm.data import store

        dates: dict[str, list[str]] = {}
        for day in self._inside(path):
            names, date = store.title(day)
            dates.setdefault(names[0], []).append(date)
        return [Stored(name, self.name, tuple(sorted(found))) for name, found in dates.items()]

    def load(self, path: Path, underlying: str, date: str) -> MarketDay:
        from optmm.data import store

        return store.read(self.folder(path, underlying, date))

    def folder(self, path: Path, underlying: str, date: str) -> Path:
        from optmm.data import store

        found = []
        for day in self._inside(path):
            names, when = store.title(day)
            if underlying.upper() in names and when == date:
                found.append(day)
        if len(found) == 1:
            return found[0]
        if found:
            twice = ", ".join(each.name for each in found)
            raise DataError(f"{path} holds {underlying} {date} more than once: {twice}")
        listed = "; ".join(f"{x.underlying} {', '.join(x.dates)}" for x in self.days(path))
        raise DataError(f"{path} has no {underlying} {date}", remedy=f"There is {listed}.")

    def _inside(self, path: Path) -> list[Path]:
        from optmm.data import store

        return sorted(each for each in path.iterdir() if each.is_dir() and store.is_stored(each))


@dataclass(frozen=True, slots=True)
class DatabentoReader:
    """Databento's DBN files, or a folder of them."""

    name: str = "Databento files"

    def recognises(self, path: Path) -> bool:
        from optmm.data import databento, dbn_file

        if path.is_dir():
            return databento.is_folder(path)
        return dbn_file.is_dbn(path)

    def days(self, path: Path) -> list[Stored]:
        from optmm.data import databento

        return [Stored(name, "option", d) for name, d in databento.trading_days(path).items()]

    def load(self, path: Path, underlying: str, date: str) -> MarketDay:
        from optmm.data import tape

        return tape.collect(self.stream(path, underlying, date))

    def stream(self, path: Path, underlying: str, date: str) -> "DayStream":
        from optmm.data import databento

        return databento.open_dbn(path, underlying, date)


@dataclass(frozen=True, slots=True)
class TableReader:
    """A vendor's table whose rows say when they were in force."""

    name: str = "table of quotes with times"

    def recognises(self, path: Path) -> bool:
        from optmm.data import formats

        table = formats.format_of(path)
        return table is not None and table.has_days

    def days(self, path: Path) -> list[Stored]:
        from optmm.data import formats, table_days

        table = formats.known(path)
        days = table_days.trading_days(table, path)
        return [Stored(name, table.name, dates) for name, dates in days.items()]

    def load(self, path: Path, underlying: str, date: str) -> MarketDay:
        from optmm.data import tape

        return tape.collect(self.stream(path, underlying, date))

    def stream(self, path: Path, underlying: str, date: str) -> "DayStream":
        from optmm.data import formats, table_days

        return table_days.open_table(formats.known(path), path, underlying, date)


register(StoredReader())
register(StoredDaysReader())
register(LeanReader())
register(DatabentoReader())
register(TableReader())
