"""Round trips: a tape by hand, and any flat tape against its ledger."""

import numpy as np
import pytest

from optmm.pnl.ledger import Ledger, OpeningPosition
from optmm.pnl.roundtrips import RoundTrip, round_trips, trip_statistics

USD, MINUTE = 10**9, 60 * 10**9


def table(rows):
    """Rows of (minute, instrument, side, lots, price, fee) with multiplier 100."""
    minute, instrument, side, lots, px, fee = map(np.array, zip(*rows, strict=True))
    return {
        "kind": np.full(len(rows), "quote"), "ts_ns": minute * MINUTE, "instrument": instrument,
        "side": side, "lots": lots, "px_e9": np.rint(px * USD).astype(np.int64),
        "multiplier": np.full(len(rows), 100), "fee_e9": np.rint(fee * USD).astype(np.int64),
    }  # fmt: skip


HAND = [
    (0, 0, 1, 10, 2.00, 5.0),  # opens 10
    (10, 0, 1, 5, 2.20, 2.5),  # opens 5
    (30, 0, -1, 12, 2.10, 6.0),  # closes 10 of the first and 2 of the second
    (50, 0, -1, 9, 1.90, 4.5),  # closes 3, opens short 6
    (60, 0, 1, 6, 1.80, 3.0),  # closes the short
    (70, 1, 1, 1, 9.00, 0.0),  # stays open
]


def test_a_tape_by_hand():
    """Nets in USD: +100-10, -20-2, -90-3, +60-6 with fees of 0.50 a contract and side."""
    trips = round_trips(table(HAND))
    assert trips == [
        RoundTrip(0, 1, 10, 0, 30 * MINUTE, 90 * USD),
        RoundTrip(0, 1, 2, 10 * MINUTE, 30 * MINUTE, -22 * USD),
        RoundTrip(0, 1, 3, 10 * MINUTE, 50 * MINUTE, -93 * USD),
        RoundTrip(0, -1, 6, 50 * MINUTE, 60 * MINUTE, 54 * USD),
    ]
    got = trip_statistics(trips)
    assert (got.win_rate.value, got.win_rate.n) == (0.5, 4)
    # (10 x 30 + 2 x 20 + 3 x 40 + 6 x 10) / 21 lots
    assert got.duration.value == pytest.approx(520 / 21)
    assert got.profit_factor.value == pytest.approx(144 / 115)


def test_hedges_are_left_out_and_settlements_close():
    rows = table([(0, 0, 1, 2, 1.0, 0.0), (5, 1, -1, 50, 9.0, 0.0), (9, 0, -1, 2, 1.5, 0.0)])
    rows["kind"] = np.array(["quote", "hedge", "settlement"])
    assert round_trips(rows) == [RoundTrip(0, 1, 2, 0, 9 * MINUTE, 100 * USD)]


def test_a_position_carried_in_is_closed_first():
    rows = table([(0, 0, 1, 2, 1.0, 0.0), (5, 0, -1, 3, 1.5, 0.0)])
    trips = round_trips(rows, opening=[OpeningPosition(0, 2, USD // 2, 100)], opening_ns=-MINUTE)
    assert [trip.net_e9 for trip in trips] == [200 * USD, 50 * USD]
    assert trips[0].open_ns == -MINUTE


@pytest.mark.parametrize("seed", range(10))
def test_trips_of_a_tape_that_ends_flat_add_up_to_its_ledger(seed):
    """Fees that do not divide are shared out without losing a billionth."""
    rng = np.random.default_rng(seed)
    n = 120
    tape = {
        "kind": np.full(n, "quote"), "ts_ns": np.arange(n), "instrument": rng.integers(0, 3, n),
        "side": rng.choice([-1, 1], n), "lots": rng.integers(1, 40, n),
        "px_e9": rng.integers(1, 10**10, n), "multiplier": np.full(n, 100),
        "fee_e9": rng.integers(-(10**9), 10**9, n),
    }  # fmt: skip
    for row in range(3):
        left = int((tape["side"] * tape["lots"])[tape["instrument"] == row].sum())
        if left:
            last = {"kind": "quote", "ts_ns": n + row, "instrument": row, "lots": abs(left),
                    "side": -1 if left > 0 else 1, "px_e9": 5, "multiplier": 100,
                    "fee_e9": 7}  # fmt: skip
            tape = {name: np.append(column, last[name]) for name, column in tape.items()}
    ledger = Ledger()
    ledger.book_table(tape)
    trips = round_trips(tape)
    assert sum(trip.net_e9 for trip in trips) == ledger.net_e9([0, 0, 0], 0)
    assert all(trip.close_ns >= trip.open_ns for trip in trips)


def test_without_round_trips_each_figure_says_so():
    got = trip_statistics([])
    assert str(got.win_rate) == "n/a (no round trip was closed)"
    winner = trip_statistics([RoundTrip(0, 1, 1, 0, 1, 5)])
    assert winner.profit_factor.value is None
    assert winner.profit_factor.reason == "no round trip lost money"
