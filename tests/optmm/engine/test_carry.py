"""A night's cash: dividends by the share, interest on ACT/360, both by hand."""

from decimal import Decimal

from optmm.config_days import Carry
from optmm.engine import carry
from optmm.market.chain import Underlying

SPY = Underlying("SPY", "equity", 1, 10_000_000)
ES = Underlying("ES", "future", 50, 250_000_000)
PAID = {"ex_dates": ("2023-03-17", "2023-06-16"), "cash_usd": (1.5059, 1.6384)}


def usd(lines):
    return {line.kind: Decimal(line.amount_e9) / 10**9 for line in lines}


def test_long_receives_and_short_pays_the_dividend_once():
    eve = {"after": "2023-03-16", "until": "2023-03-17"}
    assert usd(carry.dividends(**PAID, **eve, shares=1000)) == {"dividend": Decimal("1505.9")}
    assert usd(carry.dividends(**PAID, **eve, shares=-300)) == {"dividend": Decimal("-451.77")}
    assert carry.dividends(**PAID, **eve, shares=0) == ()
    for after, until in (("2023-03-15", "2023-03-16"), ("2023-03-17", "2023-03-20")):
        assert carry.dividends(**PAID, after=after, until=until, shares=5) == ()
    both = carry.dividends(**PAID, after="2023-03-10", until="2023-06-16", shares=1)
    assert [line.amount_e9 for line in both] == [1_505_900_000, 1_638_400_000]


def test_a_weekend_is_three_days_of_interest_to_the_cent():
    """1,234,567.89 at 5.25 % for 3 days: x 0.0525 x 3 / 360 = 540.12 (540.1234519)."""
    night = {"underlying": SPY, "config": Carry(financing_rate=0.0525, short_borrow_rate=0.003),
             "after": "2023-03-17", "until": "2023-03-20"}  # fmt: skip
    lines = carry.overnight(
        **night, cash_e9=1_234_567_890_000_000, hedge_lots=-2000, hedge_mark_e9=390_500_000_000
    )
    found = usd(lines)
    assert found["financing"].quantize(Decimal("0.01")) == Decimal("540.12")
    # 2000 x 390.50 at 0.3 % for 3 days: 781000 x 0.003 x 3 / 360 = 19.525, paid
    assert found["borrow"] == Decimal("-19.525")
    paid = usd(carry.overnight(**night, cash_e9=-360 * 10**9, hedge_lots=5, hedge_mark_e9=1))
    assert paid == {"financing": Decimal("-0.1575")}  # 360 x 0.0525 x 3 / 360


def test_a_future_finances_its_gains_and_not_its_notional():
    """Bought 2 at 3000, now 3010: only 2 x 50 x 10 = 1000 USD earn, at 3.6 % a day: 0.10."""
    night = {"config": Carry(financing_rate=0.036, short_borrow_rate=0.5), "after": "2020-01-06",
             "until": "2020-01-07"}  # fmt: skip
    lines = carry.overnight(
        underlying=ES, **night, cash_e9=-2 * 50 * 3000 * 10**9, hedge_lots=2,
        hedge_mark_e9=3010 * 10**9,
    )  # fmt: skip
    assert usd(lines) == {"financing": Decimal("0.1")}
    short = carry.overnight(
        underlying=ES, **night, cash_e9=2 * 50 * 3000 * 10**9, hedge_lots=-2,
        hedge_mark_e9=3000 * 10**9,
    )  # fmt: skip
    assert short == ()


def test_no_rate_no_line():
    assert carry.overnight(underlying=SPY, config=Carry(), after="2023-03-17", until="2023-03-20",
                           cash_e9=10**15, hedge_lots=-5, hedge_mark_e9=10**9) == ()  # fmt: skip
