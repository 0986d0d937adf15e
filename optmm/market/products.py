"""What a class of options is: contract terms, hours, tick rules and the three instants of a series.

The three instants are not one. Quoting stops at `last_trade_ns`; `fixing_ns` is the price that
settles or exercises the option and so the end of its optionality; holders decide until
`exercise_ns`. SPY: 16:15, 16:00 and 17:30. SPX AM: 16:15 the day before, then 09:30 twice.

Money in 1e-9 USD, instants int64 ns UTC, dates ISO strings.
Sources: exchange rules on minimum increments (penny pilot from 2007-01-26; IWM and SPY in pennies
at every price from 2010-02-01); CME contract specifications of ES options (0.05 up to 5 points and
0.25 above, quarterly third Fridays AM, exercise until 19:00 Chicago); the 17:30 New York cut-off of
equity options. The grids of GOOG, TWX, SPX and ES were checked against recorded quotes.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from optmm.errors import DataError
from optmm.market import calendar
from optmm.market.chain import Chain, Session, Underlying
from optmm.market.instruments import Option, is_adjusted

CENT_E9 = 10_000_000
MINUTE_NS = 60_000_000_000


@dataclass(frozen=True, slots=True)
class TickRule:
    """Smallest price step: `below_e9` under a premium of `split_e9`, `above_e9` from it on."""

    since: str  # first date it holds
    split_e9: int
    below_e9: int
    above_e9: int


def _ticks(split: int, below: int, above: int, since: str = "0001-01-01") -> TickRule:
    """A rule from whole cents."""
    return TickRule(since, split * CENT_E9, below * CENT_E9, above * CENT_E9)


NICKEL = _ticks(300, 5, 10)
PENNY_PILOT = _ticks(300, 1, 5, "2007-01-26")
PENNY = _ticks(300, 1, 1)


@dataclass(frozen=True, slots=True)
class Product:
    """The terms that every series of one root shares."""

    root: str
    kind: str  # of the underlying: "equity", "index", "future"
    underlying: str
    exchange: str = "NYSE"  # calendar name
    multiplier: int = 100  # USD per point and contract
    american: bool = True
    physical: bool = True
    am_settled: bool = False
    late_minutes: int = 0  # options trade on after the underlying's close
    late_on_expiry: bool = True  # whether an expiring series does so too
    underlying_multiplier: int = 1
    underlying_tick_e9: int = CENT_E9
    ticks: tuple[TickRule, ...] = (NICKEL,)

    def tick_rule(self, date: str) -> TickRule:
        """The rule in force on `date`."""
        day = calendar.iso(date)
        return [rule for rule in self.ticks if rule.since <= day][-1]

    def session(self, date: str) -> Session:
        """Trading hours of the options on a trade date; DataError when there are none."""
        opens, closes = calendar.hours_ns(self.exchange, date)
        late = self.late_minutes * MINUTE_NS
        return Session(calendar.iso(date), opens, closes + late, calendar.timezone(self.exchange))


def _index(root: str, underlying: str, *, am: bool, tick: TickRule = NICKEL) -> Product:
    """European, cash-settled, to 16:15 (an expiring PM series to 16:00)."""
    return Product(
        root, "index", underlying, american=False, physical=False, am_settled=am,
        late_minutes=15, late_on_expiry=False, ticks=(tick,),
    )  # fmt: skip


def _etf(root: str, *ticks: TickRule) -> Product:
    return Product(root, "equity", root, late_minutes=15, ticks=(NICKEL, *ticks))


_ALL = (
    _etf("SPY", replace(PENNY_PILOT, since="2007-09-28"), replace(PENNY, since="2010-02-01")),
    _etf("IWM", PENNY_PILOT, replace(PENNY, since="2010-02-01")),
    _etf("QQQ", replace(PENNY, since="2007-01-26")),
    _etf("DIA", replace(PENNY_PILOT, since="2007-09-28")),
    Product("AAPL", "equity", "AAPL", ticks=(NICKEL, replace(PENNY_PILOT, since="2007-09-28"))),
    # TWX: the date is that of the recorded quotes; its entry into the pilot was earlier.
    Product("TWX", "equity", "TWX", ticks=(NICKEL, replace(PENNY_PILOT, since="2014-06-05"))),
    _index("SPX", "SPX", am=True),
    _index("SPXW", "SPX", am=False),
    _index("XSP", "XSP", am=False, tick=PENNY),
    _index("NDX", "NDX", am=True),
    _index("NDXP", "NDX", am=False),
    _index("RUT", "RUT", am=True),
    _index("RUTW", "RUT", am=False),
    _index("VIX", "VIX", am=True, tick=_ticks(300, 1, 5)),
    Product(
        "ES", "future", "ES", exchange="CME", multiplier=50, underlying_multiplier=50,
        underlying_tick_e9=25 * CENT_E9, ticks=(_ticks(500, 5, 25),),
    ),
)  # fmt: skip
PRODUCTS = {product.root: product for product in _ALL}


def product(root: str, *, kind: str = "equity") -> Product:
    """Terms of a root: its row in the table, or the defaults of its class.

    `kind` is "equity", "index" or "future". An unlisted equity gets 100 shares, American,
    physical and nickel ticks; an unlisted index European, cash and PM.

    Raises
    ------
    DataError
        The root is adjusted (deliverable unknown), or is an unlisted future (multiplier unknown).
    """
    name = root.upper()
    if name in PRODUCTS:
        return PRODUCTS[name]
    if is_adjusted(name):
        raise DataError(
            f"{name} is an adjusted root: its deliverable is unknown",
            remedy="Leave it out, or add its terms to optmm.market.products.",
        )
    if kind == "equity":
        return Product(name, "equity", name)
    if kind == "index":
        return _index(name, name, am=False)
    raise DataError(
        f"no contract terms for options on the {kind} {name}",
        remedy="Add a row to optmm.market.products.",
    )


@dataclass(frozen=True, slots=True)
class Instants:
    """When a series stops trading, is fixed, and can last be exercised; int64 ns UTC."""

    last_trade_ns: int
    fixing_ns: int
    exercise_ns: int
    am_settled: bool


def instants(terms: Product, expiry: str) -> Instants:
    """The three instants of the series of `terms` listed for `expiry`.

    A listed date without a session (a Saturday before February 2015, a holiday) falls back to the
    session before it.
    """
    day = calendar.on_or_before("NYSE", expiry)
    opens, closes = calendar.hours_ns("NYSE", day)
    late = terms.late_minutes * MINUTE_NS
    if terms.kind == "future":
        # Quarterly options end with their future on its opening fixing, others on the 16:00 price.
        month, dom = int(day[5:7]), int(day[8:])
        am = terms.am_settled or (month % 3 == 0 and 15 <= dom <= 21)
        fixing = opens if am else closes
        return Instants(fixing, fixing, calendar.at_ns(day, "19:00", "America/Chicago"), am)
    if terms.am_settled:
        eve = calendar.hours_ns("NYSE", calendar.before("NYSE", day))[1]
        return Instants(eve + late, opens, opens, True)
    last = closes + (late if terms.late_on_expiry else 0)
    decide = calendar.at_ns(day, "17:30", "America/New_York") if terms.physical else closes
    return Instants(last, closes, decide, False)


def list_chain(
    options: Iterable[Option],
    *,
    date: str,
    underlying: Underlying,
    kind: str = "equity",
    american: dict[str, bool] | None = None,
) -> Chain:
    """Order `options` into the chain of a trade date, with the terms of their roots.

    Parameters
    ----------
    options : distinct series, any order
    date : trade date, for the tick rules
    underlying : the instrument that flattens their delta
    kind : class of roots that have no row in the table, as in `product`
    american : exercise style by root where the feed states it; the table's otherwise

    Raises
    ------
    DataError
        No option, a duplicate, an adjusted root or a series without an OSI symbol.
    """
    rows = sorted(options, key=lambda o: (o.expiry, o.root, o.strike_e9, -o.right))
    if not rows:
        raise DataError(f"the chain of {underlying.symbol} on {date} has no options")
    symbols = tuple(o.osi for o in rows)
    if len(set(symbols)) != len(symbols):
        raise DataError(f"the chain of {underlying.symbol} on {date} lists a series twice")
    terms = {root: product(root, kind=kind) for root in {o.root for o in rows}}
    rule = {root: terms[root].tick_rule(date) for root in terms}
    keys = [(o.expiry, o.root) for o in rows]
    when = {key: instants(terms[key[1]], key[0].isoformat()) for key in set(keys)}
    starts = [i for i, key in enumerate(keys) if i == 0 or key != keys[i - 1]]
    bounds = np.array([*starts, len(rows)], np.int32)
    style = {root: (american or {}).get(root, terms[root].american) for root in terms}

    def of_root(value, dtype) -> np.ndarray:
        return np.array([value(o.root) for o in rows], dtype)

    def of_slice(field: str, dtype) -> np.ndarray:
        return np.array([getattr(when[key], field) for key in keys], dtype)

    return Chain(
        underlying=underlying,
        symbol=symbols,
        root=tuple(o.root for o in rows),
        right=np.array([o.right for o in rows], np.int8),
        strike_e9=np.array([o.strike_e9 for o in rows], np.int64),
        expiry=np.array([o.expiry for o in rows], "datetime64[D]"),
        last_trade_ns=of_slice("last_trade_ns", np.int64),
        fixing_ns=of_slice("fixing_ns", np.int64),
        exercise_ns=of_slice("exercise_ns", np.int64),
        american=of_root(style.__getitem__, np.bool_),
        physical=of_root(lambda r: terms[r].physical, np.bool_),
        am_settled=of_slice("am_settled", np.bool_),
        multiplier=of_root(lambda r: terms[r].multiplier, np.int64),
        tick_split_e9=of_root(lambda r: rule[r].split_e9, np.int64),
        tick_below_e9=of_root(lambda r: rule[r].below_e9, np.int64),
        tick_above_e9=of_root(lambda r: rule[r].above_e9, np.int64),
        slice_of=np.repeat(np.arange(len(starts), dtype=np.int32), np.diff(bounds)),
        slice_start=bounds,
    )
