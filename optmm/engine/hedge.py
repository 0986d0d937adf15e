"""A world's hedge decision: book delta against a no-trade band, sent through the wire like a quote.

The decision itself is `hedging.hedger`; this module only gathers its inputs.
"""

from typing import TYPE_CHECKING

from hedging import bands, hedger
from hedging.delta import book_delta
from optmm.engine import books
from optmm.engine import state as tables

if TYPE_CHECKING:
    from optmm.engine.desk import World

E9 = 1_000_000_000


def due(world: "World", now_ns: int) -> bool:
    """Whether to look now: a hedge exists, a sheet is in, no kill, and the interval has passed."""
    if not world.chain.underlying.tradable or not world.priced or world.stopped:
        return False
    if now_ns + int(world.state.head["latency_ns"][0]) >= world.session.close_ns:
        return False  # it could not arrive any more
    interval = world.config.hedging.interval_s * E9
    return bool(world.feed.bar_ns) or now_ns - world.hedged_ns >= interval


def band_lots(world: "World", gamma_shares: float, spot: float) -> float:
    """Half width of the no-trade band in lots of the hedge; at least the dollars left alone."""
    h, underlying = world.config.hedging, world.chain.underlying
    unit, m = underlying.multiplier, world.state.mkt[-1]
    band: bands.Band
    if h.band == "fixed":
        band = bands.Fixed(h.fixed_band_lots * unit)
    else:
        half = 0.5 * (int(m["ask_e9"]) - int(m["bid_e9"])) / E9
        fee = world.fees.hedge(1, kind=world.hedge_kind) / E9 / unit
        rate = max(half + fee, 0.0) / max(spot, 1e-9)
        band = bands.WhalleyWilmott(rate, h.risk_aversion_per_usd)
    width = band.half_width(bands.BandInputs(spot=spot, gamma_shares=gamma_shares)) / unit
    return max(width, h.min_band_usd / max(spot * unit, 1e-9), 0.5)


def hedge(world: "World", now_ns: int) -> None:
    """Decide one hedge order and send it; the journal keeps the intent."""
    head, own, m = world.state.head[0], world.state.own, world.state.mkt[-1]
    assert world.terms is not None
    sheet = world.terms.sheet
    delta_lots = book_delta(  # NaN if an option is held that has no delta: no guess is hedged
        world.lots,
        sheet.delta + (float(head["spot"]) - sheet.spot) * sheet.gamma,
        multiplier=world.chain.multiplier,
        hedge_multiplier=world.chain.underlying.multiplier,
        hedge_lots=int(own["qty"][-1]),
    )
    gamma = books.greeks(world)[1]
    decision = hedger.decide(
        hedger.HedgeInputs(
            book_delta_lots=delta_lots,
            band_lots=band_lots(world, gamma, float(head["spot"])),
            max_order_lots=world.config.hedging.max_order_lots,
            open=bool(head["is_open"] and not head["is_halted"]),
            two_sided=bool(0 < m["bid_e9"] < m["ask_e9"]),
            fresh=bool(now_ns - head["spot_ns"] <= head["stale_spot_ns"]),
            pending_lots=world.pending_hedge,
        )
    )
    if not decision.lots:
        return
    if int(head["wire_count"]) >= world.state.wire.size:
        world.state = tables.grown(world.state)
    tables.send_hedge(world.state, lots=decision.lots)
    world.pending_hedge += decision.lots
    intent = {"lots": decision.lots, "reason": decision.reason.name}
    world.journal.append(now_ns, "hedge_intent", intent | {"delta_e3": round(delta_lots * 1e3)})
