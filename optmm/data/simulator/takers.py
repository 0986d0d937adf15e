"""Those who trade: when, what, how much, up to which price, and what some of them know.

They arrive as a Hawkes process (`flow`); one begotten by another is in the same option with
probability `follow_share`. Sizes have the law P(lots >= k) = k^-tail up to `max_taker_lots`, so
E[lots] = sum over k of k^-tail.

A taker's reservation price lies an exponential distance beyond the truth, in units of the option's
typical half width h, so the share willing to pay d is exp(-d / (willingness x h)): a maker who
quotes d from fair value meets an intensity A exp(-k d) with k = 1 / (willingness x h), and
`expected_lots` says how many lots that is a day.

Informed takers know how the option's value will have moved a horizon later, trade in that direction
and give up a share of the move in price. Some know the whole move, which a delta hedge mostly takes
away; the others know the move beyond delta, which no hedge takes away.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from optmm.data.simulator.clock import NS_PER_SECOND, activity
from optmm.data.simulator.config import SimulationConfig
from optmm.data.simulator.flow import Flow, Hawkes, simulate_flow
from optmm.data.simulator.schedule import halts, inside
from optmm.data.simulator.theo import TruePrices
from optmm.market.events import Kind, empty

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MATURITY_POWER = 1.2
SAME_DAY_SD = 0.0015
OUT_OF_THE_MONEY_SHARE = 0.85
PUT_SHARE = 0.53
NIGHT_ACTIVITY = 0.3  # of the quiet rate, after the regular close
LEAD_SHARE = (0.2, 0.8)  # of the time since the second began, at which makers are asked


@dataclass(frozen=True, slots=True)
class TakerTruth:
    """Who came and what they knew; arrays of shape (takers,), by arrival."""

    ts_ns: Ints
    instrument: Ints
    side: Ints  # +1 buys, -1 sells
    lots: Ints
    reservation_e9: Ints  # worst price accepted
    informed: NDArray[np.int64]  # 0 no, 1 knows the whole move, 2 knows the move beyond delta
    theo: Floats  # true price at arrival, USD
    half_width: Floats  # typical, at arrival, USD
    delta: Floats
    move: Floats  # of the true price until the horizon, USD
    hedged_move: Floats  # move - delta x spot move
    horizon_ns: int

    @property
    def kappa_usd(self) -> float:
        """Mean hedged move in favour of the informed who know it: USD per share and fill."""
        known = self.informed == 2
        return float((self.side * self.hedged_move)[known].mean()) if known.any() else 0.0


def mean_lots(config: SimulationConfig) -> float:
    """E[lots] of a taker."""
    return float((np.arange(1.0, config.max_taker_lots + 1.0) ** -config.size_tail).sum())


def expected_lots(config: SimulationConfig, half_widths: ArrayLike) -> Floats:
    """Lots a full day, both sides, that a desk trades with the uninformed when it quotes truth -+
    `half_widths` (>= 0, in typical half widths) in every option and nobody quotes better.

    Options whose price is below what a taker would give up cannot fall below zero: it is the law
    of those dear enough.
    """
    plain = config.takers_per_day * (1.0 - config.informed_share) * mean_lots(config)
    return plain * np.exp(-np.asarray(half_widths, np.float64) / config.willingness_half_widths)


def simulate_takers(prices: TruePrices, rng: np.random.Generator) -> TakerTruth:
    """Draw the day's takers. The draws of arrival, choice, price and knowledge are all `rng`'s."""
    config, clock = prices.config, prices.clock
    ts_ns, flow = _arrivals(prices, rng)
    n = ts_ns.size
    second = clock.index(ts_ns)
    rows = _followed(prices, _choose(prices, second, rng), flow, ts_ns, rng)
    lots = np.minimum(rng.random(n) ** (-1.0 / config.size_tail), config.max_taker_lots)
    distance = rng.exponential(1.0, n)
    informed = np.where(rng.random(n) < config.informed_share, 1, 0)
    informed *= np.where(rng.random(n) < config.informed_volatility_share, 2, 1)
    came = np.flatnonzero(~inside(ts_ns, halts(config, clock)))
    ts_ns, second, rows, side = ts_ns[came], second[came], rows[came], flow.side[came]
    lots, distance, informed = lots[came], distance[came], informed[came]
    fair = prices.fair(rows, second)
    width = prices.half_width(rows, second, fair)
    later = np.minimum(second + config.informed_horizon_seconds, clock.seconds)
    move = prices.fair(rows, later).price - fair.price
    hedged = move - fair.delta * (prices.path.spot[later] - prices.path.spot[second])
    known = np.where(informed == 2, hedged, move)
    side = np.where((informed > 0) & (known != 0.0), np.sign(known).astype(np.int64), side)
    beyond = config.willingness_half_widths * width * distance
    beyond += np.where(informed > 0, config.informed_edge_paid * np.abs(known), 0.0)
    reservation = np.maximum(np.rint((fair.price + side * beyond) * 1e9), 1.0).astype(np.int64)
    return TakerTruth(
        ts_ns, rows, side, lots.astype(np.int64), reservation, informed, fair.price, width,
        fair.delta, move, hedged, config.informed_horizon_seconds * NS_PER_SECOND,
    )  # fmt: skip


def pace(prices: TruePrices) -> Floats:
    """Activity done by each second of the grid, in seconds of mean pace: U-shaped."""
    clock = prices.clock
    regular = int((clock.fixing_ns - clock.session.open_ns) // NS_PER_SECOND)
    at = np.arange(clock.seconds + 1, dtype=np.float64)
    done = regular * activity(np.minimum(at / regular, 1.0))
    quiet = np.diff(regular * activity(np.linspace(0.0, 1.0, 391))).min() * 390.0 / regular
    return done + NIGHT_ACTIVITY * quiet * np.maximum(at - regular, 0.0)


def _arrivals(prices: TruePrices, rng: np.random.Generator) -> tuple[Ints, Flow]:
    """Instants in ns UTC, increasing, and the flow they belong to."""
    config, clock = prices.config, prices.clock
    done = pace(prices)
    regular = (clock.fixing_ns - clock.session.open_ns) / NS_PER_SECOND
    law = Hawkes(
        config.takers_per_day / regular, config.hawkes_own, config.hawkes_cross,
        config.hawkes_decay_seconds,
    )  # fmt: skip
    flow = simulate_flow(law, float(done[-1]), rng)
    seconds = np.interp(flow.time, done, np.arange(done.size, dtype=np.float64))
    ts_ns = clock.session.open_ns + (seconds * NS_PER_SECOND).astype(np.int64)
    return np.minimum(ts_ns, clock.session.close_ns - 1), flow


def _followed(
    prices: TruePrices, rows: Ints, flow: Flow, ts_ns: Ints, rng: np.random.Generator
) -> Ints:
    """`rows` where those who follow take the option of the one before, if it still trades."""
    follows = (flow.parent >= 0) & (rng.random(rows.size) < prices.config.follow_share)
    out, fixing_ns = rows.copy(), prices.chain.fixing_ns
    for depth in range(1, int(flow.generation.max(initial=0)) + 1):
        mine = np.flatnonzero(follows & (flow.generation == depth))
        before = out[flow.parent[mine]]
        mine, before = (each[fixing_ns[before] > ts_ns[mine]] for each in (mine, before))
        out[mine] = before
    return out


def _choose(prices: TruePrices, second: Ints, rng: np.random.Generator) -> Ints:
    """The option each taker wants: near expiries most, then strikes near and out of the money."""
    chain = prices.chain
    n = second.size
    starts = chain.slice_start.astype(np.int64)
    fixing = chain.fixing_ns[starts[:-1]]
    days = (fixing - prices.clock.session.open_ns) / (86_400 * NS_PER_SECOND)
    weight = (1.0 + days) ** -MATURITY_POWER
    today = np.flatnonzero(fixing <= prices.clock.session.close_ns)
    picks = rng.choice(weight.size, size=n, p=weight / weight.sum())
    others = np.where(np.arange(weight.size) > today.max(initial=-1), weight, 0.0)
    instead = rng.choice(weight.size, size=n, p=others / others.sum())
    gone = fixing[picks] <= prices.clock.grid_ns[second]
    picks = np.where(gone, instead, picks)
    right = np.where(rng.random(n) < PUT_SHARE, -1, 1)
    outward = rng.random(n) < OUT_OF_THE_MONEY_SHARE
    depth = np.where(outward, 0.8, -0.3) * rng.exponential(1.0, n)
    sd = np.maximum(np.sqrt(prices.smile.theta[picks, second]), SAME_DAY_SD)
    target = prices.forward(picks, second) * np.exp(right * depth * sd)
    rows = np.empty(n, np.int64)
    for j in range(weight.size):
        mine = np.flatnonzero(picks == j)
        strikes = chain.strike[starts[j] : starts[j + 1] : 2]
        middles = 0.5 * (strikes[1:] + strikes[:-1])
        nearest = np.searchsorted(middles, target[mine])
        rows[mine] = starts[j] + 2 * nearest + (right[mine] < 0)
    return rows


def taker_events(takers: TakerTruth) -> NDArray[np.void]:
    """TAKER events: a seller's lowest price in the bid fields, a buyer's highest in the ask's."""
    out = empty(takers.ts_ns.size)
    sells = takers.side < 0
    out["ts_event_ns"] = out["ts_recv_ns"] = takers.ts_ns
    out["bid_e9"] = np.where(sells, takers.reservation_e9, 0)
    out["bid_lots"] = np.where(sells, takers.lots, 0)
    out["ask_e9"] = np.where(sells, 0, takers.reservation_e9)
    out["ask_lots"] = np.where(sells, 0, takers.lots)
    out["instrument"] = takers.instrument
    out["kind"] = Kind.TAKER
    return out


def lead_refreshes(takers: TakerTruth, rng: np.random.Generator) -> Ints:
    """Instants at which makers are asked for the option each taker is about to trade, ns UTC: in
    the taker's own second, whose truth is the taker's."""
    since = takers.ts_ns % NS_PER_SECOND
    return takers.ts_ns - (since * (1.0 - rng.uniform(*LEAD_SHARE, since.size))).astype(np.int64)
