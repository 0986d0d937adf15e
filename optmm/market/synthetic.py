"""A declared future at the put-call parity forward: the hedge where the data hold none.

It is quoted at the forward of one expiry, plus and minus a configured half spread, at each instant
at which option quotes arrive: what it shows at t follows from quotes up to t alone. Quotes of one
instant count together, so a block is held back until the next instant begins, and the output is
the same for any block size.

Its expiry is the nearest that outlives the run, so that the hedge need not be rolled. Where it
expires all the same, the next one takes over and a `Roll` says at which two prices: the legs that
`roll_legs` gives keep the change of contract out of the P&L, but for the spread paid.

The other expiries' forwards differ from it by their carry, which parity shows as it does above an
index: fit the surface with `future=False`. `future=True` would set every forward equal to this one.
"""

from dataclasses import dataclass, replace

import numpy as np

from optmm.config_days import Synthetic, exact_e9
from optmm.errors import ConfigError, DataError
from optmm.market.booking import Leg
from optmm.market.chain import Chain, Underlying
from optmm.market.events import Kind, empty
from optmm.market.forwards import E9, Tops, exact

SUFFIX = " synthetic"


@dataclass(frozen=True, slots=True)
class Roll:
    """The hedge changed its expiry: the old contract's last middle and the new one's first."""

    ts_ns: int
    old_expiry: str
    new_expiry: str
    old_e9: int
    new_e9: int


def is_synthetic(underlying: Underlying) -> bool:
    """Whether an underlying is a declared future of this module."""
    return underlying.symbol.endswith(SUFFIX)


def declared(chain: Chain, config: Synthetic) -> Chain:
    """The chain with the declared future as its underlying.

    Raises
    ------
    ConfigError
        The underlying can be traded itself.
    """
    old = chain.underlying
    if old.kind != "index":
        raise ConfigError(
            f"synthetic.enabled: {old.symbol} is an {old.kind} and hedges itself; "
            "a synthetic future stands in for an index only"
        )
    symbol = f"{old.symbol}{SUFFIX}"
    tick = exact_e9(config.tick_usd)
    return replace(chain, underlying=Underlying(symbol, "future", config.multiplier, tick))


class SyntheticFuture:
    """Adds the declared future's quotes to blocks of events in order of time.

    Parameters
    ----------
    chain : from `declared`; of all days of the run
    rate : continuously compounded, a year: the prior of the configuration
    until_ns : close of the last session
    daily : slices (m,) that every day lists; None if there is one day

    Raises
    ------
    ConfigError
        The configured expiry is not listed, or has no strike with a call and a put.
    DataError
        No expiry has one, as on a chain of American options.
    """

    def __init__(
        self,
        chain: Chain,
        config: Synthetic,
        *,
        rate: float,
        until_ns: int,
        daily: np.ndarray | None = None,
    ) -> None:
        self._chain, self._config, self._rate = chain, config, rate
        self._tops = Tops(chain)
        self._half_e9, self._tick_e9 = exact_e9(config.half_spread_usd), chain.underlying.tick_e9
        self._stale_ns, self._interval_ns, self._repeat_ns = (
            round(s * E9) for s in (config.stale_s, config.interval_s, config.repeat_s)
        )
        self._fixing_ns = chain.fixing_ns[chain.slice_start[:-1]]
        self.slice = self._chosen(until_ns, daily)
        self._rows = self._tops.rows_of(self.slice)
        self._held = empty(0)
        self._dirty = False
        self._looked_ns = self._shown_ns = -(1 << 62)
        self._shown_e9 = 0  # its middle, before it is put on the grid
        self._was: tuple[str, int] | None = None
        self._seq = 0
        self.rolls: list[Roll] = []

    @property
    def expiry(self) -> str:
        """ISO date of the forward that is quoted now."""
        return str(self._chain.expiry[self._chain.slice_start[self.slice]])

    def see(self, block: np.ndarray) -> np.ndarray:
        """The events whose instant is over, with the future's quotes among them."""
        if not block.size:
            return block
        data = np.concatenate([self._held, block])
        cut = int(np.searchsorted(data["ts_event_ns"], data["ts_event_ns"][-1], side="left"))
        self._held = data[cut:]
        return self._quoted(data[:cut])

    def finish(self) -> np.ndarray:
        """The last instant of a session; call it at the end of each, before the next begins."""
        rest, self._held = self._held, empty(0)
        return self._quoted(rest)

    def _chosen(self, until_ns: int, daily: np.ndarray | None) -> int:
        chain = self._chain
        paired = [j for j in range(chain.slices) if self._tops.pairs(j)]
        if not paired:
            raise DataError(
                f"{chain.underlying.symbol} needs a strike with a European call and put",
                remedy="Set synthetic.enabled to false for this chain.",
            )
        label = {j: str(chain.expiry[chain.slice_start[j]]) for j in paired}
        if self._config.expiry:
            found = [j for j in paired if label[j] == self._config.expiry]
            if not found:
                there = ", ".join(dict.fromkeys(label.values()))
                raise ConfigError(
                    f"synthetic.expiry {self._config.expiry} has no strike with a call and a put; "
                    f"there is {there}"
                )
            return found[-1]  # the last to settle: PM after AM
        steady = [j for j in paired if daily is None or daily[j]] or paired
        outlive = [j for j in steady if self._fixing_ns[j] >= until_ns]
        return outlive[0] if outlive else steady[-1]

    def _quoted(self, data: np.ndarray) -> np.ndarray:
        """`data`, whole instants, with a quote at each at which one is due."""
        ts = data["ts_event_ns"]
        option = data["kind"] == Kind.QUOTE
        times = np.unique(ts[option])
        mine = np.unique(ts[option & np.isin(data["instrument"], self._rows)])
        out: list[np.ndarray] = []
        done = 0
        while (now_ns := self._next(times, mine)) is not None:
            end = int(np.searchsorted(ts, now_ns, side="right"))
            self._tops.take(data[done:end])
            if self._roll_if_expired(now_ns):
                mine = np.unique(ts[option & np.isin(data["instrument"], self._rows)])
            quote = self._look(now_ns)
            start = int(np.searchsorted(ts, now_ns, side="left"))
            at = start + int(np.argmax(data["kind"][start:end] >= Kind.UNDERLYING_QUOTE))
            out.append(data[done:at])
            if quote is not None:
                arrived = data["ts_recv_ns"][start:end][option[start:end]].max()
                quote["ts_recv_ns"] = max(int(arrived), now_ns)
                out.append(quote)
            out.append(data[at:end])
            done = end
        self._tops.take(data[done:])
        if mine.size and mine[-1] > self._looked_ns:
            self._dirty = True
        merged = np.concatenate([empty(0), *out, data[done:]])
        merged["seq"] = self._seq + np.arange(merged.size)
        self._seq += merged.size
        return merged

    def _next(self, times: np.ndarray, mine: np.ndarray) -> int | None:
        """The next instant of `times` at which to look: new quotes of ours, or time to repeat."""
        due = max(self._shown_ns + self._repeat_ns, self._looked_ns + self._interval_ns)
        if self._dirty:
            due = min(due, self._looked_ns + self._interval_ns)
        elif (at := int(np.searchsorted(mine, self._looked_ns, side="right"))) < mine.size:
            due = min(due, max(int(mine[at]), self._looked_ns + self._interval_ns))
        # never at an instant twice
        at = int(np.searchsorted(times, max(due, self._looked_ns + 1), side="left"))
        return int(times[at]) if at < times.size else None

    def _roll_if_expired(self, now_ns: int) -> bool:
        if now_ns < self._fixing_ns[self.slice]:
            return False
        alive = [
            j for j in range(self._chain.slices)
            if self._fixing_ns[j] > now_ns and self._tops.pairs(j)
        ]  # fmt: skip
        if not alive:
            return False
        if self._shown_e9:
            self._was = (self.expiry, self._shown_e9)
        self.slice = alive[0]
        self._rows = self._tops.rows_of(self.slice)
        self._shown_e9, self._shown_ns = 0, -(1 << 62)
        return True

    def _look(self, now_ns: int) -> np.ndarray | None:
        """One quote, if there is a forward and it moved or was not shown for long."""
        self._looked_ns, self._dirty = now_ns, False
        if now_ns >= self._fixing_ns[self.slice]:
            return None
        level = self._tops.forward(self.slice, now_ns, rate=self._rate, stale_ns=self._stale_ns)
        if not level > 0.0:
            return None
        middle = exact(level)
        if middle == self._shown_e9 and now_ns - self._shown_ns < self._repeat_ns:
            return None
        self._shown_e9, self._shown_ns = middle, now_ns
        if self._was is not None:
            self.rolls.append(Roll(now_ns, self._was[0], self.expiry, self._was[1], middle))
            self._was = None
        out = empty(1)
        out["ts_event_ns"], out["kind"] = now_ns, Kind.UNDERLYING_QUOTE
        out["instrument"] = len(self._chain)
        out["bid_e9"], out["ask_e9"] = self._sides(middle)
        out["bid_lots"] = out["ask_lots"] = self._config.lots
        return out

    def _sides(self, middle_e9: int) -> tuple[int, int]:
        """Bid and ask on the grid, outward."""
        tick = self._tick_e9
        return (middle_e9 - self._half_e9) // tick * tick, -(
            -(middle_e9 + self._half_e9) // tick
        ) * tick


def roll_legs(roll: Roll, lots: int, *, instrument: int, half_e9: int) -> tuple[Leg, ...]:
    """Sell the old contract and buy the new one, or the reverse, each at its touch; none if flat.

    `lots` of the future held, signed; `half_e9` its half spread.
    """
    if lots == 0:
        return ()
    side, size = (1 if lots > 0 else -1), abs(lots)
    old, new = roll.old_e9, roll.new_e9
    return (
        Leg(instrument, -side, size, old - side * half_e9, old, "roll", "roll"),
        Leg(instrument, side, size, new + side * half_e9, new, "roll", "roll"),
    )
