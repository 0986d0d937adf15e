"""The one-shot `fit`: frames in any order and dress, one surface out."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import polars as pl
import pytest

from surfaces import VolSurface, fit
from surfaces.errors import InvalidInput


def test_row_order_does_not_matter(european):
    world = european(noise=0.5)
    frame = world.frame()
    order = np.random.default_rng(0).permutation(len(frame["strike"]))
    shuffled = {name: [values[i] for i in order] for name, values in frame.items()}
    a, b = (fit(f, valuation_ns=world.now_ns, spot=world.spot) for f in (frame, shuffled))
    assert isinstance(a, VolSurface)
    np.testing.assert_array_equal(a.row_vols(), b.row_vols())
    np.testing.assert_array_equal(a.forwards, b.forwards)


def test_pandas_polars_and_words_for_rights_agree(european):
    world = european()
    frame = world.frame()
    words = frame | {"right": ["call" if w > 0 else "P" for w in frame["right"]]}
    odd = pd.DataFrame(words, index=np.arange(len(frame["strike"]))[::-1])
    got = [
        fit(f, valuation_ns=world.now_ns, spot=world.spot).row_vols()
        for f in (frame, pl.DataFrame(frame), odd)
    ]
    np.testing.assert_array_equal(got[0], got[1])
    np.testing.assert_array_equal(got[0], got[2])


@pytest.mark.parametrize(
    "expiry",
    [
        date(2024, 3, 15),
        "2024-03-15",
        np.datetime64("2024-03-15"),
        pd.Timestamp("2024-03-15"),
        datetime(2024, 3, 15, 20, 0, tzinfo=UTC),
        int(datetime(2024, 3, 15, 20, 0, tzinfo=UTC).timestamp()) * 10**9,
    ],
    ids=lambda e: type(e).__name__,
)
def test_an_expiry_date_means_four_in_new_york(expiry):
    """15 March 2024 is in daylight time: 16:00 New York is 20:00 UTC."""
    now = int(datetime(2024, 3, 14, 20, 0, tzinfo=UTC).timestamp()) * 10**9
    frame = {"expiry": [expiry] * 2, "strike": [100.0] * 2, "right": [1, -1]}
    frame |= {"bid": [1.0, 1.0], "ask": [1.2, 1.2]}
    got = fit(frame, valuation_ns=now)
    assert got.years[0] == pytest.approx(1 / 365, rel=1e-12)
    assert got.chain.expiry_labels == (date(2024, 3, 15),)
    assert ZoneInfo("America/New_York")


def test_a_given_rate_is_kept(european):
    world = european(rate=0.04)
    got = fit(world.frame(), valuation_ns=world.now_ns, spot=world.spot, rate=0.01)
    np.testing.assert_allclose(got.rate, 0.01, atol=1e-3)


def test_without_spot_the_nearest_forward_stands_in(european):
    world = european()
    got = fit(world.frame(), valuation_ns=world.now_ns)
    assert got.spot == pytest.approx(world.forwards[0], rel=1e-3)
    assert all("spot_from_parity" in s for s in got.status)
    np.testing.assert_allclose(got.forwards, world.forwards, rtol=1e-5)


def test_roots_that_share_an_expiry_are_fitted_apart(european):
    """Two settlement classes at one instant with different vols must not be averaged."""
    world = european()
    one, n = world.frame(), len(world.slices)
    both = {name: list(values) * 2 for name, values in one.items()}
    both["root"] = ["A"] * n + ["B"] * n
    got = fit(both, valuation_ns=world.now_ns, spot=world.spot)
    assert got.chain.roots == ("A", "B") * 4
    assert got.path == ("mixture",) * 8
    with pytest.raises(InvalidInput, match=r"contracts are listed twice.*`root` column"):
        fit({k: v for k, v in both.items() if k != "root"}, valuation_ns=world.now_ns)


def test_american_style_takes_the_premium_off(american):
    """The same quotes read as European give another rate; read as American, the true one."""
    world = american(half=0.02, rate=0.06, carry=0.0)
    frame = world.frame()
    right = fit(frame, valuation_ns=world.now_ns, spot=world.spot)
    wrong = fit(
        frame | {"style": ["european"] * len(world.slices)},
        valuation_ns=world.now_ns,
        spot=world.spot,
    )
    assert abs(right.rate[-1] - 0.06) < 0.01 < abs(wrong.rate[-1] - 0.06)


def test_a_size_of_zero_is_an_absent_side(european):
    world = european()
    n = len(world.slices)
    got = fit(
        world.frame(bid_size=[0] * n, ask_size=[5] * n),
        valuation_ns=world.now_ns,
        spot=world.spot,
    )
    assert got.scores.quotes.sum() == 0 and set(got.path) == {"none"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"right": None}, r"quotes lack right; needed are expiry, strike, right, bid, ask"),
        ({"right": ["x"]}, r"right\[0\] is 'x', must be \+1 or 'c'"),
        ({"strike": [-1.0]}, r"strike\[0\] is -1 USD, must be > 0"),
        ({"style": ["bermudan"]}, "style is 'bermudan', must be 'american' or 'european'"),
        ({"expiry": ["soon"]}, r"expiry\[0\] is 'soon', must be a date"),
    ],
)
def test_mistakes_are_named(change, words):
    frame = {"expiry": ["2024-03-15"], "strike": [100.0], "right": ["c"], "bid": [1], "ask": [2]}
    frame = {k: v for k, v in (frame | change).items() if v is not None}
    with pytest.raises(InvalidInput, match=words):
        fit(frame, valuation_ns=1_700_000_000_000_000_000, spot=100.0)


def test_an_unknown_model_lists_the_choices():
    with pytest.raises(
        InvalidInput, match=r"model is 'magic'; choose one of essvi, flat, mixture, .*svi"
    ):
        fit({}, valuation_ns=0, model="magic")
