"""The screen while a run is going on: progress, the chain around the money, the book, the result.

The caller feeds `LiveSnapshot`s; this module keeps no state of the market. On a terminal `LiveView`
redraws one screen; elsewhere (a pipe, a log) it writes one line every few seconds of wall time.

Units   prices in USD per share, P&L in USD, delta in shares, vega in USD per vol point.
"""

import math
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

NONE = float("nan")
OURS = "bold green"
POSITION_LONG, POSITION_SHORT = "cyan", "magenta"


@dataclass(frozen=True, slots=True)
class LiveSide:
    """One option of a chain row. Prices in USD, NaN where absent; `position` in contracts."""

    own_bid: float = NONE
    own_ask: float = NONE
    market_bid: float = NONE
    market_ask: float = NONE
    theo: float = NONE
    position: int = 0


@dataclass(frozen=True, slots=True)
class LiveRow:
    """One strike: its call and its put."""

    strike: float
    call: LiveSide
    put: LiveSide


@dataclass(frozen=True, slots=True)
class LiveWorld:
    """One fill assumption at this moment."""

    name: str
    net_usd: float
    fills: int
    delta_shares: float  # hedge included
    vega_usd_per_volpt: float
    inventory_usd: float
    inventory_limit_usd: float = NONE
    gamma_shares_per_usd: float = NONE
    theta_usd_per_day: float = NONE


@dataclass(frozen=True, slots=True)
class LiveSnapshot:
    """What one screen shows. `time` is the market's clock; `rate` is events a wall second."""

    title: str  # "GOOG 2015-12-24"
    time: str  # "10:31:00"
    progress: float  # 0..1
    spot: float
    events: int
    rate: float
    expiry: str = ""
    rows: tuple[LiveRow, ...] = ()
    worlds: tuple[LiveWorld, ...] = ()
    note: str = ""


def _price(value: float) -> str:
    return "" if math.isnan(value) else f"{value:,.2f}"


def _own(side: LiveSide, bid: bool) -> Text:
    """Our price, highlighted when it is better than or equal to the market's."""
    own, market = (side.own_bid, side.market_bid) if bid else (side.own_ask, side.market_ask)
    if math.isnan(own):
        return Text("")
    better = math.isnan(market) or (own >= market if bid else own <= market)
    return Text(_price(own), style=OURS if better else "")


def _position(lots: int) -> Text:
    if not lots:
        return Text("")
    return Text(f"{lots:+,}", style=POSITION_LONG if lots > 0 else POSITION_SHORT)


def _cells(side: LiveSide) -> list[Text]:
    """Position, market bid, our bid, theo, our ask, market ask."""
    return [
        _position(side.position),
        Text(_price(side.market_bid), style="dim"),
        _own(side, bid=True),
        Text(_price(side.theo), style="bold"),
        _own(side, bid=False),
        Text(_price(side.market_ask), style="dim"),
    ]


def _chain(snapshot: LiveSnapshot) -> Table:
    """Calls left, puts right, the strike nearest spot marked."""
    out = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="dim", expand=False)
    side = ("pos", "bid", "ours", "theo", "ours", "ask")
    for name in side:
        out.add_column(name, justify="right", no_wrap=True, min_width=6)
    out.add_column(snapshot.expiry or "strike", justify="center", no_wrap=True, min_width=12)
    for name in side:
        out.add_column(name, justify="right", no_wrap=True, min_width=6)
    nearest = min((abs(r.strike - snapshot.spot) for r in snapshot.rows), default=NONE)
    for row in snapshot.rows:
        here = abs(row.strike - snapshot.spot) == nearest
        label = Text(f"{row.strike:,.2f}", style="bold reverse" if here else "bold")
        out.add_row(*_cells(row.call), label, *_cells(row.put))
    return out


def _number(value: float, digits: int = 0) -> str:
    return "" if math.isnan(value) else f"{value:,.{digits}f}"


def _worlds(snapshot: LiveSnapshot) -> Table:
    """A line a fill assumption."""
    out = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    out.add_column("world", no_wrap=True)
    heads = ("net, USD", "fills", "delta, sh", "gamma, sh/$", "vega, $/pt", "theta, $/day")
    for head in (*heads, "inventory, USD"):
        out.add_column(head, justify="right", no_wrap=True)
    for w in snapshot.worlds:
        limit = w.inventory_limit_usd
        used = "" if math.isnan(limit) else f" ({100 * w.inventory_usd / limit:.0f} %)"
        tone = "red" if w.net_usd < 0 else "green"
        out.add_row(
            w.name,
            Text(_number(w.net_usd, 2), style=f"bold {tone}"),
            f"{w.fills:,}",
            _number(w.delta_shares),
            _number(w.gamma_shares_per_usd, 1),
            _number(w.vega_usd_per_volpt),
            _number(w.theta_usd_per_day),
            f"{_number(w.inventory_usd)}{used}",
        )
    return out


def render(snapshot: LiveSnapshot) -> RenderableType:
    """One screen of about 100 columns."""
    head = Text(snapshot.title, style="bold")
    head.append(f"  {snapshot.time}", style="bold cyan")
    head.append(f"  spot {_price(snapshot.spot)}", style="not bold")
    pace = "" if snapshot.rate != snapshot.rate else f", {snapshot.rate:,.0f} a second"
    head.append(f"  {snapshot.events:,} events{pace}", style="not bold dim")
    bar = Table.grid(padding=(0, 1, 0, 0))
    done = min(max(snapshot.progress, 0.0), 1.0)
    strip = ProgressBar(
        total=1.0, completed=done, width=88, complete_style="cyan", finished_style="green"
    )
    bar.add_row(strip, Text(f"{100 * done:3.0f} %", style="dim"))
    calls = Text(f"{'calls':^41}{'':^13}{'puts':^41}", style="dim")
    blank = Text("")
    parts: list[RenderableType] = [head, bar, blank]
    if snapshot.rows:
        parts += [calls, _chain(snapshot), blank]
    parts.append(_worlds(snapshot))
    if snapshot.note:
        parts += [blank, Text(snapshot.note, style="dim")]
    return Group(*parts)


def line(snapshot: LiveSnapshot) -> str:
    """One line for a log: where we are, and every world's result."""
    results = ", ".join(
        f"{w.name} {w.net_usd:,.2f} USD ({w.fills:,} fills)" for w in snapshot.worlds
    )
    head = f"{snapshot.title} {snapshot.time} {100 * snapshot.progress:3.0f} %"
    return f"{head} {snapshot.events:,} events, {snapshot.rate:,.0f} a second; {results}"


class LiveView:
    """Context manager: `show(snapshot)` redraws a terminal, or writes a line now and then.

    Parameters
    ----------
    stream : usually stderr: results go to stdout
    refresh_s : least wall time between redraws of a terminal; more frequent snapshots are dropped
    line_s : least wall time between lines elsewhere
    clock : wall clock in seconds; a test passes its own
    """

    def __init__(
        self,
        stream: TextIO,
        *,
        refresh_s: float = 0.1,
        line_s: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._console = Console(file=stream, highlight=False, emoji=False)
        self._every = refresh_s if self._console.is_terminal else line_s
        self._clock = clock
        self._last = float("-inf")
        self._latest: LiveSnapshot | None = None
        self._shown: LiveSnapshot | None = None
        self._live = Live(console=self._console, auto_refresh=False, transient=False)

    def __enter__(self) -> "LiveView":
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._latest is not None and self._latest is not self._shown:
            self._put(self._latest)
        if self._console.is_terminal:
            self._live.stop()

    @property
    def due(self) -> bool:
        """Whether a snapshot would be shown now; ask before building one."""
        return self._clock() - self._last >= self._every

    def show(self, snapshot: LiveSnapshot) -> None:
        """Show a snapshot if it is time; the last one given is always shown on leaving."""
        self._latest = snapshot
        if self.due:
            self._last = self._clock()
            self._put(snapshot)

    def note(self, snapshot: LiveSnapshot) -> None:
        """Show a snapshot at once for what its note says; on a terminal only."""
        if self._console.is_terminal:
            self._put(snapshot)

    def _put(self, snapshot: LiveSnapshot) -> None:
        self._shown = snapshot
        if self._console.is_terminal:
            self._live.update(render(snapshot), refresh=True)
        else:
            self._console.file.write(line(snapshot) + "\n")
            self._console.file.flush()


def export_svg(snapshot: LiveSnapshot, path: Path, *, width: int = 100) -> None:
    """Write the screen as an SVG picture: the same snapshot gives the same bytes."""
    from io import StringIO

    console = Console(
        record=True,
        width=width,
        file=StringIO(),
        force_terminal=True,
        color_system="truecolor",
        highlight=False,
        emoji=False,
        legacy_windows=False,
        _environ={},
    )
    console.print(render(snapshot))
    svg = console.export_svg(title=snapshot.title, unique_id="optmm")
    # Fonts of another site, and a comment that names one: the picture stands alone.
    svg = re.sub(r"@font-face \{.*?\}\s*|<!--.*?-->\s*", "", svg, flags=re.DOTALL)
    path.write_text(svg, encoding="utf-8", newline="\n")
