"""Splits conserve value to the last 1e-9 USD; what they cannot keep standard is refused."""

from fractions import Fraction

import numpy as np
import pytest

from optmm.engine import corporate
from optmm.errors import DataError
from optmm.market import adjusted, span
from optmm.market.chain import Underlying
from optmm.market.instruments import parse_osi
from optmm.market.products import list_chain

AAPL = Underlying("AAPL", "equity", 1, 10_000_000)
E9 = 10**9
# Apple split 4-for-1 effective 2020-08-31, and 7-for-1 effective 2014-06-09
OLD = list_chain(
    [parse_osi(f"AAPL  {expiry}{side}00{strike}") for expiry in ("200828", "200918")
     for side in "CP" for strike in ("500000", "497500")],
    date="2020-08-28", underlying=AAPL,
)  # fmt: skip
NEW = list_chain(
    [parse_osi(f"AAPL  200918C00{strike}") for strike in ("125000", "130000")],
    date="2020-08-31",
    underlying=AAPL,
)
WHOLE, _ = span.union([OLD, adjusted.adjusted_chain(OLD, Fraction(4)), NEW])
AFTER = int(OLD.fixing_ns[0]) + 1


def settled(legs, lots):
    """Cash and lots after booking, by hand."""
    lots, cash = lots.copy(), 0
    for leg in legs:
        unit = 1 if leg.instrument == len(WHOLE) else 100
        lots[leg.instrument] += leg.side * leg.lots
        cash -= leg.side * leg.lots * leg.px_e9 * unit
    return lots, cash


def row(symbol):
    return WHOLE.symbol.index(symbol)


def test_four_for_one_moves_every_position_and_not_one_nano():
    n = len(WHOLE)
    lots = np.zeros(n + 1, np.int64)
    marks = np.zeros(n + 1, np.int64)
    held = {
        "AAPL  200918C00500000": (7, 12_345_678_903),
        "AAPL  200918P00500000": (-3, 13_000_000_001),
        "AAPL  200918P00497500": (11, 9_999_999_999),
    }
    for symbol, (size, mark) in held.items():
        lots[row(symbol)], marks[row(symbol)] = size, mark
    lots[n], marks[n] = -333, 499_230_000_003
    done = corporate.split(WHOLE, ratio=Fraction(4), now_ns=AFTER, lots=lots, marks_e9=marks)
    after, cash = settled(done.legs, lots)
    assert cash == 0
    assert done.in_lieu_e9 == 0
    # OCC: 497.50 / 4 = 124.375, listed at 124.38
    names = {"AAPL  200918C00125000": 28, "AAPL  200918P00125000": -12, "AAPL  200918P00124380": 44}
    assert {WHOLE.symbol[i]: int(after[i]) for i in np.flatnonzero(after[:-1])} == names
    assert after[n] == -1332
    # the cost of the new rows is the value of the old: k legs carry the remainder
    for old, new in zip(held, names, strict=True):
        size, mark = held[old]
        cost = sum(x.side * x.lots * x.px_e9 for x in done.legs if x.instrument == row(new))
        assert cost == size * mark
    assert int(done.marks_e9[n]) == 499_230_000_003 // 4
    for leg in done.legs:
        assert (leg.kind, leg.cause) == ("split", "split")


def test_what_expired_before_it_is_left_alone():
    lots = np.zeros(len(WHOLE) + 1, np.int64)
    lots[row("AAPL  200828C00500000")] = 5
    done = corporate.split(WHOLE, ratio=Fraction(4), now_ns=AFTER, lots=lots, marks_e9=lots)
    assert done.legs == ()


@pytest.mark.parametrize("ratio", [Fraction(3, 2), Fraction(1, 10)])
def test_another_ratio_makes_adjusted_contracts_and_is_refused(ratio):
    lots = np.zeros(len(WHOLE) + 1, np.int64)
    lots[row("AAPL  200918C00500000")] = 1
    text = f"held through a {ratio.numerator}:{ratio.denominator} split.*adjusted contracts"
    with pytest.raises(DataError, match=text):
        corporate.split(WHOLE, ratio=ratio, now_ns=AFTER, lots=lots, marks_e9=lots)


@pytest.mark.parametrize("shares", [1003, -1003, 7, -7])
def test_shares_alone_go_through_any_ratio_with_cash_for_the_fraction(shares):
    """1-for-10 at 5.37: 1003 shares are 100 at 53.70, and 0.3 of one, 16.11 USD, in cash."""
    lots = np.zeros(len(WHOLE) + 1, np.int64)
    marks = np.zeros(len(WHOLE) + 1, np.int64)
    lots[-1], marks[-1] = shares, 5_370_000_000
    done = corporate.split(WHOLE, ratio=Fraction(1, 10), now_ns=0, lots=lots, marks_e9=marks)
    after, cash = settled(done.legs, lots)
    sign = 1 if shares > 0 else -1
    assert after[-1] == sign * (abs(shares) // 10)
    assert cash == done.in_lieu_e9 == sign * (abs(shares) % 10) * 5_370_000_000
    assert int(done.marks_e9[-1]) == 53_700_000_000
    assert cash + int(after[-1]) * int(done.marks_e9[-1]) == shares * int(marks[-1])


def test_a_series_that_no_day_lists_says_what_to_join():
    lots = np.zeros(len(OLD) + 1, np.int64)
    lots[OLD.symbol.index("AAPL  200918C00500000")] = 1
    with pytest.raises(DataError, match=r"becomes AAPL  200918C00125000.*adjusted_chain"):
        corporate.split(OLD, ratio=Fraction(4), now_ns=AFTER, lots=lots, marks_e9=lots)


def test_strikes_round_to_the_listed_cent():
    """OCC memo on Apple's 7-for-1: 645.00 became 92.14 (92.142857), 490.00 became 70.00."""
    assert adjusted.strike_after(645 * E9, 7) == 92_140_000_000
    assert adjusted.strike_after(490 * E9, 7) == 70 * E9
    assert adjusted.strike_after(497_500_000_000, 4) == 124_380_000_000


def test_an_overnight_jump_without_an_event_is_flagged():
    say = corporate.jumped
    assert "-75.0%" in say(before_e9=400 * E9, after_e9=100 * E9, ratio=None, most_share=0.2)
    assert say(before_e9=400 * E9, after_e9=100 * E9, ratio=Fraction(4), most_share=0.2) == ""
    assert say(before_e9=400 * E9, after_e9=479 * E9, ratio=None, most_share=0.2) == ""
    assert "+21.0%" in say(before_e9=400 * E9, after_e9=484 * E9, ratio=None, most_share=0.2)
    wrong = say(before_e9=400 * E9, after_e9=400 * E9, ratio=Fraction(4), most_share=0.2)
    assert "ratio was taken out" in wrong
    assert say(before_e9=0, after_e9=400 * E9, ratio=None, most_share=0.2) == ""
