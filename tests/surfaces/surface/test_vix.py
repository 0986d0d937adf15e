"""The VIX rule against Cboe's worked example, strike by strike, and its edges."""

import csv
from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from surfaces import vix
from surfaces.errors import InvalidInput
from surfaces.pricing import black

NEW_YORK = ZoneInfo("America/New_York")
TERMS = {"near": (34_484.0, 0.00031664), "next": (44_954.0, 0.00028797)}
PRINTED = {  # forward, strip sum, variance, ends of the strip
    "near": (1962.89996, 0.0006320516, 0.019233906, 1370.0, 2125.0),
    "next": (1962.40006, 0.0008314016, 0.019423884, 1275.0, 2200.0),
}


@pytest.fixture(scope="module")
def example(tables):
    """The printed quotes, and the strikes of the printed strips."""
    with (tables / "vix_cboe_example.csv").open() as file:
        rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
    quotes, used = {}, {}
    for term, (minutes, rate) in TERMS.items():
        mine = [r for r in rows if r["term"] == term]
        strikes = np.unique([float(r["strike"]) for r in mine])
        sides = {f"{w}_{x}": np.full(strikes.size, np.nan) for w in ("call", "put")
                 for x in ("bid", "ask")}  # fmt: skip
        for r in mine:
            at = np.searchsorted(strikes, float(r["strike"]))
            for x in ("bid", "ask"):
                sides[f"{r['right']}_{x}"][at] = float(r[x]) if r[x] else np.nan
        quotes[term] = vix.VixQuotes(strike=strikes, **sides, minutes=minutes, rate=rate)
        used[term] = np.unique([float(r["strike"]) for r in mine if r["used"] == "yes"])
    return quotes, used


@pytest.mark.parametrize("term", ["near", "next"])
def test_cboes_example_term_by_term(example, term):
    """To the digits printed; the variance line to 1e-8, as its parts are printed rounded."""
    quotes, used = example
    got = vix.term_variance(quotes[term])
    forward, total, variance, low, high = PRINTED[term]
    assert got.forward == pytest.approx(forward, abs=5e-6)
    assert got.k0 == 1960.0
    assert got.forward_strike == {"near": 1965.0, "next": 1960.0}[term]
    np.testing.assert_array_equal(got.strike, used[term])
    assert (got.strike[0], got.strike[-1]) == (low, high)
    assert got.contribution.sum() == pytest.approx(total, abs=5e-11)
    assert got.variance == pytest.approx(variance, abs=1e-8)


def test_cboes_example_spacings_skip_what_has_no_bid(example):
    """1405, 1415 and 2120 have no bid: their neighbours' spacing spans them."""
    near, after = (vix.term_variance(example[0][t]) for t in ("near", "next"))
    for term, printed in (
        (near, {1400: 7.5, 1410: 10.0, 1420: 7.5, 2100: 15.0, 2125: 25.0}),
        (after, {1275: 50.0, 1325: 37.5, 2200: 50.0}),
    ):
        for strike, spacing in printed.items():
            assert term.delta_k[term.strike == strike] == spacing
    # Appendix 3: the near 1370 put contributes 0.0000005328
    assert near.contribution[0] == pytest.approx(5.328e-7, abs=5e-11)


def test_cboes_example_index(example):
    quotes, _ = example
    got = vix.vix_index(quotes["near"], quotes["next"])
    assert got.index == pytest.approx(13.93, abs=5e-3)
    assert got.index == pytest.approx(13.927842, abs=5e-6)
    assert sum(got.weights) == pytest.approx(1.0)


def board(minutes, *, vol=0.2, forward=4000.0, step=5.0, rate=0.03):
    """Black's prices at every strike, no spread."""
    strike = np.arange(1000.0, 8000.0, step)
    years = minutes / vix.YEAR_MINUTES
    call, put = (
        black.price(
            right=w, forward=forward, strike=strike, years=years, vol=vol, df=np.exp(-rate * years)
        )
        for w in (1, -1)
    )
    return vix.VixQuotes(strike, call, call, put, put, minutes, rate)


def test_a_flat_vol_is_its_own_index():
    """Dense strikes: the sum is a trapezoid of the log contract, off by (dK/K)^2 / (12 vol^2 T)."""
    got = vix.vix_index(board(35_000.0), board(45_000.0))
    error = (5.0 / 4000.0) ** 2 / (12.0 * 0.04 * 35_000.0 / vix.YEAR_MINUTES)
    assert got.index == pytest.approx(20.0, rel=error)


def test_two_bids_missing_stop_the_walk_and_one_does_not():
    quotes = board(35_000.0)
    at = int(np.searchsorted(quotes.strike, 3500.0))
    one, two = quotes.put_bid.copy(), quotes.put_bid.copy()
    one[at], two[at], two[at - 1] = 0.0, 0.0, np.nan
    whole, hole, cut = (
        vix.term_variance(replace(quotes, put_bid=bid)) for bid in (quotes.put_bid, one, two)
    )
    assert hole.strike.size == whole.strike.size - 1
    assert hole.delta_k[hole.strike == 3505.0] == 7.5
    assert cut.strike[0] == 3505.0


def test_terms_on_one_side_are_extrapolated_and_misuse_is_refused():
    both = vix.vix_index(board(10_000.0), board(20_000.0))
    assert both.index == pytest.approx(20.0, rel=2e-3)
    assert both.weights[0] < 0.0
    with pytest.raises(InvalidInput, match=r"near settles in 45000 minutes and next in 35000"):
        vix.vix_index(board(45_000.0), board(35_000.0))
    none = board(35_000.0)
    with pytest.raises(InvalidInput, match="no strike has a bid on its call and on its put"):
        vix.term_variance(replace(none, call_bid=np.zeros(none.strike.size)))
    with pytest.raises(InvalidInput, match="rising strikes"):
        vix.term_variance(replace(none, strike=none.strike[::-1]))


def ns(*when):
    return int(datetime(*when, tzinfo=NEW_YORK).timestamp()) * 10**9


def test_terms_are_the_last_days_of_their_weeks():
    """May 2023, daily expiries: from Friday the 26th the weeks of June 23 and June 30."""
    days = [(6, d) for d in (12, 14, 15, 16, 20, 21, 22, 23, 26, 27, 28, 29, 30)] + [(7, 3), (7, 7)]
    fixing = [ns(2023, m, d, 16) for m, d in days]
    near, after = vix.pick_terms(fixing, ns(2023, 5, 26, 16))
    assert (days[near], days[after]) == ((6, 23), (6, 30))


def test_the_monthly_is_its_morning_settlement():
    """June 16, 2023: SPX settles at 9:30, SPXW at 16:00; the rule takes the standard option."""
    fixing = [ns(2023, 6, 16, 16), ns(2023, 6, 16, 9, 30), ns(2023, 6, 23, 16)]
    assert vix.pick_terms(fixing, ns(2023, 5, 23, 16)) == (1, 2)
    assert vix.minutes_between(ns(2023, 5, 23, 16), fixing[1]) == 24 * 1440 - 390


def test_a_day_is_1440_minutes_when_clocks_change():
    """March 12, 2023: an hour less by the sun, none by the rule."""
    assert vix.minutes_between(ns(2023, 3, 10, 16), ns(2023, 3, 13, 16)) == 3 * 1440


def test_a_chain_without_both_terms_is_refused():
    with pytest.raises(InvalidInput, match=r"days ahead are at \[28\] days, must be on both sides"):
        vix.pick_terms([ns(2023, 6, 23, 16)], ns(2023, 5, 26, 16))


def test_a_frame_gives_the_index_of_its_terms():
    now, rows = ns(2023, 5, 26, 16), []
    for when in ((2023, 6, 23, 16), (2023, 6, 30, 16), (2023, 7, 21, 16)):
        table = board(vix.minutes_between(now, ns(*when)))
        for j, k in enumerate(table.strike):
            rows.append((ns(*when), k, "c", table.call_bid[j], table.call_ask[j]))
            rows.append((ns(*when), k, "p", table.put_bid[j], table.put_ask[j]))
    names = ("expiry", "strike", "right", "bid", "ask")
    frame = dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
    got = vix.vix_of_chain(frame, now, rate=lambda years: 0.03)
    assert got.index == pytest.approx(20.0, rel=1e-3)
    assert (got.near.minutes, got.next.minutes) == (28 * 1440, 35 * 1440)
    assert got.near.forward == pytest.approx(4000.0, rel=1e-12)


@pytest.mark.parametrize("side", ["call_bid", "put_bid"])
@pytest.mark.parametrize("none", [0.0, np.nan])
def test_no_bid_at_the_forward_is_refused_in_either_spelling(side, none):
    """A zero used to halve the middle at K0 (vol .1926 for .2022); a NaN raised."""
    quotes = board(35_000.0, forward=4002.0)  # K0 is 4000; the pair next to it is as close
    bids = getattr(quotes, side).copy()
    bids[quotes.strike == 4000.0] = none
    with pytest.raises(InvalidInput, match="strike 4000 at the forward lacks a bid or an ask"):
        vix.term_variance(replace(quotes, **{side: bids}))


def test_a_side_without_bids_is_named():
    quotes = board(35_000.0)
    bids = np.where(quotes.strike > 4000.0, 0.0, quotes.call_bid)
    with pytest.raises(InvalidInput, match="no call with a bid beyond strike 4000"):
        vix.term_variance(replace(quotes, call_bid=bids))
    bids = np.where(quotes.strike < 4000.0, 0.0, quotes.put_bid)
    with pytest.raises(InvalidInput, match="no put with a bid beyond strike 4000"):
        vix.term_variance(replace(quotes, put_bid=bids))


def test_crossed_quotes_are_refused_by_strike():
    """An ask five below its bid used to give a variance of -.0429 and no error."""
    quotes = board(35_000.0)
    with pytest.raises(InvalidInput, match=r"call_ask\[0\] is .* below its bid .* 1000 \("):
        vix.term_variance(replace(quotes, call_ask=quotes.call_bid - 5.0))
    at = int(np.searchsorted(quotes.strike, 4100.0))
    asks = quotes.put_ask.copy()
    asks[at] -= 0.01
    words = rf"put_ask\[{at}\] .* at strike 4100 \(1 of 1400 fail\).*NaN to leave them out"
    with pytest.raises(InvalidInput, match=words):
        vix.term_variance(replace(quotes, put_ask=asks))


def test_a_negative_variance_is_refused():
    """Forward 190 and K0 100: 2 (75/100^2) 45.01 = .675 < .9^2; it used to come back."""
    call, put = np.array([200.0, 90.01, 0.01]), np.array([0.01, 0.01, 200.0])
    quotes = vix.VixQuotes(
        np.array([50.0, 100.0, 200.0]), call, call, put, put, minutes=40_000.0, rate=0.0
    )
    with pytest.raises(InvalidInput, match=r"variance is -.*the forward 190 and strike 100"):
        vix.term_variance(quotes)


def test_terms_lie_strictly_between_23_and_37_days():
    """From a Monday: the weekly expiries at 23, 30 and 37 days leave only the one at 30."""
    now = ns(2023, 5, 22, 16)

    def ahead(*days):
        return [now + day * 86_400 * 10**9 for day in days]

    with pytest.raises(InvalidInput, match=r"are at \[30\] days"):
        vix.pick_terms(ahead(23, 30, 37), now)
    assert vix.pick_terms(ahead(24, 31, 38), now) == (0, 1)
    assert vix.pick_terms(ahead(22, 29, 36), now) == (1, 2)
    assert vix.pick_terms(ahead(30, 36), now) == (0, 1)  # thirty days are near


def test_a_rate_that_is_no_number_is_named():
    """It used to escape as float's ValueError."""
    now = ns(2023, 5, 26, 16)
    rows = [(ns(2023, 6, d, 16), 100.0, w, 1.0, 1.1) for d in (23, 30) for w in "cp"]
    names = ("expiry", "strike", "right", "bid", "ask")
    frame = dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
    for rate in ("x", None, lambda years: "x"):
        with pytest.raises(InvalidInput, match="rate is"):
            vix.vix_of_chain(frame, now, rate=rate)
