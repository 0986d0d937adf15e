"""Vendors' tables against the market they were written from, number by number."""

import datetime as dt
import gzip
import json
import math
import zipfile

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
import vendor_files as made
from typer.testing import CliRunner

from optmm.cli.data import app
from optmm.data import formats, sheets
from optmm.data.readers import open_day
from optmm.data.snapshots import open_snapshot
from optmm.errors import DataError, UsageError

MARKET = made.market()
LATER = made.market(503.1)
CLOSE_NS = made.at("2024-03-12", "16:00") * 10**9
FIXING = {d: made.at(d.isoformat(), "16:00") * 10**9 for d in made.EXPIRIES}


@pytest.fixture
def put(tmp_path):
    """Write a file of that text; returns its path."""

    def write(text: str | bytes, name: str):
        path = tmp_path / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return write


def agree(found, truth, *, sizes: bool = True, root: str = "SPY") -> None:
    """Every quote of `found` is that of `truth`, and none is missing."""
    want = {key: quote for key, quote in truth.items() if quote[0] or quote[1]}
    assert found.quotes.height == len(want)
    for row in found.quotes.iter_rows(named=True):
        bid, ask, bids, asks = want[row["date"], row["strike"], row["right"]]
        assert row["root"] == root
        assert (row["ask"], row["expiry"]) == (ask, FIXING[row["date"]])
        assert row["bid"] == bid if bid else math.isnan(row["bid"])
        if sizes:
            assert (row["bid_size"], row["ask_size"]) == (bids, asks)


def test_optionsdx_reads_as_it_was_meant(put):
    found = open_snapshot(put(made.optionsdx(MARKET), "spy_eod_202403.txt"))
    agree(found, MARKET)
    assert (found.underlying, found.valuation_ns, found.spot) == ("SPY", CLOSE_NS, 502.3)
    assert (found.american, found.reader, found.read) == (True, "OptionsDX", len(MARKET))


def test_optionsdx_blank_sides_are_absent_and_sizes_unknown(put):
    half = {key: quote for key, quote in MARKET.items() if key[2] == 1}
    found = open_snapshot(put(made.optionsdx(half), "spy_eod_202403.txt"))
    assert found.quarantined == {"no quote at all": len(half)}
    agree(found, half)


def test_a_month_of_chains_is_asked_for_by_date_or_time(put):
    text = "".join(
        made.optionsdx(quotes, date=f"2024-03-{day}", time=time, heading=day == 11)
        for day, time, quotes in (
            (11, "16:00", MARKET), (12, "15:30", MARKET), (12, "16:00", LATER)
        )
    )  # fmt: skip
    path = put(text, "spy_eod_202403.txt")
    with pytest.raises(UsageError, match=r"holds 3 instants: name one with --at: 2024-03-11T20:00"):
        open_snapshot(path)
    agree(open_snapshot(path, at="2024-03-12"), LATER)
    agree(open_snapshot(path, at="2024-03-12 15:45"), MARKET)
    assert open_snapshot(path, at="2024-03-11T20:00Z").valuation_ns == CLOSE_NS - 86_400 * 10**9
    for nothing in ("2024-03-12 10:00", "2024-03-13", "2024-03-13 16:00"):
        with pytest.raises(UsageError, match=r"no quotes for --at .*it has 2024-03-11T20:00:00Z"):
            open_snapshot(path, at=nothing)


def test_optionsdx_takes_its_symbol_from_its_name_before_the_user(put):
    path = put(made.optionsdx(MARKET), "spy_eod_202403.txt")
    with pytest.raises(UsageError, match=r"--underlying is QQQ, but spy_eod_202403\.txt holds SPY"):
        open_snapshot(path, underlying="QQQ")
    renamed = put(made.optionsdx(MARKET), "download.txt")
    assert open_snapshot(renamed, underlying="spy").underlying == "SPY"
    assert open_day(renamed, "SPY", "2024-03-12").chain.underlying.symbol == "SPY"
    assert open_snapshot(renamed).underlying == "DOWNLOAD"


@pytest.mark.parametrize(("hour", "root"), [("09:30", "SPX"), ("16:00", "SPXW")])
def test_optionsdx_index_expiries_take_their_class_from_the_clock(put, hour, root):
    found = open_snapshot(put(made.optionsdx(MARKET, expire=hour), "spx_eod_202403.txt"))
    assert found.quotes["root"].unique().to_list() == [root]
    assert (found.underlying, found.kind, found.american) == ("SPX", "index", False)
    first = found.quotes.filter(pl.col("date") == made.EXPIRIES[0])["expiry"].unique().to_list()
    assert first == [made.at("2024-03-15", hour) * 10**9]


def test_datashop_end_of_day_holds_a_quarter_to_four_and_the_close(put):
    path = put(made.datashop_eod(MARKET, LATER), "UnderlyingOptionsEODCalcs_2024-03-12.csv")
    early = open_snapshot(path, at="2024-03-12 16:00")
    agree(early, MARKET)
    assert early.valuation_ns == made.at("2024-03-12", "15:45") * 10**9
    assert (early.bid, early.ask, early.last) == (502.29, 502.31, 502.3)
    late = open_snapshot(path, at="2024-03-12")
    agree(late, LATER)
    assert late.valuation_ns == made.at("2024-03-12", "16:15") * 10**9  # SPY options
    assert late.spot == pytest.approx(503.10)


def test_datashop_index_symbols_lose_their_caret(put):
    path = put(made.datashop_eod(MARKET, LATER, symbol="^SPX", root="SPXW"), "x.csv")
    found = open_snapshot(path, at="2024-03-12 15:45")
    assert (found.underlying, found.kind, found.american) == ("SPX", "index", False)
    agree(found, MARKET, root="SPXW")


@pytest.mark.parametrize("packing", ["plain", "gz", "zip", "zst", "two members"])
def test_datashop_intervals_in_every_packing(put, packing):
    first, second = "2024-03-12 10:00:00", "2024-03-12 10:15:00"
    text = made.datashop_intervals({first: MARKET, second: LATER})
    name = "quotes.csv"
    if packing == "gz":
        path = put(gzip.compress(text.encode()), "quotes.csv.gz")
    elif packing == "zst":
        path = put(pa.compress(text.encode(), "zstd", asbytes=True), "quotes.csv.zst")
    elif packing == "plain":
        path = put(text, name)
    else:
        path = put("", "quotes.zip")
        parts = {name: text}
        if packing == "two members":
            parts = {
                f"{i}.csv": made.datashop_intervals({when: quotes})
                for i, (when, quotes) in enumerate(((first, MARKET), (second, LATER)))
            }
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for member, content in parts.items():
                archive.writestr(member, content)
    agree(open_snapshot(path, at="2024-03-12 10:14"), MARKET)
    agree(open_snapshot(path, at="2024-03-12 10:15"), LATER)


@pytest.mark.parametrize("index", [True, False])
def test_yahoo_needs_a_time_and_takes_it_from_name_or_user(put, index):
    text = made.yahoo(MARKET, index=index)
    found = open_snapshot(put(text, "spy_2024-03-12_close.csv"))
    agree(found, MARKET, sizes=False)
    assert found.valuation_ns == CLOSE_NS
    bare = put(text, "calls.csv")
    with pytest.raises(DataError, match=r"does not say when.*--at"):
        open_snapshot(bare)
    assert open_snapshot(bare, at="2024-03-12 16:00").quotes.equals(found.quotes)


def test_frames_of_polars_pandas_and_parquet_read_alike(put, tmp_path):
    path = put(made.yahoo(MARKET, index=False), "spy_2024-03-12_close.csv")
    want = open_snapshot(path).quotes
    frame = pl.read_csv(path)
    assert sheets.from_frame(frame, at="2024-03-12 16:00").quotes.equals(want)
    assert sheets.from_frame(frame.to_pandas(), at="2024-03-12 16:00").quotes.equals(want)
    frame.write_parquet(tmp_path / "spy_2024-03-12_close.parquet")
    assert open_snapshot(tmp_path / "spy_2024-03-12_close.parquet").quotes.equals(want)
    with pytest.raises(DataError, match=r"no table we read has columns x.*OptionsDX"):
        sheets.from_frame(pl.DataFrame({"x": [1]}))


@pytest.mark.parametrize("kind", ["naive", "zoned", "microseconds", "categories"])
def test_typed_parquet_says_what_its_text_said(put, tmp_path, kind):
    """Clocks without a zone are New York's, those with one are believed."""
    text = put(made.datashop_intervals({"2024-03-12 10:00:00": MARKET}), "x.csv")
    want = open_snapshot(text)
    frame = pl.read_csv(text).with_columns(pl.col("quote_datetime").str.to_datetime())
    if kind == "zoned":
        utc = pl.col("quote_datetime").dt.replace_time_zone("America/New_York")
        frame = frame.with_columns(quote_datetime=utc.dt.convert_time_zone("UTC"))
    elif kind == "microseconds":
        frame = frame.with_columns(pl.col("quote_datetime").cast(pl.Datetime("us")))
    elif kind == "categories":
        frame = frame.with_columns(pl.col("root", "option_type").cast(pl.Categorical))
    frame.write_parquet(tmp_path / "typed.parquet")
    found = open_snapshot(tmp_path / "typed.parquet")
    assert found.valuation_ns == want.valuation_ns
    assert found.quotes.equals(want.quotes)


@pytest.mark.parametrize("shape", ["crlf", "mark", "quoted", "blank lines"])
def test_text_in_other_shapes_reads_alike(put, shape):
    text = made.datashop_intervals({"2024-03-12 10:00:00": MARKET})
    want = open_snapshot(put(text, "x.csv")).quotes
    other = {
        "crlf": text.replace("\n", "\r\n"),
        "mark": "\ufeff" + text,
        "quoted": text.replace(",SPY,", ',"SPY",'),
        "blank lines": "\n" + text + "\n\n",
    }[shape]
    found = open_snapshot(put(other, "y.csv"))
    assert found.quotes.equals(want) and found.quarantined == {}


def test_deribit_prices_become_usd_by_the_forward_of_their_own_expiry(put):
    """An inverse call at 0.1 coins with its forward at 65,000 is worth 6,500 undiscounted USD."""
    rows = [
        ("BTC-25SEP26-60000-C", 0.1, 0.11, 65_000.0),
        ("BTC-25SEP26-60000-P", 0.05, None, 65_000.0),
        ("BTC-25DEC26-60000-C", 0.1, 0.0, 66_000.0),
        ("BTC_USDC-25SEP26-60000-P", 100.0, 110.0, 65_000.0),
        ("BTC-25SEP26-61000-C", 0.1, 0.2, 0.0),
        ("BTC-PERPETUAL", 0.1, 0.2, 65_000.0),
    ]
    stamp = 1_783_167_847_000
    found = open_snapshot(put(made.deribit(rows, stamp), "book.json"), underlying="BTC")
    assert found.valuation_ns == (stamp + 5) * 10**6, "the latest row stands for all"
    got = {
        (r["root"], r["date"].month, r["right"]): (r["bid"], r["ask"])
        for r in found.quotes.iter_rows(named=True)
    }
    np.testing.assert_allclose(got["BTC", 9, 1], (6_500.0, 7_150.0), rtol=1e-15)
    np.testing.assert_allclose(got["BTC", 9, -1], (3_250.0, math.nan), rtol=1e-15)
    np.testing.assert_allclose(got["BTC", 12, 1], (6_600.0, math.nan), rtol=1e-15)
    assert got["BTC_USDC", 9, -1] == (100.0, 110.0), "linear: as it stands"
    assert found.quarantined == {"no forward to convert coin prices with": 1, "unknown symbol": 1}
    expiry = dt.datetime.fromtimestamp(found.quotes["expiry"][0] // 10**9, dt.UTC)
    assert (expiry, found.american) == (dt.datetime(2026, 9, 25, 8, tzinfo=dt.UTC), False)


def test_deribit_strikes_with_a_decimal_and_vols_in_percent(put):
    path = put(made.deribit([("XRP_USDC-25SEP26-0d55-C", 0.1, 0.2, 0.6)], 1_783_167_847_000), "x")
    table = formats.known(path)
    (rows,) = formats.judged(table, path, formats.Context("x"))
    assert rows.select("strike", "vol", "bid", "reason").row(0) == (0.55, 0.555, 0.1, None)


def test_the_vendors_own_vol_is_a_decimal(put):
    for text, name, want in (
        (made.optionsdx(MARKET), "spy.txt", {0.199, 0.201}),
        (made.datashop_intervals({"2024-03-12 10:00:00": MARKET}), "x.csv", {0.2}),
    ):
        path = put(text, name)
        (rows,) = formats.judged(formats.known(path), path, formats.Context(name))
        assert set(rows["vol"].to_list()) == want


def test_another_underlying_is_refused_and_several_must_be_named(put):
    both = made.datashop_intervals({"2024-03-12 10:00:00": MARKET}) + made.datashop_intervals(
        {"2024-03-12 10:00:00": LATER}, symbol="QQQ", root="QQQ", heading=False
    )
    path = put(both, "both.csv")
    with pytest.raises(DataError, match=r"holds options on QQQ, SPY\. Name one with --underlying"):
        open_snapshot(path)
    agree(open_snapshot(path, underlying="qqq"), LATER, root="QQQ")
    with pytest.raises((UsageError, DataError), match=r"both\.csv"):
        open_snapshot(path, underlying="IWM")


def test_a_second_format_of_one_name_is_refused():
    with pytest.raises(UsageError, match="already registered"):
        formats.register(next(iter(formats.shelf().values())))


def test_info_lists_a_table_of_many_days_and_shows_the_chain_asked_for(put):
    text = made.optionsdx(MARKET, date="2024-03-11") + made.optionsdx(LATER, heading=False)
    path = put(text, "spy_eod_202403.txt")
    run = CliRunner()
    listing = json.loads(run.invoke(app, ["info", str(path), "--json"]).stdout)
    assert listing["available"] == [
        {"underlying": "SPY", "class": "OptionsDX", "dates": ["2024-03-11", "2024-03-12"]}
    ]
    day = json.loads(run.invoke(app, ["info", str(path), "--date", "2024-03-12", "--json"]).stdout)
    assert (day["contracts"], day["date"]) == (20, "2024-03-12")
    words = ["info", str(path), "--at", "2024-03-12", "--json"]
    chain = json.loads(run.invoke(app, words).stdout)
    assert (chain["reader"], chain["options"], chain["spot_usd"]) == ("OptionsDX", 20, 502.3)
