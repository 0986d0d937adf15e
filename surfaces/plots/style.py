"""Colours, ticks and sizes that every figure shares.

Colours are those of Okabe and Ito (2008), which stay apart for every kind of colour vision; what
matters is also told by a shape or an edge.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullFormatter, NullLocator

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from surfaces.smiles.base import Array
    from surfaces.surface import VolSurface

PERCENT = 100.0
DAYS = 365.0
BLUE, ORANGE, VERMILION, GREEN, PURPLE = "#0072B2", "#E69F00", "#D55E00", "#009E73", "#CC79A7"
INK, GREY, FAINT = "#222222", "#8a8a8a", "#dddddd"
ROOT_MARKS = (("o", BLUE), ("s", ORANGE), ("^", GREEN), ("D", PURPLE))
TIMES = (
    (0.1 / DAYS, "2.4 h"), (1 / DAYS, "1 d"), (2 / DAYS, "2 d"), (4 / DAYS, "4 d"),
    (7 / DAYS, "1 w"), (14 / DAYS, "2 w"), (1 / 12, "1 m"), (0.25, "3 m"), (0.5, "6 m"),
    (1.0, "1 y"), (2.0, "2 y"), (5.0, "5 y"), (10.0, "10 y"),
)  # fmt: skip


def figure(width: float, height: float) -> Figure:
    """An empty figure in inches whose parts make room for one another."""
    return Figure(figsize=(width, height), layout="constrained", facecolor="white")


def tidy(panel: "Axes") -> None:
    """A light grid behind the data, no box."""
    panel.set_axisbelow(True)
    panel.grid(True, color=FAINT, lw=0.6)
    panel.spines[["top", "right"]].set_visible(False)
    panel.tick_params(labelsize=8, length=3)


def time_axis(axis: Any, low: float, high: float) -> None:
    """Logarithmic years to expiry, labelled as people say them."""
    marks = [(t, name) for t, name in TIMES if 0.95 * low <= t <= 1.05 * high]
    axis.set_major_locator(FixedLocator([t for t, _ in marks]))
    axis.set_ticklabels([name for _, name in marks])
    axis.set_minor_locator(NullLocator())
    axis.set_minor_formatter(NullFormatter())


def fitted(surface: "VolSurface") -> list[int]:
    """Slices that hold a curve, in order of expiry."""
    return [j for j, name in enumerate(surface.models) if name]


def label(surface: "VolSurface", j: int) -> str:
    """Expiry and root of a slice."""
    return f"{surface.chain.expiry_labels[j]} {surface.chain.roots[j]}".strip()


def missed(surface: "VolSurface") -> np.ndarray:
    """Which judged quotes the model lies outside of; a quote left out of the fit counts."""
    quotes = surface.quotes
    low = np.where(np.isfinite(quotes.bid_vol), quotes.bid_vol, 0.0)
    high = np.where(np.isfinite(quotes.ask_vol), quotes.ask_vol, np.inf)
    inside = (quotes.model_vol >= low) & (quotes.model_vol <= high)
    return ~(inside & quotes.used)


def span(values: "Array", share: float = 0.02, room: float = 0.12) -> tuple[float, float]:
    """Limits that hold all but `share` of the values at each end, and `room` beyond."""
    good = values[np.isfinite(values)]
    if not good.size:
        return 0.0, 1.0
    low, high = np.quantile(good, [share, 1.0 - share])
    pad = room * max(high - low, 1e-3 * max(abs(high), abs(low)), 1e-9)
    return float(low - pad), float(high + pad)


def at_least(panel: "Axes", height: float) -> None:
    """Widen the vertical limits about their middle to `height`, lest noise fill the panel."""
    low, high = panel.get_ylim()
    extra = 0.5 * max(height - (high - low), 0.0)
    panel.set_ylim(low - extra, high + extra)
