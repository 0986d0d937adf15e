"""The constants an American engine is made of: nodes, quadrature points, interpolation matrices."""

import numpy as np
from numpy.typing import NDArray

from surfaces.kernels.american_boundary import (
    BLOCK,
    DOWN,
    K_NEWTON,
    K_SWEEPS,
    ROOT,
    SHARE,
    T4,
    WEIGHT,
    Engine,
)

Floats = NDArray[np.float64]


def build(*, nodes: int, inner: int, outer: int, newton: int, sweeps: int) -> Engine:
    """An engine that holds no boundary yet.

    `nodes` (rounded up to whole blocks of vectors) on the boundary, `inner` points in the integrals
    of its equation, `outer` in the premium's; `newton` steps on QD+, then `sweeps` of the equation.
    """
    nodes = -(-nodes // BLOCK) * BLOCK
    extrema = -np.cos(np.pi * np.arange(nodes + 1) / nodes)
    root = 0.5 * (1.0 + extrema[1:])
    v, w, left = _time_quadrature(inner)
    outer_v, outer_w, outer_left = _time_quadrature(outer)
    from_nodes = _interpolation(2.0 * left[:, None] * root - 1.0, extrema)[..., 1:]
    at_expiry = np.zeros((nodes, nodes))
    engine = Engine(
        node=np.zeros((DOWN + 1, nodes)),
        point=np.zeros((T4 + 1, nodes * (inner + 1))),
        outer=np.zeros((T4 + 1, outer)),
        inner=np.concatenate((from_nodes.reshape(-1, nodes), at_expiry)).T.copy(),
        blend=_interpolation(2.0 * outer_left - 1.0, extrema)[:, 1:].T.copy(),
        key=np.full(K_SWEEPS + 1, np.nan),
    )
    engine.node[ROOT] = root
    engine.point[SHARE] = np.outer(np.append(v, 1.0), root).ravel()
    engine.point[WEIGHT] = np.outer(np.append(w, 0.0), root**2).ravel()
    engine.outer[SHARE], engine.outer[WEIGHT] = outer_v, outer_w
    engine.key[K_NEWTON], engine.key[K_SWEEPS] = newton, sweeps
    return engine


def fresh(engine: Engine) -> Engine:
    """A copy with its own work space; the matrices are shared, nobody writes to them."""
    return engine._replace(
        node=engine.node.copy(),
        point=engine.point.copy(),
        outer=engine.outer.copy(),
        key=engine.key.copy(),
    )


def _time_quadrature(points: int) -> tuple[Floats, Floats, Floats]:
    """(v, weights, sqrt(1 - v^2)) for integrals over t = tau v^2 in [0, tau], divided by tau.

    Gauss-Legendre in the angle of v = sin(angle): the integrand is smooth in v at one end and in
    sqrt(1 - v^2), through the boundary, at the other; in the angle it is smooth at both.
    """
    x, w = np.polynomial.legendre.leggauss(points)
    angle = 0.25 * np.pi * (1.0 + x)
    return np.sin(angle), 0.25 * np.pi * w * np.sin(2.0 * angle), np.cos(angle)


def _interpolation(at: Floats, nodes: Floats) -> Floats:
    """Barycentric weights, shape (*at.shape, nodes), from values at Chebyshev extrema to `at`."""
    signs = (-1.0) ** np.arange(nodes.size)
    signs[[0, -1]] *= 0.5
    terms = signs / (at[..., None] - nodes)  # quadrature points are never Chebyshev extrema
    return np.ascontiguousarray(terms / terms.sum(axis=-1, keepdims=True))
