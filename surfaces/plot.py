"""Figures of a surface. Every function returns a matplotlib `Figure`; nothing is shown or saved."""

from math import ceil
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from surfaces.surface import VolSurface

PERCENT = 100.0
COLUMNS = 4
INK, MODEL, MISSED = "#44546a", "#c0392b", "#e59866"


def smiles(surface: "VolSurface", expiries: list[int] | None = None) -> Figure:
    """Each expiry's quotes as bid-ask bars and its curve, vol in percent against ln(K/F).

    `expiries`: slice numbers, default every slice that holds a curve. Quotes the fit left out, and
    those it misses, are drawn in another colour.
    """
    if expiries is None:
        expiries = [j for j, name in enumerate(surface.models) if name]
    rows = max(1, ceil(len(expiries) / COLUMNS))
    columns = max(1, min(COLUMNS, len(expiries)))
    figure = Figure(figsize=(3.6 * columns, 2.8 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for panel in panels[len(expiries) :]:
        panel.set_axis_off()
    for panel, j in zip(panels, expiries, strict=False):
        _smile(panel, surface, j)
    figure.supxlabel("ln(strike / forward)")
    figure.supylabel("implied volatility, %")
    return figure


def _smile(panel: "Axes", surface: "VolSurface", j: int) -> None:
    quotes = surface.quotes
    mine = surface.chain.slice_of[quotes.row] == j
    k, bid, ask = quotes.k[mine], quotes.bid_vol[mine], quotes.ask_vol[mine]
    model, used = quotes.model_vol[mine], quotes.used[mine]
    bid = np.where(np.isfinite(bid), bid, 0.0)
    good = np.isfinite(ask)
    missed = good & ~(used & (model >= bid) & (model <= ask))
    for mask, colour in ((good & ~missed, INK), (missed, MISSED)):
        panel.vlines(k[mask], bid[mask] * PERCENT, ask[mask] * PERCENT, colors=colour, lw=1.2)
    low, high = surface.quoted_range[j]
    if surface.models[j] and np.isfinite(low) and high > low:
        line = np.linspace(low, high, 200)
        vol = surface.slice_vol(j, surface.forwards[j] * np.exp(line))
        panel.plot(line, vol * PERCENT, color=MODEL, lw=1.2)
        top = max(float(vol.max()), float(np.median(ask[good])) if good.any() else 0.0)
        panel.set_ylim(0.0, 1.4 * top * PERCENT)
    root = surface.chain.roots[j]
    title = f"{surface.chain.expiry_labels[j]} {root}".strip()
    panel.set_title(f"{title}  ({surface.path[j]})", fontsize=8)
    panel.tick_params(labelsize=7)


def term_structure(surface: "VolSurface") -> Figure:
    """At-the-money vol with its error bar, percent, against years; fallbacks are hollow."""
    figure = Figure(figsize=(6.4, 3.6), layout="constrained")
    panel = figure.subplots()
    have = np.isfinite(surface.atm_vol)
    own = have & np.array([path not in ("none", "last_good") for path in surface.path], bool)
    bars = surface.fit_error * PERCENT
    for mask, fill in ((own, INK), (have & ~own, "white")):
        panel.errorbar(
            surface.years[mask],
            surface.atm_vol[mask] * PERCENT,
            yerr=np.nan_to_num(bars[mask]),
            fmt="o",
            color=INK,
            markerfacecolor=fill,
            capsize=2,
            lw=1.0,
        )
    panel.set_xlabel("years to expiry (ACT/365)")
    panel.set_ylabel("at-the-money volatility, %")
    return figure
