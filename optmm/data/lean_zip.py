"""One LEAN zip as one table: every member's rows in one float64 matrix.

All members are joined and parsed at once, because a chain has thousands of members of a hundred
rows. Sizes are bounded before anything is unpacked. A row that cannot be read as numbers raises
with its file, member and row; NaN and blanks are numbers here and judged in `lean_rows`.
"""

import hashlib
import io
import re
import struct
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from optmm.errors import DataError

MAX_BYTES = 2 << 30  # of one zip, packed or unpacked; the largest real chain day is 20 MB
MAX_RATIO = 200  # real files: at most 11
SMALL = 1 << 20  # below this a high ratio does no harm
NUMBER = re.compile(rb"\s*(?:[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|[+-]?(?:nan|NaN|inf))?\s*")
# What the zipfile module lets through when a directory or a member is damaged.
DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    OSError,
    OverflowError,
    RuntimeError,  # encrypted; includes NotImplementedError, an unknown compression
    ValueError,
)
FETCH = "Fetch it again or restore it from a copy."


@dataclass(frozen=True, slots=True)
class Table:
    """The rows of one zip.

    `values` is float64 (columns, rows) with NaN where `blank` (bool, same shape) or where the file
    says NaN; `member` (int32, rows) indexes `members`.
    """

    file: str  # relative to the data root
    sha256: str
    members: tuple[str, ...]
    member: np.ndarray
    values: np.ndarray
    blank: np.ndarray

    def __len__(self) -> int:
        return self.member.size


def read(path: Path, root: Path, columns: int, only: re.Pattern[str] | None = None) -> Table:
    """Read the zip at `path`; `only` selects members by name.

    Raises
    ------
    DataError
        The zip is truncated, corrupt or unpacks to too much, or a row is not `columns` numbers.
    """
    file = path.relative_to(root).as_posix()
    try:
        if path.stat().st_size > MAX_BYTES:
            raise DataError(f"larger than the {MAX_BYTES >> 30} GiB allowed", file=file)
        packed = path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", file=file) from None
    members, texts = _unpack(packed, file, only)
    counts = [text.count(b"\n") for text in texts]
    values, blank = _parse(file, members, texts, columns, sum(counts))
    return Table(
        file=file,
        sha256=hashlib.sha256(packed).hexdigest(),
        members=members,
        member=np.repeat(np.arange(len(texts), dtype=np.int32), counts),
        values=values,
        blank=blank,
    )


def _unpack(
    packed: bytes, file: str, only: re.Pattern[str] | None
) -> tuple[tuple[str, ...], list[bytes]]:
    """Names and texts of the members; every text ends with a newline or is empty."""
    try:
        archive = zipfile.ZipFile(io.BytesIO(packed))
    except DAMAGE as error:
        raise DataError(
            f"truncated or corrupt zip: {error}, {len(packed)} bytes read", file=file, remedy=FETCH
        ) from None
    with archive:
        infos = [i for i in archive.infolist() if only is None or only.fullmatch(i.filename)]
        _bound(infos, file)
        texts = [_member(archive, info, file) for info in infos]
    return tuple(i.filename for i in infos), texts


def _bound(infos: list[zipfile.ZipInfo], file: str) -> None:
    names = [i.filename for i in infos]
    if len(set(names)) != len(names):
        twin = next(n for n in names if names.count(n) > 1)
        raise DataError(f"holds two members named {twin}", file=file, remedy=FETCH)
    size = sum(i.file_size for i in infos)
    ratio = size / max(sum(i.compress_size for i in infos), 1)
    if size > MAX_BYTES or (size > SMALL and ratio > MAX_RATIO):
        raise DataError(
            f"unpacks to {size / 1e6:.1f} MB, {ratio:.0f} times its size; at most "
            f"{MAX_BYTES / 1e6:.0f} MB and {MAX_RATIO} times are allowed",
            file=file,
            remedy="This is no market data; remove it.",
        )


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, file: str) -> bytes:
    try:
        with archive.open(info) as stream:
            # An explicit length, so that a member cannot unpack to more than it declared.
            text = stream.read(info.file_size + 1)
    except DAMAGE as error:
        raise DataError(
            f"member {info.filename} at offset {info.header_offset} does not unpack: {error}",
            file=file,
            remedy=FETCH,
        ) from None
    return text if text.endswith(b"\n") or not text else text + b"\n"


def _parse(
    file: str, members: tuple[str, ...], texts: list[bytes], columns: int, rows: int
) -> tuple[np.ndarray, np.ndarray]:
    """Values and blanks, each (columns, rows)."""
    import polars as pl

    if rows == 0:
        return np.empty((columns, 0)), np.empty((columns, 0), np.bool_)
    joined = b"".join(texts)
    # The parser fills short rows with blanks in silence, so fields are counted first.
    if joined.count(b",") != rows * (columns - 1):
        raise _culprit(file, members, texts, columns, "rows of unequal length")
    schema = {f"c{i}": pl.Float64 for i in range(columns)}
    try:
        frame = pl.read_csv(io.BytesIO(joined), has_header=False, schema=schema, quote_char=None)
    except pl.exceptions.PolarsError as error:
        reason = str(error).splitlines()[0]
        raise _culprit(file, members, texts, columns, reason) from None
    if frame.height != rows:
        raise _culprit(
            file, members, texts, columns, f"{frame.height} of {rows} rows could be read"
        )
    series = frame.get_columns()
    blank = np.array([s.is_null().to_numpy() for s in series])
    return np.array([s.to_numpy() for s in series]), blank


def _culprit(
    file: str, members: tuple[str, ...], texts: list[bytes], columns: int, reason: str
) -> DataError:
    """The error for the first row that is not `columns` numbers."""
    for name, text in zip(members, texts, strict=True):
        for number, line in enumerate(text.split(b"\n")[:-1], start=1):
            fields = line.rstrip(b"\r").split(b",")
            where = f"{file}, member {name}"
            if len(fields) != columns:
                return DataError(
                    f"has {len(fields)} fields, expected {columns}",
                    file=where,
                    row=number,
                    remedy=FETCH,
                )
            for column, field in enumerate(fields, start=1):
                if not NUMBER.fullmatch(field):
                    shown = field[:40].decode("utf-8", "backslashreplace")
                    return DataError(
                        f"column {column} is {shown!r}, which is not a number",
                        file=where,
                        row=number,
                        remedy="Correct or delete that row, or fetch the file again.",
                    )
    return DataError(reason, file=file, remedy=FETCH)
