"""The one door to what a run is fed: one trade date or several, of whatever a path holds.

A stored day is read in blocks. Vendors' files that come as streams are first put in order on disk,
so a day of any size runs in the same memory.
"""

import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from optmm.data import store
from optmm.data.readers import FolderReader, Reader, StreamReader, choose, reader_for
from optmm.data.tape import Progress, no_progress
from optmm.errors import DataError, UsageError
from optmm.market import calendar
from optmm.market.feed import Feed, feed_of, joined

RANGE = ".."


@contextlib.contextmanager
def opened(
    path: Path, underlying: str | None, date: str | None, progress: Progress = no_progress
) -> Iterator[Feed]:
    """The sessions meant, for as long as the context lasts.

    Parameters
    ----------
    path, underlying : as `readers.open_day` takes them
    date : YYYY-MM-DD; several with commas; FIRST..LAST for all that the source has between them
    progress : told of the rows that are put in order on disk

    Raises
    ------
    UsageError
        Several days fit and none is named; dates repeat.
    DataError
        Nothing is there, or it cannot be used.
    """
    with contextlib.ExitStack() as stack:
        try:
            yield joined(
                [
                    _one(stack, reader, path, name, day, progress)
                    for reader, name, day in _meant(path, underlying, date)
                ]
            )
        except PermissionError as bad:
            raise DataError(
                "cannot be read", file=str(bad.filename), remedy="Check its mode."
            ) from None


def _meant(path: Path, underlying: str | None, date: str | None) -> list[tuple[Reader, str, str]]:
    """(reader, underlying, date) of every session asked for."""
    if date is None or (RANGE not in date and "," not in date):
        return [choose(path, underlying, date)]
    if RANGE not in date:
        asked = [calendar.iso(part.strip()) for part in date.split(",") if part.strip()]
        if not asked:
            raise UsageError(f"--date {date!r} names no date")
        if len(set(asked)) != len(asked):
            raise UsageError(f"--date {date!r} names a date twice")
        return [choose(path, underlying, each) for each in asked]
    first, last = (calendar.iso(part.strip()) for part in date.split(RANGE, 1))
    if last < first:
        raise UsageError(f"--date {date!r} ends before it begins")
    there = {
        (stored.underlying, day)
        for stored in reader_for(path).days(path)
        for day in stored.dates
        if first <= day <= last
    }
    names = sorted({name for name, _ in there})
    dates = sorted({day for _, day in there})
    if underlying is None and len(names) > 1:
        raise UsageError(f"{path} holds {', '.join(names)} between {first} and {last}: name one")
    meant = [day for day in dates if _has(there, underlying, day)]
    if not meant:
        what = f"day of {underlying}" if underlying else "day"
        raise DataError(
            f"{path} has no {what} from {first} to {last}",
            remedy=f"In those days it holds {', '.join(names)}." if names else "",
        )
    return [choose(path, underlying or names[0], day) for day in meant]


def _has(there: set[tuple[str, str]], underlying: str | None, day: str) -> bool:
    """Whether the source lists `underlying` that day; a contract month may be left out."""
    if underlying is None:
        return True
    asked = underlying.upper()
    return any(
        when == day and asked in (name.upper(), name.upper().partition("/")[0])
        for name, when in there
    )


def _one(
    stack: contextlib.ExitStack, reader: Reader, path: Path, name: str, date: str,
    progress: Progress,
) -> Feed:  # fmt: skip
    """One session of one reader."""
    if isinstance(reader, FolderReader):
        return store.feed(reader.folder(path, name, date))
    if not isinstance(reader, StreamReader):
        return feed_of(reader.load(path, name, date))
    stream = reader.stream(path, name, date)
    place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="optmm-")))
    store.write_stream(stream, place / "day", progress)
    # what is written on disk for this run only has no name of its own in its manifest
    return replace(store.feed(place / "day"), sources=stream.sources)
