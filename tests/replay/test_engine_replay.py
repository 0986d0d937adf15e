"""One tape, one result: compiled or not, checked or not, in any blocks, stopped anywhere."""

import contextlib
import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import tape

from optmm.engine import state as tables
from optmm.engine.reasons import Reason

ROOT = Path(__file__).resolve().parents[2]
TAPE = Path(tape.__file__)


def in_a_process(world: str, *, events: int, options: int, **environment: str) -> dict:
    """Replay in a fresh process under other numba flags; warnings are errors there too."""
    command = [sys.executable, "-W", "error", str(TAPE), world, str(events), str(options), "1"]
    done = subprocess.run(
        command,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


@cache
def reference(setup: tape.Setup) -> str:
    """The digest of a replay in the largest blocks."""
    return tape.Replay(setup).run().digest(ring=False)


@pytest.mark.slow
@pytest.mark.parametrize("world", tape.WORLDS)
def test_plain_python_gives_the_same_bytes(world):
    """NUMBA_DISABLE_JIT=1 runs the same source in CPython on 60,000 events."""
    plain = in_a_process(world, events=60_000, options=8, NUMBA_DISABLE_JIT="1")
    setup = tape.Setup(world=world, events=60_000, options=8, seed=1, tight=True, rich=True)
    assert not plain["compiled"]
    assert min(plain["fills"], plain["messages"], plain["trips"]) >= 20
    assert plain == {**tape.Replay(setup).run().summary(), "compiled": False, "checked": False}


@pytest.mark.slow
def test_a_bounds_checked_run_in_its_own_cache_gives_the_same_bytes(tmp_path):
    """A warm cache ignores NUMBA_BOUNDSCHECK, so the run must have compiled into `tmp_path`."""
    checked = in_a_process(
        "queue", events=60_000, options=8, NUMBA_BOUNDSCHECK="1", OPTMM_CACHE_DIR=str(tmp_path)
    )
    setup = tape.Setup(events=60_000, options=8, seed=1, tight=True, rich=True)
    assert checked == {**tape.Replay(setup).run().summary(), "compiled": True, "checked": True}
    compiled = {file.name.split("-")[0] for file in tmp_path.rglob("*.nbi")}
    assert {"core.advance", "venue.print_fills", "sweep.requote", "protect.trip"} <= compiled


@pytest.mark.parametrize("world", tape.WORLDS)
@pytest.mark.parametrize("block", [1, 7, 4096])
def test_the_result_does_not_depend_on_the_block_size(world, block):
    setup = tape.Setup(world=world, tight=True, rich=True)
    blocks = tape.Replay(setup).run(block=block)
    assert blocks.digest(ring=False) == reference(setup)
    assert blocks.calls >= setup.events // min(block, tape.STOP_EVERY)


@pytest.mark.parametrize("world", tape.WORLDS)
def test_stop_anywhere_save_the_bytes_and_resume(world):
    """Twenty stops, each into fresh tables: what is not in the bytes cannot matter."""
    setup = tape.Setup(world=world, tight=True, rich=True, latency_ns=300_000_000)
    replay = tape.Replay(setup)
    stops = np.sort(np.random.default_rng(5).integers(1, setup.events, 20))
    in_flight = 0
    for stop in stops:
        replay.run(int(stop))
        raw = tables.snapshot(replay.state)
        in_flight += int(replay.state.head["wire_count"][0])
        for table in replay.state:
            table.view(np.uint8)[:] = 0xFF
        replay.state = tables.restored(raw, like=tape.make_state(setup, replay.chain))
        assert tables.snapshot(replay.state) == raw
    assert in_flight >= 100
    assert replay.run().digest(ring=False) == reference(setup)


def test_the_wire_grows_without_loss():
    """A ring for two events' messages fills, wraps and doubles; the desk sees no difference."""
    setup = tape.Setup(tight=False, latency_ns=900_000_000)
    replay = tape.Replay(setup)
    rows = 2 * setup.options + 4
    replay.state = replay.state._replace(wire=np.zeros(rows, tables.WIRE))
    replay.run()
    assert Reason.WIRE_FULL in replay.reasons
    assert replay.state.wire.size >= 4 * rows
    assert replay.digest(ring=False) == reference(setup)


@pytest.mark.parametrize("first", [0, 3, 7])
def test_a_grown_ring_keeps_the_messages_in_order(first):
    """Whatever the place of the oldest message, it is the first of the new ring."""
    state = tape.make_state(tape.Setup(options=2), tape.make_chain(tape.Setup(options=2)))
    state = state._replace(wire=np.zeros(8, tables.WIRE))
    state.head["wire_first"] = first
    for lots in range(1, 8):
        tape.put_on_wire(state, land_ns=lots, instrument=0, side=1, px_e9=tape.BELOW, lots=lots)
    bigger = tables.grown(state)
    assert bigger.wire.size == 16
    assert int(bigger.head["wire_count"][0]) == 7
    assert bigger.wire["lots"][int(bigger.head["wire_first"][0]) :][:7].tolist() == list(
        range(1, 8)
    )


def test_a_full_act_buffer_stops_before_the_event():
    """A call that finds no room changes nothing; drained, the run goes on as if never stopped."""
    setup = tape.Setup(world="optimistic", tight=True)
    replay = tape.Replay(setup)
    replay.state = replay.state._replace(act=np.zeros(220, tables.ACT))
    stops = 0
    while replay.at < setup.events:
        if replay.at == replay.decided * tape.STOP_EVERY:
            replay.decide()
        segment = replay.at - replay.at % tape.STOP_EVERY + tape.STOP_EVERY
        if replay.step(segment, drain=False) == Reason.ACT_FULL:
            stops += 1
            before, at = tables.snapshot(replay.state), replay.at
            assert replay.step(segment, drain=False) == Reason.ACT_FULL
            assert (replay.at, tables.snapshot(replay.state)) == (at, before)
            assert replay.drain().size
    assert stops >= 100
    assert replay.digest(ring=False) == reference(setup)


def test_a_full_wire_stops_before_the_event():
    setup = tape.Setup(options=4, events=2_000, latency_ns=0)
    replay = tape.Replay(setup).run(1_000)
    count = int(replay.state.head["wire_count"][0])
    full = replay.state
    # room for one event's messages less one
    small = np.zeros(count + 2 * setup.options + 1, tables.WIRE)
    rows = (int(full.head["wire_first"][0]) + np.arange(count)) % full.wire.size
    small[:count] = full.wire[rows]
    full.head["wire_first"] = 0
    replay.state = full._replace(wire=small)
    before = tables.snapshot(replay.state)
    assert replay.step(1_001, grow=False) == Reason.WIRE_FULL
    assert (replay.at, tables.snapshot(replay.state)) == (1_000, before)


def test_an_empty_act_buffer_takes_whatever_is_in_flight():
    """One event can land every message in flight.

    `advance` asked for room in an act buffer that was empty already, so a desk that drained and
    called again did so for ever.
    """
    setup = tape.Setup(options=100, events=10)
    replay = tape.Replay(setup)
    in_flight = replay.state.act.size
    while replay.state.wire.size < in_flight + 2 * setup.options + 2:
        replay.state = tables.grown(replay.state)
    replay.state.head["wire_count"] = in_flight  # cancels, all due
    replay.state.wire["side"] = 1
    assert Reason.ACT_FULL not in replay.step(1, drain=False)
    assert replay.at == 1


def test_a_hedge_order_into_a_full_ring_loses_no_message():
    """`advance` leaves room for one event's messages and may fill it; then the desk hedges."""
    state = tape.make_state(tape.Setup(options=2), tape.make_chain(tape.Setup(options=2)))
    state = state._replace(wire=np.zeros(8, tables.WIRE))
    for lots in range(1, 9):
        tape.put_on_wire(state, land_ns=lots, instrument=0, side=1, px_e9=tape.BELOW, lots=lots)
    with contextlib.suppress(RuntimeError, ValueError):  # a refusal is as good
        tables.send_hedge(state, lots=5, land_ns=9)
    assert state.wire["lots"].tolist() == list(range(1, 9))
