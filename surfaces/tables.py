"""A surface as records and frames, with the columns of docs/run_folder.md."""

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import polars as pl

    from surfaces.surface import VolSurface


def records(surface: "VolSurface") -> list[dict[str, Any]]:
    """One record a slice: what was fitted, how well, and what holds on a dense grid."""
    chain, scores, checked = surface.chain, surface.scores, surface.certificate
    columns: dict[str, Any] = {
        "years": surface.years,
        "forward": surface.forwards,
        "forward_error": surface.forward_error,
        "df": surface.dfs,
        "rate": surface.rate,
        "carry": surface.carry,
    }
    columns |= dict(zip(("a", "b", "rho", "m", "sigma"), surface.params.T, strict=True))
    columns |= {"atm_vol": surface.atm_vol, "skew": surface.skew}
    fitted = ("quotes", "hits", "core_quotes", "core_hits", "chi2")
    columns |= {name: getattr(scores, name) for name in fitted}
    margins = ("min_g", "calendar_margin", "calendar_margin_wings", "certified")
    columns |= {name: getattr(checked, name) for name in margins}
    columns |= dict(zip(("certified_k_low", "certified_k_high"), checked.reach.T, strict=True))
    others = ("loo_hits", "verticals", "butterflies")
    columns |= {name: getattr(scores, name) for name in others}
    plain = {name: values.tolist() for name, values in columns.items()}
    out = []
    for j in range(chain.slices):
        row: dict[str, Any] = {
            "ts_ns": surface.ts_ns,
            "version": surface.version,
            "slice": j,
            "expiry": chain.expiry_labels[j],
            "root": chain.roots[j],
            "years": plain["years"][j],
            "spot": surface.spot,
        }
        row |= {name: values[j] for name, values in plain.items()}
        row |= {"path": surface.path[j], "status": surface.status[j]}
        out.append(row)
    return out


def diagnostics(surface: "VolSurface") -> "pl.DataFrame":
    """`records` as a frame."""
    import polars as pl

    return pl.DataFrame(records(surface), infer_schema_length=None)


def residuals(surface: "VolSurface") -> "pl.DataFrame":
    """One row a judged out-of-the-money quote; a vol is NaN where a side carries none."""
    import polars as pl

    chain, quotes = surface.chain, surface.quotes
    of = chain.slice_of[quotes.row]
    return pl.DataFrame(
        {
            "slice": of.astype(np.int32),
            "expiry": [chain.expiry_labels[j] for j in of],
            "root": [chain.roots[j] for j in of],
            "strike": chain.strike[quotes.row],
            "right": chain.right[quotes.row].astype(np.int8),
            "k": quotes.k,
            "bid_vol": quotes.bid_vol,
            "ask_vol": quotes.ask_vol,
            "model_vol": quotes.model_vol,
            "used": quotes.used,
            "loo": quotes.loo,
            "loo_sd": quotes.loo_sd,
            "edge": quotes.edge,
        }
    )
