"""The surface of the day: how well it met the quotes, whether it was free of arbitrage."""

from typing import Any

import numpy as np
import polars as pl

from optmm.reports.run import Run

SHORTEST = 1.0 / 365.0  # below a day to expiry, rate and carry are noise over no time
FALLBACKS = ("flat", "parabola", "last_good", "none")


def _share(top: Any, bottom: Any) -> float | None:
    """Ratio of two counts, None over nothing."""
    return float(top / bottom) if bottom else None


def _least(values: pl.Series) -> float | None:
    """Smallest finite value, None where there is none."""
    finite = values.to_numpy()[np.isfinite(values.to_numpy())]
    return float(finite.min()) if finite.size else None


def totals(rows: pl.DataFrame) -> dict[str, Any]:
    """What is said of one expiry and of all of them alike, from rows of surface.parquet."""
    margins = ("min_g", "calendar_margin", "calendar_margin_wings")
    negative = {name: int((rows[name].fill_nan(None) < 0.0).sum() or 0) for name in margins}
    return {
        "fits": rows.height,
        "quotes": int(rows["quotes"].sum()),
        "hit_rate": _share(rows["hits"].sum(), rows["quotes"].sum()),
        "core_quotes": int(rows["core_quotes"].sum()),
        "core_hit_rate": _share(rows["core_hits"].sum(), rows["core_quotes"].sum()),
        **{name: _least(rows[name]) for name in margins},
        "butterfly_violations": negative["min_g"],
        "calendar_violations": negative["calendar_margin"],
        "calendar_violations_wings": negative["calendar_margin_wings"],
        "fallback_share": _share(rows["path"].is_in(FALLBACKS).sum(), rows.height),
    }


def _expiry(rows: pl.DataFrame) -> dict[str, Any]:
    """One expiry's day: sums over its refits, and the last refit's curve."""
    last = rows.row(rows.height - 1, named=True)
    paths = rows["path"].value_counts(sort=True).sort("path")
    keys = ("forward", "forward_error", "df", "rate", "carry", "atm_vol", "skew", "years", "path")
    close = {key: last[key] for key in keys} | {"status": last["status"]}
    if last["years"] < SHORTEST:
        close |= {"rate": None, "carry": None}
    name = {"expiry": str(last["expiry"]), "root": last["root"]}
    return name | totals(rows) | {"paths": dict(paths.iter_rows()), "close": close}


def section(run: Run) -> dict[str, Any]:
    """`surface` of report.json: totals over all refits and one row an expiry.

    Rates are quote-weighted: a refit of 60 quotes counts twice one of 30. Margins are the worst of
    the day. `fallback_share` is the share of refits that did not end in a fitted smile. Refits
    after an expiry count nowhere.
    """
    # a refit goes over every expiry of the run: one that is over was not fitted and did not fail
    rows = run.surface.filter(~pl.col("status").fill_null("").str.contains("expired"))
    slices = rows.sort("slice", "ts_ns", maintain_order=True).partition_by(
        "slice", maintain_order=True
    )
    return totals(rows) | {"expiries": [_expiry(part) for part in slices]}
