"""Rows of the ground truth: what a desk that quotes truth earns, loses and trades, by formula.

The plain market (`optmm.data.simulator.plain`), the whole engine over it, theo = truth, inventory
skew off, no hedging: P&L a contract is 100 x half width less the fee, adverse selection is
-drift x 100, contracts are as `PlainConfig.contracts` says. Standard errors from the fills: their
sides are fair coins, independent of the path, so fills are uncorrelated.
"""

import math
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from optmm.bench.rows import Row
from optmm.bench.truth_view import Traded, TruthView
from optmm.config import DeskConfig, parsed
from optmm.data.simulator.plain import PlainConfig, PlainMarket, plain_market

HALF_USD, FEE_USD, DRIFT_USD, TAU_S = 0.05, 0.30, 0.02, 60
WIDTHS_USD = (0.025, 0.05, 0.10)
ERRORS = 3.0  # standard errors that a mean may be away
LARGEST_ERROR = 0.05  # of what is expected
CORRECT = "correct: "
ROUNDING = 1e-9
TICK_USD = 1e-4


@dataclass(frozen=True, slots=True)
class Measured:
    """Means over the fills of a run, USD a contract, and their standard errors."""

    contracts: int
    fills: int
    half: float  # shown, tick included
    net: float
    net_error: float
    adverse: float
    adverse_error: float


def run(
    data: Path, say: Callable[[str], None], *, quick: bool = False
) -> tuple[list[Row], list[str]]:
    """Every row, and what is wrong. `data` is not read: the market is simulated.

    quick : a third of the takers, which miss the bar of contracts
    """
    rate = 4.0 if quick else 12.0
    say("ground truth: expected P&L of a desk that quotes the true value")
    out = _earned(rate)
    say("ground truth: a planted drift as adverse selection")
    out += _drifted(rate)
    say("ground truth: contracts against half width")
    out += _volumes(rate)
    return out, [r.what for r in out if r.what.startswith(CORRECT) and r.verdict == "misses"]


def desk(half_usd: float, *, fee_usd: float = FEE_USD) -> DeskConfig:
    """A desk whose half width is `half_usd` and nothing else: no skew, hedge, guard or limit."""
    large = 1e12
    raw: dict[str, Any] = {
        "surface": {"refit_s": 1.0},
        "quoting": {
            "min_half_width_usd": half_usd, "market_share": 0.0, "vol_edge": 0.0,
            "spot_edge_share": 0.0, "uncertainty_share": 0.0, "middle_edge_share": 0.0,
            "max_lots": 10_000, "hysteresis": 0.0, "sweep_s": 0.01, "guard_s": 0.0,
            "risk_aversion_per_usd": 0.0,
        },
        "limits": {
            "inventory_usd": large, "quoting_share": 1.0, "max_fill_usd": 1e9,
            "vega_usd_per_volpt": large, "expiry_vega_usd_per_volpt": large, "loss_stop_usd": large,
        },
        "protections": {"max_fills": 10_000, "max_lots": 1_000_000, "messages_per_s": 1e6},
        "hedging": {"band": "fixed", "fixed_band_lots": 1e9, "min_band_usd": large},
        "fees": {"option_usd_per_contract": fee_usd},
        "replay": {"order_latency_ms": 1e-6},
    }  # fmt: skip
    return parsed(raw, "ground truth")


def measure(market: PlainMarket, config: DeskConfig) -> Measured:
    """Run the engine over the market with theo = truth and average its fills."""
    from optmm.engine import replay

    def view(feed: Traded, desk: DeskConfig) -> Any:
        return TruthView(feed, desk, market.sheet)

    with tempfile.TemporaryDirectory() as made:
        folder = Path(made) / "run"
        it = replay.run(market.day, config, folder, market=view)
        fills = pl.read_parquet(folder / "fills.parquet").filter(pl.col("kind") == "quote")
        marks = it.worlds[0].marks.e9
    usd = {name: fills[name].to_numpy() / 1e9 for name in ("px_e9", "mark_e9", "fee_e9")}
    later = fills[f"mark_{TAU_S}s_e9"].to_numpy() / 1e9
    spots = [fills[name].to_numpy() / 1e9 for name in ("spot_e9", f"spot_{TAU_S}s_e9")]
    side, lots = fills["side"].to_numpy(), fills["lots"].to_numpy().astype(np.float64)
    unit = fills["multiplier"].to_numpy()
    close = marks[fills["instrument"].to_numpy()] / 1e9
    net = lots * unit * side * (close - usd["px_e9"]) - usd["fee_e9"]
    move = fills["delta"].to_numpy() * (spots[1] - spots[0])
    adverse = lots * unit * side * (later - usd["mark_e9"] - move)
    contracts = lots.sum()
    return Measured(
        contracts=int(contracts), fills=lots.size,
        half=float((lots * side * (usd["mark_e9"] - usd["px_e9"])).sum() / contracts),
        net=float(net.sum() / contracts), net_error=_error(net, lots),
        adverse=float(adverse.sum() / contracts), adverse_error=_error(adverse, lots),
    )  # fmt: skip


def _error(total: np.ndarray, lots: np.ndarray) -> float:
    """Standard error of sum(total) / sum(lots) over independent fills."""
    gap = total - lots * (total.sum() / lots.sum())
    return float(np.sqrt((gap**2).sum()) / lots.sum())


def _earned(rate: float) -> list[Row]:
    found = measure(plain_market(PlainConfig(takers_per_second=rate), 11), desk(HALF_USD))
    expected = 100.0 * HALF_USD - FEE_USD
    away = abs(found.net - expected - 50.0 * TICK_USD) / found.net_error
    return [
        Row("contracts traded", found.contracts, "", 20_000, at_least=True),
        Row("expected P&L a contract", expected, "USD"),
        Row("measured P&L a contract", found.net, "USD", note=f"s.e. {found.net_error:.3f}"),
        Row(f"{CORRECT}P&L a contract against half spread less fees", away, "s.e.", ERRORS),
        Row("standard error of it", found.net_error / expected, "share", LARGEST_ERROR),
    ]


def _drifted(rate: float) -> list[Row]:
    config = PlainConfig(takers_per_second=rate, spot_moves=False, drift_usd=DRIFT_USD, strikes=41)
    found = measure(plain_market(config, 12), desk(HALF_USD))
    expected = -100.0 * DRIFT_USD
    away = abs(found.adverse - expected) / found.adverse_error
    return [
        Row("expected adverse selection a contract", expected, "USD"),
        Row("measured adverse selection a contract", found.adverse, "USD",
            note=f"s.e. {found.adverse_error:.4f}, {TAU_S} s after the fill"),
        Row(f"{CORRECT}adverse selection against the planted drift", away, "s.e.", ERRORS),
        Row("standard error of it", found.adverse_error / -expected, "share", LARGEST_ERROR),
    ]  # fmt: skip


def _volumes(rate: float) -> list[Row]:
    out = []
    config = PlainConfig(takers_per_second=rate, spot_moves=False)
    for seed, half in enumerate(WIDTHS_USD, start=13):
        market = plain_market(config, seed)
        found = measure(market, desk(half))
        # the tick rounds a quote outward, by half of it on average
        expected = config.contracts(half_width_usd=half + 0.5 * TICK_USD)
        # Poisson fills of a fixed size
        error = math.sqrt(expected * config.taker_lots)
        out += [
            Row(f"contracts at a half width of {half:g} USD", found.contracts, "",
                note=f"expected {expected:,.0f}"),
            Row(f"{CORRECT}contracts at {half:g} USD", abs(found.contracts - expected) / error,
                "s.e.", ERRORS),
        ]  # fmt: skip
    return out
