"""Every expiry of a chain fitted in turn, shortest first, each with its way out when it fails.

The ways out, in order: a lower rung of the ladder (parabola, flat), the last good curve at today's
time to expiry, a flat vol borrowed from the neighbours in time. `path` says which one it was.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from surfaces.scoring import Curve, misfit
from surfaces.smiles.base import EDGE, SMILES, Array, Below, SmileFit, fit_ladder, reach, smile
from surfaces.smiles.quotes import QuoteVols, SmileQuotes, smile_quotes
from surfaces.surface import UNKNOWN_VOL_ERROR, QuoteTable, VolSurface
from surfaces.units import E9

VOL_BOUNDS = (1e-4, 20.0)


@dataclass(frozen=True, slots=True)
class SliceTask:
    """What there is to fit: q out-of-the-money quotes of m slices.

    `vols`, `slice_of`, `two_sided` (q,); `years`, `alive` (m,). `last`: the surface before, whose
    curves start the search and stand in for a failure while younger than `last_good_s` seconds.
    """

    model: str
    now_ns: int
    vols: QuoteVols
    slice_of: NDArray[np.int64]
    two_sided: NDArray[np.bool_]
    years: Array
    alive: NDArray[np.bool_]
    last: VolSurface | None
    last_good_s: float


def fit_slices(task: SliceTask) -> tuple[list[Curve], NDArray[np.bool_], Array]:
    """Fit all: the curves (m), which quotes were used (q,), and reduced chi-squares (m,)."""
    m = task.years.size
    curves = [Curve() for _ in range(m)]
    used = np.zeros(task.slice_of.size, bool)
    chi2 = np.full(m, np.nan)
    below: Below | None = None
    shorter = 0.0
    for j in np.argsort(task.years, kind="stable"):
        if not task.alive[j]:
            curves[j] = _kept(task, int(j), "none", "expired") or Curve(notes=("expired",))
            continue
        floor = below if task.years[j] > shorter else None
        curves[j], positions, quotes = _fit_one(task, int(j), floor)
        if quotes is None:
            continue
        used[positions] = True
        model = smile(curves[j].model)
        chi2[j], curves[j].fit_error = misfit(curves[j], quotes, len(model.parameters))
        if curves[j].path == task.model and curves[j].theta is not None:
            below = Below(model, curves[j].theta, curves[j].k_low, curves[j].k_high)
            shorter = task.years[j]
    _borrow(task, curves)
    return curves, used, chi2


def quote_table(
    task: SliceTask, curves: list[Curve], some: NDArray[np.int64], used: NDArray[np.bool_]
) -> QuoteTable:
    """The judged quotes, every two-sided one, with the model's vol beside them.

    `some` (q,): chain rows of the task's quotes; `used` (q,): whether a fit drew on them.
    """
    judged = np.flatnonzero(task.two_sided)
    of, k = task.slice_of[judged], task.vols.k[judged]
    model_vol = np.full(judged.size, np.nan)
    for j, curve in enumerate(curves):
        rows = slice(*np.searchsorted(of, [j, j + 1]).tolist())
        if curve.theta is not None:
            w = np.maximum(curve.total_variance(k[rows]), 0.0)
            model_vol[rows] = np.sqrt(w / task.years[j])
    vols = task.vols
    return QuoteTable(
        some[judged], k, vols.bid_vol[judged], vols.ask_vol[judged], model_vol, used[judged]
    )


def _fit_one(
    task: SliceTask, j: int, below: Below | None
) -> tuple[Curve, NDArray[np.int64], SmileQuotes | None]:
    """One slice: its curve, the positions of the quotes used, and the quotes (None if kept)."""
    nothing = np.zeros(0, np.int64)
    positions, k_low, k_high = _positions(task, j)
    if positions.size == 0:
        return _kept(task, j, "last_good", "no_quotes") or Curve(), nothing, None
    quotes = smile_quotes(task.vols, positions, float(task.years[j]))
    found = fit_ladder(task.model, quotes, _start(task, j), below)
    if found is None or not _sane(found, quotes, k_low, k_high):
        return _kept(task, j, "last_good", "fit_failed") or Curve(), nothing, None
    last = task.last
    if last is not None and last.path[j] != "none" and _rank(found.model) < _rank(last.models[j]):
        age_s = (task.now_ns - int(last.fit_ns[j])) / E9
        old = _kept(task, j, "last_good", "few_quotes") if age_s < task.last_good_s else None
        if old is not None:
            return old, nothing, None
    wild = int(np.count_nonzero(~found.used))
    curve = Curve(
        model=found.model,
        theta=found.theta,
        path=found.model,
        notes=(f"wild:{wild}",) if wild else (),
        k_low=k_low,
        k_high=k_high,
        fit_ns=task.now_ns,
    )
    return curve, positions[found.used], quotes.keep(found.used)


def _positions(task: SliceTask, j: int) -> tuple[NDArray[np.int64], float, float]:
    """Quotes of slice `j` to fit, in rising k, and the k-range of those quoted on both sides."""
    low, high = np.searchsorted(task.slice_of, [j, j + 1])
    at = np.arange(low, high)
    vols = task.vols
    at = at[vols.fittable[at]]
    firm = at[task.two_sided[at]]
    if not np.any(~vols.one_sided[firm]):
        return firm[:0], float("nan"), float("nan")
    k_low, k_high = float(vols.k[firm].min()), float(vols.k[firm].max())
    edge = 0.5 * (EDGE - 1.0) * (k_high - k_low)
    near = (vols.k[at] >= k_low - edge) & (vols.k[at] <= k_high + edge)
    at = at[task.two_sided[at] | near]
    return at[np.argsort(vols.k[at], kind="stable")], k_low, k_high


def _start(task: SliceTask, j: int) -> Array | None:
    """Last parameters of the same model at today's time to expiry."""
    last = task.last
    if last is None or last.models[j] != task.model or last.path[j] == "none":
        return None
    return smile(task.model).scaled(last.thetas[j], float(task.years[j] / last.years[j]))


def _kept(task: SliceTask, j: int, path: str, why: str) -> Curve | None:
    """The last curve of slice `j` with its vols held, or None if it never had its own."""
    last = task.last
    if last is None or not last.models[j] or last.fit_ns[j] == 0:
        return None
    ratio = float(task.years[j] / last.years[j])
    return Curve(
        model=last.models[j],
        theta=SMILES[last.models[j]].scaled(last.thetas[j], ratio),
        path=path,
        notes=(why,),
        k_low=float(last.quoted_range[j, 0]),
        k_high=float(last.quoted_range[j, 1]),
        fit_error=float(last.fit_error[j]),
        fit_ns=int(last.fit_ns[j]),
    )


def _rank(model: str) -> int:
    return {"flat": 0, "parabola": 1}.get(model, 2)


def _sane(found: SmileFit, quotes: SmileQuotes, k_low: float, k_high: float) -> bool:
    """Whether the curve is positive and within reason wherever it will be asked."""
    k = np.concatenate((reach(min(k_low, 0.0), max(k_high, 0.0), points=41), quotes.k))
    w = SMILES[found.model].total_variance(k, found.theta)
    low, high = (bound * bound * quotes.years for bound in VOL_BOUNDS)
    return bool(np.isfinite(w).all() and w.min() > low and w.max() < high)


def _borrow(task: SliceTask, curves: list[Curve]) -> None:
    """Give live slices without a curve the at-the-money vol of their neighbours in time."""
    have = [j for j, c in enumerate(curves) if c.theta is not None and task.alive[j]]
    if not have:
        return
    have.sort(key=lambda j: (task.years[j], j))
    at = task.years[have]
    w = np.array([curves[j].total_variance(np.zeros(1))[0] for j in have])
    for j, curve in enumerate(curves):
        if curve.theta is not None or not task.alive[j]:
            continue
        years = float(task.years[j])
        inside = float(np.interp(years, at, w))
        scale = years / min(max(years, at[0]), at[-1])
        curve.model, curve.theta = "flat", np.array([inside * scale])
        curve.notes = ("neighbours",)
        curve.k_low = curve.k_high = 0.0
        curve.fit_error = UNKNOWN_VOL_ERROR * float(np.sqrt(inside * scale / years))
        curve.fit_ns = 0
