"""Bytes of a file of any size, unpacked on the way: plain, gzip, zstandard, or a zip's members.

Nothing is held but one block. A file that ends too early or does not unpack raises with the offset
that was reached, and one that unpacks to far more than it holds is stopped at the limit.
"""

import gzip
import io
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from optmm.errors import DataError

BLOCK = 8 << 20
MAX_RATIO = 400  # unpacked to packed; quotes that hardly change reach 100
SMALL = 64 << 20  # below this a high ratio does no harm
AGAIN = "Fetch it again or restore it from a copy."
GZIP, ZIP, ZSTD = b"\x1f\x8b", b"PK\x03\x04", b"\x28\xb5\x2f\xfd"
TEXTS = (".csv", ".txt", ".tsv", ".json")
DAMAGE = (EOFError, OSError, zlib.error, zipfile.BadZipFile, RuntimeError, ValueError)


def blocks(path: Path, size: int = BLOCK) -> Iterator[tuple[str, bytes]]:
    """Pairs (member, block) of `path`, in order; the member is "" outside a zip.

    Raises
    ------
    DataError
        Absent, truncated, corrupt, or unpacks to more than `MAX_RATIO` times its size.
    """
    kind = packing(path)
    budget = max(SMALL, MAX_RATIO * path.stat().st_size)
    if kind == "zip":
        yield from _members(path, size, budget)
        return
    seen = 0
    try:
        with _opened(path, kind) as stream:
            while block := stream.read(size):
                seen += len(block)
                if kind and seen > budget:
                    raise _bomb(path.name, seen)
                yield "", block
    except DataError:
        raise
    except DAMAGE as error:
        raise DataError(
            f"truncated or corrupt {kind or 'file'} after {seen:,} unpacked bytes: {error}",
            file=path.name, remedy=AGAIN,
        ) from None  # fmt: skip


def packing(path: Path) -> str:
    """ "gzip", "zstandard", "zip", or "" for anything else, by the first bytes.

    Raises
    ------
    DataError
        Nothing is there, or it may not be read.
    """
    try:
        with path.open("rb") as stream:
            first = stream.read(4)
    except FileNotFoundError:
        raise DataError(f"there is no {path}", remedy="Check the path.") from None
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", file=str(path)) from None
    if first.startswith(GZIP):
        return "gzip"
    return {ZSTD: "zstandard", ZIP: "zip"}.get(first, "")


def head(path: Path, size: int = 1 << 16) -> bytes:
    """The first `size` unpacked bytes, of the first member of a zip; errors as `blocks`."""
    for _, block in blocks(path, size):
        return block
    return b""


def _opened(path: Path, kind: str) -> Any:
    if kind == "gzip":
        return gzip.open(path, "rb")
    if kind == "zstandard":
        import pyarrow as pa

        return pa.input_stream(str(path), compression="zstd")
    return path.open("rb")


def _members(path: Path, size: int, budget: int) -> Iterator[tuple[str, bytes]]:
    try:
        archive = zipfile.ZipFile(path)
    except DAMAGE as error:
        raise DataError(
            f"truncated or corrupt zip, {path.stat().st_size:,} bytes: {error}",
            file=path.name, remedy=AGAIN,
        ) from None  # fmt: skip
    with archive:
        infos = [i for i in archive.infolist() if i.filename.lower().endswith(TEXTS)]
        if not infos:
            raise DataError(f"holds no member ending in {', '.join(TEXTS)}", file=path.name)
        whole = sum(i.file_size for i in infos)
        if whole > budget:
            raise _bomb(path.name, whole)
        for info in infos:
            yield from _member(archive, info, size, path.name)


def _member(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo, size: int, file: str
) -> Iterator[tuple[str, bytes]]:
    seen = 0
    try:
        with archive.open(info) as stream:
            while block := stream.read(min(size, info.file_size + 1 - seen)):
                seen += len(block)
                yield info.filename, block
    except DAMAGE as error:
        raise DataError(
            f"member {info.filename} does not unpack after {seen:,} bytes: {error}",
            file=file, remedy=AGAIN,
        ) from None  # fmt: skip


def _bomb(file: str, seen: int) -> DataError:
    return DataError(
        f"unpacks to {seen / 1e6:,.0f} MB or more, over {MAX_RATIO} times its size",
        file=file,
        remedy="This is no market data; remove it.",
    )


def whole(path: Path, limit: int) -> bytes:
    """All of a file that must fit in `limit` bytes; errors as `blocks`."""
    out = io.BytesIO()
    for _, block in blocks(path):
        out.write(block)
        if out.tell() > limit:
            raise DataError(f"is larger than the {limit >> 20} MiB allowed here", file=path.name)
    return out.getvalue()
