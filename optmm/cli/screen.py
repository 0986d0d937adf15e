"""The live screen of a run: turns the state of its first world into a `LiveSnapshot`."""

import sys
import time
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING

import numpy as np

from optmm.reports.live import LiveRow, LiveSide, LiveSnapshot, LiveView, LiveWorld

if TYPE_CHECKING:
    from optmm.engine.desk import World
    from optmm.engine.replay import Run
    from optmm.market.feed import Feed

STRIKES = 11
NONE = float("nan")


class Screen:
    """Context manager; `update` is the progress callback of `engine.replay.run`."""

    def __init__(self, feed: "Feed", *, enabled: bool) -> None:
        from zoneinfo import ZoneInfo

        self._zone = ZoneInfo(feed.session.timezone)
        self._quiet = not enabled
        self._view = LiveView(sys.stderr)
        self._started = time.perf_counter()
        self._last: LiveSnapshot | None = None

    def __enter__(self) -> "Screen":
        if not self._quiet:
            self._view.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not self._quiet:
            self._view.__exit__(kind, error, trace)

    def update(self, it: "Run", now_ns: int, share: float) -> None:
        """Show where the run is, if the view is due for a new picture."""
        if not self._quiet and self._view.due:
            seconds = time.perf_counter() - self._started
            self._last = snapshot(it, now_ns, share, seconds, self._zone)
            self._view.show(self._last)

    def note(self, words: str) -> None:
        """Show `words` under the last picture until the next one."""
        if not self._quiet and self._last is not None:
            self._view.note(replace(self._last, note=words))


def snapshot(it: "Run", now_ns: int, share: float, seconds: float, zone) -> LiveSnapshot:
    """The state of a run as one screen shows it."""
    from datetime import UTC, datetime

    lead = it.worlds[0]
    events = sum(int(w.state.head["events"][0]) for w in it.worlds)
    clock = datetime.fromtimestamp(now_ns / 1e9, UTC).astimezone(zone)
    chain = it.feed.chain
    j = _front(lead, now_ns)
    first = int(chain.slice_start[j])
    return LiveSnapshot(
        title=f"{chain.underlying.symbol} {lead.session.date}",
        time=f"{clock:%H:%M:%S}",
        progress=share,
        spot=float(lead.state.head["spot"][0]),
        events=events,
        rate=events / seconds if seconds != 0.0 else float("nan"),
        expiry=str(chain.expiry[first]),
        rows=_rows(lead, j),
        worlds=tuple(_world(w) for w in it.worlds),
    )


def _front(world: "World", now_ns: int) -> int:
    """The first expiry at least a week out, else the last one: the chain that people look at."""
    fixing = world.chain.fixing_ns[world.chain.slice_start[:-1]]
    later = np.flatnonzero(fixing - now_ns > 7 * 86_400 * 1_000_000_000)
    return int(later[0]) if later.size else world.chain.slices - 1


def _rows(world: "World", j: int) -> tuple[LiveRow, ...]:
    chain, rows = world.chain, world.chain.rows(j)
    strikes = np.unique(chain.strike_e9[rows])
    spot = int(world.state.head["spot_e9"][0])
    centre = int(np.argmin(np.abs(strikes - spot)))
    low = max(0, min(centre - STRIKES // 2, strikes.size - STRIKES))
    out = []
    for strike in strikes[low : low + STRIKES]:
        here = rows.start + np.flatnonzero(chain.strike_e9[rows] == strike)
        sides = {int(chain.right[i]): _side(world, int(i)) for i in here}
        out.append(LiveRow(strike / 1e9, sides.get(1, LiveSide()), sides.get(-1, LiveSide())))
    return tuple(out)


def _side(world: "World", i: int) -> LiveSide:
    o, m = world.state.own[i], world.state.mkt[i]
    move = float(world.state.head["spot"][0]) - float(m["spot_ref"])
    return LiveSide(
        own_bid=int(o["bid_e9"]) / 1e9 if o["bid_lots"] else NONE,
        own_ask=int(o["ask_e9"]) / 1e9 if o["ask_lots"] else NONE,
        market_bid=int(m["bid_e9"]) / 1e9 if m["bid_e9"] else NONE,
        market_ask=int(m["ask_e9"]) / 1e9 if m["ask_e9"] else NONE,
        theo=float(m["theo"] + move * (m["delta"] + move * m["gamma_half"])),
        position=int(o["qty"]),
    )


def _world(world: "World") -> LiveWorld:
    last = world.pnl[-1]
    return LiveWorld(
        name=world.name,
        net_usd=last["net_e9"] / 1e9,
        fills=last["fills"],
        delta_shares=last["delta_shares"],
        vega_usd_per_volpt=last["vega_usd_per_volpt"],
        inventory_usd=last["inventory_usd"],
        inventory_limit_usd=world.config.limits.inventory_usd,
        gamma_shares_per_usd=last["gamma_shares_per_usd"],
        theta_usd_per_day=last["theta_usd_per_day"],
    )
