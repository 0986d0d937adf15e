"""Where the density implied by SABR's formulas is negative: the check behind `arbitrage_free`.

Durrleman's g of the analytic derivatives on a grid of strikes from `REACH` deviations or a
hundred-thousandth of the forward to as far above, its changes of sign bisected.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from surfaces import checks as check
from surfaces.kernels import sabr as kernel
from surfaces.smiles.sabr_model import Formula, Parameters, _density, chosen, shifted

Array = NDArray[np.float64]

POINTS = 2001
FARTHEST = np.log(1e5)  # of |k|
REACH = 8.0  # deviations looked at, where that is further
MOST = 300.0  # of |k|: beyond it a strike is no number
BISECTIONS = 50
ROUNDING = 1e-9  # of g: below it no digit of g is left


@dataclass(frozen=True, slots=True)
class DensityCheck:
    """What a formula's density does. Strikes in the forward's unit, NaN where nothing is wrong.

    `below`: it is negative somewhere below this strike, and not between there and the forward;
    `above` likewise. `least`: its least value per unit of the forward, taken at `at`. `broken`:
    share of the strikes looked at where the expansion gives no vol above zero at all.
    """

    free: bool
    below: float
    above: float
    least: float
    at: float
    broken: float
    words: str


def check_density(
    params: Parameters, *, forward: float, years: float, formula: Formula = "hagan"
) -> DensityCheck:
    """Look for negative density; `forward` + shift > 0, `years` > 0."""
    hint = "Expired options have no density."
    T = check.one("years", check.above("years", years, 0.0, unit="years", hint=hint))
    code = chosen(formula)
    _, (at, _, _) = shifted(
        params, check.one("forward", check.numbers("forward", forward)), 1e300, T
    )
    F = float(at[0])
    scale = params.alpha * F ** (params.beta - 1.0) * np.sqrt(T)
    far = min(max(FARTHEST, REACH * scale), MOST)
    scale = min(scale, far)
    k = scale * np.sinh(np.arcsinh(far / scale) * np.linspace(-1.0, 1.0, POINTS))

    def look(points: Array) -> tuple[Array, Array]:
        strikes = F * np.exp(points)
        columns = [np.full(points.size, F), strikes, np.full(points.size, T)]
        jets = np.empty((4, points.size))
        kernel.fill_jets(*columns, *params.letters(), code, jets)
        fine = jets[0] > 0.0
        jets[:, ~fine] = 1.0
        g, found = _density(columns, jets)
        return np.where(fine, g, -np.inf), np.where(fine, found, np.nan)

    g, found = look(k)
    bad = g < -ROUNDING * np.maximum(1.0, np.abs(k))
    broken = float(np.mean(np.isinf(g)))
    edges = [np.nan, np.nan]
    for side, sign in ((0, -1.0), (1, 1.0)):
        places = np.flatnonzero(bad & (sign * k >= 0.0))
        if places.size:
            first = places[-1] if side == 0 else places[0]
            inner = int(np.clip(first - int(sign), 0, POINTS - 1))
            edges[side] = k[first] if bad[inner] else _edge(look, k[first], k[inner])
    if broken == 1.0:
        edges, found = [np.nan, np.nan], np.full(POINTS, np.nan)
    i = 0 if broken == 1.0 else int(np.nanargmin(found))
    below, above = (float(F * np.exp(e) - params.shift) for e in edges)
    free = not bad.any()
    return DensityCheck(
        free, below, above, float(found[i]), float(F * np.exp(k[i]) - params.shift), broken,
        _words(free, below, above, broken, formula),
    )  # fmt: skip


def _edge(look, outside: float, inside: float) -> float:
    """Bisect for the k between where g < 0 and where it is not."""
    for _ in range(BISECTIONS):
        middle = 0.5 * (outside + inside)
        if look(np.array([middle]))[0][0] < 0.0:
            outside = middle
        else:
            inside = middle
    return inside


def _words(free: bool, below: float, above: float, broken: float, formula: str) -> str:
    """The finding in a sentence or two, with the remedy."""
    if broken == 1.0:
        return (
            f"{formula}'s expansion in time has broken down: there is no vol at any strike; price "
            "with sabr.arbitrage_free"
        )
    if free:
        return f"the density of {formula}'s vols is nowhere negative"
    parts = []
    if np.isfinite(below):
        parts.append(f"below strike {below:.6g}")
    if np.isfinite(above):
        parts.append(f"above strike {above:.6g}")
    lost = f"; at {100.0 * broken:.0f} % of strikes there is no vol at all" if broken else ""
    return (
        f"the density of {formula}'s vols turns negative {' and '.join(parts)}{lost}; price there "
        "with sabr.arbitrage_free"
    )
