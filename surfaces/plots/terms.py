"""Term structures: at-the-money vol, skew, implied rate and carry against time to expiry."""

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from surfaces.plots import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from surfaces.surface import VolSurface

SHORTEST = 14.0 / style.DAYS  # below it a rate is noise over no time and does not set the axis
LEAST = (1.0, 0.1, 0.5, 0.5)  # heights of the panels, in their units: less is noise
BORROWED = ("none", "last_good")


def draw(surface: "VolSurface", title: str = "") -> Figure:
    """Four panels on one logarithmic time axis; a root has its own mark, a fallback is hollow.

    The bars of carry are what the forward leaves of it at the rate shown: dividends and borrow.
    """
    figure = style.figure(10.5, 7.2)
    panels = figure.subplots(2, 2, sharex=True).ravel()
    error = style.PERCENT * 2.0 * surface.fit_error
    long = surface.years >= SHORTEST
    rate, carry = (style.PERCENT * x for x in (surface.rate, surface.carry))
    _series(panels[0], surface, style.PERCENT * surface.atm_vol, error)
    _series(panels[1], surface, surface.skew)
    of_carry = style.PERCENT * 2.0 * surface.forward_error / (surface.forwards * surface.years)
    for panel, values, bars in ((panels[2], rate, None), (panels[3], carry, of_carry)):
        _series(panel, surface, values, bars)
        panel.set_ylim(*style.span(values[long] if long.any() else values, share=0.0))
    for panel, height in zip(panels, LEAST, strict=True):
        style.at_least(panel, height)
    names = (
        ("At-the-money volatility ± 2 standard errors", "%"),
        ("Skew at the forward", "vol points per 1 % of strike"),
        ("Implied interest rate (grey: too short to set the scale)", "% a year, continuous"),
        ("Implied carry ± 2 standard errors of the forward", "% a year, continuous"),
    )
    for panel, (name, unit) in zip(panels, names, strict=True):
        panel.set_title(name, fontsize=10)
        panel.set_ylabel(unit, fontsize=9)
        style.tidy(panel)
    for panel in panels[2:]:
        panel.set_xlabel("time to expiry (logarithmic)", fontsize=9)
        panel.axvspan(0.0, SHORTEST, color=style.FAINT, alpha=0.4, lw=0)
        if panel.get_ylim()[0] < 0.0 < panel.get_ylim()[1]:
            panel.axhline(0.0, color=style.GREY, lw=0.8)
    _time(panels[0], surface)
    figure.suptitle(title or "Term structure", fontsize=13)
    handles, labels = panels[0].get_legend_handles_labels()
    if len(handles) > 1:
        figure.legend(
            handles, labels, loc="outside lower center", ncols=4, frameon=False, fontsize=9
        )
    return figure


def _time(panel: "Axes", surface: "VolSurface") -> None:
    alive = surface.years[surface.years > 0.0]
    low, high = (alive.min(), alive.max()) if alive.size else (0.01, 1.0)
    panel.set_xscale("log")
    panel.set_xlim(0.8 * low, 1.25 * high)
    style.time_axis(panel.xaxis, 0.8 * low, 1.25 * high)


def _series(
    panel: "Axes", surface: "VolSurface", values: np.ndarray, error: np.ndarray | None = None
) -> None:
    """One mark an expiry, by root; hollow where the curve is not this expiry's own."""
    own = np.array([path not in BORROWED for path in surface.path], bool)
    roots = list(dict.fromkeys(surface.chain.roots))
    for i, root in enumerate(roots):
        mark, colour = style.ROOT_MARKS[i % len(style.ROOT_MARKS)]
        mine = np.array([r == root for r in surface.chain.roots]) & np.isfinite(values)
        for mask, face in ((mine & own, colour), (mine & ~own, "white")):
            if not mask.any():
                continue
            name = (root or "options") if face != "white" else f"{root} borrowed curve".strip()
            panel.errorbar(
                surface.years[mask], values[mask],
                yerr=None if error is None else np.nan_to_num(error[mask]),
                fmt=mark, ms=4.5, color=colour, markerfacecolor=face, elinewidth=1.0, capsize=2,
                label=name,
            )  # fmt: skip
