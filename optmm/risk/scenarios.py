"""Full revaluation of a book under shocks of spot, volatility and time.

A spot shock moves the forward in proportion, carry unchanged, and the vol of every strike by

    vol_slope ln(1 + shock),   vol_slope = (R - 1) skew   with R as in `surfaces.dynamics`,

no further than to its half or double; so the slope of P&L in spot is the book's smile-aware delta.
The vol shock comes on top. Zero, the default of `Instruments`, is sticky strike. A move too large
for one slope takes `vols_after`, the vols that `surfaces.dynamics.vol_after` gives by the rule.

A vol never falls below VOL_FLOOR (or its own level, if lower), and time stops at expiry.

Units   spot shocks as returns (-0.10 is -10 %); vol shocks in decimals (0.05 is 5 points) or as a
        share of the vol (rule "relative"); P&L in USD; years ACT/365.
Source  OCC/FINRA customer portfolio margin (TIMS): SEC Rule 15c3-1a and FINRA Rule 4210(g).
Checked tests/optmm/risk/test_scenarios.py: zero at the origin, equal to repricing one by one,
        linear books, the first two Greeks for small shocks, and the smile-aware delta.
"""

from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from optmm.errors import UsageError
from surfaces.dynamics import MOST
from surfaces.pricing import american, black
from surfaces.units import DAYS_PER_YEAR

Array = NDArray[np.float64]
VolRule = Literal["absolute", "relative"]
American = Literal["exact", "premium_held"]

VOL_FLOOR = 0.01
# Down then up, as (lowest, highest) return of the underlying.
TIMS_MOVES: dict[str, tuple[float, float]] = {
    "equity": (-0.15, 0.15),  # equities, narrow indices, their funds
    "high_cap_index": (-0.08, 0.06),
    "broad_index": (-0.10, 0.10),
}
TIMS_FLOOR_USD = 0.375  # per option contract and unit of multiplier


@dataclass(frozen=True, slots=True)
class Instruments:
    """What repricing needs, one row an option, shape (n,). `spot` and `hedge` are the same for all.

    The forward and the discount factor to expiry imply the rate and the carry that an American
    pricer asks for, so the two pricers can never disagree about them.
    """

    right: NDArray[np.int8]
    strike: Array  # USD
    years: Array
    vol: Array
    forward: Array  # USD
    df: Array
    multiplier: Array  # USD per point and contract
    spot: float
    american: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, np.bool_))
    vol_slope: Array = field(default_factory=lambda: np.zeros(0))  # dvol/dlnS at a fixed strike

    def __post_init__(self) -> None:
        n = len(self.strike)
        if self.american.size == 0:
            object.__setattr__(self, "american", np.zeros(n, np.bool_))
        if self.vol_slope.size == 0:
            object.__setattr__(self, "vol_slope", np.zeros(n))
        for name in (
            "right", "years", "vol", "forward", "df", "multiplier", "american", "vol_slope"
        ):  # fmt: skip
            if len(getattr(self, name)) != n:
                raise UsageError(
                    f"{name} has {len(getattr(self, name))} rows and strike {n}: one row an option."
                )

    def take(self, rows: NDArray[np.intp]) -> "Instruments":
        """The same market, fewer options."""
        names = ("right", "strike", "years", "vol", "forward", "df", "multiplier", "vol_slope")
        parts = {name: getattr(self, name)[rows] for name in names}
        return Instruments(**parts, spot=self.spot, american=self.american[rows])

    def vol_at(self, spot_shock: float) -> Array:
        """Vols after spot has returned `spot_shock`, by the slopes, shape (n,)."""
        moved = self.vol + self.vol_slope * np.log1p(spot_shock)
        return np.clip(moved, self.vol / MOST, self.vol * MOST)


@dataclass(frozen=True, slots=True)
class StressMatrix:
    """P&L in USD of a book, shape (days, spot shocks, vol shocks), with its axes."""

    pnl_usd: Array
    days: Array
    spot_shocks: Array
    vol_shocks: Array
    vol_rule: VolRule
    surface_rule: str

    @property
    def worst_usd(self) -> float:
        """Lowest P&L of the matrix."""
        return float(self.pnl_usd.min())


def prices(
    options: Instruments,
    *,
    spot_shock: float = 0.0,
    vol_shock: float = 0.0,
    vol_rule: VolRule = "absolute",
    days: float = 0.0,
    american_rule: American = "exact",
    vol_after: Array | None = None,
) -> Array:
    """Prices in USD per share after one shock, shape (n,).

    Rows without a vol or a forward are NaN. American rows whose rate and yield give two exercise
    boundaries, which no pricer here takes, keep their premium as under "premium_held".

    Parameters
    ----------
    options : rows to price
    spot_shock : return of the underlying, > -1; vols follow it by `options.vol_slope`
    vol_shock, vol_rule : added to each vol, or multiplied in as (1 + shock)
    days : calendar days that pass
    american_rule : "exact" prices American rows as such; "premium_held" as European ones, which
        in a difference keeps today's early-exercise premium: for limits, not for reports
    vol_after : vols after the spot move and before the vol shock, (n,), instead of the slopes'
    """
    known = np.flatnonzero(np.isfinite(options.vol) & np.isfinite(options.forward * options.df))
    if known.size < len(options.strike):
        out = np.full(len(options.strike), np.nan)
        out[known] = prices(
            options.take(known),
            spot_shock=spot_shock,
            vol_shock=vol_shock,
            vol_rule=vol_rule,
            days=days,
            american_rule=american_rule,
            vol_after=None if vol_after is None else vol_after[known],
        )
        return out
    rate = -_per_year(np.log(options.df), options.years)
    carry = _per_year(np.log(options.forward / options.spot), options.years)
    years = np.maximum(options.years - days / DAYS_PER_YEAR, 0.0)
    spot = options.spot * (1.0 + spot_shock)
    level = options.vol_at(spot_shock) if vol_after is None else vol_after
    moved = level + vol_shock if vol_rule == "absolute" else level * (1.0 + vol_shock)
    vol = np.maximum(moved, np.minimum(options.vol, VOL_FLOOR))
    # Without passing time the quoted forward and factor are used as they are: exp(log(x)) is not x.
    forward = options.forward * (1.0 + spot_shock) if days == 0.0 else spot * np.exp(carry * years)
    df = options.df if days == 0.0 else np.exp(-rate * years)
    out = np.array(
        black.price(
            right=options.right, forward=forward, strike=options.strike, years=years, vol=vol, df=df
        )
    )
    if american_rule == "exact":
        rows = np.flatnonzero(options.american)
        out[rows] = american.price(
            right=options.right[rows],
            spot=spot,
            strike=options.strike[rows],
            years=years[rows],
            vol=vol[rows],
            rate=rate[rows],
            dividend_yield=(rate - carry)[rows],
        )
    return out


def unit_pnl(
    options: Instruments,
    *,
    spot_shocks: ArrayLike,
    vol_shocks: ArrayLike,
    vol_rule: VolRule = "absolute",
    days: float = 0.0,
    american_rule: American = "premium_held",
    vols_after: ArrayLike | None = None,
) -> Array:
    """P&L in USD of one long contract of each option, shape (n, spot shocks, vol shocks).

    `vols_after`: (n, spot shocks), > 0, what each vol is after each spot move and before the vol
    shock; default by `options.vol_slope`. At a spot shock of zero it is `options.vol`, or the P&L
    there is that of the difference. NaN only where the option has no vol.
    """
    spots, vols = _axis("spot_shocks", spot_shocks), _axis("vol_shocks", vol_shocks)
    after = None if vols_after is None else _after(vols_after, options, spots)
    base = prices(options, american_rule=american_rule)
    out = np.empty((len(options.strike), spots.size, vols.size))
    for i, spot_shock in enumerate(spots):
        for j, vol_shock in enumerate(vols):
            shocked = prices(
                options,
                spot_shock=float(spot_shock),
                vol_shock=float(vol_shock),
                vol_rule=vol_rule,
                days=days,
                american_rule=american_rule,
                vol_after=None if after is None else after[:, i],
            )
            out[:, i, j] = (shocked - base) * options.multiplier
    return out


def revalue(
    lots: ArrayLike,
    options: Instruments,
    *,
    spot_shocks: ArrayLike,
    vol_shocks: ArrayLike,
    vol_rule: VolRule = "absolute",
    days: float = 0.0,
    hedge_shares: float = 0.0,
    american_rule: American = "exact",
    vols_after: ArrayLike | None = None,
) -> Array:
    """P&L in USD of a book on a grid, shape (spot shocks, vol shocks).

    Exactly zero where spot and vol have no shock and no day passes, if vols stay there too: given
    `vols_after` are priced as they are, so those of no spot move must be `options.vol`.

    Parameters
    ----------
    lots : signed contracts, shape (n,); only rows that are held are priced, so others may be NaN
    hedge_shares : lots of the hedge times its multiplier, worth their spot move
    vols_after : (n, spot shocks), as in `unit_pnl`
    Others as in `prices`.

    Raises
    ------
    UsageError
        If shapes disagree, a shock leaves spot at or below zero, what is held has no vol, or a vol
        of `vols_after` is not above zero.
    """
    spots, vols = _axis("spot_shocks", spot_shocks), _axis("vol_shocks", vol_shocks)
    held = np.asarray(lots, np.float64)
    if held.shape != options.strike.shape:
        raise UsageError(f"lots has shape {held.shape}, options {options.strike.shape}.")
    rows = np.flatnonzero(held)
    hedge = hedge_shares * options.spot * np.repeat(spots[:, None], vols.size, axis=1)
    if rows.size == 0:
        return hedge
    unit = unit_pnl(
        options.take(rows),
        spot_shocks=spots,
        vol_shocks=vols,
        vol_rule=vol_rule,
        days=days,
        american_rule=american_rule,
        vols_after=None if vols_after is None else _after(vols_after, options, spots, rows)[rows],
    )
    blind = np.isnan(unit).any(axis=(1, 2))
    if blind.any():
        raise UsageError(
            f"position {rows[np.argmax(blind)]} is held and has no vol or forward "
            f"({blind.sum()} of {rows.size} fail). Carry the last known ones forward first."
        )
    return np.tensordot(held[rows], unit, axes=1) + hedge


def stress_matrix(
    lots: ArrayLike,
    options: Instruments,
    *,
    spot_shocks: ArrayLike = (-0.20, -0.15, -0.10, -0.05, 0.0, 0.05, 0.10, 0.15, 0.20),
    vol_shocks: ArrayLike = (-0.50, -0.25, 0.0, 0.25, 0.50),
    vol_rule: VolRule = "relative",
    days: ArrayLike = (0.0, 1.0),
    hedge_shares: float = 0.0,
) -> StressMatrix:
    """Revalue at each number of `days`; parameters as in `revalue`."""
    ahead = np.atleast_1d(np.asarray(days, np.float64))
    spots, vols = _axis("spot_shocks", spot_shocks), _axis("vol_shocks", vol_shocks)
    layers = [
        revalue(
            lots,
            options,
            spot_shocks=spots,
            vol_shocks=vols,
            vol_rule=vol_rule,
            days=float(day),
            hedge_shares=hedge_shares,
        )
        for day in ahead
    ]
    rule = "vols follow spot by their slopes" if options.vol_slope.any() else "sticky strike"
    return StressMatrix(np.stack(layers), ahead, spots, vols, vol_rule, rule)


def tims_requirement(
    lots: ArrayLike, options: Instruments, *, product: str, hedge_shares: float = 0.0
) -> float:
    """Portfolio-margin requirement in USD of one product group, >= 0.

    The largest loss over ten equidistant moves, five down to and five up to the product's range,
    vols unchanged; at least USD 0.375 times the multiplier for every option contract.

    Parameters
    ----------
    product : a key of `TIMS_MOVES`
    Others as in `revalue`.
    """
    if product not in TIMS_MOVES:
        known = ", ".join(sorted(TIMS_MOVES))
        raise UsageError(f"product is {product!r}; choose one of {known}.")
    low, high = TIMS_MOVES[product]
    fifths = np.arange(1, 6) / 5.0
    moves = np.concatenate([low * fifths[::-1], high * fifths])
    still = replace(options, vol_slope=np.zeros(len(options.strike)))
    pnl = revalue(lots, still, spot_shocks=moves, vol_shocks=[0.0], hedge_shares=hedge_shares)
    floor = TIMS_FLOOR_USD * float(
        np.sum(np.abs(np.asarray(lots, np.float64)) * options.multiplier)
    )
    return max(-float(pnl.min()), floor)


def _per_year(log_ratio: Array, years: Array) -> Array:
    """Continuous rate of a log ratio over `years`; 0 at expiry, where no rate matters."""
    return np.divide(log_ratio, years, out=np.zeros(log_ratio.shape), where=years > 0.0)


def _after(
    vols: ArrayLike, options: Instruments, spots: Array, rows: NDArray[np.intp] | None = None
) -> Array:
    """Vols after each spot move, (n, spot shocks), > 0 where the option has a vol; of `rows`, all
    by default, the values are looked at."""
    out = np.asarray(vols, np.float64)
    if out.shape != (len(options.strike), spots.size):
        raise UsageError(
            f"vols_after has shape {out.shape}, must be ({len(options.strike)}, {spots.size}): "
            "a row an option, a column a spot shock."
        )
    bad = ~((out > 0.0) & (out < np.inf)) & np.isfinite(options.vol)[:, None]
    if rows is not None:
        bad &= np.isin(np.arange(len(options.strike)), rows)[:, None]
    if bad.any():
        i, j = np.unravel_index(int(np.argmax(bad)), out.shape)
        raise UsageError(
            f"vols_after[{i}, {j}] is {out[i, j]:g}, must be finite and > 0 ({int(bad.sum())} of "
            f"{out.size} fail): a vol as a decimal, not its change. dynamics.vol_after makes them."
        )
    return out


def _axis(name: str, values: ArrayLike) -> Array:
    out = np.atleast_1d(np.asarray(values, np.float64))
    if name == "spot_shocks" and not (out > -1.0).all():
        raise UsageError(f"spot_shocks has {out.min():g}, must be > -1: spot stays positive.")
    return out
