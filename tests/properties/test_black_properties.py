"""Black (1976) on a million drawn options: parity, bounds, monotone, convex, homogeneous, exact."""

import numpy as np
import pytest
from bounds import EPS, greek_errors, price_error
from longdouble import LD, black_parts, in_chunks

from surfaces.pricing import black


def columns(rows: dict, *names: str):
    return [rows[name] for name in names]


@pytest.fixture(scope="module")
def price(million) -> np.ndarray:
    return black.price(**million)


@pytest.fixture(scope="module")
def allowed(million, parts) -> np.ndarray:
    return price_error(parts, *columns(million, "forward", "strike", "df"))


def test_price_is_the_80_bit_price(million, parts, price, allowed, within):
    w, F, K, df = columns(million, "right", "forward", "strike", "df")
    want = df * (parts["otm"] + np.maximum(w * (F.astype(LD) - K), 0))
    within(price - want, allowed, million, "price")
    # the measure in the issue, where the total deviation is not above 1
    calm = np.asarray(parts["t"] <= 0.5)
    scale = np.where(calm, 1e-15 * np.maximum(F, K) * df, np.inf)
    within(price - want, scale, million, "price against 1e-15 of the larger leg")


def test_put_call_parity(million, price, within):
    """C - P = df (F - K): rounding of each price and of the difference, no more."""
    w, F, K, df = columns(million, "right", "forward", "strike", "df")
    other = black.price(**{**million, "right": -w})
    gap = w * (price - other) - df * (F - K)
    within(gap, 4 * EPS * np.maximum(price, other) + EPS * df * np.abs(F - K), million, "parity")


def test_bounds(million, price):
    """df max(w (F - K), 0) <= price <= df F for a call, df K for a put; both to one rounding."""
    w, F, K, df = columns(million, "right", "forward", "strike", "df")
    low = df * np.maximum(w * (F - K), 0.0)
    high = df * np.where(w > 0, F, K)
    bad = ~((price >= low * (1 - EPS)) & (price <= high * (1 + EPS)))
    assert not bad.any(), {name: v[np.argmax(bad)] for name, v in million.items()}


def test_monotone_in_strike(million, price, allowed, within):
    """A call falls with strike and a put rises, by no more than df times the step."""
    rng = np.random.default_rng(1)
    w, F, K, T, vol, df = columns(million, "right", "forward", "strike", "years", "vol", "df")
    up = K * (1.0 + 10 ** rng.uniform(-15.0, 0.0, K.size))
    beyond = black.price(**{**million, "strike": up})
    slack = allowed + price_error(in_chunks(black_parts, F, up, T, vol), F, up, df)
    drop = w * (price - beyond)  # between 0 and df (up - K)
    within(np.minimum(drop, 0.0), slack, {**million, "next": up}, "falling in strike")
    over = np.maximum(drop - df * (up - K), 0.0)
    within(over, slack + EPS * df * up, {**million, "next": up}, "slope in strike")


def test_convex_in_strike(million, price, allowed, within):
    """The middle strike is worth at most the chord of its neighbours."""
    rng = np.random.default_rng(2)
    F, K, T, vol, df = columns(million, "forward", "strike", "years", "vol", "df")
    step = K * 10 ** rng.uniform(-9.0, -0.01, K.size)
    low, high = K - step, K + step * rng.uniform(0.1, 3.0, K.size)
    share = (K - low) / (high - low)
    slack = allowed + 2 * EPS * df * (F + high)
    chord = np.zeros_like(K)
    for strike, weight in ((low, 1.0 - share), (high, share)):
        chord += weight * black.price(**{**million, "strike": strike})
        error = price_error(in_chunks(black_parts, F, strike, T, vol), F, strike, df)
        slack += weight * error
    within(np.minimum(chord - price, 0.0), slack, {**million, "low": low, "high": high}, "convex")


@pytest.mark.parametrize("name", ["vol", "years"])
def test_monotone_in_vol_and_undiscounted_in_time(million, price, allowed, name, within):
    rng = np.random.default_rng(3)
    F, K, df = columns(million, "forward", "strike", "df")
    more = {**million, name: million[name] * (1.0 + 10 ** rng.uniform(-15.0, 0.0, K.size))}
    rise = black.price(**more) - price
    slack = allowed + price_error(
        in_chunks(black_parts, F, K, more["years"], more["vol"]), F, K, df
    )
    within(np.minimum(rise, 0.0), slack, {**million, "next": more[name]}, f"rising in {name}")


@pytest.mark.parametrize("power", [-40, -3, 1, 2, 7, 30])
def test_scaling_by_a_power_of_two_is_exact(million, price, power):
    """Homogeneous of degree one in forward and strike, to the last bit where nothing underflows."""
    factor = 2.0**power
    scaled = {name: million[name] * factor for name in ("forward", "strike")}
    got = black.price(**{**million, **scaled})
    safe = price > 1e-250
    bad = safe & (got != factor * price)
    i = int(np.argmax(bad))
    assert not bad.any(), (
        f"{bad.sum()} of {bad.size} differ, first { ({k: v[i] for k, v in million.items()}) }"
    )


def test_scaling_by_any_factor_is_rounding(million, price, parts, allowed, within):
    factor = 10 ** np.random.default_rng(4).uniform(-3.0, 3.0, price.size)
    F, K = (million[name] * factor for name in ("forward", "strike"))
    got = black.price(**{**million, "forward": F, "strike": K})
    # rounding the products moves x = ln F/K by EPS, and the price by EPS times the larger leg
    slack = factor * (2 * allowed + 2 * EPS * million["df"] * np.where(
        million["right"] > 0, million["forward"], million["strike"]))  # fmt: skip
    within(got - factor * price, slack, {**million, "factor": factor}, "homogeneous")


def test_the_same_input_gives_the_same_bytes(million, price):
    """In one batch, in a reversed batch, in pieces and alone: no lane knows its neighbours."""
    assert black.price(**million).tobytes() == price.tobytes()
    backwards = black.price(**{name: v[::-1] for name, v in million.items()})
    assert backwards[::-1].tobytes() == price.tobytes()
    for size in (1, 7, 513):
        few = {name: v[1000 : 1000 + size] for name, v in million.items()}
        assert black.price(**few).tobytes() == price[1000 : 1000 + size].tobytes(), size


def test_every_greek_is_the_derivative_it_says(million, within):
    """Automatic differentiation of the printed formula in 80 bits; errors as propagated."""
    jets = pytest.importorskip("jets")
    names = ("right", "forward", "strike", "years", "vol", "df")
    got = black.greeks(**million)
    want = in_chunks(jets.forward_greeks, *columns(million, *names))
    for name, slack in greek_errors(*columns(million, *names)).items():
        floor = 1e-290 * (1.0 + 1.0 / million["vol"])  # below it a factor is subnormal
        within(getattr(got, name) - want[name], slack + floor, million, name)
