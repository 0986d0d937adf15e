"""How a chain is fitted: the settings of `surfaces.fit` and `surfaces.live.LiveFitter`."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from surfaces import DEFAULT_MODEL
from surfaces.curves.carry import CarryConfig
from surfaces.curves.cash import CashDividends
from surfaces.curves.clock import CALENDAR, FLOOR_SECONDS, VolClock
from surfaces.premium import PremiumLimits


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
            value = np.asarray(getattr(self, name), np.float64)
            object.__setattr__(self, name, tuple(value.tolist()) if value.ndim else float(value))

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
