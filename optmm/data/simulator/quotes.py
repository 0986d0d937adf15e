"""Other makers' best bid and ask: when they are refreshed, how wide, how large.

Refreshes come from four places:
- snapshots: every `snapshot_period_seconds` from the open the options whose quotes go wrong
  fastest, the first and every fifteenth time all of them, at one instant, as makers mass-quote; so
  what a surface is fit to on the minute is of one instant; all of them again for the close;
- single refreshes at random times, more often where the price moves most against its width;
- the option a taker is about to trade, moments before: makers are awake when somebody asks.

A quote is the true price less and plus a half width, each side with its own noise, rounded outward
to the tick, so it always brackets the truth it was made from.
"""

import numpy as np
from numpy.typing import NDArray

from optmm.data.simulator.clock import NS_PER_SECOND, activity
from optmm.data.simulator.theo import TruePrices
from optmm.market.events import Kind, empty

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

FULL_EVERY = 15  # snapshots
PAIRED_STRIKES = 5  # on each side of the forward
FULL_DAY_SECONDS = 405 * 60
REACTION_NS = (1_000_000, 60_000_000)  # makers follow the stock by 1 to 60 ms


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


def refreshes(prices: TruePrices, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """(rows, instants ns) of every refresh but the takers' own, unordered.

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
    single = rng.poisson(max(budget - (at.size - 2 * n), 0.02 * budget))
    which = rng.choice(n, size=single, p=importance(prices, 0))
    drawn = _busy_seconds(clock.seconds, single, rng)
    late = rng.integers(*REACTION_NS, size=single)
    return (
        np.concatenate([at, which]),
        clock.session.open_ns
        + np.concatenate([NS_PER_SECOND * when, NS_PER_SECOND * drawn + late]),
    )


def _busy_seconds(seconds: int, size: int, rng: np.random.Generator) -> Ints:
    """Whole seconds drawn from the U-shaped activity of the day, in [0, seconds)."""
    grid = np.linspace(0.0, 1.0, 2001)
    # half of the refreshes follow the day's activity, half come evenly
    share = 0.5 * grid + 0.5 * activity(grid)
    limit = np.interp(seconds / FULL_DAY_SECONDS, grid, share)
    drawn = np.interp(rng.random(size) * limit, share, grid) * FULL_DAY_SECONDS
    return np.minimum(drawn.astype(np.int64), seconds - 1)


def quote_events(
    prices: TruePrices, rows: Ints, ts_ns: Ints, rng: np.random.Generator
) -> NDArray[np.void]:
    """QUOTE events of `rows` at `ts_ns`, in the order given."""
    config, chain = prices.config, prices.chain
    second = prices.clock.index(ts_ns)
    fair = prices.fair(rows, second)
    width = prices.half_width(rows, second, fair)
    sd = config.width_noise_sd_log
    noise = np.exp(sd * rng.standard_normal((2, rows.size)) - 0.5 * sd * sd)
    tick_e9 = chain.tick_below_e9[rows]
    tick = tick_e9 / 1e9
    bid = np.floor((fair.price - width * noise[0]) / tick).astype(np.int64)
    ask = np.ceil((fair.price + width * noise[1]) / tick).astype(np.int64)
    bid = np.maximum(bid, 0)
    ask = np.maximum(ask, bid + 1)
    lots = np.exp(0.8 * rng.standard_normal((2, rows.size))) * config.quote_size_median_lots
    lots = np.maximum(np.rint(lots), 1.0).astype(np.int64)
    out = empty(rows.size)
    out["ts_event_ns"] = out["ts_recv_ns"] = ts_ns
    out["bid_e9"] = bid * tick_e9
    out["ask_e9"] = ask * tick_e9
    out["bid_lots"] = np.where(bid > 0, lots[0], 0)
    out["ask_lots"] = lots[1]
    out["instrument"] = rows
    out["kind"] = Kind.QUOTE
    return out
