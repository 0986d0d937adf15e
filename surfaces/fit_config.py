"""How a chain is fitted: the settings of `surfaces.fit` and `surfaces.live.LiveFitter`."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from surfaces import DEFAULT_MODEL
from surfaces import checks as check
from surfaces.curves.carry import CarryConfig
from surfaces.curves.cash import CashDividends
from surfaces.curves.clock import CALENDAR, FLOOR_SECONDS, VolClock
from surfaces.errors import InvalidInput
from surfaces.premium import PremiumLimits

FEWEST_POINTS = 10  # of a certificate: fewer see no arbitrage
MOST_RATE = 1.0  # per year: more was meant as percent
DECIMALS = "Give decimals, 0.05 for 5 %."
EXACT = "Zero is an exact rate."
NOT_NEGATIVE = {  # field: (unit, hint)
    "carry_prior_sd": ("per year", DECIMALS),
    "borrow_sd": ("per year", DECIMALS),
    "forward_noise": ("", "Zero is a forward that stays where it is."),
    "last_good_s": ("seconds", "Zero keeps no old curve."),
}
POSITIVE = {
    "rate_memory_s": ("seconds", "A tiny one forgets at once."),
    "floor_seconds": ("seconds", "The least time to expiry priced."),
}
COUNTS = {  # field: (least, hint)
    "certificate_points": (FEWEST_POINTS, "A hundred is quick, 2000 the usual."),
    "cold_rounds": (1, "The usual is 4."),
}


@dataclass(frozen=True, slots=True)
class FitConfig:
    """How to fit. Rates are continuously compounded per year; times in seconds.

    `future`: the underlying is the future of the same expiry, so the forward is spot, carry is the
    rate, and parity only informs the rate. `rate_prior` and its error may be given for each slice,
    (m,), as of a bootstrapped curve. `dividends`: the cash an American chain's share will pay, also
    what is only expected; without them dividends are a yield implied from the forwards, the premia
    near an ex-date are rough, and only the prior and the slopes of parity tell the rate.
    """

    model: str = DEFAULT_MODEL
    future: bool = False
    rate_prior: float | Sequence[float] = 0.03
    rate_prior_sd: float | Sequence[float] = 0.015
    carry_prior_sd: float = 0.03
    borrow_sd: float = 0.0025  # per year, of a share whose dividends are given
    dividends: CashDividends | None = None
    forward_noise: float = 1e-4  # of ln(F/S) per square root of an hour
    rate_memory_s: float = 1800.0
    certificate_points: int = 2000  # a slice and a pair; fewer are faster
    last_good_s: float = 900.0  # a curve this young is kept rather than replaced by a lower rung
    cold_rounds: int = 4  # premium <-> vol rounds of the first fit
    floor_seconds: float = FLOOR_SECONDS
    clock: VolClock = CALENDAR  # of the variance between expiries
    premium: PremiumLimits = field(default_factory=PremiumLimits)

    def __post_init__(self) -> None:
        for name in ("rate_prior", "rate_prior_sd"):
            value = check.finite(name, getattr(self, name), unit="per year", hint=DECIMALS)
            if value.ndim > 1:
                raise InvalidInput(f"{name} has shape {value.shape}, must be one number or (m,)")
            object.__setattr__(self, name, tuple(value.tolist()) if value.ndim else float(value))
        if np.max(np.abs(self.rate_prior), initial=0.0) > MOST_RATE:
            raise InvalidInput(
                f"rate_prior is {self.rate_prior} per year, must lie from -1 to 1. {DECIMALS}"
            )
        check.at_least("rate_prior_sd", self.rate_prior_sd, 0.0, unit="per year", hint=EXACT)
        for name, (unit, hint) in NOT_NEGATIVE.items():
            value = check.at_least(name, getattr(self, name), 0.0, unit=unit, hint=hint)
            object.__setattr__(self, name, check.one(name, value))
        for name, (unit, hint) in POSITIVE.items():
            value = check.above(name, getattr(self, name), 0.0, unit=unit, hint=hint)
            object.__setattr__(self, name, check.one(name, value))
        for name, (least, hint) in COUNTS.items():
            object.__setattr__(self, name, check.count(name, getattr(self, name), least, hint=hint))
        check.kind("future", self.future, bool, hint="True if options are on the future.")
        check.kind("clock", self.clock, VolClock, hint="CALENDAR is calendar time.")
        check.kind("premium", self.premium, PremiumLimits, hint="Leave it out for the usual.")
        if self.dividends is not None:
            hint = "CashDividends.of_dates(dates, cash) makes one."
            check.kind("dividends", self.dividends, CashDividends, hint=hint)

    @property
    def carry(self) -> CarryConfig:
        """The part about forwards."""
        return CarryConfig(
            rate_prior=self.rate_prior,
            rate_prior_sd=self.rate_prior_sd,
            carry_prior_sd=self.carry_prior_sd,
            borrow_sd=self.borrow_sd,
            forward_noise=self.forward_noise,
            rate_memory_s=self.rate_memory_s,
        )
