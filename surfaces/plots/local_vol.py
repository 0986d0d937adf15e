"""A local vol: slices of time against k, and all of it from above with its flags marked."""

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from surfaces.local_vol import BAD, Flag
from surfaces.plots import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from surfaces.local_vol import LocalVol
    from surfaces.smiles.base import Array

TIMES_SHOWN = 5
ACROSS = 4.0  # deviations of k on either side, at each time
ROWS, COLUMNS = 140, 161
LEVELS = 14
COLOURS = (style.BLUE, style.GREEN, style.ORANGE, style.VERMILION, style.PURPLE)
BLANK = "#ececec"
NO_LEVEL = 0.2  # where there is no vol at the forward at all
NAMES = {
    Flag.NEGATIVE_DENSITY: ("negative density", style.VERMILION),
    Flag.CALENDAR: ("variance falls in time", style.PURPLE),
    Flag.UNDEFINED: ("undefined", style.INK),
    Flag.OUT_OF_CERTIFICATE: ("outside the certificate", style.GREY),
    Flag.EXTRAPOLATED: ("after the last expiry", style.ORANGE),
    Flag.EVENT: ("an event's variance, spread", style.GREEN),
    Flag.STOPGAP: ("no curve of its own", style.BLUE),
}


def draw(local_vol: "LocalVol", title: str = "") -> Figure:
    """Left, vol against k at five times; right, vol over deviations and time. Percent."""
    figure = style.figure(12.5, 5.6)
    lines, heat = figure.subplots(1, 2, width_ratios=(1.0, 1.25))
    figure.suptitle(title or "Local volatility", fontsize=13)
    deviation = _deviation(local_vol)
    _lines(lines, local_vol, deviation)
    seen = _heat(figure, heat, local_vol, deviation)
    handles = [
        Line2D([], [], color=NAMES[Flag(f)][1], marker="s", ms=4, lw=0, label=NAMES[Flag(f)][0])
        for f in seen
    ]
    if handles:
        figure.legend(
            handles=handles, loc="outside lower right", ncols=3, frameon=False, fontsize=8
        )
    return figure


def _deviation(local_vol: "LocalVol") -> "Array":
    """About vol sqrt(years) at the forward, per time node, so that slices can share an axis."""
    at = int(np.argmin(np.abs(local_vol.k)))
    vol, years = local_vol.vol[:, at], local_vol.years
    good = np.isfinite(vol)
    level = np.full(years.size, NO_LEVEL)
    if good.any():
        level = np.interp(years, years[good], vol[good])
    return np.sqrt(np.cumsum(level**2 * np.diff(years, prepend=0.0)))


def _lines(panel: "Axes", local_vol: "LocalVol", deviation: "Array") -> None:
    """Slices from early to late; a bad node leaves a gap, or a cross if it was replaced."""
    years, n = local_vol.years, local_vol.years.size
    marks = np.geomspace(max(years[0], 1e-3 * years[-1]), years[-1], TIMES_SHOWN)
    rows = np.unique([min(int(np.searchsorted(years, t)), n - 1) for t in marks])
    values = []
    for i, colour in zip(rows.tolist(), COLOURS, strict=False):
        near = np.abs(local_vol.k) <= ACROSS * deviation[i]
        z, vol = local_vol.k[near] / deviation[i], style.PERCENT * local_vol.vol[i, near]
        values.append(vol)
        panel.plot(z, vol, color=colour, lw=1.3, label=_span(years[i]))
        bad = local_vol.bad[i, near] & np.isfinite(vol)
        panel.plot(z[bad], vol[bad], "x", color=colour, ms=4)
    panel.set_ylim(*style.span(np.concatenate(values), share=0.005))
    panel.set_xlabel("deviations of the local vol at the forward", fontsize=9)
    panel.set_ylabel("local volatility, %", fontsize=9)
    panel.set_title("At five times", fontsize=10)
    panel.legend(fontsize=8, frameon=False)
    style.tidy(panel)


def _heat(figure: Figure, panel: "Axes", local_vol: "LocalVol", deviation: "Array") -> list[int]:
    """From above; nodes with a flag are dots of its colour. The flags that are seen."""
    years = local_vol.years
    low, high = max(years[0], 1e-3 * years[-1]), years[-1]
    low = min(low, 0.5 * high)
    z, t = np.meshgrid(np.linspace(-ACROSS, ACROSS, COLUMNS), np.geomspace(low, high, ROWS))
    width = np.interp(t, years, deviation)
    vol = style.PERCENT * local_vol.at(z * width, t)
    panel.set_facecolor(BLANK)
    if np.isfinite(vol).any():
        levels = MaxNLocator(LEVELS).tick_values(*style.span(vol.ravel(), share=0.01, room=0.0))
        filled = panel.contourf(z, t, vol, levels=levels, cmap="viridis", extend="both")
        bar = figure.colorbar(filled, ax=panel, pad=0.02)
        bar.set_label("local volatility, %", fontsize=9)
        bar.ax.tick_params(labelsize=8)
    seen = []
    i, j = np.nonzero(local_vol.flag)
    at = local_vol.k[j] / deviation[i]
    there = (np.abs(at) <= ACROSS) & (years[i] >= low)
    for flag in sorted(set(local_vol.flag[i, j][there].tolist())):
        mine = there & (local_vol.flag[i, j] == flag)
        size = 3.0 if flag in BAD else 1.2
        panel.plot(at[mine], years[i[mine]], ".", ms=size, mew=0.0, color=NAMES[Flag(flag)][1])
        seen.append(flag)
    panel.set_yscale("log")
    panel.set_xlim(-ACROSS, ACROSS)
    panel.set_ylim(low, high)
    style.time_axis(panel.yaxis, low, high)
    panel.set_xlabel("deviations of the local vol at the forward", fontsize=9)
    panel.set_title("Without a local vol: blank", fontsize=10)
    style.tidy(panel)
    panel.grid(False)
    return seen


def _span(years: float) -> str:
    """A time as people say it."""
    days = style.DAYS * years
    if days < 1.0:
        return f"{24.0 * days:.2g} h"
    return f"{days:.3g} d" if days < 120.0 else f"{years:.2g} y"
