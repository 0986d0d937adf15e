"""The listing follows the exchange's calendar."""

import numpy as np

from optmm.data.simulator.chain import strikes
from optmm.market.instruments import parse_osi


def test_daily_expiries_for_two_weeks_and_holidays_moved(full):
    chain = full.day.chain
    listed = [str(d) for d in chain.expiry[chain.slice_start[:-1]]]
    two_weeks = [
        "2025-03-12", "2025-03-13", "2025-03-14", "2025-03-17", "2025-03-18", "2025-03-19",
        "2025-03-20", "2025-03-21", "2025-03-24", "2025-03-25", "2025-03-26",
    ]  # fmt: skip
    assert listed[:11] == two_weeks
    assert "2025-04-17" in listed and "2025-04-18" not in listed  # Good Friday
    assert "2026-06-18" in listed and "2026-06-19" not in listed  # Juneteenth
    assert "2027-01-15" in listed  # LEAPS, third Friday
    assert len(listed) >= 24


def test_counts_pairs_and_terms(full):
    chain = full.day.chain
    assert 2_400 <= len(chain) <= 3_000
    assert chain.american.all() and chain.physical.all()
    assert (chain.tick_below_e9 == 10_000_000).all() and (chain.tick_above_e9 == 10_000_000).all()
    assert (chain.right[::2] == 1).all() and (chain.right[1::2] == -1).all()
    assert (chain.strike_e9[::2] == chain.strike_e9[1::2]).all()
    first = parse_osi(chain.symbol[0])
    assert (first.root, str(first.expiry), first.strike_e9) == (
        "SPY", "2025-03-12", int(chain.strike_e9[0]),
    )  # fmt: skip


def test_trading_stops_fifteen_minutes_after_the_fixing(full):
    chain, session = full.day.chain, full.day.session
    assert (chain.last_trade_ns - chain.fixing_ns == 15 * 60 * 10**9).all()
    assert chain.last_trade_ns[0] == session.close_ns
    assert session.close_ns - session.open_ns == 405 * 60 * 10**9


def test_strikes_are_dense_near_the_money_and_sparse_away():
    near = strikes(560.0, 0.02, 3.0, 5)
    assert (np.diff(near) >= 1.0).all() and 1.0 in np.diff(near) and 5.0 in np.diff(near)
    far = strikes(560.0, 0.30, 3.0, 700)
    assert np.diff(far).min() == 10.0 and np.diff(far).max() == 25.0
    assert far[0] < 560.0 * np.exp(-0.8)
