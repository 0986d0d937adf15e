"""The pin report gathers the positions that expire and deliver, and nothing else."""

import numpy as np
import pytest
from scipy.special import ndtr

from optmm.config_days import Exercise
from optmm.engine import pin
from optmm.market.chain import Underlying
from optmm.market.instruments import parse_osi
from optmm.market.products import list_chain, product

CHAIN = list_chain(
    [parse_osi(f"SPY{day}{side}0039{k}000") for day in ("230317", "230421") for side in "CP"
     for k in "05"],
    date="2023-03-17", underlying=Underlying("SPY", "equity", 1, 10_000_000),
)  # fmt: skip
FRIDAY, MONDAY = (product("SPY").session(f"2023-03-{d}") for d in (17, 20))
N = len(CHAIN)


def rows(lots, vol=0.2, now_ns=FRIDAY.open_ns):
    return pin.rows(
        CHAIN, np.array(lots), vol=np.broadcast_to(vol, N), forward=np.full(N, 391.0),
        now_ns=now_ns, until_ns=FRIDAY.close_ns, next_open_ns=MONDAY.open_ns, config=Exercise(),
    )  # fmt: skip


def test_friday_s_short_call_over_the_weekend():
    """By hand: p = N(d2) at 6.5 hours, 10 lots; the gap from 16:00 Friday to 09:30 Monday."""
    (row,) = rows([-10, 0, 0, 0, 5, 5, 5, 5])
    s = 0.2 * np.sqrt(6.5 / 24 / 365)
    p = ndtr(np.log(391 / 390) / s - s / 2)
    assert (row["symbol"], row["expiry"], row["near"]) == (CHAIN.symbol[0], "2023-03-17", True)
    assert row["exercise"] == pytest.approx(p)
    assert row["sd_lots"] == row["total_sd_lots"] == pytest.approx(1000 * np.sqrt(p * (1 - p)))
    assert row["mean_lots"] == pytest.approx(-1000 * p)
    move = 0.2 * np.sqrt(65.5 / 24 / 365)
    assert row["gap_usd"] == pytest.approx(row["sd_lots"] * 391 * move)


def test_what_has_no_vol_is_counted_and_what_is_over_is_gone():
    vol = np.full(N, 0.2)
    vol[1] = np.nan
    found = rows([-10, 3, 0, 2, 0, 0, 0, 0], vol=vol)
    assert [row["instrument"] for row in found] == [0, 3]
    assert {row["without_vol"] for row in found} == {1}
    assert rows([-10, 3, 0, 2, 0, 0, 0, 0], now_ns=int(CHAIN.fixing_ns[0])) == []
