"""True prices: European value on the true smile plus the early-exercise premium.

The premium is exact at nodes (every 30 minutes; three spot levels, two vols) and interpolated
between them: a parabola in spot, a line in vol and in time. The error is a tenth of a tick (rms),
above half a tick in a few two-year puts far in the money. With cash dividends the premium is that
of a share that is lognormal between ex-dates (`surfaces.pricing.american_cash`), at the strike's
vol, and its error near the exercise boundary of calls before an ex-date is some ticks.

The truth steps on whole seconds: an instant inside a second has the price of its beginning, so no
quote knows a spot that has not been published.

Units   prices USD per share; `second` is an index of the day's one-second grid.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from optmm.data.simulator.clock import Clock
from optmm.data.simulator.config import SimulationConfig
from optmm.data.simulator.schedule import dividends
from optmm.data.simulator.smile import SmilePath
from optmm.data.simulator.spot import SpotPath
from optmm.market.chain import Chain
from surfaces.pricing import american, black, cash_european
from surfaces.units import years_between

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

NODE_SECONDS = 1800
SPOT_STEP = 0.006  # relative distance of the outer spot levels: two deviations of half an hour
VOL_STEP = 0.005
NEGLIGIBLE_USD = 1e-5
STOCK_HALF_SPREAD_USD = 0.005
PRICE_WIDTH_SHARE = 0.0005
WING_POWER = 4.0


class Fair(NamedTuple):
    """What is true of each (row, second) pair; arrays of one shape."""

    price: Floats  # American, USD
    delta: Floats  # European, on the smile's vol, per share
    vega: Floats  # USD per 1.00 of vol
    vol: Floats  # on the calendar clock (ACT/365); 0 once fixed


@dataclass(frozen=True, slots=True)
class TruePrices:
    """The pricing function of one simulated day."""

    config: SimulationConfig
    chain: Chain
    clock: Clock
    path: SpotPath
    smile: SmilePath
    # (nodes, 5, instruments): premium at spot (1 - h, 1, 1 + h) times the node's, its vol
    # derivative there, and the node's vol
    premium_nodes: Floats
    knots: Floats  # (slices,): when each is fixed, in business days from the open

    def european(self, rows: Ints, second: Ints, spot: Floats | None = None) -> Fair:
        """Value without early exercise, and its delta and vega.

        With `spot` given the vol of each strike stays what it was (sticky strike).
        """
        years, forward, df, k, w = self._state(rows, second)
        alive = years > 0.0
        safe = np.where(alive, years, 1.0)
        vol = np.where(alive, np.sqrt(w / safe), 0.0)
        if spot is not None:
            moved = spot - self.path.spot[second]
            carried = forward + moved * growth_of(self.config, years)
            forward, k = carried, k - np.log(carried / forward)
        right = self.chain.right[rows].astype(np.float64)
        strike = self.chain.strike[rows]
        price = black.price(
            right=right, forward=forward, strike=strike, years=years, vol=vol, df=df
        )
        sd = np.maximum(vol * np.sqrt(years), 1e-9)
        d1 = -k / sd + 0.5 * sd
        delta = right * ndtr(right * d1) * df * growth_of(self.config, years)
        vega = df * forward * np.sqrt(years) * np.exp(-0.5 * d1 * d1) / np.sqrt(2.0 * np.pi)
        return Fair(price, delta, vega, vol)

    def fair(self, rows: Ints, second: Ints) -> Fair:
        """American value of each (row, second), with the European delta and vega."""
        value = self.european(rows, second)
        spot = self.path.spot[second]
        intrinsic = np.maximum(self.chain.right[rows] * (spot - self.chain.strike[rows]), 0.0)
        price = np.maximum(value.price + self._early(rows, second, value.vol), intrinsic)
        return value._replace(price=price)

    def premium(self, rows: Ints, second: Ints) -> Floats:
        """Early-exercise premium, USD >= 0; 0 once fixed. Part of `fair`, but for its floor."""
        return self._early(rows, second, self.european(rows, second).vol)

    def _early(self, rows: Ints, second: Ints, vol: Floats) -> Floats:
        at = second / NODE_SECONDS
        node = np.minimum(at.astype(np.int64), len(self.premium_nodes) - 2)
        early = self._at_node(rows, second, vol, node)
        late = self._at_node(rows, second, vol, node + 1)
        length = self._node_second(node + 1) - self._node_second(node)
        weight = (second - self._node_second(node)) / length
        alive = self.chain.fixing_ns[rows] > self.clock.grid_ns[second]
        return np.where(alive, np.maximum((1.0 - weight) * early + weight * late, 0.0), 0.0)

    def half_width(self, rows: Ints, second: Ints, fair: Fair) -> Floats:
        """Typical distance of other makers' quotes from the truth, USD.

        A floor, plus a slice of vega that grows with expiry, plus what hedging the delta costs at
        the stock's touch, plus a share of the price, small in general, larger far out of the
        money.
        """
        years = years_between(self.clock.grid_ns[second], self.chain.fixing_ns[rows])
        points = self.config.vega_width_vol_points * (1.0 + np.sqrt(np.maximum(years, 0.0)))
        width = 0.01 * fair.vega * points + np.abs(fair.delta) * STOCK_HALF_SPREAD_USD
        wing = np.maximum(1.0 - 2.0 * np.abs(fair.delta), 0.0) ** WING_POWER
        share = PRICE_WIDTH_SHARE + self.config.wing_width_share * wing
        return np.maximum(width + share * fair.price, self.config.min_half_width_usd)

    def forward(self, slices: Ints, second: Ints) -> Floats:
        """Forward of each slice at each second, USD; spot once fixed."""
        fixing_ns = self.chain.fixing_ns[self.chain.slice_start[slices]]
        years = self._years(fixing_ns, second)
        return self._forward(self.path.spot[second], fixing_ns, second, years)

    def _forward(self, spot: Floats, fixing_ns: Ints, second: Ints, years: Floats) -> Floats:
        """(spot less the dividends until the fixing) carried there; USD."""
        carry = self.config.rate_per_year - self.config.dividend_yield_per_year
        paid = dividends(self.config)
        if paid is not None:
            now = self.clock.grid_ns[second]
            for ex_ns, cash in zip(paid.ex_ns.tolist(), paid.cash.tolist(), strict=True):
                due = (ex_ns > now) & (ex_ns <= fixing_ns)
                spot = spot - np.where(due, cash * np.exp(-carry * years_between(now, ex_ns)), 0.0)
        return spot * np.exp(carry * years)

    def _years(self, fixing_ns: Ints, second: Ints) -> Floats:
        return np.maximum(years_between(self.clock.grid_ns[second], fixing_ns), 0.0)

    def _state(self, rows: Ints, second: Ints) -> tuple[Floats, Floats, Floats, Floats, Floats]:
        """(years, forward, df, k, total variance) of each pair."""
        config = self.config
        fixing_ns = self.chain.fixing_ns[rows]
        years = self._years(fixing_ns, second)
        forward = self._forward(self.path.spot[second], fixing_ns, second, years)
        k = np.log(self.chain.strike[rows] / forward)
        w = self.smile.total_variance(self.chain.slice_of[rows], second, k)
        return years, forward, np.exp(-config.rate_per_year * years), k, w

    def _node_second(self, node: Ints) -> Ints:
        return np.minimum(node * NODE_SECONDS, self.clock.seconds)

    def _at_node(self, rows: Ints, second: Ints, vol: Floats, node: Ints) -> Floats:
        """Premium at a node's time, with the spot of `second` and vol `vol`."""
        centre = self.path.spot[self._node_second(node)]
        z = (self.path.spot[second] / centre - 1.0) / SPOT_STEP
        down, mid, up, slope, vol_then = (self.premium_nodes[node, i, rows] for i in range(5))
        spot_part = 0.5 * z * (up - down) + 0.5 * z * z * (up - 2.0 * mid + down)
        vol_part = np.where(vol_then > 0.0, slope * (vol - vol_then), 0.0)
        return np.maximum(mid + spot_part + vol_part, 0.0)


def true_prices(
    config: SimulationConfig,
    chain: Chain,
    clock: Clock,
    path: SpotPath,
    smile: SmilePath,
    knots: Floats,
) -> TruePrices:
    """Price the early-exercise premium at its nodes and return the day's pricing function."""
    nodes = -(-clock.seconds // NODE_SECONDS) + 1
    table = np.zeros((nodes, 5, len(chain)))
    prices = TruePrices(config, chain, clock, path, smile, table, knots)
    rows = np.arange(len(chain))
    wide = [_exact_premium(prices, rows, 0, spot=f) for f in (0.97, 1.0, 1.03)]
    matters = np.flatnonzero(np.max(wide, axis=0) > NEGLIGIBLE_USD)
    for node in range(nodes):
        second = min(node * NODE_SECONDS, clock.seconds)
        for i, factor in enumerate((1.0 - SPOT_STEP, 1.0, 1.0 + SPOT_STEP)):
            table[node, i, matters] = _exact_premium(prices, matters, second, spot=factor)
        bumped = _exact_premium(prices, matters, second, vol=VOL_STEP)
        table[node, 3, matters] = (bumped - table[node, 1, matters]) / VOL_STEP
        table[node, 4] = prices.european(rows, np.full(rows.size, second)).vol
    return prices


def growth_of(config: SimulationConfig, years: Floats) -> Floats:
    """What one dollar of spot more adds to a forward."""
    return np.exp((config.rate_per_year - config.dividend_yield_per_year) * years)


def _exact_premium(
    prices: TruePrices, rows: Ints, second: int, *, spot: float = 1.0, vol: float = 0.0
) -> Floats:
    """Early-exercise premium of `rows` with spot times `spot` and every strike's vol plus `vol`."""
    chain, config = prices.chain, prices.config
    years = prices._years(chain.fixing_ns[rows], np.full(rows.size, second))
    true_vol = prices.european(rows, np.full(rows.size, second)).vol
    alive = years > 0.0
    terms = {
        "right": chain.right[rows].astype(np.float64), "spot": spot * prices.path.spot[second],
        "strike": chain.strike[rows], "years": np.where(alive, years, 1.0),
        "vol": np.where(alive, true_vol + vol, 0.2), "rate": config.rate_per_year,
        "dividend_yield": config.dividend_yield_per_year,
    }  # fmt: skip
    paid = dividends(config)
    now = int(prices.clock.grid_ns[second])
    if paid is None or not (paid.ex_ns > now).any():
        worth = american.premium(**terms)
    else:
        ahead = paid.at(now)
        worth = american.price(**terms, dividends=ahead)
        worth = worth - cash_european.price(**terms, dividends=ahead)
    return np.where(alive, np.maximum(worth, 0.0), 0.0)
