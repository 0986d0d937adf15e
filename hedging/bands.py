"""No-trade bands: how far the delta may drift before it pays to trade.

Every model answers one question, the half width of the band in shares around zero book delta, and
is kept on the shelf `BANDS` under the name used in config files.

Units   gamma of the whole BOOK in shares per USD of spot (sum of lots * multiplier * gamma), never
        per option: gammas that offset each other need no hedge. `cost_rate` is the proportional
        cost of ONE trade: half spread (and fees) over price, 0.0001 is 1 bp. `risk_aversion` is
        CARA, per USD of wealth: 1e-6 gives up USD 0.50 to be rid of a USD 1,000 standard deviation.
Source  A. E. Whalley and P. Wilmott, Mathematical Finance 7 (1997) 307-324;
        H. E. Leland, J. Finance 40 (1985) 1283-1301;
        M. Kamal, E. Derman, When You Cannot Hedge Continuously, Goldman Sachs (1999).
Checked tests/hedging/test_bands.py: a table computed elsewhere, and simulations with known truth.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from hedging.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class BandInputs:
    """What a band may depend on: spot in USD, book gamma in shares per USD, horizon discounting."""

    spot: float
    gamma_shares: float
    years: float = 0.0  # to the horizon at which wealth is judged; discounts only
    rate: float = 0.0  # continuous, per year


class Band(Protocol):
    """A no-trade band around zero book delta. Stateless."""

    @property
    def name(self) -> str:
        """The name on the shelf."""

    def half_width(self, inputs: BandInputs) -> float:
        """Half width in shares, >= 0."""


@dataclass(frozen=True, slots=True)
class Fixed:
    """The same number of shares whatever the gamma: for comparison, and for an order-rate limit."""

    shares: float
    name: str = "fixed"

    def __post_init__(self) -> None:
        if not self.shares >= 0.0:
            raise InvalidInput(f"shares is {self.shares:g}, must be >= 0. Zero hedges at once.")

    def half_width(self, inputs: BandInputs) -> float:
        """`shares`, always."""
        return self.shares


@dataclass(frozen=True, slots=True)
class WhalleyWilmott:
    """The small-cost limit of utility-optimal hedging: H = (3/2 e^{-rT} cost S gamma^2 / a)^(1/3).

    The rule that belongs to it is to trade to the EDGE of the band, not to its middle.
    """

    cost_rate: float  # of one trade, as a share of the price
    risk_aversion: float  # per USD
    name: str = "whalley_wilmott"

    def __post_init__(self) -> None:
        if not self.cost_rate >= 0.0:
            raise InvalidInput(f"cost_rate is {self.cost_rate:g}, must be >= 0 (0.0001 is 1 bp).")
        if not self.risk_aversion > 0.0:
            raise InvalidInput(
                f"risk_aversion is {self.risk_aversion:g} per USD, must be > 0. "
                "A desk without risk aversion never hedges."
            )

    def half_width(self, inputs: BandInputs) -> float:
        """Half width in shares; zero for a book without gamma, whose delta cannot drift."""
        discount = math.exp(-inputs.rate * inputs.years)
        cube = 1.5 * discount * self.cost_rate * inputs.spot * inputs.gamma_shares**2
        return (cube / self.risk_aversion) ** (1.0 / 3.0)


BANDS: dict[str, Callable[..., Band]] = {"fixed": Fixed, "whalley_wilmott": WhalleyWilmott}


def band(name: str, parameters: Mapping[str, float]) -> Band:
    """Build the band called `name` on the shelf, as a config file names it.

    Parameters
    ----------
    name : a key of `BANDS`
    parameters : of its class: {"shares": 50} or {"cost_rate": 1e-4, "risk_aversion": 1e-6}

    Raises
    ------
    InvalidInput
        Names the bands that exist, or the parameter that does not.
    """
    try:
        factory = BANDS[name]
    except KeyError:
        known = ", ".join(sorted(BANDS))
        raise InvalidInput(f"unknown band {name!r}; choose one of {known}") from None
    try:
        return factory(**parameters)
    except TypeError as error:
        raise InvalidInput(f"band {name!r} does not take these parameters: {error}") from None


def leland_vol(vol: float, *, round_trip_cost: float, interval_years: float, short: bool) -> float:
    """Volatility at which a book hedged every `interval_years` pays its own costs (Leland 1985).

    Parameters
    ----------
    vol : decimal per square-root year
    round_trip_cost : of buying and selling once, as a share of the price: 2 * `cost_rate`
    interval_years : between hedges, > 0
    short : True for a book short gamma, which must sell dearer; False buys cheaper

    Returns
    -------
    Vol per square-root year; zero if a long book's costs exceed all it can earn.

    Raises
    ------
    InvalidInput
        If `interval_years` is not positive: costs of continuous hedging are infinite.
    """
    if not interval_years > 0.0:
        raise InvalidInput(
            f"interval_years is {interval_years:g}, must be > 0. "
            "Continuous hedging at a cost has no Leland volatility."
        )
    if vol == 0.0:
        return 0.0
    extra = math.sqrt(2.0 / math.pi) * round_trip_cost / (vol * math.sqrt(interval_years))
    return vol * math.sqrt(max(1.0 + extra if short else 1.0 - extra, 0.0))


def discrete_hedge_std(vega: float, *, vol: float, hedges: int) -> float:
    """Standard deviation of the P&L of an at-the-money option hedged `hedges` times, in USD.

    sqrt(pi/4) * vega * vol / sqrt(hedges), the leading order for small vol * sqrt(years).

    Parameters
    ----------
    vega : USD per 1.00 of vol at the start
    vol : decimal per square-root year, realised and implied
    hedges : equally spaced until expiry, >= 1
    """
    if hedges < 1:
        raise InvalidInput(f"hedges is {hedges}, must be >= 1.")
    return math.sqrt(math.pi / 4.0) * vega * vol / math.sqrt(hedges)
