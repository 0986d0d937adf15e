"""What quotes tell of Heston's and Bates's parameters: the covariance of a least squares fit."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from surfaces.pricing.heston_letters import Flags, Floats, parameters, slopes

SILENT = 1e-13  # of the greatest eigenvalue of normed J'J: a direction that changes nothing
SHARE = 1e-6  # of a letter in such a direction
LOOSE = 1.0  # standard error of a letter, so a factor of e, above which it is hardly known


@dataclass(frozen=True, slots=True, eq=False)
class Told:
    """How well m parameters are told, in the model's order."""

    covariance: Floats  # (m, m)
    silent: Flags  # (m,), the quotes say nothing about it
    loose: Flags  # (m,), known to a factor of e at best


def told(x: Floats, jac: Floats, noise: float, held: Flags, edge: Flags) -> Told:
    """Of letters x with residuals' slopes jac (n, m) and variance `noise`.

    held: fixed by the caller, and so known: NaN. edge: stopped by a bound, so NaN as well; but the
    others' errors are those with it free. With it fixed they would be errors of the model that has
    the bound for its parameter, which tell nothing of how far off the truth is.
    """
    size = x.size
    covariance = np.full((size, size), np.nan)
    silent, loose = np.zeros(size, bool), np.zeros(size, bool)
    unit = np.linalg.norm(jac, axis=0)
    silent[~held & (unit == 0.0)] = True
    rows = np.flatnonzero(~held & (unit > 0.0))
    if np.all(np.isfinite(unit)) and rows.size:
        normed = jac[:, rows] / unit[rows]
        values, vectors = np.linalg.eigh(normed.T @ normed)
        mute = values < SILENT * values[-1]
        inverse = (vectors / np.where(mute, 1.0, values)) @ vectors.T
        silent[rows] = (vectors[:, mute] ** 2).sum(axis=1) > SHARE
        with np.errstate(invalid="ignore"):  # infinite noise, no correlation
            in_letters = noise * inverse / np.outer(unit[rows], unit[rows])
        loose[rows] = np.sqrt(np.diag(in_letters)) > LOOSE
        scale = slopes(parameters(x))[rows]
        covariance[np.ix_(rows, rows)] = in_letters * np.outer(scale, scale)
    covariance[edge, :] = covariance[:, edge] = np.nan
    unknown(covariance, silent & ~edge)
    return Told(covariance, silent & ~edge, loose & ~edge)


def unknown(covariance: Floats, which: NDArray[np.bool_]) -> None:
    """Make the variances of some infinite, in place."""
    at = np.flatnonzero(which)
    covariance[at, at] = np.inf  # also where the fit is exact and noise is zero
