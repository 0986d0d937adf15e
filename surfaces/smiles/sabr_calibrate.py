"""SABR fitted to one expiry's vols, in (vol at the money, skew, curvature) terms.

Least squares of (vol - mid)/half spread in the vol at the money, rho and nu, beta given; alpha is
the root of the cubic. One start from a parabola through the vols near the money, others only where
it does not lead to the quotes.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from surfaces import checks as check
from surfaces.errors import CalibrationFailed
from surfaces.kernels import sabr as formulas
from surfaces.kernels import sabr_fit as kernel
from surfaces.kernels.sabr_atm import level_of
from surfaces.smiles.sabr_atm import AtTheMoney, to_atm
from surfaces.smiles.sabr_model import Formula, Parameters, chosen, shifted

Array = NDArray[np.float64]

LETTERS = 3
RHO = 0.9999
LEAST_NU, MOST_NU = 1e-4, 100.0  # per sqrt-year
MOST_SPREAD = 6.0  # of nu sqrt(years)
GOOD = 0.5  # cost a quote below which no other start is tried: one half spread
NEAR = 1.5  # deviations from the money of the quotes that start the search
LEAST_SQUARES = 1e9  # half spreads up to which the cost is quadratic: all
ENOUGH = 1e-10  # share of the cost a step must gain for another to follow
EMPTY = np.empty(0)
EVERYWHERE = np.array([-np.inf, np.inf])
Status = Literal["ok", "at_bound", "not_converged"]


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """SABR fitted to q quotes.

    `at_money` and `params` with one standard error each, `at_money_error` (3,) and `errors` (3,) of
    (alpha, rho, nu): half spreads are taken as standard deviations up to one factor, which the
    scatter tells (with three quotes, one). `chi2`: squared residuals in half spreads per degree of
    freedom, NaN with three. `residuals` (q,): (model - mid)/half spread. `status`: "ok";
    "at_bound", rho or nu ran into its bound and the errors mean nothing; "not_converged".
    """

    params: Parameters
    at_money: AtTheMoney
    errors: Array
    at_money_error: Array
    chi2: float
    residuals: Array
    status: Status

    @property
    def remedy(self) -> str:
        """What to do about `status`, in a sentence; empty for "ok"."""
        return {
            "ok": "",
            "at_bound": (
                "the quotes do not determine rho and nu: quote further from the money, give "
                "another beta, or hold nu and use sabr.alpha_of"
            ),
            "not_converged": "drop stale quotes or give a start near the answer",
        }[self.status]


def calibrate(
    *,
    forward: float,
    strike: ArrayLike,
    years: float,
    vol: ArrayLike,
    beta: float,
    half_spread: ArrayLike = 0.01,
    shift: float = 0.0,
    formula: Formula = "hagan",
    start: Parameters | None = None,
) -> Calibration:
    """Fit alpha, rho and nu to the Black vols (of forward + shift) of one expiry.

    Parameters
    ----------
    strike, vol : (q,) at least three different strikes; vols > 0, decimals
    half_spread : (q,) or one, half of ask vol - bid vol, > 0: the weight is one over its square
    beta : 0 to 1, given
    start : of an earlier fit; its alpha is not used

    Raises
    ------
    InvalidInput
        An argument outside its domain.
    CalibrationFailed
        Fewer than three different strikes, or no curve near the quotes exists.
    """
    code = chosen(formula)
    given = Parameters(alpha=1.0, beta=beta, nu=1.0, rho=0.0, shift=shift)
    hint = "A quote without a vol is no quote."
    T = check.one("years", check.above("years", years, 0.0, unit="years", hint=hint))
    mid = check.above("vol", vol, 0.0, unit="per sqrt-year", hint=hint)
    half = check.above("half_spread", half_spread, 0.0, unit="", hint="Give 0.01 for one point.")
    _, (F, K, _) = shifted(
        given, check.one("forward", check.numbers("forward", forward)), strike, T
    )
    K, mid, half = check.columns(K, mid, half)[1]
    distinct = np.unique(K).size
    if distinct < LETTERS:
        raise CalibrationFailed(
            f"{distinct} different strike{'s' * (distinct != 1)} cannot determine alpha, rho and "
            "nu: quote at least 3, or hold rho and nu of a neighbouring expiry and take alpha from "
            "the vol at the money with sabr.alpha_of"
        )
    k = np.log(K / F[0])
    order = np.argsort(k, kind="stable")
    k, mid, half = (np.ascontiguousarray(a[order]) for a in (k, mid, half))
    low, high = box(mid, T)
    starts = guesses(k, mid, half, T, 1.0 - given.beta)
    if start is not None:
        check.kind("start", start, Parameters, hint="Give sabr.Parameters of an earlier fit.")
        first = np.array([[starts[0, 0], start.rho, np.log(max(start.nu, LEAST_NU))]])
        starts = np.concatenate((first, starts))
    x, hessian = np.empty(LETTERS), np.empty((LETTERS, LETTERS))
    firm = np.zeros(k.size, bool)
    cost, how = kernel.fit(
        starts, k, mid, half, firm, LEAST_SQUARES, T, 1.0 - given.beta, code, EMPTY, EMPTY,
        EVERYWHERE, 0.0, low, high, GOOD * k.size, ENOUGH, hessian, x,
    )  # fmt: skip
    if how == kernel.FAILED:
        raise CalibrationFailed(
            f"no SABR with beta {given.beta:g} comes near these vols at {T:g} years: the expansion "
            "in time has broken down; give another beta, or fit surfaces.smiles.svi"
        )
    bound = bool(np.any(x[1:] <= low[1:]) or np.any(x[1:] >= high[1:]))
    found, back = np.empty(k.size), np.empty(k.size)
    market = float(F[0]) - shift, T, given
    formulas.fill_vol(F, K[order], np.full(k.size, T), *_params(x, *market).letters(), code, found)
    back[order] = (found - mid) / half
    status: Status = "at_bound" if bound else "ok" if how == kernel.OK else "not_converged"
    return _calibration(x, hessian, cost, market, back, status)


def _calibration(
    x: Array,
    hessian: Array,
    cost: float,
    market: tuple[float, float, Parameters],
    residuals: Array,
    status: Status,
) -> Calibration:
    """The result in the letters of the model and of the desk, with errors by the delta method."""
    forward, years, given = market

    params = _params(x, forward, years, given)
    free = residuals.size - LETTERS
    chi2 = 2.0 * cost / free if free > 0 else float("nan")
    errors = np.empty(2 * LETTERS)
    kernel.fill_errors(x, hessian, 1.0 - given.beta, years, errors)
    errors *= np.sqrt(chi2) if free > 0 else 1.0
    errors[0] *= (forward + given.shift) ** (1.0 - given.beta)  # a is alpha F^(beta - 1)
    return Calibration(
        params, to_atm(params, forward=forward, years=years), errors[:LETTERS], errors[LETTERS:],
        chi2, residuals, status,
    )  # fmt: skip


def _params(x: Array, forward: float, years: float, given: Parameters) -> Parameters:
    c, nu = 1.0 - given.beta, float(np.exp(x[2]))
    a = level_of(float(np.exp(x[0])), c, float(x[1]), nu, years)
    F = forward + given.shift
    return Parameters(
        alpha=float(a) * F**c, beta=given.beta, nu=nu, rho=float(x[1]), shift=given.shift
    )


def box(mid: Array, years: float) -> tuple[Array, Array]:
    """Bounds of (ln vol at the money, rho, ln nu)."""
    most = max(min(MOST_NU, MOST_SPREAD / np.sqrt(years)), 10.0 * LEAST_NU)
    return (
        np.array([np.log(0.1 * mid.min()), -RHO, np.log(LEAST_NU)]),
        np.array([np.log(3.0 * mid.max()), RHO, np.log(most)]),
    )


def guesses(k: Array, mid: Array, half: Array, years: float, c: float) -> Array:
    """Starts (4, 3): from a parabola through the vols near the money, and three round ones."""
    width = max(float(np.interp(0.0, k, mid)) * np.sqrt(years), 1e-9)
    weight = 1.0 / (half * (1.0 + (k / (NEAR * width)) ** 2))
    basis = np.stack((np.ones(k.size), k, 0.5 * k * k), axis=1) * weight[:, None]
    scale = np.array([1.0, 1.0 / width, 1.0 / width**2])
    basis = basis * scale
    normal = basis.T @ basis
    normal[np.diag_indices(LETTERS)] *= 1.0 + 1e-9
    vol, skew, curvature = np.linalg.solve(normal, basis.T @ (weight * mid)) * scale
    level = float(np.clip(vol, mid.min(), mid.max()))
    p = 2.0 * skew + c * level
    q = 3.0 * level * (curvature - level * c * c / 6.0) + 1.5 * p * p
    nu = np.sqrt(max(q, (p / 0.9) ** 2, (0.05 * level) ** 2))
    unit = np.log(min(1.0, 1.0 / np.sqrt(years)))
    first = [np.log(level), np.clip(p / nu, -0.9, 0.9), np.log(nu)]
    rest = [[first[0], rho, unit] for rho in (-0.6, 0.0, 0.6)]
    return np.array([first, *rest])
