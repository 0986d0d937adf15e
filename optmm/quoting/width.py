"""Half widths: never under the floor, wider with the market, vega, the hedge and our ignorance."""

import numpy as np

from optmm.config import Quoting
from optmm.engine.reasons import Why
from optmm.quoting.skew import vol_of_day
from optmm.quoting.theo import TheoSheet


def market_half(bid: np.ndarray, ask: np.ndarray) -> np.ndarray:
    """Half the displayed spread, USD per share; NaN where the market is not two-sided and apart."""
    good = (bid > 0.0) & (ask > bid)
    return np.where(good, 0.5 * (ask - bid), np.nan)


def half_widths(
    sheet: TheoSheet,
    half_market: np.ndarray,
    spot_half: float,
    refit_days: float,
    quoting: Quoting,
) -> tuple[np.ndarray, np.ndarray]:
    """Return (half width USD per share, `Why` bits), arrays (n,).

    `half_market` is USD per share, NaN where unknown: then uncertainty alone widens, and a fair
    value known worse than `max_uncertainty_share` of the floor width is not quoted at all.
    `spot_half` is half the underlying's spread, which every hedge pays; `refit_days` is the time to
    the next refit in trading days.
    """
    known = np.isfinite(half_market)
    market = np.where(known, half_market, 0.0)
    error = np.nan_to_num(sheet.error_usd, nan=0.0)
    # what the vol level may do before the next refit is ignorance too
    drift = np.nan_to_num(sheet.vega) * vol_of_day(sheet.years, quoting) * np.sqrt(refit_days)
    floor = np.maximum(quoting.min_half_width_usd, quoting.market_share * market)
    ignorance = quoting.uncertainty_share * np.hypot(error, drift)
    half = (
        floor
        + quoting.vol_edge * np.nan_to_num(sheet.vega)
        + quoting.spot_edge_share * np.abs(np.nan_to_num(sheet.delta)) * spot_half
        + ignorance
    )
    why = np.zeros(half.shape, np.int64)
    why[quoting.market_share * market > quoting.min_half_width_usd] |= int(Why.WIDE_MARKET)
    why[ignorance > 0.5 * half] |= int(Why.WIDE_UNCERTAINTY)
    scale = np.where(known, np.maximum(market, quoting.min_half_width_usd), half)
    why[error > quoting.max_uncertainty_share * scale] |= int(Why.UNCERTAIN)
    return half, why
