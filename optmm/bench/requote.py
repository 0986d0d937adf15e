"""A requote of 10,000 options: new fair values and the decision which quotes must change.

Taylor   The underlying moves and the loop sweeps: fair value of every option by the sheet's delta
         and gamma, and whether its quotes may stay. The bar is on a move too small for any quote to
         change, so that it is the decision alone; a move of a cent, with the quotes it changes put
         on the wire, is shown beside it.
Reprice  What the loop does where spot leaves the sheet's range (`engine.reprice`): Black's price,
         delta and gamma of every option from its vol, early exercise carried along, and which
         quotes may stay. The bar is again on a spot at which no quote changes.

The same decisions are taken by numpy, an independent program without certificates: it is the peer
in time, and the referee. What the sweep sent has to be what numpy wants, and what a full pass of
the scalar path over every row sends.
"""

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optmm.bench import timing
from optmm.bench.replay import CORRECT, desk, opened
from optmm.bench.replay_tape import RATE, SPOT, Mix, Tape
from optmm.bench.rows import Report, Row
from optmm.bench.timing import race
from optmm.config import DeskConfig
from optmm.engine import core, reprice, sweep
from optmm.engine import state as tables
from optmm.engine.layout import THEO
from optmm.market.events import Kind, empty
from surfaces.pricing import black

OPTIONS = 10_000
CENT_E9 = 10_000_000
NONE_E9 = 2  # a move that changes no quote
US = "us"
TAYLOR, REPRICE = 60.0, 350.0
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Targets:
    """What numpy wants: prices e9 and lots, and whether the quote sent may stay. Arrays (n,)."""

    bid: Ints
    ask: Ints
    bid_stays: NDArray[np.bool_]
    ask_stays: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Columns:
    """A state as numpy likes it: one contiguous array a field."""

    head: dict[str, float]
    mkt: dict[str, NDArray[Any]]
    own: dict[str, NDArray[Any]]

    @classmethod
    def of(cls, state: tables.EngineState) -> "Columns":
        """Copy the options' rows."""
        tops = {n: np.ascontiguousarray(state.mkt[n][:-1]) for n in state.mkt.dtype.names or ()}
        ours = {n: np.ascontiguousarray(state.own[n][:-1]) for n in state.own.dtype.names or ()}
        names = ("now_ns", "middle_ns", "middle_edge", "hysteresis", "min_change_ticks")
        return cls({n: state.head[n][0].item() for n in names}, tops, ours)


def wanted(it: Columns, spot: float) -> Targets:
    """Fair value, targets outward to the tick, guards and the band, for all options at once."""
    m, o, h = it.mkt, it.own, it.head
    move = spot - m["spot_ref"]
    fair = np.maximum(m["theo"] + move * (m["delta"] + move * m["gamma_half"]), 0.0)
    forward, strike = m["df"] * m["growth"] * spot, m["df"] * m["strike"]
    call, american = m["right"] > 0, m["american"] != 0
    floor = np.maximum(m["right"] * (forward - strike), 0.0)
    floor = np.where(american, np.maximum(floor, m["right"] * (spot - m["strike"])), floor)
    cap = np.where(call, forward, strike)
    cap = np.where(american, np.maximum(cap, np.where(call, spot, m["strike"])), cap)
    held = (m["bid_e9"] > 0) & (m["ask_e9"] > m["bid_e9"])
    held &= h["now_ns"] - m["quote_ns"] <= h["middle_ns"]
    middle = 0.5e-9 * (m["bid_e9"] + m["ask_e9"])
    want_bid = np.minimum(np.minimum(fair + o["skew"] - o["half_bid"], fair), cap)
    want_ask = np.maximum(np.maximum(fair + o["skew"] + o["half_ask"], fair), floor)
    edge = h["middle_edge"]
    want_bid = np.where(held, np.minimum(want_bid, middle - edge * o["half_bid"]), want_bid)
    want_ask = np.where(held, np.maximum(want_ask, middle + edge * o["half_ask"]), want_ask)
    bid = _floor(m, np.floor(want_bid * 1e9).astype(np.int64))
    ask = np.maximum(_ceil(m, np.ceil(want_ask * 1e9).astype(np.int64)), m["tick_below_e9"])
    under, over = (m["ask_e9"] > 0) & (bid >= m["ask_e9"]), (m["bid_e9"] > 0) & (ask <= m["bid_e9"])
    bid = np.where(under, _floor(m, m["ask_e9"] - 1), bid)
    ask = np.where(over, _ceil(m, m["bid_e9"] + 1), ask)
    bid = np.where((want_bid > 0.0) & (bid > 0) & (o["cap_bid"] > 0), bid, 0)
    worst_bid = np.floor(np.minimum(fair, cap) * 1e9).astype(np.int64)
    worst_ask = np.ceil(np.maximum(fair, floor) * 1e9).astype(np.int64)
    worst_bid = np.where(m["ask_e9"] > 0, np.minimum(worst_bid, m["ask_e9"] - 1), worst_bid)
    worst_ask = np.where(m["bid_e9"] > 0, np.maximum(worst_ask, m["bid_e9"] + 1), worst_ask)
    stays = []
    for px, sent, shown, lots, half, guarded, good in (
        (bid, o["sent_bid_e9"], o["sent_bid_lots"], np.where(bid > 0, o["cap_bid"], 0),
         o["half_bid"], under, o["sent_bid_e9"] <= worst_bid),
        (ask, o["sent_ask_e9"], o["sent_ask_lots"], o["cap_ask"],
         o["half_ask"], over, o["sent_ask_e9"] >= worst_ask),
    ):  # fmt: skip
        tick = np.where(sent < m["tick_split_e9"], m["tick_below_e9"], m["tick_above_e9"])
        least = int(h["min_change_ticks"]) * tick - 1
        band = np.maximum((h["hysteresis"] * half * 1e9).astype(np.int64), least)
        band = np.where(guarded, 0, band)
        right_size = (shown > 0) & (shown <= lots) & (2 * shown >= lots)
        stays.append(
            np.where(lots == 0, shown == 0, right_size & (np.abs(px - sent) <= band) & good)
        )
    return Targets(bid, ask, stays[0], stays[1])


def _floor(m: dict[str, NDArray[Any]], px: Ints) -> Ints:
    tick = np.where(px < m["tick_split_e9"], m["tick_below_e9"], m["tick_above_e9"])
    return px // tick * tick


def _ceil(m: dict[str, NDArray[Any]], px: Ints) -> Ints:
    tick = np.where(px < m["tick_split_e9"], m["tick_below_e9"], m["tick_above_e9"])
    return (px + tick - 1) // tick * tick


def moved(state: tables.EngineState, off_e9: int) -> NDArray[np.void]:
    """The event that puts the underlying's middle `off_e9` from where the sheet was made."""
    out = empty(1)
    middle = round(SPOT * 1e9) + off_e9
    out["ts_event_ns"] = out["ts_recv_ns"] = state.head["now_ns"][0] + 1
    out["bid_e9"], out["ask_e9"] = middle - CENT_E9, middle + CENT_E9
    out["bid_lots"] = out["ask_lots"] = 100
    out["kind"], out["instrument"] = Kind.UNDERLYING_QUOTE, state.own.size - 1
    return out


def told(state: tables.EngineState, off_e9: int) -> None:
    """Let the loop take that event, and sweep."""
    core.advance(state, moved(state, off_e9), 0)


def fresh(start: tables.EngineState, **settings: int) -> tables.EngineState:
    """A copy with other switches in `head`."""
    state = tables.restored(tables.snapshot(start), start)
    for name, value in settings.items():
        state.head[name] = value
    return state


def disagreements(start: tables.EngineState, off_e9: int) -> tuple[int, int]:
    """After a move: quotes on which the sweep and numpy differ, and the sweep and a full pass."""
    quick, full = fresh(start), fresh(start, every_row=1)
    told(quick, 0)  # nothing is due any more but what the next move makes so
    told(full, 0)
    sent = ("sent_bid_e9", "sent_bid_lots", "sent_ask_e9", "sent_ask_lots")
    before = Columns.of(quick)
    told(quick, off_e9)
    told(full, off_e9)
    before.head["now_ns"] = quick.head["now_ns"][0].item()
    found, now = wanted(before, float(quick.head["spot"][0])), Columns.of(quick).own
    wrong = 0
    for px, stays, name in (
        (found.bid, found.bid_stays, "bid"), (found.ask, found.ask_stays, "ask"),
    ):  # fmt: skip
        kept, shown = before.own[f"sent_{name}_e9"], now[f"sent_{name}_lots"]
        right = np.where(stays, kept, px) == now[f"sent_{name}_e9"]
        wrong += int(np.count_nonzero(~right & ((shown > 0) | (px > 0))))
    other = Columns.of(full).own
    return wrong, sum(int(np.count_nonzero(now[name] != other[name])) for name in sent)


def report(*, quick: bool, pinned: str = "") -> Report:
    """Every row. Pin the process first (`timing.pin`); `pinned` is what that said."""
    tape = Tape(Mix(instruments=OPTIONS, events_per_s=2_000.0 if quick else 20_000.0))
    start = fresh(opened(tape, unhindered()), sweep_ns=0)
    rows = [*_taylor(start, tape), *_reprice(start, tape)]
    wrong = tuple(
        row.what for row in rows if row.what.startswith(CORRECT) and row.verdict == "misses"
    )
    about = timing.machine() | {
        "core": pinned or "not pinned",
        "method": "best of many, CPU time, warmed up, measured in turns",
    }
    return Report("quoting", {"quoting": rows}, about, wrong=wrong)


def unhindered() -> DeskConfig:
    """The desk with a message cap that 10,000 options do not reach: it is not what is timed."""
    config = desk()
    wide = config.protections.model_copy(update={"messages_per_s": 1e6})
    return config.model_copy(update={"protections": wide})


def _taylor(start: tables.EngineState, tape: Tape) -> list[Row]:
    """The decision alone; then a cent with its messages; then what numpy says."""
    state, columns, n = fresh(start), Columns.of(start), len(tape.chain)
    told(state, 0)
    told(state, NONE_E9)
    here, there = moved(state, 0), moved(state, NONE_E9)

    def both() -> None:
        core.advance(state, here, 0)
        core.advance(state, there, 0)

    sweeps, messages = (int(state.head[name][0]) for name in ("sweeps", "messages"))
    took = race({"ours": both, "numpy": lambda: wanted(columns, SPOT)})
    assert int(state.head["sweeps"][0]) > sweeps
    quiet = int(state.head["messages"][0]) - messages
    cent, sent = _a_cent(start)
    wrong = [disagreements(start, off_e9) for off_e9 in (CENT_E9, -3 * CENT_E9, 40 * CENT_E9)]
    ours = 0.5 * took["ours"]
    return [
        Row(f"Taylor, {n:,} options: fair value and whether quotes may stay", 1e6 * ours, US,
            TAYLOR, note=f"one call of the loop; {quiet} messages"),
        Row("the same by numpy, times ours", took["numpy"] / ours, "times"),
        Row("a move of a cent, with its messages on the wire", 1e6 * cent, US,
            note=f"{sent:,} messages, {100.0 * sent / (2 * n):.0f} % of the quotes"),
        Row(f"{CORRECT}quotes after a sweep, against numpy", sum(a for a, _ in wrong), "", 0.0,
            note=f"{2 * n:,} quotes, after moves of 1, 3 and 40 cents"),
        Row(f"{CORRECT}quotes after a sweep, against a pass over every row",
            sum(b for _, b in wrong), "", 0.0),
    ]  # fmt: skip


def _a_cent(start: tables.EngineState) -> tuple[float, int]:
    """(best CPU seconds, messages) of the first sweep after a move of a cent."""
    best, sent = np.inf, 0
    for _ in range(9):
        state = fresh(start)
        told(state, 0)
        event, before = moved(state, CENT_E9), int(state.head["messages"][0])
        begun = time.thread_time()
        core.advance(state, event, 0)
        best = min(best, time.thread_time() - begun)
        sent = int(state.head["messages"][0]) - before
    return best, sent


def repriced(state: tables.EngineState, off_e9: int) -> int:
    """New prices for the whole chain at a spot `off_e9` away, and the rows that need a decision."""
    state.head["spot"] = SPOT + off_e9 * 1e-9
    reprice.reprice(state)
    return int(sweep.rows_due(state))


def _reprice(start: tables.EngineState, tape: Tape) -> list[Row]:
    """Black for all from the sheet's vols, and the certificates read."""
    state, it, chain, n = fresh(start), tape.sheet, tape.chain, len(tape.chain)
    told(state, 0)
    columns = Columns.of(state)
    tables.publish_theo(
        state, theo=it.theo, delta=it.delta, gamma=it.gamma, df=it.df, growth=it.growth,
        spot_ref=SPOT, taylor_range=0.005, vega=it.vega,
        parts=tables.SheetParts(it.vol, it.years, np.full(n, RATE), it.delta),
    )  # fmt: skip
    told(state, NONE_E9)  # every certificate is taken afresh

    def price(spot: float) -> Any:
        return black.greeks(
            right=chain.right, forward=spot * it.growth, strike=chain.strike, years=it.years,
            vol=it.vol, df=it.df, which=("price", "delta", "gamma"),
        )  # fmt: skip

    def by_numpy() -> None:
        found = price(SPOT)
        columns.mkt["theo"], columns.mkt["delta"] = found.price, found.delta * it.growth
        columns.mkt["gamma_half"] = 0.5 * found.gamma * it.growth**2
        wanted(columns, SPOT)

    took = race({"ours": lambda: repriced(state, NONE_E9), "numpy": by_numpy})
    due = repriced(state, NONE_E9)
    # what early exercise adds is taken off at the sheet's spot and carried as a parabola
    here, there = price(SPOT), price(SPOT + 1.0)
    repriced(state, 10**9)
    extra = it.theo - here.price
    slope, bend = it.delta - here.delta * it.growth, it.gamma - here.gamma * it.growth**2
    carried = extra + slope + 0.5 * bend
    expected = there.price + np.where(carried > 0.0, carried, 0.0)
    off = float(np.max(np.abs(state.sheet[THEO, :-1] - expected)))
    return [
        Row(f"full reprice, {n:,} options: price, delta, gamma, which quotes may stay",
            1e6 * took["ours"], US, REPRICE, note=f"two calls; {due} rows to decide"),
        Row("the same with numpy's decisions, times ours", took["numpy"] / took["ours"], "times"),
        Row(f"{CORRECT}prices a dollar away, against Black and the premium's parabola, USD", off,
            "", 1e-9),
    ]  # fmt: skip
