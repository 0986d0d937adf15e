"""SABR: printed vols, calibration of a slice, the density where Hagan's is negative.

Times are CPU milliseconds of one process, warm, best of many, all tasks in turns; QuantLib's
interpolation fits the same vols in the same run.
"""

import csv
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from optmm.bench.referee import library
from optmm.bench.rows import Row, skipped
from optmm.bench.timing import race
from surfaces.smiles import sabr
from surfaces.smiles.quotes import SmileQuotes

FILE = Path("reference/surfaces/sabr_hagan.csv")
MS = 1e3
EXACT = 1e-12  # of printed vols
SLICE_MS = 1.0
SIZES = (30, 60, 100)  # strikes of a slice
NOISE = 0.2  # half spreads
HALF = 0.003
YEARS = 0.25
TRUTH = sabr.Parameters(alpha=0.2, beta=1.0, nu=1.2, rho=-0.6)
DRAWN, QUICK = 400, 60

Set = tuple[sabr.Parameters, float, float]  # parameters, forward, years


def rows(data: Path, *, quick: bool, say: Callable[[str], None]) -> list[Row]:
    """Every row; `data` holds the folder `reference`, or the printed rows are skipped."""
    say("SABR: printed rows")
    sets, printed = _printed(data)
    say("SABR: densities")
    drawn = list(_drawn(QUICK if quick else DRAWN))
    cured = _densities([*sets, *drawn], len(sets))
    say("SABR: timing")
    return [*printed, *cured, *_times(9 if quick else 25)]


def _printed(data: Path) -> tuple[list[Set], list[Row]]:
    """Distinct parameter sets of the printed rows with forward and years, and the error row."""
    what = "SABR, printed vols of Hagan's formula: largest error"
    path = data / FILE
    if not path.is_file():
        return [], [skipped(what, "", EXACT, f"no {FILE} in the data folder")]
    with path.open(encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    worst = 0.0
    sets: dict[Set, None] = {}
    for row in table:
        params = sabr.Parameters(**{n: float(row[n]) for n in ("alpha", "beta", "nu", "rho")})
        forward, years = float(row["F"]), float(row["T"])
        vol = sabr.vol(params, forward=forward, strike=float(row["K"]), years=years)
        worst = max(worst, abs(float(vol) - float(row["vol"])))
        sets[params, forward, years] = None
    return list(sets), [Row(what, worst, "", EXACT, note=f"{len(table)} rows")]


def _drawn(n: int) -> Iterator[Set]:
    """nu to 3.5, every beta, |rho| to 0.95, a day to thirty years, vols of 1 % to 300 %; seeded."""
    rng = np.random.default_rng(2014)
    for i in range(n):
        beta = (0.0, 1.0, 0.5, float(rng.uniform()))[i % 4]
        forward = float(np.exp(rng.uniform(-4.0, 8.0)))
        level = float(np.exp(rng.uniform(np.log(0.01), np.log(3.0))))
        params = sabr.Parameters(
            alpha=level * forward ** (1.0 - beta), beta=beta, nu=float(rng.uniform(0.0, 3.5)),
            rho=float(rng.uniform(-0.95, 0.95)),
        )  # fmt: skip
        yield params, forward, float(np.exp(rng.uniform(np.log(1 / 365), np.log(30.0))))


def _densities(sets: list[Set], printed: int) -> list[Row]:
    """The least density, the worst mass and mean, and how many of Hagan's are negative."""
    least, lost, hagan = np.inf, 0.0, 0
    ratio = np.exp(np.linspace(-25.0, 25.0, 2001))
    for params, forward, years in sets:
        free = sabr.arbitrage_free(params, forward=forward, years=years)
        least = min(least, float(free.density(forward * ratio).min()) * forward)
        mean = float((free.mass * free.nodes).sum()) / forward
        lost = max(lost, abs(float(free.mass.sum()) - 1.0), abs(mean - 1.0))
        hagan += not sabr.check_density(params, forward=forward, years=years).free
    note = (
        f"{printed} printed and {len(sets) - printed} drawn parameter sets, 2,001 strikes from "
        f"e^-25 to e^25 forwards; Hagan's own is negative in {hagan}"
    )
    return [
        Row("SABR, arbitrage-free: least density x forward", least, "", 0.0, True, note=note),
        Row("SABR, arbitrage-free: mass or mean lost", lost, "", 1e-12, note="of one"),
    ]


def _times(rounds: int) -> list[Row]:
    """Calibration by number of strikes and formula, the smile of the shelf, the chain, QuantLib."""
    rng = np.random.default_rng(7)
    tasks: dict[str, Callable[[], object]] = {}
    names: dict[str, tuple[str, float | None]] = {}
    for size in SIZES:
        strike = np.exp(0.1 * np.linspace(-3.0, 2.0, size))
        vol = np.asarray(sabr.vol(TRUTH, forward=1.0, strike=strike, years=YEARS))
        vol = vol + NOISE * HALF * rng.standard_normal(size)
        for formula in ("hagan", "obloj"):
            name = f"{formula} {size}"
            tasks[name] = _calibration(strike, vol, formula)
            names[name] = (f"SABR, calibration of {size} strikes, {formula}", SLICE_MS)
    half = np.full(size, HALF)
    book = SmileQuotes(
        YEARS, np.log(strike), vol - half, vol + half, vol, half, np.zeros(size, bool)
    )
    warm = sabr.SABR.fit(book)
    if warm is not None:
        tasks["shelf"] = lambda: sabr.SABR.fit(book, warm.theta)
        names["shelf"] = (f"SABR of the shelf, {size} quotes, warm, without butterflies", None)
    tasks["free"] = lambda: sabr.arbitrage_free(TRUTH, forward=1.0, years=YEARS)
    names["free"] = ("SABR, arbitrage-free density of one expiry", None)
    try:
        ql = library()
    except ImportError:
        ql = None
    if ql is not None:
        tasks["ql"] = lambda: _quantlib(ql, strike, vol)
    took = race(tasks, rounds=rounds, sample=0.02, budget=3.0)
    out = [Row(what, took[name] * MS, "ms", bar) for name, (what, bar) in names.items()]
    what = f"QuantLib's SABR, calibration of {size} strikes, times ours"
    if ql is None:
        return [*out, skipped(what, "x", None, "QuantLib is not installed")]
    ours = sabr.calibrate(
        forward=1.0, strike=strike, years=YEARS, vol=vol, beta=TRUTH.beta, half_spread=HALF
    ).params
    theirs = _quantlib(ql, strike, vol)
    note = (
        f"root mean square of vol - mid in bp: {_miss(strike, vol, theirs):.3f}, ours "
        f"{_miss(strike, vol, ours):.3f}; QuantLib's weighs by vega and knows no errors"
    )
    return [*out, Row(what, took["ql"] / took[f"hagan {size}"], "x", note=note)]


def _calibration(strike: np.ndarray, vol: np.ndarray, formula: Any) -> Callable[[], object]:
    return lambda: sabr.calibrate(
        forward=1.0, strike=strike, years=YEARS, vol=vol, beta=TRUTH.beta, half_spread=HALF,
        formula=formula,
    )  # fmt: skip


def _quantlib(ql: Any, strike: np.ndarray, vol: np.ndarray) -> sabr.Parameters:
    """QuantLib's fit of alpha, nu and rho, from its usual kind of start."""
    found = ql.SABRInterpolation(
        ql.Array(strike.tolist()), ql.Array(vol.tolist()), YEARS, 1.0, 0.2, TRUTH.beta, 0.4, 0.0,
        False, True, False, False,
    )  # fmt: skip
    return sabr.Parameters(alpha=found.alpha(), beta=TRUTH.beta, nu=found.nu(), rho=found.rho())


def _miss(strike: np.ndarray, vol: np.ndarray, params: sabr.Parameters) -> float:
    """Root mean square of model - mid, in bp of vol."""
    model = sabr.vol(params, forward=1.0, strike=strike, years=YEARS)
    return 1e4 * float(np.sqrt(np.mean((np.asarray(model) - vol) ** 2)))
