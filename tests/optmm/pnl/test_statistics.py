"""Figures of a report against hand tapes, printed tables and simulation."""

import math

import numpy as np
import pytest

from optmm.errors import UsageError
from optmm.pnl import statistics as figures

# R. Newcombe, Statistics in Medicine 17 (1998) 857-872, table I, method 3 (score): four decimals.
NEWCOMBE = [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611),
            (1, 29, 0.0061, 0.1718)]  # fmt: skip


@pytest.mark.parametrize(("wins", "n", "low", "high"), NEWCOMBE)
def test_wilson_interval_is_newcombes(wins, n, low, high):
    got = figures.wilson(wins, n)
    assert got[0] == pytest.approx(low, abs=5.1e-5)
    assert got[1] == pytest.approx(high, abs=5.1e-5)
    mirrored = figures.wilson(n - wins, n)
    assert mirrored[0] == pytest.approx(1 - got[1], abs=1e-12)


def test_turnover_of_a_tape_by_hand():
    """Hold 10 for half the day, 4 for a quarter, 0 for a quarter: average 6, traded 20, half 10."""
    got = figures.turnover(
        ts_ns=[0, 50, 75], instrument=[0, 0, 0], signed_lots=[10, -6, -4], start_ns=-100, end_ns=100
    )
    # From -100 to 0 flat: area 10 x 50 + 4 x 25 = 600 over 200 is 3; 10 / 3.
    assert got.value == pytest.approx(10 / 3)
    late = figures.turnover(
        ts_ns=[0, 50, 75], instrument=[0, 0, 0], signed_lots=[10, -6, -4], start_ns=0, end_ns=100
    )
    # The row at the start is the opening position: area 600 over 100 is 6, traded 10.
    assert late.value == pytest.approx(5 / 6)


def test_turnover_does_not_net_instruments_and_takes_weights():
    common = {"ts_ns": [1, 1], "instrument": [0, 1], "start_ns": 0, "end_ns": 11}
    got = figures.turnover(signed_lots=[5, -5], **common)
    assert got.value == pytest.approx(0.5 * 10 * 11 / (10 * 10))
    assert figures.turnover(signed_lots=[5, -5], weight=[2.0, 7.0], **common).value == (
        pytest.approx(got.value)
    )
    flat = figures.turnover(ts_ns=[], instrument=[], signed_lots=[], start_ns=0, end_ns=1)
    assert str(flat) == "n/a (no inventory was held)"


def test_sharpe_of_days_by_hand():
    """Days of +3 and -1 alternate: mean 1, sd 2 (n - 1: sqrt(n/(n-1))), on any capital."""
    days = np.tile([3.0, -1.0], 20)
    got = figures.sharpe(days, capital_usd=1e6)
    daily = 1 / (2 * math.sqrt(40 / 39))
    assert got.value == pytest.approx(math.sqrt(252) * daily, rel=1e-12)
    error = math.sqrt(252) * math.sqrt((1 + daily**2 / 2) / 40)
    assert got.high - got.low == pytest.approx(2 * 1.959963984540054 * error, rel=1e-12)
    assert got.n == 40


def test_lo_interval_covers_the_true_ratio_19_times_in_20():
    """4,000 simulated years of normal days: coverage 95 % within three binomial s.e. and 1 %."""
    rng = np.random.default_rng(2002)
    truth = math.sqrt(252) * 0.1
    hits = 0
    for days in rng.normal(0.1, 1.0, (4000, 252)):
        got = figures.sharpe(days, capital_usd=1.0)
        hits += got.low <= truth <= got.high
    assert hits / 4000 == pytest.approx(0.95, abs=3 * math.sqrt(0.05 * 0.95 / 4000) + 0.01)


def test_too_few_or_constant_days_have_no_ratio():
    few = figures.sharpe(np.arange(19.0), capital_usd=1.0)
    assert str(few) == "n/a (needs 20 days, has 19)"
    assert few.value is None
    assert figures.sharpe(np.full(30, 0.1), capital_usd=1.0).reason == "daily P&L does not vary"


def test_drawdown_by_hand_and_against_all_pairs():
    """Up 5, down to -3: 8 of 100. The first loss counts from zero."""
    got = figures.max_drawdown([2.0, 5.0, 1.0, -3.0, 4.0], capital_usd=100.0)
    assert got.value == pytest.approx(0.08)
    assert figures.max_drawdown([-4.0, -1.0], capital_usd=100.0).value == pytest.approx(0.04)
    path = np.cumsum(np.random.default_rng(3).normal(size=300))
    equity = np.concatenate([[0.0], path])
    worst = max(equity[i] - equity[j] for i in range(301) for j in range(i, 301))
    assert figures.max_drawdown(path, capital_usd=10.0).value == pytest.approx(worst / 10.0)
    assert figures.max_drawdown([], capital_usd=1.0).value is None


def test_what_a_caller_can_get_wrong():
    with pytest.raises(UsageError, match="capital_usd is 0, must be > 0"):
        figures.sharpe([1.0], capital_usd=0.0)
    with pytest.raises(UsageError, match="cumulative_net_usd has 1 values that are not finite"):
        figures.max_drawdown([np.nan], capital_usd=1.0)
    with pytest.raises(UsageError, match="ts_ns must ascend"):
        figures.turnover(ts_ns=[5, 1], instrument=[0, 0], signed_lots=[1, 1], start_ns=0, end_ns=9)
    with pytest.raises(UsageError, match="successes is 3 of n 2"):
        figures.wilson(3, 2)
