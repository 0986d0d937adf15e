"""When a snapshot was taken: from words in many languages, from a file name, from a user.

Browsers write one instant in many ways ("May 26, 2023 at 5:18 PM EDT", "14 April 2023, 19:12
UTC−4", "26 de mayo de 2023, 17:18 GMT-4", "26 мая 2023 г. в 17:18 GMT-4"). What cannot be read
with certainty is not guessed: the functions return None, and the caller looks elsewhere.
Instants are int64 ns UTC; a wall clock without a zone is New York's.
"""

import datetime as dt
import re
import unicodedata
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from optmm.errors import UsageError
from optmm.market import calendar

NEW_YORK = "America/New_York"
EXCHANGE = "NYSE"
DELAY_NS = 15 * 60 * 10**9  # of the exchange's free quotes while it trades
AT_EXAMPLES = "'2023-09-14 11:40' (New York), '11:40' or '2023-09-14T15:40Z'"

# Beginnings of month names, without accents: English, German, French, Spanish, Italian,
# Portuguese, Dutch, Polish and Russian. The longest beginning that fits decides.
MONTHS = {
    1: "jan gen ene sty янв", 2: "feb fev lut фев", 3: "mar mrt maa mrz март мар",
    4: "apr avr abr kwi апр", 5: "may mai maj mei mag mayo maio май мая",
    6: "jun juin giu cze июн", 7: "jul juil lug lip июл", 8: "aug aou ago sie авг",
    9: "sep set wrz сен", 10: "oct okt ott out paz окт", 11: "nov lis ноя",
    12: "dec dez dic gru дек",
}  # fmt: skip
STARTS = sorted(
    ((word, month) for month, words in MONTHS.items() for word in words.split()),
    key=lambda pair: -len(pair[0]),
)
ZONES_H = {
    "EDT": -4, "EST": -5, "CDT": -5, "CST": -6, "MDT": -6, "MST": -7, "PDT": -7, "PST": -8,
    "UTC": 0, "GMT": 0, "Z": 0, "BST": 1, "CET": 1, "CEST": 2, "MSK": 3,
}  # fmt: skip
OFFSET = re.compile(r"(?:utc|gmt)\s*([+-])\s*(\d{1,2})(?::?(\d{2}))?\b")
CLOCK = re.compile(r"(?<![\d:+-])(\d{1,2}):(\d{2})(?::(\d{2}))?\s*(?:([ap])\.?\s?m\b\.?)?")
ISO = re.compile(r"\b(\d{4})-(\d{1,2})-(\d{1,2})(?=\b|t)")
ASIAN = re.compile(r"(\d{4})\s*[年년]\s*(\d{1,2})\s*[月월]\s*(\d{1,2})")
YEAR, DAY = re.compile(r"\b(20\d{2})\b"), re.compile(r"\b(\d{1,2})(?:st|nd|rd|th)?\b")
TIME_ALONE = re.compile(r"\d{1,2}:\d{2}(:\d{2})?")
WORD = re.compile(r"[^\W\d_]+")
NAME = re.compile(r"(20\d{2})[-_]?(\d{2})[-_]?(\d{2})(?:[-_ T]*(\d{2})[:h]?(\d{2})(?=\D*ET\b))?")


@dataclass(frozen=True, slots=True)
class Wall:
    """A wall clock as somebody wrote it: a date, and perhaps a time and an offset from UTC."""

    date: dt.date
    time: dt.time | None = None
    offset: dt.timedelta | None = None  # None: New York

    @property
    def ns(self) -> int:
        """The instant, ns UTC; midnight stands in for a missing time."""
        zone = ZoneInfo(NEW_YORK) if self.offset is None else dt.timezone(self.offset)
        when = dt.datetime.combine(self.date, self.time or dt.time(), zone)
        return int(when.timestamp()) * 10**9


def read_words(text: str) -> Wall | None:
    """Date, time and zone of a free text; None unless day, month and year are all certain."""
    plain = _plain(text)
    date = _date(plain)
    if date is None:
        return None
    clock = CLOCK.search(plain)
    return Wall(date, None if clock is None else _time(clock), _offset(plain))


def read_name(name: str) -> Wall | None:
    """Date of a file name such as `spx_2023-09-14_close.csv.gz`, its time if it ends in ET.

    `close` leaves the time out, which `taken` reads as the close.
    """
    found = NAME.search(name)
    if found is None:
        return None
    year, month, day, hour, minute = found.groups()
    try:
        time = None if hour is None else dt.time(int(hour), int(minute))
        return Wall(dt.date(int(year), int(month), int(day)), time)
    except ValueError:
        return None


def read_at(text: str, day: dt.date | None = None) -> int:
    """What a user gave as `--at`, ns UTC: a date and time, or a time of `day`.

    Raises
    ------
    UsageError
        It is no time, or a time alone where no date is known.
    """
    given = text.strip().upper().replace("Z", "+00:00")
    try:
        if is_time_alone(given):
            if day is None:
                raise UsageError(f"--at {text!r} needs its date here: write {AT_EXAMPLES}")
            when = dt.datetime.combine(
                day, dt.time.fromisoformat(given.zfill(5 if len(given) < 6 else 8))
            )
        else:
            when = dt.datetime.fromisoformat(given)
            if re.fullmatch(r"[\d-]+", given):
                raise UsageError(f"--at {text!r} needs a time of day: write {AT_EXAMPLES}")
    except ValueError as bad:
        if isinstance(bad, UsageError):
            raise
        raise UsageError(f"--at {text!r} is no time: write {AT_EXAMPLES}") from None
    if when.tzinfo is None:
        when = when.replace(tzinfo=ZoneInfo(NEW_YORK))
    return int(when.timestamp()) * 10**9


def is_time_alone(text: str) -> bool:
    """Whether `text` is a time of day without a date."""
    return TIME_ALONE.fullmatch(text.strip()) is not None


def in_force(stamp_ns: int) -> tuple[int, str]:
    """When the delayed quotes of a page taken at `stamp_ns` were in force, and a note on it.

    While the exchange trades, quotes are 15 minutes old. After the close, at a weekend or on a
    holiday, they are those of the last close: 16:00 New York, or the early one.
    """
    at = stamp_ns - DELAY_NS
    day = _day(at).isoformat()
    if calendar.is_session(EXCHANGE, day):
        opens, closes = calendar.hours_ns(EXCHANGE, day)
        if opens <= at < closes:
            return at, "taken while trading: quotes are those of 15 minutes before"
        if at >= closes:
            return closes, ""
        previous = calendar.hours_ns(EXCHANGE, calendar.before(EXCHANGE, day))[1]
        return previous, f"taken at {clock_words(stamp_ns)}, before the open"
    return calendar.hours_ns(EXCHANGE, calendar.on_or_before(EXCHANGE, day))[1], ""


def taken(wall: Wall) -> tuple[int, str]:
    """`in_force` of what a text or a file name said; a date without a time means its close."""
    if wall.time is not None:
        return in_force(wall.ns)
    day = calendar.on_or_before(EXCHANGE, wall.date.isoformat())
    return calendar.hours_ns(EXCHANGE, day)[1], ""


def clock_words(ns: int) -> str:
    """An instant as people say it in New York."""
    when = dt.datetime.fromtimestamp(ns // 10**9, ZoneInfo(NEW_YORK))
    return f"{when:%Y-%m-%d %H:%M} New York"


def new_york_day(ns: int) -> dt.date:
    """The New York date of an instant."""
    return _day(ns)


def _day(ns: int) -> dt.date:
    return dt.datetime.fromtimestamp(ns // 10**9, ZoneInfo(NEW_YORK)).date()


def _plain(text: str) -> str:
    """Lower case, no accents, ASCII minus and blanks."""
    for dash in "\u2212\u2013\u2014\u2010\u2011":
        text = text.replace(dash, "-")
    kept = text.replace("й", "\u0000").replace("Й", "\u0000")  # й is no accented и
    split = unicodedata.normalize("NFKD", kept)
    return "".join(c for c in split if not unicodedata.combining(c)).replace("\u0000", "й").lower()


def _date(plain: str) -> dt.date | None:
    for pattern in (ISO, ASIAN):
        found = pattern.search(plain)
        if found:
            return _valid(*(int(part) for part in found.groups()))
    year = YEAR.search(plain)
    months = {m for word in WORD.findall(plain) if (m := _month(word))}
    if year is None or len(months) != 1:
        return None
    rest = CLOCK.sub(" ", OFFSET.sub(" ", plain.replace(year.group(), " ", 1)))
    days = {int(d) for d in DAY.findall(rest)}
    return _valid(int(year.group()), months.pop(), days.pop()) if len(days) == 1 else None


def _month(word: str) -> int | None:
    return next((m for start, m in STARTS if word.startswith(start)), None)


def _valid(year: int, month: int, day: int) -> dt.date | None:
    try:
        return dt.date(year, month, day)
    except ValueError:
        return None


def _time(clock: re.Match[str]) -> dt.time | None:
    hour, minute, second = (int(part or 0) for part in clock.groups()[:3])
    half = clock.group(4)
    if half is not None:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if half == "p" else 0)
    try:
        return dt.time(hour, minute, second)
    except ValueError:
        return None


def _offset(plain: str) -> dt.timedelta | None:
    found = OFFSET.search(plain)
    if found:
        sign, hours, minutes = found.groups()
        size = dt.timedelta(hours=int(hours), minutes=int(minutes or 0))
        return size if sign == "+" else -size
    for word in WORD.findall(plain):
        if word.upper() in ZONES_H:
            return dt.timedelta(hours=ZONES_H[word.upper()])
    return None
