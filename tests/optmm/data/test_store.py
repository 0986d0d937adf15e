"""A stored day comes back byte for byte, or says what is wrong with it."""

import dataclasses
import json
import math

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from optmm.data import lean, store
from optmm.data.feeds import opened
from optmm.errors import DataError, OptmmError

ROWS = (
    "34200000,,,,,0,21500,21500,21500,21500,19\n"
    "34260000,20000,20000,20000,20000,7,21500,21500,21500,21500,19\n"
)


@pytest.fixture
def day(tmp_path, goog):
    goog(ROWS, prints="34260000,21000,21500,20500,21000,4\n", put_7500000_20160115=ROWS)
    return lean.load(tmp_path, "goog", "2015-12-24")


def same(one, two) -> None:
    """Equal in value, dtype and bytes, field by field."""
    for field in dataclasses.fields(one):
        a, b = getattr(one, field.name), getattr(two, field.name)
        if dataclasses.is_dataclass(a):
            same(a, b)
        elif isinstance(a, np.ndarray):
            assert (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes()), field.name
        elif field.name != "sources":
            assert a == b or (isinstance(a, float) and math.isnan(a) and math.isnan(b)), field.name


@pytest.mark.parametrize("interest", [None, [3, -1]])
def test_every_array_survives_the_round_trip(tmp_path, day, interest):
    open_interest = None if interest is None else np.array(interest, np.int64)
    quality = dataclasses.replace(day.quality, two_sided_share=float("nan"))
    day = dataclasses.replace(day, open_interest=open_interest, quality=quality, simulated=True)
    same(day, store.read(store.write(day, tmp_path / "stored")))


def test_sources_of_a_stored_day_are_its_own_files(tmp_path, day):
    import hashlib

    folder = store.write(day, tmp_path / "stored")
    back = store.read(folder)
    assert [name for name, _ in back.sources] == ["chain.parquet", "day.json", "events.parquet"]
    for name, sha in back.sources:
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == sha
    origin = json.loads((folder / "day.json").read_text())["origin"]
    assert [(o["file"], o["sha256"]) for o in origin] == list(day.sources)


def test_writing_twice_gives_the_same_bytes(tmp_path, day):
    one, two = (store.write(day, tmp_path / name) for name in ("one", "two"))
    store.write(day, two)
    for name in ("events.parquet", "chain.parquet", "day.json"):
        assert (one / name).read_bytes() == (two / name).read_bytes()


@pytest.mark.parametrize("name", ["events.parquet", "chain.parquet", "day.json"])
def test_a_missing_file_is_named(tmp_path, day, name):
    folder = store.write(day, tmp_path / "stored")
    (folder / name).unlink()
    with pytest.raises(DataError, match=f"{name}: is missing from"):
        store.read(folder)


def _recast(table: pa.Table, name: str) -> pa.Table:
    at = table.column_names.index(name)
    return table.set_column(at, name, table.column(name).cast(pa.float64()))


@pytest.mark.parametrize(
    ("file", "change", "words"),
    [
        (
            "events.parquet",
            lambda t: _recast(t, "bid_e9"),
            "column bid_e9 is double, expected int64",
        ),
        ("events.parquet", lambda t: t.drop(["bits"]), "has no column bits"),
        ("chain.parquet", lambda t: _recast(t, "right"), "column right is double, expected int8"),
        (
            "chain.parquet",
            lambda t: t.append_column("x", t.column("right")),
            "column x is not ours",
        ),
    ],
)
def test_schema_drift_names_file_and_column(tmp_path, day, file, change, words):
    folder = store.write(day, tmp_path / "stored")
    pq.write_table(change(pq.read_table(folder / file)), folder / file)
    with pytest.raises(DataError, match=f"{file}: {words}"):
        store.read(folder)


def test_an_altered_or_truncated_table_is_refused(tmp_path, day):
    folder = store.write(day, tmp_path / "stored")
    path = folder / "events.parquet"
    pq.write_table(pq.read_table(path).slice(1), path)
    with pytest.raises(DataError, match=r"events.parquet: is not the file that was stored"):
        store.read(folder)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match=r"events.parquet: truncated or corrupt Parquet, \d+ bytes"):
        store.read(folder)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("instrument", 3, r"events.parquet, row 2: column instrument is 3"),
        ("kind", 99, r"events.parquet, row 2: column kind is 99"),
        ("ts_event_ns", 0, r"events.parquet, row 2: column ts_event_ns is 0"),
    ],
)
def test_rows_that_lead_outside_the_tables_are_refused(tmp_path, day, field, value, words):
    events = day.events.copy()
    events[field][1] = value
    folder = store.write(dataclasses.replace(day, events=events), tmp_path / "stored")
    with pytest.raises(DataError, match=words):
        store.read(folder)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda head: head.pop("session"), "day.json: lacks or misstates 'session'"),
        (lambda head: head.update(schema="optmm.day/9"), "schema is 'optmm.day/9'"),
        (lambda head: head.update(slice_start=[0, 1]), "does not agree with slice_start"),
    ],
)
def test_a_wrong_header_is_refused(tmp_path, day, change, words):
    folder = store.write(day, tmp_path / "stored")
    head = json.loads((folder / "day.json").read_text())
    change(head)
    (folder / "day.json").write_text(json.dumps(head))
    with pytest.raises(DataError, match=words):
        store.read(folder)
    (folder / "day.json").write_text("{")
    with pytest.raises(DataError, match="is not a stored day"):
        store.read(folder)


@pytest.mark.parametrize(
    ("underlying", "date", "message"),
    [
        ("QQQ", "2015-12-01..2015-12-31", "no day of QQQ from 2015-12-01 to 2015-12-31. In those"),
        ("GOOG", "2015-12-01..2015-12-02", "no day of GOOG from 2015-12-01 to 2015-12-02"),
        (None, " , ", "names no date"),
    ],
)
def test_a_range_without_a_day_says_what_is_there(tmp_path, day, underlying, date, message):
    store.write(day, tmp_path / "week" / "2015-12-24")
    with pytest.raises(OptmmError, match=message), opened(tmp_path / "week", underlying, date):
        pass
