"""Other libraries' smiles on one chain: hit rate, arbitrage and time, one row each.

A peer runs in a process of its own (`surface_runner`), QuantLib in our environment, the rest in one
that scripts/bench makes for them, so that what they pin cannot move what we use. Each is given a
whole chain of out-of-the-money quotes and asked for vols at the quotes and on dense grids; what
they mean is judged here, by the same rules for all: a quote a library did not fit is a miss.

`run` gives the rows; `judged` makes the same row of any other curves, ours included.
"""

import csv
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optmm.bench import surface_runner
from optmm.bench.timing import ONE_THREAD
from surfaces.arbitrage import durrleman
from surfaces.errors import InvalidInput
from surfaces.scoring import CORE, TOUCH
from surfaces.smiles.base import EDGE, reach

Array = NDArray[np.float64]

PYTHON = "OPTMM_SURFACE_PEERS"  # the peers' Python, set by scripts/bench
FAILURES = "OPTMM_SURFACE_PEERS_FAILED"  # lines "distribution <tab> why", from scripts/bench
POINTS = 2_001
LIMIT_S = 300.0  # wall seconds a library may take

# what was looked at and is no row, and why
LEFT_OUT = {
    "fastvol": "does not install: no distribution that fits",
    "fiqua": "prices and Greeks; fits no smile (Python 3.12 and later)",
    "optds-iv": "an engine for prices and vols; no surface at 0.1.0",
    "option-price-repair": "repairs prices at their strikes, draws no curve between",
    "arbitragerepair": "repairs prices at their strikes, draws no curve between",
    "rnproj": "expectations by projection on quoted payoffs, no smile",
    "riskneutral": "fits densities to prices (Shimko, lognormal mixtures), gives no smile",
    "volatilipy": "hands mid vols to QuantLib's interpolation, fits nothing",
    "volbatch": "a command that downloads its own chains and writes files",
    "mdrap-options": "an empty package beside another project's engine",
    "volForge": "installs without a module (Python 3.13 and later)",
    "py-implied-vol": "installs without a module",
    "pyfeng": "does not import: needs statsmodels, which it does not ask for",
}


@dataclass(frozen=True, slots=True)
class Expiry:
    """Two-sided out-of-the-money quotes of one expiry: k = ln(strike/forward) rising, bid and ask
    vols in decimals (n,). `clean`: the table calls its input good."""

    years: float
    k: Array
    bid: Array
    ask: Array
    clean: bool = True


@dataclass(frozen=True, slots=True)
class PeerFit:
    """How one library did. `min_g` over 1.3 times the quoted range, `butterflies` expiries with
    g < 0 there; `calendar` the least gain of variance on strikes that neighbours both quote, in
    units of the longer one's at the money, `crossings` pairs with less than none. CPU seconds for
    the chain: `first` compiles, `again` does not. Without figures, `note` says why."""

    peer: str
    version: str = ""
    quotes: int = 0
    hits: int = 0
    core_quotes: int = 0
    core_hits: int = 0
    failed: int = 0  # expiries without a curve
    min_g: float | None = None
    butterflies: int = 0
    calendar: float | None = None
    crossings: int = 0
    first: float | None = None
    again: float | None = None
    note: str = ""

    def as_json(self) -> dict[str, Any]:
        """Plain values only."""
        return asdict(self)


def read_chain(path: Path) -> list[Expiry]:
    """A table with columns expiry, T, k, bid_iv, ask_iv, clean, rows of an expiry together."""
    with path.open(encoding="utf-8") as file:
        table = list(csv.DictReader(line for line in file if not line.startswith("#")))
    out = []
    for (years, clean), group in groupby(table, key=lambda row: (float(row["T"]), row["clean"])):
        columns = [[float(row[name]) for name in ("k", "bid_iv", "ask_iv")] for row in group]
        k, bid, ask = np.array(sorted(columns)).T
        out.append(Expiry(years, k, bid, ask, clean == "1"))
    if not out:
        raise InvalidInput(f"{path.name} has no quotes; give a table with one row a quote")
    return out


def run(
    chain: Sequence[Expiry],
    *,
    names: Sequence[str] | None = None,
    python: str | None = None,
    say: Callable[[str], None] = lambda words: None,
) -> list[PeerFit]:
    """Fit the chain with every library; one that fails is a row that says why.

    Parameters
    ----------
    chain : expiries in rising time
    names : of `surface_runner.PEERS`; all by default
    python : the interpreter of the peers' environment; by default what scripts/bench says
    say : receives a line before each library
    """
    theirs = python or os.environ.get(PYTHON, "")
    rows = []
    for name in surface_runner.PEERS if names is None else names:
        say(name)
        ours = surface_runner.PEERS[name][0] == "QuantLib"
        rows.append(_row(name, chain, sys.executable if ours else theirs))
    return rows


def judged(
    peer: str, chain: Sequence[Expiry], vols: Sequence[Array | None], **more: Any
) -> PeerFit:
    """The row of curves whose vols at `places(chain)` are given; None is an expiry without."""
    quotes = hits = core_quotes = core_hits = 0
    lows, gains = [], []
    for j, (one, said) in enumerate(zip(chain, vols, strict=True)):
        width = float(np.interp(0.0, one.k, 0.5 * (one.bid + one.ask))) * np.sqrt(one.years)
        core = (one.k > CORE[0] * width) & (one.k < CORE[1] * width)
        hit = np.zeros(one.k.size, bool)
        if said is not None:
            vol = said[: one.k.size]
            hit = (vol >= one.bid - TOUCH) & (vol <= one.ask + TOUCH)
            lows.append(_lowest_g(one, said[one.k.size : one.k.size + POINTS]))
        quotes, hits = quotes + hit.size, hits + int(hit.sum())
        core_quotes, core_hits = core_quotes + int(core.sum()), core_hits + int((core & hit).sum())
        before = vols[j - 1] if j else None
        if said is not None and before is not None:
            gains.append(_gain(chain[j - 1], one, before, said))
    return PeerFit(
        peer,
        quotes=quotes,
        hits=hits,
        core_quotes=core_quotes,
        core_hits=core_hits,
        failed=sum(v is None for v in vols),
        min_g=min(lows, default=None),
        butterflies=sum(not g >= 0.0 for g in lows),
        calendar=min(gains, default=None),
        crossings=sum(not gain >= 0.0 for gain in gains),
        **more,
    )


def places(chain: Sequence[Expiry]) -> list[Array]:
    """Where every expiry is asked: its quotes, 1.3 times its range, the strikes it shares with the
    next expiry and with the one before, and the money."""
    out = []
    for j, one in enumerate(chain):
        parts = [one.k, reach(one.k[0], one.k[-1], EDGE, POINTS)]
        for i in (j, j - 1):
            pair = chain[max(i, 0) : i + 2]
            low, high = max(e.k[0] for e in pair), min(e.k[-1] for e in pair)
            parts.append(np.linspace(low, high, POINTS))
        out.append(np.concatenate([*parts, np.zeros(1)]))
    return out


def _lowest_g(one: Expiry, vol: Array) -> float:
    """Durrleman's g by central differences on the even grid; where there is no vol, minus
    infinity."""
    k = reach(one.k[0], one.k[-1], EDGE, POINTS)
    if not (vol > 0.0).all():
        return float("-inf")
    w, step = vol * vol * one.years, k[1] - k[0]
    w1, w2 = (w[2:] - w[:-2]) / (2.0 * step), (w[2:] - 2.0 * w[1:-1] + w[:-2]) / step**2
    return float(np.min(durrleman(k[1:-1], w[1:-1], w1, w2)))


def _gain(short: Expiry, long: Expiry, early: Array, late: Array) -> float:
    """Least variance gained on the strikes both quote, over the longer expiry's at the money."""
    first = early[short.k.size + POINTS : short.k.size + 2 * POINTS] ** 2 * short.years
    second = late[long.k.size + 2 * POINTS : long.k.size + 3 * POINTS] ** 2 * long.years
    return float(np.min(second - first) / (late[-1] ** 2 * long.years))


def _row(name: str, chain: Sequence[Expiry], python: str) -> PeerFit:
    """One library's row, whatever happens to it."""
    distribution = surface_runner.PEERS[name][0]
    if not python:
        return PeerFit(name, note=f"not tried: {PYTHON} is not set; scripts/bench sets it")
    answer = _asked(name, chain, python)
    if "error" in answer:
        said = _failures().get(distribution, "")
        note = f"does not install: {said}" if said else answer["error"]
        return PeerFit(name, note=note)
    vols = [None if v is None else np.array(v) for v in answer["vols"]]
    return judged(
        name,
        chain,
        vols,
        version=answer["version"],
        first=answer["seconds"],
        again=answer.get("again"),
    )


def _asked(name: str, chain: Sequence[Expiry], python: str) -> dict[str, Any]:
    """What the library answers, or `error`."""
    request = {
        "slices": [
            {"years": e.years, "k": e.k.tolist(), "bid": e.bid.tolist(), "ask": e.ask.tolist()}
            for e in chain
        ],
        "at": [k.tolist() for k in places(chain)],
    }
    with tempfile.TemporaryDirectory(prefix="optmm-peer-") as folder:
        question, answer = Path(folder) / "request.json", Path(folder) / "answer.json"
        question.write_text(json.dumps(request), encoding="utf-8")
        command = [python, surface_runner.__file__, name, str(question), str(answer)]
        single = os.environ | dict.fromkeys(ONE_THREAD, "1")
        try:
            done = subprocess.run(
                command, env=single, capture_output=True, text=True, timeout=LIMIT_S, check=False
            )
        except subprocess.TimeoutExpired:
            return {"error": f"took more than {LIMIT_S:g} seconds"}
        except OSError as error:
            return {"error": f"{python} does not start: {error.strerror}"}
        if not answer.is_file():
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            return {"error": f"ended with code {done.returncode}: {last}"}
        return json.loads(answer.read_text(encoding="utf-8"))


def _failures() -> dict[str, str]:
    """Why installations failed, by distribution."""
    path = os.environ.get(FAILURES, "")
    if not path or not Path(path).is_file():
        return {}
    lines = (line.partition("\t") for line in Path(path).read_text(encoding="utf-8").splitlines())
    return {name.partition("==")[0]: why for name, tab, why in lines if tab}
