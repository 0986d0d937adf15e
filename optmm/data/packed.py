"""The bytes of one file of one chain, unpacked, and its text."""

from pathlib import Path

from optmm.data import streams
from optmm.errors import DataError

MAX_BYTES = 1 << 30  # unpacked; the largest real chain is 3 MB


def read(path: Path) -> bytes:
    """Content of the file at `path`, out of gzip, zstandard or zip.

    Raises
    ------
    DataError
        It is absent, empty, too large, or packed and truncated or corrupt.
    """
    raw = streams.whole(path, MAX_BYTES)
    if not raw.strip():
        raise DataError("is empty", file=path.name, remedy=streams.AGAIN)
    return raw


def text(raw: bytes, file: str) -> str:
    """`raw` as UTF-8 text (a byte order mark is dropped), or as Windows-1252 text if it is not.

    Raises
    ------
    DataError
        It is binary.
    """
    if b"\0" in raw:
        raise DataError("is binary, not text", file=file, remedy="See the README for formats.")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("cp1252", errors="replace")
