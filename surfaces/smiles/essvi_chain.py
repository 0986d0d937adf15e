"""Chains of eSSVI slices: the exact bound on psi, the calendar-safe letters, SSVI as a case.

A chain is an array (m, 3) of (theta, rho, psi), expiries rising. It is free of butterflies if every
psi is at most `psi_max`, and of calendar arbitrage if for neighbours

    psi_i (1 -+ rho_i) >= psi_{i-1} (1 -+ rho_{i-1})   and   psi_i/theta_i <= psi_{i-1}/theta_{i-1}.

Mingone's letters (rho_i, a_i, c_i) fill exactly this set with a_i > 0 and c_i in (0, 1):

    p_i = max((1+rho_{i-1})/(1+rho_i), (1-rho_{i-1})/(1-rho_i)),   theta_i = theta_{i-1} p_i + a_i
    A_i = psi_{i-1} p_i,   C_i = min(psi_{i-1} theta_i/theta_{i-1}, f_i, f_{i+1}/p_{i+1}, ...)
    psi_i = A_i + c_i (C_i - A_i),   f_i = psi_max(theta_i, rho_i)

The proposition of Hendriks-Martini (2019) that also allows psi/theta to rise is wrong as printed
(Pasquazzi 2023), so psi/theta never rises here.

Source  Mingone, Quantitative Finance 22 (2022) 2205-2217; Martini-Mingone, SIAM J. Financial Math.
        13 (2022) 227-261 (psi_max); Gatheral-Jacquier 2014 theorem 4.2 (psi_sufficient)
Checked tests/surfaces/smiles/test_essvi.py
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from surfaces import checks as check
from surfaces.errors import InvalidInput
from surfaces.kernels import essvi as kernel

Array = NDArray[np.float64]


def psi_max(theta: ArrayLike, rho: ArrayLike) -> Array:
    """The largest psi at which an SSVI slice has no butterfly: exact, wings included.

    `theta` > 0 is the at-the-money total variance, |rho| < 1; both broadcast.
    """
    theta, rho = _theta_rho(theta, rho)
    shape, (flat_theta, flat_rho) = check.columns(theta, rho)
    out = np.empty(flat_theta.size)
    kernel.fill_psi_max(flat_theta, flat_rho, out)
    return out.reshape(shape)


def psi_sufficient(theta: ArrayLike, rho: ArrayLike) -> Array:
    """Gatheral-Jacquier's sufficient bound min(4/(1+|rho|), 2 sqrt(theta/(1+|rho|)))."""
    theta, rho = _theta_rho(theta, rho)
    wing = 1.0 + np.abs(rho)
    return np.minimum(4.0 / wing, 2.0 * np.sqrt(theta / wing))


def global_chain(*, rho: ArrayLike, a: ArrayLike, c: ArrayLike) -> Array:
    """The chain (m, 3) of Mingone's letters, all of shape (m,); a[0] is theta of the first slice.

    Free of arbitrage whatever the letters, as long as |rho| < 1, a > 0 and 0 < c < 1.
    """
    rho = _rho(rho)
    a = check.above("a", a, 0.0, unit="", hint="a is what theta gains on the least it may be.")
    c = check.above("c", c, 0.0, unit="", hint="c is a share of the room psi has.")
    if not (rho.ndim == 1 and rho.shape == a.shape == c.shape):
        raise InvalidInput(
            f"rho, a, c have shapes {rho.shape}, {a.shape}, {c.shape}, must all be (m,)"
        )
    if not np.all(c < 1.0):
        raise InvalidInput(f"c[{int(np.argmax(c))}] is {c.max():g}, must be < 1. It is a share.")
    p = _least_growth(rho)
    theta = np.empty(rho.size)
    for i in range(rho.size):
        theta[i] = a[i] + (theta[i - 1] * p[i] if i else 0.0)
    room = _room(theta, rho, p)
    psi = np.empty(rho.size)
    for i in range(rho.size):
        low = psi[i - 1] * p[i] if i else 0.0
        high = min(room[i], psi[i - 1] * theta[i] / theta[i - 1]) if i else room[i]
        psi[i] = low + c[i] * (high - low)
    return np.stack((theta, rho, psi), axis=1)


def global_letters(chain: ArrayLike) -> tuple[Array, Array, Array]:
    """Mingone's letters (rho, a, c) of a chain; c is outside (0, 1) where the chain is not free."""
    theta, rho, psi = _chain(chain)
    p = _least_growth(rho)
    room = _room(theta, rho, p)
    low = np.concatenate(([0.0], psi[:-1] * p[1:]))
    high = np.minimum(room, np.concatenate(([np.inf], psi[:-1] * theta[1:] / theta[:-1])))
    a = theta - np.concatenate(([0.0], theta[:-1] * p[1:]))
    return rho, a, (psi - low) / (high - low)


def slack(chain: ArrayLike) -> float:
    """The least relative room a chain leaves in all its conditions; negative means arbitrage."""
    theta, rho, psi = _chain(chain)
    rooms = [1.0 - psi / psi_max(theta, rho)]
    for wing in (psi * (1.0 - rho), psi * (1.0 + rho), theta / psi):
        rooms.append(1.0 - wing[:-1] / wing[1:])
    return float(np.concatenate(rooms).min())


def ssvi_chain(theta: ArrayLike, *, rho: float, eta: float, gamma: float = 0.5) -> Array:
    """SSVI with the power law phi = eta/(theta^gamma (1 + theta)^(1 - gamma)) as a chain (m, 3).

    `theta` (m,) are rising at-the-money total variances. With gamma in (0, 1/2] and
    eta (1 + |rho|) <= 2 it is free of arbitrage (Gatheral-Jacquier 2014, section 4).
    """
    theta = check.above("theta", theta, 0.0, unit="", hint="Total variance at the money.")
    one = float(_rho(rho))
    if not 0.0 < gamma <= 1.0:
        raise InvalidInput(f"gamma is {gamma:g}, must be in (0, 1]")
    if not eta > 0.0:
        raise InvalidInput(f"eta is {eta:g}, must be > 0")
    psi = eta * (theta / (1.0 + theta)) ** (1.0 - gamma)
    return np.stack((theta, np.full(theta.shape, one), psi), axis=-1)


def _least_growth(rho: Array) -> Array:
    """p_i, what psi and theta must grow by at least; one for the first slice."""
    up, down = (1.0 + rho[:-1]) / (1.0 + rho[1:]), (1.0 - rho[:-1]) / (1.0 - rho[1:])
    return np.concatenate(([1.0], np.maximum(up, down)))


def _room(theta: Array, rho: Array, p: Array) -> Array:
    """The largest psi_i that leaves all longer slices a way below their bounds."""
    room = psi_max(theta, rho)
    for i in range(room.size - 2, -1, -1):
        room[i] = min(room[i], room[i + 1] / p[i + 1])
    return room


def _rho(rho: ArrayLike) -> Array:
    out = check.numbers("rho", rho)
    if not np.all(np.abs(out) < 1.0):
        bad = ~(np.abs(out) < 1.0)
        raise InvalidInput(
            f"rho is {out[bad].flat[0]:g}, must be inside (-1, 1) "
            f"({int(bad.sum())} of {out.size} fail). A flat wing is a limit no slice reaches."
        )
    return out


def _theta_rho(theta: ArrayLike, rho: ArrayLike) -> tuple[Array, Array]:
    hint = "theta is vol^2 years at the money."
    return check.above("theta", theta, 0.0, unit="", hint=hint), _rho(rho)


def _chain(chain: ArrayLike) -> tuple[Array, Array, Array]:
    out = check.finite("chain", chain, unit="", hint="Rows are (theta, rho, psi).")
    if out.ndim != 2 or out.shape[1] != 3:
        raise InvalidInput(f"chain has shape {out.shape}, must be (m, 3): theta, rho, psi")
    return out[:, 0], out[:, 1], out[:, 2]
