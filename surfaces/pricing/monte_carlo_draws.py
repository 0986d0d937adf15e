"""Time grids, and the normal numbers that drive paths through them.

"sobol": independently scrambled Sobol points, one scramble a replicate, turned into Brownian paths
by a bridge. The first SOBOL_MOST numbers of a path are Sobol's, the finest ones after that are
pseudo-random. "pseudo": pseudo-random paths and their mirror images.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri
from scipy.stats import qmc

from surfaces.checks import Floats
from surfaces.errors import InvalidInput
from surfaces.kernels import monte_carlo as kernel

Sampling = Literal["sobol", "pseudo"]

SOBOL_MOST = 2048  # numbers of a path
HALF_BIN = 2.0**-31  # Sobol's points are multiples of 2^-30, zero among them
BLOCK = 2**21  # numbers drawn at a time
MOST_STEPS = 20_000
NOTHING = np.zeros(0)


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """Steps of a path: `times` (n + 1,) from zero; after step stops[j] it is the j-th expiry."""

    times: Floats
    stops: NDArray[np.int64]

    @property
    def steps(self) -> int:
        """Steps of the whole path."""
        return self.times.size - 1

    def halved(self) -> "Grid":
        """Every second point."""
        return Grid(np.ascontiguousarray(self.times[::2]), self.stops // 2)


def grid(
    years: Floats, steps_a_year: float, least: int, *, meets: Floats = NOTHING, parts: int = 2
) -> Grid:
    """A grid through all of `years` (rising), with equal steps, `parts` or a multiple, up to each.

    `least` steps to the first at least. `meets` (rising): more times that it goes through, as if
    they were of `years`; with any, no step is longer than one part in `least` of the time gone by
    since now.
    """
    through = np.union1d(years, meets[meets < years[-1]])
    times, before, done = [np.zeros(1)], 0.0, 0
    for to in through.tolist():
        rate = max(steps_a_year, least / to if meets.size or to <= years[0] else 0.0)
        n = parts * max(math.ceil((to - before) * rate / parts - 1e-9), 1)
        done += n
        if done > MOST_STEPS:
            jumps = f", with {meets.size} jumps of the vol to meet" if meets.size else ""
            raise InvalidInput(
                f"steps_a_year is {steps_a_year:g}: {done} steps to {to:g} years{jumps}, must be "
                f"<= {MOST_STEPS} in all. Give fewer steps a year, or price long expiries apart."
            )
        times.append(before + (to - before) * np.arange(1, n + 1) / n)
        times[-1][-1] = before = to
    whole = np.concatenate(times)
    return Grid(whole, np.searchsorted(whole, years).astype(np.int64))


@dataclass(frozen=True, slots=True)
class Plan:
    """How many paths there are, in replicates that are independent of each other."""

    paths: int  # of one replicate
    replicates: int
    seed: int
    sampling: Sampling


def plan(paths: int, replicates: int, seed: int, sampling: str) -> Plan:
    """A plan for `paths` paths in all, or a few more: a power of two in each replicate."""
    if sampling not in ("sobol", "pseudo"):
        raise InvalidInput(f"sampling is {sampling!r:.40}, must be 'sobol' or 'pseudo'")
    each = max(2, 1 << math.ceil(math.log2(max(paths / replicates, 1.0))))
    return Plan(each, replicates, seed, "sobol" if sampling == "sobol" else "pseudo")


def blocks(steps: Grid, factors: int, plan: Plan) -> Iterator[tuple[int, list[Floats]]]:
    """(replicate, one (rows, n) array of standardised increments a factor), block by block.

    A replicate's blocks follow each other. Neither the numbers nor their order depend on the
    machine's threads.
    """
    n = steps.steps
    rows = min(plan.paths, max(2, 1 << int(math.log2(max(BLOCK / (n * factors), 2.0)))))
    drawn = _sobol if plan.sampling == "sobol" else _pseudo
    for replicate in range(plan.replicates):
        generator = np.random.default_rng([plan.seed, replicate])
        for made in drawn(steps, factors, generator, rows, plan.paths // rows):
            yield replicate, made


def _pseudo(
    steps: Grid, factors: int, generator: np.random.Generator, rows: int, times: int
) -> Iterator[list[Floats]]:
    for _ in range(times):
        half = generator.standard_normal((factors, rows // 2, steps.steps))
        yield [np.concatenate((z, -z)) for z in half]


def _sobol(
    steps: Grid, factors: int, generator: np.random.Generator, rows: int, times: int
) -> Iterator[list[Floats]]:
    n = steps.steps
    width = n * factors
    most = min(width, SOBOL_MOST)
    engine = qmc.Sobol(most, scramble=True, seed=generator)
    bridge = bridge_of(steps)
    for _ in range(times):
        z = np.empty((rows, width))
        z[:, :most] = ndtri(engine.random(rows) + HALF_BIN)
        if width > most:
            z[:, most:] = generator.standard_normal((rows, width - most))
        made = []
        for factor in range(factors):
            out = np.empty((rows, n))
            kernel.bridge(np.ascontiguousarray(z[:, factor::factors]), steps.times, *bridge, out)
            made.append(out)
        yield made


def bridge_of(steps: Grid) -> tuple:
    """Place, left, right, weight and deviation of each number, for the kernel."""
    n = steps.steps
    index, real = np.zeros((3, n), np.int64), np.zeros((2, n))
    kernel.plan_bridge(steps.times, *index, *real)
    return (*index, *real)


def paired(z: Floats) -> Floats:
    """The same Brownian path over steps twice as long."""
    out = np.empty((z.shape[0], z.shape[1] // 2))
    kernel.pair(z, out)
    return out
