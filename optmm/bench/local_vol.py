"""Local vol: Andreasen and Huge's quotes beside QuantLib, known truths, real chains repriced."""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import ncx2

from optmm.bench.referee import library
from optmm.bench.rows import Row, skipped
from optmm.bench.surface_files import files, fitted
from optmm.bench.timing import race
from surfaces.andreasen_huge import AndreasenHuge, QuoteStatus, calibrate, calibrate_surface
from surfaces.local_vol import LocalVol, dupire
from surfaces.pricing import implied, local_vol

Array = NDArray[np.float64]

FILE = Path("reference/surfaces/andreasen_huge_sx5e.csv")
SNAPSHOTS = ("spx_2022-02-04_close", "spx_2023-05-26_close", "spx_2023-09-14_close")
BAR = 1e-4  # of vol
TENTH = 0.1
BP = 1e-4
MS = 1e3
NODES = (100, 240, 500)  # of either engine; ours adds the quoted strikes
DEFAULT = 500  # QuantLib's; ours is 240. With fewer nodes there is no bar
SIGMA, BETA = 0.25, 0.5


def rows(data: Path, *, quick: bool, say: Callable[[str], None]) -> list[Row]:
    """Every row; `quick` takes one real chain instead of three."""
    out = _sx5e(data / FILE, quick, say)
    say("local vols with known prices")
    out += _truths()
    return out + _real(data, quick, say)


def _sx5e(path: Path, quick: bool, say: Callable[[str], None]) -> list[Row]:
    """The paper's quotes: errors, then time beside QuantLib's."""
    what = "Andreasen-Huge, SX5E 2010-03-01"
    if not path.is_file():
        return [skipped(what, "vol", BAR, f"no {FILE} in the data folder")]
    say("Andreasen-Huge on the SX5E quotes of the paper")
    with path.open(encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    x, years, vol = (np.array([float(r[name]) for r in table]) for name in ("K_over_S", "T", "iv"))
    found = calibrate(moneyness=x, years=years, vol=vol)
    fine = found.status == QuoteStatus.OK
    out = [
        Row(f"{what}: largest error of quotes free of arbitrage",
            float(np.abs(found.error[fine]).max()), "vol", BAR,
            note=f"{int(fine.sum())} of {x.size} quotes"),
        Row(f"{what}: quotes left out because they contradict the others",
            float(x.size - fine.sum()), "", 1.0,
            note="strike 0.6597 at 4.778 years lies above the line between its neighbours' prices: "
            "no surface without arbitrage reprices all three closer than 8e-4, and least squares "
            "misses each of them"),
    ]  # fmt: skip
    try:
        ql = library()
    except ImportError:
        return [*out, skipped(f"{what}: our time over QuantLib's", "x", TENTH, "no QuantLib")]
    return out + _race(ql, x[fine], years[fine], vol[fine], quick, say)


def _race(
    ql: Any, x: Array, years: Array, vol: Array, quick: bool, say: Callable[[str], None]
) -> list[Row]:
    """Calibrate, then vols and local vols at every quote; years of whole days for both.

    Without the quote that contradicts the others, on which QuantLib's search would spend a fifth of
    its time. Against its quickest setting at each number of nodes; the bar is at its default.
    """
    say("and beside QuantLib's, several settings")
    T = np.rint(years * 365.0) / 365.0
    k = np.log(x)
    theirs = _Theirs(ql, x, T, vol)
    kind = ql.AndreasenHugeVolatilityInterpl
    settings = {
        f"{shape}, {side}": (getattr(kind, shape), getattr(kind, side))
        for shape in ("Linear", "PiecewiseConstant", "CubicSpline")
        for side in ("Call", "Put", "CallPut")
        if not quick or (shape, side) == ("Linear", "Call")
    }
    out = []
    for nodes in NODES:
        tasks: dict[str, Callable[[], object]] = {
            "ours": lambda nodes=nodes: _ours(x, T, vol, k, nodes)
        }
        chosen = settings if nodes == NODES[-1] else dict(list(settings.items())[:2])
        for name, (shape, side) in chosen.items():
            tasks[name] = lambda shape=shape, side=side, nodes=nodes: theirs(shape, side, nodes)
        took = race(tasks, rounds=7, sample=0.02, budget=2.0)
        best = min(chosen, key=took.__getitem__)
        mine, other = _ours(x, T, vol, k, nodes), theirs(*settings[best], nodes)
        off = [int((np.abs(got[0] - vol) > BAR).sum()) for got in (mine, other)]
        slower = ", ".join(f"{n} {took[n] * MS:.3g} ms" for n in chosen if n != best)
        label = f"Andreasen-Huge, {x.size} quotes, {nodes} nodes"
        out += [
            Row(f"{label}: ours", took["ours"] * MS, "ms",
                note=f"calibrate, then vol and local vol at each quote; {off[0]} of them off by "
                f"more than {BAR:g}; the quoted strikes are nodes on top"),
            Row(f"{label}: QuantLib, {best}", took[best] * MS, "ms",
                note=f"{off[1]} off by more than {BAR:g}" + (f"; {slower}" if slower else "")),
            Row(f"{label}: our time over QuantLib's quickest", took["ours"] / took[best], "x",
                TENTH if nodes >= DEFAULT else None),
        ]  # fmt: skip
    return out


def _ours(x: Array, T: Array, vol: Array, k: Array, nodes: int) -> tuple[Array, Array]:
    """Vol and local vol at each quote."""
    found = calibrate(moneyness=x, years=T, vol=vol, points=nodes)
    return found.vol(k, T), _local(found, k, T)


def _local(found: AndreasenHuge, k: Array, T: Array) -> Array:
    return found.local_vol(years=np.unique(T)).at(k, T)


class _Theirs:
    """QuantLib's interpolation of the same quotes and both of its adapters."""

    def __init__(self, ql: Any, x: Array, T: Array, vol: Array) -> None:
        today = ql.Date(1, 3, 2010)
        ql.Settings.instance().evaluationDate = today
        self.ql, self.at = ql, list(zip(T.tolist(), x.tolist(), strict=True))
        flat = ql.FlatForward(today, 0.0, ql.Actual365Fixed())
        self.flat = ql.YieldTermStructureHandle(flat)
        self.spot = ql.QuoteHandle(ql.SimpleQuote(1.0))
        quotes = []
        for (years, strike), v in zip(self.at, vol.tolist(), strict=True):
            right = ql.Option.Call if strike >= 1.0 else ql.Option.Put
            exercise = ql.EuropeanExercise(today + round(365.0 * years))
            option = ql.VanillaOption(ql.PlainVanillaPayoff(right, strike), exercise)
            quotes.append((option, ql.SimpleQuote(v)))
        self.quotes = ql.CalibrationSet(quotes)

    def __call__(self, shape: int, side: int, nodes: int) -> tuple[Array, Array]:
        """Vol and local vol at each quote."""
        ql = self.ql
        made = ql.AndreasenHugeVolatilityInterpl(
            self.quotes, self.spot, self.flat, self.flat, shape, side, nodes
        )
        vols, local = (
            ql.AndreasenHugeVolatilityAdapter(made),
            ql.AndreasenHugeLocalVolAdapter(made),
        )
        return (
            np.array([vols.blackVol(t, x, True) for t, x in self.at]),
            np.array([local.localVol(t, x, True) for t, x in self.at]),
        )


def _truths() -> list[Row]:
    """Errors of the forward equation within three deviations, where prices are known."""
    years = np.array([2 / 365, 7 / 365, 0.1, 0.5, 1.0, 3.0])[:, None]
    k = np.linspace(-3.0, 3.0, 25) * SIGMA * np.sqrt(years)
    flat = _whole(np.zeros(1), np.full(1, SIGMA))
    nodes = np.linspace(-6.0, 4.0, 2001)
    cev = _whole(nodes, SIGMA * np.exp((BETA - 1.0) * nodes))
    strike, scale = np.exp(k), (SIGMA * (1.0 - BETA)) ** 2 * years
    a, b, c = strike ** (2.0 - 2.0 * BETA) / scale, 1.0 / (1.0 - BETA), 1.0 / scale
    call = ncx2.sf(a, b + 2.0, c) - strike * ncx2.cdf(c, b, a)
    truth = implied.vol(price=call, right=1, forward=1.0, strike=strike, years=years).vol
    out = []
    for name, grid, wanted in (("constant", flat, SIGMA), ("CEV, beta 0.5", cev, truth)):
        error = np.abs(local_vol.implied_vol(grid, k=k, years=years) - wanted)
        good = np.isfinite(error) & (years >= (0.1 if name != "constant" else 0.0))
        out.append(
            Row(f"forward equation, {name}, {int(good.sum())} options: largest error",
                float(error[good].max() / BP), "bp of vol", 1.5,
                note="vol 25 %, three deviations, default scheme")
        )  # fmt: skip
    took = race({"ours": lambda: local_vol.otm_price(flat, k=k, years=years)}, rounds=5)
    out.append(Row("forward equation, 150 options to three years", took["ours"] * MS, "ms"))
    return out


def _whole(k: Array, vol: Array) -> LocalVol:
    return LocalVol(np.ones(1), k, vol[None], np.zeros((1, k.size), np.uint8))


def _real(data: Path, quick: bool, say: Callable[[str], None]) -> list[Row]:
    """SPX snapshots: fit, Dupire, and every judged quote priced back."""
    paths = [p for p in files(data) if p.name.startswith(SNAPSHOTS)]
    if not paths:
        return [skipped("SPX chains repriced under their local vol", "bp of vol", 1.0,
                        "no snapshots in the data folder")]  # fmt: skip
    out = []
    for path in paths[:1] if quick else paths:
        say(f"{path.name}: fit, local vol, reprice")
        surface = fitted(path).surface
        name = path.name.split(".")[0]
        local = dupire(surface)
        found = calibrate_surface(surface)
        for engine, grid in (("Dupire", local), ("Andreasen-Huge", found.local_vol())):
            bad = int(np.isnan(grid.vol).sum())
            table = local_vol.reprice(grid.filled(), surface)
            error = np.abs(table["error"].to_numpy()) / BP
            half = np.abs(table["error_in_half_spreads"].drop_nulls().to_numpy())
            label = f"{name}, {engine}, repriced:"
            note = (
                f"{table.height} quotes; 90 % {np.quantile(error, 0.9):.3g}, 99 % "
                f"{np.quantile(error, 0.99):.3g}, largest {error.max():.3g} bp; {bad} of "
                f"{grid.vol.size} nodes without a local vol"
            )
            bar = 1.0 if engine == "Dupire" else 10.0
            out += [
                Row(f"{label} median error", float(np.median(error)), "bp of vol", bar, note=note),
                Row(f"{label} quotes moved by less than half a spread",
                    float(100.0 * np.mean(half < 1.0)), "%", 99.5, True,
                    note=f"median {np.median(half):.2g} half spreads, largest {half.max():.3g}"),
            ]  # fmt: skip
    return out
