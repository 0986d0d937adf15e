"""When takers come and which way: a Hawkes process, simulated exactly by its clusters.

Buys and sells each have the intensity
    lambda_b(u) = mu + sum over earlier buys  of own   / decay exp(-(u - u_i) / decay)
                     + sum over earlier sells of cross / decay exp(-(u - u_i) / decay)
and the same with the sides exchanged. The branching ratio is n = own + cross < 1, the mean rate of
both sides together 2 mu / (1 - n) = rate, and counts over long windows have variance
rate x length / (1 - n)^2. Signs: E[side_i side_j] decays with the branching ratio own - cross.

Clusters: immigrants are Poisson of rate 2 mu; every trade begets Poisson(n) more, each after an
exponential delay, on its own side with probability own / n. Immigrants of long before the start are
drawn too, so the process is stationary from the start on but for exp(-EARLIER).

Time u runs with the day's activity (U-shaped), so that is a mean pace of one unit a second.
Source  A. Hawkes, D. Oakes, J. Applied Probability 11 (1974) 493-503 (the cluster representation).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

EARLIER = 12.0  # relaxation times before the start from which immigrants are drawn


@dataclass(frozen=True, slots=True)
class Hawkes:
    """Two sides, alike; `rate` is of both together, `decay` the mean delay, in units of time."""

    rate: float
    own: float
    cross: float
    decay: float

    @property
    def branching(self) -> float:
        """Trades that one trade begets directly, on average."""
        return self.own + self.cross


@dataclass(frozen=True, slots=True)
class Flow:
    """Arrivals in order; arrays of one length."""

    time: Floats
    side: Ints  # +1 buys, -1 sells
    parent: Ints  # position of the one that begot it; -1 an immigrant, or begot before the start
    generation: Ints  # 0 immigrants


def simulate_flow(law: Hawkes, length: float, rng: np.random.Generator) -> Flow:
    """Draw the process on [0, length)."""
    n = law.branching
    before = EARLIER * law.decay / (1.0 - n) if n > 0.0 else 0.0
    count = int(rng.poisson((1.0 - n) * law.rate * (length + before)))
    time = rng.random(count) * (length + before) - before
    side = np.where(rng.random(count) < 0.5, 1, -1)
    label, parent = np.arange(count), np.full(count, -1)
    held, total, depth = [(time, side, label, parent, np.zeros(count, np.int64))], count, 0
    while n > 0.0 and time.size:
        depth += 1
        children = rng.poisson(n, time.size)
        parent = np.repeat(label, children)
        side = np.repeat(side, children)
        time = np.repeat(time, children) + rng.exponential(law.decay, parent.size)
        side = np.where(rng.random(parent.size) * n < law.own, side, -side)
        soon = time < length
        time, side, parent = time[soon], side[soon], parent[soon]
        label = total + np.arange(time.size)
        total += time.size
        held.append((time, side, label, parent, np.full(time.size, depth)))
    time, side, label, parent, depths = (np.concatenate(parts) for parts in zip(*held, strict=True))
    inside = np.flatnonzero(time >= 0.0)
    order = inside[np.argsort(time[inside], kind="stable")]
    place = np.full(total, -1)
    place[label[order]] = np.arange(order.size)
    begot = np.where(parent[order] >= 0, place[np.maximum(parent[order], 0)], -1)
    return Flow(time[order], side[order].astype(np.int64), begot, depths[order])
