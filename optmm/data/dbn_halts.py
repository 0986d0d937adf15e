"""Halts out of Databento's status records.

A series that is halted loses its quotes until it trades again. The class is halted, and with it the
desk, while its underlying is halted or at least half of its series are.
"""

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from optmm.data import dbn_file
from optmm.market.chain import Chain, Session
from optmm.market.events import Bits, Kind, empty

if TYPE_CHECKING:
    from optmm.data.databento import File
    from optmm.data.dbn_names import Names

STOPS, TRADING = (8, 9, 10, 15), 7  # halt, pause, suspend, not available for trading
FOREVER = 2**62


@dataclass(frozen=True, slots=True)
class Halts:
    """Spans in which a series may not trade, ns UTC: `start` <= t < `end`; `n` the underlying."""

    row: np.ndarray
    start: np.ndarray
    end: np.ndarray
    n: int

    def inside(self, row: np.ndarray, when: np.ndarray) -> np.ndarray:
        """Whether each (row, instant) falls into a span of its row."""
        out = np.zeros(row.size, np.bool_)
        for which in np.unique(row[np.isin(row, self.row)]):
            mine, at = self.row == which, np.flatnonzero(row == which)
            # spans of a row follow one another: only the last one begun can hold an instant
            last = np.searchsorted(self.start[mine], when[at], side="right") - 1
            out[at] = (last >= 0) & (when[at] < self.end[mine][np.maximum(last, 0)])
        return out

    def events(self, underlying_row: int, session: Session) -> np.ndarray:
        """Empty quotes where a series stops, HALT and RESUME where the class does."""
        options = self.row < self.n
        start = self.start[options]
        held = (start >= session.open_ns) & (start <= session.close_ns)
        gone = empty(int(held.sum()))
        gone["kind"], gone["instrument"] = Kind.QUOTE, self.row[options][held]
        gone["ts_event_ns"] = gone["ts_recv_ns"] = start[held]
        changes: Counter[int] = Counter()
        for row, begin, end in zip(self.row, self.start, self.end, strict=True):
            weight = self.n if row == self.n else 1  # the underlying counts for all
            changes[int(begin)] += weight
            changes[int(end)] -= weight
        level, halted, marks = 0, False, []
        for when in sorted(changes):
            level += changes[when]
            now = 2 * level >= self.n
            if now != halted and when <= session.close_ns:
                marks.append((max(when, session.open_ns), Bits.HALT if now else Bits.RESUME))
            halted = now
        out = empty(len(marks))
        out["kind"], out["instrument"] = Kind.STATUS, underlying_row
        out["ts_event_ns"] = [when for when, _ in marks]
        out["ts_recv_ns"] = out["ts_event_ns"]
        out["bits"] = [bits for _, bits in marks]
        return np.concatenate([gone, out])


def read(status_files: "list[File]", names: "Names", chain: Chain) -> Halts:
    """Spans of the series of `chain` and of its underlying."""
    n = len(chain)
    said: list[tuple[int, int, bool]] = []  # row, when, stopped
    for file in status_files:
        place: dict[int, int] = {}
        for ids, rows in (names.rows(file.dataset, chain), names.spot_rows(file.dataset, chain)):
            place |= {i: r for i, r in zip(ids.tolist(), rows.tolist(), strict=True) if r >= 0}
        for record in dbn_file.messages(file.path):
            action = getattr(record, "action", None)
            row = place.get(record.instrument_id)
            if action is None or row is None:
                continue
            if int(action) in STOPS or int(action) == TRADING:
                said.append((row, int(record.ts_event), int(action) in STOPS))
    spans: list[tuple[int, int, int]] = []
    since: dict[int, int] = {}
    for row, when, stopped in sorted(said, key=lambda s: s[1]):
        if stopped:
            since.setdefault(row, when)
        elif row in since:
            spans.append((row, since.pop(row), when))
    spans += [(row, when, FOREVER) for row, when in since.items()]
    table = np.array(sorted(spans), np.int64).reshape(-1, 3)
    return Halts(table[:, 0].copy(), table[:, 1].copy(), table[:, 2].copy(), n)
