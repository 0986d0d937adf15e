"""The newer readers on real files: Databento's own examples, Deribit's books and summaries.

The referee of Deribit is Deribit: its marks are Black (1976) on the forward of the expiry at its
own vol, divided by that forward, so mark vol and forward must give the mark back.
"""

import csv
import datetime as dt
import gzip
import math

import numpy as np
import polars as pl
import pytest

from optmm.data import formats
from optmm.data.check import check
from optmm.data.convert import convert
from optmm.data.readers import open_day, reader_for
from optmm.data.snapshots import open_snapshot
from optmm.errors import DataError
from optmm.market.events import Kind

pytestmark = pytest.mark.real


def folder(shared_data, name: str):
    place = shared_data / name
    if not place.is_dir():
        pytest.skip(f"the real files are not here: put them in ../shared/data/{name}")
    return place


@pytest.fixture(scope="module")
def opra(shared_data):
    pytest.importorskip("databento_dbn", reason="pip install 'optmm[databento]'")
    return folder(shared_data, "databento_opra")


def test_databento_examples_join_into_the_day_their_records_describe(opra):
    """Prices, times and sizes as printed by the library when it decodes the same files."""
    (listing,) = reader_for(opra).days(opra)
    assert (listing.underlying, listing.dates) == ("AAPL", ("2025-02-20",))
    day = open_day(opra)
    assert day.chain.symbol == ("AAPL  250221C00250000",)
    assert day.open_interest.tolist() == [57_924]
    quotes = day.events[day.events["kind"] == Kind.QUOTE]
    rows = [tuple(int(e[n]) for n in ("ts_event_ns", "bid_e9", "ask_e9", "bid_lots", "ask_lots"))
            for e in quotes]  # fmt: skip
    assert rows == [  # cbbo-1s; the record of 13:00:01 has no market and lies before the open
        (1740061801000000000, 100_000_000, 250_000_000, 1, 4),
        (1740061802000000000, 180_000_000, 210_000_000, 5, 51),
        (1740061803000000000, 220_000_000, 240_000_000, 9, 13),
    ]
    trades = day.events[day.events["kind"] == Kind.TRADE]
    assert trades["ts_event_ns"].tolist() == [
        1740061800817657088, 1740061801631777024, 1740061801644682240, 1740061801745517312
    ]  # fmt: skip
    assert trades["bid_e9"].tolist() == [240_000_000, 200_000_000, 190_000_000, 190_000_000]
    assert trades["bid_lots"].tolist() == [1, 2, 1, 4]
    assert set(trades["ask_lots"]) == {0}, "OPRA does not say who was the aggressor"
    assert day.quality.quarantined == {"outside the session": 1}


def test_one_databento_file_alone_names_its_series_by_its_header(opra):
    day = open_day(opra / "test_data.cbbo-1m.dbn.zst")
    quotes = day.events[day.events["kind"] == Kind.QUOTE]
    assert quotes["bid_e9"].tolist() == [320_000_000, 430_000_000, 340_000_000]
    assert any("no definitions" in note for note in day.quality.notes)
    with pytest.raises(DataError, match="holds no quotes or trades of AAPL"):
        open_day(opra / "test_data.ohlcv-1m.dbn.zst")


def test_databento_converts_to_a_stored_day(opra, tmp_path):
    done = convert(opra, tmp_path / "day")
    assert (done.read, done.written) == (8, 7)
    assert open_day(tmp_path / "day").events.tobytes() == open_day(opra).events.tobytes()


def days_of(shared_data):
    found = sorted((folder(shared_data, "crypto_eod") / "deribit").glob("*.csv.gz"))
    if not found:
        pytest.skip("the Deribit summaries are not here: put them in ../shared/data/crypto_eod")
    return found


def raw(path) -> list[dict[str, str]]:
    with gzip.open(path, "rt") as text:
        return list(csv.DictReader(text))


def undiscounted(right: int, forward: float, strike: float, s: float) -> float:
    """Black's formula; `s` is vol times the root of time."""
    d1 = math.log(forward / strike) / s + s / 2
    n1, n2 = (0.5 * math.erfc(-right * d / math.sqrt(2)) for d in (d1, d1 - s))
    return right * (forward * n1 - strike * n2)


def test_deribit_marks_are_black_on_the_forward_that_converts_them(shared_data):
    """Mark in coin x forward = Black at mark_iv: the conversion, the instant and the percent.

    The vol is printed to 0.005 points and the mark is smoothed between refreshes: 0.5 % of the
    premium or three basis points of the forward.
    """
    path = days_of(shared_data)[0]
    table = formats.known(path)
    (rows,) = formats.judged(table, path, formats.Context(path.name))
    assert rows["reason"].is_null().all()
    off = []
    for row, line in zip(rows.iter_rows(named=True), raw(path), strict=True):
        forward = float(line["underlying_price"])
        years = (row["expiry"] - row["ts"]) / (365 * 86_400e9)
        want = undiscounted(row["right"], forward, row["strike"], row["vol"] * math.sqrt(years))
        got = float(line["mark_price"]) * forward
        off.append(abs(got - want) <= max(0.005 * want, 3e-4 * forward))
        if line["bid"]:
            assert row["bid"] == pytest.approx(float(line["bid"]) * forward, rel=1e-15)
    assert np.mean(off) > 0.99, np.mean(off)


@pytest.mark.parametrize("coin", ["BTC", "ETH"])
def test_deribit_parity_holds_with_every_discount_factor_one(shared_data, coin):
    """In USD at the forward, C - P = F - K inside the spreads, and F is the one in the file."""
    for path in days_of(shared_data)[:5]:
        found = open_snapshot(path, underlying=coin).check()
        forwards = {
            line["expiry"]: float(line["underlying_price"])
            for line in raw(path) if line["underlying"] == coin
        }  # fmt: skip
        calls, puts = (found.quotes.filter(pl.col("right") == r) for r in (1, -1))
        pairs = calls.join(puts, on=["date", "strike"], suffix="_put").drop_nans()
        assert pairs.height > 50
        for row in pairs.iter_rows(named=True):
            gap = forwards[str(row["date"])] - row["strike"]
            assert row["bid"] - row["ask_put"] <= gap + 1e-6, row
            assert row["ask"] - row["bid_put"] >= gap - 1e-6, row


def test_deribit_counts_are_those_of_the_readme(shared_data):
    for path in days_of(shared_data):
        facts = check(path, underlying="BTC")
        assert 800 <= facts["quotes"] <= 1_100, path.name
        assert 0.85 <= facts["two_sided_share"] <= 0.97
        assert facts["crossed"] == 0 and facts["parity_violations"] == 0


def test_deribit_books_with_depth_read_as_one_chain(shared_data):
    path = folder(shared_data, "deribit_book") / "btc_2020-05-22.csv.gz"
    found = open_snapshot(path)
    when = dt.datetime.fromtimestamp(found.valuation_ns / 1e9, dt.UTC)
    assert (when.date(), when.hour, when.minute) == (dt.date(2020, 5, 21), 23, 22)
    assert (found.underlying, found.read) == ("BTC", 326)
    lines = raw(path)
    index = np.median([float(line["index_price"]) for line in lines])
    assert found.spot == pytest.approx(index)
    by_name = {line["instrument_name"]: line for line in lines}
    line = by_name["BTC-26JUN20-10500-P"]
    row = found.quotes.filter(
        (pl.col("date") == dt.date(2020, 6, 26)) & (pl.col("strike") == 10_500)
        & (pl.col("right") == -1)
    )  # fmt: skip
    coin, forward = float(line["best_bid_price"]), float(line["underlying_price"])
    assert row["bid"].item() == pytest.approx(coin * forward, rel=1e-15)


def test_another_exchanges_summary_is_refused(shared_data):
    found = sorted((folder(shared_data, "crypto_eod") / "okx").glob("*.csv.gz"))
    with pytest.raises(DataError, match=r"another exchange 1,418"):
        open_snapshot(found[0])


def test_cboe_chains_convert_to_tables_that_say_the_same(shared_data, tmp_path):
    path = folder(shared_data, "cboe_quotedata") / "spx_2023-05-26_close.csv.gz"
    out = tmp_path / "spx.parquet"
    done = convert(path, out)
    one, two = open_snapshot(path), open_snapshot(out)
    assert two.quotes.equals(one.quotes)
    assert (two.valuation_ns, two.underlying) == (one.valuation_ns, one.underlying)
    assert done.read == 17_354 == done.written + sum(done.quarantined.values())


def test_check_tells_the_broken_page_from_the_good_ones(shared_data):
    for path in sorted(folder(shared_data, "cboe_quotedata").glob("*.csv.gz")):
        facts = check(path)
        assert facts["usable"] is ("BROKEN" not in path.name), path.name
        if facts["parity_pairs"] is not None:
            assert facts["parity_violations"] <= 0.01 * facts["parity_pairs"], path.name


def test_check_of_a_lean_day_agrees_with_the_day(shared_data):
    facts = check(folder(shared_data, "lean"), underlying="GOOG", date="2015-12-24")
    assert facts["usable"] and facts["gaps"] == 0
    assert (facts["rows"], facts["crossed"]) == (276_997, 0)
    assert facts["quarantined"]["blank on both sides"] == 985
