"""European prices under a local vol, by one sweep of Dupire's forward equation.

Every strike and expiry comes out of the same sweep, so a whole surface is repriced at once: the
check that a local vol is what its surface says.

With the default scheme the implied vols of a known local vol come out to 5e-4 of themselves within
three deviations of the forward and to 3e-3 at five; what a grid of local vols loses between its
nodes comes on top.

Units   prices USD per share, or undiscounted in units of the forward where said; k = ln(strike /
        forward); years ACT/365; vols decimal.
Source  see `surfaces.kernels.local_vol`.
Checked tests/surfaces/local_vol/test_pricing.py: constant, time-dependent and CEV vols in closed
        form, smiles with known prices.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from surfaces import checks as check
from surfaces.errors import InvalidInput
from surfaces.kernels import local_vol as kernel
from surfaces.local_vol import LocalVol, spread_nodes, stencil
from surfaces.pricing import implied

if TYPE_CHECKING:
    import polars as pl

    from surfaces.surface import VolSurface

Floats = NDArray[np.float64]

FAR = 8.0  # deviations that nodes reach
FINE = 0.03  # of the first expiry's deviation: the spacing of nodes at the forward
GROWTH = 0.02  # of the time gone by: the longest step


@dataclass(frozen=True, slots=True)
class Scheme:
    """Nodes in k, and steps to the first expiry (even in the square root of time)."""

    points: int = 1000
    steps: int = 150


def otm_price(
    local_vol: LocalVol, *, k: ArrayLike, years: ArrayLike, scheme: Scheme | None = None
) -> Floats:
    """Undiscounted out-of-the-money prices in units of the forward: calls for k >= 0, puts below.

    Arguments broadcast; years > 0. Raises InvalidInput if `local_vol` is none, or has nodes without
    a vol.
    """
    check.kind(
        "local_vol", local_vol, LocalVol,
        hint="surfaces.local_vol.dupire(surface) makes one; other models have their own pricers.",
    )  # fmt: skip
    local_vol.complete()
    k = check.finite("k", k, unit="", hint="k is ln(strike/forward).")
    years = check.above("years", years, 0.0, unit="years", hint="Remove expired rows.")
    k, years = check.together(k=k, years=years)
    if not k.size:
        return np.empty(k.shape)
    scheme = scheme or Scheme()
    order = np.argsort(years, axis=None, kind="stable")
    when, strike = years.ravel()[order], np.exp(k.ravel()[order])
    nodes = _nodes(local_vol, float(k.min()), float(k.max()), when, scheme)
    times = _times(local_vol, when, scheme)
    x, grid = stencil(nodes)
    state = np.zeros((2, x.size))
    middle = int(np.searchsorted(nodes, 0.0))
    state[1, middle] = 2.0 / (x[middle + 1] - x[middle - 1])
    found, out = np.zeros(k.size), np.empty(k.size)
    kernel.fill_forward(
        x, grid, times, np.array(local_vol.years), np.array(local_vol.vol),
        *_cells(local_vol.k, nodes), when, strike, state, np.empty((kernel.ROWS, x.size)), found,
    )  # fmt: skip
    out[order] = found
    return out.reshape(k.shape)


def implied_vol(
    local_vol: LocalVol, *, k: ArrayLike, years: ArrayLike, scheme: Scheme | None = None
) -> Floats:
    """Black vols of `otm_price`; NaN where a price carries no vol."""
    k, years = np.asarray(k, np.float64), np.asarray(years, np.float64)
    price = otm_price(local_vol, k=k, years=years, scheme=scheme)
    found = implied.vol(
        price=price, right=np.where(k >= 0.0, 1.0, -1.0), forward=1.0, strike=np.exp(k), years=years
    )
    return np.where(found.status == 0, found.vol, np.nan)


def price(
    local_vol: LocalVol,
    *,
    right: ArrayLike,
    forward: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    df: ArrayLike = 1.0,
    scheme: Scheme | None = None,
) -> Floats:
    """European prices, USD per share; arguments as for `black.price`, which broadcast.

    `forward` is that of each option's own expiry.
    """
    w, F, K, T, D = check.together(
        right=check.right(right),
        forward=check.above("forward", forward, 0.0, unit="USD", hint="Of the option's expiry."),
        strike=check.above("strike", strike, 0.0, unit="USD", hint="Strikes are prices."),
        years=check.above("years", years, 0.0, unit="years", hint="Remove expired rows."),
        df=check.at_least("df", df, 0.0, unit="", hint="Discount factors, not rates."),
    )
    k = np.log(K / F)
    value = F * otm_price(local_vol, k=k, years=T, scheme=scheme)
    inside = np.where((k >= 0.0) == (w > 0.0), 0.0, w * (F - K))
    return np.asarray(D * (value + inside))


def reprice(
    local_vol: LocalVol,
    surface: "VolSurface",
    *,
    scheme: Scheme | None = None,
) -> "pl.DataFrame":
    """The quotes a surface was judged on, priced under `local_vol`; one row a quote.

    Columns: slice, expiry, years, k, vol (the surface's), repriced, error = repriced - vol (all
    decimal), half_spread (vol; null without two sides), error_in_half_spreads.
    """
    import polars as pl

    quotes = surface.quotes
    j = surface.chain.slice_of[quotes.row]
    alive = np.isfinite(quotes.model_vol) & (surface.chain.fixing_ns[j] > surface.ts_ns)
    if not alive.any():
        raise InvalidInput("the surface has no judged quote on a curve, so nothing can be repriced")
    j, k = j[alive], quotes.k[alive]
    vol, half = quotes.model_vol[alive], 0.5 * (quotes.ask_vol - quotes.bid_vol)[alive]
    years = surface.years[j]
    got = implied_vol(local_vol, k=k, years=years, scheme=scheme)
    error = got - vol
    with np.errstate(all="ignore"):
        columns = {
            "slice": j,
            "expiry": [surface.chain.expiry_labels[i] for i in j.tolist()],
            "years": years,
            "k": k,
            "vol": vol,
            "repriced": got,
            "error": error,
            "half_spread": half,
            "error_in_half_spreads": error / np.where(half > 0.0, half, np.nan),
        }
    return pl.DataFrame(columns, nan_to_null=True)


def _nodes(local_vol: LocalVol, low: float, high: float, when: Floats, scheme: Scheme) -> Floats:
    """Nodes in k as far as prices spread by the last time, finest about the forward."""
    points = check.count("points", scheme.points, 20, hint="Nodes of the scheme.")
    t = np.concatenate(([0.0], local_vol.years[local_vol.years < when[-1]], when[-1:]))
    middle = 0.5 * (t[1:] + t[:-1])
    level = local_vol.at(np.zeros(middle.size), middle)
    gone = np.concatenate(([0.0], np.cumsum(level**2 * np.diff(t))))
    first, last = np.sqrt(np.interp((when[0], when[-1]), t, gone))
    far = FAR * float(last)
    return spread_nodes(min(1.2 * low, -far), max(1.2 * high, far), FINE * float(first), points)


def _times(local_vol: LocalVol, when: Floats, scheme: Scheme) -> Floats:
    """Ends of all steps, from zero; every asked time and every node of the local vol is one."""
    steps = check.count("steps", scheme.steps, 20, hint="Fewer would let prices oscillate.")
    first, last = float(when[0]), float(when[-1])
    start = first * (np.arange(steps + 1) / steps) ** 2
    growth = max(GROWTH, 2.0 / steps)  # no longer than the last of those, and then as time goes by
    more = first * (1.0 + growth) ** np.arange(1, 2 + int(np.log(last / first) / np.log1p(growth)))
    nodes = local_vol.years[local_vol.years < last]
    return np.unique(np.concatenate((start, more[more < last], nodes, when)))


def _cells(k: Floats, nodes: Floats) -> tuple[NDArray[np.int64], Floats]:
    """The node of the local vol before each of `nodes`, and the share of the way to the next."""
    if k.size == 1:
        return np.zeros(nodes.size, np.int64), np.zeros(nodes.size)
    i = np.clip(np.searchsorted(k, nodes, side="right") - 1, 0, k.size - 2)
    return i, np.clip((nodes - k[i]) / (k[i + 1] - k[i]), 0.0, 1.0)
