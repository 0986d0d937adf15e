"""The most quotes that any arbitrage-free curve could be inside of: the referee of a hit rate.

Call prices at the quoted strikes are the unknowns, in units of the forward: one at strike zero, not
negative far away, convex, falling by at most one a unit of strike. Nothing is assumed about the
smile, so what this cannot hit nothing can, and a miss beyond it is the model's own. A linear
program makes the violations small, a few rounds weigh what is still missed by one over its miss,
and where quotes are left a branch and bound looks for a curve that misses fewer. What is returned
is attained by the curve that comes with it; `proven` says that no curve does better.

With `calendar` all expiries are one program: at the same strike over forward no shorter expiry is
worth more. Curves are straight between their own strikes, those of the expiries next to them and
a grid common to all, so that what is attained is true and what is proven holds for such curves.

Units   k = ln(strike/forward); prices undiscounted, in units of the forward, out of the money
        (calls for k >= 0, puts below).
Source  M. Davis and D. Hobson, Mathematical Finance 17 (2007) 1-14, for when call prices are free
        of arbitrage; E. Candes, M. Wakin and S. Boyd, J. Fourier Analysis 14 (2008) 877-905, for
        the weights.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from optmm.bench.ceiling_program import (
    Array,
    Mask,
    PricedQuotes,
    Program,
    fewest_misses,
    linked,
    misses,
    program,
    two_sided,
)
from surfaces import checks as check
from surfaces.errors import InvalidInput
from surfaces.pricing import implied
from surfaces.scoring import CORE

__all__ = ["Ceiling", "PricedQuotes", "ceiling", "ceilings"]


@dataclass(frozen=True, slots=True)
class Ceiling:
    """One expiry's best: counts of two-sided quotes, and per quote (n,) whether it is inside, and
    the curve's out-of-the-money price. `proven`: no curve of this kind has more hits."""

    quotes: int
    hits: int
    core_quotes: int
    core_hits: int
    inside: Mask
    price: Array
    proven: bool

    @property
    def rate(self) -> float:
        """Share of quotes inside; NaN without a quote."""
        return self.hits / self.quotes if self.quotes else float("nan")


def ceiling(k: ArrayLike, bid: ArrayLike, ask: ArrayLike, *, width: float = np.nan) -> Ceiling:
    """The best of one expiry; arguments as in `PricedQuotes`.

    Raises
    ------
    InvalidInput
        For arrays of unequal length, k not rising or not finite, a bid above its ask.
    """
    k, bid, ask = (check.numbers(n, v) for n, v in (("k", k), ("bid", bid), ("ask", ask)))
    return ceilings([PricedQuotes(k, bid, ask, width)])[0]


def ceilings(slices: Sequence[PricedQuotes], *, calendar: bool = False) -> list[Ceiling]:
    """The best of every expiry, apart or, with `calendar`, of all at once.

    Parameters
    ----------
    slices : expiries, in rising time if `calendar`
    calendar : also forbid that a longer expiry is worth less at the same strike over forward;
        one sparse program of thousands of unknowns, so seconds to minutes for a whole chain
    """
    for t, quotes in enumerate(slices):
        _check(t, quotes)
    apart: list[Ceiling] = []
    for quotes in slices:
        it = program([quotes])
        apart += _marked([quotes], it, *fewest_misses(it))
    if not calendar or len(slices) < 2:
        return apart
    it = program(slices)
    hits = [c.inside[two_sided(q)] for c, q in zip(apart, slices, strict=True)]
    x, proven = linked(it, np.concatenate(hits))
    return _marked(slices, it, x, proven and all(c.proven for c in apart))


def _check(t: int, quotes: PricedQuotes) -> None:
    shapes = [a.shape for a in (quotes.k, quotes.bid, quotes.ask)]
    if len(set(shapes)) != 1 or len(shapes[0]) != 1:
        raise InvalidInput(
            f"slice {t} has arrays of shapes {', '.join(map(str, shapes))}; k, bid and ask must be "
            "one-dimensional and equally long"
        )
    check.finite("k", quotes.k, unit="", hint="Drop quotes without a strike.")
    falls = np.flatnonzero(~(np.diff(quotes.k) > 0.0))
    if falls.size:
        at = int(falls[0]) + 1
        raise InvalidInput(
            f"slice {t}: k[{at}] is {quotes.k[at]:g} after {quotes.k[at - 1]:g} ({falls.size} such "
            "places); sort by strike and keep one quote a strike"
        )
    crossed = np.flatnonzero((quotes.bid > 0.0) & (quotes.bid > quotes.ask))
    if crossed.size:
        at = int(crossed[0])
        raise InvalidInput(
            f"slice {t}: bid[{at}] is {quotes.bid[at]:g}, above ask {quotes.ask[at]:g} "
            f"({crossed.size} of {quotes.k.size} are crossed); drop crossed quotes"
        )


def _marked(slices: Sequence[PricedQuotes], it: Program, x: Array, proven: bool) -> list[Ceiling]:
    """Counts and curves of every slice."""
    out = []
    hit = misses(it, x) == 0.0
    at = done = 0
    for quotes, n in zip(slices, it.nodes, strict=True):
        two = two_sided(quotes)
        inside = np.zeros(two.size, bool)
        inside[two] = hit[done : done + n.quoted.size]
        call = n.base + n.unit * x[at : at + n.strike.size] + n.intrinsic
        strike = np.exp(quotes.k)
        price = np.interp(strike, n.strike, call) - np.maximum(1.0 - strike, 0.0)
        core = two & _core(quotes)
        quoted, hits, cores, core_hits = (
            int(np.count_nonzero(a)) for a in (two, inside, core, core & inside)
        )
        out.append(Ceiling(quoted, hits, cores, core_hits, inside, price, proven))
        at += n.strike.size
        done += n.quoted.size
    return out


def _core(quotes: PricedQuotes) -> Mask:
    """-3 < z < 2."""
    width = quotes.width
    two = np.flatnonzero(two_sided(quotes))
    if not np.isfinite(width) and two.size:
        near = np.sort(two[np.argsort(np.abs(quotes.k[two]), kind="stable")[:2]])
        k = quotes.k[near]
        vol = implied.vol(
            price=0.5 * (quotes.bid + quotes.ask)[near],
            right=np.where(k >= 0.0, 1.0, -1.0),
            forward=1.0,
            strike=np.exp(k),
            years=1.0,
        ).vol
        width = float(np.interp(0.0, k, np.asarray(vol)))
    z = quotes.k / width
    return (z > CORE[0]) & (z < CORE[1])
