"""Discount factors bootstrapped from US Treasury par yields, and readers of public rate files.

QuantLib solves the curve once; what is kept is its pillars, so that evaluating, copying and sending
it to another process need no QuantLib. Between pillars the forward rate is constant.

Units   yields in percent, bond-equivalent, as the Treasury prints them; zero rates continuously
        compounded decimals a year; years ACT/365 from the curve's date; USD.
Source  US Treasury, par yield curve methodology: every yield is that of a hypothetical security at
        par. Up to six months it pays once, simple interest ACT/365; from one year on half its
        coupon every half year. SOFR is simple interest of one day, ACT/360.
Checked tests/surfaces/curves/test_discount.py: par bonds to 1e-8, a bootstrap in plain Python.
"""

import csv
import datetime as dt
import gzip
import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from surfaces import checks as check
from surfaces.curves.cash import CashDividends
from surfaces.errors import InvalidInput
from surfaces.units import DAYS_PER_YEAR

Floats = NDArray[np.float64]

LAST_BILL_MONTHS = 6
# When the Treasury printed a tenor, first and last day; those not named, always.
PRINTED = {
    "1 Mo": [("2001-07-31", "9999-12-31")],
    "2 Mo": [("2018-10-16", "9999-12-31")],
    "4 Mo": [("2022-10-19", "9999-12-31")],
    "20 Yr": [("1993-10-01", "9999-12-31")],
    "30 Yr": [("1977-02-15", "2002-02-15"), ("2006-02-09", "9999-12-31")],
}
OVERNIGHT = "ON"
PAR = 100.0


@dataclass(frozen=True, slots=True, eq=False)
class DiscountCurve:
    """Pillars `years` (m,), from 0, and ln(df) there; log-linear between, last forward held."""

    date: dt.date
    years: Floats
    log_df: Floats

    @classmethod
    def from_par_yields(
        cls, date: dt.date | str, yields: Mapping[str, float], *, overnight: float | None = None
    ) -> Self:
        """Bootstrap `{"1 Mo": 5.5, ..., "30 Yr": 4.3}`, percent; missing tenors left out or NaN.

        `overnight`: SOFR in percent, the pillar of the first day; without it the shortest yield
        holds from today on.

        Raises
        ------
        InvalidInput
            A tenor nobody prints, no yield at all, or yields that no discount factors can have.
        """
        day = _date("date", date)
        given = {_months(tenor): float(value) for tenor, value in yields.items()}
        quotes = {m: value for m, value in sorted(given.items()) if not np.isnan(value)}
        if not quotes:
            raise InvalidInput(f"yields of {day} are all missing; choose another date")
        for value in quotes.values():
            check.finite("yields", value, unit="percent", hint="Par yields, 5.3 for 5.3 %.")
        years, df = _bootstrap(day, quotes, overnight)
        for array in (years, log_df := np.log(df)):
            array.flags.writeable = False
        return cls(day, years, log_df)

    def df(self, years: ArrayLike) -> Floats:
        """Discount factor of any times >= 0, same shape."""
        hint = "From the curve's date on."
        at = check.at_least("years", years, 0.0, unit="years", hint=hint)
        i = np.clip(np.searchsorted(self.years, at, side="right") - 1, 0, self.years.size - 2)
        slope = np.diff(self.log_df) / np.diff(self.years)
        return np.exp(self.log_df[i] + slope[i] * (at - self.years[i]))

    def zero(self, years: ArrayLike) -> Floats:
        """Continuously compounded zero rate, -ln(df) / years; its limit at zero."""
        hint = "From the curve's date on."
        at = check.at_least("years", years, 0.0, unit="years", hint=hint)
        first = -self.log_df[1] / self.years[1]
        safe = np.where(at > 0.0, at, 1.0)
        return np.where(at > 0.0, -np.log(self.df(safe)) / safe, first)


def read_treasury(path: Path | str, date: dt.date | str) -> dict[str, float]:
    """The par yields of one date, percent by tenor, from the Treasury's CSV, plain or gzipped.

    `path` may be a folder of files named treasury_par_*. Tenors not printed that day are left out.
    Some archives push a row's values to the left over the tenors that did not exist yet (so that
    the 10 Yr of 1995 stands under 5 Yr); such rows are put right by the tenors of their day.

    Raises
    ------
    InvalidInput
        The date is not there: names the nearest before and after. Or its values cannot be told
        apart: fewer than the tenors of the day, and not in their places.
    """
    day = _date("date", date)
    place = Path(path)
    files = sorted(place.glob("treasury_par_*.csv*")) if place.is_dir() else [place]
    seen: list[dt.date] = []
    for file in files:
        for row in _rows(file, "Date"):
            month, number, year = row.pop("Date").split("/")
            printed = dt.date(int(year), int(month), int(number))
            if not any(text.strip() for text in row.values()):
                continue
            if printed == day:
                return _placed(day, {t: float(v) for t, v in row.items() if v.strip()}, list(row))
            seen.append(printed)
    raise InvalidInput(_no_such_day(place, day, seen, "yields"))


def read_overnight(path: Path | str, date: dt.date | str) -> float:
    """SOFR of one date in percent, from FRED's CSV (observation_date,SOFR), plain or gzipped."""
    day = _date("date", date)
    seen: list[dt.date] = []
    for row in _rows(Path(path), "observation_date", "SOFR"):
        printed, text = dt.date.fromisoformat(row["observation_date"]), row["SOFR"].strip()
        if text and printed == day:
            return float(text)
        if text:
            seen.append(printed)
    raise InvalidInput(_no_such_day(Path(path), day, seen, "SOFR"))


def read_dividends(path: Path | str) -> CashDividends:
    """Ex-dates and amounts from a CSV of Date (ISO), Dividends (USD a share), in any order."""
    paid: dict[dt.date, float] = {}
    for row in _rows(Path(path), "Date", "Dividends"):
        day = dt.date.fromisoformat(row["Date"])
        paid[day] = paid.get(day, 0.0) + float(row["Dividends"])
    dates = tuple(sorted(paid))
    cash = np.array([paid[day] for day in dates])
    check.at_least("Dividends", cash, 0.0, unit="USD", hint=f"See {Path(path).name}.")
    return CashDividends.of_dates(dates, cash)


def _bootstrap(
    day: dt.date, quotes: Mapping[int, float], overnight: float | None
) -> tuple[Floats, Floats]:
    """Pillars in years and discount factors there, by QuantLib, its global date left as it was."""
    ql = _quantlib()
    today = ql.Date(day.day, day.month, day.year)
    with ql.SavedSettings():
        ql.Settings.instance().evaluationDate = today
        helpers = [_helper(ql, today, months, value) for months, value in quotes.items()]
        if overnight is not None:
            value = check.finite("overnight", overnight, unit="percent", hint="As SOFR is printed.")
            helpers.insert(0, _deposit(ql, value.item(), ql.Period(1, ql.Days), ql.Actual360()))
        try:
            curve = ql.PiecewiseLogLinearDiscount(today, helpers, ql.Actual365Fixed())
            nodes = curve.nodes()
        except RuntimeError as bad:
            raise InvalidInput(f"yields of {day} have no discount factors: {bad}") from None
    years = np.array([(node - today) / DAYS_PER_YEAR for node, _ in nodes])
    return years, np.array([df for _, df in nodes])


def _helper(ql: ModuleType, today: object, months: int, percent: float) -> object:
    """A bill as one payment of simple interest, a note as a bond at par."""
    period = ql.Period(months, ql.Months)
    if months <= LAST_BILL_MONTHS:
        return _deposit(ql, percent, period, ql.Actual365Fixed())
    schedule = ql.Schedule(
        today,
        today + period,
        ql.Period(ql.Semiannual),
        ql.NullCalendar(),
        ql.Unadjusted,
        ql.Unadjusted,
        ql.DateGeneration.Forward,
        False,
    )
    price = ql.QuoteHandle(ql.SimpleQuote(PAR))
    counter = ql.ActualActual(ql.ActualActual.ISMA, schedule)
    return ql.FixedRateBondHelper(price, 0, PAR, schedule, [percent / 100.0], counter)


def _deposit(ql: ModuleType, percent: float, period: object, counter: object) -> object:
    quote = ql.QuoteHandle(ql.SimpleQuote(percent / 100.0))
    return ql.DepositRateHelper(quote, period, 0, ql.NullCalendar(), ql.Unadjusted, False, counter)


def _quantlib() -> ModuleType:
    """QuantLib, loaded when first asked for; its wrapper's own warnings are not our users'."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        import QuantLib
    return QuantLib


def _placed(day: dt.date, filled: dict[str, float], header: list[str]) -> dict[str, float]:
    """The values of a row under the tenors they belong to."""
    on = day.isoformat()
    always = [("0001-01-01", "9999-12-31")]
    live = [t for t in header if any(a <= on <= b for a, b in PRINTED.get(t, always))]
    if set(filled) <= set(live):
        return filled
    if list(filled) == header[: len(filled)] and len(filled) == len(live):
        return dict(zip(live, filled.values(), strict=True))
    raise InvalidInput(
        f"the row of {day} has {len(filled)} yields for the {len(live)} tenors of its day, and not "
        "in their places; choose another date"
    )


def _months(tenor: str) -> int:
    """Months of "3 Mo", "10 Yr", "6M", "2y"."""
    found = re.fullmatch(r"\s*(\d+)\s*(mo|m|month|months|yr|y|year|years)\s*", tenor.lower())
    if found is None or int(found[1]) == 0:
        raise InvalidInput(f"tenor {tenor!r} is not a number of months or years, as '3 Mo', '2 Yr'")
    return int(found[1]) * (12 if found[2][0] == "y" else 1)


def _date(name: str, value: dt.date | str) -> dt.date:
    try:
        day = dt.date.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        raise InvalidInput(f"{name} is {value!r}, must be a date: YYYY-MM-DD") from None
    return day.date() if isinstance(day, dt.datetime) else day


def _rows(path: Path, *needed: str) -> Iterator[dict[str, str]]:
    """Rows of a CSV, gzipped or not, that has the columns needed."""
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8", newline="") as lines:
        table = csv.DictReader(lines)
        names = table.fieldnames or ()
        lacks = [name for name in needed if name not in names]
        if lacks:
            has = ", ".join(names) or "none"
            raise InvalidInput(f"{path.name} lacks {', '.join(lacks)}; its columns are {has}")
        yield from table


def _no_such_day(place: Path, day: dt.date, seen: list[dt.date], what: str) -> str:
    if not seen:
        return f"{place.name} holds no {what}; check the path"
    around = [max((d for d in seen if d < day), default=None)]
    around.append(min((d for d in seen if d > day), default=None))
    near = " and ".join(d.isoformat() for d in around if d is not None)
    return f"{place.name} has no {what} of {day}, the nearest are {near}. Use one of them."
