"""Several sessions: the state goes through the night, the listing goes on, dividends fall."""

import itertools

import numpy as np
import pytest

from optmm.data.simulator import simulate_day, simulate_days
from optmm.data.simulator.config import SimulationConfig
from optmm.data.simulator.day import clock_of
from optmm.data.simulator.days import next_opening, next_session
from optmm.data.simulator.opening import Curve, first_opening, forward_variance
from optmm.market.instruments import parse_osi

SMALL = {"quote_events_target": 20_000, "takers_per_day": 500.0}


@pytest.fixture(scope="module")
def week():
    config = SimulationConfig(
        dividend_dates=("2025-03-14", "2025-06-20"), dividend_usd=(1.7, 1.8), minutes=10, **SMALL
    )
    return list(simulate_days(config, 7, 4))


def test_the_first_day_is_the_single_day_and_all_repeat():
    config = SimulationConfig(minutes=1, **SMALL)
    days = [d.day for d in simulate_days(config, 5, 2)]
    assert days[0].sources == simulate_day(config, 5).day.sources
    again = [d.day for d in simulate_days(config, 5, 2)]
    assert [d.sources for d in days] == [d.sources for d in again]
    assert len({d.sources[0][1] for d in days}) == 2


def test_sessions_follow_each_other_over_weekends(week):
    assert [d.day.session.date for d in week] == [
        "2025-03-12", "2025-03-13", "2025-03-14", "2025-03-17",
    ]  # fmt: skip
    assert next_session("2025-04-17") == "2025-04-21"  # Good Friday


def test_what_is_listed_stays_until_it_expires(week):
    fresh = 0
    for before, after in itertools.pairwise(week):
        old, new = before.day.chain, after.day.chain
        alive = {s for s, f in zip(old.symbol, old.fixing_ns, strict=True)
                 if f > after.day.session.open_ns}  # fmt: skip
        gone = set(old.symbol) - alive
        assert alive <= set(new.symbol)
        assert gone and not gone & set(new.symbol)
        assert {str(parse_osi(s).expiry) for s in gone} == {before.day.session.date}
        fresh += len(set(new.symbol) - alive)
    assert fresh > 100  # new expiries, and strikes where spot has gone


def test_spot_falls_by_the_dividend_on_its_date(week):
    """The same seed without dividends: equal until the ex-date, 1.70 higher at its open."""
    config = SimulationConfig(minutes=10, **SMALL)
    plain = list(simulate_days(config, 7, 3))
    for one, other in zip(plain[:2], week[:2], strict=True):
        np.testing.assert_array_equal(one.truth.spot, other.truth.spot)
    assert plain[2].truth.spot[0] - week[2].truth.spot[0] == pytest.approx(1.70, abs=1e-9)


def test_without_shocks_the_forward_variance_of_an_expiry_is_what_it_was():
    """No factor, no leverage: the next open expects what the first open did beyond that time."""
    config = SimulationConfig(
        minutes=10, vol_of_variance_per_sqrt_year=0.0, skew_stickiness=0.0, level_noise_sd=0.0,
        term_noise_sd=0.0, **SMALL,
    )  # fmt: skip
    one, two, three = simulate_days(config, 9, 3)
    start = forward_variance(config, np.array([1.0, 2.0]))
    for nights, later in enumerate((two, three), start=1):
        chain = later.day.chain
        old = one.day.chain
        dates = old.expiry[old.slice_start[:-1]].tolist()
        # the second night starts inside an interval that the first made a straight line
        close = 1e-9 if nights == 1 else 1e-3
        theta = later.truth.prices.smile.theta[:, 0]
        seen = 0
        for j, date in enumerate(chain.expiry[chain.slice_start[:-1]].tolist()):
            if date in dates:
                knot = one.truth.prices.knots[dates.index(date)]
                expected = forward_variance(config, np.array([knot]))[0] - start[nights - 1]
                assert theta[j] == pytest.approx(expected, rel=close), date
                seen += 1
        assert seen > 20


def test_forward_variance_is_a_martingale_through_the_night():
    """Mean over nights of (what the next open expects + what the night used) against the close.

    Transient factors off; 120 nights after one and the same session.
    """
    config = SimulationConfig(
        minutes=1, level_noise_sd=0.0, term_noise_sd=0.0, overnight_variance_share=0.3, **SMALL
    )
    simulated = simulate_day(config, 3)
    opening = first_opening(config)
    prices = simulated.truth.prices
    close, spent = prices.clock.elapsed[-1], prices.path.quadratic[-1]
    knots = prices.knots[prices.knots > 1.0][[2, 8, 15]]
    ratios, moves = [], []
    for seed in range(120):
        opened, today = next_opening(simulated, opening, np.random.default_rng(seed))
        carry = 0.031 * (clock_of(today).session.open_ns - simulated.day.session.close_ns)
        moves.append(np.log(opened.spot_usd / prices.path.spot[-1]) - carry / (365 * 86_400e9))
        ratios.append(opened.variance(knots - 1.0))
    was = forward_variance(config, knots) - forward_variance(config, np.array([1.0]))
    error = np.std(ratios, axis=0) / np.sqrt(120.0)
    # a minute of trading moved the level a little before: take the move out by its own mean path
    level = prices.smile.theta[prices.knots > 1.0, -1][[2, 8, 15]] / (
        forward_variance(config, knots) - forward_variance(config, np.array([close]))
    )
    assert (np.abs(np.mean(ratios, axis=0) - was * level) < 4.0 * error + 0.002 * was).all()
    night = forward_variance(config, np.array([1.0])) - forward_variance(config, np.array([close]))
    assert np.var(moves) == pytest.approx(float(night[0]), rel=4.0 * np.sqrt(2.0 / 120.0) + 0.05)
    assert abs(np.mean(np.exp(moves)) - 1.0) < 3.5 * np.std(moves) / np.sqrt(120.0)
    assert spent < 1e-5


def test_factors_age_but_do_not_jump_anew():
    """Half-lives far longer than the night: every factor opens where it closed."""
    config = SimulationConfig(
        minutes=1, skew_half_life_minutes=10_000.0, term_half_life_minutes=10_000.0,
        curvature_half_life_minutes=10_000.0, noise_half_life_minutes=10_000.0, **SMALL,
    )  # fmt: skip
    one, two = list(simulate_days(config, 9, 2))
    # an hour of a half-life of 10,000 minutes: s.d. sqrt(1 - 0.5^(2 x 60 / 10,000)) = 0.09
    for name, path in one.truth.prices.smile.factors.items():
        assert abs(two.truth.prices.smile.factors[name][0] - path[-1]) < 4.0 * 0.092, name
    shared = two.truth.prices.smile.noise[:10, 0] - one.truth.prices.smile.noise[1:11, -1]
    assert np.abs(shared).max() < 4.0 * 0.092


def test_curve_is_a_line_between_its_knots_and_the_slope_beyond():
    curve = Curve(np.array([0.0, 1.0, 3.0]), np.array([0.0, 2.0, 3.0]), 0.25)
    np.testing.assert_allclose(
        curve(np.array([0.0, 0.5, 2.0, 3.0, 5.0])), [0.0, 1.0, 2.5, 3.0, 3.5]
    )
