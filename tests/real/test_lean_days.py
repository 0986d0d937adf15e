"""The LEAN reader on the real days: the counts of the data's own README, and put-call parity.

Parity is the referee of clocks and scales: were either wrong for a class, the forward implied by
its options would not follow an underlying that is read from another file.
"""

import time

import numpy as np
import pytest

from optmm.data import lean, store
from optmm.data.readers import open_day
from optmm.market.events import Kind

pytestmark = pytest.mark.real
MINUTE_NS = 60_000_000_000

# From the README of the data: contracts quoted, expiries, quote rows, print bars, contracts traded.
COUNTS = [
    ("GOOG", "2015-12-24", 2192, 12, 275_552, 958, 7_471),
    ("GOOG", "2015-12-23", 118, 1, 28_932, 581, 3_861),
    ("TWX", "2014-06-05", 184, 5, 30_468, 79, 5_250),
    ("SPXW", "2021-01-04", 12, 3, 4_565, 1_918, 64_585),
    ("SPXW", "2021-01-05", 8, 2, 3_239, 1_096, 23_987),
    ("SPXW", "2021-01-06", 16, 4, 6_305, 1_842, 60_196),
    ("SPX", "2021-01-04", 6, 1, 2_428, 348, None),
]


@pytest.fixture(scope="module")
def days(shared_data):
    """Each day once."""
    read = {}

    def day(underlying, date):
        key = (underlying, date)
        if key not in read:
            read[key] = lean.load(shared_data / "lean", underlying, date)
        return read[key]

    return day


def kept(day, kind):
    return day.events[day.events["kind"] == kind]


@pytest.mark.parametrize(
    ("underlying", "date", "contracts", "expiries", "quotes", "bars", "lots"), COUNTS
)
def test_counts_are_those_of_the_readme(
    days, underlying, date, contracts, expiries, quotes, bars, lots
):
    day = days(underlying, date)
    aside = {
        reason: n
        for reason, n in day.quality.quarantined.items()
        if not reason.startswith("underlying")
    }
    own_rows = len(kept(day, Kind.QUOTE)) + len(kept(day, Kind.BAR)) + sum(aside.values())
    assert (len(day.chain), len(np.unique(day.chain.expiry))) == (contracts, expiries)
    assert own_rows == quotes + bars
    late = bars - len(kept(day, Kind.BAR))  # one SPXW print of 16:16 on 01-05
    assert late == (1 if date == "2021-01-05" else 0)
    if lots is not None and not late:
        assert kept(day, Kind.BAR)["bid_lots"].sum() == lots
    everything = np.isin(day.events["kind"], [Kind.STATUS, Kind.TIMER], invert=True).sum()
    assert everything + sum(day.quality.quarantined.values()) == day.quality.rows


@pytest.mark.parametrize(
    ("underlying", "date", "share"),
    [
        ("GOOG", "2015-12-24", 0.84),
        ("ES", "2020-01-06", 0.93),
        ("SPXW", "2021-01-04", 1.00),
        ("SPX", "2021-01-04", 0.83),
    ],
)
def test_two_sided_share_is_that_of_the_readme(days, underlying, date, share):
    """Its README counts contract-minutes with rows; ours counts time from the open: to 1 %."""
    assert days(underlying, date).quality.two_sided_share == pytest.approx(share, abs=0.01)


@pytest.mark.parametrize(
    ("underlying", "date"), [(c[0], c[1]) for c in COUNTS] + [("ES", "2020-01-06")]
)
def test_events_are_exact_in_order_and_inside_the_session(days, underlying, date):
    day = days(underlying, date)
    events, session = day.events, day.session
    assert (np.diff(events["ts_event_ns"]) >= 0).all()
    assert events["ts_event_ns"][0] == session.open_ns
    assert events["ts_event_ns"][-1] == session.close_ns
    assert (events["bid_e9"] >= 0).all() and (events["ask_e9"] >= 0).all()
    assert not any("off the tick grid" in note for note in day.quality.notes)
    quotes = kept(day, Kind.QUOTE)
    assert (quotes["ts_event_ns"] <= day.chain.last_trade_ns[quotes["instrument"]]).all()


def mids(day, instant_ns):
    """Mid of every option in force at an instant, USD; NaN unless two-sided."""
    quotes = kept(day, Kind.QUOTE)
    seen = quotes[quotes["ts_event_ns"] <= instant_ns]
    mid = np.full(len(day.chain), np.nan)
    last = np.zeros(len(day.chain), np.int64) - 1
    last[seen["instrument"]] = np.arange(seen.size)
    rows = seen[last[last >= 0]]
    both = (rows["bid_e9"] > 0) & (rows["ask_e9"] > 0)
    mid[rows["instrument"]] = np.where(both, (rows["bid_e9"] + rows["ask_e9"]) / 2e9, np.nan)
    return mid


def parity_forward(day, instant_ns, j, df, spot, width):
    """Median of K + (C - P)/df over the strikes of slice j within `width` of spot."""
    mid, rows = mids(day, instant_ns), day.chain.rows(j)
    strike, right, price = day.chain.strike[rows], day.chain.right[rows], mid[rows]
    found = [
        k + (price[(strike == k) & (right == 1)] - price[(strike == k) & (right == -1)]) / df
        for k in np.unique(strike)
        if abs(k - spot) < width and ((strike == k).sum() == 2)
    ]
    return float(np.nanmedian(np.concatenate(found)))


def last_underlying(day, kind, instant_ns):
    events = kept(day, kind)
    row = events[events["ts_event_ns"] <= instant_ns][-1]
    return (row["bid_e9"] + row["ask_e9"]) / 2e9


def test_es_chain_and_its_parity_forward_follow_the_future(days):
    """README: hourly parity forward within 0.18 point of the future's mid, df 0.9969."""
    day = days("ES", "2020-01-06")
    quoted = np.unique(kept(day, Kind.QUOTE)["instrument"])
    assert quoted.size == 104
    strike, right = day.chain.strike[quoted], day.chain.right[quoted]
    assert ((right == 1).sum(), (right == -1).sum()) == (60, 44)
    assert (strike[right == -1].min(), strike[right == -1].max()) == (3000, 3390)
    assert day.session.close_ns - day.session.open_ns == 23 * 60 * MINUTE_NS
    gaps = []
    for hour in range(2, 23):
        t = day.session.open_ns + hour * 60 * MINUTE_NS
        future = last_underlying(day, Kind.UNDERLYING_QUOTE, t)
        gaps.append(parity_forward(day, t, 0, 0.9969, future, 260.0) - future)
    assert np.abs(gaps).max() < 0.3, gaps
    assert abs(np.median(gaps)) < 0.1, gaps


def test_spxw_parity_forward_follows_the_index_only_with_its_clock(days):
    """README: 0.0 +- 0.43 points once the index clock is Chicago's; an hour off is visible."""
    day = days("SPXW", "2021-01-04")
    times = day.session.open_ns + np.arange(5, 300, 5) * MINUTE_NS
    level = {t: last_underlying(day, Kind.UNDERLYING_TRADE, t) for t in times}
    forward = {t: parity_forward(day, t, 0, 1.0, level[t], 120.0) for t in times}
    gaps = np.array([forward[t] - level[t] for t in times])
    assert abs(gaps.mean()) < 0.2 and gaps.std() < 0.6, (gaps.mean(), gaps.std())
    hour = 60 * MINUTE_NS
    shifted = np.array([forward[t] - level[t + hour] for t in times if t + hour in level])
    assert shifted.std() > 5 * gaps.std()


def test_goog_parity_forward_is_the_stock(days):
    """README: near expiries F/S - 1 below 0.06 %; spreads are 0.4 % of spot, so over the day."""
    day = days("GOOG", "2015-12-24")
    for j in (0, 1):
        gaps = []
        for minutes in range(15, 210, 15):
            t = day.session.open_ns + minutes * MINUTE_NS
            stock = last_underlying(day, Kind.UNDERLYING_QUOTE, t)
            gaps.append(parity_forward(day, t, j, 1.0, stock, 20.0) / stock - 1)
        assert abs(np.median(gaps)) < 6e-4, gaps


def test_monthly_expiries_of_2014_are_dated_saturday_and_end_on_friday(days):
    chain = days("TWX", "2014-06-05").chain
    weekday = (chain.expiry.astype(np.int64) + 3) % 7  # Monday 0
    assert set(weekday.tolist()) == {5, 4}  # January 2016 is already a Friday
    fixing = chain.fixing_ns.astype("datetime64[ns]").astype("datetime64[D]")
    assert set(((fixing.astype(np.int64) + 3) % 7).tolist()) == {4}


def test_the_whole_goog_chain_loads_within_three_seconds(days, shared_data):
    days("GOOG", "2015-12-24")  # warm: libraries and calendar
    start = time.process_time()
    lean.load(shared_data / "lean", "GOOG", "2015-12-24")
    assert time.process_time() - start < 3.0


def test_a_real_day_survives_storage(days, tmp_path):
    day = days("GOOG", "2015-12-24")
    back = open_day(store.write(day, tmp_path / "goog"), "GOOG", "2015-12-24")
    assert back.events.tobytes() == day.events.tobytes()
    assert back.chain.symbol == day.chain.symbol
    assert back.open_interest.tobytes() == day.open_interest.tobytes()
    assert back.quality == day.quality
