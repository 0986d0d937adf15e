"""Implied vol against 5,200 cases solved in 90-digit arithmetic, bad quotes, and round trips."""

from decimal import Decimal, localcontext

import numpy as np
import pytest

from surfaces.errors import InvalidInput
from surfaces.pricing import black, implied
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
    """price(vol(price)) is the price, to a few roundings of it."""
    price = black.price(**options)
    args = {name: values for name, values in options.items() if name != "vol"}
    got = implied.vol(price=price, **args)
    undiscounted = price / options["df"]
    cap = np.where(options["right"] > 0, options["forward"], options["strike"])
    intrinsic = np.maximum(options["right"] * (options["forward"] - options["strike"]), 0.0)
    inside = (undiscounted < cap * (1 - 1e-12)) & (undiscounted - intrinsic > 1e-12 * cap)
    assert got.ok[inside].all(), got.why()
    again = black.price(**args, vol=np.where(got.ok, got.vol, 0.0))
    ulps = np.abs(again - price)[inside] / (np.finfo(float).eps * cap * options["df"])[inside]
    assert ulps.max() <= 8


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
