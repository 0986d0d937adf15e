"""The other makers: several, each with its own view, width, size, delay and inventory.

A maker's fair value of option i at an instant is
    truth as of `maker_delays_ms` earlier (spot by delta, vol as it is)
    + noise x h          its error about the expiry, which drifts over half an hour, in s.d. of
                         `maker_noises`
    + skew x h x tanh(P / maker_full_lots)
h the option's typical half width, P what takers have bought of the expiry less what they sold,
forgotten over `maker_unwind_minutes`: makers who are short ask more. It quotes that, less and plus
its width times h, each side with noise of its own, rounded outward to the tick. What is displayed
is the best bid and ask and the sum of the sizes there; makers who would cross or lock each other
settle one tick apart, as a post-only venue makes them.

In a mass quote delays below a second do not show: the truth steps on whole seconds.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from optmm.data.simulator.clock import NS_PER_SECOND
from optmm.data.simulator.config import SimulationConfig
from optmm.data.simulator.quotes import Refreshes
from optmm.data.simulator.smile import seconds_decay, stationary
from optmm.data.simulator.takers import TakerTruth
from optmm.data.simulator.theo import TruePrices
from optmm.market.events import Kind, empty

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

NOISE_STEP_SECONDS = 60
NOISE_HALF_LIFE_MINUTES = 30.0
SIZE_SD_LOG = 0.8
BLOCK = 1 << 15  # rows at a time: what a cache holds
KEY = 1 << 50  # ns: more than a session


@dataclass(frozen=True, slots=True)
class Pressure:
    """Lots that takers have bought less sold of each expiry, forgotten exponentially."""

    keys: Ints  # (trades,) increasing: slice, then time
    lots: Floats  # after each trade
    open_ns: int
    tau_ns: float

    def at(self, slices: Ints, ts_ns: Ints) -> Floats:
        """Lots in force strictly before each instant."""
        if not self.keys.size:
            return np.zeros(slices.size)
        keys = slices * KEY + (ts_ns - self.open_ns)
        last = np.searchsorted(self.keys, keys, side="left") - 1
        found = (last >= 0) & (self.keys[last] // KEY == slices)
        age = np.where(found, keys - self.keys[last], 0)
        return np.where(found, self.lots[last] * np.exp(-age / self.tau_ns), 0.0)


@dataclass(frozen=True, slots=True)
class Desks:
    """What the makers think besides the truth."""

    noise: Floats  # (makers, slices, minutes): error about an expiry, in typical half widths
    pressure: Pressure


def pressure_of(prices: TruePrices, flow: TakerTruth) -> Pressure:
    """The makers' inventory by expiry: of takers willing to pay the typical half width."""
    config = prices.config
    gap = flow.side * (flow.reservation_e9 * 1e-9 - flow.theo)
    traded = np.flatnonzero(gap >= flow.half_width)
    slices = prices.chain.slice_of[flow.instrument[traded]].astype(np.int64)
    open_ns = prices.clock.session.open_ns
    keys = slices * KEY + (flow.ts_ns[traded] - open_ns)
    order = np.argsort(keys, kind="stable")
    keys, signed = keys[order], (flow.side * flow.lots)[traded][order].astype(np.float64)
    tau_ns = config.maker_unwind_minutes * 60.0 * NS_PER_SECOND
    lots, held, before = np.empty(keys.size), 0.0, -1
    for i, (key, trade) in enumerate(zip(keys.tolist(), signed.tolist(), strict=True)):
        same = before >= 0 and key // KEY == before // KEY
        held = (held * np.exp(-(key - before) / tau_ns) if same else 0.0) + trade
        lots[i], before = held, key
    return Pressure(keys, lots, open_ns, tau_ns)


def desks(prices: TruePrices, flow: TakerTruth, rng: np.random.Generator) -> Desks:
    """Draw the makers' errors and count what they are short of."""
    noises = np.array(prices.config.maker_noises)
    slices, minutes = prices.chain.slices, prices.clock.seconds // NOISE_STEP_SECONDS + 1
    drive = rng.standard_normal((noises.size * slices, minutes))
    decay = seconds_decay(NOISE_HALF_LIFE_MINUTES) ** NOISE_STEP_SECONDS
    paths = stationary(decay, drive[:, 0], drive[:, 1:]).reshape(noises.size, slices, minutes)
    return Desks(noises[:, None, None] * paths, pressure_of(prices, flow))


def quote_events(
    prices: TruePrices, refreshes: Refreshes, views: Desks, rng: np.random.Generator
) -> NDArray[np.void]:
    """QUOTE events of the refreshes, in the order given."""
    out = empty(refreshes.rows.size)
    for start in range(0, out.size, BLOCK):
        part = slice(start, start + BLOCK)
        _fill(prices, refreshes.take(part), views, rng, out[part])
    return out


def _fill(
    prices: TruePrices,
    refreshes: Refreshes,
    views: Desks,
    rng: np.random.Generator,
    out: NDArray[np.void],
) -> None:
    """Write the displayed quote of each refresh."""
    config, rows, ts_ns = prices.config, refreshes.rows, refreshes.ts_ns
    second = prices.clock.index(ts_ns)
    fair = prices.fair(rows, second)
    half = prices.half_width(rows, second, fair)
    tick_e9 = prices.chain.tick_below_e9[rows]
    tick = tick_e9 / 1e9
    centre = _views(prices, refreshes, views, fair.price, fair.delta, half)
    widths = np.array(config.maker_widths)[:, None] * half
    sd = config.width_noise_sd_log
    shape = (2, *centre.shape)
    noise = np.exp(sd * rng.standard_normal(shape, np.float32) - np.float32(0.5 * sd * sd))
    bids = np.maximum(np.floor((centre - widths * noise[0]) / tick), 0.0)
    asks = np.maximum(np.ceil((centre + widths * noise[1]) / tick), 1.0)
    lots = _sizes(config, shape, rng)
    bid, ask = bids.max(axis=0), asks.min(axis=0)
    bid_lots = np.where(bids == bid, lots[0], 0.0).sum(axis=0)
    ask_lots = np.where(asks == ask, lots[1], 0.0).sum(axis=0)
    meet = bid >= ask
    bid = np.where(meet, np.maximum(np.ceil(0.5 * (bid + ask)) - 1.0, 0.0), bid)
    ask = np.where(meet, bid + 1.0, ask)
    out["ts_event_ns"] = out["ts_recv_ns"] = ts_ns
    out["bid_e9"] = bid.astype(np.int64) * tick_e9
    out["ask_e9"] = ask.astype(np.int64) * tick_e9
    out["bid_lots"] = np.where(bid > 0.0, bid_lots, 0.0).astype(np.int64)
    out["ask_lots"] = ask_lots.astype(np.int64)
    out["instrument"] = rows
    out["kind"] = Kind.QUOTE


def _views(
    prices: TruePrices, refreshes: Refreshes, views: Desks, price: Floats, delta: Floats,
    half: Floats,
) -> Floats:  # fmt: skip
    """Each maker's fair value, (makers, rows)."""
    config, clock, spot = prices.config, prices.clock, prices.path.spot
    rows, ts_ns = refreshes.rows, refreshes.ts_ns
    second = clock.index(ts_ns)
    slices = prices.chain.slice_of[rows].astype(np.int64)
    pressed = np.tanh(views.pressure.at(slices, ts_ns) / config.maker_full_lots)
    grace = np.where(refreshes.massed, NS_PER_SECOND - 1, 0)
    out = np.empty((len(config.maker_delays_ms), rows.size))
    for m, delay_ms in enumerate(config.maker_delays_ms):
        late = max(round(delay_ms * 1e6), 0)
        seen = np.minimum(clock.index(ts_ns + grace - late), second)
        error = views.noise[m, slices, second // NOISE_STEP_SECONDS]
        lean = error + config.maker_skews[m] * pressed
        out[m] = price + delta * (spot[seen] - spot[second]) + half * lean
    return out


def _sizes(
    config: SimulationConfig, shape: tuple[int, ...], rng: np.random.Generator
) -> NDArray[np.float32]:
    """Lots each maker shows, (2, makers, rows)."""
    median = config.quote_size_median_lots * np.array(config.maker_sizes, np.float32)
    lots = np.exp(SIZE_SD_LOG * rng.standard_normal(shape, np.float32)) * median[None, :, None]
    return np.maximum(np.rint(lots), np.float32(1.0))
