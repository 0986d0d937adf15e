"""The solver's linear algebra against numpy's."""

import numba as nb
import numpy as np

from surfaces.kernels import mixture_linear as linear
from surfaces.kernels.mixture_linear import BORDER


@nb.njit
def solve(H, n, x):
    """Factorise and solve in place; the kernels are for other kernels, so one calls them here."""
    frozen = linear.factor(H, n, n + BORDER)
    linear.forward(H, n, n + BORDER, x)
    linear.backward(H, n + BORDER, x)
    return frozen


@nb.njit
def eliminate(H, n, p, C, T, S):
    linear.factor(H, n, n + BORDER)
    linear.forward_rows(H, n, p, C, T)
    linear.sub_gram(T, n, p, S)


@nb.njit
def multiply(X, spans, u, w, out, back, H, C):
    linear.times(X, spans, u, 0, out)
    linear.add_times(X, spans, w, 0, -2.0, back)
    linear.add_gram(X, spans, 0, w, H)
    linear.sub_cross(X, spans, X, spans, 0, w, C)


def bordered(rng, n):
    """A positive matrix with two border rows: whole, and as the kernel takes it."""
    A = rng.normal(size=(n, n))
    K = np.zeros((n + BORDER, n + BORDER))
    K[:n, :n] = A @ A.T + np.eye(n)
    K[n:, :n] = rng.normal(size=(BORDER, n))
    K[:n, n:] = K[n:, :n].T
    return K


def test_a_factor_solves_the_bordered_system():
    rng = np.random.default_rng(11)
    for n in (2, 5, 8, 31):
        K, b = bordered(rng, n), rng.normal(size=n + BORDER)
        H, x = np.tril(K), b.copy()
        assert solve(H, n, x) == 0
        np.testing.assert_allclose(K @ x, b, atol=1e-9)


def test_eliminating_a_block_leaves_its_schur_complement():
    rng = np.random.default_rng(12)
    for n, p in ((6, 3), (9, 10), (30, 31)):
        K, C = bordered(rng, n), rng.normal(size=(p, n))
        H, T, S = np.tril(K), np.zeros((n + BORDER, p)), np.zeros((p, p))
        eliminate(H, n, p, C, T, S)
        whole = np.c_[C, np.zeros((p, BORDER))]
        wanted = -whole @ np.linalg.solve(K, whole.T)
        np.testing.assert_allclose(np.tril(S), np.tril(wanted), atol=1e-9)


def test_products_skip_zeros_and_nothing_else():
    rng = np.random.default_rng(13)
    for q in (1, 3, 4, 29):
        spans = np.sort(rng.integers(0, 13, (q, 2)), axis=1)
        columns = np.arange(12)
        X = rng.normal(size=(q, 12)) * ((columns >= spans[:, :1]) & (columns < spans[:, 1:]))
        u, w = rng.normal(size=12), rng.uniform(size=q)
        out, back, H, C = np.zeros(q), np.zeros(12), np.zeros((12, 12)), np.zeros((12, 12))
        multiply(X, spans, u, w, out, back, H, C)
        np.testing.assert_allclose(out, X @ u, atol=1e-13)
        np.testing.assert_allclose(back, -2.0 * X.T @ w, atol=1e-13)
        gram = X.T @ (w[:, None] * X)
        np.testing.assert_allclose(np.tril(H), np.tril(gram), atol=1e-13)
        np.testing.assert_allclose(C, -gram, atol=1e-13)
