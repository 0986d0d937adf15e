"""What we want to show, per instrument and event: theo by Taylor, outward to the tick, guarded.

No fastmath here: a target becomes an integer by floor or ceil to the tick, and one ulp decides.
"""

import math

import numba as nb

from optmm.engine.protect import take_token
from optmm.engine.reasons import Why
from optmm.engine.state import QUOTE_MESSAGE

NO_THEO, STALE, CLOSED, HALTED = (
    int(Why.NO_THEO),
    int(Why.STALE_UNDERLYING),
    int(Why.CLOSED),
    int(Why.HALTED),
)
TRIPPED, KILLED, BELOW_TICK = int(Why.TRIPPED), int(Why.KILLED), int(Why.BELOW_TICK)
THROTTLED, CROSS_GUARD, BOUND_GUARD = int(Why.THROTTLED), int(Why.CROSS_GUARD), int(Why.BOUND_GUARD)
NO_MARKET = int(Why.NO_MARKET)
LEAST_EDGE = 0.0  # of the half width, to fair value: less is moved between sweeps
NO_HEADROOM, MID_GUARD = int(Why.NO_HEADROOM), int(Why.MID_GUARD)


@nb.njit(cache=True, error_model="numpy")
def floor_tick(px_e9, split_e9, below_e9, above_e9):
    """Largest price on the tick grid at or under `px_e9` (>= 0)."""
    tick = below_e9 if px_e9 < split_e9 else above_e9
    return px_e9 // tick * tick


@nb.njit(cache=True, error_model="numpy")
def ceil_tick(px_e9, split_e9, below_e9, above_e9):
    """Smallest price on the tick grid at or over `px_e9` (>= 0)."""
    tick = below_e9 if px_e9 < split_e9 else above_e9
    return (px_e9 + tick - 1) // tick * tick


@nb.njit(cache=True, error_model="numpy")
def tick_under(px_e9, split_e9, below_e9, above_e9):
    """The next grid price strictly under `px_e9`."""
    return floor_tick(px_e9 - 1, split_e9, below_e9, above_e9)


@nb.njit(cache=True, error_model="numpy")
def tick_over(px_e9, split_e9, below_e9, above_e9):
    """The next grid price strictly over `px_e9`."""
    return ceil_tick(px_e9 + 1, split_e9, below_e9, above_e9)


@nb.njit(cache=True, error_model="numpy")
def theo_now(m, spot):
    """Fair value at `spot` by the sheet's Taylor terms, USD >= 0; NaN where there is none."""
    move = spot - m["spot_ref"]
    value = m["theo"] + move * (m["delta"] + move * m["gamma_half"])
    if value < 0.0:
        return 0.0
    return value


@nb.njit(cache=True, error_model="numpy")
def blocked_all(h):
    """`Why` bits that forbid every quote now: closed, halted, no fresh underlying."""
    why = 0
    if h["is_open"] == 0:
        why |= CLOSED
    if h["is_halted"] != 0:
        why |= HALTED
    if h["spot_ns"] == 0 or h["now_ns"] - h["spot_ns"] > h["stale_spot_ns"]:
        why |= STALE
    return why


@nb.njit(cache=True, error_model="numpy")
def blocked(h, m):
    """`Why` bits that forbid any quote in this instrument now."""
    why = blocked_all(h)
    if h["now_ns"] >= m["close_ns"]:
        why |= CLOSED
    if h["resumed_ns"] > 0 and m["quote_ns"] < h["resumed_ns"]:
        why |= HALTED
    if h["is_tripped"] != 0:
        why |= TRIPPED
    if h["is_killed"] != 0:
        why |= KILLED
    if math.isnan(m["theo"]):
        why |= NO_THEO
    if m["ask_e9"] == 0:
        why |= NO_MARKET
    return why


@nb.njit(cache=True, error_model="numpy")
def bounds(m, spot):
    """No-arbitrage (least ask, greatest bid) in USD; American options also have spot intrinsic."""
    w = m["right"]
    forward = m["df"] * m["growth"] * spot
    strike = m["df"] * m["strike"]
    floor = max(w * (forward - strike), 0.0)
    cap = forward if w > 0 else strike
    if m["american"] != 0:
        floor = max(floor, w * (spot - m["strike"]))
        cap = max(cap, spot if w > 0 else m["strike"])
    return floor, cap


@nb.njit(cache=True, error_model="numpy")
def displayed_middle(h, m):
    """Middle of a fresh two-sided market in USD; 0 if there is none to be held to.

    When fair value and the displayed market disagree, who trades with us agrees with the market.
    """
    if m["bid_e9"] <= 0 or m["ask_e9"] <= m["bid_e9"]:
        return 0.0
    if h["now_ns"] - m["quote_ns"] > h["middle_ns"]:
        return 0.0
    return 0.5e-9 * (m["bid_e9"] + m["ask_e9"])


@nb.njit(cache=True, error_model="numpy")
def bid_target(h, m, o, fair):
    """Return (price e9, lots, why) of the bid we want; lots 0 is no bid."""
    why = o["slow_bid"]
    if o["cap_bid"] <= 0:
        return 0, 0, why | (NO_HEADROOM if why == 0 else 0)
    split, below, above = m["tick_split_e9"], m["tick_below_e9"], m["tick_above_e9"]
    # inventory may bring a quote to fair value, never through it
    want = min(fair + o["skew"] - o["half_bid"], fair)
    _, cap = bounds(m, h["spot"])
    if want > cap:
        want = cap
        why |= BOUND_GUARD
    middle = displayed_middle(h, m)
    if middle > 0.0 and want > middle - h["middle_edge"] * o["half_bid"]:
        want = middle - h["middle_edge"] * o["half_bid"]
        why |= MID_GUARD
    if want <= 0.0:
        return 0, 0, why | BELOW_TICK
    px = floor_tick(math.floor(want * 1e9), split, below, above)
    if m["ask_e9"] > 0 and px >= m["ask_e9"]:
        px = tick_under(m["ask_e9"], split, below, above)
        why |= CROSS_GUARD
    if px <= 0:
        return 0, 0, why | BELOW_TICK
    return px, o["cap_bid"], why


@nb.njit(cache=True, error_model="numpy")
def ask_target(h, m, o, fair):
    """Return (price e9, lots, why) of the ask we want; lots 0 is no ask."""
    why = o["slow_ask"]
    if o["cap_ask"] <= 0:
        return 0, 0, why | (NO_HEADROOM if why == 0 else 0)
    split, below, above = m["tick_split_e9"], m["tick_below_e9"], m["tick_above_e9"]
    want = max(fair + o["skew"] + o["half_ask"], fair)
    floor, _ = bounds(m, h["spot"])
    if want < floor:
        want = floor
        why |= BOUND_GUARD
    middle = displayed_middle(h, m)
    if middle > 0.0 and want < middle + h["middle_edge"] * o["half_ask"]:
        want = middle + h["middle_edge"] * o["half_ask"]
        why |= MID_GUARD
    px = max(ceil_tick(math.ceil(want * 1e9), split, below, above), below)
    if m["bid_e9"] > 0 and px <= m["bid_e9"]:
        px = tick_over(m["bid_e9"], split, below, above)
        why |= CROSS_GUARD
    return px, o["cap_ask"], why


@nb.njit(cache=True, error_model="numpy")
def stays(side, sent_px, sent_lots, px, lots, band_e9, worst_e9):
    """Whether the quote already sent may be left alone: near the target, not beyond `worst_e9`."""
    if lots == 0:
        return sent_lots == 0
    if sent_lots == 0 or sent_lots > lots or 2 * sent_lots < lots:
        return False
    return abs(px - sent_px) <= band_e9 and side * (sent_px - worst_e9) <= 0


@nb.njit(cache=True, error_model="numpy")
def worst_prices(h, m, fair):
    """(Highest bid, lowest ask) e9 that may rest: fair value, no-arbitrage bounds, no crossing."""
    floor, cap = bounds(m, h["spot"])
    bid = math.floor(min(fair, cap) * 1e9)
    ask = math.ceil(max(fair, floor) * 1e9)
    if m["ask_e9"] > 0:
        bid = min(bid, m["ask_e9"] - 1)
    if m["bid_e9"] > 0:
        ask = max(ask, m["bid_e9"] + 1)
    return bid, ask


@nb.njit(cache=True, error_model="numpy")
def send(head, own, wire, i, side, px, lots, why):
    """Put one quote message on the wire; cancels pass even when the budget is used up."""
    h = head[0]
    if lots > 0 and not take_token(head):
        return False
    row = wire[(h["wire_first"] + h["wire_count"]) % wire.size]
    row["land_ns"] = h["now_ns"] + h["latency_ns"]
    row["px_e9"] = px
    row["lots"] = lots
    row["instrument"] = i
    row["side"] = side
    row["kind"] = QUOTE_MESSAGE
    row["why"] = why
    if side > 0:
        own[i]["bid_flying"] += 1
    else:
        own[i]["ask_flying"] += 1
    h["wire_count"] += 1
    h["messages"] += 1
    return True


@nb.njit(cache=True, error_model="numpy")
def requote(head, mkt, own, wire, i):
    """Compare what we want in instrument `i` with what was sent; send the difference."""
    h, m, o = head[0], mkt[i], own[i]
    bid_px, bid_lots, ask_px, ask_lots = 0, 0, 0, 0
    why = blocked(h, m)
    why_bid, why_ask = why, why
    band_bid, band_ask, worst_bid, worst_ask = 0, 0, 0, 0
    if why == 0:
        fair = theo_now(m, h["spot"])
        worst_bid, worst_ask = worst_prices(h, m, fair)
        bid_px, bid_lots, why_bid = bid_target(h, m, o, fair)
        ask_px, ask_lots, why_ask = ask_target(h, m, o, fair)
        band_bid = int(h["hysteresis"] * o["half_bid"] * 1e9)
        band_ask = int(h["hysteresis"] * o["half_ask"] * 1e9)
        if (why_bid & CROSS_GUARD) != 0:
            band_bid = 0
        if (why_ask & CROSS_GUARD) != 0:
            band_ask = 0
    if not stays(1, o["sent_bid_e9"], o["sent_bid_lots"], bid_px, bid_lots, band_bid, worst_bid):
        if not send(head, own, wire, i, 1, bid_px, bid_lots, why_bid):
            bid_px, bid_lots, why_bid = 0, 0, why_bid | THROTTLED
            if o["sent_bid_lots"] > 0:  # a price that must move and may not is taken away
                send(head, own, wire, i, 1, 0, 0, why_bid)
        o["sent_bid_e9"] = bid_px
        o["sent_bid_lots"] = bid_lots
    if not stays(-1, o["sent_ask_e9"], o["sent_ask_lots"], ask_px, ask_lots, band_ask, worst_ask):
        if not send(head, own, wire, i, -1, ask_px, ask_lots, why_ask):
            ask_px, ask_lots, why_ask = 0, 0, why_ask | THROTTLED
            if o["sent_ask_lots"] > 0:
                send(head, own, wire, i, -1, 0, 0, why_ask)
        o["sent_ask_e9"] = ask_px
        o["sent_ask_lots"] = ask_lots
    if (why_bid | why_ask) & THROTTLED != 0:
        h["sweep_due"] = 1
    o["why_bid"] = why_bid
    o["why_ask"] = why_ask


@nb.njit(cache=True, error_model="numpy")
def guard_rows(head, mkt, own, wire):
    """Requote only where spot has eaten a quote's edge: the cheap sweep between sweeps."""
    h = head[0]
    for i in range(own.size - 1):
        m, o = mkt[i], own[i]
        if o["sent_bid_lots"] == 0 and o["sent_ask_lots"] == 0:
            continue
        fair = theo_now(m, h["spot"])
        low = (fair - LEAST_EDGE * o["half_bid"]) * 1e9
        high = (fair + LEAST_EDGE * o["half_ask"]) * 1e9
        if (o["sent_bid_lots"] > 0 and o["sent_bid_e9"] > low) or (
            o["sent_ask_lots"] > 0 and o["sent_ask_e9"] < high
        ):
            requote(head, mkt, own, wire, i)


@nb.njit(cache=True, error_model="numpy")
def requote_rows(head, mkt, own, wire, first, stop):
    """Requote options `first` to `stop`; the ring must have room for two messages each."""
    for i in range(first, stop):
        requote(head, mkt, own, wire, i)
    head[0]["sweeps"] += 1
