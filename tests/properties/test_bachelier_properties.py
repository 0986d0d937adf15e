"""Bachelier's model on a quarter of a million drawn options, forwards of either sign."""

import numpy as np
import pytest
from bounds import EPS

from surfaces.pricing import bachelier
from surfaces.status import Status

EASE, OWN = 4.0, 12.0  # roundings of h = |F - K| / s, and of what multiplies its density


@pytest.fixture(scope="module")
def normal() -> dict[str, np.ndarray]:
    """Vols 1e-3 to 1e3 USD, a minute to ten years, strikes within eight deviations or anywhere."""
    rng, n = np.random.default_rng(7), 250_000
    years = np.exp(rng.uniform(np.log(1 / 525_600), np.log(10.0), n))
    vol = 10 ** rng.uniform(-3.0, 3.0, n)
    forward = rng.choice([-1.0, 1.0], n) * 10 ** rng.uniform(-4.0, 4.0, n)
    gap = rng.uniform(-8.0, 8.0, n) * vol * np.sqrt(years)
    gap = np.where(rng.random(n) < 0.1, gap * 10 ** rng.uniform(-15.0, 1.0, n), gap)
    return {
        "right": rng.choice([-1.0, 1.0], n),
        "forward": forward,
        "strike": np.where(rng.random(n) < 0.02, forward, forward - gap),
        "years": years,
        "vol": vol,
        "df": np.exp(-rng.uniform(-0.05, 0.15, n) * years),
    }


@pytest.fixture(scope="module")
def referee(normal) -> dict[str, np.ndarray]:
    """80-bit price and Greeks, and h."""
    from jets import bachelier_greeks
    from longdouble import in_chunks, normal_parts

    parts = in_chunks(normal_parts, *(normal[n] for n in ("forward", "strike", "years", "vol")))
    return in_chunks(bachelier_greeks, *normal.values()) | parts


def price_error(rows: dict, h, otm):
    """Allowed |error| of a price: the exponent's h^2, intrinsic's rounding, the product with df."""
    gap = np.abs(rows["forward"] - rows["strike"])
    return rows["df"] * EPS * (2.0 * (otm + gap) + (OWN + EASE * h**2) * otm)


@pytest.fixture(scope="module")
def allowed(normal, referee) -> np.ndarray:
    h, otm = (np.asarray(referee[name], float) for name in ("h", "otm"))
    return price_error(normal, h, otm)


def test_price_is_the_80_bit_price(normal, referee, allowed, within):
    within(bachelier.price(**normal) - referee["price"], allowed, normal, "price")


def test_put_call_parity(normal, within):
    w, F, K, df = (normal[name] for name in ("right", "forward", "strike", "df"))
    price, other = (bachelier.price(**{**normal, "right": side}) for side in (w, -w))
    gap = w * (price - other) - df * (F - K)
    within(gap, 4 * EPS * np.maximum(price, other) + EPS * df * np.abs(F - K), normal, "parity")


def test_moving_forward_and_strike_alike_changes_nothing(normal, within):
    """Only F - K counts: exactly, where the shifted numbers are exact."""
    few = {name: v[:50_000] for name, v in normal.items()}
    grid = {name: np.round(few[name] * 2.0**20) / 2.0**20 for name in ("forward", "strike")}
    base = bachelier.price(**{**few, **grid})
    for shift in (1.0, -1024.0, 37.5):
        moved = bachelier.price(**{**few, **{name: v + shift for name, v in grid.items()}})
        assert moved.tobytes() == base.tobytes()


@pytest.mark.parametrize("power", [-20, 1, 9])
def test_scaling_by_a_power_of_two_is_exact(normal, power):
    """Homogeneous in forward, strike and vol together."""
    factor = 2.0**power
    scaled = {name: normal[name] * factor for name in ("forward", "strike", "vol")}
    price = bachelier.price(**normal)
    got = bachelier.price(**{**normal, **scaled})
    bad = (price > 1e-250) & (got != factor * price)
    i = int(np.argmax(bad))
    assert not bad.any(), (bad.sum(), {name: v[i] for name, v in normal.items()})


def test_monotone_in_strike_and_vol_and_convex(normal, within):
    rng = np.random.default_rng(8)
    from longdouble import normal_parts

    few = {name: v[:100_000] for name, v in normal.items()}
    K = few["strike"]
    step = few["vol"] * np.sqrt(few["years"]) * 10 ** rng.uniform(-9.0, 0.5, K.size)

    def priced(**moved):
        rows = {**few, **moved}
        found = normal_parts(*(rows[name] for name in ("forward", "strike", "years", "vol")))
        h, otm = (np.asarray(found[name], float) for name in ("h", "otm"))
        return bachelier.price(**rows), price_error(rows, h, otm)

    (low, e0), (mid, e1), (high, e2) = (priced(strike=K + i * step) for i in (-1, 0, 1))
    rows = {**few, "step": step}
    rounded = 4 * EPS * few["df"] * (np.abs(K) + step)  # of the strikes themselves
    within(np.minimum(few["right"] * (low - mid), 0.0), e0 + e1, rows, "monotone in strike")
    within(np.minimum(low + high - 2 * mid, 0.0), e0 + 2 * e1 + e2 + rounded, rows, "convex")
    more, error = priced(vol=few["vol"] * (1.0 + 10 ** rng.uniform(-15.0, 0.0, K.size)))
    within(np.minimum(more - mid, 0.0), error + e1, rows, "rising in vol")


def test_every_greek_is_the_derivative_it_says(normal, referee, allowed, within):
    got = bachelier.greeks(**normal)
    T, vol, df = (normal[name] for name in ("years", "vol", "df"))
    h = np.asarray(referee["h"], float)
    root = np.sqrt(T)
    phi = df * np.exp(-0.5 * h * h) / np.sqrt(2 * np.pi)
    own = EPS * (OWN + EASE * h**2)  # phi, relative
    shift = EASE * EPS * h  # d, absolute
    rate = np.abs(np.log(df)) / T
    s = vol * root
    tail = np.abs(np.asarray(referee["delta"], float))
    delta = phi * shift + EPS * OWN * tail
    bend = (h**2 + 1.0) * own + 2.0 * h * shift
    rho = T * (allowed + 2 * EPS * np.asarray(referee["price"], float))
    slack = {
        "delta": delta,
        "gamma": phi / s * own,
        "vega": phi * root * own,
        "theta": rate / T * rho + 2 * EPS * rate * got.price + 0.5 * phi * vol / root * own,
        "rho": rho,
        "vanna": phi / vol * (h * own + shift),
        "volga": phi * root / vol * (h * h * own + 2.0 * h * shift),
        "charm": rate * (delta + 4 * EPS * tail) + 0.5 * phi / T * (h * own + shift),
        "speed": phi / s**2 * (h * own + shift),
        "zomma": phi / (s * vol) * bend,
        "color": phi / s * (rate * own + 0.5 / T * bend),
        "dual_delta": delta,
        "density": phi / (df * s) * own,
    }
    assert slack.keys() | {"price"} == dict(got.items()).keys()
    for name, most in slack.items():
        floor = 1e-290 * (1.0 + 1.0 / (s * vol))
        within(getattr(got, name) - referee[name], most + floor, normal, name)


def test_vol_comes_back_as_far_as_the_price_holds_it(normal, referee, within):
    """At most 4 x what rounding price, forward and strike once moves the vol by."""
    w, F, K, T, vol, df = (normal[name] for name in normal)
    price = np.asarray(referee["price"], float)
    got = bachelier.vol(price=price, right=w, forward=F, strike=K, years=T, df=df)
    assert not np.isin(got.status, [Status.NOT_CONVERGED, Status.BAD_INPUT]).any()
    vega = np.asarray(referee["vega"], float)
    delta = np.abs(np.asarray(referee["delta"], float))
    moved = 2.0 * price + (np.abs(F) + np.abs(K)) * delta + 1.5 * vol * vega
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        attainable = np.fmin(0.5 * EPS * moved / (vol * vega), 1.0)
    sound = (attainable < 1e-3) & (price > 1e-290)
    assert sound.mean() > 0.6
    assert got.ok[sound].all()
    error = np.where(sound, got.vol / vol - 1.0, 0.0)
    within(error, 4.0 * attainable + EPS, normal, "vol")
