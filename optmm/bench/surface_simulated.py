"""A seeded chain about a known surface, for the speed of fits: 30 expiries of 200 quotes.

The truth is SSVI (Gatheral and Jacquier 2014, eq. 4.5) with rho -0.7 and phi = 1.15 / sqrt(theta
(1 + theta)), free of arbitrage by their theorem 4.2 and corollary 4.1; at-the-money vol rises from
12 % to 20 %. The forward is 5,000 USD. An expiry quotes 200 even strikes, out of the money, from
where a put is worth 0.15 USD to where a call is. Half a spread is 0.05 USD and 0.8 % of the price,
its middle off the truth by up to 40 % of that, uniformly; bids are rounded down and asks up to
0.05 USD below 3 USD, to 0.10 above.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from optmm.bench.markets import EXPIRY_DAYS
from surfaces.smiles.mixture import Quotes, otm_price
from surfaces.smiles.quotes import SmileQuotes, quote_vols, smile_quotes
from surfaces.surface import ChainSlices
from surfaces.units import NS_PER_YEAR

Array = NDArray[np.float64]

FORWARD = 5_000.0
STRIKES = 200
RHO, ETA = -0.7, 1.15
LOW, RISE, DECAY = 0.12, 0.08, 0.5  # vol at the money, and years in which it rises
LEAST = 0.15  # USD: the cheapest option quoted
SPREAD, SHARE, OFF = 0.05, 0.008, 0.4
SEED = 20_241_111
NOW_NS = 1_700_000_000_000_000_000
DAY_NS = 86_400 * 10**9


@dataclass(frozen=True, slots=True, eq=False)
class Market:
    """Quotes of one instant: strikes USD, k, prices USD and true vols, each (expiries, strikes)."""

    years: Array  # (expiries,)
    strike: Array
    k: Array
    bid: Array
    ask: Array
    vol: Array

    def priced(self) -> list[Quotes]:
        """As `fit_joint` takes them."""
        return [
            Quotes(k, bid / FORWARD, ask / FORWARD)
            for k, bid, ask in zip(self.k, self.bid, self.ask, strict=True)
        ]

    def in_vol(self) -> list[SmileQuotes]:
        """As the other smiles take them."""
        m, n = self.k.shape
        of = np.repeat(np.arange(m), n)
        strike = self.strike.ravel()
        vols = quote_vols(
            right=np.where(self.k.ravel() >= 0.0, 1.0, -1.0), strike=strike,
            forward=strike * np.exp(-self.k.ravel()), years=self.years[of], df=np.ones(m * n),
            bid=self.bid.ravel(), ask=self.ask.ravel(),
        )  # fmt: skip
        rows = np.flatnonzero(vols.fittable)
        return smile_quotes(vols, rows, of[rows], self.years)


def total_variance(k: Array, years: Array, level: float = 1.0) -> Array:
    """The true surface; `level` multiplies its vols."""
    atm = level * (LOW + RISE * (1.0 - np.exp(-years / DECAY)))
    theta = atm * atm * years
    phi = ETA / np.sqrt(theta * (1.0 + theta))
    return np.asarray(
        0.5 * theta * (1.0 + RHO * phi * k + np.sqrt((phi * k + RHO) ** 2 + 1.0 - RHO * RHO))
    )


def strikes(expiries: int = len(EXPIRY_DAYS), count: int = STRIKES) -> tuple[Array, Array]:
    """Years, and the strikes quoted, (expiries, count) USD."""
    years = np.array(EXPIRY_DAYS[:expiries]) / 365.0
    out = np.empty((expiries, count))
    for row, t in zip(out, years, strict=True):
        s = np.sqrt(total_variance(np.zeros(1), np.array([t])))[0]
        k = np.linspace(-12.0 * s, 8.0 * s, 4001)
        price = FORWARD * otm_price(k, np.sqrt(total_variance(k, np.full(k.size, t))))
        dear = k[price >= LEAST]
        row[:] = FORWARD * np.exp(np.linspace(dear[0], dear[-1], count))
    return years, out


def market(
    turn: int = 0, *, noise: NDArray[np.int64] | None = None, forward_move: float = 0.0
) -> Market:
    """The chain at instant `turn`: the same strikes, vols up to 0.3 % (relative) off.

    `noise` (expiries, strikes): the instant whose noise each quote has; this one's by default.
    `forward_move`: ln of the forward over 5,000 USD; the surface moves with it.
    """
    years, strike = strikes()
    of = np.full(strike.shape, turn) if noise is None else noise
    off = np.empty(strike.shape)
    for some in np.unique(of).tolist():
        drawn = np.random.default_rng((SEED, some)).uniform(-1.0, 1.0, strike.shape)
        off = np.where(of == some, drawn, off)
    level = 1.0 + 0.003 * np.sin(1.7 * turn)
    k = np.log(strike / FORWARD) - forward_move
    t = years[:, None]
    w = total_variance(k, np.broadcast_to(t, k.shape), level)
    price = FORWARD * otm_price(k.ravel(), np.sqrt(w).ravel()).reshape(k.shape)
    half = SPREAD + SHARE * price
    middle = price + OFF * half * off
    tick = np.where(middle < 3.0, 0.05, 0.10)
    bid = np.maximum(np.floor((middle - half) / tick + 1e-9), 1.0) * tick
    ask = np.maximum(np.ceil((middle + half) / tick - 1e-9) * tick, bid + tick)
    return Market(years, strike, k, bid, ask, np.sqrt(w / t))


def instants(count: int, *, renewed: float = 1.0, forward_step: float = 0.0) -> list[Market]:
    """`count` instants one after another; a share `renewed` of quotes is drawn anew at each, the
    others keep their place about the truth. `forward_step`: scale of the forward's moves in ln."""
    turns = np.zeros(strikes()[1].shape, np.int64)
    draw = np.random.default_rng((SEED, 0))
    out = []
    for turn in range(count):
        turns = np.where(draw.random(turns.shape) < renewed, turn, turns)
        out.append(market(turn, noise=turns, forward_move=forward_step * np.sin(2.3 * turn)))
    return out


def whole_chain(market: Market) -> tuple[ChainSlices, Array, Array]:
    """Calls and puts at every strike, European, undiscounted: the chain, and its bids and asks."""
    m, n = market.k.shape
    right = np.tile([1.0, -1.0], m * n)
    strike = np.repeat(market.strike.ravel(), 2)
    inner = np.maximum(right * (FORWARD - strike), 0.0)
    sides = (np.repeat(side.ravel(), 2) + inner for side in (market.bid, market.ask))
    chain = ChainSlices(
        right=right,
        strike=strike,
        american=np.zeros(right.size, bool),
        fixing_ns=NOW_NS + (market.years * NS_PER_YEAR).astype(np.int64),
        slice_start=np.arange(m + 1) * 2 * n,
        expiry_labels=tuple(f"{years:.4f}" for years in market.years),
        roots=("SIM",) * m,
    )
    bid, ask = sides
    return chain, bid, ask
