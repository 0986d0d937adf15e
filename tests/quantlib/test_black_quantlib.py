"""A hundred thousand drawn European options against QuantLib's BlackCalculator: 1e-10 relative.

"Relative" is to the larger terms of a sum, since a volga that crosses zero has no digits of its
own. QuantLib is exact only absolutely where it subtracts doubles: probabilities (a far put's delta
is N(d1) - 1) to 16 EPS, prices to 16 EPS df (F + K), theta and rho with them. That much is added;
our digits below it are checked elsewhere, against 70 and 19 digits.
Its volga is the second derivative in vol divided by sqrt(T), which is put right here
(test_volga_is_the_derivative_of_vega says which of the two is the derivative).
"""

import numpy as np
import pytest

from surfaces.pricing import black, bsm

EPS = np.finfo(float).eps
ROWS = 100_000
RELATIVE = 1e-10


@pytest.fixture(scope="module")
def spot_rows() -> dict[str, np.ndarray]:
    """A day to five years, 3 % to 200 %, rates -3 to 10 %, yields -2 to 8 %, strikes within 5
    deviations and a factor of 20."""
    rng, n = np.random.default_rng(61), ROWS
    years = np.exp(rng.uniform(np.log(1 / 365), np.log(5.0), n))
    vol = np.exp(rng.uniform(np.log(0.03), np.log(2.0), n))
    spot = np.exp(rng.uniform(np.log(1.0), np.log(6000.0), n))
    reach = np.clip(rng.uniform(-5.0, 5.0, n) * vol * np.sqrt(years), -3.0, 3.0)
    return {
        "right": rng.choice([-1.0, 1.0], n),
        "spot": spot,
        "strike": spot * np.exp(reach),
        "years": years,
        "vol": vol,
        "rate": rng.uniform(-0.03, 0.10, n),
        "dividend_yield": rng.uniform(-0.02, 0.08, n),
    }


@pytest.fixture(scope="module")
def forward_rows(spot_rows) -> dict[str, np.ndarray]:
    r, q, T = (spot_rows[name] for name in ("rate", "dividend_yield", "years"))
    kept = {name: spot_rows[name] for name in ("right", "strike", "years", "vol")}
    return kept | {"forward": spot_rows["spot"] * np.exp((r - q) * T), "df": np.exp(-r * T)}


@pytest.fixture(scope="module")
def theirs(ql, spot_rows, forward_rows) -> dict[str, np.ndarray]:
    """QuantLib's numbers by our names; those on the forward with a prefix."""
    names = ("price", "dual_delta", "strike_gamma", "forward_delta", "forward_gamma", "delta",
             "gamma", "vega", "theta", "rho", "vanna", "volga")  # fmt: skip
    out = np.empty((len(names), ROWS))
    kinds = {1.0: ql.Option.Call, -1.0: ql.Option.Put}
    deviation = forward_rows["vol"] * np.sqrt(forward_rows["years"])
    columns = (forward_rows["right"], forward_rows["forward"], forward_rows["strike"], deviation,
               forward_rows["df"], spot_rows["spot"], forward_rows["years"])  # fmt: skip
    for i, (w, F, K, s, df, S, T) in enumerate(zip(*(c.tolist() for c in columns), strict=True)):
        c = ql.BlackCalculator(ql.PlainVanillaPayoff(kinds[w], K), F, s, df)
        out[:, i] = (c.value(), c.strikeSensitivity(), c.strikeGamma(), c.deltaForward(),
                     c.gammaForward(), c.delta(S), c.gamma(S), c.vega(T), c.theta(S, T), c.rho(T),
                     c.vanna(S, T), c.volga(T))  # fmt: skip
    found = dict(zip(names, out, strict=True))
    found["volga"] *= np.sqrt(forward_rows["years"])
    return found


def check(name: str, ours, want, scale, floor, rows: dict) -> None:
    allowed = RELATIVE * scale + floor
    excess = np.abs(ours - want) / allowed
    i = int(np.argmax(np.nan_to_num(excess, nan=np.inf)))
    assert excess[i] <= 1.0, (name, ours[i], want[i], {k: float(v[i]) for k, v in rows.items()})


@pytest.fixture(scope="module")
def noise(forward_rows) -> np.ndarray:
    """What QuantLib's own price may be off by, in USD."""
    F, K, df = (forward_rows[name] for name in ("forward", "strike", "df"))
    return 16 * EPS * df * (F + K)


@pytest.fixture(scope="module")
def terms(forward_rows) -> np.ndarray:
    """|d1| + |d2| + |d1 d2|, what a second vol derivative is a sum of."""
    F, K = forward_rows["forward"], forward_rows["strike"]
    s = forward_rows["vol"] * np.sqrt(forward_rows["years"])
    d1 = np.log(F / K) / s + s / 2
    return np.abs(d1) + np.abs(d1 - s) + np.abs(d1 * (d1 - s))


def test_forward_price_and_greeks(forward_rows, theirs, noise, terms):
    got = black.greeks(**forward_rows)
    T, df = forward_rows["years"], forward_rows["df"]
    want = {
        "delta": theirs["forward_delta"],
        "gamma": theirs["forward_gamma"],
        "vega": theirs["vega"],
        "volga": theirs["volga"],
        "dual_delta": theirs["dual_delta"],
        "density": theirs["strike_gamma"] / df,
    }
    for name, value in want.items():
        scale, floor = np.abs(value), 16 * EPS if "delta" in name else 0.0
        if name == "volga":
            scale = theirs["vega"] / forward_rows["vol"] * (1.0 + terms)
        check(name, getattr(got, name), value, scale, floor, forward_rows)
    check("price", got.price, theirs["price"], theirs["price"], noise, forward_rows)
    check("rho", got.rho, -T * theirs["price"], T * theirs["price"], T * noise, forward_rows)
    alone = black.price(**forward_rows)
    check("price", alone, theirs["price"], theirs["price"], noise, forward_rows)


def test_spot_price_and_greeks(spot_rows, theirs, noise, terms):
    got = bsm.greeks(**spot_rows)
    T, vol, S = (spot_rows[name] for name in ("years", "vol", "spot"))
    r, q = spot_rows["rate"], spot_rows["dividend_yield"]
    for name in ("delta", "gamma", "vega", "rho", "vanna", "volga", "theta", "price"):
        value = theirs[name]
        scale, floor = np.abs(value), 0.0
        if name in ("volga", "vanna"):
            unit = theirs["vega"] / vol
            scale = unit * (1.0 + terms) / (1.0 if name == "volga" else S * np.sqrt(T) * vol)
        elif name == "theta":
            scale = np.abs(r * theirs["price"]) + np.abs((r - q) * S * theirs["delta"])
            scale += 0.5 * theirs["vega"] * vol / T
            floor = noise * (np.abs(r) + np.abs(r - q) + EPS / T)
        elif name in ("price", "rho", "delta"):
            unit = {"price": 1.0, "rho": T, "delta": 1.0 / S}[name]
            floor = noise * unit
        check(name, getattr(got, name), value, scale, floor, spot_rows)
    alone = bsm.price(**spot_rows)
    check("price", alone, theirs["price"], theirs["price"], noise, spot_rows)


def test_volga_is_the_derivative_of_vega(forward_rows):
    """Ours is the slope of our vega, so the factor sqrt(T) above is not ours to explain."""
    few = {name: v[:2000] for name, v in forward_rows.items()}
    h = 1e-4 * few["vol"]
    up, down = (black.greeks(**{**few, "vol": few["vol"] + d}).vega for d in (h, -h))
    got = black.greeks(**few)
    scale = np.abs(got.vega / few["vol"])
    s = few["vol"] * np.sqrt(few["years"])
    d1 = np.log(few["forward"] / few["strike"]) / s + s / 2
    reach = 1.0 + d1**2 + (d1 - s) ** 2
    # the second difference's own error: h^2/6 of the third derivative of vega, a cubic in d1 d2
    assert np.all(np.abs((up - down) / (2 * h) - got.volga) <= 1e-8 * scale * (1.0 + reach) ** 3)
