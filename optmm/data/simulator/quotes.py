"""When the other makers' quotes are refreshed; `makers` says at which prices.

Refreshes come from five places:
- snapshots: every `snapshot_period_seconds` from the open the options whose quotes go wrong
  fastest, the first and every fifteenth time all of them, at one instant, as makers mass-quote; so
  what a surface is fit to on the minute is of one instant; all of them again for the close;
- spot moves: after the largest moves of the day each maker follows by its own delay, so that for a
  while some quotes are of before the move;
- single refreshes at random times, more often where the price moves most against its width;
- the option a taker is about to trade, moments before: makers are awake when somebody asks;
- all of them when trading resumes after a halt.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from optmm.data.simulator.clock import NS_PER_SECOND, activity
from optmm.data.simulator.schedule import halts
from optmm.data.simulator.theo import TruePrices

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

FULL_EVERY = 15  # snapshots
PAIRED_STRIKES = 5  # on each side of the forward
FULL_DAY_SECONDS = 405 * 60
MOVES_PER_DAY = 200
REACTION_NS = (1_000_000, 60_000_000)  # makers follow the stock by 1 to 60 ms


class Refreshes(NamedTuple):
    """Which quotes are made anew; arrays of one length."""

    rows: Ints
    ts_ns: Ints
    massed: NDArray[np.bool_]  # in a mass quote, which every maker times to be current

    def take(self, which: slice | NDArray[np.bool_]) -> "Refreshes":
        """Some of them."""
        return Refreshes(self.rows[which], self.ts_ns[which], self.massed[which])


def joined(parts: Sequence[Refreshes]) -> Refreshes:
    """All of them, one part after another."""
    return Refreshes(
        np.concatenate([part.rows for part in parts]),
        np.concatenate([part.ts_ns for part in parts]),
        np.concatenate([part.massed for part in parts]),
    )


def importance(prices: TruePrices, second: int) -> Floats:
    """How much a refresh of each option is worth at `second` of the day; sums to one.

    The worth is how fast a quote goes wrong: its delta over its half width. In-the-money options
    away from the money say again what their out-of-the-money twins say at a worse price, and come
    last; those near it make the put-call pairs that a forward is read from.
    """
    chain, smile = prices.chain, prices.smile
    rows = np.arange(len(chain))
    at = np.full(rows.size, second)
    now = prices.fair(rows, at)
    forward = prices.forward(chain.slice_of.astype(np.int64), at)
    outward = chain.right * (chain.strike - forward) >= 0.0
    rises = (chain.strike < forward).astype(np.int64)
    below = np.add.reduceat(rises, chain.slice_start[:-1]) // 2
    level = (rows - chain.slice_start[chain.slice_of]) // 2
    paired = np.abs(level - below[chain.slice_of]) <= PAIRED_STRIKES
    alive = smile.theta[chain.slice_of, second] > 0.0
    speed = np.minimum(np.abs(now.delta), 0.5) / prices.half_width(rows, at, now)
    worth = np.where(alive & (outward | paired), speed, 0.0) + 1e-3
    return worth / worth.sum()


def refreshes(prices: TruePrices, rng: np.random.Generator) -> Refreshes:
    """Every refresh but the takers' own, unordered.

    About `quote_events_target` in a full day, in proportion in a shorter one; the opening and
    closing quotes come on top, so that a short day is as well quoted as a long one.
    """
    config, clock = prices.config, prices.clock
    n = len(prices.chain)
    everybody = np.arange(n)
    budget = config.quote_events_target * clock.seconds / FULL_DAY_SECONDS
    period = config.snapshot_period_seconds
    marks = np.arange(0, clock.seconds, period, dtype=np.int64)
    whole = -(-marks.size // FULL_EVERY)
    left = config.snapshot_share * budget - n * (whole - 1)
    chosen = int(np.clip(left / max(marks.size - whole, 1), 0, n))
    rows, seconds = [], []
    for i, mark in enumerate(marks.tolist()):
        if i % FULL_EVERY == 0:
            worth = importance(prices, mark)
            leaders = np.sort(np.argsort(-worth, kind="stable")[:chosen])
        rows.append(everybody if i % FULL_EVERY == 0 else leaders)
        seconds.append(np.full(rows[-1].size, mark))
    rows.append(everybody)  # closing quotes
    seconds.append(np.full(n, clock.seconds - 1))
    at, when = np.concatenate(rows), np.concatenate(seconds)
    start = clock.session.open_ns
    massed = Refreshes(at, start + NS_PER_SECOND * when, np.ones(at.size, np.bool_))
    again = [
        Refreshes(everybody, np.full(n, stop, np.int64), np.ones(n, np.bool_))
        for _, stop in halts(config, clock)
    ]
    after = _after_moves(prices, int(config.move_share * budget))
    single = rng.poisson(max(budget - after.rows.size - (at.size - 2 * n), 0.02 * budget))
    which = rng.choice(n, size=single, p=importance(prices, 0))
    drawn = _busy_seconds(clock.seconds, single, rng)
    late = rng.integers(*REACTION_NS, size=single)
    alone = Refreshes(which, start + NS_PER_SECOND * drawn + late, np.zeros(single, np.bool_))
    return joined((massed, after, alone, *again))


def _after_moves(prices: TruePrices, budget: int) -> Refreshes:
    """Each maker's refresh, `maker_delays_ms` after the largest moves of spot in a second."""
    config, clock = prices.config, prices.clock
    delays = np.unique(np.rint(np.array(config.maker_delays_ms) * 1e6).astype(np.int64))
    moves = min(MOVES_PER_DAY * clock.seconds // FULL_DAY_SECONDS, clock.seconds - 1)
    near = min(budget // max(moves * delays.size, 1), len(prices.chain))
    size = np.abs(np.diff(prices.path.log_return))
    seconds = np.sort(np.argsort(-size, kind="stable")[:moves]) + 1
    leaders = np.sort(np.argsort(-importance(prices, 0), kind="stable")[:near])
    instants = (clock.session.open_ns + NS_PER_SECOND * seconds[:, None] + delays).ravel()
    instants = instants[instants < clock.session.close_ns]
    rows = np.tile(leaders, instants.size)
    return Refreshes(rows, np.repeat(instants, near), np.zeros(rows.size, np.bool_))


def _busy_seconds(seconds: int, size: int, rng: np.random.Generator) -> Ints:
    """Whole seconds drawn from the U-shaped activity of the day, in [0, seconds)."""
    grid = np.linspace(0.0, 1.0, 2001)
    # half of the refreshes follow the day's activity, half come evenly
    share = 0.5 * grid + 0.5 * activity(grid)
    limit = np.interp(seconds / FULL_DAY_SECONDS, grid, share)
    drawn = np.interp(rng.random(size) * limit, share, grid) * FULL_DAY_SECONDS
    return np.minimum(drawn.astype(np.int64), seconds - 1)
