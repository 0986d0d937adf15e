"""How often a middle left out of the fit lies where the fit without it says it should.

Quotes are sorted into cells of |delta| and time to expiry. One factor for all standard errors is
fitted on one day (95 % of that day's quotes inside 1.96 of them) and applied to the others. What
the fit itself left out as stale counts as outside. The residuals are those of a formula, so a
sample of quotes is also really left out and the chain fitted again.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from optmm.bench.rows import Row, skipped
from optmm.bench.surface_files import FOLDER, Fitted, files, fitted
from optmm.bench.surface_snapshots import priced
from surfaces.pricing import black
from surfaces.smiles.mixture import MIXTURE, MixtureFit, Quotes, fit_joint, otm_price
from surfaces.smiles.mixture_errors import errors

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

TAUGHT = "spx_2023-02-07"  # the day of the factor
CHECKED = "spx_2023-04-17"  # the day on which quotes are really left out
DELTAS = np.array([0.02, 0.05, 0.1, 0.25, 0.4])
DAYS = np.array([7.0, 30.0, 90.0, 365.0])
LEAST = 100
INSIDE, LOW, HIGH, NORMAL = 0.95, 90.0, 98.0, 1.96
SAMPLE, SEED = 60, 7


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Quotes of one file: residual without, one standard error of it, in half spreads, and cell.
    A quote that the fit left out as stale has an infinite residual."""

    name: str
    loo: Array
    sd: Array
    cell: Ints

    def inside(self, factor: float) -> NDArray[np.bool_]:
        """Which middles lie within 1.96 standard errors times `factor`."""
        return np.asarray(np.abs(self.loo) <= NORMAL * factor * self.sd)


@dataclass(frozen=True, slots=True)
class Cell:
    """Coverage of one cell, in percent."""

    where: str
    count: int
    percent: float

    @property
    def fine(self) -> bool:
        return LOW <= self.percent <= HIGH

    @property
    def off(self) -> float:
        """Points beyond the range allowed."""
        return max(LOW - self.percent, self.percent - HIGH)


def run(data: Path, say: Callable[[str], None], *, sample: int = SAMPLE) -> list[Row]:
    """Every row; `sample` quotes are really left out, about a quarter of a second each."""
    paths = files(data)
    if not any(p.name.startswith(TAUGHT) for p in paths):
        return [skipped("confidence", "%", None, f"no {TAUGHT} in {FOLDER} of the data folder")]
    found, again = [], None
    for path in paths:
        say(f"{path.name}: quotes left out by the formula")
        shot = fitted(path)
        found.append(left_out(shot))
        if path.name.startswith(CHECKED):
            again = shot
    taught = next(f for f in found if f.name.startswith(TAUGHT))
    factor = factor_of(taught)
    others = [f for f in found if f is not taught]
    rows = rows_of(others, factor)
    if again is not None and sample:
        say(f"{again.name}: {sample} quotes really left out")
        rows += really(again, factor, sample)
    return rows


def left_out(shot: Fitted) -> LeftOut:
    """The judged quotes of a file whose residual is known or infinite."""
    surface, table = shot.surface, shot.surface.quotes
    of = surface.chain.slice_of[table.row]
    loo = np.where(table.used, table.loo, np.inf)
    sd = np.where(np.isfinite(table.loo_sd), table.loo_sd, 0.0)
    known = ~np.isnan(loo) & (table.model_vol > 0.0)
    years = surface.years[of]
    delta = np.abs(
        black.greeks(
            right=surface.chain.right[table.row], forward=1.0, strike=np.exp(table.k),
            years=years, vol=np.where(known, table.model_vol, 0.1),
        ).delta
    )  # fmt: skip
    cell = np.searchsorted(DELTAS, delta, side="right") * (DAYS.size + 1)
    cell += np.searchsorted(DAYS, 365.0 * years, side="right")
    return LeftOut(shot.name, loo[known], sd[known], cell[known])


def factor_of(taught: LeftOut) -> float:
    """What standard errors are multiplied by for 95 % of `taught` to lie inside."""
    fair = taught.sd > 0.0
    share = np.abs(taught.loo[fair]) / (NORMAL * taught.sd[fair])
    return float(np.quantile(share, INSIDE))


def cells(some: Sequence[LeftOut], factor: float) -> list[Cell]:
    """Coverage of every cell with enough quotes, of all of `some` together."""
    cell = np.concatenate([s.cell for s in some])
    inside = np.concatenate([s.inside(factor) for s in some])
    count = np.bincount(cell, minlength=(DELTAS.size + 1) * (DAYS.size + 1))
    hits = np.bincount(cell[inside], minlength=count.size)
    return [
        Cell(_named(i), int(count[i]), 100.0 * hits[i] / count[i])
        for i in np.flatnonzero(count >= LEAST).tolist()
    ]


def rows_of(others: Sequence[LeftOut], factor: float) -> list[Row]:
    """Coverage pooled and by file, and how wide the standard errors are."""
    pooled = cells(others, factor)
    loo = np.concatenate([s.loo for s in others])
    sd = factor * np.concatenate([s.sd for s in others])
    whole = np.concatenate([s.inside(factor) for s in others])
    by_file = {s.name: cells([s], factor) for s in others}
    every = [(name, c) for name, some in by_file.items() for c in some]
    name, worst = max(every, key=lambda it: it[1].off)
    bad = {n: sum(not c.fine for c in some) for n, some in by_file.items()}
    poor = max(bad, key=lambda n: bad[n])
    return [
        Row("left-out middles inside 1.96 s.d., all files", 100.0 * whole.mean(), "%",
            note=f"{loo.size} quotes of {len(others)} files, {int(np.isinf(loo).sum())} left out "
            f"as stale; factor {factor:.3f} from {TAUGHT}"),
        Row("cells within 90-98 %, files pooled", _fine(pooled), "%", 100.0, True,
            note=f"{len(pooled)} cells; {_words(pooled)}"),
        Row("cells within 90-98 %, file by file", _fine([c for _, c in every]), "%", 100.0, True,
            note=f"{len(every)} cells; worst {worst.percent:.1f} % of {worst.count} in "
            f"{name}, {worst.where}; most, {bad[poor]} of {len(by_file[poor])}, in {poor}"),
        Row("median standard error over the half spread", float(np.median(sd[sd > 0.0])), "", 1.0),
    ]  # fmt: skip


def really(shot: Fitted, factor: float, sample: int) -> list[Row]:
    """The formula against the chain fitted again without one quote, `sample` times."""
    surface = shot.surface
    order = [
        j for j in np.argsort(surface.years, kind="stable").tolist() if surface.scores.quotes[j] > 5
    ]
    ids = [
        j for i, j in enumerate(order) if not i or surface.years[j] > surface.years[order[i - 1]]
    ]
    book = [Quotes(p.k, p.bid, p.ask) for p in (priced(shot, j) for j in ids)]
    fit = fit_joint(book)
    said = errors(fit)
    if said is None:
        return [skipped("formula against refits", "", None, "nothing was fitted")]
    draw = np.random.default_rng(SEED)
    there = np.flatnonzero(np.isfinite(said.loo))
    picked = np.sort(draw.choice(there, min(sample, there.size), replace=False))
    true = np.array([_without(book, fit, int(i)) for i in picked])
    told, sd = said.loo[picked], factor * said.loo_sd[picked]
    gap = np.abs(true - told)
    label = f"{shot.name}: {picked.size} quotes really left out"
    return [
        Row(f"{label}: correlation with the formula", float(np.corrcoef(true, told)[0, 1]), "",
            note=f"difference: median {np.median(gap):.3f}, 95 % {np.quantile(gap, 0.95):.3f}, "
            f"greatest {gap.max():.2f} half spreads; residuals' own s.d. {true.std():.2f}"),
        Row(f"{label}: inside 1.96 s.d.", 100.0 * float(np.mean(np.abs(true) <= NORMAL * sd)), "%",
            note=f"{100.0 * float(np.mean(np.abs(told) <= NORMAL * sd)):.1f} % by the formula"),
    ]  # fmt: skip


def _without(book: Sequence[Quotes], fit: MixtureFit, i: int) -> float:
    """(price - middle) / half spread of quote `i`, the chain fitted without it."""
    t = int(np.searchsorted(fit.start, i, side="right")) - 1
    at = i - int(fit.start[t])
    one = book[t]
    rest = Quotes(*(np.delete(a, at) for a in one[:3]))
    found = fit_joint([rest if s == t else quotes for s, quotes in enumerate(book)])
    k = one.k[at : at + 1]
    price = otm_price(k, np.sqrt(MIXTURE.total_variance(k, found.theta[t])))[0]
    return float((price - 0.5 * (one.bid[at] + one.ask[at])) / (0.5 * (one.ask[at] - one.bid[at])))


def _fine(some: Sequence[Cell]) -> float:
    return 100.0 * sum(c.fine for c in some) / len(some) if some else float("nan")


def _words(some: Sequence[Cell]) -> str:
    """Cells outside, the worst first."""
    bad = sorted((c for c in some if not c.fine), key=lambda c: -c.off)
    told = "; ".join(f"{c.percent:.1f} % of {c.count} in {c.where}" for c in bad[:4])
    return f"{len(bad)} outside: {told}" if bad else "none outside"


def _named(cell: int) -> str:
    """|delta| and days of a cell."""
    i, j = divmod(cell, DAYS.size + 1)
    return f"|delta| {_range(DELTAS, i, 0.0, 0.5)}, {_range(DAYS, j, 0.0, np.inf)} days"


def _range(edges: Array, i: int, low: float, high: float) -> str:
    whole = [low, *edges.tolist(), high]
    return f"{whole[i]:g}-{whole[i + 1]:g}"
