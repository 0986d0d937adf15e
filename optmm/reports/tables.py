"""A table as text cells: built once from the report, printed by the terminal and by the page.

Numbers become text here and nowhere else, so both readers show the same digits.
"""

import math
from dataclasses import dataclass, field
from typing import Any

NA = "n/a"


@dataclass(frozen=True, slots=True)
class Column:
    """A heading with its unit. Numeric columns are right-aligned."""

    title: str
    unit: str = ""
    numeric: bool = True


@dataclass(frozen=True, slots=True)
class Table:
    """Text cells under headings. `strong` holds the row numbers of totals."""

    key: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    strong: frozenset[int] = field(default_factory=frozenset)


def number(value: float | int | None, digits: int = 0) -> str:
    """Thousands separators and fixed decimals; `n/a` for None and NaN; no negative zero."""
    if value is None or not math.isfinite(value):
        return NA
    text = f"{value:,.{digits}f}"
    return text[1:] if text.startswith("-") and not text.strip("-0.,") else text


def percent(value: float | None, digits: int = 1) -> str:
    """A share as percent, without the sign: the heading carries it."""
    return number(None if value is None else 100.0 * value, digits)


def small(value: float | None) -> str:
    """Three significant figures for margins that may be tiny."""
    return NA if value is None or not math.isfinite(value) else f"{value:.3g}"


def measured(m: dict[str, Any] | None, digits: int = 2, scale: float = 1.0) -> str:
    """A measure's value, or `n/a (reason)`."""
    if not m:
        return NA
    if m.get("value") is None:
        return f"{NA} ({m['note']})" if m.get("note") else NA
    return number(m["value"] * scale, digits)


def short(m: dict[str, Any] | None, digits: int = 2, scale: float = 1.0) -> str:
    """A measure's value or `n/a`, where the reason has a column of its own."""
    if not m or m.get("value") is None:
        return NA
    return number(m["value"] * scale, digits)


def limit_name(key: str) -> str:
    """A limit's name without its unit, which has a place of its own."""
    names = {
        "inventory_usd": "inventory",
        "vega_usd_per_volpt": "vega",
        "expiry_vega_usd_per_volpt": "vega of an expiry",
        "loss_stop_usd": "loss stop",
    }
    return names.get(key, key.replace("_", " "))


def words(*columns: str) -> tuple[Column, ...]:
    """Text columns."""
    return tuple(Column(name, numeric=False) for name in columns)


def worlds(report: dict[str, Any]) -> list[str]:
    """The fill assumptions of a run, in its order."""
    return list(report["bounds"])


def main_world(report: dict[str, Any]) -> str:
    """The world whose details are shown where there is room for one."""
    names = worlds(report)
    return next((b for b in ("queue", "simulated") if b in names), names[0])
