"""Andreasen and Huge's interpolation: a whole surface, free of arbitrage, from few quotes.

One implicit finite-difference step leads from each expiry's prices to the next one's, with a local
vol between the strikes that is calibrated until the step reprices the quotes. Such a step raises
every price and keeps prices convex in strike, whatever the local vol, so the surface has neither
calendar nor butterfly arbitrage on its nodes by construction. Between two expiries the same step is
taken with part of its length.

Units   k = ln(strike/forward); years ACT/365; vols decimal; prices undiscounted, out of the money,
        in units of the forward.
Source  J. Andreasen, B. Huge, Volatility interpolation, Risk (March 2011) 76-79.
Checked tests/surfaces/local_vol/test_andreasen_huge.py, tests/quantlib/.
"""

import math
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from surfaces import checks as check
from surfaces.andreasen_huge_march import (
    TOLERANCE,
    Marched,
    Plan,
    Quotes,
    Steps,
    march,
    nodes_of,
    priced,
)
from surfaces.errors import InvalidInput
from surfaces.kernels import andreasen_huge_step as kernel
from surfaces.kernels.andreasen_huge_step import ROWS
from surfaces.local_vol import Flag, LocalVol, gap_times
from surfaces.pricing import implied

if TYPE_CHECKING:
    from surfaces.surface import VolSurface

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Shape = Literal["linear", "constant"]

SHAPES = ("linear", "constant")
SAME = 9  # decimals of k: strikes closer than that share a node
REPAIRS = 3  # times that earlier expiries are asked to stay below later quotes
SMOOTHING = 1.0  # where spreads are given: cost of second differences, in squared half spreads
AT = np.concatenate(  # deviations at which a fitted curve is read
    [
        np.arange(*part)
        for part in ((-40, -8, 2.0), (-8, -4, 1.0), (-4, 4, 0.5), (4, 8, 1.0), (8, 41, 2.0))
    ]
)


class QuoteStatus(IntEnum):
    """What became of one quote."""

    OK = 0
    MISSED = 1
    CALENDAR = 2
    BAD_INPUT = 3
    DUPLICATE = 4
    BUTTERFLY = 5
    STOPGAP = 6


_WORDS = {
    QuoteStatus.OK: "",
    QuoteStatus.MISSED: (
        "not repriced within 1e-5 in vol, or its half spread if given: its neighbours in strike or "
        "time contradict it"
    ),
    QuoteStatus.CALENDAR: (
        "left out: worth no more than the surface's price one expiry earlier at the same "
        "strike/forward: calendar arbitrage with the quotes there"
    ),
    QuoteStatus.BAD_INPUT: (
        "left out: moneyness, years or vol is NaN, infinite or not positive, or the vol carries no "
        "price"
    ),
    QuoteStatus.DUPLICATE: "left out: another quote of the same strike and expiry came before it",
    QuoteStatus.BUTTERFLY: (
        "left out: dearer than the line between its neighbours' prices: butterfly arbitrage"
    ),
    QuoteStatus.STOPGAP: (
        "repriced, but read off a borrowed or kept curve: no expiry has one fitted to its quotes"
    ),
}


def words(status: int) -> str:
    """What `status` says of a quote, in one sentence; empty for OK."""
    return _WORDS[QuoteStatus(status)]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class AndreasenHuge:
    """A calibrated surface. Per quote (q,), in the order given: `status` codes of `QuoteStatus`,
    `model_vol`, and `error` = model_vol - vol, of quotes left out as arbitrage too, NaN for bad
    input and duplicates. Per expiry (m,): `years` and the `searches` steps taken. Read-only.
    """

    years: Floats
    searches: Ints
    quote_k: Floats
    quote_years: Floats
    quote_vol: Floats
    model_vol: Floats
    error: Floats
    status: NDArray[np.uint8]
    steps: Steps

    def __repr__(self) -> str:
        fine = np.isin(self.status, (QuoteStatus.OK, QuoteStatus.STOPGAP))
        worst = np.abs(self.error[fine]).max(initial=0.0)
        return (
            f"<AndreasenHuge {self.years.size} expiries, {int(fine.sum())} quotes repriced, "
            f"largest error {worst:.2g} in vol, {int((~fine).sum())} not>"
        )

    def why(self) -> dict[str, int]:
        """How many quotes are not OK, by reason; empty when all are."""
        codes, n = np.unique(self.status, return_counts=True)
        pairs = zip(codes.tolist(), n.tolist(), strict=True)
        return {words(code): count for code, count in pairs if code != QuoteStatus.OK}

    def price(self, k: ArrayLike, years: ArrayLike) -> Floats:
        """Out-of-the-money price in units of the forward: a call for k >= 0, a put below.

        Arguments broadcast; years > 0. After the last expiry its local vol is held. Zero beyond the
        nodes, nine deviations out.
        """
        k = check.finite("k", k, unit="", hint="k is ln(strike/forward).")
        years = check.above("years", years, 0.0, unit="years", hint="Remove expired rows.")
        k, years = check.together(k=k, years=years)
        order = np.argsort(years, axis=None, kind="stable")
        strike = np.exp(k.ravel()[order])
        found, out = np.empty(k.size), np.empty(k.size)
        n = self.steps.x.size
        kernel.fill_prices(
            *self.steps, years.ravel()[order], strike, np.empty((ROWS, n)),
            np.empty((2, n)), found,
        )  # fmt: skip
        out[order] = found
        return out.reshape(k.shape)

    def vol(self, k: ArrayLike, years: ArrayLike) -> Floats:
        """Implied vol; arguments as for `price`. NaN where a price carries no vol."""
        k, years = np.asarray(k, np.float64), np.asarray(years, np.float64)
        found = implied.vol(
            price=self.price(k, years), right=np.where(k >= 0.0, 1.0, -1.0), forward=1.0,
            strike=np.exp(k), years=years,
        )  # fmt: skip
        return np.where(found.status == 0, found.vol, np.nan)

    def local_vol(self, years: ArrayLike | None = None, k: ArrayLike | None = None) -> LocalVol:
        """The local vol of the scheme: 2 c_T / (x^2 c_xx), from the step's own derivative in time.

        `years`: nodes, by default fifteen in each gap between expiries; `k`: nodes, by default
        those of the scheme, between which it is taken as linear. Where no density is left in double
        precision a node is UNDEFINED. As the time since the expiry before goes to zero it becomes
        the calibrated one, except before the first expiry: one step from a certain price leaves a
        density with an edge at the forward, and a local vol that grows without bound away from it.
        """
        at = np.concatenate(([0.0], self.years))
        years = gap_times(at) if years is None else np.array(years, np.float64, ndmin=1)
        nodes = np.log(self.steps.x)
        n = nodes.size
        check.above("years", years, 0.0, unit="years", hint="The first row holds from now on.")
        found = np.empty((years.size, n))
        s = self.steps
        kernel.fill_local(
            s.grid, s.starts, s.segment, s.share, s.vol, s.prices, years,
            np.empty((ROWS, n)), np.empty((2, n)), found,
        )  # fmt: skip
        vol = np.sqrt(found)
        if k is None:
            k, vol = nodes[1:-1], vol[:, 1:-1]
        else:
            k = np.array(k, np.float64, ndmin=1)
            vol = np.array([_between(k, nodes, row) for row in vol])
        flag = np.where(np.isfinite(vol), np.uint8(Flag.OK), np.uint8(Flag.UNDEFINED))
        flag[(years > self.years[-1])[:, None] & (flag == Flag.OK)] = Flag.EXTRAPOLATED
        return LocalVol(years, k, vol, flag)


def _between(k: Floats, nodes: Floats, row: Floats) -> Floats:
    """`row` at k, linear between the nodes that have a value and NaN outside them."""
    good = np.isfinite(row)
    return np.interp(k, nodes[good], row[good], left=np.nan, right=np.nan)


def calibrate(
    *,
    moneyness: ArrayLike,
    years: ArrayLike,
    vol: ArrayLike,
    half_spread: ArrayLike | None = None,
    shape: Shape = "linear",
    points: int = 240,
    smoothing: float | None = None,
) -> AndreasenHuge:
    """Calibrate to implied vols; rows in any order, any number of strikes an expiry, one too.

    A quote that cannot be used or repriced gets a status, and never raises.

    Parameters
    ----------
    moneyness : strike/forward, > 0; broadcasts with the rest, one row a quote
    years : to expiry
    vol : implied, decimal per sqrt-year
    half_spread : half the bid-ask spread, in vol; quotes are then weighed by it, and one within it
        is repriced
    shape : local vol between strikes: "linear" in k, or "constant" about each strike
    points : nodes of the scheme, to which all quoted strikes are added
    smoothing : cost of the second differences of ln(local vol) from knot to knot, in squared vols
        (squared half spreads if those are given); default zero, which reprices exactly, and 1.0
        with half spreads, for quotes with noise

    Raises
    ------
    InvalidInput
        For shapes that do not broadcast, an unknown `shape`, or if no quote can be used.
    """
    if shape not in SHAPES:
        raise InvalidInput(f"shape is {shape!r}, must be one of {', '.join(SHAPES)}")
    points = check.count("points", points, 20, hint="Nodes of the scheme.")
    x, T, v = (
        np.array(a, np.float64, ndmin=1).ravel()
        for a in check.together(
            moneyness=check.numbers("moneyness", moneyness),
            years=check.numbers("years", years),
            vol=check.numbers("vol", vol),
        )
    )
    spread, cost = _settings(half_spread, smoothing, x.size)
    status, k, price, scale = _targets(x, T, v, spread)
    use = np.flatnonzero(status == QuoteStatus.OK)
    if not use.size:
        raise InvalidInput(
            f"none of {x.size} quotes can be used; moneyness, years and vol must be finite and > 0"
        )
    use = use[np.lexsort((k[use], T[use]))]
    twice = np.append(False, (np.diff(k[use]) == 0.0) & (np.diff(T[use]) == 0.0))
    status[use[twice]] = QuoteStatus.DUPLICATE
    use = use[~twice]
    quotes = Quotes(k[use], T[use], v[use], price[use], scale[use])
    unit = 1.0 if spread is None else 1.0 / float(np.median(spread[use]))
    plan = Plan(nodes_of(quotes.k, quotes.years, quotes.vol, points), shape == "constant",
                cost, unit)  # fmt: skip
    found = _repaired(quotes, plan)
    model = np.full(x.size, np.nan)
    got = implied.vol(
        price=found.price, right=np.where(quotes.k >= 0.0, 1.0, -1.0), forward=1.0,
        strike=np.exp(quotes.k), years=quotes.years,
    )  # fmt: skip
    model[use] = got.vol
    error = model - v
    allowed = TOLERANCE if spread is None else np.maximum(spread[use], TOLERANCE)
    missed = ~(np.abs(error[use]) <= allowed) & (found.status == QuoteStatus.OK)
    status[use] = np.where(missed, np.uint8(QuoteStatus.MISSED), found.status)
    with np.errstate(all="ignore"):
        quote_k = np.log(x)
    out = AndreasenHuge(
        found.years, found.searches, quote_k, T, v, model, error, status, found.steps
    )
    for name in out.__slots__:
        value = getattr(out, name)
        if isinstance(value, np.ndarray):
            value.setflags(write=False)
    return out


def _settings(
    half_spread: ArrayLike | None, smoothing: float | None, size: int
) -> tuple[Floats | None, float]:
    """Half spreads a quote, if there are any, and the cost of roughness."""
    spread = None
    if half_spread is not None:
        given = check.numbers("half_spread", half_spread).ravel()
        if given.size not in (1, size):
            raise InvalidInput(f"half_spread has {given.size} values, must be one or {size}")
        spread = np.broadcast_to(given, (size,))
    if smoothing is None:
        return spread, 0.0 if spread is None else SMOOTHING
    hint = "Zero reprices exactly."
    cost = check.at_least("smoothing", smoothing, 0.0, unit="", hint=hint)
    return spread, check.one("smoothing", cost)


def _repaired(quotes: Quotes, plan: Plan) -> Marched:
    """March; where a quote is worth no more than the surface one expiry before, ask that expiry to
    stay below it and march again, as long as that leaves fewer quotes out."""
    under = np.zeros(quotes.k.size, bool)
    found = march(quotes, plan, under)
    for _ in range(REPAIRS):
        low = found.status == QuoteStatus.CALENDAR
        if not np.any(low & ~under):
            break
        under |= low
        again = march(quotes, plan, under)
        if np.count_nonzero(again.status) < np.count_nonzero(found.status):
            found = again
    return found


def calibrate_surface(
    surface: "VolSurface", *, shape: Shape = "linear", points: int = 240
) -> AndreasenHuge:
    """Calibrate to a fitted surface: each live expiry's own curve at deviations `AT`, as far as its
    quotes reach.

    What the surface's certificate does not cover may contradict itself; such points get a status.
    Expiries whose curve is a stopgap (`certificate.STOPGAPS`) are left out; if there is no other,
    all are used and what is repriced has the status STOPGAP.
    """
    from surfaces import term
    from surfaces.certificate import STOPGAPS

    surface = term.own_curves(surface)
    slices = term.live_slices(surface)
    if slices.size == 0:
        raise InvalidInput("no expiry holds a curve, so nothing can be calibrated; see status")
    moneyness, years, vol = [], [], []
    for j in slices.tolist():
        T = float(surface.years[j])
        width = float(surface.atm_vol[j]) * math.sqrt(T)
        low, high = surface.quoted_range[j] / width
        z = AT[(low <= AT) & (high >= AT)]
        k = width * (z if z.size else np.zeros(1))
        moneyness.append(np.exp(k))
        years.append(np.full(k.size, T))
        vol.append(np.sqrt(term.variance_of(surface, j, k) / T))
    x, at, v = (np.concatenate(a) for a in (moneyness, years, vol))
    found = calibrate(moneyness=x, years=at, vol=v, shape=shape, points=points)
    if all(surface.path[j] in STOPGAPS for j in slices):
        status = np.where(found.status == QuoteStatus.OK, np.uint8(QuoteStatus.STOPGAP),
                          found.status)  # fmt: skip
        status.setflags(write=False)
        return replace(found, status=status)
    return found


def _targets(
    x: Floats, T: Floats, v: Floats, spread: Floats | None
) -> tuple[NDArray[np.uint8], Floats, Floats, Floats]:
    """Status, k on its node, target price and the weight of ln(model price / target), per quote."""
    status = np.zeros(x.size, np.uint8)
    good = (x > 0.0) & (x < np.inf) & (T > 0.0) & np.isfinite(T) & (v > 0.0) & (v < np.inf)
    if spread is not None:
        good &= (spread > 0.0) & (spread < np.inf)
    k = np.zeros(x.size)
    k[good] = np.round(np.log(x[good]), SAME) + 0.0
    price, scale = np.zeros(x.size), np.ones(x.size)
    price[good], scale[good] = priced(k[good], v[good] ** 2 * T[good], T[good])
    carries = price[good] > 0.0
    if spread is not None:
        scale[good] /= spread[good]
    good[np.flatnonzero(good)[~carries]] = False
    status[~good] = QuoteStatus.BAD_INPUT
    return status, k, price, scale
