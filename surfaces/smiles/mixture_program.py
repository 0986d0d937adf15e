"""From packed quotes to a solved program and back: dictionary, matrices, rounds of links, results.

Links between neighbouring expiries are few where markets agree, so they are found, not assumed: the
expiries are solved apart, every row of a fine grid is looked at, those broken (and those at rest on
their wall before) join the program, and expiries that share one are solved together, until none is.
"""

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from surfaces.kernels import mixture_after as after
from surfaces.kernels import mixture_joint as kernel
from surfaces.kernels.mixture_linear import BORDER
from surfaces.kernels.mixture_solve import SOLVED, Blocks, Links, Rows, State
from surfaces.smiles.mixture_design import Array, Design, Flags, Ints, Packed, Settings, kept
from surfaces.smiles.mixture_design import design as prepare
from surfaces.smiles.mixture_grid import Dictionary
from surfaces.status import Status

WILD, WILD_SCALE, WILD_SHARE = 6.0, 6.0, 0.2  # half spreads, medians, share of an expiry
NEAR = 0.02  # relative price gap at which a row next to a broken one joins too
ROUNDS = 9
PASSES = 4
MENDS, FIRMER = 3, 20.0
BINDING = 1e-2  # multiplier above which a link row is expected to bind again
LITTLE = 0.1  # of the first guess: weights below it are held no tighter
UNHEARD = 1e-6  # cap of a quote that is left out
LEAST_COUNT = 30  # quotes a slice's roughness counts at least
TOUCH = 1e-13  # of the forward: a price on the bid is a hit whatever the rounding


@dataclass(frozen=True, slots=True, eq=False)
class MixtureFit:
    """Smiles of a whole chain; per-slice arrays (m,), per-quote arrays (q,) in slice order."""

    theta: Array  # (m, 1 + 3 bumps); NaN where status is not 0
    status: Ints  # Status codes
    steps: Ints  # Newton steps
    start: Ints  # (m + 1,) where each slice's quotes begin
    residual: Array  # (model - mid) / half spread; NaN where there is no model
    used: Flags  # False: left out as stale or mistyped, or of a slice not fitted
    hits: Ints  # two-sided quotes with the model inside [bid, ask]
    quotes: Ints  # two-sided quotes
    links: Ints  # link rows towards the next slice
    calendar: Array  # (m,) largest relative price gap to the next slice, > 0: broken
    live: Ints  # slices that were fitted; what follows is about them
    design: Design | None
    state: State | None
    rows: Rows | None
    blocks: Blocks | None
    chosen: Flags  # link rows in use


def solve(
    packed: Packed, previous: MixtureFit | None, settings: Settings, prior: float
) -> MixtureFit:
    """The whole of `fit_joint` after its checks."""
    m, q = packed.start.size - 1, packed.k.size
    of = np.repeat(np.arange(m), np.diff(packed.start))
    firm = np.bincount(of[packed.two_sided], minlength=m)
    live = np.flatnonzero(firm > 0)
    keep = packed.known & (firm > 0)[of]
    if live.size == 0:
        return _nothing(packed, firm)
    quotes = packed if keep.all() else kept(packed, keep, of)
    before = previous if previous is not None and np.array_equal(previous.live, live) else None
    design = prepare(quotes, None if before is None else before.design, settings)
    if before is None or before.design is None or not design.kept.any():
        before = None
    state = _state(quotes, design, before)
    program = _Program(
        rows=_rows(quotes, design, settings),
        blocks=_blocks(quotes, design, settings, state, prior if before else 0.0),
        design=design,
        settings=settings,
    )
    chosen = np.zeros(design.link_k.size, bool)
    if before is not None and settings.calendar:
        between = design.kept[:-1] & design.kept[1:]
        chosen |= before.chosen & np.repeat(between, np.diff(design.links.start[:-1]))
        if prior > 0.0 and before.state is not None:
            chosen &= before.state.warm_links[2] > BINDING
    out = np.zeros((2, live.size), np.int64)
    wild = np.zeros(quotes.k.size, bool)
    if before is not None and before.rows is not None and before.rows.mid.size == wild.size:
        wild |= before.rows.cap == UNHEARD
    wild &= quotes.two_sided
    program = program.without(wild)
    state = program.rounds(state, chosen, _dirty(program, before, state), out)
    for _ in range(PASSES):
        # what one wild quote dragged away comes back in the pass that leaves it out
        found = _wild(quotes, state.residual)
        other = found != wild
        if not other.any():
            break
        heard = _Program(_rows(quotes, design, settings), program.blocks, design, settings)
        program, wild = heard.without(found), found
        state = program.rounds(state, chosen, _slices_with(other, quotes.start), out)
    program, gap = program.mended(state, chosen, out)
    design = program.design
    used = np.zeros(q, bool)
    used[keep] = ~wild
    residual = np.full(q, np.nan)
    residual[keep] = state.residual
    status = np.full(m, int(Status.BAD_INPUT))
    status[live] = np.where(out[0] == SOLVED, int(Status.OK), int(Status.NOT_CONVERGED))
    theta = np.full((m, 1 + 3 * design.words.centre.shape[1]), np.nan)
    theta[live] = _theta(design.words, state.u)
    bad = live[out[0] != SOLVED]
    theta[bad] = np.nan
    price = quotes.mid + state.residual * quotes.half
    inside = quotes.two_sided & (price >= quotes.bid - TOUCH) & (price <= quotes.ask + TOUCH)
    hits = np.zeros(m, np.int64)
    hits[live] = np.add.reduceat(inside, quotes.start[:-1])
    steps, links, calendar = np.zeros(m, np.int64), np.zeros(m, np.int64), np.full(m, np.nan)
    steps[live] = out[1]
    counts = np.concatenate(([0], np.cumsum(chosen)))
    links[live] = np.diff(counts[design.links.start])
    calendar[live] = gap
    return MixtureFit(
        theta, status, steps, packed.start, residual, used, hits, firm, links, calendar, live,
        design, state, program.rows, program.blocks, chosen,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Program:
    """Rows, blocks and every link there might be."""

    rows: Rows
    blocks: Blocks
    design: Design
    settings: Settings

    def without(self, wild: Flags) -> "_Program":
        """The same with the quotes `wild` (q,) unheard."""
        if not wild.any():
            return self
        rows = self.rows._replace(
            alpha=np.where(wild, 0.0, self.rows.alpha), cap=np.where(wild, UNHEARD, self.rows.cap)
        )
        return _Program(rows, self.blocks, self.design, self.settings)

    def rounds(self, state: State, chosen: Flags, todo: Flags, out: Ints) -> State:
        """Solve, look at every link row, take in the broken ones, until none is; (m,) `todo`.

        `chosen` and `out` (status and steps, (2, m)) are written.
        """
        set_ = self.settings
        options = np.array([set_.mu_cold, set_.mu, float(set_.steps)])
        every, start = self.design.links, self.design.links.start
        taken = np.zeros_like(out)
        values, program = np.empty(chosen.size), self
        for _ in range(ROUNDS):
            links = compact(every, chosen)
            part = state._replace(warm_links=np.ascontiguousarray(state.warm_links[:, chosen]))
            taken[1] = 0
            for first, last in _chains(links.start):
                if todo[first:last].any():
                    found = program.chain(first, last, links, part, options)
                    taken[:, first:last] = np.array(found)[:, None]
            state.warm_links[:, chosen] = part.warm_links
            state.warm_links[:, ~chosen] = 0.0
            out[0] = np.where(taken[1] > 0, taken[0], out[0])
            out[1] += taken[1]
            if not (set_.calendar and values.size):
                break
            after.link_values(self.blocks, every, state.u, values)
            new = (values > 0.25 * set_.margin) & ~chosen
            if not new.any():
                break
            pairs = np.repeat(np.add.reduceat(new, start[:-2]) > 0, np.diff(start[:-1]))
            chosen |= new | (pairs & (values > -NEAR))
            new_pairs = np.flatnonzero(np.add.reduceat(new, start[:-2]))
            todo = np.zeros_like(todo)
            todo[new_pairs] = todo[new_pairs + 1] = True
        return state

    def chain(
        self, first: int, last: int, links: Links, state: State, options: Array
    ) -> tuple[int, int]:
        """Status and steps of slices first to last - 1; a warm start that fails is made cold."""
        found, taken = SOLVED, 0
        for _ in range(2 if state.level[first] > 0.0 else 1):
            found, more = kernel.chain(first, last, self.rows, self.blocks, links, state, options)
            taken += more
            if found == SOLVED:
                break
        return found, taken

    def mended(self, state: State, chosen: Flags, out: Ints) -> tuple["_Program", Array]:
        """Pairs still out of order cost `FIRMER` times more, until none is; and the gaps left."""
        program, gap = self, self.gaps(state)
        for _ in range(MENDS):
            broken = gap > 0.0
            if not broken.any():
                break
            links = program.design.links
            pairs = np.repeat(broken[:-1], np.diff(links.start[:-1]))
            cap = np.where(pairs, FIRMER * links.cap, links.cap)
            firmer = replace(program, design=replace(program.design, links=links._replace(cap=cap)))
            todo = broken | np.concatenate(([False], broken[:-1]))
            before, solved = [a.copy() for a in state], out.copy()
            state.level[todo] = 0.0
            firmer.rounds(state, chosen, todo, out)
            if (out[0] != SOLVED).any():  # too hard a wall: better a reported gap than no fit
                for array, old in zip(state, before, strict=True):
                    array[...] = old
                out[...] = solved
                break
            program, gap = firmer, firmer.gaps(state)
        return program, gap

    def gaps(self, state: State) -> Array:
        """Largest relative price by which slice t is dearer than t + 1 on its link rows, (m,)."""
        out = np.full(state.u.shape[0], np.nan)
        start = self.design.links.start
        if self.design.link_k.size:
            values = np.empty(self.design.link_k.size)
            share = self.settings.margin / (1.0 + self.settings.margin)
            after.link_gaps(self.blocks, self.design.links, state.u, share, values)
            out[:-1] = np.maximum.reduceat(values, start[:-2])
        return out


def _dirty(program: _Program, before: MixtureFit | None, state: State) -> Flags:
    """Slices (m,) whose quotes are not those of `before` to the last bit, or that it did not solve.

    The others keep all that was found of them, which is copied into `state`.
    """
    m, rows = state.level.size, program.rows
    if before is None or before.rows is None or before.state is None or before.design is None:
        return np.ones(m, bool)
    old, was = before.rows, before.state
    alike = np.array_equal(old.start, rows.start) and was.system.shape == state.system.shape
    if not alike or not program.design.kept.all():
        return np.ones(m, bool)
    same = program.design.k == before.design.k
    for name in ("mid", "per_half", "low", "high", "alpha", "cap"):
        same &= getattr(rows, name) == getattr(old, name)
    dirty = _slices_with(~same, rows.start) | (was.level == 0.0)
    state.system[...] = was.system
    for name in ("residual", "force", "weight"):
        getattr(state, name)[...] = getattr(was, name)
    return dirty


def _chains(start: Ints) -> list[tuple[int, int]]:
    """(first, last + 1) of every run of slices with links between them."""
    counts = np.diff(start)[:-1]
    ends = [*(np.flatnonzero(counts == 0) + 1).tolist(), counts.size + 1]
    return list(pairwise([0, *ends]))


def compact(links: Links, chosen: Flags) -> Links:
    """Only the rows `chosen`."""
    counts = np.concatenate(([0], np.cumsum(chosen)))
    return Links._make((counts[links.start], *(column[chosen] for column in links[1:])))


def _state(quotes: Packed, design: Design, before: MixtureFit | None) -> State:
    """Where the search starts: copies of what `before` left, as far as it fits."""
    m, bumps = design.words.centre.shape
    q, c = quotes.k.size, design.link_k.size
    state = State(
        np.ones((m, bumps)), np.ones((m, bumps)), np.zeros((m, BORDER)), np.zeros(q), np.zeros(q),
        np.zeros(q), np.zeros((m, 2, bumps)), np.zeros((6, q)), np.zeros((3, c)), np.zeros(m),
        np.empty((m, bumps + BORDER, bumps + BORDER)),
    )  # fmt: skip
    if before is None or before.state is None or before.rows is None:
        return state
    old, kept = before.state, design.kept
    n = min(old.u.shape[1], bumps)  # the rest is padding in the slices that are kept
    for name in ("u", "z", "warm"):
        getattr(state, name)[kept, ..., :n] = getattr(old, name)[kept, ..., :n]
    state.nu[kept], state.level[kept] = old.nu[kept], old.level[kept]
    if old.warm_links.shape == state.warm_links.shape:
        state.warm_links[...] = old.warm_links
    if np.array_equal(before.rows.start, quotes.start):
        state.warm_rows[...] = old.warm_rows
    else:
        for t in range(m):
            here = slice(int(quotes.start[t]), int(quotes.start[t + 1]))
            there = slice(int(before.rows.start[t]), int(before.rows.start[t + 1]))
            if here.stop - here.start == there.stop - there.start:
                state.warm_rows[:, here] = old.warm_rows[:, there]
    return state


def _blocks(
    quotes: Packed, design: Design, settings: Settings, state: State, weight: float
) -> Blocks:
    """Equalities, roughness and, at the weights of `state`, the prior of every slice kept."""
    words = design.words
    m, bumps = words.centre.shape
    forward = np.exp(words.centre + 0.5 * words.width**2)
    border = np.stack((words.scale, words.scale * forward), axis=1)
    lam = settings.roughness * np.maximum(np.diff(quotes.start), LEAST_COUNT)
    prior, stiff = np.zeros((m, bumps)), np.zeros((m, bumps))
    if weight > 0.0:  # of relative changes, and of absolute ones where there is little
        prior[design.kept] = state.u[design.kept]
        stiff[design.kept] = weight / np.maximum(state.u[design.kept], LITTLE) ** 2
    return Blocks(words.bumps, border, np.ones((m, BORDER)), lam.astype(np.float64), prior, stiff)


def _rows(quotes: Packed, design: Design, settings: Settings) -> Rows:
    """Quotes as the kernel takes them; a one-sided quote has no middle to be drawn to."""
    alpha = np.where(quotes.two_sided, settings.alpha, 0.0)
    band = settings.band
    return Rows(
        quotes.start, design.matrix, design.spans, quotes.mid, 1.0 / quotes.half,
        quotes.low * band, quotes.high * band, alpha, np.ones(quotes.k.size),
    )  # fmt: skip


def _wild(quotes: Packed, residual: Array) -> Flags:
    """Two-sided quotes no smooth density could mean; at most a fifth of an expiry."""
    miss = np.where(quotes.two_sided, np.abs(residual), 0.0)
    out = miss > WILD
    if not out.any():
        return out
    for t in range(quotes.start.size - 1):
        part = slice(int(quotes.start[t]), int(quotes.start[t + 1]))
        if not out[part].any():
            continue
        firm = quotes.two_sided[part]
        limit = max(WILD, WILD_SCALE * float(np.median(miss[part][firm])))
        limit = max(limit, float(np.quantile(miss[part][firm], 1.0 - WILD_SHARE)))
        out[part] &= miss[part] > limit
    return out


def _slices_with(flags: Flags, start: Ints) -> Flags:
    """Which slices have a flagged quote."""
    return np.add.reduceat(flags, start[:-1]) > 0


def _theta(words: Dictionary, u: Array) -> Array:
    """Parameters (m, 1 + 3 bumps); weights sum to one and the forward is one to rounding."""
    there = np.arange(words.centre.shape[1]) < words.bumps[:, None]
    weight = np.where(there, u * words.scale, 0.0)
    weight = weight / weight.sum(axis=1, keepdims=True)
    forward = (weight * np.exp(words.centre + 0.5 * words.width**2)).sum(axis=1, keepdims=True)
    centre = np.where(there, words.centre - np.log(forward), 0.0)
    one = np.ones((words.bumps.size, 1))
    return np.concatenate((one, centre, words.width, weight), axis=1)


def _nothing(packed: Packed, firm: Ints) -> MixtureFit:
    """The answer to quotes none of which has two sides."""
    m, q = packed.start.size - 1, packed.k.size
    zero = np.zeros(m, np.int64)
    return MixtureFit(
        np.full((m, 4), np.nan), np.full(m, int(Status.BAD_INPUT)), zero, packed.start,
        np.full(q, np.nan), np.zeros(q, bool), zero, firm, zero, np.full(m, np.nan),
        np.zeros(0, np.int64), None, None, None, None, np.zeros(0, bool),
    )  # fmt: skip
