"""The exact domain of raw SVI without butterflies, and the way back into it.

Durrleman's g of a raw SVI curve is a polynomial of degree ten over a positive one (see the kernel),
so its sign on the whole real line, wings included, is decided by algebra and not by a grid. A curve
at Lee's slope of two counts as outside, since its call price does not vanish at infinity.

`mended` keeps w(0) and w'(0) where an arbitrage-free curve has them. With both fixed, a raw SVI has
three letters left: its two wing slopes and sqrt(m^2 + sigma^2). It moves these towards an SSVI
slice that is inside, only as far as needed, on the shortest of three paths.

Units   w dimensionless total variance, k = ln(strike/forward)
Source  Martini-Mingone, SIAM J. Financial Math. 13 (2022) 227-261 (the least sigma); Lee 2004;
        Gatheral-Jacquier 2014 section 5.1 (an SSVI slice as the target of a repair)
Checked tests/surfaces/smiles/test_svi_domain.py
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from surfaces import checks as check
from surfaces.errors import InvalidInput
from surfaces.kernels import svi_domain as kernel

Array = NDArray[np.float64]

MARGIN = 1e-7  # of g, what a mended curve keeps from the edge of the domain
LEE = 2.0 * (1.0 - 1e-9)
STEPS = np.array([60, 30])  # bisections of a bound to the last bit, and of a repair's path
MOST_SHRINKS = 200
SHRINK = 0.8  # of the slope at the money, each time no curve with that slope is free


def is_free(theta: ArrayLike) -> bool:
    """Whether raw (a, b, rho, m, sigma) is proved free of butterflies on the whole real line."""
    return kernel.judge(_raw(theta), 0.0, np.empty(1)) == kernel.FREE


def lowest_g(theta: ArrayLike) -> tuple[float, float]:
    """The greatest lower bound of Durrleman's g over all k, proved, and a k near where it is.

    A wing's limit is reported at a large k. Minus infinity where w <= 0 somewhere or a wing is
    steeper than Lee allows; a flat curve has g = 1.
    """
    raw, at = _raw(theta), np.zeros(1)
    if not kernel.proper(raw):
        return -np.inf, float(raw[3])
    if raw[1] == 0.0:
        return 1.0, 0.0
    return float(kernel.lowest_g(raw, STEPS[0], at)), float(at[0])


def least_sigma(theta: ArrayLike) -> float:
    """The smallest sigma free of butterflies at the b, rho, m/sigma and a/(b sigma) of `theta`.

    Scaling a, m and sigma together by sigma's ratio keeps these four, and every larger sigma is
    free too. Zero if all are, infinity if none is (Fukasawa's conditions fail).
    """
    raw = _raw(theta)
    if not kernel.proper(raw):
        return np.inf
    return 0.0 if raw[1] == 0.0 else float(kernel.least_sigma(raw, STEPS[0]))


def mended(theta: ArrayLike) -> Array:
    """The curve itself if free of butterflies, else one that is, with w(0) and w'(0) kept.

    The slope at the money is reduced only where no SSVI slice with that slope is free; a level
    w(0) <= 0 is lifted. Never fails on finite letters.
    """
    raw = _raw(theta)
    if is_free(raw):
        return raw
    start = _held(raw)
    goal = _ssvi_target(start)
    paths = [goal]
    paths.append(np.array([*goal[:4], start[4]]))
    paths.extend(np.array([*start[:4], start[4] + step]) for step in (0.5, 1.0, 2.0))
    z = np.linspace(-3.0, 3.0, 61)
    best, least = _raw_of(goal), np.inf
    for end in paths:
        if not _inside(_raw_of(end)):
            continue
        found = _raw_of(_first_inside(start, end))
        moved = _vol(found, z, start[0]) - _vol(_raw_of(start), z, start[0])
        far = float(moved @ moved)
        if far < least:
            best, least = found, far
    return best


def _raw(theta: ArrayLike) -> Array:
    raw = check.finite("theta", theta, unit="", hint="Fit the curve first.")
    if raw.shape != (5,):
        raise InvalidInput(f"theta has shape {raw.shape}, must be (5,): one raw SVI curve")
    return np.array(raw)


def _inside(raw: Array) -> bool:
    return kernel.judge(raw, MARGIN, np.empty(1)) == kernel.FREE


def _held(raw: Array) -> Array:
    """(w(0), w'(0), left slope, right slope, ln sqrt(m^2 + sigma^2)), wings within Lee's bound."""
    a, b, rho, m, sigma = raw
    b, rho, sigma = max(b, 1e-9), min(max(rho, -1.0 + 1e-9), 1.0 - 1e-9), max(sigma, 1e-9)
    root = np.hypot(m, sigma)
    slope = b * (rho - m / root)
    left, right = min(b * (1.0 - rho), LEE), min(b * (1.0 + rho), LEE)
    slope = min(max(slope, -left * (1.0 - 1e-9)), right * (1.0 - 1e-9))
    level = a + b * (root - rho * m)
    return np.array([level if level > 0.0 else 1e-4, slope, left, right, np.log(root)])


def _raw_of(held: Array) -> Array:
    """Raw letters of a curve given as `_held` gives it."""
    level, slope, left, right, log_root = held
    b, rho, root = 0.5 * (left + right), (right - left) / (left + right), np.exp(log_root)
    beta = min(max(rho - slope / b, -1.0), 1.0)
    m, sigma = beta * root, np.sqrt((1.0 - beta) * (1.0 + beta)) * root
    return np.array([level - b * (root - rho * m), b, rho, m, sigma])


def _ssvi_target(held: Array) -> Array:
    """An SSVI slice inside the domain with the level, and if one has it the slope, of `held`."""
    level, slope = held[:2]
    steep = held[2] + held[3]  # psi of an SSVI slice is the sum of its wing slopes
    for _ in range(MOST_SHRINKS):
        least = abs(slope) * (1.0 + 1e-6) + 1e-9
        for psi in np.geomspace(max(steep, least), least, 24):
            tilt = slope / psi
            trial = np.array(
                [
                    level,
                    slope,
                    0.5 * psi * (1.0 - tilt),
                    0.5 * psi * (1.0 + tilt),
                    np.log(level / psi),
                ]
            )
            if _inside(_raw_of(trial)):
                return trial
        slope *= SHRINK
        steep = abs(slope) + SHRINK * (steep - abs(slope))
    return np.array([level, 0.0, 1e-9, 1e-9, 0.0])


def _first_inside(start: Array, end: Array) -> Array:
    """A point inside as near to `start` as bisection of the way to `end` finds; `end` is inside."""
    outside, inside = 0.0, 1.0
    for _ in range(STEPS[1]):
        middle = 0.5 * (outside + inside)
        if _inside(_raw_of(start + middle * (end - start))):
            inside = middle
        else:
            outside = middle
    return start + inside * (end - start)


def _vol(raw: Array, z: Array, level: float) -> Array:
    """sqrt(w) over z deviations either side of the money."""
    a, b, rho, m, sigma = raw
    d = z * np.sqrt(level) - m
    return np.sqrt(np.maximum(a + b * (rho * d + np.sqrt(d * d + sigma * sigma)), 0.0))
