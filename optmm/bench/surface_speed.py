"""How long fits of a simulated chain take, and whether what was timed is right.

CPU milliseconds of one process on one core, warm, best of many, all tasks in turns. Warm fits walk
through instants that differ in level and noise, each starting from the one before.
"""

from collections.abc import Callable, Sequence
from itertools import cycle
from typing import Any

import numpy as np

from optmm.bench import surface_simulated as simulated
from optmm.bench.referee import library
from optmm.bench.rows import Row, skipped
from optmm.bench.surface_hits import broken, certificate_of
from optmm.bench.timing import race
from surfaces.live import FitConfig, LiveFitter
from surfaces.smiles.base import CHAINS, SMILES
from surfaces.smiles.mixture import MIXTURE, MixtureFit, Quotes, Settings, fit_joint
from surfaces.smiles.mixture_errors import errors
from surfaces.smiles.quotes import SmileQuotes

INSTANTS = 6
RENEWED = 0.1  # of the quotes, where not all are
MOVE = 3e-4  # of the forward between two instants, where it moves
ONE = 12  # the expiry fitted alone: 63 days and more
MS = 1e3
APART = Settings(calendar=False)

# Task, what it is called, its bar in ms.
BARS = {
    "cold": ("mixture, cold, joint with calendar", 75.0),
    "apart": ("mixture, cold, expiries apart", 30.0),
    "some": ("mixture, warm, level moved, one quote in ten drawn anew", 10.0),
    "warm": ("mixture, warm, level moved, every quote drawn anew", 10.0),
    "shifted": ("mixture, warm, the forward moved, one in ten drawn anew", None),
    "warm apart": ("mixture, warm, expiries apart", None),
    "one": ("mixture, one expiry, warm", 0.5),
    "errors": ("errors and leave-one-out of a fit", None),
    "update": ("LiveFitter.update, warm, 12,000 options", None),
    "svi": ("SVI, one expiry, warm", 0.1),
    "essvi": ("eSSVI, chain, warm", 3.0),
}


class Walk:
    """Calls `step(market, previous)` for one instant after another."""

    def __init__(self, step: Callable, markets: Sequence, first: object) -> None:
        self.step, self.last = step, first
        self.markets = cycle(markets)

    def __call__(self) -> object:
        self.last = self.step(next(self.markets), self.last)
        return self.last


def run(say: Callable[[str], None], *, rounds: int = 25) -> tuple[list[Row], list[str]]:
    """Every row, and what was found wrong with what was timed."""
    say("simulated chain of 30 expiries, 200 quotes each")
    markets = simulated.instants(INSTANTS)
    tasks = _tasks(markets)
    checks = correctness(markets)
    say(f"timing {len(tasks)} fits in turns, {rounds} rounds")
    took = race(tasks, rounds=rounds, sample=0.05, budget=6.0)
    rows = [
        Row(what, took[name] * MS, "ms", bar, note="goal 8 ms" if name in ("some", "warm") else "")
        for name, (what, bar) in BARS.items()
    ]
    return [*rows, *_quantlib(markets[0], took), *checks], [
        row.what for row in checks if row.verdict == "misses"
    ]


def _tasks(markets: list[simulated.Market]) -> dict[str, Callable[[], object]]:
    """What is timed, by the names of `BARS`."""
    books = [m.priced() for m in markets]
    shifted = simulated.instants(INSTANTS, renewed=RENEWED, forward_step=MOVE)
    some = [m.priced() for m in simulated.instants(INSTANTS, renewed=RENEWED)]
    vols = [m.in_vol() for m in markets]
    cold = fit_joint(books[0])
    one = fit_joint([books[0][ONE]])
    svi, essvi = SMILES["svi"], CHAINS["essvi"]
    first_svi = svi.fit(vols[0][ONE])
    return {
        "cold": lambda: fit_joint(books[0]),
        "apart": lambda: fit_joint(books[0], settings=APART),
        "warm": Walk(_joint, books[1:], cold),
        "some": Walk(_joint, some[1:], fit_joint(some[0])),
        "shifted": Walk(_joint, [m.priced() for m in shifted[1:]], fit_joint(shifted[0].priced())),
        "warm apart": Walk(
            lambda book, last: fit_joint(book, previous=last, settings=APART),
            books[1:],
            fit_joint(books[0], settings=APART),
        ),
        "one": Walk(_joint, [[book[ONE]] for book in books[1:]], one),
        "errors": lambda: errors(cold),
        "update": _updates(markets),
        "svi": Walk(
            lambda quotes, last: svi.fit(quotes, last.theta), [v[ONE] for v in vols[1:]], first_svi
        ),
        "essvi": Walk(essvi.fit_chain, vols[1:], essvi.fit_chain(vols[0])),
    }


def _joint(book: list[Quotes], last: MixtureFit) -> MixtureFit:
    return fit_joint(book, previous=last)


def _updates(markets: list[simulated.Market]) -> Walk:
    """A live fitter that gets one instant a second."""
    chains = [simulated.whole_chain(m) for m in markets]
    fitter = LiveFitter(chains[0][0], FitConfig())

    def step(sides: tuple, now: int) -> int:
        fitter.update(now, spot=simulated.FORWARD, bid=sides[1], ask=sides[2])
        return now + 10**9

    walk = Walk(step, chains, simulated.NOW_NS)
    walk()
    return walk


def correctness(markets: list[simulated.Market]) -> list[Row]:
    """Hits, certificate and distance from the truth of a cold fit and of a warm one after five."""
    last = fit_joint(markets[0].priced())
    rows = _right("cold", markets[0], last)
    for market in markets[1:]:
        last = fit_joint(market.priced(), previous=last)
    return rows + _right("warm", markets[-1], last)


def _right(name: str, market: simulated.Market, fit: MixtureFit) -> list[Row]:
    quotes = market.priced()
    failed, wings = broken(certificate_of(quotes, market.years, fit))
    vols = np.sqrt(
        [
            MIXTURE.total_variance(k, theta) / t
            for k, theta, t in zip(market.k, fit.theta, market.years, strict=True)
        ]
    )
    vega = _vega(market)
    near = np.abs(vols - market.vol) * vega <= 0.5 * (market.ask - market.bid)
    label = f"correct, {name} fit:"
    return [
        Row(f"{label} inside the spread", 100.0 * fit.hits.sum() / fit.quotes.sum(), "%", 99.0,
            True),
        Row(f"{label} within half a spread of the truth", 100.0 * near.mean(), "%", 99.0, True),
        Row(f"{label} expiries and pairs not certified", failed + wings, "", 0.0),
    ]  # fmt: skip


def _vega(market: simulated.Market) -> np.ndarray:
    """USD per 1.00 of vol."""
    root = np.sqrt(market.years)[:, None]
    s = market.vol * root
    d1 = -market.k / s + 0.5 * s
    return np.asarray(simulated.FORWARD * np.exp(-0.5 * d1 * d1) / np.sqrt(2.0 * np.pi) * root)


def _quantlib(market: simulated.Market, took: dict[str, float]) -> list[Row]:
    """The same expiry by QuantLib's SVI, timed in this run."""
    what = "QuantLib's SVI, one expiry, times our warm one"
    try:
        ql = library()
    except ImportError:
        return [skipped(what, "x", None, "QuantLib is not installed")]
    quotes = market.in_vol()[ONE]
    theirs = race({"ql": lambda: _section(ql, quotes)}, rounds=3, sample=0.0, budget=2.0)["ql"]
    return [
        Row("QuantLib's SVI, one expiry", theirs * MS, "ms", note="no start, unlike ours"),
        Row(what, theirs / took["svi"], "x"),
        Row("QuantLib's SVI, 30 expiries, times our cold chain",
            theirs * simulated.market().years.size / took["cold"], "x"),
    ]  # fmt: skip


def _section(ql: Any, quotes: SmileQuotes) -> Any:
    """QuantLib's interpolated SVI section on the middles, weighed by vega, five free parameters."""
    day = ql.Date(11, 11, 2024)
    ql.Settings.instance().evaluationDate = day
    section = ql.SviInterpolatedSmileSection(
        day + round(quotes.years * 365.0), simulated.FORWARD,
        (simulated.FORWARD * np.exp(quotes.k)).tolist(), False,
        float(np.interp(0.0, quotes.k, quotes.mid_vol)), quotes.mid_vol.tolist(),
        0.04, 0.1, 0.1, -0.5, 0.0, False, False, False, False, False,
    )  # fmt: skip
    return section.volatility(simulated.FORWARD)
