"""New prices inside the loop against the checked Black wrapper, smile and premium added."""

import numpy as np
import pytest
import tape

from optmm.engine import core, reprice
from optmm.engine import state as tables
from optmm.engine.reasons import Reason
from optmm.market.events import Kind
from surfaces.pricing import black

E9 = tape.E9
N, SPOT, RANGE = 40, 100.0, 0.004
YEAR_S = 365 * 86_400
FIELDS = ("theo", "delta", "gamma_half")


class World:
    """A chain of 40 from one hour to two years, with a skew and an early-exercise premium."""

    def __init__(self) -> None:
        setup = tape.Setup(options=N, events=10)
        self.chain = tape.make_chain(setup)
        self.state = tape.make_state(setup, self.chain)
        rng = np.random.default_rng(8)
        self.years = np.geomspace(1 / 8766, 2.0, N)[rng.permutation(N)]
        self.vol, self.slope = rng.uniform(0.1, 0.9, N), rng.uniform(-0.4, 0.1, N)
        self.rate = np.full(N, 0.04)
        self.growth = np.exp(rng.uniform(-0.02, 0.04, N) * self.years)
        self.premium = rng.uniform(0.005, 0.3, (3, N)) * np.array([[1.0], [0.05], [0.004]])
        self.premium[:, ~self.chain.american] = 0.0

    def at(self, spot: float, passed: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Value, delta (smile included) and gamma at `spot`, `passed` years after the sheet."""
        move, left = spot - SPOT, self.years - passed
        greeks = black.greeks(
            right=self.chain.right, forward=self.growth * spot, strike=self.chain.strike,
            years=left, vol=np.maximum(self.vol + self.slope * np.log(spot / SPOT), self.vol / 4),
            df=np.exp(-self.rate * left), which=("price", "delta", "gamma", "vega"),
        )  # fmt: skip
        p, p1, p2 = self.premium
        if spot == SPOT and passed == 0.0:
            self.vega = greeks.vega
        self.fixed_strike = greeks.delta * self.growth + p1 + p2 * move
        return (
            greeks.price + p + (p1 + 0.5 * p2 * move) * move,
            self.fixed_strike + greeks.vega * self.slope / spot,
            greeks.gamma * self.growth**2 + p2,
        )

    def publish(self) -> None:
        """Install the sheet at SPOT with its parts; option 3 has no fair value."""
        theo, delta, gamma = self.at(SPOT, 0.0)
        theo[3] = np.nan
        tables.publish_theo(
            self.state, theo=theo, delta=delta, gamma=gamma, df=np.exp(-self.rate * self.years),
            growth=self.growth, spot_ref=SPOT, taylor_range=RANGE,
            parts=tables.SheetParts(self.vol, self.years, self.rate, self.fixed_strike),
        )  # fmt: skip


@pytest.mark.parametrize("spot", [100.0, 100.3, 97.0, 104.0])
@pytest.mark.parametrize("seconds", [0, 900])
def test_prices_deltas_and_gammas_are_blacks_at_the_new_spot_and_time(spot, seconds):
    """The slope of a smile is read off two deltas, by vega: to 4e-16 x spot / vega, so 4e-11 here.

    Over a move of 4 % and a vega of 40 that is 6e-11 of value. Options with less than a tenth of a
    cent of vega at the sheet's spot show no slope and are left out.
    """
    world = World()
    world.publish()
    state = world.state
    state.head["spot"], state.head["now_ns"] = spot, seconds * E9
    reprice.reprice(state)
    value, delta, gamma = world.at(spot, seconds / YEAR_S)
    m, known = state.mkt[:-1], (np.arange(N) != 3) & (world.vega > 1e-3)
    assert known.sum() >= 20
    for name, wanted in zip(FIELDS, (value, delta, 0.5 * gamma), strict=True):
        gap = np.abs(m[name] - wanted)[known]
        assert gap.max() <= 1e-10, (name, gap.argmax())
    assert np.isnan(m["theo"][3])
    assert (state.sheet[:3, :N][:, known] == np.array([m[f][known] for f in FIELDS])).all()
    assert (m["spot_ref"] == spot).all()
    assert float(state.head["spot_hi"][0]) == pytest.approx(spot * (1 + RANGE), rel=1e-12)


def test_the_loop_reprices_in_the_event_that_leaves_the_range():
    """And still says so, for the slow path has more than prices to renew."""
    world = World()
    state = world.state
    quote = (1, Kind.UNDERLYING_QUOTE, N, 9999, 10001, 9, 9, 0)
    core.advance(state, tape.script([quote]), 0)
    world.publish()
    inside, outside = ((2, Kind.UNDERLYING_QUOTE, N, c - 1, c + 1, 9, 9, 0) for c in (10030, 10100))
    _, reasons = core.advance(state, tape.script([inside]), 0)
    assert (reasons, state.head["reprices"][0]) == (Reason.END, 0)
    _, reasons = core.advance(state, tape.script([outside]), 0)
    assert (reasons, state.head["reprices"][0]) == (Reason.TAYLOR, 1)
    assert (state.mkt["spot_ref"][:-1] == 101.0).all()
