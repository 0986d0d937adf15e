"""What is known to come: scheduled events, dividends, halts."""

from datetime import date, datetime

import numpy as np
from numpy.typing import NDArray

from optmm.data.simulator.clock import NS_PER_SECOND, Clock
from optmm.data.simulator.config import SimulationConfig
from surfaces.curves.cash import CashDividends

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

NS_PER_MINUTE = 60 * NS_PER_SECOND


def event_ns(config: SimulationConfig) -> Ints:
    """Instants of the scheduled events, ns UTC."""
    # whole microseconds: a float of seconds would not be exact
    at = [round(datetime.fromisoformat(text).timestamp() * 1e6) * 1000 for text in config.events_at]
    return np.array(at, np.int64)


def moves(config: SimulationConfig, clock: Clock) -> Floats:
    """S.d. of the planned jump in each second of the day, shape (seconds,): the second that ends
    at or first after the event."""
    out = np.zeros(clock.seconds)
    grid = clock.grid_ns
    for at, move in zip(event_ns(config).tolist(), config.events_move, strict=True):
        if grid[0] < at <= grid[-1]:
            out[int(np.searchsorted(grid, at)) - 1] += move
    return out


def event_variance(config: SimulationConfig, clock: Clock, fixing_ns: Ints) -> Floats:
    """Variance still to come from events before each fixing, shape (fixings, seconds + 1)."""
    grid = clock.grid_ns
    out = np.zeros((fixing_ns.size, grid.size))
    for at, move in zip(event_ns(config).tolist(), config.events_move, strict=True):
        out += move * move * ((at < fixing_ns)[:, None] & (grid < at)[None, :])
    return out


def overnight_move(config: SimulationConfig, from_ns: int, to_ns: int) -> float:
    """S.d. of the jumps of all events after one instant and up to another."""
    inside = (event_ns(config) > from_ns) & (event_ns(config) <= to_ns)
    return float(np.sqrt((np.array(config.events_move)[inside] ** 2).sum()))


def dividends(config: SimulationConfig) -> CashDividends | None:
    """The cash dividends; None without any."""
    if not config.dividend_dates:
        return None
    dates = [date.fromisoformat(text) for text in config.dividend_dates]
    return CashDividends.of_dates(dates, config.dividend_usd)


def paid_between(config: SimulationConfig, after: str, until: str) -> float:
    """USD a share whose ex-date lies after one date and not after another."""
    return sum(
        cash
        for day, cash in zip(config.dividend_dates, config.dividend_usd, strict=True)
        if after < day <= until
    )


def halts(config: SimulationConfig, clock: Clock) -> list[tuple[int, int]]:
    """(halt, resumption) in ns UTC of each halt that ends before the close."""
    start, length = clock.session.open_ns, round(config.halt_minutes * NS_PER_MINUTE)
    begins = [start + round(at * NS_PER_MINUTE) for at in config.halts_at_minutes]
    spans = [(begin, begin + length) for begin in begins]
    return [span for span in spans if span[1] < clock.session.close_ns]


def inside(ts_ns: Ints, spans: list[tuple[int, int]]) -> NDArray[np.bool_]:
    """Which instants fall in a span, its end excluded."""
    out = np.zeros(np.shape(ts_ns), np.bool_)
    for start, stop in spans:
        out |= (ts_ns >= start) & (ts_ns < stop)
    return out
