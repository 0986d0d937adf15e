"""What Heston and Bates share above the kernel: arguments checked, rows put in order, a struct.

Units and definitions of the numbers: `surfaces.pricing.heston`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from surfaces import checks as check
from surfaces import containers
from surfaces.errors import InvalidInput
from surfaces.kernels import heston as kernel
from surfaces.pricing import implied
from surfaces.pricing.implied import ImpliedVol

Floats = NDArray[np.float64]

WITHIN = 3e-6  # agreement asked of two rules; the better one is off by the square of it, or less
LEAST = 1e-10  # of sqrt(F K): the error of a price below is too much of it to have a vol
HESTON = ("v0", "kappa", "theta", "sigma", "rho")
JUMPS = ("jump_rate", "jump_mean", "jump_std")
PLAIN = (
    "price",
    "delta",
    "gamma",
    "theta",
    "rho",
    "vega",
    "vega_parallel",
    "vanna",
    "volga",
    "charm",
    "dual_delta",
    "density",
)
NAMES = (*PLAIN, *(f"d_{name}" for name in (*HESTON, *JUMPS)))
# what the quicker table of numerators holds
GRADIENT = frozenset(NAMES) - {
    "gamma", "vanna", "volga", "charm", "density", *(f"d_{name}" for name in JUMPS),
}  # fmt: skip

VARIANCE = "A variance: vol squared, 0.04 for 20 %."


@dataclass(frozen=True, slots=True)
class ModelGreeks:
    """Price and sensitivities of one or many options; all arrays have one shape.

    Each name asked for is an attribute; see `surfaces.pricing.heston.greeks` for definitions.
    """

    values: dict[str, Any]

    def __getattr__(self, name: str) -> Any:
        try:
            return self.values[name]
        except KeyError:
            words = "was not computed" if name in NAMES else "is no sensitivity"
            have = ", ".join(self.values)
            raise AttributeError(f"{name} {words}; this struct holds {have}") from None

    def items(self) -> Iterator[tuple[str, Any]]:
        """(name, array), in the order asked for."""
        return iter(self.values.items())

    def to_polars(self) -> Any:
        """One column a name, for one-dimensional arrays and numbers."""
        import polars as pl

        return pl.DataFrame({name: np.atleast_1d(a) for name, a in self.items()})

    def __dir__(self) -> list[str]:
        return [*object.__dir__(self), *self.values]

    def __repr__(self) -> str:
        shapes = {np.shape(a) for a in self.values.values()}
        shape = next(iter(shapes), ())
        if shape == ():
            said = ", ".join(f"{name}={float(a):.6g}" for name, a in self.items())
        else:
            said = f"{', '.join(self.values)}: {len(self.values)} arrays of shape {shape}"
        return f"ModelGreeks({said})"


def parameter(name: str, value: Any, low: float, unit: str, hint: str) -> float:
    """A float >= low, or InvalidInput."""
    return check.one(name, check.at_least(name, value, low, unit=unit, hint=hint))


def settle(params: Any) -> None:
    """Check Heston's five attributes of a frozen struct, and make floats of them."""
    for name, unit, hint in (
        ("v0", "per year", VARIANCE),
        ("kappa", "per year", "The speed of mean reversion."),
        ("theta", "per year", VARIANCE),
        ("sigma", "", "The vol of variance."),
    ):
        value = parameter(name, getattr(params, name), 0.0, unit, hint)
        object.__setattr__(params, name, value)
    rho = check.one("rho", check.numbers("rho", params.rho))
    if not -1.0 < rho < 1.0:
        raise InvalidInput(
            f"rho is {rho:g}, must be > -1 and < 1: the correlation of spot and variance; "
            "0.999 is close enough to 1"
        )
    object.__setattr__(params, "rho", rho)


def vector(params: Any, names: Sequence[str]) -> Floats:
    """The named letters as an array; `dataclasses.astuple` would copy each of them deeply."""
    return np.array([getattr(params, name) for name in names])


def feller(kappa: float, theta: float, sigma: float) -> float:
    """2 kappa theta / sigma^2."""
    return 2.0 * kappa * theta / sigma**2 if sigma > 0.0 else np.inf


def wanted(which: Sequence[str] | None, names: tuple[str, ...]) -> list[str]:
    """The names asked for, each once; an unknown one raises and lists the known ones."""
    if which is None:
        return list(names)
    asked = [which] if isinstance(which, str) else list(dict.fromkeys(which))
    unknown = [name for name in asked if name not in names]
    if unknown or not asked:
        said = ", ".join(map(repr, unknown)) or "empty"
        raise InvalidInput(f"which is {said}, must be some of {', '.join(names)}")
    return asked


def run(
    p: Floats,
    names: Sequence[str],
    right: ArrayLike,
    forward: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    df: ArrayLike,
) -> dict[str, Any]:
    """Arrays by name, of the broadcast shape, in the caller's container.

    p: the five parameters of Heston, then the jumps' rate, mean and std.
    """
    box = containers.of(right, forward, strike, years, df)
    positive = "Drop such rows before pricing."
    shape, (w, F, K, T, d) = check.columns(
        check.right(right),
        check.above("forward", forward, 0.0, unit="USD", hint=positive),
        check.above("strike", strike, 0.0, unit="USD", hint=positive),
        check.at_least(
            "years", years, 0.0, unit="years", hint="Remove expired rows with chain.alive(now)."
        ),
        check.above("df", df, 0.0, unit="", hint="Discount factors, not rates: exp(-r*T)."),
    )
    order = np.argsort(T, kind="stable")
    where = np.full(len(NAMES), -1, np.int64)
    for row, name in enumerate(names):
        where[NAMES.index(name)] = row
    level = 0 if list(names) == ["price"] else 1 if GRADIENT.issuperset(names) else 2
    out = np.empty((len(names), T.size))
    failed = kernel.fill(p, level, WITHIN, order, w, F, K, T, d, where, out)
    if failed:
        _refuse(out, K, T, p)
    return {name: box.wrap(name, row, shape) for name, row in zip(names, out, strict=True)}


def _refuse(out: Floats, strike: Floats, years: Floats, p: Floats) -> None:
    """Raise for options whose integral did not converge."""
    bad = np.isnan(out).any(axis=0)
    at = int(np.argmax(bad))
    raise InvalidInput(
        f"the integral of {int(bad.sum())} of {bad.size} options does not converge, first strike "
        f"{strike[at]:g} at {years[at]:g} years: the variance to expiry is too small beside sigma "
        f"({p[3]:g}) and rho ({p[4]:g}). Lower sigma, or raise v0 or theta."
    )


def vols(p: Floats, forward: ArrayLike, strike: ArrayLike, years: ArrayLike) -> ImpliedVol:
    """Black vols from out-of-the-money prices."""
    K, F = check.numbers("strike", strike), check.numbers("forward", forward)
    right = np.where(K >= F, 1.0, -1.0)
    value = run(p, ["price"], right, F, K, check.numbers("years", years), 1.0)["price"]
    value = np.where(value < LEAST * np.sqrt(F * K), 0.0, value)
    return implied.vol(price=value, right=right, forward=forward, strike=strike, years=years)
