"""The series that a split makes of a chain.

Source: OCC By-Laws, Article VI, Section 11A; OCC Information Memos on k-for-1 splits.
"""

from dataclasses import replace
from fractions import Fraction

import numpy as np

from optmm.errors import DataError
from optmm.market.chain import Chain
from optmm.market.instruments import Option

CENT_E9 = 10_000_000


def strike_after(strike_e9: int, k: int) -> int:
    """The strike of the adjusted series, to the nearest cent, halves up; 1e-9 USD."""
    return (2 * strike_e9 + k * CENT_E9) // (2 * k * CENT_E9) * CENT_E9


def adjusted_chain(chain: Chain, ratio: Fraction) -> Chain:
    """The series that a k-for-1 split makes of `chain`: give it to `span.union` with the days.

    Two strikes that round to one cent would be one series: refused, by name.
    """
    k = whole(ratio, chain.underlying.symbol)
    strikes = np.array([strike_after(int(s), k) for s in chain.strike_e9], np.int64)
    symbols = tuple(renamed(chain, i, int(strikes[i])) for i in range(len(chain)))
    if len(set(symbols)) != len(symbols):
        twice = next(s for s in symbols if symbols.count(s) > 1)
        raise DataError(
            f"two strikes of {chain.underlying.symbol} become {twice} in a {k}-for-1 split",
            remedy="Run the dates before and after the split apart.",
        )
    return replace(chain, symbol=symbols, strike_e9=strikes)


def whole(ratio: Fraction, symbol: str) -> int:
    """k of a k-for-1 split; DataError for another ratio, which changes what options deliver."""
    if ratio.denominator != 1 or ratio < 2:
        raise DataError(
            f"options on {symbol} are held through a {ratio.numerator}:{ratio.denominator} split, "
            "which makes them adjusted contracts with another deliverable",
            remedy="End the run before the split, or close the options first.",
        )
    return int(ratio)


def renamed(chain: Chain, i: int, strike_e9: int) -> str:
    """OSI symbol of row `i` with another strike."""
    return Option(chain.root[i], chain.expiry[i].astype(object), int(chain.right[i]), strike_e9).osi
