"""An option as it is typed: words, percent, dates and days become decimals and years here.

Shared by `optmm price` and `optmm iv`. A share is "0.2" or "20%"; a bare 20 is refused, because it
could mean either, and so is an option that the model has no use for.
"""

import datetime as dt
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from optmm.errors import UsageError
from surfaces.units import DAYS_PER_YEAR

if TYPE_CHECKING:
    from surfaces.pricing.dividends import Dividends

ACCURACIES = ("fast", "precise")
MODELS = ("black", "bsm", "american", "bachelier")
RIGHTS = {"c": 1, "call": 1, "p": -1, "put": -1}
# a bare number above this is taken for percent typed without its sign
HIGHEST_VOL = 1.5
HIGHEST_RATE = 0.5

Right = Annotated[str, typer.Argument(metavar="RIGHT", help="call or put")]
Strike = Annotated[
    float,
    typer.Argument(metavar="STRIKE", help="USD per share; a negative one goes last, after --"),
]
Spot = Annotated[float | None, typer.Option("--spot", help="USD per share, today")]
Forward = Annotated[
    float | None, typer.Option("--forward", help="USD per share, at expiry; instead of --spot")
]
Expiry = Annotated[
    str | None, typer.Option("--expiry", help="expiry, YYYY-MM-DD, counted from --date")
]
Date = Annotated[
    str | None, typer.Option("--date", help="valuation date, YYYY-MM-DD; default today")
]
Days = Annotated[float | None, typer.Option("--days", help="calendar days to expiry")]
Years = Annotated[float | None, typer.Option("--years", help="years to expiry, ACT/365")]
Rate = Annotated[
    str, typer.Option("--rate", help="interest, continuously compounded: 4.3% or 0.043")
]
Yield = Annotated[
    str,
    typer.Option("--dividend-yield", help="continuous: 1.2% or 0.012; the rate for a future"),
]
Borrow = Annotated[
    str, typer.Option("--borrow", help="borrow fee a year: 0.5% or 0.005; adds to the yield")
]
Dividend = Annotated[
    list[str] | None,
    typer.Option(
        "--dividend",
        help="cash, WHEN:USD per share; WHEN is years or the ex-date; repeat for more",
    ),
]
DividendModel = Annotated[
    str | None,
    typer.Option(
        "--dividend-model",
        help="spot (default): the share falls by the cash on the ex-date; escrowed: vol acts on "
        "the share less the dividends' present value (European only)",
    ),
]
Model = Annotated[
    str | None,
    typer.Option(
        "--model",
        help="black (on a forward), bsm, american (on spot), bachelier (normal, vol in USD); "
        "default black with --forward, bsm with --spot",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="one JSON object on stdout, units in names")]


@dataclass(frozen=True, slots=True)
class Terms:
    """One option with everything but its vol or price; decimals, years, USD per share."""

    model: str
    right: int
    strike: float
    underlying: float  # the forward for black and bachelier, else spot
    years: float
    rate: float
    dividend_yield: float  # borrow included
    cash: tuple[tuple[float, float], ...]  # (years, USD per share), in order of time
    dividend_model: str = "spot"

    @property
    def on_forward(self) -> bool:
        """Whether the underlying is the forward."""
        return self.model in ("black", "bachelier")

    def arguments(self) -> dict[str, Any]:
        """Keyword arguments of the model's functions, all but price or vol."""
        common = {"right": self.right, "strike": self.strike, "years": self.years}
        if self.on_forward:
            discount = math.exp(-self.rate * self.years)
            return common | {"forward": self.underlying, "df": discount}
        return common | {
            "spot": self.underlying, "rate": self.rate, "dividend_yield": self.dividend_yield
        }  # fmt: skip

    def schedule(self) -> "Dividends | None":
        """The cash dividends, None without any."""
        if not self.cash:
            return None
        from surfaces.pricing.dividends import Dividends

        when, usd = zip(*self.cash, strict=True)
        return Dividends.declared(years=when, cash=usd)

    def as_json(self) -> dict[str, Any]:
        """What was understood, units in names."""
        return {
            "model": self.model,
            "right": "call" if self.right > 0 else "put",
            "strike_usd": self.strike,
            "forward_usd" if self.on_forward else "spot_usd": self.underlying,
            "years": self.years,
            "rate_per_year": self.rate,
            **({} if self.on_forward else {"dividend_yield_per_year": self.dividend_yield}),
            **(self._paid() if self.cash else {}),
        }

    def _paid(self) -> dict[str, Any]:
        return {
            "dividends": [{"years": t, "usd": d} for t, d in self.cash],
            "dividend_model": self.dividend_model,
        }

    def words(self) -> str:
        """The same in one line."""
        kind = {
            "bsm": "European",
            "black": "European",
            "bachelier": "normal",
            "american": "American",
        }
        said = (
            f"{kind[self.model]} {'call' if self.right > 0 else 'put'} {self.strike:g} on "
            f"{'forward' if self.on_forward else 'spot'} {self.underlying:g}, "
            f"{self.years:.6g} years, rate {self.rate:.4%}"
        )
        if self.on_forward:
            return said
        said += f", yield {self.dividend_yield:.4%}"
        if not self.cash:
            return said
        paid = ", ".join(f"{d:g} in {t:.4g} years" for t, d in self.cash)
        return f"{said}, cash ({self.dividend_model} model) {paid}"


def read(
    *,
    right: str,
    strike: float,
    spot: float | None,
    forward: float | None,
    expiry: str | None,
    date: str | None,
    days: float | None,
    years: float | None,
    rate: str,
    dividend_yield: str,
    borrow: str,
    dividend: list[str] | None,
    dividend_model: str | None,
    model: str | None,
) -> Terms:
    """Everything typed, checked and converted; the errors say what to type instead."""
    w = RIGHTS.get(right.strip().lower())
    if w is None:
        raise UsageError(f"the right is {right!r}, must be call or put")
    valued = _date("--date", date) if date is not None else None
    T = _years(expiry, valued, days, years)
    chosen = _model(model, spot, forward)
    cash = tuple(sorted(_dividend(text, valued) for text in dividend or ()))
    earned = share("--dividend-yield", dividend_yield, HIGHEST_RATE)
    earned += share("--borrow", borrow, HIGHEST_RATE)
    if forward is not None and (earned != 0.0 or cash):
        raise UsageError(
            "--dividend-yield, --borrow and --dividend act on spot; a forward has them in it: "
            "leave them out, or give --spot"
        )
    return Terms(
        model=chosen, right=w, strike=strike, underlying=_underlying(spot, forward), years=T,
        rate=share("--rate", rate, HIGHEST_RATE), dividend_yield=earned, cash=cash,
        dividend_model=_dividend_model(dividend_model, chosen, cash),
    )  # fmt: skip


def accuracy(text: str | None, model: str) -> str:
    """The accuracy of an American price, "precise" by default; refused for what is exact."""
    if text is None:
        return "precise"
    if model != "american":
        raise UsageError(
            f"--accuracy goes with --model american, and {model} is exact: leave it out"
        )
    if text not in ACCURACIES:
        raise UsageError(f"--accuracy is {text!r}, must be one of {', '.join(ACCURACIES)}")
    return text


def share(name: str, text: str, highest: float) -> float:
    """A decimal from "20%" or "0.2"; a bare number above `highest` is ambiguous and refused."""
    stripped = text.strip()
    percent = stripped.endswith("%")
    try:
        value = float(stripped.removesuffix("%"))
    except ValueError:
        raise UsageError(f"{name} is {text!r}, must be a number such as 0.2 or 20%") from None
    if not math.isfinite(value):
        raise UsageError(f"{name} is {text!r}, must be finite")
    if percent:
        return value / 100.0
    if abs(value) > highest:
        raise UsageError(
            f"{name} is {text}: write {value:g}% or {100.0 * value:g}%, whichever is meant"
        )
    return value


@contextmanager
def usage() -> Iterator[None]:
    """What a pricer refuses was typed here: the same words, exit code 2."""
    from surfaces.errors import InvalidInput

    try:
        yield
    except InvalidInput as error:
        raise UsageError(str(error)) from None


def vol_words(value: float, model: str) -> str:
    """A vol in the unit that people quote."""
    return f"{value:g} USD per sqrt-year" if model == "bachelier" else f"{100.0 * value:.6g} %"


def vol(text: str, model: str) -> float:
    """A decimal vol, or USD per sqrt-year under bachelier."""
    if model != "bachelier":
        value = share("--vol", text, HIGHEST_VOL)
    elif text.strip().endswith("%"):
        raise UsageError(
            f"--vol is {text!r}: a normal vol is in USD per sqrt-year, such as 12.5, not in percent"
        )
    else:
        value = share("--vol", text, math.inf)
    if value < 0.0:
        raise UsageError(f"--vol is {text}, must be >= 0")
    return value


def _underlying(spot: float | None, forward: float | None) -> float:
    value = spot if forward is None else forward
    if value is None:
        raise UsageError("neither --spot nor --forward is given: give one of them")
    return value


def _model(model: str | None, spot: float | None, forward: float | None) -> str:
    """The model named, or the one that the underlying suggests."""
    if (spot is None) == (forward is None):
        both = "both" if spot is not None else "neither"
        raise UsageError(f"{both} of --spot and --forward given: give exactly one")
    if model is None:
        if forward is not None and forward <= 0.0:
            raise UsageError(
                f"--forward is {forward:g}, Black needs > 0: use --model bachelier, with --vol in "
                "USD per sqrt-year"
            )
        return "bsm" if forward is None else "black"
    if model not in MODELS:
        raise UsageError(f"--model is {model!r}, must be one of {', '.join(MODELS)}")
    if model in ("black", "bachelier") and forward is None:
        raise UsageError(f"--model {model} is on a forward: give --forward instead of --spot")
    if model in ("bsm", "american") and spot is None:
        raise UsageError(
            f"--model {model} is on spot: give --spot; for an option on a future, --spot FUTURE "
            "and --dividend-yield equal to --rate"
        )
    return model


def _dividend_model(given: str | None, model: str, cash: tuple[tuple[float, float], ...]) -> str:
    """ "spot" or "escrowed"; one that nothing depends on is refused."""
    if given is None:
        return "spot"
    if given not in ("spot", "escrowed"):
        raise UsageError(f"--dividend-model is {given!r}, must be spot or escrowed")
    if model in ("black", "bachelier"):
        raise UsageError(
            "--dividend-model is for an option on spot; a forward has its dividends in it: leave "
            "it out, or give --spot and --dividend"
        )
    if given == "escrowed" and model == "american":
        raise UsageError("--dividend-model escrowed is European: an American price takes spot")
    if not cash:
        raise UsageError("--dividend-model without a --dividend: give one, or leave it out")
    return given


def _date(name: str, text: str) -> dt.date:
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{name} is {text!r}, must be a date such as 2026-01-16") from None


def _years(
    expiry: str | None, valued: dt.date | None, days: float | None, years: float | None
) -> float:
    """Years to expiry from the one way that was given."""
    ways = {"--expiry": expiry, "--days": days, "--years": years}
    given = [name for name, value in ways.items() if value is not None]
    if len(given) != 1:
        said = " and ".join(given) or "none"
        raise UsageError(f"of {', '.join(ways)} {said} given: give exactly one")
    if expiry is not None:
        days = _apart(_date("--expiry", expiry), valued)
        if days < 0:
            today = valued or dt.date.today()
            raise UsageError(f"--expiry is {expiry}, before {today}: give the --date of valuation")
    value = years if years is not None else (days or 0.0) / DAYS_PER_YEAR
    if not 0.0 <= value < math.inf:
        raise UsageError(f"{given[0]} gives {value:g} years to expiry, must be >= 0 and finite")
    return value


def _apart(later: dt.date, valued: dt.date | None) -> float:
    """Calendar days from the valuation date, today if none was given."""
    return float((later - (valued or dt.date.today())).days)


def _dividend(text: str, valued: dt.date | None) -> tuple[float, float]:
    """(years, USD) from "0.25:1.80" or "2026-03-20:1.80"."""
    when, colon, usd = text.rpartition(":")
    bad = UsageError(
        f"--dividend is {text!r}, must be WHEN:USD, such as 0.25:1.80 or 2026-03-20:1.80"
    )
    if not colon:
        raise bad
    try:
        amount = float(usd)
    except ValueError:
        raise bad from None
    try:
        years = float(when)
    except ValueError:
        if when.count("-") != 2:
            raise bad from None
        years = _apart(_date("--dividend", when), valued) / DAYS_PER_YEAR
    if not (years > 0.0 and 0.0 < amount < math.inf):
        raise UsageError(
            f"--dividend is {text!r}: it is {years:.4g} years away and {amount:g} USD, both must "
            "be > 0; a dividend that has gone ex is in spot already"
        )
    return years, amount
