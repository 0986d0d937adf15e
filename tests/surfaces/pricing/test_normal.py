"""The branch-free functions in units of the last place over their whole range, against 64-bit
mantissas (numpy's long double) and 60-digit decimals."""

from decimal import Decimal, localcontext
from functools import cache

import numba as nb
import numpy as np
import pytest
from scipy import special

from surfaces.kernels import normal

EPS = np.finfo(float).eps
LONG = np.longdouble
needs_long = pytest.mark.skipif(
    np.finfo(LONG).nmant < 63, reason="long double is no wider than double on this machine"
)


def ulps(got, want):
    """|got - want| in units of the last place of `want` rounded to double."""
    return np.abs(got.astype(LONG) - want) / np.spacing(np.abs(want).astype(float)).astype(LONG)


@cache
def loop(function, count):
    """A compiled loop of the function, as kernels use it: vectorised where it can be."""
    if count == 1:

        @nb.njit(error_model="numpy", fastmath={"contract", "nsz"})
        def fill(a, out):
            for i in range(out.size):
                out[i] = function(a[i])

    else:

        @nb.njit(error_model="numpy", fastmath={"contract", "nsz"})
        def fill(a, b, out):
            for i in range(out.size):
                out[i] = function(a[i], b[i])

    return fill


def over(function, *columns):
    """The function of every element."""
    out = np.empty(columns[0].size)
    loop(function, len(columns))(*(np.ascontiguousarray(c, dtype=float) for c in columns), out)
    return out


def long_mills(z):
    """M(z) for -1 <= z in long double: Taylor's series below 3, the continued fraction above."""
    z = z.astype(LONG)
    root = np.sqrt(LONG("1.5707963267948966192313216916397514420985846996876"))
    small = np.minimum(z, LONG(3))
    term = total = small
    for k in range(1, 120):
        term = term * small * small / (2 * k + 1)
        total = total + term
    near = root * np.exp(small * small / 2) - total
    large = np.maximum(z, LONG(3))
    fraction = np.zeros_like(large)
    for k in range(400, 0, -1):
        fraction = k / (large + fraction)
    return np.where(z < 3, near, 1 / (large + fraction))


@needs_long
def test_exp_over_its_whole_range():
    x = np.concatenate([np.linspace(-708.0, 709.7, 200_001), 10.0 ** np.linspace(-300, 0, 4001)])
    assert np.max(ulps(over(normal.exp, x), np.exp(x.astype(LONG)))) <= 1.0
    tiny = np.linspace(-745.1, -708.4, 5001)  # subnormal results: units of 5e-324
    assert np.max(np.abs(over(normal.exp, tiny) - np.exp(tiny)) / 5e-324) <= 1


def test_exp_saturates_and_passes_nan():
    x = np.array([-np.inf, -1e308, -750.0, 709.79, 1e308, np.inf, np.nan, 0.0, -0.0])
    want = [0.0, 0.0, 0.0, np.inf, np.inf, np.inf, np.nan, 1.0, 1.0]
    np.testing.assert_array_equal(over(normal.exp, x), want)


@needs_long
def test_exp_sum_keeps_what_the_sum_would_lose():
    rng = np.random.default_rng(1)
    x, rest = rng.uniform(-700, 700, 100_000), rng.uniform(-1.0, 1.0, 100_000)
    want = np.exp(x.astype(LONG) + rest.astype(LONG))
    assert np.max(ulps(over(normal.exp_sum, x, rest), want)) <= 1.5


@needs_long
def test_log_over_its_whole_range():
    x = np.concatenate([10.0 ** np.linspace(-307, 307.9, 200_001), np.linspace(0.5, 2.0, 100_001)])
    x = x[x != 1.0]
    assert np.max(ulps(over(normal.log, x), np.log(x.astype(LONG)))) <= 2.0
    assert over(normal.log, np.array([1.0]))[0] == 0.0


@needs_long
def test_log_of_a_ratio_is_relatively_exact_near_one():
    """ln(a/b) where a = b (1 + d): the quotient alone would have lost d's digits."""
    rng = np.random.default_rng(2)
    b = 10.0 ** rng.uniform(-100, 100, 200_000)
    a = b * (1.0 + 10.0 ** rng.uniform(-15, 0, 200_000) * rng.choice([-0.9, 1.0], 200_000))
    keep = a != b
    want = np.log1p((a.astype(LONG) - b.astype(LONG)) / b.astype(LONG))
    assert np.max(ulps(over(normal.log_ratio, a, b), want)[keep]) <= 2.5


@needs_long
def test_mills_ratio_over_its_whole_range():
    z = np.concatenate([np.linspace(-1.0, 40.0, 200_001), 10.0 ** np.linspace(1.6, 18, 2001)])
    error = ulps(over(normal.mills, z), long_mills(z))
    assert np.max(error[z < 3.0]) <= 5.0
    assert np.max(error) <= 10.0


@needs_long
def test_density_and_cdf_over_their_whole_range():
    z = np.linspace(-37.5, 37.5, 200_001)
    wide = z.astype(LONG)
    two_pi = LONG("6.283185307179586476925286766559005768394338798750")
    phi = np.exp(-wide * wide / 2) / np.sqrt(two_pi)
    # squaring in long double loses z^2/2 of its own last place, 2^-11 of ours
    assert np.max(ulps(over(normal.density, z), phi)) <= 4.0
    tail = phi * long_mills(np.abs(z))
    want = np.where(wide <= 0, tail, 1 - tail)
    error = ulps(over(normal.cdf, z), want)
    assert np.max(error[z > -3.0]) <= 6.0
    assert np.max(error) <= 12.0
    grown = over(normal.grown_cdf, np.full(z.size, 0.25), z)
    assert np.max(ulps(grown, want * np.exp(LONG("0.25")))) <= 13.0


def test_mills_ratio_agrees_with_scipys_erfcx():
    z = np.concatenate([np.linspace(0.0, 40.0, 20_001), np.logspace(1.6, 12, 200)])
    want = np.sqrt(np.pi / 2) * special.erfcx(z / np.sqrt(2))
    assert np.max(np.abs(over(normal.mills, z) / want - 1)) <= 6 * EPS  # both sides round


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
    assert np.max(np.abs(over(normal.cdf, x) + over(normal.cdf, -x) - 1)) <= EPS
    ends = np.array([-np.inf, -40.0, np.inf, np.nan])
    np.testing.assert_array_equal(over(normal.cdf, ends), [0.0, 0.0, 1.0, np.nan])
