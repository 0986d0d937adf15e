"""Chance that depends on its keys alone: the same seed and names, the same draw, in any order.

Assignment is dealt by lot, so a replay needs draws that do not move when another series is added.
Source: counter-based generation after J. Salmon et al., Parallel random numbers (SC 2011), with
SHA-256 as the mixing function.
"""

import hashlib
from fractions import Fraction

from hedging.errors import InvalidInput


def uniform(seed: int, *keys: str) -> Fraction:
    """A draw from [0, 1), a multiple of 2^-64, fixed by `seed` and `keys`."""
    text = "\x1f".join((str(int(seed)), *keys))
    return Fraction(int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]), 1 << 64)


def share_of(lots: int, share: float, seed: int, *keys: str) -> int:
    """Whole lots out of `lots` >= 0 at `share`: the whole part for sure, the rest of one by lot.

    The mean over seeds is `lots` x `share` exactly.
    """
    if lots < 0 or not 0.0 <= share <= 1.0:
        raise InvalidInput(f"lots is {lots}, share {share}; need lots >= 0 and 0 <= share <= 1.")
    exact = int(lots) * Fraction(str(share))
    whole = exact.numerator // exact.denominator
    return whole + (uniform(seed, *keys) < exact - whole)
