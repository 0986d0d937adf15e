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
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from surfaces import checks as check
from surfaces.errors import InvalidInput
from surfaces.kernels import andreasen_huge as kernel
from surfaces.local_vol import Flag, LocalVol, gap_times, spread_nodes
from surfaces.pricing import black, implied

if TYPE_CHECKING:
    from surfaces.surface import VolSurface

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Shape = Literal["linear", "constant"]

SHAPES = ("linear", "constant")
TOLERANCE = 1e-5  # error in vol up to which a quote is repriced
ACCURATE = 1e-9  # error in vol, or in half spreads, that ends a search
STEPS = 60  # of a search
FAR = 9.0  # deviations that nodes reach
FINE = 0.08  # of the first expiry's deviation: the spacing of nodes at the forward
SAME = 9  # decimals of k: strikes closer than that share a node
CLOSE = 0.3  # of the spacing: nodes nearer than this to a quoted strike are left out
APART = 0.75  # deviations between guides, and from the nearest quote
REACH = 6.0  # deviations as far as which there are guides
GUIDE = 0.01  # weight of a guide beside a quote
REPAIRS = 3  # times that earlier expiries are asked to stay below later quotes
AT = np.concatenate((np.arange(-40.0, -8.0, 2.0), np.arange(-8.0, -4.0), np.arange(-4.0, 4.0, 0.5),
                     np.arange(4.0, 8.0), np.arange(8.0, 41.0, 2.0)))  # fmt: skip
SMOOTHING = 1.0  # where spreads are given: cost of second differences, in squared half spreads


class QuoteStatus(IntEnum):
    """What became of one quote."""

    OK = 0
    MISSED = 1
    CALENDAR = 2
    BAD_INPUT = 3
    DUPLICATE = 4
    BUTTERFLY = 5


_WORDS = {
    QuoteStatus.OK: "",
    QuoteStatus.MISSED: (
        "not repriced within tolerance: its neighbours in strike or time contradict it"
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
}


def words(status: int) -> str:
    """What `status` says of a quote, in one sentence; empty for OK."""
    return _WORDS[QuoteStatus(status)]


class _Steps(NamedTuple):
    """m calibrated steps on n nodes: what the kernels take."""

    x: Floats
    grid: Floats  # (3, n)
    starts: Floats  # (m,)
    segment: Ints  # (m, n)
    share: Floats  # (m, n)
    vol: Floats  # (m, knots), padded with the last knot's
    prices: Floats  # (m, 2, n): price and density before each step


class _Marched(NamedTuple):
    """What calibration found: per expiry (m,), and per quote (q,) the price and a status."""

    steps: _Steps
    years: Floats
    searches: Ints
    price: Floats
    status: NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class AndreasenHuge:
    """A calibrated surface. Per quote (q,), in the order given: `status` codes of `QuoteStatus`,
    `model_vol`, and `error` = model_vol - vol (NaN if left out). Per expiry (m,): `years` and the
    `searches` steps taken. Read-only.
    """

    years: Floats
    searches: Ints
    quote_k: Floats
    quote_years: Floats
    quote_vol: Floats
    model_vol: Floats
    error: Floats
    status: NDArray[np.uint8]
    steps: _Steps

    def __repr__(self) -> str:
        judged = np.isfinite(self.error)
        worst = np.abs(self.error[judged]).max()
        failed = int((self.status != QuoteStatus.OK).sum())
        return (
            f"<AndreasenHuge {self.years.size} expiries, {int(judged.sum())} quotes, largest error "
            f"{worst:.2g} in vol, {failed} not repriced>"
        )

    def why(self) -> dict[str, int]:
        """How many quotes were not repriced, by reason; empty when all were."""
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
            *self.steps, years.ravel()[order], strike, np.empty((kernel.ROWS, n)),
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

        `years`: nodes, by default fifteen in each gap between expiries; `k`: nodes, by default those
        of the scheme between which the local vol is linear. Where no density is left in double
        precision a node is UNDEFINED. As the time to an expiry before goes to zero it becomes the
        calibrated one, except before the first expiry: one step from a certain price leaves a
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
            np.empty((kernel.ROWS, n)), np.empty((2, n)), found,
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
    half_spread : half the bid-ask spread, in vol; quotes are then weighed by it
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
    spread = None
    if half_spread is not None:
        spread = np.broadcast_to(check.numbers("half_spread", half_spread), x.shape)
    if smoothing is None:
        smoothing = 0.0 if spread is None else SMOOTHING
    status, k, price, scale = _targets(x, T, v, spread)
    use = np.flatnonzero(status == QuoteStatus.OK)
    if not use.size:
        raise InvalidInput(
            f"none of {x.size} quotes can be used; moneyness, years and vol must be finite and > 0"
        )
    use = use[np.lexsort((k[use], T[use]))]
    nodes = _nodes(k[use], T[use], v[use], points)
    given = (nodes, k[use], T[use], v[use], price[use], scale[use], shape, float(smoothing))
    found = _march(*given, np.zeros(use.size, bool))
    under = np.zeros(use.size, bool)
    for _ in range(REPAIRS):
        now = found.status == QuoteStatus.CALENDAR
        if not np.any(now & ~under):
            break
        under |= now
        again = _march(*given, under)
        if (again.status != QuoteStatus.OK).sum() < (found.status != QuoteStatus.OK).sum():
            found = again
    model = np.full(x.size, np.nan)
    got = implied.vol(
        price=found.price, right=np.where(k[use] >= 0.0, 1.0, -1.0), forward=1.0, strike=np.exp(k[use]),
        years=T[use],
    )  # fmt: skip
    model[use] = got.vol
    error = model - v
    missed = ~(np.abs(error[use]) <= TOLERANCE) & (found.status == QuoteStatus.OK)
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


def calibrate_surface(
    surface: "VolSurface", *, shape: Shape = "linear", points: int = 240
) -> AndreasenHuge:
    """Calibrate to a fitted surface: each live expiry's own curve at deviations `AT`, as far as its
    quotes reach.

    What the surface's certificate does not cover may contradict itself; such points get a status.
    """
    from surfaces import term

    slices = term.live_slices(surface)
    if slices.size == 0:
        raise InvalidInput("no expiry holds a curve, so nothing can be calibrated; see status")
    moneyness, years, vol = [], [], []
    for j in slices.tolist():
        T = float(surface.years[j])
        width = float(surface.atm_vol[j]) * math.sqrt(T)
        low, high = surface.quoted_range[j] / width
        z = AT[(AT >= low) & (AT <= high)]
        k = width * (z if z.size else np.zeros(1))
        moneyness.append(np.exp(k))
        years.append(np.full(k.size, T))
        vol.append(np.sqrt(term.variance_of(surface, j, k) / T))
    rows = (np.concatenate(a) for a in (moneyness, years, vol))
    x, T_all, v = rows
    return calibrate(moneyness=x, years=T_all, vol=v, shape=shape, points=points)


def _targets(
    x: Floats, T: Floats, v: Floats, spread: Floats | None
) -> tuple[NDArray[np.uint8], Floats, Floats, Floats]:
    """Status, k on its node, target price and the weight of ln(model price / target), per quote."""
    status = np.zeros(x.size, np.uint8)
    good = (x > 0.0) & (x < np.inf) & (T > 0.0) & (T < np.inf) & (v > 0.0) & (v < np.inf)
    if spread is not None:
        good &= (spread > 0.0) & (spread < np.inf)
    k = np.zeros(x.size)
    k[good] = np.round(np.log(x[good]), SAME) + 0.0
    price, scale = np.zeros(x.size), np.ones(x.size)
    price[good], scale[good] = _priced(k[good], v[good] ** 2 * T[good], T[good])
    carries = price[good] > 0.0
    if spread is not None:
        scale[good] /= spread[good]
    good[np.flatnonzero(good)[~carries]] = False
    status[~good] = QuoteStatus.BAD_INPUT
    rows = np.flatnonzero(good)
    _, first = np.unique(np.stack((T[rows], k[rows])), axis=1, return_index=True)
    again = np.ones(rows.size, bool)
    again[first] = False
    status[rows[again]] = QuoteStatus.DUPLICATE
    return status, k, price, scale


def _nodes(k: Floats, T: Floats, v: Floats, points: int) -> Floats:
    """Nodes in k: spread evenly in asinh, with zero and every quoted strike among them."""
    width = v * np.sqrt(T)
    first = float(np.median(width[T == T[0]]))
    far = FAR * float(width.max())
    low, high = min(1.5 * k.min(), -far), max(1.5 * k.max(), far)
    nodes = spread_nodes(low, high, FINE * first, points)
    asked = np.unique(np.append(k, 0.0))
    gap = np.gradient(nodes)
    after = np.clip(np.searchsorted(asked, nodes), 0, asked.size - 1)
    near = np.minimum(
        np.abs(asked[after] - nodes), np.abs(asked[np.maximum(after - 1, 0)] - nodes)
    )
    return np.sort(np.concatenate((nodes[near > CLOSE * gap], asked)))


def _stencil(k: Floats) -> tuple[Floats, Floats]:
    """Moneyness and (3, n): x^2/2, and the second difference's weights left and right."""
    x = np.exp(k)
    h = np.diff(x)
    grid = np.zeros((3, x.size))
    grid[0] = 0.5 * x * x
    grid[1, 1:-1] = 2.0 / (h[:-1] * (h[:-1] + h[1:]))
    grid[2, 1:-1] = 2.0 / (h[1:] * (h[:-1] + h[1:]))
    return x, grid


def _march(
    nodes: Floats, k: Floats, T: Floats, v: Floats, price: Floats, scale: Floats,
    shape: Shape, smoothing: float, under: NDArray[np.bool_],
) -> _Marched:  # fmt: skip
    """Calibrate expiry after expiry; quotes sorted by (T, k). `under`: those that the expiry before
    must stay below."""
    x, grid = _stencil(nodes)
    years, first = np.unique(T, return_index=True)
    guide_of, guide_k, guide_w = _guides(years, np.append(first, T.size), k, v * v * T, under)
    own = np.concatenate((np.ones(T.size, np.int64), np.zeros(guide_k.size, np.int64)))
    all_k, all_T = np.concatenate((k, guide_k)), np.concatenate((T, years[guide_of]))
    order = np.lexsort((all_k, all_T))
    guide_price, guide_scale = _priced(guide_k, guide_w, all_T[T.size :])
    all_w = np.concatenate((v * v * T, guide_w))[order]
    all_price = np.concatenate((price, guide_price))[order]
    all_scale = np.concatenate((scale, GUIDE * guide_scale))[order]
    all_k, own = all_k[order], own[order]
    ends = np.append(np.searchsorted(all_T[order], years), all_k.size)
    m, n = years.size, x.size
    c = 2 * int(np.diff(ends).max()) + 6
    prices = np.zeros((m + 1, 2, n))
    middle = int(np.searchsorted(nodes, 0.0))
    prices[0, 1, middle] = 2.0 / (x[middle + 1] - x[middle - 1])
    segment, share, vol = np.empty((m, n), np.int64), np.empty((m, n)), np.empty((m, c))
    searches, found = np.zeros(m, np.int64), np.empty(all_k.size)
    status = np.zeros(all_k.size, np.uint8)
    kernel.march(
        nodes, x, grid, years, ends, np.searchsorted(nodes, all_k), all_k, all_w, all_price,
        all_scale, own, shape == "constant", smoothing, ACCURATE, TOLERANCE, STEPS, segment, share,
        vol, prices, searches, found, status, np.empty((kernel.ROWS, n)),
        np.empty((4 * c + 10, c)), np.empty((kernel.NUMBERS, c)), np.empty((5, c), np.int64),
    )  # fmt: skip
    starts = np.concatenate(([0.0], years[:-1]))
    steps = _Steps(x, grid, starts, segment, share, vol, prices[:-1])
    quoted = own == 1
    return _Marched(steps, years, searches, found[quoted], status[quoted])


def _guides(
    years: Floats, ends: Ints, k: Floats, w: Floats, under: NDArray[np.bool_]
) -> tuple[Ints, Floats, Floats]:
    """Where an expiry has no quote but a later one has: expiry, k and a total variance to lean to.

    Past the last strike of an expiry one step's prices fall off exponentially, slower than what
    later expiries may quote there, and could end up above them. So an expiry's smile follows the
    shape of the next one: w is that of the next, times the ratio of the two at the nearest quotes. So it
    does at quotes marked `under`, however near its own are.
    """
    of, at_k, at_w = [], [], []
    later_k, later_w, forced = k[ends[-2] :], w[ends[-2] :], under[ends[-2] :]
    for e in range(years.size - 2, -1, -1):
        own_k, own_w = k[ends[e] : ends[e + 1]], w[ends[e] : ends[e + 1]]
        width = math.sqrt(own_w[own_w.size // 2])
        after = np.minimum(np.searchsorted(own_k, later_k), own_k.size - 1)
        gap = np.minimum(
            np.abs(later_k - own_k[after]), np.abs(later_k - own_k[np.maximum(after - 1, 0)])
        )
        chosen = (gap > APART * width) & (np.abs(later_k) < REACH * width)
        chosen |= forced & (gap > 0.0)
        more_k, kept = later_k[chosen], forced[chosen]
        if more_k.size:
            bins = np.floor(more_k / (APART * width))
            first = np.append(True, np.diff(bins) > 0.0) | kept
            more_k, more_w, kept = more_k[first], later_w[chosen][first], kept[first]
            ratio = own_w / np.interp(own_k, later_k, later_w)
            limit = 1.0 - 0.05 * (1.0 - years[e] / years[e + 1])  # of the next: no more than that
            more_w = more_w * np.minimum(np.interp(more_k, own_k, ratio), limit)
            of.append(np.full(more_k.size, e))
            at_k.append(more_k)
            at_w.append(more_w)
            order = np.argsort(np.concatenate((own_k, more_k)), kind="stable")
            own_k = np.concatenate((own_k, more_k))[order]
            own_w = np.concatenate((own_w, more_w))[order]
        else:
            order = np.arange(own_k.size)
        forced = np.concatenate((under[ends[e] : ends[e + 1]], kept))[order]
        later_k, later_w = own_k, own_w
    if not of:
        return np.zeros(0, np.int64), np.zeros(0), np.zeros(0)
    return np.concatenate(of), np.concatenate(at_k), np.concatenate(at_w)


def _priced(k: Floats, w: Floats, T: Floats) -> tuple[Floats, Floats]:
    """Out-of-the-money price, and price/vega: the vol error that a relative price error is."""
    right = np.where(k >= 0.0, 1.0, -1.0)
    root = np.sqrt(w)
    price = black.price(right=right, forward=1.0, strike=np.exp(k), years=1.0, vol=root)
    d1 = -k / root + 0.5 * root
    vega = np.exp(-0.5 * d1 * d1) * np.sqrt(T / (2.0 * np.pi))
    carries = (price > 1e-250) & (vega > 1e-250)
    return np.where(carries, price, 0.0), np.where(carries, price, 1.0) / np.where(carries, vega, 1.0)
