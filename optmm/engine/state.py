"""The engine's state: five tables of records, declared here once, changed by the engine only.

head  1 row            clock, underlying, switches, counters, limits, ring cursors
mkt   n + 1 rows       the market: top of book, theo and its Taylor terms; the same in every world
own   n + 1 rows       ours: live and sent quote, queue ahead, widths, skew, caps, position, cash
wire  ring             messages in flight
act   buffer           what the kernel did, drained by the slow path

Row n of `mkt` and `own` is the underlying. Between calls of `advance` the slow path changes state
only through the functions of this module.

Units: prices and cash int64 1e-9 USD (`_e9`), theory float64 USD, time int64 ns UTC (`_ns`), sizes
in lots. `side` is +1 for our bid, -1 for our ask.
"""

from typing import NamedTuple

import numpy as np

from optmm.engine.reasons import Why
from optmm.market.chain import Chain

HEAD = np.dtype(
    [
        ("now_ns", np.int64),
        ("spot_ns", np.int64),
        ("spot_e9", np.int64),  # mid; half a nano is dropped
        ("spot", np.float64),
        ("spot_lo", np.float64),  # the Taylor range: beyond it the sheet must be refreshed
        ("spot_hi", np.float64),
        ("is_open", np.int64),
        ("is_halted", np.int64),
        ("is_tripped", np.int64),
        ("is_killed", np.int64),
        ("world", np.int64),
        ("latency_ns", np.int64),
        ("stale_spot_ns", np.int64),
        ("stale_quote_ns", np.int64),
        ("on_event", np.int64),  # 1: requote inside the loop; 0: only when the slow path asks
        ("sweep_ns", np.int64),
        ("swept_ns", np.int64),
        ("sweep_due", np.int64),
        ("guard_ns", np.int64),  # at most this often: pull quotes that spot has reached
        ("guarded_ns", np.int64),
        ("blocked", np.int64),  # Why bits that forbid every quote, as of the last event
        ("resumed_ns", np.int64),  # after a halt: only a market shown since then counts
        ("spot_from_prints", np.int64),  # 1: an index, whose prints are its level
        ("middle_ns", np.int64),  # a displayed market older than this does not hold us back
        ("middle_edge", np.float64),  # of the half width: least edge against the displayed middle
        ("share_pm", np.int64),  # our share of a print at our price, per mille
        ("hysteresis", np.float64),  # of the half width; a quote inside the band is left alone
        ("message_tat_ns", np.int64),  # GCRA: theoretical arrival time, cost of one, burst
        ("message_cost_ns", np.int64),
        ("message_burst_ns", np.int64),
        ("fill_tat_ns", np.int64),
        ("fill_cost_ns", np.int64),
        ("fill_window_ns", np.int64),
        ("lots_tat_ns", np.int64),
        ("lots_cost_ns", np.int64),
        ("headroom_usd", np.float64),  # of the inventory limit when the caps were set
        ("used_usd", np.float64),  # worst case consumed by fills since
        ("max_fill_usd", np.float64),  # no live quote can consume more in one fill
        ("wire_first", np.int64),
        ("wire_count", np.int64),
        ("act_count", np.int64),
        ("events", np.int64),
        ("messages", np.int64),
        ("throttled", np.int64),
        ("rejected", np.int64),
        ("fills", np.int64),
        ("contracts", np.int64),
        ("trips", np.int64),
        ("sweeps", np.int64),
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
        ("multiplier", np.int64),
        ("right", np.int32),
        ("american", np.int32),
    ],
    align=True,
)

OWN = np.dtype(
    [
        ("bid_e9", np.int64),  # live at the venue
        ("ask_e9", np.int64),
        ("bid_lots", np.int64),  # 0: no quote
        ("ask_lots", np.int64),
        ("sent_bid_e9", np.int64),  # what the last message said
        ("sent_ask_e9", np.int64),
        ("sent_bid_lots", np.int64),
        ("sent_ask_lots", np.int64),
        ("bid_flying", np.int64),  # in flight: while there are any, `sent` is the last
        ("ask_flying", np.int64),
        ("bid_ahead", np.int64),  # displayed lots that trade before ours
        ("ask_ahead", np.int64),
        ("bid_credit", np.int64),  # per mille of a lot of queue share not yet filled
        ("ask_credit", np.int64),
        ("half_bid", np.float64),  # USD from reservation to our bid
        ("half_ask", np.float64),
        ("skew", np.float64),  # USD added to theo by inventory
        ("cap_bid", np.int64),  # lots we want to show
        ("cap_ask", np.int64),
        ("unit_usd", np.float64),  # worst inventory use of one lot
        ("qty", np.int64),
        ("cash_e9", np.int64),
        ("fills", np.int64),
        ("slow_bid", np.int64),  # Why bits from the slow path
        ("slow_ask", np.int64),
        ("why_bid", np.int64),  # Why bits now
        ("why_ask", np.int64),
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

# kinds of wire messages
QUOTE_MESSAGE, HEDGE_ORDER = 0, 1
# kinds of act rows
ACT_QUOTE, ACT_FILL, ACT_TRIP, ACT_REJECT, ACT_HEDGE, ACT_HEDGE_REJECT, ACT_PRINT = range(1, 8)
# worlds: how a resting quote is filled
PESSIMISTIC, QUEUE, OPTIMISTIC, SIMULATED = range(4)
WORLDS = {
    "pessimistic": PESSIMISTIC,
    "queue": QUEUE,
    "optimistic": OPTIMISTIC,
    "simulated": SIMULATED,
}

ACT_ROWS = 1 << 16


class EngineState(NamedTuple):
    """The five tables. Arrays of records: `head` (1,), `mkt` and `own` (n + 1,), rings."""

    head: np.ndarray
    mkt: np.ndarray
    own: np.ndarray
    wire: np.ndarray
    act: np.ndarray


def create(chain: Chain, world: str) -> EngineState:
    """Return the state of a world before its first event: closed, flat, nothing quoted."""
    n = len(chain)
    head = np.zeros(1, HEAD)
    head["world"] = WORLDS[world]
    head["spot_hi"] = np.inf
    head["blocked"] = int(Why.CLOSED)
    mkt = np.zeros(n + 1, MKT)
    mkt["theo"] = np.nan
    mkt["df"] = mkt["growth"] = 1.0
    mkt["strike"][:n] = chain.strike
    mkt["right"][:n] = chain.right
    mkt["american"][:n] = chain.american
    mkt["multiplier"][:n] = chain.multiplier
    mkt["multiplier"][n] = chain.underlying.multiplier
    # an option's life ends at its fixing even where the contract still prints afterwards
    mkt["close_ns"][:n] = np.minimum(chain.last_trade_ns, chain.fixing_ns)
    mkt["close_ns"][n] = np.iinfo(np.int64).max
    for name in ("tick_split_e9", "tick_below_e9", "tick_above_e9"):
        mkt[name][:n] = getattr(chain, name)
        mkt[name][n] = chain.underlying.tick_e9
    wire_rows = 1 << max(14, int(8 * (n + 1)).bit_length())
    act_rows = max(ACT_ROWS, acts_for(wire_rows, n))
    own, wire, act = np.zeros(n + 1, OWN), np.zeros(wire_rows, WIRE), np.zeros(act_rows, ACT)
    return EngineState(head, mkt, own, wire, act)


def acts_for(wire_rows: int, options: int) -> int:
    """Act rows one event may need: every message lands, then a trip purges every side."""
    return wire_rows + 2 * options + 16


def publish_theo(
    state: EngineState,
    *,
    theo: np.ndarray,
    delta: np.ndarray,
    gamma: np.ndarray,
    df: np.ndarray,
    growth: np.ndarray,
    spot_ref: float,
    taylor_range: float,
) -> None:
    """Install a theo sheet: arrays (n,) in USD per share; NaN theo withdraws the fair value.

    `taylor_range` is the relative spot move beyond which the loop must ask for a new sheet.
    """
    rows = state.mkt[:-1]
    rows["theo"], rows["delta"], rows["gamma_half"] = theo, delta, 0.5 * gamma
    rows["df"], rows["growth"], rows["spot_ref"] = df, growth, spot_ref
    state.head["spot_lo"] = spot_ref * (1.0 - taylor_range)
    state.head["spot_hi"] = spot_ref * (1.0 + taylor_range)


def publish_quotes(
    state: EngineState,
    *,
    half_bid: np.ndarray,
    half_ask: np.ndarray,
    skew: np.ndarray,
    cap_bid: np.ndarray,
    cap_ask: np.ndarray,
    why_bid: np.ndarray,
    why_ask: np.ndarray,
) -> None:
    """Install what the quoter decided per option, arrays (n,): USD, lots and `Why` bits."""
    rows = state.own[:-1]
    rows["half_bid"], rows["half_ask"], rows["skew"] = half_bid, half_ask, skew
    rows["cap_bid"], rows["cap_ask"] = cap_bid, cap_ask
    rows["slow_bid"], rows["slow_ask"] = why_bid, why_ask


def set_limits(
    state: EngineState, *, headroom_usd: float, max_fill_usd: float, unit_usd: np.ndarray
) -> None:
    """Restart the worst-case counter from exact headroom; `unit_usd` (n,) is USD a lot."""
    state.own["unit_usd"][:-1] = unit_usd
    state.head["headroom_usd"] = headroom_usd
    state.head["max_fill_usd"] = max_fill_usd
    state.head["used_usd"] = 0.0


def rearm(state: EngineState) -> None:
    """Lift a protection trip. A kill is never lifted: it latches for the life of the run."""
    state.head["is_tripped"] = 0
    for name in ("fill_tat_ns", "lots_tat_ns"):
        state.head[name] = 0


def kill(state: EngineState) -> np.ndarray:
    """Latch the kill switch and withdraw every quote at once; returns what `withdraw` does."""
    state.head["is_killed"] = 1
    return withdraw(state, int(Why.KILLED))


def withdraw(state: EngineState, why: int) -> np.ndarray:
    """Empty every live quote now, as an exchange's mass cancel does, and forget what was sent.

    Returns act rows, one a side that was live: what a log of quotes has to know.
    """
    own, head = state.own[:-1], state.head[0]
    sides = [
        (np.flatnonzero(own[name] > 0), side) for name, side in (("bid_lots", 1), ("ask_lots", -1))
    ]
    gone = np.zeros(sum(rows.size for rows, _ in sides), ACT)
    gone["instrument"] = np.concatenate([rows for rows, _ in sides])
    gone["side"] = np.concatenate([np.full(rows.size, side) for rows, side in sides])
    gone["ts_ns"], gone["event"], gone["spot_e9"] = head["now_ns"], head["events"], head["spot_e9"]
    gone["kind"], gone["why"] = ACT_QUOTE, why
    for name in ("bid_lots", "ask_lots", "sent_bid_lots", "sent_ask_lots"):
        state.own[name][:-1] = 0
    pending = state.head["wire_first"][0] + np.arange(int(state.head["wire_count"][0]))
    rows = pending % state.wire.size
    quotes = rows[state.wire["kind"][rows] == QUOTE_MESSAGE]
    state.wire["lots"][quotes] = 0
    return gone


def begin_session(state: EngineState) -> None:
    """Forget yesterday's market and fair values: what is shown from now on is today's."""
    for name in ("bid_e9", "ask_e9", "bid_lots", "ask_lots", "quote_ns"):
        state.mkt[name] = 0
    state.mkt["theo"] = np.nan
    for name in ("spot_ns", "resumed_ns", "is_halted"):
        state.head[name] = 0
    state.head["spot_lo"], state.head["spot_hi"] = 0.0, np.inf


def settle(state: EngineState, *, instrument: int, lots: int, px_e9: int) -> int:
    """Book signed `lots` (bought > 0) at `px_e9` outside the market; return the cash, e9."""
    row = state.own[instrument]
    cash = -lots * px_e9 * int(state.mkt["multiplier"][instrument])
    row["qty"] += lots
    row["cash_e9"] += cash
    return cash


def send_hedge(state: EngineState, *, lots: int, land_ns: int) -> None:
    """Put a hedge order for the underlying on the wire: signed lots, executed at the touch.

    Raises
    ------
    RuntimeError
        The ring is full: call `grown` first.
    """
    head = state.head[0]
    if head["wire_count"] >= state.wire.size:
        raise RuntimeError(f"wire holds {state.wire.size} messages; call grown(state) first")
    where = (head["wire_first"] + head["wire_count"]) % state.wire.size
    row = state.wire[where]
    row["land_ns"], row["instrument"], row["kind"] = land_ns, state.own.size - 1, HEDGE_ORDER
    row["side"], row["lots"], row["px_e9"], row["why"] = np.sign(lots), abs(lots), 0, 0
    head["wire_count"] += 1


def grown(state: EngineState) -> EngineState:
    """Return the state with a wire ring twice as large, the messages in flight kept in order.

    The act buffer grows with it: one event can land every message in flight.
    """
    head, old = state.head[0], state.wire
    wire = np.zeros(2 * old.size, WIRE)
    count = int(head["wire_count"])
    wire[:count] = old[(head["wire_first"] + np.arange(count)) % old.size]
    head["wire_first"] = 0
    act = state.act
    room = acts_for(wire.size, state.own.size - 1)
    if act.size < room:
        act = np.zeros(room, ACT)
        act[: state.act.size] = state.act
    return state._replace(wire=wire, act=act)


def pending(state: EngineState) -> np.ndarray:
    """The act rows in the buffer, a view: read it before `empty_acts` and the next `advance`."""
    return state.act[: int(state.head["act_count"][0])]


def empty_acts(state: EngineState) -> None:
    """Forget the act rows that were read."""
    state.head["act_count"] = 0


def drained(state: EngineState) -> np.ndarray:
    """Take the act rows out of the buffer (a copy) and empty it."""
    out = pending(state).copy()
    empty_acts(state)
    return out


def snapshot(state: EngineState) -> bytes:
    """Return the tables as bytes: `restored` gives them back, and equal states give equal bytes."""
    return b"".join(table.tobytes() for table in state)


def restored(raw: bytes, like: EngineState) -> EngineState:
    """Rebuild a state from `snapshot` bytes, shaped as `like`."""
    out, at = [], 0
    for table in like:
        out.append(np.frombuffer(raw[at : at + table.nbytes], table.dtype).copy())
        at += table.nbytes
    return EngineState(*out)
