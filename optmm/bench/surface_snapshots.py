"""Every European Cboe snapshot from raw rows: parity, hits beside the referee, certificate."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from optmm.bench import ceiling
from optmm.bench.rows import Row, skipped
from optmm.bench.surface_files import (
    BROKEN,
    FOLDER,
    Fitted,
    files,
    fitted,
    label,
    near_pairs,
)
from optmm.bench.surface_hits import NONE, Share
from optmm.data.snapshots import open_snapshot
from optmm.errors import DataError
from surfaces.scoring import TOUCH

EVERY = 6  # with `quick`, one expiry in so many is shown to the linear program


@dataclass(slots=True)
class Found:
    """Counts of one file, and what is worst in it."""

    name: str
    pairs: Share = NONE
    poorest: str = ""  # liquid expiry with the smallest share of pairs inside
    poorest_percent: float = 100.0
    core: Share = NONE
    every: Share = NONE
    judged: Share = NONE  # core hits in the expiries that the referee saw
    best: Share = NONE  # and the referee's
    lost: list[tuple[int, str, int]] = field(default_factory=list)  # hits short, expiry, quotes
    uncertified: list[str] = field(default_factory=list)
    quoted: int = 0
    fallbacks: int = 0

    @property
    def short(self) -> float:
        """Points of core hits below the linear program; NaN if it was not asked."""
        return self.best.percent - self.judged.percent


def run(
    data: Path, say: Callable[[str], None], *, quick: bool = False, referee: bool = True
) -> list[Row]:
    """Every file; `quick` samples the expiries shown to the referee, else about a minute a file."""
    paths = files(data)
    if not paths:
        return [skipped("Cboe snapshots", "%", None, f"nothing in {FOLDER} of the data folder")]
    found = []
    for path in paths:
        say(path.name)
        found.append(examined(path, say, every=(EVERY if quick else 1) if referee else 0))
    return [*rows_of(found), broken_row(data)]


def examined(path: Path, say: Callable[[str], None], *, every: int) -> Found:
    """One file fitted and counted; the referee sees one expiry in `every`, none if zero."""
    shot = fitted(path)
    surface, scores = shot.surface, shot.surface.scores
    out = Found(shot.name)
    out.every = Share(int(scores.hits.sum()), int(scores.quotes.sum()))
    out.core = Share(int(scores.core_hits.sum()), int(scores.core_quotes.sum()))
    _count_pairs(shot, out)
    judged = [j for j in range(surface.chain.slices) if scores.quotes[j] > 0]
    out.quoted = len(judged)
    out.fallbacks = sum(surface.path[j] != "mixture" for j in judged)
    out.uncertified = [label(shot, j) for j in judged if not surface.certificate.certified[j]]
    if every:
        _ask(shot, judged[::every], say, out)
    return out


def _count_pairs(shot: Fitted, out: Found) -> None:
    """Near parity pairs inside their spreads, in all liquid expiries."""
    hits = quotes = 0
    for j in range(shot.surface.chain.slices):
        pairs = near_pairs(shot, j)
        if pairs is None:
            continue
        inside = pairs.inside(float(shot.surface.forwards[j]), float(shot.surface.dfs[j]))
        hits, quotes = hits + int(inside.sum()), quotes + inside.size
        if 100.0 * inside.mean() < out.poorest_percent:
            out.poorest_percent, out.poorest = 100.0 * float(inside.mean()), label(shot, j)
    out.pairs = Share(hits, quotes)


def _ask(shot: Fitted, of: Sequence[int], say: Callable[[str], None], out: Found) -> None:
    """Core hits of expiries `of` beside the linear program's."""
    mine = best = core = 0
    for turn, j in enumerate(of):
        say(f"{shot.name}: linear program {turn + 1} of {len(of)}, {label(shot, j)}")
        top = ceiling.ceilings([priced(shot, j)])[0]
        hits, quotes = (
            int(c[j]) for c in (shot.surface.scores.core_hits, shot.surface.scores.core_quotes)
        )
        if top.core_quotes != quotes:
            raise AssertionError(f"{label(shot, j)}: {quotes} core quotes, or {top.core_quotes}?")
        mine, best, core = mine + hits, best + top.core_hits, core + quotes
        if top.core_hits > hits:
            out.lost.append((top.core_hits - hits, label(shot, j), quotes))
    out.lost.sort(reverse=True)
    out.judged, out.best = Share(mine, core), Share(best, core)


def priced(shot: Fitted, j: int, forward: float | None = None) -> ceiling.PricedQuotes:
    """The judged quotes of expiry `j` in units of its forward, undiscounted, rising k."""
    surface = shot.surface
    row = surface.quotes.row[surface.chain.slice_of[surface.quotes.row] == j]
    at = float(surface.forwards[j]) if forward is None else forward
    row = row[np.argsort(surface.chain.strike[row])]
    unit = at * float(surface.dfs[j])
    width = float(surface.atm_vol[j] * np.sqrt(surface.years[j]))
    k = np.log(surface.chain.strike[row] / at)
    return ceiling.PricedQuotes(
        k, (shot.bid[row] - TOUCH) / unit, (shot.ask[row] + TOUCH) / unit, width
    )


def rows_of(found: Sequence[Found]) -> list[Row]:
    """One row a file and measure that misses or is worst, and the counts of all together."""
    rows = []
    for one in found:
        rows.append(
            Row(f"{one.name}: near parity pairs inside", one.pairs.percent, "%", 95.0, True,
                note=f"{one.pairs.hits} of {one.pairs.quotes}; least in {one.poorest or 'none'}, "
                f"{one.poorest_percent:.0f} %")
        )  # fmt: skip
        lost = ", ".join(f"{n} of {q} in {name}" for n, name, q in one.lost[:3])
        what = f"{one.name}: core points below the linear program"
        if one.best.quotes:
            rows.append(
                Row(what, one.short, "points", 1.5,
                    note=f"core {one.judged.percent:.2f} % and at best {one.best.percent:.2f} %, "
                    f"all {one.every.percent:.2f} %; most lost: {lost or 'nowhere'}")
            )  # fmt: skip
        else:
            rows.append(
                Row(f"{one.name}: core", one.core.percent, "%", None, True,
                    note=f"all {one.every.percent:.2f} %")
            )  # fmt: skip
        rows.append(
            Row(f"{one.name}: expiries without certificate", len(one.uncertified), "", 0.0,
                note=f"of {one.quoted}, {one.fallbacks} by a fallback"
                + (f": {', '.join(one.uncertified)}" if one.uncertified else ""))
        )  # fmt: skip
    return rows


def broken_row(data: Path) -> Row:
    """Files from before the open are told apart from data."""
    there = sorted((data / FOLDER).glob(f"*{BROKEN}*"))
    if not there:
        return skipped("broken snapshot refused", "", None, "no such file")
    said, refused = "", 0
    for path in there:
        try:
            open_snapshot(path).check()
        except DataError as bad:
            refused, said = refused + 1, str(bad)
    return Row("broken snapshots refused with a diagnosis", refused, "", float(len(there)), True,
               note=said)  # fmt: skip
