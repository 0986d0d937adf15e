"""A damaged run folder: `journal verify` and `report` name the file, and never show a traceback."""

import shutil
from pathlib import Path

import apsw
import polars as pl
import pytest
from forging import finish, refused

from optmm import reports
from optmm.engine.verify import TABLES
from optmm.errors import DataError


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    return finish(tmp_path_factory.mktemp("verify") / "run")


@pytest.fixture
def folder(finished, tmp_path) -> Path:
    """A copy of the finished run: a test may spoil it."""
    return Path(shutil.copytree(finished, tmp_path / "copy"))


FILES = (*TABLES, "quotes.parquet", "manifest.json", "report.json", "journal-queue.sqlite")


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", ["cut", "empty", "noise", "missing"])
def test_a_damaged_file_is_named_and_never_a_traceback(folder, name, damage):
    path = folder / name
    raw = path.read_bytes()
    spoilt = {"cut": raw[: len(raw) * 2 // 3], "empty": b"", "noise": bytes(range(256)) * 9}
    path.unlink()
    if damage != "missing":
        path.write_bytes(spoilt[damage])
    refused(folder, name)
    if not name.startswith(("report", "journal")):
        before = sorted(folder.iterdir())
        with pytest.raises(DataError, match=name.replace(".", r"\.")):
            reports.write(folder)
        assert sorted(folder.iterdir()) == before


@pytest.mark.parametrize("text", ["[]", "7", "null", '{"complete": true}', "[" * 100_000])
def test_json_of_another_shape_is_named(folder, text):
    (folder / "manifest.json").write_text(text)
    refused(folder, r"manifest\.json")
    with pytest.raises(DataError, match=r"manifest\.json"):
        reports.build(folder)


def test_a_journal_table_of_other_types_is_named(folder):
    """Rows that SQLite holds as numbers and texts where we wrote texts and bytes."""
    path = folder / "journal-queue.sqlite"
    db = apsw.Connection(str(path))
    db.execute("create table loose as select seq, ts_ns, 7 as kind, payload, hash from journal")
    db.execute("drop table journal")
    db.execute("alter table loose rename to journal")
    db.close()
    refused(folder, "journal-queue.sqlite")


@pytest.mark.parametrize("name", TABLES)
def test_a_table_of_other_columns_has_no_report(folder, name):
    """A missing column used to be a traceback of `optmm report`."""
    table = name.removesuffix(".parquet")
    original = pl.read_parquet(folder / name)
    last = original.columns[2]
    original.drop(last).write_parquet(folder / name)
    with pytest.raises(DataError, match=rf"{table}\.parquet: lacks {last}"):
        reports.build(folder)
    original.with_columns(pl.lit([1]).alias(last)).write_parquet(folder / name)
    with pytest.raises(DataError, match=rf"{table}\.parquet: column {last} holds List"):
        reports.build(folder)


@pytest.mark.parametrize("name", ["fills", "greeks", "presence", "prints"])
def test_an_instrument_beyond_the_chain_has_no_report(folder, name):
    """One flipped bit used to be an IndexError of `optmm report`."""
    path = folder / f"{name}.parquet"
    frame = pl.read_parquet(path)
    flipped = pl.when(pl.int_range(pl.len()) == 1).then(1 << 20).otherwise("instrument")
    frame.with_columns(instrument=flipped.cast(pl.Int32)).write_parquet(path)
    with pytest.raises(DataError, match=rf"{name}\.parquet, row 2: instrument is 1048576, the"):
        reports.build(folder)


def test_tables_in_which_nothing_was_recorded_have_a_report(folder):
    """A day without a fit leaves surface and smiles without a column: that is not damage."""
    for name in ("surface", "smiles", "greeks", "prints"):
        pl.DataFrame().write_parquet(folder / f"{name}.parquet")
    assert reports.build(folder)["surface"]["fits"] == 0
