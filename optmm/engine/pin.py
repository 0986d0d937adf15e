"""The pin report of a world: its expiring positions, by expiry, as rows for the report.

The numbers are `hedging.pin`'s; this module only gathers its inputs.
"""

from collections.abc import Sequence

import numpy as np

from hedging import pin
from optmm.config_days import Exercise
from optmm.market.chain import Chain
from surfaces.units import years_between


def rows(
    chain: Chain,
    lots: np.ndarray,
    *,
    vol: np.ndarray,
    forward: np.ndarray,
    now_ns: int,
    until_ns: int,
    next_open_ns: int,
    config: Exercise,
) -> Sequence[dict]:
    """One row per position that delivers and is fixed in (now, until], with its expiry's totals.

    Parameters
    ----------
    lots, vol, forward : (n,) in chain order: signed lots, the sheet's vol and forward
    next_open_ns : when what is delivered can be hedged: the gap runs from the fixing to it
    """
    out: list[dict] = []
    fixing = chain.fixing_ns
    due = (lots != 0) & chain.physical & (fixing > now_ns) & (fixing <= until_ns)
    for j in np.unique(chain.slice_of[due]).tolist():
        held = np.flatnonzero(due & (chain.slice_of == j))
        told = held[np.isfinite(vol[held]) & (forward[held] > 0.0)]
        at_ns = int(fixing[held[0]])
        if not told.size:
            continue
        found = pin.report(
            right=chain.right[told], strike=chain.strike[told], lots=lots[told],
            multiplier=chain.multiplier[told] // chain.underlying.multiplier,
            forward=float(forward[told[0]]), years=years_between(now_ns, at_ns), vol=vol[told],
            gap_years=max(years_between(at_ns, next_open_ns), 0.0),
            half_width=config.pin_half_width_usd, deviations=config.pin_deviations,
        )  # fmt: skip
        total = {
            "expiry": str(chain.expiry[told[0]]), "total_sd_lots": found.total_sd,
            "mean_lots": found.mean_shares, "gap_usd": found.gap_usd * chain.underlying.multiplier,
            "without_vol": int(held.size - told.size),
        }  # fmt: skip
        out += [
            {
                "instrument": int(i), "symbol": chain.symbol[i], "lots": int(lots[i]),
                "strike": float(chain.strike[i]), "exercise": float(found.exercise[k]),
                "at_strike": float(found.at_strike[k]), "near": bool(found.near[k]),
                "sd_lots": float(found.share_sd[k]),
            } | total
            for k, i in enumerate(told)
        ]  # fmt: skip
    return out
