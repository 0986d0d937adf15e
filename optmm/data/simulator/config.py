"""What a simulated day looks like: every number that shapes it, with its unit in its name.

A vol of 0.19 "per year" here is on the business clock of `clock.py`: 252 equal business days, so a
day of regular trading and its night together carry vol^2 / 252 of variance.
"""

import difflib
import hashlib
import json
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from optmm.errors import ConfigError

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Positive = Annotated[float, Field(gt=0.0)]


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
    vol_of_variance_per_sqrt_year: float = Field(4.0, ge=0.0, le=10.0)
    variance_reversion_per_year: float = Field(30.0, gt=0.0, le=500.0)
    jumps_per_day: float = Field(1.0, ge=0.0, le=50.0)
    jump_sd_log: float = Field(0.0015, ge=0.0, le=0.02)
    wide_spread_share: Share = Field(0.1, description="of seconds the underlying is 2 ticks wide")

    # smile
    smile_rho: float = Field(-0.65, ge=-0.95, le=-0.05)
    smile_eta: float = Field(1.1, ge=0.1, le=1.95)
    smile_gamma: float = Field(0.4, ge=0.05, le=0.5)
    skew_stickiness: float = Field(
        1.3, ge=0.0, le=2.5, description="R: 0 sticky moneyness, 1 strike"
    )
    level_noise_sd: float = Field(0.005, ge=0.0, le=0.1, description="of log forward variance")
    skew_noise_sd: float = Field(0.005, ge=0.0, le=0.03, description="of rho")
    noise_half_life_minutes: float = Field(30.0, gt=0.0, le=10_000.0)

    # listing
    strike_reach_sd: float = Field(
        3.0, ge=1.0, le=8.0, description="listed, below; 60 % of it above"
    )

    # other makers' quotes
    quote_events_target: int = Field(685_000, ge=10_000, le=3_000_000, description="in a full day")
    snapshot_period_seconds: int = Field(60, ge=5, le=900)
    snapshot_share: Share = Field(
        0.96, description="of quote events; the rest come at random times"
    )
    min_half_width_usd: float = Field(0.005, ge=0.0, le=1.0)
    vega_width_vol_points: float = Field(
        0.02, ge=0.0, le=2.0, description="half width at the money"
    )
    width_noise_sd_log: float = Field(0.25, ge=0.0, le=1.0)
    quote_size_median_lots: float = Field(40.0, ge=1.0, le=10_000.0)

    # takers
    takers_per_day: float = Field(6500.0, ge=0.0, le=200_000.0)
    willingness_half_widths: Positive = Field(1.0, description="mean of the exponential law")
    informed_share: Share = 0.12
    informed_volatility_share: Share = Field(
        0.5, description="of informed: know the hedged move only"
    )
    informed_horizon_seconds: int = Field(120, ge=1, le=3600)
    informed_edge_paid: Share = Field(0.5, description="of the known move, given up in price")

    @model_validator(mode="after")
    def _is_free_of_arbitrage(self) -> "SimulationConfig":
        """Gatheral-Jacquier: eta (1 + |rho|) <= 2 keeps every slice's density positive."""
        worst = abs(self.smile_rho) + 4.0 * self.skew_noise_sd
        if worst >= 1.0 or self.smile_eta * (1.0 + worst) > 2.0:
            raise ValueError(
                f"smile_eta * (1 + |smile_rho| + 4 skew_noise_sd) is "
                f"{self.smile_eta * (1.0 + worst):.3f}, must be <= 2 for an arbitrage-free smile: "
                "lower smile_eta or the skew"
            )
        jumps = self.jumps_per_day * self.jump_sd_log**2
        if jumps > 0.5 * self.spot_vol_per_year**2 / 252.0:
            raise ValueError(
                f"jumps carry {jumps:.2e} of variance a day, more than half of spot_vol_per_year: "
                "lower jumps_per_day or jump_sd_log"
            )
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
    try:
        return SimulationConfig.model_validate(values)
    except ValidationError as bad:
        lines = [_explain(error) for error in bad.errors()]
        raise ConfigError(f"{origin}: " + "; ".join(lines)) from None


def _explain(error: Any) -> str:
    """One fault in the user's words: key, value, bound, and the nearest known key."""
    if not error["loc"]:
        return error["msg"].removeprefix("Value error, ")
    key = str(error["loc"][0])
    if error["type"] != "extra_forbidden":
        return f"{key} is {error['input']!r:.60}: {error['msg']}"
    near = difflib.get_close_matches(key, SimulationConfig.model_fields, n=1)
    return f"unknown key {key!r}" + (f"; did you mean {near[0]!r}?" if near else "")
