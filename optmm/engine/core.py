"""The event loop: everything that happens once per event, compiled.

Order inside one event: room in the buffers (else return before it), due messages land, the event
is applied, fills are tested, protections act, quotes follow. Reasons to call the slow path are
gathered over the whole event and returned after it; `next` is the first event not consumed.

A market quote inside its option's certificate (`engine.certify`) costs a few comparisons; a move of
the underlying is followed by a sweep (`engine.sweep`), at most one every `sweep_ns`, that reads
fair values array by array and decides only the rows that left their interval. Where spot leaves
the sheet's range the chain is priced anew (`engine.reprice`) before anything else sees it.

To drive it by hand, as benchmarks and tests do:

    state = settings.configure(tables.create(chain, "queue"), config, day, seed=1)
    tables.publish_theo(state, ..., parts=tables.SheetParts(...)); tables.publish_quotes(state, ...)
    at = 0
    while at < events.size:
        at, reasons = core.advance(state, events, at)
        if reasons & Reason.WIRE_FULL: state = tables.grown(state)
        tables.empty_acts(state)

`sweep.rows_due(state)` is the decision of a whole chain at `head["spot"]`: it returns how many rows
may need a message and lists them in `state.work[0]`. `reprice.reprice(state)` puts Black prices of
that spot under it. `sweep.requote_rows(state, 0, n)` decides every row and sends.
"""

import numba as nb

from optmm.engine.compiled import inlined, inner
from optmm.engine.layout import ACT_PRINT, FAR, SIMULATED
from optmm.engine.protect import one_sided, trip, void_row, void_rows
from optmm.engine.queue import follow_queue
from optmm.engine.quote import blocked_all
from optmm.engine.reasons import Reason, Why
from optmm.engine.reprice import reprice
from optmm.engine.spot import apply_reference, apply_underlying, move_spot
from optmm.engine.sweep import guard, requote, requote_rows, sweep
from optmm.engine.venue import land_due, print_fills, record, taker_fills
from optmm.market.events import NOT_HITTABLE, Bits, Kind

STATUS, TRADE, BAR, TAKER = int(Kind.STATUS), int(Kind.TRADE), int(Kind.BAR), int(Kind.TAKER)
U_TRADE, U_QUOTE, QUOTE, TIMER, REFERENCE = (
    int(Kind.UNDERLYING_TRADE),
    int(Kind.UNDERLYING_QUOTE),
    int(Kind.QUOTE),
    int(Kind.TIMER),
    int(Kind.REFERENCE_QUOTE),
)
OPEN, CLOSE, HALT, RESUME = int(Bits.OPEN), int(Bits.CLOSE), int(Bits.HALT), int(Bits.RESUME)
EXCLUDED = int(NOT_HITTABLE)
SAME_SIDE, STALE = int(Why.SAME_SIDE), int(Why.STALE_UNDERLYING)
R_END, R_ACT, R_WIRE = int(Reason.END), int(Reason.ACT_FULL), int(Reason.WIRE_FULL)
R_TIMER, R_HALT, R_TRIP = int(Reason.TIMER), int(Reason.HALT), int(Reason.TRIP)
R_TAYLOR = int(Reason.TAYLOR)
WORST_ACTS_PER_EVENT = 8


@inner
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
        h["future_mid"] = 0.0
    h["sweep_due"] = 1


@inlined
def still_certified(h, m, c):
    """Whether a market quote just applied to a row leaves its decision as it is."""
    bid, ask = m["bid_e9"], m["ask_e9"]
    if h["every_row"] != 0 or not (0 < bid < ask and bid <= c["bid_hi"] and ask >= c["ask_lo"]):
        return False
    if not c["sum_lo"] <= bid + ask <= c["sum_hi"]:
        return False
    move = h["spot"] - m["spot_ref"]
    fair = m["theo"] + move * (m["delta"] + move * m["gamma_half"])
    if fair < c["fair_lo"] or fair > c["fair_hi"]:  # neither of a fair value that is none
        return False
    if not c["spot_lo"] <= h["spot"] <= c["spot_hi"]:
        return False
    stale = h["now_ns"] - h["spot_ns"] > h["stale_spot_ns"]
    return stale == (h["blocked"] & STALE != 0)


@inlined
def show(h, m, o, e):
    """Put a displayed market into its row, and let our place in the queue follow it."""
    was_bid, was_ask = m["bid_e9"], m["ask_e9"]
    was_bid_lots, was_ask_lots = m["bid_lots"], m["ask_lots"]
    m["bid_e9"] = e["bid_e9"]
    m["ask_e9"] = e["ask_e9"]
    m["bid_lots"] = e["bid_lots"]
    m["ask_lots"] = e["ask_lots"]
    m["quote_ns"] = e["ts_event_ns"]
    if o["bid_lots"] | o["ask_lots"] != 0:
        follow_queue(h, o, m, was_bid, was_ask, was_bid_lots, was_ask_lots)


@inner
def apply_print(state, i, e):
    """Record a print; test it against our quotes and against one-sided trading."""
    head, mkt, act = state[0], state[1], state[4]
    h, m = head[0], mkt[i]
    low, high, is_trade = e["bid_e9"], e["ask_e9"], e["kind"] == TRADE
    record(state, ACT_PRINT, i, e["ask_lots"] if is_trade else 0, low, e["bid_lots"], 0)
    act[h["act_count"] - 1]["own_lots"] = high
    if e["bits"] & EXCLUDED != 0:
        h["excluded"] += 1
        return 0
    reasons, held = 0, state[2][i]["qty"]
    if h["world"] != SIMULATED:
        reasons = print_fills(state, i, low, high, e["bid_lots"])
    if h["side_strikes"] > 0 and is_trade:
        ours = state[2][i]["qty"] - held  # who sold to us sold, wherever the displayed touch is
        bought = ours < 0 or (ours == 0 and high >= m["ask_e9"] > 0)
        sold = ours > 0 or (ours == 0 and low <= m["bid_e9"])
        if bought != sold:
            reasons |= watch_side(state, i, 1 if bought else -1)
    return reasons


@inner
def watch_side(state, i, side):
    """Count a trade by a buyer (+1) or seller (-1); pull every quote if many series saw one."""
    h = state[0][0]
    if not one_sided(state[0], state[9], i, side) or h["is_tripped"] != 0 or h["is_open"] == 0:
        return 0
    h["side_trips"] += 1
    trip(state, SAME_SIDE)
    return R_TRIP


@inner
def apply_event(state, e):
    """Apply one event other than an option quote to market and quotes; return reason bits."""
    h = state[0][0]
    mkt = state[1]
    kind, i = e["kind"], e["instrument"]
    if kind == U_QUOTE:
        return apply_underlying(h, mkt[mkt.size - 1], e)
    if kind == U_TRADE:
        if h["spot_from_prints"] != 0:
            return move_spot(h, mkt[mkt.size - 1], e["bid_e9"], e["ts_event_ns"])
        return 0
    if kind == REFERENCE:
        return apply_reference(h, mkt[mkt.size - 1], e)
    if kind in (BAR, TRADE):
        return apply_print(state, i, e)
    if kind == TAKER:
        if h["world"] != SIMULATED:
            return 0
        side = 1 if e["bid_lots"] > 0 else -1
        limit, lots = (e["bid_e9"], e["bid_lots"]) if side > 0 else (e["ask_e9"], e["ask_lots"])
        before = h["act_count"]
        reasons = taker_fills(state, i, side, limit, lots)
        if h["side_strikes"] > 0 and h["act_count"] > before:
            reasons |= watch_side(state, i, -side)
        return reasons
    if kind == STATUS:
        apply_status(h, e["bits"])
        return R_HALT if e["bits"] & (HALT | RESUME | CLOSE) else 0
    if kind == TIMER:
        return R_TIMER
    return 0


@inner
def retire(state):
    """Let series that close now be decided again; remember when the next ones do."""
    h, mkt = state[0][0], state[1]
    soonest = FAR
    for i in range(mkt.size - 1):
        close_ns = mkt[i]["close_ns"]
        if close_ns <= h["now_ns"]:
            void_row(state[5], state[6], i)
        elif close_ns < soonest:
            soonest = close_ns
    h["expiry_ns"] = soonest


@inlined
def waits(h):
    """Whether a sweep or the cheaper look between sweeps is due now."""
    if h["sweep_due"] == 0 or h["on_event"] == 0:
        return False
    now_ns = h["now_ns"]
    return now_ns - h["swept_ns"] >= h["sweep_ns"] or now_ns - h["guarded_ns"] >= h["guard_ns"]


@inner
def follow(state, why):
    """Let quotes follow what events changed: at once if quoting stopped, else by sweeps."""
    h = state[0][0]
    if why != h["blocked"]:
        h["blocked"] = why
        h["sweep_due"] = 1
        void_rows(state[5], state[6])
        if why != 0:
            requote_rows(state, 0, state[2].size - 1)
            return
    if not waits(h):
        return
    h["guarded_ns"] = h["now_ns"]
    if h["now_ns"] - h["swept_ns"] >= h["sweep_ns"]:
        h["swept_ns"] = h["now_ns"]
        h["sweep_due"] = 0
        sweep(state)
    else:
        guard(state)


@nb.njit(cache=True, error_model="numpy")
def advance(state, events, start):
    """Consume events from `start`; return (first event not consumed, reason bits)."""
    h, mkt, own, wire, cert = state[0][0], state[1], state[2], state[3], state[5]
    options = own.size - 1
    act_room = state[4].size - 2 * options - WORST_ACTS_PER_EVENT
    wire_room = wire.size - 2 * options - 2
    for index in range(start, events.size):
        # everything in flight may land, and a trip may then purge every side
        if h["act_count"] + h["wire_count"] > act_room:
            return index, R_ACT
        if h["wire_count"] > wire_room:
            return index, R_WIRE
        e = events[index]
        reasons = 0
        if h["wire_count"] > 0 and wire[h["wire_first"]]["land_ns"] <= e["ts_event_ns"]:
            reasons = land_due(state, e["ts_event_ns"])
        h["now_ns"] = e["ts_event_ns"]
        if h["now_ns"] >= h["expiry_ns"]:
            retire(state)
        if e["kind"] == QUOTE:
            i = e["instrument"]
            m = mkt[i]
            show(h, m, own[i], e)
            if h["on_event"] != 0 and not still_certified(h, m, cert[i]):
                requote(state, i)
        else:
            reasons |= apply_event(state, e)
            if reasons & R_TAYLOR != 0 and h["has_book"] != 0:
                reprice(state)
        why = blocked_all(h)
        if why != h["blocked"] or waits(h):
            follow(state, why)
        h["events"] += 1
        if reasons != 0:
            return index + 1, reasons
    return events.size, R_END
