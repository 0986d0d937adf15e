"""Value at risk and expected shortfall of a book over one day.

The delta-gamma-vega form is P&L = drift + l'x + x'Qx / 2 with x normal. Rotated so that the factors
are independent and Q diagonal, it is drift + sum(d_i y_i + g_i y_i^2 / 2), whose characteristic
function is known; its distribution follows by inversion (Imhof; Davies for the sum that replaces
the integral), without sampling error. Cornish-Fisher uses four cumulants: fast, and wrong in the
tails of books with much gamma.

Units   USD. Factors: x[0] the return of spot, x[1:] the change of vol of each expiry in decimals.
        Losses are positive: VaR 95 % is minus the 5 % quantile of P&L.
Source  J. Imhof, Biometrika 48 (1961) 419-426; R. Davies, Biometrika 60 (1973) 415-417;
        C. Acerbi, D. Tasche, J. Banking & Finance 26 (2002) 1487-1503 (discrete tail mean).
Checked tests/optmm/risk/test_var.py: Imhof's printed table, noncentral chi-square, normal closed
        forms, simulation.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, special

from optmm.errors import UsageError

Array = NDArray[np.float64]

_REACH = 40.0  # standard deviations either side that the inversion sees as one period
_MAX_TERMS = 1 << 16  # error below 1e-4 standard deviations where one factor is all but alone
_NEGLIGIBLE = 1e-12


@dataclass(frozen=True, slots=True)
class RiskFigure:
    """VaR and expected shortfall in USD, > 0 is a loss, and how they were come by."""

    var_usd: float
    es_usd: float
    var_level: float
    es_level: float
    method: str
    scenarios: int  # 0 where the law is exact
    quantile_rule: str


@dataclass(frozen=True)
class QuadraticLaw:
    """Law of drift + sum(d_i y_i + g_i y_i^2 / 2), y independent standard normal."""

    drift: float
    linear: Array  # d, shape (k,)
    quadratic: Array  # g, shape (k,)

    @cached_property
    def mean(self) -> float:
        """First cumulant."""
        return self.drift + 0.5 * float(self.quadratic.sum())

    @cached_property
    def std(self) -> float:
        """Root of the second cumulant."""
        return math.sqrt(float(np.sum(self.linear**2 + 0.5 * self.quadratic**2)))

    @cached_property
    def _nodes(self) -> tuple[float, Array, NDArray[np.complex128]]:
        """Spacing, half-odd nodes t and the characteristic function of Q - mean on them."""
        step = 2.0 * math.pi / (_REACH * self.std)
        size = 1 << 10
        t: Array
        while True:
            # Until the last term is nothing, or the number of terms is what a report may cost.
            t = (np.arange(size, dtype=np.float64) + 0.5) * step
            if size >= _MAX_TERMS or abs(self._phi(t[-1:])[0]) < _NEGLIGIBLE * size:
                return step, t, self._phi(t)
            size *= 4

    def _phi(self, t: Array) -> NDArray[np.complex128]:
        log_phi = -0.5j * t * float(self.quadratic.sum())
        for d, g in zip(self.linear, self.quadratic, strict=True):
            denominator = 1.0 - 1j * t * g
            log_phi = log_phi - 0.5 * np.log(denominator) - 0.5 * (d * t) ** 2 / denominator
        return np.exp(log_phi)

    def cdf(self, x: float) -> float:
        """P(P&L <= x)."""
        if self.std == 0.0:
            return float(x >= self.mean)
        if self.linear.size == 1:
            return _one_factor(self, x)[0]
        _, t, phi = self._nodes
        terms = (phi * np.exp(-1j * t * (x - self.mean))).imag / (np.arange(t.size) + 0.5)
        return min(max(0.5 - float(terms.sum()) / math.pi, 0.0), 1.0)

    def quantile(self, probability: float) -> float:
        """The x with P(P&L <= x) = probability, USD."""
        if not 0.0 < probability < 1.0:
            raise UsageError(f"probability is {probability:g}, must be inside (0, 1)")
        if self.std == 0.0:
            return self.mean
        reach = 0.5 * _REACH * self.std
        return float(
            optimize.brentq(
                lambda x: self.cdf(x) - probability,
                self.mean - reach,
                self.mean + reach,
                xtol=1e-9 * self.std,
            )
        )

    def tail_mean(self, probability: float) -> float:
        """E[P&L | P&L <= its quantile], USD: minus the expected shortfall."""
        x = self.quantile(probability)
        return x - self._shortfall_below(x) / probability

    def _shortfall_below(self, x: float) -> float:
        """E[(x - P&L)+]."""
        if self.std == 0.0:
            return max(x - self.mean, 0.0)
        if self.linear.size == 1:
            return _one_factor(self, x)[1]
        # |z| as a Fourier series of half-odd frequencies on one period of the inversion.
        step, t, phi = self._nodes
        terms = (phi * np.exp(-1j * t * (x - self.mean))).real / (np.arange(t.size) + 0.5) ** 2
        absolute = math.pi / step - 2.0 / (math.pi * step) * float(terms.sum())
        return 0.5 * (absolute + x - self.mean)


def quadratic_law(
    *, linear: ArrayLike, quadratic: ArrayLike, covariance: ArrayLike, drift: float = 0.0
) -> QuadraticLaw:
    """Rotate drift + l'x + x'Qx / 2, x ~ N(0, covariance), into independent factors.

    Parameters
    ----------
    linear : USD per unit of each factor, shape (k,)
    quadratic : symmetric, shape (k, k)
    covariance : of the factors over the horizon, positive semi-definite, shape (k, k)
    drift : USD over the horizon, such as one day of theta

    Raises
    ------
    UsageError
        If the covariance is not positive semi-definite, or shapes disagree.
    """
    d = np.atleast_1d(np.asarray(linear, np.float64))
    curve = np.asarray(quadratic, np.float64).reshape(d.size, d.size)
    spread = np.asarray(covariance, np.float64).reshape(d.size, d.size)
    values, vectors = np.linalg.eigh(spread)
    if values.min() < -1e-10 * max(values.max(), 0.0):
        raise UsageError(
            f"covariance has the eigenvalue {values.min():g}, must be >= 0; "
            "correlations that contradict each other do that"
        )
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    g, rotation = np.linalg.eigh(root.T @ (0.5 * (curve + curve.T)) @ root)
    d = rotation.T @ (root.T @ d)
    total = math.sqrt(float(np.sum(d**2 + 0.5 * g**2)))
    matters = np.abs(d) + np.abs(g) > _NEGLIGIBLE * total
    if not matters.any():
        matters[0] = True
    return QuadraticLaw(float(drift), d[matters], g[matters])


def book_law(
    *,
    spot: float,
    delta_shares: float,
    gamma_shares_per_usd: float,
    vega_by_bucket: ArrayLike,
    vanna_by_bucket: ArrayLike,
    volga_by_bucket: ArrayLike,
    covariance: ArrayLike,
    theta_usd_per_day: float = 0.0,
    days: float = 1.0,
) -> QuadraticLaw:
    """The delta-gamma-vega form of a book, from its Greeks in natural units.

    Parameters
    ----------
    delta_shares, gamma_shares_per_usd : hedge included
    vega_by_bucket : USD per 1.00 of vol of each expiry, shape (b,)
    vanna_by_bucket : shares per 1.00 of vol; volga_by_bucket : USD per 1.00 of vol squared
    covariance : of (return of spot, vol changes), shape (1 + b, 1 + b): `factor_covariance`
    """
    vega = np.atleast_1d(np.asarray(vega_by_bucket, np.float64))
    curve = np.diag(
        np.r_[gamma_shares_per_usd * spot**2, np.atleast_1d(np.asarray(volga_by_bucket))]
    ).astype(np.float64)
    curve[0, 1:] = curve[1:, 0] = np.asarray(vanna_by_bucket, np.float64) * spot
    return quadratic_law(
        linear=np.r_[delta_shares * spot, vega],
        quadratic=curve,
        covariance=covariance,
        drift=theta_usd_per_day * days,
    )


def factor_covariance(
    *, spot_std: float, vol_std: ArrayLike, spot_vol_correlation: float, vol_correlation: float
) -> Array:
    """Covariance of (spot return, vol change of each bucket) over the horizon.

    Parameters
    ----------
    spot_std : of the return over the horizon: vol / sqrt(252) for a day
    vol_std : of each bucket's vol in decimals over the horizon, shape (b,)
    spot_vol_correlation : of spot with every bucket; -0.7 is usual for an equity index
    vol_correlation : between any two buckets, >= spot_vol_correlation^2 for consistency
    """
    vols = np.atleast_1d(np.asarray(vol_std, np.float64))
    scale = np.r_[spot_std, vols]
    correlation = np.full((scale.size, scale.size), vol_correlation)
    correlation[0, 1:] = correlation[1:, 0] = spot_vol_correlation
    np.fill_diagonal(correlation, 1.0)
    return correlation * np.outer(scale, scale)


def exact(law: QuadraticLaw, *, var_level: float = 0.95, es_level: float = 0.975) -> RiskFigure:
    """VaR and ES by inversion of the characteristic function."""
    return RiskFigure(
        var_usd=-law.quantile(1.0 - var_level),
        es_usd=-law.tail_mean(1.0 - es_level),
        var_level=var_level,
        es_level=es_level,
        method="delta-gamma-vega, Imhof inversion",
        scenarios=0,
        quantile_rule="exact quantile of the continuous law",
    )


def cornish_fisher(
    law: QuadraticLaw, *, var_level: float = 0.95, es_level: float = 0.975
) -> RiskFigure:
    """VaR and ES from four cumulants; ES averages the expansion over the tail."""
    d, g = law.linear, law.quadratic
    if law.std == 0.0:
        skew = excess = 0.0
    else:
        skew = float(np.sum(3.0 * d**2 * g + g**3)) / law.std**3
        excess = float(np.sum(12.0 * d**2 * g**2 + 3.0 * g**4)) / law.std**4

    def expand(z: Array) -> Array:
        return (
            z
            + (z**2 - 1.0) * skew / 6.0
            + (z**3 - 3.0 * z) * excess / 24.0
            - (2.0 * z**3 - 5.0 * z) * skew**2 / 36.0
        )

    nodes, weights = np.polynomial.legendre.leggauss(64)
    # u = tail * s^4 packs nodes near u = 0, where the quantile runs off.
    s = 0.5 * (nodes + 1.0)
    tail = expand(special.ndtri((1.0 - es_level) * s**4))
    tail_mean = float(np.sum(0.5 * weights * 4.0 * s**3 * tail))
    var = float(expand(special.ndtri(np.array(1.0 - var_level))))
    return RiskFigure(
        var_usd=-(law.mean + law.std * var),
        es_usd=-(law.mean + law.std * tail_mean),
        var_level=var_level,
        es_level=es_level,
        method="delta-gamma-vega, Cornish-Fisher expansion",
        scenarios=0,
        quantile_rule="expansion of the normal quantile to the fourth cumulant",
    )


def empirical(
    pnl_usd: ArrayLike, *, var_level: float = 0.95, es_level: float = 0.975
) -> RiskFigure:
    """VaR and ES of equally likely scenarios, such as a book fully revalued on past days.

    Raises
    ------
    UsageError
        If a scenario is not finite, or there are too few for the ES tail to hold one whole one.
    """
    ordered = np.sort(np.asarray(pnl_usd, np.float64).ravel())
    n = ordered.size
    if n == 0 or not np.isfinite(ordered).all():
        raise UsageError("pnl_usd is empty or has NaN; price every scenario first")
    # 1 - 0.95 is 0.05 and a little more: without rounding, 100 scenarios would give the sixth.
    share, rank = (round(n * (1.0 - level), 9) for level in (es_level, var_level))
    if share < 1.0:
        raise UsageError(
            f"pnl_usd has {n} scenarios, needs {math.ceil(1 / (1 - es_level))} or more"
        )
    whole = math.floor(share)
    tail = float(ordered[:whole].sum())
    if share > whole:
        tail += (share - whole) * float(ordered[whole])
    return RiskFigure(
        var_usd=-float(ordered[math.ceil(rank) - 1]),
        es_usd=-tail / share,
        var_level=var_level,
        es_level=es_level,
        method="full revaluation of scenarios",
        scenarios=n,
        quantile_rule="order statistic ceil(n (1 - level)), no interpolation; Acerbi-Tasche tail",
    )


def _one_factor(law: QuadraticLaw, x: float) -> tuple[float, float]:
    """Closed form of (P(Q <= x), E[(x - Q)+]) for one factor, where inversion converges slowly."""
    d, g = float(law.linear[0]), float(law.quadratic[0])
    left = law.drift - x  # Q <= x where left + d y + g y^2 / 2 <= 0
    if abs(g) <= _NEGLIGIBLE * abs(d):
        z = -left / abs(d)
        below = float(special.ndtr(z))
        return below, abs(d) * (z * below + _density(z))
    inside = d * d - 2.0 * g * left
    if inside <= 0.0:
        return (0.0, 0.0) if g > 0.0 else (1.0, -left - 0.5 * g)
    # The root without cancellation, and the other from the product of the roots.
    big = -(d + math.copysign(math.sqrt(inside), d)) / g
    low, high = sorted((big, 2.0 * left / (g * big)))
    between = float(special.ndtr(high) - special.ndtr(low))
    first = _density(low) - _density(high)
    second = between + low * _density(low) - high * _density(high)
    expected = -(left * between + d * first + 0.5 * g * second)
    if g > 0.0:
        return between, expected
    return 1.0 - between, (-left - 0.5 * g) - expected


def _density(z: float) -> float:
    return math.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi)
