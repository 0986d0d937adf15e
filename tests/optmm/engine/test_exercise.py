"""Exercise and assignment: exact cash, SPY's ex-date on an expiry Friday, lots by lot."""

import numpy as np
import pytest

from optmm.config import Dividends
from optmm.config_days import Exercise
from optmm.engine import carry, exercise
from optmm.engine.exercise import Evening
from optmm.market.chain import Underlying
from optmm.market.instruments import parse_osi
from optmm.market.products import list_chain, product
from optmm.pnl.ledger import Ledger

E9 = 10**9
SPY = Underlying("SPY", "equity", 1, 10_000_000)
# 2023-03-17 was SPY's quarterly ex-date (1.506 USD) and the expiry of the March options
PAID = Dividends(ex_dates=("2023-03-17",), cash_usd=(1.506,))
CHAIN = list_chain(
    [parse_osi(f"SPY{day}{side}00{k}000") for day in ("230316", "230317", "230421")
     for side in "CP" for k in (330, 380, 396, 480)],
    date="2023-03-16", underlying=SPY,
)  # fmt: skip
THURSDAY, FRIDAY = (product("SPY").session(f"2023-03-{d}") for d in (16, 17))
N = len(CHAIN)


def row(symbol):
    return CHAIN.symbol.index(parse_osi(symbol).osi)


def known(vol=0.2, **changes):
    terms = {"now_ns": THURSDAY.close_ns, "next_open_ns": FRIDAY.open_ns, "date": "2023-03-16",
             "spot_e9": 396_110_000_000, "vol": np.full(N, vol), "rate": np.full(N, 0.045),
             "carry": np.full(N, 0.015)}  # fmt: skip
    return Evening(**(terms | changes))


def evening(lots, *, config=None, dividends=PAID, seed=1, **changes):
    held = np.zeros(N, np.int64)
    for symbol, size in lots.items():
        held[row(symbol)] = size
    return exercise.evening(CHAIN, held, known(**changes), config=config or Exercise(),
                            dividends=dividends, seed=seed)  # fmt: skip


def booked(legs):
    """Lots by instrument, and cash in 1e-9 USD, by hand."""
    lots, cash = {}, 0
    for leg in legs:
        lots[leg.instrument] = lots.get(leg.instrument, 0) + leg.side * leg.lots
        cash -= leg.side * leg.lots * leg.px_e9 * (1 if leg.instrument == N else 100)
    return lots, cash


def test_fridays_calls_are_exercised_on_thursday():
    """330 and 380 expire on the ex-date: what they lose by waiting is 1.506 less interest and put.
    The same strikes of April lose the put's value too: 380 waits."""
    book = {"SPY230317C00330000": 5, "SPY230317C00380000": 2, "SPY230317C00396000": 4,
            "SPY230421C00380000": 6}  # fmt: skip
    found = evening(book)
    assert [(CHAIN.symbol[x.instrument], x.cause, x.lots) for x in found.rows] == [
        ("SPY   230317C00330000", "early_exercise", 5),
        ("SPY   230317C00380000", "early_exercise", 2),
    ]
    lots, cash = booked(found.legs)
    assert lots == {row("SPY230317C00330000"): -5, row("SPY230317C00380000"): -2, N: 700}
    assert cash == -(500 * 330 + 200 * 380) * E9  # the strikes, to the last 1e-9
    assert found.rows[0].gain_usd == pytest.approx(1.506 - 330 * 0.045 * 0.98 / 365, abs=3e-3)
    assert found.undecided == ()


def test_exercise_alone_makes_no_profit_at_the_mark():
    """Option at intrinsic and shares at spot, before and after: the same worth."""
    found = evening({"SPY230317C00330000": 5})
    _, cash = booked(found.legs)
    assert cash + 500 * 396_110_000_000 == 5 * 100 * (396_110_000_000 - 330 * E9)
    assert all(leg.px_e9 == leg.mark_e9 for leg in found.legs)


def test_what_expired_on_thursday_is_not_exercised_again():
    found = evening({"SPY230316C00330000": 5})
    assert (found.legs, found.undecided) == ((), ())


def test_without_a_dividend_or_with_early_off_nobody_exercises_calls():
    book = {"SPY230317C00330000": 5, "SPY230421C00330000": -5}
    none = Dividends()
    assert evening(book, dividends=none).legs == ()
    past = Dividends(ex_dates=("2023-03-16", "2023-04-21"), cash_usd=(9.0, 9.0))
    assert evening(book, dividends=past).legs == ()
    assert evening(book, config=Exercise(early=False)).legs == ()


def test_shorts_are_assigned_at_the_share_and_by_the_seed():
    book = {"SPY230317C00330000": -10}
    everyone = evening(book)
    lots, cash = booked(everyone.legs)
    assert lots == {row("SPY230317C00330000"): 10, N: -1000}
    assert cash == 330 * 1000 * E9
    assert everyone.rows[0].cause == "assignment"
    config = Exercise(assignment_share=0.75)
    seen = {-evening(book, config=config, seed=seed).rows[0].lots for seed in range(30)}
    assert seen == {7, 8}
    again = evening(book | {"SPY230317C00380000": -3}, config=config, seed=5)
    assert again.rows[0] == evening(book, config=config, seed=5).rows[0]
    assert evening(book, config=Exercise(assignment_share=0.0)).legs == ()


def test_a_put_far_in_the_money_is_exercised_and_delivers_short():
    found = evening({"SPY230421P00480000": 3}, dividends=Dividends(), vol=0.1,
                    carry=np.zeros(N))  # fmt: skip
    lots, cash = booked(found.legs)
    assert lots == {row("SPY230421P00480000"): -3, N: -300}
    assert cash == 300 * 480 * E9


def test_no_volatility_is_said_and_not_guessed():
    found = evening({"SPY230317C00330000": 5}, vol=np.nan)
    assert (found.legs, found.undecided) == ((), (row("SPY230317C00330000"),))


FIXING = 396_400_000_000


def expired(symbol, lots, config, fixing=FIXING, seed=1):
    return exercise.expired(CHAIN, row(symbol), lots, fixing_e9=fixing, config=config,
                            day="2023-03-17", seed=seed)  # fmt: skip


def test_the_rule_without_contrary_exercise():
    legs = expired("SPY230317C00396000", -4, Exercise())
    assert booked(legs) == ({row("SPY230317C00396000"): 4, N: -400}, 400 * 396 * E9)
    assert {leg.cause for leg in legs} == {"expiry"}
    legs = expired("SPY230317P00396000", -4, Exercise())
    assert booked(legs) == ({row("SPY230317P00396000"): 4}, 0)
    under = expired("SPY230317C00396000", -4, Exercise(), fixing=396_009_999_999)
    assert booked(under) == ({row("SPY230317C00396000"): 4}, 0)
    assert expired("SPY230317C00396000", 0, Exercise()) == ()


def test_contrary_holders_near_the_strike():
    """A quarter of 8 act against the rule: 6 of 8 calls are assigned, and 2 of 8 puts."""
    config = Exercise(contrary_within_usd=0.4, contrary_share=0.25)
    legs = expired("SPY230317C00396000", -8, config)
    assert booked(legs) == ({row("SPY230317C00396000"): 8, N: -600}, 600 * 396 * E9)
    legs = expired("SPY230317P00396000", -8, config)
    assert booked(legs) == ({row("SPY230317P00396000"): 8, N: 200}, -200 * 396 * E9)
    assert {leg.cause for leg in legs} == {"expiry", "contrary_exercise"}
    outside = Exercise(contrary_within_usd=0.39, contrary_share=0.25)
    assert expired("SPY230317C00396000", -8, outside) == expired(
        "SPY230317C00396000", -8, Exercise()
    )
    longs = expired("SPY230317C00396000", 8, config)
    assert booked(longs) == ({row("SPY230317C00396000"): -8, N: 800}, -800 * 396 * E9)


def test_cash_settlement_has_nothing_contrary_and_a_future_option_no_threshold():
    index = list_chain([parse_osi("SPXW210104C03700000")], date="2021-01-04", kind="index",
                       underlying=Underlying("SPX", "index", 1, 1))  # fmt: skip
    config = Exercise(contrary_within_usd=5.0, contrary_share=1.0)
    (leg,) = exercise.expired(index, 0, -2, fixing_e9=3_700_650_000_000, config=config,
                              day="2021-01-04", seed=1)  # fmt: skip
    assert (leg.side, leg.lots, leg.px_e9) == (1, 2, 650_000_000)
    es = list_chain([parse_osi("ES200320C03300000")], date="2020-01-06", kind="future",
                    underlying=Underlying("ESH20", "future", 50, 250_000_000))  # fmt: skip
    assert exercise.threshold_e9(es, 0) == 1
    assert exercise.threshold_e9(index, 0) == 10_000_000


@pytest.mark.parametrize(("share", "wanted_usd"), [(1.0, 0.0), (0.0, 1506.0)])
def test_the_dividend_goes_to_whoever_holds_the_share_after_assignment(share, wanted_usd):
    """Long 1000 shares against 10 short calls on 330: assigned in full, the desk has no share left
    and no dividend; if the holders sleep, it keeps 1.506 a share. Marks of both mornings by hand:
    the calls lose the dividend with the share, so all the difference is the dividend."""
    found = evening({"SPY230317C00330000": -10}, config=Exercise(assignment_share=share))
    ledger = Ledger([(row("SPY230317C00330000"), -10, 66_110_000_000, 100),
                     (N, 1000, 396_110_000_000, 1)])  # fmt: skip
    for leg in found.legs:
        ledger.book(instrument=leg.instrument, side=leg.side, lots=leg.lots, px_e9=leg.px_e9,
                    multiplier=1 if leg.instrument == N else 100, fee_e9=0)  # fmt: skip
    held = ledger.position(N)
    lines = carry.dividends(
        ex_dates=PAID.ex_dates, cash_usd=PAID.cash_usd, after="2023-03-16", until="2023-03-17",
        shares=held.lots,
    )  # fmt: skip
    for line in lines:
        ledger.book_carry(line.amount_e9)
    ex = np.zeros(N, np.int64)
    ex[row("SPY230317C00330000")] = 66_110_000_000 - 1_506_000_000
    net = ledger.net_e9(ex, 396_110_000_000 - 1_506_000_000)
    assert net == round(wanted_usd * 1e9)
