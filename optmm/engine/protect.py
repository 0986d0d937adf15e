"""What stops us, inside the loop: rolling windows over our fills, one-sided trading, the budget.

Every window is exact and half open: what happened at t counts until, and not at, t + window. Our
fills are kept in a ring that cannot overflow: one fill more than `max_fills` trips, none follows
until that is re-armed, and re-arming empties it. The message budget is a ring of the last
`message_cap` sending times: a quote goes out only if the oldest of them has left the window.
"""

import math

from optmm.engine.compiled import inlined, inner
from optmm.engine.layout import ACT_QUOTE, ACT_TRIP, FAIR_HI, FAIR_LO
from optmm.engine.reasons import Why

TRIPPED, SAME_SIDE = int(Why.TRIPPED), int(Why.SAME_SIDE)


@inlined
def may_send(head, sends):
    """Whether the budget has room for one quote message now."""
    h = head[0]
    return h["now_ns"] - sends[h["sends_next"]] >= h["message_window_ns"]


@inner
def room(head, sends, wanted):
    """Whether the budget has room for `wanted` quote messages now."""
    h = head[0]
    if wanted <= 0:
        return True
    if wanted > sends.size:
        return False
    at = (h["sends_next"] + wanted - 1) % sends.size
    return h["now_ns"] - sends[at] >= h["message_window_ns"]


@inlined
def count_message(head, sends):
    """Put a message sent now into the budget's window; cancels count as quotes do."""
    h = head[0]
    sends[h["sends_next"]] = h["now_ns"]
    h["sends_next"] = h["sends_next"] + 1 if h["sends_next"] + 1 < sends.size else 0
    h["messages"] += 1


@inlined
def leave_unquoted(head, own, i, edge_e6):
    """Set the edge (1e-6 USD) that row `i` leaves unquoted for want of messages."""
    h, o = head[0], own[i]
    if edge_e6 == o["unquoted_e6"]:
        return
    waited = h["now_ns"] - h["unquoted_ns"]
    h["unquoted_usd_s"] += h["unquoted_e6"] * 1e-6 * (waited * 1e-9)
    h["unquoted_ns"] = h["now_ns"]
    h["unquoted_e6"] += edge_e6 - o["unquoted_e6"]
    o["unquoted_e6"] = edge_e6


@inlined
def void_row(cert, sheet, i):
    """Let row `i` be decided at its next event or sweep."""
    c = cert[i]
    c["bid_hi"] = -1
    c["fair_lo"] = math.inf
    c["fair_hi"] = -math.inf
    sheet[FAIR_LO, i] = math.inf
    sheet[FAIR_HI, i] = -math.inf


@inner
def void_rows(cert, sheet):
    """Let every row be decided at its next event or sweep."""
    for i in range(cert.size):
        void_row(cert, sheet, i)


@inner
def note(h, act, kind, i, side, lots, why):
    """Append an act row that no market or fair value belongs to."""
    a = act[h["act_count"]]
    a["ts_ns"] = h["now_ns"]
    a["event"] = h["events"]
    a["kind"] = kind
    a["instrument"] = i
    a["side"] = side
    a["px_e9"] = 0
    a["lots"] = lots
    a["mark_e9"] = 0
    a["spot_e9"] = h["spot_e9"]
    a["bid_e9"] = 0
    a["ask_e9"] = 0
    a["own_lots"] = 0
    a["delta"] = 0.0
    a["why"] = why
    h["act_count"] += 1


@inner
def trip(state, why):
    """Purge every quote, live and in flight, in this event; the slow path hears of it after.

    `why`: bits beside TRIPPED that say which guard it was.
    """
    head, own, wire, act = state[0], state[2], state[3], state[4]
    h = head[0]
    h["is_tripped"] = 1
    h["trip_why"] = why
    h["trips"] += 1
    for i in range(own.size - 1):
        row = own[i]
        if row["bid_lots"] > 0:
            note(h, act, ACT_QUOTE, i, 1, 0, TRIPPED | why)
        if row["ask_lots"] > 0:
            note(h, act, ACT_QUOTE, i, -1, 0, TRIPPED | why)
        row["bid_lots"] = 0
        row["ask_lots"] = 0
        row["sent_bid_lots"] = 0
        row["sent_ask_lots"] = 0
        leave_unquoted(head, own, i, 0)
    for j in range(h["wire_count"]):
        message = wire[(h["wire_first"] + j) & (wire.size - 1)]
        if message["kind"] == 0:
            message["lots"] = 0
    note(h, act, ACT_TRIP, -1, 0, h["fills"], why)
    void_rows(state[5], state[6])


@inner
def remember_fill(h, recent, side, lots, px_e9, m):
    """Add a fill to the window, drop what has left it; True if a limit over it is passed."""
    while h["recent_count"] > 0:
        young = h["now_ns"] - recent[h["recent_first"]]["ts_ns"] < h["fill_window_ns"]
        if young and h["recent_count"] < recent.size:
            break
        h["recent_first"] = (h["recent_first"] + 1) % recent.size
        h["recent_count"] -= 1
    row = recent[(h["recent_first"] + h["recent_count"]) % recent.size]
    h["recent_count"] += 1
    unit = float(lots * m["multiplier"])
    slope = m["delta"] + 2.0 * m["gamma_half"] * (h["spot"] - m["spot_ref"])
    known = not math.isnan(m["theo"])
    row["ts_ns"] = h["now_ns"]
    row["lots"] = lots
    row["notional_usd"] = unit * (px_e9 * 1e-9)
    row["delta_usd"] = side * unit * slope * h["spot"] if known else 0.0
    row["vega_usd"] = side * unit * 0.01 * m["vega"] if known else 0.0
    # summed afresh: a running sum of floats would not come back to zero
    total, notional, delta, vega = 0, 0.0, 0.0, 0.0
    for j in range(h["recent_count"]):
        row = recent[(h["recent_first"] + j) % recent.size]
        total += row["lots"]
        notional += row["notional_usd"]
        delta += row["delta_usd"]
        vega += row["vega_usd"]
    return (
        h["recent_count"] > h["max_fills"]
        or total > h["max_lots"]
        or notional > h["max_notional_usd"]
        or abs(delta) > h["max_delta_usd"]
        or abs(vega) > h["max_vega_usd"]
    )


@inner
def after_fill(head, recent, m, side, lots, px_e9, unit_usd):
    """Count a fill. Return 0, 1 (a protection is full) or 2 (the next fill could break a limit)."""
    h = head[0]
    h["used_usd"] += lots * unit_usd
    full = remember_fill(h, recent, side, lots, px_e9, m)
    if h["used_usd"] + h["max_fill_usd"] > h["headroom_usd"]:
        return 2
    return 1 if full else 0


@inner
def take_node(tide, anchor, node):
    """Take a series out of its side's list."""
    row = tide[node]
    tide[row["before"]]["after"] = row["after"]
    tide[row["after"]]["before"] = row["before"]
    row["before"] = node
    row["after"] = node
    tide[anchor]["count"] -= 1


@inner
def one_sided(head, tide, i, side):
    """Note a trade in series `i` whose aggressor bought (+1) or sold (-1).

    True if as many different series as the guard allows traded on that side within its window.
    """
    h = head[0]
    series = tide.size // 2 - 1
    first = 0 if side > 0 else tide.size // 2  # where the side's rows begin
    anchor, node = first + series, first + i
    if tide[node]["after"] != node:
        take_node(tide, anchor, node)
    while tide[anchor]["count"] > 0:
        oldest = tide[anchor]["after"]
        if h["now_ns"] - tide[oldest]["ts_ns"] < h["side_window_ns"]:
            break
        take_node(tide, anchor, oldest)
    last = tide[anchor]["before"]
    row = tide[node]
    row["ts_ns"] = h["now_ns"]
    row["before"] = last
    row["after"] = anchor
    tide[last]["after"] = node
    tide[anchor]["before"] = node
    tide[anchor]["count"] += 1
    return tide[anchor]["count"] >= h["side_strikes"]
