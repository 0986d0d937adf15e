"""Quoting obligations: how long both our sides stood, over a denominator that we cannot choose.

Eligible time of a series: open, expiry under nine months, 0.05 <= |delta| <= 0.95, and a two-sided
market. The desk's own reasons for absence never shrink it.
"""

from typing import Any

import numpy as np
import polars as pl

from optmm.engine.reasons import TEXT
from optmm.reports.run import Run

TARGET = 0.90
DENOMINATOR = (
    "series-seconds of all series under nine months with 0.05 <= |delta| <= 0.95 and a two-sided "
    "market while open"
)
_WORDS = {why.name.lower(): text for why, text in TEXT.items() if why.name}


def _by_expiry(rows: pl.DataFrame, expiry: np.ndarray) -> list[dict[str, Any]]:
    """One row an expiry that had any eligible time."""
    own = expiry[rows["instrument"].to_numpy()]
    eligible, two = rows["eligible_s"].to_numpy(), rows["two_sided_s"].to_numpy()
    out = []
    for name in sorted(set(own[eligible > 0])):
        here = own == name
        total = float(eligible[here].sum())
        share = float(two[here].sum()) / total
        series = int((eligible[here] > 0).sum())
        out.append({"expiry": name, "series": series, "eligible_s": total, "share": share})
    return out


def _world(run: Run, bound: str, expiry: np.ndarray) -> dict[str, Any]:
    """One world's share, its expiries and the reasons of its absences, longest first."""
    rows = run.world(run.presence, bound)
    eligible, two = rows["eligible_s"].to_numpy(), rows["two_sided_s"].to_numpy()
    total = float(eligible.sum())
    each = two[eligible > 0] / eligible[eligible > 0]
    reasons: list[dict[str, Any]] = []
    for column in rows.columns:
        if not column.startswith("absent_"):
            continue
        name = column.removeprefix("absent_").removesuffix("_s")
        seconds = float(np.nansum(rows[column].to_numpy()))
        if seconds > 0.0:
            share = seconds / total if total else None
            text = _WORDS.get(name, name.replace("_", " "))
            reasons.append({"reason": name, "text": text, "seconds": seconds, "share": share})
    reasons.sort(key=lambda r: (-r["seconds"], r["reason"]))
    share = float(two.sum()) / total if total else None
    return {
        "share": share,
        "met": None if share is None else share >= TARGET,
        "series": int(each.size),
        "series_at_target": int((each >= TARGET).sum()),
        "eligible_s": total,
        "two_sided_s": float(two.sum()),
        "absent": reasons,
        "by_expiry": _by_expiry(rows, expiry),
    }


def section(run: Run) -> dict[str, Any]:
    """`obligations` of report.json.

    Reasons may overlap (a halted series may also lack a fair value), so their seconds need not
    add up to the absence.
    """
    expiry = run.chain["expiry"].cast(pl.String).to_numpy().astype(str)
    worlds = {bound: _world(run, bound, expiry) for bound in run.bounds}
    return {"target": TARGET, "denominator": DENOMINATOR, "bounds": worlds}
