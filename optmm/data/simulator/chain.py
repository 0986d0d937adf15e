"""Which options are listed: daily, weekly, month-end and long expiries; strikes by distance."""

import datetime as dt

import numpy as np
from numpy.typing import NDArray

from optmm.data.simulator.clock import BUSINESS_DAYS_PER_YEAR, Clock
from optmm.data.simulator.config import SimulationConfig
from optmm.data.simulator.opening import Opening, first_opening
from optmm.market import calendar
from optmm.market.chain import Chain, Underlying
from optmm.market.instruments import Option
from optmm.market.products import list_chain, product

ROOT = "SPY"

DAILY_SESSIONS = 10
WEEKLY_DAYS = 60
MONTHLY_DAYS = 130
QUARTERLY_DAYS = 400
LEAPS_DAYS = 740
MOVE_OF_DAY = 0.01  # the money may travel this far and still be well listed


def expiries(sessions: NDArray[np.datetime64], trade_date: np.datetime64) -> NDArray[np.datetime64]:
    """Expiry dates, increasing, of a symbol with daily expiries.

    `sessions` are the exchange's trading dates (datetime64[D], increasing) from `trade_date` to at
    least two years on. A date that falls on a holiday moves to the session before it.
    """
    ahead = sessions[sessions >= trade_date]
    days = np.arange(trade_date, trade_date + LEAPS_DAYS)
    age = (days - trade_date).astype(np.int64)
    months = days.astype("datetime64[M]")
    month = months.astype(np.int64) % 12 + 1
    day = (days - months).astype(np.int64) + 1
    is_friday = np.is_busday(days, weekmask="Fri")
    is_third = is_friday & (day >= 15) & (day <= 21)
    is_month_end = (days + 1).astype("datetime64[M]") != months
    wanted = (
        (is_friday & (age <= WEEKLY_DAYS))
        | (is_third & (age <= MONTHLY_DAYS))
        | (is_month_end & (age <= WEEKLY_DAYS // 2))
        | (is_month_end & (month % 3 == 0) & (age <= QUARTERLY_DAYS))
        | (is_third & np.isin(month, (1, 6, 12)))
    )
    moved = sessions[np.searchsorted(sessions, days[wanted], side="right") - 1]
    picked = np.union1d(ahead[: DAILY_SESSIONS + 1], moved)
    return picked[picked >= trade_date]


def strikes(spot_usd: float, sd: float, reach_sd: float, days: int) -> NDArray[np.float64]:
    """Listed strikes of one expiry in USD, increasing.

    `sd` is the standard deviation of the log-forward to expiry. Below the money the listing reaches
    `reach_sd` deviations, above it 60 % of that, as index options are used. Spacing is $1 near the
    money while the expiry is near, then $5, $10 and $25.
    """
    low = spot_usd * np.exp(-reach_sd * sd - MOVE_OF_DAY)
    high = spot_usd * np.exp(0.6 * reach_sd * sd + MOVE_OF_DAY)
    near, middle = (1.0, 5.0) if days <= 30 else (5.0, 10.0) if days <= 270 else (10.0, 25.0)
    core = np.clip(0.8 * sd * spot_usd, 6.0 * near, 12.0 * near) + MOVE_OF_DAY * spot_usd
    core_low, core_high = spot_usd - core, spot_usd + core
    wide_low, wide_high = spot_usd - 4.0 * core, spot_usd + 4.0 * core
    grids = (
        _grid(max(low, 0.3 * spot_usd), min(high, wide_low), 2.0 * middle),
        _grid(max(low, wide_low), min(high, core_low), middle),
        _grid(max(low, core_low), min(high, core_high), near),
        _grid(max(low, core_high), min(high, wide_high), middle),
        _grid(max(low, wide_high), high, 2.0 * middle),
    )
    return np.unique(np.concatenate(grids))


def _grid(low: float, high: float, step: float) -> NDArray[np.float64]:
    """Multiples of `step` inside [low, high]."""
    return step * np.arange(np.ceil(low / step), np.floor(high / step) + 1.0)


def trading_dates(exchange: str, start: str, days: int) -> NDArray[np.datetime64]:
    """Trading dates of an exchange in `days` calendar days from `start`, datetime64[D]."""
    first = np.datetime64(start, "D")
    span = [str(first + n) for n in range(days)]
    return np.array([d for d in span if calendar.is_session(exchange, d)], "datetime64[D]")


def listing(
    config: SimulationConfig, clock: Clock, opening: Opening | None = None
) -> tuple[Chain, NDArray[np.int64]]:
    """The chain of the day, and of each slice how many sessions ahead it is fixed (0 is today).

    What was listed on an earlier day stays; new expiries and strikes come as spot asks for them.
    """
    opening = opening or first_opening(config)
    terms = product(ROOT)
    today = np.datetime64(config.trade_date, "D")
    sessions = trading_dates(terms.exchange, config.trade_date, LEAPS_DAYS + 1)
    kept = {o for o in opening.listed if np.datetime64(o.expiry, "D") >= today}
    wanted = expiries(sessions, today)
    ahead = np.searchsorted(sessions, wanted)
    vol = 0.5 * (config.spot_vol_per_year + config.long_vol_per_year)
    spread = vol * np.sqrt(clock.at_expiry(ahead) / BUSINESS_DAYS_PER_YEAR)
    options = {
        Option(ROOT, expiry, right, round(strike * 1000) * 1_000_000)
        for expiry, sd, days in zip(
            wanted.astype(dt.date), spread, (wanted - today).astype(int), strict=True
        )
        for strike in strikes(opening.spot_usd, float(sd), config.strike_reach_sd, int(days))
        for right in (1, -1)
    }
    stock = Underlying(ROOT, terms.kind, terms.underlying_multiplier, terms.underlying_tick_e9)
    chain = list_chain(options | kept, date=config.trade_date, underlying=stock)
    dates = chain.expiry[chain.slice_start[:-1]]
    return chain, np.searchsorted(sessions, dates).astype(np.int64)
