"""SABR without arbitrage: the effective forward equation of Hagan et al. (2014), solved.

The cure for the low strikes where the density of Hagan's vols is negative. Masses on nodes come
from a scheme that cannot make them negative (`surfaces.kernels.sabr_free`); between two nodes they
are spread so that the density is >= 0, prices at the nodes stay, and mass and mean are kept. The
barrier at F + shift = 0 absorbs, and what it absorbed is reported.

What it keeps of Hagan's vols: the leading order in time everywhere, so near the money and for short
expiries the difference is that of two expansions; at low strikes the vols are different on purpose.

Units   forward and strikes in one unit; density per that unit; years ACT/365.
Checked tests/surfaces/smiles/test_sabr_free.py: CEV in closed form, Black, another solver.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from surfaces import checks as check
from surfaces import containers
from surfaces.kernels import sabr_free as kernel
from surfaces.pricing import implied
from surfaces.pricing.implied import ImpliedVol
from surfaces.smiles.sabr_model import Parameters, known

Array = NDArray[np.float64]

NODES = 500
WIDE = 7.0  # deviations that the nodes reach
MOST_STEPS = 4000  # with the usual nodes; the more nodes, the more, as their square
THIN = 1e-9  # least width of a triangle, in cells


@dataclass(frozen=True, slots=True, eq=False)
class ArbitrageFree:
    """The distribution of F at `years`: masses on nodes, and how they are spread between.

    `nodes` (n,) are rising values of F, the barrier -shift first; `mass` (n,) >= 0 sums to one and
    has the mean `forward`. `absorbed` is the probability of having ended at the barrier, `beyond`
    that of the last node, where the nodes end.
    """

    params: Parameters
    forward: float
    years: float
    nodes: Array
    mass: Array
    steps: int
    absorbed: float = field(init=False)
    beyond: float = field(init=False)
    _cells: Array = field(init=False, repr=False)  # (3, n - 1): mass, centre in the cell, width

    def __post_init__(self) -> None:
        width, mass = np.diff(self.nodes), self.mass
        share = width[:-1] / (width[:-1] + width[1:])  # of a node's mass, to the cell below it
        low, high = np.zeros(width.size), np.zeros(width.size)
        low[1:], high[:-1] = (1.0 - share) * mass[1:-1], share * mass[1:-1]
        low[0], high[-1] = min(mass[0], high[0]), min(mass[-1], low[-1])
        inside = low + high
        centre = np.where(inside > 0.0, high / np.where(inside > 0.0, inside, 1.0), 0.5)
        made = {
            "absorbed": float(mass[0] - low[0]),
            "beyond": float(mass[-1] - high[-1]),
            "_cells": np.array([inside, centre, width]),
        }
        for name, value in made.items():
            object.__setattr__(self, name, value)
        for values in (self.nodes, self.mass, self._cells):
            values.setflags(write=False)

    def price(self, *, right: ArrayLike, strike: ArrayLike, df: ArrayLike = 1.0) -> Any:
        """European prices, >= 0, decreasing and convex in the strike; arguments broadcast."""
        box = containers.of(right, strike, df)
        shape, (w, K, d) = check.columns(
            check.right(right),
            check.finite("strike", strike, unit="", hint="Strikes are prices."),
            check.above("df", df, 0.0, unit="", hint="Discount factors, not rates: exp(-r*T)."),
        )
        return box.wrap("price", d * np.where(w > 0.0, self._call(K), self._put(K)), shape)

    def vol(self, strike: ArrayLike) -> ImpliedVol:
        """Black vols of forward + shift and strike + shift, with a status an element."""
        K = check.above("strike", strike, 0.0 - self.params.shift, unit="", hint="Raise the shift.")
        right = np.where(self.forward <= K, 1.0, -1.0)
        return implied.vol(
            price=np.asarray(self.price(right=right, strike=K)),
            right=right,
            forward=self.forward + self.params.shift,
            strike=K + self.params.shift,
            years=self.years,
        )

    def density(self, strike: ArrayLike) -> Any:
        """Density >= 0 at `strike`, without the atoms at the barrier and at the last node."""
        box = containers.of(strike)
        shape, (K,) = self._strikes(strike)
        _, x, (mass, centre, width) = self._in_cell(K)
        inner = 1.0 + (12.0 * centre - 6.0) * (x - 0.5)
        b = np.maximum(3.0 * np.minimum(centre, 1.0 - centre), THIN)
        edge = np.where(centre < 0.5, b - x, x - 1.0 + b)
        outer = 2.0 * np.maximum(edge, 0.0) / (b * b)
        shape_of = np.where(b < 1.0, outer, np.maximum(inner, 0.0))
        there = (self.nodes[0] <= K) & (self.nodes[-1] >= K)
        return box.wrap("density", np.where(there, mass / width * shape_of, 0.0), shape)

    def cdf(self, strike: ArrayLike) -> Any:
        """Probability of F <= strike, with what the barrier absorbed; rises from 0 to 1."""
        box = containers.of(strike)
        shape, (K,) = self._strikes(strike)
        at, x, cell = self._in_cell(K)
        below = np.concatenate(([0.0], np.cumsum(self._cells[0])))
        found = self.absorbed + below[at] + cell[0] - _above(x, cell)[0]
        found = np.where(self.nodes[0] > K, 0.0, found)
        return box.wrap("cdf", np.where(self.nodes[-1] <= K, 1.0, np.minimum(found, 1.0)), shape)

    def _strikes(self, strike: ArrayLike) -> tuple[tuple[int, ...], list[Array]]:
        return check.columns(check.finite("strike", strike, unit="", hint="Strikes are prices."))

    def _in_cell(self, K: Array) -> tuple[NDArray[np.int64], Array, Array]:
        """Cell of each strike, where in it from 0 to 1, and its mass, centre and width."""
        at = np.clip(np.searchsorted(self.nodes, K, side="right") - 1, 0, self.nodes.size - 2)
        cell = self._cells[:, at]
        return at, np.clip((K - self.nodes[at]) / cell[2], 0.0, 1.0), cell

    def _call(self, K: Array) -> Array:
        """Undiscounted calls, summed from above."""
        at, x, cell = self._in_cell(K)
        inside, centre, width = self._cells
        each = np.append(inside, self.beyond)
        places = np.append(self.nodes[:-1] + centre * width, self.nodes[-1])
        mass = np.cumsum(each[::-1])[::-1]
        first = np.cumsum((each * (places - self.forward))[::-1])[::-1]
        found = first[at + 1] - (K - self.forward) * mass[at + 1] + cell[2] * _above(x, cell)[1]
        low = np.where(self.nodes[0] > K, self.forward - K, found)
        return np.where(self.nodes[-1] <= K, 0.0, np.maximum(low, 0.0))

    def _put(self, K: Array) -> Array:
        """Undiscounted puts, summed from below."""
        at, x, cell = self._in_cell(K)
        inside, centre, width = self._cells
        each = np.concatenate(([self.absorbed], inside))
        places = np.concatenate(([self.nodes[0]], self.nodes[:-1] + centre * width))
        mass, first = np.cumsum(each), np.cumsum(each * (places - self.nodes[0]))
        part = np.maximum(_above(x, cell)[1] - cell[0] * (cell[1] - x), 0.0)
        found = (K - self.nodes[0]) * mass[at] - first[at] + cell[2] * part
        high = np.where(self.nodes[-1] <= K, K - self.forward, found)
        return np.where(self.nodes[0] >= K, 0.0, np.maximum(high, 0.0))


def arbitrage_free(
    params: Parameters, *, forward: float, years: float, nodes: int = NODES
) -> ArbitrageFree:
    """The arbitrage-free distribution of F at one expiry.

    Parameters
    ----------
    forward : plus the shift > 0
    years : to expiry, > 0
    nodes : of the chain; the error falls with their square, the time rises with their cube. The
        usual 500 take 5 to 30 ms and are within about half a basis point of vol near the money

    Raises
    ------
    InvalidInput
        An argument outside its domain.
    """
    known(params)
    hint = "Give Parameters a larger shift."
    F = check.one(
        "forward", check.above("forward", forward, 0.0 - params.shift, unit="", hint=hint)
    )
    hint = "Expired options have no density."
    T = check.one("years", check.above("years", years, 0.0, unit="years", hint=hint))
    size = check.count("nodes", nodes, 100, hint="The usual is 500.")
    at, mass = np.empty(size), np.empty(size)
    most = round(MOST_STEPS * (size / NODES) ** 2)
    _, steps = kernel.solve(F + params.shift, *params.letters(), T, WIDE, most, at, mass)
    return ArbitrageFree(params, F, T, at - params.shift, mass, int(steps))


def _above(x: Array, cell: Array) -> tuple[Array, Array]:
    """Mass above x in a cell, and the mean of (place - x)+ times the mass, widths being one.

    The density of a cell is linear where its centre is in the middle third, else a triangle at the
    nearer end that has the same centre.
    """
    mass, centre, _ = cell
    slope, rest = 12.0 * centre - 6.0, 1.0 - x
    over = rest + 0.5 * slope * rest * x
    first = 0.5 * rest * rest * (1.0 + slope * (x - 0.5)) + slope * rest**3 / 3.0
    b = np.maximum(3.0 * np.minimum(centre, 1.0 - centre), THIN)
    left, right = np.maximum(b - x, 0.0) / b, np.maximum(x - 1.0 + b, 0.0) / b
    tilted = np.where(centre < 0.5, left**2, 1.0 - right**2)
    third = np.where(centre < 0.5, b * left**3 / 3.0, centre - x + b * right**3 / 3.0)
    flat = b >= 1.0
    return mass * np.where(flat, over, tilted), mass * np.where(flat, first, third)
