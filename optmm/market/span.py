"""One chain over several days: every series of every day once, and where each day's rows went.

A run over several sessions keeps one table of positions, so a series has one row for all of them.
The order is that of a chain (expiry, root, strike, calls before puts), hence the maps rise, and
events that were in order within an instant stay so.
"""

from collections.abc import Sequence

import numpy as np

from optmm.errors import DataError
from optmm.market.chain import Chain

TERMS = (
    "right", "strike_e9", "expiry", "last_trade_ns", "fixing_ns", "exercise_ns", "american",
    "physical", "am_settled", "multiplier", "tick_split_e9", "tick_below_e9", "tick_above_e9",
)  # fmt: skip
TICKS = ("tick_split_e9", "tick_below_e9", "tick_above_e9")


def union(chains: Sequence[Chain]) -> tuple[Chain, tuple[np.ndarray, ...]]:
    """The chain of all series in `chains`, and per chain the new row of each of its old rows.

    Returns
    -------
    The union, and one int32 array of shape (len(chain) + 1,) per chain; the last element is the
    underlying's row.

    Raises
    ------
    DataError
        No chain, underlyings that are not one instrument, or a series whose terms differ between
        days: names it, and what to run apart.
    """
    if not chains:
        raise DataError("there is no chain to join", remedy="Name at least one day.")
    first = chains[0].underlying
    for chain in chains[1:]:
        if chain.underlying != first:
            raise DataError(
                f"the days have two underlyings: {first} and {chain.underlying}",
                remedy="Run them apart: one run hedges with one instrument.",
            )
    home: dict[str, tuple[int, int]] = {}
    for d, chain in enumerate(chains):
        for i, symbol in enumerate(chain.symbol):
            if symbol in home:
                _refuse_change(chains[home[symbol][0]], home[symbol][1], chain, i)
            else:
                home[symbol] = (d, i)
    symbols = sorted(home, key=lambda symbol: _rank(chains, home[symbol]))
    place = {symbol: row for row, symbol in enumerate(symbols)}
    maps = tuple(
        np.array([*(place[s] for s in chain.symbol), len(symbols)], np.int32) for chain in chains
    )
    if any((np.diff(to) <= 0).any() for to in maps):
        raise DataError(
            "a day's chain is not in order of expiry, root, strike and right",
            remedy="Build chains with optmm.market.products.list_chain.",
        )
    return _joined(chains, [home[symbol] for symbol in symbols]), maps


def remapped(events: np.ndarray, to: np.ndarray) -> np.ndarray:
    """A copy of a day's events with the rows of the union; rows below zero (timers) stay."""
    out = events.copy()
    at = events["instrument"]
    out["instrument"] = np.where(at >= 0, to[np.maximum(at, 0)], at)
    return out


def spread(values: np.ndarray, to: np.ndarray, *, fill: int) -> np.ndarray:
    """A day's column (n,) over the rows of the union, `fill` where the day has no such series."""
    out = np.full(int(to[-1]), fill, values.dtype)
    out[to[:-1]] = values
    return out


def listed_daily(chain: Chain, maps: Sequence[np.ndarray]) -> np.ndarray:
    """Slices (m,) of a union that every one of its days lists; `maps` as `union` gives."""
    return np.all(
        [np.isin(np.arange(chain.slices), chain.slice_of[to[:-1]]) for to in maps], axis=0
    )


def _rank(chains: Sequence[Chain], at: tuple[int, int]) -> tuple:
    chain, i = chains[at[0]], at[1]
    return chain.expiry[i], chain.root[i], int(chain.strike_e9[i]), -int(chain.right[i])


def _refuse_change(old: Chain, i: int, new: Chain, k: int) -> None:
    """Raise if one series has two sets of terms."""
    for name in TERMS:
        before, after = getattr(old, name)[i], getattr(new, name)[k]
        if before != after:
            raise DataError(
                f"{new.symbol[k]} changes its {name} between days, from {before} to {after}",
                remedy="Run the dates before and after the change apart."
                if name in TICKS
                else "One symbol is one contract: check which of the days is wrong.",
            )


def _joined(chains: Sequence[Chain], rows: list[tuple[int, int]]) -> Chain:
    columns = {
        name: np.array(
            [getattr(chains[d], name)[i] for d, i in rows], getattr(chains[0], name).dtype
        )
        for name in TERMS
    }
    roots = tuple(chains[d].root[i] for d, i in rows)
    keys = list(zip(columns["expiry"], roots, strict=True))
    starts = [i for i, key in enumerate(keys) if i == 0 or key != keys[i - 1]]
    bounds = np.array([*starts, len(rows)], np.int32)
    return Chain(
        underlying=chains[0].underlying,
        symbol=tuple(chains[d].symbol[i] for d, i in rows),
        root=roots,
        slice_of=np.repeat(np.arange(len(starts), dtype=np.int32), np.diff(bounds)),
        slice_start=bounds,
        **columns,
    )
