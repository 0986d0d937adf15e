"""Buyer or seller: who started a public print.

A given aggressor wins. Otherwise the print is compared with the quote in force just before it,
and with the last different price where the quote cannot tell. What cannot be signed stays 0 and is
counted; a share of unsigned volume is part of every answer.

Units   prices int64 in 1e-9 USD; rows in time order.
Source  C. Lee, M. Ready, J. Finance 46 (1991) 733; K. Ellis, R. Michaely, M. O'Hara, J. Financial
        and Quantitative Analysis 35 (2000) 529 (EMO); B. Chakrabarty, B. Li, V. Nguyen,
        R. Van Ness, J. Banking & Finance 31 (2007) 3806 (CLNV).
Checked tests/optmm/flow/test_signing.py: the papers' rules as tables.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

import numpy as np


class Method(IntEnum):
    """What decided the sign of a print."""

    NONE = 0
    GIVEN = 1
    QUOTE = 2
    TICK = 3


@dataclass(frozen=True, slots=True)
class Signed:
    """`sign` int8 (n,): +1 buyer started, -1 seller, 0 unknown. `method` int8 (n,), a `Method`."""

    sign: np.ndarray
    method: np.ndarray


def _lee_ready(px: np.ndarray, bid: np.ndarray, ask: np.ndarray) -> np.ndarray:
    """Above the mid a buyer, below it a seller. Doubled integers, so that the mid is exact."""
    return np.sign(2 * px - (bid + ask)).astype(np.int8)


def _emo(px: np.ndarray, bid: np.ndarray, ask: np.ndarray) -> np.ndarray:
    """At the ask a buyer, at the bid a seller, anywhere else undecided."""
    return (px == ask).astype(np.int8) - (px == bid).astype(np.int8)


def _clnv(px: np.ndarray, bid: np.ndarray, ask: np.ndarray) -> np.ndarray:
    """A buyer in the upper 30 % of the spread, a seller in the lower; outside it, undecided."""
    above = 10 * px >= 3 * bid + 7 * ask
    below = 10 * px <= 7 * bid + 3 * ask
    inside = (px >= bid) & (px <= ask)
    return np.where(inside, above.astype(np.int8) - below.astype(np.int8), 0).astype(np.int8)


RULES: dict[str, Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]] = {
    "lee_ready": _lee_ready,
    "emo": _emo,
    "clnv": _clnv,
}


def tick_signs(instrument: np.ndarray, px_e9: np.ndarray) -> np.ndarray:
    """Sign of the last change of price of the same instrument; 0 before its first change.

    Both arguments have shape (n,) in time order; so has the int8 result.
    """
    order = np.argsort(instrument, kind="stable")
    px, group = px_e9[order], instrument[order]
    step = np.zeros(px.size, np.int8)
    step[1:] = np.sign(np.diff(px))
    first = np.ones(px.size, bool)
    first[1:] = group[1:] != group[:-1]
    step[first] = 0
    last = np.maximum.accumulate(np.where(first | (step != 0), np.arange(px.size), 0))
    out = np.empty(px.size, np.int8)
    out[order] = step[last]
    return out


def sign_prints(
    *,
    instrument: np.ndarray,
    low_e9: np.ndarray,
    high_e9: np.ndarray,
    bid_e9: np.ndarray,
    ask_e9: np.ndarray,
    aggressor: np.ndarray,
    rule: str = "lee_ready",
) -> Signed:
    """Sign public prints. All arrays have shape (n,) and are in time order.

    A bar (`low_e9 < high_e9`) is signed only if its low and its high agree: where it traded on both
    sides of the mid, a sign would be a guess. Without a two-sided, uncrossed quote the print stays
    unsigned. The tick rule decides what the quote leaves open for a single price.

    Raises KeyError for a `rule` not in `RULES`.
    """
    decide = RULES[rule]
    two_sided = (bid_e9 > 0) & (ask_e9 >= bid_e9)
    low = decide(low_e9, bid_e9, ask_e9)
    high = decide(high_e9, bid_e9, ask_e9)
    by_quote = np.where(two_sided & (low == high), low, 0).astype(np.int8)
    open_price = two_sided & (low_e9 == high_e9) & (by_quote == 0)
    by_tick = np.where(open_price, tick_signs(instrument, low_e9), 0).astype(np.int8)

    sign = np.where(by_quote != 0, by_quote, by_tick)
    method = np.where(by_quote != 0, Method.QUOTE, np.where(by_tick != 0, Method.TICK, Method.NONE))
    given = aggressor != 0
    sign = np.where(given, np.sign(aggressor), sign).astype(np.int8)
    method = np.where(given, Method.GIVEN, method).astype(np.int8)
    return Signed(sign, method)
