"""The benchmark of local vol: rows without data, and that what is timed is what is checked."""

import numpy as np
import pytest

from optmm.bench import local_vol as bench
from optmm.bench.referee import library


def silent(words: str) -> None:
    """Nothing."""


def test_what_is_absent_is_skipped_and_says_why(tmp_path):
    found = bench.rows(tmp_path, quick=True, say=silent)
    skipped = [row for row in found if row.measured is None]
    assert len(skipped) == 2
    assert "no reference" in skipped[0].note and "no snapshots" in skipped[1].note
    assert all(row.verdict in ("meets", "shown", "skipped") for row in found)


def test_both_engines_return_vols_that_reprice_and_positive_local_vols(tables):
    """The functions that are timed, on three expiries of an SSVI-like smile without arbitrage."""
    pytest.importorskip("QuantLib")
    T = np.repeat([73.0, 146.0, 365.0], 5) / 365.0
    x = np.tile([0.8, 0.9, 1.0, 1.1, 1.2], 3)
    vol = 0.2 - 0.1 * np.log(x) / np.sqrt(1.0 + T) + 0.01 * T
    ql = library()
    theirs = bench._Theirs(ql, x, T, vol)
    kind = ql.AndreasenHugeVolatilityInterpl
    for got, local in (
        bench._ours(x, T, vol, np.log(x), 240),
        theirs(kind.Linear, kind.Call, 240),
    ):
        assert np.abs(got - vol).max() < bench.BAR
        assert np.all(local > 0.0)
