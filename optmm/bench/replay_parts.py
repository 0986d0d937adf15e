"""The table of the replay: loop, peer, memory and profile, part by part.

loop     events a second of the compiled loop on a made tape, with and without spot moves
peer     one asset beside hftbacktest on one tape
memory   peak of `optmm replay` on a stored day and on one ten times as long
profile  where the interpreter itself spends a replay: share and modules
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from optmm.bench import timing
from optmm.bench.replay_tape import Mix
from optmm.bench.rows import Report, Row

PARTS = ("loop", "peer", "memory", "profile")
LOOP_EVENTS = 3_000_000
ROUNDS = 9
Say = Callable[[str], None]


def run(
    parts: Sequence[str],
    data: Path,
    *,
    quick: bool = False,
    with_peers: bool = False,
    pinned: str = "",
    say: Say = lambda words: None,
) -> Report:
    """Measure `parts`, in the order of `PARTS`. Pin the process first (`timing.pin`).

    Parameters
    ----------
    data : folder that holds `data`; what is absent is skipped and said
    quick : shorter tapes and fewer rounds
    with_peers : measure hftbacktest, where it is installed
    pinned : what `timing.pin` said
    say : receives a line before each long step
    """
    rows: dict[str, list[Row]] = {}
    peers: list[dict[str, Any]] = []
    wrong: list[str] = []
    figures: dict[str, Any] = {"events_per_second": None}
    if "loop" in parts:
        say("the loop on a made tape")
        rows["loop"], found, failed = loop(
            events=500_000 if quick else LOOP_EVENTS, rounds=3 if quick else ROUNDS
        )
        figures |= found
        wrong += failed
    if "peer" in parts:
        from optmm.bench import hft

        say("one asset beside hftbacktest")
        rows["peer"], peers, failed = hft.run(quick=quick, with_peers=with_peers)
        wrong += failed
    if "memory" in parts:
        from optmm.bench import memory

        rows["memory"], failed = memory.run(quick=quick, say=say)
        wrong += failed
    if "profile" in parts:
        from optmm.bench import profile

        rows["profile"], failed = profile.run(data, quick=quick, say=say)
        wrong += failed
    about = timing.machine() | {
        "core": pinned or "not pinned",
        "method": "best of many, CPU time of the thread, warmed up",
        "sets": "quick" if quick else "full",
    }
    return Report("replay", rows, about, peers, tuple(wrong), figures)


def loop(*, events: int, rounds: int) -> tuple[list[Row], dict[str, Any], list[str]]:
    """(rows, figures for JSON, what is wrong) of the tape with and without spot moves."""
    from optmm.bench.replay import CORRECT, EVENTS, desk, measured

    rows: list[Row] = []
    figures: dict[str, Any] = {}
    wrong: list[str] = []
    budgeted = desk(min_change_ticks=2)
    for name, mix, config, bar, label in (
        ("", Mix(), budgeted, 8.0, "the underlying moves, quotes by two ticks or more"),
        ("_half_rate", Mix(events_per_s=100_000.0), budgeted, None, "the same at half the rate"),
        ("_one_tick", Mix(), desk(), None, "quotes by one tick: a message for every second event"),
        ("_without_moves", Mix(moves=False), desk(), 15.0, "no spot moves"),
    ):
        speed, about, failed = measured(mix, config, events=events, rounds=rounds)
        rows.append(Row(f"replay, {label}", speed / 1e6, EVENTS, bar, True, note=_words(about)))
        rows.append(Row(f"{CORRECT}blocks and books, {label}", len(failed), "", 0.0))
        wrong += [f"{label}: {what}" for what in failed]
        figures[f"events_per_second{name}"] = speed
        figures[f"tape{name}"] = about
    return rows, figures, wrong


def _words(about: dict[str, float | str]) -> str:
    """What the tape is and what the engine did on it, in one line."""

    def rate(name: str) -> str:
        return f"{about[f'{name}_per_second']:,.0f}"

    return (
        f"{about['mix']}, over {about['event_seconds']:.0f} s; "
        f"{about['quotes_that_change_a_price']:.0%} of the quotes change a price, "
        f"{about['quotes_that_change_a_size_only']:.0%} a size only; a second of event time: "
        f"{rate('sweeps')} sweeps, {rate('instruments_decided')} instruments decided anew, "
        f"{rate('instruments_requoted')} requoted, "
        f"{rate('messages')} messages, {rate('throttled')} held back, {rate('fills')} fills; "
        f"{about['quoted_two_sided']:.1%} quoted on both sides at the end"
    )
