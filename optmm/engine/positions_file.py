"""Opening positions from a file: what the desk held before the first session of a run.

A table with the columns `symbol` (OSI, padded or not, or the underlying's), `lots` (signed, whole)
and, if wanted, `px_usd`: CSV, Parquet, or TOML with a [[positions]] table for each row.

With a price the run's P&L counts from it. Without one it counts from the first mark of the run, and
the position is booked at that moment; nothing is quoted before it, since the first mark comes with
the first surface.
"""

import difflib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from optmm.engine import rows_file
from optmm.errors import DataError
from optmm.market.booking import Leg, moved
from optmm.market.chain import Chain
from optmm.market.instruments import is_adjusted, parse_osi

COLUMNS = rows_file.Columns("positions", ("symbol", "lots"), ("px_usd",))
MOST_LOTS = 10_000_000
MOST_PX_E9 = 1_000_000 * 1_000_000_000


@dataclass(frozen=True, slots=True)
class Position:
    """What is held of one instrument; `px_e9` None means the first mark."""

    instrument: int
    lots: int
    px_e9: int | None


class OpeningBook:
    """The legs of a positions file, each given out once."""

    def __init__(self, positions: tuple[Position, ...]) -> None:
        self._priced = [p for p in positions if p.px_e9 is not None]
        self._waiting = [p for p in positions if p.px_e9 is None]

    @property
    def waiting(self) -> int:
        """Positions that still want their first mark."""
        return len(self._waiting)

    def at_open(self) -> tuple[Leg, ...]:
        """Legs at the prices given; once."""
        out, self._priced = self._priced, []
        return tuple(_leg(p, int(p.px_e9 or 0)) for p in out)

    def at_marks(self, marks_e9: np.ndarray, known: np.ndarray) -> tuple[Leg, ...]:
        """Legs at the first mark; `marks_e9` and `known`, (n + 1,), the underlying last."""
        out = [p for p in self._waiting if known[p.instrument]]
        self._waiting = [p for p in self._waiting if not known[p.instrument]]
        return tuple(_leg(p, int(marks_e9[p.instrument])) for p in out)


def _leg(position: Position, px_e9: int) -> Leg:
    return moved(
        instrument=position.instrument, lots=position.lots, px_e9=px_e9, kind="opening",
        cause="opening",
    )  # fmt: skip


def read(path: Path, chain: Chain, *, open_ns: int) -> tuple[Position, ...]:
    """The positions of a file as rows of `chain`, in order of instrument.

    Raises
    ------
    DataError
        The file or a row cannot be used: a column or symbol that is not known, an adjusted root,
        a series that expired before `open_ns`, one named twice, lots or a price that are not
        exact. Names the file, the row and the remedy; nothing is half loaded.
    """
    name = path.name
    place = {symbol: i for i, symbol in enumerate(chain.symbol)}
    place[chain.underlying.symbol] = len(chain)
    seen: dict[int, int] = {}
    out = []
    for row, cells in rows_file.read(path, COLUMNS):
        try:
            position = _position(cells, place, chain, open_ns)
        except DataError as bad:
            raise DataError(str(bad), file=name, row=row) from None
        if position.instrument in seen:
            raise DataError(
                f"{cells['symbol']} is in row {seen[position.instrument]} already",
                file=name, row=row, remedy="Add the two up: one row an instrument.",
            )  # fmt: skip
        seen[position.instrument] = row
        out.append(position)
    return tuple(sorted(out, key=lambda p: p.instrument))


def _position(cells: dict[str, Any], place: dict[str, int], chain: Chain, open_ns: int) -> Position:
    instrument = _instrument(cells, place, chain)
    if instrument < len(chain) and chain.fixing_ns[instrument] < open_ns:
        raise DataError(
            f"{chain.symbol[instrument]} expired before the run begins",
            remedy="Drop the row; its settlement belongs to an earlier run.",
        )
    lots = rows_file.exact(
        cells, "lots", 1, remedy="Give whole contracts or shares, negative if short."
    )
    if lots is None or lots == 0 or abs(lots) > MOST_LOTS:
        raise DataError(
            f"lots is {cells.get('lots')!r}, must be whole, not 0, within {MOST_LOTS:,}",
            remedy="Drop a row that holds nothing.",
        )
    px = rows_file.exact(cells, "px_usd", 10**9, remedy="Give USD per share, or leave it empty.")
    if px is not None and not 0 <= px <= MOST_PX_E9:
        raise DataError(
            f"px_usd is {cells.get('px_usd')!r}, must lie from 0 to 1,000,000",
            remedy="Give USD per share, or leave it empty for the first mark.",
        )
    return Position(instrument, lots, px)


def _instrument(cells: dict[str, Any], place: dict[str, int], chain: Chain) -> int:
    text = str(cells.get("symbol") or "").strip()
    if text in place:
        return place[text]
    if not text:
        raise DataError("symbol is empty", remedy="Give an OSI symbol or the underlying's.")
    option = parse_osi(text) if len(text) > 15 else None
    if is_adjusted(option.root if option else text):
        raise DataError(
            f"{text} is an adjusted contract: what it delivers is unknown here",
            remedy="Leave it out of the run.",
        )
    if option is not None and option.osi in place:
        return place[option.osi]
    near = difflib.get_close_matches(text, list(place), n=1, cutoff=0.8)
    hint = f"The nearest is {near[0]!r}. " if near else ""
    raise DataError(
        f"{text!r} is not in the chain of {chain.underlying.symbol}",
        remedy=f"{hint}A series must be listed on one of the run's days.",
    )
