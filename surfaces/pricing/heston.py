"""European prices, Greeks and implied vols under Heston (1993), and the fit to quotes.

    dF = sqrt(v) F dW,   dv = kappa (theta - v) dt + sigma sqrt(v) dZ,   d<W, Z> = rho dt

The forward, not spot, is the underlying: carry, dividends and borrow live in `surfaces.curves`.

Units   prices and strikes in USD per share; years of calendar time (ACT/365); v0 and theta are
        variances a year (0.04 is a vol of 20 %); kappa per year; sigma per year as a decimal.
Source  S. Heston, Review of Financial Studies 6 (1993) 327-343; the contour is A. Lewis's (2001);
        gradient as Y. Cui, S. del Bano Rollin, G. Germano, EJOR 263 (2017) 625-638.
Checked tests/surfaces/pricing/test_heston.py: 30-digit integrals, Fang and Oosterlee (2008),
        differences of prices; tests/quantlib/test_heston_quantlib.py: QuantLib.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from surfaces import checks as check
from surfaces.pricing import heston_calibration as calibration
from surfaces.pricing import heston_engine as engine
from surfaces.pricing.heston_calibration import Calibration
from surfaces.pricing.heston_engine import Floats, ModelGreeks
from surfaces.pricing.heston_letters import parameters
from surfaces.pricing.heston_start import candidates
from surfaces.pricing.implied import ImpliedVol
from surfaces.pricing.option_quotes import Fit

NAMES = (*engine.PLAIN, *(f"d_{name}" for name in engine.HESTON))
NO_JUMPS = (0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Parameters:
    """The five numbers of the model, checked: v0, kappa, theta, sigma >= 0 and -1 < rho < 1."""

    v0: float  # variance now, per year
    kappa: float  # speed of mean reversion, per year
    theta: float  # variance in the long run, per year
    sigma: float  # vol of variance
    rho: float  # correlation of the forward with its variance

    def __post_init__(self) -> None:
        engine.settle(self)

    @property
    def feller(self) -> float:
        """2 kappa theta / sigma^2: variance never reaches zero if this is >= 1 (Feller 1951)."""
        return engine.feller(self.kappa, self.theta, self.sigma)

    def vector(self) -> Floats:
        """(v0, kappa, theta, sigma, rho)."""
        return engine.vector(self, engine.HESTON)


def price(
    params: Parameters,
    *,
    right: ArrayLike,
    forward: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    df: ArrayLike = 1.0,
) -> Any:
    """Price European options on a forward; options of equal `years` share most of the work.

    All arguments but `params` broadcast; numbers for numbers, Series for Series.

    Parameters
    ----------
    right : +1, True or "c" for a call; -1, False or "p" for a put
    forward : USD per share, > 0, for delivery at expiry
    strike : USD per share, > 0
    years : to expiry, >= 0; zero gives intrinsic value
    df : discount factor to payment, > 0; 1.0 for an undiscounted price

    Returns
    -------
    USD per share, within 1e-12 of sqrt(forward x strike) of the exact value, and inside the bounds.

    Raises
    ------
    InvalidInput
        Names the first offending element, its value and the remedy.

    Examples
    --------
    >>> printed = Parameters(v0=0.0175, kappa=1.5768, theta=0.0398, sigma=0.5751, rho=-0.5711)
    >>> float(price(printed, right=1, forward=100.0, strike=100.0, years=1.0).round(6))
    5.785155
    """
    return engine.run(_all(params), ["price"], right, forward, strike, years, df)["price"]


def greeks(
    params: Parameters,
    *,
    right: ArrayLike,
    forward: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    df: ArrayLike = 1.0,
    which: Sequence[str] | None = None,
) -> ModelGreeks:
    """Price and sensitivities; arguments as in `price`. V is the price, F the forward.

    price, delta (dV/dF), gamma, dual_delta (dV/dK), density (of the price at expiry, read at the
    strike): with respect to prices. theta (dV/dt a year, at constant forward, variance and
    r = -ln(df)/years), rho (dV/dr at constant forward: -years V), charm (d2V/dF dt).

    vega is dV/d sqrt(v0), vanna d2V/dF d sqrt(v0), volga d2V/d sqrt(v0)^2: the vol of now alone
    moves. vega_parallel moves sqrt(v0) and sqrt(theta) by the same, so it is what Black's vega is
    where variance is constant. d_v0, d_kappa, d_theta, d_sigma, d_rho: by the parameters.

    Parameters
    ----------
    which : names to compute, in the order wanted; all of `NAMES` by default
    """
    names = engine.wanted(which, NAMES)
    return ModelGreeks(engine.run(_all(params), names, right, forward, strike, years, df))


def vol(
    params: Parameters, *, forward: ArrayLike, strike: ArrayLike, years: ArrayLike
) -> ImpliedVol:
    """Black vols of the model, from out-of-the-money prices, with a status for each.

    NO_VEGA: the price is below 1e-10 sqrt(forward x strike), too far out to have a vol.
    """
    return engine.vols(_all(params), forward, strike, years)


def calibrate(
    quotes: Any,
    start: Parameters | Calibration[Parameters] | None = None,
    *,
    fit: Fit = "vol",
    weights: str | ArrayLike | None = None,
    bounds: Mapping[str, tuple[float, float]] | None = None,
    starts: int = 4,
    max_steps: int = 100,
) -> Calibration[Parameters]:
    """Fit the model to quotes by least squares, by Levenberg-Marquardt with the exact gradient.

    Parameters
    ----------
    quotes : a VolSurface, a polars or pandas frame, or a mapping of arrays: `years`, `strike`,
        `forward`, `df` (default 1), `right` (needed with prices) and one of `vol`; `price`;
        `bid_vol` and `ask_vol`; `bid` and `ask`; and `weight` if wanted
    start : the fit before, or parameters: one descent from there, and others only if it ends at a
        bound or without converging. By default starts are read off the smiles
    fit : residuals in Black vol, or in price (USD, discounted)
    weights : of the residuals, one number a row or a name. "equal": 1. "spread": 1 / half spread,
        in vol for vols and in USD for prices. "vega": errors in USD, so vega for vols and 1 for
        prices. By default the column `weight`, else "spread" where there are bids and asks
    bounds : (least, most) by parameter, one number twice to hold it; otherwise
        `heston_letters.BOUNDS`
    starts : descents to make at most; a second is made unless the first fits exactly, and others
        while no two of the best end alike
    max_steps : of one descent

    Returns
    -------
    Calibration: `params`, `standard_errors`, `rmse_vol`, `rmse_half_spreads`,
        `residuals`, `status` and `message`.

    Raises
    ------
    InvalidInput
        For missing columns, values outside their domain, or fewer quotes than parameters.
    CalibrationFailed
        If no start has a finite error.
    """
    task = calibration.problem(quotes, engine.HESTON, fit, weights, bounds)
    first = calibration.given(start, Parameters)
    done = calibration.solve(task, first, lambda: candidates(task.quotes), starts, max_steps)
    params = Parameters(*parameters(calibration.best(done).x).tolist())
    return calibration.report(task, done, params, _all(params), params.feller, max_steps, fit)


def _all(params: Parameters) -> Floats:
    """With the three of no jumps."""
    hint = "heston.Parameters(v0=, kappa=, ...) makes one."
    check.kind("params", params, Parameters, hint=hint, called="heston.Parameters")
    return np.array((*params.vector().tolist(), *NO_JUMPS))
