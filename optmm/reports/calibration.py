"""One chain calibrated once: the object of `calibrate --json`, its table and its files.

The `surface` part is that of report.json (`optmm.reports.surface`), over one fit an expiry. Columns
that a surface's diagnostics have beyond those named here travel into the rows as they are.
"""

import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from optmm.data.snapshot import Snapshot, utc
from optmm.reports.surface import SHORTEST, totals
from optmm.reports.tables import NA, number, percent, small

if TYPE_CHECKING:
    from surfaces.surface import VolSurface

SCHEMA = "optmm.calibration/1"
TOTALS = (
    "fits", "quotes", "hit_rate", "core_hit_rate", "min_g", "calendar_margin",
    "calendar_margin_wings", "fallback_share",
)  # fmt: skip
NOT_OF_AN_EXPIRY = ("ts_ns", "version", "slice", "spot")
LEAST_CORE = 0.5  # share of quotes near the money that a calibration has to meet
FILES = ("diagnostics.parquet", "residuals.parquet")
# (heading, key, how a cell is written, least width of the screen that shows it)
CELLS: tuple[tuple[str, str, Any, int], ...] = (
    ("quotes", "quotes", number, 0),
    ("hit %", "hit_rate", percent, 0),
    ("core hit %", "core_hit_rate", percent, 0),
    ("ATM vol %", "atm_vol", lambda x: percent(x, 2), 0),
    ("skew", "skew", lambda x: number(x, 3), 110),
    ("forward", "forward", lambda x: number(x, 2), 0),
    ("± error", "forward_error", lambda x: number(x, 2), 130),
    ("rate %", "rate", lambda x: percent(x, 2), 0),
    ("min g", "min_g", small, 0),
    ("calendar", "calendar_margin", small, 100),
    ("in wings", "calendar_margin_wings", small, 140),
)


def certified(row: dict[str, Any]) -> bool:
    """Whether an expiry has a curve without butterfly or calendar arbitrage on quoted strikes.

    The surface's own verdict where it gives one, else the signs of its margins.
    """
    if row["path"] == "none":
        return False
    if row.get("certified") is not None:
        return bool(row["certified"])
    margins = (row["min_g"], row["calendar_margin"])
    return not any(value is not None and value < 0.0 for value in margins)


def section(snapshot: Snapshot, surface: "VolSurface") -> dict[str, Any]:
    """Totals and one row an expiry, ready for JSON: USD, decimals, NaN as null."""
    frame = surface.diagnostics
    rows = [_row(values) for values in frame.iter_rows(named=True)]
    whole = totals(frame)
    return {
        "schema": SCHEMA,
        "underlying": snapshot.underlying,
        "valuation": utc(snapshot.valuation_ns),
        "spot": surface.spot,
        "reader": snapshot.reader,
        "surface": {key: whole[key] for key in TOTALS}
        | {"certified": bool(rows) and all(row["certified"] for row in rows)},
        "expiries": rows,
        "quarantined": dict(snapshot.quarantined),
        "removed": dict(surface.removed),
        "notes": list(snapshot.notes),
    }


def _row(values: dict[str, Any]) -> dict[str, Any]:
    """One expiry: the diagnostics' own columns, with hit rates."""
    plain = {key: _plain(value) for key, value in values.items() if key not in NOT_OF_AN_EXPIRY} | {
        "expiry": str(values["expiry"])
    }
    for name in ("", "core_"):
        judged = values[f"{name}quotes"]
        plain[f"{name}hit_rate"] = values[f"{name}hits"] / judged if judged else None
    if values["years"] < SHORTEST:
        plain |= {"rate": None, "carry": None}
    return plain | {"certified": certified(plain)}


def _plain(value: Any) -> Any:
    """A value that JSON knows."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, list | tuple | pl.Series):
        return [_plain(item) for item in value]
    return value if isinstance(value, bool | int | float | str | None) else str(value)


def table(report: dict[str, Any], width: int) -> tuple[list[str], list[tuple[str, ...]]]:
    """Headings and rows of text for a screen of `width` columns, totals last."""
    shown = [cell for cell in CELLS if cell[3] <= width]
    heads = ["Expiry", "root", *(head for head, *_ in shown), "certified", "path", "status"]
    rows = []
    for row in report["expiries"]:
        cells = [say(row[key]) for _, key, say, _ in shown]
        verdict = "yes" if row["certified"] else "NO"
        said = (verdict, row["path"], row["status"])
        rows.append((row["expiry"], row["root"] or "", *cells, *said))
    whole = report["surface"]
    cells = [say(whole[key]) if key in whole else "" for _, key, say, _ in shown]
    done = sum(row["certified"] for row in report["expiries"])
    rows.append(("all", "", *cells, f"{done} of {whole['fits']}", "", ""))
    return heads, rows


def words(snapshot: Snapshot, report: dict[str, Any], seconds: float) -> list[str]:
    """Lines above the table: what was read and believed, how long the fit took."""
    aside, removed = (
        ", ".join(f"{reason} {n:,}" for reason, n in counts.items()) or "nothing"
        for counts in (snapshot.quarantined, report["removed"])
    )
    spot = report["spot"]
    return [
        f"{snapshot.underlying} {report['valuation']}  spot {number(spot, 2)} USD, "
        f"{snapshot.quotes.height:,} of {snapshot.read:,} options, "
        f"{percent(snapshot.two_sided_share)} % two-sided, fitted in {seconds:.2f} s",
        f"set aside: {aside}",
        f"not believed, in whole or one side: {removed}",
        *(f"note: {note}" for note in snapshot.notes),
    ]


def failure(report: dict[str, Any]) -> str | None:
    """Why the calibration is not a success; None when it is."""
    rows, core = report["expiries"], report["surface"]["core_hit_rate"]
    if core is not None and core < LEAST_CORE:
        return (
            f"only {percent(core)} % of the quotes near the money are met: calls and puts, units, "
            "spot or time of the quotes may be wrong; see the status of each expiry"
        )
    bad = [row for row in rows if not row["certified"]]
    if not bad:
        return None
    bare = [row for row in bad if row["path"] == "none"]
    if len(bare) == len(rows):
        return f"no expiry of {len(rows)} could be fitted; see their status"
    names = ", ".join(f"{row['expiry']} {row['root'] or ''}".strip() for row in bad[:3])
    names += f" and {len(bad) - 3} more" if len(bad) > 3 else ""
    why = f"{len(bare)} without a curve, " if bare else ""
    return (
        f"{len(bad)} of {len(rows)} expiries are not certified free of arbitrage ({why}"
        f"least g {small(_least(bad, 'min_g')) or NA}, least calendar margin "
        f"{small(_least(bad, 'calendar_margin')) or NA}): {names}"
    )


def _least(rows: list[dict[str, Any]], key: str) -> float | None:
    return min((row[key] for row in rows if row[key] is not None), default=None)


def write(folder: Path, surface: "VolSurface") -> list[Path]:
    """Write diagnostics.parquet and residuals.parquet; nothing appears before both are whole."""
    folder.mkdir(parents=True, exist_ok=True)
    frames = (surface.diagnostics, surface.residuals)
    drafts = [folder / f".{name}.part" for name in FILES]
    try:
        for draft, frame in zip(drafts, frames, strict=True):
            frame.write_parquet(draft, compression="zstd", statistics=False)
        for draft, name in zip(drafts, FILES, strict=True):
            os.replace(draft, folder / name)
    finally:
        for draft in drafts:
            draft.unlink(missing_ok=True)
    return [folder / name for name in FILES]
