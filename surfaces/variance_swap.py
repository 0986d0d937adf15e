"""Fair variance of a variance swap from a curve: the log contract, replicated at every strike.

A continuously monitored variance swap of a price that does not jump is worth -2 E[ln(S_T/F)],
whatever its volatility does, and that is 2 int o(k) e^-k dk with o the out-of-the-money price over
the forward at strike F e^k. Nothing is cut off: the integral runs on into the wings of the curve's
own model, and says which share of it lies beyond the quotes.

Units   variance decimal per year (0.04 is 20 % squared); years ACT/365; k = ln(strike/forward).
Source  K. Demeterfi, E. Derman, M. Kamal, J. Zou, J. Derivatives 6(4) (1999); P. Carr, D. Madan
        (1998). With jumps the swap differs from the log contract by the third moment.
Checked tests/surfaces/surface/test_variance_swap.py: flat vol, mixtures of lognormals, Heston's
        closed form, Gatheral's integral in d2 for SVI.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from surfaces import checks as check
from surfaces.checks import Floats
from surfaces.errors import InvalidInput
from surfaces.pricing import black

if TYPE_CHECKING:
    from surfaces.surface import VolSurface

NODES, WEIGHTS = np.polynomial.legendre.leggauss(16)
CORE = 8.0  # deviations from the forward that get panels of STEP
STEP = 0.25
GROWTH = 1.25
FARTHEST = 650.0  # of |k|; a wing that still counts there has no value
NOTHING_LEFT = 1e-9  # share of the whole in the last panel of a wing

Curve = Callable[[Floats], Floats]


class SwapStatus(IntEnum):
    """Why a maturity has no fair variance."""

    OK = 0
    NO_CURVE = 1


@dataclass(frozen=True, slots=True, eq=False)
class FairVariance:
    """Fair variance, one number or an array a maturity.

    variance : per year; `vol` is its root, what a desk quotes
    total_variance : variance x years, -2 E[ln(S/F)]
    error : one standard error of `variance` if the errors of all strikes agree in sign (a bound
        where they do not)
    left_share, right_share : of the total, from strikes below and above those quoted
    status : `SwapStatus` of each; NO_CURVE where the numbers are NaN, as the surface has no curve
        at that maturity
    """

    years: Floats
    variance: Floats
    vol: Floats
    total_variance: Floats
    error: Floats
    left_share: Floats
    right_share: Floats
    status: NDArray[np.int64]

    @property
    def remedy(self) -> str:
        """What to do about `status`, in a sentence; empty if all are OK."""
        none = int(np.count_nonzero(self.status))
        if not none:
            return ""
        return (
            f"{none} of {np.size(self.status)} maturities have no curve: look at `surface.records` "
            "for why nothing was fitted, or ask between expiries that have one"
        )


def fair_variance(surface: "VolSurface", years: ArrayLike) -> FairVariance:
    """Fair variance of a surface at any maturity.

    Parameters
    ----------
    surface : as `surfaces.fit` returns it
    years : > 0, any shape; between expiries as the surface interpolates

    Returns
    -------
    FairVariance, NaN where nothing is fitted, with `status` NO_CURVE.

    Raises
    ------
    InvalidInput
        A wing so steep (Lee's bound) that the log contract has no value, or a total variance that
        is negative.
    """
    asked = check.above("years", years, 0.0, unit="years", hint="Remove expired rows.")
    rows = [_one(surface, t) for t in asked.ravel().tolist()]
    total, error, left, right = np.array(rows).T.reshape(4, *asked.shape)
    variance = total / asked
    status = np.where(np.isnan(total), SwapStatus.NO_CURVE, SwapStatus.OK).astype(np.int64)
    return FairVariance(
        asked[()], variance[()], np.sqrt(variance)[()], total[()], (error / asked)[()], left[()],
        right[()], status[()],
    )  # fmt: skip


def log_contract(
    total_variance: Curve, *, low: float = 0.0, high: float = 0.0, error: Curve | None = None
) -> tuple[float, float, float, float]:
    """-2 E[ln(S/F)] of one smile: (total, its error, shares beyond `low` and beyond `high`).

    Parameters
    ----------
    total_variance : w(k) = vol^2 years for any array of k
    low, high : quoted range in k
    error : standard error of sqrt(w(k)); the result's error is zero without

    Raises
    ------
    InvalidInput
        w is NaN, infinite or negative at some k, or zero at the forward; a wing without a value.
    """
    width = float(_roots(total_variance, np.zeros(1))[0])
    if not width > 0.0:
        raise InvalidInput("total_variance is 0 at k = 0, must be > 0: no variance to replicate")
    k, weight = _panels(width, low, high)
    s = _roots(total_variance, k)
    right = np.where(k >= 0.0, 1.0, -1.0)
    got = black.greeks(
        right=right, forward=1.0, strike=np.exp(k), years=1.0, vol=s, which=("price", "vega")
    )
    total, left, beyond = _summed(k, weight, np.asarray(got.price), low, high)
    if error is None:
        return total, 0.0, left, beyond
    off = 2.0 * float(np.sum(weight * np.exp(-k) * np.asarray(got.vega) * error(k)))
    return total, off, left, beyond


def replicate(
    price: Curve, *, width: float, low: float = 0.0, high: float = 0.0
) -> tuple[float, float, float]:
    """-2 E[ln(S/F)] of a price function: (total, shares beyond `low` and beyond `high`).

    Parameters
    ----------
    price : undiscounted out-of-the-money price over the forward at any array of k: the call for
        k >= 0, the put below
    width : about one standard deviation of ln S, for the spacing
    low, high : range in k that shares are counted from
    """
    scale = check.one("width", check.above("width", width, 0.0, unit="", hint="vol sqrt(years)."))
    k, weight = _panels(scale, low, high)
    return _summed(k, weight, np.asarray(price(k), np.float64), low, high)


def _one(surface: "VolSurface", years: float) -> tuple[float, float, float, float]:
    """Total, error and shares at one maturity."""
    low, high = _quoted(surface, years)
    forward = float(surface.forward(years))
    if not np.isfinite(surface.total_variance(0.0, years)):
        return (np.nan,) * 4

    def error(k: Floats) -> Floats:
        near = np.clip(k, 2.0 * low, 2.0 * high)  # no error is known far beyond all quotes
        return np.asarray(surface.uncertainty(forward * np.exp(near), years)) * np.sqrt(years)

    return log_contract(lambda k: surface.total_variance(k, years), low=low, high=high, error=error)


def _quoted(surface: "VolSurface", years: float) -> tuple[float, float]:
    """Quoted range in k, in deviations linear in the root of time between expiries."""
    from surfaces.term import live_slices

    slices = live_slices(surface)
    if not slices.size:
        return 0.0, 0.0
    root = np.sqrt(surface.years[slices])
    low, high = surface.quoted_range[slices].T / root
    at = np.sqrt(years)
    return (
        min(float(np.interp(at, root, low)) * at, 0.0),
        max(float(np.interp(at, root, high)) * at, 0.0),
    )


def _roots(total_variance: Curve, k: Floats) -> Floats:
    """sqrt(w) at `k`, refused where w is none."""
    w = check.numbers("total_variance", total_variance(k))
    if w.shape != k.shape:
        raise InvalidInput(f"total_variance has shape {w.shape} for k of shape {k.shape}")
    bad = ~((w >= 0.0) & (w < np.inf))
    if bad.any():
        i = int(np.argmin(np.where(bad, np.abs(k), np.inf)))
        raise InvalidInput(
            f"total_variance is {w[i]:g} at k = {k[i]:g}, must be >= 0 and finite "
            f"({int(bad.sum())} of {k.size} fail). Fit a curve that is defined at every strike."
        )
    return np.asarray(np.sqrt(w))


def _panels(width: float, low: float, high: float) -> tuple[Floats, Floats]:
    """Gauss-Legendre points and weights over all k, denser within CORE widths, split at the
    forward and at the ends of the quotes."""
    steps = [STEP * width] * int(CORE / STEP)
    while sum(steps) < FARTHEST:
        steps.append(steps[-1] * GROWTH)
    reach = np.minimum(np.concatenate(([0.0], np.cumsum(steps))), FARTHEST)
    edges = np.unique(np.concatenate((-reach, reach, np.clip([low, high], -FARTHEST, FARTHEST))))
    half = 0.5 * np.diff(edges)[:, None]
    middle = 0.5 * (edges[1:] + edges[:-1])[:, None]
    return (middle + half * NODES).ravel(), (half * WEIGHTS).ravel()


def _summed(
    k: Floats, weight: Floats, price: Floats, low: float, high: float
) -> tuple[float, float, float]:
    """Total and shares; refuses a wing that has not died out at its end."""
    each = 2.0 * weight * np.exp(-k) * price
    total = float(each.sum())
    if not 0.0 < total < np.inf:
        raise InvalidInput(
            f"the prices replicate {total:g}, must be > 0 and finite: they are zero at every "
            "strike, negative or no numbers. Give out-of-the-money prices over the forward."
        )
    ends = float(each[: NODES.size].sum()), float(each[-NODES.size :].sum())
    for name, end in zip(("left", "right"), ends, strict=True):
        if not abs(end) <= NOTHING_LEFT * total:
            raise InvalidInput(
                f"the {name} wing still holds {end / total:.2g} of the log contract at |k| = "
                f"{FARTHEST:g}: total variance grows there nearly as fast as 2|k|, where the "
                "contract has no value. Fit a model with flatter wings."
            )
    left = float(each[k < low].sum()) / total
    return total, left, float(each[k > high].sum()) / total
