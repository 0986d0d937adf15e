"""Changes of the vol at the money against skew times the move: the stickiness of a market."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from surfaces.dynamics_history import Bucket, Status, skew_stickiness
from surfaces.plots import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from surfaces.dynamics_changes import AtmChanges

RULES = ((0.0, "sticky moneyness, R = 0"), (1.0, "sticky strike, R = 1"), (2.0, "R = 2"))
DASHES = (":", "--", "-.")
COLUMNS = 3
NO_RATIO = {
    Status.TOO_FEW: "too few instants",
    Status.NO_SKEW: "no skew",
    Status.NO_MOVE: "no move",
}
MARGIN = 1.08  # of the widest point, so that none lies on the frame
HELD = 0.995  # share of the points that the axes hold


def draw(changes: "AtmChanges", edges: Sequence[float], title: str, least: int) -> Figure:
    """One panel a bucket of expiry; both axes in vol points, less each expiry's mean."""
    found = skew_stickiness(changes, edges=edges, least=least).buckets
    across = max(min(len(found), COLUMNS), 1)
    down = max(-(-len(found) // across), 1)
    figure = style.figure(max(4.6 * across, 6.0), 4.3 * down + 0.6)
    panels = figure.subplots(down, across, squeeze=False).ravel()
    for panel, bucket in zip(panels, found, strict=False):
        _panel(panel, changes, bucket)
    for panel in panels[len(found) :]:
        panel.set_axis_off()
    if not found:
        panels[0].text(0.5, 0.5, "no change to show", ha="center", transform=panels[0].transAxes)
    figure.suptitle(title or "Skew-stickiness ratio", fontsize=13)
    handles, labels = panels[0].get_legend_handles_labels()
    if handles:
        figure.legend(
            handles, labels, loc="outside lower center", ncols=3 * across, frameon=False,
            fontsize=9,
        )  # fmt: skip
    return figure


def _panel(panel: "Axes", changes: "AtmChanges", bucket: Bucket) -> None:
    """Points, the fitted line with two standard errors, and the lines of the rules."""
    x, y = _points(changes, bucket)
    reach = MARGIN * float(np.quantile(np.abs(x), HELD)) if x.size else 1.0
    height = MARGIN * max(float(np.quantile(np.abs(y), HELD)) if y.size else 1.0, 1e-9)
    reach = max(reach, 1e-9)
    ends = np.array([-reach, reach])
    panel.plot(x, y, "o", ms=2.5, alpha=0.45, color=style.BLUE, mew=0.0, label="one change")
    for (ratio, name), dashes in zip(RULES, DASHES, strict=True):
        panel.plot(ends, ratio * ends, dashes, color=style.GREY, lw=1.2, label=name)
    days = f"{style.DAYS * bucket.low:.0f} to {style.DAYS * bucket.high:.0f} days"
    if np.isnan(bucket.ratio):
        said = NO_RATIO[bucket.status]
    else:
        wide = 2.0 * bucket.error
        panel.fill_between(
            np.array([-reach, 0.0, reach]),
            np.array([-(bucket.ratio - wide), 0.0, bucket.ratio - wide]) * reach,
            np.array([-(bucket.ratio + wide), 0.0, bucket.ratio + wide]) * reach,
            color=style.VERMILION, alpha=0.18, lw=0.0, label="± 2 standard errors",
        )  # fmt: skip
        panel.plot(ends, bucket.ratio * ends, color=style.VERMILION, lw=1.8, label="estimate")
        said = f"R = {bucket.ratio:.2f} ± {bucket.error:.2f}"
        if bucket.status is not Status.OK:
            said += f" ({bucket.status.name.lower().replace('_', ' ')})"
    panel.set_title(f"{days}: {said}\n{bucket.instants} instants", fontsize=10)
    panel.set_xlim(-reach, reach)
    panel.set_ylim(-height, height)
    panel.set_xlabel("skew x ln move, vol points", fontsize=9)
    panel.set_ylabel("change of vol at the money, vol points", fontsize=9)
    style.tidy(panel)


def _points(changes: "AtmChanges", bucket: Bucket) -> tuple[np.ndarray, np.ndarray]:
    """x and y of the bucket's regression, in vol points."""
    x = style.PERCENT * changes.skew * changes.log_move
    y = style.PERCENT * changes.vol_change
    mine = np.isfinite(x * y) & (changes.years >= bucket.low) & (changes.years < bucket.high)
    x, y = x[mine], y[mine]
    _, of = np.unique(changes.expiry[mine], return_inverse=True)
    if not x.size:
        return x, y
    count = np.bincount(of)
    return x - (np.bincount(of, x) / count)[of], y - (np.bincount(of, y) / count)[of]
