"""A figure, the bar it has to pass, and the verdict; and how a table of them is kept."""

import math
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Verdict = Literal["meets", "misses", "skipped", "shown"]


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table. `measured` is None where it was skipped; `note` then says why."""

    what: str
    measured: float | None
    unit: str
    bar: float | None = None  # None: shown without a bar
    at_least: bool = False  # True: the figure must reach the bar, not stay under it
    note: str = ""

    @property
    def verdict(self) -> Verdict:
        """Whether the bar is passed. A NaN passes nothing."""
        if self.measured is None:
            return "skipped"
        if self.bar is None:
            return "shown"
        if math.isnan(self.measured):
            return "misses"
        passed = self.measured >= self.bar if self.at_least else self.measured <= self.bar
        return "meets" if passed else "misses"

    def as_json(self) -> dict[str, Any]:
        """Plain values only; a NaN or infinity becomes None, as JSON has neither."""
        out = asdict(self) | {"verdict": self.verdict}
        return {name: _finite(value) for name, value in out.items()}


@dataclass(frozen=True, slots=True)
class PeerRow:
    """What one library does on the same sets in the same run; None where it cannot."""

    library: str
    version: str
    figures: dict[str, float | None] = field(default_factory=dict)
    note: str = ""

    def as_json(self) -> dict[str, Any]:
        """Plain values only."""
        return {
            "library": self.library,
            "version": self.version,
            "figures": {name: _finite(value) for name, value in self.figures.items()},
            "note": self.note,
        }


@dataclass(frozen=True, slots=True)
class Report:
    """What one run found. `wrong`: correctness checks that failed, which is no matter of bars."""

    bench: str
    rows: dict[str, list[Row]]  # by part
    about: dict[str, str]
    peers: list[dict[str, Any]] = field(default_factory=list)
    wrong: tuple[str, ...] = ()
    figures: dict[str, Any] = field(default_factory=dict)  # plain values beside the rows, JSON only

    def as_json(self) -> dict[str, Any]:
        """One object of plain values."""
        return self.figures | {
            "bench": self.bench,
            "about": self.about,
            "parts": {part: [row.as_json() for row in rows] for part, rows in self.rows.items()},
            "peers": self.peers,
            "wrong": list(self.wrong),
        }


def skipped(what: str, unit: str, bar: float | None, why: str) -> Row:
    """A row without a figure."""
    return Row(what, None, unit, bar, note=why)


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
