"""Chains with a known truth: forwards, rates, smiles and spreads chosen here, quotes computed."""

from dataclasses import dataclass

import numpy as np
import pytest

from surfaces.pricing import black
from surfaces.smiles.svi import SVI
from surfaces.surface import ChainSlices
from surfaces.units import NS_PER_YEAR

NOW_NS = 1_700_000_000_000_000_000


@dataclass
class World:
    """A chain, its quotes, and what they were made from; rows sorted as a chain is."""

    slices: ChainSlices
    bid: np.ndarray
    ask: np.ndarray
    spot: float
    rate: float
    years: np.ndarray
    forwards: np.ndarray
    thetas: list[np.ndarray]
    now_ns: int = NOW_NS

    def frame(self, **more) -> dict:
        """The columns `fit` takes."""
        chain = self.slices
        return {
            "expiry": chain.fixing_ns[chain.slice_of].tolist(),
            "strike": chain.strike.tolist(),
            "right": chain.right.tolist(),
            "bid": self.bid.tolist(),
            "ask": self.ask.tolist(),
            "style": ["american" if a else "european" for a in chain.american],
        } | more


def smile_theta(years: float, level: float = 0.2) -> np.ndarray:
    """A plausible raw SVI whose total variance grows with `years`, free of arbitrage."""
    w, root = level**2 * years, np.sqrt(years)
    return np.array([0.6 * w, 0.25 * level * root, -0.5, 0.02 * root, 0.2 * root])


def build(price, *, american=False, half=0.05, noise=0.0, seed=7, rate=0.04, carry=0.01) -> World:
    """Quotes around `price(right, strike, years, vol, spot, rate, carry)`, on four expiries.

    `half`: half spread in USD; mids are off by up to `noise` half spreads, uniformly.
    """
    rng = np.random.default_rng(seed)
    spot = 500.0
    years = np.array([0.04, 0.1, 0.3, 0.8])
    fixing = NOW_NS + (years * NS_PER_YEAR).astype(np.int64)
    years = (fixing - NOW_NS) / NS_PER_YEAR
    forwards = spot * np.exp((rate - carry) * years)
    right, strike, mid, starts, thetas = [], [], [], [0], []
    for T, F in zip(years, forwards, strict=True):
        theta = smile_theta(T)
        step = 5.0 if T > 0.2 else 2.5
        width = 2.5 * 0.2 * np.sqrt(T) * F
        grid = np.arange(np.ceil((F - width) / step) * step, F + 0.8 * width, step)
        vol = np.sqrt(SVI.total_variance(np.log(grid / F), theta) / T)
        for w in (1.0, -1.0):
            right.append(np.full(grid.size, w))
            strike.append(grid)
            mid.append(price(w, grid, T, vol, spot, rate, carry))
        starts.append(starts[-1] + 2 * grid.size)
        thetas.append(theta)
    right, strike, mid = (np.concatenate(a) for a in (right, strike, mid))
    of = np.repeat(np.arange(4), np.diff(starts))
    order = np.lexsort((-right, strike, of))
    right, strike, mid = right[order], strike[order], mid[order]
    mid = mid + noise * half * rng.uniform(-1.0, 1.0, mid.size)
    slices = ChainSlices(
        right=right,
        strike=strike,
        american=np.full(strike.size, american),
        fixing_ns=fixing,
        slice_start=np.array(starts),
        expiry_labels=("a", "b", "c", "d"),
        roots=("X",) * 4,
    )
    bid = np.where(mid - half > 0.0, mid - half, np.nan)
    return World(slices, bid, mid + half, spot, rate, years, forwards, thetas)


def european_price(w, strike, years, vol, spot, rate, carry):
    """Black on the forward."""
    forward, df = spot * np.exp((rate - carry) * years), np.exp(-rate * years)
    return black.price(right=w, forward=forward, strike=strike, years=years, vol=vol, df=df)


def american_price(w, strike, years, vol, spot, rate, carry):
    """QuantLib's high-precision American engine: an implementation that is not ours."""
    ql = pytest.importorskip("QuantLib")
    today = ql.Date(1, 1, 2024)
    ql.Settings.instance().evaluationDate = today
    days = ql.Actual365Fixed()
    # QuantLib counts whole days; a slower clock makes `years` exact: vol^2 T, rT and qT are all.
    whole = round(years * 365)
    scale = years * 365 / whole
    exercise = ql.AmericanExercise(today, today + whole)
    flat = [
        ql.YieldTermStructureHandle(ql.FlatForward(today, x * scale, days)) for x in (carry, rate)
    ]
    quote = ql.SimpleQuote(0.2)
    surface = ql.BlackConstantVol(today, ql.NullCalendar(), ql.QuoteHandle(quote), days)
    process = ql.BlackScholesMertonProcess(
        ql.QuoteHandle(ql.SimpleQuote(spot)), *flat, ql.BlackVolTermStructureHandle(surface)
    )
    engine = ql.QdFpAmericanEngine(process, ql.QdFpAmericanEngine.accurateScheme())
    kind = ql.Option.Call if w > 0 else ql.Option.Put
    out = []
    for k, v in zip(strike, vol, strict=True):
        quote.setValue(float(v * np.sqrt(scale)))
        option = ql.VanillaOption(ql.PlainVanillaPayoff(kind, float(k)), exercise)
        option.setPricingEngine(engine)
        out.append(option.NPV())
    return np.array(out)


@pytest.fixture
def european():
    """Maker of European worlds; keywords as `build`."""
    return lambda **kw: build(european_price, **kw)


@pytest.fixture
def american():
    """Maker of American worlds priced by QuantLib; keywords as `build`."""
    return lambda **kw: build(american_price, american=True, **kw)
