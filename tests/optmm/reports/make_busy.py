"""A seeded day of Black prices on a random walk: a cheap stand-in for a replay's run folder."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from make_run import (
    BOUNDS,
    CLOSE_NS,
    E9,
    MINUTE,
    OPEN_NS,
    YEAR_NS,
    frame,
    manifest,
    osi,
    write,
)
from scipy.special import ndtr


@dataclass(frozen=True)
class Day:
    """Spots and Black marks on every minute of the day."""

    chain: list[dict]
    spot_e9: np.ndarray  # (391,)
    mark_e9: np.ndarray  # (391, n)
    vol: np.ndarray  # (n,)
    years: np.ndarray  # (n,)
    strike: np.ndarray
    right: np.ndarray


def black(right, spot, strike, years, vol):
    """Black price, delta, gamma, vega and theta at zero rates; any broadcastable shapes."""
    s = vol * np.sqrt(years)
    d1 = np.log(spot / strike) / s + 0.5 * s
    density = np.exp(-0.5 * d1**2) / np.sqrt(2 * np.pi)
    price = right * (spot * ndtr(right * d1) - strike * ndtr(right * (d1 - s)))
    vega = spot * density * np.sqrt(years)
    greeks = {
        "delta": right * ndtr(right * d1),
        "gamma": density / (spot * s),
        "vega": vega,
        "theta": -0.5 * vega * vol / years,
        "vanna": -vega * (d1 - s) / (spot * s),
        "volga": vega * d1 * (d1 - s) / vol,
    }
    return price, greeks


def smile(k, years):
    """An equity-like smile: steep near, flat far."""
    x = k / np.sqrt(years + 0.02)
    return 0.18 + 0.03 * np.sqrt(years) - 0.055 * x + 0.05 * x**2


EXPIRIES = (("2024-06-07", 4), ("2024-06-21", 18), ("2024-07-19", 46), ("2024-09-20", 109))


def make_day(rng: np.random.Generator) -> Day:
    """136 options on a spot near 100."""
    rows = []
    for j, (expiry, days) in enumerate(EXPIRIES):
        for strike in np.arange(80.0, 120.1, 2.5):
            for right in (1, -1):
                rows.append(
                    {
                        "instrument": len(rows), "symbol": osi("SYN", expiry, right, strike),
                        "root": "SYN", "right": right, "strike": float(strike), "expiry": expiry,
                        "fixing_ns": CLOSE_NS + days * 1440 * MINUTE, "american": True,
                        "physical": True, "am_settled": False, "multiplier": 100, "slice": j,
                        "open_interest": int(rng.integers(10, 9000)),
                    }
                )  # fmt: skip
    strike, right = (np.array([r[k] for r in rows], float) for k in ("strike", "right"))
    years = np.array([(r["fixing_ns"] - CLOSE_NS) / YEAR_NS for r in rows])
    vol = smile(np.log(strike / 100.0), years)
    steps = rng.normal(0.0, 0.06, 391).cumsum()
    spot = np.round((100.0 + steps) * 200) * (E9 // 200)
    wobble = 1.0 + 0.02 * np.sin(np.linspace(0, 5, 391))[:, None]
    left = years[None] + np.linspace(390, 0, 391)[:, None] / (365 * 1440)
    price, _ = black(right[None], spot[:, None] / 1e9, strike[None], left, vol[None] * wobble)
    marks = np.round(price * 1e9).astype(np.int64)
    return Day(rows, spot.astype(np.int64), marks, vol, years, strike, right)


def _fill(day: Day, bound: str, minute: int, i: int, side: int, lots: int, half_e9: int) -> dict:
    """One fill in the second half of a minute, marked to the theo of that minute's start."""
    n = len(day.chain)
    later = [min(minute + 2, 390), min(minute + 6, 390)]
    hedge = i == n
    mark = day.spot_e9 if hedge else day.mark_e9[:, i]
    _, g = black(
        day.right[i - hedge], day.spot_e9[minute] / 1e9, day.strike[i - hedge],
        day.years[i - hedge], day.vol[i - hedge],
    )  # fmt: skip
    px = int(mark[minute]) - side * half_e9
    px -= 0 if hedge else px % 10_000_000
    return {
        "bound": bound, "ts_ns": OPEN_NS + minute * MINUTE + 40 * E9, "instrument": i,
        "symbol": "SYN" if hedge else day.chain[i]["symbol"], "side": side, "lots": lots,
        "kind": "hedge" if hedge else "quote", "px_e9": px, "multiplier": 1 if hedge else 100,
        "fee_e9": lots * (3_000_000 if hedge else 650_000_000), "mark_e9": int(mark[minute]),
        "spot_e9": int(day.spot_e9[minute]), "delta": 0.0 if hedge else float(g["delta"]),
        "vega": 0.0 if hedge else float(g["vega"]), "own_lots": lots,
        "bid_e9": int(mark[minute]) - 30_000_000, "ask_e9": int(mark[minute]) + 30_000_000,
        "mark_60s_e9": int(mark[later[0]]), "spot_60s_e9": int(day.spot_e9[later[0]]),
        "mark_300s_e9": int(mark[later[1]]), "spot_300s_e9": int(day.spot_e9[later[1]]),
    }  # fmt: skip


def _world(day: Day, bound: str, rng: np.random.Generator, count: int, edge_e9: int):
    """A world's fills, its row at every timer and its positions at the close."""
    n = len(day.chain)
    weight = np.exp(-0.5 * ((day.strike - 100) / 6) ** 2)
    minutes = np.sort(rng.integers(1, 385, count))
    fills, rows = [], []
    qty, cash, fees, at, contracts = np.zeros(n + 1, np.int64), 0, 0, 0, 0
    final = {}
    for t in range(391):
        s = day.spot_e9[t] / 1e9
        price, g = black(day.right, s, day.strike, day.years, day.vol)
        new = []
        while at < count and minutes[at] == t:
            i = int(rng.choice(n, p=weight / weight.sum()))
            side = int(rng.choice([-1, 1]))
            new.append(_fill(day, bound, t, i, side, int(rng.integers(1, 12)), edge_e9))
            at += 1
        for f in new:
            qty[f["instrument"]] += f["side"] * f["lots"]
        raw = int(np.round((qty[:n] * 100 * g["delta"]).sum())) + int(qty[n])
        if t % 10 == 9 and abs(raw) > 50 and t < 390:
            side = -1 if raw > 0 else 1
            hedge = _fill(day, bound, t, n, side, abs(raw), -5_000_000)
            qty[n] += side * abs(raw)
            new.append(hedge)
        for f in new:
            cash -= f["side"] * f["lots"] * f["multiplier"] * f["px_e9"] + f["fee_e9"]
            fees += f["fee_e9"]
            contracts += f["lots"] if f["kind"] == "quote" else 0
            fills.append({"seq": len(fills)} | f)
        mark = np.append(day.mark_e9[t] * 100, day.spot_e9[t])
        mtm = sum(int(q) * int(m) for q, m in zip(qty, mark, strict=True))
        net_delta = float((qty[:n] * 100 * g["delta"]).sum())
        rows.append(
            {
                "bound": bound, "ts_ns": OPEN_NS + t * MINUTE, "spot": s, "cash_e9": cash,
                "mtm_e9": mtm, "net_e9": cash + mtm, "fees_e9": fees, "fills": at,
                "contracts": contracts, "hedge_lots": int(qty[n]),
                "delta_shares": net_delta + int(qty[n]), "option_delta_shares": net_delta,
                "gamma_shares_per_usd": float((qty[:n] * 100 * g["gamma"]).sum()),
                "vega_usd_per_volpt": float((qty[:n] * g["vega"]).sum()),
                "theta_usd_per_day": float((qty[:n] * 100 * g["theta"]).sum() / 365),
                "gross_premium_usd": float((np.abs(qty[:n]) * 100 * price).sum()),
                "inventory_usd": abs(net_delta) * s, "live_sides": 200 + t % 7,
            }
        )  # fmt: skip
        final = g
    return fills, rows, _positions(day, bound, qty, final)


def _positions(day: Day, bound: str, qty: np.ndarray, g: dict) -> list[dict]:
    """Rows of greeks.parquet: options held, then the hedge."""
    n = len(day.chain)
    rows = []
    for i in np.flatnonzero(qty[:n]):
        row = {k: day.chain[i][k] for k in ("instrument", "symbol", "expiry", "strike", "right")}
        row |= {k: float(v[i]) for k, v in g.items()}
        row |= {"vol": float(day.vol[i]), "years": float(day.years[i]), "rho": 0.0}
        row |= {"mark_e9": int(day.mark_e9[-1, i]), "lots": int(qty[i]), "multiplier": 100}
        rows.append(row | {"bound": bound})
    hedge = {"bound": bound, "instrument": n, "symbol": "SYN", "lots": int(qty[n]), "delta": 1.0}
    rows.append(hedge | {"multiplier": 1, "mark_e9": int(day.spot_e9[-1])})
    return rows


def _closing(day: Day) -> list[dict]:
    """Chain rows with their closing marks: theo, except the far wings, which have no market."""
    _, g = black(day.right, day.spot_e9[-1] / 1e9, day.strike, day.years, day.vol)
    out = []
    for i, row in enumerate(day.chain):
        mark = int(day.mark_e9[-1, i])
        bid = max((mark - 20_000_000) // 10_000_000 * 10_000_000, 0)
        close = {"closing_mark_e9": mark, "closing_source": "theo" if bid else "none"}
        close |= {"closing_bid_e9": bid, "closing_ask_e9": bid + 50_000_000}
        out.append(row | close | {"closing_vol": day.vol[i], "closing_delta": g["delta"][i]})
    return out


def _prints(day: Day, rng: np.random.Generator, count: int) -> list[dict]:
    """Public prints, busier at the open and at the close."""
    minutes = np.sort((rng.beta(0.6, 0.7, count) * 389).astype(int))
    weight = np.exp(-0.5 * ((day.strike - 100) / 5) ** 2)
    rows = []
    for t in minutes:
        i = int(rng.choice(len(day.chain), p=weight / weight.sum()))
        mark = int(day.mark_e9[t, i])
        bid = max((mark - 30_000_000) // 10_000_000 * 10_000_000, 10_000_000)
        ask = bid + 60_000_000
        low = int(rng.choice([bid, bid + 30_000_000, ask - 10_000_000, ask]))
        _, g = black(day.right[i], day.spot_e9[t] / 1e9, day.strike[i], day.years[i], day.vol[i])
        rows.append(
            {
                "ts_ns": OPEN_NS + int(t) * MINUTE, "instrument": i, "px_e9": low,
                "px_high_e9": low + int(rng.choice([0, 0, 0, 30_000_000])),
                "lots": int(rng.geometric(0.12)), "aggressor": 0, "bid_e9": bid, "ask_e9": ask,
                "delta": float(g["delta"]), "vega": float(g["vega"]), "theo_e9": mark,
            }
        )  # fmt: skip
    return rows


def _quotes(day: Day, bound: str) -> list[dict]:
    """Both sides of the series around the money every five minutes, pulled at the close."""
    rows = []
    near = np.flatnonzero(np.abs(day.strike - 100.0) <= 5.0)
    for t in range(0, 391, 5):
        for i in near.tolist():
            mark = int(day.mark_e9[t, i])
            for side in (1, -1):
                px = (mark - side * 25_000_000) // 10_000_000 * 10_000_000
                rows.append(
                    {
                        "bound": bound, "ts_ns": OPEN_NS + t * MINUTE, "instrument": i,
                        "side": side, "px_e9": max(px, 0) if t < 390 else 0, "lots": 10,
                        "why": 32768 + 8192 if t < 390 else 4,
                    }
                )  # fmt: skip
    return rows


def _surface(day: Day, rng: np.random.Generator) -> list[dict]:
    """A refit of every slice each fifteen minutes."""
    rows = []
    for version, t in enumerate(range(0, 391, 15)):
        for j, (expiry, days) in enumerate(EXPIRIES):
            years, spot = days / 365, day.spot_e9[t] / 1e9
            hits = 30 - int(rng.integers(0, 4))
            rows.append(
                {
                    "ts_ns": OPEN_NS + t * MINUTE, "version": version, "slice": j, "root": "SYN",
                    "expiry": expiry, "years": years, "spot": spot,
                    "forward": spot * np.exp(0.03 * years), "forward_error": 0.01 + 0.02 * years,
                    "df": np.exp(-0.05 * years), "rate": 0.05, "carry": 0.02, "a": 0.001,
                    "b": 0.04, "rho": -0.4, "m": 0.01, "sigma": 0.1,
                    "atm_vol": float(smile(0.0, years)), "skew": -0.055 / np.sqrt(years + 0.02),
                    "quotes": 30, "hits": hits, "core_quotes": 14, "core_hits": 14,
                    "chi2": 0.8, "min_g": 0.3 + 0.1 * j, "calendar_margin": 2e-5 * (j + 1),
                    "calendar_margin_wings": 1e-5 * (j + 1), "status": "ok",
                    "path": "svi" if (version + j) % 13 else "last_good",
                }
            )  # fmt: skip
    return rows


def _smiles(day: Day) -> list[dict]:
    """The out-of-the-money quotes of the close."""
    rows = []
    for i, c in enumerate(day.chain):
        k = float(np.log(day.strike[i] / (day.spot_e9[-1] / 1e9)))
        if k * c["right"] >= 0 and abs(k) < 4 * 0.2 * np.sqrt(day.years[i]) + 0.03:
            half = 0.004 + 0.05 * abs(k)
            rows.append(
                {
                    "slice": c["slice"], "expiry": c["expiry"], "root": "SYN", "k": k,
                    "strike": c["strike"], "right": c["right"], "bid_vol": day.vol[i] - half,
                    "ask_vol": day.vol[i] + half, "model_vol": day.vol[i] + 0.3 * half,
                    "used": abs(k) < 0.17,
                }
            )  # fmt: skip
    return rows


def _pin(day: Day, bound: str, near: bool) -> dict:
    """A position that delivers, before its fixing."""
    return {
        "bound": bound, "ts_ns": CLOSE_NS, "instrument": 0, "symbol": "SYN", "lots": -4,
        "strike": 100.0, "exercise": 0.4, "at_strike": 0.2, "near": near, "sd_lots": 196.0,
        "expiry": "2024-06-07", "total_sd_lots": 196.0, "mean_lots": 3.0, "gap_usd": 180.0,
        "without_vol": 0,
    }  # fmt: skip


def _presence(day: Day, rng: np.random.Generator, bounds: tuple[str, ...]) -> list[dict]:
    """Two-sided most of the time; absences split between two reasons."""
    rows = []
    for bound in bounds:
        for i in range(len(day.chain)):
            eligible = 23_400.0 * (abs(day.strike[i] - 100) < 15)
            gap = float(eligible * rng.beta(1, 14))
            rows.append(
                {
                    "bound": bound, "instrument": i, "eligible_s": eligible, "open_s": 23_400.0,
                    "two_sided_s": eligible - gap, "absent_no_theo_s": 0.7 * gap,
                    "absent_uncertain_s": 0.3 * gap,
                }
            )  # fmt: skip
    return rows


def busy_run(folder: Path, *, bounds: tuple[str, ...] = BOUNDS, seed: int = 7) -> Path:
    """Write a day of a few hundred fills. A cheap stand-in for a replay; same seed, same bytes."""
    rng = np.random.default_rng(seed)
    day = make_day(rng)
    fills, pnl, greeks, results = [], [], [], {}
    for bound, count in zip(bounds, (90, 170, 260), strict=False):
        f, p, g = _world(day, bound, rng, count, 15_000_000)
        fills, pnl, greeks = fills + f, pnl + p, greeks + g
        results[bound] = {
            "journal_hash": f"{len(f):064x}",
            "quotes_sent": 41_234 + len(f),
            "trips": 1,
            "limit": {
                "inventory_usd": 10_000_000.0,
                "worst_inventory_usd": max(r["inventory_usd"] for r in p),
            },
            "ledger_net_e9": p[-1]["net_e9"],
            "closing_marks": {
                "policy": "settlement_theo_mid",
                "against_e9": {"settlement_theo_mid": 0, "mid": -7_250_000_000},
            },
            "picked_off_contracts": 12, "picked_off_e9": 34_500_000_000, "unquoted_usd_s": 2_340.0,
            "throttled": 5, "excluded_prints": 7, "side_trips": 1, "decisions": 90_000,
            "sweeps": 400,
        }  # fmt: skip
    frames = {
        "chain": _closing(day),
        "fills": fills,
        "pnl": pnl,
        "greeks": greeks,
        "prints": _prints(day, rng, 1500),
        "quotes": [q for b in bounds for q in _quotes(day, b)],
        "surface": _surface(day, rng),
        "smiles": _smiles(day),
        "presence": _presence(day, rng, bounds),
        "pins": [_pin(day, bound, near) for bound in bounds for near in (True, False)],
        "carry": [
            {"bound": bound, "ts_ns": CLOSE_NS, "kind": "dividend", "amount_e9": 12_500_000_000,
             "note": "1.25 USD a share ex 2024-06-21"}
            for bound in bounds
        ],
    }  # fmt: skip
    quality = {
        "rows": 612_345,
        "quarantined": {"crossed": 31, "negative price": 2, "unparsable": 1},
        "two_sided_share": 0.934,
        "notes": ["minute bars; a row is known at its stamp + 60 s"],
    }
    watched = {"samples": 3, "p50_us": 2.0, "p90_us": 4.0, "p99_us": 4.0, "max_us": 4.1,
               "histogram": [{"le_us": 2.0, "count": 2}, {"le_us": 4.2, "count": 1}]}  # fmt: skip
    done = {
        "events": 612_345, "wall_seconds": 3.2, "bounds": results, "data_quality": quality,
        "assumptions": ["Latency: feed 1 ms and order 5 ms.", "Queue: price, then time."],
        "latency": {"method": "wall clock", "looked_at": 9, "event": watched, "decision": watched},
        "fixings": [{"expiry": "2024-06-07", "root": "SYN", "px_e9": 100 * 10**9,
                     "source": "last underlying print", "official": False}],
    }  # fmt: skip
    head = manifest("SYN", bounds, done)
    return write(folder, head, {name: frame(name, rows) for name, rows in frames.items()})
