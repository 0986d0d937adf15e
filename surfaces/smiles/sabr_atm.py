"""SABR in the letters of a desk: vol, skew and curvature at the money, and back.

skew = dvol/dk and curvature = d2vol/dk2 at k = ln((strike + shift)/(forward + shift)) = 0, decimals
per unit of k. Both formulas have the same three there. beta is given, as it is not seen in one
expiry's smile.
"""

from typing import NamedTuple

import numpy as np

from surfaces import checks as check
from surfaces.errors import InvalidInput
from surfaces.kernels import sabr_atm as kernel
from surfaces.smiles.sabr_model import LEAST_REST, Parameters, known


class AtTheMoney(NamedTuple):
    """Black vol at the money, and its first two derivatives in k."""

    atm_vol: float
    skew: float
    curvature: float


def to_atm(params: Parameters, *, forward: float, years: float) -> AtTheMoney:
    """(vol, skew, curvature) of `params`; `forward` in USD, `years` >= 0."""
    known(params)
    F, T = _market(forward, years, params.shift)
    c, out = 1.0 - params.beta, np.empty(3)
    a = params.alpha * F**-c
    kernel.atm_of(a, params.rho * params.nu, params.nu**2, c, T, out)
    if not out[0] > 0.0:
        raise InvalidInput(
            f"the vol at the money is {out[0]:g}, must be > 0: the expansion in time has broken "
            f"down (nu^2 years is {params.nu**2 * T:.3g}); use sabr.arbitrage_free"
        )
    return AtTheMoney(*out.tolist())


def from_atm(
    *,
    atm_vol: float,
    skew: float,
    curvature: float,
    beta: float,
    forward: float,
    years: float,
    shift: float = 0.0,
) -> Parameters:
    """The parameters that have this vol, skew and curvature at the money; `to_atm` undone.

    Raises InvalidInput where no |rho| < 1 has them (too little curvature for so much skew), or the
    expansion in time has no answer; it names a curvature that has one, if there is any near.
    """
    F, T = _market(forward, years, shift)
    given = Parameters(alpha=1.0, beta=beta, nu=0.0, rho=0.0, shift=shift)
    vol = check.one("atm_vol", check.above("atm_vol", atm_vol, 0.0, unit="", hint="A decimal."))
    hint = "Decimals per unit of k."
    bends = [check.one(n, check.finite(n, v, unit="", hint=hint))
             for n, v in (("skew", skew), ("curvature", curvature))]  # fmt: skip
    c = 1.0 - given.beta
    found = _letters(vol, bends[0], bends[1], c, T)
    if found is None:
        near = _curvature(vol, bends[0], bends[1], c, T)
        named = "" if near is None else f"a curvature of {near:.3g}, "
        raise InvalidInput(
            f"no SABR with beta {given.beta:g} has atm_vol {vol:g}, skew {bends[0]:g} and "
            f"curvature {bends[1]:g}: |rho| would be one or more, or the expansion in time breaks "
            f"down. Give {named}a flatter skew, or another beta."
        )
    a, nu, rho = found
    return Parameters(alpha=a * F**c, beta=given.beta, nu=nu, rho=rho, shift=given.shift)


def alpha_of(
    *,
    atm_vol: float,
    beta: float,
    nu: float,
    rho: float,
    forward: float,
    years: float,
    shift: float = 0.0,
) -> float:
    """The least alpha whose vol at the money is `atm_vol`: the smallest positive root of a cubic.

    Raises InvalidInput where no alpha has so high a vol.
    """
    F, T = _market(forward, years, shift)
    vol = check.one("atm_vol", check.above("atm_vol", atm_vol, 0.0, unit="", hint="A decimal."))
    letters = Parameters(alpha=1.0, beta=beta, nu=nu, rho=rho, shift=shift)
    c = 1.0 - letters.beta
    a = kernel.level_of(vol, c, letters.rho, letters.nu, T)
    if not a > 0.0:
        raise InvalidInput(
            f"no alpha has the vol {vol:g} at the money with beta {beta:g}, nu {nu:g} and rho "
            f"{rho:g} at {T:g} years: the expansion in time tops out. Lower nu, or shorten the "
            "expiry."
        )
    return float(a) * F**c


def _letters(
    vol: float, skew: float, curvature: float, c: float, years: float
) -> tuple[float, float, float] | None:
    """a, nu and rho, if there are any."""
    out = np.empty(3)
    found = kernel.letters_of(np.array([vol, skew, curvature]), c, years, out)
    a, p, q = out.tolist()
    if not (found and a > 0.0):
        return None
    if q >= 0.0 and abs(p) < np.sqrt(q) * (1.0 - LEAST_REST):
        return a, float(np.sqrt(q)), p / float(np.sqrt(q))
    return (a, 0.0, 0.0) if p == 0.0 and abs(q) < 1e-12 * vol * vol else None


def _curvature(vol: float, skew: float, curvature: float, c: float, years: float) -> float | None:
    """A curvature near the one given that has letters, of three digits; None if none is found."""
    scale = max(vol, abs(curvature), skew * skew / vol)
    for offset in scale * 2.0 ** np.arange(-6.0, 12.0):
        for near in (curvature + offset, curvature - offset):
            rounded = float(f"{near:.3g}")
            if _letters(vol, skew, rounded, c, years) is not None:
                return rounded
    return None


def _market(forward: float, years: float, shift: float) -> tuple[float, float]:
    hint = "Give a larger shift."
    F = check.one("forward", check.above("forward", forward, 0.0 - shift, unit="", hint=hint))
    hint = "Remove expired rows."
    T = check.one("years", check.at_least("years", years, 0.0, unit="years", hint=hint))
    return F + shift, T
