"""One file of Databento's binary encoding (DBN versions 1 to 3), plain or zstandard, as a stream.

Header and the records that name things (definitions, statistics, status) are decoded by
`databento-dbn`, which knows every version of them. Quotes and trades, of which there are millions,
have had one layout in all versions and are viewed as arrays.
Source: the DBN specification; the layout is checked against the library's own encoder in the tests.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from optmm.data import streams
from optmm.data.streams import AGAIN
from optmm.errors import DataError

MAGIC = b"DBN"
UNDEFINED_PRICE = 2**63 - 1
UNDEFINED_TIME = 2**64 - 1
LARGEST_HEADER = 256 << 20  # bytes; it lists every symbol asked for
# record types, as the second byte of each record says them
TRADES, MBP_1, CMBP_1, TCBBO = 0, 1, 177, 194
CBBO_1S, CBBO_1M, BBO_1S, BBO_1M = 192, 193, 195, 196
SAMPLED = (CBBO_1S, CBBO_1M, BBO_1S, BBO_1M)  # stamped with the end of their interval
BOOKS = (MBP_1, CMBP_1, TCBBO, *SAMPLED)
_FIELDS: dict[str, tuple[str, int]] = {
    "instrument_id": ("<u4", 4), "ts_event": ("<u8", 8), "price": ("<i8", 16), "lots": ("<u4", 24),
    "action": ("S1", 28), "side": ("S1", 29), "flags": ("u1", 30), "ts_recv": ("<u8", 32),
    "sequence": ("<u4", 44),
}  # fmt: skip
_LEVEL: dict[str, tuple[str, int]] = {
    "bid_px": ("<i8", 48), "ask_px": ("<i8", 56), "bid_sz": ("<u4", 64), "ask_sz": ("<u4", 68)
}  # fmt: skip
SIZES = {TRADES: 48} | dict.fromkeys(BOOKS, 80)


def library() -> Any:
    """The module `databento_dbn`; DataError with the command that installs it if it is absent."""
    try:
        import databento_dbn
    except ImportError:
        raise DataError(
            "Databento files need the package databento-dbn, which is not installed",
            remedy="Install it with: pip install 'optmm[databento]'",
        ) from None
    return databento_dbn


def is_dbn(path: Path) -> bool:
    """Whether the file is DBN, whatever its name; never raises."""
    try:
        return path.is_file() and streams.head(path, 64).startswith(MAGIC)
    except DataError:
        return path.name.endswith((".dbn", ".dbn.zst"))  # damaged: ours to say so


def metadata(path: Path) -> Any:
    """The header: dataset, schema, start, end, mappings of symbols.

    Raises
    ------
    DataError
        The file is no DBN, is truncated, or of a version that is not read.
    """
    raw, need = b"", 8
    for _, block in streams.blocks(path, 1 << 16):
        raw += block
        if len(raw) >= 8:
            need = 8 + int.from_bytes(raw[4:8], "little")
            _check_start(raw, need, path.name)
        if len(raw) >= need:
            break
    if len(raw) < need:
        raise DataError(
            f"ends in its header, after {len(raw):,} of {need:,} bytes",
            file=path.name, remedy=AGAIN,
        )  # fmt: skip
    dbn = library()
    try:
        return dbn.Metadata.decode(raw[:need])
    except (dbn.DBNError, ValueError, OverflowError) as error:
        raise DataError(f"has no readable header: {error}", file=path.name, remedy=AGAIN) from None


def _check_start(raw: bytes, need: int, file: str) -> None:
    if raw[:3] != MAGIC or not 1 <= raw[3] <= 3 or need > LARGEST_HEADER:
        raise DataError(
            f"begins with {raw[:4]!r}: no DBN of version 1 to 3", file=file, remedy=AGAIN
        )


def runs(path: Path) -> Iterator[tuple[int, np.ndarray]]:
    """Pairs (record type, records) of quotes and trades, in file order; other types are passed by.

    Raises
    ------
    DataError
        The file ends in the middle of a record, or a length makes no sense; names the record.
    """
    rest, skip, number = b"", -1, 0
    for _, block in streams.blocks(path):
        data = rest + block
        if skip < 0:
            if len(data) < 8:
                rest = data
                continue
            skip = 8 + int.from_bytes(data[4:8], "little")
        if skip:
            cut = min(skip, len(data))
            data, skip = data[cut:], skip - cut
        at = 0
        while at < len(data) and at + 4 * data[at] <= len(data):
            size, kind = 4 * data[at], data[at + 1]
            if size < 16 or size < SIZES.get(kind, 16):
                raise DataError(
                    f"has a record of type {kind} and {size} bytes",
                    file=path.name, row=number + 1, remedy=AGAIN,
                )  # fmt: skip
            count = _alike(data, at, size)
            if kind in SIZES:
                yield kind, np.frombuffer(data, _layout(kind, size), count, at)
            at += count * size
            number += count
        rest = data[at:]
    if rest or skip > 0:
        raise DataError(
            f"ends in the middle of record {number + 1:,}", file=path.name, row=number + 1,
            remedy=AGAIN,
        )  # fmt: skip


def _alike(data: bytes, at: int, size: int) -> int:
    """How many records from `at` on have the length and type of the first."""
    whole = (len(data) - at) // size
    view = np.frombuffer(data, np.uint8, whole * size, at).reshape(whole, size)
    odd = (view[:, 0] != view[0, 0]) | (view[:, 1] != view[0, 1])
    return int(np.argmax(odd)) if odd.any() else whole


def _layout(kind: int, size: int) -> np.dtype:
    fields = _FIELDS if kind == TRADES else _FIELDS | _LEVEL
    return np.dtype(
        {
            "names": list(fields),
            "formats": [form for form, _ in fields.values()],
            "offsets": [offset for _, offset in fields.values()],
            "itemsize": size,
        }
    )


def messages(path: Path) -> Iterator[Any]:
    """Every record as the library's object, upgraded to the newest version.

    Raises
    ------
    DataError
        The file is damaged.
    """
    dbn = library()
    decoder = dbn.DBNDecoder(has_metadata=True)
    number = 0
    for _, block in streams.blocks(path, 1 << 20):
        try:
            decoder.write(block)
            found = decoder.decode()
        except (dbn.DBNError, ValueError, OverflowError) as error:
            raise DataError(
                f"does not decode after record {number:,}: {error}", file=path.name, remedy=AGAIN
            ) from None
        for record in found:
            if not isinstance(record, dbn.Metadata):
                number += 1
                yield record
    if decoder.buffer():
        raise DataError(
            f"ends in the middle of record {number + 1:,}", file=path.name, remedy=AGAIN
        )
