"""The fixed dictionary of a mixture smile: where its bumps stand, how wide, and a first guess.

Lengths are in s = at-the-money vol sqrt(years), z = k/s. Bumps are half an s apart in the core,
closer where the vol is lower than at the money (a bump cannot be wider than what it is to draw),
and wider apart in the wings, as the smile itself changes more slowly there. The guess is the
density of a robust cubic through the mid vols, narrowed by the bumps' own width; beyond the quotes
total variance goes with the root of |z|. It sets the unit of each weight, so that roughness and
walls mean the same everywhere; where it is wrong by a factor of a hundred the fit does not mind.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from surfaces.kernels import mixture as kernel
from surfaces.pricing import black, implied

Array = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

SPACING = 0.5  # of the core, in s
WIDTH = 0.85  # a bump's width in units of the local spacing
NARROWEST = 0.5  # share of the spacing that a call wing of low vol comes down to
GROWTH = 0.05  # of the spacing, per s beyond the core
CORE = (1.0, 1.5)  # how far the core reaches, left and right
LEAST_REACH = 2.0  # s on either side of the forward, whatever is quoted
MARGIN = 0.5  # s beyond what will be asked
MOST_BUMPS = 72
VOL_RANGE = (0.3, 5.0)  # of the guess, relative to the money
FLOOR = 1e-4, 0.7  # least first guess: 1e-4 exp(-0.7 |z|) a unit of z
SLOPED_FLOOR = 0.05  # and this share of the density without the smile's slope
WING_POWER = 0.5  # total variance beyond the quotes, in |z|
RIDGE = np.array([0.0, 1.0, 3.0, 10.0])
OFF = 0.02  # of the level, at which the guess is made again with a better one
FEW = 30  # quotes below which the ridge grows


@dataclass(frozen=True, slots=True, eq=False)
class Dictionary:
    """Bumps of m slices, padded to the most of any: centre, width, scale (m, bumps)."""

    s: Array  # (m,)
    reach: Array  # (m, 2) in k
    bumps: Ints  # (m,)
    centre: Array
    width: Array
    scale: Array  # first guess of the weights; sums to one


def spans(low: Array, high: Array, edge: float) -> Array:
    """Where a slice will be asked, (m, 2) in k: `edge` times the union of its quoted range and
    either neighbour's, and no less than any shorter expiry, so that later tails can dominate."""

    def wide(a: Array, b: Array) -> Array:
        middle, half = 0.5 * (a + b), 0.5 * edge * (b - a)
        return np.stack((middle - half, middle + half), axis=-1)

    out = wide(low, high)
    pairs = wide(np.minimum(low[1:], low[:-1]), np.maximum(high[1:], high[:-1]))
    for rows in (slice(1, None), slice(None, -1)):
        out[rows, 0] = np.minimum(out[rows, 0], pairs[:, 0])
        out[rows, 1] = np.maximum(out[rows, 1], pairs[:, 1])
    return np.stack((np.minimum.accumulate(out[:, 0]), np.maximum.accumulate(out[:, 1])), axis=1)


def dictionary(
    k: Array,
    mid: Array,
    half: Array,
    start: Ints,
    reach: Array,
    kept: tuple[Dictionary, Flags] | None = None,
) -> Dictionary:
    """Bumps for the quotes k, mid, half (q,) of slices `start` (m + 1,), reaching over (m, 2).

    `half` is infinite where a quote says nothing about the middle. `kept`: an earlier dictionary,
    and the slices (m,) that it goes on serving.
    """
    m = start.size - 1
    right = np.where(k >= 0.0, 1.0, -1.0)
    total = np.asarray(
        implied.vol(price=mid, right=right, forward=1.0, strike=np.exp(k), years=1.0).vol
    )
    vega = np.asarray(
        black.greeks(
            right=right, forward=1.0, strike=np.exp(k), years=1.0, vol=np.nan_to_num(total)
        ).vega
    )
    error = half / np.maximum(vega, 1e-300)
    parts = []
    reach = reach.copy()
    for t, (first, last) in enumerate(pairwise(start.tolist())):
        if kept is not None and kept[1][t]:
            old, n = kept[0], int(kept[0].bumps[t])
            parts.append((float(old.s[t]), old.centre[t, :n], old.width[t, :n], old.scale[t, :n]))
            reach[t] = old.reach[t]
            continue
        good = np.isfinite(total[first:last]) & (total[first:last] > 0.0)
        good &= np.isfinite(error[first:last])
        parts.append(
            _slice(k[first:last][good], total[first:last][good], error[first:last][good], reach[t])
        )
    most = max(c.size for _, c, _, _ in parts)
    most += -most % 4
    tables = np.zeros((3, m, most))
    tables[1] = 1.0
    for t, part in enumerate(parts):
        for table, values in zip(tables, part[1:], strict=True):
            table[t, : values.size] = values
    bumps = np.array([c.size for _, c, _, _ in parts], np.int64)
    return Dictionary(np.array([p[0] for p in parts]), reach, bumps, *tables)


def _slice(k: Array, total: Array, error: Array, reach: Array) -> tuple[float, Array, Array, Array]:
    """s, centres, widths and first guess of one slice from total vols and their half spreads."""
    near = int(np.argmin(np.abs(k)))
    s = float(np.interp(0.0, k[max(near - 1, 0) : near + 2], total[max(near - 1, 0) : near + 2]))
    smile = _Guess(k / s, total / s, error / s)
    level = float(np.sqrt(smile.variance(np.zeros(1))[0]))
    if abs(level - 1.0) > OFF:
        s *= level
        smile = _Guess(k / s, total / s, error / s)
    z, spacing = _stand(reach / s, smile)
    width = WIDTH * spacing
    edge = np.concatenate(
        ([z[0] - 0.5 * spacing[0]], 0.5 * (z[1:] + z[:-1]), [z[-1] + 0.5 * spacing[-1]])
    )
    own = np.interp(edge, z, width)

    def narrowed(z: Array) -> Array:
        variance = smile.variance(z)
        return np.sqrt(np.maximum(variance - 0.8 * own * own, VOL_RANGE[0] * variance)) * s

    vol, step = narrowed(edge), 1e-4
    slope = (narrowed(edge + step) - narrowed(edge - step)) / (2.0 * step * s)
    d2 = -edge * s / vol - 0.5 * vol
    density = np.exp(-0.5 * d2 * d2) / np.sqrt(2.0 * np.pi)
    below, above = _tails(d2)
    mass = np.where(z < 0.0, np.diff(below + density * slope), -np.diff(above - density * slope))
    plain = 0.5 * (density[1:] / vol[1:] + density[:-1] / vol[:-1]) * np.diff(edge) * s
    least = FLOOR[0] * np.exp(-FLOOR[1] * np.abs(z)) * spacing
    guess = np.maximum(np.maximum(mass, SLOPED_FLOOR * plain), least)
    return s, z * s, width * s, guess / guess.sum()


def _tails(d2: Array) -> tuple[Array, Array]:
    """N(-d2) and N(d2)."""
    below, above = np.empty(d2.size), np.empty(d2.size)
    kernel.fill_cdf(-d2, below)
    kernel.fill_cdf(d2, above)
    return below, above


def _stand(reach: Array, smile: "_Guess") -> tuple[Array, Array]:
    """Centres and spacings over `reach` (2,), in s; coarser if there would be too many."""
    low = min(float(reach[0]), -LEAST_REACH) - MARGIN
    high = max(float(reach[1]), LEAST_REACH) + MARGIN
    growth = GROWTH
    grid = np.linspace(0.0, high + 1.0, 65)
    share = np.clip(np.sqrt(smile.variance(grid)), NARROWEST, 1.0).tolist()
    per = (grid.size - 1) / float(grid[-1])
    while True:
        left, right = [0.0], [0.0]
        while left[-1] > low and len(left) <= MOST_BUMPS:
            left.append(left[-1] - SPACING - growth * max(-left[-1] - CORE[0], 0.0))
        while right[-1] < high and len(right) <= MOST_BUMPS:
            local = SPACING * share[int(right[-1] * per)]
            right.append(right[-1] + local + growth * max(right[-1] - CORE[1], 0.0))
        if len(left) + len(right) - 1 <= MOST_BUMPS:
            z = np.array(left[:0:-1] + right)
            return z, np.gradient(z)
        growth *= 1.3


class _Guess:
    """Total variance over s^2 as a function of z: a robust cubic in asinh(z/2) of the vols."""

    __slots__ = ("coefficients", "high", "low")

    def __init__(self, z: Array, vol: Array, error: Array) -> None:
        y = np.arcsinh(0.5 * z)
        basis = np.stack((np.ones_like(y), y, y * y, y * y * y), axis=1)
        weight = 1.0 / (error * error + 1e-4)
        ridge = np.diag(RIDGE * RIDGE) * max(1.0, FEW / max(z.size, 1)) ** 2
        spread = np.ones_like(z)
        for _ in range(3):
            pull = weight * spread
            self.coefficients = np.linalg.solve(
                basis.T @ (pull[:, None] * basis) + ridge, basis.T @ (pull * vol)
            )
            miss = np.abs(basis @ self.coefficients - vol)
            typical = float(np.median(miss))
            spread = 1.0 / (1.0 + (miss / (4.0 * typical + 1e-3)) ** 2)
        self.low, self.high = min(float(z[0]), -1.0), max(float(z[-1]), 1.0)

    def variance(self, z: Array) -> Array:
        """(total vol / s)^2 at z."""
        inside = np.clip(z, self.low, self.high)
        y = np.arcsinh(0.5 * inside)
        c0, c1, c2, c3 = self.coefficients
        vol = np.clip(c0 + y * (c1 + y * (c2 + y * c3)), *VOL_RANGE)
        return (
            vol
            * vol
            * np.maximum(np.abs(z) / np.maximum(np.abs(inside), 1e-9), 1.0) ** (WING_POWER)
        )
