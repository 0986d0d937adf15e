"""Contract terms: the three instants, hours, tick rules and the order of a chain."""

import datetime as dt

import numpy as np
import pytest

from optmm.errors import DataError
from optmm.market.chain import Underlying
from optmm.market.instruments import Option
from optmm.market.products import instants, list_chain, product

CENT = 10_000_000


def ns(utc: str) -> int:
    return int(np.datetime64(utc, "ns").astype(np.int64))


# root, listed expiry, last trade, fixing, exercise cut-off: exchange rules, in UTC by hand.
INSTANTS = [
    ("GOOG", "2015-12-24", "2015-12-24T18:00", "2015-12-24T18:00", "2015-12-24T22:30"),  # half day
    ("GOOG", "2016-01-16", "2016-01-15T21:00", "2016-01-15T21:00", "2016-01-15T22:30"),  # Saturday
    ("TWX", "2014-06-21", "2014-06-20T20:00", "2014-06-20T20:00", "2014-06-20T21:30"),
    ("TWX", "2014-04-19", "2014-04-17T20:00", "2014-04-17T20:00", "2014-04-17T21:30"),  # + holiday
    ("SPY", "2020-01-17", "2020-01-17T21:15", "2020-01-17T21:00", "2020-01-17T22:30"),
    ("SPY", "2020-11-27", "2020-11-27T18:15", "2020-11-27T18:00", "2020-11-27T22:30"),  # 13:15
    ("SPY", "2020-03-06", "2020-03-06T21:15", "2020-03-06T21:00", "2020-03-06T22:30"),  # winter
    ("SPY", "2020-03-09", "2020-03-09T20:15", "2020-03-09T20:00", "2020-03-09T21:30"),  # summer
    ("SPY", "2020-10-30", "2020-10-30T20:15", "2020-10-30T20:00", "2020-10-30T21:30"),
    ("SPY", "2020-11-02", "2020-11-02T21:15", "2020-11-02T21:00", "2020-11-02T22:30"),
    ("SPXW", "2021-01-04", "2021-01-04T21:00", "2021-01-04T21:00", "2021-01-04T21:00"),
    ("SPX", "2021-01-15", "2021-01-14T21:15", "2021-01-15T14:30", "2021-01-15T14:30"),
    ("SPX", "2014-06-21", "2014-06-19T20:15", "2014-06-20T13:30", "2014-06-20T13:30"),
    ("ES", "2020-03-20", "2020-03-20T13:30", "2020-03-20T13:30", "2020-03-21T00:00"),
    ("ES", "2020-02-21", "2020-02-21T21:00", "2020-02-21T21:00", "2020-02-22T01:00"),  # serial, PM
]


@pytest.mark.parametrize(("root", "expiry", "last", "fixing", "exercise"), INSTANTS)
def test_three_instants_of_a_series(root, expiry, last, fixing, exercise):
    got = instants(product(root), expiry)
    assert (got.last_trade_ns, got.fixing_ns, got.exercise_ns) == (
        ns(last),
        ns(fixing),
        ns(exercise),
    )


@pytest.mark.parametrize(
    ("root", "date", "opens", "closes"),
    [
        ("GOOG", "2015-12-24", "2015-12-24T14:30", "2015-12-24T18:00"),
        ("SPY", "2015-12-24", "2015-12-24T14:30", "2015-12-24T18:15"),
        ("SPX", "2015-12-24", "2015-12-24T14:30", "2015-12-24T18:15"),
        ("SPXW", "2021-01-04", "2021-01-04T14:30", "2021-01-04T21:15"),
        ("ES", "2020-01-06", "2020-01-05T23:00", "2020-01-06T22:00"),
    ],
)
def test_options_trade_these_hours(root, date, opens, closes):
    session = product(root).session(date)
    assert (session.open_ns, session.close_ns) == (ns(opens), ns(closes))


@pytest.mark.parametrize(
    ("root", "date", "split", "below", "above"),
    [
        ("GOOG", "2015-12-24", 300, 5, 10),
        ("SPXW", "2021-01-04", 300, 5, 10),
        ("TWX", "2014-06-05", 300, 1, 5),
        ("ES", "2020-01-06", 500, 5, 25),
        ("SPY", "2020-01-06", 300, 1, 1),
        ("SPY", "2009-12-31", 300, 1, 5),  # in pennies at every price only from 2010-02-01
        ("IWM", "2010-02-01", 300, 1, 1),
        ("IWM", "2006-12-29", 300, 5, 10),
        ("QQQ", "2008-06-02", 300, 1, 1),
    ],
)
def test_tick_rule_by_class_and_date(root, date, split, below, above):
    rule = product(root).tick_rule(date)
    assert (rule.split_e9, rule.below_e9, rule.above_e9) == (
        split * CENT,
        below * CENT,
        above * CENT,
    )


def test_adjusted_and_unknown_deliverables_are_never_assumed():
    with pytest.raises(DataError, match="SPY1 is an adjusted root"):
        product("SPY1")
    with pytest.raises(DataError, match="no contract terms for options on the future CL"):
        product("CL", kind="future")


def options(*rows: tuple[str, str, int, float]) -> list[Option]:
    return [Option(r, dt.date.fromisoformat(e), w, round(k * 1e9)) for r, e, w, k in rows]


SPX = Underlying("SPX", "index", 1, CENT)


def test_chain_is_ordered_and_roots_of_one_date_are_not_merged():
    rows = options(
        ("SPXW", "2021-01-15", -1, 3700),
        ("SPXW", "2021-01-15", 1, 3700),
        ("SPX", "2021-01-15", 1, 3800),
        ("SPX", "2021-01-15", 1, 3700),
        ("SPXW", "2021-01-08", 1, 3700),
    )
    chain = list_chain(rows, date="2021-01-04", underlying=SPX, kind="index")
    assert chain.root == ("SPXW", "SPX", "SPX", "SPXW", "SPXW")
    assert chain.right.tolist() == [1, 1, 1, 1, -1]
    assert chain.slice_start.tolist() == [0, 1, 3, 5]
    assert chain.slice_of.tolist() == [0, 1, 1, 2, 2]
    assert chain.am_settled.tolist() == [False, True, True, False, False]
    assert chain.fixing_ns[1] < chain.fixing_ns[3]
    assert not chain.american.any() and not chain.physical.any()
    assert (chain.symbol[1], str(chain.expiry[1])) == ("SPX   210115C03700000", "2021-01-15")


def test_chain_refuses_twins_and_emptiness():
    twin = options(("SPX", "2021-01-15", 1, 3800), ("SPX", "2021-01-15", 1, 3800))
    with pytest.raises(DataError, match="lists a series twice"):
        list_chain(twin, date="2021-01-04", underlying=SPX, kind="index")
    with pytest.raises(DataError, match="has no options"):
        list_chain([], date="2021-01-04", underlying=SPX, kind="index")


def test_the_feed_knows_the_exercise_style_best():
    rows = options(("XYZ", "2021-01-15", 1, 10))
    under = Underlying("XYZ", "equity", 1, CENT)
    given = list_chain(rows, date="2021-01-04", underlying=under, american={"XYZ": False})
    assert (given.american.tolist(), given.physical.tolist()) == ([False], [True])


def test_a_chain_prints_as_one_line():
    """The default repr filled a terminal with every symbol of the chain."""
    rows = [("SPXW", "2021-01-15", w, 3000 + 5 * i) for i in range(400) for w in (1, -1)]
    chain = list_chain(options(*rows), date="2021-01-04", underlying=SPX, kind="index")
    assert repr(chain) == (
        "<Chain of SPX, 800 options in 1 slices, strikes 3000 to 4995, "
        "expiries 2021-01-15 to 2021-01-15>"
    )
