"""The desk's configuration: strict, frozen, from TOML. An unknown key is an error, not a default.

Units are in the field names: `_usd` dollars, `_s` and `_ms` times, `_lots` contracts or shares,
`_share` a fraction. Rates and volatilities are decimals a year.
"""

import hashlib
import json
import tomllib
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import (
    BaseModel,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from optmm.config_days import (
    Carry,
    Corporate,
    Exercise,
    Marks,
    Section,
    Settlement,
    Synthetic,
    iso_date,
)
from optmm.errors import ConfigError

World = Literal["pessimistic", "queue", "optimistic"]
Rule = float | Literal["sticky_strike", "sticky_moneyness", "local_vol", "sticky_local_vol"]

# of the skew-stickiness ratio, as `surfaces.dynamics` has them: reading it here would load numba
RULES = ("sticky_strike", "sticky_moneyness", "local_vol", "sticky_local_vol")
STICKINESS = (-1.0, 3.0)


class Rates(Section):
    """What is believed of the discount rate before any quote is read."""

    prior: float = Field(0.02, ge=-0.05, le=0.25, description="rate, continuous, a year")
    prior_sd: float = Field(0.015, gt=0.0, le=0.1, description="its standard deviation")


class Surface(Section):
    """How often the surface is refit, and when the Taylor sheet is too old."""

    model: Literal["mixture", "svi", "essvi", "spline", "sabr"] = Field(
        "mixture", description="the smile on the shelf that is fitted"
    )
    certificate_points: int = Field(
        101, ge=51, le=10_000, description="points a slice and a pair is checked on at a refit"
    )
    refit_s: float = Field(60.0, ge=1.0, le=3600.0)
    taylor_range: float = Field(0.005, gt=0.0, le=0.05, description="relative spot move")
    skew_stickiness: Rule = Field(
        1.3,
        description="R: a strike's vol moves by (R - 1) skew dlnS; 0 or sticky_moneyness, 1 or "
        "sticky_strike, local_vol (or sticky_local_vol, the same) has the R of each expiry's own",
    )
    stale_quote_s: float = Field(1800.0, gt=0.0, description="older option quotes leave the fit")

    @field_validator("skew_stickiness", mode="plain")
    @classmethod
    def _rule(cls, value: object) -> float | str:
        """One message for a number out of range and for an unknown name."""
        if isinstance(value, str) and value in RULES:
            return value
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if number and STICKINESS[0] <= float(value) <= STICKINESS[1]:  # type: ignore[arg-type]
            return float(value)  # type: ignore[arg-type]
        raise ValueError(
            f"must be a number from {STICKINESS[0]:g} to {STICKINESS[1]:g}, or one of "
            + ", ".join(RULES)
        )


class Dividends(Section):
    """Cash the share will pay, declared or expected; without it dividends are an implied yield."""

    ex_dates: tuple[str, ...] = Field((), description="ISO dates, rising")
    cash_usd: tuple[float, ...] = Field((), description="a share, one for each ex-date")

    @model_validator(mode="after")
    def _paired(self) -> Self:
        if len(self.ex_dates) != len(self.cash_usd):
            raise ValueError(
                f"has {len(self.ex_dates)} ex_dates and {len(self.cash_usd)} cash_usd; pair them"
            )
        if list(self.ex_dates) != sorted(set(self.ex_dates)):
            raise ValueError("has ex_dates that do not rise")
        for text in self.ex_dates:
            iso_date(text)
        return self


class Clock(Section):
    """Time for volatility between expiries: the weight of an hour that is not a session's."""

    overnight: float = Field(1.0, gt=0.0, le=10.0, description="0.2 is what markets show")
    weekend: float = Field(1.0, gt=0.0, le=10.0, description="0.04 is what markets show")
    holiday: float = Field(1.0, gt=0.0, le=10.0)
    events_at: tuple[str, ...] = Field((), description="ISO instants with their offset")
    events_move: tuple[float, ...] = Field((), description="one s.d. of ln(price), one each")

    @model_validator(mode="after")
    def _paired(self) -> Self:
        if len(self.events_at) != len(self.events_move):
            raise ValueError(
                f"has {len(self.events_at)} events_at and {len(self.events_move)} events_move; "
                "give one each"
            )
        for text in self.events_at:
            if datetime.fromisoformat(text).tzinfo is None:
                raise ValueError(f"has events_at {text!r} without an offset; write ...-04:00 or Z")
        return self


class Quoting(Section):
    """Half width = max(floor, share of the market's) + edges of vol and spot + uncertainty."""

    min_half_width_usd: float = Field(0.005, ge=0.0)
    market_share: float = Field(0.4, ge=0.0, le=2.0, description="of the market's half spread")
    vol_edge: float = Field(0.0001, ge=0.0, le=0.05, description="added, as vol x vega")
    spot_edge_share: float = Field(0.5, ge=0.0, le=2.0, description="of |delta| x spot half spread")
    uncertainty_share: float = Field(
        0.15, ge=0.0, le=3.0, description="of one s.d. of fair value until the next refit"
    )
    max_uncertainty_share: float = Field(
        3.0, gt=0.0, description="above this multiple of the market's half spread: no quote"
    )
    middle_edge_share: float = Field(
        0.5,
        ge=0.0,
        le=2.0,
        description="of the half width: least edge against the middle of the displayed market",
    )
    middle_age_s: float = Field(
        60.0, ge=0.0, description="event feeds: an older displayed market does not hold us back"
    )
    max_lots: int = Field(5, ge=1, le=10_000)
    hysteresis: float = Field(0.5, ge=0.0, lt=0.9, description="of the half width")
    min_change_ticks: int = Field(
        1, ge=1, le=100, description="a smaller move of a quote that has its edge is not sent"
    )
    spot_source: Literal["mid", "microprice", "future"] = Field(
        "mid", description="the underlying's level for fair value; hedges and marks keep to its mid"
    )
    basis_half_life_s: float = Field(
        300.0, gt=0.0, le=86_400.0, description="of the future's average basis to the mid"
    )
    guard_s: float = Field(
        5.0, ge=0.0, description="event feeds: how often quotes that spot has reached are moved"
    )
    sweep_s: float = Field(20.0, ge=0.01, description="event feeds: at most one spot sweep each")
    risk_aversion_per_usd: float = Field(2e-5, ge=0.0, description="CARA gamma")
    atm_vol_of_day: float = Field(0.015, gt=0.0, description="s.d. of a one-month vol, a day")
    vol_term_power: float = Field(0.5, ge=0.0, le=1.0, description="vol of vol falls as T^-power")
    vol_correlation_root_years: float = Field(
        1.0, gt=0.0, description="decay of expiry correlation in the square root of years"
    )
    residual_spot_vol_of_day: float = Field(0.001, gt=0.0, description="unhedged spot s.d., a day")
    fills_per_day: float = Field(2.0, gt=0.0, description="expected, an option at zero edge")


class Limits(Section):
    """Hard limits. Inventory is the largest of |$ delta before hedges|, premium, stressed loss."""

    inventory_usd: float = Field(10_000_000.0, gt=0.0)
    quoting_share: float = Field(
        0.7, gt=0.0, le=1.0, description="of each limit that quotes may fill; the rest is for moves"
    )
    max_fill_usd: float = Field(250_000.0, gt=0.0, description="worst use of one fill")
    vega_usd_per_volpt: float = Field(100_000.0, gt=0.0)
    expiry_vega_usd_per_volpt: float = Field(50_000.0, gt=0.0)
    stress_spot_share: float = Field(0.10, gt=0.0, lt=1.0)
    stress_vol_points: float = Field(5.0, gt=0.0, le=100.0)
    loss_stop_usd: float = Field(250_000.0, gt=0.0, description="day loss that kills the desk")


class Protections(Section):
    """Rolling-window trips, staleness and message budget. None and 0 switch a protection off."""

    window_s: float = Field(1.0, gt=0.0, le=3600.0, description="of the five limits that follow")
    max_fills: int = Field(15, ge=1, le=100_000)
    max_lots: int = Field(150, ge=1)
    max_notional_usd: float | None = Field(None, gt=0.0, description="premium traded, gross")
    max_delta_usd: float | None = Field(None, gt=0.0, description="|sum of signed dollar delta|")
    max_vega_usd_per_volpt: float | None = Field(None, gt=0.0, description="|sum of signed vega|")
    same_side_strikes: int = Field(
        0, ge=0, description="series that trade on one side within the window before all is pulled"
    )
    same_side_window_s: float = Field(1.0, gt=0.0, le=3600.0)
    rearm_s: float = Field(60.0, gt=0.0, description="quoting resumes this long after a trip")
    stale_underlying_s: float = Field(15.0, gt=0.0)
    messages_per_s: float = Field(
        100_000.0, gt=0.0, le=1_000_000.0, description="in any second; cancels pass, and count"
    )


class Hedging(Section):
    """Book-level no-trade band on the underlying; trades to the edge, at the touch."""

    band: Literal["fixed", "whalley_wilmott"] = "whalley_wilmott"
    fixed_band_lots: float = Field(100.0, ge=0.0)
    risk_aversion_per_usd: float = Field(1e-5, gt=0.0)
    min_band_usd: float = Field(2_500.0, ge=0.0, description="dollar delta always left alone")
    max_order_lots: int = Field(5_000, ge=1)
    interval_s: float = Field(15.0, ge=0.1, description="event feeds: time between decisions")


class Fees(Section):
    """USD; positive is paid."""

    option_usd_per_contract: float = Field(0.30, ge=-5.0, le=10.0)
    stock_usd_per_share: float = Field(0.0008, ge=-0.01, le=0.1)
    future_usd_per_lot: float = Field(0.85, ge=-5.0, le=20.0)
    exercise_usd_per_contract: float = Field(0.0, ge=0.0, le=10.0)

    @field_validator("*")
    @classmethod
    def _exact(cls, usd: float) -> float:
        if Decimal(str(usd)) * 1_000_000_000 % 1:
            raise ValueError("is finer than 1e-9 USD; fees are exact")
        return usd


class Replay(Section):
    """Which worlds run, and the venue's behaviour."""

    bounds: tuple[World, ...] = Field(("pessimistic", "queue", "optimistic"), min_length=1)

    feed_latency_ms: float = Field(0.0, ge=0.0, le=60_000.0, description="the market to the desk")
    order_latency_ms: float = Field(5.0, gt=0.0, le=60_000.0, description="the desk to the venue")
    latency_sigma_log: float = Field(
        0.0, ge=0.0, le=3.0, description="0: constant; else lognormal, the two above are medians"
    )
    latency_stress: float = Field(
        0.0, ge=0.0, le=100.0, description="x (1 + stress x excess of recent vol over its average)"
    )
    queue_model: Literal["price_time", "pro_rata"] = "price_time"
    queue_share: float = Field(0.5, gt=0.0, le=1.0, description="of prints behind the queue ahead")
    customer_share: float = Field(
        0.0, ge=0.0, le=1.0, description="of displayed size: customers', who trade before makers"
    )

    @field_validator("bounds")
    @classmethod
    def _once(cls, bounds: tuple[World, ...]) -> tuple[World, ...]:
        if len(set(bounds)) != len(bounds):
            raise ValueError("names a fill assumption twice")
        return bounds


class DeskConfig(Section):
    """Everything a run depends on besides data and seed."""

    rates: Rates = Rates()
    surface: Surface = Surface()
    dividends: Dividends = Dividends()
    clock: Clock = Clock()
    quoting: Quoting = Quoting()
    limits: Limits = Limits()
    protections: Protections = Protections()
    hedging: Hedging = Hedging()
    fees: Fees = Fees()
    replay: Replay = Replay()
    synthetic: Synthetic = Synthetic()
    settlement: Settlement = Settlement()
    corporate: Corporate = Corporate()
    carry: Carry = Carry()
    exercise: Exercise = Exercise()
    marks: Marks = Marks()


def load(path: Path | None) -> DeskConfig:
    """Read a TOML file; None gives the defaults.

    Raises
    ------
    ConfigError
        Names the file, the key, what is wrong and what would be right.
    """
    if path is None:
        return DeskConfig()
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise ConfigError(
            f"{path}: no such file. Write one, or drop --config for defaults"
        ) from None
    except OSError as bad:
        raise ConfigError(f"{path}: cannot be read: {bad.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as bad:
        raise ConfigError(f"{path}: not valid TOML: {bad}") from None
    return parsed(raw, str(path))


def parsed(raw: dict, origin: str) -> DeskConfig:
    """Validate a mapping; lists become tuples first, since TOML has no tuple."""
    try:
        return DeskConfig.model_validate(_tuples(raw))
    except ValidationError as bad:
        lines = [_explain(error) for error in bad.errors()]
        raise ConfigError(f"{origin}: " + "; ".join(lines)) from None


def _tuples(value: Any) -> Any:
    """The same with every list a tuple."""
    if isinstance(value, dict):
        return {key: _tuples(part) for key, part in value.items()}
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def _explain(error) -> str:
    where = ".".join(str(part) for part in error["loc"])
    if error["type"] != "extra_forbidden":
        return f"{where} is {error.get('input')!r}: {error['msg']}"
    import difflib

    known = _fields(error["loc"][:-1])
    near = difflib.get_close_matches(str(error["loc"][-1]), known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(known)}"
    return f"unknown key {where!r}; {hint}"


def _fields(loc: tuple) -> list[str]:
    model: type[BaseModel] = DeskConfig
    for part in loc:
        annotation = model.model_fields[str(part)].annotation
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return []
        model = annotation
    return sorted(model.model_fields)


def digest(config: DeskConfig) -> str:
    """sha256 of the canonical JSON: equal configurations, equal hashes."""
    return hashlib.sha256(canonical(config.model_dump(mode="json"))).hexdigest()


def canonical(value: object) -> bytes:
    """JSON with sorted keys and no spaces; the only form that is ever hashed."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
