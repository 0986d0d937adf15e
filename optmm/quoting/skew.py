"""Inventory skew by risk factors: vega by expiry and residual delta.

The optimal multi-asset quotes of Bergault, Evangelista, Gueant and Vieira (2021, Applied
Mathematical Finance 28:101, quadratic approximation, ergodic limit) shift option i by 2(Aq)_i with
A = 1/2 sqrt(g) D^-1/2 (D^1/2 S D^1/2)^1/2 D^-1/2. When the covariance is low rank, S = J C C' J'
with rows of J the options' Greeks, this is exactly g_i' G (J'q), G = sqrt(g) C (C'J'DJC)^-1/2 C':
instrument Greeks times a small matrix times portfolio Greeks.

Units: J in USD per contract per unit of factor (1.00 of vol, 1.00 of relative spot), C in factor
s.d. a day, D in 1/(USD day) per contract, q in contracts; the shift is USD per contract.
"""

from dataclasses import dataclass

import numpy as np

from optmm.config import Quoting
from optmm.market.chain import Chain
from optmm.quoting.theo import TheoSheet

MONTH_YEARS, DAY_YEARS = 30.0 / 365.0, 1.0 / 365.0


@dataclass(frozen=True, slots=True)
class SkewModel:
    """One refit's factor Greeks and matrix `G` (k, k): expiries first, residual spot last.

    An option loads on two factors only, its expiry's vol and spot: `vega` and `delta` (n,) are the
    two nonzero columns of J, `slice_of` (n,) says which expiry.
    """

    vega: np.ndarray
    delta: np.ndarray
    slice_of: np.ndarray
    G: np.ndarray
    multiplier: np.ndarray

    def shift(self, lots: np.ndarray, hedge_delta_usd: float = 0.0) -> np.ndarray:
        """USD per share to add to theo in every option, given signed `lots` (n,) held.

        `hedge_delta_usd` is the dollar delta of the hedge held in the underlying. Long inventory
        lowers the reservation price of whatever shares its risk.
        """
        book = np.zeros(self.G.shape[0])
        held = np.flatnonzero(lots)
        np.add.at(book, self.slice_of[held], lots[held] * self.vega[held])
        book[-1] = lots[held] @ self.delta[held] + hedge_delta_usd
        pull = self.G @ book
        return -(self.vega * pull[self.slice_of] + self.delta * pull[-1]) / self.multiplier

    def own_half(self) -> np.ndarray:
        """A_ii, USD per share: the symmetric widening that one more contract of risk asks for."""
        v, d, G, j = self.vega, self.delta, self.G, self.slice_of
        return (
            0.5 * (v * v * G[j, j] + 2.0 * v * d * G[j, -1] + d * d * G[-1, -1]) / self.multiplier
        )


def vol_of_day(years: np.ndarray, quoting: Quoting) -> np.ndarray:
    """Standard deviation of an at-the-money vol over one day, by time to expiry."""
    tenor = np.maximum(years, DAY_YEARS)
    steeper = np.minimum((MONTH_YEARS / tenor) ** quoting.vol_term_power, 3.0)
    return quoting.atm_vol_of_day * steeper


def factor_scale(years: np.ndarray, quoting: Quoting) -> np.ndarray:
    """Cholesky-like root C (k, k) of the factor covariance a day: k - 1 expiries, then spot."""
    sd = vol_of_day(years, quoting)
    root = np.sqrt(np.maximum(years, DAY_YEARS))
    corr = np.exp(-np.abs(root[:, None] - root[None, :]) / quoting.vol_correlation_root_years)
    k = years.size + 1
    cov = np.zeros((k, k))
    # two roots can share an expiry date: a sliver of their own keeps the matrix regular
    cov[:-1, :-1] = (0.999 * corr + 0.001 * np.eye(k - 1)) * np.outer(sd, sd)
    cov[-1, -1] = quoting.residual_spot_vol_of_day**2
    return np.linalg.cholesky(cov)


def build(
    chain: Chain, sheet: TheoSheet, half: np.ndarray, slice_years: np.ndarray, quoting: Quoting
) -> SkewModel:
    """Make the skew matrix of one refit; options without a fair value carry no factor risk."""
    k, j = chain.slices + 1, chain.slice_of
    multiplier = chain.multiplier.astype(np.float64)
    vega = np.where(sheet.priced, sheet.vega, 0.0) * multiplier
    delta = np.where(sheet.priced, sheet.delta, 0.0) * sheet.spot * multiplier
    # exponential intensity A exp(-d / half): H''(0) = A k / e, k = 1 / half a share
    curvature = quoting.fills_per_day / (np.e * np.maximum(half, 0.005) * multiplier)
    D = np.where(sheet.priced, 2.0 * curvature, 0.0)
    loads = np.zeros((k, k))  # J' D J: diagonal in the expiries, spot couples to each
    loads[np.arange(k - 1), np.arange(k - 1)] = np.bincount(j, D * vega * vega, minlength=k - 1)
    loads[:-1, -1] = loads[-1, :-1] = np.bincount(j, D * vega * delta, minlength=k - 1)
    loads[-1, -1] = (D * delta * delta).sum()
    C = factor_scale(slice_years, quoting)
    inner = C.T @ loads @ C
    values, vectors = np.linalg.eigh(0.5 * (inner + inner.T))
    # a factor that no quoted option loads on cannot be skewed away: leave it out
    keep = values > max(values.max(initial=0.0), 0.0) * 1e-12
    root = np.where(keep, 1.0 / np.sqrt(np.where(keep, values, 1.0)), 0.0)
    G = np.sqrt(quoting.risk_aversion_per_usd) * C @ (vectors * root) @ vectors.T @ C.T
    return SkewModel(vega, delta, j, G, multiplier)
