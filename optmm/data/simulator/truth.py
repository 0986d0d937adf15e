"""Ground truth of a simulated day: for tests and for grading a desk, never for the desk.

truth/spot.parquet     a second     ts_ns, spot, variance (of the second that ends there), and the
                                    factors skew, curvature, term in standard deviations
truth/slices.parquet   a minute and slice: forward, df, years, theta, raw SVI parameters
truth/takers.parquet   a taker      what it wanted, what it knew
truth/faults.parquet   a fault      what the feed did wrong, when and to which row
truth/truth.json       schema, seed, config, kappa
"""

import json
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from optmm.data.simulator.faults import Fault, Faults
from optmm.data.simulator.sheet import TrueSheet
from optmm.data.simulator.takers import TakerTruth
from optmm.data.simulator.theo import Fair, TruePrices, growth_of
from surfaces.units import years_between

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SCHEMA = "optmm.truth/2"
SLICE_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Truth:
    """Everything the market did not say. Functions take instants in ns UTC and broadcast."""

    seed: int
    prices: TruePrices
    takers: TakerTruth
    faults: Faults

    @property
    def ts_ns(self) -> Ints:
        """The one-second grid, shape (seconds + 1,)."""
        return self.prices.clock.grid_ns

    @property
    def spot(self) -> Floats:
        """True spot on the grid, USD, shape (seconds + 1,)."""
        return self.prices.path.spot

    @property
    def variance(self) -> Floats:
        """Diffusive variance of each second's log-return, shape (seconds + 1,); 0 at the open."""
        return self.prices.path.variance

    @property
    def kappa_usd(self) -> float:
        """Mean delta-hedged move until the horizon, per share, of those who know it."""
        return self.takers.kappa_usd

    def theo(self, rows: ArrayLike, ts_ns: ArrayLike) -> Floats:
        """True American value of chain `rows` at `ts_ns`, USD per share."""
        return self.fair(rows, ts_ns).price

    def fair(self, rows: ArrayLike, ts_ns: ArrayLike) -> Fair:
        """True value with its European delta, vega and vol."""
        return self.prices.fair(*self._pairs(rows, ts_ns))

    def theo_at(self, ts_ns: int) -> TrueSheet:
        """The truth of every option at one instant: prices, Greeks at fixed vols, forwards."""
        prices, n = self.prices, len(self.prices.chain)
        rows, second = self._pairs(np.arange(n), ts_ns)
        value = prices.fair(rows, second)
        now = int(self.ts_ns[second[0]])
        years = np.maximum(years_between(np.int64(now), prices.chain.fixing_ns), 0.0)
        forward = prices.forward(prices.chain.slice_of.astype(np.int64), second)
        spot, carry = float(self.spot[second[0]]), growth_of(prices.config, years)
        # Black's gamma from its vega: vega = gamma F^2 vol T df^-1 in forward terms
        safe = np.where(value.vol * years > 0.0, value.vol * years, np.inf)
        return TrueSheet(
            ts_ns=now, spot=spot, price=value.price, delta=value.delta,
            gamma=value.vega / (forward**2 * safe) * carry**2, vega=value.vega, vol=value.vol,
            years=years, forward=forward, df=np.exp(-prices.config.rate_per_year * years),
        )  # fmt: skip

    def premium(self, rows: ArrayLike, ts_ns: ArrayLike) -> Floats:
        """Early-exercise premium inside `theo`, USD per share."""
        return self.prices.premium(*self._pairs(rows, ts_ns))

    def forward(self, slices: ArrayLike, ts_ns: ArrayLike) -> Floats:
        """Forward of each slice, USD per share."""
        return self.prices.forward(*self._pairs(slices, ts_ns))

    def svi(self, slices: ArrayLike, ts_ns: ArrayLike) -> Floats:
        """Raw SVI (a, b, rho, m, sigma) in total variance, shape (..., 5)."""
        return self.prices.smile.svi(*self._pairs(slices, ts_ns))

    def total_variance(self, slices: ArrayLike, ts_ns: ArrayLike, k: ArrayLike) -> Floats:
        """Total variance at log-moneyness k = ln(strike/forward)."""
        at, second, k = np.broadcast_arrays(*self._pairs(slices, ts_ns), np.asarray(k, np.float64))
        return self.prices.smile.total_variance(at, second, k)

    def _pairs(self, rows: ArrayLike, ts_ns: ArrayLike) -> tuple[Ints, Ints]:
        """(rows, grid seconds), broadcast together."""
        second = self.prices.clock.index(np.asarray(ts_ns, np.int64))
        at, when = np.broadcast_arrays(np.asarray(rows, np.int64), second)
        return at, when


def write_truth(truth: Truth, folder: Path) -> Path:
    """Write the five files into `folder` (made if absent) and return it."""
    import polars as pl

    folder.mkdir(parents=True, exist_ok=True)
    spot = pl.DataFrame({"ts_ns": truth.ts_ns, "spot": truth.spot, "variance": truth.variance}
                        | truth.prices.smile.factors)  # fmt: skip
    wrong = {f.name: getattr(truth.faults, f.name) for f in fields(truth.faults)}
    wrong["kind"] = [Fault(int(kind)).name.lower() for kind in truth.faults.kind]
    flow = {f.name: getattr(truth.takers, f.name) for f in fields(truth.takers)}
    horizon = flow.pop("horizon_ns")
    spot.write_parquet(folder / "spot.parquet")
    pl.DataFrame(_slices(truth)).write_parquet(folder / "slices.parquet")
    pl.DataFrame(flow).write_parquet(folder / "takers.parquet")
    pl.DataFrame(wrong, schema_overrides={"kind": pl.String}).write_parquet(
        folder / "faults.parquet"
    )
    config = truth.prices.config
    head = {
        "schema": SCHEMA,
        "seed": truth.seed,
        "config": config.model_dump(),
        "config_hash": config.digest,
        "kappa_usd": truth.kappa_usd,
        "horizon_ns": horizon,
    }
    text = json.dumps(head, indent=1, sort_keys=True, allow_nan=False)
    (folder / "truth.json").write_text(text + "\n", encoding="utf-8")
    return folder


def _slices(truth: Truth) -> dict[str, NDArray]:
    """Columns of the surface by minute and slice, minutes first."""
    chain, config = truth.prices.chain, truth.prices.config
    marks = truth.ts_ns[::SLICE_SECONDS]
    ts_ns = np.repeat(marks, chain.slices)
    at = np.tile(np.arange(chain.slices), marks.size)
    first = chain.slice_start[at]
    years = np.maximum(years_between(ts_ns, chain.fixing_ns[first]), 0.0)
    raw = truth.svi(at, ts_ns)
    second = truth.prices.clock.index(ts_ns)
    return {
        "ts_ns": ts_ns,
        "slice": at,
        "expiry": chain.expiry[first],
        "years": years,
        "forward": truth.forward(at, ts_ns),
        "df": np.exp(-config.rate_per_year * years),
        "theta": truth.prices.smile.theta[at, second],
        **{name: raw[:, i] for i, name in enumerate(("a", "b", "rho", "m", "sigma"))},
    }
