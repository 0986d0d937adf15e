"""The inventory limit and the Greek limits, as lots that each quote may still trade.

Inventory is the largest of three measures of the option book (hedges do not count):

    delta    |sum of lots * delta * multiplier * spot|
    premium  sum of |lots| * multiplier * mark
    stress   the worst loss over the scenarios (spot +-10 % by vol +-5 points), at least 0

`caps` answers before a trade: how many lots may each side of each instrument show, so that ANY
`fills_before_purge` bid fills and as many ask fills, wherever they fall and in any order, leave
every limit respected. Delta, stress, vega and theta are maxima of linear functions f of the lots,
and premium is a sum of absolute values; each is subadditive, so a fill z may use up at most

    f(z) <= (limit - f(lots)) / (2 * fills_before_purge)

and a trade that lowers f is not held back by f at all. Premium counts a fill against the position
only beyond twice what is held, since up to there it brings |lots| down or leaves it.
A book already over a limit may only trade what does not raise that measure.

Units   USD; vega USD per vol point; theta USD per calendar day; lots are contracts.
Checked tests/optmm/risk/test_limits.py: an adversary who picks the worst sequences of fills.
"""

import math
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from optmm.errors import UsageError

Array = NDArray[np.float64]
Lots = NDArray[np.int64]

_FREE = 1e300  # reciprocal of a consumption that does not exist
_SLACK = 1e-9  # of a limit, kept back so that rounding of sums cannot carry a book over it


class Binding(IntEnum):
    """Which limit sets a cap; `TEXT` has what a report prints."""

    NONE = 0
    DELTA = 1
    PREMIUM = 2
    STRESS = 3
    VEGA = 4
    VEGA_EXPIRY = 5
    THETA = 6
    THETA_EXPIRY = 7
    UNKNOWN = 8


TEXT: dict[Binding, str] = {
    Binding.NONE: "no limit binds: the largest quote size does",
    Binding.DELTA: "inventory limit: dollar delta before hedges",
    Binding.PREMIUM: "inventory limit: gross premium",
    Binding.STRESS: "inventory limit: stressed loss",
    Binding.VEGA: "vega of the book",
    Binding.VEGA_EXPIRY: "vega of the expiry",
    Binding.THETA: "theta of the book",
    Binding.THETA_EXPIRY: "theta of the expiry",
    Binding.UNKNOWN: "the instrument has no risk figures: no quote without them",
}


@dataclass(frozen=True, slots=True)
class Limits:
    """Hard limits, each > 0; the soft one is a share of the hard one. Infinity switches one off."""

    inventory_usd: float = 10_000_000.0
    vega_usd_per_volpt: float = math.inf
    vega_expiry_usd_per_volpt: float = math.inf
    theta_usd_per_day: float = math.inf
    theta_expiry_usd_per_day: float = math.inf
    soft_share: float = 0.8

    def __post_init__(self) -> None:
        for name in ("inventory_usd", "vega_usd_per_volpt", "vega_expiry_usd_per_volpt",
                     "theta_usd_per_day", "theta_expiry_usd_per_day"):  # fmt: skip
            if not getattr(self, name) > 0.0:
                raise UsageError(f"{name} is {getattr(self, name):g}, must be > 0; inf is no limit")
        if not 0.0 < self.soft_share <= 1.0:
            raise UsageError(f"soft_share is {self.soft_share:g}, must be in (0, 1]")


@dataclass(frozen=True, slots=True)
class UnitRisk:
    """What one long contract of each option uses up: computed once a refit, read after every fill.

    Build it with `unit_risk`, which checks shapes and marks rows without figures.
    """

    rising: Array  # (2 + m, n): growth of each inventory function for +1 lot: delta, -delta, losses
    premium_usd: Array  # (n,)
    vega: Array  # (n,) USD per vol point
    theta: Array  # (n,) USD per day
    slice_of: NDArray[np.intp]  # (n,)
    slices: int
    known: NDArray[np.bool_]  # (n,): False where a figure is missing; caps are 0 there
    per_rise: Array  # (2 + m, n): 1 / growth for a bid, _FREE where it does not grow
    per_fall: Array  # the same for an ask


@dataclass(frozen=True, slots=True)
class Inventory:
    """The three measures of one book in USD, and the one that is largest."""

    delta_usd: float  # absolute
    premium_usd: float
    stress_usd: float
    binding: Binding

    @property
    def total_usd(self) -> float:
        """What the inventory limit bounds; infinite if a position has no risk figures."""
        return max(self.delta_usd, self.premium_usd, self.stress_usd)


class Caps(NamedTuple):
    """Lots each side may show, int64 (n,), and the `Binding` code of each, int8 (n,)."""

    bid_lots: Lots
    ask_lots: Lots
    bid_binding: NDArray[np.int8]
    ask_binding: NDArray[np.int8]


@dataclass(frozen=True, slots=True)
class LimitState:
    """One limit after the fact: how much is used, and whether that is "ok", "soft" or "hard"."""

    binding: Binding
    used: float
    soft: float
    hard: float
    where: int = -1  # slice, for limits of an expiry

    @property
    def state(self) -> str:
        """ "hard" beyond the limit, "soft" beyond its soft share, else "ok"."""
        return "hard" if self.used > self.hard else "soft" if self.used > self.soft else "ok"


def unit_risk(
    *,
    delta_usd: ArrayLike,
    premium_usd: ArrayLike,
    scenario_pnl: ArrayLike,
    vega_usd_per_volpt: ArrayLike = 0.0,
    theta_usd_per_day: ArrayLike = 0.0,
    slice_of: ArrayLike = 0,
    slices: int = 1,
) -> UnitRisk:
    """Consumption of one long contract of each option.

    Parameters
    ----------
    delta_usd : delta * multiplier * spot, shape (n,)
    premium_usd : mark * multiplier, >= 0, shape (n,)
    scenario_pnl : USD, shape (n, m) or (n, spot shocks, vol shocks) as `scenarios.unit_pnl` returns
    vega_usd_per_volpt, theta_usd_per_day : shape (n,), or 0 without such limits
    slice_of : int, shape (n,)
    slices : number of them

    Returns
    -------
    A row that has a NaN anywhere is marked unknown: nothing may be quoted in it.
    """
    delta = np.asarray(delta_usd, np.float64)
    n = delta.size
    pnl = np.asarray(scenario_pnl, np.float64).reshape(n, -1)
    columns = {
        "premium_usd": np.broadcast_to(np.asarray(premium_usd, np.float64), n),
        "vega": np.broadcast_to(np.asarray(vega_usd_per_volpt, np.float64), n),
        "theta": np.broadcast_to(np.asarray(theta_usd_per_day, np.float64), n),
    }
    rising = np.vstack([delta, -delta, -pnl.T])  # a row a function: `caps` walks along rows
    known = np.isfinite(np.vstack([rising, *columns.values()])).all(axis=0)
    if (columns["premium_usd"][known] < 0.0).any():
        raise UsageError("premium_usd is negative somewhere, must be >= 0: pass marks, not costs")
    rising[:, ~known] = 0.0
    clean = {name: np.where(known, values, 0.0) for name, values in columns.items()}
    group = np.array(np.broadcast_to(np.asarray(slice_of, np.intp), n))
    return UnitRisk(
        **clean, rising=rising, slice_of=group, slices=slices, known=known,
        per_rise=_reciprocal(rising), per_fall=_reciprocal(-rising),
    )  # fmt: skip


def inventory(lots: ArrayLike, unit: UnitRisk) -> Inventory:
    """Measure a book of signed contracts, shape (n,), against the inventory limit.

    A position without risk figures makes every measure infinite: leaving it out would be a guess.
    """
    held = np.asarray(lots, np.float64)
    if (held[~unit.known] != 0.0).any():
        return Inventory(math.inf, math.inf, math.inf, Binding.UNKNOWN)
    functions = unit.rising @ held
    measures = (
        abs(float(functions[0])),
        float(np.abs(held) @ unit.premium_usd),
        max(float(functions[2:].max(initial=0.0)), 0.0),
    )
    names = (Binding.DELTA, Binding.PREMIUM, Binding.STRESS)
    return Inventory(*measures, names[measures.index(max(measures))])


def caps(
    lots: ArrayLike,
    unit: UnitRisk,
    *,
    limits: Limits,
    fills_before_purge: int,
    max_lots: ArrayLike,
) -> Caps:
    """Lots that each side of each instrument may show, before any trade.

    Parameters
    ----------
    lots : signed contracts held, shape (n,)
    unit : from `unit_risk`, at present prices
    limits : hard limits; the guarantee holds for each of them
    fills_before_purge : fills a side that can happen before quotes are pulled: the protection's
        count plus what a cancel's latency lets through, plus fills not yet booked here, >= 1
    max_lots : largest size ever shown, >= 0, scalar or (n,)

    Returns
    -------
    Whole lots, rounded down. Fills of at most these sizes keep every limit that holds now, and
    raise none that is already broken. Zero throughout if a position has no risk figures.

    Raises
    ------
    UsageError
        If `fills_before_purge` is below 1.
    """
    if fills_before_purge < 1:
        raise UsageError(f"fills_before_purge is {fills_before_purge}, must be >= 1")
    held = np.asarray(lots, np.float64)
    if (held[~unit.known] != 0.0).any():
        none, why = np.zeros(held.size, np.int64), np.full(held.size, Binding.UNKNOWN, np.int8)
        return Caps(none, none.copy(), why, why.copy())
    most = np.where(unit.known, np.asarray(max_lots, np.float64), 0.0)
    with np.errstate(over="ignore"):  # next to nothing used up: any number of lots
        bid_room, bid_code = _side(held, unit, limits, fills_before_purge, most, True)
        ask_room, ask_code = _side(held, unit, limits, fills_before_purge, most, False)
    bid_code[~unit.known] = ask_code[~unit.known] = Binding.UNKNOWN
    bid_lots, ask_lots = np.floor(bid_room).astype(np.int64), np.floor(ask_room).astype(np.int64)
    return Caps(bid_lots, ask_lots, bid_code, ask_code)


def carry_forward(unit: UnitRisk, previous: UnitRisk) -> UnitRisk:
    """Use `previous` figures in rows that have none now: a last known risk beats an unknown one."""
    lost = ~unit.known & previous.known
    names = ("rising", "premium_usd", "vega", "theta", "known", "per_rise", "per_fall")
    kept = {}
    for name in names:
        values = getattr(unit, name).copy()
        values[..., lost] = getattr(previous, name)[..., lost]
        kept[name] = values
    return UnitRisk(**kept, slice_of=unit.slice_of, slices=unit.slices)


def states(lots: ArrayLike, unit: UnitRisk, *, limits: Limits) -> tuple[LimitState, ...]:
    """Every finite limit after the fact; those of expiries report the expiry that uses most."""
    held = np.asarray(lots, np.float64)
    now = inventory(held, unit)
    out = [
        _state(code, used, limits.inventory_usd, limits)
        for code, used in (
            (Binding.DELTA, now.delta_usd),
            (Binding.PREMIUM, now.premium_usd),
            (Binding.STRESS, now.stress_usd),
        )
    ]
    for values, total, each, codes in _greeks(unit, limits):
        by_slice = _by_slice(held * values, unit)
        worst = int(np.argmax(np.abs(by_slice)))
        out.append(_state(codes[0], abs(float(by_slice.sum())), total, limits))
        out.append(_state(codes[1], abs(float(by_slice[worst])), each, limits, worst))
    return tuple(state for state in out if math.isfinite(state.hard))


def _side(
    held: Array, unit: UnitRisk, limits: Limits, fills: int, most: Array, bid: bool
) -> tuple[Array, NDArray[np.int8]]:
    """Room in lots of one side, and which limit set it; every cut lowers room where it binds."""
    share = 1.0 / (2.0 * fills)
    room, code = most.copy(), np.full(held.size, Binding.NONE, np.int8)

    def cut(lots: Array, binding: Binding) -> None:
        # Only whole lots matter: a cap of 10.0 that a limit of 10.7 would allow is not its doing.
        tighter = np.floor(lots) < np.floor(room)
        code[tighter] = binding
        room[tighter] = lots[tighter]

    inverse = unit.per_rise if bid else unit.per_fall
    headroom = _headroom(limits.inventory_usd, unit.rising @ held)
    cut(_linear(headroom[:2], inverse[:2]) * share, Binding.DELTA)
    cut(_linear(headroom[2:], inverse[2:]) * share, Binding.STRESS)
    cut(_premium(held, unit, limits, fills, bid), Binding.PREMIUM)
    sign = 1.0 if bid else -1.0
    for values, total, each, codes in _greeks(unit, limits):
        if math.isinf(total) and math.isinf(each):
            continue
        by_slice = _by_slice(held * values, unit)
        step = sign * values
        toward = np.where(step > 0.0, 1.0, -1.0)  # the end of the scale this side moves toward
        size = np.abs(step)
        for used, limit, binding in (
            (np.full(held.size, by_slice.sum()), total, codes[0]),
            (by_slice[unit.slice_of], each, codes[1]),
        ):
            left = _headroom(limit, toward * used)
            lots = np.divide(left * share, size, out=np.full(size.shape, _FREE), where=size > 0.0)
            cut(lots, binding)
    return room, code


def _headroom(limit: float, used: Array) -> Array:
    """What is left below a limit, less the slack for rounding; never negative."""
    if math.isinf(limit):
        return np.full(used.shape, _FREE)
    return np.maximum(limit * (1.0 - _SLACK) - used, 0.0)


def _linear(headroom: Array, inverse: Array) -> Array:
    """Lots until the first of several linear functions has used its headroom, shape (n,)."""
    out = np.full(inverse.shape[1], _FREE)
    for left, row in zip(headroom, inverse, strict=True):
        # Where a function does not grow, an exhausted headroom must not forbid the trade: 0 * inf.
        lots = row * left if left > 0.0 else np.where(row >= _FREE, _FREE, 0.0)
        np.minimum(out, lots, out=out)
    return out


def _premium(held: Array, unit: UnitRisk, limits: Limits, fills: int, bid: bool) -> Array:
    """Lots until gross premium is used up; what closes a position is free up to twice its size."""
    used = float(np.abs(held) @ unit.premium_usd)
    left = max(limits.inventory_usd * (1.0 - _SLACK) - used, 0.0)
    opens = np.full(held.shape, _FREE)
    np.divide(left / (2.0 * fills), unit.premium_usd, out=opens, where=unit.premium_usd > 0.0)
    return opens + 2.0 * np.maximum(-held if bid else held, 0.0) / fills


def _greeks(
    unit: UnitRisk, limits: Limits
) -> tuple[tuple[Array, float, float, tuple[Binding, Binding]], ...]:
    """Hierarchical limits: per-lot figures, limit of the book, limit of an expiry, their codes."""
    return (
        (unit.vega, limits.vega_usd_per_volpt, limits.vega_expiry_usd_per_volpt,
         (Binding.VEGA, Binding.VEGA_EXPIRY)),
        (unit.theta, limits.theta_usd_per_day, limits.theta_expiry_usd_per_day,
         (Binding.THETA, Binding.THETA_EXPIRY)),
    )  # fmt: skip


def _by_slice(values: Array, unit: UnitRisk) -> Array:
    return np.asarray(np.bincount(unit.slice_of, values, unit.slices), np.float64)


def _state(
    binding: Binding, used: float, hard: float, limits: Limits, where: int = -1
) -> LimitState:
    return LimitState(binding, used, hard * limits.soft_share, hard, where)


def _reciprocal(growth: Array) -> Array:
    out = np.full(growth.shape, _FREE)
    return np.divide(1.0, growth, out=out, where=growth > 1.0 / _FREE)
