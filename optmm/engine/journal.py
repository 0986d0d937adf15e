"""The journal: what happened, in order, tamper-evident. State is a projection of it.

One SQLite file a world, through apsw's own SQLite: WAL, synchronous FULL, exclusive, one writer.
A row's hash is sha256(previous hash, seq, ts_ns, kind, payload); `journal_hash` is the last one's.
Payloads are canonical JSON (sorted keys, no spaces) of integers, strings and exact decimals, so
equal runs give equal bytes. Rows become durable together at `commit`, at the end of a block.
"""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import apsw

from optmm.config import canonical
from optmm.errors import DataError

GENESIS = b"\0" * 32
SCHEMA = """create table journal (
    seq integer primary key, ts_ns integer not null, kind text not null,
    payload blob not null, hash blob not null) strict"""


class Row(NamedTuple):
    """One consequence."""

    seq: int
    ts_ns: int
    kind: str
    payload: dict


def chained(previous: bytes, seq: int, ts_ns: int, kind: str, payload: bytes) -> bytes:
    """Hash a row onto the chain."""
    body = b"\x1f".join((previous, str(seq).encode(), str(ts_ns).encode(), kind.encode(), payload))
    return hashlib.sha256(body).digest()


class Journal:
    """Appends to one file. Use as a context manager; what was not committed is not there.

    With `resume` the file may hold the first rows of the same run: what is appended is held against
    them, row by row, and only what comes after the last is new.
    """

    def __init__(self, path: Path, *, resume: bool = False) -> None:
        if path.exists() and not resume:
            raise DataError(
                f"{path.name} exists already; a journal is never reopened for a new run"
            )
        self.path = path
        self.seq = 0
        self.hash = GENESIS
        self._pending: list[tuple[int, int, str, bytes, bytes]] = []
        try:
            self._db = apsw.Connection(str(path))
            self._db.execute("pragma locking_mode=exclusive")
            self._db.execute("pragma journal_mode=wal")
            self._db.execute("pragma synchronous=full")
            if not self._db.execute("select 1 from sqlite_schema").fetchone():
                self._db.execute(SCHEMA)
            rows = self._db.execute("select hash from journal order by seq").fetchall()
        except apsw.Error as bad:
            raise DataError(f"{path.name} cannot be taken up: {bad}") from None
        self._there = [digest for (digest,) in rows]

    def append(self, ts_ns: int, kind: str, payload: dict) -> int:
        """Chain a row and return its seq; it is durable after the next `commit`."""
        raw = canonical(payload)
        self.seq += 1
        self.hash = chained(self.hash, self.seq, int(ts_ns), kind, raw)
        if self.seq > len(self._there):
            self._pending.append((self.seq, int(ts_ns), kind, raw, self.hash))
        elif self._there[self.seq - 1] != self.hash:
            raise DataError(
                f"{self.path.name}: row {self.seq} ({kind}) is not what this run derives",
                remedy="Data, configuration or version differ from those of the interrupted run.",
            )
        return self.seq

    def commit(self) -> None:
        """Make every pending row durable in one transaction."""
        if not self._pending:
            return
        with self._db:
            self._db.executemany("insert into journal values (?, ?, ?, ?, ?)", self._pending)
        self._pending.clear()

    @property
    def catching_up(self) -> bool:
        """Whether the file holds rows of this run that are still to be derived again."""
        return self.seq < len(self._there)

    @property
    def hex(self) -> str:
        """The chain hash so far."""
        return self.hash.hex()

    def leave(self) -> None:
        """Let go of an unfinished journal; what was derived so far is durable."""
        self.commit()
        self._db.close()

    def close(self) -> None:
        """Commit, fold the WAL into the file and let go of it.

        Raises DataError if the file holds rows that were not derived again.
        """
        if self.catching_up:
            raise DataError(f"{self.path.name} goes on after row {self.seq}, this run does not")
        self.commit()
        self._db.execute("pragma wal_checkpoint(truncate)")
        self._db.execute("pragma locking_mode=normal")
        self._db.execute("pragma journal_mode=delete")
        self._db.close()

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def read(path: Path) -> Iterator[tuple[Row, bytes]]:
    """Yield every row with its hash, checking sequence and chain as it goes.

    Raises
    ------
    DataError
        Names the first row that is missing, out of order or altered.
    """
    if not path.is_file():
        raise DataError(f"{path.name} is missing: this run folder is not complete")
    previous, expected = GENESIS, 1
    try:
        db = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
        rows = db.execute("select seq, ts_ns, kind, payload, hash from journal order by seq")
        for seq, ts_ns, kind, payload, digest in rows:
            if seq != expected:
                raise DataError(f"{path.name}: row {expected} is missing (found {seq})")
            if chained(previous, seq, ts_ns, kind, payload) != digest:
                raise DataError(f"{path.name}: row {seq} does not match its hash; it was altered")
            yield Row(seq, ts_ns, kind, json.loads(payload)), digest
            previous, expected = digest, expected + 1
        db.close()
    except (apsw.Error, ValueError, TypeError) as bad:
        raise DataError(f"{path.name}: row {expected} cannot be read: {bad}") from None
