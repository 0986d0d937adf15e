"""Every row of the table of bad input that concerns data, named after it, over every format.

What cannot be read is counted under one reason and never reaches a price; what is damaged is an
error that names the file and the place; nothing is half loaded. Beside this file: halts in
test_databento, parity violations in test_check, order and repeats of tapes in test_tape, memory in
test_convert, LEAN's own rows in test_lean and test_lean_zip.
"""

import datetime as dt
import gzip
import io
import math
import zipfile
from collections import Counter

import polars as pl
import pyarrow as pa
import pytest
import vendor_files as made
from cboe_files import table as cboe_table

from optmm.data import own_table, streams
from optmm.data.check import check
from optmm.data.convert import convert
from optmm.data.readers import open_day
from optmm.data.snapshots import open_snapshot
from optmm.errors import DataError
from optmm.market.events import Kind

TEN_NS = made.at("2024-03-12", "10:00") * 10**9
KEY = (made.EXPIRIES[0], 500.0, 1)  # the option that is spoilt
SENTINEL = (77.125, 77.25, 3, 4)  # a quote like no other, to be found again in the text
FORMATS = ("OptionsDX", "DataShop EOD", "DataShop intervals", "yfinance", "Massive", "own Parquet")


def text_of(name: str, quotes: dict) -> tuple[str, str]:
    """(file name, text) of one chain on 2024-03-12 at 10:00 New York."""
    if name == "OptionsDX":
        return "spy_2024.txt", made.optionsdx(quotes, time="10:00")
    if name == "DataShop EOD":
        return "eod.csv", made.datashop_eod(quotes, quotes)
    if name == "DataShop intervals":
        return "intervals.csv", made.datashop_intervals({"2024-03-12 10:00:00": quotes})
    if name == "yfinance":
        return "yahoo.csv", made.yahoo(quotes)
    rows = [("O:" + made.osi("SPY", key), TEN_NS, quote) for key, quote in quotes.items()]
    return "massive.csv", made.massive(rows)


def spoilt(tmp_path, name: str, bid: str | None = None, ask: str | None = None):
    """A file of that format with another text for the one option's bid or ask."""
    quotes = made.market() | {KEY: SENTINEL}
    if name == "own Parquet":
        path, out = spoilt(tmp_path, "DataShop intervals"), tmp_path / "own.parquet"
        out.unlink(missing_ok=True)
        convert(path, out)
        frame = pl.read_parquet(out)
        for column, old, new in (("bid", 77.125, bid), ("ask", 77.25, ask)):
            if new is not None:
                value = None if new == "" else float(new)
                frame = frame.with_columns(
                    pl.when(pl.col(column) == old).then(value).otherwise(column).alias(column)
                )
        frame.write_parquet(out)
        return out
    file, text = text_of(name, quotes)
    for old, new in (("77.125", bid), ("77.25", ask)):
        if new is not None:
            assert old in text
            text = text.replace(f"{float(old):.6f}", new).replace(old, new)
    path = tmp_path / file
    path.write_text(text)
    return path


def read(path):
    """The chain at 10:00, or at 15:45 where a file has that."""
    return open_snapshot(path, at="2024-03-12 15:50")


def of_key(found) -> pl.DataFrame:
    return found.quotes.filter(
        (pl.col("date") == KEY[0]) & (pl.col("strike") == KEY[1]) & (pl.col("right") == KEY[2])
    )


def quarantined(path) -> dict[str, int]:
    """Reasons, of a tape from the day it gives."""
    if path.name == "massive.csv":
        return open_day(path).quality.quarantined
    return read(path).quarantined


# NaN, inf, unparsable, negative price or size -----------------------------------------------------


NUMBERS = ("nan", "NaN", "inf", "-inf", "1e400", "-5.0")  # what a column of Float64 can hold
WORDS = ("abc", "1;5", "0x10")


@pytest.mark.parametrize("side", ["bid", "ask"])
@pytest.mark.parametrize(
    ("name", "cell"),
    [(n, c) for n in FORMATS for c in NUMBERS + (() if n == "own Parquet" else WORDS)],
)
def test_nan_inf_unparsable_and_negative_prices_are_quarantined(tmp_path, name, cell, side):
    path = spoilt(tmp_path, name, **{side: cell})
    reason = "negative price or size" if cell == "-5.0" else "not a number"
    counted = Counter(quarantined(path))
    assert counted[reason] == 1 and counted.total() - counted["no quote at all"] == 1
    assert of_key(read(path)).is_empty() or name == "Massive"


@pytest.mark.parametrize("name", ["DataShop EOD", "DataShop intervals", "Massive"])
def test_negative_sizes_are_quarantined(tmp_path, name):
    file, text = text_of(name, made.market() | {KEY: (77.125, 77.25, -3, 4)})
    path = tmp_path / file
    path.write_text(text)
    assert Counter(quarantined(path))["negative price or size"] == 1


def test_a_price_too_large_to_be_exact_is_quarantined(tmp_path):
    path = spoilt(tmp_path, "DataShop intervals", ask="1e9")
    assert read(path).quarantined["out of range"] == 1


@pytest.mark.parametrize(("column", "cell", "reason"), [
    ("strike", "abc", "unreadable strike"), ("strike", "-5", "unreadable strike"),
    ("strike", "0", "unreadable strike"), ("option_type", "X", "unreadable right"),
    ("expiration", "2024-02-30", "unreadable expiry"), ("expiration", "", "unreadable expiry"),
    ("quote_datetime", "noon", "unreadable time"), ("root", "", "unknown symbol"),
])  # fmt: skip
def test_unreadable_terms_are_quarantined_by_column(tmp_path, column, cell, reason):
    lines = made.datashop_intervals({"2024-03-12 10:00:00": made.market()}).splitlines()
    cells = lines[1].split(",")
    cells[lines[0].split(",").index(column)] = cell
    path = tmp_path / "x.csv"
    path.write_text("\n".join([lines[0], ",".join(cells), *lines[2:]]) + "\n")
    found = open_snapshot(path, at="2024-03-12")
    assert found.quarantined == {reason: 1}
    assert found.read == found.quotes.height + 1


# zero bid, zero or absent ask ---------------------------------------------------------------------


@pytest.mark.parametrize("cell", ["0", "0.0", ""])
@pytest.mark.parametrize("name", FORMATS)
def test_zero_bid_is_kept_as_one_sided_and_is_no_mid(tmp_path, name, cell):
    row = of_key(read(spoilt(tmp_path, name, bid=cell)))
    assert math.isnan(row["bid"].item()) and row["ask"].item() == 77.25


@pytest.mark.parametrize("cell", ["0", "0.0", ""])
@pytest.mark.parametrize("name", FORMATS)
def test_zero_or_absent_ask_is_one_sided(tmp_path, name, cell):
    row = of_key(read(spoilt(tmp_path, name, ask=cell)))
    assert math.isnan(row["ask"].item()) and row["bid"].item() == 77.125


def test_one_sided_quotes_reach_a_tape_as_zero_not_as_the_last_price(tmp_path):
    day = open_day(spoilt(tmp_path, "Massive", bid="0"))
    (event,) = day.events[
        (day.events["kind"] == Kind.QUOTE) & (day.events["ask_e9"] == 77_250_000_000)
    ]
    assert (event["bid_e9"], event["bid_lots"]) == (0, 0)


# crossed / locked ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FORMATS)
def test_crossed_is_quarantined_and_locked_is_flagged(tmp_path, name):
    assert Counter(quarantined(spoilt(tmp_path, name, ask="77.0")))["crossed quote"] == 1
    locked = spoilt(tmp_path, name, ask="77.125")
    assert "crossed quote" not in quarantined(locked)
    if name != "Massive":
        assert any("1 quotes are locked" in note for note in read(locked).notes)
        if name != "yfinance":
            assert check(locked)["locked"] == (2 if name == "DataShop EOD" else 1)


# stale ------------------------------------------------------------------------------------------


def test_stale_option_quotes_are_counted(tmp_path):
    path = tmp_path / "x.csv"
    chains = {f"2024-03-12 1{h}:00:00": made.market() for h in (0, 1)}
    path.write_text(made.datashop_intervals(chains))
    assert check(path)["stale_share"] == 1.0


# out of order, duplicate, clock backwards ---------------------------------------------------------


def test_out_of_order_rows_are_put_back_or_set_aside_and_time_never_falls(tmp_path):
    ticker, second = "O:SPY240315C00500000", 10**9
    stamps = [50, 52, 51, 60, 30, 61]  # 51 a second late, 30 half a minute
    rows = [(ticker, TEN_NS + t * second, (5.0, 5.1, 1, 1 + t)) for t in stamps]
    path = tmp_path / "tape.csv"
    path.write_text(made.massive(rows))
    day = open_day(path)
    quotes = day.events[day.events["kind"] == Kind.QUOTE]
    assert ((quotes["ts_event_ns"] - TEN_NS) // second).tolist() == [50, 51, 52, 60, 61]
    assert day.quality.quarantined == {"out of order by more than 10 s": 1}
    assert any("1 rows came late" in note for note in day.quality.notes)


def test_a_duplicate_contract_keeps_its_first_row(tmp_path):
    quotes = made.market()
    twice = made.datashop_intervals({"2024-03-12 10:00:00": quotes})
    twice += made.datashop_intervals({"2024-03-12 10:00:00": made.market(510.0)}, heading=False)
    path = tmp_path / "x.csv"
    path.write_text(twice)
    found = open_snapshot(path, at="2024-03-12")
    assert found.quarantined == {"duplicate contract": len(quotes)}
    assert of_key(found)["ask"].item() == quotes[KEY][1]
    assert open_day(path).quality.quarantined == {"duplicate contract": len(quotes)}


# DST, half day, early close ----------------------------------------------------------------------

GOLDEN = [  # what the exchanges' own calendars say, in UTC
    ("SPY", "2024-03-08", "2024-03-08T21:00Z"),  # Friday before clocks go forward
    ("SPY", "2024-03-11", "2024-03-11T20:00Z"),  # Monday after
    ("SPY", "2024-11-01", "2024-11-01T20:00Z"),  # Friday before clocks go back
    ("SPY", "2024-11-04", "2024-11-04T21:00Z"),
    ("SPXW", "2023-11-24", "2023-11-24T18:00Z"),  # shut at 13:00
    ("SPX", "2024-03-15", "2024-03-15T13:30Z"),  # settled on the opening
    ("SPY", "2024-03-29", "2024-03-28T20:00Z"),  # Good Friday: the session before
]


@pytest.mark.parametrize(("root", "date", "utc"), GOLDEN)
def test_expiry_instants_around_clock_changes_and_half_days(tmp_path, root, date, utc):
    expiry = dt.date.fromisoformat(date)
    quotes = {(expiry, 500.0, 1): (5.0, 5.1, 1, 2)}
    taken = (expiry - dt.timedelta(days=7)).isoformat()
    symbol = "^SPX" if root.startswith("SPX") else root
    path = tmp_path / "x.csv"
    path.write_text(
        made.datashop_intervals({f"{taken} 10:00:00": quotes}, symbol=symbol, root=root)
    )
    found = open_snapshot(path)
    want = int(dt.datetime.fromisoformat(utc.replace("Z", "+00:00")).timestamp()) * 10**9
    assert found.quotes["expiry"].to_list() == [want]


@pytest.mark.parametrize(("date", "early", "late"), [
    ("2024-03-12", "19:45", "20:15"),
    ("2024-03-08", "20:45", "21:15"),  # winter time
    ("2023-11-24", "17:45", "18:15"),  # half day: "1545" is 12:45, options shut at 13:15
])  # fmt: skip
def test_datashop_snapshots_on_half_days_and_in_winter(tmp_path, date, early, late):
    quotes = {(dt.date(2024, 6, 21), 500.0, 1): (5.0, 5.1, 1, 2)}
    path = tmp_path / "x.csv"
    path.write_text(made.datashop_eod(quotes, quotes, date=date))
    with pytest.raises(Exception, match=f"{date}T{early}:00Z, {date}T{late}:00Z"):
        open_snapshot(path)


def test_before_2020_a_quarter_to_four_on_a_half_day_is_not_guessed(tmp_path):
    quotes = {(dt.date(2020, 6, 19), 300.0, 1): (5.0, 5.1, 1, 2)}
    path = tmp_path / "x.csv"
    path.write_text(made.datashop_eod(quotes, quotes, date="2019-11-29"))
    found = open_snapshot(path)
    assert found.quarantined == {"unreadable time": 1}
    assert found.valuation_ns == made.at("2019-11-29", "13:15") * 10**9


def test_two_clocks_that_disagree_are_not_believed(tmp_path):
    """An epoch written as if New York were on winter time all year."""
    path = tmp_path / "spy.txt"
    wrong = made.at("2024-03-12", "16:00") + 3600
    path.write_text(made.optionsdx(made.market(), unix=wrong))
    with pytest.raises(DataError, match=r"its two clocks disagree 20"):
        open_snapshot(path)


def test_an_hour_that_does_not_exist_is_no_time(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text(made.datashop_intervals({"2024-03-10 02:30:00": made.market()}))
    with pytest.raises(DataError, match=r"no row that can be used \(unreadable time 20\)"):
        open_snapshot(path)


# adjusted root, unknown deliverable, unknown symbol -----------------------------------------------


@pytest.mark.parametrize("name", ["DataShop EOD", "DataShop intervals", "yfinance", "Massive"])
def test_adjusted_roots_are_never_assumed_to_deliver_a_hundred(tmp_path, name):
    file, text = text_of(name, made.market())
    lines = text.splitlines()
    other = lines[1].replace(",SPY,2", ",SPY1,2").replace("SPY240315", "SPY1240315")
    assert other != lines[1]
    path = tmp_path / file
    path.write_text("\n".join([lines[0], *lines[2:], other]) + "\n")
    # a row of EOD has two quotes, and the hours of such a root are as unknown as its deliverable
    assert quarantined(path)["adjusted root"] == (2 if name == "DataShop EOD" else 1)
    assert set(read(path).quotes["root"]) == {"SPY"}


@pytest.mark.parametrize("name", ["code", "contract size", "currency"])
def test_unknown_deliverables_are_quarantined(tmp_path, name):
    path = tmp_path / "x.csv"
    if name == "code":
        path.write_text(made.datashop_eod(made.market(), made.market(), code="ADJ 10 SPY + 5 CASH"))
        with pytest.raises(DataError, match="unknown deliverable 20"):
            open_snapshot(path, at="2024-03-12")
        return
    text = made.yahoo(made.market())
    old, new = ("REGULAR", "MINI") if name == "contract size" else ("USD", "CAD")
    path.write_text(text.replace(old, new, 1))
    reason = "unknown deliverable" if name == "contract size" else "currency is not USD"
    assert read(path).quarantined == {reason: 1}


@pytest.mark.parametrize("symbol", [
    "SPY240399C00500000", "SPY240315X00500000", "SPY240315C0050000", "240315C00500000",
    "SPY240315C00000000", "", "SPY",
])  # fmt: skip
def test_unknown_symbols_are_quarantined(tmp_path, symbol):
    text = made.yahoo(made.market())
    path = tmp_path / "x.csv"
    path.write_text(text.replace("SPY240315C00480000", symbol, 1))
    assert read(path).quarantined == {"unknown symbol": 1}


# expiry today --------------------------------------------------------------------------------


def test_options_expire_at_their_fixing_not_at_midnight(tmp_path):
    quotes = {(dt.date(2024, 3, 12), 500.0, 1): (5.0, 5.1, 1, 2), KEY: (5.0, 5.1, 1, 2)}
    path = tmp_path / "x.csv"
    chains = {f"2024-03-12 {t}:00": quotes for t in ("15:59", "16:00")}
    path.write_text(made.datashop_intervals(chains))
    assert open_snapshot(path, at="2024-03-12 15:59").quotes.height == 2
    assert open_snapshot(path, at="2024-03-12 16:00").quarantined == {"expired": 1}


# truncated or corrupt files, schema drift ---------------------------------------------------------


def packed(kind: str, raw: bytes) -> bytes:
    if kind == "gz":
        return gzip.compress(raw)
    if kind == "zst":
        return pa.compress(raw, "zstd", asbytes=True)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("quotes.csv", raw)
    return out.getvalue()


@pytest.mark.parametrize("kind", ["gz", "zst", "zip"])
@pytest.mark.parametrize("reader", ["snapshot", "check", "convert", "day"])
def test_truncated_gz_zst_and_zip_are_errors_that_say_how_far(tmp_path, kind, reader):
    chains = {f"2024-03-12 10:{m:02d}:00": made.market() for m in range(60)}
    whole = packed(kind, made.datashop_intervals(chains).encode())
    path = tmp_path / f"quotes.csv.{kind}"
    path.write_bytes(whole[: len(whole) * 2 // 3])
    call = {
        "snapshot": lambda: open_snapshot(path, at="2024-03-12"),
        "check": lambda: check(path),
        "convert": lambda: convert(path, tmp_path / "out.parquet"),
        "day": lambda: open_day(path),
    }[reader]
    with pytest.raises(DataError, match=r"truncated or corrupt (gzip|zstandard|zip)") as caught:
        call()
    assert caught.value.file == path.name and "bytes" in str(caught.value)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("kind", ["gz", "zip"])
def test_flipped_bytes_are_found_by_the_checksum(tmp_path, kind):
    whole = bytearray(
        packed(kind, made.datashop_intervals({"2024-03-12 10:00:00": made.market()}).encode())
    )
    whole[len(whole) // 2] ^= 0xFF
    path = tmp_path / f"quotes.csv.{kind}"
    path.write_bytes(whole)
    with pytest.raises(DataError, match=r"truncated or corrupt|does not unpack"):
        open_snapshot(path, at="2024-03-12")


@pytest.mark.parametrize("cut", [10, 200, 0.5])
def test_truncated_parquet_says_so(tmp_path, cut):
    convert(spoilt(tmp_path, "DataShop intervals"), tmp_path / "own.parquet")
    raw = (tmp_path / "own.parquet").read_bytes()
    (tmp_path / "own.parquet").write_bytes(raw[: -cut if cut > 1 else int(len(raw) * cut)])
    with pytest.raises(DataError, match=r"own\.parquet: truncated or corrupt") as caught:
        open_snapshot(tmp_path / "own.parquet")
    assert caught.value.exit_code == 4


def test_a_text_cut_off_in_a_row_is_named_by_row(tmp_path):
    text = made.datashop_intervals({"2024-03-12 10:00:00": made.market()})
    path = tmp_path / "x.csv"
    path.write_text(text[:-30])
    with pytest.raises(DataError, match=r"row 21: ends in the middle of a row, after \d+ of 26"):
        open_snapshot(path, at="2024-03-12")


def test_schema_drift_names_the_column(tmp_path):
    convert(spoilt(tmp_path, "DataShop intervals"), tmp_path / "own.parquet")
    frame = pl.read_parquet(tmp_path / "own.parquet")
    frame.with_columns(pl.col("bid").cast(pl.String)).write_parquet(tmp_path / "drift.parquet")
    with pytest.raises(DataError, match=r"drift\.parquet: column bid is String, expected Float64"):
        open_snapshot(tmp_path / "drift.parquet")
    assert set(own_table.COLUMNS) == set(frame.columns)
    with zipfile.ZipFile(tmp_path / "two.zip", "w") as archive:
        text = made.datashop_intervals({"2024-03-12 10:00:00": made.market()})
        archive.writestr("a.csv", text)
        archive.writestr("b.csv", text.replace(",ask,", ",offer,", 1))
    with pytest.raises(DataError, match=r"member b\.csv has another column: offer"):
        open_snapshot(tmp_path / "two.zip", at="2024-03-12")


@pytest.mark.parametrize(("name", "column"), [
    ("OptionsDX", "QUOTE_READTIME"), ("OptionsDX", "C_SIZE"),
    ("DataShop EOD", "underlying_bid_eod"),
])  # fmt: skip
def test_a_column_that_is_gone_is_named(tmp_path, name, column):
    file, text = text_of(name, made.market())
    path = tmp_path / file
    path.write_text(text.replace(column, "RENAMED", 1))
    with pytest.raises(DataError, match=column.lower()) as caught:
        read(path)
    assert caught.value.file == file


def test_a_row_of_another_length_is_set_aside_not_shifted(tmp_path):
    lines = made.datashop_intervals({"2024-03-12 10:00:00": made.market()}).splitlines()
    lines.insert(5, lines[5] + ",7")
    lines.insert(9, lines[9].rpartition(",")[0])
    path = tmp_path / "x.csv"
    path.write_text("\n".join(lines) + "\n")
    found = open_snapshot(path, at="2024-03-12")
    assert found.quarantined == {"row of another length": 2}
    assert found.quotes.height == len(made.market())


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\x00\x01\x02" * 100, b"a,b,c\n1,2,3\n"])
def test_what_is_no_table_is_refused(tmp_path, content):
    path = tmp_path / "x.csv"
    path.write_bytes(content)
    for call in (open_snapshot, open_day, check):
        with pytest.raises(DataError) as caught:
            call(path)
        assert caught.value.exit_code == 4


def test_a_cboe_page_is_still_a_cboe_page(tmp_path):
    """Formats that name columns must not swallow what the older readers know."""
    path = tmp_path / "quotedata.csv"
    path.write_text(cboe_table())
    assert open_snapshot(path).reader == "Cboe quotedata"


# file larger than memory, decompression bomb ------------------------------------------------------


@pytest.mark.parametrize("kind", ["gz", "zst", "zip"])
def test_a_decompression_bomb_is_refused_before_it_is_held(tmp_path, kind, monkeypatch):
    monkeypatch.setattr(streams, "SMALL", 1 << 20)
    header = made.DATASHOP_INTERVAL.encode() + b"\n"
    path = tmp_path / f"bomb.{kind}"
    path.write_bytes(packed(kind, header + b"0" * (40 << 20)))
    assert path.stat().st_size < 100_000
    for call in (lambda: open_snapshot(path, at="2024-03-12"), lambda: check(path)):
        with pytest.raises(DataError, match=r"unpacks to .* MB or more, over 400 times its size"):
            call()


def test_a_line_without_an_end_is_not_gathered_for_ever(tmp_path):
    path = tmp_path / "x.csv"
    with path.open("wb") as out:
        out.write(made.DATASHOP_INTERVAL.encode() + b"\n")
        for _ in range(40):
            out.write(b"0" * (1 << 20))
    with pytest.raises(DataError, match="has a line of over 16 MiB"):
        open_snapshot(path, at="2024-03-12")


def test_a_parquet_bomb_is_refused_by_its_own_word(tmp_path, monkeypatch):
    monkeypatch.setattr(streams, "SMALL", 1 << 20)
    convert(spoilt(tmp_path, "DataShop intervals"), tmp_path / "own.parquet")
    one = pl.read_parquet(tmp_path / "own.parquet").head(1)
    pl.concat([one] * 400_000).write_parquet(tmp_path / "bomb.parquet", compression="zstd")
    with pytest.raises(DataError, match=r"unpacks to \d+ MB, over 400 times its size"):
        open_snapshot(tmp_path / "bomb.parquet")
