"""What the exchange does with our messages and with everybody's trades.

How a resting quote fills is an assumption, one per world (docs/fills.md):
pessimistic  only prints strictly through our price
queue        strictly through; or at our price once the size displayed ahead of us has traded, then
             our share of the rest
optimistic   any print at or through our price
simulated    takers with a reservation price meet us and the other makers in price, then time
"""

import math

from optmm.engine.compiled import inlined, inner
from optmm.engine.layout import (
    ACT_FILL,
    ACT_HEDGE,
    ACT_HEDGE_REJECT,
    ACT_PRINT,
    ACT_QUOTE,
    ACT_REJECT,
    HEDGE_ORDER,
)
from optmm.engine.protect import after_fill, trip, void_row
from optmm.engine.queue import side_lots
from optmm.engine.quote import theo_now
from optmm.engine.reasons import Reason, Why

REJECTED, PICKED_OFF = int(Why.REJECTED), int(Why.PICKED_OFF)
R_FILL, R_TRIP, R_LIMIT = int(Reason.FILL), int(Reason.TRIP), int(Reason.LIMIT)


@inlined
def record(state, kind, i, side, px, lots, why):
    """Append one act row: what happened, with the market, fair value and underlying then."""
    head, mkt, own, act = state[0], state[1], state[2], state[4]
    h, m, o = head[0], mkt[i], own[i]
    a = act[h["act_count"]]
    a["ts_ns"] = h["now_ns"]
    a["event"] = h["events"]
    a["px_e9"] = px
    a["lots"] = lots
    a["spot_e9"] = h["spot_e9"]
    a["bid_e9"] = m["bid_e9"]
    a["ask_e9"] = m["ask_e9"]
    a["own_lots"] = o["bid_lots"] if side > 0 else o["ask_lots"]
    a["instrument"] = i
    a["side"] = side
    a["kind"] = kind
    a["why"] = why
    a["mark_e9"] = h["spot_e9"]
    a["delta"] = 0.0
    if i < own.size - 1 and kind not in (ACT_QUOTE, ACT_REJECT):
        fair = theo_now(m, h["mid"])
        if math.isnan(fair):  # lost while a quote was in flight: the displayed middle stands in
            a["mark_e9"] = (m["bid_e9"] + m["ask_e9"]) // 2 if kind == ACT_FILL else 0
            a["delta"] = 0.0
        else:
            a["mark_e9"] = int(fair * 1e9 + 0.5)
            a["delta"] = m["delta"] + 2.0 * m["gamma_half"] * (h["mid"] - m["spot_ref"])
    h["act_count"] += 1


@inlined
def two_sided(h, m):
    """Whether the displayed market can be trusted to have traded: both sides, apart, fresh."""
    return (
        m["bid_e9"] > 0
        and m["ask_e9"] > m["bid_e9"]
        and h["now_ns"] - m["quote_ns"] <= h["stale_quote_ns"]
    )


@inlined
def trades(h, m):
    """Whether anybody can trade with us here now; a bar that ends at the close still counts."""
    return (
        h["is_open"] != 0
        and h["is_halted"] == 0
        and h["now_ns"] <= m["close_ns"]
        and m["quote_ns"] >= h["resumed_ns"]
        and two_sided(h, m)
    )


@inlined
def remember(state, i):
    """Let `sent` say what rests on a side with nothing in flight; else the last message stands."""
    o = state[2][i]
    changed = False
    if o["bid_flying"] == 0:
        changed = o["sent_bid_lots"] != o["bid_lots"] or o["sent_bid_e9"] != o["bid_e9"]
        o["sent_bid_e9"] = o["bid_e9"]
        o["sent_bid_lots"] = o["bid_lots"]
    if o["ask_flying"] == 0:
        changed |= o["sent_ask_lots"] != o["ask_lots"] or o["sent_ask_e9"] != o["ask_e9"]
        o["sent_ask_e9"] = o["ask_e9"]
        o["sent_ask_lots"] = o["ask_lots"]
    if changed:
        void_row(state[5], state[6], i)


@inlined
def note_pick_off(h, a, o, multiplier):
    """Mark a fill of a side whose next message is on its way; count what it cost to be late."""
    flying = o["bid_flying"] if a["side"] > 0 else o["ask_flying"]
    if flying == 0:
        return
    a["why"] |= PICKED_OFF
    h["picked_lots"] += a["lots"]
    loss = a["side"] * (a["px_e9"] - a["mark_e9"])
    h["picked_e9"] += max(loss, 0) * a["lots"] * multiplier


@inner
def book_fill(state, i, side, px, lots):
    """Trade `lots` of our resting quote; return reason bits. Purges in the same event on a trip."""
    head, mkt, own, act = state[0], state[1], state[2], state[4]
    h, m, o = head[0], mkt[i], own[i]
    record(state, ACT_FILL, i, side, px, lots, 0)
    note_pick_off(h, act[h["act_count"] - 1], o, m["multiplier"])
    o["qty"] += side * lots
    o["cash_e9"] -= side * lots * px * m["multiplier"]
    o["fills"] += 1
    if side > 0:
        o["bid_lots"] -= lots
    else:
        o["ask_lots"] -= lots
    remember(state, i)
    h["fills"] += 1
    h["contracts"] += lots
    h["sweep_due"] = 1
    verdict = after_fill(head, state[8], m, side, lots, px, o["unit_usd"])
    if verdict == 0 or h["is_tripped"] != 0:
        return R_FILL
    trip(state, 0)
    return R_FILL | R_TRIP | (R_LIMIT if verdict == 2 else 0)


@inner
def print_fills(state, i, low, high, traded):
    """Test our quote in `i` against prints between `low` and `high`; at most one side fills.

    When a bar ran through both our sides, the side it ran through further fills, on a tie neither:
    a bar hides the order of its prints and must not hand us a round trip.
    """
    head, mkt, own = state[0], state[1], state[2]
    h, m, o = head[0], mkt[i], own[i]
    if not trades(h, m):
        return 0
    bid, ask = o["bid_e9"], o["ask_e9"]
    reach_bid = o["bid_lots"] > 0 and low <= bid
    reach_ask = o["ask_lots"] > 0 and high >= ask
    if reach_bid and reach_ask:
        if bid - low == high - ask:
            return 0
        reach_bid = bid - low > high - ask
        reach_ask = not reach_bid
    if reach_bid:
        lots = side_lots(h, m, o, 1, low < bid, low == bid, traded)
        if lots > 0:
            return book_fill(state, i, 1, bid, lots)
    if reach_ask:
        lots = side_lots(h, m, o, -1, high > ask, high == ask, traded)
        if lots > 0:
            return book_fill(state, i, -1, ask, lots)
    return 0


@inner
def taker_fills(state, i, side, limit, lots):
    """A simulated taker trades with the best of us and the other makers, up to its reservation.

    `side` +1 is a seller, who meets bids; -1 a buyer, who meets asks. Better price first; at one
    price the size displayed before us first. What trades is printed; the reservation never is.
    """
    head, mkt, own = state[0], state[1], state[2]
    h, m, o = head[0], mkt[i], own[i]
    if not trades(h, m):
        return 0
    if side > 0:
        our_px, our_lots, ahead = o["bid_e9"], o["bid_lots"], o["bid_ahead"]
        their_px, their_lots = m["bid_e9"], m["bid_lots"]
    else:
        our_px, our_lots, ahead = o["ask_e9"], o["ask_lots"], o["ask_ahead"]
        their_px, their_lots = m["ask_e9"], m["ask_lots"]
    ours = our_lots > 0 and side * (our_px - limit) >= 0
    theirs = their_px > 0 and their_lots > 0 and side * (their_px - limit) >= 0
    better = ours and (not theirs or side * (our_px - their_px) > 0)
    before_us = 0
    if theirs and not better:
        before_us = min(lots, min(ahead, their_lots) if ours and our_px == their_px else their_lots)
    mine = min(our_lots, lots - before_us) if ours else 0
    theirs_after = min(their_lots - before_us, lots - before_us - mine) if theirs else 0
    reasons = 0
    if mine > 0:
        record(state, ACT_PRINT, i, -side, our_px, mine, 1)
        state[4][h["act_count"] - 1]["own_lots"] = our_px
        reasons = book_fill(state, i, side, our_px, mine)
    if before_us + theirs_after > 0:
        record(state, ACT_PRINT, i, -side, their_px, before_us + theirs_after, 0)
        state[4][h["act_count"] - 1]["own_lots"] = their_px
        if ours and our_px == their_px:
            if side > 0:
                o["bid_ahead"] = max(ahead - before_us, 0)
            else:
                o["ask_ahead"] = max(ahead - before_us, 0)
    return reasons


@inlined
def land_quote(state, message):
    """A quote message reaches the venue: post-only, so one that would cross or lock is refused."""
    mkt, own = state[1], state[2]
    i, side, px, lots = message["instrument"], message["side"], message["px_e9"], message["lots"]
    m, o = mkt[i], own[i]
    if side > 0:
        crosses = lots > 0 and m["ask_e9"] > 0 and px >= m["ask_e9"]
        if lots > 0 and o["ask_lots"] > 0 and px >= o["ask_e9"]:
            o["ask_lots"] = 0  # never meet ourselves: the other side's message is right behind
    else:
        crosses = lots > 0 and m["bid_e9"] > 0 and px <= m["bid_e9"]
        if lots > 0 and o["bid_lots"] > 0 and px <= o["bid_e9"]:
            o["bid_lots"] = 0
    if crosses:
        lots = 0
        state[0][0]["rejected"] += 1
    if side > 0:
        kept = lots > 0 and o["bid_lots"] >= lots and o["bid_e9"] == px
        if not kept:
            shown = m["bid_lots"] if m["bid_e9"] > 0 else 0
            o["bid_ahead"] = 0 if px > m["bid_e9"] else shown
            o["bid_credit"] = 0
        o["bid_e9"] = px
        o["bid_lots"] = lots
        o["bid_flying"] -= 1
        if crosses:
            o["why_bid"] = REJECTED
    else:
        kept = lots > 0 and o["ask_lots"] >= lots and o["ask_e9"] == px
        if not kept:
            shown = m["ask_lots"] if m["ask_e9"] > 0 else 0
            o["ask_ahead"] = 0 if (m["ask_e9"] == 0 or px < m["ask_e9"]) else shown
            o["ask_credit"] = 0
        o["ask_e9"] = px
        o["ask_lots"] = lots
        o["ask_flying"] -= 1
        if crosses:
            o["why_ask"] = REJECTED
    remember(state, i)
    if crosses:
        void_row(state[5], state[6], i)
    record(
        state,
        ACT_REJECT if crosses else ACT_QUOTE,
        i,
        side,
        px if lots > 0 else 0,
        lots,
        message["why"],
    )


@inner
def land_hedge(state, message):
    """A hedge order trades at the touch of the underlying, or is refused when there is none."""
    head, mkt, own = state[0], state[1], state[2]
    h = head[0]
    i = own.size - 1
    m, o = mkt[i], own[i]
    side, lots = message["side"], message["lots"]
    fresh = h["now_ns"] - h["spot_ns"] <= h["stale_spot_ns"]
    if (
        h["is_open"] == 0
        or h["is_halted"] != 0
        or not fresh
        or m["ask_e9"] <= m["bid_e9"]
        or m["bid_e9"] <= 0
    ):
        record(state, ACT_HEDGE_REJECT, i, side, 0, lots, 0)
        return R_FILL
    px = m["ask_e9"] if side > 0 else m["bid_e9"]
    record(state, ACT_HEDGE, i, side, px, lots, 0)
    o["qty"] += side * lots
    o["cash_e9"] -= side * lots * px * m["multiplier"]
    o["fills"] += 1
    return R_FILL


@inner
def land_due(state, now_ns):
    """Deliver the messages whose time has come, in the order sent, each at its own instant."""
    head, wire = state[0], state[3]
    h = head[0]
    reasons = 0
    while h["wire_count"] > 0 and wire[h["wire_first"]]["land_ns"] <= now_ns:
        message = wire[h["wire_first"]]
        h["now_ns"] = max(h["now_ns"], message["land_ns"])
        h["wire_first"] = (h["wire_first"] + 1) & (wire.size - 1)
        h["wire_count"] -= 1
        if message["kind"] == HEDGE_ORDER:
            reasons |= land_hedge(state, message)
        else:
            land_quote(state, message)
    return reasons
