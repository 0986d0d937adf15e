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
dual_delta  dV/dK              USD per USD of strike                same
density d2V/dK2 / df           per USD                              same

`density` is the risk-neutral density of the price at expiry, read at the strike (Breeden and
Litzenberger 1978); an American option has none.

What stays fixed while t or r moves: `black` holds the forward (r = -ln(df)/years, so rho is
-years * price), `bsm` and `american` hold the spot and the yield.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from surfaces.containers import NUMPY, Container, of
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
    "dual_delta",
    "density",
)
# How often each name is differentiated by the underlying, by vol or rate, and by time.
_BY_UNDERLYING = dict(zip(NAMES, (0, 1, 2, 0, 0, 0, 1, 0, 1, 3, 2, 2, 0, 0), strict=True))
_BY_POINT = dict(zip(NAMES, (0, 0, 0, 1, 0, 1, 1, 2, 0, 0, 1, 0, 0, 0), strict=True))
_BY_TIME = dict(zip(NAMES, (0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 1, 0, 0), strict=True))


Unit = Literal["natural", "trader"]


@dataclass(frozen=True, slots=True)
class Greeks:
    """Price and Greeks of one or many options; all arrays have one shape.

    Each number of the table above is an attribute, if it was asked for (`which=`). `units` says
    what scaling was applied ("natural" until then); sums of unlike units are refused.
    """

    values: dict[str, Any]
    units: str = "natural"

    @classmethod
    def from_rows(
        cls,
        rows: Floats,
        shape: tuple[int, ...],
        names: Sequence[str] | None = None,
        container: Container = NUMPY,
    ) -> Self:
        """From an array of shape (m, n), one row a name, to arrays of `shape` or Series.

        `names` are by default the first m of NAMES.
        """
        named = zip(NAMES[: len(rows)] if names is None else names, rows, strict=True)
        return cls({name: container.wrap(name, row, shape) for name, row in named})

    def __getattr__(self, name: str) -> Floats:
        try:
            return self.values[name]
        except KeyError:
            words = "was not computed" if name in NAMES else "is no Greek"
            have = ", ".join(self.values)
            raise AttributeError(f"{name} {words}; this struct holds {have}") from None

    def items(self) -> Iterator[tuple[str, Floats]]:
        """(name, array) in the order of the table above."""
        return iter(self.values.items())

    def to_polars(self) -> Any:
        """One column a name, for one-dimensional Greeks."""
        import polars as pl

        return pl.DataFrame({name: self._column(a) for name, a in self.items()})

    def to_pandas(self) -> Any:
        """One column a name; the index of the Series that went in, if one did."""
        import pandas as pd

        kept = {n: a if isinstance(a, pd.Series) else self._column(a) for n, a in self.items()}
        return pd.DataFrame(kept)

    @staticmethod
    def _column(values: Any) -> Any:
        """One dimension, or InvalidInput: a frame has no more."""
        if np.ndim(values) > 1:
            raise InvalidInput(
                f"Greeks of shape {np.shape(values)} have no frame; take a row or .ravel() the "
                "arguments first"
            )
        return np.atleast_1d(values)

    def in_units(self, units: Unit) -> Self:
        """As they are for "natural", or `in_trader_units`."""
        if units == "natural":
            return self
        if units == "trader":
            return self.in_trader_units()
        raise InvalidInput(f"units is {units!r}, must be 'natural' or 'trader'")

    def __add__(self, other: Self) -> Self:
        """Element by element, as two legs of one book."""
        if not isinstance(other, Greeks):
            return NotImplemented
        if self.units != other.units:
            raise InvalidInput(
                f"cannot add Greeks in {self.units} units to Greeks in {other.units} units; "
                "convert after adding"
            )
        if self.values.keys() != other.values.keys():
            gap = ", ".join(sorted(self.values.keys() ^ other.values.keys()))
            raise InvalidInput(f"only one of two Greeks has {gap}; compute both with one which=")
        self._same_rows(*list(other.values.values())[:1])
        return self._with({name: a + other.values[name] for name, a in self.items()}, self.units)

    def scaled(self, quantity: ArrayLike) -> Self:
        """Every number times `quantity` (contracts, contracts x multiplier, -1 to sell)."""
        self._same_rows(quantity)
        q = np.asarray(quantity, np.float64)
        return self._with({name: a * q for name, a in self.items()}, self.units)

    def dollars(self, spot: ArrayLike, multiplier: ArrayLike = 1.0) -> Self:
        """USD of the position, with the underlying's move measured in percent of `spot`.

        delta is USD per 1 %, gamma the change of that delta per 1 %, so a move of x % earns
        delta x + gamma x^2 / 2; vanna, charm, speed, zomma and color follow. The others are only
        multiplied. `spot` is the underlying the Greeks refer to, `multiplier` shares per contract.
        """
        self._same_rows(spot, multiplier)
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

    def _same_rows(self, *others: Any) -> None:
        """Raise if a Series among `others` has another index: nothing is aligned silently."""
        of(*list(self.values.values())[:1], *others)

    def __dir__(self) -> list[str]:
        return [*object.__dir__(self), *self.values]

    def __repr__(self) -> str:
        shapes = {np.shape(a) for a in self.values.values()}
        shape = next(iter(shapes), ())
        if shape == ():
            said = ", ".join(f"{name}={float(a):.6g}" for name, a in self.items())
        else:
            said = f"{', '.join(self.values)}: {len(self.values)} arrays of shape {shape}"
        return f"Greeks({said}; {self.units} units)"

    def _with(self, values: dict[str, Any], units: str) -> Self:
        """The same struct with other arrays."""
        return type(self)(values, units)

    def _renamed(self, unit: str) -> str:
        """The unit's name after one more conversion; the same conversion twice is a mistake."""
        names = [] if self.units == "natural" else self.units.split("+")
        if unit in names:
            raise InvalidInput(f"these Greeks are in {self.units} units already")
        return "+".join(sorted([*names, unit]))


def wanted(which: Sequence[str] | None, names: tuple[str, ...] = NAMES) -> list[str]:
    """The Greeks asked for, each once; an unknown name raises and lists the known ones."""
    if which is None:
        return list(names)
    asked = [which] if isinstance(which, str) else list(dict.fromkeys(which))
    unknown = [name for name in asked if name not in names]
    if unknown or not asked:
        said = ", ".join(map(repr, unknown)) or "empty"
        raise InvalidInput(f"which is {said}, must be some of {', '.join(names)}")
    return asked
