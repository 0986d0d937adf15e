"""A simulated day put together: what everybody sees, and what is true.

    from optmm.data.simulator.day import simulate_day
    simulated = simulate_day(SimulationConfig(minutes=30), seed=7)
    simulated.day         # MarketDay: chain, events, no ground truth but the takers' own
    simulated.truth       # spot, surface, prices, who was informed

Each component draws from a stream of its own (numpy PCG64 seeded by SeedSequence children), so a
change to one leaves the draws of the others as they were.
"""

import hashlib
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from optmm.data.simulator import quotes, takers
from optmm.data.simulator.chain import ROOT, listing
from optmm.data.simulator.clock import NS_PER_SECOND, Clock
from optmm.data.simulator.config import SimulationConfig
from optmm.data.simulator.smile import loadings, simulate_smile
from optmm.data.simulator.spot import simulate_spot, underlying_quotes
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
    children = np.random.SeedSequence(seed).spawn(len(STREAMS))
    rng = {
        name: np.random.Generator(np.random.PCG64(child))
        for name, child in zip(STREAMS, children, strict=True)
    }
    clock = _clock(config)
    chain, ahead = listing(config, clock)
    knots = clock.at_expiry(ahead)
    path = simulate_spot(config, clock, float(loadings(config, knots)[0]), rng)
    smile = simulate_smile(config, clock, knots, path, rng["smile"])
    prices = true_prices(config, chain, clock, path, smile)
    flow = takers.simulate_takers(prices, rng["takers"])
    events = in_order(np.concatenate(_events(config, prices, flow, rng)))
    source = (f"simulated seed={seed} config={config.digest}", _digest(chain, events))
    quoted = events[events["kind"] == Kind.QUOTE]
    two_sided = float(np.mean((quoted["bid_e9"] > 0) & (quoted["ask_e9"] > 0)))
    day = MarketDay(
        chain=chain,
        session=clock.session,
        events=events,
        bar_ns=0,
        quality=DataQuality(rows=events.size, two_sided_share=two_sided),
        sources=(source,),
        simulated=True,
    )
    return SimulatedDay(day, Truth(seed=seed, prices=prices, takers=flow))


def _clock(config: SimulationConfig) -> Clock:
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
    """Every event of the day, unordered."""
    clock, n = prices.clock, len(prices.chain)
    rows, ts_ns = quotes.refreshes(prices, rng["quote times"])
    leads = takers.lead_refreshes(flow, rng["taker leads"])
    rows = np.concatenate([rows, flow.instrument])
    ts_ns = np.concatenate([ts_ns, leads])
    alive = ts_ns < prices.chain.last_trade_ns[rows]
    status = empty(2)
    status["ts_event_ns"] = status["ts_recv_ns"] = (clock.session.open_ns, clock.session.close_ns)
    status["kind"] = Kind.STATUS
    status["bits"] = (Bits.OPEN, Bits.CLOSE)
    status["instrument"] = n
    return [
        status,
        underlying_quotes(config, clock, prices.path, n, rng["underlying book"]),
        quotes.quote_events(prices, rows[alive], ts_ns[alive], rng["quote noise"]),
        takers.taker_events(flow),
    ]


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
