"""Rows of American options: continuous yield against QuantLib, cash dividends, the chain."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from optmm.bench import markets, referee, tables
from optmm.bench.markets import Floats, SpotOptions
from optmm.bench.rows import Row, skipped
from optmm.bench.timing import race
from surfaces.pricing import american, american_cash, black, deamericanise, implied
from surfaces.pricing.dividends import Dividends

US = "us/option"
MS = "ms"
MODES: tuple[tuple[american.Accuracy, float, float, float], ...] = (
    ("fast", 8.0, 4e-4, 2.5e-3),
    ("precise", 40.0, 2.5e-5, math.inf),
)
CASH: tuple[tuple[american.Accuracy, float, float], ...] = (
    ("fast", 70.0, 4e-3),
    ("precise", 200.0, 1.3e-3),
)
FIVE = ("price", "delta", "gamma", "vega", "vanna", "volga")


def yields(quick: bool, say: Callable[[str], None]) -> list[Row]:
    """Speed and error of both modes, and how much longer QuantLib needs for the same error."""
    many = markets.american(1_000 if quick else 4_000)
    few = markets.american(60 if quick else 240, seed=2_016)
    speed = race({mode: _priced(many, mode) for mode, *_ in MODES})
    say("QuantLib: tanh-sinh prices and a ladder of schemes on the same options")
    truth = referee.precise(few)
    ladder = referee.ladder(few, truth)
    found = tables.american_yield()
    rows = [
        Row(f"QuantLib {step.name}", step.microseconds, US, note=f"rmse {step.rmse:.1e} USD")
        for step in ladder
        if step.name in (referee.FAST, referee.ACCURATE)
    ]
    anew = referee.built_anew(few)
    rows.append(Row(f"QuantLib {referee.FAST}, objects made each time", anew, US))
    for mode, slowest, rmse, worst in MODES:
        mine = 1e6 * speed[mode] / len(many)
        what = f"American, yield, {mode}"
        rows.append(Row(what, mine, US, slowest, note=f"{len(many):,} drawn options"))
        rows += _table_rows(what, mode, rmse, worst, found)
        errors = _priced(few, mode)() - truth
        mean, most = _rms(errors), float(np.max(np.abs(errors)))
        note = f"max {most:.1e}; against QuantLib tanh-sinh in this run"
        rows.append(Row(f"{what}: rmse on {len(few)} drawn", mean, "USD", rmse, note=note))
        theirs, words = referee.at_error(ladder, mean)
        rows.append(
            Row(f"{what}: QuantLib QdFp of equal rmse / ours", theirs / mine, "x",
                8.0, True, words)
        )  # fmt: skip
    return rows


def _table_rows(
    what: str,
    mode: american.Accuracy,
    rmse: float,
    worst: float,
    found: tuple[SpotOptions, Floats] | None,
) -> list[Row]:
    """Root mean square and largest error on the committed table."""
    if found is None:
        return [skipped(f"{what}: rmse on the table", "USD", rmse, tables.MISSING)]
    options, truth = found
    errors = _priced(options, mode)() - truth
    rows = [Row(f"{what}: rmse on the table", _rms(errors), "USD", rmse)]
    most = float(np.max(np.abs(errors)))
    bar = worst if math.isfinite(worst) else None
    return [*rows, Row(f"{what}: largest error on the table", most, "USD", bar)]


def cash(quick: bool) -> list[Row]:
    """Four dividends of USD 1.80: speed on drawn options, error on the committed table."""
    n = 250 if quick else 1_000
    drawn = markets.american(n, seed=180)
    schedule = Dividends.declared(years=[0.12, 0.37, 0.62, 0.87], cash=1.80)
    arguments = drawn.keywords() | {"years": np.ones(n), "dividend_yield": np.zeros(n)}
    speed = race(
        {mode: _cash(arguments, schedule, mode) for mode, *_ in CASH}, rounds=5, budget=6.0
    )
    found = tables.american_cash()
    rows = []
    for step in referee.cash_grids(*found) if found is not None else ():
        note = f"rmse {step.rmse:.1e} USD on the table"
        rows.append(Row(f"{step.name}, cash dividends", step.microseconds, US, note=note))
    for mode, slowest, rmse in CASH:
        what = f"American, cash dividends, {mode}"
        rows.append(Row(what, 1e6 * speed[mode] / n, US, slowest, note="4 x USD 1.80 in a year"))
        if found is None:
            rows.append(skipped(f"{what}: rmse on the table", "USD", rmse, tables.MISSING))
            continue
        errors = _cash_table(*found[:3], mode) - found[3]
        note = f"max {np.max(np.abs(errors)):.1e}; {errors.size} rows"
        rows.append(Row(f"{what}: rmse on the table", _rms(errors), "USD", rmse, note=note))
    return rows


def _cash_table(
    options: SpotOptions, times: list[list[float]], each: Floats, mode: american.Accuracy
) -> Floats:
    """Prices of rows that each have a schedule of their own."""
    out = np.empty(len(options))
    for i, when in enumerate(times):
        row = {name: values[i] for name, values in options.keywords().items()}
        schedule = Dividends.declared(years=when, cash=each[i])
        out[i] = american_cash.price(**row, dividends=schedule, accuracy=mode)
    return out


def chain() -> list[Row]:
    """One pass over 10,020 options in 30 expiries, in milliseconds."""
    it = markets.chain()
    all_rows, spots = it.options, it.on_spot()
    size = len(all_rows)
    out = np.empty((len(FIVE), size))
    shared: dict[str, Any] = {
        "forward": it.forward, "years": it.years, "df": it.df, "slices": it.bounds,
        "strike": all_rows.strike, "right": all_rows.right,
    }  # fmt: skip
    european = np.asarray(black.price(vol=all_rows.vol, **shared))
    listed = american.price(**spots.keywords(), accuracy="precise")
    each = {name: getattr(all_rows, name) for name in ("right", "forward", "strike", "years", "df")}
    terms = {n: v for n, v in spots.keywords().items() if n != "vol"}
    tasks: dict[str, Callable[[], Any]] = {
        "Black + 5 Greeks": lambda: black.greeks(vol=all_rows.vol, which=FIVE, out=out, **shared),
        "implied vol": lambda: implied.vol(price=european, **each),
        "American reprice, fast": lambda: american.price(**spots.keywords()),
        "de-Americanised vols": lambda: deamericanise.vols(price=listed, **terms),
    }
    best = race(tasks, rounds=25, budget=4.0)
    bars = dict(zip(tasks, (0.5, 1.0, 80.0, 300.0), strict=True))
    rows = [
        Row(f"chain of {size:,}: {name}", 1e3 * seconds, MS, bars[name])
        for name, seconds in best.items()
    ]
    layout = Row(
        "price + 5 Greeks, chain layout", 1e9 * best["Black + 5 Greeks"] / size, "ns/option",
        18.0,
    )  # fmt: skip
    got = deamericanise.vols(price=listed, **terms)
    fine = np.asarray(got.ok)
    again = american.price(**terms, vol=np.where(fine, got.vol, 0.0), accuracy="precise")
    off = np.abs(again - listed)[fine]
    note = f"median {np.median(off):.1e}; {int(np.sum(~fine)):,} prices hold no vol"
    what = "de-Americanised vols: largest error in price"
    return [layout, *rows, Row(what, float(off.max()), "USD", note=note)]


def _priced(it: SpotOptions, mode: american.Accuracy) -> Callable[[], Any]:
    return lambda: american.price(**it.keywords(), accuracy=mode)


def _cash(
    arguments: dict[str, Any], schedule: Dividends, mode: american.Accuracy
) -> Callable[[], Any]:
    return lambda: american_cash.price(**arguments, dividends=schedule, accuracy=mode)


def _rms(errors: Floats) -> float:
    return float(np.sqrt(np.mean(errors**2)))
