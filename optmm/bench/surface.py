"""The table of the surface: every figure with its bar, part by part, and the peers beside it."""

from collections.abc import Callable, Sequence
from importlib import import_module, util
from pathlib import Path
from typing import Any

from optmm.bench.rows import Report, Row

PARTS = ("reference", "snapshots", "american", "minutes", "speed", "confidence", "peers")
PEERS = "optmm.bench.surface_peers"


def run(
    parts: Sequence[str],
    data: Path,
    *,
    quick: bool = False,
    with_peers: bool = False,
    pinned: str = "",
    say: Callable[[str], None] = lambda words: None,
) -> Report:
    """Measure `parts`, in the order of `PARTS`. Pin the process first (`timing.pin`).

    Parameters
    ----------
    data : folder that holds `reference` and `data`; what is absent is skipped and said
    quick : one expiry in six for the linear program, one minute in ten, fewer rounds and refits
    with_peers : other libraries too, where their part was not asked for by name
    pinned : what `timing.pin` said
    say : receives a line before each long step
    """
    from optmm.bench import timing

    rows: dict[str, list[Row]] = {}
    wrong: list[str] = []
    peers: list[dict[str, Any]] = []
    for part in PARTS:
        if part not in parts and not (part == "peers" and with_peers):
            continue
        if part == "peers":
            peers = _peers(data, say)
        else:
            rows[part], failed = _part(part, data, quick, say)
            wrong += failed
    about = timing.machine() | {
        "core": pinned or "not pinned",
        "method": "best of many, CPU time of the process, warmed up, measured in turns",
        "sets": "quick" if quick else "full",
    }
    return Report("surface", rows, about, peers, tuple(wrong))


def _part(
    part: str, data: Path, quick: bool, say: Callable[[str], None]
) -> tuple[list[Row], list[str]]:
    """Rows of one part, and what is wrong."""
    module = import_module(f"optmm.bench.surface_{part}")
    if part == "speed":
        return module.run(say, rounds=5 if quick else 25)
    how: dict[str, Any] = {}
    if part == "reference":
        how = {"referee": not quick}
    elif part == "snapshots":
        how = {"quick": quick}
    elif part == "minutes":
        how = {"every": 10 if quick else 1}
    elif part == "confidence":
        how = {"sample": 10 if quick else 60}
    return module.run(data, say, **how), []


def _peers(data: Path, say: Callable[[str], None]) -> list[dict[str, Any]]:
    """Our default and SVI, then every library, on the clean reference expiries."""
    from optmm.bench import surface_reference

    path = data / surface_reference.FILE
    if util.find_spec(PEERS) is None:
        return [{"peer": "none", "note": "this version measures no peers of the surface"}]
    if not path.is_file():
        return [{"peer": "none", "note": f"no {surface_reference.FILE} in the data folder"}]
    shelf = import_module(PEERS)
    chain = [one for one in shelf.read_chain(path) if one.clean]
    ours = import_module("optmm.bench.surface_ours")
    return [row.as_json() for row in (*ours.rows(shelf, chain, say), *shelf.run(chain, say=say))]
