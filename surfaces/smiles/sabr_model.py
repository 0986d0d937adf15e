"""SABR's parameters, vols, prices, and the density its vols imply; public in `sabr`.

    dF = A (F + shift)^beta dW,  dA = nu A dZ,  dW dZ = rho dt,  A(0) = alpha

The formulas are expansions in time: where their correction turns a vol negative (large nu^2 T with
|rho| near one) they have no answer, and the call says so.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from surfaces import checks as check
from surfaces import containers
from surfaces.errors import InvalidInput
from surfaces.kernels import sabr as kernel
from surfaces.pricing import black

Array = NDArray[np.float64]
Formula = Literal["hagan", "obloj"]

FORMULAS = {"hagan": kernel.HAGAN, "obloj": kernel.OBLOJ}
LEAST_REST = 1e-9  # 1 - |rho|
BROKEN = (
    "The expansion in time has broken down (nu^2 years is {:.3g}, vol^2 years {:.3g}): use "
    "sabr.arbitrage_free, or shorten the expiry."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """SABR's letters: `alpha` > 0 in forward^(1 - beta) per sqrt-year, 0 <= `beta` <= 1, `nu` >= 0
    per sqrt-year, -1 < `rho` < 1, and the `shift` added to forward and strike, in their unit.

    Raises InvalidInput naming the letter that is outside its domain.
    """

    alpha: float
    beta: float
    nu: float
    rho: float
    shift: float = 0.0

    def __post_init__(self) -> None:
        vol_hint = "A vol times forward^(1 - beta), as a decimal."
        zero = "Zero is a CEV model."
        checked = {
            "alpha": check.above("alpha", self.alpha, 0.0, unit="", hint=vol_hint),
            "beta": check.at_least("beta", self.beta, 0.0, unit="", hint="0 normal, 1 lognormal."),
            "nu": check.at_least("nu", self.nu, 0.0, unit="per sqrt-year", hint=zero),
            "rho": check.finite("rho", self.rho, unit="", hint="A correlation."),
            "shift": check.at_least("shift", self.shift, 0.0, unit="", hint="Added to prices."),
        }
        for name, value in checked.items():
            object.__setattr__(self, name, check.one(name, value))
        if self.beta > 1.0:
            raise InvalidInput(f"beta is {self.beta:g}, must be <= 1. 0 normal, 1 lognormal.")
        if abs(self.rho) > 1.0 - LEAST_REST:
            raise InvalidInput(f"rho is {self.rho:g}, must lie inside (-1, 1). A correlation.")

    def letters(self) -> tuple[float, float, float, float]:
        """(alpha, beta, rho, nu), the kernels' order."""
        return self.alpha, self.beta, self.rho, self.nu


def vol(
    params: Parameters,
    *,
    forward: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    formula: Formula = "hagan",
) -> Any:
    """Black vols of forward + shift and strike + shift; arguments broadcast.

    Parameters
    ----------
    forward, strike : in one unit; both plus the shift must be > 0
    years : to expiry, >= 0
    formula : "hagan", (2.17) of 2002; "obloj", whose leading term is exact for every beta

    Returns
    -------
    Decimals per sqrt-year, > 0.

    Raises
    ------
    InvalidInput
        An argument outside its domain, or a vol that the expansion makes negative.

    Examples
    --------
    >>> p = Parameters(alpha=0.3, beta=0.6, nu=0.02, rho=0.01)
    >>> float(vol(p, forward=0.039, strike=0.03, years=1.0).round(6))
    1.167258
    """
    box = containers.of(forward, strike, years)
    shape, columns = shifted(params, forward, strike, years)
    out = np.empty(columns[0].size)
    kernel.fill_vol(*columns, *params.letters(), chosen(formula), out)
    positive(params, columns, out)
    return box.wrap("vol", out, shape)


def normal_vol(
    params: Parameters,
    *,
    forward: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    formula: Formula = "obloj",
) -> Any:
    """Bachelier vols, in the forward's unit per sqrt-year; arguments as in `vol`.

    "hagan" expands the integral of 1/(F + shift)^beta in ln(F/K) as (B.67a) of 2002 does; "obloj"
    keeps it exact and so takes forwards and strikes of any sign where beta is zero.
    """
    box = containers.of(forward, strike, years)
    code = chosen(formula)
    known(params)
    if params.beta == 0.0 and code == kernel.OBLOJ:
        hint = "Take it from surfaces.curves."
        shape, columns = check.columns(
            check.finite("forward", forward, unit="", hint=hint) + params.shift,
            check.finite("strike", strike, unit="", hint="Strikes are prices.") + params.shift,
            _years(years),
        )
    else:
        shape, columns = shifted(params, forward, strike, years)
    out = np.empty(columns[0].size)
    kernel.fill_normal(*columns, *params.letters(), code, out)
    positive(params, columns, out)
    return box.wrap("vol", out, shape)


def price(
    params: Parameters,
    *,
    right: ArrayLike,
    forward: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    df: ArrayLike = 1.0,
    formula: Formula = "hagan",
) -> Any:
    """European prices by Black on the shifted forward; arguments as in `vol` and `black.price`."""
    vols = vol(params, forward=forward, strike=strike, years=years, formula=formula)
    moved = [check.numbers(n, v) + params.shift for n, v in (("f", forward), ("k", strike))]
    box = containers.of(right, forward, strike, years, df)
    found = black.price(
        right=right, forward=moved[0], strike=moved[1], years=years, vol=np.asarray(vols), df=df
    )
    found = np.asarray(found)
    return box.wrap("price", found.ravel(), found.shape)


def density(
    params: Parameters,
    *,
    forward: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    formula: Formula = "hagan",
) -> Any:
    """Density at `strike` that the formula's vols imply, per unit of the forward.

    Negative where they hold a butterfly arbitrage; `check_density` says where, `arbitrage_free`
    has none. `years` must be > 0.
    """
    box = containers.of(forward, strike, years)
    check.above("years", years, 0.0, unit="years", hint="Expired options have no density.")
    shape, columns = shifted(params, forward, strike, years)
    jets = np.empty((4, columns[0].size))
    kernel.fill_jets(*columns, *params.letters(), chosen(formula), jets)
    positive(params, columns, jets[0])
    _, found = _density(columns, jets)
    return box.wrap("density", found, shape)


def _density(columns: list[Array], jets: Array) -> tuple[Array, Array]:
    """Durrleman's g and the density g phi(d2)/(K sqrt w), from vol and its derivatives in k."""
    from surfaces.arbitrage import durrleman

    forward, strike, years = columns
    k, (v, v1, v2, _) = np.log(strike / forward), jets
    w, w1, w2 = v * v * years, 2.0 * v * v1 * years, 2.0 * (v1 * v1 + v * v2) * years
    g = durrleman(k, w, w1, w2)
    root = np.sqrt(w)
    d2 = -k / root - 0.5 * root
    return g, g * np.exp(-0.5 * d2 * d2) / (strike * root * np.sqrt(2.0 * np.pi))


def known(params: object) -> None:
    """Raise unless `params` are SABR's: Heston's letters have a rho as well."""
    check.kind("params", params, Parameters, hint="Give sabr.Parameters.")


def shifted(
    params: Parameters, forward: ArrayLike, strike: ArrayLike, years: ArrayLike
) -> tuple[tuple[int, ...], list[Array]]:
    """The broadcast shape, and forward + shift, strike + shift and years as columns."""
    known(params)
    low, hint = 0.0 - params.shift, "Give Parameters a larger shift."
    F = check.above("forward", forward, low, unit="", hint=hint)
    K = check.above("strike", strike, low, unit="", hint=hint)
    return check.columns(F + params.shift, K + params.shift, _years(years))


def _years(years: ArrayLike) -> Array:
    return check.at_least("years", years, 0.0, unit="years", hint="Remove expired rows.")


def chosen(formula: str) -> int:
    """The kernels' code of a formula, or InvalidInput with the choices."""
    if formula not in FORMULAS:
        raise InvalidInput(f"formula is {formula!r}, must be one of {', '.join(FORMULAS)}")
    return FORMULAS[formula]


def positive(params: Parameters, columns: list[Array], vols: Array) -> None:
    """Raise for the first vol that the expansion in time has made negative."""
    bad = ~((vols > 0.0) & (vols < np.inf))
    if bad.any():
        i = int(np.argmax(bad))
        F, K, T = (c[i] for c in columns)
        level = params.alpha * abs(F) ** (params.beta - 1.0) if F else np.inf
        words = BROKEN.format(params.nu**2 * T, level**2 * T)
        raise InvalidInput(
            f"vol at strike {K - params.shift:g} and {T:g} years is "
            f"{vols[i]:g}, must be > 0 ({int(bad.sum())} of {bad.size} fail). {words}"
        )
