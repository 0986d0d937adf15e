"""What is shown of the underlying: its quotes, whose sizes know a little, and a future that leads.

The stock's quote is one tick wide around the truth, two in `wide_spread_share` of the seconds. With
m(t) = S(t + horizon) the truth a little later, the share of the size that rests on the bid is
    (1 - strength) U + strength clip((m - bid) / (ask - bid), 0, 1),    U uniform,
so the size-weighted middle (microprice) bid + share (ask - bid) is on average
    bid + (ask - bid) ((1 - strength) / 2 + strength clip(...)),
and says more of the next move than the middle does, unless strength is 0.

The future shows truth + basis `future_lead_ms` before the stock does.
"""

import numpy as np
from numpy.typing import NDArray

from optmm.data.simulator.clock import NS_PER_SECOND, Clock
from optmm.data.simulator.config import SimulationConfig
from optmm.data.simulator.smile import seconds_decay, stationary
from optmm.data.simulator.spot import SpotPath
from optmm.market.events import Kind, empty

CENT_E9 = 10_000_000
SIZE_MEDIAN_SHARES = 800.0  # both sides
SIZE_SD_LOG = 0.5
BASIS_HALF_LIFE_MINUTES = 30.0
FUTURE_MEDIAN_LOTS = 60.0


def underlying_quotes(
    config: SimulationConfig,
    clock: Clock,
    path: SpotPath,
    instrument: int,
    rng: np.random.Generator,
) -> NDArray[np.void]:
    """UNDERLYING_QUOTE events: the open, and each second whose rounded quote is another."""
    cents = path.spot * 100.0
    wide = rng.random(cents.size) < config.wide_spread_share
    bid = np.where(wide, np.rint(cents) - 1.0, np.floor(cents)).astype(np.int64)
    ask = bid + np.where(wide, 2, 1)
    changed = np.ones(cents.size, bool)
    changed[1:] = (np.diff(bid) != 0) | (np.diff(ask) != 0)
    changed[-1] = False  # the session is over at the last grid point
    at = np.flatnonzero(changed)
    later = np.minimum(at + config.imbalance_horizon_seconds, clock.seconds)
    knows = np.clip((cents[later] - bid[at]) / (ask[at] - bid[at]), 0.0, 1.0)
    strength = config.imbalance_strength
    share = (1.0 - strength) * rng.random(at.size) + strength * knows
    total = SIZE_MEDIAN_SHARES * np.exp(SIZE_SD_LOG * rng.standard_normal(at.size))
    out = empty(at.size)
    out["ts_event_ns"] = out["ts_recv_ns"] = clock.grid_ns[at]
    out["bid_e9"] = bid[at] * CENT_E9
    out["ask_e9"] = ask[at] * CENT_E9
    for side, part in (("bid_lots", share), ("ask_lots", 1.0 - share)):
        out[side] = np.maximum(np.rint(total * part), 1.0).astype(np.int64)
    out["instrument"] = instrument
    out["kind"] = Kind.UNDERLYING_QUOTE
    return out


def future_quotes(
    config: SimulationConfig,
    clock: Clock,
    path: SpotPath,
    instrument: int,
    rng: np.random.Generator,
) -> NDArray[np.void]:
    """REFERENCE_QUOTE events, `future_lead_ms` before the stock's own; none without a lead."""
    if config.future_lead_ms == 0.0:
        return empty(0)
    lead_ns = round(config.future_lead_ms * 1e6)
    drive = rng.standard_normal((1, path.spot.size))
    basis = stationary(seconds_decay(BASIS_HALF_LIFE_MINUTES), drive[:, 0], drive[:, 1:])[0]
    price = path.spot + config.future_basis_usd + config.future_basis_sd_usd * basis
    tick_e9 = round(config.future_tick_usd * 1e9)
    bid = np.floor(price * 1e9 / tick_e9).astype(np.int64)
    ts_ns = np.maximum(clock.grid_ns - lead_ns, clock.session.open_ns)
    keep = np.ones(bid.size, bool)
    keep[1:] = np.diff(bid) != 0
    keep[:-1] &= np.diff(ts_ns) > 0  # of what was known before the open the last counts
    keep[min(lead_ns // NS_PER_SECOND, clock.seconds)] = True
    keep &= ts_ns < clock.session.close_ns
    at = np.flatnonzero(keep)
    out = empty(at.size)
    out["ts_event_ns"] = out["ts_recv_ns"] = ts_ns[at]
    out["bid_e9"], out["ask_e9"] = bid[at] * tick_e9, (bid[at] + 1) * tick_e9
    for side in ("bid_lots", "ask_lots"):
        lots = FUTURE_MEDIAN_LOTS * np.exp(SIZE_SD_LOG * rng.standard_normal(at.size))
        out[side] = np.maximum(np.rint(lots), 1.0).astype(np.int64)
    out["instrument"] = instrument
    out["kind"] = Kind.REFERENCE_QUOTE
    return out
