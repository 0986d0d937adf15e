"""A simulated day put together: what everybody sees, and what is true.

    from optmm.data.simulator.day import simulate_day
    simulated = simulate_day(SimulationConfig(minutes=30), seed=7)
    simulated.day         # MarketDay: chain and events, nothing of what is true
    simulated.truth       # spot, surface, prices, who was informed, what the feed did wrong

Each component draws from a stream of its own (numpy PCG64 seeded by SeedSequence children), so a
change to one leaves the draws of the others as they were.
"""

import hashlib
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from optmm.data.simulator import faults, makers, quotes, takers
from optmm.data.simulator.chain import ROOT, listing
from optmm.data.simulator.clock import NS_PER_SECOND, Clock
from optmm.data.simulator.config import SimulationConfig
from optmm.data.simulator.opening import Opening, first_opening
from optmm.data.simulator.schedule import halts, inside
from optmm.data.simulator.smile import loadings, simulate_smile
from optmm.data.simulator.spot import simulate_spot
from optmm.data.simulator.stock import future_quotes, underlying_quotes
from optmm.data.simulator.theo import TruePrices, true_prices
from optmm.data.simulator.truth import Truth
from optmm.market import calendar
from optmm.market.chain import Chain, DataQuality, MarketDay, Session
from optmm.market.events import Bits, Kind, empty, in_order
from optmm.market.products import product

# Streams are children of the seed by position: append, never reorder.
STREAMS = (
    "spot",
    "variance",
    "jumps",
    "smile",
    "underlying book",
    "quote times",
    "quote noise",
    "takers",
    "taker leads",
    "events",
    "makers",
    "future",
    "faults",
)


@dataclass(frozen=True, slots=True)
class SimulatedDay:
    """The public day and the truth behind it."""

    day: MarketDay
    truth: Truth


def simulate_day(config: SimulationConfig, seed: int) -> SimulatedDay:
    """Simulate one session; equal config and seed give equal bytes.

    Raises
    ------
    DataError
        `trade_date` is not a session; names the nearest ones.
    """
    return simulate_session(config, first_opening(config), seed, np.random.SeedSequence(seed))


def simulate_session(
    config: SimulationConfig, opening: Opening, seed: int, source: np.random.SeedSequence
) -> SimulatedDay:
    """Simulate the session of `config.trade_date` from `opening`; `seed` is only recorded."""
    rng = {
        name: np.random.Generator(np.random.PCG64(child))
        for name, child in zip(STREAMS, source.spawn(len(STREAMS)), strict=True)
    }
    clock = clock_of(config)
    chain, ahead = listing(config, clock, opening)
    knots = clock.at_expiry(ahead)
    first = chain.slice_start[:-1]
    path = simulate_spot(config, clock, float(loadings(config, knots, opening)[0]), rng, opening)
    smile = simulate_smile(
        config, clock, knots, path, rng["smile"], fixing_ns=chain.fixing_ns[first],
        expiries=tuple(chain.expiry[first].tolist()), opening=opening,
    )  # fmt: skip
    prices = true_prices(config, chain, clock, path, smile, knots)
    flow = takers.simulate_takers(prices, rng["takers"])
    tape = np.concatenate(_events(config, prices, flow, rng))
    tape, wrong, aside = faults.planted(config, clock, tape, rng["faults"])
    events = in_order(tape)
    quoted = events[events["kind"] == Kind.QUOTE]
    two_sided = float(np.mean((quoted["bid_e9"] > 0) & (quoted["ask_e9"] > quoted["bid_e9"])))
    day = MarketDay(
        chain=chain,
        session=clock.session,
        events=events,
        bar_ns=0,
        quality=DataQuality(events.size + sum(aside.values()), aside, two_sided),
        sources=((f"simulated seed={seed} config={config.digest}", _digest(chain, events)),),
        simulated=True,
    )
    return SimulatedDay(day, Truth(seed=seed, prices=prices, takers=flow, faults=wrong))


def clock_of(config: SimulationConfig) -> Clock:
    """The session, cut to `minutes` when asked; the regular close keeps its hour."""
    terms = product(ROOT)
    full = terms.session(config.trade_date)
    regular_close = calendar.hours_ns(terms.exchange, config.trade_date)[1]
    whole = (full.close_ns - full.open_ns) // NS_PER_SECOND
    seconds = whole if config.minutes is None else min(whole, 60 * config.minutes)
    close = full.open_ns + seconds * NS_PER_SECOND
    session = Session(full.date, full.open_ns, close, full.timezone)
    return Clock(session, regular_close, config.overnight_variance_share, seconds)


def _events(
    config: SimulationConfig,
    prices: TruePrices,
    flow: takers.TakerTruth,
    rng: dict[str, np.random.Generator],
) -> list[NDArray[np.void]]:
    """Every event of the day, unordered; nothing but halts and resumptions inside a halt."""
    clock, n = prices.clock, len(prices.chain)
    leads = quotes.Refreshes(
        flow.instrument,
        takers.lead_refreshes(flow, rng["taker leads"]),
        np.zeros(flow.ts_ns.size, np.bool_),
    )
    planned = quotes.refreshes(prices, rng["quote times"])
    asked = quotes.joined((planned, leads))
    asked = asked.take(asked.ts_ns < prices.chain.last_trade_ns[asked.rows])
    views = makers.desks(prices, flow, rng["makers"])
    stock = underlying_quotes(config, clock, prices.path, n, rng["underlying book"])
    ticks = [
        stock,
        future_quotes(config, clock, prices.path, n, rng["future"]),
        makers.quote_events(prices, asked, views, rng["quote noise"]),
        takers.taker_events(flow),
    ]
    stopped = halts(config, clock)
    if not stopped:
        return [_status(clock, n, stopped), *ticks]
    again = _reopening(stock, stopped)
    traded = [part[~inside(part["ts_event_ns"], stopped)] for part in ticks]
    return [_status(clock, n, stopped), again, *traded]


def _reopening(stock: NDArray[np.void], stopped: list[tuple[int, int]]) -> NDArray[np.void]:
    """The underlying's quote at each resumption, where none changes in that very second."""
    ts_ns = stock["ts_event_ns"]
    stops = np.array([stop for _, stop in stopped], np.int64)
    last = np.searchsorted(ts_ns, stops, side="right") - 1
    new = ts_ns[last] < stops
    out = stock[last[new]].copy()
    out["ts_event_ns"] = out["ts_recv_ns"] = stops[new]
    return out


def _status(clock: Clock, n: int, stopped: list[tuple[int, int]]) -> NDArray[np.void]:
    """Open, close, halts and resumptions."""
    said = [(clock.session.open_ns, Bits.OPEN), (clock.session.close_ns, Bits.CLOSE)]
    for start, stop in stopped:
        said += [(start, Bits.HALT), (stop, Bits.RESUME)]
    out = empty(len(said))
    out["ts_event_ns"] = out["ts_recv_ns"] = [ts_ns for ts_ns, _ in said]
    out["bits"] = [int(bits) for _, bits in said]
    out["kind"], out["instrument"] = Kind.STATUS, n
    return out


def _digest(chain: Chain, events: NDArray[np.void]) -> str:
    """sha256 of every column of the chain and of the events, names included."""
    out = hashlib.sha256()
    for field in fields(chain):
        value = getattr(chain, field.name)
        if isinstance(value, np.ndarray):
            out.update(field.name.encode() + np.ascontiguousarray(value).tobytes())
        else:
            out.update(f"{field.name}={value!r}".encode())
    for name in events.dtype.names or ():
        out.update(name.encode() + np.ascontiguousarray(events[name]).tobytes())
    return out.hexdigest()
