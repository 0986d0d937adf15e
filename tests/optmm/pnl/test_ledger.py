"""The ledger: hand tapes, and identities that hold on any tape."""

import numpy as np
import pytest

from optmm.errors import LimitBreached, UsageError
from optmm.pnl.ledger import MAX_SUM_E9, Ledger, OpeningPosition, PositionBook, interest_e9

USD = 10**9


def fill(ledger, side, lots, px, *, instrument=0, multiplier=100, fee=0):
    return ledger.book(
        instrument=instrument, side=side, lots=lots, px_e9=round(px * USD), multiplier=multiplier,
        fee_e9=round(fee * USD),
    )  # fmt: skip


def test_a_hand_tape_of_one_option():
    """Buy 10 at 2.00, sell 4 at 2.50, sell 10 at 1.50 (short 4), fees 0.50 a contract, mark 1.00.

    Realised: 4 x 100 x .50 = 200, then 6 x 100 x -.50 = -300. Short 4 from 1.50 to 1.00: +200.
    Fees 24 x .50 = 12. Net 200 - 300 + 200 - 12 = 88.
    """
    ledger = Ledger()
    fill(ledger, 1, 10, 2.00, fee=5)
    fill(ledger, -1, 4, 2.50, fee=2)
    book = fill(ledger, -1, 10, 1.50, fee=5)
    assert book.lots == -4
    assert book.realised_e9 == -100 * USD
    assert book.cost_e9 == -600 * USD
    assert ledger.fees_e9 == 12 * USD
    assert ledger.cash_e9 == (-2000 + 1000 + 1500 - 12) * USD
    assert ledger.net_e9([USD], 0) == 88 * USD


def test_a_position_carried_in_counts_from_its_mark():
    ledger = Ledger([OpeningPosition(0, -3, 5 * USD, 100), OpeningPosition(1, 40, 100 * USD, 1)])
    assert ledger.net_e9([5 * USD], 100 * USD) == 0
    assert ledger.net_e9([4 * USD], 101 * USD) == (300 + 40) * USD
    fill(ledger, 1, 3, 4.5)
    assert ledger.realised_e9 == 150 * USD
    assert ledger.net_e9([0], 100 * USD) == 150 * USD
    assert ledger.position(0).lots == 0
    assert ledger.position(7) is None


@pytest.mark.parametrize("seed", range(10))
def test_cash_is_realised_less_cost_whatever_is_traded(seed):
    """Average cost is rounded at each partial close; what is realised takes up what cost loses."""
    rng = np.random.default_rng(seed)
    book = PositionBook(100, lots=7, cost_e9=7 * 100 * 33, opening_e9=7 * 100 * 33)
    for _ in range(300):
        book = book.traded(
            side=int(rng.choice([-1, 1])), lots=int(rng.integers(1, 50)),
            px_e9=int(rng.integers(0, 10**10)), fee_e9=int(rng.integers(-100, 100)),
        )  # fmt: skip
        assert book.cash_e9 - book.opening_e9 == book.realised_e9 - book.cost_e9
        assert book.lots != 0 or book.cost_e9 == 0
        mark = int(rng.integers(0, 10**10))
        unrealised = book.value_e9(mark) - book.cost_e9
        assert book.net_e9(mark) == book.realised_e9 + unrealised - book.fees_e9


def test_carry_is_cash():
    ledger = Ledger()
    ledger.book_carry(-7)
    assert (ledger.cash_e9, ledger.carry_e9, ledger.net_e9([], 0)) == (-7, -7, -7)


def test_interest_is_actual_over_360():
    """1,000,000 at 5 % for one day is 138.888888889; three days 416.666666667."""
    assert interest_e9(-1_000_000 * USD, annual_rate=0.05, days=1) == -138_888_888_889
    assert interest_e9(1_000_000 * USD, annual_rate="0.05", days=3) == 416_666_666_667


def test_a_fill_above_a_billion_is_refused_and_books_nothing():
    ledger = Ledger()
    fill(ledger, 1, 10_000, 1_000.0)  # 1e9 USD exactly
    with pytest.raises(LimitBreached, match=r"USD 1,000,100,000, above 1,000,000,000: refused"):
        fill(ledger, 1, 10_001, 1_000.0)
    assert ledger.position(0).lots == 10_000


def test_a_sum_that_int64_could_not_hold_is_refused():
    ledger = Ledger()
    for _ in range(MAX_SUM_E9 // 10**18):
        fill(ledger, 1, 10_000, 1_000.0)
    with pytest.raises(LimitBreached, match=r"does not fit 2\^62"):
        fill(ledger, 1, 10_000, 1_000.0)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"side": 0}, "fill has side 0"),
        ({"lots": 0}, "lots 0"),
        ({"multiplier": 0}, "multiplier 0"),
        ({"multiplier": 10}, "instrument 0 has multiplier 100, the fill 10"),
    ],
)
def test_what_no_fill_can_be(change, match):
    ledger = Ledger()
    good = {"instrument": 0, "side": 1, "lots": 1, "px_e9": 5, "multiplier": 100, "fee_e9": 0}
    ledger.book(**good)
    with pytest.raises(UsageError, match=match):
        ledger.book(**{**good, **change})


def test_an_instrument_without_a_mark_is_named():
    ledger = Ledger()
    fill(ledger, 1, 1, 1.0, instrument=5)
    with pytest.raises(UsageError, match="instrument 5 has no mark: there are 2 options"):
        ledger.net_e9([1, 2], 3)
    with pytest.raises(UsageError, match="instrument 0 opens twice"):
        Ledger([OpeningPosition(0, 1, 1, 1), OpeningPosition(0, 1, 1, 1)])
