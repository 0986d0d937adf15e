"""What a smile is, the shelf smiles are taken from, and the ladder a fit climbs down.

A smile is one expiry's total implied variance w(k) = vol^2 years against k = ln(strike/forward).
Models are stateless; their parameters travel apart as an array `theta`. A new model is one file
and one `register` line; config, `fit(model=)` and the test battery find it in `SMILES`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from math import inf
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from surfaces.errors import InvalidInput
from surfaces.smiles.quotes import SmileQuotes

Array = NDArray[np.float64]

EDGE = 1.3  # certificates reach this far beyond the quoted range


@dataclass(frozen=True, slots=True)
class SmileFit:
    """One expiry fitted. `used` marks the quotes (q,) that the parameters were drawn from."""

    model: str
    theta: Array
    used: NDArray[np.bool_]


class SmileModel(Protocol):
    """One expiry's smile. Every method is pure; `k` has any shape.

    Many curves are evaluated at once by giving `theta` a shape (parameters, ...) whose columns
    broadcast with `k`, so a model unpacks `theta` and stays with array arithmetic.
    """

    @property
    def name(self) -> str:
        """The name used in config files and in a surface's `path`."""

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the entries of `theta`."""

    @property
    def minimum_quotes(self) -> int:
        """Two-sided strikes below which the model refuses to fit."""

    def derivatives(self, k: Array, theta: Array) -> tuple[Array, Array, Array]:
        """w, dw/dk and d2w/dk2, dimensionless, in the shape of `k`."""

    def total_variance(self, k: Array, theta: Array) -> Array:
        """w(k), in the shape of `k`."""

    def scaled(self, theta: Array, ratio: float) -> Array:
        """Parameters of ratio * w(k): an old smile at a new time to expiry, same vols."""

    def stretched(self, theta: Array, ratio: float) -> Array:
        """Parameters of about ratio * w(k / sqrt(ratio)): the same shape at another level of vol.

        In units of the level's own deviation nothing changes, so no butterfly appears.
        """

    def fit(
        self, quotes: SmileQuotes, start: Array | None = None, below: "Below | None" = None
    ) -> SmileFit | None:
        """Fit, warm from `start` if given, above the shorter expiry `below`; None if it failed."""


@dataclass(frozen=True, slots=True)
class Below:
    """The next shorter expiry: its variance is a floor on the strikes both of them quote."""

    model: SmileModel
    theta: Array
    k_low: float
    k_high: float


@dataclass(frozen=True, slots=True, eq=False)
class Errors:
    """One standard error of fitted prices along k, and what each quote looks like left out.

    `live` (c,): the slices that it is about, of those given to the fit; arrays end to end in that
    order, `start` (c + 1,) of `k` and `sd`, `quote_start` (c + 1,) of `loo` and `loo_sd`.
    """

    live: NDArray[np.int64]
    start: NDArray[np.int64]
    k: Array  # rising in each slice, some way past its quotes
    sd: Array  # of the undiscounted out-of-the-money price, in units of the forward
    quote_start: NDArray[np.int64]
    loo: Array  # (model without the quote - mid) / half spread; NaN for a quote without a middle
    loo_sd: Array  # one standard error of that


@dataclass(frozen=True, slots=True)
class ChainFit:
    """All expiries fitted; `slices` in the order of the quotes, None where one could not be.

    `memory` is the model's own: what its next fit starts from. `errors`: None from a model that
    knows none.
    """

    slices: tuple[SmileFit | None, ...]
    memory: Any = None
    errors: Errors | None = None


class ChainModel(Protocol):
    """A model that fits all expiries together. A `SmileModel` of the same name evaluates it."""

    @property
    def name(self) -> str:
        """The name of the smile whose parameters it finds."""

    def fit_chain(
        self,
        slices: Sequence[SmileQuotes],
        previous: ChainFit | None = None,
        hours: float = inf,
    ) -> ChainFit:
        """Fit `slices`, in rising years; `previous` is of the same expiries, `hours` earlier."""


SMILES: dict[str, SmileModel] = {}
CHAINS: dict[str, ChainModel] = {}


def register(model: SmileModel) -> SmileModel:
    """Put `model` on the shelf; a second model of the same name is a bug, not an override."""
    if model.name in SMILES:
        raise InvalidInput(f"smile {model.name!r} is already registered by {SMILES[model.name]!r}")
    SMILES[model.name] = model
    return model


def register_chain(model: ChainModel) -> ChainModel:
    """Put `model` on the shelf of those that fit a whole chain; its smile must be on the other."""
    smile(model.name)
    if model.name in CHAINS:
        raise InvalidInput(f"chain model {model.name!r} is already registered")
    CHAINS[model.name] = model
    return model


def smile(name: str) -> SmileModel:
    """Look a model up by the name used in config files and on the command line."""
    try:
        return SMILES[name]
    except KeyError:
        choices = ", ".join(sorted(SMILES))
        raise InvalidInput(f"unknown smile {name!r}; choose one of {choices}") from None


def as_rows(k: Array, theta: Array) -> tuple[Array, Array]:
    """k (rows, points) and theta (rows, parameters) for a kernel, contiguous.

    As `CurveStack` gives them: theta (p,) for one curve, or (p, curves, 1...) and k (curves, ...).
    """
    if theta.ndim == 1 or theta[0].size == 1:
        table, points = theta.reshape(1, -1), k.reshape(1, -1)
    else:
        table, points = theta.reshape(theta.shape[0], -1).T, k.reshape(theta[0].size, -1)
    return np.array(points, np.float64, order="C"), np.array(table, np.float64, order="C")


def fit_rungs(
    rungs: Sequence[str],
    quotes: SmileQuotes,
    start: Array | None = None,
    below: Below | None = None,
) -> SmileFit | None:
    """Fit the first of `rungs` that has enough strikes quoted on both sides and holds.

    `start` belongs to the first rung only. Returns None when none holds: nothing is quoted.
    """
    two_sided = int(np.count_nonzero(~quotes.one_sided))
    for i, rung in enumerate(rungs):
        model = smile(rung)
        if two_sided < model.minimum_quotes:
            continue
        found = model.fit(quotes, start if i == 0 else None, below)
        if found is not None and np.isfinite(found.theta).all():
            return found
    return None


@dataclass(frozen=True, slots=True)
class _Family:
    """Curves of one model and one number of parameters."""

    model: SmileModel
    place: NDArray[np.int64]  # (m,) column of each curve in `table`, -1 for those of others
    table: Array  # (p, curves)
    whole: bool  # whether there are no others


@dataclass(frozen=True, slots=True)
class CurveStack:
    """m curves of any models, evaluated together; a Python loop over them costs ten times more."""

    families: tuple[_Family, ...]

    @staticmethod
    def of_curves(
        models: Sequence[SmileModel | None], thetas: Sequence[Array | None]
    ) -> "CurveStack":
        """Stack curves; None for one that does not exist, and has variance NaN."""
        kinds: dict[tuple[int, int], list[int]] = {}
        for j, (model, theta) in enumerate(zip(models, thetas, strict=True)):
            if model is not None and theta is not None:
                kinds.setdefault((id(model), theta.size), []).append(j)
        families = []
        for members in kinds.values():
            model = models[members[0]]
            assert model is not None
            place = np.full(len(models), -1)
            place[members] = np.arange(len(members))
            table = np.array([thetas[j] for j in members]).T
            families.append(_Family(model, place, table, len(members) == len(models)))
        return CurveStack(tuple(families))

    def _parts(
        self, of: NDArray[np.int64], k: Array
    ) -> Iterator[tuple[SmileModel, NDArray[np.int64] | slice, Array]]:
        """Each family: its model, its entries of `of`, their parameters (p, entries, 1, ...)."""
        for family in self.families:
            columns = family.place[of]
            rows: NDArray[np.int64] | slice = slice(None)
            if not family.whole:
                rows = np.flatnonzero(columns >= 0)
                columns = columns[rows]
            shape = (family.table.shape[0], columns.size, *[1] * (k.ndim - 1))
            yield family.model, rows, family.table[:, columns].reshape(shape)

    def total_variance(self, of: NDArray[np.int64], k: Array) -> Array:
        """w(k[i]) of curve `of[i]`; `of` (q,), `k` and the result (q, ...)."""
        out = np.full(k.shape, np.nan)
        for model, rows, theta in self._parts(of, k):
            out[rows] = model.total_variance(k[rows], theta)
        return out

    def derivatives(self, of: NDArray[np.int64], k: Array) -> tuple[Array, Array, Array]:
        """w, dw/dk and d2w/dk2, as `total_variance` gives w."""
        out = np.full((3, *k.shape), np.nan)
        for model, rows, theta in self._parts(of, k):
            for values, part in zip(out, model.derivatives(k[rows], theta), strict=True):
                values[rows] = part
        return out[0], out[1], out[2]


@cache
def _steps(points: int) -> Array:
    """0, 1, ..., points - 1; read-only, because it is shared."""
    steps = np.arange(float(points))
    steps.setflags(write=False)
    return steps


def reach(
    k_low: float | Array, k_high: float | Array, edge: float = EDGE, points: int = 401
) -> Array:
    """An even grid over `edge` times the range [k_low, k_high], about its middle.

    Many ranges, of shape (..., 1), give as many grids, (..., points).
    """
    middle, half = 0.5 * (k_low + k_high), 0.5 * edge * (k_high - k_low)
    first, last = middle - half, middle + half
    return first + _steps(points) * ((last - first) / (points - 1))
