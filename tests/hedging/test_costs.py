"""Fees and touch costs: tickets computed by hand, to the last 1e-9 USD."""

import pytest

from hedging import costs
from hedging.errors import InvalidInput


def test_a_schedule_from_the_config_file_is_exact():
    """10 contracts at 0.65 less 0.25 of rebate are 4.00; 300 shares at 0.0035 are 1.05."""
    fees = costs.schedule(option=0.65, option_maker_rebate=0.25, share=0.0035, future=2.25)
    assert fees.option(10) == fees.option(-10) == 4_000_000_000
    assert fees.option(10, maker=False) == 6_500_000_000
    assert fees.hedge(-300, kind="equity") == 1_050_000_000
    assert fees.hedge(2, kind="future") == 4_500_000_000
    assert costs.schedule(option=0.1, option_maker_rebate=0.3).option(5) == -1_000_000_000


def test_fees_finer_than_a_billionth_or_unknown_hedges_are_refused():
    with pytest.raises(InvalidInput, match=r"usd is 1e-10, must be a finite multiple of 1e-9"):
        costs.to_e9(1e-10)
    with pytest.raises(InvalidInput, match="finite"):
        costs.to_e9(float("nan"))
    with pytest.raises(InvalidInput, match=r"kind is 'index'; a hedge is"):
        costs.FeeSchedule().hedge(1, kind="index")


def test_the_touch_costs_half_the_spread_either_way():
    """SPY 500.00 x 500.02: 1,000 shares cost 1,000 x 0.01 = 10 USD, buying or selling."""
    bid, ask = 500_000_000_000, 500_020_000_000
    buy = costs.at_touch(1000, bid_e9=bid, ask_e9=ask, multiplier=1, fee_e9=7)
    sell = costs.at_touch(-1000, bid_e9=bid, ask_e9=ask, multiplier=1)
    assert (buy.px_e9, sell.px_e9) == (ask, bid)
    assert buy.slippage_e9 == sell.slippage_e9 == 10_000_000_000
    assert buy.total_e9 == 10_000_000_007
    assert buy.mid_e9 == 500_010_000_000


@pytest.mark.parametrize(("bid", "ask"), [(0, 5), (6, 5), (-1, 5)])
def test_no_touch_without_a_two_sided_market(bid, ask):
    with pytest.raises(InvalidInput, match="Wait for a two-sided market"):
        costs.at_touch(1, bid_e9=bid, ask_e9=ask, multiplier=1)
