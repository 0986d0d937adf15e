"""eSSVI: three letters an expiry, free of butterfly and calendar arbitrage by construction.

    w(k) = (theta + rho psi k + sqrt((psi k + theta rho)^2 + theta^2 (1 - rho^2))) / 2

theta is the at-the-money total variance, rho psi its slope there, psi (1 -+ rho)/2 the slopes of
the wings. A chain is fitted at once: robust least squares on mid vols in half spreads (quadratic
inside the market, linear outside; a quote without a bid is a ceiling), by an interior point that
never leaves the arbitrage-free set of `essvi_chain`. It is the desk's last fallback, so it has an
answer for any quotes: a slice with one quote takes its shape from its neighbours.

Units   theta and psi dimensionless (vol^2 years); k = ln(strike/forward)
Source  Gatheral-Jacquier 2014 (SSVI); Hendriks-Martini 2019; Mingone 2022
Checked tests/surfaces/smiles/test_essvi.py
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

import numpy as np
from numpy.typing import NDArray

from surfaces.errors import InvalidInput
from surfaces.kernels import essvi_chain as kernel
from surfaces.kernels.essvi_fit import Book
from surfaces.smiles.base import (
    Array,
    Below,
    ChainFit,
    SmileFit,
    register,
    register_chain,
)
from surfaces.smiles.essvi_chain import (
    global_chain,
    global_letters,
    psi_max,
    psi_sufficient,
    slack,
    ssvi_chain,
)
from surfaces.smiles.quotes import SmileQuotes

__all__ = [
    "ESSVI",
    "ESSVI_CHAIN",
    "Essvi",
    "EssviChain",
    "global_chain",
    "global_letters",
    "psi_max",
    "psi_sufficient",
    "slack",
    "ssvi_chain",
]

FLOORS = 21  # points on which a single slice is held above the shorter expiry
FLOOR_HALF = 0.1  # of the median half spread: what a floor counts as one half spread


@dataclass(frozen=True, slots=True)
class Essvi:
    """One eSSVI slice on the shelf; parameters (theta, rho, psi)."""

    name: str = "essvi"
    parameters: tuple[str, ...] = ("theta", "rho", "psi")
    minimum_quotes: int = 1

    def total_variance(self, k: Array, theta: Array) -> Array:
        """w(k), dimensionless, in the shape of `k`."""
        level, rho, psi = theta
        x, tilt = psi * k, rho * level
        return 0.5 * (level + rho * x + np.sqrt((x + tilt) ** 2 + level * level - tilt * tilt))

    def derivatives(self, k: Array, theta: Array) -> tuple[Array, Array, Array]:
        """w, dw/dk and d2w/dk2."""
        level, rho, psi = theta
        x, tilt = psi * k, rho * level
        rest = level * level - tilt * tilt
        root = np.sqrt((x + tilt) ** 2 + rest)
        return (
            0.5 * (level + rho * x + root),
            0.5 * psi * (rho + (x + tilt) / root),
            0.5 * psi * psi * rest / (root * root * root),
        )

    def scaled(self, theta: Array, ratio: float) -> Array:
        """Parameters of ratio * w(k)."""
        return theta * np.array([ratio, 1.0, ratio])

    def stretched(self, theta: Array, ratio: float) -> Array:
        """Parameters of ratio * w(k / sqrt(ratio)), the slope held to the exact bound."""
        level, rho, psi = theta
        most = float(psi_max(ratio * level, rho))
        return np.array([ratio * level, rho, min(np.sqrt(ratio) * psi, most)])

    def fit(
        self, quotes: SmileQuotes, start: Array | None = None, below: Below | None = None
    ) -> SmileFit | None:
        """Fit one expiry on its own, pulled up to `below` where both are quoted.

        None without a quote on both sides; otherwise never.
        """
        firm = np.flatnonzero(~quotes.one_sided)
        if not firm.size:
            return None
        parts = [_columns(quotes)]
        if below is not None:
            ends = quotes.k[firm[0]], quotes.k[firm[-1]]
            parts.append(_floors(below, ends, float(np.median(quotes.half_vol[firm])), quotes))
        warm = start is not None and _usable(start)
        x = _letters(start[None, :]) if start is not None and warm else np.empty((1, 3))
        k, mid, per_half, side = (np.concatenate(column) for column in zip(*parts, strict=True))
        start_of = np.array([0, k.size])
        book = Book(start_of, k, mid, per_half, side, np.array([1.0 / quotes.years]))
        kernel.fit(book, warm, x)
        return SmileFit(self.name, _parameters(x)[0], np.ones(len(quotes), bool))


@dataclass(frozen=True, slots=True)
class _Memory:
    """The letters of the last fit, of which slices, and their years then."""

    present: tuple[int, ...]
    years: Array
    x: Array


@dataclass(frozen=True, slots=True)
class EssviChain:
    """All expiries at once; every result passes `essvi_chain.slack` > 0."""

    name: str = "essvi"

    def fit_chain(
        self,
        slices: Sequence[SmileQuotes],
        previous: ChainFit | None = None,
        hours: float = inf,
    ) -> ChainFit:
        """Fit slices in rising years; None for those without a quote on both sides.

        With `previous` of the same slices the search starts from its curves at today's times to
        expiry. Raises InvalidInput if years fall.
        """
        present = tuple(j for j, quotes in enumerate(slices) if not quotes.one_sided.all())
        if not present:
            return ChainFit((None,) * len(slices), None)
        some = [slices[j] for j in present]
        years = np.array([quotes.years for quotes in some])
        if not (np.diff(years) >= 0.0).all():
            at = int(np.argmax(np.diff(years) < 0.0)) + 1
            raise InvalidInput(
                f"years[{present[at]}] is {years[at]:g} years, must be >= {years[at - 1]:g} of the "
                "slice before. Sort the slices by time to expiry."
            )
        x = np.empty((len(some), 3))
        memory = None if previous is None else previous.memory
        warm = False
        if isinstance(memory, _Memory) and memory.present == present:
            warm = True
            x[:] = memory.x + np.log(years / memory.years)[:, None]
        kernel.fit(_book(some, years), warm, x)
        fits: list[SmileFit | None] = [None] * len(slices)
        for j, quotes, theta in zip(present, some, _parameters(x), strict=True):
            fits[j] = SmileFit(self.name, theta, np.ones(len(quotes), bool))
        return ChainFit(tuple(fits), _Memory(present, years, x))


def _columns(quotes: SmileQuotes) -> tuple[Array, Array, Array, Array]:
    """k, mid vol, one over half spread and side of one expiry, as the kernel reads them."""
    return quotes.k, quotes.mid_vol, 1.0 / quotes.half_vol, quotes.one_sided.astype(np.float64)


def _book(slices: list[SmileQuotes], years: Array) -> Book:
    """Quotes of all slices as one table."""
    start = np.zeros(len(slices) + 1, np.int64)
    np.cumsum([quotes.k.size for quotes in slices], out=start[1:])
    return Book(
        start,
        np.concatenate([quotes.k for quotes in slices]),
        np.concatenate([quotes.mid_vol for quotes in slices]),
        1.0 / np.concatenate([quotes.half_vol for quotes in slices]),
        np.concatenate([quotes.one_sided for quotes in slices]).astype(np.float64),
        1.0 / years,
    )


def _floors(
    below: Below, ends: tuple[float, float], half: float, quotes: SmileQuotes
) -> tuple[Array, Array, Array, Array]:
    """The shorter expiry's vols as floors on the common quoted range; empty if there is none."""
    low, high = max(below.k_low, ends[0]), min(below.k_high, ends[1])
    k = np.linspace(low, high, FLOORS if high > low else 0)
    vol = np.sqrt(np.maximum(below.model.total_variance(k, below.theta), 0.0) / quotes.years)
    return k, vol, np.full(k.size, 1.0 / (FLOOR_HALF * half)), np.full(k.size, -1.0)


def _usable(theta: Array) -> bool:
    """Whether (theta, rho, psi) has finite letters to start from."""
    return bool(theta[0] > 0.0 and theta[2] > 0.0 and abs(theta[1]) < 1.0 and theta.sum() < np.inf)


def _letters(theta: Array) -> Array:
    """(ln theta, ln left, ln right) of rows (theta, rho, psi)."""
    level, rho, psi = theta.T
    return np.log(np.stack((level, psi * (1.0 - rho), psi * (1.0 + rho)), axis=1))


def _parameters(x: Array) -> NDArray[np.float64]:
    """Rows (theta, rho, psi) of the fit's letters."""
    level, left, right = np.exp(x.T)
    psi = 0.5 * (left + right)
    return np.stack((level, 0.5 * (right - left) / psi, psi), axis=1)


ESSVI = register(Essvi())
ESSVI_CHAIN = register_chain(EssviChain())
