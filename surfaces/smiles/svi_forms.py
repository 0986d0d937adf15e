"""Three spellings of one SVI curve: raw, natural and jump-wing letters, in both directions.

    raw        w(k) = a + b(rho (k - m) + sqrt((k - m)^2 + sigma^2))
    natural    w(k) = delta + omega/2 (1 + zeta rho (k - mu) + sqrt((zeta (k - mu) + rho)^2
                      + 1 - rho^2))
    jump-wing  v and psi: variance and slope of vol at the money; p and c: left and right wing
               slopes over sqrt(v years); v_tilde: least variance

Letters stand in the first axis, shape (5, ...), and the rest broadcasts. `v` and `v_tilde` are per
year, all other letters are dimensionless.

Source  Gatheral-Jacquier, Quantitative Finance 14 (2014) 59-71, section 3 and section 5.1. The
        inverse of the jump-wing letters is theirs (Lemma 3.2) freed of its case m = 0.
Checked tests/surfaces/smiles/test_svi_forms.py
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from surfaces import checks as check
from surfaces.errors import InvalidInput

Array = NDArray[np.float64]

SINGULAR = 1e-14  # 1 - cos of an angle that rounding has eaten


def natural(theta: ArrayLike) -> Array:
    """Natural letters (delta, mu, rho, omega, zeta) of raw (a, b, rho, m, sigma).

    Raises InvalidInput where |rho| is one: such a curve has no natural letters.
    """
    a, b, rho, m, sigma = _letters("raw", theta)
    _inside("natural letters need |rho| < 1; rho", rho, "keep the raw letters")
    _positive("sigma", sigma)
    root = np.sqrt((1.0 - rho) * (1.0 + rho))
    omega = 2.0 * b * sigma / root
    return np.array(
        [a - 0.5 * omega * root * root, m + rho * sigma / root, rho, omega, root / sigma]
    )


def raw_of_natural(letters: ArrayLike) -> Array:
    """Raw letters of natural ones (delta, mu, rho, omega, zeta); zeta must be positive."""
    delta, mu, rho, omega, zeta = _letters("natural", letters)
    _positive("zeta", zeta)
    _inside("natural letters need |rho| < 1; rho", rho, "give raw letters")
    inner = (1.0 - rho) * (1.0 + rho)
    return np.array(
        [
            delta + 0.5 * omega * inner,
            0.5 * omega * zeta,
            rho,
            mu - rho / zeta,
            np.sqrt(inner) / zeta,
        ]
    )


def jump_wing(theta: Array, years: float) -> Array:
    """Jump-wing letters (v, psi, p, c, v_tilde) of raw parameters, Gatheral-Jacquier eq. 3.5."""
    a, b, rho, m, sigma = theta
    root = np.sqrt(m * m + sigma * sigma)
    w = a + b * (root - rho * m)
    scale = b / np.sqrt(w)
    low = a + b * sigma * np.sqrt(1.0 - rho * rho)
    return np.array(
        [
            w / years,
            0.5 * scale * (rho - m / root),
            scale * (1.0 - rho),
            scale * (1.0 + rho),
            low / years,
        ]
    )


def raw_of_jump_wing(letters: ArrayLike, years: float) -> Array:
    """Raw letters of jump-wing ones (v, psi, p, c, v_tilde).

    A flat curve (p = c = 0) gets b = rho = m = 0 and sigma = 1. Otherwise -p <= 2 psi <= c must
    hold, and v > v_tilde unless they are flat: where the least variance is at the money, jump-wing
    letters do not say how curved the smile is, and InvalidInput asks for the raw ones.
    """
    v, psi, p, c, low = np.broadcast_arrays(*_letters("jump-wing", letters))
    _positive("v", v)
    _refuse("p", p, ~(p >= 0.0), "be >= 0", "p and c are slopes of wings that rise")
    _refuse("c", c, ~(c >= 0.0), "be >= 0", "p and c are slopes of wings that rise")
    flat = p + c == 0.0
    total = np.where(flat, 1.0, p + c)
    rho = (c - p) / total
    beta = rho - 4.0 * psi / total  # m over sqrt(m^2 + sigma^2)
    _refuse(
        "psi", psi, ~flat & ~(np.abs(beta) <= 1.0), "be in [-p/2, c/2]",
        "the slope at the money cannot exceed a wing's",
    )  # fmt: skip
    w = v * years
    b = 0.5 * np.sqrt(w) * np.where(flat, 0.0, total)
    sines = np.sqrt((1.0 - rho) * (1.0 + rho)), np.sqrt((1.0 - beta) * (1.0 + beta))
    bend = 0.5 * ((rho - beta) ** 2 + (sines[0] - sines[1]) ** 2)
    drop = (v - low) * years
    _refuse(
        "v_tilde", low, ~flat & ~((drop > 0.0) & (bend > SINGULAR)), "be < v, and psi not zero",
        "With the least variance at the money the letters leave sigma open; give raw letters.",
    )  # fmt: skip
    root = np.where(flat, 1.0, drop / np.where(flat, 1.0, b * bend))
    beta, rho = np.where(flat, 0.0, beta), np.where(flat, 0.0, rho)
    m, sigma = beta * root, np.where(flat, 1.0, sines[1] * root)
    return np.array([w - b * (root - rho * m), b, rho, m, sigma])


def repaired(letters: ArrayLike) -> Array:
    """Jump-wing letters with c and v_tilde replaced by those of an SSVI slice, v, psi, p kept.

    c' = p + 2 psi and v_tilde' = 4 v p c'/(p + c')^2 (Gatheral-Jacquier section 5.1). The result
    is free of butterflies only if its slopes are within the SSVI bound; `svi_domain.mended` goes on
    until they are.
    """
    v, psi, p, _, _ = _letters("jump-wing", letters)
    c = p + 2.0 * psi
    _refuse("psi", psi, ~((c >= 0.0) & (p + c > 0.0)), "be >= -p/2", "no SSVI slice has it")
    return np.array([v, psi, p, c, 4.0 * v * p * c / (p + c) ** 2])


def _letters(kind: str, values: ArrayLike) -> tuple[Array, ...]:
    """The five letters as float64 arrays, finite."""
    out = check.finite(f"{kind} letters", values, unit="", hint="Fit them to quotes first.")
    if out.ndim == 0 or out.shape[0] != 5:
        raise InvalidInput(f"{kind} letters have shape {out.shape}, must be (5, ...)")
    return tuple(out)


def _positive(name: str, values: Array) -> None:
    check.above(name, values, 0.0, unit="", hint="Zero leaves a kink; use a small positive number.")


def _inside(name: str, values: Array, remedy: str) -> None:
    _refuse(name, values, ~(np.abs(values) < 1.0), "be inside (-1, 1)", remedy)


def _refuse(name: str, values: Array, bad: NDArray[np.bool_], bound: str, remedy: str) -> None:
    bad = np.asarray(bad)
    if bad.any():
        first = float(np.asarray(values)[np.unravel_index(np.argmax(bad), bad.shape)])
        raise InvalidInput(
            f"{name} is {first:g}, must {bound} ({int(bad.sum())} of {bad.size} fail). {remedy}"
        )
