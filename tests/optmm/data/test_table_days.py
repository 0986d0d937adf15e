"""A trade date out of a table: the events are those the file was written from."""

import dataclasses

import numpy as np
import pytest
import vendor_files as made

from optmm.data import table_days
from optmm.data.readers import open_day, reader_for
from optmm.errors import DataError, UsageError
from optmm.market.events import Bits, Kind

MARKET, LATER = made.market(), made.market(503.1)
TEN, QUARTER = "2024-03-12 10:00:00", "2024-03-12 10:15:00"
E9 = 10**9


@pytest.fixture
def put(tmp_path):
    def write(text: str, name: str = "quotes.csv"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


def shown(day, ns: int) -> dict:
    """Quotes in force at `ns`, keyed as the market that was written."""
    out = {}
    for e in day.events[(day.events["kind"] == Kind.QUOTE) & (day.events["ts_event_ns"] <= ns)]:
        i = e["instrument"]
        key = (day.chain.expiry[i].item(), float(day.chain.strike[i]), int(day.chain.right[i]))
        out[key] = (e["bid_e9"] / 1e9, e["ask_e9"] / 1e9, int(e["bid_lots"]), int(e["ask_lots"]))
    return out


def seen(market: dict) -> dict:
    """The market as a tape shows it: no size where there is no price."""
    return {
        key: (bid, ask, bids if bid else 0, asks if ask else 0)
        for key, (bid, ask, bids, asks) in market.items()
    }


def test_intervals_become_quotes_bars_and_prices_of_the_underlying(put):
    key = (made.EXPIRIES[0], 500.0, 1)
    text = made.datashop_intervals({TEN: MARKET, QUARTER: LATER}, traded={key: (5.0, 5.25, 17)})
    day = open_day(put(text))
    ten, quarter = (made.at("2024-03-12", t) * E9 for t in ("10:00", "10:15"))
    assert shown(day, ten) == seen(MARKET)
    assert shown(day, quarter) == seen(LATER)
    assert day.bar_ns == 15 * 60 * E9
    (bar,) = day.events[day.events["kind"] == Kind.BAR]
    assert (bar["bid_e9"], bar["ask_e9"], bar["bid_lots"]) == (5 * E9, 525 * E9 // 100, 17)
    assert (bar["ts_event_ns"], day.chain.strike[bar["instrument"]]) == (quarter, 500.0)
    spots = day.events[day.events["kind"] == Kind.UNDERLYING_QUOTE]
    assert spots["ts_event_ns"].tolist() == [ten, quarter]
    assert spots["bid_e9"].tolist() == [502_290_000_000] * 2
    assert set(spots["instrument"]) == {len(day.chain)}
    assert day.quality.quarantined == {}
    status = day.events[day.events["kind"] == Kind.STATUS]
    assert status["bits"].tolist() == [Bits.OPEN, Bits.CLOSE]
    assert (np.diff(day.events["ts_event_ns"]) >= 0).all()
    assert day.sources == (("quotes.csv", table_days.sha256(put(text))),)


def test_chunks_do_not_change_a_day(put, monkeypatch):
    path = put(made.datashop_intervals({TEN: MARKET, QUARTER: LATER}))
    whole = open_day(path)
    monkeypatch.setattr("optmm.data.streams.blocks.__defaults__", (777,))
    parts = open_day(path)
    assert parts.events.tobytes() == whole.events.tobytes()
    assert dataclasses.astuple(parts.quality) == dataclasses.astuple(whole.quality)


def test_dates_and_underlyings_are_listed_and_must_be_named(put):
    text = "".join(
        made.datashop_intervals({f"2024-03-{d} 10:00:00": MARKET}, symbol=s, root=s, heading=head)
        for d, s, head in ((11, "SPY", True), (12, "SPY", False), (12, "QQQ", False))
    )
    path = put(text)
    days = {s.underlying: s.dates for s in reader_for(path).days(path)}
    assert days == {"QQQ": ("2024-03-12",), "SPY": ("2024-03-11", "2024-03-12")}
    with pytest.raises(UsageError, match="3 days fit"):
        open_day(path)
    assert open_day(path, "QQQ").session.date == "2024-03-12"
    day = open_day(path, "spy", "2024-03-11")
    assert (day.quality.rows, set(day.chain.root)) == (len(MARKET), {"SPY"})
    with pytest.raises(DataError, match="IWM"):
        open_day(path, "IWM")


def test_a_tape_of_massive_is_put_in_order_of_time(put):
    """Its files are sorted by ticker first."""
    start = made.at("2024-03-12", "10:00") * E9
    rows = []
    for i, (key, quote) in enumerate(MARKET.items()):
        ticker = "O:" + made.osi("SPY", key)
        rows += [(ticker, start + i, (0.0, 0.0, 0, 0)), (ticker, start + 1000 - i, quote)]
    day = open_day(put(made.massive(rows)))
    assert shown(day, start + 2000) == seen(MARKET)
    assert (np.diff(day.events["ts_event_ns"]) >= 0).all()
    assert (day.bar_ns, day.quality.quarantined, day.quality.rows) == (0, {}, len(rows))
    assert any("parity" in note for note in day.quality.notes)


def test_what_a_trading_day_cannot_use_is_counted(put):
    start = made.at("2024-03-12", "10:00") * E9
    spy, good = "O:SPY240315C00500000", (5.0, 5.1, 1, 2)
    rows = [
        (spy, start, good),
        (spy, start - 3600 * E9, good),  # before the open, and an hour late in its file
        ("O:SPY1240315C00500000", start, good),
        ("O:SPY24031XC00500000", start, good),
        (spy, start + E9, (5.2, 5.1, 1, 2)),
        (spy, start + E9, (-5.2, 5.1, 1, 2)),
        (spy, start + E9, (5.0, 5.1, 1, -2)),
        (spy, start, good),
        ("O:QQQ240315C00430000", start, good),
    ]
    day = open_day(put(made.massive(rows)), "SPY")
    assert day.quality.quarantined == {
        "adjusted root": 1, "crossed quote": 1, "duplicate": 1, "negative price or size": 2,
        "outside the session": 1, "unknown symbol": 1,
    }  # fmt: skip
    assert (day.events["kind"] == Kind.QUOTE).sum() == 1


def test_expired_series_and_closed_days_have_no_quotes(put):
    """At 16:15 a PM index series is gone; on a Sunday there is no session."""
    text = made.datashop_eod(MARKET, LATER, symbol="^SPX", root="SPXW", date="2024-03-15")
    day = open_day(put(text))
    gone = sum(key[0] == made.EXPIRIES[0] for key in MARKET)
    assert day.quality.quarantined == {"after the last trade of its series": gone}
    sunday = put(made.datashop_intervals({"2024-03-10 10:00:00": MARKET}), "sunday.csv")
    with pytest.raises(DataError, match="no session on 2024-03-10"):
        open_day(sunday)


def test_sizes_that_are_not_given_are_one_contract_and_said(put):
    text = made.optionsdx(MARKET).replace(" x ", " ")
    day = open_day(put(text, "spy_eod_202403.txt"))
    quotes = day.events[day.events["kind"] == Kind.QUOTE]
    assert set(quotes["ask_lots"]) == {1}
    assert any("sizes are not given" in note for note in day.quality.notes)


def test_a_root_answers_for_its_underlying(put):
    path = put(made.datashop_intervals({TEN: MARKET}, symbol="^SPX", root="SPXW"))
    for name in ("SPX", "spxw"):
        day = open_day(path, name, "2024-03-12")
        assert (day.chain.underlying.symbol, set(day.chain.root)) == ("SPX", {"SPXW"})
        assert not day.chain.american.any()
