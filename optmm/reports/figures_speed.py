"""How long the code took, as counts by wall time."""

import numpy as np
from matplotlib.figure import Figure

from optmm.reports.ink import BLUE
from optmm.reports.run import Run


def latency(_run: Run, report: dict) -> Figure:
    """Tick to quote and decisions, as counts by wall time."""
    figure = Figure(figsize=(9.4, 2.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    watched = report["latency"] or {}
    for ax, key, title in ((left, "event", "Tick to quote"), (right, "decision", "Decision")):
        bars = (watched.get(key) or {}).get("histogram") or []
        edges = np.array([bar["le_us"] for bar in bars])
        ax.set_title(f"{title}, samples by µs")
        if not bars:
            continue
        width = edges * (1.0 - 2.0**-0.5)
        ax.bar(edges - width, [bar["count"] for bar in bars], width=width, align="edge", color=BLUE)
        ax.set_xscale("log")
    return figure
