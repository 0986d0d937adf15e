"""Other makers' quotes bracket the truth, on the tick, and agree with each other."""

import numpy as np
import pytest

from optmm.data.simulator import simulate_day
from optmm.data.simulator.config import SimulationConfig
from optmm.market.events import Kind

CENT_E9 = 10_000_000


@pytest.fixture(scope="module")
def quotes(full):
    events = full.day.events
    return events[events["kind"] == Kind.QUOTE]


def test_quotes_bracket_the_truth_when_nobody_errs():
    """Without noise, delay and inventory every maker's own quote surrounds the truth."""
    calm = SimulationConfig(
        minutes=20, quote_events_target=100_000, maker_noises=(0.0, 0.0), maker_skews=(0.0, 0.0),
        maker_delays_ms=(0.0, 0.0), maker_widths=(1.0, 1.5), maker_sizes=(1.0, 1.0),
    )  # fmt: skip
    simulated = simulate_day(calm, 4)
    events = simulated.day.events
    rows = events[events["kind"] == Kind.QUOTE]
    theo = simulated.truth.theo(rows["instrument"], rows["ts_event_ns"])
    assert (rows["bid_e9"] * 1e-9 <= theo + 1e-12).all()
    assert (rows["ask_e9"] * 1e-9 >= theo - 1e-12).all()


def test_most_quotes_bracket_the_truth(full, quotes):
    """Makers err by a fifth to two fifths of a half width (s.d.): few best quotes are wrong."""
    theo = full.truth.theo(quotes["instrument"], quotes["ts_event_ns"])
    good = (quotes["bid_e9"] * 1e-9 <= theo + 1e-12) & (quotes["ask_e9"] * 1e-9 >= theo - 1e-12)
    assert 0.9 < good.mean() < 1.0


def test_never_locked_or_crossed_and_on_the_penny(quotes):
    assert (quotes["ask_e9"] > quotes["bid_e9"]).all()
    assert (quotes["bid_e9"] % CENT_E9 == 0).all() and (quotes["ask_e9"] % CENT_E9 == 0).all()
    assert (quotes["bid_e9"] >= 0).all()


def test_size_is_absent_exactly_where_the_price_is(quotes):
    assert ((quotes["bid_lots"] > 0) == (quotes["bid_e9"] > 0)).all()
    assert (quotes["ask_lots"] > 0).all()


def test_worthless_options_have_no_bid(full, quotes):
    theo = full.truth.theo(quotes["instrument"], quotes["ts_event_ns"])
    worthless = quotes[theo < 0.001]
    assert worthless.size > 100
    assert (worthless["bid_e9"] == 0).all() and (worthless["ask_e9"] <= 2 * CENT_E9).all()


def test_counts_are_what_was_asked_for(full, quotes):
    config = full.truth.prices.config
    takers = full.truth.takers.ts_ns.size
    assert quotes.size == pytest.approx(config.quote_events_target + takers, rel=0.03)
    counts = np.bincount(full.day.events["kind"], minlength=len(Kind))
    assert 14_000 <= counts[Kind.UNDERLYING_QUOTE] <= 24_300
    assert counts[Kind.STATUS] == 2
    seen = np.unique(quotes["instrument"][quotes["ts_event_ns"] == full.day.session.open_ns])
    assert seen.size == len(full.day.chain)


def test_near_and_short_options_are_refreshed_most(full, quotes):
    chain = full.day.chain
    count = np.bincount(quotes["instrument"], minlength=len(chain))
    fair = full.truth.fair(np.arange(count.size), full.day.session.open_ns)
    today = chain.slice_of == 0
    money = (np.abs(fair.delta) > 0.2) & (np.abs(fair.delta) < 0.5)
    deep = np.abs(fair.delta) > 0.9
    assert count[money & today].mean() > 1.3 * count[money & ~today].mean()
    assert np.median(count[money]) > 5 * np.median(count[deep])


def test_on_the_minute_displayed_quotes_are_of_that_minute(full, quotes):
    """What a surface is fit to: most out-of-the-money quotes bracket the truth of the instant."""
    chain = full.day.chain
    for minute in (31, 199, 352):
        at = full.day.session.open_ns + minute * 60 * 10**9
        last = quotes[quotes["ts_event_ns"] <= at]
        top = np.zeros((2, len(chain)))
        top[0, last["instrument"]] = last["bid_e9"] * 1e-9
        top[1, last["instrument"]] = last["ask_e9"] * 1e-9
        fair = full.truth.fair(np.arange(len(chain)), at)
        out = np.abs(fair.delta) < 0.5
        good = (top[0] <= fair.price + 1e-9) & (fair.price <= top[1] + 1e-9)
        assert good[out].mean() > 0.9


def test_parity_of_mids_without_noise_recovers_the_forward():
    """C - P = df (F - K) + premia; rounding moves a mid by less than half a tick."""
    config = SimulationConfig(
        minutes=2,
        width_noise_sd_log=0.0,
        takers_per_day=0.0,
        quote_events_target=10_000,
        maker_noises=(0.0,) * 5,
    )
    simulated = simulate_day(config, 11)
    day, truth = simulated.day, simulated.truth
    at = day.session.open_ns
    first = day.events[(day.events["kind"] == Kind.QUOTE) & (day.events["ts_event_ns"] == at)]
    mid = np.empty(len(day.chain))
    mid[first["instrument"]] = 0.5e-9 * (first["bid_e9"] + first["ask_e9"])
    european = mid - truth.premium(np.arange(mid.size), at)
    for j in range(day.chain.slices):
        rows = np.arange(mid.size)[day.chain.rows(j)]
        calls, puts = rows[::2], rows[1::2]
        money = np.argsort(np.abs(day.chain.strike[calls] - config.spot_usd))[:8]
        calls, puts = calls[money], puts[money]
        years = (day.chain.fixing_ns[calls] - at) / (365 * 86400e9)
        df = np.exp(-config.rate_per_year * years)
        forward = (european[calls] - european[puts]) / df + day.chain.strike[calls]
        true = config.spot_usd * np.exp(
            (config.rate_per_year - config.dividend_yield_per_year) * years
        )
        assert np.abs(forward - true).max() < 0.01 / df.min()


def test_parity_holds_inside_the_spread(full):
    """At the open, with noise: no conversion or reversal at the displayed quotes beyond carry."""
    day = full.day
    at = day.session.open_ns
    first = day.events[(day.events["kind"] == Kind.QUOTE) & (day.events["ts_event_ns"] == at)]
    bid, ask = np.empty(len(day.chain)), np.empty(len(day.chain))
    bid[first["instrument"]] = first["bid_e9"] * 1e-9
    ask[first["instrument"]] = first["ask_e9"] * 1e-9
    strike = day.chain.strike[::2]
    years = (day.chain.fixing_ns[::2] - at) / (365 * 86400e9)
    config = full.truth.prices.config
    spot = full.truth.spot[0]
    low = spot * np.exp(-config.dividend_yield_per_year * years) - strike
    high = spot - strike * np.exp(-config.rate_per_year * years)
    assert (ask[::2] - bid[1::2] >= low - 1e-9).all()
    assert (bid[::2] - ask[1::2] <= high + 1e-9).all()
