"""The engine's state: tables of records, declared in `engine.layout`, changed by the engine only.

head    1 row           clock, underlying, switches, counters, limits, ring cursors
mkt     n + 1 rows      the market: top of book, theo and its Taylor terms; the same in every world
own     n + 1 rows      ours: live and sent quote, queue ahead, widths, skew, caps, position, cash
wire    ring            messages in flight
act     buffer          what the kernel did, drained by the slow path
cert    n + 1 rows      where each row's decision holds (`engine.certify`)
sheet   8 x (n + 1)     Taylor terms and where each decision holds: what a sweep reads, by array
work    2 x (n + 1)     rows to decide in a sweep, and how urgent each is
recent  ring            our fills of the protections' window
tide    2 (n + 1) rows  series by their last trade, a list a side
sends   ring            when the messages of the budget's window were sent
book    25 x (n + 1)    what the sheet was made of, for new prices inside the loop

Row n of `mkt` and `own` is the underlying. Between calls of `advance` the slow path changes state
only through the functions of this module: what changes a row's inputs voids its certificate.

Units: prices and cash int64 1e-9 USD (`_e9`), theory float64 USD, time int64 ns UTC (`_ns`), sizes
in lots. `side` is +1 for our bid, -1 for our ask.
"""

from typing import NamedTuple

import numpy as np

from optmm.engine import latency, reprice
from optmm.engine.layout import (
    ACT,
    ACT_FILL,
    ACT_HEDGE,
    ACT_HEDGE_REJECT,
    ACT_PRINT,
    ACT_QUOTE,
    ACT_REJECT,
    ACT_TRIP,
    BOOK_ROWS,
    CERT,
    DELTA,
    DF,
    FAIR_HI,
    FAIR_LO,
    FAR,
    GAMMA_HALF,
    GROWTH,
    HEAD,
    HEDGE_ORDER,
    MKT,
    OWN,
    QUOTE_MESSAGE,
    RATE,
    RECENT,
    RIGHT,
    SHEET_ROWS,
    STRIKE,
    THEO,
    TIDE,
    VOL,
    WIRE,
    WORLDS,
    YEARS,
    lines,
)
from optmm.engine.reasons import Why
from optmm.market.chain import Chain

__all__ = [
    "ACT", "ACT_FILL", "ACT_HEDGE", "ACT_HEDGE_REJECT", "ACT_PRINT", "ACT_QUOTE", "ACT_REJECT",
    "ACT_TRIP", "HEAD", "HEDGE_ORDER", "MKT", "OWN", "QUOTE_MESSAGE", "WIRE", "WORLDS",
]  # fmt: skip
ACT_ROWS = 1 << 16


class SheetParts(NamedTuple):
    """What a theo sheet was made of, arrays (n,): vols and rates a year, years to the fixing."""

    vol: np.ndarray
    years: np.ndarray
    rate: np.ndarray
    delta_at_strike: np.ndarray  # at a fixed strike's vol, USD per USD of spot


class EngineState(NamedTuple):
    """The tables, see above."""

    head: np.ndarray
    mkt: np.ndarray
    own: np.ndarray
    wire: np.ndarray
    act: np.ndarray
    cert: np.ndarray
    sheet: np.ndarray
    work: np.ndarray
    recent: np.ndarray
    tide: np.ndarray
    sends: np.ndarray
    book: np.ndarray


def create(chain: Chain, world: str) -> EngineState:
    """Return the state of a world before its first event: closed, flat, nothing quoted.

    Its protections, budget and guards are off: `engine.settings.configure` sets them.
    """
    n = len(chain)
    head = np.zeros(1, HEAD)
    head["world"] = WORLDS[world]
    head["spot_hi"] = np.inf
    head["blocked"] = int(Why.CLOSED)
    head["min_change_ticks"] = 1
    head["max_lots"] = FAR
    for name in ("max_notional_usd", "max_delta_usd", "max_vega_usd"):
        head[name] = np.inf
    mkt = lines(n + 1, MKT)
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
    tide = lines(2 * (n + 1), TIDE)
    tide["before"] = tide["after"] = np.arange(2 * (n + 1))
    out = EngineState(
        head=head, mkt=mkt, own=lines(n + 1, OWN), wire=np.zeros(wire_rows, WIRE),
        act=np.zeros(act_rows, ACT), cert=lines(n + 1, CERT), sheet=np.zeros((SHEET_ROWS, n + 1)),
        work=np.zeros((2, n + 1), np.int32), recent=np.zeros(0, RECENT), tide=tide,
        sends=np.zeros(0, np.int64), book=np.zeros((BOOK_ROWS, n + 1)),
    )  # fmt: skip
    out.book[RIGHT, :n], out.book[STRIKE, :n] = chain.right, chain.strike
    void(out)
    return sized(out, max_fills=1_000, messages=100_000)


def sized(state: EngineState, *, max_fills: int, messages: int) -> EngineState:
    """Return the state with room for what its rolling windows may hold, both of them emptied.

    At most `max_fills` fills in the protections' window (the next one trips), and `messages`
    messages in a second (further quotes wait for the oldest of them to leave it).
    """
    head = state.head[0]
    head["max_fills"], head["recent_first"], head["recent_count"] = max_fills, 0, 0
    head["message_cap"], head["message_window_ns"], head["sends_next"] = messages, 10**9, 0
    long_ago = np.full(messages, -FAR, np.int64)
    return state._replace(recent=np.zeros(max_fills + 2, RECENT), sends=long_ago)


def void(state: EngineState) -> None:
    """Let every row be decided again at its next event or sweep; series' closes are read again."""
    state.cert["fair_lo"], state.cert["fair_hi"] = np.inf, -np.inf
    state.cert["bid_hi"] = -1
    state.sheet[FAIR_LO], state.sheet[FAIR_HI] = np.inf, -np.inf
    state.head["expiry_ns"] = 0


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
    vega: np.ndarray | None = None,
    parts: SheetParts | None = None,
) -> None:
    """Install a theo sheet: arrays (n,) in USD per share; NaN theo withdraws the fair value.

    `vega` per 1.00 of vol is what the vega protection counts; without it that sees none. With
    `parts` the loop reprices by itself, at once, where spot leaves the range.

    `taylor_range` is the relative spot move beyond which the loop must ask for a new sheet.
    """
    rows = state.mkt[:-1]
    rows["theo"], rows["delta"], rows["gamma_half"] = theo, delta, 0.5 * gamma
    rows["df"], rows["growth"], rows["spot_ref"] = df, growth, spot_ref
    state.head["spot_lo"] = spot_ref * (1.0 - taylor_range)
    state.head["spot_hi"] = spot_ref * (1.0 + taylor_range)
    state.head["spot_ref"] = spot_ref
    rows["vega"], priced = 0.0 if vega is None else vega, np.isfinite(theo)
    for row, values in ((THEO, theo), (DELTA, delta), (GAMMA_HALF, rows["gamma_half"])):
        state.sheet[row, :-1] = np.where(priced, values, 0.0)
    void(state)
    state.head["has_book"] = 0
    if parts is not None:
        _publish_parts(state, parts, df, growth, priced)


def _publish_parts(
    state: EngineState, parts: SheetParts, df: np.ndarray, growth: np.ndarray, priced: np.ndarray
) -> None:
    """Keep what the sheet was made of; rows without fair value get numbers that hurt nobody."""
    for row, values, harmless in (
        (YEARS, parts.years, 1.0), (VOL, parts.vol, 0.2), (RATE, parts.rate, 0.0), (DF, df, 1.0),
        (GROWTH, growth, 1.0),
    ):  # fmt: skip
        state.book[row, :-1] = np.where(priced, values, harmless)
    state.head["book_spot"], state.head["book_ns"] = state.head["spot_ref"], state.head["now_ns"]
    reprice.anchor(state, np.ascontiguousarray(parts.delta_at_strike, np.float64))


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
    void(state)


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
    for name in ("is_tripped", "trip_why", "recent_count"):
        state.head[name] = 0
    forget_tide(state)
    void(state)


def forget_tide(state: EngineState) -> None:
    """Empty the lists of series that traded on one side."""
    state.tide["before"] = state.tide["after"] = np.arange(state.tide.size)
    state.tide["ts_ns"] = state.tide["count"] = 0


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
    gone["ts_ns"], gone["spot_e9"] = head["now_ns"], head["spot_e9"]
    gone["event"] = max(int(head["events"]) - 1, 0)  # the one it followed
    gone["kind"], gone["why"] = ACT_QUOTE, why
    for name in ("bid_lots", "ask_lots", "sent_bid_lots", "sent_ask_lots"):
        state.own[name][:-1] = 0
    pending = state.head["wire_first"][0] + np.arange(int(state.head["wire_count"][0]))
    rows = pending % state.wire.size
    quotes = rows[state.wire["kind"][rows] == QUOTE_MESSAGE]
    state.wire["lots"][quotes] = 0
    head["unquoted_usd_s"], head["unquoted_ns"] = unquoted_usd_s(state), head["now_ns"]
    own["unquoted_e6"] = head["unquoted_e6"] = 0
    void(state)
    return gone


def begin_session(state: EngineState) -> None:
    """Forget yesterday's market and fair values: what is shown from now on is today's."""
    for name in ("bid_e9", "ask_e9", "bid_lots", "ask_lots", "quote_ns"):
        state.mkt[name] = 0
    state.mkt["theo"] = np.nan
    for name in ("spot_ns", "resumed_ns", "is_halted", "has_book", "future_mid", "basis_ns"):
        state.head[name] = 0
    state.head["move_mid"] = 0.0  # a night is no session's volatility
    state.head["spot_lo"], state.head["spot_hi"] = 0.0, np.inf
    void(state)


def unquoted_usd_s(state: EngineState) -> float:
    """Edge that the message budget left without a quote, until now: USD x seconds of event time.

    A side counts while it wants a quote and the budget keeps it without one, or with one it would
    move: half width x lots x multiplier.
    """
    head = state.head[0]
    waited_ns = int(head["now_ns"]) - int(head["unquoted_ns"])
    return float(head["unquoted_usd_s"]) + int(head["unquoted_e6"]) * 1e-6 * waited_ns * 1e-9


def settle(state: EngineState, *, instrument: int, lots: int, px_e9: int) -> int:
    """Book signed `lots` (bought > 0) at `px_e9` outside the market; return the cash, e9."""
    row = state.own[instrument]
    cash = -lots * px_e9 * int(state.mkt["multiplier"][instrument])
    row["qty"] += lots
    row["cash_e9"] += cash
    return cash


def send_hedge(state: EngineState, *, lots: int, land_ns: int | None = None) -> int:
    """Put a hedge order for the underlying on the wire: signed lots, executed at the touch.

    Returns when it lands: at `land_ns`, or by a latency drawn as those of quotes are, and never
    before a message sent earlier.

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
    if land_ns is None:
        land_ns = int(latency.landing(state.head))
    land_ns = max(land_ns, int(head["landed_ns"]))
    head["landed_ns"] = land_ns
    row["land_ns"], row["instrument"], row["kind"] = land_ns, state.own.size - 1, HEDGE_ORDER
    row["side"], row["lots"], row["px_e9"], row["why"] = np.sign(lots), abs(lots), 0, 0
    head["wire_count"] += 1
    return land_ns


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
        held = np.zeros_like(table) if table.dtype.names is None else lines(table.size, table.dtype)
        held.reshape(-1).view(np.uint8)[:] = np.frombuffer(raw[at : at + table.nbytes], np.uint8)
        out.append(held)
        at += table.nbytes
    return EngineState(*out)
