"""Small days for whole-run tests: a simulated one, and the same market as minute bars."""

from dataclasses import replace
from functools import cache

import numpy as np

from optmm.cli.simulate import configured
from optmm.data.simulator import simulate_day
from optmm.market.chain import MarketDay
from optmm.market.events import Bits, Kind, empty, in_order

MINUTE_NS = 60_000_000_000


@cache
def simulated(minutes: int = 12, seed: int = 3) -> MarketDay:
    """A simulated SPY day cut to `minutes` after the open."""
    return simulate_day(configured(minutes), seed).day


@cache
def barred(minutes: int = 12, seed: int = 3) -> MarketDay:
    """The simulated market seen once a minute, with print bars around the middle of it."""
    day = simulated(minutes, seed)
    n, start = len(day.chain), day.session.open_ns
    rng = np.random.default_rng(seed)
    parts = []
    for minute in range(1, minutes + 1):
        at = start + minute * MINUTE_NS
        seen = day.events[day.events["ts_event_ns"] <= at]
        for kind in (Kind.QUOTE, Kind.UNDERLYING_QUOTE):
            rows = seen[seen["kind"] == kind]
            _, last = np.unique(rows["instrument"][::-1], return_index=True)
            parts.append(rows[::-1][last].copy())
            parts[-1]["ts_event_ns"] = at
        tops = parts[-2]
        tops = tops[(tops["bid_e9"] > 0) & (tops["ask_e9"] > tops["bid_e9"])]
        picks = tops[rng.choice(tops.size, 150, replace=False)]
        bars = empty(picks.size)
        tick = 10_000_000
        low = picks["bid_e9"] + rng.integers(-3, 3, picks.size) * tick
        bars["ts_event_ns"], bars["kind"], bars["instrument"] = at, Kind.BAR, picks["instrument"]
        bars["bid_e9"] = np.maximum(low, tick)
        bars["ask_e9"] = bars["bid_e9"] + rng.integers(0, 6, picks.size) * tick
        bars["bid_lots"] = rng.integers(1, 40, picks.size)
        parts.append(bars)
    frame = empty(2)
    frame["kind"], frame["instrument"] = Kind.STATUS, n
    frame["ts_event_ns"] = start, start + minutes * MINUTE_NS
    frame["bits"] = Bits.OPEN, Bits.CLOSE
    events = in_order(np.concatenate([frame, *parts]))
    session = replace(day.session, close_ns=start + minutes * MINUTE_NS)
    return replace(day, events=events, bar_ns=MINUTE_NS, simulated=False, session=session)
