"""Residual map: where the curves miss, strike by strike and expiry by expiry."""

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.colors import LinearSegmentedColormap, TwoSlopeNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from surfaces.plots import style

if TYPE_CHECKING:
    from surfaces.surface import VolSurface

REACH = 3.0  # half spreads at which the colour saturates
# Purple to orange through a grey that is seen on white: a good fit is no empty figure.
HIT = "#929292"
COLOURS = LinearSegmentedColormap.from_list(
    "residuals", ("#2d004b", "#7a5fa8", HIT, "#e08214", "#7f3b08")
)
WIDEST = (-9.0, 5.0)  # deviations shown at most


def draw(surface: "VolSurface", title: str = "") -> Figure:
    """A row an expiry, a mark a quote: (model - mid) in half spreads, against k / (vol sqrt(T))."""
    quotes, chain = surface.quotes, surface.chain
    of = chain.slice_of[quotes.row]
    shown = [j for j in range(chain.slices) if np.any(of == j)]
    place = np.full(chain.slices, -1)
    place[shown] = np.arange(len(shown))
    z = quotes.k / (surface.atm_vol[of] * np.sqrt(surface.years[of]))
    half = 0.5 * (quotes.ask_vol - quotes.bid_vol)
    ratio = (quotes.model_vol - 0.5 * (quotes.ask_vol + quotes.bid_vol)) / half
    out = style.missed(surface)
    figure = style.figure(10.5, min(1.9 + 0.2 * max(len(shown), 4), 14.0))
    panel = figure.subplots()
    both = np.isfinite(ratio) & np.isfinite(z)
    lone = ~np.isfinite(quotes.bid_vol) & np.isfinite(z)
    panel.scatter(
        z[lone & ~out], place[of][lone & ~out], s=14, marker="|", color=style.GREY, lw=0.5, zorder=1
    )
    panel.scatter(
        z[lone & out], place[of][lone & out], s=11, marker="x", color=style.INK, lw=0.7, zorder=2
    )
    norm = TwoSlopeNorm(0.0, -REACH, REACH)
    for mask, mark, size, edge, order in (
        (both & ~out, "o", 9, "none", 3), (both & out, "D", 13, style.INK, 4)
    ):  # fmt: skip
        drawn = panel.scatter(
            z[mask], place[of][mask], c=np.clip(ratio[mask], -REACH, REACH), norm=norm,
            cmap=COLOURS, s=size, marker=mark, edgecolors=edge, linewidths=0.5, zorder=order,
        )  # fmt: skip
    bar = figure.colorbar(drawn, ax=panel, extend="both", fraction=0.035, pad=0.015)
    bar.set_label("model less mid, half spreads", fontsize=9)
    bar.ax.tick_params(labelsize=8)
    for side in (-1.0, 1.0):
        bar.ax.axhline(side, color=style.INK, lw=0.8, ls=":")
    panel.set_yticks(range(len(shown)), [style.label(surface, j) for j in shown])
    panel.set_ylim(len(shown) - 0.4, -0.6)
    low, high = style.span(z[both], share=0.002, room=0.04)
    panel.set_xlim(max(low, WIDEST[0]), min(high, WIDEST[1]))
    panel.set_xlabel("ln(strike / forward) in deviations, k / (vol √T)", fontsize=9)
    share = 100.0 * (1.0 - out.mean()) if out.size else float("nan")
    panel.set_title(
        f"{title or 'Residuals'}: {share:.1f} % of {out.size:,} quotes hit", fontsize=12
    )
    panel.axvline(0.0, color=style.GREY, lw=0.8, zorder=0)
    style.tidy(panel)
    panel.tick_params(axis="y", labelsize=7)
    figure.legend(handles=_legend(), loc="outside lower center", ncols=4, frameon=False, fontsize=9)
    return figure


def _legend() -> list[Line2D]:
    marks = (
        ("o", HIT, HIT, "inside bid and ask"),
        ("D", HIT, style.INK, "missed, or left out of the fit"),
        ("|", style.GREY, style.GREY, "no bid, curve below the ask"),
        ("x", style.INK, style.INK, "no bid, curve above the ask"),
    )
    return [
        Line2D([], [], lw=0, marker=m, ms=6, color=c, markeredgecolor=e, label=name)
        for m, c, e, name in marks
    ]
