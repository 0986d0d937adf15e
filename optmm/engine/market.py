"""What market data alone decide, once for every world: surface, theo sheet, widths.

Only tops of book that the event loop has already applied are read, so nothing here can look ahead.
"""

from dataclasses import replace
from datetime import date, datetime

import numpy as np
import polars as pl

from optmm.config import DeskConfig
from optmm.engine.state import EngineState
from optmm.errors import DataError
from optmm.market.chain import Chain, Session
from optmm.market.feed import Feed
from optmm.market.synthetic import is_synthetic
from optmm.quoting import quoter, theo
from optmm.risk import limits as risk_limits
from surfaces.curves.cash import CashDividends
from surfaces.curves.clock import CALENDAR, Event, VolClock
from surfaces.live import ChainSlices, FitConfig, LiveFitter
from surfaces.premium import PremiumLimits
from surfaces.surface import VolSurface

E9 = 1_000_000_000
PREMIUM_AGE_S = 1800.0


def slices_of(chain: Chain) -> ChainSlices:
    """The chain as the surface floor takes it."""
    starts = chain.slice_start[:-1]
    return ChainSlices(
        right=chain.right, strike=chain.strike, american=chain.american,
        fixing_ns=chain.fixing_ns, slice_start=chain.slice_start,
        expiry_labels=tuple(str(chain.expiry[i]) for i in starts),
        roots=tuple(chain.root[i] for i in starts),
    )  # fmt: skip


def fit_config(chain: Chain, config: DeskConfig) -> FitConfig:
    """The desk's settings as the surface floor takes them."""
    paid, clock = config.dividends, config.clock
    events = tuple(
        Event.of_move(round(datetime.fromisoformat(at).timestamp() * E9), move)
        for at, move in zip(clock.events_at, clock.events_move, strict=True)
    )
    plain = clock.overnight == clock.weekend == clock.holiday == 1.0
    return FitConfig(
        model=config.surface.model,
        rate_prior=config.rates.prior,
        rate_prior_sd=config.rates.prior_sd,
        dividends=CashDividends.of_dates(map(date.fromisoformat, paid.ex_dates), paid.cash_usd)
        if paid.ex_dates
        else None,
        # a declared future is one expiry's forward; the others differ from it by their carry
        future=chain.underlying.kind == "future" and not is_synthetic(chain.underlying),
        certificate_points=config.surface.certificate_points,
        clock=replace(CALENDAR, events=events)
        if plain
        else VolClock(clock.overnight, clock.weekend, clock.holiday, events=events),
        # it ages slowly next to spot and vol, which have limits of their own
        premium=PremiumLimits(max_age_s=PREMIUM_AGE_S),
    )


class MarketView:
    """Owns the live fitter and turns tops of book into quoting terms."""

    def __init__(self, feed: Feed, config: DeskConfig) -> None:
        self.session, self.config = feed.session, config
        self.chain = feed.chain
        self.fitter = LiveFitter(slices_of(feed.chain), fit_config(feed.chain, config))
        self.surface: VolSurface | None = None
        self.fitted_ns = 0
        self.fits = 0
        self.records: list[dict] = []
        self._unit: risk_limits.UnitRisk | None = None

    def begin(self, session: Session) -> None:
        """Start a session with nothing of yesterday's: an old curve is no price."""
        if self.surface is not None:
            self.fitter = LiveFitter(slices_of(self.chain), fit_config(self.chain, self.config))
        self.session, self.surface = session, None

    def due(self, now_ns: int) -> bool:
        """Whether a refit is due: on whole multiples of the cadence since the open."""
        every, start = round(self.config.surface.refit_s * E9), self.session.open_ns
        return self.surface is None or (now_ns - start) // every > (self.fitted_ns - start) // every

    def refit(self, now_ns: int, state: EngineState) -> quoter.Terms | None:
        """Fit the tops in `state` and price the chain; None while the underlying has no level."""
        spot = float(state.head["spot"][0])
        if spot <= 0.0 or state.head["is_open"][0] == 0:
            return None
        bid, ask = _tops(state)
        quoted_ns = state.mkt["quote_ns"][:-1]
        fresh = now_ns - quoted_ns <= self.config.surface.stale_quote_s * E9
        fresh &= quoted_ns >= int(state.head["resumed_ns"][0])  # a halt makes everything old
        usable = fresh & (quoted_ns > 0) & (ask > bid) & (self.chain.fixing_ns > now_ns)
        self.surface = self.fitter.update(now_ns, spot=spot, bid=bid, ask=ask, usable=usable)
        self.fitted_ns = now_ns
        self.fits += 1
        self.records.extend(self.surface.records)
        return self.reprice(now_ns, state)

    def reprice(self, now_ns: int, state: EngineState) -> quoter.Terms | None:
        """A new sheet at the spot of now from the surface in force; None before the first fit."""
        if self.surface is None:
            return None
        bid, ask = _tops(state)
        sheet = theo.sheet(
            self.chain, self.surface, now_ns, float(state.head["spot"][0]),
            self.config.surface.skew_stickiness,
        )  # fmt: skip
        u = state.mkt[-1]
        tradable = self.chain.underlying.tradable and 0 < u["bid_e9"] < u["ask_e9"]
        spot_half = 0.5 * (int(u["ask_e9"]) - int(u["bid_e9"])) / E9 if tradable else 0.0
        terms = quoter.terms(
            self.chain, sheet, bid=bid, ask=ask, spot_half=spot_half, config=self.config
        )
        if self._unit is not None:
            # a position whose expiry lost its surface keeps the risk it last had
            terms = replace(terms, unit=risk_limits.carry_forward(terms.unit, self._unit))
        self._unit = terms.unit
        return terms

    def surface_frame(self) -> pl.DataFrame:
        """surface.parquet."""
        if not self.records:
            raise DataError(
                f"{self.chain.underlying.symbol}: no surface was ever fitted",
                remedy="The session has no moment with both an underlying level and option quotes.",
            )
        return pl.DataFrame(self.records, infer_schema_length=None)

    def smiles_frame(self) -> pl.DataFrame:
        """smiles.parquet: the quotes of the last fit against its curves."""
        return pl.DataFrame() if self.surface is None else self.surface.residuals


def _tops(state: EngineState) -> tuple[np.ndarray, np.ndarray]:
    """Best bid and ask of every option, USD (n,), NaN where absent."""
    mkt = state.mkt[:-1]
    bid = np.where(mkt["bid_e9"] > 0, mkt["bid_e9"] / E9, np.nan)
    return bid, np.where(mkt["ask_e9"] > 0, mkt["ask_e9"] / E9, np.nan)
