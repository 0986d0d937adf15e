"""What the right to exercise early adds to each option, expanded in spot, rate and forward.

American prices are slow; European ones are not. So an American theo is Black plus a premium that is
computed now and then (spot, vol or time has moved enough) and carried by Taylor in between. The
same numbers take the premium off quotes before a smile is fitted. Deep in the money the premium is
intrinsic less the European price, so it must follow every move of the forward and the rate that
the European price follows: those two are part of the expansion.

Units   USD per share; spot derivatives per USD; years ACT/365.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from surfaces import grouped
from surfaces.pricing import american
from surfaces.units import E9

Array = NDArray[np.float64]

MOST_CARRY = 0.5  # per year: a basis point of forward in the last hour is not a dividend yield


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
        rates, yields = self._bumped(rate, log_forward, years)
        needs &= _exercisable(self.right, rates[:, of], yields[:, of])
        self._recompute(todo, needs, spot, years[of], vols, rates[:, of], yields[:, of])
        return int(np.count_nonzero(needs))

    def _bumped(self, rate: Array, log_forward: Array, years: Array) -> tuple[Array, Array]:
        """Rates and yields (3, m): as they are, a higher rate at the same forward, a lower forward.

        A lower forward, because it is what makes a call worth exercising.
        """
        rates = rate + self.limits.rate_bump * np.array([[0.0], [1.0], [0.0]])
        forwards = log_forward - self.limits.forward_bump * np.array([[0.0], [0.0], [1.0]])
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
        spot: float,
        years: Array,
        vols: Array,
        rates: Array,
        yields: Array,
    ) -> None:
        """Price rows `needs` at three spots, a bumped rate and a bumped forward; others get zero.

        `years` and `vols` are per row here, (n,), `rates` and `yields` (3, n) from `_bumped`.
        """
        old = self._now
        at, value, slope, bend = (a.copy() for a in (old.spot, old.value, old.slope, old.bend))
        by_rate, by_forward = self._by_rate.copy(), self._by_log_forward.copy()
        at[todo] = spot
        for array in (value, slope, bend, by_rate, by_forward):
            array[todo] = 0.0
        if needs.any():
            step = self.limits.bump * spot
            # An option's five prices side by side: the three at one rate share their boundary.
            option = (self.right, self.strike, years, vols)
            right, strike, left, vol = (a[needs][:, None] for a in option)
            low, mid, high, up_rate, down_forward = american.premium(
                right=right,
                spot=spot + step * np.array([-1.0, 0.0, 1.0, 0.0, 0.0]),
                strike=strike,
                years=left,
                vol=vol,
                rate=rates[[0, 0, 0, 1, 2]][:, needs].T,
                dividend_yield=yields[[0, 0, 0, 1, 2]][:, needs].T,
            ).T
            value[needs] = mid
            slope[needs] = (high - low) / (2.0 * step)
            bend[needs] = (high - 2.0 * mid + low) / (step * step)
            by_rate[needs] = (up_rate - mid) / self.limits.rate_bump
            by_forward[needs] = (mid - down_forward) / self.limits.forward_bump
        self._now = PremiumSnapshot(at, value, slope, bend)
        self._by_rate, self._by_log_forward = by_rate, by_forward


def _exercisable(right: Array, rates: Array, yields: Array) -> NDArray[np.bool_]:
    """Rows (n,) where early exercise can pay at any of the bumped (3, n) rates and yields.

    Not those with two exercise boundaries: noise in a short rate makes them, their premium is next
    to nothing, and each costs as much as up to a hundred others.
    """
    call = right > 0.0
    double = np.where(call, (rates < yields) & (yields < 0.0), (yields < rates) & (rates < 0.0))
    never = np.where(call, (yields <= 0.0) & (rates >= yields), (rates <= 0.0) & (yields >= rates))
    return np.asarray(~double.any(axis=0) & ~never.all(axis=0))
