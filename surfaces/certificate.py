"""The certificate of a surface: where its curves are free of static arbitrage, and where it ends.

Per slice: Durrleman's g >= 0 on an even grid over 1.3 times the quoted range and on a sparse one
far into both wings, where also |dw/dk| <= 2 (Lee 2004). Per pair of neighbours in time: total
variance does not fall at equal k, on the strikes both quote, and apart from that on 1.3 times the
union.

A pair that fails on common strikes takes the certificate from both; one that fails further out
leaves it on the common strikes only. Curves that are not the model's own (fallbacks, kept ones) are
compared with the nearest own curves and can only lose their own certificate.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from surfaces import arbitrage
from surfaces.smiles.base import EDGE, Array, CurveStack

TOLERANCE = 1e-10  # of g and of margins: rounding
LEE = 2.0
WING = np.geomspace(0.05, 20.0, 24)  # deviations past the edge of the grid
STOPGAPS = ("parabola", "flat", "last_good", "none")  # paths whose neighbours are not to blame
KINKED = ("parabola",)  # curves whose slope jumps where no grid point is


@dataclass(frozen=True, slots=True)
class Subject:
    """m curves: `stack`, `years`, the k-range quoted (m, 2), and which exist, which are the
    model's own, (m,)."""

    stack: CurveStack
    years: Array
    quoted: Array
    there: NDArray[np.bool_]
    own: NDArray[np.bool_]
    models: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Certificate:
    """What was found on `points` points a slice and a pair; arrays (m,), NaN where not looked at.

    `calendar_margin` is against the slice before on strikes both quote, `calendar_margin_wings` on
    1.3 times the union, in units of the later at-the-money variance. `reach` (m, 2): the k-range in
    which the slice is certified, NaN where `certified` is false.
    """

    points: int
    min_g: Array
    calendar_margin: Array
    calendar_margin_wings: Array
    certified: NDArray[np.bool_]
    reach: Array

    def covers(self, slice_of: NDArray[np.int64], k: Array) -> NDArray[np.bool_]:
        """Whether slice `slice_of[i]` is certified at `k[i]`."""
        low, high = self.reach[slice_of].T
        return np.asarray((k >= low) & (k <= high))


@dataclass(slots=True)
class _Findings:
    """A certificate being written."""

    min_g: Array
    margin: Array
    wings: Array
    fine: NDArray[np.bool_]
    reach: Array


def certify(subject: Subject, points: int) -> Certificate:
    """Look at every curve and every pair of neighbours on `points` points."""
    m = subject.years.size
    none = np.full((3, m), np.nan)
    find = _Findings(*none, fine=np.zeros(m, bool), reach=np.full((m, 2), np.nan))
    quoted = subject.there & np.isfinite(subject.quoted).all(axis=1)
    order = [j for j in np.argsort(subject.years, kind="stable").tolist() if quoted[j]]
    if order:
        _slices(subject, np.array(order), points, find)
        own = _rising([j for j in order if subject.own[j]], subject.years)
        _pairs(subject, list(pairwise(own)), (True, True), points, find)
        others = [j for j in order if not subject.own[j]]
        before = [(i, j) for j in others if (i := _nearest(own, subject.years, j, -1)) is not None]
        after = [(j, i) for j in others if (i := _nearest(own, subject.years, j, 1)) is not None]
        _pairs(subject, before, (False, True), points, find)
        _pairs(subject, after, (True, False), points, find)
    find.fine &= [name not in KINKED for name in subject.models]
    _again(subject, order, points, find)
    empty = ~(find.reach[:, 0] <= find.reach[:, 1])
    find.fine &= ~empty
    find.reach[~find.fine] = np.nan
    return Certificate(points, find.min_g, find.margin, find.wings, find.fine, find.reach)


def _again(subject: Subject, order: list[int], points: int, find: _Findings) -> None:
    """Compare every certified slice with those of the nearest earlier instant that has one, until
    nobody loses: fallbacks beside each other, two roots of one instant, and slices that become
    neighbours because one between them lost its certificate."""
    seen: set[tuple[int, int]] = set()
    own = _rising([j for j in order if subject.own[j]], subject.years)
    seen.update(pairwise(own))
    while True:
        left = [j for j in order if find.fine[j]]
        instants = sorted({float(subject.years[j]) for j in left})
        groups = [[j for j in left if subject.years[j] == at] for at in instants]
        new = [
            (i, j) for early, late in pairwise(groups) for i in early for j in late
            if (i, j) not in seen
        ]  # fmt: skip
        if not new:
            return
        seen.update(new)
        for blamed in ((True, True), (False, True), (True, False)):
            part = [(i, j) for i, j in new if _blamed(subject, i, j) == blamed]
            _pairs(subject, part, blamed, points, find, report=False)


def _blamed(subject: Subject, i: int, j: int) -> tuple[bool, bool]:
    """Who of two slices loses by a failure: a stopgap alone beside a fitted one, else both."""
    if subject.own[i] == subject.own[j]:
        return True, True
    return not subject.own[i], not subject.own[j]


def _rising(order: list[int], years: Array) -> list[int]:
    """One slice an instant, the first of them."""
    return [j for i, j in enumerate(order) if i == 0 or years[j] > years[order[i - 1]]]


def _nearest(own: list[int], years: Array, j: int, step: int) -> int | None:
    """The nearest own slice before (step -1) or after (1) slice j in time."""
    beyond = [i for i in own if (years[i] - years[j]) * step > 0.0]
    return (beyond[-1] if step < 0 else beyond[0]) if beyond else None


def _slices(subject: Subject, of: NDArray[np.int64], points: int, find: _Findings) -> None:
    """Fill min g, the first verdict and the widest reach of slices `of`."""
    low, high = subject.quoted[of].T
    find.min_g[of] = arbitrage.min_gs(subject.stack, of, low, high, points)[0]
    middle, half = 0.5 * (low + high), 0.5 * EDGE * (high - low)
    w = subject.stack.total_variance(of, np.zeros(of.size))
    s = np.sqrt(np.maximum(w, 1e-12))[:, None]
    far = np.concatenate(
        ((middle - half)[:, None] - s * WING, (middle + half)[:, None] + s * WING), axis=1
    )
    w, w1, w2 = subject.stack.derivatives(of, far)
    positive = (w > 0.0).all(axis=1)
    g = arbitrage.durrleman(far, np.where(w > 0.0, w, 1.0), w1, w2).min(axis=1)
    steep = np.abs(w1).max(axis=1) <= LEE + TOLERANCE
    find.fine[of] = (find.min_g[of] >= -TOLERANCE) & positive & (g >= -TOLERANCE) & steep
    find.reach[of] = np.stack((middle - half, middle + half), axis=1)


def _pairs(
    subject: Subject,
    pairs: list[tuple[int, int]],
    blamed: tuple[bool, bool],
    points: int,
    find: _Findings,
    report: bool = True,
) -> None:
    """Judge (earlier, later) pairs and, if `report`, fill their margins; `blamed`: who of the two
    loses by a failure."""
    if not pairs:
        return
    earlier, later = np.array(pairs).T
    (low0, high0), (low1, high1) = subject.quoted[earlier].T, subject.quoted[later].T
    inner = np.stack((np.maximum(low0, low1), np.minimum(high0, high1)), axis=1)
    union = np.minimum(low0, low1), np.maximum(high0, high1)
    middle, half = 0.5 * (union[0] + union[1]), 0.5 * EDGE * (union[1] - union[0])
    margin, wings = arbitrage.calendar_margins(
        subject.stack, earlier, later, (inner[:, 0], inner[:, 1]), (middle - half, middle + half),
        points,
    )  # fmt: skip
    if blamed[1] and report:
        find.margin[later], find.wings[later] = margin, wings
    for side, slices in zip(blamed, (earlier, later), strict=True):
        if not side:
            continue
        np.logical_and.at(find.fine, slices, ~(margin < -TOLERANCE))
        short = ~(wings >= -TOLERANCE)
        part = slices[short]
        np.maximum.at(find.reach[:, 0], part, inner[short, 0])
        np.minimum.at(find.reach[:, 1], part, inner[short, 1])
