"""Simulated prices against what is known: z-scores, errors, bias by time step, speed; VIX closes.

Truth is the Fourier price of the same parameters (`surfaces.pricing.heston`), the noncentral
chi-square formula for CEV, and the published closes of the VIX. The peer is QuantLib's Monte Carlo
with the same QE scheme and its martingale correction, in the same run.
"""

import csv
import gzip
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from optmm.bench.referee import library
from optmm.bench.rows import Row, skipped
from optmm.bench.timing import race
from optmm.data.snapshots import open_snapshot
from surfaces import vix
from surfaces.checks import Floats
from surfaces.pricing import heston
from surfaces.pricing import monte_carlo as mc

FORWARD = 100.0
STRIKES = np.array([60.0, 100.0, 140.0])
USD = "USD"
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Case:
    """Parameters and an expiry."""

    name: str
    params: heston.Parameters
    years: float
    strikes: Floats

    def truth(self) -> Floats:
        """Fourier prices of the calls."""
        found = heston.price(
            self.params, right=1, forward=FORWARD, strike=self.strikes, years=self.years
        )
        return np.asarray(found)

    def estimate(self, **more: Any) -> mc.Estimate:
        """Simulated prices of the calls."""
        return mc.heston(
            self.params, right=1, forward=FORWARD, strike=self.strikes, years=self.years, **more
        )


def _case(name: str, years: float, strikes: Floats, *p: float) -> Case:
    v0, kappa, theta, sigma, rho = p
    made = heston.Parameters(v0=v0, kappa=kappa, theta=theta, sigma=sigma, rho=rho)
    return Case(name, made, years, strikes)


def _near(years: float, level: float) -> Floats:
    """Strikes a deviation apart."""
    return FORWARD * np.exp(np.sqrt(level * years) * np.array([-1.5, 0.0, 1.0]))


# Andersen (2008), Table 1.
ANDERSEN = (
    _case("I", 10.0, STRIKES, 0.04, 0.5, 0.04, 1.0, -0.9),
    _case("II", 15.0, STRIKES, 0.04, 0.3, 0.04, 0.9, -0.5),
    _case("III", 5.0, STRIKES, 0.09, 1.0, 0.09, 1.0, -0.3),
)
WIDE = (
    _case("sigma 1.8, 10 y", 10.0, STRIKES, 0.04, 0.5, 0.04, 1.8, -0.8),
    _case("sigma 1.8, 1 y", 1.0, _near(1.0, 0.06), 0.04, 1.0, 0.06, 1.8, -0.7),
    _case("sigma 1.5, a week", 0.02, _near(0.02, 0.09), 0.09, 3.0, 0.06, 1.5, -0.8),
    _case("kappa 4, theta 0.25, 1 y", 1.0, _near(1.0, 0.2), 0.04, 4.0, 0.25, 1.0, -0.5),
    _case("rho 0.7, 1 y", 1.0, _near(1.0, 0.06), 0.04, 1.0, 0.06, 1.0, 0.7),
)


def rows(data: Path, *, quick: bool, say: Say) -> list[Row]:
    """Every row; `data` holds cboe_quotedata and rates."""
    say("Heston: z-scores of Andersen's cases and of wide parameters")
    out = [row for case in (*ANDERSEN, *WIDE) for row in _scores(case, quick)]
    out += _coverage(8 if quick else 30)
    say("Heston: bias by time step")
    for case in ANDERSEN:
        out += _bias(case, quick)
    say("local vol: CEV")
    out += _cev()
    say("QuantLib's QE Monte Carlo, and paths per second")
    out += _speed(ANDERSEN[2], quick)
    say("VIX closes")
    return [*out, *_vix(data)]


def _scores(case: Case, quick: bool) -> list[Row]:
    truth = case.truth()
    out = []
    for sampling in ("sobol",) if quick else ("sobol", "pseudo"):
        got = case.estimate(sampling=sampling)
        z = (got.price - truth) / got.error
        note = f"strikes {_listed(case.strikes, 4)}: z {_listed(z, 2)}"
        what = f"Heston {case.name}, {sampling}"
        worst, error = float(np.abs(z).max()), float(np.max(got.error))
        out.append(Row(f"{what}: largest |z|", worst, "errors", 3.0, note=note))
        note = f"{got.paths:,} paths, {got.steps} steps; step error {np.max(got.step_error):.1e}"
        out.append(Row(f"{what}: largest error", error, USD, 0.05, note=note))
    return out


def _coverage(seeds: int) -> list[Row]:
    """How large the z-scores of many seeds are, at the money."""
    out = []
    for case in ANDERSEN:
        at = Case(case.name, case.params, case.years, np.array([FORWARD]))
        truth = at.truth()
        found = [at.estimate(seed=seed, paths=8192) for seed in range(seeds)]
        z = np.array([(got.price - truth)[0] / got.error[0] for got in found])
        what = f"Heston {case.name}, {seeds} seeds: root mean square of z"
        note = f"largest |z| {np.abs(z).max():.2f}; an honest error gives about 1"
        out.append(Row(what, float(np.sqrt(np.mean(z * z))), "errors", 1.5, note=note))
    return out


def _bias(case: Case, quick: bool) -> list[Row]:
    """Price less truth at the money, where the noise allows."""
    at = Case(case.name, case.params, case.years, np.array([FORWARD]))
    truth, paths, out = at.truth(), 2**16 if quick else 2**18, []
    for steps in (2, 4, 8, 16) if quick else (2, 4, 8, 16, 32):
        got = at.estimate(steps_a_year=steps, paths=paths, seed=steps)
        off, noise = float((got.price - truth)[0]), float(got.sampling_error[0])
        out.append(
            Row(f"Heston {case.name}: bias at {steps} steps a year", off, USD,
                note=f"+- {noise:.1e}, step error {got.step_error[0]:.1e}")
        )  # fmt: skip
    return out


@dataclass(frozen=True, slots=True, eq=False)
class _Table:
    """A local vol as the pricer takes it."""

    years: Floats
    k: Floats
    vol: Floats


def _cev() -> list[Row]:
    """Square-root CEV, 25 % at the forward, against noncentral chi-square."""
    from scipy.stats import ncx2

    level, years = 0.25, 3.0
    k = np.linspace(-3.0, 1.6, 2001)
    table = _Table(np.array([1.0]), k, level * np.exp(-0.5 * k)[None, :])
    strikes = FORWARD * np.exp(level * np.sqrt(years) * np.array([-1.0, 0.0, 1.0]))
    factor = 4.0 / (level * level * FORWARD * years)
    at, to = strikes * factor, FORWARD * factor
    truth = FORWARD * ncx2.sf(at, 4.0, to) - strikes * ncx2.cdf(to, 2.0, at)
    got = mc.local_vol(table, right=1, forward=FORWARD, strike=strikes, years=years)
    z = (got.price - truth) / got.error
    note = f"{got.paths:,} paths, {got.steps} steps"
    return [
        Row("local vol, CEV 3 y: largest |z|", float(np.abs(z).max()), "errors", 3.0, note=note),
        Row("local vol, CEV 3 y: largest error", float(got.error.max()), USD, 0.02),
    ]


def _speed(case: Case, quick: bool) -> list[Row]:
    """Ours and QuantLib's on one option: paths a second, and errors for equal CPU time."""
    at = Case(case.name, case.params, case.years, np.array([FORWARD]))
    got = at.estimate()
    seconds = race({"ours": at.estimate}, rounds=3, sample=0.0)["ours"]
    what = f"Heston {case.name}, {got.steps} steps"
    rate = got.paths / seconds
    note = "Sobol, bridge, fine and coarse paths, Black given the variance"
    out = [Row(f"{what}: paths a second", rate, "1/s", note=note)]
    try:
        ql = library()
    except ImportError:
        return [*out, skipped(f"{what}: QuantLib", "x", None, "QuantLib is not installed")]
    samples = 2**13 if quick else 2**15
    engine = _quantlib(ql, at, got.steps, samples)
    start = time.process_time()
    price, error = engine.NPV(), engine.errorEstimate()
    theirs = time.process_time() - start
    z = abs(price - at.truth()[0]) / error
    equal = error * np.sqrt(theirs / seconds) / float(got.error[0])
    return [
        *out,
        Row(
            f"{what}: QuantLib QE, pairs of paths a second",
            samples / theirs,
            "1/s",
            note="antithetic pairs, one grid",
        ),
        Row(f"{what}: QuantLib QE |z|", float(z), "errors", note=f"error {error:.1e} USD"),
        Row(f"{what}: QuantLib's error in our CPU time / ours", float(equal), "x"),
    ]


def _quantlib(ql: Any, case: Case, steps: int, samples: int) -> Any:
    """A call with a Monte Carlo engine; one process step a time step."""
    today = ql.Date(2, 1, 2024)
    ql.Settings.instance().evaluationDate = today
    flat = ql.YieldTermStructureHandle(ql.FlatForward(today, 0.0, ql.Actual365Fixed()))
    p = case.params
    process = ql.HestonProcess(
        flat, flat, ql.QuoteHandle(ql.SimpleQuote(FORWARD)), p.v0, p.kappa, p.theta, p.sigma,
        p.rho, ql.HestonProcess.QuadraticExponentialMartingale,
    )  # fmt: skip
    option = ql.VanillaOption(
        ql.PlainVanillaPayoff(ql.Option.Call, float(case.strikes[0])),
        ql.EuropeanExercise(today + round(365 * case.years)),
    )
    engine = ql.MCEuropeanHestonEngine(
        process, "pseudorandom", timeSteps=steps, requiredSamples=samples,
        antitheticVariate=True, seed=7,
    )  # fmt: skip
    option.setPricingEngine(engine)
    return option


def _vix(data: Path) -> list[Row]:
    """The rule on closing SPX chains, against the published closes."""
    what = "VIX rule on SPX closes"
    files = sorted((data / "cboe_quotedata").glob("spx_*_close.csv.gz"))
    published, bills = data / "rates" / "VIXCLS.csv.gz", data / "rates" / "treasury_par_2023.csv"
    if not files or not published.is_file() or not bills.is_file():
        return [skipped(what, "points", 0.05, "no cboe_quotedata, or no closes or bills in rates")]
    with gzip.open(published, "rt") as file:
        closes = dict(csv.reader(file))
    with bills.open() as file:
        par = {_iso(row["Date"]): float(row["1 Mo"]) / 100.0 for row in csv.DictReader(file)}
    off = []
    for path in files:
        day = path.name[4:14]
        if day not in par:
            continue
        found = open_snapshot(path)
        rate = 2.0 * float(np.log1p(0.5 * par[day]))
        got = vix.vix_of_chain(found.quotes, found.valuation_ns, rate=rate)
        off.append(got.index - float(closes[day]))
    note = f"{len(off)} days, 1-month Treasury: {_listed(np.array(off), 2)}"
    sizes = np.abs(off)
    return [
        Row(f"{what}: largest difference", float(sizes.max()), "points", 0.05, note=note),
        Row(f"{what}: median difference", float(np.median(sizes)), "points", 0.01),
    ]


def _iso(words: str) -> str:
    """12/08/2023 as 2023-12-08."""
    month, day, year = words.split("/")
    return f"{year}-{month.zfill(2)}-{day.zfill(2)}"


def _listed(values: Floats, digits: int) -> str:
    return ", ".join(f"{v:.{digits}g}" for v in np.asarray(values).tolist())
