"""The day as a whole: order, determinism, independence of its parts, storage."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from optmm.data import store
from optmm.data.simulator import simulate_day
from optmm.data.simulator.config import SimulationConfig
from optmm.data.simulator.truth import write_truth
from optmm.errors import DataError
from optmm.market.events import MARKET_EVENT, Bits, Kind

ROOT = Path(__file__).resolve().parents[3]
PROGRAM = """
from optmm.data.simulator import simulate_day
from optmm.data.simulator.config import SimulationConfig
print(simulate_day(SimulationConfig(minutes=3), 41).day.sources)
"""


def test_events_are_in_order_and_inside_the_session(full):
    day = full.day
    events = day.events
    assert events.dtype == MARKET_EVENT
    assert (np.diff(events["ts_event_ns"]) >= 0).all()
    same = np.diff(events["ts_event_ns"]) == 0
    assert (np.diff(events["kind"])[same] >= 0).all()
    np.testing.assert_array_equal(events["seq"], np.arange(events.size))
    assert events["kind"][0] == Kind.STATUS and events["bits"][0] == Bits.OPEN
    assert events["kind"][-1] == Kind.STATUS and events["bits"][-1] == Bits.CLOSE
    assert events["ts_event_ns"][0] == day.session.open_ns
    assert events["ts_event_ns"][-1] == day.session.close_ns
    assert events["kind"][1] == Kind.UNDERLYING_QUOTE
    assert (events["instrument"] >= 0).all() and (events["instrument"] <= len(day.chain)).all()
    under = np.isin(events["kind"], (Kind.UNDERLYING_QUOTE, Kind.STATUS))
    assert (events["instrument"][under] == len(day.chain)).all()
    assert day.simulated and day.bar_ns == 0
    assert day.quality.rows == events.size and 0.9 < day.quality.two_sided_share <= 1.0


def test_an_option_is_not_quoted_after_its_last_trade(full):
    events, chain = full.day.events, full.day.chain
    quotes = events[events["kind"] == Kind.QUOTE]
    assert (quotes["ts_event_ns"] < chain.last_trade_ns[quotes["instrument"]]).all()


def test_same_seed_same_bytes_in_two_processes():
    said = set()
    for hash_seed in ("1", "77"):
        env = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)}
        ran = subprocess.run(
            [sys.executable, "-c", PROGRAM], env=env, capture_output=True, text=True, check=True
        )
        said.add(ran.stdout.strip())
    here = simulate_day(SimulationConfig(minutes=3), 41).day.sources
    assert said == {str(here)}
    assert here[0][0].startswith("simulated seed=41 config=")


def test_other_seeds_and_configs_give_other_days(short):
    config = short.truth.prices.config
    again = simulate_day(config, short.truth.seed)
    assert again.day.sources == short.day.sources
    other = simulate_day(config, short.truth.seed + 1)
    assert other.day.sources[0][1] != short.day.sources[0][1]
    calmer = simulate_day(config.model_copy(update={"takers_per_day": 10.0}), short.truth.seed)
    assert calmer.day.sources[0][0] != short.day.sources[0][0]


def test_parts_draw_from_streams_of_their_own(short):
    """More takers leave the underlying and the scheduled quotes' times untouched."""
    config = short.truth.prices.config
    busier = simulate_day(config.model_copy(update={"takers_per_day": 20_000.0}), short.truth.seed)
    np.testing.assert_array_equal(busier.truth.spot, short.truth.spot)
    kinds = [d.events[d.events["kind"] == Kind.UNDERLYING_QUOTE] for d in (busier.day, short.day)]
    for name in ("ts_event_ns", "bid_e9", "ask_e9", "bid_lots", "ask_lots"):
        np.testing.assert_array_equal(kinds[0][name], kinds[1][name])
    minute = [
        d.events[(d.events["kind"] == Kind.QUOTE) & (d.events["ts_event_ns"] % (60 * 10**9) == 0)]
        for d in (busier.day, short.day)
    ]
    np.testing.assert_array_equal(minute[0]["instrument"], minute[1]["instrument"])


def test_minutes_cut_the_day_from_the_open(short, full):
    assert short.day.session.open_ns == full.day.session.open_ns
    assert short.day.session.close_ns - short.day.session.open_ns == 10 * 60 * 10**9
    assert short.day.events["ts_event_ns"][-1] == short.day.session.close_ns
    assert short.day.chain.symbol == full.day.chain.symbol


def test_a_holiday_is_no_trade_date():
    with pytest.raises(DataError, match="no session on 2025-04-18"):
        simulate_day(SimulationConfig(trade_date="2025-04-18", minutes=1), 1)


def test_an_early_close_is_a_shorter_day():
    simulated = simulate_day(
        SimulationConfig(trade_date="2024-11-29", quote_events_target=10_000), 1
    )
    session = simulated.day.session
    assert session.close_ns - session.open_ns == (210 + 15) * 60 * 10**9


def test_a_stored_day_reads_back_exactly(short, tmp_path):
    folder = store.write(short.day, tmp_path / "day")
    back = store.read(folder)
    np.testing.assert_array_equal(back.events, short.day.events)
    assert back.chain.symbol == short.day.chain.symbol and back.simulated
    assert back.session == short.day.session


def test_truth_is_stored_beside_the_day(short, tmp_path):
    folder = write_truth(short.truth, tmp_path / "truth")
    spot = pl.read_parquet(folder / "spot.parquet")
    np.testing.assert_array_equal(spot["spot"].to_numpy(), short.truth.spot)
    takers = pl.read_parquet(folder / "takers.parquet")
    np.testing.assert_array_equal(takers["ts_ns"].to_numpy(), short.truth.takers.ts_ns)
    slices = pl.read_parquet(folder / "slices.parquet")
    assert slices.height == 11 * short.day.chain.slices
    first = slices.row(0, named=True)
    carry = first["b"] * (first["rho"] * -first["m"] + np.hypot(first["m"], first["sigma"]))
    assert first["a"] + carry == pytest.approx(first["theta"], rel=1e-9)
