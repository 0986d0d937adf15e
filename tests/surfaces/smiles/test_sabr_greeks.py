"""Deltas and vegas against the price moved along the path that each of them names."""

import numpy as np
import pytest

from surfaces.errors import InvalidInput
from surfaces.pricing import black
from surfaces.smiles import sabr

LETTERS = {"alpha": 0.3, "beta": 0.5, "nu": 0.8, "rho": -0.4, "shift": 0.02}
MARKET = {"right": np.array([1.0, -1.0, 1.0, -1.0]), "strike": np.array([0.5, 0.9, 1.0, 1.6]),
          "years": 0.7, "df": 0.95}  # fmt: skip
H = 1e-5  # truncation h^2, rounding 1e-16/h: both about 1e-10


def price(forward, alpha, formula):
    params = sabr.Parameters(**(LETTERS | {"alpha": alpha}))
    return sabr.price(params, forward=forward, formula=formula, **MARKET)


@pytest.mark.parametrize("formula", ["hagan", "obloj"])
def test_deltas_are_slopes_along_their_paths(formula):
    params, F = sabr.Parameters(**LETTERS), 1.0
    lift = (F + LETTERS["shift"]) ** LETTERS["beta"]
    drift = {"hagan": 0.0, "bartlett": LETTERS["rho"] * LETTERS["nu"] / lift}
    for kind, per_forward in drift.items():
        up, down = (price(F + h, 0.3 + per_forward * h, formula) for h in (H, -H))
        got = sabr.delta(params, forward=F, kind=kind, formula=formula, **MARKET)
        np.testing.assert_allclose(got, (up - down) / (2.0 * H), atol=2e-9)
    vol = sabr.vol(params, forward=F, strike=MARKET["strike"], years=0.7, formula=formula)
    held = black.greeks(
        right=MARKET["right"], forward=1.02, strike=MARKET["strike"] + 0.02, years=0.7, vol=vol,
        df=0.95, which=("delta",),
    ).delta  # fmt: skip
    got = sabr.delta(params, forward=F, kind="sticky", formula=formula, **MARKET)
    np.testing.assert_allclose(got, held, rtol=1e-13)


@pytest.mark.parametrize("formula", ["hagan", "obloj"])
def test_vegas_are_slopes_along_their_paths(formula):
    """Bartlett's moves the forward in the vol only: the price's own delta is hedged elsewhere."""
    params, F = sabr.Parameters(**LETTERS), 1.0
    up, down = (price(F, 0.3 + h, formula) for h in (H, -H))
    got = sabr.vega(params, forward=F, kind="hagan", formula=formula, **MARKET)
    np.testing.assert_allclose(got, (up - down) / (2.0 * H), atol=2e-9)
    per_alpha = LETTERS["rho"] * 1.02 ** LETTERS["beta"] / LETTERS["nu"]
    up, down = (price(F + per_alpha * h, 0.3 + h, formula) for h in (H, -H))
    sticky = sabr.delta(params, forward=F, kind="sticky", formula=formula, **MARKET)
    got = sabr.vega(params, forward=F, kind="bartlett", formula=formula, **MARKET)
    np.testing.assert_allclose(got, (up - down) / (2.0 * H) - per_alpha * sticky, atol=4e-9)


def test_bartletts_delta_hardly_depends_on_beta():
    """His point: two betas fitted to one smile, near the money, disagree in Hagan's delta, which
    moves alpha not at all, by 4 %, and hardly in his."""
    strike = np.exp(np.linspace(-0.05, 0.05, 21))
    one = sabr.Parameters(alpha=0.2, beta=1.0, nu=1.0, rho=-0.6)
    vol = sabr.vol(one, forward=1.0, strike=strike, years=0.25)
    other = sabr.calibrate(forward=1.0, strike=strike, years=0.25, vol=vol, beta=0.0).params
    gap = {}
    for kind in ("hagan", "bartlett"):
        deltas = [
            sabr.delta(p, right=1, forward=1.0, strike=strike, years=0.25, kind=kind)
            for p in (one, other)
        ]
        gap[kind] = np.abs(deltas[0] - deltas[1]).max()
    assert gap["bartlett"] < 0.1 * gap["hagan"]


def test_what_is_no_kind_is_refused():
    params = sabr.Parameters(alpha=0.2, beta=1.0, nu=0.0, rho=0.0)
    market = {"right": 1, "forward": 1.0, "strike": 1.0, "years": 1.0}
    with pytest.raises(InvalidInput, match="kind is 'gamma', must be one of sticky, hagan, bart"):
        sabr.delta(params, kind="gamma", **market)
    with pytest.raises(InvalidInput, match="nu is 0, so alpha does not move"):
        sabr.vega(params, **market)
