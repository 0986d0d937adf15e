"""The book at the close: Greeks by expiry, and what its marks rest on."""

from typing import Any

import numpy as np
import polars as pl

from optmm.reports.run import Run
from optmm.risk.greeks import Exposure, exposure

SUMS = (
    "delta_shares",
    "option_delta_shares",
    "hedge_shares",
    "delta_contracts",
    "delta_usd",
    "gamma_shares_per_usd",
    "gamma_contracts_per_usd",
    "gamma_usd_per_pct",
    "vega_usd_per_volpt",
    "vega_weighted_usd_per_volpt",
    "theta_usd_per_day",
    "vanna_shares_per_volpt",
    "volga_usd_per_volpt2",
    "positions",
    "contracts_gross",
    "spot",
)
DEFAULT = "settlement_theo_mid"
POLICIES = {
    "settlement_theo_mid": "settlement value of an expired series, else theo, else mid",
    "theo": "theo, else the settlement value of an expired series, else mid",
    "mid": "mid, else the settlement value of an expired series, else theo",
    "official": "official close, else settlement value, else theo, else mid",
}


def held(run: Run, bound: str) -> tuple[pl.DataFrame, int]:
    """Options held at the close in one world, and the hedge in shares (lots times multiplier)."""
    rows = run.world(run.greeks, bound)
    hedge = rows.filter(pl.col("instrument") == run.underlying_row)
    options = rows.filter(pl.col("instrument") < run.underlying_row)
    return options, int((hedge["lots"] * hedge["multiplier"]).sum())


def book(run: Run, bound: str) -> tuple[Exposure, list[str]]:
    """The book's exposure at the close, bucketed by expiry, and the buckets' names."""
    options, shares = held(run, bound)
    expiry = options["expiry"].cast(pl.String).to_numpy().astype(str)
    names, bucket = np.unique(expiry, return_inverse=True)
    columns = ("lots", "multiplier", "delta", "gamma", "vega", "theta", "vanna", "volga", "years")
    arrays: dict[str, Any] = {name: options[name].to_numpy() for name in columns}
    total = exposure(
        **arrays,
        bucket_of=bucket,
        buckets=names.size,
        spot=run.closing_spot_e9 / 1e9,
        hedge_shares=shares,
        contract_multiplier=int(run.chain["multiplier"][0]) if run.chain.height else 100,
    )
    return total, [str(name) for name in names]


def greeks(run: Run, bound: str) -> dict[str, Any]:
    """RR6-RR9 in their units, in total and by expiry."""
    total, names = book(run, bound)
    rows = [
        {
            "expiry": name,
            "delta_shares": total.delta_by_bucket_shares[i],
            "gamma_shares_per_usd": total.gamma_by_bucket_shares_per_usd[i],
            "vega_usd_per_volpt": total.vega_by_bucket_usd_per_volpt[i],
            "theta_usd_per_day": total.theta_by_bucket_usd_per_day[i],
            "vanna_shares_per_volpt": total.vanna_by_bucket_shares_per_volpt[i],
            "volga_usd_per_volpt2": total.volga_by_bucket_usd_per_volpt2[i],
        }
        for i, name in enumerate(names)
    ]
    options, shares = held(run, bound)
    counts = {
        "hedge_shares": shares,
        "positions": options.height,
        "contracts_gross": int(options["lots"].abs().sum()),
    }
    sums = {name: counts[name] if name in counts else getattr(total, name) for name in SUMS}
    return sums | {"by_expiry": rows}


def _theo_less_mid(run: Run, bound: str) -> dict[str, Any]:
    """USD that a book marked at theo is worth more than the same book marked at mid."""
    options, _ = held(run, bound)
    rows = options["instrument"].to_numpy()
    columns = ("closing_mark_e9", "closing_bid_e9", "closing_ask_e9", "multiplier")
    mark, bid, ask, points = (run.chain[c].to_numpy()[rows] for c in columns)
    theo = run.chain["closing_source"].to_numpy().astype(str)[rows] == "theo"
    usable = theo & (bid > 0) & (ask > bid)
    gap = (2 * mark - bid - ask) * points * options["lots"].to_numpy()
    return {
        "theo_less_mid_usd": float(gap[usable].sum()) / 2e9 if usable.any() else None,
        "positions_compared": int(usable.sum()),
        "positions_without_both": int((~usable).sum()),
        "other_policies_usd": {
            name: e9 / 1e9
            for name, e9 in run.result_of(bound).get("closing_marks", {})
            .get("against_e9", {}).items()
        },
    }  # fmt: skip


def marks(run: Run) -> dict[str, Any]:
    """`closing_marks` of report.json: policy, series by source, what theo against mid is worth."""
    counts = run.chain["closing_source"].value_counts().sort("closing_source")
    return {
        "policy": POLICIES[run.manifest["config"].get("marks", {}).get("policy", DEFAULT)],
        "fixings": [
            {
                "expiry": f["expiry"],
                "root": f["root"],
                "usd": f["px_e9"] / 1e9,
                "source": f["source"],
            }
            for f in run.results.get("fixings", [])
        ],
        "series": dict(counts.iter_rows()),
        "bounds": {bound: _theo_less_mid(run, bound) for bound in run.bounds},
    }
