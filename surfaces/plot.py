"""Figures of a surface. Every function returns a matplotlib `Figure`; only `save` writes files.

Vols and rates in percent, skew in vol points per 1 % of strike, residuals in half spreads.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib as mpl
from matplotlib.figure import Figure

from surfaces.dynamics_history import BUCKETS, LEAST
from surfaces.plots import dynamics, heat, style, terms
from surfaces.plots import local_vol as local_vol_panels
from surfaces.plots import residuals as residual_map
from surfaces.plots import smiles as smile_grid

if TYPE_CHECKING:
    from surfaces.dynamics_changes import AtmChanges
    from surfaces.local_vol import LocalVol
    from surfaces.surface import VolSurface

PAGE = 12  # smiles in one figure that `save` writes
DPI = 130


def smiles(surface: "VolSurface", expiries: list[int] | None = None, title: str = "") -> Figure:
    """Each expiry's quotes as bid-ask bars, its curve and two standard errors around it.

    `expiries`: slice numbers, default every slice that holds a curve. Quotes the curve misses, and
    those the fit left out, have another colour and end caps; asks without a bid are marks.
    """
    mine = style.fitted(surface) if expiries is None else expiries
    return smile_grid.draw(surface, [surface.chain.numbered(j) for j in mine], title)


def term_structure(surface: "VolSurface", title: str = "") -> Figure:
    """At-the-money vol, skew, implied rate and carry against time; borrowed curves are hollow."""
    return terms.draw(surface, title)


def residuals(surface: "VolSurface", title: str = "") -> Figure:
    """Every judged quote by expiry and deviations from the forward, coloured by its residual."""
    return residual_map.draw(surface, title)


def heat_map(surface: "VolSurface", title: str = "") -> Figure:
    """The surface from above, where strikes are quoted."""
    return heat.draw(surface, title)


def local_vol(local_vol: "LocalVol", title: str = "") -> Figure:
    """A local vol at five times and from above; nodes without one are blank, flags are marked."""
    return local_vol_panels.draw(local_vol, title)


def stickiness(
    changes: "AtmChanges",
    edges: Sequence[float] = BUCKETS,
    title: str = "",
    *,
    least: int = LEAST,
) -> Figure:
    """Changes of the vol at the money against skew times the move, by bucket of years to expiry.

    With the fitted ratio R and the lines of R = 0, 1 and 2; `surfaces.dynamics_changes` makes
    `changes` of surfaces or of a run's `surface.parquet`. `least`: steps below which there is no
    ratio, as for `skew_stickiness`.
    """
    return dynamics.draw(changes, edges, title, least)


def save(surface: "VolSurface", folder: Path | str, title: str = "") -> list[Path]:
    """Write every figure as PNG and SVG into `folder`, made if absent; return the paths.

    smiles-1, -2, ... (twelve expiries each), term_structure, residuals, heat_map.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    mine = style.fitted(surface)
    pages = [mine[i : i + PAGE] for i in range(0, len(mine), PAGE)]
    say = f"{title}: " if title else ""
    figures = {
        f"smiles-{number}": smiles(
            surface, page, f"{say}implied volatility, page {number} of {len(pages)}"
        )
        for number, page in enumerate(pages, 1)
    }
    figures |= {
        "term_structure": term_structure(surface, f"{say}term structure"),
        "residuals": residuals(surface, f"{say}residuals"),
        "heat_map": heat_map(surface, f"{say}implied volatility"),
    }
    paths = []
    with mpl.rc_context({"svg.hashsalt": "optmm"}):
        for name, figure in figures.items():
            for suffix, meta in (("png", {"Software": None}), ("svg", {"Date": None})):
                path = folder / f"{name}.{suffix}"
                figure.savefig(path, dpi=DPI, metadata=meta)
                paths.append(path)
    return paths
