"""A view of the market that prices from the truth of a simulated day: theo = truth.

It has the methods of `optmm.engine.market.MarketView`, so `engine.replay.run(market=...)` takes it
in that one's place. No surface is fitted and nothing is uncertain: what a desk earns with it is
what its quoting earns.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from optmm.config import DeskConfig
from optmm.data.simulator.sheet import TrueSheet
from optmm.engine.state import EngineState
from optmm.market.chain import Chain, Session
from optmm.quoting import quoter
from optmm.quoting.theo import TheoSheet

E9 = 1_000_000_000
Floats = NDArray[np.float64]
Sheet = Callable[[int], TrueSheet]


class Traded(Protocol):
    """What is needed of a day or a feed."""

    @property
    def chain(self) -> Chain:
        """Every option of it."""

    @property
    def session(self) -> Session:
        """Its first session."""


@dataclass(frozen=True, slots=True)
class TrueSurface:
    """What the journal records of a surface, read off the truth."""

    version: int
    vols: Floats  # (n,)
    forwards: Floats  # (slices,)
    dfs: Floats

    def row_vols(self) -> Floats:
        """Vol of every option, (n,)."""
        return self.vols


class TruthView:
    """Prices every option from `sheet`, the truth at an instant."""

    def __init__(self, feed: Traded, config: DeskConfig, sheet: Sheet) -> None:
        self.chain, self.config, self.sheet = feed.chain, config, sheet
        self.session = feed.session
        self.surface: TrueSurface | None = None
        self.fitted_ns = 0
        self.fits = 0
        self.records: list[dict[str, Any]] = []

    def begin(self, session: Session) -> None:
        """Start a session."""
        self.session, self.surface = session, None

    def due(self, now_ns: int) -> bool:
        """Whether a new sheet is due: on whole multiples of the cadence since the open."""
        every, start = round(self.config.surface.refit_s * E9), self.session.open_ns
        return self.surface is None or (now_ns - start) // every > (self.fitted_ns - start) // every

    def refit(self, now_ns: int, state: EngineState) -> quoter.Terms | None:
        """The truth as a new sheet; None while the market is shut or nothing has been shown."""
        if float(state.head["spot"][0]) <= 0.0 or state.head["is_open"][0] == 0:
            return None
        self.fitted_ns = now_ns
        self.fits += 1
        first = self.chain.slice_start[:-1]
        true = self.sheet(now_ns)
        self.surface = TrueSurface(self.fits, true.vol, true.forward[first], true.df[first])
        if not self.records:
            self.records = [
                {"version": self.fits, "ts_ns": now_ns, "expiry": str(self.chain.expiry[i]),
                 "root": self.chain.root[i], "years": float(true.years[i]),
                 "forward": float(true.forward[i]), "df": float(true.df[i])}
                for i in first
            ]  # fmt: skip
        return self.reprice(now_ns, state)

    def reprice(self, now_ns: int, state: EngineState) -> quoter.Terms | None:
        """The truth of now; None before the first sheet."""
        if self.surface is None:
            return None
        mkt, spot = state.mkt[:-1], float(state.head["spot"][0])
        bid, ask = (
            np.where(mkt[side] > 0, mkt[side] / E9, np.nan) for side in ("bid_e9", "ask_e9")
        )
        u = state.mkt[-1]
        half = 0.5 * (int(u["ask_e9"]) - int(u["bid_e9"])) / E9
        sheet = theo_sheet(self.chain, self.sheet(now_ns), now_ns, spot, self.surface.version)
        return quoter.terms(self.chain, sheet, bid=bid, ask=ask, spot_half=half, config=self.config)

    def surface_frame(self) -> pl.DataFrame:
        """The true forwards at the first sheet."""
        return pl.DataFrame(self.records)

    def smiles_frame(self) -> pl.DataFrame:
        """Nothing was fitted."""
        return pl.DataFrame()


def theo_sheet(chain: Chain, true: TrueSheet, now_ns: int, spot: float, version: int) -> TheoSheet:
    """The truth in the form the quoter takes, carried to the displayed `spot` by delta and gamma.

    Cross Greeks and rho are zero; theta is the Black-Scholes equation's.
    """
    alive, zero = chain.fixing_ns > now_ns, np.zeros(len(chain))
    move = spot - true.spot
    theo = true.price + move * (true.delta + 0.5 * move * true.gamma)
    delta = true.delta + move * true.gamma
    years = np.maximum(true.years, 1e-7)
    rate = -np.log(true.df) / years
    carry = rate - np.log(true.forward / true.spot) / years
    theta = rate * theo - (rate - carry) * spot * delta - 0.5 * (true.vol * spot) ** 2 * true.gamma

    def known(values: Floats) -> Floats:
        return np.where(alive, values, np.nan)

    return TheoSheet(
        ts_ns=now_ns, version=version, spot=spot, years=years, vol=true.vol,
        theo=known(np.maximum(theo, 0.0)), delta=known(delta), delta_at_strike=known(delta),
        gamma=known(true.gamma), vega=known(true.vega), theta=known(theta), vanna=known(zero),
        volga=known(zero), rho=known(zero), df=true.df, growth=true.forward / true.spot,
        rate=rate, carry=carry, forward_error=zero, vol_error=zero, certified=alive,
    )  # fmt: skip
