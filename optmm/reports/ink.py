"""Colours and style of the figures: fixed hex values that the page replaces by its own."""

from typing import Any

# Hex drawn by matplotlib -> CSS variable of the page, with its light value as the fallback.
PALETTE = {
    "#1b1f24": "--ink",
    "#6a737d": "--muted",
    "#e3e6ea": "--rule",
    "#fefefe": "--paper",
    "#b4552d": "--pessimistic",
    "#2b5c9e": "--queue",
    "#3f8a63": "--optimistic",
    "#7d5ba6": "--extra",
}
INK, MUTED, RULE, PAPER, RUST, BLUE, GREEN, PLUM = PALETTE
WORLD = {"pessimistic": RUST, "queue": BLUE, "optimistic": GREEN, "simulated": BLUE}
MAX_POINTS = 700

STYLE: dict[Any, Any] = {
    "svg.hashsalt": "optmm",
    "svg.fonttype": "none",
    "font.family": "DejaVu Sans",
    "font.size": 9.0,
    "text.color": INK,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": MUTED,
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
    "axes.titlecolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "grid.color": RULE,
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.4,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
}
