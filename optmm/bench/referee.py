"""QuantLib's American engines, at their best: every object is built before the clock starts.

Each option has its own process, quotes and engine. A timed pass moves every spot by a part in 1e12
and asks for the price, so QuantLib recalculates and does nothing else: no object is built and no
observer of another option is told.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np

from optmm.bench.markets import Floats, SpotOptions
from optmm.bench.timing import race

# QdFpLegendreScheme(l, m, n, p): boundary nodes' integration, iterations, nodes, price integration
LADDER = (
    (5, 1, 4, 9),
    (7, 1, 5, 15),
    (9, 2, 8, 32),
    (11, 3, 9, 40),
    (15, 3, 11, 48),
    (25, 4, 13, 60),
    (25, 5, 13, 80),
)
GRIDS = ((100, 100), (400, 800))  # time steps and points of the finite differences
FAST, ACCURATE = "QdFp fast", "QdFp accurate"  # QuantLib's own presets


@dataclass(frozen=True, slots=True)
class Step:
    """One scheme: microseconds an option, and its errors in USD."""

    name: str
    microseconds: float
    rmse: float


def library() -> ModuleType:
    """QuantLib; its wrapper's own warnings at import are not ours."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return import_module("QuantLib")


def precise(it: SpotOptions) -> Floats:
    """Prices by the tanh-sinh scheme, good to about 1e-7 USD at spot 500; 16 ms an option."""
    ql = library()
    scheme = ql.QdFpTanhSinhIterationScheme(12, 30, 1e-12)
    return np.array([option.NPV() for _, option in _built(ql, it, scheme)])


def ladder(it: SpotOptions, truth: Floats) -> list[Step]:
    """Every scheme's time and error on the same options, quickest first."""
    ql = library()
    schemes = {f"QdFp Legendre {terms}": ql.QdFpLegendreScheme(*terms) for terms in LADDER}
    schemes[FAST] = ql.QdFpAmericanEngine.fastScheme()
    schemes[ACCURATE] = ql.QdFpAmericanEngine.accurateScheme()
    tasks: dict[str, Callable[[], Any]] = {}
    errors = {}
    for name, scheme in schemes.items():
        built = _built(ql, it, scheme)
        prices = np.array([option.NPV() for _, option in built])
        errors[name] = float(np.sqrt(np.mean((prices - truth) ** 2)))
        tasks[name] = _pass(built, it.spot.tolist())
    best = race(tasks, rounds=4, budget=1.0)
    steps = [Step(name, 1e6 * best[name] / len(it), errors[name]) for name in tasks]
    return sorted(steps, key=lambda step: step.microseconds)


def built_anew(it: SpotOptions) -> float:
    """Microseconds an option of the fast preset when its objects are made for every price."""
    ql = library()
    scheme = ql.QdFpAmericanEngine.fastScheme()
    best = race(
        {FAST: lambda: [option.NPV() for _, option in _built(ql, it, scheme)]}, rounds=4, budget=1.0
    )
    return 1e6 * best[FAST] / len(it)


def at_error(steps: list[Step], rmse: float) -> tuple[float, str]:
    """QuantLib's microseconds at an error of `rmse`, and how they were found.

    Between the two schemes around it on the frontier (no other is both quicker and closer), log
    time over log error; past an end of the ladder, the scheme at that end.
    """
    frontier: list[Step] = []
    for step in steps:
        if not frontier or step.rmse < frontier[-1].rmse:
            frontier.append(step)
    if rmse >= frontier[0].rmse:
        end = frontier[0]
        return end.microseconds, f"{end.name}: {end.microseconds:.0f} us, rmse {end.rmse:.1e}"
    if rmse <= frontier[-1].rmse:
        end = frontier[-1]
        return end.microseconds, (
            f"{end.name}: {end.microseconds:.0f} us, rmse {end.rmse:.1e}, its closest"
        )
    after = next(i for i, step in enumerate(frontier) if step.rmse < rmse)
    left, right = frontier[after - 1], frontier[after]
    share = np.log(left.rmse / rmse) / np.log(left.rmse / right.rmse)
    time = left.microseconds * (right.microseconds / left.microseconds) ** share
    return float(time), (
        f"between {left.name} ({left.microseconds:.0f} us, {left.rmse:.1e}) and "
        f"{right.name} ({right.microseconds:.0f} us, {right.rmse:.1e})"
    )


def _pass(built: list[tuple[Any, Any]], spots: list[float]) -> Callable[[], None]:
    """Move each spot by a hair and price: the cheapest full recalculation."""
    rows = [
        (quote.setValue, option.NPV, s) for (quote, option), s in zip(built, spots, strict=True)
    ]
    turn = 0

    def task() -> None:
        nonlocal turn
        turn += 1
        hair = 1.0 + 1e-12 * (turn % 1_000)
        for move, value, spot in rows:
            move(spot * hair)
            value()

    return task


def cash_grids(
    it: SpotOptions, times: list[list[float]], each: Floats, truth: Floats
) -> list[Step]:
    """QuantLib's finite differences with cash dividends on the spot, a coarse and a fine grid."""
    ql = library()
    out = []
    for grid in GRIDS:
        built = []
        for i, (when, usd) in enumerate(zip(times, each, strict=True)):
            today, quote, process, option = _option(ql, [c[i] for c in it.keywords().values()])
            dates = [today + ql.Period(round(t * 365.0), ql.Days) for t in when]
            paid = ql.DividendSchedule([ql.FixedDividend(float(usd), date) for date in dates])
            option.setPricingEngine(ql.FdBlackScholesVanillaEngine(process, paid, *grid))
            built.append((quote, option))
        error = np.array([option.NPV() for _, option in built]) - truth
        name = f"QuantLib FD {grid[0]}x{grid[1]}"
        best = race({name: _pass(built, it.spot.tolist())}, rounds=3, budget=1.0)
        out.append(Step(name, 1e6 * best[name] / len(it), float(np.sqrt(np.mean(error**2)))))
    return out


def _built(ql: ModuleType, it: SpotOptions, scheme: Any) -> list[tuple[Any, Any]]:
    """(spot quote, option) of every row; years must be whole days."""
    out = []
    for row in zip(*it.keywords().values(), strict=True):
        _, quote, process, option = _option(ql, list(row))
        option.setPricingEngine(ql.QdFpAmericanEngine(process, scheme))
        out.append((quote, option))
    return out


def _option(ql: ModuleType, row: list[Any]) -> tuple[Any, Any, Any, Any]:
    """(today, spot quote, process, option without an engine) of one row."""
    w, S, K, T, v, r, q = (float(value) for value in row)
    today = ql.Date(2, 1, 2026)
    ql.Settings.instance().evaluationDate = today
    count = ql.Actual365Fixed()
    quote = ql.SimpleQuote(S)
    flat = [ql.YieldTermStructureHandle(ql.FlatForward(today, x, count)) for x in (q, r)]
    vol = ql.BlackConstantVol(today, ql.NullCalendar(), v, count)
    process = ql.BlackScholesMertonProcess(
        ql.QuoteHandle(quote), *flat, ql.BlackVolTermStructureHandle(vol)
    )
    expiry = today + ql.Period(round(T * 365.0), ql.Days)
    option = ql.VanillaOption(
        ql.PlainVanillaPayoff(ql.Option.Call if w > 0.0 else ql.Option.Put, K),
        ql.AmericanExercise(today, expiry),
    )
    return today, quote, process, option
