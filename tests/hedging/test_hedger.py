"""The hedge decision: its rule on drawn inputs, and each reason once."""

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hedging.errors import InvalidInput
from hedging.hedger import TEXT, HedgeInputs, Reason, decide

BOOK = HedgeInputs(
    book_delta_lots=730.4,
    band_lots=200.0,
    max_order_lots=10_000,
    open=True,
    two_sided=True,
    fresh=True,
)


@pytest.mark.parametrize(
    ("change", "lots", "reason"),
    [
        ({}, -530, Reason.TRADE),
        ({"book_delta_lots": -730.4}, 530, Reason.TRADE),
        ({"book_delta_lots": 200.0}, 0, Reason.INSIDE_BAND),
        ({"book_delta_lots": 200.9}, 0, Reason.BELOW_LOT),
        ({"lot_size": 100}, -500, Reason.TRADE),
        ({"max_order_lots": 300}, -300, Reason.CAPPED),
        ({"max_order_lots": 350, "lot_size": 100}, -300, Reason.CAPPED),
        ({"pending_lots": -530}, 0, Reason.BELOW_LOT),
        ({"pending_lots": -600}, 0, Reason.INSIDE_BAND),
        ({"open": False}, 0, Reason.CLOSED),
        ({"two_sided": False}, 0, Reason.NO_MARKET),
        ({"fresh": False}, 0, Reason.STALE),
        ({"book_delta_lots": math.nan}, 0, Reason.NO_DELTA),
        ({"book_delta_lots": math.inf}, 0, Reason.NO_DELTA),
        ({"book_delta_lots": 10.0, "open": False}, 0, Reason.INSIDE_BAND),
    ],
)
def test_each_reason(change, lots, reason):
    got = decide(replace(BOOK, **change))
    assert (got.lots, got.reason) == (lots, reason)
    assert got.text == TEXT[reason]


def test_the_middle_of_the_band_is_zero_delta():
    assert decide(BOOK, to="middle").lots == -730


@settings(deadline=None, derandomize=True, max_examples=300)
@given(
    delta=st.floats(-1e6, 1e6),
    band=st.floats(0.0, 1e5),
    cap=st.integers(1, 10**6),
    lot=st.integers(1, 100),
    pending=st.integers(-1000, 1000),
    to=st.sampled_from(["edge", "middle"]),
)
def test_a_trade_never_overshoots_and_never_breaks_its_own_rules(
    delta, band, cap, lot, pending, to
):
    inputs = replace(
        BOOK,
        book_delta_lots=delta,
        band_lots=band,
        max_order_lots=cap * lot,
        lot_size=lot,
        pending_lots=pending,
    )
    got = decide(inputs, to=to)
    before = delta + pending
    after = before + got.lots
    assert got.lots % lot == 0
    assert abs(got.lots) <= inputs.max_order_lots
    assert got.lots * before <= 0.0
    target = band if to == "edge" else 0.0
    if got.lots:
        assert abs(after) >= target - 1e-9 * abs(before)  # not past the target
        assert after * before >= -1e-9  # not through zero
    if got.reason == Reason.TRADE:
        assert abs(after) - target < lot + 1e-9 * abs(before)  # nothing tradable is left
        again = decide(replace(inputs, book_delta_lots=delta + got.lots), to=to)
        assert abs(again.lots) <= lot  # rounding of floats may leave one lot, never a reversal
        assert again.lots * got.lots >= 0


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"band_lots": -1.0}, r"band_lots is -1, must be >= 0"),
        ({"band_lots": math.nan}, r"band_lots is nan, must be >= 0"),
        ({"max_order_lots": 50, "lot_size": 100}, r"max_order_lots is 50 and lot_size 100"),
        ({"lot_size": 0}, r"need max_order_lots >= lot_size >= 1"),
    ],
)
def test_what_a_caller_can_get_wrong(change, match):
    with pytest.raises(InvalidInput, match=match):
        decide(replace(BOOK, **change))


def test_an_unknown_target_is_refused():
    with pytest.raises(InvalidInput, match=r"to is 'zero'; choose 'edge' or 'middle'"):
        decide(BOOK, to="zero")
