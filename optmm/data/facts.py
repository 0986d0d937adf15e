"""Stylised facts of any market day, real or simulated: one table to hold them against each other.

    facts = facts_of(open_day(path, "GOOG", "2015-12-24"))
    facts.as_json()             # name -> figure; None where the day does not say

Spreads   median of (ask - bid) / mid of out-of-the-money options, at instants a quarter of an hour
          apart, by z = |ln(K/F)| / (at-the-money vol x sqrt(years)) and days to expiry.
Sizes     contracts a print; on bar data contracts a bar with trades, which holds several prints.
Signs     correlation of the signs of trades 1 and 10 apart, in order of time over all options; as
          given, else by the quote rule against the quote before (a bar by its middle); those at
          the middle are left out.
U-shape   share of the first and last half hour, over what even time would give them: of trades, and
          of the variance of one-minute moves of the underlying.
Smile     surfaces fitted anew every quarter of an hour: s.d. of half-hour changes of at-the-money
          vols, and the skew-stickiness ratio with its standard error.
A simulated day's trades are the takers who meet the displayed quote.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optmm.market.chain import MarketDay
from optmm.market.events import NOT_HITTABLE, Kind
from surfaces import dynamics_changes, dynamics_history
from surfaces.surface import VolSurface
from surfaces.units import years_between

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

NS = 1_000_000_000
SAMPLE_S, MOVE_S, EDGE_S = 900, 60, 1800
STALE_S = 1800.0
MONEYNESS = ((0.0, 0.5), (0.5, 1.5), (1.5, 3.0))
TENORS = ((0.0, 8.0), (8.0, 45.0), (45.0, 1000.0))  # days
SIZE_QUANTILES = (0.5, 0.9, 0.99)
LAGS = (1, 10)
LEAST = 20  # values below which no figure is given
SESSIONS_A_YEAR = 252.0


@dataclass(frozen=True, slots=True)
class Facts:
    """Name to figure, NaN where the day does not say; the unit is in the name."""

    title: str
    values: dict[str, float]

    def as_json(self) -> dict[str, float | None]:
        """Plain values; a NaN becomes None."""
        return {
            name: float(value) if np.isfinite(value) else None
            for name, value in self.values.items()
        }


@dataclass(frozen=True, slots=True)
class Trades:
    """Trades in order of time; arrays of one length. `sign` 0 is unknown."""

    ts_ns: Ints
    lots: Ints
    sign: Ints


def facts_of(day: MarketDay) -> Facts:
    """Measure a day. A few seconds for each of its surfaces, of which there are up to 26."""
    grid, spot = _level(day, MOVE_S)
    trades = trades_of(day)
    values = {"option_quotes": float((day.events["kind"] == Kind.QUOTE).sum())}
    values |= {"trades": float(trades.ts_ns.size)}
    values |= _underlying(day)
    values |= _sizes(trades) | _signs(trades)
    values |= _ends("trades", trades.ts_ns, np.ones(trades.ts_ns.size), day)
    moves = np.diff(np.log(spot))
    known = np.isfinite(moves)
    values |= _ends("variance", grid[1:][known], moves[known] ** 2, day)
    values |= _surfaces(day, moves[known])
    title = f"{day.chain.underlying.symbol} {day.session.date}"
    return Facts(title, {name: float(value) for name, value in values.items()})


def trades_of(day: MarketDay) -> Trades:
    """Prints, bars with volume, or a simulated market's takers who meet the displayed quote."""
    events = day.events
    wanted = np.isin(events["kind"], (Kind.TRADE, Kind.BAR, Kind.TAKER))
    rows = events[wanted & (events["bits"] & NOT_HITTABLE == 0)]
    kind, buys = rows["kind"], rows["ask_lots"] > 0
    bid, ask = _met(day, rows)
    two_sided = (bid > 0) & (ask > bid)
    middle2 = rows["bid_e9"] + rows["ask_e9"]  # twice the price of a print, of a bar's middle
    ruled = np.where(two_sided, np.sign(middle2 - bid - ask), 0)
    given = np.where(kind == Kind.TRADE, rows["ask_lots"], 0)
    sign = np.where(kind == Kind.TAKER, np.where(buys, 1, -1), np.where(given != 0, given, ruled))
    meets = np.where(buys, (ask > 0) & (rows["ask_e9"] >= ask), (bid > 0) & (rows["bid_e9"] <= bid))
    lots = np.where(kind == Kind.TAKER, rows["bid_lots"] + rows["ask_lots"], rows["bid_lots"])
    keep = (lots > 0) & ((kind != Kind.TAKER) | meets)
    return Trades(rows["ts_event_ns"][keep], lots[keep], sign[keep].astype(np.int64))


def _met(day: MarketDay, rows: NDArray[np.void]) -> tuple[Ints, Ints]:
    """Bid and ask (e9) displayed strictly before each row; 0 where nothing was."""
    quotes = day.events[day.events["kind"] == Kind.QUOTE]
    order = np.lexsort((quotes["ts_event_ns"], quotes["instrument"]))
    quotes = quotes[order]
    times = np.unique(quotes["ts_event_ns"])
    key, wanted = (
        table["instrument"].astype(np.int64) * (times.size + 1)
        + np.searchsorted(times, table["ts_event_ns"])
        for table in (quotes, rows)
    )
    at = np.searchsorted(key, wanted) - 1
    if not quotes.size:
        return np.zeros(rows.size, np.int64), np.zeros(rows.size, np.int64)
    found = (at >= 0) & (quotes["instrument"][at] == rows["instrument"])
    return np.where(found, quotes["bid_e9"][at], 0), np.where(found, quotes["ask_e9"][at], 0)


def _underlying_quotes(day: MarketDay) -> NDArray[np.void]:
    """The events that say where the underlying is: quotes, or an index's prints."""
    events = day.events
    quoted = (events["kind"] == Kind.UNDERLYING_QUOTE) & (events["bid_e9"] > 0)
    quoted &= events["ask_e9"] >= events["bid_e9"]
    if quoted.any():
        return events[quoted]
    return events[(events["kind"] == Kind.UNDERLYING_TRADE) & (events["bid_e9"] > 0)]


def _level(day: MarketDay, step_s: int) -> tuple[Ints, Floats]:
    """Level of the underlying every `step_s` from the open, USD; NaN before the first quote."""
    rows = _underlying_quotes(day)
    session = day.session
    grid = np.arange(session.open_ns, session.close_ns + 1, step_s * NS)
    at = np.searchsorted(rows["ts_event_ns"], grid, side="right") - 1
    middle = 0.5e-9 * (rows["bid_e9"] + rows["ask_e9"])
    return grid, np.where(at >= 0, middle[np.maximum(at, 0)], np.nan)


def _underlying(day: MarketDay) -> dict[str, float]:
    rows = day.events[day.events["kind"] == Kind.UNDERLYING_QUOTE]
    rows = rows[(rows["bid_e9"] > 0) & (rows["ask_e9"] > rows["bid_e9"])]
    if rows.size < LEAST:
        return {"underlying_spread_bp": np.nan}
    held = np.diff(np.append(rows["ts_event_ns"], day.session.close_ns)).astype(np.float64)
    held = np.maximum(held, 0.0)
    gap = 2e4 * (rows["ask_e9"] - rows["bid_e9"]) / (rows["ask_e9"] + rows["bid_e9"])
    return {"underlying_spread_bp": float((gap * held).sum() / held.sum())}


def _sizes(trades: Trades) -> dict[str, float]:
    if trades.lots.size < LEAST:
        return {f"trade_size_q{100 * q:g}": np.nan for q in SIZE_QUANTILES}
    return {f"trade_size_q{100 * q:g}": float(np.quantile(trades.lots, q)) for q in SIZE_QUANTILES}


def _signs(trades: Trades) -> dict[str, float]:
    signs = trades.sign[trades.sign != 0].astype(np.float64)
    out = {}
    for lag in LAGS:
        few = signs.size < 10 * LEAST or signs.std() == 0.0
        value = np.nan if few else float(np.corrcoef(signs[:-lag], signs[lag:])[0, 1])
        out[f"sign_autocorrelation_lag{lag}"] = value
    return out


def _ends(name: str, ts_ns: Ints, weight: Floats, day: MarketDay) -> dict[str, float]:
    """Weight in the first and last half hour over that of as much even time."""
    start, end = day.session.open_ns, day.session.close_ns
    total = weight.sum()
    out = {}
    for place, low, high in (
        ("first", start, start + EDGE_S * NS), ("last", end - EDGE_S * NS, end + 1)
    ):  # fmt: skip
        inside = (ts_ns > low) & (ts_ns <= high)
        even = EDGE_S * NS / (end - start)
        few = ts_ns.size < LEAST or even > 0.25 or total <= 0.0
        out[f"{name}_{place}_half_hour"] = (
            np.nan if few else float(weight[inside].sum() / total / even)
        )
    return out


def _surfaces(day: MarketDay, moves: Floats) -> dict[str, float]:
    """What needs fitted surfaces: spreads, smile moves, realised against implied vol."""
    spreads: dict[str, list[Floats]] = {
        _cell(money, tenor): [] for tenor in TENORS for money in MONEYNESS
    }
    fitted: list[VolSurface] = []
    for surface, bid, ask in fits(day):
        fitted.append(surface)
        for name, values in _spreads(day, surface, bid, ask).items():
            spreads[name].append(values)
    out = {}
    for name, parts in spreads.items():
        values = np.concatenate([*parts, np.empty(0)])
        out[name] = float(np.median(values)) if values.size >= LEAST else np.nan
    return out | _smile(fitted) | _realised(fitted, moves, day)


def _cell(money: tuple[float, float], tenor: tuple[float, float]) -> str:
    days = f"{tenor[0]:g}-{tenor[1]:g}d" if tenor[1] < 1000.0 else f"{tenor[0]:g}d+"
    return f"relative_spread_z{money[0]:g}-{money[1]:g}_{days}"


def fits(day: MarketDay) -> Any:
    """(surface, bid, ask) a quarter of an hour apart; bids and asks USD (n,), NaN where absent."""
    from optmm.config import DeskConfig
    from optmm.engine.market import fit_config, slices_of
    from surfaces.live import LiveFitter

    chain, session, events = day.chain, day.session, day.events
    fitter = LiveFitter(slices_of(chain), fit_config(chain, DeskConfig()))
    grid, spot = _level(day, SAMPLE_S)
    quotes = events[events["kind"] == Kind.QUOTE]
    edges = np.searchsorted(quotes["ts_event_ns"], grid, side="right")
    bid, ask = np.full(len(chain), np.nan), np.full(len(chain), np.nan)
    seen, before = np.zeros(len(chain), np.int64), 0
    for now, level, edge in zip(grid.tolist(), spot.tolist(), edges.tolist(), strict=True):
        block = quotes[before:edge]
        before = edge
        rows, last = np.unique(block["instrument"][::-1], return_index=True)
        newest = block[::-1][last]
        for side, shown in (("bid_e9", bid), ("ask_e9", ask)):
            shown[rows] = np.where(newest[side] > 0, newest[side] * 1e-9, np.nan)
        seen[rows] = newest["ts_event_ns"]
        if now == session.open_ns or not np.isfinite(level):
            continue
        usable = (seen > 0) & (now - seen <= STALE_S * NS) & (ask > bid) & (chain.fixing_ns > now)
        if usable.any():
            fresh = usable | ((seen > 0) & (now - seen <= STALE_S * NS))
            surface = fitter.update(now, spot=level, bid=bid, ask=ask, usable=usable)
            yield surface, np.where(fresh, bid, np.nan), np.where(fresh, ask, np.nan)


def _spreads(day: MarketDay, surface: VolSurface, bid: Floats, ask: Floats) -> dict[str, Floats]:
    """Relative spreads of the two-sided out-of-the-money options of an instant, by cell."""
    chain, j = day.chain, day.chain.slice_of
    forward, years, vol = surface.forwards[j], surface.years[j], surface.atm_vol[j]
    with np.errstate(invalid="ignore", divide="ignore"):
        z = chain.right * np.log(chain.strike / forward) / (vol * np.sqrt(years))
        relative = 2.0 * (ask - bid) / (ask + bid)
    good = (bid > 0.0) & (ask > bid) & np.isfinite(z) & (z >= 0.0)
    days = 365.0 * years
    return {
        _cell(money, tenor): relative[
            good & (z >= money[0]) & (z < money[1]) & (days >= tenor[0]) & (days < tenor[1])
        ]
        for tenor in TENORS
        for money in MONEYNESS
    }


def _smile(fitted: list[VolSurface]) -> dict[str, float]:
    changes = dynamics_changes.of_surfaces(fitted, step=2) if len(fitted) > 2 else None
    edges = [low / 365.0 for low, _ in TENORS] + [TENORS[-1][1] / 365.0]
    edges[0] = 0.5 / 365.0
    out = {}
    for i, tenor in enumerate(TENORS):
        name = _cell((0.0, 0.0), tenor).rpartition("_")[2]
        few, sd, ratio, error = True, np.nan, np.nan, np.nan
        if changes is not None:
            rows = (changes.years >= edges[i]) & (changes.years < edges[i + 1])
            rows &= np.isfinite(changes.vol_change)
            few = int(rows.sum()) < LEAST
        if changes is not None and not few:
            sd = 100.0 * float(np.sqrt(np.mean(changes.vol_change[rows] ** 2)))
            found = list(dynamics_history.skew_stickiness(changes, edges=edges[i : i + 2], least=5))
            ratio, error = (found[0].ratio, found[0].error) if found else (np.nan, np.nan)
        out[f"half_hour_vol_points_{name}"] = sd
        out[f"skew_stickiness_{name}"] = ratio
        out[f"skew_stickiness_error_{name}"] = error
    return out


def _realised(fitted: list[VolSurface], moves: Floats, day: MarketDay) -> dict[str, float]:
    """Vol of the session's one-minute moves, a year of sessions, against a month's implied vol."""
    realised = float(np.sqrt(SESSIONS_A_YEAR * (moves**2).sum())) if moves.size > LEAST else np.nan
    implied = []
    for surface in fitted:
        month = np.argmin(np.abs(surface.years - 30.0 / 365.0))
        if 7.0 / 365.0 <= surface.years[month] <= 0.5:
            implied.append(float(surface.atm_vol[month]))
    month_vol = float(np.nanmedian(implied)) if implied else np.nan
    hours = years_between(day.session.open_ns, day.session.close_ns) * 365.0 * 24.0
    return {
        "session_hours": float(hours),
        "realised_vol": realised,
        "implied_vol_month": month_vol,
        "realised_over_implied": realised / month_vol,
    }
