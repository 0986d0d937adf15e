"""Consecutive sessions: the state carried on, expiries that leave, strikes that come.

At a close the forward variance of every expiry is what the surface says without its transient
factors. The night is one step of the day's own dynamics, from the last second of the session to the
next open: the night's share of a business day's variance, whatever the days between, with its part
of the variance factor, scheduled events of those hours, and the fall of spot on an ex-date. Forward
variances are martingales through it, as in the day. Factors and each expiry's noise age as by
`NIGHT_MINUTES` of trading. What was listed and has not expired stays listed.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from optmm.data.simulator.chain import ROOT
from optmm.data.simulator.clock import BUSINESS_DAYS_PER_YEAR
from optmm.data.simulator.config import SimulationConfig
from optmm.data.simulator.day import SimulatedDay, clock_of, simulate_session
from optmm.data.simulator.opening import FACTORS, Curve, Opening, first_opening
from optmm.data.simulator.schedule import overnight_move, paid_between
from optmm.data.simulator.smile import LEVEL_LIMIT, Driven, level, loadings, seconds_decay
from optmm.errors import DataError
from optmm.market import calendar
from optmm.market.instruments import parse_osi
from optmm.market.products import product
from surfaces.units import NS_PER_YEAR

Floats = NDArray[np.float64]

NIGHT_MINUTES = 60.0
SEARCH_DAYS = 15  # no exchange was ever shut for longer


def simulate_days(config: SimulationConfig, seed: int, days: int) -> Iterator[SimulatedDay]:
    """Simulate `days` sessions from `trade_date` on, one at a time; equal arguments, equal bytes.

    The first is `simulate_day(config, seed)`. Each later day's truth has the configuration it
    started with: its own date and opening spot.

    Raises
    ------
    DataError
        `trade_date` is not a session; names the nearest ones.
    """
    opening, today = first_opening(config), config
    for number in range(days):
        source = np.random.SeedSequence(seed if number == 0 else (seed, number))
        simulated = simulate_session(today, opening, seed, source)
        yield simulated
        if number + 1 < days:
            night = np.random.default_rng(np.random.SeedSequence((seed, number, 1)))
            opening, today = next_opening(simulated, opening, night)


def next_opening(
    simulated: SimulatedDay, opening: Opening, rng: np.random.Generator
) -> tuple[Opening, SimulationConfig]:
    """The state at the next session's open, and the configuration of that day.

    Raises
    ------
    DataError
        Spot would open below a dollar.
    """
    prices = simulated.truth.prices
    config, chain, smile = prices.config, prices.chain, prices.smile
    date = next_session(config.trade_date)
    open_ns = clock_of(config.model_copy(update={"trade_date": date})).session.open_ns
    close_ns = prices.clock.session.close_ns
    c = loadings(config, prices.knots, opening)
    alive = np.flatnonzero(prices.knots > 1.0)
    event = overnight_move(config, close_ns, open_ns)
    morning = _night(simulated, opening, c, int(alive[0]), event, rng)
    carry = config.rate_per_year - config.dividend_yield_per_year
    moved = float(morning.log_return[0]) - prices.path.log_return[-1]
    grown = np.exp(carry * (open_ns - close_ns) / NS_PER_YEAR + moved)
    spot = float(prices.path.spot[-1] * grown) - paid_between(config, config.trade_date, date)
    if spot < 1.0:
        raise DataError(
            f"spot opens at {spot:.2f} USD on {date}", remedy="Lower the vols or the dividends."
        )
    factors = {
        name: _aged(
            float(smile.factors[name][-1]), getattr(config, f"{name}_half_life_minutes"), rng
        )
        for name in FACTORS
    }
    expiries = chain.expiry[chain.slice_start[:-1]].tolist()
    noise = {
        expiries[j]: _aged(float(smile.noise[j, -1]), config.noise_half_life_minutes, rng)
        for j in alive.tolist()
    }
    listed = tuple(
        parse_osi(symbol)
        for symbol, fixed in zip(chain.symbol, chain.fixing_ns.tolist(), strict=True)
        if fixed > open_ns
    )
    curve = _curve(config, opening, prices.knots, alive, c, morning)
    today = config.model_copy(update={"trade_date": date, "spot_usd": spot})
    return Opening(spot, curve, factors, noise, listed), today


def _night(
    simulated: SimulatedDay,
    opening: Opening,
    c: Floats,
    near: int,
    event: float,
    rng: np.random.Generator,
) -> Driven:
    """One step from the close to the next open, at the level of the first expiry that lives on."""
    prices = simulated.truth.prices
    config, path = prices.config, prices.path
    close = prices.clock.elapsed[-1:]
    until, knot = np.ones(1), float(prices.knots[near])
    was = Driven(
        close, path.log_return[-1:], path.quadratic[-1:], path.factor[-1:],
        path.factor_variance[-1:],
    )  # fmt: skip
    lifted = np.clip(level(config, float(c[near]), close, knot, was), -LEVEL_LIMIT, LEVEL_LIMIT)
    variance = (opening.variance(until) - opening.variance(close)) * np.exp(lifted)
    shock, factor_shock, jump = rng.standard_normal(3)
    step = np.sqrt(variance) * shock - 0.5 * variance + event * jump - 0.5 * event**2
    kappa, xi = config.variance_reversion_per_year, config.vol_of_variance_per_sqrt_year
    years = (until - close) / BUSINESS_DAYS_PER_YEAR
    decay = np.exp(-kappa * years)
    spread = xi * xi * -np.expm1(-2.0 * kappa * years) / (2.0 * kappa)
    return Driven(
        until,
        was.log_return + step,
        was.quadratic + variance + event**2,
        was.factor * decay + np.sqrt(spread) * factor_shock,
        was.factor_variance * decay**2 + spread,
    )


def next_session(date: str) -> str:
    """The trade date after `date`."""
    exchange = product(ROOT).exchange
    days = np.datetime64(date, "D") + np.arange(1, SEARCH_DAYS)
    return next(str(day) for day in days if calendar.is_session(exchange, str(day)))


def _curve(
    config: SimulationConfig, opening: Opening, knots: Floats, alive: NDArray[np.int64],
    c: Floats, at_open: Driven,
) -> Curve:  # fmt: skip
    """Variance expected from the next open on, by expiry; beyond the last as configured."""
    one = at_open.elapsed
    total, start, sums = 0.0, one, [0.0]
    for i in alive.tolist():
        end = knots[i : i + 1]
        base = float(opening.variance(end)[0] - opening.variance(start)[0])
        moved = float(level(config, c[i], start, knots[i], at_open)[0])
        total += base * float(np.exp(np.clip(moved, -LEVEL_LIMIT, LEVEL_LIMIT)))
        sums.append(total)
        start = end
    ends = np.concatenate(([0.0], knots[alive] - 1.0))
    return Curve(ends, np.array(sums), config.long_vol_per_year**2 / BUSINESS_DAYS_PER_YEAR)


def _aged(value: float, half_life_minutes: float, rng: np.random.Generator) -> float:
    """An Ornstein-Uhlenbeck deviation of unit variance a night later."""
    decay = seconds_decay(half_life_minutes) ** (60.0 * NIGHT_MINUTES)
    return float(decay * value + np.sqrt(1.0 - decay * decay) * rng.standard_normal())
