"""The option chain as a struct of arrays, and the day it is quoted on.

Row order is (expiry, root, strike, right) with calls before puts at one strike; a *slice* is one
(expiry, root): roots that share an expiry date but settle differently (SPX, SPXW) are never merged.
"""

from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True, slots=True)
class Underlying:
    """What flattens the delta. Row `len(chain)` of every table is this instrument."""

    symbol: str
    kind: str  # "equity", "future", "index" (an index cannot be traded: no hedge)
    multiplier: int  # USD per point and lot: 1 for a share, 50 for an ES future
    tick_e9: int

    @property
    def tradable(self) -> bool:
        """Whether a hedge order in it can exist."""
        return self.kind in ("equity", "future")


@dataclass(frozen=True, slots=True, repr=False)
class Chain:
    """n listed options on one underlying. Arrays have shape (n,) unless said otherwise.

    Three instants per series, ns UTC: `last_trade_ns` (quoting stops), `fixing_ns` (the price that
    settles or exercises it, and the end of its optionality), `exercise_ns` (holders' cut-off).
    """

    underlying: Underlying
    symbol: tuple[str, ...]  # OSI, 21 characters
    root: tuple[str, ...]
    right: np.ndarray  # int8: +1 call, -1 put
    strike_e9: np.ndarray  # int64
    expiry: np.ndarray  # datetime64[D]
    last_trade_ns: np.ndarray  # int64
    fixing_ns: np.ndarray  # int64
    exercise_ns: np.ndarray  # int64
    american: np.ndarray  # bool
    physical: np.ndarray  # bool: exercise delivers the underlying; else cash
    am_settled: np.ndarray  # bool
    multiplier: np.ndarray  # int64: USD per point and contract (100 for a stock option, 50 for ES)
    tick_split_e9: np.ndarray  # int64: premium at which the tick changes
    tick_below_e9: np.ndarray  # int64
    tick_above_e9: np.ndarray  # int64
    slice_of: np.ndarray  # int32: slice index of each row
    slice_start: np.ndarray  # int32, shape (slices + 1,): rows of slice j are start[j]:start[j+1]

    def __len__(self) -> int:
        return len(self.symbol)

    def __repr__(self) -> str:
        if not len(self):
            return f"<Chain of {self.underlying.symbol}, no options>"
        return (
            f"<Chain of {self.underlying.symbol}, {len(self)} options in {self.slices} slices, "
            f"strikes {self.strike.min():g} to {self.strike.max():g}, "
            f"expiries {self.expiry.min()} to {self.expiry.max()}>"
        )

    @property
    def slices(self) -> int:
        """Number of (expiry, root) slices."""
        return len(self.slice_start) - 1

    @property
    def strike(self) -> np.ndarray:
        """Strikes as float64 USD."""
        return self.strike_e9 / 1e9

    def rows(self, j: int) -> slice:
        """Rows of slice `j`."""
        return slice(int(self.slice_start[j]), int(self.slice_start[j + 1]))


@dataclass(frozen=True, slots=True)
class Session:
    """One trading date of one product. All instants ns UTC."""

    date: str  # trade date, YYYY-MM-DD
    open_ns: int
    close_ns: int  # options stop trading
    timezone: str  # of the exchange, for reports


@dataclass(frozen=True, slots=True)
class DataQuality:
    """What the reader kept and what it put aside, by reason."""

    rows: int = 0
    quarantined: dict[str, int] = field(default_factory=dict)
    two_sided_share: float = float("nan")  # of contract-minutes (or quotes), after carry-forward
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MarketDay:
    """A day ready to replay: chain, session, events, and what is known of their quality.

    `bar_ns` is the bar length when prints and quotes are bars (60e9 for minute data), 0 for ticks.
    """

    chain: Chain
    session: Session
    events: np.ndarray  # MARKET_EVENT, in order
    bar_ns: int
    quality: DataQuality
    sources: tuple[tuple[str, str], ...]  # (file name relative to the data root, sha256)
    open_interest: np.ndarray | None = None  # int64 (n,), -1 unknown
    simulated: bool = False
