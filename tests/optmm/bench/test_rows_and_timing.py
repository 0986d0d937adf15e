"""Verdicts, the stopwatch under a made clock, and pinning in a process of its own."""

import math
import os
import subprocess
import sys

import pytest

from optmm.bench.rows import Row, skipped
from optmm.bench.timing import race


@pytest.mark.parametrize(
    ("measured", "bar", "at_least", "verdict"),
    [
        (59.9, 60.0, False, "meets"),
        (60.0, 60.0, False, "meets"),
        (60.1, 60.0, False, "misses"),
        (8.0, 8.0, True, "meets"),
        (7.9, 8.0, True, "misses"),
        (math.nan, 8.0, True, "misses"),
        (math.nan, 8.0, False, "misses"),
        (1.0, None, False, "shown"),
        (None, 8.0, True, "skipped"),
    ],
)
def test_verdict(measured, bar, at_least, verdict):
    assert Row("x", measured, "ns", bar, at_least).verdict == verdict


def test_a_skipped_row_says_why_and_json_has_no_nan():
    row = skipped("x", "ns", 60.0, "no table")
    assert (row.verdict, row.note) == ("skipped", "no table")
    assert Row("x", math.nan, "ns", 1.0).as_json()["measured"] is None


class Clock:
    """Seconds that pass only when a task spends them."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_best_of_many_a_call_ignores_warm_up_and_one_slow_round():
    clock, calls = Clock(), {"quick": 0, "slow": 0}

    def quick() -> None:
        calls["quick"] += 1
        clock.now += 5.0 if calls["quick"] == 1 else 0.001  # compiles first

    def slow() -> None:
        calls["slow"] += 1
        clock.now += 3.0 if calls["slow"] == 4 else 0.5  # one disturbed sample

    best = race({"quick": quick, "slow": slow}, rounds=5, sample=0.01, budget=2.0, clock=clock)
    assert best == pytest.approx({"quick": 0.001, "slow": 0.5})
    assert calls["slow"] == 2 + 4  # warm-up, a look, and what the budget allows
    assert calls["quick"] == 2 + 5 * 10  # ten calls make one sample of 0.01 s


def test_tasks_take_turns():
    clock, order = Clock(), []

    def task(name: str):
        def call() -> None:
            order.append(name)
            clock.now += 1.0

        return call

    race({"a": task("a"), "b": task("b")}, rounds=3, budget=100.0, clock=clock)
    assert order == ["a", "a", "b", "b"] + ["a", "b"] * 3


def words_and_state(core: str) -> list[str]:
    code = (
        "import os\nfrom optmm.bench import timing\n"
        f"print(timing.pin({core}))\n"
        "print(len(os.sched_getaffinity(0)), os.environ['RAYON_NUM_THREADS'])\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return ran.stdout.splitlines()


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system cannot pin")
def test_pinning_leaves_one_core_and_one_thread_or_says_why_not():
    said, state = words_and_state("None")
    assert said.startswith("pinned to core") and state == "1 1"
    said, state = words_and_state("9999")
    assert said.startswith("not pinned to core 9999") and state.endswith(" 1")
