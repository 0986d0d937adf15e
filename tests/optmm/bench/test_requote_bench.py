"""numpy's decisions are the engine's on a drawn chain, and a wrong one is seen."""

import numpy as np
import pytest

from optmm.bench import requote
from optmm.bench.replay import desk, opened
from optmm.bench.replay_tape import Mix, Tape
from optmm.bench.requote import CENT_E9


@pytest.fixture(scope="module")
def start():
    tape = Tape(Mix(instruments=300, events_per_s=3_000.0), seed=3)
    return requote.fresh(opened(tape, desk()), sweep_ns=0)


@pytest.mark.parametrize("cents", [1, -1, 3, -40, 250])
def test_a_sweep_a_full_pass_and_numpy_agree(start, cents):
    assert requote.disagreements(start, cents * CENT_E9) == (0, 0)


def test_a_wrong_rule_is_seen(start, monkeypatch):
    right = requote.wanted

    def narrower(it, spot):
        it.own["half_bid"] = 0.5 * it.own["half_bid"]
        return right(it, spot)

    monkeypatch.setattr(requote, "wanted", narrower)
    assert requote.disagreements(start, 40 * CENT_E9)[0] > 0


def test_the_small_move_changes_no_quote(start):
    state = requote.fresh(start)
    requote.told(state, 0)
    before = int(state.head["messages"][0]), int(state.head["sweeps"][0])
    requote.told(state, requote.NONE_E9)
    assert int(state.head["messages"][0]) == before[0]
    assert int(state.head["sweeps"][0]) == before[1] + 1
    assert int(state.head["spot_e9"][0]) % CENT_E9 == requote.NONE_E9


def test_copies_do_not_share_anything(start):
    one = requote.fresh(start)
    one.own["qty"] += 1
    assert not np.array_equal(one.own["qty"], start.own["qty"])
