"""The papers' rules, row by row: a quote of 1.00 at 1.10, and what each paper says of a price."""

import numpy as np
import pytest

from optmm.flow.signing import RULES, Method, sign_prints, tick_signs

BID, ASK = 1_000_000_000, 1_100_000_000

# price, then the sign by Lee-Ready (p. 735), EMO (p. 533), CLNV (p. 3809) after an uptick
RULE_TABLE = [
    # below the bid: seller by quote; EMO and CLNV turn to the tick rule outside the spread
    (990_000_000, {"lee_ready": -1, "emo": 1, "clnv": 1}),
    (1_000_000_000, {"lee_ready": -1, "emo": -1, "clnv": -1}),
    (1_030_000_000, {"lee_ready": -1, "emo": 1, "clnv": -1}),
    (1_040_000_000, {"lee_ready": -1, "emo": 1, "clnv": 1}),
    (1_050_000_000, {"lee_ready": 1, "emo": 1, "clnv": 1}),
    (1_060_000_000, {"lee_ready": 1, "emo": 1, "clnv": 1}),
    (1_070_000_000, {"lee_ready": 1, "emo": 1, "clnv": 1}),
    (1_100_000_000, {"lee_ready": 1, "emo": 1, "clnv": 1}),
    (1_110_000_000, {"lee_ready": 1, "emo": 1, "clnv": 1}),
]


def signs(px, *, high=None, bid=BID, ask=ASK, aggressor=0, rule="lee_ready", instrument=None):
    """Sign prices of one instrument against one quote."""
    px = np.asarray(px, np.int64)
    return sign_prints(
        instrument=np.zeros(px.size, np.int32) if instrument is None else np.asarray(instrument),
        low_e9=px,
        high_e9=px if high is None else np.asarray(high, np.int64),
        bid_e9=np.full(px.size, bid, np.int64),
        ask_e9=np.full(px.size, ask, np.int64),
        aggressor=np.full(px.size, aggressor, np.int8),
        rule=rule,
    )


@pytest.mark.parametrize("rule", sorted(RULES))
@pytest.mark.parametrize("row", RULE_TABLE, ids=lambda r: f"{r[0] / 1e9:.2f}")
def test_a_price_after_an_uptick_is_signed_as_the_paper_says(row, rule):
    px, printed = row
    assert signs([px - 50_000_000, px], rule=rule).sign[1] == printed[rule]


@pytest.mark.parametrize("rule", sorted(RULES))
def test_buyers_and_sellers_are_mirror_images(rule):
    """Reflect prices in the mid: every sign must flip."""
    rng = np.random.default_rng(3)
    px = rng.integers(98, 113, 400) * 10_000_000
    mirrored = (BID + ASK) - px
    assert np.array_equal(signs(px, rule=rule).sign, -signs(mirrored, rule=rule).sign)


def test_tick_rule_looks_back_to_the_last_different_price_of_the_same_series():
    """Lee-Ready's zero-uptick and zero-downtick; another series in between changes nothing."""
    px = np.array([100, 500, 101, 101, 400, 101, 99, 99, 400])
    series = np.array([0, 1, 0, 0, 1, 0, 0, 0, 1])
    assert tick_signs(series, px).tolist() == [0, 0, 1, 1, -1, 1, -1, -1, -1]


def test_a_given_aggressor_wins_over_every_rule():
    out = signs([BID, ASK], aggressor=1)
    assert out.sign.tolist() == [1, 1]
    assert out.method.tolist() == [Method.GIVEN, Method.GIVEN]


def test_a_bar_is_signed_only_if_all_its_prices_agree():
    low = [1_000_000_000, 1_060_000_000, 1_000_000_000, 1_050_000_000]
    high = [1_040_000_000, 1_100_000_000, 1_100_000_000, 1_060_000_000]
    out = signs(low, high=high)
    assert out.sign.tolist() == [-1, 1, 0, 0]
    assert out.method.tolist() == [Method.QUOTE, Method.QUOTE, Method.NONE, Method.NONE]


@pytest.mark.parametrize(("bid", "ask"), [(0, ASK), (BID, 0), (ASK, BID)])
def test_a_one_sided_or_crossed_quote_signs_nothing(bid, ask):
    assert signs([BID, ASK], bid=bid, ask=ask).sign.tolist() == [0, 0]


def test_no_prints_give_no_signs():
    assert signs([]).sign.size == 0
