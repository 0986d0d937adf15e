"""Who keeps a certificate when curves cross: SVI and flat curves whose order is known by heart."""

import numpy as np
import pytest

from surfaces.certificate import Subject, certify
from surfaces.smiles import SMILES
from surfaces.smiles.base import CurveStack


def subject(variances, years, path=None, models=None):
    """Flat curves of these variances, quoted from -0.3 to 0.2."""
    m = len(variances)
    path = path or ("mixture",) * m
    return Subject(
        stack=CurveStack.of_curves([SMILES["flat"]] * m, [np.array([w]) for w in variances]),
        years=np.array(years, float),
        quoted=np.tile([-0.3, 0.2], (m, 1)),
        there=np.ones(m, bool),
        own=np.array([p not in ("flat", "last_good") for p in path]),
        models=models or ("flat",) * m,
    )


def verdicts(*args, **kwargs):
    return certify(subject(*args, **kwargs), 101).certified.tolist()


def test_curves_in_order_are_certified_out_to_their_reach():
    found = certify(subject([0.01, 0.02, 0.04], [0.1, 0.2, 0.5]), 101)
    assert found.certified.all()
    np.testing.assert_allclose(found.reach, np.tile([-0.375, 0.275], (3, 1)))
    assert found.calendar_margin[1:].tolist() == pytest.approx([0.5, 0.5])


def test_a_crossing_takes_the_certificate_from_both():
    assert verdicts([0.01, 0.03, 0.02, 0.05], [0.1, 0.2, 0.3, 0.4]) == [True, False, False, True]


def test_a_stopgap_alone_is_to_blame():
    path = ("mixture", "flat", "mixture")
    assert verdicts([0.01, 0.05, 0.02], [0.1, 0.2, 0.3], path=path) == [True, False, True]


def test_two_stopgaps_beside_each_other_are_compared():
    path = ("mixture", "last_good", "last_good", "mixture")
    got = verdicts([0.01, 0.03, 0.02, 0.05], [0.1, 0.2, 0.3, 0.4], path=path)
    assert got == [True, False, False, True]


def test_slices_that_become_neighbours_are_compared():
    """0.05 and 0.04 are apart by a pair that crosses, and cross each other."""
    got = verdicts([0.05, 0.06, 0.01, 0.04], [0.1, 0.2, 0.3, 0.4])
    assert got == [False, False, False, False]


def test_two_roots_of_one_instant_are_both_compared_with_the_expiry_before():
    assert verdicts([0.02, 0.03, 0.01], [0.1, 0.2, 0.2]) == [False, True, False]


def test_a_kinked_curve_is_never_certified():
    assert verdicts([0.01, 0.02], [0.1, 0.2], models=("flat", "parabola")) == [True, False]
