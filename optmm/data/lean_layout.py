"""Where LEAN keeps things: classes, folders, file and member names, scales and clocks.

`<class>/<market>/minute/<underlying>/[<contract month>/]YYYYMMDD_<what>_<style>.zip`, one
header-less CSV member a contract. What differs by class is in `CLASSES`. Nothing here opens a file.
"""

import datetime as dt
import re
from dataclasses import dataclass
from pathlib import Path

from optmm.errors import DataError, UsageError
from optmm.market import calendar
from optmm.market.instruments import Option, has_osi

E9 = 1_000_000_000
TEN_THOUSANDTH_E9 = 100_000  # equities and strikes are written x 10000

QUOTE_FILE = re.compile(r"(\d{8})_quote_(american|european)\.zip(?:\.zip)?")
OPTION_MEMBER = re.compile(
    r"(\d{8})_([^_]+)_minute_(quote|trade|openinterest)_(american|european)"
    r"_(call|put)_(\d+)_(\d{8})\.csv"
)
MONTH = re.compile(r"\d{4}(0[1-9]|1[0-2])")
MONTH_CODES = "FGHJKMNQUVXZ"


@dataclass(frozen=True, slots=True)
class LeanClass:
    """How one class of options and its underlying are written."""

    name: str  # folder of the options
    kind: str  # of the underlying: "equity", "index", "future"
    underlying: str  # folder of the underlying
    price_e9: int  # what 1 in an option price column is worth
    zone: str  # clock of the option files
    underlying_price_e9: int
    underlying_zone: str


_NEW_YORK, _CHICAGO = "America/New_York", "America/Chicago"
CLASSES = {
    c.name: c
    for c in (
        LeanClass(
            "option", "equity", "equity",
            TEN_THOUSANDTH_E9, _NEW_YORK, TEN_THOUSANDTH_E9, _NEW_YORK,
        ),
        LeanClass("indexoption", "index", "index", TEN_THOUSANDTH_E9, _NEW_YORK, E9, _CHICAGO),
        LeanClass("futureoption", "future", "future", E9, "UTC", E9, "UTC"),
    )
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Listing:
    """One chain that a LEAN tree holds, and the trade dates it has quotes for."""

    cls: str  # "option", "indexoption", "futureoption"
    underlying: str  # GOOG, SPXW, ES
    dates: tuple[str, ...]  # YYYY-MM-DD
    folder: str  # of the option files, relative to the root
    month: str = ""  # of the underlying future, YYYYMM

    @property
    def market(self) -> str:
        """The market folder: usa, cme."""
        return self.folder.split("/")[1]


def is_tree(root: Path) -> bool:
    """Whether `root` looks like LEAN's Data folder."""
    return any((root / name).is_dir() for name in CLASSES)


def available(root: Path) -> list[Listing]:
    """Every chain of minute quotes below `root`, in order of class and name.

    A trade date of a 23 h session is stored under the two UTC dates it touches; a weekend date is
    the evening of the session that follows and is not listed by itself.
    """
    found = []
    for name in CLASSES:
        for folder in sorted(root.glob(f"{name}/*/minute/*")):
            months = sorted(f for f in folder.glob("*/") if MONTH.fullmatch(f.name))
            for place in [folder, *months]:
                dates = _dates(place)
                if dates:
                    month = place.name if place != folder else ""
                    where = place.relative_to(root).as_posix()
                    found.append(Listing(name, folder.name.upper(), dates, where, month))
    return found


def _dates(folder: Path) -> tuple[str, ...]:
    if not folder.is_dir():
        return ()
    stamps = {m[1] for f in folder.iterdir() if (m := QUOTE_FILE.fullmatch(f.name))}
    days = sorted(d for s in stamps if (d := _date(s)) is not None and d.weekday() < 5)
    return tuple(d.isoformat() for d in days)


def _date(stamp: str) -> dt.date | None:
    try:
        return dt.date(int(stamp[:4]), int(stamp[4:6]), int(stamp[6:8]))
    except ValueError:
        return None


def find(root: Path, underlying: str, date: str) -> Listing:
    """The chain of `underlying` that has quotes on `date`.

    Raises
    ------
    DataError
        The path, the underlying or the date is not there; names what is.
    UsageError
        Several contract months fit: name one, as in ES/202003.
    """
    if not root.is_dir():
        raise DataError(f"there is no folder {root}", remedy="Check the path.")
    everything = available(root)
    if not everything:
        raise DataError(
            f"{root} holds no minute quotes of options",
            remedy="Point at LEAN's Data folder, the one that contains option/ or indexoption/.",
        )
    name, _, month = underlying.upper().partition("/")
    mine = [x for x in everything if x.underlying == name and month in ("", x.month)]
    if not mine:
        there = ", ".join(sorted({x.underlying for x in everything}))
        raise DataError(f"no options on {underlying} in {root}", remedy=f"There are {there}.")
    day = calendar.iso(date)
    fits = [x for x in mine if day in x.dates]
    if not fits:
        there = ", ".join(sorted({d for x in mine for d in x.dates}))
        raise DataError(
            f"no quotes of {name} options on {day} in {root}", remedy=f"Dates: {there}."
        )
    if len(fits) > 1:
        there = ", ".join(f"{x.underlying}/{x.month or x.cls}" for x in fits)
        raise UsageError(f"several chains fit {underlying} on {day}: name one of {there}")
    return fits[0]


def files(root: Path, folder: str, date: str, what: str) -> list[Path]:
    """The zips of one stored date and kind of row ("quote", "trade", "openinterest")."""
    stamp = date.replace("-", "")
    pattern = re.compile(rf"{stamp}_{what}(_american|_european)?\.zip")
    place = root / folder
    if not place.is_dir():
        return []
    # Some official files are named .zip.zip; they are ordinary zips.
    # Where both spellings exist the plain one wins.
    there = sorted(place.iterdir(), key=lambda f: (-len(f.name), f.name))
    names = {f.name.removesuffix(".zip").removesuffix(".zip") + ".zip": f for f in there}
    return [inside(root, names[n]) for n in sorted(names) if pattern.fullmatch(n)]


def inside(root: Path, path: Path) -> Path:
    """Return `path`; DataError when a link leads it out of `root`."""
    if not path.resolve().is_relative_to(root.resolve()):
        raise DataError("the file lies outside the data folder", file=str(path))
    return path


def member(name: str) -> tuple[Option, bool] | None:
    """The series a member holds and whether it is American; None for a name that is no series."""
    match = OPTION_MEMBER.fullmatch(name)
    if match is None:
        return None
    _, root, _, style, right, strike, stamp = match.groups()
    expiry = _date(stamp)
    if expiry is None:
        return None
    strike_e9 = int(strike) * TEN_THOUSANDTH_E9
    option = Option(root.upper(), expiry, 1 if right == "call" else -1, strike_e9)
    return (option, style == "american") if has_osi(option) else None


def future_code(root: str, month: str) -> str:
    """Exchange code of a contract month: ES, 202003 -> ESH20."""
    return f"{root}{MONTH_CODES[int(month[4:]) - 1]}{month[2:4]}"


def underlying_member(what: str, month: str) -> re.Pattern[str]:
    """Which member holds the underlying: the only one, or that of a future's contract month."""
    tail = f"_{month}" if month else ""
    return re.compile(rf"\d{{8}}_[^_]+_minute_{what}{tail}\.csv")
