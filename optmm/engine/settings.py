"""From the desk's configuration to the engine's state, and to words for the reports."""

import numpy as np

from optmm.config import DeskConfig
from optmm.engine import state as tables
from optmm.engine.layout import QUEUE_MODELS, SPOT_SOURCES
from optmm.engine.state import EngineState
from optmm.market.feed import Feed

E9 = 1_000_000_000


def configure(state: EngineState, config: DeskConfig, feed: Feed, *, seed: int = 0) -> EngineState:
    """Return a new world's state with everything that `config` says about the loop.

    `seed` is the run's: drawn latencies depend on it and on the number of the message alone.
    """
    c, bar_s = config, feed.bar_ns / E9
    state = tables.sized(
        state, max_fills=c.protections.max_fills, messages=max(1, int(c.protections.messages_per_s))
    )
    head = state.head
    feed_ns, order_ns = (
        round(ms * 1e6) for ms in (c.replay.feed_latency_ms, c.replay.order_latency_ms)
    )
    for name, seconds in (
        # between two bars nothing can be known: three bars without one are stale, not one
        ("stale_spot_ns", max(c.protections.stale_underlying_s, 3.0 * bar_s)),
        ("stale_quote_ns", c.surface.stale_quote_s),
        ("sweep_ns", c.quoting.sweep_s),
        ("guard_ns", c.quoting.guard_s),
        ("message_window_ns", max(1.0, 1.0 / c.protections.messages_per_s)),
        ("fill_window_ns", c.protections.window_s),
        ("side_window_ns", c.protections.same_side_window_s),
        ("basis_half_life_ns", c.quoting.basis_half_life_s),
    ):
        head[name] = round(seconds * E9)
    # a bar feed repeats nothing: there an old quote is one that still stands
    event_feed = feed.bar_ns == 0
    head["middle_ns"] = round(c.quoting.middle_age_s * E9) if event_feed else head["stale_quote_ns"]
    for name, value in (
        ("on_event", int(event_feed)),
        ("spot_from_prints", int(feed.chain.underlying.kind == "index")),
        ("spot_source", SPOT_SOURCES[c.quoting.spot_source]),
        ("latency_ns", feed_ns + order_ns),
        ("feed_ns", feed_ns),
        ("order_ns", order_ns),
        ("latency_sigma", c.replay.latency_sigma_log),
        ("latency_stress", c.replay.latency_stress),
        ("seed", seed & ((1 << 63) - 1)),
        ("queue_model", QUEUE_MODELS[c.replay.queue_model]),
        ("share_pm", round(1000 * c.replay.queue_share)),
        ("customer_pm", round(1000 * c.replay.customer_share)),
        ("middle_edge", c.quoting.middle_edge_share),
        ("hysteresis", c.quoting.hysteresis),
        ("min_change_ticks", c.quoting.min_change_ticks),
        ("max_lots", c.protections.max_lots),
        ("max_notional_usd", _or_off(c.protections.max_notional_usd)),
        ("max_delta_usd", _or_off(c.protections.max_delta_usd)),
        ("max_vega_usd", _or_off(c.protections.max_vega_usd_per_volpt)),
        ("side_strikes", c.protections.same_side_strikes),
        ("headroom_usd", c.limits.inventory_usd),
        ("max_fill_usd", c.limits.max_fill_usd),
    ):
        head[name] = value
    return state


def _or_off(limit: float | None) -> float:
    return np.inf if limit is None else limit


def assumptions(config: DeskConfig) -> tuple[str, ...]:
    """What every result rests on: latency, queue, fills, spot, budget, protections, in words."""
    return (*_venue(config), *_desk(config))


def _venue(config: DeskConfig) -> tuple[str, ...]:
    r = config.replay
    way = f"feed {r.feed_latency_ms:g} ms and order {r.order_latency_ms:g} ms"
    latency = f"Latency: {way}, the same for every message."
    if r.latency_sigma_log:
        latency = (
            f"Latency: {way} at the median, drawn lognormal with a standard deviation of "
            f"{r.latency_sigma_log:g} in the logarithm."
        )
    if r.latency_stress:
        latency += (
            f" Times 1 + {r.latency_stress:g} x the excess of recent volatility (half-life 60 s) "
            "over its average (half-life 30 min), at most 10."
        )
    if r.queue_model == "pro_rata":
        queue = (
            f"Queue: pro rata. At our price customers, {r.customer_share:.0%} of displayed size, "
            "trade first; the rest is split by size between us and the other makers displayed."
        )
    else:
        queue = (
            "Queue: price, then time. The displayed size at our price when we joined trades first, "
            f"then {r.queue_share:.0%} of the rest is ours."
        )
        if r.customer_share:
            queue += f" Customers, {r.customer_share:.0%} of what joins after us, trade before us."
    return (
        latency,
        "A quote stays hittable at the venue until the message that replaces it lands.",
        queue,
        "Fills: pessimistic only through our price, optimistic every print at or through it, both "
        "whatever the queue model; never against a market that is one-sided, locked, crossed or "
        f"older than {config.surface.stale_quote_s:g} s, never more than the print.",
        "Prints that the feed marks as auction, complex or floor never fill.",
        "Our quotes move nobody: what others show and trade is as recorded.",
    )


def _desk(config: DeskConfig) -> tuple[str, ...]:
    q, p = config.quoting, config.protections
    source = {
        "mid": "the underlying's mid",
        "microprice": "the underlying's microprice, by displayed sizes",
        "future": "the future's mid less its average basis (half-life "
        f"{q.basis_half_life_s:g} s), the underlying's mid while there is no future",
    }[q.spot_source]
    limits = [f"{p.max_fills} fills", f"{p.max_lots} lots"]
    for limit, unit in (
        (p.max_notional_usd, "USD premium"),
        (p.max_delta_usd, "USD net delta"),
        (p.max_vega_usd_per_volpt, "USD net vega a vol point"),
    ):
        if limit is not None:
            limits.append(f"{limit:,g} {unit}")
    guard = "off"
    if p.same_side_strikes:
        guard = f"{p.same_side_strikes} series on one side within {p.same_side_window_s:g} s"
    return (
        f"Fair value follows {source}; hedges trade at the underlying's touch.",
        f"Messages: at most {p.messages_per_s:g} in any second before a further quote goes out; "
        f"cancels always pass. A quote moves by {q.min_change_ticks} tick(s) or more.",
        f"Protections: more than {', '.join(limits)} within {p.window_s:g} s pull every quote for "
        f"{p.rearm_s:g} s. Trading on one side: {guard}.",
    )
