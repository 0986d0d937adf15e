"""How the engine's tables lie in memory: record types, kinds of rows, worlds and models.

The event loop touches, for an option quote, one event and the first 64 bytes of a row of `mkt`,
`cert` and `own`: fields are in that order, rows are whole cache lines, tables start on one.

Units: prices and cash int64 1e-9 USD (`_e9`), theory float64 USD, time int64 ns UTC (`_ns`), sizes
in lots. `side` is +1 for our bid, -1 for our ask.
"""

import numpy as np

LINE = 64  # bytes of a cache line
FAR = (1 << 62) - 1  # beyond every price, sum of prices and time

HEAD = np.dtype(
    [
        ("now_ns", np.int64),
        ("spot_ns", np.int64),
        ("spot_e9", np.int64),  # mid of the underlying: marks and records; half a nano is dropped
        ("mid", np.float64),  # the same in USD
        ("spot", np.float64),  # the level fair value is taken at, by `spot_source`
        ("spot_lo", np.float64),  # the Taylor range: beyond it the sheet must be refreshed
        ("spot_hi", np.float64),
        ("spot_ref", np.float64),  # where the sheet was taken
        ("has_book", np.int64),  # 1: `book` holds what the sheet was made of
        ("book_spot", np.float64),  # where and when
        ("book_ns", np.int64),
        ("events", np.int64),
        ("act_count", np.int64),
        ("wire_first", np.int64),
        ("wire_count", np.int64),
        ("blocked", np.int64),  # Why bits that forbid every quote, as of the last event
        ("sweep_due", np.int64),
        ("swept_ns", np.int64),
        ("guarded_ns", np.int64),
        ("expiry_ns", np.int64),  # the next series closes then
        ("every_row", np.int64),  # 1: decide every row every time, certificates or not (a test)
        ("on_event", np.int64),  # 1: requote inside the loop; 0: only when the slow path asks
        ("sweep_ns", np.int64),
        ("guard_ns", np.int64),  # at most this often: pull quotes that spot has reached
        ("is_open", np.int64),
        ("is_halted", np.int64),
        ("is_tripped", np.int64),
        ("is_killed", np.int64),
        ("world", np.int64),
        ("stale_spot_ns", np.int64),
        ("stale_quote_ns", np.int64),
        ("resumed_ns", np.int64),  # after a halt: only a market shown since then counts
        ("spot_from_prints", np.int64),  # 1: an index, whose prints are its level
        ("middle_ns", np.int64),  # a displayed market older than this does not hold us back
        ("middle_edge", np.float64),  # of the half width: least edge against the displayed middle
        ("hysteresis", np.float64),  # of the half width; a quote inside the band is left alone
        ("min_change_ticks", np.int64),
        # where fair value's spot comes from
        ("spot_source", np.int64),
        ("future_mid", np.float64),  # 0: none, or not two-sided
        ("future_ns", np.int64),
        ("basis", np.float64),  # average of future less mid
        ("basis_ns", np.int64),  # 0: none yet
        ("basis_half_life_ns", np.int64),
        # on the way
        ("latency_ns", np.int64),  # feed and order together: market, decision, venue; the medians
        ("feed_ns", np.int64),
        ("order_ns", np.int64),
        ("latency_sigma", np.float64),  # of the logarithm; 0 is constant
        ("latency_stress", np.float64),
        ("seed", np.int64),
        ("draws", np.int64),  # messages that drew a latency
        ("landed_ns", np.int64),  # landing time of the last message sent: the next is not before
        ("move_ns", np.int64),  # the last move of the mid
        ("move_mid", np.float64),
        ("fast_var", np.float64),  # averages of squared returns per ns, and the weight gathered
        ("fast_weight", np.float64),
        ("slow_var", np.float64),
        ("slow_weight", np.float64),
        # the message budget
        ("message_cap", np.int64),  # of `message_window_ns`
        ("message_window_ns", np.int64),
        ("sends_next", np.int64),  # of the ring `sends`
        ("messages", np.int64),
        ("throttled", np.int64),
        ("unquoted_e6", np.int64),  # edge without a quote now for want of messages, 1e-6 USD
        ("unquoted_ns", np.int64),  # since when
        ("unquoted_usd_s", np.float64),  # its integral over event time until then, USD x s
        # queue
        ("queue_model", np.int64),
        ("share_pm", np.int64),  # our share of a print at our price, per mille
        ("customer_pm", np.int64),  # of the displayed size: before makers, per mille
        # protections
        ("fill_window_ns", np.int64),
        ("max_fills", np.int64),
        ("max_lots", np.int64),
        ("max_notional_usd", np.float64),  # inf: off
        ("max_delta_usd", np.float64),
        ("max_vega_usd", np.float64),
        ("recent_first", np.int64),  # of the ring `recent`
        ("recent_count", np.int64),
        ("headroom_usd", np.float64),  # of the inventory limit when the caps were set
        ("used_usd", np.float64),  # worst case consumed by fills since
        ("max_fill_usd", np.float64),  # no live quote can consume more in one fill
        ("side_strikes", np.int64),  # 0: off
        ("side_window_ns", np.int64),
        ("trip_why", np.int64),  # Why bits beside TRIPPED while tripped
        # counters
        ("rejected", np.int64),
        ("fills", np.int64),
        ("contracts", np.int64),
        ("trips", np.int64),
        ("side_trips", np.int64),  # of them: by trades on one side
        ("sweeps", np.int64),
        ("requotes", np.int64),  # decisions taken, row by row
        ("reprices", np.int64),  # of the whole chain, inside the loop
        ("picked_lots", np.int64),  # filled while a newer message of ours was on its way
        ("picked_e9", np.int64),  # what that cost against fair value at the fill
        ("excluded", np.int64),  # prints that could not have met a resting quote
    ],
    align=True,
)

MKT = np.dtype(
    [
        ("bid_e9", np.int64),
        ("ask_e9", np.int64),
        ("bid_lots", np.int64),
        ("ask_lots", np.int64),
        ("quote_ns", np.int64),
        ("theo", np.float64),  # NaN: no fair value
        ("delta", np.float64),
        ("gamma_half", np.float64),
        ("spot_ref", np.float64),
        ("df", np.float64),
        ("growth", np.float64),  # forward / spot
        ("strike", np.float64),
        ("close_ns", np.int64),  # the series stops being quoted
        ("tick_split_e9", np.int64),
        ("tick_below_e9", np.int64),
        ("tick_above_e9", np.int64),
        ("right", np.int32),
        ("american", np.int32),
        ("multiplier", np.int64),
        ("vega", np.float64),  # per 1.00 of vol
        ("to_line", np.int64, 5),
    ],
    align=True,
)

OWN = np.dtype(
    [
        ("bid_e9", np.int64),  # live at the venue
        ("ask_e9", np.int64),
        ("bid_lots", np.int64),  # 0: no quote
        ("ask_lots", np.int64),
        ("bid_ahead", np.int64),  # displayed lots that trade before ours
        ("ask_ahead", np.int64),
        ("bid_flying", np.int64),  # in flight: while there are any, `sent` is the last
        ("ask_flying", np.int64),
        ("sent_bid_e9", np.int64),  # what the last message said
        ("sent_ask_e9", np.int64),
        ("sent_bid_lots", np.int64),
        ("sent_ask_lots", np.int64),
        ("half_bid", np.float64),  # USD from reservation to our bid
        ("half_ask", np.float64),
        ("skew", np.float64),  # USD added to theo by inventory
        ("cap_bid", np.int64),  # lots we want to show
        ("cap_ask", np.int64),
        ("slow_bid", np.int64),  # Why bits from the slow path
        ("slow_ask", np.int64),
        ("why_bid", np.int64),  # Why bits now
        ("why_ask", np.int64),
        ("unquoted_e6", np.int64),  # this row's part of the head's
        ("by_middle", np.int64),  # 1: the certificate needs a fresh displayed middle
        ("bid_credit", np.int64),  # per mille of a lot of queue share not yet filled
        ("ask_credit", np.int64),
        ("unit_usd", np.float64),  # worst inventory use of one lot
        ("qty", np.int64),
        ("cash_e9", np.int64),
        ("fills", np.int64),
        ("to_line", np.int64, 3),
    ],
    align=True,
)

# Where a row's decision holds: while fair value, spot and the displayed market stay inside, no
# message is needed. `engine.certify` says why.
CERT = np.dtype(
    [
        ("fair_lo", np.float64),  # of the Taylor value, USD
        ("fair_hi", np.float64),
        ("spot_lo", np.float64),  # of spot, by the no-arbitrage bounds
        ("spot_hi", np.float64),
        ("sum_lo", np.int64),  # of displayed bid + ask, 1e-9 USD
        ("sum_hi", np.int64),
        ("bid_hi", np.int64),  # a higher displayed bid, a lower ask: decide again; -1 is void
        ("ask_lo", np.int64),
    ],
    align=True,
)

WIRE = np.dtype(
    [
        ("land_ns", np.int64),
        ("px_e9", np.int64),
        ("lots", np.int64),
        ("instrument", np.int32),
        ("side", np.int32),
        ("kind", np.int32),
        ("why", np.int32),
    ],
    align=True,
)

# `event` counts from the first of the run. `own_lots` is our live size on that side, of a print its
# highest price (1e-9 USD). A fill's `why` says whether it picked us off, a trip's which guard.
ACT = np.dtype(
    [
        ("ts_ns", np.int64),
        ("event", np.int64),
        ("px_e9", np.int64),
        ("lots", np.int64),
        ("mark_e9", np.int64),
        ("spot_e9", np.int64),
        ("bid_e9", np.int64),
        ("ask_e9", np.int64),
        ("own_lots", np.int64),
        ("delta", np.float64),
        ("instrument", np.int32),
        ("side", np.int32),
        ("kind", np.int32),
        ("why", np.int32),
    ],
    align=True,
)

RECENT = np.dtype(
    [
        ("ts_ns", np.int64),
        ("lots", np.int64),
        ("notional_usd", np.float64),
        ("delta_usd", np.float64),  # signed, as the two below: a fill and its reverse cancel
        ("vega_usd", np.float64),
    ],
    align=True,
)

# Series by their last trade on one side, oldest first: a linked list a side through 2 (n + 1) nodes
TIDE = np.dtype(
    [("ts_ns", np.int64), ("before", np.int32), ("after", np.int32), ("count", np.int64)],
    align=True,
)

# kinds of wire messages
QUOTE_MESSAGE, HEDGE_ORDER = 0, 1
# kinds of act rows
ACT_QUOTE, ACT_FILL, ACT_TRIP, ACT_REJECT, ACT_HEDGE, ACT_HEDGE_REJECT, ACT_PRINT = range(1, 8)
# rows of `sheet`
THEO, DELTA, GAMMA_HALF, FAIR_LO, FAIR_HI, SPOT_LO, SPOT_HI, UNTIL = range(8)
SHEET_ROWS = 8
ROUNDED_NS = 1_024  # a time in ns as float64 is off by no more than half of that
# rows of `book`: of the sheet, of what it holds beyond Black at its spot, and working room
(RIGHT, STRIKE, YEARS, VOL, SLOPE, RATE, DF, GROWTH) = range(8)
(VALUE, FIRST, BEND) = range(8, 11)
(FORWARD, NOW_VOL, ROOT, NOW_DF, D1, PHI, TAIL1, TAIL2, OTM, MARK) = range(11, 21)
(PRICE, BLACK_DELTA, BLACK_GAMMA, VEGA) = range(21, 25)
BOOK_ROWS = 25
# worlds: how a resting quote is filled
PESSIMISTIC, QUEUE, OPTIMISTIC, SIMULATED = range(4)
WORLDS = {
    "pessimistic": PESSIMISTIC,
    "queue": QUEUE,
    "optimistic": OPTIMISTIC,
    "simulated": SIMULATED,
}
PRICE_TIME, PRO_RATA = range(2)
QUEUE_MODELS = {"price_time": PRICE_TIME, "pro_rata": PRO_RATA}
MID, MICROPRICE, FUTURE = range(3)
SPOT_SOURCES = {"mid": MID, "microprice": MICROPRICE, "future": FUTURE}


def lines(rows: int, kind: np.dtype) -> np.ndarray:
    """Zeroed records that start on a cache line."""
    raw = np.zeros(rows * kind.itemsize + LINE, np.uint8)
    start = -raw.ctypes.data % LINE
    return raw[start : start + rows * kind.itemsize].view(kind)
