"""A book's Greeks in the units a desk speaks, summed by expiry and in total.

Inputs are the natural per-share Greeks of `surfaces.pricing`; this is the door where per point, per
day and per 1 % begin, and every field's name carries its unit.

Units   delta per share; gamma per share and USD; vega USD per 1.00 of vol; theta USD per year;
        vanna = d(delta)/d(vol); volga = d(vega)/d(vol); all per option share. Years ACT/365.
Source  definitions: docs/report.md; time weighting of vega: N. Taleb, Dynamic Hedging (1997) ch. 9.
Checked tests/optmm/risk/test_greeks.py: bump and revalue the book, parity, theta against gamma.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from optmm.errors import UsageError
from surfaces.units import DAYS_PER_YEAR

Array = NDArray[np.float64]
POINT = 0.01  # one vol point
REFERENCE_YEARS = 30.0 / DAYS_PER_YEAR


@dataclass(frozen=True, slots=True)
class Exposure:
    """Greeks of one book at one spot. Arrays have one row a bucket (a slice, unless regrouped)."""

    spot: float
    delta_shares: float  # options and hedge
    option_delta_shares: float  # before hedges
    gamma_shares_per_usd: float
    vega_usd_per_volpt: float  # exactly the sum of the buckets
    vega_weighted_usd_per_volpt: float  # each expiry's vol moves by sqrt(reference / years)
    theta_usd_per_day: float  # calendar day
    vanna_shares_per_volpt: float
    volga_usd_per_volpt2: float
    delta_by_bucket_shares: Array
    gamma_by_bucket_shares_per_usd: Array
    vega_by_bucket_usd_per_volpt: Array
    theta_by_bucket_usd_per_day: Array
    vanna_by_bucket_shares_per_volpt: Array
    volga_by_bucket_usd_per_volpt2: Array
    contract_multiplier: int

    @property
    def delta_contracts(self) -> float:
        """Delta in option contracts' worth of the underlying."""
        return self.delta_shares / self.contract_multiplier

    @property
    def gamma_contracts_per_usd(self) -> float:
        """Change of `delta_contracts` for USD 1 of spot."""
        return self.gamma_shares_per_usd / self.contract_multiplier

    @property
    def delta_usd(self) -> float:
        """Dollar delta, hedge included."""
        return self.delta_shares * self.spot

    @property
    def option_delta_usd(self) -> float:
        """Dollar delta before hedges: what the inventory limit reads."""
        return self.option_delta_shares * self.spot

    @property
    def gamma_usd_per_pct(self) -> float:
        """Change of dollar delta for 1 % of spot at constant shares: gamma * spot^2 / 100."""
        return self.gamma_shares_per_usd * self.spot**2 / 100.0


def exposure(
    *,
    lots: ArrayLike,
    multiplier: ArrayLike,
    delta: ArrayLike,
    gamma: ArrayLike,
    vega: ArrayLike,
    theta: ArrayLike,
    vanna: ArrayLike,
    volga: ArrayLike,
    bucket_of: ArrayLike,
    buckets: int,
    years: ArrayLike,
    spot: float,
    hedge_shares: float = 0.0,
    contract_multiplier: int = 100,
    reference_years: float = REFERENCE_YEARS,
) -> Exposure:
    """Add up a book.

    Parameters
    ----------
    lots : signed contracts, shape (n,)
    multiplier : USD per point and contract, scalar or (n,)
    delta, gamma, vega, theta, vanna, volga : per share, shape (n,); may be NaN where lots is zero
    bucket_of : int, shape (n,): the chain's `slice_of`, or `tenor_bucket`
    buckets : how many there are, so that an empty one still has a row
    years : to expiry, shape (n,); rows already expired count fully in the weighted vega
    spot : USD
    hedge_shares : lots of the hedge times its multiplier
    contract_multiplier : shares per contract for `delta_contracts`
    reference_years : of the vol that moves one point in the weighted vega

    Raises
    ------
    UsageError
        If a position has a Greek that is not finite, naming the row: a sum without it would lie.
    """
    held = np.asarray(lots, np.float64)
    shares = np.where(held != 0.0, held * np.asarray(multiplier, np.float64), 0.0)
    group = np.asarray(bucket_of, np.intp)

    def bucketed(name: str, values: ArrayLike, scale: float) -> Array:
        term = _held_only(name, values, shares)
        sums = np.bincount(group, weights=shares * term, minlength=buckets) * scale
        return sums.astype(np.float64, copy=False)

    delta_by = bucketed("delta", delta, 1.0)
    gamma_by = bucketed("gamma", gamma, 1.0)
    vega_by = bucketed("vega", vega, POINT)
    theta_by = bucketed("theta", theta, 1.0 / DAYS_PER_YEAR)
    vanna_by = bucketed("vanna", vanna, POINT)
    volga_by = bucketed("volga", volga, POINT * POINT)
    tenor = np.asarray(years, np.float64)
    weight = np.sqrt(reference_years / np.where(tenor > 0.0, tenor, reference_years))
    weighted = float(np.sum(shares * _held_only("vega", vega, shares) * weight)) * POINT
    option_delta = float(delta_by.sum())
    return Exposure(
        spot=spot,
        delta_shares=option_delta + hedge_shares,
        option_delta_shares=option_delta,
        gamma_shares_per_usd=float(gamma_by.sum()),
        vega_usd_per_volpt=float(vega_by.sum()),
        vega_weighted_usd_per_volpt=weighted,
        theta_usd_per_day=float(theta_by.sum()),
        vanna_shares_per_volpt=float(vanna_by.sum()),
        volga_usd_per_volpt2=float(volga_by.sum()),
        delta_by_bucket_shares=delta_by,
        gamma_by_bucket_shares_per_usd=gamma_by,
        vega_by_bucket_usd_per_volpt=vega_by,
        theta_by_bucket_usd_per_day=theta_by,
        vanna_by_bucket_shares_per_volpt=vanna_by,
        volga_by_bucket_usd_per_volpt2=volga_by,
        contract_multiplier=contract_multiplier,
    )


def tenor_bucket(years: ArrayLike, *, edges_years: ArrayLike) -> NDArray[np.intp]:
    """Bucket of each expiry: 0 up to and including the first edge, len(edges) beyond the last."""
    return np.searchsorted(np.asarray(edges_years, np.float64), years, side="left")


def _held_only(name: str, values: ArrayLike, shares: Array) -> Array:
    """Values where something is held and 0 elsewhere, so that a NaN of nothing adds nothing."""
    out = np.where(shares != 0.0, np.asarray(values, np.float64), 0.0)
    bad = ~np.isfinite(out)
    if bad.any():
        row = int(np.argmax(bad))
        raise UsageError(
            f"{name}[{row}] is {out[row]:g} for a position that is held ({int(bad.sum())} of "
            f"{out.size} fail). Carry the last known Greeks forward before adding up a book."
        )
    return out
