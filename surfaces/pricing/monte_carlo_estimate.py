"""Means and standard errors from independent replicates, with controls of known mean.

The replicates' means are regressed on the controls' means; the value is the regression's at the
controls' known means, and its error is the regression's own: a replicate is one observation, so
nothing is assumed of the points inside it. Errors are stretched by Student's t, so that two of them
hold what two of a normal's do, 95.4 %, with few replicates too.

Where hardly any path pays, the spread of the replicates tells nothing: one that none pays in has no
spread at all. So errors are NaN, with a status, below ENOUGH paths that count, Kish's effective
number: of the payoffs' distances from their median in `value`, and of the out-of-the-money option's
replicates in the European pricers, where it is (price/its error)^2: below, the out-of-the-money
price is not known to a fifth.
"""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, stdtrit

from surfaces.checks import Floats
from surfaces.pricing.monte_carlo_inputs import Options

ENOUGH = 25.0  # effective paths
NOTHING = 1e-13  # relative spread of replicates that is rounding
NO_CONTROL = 1e-12  # a control that varies less than this, relatively, is a constant


class ErrorStatus(IntEnum):
    """Why an error is NaN."""

    OK = 0
    TOO_FEW = 1  # hardly any path pays, or replicates do not differ


@dataclass(frozen=True, slots=True, eq=False)
class Estimate:
    """Simulated values and how far to trust them, in the unit of the payoff.

    price, error : one standard error, sampling and time steps together; two hold 95 %
    sampling_error : standard error of the mean, from independent replicates, times Student's t
    step_error : what doubling the time step changes, half of that under Heston; zero where it was
        not measured
    paths, replicates : paths in all, and independent groups of them (the error has about
        `replicates` degrees of freedom)
    steps : time steps of a path to the last date
    status : `ErrorStatus` of each; TOO_FEW where both errors are NaN, as the paths that pay are too
        few to tell one: the price is what they gave, and `remedy` says what to do
    """

    price: Floats
    error: Floats
    sampling_error: Floats
    step_error: Floats
    paths: int
    replicates: int
    steps: int
    status: NDArray[np.int64]

    @property
    def remedy(self) -> str:
        """What to do about `status`, in a sentence; empty if all are OK."""
        few = int(np.count_nonzero(self.status))
        if not few:
            return ""
        return (
            f"{few} of {np.size(self.status)} have no error, as hardly any path tells them from a "
            "constant: ask for more paths, or price them by integration or on a grid"
        )


def regressed(values: Floats, controls: Floats) -> tuple[Floats, Floats]:
    """(mean, standard error times Student's t) of each column.

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
    return level, 0.5 * stdtrit(freedom, ndtr(2.0)) * np.sqrt(variance)


def estimate(
    levels: list[tuple[Floats, Floats]],
    options: Options,
    counts: tuple[int, int, int],
    *,
    trust: float,
) -> Estimate:
    """An estimate of prices from replicates' means on grids of ever twice the step; each is
    (values, controls).

    Options with a control of their own have it in the column of their expiry: controls (r, q). The
    step error is `trust` times the difference between the first two grids, or what that between two
    coarser ones says, halved for each doubling: the largest, lest a chance agreement pass for
    accuracy.
    """
    scale, shape = options.df, options.shape
    means, errors = np.empty((2, len(levels), scale.size))
    for j, (values, controls) in enumerate(levels):
        for i in range(scale.size):
            level, error = regressed(values[:, i : i + 1], controls[:, i : i + 1])
            means[j, i], errors[j, i] = level[0], error[0]
    few = _rare(*levels[0], options)
    price, sampling = means[0] * scale, np.where(few, np.nan, errors[0] * scale)
    share = trust * 0.5 ** np.arange(len(levels) - 1)[:, None]
    steps = scale * (share * np.abs(np.diff(means, axis=0))).max(axis=0)
    return Estimate(
        price.reshape(shape)[()], np.hypot(sampling, steps).reshape(shape)[()],
        sampling.reshape(shape)[()], steps.reshape(shape)[()], *counts,
        few.astype(np.int64).reshape(shape)[()],
    )  # fmt: skip


def _rare(values: Floats, controls: Floats, options: Options) -> NDArray[np.bool_]:
    """Where the out-of-the-money option, by parity in every replicate, is paid by too few."""
    right, forward, strike, _ = options.columns
    inside = right * (forward * (1.0 + controls) - strike)
    out = np.where(right * (forward - strike) > 0.0, values - inside, values)
    mean, spread = out.mean(axis=0), out.std(axis=0, ddof=1)
    same = spread <= NOTHING * (np.abs(values).max(axis=0) + strike)  # no noise: every path counts
    known = np.where(same, mean > NOTHING * strike, mean**2 * out.shape[0] >= ENOUGH * spread**2)
    return np.asarray(~known)


def rare(payoff: Floats, means: Floats) -> NDArray[np.bool_]:
    """Columns of `payoff` (paths, q) that too few paths tell from a constant, or whose `means`
    (r, q) of replicates do not differ."""
    off = np.abs(payoff - np.median(payoff, axis=0))
    total, square = off.sum(axis=0), (off * off).sum(axis=0)
    same = np.ptp(means, axis=0) <= NOTHING * np.abs(payoff).max(axis=0)
    return np.asarray(same | ~(total * total >= ENOUGH * square))


def grouped(values: Floats, replicates: int) -> Floats:
    """Means of `replicates` equal groups of rows, (replicates, q)."""
    return np.asarray(values.reshape(replicates, -1, values.shape[1]).mean(axis=1))
