"""What stops us, inside the loop: rolling-window protections, the message budget, the worst case.

Rates are kept by the generic cell rate algorithm (ITU-T I.371, virtual scheduling form): one int64,
the theoretical arrival time, replaces a list of past times. With cost c and window w at most w / c
arrivals fit any instant of rest, and the count over a rolling window never exceeds 2 w / c.
"""

import numba as nb

import surfaces.kernels  # noqa: F401  decides numba's cache folder before anything is decorated
from optmm.engine.reasons import Why
from optmm.engine.state import ACT_QUOTE, ACT_TRIP

TRIPPED = int(Why.TRIPPED)


@nb.njit(cache=True, error_model="numpy")
def admits(tat_ns, now_ns, cost_ns, window_ns):
    """Return (allowed, new theoretical arrival time) for one arrival of `cost_ns`."""
    start = max(tat_ns, now_ns)
    if cost_ns > 0 and start + cost_ns - now_ns > window_ns:
        return False, tat_ns
    return True, start + cost_ns


@nb.njit(cache=True, error_model="numpy")
def take_token(head):
    """Spend one message; False when the budget is used up."""
    h = head[0]
    allowed, tat = admits(
        h["message_tat_ns"], h["now_ns"], h["message_cost_ns"], h["message_burst_ns"]
    )
    h["message_tat_ns"] = tat
    if not allowed:
        h["throttled"] += 1
    return allowed


@nb.njit(cache=True, error_model="numpy")
def purged(h, act, event, i, side):
    """Record that a live quote is gone, as a cancel that landed would be."""
    a = act[h["act_count"]]
    a["ts_ns"] = h["now_ns"]
    a["event"] = event
    a["kind"] = ACT_QUOTE
    a["instrument"] = i
    a["side"] = side
    a["px_e9"] = 0
    a["lots"] = 0
    a["mark_e9"] = 0
    a["spot_e9"] = h["spot_e9"]
    a["bid_e9"] = 0
    a["ask_e9"] = 0
    a["own_lots"] = 0
    a["delta"] = 0.0
    a["why"] = TRIPPED
    h["act_count"] += 1


@nb.njit(cache=True, error_model="numpy")
def trip(head, own, wire, act, event):
    """Purge every quote, live and in flight, in this event; the slow path hears of it after."""
    h = head[0]
    h["is_tripped"] = 1
    h["trips"] += 1
    for i in range(own.size - 1):
        row = own[i]
        if row["bid_lots"] > 0:
            purged(h, act, event, i, 1)
        if row["ask_lots"] > 0:
            purged(h, act, event, i, -1)
        row["bid_lots"] = 0
        row["ask_lots"] = 0
        row["sent_bid_lots"] = 0
        row["sent_ask_lots"] = 0
    for j in range(h["wire_count"]):
        message = wire[(h["wire_first"] + j) % wire.size]
        if message["kind"] == 0:
            message["lots"] = 0
    a = act[h["act_count"]]
    a["ts_ns"] = h["now_ns"]
    a["event"] = event
    a["kind"] = ACT_TRIP
    a["instrument"] = -1
    a["side"] = 0
    a["px_e9"] = 0
    a["lots"] = h["fills"]
    a["mark_e9"] = 0
    a["spot_e9"] = h["spot_e9"]
    a["bid_e9"] = 0
    a["ask_e9"] = 0
    a["own_lots"] = 0
    a["delta"] = 0.0
    a["why"] = 0
    h["act_count"] += 1


@nb.njit(cache=True, error_model="numpy")
def after_fill(head, lots, unit_usd):
    """Count a fill. Return 0, 1 (a protection is full) or 2 (the next fill could break a limit)."""
    h = head[0]
    h["used_usd"] += lots * unit_usd
    fits, tat = admits(h["fill_tat_ns"], h["now_ns"], h["fill_cost_ns"], h["fill_window_ns"])
    h["fill_tat_ns"] = tat
    fits_lots, tat = admits(
        h["lots_tat_ns"], h["now_ns"], h["lots_cost_ns"] * lots, h["fill_window_ns"]
    )
    h["lots_tat_ns"] = tat
    if h["used_usd"] + h["max_fill_usd"] > h["headroom_usd"]:
        return 2
    if not (fits and fits_lots):
        return 1
    return 0
