"""The flexible smile: a fixed dictionary of lognormal bumps, fitted inside the quotes at once.

The density of an expiry is a mixture of narrow lognormal bumps whose places and widths are fixed
before the fit; only the weights are unknown, so prices are linear in them and the fit is one convex
program. Positive weights make the density positive, so no butterfly can exist between or beyond
the quotes; one linear row a grid point keeps neighbouring expiries in calendar order; what a quote
may break (its own bid and ask) costs in proportion, so that no input makes the program infeasible.

`fit_joint` takes arrays and gives arrays: all expiries of a chain, in rising time. `fit_slice` is
one of them alone. `MIXTURE` evaluates the parameters as any model on the shelf does. A `MixtureFit`
given as `previous` makes the next fit a warm one; nothing in it is changed by that.

Units   k = ln(strike/forward); prices undiscounted, in units of the forward, out of the money:
        calls for k >= 0, puts below. Residuals in half spreads.
Wings   beyond the outermost bump (half an s past 1.3 times what is quoted here or next door) total
        variance leaves smoothly for that of the widest bump, finite and positive at any strike.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from surfaces import checks as check
from surfaces.errors import InvalidInput
from surfaces.kernels import mixture as curve_kernel
from surfaces.pricing import black, implied
from surfaces.smiles.base import Array, Below, ChainFit, SmileFit, as_rows, register, register_chain
from surfaces.smiles.mixture_design import Packed, Settings
from surfaces.smiles.mixture_errors import errors
from surfaces.smiles.mixture_program import MixtureFit, solve
from surfaces.smiles.quotes import SmileQuotes

__all__ = ["MIXTURE", "MixtureFit", "MixtureSmile", "Quotes", "Settings", "fit_joint", "fit_slice"]

NO_BID = 0.1  # half spread of a one-sided quote, as a share of the side there is
LEAST_HOURS = 1.0 / 3600.0  # a prior of the same second would hold everything
MANY = 256  # points from which vols are solved for side by side
FAR = 1e4  # half spreads to a side that is absent


class Quotes(NamedTuple):
    """Quotes of one expiry in rising k, (q,). A bid that is NaN or not positive is no bid, an ask
    that is not finite no ask. `half`: what a residual is measured in, instead of half the spread.
    """

    k: Array
    bid: Array
    ask: Array
    half: Array | None = None


def fit_joint(
    slices: Sequence[Quotes],
    *,
    previous: MixtureFit | None = None,
    settings: Settings | None = None,
    prior: float = 0.0,
) -> MixtureFit:
    """Fit all expiries of a chain, in rising time to expiry.

    Parameters
    ----------
    slices : quotes of every expiry; one without a two-sided quote is left out, with a status
    previous : the last fit of the same expiries: dictionary, matrices and multipliers are reused
        as far as strikes, number of quotes and level allow
    settings : weights and tolerances; `calendar=False` fits the expiries apart
    prior : precision of the relative change of a weight since `previous`, in units of the
        objective; zero forgets what was fitted before

    Raises
    ------
    InvalidInput
        For arrays of unequal length, k not rising or not finite, a bid above its ask.
    """
    return solve(_packed(slices), previous, settings or Settings(), prior)


def fit_slice(
    k: ArrayLike,
    bid: ArrayLike,
    ask: ArrayLike,
    *,
    half: ArrayLike | None = None,
    previous: MixtureFit | None = None,
    settings: Settings | None = None,
) -> MixtureFit:
    """`fit_joint` of one expiry; arguments as in `Quotes`."""
    k, bid, ask = (np.asarray(a, np.float64) for a in (k, bid, ask))
    quotes = Quotes(k, bid, ask, None if half is None else np.asarray(half, np.float64))
    return fit_joint([quotes], previous=previous, settings=settings)


def _packed(slices: Sequence[Quotes]) -> Packed:
    """All quotes end to end, in the form the program takes."""
    start = np.cumsum([0, *(np.size(s.k) for s in slices)])
    for t, quotes in enumerate(slices):
        sizes = [np.shape(a) for a in quotes if a is not None]
        if len(set(sizes)) != 1 or len(sizes[0]) != 1:
            raise InvalidInput(
                f"slice {t} has arrays of shapes {', '.join(map(str, sizes))}; k, bid, ask and "
                "half must be one-dimensional and equally long"
            )
    k, bid, ask = (
        np.concatenate([np.zeros(0), *(np.asarray(s[i], np.float64) for s in slices)])
        for i in range(3)
    )
    check.finite("k", k, unit="", hint="Drop quotes without a strike.")
    falls = np.diff(k) <= 0.0
    falls[start[1:-1][(start[1:-1] > 0) & (start[1:-1] < k.size)] - 1] = False
    if falls.any():
        at = int(np.argmax(falls))
        raise InvalidInput(
            f"k[{at + 1}] is {k[at + 1]:g} after {k[at]:g} ({int(falls.sum())} such places); "
            "sort each slice by strike and keep one quote a strike"
        )
    has_bid, has_ask = bid > 0.0, np.isfinite(ask) & (ask > 0.0)
    crossed = has_bid & has_ask & (bid > ask)
    if crossed.any():
        at = int(np.argmax(crossed))
        raise InvalidInput(
            f"bid[{at}] is {bid[at]:g}, above ask {ask[at]:g} ({int(crossed.sum())} of {k.size} "
            "are crossed); drop crossed quotes"
        )
    both = has_bid & has_ask
    one = np.where(has_ask, ask, np.where(has_bid, bid, 0.0))
    mid = np.where(both, 0.5 * (bid + ask), one)
    width = np.where(both, 0.5 * (ask - bid), NO_BID * one)
    given = [
        np.full(np.size(s.k), np.nan) if s.half is None else np.asarray(s.half, np.float64)
        for s in slices
    ]
    asked = np.concatenate([np.zeros(0), *given])
    width = np.where(asked > 0.0, asked, width)
    width = np.maximum(width, 1e-6 * mid)
    reach = 0.5 * np.where(both, ask - bid, 0.0) / np.where(width > 0.0, width, 1.0)
    return Packed(
        start=start,
        k=k,
        mid=mid,
        half=np.where(width > 0.0, width, 1.0),
        low=np.where(has_bid, np.where(has_ask, reach, 0.0), FAR),
        high=np.where(has_ask, reach, FAR),
        bid=np.where(has_bid, bid, -np.inf),
        ask=np.where(has_ask, ask, np.inf),
        two_sided=both,
        known=has_bid | has_ask,
    )


@dataclass(frozen=True, slots=True)
class MixtureSmile:
    """Evaluation of fitted mixtures, in the manner of `surfaces.smiles.base.SmileModel`.

    Parameters: scale, centres, widths, weights. Bumps added to make curves equally long have
    weight zero; `scale` multiplies total variance and is one after a fit.
    """

    name: str = "mixture"
    parameters: tuple[str, ...] = ("scale", "centres", "widths", "weights")
    minimum_quotes: int = 3

    def total_variance(self, k: Array, theta: Array) -> Array:
        """w(k), dimensionless, in the shape of `k`."""
        return _curve(k, theta, False)[0]

    def derivatives(self, k: Array, theta: Array) -> tuple[Array, Array, Array]:
        """w, dw/dk and d2w/dk2, exact up to rounding."""
        return _curve(k, theta, True)

    def scaled(self, theta: Array, ratio: float) -> Array:
        """Parameters of ratio * w(k)."""
        out = np.array(theta)
        out[0] *= ratio
        return out

    def stretched(self, theta: Array, ratio: float) -> Array:
        """Every bump at sqrt(ratio) times its distance and width, the forward one again: a density
        whatever the ratio, and ratio * w(k / sqrt(ratio)) but for terms in w^2."""
        out = np.array(theta)
        centre, width, weight = out[1:].reshape(3, -1)
        root = np.sqrt(ratio)
        width *= root
        there = weight > 0.0
        centre *= root
        centre[there] -= np.log(weight @ np.exp(centre + 0.5 * width * width))
        return out

    def fit(
        self, quotes: SmileQuotes, start: Array | None = None, below: Below | None = None
    ) -> SmileFit | None:
        """Fit one expiry alone; `start` and `below` belong to `fit_joint`, which has no order."""
        found = fit_joint(priced([quotes]))
        if found.status[0] != 0:
            return None
        return SmileFit(self.name, found.theta[0], found.used[slice(*found.start[:2])])


@dataclass(frozen=True, slots=True)
class MixtureChain:
    """All expiries of a chain at once, with `settings`; `memory` is a `MixtureFit`.

    Between fits the weights wander: `wander` is the relative change of one, a standard deviation
    per square root of an hour. `sharpness`: how much more a quote knows than the objective gives it
    credit for (mids lie about 0.15 half spreads from the fit, the objective allows 1/sqrt(alpha)).
    """

    name: str = "mixture"
    wander: float = 1.0
    sharpness: float = 900.0
    settings: Settings = field(default_factory=Settings)
    refits: int = 400  # missed quotes left out in earnest, in a fit that is not of a while later

    def fit_chain(
        self,
        slices: Sequence[SmileQuotes],
        previous: ChainFit | None = None,
        hours: float = math.inf,
    ) -> ChainFit:
        """Fit `slices`, in rising years; `previous` of the same expiries, `hours` earlier."""
        before = None if previous is None else previous.memory
        noise = self.sharpness * self.wander**2 * max(hours, LEAST_HOURS)
        found = fit_joint(
            priced(slices), previous=before, settings=self.settings, prior=1.0 / noise
        )
        fits = [
            SmileFit(self.name, found.theta[t], found.used[slice(*found.start[t : t + 2])])
            if found.status[t] == 0
            else None
            for t in range(len(slices))
        ]
        refits = 0 if math.isfinite(hours) else self.refits
        return ChainFit(tuple(fits), found, errors(found, refits))


def priced(slices: Sequence[SmileQuotes]) -> list[Quotes]:
    """Out-of-the-money prices of quotes that are given in vols."""
    root = np.concatenate([np.full(len(q), np.sqrt(q.years)) for q in slices])
    k, bid, ask = (
        np.concatenate([getattr(q, name) for q in slices]) for name in ("k", "bid_vol", "ask_vol")
    )
    heard = ~np.concatenate([q.one_sided for q in slices])
    bid = otm_price(k, np.where(heard, bid, np.nan) * root)
    ask = otm_price(k, ask * root)
    ends = np.cumsum([0, *(len(q) for q in slices)])
    return [Quotes(k[i:j], bid[i:j], ask[i:j]) for i, j in pairwise(ends.tolist())]


def otm_price(k: Array, total_vol: Array) -> Array:
    """Black's out-of-the-money price in units of the forward; `total_vol` is vol sqrt(years)."""
    right = np.where(k >= 0.0, 1.0, -1.0)
    vol = np.where(np.isfinite(total_vol), total_vol, 0.0)
    return np.asarray(
        black.price(right=right, forward=1.0, strike=np.exp(k), years=1.0, vol=vol), np.float64
    )


def _curve(k: Array, theta: Array, want: bool) -> tuple[Array, Array, Array]:
    """w and, if `want`, its derivatives; shapes as `as_rows` takes them."""
    k = np.asarray(k, np.float64)
    if not k.size:
        return k.copy(), k.copy(), k.copy()
    points, table = as_rows(k, theta)
    sums, out = np.empty((3, *points.shape)), np.zeros((3, *points.shape))
    curve_kernel.fill_sums(points, table, want, *sums)
    total = np.full(points.shape, np.nan)
    if points.size >= MANY:  # side by side, where that is worth the call
        right = np.where(points >= 0.0, 1.0, -1.0)
        found = implied.vol(
            price=np.maximum(sums[0], 0.0), right=right, forward=1.0, strike=np.exp(points),
            years=1.0,
        )  # fmt: skip
        total = np.asarray(found.vol)
    scale = np.array(table[:, 0])
    curve_kernel.fill_shape(points, scale, *sums, total, want, *out)
    w, w1, w2 = (values.reshape(k.shape) for values in out)
    return w, w1, w2


MIXTURE = register(MixtureSmile())
MIXTURE_CHAIN = register_chain(MixtureChain())
