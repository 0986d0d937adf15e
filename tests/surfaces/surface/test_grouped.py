"""Group by group, numpy says the same."""

import numpy as np

from surfaces import grouped


def test_counts_totals_and_medians_are_those_of_numpy():
    rng = np.random.default_rng(0)
    sizes = [1, 0, 2, 7, 8, 0, 3, 0]
    of = np.repeat(np.arange(8), sizes)
    values = rng.standard_normal(of.size)
    medians = grouped.median(values, of, 8)
    for j, size in enumerate(sizes):
        mine = values[of == j]
        assert grouped.count(values > 0.0, of, 8)[j] == np.count_nonzero(mine > 0.0)
        np.testing.assert_allclose(grouped.total(values, of, 8)[j], mine.sum(), rtol=1e-14)
        assert medians[j] == np.median(mine) if size else np.isnan(medians[j])


def test_nothing_has_no_median():
    assert np.isnan(grouped.median(np.zeros(0), np.zeros(0, np.int64), 3)).all()
