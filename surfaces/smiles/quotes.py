"""Quotes of one expiry in the coordinates smiles are fitted in: k and bid, ask and mid vols.

Prices that come in are free of early-exercise premium (`surfaces.premium` takes it off). A bid that
carries no volatility (below intrinsic once the premium is off) bounds nothing: its vol is NaN and
the fit hears only the ask. A quote without a bid is kept as that same one-sided bound.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from surfaces import grouped
from surfaces.pricing import implied

Array = NDArray[np.float64]

MIN_HALF = 1e-4  # vol: nobody's market is tighter than a basis point of vol
MIN_HALF_SHARE = 0.25  # of the expiry's median half spread, so that one tight quote cannot rule


@dataclass(frozen=True, slots=True)
class SmileQuotes:
    """q out-of-the-money quotes of one expiry, in rising k; arrays have shape (q,).

    `one_sided`: only the ask is a bound, and `mid_vol` is the ask's vol. `half_vol` is half the
    spread in vol, floored. Vols are decimals per square-root year.
    """

    years: float
    k: Array
    bid_vol: Array
    ask_vol: Array
    mid_vol: Array
    half_vol: Array
    one_sided: NDArray[np.bool_]

    def __len__(self) -> int:
        return self.k.size

    def keep(self, mask: NDArray[np.bool_]) -> "SmileQuotes":
        """The quotes where `mask`."""
        return SmileQuotes(
            self.years,
            self.k[mask],
            self.bid_vol[mask],
            self.ask_vol[mask],
            self.mid_vol[mask],
            self.half_vol[mask],
            self.one_sided[mask],
        )


@dataclass(frozen=True, slots=True)
class QuoteVols:
    """Vols of a whole chain's quotes, shape (n,); NaN where a side carries none."""

    k: Array
    bid_vol: Array
    ask_vol: Array
    mid_vol: Array
    half_vol: Array
    one_sided: NDArray[np.bool_]
    fittable: NDArray[np.bool_]


def quote_vols(
    *, right: Array, strike: Array, forward: Array, years: Array, df: Array, bid: Array, ask: Array
) -> QuoteVols:
    """Turn premium-free prices into vols. All arguments have shape (n,); NaN is an absent side.

    The middle is the middle of the two vols; where the bid has none, the vol of the middle price;
    where that has none either, or there is no bid, the quote is one-sided.
    """
    market = {"right": right, "strike": strike, "forward": forward, "years": years, "df": df}
    vols = np.asarray(implied.vol(price=np.stack((bid, ask)), **market).vol)
    bid_vol, ask_vol = np.where(vols > 0.0, vols, np.nan)
    mid = 0.5 * (bid_vol + ask_vol)
    weak = np.flatnonzero(~np.isfinite(bid_vol))
    price = 0.5 * (bid[weak] + ask[weak])
    of_mid = implied.vol(price=price, **{name: a[weak] for name, a in market.items()}).vol
    mid[weak] = np.where(of_mid > 0.0, of_mid, np.nan)
    one_sided = ~np.isfinite(mid) & np.isfinite(ask_vol)
    mid = np.where(one_sided, ask_vol, mid)
    half = np.where(one_sided, 0.1 * ask_vol, ask_vol - mid)
    fittable = np.isfinite(mid) & np.isfinite(half) & (half > 0.0) & (mid > 0.0)
    return QuoteVols(np.log(strike / forward), bid_vol, ask_vol, mid, half, one_sided, fittable)


def smile_quotes(
    vols: QuoteVols, rows: NDArray[np.int64], of: NDArray[np.int64], years: Array
) -> list[SmileQuotes]:
    """The quotes `rows` of each expiry, whose strikes rise; half spreads floored.

    `of` (rows,) is the expiry of each and never falls; `years` (m,). Arrays are views of one table.
    """
    half, one_sided = vols.half_vol[rows], vols.one_sided[rows]
    real = grouped.median(half[~one_sided], of[~one_sided], years.size)
    floor = np.maximum(MIN_HALF, MIN_HALF_SHARE * np.nan_to_num(real))
    half = np.maximum(half, floor[of])
    k, bid, ask, mid = (a[rows] for a in (vols.k, vols.bid_vol, vols.ask_vol, vols.mid_vol))
    ends = np.searchsorted(of, np.arange(years.size + 1)).tolist()
    spans = [slice(low, high) for low, high in pairwise(ends)]
    return [
        SmileQuotes(years_j, k[s], bid[s], ask[s], mid[s], half[s], one_sided[s])
        for years_j, s in zip(years.tolist(), spans, strict=True)
    ]
