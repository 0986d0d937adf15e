"""The LEAN reader on folders of a few rows whose answer can be written by hand."""

from pathlib import Path

import numpy as np
import pytest

from optmm.data import lean
from optmm.errors import DataError, UsageError
from optmm.market.events import Bits, Kind

CALL_760 = "call_7600000_20151231"


def ns(utc: str) -> int:
    return int(np.datetime64(utc, "ns").astype(np.int64))


def rows(day, kind):
    events = day.events[day.events["kind"] == kind]
    return [
        tuple(int(v) for v in e)
        for e in events[["instrument", "bid_e9", "ask_e9", "bid_lots", "ask_lots"]]
    ]


def stamps(day, kind):
    return day.events["ts_event_ns"][day.events["kind"] == kind].tolist()


def quote(ms: int, bid: str = "", bid_size: int = 0, ask: str = "", ask_size: int = 0) -> str:
    """One row of a quote bar whose four prices agree."""
    return ",".join([str(ms), *[bid] * 4, str(bid_size), *[ask] * 4, str(ask_size)]) + "\n"


OPEN = 34_200_000  # 09:30 in ms
MINUTE = 60_000


def test_a_blank_side_carries_the_last_price_and_size(tmp_path, goog):
    goog(
        quote(OPEN, ask="21500", ask_size=19)
        + quote(OPEN + MINUTE, bid="20000", bid_size=7)
        + quote(OPEN + 2 * MINUTE, ask="21000", ask_size=3)
    )
    day = lean.load(tmp_path, "goog", "2015-12-24")
    assert rows(day, Kind.QUOTE) == [
        (0, 0, 2_150_000_000, 0, 19),
        (0, 2_000_000_000, 2_150_000_000, 7, 19),
        (0, 2_000_000_000, 2_100_000_000, 7, 3),
    ]


def test_nothing_is_carried_from_one_series_to_the_next(tmp_path, goog):
    both = quote(OPEN, "20000", 7, "21500", 19)
    goog(both, **{CALL_760: quote(OPEN, ask="15000", ask_size=2)})
    day = lean.load(tmp_path, "GOOG", "2015-12-24")
    assert [s[-9:] for s in day.chain.symbol] == ["C00750000", "C00760000"]
    assert rows(day, Kind.QUOTE)[1] == (1, 0, 1_500_000_000, 0, 2)


def test_a_bar_is_known_at_its_end_and_the_session_is_framed(tmp_path, goog):
    goog(
        quote(OPEN, "20000", 7, "21500", 19), prints=f"{OPEN + MINUTE},21000,21500,20500,21000,4\n"
    )
    day = lean.load(tmp_path, "goog", "20151224")
    assert stamps(day, Kind.QUOTE) == [ns("2015-12-24T14:31")]
    assert stamps(day, Kind.BAR) == [ns("2015-12-24T14:32")]
    assert rows(day, Kind.BAR) == [(0, 2_050_000_000, 2_150_000_000, 4, 0)]
    assert stamps(day, Kind.STATUS) == [ns("2015-12-24T14:30"), ns("2015-12-24T18:00")]
    status = day.events[day.events["kind"] == Kind.STATUS]
    assert status["bits"].tolist() == [Bits.OPEN, Bits.CLOSE]
    assert status["instrument"].tolist() == [1, 1]
    assert day.events["seq"].tolist() == list(range(len(day.events)))
    assert (day.events["ts_recv_ns"] == day.events["ts_event_ns"]).all()


@pytest.mark.parametrize(("stamp", "utc"), [("20150306", "T14:31"), ("20150309", "T13:31")])
def test_new_york_clock_follows_summer_time(tmp_path, add, stamp, utc):
    """Clocks went forward on Sunday 2015-03-08."""
    add(
        f"option/usa/minute/goog/{stamp}_quote_american.zip",
        {
            f"{stamp}_goog_minute_quote_american_call_7500000_20150320.csv": quote(
                OPEN, "1", 1, "2", 1
            )
        },
    )
    date = f"{stamp[:4]}-{stamp[4:6]}-{stamp[6:]}"
    assert stamps(lean.load(tmp_path, "goog", date), Kind.QUOTE) == [ns(date + utc)]


def test_equity_underlying_keeps_the_bar_that_ends_at_the_close(tmp_path, goog, add):
    goog(quote(OPEN, "20000", 7, "21500", 19))
    last = OPEN + 209 * MINUTE  # 12:59
    add(
        "equity/usa/minute/goog/20151224_quote.zip",
        {
            "20151224_goog_minute_quote.csv": quote(OPEN - MINUTE, "7460000", 1, "7500000", 1)
            + quote(last, "7481000", 100, "7483000", 200)
            + quote(last + MINUTE, "7470000", 1, "7490000", 1)
        },
    )
    add(
        "equity/usa/minute/goog/20151224_trade.zip",
        {"20151224_goog_minute_trade.csv": f"{last},7480000,7490000,7470000,7482500,900\n"},
    )
    day = lean.load(tmp_path, "goog", "2015-12-24")
    assert rows(day, Kind.UNDERLYING_QUOTE) == [(1, 748_100_000_000, 748_300_000_000, 100, 200)]
    assert rows(day, Kind.UNDERLYING_TRADE) == [(1, 748_250_000_000, 748_250_000_000, 900, 0)]
    assert stamps(day, Kind.UNDERLYING_TRADE) == [day.session.close_ns]
    assert day.quality.quarantined == {"underlying outside the session": 2}
    assert (day.chain.underlying.kind, day.chain.underlying.tradable) == ("equity", True)


def test_index_is_decimal_on_the_chicago_clock_and_cannot_be_traded(tmp_path, add):
    folder, member = (
        "indexoption/usa/minute/spxw",
        "20210104_spxw_minute_{}_european_{}_37000000_{}.csv",
    )
    add(
        f"{folder}/20210104_quote_european.zip",
        {
            member.format("quote", "call", "20210104"): quote(57_540_000, "5000", 1, "13500", 1)
            + quote(57_600_000, "1000", 1, "2000", 1),
            member.format("quote", "put", "20210108"): quote(58_440_000, "500000", 1, "505000", 1)
            + quote(58_500_000, "500000", 1, "505000", 1),
        },
    )
    add(
        f"{folder}/20210104_trade_european.zip.zip",
        {member.format("trade", "call", "20210104"): f"{OPEN},61000,61000,60500,61000,4\n"},
    )
    add(
        "index/usa/minute/spx/20210104_trade.zip",
        {"20210104_spx_minute_trade.csv": "30600000,3764.61,3769.99,3764.61,3766.63,59\n"},
    )
    day = lean.load(tmp_path, "SPXW", "2021-01-04")
    assert stamps(day, Kind.UNDERLYING_TRADE) == [ns("2021-01-04T14:31")]
    assert rows(day, Kind.UNDERLYING_TRADE) == [(2, 3_766_630_000_000, 3_766_630_000_000, 59, 0)]
    assert rows(day, Kind.BAR) == [(0, 6_050_000_000, 6_100_000_000, 4, 0)]
    # An expiring series stops at 16:00, the others at 16:15.
    assert stamps(day, Kind.QUOTE) == [ns("2021-01-04T21:00"), ns("2021-01-04T21:15")]
    assert day.quality.quarantined == {
        "after the last trade of its series": 1,
        "outside the session": 1,
    }
    assert (day.chain.underlying.symbol, day.chain.underlying.tradable) == ("SPX", False)
    assert day.quality.notes == ("SPX has trades but no quotes",)


def es_tree(add) -> None:
    """A 23 h session over two UTC files; strikes x 10000, prices decimal, two contract months."""
    for stamp, text in (
        (
            "20200105",
            quote(82_740_000, "1.00", 1, "2.00", 1) + quote(82_800_000, "28.25", 5, "29", 6),
        ),
        ("20200106", quote(0, ask="28.75", ask_size=9) + quote(79_200_000, "1", 1, "2", 1)),
    ):
        add(
            f"futureoption/cme/minute/es/202003/{stamp}_quote_american.zip",
            {
                f"{stamp}_es_minute_quote_american_put_30000000_20200320.csv": text.replace(
                    "\n", "\r\n"
                )
            },
        )
        add(
            f"future/cme/minute/es/{stamp}_quote.zip",
            {
                f"{stamp}_es_minute_quote_202003.csv": quote(
                    82_800_000, "3220.25", 17, "3220.5", 18
                ),
                f"{stamp}_es_minute_quote_202006.csv": quote(82_800_000, "3222", 1, "3223", 1),
            },
        )
    add(
        "futureoption/cme/minute/es/202003/20200106_trade_american.zip",
        {"20200106_es_minute_trade_american_call_31300000_20200320.csv": "0,140,142,139,141,1\n"},
    )


def test_future_options_read_both_utc_files_of_their_session(tmp_path, add):
    es_tree(add)
    day = lean.load(tmp_path, "ES", "2020-01-06")
    assert [s[:13] for s in day.chain.symbol] == ["ES    200320P", "ES    200320C"]
    assert stamps(day, Kind.QUOTE) == [ns("2020-01-05T23:01"), ns("2020-01-06T00:01")]
    assert rows(day, Kind.QUOTE) == [
        (0, 28_250_000_000, 29_000_000_000, 5, 6),
        (0, 28_250_000_000, 28_750_000_000, 5, 9),
    ]
    assert rows(day, Kind.UNDERLYING_QUOTE) == [(2, 3_220_250_000_000, 3_220_500_000_000, 17, 18)]
    under = day.chain.underlying
    assert (under.symbol, under.kind, under.multiplier, under.tick_e9) == (
        "ESH20",
        "future",
        50,
        250_000_000,
    )
    assert day.chain.multiplier.tolist() == [50, 50]
    assert day.quality.notes == ("1 series traded but were never quoted",)
    assert day.quality.quarantined == {
        "outside the session": 2,
        "underlying outside the session": 1,
    }


def test_a_missing_first_file_of_the_session_is_said(tmp_path, add):
    es_tree(add)
    (tmp_path / "futureoption/cme/minute/es/202003/20200105_quote_american.zip").unlink()
    day = lean.load(tmp_path, "ES", "2020-01-06")
    assert "no option quotes stored for 2020-01-05" in day.quality.notes


def test_several_contract_months_must_be_told_apart(tmp_path, add):
    es_tree(add)
    add(
        "futureoption/cme/minute/es/202006/20200106_quote_american.zip",
        {"20200106_es_minute_quote_american_put_30000000_20200619.csv": quote(0, "40", 1, "41", 1)},
    )
    with pytest.raises(UsageError, match=r"name one of ES/202003, ES/202006"):
        lean.load(tmp_path, "ES", "2020-01-06")
    june = lean.load(tmp_path, "es/202006", "2020-01-06")
    assert june.chain.underlying.symbol == "ESM20"
    assert rows(june, Kind.UNDERLYING_QUOTE)[0][1] == 3_222_000_000_000


def test_every_bad_row_is_put_aside_for_one_reason_and_counted(tmp_path, goog, add):
    good = quote(OPEN, "20000", 7, "21500", 19)
    bad = {
        "not a number": quote(OPEN + MINUTE, "NaN", 1, "2", 1)
        + quote(OPEN + MINUTE, "1", 1, "inf", 1),
        "negative price or size": quote(OPEN + MINUTE, "-1", 1, "2", 1)
        + quote(OPEN + MINUTE, "1", -1, "2", 1),
        "clock outside the day": quote(86_400_000, "1", 1, "2", 1),
        "duplicate": good,
        "clock backwards": quote(OPEN - MINUTE, "1", 1, "2", 1),
        "out of range": quote(OPEN + MINUTE, "1", 1, "9e15", 1),
        "blank on both sides": quote(OPEN + 2 * MINUTE),
        "crossed quote": quote(OPEN + 3 * MINUTE, "21500", 1, "21000", 1),
        "outside the session": quote(46_800_000, "20000", 1, "21000", 1),
    }  # fmt: skip
    goog(good + "".join(bad.values()) + quote(OPEN, "20000", 7, "21500", 19))
    add(
        "option/usa/minute/goog/20151224_trade_american.zip",
        {
            "20151224_goog1_minute_trade_american_call_7500000_20151231.csv": f"{OPEN},1,1,1,1,1\n",
            "readme.csv": f"{OPEN},1,1,1,1,1\n",
            "20151224_goog_minute_trade_american_call_7500000_20151231.csv": f"{OPEN},0,1,0,1,1\n"
            f"{OPEN + MINUTE},2,1,3,2,1\n{OPEN + 2 * MINUTE},,,,,1\n"
            f"{OPEN + 3 * MINUTE},5,6,4,5,1\n",
        },
    )
    day = lean.load(tmp_path, "goog", "2015-12-24")
    assert day.quality.quarantined == {
        **{reason: text.count("\n") for reason, text in bad.items()},
        "clock backwards": 2,  # the repeated first row comes after later ones
        "adjusted root": 1,
        "member is no known series": 1,
        "price of zero": 1,
        "price outside its bar": 1,
        "blank field": 1,
    }
    assert len(rows(day, Kind.QUOTE)) == len(rows(day, Kind.BAR)) == 1
    kept = np.isin(day.events["kind"], [Kind.QUOTE, Kind.BAR]).sum()
    assert kept + sum(day.quality.quarantined.values()) == day.quality.rows
    assert len(day.chain) == 1


def test_zero_bid_is_absent_and_locked_is_kept(tmp_path, goog):
    goog(quote(OPEN, "0", 0, "500", 5) + quote(OPEN + MINUTE, "500", 1, "500", 5))
    day = lean.load(tmp_path, "goog", "2015-12-24")
    assert [r[1:3] for r in rows(day, Kind.QUOTE)] == [(0, 50_000_000), (50_000_000, 50_000_000)]
    assert day.quality.quarantined == {}


def test_two_sided_share_counts_time_after_carry_forward(tmp_path, goog):
    """210 minutes: the 750 call is two-sided from 09:31, the 760 call from 11:15 on, half-way."""
    goog(
        quote(OPEN, "20000", 7, "21500", 19),
        **{CALL_760: quote(OPEN, "10000", 1) + quote(OPEN + 104 * MINUTE, ask="12000", ask_size=1)},
    )
    day = lean.load(tmp_path, "goog", "2015-12-24")
    assert day.quality.two_sided_share == pytest.approx((209 + 105) / 420)


def test_prices_off_the_grid_are_noted(tmp_path, goog):
    goog(quote(OPEN, "20300", 7, "31500", 19))  # 2.03 and 3.15 on a grid of 0.05 and 0.10
    notes = lean.load(tmp_path, "goog", "2015-12-24").quality.notes
    assert "2 of 2 quoted prices are off the tick grid" in notes


def test_open_interest_and_sources_are_kept(tmp_path, goog, add):
    goog(quote(OPEN, "20000", 7, "21500", 19), **{CALL_760: quote(OPEN, "1", 1, "2", 1)})
    add(
        "option/usa/minute/goog/20151224_openinterest_american.zip",
        {f"20151224_goog_minute_openinterest_american_{CALL_760}.csv": "23460000,31"},
    )
    day = lean.load(tmp_path, "goog", "2015-12-24")
    assert day.open_interest.tolist() == [-1, 31]
    import hashlib

    for name, sha in day.sources:
        assert hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() == sha
    assert len(day.sources) == 2


@pytest.mark.parametrize(
    ("underlying", "date", "words"),
    [
        ("AAPL", "2015-12-24", r"no options on AAPL in .*There are GOOG\."),
        ("GOOG", "2015-12-28", r"no quotes of GOOG options on 2015-12-28 .*Dates: 2015-12-24\."),
    ],
)
def test_what_is_not_there_is_answered_with_what_is(tmp_path, goog, underlying, date, words):
    goog(quote(OPEN, "20000", 7, "21500", 19))
    with pytest.raises(DataError, match=words):
        lean.load(tmp_path, underlying, date)


def test_a_wrong_place_is_an_error_not_an_empty_day(tmp_path, goog):
    with pytest.raises(DataError, match="there is no folder"):
        lean.load(Path(tmp_path) / "nowhere", "GOOG", "2015-12-24")
    with pytest.raises(DataError, match="holds no minute quotes"):
        lean.load(tmp_path, "GOOG", "2015-12-24")
    goog(quote(OPEN, "20000", 7, "21500", 19))
    with pytest.raises(UsageError, match="YYYY-MM-DD"):
        lean.load(tmp_path, "GOOG", "yesterday")


def test_a_link_out_of_the_folder_is_not_followed(tmp_path, add):
    outside = add("elsewhere/a.zip", {"a.csv": "1,2\n"})
    folder = tmp_path / "tree/option/usa/minute/goog"
    folder.mkdir(parents=True)
    (folder / "20151224_quote_american.zip").symlink_to(outside)
    with pytest.raises(DataError, match="outside the data folder"):
        lean.load(tmp_path / "tree", "GOOG", "2015-12-24")


def test_a_series_without_rows_is_listed_and_silent(tmp_path, goog):
    goog("")
    day = lean.load(tmp_path, "goog", "2015-12-24")
    assert (len(day.chain), len(day.events), day.quality.rows) == (1, 2, 0)
    assert np.isnan(day.quality.two_sided_share)
