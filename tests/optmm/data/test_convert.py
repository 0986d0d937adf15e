"""`optmm data convert`: whole or not there, exact, and in bounded memory."""

import json
import resource
import subprocess
import sys

import numpy as np
import polars as pl
import pytest
import vendor_files as made
from cboe_files import table
from typer.testing import CliRunner

from optmm.cli.data import app
from optmm.data import own_table, store
from optmm.data.convert import convert
from optmm.data.readers import open_day
from optmm.data.snapshots import open_snapshot
from optmm.errors import DataError, UsageError

MARKET, LATER = made.market(), made.market(503.1)
CHAINS = {"2024-03-12 10:00:00": MARKET, "2024-03-12 10:15:00": LATER}


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "quotes.csv"
    path.write_text(made.datashop_intervals(CHAINS))
    return path


def left(folder) -> set[str]:
    """Names in a folder, hidden ones too."""
    return {path.name for path in folder.iterdir()}


def test_a_table_comes_back_as_it_was_read(source, tmp_path):
    out = tmp_path / "out.parquet"
    done = convert(source, out)
    assert (done.kind, done.read, done.written, done.quarantined) == ("table", 40, 40, {})
    for at in ("2024-03-12 10:05", "2024-03-12 10:15"):
        one, two = open_snapshot(source, at=at), open_snapshot(out, at=at)
        assert two.quotes.equals(one.quotes)
        assert (two.valuation_ns, two.bid, two.ask) == (one.valuation_ns, one.bid, one.ask)
    assert open_day(out).events.tobytes() == open_day(source).events.tobytes()
    about = own_table.about(out)
    assert (about["schema"], about["source"], about["read"]) == ("optmm.quotes/1", "quotes.csv", 40)
    assert left(tmp_path) == {"quotes.csv", "out.parquet"}


def test_a_day_comes_back_as_it_was_read(source, tmp_path):
    done = convert(source, tmp_path / "day", date="2024-03-12")
    day, back = open_day(source), open_day(tmp_path / "day")
    assert back.events.tobytes() == day.events.tobytes()
    assert (back.bar_ns, back.quality) == (day.bar_ns, day.quality)
    assert (done.kind, done.written, left(tmp_path)) == ("day", 40, {"quotes.csv", "day"})
    assert store.title(tmp_path / "day") == (("SPY", "SPY"), "2024-03-12")


def test_twice_gives_the_same_bytes(source, tmp_path):
    for name in ("one", "two"):
        convert(source, tmp_path / f"{name}.parquet")
        convert(source, tmp_path / name)
    for one, two in (("one.parquet", "two.parquet"), ("one/events.parquet", "two/events.parquet"),
                     ("one/day.json", "two/day.json")):  # fmt: skip
        assert (tmp_path / one).read_bytes() == (tmp_path / two).read_bytes()


def test_a_stream_and_a_whole_day_are_stored_alike(source, tmp_path):
    convert(source, tmp_path / "stream")
    store.write(open_day(source), tmp_path / "whole")
    for name in ("events.parquet", "chain.parquet", "day.json"):
        assert (tmp_path / "stream" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_a_table_may_be_limited_to_a_date(source, tmp_path):
    text = source.read_text()
    text += text.replace(made.DATASHOP_INTERVAL + "\n", "").replace("2024-03-12 ", "2024-03-11 ")
    source.write_text(text)
    for i, date in enumerate(("2024-03-11", "20240311")):
        done = convert(source, tmp_path / f"{i}.parquet", date=date)
        assert (done.read, done.written) == (40, 40)
        stamps = pl.read_parquet(done.out)["ts"].unique().sort().to_list()
        assert stamps == [made.at("2024-03-11", t) * 10**9 for t in ("10:00", "10:15")]


def test_files_of_one_chain_become_tables(tmp_path):
    cboe, yahoo = tmp_path / "quotedata.csv", tmp_path / "spy_2024-03-12_close.csv"
    cboe.write_text(table())
    yahoo.write_text(made.yahoo(MARKET))
    for path in (cboe, yahoo):
        out = tmp_path / f"{path.stem}.parquet"
        done = convert(path, out)
        one, two = open_snapshot(path), open_snapshot(out)
        assert two.quotes.equals(one.quotes)
        assert (two.valuation_ns, two.kind) == (one.valuation_ns, one.kind)
        np.testing.assert_equal((two.last, two.bid, two.ask), (one.last, one.bid, one.ask))
        assert done.read == done.written + sum(done.quarantined.values())
        with pytest.raises(UsageError, match=r"is no trading day: name .*\.parquet"):
            convert(path, tmp_path / "folder")


def test_lean_becomes_a_day(goog, tmp_path):
    goog("34200000,20000,20000,20000,20000,7,21500,21500,21500,21500,19\n")
    done = convert(tmp_path, tmp_path.parent / f"{tmp_path.name}-day")
    assert (done.reader, done.written) == ("LEAN data folder", 1)
    with pytest.raises(UsageError, match="stored as folders"):
        convert(tmp_path, tmp_path / "x.parquet")
    with pytest.raises(UsageError, match="is a stored day already"):
        convert(done.out, tmp_path / "again")


@pytest.mark.parametrize("name", ["out.parquet", "day"])
def test_what_fails_leaves_nothing_and_what_exists_is_not_touched(source, tmp_path, name):
    text = source.read_text()
    source.write_text(text[: len(text) * 3 // 4])  # ends in the middle of a row
    with pytest.raises(DataError, match="ends in the middle of a row"):
        convert(source, tmp_path / name)
    assert left(tmp_path) == {"quotes.csv"}
    source.write_text(text)
    (tmp_path / name).write_text("mine")
    with pytest.raises(UsageError, match="exists: name another place"):
        convert(source, tmp_path / name)
    assert (tmp_path / name).read_text() == "mine"


def test_an_interrupt_leaves_nothing(source, tmp_path):
    def stop(rows):
        raise KeyboardInterrupt

    for name in ("out.parquet", "day"):
        with pytest.raises(KeyboardInterrupt):
            convert(source, tmp_path / name, progress=stop)
    assert left(tmp_path) == {"quotes.csv"}


@pytest.mark.parametrize("block", [8 << 20, 500])
def test_rows_are_counted_by_reason_and_none_is_lost(source, tmp_path, monkeypatch, block):
    """A repeat is found in the next chunk, too."""
    monkeypatch.setattr("optmm.data.streams.blocks.__defaults__", (block,))
    lines = source.read_text().splitlines(keepends=True)
    cells = lines[1].split(",")
    lines.insert(12, lines[1])  # the same contract at the same instant
    lines += [
        ",".join([*cells[:2], "SPY1", *cells[3:]]),
        ",".join([*cells[:11], "nan", *cells[12:]]).replace("10:00", "10:30"),
        ",".join([*cells[:12], "-1.0", *cells[13:]]).replace("10:00", "10:30"),
        "a,b,c\n",
        ",".join(cells).replace("SPY,", "QQQ,").replace("10:00", "10:30"),
    ]
    source.write_text("".join(lines))
    done = convert(source, tmp_path / "out.parquet", underlying="SPY")
    assert done.quarantined == {
        "adjusted root": 1, "duplicate contract": 1, "negative price or size": 1,
        "not a number": 1, "row of another length": 1,
    }  # fmt: skip
    assert done.read == done.written + sum(done.quarantined.values()) == 45
    kept = pl.read_parquet(done.out)
    assert kept["underlying"].unique().to_list() == ["SPY"]
    assert own_table.about(done.out)["quarantined"] == done.quarantined


def test_the_command_prints_one_object_and_keeps_words_off_stdout(source, tmp_path):
    out = tmp_path / "out.parquet"
    result = CliRunner().invoke(app, ["convert", str(source), "--out", str(out), "--json"])
    assert result.exit_code == 0, result.exception
    facts = json.loads(result.stdout)
    assert (facts["rows"], facts["written"], facts["kind"]) == (40, 40, "table")
    result = CliRunner().invoke(
        app, ["convert", str(source), "--out", str(tmp_path / "day")], env={"COLUMNS": "100"}
    )
    assert "a day to replay" in result.stdout and "rows written" in result.stdout


@pytest.mark.slow
def test_memory_does_not_grow_with_the_file(tmp_path):
    """Eight times the rows, a limit on memory that holds them not even as bytes."""
    start = made.at("2024-03-12", "10:00") * 10**9
    keys = list(MARKET)
    path = tmp_path / "tape.csv"
    peak = {}
    for name, rows in (("small", 200_000), ("large", 2_000_000)):
        with path.open("w") as out:
            out.write(made.MASSIVE + "\n")
            for i in range(rows):
                ticker = made.osi("SPY", keys[i % len(keys)])
                ns = start + i * 5_000_000
                out.write(f"O:{ticker},302,5.1,{1 + i % 50},316,5.0,{1 + i % 40},{i},{ns}\n")
        code = (
            "import resource\n"
            "from pathlib import Path\n"
            "from optmm.data import streams, tape, store\n"
            "streams.blocks.__defaults__ = (1 << 20,)\n"
            "tape.ordered.__defaults__ = (100_000,)\n"
            "store.GROUP_ROWS = 50_000\n"
            "from optmm.data.convert import convert\n"
            f"done = convert(Path({str(path)!r}), Path({str(tmp_path / name)!r}))\n"
            "print(done.written, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        written, kib = (int(word) for word in done.stdout.split())
        assert written == rows
        peak[name] = kib
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss > 0
    # ten times the rows, 115 MB more of events: a tenth of that is allowed
    assert peak["large"] - peak["small"] < 60_000, peak
