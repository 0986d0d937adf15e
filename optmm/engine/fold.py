"""One journal folded again: its two ends, its seals, and what its fills add up to.

Exact Python integers throughout; nothing is read but the journal itself.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from optmm.engine.journal import Row, read
from optmm.errors import DataError

FILL_KINDS = {
    "fill": "quote", "hedge": "hedge", "settlement": "settlement", "exercise": "exercise",
    "opening": "opening", "split": "split", "roll": "roll",
}  # fmt: skip
MISSHAPEN = (TypeError, ValueError, AttributeError, LookupError, ArithmeticError)
OPEN_KEYS = ("bound", "config", "data", "seed", "session", "underlying", "bounds")
CLOSE_KEYS = ("positions", "fees_e9", "carry_e9", "net_e9", "spot_e9", "marks", "files")


@dataclass(slots=True)
class Story:
    """What one journal says: its two ends, its seals, and the fold of its fills."""

    name: str
    hash: str = ""
    rows: int = 0
    opened: dict[str, Any] = field(default_factory=dict)
    closed: dict[str, Any] = field(default_factory=dict)
    open_ns: int = 0
    close_ns: int = 0
    sessions: list[list[Any]] = field(default_factory=list)  # [date, open, close ns]
    fills: list[Row] = field(default_factory=list)
    seals: list[dict[str, Any]] = field(default_factory=list)
    held: dict[int, list[int]] = field(default_factory=dict)
    multiplier: dict[int, int] = field(default_factory=dict)
    fees_e9: int = 0
    carry_e9: int = 0
    killed: str | None = None


@contextmanager
def shaped(file: str) -> Iterator[None]:
    """A value that is missing or of another type in `file` becomes a DataError that names both."""
    try:
        yield
    except DataError:
        raise
    except KeyError as bad:
        raise DataError(f"{file} lacks {bad}. Replay the day again") from None
    except (*MISSHAPEN, pl.exceptions.PolarsError) as bad:
        raise DataError(f"{file} cannot be understood: {bad}") from None


def story_of(folder: Path, bound: str) -> Story:
    """Read one journal in order; positions, cash and fees are what its fills add up to."""
    path = folder / f"journal-{bound}.sqlite"
    story = Story(path.name)
    with shaped(path.name):
        for row, digest in read(path):
            story.rows, story.hash = row.seq, digest.hex()
            if (row.kind == "open") != (row.seq == 1):
                raise DataError(f"{path.name}: row {row.seq} is {row.kind}; one opening row, first")
            if story.closed:
                raise DataError(f"{path.name}: row {row.seq} comes after the closing row")
            if row.kind == "open":
                story.opened, story.open_ns = _with_keys(row, OPEN_KEYS), row.ts_ns
            elif row.kind == "session":
                body = _with_keys(row, ("date", "close_ns"))
                story.sessions.append([body["date"], row.ts_ns, body["close_ns"]])
            elif row.kind in FILL_KINDS:
                _book(story, row)
            elif row.kind == "carry":
                story.carry_e9 += whole(row.payload, "amount_e9")
            elif row.kind == "seal":
                story.seals.append(_with_keys(row, ("segment", "rows", "sha256")))
            elif row.kind == "kill" and story.killed is None:
                story.killed = row.payload["why"]
            elif row.kind == "close":
                story.closed, story.close_ns = _with_keys(row, CLOSE_KEYS), row.ts_ns
        if not story.closed:
            raise DataError(f"{path.name} has no closing row: its tail is missing")
        _fold(story)
    return story


def _with_keys(row: Row, keys: tuple[str, ...]) -> dict[str, Any]:
    """The payload of a row that has all of `keys`."""
    for key in keys:
        if key not in row.payload:
            raise KeyError(f"{row.kind}.{key}")
    return row.payload


def whole(values: dict[str, Any], name: str) -> int:
    """A journaled number. Raises TypeError: anything but an integer was not written by us."""
    value = values[name]
    if type(value) is not int:
        raise TypeError(f"{name} is {value!r}, must be an integer")
    return value


def _book(story: Story, row: Row) -> None:
    """Add one fill to positions (signed lots), cash and fees (1e-9 USD)."""
    body = row.payload
    i, unit = whole(body, "instrument"), whole(body, "multiplier")
    lots = whole(body, "side") * whole(body, "lots")
    held = story.held.setdefault(i, [0, 0])
    held[0] += lots
    held[1] -= lots * whole(body, "px_e9") * unit
    story.fees_e9 += whole(body, "fee_e9")
    if body["kind"] != FILL_KINDS[row.kind]:
        raise DataError(f"{story.name}: row {row.seq} is {row.kind}, its fill is {body['kind']!r}")
    if story.multiplier.setdefault(i, unit) != unit:
        raise DataError(f"{story.name}: row {row.seq} changes the multiplier of instrument {i}")
    story.fills.append(row)


def _fold(story: Story) -> None:
    """The closing row's positions and fees are the sums of the fills before it."""
    kept = {str(i): held for i, held in story.held.items() if held != [0, 0]}
    sums = {"fees_e9": story.fees_e9, "carry_e9": story.carry_e9}
    agree = all(whole(story.closed, name) == total for name, total in sums.items())
    if kept != story.closed["positions"] or not agree:
        raise DataError(f"{story.name}: its fills do not add up to its closing positions")
