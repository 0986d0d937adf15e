"""Smiles: what each expiry's quotes say and what its curve answers."""

from math import ceil
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from surfaces.plots import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from surfaces.surface import VolSurface

COLUMNS = 4
BAND = 2.0  # standard errors
ROOM = 0.06  # of the vols that two-sided quotes and the curve reach, below and above
FAR = 1.3  # times the curve's highest vol, or its lowest divided by it: no quote sets more
TICKS = 6
MOST = 0.9  # share of the quotes that the lower panel has room for


def draw(surface: "VolSurface", expiries: list[int], title: str = "") -> Figure:
    """A panel an expiry: bid-ask bars, quotes without a bid, the curve and its error band.

    Below each, the same less the curve: bars that cross zero are hits, and spreads that are thin
    beside the whole smile can be seen.
    """
    count = len(expiries)
    rows = max(1, ceil(count / COLUMNS))
    columns = max(1, ceil(count / rows))
    figure = style.figure(3.6 * columns + 0.4, 3.5 * rows + 0.9)
    outside = style.missed(surface)
    cells = figure.add_gridspec(rows, 2 * columns, hspace=0.06)
    for i, j in enumerate(expiries):
        row, column = divmod(i, columns)
        left = 2 * column + (columns - min(columns, count - row * columns))  # a short row: centred
        pair = cells[row, left : left + 2].subgridspec(2, 1, height_ratios=(2.6, 1.0))
        above = figure.add_subplot(pair[0])
        below = figure.add_subplot(pair[1], sharex=above)
        above.tick_params(labelbottom=False)
        _smile(above, below, surface, j, outside)
        if column == 0:
            above.set_ylabel("implied vol, %", fontsize=9)
            below.set_ylabel("less model,\nvol points", fontsize=8)
        if row == rows - 1 or (row == rows - 2 and count % columns):
            below.set_xlabel("ln(strike / forward)", fontsize=9)
    figure.suptitle(title or "Implied volatility by expiry", fontsize=13)
    figure.legend(handles=_legend(), loc="outside lower center", ncols=5, frameon=False, fontsize=9)
    return figure


def _legend() -> list[Line2D | Patch]:
    return [
        Line2D([], [], color=style.BLUE, lw=2, label="bid to ask, curve inside"),
        Line2D([], [], color=style.VERMILION, lw=2, marker="_", label="bid to ask, curve outside"),
        Line2D([], [], color=style.GREY, marker="v", ms=4, lw=0, label="ask without a bid"),
        Line2D([], [], color=style.INK, lw=1.2, label="model"),
        Patch(color=style.INK, alpha=0.15, label=f"model ± {BAND:g} standard errors"),
    ]


def _smile(
    above: "Axes", below: "Axes", surface: "VolSurface", j: int, outside: np.ndarray
) -> None:
    quotes = surface.quotes
    mine = surface.chain.slice_of[quotes.row] == j
    k, bid, ask = quotes.k[mine], quotes.bid_vol[mine], quotes.ask_vol[mine]
    miss, both = outside[mine], np.isfinite(bid) & np.isfinite(ask)
    lone = ~np.isfinite(bid) & np.isfinite(ask)
    model = surface.slice_vol(j, surface.forwards[j] * np.exp(k))
    for panel, shift in ((above, np.zeros(k.size)), (below, model)):
        low, high = style.PERCENT * (bid - shift), style.PERCENT * (ask - shift)
        _bars(panel, k, low, high, both & ~miss, style.BLUE)
        _bars(panel, k, low, high, both & miss, style.VERMILION)
        panel.plot(k[lone], high[lone], color=style.GREY, marker="v", ms=2.5, lw=0, zorder=1.5)
        style.tidy(panel)
    above.set_title(_title(surface, j), fontsize=8.5)
    curve = np.zeros(0)
    left, right = surface.quoted_range[j]
    if surface.models[j] and np.isfinite(left) and right > left:
        line = np.linspace(left, right, 240)
        curve = surface.slice_vol(j, surface.forwards[j] * np.exp(line))
        error = style.PERCENT * BAND * _error(surface, j, line)
        for panel, level in ((above, style.PERCENT * curve), (below, np.zeros(line.size))):
            panel.fill_between(
                line, level - error, level + error, color=style.INK, alpha=0.15, lw=0
            )
            panel.plot(line, level, color=style.INK, lw=1.1, zorder=3.0)
        pad = 0.04 * (right - left)
        above.set_xlim(left - pad, right + pad)
    _height(above, np.concatenate((bid[both], ask[both])), curve)
    above.xaxis.set_major_locator(MaxNLocator(TICKS))
    reach = np.abs(np.concatenate([bid[both] - model[both], ask[both] - model[both]]))
    if np.isfinite(reach).any():
        far = 1.2 * style.PERCENT * float(np.nanquantile(reach, MOST))
        below.set_ylim(-far, far)


def _height(panel: "Axes", quoted: np.ndarray, curve: np.ndarray) -> None:
    """Limits that hold the curve and all quotes but the wildest."""
    if curve.size:
        quoted = np.append(np.clip(quoted, curve.min() / FAR, FAR * curve.max()), curve)
    quoted = style.PERCENT * quoted[np.isfinite(quoted)]
    if quoted.size:
        low, high = float(quoted.min()), float(quoted.max())
        room = ROOM * max(high - low, 1.0)
        panel.set_ylim(max(low - room, 0.0), high + room)


def _bars(
    panel: "Axes", k: np.ndarray, low: np.ndarray, high: np.ndarray, mask: np.ndarray, colour: str
) -> None:
    """Vertical bars; misses have end caps, so that colour is not the only sign."""
    panel.vlines(k[mask], low[mask], high[mask], colors=colour, lw=1.2, zorder=2.0)
    if colour == style.VERMILION:
        for end in (low, high):
            panel.plot(k[mask], end[mask], color=colour, marker="_", ms=3.5, lw=0, zorder=2.1)


def _error(surface: "VolSurface", j: int, line: np.ndarray) -> np.ndarray:
    """One standard error of slice j's vol along `line`, from those of its rows."""
    rows = surface.chain.rows(j)
    at = np.log(surface.chain.strike[rows] / surface.forwards[j])
    each = surface.row_uncertainty(rows)
    return np.interp(line, at, each)


def _title(surface: "VolSurface", j: int) -> str:
    judged, hits = int(surface.scores.quotes[j]), int(surface.scores.hits[j])
    inside = f"{100.0 * hits / judged:.0f} % of {judged} hit" if judged else "no quotes"
    days = style.DAYS * surface.years[j]
    span = f"{days:.0f} d" if days >= 2.0 else f"{24.0 * days:.0f} h"
    path = surface.path[j]
    return f"{style.label(surface, j)}, {span}, {path}: {inside}"
