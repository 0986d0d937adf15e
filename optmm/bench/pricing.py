"""The table of the pricing floor: every figure with its bar, and the peers beside it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from optmm.bench.rows import PeerRow, Row


@dataclass(frozen=True, slots=True)
class Report:
    """What one run found."""

    rows: list[Row]
    peers: list[PeerRow]
    about: dict[str, str]

    def as_json(self) -> dict[str, Any]:
        """One object of plain values."""
        return {
            "bench": "pricing",
            "about": self.about,
            "rows": [row.as_json() for row in self.rows],
            "peers": [row.as_json() for row in self.peers],
        }


def run(
    *,
    quick: bool = False,
    with_peers: bool = False,
    pinned: str = "",
    say: Callable[[str], None] = lambda words: None,
) -> Report:
    """Measure everything. Pin the process first (`timing.pin`), before numba is imported.

    Parameters
    ----------
    quick : smaller sets and fewer exact rows, for a look
    with_peers : also every installed library of `peers.SHELF`, in the same process
    pinned : what `timing.pin` said
    say : receives a line before each long step
    """
    import warnings

    from optmm.bench import american, european, markets, peers, startup, timing

    sizes = european.QUICK if quick else european.FULL
    installed: european.Installed = []
    missing: dict[str, str] = {}
    figures: dict[str, dict[str, float | None]] = {}
    rows: list[Row] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # peers warn about quotes they cannot invert
        for peer in peers.SHELF if with_peers else ():
            found = peers.tried(peer)
            if isinstance(found, str):
                missing[peer.name] = found
                say(f"{peer.name}: {found}")
            else:
                installed.append((peer, found))
        for label, draw, batches, floor, bar in (
            ("realistic", markets.realistic, sizes.batches, 8.0, 60.0),
            ("nasty", markets.nasty, sizes.nasty, 4.0, None),
        ):
            say(f"implied vol, {label}: {', '.join(f'{n:,}' for n in batches)} options")
            rows += european.implied_speed(label, draw, batches, floor, bar, installed, figures)
        say("implied vol: errors")
        rows += european.implied_accuracy(sizes, installed, figures)
        rows += european.invalid_quotes()
        say("Black and Greeks")
        rows += european.greeks(sizes, installed, figures)
    say("chain of 10,020 options")
    rows += american.chain()
    say("American on a yield")
    rows += american.yields(quick, say)
    say("American with cash dividends")
    rows += american.cash(quick)
    say("cold start")
    rows += startup.rows()
    about = timing.machine() | {
        "core": pinned or "not pinned",
        "method": "best of many, CPU time of the process, warmed up, measured in turns",
        "sets": "quick" if quick else "full",
    }
    return Report(rows, european.peer_rows(missing, figures), about)
