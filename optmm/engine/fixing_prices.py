"""Settlement prices of expiring series, gathered as events pass: official, or a labelled proxy.

The official price comes from the configuration; no feed here carries it. Otherwise, in this order:
a last print of the underlying inside the window, its last two-sided middle inside the window, the
parity forward of the expiring series, that of the next one, and at last an old print or middle,
which says so: a position that nobody settles would be a position that nobody marks. An AM series
settles at the first print at or after its fixing, else its first middle, else the forwards.

Of a declared future only prints count, which are those of the index it stands for: its own middle
is another expiry's forward.

Every price follows from events up to `known_ns` alone, whatever blocks they came in.
"""

from dataclasses import dataclass, field

import numpy as np

from optmm.config_days import Settlement
from optmm.market.chain import Chain, Session
from optmm.market.events import Kind
from optmm.market.forwards import E9, Tops, exact
from optmm.market.synthetic import is_synthetic

PUBLICATION_NS = 300 * E9  # after the fixing, until the official level of an index is out
NEVER_NS = 1 << 62
OFFICIAL = "official, from the configuration"


@dataclass(frozen=True, slots=True)
class Fixing:
    """The price that settles an expiry, and where it came from."""

    px_e9: int
    source: str
    known_ns: int  # settled no earlier


@dataclass(slots=True)
class _Level:
    """The underlying's last level of one kind, and the first one since each pending AM fixing."""

    name: str
    px_e9: int = 0
    ts_ns: int = 0
    first: dict[int, int] = field(default_factory=dict)  # by fixing_ns

    def take(self, ts_ns: np.ndarray, px_e9: np.ndarray, wanted: list[int]) -> None:
        if not ts_ns.size:
            return
        for fixing_ns in wanted:
            at = int(np.searchsorted(ts_ns, fixing_ns, side="left"))
            if fixing_ns not in self.first and at < ts_ns.size:
                self.first[fixing_ns] = int(px_e9[at])
        self.px_e9, self.ts_ns = int(px_e9[-1]), int(ts_ns[-1])


class FixingPrices:
    """The fixings of one session at a time; the tops and levels it has seen outlive it.

    Parameters
    ----------
    chain : of all days of the run
    config : official prices, and the window of a proxy
    rate : continuously compounded, a year, for parity forwards
    """

    def __init__(self, chain: Chain, config: Settlement, *, rate: float) -> None:
        self._chain, self._config, self._rate = chain, config, rate
        self._window_ns = round(config.window_s * E9)
        self._tops = Tops(chain)
        self._print, self._middle = _Level("print"), _Level("middle")
        self._own_middle = not is_synthetic(chain.underlying)
        self._closed_ns: int | None = None
        self._parity_from_ns = NEVER_NS
        self._known: dict[int, int] = {}
        self._frozen: dict[int, Fixing | None] = {}

    def open(self, session: Session) -> None:
        """Start a session: which series settle in it, and from when on their price is known.

        One that was fixed on a date between two sessions of the run settles at the open.
        """
        last = session.open_ns - 1 if self._closed_ns is None else self._closed_ns
        later = PUBLICATION_NS if self._published() else 0
        self._known = {
            j: max(min(at + later, session.close_ns), session.open_ns)
            for j, at in enumerate(self._chain.fixing_ns[self._chain.slice_start[:-1]].tolist())
            if last < at <= session.close_ns
        }
        self._closed_ns = session.close_ns
        unofficial = [
            int(self._chain.fixing_ns[start]) - self._window_ns
            for start in self._chain.slice_start[list(self._known)].tolist()
            if self._official(start) is None and self._tops.european.any()
        ]
        self._parity_from_ns = min(unofficial, default=NEVER_NS)
        self._frozen = {}

    def see(self, block: np.ndarray) -> None:
        """Take a block of the session before the engine does."""
        ts, done = block["ts_event_ns"], 0
        for j in sorted(self._known, key=self._known.__getitem__):
            known_ns = self._known[j]
            if j in self._frozen or not ts.size or ts[-1] <= known_ns:
                continue
            end = int(np.searchsorted(ts, known_ns, side="right"))
            self._take(block[done:end])
            done = max(done, end)
            self._frozen[j] = self._settled(j, known_ns)
        self._take(block[done:])

    def due(self, now_ns: int) -> dict[int, Fixing]:
        """Fixings by slice that are known at `now_ns`; a slice without any level is absent.

        `now_ns` must not lie behind the last event seen but for the block in work.
        """
        out = {}
        for j, known_ns in self._known.items():
            if now_ns >= known_ns:
                fixing = self._frozen[j] if j in self._frozen else self._settled(j, known_ns)
                if fixing is not None:
                    out[j] = fixing
        return out

    def labels(self, now_ns: int) -> list[dict]:
        """What the manifest and the report say of each settled expiry of this session."""
        return [
            {
                "expiry": str(self._chain.expiry[self._chain.slice_start[j]]),
                "root": self._chain.root[self._chain.slice_start[j]],
                "px_e9": fixing.px_e9,
                "source": fixing.source,
                "official": fixing.source == OFFICIAL,
            }
            for j, fixing in sorted(self.due(now_ns).items())
        ]

    def _published(self) -> bool:
        """An index's level is out some minutes after the instant it is of."""
        under = self._chain.underlying
        return under.kind == "index" or is_synthetic(under)

    def _take(self, part: np.ndarray) -> None:
        if not part.size:
            return
        first = [
            int(self._chain.fixing_ns[self._chain.slice_start[j]])
            for j in self._known
            if self._chain.am_settled[self._chain.slice_start[j]]
        ]
        prints = part[(part["kind"] == Kind.UNDERLYING_TRADE) & (part["bid_e9"] > 0)]
        self._print.take(prints["ts_event_ns"], prints["bid_e9"], first)
        if self._own_middle:
            quotes = part[part["kind"] == Kind.UNDERLYING_QUOTE]
            quotes = quotes[(quotes["bid_e9"] > 0) & (quotes["ask_e9"] > quotes["bid_e9"])]
            middle = (quotes["bid_e9"] + quotes["ask_e9"]) // 2
            self._middle.take(quotes["ts_event_ns"], middle, first)
        # parity reads nothing older than the window before the first fixing that wants it
        since = int(np.searchsorted(part["ts_event_ns"], self._parity_from_ns, side="left"))
        if since < part.size:
            self._tops.take(part[since:])

    def _official(self, start: int) -> int | None:
        """The configured price of the slice that starts at a row."""
        return self._config.px_e9(self._chain.root[start], str(self._chain.expiry[start]))

    def _settled(self, j: int, known_ns: int) -> Fixing | None:
        start = int(self._chain.slice_start[j])
        at_ns = int(self._chain.fixing_ns[start])
        official = self._official(start)
        if official is not None:
            return Fixing(official, OFFICIAL, known_ns)
        levels = (self._print, self._middle)
        if self._chain.am_settled[start]:
            for level in levels:
                if at_ns in level.first:
                    what = f"first underlying {level.name} of the day"
                    return Fixing(level.first[at_ns], what, known_ns)
        else:
            for level in levels:
                if level.px_e9 and at_ns - level.ts_ns <= self._window_ns:
                    return Fixing(level.px_e9, f"last underlying {level.name}", known_ns)
        for other in (j, *self._after(at_ns)):
            forward = self._tops.forward(
                other, min(at_ns, known_ns), rate=self._rate, stale_ns=self._window_ns
            )
            if forward > 0.0:
                label = str(self._chain.expiry[self._chain.slice_start[other]])
                whose = "" if other == j else f" of {label}"
                return Fixing(exact(forward), f"parity forward{whose}", known_ns)
        for level in levels:
            if level.px_e9:
                age = f"older than {self._config.window_s:g} s"
                return Fixing(level.px_e9, f"last underlying {level.name}, {age}", known_ns)
        return None

    def _after(self, at_ns: int) -> list[int]:
        """Slices that settle later, the next first."""
        fixing = self._chain.fixing_ns[self._chain.slice_start[:-1]]
        later = np.flatnonzero(fixing > at_ns)
        return later[np.argsort(fixing[later], kind="stable")].tolist()
