"""Cboe files that we made up, in every shape that the real ones come in."""

import datetime as dt
import gzip
import math

import polars as pl
import pytest
from cboe_files import DATE, HEADINGS, NAME, ROWS, chain_json, row, table

from optmm.data import stamps
from optmm.data.snapshots import SNAPSHOTS, open_snapshot, register
from optmm.errors import DataError, UsageError

CLOSE = "2024-03-12 16:00 New York"
TAIL = ",Bid: 4990.5,Ask: 5010.5,Size: 1*1,Volume: 0"
DATES = [
    '"Date: March 12, 2024 at 4:31 PM EDT"',
    "Date: 12 March 2024, at 4:31 PM EDT",
    'Date: 12 March 2024, 4:31 PM EDT"',
    '"Date: March 12 2024, 8:09 PM EDT"',
    "Date: 12 March 2024, 19:12 UTC\u22124",
    "Date: 12 de marzo de 2024, 16:31 GMT-4",
    "Date: 12 de marzo de 2024, 4:31 p.\u00a0m. GMT-4",
    "Date: 12 \u043c\u0430\u0440\u0442\u0430 2024 \u0433. \u0432 16:31 GMT-4",
    "Date: 12. M\u00e4rz 2024 um 21:31 MEZ UTC+1",
    "Date: 2024\u5e743\u670812\u65e5 16:31 GMT-4",
    "Date: 2024-03-12T20:31:00Z",
    "Date: 12 March 2024",
]


@pytest.fixture
def put(tmp_path):
    """Write a file of that text; returns its path."""

    def write(text: str | bytes, name: str = "quotedata.csv"):
        path = tmp_path / name
        raw = text if isinstance(text, bytes) else text.encode()
        path.write_bytes(gzip.compress(raw) if name.endswith(".gz") else raw)
        return path

    return write


def ns(utc: str) -> int:
    return int(dt.datetime.fromisoformat(utc).replace(tzinfo=dt.UTC).timestamp()) * 10**9


@pytest.mark.parametrize("date", DATES)
def test_a_date_is_read_in_every_shape(put, date):
    found = open_snapshot(put(table(date=date + TAIL)))
    assert stamps.clock_words(found.valuation_ns) == CLOSE
    assert (found.underlying, found.kind, found.american) == ("SPX", "index", False)
    assert (found.last, found.bid, found.ask) == (5000.25, 4990.5, 5010.5)


@pytest.mark.parametrize("shape", ["plain", "gzip", "no blank line", "mark", "commas", "quoted"])
def test_headers_around_the_date_may_differ(put, shape):
    text, name = table(), "quotedata.csv"
    if shape == "gzip":
        name = "renamed.gz"
    elif shape == "no blank line":
        text = table(blank=False)
    elif shape == "mark":
        text = "\ufeff" + table(blank=False)
    elif shape == "commas":
        text = table(name=NAME + 19 * ",", date=DATE + 17 * ",")
    elif shape == "quoted":
        text = table(name='"A Trust, Series 1 Index",Last: 5000.25,Change: 1', date=f'{DATE},"x"')
    found = open_snapshot(put(text, name))
    assert (found.quotes.height, found.last) == (7 + 1, 5000.25)
    assert stamps.clock_words(found.valuation_ns) == CLOSE


def test_roots_keep_their_own_instant_of_settlement(put):
    """SPX settles on the opening, 09:30 New York; SPXW on the close; both on 15 March."""
    quotes = open_snapshot(put(table())).quotes
    fixing = dict(quotes.select("root", "expiry").unique().iter_rows())
    assert fixing == {"SPX": ns("2024-03-15T13:30"), "SPXW": ns("2024-03-15T20:00")}
    assert quotes["root"].to_list() == ["SPX"] * 4 + ["SPXW"] * 4
    assert quotes["right"].to_list()[:2] == [1, -1]
    assert quotes["date"].unique().to_list() == [dt.date(2024, 3, 15)]
    assert quotes["style"].unique().to_list() == ["european"]


def test_what_cannot_be_used_is_counted_by_reason(put):
    rows = (
        ROWS
        + row("SPXW", "240312", 5000, (1.0, 2.0, 1.0, 2.0))  # fixed at the very close
        + row("SPXW", "240315", 5000, (9.0, 9.5, 9.0, 9.5))  # listed before
        + row("SPXW", "240315", 5200, (0, 0, 199.0, 201.0))
        + row("SPXW", "240315", 5300, (0, 0.05, 301.0, 299.0))
        + row("SPXW", "240315", 5400, (-1.0, 0.05, 399.0, 401.0))
        + row("SPX1", "240315", 5000, (1.0, 2.0, 1.0, 2.0))
        + row("SPXW", "240399", 5000, (1.0, 2.0, 1.0, 2.0))
        + row("SPXW", "240315", 5500, (1.0, 2.0, 1.0, 2.0)).replace("5500.00", "5501.00")
        + row("SPXW", "240315", 5600, ("", 0.05, "-", 601.0))
        + "Fri Mar 15 2024,SPXW240315C05700000,1\n"
        + row("SPXW", "240315", 5800, (0, 0.05, 799.0, 801.0))
    )
    found = open_snapshot(put(table(rows=rows)))
    assert found.quarantined == {
        "adjusted root": 2,
        "crossed": 1,
        "duplicate contract": 2,
        "expired": 2,
        "negative price": 1,
        "no quote at all": 1,
        "symbol and strike disagree": 2,
        "unreadable row": 4,
    }
    assert found.read == 2 * 15 == found.quotes.height + sum(found.quarantined.values())
    first = found.quotes.filter((pl.col("root") == "SPXW") & (pl.col("strike") == 5000.0))
    assert first["bid"].to_list() == [22.0, 21.5]
    lone = found.quotes.filter(pl.col("strike") == 5600.0)
    assert lone["bid"].is_nan().all()
    assert lone["ask"].to_list() == [0.05, 601.0]


def test_the_file_name_stands_in_for_an_impossible_date(put):
    text = table(date="Date: 4 June 4" + TAIL)
    for name, when in (
        ("spx_2024-03-12_close.csv", CLOSE),
        ("spx_2024-03-12_1155ET.csv", "2024-03-12 11:40 New York"),
        ("20240312.csv", CLOSE),
    ):
        found = open_snapshot(put(text, name))
        assert stamps.clock_words(found.valuation_ns) == when
        assert "'4 June 4' cannot be read" in found.notes[-1]


def test_without_any_date_the_remedy_is_named(put):
    path = put(table(date="Date: 4 June 4" + TAIL))
    with pytest.raises(DataError, match=r"'4 June 4' cannot be read.*Say when with --at"):
        open_snapshot(path)
    found = open_snapshot(path, at="2024-03-12 11:40")
    assert found.valuation_ns == ns("2024-03-12T15:40")
    with pytest.raises(UsageError, match="needs its date"):
        open_snapshot(path, at="11:40")
    for wrong in ("noon", "2024-03-12", "25:00"):
        with pytest.raises(UsageError, match="--at"):
            open_snapshot(path, at=wrong)


def test_a_time_alone_uses_the_date_of_the_file(put):
    assert open_snapshot(put(table()), at="11:40").valuation_ns == ns("2024-03-12T15:40")
    assert open_snapshot(put(table()), at="2024-03-12T15:40Z").valuation_ns == ns(
        "2024-03-12T15:40"
    )


@pytest.mark.parametrize(
    ("taken", "in_force"),
    [
        ("March 12, 2024 at 11:55 AM EDT", "2024-03-12 11:40"),  # delayed by 15 minutes
        ("March 12, 2024 at 4:05 PM EDT", "2024-03-12 15:50"),
        ("March 12, 2024 at 11:00 PM EDT", "2024-03-12 16:00"),
        ("March 10, 2024 at 1:00 PM EDT", "2024-03-08 16:00"),  # a Sunday
        ("March 12, 2024 at 7:15 AM EDT", "2024-03-11 16:00"),  # before the open
        ("November 24, 2023 at 6:00 PM EST", "2023-11-24 13:00"),  # closed early
        ("December 25, 2023 at 6:00 PM EST", "2023-12-22 16:00"),  # holiday, then a weekend
    ],
)
def test_when_the_quotes_of_a_page_were_in_force(taken, in_force):
    wall = stamps.read_words(taken)
    assert stamps.clock_words(stamps.taken(wall)[0]) == f"{in_force} New York"


@pytest.mark.parametrize("text", ["4 June 4", "", "mardi 12 ao\u00fbt 2024", "30 February 2024",
                                  "12 March or 13 March 2024"])  # fmt: skip
def test_an_uncertain_date_is_not_guessed(text):
    assert stamps.read_words(text) is None


def test_a_date_that_most_contracts_have_outlived_is_refused(put):
    with pytest.raises(DataError, match=r"8 of 8 options had expired by 2024-04-12.*--at"):
        open_snapshot(put(table(date="Date: April 12, 2024 at 5:00 PM EDT" + TAIL)))


def test_a_file_from_before_the_open_is_diagnosed(put):
    dead = row("SPXW", "240315", 5000, (0, 0, 0, 0))
    live = row("SPXW", "240311", 5000, (1.0, 2.0, 1.0, 2.0))
    rows = dead + dead.replace("5000", "5100").replace("05000000", "05100000") + live
    found = open_snapshot(put(table(rows=rows, date="Date: March 12, 2024, 7:15 AM EDT" + TAIL)))
    assert found.quotes.is_empty()
    assert math.isfinite(found.two_sided_share)
    with pytest.raises(DataError, match=r"33.3 % have both sides.*07:15 New York, before the open"):
        found.check()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b" \n\n", "is empty"),
        (b"a,b,c\n1,2,3\n", "is no chain we read.*Cboe quotedata, Cboe JSON"),
        (b"\x00\x01\x02", "is no chain we read"),
        (gzip.compress(table().encode())[:-20], "truncated or corrupt gzip"),
        (table(rows="").encode(), "no readable rows"),
        (table().encode()[:-40], r"row 8: ends in the middle of a row, after \d+ of 22"),
        (table().replace("Puts,Last Sale,Net,Bid", "Puts,Last Sale,Net,X").encode(),
         "lacks a column"),
        (table(rows=ROWS + row("NDX", "240315", 5000, (1, 2, 1, 2))).encode(),
         "holds options on NDX, SPX"),
        (chain_json().encode()[:-30], "is no whole Cboe JSON"),
    ],
)  # fmt: skip
def test_what_is_no_whole_file_is_refused_with_exit_code_4(put, content, words):
    with pytest.raises(DataError, match=words) as caught:
        open_snapshot(put(content))
    assert caught.value.exit_code == 4


def test_nothing_there(tmp_path):
    with pytest.raises(DataError, match="there is no"):
        open_snapshot(tmp_path / "nowhere.csv")


def test_json_has_sizes_and_a_clock_in_utc(put):
    found = open_snapshot(put(chain_json(), "chain.bin"))
    assert (found.underlying, found.kind, found.american) == ("SPY", "equity", True)
    assert stamps.clock_words(found.valuation_ns) == CLOSE
    assert found.spot == pytest.approx(500.06)
    assert found.quarantined == {"unreadable row": 1}
    put_500 = found.quotes.filter((pl.col("strike") == 500.0) & (pl.col("right") == -1))
    assert put_500["bid"].is_nan().all(), "a size of zero is no bid"
    assert found.quotes["ask_size"].to_list() == [99, 5, 9]
    assert open_snapshot(put(chain_json("2024-03-12 15:55:00"))).valuation_ns == ns(
        "2024-03-12T15:40"
    )


def test_the_underlying_asked_for_must_be_the_one_there(put):
    path = put(table())
    for name in ("SPX", "spxw"):
        assert open_snapshot(path, underlying=name).underlying == "SPX"
    with pytest.raises(UsageError, match=r"--underlying is NDX, but quotedata\.csv holds SPX"):
        open_snapshot(path, underlying="NDX")


def test_a_second_reader_of_one_name_is_refused():
    with pytest.raises(UsageError, match="already registered"):
        register(next(iter(SNAPSHOTS.values())))


@pytest.mark.parametrize("suffix", ["csv", "csv.gz", "parquet"])
def test_a_table_of_quotes_says_the_same_as_the_file_it_was_made_of(put, tmp_path, suffix):
    made = open_snapshot(put(table()))
    path = tmp_path / f"mine.{suffix}"
    if suffix == "parquet":
        made.quotes.write_parquet(path)
    else:
        path = put(made.quotes.write_csv(), f"mine.{suffix}")
    again = open_snapshot(path, at="2024-03-12 16:00")
    assert (again.underlying, again.valuation_ns) == ("SPX", made.valuation_ns)
    assert again.quotes.equals(made.quotes)


def test_dates_in_a_table_take_the_instant_of_their_root(put):
    text = (
        "expiry,strike,right,bid,ask,root\n"
        "2024-03-15,5000,call,20,21,SPX\n"
        "2024-03-15,5000,P,19.5,20.5,SPXW\n"
        "2024-03-15T18:00:00,5000,-1,19.5,20.5,SPXW\n"
        "soon,5000,c,1,2,SPX\n"
        "2024-03-15,5000,straddle,1,2,SPX\n"
    )
    found = open_snapshot(put(text, "chain_2024-03-12_close.csv"))
    assert found.quotes["expiry"].to_list() == [
        ns("2024-03-15T13:30"), ns("2024-03-15T18:00"), ns("2024-03-15T20:00")
    ]  # fmt: skip
    assert found.quarantined == {"unreadable expiry": 1, "unreadable right": 1}
    with pytest.raises(DataError, match="does not say when"):
        open_snapshot(put(text, "chain.csv"))


def test_headings_alone_are_a_cboe_file_without_rows(put):
    with pytest.raises(DataError, match="no readable rows"):
        open_snapshot(put(HEADINGS))
