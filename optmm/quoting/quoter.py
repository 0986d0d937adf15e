"""The quoter: from a theo sheet and a book to what the engine may show in every option.

Two steps, because fair value is the same in every world and inventory is not:
`terms` once a sheet (widths, factors, one lot's risk), `plan` per world and fill (skew, size).
"""

from dataclasses import dataclass

import numpy as np

from optmm.config import DeskConfig
from optmm.engine.reasons import Why
from optmm.market.chain import Chain
from optmm.quoting import skew, width
from optmm.quoting.theo import TheoSheet
from optmm.risk import limits as risk_limits
from optmm.risk import scenarios

TRADING_DAY_S = 6.5 * 3600.0


@dataclass(frozen=True, slots=True)
class Terms:
    """Everything about a refit that does not depend on what we hold. Arrays (n,)."""

    sheet: TheoSheet
    half: np.ndarray  # USD per share, A_ii of the skew model included
    why: np.ndarray  # Why bits of both sides
    skew: skew.SkewModel
    unit: risk_limits.UnitRisk
    unit_usd: np.ndarray  # worst inventory use of one lot


@dataclass(frozen=True, slots=True)
class Plan:
    """What `engine.state.publish_quotes` and `set_limits` install. Arrays (n,)."""

    skew: np.ndarray
    cap_bid: np.ndarray
    cap_ask: np.ndarray
    why_bid: np.ndarray
    why_ask: np.ndarray
    inventory: risk_limits.Inventory
    headroom_usd: float


def limits_of(config: DeskConfig, *, share: float) -> risk_limits.Limits:
    """The hard limits times `share`: quotes fill a part, since the market moves a book as well."""
    each = config.limits
    return risk_limits.Limits(
        inventory_usd=share * each.inventory_usd,
        vega_usd_per_volpt=share * each.vega_usd_per_volpt,
        vega_expiry_usd_per_volpt=share * each.expiry_vega_usd_per_volpt,
    )


def terms(
    chain: Chain,
    sheet: TheoSheet,
    *,
    bid: np.ndarray,
    ask: np.ndarray,
    spot_half: float,
    config: DeskConfig,
) -> Terms:
    """Decide widths and measure one lot's risk; `bid`/`ask` USD (n,), NaN where absent."""
    refit_days = config.surface.refit_s / TRADING_DAY_S
    half, why = width.half_widths(
        sheet, width.market_half(bid, ask), spot_half, refit_days, config.quoting
    )
    years = np.array([sheet.years[chain.slice_start[j]] for j in range(chain.slices)])
    model = skew.build(chain, sheet, half, years, config.quoting)
    unit = unit_risk(chain, sheet, config)
    worst = np.maximum(np.abs(unit.rising).max(axis=0), unit.premium_usd)
    why = why | np.where(unit.known, 0, int(Why.NO_THEO))
    why = why | np.where(sheet.certified, 0, int(Why.UNCERTIFIED))
    return Terms(sheet, half + model.own_half(), why, model, unit, np.where(unit.known, worst, 0.0))


def instruments(chain: Chain, sheet: TheoSheet) -> scenarios.Instruments:
    """The chain as the scenario pricer takes it."""
    return scenarios.Instruments(
        right=chain.right, strike=chain.strike, years=sheet.years, vol=sheet.vol,
        forward=sheet.growth * sheet.spot, df=sheet.df,
        multiplier=chain.multiplier.astype(np.float64), spot=sheet.spot, american=chain.american,
    )  # fmt: skip


def unit_risk(chain: Chain, sheet: TheoSheet, config: DeskConfig) -> risk_limits.UnitRisk:
    """Inventory use of one contract of each option: dollar delta, premium, stressed P&L, vega."""
    rows = np.flatnonzero(sheet.priced)
    shock, points = config.limits.stress_spot_share, config.limits.stress_vol_points / 100.0
    pnl = np.full((len(chain), 4), np.nan)
    if rows.size:
        grid = scenarios.unit_pnl(
            instruments(chain, sheet).take(rows),
            spot_shocks=[-shock, shock], vol_shocks=[-points, points],
        )  # fmt: skip
        pnl[rows] = grid.reshape(rows.size, -1)
    multiplier = chain.multiplier
    return risk_limits.unit_risk(
        delta_usd=sheet.delta * sheet.spot * multiplier,
        premium_usd=sheet.theo * multiplier,
        scenario_pnl=pnl,
        vega_usd_per_volpt=sheet.vega * multiplier / 100.0,
        slice_of=chain.slice_of,
        slices=chain.slices,
    )


def plan(terms: Terms, lots: np.ndarray, hedge_delta_usd: float, config: DeskConfig) -> Plan:
    """Skew and size every quote for a book of signed `lots` (n,) and its hedge."""
    shift = terms.skew.shift(lots.astype(np.float64), hedge_delta_usd)
    # a skew of more than three half widths is a side switched off, not a price
    shift = np.clip(shift, -3.0 * terms.half, 3.0 * terms.half)
    now = risk_limits.inventory(lots, terms.unit)
    # what an old, larger quote may still trade while its cancel flies is bounded in the kernel, by
    # `max_fill_usd` against the headroom left (engine.protect.after_fill)
    caps = risk_limits.caps(
        lots, terms.unit, limits=limits_of(config, share=config.limits.quoting_share),
        fills_before_purge=config.protections.max_fills + 1, max_lots=config.quoting.max_lots,
    )  # fmt: skip
    per_fill = np.floor(config.limits.max_fill_usd / np.maximum(terms.unit_usd, 1e-9))
    largest = np.minimum(per_fill, config.quoting.max_lots).astype(np.int64)
    dark = terms.why & int(Why.UNCERTAIN | Why.NO_THEO | Why.UNCERTIFIED) != 0
    sides = []
    for cap in (caps.bid_lots, caps.ask_lots):
        size = np.where(dark, 0, np.minimum(cap, largest))
        why = terms.why | np.where(~dark & (size == 0), int(Why.NO_HEADROOM), 0)
        sides.append((size, why | np.where(np.abs(shift) > 0.1 * terms.half, int(Why.SKEWED), 0)))
    headroom = config.limits.inventory_usd - now.total_usd
    return Plan(shift, sides[0][0], sides[1][0], sides[0][1], sides[1][1], now, max(headroom, 0.0))
