"""What tomorrow could cost: one-day VaR of the delta-gamma-vega form, and a stress matrix.

In the matrix vols follow spot by the run's own skew-stickiness rule, to first order as its deltas
do, so the slope of a row of P&L in spot is the delta of the Greeks table.

VaR has the vol at the money of each expiry as a factor, with a correlation to spot of its own. Its
Greeks are those at an unmoved vol at the money: with the smile-aware delta of the Greeks table,
what spot does to vols would count twice.
"""

import math
from typing import Any

import numpy as np
import polars as pl

from optmm.config import Surface
from optmm.reports.closing import held
from optmm.reports.measure import measure, missing
from optmm.reports.run import Run
from optmm.risk import scenarios, var
from surfaces import dynamics

SPOT_SHOCKS = (-0.20, -0.10, -0.05, 0.0, 0.05, 0.10, 0.20)
VOL_SHOCKS = (-0.50, -0.25, 0.0, 0.25, 0.50)
SPOT_VOL_CORRELATION = -0.7
VOL_CORRELATION = 0.9
TRADING_DAYS = 252.0
MONTH = 30.0 / 365.0
SHORTEST = 7.0 / 365.0  # the vol of a shorter expiry is taken to move like this one's


def curves(run: Run) -> pl.DataFrame:
    """The last refit of each slice that has a forward: slice, forward, df, atm_vol, years."""
    rows = run.surface.filter(pl.col("forward").is_finite() & pl.col("df").is_finite())
    rows = rows.sort("slice", "ts_ns", maintain_order=True)
    return rows.group_by("slice", maintain_order=True).last()


def spot_vol(run: Run) -> float:
    """ATM volatility of the expiry nearest to one month at the close; NaN without a surface."""
    rows = curves(run).filter(pl.col("atm_vol").is_finite())
    if not rows.height:
        return math.nan
    return float(rows["atm_vol"][int(np.abs(rows["years"].to_numpy() - MONTH).argmin())])


def value_at_risk(run: Run, bound: str) -> dict[str, Any]:
    """RR10: one-day VaR 95 % and ES 97.5 %, exact and by Cornish-Fisher, with the assumptions."""
    options, shares = held(run, bound)
    sigma = spot_vol(run)
    if not math.isfinite(sigma):
        return {"var": missing("RR10", "no expiry has a volatility at the close", "USD")}
    natural = ("delta", "gamma", "vega", "theta", "vanna", "volga")
    if not all(np.isfinite(options[name].to_numpy()).all() for name in natural):
        return {"var": missing("RR10", "a position has no Greeks at the close", "USD")}
    size = (options["lots"] * options["multiplier"]).to_numpy().astype(float)
    skew, ratio = _skews(run, options)
    unit = of_atm_vol(
        {name: options[name].to_numpy() for name in natural},
        skew=skew,
        ratio=ratio,
        spot=run.closing_spot_e9 / 1e9,
    )
    greek = {name: size * unit[name] for name in natural}
    years = options["years"].to_numpy()
    _, bucket = np.unique(options["expiry"].cast(pl.String).to_numpy(), return_inverse=True)
    buckets = int(bucket.max()) + 1 if bucket.size else 1
    tenor = np.full(buckets, MONTH)
    tenor[bucket] = years
    config = run.manifest.get("config", {}).get("quoting", {})
    of_day = float(config.get("atm_vol_of_day", 0.015))
    power = float(config.get("vol_term_power", 0.5))
    vol_std = of_day * (MONTH / np.maximum(tenor, SHORTEST)) ** power

    def by(name: str) -> np.ndarray:
        return np.bincount(bucket, weights=greek[name], minlength=buckets)

    law = var.book_law(
        spot=run.closing_spot_e9 / 1e9,
        delta_shares=float(greek["delta"].sum()) + shares,
        gamma_shares_per_usd=float(greek["gamma"].sum()),
        vega_by_bucket=by("vega"),
        vanna_by_bucket=by("vanna"),
        volga_by_bucket=by("volga"),
        covariance=var.factor_covariance(
            spot_std=sigma / math.sqrt(TRADING_DAYS),
            vol_std=vol_std,
            spot_vol_correlation=SPOT_VOL_CORRELATION,
            vol_correlation=VOL_CORRELATION,
        ),
        theta_usd_per_day=float(greek["theta"].sum()) / 365.0,
    )
    return _figures(var.exact(law), var.cornish_fisher(law), sigma, of_day, options.height)


def of_atm_vol(
    greek: dict[str, np.ndarray], *, skew: np.ndarray, ratio: np.ndarray, spot: float
) -> dict[str, np.ndarray]:
    """Greeks in spot and the vol at the money, where vol(K) = vol(F) + skew ln(K/F).

    `greek`: delta (smile-aware by `ratio`), gamma, vega, vanna, volga (at a fixed strike's vol) and
    others, which pass; a share each, (n,). Per USD of spot and 1.00 of vol.
    """
    slope = skew / spot
    vega, vanna, volga = greek["vega"], greek["vanna"], greek["volga"]
    gamma = greek["gamma"] - 2.0 * vanna * slope + volga * slope**2 + vega * slope / spot
    return greek | {
        "delta": greek["delta"] - vega * ratio * slope,
        "gamma": gamma,
        "vanna": vanna - volga * slope,
    }


def _skews(run: Run, options: pl.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Skew and R of each option's expiry at the close; zeros where no surface knew them."""
    rows = run.chain[options["instrument"].to_list()].select("slice")
    slopes, _ = vol_slopes(run)
    found = rows.join(slopes, on="slice", how="left", maintain_order="left")
    skew, ratio = (found[name].to_numpy().astype(float) for name in ("skew", "ratio"))
    known = np.isfinite(skew * ratio)
    return np.where(known, skew, 0.0), np.where(known, ratio, 0.0)


def _figures(
    exact: var.RiskFigure, fast: var.RiskFigure, sigma: float, of_day: float, positions: int
) -> dict[str, Any]:
    """RR10's three lines and one of assumptions."""
    how: dict[str, Any] = {"method": exact.method, "scenarios": exact.scenarios}
    how["quantile"] = exact.quantile_rule
    window = "1 day ahead"
    return {
        "var": measure(
            "RR10", exact.var_usd, "USD", n=positions, window=window, level=exact.var_level, **how
        ),
        "expected_shortfall": measure(
            "RR10", exact.es_usd, "USD", n=positions, window=window, level=exact.es_level, **how
        ),
        "var_cornish_fisher": measure(
            "RR10", fast.var_usd, "USD", n=positions, window=window, method=fast.method
        ),
        "assumptions": {
            "spot_vol": sigma,
            "one_month_vol_sd_per_day": of_day,
            "spot_vol_correlation": SPOT_VOL_CORRELATION,
            "vol_correlation": VOL_CORRELATION,
        },
    }


def vol_slopes(run: Run) -> tuple[pl.DataFrame, str]:
    """By slice: vol_slope = dvol/dlnS at a fixed strike, skew and ratio; and the rule in words."""
    rows = curves(run)
    rule = run.manifest.get("config", {}).get("surface", {}).get("skew_stickiness")
    rule = Surface().skew_stickiness if rule is None else rule
    ratio = dynamics.ratio_of(rule)
    skew = rows["skew"].cast(pl.Float64).to_numpy()
    if ratio is None:
        # as theo has it; a slice that the last refit left without a forward has no say
        now = (rows["ts_ns"] == run.surface["ts_ns"].max()).to_numpy()
        of_slice = dynamics.local_vol_ratios(
            years=rows["years"].to_numpy(),
            atm_vol=np.where(now, rows["atm_vol"].cast(pl.Float64).to_numpy(), np.nan),
            skew=skew,
            path=rows["path"].cast(pl.String).fill_null("none").to_list(),
            quotes=rows["quotes"].fill_null(0).to_numpy(),
        )
        known = of_slice[np.isfinite(of_slice)]
        span = f"{known.min():.2f} to {known.max():.2f} by expiry" if known.size else "unknown"
        said = (
            f"vols follow spot by R of local volatility, {span}, a first order for moves of about "
            "one percent"
        )
    else:
        of_slice = np.full(rows.height, ratio)
        name = f" ({rule.replace('_', ' ')})" if isinstance(rule, str) else ""
        said = f"vols follow spot by R = {ratio:g}{name}"
    slope = np.nan_to_num((of_slice - 1.0) * skew)
    frame = rows.select("slice").with_columns(
        pl.Series("vol_slope", slope), pl.Series("skew", skew), pl.Series("ratio", of_slice)
    )
    return frame, f"{said}: (R - 1) x skew x ln(spot move) at each strike"


def matrix(run: Run, bound: str) -> dict[str, Any]:
    """G8: P&L of the book in USD, spot shocks by relative vol shocks, no time passing."""
    options, shares = held(run, bound)
    chain = run.chain[options["instrument"].to_list()]
    slopes, rule = vol_slopes(run)
    curve = (
        curves(run)
        .select("slice", "forward", "df")
        .join(slopes.select("slice", "vol_slope"), on="slice", how="left", maintain_order="left")
    )
    joined = chain.join(curve, on="slice", how="left", maintain_order="left")
    forward, df = joined["forward"].to_numpy(), joined["df"].to_numpy()
    vol = options["vol"].to_numpy()
    if options.height and not (np.isfinite(forward.astype(float)) & np.isfinite(vol)).all():
        return {"note": "n/a (a position has no forward or volatility at the close)"}
    market = scenarios.Instruments(
        right=options["right"].to_numpy().astype(np.int8),
        strike=options["strike"].to_numpy(),
        years=options["years"].to_numpy(),
        vol=vol,
        forward=forward.astype(float),
        df=df.astype(float),
        multiplier=options["multiplier"].to_numpy().astype(float),
        spot=run.closing_spot_e9 / 1e9,
        american=chain["american"].to_numpy(),
        vol_slope=joined["vol_slope"].to_numpy().astype(float),
    )
    pnl = scenarios.revalue(
        options["lots"].to_numpy().astype(float),
        market,
        spot_shocks=SPOT_SHOCKS,
        vol_shocks=VOL_SHOCKS,
        vol_rule="relative",
        hedge_shares=shares,
        american_rule="premium_held",
    )
    return {
        "spot_shocks": list(SPOT_SHOCKS),
        "vol_shocks": list(VOL_SHOCKS),
        "vol_rule": "relative",
        "surface_rule": f"{rule}; early-exercise premium held",
        "pnl_usd": pnl.tolist(),
        "worst_usd": float(pnl.min()),
    }
