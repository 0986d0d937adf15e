"""The underlying inside the loop: its mid for marks and hedges, and the level for fair value.

mid         (bid + ask) / 2
microprice  (bid x ask size + ask x bid size) / (both sizes): nearer to the side with less behind it
future      the leading future's mid less its average basis to the underlying's mid
"""

from optmm.engine.compiled import inner
from optmm.engine.latency import learn
from optmm.engine.layout import FUTURE, MICROPRICE
from optmm.engine.reasons import Reason

R_TAYLOR = int(Reason.TAYLOR)


@inner
def level(h, m):
    """Where fair value is taken now, USD; `m` is the underlying's row, its mid known."""
    source = h["spot_source"]
    two_sided = 0 < m["bid_e9"] < m["ask_e9"]
    if source == MICROPRICE and two_sided and m["bid_lots"] > 0 and m["ask_lots"] > 0:
        less_behind = m["bid_lots"] / (m["bid_lots"] + m["ask_lots"])
        return (m["bid_e9"] + (m["ask_e9"] - m["bid_e9"]) * less_behind) / 1e9
    fresh = h["now_ns"] - h["future_ns"] <= h["stale_spot_ns"]
    # a future not above its basis is no level: a wrong print must not price the chain
    if source == FUTURE and h["basis_ns"] > 0 and h["future_mid"] > max(h["basis"], 0.0) and fresh:
        return h["future_mid"] - h["basis"]
    return h["mid"]


@inner
def learn_basis(h, mid):
    """Bring the average basis up to now, with the underlying's new mid (USD)."""
    if h["future_mid"] <= 0.0 or h["now_ns"] - h["future_ns"] > h["stale_spot_ns"]:
        return
    basis = h["future_mid"] - mid
    if h["basis_ns"] == 0:
        h["basis"] = basis
    else:
        waited = float(h["now_ns"] - h["basis_ns"])
        h["basis"] += (1.0 - 2.0 ** (-waited / h["basis_half_life_ns"])) * (basis - h["basis"])
    h["basis_ns"] = h["now_ns"]


@inner
def move_spot(h, m, mid_e9, ts_ns):
    """Set the underlying's mid; ask for a sweep if the level moved, for a sheet if it moved far."""
    h["spot_ns"] = ts_ns
    if h["spot_source"] == FUTURE:
        learn_basis(h, mid_e9 / 1e9)
    if mid_e9 != h["spot_e9"]:
        h["spot_e9"] = mid_e9
        h["mid"] = mid_e9 / 1e9
        if h["latency_stress"] > 0.0:
            learn(h)
    return follow_level(h, m)


@inner
def follow_level(h, m):
    """Take the level that fair value uses from what is known now."""
    spot = level(h, m)
    if spot != h["spot"]:
        h["spot"] = spot
        h["sweep_due"] = 1
    if spot < h["spot_lo"] or spot > h["spot_hi"]:
        return R_TAYLOR
    return 0


@inner
def apply_underlying(h, m, e):
    """Take a new underlying top of book; a crossed or one-sided one leaves the last good mid."""
    m["bid_e9"] = e["bid_e9"]
    m["ask_e9"] = e["ask_e9"]
    m["bid_lots"] = e["bid_lots"]
    m["ask_lots"] = e["ask_lots"]
    m["quote_ns"] = e["ts_event_ns"]
    if e["bid_e9"] <= 0 or e["ask_e9"] <= e["bid_e9"]:
        return 0
    mid_e9 = (e["bid_e9"] + e["ask_e9"]) // 2
    return move_spot(h, m, mid_e9, e["ts_event_ns"])


@inner
def apply_reference(h, m, e):
    """Take a new top of the leading future; one that is not two-sided is as good as none."""
    if h["spot_source"] != FUTURE:
        return 0
    h["future_ns"] = e["ts_event_ns"]
    h["future_mid"] = 0.0
    if e["ask_e9"] > e["bid_e9"] > 0:
        h["future_mid"] = 0.5e-9 * (e["bid_e9"] + e["ask_e9"])
    if h["spot_e9"] == 0:
        return 0
    if h["basis_ns"] == 0 and h["now_ns"] - h["spot_ns"] <= h["stale_spot_ns"]:
        learn_basis(h, h["mid"])
    return follow_level(h, m)
