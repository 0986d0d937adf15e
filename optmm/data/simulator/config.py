"""What a simulated day looks like: every number that shapes it, with its unit in its name.

A vol of 0.19 "per year" here is on the business clock of `clock.py`: 252 equal business days, so a
day of regular trading and its night together carry vol^2 / 252 of variance.
"""

import hashlib
import itertools
import json
import math
from datetime import date, datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from optmm.config_days import iso_date
from optmm.data.simulator import settings

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Positive = Annotated[float, Field(gt=0.0)]
Correlation = Annotated[float, Field(ge=-0.99, le=0.99)]
HalfLife = Annotated[float, Field(gt=0.0, le=10_000.0)]
Multiple = Annotated[float, Field(ge=0.1, le=20.0)]
LARGEST_SD = 4.0  # a factor of the surface stops there
MAKERS = ("maker_widths", "maker_sizes", "maker_noises", "maker_delays_ms", "maker_skews")


class SimulationConfig(BaseModel):
    """One day of a SPY-like underlying and its American options. Frozen; unknown keys fail."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)

    # session
    trade_date: str = Field("2025-03-12", pattern=r"^\d{4}-\d{2}-\d{2}$")
    minutes: int | None = Field(None, ge=1, le=405, description="from the open; None is all day")

    # underlying
    spot_usd: float = Field(560.0, ge=50.0, le=5000.0)
    rate_per_year: float = Field(0.043, ge=0.0, le=0.15)
    dividend_yield_per_year: float = Field(0.012, ge=0.0, le=0.15)
    spot_vol_per_year: float = Field(0.19, ge=0.03, le=1.5, description="today")
    long_vol_per_year: float = Field(0.21, ge=0.03, le=1.5, description="far forward variance")
    term_reversion_per_year: float = Field(2.0, gt=0.0, le=100.0)
    overnight_variance_share: float = Field(0.2, ge=0.01, le=0.9, description="of a business day")
    vol_of_variance_per_sqrt_year: float = Field(3.0, ge=0.0, le=10.0)
    variance_reversion_per_year: float = Field(30.0, gt=0.0, le=500.0)
    jumps_per_day: float = Field(1.0, ge=0.0, le=50.0)
    jump_sd_log: float = Field(0.0015, ge=0.0, le=0.02)
    wide_spread_share: Share = Field(0.1, description="of seconds the underlying is 2 ticks wide")
    imbalance_strength: Share = Field(
        0.5, description="of displayed size that says where the true price will be"
    )
    imbalance_horizon_seconds: int = Field(2, ge=0, le=60)
    future_lead_ms: float = Field(0.0, ge=0.0, le=60_000.0, description="before the stock; 0: none")
    future_basis_usd: float = Field(0.60, ge=-50.0, le=50.0, description="future less stock")
    future_basis_sd_usd: float = Field(0.01, ge=0.0, le=1.0)
    future_tick_usd: float = Field(0.025, ge=0.0001, le=1.0)
    dividend_dates: tuple[str, ...] = Field((), description="ISO ex-dates, rising")
    dividend_usd: tuple[float, ...] = Field((), description="a share, one each")
    events_at: tuple[str, ...] = Field((), description="ISO instants with their offset")
    events_move: tuple[float, ...] = Field((), description="s.d. of the jump of ln(spot), one each")

    # smile
    smile_rho: float = Field(-0.65, ge=-0.95, le=-0.05)
    smile_eta: float = Field(1.1, ge=0.1, le=1.95)
    smile_gamma: float = Field(0.4, ge=0.05, le=0.5)
    skew_stickiness: float = Field(
        1.3, ge=0.0, le=2.5, description="R: 0 sticky moneyness, 1 strike"
    )
    level_noise_sd: float = Field(
        0.005, ge=0.0, le=0.1, description="of log forward variance, each expiry its own"
    )
    noise_half_life_minutes: HalfLife = 30.0
    skew_noise_sd: float = Field(0.005, ge=0.0, le=0.03, description="of rho")
    skew_half_life_minutes: HalfLife = 60.0
    skew_spot_correlation: Correlation = 0.2
    curvature_noise_sd: float = Field(0.01, ge=0.0, le=0.1, description="of log eta")
    curvature_half_life_minutes: HalfLife = 90.0
    curvature_spot_correlation: Correlation = -0.2
    term_noise_sd: float = Field(
        0.01, ge=0.0, le=0.1, description="of log forward variance, short against long"
    )
    term_half_life_minutes: HalfLife = 120.0
    term_spot_correlation: Correlation = 0.0

    # listing
    strike_reach_sd: float = Field(
        3.0, ge=1.0, le=8.0, description="listed, below; 60 % of it above"
    )

    # other makers' quotes
    quote_events_target: int = Field(685_000, ge=10_000, le=3_000_000, description="in a full day")
    snapshot_period_seconds: int = Field(60, ge=5, le=900)
    snapshot_share: Share = Field(0.92, description="of quote events")
    move_share: Share = Field(0.04, description="of quote events: makers follow a spot move")
    min_half_width_usd: float = Field(0.005, ge=0.0, le=1.0)
    vega_width_vol_points: float = Field(
        0.1, ge=0.0, le=2.0, description="typical half width at the money"
    )
    wing_width_share: float = Field(
        0.17, ge=0.0, le=1.0, description="of price, added far out of the money"
    )
    width_noise_sd_log: float = Field(0.25, ge=0.0, le=1.0)
    quote_size_median_lots: float = Field(20.0, ge=1.0, le=10_000.0, description="of one maker")
    maker_widths: tuple[Multiple, ...] = Field(
        (1.0, 1.1, 1.3, 1.6, 2.0), description="of the typical half width, one a maker"
    )
    maker_sizes: tuple[Multiple, ...] = Field(
        (0.5, 1.0, 1.0, 1.5, 3.0), description="of the median size"
    )
    maker_noises: tuple[Share, ...] = Field(
        (0.1, 0.1, 0.15, 0.2, 0.3), description="s.d. of fair value, in typical half widths"
    )
    maker_delays_ms: tuple[Annotated[float, Field(ge=0.0, le=60_000.0)], ...] = Field(
        (1.0, 5.0, 20.0, 100.0, 1500.0), description="from a spot move to the new quote"
    )
    maker_skews: tuple[Share, ...] = Field(
        (0.5, 0.5, 0.4, 0.3, 0.2), description="half widths that a full inventory moves fair value"
    )
    maker_full_lots: Positive = Field(100.0, description="of one expiry: tanh(lots / this)")
    maker_unwind_minutes: HalfLife = Field(15.0, description="in which inventory falls by e")

    # takers
    takers_per_day: float = Field(6500.0, ge=0.0, le=200_000.0)
    hawkes_own: float = Field(0.75, ge=0.0, lt=1.0, description="trades a trade begets on its side")
    hawkes_cross: float = Field(0.05, ge=0.0, lt=1.0, description="and on the other")
    hawkes_decay_seconds: float = Field(30.0, gt=0.0, le=3600.0, description="mean delay")
    follow_share: Share = Field(0.5, description="of begotten trades that are in the same option")
    size_tail: float = Field(1.2, ge=0.5, le=10.0, description="P(lots >= k) = k^-tail")
    max_taker_lots: int = Field(500, ge=1, le=100_000)
    willingness_half_widths: Positive = Field(1.0, description="mean of the exponential law")
    informed_share: Share = 0.12
    informed_volatility_share: Share = Field(
        0.5, description="of informed: know the hedged move only"
    )
    informed_horizon_seconds: int = Field(120, ge=1, le=3600)
    informed_edge_paid: Share = Field(0.5, description="of the known move, given up in price")

    # what goes wrong
    halts_at_minutes: tuple[Positive, ...] = Field((), description="after the open, rising")
    halt_minutes: float = Field(5.0, gt=0.0, le=120.0)
    crossed_share: Share = Field(0.0, description="of option quotes")
    locked_share: Share = Field(0.0, description="of option quotes")
    stale_share: Share = Field(0.0, description="of option quotes that never arrive")
    duplicate_share: Share = Field(0.0, description="of option quotes that arrive twice")
    late_share: Share = Field(0.0, description="of option quotes that arrive late")
    late_ms: float = Field(2000.0, gt=0.0, le=600_000.0, description="mean, exponential")
    dropouts_per_day: float = Field(0.0, ge=0.0, le=100.0, description="of the underlying's feed")
    dropout_seconds: float = Field(30.0, gt=0.0, le=3600.0)
    quarantine_crossed: bool = Field(True, description="as our readers do: counted, not delivered")

    @model_validator(mode="after")
    def _is_free_of_arbitrage(self) -> "SimulationConfig":
        """Gatheral-Jacquier: eta (1 + |rho|) <= 2 keeps every slice's density positive."""
        rho = abs(self.smile_rho) + LARGEST_SD * self.skew_noise_sd
        eta = self.smile_eta * math.exp(LARGEST_SD * self.curvature_noise_sd)
        if rho >= 1.0 or eta * (1.0 + rho) > 2.0:
            raise ValueError(
                f"smile_eta * (1 + |smile_rho|) is {eta * (1.0 + rho):.3f} with both at four "
                "standard deviations of their noise, must be <= 2 for an arbitrage-free smile: "
                "lower smile_eta, the skew or their noise"
            )
        jumps = self.jumps_per_day * self.jump_sd_log**2
        if jumps > 0.5 * self.spot_vol_per_year**2 / 252.0:
            raise ValueError(
                f"jumps carry {jumps:.2e} of variance a day, more than half of spot_vol_per_year: "
                "lower jumps_per_day or jump_sd_log"
            )
        return self

    @model_validator(mode="after")
    def _agrees(self) -> "SimulationConfig":
        """Lists that belong together have one length; dates and instants read and rise."""
        counts = {name: len(getattr(self, name)) for name in MAKERS}
        if len(set(counts.values())) != 1 or not 1 <= counts[MAKERS[0]] <= 12:
            raise ValueError(f"{counts}: give each of 1 to 12 makers one of each")
        for first, second in (("dividend_dates", "dividend_usd"), ("events_at", "events_move")):
            keys, values = getattr(self, first), getattr(self, second)
            if len(keys) != len(values):
                raise ValueError(f"{len(keys)} {first} and {len(values)} {second}; give one each")
            if min(values, default=0.0) < 0.0:
                raise ValueError(f"{second} has {min(values)}, must be >= 0")
        dates = [date.fromisoformat(iso_date(text)) for text in self.dividend_dates]
        instants = [datetime.fromisoformat(text) for text in self.events_at]
        for at in instants:
            if at.tzinfo is None:
                raise ValueError(f"events_at has {at} without an offset; write ...-04:00 or Z")
        starts = list(self.halts_at_minutes)
        apart = [b - a for a, b in itertools.pairwise(starts)]
        if dates != sorted(set(dates)) or instants != sorted(instants):
            raise ValueError("dividend_dates and events_at must rise")
        if min(apart, default=math.inf) <= self.halt_minutes:
            raise ValueError("halts_at_minutes must rise by more than halt_minutes")
        if self.hawkes_own + self.hawkes_cross > 0.95:
            raise ValueError(
                f"hawkes_own + hawkes_cross is {self.hawkes_own + self.hawkes_cross:g}: each trade "
                "begets that many, must be <= 0.95"
            )
        faults = ("crossed", "locked", "stale", "duplicate", "late")
        if sum(getattr(self, f"{name}_share") for name in faults) > 1.0:
            raise ValueError("the shares of crossed, locked, stale, duplicate and late exceed 1")
        if self.snapshot_share + self.move_share > 1.0:
            raise ValueError("snapshot_share + move_share must be <= 1")
        return self

    @property
    def digest(self) -> str:
        """First 16 hex digits of the sha256 of the canonical JSON of every field."""
        text = json.dumps(self.model_dump(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def simulation_config(
    values: dict[str, Any], origin: str = "simulation config"
) -> SimulationConfig:
    """Validate a plain mapping (a TOML table), or raise ConfigError naming every bad key."""
    return settings.parsed(SimulationConfig, values, origin)
