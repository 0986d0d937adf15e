"""Cboe snapshots of the data folder, fitted from raw rows, and their parity pairs.

Near the money is within one deviation of the strike where call and put are worth the same, the
deviation read from that straddle; an expiry is liquid with twenty such pairs quoted on both sides.
Both are fixed by the quotes, before anything is fitted.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import surfaces
from optmm.data.snapshot import Snapshot
from optmm.data.snapshots import open_snapshot
from surfaces.curves.cash import CashDividends
from surfaces.surface import VolSurface

Array = NDArray[np.float64]

FOLDER = Path("data/cboe_quotedata")
EUROPEAN = ("spx", "xsp", "ndx")
BROKEN = "BROKEN"
LIQUID = 20
ROUNDING = 1e-9  # USD


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """One file fitted: bid and ask USD by row of `surface.chain`, NaN where absent."""

    name: str
    snapshot: Snapshot
    surface: VolSurface
    bid: Array
    ask: Array


@dataclass(frozen=True, slots=True)
class Pairs:
    """Near call-put pairs of one expiry: strikes, and the market of call minus put, USD (p,)."""

    strike: Array
    low: Array
    high: Array

    def inside(self, forward: float, df: float) -> NDArray[np.bool_]:
        """Where df (forward - strike) lies inside the pair's market."""
        value = df * (forward - self.strike)
        return np.asarray((self.low - ROUNDING <= value) & (value <= self.high + ROUNDING))


def files(data: Path, kinds: tuple[str, ...] = EUROPEAN) -> list[Path]:
    """Files of these underlyings that a surface should be fitted to, by name."""
    found = sorted((data / FOLDER).glob("*.csv.gz"))
    return [p for p in found if p.name.startswith(kinds) and BROKEN not in p.name]


def fitted(path: Path, dividends: CashDividends | None = None) -> Fitted:
    """Read `path` and fit it with the defaults."""
    snapshot = open_snapshot(path).check()
    surface = surfaces.fit(
        snapshot.quotes,
        valuation_ns=snapshot.valuation_ns,
        spot=snapshot.spot,
        dividends=dividends,
    )
    bid, ask = (snapshot.quotes[side].to_numpy() for side in ("bid", "ask"))
    if not np.array_equal(surface.chain.strike, snapshot.quotes["strike"].to_numpy()):
        raise AssertionError(f"{path.name}: rows of the surface are not those of the file")
    name = path.name.removesuffix(".csv.gz")
    return Fitted(name, snapshot, surface, bid, ask)


def near_pairs(shot: Fitted, j: int) -> Pairs | None:
    """The near pairs of expiry `j`, None if it is not liquid."""
    chain = shot.surface.chain
    rows = np.arange(*chain.slice_start[j : j + 2])
    rows = rows[(shot.bid[rows] > 0.0) & (shot.ask[rows] > shot.bid[rows])]
    call, put = (rows[chain.right[rows] == w] for w in (1.0, -1.0))
    strike, c, p = np.intersect1d(chain.strike[call], chain.strike[put], return_indices=True)
    if strike.size < LIQUID or chain.fixing_ns[j] <= shot.surface.ts_ns:
        return None
    bid, ask = (side[call[c]] for side in (shot.bid, shot.ask))
    put_bid, put_ask = (side[put[p]] for side in (shot.bid, shot.ask))
    at = int(np.argmin(np.abs(bid + ask - put_bid - put_ask)))
    straddle = 0.5 * (bid[at] + ask[at] + put_bid[at] + put_ask[at])
    near = np.abs(np.log(strike / strike[at])) < np.sqrt(np.pi / 2.0) * straddle / strike[at]
    if near.sum() < LIQUID:
        return None
    return Pairs(strike[near], (bid - put_ask)[near], (ask - put_bid)[near])


def label(shot: Fitted, j: int) -> str:
    """Root and date of expiry `j`."""
    chain = shot.surface.chain
    return f"{chain.roots[j]} {chain.expiry_labels[j]}"
