"""From decisions to messages: one row after an event, many rows after a move of the underlying.

A sweep reads fair value's Taylor terms and its certified interval array by array, and decides only
the rows that left it. When the budget has fewer messages than the sweep may need, rows go by what
is at stake: quotes that lost their edge first, then by powers of two of |change| x lots x
multiplier (a missing quote: half width x lots x multiplier). What may not be moved stays if it
still has edge, and is cancelled if not; cancels always pass.
"""

import numba as nb

from optmm.engine.certify import certify, certify_absent
from optmm.engine.compiled import inlined, inner
from optmm.engine.latency import landing
from optmm.engine.layout import (
    DELTA,
    FAIR_HI,
    FAIR_LO,
    GAMMA_HALF,
    QUOTE_MESSAGE,
    SPOT_HI,
    SPOT_LO,
    THEO,
    UNTIL,
)
from optmm.engine.protect import count_message, leave_unquoted, may_send, room, void_row
from optmm.engine.quote import decide, theo_now
from optmm.engine.reasons import Why

THROTTLED = int(Why.THROTTLED)
MOST_URGENT = 64


@inlined
def send(state, i, side, px, lots, why):
    """Put one quote message on the wire; cancels pass even when the budget is used up."""
    head, own, wire, sends = state[0], state[2], state[3], state[10]
    h = head[0]
    if lots > 0 and not may_send(head, sends):
        h["throttled"] += 1
        return False
    row = wire[(h["wire_first"] + h["wire_count"]) & (wire.size - 1)]
    row["land_ns"] = landing(head)
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
    count_message(head, sends)
    return True


@inner
def requote(state, i):
    """Compare what we want in option `i` with what was sent; send the difference, certify."""
    h, m, o = state[0][0], state[1][i], state[2][i]
    h["requotes"] += 1
    why, bid, ask = decide(h, m, o)
    bid_px, bid_lots, why_bid, bid_stays, bid_good = bid
    ask_px, ask_lots, why_ask, ask_stays, ask_good = ask
    unquoted = 0.0
    if not bid_stays:
        if not send(state, i, 1, bid_px, bid_lots, why_bid):
            unquoted += o["half_bid"] * (bid_lots * m["multiplier"])
            why_bid |= THROTTLED
            bid_px, bid_lots = o["sent_bid_e9"], o["sent_bid_lots"]
            if bid_lots > 0 and not bid_good:
                send(state, i, 1, 0, 0, why_bid)
                bid_px, bid_lots = 0, 0
        o["sent_bid_e9"] = bid_px
        o["sent_bid_lots"] = bid_lots
    if not ask_stays:
        if not send(state, i, -1, ask_px, ask_lots, why_ask):
            unquoted += o["half_ask"] * (ask_lots * m["multiplier"])
            why_ask |= THROTTLED
            ask_px, ask_lots = o["sent_ask_e9"], o["sent_ask_lots"]
            if ask_lots > 0 and not ask_good:
                send(state, i, -1, 0, 0, why_ask)
                ask_px, ask_lots = 0, 0
        o["sent_ask_e9"] = ask_px
        o["sent_ask_lots"] = ask_lots
    o["why_bid"] = why_bid
    o["why_ask"] = why_ask
    leave_unquoted(state[0], state[2], i, int(unquoted * 1e6 + 0.5))
    if (why_bid | why_ask) & THROTTLED != 0:
        h["sweep_due"] = 1
        void_row(state[5], state[6], i)
    elif why != 0:
        certify_absent(state, i, why)
    else:
        certify(state, i, why_bid, why_ask)


@nb.njit(cache=True, error_model="numpy")
def requote_rows(state, first, stop):
    """Requote options `first` to `stop`; the ring must have room for two messages each."""
    for i in range(first, stop):
        requote(state, i)
    state[0][0]["sweeps"] += 1


@nb.njit(cache=True, error_model="numpy")
def rows_due(state):
    """List in `work` the rows whose decision may have changed since it was taken; their number.

    Those whose fair value, spot or age left the intervals in which it holds.
    """
    h, sheet, rows = state[0][0], state[6], state[7][0]
    n = state[2].size - 1
    if h["every_row"] != 0:
        for i in range(n):
            rows[i] = i
        return n
    spot, move, now = h["spot"], h["spot"] - h["spot_ref"], float(h["now_ns"])
    theo, delta, bend = sheet[THEO], sheet[DELTA], sheet[GAMMA_HALF]
    low, high, until = sheet[FAIR_LO], sheet[FAIR_HI], sheet[UNTIL]
    spot_lo, spot_hi = sheet[SPOT_LO], sheet[SPOT_HI]
    count = 0
    for i in range(n):
        value = theo[i] + move * (delta[i] + move * bend[i])
        left = (value < low[i]) | (value > high[i]) | (now > until[i])
        rows[count] = i
        count += left | (spot < spot_lo[i]) | (spot > spot_hi[i])
    return count


@inner
def at_stake(want, sent_px, sent_lots, half, multiplier):
    """How urgent one side's message is: 0 none, MOST_URGENT a quote to take away, else log2."""
    px, lots, _, stays, good = want
    if stays:
        return 0
    if lots == 0 or (sent_lots > 0 and not good):
        return MOST_URGENT
    change = abs(px - sent_px) if sent_lots > 0 else int(half * 1e9)
    stake = change * lots * multiplier
    level = 1
    while stake > 1:
        stake >>= 1
        level += 1
    return level


@inner
def urgency(state, i):
    """The more urgent of a row's two sides."""
    m, o = state[1][i], state[2][i]
    _, bid, ask = decide(state[0][0], m, o)
    unit = m["multiplier"]
    return max(
        at_stake(bid, o["sent_bid_e9"], o["sent_bid_lots"], o["half_bid"], unit),
        at_stake(ask, o["sent_ask_e9"], o["sent_ask_lots"], o["half_ask"], unit),
    )


@inner
def sweep(state):
    """Decide every row that may need it, the most urgent first where messages are short."""
    head, work, sends = state[0], state[7], state[10]
    h = head[0]
    h["sweeps"] += 1
    count = rows_due(state)
    if room(head, sends, 2 * count):
        for j in range(count):
            requote(state, work[0, j])
        return
    moving = 0
    for j in range(count):
        work[1, j] = urgency(state, work[0, j])
        moving += work[1, j] > 0
    level = MOST_URGENT
    if room(head, sends, 2 * moving):
        work[1, :count] = level
    while level >= 0:
        lower = -1
        for j in range(count):
            if work[1, j] == level:
                requote(state, work[0, j])
            elif work[1, j] < level:
                lower = max(lower, work[1, j])
        level = lower


@inner
def guard(state):
    """Requote only where spot has eaten a quote's edge: the cheap sweep between sweeps."""
    h, mkt, own, rows = state[0][0], state[1], state[2], state[7][0]
    for j in range(rows_due(state)):
        i = rows[j]
        m, o = mkt[i], own[i]
        fair = theo_now(m, h["spot"]) * 1e9
        if (o["sent_bid_lots"] > 0 and o["sent_bid_e9"] > fair) or (
            o["sent_ask_lots"] > 0 and o["sent_ask_e9"] < fair
        ):
            requote(state, i)
