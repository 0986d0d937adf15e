"""The normal kernel against scipy and against 70-digit arithmetic, in units of the last place."""

from decimal import Decimal, localcontext

import numpy as np
import pytest
from scipy import special

from surfaces.kernels import normal

EPS = np.finfo(float).eps


def test_mills_ratio_agrees_with_scipys_erfcx():
    z = np.concatenate([np.linspace(0.0, 40.0, 20_001), np.logspace(1.6, 12, 200)])
    got = np.array([normal.mills(float(v)) for v in z])
    want = np.sqrt(np.pi / 2) * special.erfcx(z / np.sqrt(2))
    assert np.max(np.abs(got / want - 1)) <= 6 * EPS  # both sides round


@pytest.mark.parametrize("x", [-37.3, -30.1, -20.7, -9.3, -5.123, -1.0, -0.01, 0.0, 0.7, 3.3, 9.5])
def test_cdf_has_relative_accuracy_in_the_far_left_tail(x):
    """math.erfc loses x^2 units of the last place to the rounding of x / sqrt(2)."""
    with localcontext() as context:
        context.prec = 60
        d = Decimal(x)
        ratio = Decimal(0)
        for k in range(3000, 0, -1):
            ratio = k / (abs(d) + ratio) if d or ratio else Decimal(0)
        if abs(x) >= 1.0:
            two_pi = 2 * Decimal("3.141592653589793238462643383279502884197169399375105820974944")
            tail = (-d * d / 2).exp() / two_pi.sqrt() / (abs(d) + ratio)
            want = tail if x < 0 else 1 - tail
        else:
            want = Decimal(float(special.ndtr(x)))
        assert abs(Decimal(normal.cdf(x)) / want - 1) <= Decimal(5 * EPS)


def test_cdf_is_complementary_and_saturates():
    x = np.linspace(-8, 8, 4001)
    total = np.array([normal.cdf(float(v)) + normal.cdf(float(-v)) for v in x])
    assert np.max(np.abs(total - 1)) <= EPS
    assert normal.cdf(-np.inf) == 0.0
    assert normal.cdf(np.inf) == 1.0
    assert np.isnan(normal.cdf(np.nan))
    assert normal.cdf(-40.0) == 0.0
