"""One option on a bench: quotes of known price, moved by hand, one event at a time."""

import numpy as np
import tape

from optmm.engine import state as tables
from optmm.market.events import Bits, Kind

E9 = tape.E9


class Bench:
    """Option 0 at fair value 2.20 with quotes 2.15 and 2.25, ten lots, ten milliseconds away."""

    def __init__(self, messages: int = 1_000, **head: int) -> None:
        setup = tape.Setup(world="pessimistic", options=2, events=10, latency_ns=10_000_000)
        self.replay = tape.Replay(setup)
        sized = tables.sized(self.replay.state, max_fills=100, messages=messages)
        self.replay.state = self.state = sized
        self.state.mkt["close_ns"] = tape.FAR
        self.state.head["hysteresis"] = 0.0
        self.state.head["stale_spot_ns"] = self.state.head["stale_quote_ns"] = 100 * E9
        for name, value in head.items():
            self.state.head[name] = value
        self.theo(2.20)
        self.sizes(10, 10)
        opening = (0, Kind.STATUS, 0, 0, 0, 0, 0, Bits.OPEN)
        self.feed(opening, (0.5, Kind.UNDERLYING_QUOTE, 2, 9999, 10001, 9, 9, 0))

    @property
    def own(self) -> np.void:
        """Our quotes in option 0."""
        return self.state.own[0]

    def theo(self, value: float) -> None:
        """Publish a fair value of option 0 that does not depend on the underlying."""
        flat, theo = np.zeros(2), np.array([value, np.nan])
        tables.publish_theo(
            self.state, theo=theo, delta=flat, gamma=flat, df=flat + 1.0, growth=flat + 1.0,
            spot_ref=100.0, taylor_range=1.0,
        )  # fmt: skip

    def sizes(self, bid: int, ask: int) -> None:
        """Publish half widths of five cents and these sizes."""
        flat, none = np.zeros(2), np.zeros(2, np.int64)
        tables.publish_quotes(
            self.state, half_bid=flat + 0.05, half_ask=flat + 0.05, skew=flat, cap_bid=none + bid,
            cap_ask=none + ask, why_bid=none, why_ask=none,
        )  # fmt: skip

    def feed(self, *rows: tuple[int, ...]) -> None:
        """Advance over these events."""
        self.replay.events, self.replay.at = tape.script(list(rows)), 0
        while self.replay.at < len(rows):
            self.replay.step(len(rows))

    def market(self, seconds: float, bid: int, ask: int) -> None:
        """A market quote in option 0, cents."""
        self.feed((seconds, Kind.QUOTE, 0, bid, ask, 9, 9, 0))

    def wait(self, seconds: float) -> None:
        """Let time pass until then; nothing is requoted."""
        self.feed((seconds, Kind.TIMER, 0, 0, 0, 0, 0, 0))

    def trade(self, seconds: float, px: int, lots: int) -> None:
        """A print in option 0, cents."""
        self.feed((seconds, Kind.TRADE, 0, px, px, lots, 0, 0))
