"""Splits between two sessions: positions move to the adjusted series, and not a cent is made.

A k-for-1 split turns one contract on K into k contracts on K/k (rounded to the cent, as listed); so
the old rows are emptied into the new ones, and shares held are multiplied. Other ratios leave the
contract count alone and change what a contract delivers: that is an adjusted root, which is refused
while options are held. Shares alone are scaled by any ratio, a fraction of one paid in cash.

Prices of the legs are whole 1e-9 USD: where a price does not divide by k, some lots are booked at
one more, so that the cash of all legs sums to zero exactly.

Source: OCC By-Laws, Article VI, Section 11A; OCC Information Memos on k-for-1 splits.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from optmm.errors import DataError
from optmm.market.adjusted import renamed, strike_after, whole
from optmm.market.booking import Leg, moved
from optmm.market.chain import Chain


@dataclass(frozen=True, slots=True)
class Adjusted:
    """What a split books before the open, and the marks that go with it."""

    legs: tuple[Leg, ...]
    in_lieu_e9: int  # cash for a fraction of a share: what the legs in shares leave over
    marks_e9: np.ndarray  # (n + 1,)


def split(
    chain: Chain, *, ratio: Fraction, now_ns: int, lots: np.ndarray, marks_e9: np.ndarray
) -> Adjusted:
    """Legs that carry a book through a split, after the close before it and before its open.

    Parameters
    ----------
    chain : of all days, with the adjusted series in it
    ratio : new shares for an old one
    now_ns : series fixed by then are gone already and are left alone
    lots, marks_e9 : held, and what it is marked at, (n + 1,), the underlying last; int64

    Raises
    ------
    DataError
        Options are held through another ratio than k-for-1, or the adjusted series is not listed.
    """
    n = len(chain)
    held = [int(i) for i in np.flatnonzero(lots[:n]) if chain.fixing_ns[i] > now_ns]
    marks = marks_e9.copy()
    legs: list[Leg] = []
    if held:
        k = whole(ratio, chain.underlying.symbol)
        place = {symbol: i for i, symbol in enumerate(chain.symbol)}
        for i in held:
            name = renamed(chain, i, strike_after(int(chain.strike_e9[i]), k))
            if name not in place:
                raise DataError(
                    f"{chain.symbol[i]} becomes {name} in the split, which no day lists",
                    remedy="Join optmm.engine.corporate.adjusted_chain of the last day's chain.",
                )
            new, mark = place[name], int(marks_e9[i])
            legs += _exchanged(i, new, int(lots[i]), mark, k)
            marks[i], marks[new] = 0, mark // k
    shares, spot = int(lots[n]), int(marks_e9[n])
    marks[n] = int(spot / ratio)
    if shares == 0:
        return Adjusted(tuple(legs), 0, marks)
    if ratio.denominator == 1:
        legs += _exchanged(n, n, shares, spot, int(ratio))
        return Adjusted(tuple(legs), 0, marks)
    sign = 1 if shares > 0 else -1
    kept = abs(shares) * ratio.numerator // ratio.denominator
    legs.append(_leg(n, -shares, spot))
    if kept:
        legs.append(_leg(n, sign * kept, int(marks[n])))
    paid = sign * (abs(shares) * spot - kept * int(marks[n])) * chain.underlying.multiplier
    return Adjusted(tuple(legs), paid, marks)


def jumped(*, before_e9: int, after_e9: int, ratio: Fraction | None, most_share: float) -> str:
    """What to say of an overnight move beyond `most_share` that no event explains; else nothing.

    The class is to be pulled until somebody has looked. A split's own ratio is taken out first.
    """
    if before_e9 <= 0 or after_e9 <= 0:
        return ""
    due = Fraction(before_e9) / (ratio or 1)
    move = float(after_e9 / due) - 1.0
    if abs(move) <= most_share:
        return ""
    what = "the split's ratio was taken out" if ratio else "no event is configured"
    return (
        f"opened {move:+.1%} from the last close ({before_e9 / 1e9:g} to {after_e9 / 1e9:g} USD), "
        f"beyond {most_share:.0%}, and {what}: a split or a special dividend is missing, "
        "or the price is wrong"
    )


def _exchanged(old: int, new: int, lots: int, px_e9: int, k: int) -> Sequence[Leg]:
    """Out of the old row at its price, into k times the lots of the new one, cash exactly zero."""
    low, odd = divmod(px_e9, k)
    more = lots * odd  # so many of the k x lots new ones carry one 1e-9 USD more
    legs = [_leg(old, -lots, px_e9)]
    legs += [_leg(new, size, px) for size, px in ((k * lots - more, low), (more, low + 1)) if size]
    return legs


def _leg(instrument: int, lots: int, px_e9: int) -> Leg:
    return moved(instrument=instrument, lots=lots, px_e9=px_e9, kind="split", cause="split")
