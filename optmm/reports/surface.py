"""The surface of the day: how well it met the quotes, whether it was free of arbitrage."""

from typing import Any

import numpy as np
import polars as pl

from optmm.reports.run import Run

FALLBACKS = ("flat", "parabola", "last_good", "none")


def _share(top: float, bottom: float) -> float | None:
    return top / bottom if bottom else None


def _least(values: pl.Series) -> float | None:
    """Smallest finite value, None where there is none."""
    finite = values.to_numpy()[np.isfinite(values.to_numpy())]
    return float(finite.min()) if finite.size else None


def _expiry(rows: pl.DataFrame) -> dict[str, Any]:
    """One expiry's day: sums over its refits, and the last refit's curve."""
    last = rows.row(rows.height - 1, named=True)
    paths = rows["path"].value_counts(sort=True).sort("path")
    keys = ("forward", "forward_error", "df", "rate", "carry", "atm_vol", "skew", "years", "path")
    return {
        "expiry": str(last["expiry"]),
        "root": last["root"],
        "fits": rows.height,
        "quotes": int(rows["quotes"].sum()),
        "hit_rate": _share(rows["hits"].sum(), rows["quotes"].sum()),
        "core_quotes": int(rows["core_quotes"].sum()),
        "core_hit_rate": _share(rows["core_hits"].sum(), rows["core_quotes"].sum()),
        "min_g": _least(rows["min_g"]),
        "calendar_margin": _least(rows["calendar_margin"]),
        "calendar_margin_wings": _least(rows["calendar_margin_wings"]),
        "fallback_share": _share(int(rows["path"].is_in(FALLBACKS).sum()), rows.height),
        "paths": dict(paths.iter_rows()),
        "close": {key: last[key] for key in keys} | {"status": last["status"]},
    }


def section(run: Run) -> dict[str, Any]:
    """`surface` of report.json: totals over all refits and one row an expiry.

    Rates are quote-weighted: a refit of 60 quotes counts twice one of 30. Margins are the worst of
    the day. `fallback_share` is the share of refits that did not end in a fitted smile.
    """
    rows = run.surface
    slices = rows.sort("slice", "ts_ns", maintain_order=True).partition_by(
        "slice", maintain_order=True
    )
    return {
        "fits": rows.height,
        "quotes": int(rows["quotes"].sum()),
        "hit_rate": _share(rows["hits"].sum(), rows["quotes"].sum()),
        "core_quotes": int(rows["core_quotes"].sum()),
        "core_hit_rate": _share(rows["core_hits"].sum(), rows["core_quotes"].sum()),
        "min_g": _least(rows["min_g"]),
        "calendar_margin": _least(rows["calendar_margin"]),
        "calendar_margin_wings": _least(rows["calendar_margin_wings"]),
        "fallback_share": _share(int(rows["path"].is_in(FALLBACKS).sum()), rows.height),
        "expiries": [_expiry(part) for part in slices],
    }
