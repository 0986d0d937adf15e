"""Path B of the P&L: every fill split into capture, adverse selection, inventory and hedging.

For a quote fill of side s, q contracts of multiplier c at price p, with m the fair value in force
just before it, delta D, and hedge price S; tau clipped at the close:

    spread capture     s q c (m - p)
    adverse selection  s q c ([m(t+tau) - m] - round(D [S(t+tau) - S]))
    inventory alpha    s q c ([m(close) - m(t+tau)] + round(D [S(t+tau) - S]))

A hedge has hedging cost s q c (m - p) and inventory s q c (m(close) - m). A delivered underlying
("exercise") and the change of a declared future's contract ("roll") are hedges. An option closed at
its settlement value ("settlement"), what a split exchanges ("split") and what was held before the
first session ("opening") are inventory s q c (m(close) - p). Each line is summed from its own
terms; none is a remainder, and the sum equals `Ledger.net_e9` exactly.

Units   `_e9` 1e-9 USD; adverse selection <= 0 is a cost; fees enter with their sign reversed.
Source  R. Huang, H. Stoll, J. Financial Economics 41 (1996) 313-357; SEC Rule 605.
Checked tests/optmm/pnl/test_attribution.py: any tape against the ledger, one corrupted fill,
        informed flow of known drift, hand tapes.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from optmm.errors import DataError, LimitBreached
from optmm.pnl.ledger import Columns, OpeningPosition, column_names

Money = NDArray[np.int64]
HEADLINE_TAU_S = 300
AT_PRICE = ("settlement", "split", "opening")  # booked at a mark: no spread was earned or paid
HEDGES = ("hedge", "exercise", "roll")
KINDS = ("quote", *HEDGES, *AT_PRICE)
_LIMIT = float(1 << 62)
_FIGURE_LIMIT = float(1 << 60)  # so that sums of four figures stay below 2^62


@dataclass(frozen=True, slots=True)
class FillTerms:
    """Terms of each fill in 1e-9 USD, int64 (n,), in the order of the table."""

    spread_capture: Money
    adverse_selection: Money
    inventory: Money
    hedging: Money
    fees: Money  # minus what was paid

    def total(self) -> Money:
        """Net of each fill from its time to the close."""
        return (
            self.spread_capture + self.adverse_selection + self.inventory + self.hedging + self.fees
        )


@dataclass(frozen=True, slots=True)
class Attribution:
    """The headline lines of one world in 1e-9 USD; `net_e9` is their sum."""

    spread_capture_e9: int
    adverse_selection_e9: int
    inventory_options_e9: int  # quotes and settlements
    inventory_hedges_e9: int  # hedges and delivered underlying
    inventory_opening_e9: int  # positions carried in
    hedging_costs_e9: int
    carry_e9: int
    fees_e9: int
    tau_s: int

    @property
    def inventory_alpha_e9(self) -> int:
        """Every mid-to-mid move outside the markout window."""
        return self.inventory_options_e9 + self.inventory_hedges_e9 + self.inventory_opening_e9

    @property
    def net_e9(self) -> int:
        """Sum of the lines."""
        return (
            self.spread_capture_e9
            + self.adverse_selection_e9
            + self.inventory_alpha_e9
            + self.hedging_costs_e9
            + self.carry_e9
            + self.fees_e9
        )


def delta_move_e9(delta: NDArray[np.float64], *, from_e9: Money, to_e9: Money) -> Money:
    """delta * (to - from) per share, rounded half to even once: the integer both lines share."""
    return np.rint(delta * (to_e9 - from_e9)).astype(np.int64)


def fill_terms(
    fills: Columns,
    *,
    closing_marks_e9: Sequence[int] | Money,
    closing_spot_e9: int,
    tau_s: int = HEADLINE_TAU_S,
) -> FillTerms:
    """Split every fill of one world.

    Parameters
    ----------
    fills : a frame or a dict of arrays with the columns of fills.parquet (docs/run_folder.md) that
        are read here: kind, side, lots, px_e9, multiplier, fee_e9, mark_e9, spot_e9, delta,
        instrument and the two of the horizon; of one bound
    closing_marks_e9 : one row an option
    closing_spot_e9 : of the underlying, the row after the last option
    tau_s : markout horizon; the table must have mark_<tau>s_e9 and spot_<tau>s_e9

    Raises
    ------
    DataError
        A column is absent or not of integers, a kind is unknown, a quote has no delta, or the
        table mixes worlds.
    LimitBreached
        A term does not fit 2^62 of 1e-9 USD.
    """
    _one_world(fills)
    kind = np.asarray(fills["kind"]).astype(str)
    unknown = ~np.isin(kind, KINDS)
    if unknown.any():
        row = int(np.argmax(unknown))
        raise DataError(f"kind[{row}] is '{kind[row]}'", remedy=f"Known are {', '.join(KINDS)}.")
    quote, settled = kind == "quote", np.isin(kind, AT_PRICE)
    px, mark, spot = (_integers(fills, name) for name in ("px_e9", "mark_e9", "spot_e9"))
    later, spot_later = (_integers(fills, f"{name}_{tau_s}s_e9") for name in ("mark", "spot"))
    close = _closing(_integers(fills, "instrument"), closing_marks_e9, closing_spot_e9)
    shares = _integers(fills, "side") * _integers(fills, "lots") * _integers(fills, "multiplier")
    delta = np.where(quote, np.asarray(fills["delta"], np.float64), 0.0)
    if not np.isfinite(delta).all():
        row = int(np.argmin(np.isfinite(delta)))
        raise DataError(
            f"delta[{row}] is {delta[row]}",
            remedy="A quote fill needs the delta in force just before it.",
        )
    move = delta_move_e9(delta, from_e9=spot, to_e9=spot_later)
    held_from = np.where(settled, px, mark)
    per_share = {
        "spread_capture": np.where(quote, mark - px, 0),
        "adverse_selection": np.where(quote, (later - mark) - move, 0),
        "inventory": np.where(quote, (close - later) + move, close - held_from),
        "hedging": np.where(quote | settled, 0, mark - px),
    }
    terms = {name: _times(shares, values, name) for name, values in per_share.items()}
    return FillTerms(**terms, fees=-_integers(fills, "fee_e9"))


def attribute(
    fills: Columns,
    *,
    closing_marks_e9: Sequence[int] | Money,
    closing_spot_e9: int,
    opening: Iterable[OpeningPosition] = (),
    carry_e9: int = 0,
    tau_s: int = HEADLINE_TAU_S,
) -> Attribution:
    """Attribute the P&L of one world; parameters as in `fill_terms`, and:

    opening : positions carried in at their opening marks
    carry_e9 : financing, borrow and dividends, > 0 is received
    """
    terms = fill_terms(
        fills, closing_marks_e9=closing_marks_e9, closing_spot_e9=closing_spot_e9, tau_s=tau_s
    )
    kind = np.asarray(fills["kind"]).astype(str)
    opened = kind == "opening"
    split_option = (kind == "split") & (_integers(fills, "instrument") < len(closing_marks_e9))
    option = (kind == "quote") | (kind == "settlement") | split_option
    carried_in = _sum(terms.inventory[opened])
    for position in opening:
        instrument, lots, mark_e9, multiplier = (int(x) for x in position)
        close = _closing(np.array([instrument]), closing_marks_e9, closing_spot_e9)
        carried_in += lots * multiplier * (int(close[0]) - mark_e9)
    return Attribution(
        spread_capture_e9=_sum(terms.spread_capture),
        adverse_selection_e9=_sum(terms.adverse_selection),
        inventory_options_e9=_sum(terms.inventory[option]),
        inventory_hedges_e9=_sum(terms.inventory[~option & ~opened]),
        inventory_opening_e9=carried_in,
        hedging_costs_e9=_sum(terms.hedging),
        carry_e9=int(carry_e9),
        fees_e9=_sum(terms.fees),
        tau_s=tau_s,
    )


def _integers(fills: Columns, name: str) -> Money:
    if name not in column_names(fills):
        raise DataError(
            f"fills have no column {name}", remedy="See docs/run_folder.md for the columns."
        )
    column = np.asarray(fills[name])
    if column.size and column.dtype.kind not in "iu":
        raise DataError(
            f"column {name} is {column.dtype}, must be integers",
            remedy="Money is int64 in 1e-9 USD; a float or a missing value has lost exactness.",
        )
    if column.size and np.abs(column.astype(np.float64)).max() >= _FIGURE_LIMIT:
        raise LimitBreached(f"column {name} holds a figure beyond 2^60: no price or size is that")
    return column.astype(np.int64)


def _closing(instrument: Money, marks_e9: Sequence[int] | Money, spot_e9: int) -> Money:
    table = np.append(np.asarray(marks_e9, np.int64), np.int64(spot_e9))
    if instrument.size and not (instrument.min() >= 0 and instrument.max() < table.size):
        raise DataError(
            f"instrument {instrument.max()} has no closing mark",
            remedy=f"There are {table.size - 1} options; the underlying is row {table.size - 1}.",
        )
    return table[instrument]


def _times(shares: Money, per_share: Money, name: str) -> Money:
    """Exact product; numpy would wrap silently, so magnitudes are looked at in floats first."""
    largest = np.abs(shares.astype(np.float64) * per_share.astype(np.float64))
    if largest.size and not largest.max() < _LIMIT:
        row = int(np.argmax(largest))
        raise LimitBreached(
            f"{name} of fill {row} is USD {largest[row] / 1e9:,.0f}: it does not fit 2^62 of "
            "1e-9 USD. Check its price, mark and multiplier."
        )
    return shares * per_share


def _sum(terms: Money) -> int:
    """A Python int, since a sum of int64 may not be one."""
    return sum(terms.tolist())


def _one_world(fills: Columns) -> None:
    if "bound" not in column_names(fills):
        return
    bounds = set(np.asarray(fills["bound"]).astype(str).tolist())
    if len(bounds) > 1:
        raise DataError(
            f"fills mix the worlds {', '.join(sorted(bounds))}",
            remedy="Filter the table on one bound: each world has its own positions.",
        )


@dataclass(frozen=True, slots=True)
class Snapshots:
    """Book Greeks at timers, for `explain`. Time is axis 0, positions (or expiries) axis 1.

    All Greeks are already multiplied by lots and multiplier: shares, shares per USD, USD per 1.00
    of vol, USD per year, shares per 1.00 of vol, USD per (1.00 of vol)^2. Position i is held from
    timer i to timer i + 1, so the last row of Greeks is not used.
    """

    years: NDArray[np.float64]  # (t,): clock, any origin
    spot: NDArray[np.float64]  # (t,)
    vol: NDArray[np.float64]  # (t, n)
    delta: NDArray[np.float64]  # (t, n); the hedge may be a column with vol 0
    gamma: NDArray[np.float64]
    vega: NDArray[np.float64]
    theta: NDArray[np.float64]
    vanna: NDArray[np.float64]
    volga: NDArray[np.float64]
    value_start: NDArray[np.float64]  # (t, n): USD at timer i of the lots held after it
    value_end: NDArray[np.float64]  # (t, n): USD at timer i of the lots held before it


@dataclass(frozen=True, slots=True)
class Explained:
    """Sub-lines of the revaluation between timers, USD. They and `unexplained` sum to `actual`."""

    theta: float
    delta: float
    gamma: float
    vega: float
    vanna: float
    volga: float
    actual: float

    @property
    def unexplained(self) -> float:
        """What the Taylor terms leave."""
        taylor = self.theta + self.delta + self.gamma + self.vega + self.vanna + self.volga
        return self.actual - taylor

    @property
    def gross(self) -> float:
        """Sum of absolute lines: what `unexplained` is judged against."""
        lines = (self.theta, self.delta, self.gamma, self.vega, self.vanna, self.volga)
        return sum(abs(line) for line in lines)


def explain(snapshots: Snapshots) -> Explained:
    """Taylor-explain the revaluation of held positions from each timer to the next.

    The revaluation is that of lots held across an interval; what a fill earns between its time and
    the next timer belongs to capture and markouts, so `actual` is not inventory alpha itself.
    """
    now = slice(None, -1)
    d_years = np.diff(snapshots.years)[:, None]
    d_spot = np.diff(snapshots.spot)[:, None]
    d_vol = np.diff(snapshots.vol, axis=0)
    return Explained(
        theta=float(np.sum(snapshots.theta[now] * d_years)),
        delta=float(np.sum(snapshots.delta[now] * d_spot)),
        gamma=float(np.sum(0.5 * snapshots.gamma[now] * d_spot**2)),
        vega=float(np.sum(snapshots.vega[now] * d_vol)),
        vanna=float(np.sum(snapshots.vanna[now] * d_spot * d_vol)),
        volga=float(np.sum(0.5 * snapshots.volga[now] * d_vol**2)),
        actual=float(np.sum(snapshots.value_end[1:] - snapshots.value_start[now])),
    )
