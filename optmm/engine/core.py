"""The event loop: everything that happens once per event, compiled.

Order inside one event: room in the buffers (else return before it), due messages land, the event
is applied, fills are tested, protections act, quotes follow. Reasons to call the slow path are
gathered over the whole event and returned after it; `next` is the first event not consumed.
"""

import numba as nb

from optmm.engine.quote import blocked_all, guard_rows, requote, requote_rows
from optmm.engine.reasons import Reason
from optmm.engine.state import ACT_PRINT, SIMULATED
from optmm.engine.venue import follow_queue, land_due, print_fills, record, taker_fills
from optmm.market.events import Bits, Kind

STATUS, TRADE, BAR, TAKER = int(Kind.STATUS), int(Kind.TRADE), int(Kind.BAR), int(Kind.TAKER)
U_TRADE, U_QUOTE, QUOTE, TIMER = (
    int(Kind.UNDERLYING_TRADE),
    int(Kind.UNDERLYING_QUOTE),
    int(Kind.QUOTE),
    int(Kind.TIMER),
)
OPEN, CLOSE, HALT, RESUME = int(Bits.OPEN), int(Bits.CLOSE), int(Bits.HALT), int(Bits.RESUME)
R_END, R_ACT, R_WIRE = int(Reason.END), int(Reason.ACT_FULL), int(Reason.WIRE_FULL)
R_TIMER, R_TAYLOR, R_HALT = int(Reason.TIMER), int(Reason.TAYLOR), int(Reason.HALT)
WORST_ACTS_PER_EVENT = 8


@nb.njit(cache=True, error_model="numpy")
def apply_status(h, bits):
    """Open, close, halt or resume; quotes follow through `blocked`."""
    if bits & OPEN:
        h["is_open"] = 1
    if bits & CLOSE:
        h["is_open"] = 0
    if bits & HALT:
        h["is_halted"] = 1
    if bits & RESUME:
        h["is_halted"] = 0
        h["resumed_ns"] = h["now_ns"]
        h["spot_ns"] = 0  # what was shown before the halt says nothing now
    h["sweep_due"] = 1


@nb.njit(cache=True, error_model="numpy")
def move_spot(h, mid_e9, ts_ns):
    """Set the underlying's level; ask for a sweep if it moved, and for a sheet if it moved far."""
    h["spot_ns"] = ts_ns
    if mid_e9 != h["spot_e9"]:
        h["spot_e9"] = mid_e9
        h["spot"] = mid_e9 / 1e9
        h["sweep_due"] = 1
    if h["spot"] < h["spot_lo"] or h["spot"] > h["spot_hi"]:
        return R_TAYLOR
    return 0


@nb.njit(cache=True, error_model="numpy")
def apply_underlying(h, m, e):
    """Take a new underlying top of book; a crossed or one-sided one leaves the last good mid."""
    m["bid_e9"] = e["bid_e9"]
    m["ask_e9"] = e["ask_e9"]
    m["bid_lots"] = e["bid_lots"]
    m["ask_lots"] = e["ask_lots"]
    m["quote_ns"] = e["ts_event_ns"]
    if e["bid_e9"] <= 0 or e["ask_e9"] <= e["bid_e9"]:
        return 0
    return move_spot(h, (e["bid_e9"] + e["ask_e9"]) // 2, e["ts_event_ns"])


@nb.njit(cache=True, error_model="numpy")
def apply_event(state, number, e):
    """Apply one event to market and quotes; return reason bits."""
    head, mkt, own = state[0], state[1], state[2]
    h = head[0]
    kind, i = e["kind"], e["instrument"]
    if kind == QUOTE:
        m = mkt[i]
        was_bid, was_ask = m["bid_e9"], m["ask_e9"]
        m["bid_e9"] = e["bid_e9"]
        m["ask_e9"] = e["ask_e9"]
        m["bid_lots"] = e["bid_lots"]
        m["ask_lots"] = e["ask_lots"]
        m["quote_ns"] = e["ts_event_ns"]
        follow_queue(own[i], m, was_bid, was_ask)
        if h["on_event"] != 0:
            requote(head, mkt, own, state[3], i)
        return 0
    if kind == U_QUOTE:
        return apply_underlying(h, mkt[mkt.size - 1], e)
    if kind == U_TRADE:
        if h["spot_from_prints"] != 0:
            return move_spot(h, e["bid_e9"], e["ts_event_ns"])
        return 0
    if kind in (BAR, TRADE):
        record(
            state,
            number,
            ACT_PRINT,
            i,
            e["ask_lots"] if kind == TRADE else 0,
            e["bid_e9"],
            e["bid_lots"],
            0,
        )
        state[4][h["act_count"] - 1]["own_lots"] = e["ask_e9"]  # the print's high
        if h["world"] == SIMULATED:
            return 0
        return print_fills(state, number, i, e["bid_e9"], e["ask_e9"], e["bid_lots"])
    if kind == TAKER:
        if h["world"] != SIMULATED:
            return 0
        if e["bid_lots"] > 0:
            return taker_fills(state, number, i, 1, e["bid_e9"], e["bid_lots"])
        return taker_fills(state, number, i, -1, e["ask_e9"], e["ask_lots"])
    if kind == STATUS:
        apply_status(h, e["bits"])
        return R_HALT if e["bits"] & (HALT | RESUME | CLOSE) else 0
    if kind == TIMER:
        return R_TIMER
    return 0


@nb.njit(cache=True, error_model="numpy")
def follow(head, mkt, own, wire):
    """Let quotes follow what the event changed: at once if quoting stopped, else by sweeps."""
    h = head[0]
    why = blocked_all(h)
    if why != h["blocked"]:
        h["blocked"] = why
        h["sweep_due"] = 1
        if why != 0:
            requote_rows(head, mkt, own, wire, 0, own.size - 1)
            return
    if h["on_event"] == 0 or h["sweep_due"] == 0:
        return
    if h["now_ns"] - h["swept_ns"] >= h["sweep_ns"]:
        h["swept_ns"] = h["guarded_ns"] = h["now_ns"]
        h["sweep_due"] = 0
        requote_rows(head, mkt, own, wire, 0, own.size - 1)
    elif h["now_ns"] - h["guarded_ns"] >= h["guard_ns"]:
        h["guarded_ns"] = h["now_ns"]
        guard_rows(head, mkt, own, wire)


@nb.njit(cache=True, error_model="numpy")
def advance(state, events, start):
    """Consume events from `start`; return (first event not consumed, reason bits)."""
    head, mkt, own, wire, act = state
    h = head[0]
    options = own.size - 1
    for index in range(start, events.size):
        # everything in flight may land, and a trip may then purge every side
        if h["act_count"] + h["wire_count"] + 2 * options + WORST_ACTS_PER_EVENT > act.size:
            return index, R_ACT
        if h["wire_count"] + 2 * options + 2 > wire.size:
            return index, R_WIRE
        e = events[index]
        number = h["events"]  # of the whole tape, so that blocks of any size give the same rows
        reasons = land_due(state, number, e["ts_event_ns"])
        h["now_ns"] = e["ts_event_ns"]
        reasons |= apply_event(state, number, e)
        h["events"] += 1
        follow(head, mkt, own, wire)
        if reasons != 0:
            return index + 1, reasons
    return events.size, R_END
