"""Neighbours in a batch share an exercise boundary; the result must not know it."""

import numpy as np

from surfaces.pricing import american


def test_a_batch_prices_each_option_as_if_alone():
    """A boundary depends on neither spot nor strike, so sharing it may not change one bit."""
    rng = np.random.default_rng(5)
    n = 400
    shared = {
        "right": np.repeat(rng.choice([-1.0, 1.0], n // 4), 4),
        "years": np.repeat(rng.uniform(0.01, 2.0, n // 4), 4),
        "vol": np.repeat(rng.uniform(0.08, 0.7, n // 4), 4),
        "rate": np.repeat(rng.uniform(0.0, 0.08, n // 4), 4),
        "dividend_yield": np.repeat(rng.uniform(0.0, 0.05, n // 4), 4),
    }
    own = {"spot": rng.uniform(60.0, 160.0, n), "strike": rng.uniform(60.0, 160.0, n)}
    together = american.price(**shared, **own)
    order = rng.permutation(n)  # breaks every neighbourhood
    mixed = american.price(**{name: values[order] for name, values in (shared | own).items()})
    np.testing.assert_array_equal(together[order], mixed)
    alone = [
        float(american.price(**{name: values[i] for name, values in (shared | own).items()}))
        for i in range(0, n, 7)
    ]
    np.testing.assert_array_equal(together[::7], alone)
