"""A surface between its expiries: total variance in the clock's time, density, fair value, events.

Total variance at equal log-moneyness is linear in the clock's tau between two expiries, with a step
at every event (`surfaces.curves.between`). Before the first expiry it falls to zero now, after the
last the vol between events is held.
"""

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from surfaces.certificate import STOPGAPS
from surfaces.curves.between import extrapolate, interpolate
from surfaces.curves.clock import CALENDAR, VolClock
from surfaces.curves.events import Estimated, estimate_events
from surfaces.errors import InvalidInput
from surfaces.smiles.base import SMILES, Array
from surfaces.units import NS_PER_YEAR

if TYPE_CHECKING:
    from surfaces.surface import VolSurface

STEP = 2e-3  # of total vol, for the curvature of w in k


class FairValue(NamedTuple):
    """European prices with one standard error each, USD per share."""

    price: Array
    error: Array


class ImpliedEvents(NamedTuple):
    """Event variance that the at-the-money term structure asks for between two expiries.

    `after`, `before`: slice numbers (-1: now) of the gap each event lies in; `estimated` has its
    variance (of ln price, not annualised), standard error, significance and whether it is there.
    """

    after: NDArray[np.int64]
    before: NDArray[np.int64]
    estimated: Estimated


def total_variance(surface: "VolSurface", k: Array, years: Array) -> Array:
    """w at `k` and `years` (equal shapes); NaN if nothing is fitted."""
    slices = live_slices(surface)
    if slices.size == 0:
        return np.full(k.shape, np.nan)
    fixing = surface.chain.fixing_ns[slices]
    at = surface.ts_ns + np.rint(years * NS_PER_YEAR).astype(np.int64)
    after = np.searchsorted(fixing, at)
    out = np.empty(k.shape)
    for i in np.unique(after).tolist():
        part = after == i
        before = variance_of(surface, int(slices[i - 1]), k[part]) if i else np.zeros(part.sum())
        start = fixing[i - 1] if i else np.int64(surface.ts_ns)
        if i < slices.size:
            w = variance_of(surface, int(slices[i]), k[part])
            room = _room(surface, slices[: i + 1]) if surface.clock.events else None
            found = interpolate(
                at_ns=at[part], before_ns=start, after_ns=fixing[i], w_before=before, w_after=w,
                clock=surface.clock, room=room,
            )  # fmt: skip
        else:
            found = extrapolate(
                at_ns=at[part], now_ns=np.int64(surface.ts_ns), last_ns=start, w_last=before,
                clock=surface.clock,
            )  # fmt: skip
        out[part] = found.total_variance
    return out


def _room(surface: "VolSurface", slices: NDArray[np.int64]) -> float:
    """The least variance that the last of `slices` gains on the one before, over all of its reach:
    cut strike by strike, an event would leave a kink, and a negative density, between them."""
    from surfaces.smiles.base import reach

    j = int(slices[-1])
    grid = reach(*surface.quoted_range[j], points=101)
    before = variance_of(surface, int(slices[-2]), grid) if slices.size > 1 else 0.0
    return float(np.min(variance_of(surface, j, grid) - before))


def variance_of(surface: "VolSurface", j: int, k: Array) -> Array:
    """w of slice `j`'s own curve."""
    w = SMILES[surface.models[j]].total_variance(k, surface.thetas[j])
    return np.maximum(np.asarray(w, np.float64), 0.0)


def live_slices(surface: "VolSurface") -> NDArray[np.int64]:
    """Slices alive with a curve, one an instant (the best quoted), in rising time."""
    fixing = surface.chain.fixing_ns
    live = [j for j, name in enumerate(surface.models) if name and fixing[j] > surface.ts_ns]
    live.sort(key=lambda j: (fixing[j], -int(surface.scores.quotes[j]), j))
    keep = [j for i, j in enumerate(live) if not i or fixing[j] > fixing[live[i - 1]]]
    return np.array(keep, np.int64)


def own_curves(surface: "VolSurface") -> "VolSurface":
    """The surface without its stopgaps' curves (borrowed, flat, kept from before), whose skew and
    level are no market's; the surface itself if no live expiry has a curve of its own."""
    models = tuple(
        "" if path in STOPGAPS else name
        for name, path in zip(surface.models, surface.path, strict=True)
    )
    if models == surface.models:
        return surface
    own = replace(surface, models=models)
    return own if live_slices(own).size else surface


def density(surface: "VolSurface", strike: Array, years: Array) -> Array:
    """Risk-neutral density of the price at `years`, per USD: g phi(d2) / (K sqrt w)."""
    from surfaces.arbitrage import durrleman

    k = np.log(strike / surface.forward(years))
    w = total_variance(surface, k, years)
    step = STEP * np.sqrt(w)
    up, down = (total_variance(surface, k + d, years) for d in (step, -step))
    w1, w2 = (up - down) / (2.0 * step), (up - 2.0 * w + down) / (step * step)
    d2 = -k / np.sqrt(w) - 0.5 * np.sqrt(w)
    g = durrleman(k, w, w1, w2)
    return np.asarray(g * np.exp(-0.5 * d2 * d2) / (strike * np.sqrt(2.0 * np.pi * w)))


def fair_value(surface: "VolSurface", right: Array, strike: Array, years: Array) -> FairValue:
    """European price, and its error: vega by the vol's, delta by the forward's."""
    from surfaces.pricing import black

    if live_slices(surface).size == 0:
        return FairValue(np.full(strike.shape, np.nan)[()], np.full(strike.shape, np.nan)[()])
    forward, df = surface.forward(years), surface.df(years)
    greeks = black.greeks(
        right=right, forward=forward, strike=strike, years=years,
        vol=surface.vol(strike, years), df=df, which=("price", "delta", "vega"),
    )  # fmt: skip
    at = np.argsort(surface.years, kind="stable")
    of_forward = np.interp(years, surface.years[at], surface.forward_error[at])
    error = np.hypot(greeks.vega * surface.uncertainty(strike, years), greeks.delta * of_forward)
    return FairValue(np.asarray(greeks.price)[()], np.asarray(error)[()])


def implied_events(surface: "VolSurface", clock: VolClock, false_alarm: float) -> ImpliedEvents:
    """Events between the expiries of `surface`, measured on `clock` (its own events ignored)."""
    slices = live_slices(surface)
    if slices.size == 0:
        raise InvalidInput("no expiry holds a curve, so there are no events to imply; see status")
    at, vol = surface.chain.fixing_ns[slices], surface.atm_vol[slices]
    years = surface.years[slices]
    error = np.array([surface.error(int(j), np.zeros(1))[0] for j in slices])
    good = np.isfinite(error) & (error > 0.0) & np.isfinite(vol)
    slices, at, vol, years, error = (a[good] for a in (slices, at, vol, years, error))
    tau = clock.tau(np.int64(surface.ts_ns), at)
    found = estimate_events(
        tau=tau, atm_variance=vol * vol * years, errors=2.0 * vol * years * error,
        false_alarm=false_alarm,
    )  # fmt: skip
    return ImpliedEvents(np.concatenate(([-1], slices[:-1])), slices, found)


__all__ = ["CALENDAR", "FairValue", "ImpliedEvents", "density", "fair_value", "implied_events"]
