"""European prices, Greeks and implied vols under Bates (1996): Heston's variance, and jumps.

    dF/F = sqrt(v) dW + (exp(J) - 1) dN - jump_rate m dt,   dv and d<W, Z> as in `heston`

N counts jumps, jump_rate a year; J, the jump of ln F, is normal with mean jump_mean and standard
deviation jump_std; m = exp(jump_mean + jump_std^2 / 2) - 1 is the mean relative jump, whose drift
is taken back, so that F stays a forward. No jumps are Heston; sigma = 0 and v0 = theta Merton.

Units   as in `heston`; jump_rate per year, jump_mean and jump_std in ln F as decimals.
Source  D. Bates, Review of Financial Studies 9 (1996) 69-107.
Checked tests/surfaces/pricing/test_bates.py: Merton's series, Heston, differences of prices;
        tests/quantlib/test_heston_quantlib.py: QuantLib.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import ArrayLike

from surfaces import checks as check
from surfaces.pricing import heston_calibration as calibration
from surfaces.pricing import heston_engine as engine
from surfaces.pricing.heston_calibration import Calibration
from surfaces.pricing.heston_engine import NAMES, Floats, ModelGreeks
from surfaces.pricing.heston_letters import parameters
from surfaces.pricing.heston_start import candidates, with_jumps
from surfaces.pricing.implied import ImpliedVol
from surfaces.pricing.option_quotes import Fit

__all__ = ["NAMES", "Parameters", "calibrate", "greeks", "price", "vol"]

ALL = (*engine.HESTON, *engine.JUMPS)


@dataclass(frozen=True, slots=True)
class Parameters:
    """Heston's five numbers and the jumps' three, checked; all but rho and jump_mean are >= 0."""

    v0: float  # variance now, per year
    kappa: float  # speed of mean reversion, per year
    theta: float  # variance in the long run, per year
    sigma: float  # vol of variance
    rho: float  # correlation of the forward with its variance
    jump_rate: float  # jumps a year
    jump_mean: float  # of the jump of ln F
    jump_std: float  # of the jump of ln F

    def __post_init__(self) -> None:
        engine.settle(self)
        for name, unit in (("jump_rate", "per year"), ("jump_std", "")):
            value = engine.parameter(name, getattr(self, name), 0.0, unit, "Zero is no jump.")
            object.__setattr__(self, name, value)
        hint = "The mean jump of ln F, -0.1 for about -10 %."
        mean = check.finite("jump_mean", self.jump_mean, unit="", hint=hint)
        object.__setattr__(self, "jump_mean", check.one("jump_mean", mean))

    @property
    def feller(self) -> float:
        """2 kappa theta / sigma^2: variance never reaches zero if this is >= 1 (Feller 1951)."""
        return engine.feller(self.kappa, self.theta, self.sigma)

    def vector(self) -> Floats:
        """(v0, kappa, theta, sigma, rho, jump_rate, jump_mean, jump_std)."""
        return engine.vector(self, ALL)


def price(
    params: Parameters,
    *,
    right: ArrayLike,
    forward: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    df: ArrayLike = 1.0,
) -> Any:
    """Price European options on a forward; arguments and errors as in `heston.price`."""
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
    """Price and sensitivities as in `heston.greeks`, and d_jump_rate, d_jump_mean, d_jump_std."""
    names = engine.wanted(which, NAMES)
    return ModelGreeks(engine.run(_all(params), names, right, forward, strike, years, df))


def vol(
    params: Parameters, *, forward: ArrayLike, strike: ArrayLike, years: ArrayLike
) -> ImpliedVol:
    """Black vols of the model, as `heston.vol`."""
    return engine.vols(_all(params), forward, strike, years)


def calibrate(
    quotes: Any,
    start: Parameters | Calibration[Parameters] | None = None,
    *,
    fit: Fit = "vol",
    weights: str | ArrayLike | None = None,
    bounds: Mapping[str, tuple[float, float]] | None = None,
    starts: int = 4,
    max_steps: int = 200,
) -> Calibration[Parameters]:
    """Fit the model to quotes; arguments, result and errors as in `heston.calibrate`.

    Starts are the best of Heston's with jumps of several kinds in it. Jumps and the vol of variance
    do much the same to one expiry's smile: short expiries tell them apart, and the standard errors
    say how well.
    """
    task = calibration.problem(quotes, ALL, fit, weights, bounds)
    first = calibration.given(start, Parameters)
    done = calibration.solve(
        task, first, lambda: with_jumps(candidates(task.quotes)), starts, max_steps
    )
    params = Parameters(*parameters(calibration.best(done).x).tolist())
    return calibration.report(task, done, params, _all(params), params.feller, max_steps, fit)


def _all(params: Parameters) -> Floats:
    """All eight."""
    hint = "bates.Parameters(v0=, ..., jump_std=) makes one."
    check.kind("params", params, Parameters, hint=hint, called="bates.Parameters")
    return params.vector()
