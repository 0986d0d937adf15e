"""Draws fixed by their keys: the plain hash, uniform, and a share whose mean is exact."""

import hashlib
import math
from fractions import Fraction

import pytest

from hedging import lottery
from hedging.errors import InvalidInput


def test_a_draw_is_the_hash_of_its_keys():
    digest = hashlib.sha256(b"7\x1f2023-03-16\x1fSPY").hexdigest()
    assert lottery.uniform(7, "2023-03-16", "SPY") == Fraction(int(digest[:16], 16), 2**64)
    assert lottery.uniform(7, "a", "bc") != lottery.uniform(7, "ab", "c")


def test_draws_are_uniform():
    """Kolmogorov-Smirnov over 4,000 seeds: 1.63 / sqrt(n) is passed by chance once in a hundred."""
    n = 4000
    draws = sorted(float(lottery.uniform(seed, "x")) for seed in range(n))
    gap = max(max(abs(u - i / n), abs(u - (i + 1) / n)) for i, u in enumerate(draws))
    assert gap < 1.63 / math.sqrt(n)


def test_the_mean_is_the_share_and_the_rest_is_one_lot():
    """37 % of 3 lots is 1.11: one or two, and two in 11 % of the seeds within 4 standard errors."""
    n = 4000
    found = [lottery.share_of(3, 0.37, seed, "SPY") for seed in range(n)]
    assert set(found) == {1, 2}
    assert abs(found.count(2) / n - 0.11) < 4 * math.sqrt(0.11 * 0.89 / n)


@pytest.mark.parametrize(("lots", "share", "wanted"), [(0, 0.5, 0), (7, 1.0, 7), (7, 0.0, 0),
                                                       (10, 0.3, 3)])  # fmt: skip
def test_whole_shares_leave_nothing_to_chance(lots, share, wanted):
    assert {lottery.share_of(lots, share, seed, "x") for seed in range(50)} == {wanted}


def test_bad_arguments_are_named():
    for lots, share in ((-1, 0.5), (1, 1.5)):
        with pytest.raises(InvalidInput, match=f"lots is {lots}, share {share}"):
            lottery.share_of(lots, share, 0)
