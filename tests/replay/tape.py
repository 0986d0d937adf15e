"""A small chain, a rough random tape on it, and the driver that plays the desk between calls.

As a script it replays one tape in a process of its own and prints what came out, as JSON:
`python tests/replay/tape.py WORLD EVENTS OPTIONS SEED`.
"""

import hashlib
import json
import sys
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import ndtr

from optmm.engine import core
from optmm.engine import state as tables
from optmm.engine.reasons import Reason
from optmm.market.chain import Chain, Underlying
from optmm.market.events import Bits, Kind, empty, in_order

WORLDS = tuple(tables.WORLDS)
E9 = 1_000_000_000
START_NS = 1_700_000_000 * E9
SPLIT, BELOW, ABOVE = 3 * E9, E9 // 100, E9 // 20
SD_USD = 2.0  # of the underlying until expiry, for Bachelier's fair values
FAR = 1 << 62
STOP_EVERY = 250  # events between two decisions of the desk

RICH = {
    "feed_ns": 20_000_000, "latency_sigma": 0.8, "latency_stress": 1.5, "seed": 77,
    "queue_model": 1, "customer_pm": 300, "spot_source": 1, "side_strikes": 6, "side_window_ns": E9,
    "middle_ns": E9, "middle_edge": 0.4, "max_delta_usd": 30_000.0, "min_change_ticks": 2,
}  # fmt: skip
RARE = [Kind.TRADE, Kind.BAR, Kind.TAKER, Kind.UNDERLYING_TRADE, Kind.UNDERLYING_QUOTE, Kind.TIMER]
SHARES = [0.07, 0.07, 0.09, 0.004, 0.03, 0.002]


@dataclass(frozen=True)
class Setup:
    """What to replay; `tight` makes protections and the message budget bite, `rich` adds the rest.

    That is: drawn and strained latency, pro rata, customers, the microprice, every guard.
    """

    world: str = "queue"
    events: int = 60_000
    options: int = 30
    seed: int = 1
    latency_ns: int = 40_000_000
    tight: bool = False
    rich: bool = False


def make_chain(setup: Setup) -> Chain:
    """Strikes about 100, calls before puts; the last two rows stop trading midway."""
    n = setup.options
    pairs = n // 2
    strikes = 100 + np.arange(pairs) - pairs // 2
    last = np.full(n, FAR)
    last[-2:] = START_NS + setup.events * 10_000_000
    return Chain(
        underlying=Underlying("XYZ", "equity", 1, BELOW),
        symbol=tuple(f"XYZ{i:018d}" for i in range(n)),
        root=("XYZ",) * n,
        right=np.where(np.arange(n) % 2 == 0, 1, -1).astype(np.int8),
        strike_e9=np.repeat(strikes, 2) * E9,
        expiry=np.full(n, np.datetime64("2023-12-15")),
        last_trade_ns=last,
        fixing_ns=np.full(n, FAR),
        exercise_ns=np.full(n, FAR),
        american=np.arange(n) % 4 < 2,
        physical=np.ones(n, bool),
        am_settled=np.zeros(n, bool),
        multiplier=np.where(np.arange(n) % 6 < 4, 100, 50),
        tick_split_e9=np.full(n, SPLIT),
        tick_below_e9=np.full(n, BELOW),
        tick_above_e9=np.full(n, ABOVE),
        slice_of=np.zeros(n, np.int32),
        slice_start=np.array([0, n], np.int32),
    )


def fair(right, strike, spot):
    """Bachelier value, delta and gamma, USD per share, with SD_USD to go."""
    d = (spot - strike) / SD_USD
    density = np.exp(-0.5 * d * d) / np.sqrt(2.0 * np.pi)
    value = right * (spot - strike) * ndtr(right * d) + SD_USD * density
    return value, right * ndtr(right * d), density / SD_USD


def make_tape(setup: Setup, chain: Chain) -> np.ndarray:
    """A random session: all kinds of event, bad markets, halts, a close and a second opening."""
    rng = np.random.default_rng(setup.seed)
    size, n = setup.events, setup.options
    out = empty(size)
    gaps = rng.choice(
        [0, 1, 3_000_000, 20_000_000, 60_000_000], size, p=[0.25, 0.05, 0.2, 0.3, 0.2]
    )
    out["ts_event_ns"] = START_NS + np.cumsum(gaps)
    out["kind"] = rng.choice([*RARE, Kind.QUOTE], size, p=[*SHARES, 1.0 - sum(SHARES)])
    out["instrument"] = rng.integers(0, n, size)
    is_spot = out["kind"] == Kind.UNDERLYING_QUOTE
    steps = rng.integers(-3, 4, size) * (BELOW // 2)
    # a jump there and back, so that our own sides meet each other and messages are refused
    jumps = (rng.random(size) < 0.03) * rng.choice([-1, 1], size) * (8 * E9 // 10)
    spot_e9 = 100 * E9 + np.cumsum(is_spot * steps) + is_spot * jumps
    _option_events(rng, chain, out, spot_e9 / E9)
    _underlying_events(rng, out, is_spot, spot_e9, n)
    _status_events(out)
    return in_order(out)


def _grid(px, up: bool) -> np.ndarray:
    """USD to int 1e-9 USD on the tick grid, outward, at least one tick."""
    tick = np.where(px < SPLIT / E9, BELOW, ABOVE)
    steps = np.ceil(px * E9 / tick) if up else np.floor(px * E9 / tick)
    return np.maximum(steps, 1).astype(np.int64) * tick


def _option_events(rng, chain: Chain, out: np.ndarray, spot: np.ndarray) -> None:
    size = out.size
    row = out["instrument"]
    value = fair(chain.right[row], chain.strike[row], spot)[0]
    tick = np.where(value < SPLIT / E9, BELOW, ABOVE) / E9
    half = tick * (0.6 + row % 3)
    value = value + tick * rng.normal(0.0, 0.4, size)
    out["bid_e9"], out["ask_e9"] = _grid(value - half, False), _grid(value + half, True)
    out["bid_lots"], out["ask_lots"] = rng.integers(1, 25, (2, size))
    quote, odd = out["kind"] == Kind.QUOTE, rng.random(size)
    for low, name in ((0.0, "bid"), (0.03, "ask")):
        absent = quote & (odd >= low) & (odd < low + 0.03)
        out[name + "_e9"][absent] = 0
        out[name + "_lots"][absent & (odd < low + 0.02)] = 0
    out["ask_e9"] = np.where(quote & (odd > 0.97), out["bid_e9"], out["ask_e9"])
    crossed = quote & (odd > 0.94) & (odd <= 0.97)
    out["bid_e9"][crossed], out["ask_e9"][crossed] = out["ask_e9"][crossed], out["bid_e9"][crossed]
    for name in ("bid", "ask"):
        out[name + "_lots"][quote & (rng.random(size) < 0.02)] = 0
    trade, bar, taker = (out["kind"] == k for k in (Kind.TRADE, Kind.BAR, Kind.TAKER))
    marked = (trade | bar) & (row % 11 == 3)  # auction, complex, floor: for a few series always
    out["bits"][marked] = (int(Bits.AUCTION) << row % 3)[marked]
    side = rng.choice([-1, 1], size)
    at = _grid(value + side * (half + tick * rng.integers(-2, 4, size)), False)
    out["bid_e9"][trade] = out["ask_e9"][trade] = at[trade]
    out["ask_lots"][trade] = rng.integers(-1, 2, size)[trade]
    reach = tick * rng.integers(-1, 3, size)
    out["bid_e9"][bar] = _grid(value - half - reach, False)[bar]
    out["ask_e9"][bar] = np.maximum(_grid(value + half + reach, True), out["bid_e9"])[bar]
    out["ask_lots"][bar] = 0
    seller = taker & (side < 0)
    buyer = taker & (side > 0)
    out["bid_e9"][taker], out["ask_e9"][taker] = at[taker], at[taker]
    for mask, name in ((seller, "ask"), (buyer, "bid")):
        out[name + "_e9"][mask] = out[name + "_lots"][mask] = 0


def _underlying_events(rng, out, is_spot, spot_e9, n) -> None:
    tape = np.isin(out["kind"], (Kind.UNDERLYING_QUOTE, Kind.UNDERLYING_TRADE))
    out["instrument"][tape] = n
    out["bid_e9"][tape] = (spot_e9 // BELOW * BELOW)[tape]
    out["ask_e9"][tape] = (out["bid_e9"] + BELOW)[tape]
    odd = rng.random(out.size)
    out["ask_e9"][is_spot & (odd < 0.02)] -= BELOW  # locked
    out["ask_e9"][is_spot & (odd > 0.98)] -= 2 * BELOW  # crossed
    out["ask_e9"][is_spot & (odd > 0.97) & (odd < 0.98)] = 0
    out["bid_e9"][is_spot & (odd > 0.96) & (odd < 0.97)] = 0
    other = np.isin(out["kind"], (Kind.TIMER,))
    for name in ("bid_e9", "ask_e9", "bid_lots", "ask_lots", "instrument"):
        out[name][other] = 0


def _status_events(out: np.ndarray) -> None:
    marks = [(0.0, Bits.OPEN)]
    for at in (0.15, 0.4, 0.55, 0.8):
        marks += [(at, Bits.HALT), (at + 0.01, Bits.RESUME)]
    marks += [(0.6, Bits.CLOSE), (0.62, Bits.OPEN), (0.985, Bits.CLOSE)]
    for at, bits in marks:
        where = int(at * out.size)
        status = empty(1)
        status["ts_event_ns"] = out["ts_event_ns"][where]
        status["kind"], status["bits"] = Kind.STATUS, bits
        out[where] = status[0]


def make_state(setup: Setup, chain: Chain) -> tables.EngineState:
    """The engine before the first event, configured; requotes inside the loop."""
    state = tables.create(chain, setup.world)
    tight = setup.tight
    window = 20 * E9
    for name, value in (
        ("on_event", 1),
        ("latency_ns", setup.latency_ns),
        ("order_ns", setup.latency_ns),
        ("stale_spot_ns", 3 * E9 // 2),
        ("stale_quote_ns", 2 * E9),
        ("sweep_ns", E9 // 4),
        ("share_pm", 370),
        ("hysteresis", 0.3),
        ("fill_window_ns", window),
    ):
        state.head[name] = value
    if tight:
        state = tables.sized(state, max_fills=8, messages=50)
        state.head["max_lots"] = 60
    for name, value in RICH.items() if setup.rich else ():
        state.head[name] = value
    set_limits(state, setup)
    return state


def set_limits(state: tables.EngineState, setup: Setup) -> None:
    """Whole dollars, so that the worst-case counter is exact in floating point."""
    tables.set_limits(
        state,
        headroom_usd=900.0 if setup.tight else 1e15,
        max_fill_usd=200.0,
        unit_usd=4.0 + np.arange(setup.options) % 7,
    )


@dataclass(frozen=True)
class Decision:
    """What the desk did between two calls that an exchange learns of."""

    hedge_lots: int = 0
    rearmed: bool = False


def decide(state: tables.EngineState, setup: Setup, chain: Chain, at: int) -> Decision:
    """Play the desk before event `at`: new sheet, widths, sizes; perhaps a hedge or a re-arm."""
    rng = np.random.default_rng([setup.seed, at])
    n = setup.options
    spot = float(state.head["spot"][0]) or 100.0
    theo, delta, gamma = fair(chain.right, chain.strike, spot)
    tick = np.where(theo < SPLIT / E9, BELOW, ABOVE) / E9
    withdrawn = rng.random(n) < 0.02
    tables.publish_theo(
        state,
        theo=np.where(withdrawn, np.nan, theo),
        delta=delta,
        gamma=gamma,
        df=np.full(n, 0.9999),
        growth=np.full(n, 1.0001),
        spot_ref=spot,
        taylor_range=0.0005,
    )
    halves = tick * (rng.uniform(0.3, 1.8, (2, n)) + np.arange(n) % 3)
    caps = rng.integers(0, 13, (2, n))
    tables.publish_quotes(
        state,
        half_bid=halves[0],
        half_ask=halves[1],
        skew=tick * rng.normal(0.0, 0.7, n),
        cap_bid=caps[0],
        cap_ask=caps[1],
        why_bid=np.zeros(n, np.int64),
        why_ask=np.zeros(n, np.int64),
    )
    rearmed = bool(state.head["is_tripped"][0]) and rng.random() < 0.7
    if rearmed:
        tables.rearm(state)
        set_limits(state, setup)
    lots = int(rng.integers(1, 60) * rng.choice([-1, 1])) if rng.random() < 0.6 else 0
    if lots:
        land_ns = int(state.head["now_ns"][0]) + setup.latency_ns
        tables.send_hedge(state, lots=lots, land_ns=land_ns)
    return Decision(lots, rearmed)


def put_on_wire(
    state: tables.EngineState, *, land_ns: int, instrument: int, side: int, px_e9: int, lots: int
) -> None:
    """Send one quote message as the engine does, whatever it says."""
    head = state.head[0]
    row = state.wire[(head["wire_first"] + head["wire_count"]) % state.wire.size]
    row["land_ns"], row["px_e9"], row["lots"] = land_ns, px_e9, lots
    row["instrument"], row["side"], row["kind"], row["why"] = instrument, side, 0, 0
    head["wire_count"] += 1


def script(rows: list[tuple[int, ...]]) -> np.ndarray:
    """Events from (seconds, kind, instrument, bid, ask in cents, bid lots, ask lots, bits)."""
    out = empty(len(rows))
    for e, (seconds, kind, instrument, bid, ask, bid_lots, ask_lots, bits) in zip(
        out, rows, strict=True
    ):
        e["ts_event_ns"] = START_NS + round(seconds * E9)
        e["kind"], e["instrument"], e["bits"] = kind, instrument, bits
        e["bid_e9"], e["ask_e9"] = bid * BELOW, ask * BELOW
        e["bid_lots"], e["ask_lots"] = bid_lots, ask_lots
    return out


class Replay:
    """The engine on one tape, with the desk's decisions at fixed events whatever the block size."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.chain = make_chain(setup)
        self.events = make_tape(setup, self.chain)
        self.state = make_state(setup, self.chain)
        self.at = 0
        self.acts: list[np.ndarray] = []
        self.reasons = Reason(0)
        self.calls = 0
        self.decided = 0  # decisions taken: one at each multiple of STOP_EVERY

    def run(self, stop: int | None = None, *, block: int | None = None) -> "Replay":
        """Replay up to event `stop` in blocks of at most `block` events, drained one by one."""
        stop = self.events.size if stop is None else stop
        while self.at < stop:
            if self.at == self.decided * STOP_EVERY:
                self.decide()
            segment = min(stop, self.at - self.at % STOP_EVERY + STOP_EVERY)
            self.step(segment if block is None else min(segment, self.at + block))
            if block is not None:
                self.drain()
        return self

    def decide(self) -> Decision:
        """Let the desk act before the present event."""
        self.decided += 1
        return decide(self.state, self.setup, self.chain, self.at)

    def step(self, stop: int, *, drain: bool = True, grow: bool = True) -> Reason:
        """One call of `advance`, up to event `stop`; makes room where it asks for room."""
        self.at, bits = core.advance(self.state, self.events[:stop], self.at)
        reasons = Reason(int(bits))
        self.calls += 1
        self.reasons |= reasons
        if grow and reasons & Reason.WIRE_FULL:
            self.state = tables.grown(self.state)
        if drain and reasons & Reason.ACT_FULL:
            self.drain()
        return reasons

    def drain(self) -> np.ndarray:
        """Take the act rows, keep them, and return them."""
        rows = tables.drained(self.state)
        self.acts.append(rows)
        return rows

    def all_acts(self) -> np.ndarray:
        """Every act row so far."""
        self.drain()
        return np.concatenate(self.acts)

    def digest(self, *, ring: bool = True) -> str:
        """sha256 of the act rows, `own` and `head`; `ring` False leaves the ring's cursor out."""
        acts, head = self.all_acts(), self.state.head.copy()
        if not ring:
            head["wire_first"] = 0
        raw = b"".join(table.tobytes() for table in (acts, self.state.own, head))
        return hashlib.sha256(raw).hexdigest()

    def summary(self) -> dict:
        """What came out, small enough to print."""
        h = self.state.head[0]
        return {
            "digest": self.digest(),
            **{
                k: int(h[k]) for k in ("events", "fills", "messages", "trips", "rejected", "sweeps")
            },
        }


def main() -> None:
    """Replay in this process, whatever its numba flags are, and print the summary."""
    import numba

    world, events, options, seed = sys.argv[1], *map(int, sys.argv[2:5])
    setup = replace(Setup(), world=world, events=events, options=options, seed=seed, tight=True)
    setup = replace(setup, rich=True)
    compiled = hasattr(core.advance, "signatures")
    out = Replay(setup).run().summary()
    checked = bool(numba.config.BOUNDSCHECK)
    print(json.dumps({**out, "compiled": compiled, "checked": checked}))


if __name__ == "__main__":
    main()
