"""The closing-mark policy: which mark values a book at a close, and what the others make of it.

    settlement_theo_mid   settlement, theo, mid, last
    theo                  theo, settlement, mid, last
    mid                   mid, settlement, theo, last
    official              official close, settlement, theo, mid, last

A series that has settled keeps its settlement value under every policy: it is cash already. The
underlying has no theo: its mid, or its official close.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np

from optmm.config_days import MarkPolicy
from optmm.engine import rows_file
from optmm.engine.marks import SETTLEMENT
from optmm.engine.state import EngineState
from optmm.errors import DataError
from optmm.market.chain import Chain

NAMES = ("settlement", "theo", "mid", "last", "none", "official")
ORDER: Mapping[MarkPolicy, tuple[str, ...]] = {
    "settlement_theo_mid": ("settlement", "theo", "mid", "last"),
    "mid": ("mid", "settlement", "theo", "last"),
    "theo": ("theo", "settlement", "mid", "last"),
    "official": ("official", "settlement", "theo", "mid", "last"),
}
OFFICIAL = rows_file.Columns("official", ("date", "symbol", "px_usd"))
ABSENT = -1  # a mark that does not exist; prices are never below zero


@dataclass(frozen=True, slots=True)
class Marked:
    """Marks (n + 1,) int64 1e-9 USD, the source of each as an index of NAMES, and the book's value.

    `against_e9`: by policy, what the book would be worth more under it, 1e-9 USD.
    """

    e9: np.ndarray
    source: np.ndarray
    value_e9: int
    against_e9: dict[MarkPolicy, int]


def candidates(
    state: EngineState, settled_e9: np.ndarray, last_e9: np.ndarray, official_e9: np.ndarray
) -> dict[str, np.ndarray]:
    """Every mark there is, by name, (n + 1,) with ABSENT; to be called once the close has passed.

    Parameters
    ----------
    settled_e9 : settlement values of series that have settled, ABSENT elsewhere, (n + 1,)
    last_e9 : the marks carried so far, ABSENT where there never was one
    official_e9 : official closes of the day, ABSENT where not given
    """
    mkt = state.mkt
    move = float(state.head["mid"][0]) - mkt["spot_ref"]
    fair = np.maximum(mkt["theo"] + move * (mkt["delta"] + move * mkt["gamma_half"]), 0.0)
    there = np.isfinite(fair)
    theo = np.where(there, np.floor(np.where(there, fair, 0.0) * 1e9 + 0.5), ABSENT)
    theo = theo.astype(np.int64)
    theo[-1] = ABSENT
    both = (mkt["bid_e9"] > 0) & (mkt["ask_e9"] > mkt["bid_e9"])
    mid = np.where(both, (mkt["bid_e9"] + mkt["ask_e9"]) // 2, ABSENT)
    shown = state.head["spot_ns"][0] > 0  # a level of this session
    spot = int(state.head["spot_e9"][0]) if shown else 0
    mid[-1] = spot if spot > 0 else ABSENT
    return {
        "settlement": settled_e9, "theo": theo, "mid": mid, "last": last_e9,
        "official": official_e9,
    }  # fmt: skip


def mark(
    by_name: Mapping[str, np.ndarray],
    *,
    policy: MarkPolicy,
    lots: np.ndarray,
    multiplier: np.ndarray,
) -> Marked:
    """Value a book under `policy`, and say what each other policy makes of it.

    `lots` and `multiplier` (n + 1,), the underlying last; `by_name` from `candidates`.
    """
    held = np.flatnonzero(lots)
    units = [int(q) * int(m) for q, m in zip(lots[held], multiplier[held], strict=True)]

    def value(marks: np.ndarray) -> int:
        return sum(u * int(px) for u, px in zip(units, marks[held], strict=True))

    chosen, source = _ordered(by_name, policy)
    worth = value(chosen)
    others = {name: value(_ordered(by_name, name)[0]) - worth for name in ORDER}
    return Marked(chosen, source, worth, others)


def _ordered(by_name: Mapping[str, np.ndarray], policy: MarkPolicy) -> tuple[np.ndarray, ...]:
    """The first mark that exists, in the order of the policy; zero where none does."""
    settled = by_name["settlement"]
    out = np.zeros(settled.size, np.int64)
    source = np.full(settled.size, NAMES.index("none"), np.int8)
    for name in reversed(ORDER[policy]):
        there = by_name[name] != ABSENT
        out[there], source[there] = by_name[name][there], NAMES.index(name)
    done = settled != ABSENT
    out[done], source[done] = settled[done], SETTLEMENT
    return out, source


def read_official(path: Path, chain: Chain) -> dict[str, np.ndarray]:
    """Official closes by trade date, (n + 1,) 1e-9 USD with ABSENT, from a table of our own.

    Columns `date`, `symbol` (OSI, or the underlying's) and `px_usd`; series of other chains are
    passed over, since such files hold whole exchanges.

    Raises
    ------
    DataError
        A date or price that does not read, or one symbol twice on a date: names file and row.
    """
    place = {symbol: i for i, symbol in enumerate(chain.symbol)}
    place |= {symbol.replace(" ", ""): i for symbol, i in place.items()}
    place[chain.underlying.symbol] = len(chain)
    out: dict[str, np.ndarray] = {}
    for row, cells in rows_file.read(path, OFFICIAL):
        try:
            day = date.fromisoformat(str(cells["date"]).strip()).isoformat()
        except ValueError:
            raise DataError(
                f"date is {cells['date']!r}", file=path.name, row=row, remedy="Write YYYY-MM-DD."
            ) from None
        try:
            px = rows_file.exact(cells, "px_usd", 10**9, remedy="Give USD per share.")
        except DataError as bad:
            raise DataError(str(bad), file=path.name, row=row) from None
        i = place.get(str(cells["symbol"]).strip())
        if i is None:
            continue
        column = out.setdefault(day, np.full(len(chain) + 1, ABSENT, np.int64))
        if px is None or not 0 <= px < 10**15 or column[i] != ABSENT:
            what = f"has {cells['symbol']} twice" if column[i] != ABSENT else "px_usd is no price"
            raise DataError(what, file=path.name, row=row, remedy="Give one price for each day.")
        column[i] = px
    return out
