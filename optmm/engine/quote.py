"""What we want to show, per instrument and event: theo by Taylor, outward to the tick, guarded.

No fastmath here: a target becomes an integer by floor or ceil to the tick, and one ulp decides.
"""

import math

import numba as nb

from optmm.engine.compiled import inlined
from optmm.engine.reasons import Why

NO_THEO, STALE, CLOSED, HALTED = (
    int(Why.NO_THEO),
    int(Why.STALE_UNDERLYING),
    int(Why.CLOSED),
    int(Why.HALTED),
)
TRIPPED, KILLED, BELOW_TICK = int(Why.TRIPPED), int(Why.KILLED), int(Why.BELOW_TICK)
CROSS_GUARD, BOUND_GUARD, NO_MARKET = int(Why.CROSS_GUARD), int(Why.BOUND_GUARD), int(Why.NO_MARKET)
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


@inlined
def theo_now(m, spot):
    """Fair value at `spot` by the sheet's Taylor terms, USD >= 0; NaN where there is none."""
    move = spot - m["spot_ref"]
    value = m["theo"] + move * (m["delta"] + move * m["gamma_half"])
    if value < 0.0:
        return 0.0
    return value


@inlined
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


@inlined
def blocked(h, m):
    """`Why` bits that forbid any quote in this instrument now."""
    why = blocked_all(h)
    if h["now_ns"] >= m["close_ns"]:
        why |= CLOSED
    if h["resumed_ns"] > 0 and m["quote_ns"] < h["resumed_ns"]:
        why |= HALTED
    if h["is_tripped"] != 0:
        why |= TRIPPED | h["trip_why"]
    if h["is_killed"] != 0:
        why |= KILLED
    if math.isnan(m["theo"]):
        why |= NO_THEO
    if m["ask_e9"] == 0:
        why |= NO_MARKET
    return why


@inlined
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


@inlined
def displayed_middle(h, m):
    """Middle of a fresh two-sided market in USD; 0 if there is none to be held to.

    When fair value and the displayed market disagree, who trades with us agrees with the market.
    """
    if m["bid_e9"] <= 0 or m["ask_e9"] <= m["bid_e9"]:
        return 0.0
    if h["now_ns"] - m["quote_ns"] > h["middle_ns"]:
        return 0.0
    return 0.5e-9 * (m["bid_e9"] + m["ask_e9"])


@inlined
def bid_target(h, m, o, fair, middle, cap):
    """Return (price e9, lots, why) of the bid we want; lots 0 is no bid."""
    why = o["slow_bid"]
    if o["cap_bid"] <= 0:
        return 0, 0, why | (NO_HEADROOM if why == 0 else 0)
    split, below, above = m["tick_split_e9"], m["tick_below_e9"], m["tick_above_e9"]
    # inventory may bring a quote to fair value, never through it
    want = min(fair + o["skew"] - o["half_bid"], fair)
    if want > cap:
        want = cap
        why |= BOUND_GUARD
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


@inlined
def ask_target(h, m, o, fair, middle, floor):
    """Return (price e9, lots, why) of the ask we want; lots 0 is no ask."""
    why = o["slow_ask"]
    if o["cap_ask"] <= 0:
        return 0, 0, why | (NO_HEADROOM if why == 0 else 0)
    split, below, above = m["tick_split_e9"], m["tick_below_e9"], m["tick_above_e9"]
    want = max(fair + o["skew"] + o["half_ask"], fair)
    if want < floor:
        want = floor
        why |= BOUND_GUARD
    if middle > 0.0 and want < middle + h["middle_edge"] * o["half_ask"]:
        want = middle + h["middle_edge"] * o["half_ask"]
        why |= MID_GUARD
    px = max(ceil_tick(math.ceil(want * 1e9), split, below, above), below)
    if m["bid_e9"] > 0 and px <= m["bid_e9"]:
        px = tick_over(m["bid_e9"], split, below, above)
        why |= CROSS_GUARD
    return px, o["cap_ask"], why


@inlined
def stays(side, sent_px, sent_lots, px, lots, band_e9, worst_e9):
    """Whether the quote already sent may be left alone: near the target, not beyond `worst_e9`."""
    if lots == 0:
        return sent_lots == 0
    if sent_lots == 0 or sent_lots > lots or 2 * sent_lots < lots:
        return False
    return abs(px - sent_px) <= band_e9 and side * (sent_px - worst_e9) <= 0


@inlined
def worst_prices(m, fair, floor, cap):
    """(Highest bid, lowest ask) e9 that may rest: fair value, no-arbitrage bounds, no crossing."""
    bid = math.floor(min(fair, cap) * 1e9)
    ask = math.ceil(max(fair, floor) * 1e9)
    if m["ask_e9"] > 0:
        bid = min(bid, m["ask_e9"] - 1)
    if m["bid_e9"] > 0:
        ask = max(ask, m["bid_e9"] + 1)
    return bid, ask


@inlined
def band_of(h, m, half, sent_px, why):
    """How far (e9) the target may be from the quote sent before a message is worth it.

    A quote held back by the other market side follows it tick by tick.
    """
    if why & CROSS_GUARD != 0:
        return 0
    tick = m["tick_below_e9"] if sent_px < m["tick_split_e9"] else m["tick_above_e9"]
    return max(int(h["hysteresis"] * half * 1e9), h["min_change_ticks"] * tick - 1)


@inlined
def decide(h, m, o):
    """What both sides should be, and whether what was sent may stay; nothing is changed.

    Returns (blocking why, bid, ask), each side as (price e9, lots, why, stays, has edge): a quote
    "has edge" if it may rest where it is, at the size it has, though it should move.
    """
    why = blocked(h, m)
    if why != 0:
        none_bid, none_ask = o["sent_bid_lots"] == 0, o["sent_ask_lots"] == 0
        return why, (0, 0, why, none_bid, False), (0, 0, why, none_ask, False)
    fair, middle = theo_now(m, h["spot"]), displayed_middle(h, m)
    floor, cap = bounds(m, h["spot"])
    worst_bid, worst_ask = worst_prices(m, fair, floor, cap)
    px, lots, why = bid_target(h, m, o, fair, middle, cap)
    sent, sent_lots = o["sent_bid_e9"], o["sent_bid_lots"]
    band = band_of(h, m, o["half_bid"], sent, why)
    stay = stays(1, sent, sent_lots, px, lots, band, worst_bid)
    bid = (px, lots, why, stay, 0 < sent_lots <= lots and sent <= worst_bid)
    px, lots, why = ask_target(h, m, o, fair, middle, floor)
    sent, sent_lots = o["sent_ask_e9"], o["sent_ask_lots"]
    band = band_of(h, m, o["half_ask"], sent, why)
    stay = stays(-1, sent, sent_lots, px, lots, band, worst_ask)
    return 0, bid, (px, lots, why, stay, 0 < sent_lots <= lots and sent >= worst_ask)
