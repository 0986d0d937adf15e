"""Implied vol against 5,200 cases solved in 90-digit arithmetic, bad quotes, and round trips."""

from decimal import Decimal, localcontext

import numpy as np
import pytest

from surfaces.errors import InvalidInput
from surfaces.kernels.implied import vol_one
from surfaces.pricing import black, bsm, implied
from surfaces.status import Status, remedy


def test_every_hard_case_to_four_times_what_rounding_the_inputs_costs(rows):
    """`attainable_rel` is the relative error that rounding price, F and K alone causes."""
    table = rows("iv_cases_dev.csv.gz")
    names = {"price_undisc": "price", "F": "forward", "K": "strike", "T": "years"}
    args = {to: np.array([float(row[of]) for row in table]) for of, to in names.items()}
    got = implied.vol(right=[row["flag"] for row in table], **args)
    assert got.ok.all(), got.why()
    with localcontext() as context:
        context.prec = 40
        truth = [Decimal(row["sigma_true_30d"]) for row in table]
        error = np.array(
            [float(abs(Decimal(float(v)) / t - 1)) for v, t in zip(got.vol, truth, strict=True)]
        )
    attainable = np.array([float(row["attainable_rel"]) for row in table])
    worst = int(np.argmax(error / attainable))
    assert error[worst] <= 4.0 * attainable[worst], table[worst]
    assert np.all(error[attainable <= 2.5e-12] <= 1e-11)


EXPECTED = {
    "below_intrinsic": Status.BELOW_INTRINSIC,
    "at_intrinsic": Status.NO_VEGA,
    "zero_otm_price -> vol 0": Status.NO_VEGA,
    "negative": Status.BELOW_INTRINSIC,
    "at_max -> inf": Status.ABOVE_BOUND,
    "above_max": Status.ABOVE_BOUND,
    "denormal price -> finite vol or documented": Status.OK,
}


def test_every_bad_quote_gets_its_status(rows):
    for row in rows("iv_invalid_inputs.csv"):
        kw = {name: float(row[of]) for name, of in
              {"price": "price", "forward": "F", "strike": "K", "years": "T"}.items()}  # fmt: skip
        kind = row["expected_class"]
        if kind.startswith("bad flag"):
            with pytest.raises(InvalidInput, match="right is 'x'"):
                implied.vol(right=row["flag"], **kw)
            continue
        got = implied.vol(right=row["flag"], **kw)
        if kind.startswith("upper-case"):
            assert got.vol == implied.vol(right="c", **kw).vol
            continue
        assert int(got.status) == EXPECTED.get(kind, Status.BAD_INPUT), row
        if kind.startswith("zero_otm"):
            assert got.vol == 0.0
        else:
            assert np.isfinite(got.vol) == (int(got.status) == Status.OK), row


def test_round_trip_everywhere(options):
    """price(vol(price)) is the price, to a few roundings of its cap and of the vol in between."""
    price = black.price(**options)
    args = {name: values for name, values in options.items() if name != "vol"}
    got = implied.vol(price=price, **args)
    undiscounted = price / options["df"]
    cap = np.where(options["right"] > 0, options["forward"], options["strike"])
    intrinsic = np.maximum(options["right"] * (options["forward"] - options["strike"]), 0.0)
    inside = (undiscounted < cap * (1 - 1e-12)) & (undiscounted - intrinsic > 1e-12 * cap)
    assert got.ok[inside].all(), got.why()
    again = black.price(**args, vol=np.where(got.ok, got.vol, 0.0))
    moved = black.greeks(**options, which=["vega"]).vega * options["vol"]
    rounding = np.finfo(float).eps * (cap * options["df"] + moved)
    assert np.max((np.abs(again - price) / rounding)[inside]) <= 6


def test_seeds_cover_the_plane():
    """Out-of-the-money options from 1e-300 USD to their cap: nothing fails to converge."""
    rng, n = np.random.default_rng(5), 60_000
    x = np.where(rng.random(n) < 0.5, 10 ** rng.uniform(-16, 1.5, n), rng.uniform(0, 3, n))
    s = np.where(rng.random(n) < 0.5, 10 ** rng.uniform(-9, 1.2, n), x / rng.uniform(0.01, 37, n))
    strike = 100.0 * np.exp(x)
    price = black.price(right=1, forward=100.0, strike=strike, years=1.0, vol=s)
    keep = (price > 1e-300) & (price < 100.0)
    got = implied.vol(price=price[keep], right=1, forward=100.0, strike=strike[keep], years=1.0)
    assert got.ok.all(), got.why()


def test_every_status_has_a_remedy():
    assert remedy(Status.OK) == ""
    for status in Status:
        if status != Status.OK:
            assert len(remedy(status)) > 20
    got = implied.vol(price=[1.0, -1.0, -2.0], right=1, forward=100.0, strike=100.0, years=1.0)
    assert got.why() == {"price is below intrinsic: stale quote or wrong forward": 2}


def test_discounted_prices_are_undiscounted_first():
    price = black.price(right=-1, forward=100.0, strike=120.0, years=2.0, vol=0.4, df=0.9)
    got = implied.vol(price=price, right=-1, forward=100.0, strike=120.0, years=2.0, df=0.9)
    assert got.vol == pytest.approx(0.4, rel=1e-14)


def test_spot_form_is_the_forward_form():
    price = bsm.price(right=[1, -1], spot=100.0, strike=[130.0, 80.0], years=1.5, vol=0.35,
                      rate=0.04, dividend_yield=0.015)  # fmt: skip
    kw = {"price": price, "right": [1, -1], "strike": [130.0, 80.0], "years": 1.5}
    got = implied.vol(spot=100.0, rate=0.04, dividend_yield=0.015, **kw)
    np.testing.assert_allclose(got.vol, 0.35, rtol=1e-14)
    naive = implied.vol(spot=100.0, rate=0.04, **kw)  # a yield that is forgotten is seen
    assert np.all(np.abs(naive.vol - 0.35) > 0.01)


def test_mixed_forms_are_refused():
    kw = {"price": 5.0, "right": 1, "strike": 100.0, "years": 1.0}
    for more, words in [
        ({}, "neither of forward and spot is given"),
        ({"spot": 100.0, "forward": 100.0}, "both of forward and spot is given"),
        ({"forward": 100.0, "rate": 0.05}, "rate and dividend_yield go with spot"),
        ({"spot": 100.0, "df": 0.9}, "df goes with forward"),
        ({"spot": [100.0, 101.0], "rate": [0.1, 0.1, 0.1]}, "do not broadcast together"),
    ]:
        with pytest.raises(InvalidInput, match=words):
            implied.vol(**kw, **more)


def test_the_fast_lanes_agree_with_the_scalar_solver():
    """Two solvers of one equation, on quotes both take; each to its rounding."""
    rng, n = np.random.default_rng(6), 20_000
    x, s = rng.uniform(-2, 2, n), 10 ** rng.uniform(-2, 0.4, n)
    strike = 100.0 * np.exp(x * np.minimum(1.0, 8 * s))
    right = np.where(strike > 100.0, 1.0, -1.0)
    price = black.price(right=right, forward=100.0, strike=strike, years=1.0, vol=s)
    keep = price > 1e-12
    lanes = implied.vol(
        price=price[keep], right=right[keep], forward=100.0, strike=strike[keep], years=1.0
    )
    alone = np.empty(keep.sum()), np.empty(keep.sum(), np.uint8)
    scalar_each(price[keep], right[keep], strike[keep], *alone)
    assert lanes.ok.all()
    np.testing.assert_allclose(lanes.vol, alone[0], rtol=1e-13)


def scalar_each(price, right, strike, vol, status):
    for i in range(price.size):
        vol[i], status[i] = vol_one(price[i], right[i], 100.0, strike[i], 1.0, 1.0)
