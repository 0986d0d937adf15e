"""How far a fitted mixture may be off: standard errors along k, and every quote left out in turn.

Two parts. The Newton matrix H of a slice says how well its quotes pin a price down: with L = B H^-1
B', the fit without quote i has variance L / (1 - a L) there, a the quote's own curvature (the
approximate leave-one-out of Rad and Maleki 2020). That is right about where little is known, and
wrong about how much, since spreads are no standard errors. So residuals of the quotes left out, in
units of the first part, are measured around each strike: their running quantile, the strike itself
excluded, is the scale (conformal prediction with local weights: Lei et al. 2018, Tibshirani et al.
2019). Nothing is tuned to a day; how often held-out mids lie inside is measured by `bench surface`.

Units   prices undiscounted and in units of the forward, residuals in half spreads.
"""

from dataclasses import dataclass

import numpy as np

from surfaces.kernels import mixture as curve
from surfaces.kernels import mixture_after as after
from surfaces.kernels import mixture_joint as kernel
from surfaces.kernels import quantile
from surfaces.kernels.mixture_linear import BORDER
from surfaces.kernels.mixture_solve import SOLVED, State
from surfaces.smiles.base import EDGE, Array, Errors
from surfaces.smiles.mixture_design import Ints
from surfaces.smiles.mixture_program import UNHEARD, MixtureFit, compact

NOISE = 0.4  # variance of a quote's own middle, in units of the first part
WIDTH, WINDOW = 5.0, 12  # strikes
PROBABILITY, NORMAL = 0.98, 1.959964
BEYOND = 6  # places beyond the quotes on either side, out to EDGE times their range
MOST_LEVER = 0.999
AT_EDGE = 0.9  # half spreads off from which a quote is at the edge of its spread, or missed


@dataclass(frozen=True, slots=True)
class _Levers:
    """First part of every quote and of the places beyond them, in squared half spreads."""

    inside: Array  # (q,) with the quote
    without: Array  # (q,) without it
    loo: Array  # (q,) residuals of the fits without
    beyond: Array  # (p,) in squared forwards


def errors(fit: MixtureFit, refits: int = 0) -> Errors | None:
    """Standard errors of every fitted slice, and its quotes left out; None where none is fitted.

    A quote that is missed, or nearly, holds its neighbours at the edge of their spreads, and they
    let go without it: no first-order matter, so the worst `refits` are left out in earnest.
    """
    rows, state, design, blocks = fit.rows, fit.state, fit.design, fit.blocks
    if rows is None or state is None or design is None or blocks is None:
        return None
    places = _places(fit)
    found = _levers(fit, places)
    if refits > 0:
        off = np.where(rows.alpha > 0.0, np.abs(state.residual), 0.0)
        worst = np.argsort(-off, kind="stable")[:refits]
        _leave_out(fit, worst[off[worst] > AT_EDGE], found.loo)
    unit = np.sqrt(found.without + NOISE)
    heard = rows.alpha > 0.0
    x = np.where(heard, np.abs(found.loo) / unit, np.nan)
    scale = np.empty(x.size)
    quantile.fill_running(x, rows.start, WIDTH, WINDOW, PROBABILITY, scale)
    scale /= NORMAL
    half = 1.0 / rows.per_half
    inner = half * scale * np.sqrt(found.inside)
    ends = np.stack((scale[rows.start[:-1]], scale[rows.start[1:] - 1]), axis=1)
    outer = np.repeat(ends, BEYOND, axis=1).ravel() * np.sqrt(np.maximum(found.beyond, 0.0))
    m = rows.start.size - 1
    k, sd = [], []
    for t in range(m):
        part = slice(int(rows.start[t]), int(rows.start[t + 1]))
        left = slice(2 * BEYOND * t, 2 * BEYOND * t + BEYOND)
        right = slice(left.stop, left.stop + BEYOND)
        k += [places[left], design.k[part], places[right]]
        sd += [outer[left], inner[part], outer[right]]
    counts = np.diff(rows.start) + 2 * BEYOND
    return Errors(
        live=fit.live,
        start=np.concatenate(([0], np.cumsum(counts))),
        k=np.concatenate(k),
        sd=np.concatenate(sd),
        quote_start=rows.start,
        loo=np.where(heard, found.loo, np.nan),
        loo_sd=scale * unit,
    )


def _leave_out(fit: MixtureFit, which: Ints, loo: Array) -> None:
    """Write into `loo` what the quotes `which` are off by when their slice is fitted without them.

    Slices are solved by themselves here, so what counts is the change from such a fit with all.
    """
    rows, design, blocks = fit.rows, fit.design, fit.blocks
    assert rows is not None and design is not None and blocks is not None and fit.state is not None
    none, set_ = np.zeros(design.link_k.size, bool), design.settings
    links = compact(design.links, none)
    options = np.array([set_.mu_cold, set_.mu, float(set_.steps)])
    heard = rows._replace(alpha=rows.alpha.copy(), cap=rows.cap.copy())
    state = State(*(a.copy() for a in fit.state))
    of = np.searchsorted(rows.start, which, side="right") - 1
    for t in np.unique(of).tolist():
        state.level[t] = 0.0  # its links are gone: from the start
        if kernel.chain(t, t + 1, heard, blocks, links, state, options)[0] != SOLVED:
            continue
        part = slice(int(rows.start[t]), int(rows.start[t + 1]))
        alone = state.residual[part].copy()
        kept = state.warm[t].copy(), state.warm_rows[:, part].copy(), float(state.level[t])
        for i in which[of == t].tolist():
            before = heard.alpha[i], heard.cap[i]
            heard.alpha[i], heard.cap[i] = 0.0, UNHEARD
            done, _ = kernel.chain(t, t + 1, heard, blocks, links, state, options)
            if done == SOLVED:
                was = fit.state.residual[i]
                loo[i] = was + state.residual[i] - alone[i - part.start]
            heard.alpha[i], heard.cap[i] = before
            state.warm[t], state.warm_rows[:, part], state.level[t] = kept


def _places(fit: MixtureFit) -> Array:
    """BEYOND places on the left and as many on the right of every slice's quotes, rising."""
    assert fit.design is not None and fit.rows is not None
    start, k = fit.rows.start, fit.design.k
    low, high = k[start[:-1]], k[start[1:] - 1]
    reach = np.maximum(0.5 * (EDGE - 1.0) * (high - low), fit.design.words.s)
    share = np.arange(1, BEYOND + 1) / BEYOND
    left = low[:, None] - reach[:, None] * share[::-1]
    right = high[:, None] + reach[:, None] * share
    return np.concatenate((left, right), axis=1).ravel()


def _levers(fit: MixtureFit, places: Array) -> _Levers:
    """`_Levers` of all slices, in one call of the kernel."""
    rows, state, design, blocks = fit.rows, fit.state, fit.design, fit.blocks
    assert rows is not None and state is not None and design is not None and blocks is not None
    words = design.words
    m, bumps = words.centre.shape
    start = np.arange(m + 1) * 2 * BEYOND
    X, spans = np.zeros((places.size, bumps)), np.zeros((places.size, 2), np.int64)
    shape = words.bumps, words.centre, words.width, words.scale
    curve.fill_design(places, start, *shape, np.zeros(places.size), X, spans)
    H = np.zeros((bumps + BORDER, bumps + BORDER))
    quoted, beyond = np.empty(rows.mid.size), np.empty(places.size)
    after.levers(rows, blocks, state, X, start, H, quoted, beyond)
    inside = np.maximum(quoted, 0.0) * rows.per_half**2
    stiff = np.minimum((rows.alpha + state.weight) * inside, MOST_LEVER)
    pull = rows.alpha * state.residual + state.force
    return _Levers(
        inside=inside,
        without=inside / (1.0 - stiff),
        loo=state.residual + inside * pull / (1.0 - stiff),
        beyond=beyond,
    )
