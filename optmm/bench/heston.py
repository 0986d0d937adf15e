"""Rows of Heston and Bates: speed, accuracy, fits with a known truth, and QuantLib's fit beside.

CPU time of one process on one core. QuantLib fits by its own Levenberg-Marquardt, through
HestonModelHelper (errors in vol) and AnalyticHestonEngine of 64 nodes, from the same start; its
parameters are judged by our vols, as ours are.
"""

import csv
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from optmm.bench.markets import Floats
from optmm.bench.referee import library
from optmm.bench.rows import Row, skipped
from optmm.bench.timing import race
from surfaces.pricing import bates, heston

DAYS = np.array([7, 14, 30, 61, 91, 182, 274, 365, 548, 730])
SIX = ("price", "d_v0", "d_kappa", "d_theta", "d_sigma", "d_rho")
NAMES = ("v0", "kappa", "theta", "sigma", "rho")
START = heston.Parameters(v0=0.1, kappa=1.0, theta=0.1, sigma=0.5, rho=-0.5)
USUAL = heston.Parameters(v0=0.04, kappa=1.5, theta=0.05, sigma=0.6, rho=-0.7)
NUDGED = np.array([1.05, 1.1, 0.95, 1.05, 0.97])  # a warm start: yesterday's parameters
RECOVERED = 1e-4  # relative error of every parameter
ABSENT = "no reference/surfaces in the data folder"
US, MS, X = "us", "ms", "x"
CORRECT = "correct: "
TIMES = 3  # calls of which the quickest counts
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Market:
    """100 options, 10 expiries, strikes within two deviations of the forward, and their truth."""

    truth: heston.Parameters
    years: Floats
    strike: Floats
    vol: Floats

    @property
    def quotes(self) -> dict[str, Floats]:
        """Columns for `calibrate`."""
        forward = np.full(self.years.size, 100.0)
        return {"years": self.years, "strike": self.strike, "forward": forward, "vol": self.vol}


def run(
    data: Path, say: Callable[[str], None], *, quick: bool = False
) -> tuple[list[Row], list[str]]:
    """Every row, and what is wrong, which is no matter of bars.

    data : folder that holds `reference`; what is absent is skipped and said
    quick : fewer sets
    """
    say("Heston: prices and gradients of 100 options")
    out = [*_speed(), *_accuracy(data)]
    say("Heston: fits with a known truth")
    out += _recovery(60 if quick else 300)
    say("Heston: QuantLib's fits of the same quotes")
    out += [*_beside(6 if quick else 20), *_dax(data)]
    return out, wrong(out)


def wrong(found: list[Row]) -> list[str]:
    """What a correctness row says is wrong."""
    return [row.what for row in found if row.what.startswith(CORRECT) and row.verdict == "misses"]


def market(truth: heston.Parameters) -> Market:
    """Exact vols of the model."""
    years = np.repeat(DAYS / 365.0, 10)
    x = truth.kappa * years
    spread = np.sqrt(truth.theta * years + (truth.v0 - truth.theta) * years * -np.expm1(-x) / x)
    strike = 100.0 * np.exp(np.tile(np.linspace(-2.0, 2.0, 10), DAYS.size) * spread)
    vol = heston.vol(truth, forward=100.0, strike=strike, years=years).vol
    return Market(truth, years, strike, vol)


def drawn(count: int, seed: int, *, wide: bool) -> Iterator[heston.Parameters]:
    """Parameters: those of equity indices, or anything from 7 to 63 % vol and any correlation."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        if wide:
            v0, theta = np.exp(rng.uniform(np.log(0.005), np.log(0.4), 2))
            kappa = np.exp(rng.uniform(np.log(0.2), np.log(10.0)))
            sigma, rho = rng.uniform(0.05, 1.8), rng.uniform(-0.95, 0.95)
        else:
            v0, theta = rng.uniform(0.01, 0.2, 2)
            kappa, sigma = rng.uniform(0.5, 5.0), rng.uniform(0.1, 1.2)
            rho = rng.uniform(-0.95, 0.3)
        yield heston.Parameters(v0=v0, kappa=kappa, theta=theta, sigma=sigma, rho=rho)


def _options() -> dict[str, Any]:
    """The 100 options that are timed."""
    it = market(USUAL)
    right = np.where(it.strike >= 100.0, 1.0, -1.0)
    forward = np.full(it.years.size, 100.0)
    return {"right": right, "forward": forward, "strike": it.strike, "years": it.years}


def _speed() -> list[Row]:
    options = _options()
    took = race(
        {
            "price": lambda: heston.price(USUAL, **options),
            "price + 5 derivatives": lambda: heston.greeks(USUAL, **options, which=SIX),
            "all 17 Greeks": lambda: heston.greeks(USUAL, **options),
        }
    )
    bars = {"price + 5 derivatives": 300.0}
    rows = [
        Row(f"Heston, 100 options in 10 expiries: {name}", 1e6 * seconds, US, bars.get(name))
        for name, seconds in took.items()
    ]
    note = "largest difference, as a share of the largest of an expiry"
    what = f"{CORRECT}gradient against central differences"
    return [*rows, Row(what, _gradient(), "", 1e-7, note=note)]


def _gradient() -> float:
    """The worst of sixth-order central differences of prices, relative within an expiry."""
    options = _options()
    found = heston.greeks(USUAL, **options, which=SIX)
    worst = 0.0
    for name in NAMES:
        at = getattr(USUAL, name)
        step = 2e-3 * abs(at)

        def moved(by: float, name: str = name, at: float = at, step: float = step) -> Floats:
            return heston.price(replace(USUAL, **{name: at + by * step}), **options)

        near, far = moved(1.0) - moved(-1.0), moved(2.0) - moved(-2.0)
        last = moved(3.0) - moved(-3.0)
        want = (45.0 * near - 9.0 * far + last) / (60.0 * step)
        off = np.abs(getattr(found, f"d_{name}") - want).reshape(DAYS.size, -1)
        size = np.abs(want).reshape(DAYS.size, -1).max(axis=1)
        worst = max(worst, float(np.max(off.max(axis=1) / size)))
    return worst


def _accuracy(data: Path) -> list[Row]:
    """Reference prices, in USD at a spot of 100."""
    out = []
    for name in ("heston_prices", "heston_cui2017_grid40"):
        what = f"{CORRECT}{name}, largest error"
        path = data / "reference" / "surfaces" / f"{name}.csv"
        if not path.is_file():
            out.append(skipped(what, "USD", 1e-10, ABSENT))
            continue
        worst = 0.0
        for row in _table(path):
            F = row["S"] * np.exp((row["r"] - row["q"]) * row["T"])
            got = heston.price(
                heston.Parameters(**{n: row[n] for n in NAMES}), right=1, forward=F,
                strike=row["K"], years=row["T"], df=np.exp(-row["r"] * row["T"]),
            )  # fmt: skip
            worst = max(worst, 100.0 / row["S"] * abs(float(got) - row["call"]))
        out.append(Row(what, worst, "USD", 1e-10, note="at a spot of 100"))
    return out


def _table(path: Path) -> list[dict[str, float]]:
    with path.open(encoding="utf-8") as file:
        return [
            {n: float(v) for n, v in row.items() if n != "source"} for row in csv.DictReader(file)
        ]


def _recovery(count: int) -> list[Row]:
    """How often parameters come back, and the milliseconds of cold and warm fits."""
    markets = [market(p) for p in drawn(count, 7, wide=True)]
    heston.calibrate(markets[0].quotes)
    cold, warm, back = [], [], 0
    for it in markets:
        start = heston.Parameters(*(it.truth.vector() * NUDGED).tolist())
        seconds, found = _best(partial(heston.calibrate, it.quotes))
        cold.append(seconds)
        back += _off(found.params, it.truth) <= RECOVERED
        warm.append(_best(partial(heston.calibrate, it.quotes, start))[0])
    note = f"{count} random sets; 90 %: {1e3 * np.quantile(cold, 0.9):.1f} cold, "
    note += f"{1e3 * np.quantile(warm, 0.9):.1f} warm; best of {TIMES} each"
    rows = [
        Row("Heston fit of 100 options, cold, median", 1e3 * float(np.median(cold)), MS, 15.0,
            note=note),
        Row("Heston fit of 100 options, warm, median", 1e3 * float(np.median(warm)), MS, 3.0,
            note="from 3 to 10 % off"),
        Row(f"{CORRECT}parameters within 1e-4 of the truth", 100.0 * back / count, "%", 99.5, True),
    ]  # fmt: skip
    return [*rows, _jumps()]


def _best(fit: Callable[[], T]) -> tuple[float, T]:
    """Least CPU seconds of a few calls, and the last answer."""
    spent = []
    for _ in range(TIMES):
        begun = time.process_time()
        found = fit()
        spent.append(time.process_time() - begun)
    return min(spent), found


def _jumps() -> Row:
    """One cold fit of Bates."""
    it = market(USUAL)
    truth = bates.Parameters(*USUAL.vector(), jump_rate=0.4, jump_mean=-0.1, jump_std=0.12)
    vol = bates.vol(truth, forward=100.0, strike=it.strike, years=it.years).vol
    quotes = it.quotes | {"vol": vol}
    took = race({"bates": lambda: bates.calibrate(quotes)}, rounds=5, sample=0.0)["bates"]
    return Row("Bates fit of 100 options, cold", 1e3 * took, MS)


def _off(found: heston.Parameters, truth: heston.Parameters) -> float:
    return float(np.max(np.abs(found.vector() / truth.vector() - 1.0)))


def _beside(count: int) -> list[Row]:
    """Both fits from one start, on the same quotes."""
    what = "QuantLib's fit, times ours, from the same start: median"
    try:
        ql = library()
    except ImportError:
        return [skipped(what, X, 20.0, "QuantLib is not installed")]
    ratio, theirs, worse = [], [], 0
    for truth in drawn(count, 8, wide=False):
        it = market(truth)
        ours, found = _best(partial(heston.calibrate, it.quotes, START))
        days = np.round(365.0 * it.years).astype(int).tolist()
        helpers, model = _helpers(ql, days, it.strike, it.vol, np.zeros(len(days)), 100.0)
        seconds, params = _fit(ql, helpers, model)
        theirs.append(seconds)
        ratio.append(seconds / ours)
        worse += _sse(found.params, it.quotes) > 1.000001 * _sse(params, it.quotes) + 1e-16
    return [
        Row("QuantLib's fit of 100 options, median", 1e3 * float(np.median(theirs)), MS),
        Row(what, float(np.median(ratio)), X, 20.0, True,
            note=f"least {min(ratio):.0f}, over {count} sets"),
        Row(f"{CORRECT}sets that QuantLib fits closer", worse, "", 0.0),
    ]  # fmt: skip


def _sse(params: heston.Parameters, quotes: dict[str, Floats]) -> float:
    """Sum of squared vol errors."""
    places = {name: quotes[name] for name in ("forward", "strike", "years")}
    return float(np.sum((heston.vol(params, **places).vol - quotes["vol"]) ** 2))


def _helpers(
    ql: Any, days: list[int], strikes: Floats, vols: Floats, zeros: Floats, spot: float
) -> tuple[list[Any], Any]:
    """Helpers on an engine of 64 nodes, and the model, at START; a zero rate a maturity."""
    today = ql.Date(5, 7, 2002)
    ql.Settings.instance().evaluationDate = today
    count = ql.Actual365Fixed()
    knots = dict(zip(days, zeros.tolist(), strict=True))
    curve = ql.ZeroCurve(
        [today, *(today + day for day in sorted(knots))],
        [knots[min(knots)], *(knots[day] for day in sorted(knots))], count,
    )  # fmt: skip
    discount = ql.YieldTermStructureHandle(curve)
    nothing = ql.YieldTermStructureHandle(ql.FlatForward(today, 0.0, count))
    quote = ql.QuoteHandle(ql.SimpleQuote(spot))
    v0, kappa, theta, sigma, rho = START.vector().tolist()
    process = ql.HestonProcess(discount, nothing, quote, v0, kappa, theta, sigma, rho)
    model = ql.HestonModel(process)
    engine = ql.AnalyticHestonEngine(model, 64)
    helpers = []
    for day, strike, vol in zip(days, strikes.tolist(), vols.tolist(), strict=True):
        helper = ql.HestonModelHelper(
            ql.Period(day, ql.Days), ql.NullCalendar(), spot, strike,
            ql.QuoteHandle(ql.SimpleQuote(vol)), discount, nothing,
            ql.BlackCalibrationHelper.ImpliedVolError,
        )  # fmt: skip
        helper.setPricingEngine(engine)
        helpers.append(helper)
    return helpers, model


def _fit(ql: Any, helpers: list[Any], model: Any) -> tuple[float, heston.Parameters]:
    """CPU seconds and parameters of QuantLib's own fit, from where `model` is."""
    start = ql.Array(list(model.params()))
    spent = []
    for _ in range(TIMES):
        model.setParams(start)
        method = ql.LevenbergMarquardt(1e-8, 1e-8, 1e-8)
        begun = time.process_time()
        model.calibrate(helpers, method, ql.EndCriteria(400, 40, 1e-8, 1e-8, 1e-8))
        spent.append(time.process_time() - begun)
    seconds = min(spent)
    theta, kappa, sigma, rho, v0 = model.params()
    return seconds, heston.Parameters(v0=v0, kappa=kappa, theta=theta, sigma=sigma, rho=rho)


def _dax(data: Path) -> list[Row]:
    """Sepp's DAX of 2002, with maturities as they are and as QuantLib's test rounds them."""
    path = data / "reference" / "surfaces" / "dax_sepp_2002.csv"
    out = []
    for label, rounded in (("days", False), ("weeks", True)):
        what = f"{CORRECT}DAX 2002, {label}: squared vol errors over QuantLib's"
        if not path.is_file():
            out.append(skipped(what, X, 1.000001, ABSENT))
            continue
        try:
            ql = library()
        except ImportError:
            return [skipped(what, X, 1.000001, "QuantLib is not installed")]
        table = _table(path)
        days, K, zero, vol, spot = (
            np.array([row[n] for row in table]) for n in ("days", "K", "zero_rate", "iv", "S0")
        )
        known, first = np.unique(days, return_index=True)
        held = 7.0 * np.floor((days + 3.0) / 7.0) if rounded else days
        rate = np.interp(held, known, zero[first])
        forward = spot * np.exp(rate * held / 365.0)
        quotes = {"years": held / 365.0, "strike": K, "forward": forward, "vol": vol}
        ours = heston.calibrate(quotes | {"df": spot / forward})
        helpers, model = _helpers(ql, held.astype(int).tolist(), K, vol, rate, float(spot[0]))
        _, theirs = _fit(ql, helpers, model)
        mine, other = _sse(ours.params, quotes), _sse(theirs, quotes)
        note = f"ours {1e4 * mine:.4f}e-4, QuantLib {1e4 * other:.4f}e-4; {ours.message}"
        out.append(Row(what, mine / other, X, 1.000001, note=note))
    return out
