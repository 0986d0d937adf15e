"""Databento files that its own library encoded, joined into a day."""

import builtins

import numpy as np
import pytest
from dbn_files import ADJUSTED, CALL, CLOSE_NS, DAY, MINI, OPEN_NS, OTHER, PUT, SPY, Maker, ns

from optmm.data import dbn_file, store
from optmm.data.readers import open_day
from optmm.data.snapshots import open_snapshot
from optmm.errors import DataError
from optmm.market.events import Bits, Kind

dbn = pytest.importorskip("databento_dbn", reason="pip install 'optmm[databento]'")


@pytest.fixture
def make(tmp_path):
    return Maker(dbn, tmp_path)


def of_kind(day, kind: Kind) -> list[tuple]:
    """(instrument, seconds after the open, bid, ask, bid size, ask size) of each event."""
    rows = day.events[day.events["kind"] == kind]
    return [
        (int(e["instrument"]), (int(e["ts_event_ns"]) - OPEN_NS) / 1e9, e["bid_e9"] / 1e9,
         e["ask_e9"] / 1e9, int(e["bid_lots"]), int(e["ask_lots"]))
        for e in rows
    ]  # fmt: skip


def test_the_layout_is_that_of_the_librarys_own_records(make, tmp_path):
    """Field by field, for every type of record that is viewed and not decoded."""
    for record, kind in (
        (make.trade(CALL, 1, 2.5, 3, sequence=77), dbn_file.TRADES),
        (make.cmbp(CALL, 1, 2.5, 2.6, 7, 8, action="T", flags=4, price=2.55, lots=9),
         dbn_file.CMBP_1),
        (make.cbbo(CALL, 1, 2.5, None, 7, 8), dbn_file.CBBO_1S),
        (make.cbbo(CALL, 1, None, 2.6, 7, 8, rtype=193), dbn_file.CBBO_1M),
        (make.mbp(SPY, 1, 500.0, 500.01, 3, 4, sequence=5), dbn_file.MBP_1),
    ):  # fmt: skip
        path = make.write("one", "trades", [record] * 3, packed=False)
        ((found, rows),) = dbn_file.runs(path)
        assert (found, rows.size, int(record.rtype.value)) == (kind, 3, kind)
        row = rows[-1]
        names = {"instrument_id": record.instrument_id, "ts_event": record.ts_event,
                 "ts_recv": record.ts_recv, "price": record.price, "lots": record.size}  # fmt: skip
        if kind != dbn_file.TRADES:
            level = record.levels[0]
            names |= {n: getattr(level, n) for n in ("bid_px", "ask_px", "bid_sz", "ask_sz")}
        if hasattr(record, "sequence"):
            names["sequence"] = record.sequence
        if hasattr(record, "action"):
            names["action"] = record.action.value.encode()
        names["side"] = record.side.value.encode() if hasattr(record.side, "value") else b"N"
        names["flags"] = int(record.flags)
        assert {n: row[n] for n in names} == names
    types = {"MBP_0": 0, "MBP_1": 1, "CMBP_1": 177, "CBBO_1S": 192, "CBBO_1M": 193, "TCBBO": 194,
             "BBO_1S": 195, "BBO_1M": 196}  # fmt: skip
    for name, kind in types.items():
        assert getattr(dbn.RType, name).value == kind


def test_definitions_quotes_trades_and_statistics_join(make, tmp_path):
    make.definitions()
    make.write("quotes", "cmbp-1", [
        make.cmbp(CALL, 1.0, 5.00, 5.10, 11, 12),
        make.cmbp(PUT, 2.0, None, 0.05, 0, 5),
        make.cmbp(OTHER, 2.5, 9.00, 9.10),
        make.cmbp(CALL, 3.0, 5.05, 5.15, action="T", price=5.15, lots=4),  # in the trades too
        make.cmbp(CALL, 4.0, None, None, 0, 0, action="R"),
    ])  # fmt: skip
    make.write("trades", "trades", [make.trade(CALL, 3.0, 5.15, 4), make.trade(PUT, 5, 0.05, 1)])
    make.write("statistics", "statistics", [make.interest(CALL, 57_924), make.interest(OTHER, 5)])
    make.write("equity", "mbp-1", [make.mbp(SPY, 0.5, 502.29, 502.31)], dataset="XNAS.ITCH",
               symbols={SPY: "SPY"})  # fmt: skip
    make.write("prints", "trades", [make.trade(SPY, 0.75, 502.3, 100)], dataset="XNAS.ITCH",
               symbols={SPY: "SPY"})  # fmt: skip
    day = open_day(tmp_path, "SPY", DAY)
    assert day.chain.symbol == (
        "SPY   240315C00500000", "SPY   240315P00500000", "SPY   240315C00505000"
    )  # fmt: skip
    assert of_kind(day, Kind.QUOTE) == [
        (0, 1.0, 5.00, 5.10, 11, 12), (1, 2.0, 0.0, 0.05, 0, 5), (0, 4.0, 0.0, 0.0, 0, 0)
    ]  # fmt: skip
    assert of_kind(day, Kind.TRADE) == [(0, 3.0, 5.15, 5.15, 4, 0), (1, 5.0, 0.05, 0.05, 1, 0)]
    assert of_kind(day, Kind.UNDERLYING_QUOTE) == [(3, 0.5, 502.29, 502.31, 300, 400)]
    assert of_kind(day, Kind.UNDERLYING_TRADE) == [(3, 0.75, 502.3, 502.3, 0, 0)]
    quote = day.events[day.events["kind"] == Kind.QUOTE][0]
    assert quote["ts_recv_ns"] - quote["ts_event_ns"] == 200_000
    assert day.open_interest.tolist() == [57_924, -1, -1]
    assert (day.session.open_ns, day.session.close_ns, day.bar_ns) == (OPEN_NS, CLOSE_NS, 0)
    assert day.quality.quarantined == {}
    # the call stood for three seconds, the put never
    span = 2 * (CLOSE_NS - OPEN_NS) / 1e9
    assert day.quality.two_sided_share == pytest.approx(3.0 / span, rel=1e-12)
    assert {name for name, _ in day.sources} == {
        f"{n}.dbn.zst" for n in ("definition", "quotes", "trades", "statistics", "equity", "prints")
    }


def test_prints_come_from_the_quotes_where_no_trades_are_given(make, tmp_path):
    make.write("quotes", "cmbp-1", [
        make.cmbp(CALL, 1, 5.0, 5.1), make.cmbp(CALL, 2, 5.0, 5.1, action="T", price=5.1, lots=6)
    ])  # fmt: skip
    day = open_day(tmp_path, "SPY", DAY)
    assert of_kind(day, Kind.TRADE) == [(0, 2.0, 5.1, 5.1, 6, 0)]
    assert any("no definitions" in note for note in day.quality.notes)


def test_the_finest_quotes_are_read_and_the_side_of_a_trade_is_kept(make, tmp_path):
    make.write("fine", "cbbo-1s", [make.cbbo(CALL, 1, 5.0, 5.1)])
    make.write("coarse", "cbbo-1m", [make.cbbo(CALL, 60, 6.0, 6.1, rtype=193)])
    make.write("trades", "trades", [
        make.trade(CALL, 1, 5.1, 1, side="B"), make.trade(CALL, 2, 5.0, 1, side="A", sequence=2)
    ])  # fmt: skip
    day = open_day(tmp_path, "SPY")
    assert of_kind(day, Kind.QUOTE) == [(0, 1.0, 5.0, 5.1, 10, 20)]
    assert [row[-1] for row in of_kind(day, Kind.TRADE)] == [1, -1]
    assert "not read: cbbo-1m" in day.quality.notes


def test_sampled_books_are_known_at_the_end_of_their_interval(make, tmp_path):
    record = make.cbbo(CALL, 61.0, 5.0, 5.1)
    record.ts_event = ns(60.25)  # of the last trade
    make.write("fine", "cbbo-1s", [record])
    assert of_kind(open_day(tmp_path, "SPY"), Kind.QUOTE) == [(0, 61.0, 5.0, 5.1, 10, 20)]


def test_every_reason_to_set_a_record_aside_is_counted(make, tmp_path):
    make.definitions(mini=10)
    good = [make.cmbp(CALL, 1, 5.0, 5.1), make.cmbp(CALL, 2, 5.0, 5.0)]  # locked: kept
    bad = [
        make.cmbp(ADJUSTED, 3, 5.0, 5.1),
        make.cmbp(MINI, 3, 5.0, 5.1),
        make.cmbp(999, 3, 5.0, 5.1),
        make.cmbp(CALL, 3, 5.2, 5.1),
        make.cmbp(CALL, 3, -1.0, 5.1),
        make.cmbp(CALL, 3, 5.0, 2e7),
        make.cmbp(CALL, 3, 5.0, 5.1, flags=4),
        make.cmbp(CALL, -60, 5.0, 5.1),
        make.cmbp(CALL, 7 * 3600, 5.0, 5.1),
        make.cmbp(CALL, 2, 5.0, 5.0),
    ]
    make.write("quotes", "cmbp-1", good + bad)
    make.write("trades", "trades", [make.trade(CALL, 4, 0.0, 1), make.trade(CALL, 4, 5.0, 0)])
    day = open_day(tmp_path, "SPY")
    assert day.quality.quarantined == {
        "adjusted root": 1, "crossed quote": 1, "duplicate": 1, "flagged as a bad book": 1,
        "negative price or size": 1, "no price or size": 2, "out of range": 1,
        "outside the session": 2, "unknown deliverable": 1, "unknown symbol": 1,
    }  # fmt: skip
    assert day.quality.rows == len(good + bad) + 2
    assert [row[1] for row in of_kind(day, Kind.QUOTE)] == [1.0, 2.0]


def test_a_price_without_size_is_no_price(make, tmp_path):
    make.write("quotes", "cmbp-1", [make.cmbp(CALL, 1, 5.0, 5.1, 0, 7)])
    assert of_kind(open_day(tmp_path, "SPY"), Kind.QUOTE) == [(0, 1.0, 0.0, 5.1, 0, 7)]


def test_definitions_of_another_day_do_not_name_todays_ids(make, tmp_path):
    """Ids are used again: yesterday's 101 may be another series."""
    yesterday = make.definition(OTHER, when=OPEN_NS - 86_400 * 10**9)
    yesterday.instrument_id = CALL
    make.write("definition", "definition", [make.definition(CALL), yesterday], symbols={})
    make.write("quotes", "cmbp-1", [make.cmbp(CALL, 1, 5.0, 5.1)], symbols={})
    assert open_day(tmp_path, "SPY", DAY).chain.symbol == ("SPY   240315C00500000",)


def test_a_halt_of_the_class_stops_the_desk_and_one_of_a_series_its_quotes(make, tmp_path):
    make.definitions()
    make.write("status", "status", [
        make.status(CALL, 5, "HALT"), make.status(PUT, 10, "PAUSE"), make.status(MINI, 11, "HALT"),
        make.status(PUT, 20, "TRADING"), make.status(CALL, 30, "TRADING"),
        make.status(OTHER, 1, "HALT"),
    ])  # fmt: skip
    make.write("quotes", "cmbp-1", [make.cmbp(n, t, 5.0, 5.1) for t in (1, 7, 25, 31)
                                    for n in (CALL, PUT)])  # fmt: skip
    day = open_day(tmp_path, "SPY")
    status = day.events[day.events["kind"] == Kind.STATUS]
    said = [((e["ts_event_ns"] - OPEN_NS) / 1e9, Bits(int(e["bits"]))) for e in status]
    assert said == [
        (0.0, Bits.OPEN), (10.0, Bits.HALT), (30.0, Bits.RESUME),
        ((CLOSE_NS - OPEN_NS) / 1e9, Bits.CLOSE),
    ]  # fmt: skip
    call = [(t, bid) for row, t, bid, *_ in of_kind(day, Kind.QUOTE) if row == 0]
    assert call == [(1.0, 5.0), (5.0, 0.0), (31.0, 5.0)]
    put = [(t, bid) for row, t, bid, *_ in of_kind(day, Kind.QUOTE) if row == 1]
    assert put == [(1.0, 5.0), (7.0, 5.0), (10.0, 0.0), (25.0, 5.0), (31.0, 5.0)]
    assert day.quality.quarantined == {"while its series was halted": 2}


def test_a_halt_of_the_underlying_is_one_of_the_class(make, tmp_path):
    make.write("quotes", "cmbp-1", [make.cmbp(CALL, 1, 5.0, 5.1)])
    make.write("status", "status", [make.status(SPY, 5, "HALT"), make.status(SPY, 9, "TRADING")],
               dataset="XNAS.ITCH", symbols={SPY: "SPY"})  # fmt: skip
    day = open_day(tmp_path, "SPY")
    status = day.events[day.events["kind"] == Kind.STATUS]
    assert [int(b) for b in status["bits"]] == [Bits.OPEN, Bits.HALT, Bits.RESUME, Bits.CLOSE]


@pytest.mark.parametrize("packed", [True, False])
def test_many_records_through_small_blocks_are_the_same_records(make, monkeypatch, packed):
    records = [make.cmbp(CALL, 1 + i / 100, 5.0, 5.0 + i / 100) for i in range(500)]
    mixed = [make.trade(PUT, 1, 5.0, 1), *records, make.trade(PUT, 2, 5.0, 1)]
    path = make.write("mixed", "mixed", mixed, packed=packed)
    whole = [(kind, rows.copy()) for kind, rows in dbn_file.runs(path)]
    monkeypatch.setattr("optmm.data.streams.blocks.__defaults__", (333,))
    parts = [(kind, rows.copy()) for kind, rows in dbn_file.runs(path)]
    assert len(parts) > len(whole)
    for kind in (dbn_file.TRADES, dbn_file.CMBP_1):
        one, many = (
            [row for k, rows in found if k == kind for row in rows.tolist()]
            for found in (whole, parts)
        )
        assert one == many and len(one) in (2, 500)


@pytest.mark.parametrize(("cut", "words"), [
    (5, r"ends in the middle of record 3"), (80 * 3 + 9, r"ends in its header, after"),
])  # fmt: skip
def test_a_file_cut_short_says_where(make, tmp_path, cut, words):
    path = make.write("q", "cmbp-1", [make.cmbp(CALL, t, 5.0, 5.1) for t in (1, 2, 3)], cut=cut)
    with pytest.raises(DataError, match=words) as caught:
        open_day(path, "SPY")
    assert (caught.value.exit_code, caught.value.file) == (4, path.name)


def test_a_definition_cut_short_says_where(make, tmp_path):
    make.write("d", "definition", [make.definition(CALL), make.definition(PUT)], cut=100)
    with pytest.raises(DataError, match=r"d\.dbn\.zst.*ends in the middle of record 2"):
        open_day(tmp_path)


def test_a_link_out_of_the_folder_is_not_followed(make, tmp_path):
    (tmp_path / "opra").mkdir()
    path = make.write("quotes", "cmbp-1", [make.cmbp(CALL, 1, 5.0, 5.1)])
    (tmp_path / "opra" / "link.dbn.zst").symlink_to(path)
    with pytest.raises(DataError, match="lies outside the data folder"):
        open_day(tmp_path / "opra", "SPY", DAY)


def test_ids_of_other_underlyings_are_neither_ours_nor_unknown(make, tmp_path):
    make.definitions()
    make.write("quotes", "cmbp-1", [make.cmbp(OTHER, 1, 9.0, 9.1), make.cmbp(CALL, 1, 5.0, 5.1)])
    for name, count in (("SPY", 1), ("QQQ", 1)):
        day = open_day(tmp_path, name, DAY)
        assert (day.quality.rows, day.quality.quarantined) == (count, {})
    with pytest.raises(DataError, match=r"names no standard option on IWM .*There is QQQ, SPY"):
        open_day(tmp_path, "IWM", DAY)


def test_a_snapshot_and_a_stored_day_are_taken_from_the_tape(make, tmp_path):
    source = tmp_path / "opra"
    source.mkdir()
    make.folder = source
    make.definitions()
    make.write("quotes", "cmbp-1", [make.cmbp(CALL, 1, 5.0, 5.1), make.cmbp(CALL, 70, 5.2, 5.3)])
    found = open_snapshot(source, at=f"{DAY} 09:31", underlying="SPY")
    assert found.quotes["bid"].to_list() == [5.0]
    from optmm.data.databento import open_dbn

    header = store.write_stream(open_dbn(source, "SPY", DAY), tmp_path / "stored")
    day, back = open_day(source, "SPY", DAY), store.read(tmp_path / "stored")
    assert back.events.tobytes() == day.events.tobytes()
    assert back.quality == day.quality == header.quality
    np.testing.assert_array_equal(back.chain.strike_e9, day.chain.strike_e9)


def test_without_the_library_the_remedy_is_a_command(make, tmp_path, monkeypatch):
    path = make.write("quotes", "cmbp-1", [make.cmbp(CALL, 1, 5.0, 5.1)])
    there = builtins.__import__

    def without(name, *rest):
        if name == "databento_dbn":
            raise ImportError(name)
        return there(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(DataError, match=r"pip install 'optmm\[databento\]'") as caught:
        open_day(path)
    assert caught.value.exit_code == 4
