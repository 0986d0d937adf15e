"""What the right to exercise early adds to each option, kept as a quadratic in spot.

American prices are slow; European ones are not. So an American theo is Black plus a premium that is
computed now and then (spot, vol, rate or time has moved enough) and carried by Taylor in
between. The same numbers take the premium off quotes before a smile is fitted.

Units   USD per share; spot derivatives per USD; years ACT/365.
"""

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

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
    vol_move: float = 0.01  # vol, median over a slice
    rate_move: float = 0.0025  # per year
    forward_move: float = 3e-4  # carry x years, share of spot
    max_age_s: float = 900.0
    bump: float = 0.005  # share of spot, for the derivatives


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
    _now: PremiumSnapshot = field(init=False)
    _vols: Array = field(init=False)  # (n,) the vols premia were computed at
    _made: Array = field(init=False)  # (m, 3): spot, rate, carry x years they were computed at
    _made_ns: NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        n, m = self.strike.size, self.slice_start.size - 1
        zero = np.zeros(n)
        self._now = PremiumSnapshot(np.ones(n), zero, zero, zero)
        self._vols = np.full(n, np.nan)
        self._made = np.full((m, 3), np.nan)
        self._made_ns = np.zeros(m, np.int64)

    @property
    def snapshot(self) -> PremiumSnapshot:
        """The present premia; immutable, safe to keep."""
        return self._now

    def refresh(
        self, *, now_ns: int, spot: float, years: Array, vols: Array, rate: Array, carry: Array
    ) -> int:
        """Recompute what moved too far since it was made; returns the number of rows priced.

        `years`, `rate`, `carry` (m,): per slice; `vols` (n,): per row, NaN where unknown (that
        row's premium is then zero). Rows that can never be exercised early cost nothing.
        """
        todo = np.zeros(self.strike.size, bool)
        for j, (low, high) in enumerate(pairwise(self.slice_start.tolist())):
            rows = slice(low, high)
            if not self.american[rows].any():
                continue
            made = np.array([spot, rate[j], carry[j] * years[j]])
            if self._stale(j, rows, now_ns, made, vols[rows]):
                todo[rows] = True
                self._made[j], self._made_ns[j] = made, now_ns
                self._vols[rows] = vols[rows]
        if not todo.any():
            return 0
        counts = np.diff(self.slice_start)
        every = {"years": years, "rate": rate, "carry": carry}
        spread = {name: np.repeat(values, counts) for name, values in every.items()}
        needs = todo & self.american & (vols > 0.0) & (spread["years"] > 0.0)
        never = np.where(
            self.right > 0.0,
            (spread["carry"] <= 0.0) & (spread["rate"] >= 0.0),
            (spread["rate"] <= 0.0) & (spread["carry"] >= 0.0),
        )
        # Rates with two exercise boundaries are not priced: no premium rather than a wrong one.
        double = np.where(
            self.right > 0.0,
            (spread["rate"] < spread["carry"]) & (spread["carry"] < 0.0),
            (spread["carry"] < spread["rate"]) & (spread["rate"] < 0.0),
        )
        needs &= ~never & ~double
        self._now = self._recomputed(todo, needs, spot, spread, vols)
        return int(np.count_nonzero(needs))

    def _stale(self, j: int, rows: slice, now_ns: int, made: Array, vols: Array) -> bool:
        """Whether slice `j` has moved past a limit since its premia were made."""
        limits, old = self.limits, self._made[j]
        if not np.isfinite(old[0]) or now_ns - self._made_ns[j] > limits.max_age_s * E9:
            return True
        moved = np.abs(made - old)
        if (
            moved[0] > limits.spot_move * old[0]
            or moved[1] > limits.rate_move
            or moved[2] > limits.forward_move
        ):
            return True
        known = np.isfinite(vols)
        if not np.array_equal(known, np.isfinite(self._vols[rows])):
            return True
        change = np.abs(vols - self._vols[rows])[known]
        return bool(change.size and np.median(change) > limits.vol_move)

    def _recomputed(
        self,
        todo: NDArray[np.bool_],
        needs: NDArray[np.bool_],
        spot: float,
        spread: dict[str, Array],
        vols: Array,
    ) -> PremiumSnapshot:
        """A new snapshot: rows `needs` priced at three spots, the rest of `todo` zero."""
        old = self._now
        at, value, slope, bend = (a.copy() for a in (old.spot, old.value, old.slope, old.bend))
        at[todo] = spot
        for array in (value, slope, bend):
            array[todo] = 0.0
        if needs.any():
            step = self.limits.bump * spot
            low, mid, high = american.premium(
                right=self.right[needs],
                spot=spot + step * np.array([[-1.0], [0.0], [1.0]]),
                strike=self.strike[needs],
                years=spread["years"][needs],
                vol=vols[needs],
                rate=spread["rate"][needs],
                dividend_yield=np.clip(spread["carry"][needs], -MOST_CARRY, MOST_CARRY),
            )
            value[needs] = mid
            slope[needs] = (high - low) / (2.0 * step)
            bend[needs] = (high - 2.0 * mid + low) / (step * step)
        return PremiumSnapshot(at, value, slope, bend)
