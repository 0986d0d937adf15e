"""What the live fitter refuses, in its own words, and what it makes do with and says so."""

import re

import numpy as np
import pytest

from surfaces.errors import InvalidInput
from surfaces.live import FitConfig, LiveFitter

MINUTE = 60_000_000_000


def fitter(world, **config) -> LiveFitter:
    return LiveFitter(world.slices, FitConfig(**{"rate_prior": 0.03} | config))


def feed(fit, world, minute=0, **change):
    quotes = {"spot": world.spot, "bid": world.bid, "ask": world.ask} | change
    return fit.update(world.now_ns + minute * MINUTE, **quotes)


def refused(words: str, call, *given, **named) -> None:
    """The whole message, word for word."""
    with pytest.raises(InvalidInput, match=f"^{re.escape(words)}$"):
        call(*given, **named)


def test_time_does_not_run_backwards(european):
    world = european()
    fit = fitter(world)
    feed(fit, world, 5)
    now = world.now_ns + 5 * MINUTE
    refused(
        f"now_ns is {now - MINUTE}, must be >= {now}, the last update's; updates come in order of "
        "time. Make a new LiveFitter to start again.",
        feed, fit, world, 4,
    )  # fmt: skip
    assert feed(fit, world, 5).version == 2


@pytest.mark.parametrize(
    ("now", "words"),
    [
        (
            float("nan"),
            "is nan, must be an integer in ns UTC or a datetime; for a time.time() in seconds pass "
            "round(1e9 * t)",
        ),
        (
            1_700_000_000,
            "is 1700000000, must lie from 1990 to 2200 in ns UTC; it looks like seconds: multiply "
            "by 10**9",
        ),
    ],
)
def test_a_time_that_is_none_is_refused(european, now, words):
    world = european()
    refused(f"now_ns {words}", fitter(world).update, now, spot=500.0, bid=world.bid, ask=world.ask)


@pytest.mark.parametrize("spot", [None, np.nan, -5.0])
def test_a_spot_never_known_is_said_so_until_it_is(european, spot):
    """The middle strike used to stand in without a word; the quotes know better."""
    world = european()
    fit = fitter(world)
    first = feed(fit, world, spot=spot)
    assert first.spot == pytest.approx(world.spot, rel=1e-5)
    assert first.status == ("spot_unknown",) * 4
    assert feed(fit, world, 1, spot=spot).status == ("spot_unknown",) * 4
    assert feed(fit, world, 2).status == ("ok",) * 4
    again = feed(fit, world, 3, spot=spot)
    assert again.spot == pytest.approx(world.spot, rel=1e-7) and again.status == ("ok",) * 4


def test_a_spot_that_is_no_number_is_refused(european):
    world = european()
    refused("spot has shape (2,), must be one number", feed, fitter(world), world, spot=[1.0, 2.0])
    refused("spot is '500', must be a number or numbers", feed, fitter(world), world, spot="500")


def test_row_numbers_are_not_flags(european):
    """`np.arange(n)` used to be read as "all but the first"."""
    world = european()
    n = len(world.slices)
    refused(
        f"usable[2] is 2, must be True or False ({n - 2} of {n} fail). Give one flag a row, not "
        "row numbers.",
        feed, fitter(world), world, usable=np.arange(n),
    )  # fmt: skip
    some = np.arange(n) % 3 > 0
    a, b = (feed(fitter(world), world, usable=u) for u in (some, some.astype(int).tolist()))
    np.testing.assert_array_equal(a.row_vols(), b.row_vols())


def test_a_move_too_far_or_of_no_known_rule_is_refused(european):
    world = european()
    fit = fitter(world)
    feed(fit, world)
    refused(
        "spot is 1e+06 USD, must be within 20 % of the surface's, 500. Fit quotes at the new spot "
        "instead.",
        fit.move, 1e6,
    )  # fmt: skip
    refused(
        "stickiness is 50, must lie from -1 to 3: 0 is sticky moneyness, 1 sticky strike, 2 the "
        "limit of diffusions at short dates",
        fit.move, 501.0, 50,
    )  # fmt: skip
    refused("spot has shape (1,), must be one number", fit.move, [501.0])
    assert fit.surface.version == 1


def test_a_chain_or_settings_of_another_kind_are_refused(european):
    refused(
        "slices is {}, must be a ChainSlices. surfaces.fitting.chain_of makes one.", LiveFitter, {}
    )
    refused(
        "config is 'svi', must be a FitConfig. Leave it out for the usual settings.",
        LiveFitter, european().slices, "svi",
    )  # fmt: skip
