"""Pin risk against its formula for one strike, and a simulation of the price for several."""

import numpy as np
import pytest
from scipy.special import ndtr

from hedging import pin
from hedging.errors import InvalidInput

BOOK = {
    "right": np.array([1, -1, 1, -1]), "strike": np.array([98.0, 100.0, 101.0, 103.0]),
    "lots": np.array([30, -20, -45, 10]), "multiplier": np.array([100, 100, 100, 100]),
}  # fmt: skip
TERMS = {"forward": 100.3, "years": 1.0 / 365, "gap_years": 2.7 / 365}


def test_one_strike_is_the_formula():
    """100 n sqrt(p (1 - p)) with p = N(d2), written out."""
    one = {name: column[1:2] for name, column in BOOK.items()}
    found = pin.report(**one, **TERMS, vol=np.array([0.2]))
    s = 0.2 * np.sqrt(1 / 365)
    p = ndtr(-(np.log(100.3 / 100.0) / s - s / 2))
    assert found.exercise[0] == pytest.approx(p, rel=1e-12)
    assert found.share_sd[0] == pytest.approx(100 * 20 * np.sqrt(p * (1 - p)), rel=1e-12)
    assert found.total_sd == pytest.approx(found.share_sd[0], rel=1e-12)
    assert found.mean_shares == pytest.approx(2000 * p, rel=1e-12)  # short puts buy shares
    assert found.gap_usd == pytest.approx(
        found.total_sd * 100.3 * 0.2 * np.sqrt(2.7 / 365), rel=1e-12
    )


def test_several_strikes_are_what_a_simulation_delivers():
    """400,000 lognormal prices; each statistic within 4 of its own standard errors."""
    found = pin.report(**BOOK, **TERMS, vol=np.full(4, 0.2), half_width=0.3)
    rng = np.random.default_rng(8)
    n, s = 400_000, 0.2 * np.sqrt(1 / 365)
    price = 100.3 * np.exp(s * rng.standard_normal(n) - s * s / 2)
    hit = BOOK["right"] * (price[:, None] - BOOK["strike"]) > 0
    shares = hit @ (BOOK["right"] * BOOK["lots"] * 100)
    close = np.abs(price[:, None] - BOOK["strike"]) < 0.3
    for p, seen in ((found.exercise, hit), (found.at_strike, close)):
        error = 4 * np.sqrt(p * (1 - p) / n)
        assert (np.abs(seen.mean(axis=0) - p) <= error).all()
    assert abs(shares.mean() - found.mean_shares) < 4 * shares.std() / np.sqrt(n)
    kurtosis = ((shares - shares.mean()) ** 4).mean() / shares.var() ** 2
    assert abs(shares.std() / found.total_sd - 1) < 4 * np.sqrt((kurtosis - 1) / (4 * n))


def test_near_is_within_so_many_deviations():
    s = 0.2 * np.sqrt(1 / 365)
    strike = 100.3 * np.exp(s * np.array([-1.01, -0.99, 0.99, 1.01]))
    found = pin.report(**(BOOK | {"strike": strike}), **TERMS, vol=np.full(4, 0.2))
    assert found.near.tolist() == [False, True, True, False]
    wide = pin.report(**(BOOK | {"strike": strike}), **TERMS, vol=np.full(4, 0.2), deviations=1.02)
    assert wide.near.all()


def test_at_the_fixing_what_is_in_the_money_is_sure():
    found = pin.report(**BOOK, **(TERMS | {"years": 0.0}), vol=np.full(4, 0.2))
    assert found.exercise.tolist() == [1.0, 0.0, 0.0, 1.0]
    assert (found.mean_shares, found.total_sd, found.gap_usd) == (3000 - 1000, 0.0, 0.0)
    empty = {name: column[:0] for name, column in BOOK.items()}
    none = pin.report(**empty, **TERMS, vol=np.zeros(0))
    assert (none.mean_shares, none.total_sd) == (0.0, 0.0)


def test_bad_arguments_are_named():
    with pytest.raises(InvalidInput, match="forward is 0 USD"):
        pin.report(**BOOK, **(TERMS | {"forward": 0.0}), vol=np.full(4, 0.2))
    with pytest.raises(InvalidInput, match="no volatility"):
        pin.report(**BOOK, **TERMS, vol=np.full(4, np.nan))
