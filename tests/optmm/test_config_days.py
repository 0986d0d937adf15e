"""Sections for days: strict, exact, and neutral where nothing is set."""

from fractions import Fraction

import pytest
from pydantic import ValidationError

from optmm import config_days
from optmm.config import Dividends
from optmm.config_days import Carry, Corporate, Exercise, Marks, Settlement, Synthetic


def test_defaults_change_nothing():
    assert not Synthetic().enabled
    assert Settlement().px_e9("SPXW", "2021-01-04") is None
    assert Corporate().ratio("2020-08-28", "2020-08-31") is None
    assert (Carry().financing_rate, Carry().short_borrow_rate) == (0.0, 0.0)
    assert (Exercise().assignment_share, Exercise().contrary_share) == (1.0, 0.0)
    assert Marks().policy == "settlement_theo_mid"


def test_values_are_exact():
    found = Settlement(expiries=("2021-01-04",), px_usd=(3700.65,))
    assert found.px_e9("SPXW", "2021-01-04") == 3_700_650_000_000
    assert config_days.exact_e9(1.5059) == 1_505_900_000
    split = Corporate(split_dates=("2014-06-09", "2020-08-31"), split_ratios=("7:1", "3:2"))
    assert split.ratio("2014-06-06", "2014-06-09") == 7
    assert split.ratio("2020-08-28", "2020-08-31") == Fraction(3, 2)


def test_a_split_on_a_date_that_the_run_leaves_out_counts_once():
    split = Corporate(split_dates=("2014-06-09", "2020-08-31"), split_ratios=("7:1", "3:2"))
    assert split.ratio("2014-06-06", "2014-06-10") == 7
    assert split.ratio("2014-06-09", "2014-06-10") is None
    assert split.ratio("2014-06-06", "2020-09-01") == Fraction(21, 2)


@pytest.mark.parametrize(
    ("section", "values", "message"),
    [
        (Synthetic, {"half_spread": 1.0}, "Extra inputs"),
        (Synthetic, {"half_spread_usd": 1e-10}, "finer than 1e-9 USD"),
        (Synthetic, {"expiry": "next week"}, "Invalid isoformat"),
        (Settlement, {"expiries": ("20210104",), "px_usd": (1.0,)}, "write YYYY-MM-DD"),
        (Corporate, {"split_dates": ("2020-W36-1",), "split_ratios": ("4:1",)}, "YYYY-MM-DD"),
        (Dividends, {"ex_dates": ("20230317",), "cash_usd": (1.5,)}, "write YYYY-MM-DD"),
        (Settlement, {"expiries": ("2021-01-04",)}, "1 expiries and 0 px_usd"),
        (Settlement, {"expiries": ("2021-01-04",) * 2, "px_usd": (1.0, 2.0)}, "twice"),
        (Settlement, {"expiries": ("2021-01-04",), "px_usd": (0.0,)}, "above zero"),
        (Settlement, {"expiries": ("SPXW 21-01-04",), "px_usd": (1.0,)}, "Invalid isoformat"),
        (Corporate, {"split_dates": ("2020-08-31",)}, "1 split_dates and 0 split_ratios"),
        (Corporate, {"split_dates": ("2020-08-31",), "split_ratios": ("4",)}, "new:old shares"),
        (Corporate, {"split_dates": ("2020-08-31",), "split_ratios": ("2:2",)}, "splits nothing"),
        (Corporate, {"split_dates": ("2020-08-31", "2014-06-09"), "split_ratios": ("4:1", "7:1")},
         "do not rise"),
        (Carry, {"financing_rate": 5.0}, "less than or equal"),
        (Exercise, {"assignment_share": 1.1}, "less than or equal"),
        (Marks, {"policy": "best"}, "settlement_theo_mid"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_refused(section, values, message):
    with pytest.raises(ValidationError, match=message):
        section(**values)
