"""American prices, early-exercise premia, Greeks and implied vols on a continuous yield.

For an option on a future pass the future as `spot` and `dividend_yield=rate`. Cash dividends are
not priced: use the yield that the option's own forward implies, ln(spot/forward)/years + rate.

Accuracy  "fast" has an error of 1e-4 USD (root mean square, spot 500, up to a year), "precise"
          1e-5 at about four times the cost; both grow with rate times years and under 5 % of vol.
Units     as `surfaces.pricing.bsm`; Greeks as `surfaces.pricing.greeks`, on spot.
Source    see `surfaces.kernels.american`.
Checked   tests/surfaces/pricing/test_american.py: Andersen-Lake-Offengenden (2016), Ju (1999),
          QuantLib's tables at edges and at random, tanh-sinh quadrature.
"""

from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from surfaces import checks as check
from surfaces.errors import InvalidInput
from surfaces.kernels import american as kernel
from surfaces.kernels.american import Scheme
from surfaces.pricing.bsm import spot_columns
from surfaces.pricing.greeks import NAMES, Floats, Greeks
from surfaces.pricing.implied import ImpliedVol

Accuracy = Literal["fast", "precise"]


def price(
    *,
    right: ArrayLike,
    spot: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    vol: ArrayLike,
    rate: ArrayLike,
    dividend_yield: ArrayLike = 0.0,
    dividends: None = None,
    accuracy: Accuracy = "fast",
) -> Floats:
    """Price American options; all arguments broadcast together.

    Parameters
    ----------
    right : +1 or "c" for a call, -1 or "p" for a put
    spot : USD per share, >= 0
    strike : USD per share, >= 0
    years : time to expiry in years, >= 0; zero gives intrinsic value
    vol : decimal per square-root year, >= 0; zero gives the best sure moment of exercise
    rate : continuously compounded decimal per year; may be negative
    dividend_yield : the same, including borrow; `rate` for an option on a future
    dividends : must be None; cash dividends are not priced yet
    accuracy : "fast" or "precise"

    Returns
    -------
    USD per share, at least intrinsic and at least the European price.

    Raises
    ------
    InvalidInput
        Names the first offending element; also where rate and yield give two exercise boundaries
        (put: dividend_yield < rate < 0, call: rate < dividend_yield < 0).

    Examples
    --------
    >>> float(price(right=-1, spot=36.0, strike=40.0, years=1.0, vol=0.2, rate=0.06).round(3))
    4.487
    """
    _no_cash(dividends)
    shape, columns = _columns(right, spot, strike, years, vol, rate, dividend_yield)
    return _priced(columns, accuracy)[0].reshape(shape)


def premium(
    *,
    right: ArrayLike,
    spot: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    vol: ArrayLike,
    rate: ArrayLike,
    dividend_yield: ArrayLike = 0.0,
    accuracy: Accuracy = "fast",
) -> Floats:
    """What the right to exercise early adds to the European price; arguments as in `price`.

    USD per share, >= 0; exactly zero where early exercise never pays (a put with rate <= 0 and
    dividend_yield >= rate, a call with dividend_yield <= 0 and rate >= dividend_yield).
    """
    shape, columns = _columns(right, spot, strike, years, vol, rate, dividend_yield)
    return _priced(columns, accuracy)[1].reshape(shape)


def greeks(
    *,
    right: ArrayLike,
    spot: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    vol: ArrayLike,
    rate: ArrayLike,
    dividend_yield: ArrayLike = 0.0,
    dividends: None = None,
    accuracy: Accuracy = "fast",
) -> Greeks:
    """Price and eleven Greeks with respect to spot; arguments and errors as in `price`.

    The European part is analytic, the premium's spot and time derivatives are taken under its
    integral, and its vol and rate derivatives are central differences (0.2 % of vol, 1 bp of rate).
    Past the exercise boundary delta is +1 or -1 and the others are zero; gamma jumps there.
    """
    from surfaces.kernels.american_greeks import fill_greeks

    _no_cash(dividends)
    shape, columns = _columns(right, spot, strike, years, vol, rate, dividend_yield)
    rows = np.empty((len(NAMES), columns[0].size))
    plan = _scheme(accuracy, smooth=True)
    fill_greeks(*columns, plan, *_scratch(plan), np.empty(len(NAMES)), rows)
    return Greeks.from_rows(rows, shape)


def vol(
    *,
    price: ArrayLike,
    right: ArrayLike,
    spot: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    rate: ArrayLike,
    dividend_yield: ArrayLike = 0.0,
    dividends: None = None,
    accuracy: Accuracy = "fast",
) -> ImpliedVol:
    """Invert `price` at the same accuracy. A bad quote never raises: it gets NaN and a status.

    BELOW_INTRINSIC is below the best sure exercise (intrinsic or later), NO_VEGA exactly there;
    ABOVE_BOUND at or above spot for a call, strike for a put; UNSUPPORTED where rate and yield give
    two exercise boundaries; the others as in `surfaces.pricing.implied.vol`.
    """
    from surfaces.kernels.american_vol import fill_vol

    _no_cash(dividends)
    shape, columns = check.columns(
        check.numbers("price", price),
        check.right(right),
        check.numbers("spot", spot),
        check.numbers("strike", strike),
        check.numbers("years", years),
        check.numbers("rate", rate),
        check.numbers("dividend_yield", dividend_yield),
    )
    size = columns[0].size
    out, status = np.empty(size), np.empty(size, np.uint8)
    plan = _scheme(accuracy)
    fill_vol(*columns, plan, *_scratch(plan), out, status)
    return ImpliedVol(out.reshape(shape), status.reshape(shape))


def build_scheme(*, nodes: int, inner: int, outer: int, steps: int, tol: float = 1e-10) -> Scheme:
    """Constants of the engine: boundary nodes, inner and outer quadrature points, iterations."""
    points = -np.cos(np.pi * np.arange(nodes + 1) / nodes)
    root = 0.5 * (1.0 + points)
    v, w, left = _time_quadrature(inner)
    outer_v, outer_w, outer_left = _time_quadrature(outer)
    return Scheme(
        root=root,
        v=v,
        w=w,
        inner=_interpolation(2.0 * root[1:, None] * left - 1.0, points),
        outer_v=outer_v,
        outer_w=outer_w,
        outer=_interpolation(2.0 * outer_left - 1.0, points),
        steps=steps,
        tol=tol,
    )


@cache
def _scheme(accuracy: str, smooth: bool = False) -> Scheme:
    """The named accuracy; `smooth` spends more where differences are taken."""
    if accuracy == "fast":
        if smooth:
            return build_scheme(nodes=6, inner=6, outer=28, steps=2)
        return build_scheme(nodes=6, inner=6, outer=20, steps=2, tol=1e-3)
    if accuracy == "precise":
        if smooth:
            return build_scheme(nodes=10, inner=10, outer=48, steps=5)
        return build_scheme(nodes=10, inner=10, outer=28, steps=5, tol=1e-6)
    raise InvalidInput(f"accuracy is {accuracy!r}, must be 'fast' or 'precise'")


def _time_quadrature(points: int) -> tuple[Floats, Floats, Floats]:
    """(v, weights, sqrt(1 - v^2)) for integrals over t = tau v^2 in [0, tau], divided by tau.

    Gauss-Legendre in the angle of v = sin(angle): the integrand is smooth in v at one end and in
    sqrt(1 - v^2), through the boundary, at the other; in the angle it is smooth at both.
    """
    x, w = np.polynomial.legendre.leggauss(points)
    angle = 0.25 * np.pi * (1.0 + x)
    return np.sin(angle), 0.25 * np.pi * w * np.sin(2.0 * angle), np.cos(angle)


def _interpolation(at: Floats, nodes: Floats) -> Floats:
    """Barycentric weights, shape (*at.shape, nodes), from values at Chebyshev extrema to `at`."""
    signs = (-1.0) ** np.arange(nodes.size)
    signs[[0, -1]] *= 0.5
    terms = signs / (at[..., None] - nodes)  # quadrature points are never Chebyshev extrema
    return np.ascontiguousarray(terms / terms.sum(axis=-1, keepdims=True))


def _priced(columns: list[Floats], accuracy: Accuracy) -> tuple[Floats, Floats]:
    """(price, premium), 1-D."""
    plan = _scheme(accuracy)
    value, extra = np.empty(columns[0].size), np.empty(columns[0].size)
    kernel.fill_price(*columns, plan, *_scratch(plan), value, extra)
    return value, extra


def _scratch(plan: Scheme) -> tuple[Floats, Floats]:
    """Two work arrays of the scheme's size."""
    return np.empty(plan.root.size), np.empty(plan.root.size)


def _columns(
    right: ArrayLike,
    spot: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    vol: ArrayLike,
    rate: ArrayLike,
    dividend_yield: ArrayLike,
) -> tuple[tuple[int, ...], list[Floats]]:
    """Checked and broadcast; refuses rows with two exercise boundaries."""
    shape, columns = spot_columns(right, spot, strike, years, vol, rate, dividend_yield)
    w, _, _, T, _, r, q = columns
    earned, other = np.where(w > 0.0, q, r), np.where(w > 0.0, r, q)
    bad = (earned < 0.0) & (other < earned) & (T > 0.0)
    if bad.any():
        flat = int(np.argmax(bad))
        where = np.unravel_index(flat, shape)
        at = f"[{', '.join(map(str, where))}]" if shape else ""
        raise InvalidInput(
            f"rate{at} is {r[flat]:g} and dividend_yield{at} is {q[flat]:g} per year for a "
            f"{'call' if w[flat] > 0 else 'put'}: that has two exercise boundaries, which this "
            f"engine does not price ({int(bad.sum())} of {bad.size} fail). A put needs rate >= 0 "
            "or dividend_yield >= rate, a call dividend_yield >= 0 or rate >= dividend_yield."
        )
    return shape, columns


def _no_cash(dividends: object) -> None:
    """Refuse a cash schedule instead of ignoring it."""
    if dividends is not None:
        raise InvalidInput(
            "cash dividends are not priced yet: dividends must be None; pass dividend_yield "
            "implied from the forward, ln(spot/forward)/years + rate"
        )
