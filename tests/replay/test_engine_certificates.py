"""Certificates change what a decision costs, never the decision."""

import numpy as np
import pytest
import tape

from optmm.engine import state as tables
from optmm.engine import sweep
from optmm.engine.reasons import ABSENT

E9 = tape.E9
SETTINGS = {
    "middle": {"middle_ns": E9 // 2, "middle_edge": 0.5},
    "no middle, guard at every event": {
        "middle_ns": 5 * E9, "middle_edge": 0.0, "guard_ns": 0, "sweep_ns": E9
    },
    "coarse moves": {"middle_ns": 2 * E9, "middle_edge": 0.8, "min_change_ticks": 2},
    "microprice": {"spot_source": 1, "middle_ns": E9, "middle_edge": 0.3, "guard_ns": E9 // 8},
}  # fmt: skip
OWN_COST = ("every_row", "requotes")


def played(setup: tape.Setup, every_row: int, **head: float) -> tape.Replay:
    """One replay with some head fields set first."""
    replay = tape.Replay(setup)
    for name, value in {"every_row": every_row, **head}.items():
        replay.state.head[name] = value
    return replay.run()


@pytest.mark.parametrize("tight", [False, True])
@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("world", ["queue", "simulated"])
def test_a_run_that_decides_every_row_every_time_agrees(world, name, tight):
    """Halts, closes, one-sided and crossed markets, fills, trips, budgets: all on the tape."""
    setup = tape.Setup(
        world=world, events=8_000, seed=len(name), tight=tight, latency_ns=len(name) * 4_000_000
    )
    full, quick = (played(setup, every, **SETTINGS[name]) for every in (1, 0))
    assert full.all_acts().tobytes() == quick.all_acts().tobytes()
    for field in tables.OWN.names:
        if field not in ("why_bid", "why_ask", "by_middle"):
            assert (full.state.own[field] == quick.state.own[field]).all(), field
    for field in ("why_bid", "why_ask"):  # why a quote is absent is reported; the rest is a hint
        absent = [run.state.own[field] & int(ABSENT) for run in (full, quick)]
        assert (absent[0] == absent[1]).all(), field
    for field in tables.HEAD.names:
        if field not in OWN_COST:
            assert full.state.head[field][0] == quick.state.head[field][0], field
    assert quick.state.head["messages"][0] > 2_000
    assert quick.state.head["requotes"][0] < 0.6 * full.state.head["requotes"][0]


@pytest.mark.parametrize("seed", [3, 4, 5])
def test_a_middle_that_ages_leaves_no_quote_that_follows_the_other_side(seed):
    """Bands wider than the market: without a fresh middle a target can reach the displayed quote.

    From there it goes tick by tick, however far it may be from the quote sent.
    """
    wide = {"middle_ns": E9 // 100, "middle_edge": 0.3, "min_change_ticks": 60, "guard_ns": 0}
    setup = tape.Setup(events=4_000, seed=seed)
    full, quick = (played(setup, every, **wide) for every in (1, 0))
    assert full.all_acts().tobytes() == quick.all_acts().tobytes()
    assert full.state.own["sent_ask_e9"].tolist() == quick.state.own["sent_ask_e9"].tolist()
    assert quick.state.head["requotes"][0] < full.state.head["requotes"][0]


@pytest.mark.parametrize("seed", [11, 12])
def test_a_sweep_lists_every_row_whose_full_decision_sends_a_message(seed):
    """The array pass against the scalar decision, at spots all over the sheet's range."""
    replay = tape.Replay(tape.Setup(events=3_000, seed=seed, options=120))
    replay.state.head["middle_ns"], replay.state.head["stale_spot_ns"] = E9, 100 * E9
    state = replay.run(2_000).state
    assert state.head["blocked"][0] == 0
    sweep.requote_rows(state, 0, replay.setup.options)
    spot, listed, sent = float(state.head["spot"][0]), 0, 0
    for cents in np.linspace(-60, 60, 41):
        trial = tables.restored(tables.snapshot(state), like=state)
        trial.head["spot"] = spot + cents / 100
        due = set(trial.work[0, : sweep.rows_due(trial)].tolist())
        listed += len(due)
        first = int(trial.head["wire_count"][0])
        sweep.requote_rows(trial, 0, replay.setup.options)
        rows = int(trial.head["wire_first"][0]) + np.arange(first, int(trial.head["wire_count"][0]))
        moved = set(trial.wire["instrument"][rows % trial.wire.size].tolist())
        assert moved <= due, (cents, moved - due)
        sent += len(moved)
    assert sent > 500
    assert listed < 2 * sent  # and not everything
