"""Black-Scholes-Merton on drawn options: the forward's model, and the spot's own Greeks."""

import numpy as np
import pytest
from bounds import EPS, spot_greek_errors

from surfaces.pricing import black, bsm


@pytest.fixture(scope="module")
def on_spot(million) -> dict[str, np.ndarray]:
    """The first quarter of the million, with spots for forwards; rates and yields -5 % to 15 %."""
    n = million["right"].size // 4
    rng = np.random.default_rng(9)
    r, q = rng.uniform(-0.05, 0.15, n), rng.uniform(-0.05, 0.15, n)
    q = np.where(rng.random(n) < 0.1, r, q)
    return {
        "right": million["right"][:n],
        "spot": million["forward"][:n] * np.exp((q - r) * million["years"][:n]),
        **{name: million[name][:n] for name in ("strike", "years", "vol")},
        "rate": r,
        "dividend_yield": q,
    }


def test_every_greek_is_the_derivative_it_says(on_spot, within):
    """Automatic differentiation of the printed formula in 80 bits; errors as propagated."""
    from jets import spot_greeks
    from longdouble import in_chunks

    got = bsm.greeks(**on_spot)
    want = in_chunks(spot_greeks, *on_spot.values())
    slack = spot_greek_errors(*on_spot.values())
    assert slack.keys() | {"price"} == dict(got.items()).keys()
    for name, most in slack.items():
        floor = 1e-290 * (1.0 + 1.0 / on_spot["vol"])  # below it a factor is subnormal
        within(getattr(got, name) - want[name], most + floor, on_spot, name)
    assert got.price.tobytes() == bsm.price(**on_spot).tobytes()


def test_price_is_the_forward_price(on_spot, within):
    """Rounding the forward and the discount factor moves both by the legs' share of it."""
    r, q, T = (on_spot[name] for name in ("rate", "dividend_yield", "years"))
    F, df = on_spot["spot"] * np.exp((r - q) * T), np.exp(-r * T)
    rows = {name: on_spot[name] for name in ("right", "strike", "years", "vol")}
    gap = bsm.price(**on_spot) - black.price(forward=F, df=df, **rows)
    legs = df * np.where(on_spot["right"] > 0, F, on_spot["strike"])
    within(gap, 4 * EPS * (1.0 + np.abs(r * T) + np.abs(q * T)) * legs, on_spot, "spot")


def test_the_pricing_equation(on_spot, within):
    """theta + (r - q) S delta + vol^2 S^2 gamma / 2 = r V, and homogeneity S delta + K dual = V."""
    got = bsm.greeks(**on_spot)
    S, K, T, vol = (on_spot[name] for name in ("spot", "strike", "years", "vol"))
    r, q = on_spot["rate"], on_spot["dividend_yield"]
    carry, bend = (r - q) * S * got.delta, 0.5 * vol**2 * S**2 * got.gamma
    slack = spot_greek_errors(*on_spot.values())
    most = (
        slack["theta"] + np.abs(r - q) * S * slack["delta"] + 0.5 * (vol * S) ** 2 * slack["gamma"]
    )
    most += np.abs(r) * slack["rho"] / T + 4 * EPS * (np.abs(carry) + bend + np.abs(r) * got.price)
    within(got.theta + carry + bend - r * got.price, most + 1e-290, on_spot, "equation")
    euler = S * got.delta + K * got.dual_delta - got.price
    most = S * slack["delta"] + K * slack["dual_delta"] + slack["rho"] / T
    most += 4 * EPS * (np.abs(S * got.delta) + got.price)
    within(euler, most + 1e-290, on_spot, "homogeneity")
