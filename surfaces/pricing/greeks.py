"""The Greeks: one struct of arrays, each with one definition and one unit.

V is the price, U the underlying (the forward in `black`, the spot in `bsm` and `american`), v the
vol, t calendar time (so theta is what a day's passing earns, usually negative for a holder).

name    definition             natural unit                         trader unit
price   V                      USD per share                        same
delta   dV/dU                  shares                               same
gamma   d2V/dU2                shares per USD                       same
vega    dV/dv                  USD per 1.00 of vol                  USD per vol point
theta   dV/dt                  USD per year                         USD per day (1/365 year)
rho     dV/dr                  USD per 1.00 of rate                 USD per 1 % of rate
vanna   d2V/dU dv              shares per 1.00 of vol               shares per vol point
volga   d2V/dv2                USD per (1.00 of vol)^2              USD per (vol point)^2
charm   d2V/dU dt              shares per year                      shares per day
speed   d3V/dU3                shares per USD^2                     same
zomma   d3V/dU2 dv             shares per USD per 1.00 of vol       shares per USD per vol point
color   d3V/dU2 dt             shares per USD per year              shares per USD per day

What stays fixed while t or r moves: `black` holds the forward (r = -ln(df)/years, so rho is
-years * price), `bsm` and `american` hold the spot and the yield.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from surfaces.errors import InvalidInput
from surfaces.units import DAYS_PER_YEAR

Floats = NDArray[np.float64]

NAMES = (
    "price",
    "delta",
    "gamma",
    "vega",
    "theta",
    "rho",
    "vanna",
    "volga",
    "charm",
    "speed",
    "zomma",
    "color",
)
# How often each name is differentiated by the underlying, by vol or rate, and by time.
_BY_UNDERLYING = dict(zip(NAMES, (0, 1, 2, 0, 0, 0, 1, 0, 1, 3, 2, 2), strict=True))
_BY_POINT = dict(zip(NAMES, (0, 0, 0, 1, 0, 1, 1, 2, 0, 0, 1, 0), strict=True))
_BY_TIME = dict(zip(NAMES, (0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 1), strict=True))


@dataclass(frozen=True, slots=True)
class Greeks:
    """Price and Greeks of one or many options; all arrays have one shape.

    `units` says what scaling was applied ("natural" until then); sums of unlike units are refused.
    """

    price: Floats
    delta: Floats
    gamma: Floats
    vega: Floats
    theta: Floats
    rho: Floats
    vanna: Floats
    volga: Floats
    charm: Floats
    speed: Floats
    zomma: Floats
    color: Floats
    units: str = "natural"

    @classmethod
    def from_rows(cls, rows: Floats, shape: tuple[int, ...]) -> Self:
        """From an array of shape (12, n), as the kernels fill it, to arrays of `shape`."""
        return cls(*(row.reshape(shape) for row in rows))

    def items(self) -> Iterator[tuple[str, Floats]]:
        """(name, array) in the order of the table above."""
        return ((name, getattr(self, name)) for name in NAMES)

    def __add__(self, other: Self) -> Self:
        """Element by element, as two legs of one book."""
        if not isinstance(other, Greeks):
            return NotImplemented
        if self.units != other.units:
            raise InvalidInput(
                f"cannot add Greeks in {self.units} units to Greeks in {other.units} units; "
                "convert after adding"
            )
        return self._with({name: a + getattr(other, name) for name, a in self.items()}, self.units)

    def scaled(self, quantity: ArrayLike) -> Self:
        """Every number times `quantity` (contracts, contracts x multiplier, -1 to sell)."""
        q = np.asarray(quantity, np.float64)
        return self._with({name: a * q for name, a in self.items()}, self.units)

    def dollars(self, spot: ArrayLike, multiplier: ArrayLike = 1.0) -> Self:
        """USD of the position, with the underlying's move measured in percent of `spot`.

        delta is USD per 1 %, gamma the change of that delta per 1 %, so a move of x % earns
        delta x + gamma x^2 / 2; vanna, charm, speed, zomma and color follow. The others are only
        multiplied. `spot` is the underlying the Greeks refer to, `multiplier` shares per contract.
        """
        percent = np.asarray(spot, np.float64) / 100.0
        m = np.asarray(multiplier, np.float64)
        values = {name: a * m * percent ** _BY_UNDERLYING[name] for name, a in self.items()}
        return self._with(values, self._renamed("dollar"))

    def in_trader_units(self) -> Self:
        """Vega, vanna, volga, zomma per vol point, rho per 1 %, theta, charm, color per day."""
        values = {
            name: a / (100.0 ** _BY_POINT[name] * float(DAYS_PER_YEAR) ** _BY_TIME[name])
            for name, a in self.items()
        }
        return self._with(values, self._renamed("trader"))

    def _with(self, values: dict[str, Any], units: str) -> Self:
        """The same struct with other arrays."""
        return type(self)(**values, units=units)

    def _renamed(self, unit: str) -> str:
        """The unit's name after one more conversion; the same conversion twice is a mistake."""
        names = [] if self.units == "natural" else self.units.split("+")
        if unit in names:
            raise InvalidInput(f"these Greeks are in {self.units} units already")
        return "+".join(sorted([*names, unit]))
