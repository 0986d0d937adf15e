"""The bytes of one file, unpacked if they are gzip, with clear words for every way to be broken."""

import gzip
import io
import zlib
from pathlib import Path

from optmm.errors import DataError

MAX_BYTES = 1 << 30  # unpacked; the largest real chain is 3 MB
GZIP = b"\x1f\x8b"
AGAIN = "Fetch it again or restore it from a copy."


def read(path: Path) -> bytes:
    """Content of the file at `path`.

    Raises
    ------
    DataError
        It is absent, empty, too large, or gzip that is truncated or corrupt.
    """
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"there is no {path}", remedy="Check the path.") from None
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", file=str(path)) from None
    if raw.startswith(GZIP):
        raw = _unpack(raw, path.name)
    if not raw.strip():
        raise DataError("is empty", file=path.name, remedy=AGAIN)
    return raw


def _unpack(raw: bytes, file: str) -> bytes:
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(raw)) as packed:
            out = packed.read(MAX_BYTES + 1)
    except (EOFError, OSError, zlib.error) as error:
        raise DataError(
            f"truncated or corrupt gzip, {len(raw):,} bytes: {error}", file=file, remedy=AGAIN
        ) from None
    if len(out) > MAX_BYTES:
        raise DataError(f"unpacks to more than {MAX_BYTES >> 30} GiB", file=file)
    return out


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
