"""The whole surface from above: vol as colour and contours, over deviations and time."""

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.patheffects import AbstractPathEffect, withStroke
from matplotlib.ticker import MaxNLocator

from surfaces.plots import style

if TYPE_CHECKING:
    from surfaces.smiles.base import Array
    from surfaces.surface import VolSurface

ACROSS, UP = 181, 160
DEVIATIONS = (-5.0, 3.0)
LEVELS = 14
BLANK = "#ececec"


def draw(surface: "VolSurface", title: str = "") -> Figure:
    """Vol in percent; only where strikes are quoted, the rest is left blank."""
    figure = style.figure(9.5, 6.0)
    panel = figure.subplots()
    mine = [j for j in style.fitted(surface) if np.isfinite(surface.quoted_range[j]).all()]
    panel.set_title(title or "Implied volatility surface", fontsize=12)
    panel.set_xlabel("ln(strike / forward) in deviations, k / (vol √T)", fontsize=9)
    panel.set_ylabel("time to expiry (logarithmic)", fontsize=9)
    if not mine:
        return figure
    years = surface.years[mine]
    low, high = years.min(), max(years.max(), 1.001 * years.min())
    z, t = np.meshgrid(np.linspace(*DEVIATIONS, ACROSS), np.geomspace(low, high, UP))
    deviation = np.sqrt(surface.total_variance(0.0, t[:, :1]))
    vol = style.PERCENT * np.sqrt(surface.total_variance(z * deviation, t) / t)
    left, right = _quoted(surface, mine, t[:, 0])
    vol[(z < left[:, None]) | (z > right[:, None])] = np.nan
    levels = MaxNLocator(LEVELS).tick_values(*style.span(vol.ravel(), share=0.01, room=0.0))
    filled = panel.contourf(z, t, vol, levels=levels, cmap="viridis", extend="both")
    lines = panel.contour(z, t, vol, levels=levels[1::2], colors="white", linewidths=0.7)
    halo: list[AbstractPathEffect] = [withStroke(linewidth=1.8, foreground=style.INK, alpha=0.55)]
    lines.set(path_effects=halo)
    for text in panel.clabel(lines, fmt="%g", fontsize=8):
        text.set_path_effects(halo)
    for edge in (left, right):
        panel.plot(edge, t[:, 0], color=style.INK, lw=0.9, ls="--")
    here = np.full(years.size, DEVIATIONS[0])
    panel.plot(here, years, ">", color=style.INK, ms=4, clip_on=False, zorder=5)
    panel.set_facecolor(BLANK)
    panel.set_yscale("log")
    panel.set_ylim(low, high)
    panel.set_xlim(*DEVIATIONS)
    style.time_axis(panel.yaxis, low, high)
    style.tidy(panel)
    panel.grid(False)
    bar = figure.colorbar(filled, ax=panel, pad=0.02)
    bar.set_label("implied volatility, %", fontsize=9)
    bar.ax.tick_params(labelsize=8)
    handles = [
        Line2D([], [], color=style.INK, lw=0.9, ls="--", label="edge of the quoted strikes"),
        Patch(facecolor=BLANK, edgecolor=style.GREY, label="no quotes: left blank"),
        Line2D([], [], color=style.INK, marker=">", ms=4, lw=0, label="expiry"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    return figure


def _quoted(surface: "VolSurface", mine: list[int], years: "Array") -> tuple["Array", "Array"]:
    """Quoted range in deviations along the time axis, linear in log time between expiries."""
    at, index = np.unique(surface.years[mine], return_index=True)
    j = np.array(mine)[index]
    ends = surface.quoted_range[j] / (surface.atm_vol[j] * np.sqrt(surface.years[j]))[:, None]
    x, grid = np.log(at), np.log(years)
    low, high = (np.interp(grid, x, side) for side in ends.T)
    return np.clip(low, *DEVIATIONS), np.clip(high, *DEVIATIONS)
