"""The journal: gap-free, chained, and every kind of damage is found."""

import apsw
import pytest

from optmm.engine.journal import Journal, read
from optmm.errors import DataError


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "journal-queue.sqlite"
    with Journal(path) as journal:
        for i in range(20):
            journal.append(1_000 + i, "fill", {"lots": i, "px_e9": 10**9 + i})
            if i % 7 == 0:
                journal.commit()
    return path


def damaged(path, sql):
    db = apsw.Connection(str(path))
    db.execute(sql)
    db.close()


def test_rows_come_back_in_order_and_whole(path):
    rows = [row for row, _ in read(path)]
    assert [row.seq for row in rows] == list(range(1, 21))
    assert rows[3].payload == {"lots": 3, "px_e9": 10**9 + 3}


def test_same_rows_same_hash_and_any_change_another(tmp_path):
    def tip(name, lots):
        with Journal(tmp_path / name) as journal:
            journal.append(1, "fill", {"b": 1, "lots": lots})
            return journal.hex

    assert tip("a", 5) == tip("b", 5) != tip("c", 6)


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        (
            "update journal set payload = cast('{\"lots\":9}' as blob) where seq = 5",
            "row 5 does not match",
        ),
        ("update journal set ts_ns = ts_ns + 1 where seq = 7", "row 7 does not match"),
        ("update journal set kind = 'hedge' where seq = 20", "row 20 does not match"),
        ("delete from journal where seq = 4", "row 4 is missing"),
        ("update journal set seq = 99 where seq = 20", "row 20 is missing"),
    ],
)
def test_damage_names_the_row(path, sql, words):
    damaged(path, sql)
    with pytest.raises(DataError, match=words):
        list(read(path))


def test_every_flipped_byte_of_a_payload_is_found(path):
    """SQLite's own integrity check passes most bit flips; the chain must not."""
    raw = path.read_bytes()
    at = raw.find(b'"lots":13')
    assert at > 0
    for offset in range(9):
        broken = bytearray(raw)
        broken[at + offset] ^= 1
        path.write_bytes(broken)
        with pytest.raises(DataError, match="row 14"):
            list(read(path))


def test_not_a_database_and_missing(tmp_path):
    with pytest.raises(DataError, match="missing"):
        list(read(tmp_path / "journal-queue.sqlite"))
    (tmp_path / "x.sqlite").write_bytes(b"not a database at all" * 100)
    with pytest.raises(DataError, match="cannot be read"):
        list(read(tmp_path / "x.sqlite"))


def test_uncommitted_rows_are_not_there(tmp_path):
    path = tmp_path / "journal-queue.sqlite"
    journal = Journal(path)
    journal.append(1, "fill", {})
    journal.commit()
    journal.append(2, "fill", {})
    journal._db.close()  # a killed process writes nothing more
    assert [row.seq for row, _ in read(path)] == [1]


def test_a_second_writer_is_refused(tmp_path):
    path = tmp_path / "journal-queue.sqlite"
    with Journal(path) as journal:
        journal.append(1, "open", {})
        journal.commit()
        with pytest.raises(DataError, match="exists already"):
            Journal(path)
        other = apsw.Connection(str(path))
        with pytest.raises(apsw.BusyError):
            other.execute("insert into journal values (9, 9, 'x', x'00', x'00')")
