"""Run folders as docs/run_folder.md has them: the tables' columns, and one run for a pencil.

`hand_run` is three worlds of one option and a hedge; every figure asserted on it was computed by
hand in the test that asserts it. `make_busy.busy_run` is a day worth drawing.
"""

import json
from pathlib import Path

import polars as pl

E9 = 1_000_000_000
MINUTE = 60 * E9
YEAR_NS = 365 * 86_400 * E9
OPEN_NS = 1_717_421_400 * E9  # 2024-06-03 09:30 in New York
CLOSE_NS = OPEN_NS + 390 * MINUTE
BOUNDS = ("pessimistic", "queue", "optimistic")
ABSENT = ("no_theo", "no_headroom", "below_tick", "uncertain")


def manifest(underlying: str, bounds: tuple[str, ...], results: dict) -> dict:
    """The manifest of a finished run."""
    return {
        "schema": "optmm.run/1",
        "complete": True,
        "versions": {"optmm": "0.1.0", "numpy": "2.4.6"},
        "command": f"optmm demo --underlying {underlying}",
        "config": {"limits": {"inventory_usd": 10_000_000.0}},
        "config_hash": "c0" * 32,
        "data": [{"file": "synthetic", "sha256": "00" * 32}],
        "data_hash": "da" * 32,
        "seed": 7,
        "underlying": underlying,
        "session": {
            "date": "2024-06-03",
            "open_ns": OPEN_NS,
            "close_ns": CLOSE_NS,
            "timezone": "America/New_York",
        },
        "bounds": list(bounds),
        "events": results["events"],
        "bar_ns": MINUTE,
        "simulated": bounds == ("simulated",),
        "results": results,
    }


def write(folder: Path, head: dict, frames: dict[str, pl.DataFrame]) -> Path:
    """Write the folder's parquet files and its manifest."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, frame in frames.items():
        frame.write_parquet(folder / f"{name}.parquet")
    (folder / "manifest.json").write_text(json.dumps(head), encoding="utf-8")
    return folder


def osi(root: str, expiry: str, right: int, strike: float) -> str:
    """The 21-character OSI symbol."""
    letter = "C" if right > 0 else "P"
    return f"{root:<6}{expiry[2:].replace('-', '')}{letter}{round(strike * 1000):08d}"


SCHEMAS = {
    "fills": "bound:s seq ts_ns instrument symbol:s kind:s side lots px_e9 multiplier "
    "fee_e9 mark_e9 spot_e9 delta:f vega:f bid_e9 ask_e9 own_lots mark_60s_e9 spot_60s_e9 "
    "mark_300s_e9 spot_300s_e9 picked_off:b",
    "quotes": "bound:s ts_ns instrument side px_e9 lots why",
    "prints": "ts_ns instrument px_e9 px_high_e9 lots aggressor bid_e9 ask_e9 delta:f vega:f "
    "theo_e9",
    "pnl": "bound:s ts_ns spot:f cash_e9 mtm_e9 net_e9 fees_e9 fills contracts hedge_lots "
    "delta_shares:f option_delta_shares:f gamma_shares_per_usd:f vega_usd_per_volpt:f "
    "theta_usd_per_day:f gross_premium_usd:f inventory_usd:f live_sides",
    "greeks": "bound:s instrument symbol:s expiry:d strike:f right lots multiplier mark_e9 vol:f "
    "years:f delta:f gamma:f vega:f theta:f vanna:f volga:f rho:f",
    "surface": "ts_ns version slice expiry:d root:s years:f spot:f forward:f forward_error:f df:f "
    "rate:f carry:f a:f b:f rho:f m:f sigma:f atm_vol:f skew:f quotes hits core_quotes core_hits "
    "chi2:f min_g:f calendar_margin:f calendar_margin_wings:f path:s status:s",
    "smiles": "slice expiry:d root:s strike:f right k:f bid_vol:f ask_vol:f model_vol:f used:b",
    "presence": "bound:s instrument eligible_s:f two_sided_s:f open_s:f "
    + " ".join(f"absent_{name}_s:f" for name in ABSENT),
    "pins": "bound:s ts_ns instrument symbol:s lots strike:f exercise:f at_strike:f near:b "
    "sd_lots:f expiry:s total_sd_lots:f mean_lots:f gap_usd:f without_vol",
    "carry": "bound:s ts_ns kind:s amount_e9 note:s",
    "chain": "instrument symbol:s root:s right strike:f expiry:d fixing_ns american:b physical:b "
    "am_settled:b multiplier slice open_interest closing_mark_e9 closing_source:s closing_vol:f "
    "closing_delta:f closing_bid_e9 closing_ask_e9",
}
TYPES = {"": pl.Int64, "s": pl.String, "f": pl.Float64, "b": pl.Boolean, "d": pl.Date}


def frame(name: str, rows: list[dict]) -> pl.DataFrame:
    """Rows of one of the folder's tables, with its columns and types."""
    schema = {}
    for field in SCHEMAS[name].split():
        column, _, letter = field.partition(":")
        schema[column] = pl.String if letter == "d" else TYPES[letter]
    table = pl.DataFrame(rows, schema=schema, orient="row")
    dated = "expiry:d" in SCHEMAS[name].split()
    return table.with_columns(pl.col("expiry").str.to_date()) if dated else table


def hand_fill(bound: str, seq: int, **changes) -> dict:
    """A purchase of ten calls at 2.00 against a mark of 2.05; `changes` make it another fill."""
    usd = {
        "px": 2.0, "fee": 6.5, "mark": 2.05, "spot": 100.0, "bid": 2.0, "ask": 2.1,
        "mark_60s": 2.02, "spot_60s": 99.98, "mark_300s": 2.1, "spot_300s": 100.2,
    }  # fmt: skip
    other = {
        "ts_ns": OPEN_NS + seq * 10 * MINUTE, "instrument": 0, "kind": "quote", "side": 1,
        "symbol": osi("HND", "2024-06-21", 1, 100.0), "lots": 10, "multiplier": 100,
        "delta": 0.5, "vega": 8.0, "own_lots": 10,
    }  # fmt: skip
    row = {"bound": bound, "seq": seq} | other | {k: v for k, v in changes.items() if k in other}
    prices = usd | {k: v for k, v in changes.items() if k in usd}
    return row | {f"{k}_e9": round(v * 1e9) for k, v in prices.items()}


HEDGE = {
    "instrument": 2, "symbol": "HND", "kind": "hedge", "side": -1, "lots": 500, "multiplier": 1,
    "px": 99.99, "fee": 5.0, "mark": 100.0, "spot": 100.0, "bid": 99.99, "ask": 100.01,
    "delta": 0.0, "vega": 0.0, "own_lots": 0, "mark_60s": 99.98, "mark_300s": 100.2,
}  # fmt: skip
SALE = {
    "side": -1, "px": 2.30, "mark": 2.25, "spot": 100.4, "bid": 2.2, "ask": 2.3,
    "mark_60s": 2.24, "spot_60s": 100.4, "mark_300s": 2.15, "spot_300s": 100.3,
}  # fmt: skip


def hand_fills() -> list[dict]:
    """Pessimistic: nothing. Queue: a purchase and its hedge. Optimistic: the same, and a sale."""
    rows = []
    for bound in ("queue", "optimistic"):
        rows += [hand_fill(bound, 1), hand_fill(bound, 2, **HEDGE)]
    return [*rows, hand_fill("optimistic", 3, **SALE)]


HAND_NET_E9 = {"pessimistic": 0, "queue": -66_500_000_000, "optimistic": 27_000_000_000}


def hand_pnl() -> list[dict]:
    """A timer at the open, one at 100 dollars of peak, one at the close, in every world."""
    rows = []
    for bound, net in HAND_NET_E9.items():
        busy = bound != "pessimistic"
        for ts, value in ((OPEN_NS, 0), (OPEN_NS + 30 * MINUTE, 100 * E9), (CLOSE_NS, net)):
            rows.append(
                {
                    "bound": bound, "ts_ns": ts, "spot": 100.5, "net_e9": value if busy else 0,
                    "cash_e9": 0, "mtm_e9": 0, "fees_e9": 0, "fills": int(busy), "contracts": 10,
                    "hedge_lots": -500 * busy, "delta_shares": 0.0, "option_delta_shares": 500.0,
                    "gamma_shares_per_usd": 0.0, "vega_usd_per_volpt": 80.0 * busy,
                    "theta_usd_per_day": -20.0, "gross_premium_usd": 2200.0,
                    "inventory_usd": 50_000.0 * busy, "live_sides": 2,
                }
            )  # fmt: skip
    return rows


def hand_chain() -> list[dict]:
    """One call marked to theo (its mid is 2.15) and one put marked to its mid."""
    rows = []
    for i, (right, mark, source) in enumerate(((1, 2.20, "theo"), (-1, 1.70, "mid"))):
        rows.append(
            {
                "instrument": i, "symbol": osi("HND", "2024-06-21", right, 100.0), "root": "HND",
                "right": right, "strike": 100.0, "expiry": "2024-06-21", "american": False,
                "fixing_ns": CLOSE_NS + 18 * 1440 * MINUTE, "physical": True, "am_settled": False,
                "multiplier": 100, "slice": 0, "open_interest": -1,
                "closing_mark_e9": round(mark * 1e9), "closing_source": source,
                "closing_vol": 0.2, "closing_delta": 0.55 * right, "closing_bid_e9": 2_100_000_000,
                "closing_ask_e9": 2_200_000_000,
            }
        )  # fmt: skip
    return rows


def hand_run(folder: Path) -> Path:
    """Write the small run. The call has a queue position of +10 and 500 shares short."""
    greek = {
        "vol": 0.2, "years": 0.05, "rho": 0.0, "vanna": 0.0, "volga": 0.0, "expiry": None,
        "strike": 0.0, "right": 0, "gamma": 0.0, "vega": 0.0, "theta": 0.0, "bound": "queue",
    }  # fmt: skip
    call = greek | {
        "instrument": 0, "symbol": osi("HND", "2024-06-21", 1, 100.0), "expiry": "2024-06-21",
        "strike": 100.0, "right": 1, "lots": 10, "multiplier": 100, "mark_e9": 2_200_000_000,
        "delta": 0.55, "gamma": 0.09, "vega": 8.0, "theta": -7.3,
    }  # fmt: skip
    shares = greek | {
        "instrument": 2, "symbol": "HND", "lots": -500, "multiplier": 1, "delta": 1.0,
        "mark_e9": 100_500_000_000,
    }  # fmt: skip
    optimistic = shares | {"bound": "optimistic"}
    presence = [
        {
            "bound": b, "instrument": i, "eligible_s": 1000.0, "two_sided_s": seconds,
            "open_s": 23_400.0, "absent_no_theo_s": 1000.0 - seconds,
        }
        for b in BOUNDS
        for i, seconds in ((0, 1000.0), (1, 600.0))
    ]  # fmt: skip
    frames = {
        "chain": hand_chain(),
        "fills": hand_fills(),
        "quotes": [],
        "prints": hand_prints(),
        "pnl": hand_pnl(),
        "greeks": [call, shares, optimistic],
        "surface": hand_surface(),
        "smiles": [],
        "presence": presence,
        "pins": [],
        "carry": [],
    }
    results = {
        "events": 1000,
        "wall_seconds": 0.5,
        "bounds": {
            b: {
                "journal_hash": "ab" * 32,
                "quotes_sent": 12,
                "trips": 0,
                "limit": {"inventory_usd": 10_000_000.0, "worst_inventory_usd": 50_000.0},
                "ledger_net_e9": net,
            }
            for b, net in HAND_NET_E9.items()
        },
        "data_quality": {"quarantined": {"crossed": 3}, "two_sided_share": 0.75, "rows": 1003},
    }
    head = manifest("HND", BOUNDS, results)
    return write(folder, head, {name: frame(name, rows) for name, rows in frames.items()})


def hand_prints() -> list[dict]:
    """Four prints in the first hour: 30 lots bought, 10 sold, 5 unsigned; then one sale later."""
    quote = {"bid_e9": 2_000_000_000, "ask_e9": 2_200_000_000, "delta": 0.5, "vega": 8.0}
    tape = [(1, 2.2, 2.2, 20, 0), (2, 2.0, 2.0, 10, 0), (3, 2.0, 2.2, 5, 0), (4, 2.0, 2.0, 10, 1)]
    tape.append((61, 2.05, 2.05, 15, 0))
    return [
        quote
        | {
            "ts_ns": OPEN_NS + minute * MINUTE, "instrument": 0, "px_e9": round(low * 1e9),
            "px_high_e9": round(high * 1e9), "lots": lots, "aggressor": given,
            "theo_e9": 2_100_000_000,
        }
        for minute, low, high, lots, given in tape
    ]  # fmt: skip


def hand_surface() -> list[dict]:
    """Two fits: one SVI that meets 9 of 10 quotes, one fallback that meets 5 of 10."""
    both = {
        "slice": 0, "expiry": "2024-06-21", "root": "HND", "years": 0.05, "spot": 100.0,
        "forward": 100.2, "forward_error": 0.01, "df": 0.998, "rate": 0.05, "carry": 0.01,
        "a": 0.001, "b": 0.02, "rho": -0.3, "m": 0.0, "sigma": 0.1, "atm_vol": 0.2, "skew": -0.2,
        "quotes": 10, "core_quotes": 5, "chi2": 1.0, "status": "ok",
    }  # fmt: skip
    good = {"hits": 9, "core_hits": 5, "min_g": 0.4, "path": "svi", "version": 1}
    flat = {"hits": 5, "core_hits": 3, "min_g": float("nan"), "path": "flat", "version": 2}
    good |= {"calendar_margin": 1e-4, "calendar_margin_wings": -2e-5, "ts_ns": OPEN_NS}
    flat |= {"calendar_margin": 2e-4, "calendar_margin_wings": 3e-5, "ts_ns": CLOSE_NS}
    return [both | good, both | flat]
