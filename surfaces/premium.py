"""What the right to exercise early adds to each option, expanded in spot, rate and forward.

American prices are slow; European ones are not. So an American theo is Black plus a premium that is
computed now and then (spot, vol or time has moved enough) and carried by Taylor in between. The
same numbers take the premium off quotes before a smile is fitted. Deep in the money the premium is
intrinsic less the European price, so it must follow every move of the forward and the rate that
the European price follows: those two are part of the expansion.

Dividends are a yield, or cash on a schedule where one is given: then a premium is the American less
the European price of the same share, falling at each ex-date. Those prices cost twenty times as
much, so of an expiry and side with many strikes they are made for some fifty, dense near the money,
and cubics do the rest: within a tenth of a cent near the money, three cents where an option far
in the money is about to be exercised.

Units   USD per share; spot derivatives per USD; years ACT/365.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from surfaces import grouped
from surfaces.curves.cash import CashDividends
from surfaces.pricing import american, american_cash
from surfaces.units import E9

Array = NDArray[np.float64]

MOST_CARRY = 0.5  # per year: a basis point of forward in the last hour is not a dividend yield
FEWEST = 60  # rows of an expiry and side up to which each is priced with cash dividends
KNOTS = np.concatenate((-np.geomspace(30.0, 3.2, 8), np.linspace(-3.0, 3.0, 37)))
KNOTS = np.concatenate((KNOTS, np.geomspace(3.2, 30.0, 8)))  # deviations from the forward


@dataclass(frozen=True, slots=True, eq=False)
class PremiumSnapshot:
    """Premium of n rows as a parabola in spot about each row's reference; arrays (n,)."""

    spot: Array
    value: Array
    slope: Array
    bend: Array

    def at(self, spot: float) -> tuple[Array, Array, Array]:
        """Premium >= 0 and its first and second derivative in spot, each (n,), at `spot` USD."""
        moved = spot - self.spot
        value = self.value + (self.slope + 0.5 * self.bend * moved) * moved
        slope = self.slope + self.bend * moved
        dead = value <= 0.0
        return (
            np.where(dead, 0.0, value),
            np.where(dead, 0.0, slope),
            np.where(dead, 0.0, self.bend),
        )


@dataclass(frozen=True, slots=True)
class PremiumLimits:
    """How far the world may move before a premium is computed again."""

    spot_move: float = 0.003  # share of spot
    vol_move: float = 0.003  # of vol x sqrt(years), median over a slice
    rate_move: float = 0.005  # per year
    forward_move: float = 2e-3  # of ln(F/S)
    max_age_s: float = 900.0
    rows_per_refresh: int = 800  # the stalest slices first; the others wait for the next refit
    bump: float = 0.005  # share of spot, for the derivatives
    rate_bump: float = 0.002
    forward_bump: float = 5e-4


@dataclass(slots=True)
class PremiumCache:
    """Early-exercise premia of a chain's rows; `refresh` recomputes the slices that went stale.

    `right` (+1, -1), `strike` (USD), `american` have shape (n,), `slice_start` (m+1,).
    """

    right: Array
    strike: Array
    american: NDArray[np.bool_]
    slice_start: NDArray[np.int64]
    limits: PremiumLimits = field(default_factory=PremiumLimits)
    dividends: CashDividends | None = None
    _now: PremiumSnapshot = field(init=False)  # at the rates and forwards of `_made`
    _by_rate: Array = field(init=False)  # (n,) d premium / d rate at a fixed forward
    _by_log_forward: Array = field(init=False)  # (n,) d premium / d ln(F/S) at a fixed rate
    _vols: Array = field(init=False)  # (n,) the vols premia were computed at
    _made: Array = field(init=False)  # (m, 3): spot, rate, ln(F/S) they were computed at
    _made_ns: NDArray[np.int64] = field(init=False)
    _slice_of: NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        n, m = self.strike.size, self.slice_start.size - 1
        zero = np.zeros(n)
        self._now = PremiumSnapshot(np.ones(n), zero, zero, zero)
        self._by_rate, self._by_log_forward = zero, zero
        self._vols = np.full(n, np.nan)
        self._made = np.full((m, 3), np.nan)
        self._made_ns = np.zeros(m, np.int64)
        self._slice_of = np.repeat(np.arange(m), np.diff(self.slice_start))

    @property
    def by_rate(self) -> Array:
        """d premium / d rate of every row with the forward held, USD per 1.00 of rate."""
        return self._by_rate

    def snapshot(self, rate: Array, log_forward: Array) -> PremiumSnapshot:
        """Premia at these rates and ln(F/S), each (m,); immutable, safe to keep."""
        moved = np.nan_to_num(np.stack((rate, log_forward), axis=1) - self._made[:, 1:])
        by_rate, by_forward = moved[self._slice_of].T
        value = self._now.value + self._by_rate * by_rate + self._by_log_forward * by_forward
        return PremiumSnapshot(self._now.spot, value, self._now.slope, self._now.bend)

    def refresh(
        self,
        *,
        now_ns: int,
        spot: float,
        years: Array,
        vols: Array,
        rate: Array,
        log_forward: Array,
    ) -> int:
        """Recompute what moved too far since it was made; returns the number of rows priced.

        `years`, `rate`, `log_forward` = ln(F/S): (m,), per slice; `vols` (n,): per row, NaN where
        unknown (that row's premium is then zero). Rows that can never be exercised early cost
        nothing.
        """
        todo = np.zeros(self.strike.size, bool)
        made = np.stack((np.full(years.size, spot), rate, log_forward), axis=1)
        ages = self._staleness(now_ns, made, vols, years)
        room = self.limits.rows_per_refresh
        for j in np.argsort(-ages, kind="stable"):
            low, high = self.slice_start[j : j + 2]
            waits = room < high - low and room < self.limits.rows_per_refresh
            if ages[j] <= 1.0 or (waits and ages[j] < np.inf):
                break
            todo[low:high] = True
            room -= int(high - low)
            self._made[j], self._made_ns[j] = made[j], now_ns
            self._vols[low:high] = vols[low:high]
        if not todo.any():
            return 0
        of = self._slice_of
        needs = todo & self.american & (vols > 0.0) & (years[of] > 0.0)
        rates, yields = self._bumped(now_ns, spot, rate, log_forward, years)
        if self.dividends is None:
            needs &= _exercisable(self.right, rates[:, of], yields[:, of])
        world = _World(now_ns, spot, years[of], vols, rates[:, of], yields[:, of])
        self._recompute(todo, needs, world, (log_forward / np.sqrt(years))[of])
        return int(np.count_nonzero(needs))

    def _bumped(
        self, now_ns: int, spot: float, rate: Array, log_forward: Array, years: Array
    ) -> tuple[Array, Array]:
        """Rates and yields (3, m): as they are, a higher rate at the same forward, a lower forward.

        A lower forward, because it is what makes a call worth exercising.
        """
        rates = rate + self.limits.rate_bump * np.array([[0.0], [1.0], [0.0]])
        forwards = log_forward - self.limits.forward_bump * np.array([[0.0], [0.0], [1.0]])
        if self.dividends is not None:  # cash explains its part of the forward, a yield the rest
            forwards -= [self.dividends.log_paid(now_ns, spot, years, r) for r in rates]
        return rates, np.clip(rates - forwards / years, -MOST_CARRY, MOST_CARRY)

    def _staleness(self, now_ns: int, made: Array, vols: Array, years: Array) -> Array:
        """How far each slice has moved, in units of its limits; infinite if it was never made."""
        limits, of, m = self.limits, self._slice_of, years.size
        known, before = np.isfinite(vols), np.isfinite(self._vols)
        both = known & before
        change = grouped.median(np.abs(vols - self._vols)[both], of[both], m)
        moved = np.abs(made - self._made)
        ages = [
            (now_ns - self._made_ns) / E9 / limits.max_age_s,
            moved[:, 0] / (limits.spot_move * self._made[:, 0]),
            moved[:, 1] / limits.rate_move,
            moved[:, 2] / limits.forward_move,
            np.nan_to_num(change) * np.sqrt(years) / limits.vol_move,
        ]
        new = ~np.isfinite(self._made[:, 0]) | (grouped.count(known != before, of, m) > 0)
        exercised_early = grouped.count(self.american, of, m) > 0
        return np.where(exercised_early, np.where(new, np.inf, np.max(ages, axis=0)), 0.0)

    def _recompute(
        self,
        todo: NDArray[np.bool_],
        needs: NDArray[np.bool_],
        world: "_World",
        moved: Array,
    ) -> None:
        """Price rows `needs` at three spots, a bumped rate and a bumped forward; others get zero.

        `moved` (n,): ln(F/S) per square root of a year.
        """
        old = self._now
        fields = [a.copy() for a in (old.value, old.slope, old.bend)]
        fields += [self._by_rate.copy(), self._by_log_forward.copy()]
        at = old.spot.copy()
        at[todo] = world.spot
        for array in fields:
            array[todo] = 0.0
        rows = np.flatnonzero(needs)
        if rows.size and self.dividends is None:
            for array, found in zip(fields, self._expanded(world, rows), strict=True):
                array[rows] = found
        elif rows.size:
            z = (np.log(self.strike / world.spot) / np.sqrt(world.years) - moved) / world.vols
            group = 2 * self._slice_of + (self.right < 0.0)
            few = _sampled(rows, group, z)
            made = self._expanded(world, few)
            for array, found in zip(fields, made, strict=True):
                array[rows] = _between(rows, few, group, np.log(self.strike), found)
        self._now = PremiumSnapshot(at, *fields[:3])
        self._by_rate, self._by_log_forward = fields[3:]

    def _expanded(self, world: "_World", rows: NDArray[np.int64]) -> tuple[Array, ...]:
        """Value, slope and bend in spot, growth by rate and by ln(F/S) of `rows`."""
        limits, step = self.limits, self.limits.bump * world.spot
        terms: dict[str, Any] = {
            "right": self.right[rows][:, None],
            # An option's five prices side by side: the three at one rate share their boundary.
            "spot": world.spot + step * np.array([-1.0, 0.0, 1.0, 0.0, 0.0]),
            "strike": self.strike[rows][:, None],
            "years": world.years[rows][:, None],
            "vol": world.vols[rows][:, None],
            "rate": world.rates[[0, 0, 0, 1, 2]][:, rows].T,
            "dividend_yield": world.yields[[0, 0, 0, 1, 2]][:, rows].T,
        }
        if self.dividends is None:
            found = american.premium(**terms)
        else:
            terms["dividends"] = self.dividends.at(world.now_ns)
            found = american_cash.price(**terms)
            found -= american_cash.price(exercise="european", **terms)
            found = np.maximum(found, 0.0)
        low, mid, high, up_rate, down_forward = found.T
        return (
            mid,
            (high - low) / (2.0 * step),
            (high - 2.0 * mid + low) / (step * step),
            (up_rate - mid) / limits.rate_bump,
            (mid - down_forward) / limits.forward_bump,
        )


@dataclass(frozen=True, slots=True)
class _World:
    """What premia are computed at: `years`, `vols` (n,), `rates`, `yields` (3, n) as `_bumped`."""

    now_ns: int
    spot: float
    years: Array
    vols: Array
    rates: Array
    yields: Array


def _sampled(rows: NDArray[np.int64], group: NDArray[np.int64], z: Array) -> NDArray[np.int64]:
    """Those of `rows` to price: of every large group the nearest to each of `KNOTS` and its ends.

    `group` and `z` (n,): expiry and side, deviations of the strike from the forward.
    """
    order = rows[np.lexsort((z[rows], group[rows]))]
    chosen = []
    for one in np.split(order, np.flatnonzero(np.diff(group[order])) + 1):
        if one.size <= FEWEST:
            chosen.append(one)
            continue
        near = np.searchsorted(0.5 * (z[one[1:]] + z[one[:-1]]), KNOTS)
        chosen.append(one[np.unique(np.concatenate(([0], near, [one.size - 1])))])
    return np.concatenate(chosen)


def _between(
    rows: NDArray[np.int64],
    few: NDArray[np.int64],
    group: NDArray[np.int64],
    x: Array,
    values: Array,
) -> Array:
    """`values` of the rows `few` carried to `rows` by cubic Hermite curves in `x`, group by group.

    Slopes are those of parabolas through three neighbours; `few` is sorted by group and then `x`.
    """
    out = np.empty(x.size)
    out[few] = values
    rest = rows[~np.isin(rows, few)]
    if rest.size == 0:
        return out[rows]
    at, of = x[few], group[few]
    joined = of[1:] == of[:-1]
    chord = np.where(joined, np.diff(values) / np.where(joined, np.diff(at), 1.0), 0.0)
    width = np.where(joined, np.abs(np.diff(at)), np.inf)  # no weight across groups
    left, right = np.append(np.inf, width), np.append(width, np.inf)
    before, after = np.append(0.0, chord), np.append(chord, 0.0)
    slope = (before / left + after / right) / (1.0 / left + 1.0 / right)
    for g in np.unique(group[rest]):
        inside = np.flatnonzero(of == g)
        mine = rest[group[rest] == g]
        i = inside[np.clip(np.searchsorted(at[inside], x[mine]) - 1, 0, inside.size - 2)]
        h = at[i + 1] - at[i]
        t = (x[mine] - at[i]) / h
        out[mine] = (
            values[i] * (1.0 + 2.0 * t) * (1.0 - t) ** 2
            + values[i + 1] * t * t * (3.0 - 2.0 * t)
            + h * t * (1.0 - t) * (slope[i] * (1.0 - t) - slope[i + 1] * t)
        )
    return out[rows]


def _exercisable(right: Array, rates: Array, yields: Array) -> NDArray[np.bool_]:
    """Rows (n,) where early exercise can pay at any of the bumped (3, n) rates and yields.

    Not those with two exercise boundaries: noise in a short rate makes them, their premium is next
    to nothing, and each costs as much as up to a hundred others.
    """
    call = right > 0.0
    double = np.where(call, (rates < yields) & (yields < 0.0), (yields < rates) & (rates < 0.0))
    never = np.where(call, (yields <= 0.0) & (rates >= yields), (rates <= 0.0) & (yields >= rates))
    return np.asarray(~double.any(axis=0) & ~never.all(axis=0))
