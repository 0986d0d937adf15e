"""exp, log and the normal distribution without a branch, so that loops over them vectorise.

numba has no vector mathematics library: a loop that calls `math.exp` runs one element at a time.
These are plain arithmetic on doubles and their bit patterns. A loop whose body is made of them,
without `break` and with `a if c else b` instead of `if`, runs four or eight elements at a time.

Everything hangs on the Mills ratio M(z) = N(-z) / phi(z), because a ratio does not underflow and a
difference of two Mills ratios is what an option price is made of.

Only the polynomials are compiled with "contract" (a product and a sum in one rounding). Callers use
"nsz" at most: "reassoc" would silently fold away the roundings that `exp_sum` and `log_ratio` are
made of, and "contract" fuses differently in each copy the compiler makes of a function, so that a
process that has just compiled would differ in the last bit from one that loads the result.

Source  the polynomials and the rational are ours: fits to 60-digit values with relative errors
        3e-19 (exp), 5e-19 (log), 1.4e-17 (Mills). All coefficients of the rational are positive, so
        evaluating it cancels nothing; its leading coefficients agree: M(z) -> 1/z.
Checked tests/surfaces/pricing/test_normal.py: units in the last place against 40-digit arithmetic.
"""

import numba as nb
import numpy as np

SQRT_2PI = 2.5066282746310002
INV_SQRT_2PI = 0.3989422804014327

LOG2_E = 1.4426950408889634
LN2_HIGH = 0.6931471804855391  # 33 bits, so that its product with an exponent is exact
LN2_LOW = 7.440617110012397e-11
# Adding 1.5 * 2^52 rounds to an integer and leaves it, in two's complement, in the low bits.
ROUNDER = 6755399441055744.0
ROUNDER_BITS = 4843621399236968448
ONE_BITS = 4607182418800017408
ROOT_HALF_BITS = 4604544271217802189
TWO_52_BITS = 4841369599423283200
LEAST_EXPONENT = -746.0
MOST_EXPONENT = 709.782712893384


@nb.njit(cache=True, error_model="numpy", forceinline=True, fastmath={"nsz"})
def power_of_two(n):
    """2^n of an integer-valued double, -1022 <= n <= 1023."""
    bits = np.float64(n + ROUNDER).view(np.int64) - ROUNDER_BITS
    return np.int64(ONE_BITS + (bits << 52)).view(np.float64)


@nb.njit(cache=True, error_model="numpy", forceinline=True, fastmath={"contract", "nsz"})
def exp_sum(x, rest):
    """exp(x + rest) for a small `rest` that would be lost in the sum; zero below -746."""
    z = x + rest
    z = LEAST_EXPONENT if z < LEAST_EXPONENT else z
    top = np.inf if z > MOST_EXPONENT else 1.0
    z = MOST_EXPONENT if z > MOST_EXPONENT else z
    x = z - rest if (z == LEAST_EXPONENT) | (z == MOST_EXPONENT) else x
    n = (z * LOG2_E + ROUNDER) - ROUNDER
    r = (x - n * LN2_HIGH) + (rest - n * LN2_LOW)
    p = 2.09147553258932e-09
    p = p * r + 2.510531272962210e-08
    p = p * r + 2.755727347871858e-07
    p = p * r + 2.755725517000089e-06
    p = p * r + 2.480158732567746e-05
    p = p * r + 0.0001984126987500228
    p = p * r + 0.0013888888888883711
    p = p * r + 0.008333333333326084
    p = p * r + 0.04166666666666667
    p = p * r + 0.1666666666666667
    p = p * r + 0.5
    grown = 1.0 + (r + r * r * p)
    half = (n * 0.5 + ROUNDER) - ROUNDER  # two factors, so that tiny results are subnormal
    return grown * power_of_two(half) * power_of_two(n - half) * top


@nb.njit(cache=True, error_model="numpy", forceinline=True, fastmath={"contract", "nsz"})
def exp(x):
    """exp(x) within 1 unit in the last place; zero below -746, infinite above 709.78."""
    return exp_sum(x, 0.0)


@nb.njit(cache=True, error_model="numpy", forceinline=True, fastmath={"contract", "nsz"})
def log_ratio(a, b):
    """ln(a/b), relatively exact also near a = b; a, b and a/b positive, normal, below 8.9e307.

    With 2^e the power nearest to a/b, ln(a/b) = e ln 2 + 2 artanh((a - 2^e b) / (a + 2^e b)), and
    that difference is exact.
    """
    shifted = np.float64(a / b).view(np.int64) + (ONE_BITS - ROOT_HALF_BITS)
    e_bits = shifted >> 52
    scaled = b * np.int64(e_bits << 52).view(np.float64)
    e = np.int64(e_bits | TWO_52_BITS).view(np.float64) - 4503599627371519.0  # 2^52 + 1023
    u = (a - scaled) / (a + scaled)
    y = u * u
    p = 0.13088034850927555
    p = p * y + 0.13268638369266825
    p = p * y + 0.15386244737621665
    p = p * y + 0.18181795547521137
    p = p * y + 0.22222222392581045
    p = p * y + 0.28571428570799784
    p = p * y + 0.40000000000000885
    p = p * y + 0.6666666666666666
    return e * LN2_HIGH + (2.0 * u + (u * y * p + e * LN2_LOW))


@nb.njit(cache=True, error_model="numpy", forceinline=True, fastmath={"contract", "nsz"})
def log(x):
    """ln(x) within 2 units in the last place, for positive normal numbers below 8.9e307."""
    return log_ratio(x, 1.0)


@nb.njit(cache=True, error_model="numpy", forceinline=True, fastmath={"contract", "nsz"})
def mills(z):
    """M(z) = N(-z) / phi(z) for z >= -1, within 5 units in the last place to z = 3, 10 past it."""
    y = 1e20 if z > 1e20 else z + 1.0  # so that no power of it overflows
    p = 9.384941474984793e-07
    p = p * y + 2.533967881738017e-05
    p = p * y + 0.0003519775276648731
    p = p * y + 0.00323863944236919
    p = p * y + 0.02166465188948928
    p = p * y + 0.10991684137523021
    p = p * y + 0.43056553346323606
    p = p * y + 1.3038383844003496
    p = p * y + 3.0070833344810697
    p = p * y + 5.084502025080562
    p = p * y + 5.78149653022928
    p = p * y + 3.4770518117036944
    q = 9.384941474984794e-07
    q = q * y + 2.4401184669881647e-05
    q = q * y + 0.00032757634299501623
    q = q * y + 0.0029129400876639197
    q = q * y + 0.01880239116003911
    q = q * y + 0.09181277426703674
    q = q * y + 0.34507237074941494
    q = q * y + 0.9998595157982276
    q = q * y + 2.2063484161990137
    q = q * y + 3.6022273057766605
    q = q * y + 4.117383788225375
    q = q * y + 2.950358205018076
    q = q * y + 1.0
    return p / q


@nb.njit(cache=True, error_model="numpy", forceinline=True, fastmath={"nsz"})
def grown_density(g, z):
    """exp(g) phi(z) in one exponential, with the rounding of z^2 taken out.

    Squaring z loses z^2/2 units in the last place of the result; z = coarse + rest with a square
    of `coarse` that is exact keeps them.
    """
    z = -z if z < 0.0 else z
    z = 1e3 if z > 1e3 else z
    coarse = ((z * 16.0 + ROUNDER) - ROUNDER) * 0.0625
    rest = (coarse - z) * (coarse + z)
    return INV_SQRT_2PI * exp_sum(-0.5 * coarse * coarse, 0.5 * rest + g)


@nb.njit(cache=True, error_model="numpy", forceinline=True, fastmath={"nsz"})
def density(z):
    """phi(z) = exp(-z^2/2) / sqrt(2 pi), within 4 units in the last place."""
    return grown_density(0.0, z)


@nb.njit(cache=True, error_model="numpy", forceinline=True, fastmath={"nsz"})
def grown_cdf(g, z):
    """exp(g) N(z) for a `g` of any sign; exact to rounding for z <= 0, else as 1 - N(-z) is."""
    y = -z if z < 0.0 else z
    tail = grown_density(g, y) * mills(y)
    return tail if z <= 0.0 else exp(g) - tail


@nb.njit(cache=True, error_model="numpy", forceinline=True, fastmath={"nsz"})
def cdf(z):
    """N(z) within 6 units in the last place from z = -3 up, 12 in the far left tail."""
    y = -z if z < 0.0 else z
    tail = density(y) * mills(y)
    return tail if z <= 0.0 else 1.0 - tail
