"""The theo sheet: every option's fair value and Greeks from one version of the surface.

European value by Black (1976) on the expiry's forward; an American option adds its early-exercise
premium, which the surface carries with its spot derivatives. Between refits the engine moves theo
by delta and gamma alone, so delta is smile-aware: a strike's vol moves by (R - 1) skew dlnS.
Theta is the Black-Scholes equation's, premium included. Vega, vanna, volga and rho of an American
option are those of its European part, and zero where it would be exercised at once.

Units: USD per share, deltas and gammas in spot, vega per 1.00 of vol, theta per year.
"""

from dataclasses import dataclass

import numpy as np

from hedging import delta
from optmm.market.chain import Chain
from surfaces import dynamics
from surfaces.dynamics import Rule
from surfaces.pricing import black
from surfaces.surface import VolSurface
from surfaces.units import NS_PER_YEAR

DOUBTS = ("spot_off", "spot_unknown", "misfit")
LEAST_YEARS = 1e-7  # three seconds: Greeks stay finite into the fixing


@dataclass(frozen=True, slots=True)
class TheoSheet:
    """Arrays (n,) in chain order; NaN theo where the expiry has no surface or has expired."""

    ts_ns: int
    version: int
    spot: float
    years: np.ndarray
    vol: np.ndarray
    theo: np.ndarray
    delta: np.ndarray  # smile-aware
    delta_at_strike: np.ndarray  # at a fixed strike's vol
    gamma: np.ndarray
    vega: np.ndarray
    theta: np.ndarray
    vanna: np.ndarray
    volga: np.ndarray
    rho: np.ndarray
    df: np.ndarray
    growth: np.ndarray
    rate: np.ndarray
    carry: np.ndarray
    forward_error: np.ndarray
    vol_error: np.ndarray
    certified: np.ndarray  # the certificate reaches the strike, and no status speaks against it

    @property
    def priced(self) -> np.ndarray:
        """Rows with a fair value."""
        return np.isfinite(self.theo)

    @property
    def error_usd(self) -> np.ndarray:
        """One s.d. of fair value, USD per share: vol error by vega, forward error by delta."""
        return np.hypot(self.vega * self.vol_error, self.delta / self.growth * self.forward_error)


def sheet(
    chain: Chain, surface: VolSurface, now_ns: int, spot: float, stickiness: Rule
) -> TheoSheet:
    """Price the whole chain on `surface` at `spot`; rows past their fixing get NaN.

    A spot other than the one the surface was fitted at moves every forward in proportion and every
    strike's vol by (stickiness - 1) x ATM skew x ln of the move; time moves on as well.
    `stickiness`: R, or a rule of `surfaces.dynamics`, to first order as Greeks are.
    """
    j = chain.slice_of
    ratio = dynamics.stickiness(surface, stickiness)[j]
    forward = surface.forwards[j] * (spot / surface.spot)
    years = np.maximum(surface.years[j] - (now_ns - surface.ts_ns) / NS_PER_YEAR, LEAST_YEARS)
    rate, carry = surface.rate[j], surface.carry[j]
    df = surface.dfs[j] * np.exp(rate * (surface.years[j] - years))
    slope = np.nan_to_num((ratio - 1.0) * surface.skew[j])
    fitted = np.asarray(surface.row_vols(), np.float64)
    vol = np.maximum(fitted + slope * np.log(spot / surface.spot), 0.25 * fitted)
    alive = (chain.fixing_ns > now_ns) & np.isfinite(vol) & np.isfinite(forward) & (forward > 0.0)
    out = {name: np.full(len(chain), np.nan) for name in _COLUMNS}
    rows = np.flatnonzero(alive)
    if rows.size:
        greeks = black.greeks(
            right=chain.right[rows],
            forward=forward[rows],
            strike=chain.strike[rows],
            years=years[rows],
            vol=vol[rows],
            df=df[rows],
            which=("price", "delta", "gamma", "vega", "rho", "vanna", "volga"),
        )
        growth = forward[rows] / spot
        premium, premium_slope, premium_curve = (np.asarray(a)[rows] for a in surface.premium(spot))
        out["theo"][rows] = greeks.price + premium
        plain = greeks.delta * growth + premium_slope
        out["delta_at_strike"][rows] = plain
        out["delta"][rows] = delta.smile_aware(
            plain, greeks.vega, skew=surface.skew[j][rows], spot=spot, stickiness=ratio[rows]
        )
        out["gamma"][rows] = greeks.gamma * growth**2 + premium_curve
        alive_early = ~_exercised(chain, rows, out["theo"][rows], spot)
        out["vega"][rows] = np.where(alive_early, greeks.vega, 0.0)
        out["vanna"][rows] = np.where(alive_early, greeks.vanna * growth, 0.0)
        out["volga"][rows] = np.where(alive_early, greeks.volga, 0.0)
        # where it is better held, every price obeys the Black-Scholes equation: theta follows
        drift = (rate - carry)[rows] * spot * plain
        spread = 0.5 * (vol[rows] * spot) ** 2 * out["gamma"][rows]
        theta = rate[rows] * out["theo"][rows] - drift - spread
        out["theta"][rows] = np.where(alive_early, theta, 0.0)
        # at a fixed spot the forward moves with the rate too, unless the spot is the future itself
        moves = 0.0 if chain.underlying.kind == "future" else years[rows] * forward[rows]
        out["rho"][rows] = np.where(alive_early, greeks.rho + moves * greeks.delta, 0.0)
    return TheoSheet(
        ts_ns=now_ns,
        version=surface.version,
        spot=spot,
        years=years,
        vol=vol,
        df=df,
        growth=forward / spot,
        rate=rate,
        carry=carry,
        forward_error=surface.forward_error[j],
        vol_error=np.asarray(surface.row_uncertainty(), np.float64),
        certified=surface.row_certified & ~_doubtful(surface)[j],
        **out,
    )


def _doubtful(surface: VolSurface) -> np.ndarray:
    """Slices (m,) whose own status says that fair value is not to be quoted on."""
    return np.array([any(word in status for word in DOUBTS) for status in surface.status])


def _exercised(chain: Chain, rows: np.ndarray, theo: np.ndarray, spot: float) -> np.ndarray:
    """Rows (of `rows`) as good as exercised: no more than a fifth of a basis point of time value.

    The margin is wider than what a premium carried from its last computation drifts.
    """
    intrinsic = chain.right[rows] * (spot - chain.strike[rows])
    return chain.american[rows] & (intrinsic > 0.0) & (theo <= intrinsic + 2e-5 * spot)


_COLUMNS = ("theo", "delta", "delta_at_strike", "gamma", "vega", "theta", "vanna", "volga", "rho")
