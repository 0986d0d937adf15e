"""What fights back: makers who compete and lag, a stock whose sizes know, events, halts, faults."""

import numpy as np
import pytest

from optmm.data.simulator import simulate_day
from optmm.data.simulator.config import SimulationConfig, simulation_config
from optmm.data.simulator.faults import Fault
from optmm.data.simulator.makers import pressure_of
from optmm.data.simulator.schedule import event_variance
from optmm.errors import ConfigError
from optmm.market.events import Bits, Kind

NS = 10**9
FEW = {"quote_events_target": 60_000, "takers_per_day": 3000.0}
ONE = {"maker_skews": (0.0,), "maker_noises": (0.0,), "maker_sizes": (1.0,)}


def _of(day, kind):
    return day.events[day.events["kind"] == kind]


def test_the_best_of_many_is_never_worse_than_one():
    """Without noise the tightest maker sets the quote, and more makers at its price add size."""
    base = {"minutes": 10, "width_noise_sd_log": 0.0, "takers_per_day": 0.0,
            "quote_events_target": 60_000}  # fmt: skip
    one = simulate_day(
        SimulationConfig(maker_widths=(1.0,), maker_delays_ms=(0.0,), **ONE, **base), 5
    ).day
    four = simulate_day(
        SimulationConfig(
            maker_widths=(1.0,) * 4, maker_delays_ms=(0.0,) * 4, maker_noises=(0.0,) * 4,
            maker_skews=(0.0,) * 4, maker_sizes=(1.0,) * 4, **base,
        ), 5,
    ).day  # fmt: skip
    mixed = simulate_day(
        SimulationConfig(
            maker_widths=(3.0, 1.0), maker_delays_ms=(0.0, 0.0), maker_noises=(0.0, 0.0),
            maker_skews=(0.0, 0.0), maker_sizes=(1.0, 1.0), **base,
        ), 5,
    ).day  # fmt: skip
    at = one.session.open_ns
    first = [q[q["ts_event_ns"] == at] for q in (_of(d, Kind.QUOTE) for d in (one, four, mixed))]
    for other in first[1:]:
        np.testing.assert_array_equal(other["bid_e9"], first[0]["bid_e9"])
        np.testing.assert_array_equal(other["ask_e9"], first[0]["ask_e9"])
    # of two makers one is three times as wide: the size shown is the other's alone
    for side in ("bid_lots", "ask_lots"):
        shown = [q[side][q["bid_e9"] > 0].mean() for q in first]
        assert shown[2] == pytest.approx(shown[0], rel=0.1), side
        assert shown[1] == pytest.approx(4 * shown[0], rel=0.1), side


def test_a_slow_maker_s_quote_is_of_the_spot_before():
    """Delay 1.5 s: the middle of its quotes follows the truth of two seconds ago, not of now."""
    config = SimulationConfig(
        minutes=30, maker_widths=(1.0,), maker_delays_ms=(1500.0,), width_noise_sd_log=0.0,
        **ONE, **FEW,
    )  # fmt: skip
    simulated = simulate_day(config, 5)
    truth, chain = simulated.truth, simulated.day.chain
    rows = _of(simulated.day, Kind.QUOTE)
    rows = rows[(rows["ts_event_ns"] > simulated.day.session.open_ns + 10 * NS)]
    i, at = rows["instrument"].astype(np.int64), rows["ts_event_ns"]
    fair = truth.fair(i, at)
    keep = (np.abs(fair.delta) > 0.3) & (rows["bid_e9"] > 0) & (chain.fixing_ns[i] > at)
    keep &= at % NS != 0  # mass quotes allow a second
    error = 0.5e-9 * (rows["bid_e9"] + rows["ask_e9"]) - fair.price
    spot = truth.spot
    second = (at - simulated.day.session.open_ns) // NS
    seen = (at - 1_500_000_000 - simulated.day.session.open_ns) // NS
    lag = (fair.delta * (spot[seen] - spot[second]))[keep]
    slope = np.polyfit(lag, error[keep], 1)[0]
    # what is left is rounding outward to the cent: half a cent at most on the middle
    assert slope == pytest.approx(1.0, abs=0.05)
    assert np.abs(error[keep] - lag).max() <= 0.005 + 1e-9


def test_makers_lean_against_what_they_are_short_of(full):
    """The pressure of an expiry is the decayed sum of signed lots, by plain summation."""
    prices, flow = full.truth.prices, full.truth.takers
    pressure = pressure_of(prices, flow)
    gap = flow.side * (flow.reservation_e9 * 1e-9 - flow.theo)
    traded = gap >= flow.half_width
    tau = prices.config.maker_unwind_minutes * 60.0
    rng = np.random.default_rng(0)
    for j, offset in zip(rng.integers(0, 6, 20), rng.integers(600, 24_000, 20), strict=True):
        at = full.day.session.open_ns + int(offset) * NS
        mine = traded & (prices.chain.slice_of[flow.instrument] == j) & (flow.ts_ns < at)
        age = (at - flow.ts_ns[mine]) / 1e9
        expected = (flow.side * flow.lots)[mine] @ np.exp(-age / tau)
        found = pressure.at(np.array([j]), np.array([at]))[0]
        assert found == pytest.approx(expected, abs=1e-6)


def _microprice(config, seed):
    """(mid - truth later, micro - truth later) over the underlying's quotes, USD."""
    simulated = simulate_day(config, seed)
    rows = _of(simulated.day, Kind.UNDERLYING_QUOTE)
    second = (rows["ts_event_ns"] - simulated.day.session.open_ns) // NS
    spot = simulated.truth.spot
    later = spot[np.minimum(second + config.imbalance_horizon_seconds, spot.size - 1)]
    bid, ask = rows["bid_e9"] * 1e-9, rows["ask_e9"] * 1e-9
    total = rows["bid_lots"] + rows["ask_lots"]
    micro = (bid * rows["ask_lots"] + ask * rows["bid_lots"]) / total
    return 0.5 * (bid + ask) - later, micro - later


def test_displayed_sizes_know_the_next_move_as_strongly_as_configured():
    """The size-weighted middle beats the middle, more the stronger; with 0 it is noise."""
    base = {"quote_events_target": 10_000, "takers_per_day": 0.0, "minutes": 180}
    gain = []
    for strength in (0.0, 0.5, 1.0):
        mid, micro = _microprice(SimulationConfig(imbalance_strength=strength, **base), 3)
        corr = np.corrcoef(micro - mid, -mid)[0, 1]
        gain.append(corr)
    n = mid.size
    assert abs(gain[0]) < 4.0 / np.sqrt(n)
    assert 4.0 / np.sqrt(n) < gain[1] < gain[2]
    # at full strength bid share = clipped place of the truth later: only lots are rounded
    config = SimulationConfig(imbalance_strength=1.0, imbalance_horizon_seconds=0, **base)
    _, micro = _microprice(config, 3)
    assert np.quantile(np.abs(micro), 0.99) < 0.0005


def test_the_future_shows_the_truth_before_the_stock():
    config = SimulationConfig(
        future_lead_ms=400.0, future_basis_usd=1.5, future_basis_sd_usd=0.0, minutes=60, **FEW
    )
    simulated = simulate_day(config, 3)
    day, spot = simulated.day, simulated.truth.spot
    rows = _of(day, Kind.REFERENCE_QUOTE)
    assert (rows["instrument"] == len(day.chain)).all() and rows.size > 1000
    ahead = (rows["ts_event_ns"] + 400_000_000 - day.session.open_ns) // NS
    low = (rows["bid_e9"] * 1e-9 - 1.5)[1:]
    high = (rows["ask_e9"] * 1e-9 - 1.5)[1:]
    true = spot[ahead[1:]]
    assert (low <= true + 1e-9).all() and (true <= high + 1e-9).all()
    assert ((rows["ts_event_ns"][1:] - day.session.open_ns) % NS == 600_000_000).all()
    assert rows["ts_event_ns"][0] == day.session.open_ns
    assert not _of(simulate_day(SimulationConfig(minutes=1, **FEW), 3).day,
                   Kind.REFERENCE_QUOTE).size  # fmt: skip


def test_an_event_moves_spot_and_takes_its_variance_out_of_the_smile():
    at = "2025-03-12T10:00:00-04:00"  # half an hour after the open
    base = {"minutes": 40, "quote_events_target": 10_000, "takers_per_day": 0.0}
    moves = []
    for seed in range(6):
        simulated = simulate_day(
            SimulationConfig(events_at=(at,), events_move=(0.02,), **base), seed
        )
        plain = simulate_day(SimulationConfig(**base), seed).truth
        x = simulated.truth.prices.path.log_return
        np.testing.assert_array_equal(x[:1800], plain.prices.path.log_return[:1800])
        moves.append(x[1800] - plain.prices.path.log_return[1800])
        theta, other = (t.prices.smile.theta for t in (simulated.truth, plain))
        np.testing.assert_allclose(theta[:, :1800] - other[:, :1800], 0.02**2, atol=1e-12)
    clock = simulated.truth.prices.clock
    ahead = event_variance(simulated.truth.prices.config, clock, np.array([clock.fixing_ns]))[0]
    assert ahead[1799] == pytest.approx(0.02**2) and not ahead[1800:].any()
    moves = np.array(moves)
    # six normal draws: their sum of squares is chi-squared, 0.5 to 24 in all but 1 in 500
    assert 0.5 < ((moves + 0.0002) ** 2).sum() / 0.02**2 < 24.0


def test_a_dividend_lowers_the_forwards_behind_its_date():
    config = SimulationConfig(
        dividend_dates=("2025-03-21",), dividend_usd=(2.0,), minutes=2,
        quote_events_target=10_000, takers_per_day=0.0,
    )  # fmt: skip
    truth = simulate_day(config, 1).truth
    plain = simulate_day(config.model_copy(update={"dividend_dates": (), "dividend_usd": ()}), 1)
    chain = truth.prices.chain
    at = int(truth.ts_ns[0])
    j = np.arange(chain.slices)
    gap = plain.truth.forward(j, at) - truth.forward(j, at)
    behind = chain.expiry[chain.slice_start[:-1]] >= np.datetime64("2025-03-21")
    years = (chain.fixing_ns[chain.slice_start[:-1]] - at) / (365 * 86_400e9)
    ex = np.datetime64("2025-03-21T04:00:00", "ns").astype(np.int64)  # midnight in New York
    carried = 2.0 * np.exp(0.031 * (years - (ex - at) / (365 * 86_400e9)))
    np.testing.assert_allclose(gap, np.where(behind, carried, 0.0), atol=1e-9)
    # a call deep in the money is exercised for the dividend: worth its intrinsic value then, so
    # no less than that now and more than its European price
    eve = np.flatnonzero((chain.right > 0) & behind[chain.slice_of] & (chain.slice_of < 12))
    deep = eve[chain.strike[eve] < 500.0]
    assert (truth.premium(deep, at) > 0.5).any()
    theo = truth.theo(deep, at)
    assert (theo >= truth.spot[0] - chain.strike[deep] - 1e-9).all()


def test_a_halt_stops_everything_and_reopens_with_every_quote():
    config = SimulationConfig(minutes=40, halts_at_minutes=(10.0,), halt_minutes=5.0,
                              future_lead_ms=100.0, **FEW)  # fmt: skip
    simulated = simulate_day(config, 2)
    day = simulated.day
    start, stop = (day.session.open_ns + m * 60 * NS for m in (10, 15))
    ts = day.events["ts_event_ns"]
    inside = day.events[(ts >= start) & (ts < stop)]
    assert inside.size == 1 and inside["bits"][0] == Bits.HALT
    reopened = day.events[ts == stop]
    assert reopened["kind"][0] == Kind.STATUS and reopened["bits"][0] == Bits.RESUME
    assert (reopened["kind"] == Kind.UNDERLYING_QUOTE).sum() == 1
    assert np.unique(reopened["instrument"][reopened["kind"] == Kind.QUOTE]).size == len(day.chain)
    taken = simulated.truth.takers.ts_ns
    assert not ((taken >= start) & (taken < stop)).any()
    # the truth does not stand still meanwhile
    assert np.ptp(simulated.truth.spot[600:900]) > 0.01


RATES = {"crossed_share": 0.02, "locked_share": 0.03, "stale_share": 0.04,
         "duplicate_share": 0.05, "late_share": 0.06}  # fmt: skip


def test_faults_come_at_their_rates_and_are_remembered():
    base = {"minutes": 60, "quote_events_target": 200_000, "takers_per_day": 0.0}
    clean = simulate_day(SimulationConfig(**base), 8)
    config = SimulationConfig(**RATES, dropouts_per_day=40.0, late_ms=3000.0, **base)
    simulated = simulate_day(config, 8)
    day, faults = simulated.day, simulated.truth.faults
    good = _of(clean.day, Kind.QUOTE)
    n = int(((good["bid_e9"] > 0) & (good["ts_event_ns"] > day.session.open_ns)).sum())
    count = {fault: int((faults.kind == fault).sum()) for fault in Fault}
    for fault, share in zip(list(Fault)[:5], RATES.values(), strict=True):
        assert abs(count[fault] - share * n) < 4.0 * np.sqrt(share * (1.0 - share) * n), fault
    rows = _of(day, Kind.QUOTE)
    lost = count[Fault.CROSSED] + count[Fault.STALE]
    assert rows.size == good.size - lost + count[Fault.DUPLICATE]
    assert (rows["ask_e9"] >= rows["bid_e9"]).all()  # crossed rows were put aside, and counted
    assert day.quality.quarantined == {"crossed quote": count[Fault.CROSSED]}
    assert (rows["ask_e9"] == rows["bid_e9"]).sum() >= count[Fault.LOCKED]
    late = (faults.until_ns - faults.ts_ns)[faults.kind == Fault.LATE] / 1e6
    inside = faults.ts_ns[faults.kind == Fault.LATE] < day.session.close_ns - 30 * NS
    assert late[inside].mean() == pytest.approx(3000.0, rel=4.0 / np.sqrt(inside.sum()))
    assert (np.diff(day.events["ts_event_ns"]) >= 0).all()
    stock = _of(day, Kind.UNDERLYING_QUOTE)["ts_event_ns"]
    for begin, end in zip(faults.ts_ns[faults.kind == Fault.DROPOUT],
                          faults.until_ns[faults.kind == Fault.DROPOUT], strict=True):  # fmt: skip
        assert not ((stock >= begin) & (stock < end)).any()
    assert count[Fault.DROPOUT] > 0
    delivered = simulate_day(replace_config(config, quarantine_crossed=False), 8).day
    shown = _of(delivered, Kind.QUOTE)
    assert (shown["ask_e9"] < shown["bid_e9"]).sum() == count[Fault.CROSSED]


def replace_config(config, **changes):
    """A copy with other settings."""
    return config.model_copy(update=changes)


def test_no_faults_leave_the_tape_as_it_is(short):
    assert short.truth.faults.kind.size == 0
    assert short.day.quality.quarantined == {}


def test_theo_at_is_the_truth_of_every_option(short):
    """One instant, all rows: prices as `fair` has them; delta and gamma by central differences."""
    truth = short.truth
    at = int(truth.ts_ns[0])
    sheet = truth.theo_at(at + 999_999_999)
    assert sheet.ts_ns == at
    rows = np.arange(len(short.day.chain))
    np.testing.assert_array_equal(sheet.price, truth.theo(rows, at))
    zero, h = np.zeros(rows.size, np.int64), 0.05
    up, mid, down = (
        truth.prices.european(rows, zero, np.full(rows.size, truth.spot[0] + e)).price
        for e in (h, 0.0, -h)
    )
    long = sheet.years > 1.0 / 365.0
    np.testing.assert_allclose(sheet.delta[long], ((up - down) / (2 * h))[long], atol=2e-4)
    far = sheet.years > 0.2
    second = ((up - 2 * mid + down) / h**2)[far]
    np.testing.assert_allclose(sheet.gamma[far], second, rtol=2e-3, atol=1e-6)
    forward = truth.forward(short.day.chain.slice_of.astype(np.int64), at)
    np.testing.assert_array_equal(sheet.forward, forward)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"maker_skews": [0.1]}, "give each of 1 to 12 makers one of each"),
        ({"hawkes_own": 0.7, "hawkes_cross": 0.4}, "must be <= 0.95"),
        ({"dividend_dates": ["2025-03-20"]}, "1 dividend_dates and 0 dividend_usd; give one each"),
        ({"events_at": ["2025-03-12T14:00:00"], "events_move": [0.01]}, "without an offset"),
        ({"halts_at_minutes": [10.0, 12.0]}, "must rise by more than halt_minutes"),
        ({"crossed_share": 0.6, "late_share": 0.6}, "late exceed 1"),
        ({"dividend_dates": ["2025-13-20"], "dividend_usd": [1.0]}, "month must be in 1..12"),
    ],
)
def test_settings_that_do_not_agree_are_refused(values, words):
    with pytest.raises(ConfigError, match=words):
        simulation_config(values, "sim.toml")
