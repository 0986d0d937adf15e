"""The referee itself: its Mills ratio, prices and Greeks against 70-digit decimals."""

from decimal import Decimal, localcontext

import numpy as np
import pytest
from jets import bachelier_greeks, forward_greeks, spot_greeks
from longdouble import LD, black_parts, mills, normal_parts

DIGITS = 70
ULP = 1.1e-19
PI = Decimal("3.1415926535897932384626433832795028841971693993751058209749445923078164062862")
STEP = Decimal("1e-12")  # relative; differences of order three keep 30 digits of 70


@pytest.fixture(autouse=True)
def digits():
    with localcontext() as context:
        context.prec = DIGITS
        yield


def exactly(x) -> Decimal:
    """A long double as a decimal."""
    high = float(x)
    return Decimal(high) + Decimal(float(x - LD(high)))


def bell(z: Decimal) -> Decimal:
    return (-z * z / 2).exp() / (2 * PI).sqrt()


def cdf(z: Decimal) -> Decimal:
    """Taylor's series about zero, or the continued fraction of Mills' ratio past 9."""
    if abs(z) > 9:
        ratio = Decimal(0)
        for k in range(400, 0, -1):
            ratio = k / (abs(z) + ratio)
        tail = bell(z) / (abs(z) + ratio)
        return tail if z < 0 else 1 - tail
    term = total = z
    k = 1
    while abs(term) > Decimal(10) ** -(DIGITS + 5):
        term = term * z * z / (2 * k + 1)
        total += term
        k += 1
    return Decimal("0.5") + bell(z) * total


def black(w, F, vol, T, r, K) -> Decimal:
    s = vol * T.sqrt()
    d1 = (F / K).ln() / s + s / 2
    return (-r * T).exp() * w * (F * cdf(w * d1) - K * cdf(w * (d1 - s)))


def bachelier(w, F, vol, T, r, K) -> Decimal:
    s = vol * T.sqrt()
    d = w * (F - K) / s
    return (-r * T).exp() * s * (d * cdf(d) + bell(d))


# powers of (underlying, vol, years, rate, strike) and the factor of each Greek
DERIVATIVES = {
    "price": ((0, 0, 0, 0, 0), 1),
    "delta": ((1, 0, 0, 0, 0), 1),
    "gamma": ((2, 0, 0, 0, 0), 1),
    "vega": ((0, 1, 0, 0, 0), 1),
    "theta": ((0, 0, 1, 0, 0), -1),
    "rho": ((0, 0, 0, 1, 0), 1),
    "vanna": ((1, 1, 0, 0, 0), 1),
    "volga": ((0, 2, 0, 0, 0), 1),
    "charm": ((1, 0, 1, 0, 0), -1),
    "speed": ((3, 0, 0, 0, 0), 1),
    "zomma": ((2, 1, 0, 0, 0), 1),
    "color": ((2, 0, 1, 0, 0), -1),
    "dual_delta": ((0, 0, 0, 0, 1), 1),
    "density": ((0, 0, 0, 0, 2), 1),
}


def slope(price, at: list[Decimal], orders: tuple[int, ...]) -> Decimal:
    """A mixed derivative by central differences, one variable after the other."""
    for place, order in enumerate(orders):
        if order == 0:
            continue
        h = (at[place] if at[place] != 0 else Decimal(1)) * STEP
        fewer = tuple(n - (i == place) for i, n in enumerate(orders))
        up, down = ([*at[:place], at[place] + d, *at[place + 1 :]] for d in (h, -h))
        return (slope(price, up, fewer) - slope(price, down, fewer)) / (2 * h)
    return price(*at)


def compare(greeks: dict, price, at: list[Decimal], discount: Decimal) -> None:
    for name, (orders, sign) in DERIVATIVES.items():
        want = sign * slope(price, at, orders) * (discount if name == "density" else 1)
        error = abs(exactly(greeks[name][0]) / want - 1)
        assert error < Decimal("1e-16"), (name, error)  # conditioning h^2 / s and the differences


CASES = [
    (1, 100.0, 101.0, 0.5, 0.2, 0.99),
    (-1, 250.0, 100.0, 3.0, 0.8, 0.9),
    (-1, 40.0, 39.5, 0.01, 0.6, 1.001),
]


@pytest.mark.parametrize("case", CASES)
def test_forward_greeks(case):
    w, F, K, T, vol, df = case
    rate = -Decimal(df).ln() / Decimal(T)
    at = [Decimal(F), Decimal(vol), Decimal(T), rate, Decimal(K)]
    columns = [np.array([v]) for v in case]
    compare(forward_greeks(*columns), lambda *x: black(w, *x), at, 1 / Decimal(df))
    wide = [np.array([v]) for v in (w, F, K, T, vol * F, df)]
    at[1] = Decimal(vol * F)
    compare(bachelier_greeks(*wide), lambda *x: bachelier(w, *x), at, 1 / Decimal(df))


@pytest.mark.parametrize("case", CASES)
def test_spot_greeks(case):
    w, S, K, T, vol, _ = case
    r, q = 0.04, 0.013
    at = [Decimal(v) for v in (S, vol, T, r, K)]

    def price(U, v, t, x, k):
        return black(w, U * ((x - Decimal(q)) * t).exp(), v, t, x, k)

    found = spot_greeks(*(np.array([v]) for v in (w, S, K, T, vol, r, q)))
    compare(found, price, at, (Decimal(r) * Decimal(T)).exp())


def test_mills_ratio():
    z = np.concatenate([np.linspace(0.0, 38.0, 60), 10.0 ** np.arange(-8, 1)]).astype(LD)
    for got, argument in zip(mills(z), z, strict=True):
        x = exactly(argument)
        assert abs(exactly(got) * bell(x) / cdf(-x) - 1) <= 8 * Decimal(ULP), x


def test_out_of_the_money_prices():
    """To h^2 roundings of 80 bits, from near the money to 1e-290 and at every size of s."""
    rng = np.random.default_rng(6)
    for _ in range(60):
        s = 10 ** rng.uniform(-4.0, 0.8)
        h = rng.uniform(0.0, 30.0)
        F, K, T = 100.0, float(100.0 * np.exp(min(h * s, 30.0))), 0.37
        vol = float(s / np.sqrt(T))
        columns = [np.array([v]) for v in (F, K, T, vol)]
        for parts, price in ((black_parts, black), (normal_parts, bachelier)):
            if price is bachelier:
                columns[3] = np.array([max((K - F) / max(h, 1e-3), 1e-3) / np.sqrt(T)])
            found = parts(*columns)
            want = price(1, *(Decimal(v.item()) for v in (columns[0], columns[3], columns[2])),
                         Decimal(0), Decimal(K))  # fmt: skip
            reach = float(found["h"][0] + found.get("t", [0.0])[0])
            error = abs(exactly(found["otm"][0]) / want - 1)
            assert error <= Decimal(ULP * 40 * (1.0 + reach**2)), (s, h, price)
