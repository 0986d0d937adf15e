"""Seeded sets of options for benchmarks: the same rows for the same seed and size, everywhere.

`realistic` is a SPY-like market, `nasty` what breaks solvers, `chain` one trading day's chain,
`american` listed options on an index fund. All forwards, spots and strikes are USD per share.
"""

from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

SPOT, RATE, YIELD = 560.0, 0.043, 0.012
EXPIRY_DAYS = (
    1, 2, 3, 4, 7, 8, 9, 10, 14, 21, 28, 35, 42, 56, 63, 77, 91, 105, 126, 154,
    182, 217, 245, 273, 336, 399, 455, 546, 637, 728,
)  # fmt: skip
STRIKES = 167  # an expiry of `chain`: times two rights and 30 expiries, 10,020 options


@dataclass(frozen=True, slots=True)
class Options:
    """Columns of one length: rights +1/-1, forward, strike, years, vol, discount factor."""

    right: Floats
    forward: Floats
    strike: Floats
    years: Floats
    vol: Floats
    df: Floats

    def __len__(self) -> int:
        return self.right.size

    def rows(self, chosen: slice | NDArray) -> Self:
        """Some of the rows, contiguous."""
        picked = (np.ascontiguousarray(getattr(self, f.name)[chosen]) for f in fields(self))
        return type(self)(*picked)


@dataclass(frozen=True, slots=True)
class SpotOptions:
    """Columns of one length, on spot with a continuous yield."""

    right: Floats
    spot: Floats
    strike: Floats
    years: Floats
    vol: Floats
    rate: Floats
    dividend_yield: Floats

    def __len__(self) -> int:
        return self.right.size

    def keywords(self) -> dict[str, Any]:
        """As arguments of `surfaces.pricing.american.price`."""
        return {f.name: getattr(self, f.name) for f in fields(self)}


@dataclass(frozen=True, slots=True)
class Chain:
    """One day's chain: rows sorted by expiry, and one forward, time and factor an expiry."""

    options: Options
    bounds: NDArray[np.int64]  # rows bounds[j]:bounds[j+1] are expiry j
    forward: Floats
    years: Floats
    df: Floats

    def on_spot(self) -> SpotOptions:
        """The same contracts as American options on the fund."""
        it, n = self.options, len(self.options)
        return SpotOptions(
            it.right, np.full(n, SPOT), it.strike, it.years, it.vol,
            np.full(n, RATE), np.full(n, YIELD),
        )  # fmt: skip


def smile(x: Floats, years: Floats) -> Floats:
    """A skewed SPY-like vol for x = ln(strike/forward): raw SVI, steeper near expiry."""
    root = np.sqrt(years)
    level = (0.10 + 0.04 * years / (0.5 + years)) ** 2 * years
    slope, wide = 0.18 * root, 0.06 * root
    rho = -0.62
    return np.sqrt((level + slope * (rho * x + np.sqrt(x * x + wide * wide))) / years)


def realistic(n: int, seed: int = 20_260) -> Options:
    """`n` options of a SPY-like market: a day to two years, both rights.

    Strikes 0.5 to 1.6 of spot in whole dollars, as listed, from six deviations below the forward to
    three and a half above; vols of about 14 % to 70 %.
    """
    rng = np.random.default_rng(seed)
    years = rng.choice(np.array(EXPIRY_DAYS, np.float64), n) / 365.0
    forward = SPOT * np.exp((RATE - YIELD) * years)
    reach = smile(np.zeros(n), years) * np.sqrt(years)
    x = rng.uniform(-6.0, 3.5, n) * reach
    strike = np.clip(np.round(forward * np.exp(x)), 0.5 * SPOT, 1.6 * SPOT)
    vol = smile(np.log(strike / forward), years)
    right = rng.choice(np.array([-1.0, 1.0]), n)
    return Options(right, forward, strike, years, vol, np.exp(-RATE * years))


def nasty(n: int, seed: int = 666) -> Options:
    """`n` options that break solvers, seven kinds in equal shares, in random order.

    Deep out of the money (prices to 1e-280), at the money to 1e-8, vols of 1e-9, vols near the
    maximum price, in the money, strikes to e^480 of the forward, and branch borders. Rows whose
    float64 price is zero, intrinsic or the maximum hold no vol and are not drawn.
    """
    from surfaces.pricing import black

    rng = np.random.default_rng(seed)
    each = 2 * n // 7 + 16
    kinds = [_spread(rng, each, kind) for kind in range(7)]
    right, x, s = (np.concatenate(columns) for columns in zip(*kinds, strict=True))
    years = np.exp(rng.uniform(np.log(1e-4), np.log(20.0), x.size))
    forward = np.where(
        np.abs(x) > 40.0, 1.0, np.exp(rng.uniform(np.log(0.05), np.log(3e3), x.size))
    )
    ones = np.ones(x.size)
    it = Options(right, forward, forward * np.exp(-x), years, s / np.sqrt(years), ones)
    price = black.price(
        right=it.right, forward=it.forward, strike=it.strike, years=it.years, vol=it.vol
    )
    floor = np.maximum(it.right * (it.forward - it.strike), 0.0)
    ceiling = np.where(it.right > 0.0, it.forward, it.strike)
    alive = (price > np.maximum(floor * (1 + 1e-13), 1e-300)) & (price < ceiling * (1 - 1e-13))
    rows = rng.permutation(np.flatnonzero(alive))
    return it.rows(rows[:n])


def _spread(rng: np.random.Generator, n: int, kind: int) -> tuple[Floats, Floats, Floats]:
    """(right, ln(forward/strike), vol sqrt(years)) of one kind; x > 0 is a call in the money."""
    side = rng.choice(np.array([-1.0, 1.0]), n)
    if kind == 0:  # deep out of the money
        s = np.exp(rng.uniform(np.log(1e-3), np.log(2.8), n))
        x = -side * np.minimum(rng.uniform(5.0, 35.0, n) * s, 30.0)
    elif kind == 1:  # at the money
        s = np.exp(rng.uniform(np.log(1e-6), np.log(3.7), n))
        x = 0.01 * rng.uniform(-1.0, 1.0, n) ** 7 * np.minimum(1.0, 100.0 * s)
    elif kind == 2:  # hardly any vol
        s = np.exp(rng.uniform(np.log(1e-9), np.log(1e-3), n))
        x = -side * rng.uniform(0.0, 34.0, n) * s
    elif kind == 3:  # near the maximum price
        s = rng.uniform(2.5, 14.0, n)
        x = rng.uniform(-29.0, 29.0, n)
    elif kind == 4:  # in the money
        s = np.exp(rng.uniform(np.log(5e-3), np.log(1.0), n))
        x = side * rng.uniform(0.0, 4.0, n) * s
    elif kind == 5:  # absurd strikes
        s = rng.uniform(5.0, 37.0, n)
        x = -side * np.minimum(rng.uniform(0.0, 33.0, n) * s, 480.0)
    else:  # where solvers change branch
        s = np.exp(rng.uniform(np.log(0.02), np.log(8.7), n))
        x = -side * rng.uniform(0.0, 9.5, n) * np.minimum(1.0, s)
    return side, x, s


def chain(strikes: int = STRIKES) -> Chain:
    """A SPY-like chain: 30 expiries, as many strikes around each forward, both rights."""
    days = np.array(EXPIRY_DAYS, np.float64)
    years = days / 365.0
    forward, df = SPOT * np.exp((RATE - YIELD) * years), np.exp(-RATE * years)
    columns = []
    for T, F in zip(years, forward, strict=True):
        reach = float(smile(np.zeros(1), np.array([T]))[0]) * np.sqrt(T)
        low, high = F * np.exp(-4.5 * reach), F * np.exp(3.5 * reach)
        K = np.repeat(np.linspace(low, high, strikes), 2)
        columns.append((np.tile([1.0, -1.0], strikes), K, smile(np.log(K / F), np.full(K.size, T))))
    right, strike, vol = (np.concatenate(column) for column in zip(*columns, strict=True))
    size = 2 * strikes
    bounds = np.arange(days.size + 1, dtype=np.int64) * size
    spread = [np.repeat(values, size) for values in (forward, years, df)]
    options = Options(right, spread[0], strike, spread[1], vol, spread[2])
    return Chain(options, bounds, forward, years, df)


def american(n: int, seed: int = 1_973) -> SpotOptions:
    """`n` listed-like American options at spot 500: a week to a year, 10 % to 60 % of vol."""
    rng = np.random.default_rng(seed)
    years = rng.integers(7, 366, n) / 365.0
    vol = rng.uniform(0.10, 0.60, n)
    strike = np.round(500.0 * np.exp(rng.uniform(-2.0, 2.0, n) * vol * np.sqrt(years)))
    return SpotOptions(
        rng.choice(np.array([-1.0, 1.0]), n), np.full(n, 500.0), strike, years, vol,
        rng.uniform(0.005, 0.06, n), rng.uniform(0.0, 0.03, n),
    )  # fmt: skip
