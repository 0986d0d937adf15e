"""American vols of a whole chain, and the European prices a smile is fitted to.

American vols are costly, European ones are not, and their difference along the strikes of one
expiry and side is small and smooth. So it is solved for on twenty strikes and interpolated. The
difference also depends on the row's own price, which an outlier or a quote in cents moves away
from its neighbours': so every interpolated vol is priced, twice, and takes one secant step. Rows
that would have to step far are solved one by one, as are those where two interpolations of
different order disagree (in the money near the exercise boundary), those of expiries with few
strikes, and those without a European vol.

Accuracy  within 1e-5 of `american.vol` wherever it finds a vol, also where single quotes are off
          by dollars; usually within 1e-7. Statuses are those of `american.vol`.
Units     as `american`; one call takes many expiries, of any rate and yield, in any order.
Checked   tests/surfaces/pricing/test_american_chain.py: vols that made the prices, `american.vol`.
"""

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from surfaces import checks as check
from surfaces import containers
from surfaces.pricing import american, bsm, implied
from surfaces.pricing.american import Accuracy
from surfaces.pricing.dividends import Dividends
from surfaces.pricing.greeks import Floats
from surfaces.pricing.implied import ImpliedVol
from surfaces.status import Status

Rows = NDArray[np.int64]

SAMPLES = 20  # strikes solved for an expiry and side
FEWEST = 30  # rows of an expiry and side below which all are solved
STENCIL = 6  # points an interpolation uses, and two fewer to check it
TRUSTED = 3e-5  # vol: disagreement of the two interpolations up to which the better one is used
WIDTH = 5e-4  # share of the vol between the two prices of a secant step
LONGEST = 5e-4  # share of the vol: longer steps are not taken, the row is solved instead


def vols(
    *,
    price: ArrayLike,
    right: ArrayLike,
    spot: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    rate: ArrayLike,
    dividend_yield: ArrayLike = 0.0,
    dividends: Dividends | None = None,
    accuracy: Accuracy = "fast",
) -> ImpliedVol:
    """American implied vols of a chain; statuses and errors as in `american.vol`.

    Parameters
    ----------
    price : USD per share, American quotes
    right : +1 or "c" for a call, -1 or "p" for a put
    spot : USD per share
    strike : USD per share; rows of one expiry and side are found by equal right, spot, years, rate
        and yield, whatever their order
    years : to expiry
    rate, dividend_yield : continuously compounded decimals per year, of each row's expiry
    dividends : a cash schedule, or None; the vols are then those of the spot model
    accuracy : "fast" or "precise"

    Returns
    -------
    Numbers for numbers, Series for Series, as `american.vol`.
    """
    box = containers.of(price, right, spot, strike, years, rate, dividend_yield)
    shape, columns = check.columns(
        check.numbers("price", price),
        check.right(right),
        check.numbers("spot", spot),
        check.numbers("strike", strike),
        check.numbers("years", years),
        check.numbers("rate", rate),
        check.numbers("dividend_yield", dividend_yield),
    )
    found, status = _solved(columns, dividends, accuracy)
    return ImpliedVol(box.wrap("vol", found, shape), box.wrap("status", status, shape))


def prices(
    *,
    vol: ArrayLike,
    right: ArrayLike,
    spot: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    rate: ArrayLike,
    dividend_yield: ArrayLike = 0.0,
    dividends: Dividends | None = None,
) -> Any:
    """European prices of the same contracts at the vols of `vols`; NaN where a vol is NaN.

    USD per share, as Series for Series. With `dividends` they are prices of the spot model, whose
    Black vol on the forward is another one than `vol`.
    """
    box = containers.of(vol, right, spot, strike, years, rate, dividend_yield)
    given = [check.numbers("vol", vol)]
    named = {"spot": spot, "strike": strike, "years": years, "rate": rate}
    named["dividend_yield"] = dividend_yield
    given += [check.right(right), *(check.numbers(name, a) for name, a in named.items())]
    shape, columns = check.columns(*given)
    fine = np.isfinite(columns[0])
    v, w, S, K, T, r, q = (a[fine] for a in columns)
    out = np.full(fine.size, np.nan)
    if dividends is None:
        out[fine] = bsm.price(right=w, spot=S, strike=K, years=T, vol=v, rate=r, dividend_yield=q)
    else:
        from surfaces.pricing import cash_european

        out[fine] = cash_european.price(
            right=w, spot=S, strike=K, years=T, vol=v, rate=r, dividend_yield=q,
            dividends=dividends,
        )  # fmt: skip
    return box.wrap("price", out, shape)


def _solved(
    columns: list[Floats], dividends: Dividends | None, accuracy: Accuracy
) -> tuple[Floats, NDArray[np.uint8]]:
    """(vols, statuses), 1-D."""
    price, w, S, K, T, r, q = columns
    forward = _forwards(S, T, r, q, dividends)
    with np.errstate(all="ignore"):  # bad rows get their status from the solvers
        df = np.exp(-r * T)
        plain = implied.vol(price=price, right=w, forward=forward, strike=K, years=T, df=df)
    found, status = np.array(plain.vol), np.array(plain.status)
    # a cash dividend may pay for early exercise whatever the rates
    early = american.regimes(w, r, q) != american.NEVER
    early |= dividends is not None

    def solve(rows: Rows) -> None:
        """American vols of `rows` in place."""
        w, S, K, T, r, q = (a[rows] for a in columns[1:])
        got = american.vol(
            price=price[rows], right=w, spot=S, strike=K, years=T, rate=r, dividend_yield=q,
            dividends=dividends, accuracy=accuracy,
        )  # fmt: skip
        found[rows], status[rows] = got.vol, got.status

    priced = np.maximum(np.abs(r), np.abs(q)) * T <= bsm.MOST
    usable = np.flatnonzero(early & priced & (status == Status.OK))
    order, bounds = _slices(usable, (w, S, T, r, q), K)
    sample = _sampled(bounds)
    chosen = order[sample]
    solve(chosen)
    shift, sure = np.zeros(order.size), np.zeros(order.size, bool)
    gaps = np.where(status[chosen] == Status.OK, plain.vol[chosen] - found[chosen], np.nan)
    between = np.flatnonzero(~sample)
    if between.size:
        shift[between], sure[between] = _interpolated(
            np.log(K[order]), bounds, sample, gaps, between
        )
    near = order[between[sure[between]]]
    start = plain.vol[near] - shift[between[sure[between]]]
    better, fine = _stepped(start, [a[near] for a in columns], dividends, accuracy)
    found[near] = better
    done = ~early
    done[chosen] = True
    done[near[fine]] = True
    rest = np.flatnonzero(~done)
    if rest.size:
        solve(rest)
    return found, status


def _stepped(
    start: Floats, columns: list[Floats], dividends: Dividends | None, accuracy: Accuracy
) -> tuple[Floats, NDArray[np.bool_]]:
    """(one secant step from the vols `start` towards the prices, whether it may be relied on)."""
    price, w, S, K, T, r, q = columns
    if not price.size:
        return start, np.zeros(0, bool)
    able = start > 0.0
    v = np.where(able, start, 0.2)
    at, beyond = (
        american.price(
            right=w, spot=S, strike=K, years=T, vol=a, rate=r, dividend_yield=q,
            dividends=dividends, accuracy=accuracy,
        )
        for a in (v, v * (1.0 + WIDTH))
    )  # fmt: skip
    with np.errstate(all="ignore"):  # no slope where the option is exercised
        step = (price - at) * (v * WIDTH) / (beyond - at)
        fine = able & (beyond > at) & (np.abs(step) <= LONGEST * v) & (price > w * (S - K))
    return v + step, fine


def _forwards(S: Floats, T: Floats, r: Floats, q: Floats, dividends: Dividends | None) -> Floats:
    """Forward of each row."""
    if dividends is None:
        with np.errstate(all="ignore"):
            return S * np.exp((r - q) * T)
    out = np.full(S.size, np.nan)  # a bad row stays NaN and gets its status from the solver
    fine = (S > 0.0) & (T >= 0.0)
    for a in (S, T, r, q):
        fine &= np.isfinite(a)
    out[fine] = dividends.forward(spot=S[fine], years=T[fine], rate=r[fine], dividend_yield=q[fine])
    return out


def _slices(rows: Rows, same: tuple[Floats, ...], strike: Floats) -> tuple[Rows, Rows]:
    """`rows` sorted into expiries and sides, strikes rising, without the small ones; bounds."""
    keys = [a[rows] for a in same]
    order = np.lexsort((strike[rows], *keys))
    rows, keys = rows[order], [a[order] for a in keys]
    new = np.zeros(rows.size, bool)
    for a in keys:
        new[1:] |= a[1:] != a[:-1]
    starts = np.append(np.flatnonzero(new), rows.size)
    starts = np.insert(starts, 0, 0) if rows.size else np.zeros(1, np.int64)
    size = np.diff(starts)
    kept = np.repeat(size >= FEWEST, size)
    return rows[kept], np.append(0, np.cumsum(size[size >= FEWEST]))


def _sampled(bounds: Rows) -> NDArray[np.bool_]:
    """Which of the sorted rows are solved: SAMPLES of each slice, evenly by rank, both ends too."""
    out = np.zeros(bounds[-1], bool)
    for low, high in pairwise(bounds.tolist()):
        out[low + np.linspace(0, high - low - 1, SAMPLES).round().astype(np.int64)] = True
    return out


def _interpolated(
    x: Floats, bounds: Rows, sample: NDArray[np.bool_], gaps: Floats, rows: Rows
) -> tuple[Floats, NDArray[np.bool_]]:
    """(gap at `rows`, whether two orders of interpolation agree) from `gaps` at the samples.

    `x` is ln(strike) of the sorted rows; every slice has the same number of samples.
    """
    at = x[sample]
    left = (np.cumsum(sample) - 1)[rows]  # the sample at or under each row
    first = left // SAMPLES * SAMPLES
    start = np.clip(left - STENCIL // 2 + 1, first, first + SAMPLES - STENCIL)
    near = np.clip(left - STENCIL // 2 + 2, first, first + SAMPLES - STENCIL + 2)
    wide = _lagrange(x[rows], at, gaps, start, STENCIL)
    narrow = _lagrange(x[rows], at, gaps, near, STENCIL - 2)
    worst = np.zeros(at.size)  # of each gap between samples: two curves also agree where they cross
    np.maximum.at(worst, left, np.nan_to_num(np.abs(wide - narrow), nan=np.inf))
    return wide, worst[left] <= TRUSTED


def _lagrange(x: Floats, at: Floats, values: Floats, start: Rows, points: int) -> Floats:
    """Polynomials through `points` neighbours from `start` on, one for each x."""
    nodes = [at[start + i] for i in range(points)]
    total = np.zeros(x.size)
    with np.errstate(all="ignore"):  # equal strikes give NaN, which is not trusted
        for i in range(points):
            term = values[start + i]
            for j in range(points):
                if j != i:
                    term = term * ((x - nodes[j]) / (nodes[i] - nodes[j]))
            total += term
    return total
