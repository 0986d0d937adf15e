"""The union of chains: every series once, in chain order, and each day's events find their rows."""

from dataclasses import replace

import numpy as np
import pytest

from optmm.errors import DataError
from optmm.market import span
from optmm.market.chain import Underlying
from optmm.market.events import Kind, empty, in_order
from optmm.market.instruments import parse_osi
from optmm.market.products import list_chain

SPY = Underlying("SPY", "equity", 1, 10_000_000)


def chain(*symbols, date="2023-03-15"):
    return list_chain(map(parse_osi, symbols), date=date, underlying=SPY)


A = chain("SPY230317C00390000", "SPY230317P00390000", "SPY230421C00400000")
B = chain("SPY230317C00385000", "SPY230317P00390000", "SPY230324P00395000", "SPY230421C00400000")


def test_union_is_what_one_listing_of_all_series_gives():
    """An independent construction: list the set of all symbols at once."""
    whole, maps = span.union([A, B])
    listed = chain(*set(A.symbol + B.symbol))
    assert whole.symbol == listed.symbol
    for name in (*span.TERMS, "slice_of", "slice_start"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(listed, name))
    for day, to in zip((A, B), maps, strict=True):
        assert tuple(whole.symbol[i] for i in to[:-1]) == day.symbol
        assert to[-1] == len(whole)


def test_events_keep_their_order_and_find_their_series():
    whole, (_, to) = span.union([A, B])
    rng = np.random.default_rng(5)
    events = empty(200)
    events["ts_event_ns"] = rng.integers(0, 20, 200)
    events["kind"] = rng.choice([Kind.BAR, Kind.QUOTE, Kind.TIMER], 200)
    events["instrument"] = rng.integers(0, len(B) + 1, 200)
    events["instrument"][events["kind"] == Kind.TIMER] = -1
    events = in_order(events)
    moved = span.remapped(events, to)
    again = in_order(moved)
    assert again.tobytes() == moved.tobytes()
    for old, new in zip(events["instrument"], moved["instrument"], strict=True):
        if old == -1:
            assert new == -1
        elif old == len(B):
            assert new == len(whole)
        else:
            assert whole.symbol[new] == B.symbol[old]


def test_a_days_column_is_spread_over_the_union():
    whole, (to, _) = span.union([A, B])
    out = span.spread(np.array([7, 8, 9]), to, fill=-1)
    assert dict(zip(whole.symbol, out.tolist(), strict=True)) == dict.fromkeys(
        whole.symbol, -1
    ) | dict(zip(A.symbol, [7, 8, 9], strict=True))


@pytest.mark.parametrize("term", ["multiplier", "fixing_ns", "american", "tick_above_e9"])
def test_a_series_whose_terms_change_is_named(term):
    column = getattr(B, term).copy()
    column[1] = ~column[1] if term == "american" else column[1] + 10
    with pytest.raises(DataError, match=rf"SPY   230317P00390000 changes its {term} between days"):
        span.union([A, replace(B, **{term: column})])


def test_days_on_two_underlyings_are_refused():
    other = replace(B, underlying=Underlying("SPY", "equity", 1, 50_000_000))
    with pytest.raises(DataError, match=r"two underlyings.*Run them apart"):
        span.union([A, other])
    with pytest.raises(DataError, match="no chain"):
        span.union([])
