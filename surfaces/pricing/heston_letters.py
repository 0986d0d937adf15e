"""The letters in which Heston and Bates are fitted, and the box they may move in."""

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from surfaces import checks as check
from surfaces.errors import InvalidInput

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

EDGE = 1e-6  # letters this near to their bound are at it

# Names in the order of the kernel's letters, with what the search is allowed.
BOUNDS: dict[str, tuple[float, float]] = {
    "v0": (1e-6, 4.0),
    "kappa": (1e-3, 50.0),
    "theta": (1e-6, 4.0),
    "sigma": (1e-3, 8.0),
    "rho": (-0.999, 0.999),
    "jump_rate": (1e-4, 20.0),
    "jump_mean": (-0.8, 0.5),
    "jump_std": (1e-3, 0.8),
}


class HestonLike(Protocol):
    """Heston's letters, per year; any object that has them: a model's own parameters, a fit's."""

    @property
    def v0(self) -> float: ...
    @property
    def kappa(self) -> float: ...
    @property
    def theta(self) -> float: ...
    @property
    def sigma(self) -> float: ...
    @property
    def rho(self) -> float: ...


def letters(params: ArrayLike) -> Floats:
    """The kernel's box letters of parameters, one set or a row each."""
    x = np.array(params, np.float64)
    with np.errstate(divide="ignore"):
        out = np.log(np.where(x > 0.0, x, np.nan))
    out[..., 4] = np.arctanh(x[..., 4])
    if x.shape[-1] > 6:
        out[..., 6] = x[..., 6]
    return out


def parameters(x: Floats) -> Floats:
    """The inverse of `letters`."""
    out = np.exp(x)
    out[..., 4] = np.tanh(x[..., 4])
    if x.shape[-1] > 6:
        out[..., 6] = x[..., 6]
    return out


def slopes(p: Floats) -> Floats:
    """d parameter / d letter of one set of parameters."""
    return np.array([1.0 - p[i] ** 2 if i == 4 else 1.0 if i == 6 else p[i] for i in range(p.size)])


def mirror(x: Floats) -> Floats:
    """Letters of the model of F0^2/F with F as numeraire; NaN where it has none (kappa' <= 0).

    Its vol at k is this model's at -k, by put-call symmetry: at the money they are one.
    """
    p = parameters(x)
    out = p.copy()
    out[1] = p[1] - p[3] * p[4]
    out[2] = p[1] * p[2] / out[1] if out[1] > 0.0 else np.nan
    out[4] = -p[4]
    if p.size > 6:
        out[5] = p[5] * np.exp(p[6] + 0.5 * p[7] ** 2)
        out[6] = -(p[6] + p[7] ** 2)
    return letters(out)


def box(names: tuple[str, ...], bounds: Mapping[str, tuple[float, float]]) -> tuple[Floats, Floats]:
    """Least and greatest letters."""
    check.kind("bounds", bounds, Mapping, hint="(least, most) by parameter, {'kappa': (0.1, 20)}.")
    unknown = [str(name) for name in bounds if name not in names]
    if unknown:
        raise InvalidInput(f"bounds name {', '.join(unknown)}; the model has {', '.join(names)}")
    pairs = []
    for name in names:
        low, high = _pair(name, bounds.get(name, BOUNDS[name]))
        least = BOUNDS[name][0] if name in ("rho", "jump_mean") else 1e-12
        most = 0.99999 if name == "rho" else np.inf
        if not (min(least, -most) if name == "rho" else least) <= low <= high <= most:
            raise InvalidInput(
                f"bounds of {name} are ({low:g}, {high:g}), must rise and lie in its domain"
            )
        pairs.append((low, high))
    both = letters(np.array(pairs).T)
    return both[0], both[1]


def _pair(name: str, given: Any) -> tuple[float, float]:
    pair = check.numbers(f"bounds of {name}", given)
    if pair.shape != (2,):
        raise InvalidInput(
            f"bounds of {name} are {given!r:.80}, must be two numbers, (least, most); give one "
            "number twice to hold it"
        )
    return float(pair[0]), float(pair[1])
