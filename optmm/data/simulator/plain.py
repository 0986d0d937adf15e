"""The plain market: what a desk must earn, lose and trade in it is known by formula.

European options on one expiry at one known vol, rates zero, spot a driftless lognormal walk (or
still), wide competitors, and takers who arrive at random and pay up to an exponential distance
beyond the TRUE value. A desk that quotes truth -+ half width, half below the competitors', meets

    contracts a side   takers/2 x lots x exp(-half / willingness)
    P&L a contract     multiplier x half - fee                  (truth is a martingale)
    adverse selection  -drift a share, `drift_seconds` after a fill

since after every taker of an option its true value moves `drift_usd` the taker's way, a line over
`drift_seconds`. Sides are fair coins, so the drifts of other takers are noise of mean zero.
The truth steps on whole seconds.

    market = plain_market(PlainConfig(), seed=7)
    market.day                                  # MarketDay for the engine
    market.sheet(ts_ns)                         # the truth of every option
    market.config.contracts(half_width_usd=0.05)
"""

import datetime as dt
import hashlib
import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from optmm.data.simulator import settings
from optmm.data.simulator.sheet import TrueSheet
from optmm.market import calendar
from optmm.market.chain import Chain, DataQuality, MarketDay, Session, Underlying
from optmm.market.events import Bits, Kind, empty, in_order
from optmm.market.instruments import Option
from optmm.market.products import list_chain
from surfaces.pricing import black
from surfaces.units import NS_PER_YEAR

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

NS = 1_000_000_000
ROOT = "PLAIN"
TICK_E9 = 100_000  # 0.0001 USD: rounding outward costs a hundredth of a cent at most
SPOT_TICK_E9 = 1_000
STOCK_HALF_TICKS = 5_000  # 0.005 USD
SHOWN_LOTS = 1_000_000
STREAMS = ("spot", "arrivals", "options", "sides", "distances")


class PlainConfig(BaseModel):
    """The plain market's settings. Frozen; unknown keys fail."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)

    trade_date: str = Field("2025-03-12", pattern=r"^\d{4}-\d{2}-\d{2}$")
    minutes: int = Field(20, ge=1, le=390)
    spot_usd: float = Field(100.0, ge=10.0, le=10_000.0)
    vol_per_year: float = Field(0.20, ge=0.01, le=2.0, description="known to all, ACT/365")
    spot_moves: bool = Field(True, description="false: still, and so is every option but for time")
    expiry_date: str = Field("2026-03-20", pattern=r"^\d{4}-\d{2}-\d{2}$")
    strikes: int = Field(11, ge=1, le=200, description="one USD apart around spot")
    market_half_width_usd: float = Field(0.50, gt=0.0, le=10.0, description="the competitors'")
    takers_per_second: float = Field(12.0, ge=0.0, le=1000.0)
    taker_lots: int = Field(5, ge=1, le=10_000)
    willingness_usd: float = Field(0.05, gt=0.0, le=10.0, description="mean of the exponential")
    drift_usd: float = Field(0.0, ge=0.0, le=1.0, description="a share, after every taker")
    drift_seconds: int = Field(60, ge=1, le=3600)

    @model_validator(mode="after")
    def _has_time(self) -> "PlainConfig":
        if self.trading_seconds < 10:
            raise ValueError(
                f"{self.minutes} minutes leave no time for drifts of {self.drift_seconds} seconds: "
                "give more minutes or a shorter drift"
            )
        return self

    @property
    def trading_seconds(self) -> int:
        """Takers come until here, so that every drift is done before the close."""
        return 60 * self.minutes - (self.drift_seconds + 1 if self.drift_usd > 0.0 else 0)

    @property
    def takers(self) -> float:
        """Takers expected in the session."""
        return self.takers_per_second * self.trading_seconds

    def contracts(self, *, half_width_usd: float) -> float:
        """Contracts, both sides, that a desk quoting truth -+ `half_width_usd` trades on average.

        Zero beyond the competitors, who are better there.
        """
        if half_width_usd > self.market_half_width_usd:
            return 0.0
        share = math.exp(-half_width_usd / self.willingness_usd)
        return self.takers * self.taker_lots * share


def plain_config(values: dict[str, Any], origin: str = "plain market") -> PlainConfig:
    """Validate a plain mapping, or raise ConfigError naming every bad key."""
    return settings.parsed(PlainConfig, values, origin)


@dataclass(frozen=True, slots=True)
class PlainMarket:
    """The day and its truth; `spot` (seconds + 1,), `drifted` (seconds + 1, n) USD a share."""

    config: PlainConfig
    day: MarketDay
    spot: Floats
    drifted: Floats

    def second(self, ts_ns: int) -> int:
        """Last whole second of the session at or before an instant."""
        at = (ts_ns - self.day.session.open_ns) // NS
        return int(min(max(at, 0), self.spot.size - 1))

    def sheet(self, ts_ns: int) -> TrueSheet:
        """The truth of every option at `ts_ns`: Black-Scholes plus what has drifted."""
        second = self.second(ts_ns)
        chain, spot = self.day.chain, float(self.spot[second])
        now = self.day.session.open_ns + second * NS
        years = (chain.fixing_ns - now) / NS_PER_YEAR
        vol = np.full(len(chain), self.config.vol_per_year)
        greeks = black.greeks(
            right=chain.right, forward=spot, strike=chain.strike, years=years, vol=vol,
            which=("price", "delta", "gamma", "vega"),
        )  # fmt: skip
        one = np.ones(len(chain))
        return TrueSheet(
            ts_ns=now, spot=spot, price=greeks.price + self.drifted[second], delta=greeks.delta,
            gamma=greeks.gamma, vega=greeks.vega, vol=vol, years=years, forward=spot * one, df=one,
        )  # fmt: skip


def plain_market(config: PlainConfig, seed: int) -> PlainMarket:
    """Simulate the plain market; equal config and seed give equal bytes.

    Raises
    ------
    DataError
        `trade_date` is not a session; names the nearest ones.
    """
    rng = {
        name: np.random.Generator(np.random.PCG64(child))
        for name, child in zip(
            STREAMS, np.random.SeedSequence(seed).spawn(len(STREAMS)), strict=True
        )
    }
    chain = _chain(config)
    open_ns = calendar.hours_ns("NYSE", config.trade_date)[0]
    seconds, n = 60 * config.minutes, len(chain)
    session = Session(config.trade_date, open_ns, open_ns + seconds * NS, "America/New_York")
    spot = _walk(config, seconds, rng["spot"])
    count = int(rng["arrivals"].poisson(config.takers))
    # not in the first second: the desk's first quotes are on their way
    last_ns = open_ns + config.trading_seconds * NS
    ts_ns = np.sort(rng["arrivals"].integers(open_ns + NS, last_ns, count))
    rows = rng["options"].integers(0, n, count)
    side = np.where(rng["sides"].random(count) < 0.5, 1, -1)
    drifted = _drifted(config, seconds, n, (ts_ns - open_ns) // NS, rows, side)
    held = MarketDay(chain, session, empty(0), 0, DataQuality(), (), simulated=True)
    market = PlainMarket(config, held, spot, drifted)
    true = np.stack([market.sheet(open_ns + s * NS).price for s in range(seconds + 1)])
    distance = rng["distances"].exponential(config.willingness_usd, count)
    takers = _takers(config, true, (ts_ns - open_ns) // NS, ts_ns, rows, side, distance)
    events = in_order(
        np.concatenate([_frame(session, n), _stock(session, spot, n),
                        _market(config, session, true), takers])
    )  # fmt: skip
    text = f"{config.model_dump()}".encode() + events.tobytes()
    source = (f"plain seed={seed}", hashlib.sha256(text).hexdigest())
    quality = DataQuality(rows=events.size, two_sided_share=1.0)
    return replace(market, day=replace(held, events=events, quality=quality, sources=(source,)))


def _chain(config: PlainConfig) -> Chain:
    """European options on a fine tick, so that a half width is what was asked for."""
    middle = round(config.spot_usd)
    first = middle - (config.strikes - 1) // 2
    expiry = dt.date.fromisoformat(config.expiry_date)
    listed = [
        Option(ROOT, expiry, right, strike * NS)
        for strike in range(first, first + config.strikes)
        for right in (1, -1)
    ]
    stock = Underlying(ROOT, "equity", 1, SPOT_TICK_E9)
    chain = list_chain(listed, date=config.trade_date, underlying=stock)
    n = len(chain)
    return replace(
        chain, american=np.zeros(n, np.bool_), tick_split_e9=np.zeros(n, np.int64),
        tick_below_e9=np.full(n, TICK_E9, np.int64), tick_above_e9=np.full(n, TICK_E9, np.int64),
    )  # fmt: skip


def _walk(config: PlainConfig, seconds: int, rng: np.random.Generator) -> Floats:
    """Spot by the second on its tick: a lognormal martingale with the options' own vol."""
    sd = config.vol_per_year * math.sqrt(NS / NS_PER_YEAR) if config.spot_moves else 0.0
    steps = sd * rng.standard_normal(seconds) - 0.5 * sd * sd
    spot = config.spot_usd * np.exp(np.concatenate(([0.0], np.cumsum(steps))))
    return np.asarray(np.rint(spot * NS / SPOT_TICK_E9) * SPOT_TICK_E9 / NS)


def _drifted(config: PlainConfig, seconds: int, n: int, at: Ints, rows: Ints, side: Ints) -> Floats:
    """USD a share that takers' knowledge has moved each option by, (seconds + 1, n)."""
    slope = np.zeros((seconds + 2 + config.drift_seconds, n))
    step = config.drift_usd / config.drift_seconds
    np.add.at(slope, (at + 1, rows), side * step)
    np.add.at(slope, (at + 1 + config.drift_seconds, rows), -side * step)
    return np.cumsum(np.cumsum(slope, axis=0), axis=0)[: seconds + 1]


def _frame(session: Session, n: int) -> NDArray[np.void]:
    out = empty(2)
    out["ts_event_ns"] = out["ts_recv_ns"] = session.open_ns, session.close_ns
    out["kind"], out["bits"], out["instrument"] = Kind.STATUS, (Bits.OPEN, Bits.CLOSE), n
    return out


def _stock(session: Session, spot: Floats, n: int) -> NDArray[np.void]:
    """The underlying every second, its middle exactly the truth."""
    out = empty(spot.size - 1)
    out["ts_event_ns"] = out["ts_recv_ns"] = session.open_ns + NS * np.arange(out.size)
    middle = np.rint(spot[:-1] * NS).astype(np.int64)
    half = STOCK_HALF_TICKS * SPOT_TICK_E9
    out["bid_e9"], out["ask_e9"] = middle - half, middle + half
    out["bid_lots"] = out["ask_lots"] = 1000
    out["kind"], out["instrument"] = Kind.UNDERLYING_QUOTE, n
    return out


def _market(config: PlainConfig, session: Session, true: Floats) -> NDArray[np.void]:
    """The competitors, every second in every option, truth -+ their half width."""
    seconds, n = true.shape[0] - 1, true.shape[1]
    price = true[:-1].ravel()
    out = empty(price.size)
    out["ts_event_ns"] = out["ts_recv_ns"] = np.repeat(session.open_ns + NS * np.arange(seconds), n)
    tick = TICK_E9 / NS
    bid = np.floor((price - config.market_half_width_usd) / tick).astype(np.int64)
    ask = np.ceil((price + config.market_half_width_usd) / tick).astype(np.int64)
    out["bid_e9"], out["ask_e9"] = np.maximum(bid, 1) * TICK_E9, ask * TICK_E9
    out["bid_lots"] = out["ask_lots"] = SHOWN_LOTS
    out["kind"], out["instrument"] = Kind.QUOTE, np.tile(np.arange(n), seconds)
    return out


def _takers(
    config: PlainConfig, true: Floats, at: Ints, ts_ns: Ints, rows: Ints, side: Ints,
    distance: Floats,
) -> NDArray[np.void]:  # fmt: skip
    """TAKER events: the true value of their second and the distance beyond it."""
    out = empty(ts_ns.size)
    price = np.rint((true[at, rows] + side * distance) * NS).astype(np.int64)
    price, buys = np.maximum(price, 1), side > 0
    out["ts_event_ns"] = out["ts_recv_ns"] = ts_ns
    out["bid_e9"], out["ask_e9"] = np.where(buys, 0, price), np.where(buys, price, 0)
    out["bid_lots"] = np.where(buys, 0, config.taker_lots)
    out["ask_lots"] = np.where(buys, config.taker_lots, 0)
    out["kind"], out["instrument"] = Kind.TAKER, rows
    return out
