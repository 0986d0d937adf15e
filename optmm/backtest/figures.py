"""A report of one day as rows of numbers: one row a fill assumption, the unit in each name.

`FIGURES` lists what is known by name and may be compared. A figure that report.json gains later is
taken in by its path (`_others`), so that results.parquet never has less than the report.
"""

import re
from dataclasses import dataclass
from typing import Any

PNL = (
    "net", "spread_capture", "adverse_selection", "inventory_alpha", "inventory_options",
    "inventory_hedges", "inventory_opening", "hedging_costs", "carry", "fees",
)  # fmt: skip
EXPLAINED = (
    "theta", "delta", "gamma", "vega", "vanna", "volga", "forward", "unexplained", "revaluation",
)  # fmt: skip
COUNTS = (
    "fills", "contracts", "quotes_sent", "hedges", "hedge_lots", "trips", "throttled", "rejected",
)  # fmt: skip
GREEKS = (
    "delta_shares", "option_delta_shares", "hedge_shares", "delta_contracts", "delta_usd",
    "gamma_shares_per_usd", "gamma_contracts_per_usd", "gamma_usd_per_pct", "vega_usd_per_volpt",
    "vega_weighted_usd_per_volpt", "theta_usd_per_day", "vanna_shares_per_volpt",
    "volga_usd_per_volpt2",
)  # fmt: skip
RISK = {
    "var": "risk_var_usd",
    "expected_shortfall": "risk_expected_shortfall_usd",
    "var_cornish_fisher": "risk_var_cornish_fisher_usd",
    "inventory_turnover": "inventory_turnover_per_session",
    "vega_turnover": "vega_turnover_per_session",
    "max_drawdown": "max_drawdown_pct_of_capital",
    "max_drawdown_usd": "max_drawdown_usd",
    "win_rate": "round_trip_win_share",
    "trade_duration": "trade_duration_minutes",
    "profit_factor": "profit_factor_ratio",
}
# not of a day, or the same number again
NEVER = {
    "risk.sharpe", "risk.win_rate_days", "risk.half_life", "risk.assumptions", "pnl_60s.net",
}  # fmt: skip
HORIZONS_S = (60, 300)


@dataclass(frozen=True, slots=True)
class Figure:
    """A column of results.parquet and where report.json has it, below `bounds.<bound>`."""

    name: str
    path: str
    whole: bool = False  # int64, exact


FIGURES = (
    *(Figure(f"{line}_usd", f"pnl.{line}") for line in PNL),
    *(Figure(f"{line}_60s_usd", f"pnl_60s.{line}") for line in PNL if line != "net"),
    Figure("ledger_net_usd", "ledger_net"),
    Figure("ledger_net_e9", "ledger_net_e9", True),
    Figure("identity_error_e9", "identity_error", True),
    Figure("identity_error_60s_e9", "identity_error_60s", True),
    Figure("ledger_less_fills_e9", "ledger_less_fills_e9", True),
    *(Figure(name, name, True) for name in COUNTS),
    *(Figure(f"explained_{name}_usd", f"inventory_explained.{name}") for name in EXPLAINED),
    *(Figure(f"close_{name}", f"greeks.{name}") for name in GREEKS),
    Figure("close_spot_usd", "greeks.spot"),
    Figure("close_positions", "greeks.positions", True),
    Figure("close_contracts_gross", "greeks.contracts_gross", True),
    *(Figure(column, f"risk.{name}") for name, column in RISK.items()),
    Figure("stress_worst_usd", "stress.worst_usd"),
)
# figures of a day that stand elsewhere in report.json
BESIDE = (
    "two_sided_share", "limit_used_share", "surface_hit_share", "surface_core_hit_share",
    "capture_usd_per_share", *(f"edge_{h}s_usd_per_share" for h in HORIZONS_S),
)  # fmt: skip
METRICS = tuple(f.name for f in FIGURES if not f.path.startswith("identity")) + BESIDE
WHOLE = {f.name for f in FIGURES if f.whole}


def rows(report: dict[str, Any]) -> list[dict[str, Any]]:
    """One row a fill assumption, in the report's order; absent figures are None."""
    out = []
    for bound, found in report["bounds"].items():
        leaves = dict(_leaves(found, ""))
        row: dict[str, Any] = {
            "bound": bound,
            "journal_hash": found["journal_hash"],
            "killed": found.get("killed"),
        }
        row |= {figure.name: leaves.pop(figure.path, None) for figure in FIGURES}
        row |= _beside(report, bound)
        out.append(row | _others(leaves, set(row)))
    return out


def _leaves(value: Any, path: str) -> list[tuple[str, Any]]:
    """(dotted path, number) of every number below; a measure is its value; no lists, no words."""
    if path in NEVER:
        return []
    if isinstance(value, dict):
        if "value" in value and "unit" in value:
            return _leaves(value["value"], path)
        return [
            leaf
            for key, part in value.items()
            for leaf in _leaves(part, f"{path}.{key}" if path else key)
        ]
    known = isinstance(value, int | float) and not isinstance(value, bool)
    return [(path, value)] if known else []


def _others(leaves: dict[str, Any], taken: set[str]) -> dict[str, Any]:
    """Numbers that `FIGURES` does not name, under their path; settings of the report are left."""
    out = {}
    for path, value in leaves.items():
        name = re.sub(r"\W+", "_", path)
        if not path.endswith((".tau_s", ".level", ".scenarios")) and name not in taken:
            out[name] = float(value)
    return out


def _beside(report: dict[str, Any], bound: str) -> dict[str, Any]:
    """Presence, limits, fit and markouts of one world."""
    limits = report["limits"].get(bound) or [{"share": None}]
    surface = report["surface"]
    marks = report["flow"]["markouts"].get(bound) or {"horizons": []}
    edges = {h["horizon_s"]: h["edge_usd_per_share"]["value"] for h in marks["horizons"]}
    capture = marks["capture_usd_per_share"]["value"] if edges else None
    return {
        "two_sided_share": report["obligations"]["bounds"][bound]["share"],
        "limit_used_share": limits[0]["share"],
        "surface_hit_share": surface.get("hit_rate"),
        "surface_core_hit_share": surface.get("core_hit_rate"),
        "capture_usd_per_share": capture,
        **{f"edge_{h}s_usd_per_share": edges.get(h) for h in HORIZONS_S},
    }
