"""Every expiry of a chain fitted, together or shortest first, each with its way out when it fails.

The ways out, in order: a lower rung (SVI, parabola, flat), the last good curve at today's time to
expiry, a flat vol borrowed from the neighbours in time. `path` says which one it was.
"""

from dataclasses import dataclass
from math import inf

import numpy as np
from numpy.typing import NDArray

from surfaces import grouped
from surfaces.scoring import Curve, misfits, stacked
from surfaces.smiles.base import (
    CHAINS,
    EDGE,
    SMILES,
    Array,
    Below,
    ChainFit,
    CurveStack,
    SmileFit,
    fit_rungs,
    reach,
    smile,
)
from surfaces.smiles.quotes import QuoteVols, SmileQuotes, smile_quotes
from surfaces.surface import UNKNOWN_VOL_ERROR, QuoteTable, VolSurface
from surfaces.units import E9, NS_PER_HOUR

VOL_BOUNDS = (1e-4, 20.0)
FALLBACKS = ("svi", "parabola", "flat")


@dataclass(frozen=True, slots=True)
class SliceTask:
    """What there is to fit: q out-of-the-money quotes of m slices.

    `vols`, `slice_of`, `two_sided` (q,); `years`, `alive` (m,). `last`: the surface before, whose
    curves start the search and stand in for a failure while younger than `last_good_s` seconds;
    `together`: how its expiries were fitted, if they were fitted together.
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
    together: "Together | None" = None


@dataclass(frozen=True, slots=True)
class Together:
    """Slices fitted as one program, in rising years, and what came of it."""

    ids: tuple[int, ...]
    fit: ChainFit


@dataclass(frozen=True, slots=True)
class Fitted:
    """Curves (m), which quotes they were drawn from (q,), reduced chi-squares (m,).

    `loo`, `loo_sd` (q,): what each quote's residual would be without it, in half spreads, and one
    standard error of that; NaN from a model that does not say.
    """

    curves: list[Curve]
    used: NDArray[np.bool_]
    chi2: Array
    loo: Array
    loo_sd: Array
    together: Together | None


@dataclass(frozen=True, slots=True)
class _Offer:
    """Quotes of one slice to fit, their positions in the task, and the k-range quoted firmly."""

    quotes: SmileQuotes
    positions: NDArray[np.int64]
    k_low: float
    k_high: float
    around: Array  # a grid of k wide enough for all that will be asked


def fit_slices(
    task: SliceTask, instead: dict[int, str] | None = None, done: Together | None = None
) -> Fitted:
    """Fit every slice of `task`; those of `instead` with another smile than the task's model.

    `done`: how the slices of this very task were fitted together, if they were.
    """
    instead = instead or {}
    m = task.years.size
    curves = [Curve() for _ in range(m)]
    drawn: list[SmileQuotes | None] = [None] * m
    used = np.zeros(task.slice_of.size, bool)
    offers = _offers(task)
    order = np.argsort(task.years, kind="stable").tolist()
    together, found = _fit_together(task, order, offers, done)
    for j in instead:
        found.pop(j, None)
    below: Below | None = None
    shorter = 0.0
    for j in order:
        if not task.alive[j]:
            curves[j] = _kept(task, j, "none", "expired") or Curve(notes=("expired",))
            continue
        floor = below if task.years[j] > shorter else None
        failed = together is not None and j in together.ids
        wanted = [instead[j]] if j in instead else [] if failed else [task.model]
        rungs = tuple(dict.fromkeys([*wanted, *FALLBACKS]))
        curves[j], mask = _fit_one(task, j, offers[j], floor, found.get(j), rungs)
        curve, offer = curves[j], offers[j]
        if mask is None or offer is None:
            continue
        used[offer.positions[mask]] = True
        drawn[j] = offer.quotes if mask.all() else offer.quotes.keep(mask)
        if curve.path == task.model and curve.theta is not None:
            below = Below(smile(curve.model), curve.theta, curve.k_low, curve.k_high)
            shorter = task.years[j]
    chi2, errors = misfits(curves, drawn, task.years)
    for curve, quotes, error in zip(curves, drawn, errors.tolist(), strict=True):
        if quotes is not None:
            curve.fit_error = error
    loo, loo_sd = _judge(task, curves, offers, together, found)
    _borrow(task, curves)
    return Fitted(curves, used, chi2, loo, loo_sd, together)


def _fit_together(
    task: SliceTask,
    order: list[int],
    offers: "list[_Offer | None]",
    done: Together | None,
) -> tuple[Together | None, dict[int, SmileFit]]:
    """All slices of one program, if the model is one; of settlement classes that share an instant
    the first is in it. Returns the fits that are within reason, by slice."""
    model = CHAINS.get(task.model)
    if model is None:
        return None, {}
    least, shorter = smile(task.model).minimum_quotes, 0.0
    ids: list[int] = []
    quotes: list[SmileQuotes] = []
    for j in order:
        offer = offers[j]
        if not task.alive[j] or offer is None or task.years[j] <= shorter:
            continue
        if np.count_nonzero(~offer.quotes.one_sided) >= least:
            ids.append(j)
            quotes.append(offer.quotes)
            shorter = float(task.years[j])
    if not ids:
        return None, {}
    if done is None:
        last = task.together
        before = last.fit if last is not None and last.ids == tuple(ids) else None
        hours = (task.now_ns - task.last.ts_ns) / NS_PER_HOUR if task.last else inf
        done = Together(tuple(ids), model.fit_chain(quotes, before, hours))
    fit = done.fit
    there = {j: f for j, f in zip(ids, fit.slices, strict=True) if f is not None}
    names = [smile(f.model) for f in there.values()]
    stack = CurveStack.of_curves(names, [f.theta for f in there.values()])
    around = np.array([o.around for j in there if (o := offers[j]) is not None])
    w = stack.total_variance(np.arange(len(there)), around) if there else np.zeros((0, 1))
    years = task.years[list(there)]
    low, high = (bound * bound * years for bound in VOL_BOUNDS)
    sane = (w.min(axis=1, initial=np.inf) > low) & (w.max(axis=1, initial=0.0) < high)
    found = {j: f for (j, f), fine in zip(there.items(), sane, strict=True) if fine}
    return done, found


def _judge(
    task: SliceTask,
    curves: list[Curve],
    offers: "list[_Offer | None]",
    together: Together | None,
    found: dict[int, SmileFit],
) -> tuple[Array, Array]:
    """Give curves the errors their model knows, in vol; returns quotes left out, as in `Fitted`."""
    loo, loo_sd = np.full((2, task.slice_of.size), np.nan)
    errors = None if together is None else together.fit.errors
    if together is None or errors is None:
        return loo, loo_sd
    ids = [together.ids[t] for t in errors.live]
    stack, of = stacked(curves), np.repeat(ids, np.diff(errors.start))
    root = np.sqrt(np.maximum(stack.total_variance(of, errors.k), 1e-300))
    d1 = -errors.k / root + 0.5 * root
    per_vol = np.exp(-0.5 * d1 * d1) * np.sqrt(task.years[of] / (2.0 * np.pi))
    vol_error = np.minimum(errors.sd / np.maximum(per_vol, 1e-300), root / np.sqrt(task.years[of]))
    for c, j in enumerate(ids):
        offer = offers[j]
        if j not in found or offer is None:
            continue
        part = slice(int(errors.start[c]), int(errors.start[c + 1]))
        curves[j].error_k, curves[j].error_vol = errors.k[part], vol_error[part]
        heard = slice(int(errors.quote_start[c]), int(errors.quote_start[c + 1]))
        loo[offer.positions] = errors.loo[heard]
        loo_sd[offer.positions] = errors.loo_sd[heard]
    return loo, loo_sd


def quote_table(
    task: SliceTask, stack: CurveStack, some: NDArray[np.int64], fitted: Fitted
) -> QuoteTable:
    """The judged quotes, every two-sided one, with the model's vol beside them.

    `some` (q,): chain rows of the task's quotes.
    """
    judged = np.flatnonzero(task.two_sided)
    of, k = task.slice_of[judged], task.vols.k[judged]
    w = np.maximum(stack.total_variance(of, k), 0.0)
    model_vol = np.sqrt(w / task.years[of])
    vols = task.vols
    return QuoteTable(
        some[judged], k, vols.bid_vol[judged], vols.ask_vol[judged], model_vol,
        fitted.used[judged], fitted.loo[judged], fitted.loo_sd[judged],
    )  # fmt: skip


def _fit_one(
    task: SliceTask,
    j: int,
    offer: _Offer | None,
    below: Below | None,
    found: SmileFit | None,
    rungs: tuple[str, ...],
) -> tuple[Curve, NDArray[np.bool_] | None]:
    """One slice, from `rungs` unless it is `found`: its curve, and which quotes of the offer were
    used (None if none were)."""
    if offer is None:
        return _kept(task, j, "last_good", "no_quotes") or Curve(notes=("no_quotes",)), None
    if found is None:
        start = _start(task, j) if rungs[0] == task.model else None
        found = fit_rungs(rungs, offer.quotes, start, below)
        if found is None or not _sane(found, offer):
            return _kept(task, j, "last_good", "fit_failed") or Curve(notes=("fit_failed",)), None
    last = task.last
    if last is not None and last.path[j] != "none" and _rank(found.model) < _rank(last.models[j]):
        age_s = (task.now_ns - int(last.fit_ns[j])) / E9
        old = _kept(task, j, "last_good", "few_quotes") if age_s < task.last_good_s else None
        if old is not None:
            return old, None
    wild = found.used.size - int(np.count_nonzero(found.used))
    curve = Curve(
        model=found.model,
        theta=found.theta,
        path=found.model,
        notes=(f"wild:{wild}",) if wild else (),
        k_low=offer.k_low,
        k_high=offer.k_high,
        fit_ns=task.now_ns,
    )
    return curve, found.used


def _offers(task: SliceTask) -> list[_Offer | None]:
    """Quotes of every slice to fit, in rising k, and the k-range of those quoted on both sides.

    None for a slice without a single firm quote whose bid carries a vol.
    """
    vols, of, m = task.vols, task.slice_of, task.years.size
    firm = vols.fittable & task.two_sided
    there = grouped.count(firm & ~vols.one_sided, of, m) > 0
    k_low, k_high = np.full(m, np.inf), np.full(m, -np.inf)
    np.minimum.at(k_low, of[firm], vols.k[firm])
    np.maximum.at(k_high, of[firm], vols.k[firm])
    k_low[~there], k_high[~there] = np.nan, np.nan
    edge = 0.5 * (EDGE - 1.0) * (k_high - k_low)
    near = (vols.k >= (k_low - edge)[of]) & (vols.k <= (k_high + edge)[of])
    at = np.flatnonzero(vols.fittable & there[of] & (task.two_sided | near))
    at = at[np.lexsort((vols.k[at], of[at]))]
    quotes = smile_quotes(vols, at, of[at], task.years)
    ends = np.cumsum([0, *(len(q) for q in quotes)]).tolist()
    around = reach(np.minimum(k_low, 0.0)[:, None], np.maximum(k_high, 0.0)[:, None], points=41)
    ranges = zip(k_low.tolist(), k_high.tolist(), around, strict=True)
    return [
        _Offer(q, at[low:high], *span) if high > low else None
        for q, low, high, span in zip(quotes, ends[:-1], ends[1:], ranges, strict=True)
    ]


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
        error_k=last.error_k[j],
        error_vol=last.error_vol[j],
    )


def _rank(model: str) -> int:
    return {"flat": 0, "parabola": 1}.get(model, 2)


def _sane(found: SmileFit, offer: _Offer) -> bool:
    """Whether the curve is positive and within reason wherever it will be asked."""
    k = np.concatenate((offer.around, offer.quotes.k))
    w = SMILES[found.model].total_variance(k, found.theta)
    low, high = (bound * bound * offer.quotes.years for bound in VOL_BOUNDS)
    return bool(w.min() > low and w.max() < high)  # a NaN is neither


def _borrow(task: SliceTask, curves: list[Curve]) -> None:
    """Give live slices without a curve the at-the-money vol of their neighbours in time."""
    live = [j for j in range(len(curves)) if task.alive[j]]
    have = [j for j in live if curves[j].theta is not None]
    if not have or len(have) == len(live):
        return
    have.sort(key=lambda j: (task.years[j], j))
    at = task.years[have]
    w = stacked(curves).total_variance(np.array(have), np.zeros(len(have)))
    for j in live:
        curve = curves[j]
        if curve.theta is not None:
            continue
        years = float(task.years[j])
        inside = float(np.interp(years, at, w))
        scale = years / min(max(years, at[0]), at[-1])
        curve.model, curve.theta = "flat", np.array([inside * scale])
        curve.notes = (*curve.notes, "neighbours")
        curve.k_low = curve.k_high = 0.0
        curve.fit_error = UNKNOWN_VOL_ERROR * float(np.sqrt(inside * scale / years))
        curve.fit_ns = 0
