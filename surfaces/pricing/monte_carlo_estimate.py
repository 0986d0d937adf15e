"""Means and standard errors from independent replicates, with controls of known mean.

The replicates' means are regressed on the controls' means; the value is the regression's at the
controls' known means, and its error is the regression's own: a replicate is one observation, so
nothing is assumed of the points inside it.
"""

from dataclasses import dataclass

import numpy as np

from surfaces.checks import Floats

NO_CONTROL = 1e-12  # a control that varies less than this, relatively, is a constant


@dataclass(frozen=True, slots=True, eq=False)
class Estimate:
    """Simulated values and how far to trust them, in the unit of the payoff.

    price, error : one standard error, sampling and time steps together
    sampling_error : standard error of the mean, from independent replicates
    step_error : what doubling the time step changes, half of that under Heston; zero where it was
        not measured
    paths, replicates : paths in all, and independent groups of them (the error has about
        `replicates` degrees of freedom)
    steps : time steps of a path to the last date
    """

    price: Floats
    error: Floats
    sampling_error: Floats
    step_error: Floats
    paths: int
    replicates: int
    steps: int


def regressed(values: Floats, controls: Floats) -> tuple[Floats, Floats]:
    """(mean, standard error) of each column.

    values (r, q) means of replicates; controls (r, c) means less their known values.
    """
    r = values.shape[0]
    spread = controls.std(axis=0)
    varies = spread > NO_CONTROL * (1.0 + np.abs(controls).max(axis=0))
    design = np.column_stack((np.ones(r), controls[:, varies] / spread[varies]))
    q, upper = np.linalg.qr(design)
    kept = np.abs(np.diag(upper)) > 1e-8 * np.sqrt(r)
    if not kept.all():  # a control that others already are
        q, upper = np.linalg.qr(design[:, kept])
    inverse = np.linalg.inv(upper)
    level = inverse[0] @ (q.T @ values)
    residual = values - q @ (q.T @ values)
    freedom = max(r - upper.shape[0], 1)
    variance = (residual * residual).sum(axis=0) / freedom * (inverse[0] @ inverse[0])
    return level, np.sqrt(variance)


def estimate(
    levels: list[tuple[Floats, Floats]],
    scale: Floats,
    shape: tuple[int, ...],
    counts: tuple[int, int, int],
    *,
    trust: float,
) -> Estimate:
    """An estimate of prices from replicates' means on grids of ever twice the step; each is
    (values, controls).

    `scale` (q,) multiplies the values; options with a control of their own have it in the column
    of their expiry: controls (r, q). The step error is `trust` times the difference
    between the first two grids, or what that between two coarser ones says, halved for each
    doubling: the largest, lest a chance agreement pass for accuracy.
    """
    means, errors = np.empty((2, len(levels), scale.size))
    for j, (values, controls) in enumerate(levels):
        for i in range(scale.size):
            level, error = regressed(values[:, i : i + 1], controls[:, i : i + 1])
            means[j, i], errors[j, i] = level[0], error[0]
    price, sampling = means[0] * scale, errors[0] * scale
    share = trust * 0.5 ** np.arange(len(levels) - 1)[:, None]
    steps = scale * (share * np.abs(np.diff(means, axis=0))).max(axis=0)
    return Estimate(
        price.reshape(shape)[()], np.hypot(sampling, steps).reshape(shape)[()],
        sampling.reshape(shape)[()], steps.reshape(shape)[()], *counts,
    )  # fmt: skip


def grouped(values: Floats, replicates: int) -> Floats:
    """Means of `replicates` equal groups of rows, (replicates, q)."""
    return np.asarray(values.reshape(replicates, -1, values.shape[1]).mean(axis=1))
