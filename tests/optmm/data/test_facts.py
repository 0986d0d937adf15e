"""Facts of days whose facts are known because they were made by hand or by a known law."""

import json
from dataclasses import replace

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from optmm.cli.facts import facts as command
from optmm.data import facts, store
from optmm.data.simulator import simulate_day
from optmm.data.simulator.config import SimulationConfig
from optmm.market.events import Kind, empty, in_order

NS = 10**9


@pytest.fixture(scope="module")
def simulated():
    """Three hours, few quotes."""
    return simulate_day(SimulationConfig(minutes=180, quote_events_target=120_000), 5)


@pytest.fixture(scope="module")
def measured(simulated):
    return facts.facts_of(simulated.day).values


def test_trades_are_the_takers_who_meet_the_quote(simulated):
    """One taker after another against the book as it stood, in plain Python."""
    day = simulated.day
    book, expected = {}, []
    for e in day.events:
        i = int(e["instrument"])
        if e["kind"] == Kind.QUOTE:
            book[i] = int(e["bid_e9"]), int(e["ask_e9"])
        elif e["kind"] == Kind.TAKER:
            bid, ask = book.get(i, (0, 0))
            if e["ask_lots"] > 0 and 0 < ask <= e["ask_e9"]:
                expected.append((int(e["ts_event_ns"]), int(e["ask_lots"]), 1))
            if e["bid_lots"] > 0 and bid >= e["bid_e9"] and bid > 0:
                expected.append((int(e["ts_event_ns"]), int(e["bid_lots"]), -1))
    found = facts.trades_of(day)
    assert list(zip(found.ts_ns.tolist(), found.lots.tolist(), found.sign.tolist(), strict=True)) \
        == expected  # fmt: skip


def test_realised_and_implied_vol_are_those_of_the_world(simulated, measured):
    truth = simulated.truth
    x = np.log(truth.spot[::60])
    # sampled on the same minutes; the displayed middle is within half a cent or a cent of truth
    assert measured["realised_vol"] == pytest.approx(
        np.sqrt(252.0 * (np.diff(x) ** 2).sum()), rel=0.02
    )
    assert 0.17 < measured["implied_vol_month"] < 0.25
    assert measured["session_hours"] == pytest.approx(3.0)


def test_spreads_widen_away_from_the_money(measured):
    for tenor in ("0-8d", "8-45d", "45d+"):
        cells = [measured[f"relative_spread_z{z}_{tenor}"] for z in ("0-0.5", "0.5-1.5", "1.5-3")]
        assert (np.diff(cells) > 0.0).all(), (tenor, cells)


def test_the_underlying_s_spread_is_its_cents(simulated, measured):
    """One cent, two in a tenth of the seconds: 1.1 cents on the mean price."""
    expected = 1e4 * 0.011 / simulated.truth.spot.mean()
    assert measured["underlying_spread_bp"] == pytest.approx(expected, rel=0.03)


def _signed(day, signs):
    """The day with prints of given signs, a second apart, and no takers."""
    rows = empty(len(signs))
    rows["ts_event_ns"] = day.session.open_ns + NS * (1 + np.arange(rows.size))
    rows["kind"], rows["bid_lots"] = Kind.TRADE, 1 + np.arange(rows.size) % 10
    rows["bid_e9"] = rows["ask_e9"] = NS
    rows["ask_lots"] = signs
    quiet = day.events[day.events["kind"] != Kind.TAKER]
    return replace(day, events=in_order(np.concatenate([quiet, rows])))


def test_sign_autocorrelation_and_sizes_of_a_made_tape(simulated):
    """Runs of two: s1 s1 s2 s2 ... has 1/2 at lag one and 0 beyond, from independent pairs."""
    rng = np.random.default_rng(0)
    signs = np.repeat(np.where(rng.random(4000) < 0.5, 1, -1), 2)
    trades = facts.trades_of(_signed(simulated.day, signs))
    values = facts._signs(trades) | facts._sizes(trades)
    assert values["sign_autocorrelation_lag1"] == pytest.approx(0.5, abs=4.0 / np.sqrt(8000))
    assert abs(values["sign_autocorrelation_lag10"]) < 6.0 / np.sqrt(8000)
    assert values["trade_size_q50"] == pytest.approx(5.5)
    assert values["trade_size_q90"] == pytest.approx(9.1)  # between the last 9 and the first 10


def test_the_command_prints_what_was_measured(simulated, measured, tmp_path):
    store.write(simulated.day, tmp_path / "day")
    app = typer.Typer()
    app.command()(command)
    ran = CliRunner().invoke(app, [str(tmp_path / "day"), "--json"])
    assert ran.exit_code == 0, ran.output
    said = json.loads(ran.stdout)
    assert said["title"] == "SPY 2025-03-12"
    assert said["facts"]["trades"] == measured["trades"]
    assert set(said["facts"]) == set(measured)
