"""Quotes of one instant, cleaned: what is believed of them, and how many were not, by reason.

A quote that is not believed is absent from then on; nothing is repaired. Stale strikes that look
sound by themselves are found later, by the fit (`surfaces.smiles.mixture`), and counted there.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from surfaces import checks as check
from surfaces.curves.clock import years_to
from surfaces.errors import InvalidInput

if TYPE_CHECKING:
    from surfaces.surface import ChainSlices

Array = NDArray[np.float64]

MOST = 2.0  # times the larger of strike and spot: no option is worth that
REASONS = ("expired", "not usable", "no quote", "no bid", "no ask", "too dear", "locked", "crossed")


@dataclass(frozen=True, slots=True)
class Book:
    """One refit's cleaned quotes, (n,), NaN where absent, and the times to expiry, (m,).

    `removed`: options by the first of `REASONS` that holds of them; "no bid" keeps its ask.
    """

    now_ns: int
    spot: float
    bid: Array
    ask: Array
    two_sided: NDArray[np.bool_]
    years: Array
    alive: NDArray[np.bool_]
    removed: dict[str, int]


def clean(
    chain: "ChainSlices",
    *,
    now_ns: int,
    spot: float,
    bid: ArrayLike,
    ask: ArrayLike,
    usable: ArrayLike | None,
    floor_seconds: float,
) -> Book:
    """Copies with every unbelieved side NaN; a wrong shape is the caller's mistake and raises.

    `bid`, `ask` USD (n,), NaN or zero where absent; `usable` (n,) of flags, default all. Of a
    locked or crossed market neither side is believed; of one above any bound, that side is not.
    """
    n = len(chain)
    good = np.ones(n, bool) if usable is None else check.flags("usable", usable)
    for name, values in (("bid", bid), ("ask", ask), ("usable", good)):
        if np.shape(values) != (n,):
            raise InvalidInput(f"{name} has shape {np.shape(values)}, must be ({n},)")
    low, high = (np.array(check.numbers("bid", bid)), np.array(check.numbers("ask", ask)))
    alive = chain.fixing_ns > now_ns
    living = alive[chain.slice_of]
    most = MOST * np.maximum(chain.strike, spot)
    has_bid, has_ask = low > 0.0, high > 0.0
    dear = (has_bid & ~(low < most)) | (has_ask & ~(high < most))
    locked = has_bid & has_ask & (low == high)
    crossed = has_bid & has_ask & (low > high)
    first = np.select(
        [~living, ~good, ~has_bid & ~has_ask, dear, locked, crossed, ~has_bid, ~has_ask],
        [0, 1, 2, 5, 6, 7, 3, 4],
        default=len(REASONS),
    )
    for side in (low, high):
        side[~(good & (side > 0.0) & (side < most))] = np.nan
        side[locked | crossed] = np.nan
    counts = np.bincount(first, minlength=len(REASONS) + 1)
    return Book(
        now_ns=int(now_ns),
        spot=spot,
        bid=low,
        ask=high,
        two_sided=np.isfinite(low) & np.isfinite(high) & living,
        years=years_to(chain.fixing_ns, int(now_ns), floor_seconds),
        alive=alive,
        removed={why: int(c) for why, c in zip(REASONS, counts, strict=False) if c},
    )
