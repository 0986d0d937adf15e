"""How fast the event loop replays: events a second with full bookkeeping, and what it did.

One process on one core. Every run starts from the same bytes of state: session open, both sides of
every option quoted and landed. What is timed is `core.advance` with whatever it asks for on the
way: buffers drained when they fill and at every fill, the sheet refreshed out of its Taylor range.
"""

import hashlib
import math
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from optmm.bench.replay_tape import SPOT, Mix, Tape, shares
from optmm.config import DeskConfig
from optmm.engine import core
from optmm.engine import state as tables
from optmm.engine.reasons import Reason
from optmm.engine.settings import configure
from optmm.market.chain import DataQuality, MarketDay
from optmm.market.events import empty
from optmm.market.feed import feed_of

E9 = 1_000_000_000
SWEEPS_A_SECOND = 50
FAR_NS = 1 << 60
ALONE_EVENTS = 3_000_000
WHOLE = 1 << 62  # a block that holds any tape
CORRECT = "correct: "
EVENTS = "M events/s"


@dataclass(frozen=True, slots=True)
class Pass:
    """What one pass over a tape left: seconds of CPU, the final state and every act row."""

    seconds: float
    state: tables.EngineState
    acts: NDArray[np.void]


def desk(**quoting: float) -> DeskConfig:
    """The desk's defaults with the sweeps of the measure, and no trip to end the quoting."""
    return DeskConfig.model_validate(
        {
            "quoting": {"sweep_s": 1.0 / SWEEPS_A_SECOND} | quoting,
            "protections": {"max_fills": 100_000, "max_lots": 1_000_000_000},
        }
    )


def opened(tape: Tape, config: DeskConfig) -> tables.EngineState:
    """The queue world of `tape` a second after its open: options quoted, messages landed."""
    it, n = tape.sheet, len(tape.chain)
    day = MarketDay(tape.chain, tape.session, empty(0), 0, DataQuality(), ())
    state = configure(tables.create(tape.chain, "queue"), config, feed_of(day))
    tables.publish_theo(
        state, theo=it.theo, delta=it.delta, gamma=it.gamma, df=it.df, growth=it.growth,
        spot_ref=SPOT, taylor_range=config.surface.taylor_range,
    )  # fmt: skip
    # as the quoter has it where fair value is certain: a share of the market's width, and vol
    quoting = config.quoting
    half = np.maximum(quoting.min_half_width_usd, quoting.market_share * it.half)
    half += quoting.vol_edge * it.vega
    zero, lots = np.zeros(n, np.int64), np.full(n, quoting.max_lots)
    tables.publish_quotes(
        state, half_bid=half, half_ask=half, skew=np.zeros(n), cap_bid=lots, cap_ask=lots,
        why_bid=zero, why_ask=zero,
    )  # fmt: skip
    tables.set_limits(state, headroom_usd=math.inf, max_fill_usd=0.0, unit_usd=np.zeros(n))
    # a second of the tape besides, so that what the opening asked for has been sent and has landed
    events = np.concatenate([tape.opening(), *tape.blocks(round(tape.mix.events_per_s))])
    return replayed(state, events, WHOLE).state


def replayed(start: tables.EngineState, events: NDArray[np.void], block: int) -> Pass:
    """Run a copy of `start` over `events`, `block` at a time; the CPU time is of this thread."""
    state = tables.restored(tables.snapshot(start), start)
    acts: list[NDArray[np.void]] = []
    begun = time.thread_time()
    for first in range(0, events.size, block):
        part, at = events[first : first + block], 0
        while True:
            at, reasons = core.advance(state, part, at)
            if reasons & Reason.WIRE_FULL:
                state = tables.grown(state)
            if reasons & (Reason.END | Reason.ACT_FULL) and tables.pending(state).size:
                acts.append(tables.drained(state))
            if reasons & Reason.END:
                break
    seconds = time.thread_time() - begun
    return Pass(seconds, state, np.concatenate(acts) if acts else np.zeros(0, tables.ACT))


def digest(it: Pass) -> str:
    """sha256 over act rows, own and head: what a run is, whatever its blocks were."""
    out = hashlib.sha256(it.acts.tobytes())
    for table in (it.state.own, it.state.head):
        out.update(table.tobytes())
    return out.hexdigest()


def books(start: tables.EngineState, it: Pass) -> list[str]:
    """What differs between positions and cash in `own` and a fold of the fills in Python ints."""
    qty, cash = start.own["qty"].tolist(), start.own["cash_e9"].tolist()
    unit = start.mkt["multiplier"].tolist()
    rows = it.acts[it.acts["kind"] == tables.ACT_FILL]
    for i, side, lots, px in zip(
        *(rows[name].tolist() for name in ("instrument", "side", "lots", "px_e9")), strict=True
    ):
        qty[i] += side * lots
        cash[i] -= side * lots * px * unit[i]
    fills = int(it.state.head["fills"][0]) - int(start.head["fills"][0])
    off = [] if fills == rows.size else [f"{rows.size} fills in the acts, {fills} counted"]
    for name, folded in (("qty", qty), ("cash_e9", cash)):
        wrong = sum(a != b for a, b in zip(folded, it.state.own[name].tolist(), strict=True))
        if wrong:
            off.append(f"{name} of {wrong} instruments is not what the fills add up to")
    return off


def requoted(acts: NDArray[np.void]) -> int:
    """How often an instrument was given new quotes: both sides at one instant count once."""
    rows = acts[np.isin(acts["kind"], (tables.ACT_QUOTE, tables.ACT_REJECT))]
    return int(np.unique(np.stack([rows["ts_ns"], rows["instrument"]]), axis=1).shape[1])


def measured(
    mix: Mix, config: DeskConfig, *, events: int, rounds: int, seed: int = 7
) -> tuple[float, dict[str, float | str], list[str]]:
    """(events a second at best, what happened in a second of event time, what is wrong)."""
    tape = Tape(mix, seed)
    start = opened(tape, config)
    rows = np.concatenate(list(tape.blocks(events)))
    best = min(replayed(start, rows, WHOLE).seconds for _ in range(rounds))
    whole, blocks = replayed(start, rows, WHOLE), replayed(start, rows, 4096)
    wrong = books(start, whole)
    if digest(whole) != digest(blocks):
        wrong.append("acts, own and head differ between blocks of 4,096 events and one block")
    head, was = whole.state.head[0], start.head[0]
    seconds = float(rows["ts_event_ns"][-1] - rows["ts_event_ns"][0]) / E9
    found = shares(rows, mix.instruments)
    own = whole.state.own[:-1]
    about: dict[str, float | str] = {
        "mix": mix.words(),
        "event_seconds": seconds,
        "quotes_that_change_a_price": found["price"],
        "quotes_that_change_a_size_only": found["size only"],
        "instruments_decided_per_second": int(head["requotes"] - was["requotes"]) / seconds,
        "instruments_requoted_per_second": requoted(whole.acts) / seconds,
        "messages_per_second": int(head["messages"] - was["messages"]) / seconds,
        "throttled_per_second": int(head["throttled"] - was["throttled"]) / seconds,
        "sweeps_per_second": int(head["sweeps"] - was["sweeps"]) / seconds,
        "fills_per_second": int(head["fills"] - was["fills"]) / seconds,
        "quoted_two_sided": float(np.mean((own["bid_lots"] > 0) & (own["ask_lots"] > 0))),
    }
    return events / best, about, wrong


def alone(ready: str, passes: int) -> None:
    """Replay the tape with moves `passes` times, for who watches; makes `ready` when it begins."""
    tape = Tape(Mix())
    start = opened(tape, desk(min_change_ticks=2))
    rows = np.concatenate(list(tape.blocks(ALONE_EVENTS)))
    replayed(start, rows, WHOLE)
    Path(ready).touch()
    for _ in range(passes):
        replayed(start, rows, WHOLE)
