"""How a surface follows spot: sticky strike, sticky moneyness, sticky local vol, or a ratio R.

R, the skew-stickiness ratio, says how much of the skew the vol at the money takes with spot,

    dvol(F) = R skew dlnS,   so at a fixed strike near the money   dvol(K) = (R - 1) skew dlnS,

with skew = dvol/dk at the forward: 0 is sticky moneyness, 1 sticky strike. In `vol_after` the named
rules are met beyond first order and strike by strike, and a number moves all strikes of an expiry
alike, as Greeks and theo do. `surfaces.moving.moved` carries whole curves, which meet a rule at the
money only.

    sticky_strike      vol(K) stays
    sticky_moneyness   vol is a function of K/S: the smile slides with spot
    sticky_local_vol   the local volatilities stay and every option is priced again on them
    R                  vol(K) + (R - 1) skew ln(S'/S)

Local volatility has an R of its own in each expiry. To first order in the skew the total variance
of strike k is the mean of local variance along the bridge from spot to strike, whence, with w the
total variance at the forward and w' its slope in k,

    R_T = 1 + (1 / w'_T) * integral over w from 0 to w_T of (w' / w) dw,

which is Bergomi's 1 + (1/T) int_0^T skew_t / skew_T dt where vol has no term structure: 2 if the
skew has none either, 3 if it falls with the root of time. w' is taken linear in w between expiries,
as `VolSurface` interpolates, so the first expiry has R = 2. `vol_slope` adds the harmonic mean of
short dates, 1/vol(k) = (1/k) int_0^k dx / local(x), which needs the smile of today alone. These are
slopes where nothing has moved, for moves of about one percent. On the SPX of 2023-05-26, after -1 %
the slope leaves the vol of the new forward 0.3 points short at 30 days, after -2 % 1.3 and after
+2 % 2.7; at 90 days after -5 % 2.7, after +5 % 8. `vol_after` solves the forward equation instead.

What a market shows of R: `skew_stickiness(of_surfaces(surfaces))`, or `of_frame` of a run's
`surface.parquet`; see `surfaces.dynamics_history`.

Units   spot and strike USD; vols decimal; years ACT/365; R without unit.
Source  L. Bergomi, Stochastic Volatility Modeling (2016), sections 2.4-2.5 and 9.1; H. Berestycki,
        J. Busca, I. Florent, Quantitative Finance 2 (2002) 61-69 for the harmonic mean; the form
        in w is ours.
Checked tests/surfaces/surface/test_dynamics.py: a forward equation on fixed local volatilities.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import ArrayLike

from surfaces import checks as check
from surfaces import term
from surfaces.certificate import STOPGAPS
from surfaces.dynamics_changes import AtmChanges, of_frame, of_surfaces
from surfaces.dynamics_history import Stickiness, skew_stickiness
from surfaces.errors import InvalidInput
from surfaces.smiles.base import Array

if TYPE_CHECKING:
    from surfaces.local_vol import LocalVol
    from surfaces.surface import VolSurface

__all__ = [
    "AtmChanges", "Rule", "Stickiness", "harmonic", "local_vol_ratio", "local_vol_ratios",
    "of_frame", "of_surfaces", "ratio_of", "skew_stickiness", "stickiness", "vol_after",
    "vol_change", "vol_slope",
]  # fmt: skip

Name = Literal["sticky_strike", "sticky_moneyness", "sticky_local_vol", "local_vol"]
Rule = float | Name

NAMES: dict[str, float | None] = {
    "sticky_moneyness": 0.0,
    "sticky_strike": 1.0,
    "local_vol": None,  # the short name of a desk's settings
    "sticky_local_vol": None,
}
RATIOS = (-1.0, 3.0)
MOST = 2.0  # times the vol that a move may make of it, or divide it by
NO_SKEW = 1e-9  # below it no ratio can be told
SHORT_DATES = 2.0  # R of every diffusion as years go to zero
STEP = 0.01  # of total vol: for slopes of a smile in k
NEAR = 1e-4  # in k, on either side of the new forward


def ratio_of(rule: Rule) -> float | None:
    """R of a rule; None for local volatility, whose R is the expiry's: see `local_vol_ratio`.

    Raises
    ------
    InvalidInput
        An unknown name, or a number outside -1 to 3.
    """
    if isinstance(rule, str):
        if rule not in NAMES:
            raise InvalidInput(
                f"rule is {rule!r}, must be one of {', '.join(sorted(NAMES))}, or a ratio R"
            )
        return NAMES[rule]
    hint = "Between 0 and 2."
    ratio = check.one("stickiness", check.finite("stickiness", rule, unit="", hint=hint))
    if not RATIOS[0] <= ratio <= RATIOS[1]:
        raise InvalidInput(
            f"stickiness is {ratio:g}, must lie from {RATIOS[0]:g} to {RATIOS[1]:g}: 0 is "
            "sticky moneyness, 1 sticky strike, 2 the limit of diffusions at short dates"
        )
    return ratio


def local_vol_ratio(years: ArrayLike, atm_vol: ArrayLike, skew: ArrayLike) -> Array:
    """R of each expiry (m,) if local volatilities stay where they are; formula above.

    Parameters
    ----------
    years, atm_vol, skew : (m,), expiries in any order; skew = dvol/dk at the forward

    Returns
    -------
    R (m,), exact to first order in the skew; 2 where there is no skew to speak of, NaN where an
    input is NaN or not positive. Where the skew is small R can be large: R times skew is what moves
    the vol, and that is not. Raises InvalidInput unless all are rows of one length.
    """
    years, atm_vol, skew = _columns(years=years, atm_vol=atm_vol, skew=skew)
    good = np.isfinite(years * atm_vol * skew) & (years > 0.0) & (atm_vol > 0.0)
    out = np.full(years.shape, np.nan)
    rows = np.flatnonzero(good)
    rows = rows[np.argsort(years[rows], kind="stable")]
    w, w1 = _variances(years[rows], atm_vol[rows], skew[rows])
    out[rows] = _ratio(w1, _integral(w, w1), skew[rows])
    return out


def stickiness(surface: "VolSurface", rule: Rule) -> Array:
    """R of each slice (m,) under `rule`: what `hedging.delta.smile_aware` takes, row by row.

    Local volatility's are `local_vol_ratios`: borrowed and stopgap curves have no say in them.
    """
    ratio = ratio_of(rule)
    if ratio is not None:
        return np.full(surface.chain.slices, ratio)
    alive = surface.chain.fixing_ns > surface.ts_ns
    return local_vol_ratios(
        years=surface.years, atm_vol=np.where(alive, surface.atm_vol, np.nan), skew=surface.skew,
        path=surface.path, quotes=surface.scores.quotes,
    )  # fmt: skip


def local_vol_ratios(
    *,
    years: ArrayLike,
    atm_vol: ArrayLike,
    skew: ArrayLike,
    path: Sequence[str],
    quotes: ArrayLike,
) -> Array:
    """R of every slice (m,) of a surface under fixed local volatility, never NaN.

    One slice an instant makes the ratios, the best quoted that has a curve of its own: the skew of
    a stopgap (`certificate.STOPGAPS`) is none of the market's, unless there are only stopgaps. All
    others have R by their years, linear between those; 2 where nothing is known.

    Parameters
    ----------
    years, atm_vol, skew : (m,), as for `local_vol_ratio`; NaN vol for a slice past its fixing
    path, quotes : (m,) how each curve was made, and how many quotes it was judged on
    """
    years, atm_vol, skew, quotes = _columns(
        years=years, atm_vol=atm_vol, skew=skew, quotes=quotes, path=np.zeros(len(path))
    )[:4]
    good = np.isfinite(years * atm_vol * skew) & (years > 0.0) & (atm_vol > 0.0)
    own = good & np.array([name not in STOPGAPS for name in path], bool)
    rows = np.flatnonzero(own if own.any() else good)
    if rows.size == 0:
        return np.full(years.shape, SHORT_DATES)
    rows = rows[np.lexsort((rows, -quotes[rows], years[rows]))]
    rows = rows[np.concatenate(([True], np.diff(years[rows]) > 0.0))]
    ratio = local_vol_ratio(years[rows], atm_vol[rows], skew[rows])
    return np.interp(np.nan_to_num(years), years[rows], ratio)


def vol_after(
    surface: "VolSurface",
    *,
    spot: float,
    strike: ArrayLike,
    years: ArrayLike,
    rule: Rule,
    local_vol: "LocalVol | None" = None,
) -> Array:
    """Vols of strikes after spot has moved to `spot` at once, by `rule`.

    Forwards move in proportion to spot. `strike` (USD) and `years` broadcast. Under a number R no
    vol is more than doubled or halved. Under local volatility each vol changes by what the forward
    equation makes of the move, on the same local vols at the same spot; where a price carries no
    vol, many deviations out, by `vol_slope`, no more than doubled or halved.

    Parameters
    ----------
    local_vol : that of the rule "sticky_local_vol", without NaN; by default
        `surfaces.local_vol.dupire(surface).filled()`. Give it when asking more than once

    Raises
    ------
    InvalidInput
        Spot, strikes or years are not above zero, there is no such rule, or `local_vol` has nodes
        without a vol.
    """
    hint = "Prices are positive."
    value = check.one("spot", check.above("spot", spot, 0.0, unit="USD", hint=hint))
    strike, years = check.together(
        strike=check.above("strike", strike, 0.0, unit="USD", hint="Strikes are prices."),
        years=check.above("years", years, 0.0, unit="years", hint="Remove expired rows."),
    )
    ratio = ratio_of(rule)
    move = np.log(value / surface.spot)
    before = surface.vol(strike, years)
    if rule == "sticky_strike":
        return before
    if rule == "sticky_moneyness":
        return surface.vol(strike * (surface.spot / value), years)
    if ratio is not None:
        return _kept(before, before + (ratio - 1.0) * _skew(surface, years) * move)
    k = np.log(strike / surface.forward(years))
    change = _repriced(surface, k, years, move, local_vol)
    lost = ~np.isfinite(change)
    if not lost.any():
        return np.asarray(before + change)
    slope = vol_slope(surface, strike=strike, years=years, rule=rule)
    return np.where(lost, _kept(before, before + slope * move), before + change)


def vol_change(
    surface: "VolSurface",
    *,
    spot: float,
    strike: ArrayLike,
    years: ArrayLike,
    rule: Rule,
    local_vol: "LocalVol | None" = None,
) -> Array:
    """What `vol_after` adds to the vol of each strike, decimal."""
    after = vol_after(
        surface, spot=spot, strike=strike, years=years, rule=rule, local_vol=local_vol
    )
    return after - surface.vol(strike, years)


def vol_slope(surface: "VolSurface", *, strike: ArrayLike, years: ArrayLike, rule: Rule) -> Array:
    """dvol/dlnS of each strike by `rule`: the derivative of `vol_after` where nothing has moved.

    Under local volatility that is the first order in the skew, of today's smile and R alone, for
    moves of about one percent; `vol_after` knows the rest. A number gives (R - 1) skew, what Greeks
    and theo have for every rule; a name gives each strike its own, which in the wings of a steep
    smile is several times that. `strike` (USD) and `years` broadcast; scenarios take the result as
    `Instruments.vol_slope`.
    """
    strike, years = check.together(
        strike=check.above("strike", strike, 0.0, unit="USD", hint="Strikes are prices."),
        years=check.above("years", years, 0.0, unit="years", hint="Remove expired rows."),
    )
    ratio = ratio_of(rule)
    skew = _skew(surface, years)
    if ratio is not None and not isinstance(rule, str):
        return (ratio - 1.0) * skew
    if rule == "sticky_strike":
        return np.zeros(strike.shape)
    k = np.log(strike / surface.forward(years))
    if rule == "sticky_moneyness":
        up, down = (np.sqrt(surface.total_variance(k + d, years) / years) for d in (NEAR, -NEAR))
        return (down - up) / (2.0 * NEAR)
    at, money = (np.sqrt(surface.total_variance(x, years) / years) for x in (k, 0.0 * k))
    far = np.abs(k) > NEAR
    chord = np.divide(at * (at / money - 1.0), k, out=np.array(skew), where=far)
    return chord + (_local_vol_ratio_at(surface, years) - SHORT_DATES) * skew


def harmonic(smile: Callable[[Array], Array], k: Array, move: float) -> Array:
    """Vol at k = ln(K/F), F the old forward, once ln F has moved, for short dates.

    `smile`: vol against k today. With local vol fixed, k/vol(k) is the integral of 1/local from the
    forward to k, and the new smile is what is left of it from the new forward on. Where that is not
    positive, which no arbitrage-free short date gives, the vol moves by the first order.
    """
    # at the new forward itself the quotient is a slope
    at = smile(k)
    close = np.abs(k - move) < NEAR
    far = np.where(close, move + NEAR, k)
    near = np.where(close, move - NEAR, move)
    gap = far / smile(far) - near / smile(near)
    with np.errstate(divide="ignore", invalid="ignore"):
        after = (far - near) / gap
    slope = (smile(k + NEAR) - smile(k - NEAR)) / (2.0 * NEAR)
    return np.where((after > 0.0) & np.isfinite(after), after, at + slope * move)


def _columns(**columns: ArrayLike) -> list[Array]:
    """One row a slice, (m,) each, or raise naming who differs."""
    found = {name: check.numbers(name, value) for name, value in columns.items()}
    shape = found["years"].shape
    for name, value in found.items():
        if value.ndim != 1 or value.shape != shape:
            raise InvalidInput(
                f"{name} has shape {value.shape} and years {shape}: give one row an expiry, (m,)"
            )
    return list(found.values())


def _repriced(
    surface: "VolSurface", k: Array, years: Array, move: float, local_vol: "LocalVol | None"
) -> Array:
    """Change of vol at k = ln(K/F), F the old forward, once ln F has moved, with the local vols
    where they were. One scheme solves both, so that no move is no change; NaN where either has a
    price without a vol."""
    from surfaces.local_vol import dupire
    from surfaces.pricing import local_vol as forward_equation

    local = dupire(surface).filled() if local_vol is None else local_vol.complete()
    moved = replace(local, k=local.k - move)
    after = forward_equation.implied_vol(moved, k=k - move, years=years)
    return after - forward_equation.implied_vol(local, k=k, years=years)


def _variances(years: Array, vol: Array, skew: Array) -> tuple[Array, Array]:
    """w at the forward and dw/dk there."""
    return vol * vol * years, 2.0 * vol * skew * years


def _integral(w: Array, w1: Array) -> Array:
    """Integral of (w'/w) dw from zero to each w; w' linear in w, and in proportion to it at first.

    Each piece is w'_0 ln(1 + r) + (w'_1 - w'_0)(1 - ln(1 + r)/r), r the growth of w over it.
    """
    if w.size == 0:
        return w
    return np.cumsum(np.concatenate((w1[:1], _piece(w[:-1], w1[:-1], w[1:], w1[1:]))))


def _piece(w0: Array, s0: Array, w1: Array, s1: Array) -> Array:
    """Integral of (w'/w) dw from (w0, s0) to (w1, s1)."""
    growth = w1 / w0 - 1.0
    log = np.log1p(growth)
    share = np.divide(log, growth, out=np.ones_like(log), where=growth != 0.0)
    return s0 * log + (s1 - s0) * (1.0 - share)


def _ratio(w1: Array, integral: Array, skew: Array) -> Array:
    there = np.abs(skew) > NO_SKEW
    return 1.0 + np.divide(integral, w1, out=np.ones_like(w1), where=there)


def _skew(surface: "VolSurface", years: Array) -> Array:
    """dvol/dk at the forward for any maturity."""
    w = surface.total_variance(0.0, years)
    step = STEP * np.sqrt(w)
    up, down = (surface.total_variance(d, years) for d in (step, -step))
    return (up - down) / (2.0 * step) / (2.0 * np.sqrt(w * years))


def _local_vol_ratio_at(surface: "VolSurface", years: Array) -> Array:
    """R of any maturity: the expiries before it, and the piece from the last of them.

    Of curves that are the market's own, as `stickiness` has it.
    """
    surface = term.own_curves(surface)
    live = term.live_slices(surface)
    if live.size == 0:
        return np.full(years.shape, SHORT_DATES)
    at = surface.years[live]
    w, w1 = _variances(at, surface.atm_vol[live], surface.skew[live])
    total = _integral(w, w1)
    skew = _skew(surface, years)
    mine, mine1 = _variances(years, np.sqrt(surface.total_variance(0.0, years) / years), skew)
    last = np.maximum(np.searchsorted(at, years, side="right") - 1, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        rest = _piece(w[last], w1[last], mine, mine1)
    whole = np.where(years >= at[0], total[last] + rest, mine1)
    return _ratio(mine1, whole, skew)


def _kept(before: Array, after: Array) -> Array:
    """`after`, no more than doubled or halved."""
    return np.clip(after, before / MOST, before * MOST)
