"""Figures of a run as inline SVG: deterministic, no external reference, readable on dark pages.

Colours are drawn as fixed hex values and then replaced by CSS variables (`PALETTE`), so the page
decides what ink and paper are. Text stays text in the page's own font. Ids carry the figure's name,
so that many figures share one document.

Checked tests/optmm/reports/test_figures.py.
"""

import io
import math
import re
from collections.abc import Callable
from typing import Any

import matplotlib as mpl
import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from optmm.reports import flow, quote_card
from optmm.reports.run import Run
from optmm.reports.surface import SHORTEST

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


def _svg(name: str, figure: Figure) -> str:
    """Serialise: no header, metadata or foreign fonts; ids prefixed; colours as CSS variables."""
    FigureCanvasSVG(figure)
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->\s*", "", text, flags=re.DOTALL)
    text = re.sub(r'\bid="', f'id="{name}-', text)
    text = re.sub(r'href="#', f'href="#{name}-', text)
    text = text.replace("url(#", f"url(#{name}-")
    text = re.sub(r"font: ([\d.]+px) [^;\"]*", r"font-size: \1", text)
    text = re.sub(r"; font-family: [^;\"]*|font-family: [^;\"]*; ?", "", text)
    for hexed, variable in PALETTE.items():
        text = text.replace(hexed, f"var({variable}, {hexed})")
    return re.sub(r'<svg [^>]*?viewBox="([^"]*)"[^>]*>', _opening(name), text, count=1)


def _opening(name: str) -> str:
    """An <svg> tag that scales with its column; only namespaces keep addresses."""
    return (
        rf'<svg class="figure" role="img" aria-label="{name}" viewBox="\1" '
        'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">'
    )


def _thin(n: int) -> np.ndarray:
    """At most MAX_POINTS row numbers of n, first and last among them."""
    return np.unique(np.linspace(0, max(n - 1, 0), min(n, MAX_POINTS)).astype(int))


def _clock(ax: Axes, run: Run, *, most: int = 9) -> None:
    """Session hours on the x axis, labelled with the exchange's clock; at most `most` labels.

    Several sessions follow each other without their nights, each labelled with its date.
    """
    sessions = run.sessions
    end = sum(each["close_ns"] - each["open_ns"] for each in sessions) / 3600e9
    if len(sessions) > 1:
        opens = run.hours(np.array([each["open_ns"] for each in sessions]))
        keep = range(0, len(sessions), math.ceil(len(sessions) / most))
        ax.set_xticks(opens[list(keep)], [sessions[k]["date"] for k in keep], ha="left")
        for at in opens[1:]:
            ax.axvline(at, color=MUTED, linewidth=0.5)
    else:
        step = max(1, math.ceil(end / most))
        ticks = np.arange(0.0, end + 1e-9, step)
        start = sessions[0]["open_ns"]
        labels = [f"{run.local(start + int(t * 3600e9)):%H:%M}" for t in ticks]
        ax.set_xticks(ticks, labels)
    ax.set_xlim(0.0, end)


def _series(run: Run, bound: str, *columns: str) -> tuple[np.ndarray, ...]:
    """Hours since the open and columns of pnl.parquet in one world, thinned."""
    rows = run.world(run.pnl, bound)
    keep = _thin(rows.height)
    arrays = [rows[name].to_numpy().astype(float)[keep] for name in columns]
    return (run.hours(rows["ts_ns"].to_numpy()[keep]), *arrays)


SPLIT = {
    "spread_capture": "capture",
    "adverse_selection": "adverse sel.",
    "inventory_alpha": "inventory",
    "hedging_costs": "hedging",
    "carry": "carry",
    "fees": "fees",
    "net": "net",
}


def pnl(run: Run, report: dict) -> Figure:
    """P&L through the day in every world, and its split at the close."""
    figure = Figure(figsize=(9.4, 3.3), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1.45, 1))
    for bound in run.bounds:
        hours, net = _series(run, bound, "net_e9")
        left.plot(hours, net / 1e9, color=WORLD[bound], label=bound, drawstyle="steps-post")
    left.axhline(0.0, color=MUTED, linewidth=0.7)
    left.set_title("Net P&L through the day, USD")
    left.legend(loc="best")
    _clock(left, run)
    height = 0.8 / len(run.bounds)
    for i, bound in enumerate(run.bounds):
        values = [report["bounds"][bound]["pnl"][key] for key in SPLIT]
        at = np.arange(len(SPLIT)) + (i - (len(run.bounds) - 1) / 2) * height
        right.barh(at, values, height=height * 0.9, color=WORLD[bound])
    right.set_yticks(np.arange(len(SPLIT)), list(SPLIT.values()))
    right.invert_yaxis()
    right.axvline(0.0, color=MUTED, linewidth=0.7)
    right.grid(visible=False, axis="y")
    right.tick_params(axis="y", length=0)
    right.set_title("Its split at the close, USD")
    for axis in (left.yaxis, right.xaxis):
        axis.set_major_formatter(_thousands)
    return figure


def _thousands(value: float, _position: int | None = None) -> str:
    """Tick labels with separators, and decimals only where they say something."""
    text = f"{value:,.0f}" if abs(value) >= 10 or value == int(value) else f"{value:,.2f}"
    return text.replace("-", "\N{MINUS SIGN}")


INVENTORY = (
    ("option_delta_shares", "Delta of the options, shares"),
    ("delta_shares", "Delta after hedges, shares"),
    ("vega_usd_per_volpt", "Vega, USD per vol point"),
)


def inventory(run: Run, _report: dict) -> Figure:
    """Delta before and after hedges on one scale, and vega, in every world."""
    figure = Figure(figsize=(9.4, 2.7), layout="constrained")
    axes = figure.subplots(1, 3)
    axes[1].sharey(axes[0])
    for ax, (column, title) in zip(axes, INVENTORY, strict=True):
        for bound in run.bounds:
            hours, values = _series(run, bound, column)
            ax.plot(hours, values, color=WORLD[bound], label=bound, linewidth=1.1)
        ax.axhline(0.0, color=MUTED, linewidth=0.7)
        ax.yaxis.set_major_formatter(_thousands)
        ax.set_title(title)
        _clock(ax, run, most=4)
    axes[2].legend(loc="best")
    return figure


def _smile(ax: Axes, rows: pl.DataFrame, label: str) -> None:
    """One expiry: bid-ask bars (dim where the fit did not use them) and the model's line."""
    rows = rows.sort("k", maintain_order=True)
    k, model = rows["k"].to_numpy(), 100 * rows["model_vol"].to_numpy()
    bid, ask = (100 * rows[name].to_numpy() for name in ("bid_vol", "ask_vol"))
    used = rows["used"].to_numpy()
    for mask, colour in ((used, INK), (~used, MUTED)):
        two = mask & np.isfinite(bid) & np.isfinite(ask)
        ax.vlines(k[two], bid[two], ask[two], color=colour, linewidth=1.0)
        ax.plot(k[two], bid[two], "_", color=colour, markersize=3, markeredgewidth=0.9)
        ax.plot(k[two], ask[two], "_", color=colour, markersize=3, markeredgewidth=0.9)
    ax.plot(k, model, color=BLUE, linewidth=1.3)
    top = np.nanmax(np.where(np.isfinite(model), model, np.nan)) if np.isfinite(model).any() else 0
    if top:
        low = np.nanmin(model)
        ax.set_ylim(low - 0.25 * (top - low) - 1.0, top + 0.25 * (top - low) + 1.0)
    ax.set_title(label)


def smiles(run: Run, _report: dict) -> Figure:
    """Smiles with their bid-ask at the close, up to eight expiries, nearest first."""
    parts = run.smiles.sort("slice", maintain_order=True).partition_by("slice", maintain_order=True)
    chosen = parts if len(parts) <= 8 else [parts[i] for i in _spread(len(parts), 8)]
    columns = min(max(len(chosen), 1), 4)
    lines = max((len(chosen) + columns - 1) // columns, 1)
    figure = Figure(figsize=(9.4, 2.3 * lines + 0.2), layout="constrained")
    axes = figure.subplots(lines, columns, squeeze=False).ravel()
    for ax, rows in zip(axes, chosen, strict=False):
        first = rows.row(0, named=True)
        _smile(ax, rows, f"{first['expiry']} {first['root']}")
        ax.xaxis.set_major_locator(MaxNLocator(4))
    for ax in axes[len(chosen) :]:
        ax.set_axis_off()
    for ax in axes[-columns:]:
        ax.set_xlabel("ln(K / F)")
    axes[0].set_ylabel("volatility, %")
    return figure


def _spread(n: int, count: int) -> list[int]:
    """`count` row numbers of n, the first half nearest, the rest evenly over what remains."""
    near = list(range(count // 2))
    far = np.linspace(count // 2, n - 1, count - count // 2).round().astype(int)
    return near + [int(i) for i in far]


def term(run: Run, _report: dict) -> Figure:
    """ATM volatility and the forward against spot, by time to expiry, at the last refit."""
    figure = Figure(figsize=(9.4, 2.7), layout="constrained")
    left, right = figure.subplots(1, 2)
    last = run.surface.sort("slice", "ts_ns", maintain_order=True)
    last = last.group_by("slice", maintain_order=True).last()
    last = last.filter(pl.col("atm_vol").is_finite() & (pl.col("years") >= SHORTEST))
    last = last.sort("years", "slice", maintain_order=True)
    days = last["years"].to_numpy() * 365.0
    left.plot(days, 100 * last["atm_vol"].to_numpy(), "o-", color=BLUE, markersize=3.5)
    basis = 1e4 * np.log(last["forward"].to_numpy() / last["spot"].to_numpy())
    error = 1e4 * last["forward_error"].to_numpy() / last["spot"].to_numpy()
    error = np.where(np.isfinite(error), error, 0.0)
    right.errorbar(days, basis, yerr=error, fmt="o-", color=BLUE, markersize=3.5, elinewidth=0.9)
    right.axhline(0.0, color=MUTED, linewidth=0.7)
    left.set_title("ATM volatility at the close, %")
    right.set_title("Forward over spot, bps, with its standard error")
    for ax in (left, right):
        ax.set_xlabel("calendar days to expiry")
        if days.size and days.max() > 40 * max(days.min(), 1.0):
            ax.set_xscale("symlog", linthresh=30.0)
            ax.set_xticks([0, 10, 30, 90, 365], ["0", "10", "30", "90", "365"])
        ax.set_xlim(left=0.0)
    return figure


def tape(run: Run, report: dict) -> Figure:
    """The most traded series: market at its prints, our quotes, our fills, in the card's world."""
    figure = Figure(figsize=(9.4, 3.1), layout="constrained")
    ax = figure.subplots()
    row = quote_card.favourite(run)
    bound = report["quote_card"].get("bound", run.bounds[0])
    if row is None:
        ax.set_title("No prints and no fills in the day")
        return figure
    prints = run.prints.filter(pl.col("instrument") == row)
    keep = _thin(prints.height)
    hours = run.hours(prints["ts_ns"].to_numpy()[keep])
    bid, ask = (prints[c].to_numpy()[keep] / 1e9 for c in ("bid_e9", "ask_e9"))
    two = (bid > 0) & (ask > 0)
    ax.vlines(
        hours[two],
        bid[two],
        ask[two],
        color=MUTED,
        alpha=0.4,
        linewidth=2.5,
        label="market at prints",
    )
    low = prints["px_e9"].to_numpy()[keep] / 1e9
    ax.plot(hours, low, ".", color=INK, markersize=2.4, label="public prints")
    quotes = run.quotes(bound, row)
    for side, label in ((1, "our bid and ask"), (-1, None)):
        ours = quotes.filter(pl.col("side") == side)
        at = _thin(ours.height)
        px = ours["px_e9"].to_numpy()[at] / 1e9
        when = run.hours(ours["ts_ns"].to_numpy()[at])
        px = np.where(px > 0, px, np.nan)
        ax.plot(when, px, color=BLUE, linewidth=0.8, drawstyle="steps-post", label=label)
    fills = run.world(run.fills, bound).filter(pl.col("instrument") == row)
    for side, marker, colour, label in ((1, "^", GREEN, "we bought"), (-1, "v", RUST, "we sold")):
        ours = fills.filter(pl.col("side") == side)
        when, px = run.hours(ours["ts_ns"].to_numpy()), ours["px_e9"].to_numpy() / 1e9
        ax.plot(when, px, marker, color=colour, markersize=6, label=label, markeredgecolor=PAPER)
    ax.set_title(f"{run.chain['symbol'][row]}, USD per share; our side in the {bound} world")
    _clock(ax, run)
    ax.legend(loc="best", ncols=5)
    return figure


def presence(run: Run, report: dict) -> Figure:
    """Two-sided share of eligible time by expiry, against the target."""
    table = {bound: report["obligations"]["bounds"][bound]["by_expiry"] for bound in run.bounds}
    names = [row["expiry"] for row in next(iter(table.values()))]
    figure = Figure(figsize=(9.4, 0.9 + 0.22 * max(len(names), 2)), layout="constrained")
    ax = figure.subplots()
    target = 100 * report["obligations"]["target"]
    lowest = target
    for i, bound in enumerate(run.bounds):
        at = np.arange(len(names)) + (i - (len(run.bounds) - 1) / 2) * 0.22
        shares = [100 * row["share"] for row in table[bound]]
        lowest = min([lowest, *shares])
        ax.plot(shares, at, "o", color=WORLD[bound], label=bound, markersize=4.5)
    ax.axvline(target, color=INK, linewidth=0.9, linestyle=(0, (2, 2)))
    ax.set_yticks(np.arange(len(names)), names)
    ax.set_xlim(max(0.0, 10 * math.floor(lowest / 10 - 0.5)), 100.5)
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.tick_params(axis="y", length=0)
    ax.set_title("Two-sided share of eligible time, %; dashed the target")
    ax.legend(loc="lower left", ncols=len(run.bounds))
    return figure


def markouts(_run: Run, report: dict) -> Figure:
    """Our edge per share after a fill, delta-hedged, with 95 % clustered intervals."""
    figure = Figure(figsize=(9.4, 2.7), layout="constrained")
    ax = figure.subplots()
    ticks = (0, *flow.HORIZONS)
    worlds = report["flow"]["markouts"]
    for i, (bound, rows) in enumerate(worlds.items()):
        if not rows["horizons"]:
            continue
        points = [
            rows["capture_usd_per_share"],
            *(h["edge_usd_per_share"] for h in rows["horizons"]),
        ]
        value = 100 * np.array([p["value"] for p in points], float)
        error = 196 * np.array([p["se"] if p["se"] is not None else 0.0 for p in points], float)
        at = np.array(ticks) + 4.0 * (i - (len(worlds) - 1) / 2)
        label = f"{bound} ({rows['n']:,} fills)"
        ax.errorbar(
            at,
            value,
            yerr=error,
            fmt="o-",
            color=WORLD[bound],
            markersize=4,
            capsize=2.5,
            label=label,
        )
    ax.axhline(0.0, color=MUTED, linewidth=0.7)
    ax.set_xticks(ticks, ["at the fill", *(f"{t} s" for t in flow.HORIZONS)])
    ax.set_title("Edge left after a fill, delta-hedged, cents per share; bars are 95 % intervals")
    if ax.get_legend_handles_labels()[1]:
        ax.legend(loc="best")
    return figure


FIGURES: dict[str, Callable[[Run, dict], Figure]] = {
    "pnl": pnl,
    "inventory": inventory,
    "smiles": smiles,
    "term": term,
    "tape": tape,
    "presence": presence,
    "markouts": markouts,
}


def draw(run: Run, report: dict) -> dict[str, str]:
    """Every figure as an SVG string, by name. `report` is what `optmm.reports.build` returned."""
    with mpl.rc_context(STYLE):
        return {name: _svg(name, figure(run, report)) for name, figure in FIGURES.items()}
