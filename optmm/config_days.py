"""Configuration of what happens between and after sessions; sections of `optmm.config`.

Units are in the field names, as there: `_usd` dollars, `_s` seconds, `_share` a fraction, rates a
year on ACT/360. A setting left out changes nothing: no split, no financing, no contrary exercise.
"""

from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

MarkPolicy = Literal["settlement_theo_mid", "mid", "theo", "official"]


class Section(BaseModel):
    """A frozen section that refuses keys it does not know."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)


class Synthetic(Section):
    """A declared future at the put-call parity forward, for options whose underlying is no hedge.

    It stands in for a future that is listed but not in the data: its spread is an assumption.
    """

    enabled: bool = Field(False, description="hedge with it instead of the index")
    expiry: str = Field(
        "", description="ISO date of its forward; empty: the nearest that outlives the run"
    )
    half_spread_usd: float = Field(0.25, gt=0.0, le=100.0, description="per point, each side")
    multiplier: int = Field(50, ge=1, le=10_000, description="USD per point and lot")
    tick_usd: float = Field(0.01, gt=0.0, le=10.0)
    lots: int = Field(100, ge=1, description="shown on each side")
    stale_s: float = Field(300.0, gt=0.0, description="an older option quote makes no pair")
    interval_s: float = Field(1.0, ge=0.0, description="at most one quote each")
    repeat_s: float = Field(10.0, gt=0.0, description="one that did not move is sent again")

    @field_validator("expiry")
    @classmethod
    def _date(cls, text: str) -> str:
        if text:
            iso_date(text)
        return text

    @field_validator("half_spread_usd", "tick_usd")
    @classmethod
    def _exact(cls, usd: float) -> float:
        return _whole(usd)


class Settlement(Section):
    """Official settlement prices by expiry; an expiry without one settles at a labelled proxy."""

    expiries: tuple[str, ...] = Field(
        (), description="2021-01-04, or SPX 2021-01-15 where roots that share a date differ"
    )
    px_usd: tuple[float, ...] = Field((), description="of the underlying, one for each")
    window_s: float = Field(3600.0, gt=0.0, description="a proxy older than this says so")

    @model_validator(mode="after")
    def _paired(self) -> Self:
        _pair("expiries", self.expiries, "px_usd", self.px_usd)
        if len(set(self.expiries)) != len(self.expiries):
            raise ValueError("has an expiry twice")
        for text in self.expiries:
            iso_date(text.split(" ")[-1])
        for usd in self.px_usd:
            if not usd > 0.0:
                raise ValueError(f"has a px_usd of {usd:g}; a settlement price is above zero")
            _whole(usd)
        return self

    def px_e9(self, root: str, expiry: str) -> int | None:
        """The official price, 1e-9 USD; the root's own before the date's."""
        for name in (f"{root} {expiry}", expiry):
            if name in self.expiries:
                return exact_e9(self.px_usd[self.expiries.index(name)])
        return None


class Corporate(Section):
    """Splits by effective date, before that day's open."""

    split_dates: tuple[str, ...] = Field((), description="ISO dates, rising")
    split_ratios: tuple[str, ...] = Field((), description="new:old shares, 4:1; one for each date")
    jump_share: float = Field(
        0.2, gt=0.0, lt=1.0, description="overnight move that without an event pulls the class"
    )

    @model_validator(mode="after")
    def _paired(self) -> Self:
        _pair("split_dates", self.split_dates, "split_ratios", self.split_ratios)
        if list(self.split_dates) != sorted(set(self.split_dates)):
            raise ValueError("has split_dates that do not rise")
        for text in self.split_dates:
            iso_date(text)
        for text in self.split_ratios:
            new, colon, old = text.partition(":")
            if not (colon and new.isdecimal() and old.isdecimal() and int(new) and int(old)):
                raise ValueError(f"has the split ratio {text!r}; write new:old shares, as in 4:1")
            if int(new) == int(old):
                raise ValueError(f"has the split ratio {text!r}, which splits nothing")
        return self

    def ratio(self, after: str, until: str) -> Fraction | None:
        """New shares for an old one, of splits effective in (after, until]; None without one.

        Trade dates of two sessions that follow each other in a run, which may leave some out.
        """
        found = None
        for day, text in zip(self.split_dates, self.split_ratios, strict=True):
            if after < day <= until:
                new, _, old = text.partition(":")
                found = (found or Fraction(1)) * Fraction(int(new), int(old))
        return found


class Carry(Section):
    """What a night costs. Simple interest on ACT/360."""

    financing_rate: float = Field(
        0.0, ge=-0.05, le=0.25, description="earned on cash, paid on what is borrowed"
    )
    short_borrow_rate: float = Field(0.0, ge=0.0, le=5.0, description="fee on shares held short")


class Exercise(Section):
    """Early exercise, assignment, and what holders do near the strike at expiry."""

    early: bool = Field(True, description="long American options are exercised when it pays")
    min_gain_usd: float = Field(0.0, ge=0.0, description="a share; less is left alone")
    assignment_share: float = Field(
        1.0, ge=0.0, le=1.0, description="of holders exercise when they should"
    )
    contrary_within_usd: float = Field(
        0.0, ge=0.0, description="from the strike: there holders may act against the rule"
    )
    contrary_share: float = Field(0.0, ge=0.0, le=1.0, description="of them do")
    pin_deviations: float = Field(
        1.0, gt=0.0, le=10.0, description="strikes within so many s.d. of spot are reported"
    )
    pin_half_width_usd: float = Field(0.5, ge=0.0, description="what counts as at the strike")


class Marks(Section):
    """Which mark values the book at a close."""

    policy: MarkPolicy = Field(
        "settlement_theo_mid",
        description="settlement, else theo, else mid; mid or theo first; or official closes first",
    )
    official_file: str = Field("", description="table of date, symbol and px_usd")

    @model_validator(mode="after")
    def _given(self) -> Self:
        if self.policy == "official" and not self.official_file:
            raise ValueError("has the policy official and no official_file")
        return self


def iso_date(text: str) -> str:
    """YYYY-MM-DD; ValueError for the other spellings of ISO 8601, which would match no date."""
    if date.fromisoformat(text).isoformat() != text:
        raise ValueError(f"has the date {text!r}; write YYYY-MM-DD")
    return text


def exact_e9(usd: float) -> int:
    """USD as written in 1e-9 USD."""
    return int(Decimal(str(usd)) * 1_000_000_000)


def _whole(usd: float) -> float:
    if Decimal(str(usd)) * 1_000_000_000 % 1:
        raise ValueError("is finer than 1e-9 USD; prices are exact")
    return usd


def _pair(one: str, first: tuple, other: str, second: tuple) -> None:
    if len(first) != len(second):
        raise ValueError(
            f"has {len(first)} {one} and {len(second)} {other}; give one {other} for each"
        )
